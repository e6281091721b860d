//! REINFORCE with a baseline (Williams 1992): whole episodes with their actual returns, one gradient step for several
//! of them.
//!
//! An episode under way at an update is learned from when it ends, though its first actions are an older policy's:
//! dropping it would favour short episodes.
//!
//! Reading order: `Config`, `Reinforce::close`, `Reinforce::update`. Acting is [`crate::on_policy::collector`]'s, a step a rollout;
//! episodes are kept here until they end.

use crate::agent::{Agent, AgentError, Context, Saved, Stop, all_finite, go_on};
use crate::bridge::read_f32;
use crate::conv::Filters;
use crate::dist::{Bound, Deviation, Row};
use crate::net::Activation;
use crate::on_policy::a2c::{Weights, loss, tell};
use crate::on_policy::collector::{Collecting, Collector};
use crate::on_policy::frozen::Frame;
use crate::on_policy::networks::{Observed, Shape, Sums};
use crate::on_policy::returns::discounted;
use crate::optim::{Adam, Schedule};
use agon_core::memory;
use agon_core::policy::Policy;
use agon_core::spec::ActionSpec;
use agon_core::{ActionBuf, Actions, FirstBuf, StepBuf};
use agon_search::Evaluate;
use serde_json::{Map, Value, json};
use std::mem::take;
use tch::Tensor;

agon_core::settings! {
    /// Hyperparameters.
    pub struct Config {
        /// Convolutions that read a picture, `[channels, kernel, stride]` each, each followed by a ReLU; `[[16, 3, 1]]`
        /// if left out. Other observations have none.
        conv: Option<Vec<Filters>> = None, in [1.0, 65536.0];
        /// Sizes of the hidden layers.
        hidden: Vec<usize> = vec![64, 64], in [1.0, 65536.0];
        /// The activation after each hidden layer.
        activation: Activation = Activation::Tanh;
        /// Adam's step size.
        learning_rate: f64 = 3e-3, in [0.0, 1.0];
        /// How the step size changes over the run.
        learning_rate_schedule: Schedule = Schedule::Linear;
        /// The fewest steps of whole episodes for a gradient step.
        batch: usize = 2000, in [1.0, 1e8];
        /// Discount.
        gamma: f64 = 0.99, in [0.0, 1.0];
        /// Whether a learned value is subtracted from the returns as a baseline.
        baseline: bool = true;
        /// Weight of the value loss.
        value_coef: f64 = 0.5, in [0.0, 100.0];
        /// Weight of the entropy bonus.
        entropy_coef: f64 = 0.0, in [0.0, 10.0];
        /// Gradients with a greater norm are scaled down to it.
        max_grad_norm: f64 = 0.5, in [0.0, 1e9];
        /// Observations that are plain numbers get running mean 0 and deviation 1.
        normalize_observation: bool = true;
        /// Rewards are divided by the running deviation of the discounted return.
        normalize_reward: bool = true;
        /// Logarithm of the Gaussian's initial deviation, in units where the action's bounds are ±1.
        log_std: f64 = 0.0, in [-20.0, 5.0];
    }
}

/// Steps as arrays: observations, masks, actions and rewards. For ended episodes `earned` holds returns.
#[derive(Clone, Debug)]
struct Steps {
    obs: Vec<f32>,
    mask: Vec<bool>,
    action: ActionBuf,
    earned: Vec<f32>,
}

impl Steps {
    fn none(spec: &ActionSpec) -> Self {
        Self { obs: Vec::new(), mask: Vec::new(), action: spec.buffer(0), earned: Vec::new() }
    }

    fn append(&mut self, other: &mut Self) {
        self.obs.append(&mut other.obs);
        self.mask.append(&mut other.mask);
        self.action.append(&mut other.action);
        self.earned.append(&mut other.earned);
    }

    /// All of them; what is left is empty.
    fn take(&mut self) -> Self {
        let action = self.action.take();
        Self { obs: take(&mut self.obs), mask: take(&mut self.mask), action, earned: take(&mut self.earned) }
    }
}

impl Config {
    fn shape(&self) -> Shape<'_> {
        Shape {
            hidden: &self.hidden,
            conv: self.conv.as_deref(),
            activation: self.activation,
            shared: false,
            log_std: self.log_std,
            deviation: Deviation::Free,
            bound: Bound::Clip,
            recurrent: 0,
        }
    }

    /// What acting needs, without the learner.
    pub fn frame(&self) -> Frame<'_> {
        Frame { name: "reinforce", shape: self.shape(), normalize_observation: self.normalize_observation }
    }
}

