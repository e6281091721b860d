//! What a user sees, through the binary.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// `agon` in a folder of its own.
fn agon(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_agon"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs and expects success; gives stdout.
fn ok(folder: &Path, args: &[&str]) -> String {
    let out = agon(folder, args);
    assert!(out.status.success(), "agon {args:?}: {}", text(&out.stderr));
    text(&out.stdout)
}

/// Runs and expects a clean failure; gives stderr.
fn fails(folder: &Path, args: &[&str], code: i32) -> String {
    let out = agon(folder, args);
    let told = text(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "agon {args:?}: {told}");
    assert!(!told.contains("panicked"), "agon {args:?}: {told}");
    told
}

fn scenario(folder: &Path, body: &str) -> String {
    let path = folder.join("s.toml");
    std::fs::write(&path, body).unwrap();
    path.to_string_lossy().into_owned()
}

const SMALL: &str = r#"
env   = { id = "classic/cartpole" }
agent = { kind = "ppo", rollout_steps = 16, minibatch = 64, epochs = 2, hidden = [8], normalize_observation = true, normalize_reward = true }
train = { steps = 4_096, envs = 4, save_every = 1000 }
eval  = { every = 1_000, episodes = 3, final_episodes = 3 }
"#;

#[test]
fn no_arguments_print_commands_to_copy() {
    let dir = tempfile::tempdir().unwrap();
    let told = ok(dir.path(), &[]);
    let named: Vec<&str> =
        told.lines().filter_map(|l| l.trim().strip_prefix("agon train ")?.split_whitespace().next()).collect();
    assert!(named.len() >= 2 && named.iter().all(|name| agon::embedded::names().any(|n| n == *name)), "{told}");
}

/// From any folder, by name; where runs go can be said.
#[test]
fn scenarios_come_with_the_program() {
    let dir = tempfile::tempdir().unwrap();
    let listed = ok(dir.path(), &["scenarios", "--json"]);
    let listed: Vec<Value> = serde_json::from_str(&listed).unwrap();
    assert!(listed.iter().any(|s| s["name"] == "pricing/tuna" && s["about"].as_str().is_some_and(|a| !a.is_empty())));
    assert!(ok(dir.path(), &["scenarios", "pricing/tuna"]).contains("[fit]"));
    assert!(fails(dir.path(), &["scenarios", "pricing/tunaa"], 2).contains("did you mean `pricing/tuna`"));
    ok(dir.path(), &["scenarios", "--write", "mine"]);
    assert!(dir.path().join("mine/scenarios/data/tuna.csv").is_file());
    // Its data lie beside it, wherever one stands.
    ok(dir.path(), &["eval", "charged", "--scenario", "pricing/tuna", "--episodes", "2"]);
    let out = Command::new(env!("CARGO_BIN_EXE_agon"))
        .args([
            "train",
            "classic/cartpole",
            "--set",
            "train.steps=512",
            "--set",
            "eval.final_episodes=2",
            "--ui",
            "plain",
        ])
        .current_dir(dir.path())
        .env("AGON_RUNS", dir.path().join("kept"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(!dir.path().join("runs").exists());
    let runs: Vec<Value> = serde_json::from_str(&ok(dir.path(), &["runs", "kept", "--json"])).unwrap();
    assert!(runs.len() == 1 && runs[0]["state"] == "done" && runs[0]["mean_return"].is_number(), "{runs:?}");
}

/// Commands that are printed can be pasted.
#[test]
fn paths_in_printed_commands_are_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["train", "classic/cartpole", "--set", "train.steps=512", "--set", "eval.final_episodes=2"];
    let out = agon(dir.path(), &[&args[..], &["--ui", "plain", "--out", "a[1, 2] é's"]].concat());
    assert!(text(&out.stderr).contains("agon watch 'a[1, 2] é'\\''s'"), "{}", text(&out.stderr));
}

#[test]
fn names_of_what_is_no_game_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let told = fails(dir.path(), &["play", "classic/cartpole", "--against", "random"], 2);
    assert!(told.contains("is not a turn-based game"), "{told}");
    assert!(
        fails(dir.path(), &["play", "games/ches", "--against", "random"], 2).contains("did you mean `games/chess`")
    );
    assert!(fails(dir.path(), &["exploit", "games/chess", "random"], 2).contains("computed from the whole game"));
    assert!(ok(dir.path(), &["envs", "classic"]).contains("classic/acrobot"));
    assert!(ok(dir.path(), &["envs", "games/chess"]).len() < 4000);
    assert!(ok(dir.path(), &["scenarios", "--keys"]).contains("final_episodes"));
    assert!(ok(dir.path(), &["--version"]).contains('('));
    for shell in ["bash", "zsh", "fish"] {
        assert!(ok(dir.path(), &["completions", shell]).contains("tournament"));
    }
    assert!(ok(dir.path(), &["man"]).starts_with(".ie"));
}

#[test]
fn every_scenario_is_understood_whole() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name| root().join("scenarios").join(format!("{name}.toml")).to_string_lossy().into_owned();
    let all: Vec<String> = agon::embedded::names().map(file).collect();
    assert!(all.len() >= 6);
    // A world model learns from recorded episodes, and an agent trains in what it learned.
    let recorded = ["--episodes", "12", "--record", "runs/random/pendulum"];
    ok(dir.path(), &[&["eval", "random", "--scenario", "classic/pendulum"], &recorded[..]].concat());
    let world = ["--set", "train.steps=3", "--ui", "plain", "--out", "runs/model/pendulum-world/001"];
    ok(dir.path(), &[&["train", "model/pendulum-world"], &world[..]].concat());
    for file in all {
        if std::fs::read_to_string(&file).unwrap().contains("[model]") {
            let out = dir.path().join("model").to_string_lossy().into_owned();
            let args = ["train", &file, "--set", "train.steps=3", "--ui", "json", "--out", &out];
            let text = std::fs::read_to_string(&file).unwrap();
            if text.contains("`make data` fetches") {
                // Seconds a picture, and many of them: what they say is tested in tests/pictures.rs, of logs in
                // tests/bandit.rs, of texts in tests/tables.rs. Here they are absent.
                let absent = Command::new(env!("CARGO_BIN_EXE_agon")).args(args).env("AGON_DEPS", dir.path()).output();
                let absent = String::from_utf8_lossy(&absent.unwrap().stderr).into_owned();
                assert!(absent.contains("`make data` fetches"), "{file}: {absent}");
                continue;
            }
            let told = ok(dir.path(), &args);
            let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
            // Numbers are judged by their error, everything else by probabilities.
            let decides = match &file {
                file if file.ends_with("supervised/proline.toml") => "rmse",
                file if file.ends_with("unsupervised/wine-map.toml") => "cross_entropy",
                file if file.contains("/unsupervised/") => "squared_error",
                _ => "log_loss",
            };
            assert_eq!(last["scores"]["metrics"][0]["name"], decides, "{file}");
            std::fs::remove_dir_all(out).unwrap();
            continue;
        }
        if std::fs::read_to_string(&file).unwrap().contains("[entrants]") {
            let out = dir.path().join("tournament").to_string_lossy().into_owned();
            let args = ["tournament", &file, "--set", "tournament.pairs=1", "--json", "--out", &out];
            let text = std::fs::read_to_string(&file).unwrap();
            let engines = text.split("command=").skip(1).filter_map(|c| c.split([' ', ',', '"']).next());
            let missing =
                |program: &str| Command::new(program).stdin(Stdio::null()).stdout(Stdio::null()).spawn().is_err();
            if engines.into_iter().any(missing) {
                // A program that is not installed is said before anything is written.
                assert!(fails(dir.path(), &args, 2).contains("cannot be started"), "{file}");
                assert!(!Path::new(&out).exists());
                continue;
            }
            let told: Value = serde_json::from_str(&ok(dir.path(), &args)).unwrap();
            assert_eq!(told["finished"], true, "{file}");
            std::fs::remove_dir_all(out).unwrap();
            continue;
        }
        // Evaluating a random player reads, checks and builds everything but the weights.
        let told = ok(dir.path(), &["eval", "random", "--scenario", &file, "--episodes", "2", "--json"]);
        let scores: Value = serde_json::from_str(&told).unwrap();
        let against: Vec<&Value> = scores["baselines"].as_object().unwrap().values().collect();
        let games = against.iter().any(|s| s["losses"].is_number());
        assert!(!games || against.iter().all(|s| s["episodes"] == 2), "{file}");
        assert!(games || scores["episodes"] == 2, "{file}");
        assert!(scores["mean_return"].is_number() && scores["baselines"].is_object(), "{file}");
    }
}

