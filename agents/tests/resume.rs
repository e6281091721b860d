//! A training that is saved, dropped and loaded continues bit-identical to one that never stopped.

use agon_agents::agent::Place;
use agon_agents::checkpoint;
use agon_agents::evaluate::evaluate;
use agon_agents::on_policy::clone::Demonstration;
use agon_agents::registry;
use agon_agents::train::{Start, Training};
use agon_agents::{AgentError, Device};
use agon_core::game::Visit;
use agon_core::policy::Policy;
use agon_core::{ActionBuf, Game};
use agon_search::Evaluate;
use agon_search::self_play::Rules;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

fn start(env: &str, set: &Value, kind: &str, agent: &Value, steps: u64) -> Box<dyn Training> {
    threaded(env, set, kind, agent, steps, 1)
}

fn threaded(env: &str, set: &Value, kind: &str, agent: &Value, steps: u64, threads: usize) -> Box<dyn Training> {
    agon_agents::set_threads(1);
    let map = |v: &Value| v.as_object().cloned().unwrap();
    let game = game_of(env, set, kind);
    let env = agon_envs::find(env).unwrap().build(&map(set), 4, 1).unwrap();
    let start = Start { env, game: game.as_deref(), seed: 3, steps, device: Device::Cpu, threads, env_threads: 1 };
    registry::find(kind).unwrap().start(&map(agent), start).unwrap()
}

/// The game that AlphaZero learns.
fn game_of(env: &str, set: &Value, kind: &str) -> Option<Box<dyn Rules>> {
    struct Host;
    impl Visit for Host {
        type Out = Box<dyn Rules>;
        fn visit<G: Game>(self, game: G) -> Self::Out {
            Box::new(game)
        }
    }
    (kind == "alphazero").then(|| agon_envs::games::visit(env, set.as_object().unwrap(), Host).unwrap())
}

/// Everything of a training as bytes: weights, memory, generators, environments.
fn bits(training: &dyn Training) -> (Map<String, Value>, Value, Value) {
    let (saved, rest) = training.save();
    let mut tensors = Map::new();
    for (name, tensor) in &saved.tensors {
        let mut numbers = vec![0.0; tensor.numel()];
        agon_agents::bridge::read_f32(&tensor.to_kind(tch::Kind::Float), &mut numbers);
        let numbers: Vec<u32> = numbers.iter().map(|x| x.to_bits()).collect();
        tensors.insert(name.clone(), json!(numbers));
    }
    (tensors, saved.state, rest)
}

/// Returns the agent's state at the save.
fn resumes(env: &str, set: &Value, kind: &str, agent: &Value) -> Value {
    let (steps, half) = (4000, 1900);
    let fresh = || start(env, set, kind, agent, steps);
    let mut straight = fresh();
    let folder = tempfile::tempdir().unwrap();
    let mut saved_at = None;
    while !straight.done() {
        straight.advance().unwrap();
        if saved_at.is_none() && straight.step() >= half {
            let (saved, rest) = straight.save();
            checkpoint::write(&folder.path().join("half"), &saved, &rest, &Value::Null).unwrap();
            saved_at = Some(straight.step());
        }
    }
    assert!(saved_at.unwrap() < straight.step(), "there is something left to do after the save");
    let (saved, rest) = checkpoint::read(&folder.path().join("half")).unwrap();
    let mut resumed = fresh();
    resumed.load(&saved, Some(&rest)).unwrap();
    assert_eq!(resumed.step(), saved_at.unwrap());
    while !resumed.done() {
        resumed.advance().unwrap();
    }
    let (a, b) = (bits(&*straight), bits(&*resumed));
    assert_eq!(a.0.keys().collect::<Vec<_>>(), b.0.keys().collect::<Vec<_>>());
    for (name, numbers) in &a.0 {
        assert!(numbers == &b.0[name], "{kind} on {env}: `{name}` differs");
    }
    assert_eq!((a.1, a.2), (b.1, b.2), "{kind} on {env}");
    saved.state
}

