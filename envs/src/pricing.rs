//! Markets. To add one: a file, a `mod` line, a row.
pub mod assortment;
pub mod duopoly;
pub mod learn_and_earn;
pub mod log_log;
pub mod logit;
pub mod nested_logit;
pub mod perishable;
pub mod retail;
pub mod rules;
pub mod single_leg;

use agon_core::Entry;

pub const ENTRIES: &[Entry] = &[
    Entry::env::<perishable::Perishable>(
        "pricing/perishable",
        "Sell a stock before its deadline, one price a period",
        "its exact dynamic program",
    ),
    Entry::env::<single_leg::SingleLeg>(
        "pricing/single-leg",
        "Airline seat control: accept or refuse customers of different fares",
        "its exact dynamic program (Talluri and van Ryzin 2004)",
    ),
    Entry::env::<assortment::Assortment>(
        "pricing/assortment",
        "Price several products that customers choose among",
        "its closed form by Lambert's W",
    ),
    Entry::env::<duopoly::Duopoly>(
        "pricing/duopoly",
        "Sellers that set prices at once, again and again; learners or scripted rivals",
        "Nash and monopoly prices of Calvano et al. 2020, the exact program against scripted rivals",
    ),
    Entry::env::<learn_and_earn::LearnAndEarn>(
        "pricing/learn-and-earn",
        "Find the best price of an unknown demand while selling; bandits as players",
        "the clairvoyant's revenue in closed form; growth of regret (Keskin and Zeevi 2014)",
    ),
    Entry::env::<retail::Retail>(
        "pricing/retail",
        "Price several products week by week, demand fitted from sales data",
        "its exact optimum, and an independent fit and optimum of the tuna data (tests/golden/tuna.py)",
    ),
];