#[test]
fn lists_are_complete_and_machine_readable() {
    let dir = tempfile::tempdir().unwrap();
    let envs: Value = serde_json::from_str(&ok(dir.path(), &["envs", "--json"])).unwrap();
    assert_eq!(envs.as_array().unwrap().len(), agon_envs::registry().len());
    let one = ok(dir.path(), &["envs", "pricing/perishable"]);
    assert!(one.contains("stock") && one.contains("optimal"), "{one}");
    let agents: Value = serde_json::from_str(&ok(dir.path(), &["agents", "--json"])).unwrap();
    assert!(agents[0]["settings"].as_array().unwrap().iter().any(|s| s["name"] == "gae_lambda"));
    let told = fails(dir.path(), &["envs", "classic/cartpol"], 2);
    assert!(told.contains("did you mean `classic/cartpole`"), "{told}");
}

#[test]
fn wrong_scenarios_are_told_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    for (from, to, part) in [
        ("rollout_steps", "rolout_steps", "did you mean `rollout_steps`"),
        ("\"ppo\"", "\"poo\"", "did you mean `ppo`"),
        ("\"classic/cartpole\"", "\"classic/cart\"", "did you mean `classic/cartpole`"),
        ("envs = 4", "envs = \"four\"", "expected an integer"),
        ("envs = 4", "envs = 0", "must lie in 1 to"),
        ("envs = 4", "envs = -4", "must be 0 or more"),
        ("epochs = 2", "epochs = 2.5", "expected an integer"),
        ("hidden = [8]", "hidden = [65_536, 65_536]", "GB of memory"),
        ("eval  =", "evla  =", "did you mean `eval`"),
        ("{ every", "every", "-->"),
        ("kind = \"ppo\", ", "", "`kind` is missing"),
        ("episodes = 3,", "episodes = 3, baselines = [\"optimal\"],", "no player is called `optimal`"),
    ] {
        assert!(SMALL.contains(from));
        let file = scenario(dir.path(), &SMALL.replacen(from, to, 1));
        let told = fails(dir.path(), &["train", &file], 2);
        assert!(told.contains(part) && told.contains("s.toml:"), "{part} in {told}");
        assert!(!dir.path().join("runs").exists(), "nothing runs on a scenario that was not understood");
    }
    let file = scenario(dir.path(), SMALL);
    let told = fails(dir.path(), &["train", &file, "--set", "agent.gama=1"], 2);
    assert!(told.contains("--set agent.gama=1") && told.contains("did you mean `gamma`"), "{told}");
    fails(dir.path(), &["train", "nowhere.toml"], 2);
    fails(dir.path(), &["train", &file, "--ui", "tui"], 2);
    fails(dir.path(), &["train", "--resume", "nowhere"], 2);
}

