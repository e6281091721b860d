//! Full-screen views in a real terminal: whatever ends them, the terminal is as it was before.
#![cfg(unix)]

use serde_json::Value;
use std::path::Path;
use std::process::Command;

const AGON: &str = env!("CARGO_BIN_EXE_agon");

/// Runs `agon` in a terminal of its own; `actions` are those of `pty_session.py`.
fn session(folder: &Path, args: &[&str], actions: &[&str]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pty_session.py");
    let mut command = Command::new("python3");
    command.current_dir(folder).arg(script).arg(AGON).args(args).arg("--").args(actions);
    let output = command.output().expect("python3 runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {told}"));
    assert_eq!(report["failed"], Value::Null, "{args:?} {actions:?}: {report}");
    report
}

/// Whether raw mode is off, the alternate screen left, the cursor shown, and nothing was drawn after that.
fn is_restored(report: &Value) -> bool {
    let text = report["text"].as_str().unwrap_or_default();
    let after = text.rsplit("\x1b[?1049l").next().unwrap_or_default().replacen("\x1b[?25h", "", 2);
    ["cooked", "left", "cursor"].iter().all(|key| report[key] == true) && !after.contains('\x1b')
}

fn scenario(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name).display().to_string()
}

/// A finished run and a finished tournament.
fn made(folder: &Path) {
    let cartpole = scenario("classic/cartpole.toml");
    let small = ["--set", "train.steps=2048", "--set", "eval.final_episodes=2", "--set", "eval.record=1"];
    let mut made = Command::new(AGON);
    made.current_dir(folder).args(["train", &cartpole, "--ui", "plain", "--out", "run"]).args(small);
    assert!(made.output().expect("agon runs").status.success());
    let random = scenario("games/connect-four-random.toml");
    let few = ["--set", "tournament.pairs=5"];
    let mut made = Command::new(AGON);
    made.current_dir(folder).args(["tournament", &random, "--out", "tournament"]).args(few);
    let output = made.output().expect("agon runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_view_gives_the_terminal_back() {
    let folder = tempfile::tempdir().expect("a folder");
    made(folder.path());
    // A word of each view, on the screen from its first picture on.
    let views = [
        (vec!["watch", "run"], "see:device"),
        (vec!["replay", "run"], "see:home"),
        (vec!["watch", "tournament"], "see:standings"),
        (vec!["replay", "tournament"], "see:home"),
    ];
    for (args, shown) in &views {
        for (signal, code) in [("INT", 130), ("TERM", 130), ("HUP", 130), ("QUIT", 131)] {
            let report = session(folder.path(), args, &[shown, &format!("signal:{signal}")]);
            assert!(report["code"] == code && is_restored(&report), "{args:?} {signal}: {report}");
        }
        let report = session(folder.path(), args, &[shown, "key:q"]);
        assert!(report["code"] == 0 && is_restored(&report), "{args:?} q: {report}");
        let report = session(folder.path(), args, &[shown, "key:\\x03"]);
        assert!(report["code"] == 130 && is_restored(&report), "{args:?} Ctrl-C: {report}");
        let report = session(folder.path(), args, &[shown, "close"]);
        assert_eq!(report["code"], 130, "{args:?} close: {report}");
        for stop in ["signal:TSTP", "key:\\x1a"] {
            let actions = [shown, stop, "stopped", "forget", "signal:CONT", shown, "key:q"];
            let report = session(folder.path(), args, &actions);
            assert!(report["code"] == 0 && report["left_while_stopped"] == true, "{args:?} {stop}: {report}");
            assert!(is_restored(&report), "{args:?} {stop}: {report}");
        }
    }
}

#[test]
fn a_training_gives_the_terminal_back_and_is_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    let cartpole = scenario("classic/cartpole.toml");
    let train = ["train", &cartpole, "--set", "train.steps=1000000000", "--ui", "tui"];
    let cases: [(&[&str], i32, bool); 8] = [
        (&["signal:INT"], 130, true),
        (&["signal:TERM"], 130, true),
        (&["signal:HUP", "signal:HUP"], 130, true),
        (&["key:\\x03"], 130, true),
        (&["key:q", "see:cancel", "key:s"], 130, true),
        (&["signal:STOP", "stopped", "forget", "signal:CONT", "see:device", "signal:TERM"], 130, true),
        (&["signal:QUIT"], 131, false),
        (&["close"], 130, true),
    ];
    for (i, (actions, code, saved)) in cases.into_iter().enumerate() {
        let name = format!("run-{i}");
        let args: Vec<&str> = train.iter().copied().chain(["--out", &name]).collect();
        let actions: Vec<&str> = ["see:device"].into_iter().chain(actions.iter().copied()).collect();
        let report = session(folder.path(), &args, &actions);
        assert_eq!(report["code"], code, "{actions:?}: {report}");
        let closed = actions.contains(&"close");
        assert!(closed || is_restored(&report), "{actions:?}: {report}");
        let text = report["text"].as_str().unwrap_or_default();
        assert!(closed || text.contains("agon train --resume") == saved, "{actions:?}: {report}");
        assert_eq!(folder.path().join(&name).join("checkpoints/latest").exists(), saved, "{actions:?}");
    }
}

