//! Proximal policy optimisation (Schulman et al. 2017), with the details of Huang et al. 2022, "The 37 implementation
//! details of PPO".
//!
//! Reading order: `Config`, `Ppo::act`, `Ppo::learn`, `Ppo::update`, `loss`. Acting and advantages are
//! [`crate::on_policy::collector`]'s.

use crate::agent::{Agent, AgentError, Context, Saved, Stop, all_finite, go_on};
use crate::conv::Filters;
use crate::dist::{Bound, Deviation};
use crate::net::Activation;
use crate::on_policy::collector::{Collecting, Collector, Learning};
use crate::on_policy::frozen::Frame;
use crate::on_policy::networks::{AtOutputs, Rows, Shape, Sums};
use crate::on_policy::opponent_pool::{Pool, PoolSettings, Weights};
use crate::optim::{Adam, Schedule};
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
        /// Convolutions that read a picture, `[channels, kernel, stride]` each, each followed by a ReLU; `[[16, 3, 1]]`
        /// if left out. Other observations have none.
        conv: Option<Vec<Filters>> = None, in [1.0, 65536.0];
        /// Sizes of the hidden layers.
        hidden: Vec<usize> = vec![64, 64], in [1.0, 65536.0];
        /// The activation after each hidden layer.
        activation: Activation = Activation::Tanh;
        /// Whether policy and value share their hidden layers.
        shared_trunk: bool = false;
        /// Adam's step size.
        learning_rate: f64 = 1e-3, in [0.0, 1.0];
        /// How the step size changes over the run.
        learning_rate_schedule: Schedule = Schedule::Linear;
        /// If given, takes the schedule's place: after an update the step size is divided by 1.5 where the KL divergence
        /// of its last pass was above twice this, multiplied where it was below half of it, within 1e-6 and 1e-2.
        desired_kl: Option<f64> = None, in [0.0, 1e9];
        /// Environment steps a row between updates.
        rollout_steps: usize = 128, in [1.0, 1e7];
        /// Transitions of a minibatch; the whole rollout if larger.
        minibatch: usize = 256, in [1.0, 1e9];
        /// Epochs: passes over each rollout.
        epochs: usize = 10, in [1.0, 1000.0];
        /// Discount.
        gamma: f64 = 0.99, in [0.0, 1.0];
        /// λ of generalised advantage estimation.
        gae_lambda: f64 = 0.95, in [0.0, 1.0];
        /// The clip range ε of the probability ratio.
        clip_range: f64 = 0.2, in [0.0, 10.0];
        /// How the clip range changes over the run.
        clip_range_schedule: Schedule = Schedule::Constant;
        /// The clip range of the value's change, if given.
        value_clip: Option<f64> = None, in [0.0, 1e9];
        /// Weight of the entropy bonus.
        entropy_coef: f64 = 0.0, in [0.0, 10.0];
        /// How it changes over the run.
        entropy_coef_schedule: Schedule = Schedule::Constant;
        /// Weight of the value loss.
        value_coef: f64 = 0.5, in [0.0, 100.0];
        /// Gradients with a greater norm are scaled down to it.
        max_grad_norm: f64 = 0.5, in [0.0, 1e9];
        /// Advantages of a minibatch get mean 0 and deviation 1.
        normalize_advantage: bool = true;
        /// Observations that are plain numbers get running mean 0 and deviation 1.
        normalize_observation: bool = true;
        /// Rewards are divided by the running deviation of the discounted return.
        normalize_reward: bool = true;
        /// The value network learns returns with running mean 0 and deviation 1.
        normalize_value: bool = false;
        /// Stops an update's passes once the KL divergence exceeds 1.5 times this, if given.
        target_kl: Option<f64> = None, in [0.0, 1e9];
        /// Self-play: the number of past selves to play against; 0 to play only against its present self.
        pool_size: usize = 0, in [0.0, 1000.0];
        /// Self-play: updates between additions of a past self.
        pool_every: u64 = 10, in [1.0, 1e9];
        /// Self-play: the share of episodes with a past self in all seats but one.
        pool_share: f64 = 0.5, in [0.0, 1.0];
        /// Self-play: how past selves are drawn: uniform, latest or pfsp (more often those that are hard to beat).
        pool_weights: Weights = Weights::Uniform;
        /// Width of a gated recurrent unit (GRU) in front of the networks; 0 for none. Minibatches are then whole
        /// sequences of rows.
        memory: usize = 0, in [0.0, 65536.0];
        /// Logarithm of the Gaussian's initial deviation, in units where the action's bounds are ±1.
        log_std: f64 = 0.0, in [-20.0, 5.0];
        /// What the Gaussian's deviation depends on: free (a parameter for each number of an action) or state (outputs
        /// of the policy network).
        deviation: Deviation = Deviation::Free;
    }
}

