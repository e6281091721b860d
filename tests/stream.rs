//! Tables that are read in blocks, through the program.

mod common;

use common::{agon, told};
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A number in [0, 1) for a row and a purpose.
fn noise(row: u64, k: u64) -> f64 {
    let mixed = (row * 8 + k + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ mixed >> 31) >> 11) as f64 / (1u64 << 53) as f64
}

/// Rows sorted by their class, which follows from x and the city but for a tenth of them.
fn table(rows: u64) -> String {
    let mut lines: Vec<(bool, String)> = (0..rows)
        .map(|row| {
            let (x, z, city) = (4.0 * noise(row, 1) - 2.0, noise(row, 2), ["north", "south"][(row % 2) as usize]);
            let bought = (x + if city == "north" { 0.7 } else { -0.7 } > 0.0) != (noise(row, 3) < 0.1);
            let gap = if row % 50 == 0 { String::new() } else { format!("{x:.5}") };
            (bought, format!("{row},{gap},{z:.5},{city},{}", if bought { "yes" } else { "no" }))
        })
        .collect();
    lines.sort_by_key(|(bought, _)| *bought);
    let mut text = "id,x,z,city,bought\n".to_owned();
    for (_, line) in &lines {
        let _ = writeln!(text, "{line}");
    }
    text
}

const STREAM: [&str; 14] = [
    "train",
    "--data",
    "sales.csv",
    "--target",
    "bought",
    "--ui",
    "plain",
    "--set",
    "data.stream=2000",
    "--set",
    "data.block_rows=1500",
    "--set",
    "data.drop=[\"id\"]",
    "--out",
];

fn evaluation(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("evaluation.json")).unwrap()).unwrap()
}

/// Rows that are sorted by their class are shuffled; every row that is not held out is in one block; what is learned
/// is what a perceptron learns of the whole table.
#[test]
fn a_table_is_learned_block_by_block() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("sales.csv"), table(12_000)).unwrap();
    let said = told(&agon(place.path(), &[&STREAM[..], &["run"]].concat()), 0);
    for wanted in
        ["2000 of its 12000 rows, drawn at random", "model: mlp", "11400 of 12000 rows are trained on, in 8 blocks"]
    {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let run = place.path().join("run");
    let index: Value = serde_json::from_slice(&fs::read(run.join("blocks/index.json")).unwrap()).unwrap();
    let rows: Vec<u64> = index["rows"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert!(
        rows.len() == 8 && rows.iter().sum::<u64>() == 11_400 && rows.iter().all(|n| (1200..1700).contains(n)),
        "{rows:?}"
    );
    // y, then x, whether it is missing, z, three numbers of the city.
    for (block, rows) in rows.iter().enumerate() {
        let bytes = fs::read(run.join(format!("blocks/{block:03}.rows"))).unwrap();
        let yes = bytes.chunks_exact(8 + 4 * 6).filter(|row| row[..8] == 1f64.to_le_bytes()).count();
        let share = yes as f64 / *rows as f64;
        assert!((0.4..0.6).contains(&share), "block {block} is sorted: {share}");
    }
    let copy = fs::read_to_string(run.join("data.csv")).unwrap();
    assert!(copy.lines().count() == 2001 && copy.starts_with("id,x,z,city,bought,agon_part\n"));
    let accuracy = |found: &Value| {
        let all = found["metrics"].as_array().unwrap();
        all.iter().find(|m| m["name"] == "accuracy").unwrap()["value"].as_f64().unwrap()
    };
    let found = evaluation(&run);
    assert!(accuracy(&found) > 0.86, "{found}");
    // Its own scenario does the same again, and the checkpoint predicts.
    let eval = agon(place.path(), &["eval", "run", "--json"]);
    told(&eval, 0);
    let again: Value = serde_json::from_slice(&eval.stdout).unwrap();
    assert_eq!(again["metrics"], found["metrics"]);
    fs::write(place.path().join("more.csv"), table(60_000)).unwrap();
    let out = agon(place.path(), &["predict", "run", "--data", "more.csv"]);
    let said = told(&out, 0);
    assert!(said.contains("drift: 60000 new rows") || said.contains("drift: 100000 new rows"), "{said}");
    told(&agon(place.path(), &["predict", "run", "--data", "more.csv", "-o", "out.csv"]), 0);
    assert_eq!(fs::read(place.path().join("out.csv")).unwrap(), out.stdout, "in parts of a file");
    let text = String::from_utf8(out.stdout).unwrap();
    assert_eq!(text.lines().count(), 60_001);
    let right = text.lines().skip(1).filter(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        cells[4] == cells[5]
    });
    assert!(right.count() > 51_500, "nine tenths can be known");
}

