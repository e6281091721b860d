//! What every off-policy learner does between updates: stores steps, decides when to act at random and when to learn,
//! and draws minibatches.

use crate::agent::{AgentError, MOST_STEPS, Saved};
use crate::greedy::see;
use crate::normalise::{Moments, ReturnScale};
use crate::replay::{Batch, Priorities, Replay, StepOutcome};
use agon_core::rng::Rng;
use agon_core::{ActionBuf, Actions, FirstBuf, Slab, Spec, StepBuf};
use serde_json::{Map, Value, json};
use tch::Tensor;

/// How steps are collected. Steps are those of all environments together.
#[derive(Clone, Copy, Debug)]
pub struct Collecting {
    /// Transitions that the replay memory holds.
    pub memory: usize,
    /// Steps before learning begins; actions are uniformly random until then, unless it began with a clone.
    pub learning_starts: u64,
    /// Steps between rounds of learning.
    pub train_every: u64,
    /// Rewards of a transition.
    pub n_step: usize,
    /// Discount.
    pub gamma: f64,
    /// What rewards are multiplied by before they are stored.
    pub reward_scale: f64,
    /// Whether observations are standardised by their running moments.
    pub normalize_observation: bool,
    /// Where rewards are scaled by the running returns: the bound of scaled returns.
    pub return_bound: Option<f64>,
    /// How transitions are drawn; none draws uniformly.
    pub priorities: Option<Priorities>,
}

/// Steps collected, and how far it is.
pub struct Collector {
    set: Collecting,
    /// The step under way.
    pub slab: Slab,
    /// Steps that were made.
    pub replay: Replay,
    /// Of observations, where they are standardised.
    pub moments: Option<Moments>,
    /// Of returns, where rewards are scaled by them.
    pub returns: Option<ReturnScale>,
    /// Steps made.
    pub step: u64,
    /// How far the run is, from 0 to 1.
    pub progress: f64,
    envs: u64,
    /// The step at which it learns next.
    due: u64,
    seen: Vec<f32>,
    /// Whether the step under way is in memory already, as it is after a load.
    begun: bool,
    /// Whether actions are the policy's from the first step on, as it began with a clone.
    follows: bool,
}

impl Collector {
    /// With nothing collected.
    pub fn new(set: &Collecting, spec: &Spec, rows: usize) -> Self {
        Self {
            slab: Slab::new(spec, rows),
            replay: Replay::new(spec, rows, set.memory, set.n_step, set.gamma, set.priorities),
            moments: Moments::of(&spec.observation, set.normalize_observation),
            returns: set.return_bound.map(|_| ReturnScale::new(rows)),
            step: 0,
            progress: 0.0,
            envs: (rows / spec.agents) as u64,
            due: set.learning_starts,
            seen: Vec::new(),
            begun: false,
            follows: false,
            set: *set,
        }
    }

