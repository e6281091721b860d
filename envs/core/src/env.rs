//! What the author of an environment writes.

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
    /// It goes on.
    Running,
    /// The rules ended it: nothing is earned after this step.
    Terminated,
}

/// A scripted player that comes with an environment: a baseline, or its exact optimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Player {
    /// As scenarios name it, e.g. `best-fixed-price`.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
}

/// How the numbers of an episode's steps become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The last one.
    Last,
}

/// Something that people count besides the reward: units sold, the price charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// A short name.
    pub name: &'static str,
    /// Its unit, `""` for a pure number.
    pub unit: &'static str,
    /// What an episode's number is.
    pub fold: Fold,
}

impl Measure {
    /// What is expected to be lost against whoever knows everything from the start, in the same episode. An environment
    /// that counts it counts [`Self::CLAIRVOYANT`] too, and is evaluated by the two.
    pub const REGRET: &'static str = "regret";
    /// What whoever knows everything is expected to earn in the same episode.
    pub const CLAIRVOYANT: &'static str = "clairvoyant's revenue";
}

/// What [`Env::outcomes`] tells an outcome to: its probability, the reward, and the state it leads to; none where the rules end the episode.
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

    /// What [`Env::measure`] writes.
    const MEASURES: &'static [Measure] = &[];

    /// Checks the settings together (each alone was checked when it was read).
    fn new(settings: Self::Settings) -> Result<Self, EnvError>;

    /// Shapes, bounds, names and units. Constant for the life of `self`.
    fn spec(&self) -> &Spec;

    /// Starts an episode in `state`, whatever it held.
    fn reset(&self, state: &mut Self::State, rng: &mut Rng);

    /// One tick. `actions`: `[agents, len]`; `reward`: `[agents]`, zeroed by the caller. Must not allocate.
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

    /// `obs`: `[agents, obs_len]`; every number must be written.
    fn observe(&self, state: &Self::State, obs: &mut [f32]);

    /// `mask`: `[agents, mask_len]`; called only where the spec says `masked`.
    fn mask(&self, _state: &Self::State, mask: &mut [bool]) {
        mask.fill(true);
    }

    /// Whether `PLAYERS[player]` can play with these settings; if not, why.
    fn offers(&self, _player: usize) -> Result<(), String> {
        Ok(())
    }

    /// What `PLAYERS[player]` does in `state`; `actions`: `[agents, len]`. It may look at the whole state.
    fn play(&self, _player: usize, _state: &Self::State, _actions: ActionsMut<'_>) {}

    /// Moves actions to where the rules have them in `state`, as a step does by itself: for who writes down what was
    /// done. `actions`: `[agents, len]`.
    fn settle(&self, _state: &Self::State, _actions: ActionsMut<'_>) {}

    /// Tells every state an episode can start in, and how probable it is; false where that is not known. With
    /// [`Env::outcomes`] it lets exact methods see the whole of a small environment.
    fn starts(&self, _each: &mut dyn FnMut(f64, &Self::State)) -> bool {
        false
    }

    /// Tells every way `action` can turn out in `state`. What is observed of a state must be all that matters of it.
    fn outcomes(&self, _state: &Self::State, _action: i64, _each: Each<'_, Self::State>) -> bool {
        false
    }

    /// The expected return of an optimal policy, where an exact method knows it.
    fn optimum(&self) -> Option<f64> {
        None
    }

    /// What `MEASURES` count of the step that led to `state`; `out`: `[measures]`.
    fn measure(&self, _state: &Self::State, _out: &mut [f64]) {}

    /// Draws the state for people.
    fn draw(&self, _state: &Self::State, _scene: &mut Scene) {}

    /// What a game tells of the state beside observations; none where the environment is no game.
    fn position(&self, _state: &Self::State) -> Option<Position> {
        None
    }
}

/// For [`Env::check`]: whether `x` lies in `[low, high]`; NaN lies nowhere. `what` names it.
pub fn within(what: &str, x: f64, low: f64, high: f64) -> Result<(), String> {
    if x >= low && x <= high { Ok(()) } else { Err(format!("{what} is {x}, not between {low} and {high}")) }
}

/// For [`Env::check`]: an error that says `what`, unless it holds.
pub fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}
