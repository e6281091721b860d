//! A walk on a line to its right end. Say here what it is and where it comes from.
//!
//! Observation: the place, from −1 to 1. Action: left or right. Reward −1 a step until the right end is reached, where
//! the episode ends.

use agon_core::env::{Status, ensure};
use agon_core::scene::{Ink, Scene};
use agon_core::{ActionSpec, Actions, Env, EnvError, Field, Rng, Spec};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct WalkSettings {
        /// Places on the line.
        places: u32 = 11, in [2.0, 10_000.0];
        /// Steps after which an episode is truncated.
        step_limit: u32 = 100, in [1.0, 1e6];
    }
}

#[derive(Clone)]
pub struct Walk {
    settings: WalkSettings,
    spec: Spec,
}

/// Everything that changes during an episode: plain data.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    place: u32,
}

impl Env for Walk {
    type Settings = WalkSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(settings: WalkSettings) -> Result<Self, EnvError> {
        let place = Field::new("place", "", -1.0, 1.0);
        let spec = Spec::new(vec![place], ActionSpec::discrete(["left", "right"]), settings.step_limit);
        Ok(Self { settings, spec })
    }

    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn reset(&self, state: &mut State, rng: &mut Rng) {
        state.place = rng.below(self.settings.places - 1);
    }

    fn step(&self, state: &mut State, actions: Actions<'_>, reward: &mut [f32], _: &mut Rng) -> Status {
        let right = actions.discrete()[0] == 1;
        state.place = if right { state.place + 1 } else { state.place.saturating_sub(1) };
        reward[0] = -1.0;
        if state.place == self.settings.places - 1 { Status::Terminated } else { Status::Running }
    }

    fn check(&self, state: &State) -> Result<Status, String> {
        ensure(state.place < self.settings.places, "there is no such place")?;
        Ok(if state.place == self.settings.places - 1 { Status::Terminated } else { Status::Running })
    }

    fn observe(&self, state: &State, obs: &mut [f32]) {
        obs[0] = 2.0 * state.place as f32 / (self.settings.places - 1) as f32 - 1.0;
    }

    fn draw(&self, state: &State, scene: &mut Scene) {
        let end = f64::from(self.settings.places - 1);
        scene.window([-0.5, end + 0.5], [-1.0, 1.0]);
        scene.line(0.0, 0.0, end, 0.0, Ink::Frame);
        scene.circle(end, 0.0, 0.2, Ink::Goal);
        scene.circle(f64::from(state.place), 0.0, 0.3, Ink::Body);
    }
}
