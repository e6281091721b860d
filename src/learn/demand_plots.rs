//! Pictures of a demand that was fitted to a table of sales: units by price with the table's rows, and elasticities.

use crate::market::Report;
use agon_agents::demand::Sales;
use agon_core::graph::{Band, Curve, Graph};
use agon_core::plot::{Body, MOST_POINTS, Plot, Table};
use agon_core::scene::digits;
use agon_core::settings::Settings;
use agon_envs::pricing::retail::{Demands, RetailSettings};
use serde_json::{Map, Value};

/// Prices at which a curve is computed.
const PRICES: usize = 40;
/// With more products nobody reads how each price works on the sales of each other product.
const MOST_CROSSED: usize = 8;

/// What a market's demand looks like. `env`: the settings of `pricing/retail` that the fit filled in.
pub fn of(report: &Report, env: &Map<String, Value>) -> Vec<Plot> {
    let curves = RetailSettings::read(env).ok().and_then(|market| curves(&market, &report.sales));
    curves.into_iter().chain(elasticities(&report.json)).collect()
}

/// Units by price of each product, with the band of the draws, beside the table's rows.
fn curves(market: &RetailSettings, sales: &Sales) -> Option<Plot> {
    let demands = Demands::of(market).ok()?;
    let drawn = !market.drawn_intercepts.is_empty();
    let rows = |k: usize| (0..sales.units.len()).filter(move |t| sales.present(*t, k));
    let between = |k: usize| -> Vec<f64> {
        let (low, high) = rows(k).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), t| {
            (low.min(sales.prices[t][k]), high.max(sales.prices[t][k]))
        });
        let price = |i: usize| low + (high - low) * i as f64 / (PRICES - 1) as f64;
        (0..PRICES).map(price).filter(|price| price.is_finite()).collect()
    };
    let prices: Vec<Vec<f64>> = (0..sales.names.len()).map(between).collect();
    let units = demands.curves(market, &prices);
    let graph = |(k, name): (usize, &String)| {
        let by_price = || prices[k].iter().map(|price| *price as f32).zip(&units[k]);
        let every = sales.units.len().div_ceil(MOST_POINTS).max(1);
        let point = |t: usize| [sales.prices[t][k] as f32, sales.units[t][k] as f32];
        let band = by_price().map(|(price, [_, low, high])| [price, *low as f32, *high as f32]);
        Graph {
            name: name.clone(),
            axes: ["price [$]", "units a week"].map(String::from),
            band: drawn.then(|| Band { name: "95 % of the draws".into(), at: band.collect() }),
            lines: vec![Curve {
                name: "fitted, the rest at its mean".into(),
                at: by_price().map(|(price, [mean, ..])| [price, *mean as f32]).collect(),
            }],
            points: Some(Curve { name: "weeks".into(), at: rows(k).step_by(every).map(point).collect() }),
            ..Graph::default()
        }
    };
    let graphs: Vec<Graph> = sales.names.iter().enumerate().map(graph).collect();
    Some(Plot { title: "demand".into(), body: Body::Graphs { graphs } })
}

/// An elasticity and its interval as cells of a table; `[value, standard error, low, high]` in the report.
fn cells(cell: &Value) -> [String; 2] {
    let number = |i: usize| cell[i].as_f64().map_or("–".into(), |x| format!("{x:.*}", digits(x, 2)));
    [number(0), format!("[{}, {}]", number(2), number(3))]
}