#[test]
fn dqn_resumes_exactly() {
    let small = json!({"hidden": [16, 24], "memory": 900, "learning_starts": 100, "train_every": 32,
                       "gradient_steps": 4, "target_every": 200, "temperature": 0.5});
    resumes("classic/cartpole", &json!({}), "dqn", &small);
    // Chunks cut by which units are active; all gradients are too long, so that the last bits of their norms count.
    let mut wide = small.as_object().cloned().unwrap();
    wide.extend(json!({"hidden": [256, 256], "minibatch": 32, "max_grad_norm": 1e-3}).as_object().cloned().unwrap());
    let state = resumes("classic/cartpole", &json!({}), "dqn", &Value::Object(wide));
    assert!(state["lit"][0].as_u64() < Some(256), "some units are inactive: {}", state["lit"]);
    // A step limit that is met, masks, priorities, noise, distributions: everything that has a state of its own.
    let mut rainbow = small.as_object().cloned().unwrap();
    let more = json!({"n_step": 3, "priority_exponent": 0.6, "noise": 0.5, "dueling": true, "returns": "c51",
                      "atoms": 11, "normalize_observation": true});
    rainbow.extend(more.as_object().cloned().unwrap());
    resumes("classic/mountain-car", &json!({}), "dqn", &Value::Object(rainbow.clone()));
    rainbow.insert("returns".into(), "qr".into());
    resumes("pricing/single-leg", &json!({}), "dqn", &Value::Object(rainbow));
}

/// What began with a clone goes on after a save as it would have without: actions are the policy's before learning begins.
#[test]
fn a_start_from_a_clone_resumes_exactly() {
    let of = |kind: &str, steps: u64| {
        let small = json!({"hidden": [16], "memory": 900, "learning_starts": 500, "train_every": 32, "minibatch": 64});
        start("classic/pendulum", &json!({}), kind, &small, steps)
    };
    let clone = json!({"hidden": [16], "policy": "squashed", "activation": "relu", "normalize_observation": false});
    let episodes = vec![
        Demonstration {
            obs: vec![0.5; 60],
            mask: Vec::new(),
            actions: ActionBuf::Continuous((0..20).map(|k| (k as f32).sin()).collect())
        };
        8
    ];
    let env = agon_envs::find("classic/pendulum").unwrap().build(&Map::new(), 1, 1).unwrap();
    let begin = Start { env, game: None, seed: 4, steps: 50, device: Device::Cpu, threads: 1, env_threads: 1 };
    let entry = registry::find("clone").unwrap();
    let mut cloned = entry.start_from(clone.as_object().unwrap(), begin, &episodes).unwrap();
    while !cloned.done() {
        cloned.advance().unwrap();
    }
    for kind in ["sac", "td3"] {
        let mut whole = of(kind, 1000);
        let cold = bits(&*whole);
        whole.warm(&cloned.save().0).unwrap();
        assert!(bits(&*whole) != cold, "{kind}");
        while whole.step() < 256 {
            whole.advance().unwrap();
        }
        let (saved, rest) = whole.save();
        let mut again = of(kind, 1000);
        again.load(&saved, Some(&rest)).unwrap();
        for training in [&mut whole, &mut again] {
            while !training.done() {
                training.advance().unwrap();
            }
        }
        assert!(bits(&*whole) == bits(&*again), "{kind}");
    }
}

/// Parts of a minibatch of uneven size, on one thread and on three.
#[test]
fn threads_change_nothing_of_dqn() {
    let trained = |threads: usize| {
        let set = json!({"hidden": [256, 256], "learning_starts": 200, "train_every": 32, "gradient_steps": 4,
                         "minibatch": 100, "target_every": 200, "double": false});
        let mut training = threaded("classic/cartpole", &json!({}), "dqn", &set, 2000, threads);
        while !training.done() {
            training.advance().unwrap();
        }
        bits(&*training)
    };
    assert!(trained(1) == trained(3));
}

/// Convolutions, too, are worked on in the same parts whatever does the work.
#[test]
fn threads_change_nothing_of_pictures() {
    let dqn = json!({"hidden": [32], "learning_starts": 200, "train_every": 32, "minibatch": 100, "n_step": 3});
    let ppo = json!({"hidden": [32], "rollout_steps": 64, "minibatch": 200, "epochs": 2});
    for (kind, set) in [("dqn", dqn), ("ppo", ppo)] {
        let trained = |threads: usize| {
            let mut training = threaded("classic/breakout-10", &json!({}), kind, &set, 2000, threads);
            while !training.done() {
                training.advance().unwrap();
            }
            bits(&*training)
        };
        assert!(trained(1) == trained(3), "{kind}");
    }
}

