//! The training loop. No algorithm in it, and nobody who listens.

use crate::agent::{Agent, AgentError};
use agon_core::rng::Stream;
use agon_core::{EpisodeEnd, VecEnv};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The episodes that ended since the last report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Episodes {
    /// How many.
    pub count: u64,
    /// The sum of their returns.
    pub total: f64,
    /// The worst return.
    pub low: f64,
    /// The best return.
    pub high: f64,
    /// The sum of their lengths.
    pub length: u64,
}

impl Episodes {
    fn add(&mut self, end: &EpisodeEnd) {
        let first = self.count == 0;
        self.low = if first { end.total } else { self.low.min(end.total) };
        self.high = if first { end.total } else { self.high.max(end.total) };
        self.count += 1;
        self.total += end.total;
        self.length += u64::from(end.length);
    }
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    /// In the simulator.
    pub simulate: Duration,
    /// Choosing actions.
    pub infer: Duration,
    /// Learning.
    pub learn: Duration,
}

/// An environment, a learner, and how far they are.
pub struct Trainer {
    /// The batch.
    pub env: Box<dyn VecEnv>,
    /// The learner.
    pub agent: Box<dyn Agent>,
    /// Environment steps made.
    pub step: u64,
    /// Environment steps to make.
    pub steps: u64,
    /// Where the time of this process went.
    pub times: Times,
    episodes: Episodes,
}

impl Trainer {
    /// A fresh start.
    pub fn new(mut env: Box<dyn VecEnv>, mut agent: Box<dyn Agent>, seed: u64, steps: u64) -> Self {
        env.reset(seed, Stream::Env, agent.first());
        agent.begin();
        Self { env, agent, step: 0, steps, times: Times::default(), episodes: Episodes::default() }
    }

    /// Whether all steps were made.
    pub fn done(&self) -> bool {
        self.step >= self.steps
    }

    /// The episodes that ended since this was called last.
    pub fn take_episodes(&mut self) -> Episodes {
        std::mem::take(&mut self.episodes)
    }

    /// Runs to the learner's next boundary and returns its report.
    pub fn advance(&mut self) -> Result<Vec<(String, f64)>, AgentError> {
        let mut report = Vec::new();
        loop {
            let start = Instant::now();
            self.agent.act();
            let acted = Instant::now();
            let (actions, out) = self.agent.exchange();
            self.env.step(actions, out);
            let stepped = Instant::now();
            self.step += self.env.envs() as u64;
            self.env.ended().iter().for_each(|end| self.episodes.add(end));
            let progress = self.step as f64 / self.steps as f64;
            let boundary = self.agent.learn(progress, &mut report)?;
            self.times.infer += acted - start;
            self.times.simulate += stepped - acted;
            self.times.learn += stepped.elapsed();
            if boundary {
                return Ok(report);
            }
        }
    }

    /// Everything beside the agent that must survive. Only at a boundary.
    pub fn save(&self) -> Value {
        let envs: Vec<Value> = (0..self.env.envs()).map(|i| self.env.save(i, agon_core::View::Now)).collect();
        json!({ "step": self.step, "envs": envs, "episodes": self.episodes })
    }

    /// Goes on from a save; the agent was loaded before.
    pub fn load(&mut self, saved: &Value) -> Result<(), AgentError> {
        let broken = |what: String| AgentError::Checkpoint(what);
        let envs = saved["envs"].as_array().ok_or_else(|| broken("it has no environments".into()))?;
        if envs.len() != self.env.envs() {
            return Err(broken(format!("it has {} environments, the run {}", envs.len(), self.env.envs())));
        }
        for (i, env) in envs.iter().enumerate() {
            self.env.restore(i, env).map_err(|e| broken(e.to_string()))?;
        }
        self.step = saved["step"].as_u64().ok_or_else(|| broken("it has no step".into()))?;
        self.episodes = Episodes::deserialize(&saved["episodes"]).map_err(|e| broken(e.to_string()))?;
        self.env.observe(self.agent.first());
        self.agent.begin();
        Ok(())
    }
}
