//! Users' sales tables, through the binary: what is left out is said, what is not understood is refused with its place.

use std::path::Path;
use std::process::{Command, Output};

const HEADER: &str = "week,units_a,price_a,wholesale_a,units_b,price_b,wholesale_b,customers";

/// A row of a shop of two products, in a week.
fn row(week: usize) -> String {
    let (a, b) = ([2.0, 2.4, 2.2, 2.6, 2.1][week % 5], [3.0, 3.3, 3.1][week % 3]);
    let sold = |price: f64| (400.0 / (1.0 + price.exp())).round() + (week % 2) as f64;
    format!("{week},{},{a},1,{},{b},1.5,1000", sold(a), sold(b))
}

/// `agon eval random --scenario s.toml` on a table.
fn eval(folder: &Path, table: &str, fit: &str, more: &[&str]) -> Output {
    std::fs::write(folder.join("sales.csv"), table).unwrap();
    let body = format!(
        "fit = {{ data = 'sales.csv', display = ''{fit} }}\nenv = {{ id = 'pricing/retail' }}\n\
         agent = {{ kind = 'ppo' }}\neval = {{ baselines = ['random'] }}\n"
    );
    std::fs::write(folder.join("s.toml"), body).unwrap();
    Command::new(env!("CARGO_BIN_EXE_agon"))
        .args(["eval", "myopic", "--scenario", "s.toml", "--episodes", "2"])
        .args(more)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn table(weeks: impl IntoIterator<Item = usize>) -> String {
    let rows: Vec<String> = weeks.into_iter().map(row).collect();
    format!("{HEADER}\n{}\n", rows.join("\n"))
}

#[test]
fn eval_says_what_was_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let weeks = (1..=30).map(|w| if w == 5 { 50 } else { w });
    let out = eval(dir.path(), &table(weeks), "", &["--json"]);
    let told = text(&out.stderr);
    assert!(out.status.success(), "{told}");
    assert!(told.contains("29 weeks kept, 1 left out") && told.contains("line 6, week 50"), "{told}");
    let scores: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(scores["mean_return"].is_number(), "stdout is JSON alone");
    let newest_first = eval(dir.path(), &table((1..=30).rev()), "", &["--json"]);
    assert!(newest_first.status.success() && text(&newest_first.stderr).contains("newest week comes first"));
    let turned: serde_json::Value = serde_json::from_slice(&newest_first.stdout).unwrap();
    let straight = eval(dir.path(), &table(1..=30), "", &["--json"]);
    assert_eq!(turned, serde_json::from_slice::<serde_json::Value>(&straight.stdout).unwrap());
}

#[test]
fn what_is_not_one_row_a_week_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let plain = table(1..=30);
    for (table, fit, part) in [
        (table((1..=30).chain(1..=30)), "", "begin again at line 32"),
        (table((1..=30).flat_map(|w| [w, w])), "", "week 1 stands at lines 2 and 3"),
        (plain.replace("units_a", "Units_a"), "", "did you mean `units_a`"),
        (plain.replace("wholesale_b", "wholsale_b"), "", "did you mean `wholesale_b`"),
        (plain.replace("customers", "Customers"), "", "did you mean `Customers`"),
        (plain.replace("units_b", "pieces"), "", "product `b` has a column `price_b`"),
        (plain.clone(), ", names = ['x', 'x']", "names holds `x` twice"),
        // Week 102 of the file, whatever week of those kept it is.
        (
            table(101..=130).replace("\n102,40,", "\n102,0,").replace("\n101,", "\n900,"),
            ", method = 'least-squares'",
            "line 3, week 102: no sales of a",
        ),
        (plain.replace(",1,", ",2.3,"), "", "is below its cost"),
        (plain.replace("\n9,", "\nnine,"), "", "line 10, column `week`: `nine` is not a number"),
    ] {
        let out = eval(dir.path(), &table, fit, &[]);
        let told = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{part}: {told}");
        assert!(told.contains(part) && told.contains("sales.csv"), "{part} in {told}");
    }
}

