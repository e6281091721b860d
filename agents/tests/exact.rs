//! Plans over an environment's transition probabilities reach the optima of its closed form or dynamic program.

use agon_agents::Device;
use agon_agents::evaluate::{evaluate, mean_ci95};
use agon_agents::registry;
use agon_agents::train::{Start, Training};
use serde_json::{Map, Value, json};

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn planned(env: &str, set: &Value, agent: &Value) -> (Box<dyn Training>, f64) {
    let env = agon_envs::find(env).unwrap().build(&map(set), 1, 1).unwrap();
    let start = Start { env, game: None, seed: 1, steps: 100_000, device: Device::Cpu, threads: 1, env_threads: 1 };
    let mut training = registry::find("exact").unwrap().start(&map(agent), start).unwrap();
    let mut value = f64::NAN;
    while !training.done() {
        value = training.advance().unwrap().iter().find(|(n, _)| n == "value").unwrap().1;
    }
    (training, value)
}

#[test]
fn both_methods_reach_the_known_optima() {
    let markets = [
        ("pricing/perishable", json!({"stock": 5, "periods": 50}), 1.0),
        ("pricing/perishable", json!({"stock": 6, "periods": 20, "demand": "poisson", "scale": 1.5}), 1.0),
        ("pricing/single-leg", json!({"capacity": 10, "periods": 50}), 1.0),
        ("pricing/duopoly", json!({"rivals": "tit-for-tat", "start": 7}), 0.95),
        ("pricing/duopoly", json!({"rivals": "undercut", "start": 7}), 0.95),
        ("pricing/duopoly", json!({"rivals": "undercut"}), 0.95),
        ("pricing/duopoly", json!({"rivals": "fixed", "start": 3}), 0.95),
    ];
    for (env, set, gamma) in &markets {
        for method in ["value-iteration", "policy-iteration"] {
            let (training, value) = planned(env, set, &json!({"method": method, "gamma": gamma}));
            let optimum = training.optimum().unwrap();
            assert!((value - optimum).abs() < 1e-6 * optimum, "{env} {set} by {method}: {value}, not {optimum}");
        }
    }
}

/// The optimum of 2048 on four cells, known from an independent program (`envs/tests/games.rs`).
#[test]
fn a_game_for_one_is_solved() {
    let (_, value) = planned("games/2048", &json!({"rows": 2, "columns": 2}), &json!({}));
    assert!((value - 66.964_149_457_1).abs() < 1e-9, "{value}");
}

/// What the outcomes say is what a step does.
#[test]
fn the_plan_earns_its_value() {
    for (env, set) in [
        ("pricing/perishable", json!({"stock": 5, "periods": 30, "demand": "poisson"})),
        ("pricing/single-leg", json!({"capacity": 6, "periods": 30})),
    ] {
        let (training, value) = planned(env, &set, &json!({}));
        let mut batch = agon_envs::find(env).unwrap().build(&map(&set), 20_000, 1).unwrap();
        let found = evaluate(&mut *batch, &mut training.policy().unwrap(), 5, 0, &mut |_| {});
        let (mean, ci95) = mean_ci95(&found.returns);
        assert!((mean - value).abs() < 1.6 * ci95.unwrap(), "{env}: earned {mean} ± {ci95:?}, planned {value}");
    }
}

#[test]
fn what_cannot_be_planned_is_refused() {
    for (env, set, agent, part) in [
        ("classic/cartpole", json!({}), json!({}), "does not give its transition probabilities"),
        ("pricing/duopoly", json!({}), json!({}), "not one agent"),
        ("pricing/retail", json!({}), json!({}), "not one agent"),
        ("pricing/single-leg", json!({}), json!({"most_states": 100}), "more than 100 states"),
    ] {
        let env = agon_envs::find(env).unwrap().build(&map(&set), 1, 1).unwrap();
        let start = Start { env, game: None, seed: 1, steps: 1, device: Device::Cpu, threads: 1, env_threads: 1 };
        let why = registry::find("exact").unwrap().start(&map(&agent), start).err().unwrap().to_string();
        assert!(why.contains(part), "{why}");
    }
}
