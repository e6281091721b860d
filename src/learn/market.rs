//! From a sales table to a market: `[fit]` becomes the settings of `pricing/retail`, and a report.

use crate::sales::{self, FitSettings, SalesTable, UnitsAs, median};
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::demand::forecast::{self, Comparison};
use agon_agents::demand::models::{self, Drawn, Form};
use agon_agents::demand::{self, DemandError, Fit, Method, PriceEffect};
use agon_core::settings::Issue;
use agon_envs::pricing::logit::{Logit, Week};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What was fitted, in words and as data.
#[derive(Debug)]
pub struct Report {
    /// For people.
    pub lines: Vec<String>,
    /// For `fit.json`.
    pub json: Value,
    /// Why it is no basis for prices, if it is none.
    pub doubt: Option<String>,
}

/// The table that a scenario's `[fit]` names, beside the scenario.
pub fn data_of(scenario: &Path, source: &Source, settings: &FitSettings) -> Outcome<PathBuf> {
    let data = scenario.parent().unwrap_or(Path::new(".")).join(&settings.data);
    if settings.data.is_empty() || !data.exists() {
        let message = format!("no file at {}", data.display());
        return Err(source.wrong(&[Issue::value("data", message).within("fit")]));
    }
    Ok(data)
}

/// Reads sales, and refuses tables whose columns seem to be mixed up.
pub fn read(path: &Path, settings: &FitSettings) -> Outcome<SalesTable> {
    let table = sales::read(path, settings)?;
    match swapped(&table, settings).or_else(|| below_cost(&table, settings)) {
        Some(why) => Err(Failure::Input(format!("{}: {why}", path.display()))),
        None => Ok(table),
    }
}

/// Reads sales, estimates demand, and fills in whatever of the market's settings the scenario leaves open.
pub fn fill(path: &Path, settings: &FitSettings, env: &mut Map<String, Value>) -> Outcome<Report> {
    let table = sales::read(path, settings)?;
    let wrong = |why: String| Failure::Input(format!("{}: {why}", path.display()));
    if let Some(why) = swapped(&table, settings)
        .or_else(|| still(&table, settings, env))
        .or_else(|| at_a_loss(&table, settings, env))
        .or_else(|| below_cost(&table, settings))
    {
        return Err(wrong(why));
    }
    let comparison = forecast::compare(&table.sales, &table.weeks);
    let (settings, fit) = choose(&table, settings, comparison.as_ref()).map_err(|e| wrong(e.to_string()))?;
    let settings = &settings;
    let names = &table.sales.names;
    let upward: Vec<String> = fit.wrong_prices(names).map(|(name, b)| format!("{name} ({b})")).collect();
    if !upward.is_empty() {
        let how = "no best price exists for them; try price_effect = \"common\", method = \"maximum-likelihood\", or leave them out with `products`";
        return Err(wrong(format!("sales would rise with the price of {}: {how}", upward.join(", "))));
    }
    if let Some(why) = too_large(&table, settings, &fit) {
        return Err(wrong(why));
    }
    let list = |values: &[f64]| Value::from(values.to_vec());
    let values = |all: &[demand::Estimate]| all.iter().map(|e| e.value).collect::<Vec<f64>>();
    // Prices that were never tried say nothing: the market's bounds are the range seen.
    let bound = |pick: fn(f64, f64) -> f64| -> Vec<f64> {
        let column = |k: usize| table.sales.prices.iter().map(move |week| week[k]);
        (0..names.len()).map(|k| column(k).reduce(pick).unwrap_or(0.0)).collect()
    };
    let found = [
        ("names", json!(names)),
        ("intercepts", list(&values(&fit.intercepts))),
        ("price_effects", list(&values(&fit.price_effects))),
        ("display_effects", list(&vec![fit.display_effect.value; names.len()])),
        ("low", list(&bound(f64::min))),
        ("high", list(&bound(f64::max))),
        ("costs", json!(table.costs)),
        ("displays", json!(table.sales.displays)),
        ("customers", json!(table.sales.customers)),
        ("charged", json!(table.sales.prices)),
        ("week_numbers", json!(table.weeks)),
    ];
    let (method, effect) = chosen(settings);
    let sizes = market_sizes(&table, settings, method, effect);
    if !["intercepts", "price_effects", "display_effects"].iter().any(|key| env.contains_key(*key)) {
        let count = env.get("draws").and_then(Value::as_u64).filter(|n| (1..=10_000).contains(n)).unwrap_or(DRAWS);
        let drawn = models::draws(&table.sales, method, effect, count as usize, SEED);
        let column = |of: fn(&Drawn) -> &Vec<f64>| drawn.iter().map(|d| of(d).clone()).collect::<Vec<_>>();
        let displays: Vec<_> = drawn.iter().map(|d| vec![d.display_effect; names.len()]).collect();
        env.entry("drawn_intercepts").or_insert(json!(column(|d| &d.intercepts)));
        env.entry("drawn_price_effects").or_insert(json!(column(|d| &d.price_effects)));
        env.entry("drawn_display_effects").or_insert(json!(displays));
    }
    for (key, value) in found {
        env.entry(key).or_insert(value);
    }
    let doubt = comparison.as_ref().and_then(|c| {
        let row = c.of(method, effect)?;
        let unbeaten = c.unbeaten(row);
        let rivals = unbeaten.join(" and ");
        (!unbeaten.is_empty())
            .then(|| format!("WARNING: the fitted demand forecasts no better than {rivals}: it is no basis for prices"))
    });
    let mut json = as_json(settings, &table, &fit);
    json["forecasts"] = comparison.as_ref().map_or(Value::Null, Comparison::json);
    json["doubt"] = json!(doubt);
    let mut lines = lines(path, settings, &table, &fit);
    lines.splice(..0, doubt.clone());
    match &comparison {
        Some(comparison) => lines.extend(comparison.lines(names)),
        None => {
            lines.push("  note: too few weeks to compare forecasts: nobody knows whether demand is described".into());
        }
    }
    lines.extend(sizes);
    Ok(Report { lines, json, doubt })
}

