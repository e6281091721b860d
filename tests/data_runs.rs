//! A run without an environment: a model of data has the same run directory, checkpoints and exact resume as any other.

mod common;

use common::{agon, told};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const SCENARIO: &str = r#"
[fit]
data = "sales.csv"
display = ""

[model]
kind = "demand"

[train]
steps = 2000
save_every = 8
keep = "all"

[eval]
every = 3
"#;

/// A hundred weeks of two products whose sales fall with their prices.
fn sales() -> String {
    let mut text = "week,customers,units_a,price_a,wholesale_a,units_b,price_b,wholesale_b\n".to_owned();
    for week in 1..=100u32 {
        let noise = |k: u32| f64::from(week.wrapping_mul(2_654_435_761).wrapping_add(k * 40_503) >> 8 & 0xff) / 255.0;
        let prices = [1.0 + 0.5 * noise(1), 2.0 + 0.8 * noise(2)];
        let weights = [(1.0 - 1.5 * prices[0]).exp(), (1.0 - 1.2 * prices[1]).exp()];
        let sum = 1.0 + weights[0] + weights[1];
        let units = [0, 1].map(|k| (5000.0 * weights[k] / sum + 40.0 * noise(3 + k as u32)).round());
        text += &format!("{week},5000,{},{:.2},0.5,{},{:.2},0.9\n", units[0], prices[0], units[1], prices[1]);
    }
    text
}

fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("s.toml"), SCENARIO).unwrap();
    std::fs::write(folder.path().join("sales.csv"), sales()).unwrap();
    folder
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Resumed from any of its checkpoints it ends bit-identical; its table may be gone by then, and where its copy was
/// changed it says so.
#[test]
fn it_resumes_from_every_checkpoint_in_the_same_bits() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    told(&agon(place.path(), &["train", "s.toml", "--ui", "plain", "--out", "run"]), 0);
    std::fs::remove_file(at("sales.csv")).unwrap();
    let mut steps: Vec<u64> = std::fs::read_dir(at("run/checkpoints"))
        .unwrap()
        .filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok())
        .collect();
    steps.sort_unstable();
    assert!(steps.len() > 4, "{steps:?}");
    let last = steps[steps.len() - 1];
    for step in &steps[..steps.len() - 1] {
        let copy = format!("copy-{step}");
        assert!(Command::new("cp").arg("-r").args([at("run"), at(&copy)]).status().unwrap().success());
        let from = format!("{copy}/checkpoints/{step}");
        told(&agon(place.path(), &["train", "--resume", &from, "--ui", "plain"]), 0);
        for file in ["metrics.jsonl", "evaluation.json", "checkpoints/best"] {
            assert!(read(&at(&copy).join(file)) == read(&at("run").join(file)), "{file}, from step {step}");
        }
        for file in ["weights.safetensors", "state.json"] {
            let file = format!("checkpoints/{last}/{file}");
            assert!(read(&at(&copy).join(&file)) == read(&at("run").join(&file)), "{file}, from step {step}");
        }
    }
    let changed = String::from_utf8(read(&at("run/data.csv"))).unwrap().replacen(",5000,", ",5001,", 1);
    std::fs::write(at("run/data.csv"), changed).unwrap();
    let why = told(&agon(place.path(), &["train", "--resume", "run", "--ui", "plain"]), 2);
    assert!(why.contains("the data are not those that it was learned from"), "{why}");
}

/// Metrics have names and intervals, in every command.
#[test]
fn metrics_have_names_and_intervals() {
    let place = place();
    let plain = told(&agon(place.path(), &["train", "s.toml", "--ui", "plain", "--out", "run"]), 0);
    assert!(plain.contains("evaluation over 15 weeks: log_loss"), "{plain}");
    assert!(plain.contains("logit demand forecasts better than every simple forecast"), "{plain}");
    let out = agon(place.path(), &["eval", "run", "--json"]);
    told(&out, 0);
    let found: Value = serde_json::from_slice(&out.stdout).unwrap();
    let metric = &found["metrics"][0];
    let ends: Vec<f64> = serde_json::from_value(metric["interval"].clone()).unwrap();
    let value = metric["value"].as_f64().unwrap();
    assert!(metric["name"] == "log_loss" && ends[0] < value && value < ends[1], "{found}");
    let saved: Value = serde_json::from_slice(&read(&place.path().join("run/evaluation.json"))).unwrap();
    assert_eq!(saved["metrics"], found["metrics"], "what training found at its end is what eval finds");
    let runs = told(&agon(place.path(), &["runs", "."]), 0);
    assert!(runs.contains("log_loss"), "{runs}");
    let both = told(&agon(place.path(), &["train", "s.toml", "--seeds", "1,2", "--ui", "plain", "--out", "both"]), 0);
    assert!(both.contains("log loss") && both.contains("worst"), "{both}");
    let warm = ["train", "s.toml", "--from", "run", "--ui", "plain", "--out", "warm"];
    assert!(told(&agon(place.path(), &warm), 0).contains("it begins with the weights of run/checkpoints/"));
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let place = place();
    for (from, to, why) in [
        ("[model]", "[env]\nid = \"classic/cartpole\"\n[model]", "a model has no environment"),
        ("kind = \"demand\"", "kind = \"demnad\"", "did you mean `demand`"),
        ("kind = \"demand\"", "kind = \"demand\"\nprice_efect = \"common\"", "did you mean `price_effect`"),
        ("every = 3", "every = 3\nepisodes = 5", "unknown key"),
        ("every = 3", "validation = 0.6\ntest = 0.6", "none are left to learn from"),
        ("every = 3", "validation = 0.4\ntest = 0.56", "the first 4 of 100 weeks: 4 weeks are too few"),
        ("sales.csv", "sale.csv", "no file at sale.csv"),
        ("[fit]", "[fit]\nmethod = \"least-squares\"", "nothing to train"),
    ] {
        assert!(SCENARIO.contains(from));
        std::fs::write(place.path().join("wrong.toml"), SCENARIO.replacen(from, to, 1)).unwrap();
        let told = told(&agon(place.path(), &["train", "wrong.toml", "--ui", "plain"]), 2);
        assert!(told.contains(why), "{to}: {told}");
    }
    assert!(!place.path().join("runs").exists());
    told(&agon(place.path(), &["train", "s.toml", "--ui", "plain", "--out", "run"]), 0);
    let flags = told(&agon(place.path(), &["eval", "run", "--episodes", "5"]), 2);
    assert!(flags.contains("--episodes is not for a model of data"), "{flags}");
    let played = told(&agon(place.path(), &["tournament", "run", "random"]), 2);
    assert!(played.contains("has no environment"), "{played}");
    let replayed = told(&agon(place.path(), &["replay", "run"]), 2);
    assert!(replayed.contains("episode"), "{replayed}");
}
