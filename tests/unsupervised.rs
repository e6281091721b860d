//! From a CSV file without a target to clusters, components and unusual rows, through the program.

mod common;

use common::{agon, told};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use std::process::Output;

/// Two kinds of customers, one of them old and rich, and one row on line 51 that is neither.
fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "age,income,city\n".to_owned();
    for row in 0..200u32 {
        let noise =
            |k: u32| f64::from(row.wrapping_mul(2_654_435_761).wrapping_add(k * 97_003_331) >> 9 & 0xfff) / 4095.0;
        let (age, income) = if row % 4 == 0 { (60.0, 90.0) } else { (25.0, 20.0) };
        let (age, income) = if row == 49 { (25.0, 900.0) } else { (age + 6.0 * noise(1), income + 10.0 * noise(2)) };
        let city = if noise(3) < 0.5 { "north" } else { "south" };
        let _ = writeln!(text, "{age:.1},{income:.1},{city}");
    }
    std::fs::write(folder.path().join("customers.csv"), text).unwrap();
    folder
}

fn train(place: &Path, model: &str, more: &[&str]) -> Output {
    agon(place, &[&["train", "--data", "customers.csv", "--model", model, "--ui", "plain"], more].concat())
}

#[test]
fn two_commands_lead_from_a_table_to_clusters() {
    let place = place();
    let said = told(&train(place.path(), "gmm", &["--set", "model.clusters=3", "--set", "model.covariance=diag"]), 0);
    for wanted in [
        "no target",
        "3 clusters in customers.csv",
        "negative log likelihood",
        "income",
        "fits from different starts agree",
    ] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    std::fs::write(place.path().join("new.csv"), "income,city,age\n95,north,62\n25,south,27\n").unwrap();
    let out = agon(place.path(), &["predict", "runs/tables/customers/001", "--data", "new.csv"]);
    told(&out, 0);
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        lines[0],
        ["income", "city", "age", "cluster", "p(cluster)", "anomaly score", "share of training rows below"]
    );
    assert!(lines[1][3] != lines[2][3] && lines[1][4].parse::<f64>().unwrap() > 0.9, "{text}");
    let eval = agon(place.path(), &["eval", "runs/tables/customers/001", "--json"]);
    told(&eval, 0);
    let found: Value = serde_json::from_slice(&eval.stdout).unwrap();
    let saved: Value =
        serde_json::from_slice(&std::fs::read(place.path().join("runs/tables/customers/001/evaluation.json")).unwrap())
            .unwrap();
    assert_eq!(saved["metrics"], found["metrics"]);
    assert_eq!(saved["details"]["clusters"], found["details"]["clusters"]);
}

/// Every model trains, reads new rows, and its scenario does the same again, to the bit.
#[test]
fn every_model_goes_through_the_program() {
    let place = place();
    for model in ["kmeans", "hdbscan", "pca", "isolation-forest", "mahalanobis", "autoencoder", "vae"] {
        let latent = ["--set", "model.latent=2", "--set", "train.steps=3"];
        let more: &[&str] = if ["autoencoder", "vae"].contains(&model) { &latent } else { &[] };
        let said = told(&train(place.path(), model, &[more, &["--out", model]].concat()), 0);
        let again = format!("{model}-again");
        told(&agon(place.path(), &["train", &format!("{model}/scenario.toml"), "--ui", "plain", "--out", &again]), 0);
        let read = |run: &str| std::fs::read(place.path().join(run).join("evaluation.json")).unwrap();
        assert_eq!(read(model), read(&again), "{model}");
        let out = agon(place.path(), &["predict", model, "--data", "customers.csv"]);
        told(&out, 0);
        let text = String::from_utf8(out.stdout).unwrap();
        let score = |line: &str| line.split(',').rev().nth(1).unwrap().parse::<f64>().unwrap();
        let scores: Vec<f64> = text.lines().skip(1).map(score).collect();
        if ["isolation-forest", "mahalanobis", "hdbscan"].contains(&model) {
            assert!(scores.iter().all(|s| *s <= scores[49]), "{model}: {text}");
            assert!(said.contains("line      51"), "{model}: {said}");
        }
    }
}

