//! What a learner sees: many environments stepped together, in memory that the learner owns.
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
    /// `[rows]` the rules ended the episode: do not bootstrap.
    pub terminated: &'a mut [bool],
    /// `[rows]` the step limit did: bootstrap from `final_obs`.
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
    /// Whether the step limit ended it.
    pub truncated: bool,
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

    /// Environments × agents.
    fn rows(&self) -> usize {
        self.envs() * self.spec().agents
    }

    /// Starts every environment anew, environment i from the stream (seed, `stream`, i).
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

    /// What scripted player `player` does now, for every row.
    fn play(&self, player: usize, actions: ActionsMut<'_>);

    /// Moves actions to where the rules have them, as a step does by itself; for every row.
    fn settle(&self, actions: ActionsMut<'_>);

    /// The expected return of an optimal policy, where an exact method knows it.
    fn optimum(&self) -> Option<f64>;

    /// One environment as a table for exact methods; why not, where it cannot be told or has more states than that.
    fn model(&self, most_states: usize) -> Result<Model, String>;

    /// What people count here besides the reward.
    fn measures(&self) -> &'static [Measure];

    /// Those numbers of environment `env`'s last step; `out`: `[measures]`.
    fn measure(&self, env: usize, view: View, out: &mut [f64]);

    /// Whether the last state of each ended episode is kept for [`View::Final`].
    fn keep_finals(&mut self, keep: bool);

    /// One environment as plain data: `{state, steps, total, rng}`.
    fn save(&self, env: usize, view: View) -> Value;

    /// Puts an environment back exactly, if it can have been saved there: see [`crate::Env::check`]. Keys that are left
    /// out keep their value, but for a clock that the state tells. Says whether the episode is over there: such a state
    /// must not be stepped.
    fn restore(&mut self, env: usize, saved: &Value) -> Result<Status, EnvError>;

    /// A hash of one environment's state, the same on every machine.
    fn hash(&self, env: usize, view: View) -> u64;

    /// Draws one environment.
    fn draw(&self, env: usize, view: View, scene: &mut Scene);

    /// What a game tells of its position; none where the environment is no game.
    fn position(&self, env: usize, view: View) -> Option<Position>;
}
