//! From a sales table to a market: `[fit]` becomes the settings of `pricing/retail`, and a report.

mod averaging;
mod choice;
#[cfg(test)]
mod coverage;
pub mod elasticities;
mod refusals;

use crate::sales::{self, FitSettings, SalesTable, UnitsAs};
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::demand::forecast::{self, Comparison};
use agon_agents::demand::models::{self, Drawn, Form};
use agon_agents::demand::{self, Estimate, Sales};
use agon_core::settings::Issue;
use agon_envs::pricing::logit::{Logit, Week};
use agon_envs::pricing::nested_logit::{Nest, NestedLogit};
use choice::Chosen;
pub use refusals::uninformative;
use refusals::{at_a_loss, below_cost, still, swapped, too_large, unusable_instruments};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What was fitted, in words and as data.
#[derive(Debug)]
pub struct Report {
    /// For people.
    pub lines: Vec<String>,
    /// For `fit.json`.
    pub json: Value,
    /// What it was fitted to.
    pub sales: Sales,
}

/// The table that a scenario's `[fit]` names, beside the scenario.
pub fn data_of(scenario: &Path, source: &Source, settings: &FitSettings) -> Outcome<PathBuf> {
    let data = scenario.parent().unwrap_or(Path::new(".")).join(&settings.data);
    if settings.data.is_empty() || !data.exists() {
        let message = format!("no file at {}", data.display());
        return Err(source.wrong(&[Issue::value("data", message).within("fit")]));
    }
    // Before the table is read its products are known if they are named.
    let mut known = if settings.names.is_empty() { settings.products.clone() } else { settings.names.clone() };
    if known.is_empty() {
        known = settings.nests.concat();
        known.sort();
        known.dedup();
    }
    sales::nests(settings, &known).map_err(|why| source.wrong(&[Issue::value("nests", why).within("fit")]))?;
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
    fill_from(path, sales::read(path, settings)?, settings, env)
}

/// The same of sales that were read from there.
pub fn fill_from(
    path: &Path,
    table: SalesTable,
    settings: &FitSettings,
    env: &mut Map<String, Value>,
) -> Outcome<Report> {
    let wrong = |why: String| Failure::Input(format!("{}: {why}", path.display()));
    if let Some(why) = swapped(&table, settings)
        .or_else(|| still(&table, settings, env))
        .or_else(|| at_a_loss(&table, settings, env))
        .or_else(|| below_cost(&table, settings))
        .or_else(|| uninformative(&table))
        .or_else(|| unusable_instruments(&table))
    {
        return Err(wrong(why));
    }
    let comparison = forecast::compare(&table.sales, &table.weeks);
    let chosen = Chosen::of(&table, settings, env, comparison.as_ref()).map_err(wrong)?;
    if let Some(why) = too_large(&table, settings, &chosen.price_effects) {
        return Err(wrong(why));
    }
    let names = &table.sales.names;
    // Prices that were never tried say nothing: the market's bounds are the range seen.
    let bound = |pick: fn(f64, f64) -> f64| -> Vec<f64> {
        let column = |k: usize| table.sales.prices.iter().map(move |week| week[k]);
        (0..names.len()).map(|k| column(k).reduce(pick).unwrap_or(0.0)).collect()
    };
    let found = [
        ("names", json!(names)),
        ("low", json!(bound(f64::min))),
        ("high", json!(bound(f64::max))),
        ("costs", json!(table.costs)),
        ("displays", json!(table.sales.displays)),
        ("customers", json!(table.sales.customers)),
        ("charged", json!(table.sales.prices)),
        ("week_numbers", json!(table.weeks)),
    ];
    let s = &table.sales;
    let others = [
        ("covariate_names", json!(s.covariate_names), s.covariate_names.is_empty()),
        ("covariates", json!(s.covariates.iter().map(|row| row.concat()).collect::<Vec<_>>()), s.covariates.is_empty()),
        ("reference_prices", json!(s.reference_prices), s.reference_prices.is_empty()),
        ("reference_memory", json!(settings.reference_memory), s.reference_prices.is_empty()),
    ];
    let others = others.into_iter().filter(|(_, _, none)| !none).map(|(key, value, _)| (key, value));
    let sizes = market_sizes(&table, settings, chosen.form);
    for (key, value) in chosen.settings(env).into_iter().chain(found).chain(others) {
        env.entry(key).or_insert(value);
    }
    let unbeaten = comparison.as_ref().and_then(|c| {
        let rivals = c.unbeaten(c.of(chosen.form, chosen.calendar)?).join(" and ");
        (!rivals.is_empty()).then(|| format!("the fitted demand forecasts no better than {rivals}"))
    });
    let unknown = "the own-price elasticity of every product may as well be zero, or has no finite best price";
    let doubts = unbeaten.into_iter().chain(chosen.unknown.then(|| unknown.into()));
    let doubts: Vec<String> = doubts.chain(chosen.too_many_effects(&table)).collect();
    let doubt = (!doubts.is_empty()).then(|| format!("WARNING: {}: it is no basis for prices", doubts.join("; ")));
    let mut json = chosen.json(settings, &table);
    json["forecasts"] = comparison.as_ref().map_or(Value::Null, Comparison::json);
    json["doubt"] = json!(doubt);
    let absent = (0..table.weeks.len()).flat_map(|t| (0..names.len()).map(move |k| (t, k)));
    json["absent"] = absent.filter(|(t, k)| !table.sales.present(*t, *k)).map(|(t, k)| json!([t, k])).collect();
    let mut lines = lines_of_table(path, &table);
    lines.extend(chosen.lines(names));
    lines.extend(first_stage(&table, chosen.calendar));
    lines.splice(..0, doubt);
    match &comparison {
        Some(comparison) => lines.extend(comparison.lines(names)),
        None => {
            lines.push("  note: too few weeks to compare forecasts: nobody knows whether demand is described".into());
        }
    }
    lines.extend(sizes);
    Ok(Report { lines, json, sales: table.sales })
}

