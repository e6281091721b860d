//! Agents learn: quick checks for every day, rows of docs/benchmarks.md over several seeds for `make test-long`.

use agon_agents::Device;
use agon_agents::evaluate::{evaluate, mean_ci95};
use agon_agents::registry;
use agon_agents::train::{Start, Training};
use agon_core::Entry;
use agon_core::policy::{self, Actor};
use serde_json::{Map, Value, json};

fn map(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// A training that begins. `agent` names its kind, as in a scenario.
fn start(entry: &Entry, env: &Value, agent: &Value, envs: usize, steps: u64, seed: u64) -> Box<dyn Training> {
    agon_agents::set_threads(1);
    let batch = entry.build(&map(env), envs, 1).unwrap();
    let start = Start { env: batch, game: None, seed, steps, device: Device::Cpu, threads: 1, env_threads: 1 };
    let mut settings = map(agent);
    let kind = settings.remove("kind").unwrap();
    registry::find(kind.as_str().unwrap()).unwrap().start(&settings, start).unwrap()
}

/// Mean return over `episodes` after training.
fn trained(entry: &Entry, env: &Value, agent: &Value, envs: usize, steps: u64, seed: u64, episodes: usize) -> f64 {
    let mut trainer = start(entry, env, agent, envs, steps, seed);
    while !trainer.done() {
        trainer.advance().unwrap();
    }
    earned(entry, env, &mut trainer.policy().unwrap(), episodes)
}

/// Mean return, of everybody on the same seeds.
fn earned(entry: &Entry, env: &Value, policy: &mut dyn Actor, episodes: usize) -> f64 {
    let mut env = entry.build(&map(env), episodes, 1).unwrap();
    mean_ci95(&evaluate(&mut *env, policy, 77, 0, &mut |_| {}).returns).0
}

#[test]
fn every_kind_of_head_learns() {
    let retail = agon_envs::find("pricing/retail").unwrap();
    let settings = json!({"kind": "ppo", "gamma": 0.0, "rollout_steps": 32, "log_std": -0.5, "normalize_observation": true, "normalize_reward": true});
    // Two weeks an episode by default; the optimum is exact.
    let optimum = retail.build(&Map::new(), 1, 1).unwrap().optimum().unwrap();
    let mean = trained(&retail, &json!({}), &settings, 8, 40_000, 1, 200);
    assert!(mean > 0.97 * optimum && mean < 1.02 * optimum, "Gaussian: {mean} of {optimum}");

    let perishable = agon_envs::find("pricing/perishable").unwrap();
    let small = json!({"stock": 3, "periods": 10});
    let optimum = perishable.build(&map(&small), 1, 1).unwrap().optimum().unwrap();
    let settings = json!({"kind": "ppo", "gamma": 1.0, "gae_lambda": 0.8, "entropy_coef": 0.02, "activation": "relu", "epochs": 4,
                          "rollout_steps": 32, "normalize_observation": false, "normalize_reward": false});
    let mean = trained(&perishable, &small, &settings, 32, 100_000, 1, 4000);
    assert!(mean > 0.93 * optimum && mean < 1.02 * optimum, "categorical: {mean} of {optimum}");
}

/// A bonus far too large keeps the policy near chance, ln 2 of two actions, unless it falls.
#[test]
fn an_entropy_bonus_lets_go_where_it_falls() {
    let cartpole = agon_envs::find("classic/cartpole").unwrap();
    let entropy = |schedule: &str| {
        let agent = json!({"kind": "ppo", "entropy_coef": 1.0, "entropy_coef_schedule": schedule, "learning_rate_schedule": "constant"});
        let mut trainer = start(&cartpole, &json!({}), &agent, 16, 60_000, 1);
        let mut last = f64::NAN;
        while !trainer.done() {
            let report = trainer.advance().unwrap();
            last = report.iter().find(|(name, _)| name == "entropy").map_or(last, |(_, value)| *value);
        }
        last
    };
    let (kept, fallen) = (entropy("constant"), entropy("linear"));
    assert!(kept > 0.6 && fallen < 0.5, "{kept}, {fallen}");
}

#[test]
fn the_small_policy_gradients_learn() {
    let cartpole = agon_envs::find("classic/cartpole").unwrap();
    // Sums of other kernels have other last digits, and then a seed is another run: two of three have to learn.
    for kind in ["a2c", "reinforce"] {
        let seed = |seed| trained(&cartpole, &json!({}), &json!({"kind": kind}), 16, 400_000, seed, 50);
        let mut means = [1, 2, 3].map(seed);
        means.sort_by(f64::total_cmp);
        assert!(means[1] >= 475.0, "{kind}: {means:?}");
    }
}

/// Without any gradient.
#[test]
fn the_cross_entropy_method_learns() {
    let cartpole = agon_envs::find("classic/cartpole").unwrap();
    let mean = trained(&cartpole, &json!({}), &json!({"kind": "cem"}), 16, 200_000, 1, 50);
    assert!(mean >= 475.0, "{mean}");
}

/// A flight small enough for all of them, with masks, against its exact optimum.
#[test]
fn every_value_based_agent_learns() {
    let flight = agon_envs::find("pricing/single-leg").unwrap();
    let small = json!({"capacity": 4, "periods": 20});
    let optimum = flight.build(&map(&small), 1, 1).unwrap().optimum().unwrap();
    let dqn = json!({"kind": "dqn", "hidden": [64], "gamma": 1.0, "reward_scale": 0.01, "learning_starts": 1000,
                     "train_every": 16, "gradient_steps": 2, "target_every": 1000, "memory": 50_000, "epsilon_share": 0.5, "n_step": 3,
                     "learning_rate_schedule": "linear"});
    let with = |more: Value| {
        let mut all = map(&dqn);
        all.extend(map(&more));
        Value::Object(all)
    };
    let returns = |kind: &str| json!({"returns": kind, "atoms": 31, "lowest_return": 0.0, "highest_return": 4.5});
    for (agent, steps) in [
        (with(json!({})), 120_000),
        (with(returns("c51")), 120_000),
        (with(returns("qr")), 120_000),
        (with(json!({"dueling": true, "noise": 0.5, "priority_exponent": 0.5})), 120_000),
        (
            json!({"kind": "tabular", "gamma": 1.0, "learning_rate": 0.02, "epsilon_decay": 2e-5, "epsilon_end": 0.05}),
            4_000_000,
        ),
        (json!({"kind": "exact"}), 1000),
    ] {
        let mean = trained(&flight, &small, &agent, 16, steps, 1, 10_000);
        assert!(mean > 0.95 * optimum && mean < 1.01 * optimum, "{agent}: {mean} of {optimum}");
    }
}

/// One of n: the way over ice that is not slippery takes six steps, and everybody finds it.
#[test]
fn one_of_many_is_learned_from() {
    let lake = agon_envs::find("classic/frozen-lake").unwrap();
    let dry = json!({"slippery": false});
    let dqn =
        json!({"kind": "dqn", "hidden": [128], "epsilon_share": 0.8, "learning_starts": 500, "target_every": 200});
    let ppo = json!({"kind": "ppo", "hidden": [32], "entropy_coef": 0.02, "rollout_steps": 64, "learning_rate": 3e-3});
    let tabular = json!({"kind": "tabular", "epsilon_decay": 1e-4, "initial": "zero"});
    for (agent, envs, steps) in
        [(dqn, 4, 30_000), (ppo, 16, 60_000), (tabular, 4, 200_000), (json!({"kind": "exact", "gamma": 0.99}), 1, 1000)]
    {
        let mean = trained(&lake, &dry, &agent, envs, steps, 1, 10);
        assert_eq!(mean, 1.0, "{agent}");
    }
}

/// Pictures: far better than at random, which earns 0.4, by convolutions that nobody had to ask for.
#[test]
fn pictures_are_learned_from() {
    let game = agon_envs::find("classic/breakout-10").unwrap();
    let dqn = json!({"kind": "dqn", "hidden": [64], "learning_rate": 5e-4, "n_step": 3, "target_every": 500, "train_every": 8, "epsilon_share": 0.5});
    let ppo = json!({"kind": "ppo", "hidden": [64], "activation": "relu", "shared_trunk": true, "epochs": 4, "normalize_reward": false});
    for (agent, steps) in [(dqn, 40_000), (ppo, 80_000)] {
        let mean = trained(&game, &json!({"step_limit": 500}), &agent, 16, steps, 1, 100);
        assert!(mean > 3.0, "{agent}: {mean}");
    }
}

/// The scenarios of the repository, as they are.
fn scenario(name: &str) -> (Entry, Value, Value, usize, u64) {
    let path = format!("{}/../scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let mut table = serde_json::to_value(table).unwrap();
    let entry = agon_envs::find(table["env"]["id"].as_str().unwrap()).unwrap();
    table["env"].as_object_mut().unwrap().remove("id");
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
fn bricks_are_broken_by_three_seeds() {
    reaches("classic/breakout-10", 10.0, 3);
    reaches("classic/breakout-10-dqn", 8.0, 3);
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
fn perishable_comes_within_one_percent_of_its_optimum_and_beats_the_best_fixed_price() {
    for name in ["pricing/perishable", "pricing/perishable-dqn"] {
        let (entry, mut env, agent, envs, steps) = scenario(name);
        for (stock, periods, scale, decay) in
            [(20, 100, 0.8, 0.25), (10, 100, 0.8, 0.25), (5, 50, 0.8, 0.25), (8, 40, 0.6, 0.3), (15, 60, 0.5, 0.2)]
        {
            env["stock"] = stock.into();
            env["periods"] = periods.into();
            env["scale"] = scale.into();
            env["decay"] = decay.into();
            let probe = entry.build(&map(&env), 1, 1).unwrap();
            let optimum = probe.optimum().unwrap();
            let mut fixed = policy::by_name(&*probe, "best-fixed-price", 0).unwrap();
            let fixed = earned(&entry, &env, &mut *fixed, 40_000);
            for seed in 1..=3 {
                let mean = trained(&entry, &env, &agent, envs, steps, seed, 40_000);
                let who = format!("{name} ({stock}, {periods}) seed {seed}");
                assert!(mean >= 0.99 * optimum && mean > fixed, "{who}: {mean} of {optimum}, a fixed price {fixed}");
            }
        }
    }
}

#[test]
#[ignore = "long: make test-long"]
fn flights_come_within_one_percent_of_their_optimum() {
    for name in ["pricing/single-leg", "pricing/single-leg-dqn"] {
        let (entry, mut env, agent, envs, steps) = scenario(name);
        for (capacity, periods) in [(20, 100), (10, 50)] {
            env["capacity"] = capacity.into();
            env["periods"] = periods.into();
            let optimum = entry.build(&map(&env), 1, 1).unwrap().optimum().unwrap();
            let mean = trained(&entry, &env, &agent, envs, steps, 1, 40_000);
            assert!(mean >= 0.99 * optimum, "{name} ({capacity}, {periods}): {mean} of {optimum}");
        }
    }
}

#[test]
#[ignore = "long: make test-long"]
fn scripted_rivals_are_answered() {
    for name in ["pricing/tit-for-tat", "pricing/undercut"] {
        let (entry, env, agent, envs, steps) = scenario(name);
        let optimum = entry.build(&map(&env), 1, 1).unwrap().optimum().unwrap();
        for seed in 1..=3 {
            let mean = trained(&entry, &env, &agent, envs, steps, seed, 1);
            assert!(mean >= 0.98 * optimum, "{name} seed {seed}: {mean} of {optimum}");
        }
    }
}

/// Calvano et al. 2020: what 100 sessions of Q-learning earn beyond the one-period Nash equilibrium, as a share of what
/// a monopoly would.
#[test]
#[ignore = "long: make test-long"]
fn tables_collude() {
    for (patience, index, within) in [(0.95, 0.84, 0.04), (0.0, 0.23, 0.05)] {
        let (entry, mut env, mut agent, envs, steps) = scenario("pricing/duopoly");
        env["discount"] = patience.into();
        agent["gamma"] = patience.into();
        let start = Start {
            env: entry.build(&map(&env), envs, 1).unwrap(),
            game: None,
            seed: 1,
            steps,
            device: Device::Cpu,
            threads: 1,
            env_threads: 1,
        };
        let mut settings = map(&agent);
        settings.remove("kind");
        let mut trainer = registry::find("tabular").unwrap().start(&settings, start).unwrap();
        while !trainer.done() {
            trainer.advance().unwrap();
        }
        env["periods"] = 2000.into();
        let mut env = entry.build(&map(&env), envs, 1).unwrap();
        let found = evaluate(&mut *env, &mut trainer.policy().unwrap(), 77, 0, &mut |_| {});
        let (_, all) = found.measures.iter().find(|(m, _)| m.name == "collusion index").unwrap();
        let (mean, ci95) = mean_ci95(all);
        assert!((mean - index).abs() <= within, "δ = {patience}: {mean} ± {ci95:?}, not {index} ± {within}");
    }
}
