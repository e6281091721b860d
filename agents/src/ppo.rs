//! Proximal policy optimisation (Schulman et al. 2017), with the details of Huang et al. 2022, "The 37 implementation
//! details of PPO".
//!
//! Reading order: `Config`, `Ppo::act`, `Ppo::learn`, `Ppo::update`, `Ppo::loss`.

use crate::actor_critic::{Frozen, Nets, Shape, prepare};
use crate::agent::{Agent, AgentError, Saved};
use crate::bridge::{HostTensor, read_f32};
use crate::dist::{Head, Taken};
use crate::net::{Activation, Builder, Params};
use crate::normalise::Moments;
use crate::optim::Adam;
use crate::pool::{Pool, PoolSettings, Weights};
use crate::registry::Context;
use crate::returns::{Earned, gae};
use crate::rollout::Rollout;
use agon_core::policy::Policy;
use agon_core::rng::{Rng, RngState, Stream};
use agon_core::settings::Issue;
use agon_core::{Actions, FirstBuf, Spec, StepBuf};
use agon_search::Evaluate;
use serde_json::json;
use tch::{Device, Kind, Tensor};

agon_core::choices! {
    /// How a rate changes over the run.
    pub enum Schedule { Constant = "constant", Linear = "linear" }
}

impl Schedule {
    /// The rate at a moment of the run, from 0 to 1.
    pub fn at(self, rate: f64, progress: f64) -> f64 {
        match self {
            Self::Constant => rate,
            Self::Linear => rate * (1.0 - progress).max(0.0),
        }
    }
}

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
        /// Logarithm of the Gaussian's initial deviation, in units where the action's bounds are ±1.
        log_std: f64 = 0.0, in [-20.0, 5.0];
    }
}

/// More than any machine that Agon is meant for has, in bytes: asking for it is a slip of the keyboard.
pub const TOO_MUCH: f64 = 64e9;

impl Config {
    fn fits_in_memory(&self, spec: &Spec, rows: usize, outputs: usize) -> Result<(), AgentError> {
        let refuse = |name: &str, bytes: f64| {
            let message = format!("would need {:.0} GB of memory with {rows} environments", bytes / 1e9);
            Err(AgentError::Settings(vec![Issue::value(name, message)]))
        };
        let numbers = spec.obs_len() + spec.action.len() + spec.action.mask_len() + 4;
        let rollout = 4.0 * numbers as f64 * rows as f64 * self.rollout_steps as f64;
        if rollout > TOO_MUCH {
            return refuse("rollout_steps", rollout);
        }
        let sizes = [&[spec.obs_len()], &self.hidden[..], &[outputs]].concat();
        // Weights, two moments and a gradient, for two networks.
        let weights: f64 = sizes.windows(2).map(|w| 32.0 * w[0] as f64 * w[1] as f64).sum();
        if weights > TOO_MUCH { refuse("hidden", weights) } else { Ok(()) }
    }
}

/// The learner.
pub struct Ppo {
    config: Config,
    device: Device,
    head: Head,
    params: Params,
    nets: Nets,
    adam: Adam,
    rollout: Rollout,
    act_rng: Rng,
    shuffle_rng: Rng,
    obs_moments: Option<Moments>,
    return_moments: Option<Moments>,
    discounted: Vec<f32>,
    out: Vec<f32>,
    log_std: Vec<f32>,
    /// Truncated transitions of this rollout: their places and last observations.
    finals: (Vec<usize>, Vec<f32>),
    advantage: HostTensor<f32>,
    target: HostTensor<f32>,
    order: HostTensor<i64>,
    pool: Option<Pool>,
    /// `[steps, rows]` what is learned from; empty without a pool, where it is all.
    learned: Vec<bool>,
}

/// One minibatch on the device.
struct Minibatch {
    obs: Tensor,
    mask: Option<Tensor>,
    chosen: Tensor,
    log_prob: Tensor,
    advantage: Tensor,
    target: Tensor,
    old_value: Tensor,
}

