//! A saved episode: enough to simulate it again and to detect any difference.
//!
//! On disk it is JSON lines: a [`Header`], then one [`Step`] a line.

use crate::action::Actions;
use crate::env::Status;
use crate::error::EnvError;
use crate::vec_env::{FirstBuf, StepBuf, VecEnv, View};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The joint action of one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Action {
    /// Choices, `[agents, len]`.
    Discrete(Vec<i64>),
    /// Numbers, `[agents, len]`.
    Continuous(Vec<f32>),
}

impl Action {
    /// A copy of one environment's part.
    pub fn of(actions: Actions<'_>) -> Self {
        match actions {
            Actions::Discrete(a) => Self::Discrete(a.to_vec()),
            Actions::Continuous(a) => Self::Continuous(a.to_vec()),
        }
    }

    /// As [`Actions`] for an environment.
    pub fn view(&self) -> Actions<'_> {
        match self {
            Self::Discrete(a) => Actions::Discrete(a),
            Self::Continuous(a) => Actions::Continuous(a),
        }
    }
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Always `agon-episode 1`.
    pub format: String,
    /// The environment's name.
    pub env: String,
    /// Its version when the episode was played.
    pub version: u32,
    /// Its settings, defaults filled in.
    pub settings: Map<String, Value>,
    /// The seed that the episode's numbers come from.
    pub seed: u64,
    /// The actor, such as `ppo @ 50000` or `random`.
    pub actor: String,
    /// The environment at the start: state, steps, totals, generator.
    pub start: Value,
    /// The hash of the state at the start.
    pub hash: u64,
}

/// The format this version writes and reads.
pub const FORMAT: &str = "agon-episode 1";

/// One line for each step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The joint action.
    pub action: Action,
    /// `[agents]`
    pub reward: Vec<f32>,
    /// Whether the rules ended the episode.
    pub terminated: bool,
    /// Whether the step limit did.
    pub truncated: bool,
    /// The hash of the state after the step; of the last state where the episode ended.
    pub hash: u64,
}

/// One episode.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// The actor, the environment and the initial state.
    pub header: Header,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Episode {
    /// Each agent's return: the sum of its rewards, discounted by what the environment's spec says.
    pub fn totals(&self, discount: f64) -> Vec<f64> {
        let agents = self.steps.first().map_or(0, |s| s.reward.len());
        let weights = std::iter::successors(Some(1.0), |w| Some(w * discount));
        let total = |a: usize| self.steps.iter().zip(weights.clone()).map(|(s, w)| w * f64::from(s.reward[a])).sum();
        (0..agents).map(total).collect()
    }
}

/// One environment stepped alone, with its own buffers: for replay, `drive` and people.
pub struct Solo {
    env: Box<dyn VecEnv>,
    /// `[agents, obs_len]`
    pub obs: Vec<f32>,
    /// `[agents, mask_len]`
    pub mask: Vec<bool>,
    /// `[agents]`
    pub reward: Vec<f32>,
    final_obs: Vec<f32>,
    flags: [Vec<bool>; 2],
    /// Whether the state it is in is one where an episode has ended.
    over: bool,
}

impl Solo {
    /// Takes a batch of one.
    pub fn new(mut env: Box<dyn VecEnv>) -> Self {
        assert_eq!(env.envs(), 1, "Solo takes one environment");
        env.keep_finals(true);
        let (agents, obs, mask) = (env.spec().agents, env.spec().obs_len(), env.spec().action.mask_len());
        let mask = if env.spec().masked { agents * mask } else { 0 };
        Self {
            obs: vec![0.0; agents * obs],
            mask: vec![true; mask],
            reward: vec![0.0; agents],
            final_obs: vec![0.0; agents * obs],
            flags: [vec![false; agents], vec![false; agents]],
            over: false,
            env,
        }
    }

    /// The environment itself.
    pub fn env(&self) -> &dyn VecEnv {
        &*self.env
    }

    /// Starts an episode.
    pub fn reset(&mut self, seed: u64, stream: crate::rng::Stream) {
        self.env.reset(seed, stream, FirstBuf { obs: &mut self.obs, mask: &mut self.mask });
        self.here(false);
    }

    /// Puts a saved state back.
    pub fn restore(&mut self, saved: &Value) -> Result<Status, EnvError> {
        let status = self.env.restore(0, saved)?;
        self.env.observe(FirstBuf { obs: &mut self.obs, mask: &mut self.mask });
        self.here(status == Status::Terminated);
        Ok(status)
    }

    /// Clears the outputs of the last step.
    fn here(&mut self, over: bool) {
        self.flags.iter_mut().for_each(|f| f.fill(false));
        self.reward.fill(0.0);
        self.over = over;
    }

