//! Deep Q-learning (Mnih et al. 2015) and the parts of Rainbow (Hessel et al. 2018), each a setting: double, dueling,
//! prioritized replay, n-step returns, distributions (C51, QR), noisy networks.
//!
//! Reading order: `Config`, `Dqn::act`, `Dqn::learn`, `Dqn::update`, [`crate::q_task`]. The replay memory is
//! [`crate::replay`], the network and its losses are [`crate::q_net`] and [`crate::q_loss`].

use crate::agent::{Agent, AgentError, Context, Inference, Saved, Stop, acts, all_finite, go_on};
use crate::bridge::{host_slice, host_view};
use crate::conv::Filters;
use crate::dense::BLOCK;
use crate::dist::Head;
use crate::distinct::Distinct;
use crate::greedy::Greedy;
use crate::input::Reading;
use crate::net::Params;
use crate::normalise::Moments;
use crate::off_policy::collector::{Collecting, Collector};
use crate::optim::{Adam, CHUNK, Schedule};
use crate::q_loss::{Kinds, Outputs};
use crate::q_net::{OnDevice, OnHost, Passes, QNet, Shape};
use crate::q_task::{Part, Task};
use crate::replay::{Batch, Priorities, Replay};
use agon_core::memory;
use agon_core::policy::Policy;
use agon_core::rng::{LaneRngs, Rng, RngState, Stream};
use agon_core::settings::Issue;
use agon_core::spec::ActionSpec;
use agon_core::thread_pool::ThreadPool;
use agon_core::{Actions, FirstBuf, Slab, Spec, StepBuf};
use agon_search::Evaluate;
use serde_json::{Map, Value, json};
use tch::{Device, Tensor};

agon_core::settings! {
    /// Hyperparameters. Steps are those of all environments together, as in `train.steps`.
    pub struct Config {
        /// Convolutions that read a picture, `[channels, kernel, stride]` each, each followed by a ReLU; `[[16, 3, 1]]`
        /// if left out. Other observations have none.
        conv: Option<Vec<Filters>> = None, in [1.0, 65536.0];
        /// Sizes of the hidden layers.
        hidden: Vec<usize> = vec![256, 256], in [1.0, 65536.0];
        /// Adam's step size.
        learning_rate: f64 = 1e-3, in [0.0, 1.0];
        /// How the step size changes over the run.
        learning_rate_schedule: Schedule = Schedule::Constant;
        /// Discount.
        gamma: f64 = 0.99, in [0.0, 1.0];
        /// Transitions that the replay memory holds.
        memory: usize = 100_000, in [1.0, 1e9];
        /// Steps before learning begins.
        learning_starts: u64 = 1000, in [1.0, 1e12];
        /// Steps between rounds of learning.
        train_every: u64 = 4, in [1.0, 1e9];
        /// Gradient steps of a round.
        gradient_steps: u64 = 1, in [1.0, 1e6];
        /// Transitions of a minibatch.
        minibatch: usize = 64, in [1.0, 1e6];
        /// Steps between updates of the target network.
        target_every: u64 = 1000, in [1.0, 1e12];
        /// The probability of a uniformly random action at the end; it falls linearly from 1.
        epsilon_end: f64 = 0.05, in [0.0, 1.0];
        /// The share of the run over which it falls.
        epsilon_share: f64 = 0.1, in [0.0, 1.0];
        /// In training, actions that epsilon leaves to the network are drawn with probabilities softmax(Q / temperature)
        /// (Boltzmann exploration), also where `noise` is added; 0 takes the best. In units of returns before
        /// `reward_scale`: actions whose values differ by much less are tried about equally often. What is evaluated or
        /// played always takes the best.
        temperature: f64 = 0.0, in [0.0, 1e12];
        /// Gradients with a greater norm are scaled down to it.
        max_grad_norm: f64 = 10.0, in [0.0, 1e9];
        /// The network picks the next action, the target network evaluates it (van Hasselt et al. 2016).
        double: bool = true;
        /// Value and advantage have their own last layers (Wang et al. 2016).
        dueling: bool = false;
        /// Rewards before the target network's value takes over.
        n_step: usize = 1, in [1.0, 1000.0];
        /// Prioritized replay (Schaul et al. 2016): the exponent α of priorities; 0 draws uniformly.
        priority_exponent: f64 = 0.0, in [0.0, 1.0];
        /// Prioritized replay: the exponent β of importance weights at the start; it rises linearly to 1.
        importance_exponent: f64 = 0.4, in [0.0, 1.0];
        /// How returns are learned: mean, c51 (fixed returns) or qr (quantiles).
        returns: Kinds = Kinds::Mean;
        /// c51, qr: the number of fixed returns or quantiles.
        atoms: usize = 51, in [2.0, 1000.0];
        /// c51: the least fixed return, after `reward_scale`.
        lowest_return: f64 = -10.0, in [-1e9, 1e9];
        /// c51: the greatest fixed return, after `reward_scale`.
        highest_return: f64 = 10.0, in [-1e9, 1e9];
        /// Noisy networks in place of random actions (Fortunato et al. 2018): σ₀, 0 for none.
        noise: f64 = 0.0, in [0.0, 10.0];
        /// Observations that are plain numbers are standardised by their running mean and deviation.
        normalize_observation: bool = false;
        /// Rewards are multiplied by this before anything is learned from them. Where errors of means exceed 1, their
        /// loss is linear and medians are learned: choose it so that they mostly do not.
        reward_scale: f64 = 1.0, in [1e-12, 1e12];
    }
}