impl Ppo {
    /// A fresh learner.
    pub fn new(config: Config, context: &Context<'_>) -> Result<Self, AgentError> {
        let Context { spec, rows, seed, device } = *context;
        if config.minibatch < 2 && config.normalize_advantage {
            let message = "must be at least 2 where normalize_advantage = true: one number has no deviation";
            return Err(AgentError::Settings(vec![Issue::value("minibatch", message)]));
        }
        if rows * config.rollout_steps < 2 {
            let message = "with one environment must be at least 2: there is nothing to learn from one step";
            return Err(AgentError::Settings(vec![Issue::value("rollout_steps", message)]));
        }
        let head = Head::of(spec);
        if config.pool_size > 0 && (spec.agents < 2 || config.normalize_observation) {
            let message = "needs an environment of several agents, and normalize_observation = false";
            return Err(AgentError::Settings(vec![Issue::value("pool_size", message)]));
        }
        let pool = PoolSettings {
            size: config.pool_size,
            every: config.pool_every,
            share: config.pool_share,
            weights: config.pool_weights,
        };
        config.fits_in_memory(spec, rows, head.outputs())?;
        let mut builder = Builder::new(seed);
        let shape = Shape {
            hidden: &config.hidden,
            activation: config.activation,
            shared: config.shared_trunk,
            log_std: config.log_std,
        };
        let nets = Nets::new(&mut builder, &shape, spec.obs_len(), &head);
        let params = builder.finish(device);
        let batch = rows * config.rollout_steps;
        let mut ppo = Self {
            adam: Adam::new(&params, 1e-5),
            rollout: Rollout::new(spec, rows, config.rollout_steps),
            act_rng: Rng::new(seed, Stream::Act, 0),
            shuffle_rng: Rng::new(seed, Stream::Shuffle, 0),
            obs_moments: config.normalize_observation.then(|| Moments::new(spec.obs_len())),
            return_moments: config.normalize_reward.then(|| Moments::new(1)),
            discounted: vec![0.0; rows],
            out: vec![0.0; rows * head.outputs()],
            log_std: vec![0.0; if nets.log_std.is_some() { head.outputs() } else { 0 }],
            finals: (Vec::new(), Vec::new()),
            advantage: HostTensor::zeros(&[batch]),
            target: HostTensor::zeros(&[batch]),
            order: HostTensor::zeros(&[batch]),
            pool: (config.pool_size > 0).then(|| Pool::new(pool, spec.agents, rows, seed)),
            learned: Vec::new(),
            config,
            device,
            head,
            params,
            nets,
        };
        ppo.reset_order();
        ppo.refresh();
        Ok(ppo)
    }

    fn reset_order(&mut self) {
        self.order.slice_mut().iter_mut().enumerate().for_each(|(i, o)| *o = i as i64);
    }

    /// Copies what sampling needs of the parameters to the host.
    fn refresh(&mut self) {
        if let Some(at) = self.nets.log_std {
            read_f32(&self.params.leaves[at].detach(), &mut self.log_std);
        }
    }

    /// Divides rewards by the deviation of the discounted return.
    fn scale_rewards(&mut self) {
        let Some(moments) = &mut self.return_moments else { return };
        let part = self.rollout.t * self.rollout.rows..(self.rollout.t + 1) * self.rollout.rows;
        let gamma = self.config.gamma as f32;
        let rewards = &mut self.rollout.reward[part.clone()];
        self.discounted.iter_mut().zip(&*rewards).for_each(|(d, r)| *d = *d * gamma + r);
        moments.update(&self.discounted);
        let deviation = moments.deviation();
        rewards.iter_mut().for_each(|r| *r = (f64::from(*r) / deviation).clamp(-10.0, 10.0) as f32);
        let ended = self.rollout.terminated[part.clone()].iter().zip(&self.rollout.truncated[part]);
        self.discounted.iter_mut().zip(ended).for_each(|(d, (a, b))| *d = if *a || *b { 0.0 } else { *d });
    }

    /// Keeps the last observations of episodes that the step limit ended.
    fn keep_finals(&mut self) {
        let (rows, width) = (self.rollout.rows, self.rollout.final_obs.len() / self.rollout.rows);
        for row in 0..rows {
            let i = self.rollout.t * rows + row;
            if self.rollout.truncated[i] {
                let raw = &self.rollout.final_obs[row * width..(row + 1) * width];
                let (places, obs) = &mut self.finals;
                places.push(i);
                let from = obs.len();
                obs.resize(from + width, 0.0);
                prepare(self.obs_moments.as_ref(), raw, &mut obs[from..]);
            }
        }
    }

    /// Values, advantages and targets of the whole rollout.
    fn estimate(&mut self) {
        let (rows, batch) = (self.rollout.rows, self.rollout.reward.len());
        let mut value = vec![0.0; batch + rows];
        let mut final_value = vec![0.0; batch];
        tch::no_grad(|| {
            let obs = self.rollout.obs.to(self.device).flatten(0, 1);
            read_f32(&self.nets.value(&self.params, &obs), &mut value);
            let (places, obs) = &mut self.finals;
            if !places.is_empty() {
                let n = places.len();
                let obs = Tensor::from_slice(obs).view([n as i64, -1]).to_device(self.device);
                let mut last = vec![0.0; n];
                read_f32(&self.nets.value(&self.params, &obs), &mut last);
                places.iter().zip(last).for_each(|(&i, v)| final_value[i] = v);
            }
        });
        self.finals.0.clear();
        self.finals.1.clear();
        let earned = Earned {
            reward: &self.rollout.reward,
            value: &value,
            final_value: &final_value,
            terminated: &self.rollout.terminated,
            truncated: &self.rollout.truncated,
        };
        let (gamma, lambda) = (self.config.gamma as f32, self.config.gae_lambda as f32);
        gae(earned, rows, gamma, lambda, self.advantage.slice_mut());
        let (advantage, target) = (self.advantage.slice(), self.target.slice_mut());
        target.iter_mut().zip(advantage).zip(&value).for_each(|((t, a), v)| *t = a + v);
    }