    /// Where the first observations go.
    pub fn first(&mut self) -> FirstBuf<'_> {
        self.slab.first()
    }

    /// Takes the first observations in.
    pub fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.replay.begin(&self.slab.obs, &self.slab.mask);
        }
    }

    /// Whether actions are still random.
    pub fn is_warming_up(&self) -> bool {
        !self.follows && self.step < self.set.learning_starts
    }

    /// Actions are the policy's from the first step on.
    pub fn follow_policy(&mut self) {
        self.follows = true;
    }

    /// The newest observations as a network sees them, `[rows, obs_len]`, and the slab's masks.
    pub fn observed(&mut self) -> (&[f32], &[bool]) {
        (see(self.moments.as_ref(), &self.slab.obs, &mut self.seen), &self.slab.mask)
    }

    /// The newest observations as a network sees them, `[rows, obs_len]`, and where continuous actions are written.
    pub fn choice(&mut self) -> (&[f32], &mut [f32]) {
        let ActionBuf::Continuous(numbers) = &mut self.slab.action else { panic!("the spec has continuous actions") };
        (see(self.moments.as_ref(), &self.slab.obs, &mut self.seen), numbers)
    }

    /// Lends out the actions and the slots that the environment must fill.
    pub fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        self.slab.exchange()
    }

    /// Takes the filled slots.
    pub fn take(&mut self, progress: f64) {
        let scale = self.set.reward_scale as f32;
        self.slab.reward.iter_mut().for_each(|r| *r *= scale);
        if let Some(returns) = &mut self.returns {
            let ended = self.slab.terminated.iter().zip(&self.slab.truncated).map(|(a, b)| *a || *b);
            returns.update(&self.slab.reward, self.set.gamma as f32, ended);
        }
        self.replay.end(StepOutcome {
            action: self.slab.actions(),
            reward: &self.slab.reward,
            terminated: &self.slab.terminated,
            truncated: &self.slab.truncated,
            final_obs: &self.slab.final_obs,
            final_mask: &self.slab.final_mask,
        });
        self.replay.begin(&self.slab.obs, &self.slab.mask);
        if let Some(moments) = &mut self.moments {
            moments.update(&self.slab.obs);
        }
        self.step += self.envs;
        self.progress = progress;
    }

    /// Whether learning is due and possible.
    pub fn is_due(&self) -> bool {
        self.step >= self.due && !self.replay.is_empty()
    }

    /// Whether a round of learning is due; true once for each.
    pub fn next_bout(&mut self) -> bool {
        let due = self.is_due();
        self.due += if due { self.set.train_every } else { 0 };
        due
    }

    /// Whether a checkpoint may be made after a step without learning: now and then.
    pub fn may_rest(&self) -> bool {
        self.progress >= 1.0 || (self.step / self.envs).is_multiple_of(256)
    }

    /// Whether the next step is followed by learning that takes longer than a copy of the replay memory; `work`:
    /// transitions of a round.
    pub fn takes_long(&self, work: f64) -> bool {
        let work = self.envs.div_ceil(self.set.train_every) as f64 * work;
        self.step + self.envs >= self.due && work > 1e4 && work > 0.1 * self.replay.len() as f64
    }

    /// Draws transitions, as networks see them.
    pub fn sample(&self, rng: &mut Rng, beta: f64, batch: &mut Batch) {
        self.replay.sample(rng, beta, batch);
        if let Some(moments) = &self.moments {
            // The replay memory holds raw observations, since moments keep changing.
            moments.apply(&mut batch.obs);
            moments.apply(&mut batch.next_obs);
        }
        if let (Some(returns), Some(bound)) = (&self.returns, self.set.return_bound) {
            let divisor = returns.divisor(bound);
            batch.reward.iter_mut().for_each(|r| *r /= divisor);
        }
    }

    /// What observations are standardised by, as a save says.
    pub fn saved_moments(&self, saved: &Saved) -> Result<Option<Moments>, AgentError> {
        Moments::saved(saved, "moments", self.moments.as_ref())
    }

    /// What rewards are scaled by, as a save says.
    pub fn saved_returns(&self, saved: &Saved) -> Result<Option<ReturnScale>, AgentError> {
        ReturnScale::saved(saved, "returns", self.returns.as_ref())
    }

    /// The step at which it learns next.
    pub fn due(&self) -> u64 {
        self.due
    }

    /// Everything that must be saved.
    pub fn save(&self, tensors: &mut Vec<(String, Tensor)>, state: &mut Map<String, Value>) {
        let replay = self.replay.save(tensors);
        for (key, value) in [
            ("step", json!(self.step)),
            ("progress", json!(self.progress)),
            ("moments", json!(self.moments)),
            ("replay", replay),
        ] {
            state.insert(key.into(), value);
        }
        if self.follows {
            state.insert("follows_policy".into(), json!(true));
        }
        if let Some(returns) = &self.returns {
            state.insert("returns".into(), json!(returns));
        }
    }

    /// Restores a save, which says when it learns next.
    pub fn load(&mut self, saved: &Saved, due: u64) -> Result<(), AgentError> {
        let (moments, returns) = (self.saved_moments(saved)?, self.saved_returns(saved)?);
        self.replay.load(saved, &saved.state["replay"])?;
        (self.moments, self.returns) = (moments, returns);
        (self.step, self.progress, self.due) = (saved.part("step")?, saved.part("progress")?, due);
        // What is due lies ahead, unless learning has not begun: else one step would be followed by endless learning.
        let soon = self.step.saturating_add(self.set.train_every.max(self.set.learning_starts));
        let late = !self.replay.is_empty() && due <= self.step;
        if self.step > MOST_STEPS || late || due > soon {
            return Err(AgentError::Checkpoint("its `step` and `due` cannot be".into()));
        }
        self.begun = self.replay.has_begun();
        self.follows = saved.part::<Option<bool>>("follows_policy")? == Some(true);
        Ok(())
    }
}