/// How much instruments say of prices.
fn first_stage(table: &SalesTable, calendar: bool) -> Vec<String> {
    if table.sales.instruments.is_empty() {
        return Vec::new();
    }
    let numbers: Vec<f64> = table.weeks.iter().map(|week| f64::from(*week)).collect();
    let found = models::strengths(&table.sales, &numbers, calendar);
    let each = table.sales.names.iter().zip(&found).map(|(name, f)| match f {
        Some(f) => format!("{name} {f:.1}"),
        None => format!("{name} nothing"),
    });
    let each: Vec<String> = each.collect();
    let mut lines = vec![format!("  first stage, F of the instruments beside all else: {}", each.join(", "))];
    let weak = table.sales.names.iter().zip(&found).filter(|(_, f)| f.is_none_or(|f| f < models::WEAK));
    let weak: Vec<&str> = weak.map(|(name, _)| name.as_str()).collect();
    if !weak.is_empty() {
        lines.push(format!(
            "  note: below {} instruments are weak: the effects of {} are biased towards those without instruments, and \
             their intervals too narrow",
            models::WEAK,
            weak.join(", ")
        ));
    }
    lines
}

/// Where nobody counted customers: what other guesses of their number would say.
fn market_sizes(table: &SalesTable, settings: &FitSettings, form: Form) -> Vec<String> {
    if !settings.customers.is_empty() || settings.units_as == UnitsAs::Share {
        return Vec::new();
    }
    let guess = settings.market_size;
    if form.is_log_log() {
        return vec![format!(
            "  customers are a guess, {guess} times the largest week; the prices of log-log demand do not depend on it"
        )];
    }
    let n = table.products.len();
    let rows = table.sales.customers.len();
    let bound = |pick: fn(f64, f64) -> f64| -> Vec<f64> {
        (0..n).map(|k| table.sales.prices.iter().map(|week| week[k]).reduce(pick).unwrap_or(0.0)).collect()
    };
    let (low, high) = (bound(f64::min), bound(f64::max));
    let mut lines = vec![format!(
        "  customers are a guess, {guess} times the largest week; the same by other guesses (market_size):"
    )];
    for size in [1.2, 2.0, 5.0, 20.0] {
        let mut sales = table.sales.clone();
        sales.customers.iter_mut().for_each(|c| *c *= size / guess);
        let Some((demand, covariates, elasticities)) = refitted(&sales, form) else {
            lines.push(format!("    {size:>4} times: demand cannot be estimated"));
            continue;
        };
        let (mut best, mut charged, mut dearer, mut prices) = (0.0, 0.0, 0.0, vec![0.0; n]);
        for t in 0..rows {
            let (costs, displays) = (&table.costs[t][..], &sales.displays[t][..]);
            let dot = |x: &Vec<f64>| x.iter().zip(&covariates).map(|(x, effect)| x * effect).sum::<f64>();
            let added: Vec<f64> = sales.covariates.get(t).map_or(Vec::new(), |row| row.iter().map(dot).collect());
            let week = Week { costs, displays, customers: sales.customers[t], outside: 1.0, added: &added };
            best += week.customers * demand.optimum(week, &low, &high, &mut prices);
            charged += week.customers * demand.profit(week, &sales.prices[t]);
            dearer += prices.iter().zip(&sales.prices[t]).map(|(p, c)| p / c - 1.0).sum::<f64>() / (n * rows) as f64;
        }
        let elasticity = elasticities.iter().sum::<f64>() / n as f64;
        let lift =
            if charged > 0.0 { format!("{:+.1} %", 100.0 * (best / charged - 1.0)) } else { "from a loss".into() };
        lines.push(format!(
            "    {size:>4} times: mean elasticity {elasticity:.2}, best prices {:+.1} % on average, profit {lift}",
            100.0 * dearer
        ));
    }
    lines
}