/// Whatever is in a cell or a column, the table is used or refused: exit code 0 or 2, never a panic.
#[test]
fn damaged_tables_end_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let plain = table(1..=12);
    let columns = HEADER.split(',').count();
    let damaged = |column: usize, cell: &str, all: bool| -> String {
        let change = |(i, line): (usize, &str)| {
            let mut cells: Vec<&str> = line.split(',').collect();
            if i == 4 || all && i > 0 {
                cells[column] = cell;
            }
            cells.join(",") + "\n"
        };
        plain.lines().enumerate().map(change).collect()
    };
    for column in 0..columns {
        for (cell, all) in [("1e300", false), ("0", false), ("", false), ("1", true)] {
            let out = eval(dir.path(), &damaged(column, cell, all), "", &[]);
            let told = text(&out.stderr);
            assert!(matches!(out.status.code(), Some(0 | 2)), "column {column}, `{cell}`: {told}");
            assert!(out.status.success() || told.contains("sales.csv") || told.contains("s.toml"), "{told}");
        }
    }
}

/// Weeks 4, 8, 12 … are missing, and every fourth season would be the worst of all: nobody meets it.
#[test]
fn seasons_follow_the_weeks_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let seasons = "env.seasons=[0.0, 0.0, 0.0, -9.0]";
    let missing = table((1..=40).filter(|w| w % 4 != 0));
    let mean = |set: &[&str]| {
        let out = eval(dir.path(), &missing, "", &[&["--json"], set].concat());
        assert!(out.status.success(), "{}", text(&out.stderr));
        serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap()["optimum"].as_f64().unwrap()
    };
    let (with, without) = (mean(&["--set", seasons]), mean(&[]));
    assert!((with / without - 1.0).abs() < 1e-12, "{with} is not {without}");
}

/// Whatever the clairvoyant's luck is in these episodes: it loses nothing, nobody loses less, and one episode has no
/// interval.
#[test]
fn regret_is_against_the_clairvoyant_in_the_same_episodes() {
    let dir = tempfile::tempdir().unwrap();
    let players = ["thompson", "ucb", "controlled-variance", "clairvoyant"];
    let body = format!(
        "env = {{ id = 'pricing/learn-and-earn', periods = 50 }}\nagent = {{ kind = 'ppo' }}\n\
         eval = {{ baselines = {players:?} }}\n"
    );
    std::fs::write(dir.path().join("l.toml"), body).unwrap();
    let run = |episodes: &str, seed: &str, json: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
        command.args(["eval", "random", "--scenario", "l.toml", "--episodes", episodes, "--seed", seed]);
        let out = command.args(json.then_some("--json")).current_dir(dir.path()).output().unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout)
    };
    for seed in ["1", "2", "3"] {
        let scores: serde_json::Value = serde_json::from_str(&run("5", seed, true)).unwrap();
        let of = |name: &str| &scores["baselines"][name]["regret"];
        assert!(of("clairvoyant")["mean"].as_f64().unwrap().abs() < 1e-6, "{scores}");
        for name in &players[..3] {
            let (regret, kept) = (of(name)["mean"].as_f64().unwrap(), of(name)["of_clairvoyant"].as_f64().unwrap());
            assert!(regret > 0.0 && kept < 1.0 && of(name)["ci95"].is_number(), "{name}: {scores}");
        }
        // Five episodes do not tell these two apart: in 50 periods UCB1 learns little.
        let scores: serde_json::Value = serde_json::from_str(&run("2000", seed, true)).unwrap();
        assert!(scores["regret"]["mean"].as_f64() > scores["baselines"]["ucb"]["regret"]["mean"].as_f64(), "{scores}");
    }
    let table = run("1", "1", false);
    assert!(table.contains("of clairvoyant") && !table.contains("exact optimum") && !table.contains('±'), "{table}");
}

/// What there is none of is in no table, and one episode has no interval.
#[test]
fn one_seller_has_no_second() {
    let dir = tempfile::tempdir().unwrap();
    let body = "env = { id = 'pricing/duopoly', sellers = 1, periods = 5 }\nagent = { kind = 'tabular' }\n";
    std::fs::write(dir.path().join("d.toml"), body).unwrap();
    for more in [&["--path", "path.csv"][..], &["--json"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
        command.args(["eval", "monopoly", "--scenario", "d.toml", "--episodes", "1"]).args(more);
        let out = command.current_dir(dir.path()).output().unwrap();
        let told = text(&out.stdout);
        assert!(out.status.success() && told.contains("price of seller 1"), "{}", text(&out.stderr));
        assert!(!["seller 2", "collusion", "NaN", "±"].iter().any(|word| told.contains(word)), "{told}");
    }
    let path = std::fs::read_to_string(dir.path().join("path.csv")).unwrap();
    assert!(path.starts_with("step,episodes,profit of seller 1,price of seller 1\n0,1,"), "{path}");
}
