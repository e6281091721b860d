//! The interface of a learner to its environments: many of them stepped together, in memory that the learner owns.
//!
//! **Autoreset, the one rule.** The step that ends an episode returns the first observation of the next one in `obs`;
//! the last observation of the ended episode goes to `final_obs`. Every row of every step is a real transition.

use crate::action::{Actions, ActionsMut};
use crate::env::{Measure, Player, Status};
use crate::error::EnvError;
use crate::game::Position;
use crate::model::Model;
use crate::scene::Scene;
use crate::spec::Spec;
use serde_json::Value;

/// Where the first observations go.
#[derive(Debug)]
pub struct FirstBuf<'a> {
    /// `[rows, obs_len]`
    pub obs: &'a mut [f32],
    /// `[rows, mask_len]`, or empty where the spec has no masks.
    pub mask: &'a mut [bool],
}

/// Everything one step produces, in storage the caller owns.
#[derive(Debug)]
pub struct StepBuf<'a> {
    /// `[rows, obs_len]` to act on next; already the new episode's where one ended.
    pub obs: &'a mut [f32],
    /// `[rows, mask_len]` for `obs`, or empty where the spec has no masks.
    pub mask: &'a mut [bool],
    /// `[rows]`
    pub reward: &'a mut [f32],
    /// `[rows]`: whether the rules ended the episode; do not bootstrap.
    pub terminated: &'a mut [bool],
    /// `[rows]`: whether the step limit did, or a simulation could not go on; bootstrap from `final_obs`.
    pub truncated: &'a mut [bool],
    /// `[rows, obs_len]` last observation of the ended episode; stale where neither flag is set.
    pub final_obs: &'a mut [f32],
    /// `[rows, mask_len]` for `final_obs` where an episode was truncated, stale elsewhere; or empty where the spec has no
    /// masks or the caller does not ask.
    pub final_mask: &'a mut [bool],
}

/// One agent's finished episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpisodeEnd {
    /// Environment × agents + agent.
    pub row: u32,
    /// The sum of its rewards, discounted where the spec says so.
    pub total: f64,
    /// Its steps.
    pub length: u32,
    /// Whether it was cut off: by the step limit, or because it could not go on.
    pub truncated: bool,
    /// Why it could not go on, where that ended it.
    pub failed: Option<&'static str>,
}

/// Which state of an environment is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The one it is in.
    Now,
    /// The one in which its last episode ended. Kept only after `keep_finals`.
    Final,
}

/// Many copies of one environment. Rows = environments × agents, environment first.
/// Object-safe: one virtual call a batch, none an environment.
pub trait VecEnv: Send {
    /// The spec of one environment.
    fn spec(&self) -> &Spec;

    /// Environments in the batch.
    fn envs(&self) -> usize;

    /// The lane of its first environment among all lanes of a run: the randomness of environment i is keyed by
    /// `first_lane` + i. 0 unless the batch is a part of a larger one.
    fn first_lane(&self) -> u32;

    /// Environments × agents.
    fn rows(&self) -> usize {
        self.envs() * self.spec().agents
    }

    /// Resets every environment, environment i from the stream (seed, `stream`, [`VecEnv::first_lane`] + i).
    fn reset(&mut self, seed: u64, stream: crate::rng::Stream, first: FirstBuf<'_>);

    /// One step of every environment. Allocates nothing.
    fn step(&mut self, actions: Actions<'_>, out: StepBuf<'_>);

    /// The episodes that ended in the last step.
    fn ended(&self) -> &[EpisodeEnd];

    /// The current observations and masks again, as the last step left them.
    fn observe(&self, first: FirstBuf<'_>);

    /// The scripted players this environment brings.
    fn players(&self) -> &'static [Player];

    /// Whether a scripted player can play with these settings; if not, why.
    fn offers(&self, player: usize) -> Result<(), String>;

    /// Writes the actions of scripted player `player`, for every row.
    fn play(&self, player: usize, actions: ActionsMut<'_>);

    /// Replaces actions by those that the rules apply, as a step does itself; for every row.
    fn settle(&self, actions: ActionsMut<'_>);

    /// The expected return of an optimal policy, where an exact method knows it.
    fn optimum(&self) -> Option<f64>;

    /// What no policy's expected return exceeds, where that is known though the optimum is not.
    fn bound(&self) -> Option<f64> {
        None
    }

    /// The model of one environment for exact methods; an error where it is not known or has more states than that.
    fn model(&self, most_states: usize) -> Result<Model, String>;

    /// The measures beside the reward.
    fn measures(&self) -> &[Measure];

    /// The measures of environment `env`'s last step; `out`: `[measures]`.
    fn measure(&self, env: usize, view: View, out: &mut [f64]);

    /// Whether the last state of each ended episode is kept for [`View::Final`].
    fn keep_finals(&mut self, keep: bool);

    /// One environment as plain data: `{state, steps, total, rng}`.
    fn save(&self, env: usize, view: View) -> Value;

    /// Restores an environment exactly, if the state is valid: see [`crate::Env::check`]. Keys that are left out keep
    /// their value, except a clock that follows from the state. Returns whether the episode is over there: such a state
    /// must not be stepped.
    fn restore(&mut self, env: usize, saved: &Value) -> Result<Status, EnvError>;

    /// A hash of one environment's state, the same on every machine.
    fn hash(&self, env: usize, view: View) -> u64;

    /// Draws one environment.
    fn draw(&self, env: usize, view: View, scene: &mut Scene);

    /// The position of a game; none where the environment is no game.
    fn position(&self, env: usize, view: View) -> Option<Position>;
}