    /// The clipped objective of the paper (equations 7 and 9), to be minimised; where asked for also policy loss, value
    /// loss, entropy, KL divergence and the share of clipped ratios.
    fn loss(&self, b: &Minibatch, clip: f64, look: bool) -> (Tensor, Option<[Tensor; 5]>) {
        let c = &self.config;
        let (out, value) = self.nets.both(&self.params, &b.obs);
        let log_std = self.nets.log_std.map(|at| &self.params.leaves[at]);
        let taken = Taken { raw: &b.chosen, mask: b.mask.as_ref(), log_std };
        let (log_prob, entropy) = self.head.evaluate(&out, &taken, look || c.entropy_coef > 0.0);
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
        if let Some(entropy) = entropy.as_ref().filter(|_| c.entropy_coef > 0.0) {
            loss -= entropy * c.entropy_coef;
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

    fn update(&mut self, progress: f64, report: &mut Vec<(String, f64)>) -> Result<(), AgentError> {
        self.estimate();
        let rate = self.config.learning_rate_schedule.at(self.config.learning_rate, progress);
        let clip = self.config.clip_range_schedule.at(self.config.clip_range, progress);
        let (steps, whole) = (self.rollout.steps as i64, self.rollout.reward.len());
        let all = Minibatch {
            obs: self.rollout.obs.to(self.device).narrow(0, 0, steps).flatten(0, 1),
            mask: (self.rollout.mask.tensor().numel() > 0).then(|| self.rollout.mask.to(self.device).flatten(0, 1)),
            chosen: self.rollout.chosen.to(self.device).flatten(0, 1),
            log_prob: self.rollout.log_prob.to(self.device).flatten(0, 1),
            advantage: self.advantage.to(self.device),
            target: self.target.to(self.device),
            old_value: self.target.to(self.device) - self.advantage.to(self.device),
        };
        let size = self.config.minibatch.min(whole);
        let mut last = None;
        'epochs: for epoch in 1..=self.config.epochs {
            self.shuffle_rng.shuffle(self.order.slice_mut());
            let order = self.learned_order().to_device(self.device);
            let batch = order.size()[0] as usize;
            let mut from = 0;
            while from < batch {
                let n = size.min(batch - from);
                // A rest too short to have a deviation is left for the next pass.
                if n < 2 && batch > 1 {
                    break;
                }
                // The whole batch in another order is the same batch.
                let mut b = if n == whole { all.share() } else { all.pick(&order.narrow(0, from as i64, n as i64)) };
                from += n;
                if self.config.normalize_advantage {
                    b.advantage = (&b.advantage - b.advantage.mean(Kind::Float)) / (b.advantage.std(true) + 1e-8);
                }
                let look = self.config.target_kl.is_some() || (epoch == self.config.epochs && from + size > batch);
                let (loss, looked) = self.loss(&b, clip, look);
                let gradient = self.params.gradient(&loss);
                let norm = self.adam.step(&mut self.params, &gradient, rate, self.config.max_grad_norm);
                if let Some(parts) = looked {
                    let too_far = self.config.target_kl.is_some_and(|kl| parts[3].double_value(&[]) > 1.5 * kl);
                    last = Some((parts, norm));
                    if too_far {
                        break 'epochs;
                    }
                }
            }
        }
        self.refresh();
        self.learned.clear();
        if let Some(pool) = &mut self.pool {
            pool.updated(&self.params);
            report.extend(pool.score().map(|score| ("pool_score".into(), score)));
        }
        if let Some((parts, norm)) = last {
            let names = ["policy_loss", "value_loss", "entropy", "kl", "clip_share"];
            let values = parts.iter().chain([&norm]).map(|t| t.double_value(&[]));
            report.extend(names.into_iter().chain(["grad_norm"]).map(String::from).zip(values));
        }
        report.push(("explained_variance".into(), explained(self.advantage.slice(), self.target.slice())));
        report.push(("learning_rate".into(), rate));
        match report.iter().find(|(_, v)| !v.is_finite()) {
            Some((name, _)) => Err(AgentError::Diverged(format!("`{name}` is no longer a number"))),
            None => Ok(()),
        }
    }
}

impl Minibatch {
    fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        Self {
            obs: f(&self.obs),
            mask: self.mask.as_ref().map(&f),
            chosen: f(&self.chosen),
            log_prob: f(&self.log_prob),
            advantage: f(&self.advantage),
            target: f(&self.target),
            old_value: f(&self.old_value),
        }
    }

