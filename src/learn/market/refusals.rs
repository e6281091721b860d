//! Tables of which no market can be made, and columns that seem to be mixed up: why, in words.

use crate::sales::{FitSettings, MoneyAs, SalesTable, UnitsAs, median};
use agon_agents::demand::{Estimate, PriceEffect, models};
use serde_json::{Map, Value};

/// Which covariate or instrument never changes, or is collinear with what stands beside it.
pub fn uninformative(table: &SalesTable) -> Option<String> {
    let (s, n, rows) = (&table.sales, table.sales.names.len(), table.weeks.len());
    let still = |of: &dyn Fn(usize, usize) -> f64| {
        (0..n).all(|k| {
            let mut there = (0..rows).filter(|t| s.present(*t, k)).map(|t| of(t, k));
            let first = there.next();
            there.all(|x| Some(x) == first)
        })
    };
    if let Some(c) = (0..s.covariate_names.len()).find(|c| still(&|t, k| s.covariates[t][k][*c])) {
        let name = &s.covariate_names[c];
        return Some(format!(
            "`{name}` is the same in all weeks that were kept, so that nothing is known of its effect: leave it out of [fit]"
        ));
    }
    let count = s.instruments.first().map_or(0, |row| row[0].len());
    if (0..count).any(|i| still(&|t, k| s.instruments[t][k][i])) {
        return Some("one of the [fit] instruments never changes: it says nothing of prices, leave it out".into());
    }
    models::collinear(s).map(|name| {
        format!(
            "`{name}` is collinear with prices, displays and the covariates before it, so that their effects cannot be \
             told apart: leave it out of [fit]"
        )
    })
}

/// Whose price instruments say nothing of, or all.
pub(super) fn unusable_instruments(table: &SalesTable) -> Option<String> {
    let s = &table.sales;
    if s.instruments.is_empty() {
        return None;
    }
    let found = models::strengths(s, &vec![0.0; table.weeks.len()], false);
    let why = |k: usize| match found[k] {
        None => {
            Some("say nothing of it: they are collinear with displays and covariates, or more than the weeks allow")
        }
        Some(f) if f.is_finite() && f < 1e10 => None,
        Some(_) => Some("tell all of it, as the price itself would: name what moves it, such as costs"),
    };
    let (k, why) = (0..found.len()).find_map(|k| Some((k, why(k)?)))?;
    Some(format!("the price of {}: the [fit] instruments {why}", s.names[k]))
}

/// Why units and prices seem to be in each other's columns: numbers under `units` would be prices at such costs, and
/// those under `price` would not, or are whole where everything else about money is not.
pub(super) fn swapped(table: &SalesTable, settings: &FitSettings) -> Option<String> {
    let column = |list: &[Vec<f64>], k: usize| list.iter().map(|week| week[k]).collect::<Vec<f64>>();
    let whole = |list: &[f64]| list.iter().all(|x| x.fract() == 0.0);
    // The spread beside the mean.
    let spread = |list: &[f64]| {
        let mean = list.iter().sum::<f64>() / list.len() as f64;
        (list.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / list.len() as f64).sqrt() / mean
    };
    let how = format!("set units = {:?} and price = {:?} in the scenario's [fit]", settings.price, settings.units);
    if settings.cost.is_empty() {
        // Costs follow prices there: whole prices that move more than fractional units do tell.
        let counted = |k: usize| {
            let (units, prices) = (column(&table.sales.units, k), column(&table.sales.prices, k));
            let sold: Vec<f64> = units.into_iter().filter(|u| *u > 0.0).collect();
            let broken = sold.iter().filter(|x| x.fract() != 0.0).count();
            !sold.is_empty() && whole(&prices) && 5 * broken > 4 * sold.len() && spread(&sold) < spread(&prices)
        };
        let each = settings.units_as == UnitsAs::Units && settings.price_as == MoneyAs::Unit;
        let complete = table.sales.absent.is_empty(); // else means stand in for prices
        let all = each && complete && !table.products.is_empty() && (0..table.products.len()).all(counted);
        return all.then(|| {
            let (units, price) = (&settings.units, &settings.price);
            format!(
                "units and prices seem to be swapped: all numbers in `{price}` are whole and differ more than those in \
                 `{units}`, which are not whole; {how}, or correct the table"
            )
        });
    }
    let k = (0..table.products.len()).find(|&k| {
        let (units, prices) = (column(&table.sales.units, k), column(&table.sales.prices, k));
        let costs = column(&table.costs, k);
        let beside = |list: &[f64]| median(list.iter().zip(&costs).map(|(x, c)| x / c));
        let units_could_be = (0.8..=5.0).contains(&beside(&units)) && (!whole(&units) || whole(&prices));
        let prices_could_not = !(0.2..=8.0).contains(&beside(&prices));
        let prices_count = whole(&prices) && !whole(&units) && !whole(&costs) && spread(&units) < spread(&prices);
        units_could_be && (prices_could_not || prices_count)
    })?;
    let [units, price, cost] =
        [&settings.units, &settings.price, &settings.cost].map(|c| c.replace("{}", &table.products[k]));
    let name = &table.sales.names[k];
    Some(format!(
        "units and prices of {name} seem to be swapped: beside its costs in `{cost}`, numbers in `{units}` are those of \
         a price and numbers in `{price}` are not; {how}, or correct the table"
    ))
}

