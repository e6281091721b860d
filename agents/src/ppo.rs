//! Proximal policy optimisation (Schulman et al. 2017), with the details of Huang et al. 2022, "The 37 implementation
//! details of PPO".
//!
//! Reading order: `Config`, `Ppo::act`, `Ppo::learn`, `Ppo::update`, `Ppo::loss`.

use crate::actor_critic::Shape;
use crate::agent::{Agent, AgentError, Saved, Stop, all_finite, go_on};
use crate::bridge::HostTensor;
use crate::collect::{Collecting, Collector};
use crate::dist::Taken;
use crate::net::Activation;
use crate::optim::{Adam, Schedule};
use crate::pool::{Pool, PoolSettings, Weights};
use crate::registry::Context;
use agon_core::policy::Policy;
use agon_core::rng::{Rng, RngState, Stream};
use agon_core::settings::Issue;
use agon_core::{Actions, FirstBuf, StepBuf};
use agon_search::Evaluate;
use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

agon_core::settings! {
    /// Hyperparameters. The defaults solve the classic set with 16 environments in 500,000 steps.
    pub struct Config {
        /// Sizes of the hidden layers.
        hidden: Vec<usize> = vec![64, 64], in [1.0, 65536.0];
        /// What follows each hidden layer.
        activation: Activation = Activation::Tanh;
        /// Whether policy and value share their hidden layers.
        shared_trunk: bool = false;
        /// Adam's step size.
        learning_rate: f64 = 1e-3, in [0.0, 1.0];
        /// How the step size changes over the run.
        learning_rate_schedule: Schedule = Schedule::Linear;
        /// Environment steps a row between updates.
        rollout_steps: usize = 128, in [1.0, 1e7];
        /// Transitions a gradient step sees; the whole rollout if larger.
        minibatch: usize = 256, in [1.0, 1e9];
        /// Passes over each rollout.
        epochs: usize = 10, in [1.0, 1000.0];
        /// Discount.
        gamma: f64 = 0.99, in [0.0, 1.0];
        /// λ of generalised advantage estimation.
        gae_lambda: f64 = 0.95, in [0.0, 1.0];
        /// How far the probability ratio may move.
        clip_range: f64 = 0.2, in [0.0, 10.0];
        /// How the clip range changes over the run.
        clip_range_schedule: Schedule = Schedule::Constant;
        /// Clips the value's change too, if given.
        value_clip: Option<f64> = None, in [0.0, 1e9];
        /// Weight of the entropy bonus.
        entropy_coef: f64 = 0.0, in [0.0, 10.0];
        /// How that weight changes over the run.
        entropy_coef_schedule: Schedule = Schedule::Constant;
        /// Weight of the value loss.
        value_coef: f64 = 0.5, in [0.0, 100.0];
        /// Longest gradient.
        max_grad_norm: f64 = 0.5, in [0.0, 1e9];
        /// Advantages of a minibatch get mean 0 and deviation 1.
        normalize_advantage: bool = true;
        /// Observations get running mean 0 and deviation 1.
        normalize_observation: bool = true;
        /// Rewards are divided by the running deviation of the discounted return.
        normalize_reward: bool = true;
        /// Stops an update's passes once the KL divergence exceeds 1.5 times this, if given.
        target_kl: Option<f64> = None, in [0.0, 1e9];
        /// Self-play: past selves that are kept to play against; 0 for none, only against itself as it is.
        pool_size: usize = 0, in [0.0, 1000.0];
        /// Self-play: updates between past selves.
        pool_every: u64 = 10, in [1.0, 1e9];
        /// Self-play: the share of episodes with a past self in all seats but one.
        pool_share: f64 = 0.5, in [0.0, 1.0];
        /// Self-play: which past selves are met: uniform, latest or pfsp (those that are hard to beat).
        pool_weights: Weights = Weights::Uniform;
        /// Numbers that a gated recurrent unit in front of the networks remembers; 0 for none. Minibatches are then
        /// whole sequences of rows.
        memory: usize = 0, in [0.0, 65536.0];
        /// Logarithm of the Gaussian's initial deviation, in units where the action's bounds are ±1.
        log_std: f64 = 0.0, in [-20.0, 5.0];
    }
}

/// The learner.
pub struct Ppo {
    config: Config,
    collector: Collector,
    adam: Adam,
    shuffle_rng: Rng,
    /// The places of transitions in the rollout, or of rows where a memory needs whole sequences; shuffled.
    order: HostTensor<i64>,
    pool: Option<Pool>,
    /// `[steps, rows]` what is learned from; empty without a pool, where it is all.
    learned: Vec<bool>,
}

