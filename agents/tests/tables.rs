//! Models of tables against scikit-learn on the same rows (tests/golden/tables.py).

use agon_agents::agent::NEVER;
use agon_agents::data::encode::{Encoder, Scaling};
use agon_agents::data::{Column, Kind, Values};
use agon_agents::supervised::calibration::Calibration;
use agon_agents::supervised::family::{BOOSTING, Family, LINEAR, LOGISTIC, MLP};
use agon_agents::supervised::scores::Judged;
use agon_agents::supervised::{Examples, Learner, Shape};
use serde_json::{Value, json};

fn golden() -> Value {
    let text = std::fs::read_to_string("../tests/golden/tables.json").unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["tables"].take()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Training, validation and test part of a table, scaled by the first.
fn parts(table: &Value, scaling: Scaling) -> [Examples; 3] {
    let (x, y): (Vec<Vec<f64>>, Vec<f64>) =
        (table["x"].as_array().unwrap().iter().map(numbers).collect(), numbers(&table["y"]));
    let column = |k: usize| Column {
        name: k.to_string(),
        kind: Kind::Number,
        values: Values::Numbers(x.iter().map(|row| row[k]).collect()),
        way: None,
    };
    let columns: Vec<Column> = (0..x[0].len()).map(column).collect();
    let columns: Vec<&Column> = columns.iter().collect();
    let rows = |wanted: fn(usize) -> bool| (0..y.len()).filter(|row| wanted(row % 5)).collect::<Vec<_>>();
    let rows = [rows(|k| k < 3), rows(|k| k == 3), rows(|k| k == 4)];
    let encoder = Encoder::fit(&columns, &rows[0], scaling, false);
    let classes =
        if table["boosting"]["rmse"].is_null() { 1 + y.iter().fold(0.0, |a: f64, b| a.max(*b)) as usize } else { 0 };
    rows.map(|rows| Examples {
        x: encoder.encode(&columns, &rows).0,
        y: rows.iter().map(|row| y[*row]).collect(),
        classes,
    })
}

fn trained(family: Family, settings: &Value, [train, validation, _]: &[Examples; 3], steps: u64) -> Box<dyn Learner> {
    let shape = Shape { inputs: train.x.width, classes: train.classes, steps, seed: 1 };
    let mut learner = (family.learner)(settings.as_object().unwrap(), shape).unwrap();
    while learner.step() < steps && !learner.finished() {
        learner.advance(train, validation, NEVER).unwrap().unwrap();
    }
    learner
}

/// Predictions of the test part, as they are.
fn predicted(learner: &dyn Learner, test: &Examples) -> Vec<f64> {
    Calibration { temperature: 1.0, margin: None }.probabilities(learner.scores(&test.x), test.classes)
}

fn close(own: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(own.len(), theirs.len(), "{what}");
    // A probability near 0 is compared beside 1: its logarithm is what both solve for, up to their tolerance.
    let off = own.iter().zip(theirs).map(|(a, b)| (a - b).abs() / b.abs().max(1e-3)).fold(0.0, f64::max);
    assert!(off < 1e-4, "{what}: {off:e}");
}

#[test]
fn linear_models_are_scikit_learns() {
    let table = &golden()["proline"];
    let parts = parts(table, Scaling::Standard);
    for (l2, name) in [(0.0, "least_squares"), (1.0, "ridge")] {
        let own = trained(LINEAR, &json!({"l2": l2}), &parts, 1);
        close(&predicted(&*own, &parts[2]), &numbers(&table[name]["p"]), name);
        let mut weights = numbers(&table[name]["coefficients"]);
        weights.push(table[name]["intercept"].as_f64().unwrap());
        close(&own.weights().unwrap()[0], &weights, name);
    }
}

#[test]
fn logistic_models_and_metrics_are_scikit_learns() {
    let golden = golden();
    for name in ["iris", "wine", "cancer"] {
        let theirs = &golden[name]["logistic"];
        let parts = parts(&golden[name], Scaling::Standard);
        let own = trained(LOGISTIC, &json!({}), &parts, 1);
        let p = predicted(&*own, &parts[2]);
        close(&p, &numbers(&theirs["p"]), name);
        let test = &parts[2];
        let rows: Vec<u32> = (0..test.y.len() as u32).collect();
        for metric in Judged::new(test.classes, &test.y, p).metrics(&rows, 1, None).0 {
            close(&[metric.value], &[theirs["metrics"][&metric.name].as_f64().unwrap()], &metric.name);
        }
    }
}

/// The same algorithm with the same settings: rmse and accuracy within 1 % (bins and ties differ in the last digits).
#[test]
fn boosting_is_scikit_learns() {
    let golden = golden();
    for name in ["proline", "wine", "cancer", "iris"] {
        let parts = parts(&golden[name], Scaling::Standard);
        let (own, test) = (trained(BOOSTING, &json!({"patience": 0}), &parts, 100), &parts[2]);
        let p = predicted(&*own, test);
        let rows: Vec<u32> = (0..test.y.len() as u32).collect();
        for metric in Judged::new(test.classes, &test.y, p).metrics(&rows, 1, None).0 {
            if let Some(theirs) = golden[name]["boosting"][&metric.name].as_f64() {
                println!("{name}: {} {:.6}, theirs {theirs:.6}", metric.name, metric.value);
                if metric.name != "log_loss" {
                    assert!((metric.value / theirs - 1.0).abs() < 0.01, "{name}: {} {}", metric.name, metric.value);
                }
            }
        }
    }
}

/// A perceptron is not worse than the linear model by more than a few rows, on tables where that is good.
#[test]
fn perceptrons_learn_classic_tables() {
    let golden = golden();
    for (name, least) in [("iris", 0.86), ("wine", 0.94), ("cancer", 0.95)] {
        let parts = parts(&golden[name], Scaling::Standard);
        let own = trained(MLP, &json!({}), &parts, 200);
        let test = &parts[2];
        let judged = Judged::new(test.classes, &test.y, predicted(&*own, test));
        let right = (0..test.y.len()).filter(|row| judged.guess(*row) == test.y[*row] as usize).count();
        assert!(right as f64 >= least * test.y.len() as f64, "{name}: {right} of {}", test.y.len());
    }
}