/// Every row has a place on the map by its line, the run has a picture of it, and nothing else can be asked of it.
#[test]
fn a_map_has_every_row_and_no_other() {
    let place = place();
    let folder = place.path().join("map");
    let more = ["--set", "model.perplexity=10", "--set", "train.steps=300", "--target", "city", "--out", "map"];
    let said = told(&train(place.path(), "tsne", &more), 0);
    for wanted in ["a map of the 200 rows of customers.csv", "kl divergence", "trustworthiness", "coordinates.csv"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let coordinates = read("coordinates.csv");
    let lines: Vec<Vec<f64>> =
        coordinates.lines().skip(1).map(|line| line.split(',').map(|x| x.parse().unwrap()).collect()).collect();
    assert!(coordinates.starts_with("line,x,y\n") && lines.len() == 200);
    assert!(lines.iter().zip(2..).all(|(line, number)| line[0] == f64::from(number) && line[1].is_finite()));
    let plots: Value = serde_json::from_str(&read("plot.json")).unwrap();
    let plot = &plots[0];
    assert_eq!(plot["title"], "rows by class");
    assert_eq!((plot["body"]["kind"].as_str(), plot["body"]["at"].as_array().unwrap().len()), (Some("points"), 200));
    assert_eq!(plot["body"]["groups"], serde_json::json!(["north", "south"]));
    let near = |x: &Value, wanted: f64| (x.as_f64().unwrap() - wanted).abs() < 1e-4 * wanted.abs().max(1.0);
    assert!(near(&plot["body"]["at"][7][0], lines[7][1]) && near(&plot["body"]["at"][7][1], lines[7][2]));
    told(&agon(place.path(), &["report", "map"]), 0);
    assert!(read("report.html").matches("<circle").count() >= 200);
    let eval = agon(place.path(), &["eval", "map", "--json"]);
    told(&eval, 0);
    let found: Value = serde_json::from_slice(&eval.stdout).unwrap();
    let saved: Value = serde_json::from_str(&read("evaluation.json")).unwrap();
    assert_eq!(saved["metrics"], found["metrics"]);
    let said = told(&agon(place.path(), &["predict", "map", "--data", "customers.csv"]), 2);
    assert!(said.contains("has no map for others") && said.contains("pca or autoencoder"), "{said}");
    let said = told(&train(place.path(), "tsne", &["--set", "model.perplexity=199"]), 2);
    assert!(said.contains("perplexity"), "{said}");
}

/// Rows of the table are read back at their places, and a new row has one amid those that are like it.
#[test]
fn a_umap_has_places_for_new_rows() {
    let place = place();
    let said = told(&train(place.path(), "umap", &["--set", "train.steps=100", "--target", "city", "--out", "map"]), 0);
    for wanted in ["UMAP: a map of the 200 rows", "cross entropy", "trustworthiness", "agon predict map"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let numbers = |text: &str| -> Vec<[f64; 2]> {
        let pair = |line: &str| {
            let mut cells = line.rsplit(',').map(|x| x.parse().unwrap());
            let y = cells.next().unwrap();
            [cells.next().unwrap(), y]
        };
        text.lines().skip(1).map(pair).collect()
    };
    let places = numbers(&std::fs::read_to_string(place.path().join("map/coordinates.csv")).unwrap());
    let placed = |file: &str| {
        let out = agon(place.path(), &["predict", "map", "--data", file]);
        told(&out, 0);
        String::from_utf8(out.stdout).unwrap()
    };
    let text = placed("customers.csv");
    assert!(text.starts_with("age,income,city,x,y\n"), "{text}");
    // Of equal rows the first says the place.
    let (lines, found): (Vec<&str>, _) = (text.lines().skip(1).collect(), numbers(&text));
    let equal = |a: &str, b: &str| a.split(',').take(2).eq(b.split(',').take(2));
    let first = |row: usize| lines.iter().position(|&line| equal(line, lines[row])).unwrap();
    assert_eq!((0..200).filter(|row| found[*row] == places[first(*row)]).count(), 200);
    std::fs::write(place.path().join("new.csv"), "income,city,age\n94.21,north,62.37\n24.03,south,27.86\n").unwrap();
    let found = numbers(&placed("new.csv"));
    let group = |at: &[f64; 2]| {
        let far = |row: &usize| (places[*row][0] - at[0]).hypot(places[*row][1] - at[1]);
        (0..200).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap() % 4 == 0
    };
    assert_eq!((group(&found[0]), group(&found[1])), (true, false), "{found:?}");
    let said = told(&train(place.path(), "umap", &["--set", "model.neighbours=201"]), 2);
    assert!(said.contains("neighbours"), "{said}");
    let said = told(&train(place.path(), "umap", &["--set", "model.min_dist=0.2"]), 2);
    assert!(said.contains("did you mean `min_distance`?"), "{said}");
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let place = place();
    let none = told(&agon(place.path(), &["train", "--data", "customers.csv", "--ui", "plain"]), 2);
    assert!(none.contains("--target COLUMN, one of: age, income, city") && none.contains("kmeans, gmm"), "{none}");
    for (model, more, why) in [
        ("kmean", &[][..], "no model is called `kmean`, did you mean `kmeans`?"),
        ("boosting", &[], "--data needs --target"),
        ("kmeans", &["--set", "model.clusters=500"], "500 clusters of 140 training rows cannot be"),
        ("kmeans", &["--set", "model.cluster=3"], "did you mean `clusters`?"),
        ("autoencoder", &["--set", "model.latent=50"], "is more than the"),
        ("pca", &["--set", "data.drop=[\"age\",\"income\",\"city\"]"], "no column is left"),
    ] {
        let said = told(&train(place.path(), model, more), 2);
        assert!(said.contains(why), "{model}: {said}");
    }
    told(&train(place.path(), "pca", &["--out", "run"]), 0);
    std::fs::write(place.path().join("new.csv"), "age,city\n1,north\n").unwrap();
    let said = told(&agon(place.path(), &["predict", "run", "--data", "new.csv"]), 2);
    assert!(said.contains("the column `income` of the training table cannot be found"), "{said}");
}
