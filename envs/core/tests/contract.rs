//! The contract carries what no registered environment needs yet (several agents, several choices at once, masks), and
//! its checker notices environments that break it.

use agon_core::contract::check;
use agon_core::{ActionSpec, Actions, Entry, Env, EnvError, Field, Rng, Spec, Status};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    /// For the test.
    pub struct NoSettings {
        /// Steps after which an episode is truncated.
        step_limit: u32 = 30, in [1.0, 1e9];
    }
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Piles {
    left: [u32; 2],
    turns: u8,
}

/// Two agents take from two piles at once, each a choice of pile and of how many; a pile that is empty is masked.
/// `FAULT` plants a breach of the contract.
#[derive(Clone)]
struct Takers<const FAULT: u32> {
    spec: Spec,
}

impl<const FAULT: u32> Env for Takers<FAULT> {
    type Settings = NoSettings;
    type State = Piles;
    const VERSION: u32 = 1;

    fn new(settings: NoSettings) -> Result<Self, EnvError> {
        let fields = vec![Field::new("mine", "", 0.0, 40.0), Field::new("other", "", 0.0, 40.0)];
        let mut spec = Spec::new(fields, ActionSpec::MultiDiscrete { sizes: vec![2, 3] }, settings.step_limit);
        (spec.agents, spec.masked) = (2, true);
        Ok(Self { spec })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut Piles, rng: &mut Rng) {
        *state = Piles { left: [20 + rng.below(20), 20 + rng.below(20)], turns: 0 };
    }

    fn step(&self, state: &mut Piles, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status {
        for (agent, choice) in actions.discrete().chunks_exact(2).enumerate() {
            let pile = &mut state.left[choice[0] as usize];
            let taken = (choice[1] as u32 + rng.below(2)).min(*pile);
            *pile -= taken;
            reward[agent] += taken as f32;
        }
        const BONUS: [f32; 30] = [0.0; 30];
        reward[0] += BONUS[usize::from(state.turns)];
        state.turns += 1;
        if FAULT == 1 {
            reward[0] = f32::NAN;
        }
        if state.left == [0, 0] { Status::Terminated } else { Status::Running }
    }

    fn check(&self, state: &Piles) -> Result<Status, String> {
        if FAULT != 4 && state.turns > 30 {
            return Err("an episode has 30 turns".into());
        }
        Ok(if state.left == [0, 0] { Status::Terminated } else { Status::Running })
    }

    fn age(&self, state: &Piles) -> Option<u32> {
        (FAULT != 4).then_some(state.turns.into())
    }

    fn observe(&self, state: &Piles, obs: &mut [f32]) {
        let [a, b] = state.left.map(|n| n as f32);
        obs.copy_from_slice(&[a, b, b, if FAULT == 2 { 99.0 } else { a }]);
    }

    fn mask(&self, state: &Piles, mask: &mut [bool]) {
        for m in mask.chunks_exact_mut(5) {
            let empty = state.left == [0, 0];
            m[0] = FAULT != 3 && (state.left[0] > 0 || empty);
            m[1] = FAULT != 3 && (state.left[1] > 0 || empty);
            m[2..].fill(true);
        }
    }
}

fn entry<const FAULT: u32>() -> Entry {
    Entry::env::<Takers<FAULT>>("test/takers", "two agents, two piles", "itself")
}

#[test]
fn several_agents_choices_and_masks_fit_the_contract() {
    check(&entry::<0>()).unwrap();
}

#[test]
fn breaches_are_found() {
    for (broken, part) in [
        (entry::<1>(), "reward"),
        (entry::<2>(), "is outside"),
        (entry::<3>(), "allows nothing"),
        (entry::<4>(), "it panics"), // by a number of turns that was not checked
    ] {
        let why = check(&broken).unwrap_err();
        assert!(why.contains(part), "{part} in {why}");
    }
}
