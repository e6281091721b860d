//! Behaviour cloning from what a run has recorded, through the program: trained, evaluated, fine-tuned, resumed.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

const EXPERT: &str = r#"
env   = { id = "classic/cartpole" }
agent = { kind = "ppo", rollout_steps = 32, minibatch = 256, epochs = 20, gamma = 0.98, gae_lambda = 0.8, clip_range_schedule = "linear", normalize_observation = false, normalize_reward = false }
train = { steps = 60_000, envs = 8, seed = 1 }
eval  = { final_episodes = 20, record = 50 }
"#;

const CLONE: &str = r#"
env   = { id = "classic/cartpole" }
agent = { kind = "clone", data = ["expert"], normalize_observation = false }
train = { steps = 1_500, envs = 1, save_every = 100 }
eval  = { every = 500, episodes = 5, final_episodes = 50, seed = 2_000_003 }
"#;

fn agon(folder: &Path, args: &[&str], code: i32) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_agon")).args(args).current_dir(folder).output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(code), "agon {args:?}: {told}");
    assert!(!told.contains("panicked"), "{told}");
    told
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_clone_of_an_expert_balances_the_pole_and_is_fine_tuned() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    std::fs::write(dir.join("expert.toml"), EXPERT).unwrap();
    std::fs::write(dir.join("clone.toml"), CLONE).unwrap();
    let train = |scenario: &str, out: &str, more: &[&str]| {
        let mut args = vec!["train", scenario, "--ui", "plain", "--out", out];
        args.extend(more);
        agon(dir, &args, 0)
    };
    train("expert.toml", "expert", &[]);
    let told = train("clone.toml", "clone", &[]);
    for part in ["50 recorded episodes", "agreement", "log loss of test decisions"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    // The copy in the run is all that it needs; the expert is gone.
    std::fs::rename(dir.join("expert"), dir.join("away")).unwrap();
    let scores = json(&agon(dir, &["eval", "clone", "--json"], 0));
    assert!(scores["mean_return"].as_f64().unwrap() >= 475.0, "{scores}");
    let scores = json(&agon(dir, &["eval", "clone", "--scenario", "expert.toml", "--json"], 0));
    assert!(scores["mean_return"].as_f64().unwrap() >= 475.0, "{scores}");
    agon(dir, &["train", "clone/scenario.toml", "--ui", "plain", "--out", "again"], 0);
    let weights = |run: &str| std::fs::read(dir.join(run).join("checkpoints/best")).unwrap();
    assert_eq!(weights("clone"), weights("again"));
    let newest = |run: &str| {
        let name = std::fs::read_to_string(dir.join(run).join("checkpoints/latest")).unwrap();
        std::fs::read(dir.join(run).join("checkpoints").join(name.trim()).join("weights.safetensors")).unwrap()
    };
    assert!(newest("clone") == newest("again"), "its scenario makes the same run");

    // PPO begins with it: what it evaluates first is no worse than what it began with.
    let told =
        train("expert.toml", "tuned", &["--from", "clone", "--set", "train.steps=2048", "--set", "eval.record=0"]);
    assert!(told.contains("it begins with the weights of clone"), "{told}");
    assert!(
        json(&std::fs::read_to_string(dir.join("tuned/evaluation.json")).unwrap())["mean_return"].as_f64()
            > Some(300.0)
    );
    let wide = ["train", "expert.toml", "--from", "clone", "--out", "w", "--set", "agent.hidden=[5]", "--ui", "plain"];
    assert!(agon(dir, &wide, 2).contains("shape"));
    let dqn = ["train", "classic/cartpole-dqn", "--from", "clone", "--out", "w", "--ui", "plain"];
    assert!(agon(dir, &dqn, 2).contains("its agent is clone"));
}

