//! Exact planning for small environments that give their transition probabilities: value iteration (Bellman 1957) and
//! policy iteration (Howard 1960).
//!
//! States are swept in the reverse order of their discovery, so that in an environment with a deadline one sweep is the
//! whole backward induction.

use crate::agent::{AgentError, Inference, MOST_STEPS, Saved, Stop};
use crate::train::{Episodes, Start, Times, Training};
use agon_core::policy::{Observed, Policy};
use agon_core::settings::Issue;
use agon_core::{ActionsMut, Model, Scene, Spec, VecEnv, View};
use agon_search::Evaluate;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Instant;
use tch::Tensor;

agon_core::choices! {
    /// The method.
    pub enum Method {
        /// Each sweep takes the best choice of every state.
        Value = "value-iteration",
        /// A policy is evaluated until its values converge, then improved.
        Policy = "policy-iteration",
    }
}

agon_core::settings! {
    /// The method. A step is a sweep over all states.
    pub struct Config {
        /// value-iteration or policy-iteration.
        method: Method = Method::Value;
        /// Discount; the environment's own if left out.
        gamma: Option<f64> = None, in [0.0, 1.0];
        /// Values that change less than this have converged.
        tolerance: f64 = 1e-10, in [0.0, 1e9];
        /// The most states.
        most_states: usize = 1_000_000, in [1.0, 1e8];
    }
}

/// A plan under way.
pub struct Exact {
    config: Config,
    gamma: f64,
    env: Box<dyn VecEnv>,
    model: Model,
    /// `[states]`
    value: Vec<f64>,
    /// `[states]`, of policy iteration: what is being evaluated.
    choice: Vec<u32>,
    done: bool,
    step: u64,
    steps: u64,
    times: Times,
}

impl Exact {
    /// Reads the environment's model.
    pub fn new(config: Config, start: Start<'_>) -> Result<Self, AgentError> {
        let Start { env, steps, .. } = start;
        let model = env.model(config.most_states).map_err(|why| {
            AgentError::Settings(vec![Issue::value(
                "kind",
                format!("this environment cannot be planned exactly: {why}"),
            )])
        })?;
        let n = model.len();
        let first = |state: usize| (0..model.actions).find(|a| model.legal[state * model.actions + a]).unwrap_or(0);
        Ok(Self {
            choice: (0..n).map(|s| first(s) as u32).collect(),
            value: vec![0.0; n],
            done: false,
            step: 0,
            steps,
            times: Times::default(),
            gamma: config.gamma.unwrap_or(env.spec().discount),
            config,
            env,
            model,
        })
    }

    /// One sweep; the largest change of a value.
    fn sweep(&mut self) -> f64 {
        let (gamma, mut moved) = (self.gamma, 0f64);
        for state in (0..self.value.len()).rev() {
            let now = match self.config.method {
                Method::Value => self.model.best(state, gamma, &self.value).1,
                Method::Policy => self.model.worth(state, self.choice[state] as usize, gamma, &self.value),
            };
            moved = moved.max((now - self.value[state]).abs());
            self.value[state] = now;
        }
        moved
    }

    /// Makes the policy greedy; whether it changed.
    fn improve(&mut self) -> bool {
        let mut changed = false;
        for state in 0..self.value.len() {
            let (best, worth) = self.model.best(state, self.gamma, &self.value);
            let now = self.model.worth(state, self.choice[state] as usize, self.gamma, &self.value);
            // Ties keep the present action, or policies could alternate for ever.
            if worth > now + self.config.tolerance.max(1e-12) {
                self.choice[state] = best as u32;
                changed = true;
            }
        }
        changed
    }

    /// `[states]` what the plan does.
    fn choices(&self) -> Vec<u32> {
        match self.config.method {
            Method::Value => {
                let best = |state| self.model.best(state, self.gamma, &self.value).0 as u32;
                (0..self.value.len()).map(best).collect()
            }
            Method::Policy => self.choice.clone(),
        }
    }

    fn start_value(&self) -> f64 {
        self.model.starts.iter().map(|(p, state)| p * self.value[*state as usize]).sum()
    }
}