impl Config {
    fn shape(&self) -> Shape<'_> {
        Shape {
            hidden: &self.hidden,
            conv: self.conv.as_deref(),
            activation: self.activation,
            shared: self.shared_trunk,
            log_std: self.log_std,
            deviation: self.deviation,
            bound: Bound::Clip,
            recurrent: self.memory,
        }
    }

    /// What acting needs, without the learner.
    pub fn frame(&self) -> Frame<'_> {
        Frame { name: "ppo", shape: self.shape(), normalize_observation: self.normalize_observation }
    }
}

/// The learner.
pub struct Ppo {
    config: Config,
    collector: Collector,
    adam: Adam,
    shuffle_rng: Rng,
    /// The indices of transitions in the rollout, or of rows for recurrent networks, which need whole sequences;
    /// shuffled.
    order: Vec<usize>,
    pool: Option<Pool>,
    /// Adam's step size, where the KL divergence decides it.
    rate: f64,
    /// `[steps, rows]` what is learned from; empty without a pool, where it is all.
    learned: Vec<bool>,
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
        if config.desired_kl.is_some() && !(RATES[0]..=RATES[1]).contains(&config.learning_rate) {
            return refuse("learning_rate", "must be between 1e-6 and 1e-2 where desired_kl is given");
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
        let shape = config.shape();
        let collecting = Collecting {
            shape,
            rollout_steps: config.rollout_steps,
            gamma: config.gamma,
            normalize_observation: config.normalize_observation,
            normalize_reward: config.normalize_reward,
            normalize_value: config.normalize_value,
        };
        collecting.fits_in_memory(context, config.minibatch)?;
        let collector = Collector::new(&collecting, context)?;
        let places = if config.memory > 0 { rows } else { rows * config.rollout_steps };
        Ok(Self {
            adam: Adam::new(&collector.networks.params, 1e-5),
            shuffle_rng: Rng::new(seed, Stream::Shuffle, 0),
            pool: (config.pool_size > 0).then(|| Pool::new(pool, spec.agents, rows, seed)),
            learned: Vec::new(),
            rate: config.learning_rate,
            config,
            collector,
            order: (0..places).collect(),
        })
    }

    /// The shuffled indices that are learned from.
    fn learned_order(&self) -> Vec<usize> {
        let mut order = self.order.clone();
        if !self.learned.is_empty() {
            order.retain(|place| self.learned[*place]);
        }
        order
    }

    /// The gradient of a minibatch: of the transitions at these indices, or of whole sequences.
    pub(super) fn differentiate(&mut self, at: &[usize], clip: f64, bonus: f64) -> Sums {
        let (config, outputs) = (&self.config, self.collector.head.outputs());
        let (networks, observed, learning) = self.collector.learning();
        let scale = if config.normalize_advantage { standard(learning.advantage, at) } else { [0.0, 1.0] };
        let terms = Terms { config, learning, scale, clip, bonus, rows: at.len() as f64 };
        networks.differentiate(observed, at, outputs, &|rows, gradient| loss(&terms, rows, gradient))
    }