/// The learner.
pub struct Dqn {
    config: Config,
    head: Head,
    net: QNet,
    params: Params,
    target: Params,
    adam: Adam,
    collector: Collector,
    batch: Batch,
    act_rngs: LaneRngs,
    sample_rng: Rng,
    noise_rng: Rng,
    /// The step of the next update of the target network.
    copy_due: u64,
    parts: Vec<Part>,
    /// On the host: the gradient of a step, where its chunks end, and how many units of every hidden layer were active
    /// when the chunks were cut.
    gradient: Option<Tensor>,
    ends: Vec<usize>,
    active: Vec<usize>,
    /// The target network's outputs for the batch's next observations, `[rows, width]`.
    next_outputs: Vec<f32>,
    distinct: Distinct,
    pool: ThreadPool,
    q: Vec<f32>,
}

impl Config {
    /// The network for these observations, if memory can hold it.
    fn fits(&self, spec: &Spec, rows: usize) -> Result<Shape, AgentError> {
        let refuse = |name: &str, message: String| Err(AgentError::Settings(vec![Issue::value(name, message)]));
        let ActionSpec::Discrete { labels } = &spec.action else {
            return refuse("kind", "dqn makes one choice a step; this environment asks for more".into());
        };
        if labels.len() > usize::from(u16::MAX) {
            return refuse("kind", format!("dqn tells at most {} actions apart; here are {}", u16::MAX, labels.len()));
        }
        let kept = Replay::bytes(spec, Replay::steps(rows, self.memory, self.n_step) * rows);
        memory::fits("memory", kept, ", which is written out in full at every checkpoint")?;
        let batch = 8.0 * spec.obs_len() as f64 * (self.minibatch * self.together()) as f64;
        memory::fits("minibatch", batch, "")?;
        let atoms = if self.returns == Kinds::Mean { 1 } else { self.atoms };
        let reading = Reading::new(&spec.observation, self.conv.as_deref())?;
        let sizes = [&[reading.features()], &self.hidden[..], &[labels.len() * atoms]].concat();
        // Weights, two moments, a gradient and a copy, again where they are put aside; with noise, deviations of all of
        // them and noisy weights a part.
        let noisy = if self.noise > 0.0 { 16.0 * self.parts(Device::Cpu) as f64 + 40.0 } else { 0.0 };
        let bytes = 40.0 + noisy;
        let weights: f64 = sizes.windows(2).map(|w| bytes * w[0] as f64 * w[1] as f64).sum();
        memory::fits("hidden", weights, "")?;
        memory::fits("memory", kept + batch + weights, " together with the networks")?;
        if self.returns == Kinds::C51 && self.lowest_return as f32 >= self.highest_return as f32 {
            return refuse("lowest_return", "must be below highest_return".into());
        }
        Ok(self.shape(reading, labels.len()))
    }

    /// Minibatches that are drawn at once: the target network does not change within a round, and uniform draws depend
    /// on nothing.
    fn together(&self) -> usize {
        if self.priority_exponent > 0.0 || self.noise > 0.0 {
            return 1;
        }
        let most = (8192 / self.minibatch).clamp(1, self.gradient_steps as usize);
        (1..=most).rev().find(|n| self.gradient_steps.is_multiple_of(*n as u64)).unwrap_or(1)
    }