#[test]
fn wrong_tables_are_told_with_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let tuna = std::fs::read_to_string(root().join("scenarios/data/tuna.csv")).unwrap();
    let body = "fit = { data = 'sales.csv' }\nenv = { id = 'pricing/retail' }\nagent = { kind = 'ppo' }\n";
    let file = scenario(dir.path(), body);
    for (data, part) in [
        (String::new(), "empty"),
        (tuna.replacen("price_3", "prize_3", 1), "column `prize_3` nearly fits `price_{}`, did you mean `price_3`"),
        (tuna.replacen("0.9138", "cheap", 1), "line 2, column `price_1`: `cheap` is not a number"),
        (tuna.replacen("0.9138", "-0.9138", 1), "-0.9138 cannot be"),
    ] {
        std::fs::write(dir.path().join("sales.csv"), data).unwrap();
        let told = fails(dir.path(), &["train", &file], 2);
        assert!(told.contains(part) && told.contains("sales.csv"), "{part} in {told}");
    }
    std::fs::remove_file(dir.path().join("sales.csv")).unwrap();
    assert!(fails(dir.path(), &["train", &file], 2).contains("no file at"));
}

#[test]
fn train_evaluate_replay() {
    let dir = tempfile::tempdir().unwrap();
    let file = scenario(dir.path(), SMALL);
    let table = ok(dir.path(), &["train", &file, "--ui", "plain", "--out", "r"]);
    assert!(table.contains("ppo") && table.contains("random"), "{table}");
    let told = fails(dir.path(), &["train", &file, "--out", "r"], 2);
    assert!(told.contains("is there already"), "{told}");

    let one: Value = serde_json::from_str(&ok(dir.path(), &["eval", "r", "--episodes", "5", "--json"])).unwrap();
    let two: Value = serde_json::from_str(&ok(dir.path(), &["eval", "r", "--episodes", "5", "--json"])).unwrap();
    assert_eq!(one, two);
    assert!(one["baselines"]["random"]["mean_return"].is_number());

    let told = ok(dir.path(), &["replay", "r", "--verify"]);
    assert!(told.contains("verified"), "{told}");
    let episode = std::fs::read_dir(dir.path().join("r/episodes")).unwrap().next().unwrap().unwrap().path();
    for name in ["e.csv", "e.json", "e.cast", "e.gif"] {
        ok(dir.path(), &["replay", &episode.to_string_lossy(), "--export", name]);
        assert!(std::fs::metadata(dir.path().join(name)).unwrap().len() > 100, "{name}");
    }
    // One changed action, then one changed hash: the step is named.
    let lines: Vec<String> = std::fs::read_to_string(&episode).unwrap().lines().map(String::from).collect();
    let step: Value = serde_json::from_str(&lines[4]).unwrap();
    for (key, value) in [("action", serde_json::json!([1 - step["action"][0].as_i64().unwrap()])), ("hash", 1.into())] {
        let mut forged = step.clone();
        forged[key] = value;
        let mut copy = lines.clone();
        copy[4] = forged.to_string();
        std::fs::write(dir.path().join("forged.jsonl"), copy.join("\n")).unwrap();
        let told = fails(dir.path(), &["replay", "forged.jsonl", "--verify"], 3);
        assert!(told.contains("step 4 differs"), "{told}");
    }
    std::fs::write(dir.path().join("forged.jsonl"), lines[..5].join("\n")).unwrap();
    assert!(fails(dir.path(), &["replay", "forged.jsonl", "--verify"], 3).contains("cut short"));
    std::fs::write(dir.path().join("forged.jsonl"), "{}").unwrap();
    fails(dir.path(), &["replay", "forged.jsonl"], 2);
    assert!(ok(dir.path(), &["watch", "r"]).contains("4096 of 4096 steps, done"));
}