/// One minibatch on the device. Of recurrent networks: whole sequences of some rows, `obs` and `fresh` with the steps in
/// front, everything else flat in that order.
struct Minibatch {
    obs: Tensor,
    mask: Option<Tensor>,
    chosen: Tensor,
    log_prob: Tensor,
    advantage: Tensor,
    target: Tensor,
    old_value: Tensor,
    memory: Option<Remembered>,
}

/// What a minibatch of a recurrent network begins with.
struct Remembered {
    first: Tensor,
    fresh: Tensor,
}

impl Ppo {
    /// A fresh learner.
    pub fn new(config: Config, context: &Context<'_>) -> Result<Self, AgentError> {
        let Context { spec, rows, seed, .. } = *context;
        let refuse = |name: &str, message: &str| Err(AgentError::Settings(vec![Issue::value(name, message)]));
        if config.minibatch < 2 && config.normalize_advantage {
            let message = "must be at least 2 where normalize_advantage = true: one number has no deviation";
            return refuse("minibatch", message);
        }
        if rows * config.rollout_steps < 2 {
            let message = "with one environment must be at least 2: there is nothing to learn from one step";
            return refuse("rollout_steps", message);
        }
        if config.pool_size > 0 && (spec.agents < 2 || config.normalize_observation) {
            return refuse("pool_size", "needs an environment of several agents, and normalize_observation = false");
        }
        if config.pool_size > 0 && config.memory > 0 {
            return refuse("memory", "and a pool of past selves do not go together: past selves remember nothing");
        }
        let pool = PoolSettings {
            size: config.pool_size,
            every: config.pool_every,
            share: config.pool_share,
            weights: config.pool_weights,
        };
        let shape = Shape {
            hidden: &config.hidden,
            activation: config.activation,
            shared: config.shared_trunk,
            log_std: config.log_std,
            memory: config.memory,
        };
        let collecting = Collecting {
            shape,
            rollout_steps: config.rollout_steps,
            gamma: config.gamma,
            normalize_observation: config.normalize_observation,
            normalize_reward: config.normalize_reward,
        };
        collecting.fits_in_memory(context, config.minibatch)?;
        let collector = Collector::new(&collecting, context);
        let places = if config.memory > 0 { rows } else { rows * config.rollout_steps };
        let mut order = HostTensor::zeros(&[places]);
        order.slice_mut().iter_mut().enumerate().for_each(|(i, o)| *o = i as i64);
        Ok(Self {
            adam: Adam::new(&collector.params, 1e-5),
            shuffle_rng: Rng::new(seed, Stream::Shuffle, 0),
            pool: (config.pool_size > 0).then(|| Pool::new(pool, spec.agents, rows, seed)),
            learned: Vec::new(),
            config,
            collector,
            order,
        })
    }

    /// The clipped objective of the paper (equations 7 and 9), to be minimised; where asked for also policy loss, value
    /// loss, entropy, KL divergence and the share of clipped ratios.
    fn loss(&self, b: &Minibatch, clip: f64, bonus: f64, look: bool) -> (Tensor, Option<[Tensor; 5]>) {
        let (c, nets, params) = (&self.config, &self.collector.nets, &self.collector.params);
        let seen = match &b.memory {
            None => b.obs.shallow_clone(),
            Some(m) => nets.sequence(params, &b.obs, &m.fresh, &m.first).flatten(0, 1),
        };
        let (out, value) = nets.both(params, &seen);
        let log_std = nets.log_std.map(|at| &params.leaves[at]);
        let taken = Taken { raw: &b.chosen, mask: b.mask.as_ref(), log_std };
        let (log_prob, entropy) = self.collector.head.evaluate(&out, &taken, look || bonus > 0.0);
        let log_ratio = log_prob - &b.log_prob;
        let ratio = log_ratio.exp();
        let clipped = ratio.clamp(1.0 - clip, 1.0 + clip) * &b.advantage;
        let policy_loss = -(&ratio * &b.advantage).minimum(&clipped).mean(Kind::Float);
        let value_loss = match c.value_clip {
            None => value.mse_loss(&b.target, tch::Reduction::Mean),
            Some(range) => {
                let bounded = &b.old_value + (&value - &b.old_value).clamp(-range, range);
                let error = (&value - &b.target).square();
                error.maximum(&(bounded - &b.target).square()).mean(Kind::Float)
            }
        };
        let mut loss = &policy_loss + &value_loss * c.value_coef;
        if let Some(entropy) = entropy.as_ref().filter(|_| bonus > 0.0) {
            loss -= entropy * bonus;
        }
        let looked = entropy.filter(|_| look).map(|entropy| {
            tch::no_grad(|| {
                let moved = &ratio - 1.0;
                let kl = (&moved - &log_ratio).mean(Kind::Float);
                let share = moved.abs().gt(clip).to_kind(Kind::Float).mean(Kind::Float);
                [policy_loss.detach(), value_loss.detach(), entropy.detach(), kl, share]
            })
        });
        (loss, looked)
    }