    fn shape(&self, reading: Reading, actions: usize) -> Shape {
        let outputs = Outputs {
            kind: self.returns,
            actions,
            atoms: if self.returns == Kinds::Mean { 1 } else { self.atoms },
            dueling: self.dueling,
            support: [self.lowest_return as f32, self.highest_return as f32],
        };
        Shape { reading, hidden: self.hidden.clone(), noise: self.noise, outputs }
    }

    /// Parts of a minibatch, which may be processed in parallel. They do not depend on the number of threads.
    fn parts(&self, device: Device) -> usize {
        if device == Device::Cpu { (self.minibatch / 32).clamp(1, 4) } else { 1 }
    }
}

/// The greedy policy of a save, which also evaluates positions: without the replay memory and the target network.
pub fn inference(config: &Config, spec: &Spec, saved: &Saved, device: Device) -> Result<Inference, AgentError> {
    let shape = config.fits(spec, spec.agents)?;
    let fresh = Moments::of(&spec.observation, config.normalize_observation);
    let moments = Moments::saved(saved, "moments", fresh.as_ref())?;
    let greedy = || -> Result<Greedy, AgentError> {
        let (net, mut params) = QNet::new(0, &shape, device);
        params.load_weights(saved)?;
        Ok(Greedy::new(params, moments.clone(), net, Head::of(spec)))
    };
    Ok(Inference { policy: Some(Box::new(greedy()?)), network: Some(Box::new(greedy()?)) })
}

/// Gradient steps between two reorderings that put inactive units last.
const REORDER_EVERY: u64 = 128;

impl Dqn {
    /// A fresh learner.
    pub fn new(config: Config, context: &Context<'_>) -> Result<Self, AgentError> {
        let Context { spec, rows, first_lane, seed, device, threads } = *context;
        let shape = config.fits(spec, rows)?;
        let (actions, (net, params)) = (shape.outputs.actions, QNet::new(seed, &shape, device));
        let parts = (0..config.parts(device)).map(|_| Part::default()).collect();
        let priorities = Priorities { exponent: config.priority_exponent, floor: 1e-6 };
        let collecting = Collecting {
            memory: config.memory,
            learning_starts: config.learning_starts,
            train_every: config.train_every,
            n_step: config.n_step,
            gamma: config.gamma,
            reward_scale: config.reward_scale,
            normalize_observation: config.normalize_observation,
            return_bound: None,
            priorities: (config.priority_exponent > 0.0).then_some(priorities),
        };
        Ok(Self {
            head: Head::of(spec),
            target: params.frozen(),
            adam: Adam::new(&params, 1e-8),
            collector: Collector::new(&collecting, spec, rows),
            batch: Batch::new(spec, config.minibatch * config.together()),
            act_rngs: LaneRngs::new(seed, Stream::Act, first_lane),
            sample_rng: Rng::new(seed, Stream::Shuffle, 0),
            noise_rng: Rng::new(seed, Stream::Act, 1),
            copy_due: config.target_every,
            parts,
            gradient: (device == Device::Cpu).then(|| params.beside(3)),
            ends: net.chunk_ends(CHUNK, &net.units()),
            active: net.units(),
            next_outputs: Vec::new(),
            distinct: Distinct::new(Replay::steps(rows, config.memory, config.n_step) * rows),
            // A device parallelises by itself.
            pool: ThreadPool::new(if device == Device::Cpu { threads.min(config.parts(device)) } else { 1 }),
            q: vec![0.0; rows * actions],
            config,
            net,
            params,
        })
    }

    fn greedy(&self) -> Greedy {
        Greedy::new(self.params.frozen(), self.collector.moments.clone(), self.net.clone(), self.head.clone())
    }

    /// The probability of a random action. Noisy networks explore by themselves once they learn.
    fn epsilon(&self) -> f64 {
        if self.collector.is_warming_up() {
            return 1.0;
        }
        if self.config.noise > 0.0 {
            return 0.0;
        }
        let fallen = (self.collector.progress / self.config.epsilon_share.max(1e-12)).min(1.0);
        1.0 + fallen * (self.config.epsilon_end - 1.0)
    }