/// Every file of a run that must be bit-identical, by name.
fn exact(run: &Path) -> Vec<(String, Vec<u8>)> {
    let latest = std::fs::read_to_string(run.join("checkpoints/latest")).unwrap();
    let folder = format!("checkpoints/{}", latest.trim());
    let saved = ["weights.safetensors", "state.json", "checksums"].map(|name| format!("{folder}/{name}"));
    let names = ["metrics.jsonl", "scenario.toml"].map(String::from).into_iter().chain(saved);
    names.map(|name| (name.clone(), std::fs::read(run.join(&name)).unwrap())).collect()
}

/// Killed repeatedly, and resumed each time, a run ends bit-identical to one that was not.
#[cfg(unix)]
#[test]
fn a_killed_run_resumes_to_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let long = SMALL.replace("4_096", "30_000").replace("save_every = 1000", "save_every = 500");
    let file = scenario(dir.path(), &long);
    ok(dir.path(), &["train", &file, "--ui", "plain", "--out", "whole"]);
    let start = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_agon"))
            .args(args)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let broken = dir.path().join("broken");
    let latest = || std::fs::read_to_string(broken.join("checkpoints/latest")).unwrap_or_default();
    let mut kills = 0;
    let mut child = start(&["train", &file, "--ui", "plain", "--out", "broken"]);
    let mut seen = String::new();
    while child.try_wait().unwrap().is_none() {
        let now = latest();
        if now != seen && !now.is_empty() {
            seen = now;
            // Wherever it is by now: the checkpoint is some moments old.
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            child = start(&["train", "--resume", "broken", "--ui", "plain"]);
            if kills == 5 {
                break;
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(child.wait().unwrap().success());
    assert!(kills >= 1, "the run was never killed, so nothing was tested");
    for ((name, whole), (_, resumed)) in exact(&dir.path().join("whole")).into_iter().zip(exact(&broken)) {
        assert!(whole == resumed, "{name} differs after {kills} kills");
    }
}

/// Ctrl-C saves, prints the command that resumes, exits with 130; the resumed run is bit-identical.
#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = scenario(dir.path(), &SMALL.replace("4_096", "100_000"));
    ok(dir.path(), &["train", &file, "--ui", "plain", "--out", "whole"]);
    let child = Command::new(env!("CARGO_BIN_EXE_agon"))
        .args(["train", &file, "--ui", "plain", "--out", "stopped"])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !dir.path().join("stopped/checkpoints/latest").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let told = fails(dir.path(), &["train", "--resume", "stopped", "--ui", "plain"], 2);
    assert!(told.contains("is being trained by another process"), "{told}");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    let told = text(&out.stderr);
    assert_eq!(out.status.code(), Some(130), "{told}");
    assert!(told.contains("agon train --resume stopped"), "{told}");
    ok(dir.path(), &["train", "--resume", "stopped", "--ui", "plain"]);
    for ((name, whole), (_, resumed)) in
        exact(&dir.path().join("whole")).into_iter().zip(exact(&dir.path().join("stopped")))
    {
        assert!(whole == resumed, "{name} differs");
    }
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = scenario(dir.path(), SMALL);
    ok(dir.path(), &["train", &file, "--ui", "plain", "--out", "r"]);
    let latest = |run: &str| {
        let name = std::fs::read_to_string(dir.path().join(run).join("checkpoints/latest")).unwrap();
        dir.path().join(run).join("checkpoints").join(name.trim())
    };
    let folder = latest("r");
    let (weights, state) = (folder.join("weights.safetensors"), folder.join("state.json"));
    let (good_weights, good_state) = (std::fs::read(&weights).unwrap(), std::fs::read(&state).unwrap());
    for (path, good) in [(&weights, &good_weights), (&state, &good_state)] {
        for length in [0, 7, good.len() / 2, good.len() - 1] {
            std::fs::write(path, &good[..length]).unwrap();
            for args in [&["eval", "r"][..], &["train", "--resume", "r", "--ui", "plain"]] {
                assert!(fails(dir.path(), args, 2).contains("damaged"));
            }
        }
        std::fs::write(path, good).unwrap();
    }
    let wide = scenario(dir.path(), &SMALL.replace("hidden = [8]", "hidden = [9]"));
    ok(dir.path(), &["train", &wide, "--ui", "plain", "--out", "w"]);
    for name in ["weights.safetensors", "state.json", "checksums"] {
        std::fs::copy(latest("w").join(name), folder.join(name)).unwrap();
    }
    assert!(fails(dir.path(), &["eval", "r"], 2).contains("shape"));
    let other = root().join("scenarios/classic/pendulum.toml");
    let told = fails(dir.path(), &["eval", "r", "--scenario", &other.to_string_lossy()], 2);
    assert!(told.contains("was trained on classic/cartpole"), "{told}");
}

#[test]
fn the_resolved_scenario_gives_the_same_run() {
    let dir = tempfile::tempdir().unwrap();
    let file = root().join("scenarios/pricing/tuna.toml");
    let small = ["--set", "train.steps=4000", "--set", "eval.every=2000", "--set", "eval.final_episodes=2"];
    let file = file.to_string_lossy();
    let first = [&["train", &file, "--ui", "plain", "--out", "a"][..], &small].concat();
    ok(dir.path(), &first);
    ok(dir.path(), &["train", "a/scenario.toml", "--ui", "plain", "--out", "b"]);
    for ((name, a), (_, b)) in exact(&dir.path().join("a")).into_iter().zip(exact(&dir.path().join("b"))) {
        assert!(a == b, "{name} differs");
    }
}

/// The tables of `agon eval`: every observation that was met with what was done there, and what was counted step by step.
#[test]
fn policies_and_paths_are_written_as_tables() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = dir.path().join("s.toml");
    let text = "env = { id = 'pricing/single-leg', capacity = 2, periods = 6 }\nagent = { kind = 'exact' }\n";
    std::fs::write(&scenario, text).unwrap();
    let file = scenario.to_string_lossy().into_owned();
    ok(dir.path(), &["train", &file, "--ui", "plain", "--out", "r"]);
    let told = ok(dir.path(), &["eval", "r", "--episodes", "400", "--export", "prices.csv", "--path", "path.csv"]);
    assert!(told.contains("seats sold") && told.contains("earned more than random"), "{told}");
    let table = std::fs::read_to_string(dir.path().join("prices.csv")).unwrap();
    let mut lines = table.lines();
    let head = "seats left [seats],time left [periods],class 1 asks,class 2 asks,class 3 asks,action,times met";
    assert_eq!(lines.next(), Some(head));
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    let met: u64 = rows.iter().map(|r| r[6].parse::<u64>().unwrap()).sum();
    assert!(rows.iter().any(|r| r[..6] == ["2", "6", "1", "0", "0", "accept"]), "the best fare is always taken");
    assert!(rows.iter().all(|r| r[5] == "accept" || r[2] == "0"), "and never refused");
    let path = std::fs::read_to_string(dir.path().join("path.csv")).unwrap();
    let steps: Vec<Vec<f64>> =
        path.lines().skip(1).map(|l| l.split(',').map(|x| x.parse().unwrap()).collect()).collect();
    assert_eq!(path.lines().next(), Some("step,episodes,revenue,seats sold,seats left"));
    assert_eq!((steps[0][0], steps[0][1]), (0.0, 400.0));
    assert_eq!(met as f64, steps.iter().map(|s| s[1]).sum::<f64>(), "every step is in both tables");
    let duel = dir.path().join("duel.toml");
    std::fs::write(&duel, "env = { id = 'pricing/duopoly', periods = 9 }\nagent = { kind = 'tabular' }\n").unwrap();
    let duel = duel.to_string_lossy();
    ok(dir.path(), &["eval", "random", "--scenario", &duel, "--episodes", "3", "--export", "duel.csv"]);
    let table = std::fs::read_to_string(dir.path().join("duel.csv")).unwrap();
    assert!(table.starts_with("agent,"), "{table}");
    let sellers: Vec<&str> = table.lines().skip(1).map(|l| l.split(',').next().unwrap()).collect();
    assert!(sellers.is_sorted() && sellers.first() == Some(&"1") && sellers.last() == Some(&"2"), "{table}");
    let pole = dir.path().join("pole.toml");
    std::fs::write(&pole, "env = { id = 'classic/cartpole' }\nagent = { kind = 'ppo' }\n").unwrap();
    let told = fails(dir.path(), &["eval", "random", "--scenario", &pole.to_string_lossy(), "--path", "p.csv"], 2);
    assert!(told.contains("counts nothing"), "{told}");
}