#[test]
fn continuous_control_resumes_exactly() {
    let small = json!({"hidden": [16, 24], "memory": 900, "learning_starts": 100, "train_every": 32,
                       "gradient_steps": 4, "minibatch": 64, "policy_every": 2});
    for kind in ["sac", "td3", "xqc"] {
        resumes("classic/pendulum", &json!({}), kind, &small);
    }
}

/// A warm start, with another number of environments, acts as what it begins with, and learns on.
#[test]
fn a_warm_start_acts_as_what_it_begins_with() {
    let small = json!({"hidden": [16], "memory": 900, "learning_starts": 100, "train_every": 32, "minibatch": 64});
    let played = |training: &dyn Training| {
        let mut batch = agon_envs::find("classic/pendulum").unwrap().build(&Map::new(), 20, 1).unwrap();
        evaluate(&mut *batch, &mut training.policy().unwrap(), 7, 0, &mut |_| {}).returns
    };
    for kind in ["sac", "td3", "xqc"] {
        let mut learned = start("classic/pendulum", &json!({}), kind, &small, 1000);
        while !learned.done() {
            learned.advance().unwrap();
        }
        let env = agon_envs::find("classic/pendulum").unwrap().build(&Map::new(), 3, 1).unwrap();
        let begin = Start { env, game: None, seed: 4, steps: 600, device: Device::Cpu, threads: 1, env_threads: 1 };
        let mut warm = registry::find(kind).unwrap().start(small.as_object().unwrap(), begin).unwrap();
        assert!(played(&*warm) != played(&*learned), "{kind}");
        warm.warm(&learned.save().0).unwrap();
        assert!(played(&*warm) == played(&*learned), "{kind}");
        while !warm.done() {
            warm.advance().unwrap();
        }
        assert!(played(&*warm) != played(&*learned), "{kind}");
    }
}

/// Parts of a minibatch of uneven size, on one thread and on three.
#[test]
fn threads_change_nothing_of_continuous_control() {
    for kind in ["sac", "td3", "xqc"] {
        let trained = |threads: usize| {
            let set = json!({"hidden": [256, 256], "learning_starts": 200, "train_every": 32, "minibatch": 200});
            let mut training = threaded("classic/pendulum", &json!({}), kind, &set, 1000, threads);
            while !training.done() {
                training.advance().unwrap();
            }
            bits(&*training)
        };
        assert!(trained(1) == trained(3), "{kind}");
    }
}

#[test]
fn tables_resume_exactly() {
    for rule in ["q-learning", "sarsa"] {
        let agent = json!({"rule": rule, "report_every": 100});
        resumes("pricing/single-leg", &json!({"capacity": 5, "periods": 20}), "tabular", &agent);
        let own = json!({"rule": rule, "report_every": 100, "tables": "own", "initial": "random-rivals"});
        resumes("pricing/duopoly", &json!({"periods": 37, "prices": 5}), "tabular", &own);
    }
}

#[test]
fn ppo_resumes_exactly() {
    let small = json!({"hidden": [16], "rollout_steps": 32, "epochs": 2, "minibatch": 64});
    resumes("classic/pendulum", &json!({}), "ppo", &small);
    resumes("pricing/single-leg", &json!({}), "ppo", &small);
    let mut recurrent = small.as_object().cloned().unwrap();
    recurrent.insert("memory".into(), json!(8));
    resumes("classic/pendulum", &json!({}), "ppo", &Value::Object(recurrent));
    let state = resumes("classic/pendulum", &json!({}), "ppo", &with(&small, adaptive()));
    let rate = state["learning_rate"].as_f64().unwrap();
    assert!(rate != 1e-3 && state["value_moments"].is_object(), "{rate} has changed");
}

/// What PPO's step size and values adapt to.
fn adaptive() -> Value {
    json!({"desired_kl": 0.005, "normalize_value": true, "deviation": "state"})
}

