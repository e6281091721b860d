//! Self-play through the binary: train, kill, resume, evaluate, play in tournaments.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn agon(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agon"));
    command.args(args).current_dir(folder).stdin(Stdio::null()).output().expect("the binary starts")
}

fn ok(folder: &Path, args: &[&str]) -> String {
    let out = agon(folder, args);
    assert!(out.status.success(), "agon {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Ends with exit code 2; what was said.
fn refused(folder: &Path, args: &[&str]) -> String {
    let out = agon(folder, args);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "agon {args:?}: {told}");
    told
}

const ALPHAZERO: &str = r#"
env   = { id = "games/tic-tac-toe" }
agent = { kind = "alphazero", width = 8, blocks = 1, simulations = 8, opening_plies = 2, moves = 256, minibatch = 150, window = 2000, resign_below = -0.9 }
train = { steps = 3_000, envs = 16, env_threads = 2, save_every = 500 }
eval  = { every = 1_000, episodes = 4, final_episodes = 10, opponents = ["random", "greedy"] }
"#;

const PPO: &str = r#"
env   = { id = "games/tic-tac-toe" }
agent = { kind = "ppo", hidden = [16], rollout_steps = 16, minibatch = 128, epochs = 2, normalize_observation = false, pool_size = 3, pool_every = 2, pool_weights = "pfsp" }
train = { steps = 6_000, envs = 16, save_every = 1_000 }
eval  = { every = 2_000, episodes = 4, final_episodes = 10 }
"#;

const DQN: &str = r#"
env   = { id = "games/tic-tac-toe" }
agent = { kind = "dqn", hidden = [64], learning_rate = 1e-3, gamma = 1.0, memory = 20_000, learning_starts = 500, train_every = 64, gradient_steps = 16, minibatch = 64, target_every = 500, epsilon_end = 0.1 }
train = { steps = 40_000, envs = 16, save_every = 4_000 }
eval  = { every = 20_000, episodes = 4, final_episodes = 200 }
"#;

/// What must be bit-identical: metrics, and the last checkpoint.
fn bits(run: &Path) -> (String, Vec<u8>, Value) {
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let latest = std::fs::read_to_string(run.join("checkpoints/latest")).unwrap();
    let folder = run.join("checkpoints").join(latest.trim());
    let weights = std::fs::read(folder.join("weights.safetensors")).unwrap();
    let state: Value = serde_json::from_slice(&std::fs::read(folder.join("state.json")).unwrap()).unwrap();
    (metrics, weights, state)
}

/// Parts of a minibatch, of one thread or of a thread each.
#[test]
fn threads_change_nothing_of_alphazero() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("s.toml"), ALPHAZERO).unwrap();
    let trained = |threads: usize, minibatch: usize| {
        let (set, out) = (format!("train.threads={threads}"), format!("{threads} {minibatch}"));
        let size = format!("agent.minibatch={minibatch}");
        ok(dir.path(), &["train", "s.toml", "--ui", "plain", "--out", &out, "--set", &set, "--set", &size]);
        bits(&dir.path().join(out))
    };
    for minibatch in [60, 150] {
        assert!(trained(1, minibatch) == trained(2, minibatch), "{minibatch}");
    }
}

#[test]
fn runs_that_were_killed_end_in_the_same_bits() {
    for (name, body) in [("alphazero", ALPHAZERO), ("ppo", PPO), ("dqn", DQN)] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("s.toml"), body).unwrap();
        ok(dir.path(), &["train", "s.toml", "--ui", "plain", "--out", "whole"]);
        let mut child = Command::new(env!("CARGO_BIN_EXE_agon"))
            .args(["train", "s.toml", "--ui", "plain", "--out", "cut"])
            .current_dir(dir.path())
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let latest = dir.path().join("cut/checkpoints/latest");
        while !latest.is_file() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        ok(dir.path(), &["train", "--resume", "cut", "--ui", "plain"]);
        assert!(bits(&dir.path().join("whole")) == bits(&dir.path().join("cut")), "{name}");
    }
}

