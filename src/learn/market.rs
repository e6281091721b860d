//! From a sales table to a market: `[fit]` becomes the settings of `pricing/retail`, and a report.

mod choice;
mod refusals;

use crate::sales::{self, FitSettings, SalesTable};
use agon::scenario::Source;
use agon::{Failure, Outcome};
use agon_agents::demand::forecast::{self, Comparison};
use agon_core::settings::Issue;
use choice::Chosen;
use refusals::{at_a_loss, below_cost, still, swapped, too_large};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What was fitted, in words and as data.
#[derive(Debug)]
pub struct Report {
    /// For people.
    pub lines: Vec<String>,
    /// For `fit.json`.
    pub json: Value,
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
    for (key, value) in chosen.settings(env).into_iter().chain(found) {
        env.entry(key).or_insert(value);
    }
    let unbeaten = comparison.as_ref().and_then(|c| {
        let rivals = c.unbeaten(c.of(chosen.form, chosen.calendar)?).join(" and ");
        (!rivals.is_empty()).then(|| format!("the fitted demand forecasts no better than {rivals}"))
    });
    let unknown = "the own-price elasticity of every product may as well be zero, or has no finite best price";
    let doubts: Vec<String> = unbeaten.into_iter().chain(chosen.unknown.then(|| unknown.into())).collect();
    let doubt = (!doubts.is_empty()).then(|| format!("WARNING: {}: it is no basis for prices", doubts.join("; ")));
    let mut json = chosen.json(settings, &table);
    json["forecasts"] = comparison.as_ref().map_or(Value::Null, Comparison::json);
    json["doubt"] = json!(doubt);
    let mut lines = lines_of_table(path, &table);
    lines.extend(chosen.lines(names));
    lines.splice(..0, doubt);
    match &comparison {
        Some(comparison) => lines.extend(comparison.lines(names)),
        None => {
            lines.push("  note: too few weeks to compare forecasts: nobody knows whether demand is described".into());
        }
    }
    Ok(Report { lines, json })
}

/// What was read, and what of it was left out.
pub fn lines_of_table(path: &Path, table: &SalesTable) -> Vec<String> {
    let (kept, lost) = (table.weeks.len(), table.left_out.len());
    let mut lines = vec![format!("demand fitted from {}: {kept} weeks kept, {lost} left out", path.display())];
    lines.extend(table.left_out.iter().map(|w| format!("  left out: {w}")));
    lines.extend(table.remarks.iter().map(|w| format!("  note: {w}")));
    lines
}