/// Why prices and costs seem to be in each other's columns: hardly a shop sells below cost in most weeks.
pub(super) fn below_cost(table: &SalesTable, settings: &FitSettings) -> Option<String> {
    if settings.cost.is_empty() && settings.costs.is_empty() {
        return None;
    }
    let below = |k: usize| (0..table.costs.len()).filter(|w| table.sales.prices[*w][k] < table.costs[*w][k]).count();
    let k = (0..table.products.len()).find(|k| 2 * below(*k) > table.costs.len())?;
    let [price, cost] = [&settings.price, &settings.cost].map(|c| c.replace("{}", &table.products[k]));
    let (name, weeks, all) = (&table.sales.names[k], below(k), table.costs.len());
    Some(format!(
        "in {weeks} of {all} weeks the price of {name} (`{price}`) is below its cost (`{cost}`): are the two columns \
         swapped? Correct the table or the mapping in [fit], or leave {name} out with `products`"
    ))
}

/// Why a price that never moves stands in the way: nothing is known of its effect, or of its bounds.
pub(super) fn still(table: &SalesTable, settings: &FitSettings, env: &Map<String, Value>) -> Option<String> {
    let (common, n) = (settings.price_effect == Some(PriceEffect::Common), table.products.len());
    let bounded = ["low", "high"].iter().all(|key| env.contains_key(*key));
    let none_moves = (0..n).all(|k| table.sales.price_stands_still(k));
    if common && bounded && !none_moves {
        return None;
    }
    let k = (0..n).find(|k| table.sales.price_stands_still(*k))?;
    let (name, column) = (&table.sales.names[k], settings.price.replace("{}", &table.products[k]));
    let price = table.sales.prices[0][k];
    let how = match (none_moves, common) {
        (true, _) => "demand can only be estimated from prices that were changed".into(),
        (_, true) => format!("leave {name} out with `products` in [fit], or set `low` and `high` in [env]"),
        (_, false) => format!(
            "leave {name} out with `products` in [fit], or use price_effect = \"common\" with `low` and `high` in [env]"
        ),
    };
    Some(format!(
        "the price of {name} (column `{column}`) is {price} in all {} weeks kept, so that nothing is known of other \
         prices: {how}",
        table.sales.prices.len()
    ))
}

/// Why nothing can be earned with a product: no week's cost is below the highest price seen.
pub(super) fn at_a_loss(table: &SalesTable, settings: &FitSettings, env: &Map<String, Value>) -> Option<String> {
    if ["high", "costs"].iter().any(|key| env.contains_key(*key)) {
        return None; // theirs, and checked there
    }
    let highest = |k: usize| table.sales.prices.iter().map(|week| week[k]).fold(0.0, f64::max);
    let lowest = |k: usize| table.costs.iter().map(|week| week[k]).fold(f64::INFINITY, f64::min);
    let k = (0..table.products.len()).find(|&k| lowest(k) >= highest(k))?;
    let [price, cost] = [&settings.price, &settings.cost].map(|c| c.replace("{}", &table.products[k]));
    let name = &table.sales.names[k];
    Some(format!(
        "{name} costs {} at least (column `{cost}`) and was never sold for more than {} (column `{price}`), so \
         that nothing can be earned: are the two columns mapped to each other, or in other units? Correct them, or leave \
         {name} out with `products` in [fit]",
        lowest(k),
        highest(k)
    ))
}

/// Why numbers are beyond what the market's settings may be, which the scenario does not hold and cannot be blamed for.
pub(super) fn too_large(table: &SalesTable, settings: &FitSettings, price_effects: &[Estimate]) -> Option<String> {
    let range = 1e-9..=1e9;
    for (k, product) in table.products.iter().enumerate() {
        for (pattern, list) in [(&settings.price, &table.sales.prices), (&settings.cost, &table.costs)] {
            if let Some(week) = list.iter().find(|week| week[k] > *range.end()) {
                let column = pattern.replace("{}", product);
                return Some(format!("column `{column}` holds {:e}, above 1e9: give money in a larger unit", week[k]));
            }
        }
        if let Some(b) = price_effects.get(k).filter(|b| !range.contains(&b.value)) {
            let (name, column) = (&table.sales.names[k], settings.price.replace("{}", product));
            let how = "give money in another unit";
            return Some(format!(
                "the price effect of {name} (column `{column}`) is {b}, not within 1e-9 to 1e9: {how}"
            ));
        }
    }
    let t = table.sales.customers.iter().position(|c| !(1.0..=1e12).contains(c))?;
    let (place, customers) = (&table.sales.labels[t], table.sales.customers[t]);
    Some(format!("{place}: {customers} in column `{}`, not within 1 to 1e12", settings.customers))
}
