//! Recorded episodes as tables, and agents that learn from what a model makes of their observations, through the program.

mod common;

use common::{agon, told};
use serde_json::Value;
use std::path::Path;

fn run(folder: &Path, args: &[&str], code: i32) -> String {
    told(&agon(folder, args), code)
}

fn train(folder: &Path, what: &[&str], out: &str, more: &[&str]) -> String {
    run(folder, &[&["train"], what, &["--ui", "plain", "--out", out], more].concat(), 0)
}

fn newest(folder: &Path, run: &str) -> Vec<u8> {
    let checkpoints = folder.join(run).join("checkpoints");
    let name = std::fs::read_to_string(checkpoints.join("latest")).unwrap();
    std::fs::read(checkpoints.join(name.trim()).join("weights.safetensors")).unwrap()
}

#[test]
fn an_agent_learns_from_what_a_model_makes_of_recorded_states() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    let short = ["--set", "train.steps=4096", "--set", "eval.final_episodes=10"];
    train(dir, &["classic/pendulum"], "player", &[&short[..], &["--set", "eval.record=12"]].concat());

    // By observations alone, whole episodes apart; the default of latent numbers fits three.
    let said = train(dir, &["--data", "player", "--model", "autoencoder"], "states", &["--set", "train.steps=20"]);
    for part in ["by groups of `episode`", "action torque", "dropped (data.drop)"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let said = train(dir, &["--data", "player", "--target", "reward"], "rewards", &[]);
    assert!(said.contains("by groups of `episode`") && said.contains("pinball"), "{said}");
    // A folder of episodes, a file, and a file with several.
    std::fs::create_dir(dir.join("some")).unwrap();
    let mut all = String::new();
    for i in 0..3 {
        let text = std::fs::read_to_string(dir.join(format!("player/episodes/final-{i}.jsonl"))).unwrap();
        std::fs::write(dir.join(format!("some/{i}.jsonl")), &text).unwrap();
        all += &text;
    }
    std::fs::write(dir.join("all.jsonl"), &all).unwrap();
    for (data, out) in [("some", "a"), ("all.jsonl", "b")] {
        let said = train(dir, &["--data", data, "--model", "pca"], out, &[]);
        assert!(said.contains("600 rows") && said.contains("episodes are too few to divide (3)"), "{said}");
    }
    let damaged = all.replacen("\"action\":[", "\"action\":[7.5,", 1);
    std::fs::write(dir.join("damaged.jsonl"), damaged).unwrap();
    let said = run(dir, &["train", "--data", "damaged.jsonl", "--model", "pca", "--out", "c"], 2);
    assert!(said.contains("damaged.jsonl, episode 1: step 1"), "{said}");

    // What the run observes is its own: the model may go, and nothing may be exchanged.
    let with = ["--set", "features.from=states"];
    train(dir, &["classic/pendulum"], "one", &[&short[..], &with].concat());
    std::fs::rename(dir.join("states"), dir.join("away")).unwrap();
    train(dir, &["one/scenario.toml"], "two", &[]);
    assert!(newest(dir, "one") == newest(dir, "two"), "its scenario makes the same run");
    let mean = |told: String| -> f64 {
        serde_json::from_str::<Value>(told.lines().last().unwrap()).unwrap()["mean_return"].as_f64().unwrap()
    };
    let own = mean(run(dir, &["eval", "one", "--json"], 0));
    assert_eq!(
        mean(run(dir, &["eval", "one", "--scenario", "player/scenario.toml", "--episodes", "10", "--json"], 0)),
        own
    );
    assert!(run(dir, &["replay", "one", "--verify"], 0).contains("verified"));
    let said = run(dir, &["eval", "one", "--set", "features.from=a"], 2);
    assert!(said.contains("part of what it learned"), "{said}");
    let other = ["train", "classic/pendulum", "--out", "d", "--set", "features.from=away", "--from", "player"];
    assert!(run(dir, &other, 2).contains("what its agent observes"));
    let file = dir.join("one/features.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\"bias\":[", "\"bias\":[9.0,", 1)).unwrap();
    assert!(run(dir, &["eval", "one"], 2).contains("is not what the run began with"));
}