    /// Whether a step can be taken with these actions; if not, why. After an episode's end, this is about the next one.
    pub fn takes(&self, actions: Actions<'_>) -> Result<(), String> {
        if self.over {
            return Err("the episode is over in this state".into());
        }
        self.env.spec().takes(actions, &self.mask)
    }

    /// The mask, all true where there is no choice: actions of agents that do not decide are not checked.
    pub fn asked(&self) -> Vec<bool> {
        let (mut mask, choices) = (self.mask.clone(), self.env.spec().action.choices());
        for row in mask.chunks_mut(choices.iter().sum::<usize>().max(1)) {
            let mut rest = row;
            for n in &choices {
                let (part, after) = rest.split_at_mut(*n);
                if part.iter().filter(|m| **m).count() == 1 {
                    part.fill(true);
                }
                rest = after;
            }
        }
        mask
    }

    /// Whether the state of [`Solo::view`] is one where an episode has ended.
    pub fn over(&self) -> bool {
        self.over || self.view() == View::Final
    }

    /// The observations of the state that the next step starts from, `[agents, obs_len]`: `obs`, except after an
    /// episode's end.
    pub fn next_obs(&self) -> Vec<f32> {
        let (mut obs, mut mask) = (self.obs.clone(), self.mask.clone());
        self.env.observe(FirstBuf { obs: &mut obs, mask: &mut mask });
        obs
    }

    /// One step with actions that it [takes](Solo::takes); afterwards `obs` is the last observation of the episode if it ended.
    pub fn step(&mut self, actions: Actions<'_>) -> (bool, bool) {
        let [terminated, truncated] = &mut self.flags;
        self.env.step(
            actions,
            StepBuf {
                obs: &mut self.obs,
                mask: &mut self.mask,
                reward: &mut self.reward,
                terminated,
                truncated,
                final_obs: &mut self.final_obs,
                final_mask: &mut [],
            },
        );
        let ended = (self.flags[0][0], self.flags[1][0]);
        if ended.0 || ended.1 {
            self.obs.copy_from_slice(&self.final_obs);
        }
        ended
    }

    /// The view of the state that a step left: the last one of the episode if it ended.
    pub fn view(&self) -> View {
        if self.flags[0][0] || self.flags[1][0] { View::Final } else { View::Now }
    }
}

/// The first difference between a replay and its record.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// The environment has another version.
    #[error("the episode was recorded with version {recorded} of `{env}`; this is version {here}")]
    Version {
        /// The environment.
        env: String,
        /// The recorded version.
        recorded: u32,
        /// The present one.
        here: u32,
    },
    /// The initial state is refused by the environment.
    #[error("{0}")]
    Unfit(String),
    /// The hash of the initial state differs from the header's.
    #[error("the starting state does not have the hash that the header says")]
    Start,
    /// A step differs.
    #[error("step {step} differs: {what}")]
    Step {
        /// Counted from 1.
        step: usize,
        /// What differs: hash, reward or flags.
        what: String,
    },
}

/// Simulates an episode again, calling `each` at the start and after every step.
pub fn replay(episode: &Episode, env: &mut Solo, mut each: impl FnMut(usize, &Solo)) -> Result<(), ReplayError> {
    env.restore(&episode.header.start).map_err(|e| ReplayError::Unfit(format!("the start: {e}")))?;
    if env.env().hash(0, View::Now) != episode.header.hash {
        return Err(ReplayError::Start);
    }
    let agents = env.reward.len();
    each(0, env);
    for (i, step) in episode.steps.iter().enumerate() {
        let unfit = |what: &str| ReplayError::Unfit(format!("step {}: {what}", i + 1));
        if env.over() {
            return Err(unfit("the episode is over before it"));
        }
        env.env().spec().takes(step.action.view(), &env.asked()).map_err(|why| unfit(&why))?;
        if step.reward.len() != agents {
            return Err(unfit(&format!("{} rewards, where there are {agents} agents", step.reward.len())));
        }
        let ended = env.step(step.action.view());
        let differs = |what: &str| ReplayError::Step { step: i + 1, what: what.into() };
        if ended != (step.terminated, step.truncated) {
            return Err(differs("the episode ends elsewhere"));
        }
        // Bits, so that NaN equals itself; but older files may hold −0 where the game now says 0.
        if env.reward.iter().zip(&step.reward).any(|(a, b)| (a + 0.0).to_bits() != (b + 0.0).to_bits()) {
            return Err(differs("the reward"));
        }
        if env.env().hash(0, env.view()) != step.hash {
            return Err(differs("the state's hash"));
        }
        each(i + 1, env);
    }
    Ok(())
}