#[test]
fn what_was_learned_is_evaluated_and_plays() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (name, body) in [("zero", ALPHAZERO), ("ppo", PPO)] {
        std::fs::write(at.join(format!("{name}.toml")), body).unwrap();
        ok(at, &["train", &format!("{name}.toml"), "--ui", "plain", "--out", &format!("runs/{name}")]);
    }
    let json: Value = serde_json::from_str(&ok(at, &["eval", "runs/zero", "--episodes", "30", "--json"])).unwrap();
    let against = &json["baselines"]["against random"];
    let count = |key: &str| against[key].as_u64().unwrap();
    assert_eq!((count("wins") + count("draws") + count("losses"), json["episodes"].as_u64()), (30, Some(60)));
    let mean = (count("wins") as f64 - count("losses") as f64) / 30.0;
    assert!((against["mean_return"].as_f64().unwrap() - mean).abs() < 1e-9, "{against}");
    ok(at, &["replay", "runs/zero", "--verify"]);
    ok(at, &["replay", "runs/ppo", "--verify"]);

    std::fs::write(at.join("p.txt"), "\u{feff}# the only way to win at once\r\na1 b1 a2 b2 => a3\r\n").unwrap();
    let args = ["eval", "minimax:depth=9", "--scenario", "zero.toml", "--positions", "p.txt"];
    assert!(ok(at, &args).contains("1 of 1 positions solved"));
    std::fs::write(at.join("p.txt"), "a1 a1 => a3\n").unwrap();
    let told = refused(at, &["eval", "runs/zero", "--positions", "p.txt"]);
    assert!(told.contains("p.txt:1") && told.contains("`a1` is not legal"), "{told}");

    let games = ["runs/zero:simulations=20", "runs/ppo:simulations=0,temperature=1", "random"];
    let args = [&["tournament"], &games[..], &["--set", "tournament.pairs=4", "--out", "t", "--json"]].concat();
    let json: Value = serde_json::from_str(&ok(at, &args)).unwrap();
    assert_eq!(json["games"], 24, "{json}");
    ok(at, &["replay", "t", "--verify"]);
    ok(at, &["tournament", "--resume", "t"]);

    let told = refused(at, &["tournament", "runs/zero", "./runs/zero/"]);
    assert!(told.contains("named twice"), "{told}");
    let told = refused(at, &["tournament", "runs/zero", "runs/none"]);
    assert!(told.contains("runs/none") && told.contains("no such run"), "{told}");
    std::fs::write(at.join("c4.toml"), ALPHAZERO.replace("tic-tac-toe", "connect-four")).unwrap();
    let told = refused(at, &["eval", "runs/zero", "--scenario", "c4.toml"]);
    assert!(told.contains("trained on games/tic-tac-toe"), "{told}");
    let told = refused(at, &["play", "games/connect-four", "--against", "runs/zero"]);
    assert!(told.contains("trained on games/tic-tac-toe"), "{told}");
}