    fn pick(&self, order: &Tensor) -> Self {
        self.map(|t| t.index_select(0, order))
    }

    fn share(&self) -> Self {
        self.map(Tensor::shallow_clone)
    }
}

/// 1 − Var(target − value) / Var(target): 1 for a perfect critic, 0 for a useless one.
fn explained(advantage: &[f32], target: &[f32]) -> f64 {
    let variance = |x: &[f32]| {
        let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / x.len() as f64;
        x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>()
    };
    1.0 - variance(advantage) / variance(target).max(1e-12)
}

impl Agent for Ppo {
    fn first(&mut self) -> FirstBuf<'_> {
        self.rollout.first()
    }

    fn begin(&mut self) {
        self.rollout.t = 0;
        let (raw, out) = self.rollout.newest(0);
        prepare(self.obs_moments.as_ref(), raw, out);
    }

    fn act(&mut self) {
        let t = self.rollout.t as i64;
        tch::no_grad(|| {
            let obs = self.rollout.obs.tensor().get(t).to_device(self.device);
            read_f32(&self.nets.policy(&self.params, &obs), &mut self.out);
            if let Some(pool) = &self.pool {
                pool.overwrite(&self.nets, &obs, &mut self.out);
                self.learned.extend(pool.learned());
            }
        });
        let (mask, drawn) = self.rollout.choice();
        self.head.sample(&self.out, &self.log_std, mask, &mut self.act_rng, drawn);
    }

    fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        self.rollout.exchange()
    }

    fn learn(&mut self, progress: f64, report: &mut Vec<(String, f64)>) -> Result<bool, AgentError> {
        if let Some(moments) = &mut self.obs_moments {
            moments.update(&self.rollout.raw_obs);
        }
        if let Some(pool) = &mut self.pool {
            let part = self.rollout.t * self.rollout.rows..(self.rollout.t + 1) * self.rollout.rows;
            let r = &self.rollout;
            pool.stepped(&r.reward[part.clone()], &r.terminated[part.clone()], &r.truncated[part]);
        }
        self.scale_rewards();
        self.keep_finals();
        let (raw, out) = self.rollout.newest(self.rollout.t + 1);
        prepare(self.obs_moments.as_ref(), raw, out);
        self.rollout.t += 1;
        if self.rollout.t < self.rollout.steps {
            return Ok(false);
        }
        self.update(progress, report)?;
        self.rollout.rewind();
        Ok(true)
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(Frozen::new("ppo", &self.params, &self.nets, &self.head, self.obs_moments.as_ref()))
    }

    fn network(&self) -> Option<Box<dyn Evaluate>> {
        let scale = self.return_moments.as_ref().map_or(1.0, Moments::deviation);
        let frozen = Frozen::new("ppo", &self.params, &self.nets, &self.head, self.obs_moments.as_ref());
        self.head.is_one_choice().then(|| -> Box<dyn Evaluate> { Box::new(frozen.judging(scale)) })
    }

    fn save(&self) -> Saved {
        let mut tensors = self.params.saved(&self.adam);
        let pool = self.pool.as_ref().map(|pool| pool.save(&mut tensors));
        let state = json!({
            "adam_steps": self.adam.steps,
            "act_rng": self.act_rng.state(),
            "shuffle_rng": self.shuffle_rng.state(),
            "order": self.order.slice(),
            "obs_moments": self.obs_moments,
            "return_moments": self.return_moments,
            "discounted": self.discounted,
            "pool": pool,
        });
        Saved { tensors, state }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let order: Vec<i64> = saved.part("order")?;
        let discounted: Vec<f32> = saved.part("discounted")?;
        let (moments, returns) = (saved.part("obs_moments")?, saved.part("return_moments")?);
        self.params.load(&mut self.adam, saved)?;
        if let Some(pool) = &mut self.pool {
            pool.load(saved, &saved.state["pool"], &self.params)?;
        }
        self.adam.steps = saved.part("adam_steps")?;
        self.act_rng = Rng::restore(saved.part::<RngState>("act_rng")?);
        self.shuffle_rng = Rng::restore(saved.part::<RngState>("shuffle_rng")?);
        (self.obs_moments, self.return_moments) = (moments, returns);
        // Another number of environments (an evaluation) starts these anew.
        if order.len() == self.order.slice().len() && discounted.len() == self.discounted.len() {
            self.order.slice_mut().copy_from_slice(&order);
            self.discounted = discounted;
        }
        self.refresh();
        Ok(())
    }
}