/// The learner.
pub struct Reinforce {
    config: Config,
    collector: Collector,
    adam: Adam,
    /// The episodes under way, one a row, and those that ended since the last gradient step.
    open: Vec<Steps>,
    ended: Steps,
}

impl Reinforce {
    /// A fresh learner.
    pub fn new(config: Config, context: &Context<'_>) -> Result<Self, AgentError> {
        let shape = config.shape();
        let collecting = Collecting {
            shape,
            rollout_steps: 1,
            gamma: config.gamma,
            normalize_observation: config.normalize_observation,
            normalize_reward: config.normalize_reward,
            normalize_value: false,
        };
        collecting.fits_in_memory(context, config.batch)?;
        let spec = context.spec;
        let width = 4.0 * (spec.obs_len() + spec.action.len() + spec.action.mask_len() + 1) as f64;
        let whole = width * f64::from(spec.step_limit) * context.rows as f64;
        let what = format!(" with a step limit of {}: reinforce learns from whole episodes", spec.step_limit);
        memory::fits("kind", whole + width * config.batch as f64, &what)?;
        let collector = Collector::new(&collecting, context)?;
        let open = vec![Steps::none(&spec.action); context.rows];
        Ok(Self {
            adam: Adam::new(&collector.networks.params, 1e-5),
            config,
            collector,
            open,
            ended: Steps::none(&spec.action),
        })
    }

    /// Moves the step that was just made to its episode, and the episodes that it ended to the batch, with their
    /// returns: G_t = r_t + γ G_{t+1}. A truncated episode is bootstrapped with the value of its last observation.
    fn close(&mut self) {
        let r = &self.collector.rollout;
        let part = |all: &[f32], row: usize| all[row * all.len() / r.rows..(row + 1) * all.len() / r.rows].to_vec();
        let seen = &r.obs[..r.obs.len() / 2];
        for (row, steps) in self.open.iter_mut().enumerate() {
            steps.obs.extend(part(seen, row));
            let masks = &r.mask;
            steps.mask.extend(&masks[row * masks.len() / r.rows..(row + 1) * masks.len() / r.rows]);
            let width = r.action.len() / r.rows;
            steps.action.extend(r.action.all().part(row * width, width));
            steps.earned.push(r.reward[row]);
        }
        if !r.terminated.iter().chain(&r.truncated).any(|end| *end) {
            return;
        }
        // With one step, advantage + value = r + γ V(last observation) where the step limit ended the episode.
        self.collector.estimate(1.0);
        let r = &self.collector.rollout;
        for row in (0..r.rows).filter(|row| r.terminated[*row] || r.truncated[*row]) {
            let steps = &mut self.open[row];
            let last = if r.truncated[row] { self.collector.target[row] } else { r.reward[row] };
            discounted(&mut steps.earned, last, self.config.gamma as f32);
            self.ended.append(steps);
        }
    }

    /// ∇ log π(a_t) (G_t − V(s_t)), averaged over the episodes that ended.
    pub(super) fn differentiate(&mut self) -> Sums {
        let c = &self.config;
        let steps = self.ended.take();
        let at: Vec<usize> = (0..steps.earned.len()).collect();
        let Collector { networks, head, rollout, .. } = &mut self.collector;
        let (outputs, obs_len) = (head.outputs(), rollout.obs_len());
        let [width, masks] = [steps.action.len(), steps.mask.len()].map(|all| all / at.len());
        let observed = Observed { obs: &steps.obs[..at.len() * obs_len], on_device: None, recurrent: None };
        let weights = Weights { value: c.value_coef, entropy: c.entropy_coef, rows: at.len() as f64 };
        networks.differentiate(observed, &at, outputs, &|rows, gradient| {
            let row = |at: usize, out| {
                let action = steps.action.all().part(at * width, width);
                Row { out, log_std: rows.log_std, action, mask: &steps.mask[at * masks..(at + 1) * masks] }
            };
            let worth = |at: usize, v: f64| {
                let earned = f64::from(steps.earned[at]);
                [if c.baseline { earned - v } else { earned }, earned]
            };
            loss(head, &weights, rows, row, worth, gradient)
        })
    }