/// An evaluation's opponent may be a program: it is told when a game begins and what was played, and its moves are made
/// to the end. Were one of them not, it would have to be told the game anew.
#[test]
fn engines_are_opponents_for_whole_games() {
    let dir = tempfile::tempdir().unwrap();
    let engine = |language: &str, how: &str, more: &str| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/agents/search/tests/fake_engine.py");
        format!("{language}:command=python3 '{script}' {language} {how}{more}")
    };
    let scenario = |game: &str, opponent: &str| {
        let body = PPO.replace("games/tic-tac-toe", game);
        let body = body.replace("eval  = {", &format!("eval  = {{ opponents = ['''{opponent}'''],"));
        std::fs::write(dir.path().join("s.toml"), body).unwrap();
    };
    let told = |log: &str, end: &str| {
        let text = std::fs::read_to_string(dir.path().join(log)).unwrap();
        text.lines().filter(|l| l.ends_with(end)).count()
    };
    scenario("games/tic-tac-toe", &engine("gtp", "fine", ",log=gtp.log"));
    ok(dir.path(), &["eval", "greedy", "--scenario", "s.toml"]);
    let started = told("gtp.log", "> boardsize 3");
    assert_eq!(told("gtp.log", "> clear_board"), started + 10, "a new board for each of ten games");
    // What is saved of such games are games.
    ok(dir.path(), &["train", "s.toml", "--ui", "plain", "--out", "run", "--set", "train.steps=512"]);
    ok(dir.path(), &["replay", "run", "--verify"]);
    // The script knows one line of chess, whoever plays, in which the second seat wins.
    scenario("games/chess", &engine("uci", "fine", ",nodes=5,log=uci.log"));
    let agent = engine("uci", "fine", ",nodes=5");
    let out = ok(dir.path(), &["eval", &agent, "--scenario", "s.toml", "--json", "--set", "eval.opening_plies=0"]);
    let json: Value = serde_json::from_str(&out).unwrap();
    let against = json["baselines"].as_object().unwrap().values().next().unwrap();
    assert_eq!([&against["wins"], &against["losses"]], [5, 5], "{out}");
    assert_eq!((told("uci.log", "> ucinewgame"), told("uci.log", "moves f2f3 e7e5 g2g4")), (10, 5));
    // One that breaks down ends the evaluation; the message says who and when.
    scenario("games/tic-tac-toe", &engine("gtp", "die 2", ""));
    let out = agon(dir.path(), &["eval", "greedy", "--scenario", "s.toml"]);
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(
        text.contains("gtp die 2: it ended with exit code 7") && text.contains("(game 2, after 4 moves)"),
        "{text}"
    );
}

/// One network plays both seats; what it learned there beats who moves at random.
#[test]
fn dqn_plays_against_itself() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("s.toml"), DQN).unwrap();
    ok(dir.path(), &["train", "s.toml", "--ui", "plain", "--out", "run"]);
    let text = std::fs::read_to_string(dir.path().join("run/evaluation.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert!(json["baselines"]["against random"]["mean_return"].as_f64().unwrap() > 0.6, "{text}");
}

#[test]
fn what_cannot_be_learned_so_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (from, to, part) in [
        ("games/tic-tac-toe", "classic/cartpole", "plays games"),
        ("games/tic-tac-toe", "games/leduc-poker", "do not see everything"),
        ("games/tic-tac-toe", "games/2048", "two players"),
        ("\"greedy\"", "\"gredy\"", "did you mean `greedy`"),
        ("resign_below = -0.9", "resign_below = 0.9", "resign_below"),
    ] {
        std::fs::write(dir.path().join("s.toml"), ALPHAZERO.replace(from, to)).unwrap();
        let told = refused(dir.path(), &["train", "s.toml"]);
        assert!(told.contains(part), "{to}: {told}");
    }
    std::fs::write(dir.path().join("s.toml"), PPO.replace("games/tic-tac-toe", "classic/cartpole")).unwrap();
    assert!(refused(dir.path(), &["train", "s.toml"]).contains("several agents"));
}

/// Perfect play at tic-tac-toe, three seeds: 1,000 games against a perfect player, none lost.
#[test]
#[ignore = "minutes: make test-long"]
fn tic_tac_toe_is_played_perfectly() {
    for (learner, seed) in ["alphazero", "ppo", "dqn"].into_iter().flat_map(|l| ["1", "2", "3"].map(|seed| (l, seed))) {
        let scenario = format!("{}/scenarios/games/tic-tac-toe-{learner}.toml", env!("CARGO_MANIFEST_DIR"));
        let dir = tempfile::tempdir().unwrap();
        ok(dir.path(), &["train", &scenario, "--seed", seed, "--ui", "plain", "--out", "run"]);
        let text = std::fs::read_to_string(dir.path().join("run/evaluation.json")).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let perfect = &json["baselines"]["against minimax:depth=9,random_ties=true"];
        assert_eq!((&perfect["episodes"], &perfect["losses"]), (&1000.into(), &0.into()), "{learner} {seed}: {text}");
    }
}