/// A run that is interrupted resumes from its blocks to the same bits, though the table is gone.
#[test]
fn an_interrupted_run_resumes_without_the_table() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("sales.csv"), table(9_000)).unwrap();
    let with = |more: &[&str]| agon(place.path(), &[&STREAM[..], more].concat());
    told(&with(&["whole", "--set", "train.steps=20"]), 0);
    told(&with(&["part", "--set", "train.steps=9"]), 0);
    fs::remove_file(place.path().join("sales.csv")).unwrap();
    let go_on = ["train", "--resume", "part", "--ui", "plain", "--set", "train.steps=20"];
    told(&agon(place.path(), &go_on), 0);
    let weights = |run: &str| {
        let latest = fs::read_to_string(place.path().join(run).join("checkpoints/latest")).unwrap();
        fs::read(place.path().join(run).join("checkpoints").join(latest.trim()).join("weights.safetensors")).unwrap()
    };
    assert_eq!(weights("whole"), weights("part"));
    assert_eq!(evaluation(&place.path().join("whole"))["metrics"], evaluation(&place.path().join("part"))["metrics"]);
    // Its scenario does the same again.
    let again = ["train", "whole/scenario.toml", "--ui", "plain", "--out", "again"];
    told(&agon(place.path(), &again), 0);
    assert_eq!(weights("whole"), weights("again"));
    // Blocks that are damaged or gone are told, and nothing saved is lost.
    let go_on = ["train", "--resume", "part", "--ui", "plain", "--set", "train.steps=40"];
    let block = place.path().join("part/blocks/003.rows");
    let bytes = fs::read(&block).unwrap();
    fs::write(&block, [&bytes[..8], &[bytes[8] ^ 1], &bytes[9..]].concat()).unwrap();
    assert!(told(&agon(place.path(), &go_on), 2).contains("003.rows: the block is not what was written"));
    fs::remove_dir_all(place.path().join("part/blocks")).unwrap();
    assert!(told(&agon(place.path(), &go_on), 2).contains("the rows that it learns from are gone"));
    told(&agon(place.path(), &["eval", "part"]), 0);
}

#[test]
fn what_cannot_be_read_in_blocks_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let whole = table(6_000);
    fs::write(place.path().join("sales.csv"), &whole).unwrap();
    for (more, why) in [
        (&["--set", "model.kind=boosting"][..], "gradient boosting needs all rows in memory"),
        (&["--minutes", "1"], "needs all rows in memory"),
        (&["--set", "train.shards=3"], "is not for train.clients, train.shards"),
        (&["--set", "data.split=time", "--set", "data.split_by=id"], "time is not for a table that is read in blocks"),
        (&["--set", "data.block_rows=100", "--set", "data.stream=100", "--set", "data.block_rows=5"], "block_rows"),
    ] {
        let said = told(&agon(place.path(), &[&STREAM[..], &["no"], more].concat()), 2);
        assert!(said.contains(why), "{why}: {said}");
    }
    // What the sample does not have is found when rows are shuffled, with its line.
    let (head, tail) = whole.split_at(whole.len() - whole.lines().last().unwrap().len() - 1);
    for (last, why) in [
        ("6000,many,1,north,yes\n", "line 6002: `many` in column `x` is no number, as it was in training"),
        ("6000,\"2,5\",1,north,yes\n", "line 6002: `2,5` in column `x` is no number, as it was in training"),
        ("6000,1.0,2,north\n", ":6002: 4 fields, where the header has 5"),
        ("6000,1.0,1,n\u{0}rth,yes\n", ":6002: there are zero bytes"),
    ] {
        fs::write(place.path().join("sales.csv"), format!("{head}{tail}{last}")).unwrap();
        let said = told(&agon(place.path(), &[&STREAM[..], &["wrong"]].concat()), 2);
        assert!(said.contains(why), "{why}: {said}");
        assert!(!place.path().join("wrong").exists(), "nothing is left of it");
    }
    let mut latin = whole.into_bytes();
    latin.extend(b"6000,1.0,1,n\xf6rth,yes\n");
    fs::write(place.path().join("sales.csv"), latin).unwrap();
    let said = told(&agon(place.path(), &[&STREAM[..], &["wrong"]].concat()), 2);
    assert!(said.contains(":6002: this is not UTF-8"), "{said}");
}