fn with(settings: &Value, more: Value) -> Value {
    let mut all = settings.as_object().cloned().unwrap();
    all.extend(more.as_object().cloned().unwrap());
    Value::Object(all)
}

#[test]
fn cem_resumes_exactly() {
    // More members than rows, and rows that wait for the last ones.
    let small = json!({"population": 7, "episodes": 2, "hidden": [4]});
    let state = resumes("classic/cartpole", &json!({}), "cem", &small);
    assert!(state["generation"]["number"].as_u64() > Some(0));
    resumes("pricing/single-leg", &json!({}), "cem", &json!({"population": 5}));
}

#[test]
fn a2c_and_reinforce_resume_exactly() {
    resumes("classic/pendulum", &json!({}), "a2c", &json!({"hidden": [16]}));
    for env in ["classic/pendulum", "pricing/single-leg"] {
        resumes(env, &json!({}), "reinforce", &json!({"hidden": [16], "batch": 700}));
    }
}

/// Small trainings of every kind, with everything that has a state of its own.
fn all_kinds() -> Vec<(&'static str, Value, &'static str, Value)> {
    let none = json!({});
    let ppo = json!({"hidden": [8], "rollout_steps": 16, "epochs": 2, "minibatch": 24});
    let recurrent = json!({"hidden": [8], "rollout_steps": 16, "epochs": 2, "minibatch": 24, "memory": 4});
    let pool = json!({"hidden": [8], "rollout_steps": 16, "epochs": 2, "minibatch": 24, "pool_size": 2, "pool_every": 2,
                      "normalize_observation": false});
    let dqn = json!({"hidden": [8], "memory": 200, "learning_starts": 60, "train_every": 16, "gradient_steps": 3,
                     "minibatch": 8, "target_every": 50});
    let rainbow = json!({"hidden": [8], "memory": 200, "learning_starts": 60, "train_every": 16, "gradient_steps": 3,
                         "minibatch": 8, "target_every": 50, "n_step": 3, "priority_exponent": 0.6, "noise": 0.5,
                         "normalize_observation": true});
    let actor_critic = json!({"hidden": [8], "memory": 200, "learning_starts": 60, "train_every": 16,
                              "gradient_steps": 3, "minibatch": 140, "n_step": 3, "policy_every": 2,
                              "normalize_observation": true});
    let xqc = json!({"hidden": [8], "critic_hidden": [8, 8], "memory": 200, "learning_starts": 60, "train_every": 16,
                     "minibatch": 140, "n_step": 3, "bins": 11});
    let alphazero = json!({"width": 8, "blocks": 1, "simulations": 4, "moves": 40, "window": 200, "minibatch": 16,
                           "passes": 2.0});
    let short = json!({"step_limit": 20});
    vec![
        ("classic/breakout-10", short.clone(), "ppo", with(&ppo, json!({"conv": [[4, 3, 2], [3, 2, 1]]}))),
        ("classic/breakout-10", short.clone(), "ppo", with(&recurrent, json!({"conv": [[4, 3, 2]]}))),
        ("classic/breakout-10", short, "dqn", with(&dqn, json!({"conv": [[4, 3, 2]]}))),
        ("classic/frozen-lake", none.clone(), "a2c", json!({"hidden": [8]})),
        ("classic/frozen-lake", none.clone(), "dqn", rainbow.clone()),
        ("classic/cartpole", none.clone(), "ppo", ppo),
        ("classic/pendulum", none.clone(), "ppo", with(&recurrent, adaptive())),
        ("classic/pendulum", none.clone(), "ppo", recurrent),
        ("classic/cartpole", none.clone(), "cem", json!({"population": 6, "hidden": [4]})),
        ("games/tic-tac-toe", none.clone(), "ppo", pool),
        ("classic/pendulum", none.clone(), "a2c", json!({"hidden": [8]})),
        ("pricing/single-leg", none.clone(), "reinforce", json!({"hidden": [8], "batch": 100})),
        ("classic/cartpole", none.clone(), "dqn", dqn),
        ("pricing/single-leg", none.clone(), "dqn", rainbow),
        ("classic/pendulum", none.clone(), "sac", actor_critic.clone()),
        ("pricing/perishable", json!({"price_range": [1.0, 8.0]}), "td3", actor_critic),
        ("classic/pendulum", none.clone(), "xqc", xqc),
        ("pricing/single-leg", json!({"capacity": 3, "periods": 9}), "tabular", json!({"report_every": 20})),
        ("pricing/single-leg", json!({"capacity": 3, "periods": 9}), "exact", json!({"method": "policy-iteration"})),
        ("games/tic-tac-toe", none, "alphazero", alphazero),
    ]
}