    /// The target network's outputs for all next observations of the batch. From a small memory many draws are of the
    /// same transition.
    fn evaluate_next(&mut self) {
        let Self { net, pool, batch, parts, target, distinct, next_outputs, .. } = self;
        let (width, inputs) = (net.outputs().width(), batch.next_obs.len() / batch.places.len());
        let noise = net.noise(&mut self.noise_rng);
        next_outputs.resize(batch.places.len() * width, 0.0);
        distinct.each(&batch.places, &batch.next_obs, next_outputs, |next_obs, next_outputs| {
            let Some(flat) = host_view(&target.flat) else {
                let mut passes = OnDevice { net, params: target, last: None, gradient: None };
                return tch::no_grad(|| passes.forward(next_obs, noise.as_ref(), next_outputs));
            };
            let chunk = (next_obs.len() / inputs).div_ceil(parts.len());
            let out = next_outputs.chunks_mut(chunk * width).zip(next_obs.chunks(chunk * inputs));
            let mut jobs: Vec<_> = parts.iter_mut().zip(out).collect();
            pool.each(&mut jobs, |_, (part, (out, obs))| {
                let mut passes = OnHost { net, flat, work: &mut part.work };
                for (out, obs) in out.chunks_mut(BLOCK * width).zip(obs.chunks(BLOCK * inputs)) {
                    passes.forward(obs, noise.as_ref(), out);
                }
            });
        });
    }

    /// Draws transitions and learns from them, a minibatch a gradient step; the last one's loss, the mean of the values
    /// learned from, and the gradient's norm. All minibatches until the next step are drawn at once, and the target
    /// network evaluates all of them at once: nothing that they depend on changes between them.
    fn update(&mut self, rate: f64) -> [f64; 3] {
        let beta = self.config.importance_exponent + (1.0 - self.config.importance_exponent) * self.collector.progress;
        self.collector.sample(&mut self.sample_rng, beta, &mut self.batch);
        self.evaluate_next();
        let (c, b, net, size) = (&self.config, &self.batch, &self.net, self.config.minibatch);
        let prioritized = c.priority_exponent > 0.0;
        let mut told = [0.0; 3];
        for from in (0..b.places.len()).step_by(size) {
            let choice = if c.double { net.noise(&mut self.noise_rng) } else { None };
            let learned = net.noise(&mut self.noise_rng);
            let all = Task {
                outputs: net.outputs(),
                double: c.double,
                share: 1.0 / size as f32,
                obs: &b.obs,
                next_obs: &b.next_obs,
                next_mask: &b.next_mask,
                action: &b.action,
                reward: &b.reward,
                discount: &b.discount,
                weight: if prioritized { &b.weight } else { &[] },
                next_outputs: &self.next_outputs,
                noise: [choice.as_ref(), learned.as_ref()],
            };
            let task = all.of(from..from + size);
            let norm = match (host_view(&self.params.flat), self.gradient.as_mut().and_then(host_slice)) {
                (Some(flat), Some(gradient)) => {
                    let chunk = size.div_ceil(self.parts.len());
                    let of = |i: usize| task.of((i * chunk).min(size)..((i + 1) * chunk).min(size));
                    self.pool.each(&mut self.parts, |i, part| {
                        let mut work = std::mem::take(&mut part.work);
                        of(i).learn(&mut OnHost { net, flat, work: &mut work }, part);
                        part.work = work;
                    });
                    let seen: Vec<_> = self.parts.iter().enumerate().map(|(i, part)| part.seen(&of(i))).collect();
                    let find =
                        |from: usize, gradient: &mut [f32]| net.gradient(from, &seen, learned.as_ref(), gradient);
                    let rates = [rate, c.max_grad_norm];
                    let norm = self.adam.step_on_host(&mut self.params, gradient, &self.ends, find, rates, &self.pool);
                    if self.adam.steps.is_multiple_of(REORDER_EVERY) {
                        let works: Vec<_> = self.parts.iter().map(|p| &p.work).collect();
                        let active = &mut self.active;
                        self.adam.reordered(&mut self.params, |vectors| *active = net.inactive_last(&works, vectors));
                        self.ends = net.chunk_ends(CHUNK, active);
                    }
                    norm.map_or(f64::NAN, f64::from)
                }
                _ => {
                    let mut passes = OnDevice { net, params: &self.params, last: None, gradient: None };
                    task.learn(&mut passes, &mut self.parts[0]);
                    let gradient = passes.gradient.take().unwrap_or_else(|| self.params.flat.zeros_like());
                    self.adam.step(&mut self.params, &gradient, rate, c.max_grad_norm).double_value(&[])
                }
            };
            let sum = |of: fn(&Part) -> f64| self.parts.iter().map(of).sum::<f64>();
            told = [sum(|p| p.loss), sum(|p| p.learned) / size as f64, norm];
        }
        if prioritized {
            // One minibatch is drawn at a time then.
            let errors: Vec<f32> = self.parts.iter().flat_map(|p| &p.errors).copied().collect();
            self.collector.replay.update(&b.places, &errors);
        }
        told
    }