    fn update(&mut self, progress: f64, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<(), AgentError> {
        let c = &self.config;
        self.collector.estimate(c.gae_lambda);
        let rate = match c.desired_kl {
            Some(_) => self.rate,
            None => c.learning_rate_schedule.at(c.learning_rate, progress),
        };
        let clip = c.clip_range_schedule.at(c.clip_range, progress);
        let bonus = c.entropy_coef_schedule.at(c.entropy_coef, progress);
        let (steps, rows) = (self.collector.rollout.steps, self.collector.rollout.rows);
        // A row's sequence counts as its steps.
        let transitions = if c.memory > 0 { steps } else { 1 };
        let size = (c.minibatch / transitions).clamp(1, self.order.len());
        // The KL divergence of a pass: its sum over transitions, and their number.
        let (mut last, mut at, mut divergence) = (None, Vec::new(), [0.0; 2]);
        'epochs: for _ in 0..c.epochs {
            self.shuffle_rng.shuffle(&mut self.order);
            let order = self.learned_order();
            divergence = [0.0; 2];
            for minibatch in order.chunks(size) {
                go_on(stop)?;
                let n = minibatch.len() * transitions;
                // A rest too short to have a deviation is left for the next pass.
                if self.config.normalize_advantage && n < 2 && order.len() > 1 {
                    break;
                }
                at.clear();
                if minibatch.len() == self.order.len() {
                    at.extend(0..n); // the whole batch in another order is the same batch
                } else if transitions == 1 {
                    at.extend_from_slice(minibatch);
                } else {
                    at.extend((0..steps).flat_map(|t| minibatch.iter().map(move |row| t * rows + row)));
                }
                let sums = self.differentiate(&at, clip, bonus);
                let networks = &mut self.collector.networks;
                let norm = networks.step(&mut self.adam, rate, self.config.max_grad_norm);
                networks.refresh();
                last = Some((sums, norm));
                divergence = [divergence[0] + sums[3] * n as f64, divergence[1] + n as f64];
                if self.config.target_kl.is_some_and(|kl| sums[3] > 1.5 * kl) {
                    break 'epochs;
                }
            }
        }
        if let Some(desired) = self.config.desired_kl.filter(|_| divergence[1] > 0.0) {
            self.rate = adapted(rate, divergence[0] / divergence[1], desired);
        }
        self.learned.clear();
        if let Some(pool) = &mut self.pool {
            pool.updated(&self.collector.networks.params);
            report.extend(pool.score().map(|score| ("pool_score".into(), score)));
        }
        if let Some((sums, norm)) = last {
            let names = ["policy_loss", "value_loss", "entropy", "kl", "clip_share", "grad_norm"];
            report.extend(names.into_iter().map(String::from).zip(sums.into_iter().chain([norm])));
        }
        report.push(("explained_variance".into(), self.collector.explained()));
        report.push(("learning_rate".into(), rate));
        all_finite(report)
    }
}

/// The bounds of a step size that the KL divergence decides.
const RATES: [f64; 2] = [1e-6, 1e-2];

/// The next step size after an update of this KL divergence: the rule and the constants of rl_games and RSL-RL.
fn adapted(rate: f64, kl: f64, desired: f64) -> f64 {
    let by = match kl {
        _ if kl > 2.0 * desired => 1.0 / 1.5,
        _ if kl < 0.5 * desired => 1.5,
        _ => 1.0,
    };
    (rate * by).clamp(RATES[0], RATES[1])
}