/// SAC and TD3 begin with a clone whose policy is squashed, and do from the first step on what it does; the others
/// begin with one that is not.
#[test]
fn sac_and_td3_begin_with_a_squashed_clone() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    let write = |name: &str, agent: &str, train: &str| {
        let text = format!(
            "env = {{ id = \"classic/pendulum\" }}\nagent = {{ {agent} }}\ntrain = {{ {train} }}\neval = {{ every = 1000, episodes = 2, final_episodes = 10, record = 10 }}"
        );
        std::fs::write(dir.join(name), text).unwrap();
    };
    let networks = r#"hidden = [32, 32], normalize_observation = true"#;
    write("expert.toml", "kind = \"ppo\", rollout_steps = 64", "steps = 2048, envs = 4");
    let squashed =
        format!("kind = \"clone\", data = [\"expert\"], policy = \"squashed\", activation = \"relu\", {networks}");
    write("squashed.toml", &squashed, "steps = 300");
    write("plain.toml", &format!("kind = \"clone\", data = [\"expert\"], {networks}"), "steps = 30");
    for kind in ["sac", "td3"] {
        let agent =
            format!("kind = \"{kind}\", {networks}, learning_starts = 64, minibatch = 64, policy_starts = 1000");
        write(&format!("{kind}.toml"), &agent, "steps = 200, envs = 1");
    }
    write(
        "ppo.toml",
        &format!("kind = \"ppo\", {networks}, deviation = \"state\", activation = \"relu\""),
        "steps = 64, envs = 1",
    );
    let train = |name: &str, more: &[&str], code: i32| {
        let (scenario, mut args) = (format!("{name}.toml"), vec!["--ui", "plain"]);
        args.extend(more);
        let out = if more.contains(&"--out") { vec![] } else { vec!["--out", name] };
        agon(dir, &[&["train", &scenario], &out[..], &args].concat(), code)
    };
    for name in ["expert", "squashed", "plain"] {
        train(name, &[], 0);
    }
    let mean = |run: &str| {
        json(&std::fs::read_to_string(dir.join(run).join("evaluation.json")).unwrap())["mean_return"].as_f64().unwrap()
    };
    for kind in ["sac", "td3"] {
        assert!(train(kind, &["--from", "plain"], 2).contains("`policy = \"squashed\"`"));
        train(kind, &["--from", "squashed"], 0);
        // The actor has not learned yet.
        assert!((mean(kind) - mean("squashed")).abs() < 1e-3 * mean(kind).abs(), "{} {}", mean(kind), mean("squashed"));
        train(kind, &["--from", "squashed", "--out", &format!("{kind}-whole"), "--set", "agent.policy_starts=50"], 0);
        assert!(mean(&format!("{kind}-whole")) != mean(kind), "{kind}");
    }
    assert!(train("ppo", &["--from", "squashed"], 2).contains("`policy = \"gaussian\"`"));
}

#[test]
fn what_cannot_be_learned_from_is_told() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    let train = |data: &str| {
        let data = format!("agent.data={data}");
        std::fs::write(dir.join("clone.toml"), CLONE).unwrap();
        agon(dir, &["train", "clone.toml", "--ui", "plain", "--out", "c", "--set", &data], 2)
    };
    assert!(train("[]").contains("names no recorded episodes"));
    assert!(train("['nowhere/*.jsonl']").contains("nowhere/*.jsonl"));
    std::fs::write(dir.join("other.toml"), EXPERT.replace("cartpole", "acrobot")).unwrap();
    let args = [
        "train",
        "other.toml",
        "--ui",
        "plain",
        "--out",
        "other",
        "--set",
        "train.steps=256",
        "--set",
        "eval.record=3",
    ];
    agon(dir, &args, 0);
    assert!(train("['other']").contains("it was played in classic/acrobot"));
    let file = std::fs::read_dir(dir.join("other/episodes")).unwrap().flatten().next().unwrap().path();
    let damaged = std::fs::read_to_string(&file).unwrap().replacen("\"hash\":", "\"hash\":1", 3);
    std::fs::write(dir.join("damaged.jsonl"), damaged.replace("acrobot", "cartpole")).unwrap();
    train("['damaged.jsonl']");
    assert!(!dir.join("c").exists());
}