/// Asked to stop at any moment, a training is as it was at the last one at which it could be saved, or can go on from
/// where it is: saved and loaded it ends bit-identical.
#[test]
fn stopped_anywhere_it_ends_in_the_same_bits() {
    for (env, set, kind, agent) in all_kinds() {
        let fresh = || start(env, &set, kind, &agent, 500);
        let mut straight = fresh();
        while !straight.done() {
            straight.advance().unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let reopened = |training: &dyn Training| {
            let (saved, rest) = training.save();
            checkpoint::write(&folder.path().join("now"), &saved, &rest, &Value::Null).unwrap();
            let (saved, rest) = checkpoint::read(&folder.path().join("now")).unwrap();
            let mut other = fresh();
            other.load(&saved, Some(&rest)).unwrap();
            other
        };
        let (mut stopped, mut stops) = (fresh(), 0);
        for question in (0..).step_by(5) {
            let asked = AtomicUsize::new(0);
            let stop = || asked.fetch_add(1, Ordering::Relaxed) >= question % 23;
            if stopped.advance_until(&stop).unwrap().is_none() {
                stops += 1;
                stopped = reopened(&*stopped);
                assert!(!stopped.done(), "{kind} on {env}: what it was stopped in is not done");
                stopped.advance().unwrap();
            }
            if stopped.done() {
                break;
            }
            stopped = reopened(&*stopped);
        }
        assert!(stops > 0, "{kind} on {env} was never stopped");
        assert!(bits(&*straight) == bits(&*stopped), "{kind} on {env} differs after {stops} stops");
    }
}

/// What acts of a checkpoint, without its training, acts as the training's own policy does; on another thread, too.
#[test]
fn a_policy_needs_no_training() {
    for (env, set, kind, agent) in all_kinds() {
        let mut training = start(env, &set, kind, &agent, 500);
        while !training.done() {
            training.advance().unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let (saved, rest) = training.save();
        checkpoint::write(&folder.path().join("now"), &saved, &rest, &Value::Null).unwrap();
        let (saved, _) = checkpoint::read_for_inference(&folder.path().join("now")).unwrap();
        assert!(saved.tensors.iter().all(|(name, _)| !name.starts_with("adam.") && !name.starts_with("replay.")));
        let entry = registry::find(kind).unwrap();
        let settings = entry.resolve(agent.as_object().unwrap()).unwrap();
        let build = |n: usize| agon_envs::find(env).unwrap().build(set.as_object().unwrap(), n, 1).unwrap();
        let (game, probe) = (game_of(env, &set, kind), build(1));
        let place = Place { spec: probe.spec(), game: game.as_ref().map(|g| g.game_spec()), device: Device::Cpu };
        let other = entry.inference(&settings, &place, &saved).unwrap().expect("a new save holds enough");
        assert_eq!(other.network.is_some(), training.network().is_some(), "{kind} on {env}");
        assert_eq!(other.policy.is_some(), training.policy().is_some(), "{kind} on {env}");
        if let (Some(own), Some(theirs)) = (training.network(), other.network) {
            let (n, width, actions) = (5, probe.spec().obs_len(), probe.spec().action.mask_len());
            let evaluated = |mut network: Box<dyn Evaluate>| {
                let obs: Vec<f32> = (0..n * width).map(|i| (i * 7 % 3) as f32 - 1.0).collect();
                let (mut logits, mut value) = (vec![0.0; n * actions], vec![0.0; n]);
                network.evaluate(&obs, &mut logits, &mut value);
                (logits, value)
            };
            assert_eq!(evaluated(own), evaluated(theirs), "{kind} on {env}");
        }
        let played = |policy: Box<dyn Policy>| {
            let mut policy = policy;
            let mut batch = build(20);
            evaluate(&mut *batch, &mut policy, 7, 0, &mut |_| {}).returns
        };
        if let (Some(own), Some(theirs)) = (training.policy(), other.policy) {
            let theirs = std::thread::scope(|s| s.spawn(|| played(theirs)).join().unwrap());
            assert_eq!(played(own), theirs, "{kind} on {env}");
        }
    }
}

/// Damage of any kind is told: with checksums always, without them (as older versions wrote) it is at least never a
/// panic, an endless loop, or numbers that are none.
#[test]
fn damage_is_told() {
    for (env, set, kind, agent) in all_kinds() {
        let fresh = || start(env, &set, kind, &agent, 500);
        let mut training = fresh();
        while !training.done() && training.step() < 250 {
            training.advance().unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("now");
        let (saved, rest) = training.save();
        checkpoint::write(&at, &saved, &rest, &Value::Null).unwrap();
        let file = |name: &str| std::fs::read(at.join(name)).unwrap();
        for name in ["weights.safetensors", "state.json", "checksums"] {
            let good = file(name);
            for i in 0..40 {
                let mut bad = good.clone();
                let bit = i * good.len() * 8 / 40 + i % 8;
                bad[bit / 8] ^= 1 << (bit % 8);
                std::fs::write(at.join(name), &bad).unwrap();
                let told = checkpoint::read(&at);
                assert!(matches!(told, Err(AgentError::Damaged(_))), "{kind}: bit {bit} of {name}");
            }
            std::fs::write(at.join(name), &good[..good.len() - 1]).unwrap();
            assert!(matches!(checkpoint::read(&at), Err(AgentError::Damaged(_))), "{kind}: {name} cut");
            std::fs::remove_file(at.join(name)).unwrap();
            assert!(matches!(checkpoint::read(&at), Err(AgentError::Damaged(_))), "{kind}: {name} gone");
            std::fs::write(at.join(name), &good).unwrap();
        }
        // As older versions wrote it, and every number of the state in turn something else.
        let whole: Value = serde_json::from_slice(&file("state.json")).unwrap();
        std::fs::remove_file(at.join("checksums")).unwrap();
        let mut places = Vec::new();
        walk(&whole, String::new(), &mut places);
        let stride = places.len().div_ceil(60);
        for place in places.iter().step_by(stride) {
            for other in [json!(u64::MAX), json!(1u64 << 62), json!(-1), json!(1e300), json!("x"), Value::Null] {
                let mut state = whole.clone();
                *state.pointer_mut(place).unwrap() = other;
                state.as_object_mut().unwrap().remove("checksums");
                std::fs::write(at.join("state.json"), state.to_string()).unwrap();
                goes_on_or_is_refused(&at, &mut *fresh());
            }
        }
        // A weight that is no number.
        let mut weights = file("weights.safetensors");
        let last = weights.len() - 4;
        weights[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        let mut state = whole;
        state.as_object_mut().unwrap().remove("checksums");
        std::fs::write(at.join("state.json"), state.to_string()).unwrap();
        std::fs::write(at.join("weights.safetensors"), &weights).unwrap();
        // Where the last bytes are those of a number.
        if saved.tensors.iter().all(|(_, t)| t.kind() == tch::Kind::Float) {
            assert!(checkpoint::read(&at).is_err_and(|e| e.to_string().contains("no number")), "{kind}");
        }
    }
}

/// The places of all leaves of a value.
fn walk(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(table) => table.iter().for_each(|(k, v)| walk(v, format!("{at}/{k}"), places)),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, v)| walk(v, format!("{at}/{i}"), places)),
        _ => places.push(at),
    }
}

fn goes_on_or_is_refused(folder: &Path, training: &mut dyn Training) {
    let Ok((saved, rest)) = checkpoint::read(folder) else { return };
    if training.load(&saved, Some(&rest)).is_ok() && !training.done() {
        let asked = AtomicUsize::new(0);
        let _ = training.advance_until(&|| asked.fetch_add(1, Ordering::Relaxed) > 3000);
        assert!(asked.load(Ordering::Relaxed) <= 3001, "it went on and on");
    }
}
