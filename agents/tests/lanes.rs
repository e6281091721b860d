//! Random numbers follow from the seed and a row's place among all rows of a run: a batch of 64, or its halves in two
//! places, act alike and come to the same states, bit by bit.

use agon_agents::Device;
use agon_agents::registry;
use agon_agents::train::{Start, Training};
use serde_json::{Value, json};

/// The states of the environments in the end, from `first_lane` on. Nothing is learned: the rate is 0.
fn states(env: &str, kind: &str, settings: &Value, first_lane: u32, envs: usize) -> Vec<Value> {
    let mut settings = settings.as_object().cloned().unwrap();
    settings.extend(json!({"hidden": [8], "learning_rate": 0.0}).as_object().cloned().unwrap());
    let entry = agon_envs::find(env).unwrap();
    let env = entry.build_part(&serde_json::Map::new(), first_lane, envs, 1).unwrap();
    let steps = 100 * envs as u64;
    let start = Start { env, game: None, seed: 5, steps, device: Device::Cpu, threads: 1, env_threads: 1 };
    let mut training: Box<dyn Training> = registry::find(kind).unwrap().start(&settings, start).unwrap();
    while !training.done() {
        training.advance().unwrap();
    }
    training.save().1["envs"].as_array().unwrap().clone()
}

#[test]
fn halves_of_a_batch_act_as_the_whole() {
    let on_policy = json!({"rollout_steps": 50, "normalize_observation": false, "normalize_reward": false});
    let explores = json!({"learning_starts": 1, "train_every": 640, "memory": 2000, "minibatch": 8});
    let with = |more: Value| {
        let mut all = explores.as_object().cloned().unwrap();
        all.extend(more.as_object().cloned().unwrap());
        Value::Object(all)
    };
    for (env, kind, settings) in [
        ("classic/cartpole", "ppo", on_policy.clone()),
        ("classic/pendulum", "ppo", on_policy.clone()),
        ("classic/cartpole", "a2c", on_policy),
        ("classic/cartpole", "dqn", with(json!({"epsilon_end": 0.5}))),
        ("classic/cartpole", "dqn", with(json!({"epsilon_end": 0.1, "temperature": 1.0}))),
        ("classic/pendulum", "sac", explores.clone()),
        ("classic/pendulum", "td3", explores.clone()),
        // Its actor's statistics would move at any rate.
        ("classic/pendulum", "xqc", with(json!({"policy_every": 10_000}))),
    ] {
        let whole = states(env, kind, &settings, 0, 64);
        let halves = [0, 32].map(|first| states(env, kind, &settings, first, 32)).concat();
        assert_eq!(whole.len(), 64);
        assert!(whole == halves, "{kind} on {env}");
        assert!(whole[..32] != whole[32..], "{kind} on {env}: rows are told apart");
    }
}
