//! What a search among models of tables tries: the families, and settings of each drawn at random.

use super::super::Shape;
use super::super::family::{BOOSTING, FOREST, Family, LINEAR, LOGISTIC, MLP, REALMLP, TABM};
use agon_core::rng::{Rng, Stream};
use serde_json::Value;
use serde_json::{Map, json};

/// The families that are searched.
pub const SEARCHED: [(&str, Family); 7] = [
    ("linear", LINEAR),
    ("logistic", LOGISTIC),
    ("boosting", BOOSTING),
    ("forest", FOREST),
    ("realmlp", REALMLP),
    ("tabm", TABM),
    ("mlp", MLP),
];

/// The lane of the random numbers behind settings.
const SETTINGS: u32 = u32::MAX - 4;

/// What is tried in this place: a family and its settings. First the defaults of each family, the quickest first.
pub fn drawn(shape: Shape, place: usize, rows: usize) -> (&'static str, Map<String, Value>) {
    let flat = if shape.classes > 0 { "logistic" } else { "linear" };
    let defaults = [flat, "boosting", "forest", "realmlp", "tabm", "mlp"];
    let later = ["boosting", "forest", "tabm", "boosting", "realmlp", "boosting", flat, "forest", "mlp"];
    let drawn = place.checked_sub(defaults.len());
    let kind = drawn.map_or(defaults[place.min(defaults.len() - 1)], |i| later[i % later.len()]);
    let mut rng = Rng::at_step(shape.seed, Stream::Weights, SETTINGS, place as u64);
    let mut log = |low: f64, high: f64| {
        let x = (low.ln() + rng.f64() * (high / low).ln()).exp();
        // Three digits, as people write numbers.
        format!("{x:.2e}").parse::<f64>().unwrap_or(x)
    };
    let scaling = ["quantile", "standard"][place % 2];
    let hidden = vec![[64, 128, 256][place % 3]; 2];
    let categories = ["native", "one-hot"][place / 2 % 2];
    // A forest of many rows with leaves of one would be larger than the table.
    let leaf_rows = rows.div_ceil(2000).max(1);
    let (minibatch, smoothing) = ([64, 128, 256][place / 3 % 3], [0.0, 0.1][place / 2 % 2]);
    let settings = match (drawn.is_some(), kind) {
        (false, "boosting") => json!({"patience": 50, "categories": "native"}),
        (false, "forest") => json!({"leaf_rows": leaf_rows}),
        (false, _) => json!({}),
        (true, "boosting") => json!({
            "learning_rate": log(0.02, 0.2),
            "leaves": log(4.0, 96.0).round() as u64,
            "leaf_rows": log(3.0, 100.0).round() as u64,
            "l2": log(1e-3, 30.0),
            "rows": log(0.5, 1.0),
            "columns": log(0.2, 1.0),
            "categories": categories,
            "patience": 50,
        }),
        (true, "forest") => json!({
            "leaf_rows": (leaf_rows as f64 * log(1.0, 16.0)).round() as u64,
            "columns": log(0.1, 0.9),
            "categories": categories,
        }),
        (true, "linear" | "logistic") => json!({"l2": log(1e-2, 1e3), "scaling": scaling}),
        (true, "mlp") => json!({
            "hidden": hidden,
            "learning_rate": log(3e-4, 3e-3),
            "weight_decay": log(1e-4, 1.0),
            "dropout": log(0.02, 0.5),
            "scaling": scaling,
        }),
        (true, "tabm") => json!({
            "hidden": hidden,
            "learning_rate": log(5e-4, 5e-3),
            "weight_decay": log(1e-4, 0.1),
            "dropout": log(0.02, 0.5),
            "minibatch": minibatch,
        }),
        (true, _) => json!({
            "hidden": vec![[256, 128][place % 2]; 3],
            "learning_rate": log(0.02, 0.3),
            "dropout": log(0.03, 0.4),
            "label_smoothing": smoothing,
            "weight_decay": log(2e-3, 0.1),
        }),
    };
    (kind, settings.as_object().cloned().unwrap_or_default())
}