/// Several seeds have one dashboard, and one way to stop and go on.
#[test]
fn several_seeds_are_stopped_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let cartpole = scenario("classic/cartpole.toml");
    let train = ["train", &cartpole, "--set", "train.steps=1000000000", "--seeds", "4..5", "--ui", "tui", "--out"];
    for (name, actions) in [
        ("asked", &["see:left", "key:q", "see:cancel", "key:s"][..]),
        ("typed", &["see:left", "key:\\x03"]),
        ("told", &["see:left", "key:\\t", "signal:TERM"]),
    ] {
        let args: Vec<&str> = train.iter().copied().chain([name]).collect();
        let report = session(folder.path(), &args, actions);
        assert!(report["code"] == 130 && is_restored(&report), "{name}: {report}");
        let text = report["text"].as_str().unwrap_or_default();
        assert!(text.contains(&format!("agon train --resume {name}")), "{name}: {report}");
        let saved = |seed: u64| folder.path().join(format!("{name}/seed-{seed}/checkpoints/latest")).exists();
        assert!(saved(4) || saved(5), "{name}: one of them has told how long it takes");
    }
    let report = session(folder.path(), &["watch", "asked"], &["see:evaluation", "key:\\t", "see:device", "key:q"]);
    assert!(report["code"] == 0 && is_restored(&report), "{report}");
}

/// What people did not get from Agon itself reaches the terminal as text.
#[test]
fn nothing_from_outside_is_obeyed_by_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let esc = "\x1b[31m\u{9b}5m\u{202e}";
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("key.toml", "env = { id = \"classic/cartpole\", \"\\u001b[31m\" = 1 }\nagent = { kind = \"ppo\" }\n");
    write("name.toml", "env = { id = \"\\u001b[31m\\u009b5m\" }\nagent = { kind = \"\\u001b]0;x\\u0007\" }\n");
    write("raw.toml", &format!("env = {{ id = \"classic/cartpole\" }}\n# {esc}\nagent = {esc}\n"));
    write(
        "header.jsonl",
        "{\"env\":\"\\u001b[31m\",\"version\":1,\"settings\":{},\"seed\":1,\"actor\":\"\\u001b[31m\"}\n",
    );
    let words: [&[&str]; 12] = [
        &["train", "key.toml"],
        &["train", "name.toml"],
        &["train", "raw.toml"],
        &["train", esc],
        &["train", "key.toml", "--set", esc],
        &["train", "key.toml", &format!("--{esc}")],
        &[esc],
        &["replay", "header.jsonl"],
        &["envs", esc],
        &["play", esc, "--against", "random"],
        &["play", "games/tic-tac-toe", "--against", esc],
        &["tournament", "name.toml", esc],
    ];
    for args in words {
        let output = Command::new(AGON).current_dir(folder.path()).args(args).output().expect("agon runs");
        let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
        let obeyed = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
        assert!(!text.is_empty() && !text.contains(obeyed), "{args:?}: {text:?}");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    }
}

/// Rows without a class are asked about, and the answers are in a new table, which can be trained on.
#[test]
fn labels_are_asked_for_in_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = "a,b,kind\n".to_owned();
    for row in 0..120 {
        let (a, b) = (row * 37 % 101, row * 53 % 89);
        let kind = if row % 10 == 9 { "" } else { ["low", "high"][usize::from(a + b > 95)] };
        text += &format!("{a},{b},{kind}\n");
    }
    std::fs::write(folder.path().join("table.csv"), text).expect("a table");
    let agon = |args: &[&str]| {
        let output = Command::new(AGON).current_dir(folder.path()).args(args).output().expect("agon runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let train = ["train", "--data", "table.csv", "--target", "kind", "--ui", "plain", "--out", "run"];
    assert_eq!(agon(&train).0, Some(0));
    let asked = ["label", "run", "--count", "3"];
    let actions = ["see:answered", "key:1", "key:s", "key:2"];
    let report = session(folder.path(), &asked, &actions);
    assert!(report["code"] == 0 && is_restored(&report), "{report}");
    let labelled = std::fs::read_to_string(folder.path().join("labelled.csv")).expect("what was answered");
    assert_eq!(labelled.lines().filter(|line| line.ends_with(",,")).count(), 10, "{labelled}");
    assert_eq!(labelled.lines().count(), 121);
    // Nobody's file is written over: the next one has a number, and a file that is named must be new.
    let report = session(folder.path(), &asked, &["see:answered", "key:1", "key:q"]);
    assert!(report["code"] == 0 && folder.path().join("labelled-2.csv").is_file(), "{report}");
    let report = session(folder.path(), &["label", "run", "-o", "table.csv"], &["see:is not written over"]);
    assert_eq!(report["code"], 2, "{report}");
    let report = session(folder.path(), &["label", "run", "--by", "bald"], &["see:needs several models"]);
    assert_eq!(report["code"], 2, "{report}");
    let sets = ["--set", "data.split=given", "--set", "data.split_by=agon_part", "--out", "next"];
    let again = ["train", "--data", "labelled.csv", "--target", "kind", "--ui", "plain"];
    let (code, told) = agon(&[&again[..], &sets[..]].concat());
    assert_eq!(code, Some(0), "{told}");
    let rows = |run: &str| {
        let report = std::fs::read(folder.path().join(run).join("data-report.json")).expect("a report");
        serde_json::from_slice::<Value>(&report).expect("JSON")["parts"].clone()
    };
    let (before, after) = (rows("run"), rows("next"));
    assert_eq!(after[0].as_u64(), before[0].as_u64().map(|n| n + 2), "new labels are for training alone");
    assert!(before[1] == after[1] && before[2] == after[2]);
    let (code, told) = agon(&["label", "run"]);
    assert!(code == Some(2) && told.contains("no terminal"), "{told}");
}
