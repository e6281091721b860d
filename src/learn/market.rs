//! From a sales table to a market: `[fit]` becomes the settings of `pricing/retail`, and a report.

use crate::sales::{self, FitSettings, Table};
use agon::{Failure, Outcome};
use agon_agents::demand::{self, DemandError, Fit, Method};
use serde_json::{Map, Value, json};
use std::path::Path;

/// What was fitted, in words and as data.
#[derive(Debug)]
pub struct Report {
    /// For people.
    pub lines: Vec<String>,
    /// For `fit.json`.
    pub json: Value,
}

/// Reads sales, estimates demand, and fills in whatever of the market's settings the scenario leaves open.
pub fn fill(path: &Path, settings: &FitSettings, env: &mut Map<String, Value>) -> Outcome<Report> {
    let table = sales::read(path, settings)?;
    let fit = demand::fit(&table.sales, settings.method, settings.price_effect)
        .map_err(|e| match e {
            DemandError::NoSales { week, name } => {
                let how = "and least squares needs the logarithm: use maximum-likelihood";
                format!("{}: no sales of {name}, {how}", table.places[week - 1])
            }
            other => other.to_string(),
        })
        .map_err(|e| Failure::Input(format!("{}: {e}", path.display())))?;
    let names = &table.sales.names;
    let wrong: Vec<String> = fit.wrong_prices(names).map(|(name, b)| format!("{name} ({:.3})", b.value)).collect();
    if !wrong.is_empty() {
        let how = "no best price exists for them; try price_effect = \"common\", method = \"maximum-likelihood\", or leave them out with `products`";
        let message = format!("{}: sales would rise with the price of {}: {how}", path.display(), wrong.join(", "));
        return Err(Failure::Input(message));
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
    for (key, value) in found {
        env.entry(key).or_insert(value);
    }
    Ok(Report { lines: lines(path, settings, &table, &fit), json: as_json(settings, &table, &fit) })
}

fn lines(path: &Path, settings: &FitSettings, table: &Table, fit: &Fit) -> Vec<String> {
    let (kept, lost) = (table.weeks.len(), table.left_out.len());
    let mut lines = vec![format!("demand fitted from {}: {kept} weeks kept, {lost} left out", path.display())];
    lines.extend(table.left_out.iter().map(|w| format!("  left out: {w}")));
    lines.extend(table.remarks.iter().map(|w| format!("  note: {w}")));
    let quality = match settings.method {
        Method::LeastSquares => format!("R² {:.3}", fit.quality),
        Method::Likelihood => format!("log-likelihood {:.6} a customer", fit.quality),
    };
    lines.push(format!("  {quality}; price effects (± week-clustered errors):"));
    for (name, b) in table.sales.names.iter().zip(&fit.price_effects) {
        lines.push(format!("    {name:<12} {:>8.3} ± {:.3}", b.value, b.error));
    }
    lines.extend(fit.remarks.iter().map(|r| format!("  note: {r}")));
    lines
}

fn as_json(settings: &FitSettings, table: &Table, fit: &Fit) -> Value {
    use agon_core::settings::{Setting, Settings};
    let remarks = [table.remarks.clone(), fit.remarks.clone()].concat();
    let all = |list: &[demand::Estimate]| list.iter().map(|e| json!([e.value, e.error])).collect::<Vec<_>>();
    json!({
        "settings": settings.write(),
        "method": settings.method.to_value(),
        "products": table.sales.names,
        "weeks_kept": table.weeks.len(),
        "left_out": table.left_out,
        "remarks": remarks,
        "intercepts": all(&fit.intercepts),
        "price_effects": all(&fit.price_effects),
        "display_effect": [fit.display_effect.value, fit.display_effect.error],
        "quality": fit.quality,
        "gradient": fit.gradient,
    })
}