    /// The shuffled places that are learned from.
    fn learned_order(&self) -> Tensor {
        if self.learned.is_empty() {
            return self.order.tensor().shallow_clone();
        }
        let picked = self.order.slice().iter().copied().filter(|i| self.learned[*i as usize]);
        Tensor::from_slice(&picked.collect::<Vec<i64>>())
    }

    /// The whole rollout on the device.
    fn all(&self) -> Minibatch {
        let Collector { rollout, device, advantage, target, memory, .. } = &self.collector;
        let (device, obs) = (*device, rollout.obs.to(*device).narrow(0, 0, rollout.steps as i64));
        Minibatch {
            obs: if memory.is_some() { obs } else { obs.flatten(0, 1) },
            mask: (rollout.mask.tensor().numel() > 0).then(|| rollout.mask.to(device).flatten(0, 1)),
            chosen: rollout.chosen.to(device).flatten(0, 1),
            log_prob: rollout.log_prob.to(device).flatten(0, 1),
            advantage: advantage.to(device),
            target: target.to(device),
            old_value: target.to(device) - advantage.to(device),
            memory: memory.as_ref().map(|m| Remembered {
                first: m.first.shallow_clone(),
                fresh: m.fresh.to(device).narrow(0, 0, rollout.steps as i64),
            }),
        }
    }

    fn update(&mut self, progress: f64, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<(), AgentError> {
        self.collector.estimate(self.config.gae_lambda, stop)?;
        let rate = self.config.learning_rate_schedule.at(self.config.learning_rate, progress);
        let clip = self.config.clip_range_schedule.at(self.config.clip_range, progress);
        let bonus = self.config.entropy_coef_schedule.at(self.config.entropy_coef, progress);
        let (steps, whole, device) = (self.collector.rollout.steps, self.order.slice().len(), self.collector.device);
        let all = self.all();
        // A row's sequence counts as its steps.
        let transitions = if self.config.memory > 0 { steps } else { 1 };
        let size = (self.config.minibatch / transitions).clamp(1, whole);
        let mut last = None;
        'epochs: for epoch in 1..=self.config.epochs {
            self.shuffle_rng.shuffle(self.order.slice_mut());
            let order = self.learned_order().to_device(device);
            let batch = order.size()[0] as usize;
            let mut from = 0;
            while from < batch {
                go_on(stop)?;
                let n = size.min(batch - from);
                // A rest too short to have a deviation is left for the next pass.
                if self.config.normalize_advantage && n * transitions < 2 && batch > 1 {
                    break;
                }
                // The whole batch in another order is the same batch.
                let mut b =
                    if n == whole { all.share() } else { all.pick(&order.narrow(0, from as i64, n as i64), steps) };
                from += n;
                if self.config.normalize_advantage {
                    b.advantage = (&b.advantage - b.advantage.mean(Kind::Float)) / (b.advantage.std(true) + 1e-8);
                }
                let look = self.config.target_kl.is_some() || (epoch == self.config.epochs && from + size > batch);
                let (loss, looked) = self.loss(&b, clip, bonus, look);
                let gradient = self.collector.params.gradient(&loss);
                let norm = self.adam.step(&mut self.collector.params, &gradient, rate, self.config.max_grad_norm);
                if let Some(parts) = looked {
                    let too_far = self.config.target_kl.is_some_and(|kl| parts[3].double_value(&[]) > 1.5 * kl);
                    last = Some((parts, norm));
                    if too_far {
                        break 'epochs;
                    }
                }
            }
        }
        self.collector.refresh();
        self.learned.clear();
        if let Some(pool) = &mut self.pool {
            pool.updated(&self.collector.params);
            report.extend(pool.score().map(|score| ("pool_score".into(), score)));
        }
        if let Some((parts, norm)) = last {
            let names = ["policy_loss", "value_loss", "entropy", "kl", "clip_share"];
            let values = parts.iter().chain([&norm]).map(|t| t.double_value(&[]));
            report.extend(names.into_iter().chain(["grad_norm"]).map(String::from).zip(values));
        }
        report.push(("explained_variance".into(), self.collector.explained()));
        report.push(("learning_rate".into(), rate));
        all_finite(report)
    }
}

