//! What a tournament's file of games says, and that all who read it say the same, through the binary.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn agon(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
    command.args(args).stdin(Stdio::null()).output().expect("the binary starts")
}

fn ok(args: &[&str]) -> String {
    let out = agon(args);
    assert!(out.status.success(), "agon {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn records(folder: &Path) -> Vec<Value> {
    let told = std::fs::read_to_string(folder.join("games.jsonl")).unwrap();
    told.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// A tournament of two or more into a new folder: the game, the settings, the entrants.
fn played(folder: &Path, game: &str, settings: &str, entrants: &str) -> (PathBuf, Value) {
    let path = folder.join("s.toml");
    std::fs::write(&path, format!("env = {{ {game} }}\n[tournament]\n{settings}\n[entrants]\n{entrants}")).unwrap();
    let number = std::fs::read_dir(folder).unwrap().count();
    let out = folder.join(format!("t{number}"));
    let told = ok(&["tournament", &text(&path), "--json", "--out", &text(&out)]);
    (out, serde_json::from_str(&told).unwrap())
}

/// In the file, in the standings, in PGN; and in a file of an older version, where they stand as 0 and −0.
#[test]
fn a_draw_is_a_draw_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    for (game, settings) in [
        ("id = 'games/othello', size = 4", "pairs = 60\nopening_plies = 0"),
        ("id = 'games/go', size = 2, komi = 0.0", "pairs = 60\nopening_plies = 0"),
    ] {
        let (out, results) =
            played(folder.path(), game, settings, "a = 'random'\nb = 'random'\nc = 'random'\nd = 'random'\n");
        let file = out.join("games.jsonl");
        let told = std::fs::read_to_string(&file).unwrap();
        let draws = told.matches("\"returns\":[0.0,0.0]").count();
        assert!(draws > 5 && !told.contains("-0.0"), "{game}: {draws}");
        let counted: u64 = results["standings"].as_array().unwrap().iter().map(|s| s["draws"].as_u64().unwrap()).sum();
        assert_eq!(counted, 2 * draws as u64, "{game}");
        let pgn = folder.path().join("x.pgn");
        ok(&["replay", &text(&out), "--export", &text(&pgn)]);
        assert_eq!(std::fs::read_to_string(&pgn).unwrap().matches("[Result \"1/2-1/2\"]").count(), draws, "{game}");
        let old = as_before(&told);
        std::fs::write(&file, old).unwrap();
        begun_before(&out);
        let again = ok(&["tournament", "--resume", &text(&out), "--json"]);
        assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), results, "{game}");
        ok(&["replay", &text(&out), "--verify"]);
    }
}

/// As older versions began a tournament: nothing says that its games have digests.
fn begun_before(out: &Path) {
    let path = out.join("provenance.json");
    let mut told: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    told.as_object_mut().unwrap().remove("digests");
    std::fs::write(&path, told.to_string()).unwrap();
}

/// The same games as older versions wrote them: without digests, drawn ones as 0 and −0.
fn as_before(games: &str) -> String {
    let bare = |l: &str| l.split(",\"digest\"").next().unwrap().trim_end_matches('}').to_owned() + "}\n";
    games.lines().map(bare).collect::<String>().replace("[0.0,0.0]", "[0.0,-0.0]")
}

/// A Swiss tournament whose first round an older version played: who meets whom follows from the wins that it saw, what
/// is counted from the draws that there were.
#[test]
fn rounds_of_older_versions_stay_as_they_were_played() {
    let folder = tempfile::tempdir().unwrap();
    let mut others = 0;
    for seed in 1..7 {
        let settings = format!("pairs = 20\nformat = 'swiss'\nrounds = 2\nopening_plies = 0\nseed = {seed}");
        let entrants = "a = 'random'\nb = 'random'\nc = 'random'\nd = 'random'\n";
        let (out, _) = played(folder.path(), "id = 'games/othello', size = 4", &settings, entrants);
        let file = out.join("games.jsonl");
        let told = std::fs::read_to_string(&file).unwrap();
        let first: String = told.lines().take(80).map(|l| format!("{l}\n")).collect();
        let met = |lines: Vec<Value>| lines[80..].iter().map(|r| r["seats"].to_string()).collect::<Vec<_>>();
        let new = met(records(&out));
        std::fs::write(&file, as_before(&first)).unwrap();
        begun_before(&out);
        let results = ok(&["tournament", "--resume", &text(&out), "--json"]);
        others += usize::from(met(records(&out)) != new);
        ok(&["replay", &text(&out), "--verify"]);
        assert_eq!(ok(&["tournament", "--resume", &text(&out), "--json"]), results);
        let results: Value = serde_json::from_str(&results).unwrap();
        let drawn = records(&out).iter().filter(|r| r["returns"][0] == 0.0).count() as u64;
        let counted: u64 = results["standings"].as_array().unwrap().iter().map(|s| s["draws"].as_u64().unwrap()).sum();
        assert_eq!(counted, 2 * drawn);
    }
    assert!(others > 0, "old results lead to the same second rounds as new ones");
}