/// What a seller may get wrong: each is refused with its reason, before anything is allocated or learned.
#[test]
fn markets_that_cannot_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (env, agent, part) in [
        ("id = 'pricing/perishable', stock = 0", "kind = 'ppo'", "must lie in 1 to"),
        ("id = 'pricing/perishable', prices = [3, 2]", "kind = 'ppo'", "in rising order"),
        ("id = 'pricing/perishable', scale = nan", "kind = 'ppo'", "expected a number"),
        ("id = 'pricing/perishable', scale = -1", "kind = 'ppo'", "must lie in"),
        ("id = 'pricing/single-leg', arrivals = [0.5, 0.4, 0.3]", "kind = 'ppo'", "must not exceed 1"),
        ("id = 'pricing/single-leg', fares = [60, 100, 35]", "kind = 'ppo'", "in falling order"),
        ("id = 'pricing/single-leg', fares = [60, 35]", "kind = 'ppo'", "one probability a fare"),
        ("id = 'pricing/assortment', costs = [9, 9, 9]", "kind = 'ppo'", "nothing can be earned"),
        ("id = 'pricing/duopoly', start = 15", "kind = 'ppo'", "places 0 to 14"),
        ("id = 'pricing/duopoly', spread = 0.0015", "kind = 'ppo'", "demand overflows"),
        ("id = 'pricing/learn-and-earn', price_range = [0.9, 1.0]", "kind = 'ppo'", "every price that can be best"),
        ("id = 'pricing/perishable', demand = 'poisson', scale = 1000", "kind = 'ppo'", "shorter periods"),
        ("id = 'pricing/retail', intercepts = [800, 1, 1]", "kind = 'ppo'", "no number any more"),
        ("id = 'pricing/duopoly'", "kind = 'tabular', initial = 'random-rivals', gamma = 1", "below 1"),
        ("id = 'pricing/duopoly', periods = 4_000_000_000", "kind = 'reinforce'", "whole episodes"),
        ("id = 'pricing/duopoly' }\neval = { env = { prices = 9 }", "kind = 'ppo'", "as they are in training"),
        ("id = 'games/tic-tac-toe'", "kind = 'tabular'", "cannot be evaluated"),
        ("id = 'pricing/retail', stock = [1]", "kind = 'ppo'", "one a product"),
        ("id = 'pricing/retail'", "kind = 'dqn'", "makes one choice a step"),
        ("id = 'pricing/retail'", "kind = 'tabular'", "make one choice a step"),
        ("id = 'pricing/duopoly'", "kind = 'exact'", "not one agent"),
        (
            "id = 'pricing/perishable', stock = 500, periods = 500",
            "kind = 'exact', most_states = 1000",
            "more than 1000",
        ),
        ("id = 'pricing/single-leg'", "kind = 'dqn', memory = 1e9, hidden = [65536, 65536]", "GB of memory"),
        ("id = 'pricing/single-leg'", "kind = 'dqn', returns = 'c51', lowest_return = 20", "below highest_return"),
        ("id = 'pricing/single-leg'", "kind = 'ppo', memory = 60000, hidden = [65536]", "GB of memory"),
    ] {
        let file = scenario(dir.path(), &format!("env = {{ {env} }}\nagent = {{ {agent} }}\n"));
        let told = fails(dir.path(), &["train", &file, "--ui", "plain", "--out", "r"], 2);
        assert!(told.contains(part), "{env} {agent}: {told}");
        assert!(!dir.path().join("r").exists(), "{env} {agent} left a run behind");
    }
}