/// Mean and deviation of the advantages at these indices.
pub fn standard(advantage: &[f32], at: &[usize]) -> [f64; 2] {
    let (n, of) = (at.len() as f64, |at: &usize| f64::from(advantage[*at]));
    let mean = at.iter().map(of).sum::<f64>() / n;
    let variance = at.iter().map(|at| (of(at) - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    [mean, variance.sqrt() + 1e-8]
}

/// What a minibatch's loss is made of.
struct Terms<'a> {
    config: &'a Config,
    learning: Learning<'a>,
    /// Mean and deviation by which advantages are standardised.
    scale: [f64; 2],
    clip: f64,
    bonus: f64,
    /// Transitions of the minibatch: the loss is a mean over them.
    rows: f64,
}

/// The clipped objective of the paper (equations 7 and 9), to be minimised: its gradient at the networks' outputs, and
/// its report. With r = π(a|s) / π_old(a|s), advantage A, value V and its target T:
///
/// −min(r A, clip(r, 1 − ε, 1 + ε) A) + c₁ (V − T)² − c₂ H, as a mean over the minibatch. Where values are standardised,
/// so is T.
fn loss(terms: &Terms<'_>, rows: Rows<'_>, gradient: &mut AtOutputs) -> Sums {
    let Terms { config, learning, scale: [mean, deviation], clip, bonus, rows: n } = terms;
    let Learning { head, rollout, advantage, target, value_scale: [middle, unit] } = learning;
    let (outputs, mut scratch, mut sums) = (head.outputs(), Vec::new(), Sums::default());
    for (i, &at) in rows.at.iter().enumerate() {
        let of = i * outputs..(i + 1) * outputs;
        let row = rollout.row(at, &rows.out[of.clone()], rows.log_std);
        let [log_prob, entropy] = head.evaluate(row, &mut scratch);

        let a = (f64::from(advantage[at]) - mean) / deviation;
        let log_ratio = log_prob - f64::from(rollout.log_prob[at]);
        let ratio = log_ratio.exp();
        let (free, clipped) = (ratio * a, ratio.clamp(1.0 - clip, 1.0 + clip) * a);
        // ∂(r A) / ∂ log π = r A; where the clipped one is smaller nothing moves it.
        let by_log_prob = if free <= clipped { -free } else { 0.0 };
        head.differentiate(row, &scratch, [by_log_prob / n, -bonus / n], &mut gradient.out[of], &mut gradient.log_std);

        let standardised = |x: f32| (f64::from(x) - middle) / unit;
        let (v, t) = (f64::from(rows.value[i]), standardised(target[at]));
        let (mut value_loss, mut by_value) = ((v - t).powi(2), 2.0 * (v - t));
        if let Some(range) = config.value_clip {
            let old = standardised(rollout.value[at]);
            let bounded = old + (v - old).clamp(-range, range);
            // Within the range both are the same but for rounding, which is no reason to stop.
            if (v - old).abs() > range && (bounded - t).powi(2) > value_loss {
                (value_loss, by_value) = ((bounded - t).powi(2), 0.0);
            }
        }
        gradient.value[i] = (config.value_coef * by_value / n) as f32;

        let clipped_share = f64::from(u8::from((ratio - 1.0).abs() > *clip));
        let told = [-free.min(clipped), value_loss, entropy, ratio - 1.0 - log_ratio, clipped_share];
        sums.iter_mut().zip(told).for_each(|(sum, x)| *sum += x / n);
    }
    sums
}

#[cfg(test)]
impl Ppo {
    pub(super) fn collector(&mut self) -> &mut Collector {
        &mut self.collector
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
        self.collector.act(|networks, obs, out| {
            if let Some(pool) = pool {
                pool.overwrite(networks, obs, out);
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
        self.collector.evaluator("ppo").map(|evaluator| -> Box<dyn Evaluate> { Box::new(evaluator) })
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.collector.warm(saved)
    }

    fn save(&self) -> Saved {
        let mut tensors = self.adam.saved(&self.collector.networks.params);
        let pool = self.pool.as_ref().map(|pool| pool.save(&mut tensors));
        let order: Vec<i64> = self.order.iter().map(|place| *place as i64).collect();
        tensors.push(("order".into(), Tensor::from_slice(&order)));
        let mut state = Map::new();
        self.collector.save(&mut state);
        state.insert("adam_steps".into(), json!(self.adam.steps));
        state.insert("shuffle_rng".into(), json!(self.shuffle_rng.state()));
        state.insert("pool".into(), json!(pool));
        if self.config.desired_kl.is_some() {
            state.insert("learning_rate".into(), json!(self.rate));
        }
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
        let rate = if self.config.desired_kl.is_some() { saved.part("learning_rate")? } else { self.rate };
        if !(RATES[0]..=RATES[1]).contains(&rate) && self.config.desired_kl.is_some() {
            return Err(AgentError::Checkpoint("its `learning_rate` cannot be".into()));
        }
        self.adam.load(&mut self.collector.networks.params, saved)?;
        if let Some(pool) = &mut self.pool {
            pool.load(saved, &saved.state["pool"], &self.collector.networks.params)?;
        }
        self.shuffle_rng = Rng::restore(saved.part::<RngState>("shuffle_rng")?);
        self.collector.load(saved)?;
        self.rate = rate;
        // Another number of environments (an evaluation) starts this anew.
        if order.len() == self.order.len() {
            self.order = order.into_iter().map(|place| place as usize).collect();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_size_follows_the_divergence() {
        assert_eq!(adapted(3e-4, 0.021, 0.01), 3e-4 / 1.5);
        assert_eq!(adapted(3e-4, 0.0049, 0.01), 3e-4 * 1.5);
        assert!([0.005, 0.01, 0.02].iter().all(|kl| adapted(3e-4, *kl, 0.01) == 3e-4));
        assert_eq!([adapted(1.2e-6, 1.0, 0.01), adapted(9e-3, 0.0, 0.01)], RATES);
    }
}