    fn update(&mut self, progress: f64, report: &mut Vec<(String, f64)>) -> Result<(), AgentError> {
        let sums = self.differentiate();
        let c = &self.config;
        let rate = c.learning_rate_schedule.at(c.learning_rate, progress);
        let norm = self.collector.networks.step(&mut self.adam, rate, c.max_grad_norm);
        self.collector.networks.refresh();
        tell(report, sums, norm);
        report.push(("learning_rate".into(), rate));
        all_finite(report)
    }
}

#[cfg(test)]
impl Reinforce {
    pub(super) fn collector(&mut self) -> &mut Collector {
        &mut self.collector
    }
}

impl Agent for Reinforce {
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
        self.collector.take();
        self.close();
        self.collector.rewind();
        if self.ended.earned.len() < self.config.batch {
            return Ok(progress >= 1.0);
        }
        go_on(stop)?;
        self.update(progress, report)?;
        Ok(true)
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(self.collector.policy("reinforce"))
    }

    fn network(&self) -> Option<Box<dyn Evaluate>> {
        self.collector.evaluator("reinforce").map(|evaluator| -> Box<dyn Evaluate> { Box::new(evaluator) })
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.collector.warm(saved)
    }

    fn save(&self) -> Saved {
        let mut tensors = self.adam.saved(&self.collector.networks.params);
        let mut all = self.ended.clone();
        self.open.iter().for_each(|steps| all.append(&mut steps.clone()));
        let flags: Vec<f32> = all.mask.iter().map(|m| f32::from(u8::from(*m))).collect();
        for (name, list) in [("obs", &all.obs), ("mask", &flags), ("earned", &all.earned)] {
            tensors.push((format!("episodes.{name}"), Tensor::from_slice(list)));
        }
        let chosen = match &all.action {
            ActionBuf::Discrete(choices) => Tensor::from_slice(choices),
            ActionBuf::Continuous(normals) => Tensor::from_slice(normals),
        };
        tensors.push(("episodes.chosen".into(), chosen));
        let mut state = Map::new();
        self.collector.save(&mut state);
        state.insert("adam_steps".into(), json!(self.adam.steps));
        state.insert("ended".into(), json!(self.ended.earned.len()));
        state.insert("open".into(), json!(self.open.iter().map(|s| s.earned.len()).collect::<Vec<_>>()));
        Saved { tensors, state: Value::Object(state) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let list = |name: &str| -> Result<Vec<f32>, AgentError> {
            let tensor = saved.tensor(&format!("episodes.{name}"))?;
            let mut numbers = vec![0.0; tensor.numel()];
            read_f32(tensor, &mut numbers);
            Ok(numbers)
        };
        let (ended, open): (usize, Vec<usize>) = (saved.part("ended")?, saved.part("open")?);
        let (obs, mask, chosen, earned) = (list("obs")?, list("mask")?, list("chosen")?, list("earned")?);
        let n = earned.len();
        let r = &self.collector.rollout;
        let width = |all: usize| n * all / r.rows;
        let widths = [width(r.raw_obs.len()), width(r.mask.len()), width(r.action.len())];
        let told = open.iter().try_fold(ended, |sum, k| sum.checked_add(*k));
        if told != Some(n) || [obs.len(), mask.len(), chosen.len()] != widths {
            return Err(AgentError::Checkpoint("its episodes are not whole".into()));
        }
        self.adam.load(&mut self.collector.networks.params, saved)?;
        self.collector.load(saved)?;
        // Another number of environments (an evaluation) starts these anew.
        if open.len() == self.open.len() {
            let mut at = 0;
            let choices = matches!(self.ended.action, ActionBuf::Discrete(_));
            let mut next = |count: usize| {
                let cut = |x: &[f32]| x[at * x.len() / n.max(1)..(at + count) * x.len() / n.max(1)].to_vec();
                let mask = cut(&mask).iter().map(|m| *m != 0.0).collect();
                let chosen = cut(&chosen);
                let action = match choices {
                    true => ActionBuf::Discrete(chosen.iter().map(|x| *x as i64).collect()),
                    false => ActionBuf::Continuous(chosen),
                };
                let steps = Steps { obs: cut(&obs), mask, action, earned: cut(&earned) };
                at += count;
                steps
            };
            self.ended = next(ended);
            self.open = open.iter().map(|count| next(*count)).collect();
        }
        Ok(())
    }
}