/// The equilibrium loses more hands than it wins against those who fold too little, and earns at all of them.
#[test]
fn poker_is_ordered_by_what_was_earned() {
    let folder = tempfile::tempdir().unwrap();
    for (game, pairs, iterations) in [("kuhn", 3000, 1000), ("leduc", 1000, 100)] {
        let entrants = format!("a = 'random'\nb = 'random'\nequilibrium = 'cfr:iterations={iterations}'\n");
        let settings = format!("pairs = {pairs}\nopening_plies = 0");
        let (out, results) = played(folder.path(), &format!("id = 'games/{game}-poker'"), &settings, &entrants);
        let best = &results["standings"][0];
        assert_eq!(
            (&results["ordered_by"], &best["name"]),
            (&"mean_return".into(), &"equilibrium".into()),
            "{results}"
        );
        let mean = &best["mean_return"];
        let [low, value, high] = ["low", "value", "high"].map(|k| mean[k].as_f64().unwrap());
        assert!(0.0 < low && low < value && value < high && high - low < 0.5, "{mean}");
        let earned: f64 = records(&out)
            .iter()
            .map(|r| (0..2).filter(|s| r["seats"][s] == 2).map(|s| r["returns"][s].as_f64().unwrap()).sum::<f64>())
            .sum();
        assert!((earned / (4 * pairs) as f64 - value).abs() < 1e-9, "{earned} of {mean}");
        let told = ok(&["watch", &text(&out)]);
        assert!(told.contains("ordered by mean return a game") && told.contains("  # player        return"), "{told}");
    }
    let (_, results) =
        played(folder.path(), "id = 'games/liars-dice', sides = 2", "pairs = 3", "a = 'random'\nb = 'random'\n");
    assert_eq!(results["ordered_by"], "elo");
}

/// The same pairs have the same LOS in every table, however few.
#[test]
fn all_tables_say_the_same_of_few_pairs() {
    let folder = tempfile::tempdir().unwrap();
    for (pairs, entrants) in [
        (1, "a = 'random'\nb = 'minimax:depth=3'\n"),
        (1, "a = 'random'\nb = 'minimax:depth=3'\nc = 'greedy'\n"),
        (4, "a = 'random'\nb = 'minimax:depth=3'\nc = 'greedy'\n"),
    ] {
        let (_, results) = played(folder.path(), "id = 'games/tic-tac-toe'", &format!("pairs = {pairs}"), entrants);
        for meeting in results["meetings"].as_array().unwrap() {
            let counts: Vec<String> = meeting["ptnml"].as_array().unwrap().iter().map(ToString::to_string).collect();
            let alone: Value = serde_json::from_str(&ok(&["sprt", "--json", "--ptnml", &counts.join(",")])).unwrap();
            assert_eq!(meeting["los"], alone["los"], "{counts:?}");
            assert!(alone["los"].as_f64().unwrap() < 0.99);
            if meeting["player"] == "a" && results["head_to_head"].is_object() {
                assert_eq!(results["head_to_head"]["los"], alone["los"]);
                assert_eq!(results["head_to_head"]["elo"], alone["elo"]);
            }
        }
    }
    let one = ok(&["sprt", "--ptnml", "0,0,0,0,1"]);
    assert!(one.contains("LOS: 84.") && one.contains("nElo: 1"), "{one}");
}

