//! `agon price mixed-logit` through the binary, against pyblp (tests/golden/mixed_logit.py).

mod common;

use common::agon;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn golden() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mixed_logit.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The start of pyblp's tutorial, for tables in these files.
fn scenario(products: &str, people: &str) -> String {
    format!(
        r#"[demand]
products = "{products}"
people   = "{people}"
tastes = [
  {{ of = "1", by = "nodes0", start = 0.3302 }},
  {{ of = "prices", by = "nodes1", start = 2.4526 }},
  {{ of = "sugar", by = "nodes2", start = 0.0163 }},
  {{ of = "mushy", by = "nodes3", start = 0.2441 }},
  {{ of = "1", by = "income", start = 5.4819 }},
  {{ of = "1", by = "age", start = 0.2037 }},
  {{ of = "prices", by = "income", start = 15.8935 }},
  {{ of = "prices", by = "income_squared", start = -1.2 }},
  {{ of = "prices", by = "child", start = 2.6342 }},
  {{ of = "sugar", by = "income", start = -0.2506 }},
  {{ of = "sugar", by = "age", start = 0.0511 }},
  {{ of = "mushy", by = "income", start = 1.265 }},
  {{ of = "mushy", by = "age", start = -0.8091 }},
]
"#
    )
}

fn csv(table: &Value) -> String {
    let columns = table.as_object().unwrap();
    let cell = |x: &Value| x.as_str().map_or_else(|| x.to_string(), String::from);
    let mut text = columns.keys().cloned().collect::<Vec<_>>().join(",") + "\n";
    for row in 0..columns["market_ids"].as_array().unwrap().len() {
        text += &(columns.values().map(|column| cell(&column[row])).collect::<Vec<_>>().join(",") + "\n");
    }
    text
}

/// Twelve markets, of which two parameters are estimated; then everything that may be wrong, in words and never a panic.
#[test]
fn tables_are_read_and_mistakes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let golden = golden();
    let (products, people) = (csv(&golden["few"]["products"]), csv(&golden["few"]["people"]));
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("products.csv", &products);
    write("people.csv", &people);
    let tastes =
        "tastes = [{ of = \"1\", by = \"nodes0\", start = 0.3 }, { of = \"prices\", by = \"income\", start = 1.0 }]";
    let small = format!("[demand]\nproducts = \"products.csv\"\npeople = \"people.csv\"\n{tastes}\n");
    write("small.toml", &small);
    let out = agon(dir.path(), &["price", "mixed-logit", "small.toml", "--merge", "2=1", "--export", "out.csv"]);
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    for part in
        ["288 products in 12 markets", "prices by income", "own-price elasticities", "prices after the merger: +"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("out.csv")).unwrap().lines().count(), 289);
    // Columns are in the order of the golden file or of the alphabet.
    let without = |market: &str| {
        let kept = |line: &&str| !line.split(',').any(|cell| cell == market);
        people.lines().filter(kept).collect::<Vec<_>>().join("\n")
    };
    write("short.csv", &without("C01Q2"));
    write("ends.csv", &without("C08Q2"));
    let price = golden["few"]["products"]["prices"][0].to_string();
    let share = golden["few"]["products"]["shares"][0].to_string();
    write("zero.csv", &products.replacen(&share, "0", 1));
    write("text.csv", &products.replacen(&price, "zero", 1));
    for (args, part) in [
        (vec!["demand.people=none.csv"], "no file at"),
        (vec!["demand.people=short.csv"], "markets are in another order"),
        (vec!["demand.people=ends.csv"], "12 markets of products, and 11 of people"),
        (vec!["demand.products=text.csv"], "is no number"),
        (vec!["demand.share=share"], "did you mean `shares`?"),
        (vec!["demand.tastes=[]"], "people differ in nothing"),
        (vec!["demand.tastes=[{of=\"1\",by=\"age\"},{of=\"1\",by=\"age\"}]"], "is there twice"),
        (vec!["demand.products=zero.csv"], "market C01Q1, which begins here"),
        (vec!["demand.firm=firms"], "say firm = \"\" if there is none"),
        (vec!["demand.instruments=[\"demand_instruments0\"]"], "1 instruments are too few"),
        (vec!["demand.nothing=1"], "unknown key `nothing`"),
    ] {
        let sets: Vec<&str> = args.iter().flat_map(|set| ["--set", *set]).collect();
        let out = agon(dir.path(), &[&["price", "mixed-logit", "small.toml"][..], &sets].concat());
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.contains(part), "{args:?}: {told}");
    }
    let out = agon(dir.path(), &["price", "mixed-logit", "small.toml", "--export", "products.csv"]);
    assert!(
        out.status.code() == Some(2) && std::fs::read_to_string(dir.path().join("products.csv")).unwrap() == products
    );
    let out = agon(dir.path(), &["price", "mixed-logit", "small.toml", "--merge", "2=2"]);
    assert!(out.status.code() == Some(2) && String::from_utf8_lossy(&out.stderr).contains("name two firms"));
    let out = agon(dir.path(), &["price", "mixed-logit", "small.toml", "--merge", "2=11"]);
    assert!(out.status.code() == Some(2) && String::from_utf8_lossy(&out.stderr).contains("no firm is called `11`"));
}

/// Nevo's cereals: pyblp's estimates to 1e-4 of each, and its standard errors to 1e-3, from the tutorial's start.
#[test]
#[ignore = "needs `make data`"]
fn nevos_cereals_are_pyblps() {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/agon");
    let data = std::env::var_os("AGON_DEPS").map_or_else(home, PathBuf::from).join("data/nevo");
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| data.join(name).display().to_string();
    std::fs::write(dir.path().join("nevo.toml"), scenario(&file("products.csv"), &file("agents.csv"))).unwrap();
    let out = agon(dir.path(), &["price", "mixed-logit", "nevo.toml", "--json"]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let (found, golden) = (serde_json::from_slice::<Value>(&out.stdout).unwrap(), golden());
    let wanted = &golden["tutorial"];
    let close = |what: &str, found: &Value, wanted: &Value, error: f64| {
        let (found, wanted) = (found.as_f64().unwrap(), wanted.as_f64().unwrap());
        assert!((found / wanted - 1.0).abs() < error, "{what}: {found} is not {wanted}");
    };
    close("objective", &found["objective"], &wanted["objective"], 1e-8);
    close("beta", &found["linear"][0]["value"], &wanted["beta"], 1e-4);
    close("the error of beta", &found["linear"][0]["error"], &wanted["beta_error"], 1e-3);
    close("elasticity", &found["mean_own_elasticity"], &wanted["mean_own_elasticity"], 1e-4);
    let (x, v) = (["1", "prices", "sugar", "mushy"], ["income", "income_squared", "age", "child"]);
    for taste in found["tastes"].as_array().unwrap() {
        let [of, by] = ["of", "by"].map(|key| taste[key].as_str().unwrap());
        let row = x.iter().position(|name| *name == of).unwrap();
        let [value, error] = match v.iter().position(|name| *name == by) {
            Some(column) => ["pi", "pi_errors"].map(|key| &wanted[key][row][column]),
            None => ["sigma", "sigma_errors"].map(|key| &wanted[key][row]),
        };
        close(&format!("{of} by {by}"), &taste["value"], value, 1e-4);
        close(&format!("the error of {of} by {by}"), &taste["error"], error, 1e-3);
    }
}
