//! PPO learns: a quick check for every day, the whole classic set over several seeds for `make test-long`.

use agon_agents::Device;
use agon_agents::evaluate::{evaluate, mean_ci95};
use agon_agents::registry::{self, Start};
use agon_core::Entry;
use serde_json::{Map, Value, json};

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// Mean return over `episodes` after training.
fn trained(entry: &Entry, env: &Value, agent: &Value, envs: usize, steps: u64, seed: u64, episodes: usize) -> f64 {
    agon_agents::set_threads(1);
    let batch = entry.build(&map(env), envs, 1).unwrap();
    let start = Start { env: batch, game: None, seed, steps, device: Device::Cpu, threads: 1, env_threads: 1 };
    let mut trainer = registry::find("ppo").unwrap().start(&map(agent), start).unwrap();
    while !trainer.done() {
        trainer.advance().unwrap();
    }
    let mut judge = entry.build(&map(env), episodes, 1).unwrap();
    mean_ci95(&evaluate(&mut *judge, &mut *trainer.policy().unwrap(), 77, 0).returns).0
}

#[test]
fn every_kind_of_head_learns() {
    let retail = agon_envs::find("pricing/retail").unwrap();
    let settings = json!({"gamma": 0.0, "rollout_steps": 32, "log_std": -0.5, "normalize_observation": true, "normalize_reward": true});
    // Two weeks an episode by default; the optimum is exact.
    let optimum = retail.build(&Map::new(), 1, 1).unwrap().optimum().unwrap();
    let mean = trained(&retail, &json!({}), &settings, 8, 40_000, 1, 200);
    assert!(mean > 0.97 * optimum && mean < 1.02 * optimum, "Gaussian: {mean} of {optimum}");

    let perishable = agon_envs::find("pricing/perishable").unwrap();
    let small = json!({"stock": 3, "periods": 10});
    let optimum = perishable.build(&map(&small), 1, 1).unwrap().optimum().unwrap();
    let settings = json!({"gamma": 1.0, "gae_lambda": 0.8, "entropy_coef": 0.02, "activation": "relu", "epochs": 4,
                          "rollout_steps": 32, "normalize_observation": false, "normalize_reward": false});
    let mean = trained(&perishable, &small, &settings, 32, 100_000, 1, 4000);
    assert!(mean > 0.93 * optimum && mean < 1.02 * optimum, "categorical: {mean} of {optimum}");
}

/// The scenarios of the repository, as they are.
fn scenario(name: &str) -> (Entry, Value, Value, usize, u64) {
    let path = format!("{}/../scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let mut table = serde_json::to_value(table).unwrap();
    let entry = agon_envs::find(table["env"]["id"].as_str().unwrap()).unwrap();
    for (section, key) in [("env", "id"), ("agent", "kind")] {
        table[section].as_object_mut().unwrap().remove(key);
    }
    let (envs, steps) = (table["train"]["envs"].as_u64().unwrap() as usize, table["train"]["steps"].as_u64().unwrap());
    (entry, table["env"].take(), table["agent"].take(), envs, steps)
}

fn reaches(name: &str, least: f64, seeds: u64) {
    let (entry, env, agent, envs, steps) = scenario(name);
    let means: Vec<f64> = (1..=seeds).map(|seed| trained(&entry, &env, &agent, envs, steps, seed, 100)).collect();
    assert!(means.iter().all(|m| *m >= least), "{name}: {means:?}, needs {least}");
}

#[test]
#[ignore = "long: make test-long"]
fn cartpole_is_solved_by_five_seeds() {
    reaches("classic/cartpole", 495.0, 5);
}

#[test]
#[ignore = "long: make test-long"]
fn acrobot_is_solved_by_three_seeds() {
    reaches("classic/acrobot", -85.0, 3);
}

#[test]
#[ignore = "long: make test-long"]
fn mountain_car_is_solved_by_three_seeds() {
    reaches("classic/mountain-car", -120.0, 3);
}

#[test]
#[ignore = "long: make test-long"]
fn pendulum_is_solved_by_three_seeds() {
    reaches("classic/pendulum", -180.0, 3);
}

#[test]
#[ignore = "long: make test-long"]
fn perishable_comes_within_one_percent_of_its_optimum() {
    let (entry, mut env, agent, envs, steps) = scenario("pricing/perishable");
    for (stock, periods) in [(20, 100), (10, 100), (5, 50)] {
        env["stock"] = stock.into();
        env["periods"] = periods.into();
        let optimum = entry.build(&map(&env), 1, 1).unwrap().optimum().unwrap();
        for seed in 1..=3 {
            let mean = trained(&entry, &env, &agent, envs, steps, seed, 40_000);
            assert!(mean >= 0.99 * optimum, "({stock}, {periods}) seed {seed}: {mean} of {optimum}");
        }
    }
}
