//! Models that are not trained on all rows at once, through the program: federations, and rows that are forgotten.

mod common;

use common::{agon, told};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// Rows of two numbers and a shop, with a class that follows from the numbers.
fn place() -> tempfile::TempDir {
    let mut text = "id,height,width,shop,kind\n".to_owned();
    for row in 1..=300u32 {
        let noise =
            |k: u32| f64::from(row.wrapping_mul(2_654_435_761).wrapping_add(k * 97_003_331) >> 9 & 0xfff) / 4095.0;
        let (height, width) = (10.0 * noise(1), 3.0 * noise(2));
        let kind = if height + 2.0 * width + noise(4) > 8.5 { "tall" } else { "small" };
        let _ = writeln!(text, "r{row},{height:.3},{width:.3},{},{kind}", ["north", "south"][(row % 2) as usize]);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("flowers.csv"), text).unwrap();
    folder
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn train(folder: &Path, more: &[&str], code: i32) -> String {
    let first = ["train", "--data", "flowers.csv", "--target", "kind", "--ui", "plain"];
    told(&agon(folder, &[&first, more].concat()), code)
}

#[test]
fn a_federation_is_told_beside_central_training() {
    let place = place();
    let sets = ["--set", "train.clients=shop", "--set", "train.secure_aggregation=true", "--set", "train.steps=20"];
    let said = train(place.path(), &[&["--model", "logistic", "--out", "run"], &sets[..]].concat(), 0);
    for words in
        ["20 rounds of 2 clients", "secure aggregation", "trained centrally", "statistics of all clients' rows"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    let card = std::fs::read_to_string(place.path().join("run/card.md")).unwrap();
    assert!(card.contains("## Training") && card.contains("shop (dropped"), "{card}");
    // What the scenario of the run says is enough for the same run.
    told(&agon(place.path(), &["train", "run/scenario.toml", "--ui", "plain", "--out", "again"]), 0);
    let [one, two] =
        ["run", "again"].map(|run| json(&place.path().join(run).join("evaluation.json"))["metrics"].clone());
    assert_eq!(one, two);
    for (set, why) in [
        ("train.clients=shpo", "did you mean `shop`?"),
        ("train.clients=1", "must lie in"),
        ("train.proximal=1", "means nothing without train.clients"),
    ] {
        let said = train(place.path(), &["--set", set], 2);
        assert!(said.contains(why), "{set}: {said}");
    }
}

#[test]
fn a_run_forgets_rows_to_the_bit() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    let sets = ["train.shards=3", "train.slices=2", "train.steps=12", "model.hidden=[8]"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let said = train(place.path(), &[&["--model", "mlp", "--out", "run"], &sets[..]].concat(), 0);
    assert!(said.contains("sharded (SISA): 3 models"), "{said}");
    std::fs::write(at("gone.csv"), "id\nr20\nr31\n").unwrap();
    let said = told(&agon(place.path(), &["unlearn", "run", "--rows", "gone.csv"]), 0);
    assert!(said.contains("2 rows were forgotten"), "{said}");
    let said = told(&agon(place.path(), &["unlearn", "run", "--rows", "40..41"]), 0);
    assert!(said.contains("4 rows were forgotten, in 2 requests"), "{said}");
    let table = std::fs::read_to_string(at("run/data.csv")).unwrap();
    assert!(!table.contains("r20,") && !table.contains("r31,") && table.lines().count() == 297);
    assert!(std::fs::read_to_string(at("run/card.md")).unwrap().contains("4 rows were forgotten"));
    assert_eq!(json(&at("run/data-report.json"))["rows"], 296);
    // One that never saw them.
    told(&agon(place.path(), &["train", "run/scenario.toml", "--ui", "plain", "--out", "never"]), 0);
    let weights = |run: &str| {
        let all: Vec<_> = std::fs::read_dir(at(run).join("checkpoints")).unwrap().map(|e| e.unwrap().path()).collect();
        let mut folders: Vec<_> = all.into_iter().filter(|path| path.is_dir()).collect();
        folders.sort_by_key(|path| path.file_name().unwrap().to_str().unwrap().parse::<u64>().unwrap());
        let count = folders.len();
        (std::fs::read(folders.pop().unwrap().join("weights.safetensors")).unwrap(), count)
    };
    let ((forgot, left), (never, _)) = (weights("run"), weights("never"));
    assert!(forgot == never);
    assert_eq!(left, 1, "checkpoints that saw the rows are gone");
    for (rows, why) in [
        ("5000", "is on no line"),
        ("some", "neither a file nor lines"),
        ("flowers.csv", "no row of the run's table is like it"),
        ("2..297", "the rows cannot be forgotten"),
    ] {
        let said = told(&agon(place.path(), &["unlearn", "run", "--rows", rows]), 2);
        assert!(said.contains(why), "{rows}: {said}");
    }
    assert!(std::fs::read_to_string(at("run/data.csv")).unwrap() == table, "what cannot be done changes nothing");
    // What was best before is no longer: the mark is of a checkpoint that never saw the rows.
    train(place.path(), &[&["--model", "mlp", "--out", "judged", "--set", "eval.every=4"], &sets[..]].concat(), 0);
    let said = told(&agon(place.path(), &["unlearn", "judged"]), 2);
    assert!(said.contains("--rows names the rows to forget"), "{said}");
    told(&agon(place.path(), &["unlearn", "judged", "--rows", "gone.csv"]), 0);
    told(&agon(place.path(), &["eval", "judged/checkpoints/best"]), 0);
    assert!(weights("judged").1 <= 2, "the newest and the best");
    train(place.path(), &["--out", "plain"], 0);
    let said = told(&agon(place.path(), &["unlearn", "plain", "--rows", "3"]), 2);
    assert!(said.contains("trained with train.shards"), "{said}");
}
