//! Markets. To add one: a file, a `mod` line, a row.
pub mod logit;
pub mod perishable;
pub mod retail;

use agon_core::Entry;

pub const ENTRIES: &[Entry] = &[
    Entry::env::<perishable::Perishable>(
        "pricing/perishable",
        "Sell a stock before its deadline, one price a period",
        "its exact dynamic program",
    ),
    Entry::env::<retail::Retail>(
        "pricing/retail",
        "Price several products week by week, demand fitted from sales data",
        "its exact optimum, and an independent fit and optimum of the tuna data (tests/golden/tuna.py)",
    ),
];
