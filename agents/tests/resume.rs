//! A training that is saved, dropped and loaded goes on in the same bits as one that never stopped.

use agon_agents::Device;
use agon_agents::checkpoint;
use agon_agents::registry::{self, Start};
use agon_agents::train::Training;
use serde_json::{Map, Value, json};

fn start(env: &str, set: &Value, kind: &str, agent: &Value, steps: u64) -> Box<dyn Training> {
    threaded(env, set, kind, agent, steps, 1)
}

fn threaded(env: &str, set: &Value, kind: &str, agent: &Value, steps: u64, threads: usize) -> Box<dyn Training> {
    agon_agents::set_threads(1);
    let map = |v: &Value| v.as_object().cloned().unwrap();
    let env = agon_envs::find(env).unwrap().build(&map(set), 4, 1).unwrap();
    let start = Start { env, game: None, seed: 3, steps, device: Device::Cpu, threads, env_threads: 1 };
    registry::find(kind).unwrap().start(&map(agent), start).unwrap()
}

/// Everything of a training as bytes: weights, memory, generators, environments.
fn bits(training: &dyn Training) -> (Map<String, Value>, Value, Value) {
    let (saved, rest) = training.save();
    let mut tensors = Map::new();
    for (name, tensor) in &saved.tensors {
        let mut numbers = vec![0.0; tensor.numel()];
        agon_agents::bridge::read_f32(tensor, &mut numbers);
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
            checkpoint::write(&folder.path().join("half"), &saved, &rest).unwrap();
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
    // Stretches cut by which units are dark; all gradients are too long, so that the last bits of their norms count.
    let mut wide = small.as_object().cloned().unwrap();
    wide.extend(json!({"hidden": [256, 256], "minibatch": 32, "max_grad_norm": 1e-3}).as_object().cloned().unwrap());
    let state = resumes("classic/cartpole", &json!({}), "dqn", &Value::Object(wide));
    assert!(state["lit"][0].as_u64() < Some(256), "some units are dark: {}", state["lit"]);
    // A step limit that is met, masks, priorities, noise, distributions: everything that has a state of its own.
    let mut rainbow = small.as_object().cloned().unwrap();
    let more = json!({"n_step": 3, "priority_exponent": 0.6, "noise": 0.5, "dueling": true, "returns": "c51",
                      "atoms": 11, "normalize_observation": true});
    rainbow.extend(more.as_object().cloned().unwrap());
    resumes("classic/mountain-car", &json!({}), "dqn", &Value::Object(rainbow.clone()));
    rainbow.insert("returns".into(), "qr".into());
    resumes("pricing/single-leg", &json!({}), "dqn", &Value::Object(rainbow));
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
}

#[test]
fn a2c_and_reinforce_resume_exactly() {
    resumes("classic/pendulum", &json!({}), "a2c", &json!({"hidden": [16]}));
    for env in ["classic/pendulum", "pricing/single-leg"] {
        resumes(env, &json!({}), "reinforce", &json!({"hidden": [16], "batch": 700}));
    }
}
