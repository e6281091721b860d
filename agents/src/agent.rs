//! What a learner is.

use agon_core::policy::Policy;
use agon_core::settings::Issue;
use agon_core::{Actions, FirstBuf, GameSpec, Spec, StepBuf};
use agon_search::Evaluate;
use serde_json::Value;
use tch::{Device, Tensor};

/// What can go wrong while learning.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Losses or weights are no longer numbers.
    #[error("training diverged: {0}; a smaller learning_rate, or normalize_reward = true, usually helps")]
    Diverged(String),
    /// The run ended before exact planning had converged.
    #[error("the plan is not exact yet: {0}")]
    Unfinished(String),
    /// Settings that do not fit.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<Issue>),
    /// Data from which nothing can be estimated.
    #[error("{0}")]
    Data(String),
    /// A checkpoint of another agent or shape.
    #[error("the checkpoint does not fit: {0}")]
    Checkpoint(String),
    /// A checkpoint whose files are not what was written.
    #[error("{0}")]
    Damaged(String),
    /// It was asked to stop; not an error.
    #[error("stopped")]
    Stopped,
}

impl From<Issue> for AgentError {
    fn from(issue: Issue) -> Self {
        Self::Settings(vec![issue])
    }
}

/// More steps than any run makes: beyond it counters would overflow.
pub(crate) const MOST_STEPS: u64 = 1 << 60;

/// How often a saved agent has acted; checkpoints of older versions do not hold it and resume with other random
/// actions.
pub(crate) fn acts(saved: &Saved) -> Result<u64, AgentError> {
    let acts: Option<u64> = saved.part("acts")?;
    let wrong = || AgentError::Checkpoint("its `acts` cannot be".into());
    acts.or(Some(0)).filter(|acts| *acts < 1 << 44).ok_or_else(wrong)
}

/// Returns whether to stop. Called often, and from several threads.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// Never stops.
pub const NEVER: Stop<'static> = &|| false;

/// An error if it was asked to stop.
pub fn go_on(stop: Stop<'_>) -> Result<(), AgentError> {
    if stop() { Err(AgentError::Stopped) } else { Ok(()) }
}

/// Refuses a report with NaN: training has diverged.
pub fn all_finite(report: &[(String, f64)]) -> Result<(), AgentError> {
    match report.iter().find(|(_, value)| !value.is_finite()) {
        Some((name, _)) => Err(AgentError::Diverged(format!("`{name}` is no longer a number"))),
        None => Ok(()),
    }
}

/// Everything of an agent that must be saved: tensors by name, the rest as plain data.
#[derive(Debug, Default)]
pub struct Saved {
    /// Weights, and the optimizer's moments.
    pub tensors: Vec<(String, Tensor)>,
    /// Generators, counters, normalisers.
    pub state: Value,
}

impl Saved {
    /// A tensor by name.
    pub fn tensor(&self, name: &str) -> Result<&Tensor, AgentError> {
        let found = self.tensors.iter().find(|(n, _)| n == name);
        found.map(|(_, t)| t).ok_or_else(|| AgentError::Checkpoint(format!("it has no tensor `{name}`")))
    }

    /// A part of the state.
    pub fn part<T: serde::de::DeserializeOwned>(&self, key: &str) -> Result<T, AgentError> {
        let wrong = |e| AgentError::Checkpoint(format!("its `{key}` cannot be read: {e}"));
        T::deserialize(&self.state[key]).map_err(wrong)
    }

    /// Its tensors under the name of what they are a part of.
    pub(crate) fn within(mut self, whole: &str) -> Self {
        self.tensors.iter_mut().for_each(|(name, _)| *name = format!("{whole}.{name}"));
        self
    }

    /// The part of this name: its tensors, and its state under that key.
    pub(crate) fn inside(&self, part: &str) -> Self {
        let own = |(name, tensor): &(String, Tensor)| {
            let rest = name.strip_prefix(part)?.strip_prefix('.')?;
            Some((rest.to_owned(), tensor.shallow_clone()))
        };
        Self { tensors: self.tensors.iter().filter_map(own).collect(), state: self.state[part].clone() }
    }

    /// A deep copy: a save shares the learner's memory.
    pub(crate) fn apart(mut self) -> Self {
        self.tensors.iter_mut().for_each(|(_, tensor)| *tensor = tensor.copy());
        self
    }
}

/// A trained policy for inference: no environment, no replay memory, no optimizer.
pub struct Inference {
    /// Acts on observations, where it does more than evaluate positions of a game.
    pub policy: Option<Box<dyn Policy>>,
    /// Evaluates positions of a game, where it can.
    pub network: Option<Box<dyn Evaluate>>,
}

/// Where a policy is to act.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The environment's spec.
    pub spec: &'a Spec,
    /// The game behind the environment, where it is one.
    pub game: Option<&'a GameSpec>,
    /// The device of tensors.
    pub device: Device,
}

/// What an agent is built for.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The environment's spec.
    pub spec: &'a Spec,
    /// Rows of the batch.
    pub rows: usize,
    /// The number of the batch's first row among all rows of the run: what random numbers of actions are keyed by.
    pub first_lane: u32,
    /// The run's seed.
    pub seed: u64,
    /// The device of tensors.
    pub device: Device,
    /// Threads of one tensor operation, or of what is done in its place.
    pub threads: usize,
}

/// A learner that owns its storage and lends it to the environment, so that nothing is copied twice.
///
/// Order: `first`, `begin`, then `act`, `exchange`, `learn` again and again.
pub trait Agent {
    /// Where the first observations go.
    fn first(&mut self) -> FirstBuf<'_>;

    /// Takes the first observations in.
    fn begin(&mut self);

    /// Chooses actions for the newest observations.
    fn act(&mut self);

    /// Lends out those actions and the slots the environment must fill.
    fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>);

    /// Takes the filled slots; learns when due and then reports losses. `progress` goes from 0 to 1 over the run.
    /// Returns true when [`Agent::save`] holds the complete state: only then may a checkpoint be made. If asked to
    /// stop, it may return [`AgentError::Stopped`]; its state is then invalid.
    fn learn(&mut self, progress: f64, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<bool, AgentError>;

    /// Whether the next step may be followed by learning that takes seconds.
    fn takes_long(&self) -> bool {
        false
    }

    /// Loads what another learner of the same kind has learned, and nothing else of it.
    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError>;

    /// Whether it can converge, and so finish before all steps are made.
    fn may_finish(&self) -> bool {
        false
    }

    /// Whether it has converged.
    fn finished(&self) -> bool {
        false
    }

    /// The policy as it is now, without exploration, in its own memory.
    fn policy(&self) -> Box<dyn Policy>;

    /// The network as it is now, in its own memory, where it can evaluate positions of a game.
    fn network(&self) -> Option<Box<dyn Evaluate>> {
        None
    }

    /// Everything that must be saved.
    fn save(&self) -> Saved;

    /// Restores a save.
    fn load(&mut self, saved: &Saved) -> Result<(), AgentError>;
}