impl Minibatch {
    fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            memory: None,
            obs: if self.memory.is_some() { self.obs.shallow_clone() } else { f(&self.obs) },
            mask: self.mask.as_ref().map(&f),
            chosen: f(&self.chosen),
            log_prob: f(&self.log_prob),
            advantage: f(&self.advantage),
            target: f(&self.target),
            old_value: f(&self.old_value),
        }
    }

    /// Some of it: transitions, or whole rows where networks are recurrent.
    fn pick(&self, order: &Tensor, steps: usize) -> Self {
        let Some(memory) = &self.memory else { return self.map(|t| t.index_select(0, order)) };
        let flat = |t: &Tensor| {
            let (size, steps) = (t.size(), steps as i64);
            let apart = [&[steps, size[0] / steps], &size[1..]].concat();
            t.view(apart.as_slice()).index_select(1, order).flatten(0, 1)
        };
        Self {
            obs: self.obs.index_select(1, order),
            memory: Some(Remembered {
                first: memory.first.index_select(0, order),
                fresh: memory.fresh.index_select(1, order),
            }),
            ..self.map(flat)
        }
    }

    fn share(&self) -> Self {
        let memory =
            self.memory.as_ref().map(|m| Remembered { first: m.first.shallow_clone(), fresh: m.fresh.shallow_clone() });
        Self { memory, ..self.map(Tensor::shallow_clone) }
    }
}

impl Agent for Ppo {
    fn first(&mut self) -> FirstBuf<'_> {
        self.collector.first()
    }

    fn begin(&mut self) {
        self.learned.clear();
        self.collector.begin();
    }

    fn act(&mut self) {
        let (pool, learned) = (&self.pool, &mut self.learned);
        self.collector.act(|nets, obs, out| {
            if let Some(pool) = pool {
                pool.overwrite(nets, obs, out);
                learned.extend(pool.learned());
            }
        });
    }

    fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        self.collector.exchange()
    }

    fn learn(&mut self, progress: f64, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<bool, AgentError> {
        if let Some(pool) = &mut self.pool {
            let r = &self.collector.rollout;
            let part = r.t * r.rows..(r.t + 1) * r.rows;
            pool.stepped(&r.reward[part.clone()], &r.terminated[part.clone()], &r.truncated[part]);
        }
        if !self.collector.take() {
            return Ok(false);
        }
        self.update(progress, report, stop)?;
        self.collector.rewind();
        Ok(true)
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(self.collector.policy("ppo"))
    }

    fn network(&self) -> Option<Box<dyn Evaluate>> {
        self.collector.judge("ppo").map(|judge| -> Box<dyn Evaluate> { Box::new(judge) })
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.collector.warm(saved)
    }

    fn save(&self) -> Saved {
        let mut tensors = self.collector.params.saved(&self.adam);
        let pool = self.pool.as_ref().map(|pool| pool.save(&mut tensors));
        tensors.push(("order".into(), self.order.tensor().shallow_clone()));
        let mut state = Map::new();
        self.collector.save(&mut state);
        state.insert("adam_steps".into(), json!(self.adam.steps));
        state.insert("shuffle_rng".into(), json!(self.shuffle_rng.state()));
        state.insert("pool".into(), json!(pool));
        Saved { tensors, state: Value::Object(state) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        // Older checkpoints have it as text.
        let order: Vec<i64> = match saved.tensor("order") {
            Ok(order) if order.kind() == Kind::Int64 => {
                let mut places = vec![0; order.numel()];
                order.copy_data(&mut places, order.numel());
                places
            }
            _ => saved.part("order")?,
        };
        let mut seen = vec![false; order.len()];
        let mut once = |i: &i64| seen.get_mut(*i as usize).is_some_and(|seen| !std::mem::replace(seen, true));
        if !order.iter().all(&mut once) {
            return Err(AgentError::Checkpoint("its `order` is not one of all places".into()));
        }
        self.collector.params.load(&mut self.adam, saved)?;
        if let Some(pool) = &mut self.pool {
            pool.load(saved, &saved.state["pool"], &self.collector.params)?;
        }
        self.shuffle_rng = Rng::restore(saved.part::<RngState>("shuffle_rng")?);
        self.collector.load(saved)?;
        // Another number of environments (an evaluation) starts this anew.
        if order.len() == self.order.slice().len() {
            self.order.slice_mut().copy_from_slice(&order);
        }
        Ok(())
    }
}