    fn bout(&mut self, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<(), AgentError> {
        let rate = self.config.learning_rate_schedule.at(self.config.learning_rate, self.collector.progress);
        let draws = self.config.gradient_steps / self.config.together() as u64;
        let mut parts = None;
        for _ in 0..draws {
            go_on(stop)?;
            parts = Some(self.update(rate));
        }
        if let Some(parts) = parts {
            report.extend(["loss", "target", "grad_norm"].iter().zip(parts).map(|(n, x)| ((*n).to_owned(), x)));
        }
        report.push(("epsilon".into(), self.epsilon()));
        report.push(("learning_rate".into(), rate));
        all_finite(report)
    }
}

impl Agent for Dqn {
    fn first(&mut self) -> FirstBuf<'_> {
        self.collector.first()
    }

    fn begin(&mut self) {
        self.collector.begin();
    }

    fn act(&mut self) {
        let (epsilon, rows) = (self.epsilon() as f32, self.collector.slab.rows());
        let actions = self.q.len() / rows;
        // Rows that act at random need no values.
        let mut rngs: Vec<Rng> = (0..rows).map(|row| self.act_rngs.row(row)).collect();
        self.act_rngs.step += 1;
        let random: Vec<bool> = rngs.iter_mut().map(|rng| rng.f32() < epsilon).collect();
        if random.iter().any(|r| !r) {
            let noise = self.net.noise(&mut self.noise_rng);
            let (obs, _) = self.collector.observed();
            self.net.means(&self.params, obs, noise.as_ref(), &mut self.parts[0].work, &mut self.q);
            let temperature = (self.config.temperature * self.config.reward_scale) as f32;
            if temperature > 0.0 {
                // The greatest of values with Gumbel noise is a draw from their softmax.
                for (q, rng) in self.q.chunks_exact_mut(actions).zip(&mut rngs) {
                    q.iter_mut().for_each(|q| *q += temperature * rng.gumbel() as f32);
                }
            }
            let Slab { mask, action, .. } = &mut self.collector.slab;
            self.head.mode(&self.q, mask, action.all_mut());
        }
        let Slab { mask, action, .. } = &mut self.collector.slab;
        let mut chosen = action.all_mut();
        let choices = chosen.discrete();
        for row in (0..rows).filter(|row| random[*row]) {
            let legal = |a: &usize| mask.is_empty() || mask[row * actions + a];
            let count = (0..actions).filter(legal).count();
            let nth = rngs[row].below(count.max(1) as u32) as usize;
            choices[row] = (0..actions).filter(legal).nth(nth).unwrap_or(0) as i64;
        }
    }

    fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        self.collector.exchange()
    }

    fn learn(&mut self, progress: f64, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<bool, AgentError> {
        self.collector.take(progress);
        let step = self.collector.step;
        if step >= self.copy_due {
            // As if steps came one by one: what several environments make at once does not move the next date.
            let late = (step - self.copy_due) / self.config.target_every;
            self.copy_due += (late + 1) * self.config.target_every;
            self.target.copy(&self.params);
        }
        if !self.collector.is_due() {
            return Ok(self.collector.may_rest());
        }
        while self.collector.next_bout() {
            report.clear();
            self.bout(report, stop)?;
        }
        Ok(true)
    }

    fn takes_long(&self) -> bool {
        self.collector.takes_long(self.config.gradient_steps as f64 * self.config.minibatch as f64)
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let moments = self.collector.saved_moments(saved)?;
        self.params.load_weights(saved)?;
        self.target.copy(&self.params);
        self.collector.moments = moments;
        Ok(())
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(self.greedy())
    }

    fn network(&self) -> Option<Box<dyn Evaluate>> {
        Some(Box::new(self.greedy()))
    }

    fn save(&self) -> Saved {
        let mut tensors = self.adam.saved(&self.params);
        tensors.push(("target".into(), self.target.flat.shallow_clone()));
        let mut state = Map::new();
        self.collector.save(&mut tensors, &mut state);
        for (key, value) in [
            ("adam_steps", json!(self.adam.steps)),
            ("acts", json!(self.act_rngs.step)),
            ("sample_rng", json!(self.sample_rng.state())),
            ("noise_rng", json!(self.noise_rng.state())),
            ("due", json!([self.collector.due(), self.copy_due])),
            ("lit", json!(self.active)),
        ] {
            state.insert(key.into(), value);
        }
        Saved { tensors, state: Value::Object(state) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let target = saved.tensor("target")?;
        if target.size() != self.target.flat.size() {
            return Err(AgentError::Checkpoint("its `target` is of another network".into()));
        }
        let [learn, copy]: [u64; 2] = saved.part("due")?;
        self.adam.load(&mut self.params, saved)?;
        tch::no_grad(|| self.target.flat.copy_(target));
        self.collector.load(saved, learn)?;
        self.act_rngs.step = acts(saved)?;
        self.sample_rng = Rng::restore(saved.part::<RngState>("sample_rng")?);
        self.noise_rng = Rng::restore(saved.part::<RngState>("noise_rng")?);
        self.copy_due = copy;
        if copy > self.collector.step.saturating_add(self.config.target_every) {
            return Err(AgentError::Checkpoint("its `step` and `due` cannot be".into()));
        }
        // Older checkpoints do not hold it; they resume with differences in the last digits.
        let units = self.net.units();
        self.active = saved.part::<Option<Vec<usize>>>("lit")?.unwrap_or_else(|| units.clone());
        if self.active.len() != units.len() || self.active.iter().zip(&units).any(|(active, units)| active > units) {
            return Err(AgentError::Checkpoint("its `lit` is of another network".into()));
        }
        self.ends = self.net.chunk_ends(CHUNK, &self.active);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::Field;

    /// Actions are drawn with the probabilities of the softmax of the values, none are of masked actions, and a
    /// temperature near zero takes the best.
    #[test]
    fn a_temperature_draws_from_the_softmax_of_values() {
        const ROWS: usize = 40_000;
        let mut spec = Spec::new(vec![Field::new("x", "", -1.0, 1.0)], ActionSpec::discrete(["a", "b", "c", "d"]), 10);
        spec.masked = true;
        let context = Context { spec: &spec, rows: ROWS, first_lane: 0, seed: 1, device: Device::Cpu, threads: 1 };
        let (memory, learning_starts) = (1, 0);
        let config = Config { memory, learning_starts, epsilon_end: 0.0, reward_scale: 0.1, ..Config::default() };
        let mut dqn = Dqn::new(config, &context).unwrap();
        dqn.collector.progress = 1.0;
        dqn.collector.slab.obs.fill(0.7);
        dqn.collector.slab.mask.chunks_exact_mut(4).for_each(|row| row[1] = false);
        dqn.act();
        let (q, best) = (dqn.q[..4].to_vec(), dqn.collector.slab.actions().discrete()[0]);
        let spread = q.iter().fold(f32::MIN, |a, b| a.max(*b)) - q.iter().fold(f32::MAX, |a, b| a.min(*b));
        dqn.config.temperature = f64::from(spread * 10.0);
        dqn.act();
        let weight = |a: usize| if a == 1 { 0.0 } else { f64::from(q[a] / spread).exp() };
        let total: f64 = (0..4).map(weight).sum();
        for a in 0..4 {
            let chosen = dqn.collector.slab.actions().discrete();
            let (seen, wanted) = (chosen.iter().filter(|x| **x == a as i64).count(), weight(a) / total);
            let deviation = (ROWS as f64 * wanted * (1.0 - wanted)).sqrt();
            assert!((seen as f64 - ROWS as f64 * wanted).abs() <= 5.0 * deviation, "{a}: {seen}, {wanted}");
        }
        dqn.config.temperature = f64::from(spread) * 1e-4;
        dqn.act();
        assert!(dqn.collector.slab.actions().discrete().iter().all(|a| *a == best));
    }
}
