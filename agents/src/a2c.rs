//! Advantage actor-critic (Mnih et al. 2016), all environments in step: one gradient step a rollout.
//!
//! Reading order: `Config`, `A2c::update`. Acting and advantages are [`crate::collect`]'s, as PPO's are.

use crate::actor_critic::Shape;
use crate::agent::{Agent, AgentError, Saved, Stop, all_finite, go_on};
use crate::collect::{Collecting, Collector};
use crate::dist::Taken;
use crate::net::Activation;
use crate::optim::{Adam, Schedule};
use crate::registry::Context;
use agon_core::policy::Policy;
use agon_core::{Actions, FirstBuf, StepBuf};
use agon_search::Evaluate;
use serde_json::{Map, Value, json};
use tch::Kind;

agon_core::settings! {
    /// Hyperparameters.
    pub struct Config {
        /// Sizes of the hidden layers.
        hidden: Vec<usize> = vec![64, 64], in [1.0, 65536.0];
        /// What follows each hidden layer.
        activation: Activation = Activation::Tanh;
        /// Whether policy and value share their hidden layers.
        shared_trunk: bool = false;
        /// Adam's step size.
        learning_rate: f64 = 2e-3, in [0.0, 1.0];
        /// How the step size changes over the run.
        learning_rate_schedule: Schedule = Schedule::Linear;
        /// Environment steps a row between updates.
        rollout_steps: usize = 16, in [1.0, 1e6];
        /// Discount.
        gamma: f64 = 0.99, in [0.0, 1.0];
        /// λ of generalised advantage estimation; 1 is the paper's n-step advantage.
        gae_lambda: f64 = 1.0, in [0.0, 1.0];
        /// Weight of the entropy bonus.
        entropy_coef: f64 = 0.0, in [0.0, 10.0];
        /// Weight of the value loss.
        value_coef: f64 = 0.5, in [0.0, 100.0];
        /// Longest gradient.
        max_grad_norm: f64 = 0.5, in [0.0, 1e9];
        /// Advantages of a rollout get mean 0 and deviation 1.
        normalize_advantage: bool = false;
        /// Observations get running mean 0 and deviation 1.
        normalize_observation: bool = true;
        /// Rewards are divided by the running deviation of the discounted return.
        normalize_reward: bool = true;
        /// Logarithm of the Gaussian's initial deviation, in units where the action's bounds are ±1.
        log_std: f64 = 0.0, in [-20.0, 5.0];
    }
}

/// The learner.
pub struct A2c {
    config: Config,
    collector: Collector,
    adam: Adam,
}

impl A2c {
    /// A fresh learner.
    pub fn new(config: Config, context: &Context<'_>) -> Result<Self, AgentError> {
        let shape = Shape {
            hidden: &config.hidden,
            activation: config.activation,
            shared: config.shared_trunk,
            log_std: config.log_std,
            memory: 0,
        };
        let collecting = Collecting {
            shape,
            rollout_steps: config.rollout_steps,
            gamma: config.gamma,
            normalize_observation: config.normalize_observation,
            normalize_reward: config.normalize_reward,
        };
        collecting.fits_in_memory(context, usize::MAX)?;
        let collector = Collector::new(&collecting, context);
        Ok(Self { adam: Adam::new(&collector.params, 1e-5), config, collector })
    }

    fn update(&mut self, progress: f64, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<(), AgentError> {
        let c = &self.config;
        self.collector.estimate(c.gae_lambda, stop)?;
        go_on(stop)?;
        let Collector { rollout, device, nets, params, head, .. } = &self.collector;
        let (device, steps) = (*device, rollout.steps as i64);
        let (out, value) = nets.both(params, &rollout.obs.to(device).narrow(0, 0, steps).flatten(0, 1));
        let mask = (rollout.mask.tensor().numel() > 0).then(|| rollout.mask.to(device).flatten(0, 1));
        let raw = rollout.chosen.to(device).flatten(0, 1);
        let taken = Taken { raw: &raw, mask: mask.as_ref(), log_std: nets.log_std.map(|at| &params.leaves[at]) };
        let (log_prob, entropy) = head.evaluate(&out, &taken, true);
        let mut advantage = self.collector.advantage.to(device);
        if c.normalize_advantage && advantage.numel() > 1 {
            advantage = (&advantage - advantage.mean(Kind::Float)) / (advantage.std(true) + 1e-8);
        }
        let policy_loss = -(log_prob * advantage).mean(Kind::Float);
        let value_loss = value.mse_loss(&self.collector.target.to(device), tch::Reduction::Mean);
        let mut loss = &policy_loss + &value_loss * c.value_coef;
        if let Some(entropy) = &entropy {
            loss -= entropy * c.entropy_coef;
        }
        let gradient = params.gradient(&loss);
        let rate = c.learning_rate_schedule.at(c.learning_rate, progress);
        let norm = self.adam.step(&mut self.collector.params, &gradient, rate, c.max_grad_norm);
        self.collector.refresh();
        let parts = [Some(&policy_loss), Some(&value_loss), entropy.as_ref(), Some(&norm)];
        let names = ["policy_loss", "value_loss", "entropy", "grad_norm"];
        let told =
            names.into_iter().zip(parts).filter_map(|(name, part)| Some((name.to_owned(), part?.double_value(&[]))));
        report.extend(told);
        report.push(("explained_variance".into(), self.collector.explained()));
        report.push(("learning_rate".into(), rate));
        all_finite(report)
    }
}

impl Agent for A2c {
    fn first(&mut self) -> FirstBuf<'_> {
        self.collector.first()
    }

    fn begin(&mut self) {
        self.collector.begin();
    }

    fn act(&mut self) {
        self.collector.act(|_, _, _| {});
    }

    fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        self.collector.exchange()
    }

    fn learn(&mut self, progress: f64, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<bool, AgentError> {
        if !self.collector.take() {
            return Ok(false);
        }
        self.update(progress, report, stop)?;
        self.collector.rewind();
        Ok(true)
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(self.collector.policy("a2c"))
    }

    fn network(&self) -> Option<Box<dyn Evaluate>> {
        self.collector.judge("a2c").map(|judge| -> Box<dyn Evaluate> { Box::new(judge) })
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.collector.warm(saved)
    }

    fn save(&self) -> Saved {
        let mut state = Map::new();
        self.collector.save(&mut state);
        state.insert("adam_steps".into(), json!(self.adam.steps));
        Saved { tensors: self.collector.params.saved(&self.adam), state: Value::Object(state) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.collector.params.load(&mut self.adam, saved)?;
        self.collector.load(saved)
    }
}
