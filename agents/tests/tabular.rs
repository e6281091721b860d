//! Q-learning and SARSA look forward to different things: on a problem that is solved by hand.

use agon_agents::Device;
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

/// At the door, one may stop and earn 0.5, or go in. Inside, the first action earns 1, and the second one costs 1.
#[derive(Clone)]
struct Door(Spec);

#[derive(Clone, Default, Serialize, Deserialize)]
struct State {
    inside: bool,
}

impl Env for Door {
    type Settings = Nothing;
    type State = State;
    const VERSION: u32 = 1;

    fn new(_: Nothing) -> Result<Self, EnvError> {
        let field = Field::new("inside", "", 0.0, 1.0);
        Ok(Self(Spec::new(vec![field], ActionSpec::discrete(["first", "second"]), 100)))
    }

    fn spec(&self) -> &Spec {
        &self.0
    }

    fn reset(&self, state: &mut State, _: &mut Rng) {
        state.inside = false;
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], _: &mut Rng) -> Status {
        let first = actions.discrete()[0] == 0;
        match (std::mem::replace(&mut state.inside, true), first) {
            (false, true) => return Status::Running,
            (false, false) => reward[0] = 0.5,
            (true, _) => reward[0] = if first { 1.0 } else { -1.0 },
        }
        Status::Terminated
    }

    fn check(&self, _: &State) -> Result<Status, String> {
        Ok(Status::Running)
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        obs[0] = f32::from(u8::from(state.inside));
    }
}

/// Values of both actions at the door and inside, learned while every second action is random.
fn learned(rule: &str) -> [f32; 4] {
    let entry = Entry::env::<Door>("test/door", "", "");
    let agent = json!({"rule": rule, "gamma": 0.9, "learning_rate": 0.002, "epsilon_start": 0.5, "epsilon_end": 0.5});
    let env = entry.build(&Map::new(), 8, 1).unwrap();
    let start = Start { env, game: None, seed: 1, steps: 400_000, device: Device::Cpu, threads: 1, env_threads: 1 };
    let mut training = registry::find("tabular").unwrap().start(agent.as_object().unwrap(), start).unwrap();
    while !training.done() {
        training.advance().unwrap();
    }
    let saved = training.save().0;
    let numbers = |name: &str| Vec::<f32>::try_from(saved.tensor(name).unwrap().view([-1])).unwrap();
    assert_eq!(numbers("keys"), [0.0, 1.0], "the door is met first");
    numbers("q").try_into().unwrap()
}

#[test]
fn each_looks_forward_to_what_it_says() {
    let near = |values: [f32; 4], expected: [f32; 4]| {
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.1), "{values:?} is not {expected:?}");
    };
    // The best action inside earns 1. The one that is taken is the best three times of four.
    near(learned("q-learning"), [0.9 * 1.0, 0.5, 1.0, -1.0]);
    near(learned("sarsa"), [0.9 * (0.75 - 0.25), 0.5, 1.0, -1.0]);
}