/// Where nobody counted customers: what other guesses of their number would say.
fn market_sizes(table: &SalesTable, settings: &FitSettings, method: Method, effect: PriceEffect) -> Vec<String> {
    if !settings.customers.is_empty() || settings.units_as == UnitsAs::Share {
        return Vec::new();
    }
    let n = table.products.len();
    let rows = table.sales.customers.len();
    let bound = |pick: fn(f64, f64) -> f64| -> Vec<f64> {
        (0..n).map(|k| table.sales.prices.iter().map(|week| week[k]).reduce(pick).unwrap_or(0.0)).collect()
    };
    let (low, high) = (bound(f64::min), bound(f64::max));
    let guess = settings.market_size;
    let mut lines = vec![format!(
        "  customers are a guess, {guess} times the largest week; the same by other guesses (market_size):"
    )];
    for size in [1.2, 2.0, 5.0, 20.0] {
        let mut sales = table.sales.clone();
        sales.customers.iter_mut().for_each(|c| *c *= size / guess);
        let found = demand::fit(&sales, method, effect).ok().filter(|f| f.wrong_prices(&sales.names).next().is_none());
        let Some(fit) = found else {
            lines.push(format!("    {size:>4} times: demand cannot be estimated"));
            continue;
        };
        let values = |all: &[demand::Estimate]| all.iter().map(|e| e.value).collect::<Vec<f64>>();
        let logit = Logit {
            intercepts: values(&fit.intercepts),
            price_effects: values(&fit.price_effects),
            display_effects: vec![fit.display_effect.value; n],
        };
        let (mut best, mut charged, mut dearer, mut prices) = (0.0, 0.0, 0.0, vec![0.0; n]);
        for t in 0..rows {
            let (costs, displays) = (&table.costs[t][..], &sales.displays[t][..]);
            let week = Week { costs, displays, customers: sales.customers[t], outside: 1.0, added: &[] };
            best += week.customers * logit.optimum(week, &low, &high, &mut prices);
            charged += week.customers * logit.profit(week, &sales.prices[t]);
            dearer += prices.iter().zip(&sales.prices[t]).map(|(p, c)| p / c - 1.0).sum::<f64>() / (n * rows) as f64;
        }
        let elasticity = values(&fit.elasticities).iter().sum::<f64>() / n as f64;
        let lift =
            if charged > 0.0 { format!("{:+.1} %", 100.0 * (best / charged - 1.0)) } else { "from a loss".into() };
        lines.push(format!(
            "    {size:>4} times: mean elasticity {elasticity:.2}, best prices {:+.1} % on average, profit {lift}",
            100.0 * dearer
        ));
    }
    lines
}

/// Demands drawn for the error of estimation, where the scenario does not say how many.
const DRAWS: u64 = 200;
/// Their seed: the same table gives the same draws.
const SEED: u64 = 1_000_003;

/// How demand is estimated, once it is chosen.
fn chosen(settings: &FitSettings) -> (Method, PriceEffect) {
    (settings.method.unwrap_or(Method::Likelihood), settings.price_effect.unwrap_or(PriceEffect::ByProduct))
}

/// Fits as the settings say, or, where they do not, as forecasts best among what a market can be made of: price effects
/// must be positive. The settings come back with what was chosen.
fn choose(
    table: &SalesTable,
    settings: &FitSettings,
    comparison: Option<&Comparison>,
) -> Result<(FitSettings, Fit), DemandError> {
    let fitted = |method, effect| {
        let of = FitSettings { method: Some(method), price_effect: Some(effect), ..settings.clone() };
        demand::fit(&table.sales, method, effect).map(|fit| (of, fit))
    };
    if settings.method.is_none() {
        let fits = |effect: PriceEffect| settings.price_effect.is_none_or(|wanted| wanted == effect);
        for (method, effect) in comparison.into_iter().flat_map(Comparison::logits).filter(|(_, e)| fits(*e)) {
            match fitted(method, effect) {
                Ok((of, fit)) if fit.wrong_prices(&table.sales.names).next().is_none() => return Ok((of, fit)),
                _ => {}
            }
        }
    }
    let (method, effect) = chosen(settings);
    fitted(method, effect)
}