/// In a checkout `agon new env` writes an environment, a row and a scenario; elsewhere, or twice, it writes nothing.
#[test]
fn a_new_environment_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let new = |name: &str, code: i32| {
        let out = Command::new(env!("CARGO_BIN_EXE_agon")).args(["new", "env", name]).current_dir(dir.path()).output();
        let out = out.unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        assert_eq!(out.status.code(), Some(code), "{name}: {told}");
        told
    };
    assert!(new("classic/grid-world", 2).contains("in a checkout of Agon"));
    for folder in ["envs/src/classic", "scenarios/classic"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    for file in ["envs/src/lib.rs", "envs/src/classic.rs"] {
        std::fs::copy(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file), dir.path().join(file)).unwrap();
    }
    let read = |file: &str| std::fs::read_to_string(dir.path().join(file)).unwrap();
    let before = read("envs/src/classic.rs");
    for (name, why) in [
        ("grid-world", "FAMILY/NAME"),
        ("classic/Grid", "small letters"),
        ("robots/x", "no family"),
        ("games/x", "Game"),
    ] {
        assert!(new(name, 2).contains(why), "{name}");
    }
    assert_eq!(read("envs/src/classic.rs"), before);
    new("classic/grid-world", 0);
    let (rows, code) = (read("envs/src/classic.rs"), read("envs/src/classic/grid_world.rs"));
    assert!(rows.contains("pub mod grid_world;") && rows.contains("Entry::env::<grid_world::GridWorld>("), "{rows}");
    assert!(code.contains("impl Env for GridWorld") && !code.contains("Walk"), "{code}");
    assert!(read("scenarios/classic/grid-world.toml").contains("classic/grid-world"));
    assert!(new("classic/grid-world", 2).contains("is there already"));
}