/// A logit, nested or not, of other numbers of customers, effects of covariates, and its own-price elasticities; none where it
/// cannot be estimated. Pooling, the calendar and reference prices are left out: only the size of the market matters.
fn refitted(sales: &Sales, form: Form) -> Option<(NestedLogit, Vec<f64>, Vec<f64>)> {
    let (drawn, elasticities) = match form.unpooled() {
        Form::Logit(method, effect) if sales.covariates.is_empty() && sales.instruments.is_empty() => {
            let fit = demand::fit(sales, method, effect).ok()?;
            let values = |all: &[Estimate]| all.iter().map(|e| e.value).collect::<Vec<f64>>();
            let (intercepts, price_effects) = (values(&fit.intercepts), values(&fit.price_effects));
            let display_effects = vec![fit.display_effect.value; intercepts.len()];
            (Drawn { intercepts, price_effects, display_effects, ..Drawn::default() }, values(&fit.elasticities))
        }
        unpooled @ (Form::Logit(..) | Form::NestedLogit(_)) => {
            let (rows, plain) = (sales.customers.len(), Sales { reference_prices: Vec::new(), ..sales.clone() });
            let model = unpooled.fit(&plain, &vec![0.0; rows], rows, false)?;
            let mean = models::MeanWeek::of(sales);
            let own = (0..sales.names.len()).map(|k| model.elasticity(&mean, k, k).value);
            (model.coefficients(), own.collect())
        }
        Form::LogLog | Form::PooledLogLog => return None,
    };
    let nests = drawn.nest_correlation.map_or(Vec::new(), |correlation| {
        let nest = |products| Nest { products, correlation };
        sales.nests_of_several().into_iter().map(nest).collect()
    });
    let covariates = drawn.covariate_effects.first().cloned().unwrap_or_default();
    let Drawn { intercepts, price_effects, display_effects, .. } = drawn;
    let falls = price_effects.iter().all(|b| *b > 0.0);
    let logit = Logit { intercepts, price_effects, display_effects };
    falls.then(|| (NestedLogit::new(logit, nests), covariates, elasticities))
}

/// What was read, and what of it was left out.
pub fn lines_of_table(path: &Path, table: &SalesTable) -> Vec<String> {
    let mut lines = vec![format!("demand fitted from {}: {}", path.display(), table.summary)];
    lines.extend(table.left_out.iter().map(|w| format!("  left out: {w}")));
    lines.extend(table.remarks.iter().map(|w| format!("  note: {w}")));
    lines
}