/// Why units and prices seem to be in each other's columns: numbers under `units` would be prices at such costs, and
/// those under `price` would not, or are whole where everything else about money is not.
fn swapped(table: &SalesTable, settings: &FitSettings) -> Option<String> {
    if settings.cost.is_empty() {
        return None; // costs follow prices there
    }
    let column = |list: &[Vec<f64>], k: usize| list.iter().map(|week| week[k]).collect::<Vec<f64>>();
    let whole = |list: &[f64]| list.iter().all(|x| x.fract() == 0.0);
    // The spread beside the mean.
    let spread = |list: &[f64]| {
        let mean = list.iter().sum::<f64>() / list.len() as f64;
        (list.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / list.len() as f64).sqrt() / mean
    };
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
    let how = format!("set units = {:?} and price = {:?} in the scenario's [fit]", settings.price, settings.units);
    Some(format!(
        "units and prices of {name} seem to be swapped: beside its costs in `{cost}`, numbers in `{units}` are those of \
         a price and numbers in `{price}` are not; {how}, or correct the table"
    ))
}

/// Why prices and costs seem to be in each other's columns: hardly a shop sells below cost in most weeks.
fn below_cost(table: &SalesTable, settings: &FitSettings) -> Option<String> {
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
fn still(table: &SalesTable, settings: &FitSettings, env: &Map<String, Value>) -> Option<String> {
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
fn at_a_loss(table: &SalesTable, settings: &FitSettings, env: &Map<String, Value>) -> Option<String> {
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
fn too_large(table: &SalesTable, settings: &FitSettings, fit: &Fit) -> Option<String> {
    let range = 1e-9..=1e9;
    for (k, product) in table.products.iter().enumerate() {
        for (pattern, list) in [(&settings.price, &table.sales.prices), (&settings.cost, &table.costs)] {
            if let Some(week) = list.iter().find(|week| week[k] > *range.end()) {
                let column = pattern.replace("{}", product);
                return Some(format!("column `{column}` holds {:e}, above 1e9: give money in a larger unit", week[k]));
            }
        }
        let b = fit.price_effects[k];
        if !range.contains(&b.value) {
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

/// What was read, and what of it was left out.
pub fn lines_of_table(path: &Path, table: &SalesTable) -> Vec<String> {
    let mut lines = vec![format!("demand fitted from {}: {}", path.display(), table.summary)];
    lines.extend(table.left_out.iter().map(|w| format!("  left out: {w}")));
    lines.extend(table.remarks.iter().map(|w| format!("  note: {w}")));
    lines
}

fn lines(path: &Path, settings: &FitSettings, table: &SalesTable, fit: &Fit) -> Vec<String> {
    let mut lines = lines_of_table(path, table);
    let (method, effect) = chosen(settings);
    let quality = match method {
        Method::LeastSquares => format!("R² {:.3}", fit.quality),
        Method::Likelihood => format!("log-likelihood {:.6} a customer", fit.quality),
    };
    lines.push(format!(
        "  {}: {quality}; price effects and own-price elasticities (± standard errors, clustered by week):",
        forecast::name(Form::Logit(method, effect), false)
    ));
    let wide = table.sales.names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    for ((name, b), e) in table.sales.names.iter().zip(&fit.price_effects).zip(&fit.elasticities) {
        lines.push(format!("    {name:<wide$}  {b:<20} elasticity {e}"));
    }
    if !settings.display.is_empty() && fit.display_effect.value != 0.0 {
        lines.push(format!("    display effect, the same for all: {}", fit.display_effect));
    }
    lines.extend(fit.remarks.iter().map(|r| format!("  note: {r}")));
    lines
}

fn as_json(settings: &FitSettings, table: &SalesTable, fit: &Fit) -> Value {
    use agon_core::settings::{Setting, Settings};
    let remarks = [table.remarks.clone(), fit.remarks.clone()].concat();
    let all = |list: &[demand::Estimate]| list.iter().map(|e| json!([e.value, e.error])).collect::<Vec<_>>();
    json!({
        "settings": settings.write(),
        "method": chosen(settings).0.to_value(),
        "products": table.sales.names,
        "rows": table.sales.labels,
        "weeks_kept": table.weeks.len(),
        "left_out": table.left_out,
        "remarks": remarks,
        "intercepts": all(&fit.intercepts),
        "price_effects": all(&fit.price_effects),
        "elasticities": all(&fit.elasticities),
        "display_effect": [fit.display_effect.value, fit.display_effect.error],
        "quality": fit.quality,
        "gradient": fit.gradient,
    })
}
