//! Pictures of a demand that was fitted to a table of sales: units by price with the table's rows, and elasticities.

use crate::market::Report;
use agon_agents::demand::Sales;
use agon_core::graph::{Band, Curve, Graph};
use agon_core::plot::{Body, MOST_POINTS, Plot, Table};
use agon_core::scene::significant;
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
    let graph = |(k, name): (usize, &String)| {
        let rows = || (0..sales.units.len()).filter(|t| sales.present(*t, k));
        let (low, high) = rows().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), t| {
            (low.min(sales.prices[t][k]), high.max(sales.prices[t][k]))
        });
        let prices: Vec<f64> = (0..PRICES)
            .map(|i| low + (high - low) * i as f64 / (PRICES - 1) as f64)
            .filter(|p| p.is_finite())
            .collect();
        let units = demands.curve(market, k, &prices);
        let by_price = || prices.iter().map(|price| *price as f32).zip(&units);
        let every = sales.units.len().div_ceil(MOST_POINTS).max(1);
        let point = |t: usize| [sales.prices[t][k] as f32, sales.units[t][k] as f32];
        let band = by_price().map(|(price, [_, low, high])| [price, *low as f32, *high as f32]);
        Graph {
            name: name.clone(),
            axes: ["price [$]", "units a week"].map(String::from),
            band: drawn.then(|| Band { name: "95 % of the draws".into(), at: band.collect() }),
            lines: vec![Curve {
                name: "fitted, all else at its mean".into(),
                at: by_price().map(|(price, [mean, ..])| [price, *mean as f32]).collect(),
            }],
            points: Some(Curve { name: "weeks".into(), at: rows().step_by(every).map(point).collect() }),
            ..Graph::default()
        }
    };
    let graphs: Vec<Graph> = sales.names.iter().enumerate().map(graph).collect();
    Some(Plot { title: "demand".into(), body: Body::Graphs { graphs } })
}

/// An elasticity and its interval as cells of a table; `[value, standard error, low, high]` in the report.
fn cells(cell: &Value) -> [String; 3] {
    let number = |i: usize| cell[i].as_f64().map_or("–".into(), |x| significant(x, 3));
    [number(0), number(2), number(3)]
}

/// The table of elasticities of a fit's report: own ones, and those by the prices of others where there are few products.
fn elasticities(fit: &Value) -> Vec<Plot> {
    let names: Vec<&str> = fit["products"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let row = |name: &str, cell: &Value| -> Vec<String> {
        let [value, low, high] = cells(cell);
        vec![name.to_owned(), value, low, high]
    };
    let head = |first: &str| [first, "elasticity", "from", "to (95 %)"].map(String::from).to_vec();
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