impl Training for Exact {
    fn step(&self) -> u64 {
        self.step
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn done(&self) -> bool {
        self.done || self.step >= self.steps
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.load(saved, None)?;
        self.done = false;
        Ok(())
    }

    /// A sweep is short: no stop is checked within it.
    fn advance_until(&mut self, stop: Stop<'_>) -> Result<Option<Vec<(String, f64)>>, AgentError> {
        if stop() {
            return Ok(None);
        }
        let begun = Instant::now();
        self.step += 1;
        let moved = self.sweep();
        let still = moved <= self.config.tolerance;
        self.done = still && (self.config.method == Method::Value || !self.improve());
        self.times.learn += begun.elapsed();
        if !self.done && self.step >= self.steps {
            return Err(AgentError::Unfinished(format!(
                "after {} sweeps values still change by {moved:.3e}: more `train.steps`, or `agent.gamma` below 1 where \
                 episodes have no end",
                self.step
            )));
        }
        Ok(Some(vec![
            ("change".into(), moved),
            ("value".into(), self.start_value()),
            ("states".into(), self.value.len() as f64),
        ]))
    }

    fn take_episodes(&mut self) -> Episodes {
        Episodes::default()
    }

    fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn policy(&self) -> Option<Box<dyn Policy>> {
        let width = self.model.obs.len() / self.value.len().max(1);
        Some(Box::new(Planned::new(&self.model.obs, &self.choices(), width, self.model.actions)))
    }

    fn network(&self) -> Option<Box<dyn Evaluate>> {
        None
    }

    fn optimum(&self) -> Option<f64> {
        self.env.optimum()
    }

    fn draw(&self, scene: &mut Scene) {
        self.env.draw(0, View::Now, scene);
    }

    fn save(&self) -> (Saved, Value) {
        // Values are 64-bit numbers and tensors 32-bit ones: they are kept as text, which is exact.
        let state = json!({"value": self.value, "choice": self.choice, "done": self.done});
        let choices: Vec<i64> = self.choices().into_iter().map(i64::from).collect();
        let tensors = vec![
            ("value".into(), Tensor::from_slice(&self.value).to_kind(tch::Kind::Float)),
            ("keys".into(), Tensor::from_slice(&self.model.obs)),
            ("choices".into(), Tensor::from_slice(&choices)),
        ];
        (Saved { tensors, state }, json!({ "step": self.step }))
    }

    fn load(&mut self, saved: &Saved, rest: Option<&Value>) -> Result<(), AgentError> {
        let (value, choice): (Vec<f64>, Vec<u32>) = (saved.part("value")?, saved.part("choice")?);
        let fits = value.len() == self.value.len() && choice.len() == value.len();
        if !fits || choice.iter().any(|c| *c as usize >= self.model.actions) {
            return Err(AgentError::Checkpoint(format!(
                "it has {} states, this has {}",
                value.len(),
                self.value.len()
            )));
        }
        (self.value, self.choice, self.done) = (value, choice, saved.part("done")?);
        if let Some(rest) = rest {
            let none = || AgentError::Checkpoint("it has no step".into());
            self.step = rest["step"].as_u64().filter(|step| *step <= MOST_STEPS).ok_or_else(none)?;
        }
        Ok(())
    }
}

/// The choices of a save; none where an older version did not save them.
pub fn inference(spec: &Spec, saved: &Saved) -> Result<Option<Inference>, AgentError> {
    let Ok(choices) = saved.tensor("choices") else { return Ok(None) };
    let keys = saved.tensor("keys")?;
    let mut obs = vec![0.0; keys.numel()];
    crate::bridge::read_f32(keys, &mut obs);
    let broken = || AgentError::Checkpoint("its choices do not fit this environment".into());
    let choices = Vec::<i64>::try_from(choices).map_err(|_| broken())?;
    let (width, actions) = (spec.obs_len(), spec.action.mask_len());
    if obs.len() != choices.len() * width || choices.iter().any(|c| !(0..actions as i64).contains(c)) {
        return Err(broken());
    }
    let choices: Vec<u32> = choices.into_iter().map(|c| c as u32).collect();
    let policy = Planned::new(&obs, &choices, width, actions);
    Ok(Some(Inference { policy: Some(Box::new(policy)), network: None }))
}

/// The choices of a finished plan.
struct Planned {
    choices: HashMap<Vec<u32>, usize>,
    width: usize,
    actions: usize,
}

impl Planned {
    /// Observations `[states, width]` and the choice in each.
    fn new(obs: &[f32], choices: &[u32], width: usize, actions: usize) -> Self {
        let key = |obs: &[f32]| obs.iter().map(|x| x.to_bits()).collect();
        let choices = obs.chunks_exact(width).map(key).zip(choices.iter().map(|c| *c as usize)).collect();
        Self { choices, width, actions }
    }
}

impl Policy for Planned {
    fn act(&mut self, Observed { obs, mask, .. }: Observed<'_>, mut actions: ActionsMut<'_>) {
        for (row, obs) in obs.chunks_exact(self.width).enumerate() {
            let key: Vec<u32> = obs.iter().map(|x| x.to_bits()).collect();
            // Whatever was not planned for (another market than the plan's) gets the first thing that is legal.
            let legal = || (0..self.actions).find(|a| mask.get(row * self.actions + a).copied().unwrap_or(true));
            let choice = self.choices.get(&key).copied().or_else(legal).unwrap_or(0);
            actions.set(row, choice as f64);
        }
    }

    fn name(&self) -> String {
        "exact".into()
    }
}
