//! A task that needs memory is learned by recurrent PPO and by no other agent.

use agon_agents::Device;
use agon_agents::evaluate::{evaluate, mean_ci95};
use agon_agents::registry;
use agon_agents::train::Start;
use agon_core::error::EnvError;
use agon_core::{ActionSpec, Entry, Field, Rng, Spec};
use agon_core::{Actions, Env, Status};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

agon_core::settings! {
    /// There is nothing to set.
    pub struct Nothing {}
}

/// A sign, 1 or −1, is shown once; after a few blank steps it must be repeated for a reward of 1.
#[derive(Clone)]
struct Recall(Spec);

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    sign: f32,
    t: u32,
}

const BLANKS: u32 = 4;

impl Env for Recall {
    type Settings = Nothing;
    type State = State;
    const VERSION: u32 = 1;

    fn new(_: Nothing) -> Result<Self, EnvError> {
        let mut spec = Spec::new(vec![Field::new("sign", "", -1.0, 1.0)], ActionSpec::discrete(["-1", "1"]), 100);
        spec.masked = true;
        Ok(Self(spec))
    }

    fn spec(&self) -> &Spec {
        &self.0
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        *state = State { sign: if rng.below(2) == 0 { -1.0 } else { 1.0 }, t: 0 };
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], _: &mut Rng) -> Status {
        state.t += 1;
        if state.t <= BLANKS {
            return Status::Running;
        }
        let said = if actions.discrete()[0] == 1 { 1.0 } else { -1.0 };
        reward[0] = f32::from(u8::from(said == state.sign));
        Status::Terminated
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        agon_core::env::ensure(state.t <= BLANKS + 1 && state.sign.abs() == 1.0, "no such sign or time")?;
        Ok(if state.t > BLANKS { Status::Terminated } else { Status::Running })
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        obs[0] = if state.t == 0 { state.sign } else { 0.0 };
    }

    /// Until the end there is only one thing to do.
    fn mask(&self, state: &State, mask: &mut [bool]) {
        mask.copy_from_slice(&[true, state.t == BLANKS]);
    }
}

fn recalled(memory: usize) -> f64 {
    agon_agents::set_threads(1);
    let entry = Entry::env::<Recall>("test/recall", "", "");
    let batch = |envs| entry.build(&Map::new(), envs, 1).unwrap();
    let agent = json!({"memory": memory, "hidden": [16], "rollout_steps": 20, "minibatch": 160, "epochs": 4,
                       "learning_rate": 3e-3, "gamma": 0.99, "normalize_observation": false});
    let start =
        Start { env: batch(32), game: None, seed: 1, steps: 60_000, device: Device::Cpu, threads: 1, env_threads: 1 };
    let mut training = registry::find("ppo").unwrap().start(agent.as_object().unwrap(), start).unwrap();
    while !training.done() {
        training.advance().unwrap();
    }
    let mut policy = training.policy().unwrap();
    mean_ci95(&evaluate(&mut *batch(400), &mut policy, 9, 0, &mut |_| {}).returns).0
}

#[test]
fn only_a_memory_can_recall() {
    let (with, without) = (recalled(16), recalled(0));
    assert!(with > 0.98, "a gated unit remembers a sign: {with}");
    assert!((0.35..0.65).contains(&without), "without one there is nothing but luck: {without}");
}