/// The table of elasticities of a fit's report: own ones, and those by the prices of others where there are few products.
fn elasticities(fit: &Value) -> Vec<Plot> {
    let names: Vec<&str> = fit["products"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let row = |name: &str, cell: &Value| -> Vec<String> {
        let [value, interval] = cells(cell);
        vec![name.to_owned(), value, interval]
    };
    let head = |first: &str| [first, "value", "95 %"].map(String::from).to_vec();
    let table = &fit["elasticity_table"];
    if names.is_empty() || !table.is_array() {
        return Vec::new();
    }
    let rows = names.iter().enumerate().map(|(k, name)| row(name, &table[k][k])).collect();
    let own = Table { head: head("product"), rows, ..Table::default() };
    let mut plots = vec![Plot { title: "own-price elasticities".into(), body: Body::Table(own) }];
    if (2..=MOST_CROSSED).contains(&names.len()) {
        let one = |k: usize| {
            let rows = names.iter().enumerate().map(|(j, price)| row(price, &table[k][j])).collect();
            Table { name: names[k].into(), head: head("price of"), rows }
        };
        let tables = (0..names.len()).map(one).collect();
        plots.push(Plot { title: "elasticities of sales".into(), body: Body::Tables { tables } });
    }
    plots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market;
    use crate::sales::FitSettings;
    use serde_json::json;
    use std::path::Path;

    /// Real sales: the first product's curve is computed here anew from the settings that the fit filled in, by the formulas of
    /// its form; points are the table's rows; elasticities are those of the report.
    #[test]
    fn a_fitted_table_has_its_pictures() {
        let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/data/tuna.csv");
        for form in ["log-log", "logit"] {
            let fit = json!({"form": form, "calendar": false});
            let settings = FitSettings::read(fit.as_object().unwrap()).unwrap();
            let mut env = Map::new();
            let report = market::fill(&table, &settings, &mut env).unwrap();
            let plots = of(&report, &env);
            let titles: Vec<&str> = plots.iter().map(|plot| plot.title.as_str()).collect();
            assert_eq!(titles, ["demand", "own-price elasticities", "elasticities of sales"]);
            let Body::Graphs { graphs } = &plots[0].body else { panic!("demand has curves") };
            assert_eq!(graphs.len(), 7);
            let (graph, band) = (&graphs[0], graphs[0].band.as_ref().unwrap());
            let points = &graph.points.as_ref().unwrap().at;
            assert_eq!(points.len(), report.sales.units.len());
            assert_eq!(points[5], [report.sales.prices[5][0], report.sales.units[5][0]].map(|x| x as f32));

            let list = |key: &str| numbers(&env[key]);
            let mean = |key: &str, k: usize| {
                let rows = env[key].as_array().unwrap();
                rows.iter().map(|row| row[k].as_f64().unwrap()).sum::<f64>() / rows.len() as f64
            };
            let customers = list("customers").iter().sum::<f64>() / list("customers").len() as f64;
            let shown = |k: usize| list("intercepts")[k] + list("display_effects")[k] * mean("displays", k);
            for ([price, units], [_, low, high]) in graph.lines[0].at.iter().zip(&band.at) {
                let at = |k: usize| if k == 0 { f64::from(*price) } else { mean("charged", k) };
                let wanted = if form == "log-log" {
                    let own = numbers(&env["elasticities"][0]);
                    (shown(0) + (0..7).map(|k| own[k] * at(k).ln()).sum::<f64>()).exp() * customers
                } else {
                    let weight = |k: usize| (shown(k) - list("price_effects")[k] * at(k)).exp();
                    customers * weight(0) / (1.0 + (0..7).map(weight).sum::<f64>())
                };
                assert!((f64::from(*units) / wanted - 1.0).abs() < 1e-4, "{form} at {price}: {units} {wanted}");
                assert!(low <= units && units <= high, "{form} at {price}: {low} {units} {high}");
            }
            let Body::Table(own) = &plots[1].body else { panic!("own elasticities are a table") };
            let Body::Tables { tables } = &plots[2].body else { panic!("cross elasticities are tables") };
            assert_eq!((own.rows.len(), tables.len(), tables[2].rows.len()), (7, 7, 7));
            assert_eq!(own.rows[2], tables[2].rows[2]);
            let value = report.json["elasticity_table"][2][2][0].as_f64().unwrap();
            assert_eq!(own.rows[2][1], format!("{value:.2}"));
        }
    }

    fn numbers(list: &Value) -> Vec<f64> {
        list.as_array().unwrap().iter().filter_map(Value::as_f64).collect()
    }
}