/// Everything in a line of the file can be changed to something else that could stand there, and is found out; in files
/// without digests too, but for what the rules cannot know: how a player that forfeits broke down, and when.
#[test]
fn a_record_that_was_changed_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/agents/search/tests/fake_engine.py");
    let die = format!("a = \"gtp:command=python3 '{script}' gtp die 2,timeout_ms=5000\"\nb = 'minimax:depth=2'\n");
    let cases = [
        (
            "id = 'games/connect-four'",
            "pairs = 2\nopenings = ['4 4', '3 5']",
            "a = 'random'\nb = 'greedy'\nc = 'random'\n",
        ),
        ("id = 'games/kuhn-poker'", "pairs = 2\nopening_plies = 1", "a = 'random'\nb = 'random'\n"),
        ("id = 'games/chess'", "pairs = 1\nmax_plies = 12", "a = 'random'\nb = 'random'\n"),
        ("id = 'games/tic-tac-toe'", "pairs = 1\nopening_plies = 0", die.as_str()),
    ];
    for (game, settings, entrants) in cases {
        let (out, _) = played(folder.path(), game, settings, entrants);
        let (file, good) = (out.join("games.jsonl"), records(&out));
        let write = |records: &[Value]| {
            std::fs::write(&file, records.iter().map(|r| format!("{r}\n")).collect::<String>()).unwrap();
        };
        let bare: Vec<Value> = good
            .iter()
            .cloned()
            .map(|mut r| {
                r.as_object_mut().unwrap().remove("digest");
                r
            })
            .collect();
        // Of a tournament that this version began, no game goes without: neither the first ones nor all of them.
        for count in 1..=good.len() {
            write(&[&bare[..count], &good[count..]].concat());
            let found = agon(&["replay", &text(&out), "--verify"]);
            let told = String::from_utf8_lossy(&found.stderr).into_owned();
            assert!(found.status.code() == Some(3) && told.contains("no digest"), "{game} {count}: {told}");
        }
        for whole in [&good, &bare] {
            if whole == &bare {
                begun_before(&out);
            }
            write(whole);
            ok(&["replay", &text(&out), "--verify"]); // another order of the fields changes nothing
            for at in [0, whole.len() - 1] {
                for (field, value) in whole[at].as_object().unwrap() {
                    for other in others(field, value) {
                        let mut changed = whole.clone();
                        changed[at][field] = other.clone();
                        let free = whole == &bare && (field == "fault" || field == "end" && value == "crash");
                        if free {
                            continue;
                        }
                        write(&changed);
                        let found = agon(&["replay", &text(&out), "--verify"]);
                        let code = found.status.code();
                        assert!(matches!(code, Some(2 | 3)), "{game} {field}: {other} for {value}: {code:?}");
                    }
                }
            }
            let mut blamed = whole.clone();
            blamed[0]["fault"] = if whole[0]["fault"].is_null() { "it lied".into() } else { Value::Null };
            write(&blamed);
            assert_eq!(agon(&["replay", &text(&out), "--verify"]).status.code(), Some(3));
        }
    }
}

/// What might stand in a field as well.
fn others(field: &str, value: &Value) -> Vec<Value> {
    let numbers = |value: &Value| value.as_array().cloned().unwrap_or_default();
    match value {
        Value::Number(n) if n.is_u64() => {
            let n = n.as_u64().unwrap();
            vec![n.wrapping_add(1).into(), (n ^ 2).into()]
        }
        Value::String(_) if field == "end" => {
            let all = ["rules", "length", "resigned", "adjudicated", "illegal", "crash", "time"];
            all.into_iter().filter(|end| value != end).map(Value::from).collect()
        }
        Value::String(_) => vec!["another".into()],
        _ if field == "moves" => {
            let (mut fewer, mut first) = (numbers(value), numbers(value));
            fewer.pop();
            first[0] = ((first[0].as_u64().unwrap() + 1) % 2).into();
            vec![fewer.into(), first.into()]
        }
        _ => {
            let swapped: Value = numbers(value).into_iter().rev().collect();
            let other = if field == "returns" { [1.0, 1.0].as_slice().into() } else { [1, 1].as_slice().into() };
            let mut all = vec![other, swapped];
            all.retain(|other| other != value);
            all
        }
    }
}

/// Games that are no longer in the file are missed, however many are left.
#[test]
fn a_file_that_was_cut_is_not_verified() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _) = played(folder.path(), "id = 'games/tic-tac-toe'", "pairs = 4", "a = 'random'\nb = 'random'\n");
    let (file, told) = (out.join("games.jsonl"), ok(&["replay", &text(&out), "--verify"]));
    assert!(told.contains("8 games"), "{told}");
    let all = std::fs::read_to_string(&file).unwrap();
    for kept in [0, 1, 4, 7] {
        std::fs::write(&file, all.lines().take(kept).map(|l| format!("{l}\n")).collect::<String>()).unwrap();
        let cut = agon(&["replay", &text(&out), "--verify"]);
        let told = String::from_utf8_lossy(&cut.stderr).into_owned();
        assert!(cut.status.code() == Some(3) && told.contains(&format!("{kept} of 8 games")), "{kept}: {told}");
    }
}
