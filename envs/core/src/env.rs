//! The trait that an environment implements.

use crate::action::{Actions, ActionsMut};
use crate::error::EnvError;
use crate::game::Position;
use crate::rng::Rng;
use crate::scene::Scene;
use crate::settings::Settings;
use crate::spec::Spec;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Whether the rules ended the episode. Time limits are the engine's: only it truncates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The episode continues.
    Running,
    /// The rules ended it: no reward follows this step.
    Terminated,
}

/// A scripted player that comes with an environment: a baseline, or its exact optimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Player {
    /// As scenarios name it, e.g. `best-fixed-price`.
    pub name: &'static str,
    /// A one-line description.
    pub about: &'static str,
}

/// How a measure is aggregated over an episode's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The last one.
    Last,
}

/// A measure beside the reward, such as units sold or the price charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// A short name.
    pub name: &'static str,
    /// Its unit, `""` for a pure number.
    pub unit: &'static str,
    /// How it is aggregated.
    pub fold: Fold,
}

impl Measure {
    /// The expected regret against the clairvoyant in the same episode. An environment with this measure has
    /// [`Self::CLAIRVOYANT`] too, and is evaluated by both.
    pub const REGRET: &'static str = "regret";
    /// The expected return of a clairvoyant, who knows everything from the start, in the same episode.
    pub const CLAIRVOYANT: &'static str = "clairvoyant's revenue";
}

/// The callback of [`Env::outcomes`]: probability, reward, and next state; none where the rules end the episode.
pub type Each<'a, S> = &'a mut dyn FnMut(f64, f64, Option<&S>);

/// The rules of one simulator. `self` holds the settings and never changes; the state holds all that does.
pub trait Env: Clone + Send + Sync + 'static {
    /// What a scenario can set.
    type Settings: Settings;

    /// Plain data; a clone is a snapshot.
    type State: Clone + Default + Send + Sync + Serialize + DeserializeOwned + 'static;

    /// Raised when the same seed and actions stop giving the same episode; speed-ups do not raise it.
    const VERSION: u32;

    /// The scripted players that [`Env::play`] knows.
    const PLAYERS: &'static [Player] = &[];

    /// Settings that name a file, and what a copy of it is called in a run's folder.
    const FILES: &'static [(&'static str, &'static str)] = &[];

    /// What [`Env::measure`] writes.
    const MEASURES: &'static [Measure] = &[];

    /// Checks the settings together (each alone was checked when it was read).
    fn new(settings: Self::Settings) -> Result<Self, EnvError>;

    /// The settings with what they leave to files outside: checksums of those.
    fn complete(settings: Self::Settings) -> Result<Self::Settings, EnvError> {
        Ok(settings)
    }

    /// The content of the file that the setting `key` names, one of [`Env::FILES`].
    fn file(_settings: &Self::Settings, _key: &str) -> Result<Vec<u8>, EnvError> {
        Ok(Vec::new())
    }

    /// Shapes, bounds, names and units. Constant for the life of `self`.
    fn spec(&self) -> &Spec;

    /// Starts an episode in `state`, overwriting it.
    fn reset(&self, state: &mut Self::State, rng: &mut Rng);

    /// One step. `actions`: `[agents, len]`; `reward`: `[agents]`, zeroed by the caller. Must not allocate.
    fn step(&self, state: &mut Self::State, actions: Actions<'_>, reward: &mut [f32], rng: &mut Rng) -> Status;

    /// Whether `state` can have come from these settings, and whether the rules have ended its episode; if it cannot,
    /// why. States come from files and other programs: every length, index, range and count that another method relies
    /// on must be checked here, so that none of them can panic, overflow or run for ever on a state that passes.
    /// NaN and infinity are never part of a state. [`within`] checks a number.
    fn check(&self, state: &Self::State) -> Result<Status, String>;

    /// The steps since the episode began, where the state itself counts them: a saved clock must say the same.
    fn age(&self, _state: &Self::State) -> Option<u32> {
        None
    }

    /// Writes all of `obs`, `[agents, obs_len]`.
    fn observe(&self, state: &Self::State, obs: &mut [f32]);

    /// Writes `mask`, `[agents, mask_len]`; called only where the spec says `masked`.
    fn mask(&self, _state: &Self::State, mask: &mut [bool]) {
        mask.fill(true);
    }

    /// Whether `PLAYERS[player]` can play with these settings; if not, why.
    fn offers(&self, _player: usize) -> Result<(), String> {
        Ok(())
    }

    /// Writes the action of `PLAYERS[player]` in `state`; `actions`: `[agents, len]`. It may look at the whole state.
    fn play(&self, _player: usize, _state: &Self::State, _actions: ActionsMut<'_>) {}

    /// Replaces actions by those that the rules apply in `state`, as a step does itself: for records of what was done.
    /// `actions`: `[agents, len]`.
    fn settle(&self, _state: &Self::State, _actions: ActionsMut<'_>) {}

    /// Gives every initial state with its probability; false where they are not known. With [`Env::outcomes`] this
    /// gives exact methods the complete model of a small environment.
    fn starts(&self, _each: &mut dyn FnMut(f64, &Self::State)) -> bool {
        false
    }

    /// Gives the transition probabilities of `action` in `state`. Observations must determine the state as far as it
    /// matters (the Markov property).
    fn outcomes(&self, _state: &Self::State, _action: i64, _each: Each<'_, Self::State>) -> bool {
        false
    }

    /// The expected return of an optimal policy, where an exact method knows it.
    fn optimum(&self) -> Option<f64> {
        None
    }

    /// What no policy's expected return exceeds, where that is known though the optimum is not.
    fn bound(&self) -> Option<f64> {
        None
    }

    /// Writes the `MEASURES` of the step that led to `state`; `out`: `[measures]`.
    fn measure(&self, _state: &Self::State, _out: &mut [f64]) {}

    /// Draws the state.
    fn draw(&self, _state: &Self::State, _scene: &mut Scene) {}

    /// The position of a game, beside observations; none where the environment is no game.
    fn position(&self, _state: &Self::State) -> Option<Position> {
        None
    }
}

/// For [`Env::check`]: whether `x` lies in `[low, high]`; NaN never does. `what` names it.
pub fn within(what: &str, x: f64, low: f64, high: f64) -> Result<(), String> {
    if x >= low && x <= high { Ok(()) } else { Err(format!("{what} is {x}, not between {low} and {high}")) }
}

/// For [`Env::check`]: an error that says `what`, unless it holds.
pub fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}