/// Rows of a held-out group, and copies of held-out rows, are in no block; classes that the sample lacks are counted.
#[test]
fn held_out_rows_stay_held_out() {
    let place = tempfile::tempdir().unwrap();
    let lines: Vec<String> = table(6_000).lines().skip(1).map(String::from).collect();
    let mut text = "shop,x,z,city,bought\n".to_owned();
    for (i, line) in lines.iter().enumerate() {
        let rest = line.split_once(',').unwrap().1;
        let _ = writeln!(text, "shop {},{rest}", i % 40);
    }
    text += "shop 1,0.5,1,north,\nshop 1,0.5,1,north,maybe\n";
    fs::write(place.path().join("sales.csv"), &text).unwrap();
    let more = ["run", "--set", "data.split=group", "--set", "data.split_by=shop", "--set", "data.drop=[]"];
    let said = told(&agon(place.path(), &[&STREAM[..], &more].concat()), 0);
    let copy = fs::read_to_string(place.path().join("run/data.csv")).unwrap();
    let held: std::collections::HashSet<&str> =
        copy.lines().filter(|l| !l.ends_with(",train")).map(|l| l.split(',').next().unwrap()).collect();
    let free = text.lines().skip(1).filter(|l| !held.contains(l.split(',').next().unwrap()));
    let free = free.filter(|l| l.ends_with("yes") || l.ends_with("no")).count();
    let index: Value = serde_json::from_slice(&fs::read(place.path().join("run/blocks/index.json")).unwrap()).unwrap();
    let taught: u64 = index["rows"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(taught, free as u64, "{said}");
    assert!(said.contains("the target is missing in 1 rows") && said.contains("such as `maybe`"), "{said}");
    // Copies of a tenth of the rows, without the column of shops.
    let more = ["again", "--set", "data.drop=[\"shop\"]"];
    let twice = text.clone() + &text.lines().skip(1).step_by(10).map(|line| format!("{line}\n")).collect::<String>();
    fs::write(place.path().join("sales.csv"), twice.replace(",maybe\n", ",yes\n")).unwrap();
    let said = told(&agon(place.path(), &[&STREAM[..], &more].concat()), 0);
    let end = " rows are equal to rows of the validation or the test part, and are left out";
    let copies = said.lines().find_map(|line| line.strip_prefix("note: ")?.strip_suffix(end)).unwrap();
    assert!((60..=120).contains(&copies.parse::<u64>().unwrap()), "{said}");
}

/// Numbers of a target are read in every part as they are in the sample.
#[test]
fn targets_are_read_as_in_the_sample() {
    let place = tempfile::tempdir().unwrap();
    let mut text = "x;y\n".to_owned();
    for row in 0..9000 {
        let y = 1000.0 + 4000.0 * noise(row, 1);
        // 1.234 means 1,234 by the later rows.
        let digits = format!("{y:.0}");
        let (thousands, rest) = digits.split_at(1);
        let end = if row < 6000 { "" } else { ",5" };
        let _ = writeln!(text, "{};{thousands}.{rest}{end}", format!("{:.4}", noise(row, 1)).replace('.', ","));
    }
    fs::write(place.path().join("sums.csv"), text).unwrap();
    let train = ["train", "--data", "sums.csv", "--target", "y", "--ui", "plain", "--out", "run", "--set"];
    let more = ["data.stream=1000", "--set", "data.block_rows=2000", "--set", "train.steps=40"];
    told(&agon(place.path(), &[&train[..], &more].concat()), 0);
    let bytes = fs::read(place.path().join("run/blocks/000.rows")).unwrap();
    let width = bytes.len() / serde_json::from_slice::<Value>(&fs::read(place.path().join("run/blocks/index.json")).unwrap()).unwrap()["rows"][0].as_u64().unwrap() as usize;
    assert!(bytes.chunks_exact(width).all(|row| f64::from_le_bytes(row[..8].try_into().unwrap()) >= 999.0));
}

/// Classes that the sample has hardly any rows of are left out, and do not end the run.
#[test]
fn rare_classes_do_not_end_a_run() {
    let place = tempfile::tempdir().unwrap();
    let whole = table(6_000);
    let rare = whole.lines().enumerate().map(|(i, line)| {
        if i > 0 && i % 700 == 0 {
            line.rsplit_once(',').unwrap().0.to_owned() + ",perhaps\n"
        } else {
            format!("{line}\n")
        }
    });
    fs::write(place.path().join("sales.csv"), rare.collect::<String>()).unwrap();
    let mut found = 0;
    for seed in 1..=6 {
        let (out, seed) = (format!("run{seed}"), format!("data.seed={seed}"));
        let more = [out.as_str(), "--set", &seed, "--set", "train.steps=2"];
        let said = told(&agon(place.path(), &[&STREAM[..], &more].concat()), 0);
        found += usize::from(said.contains("1 classes have fewer than 5 rows in the sample, such as `perhaps`"));
        assert!(said.contains("2 steps learn from 2 of 4 blocks"), "{said}");
    }
    assert!(found >= 4, "{found}");
}
