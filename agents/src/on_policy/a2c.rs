//! Advantage actor-critic (Mnih et al. 2016), all environments in step: one gradient step a rollout.
//!
//! Reading order: `Config`, `A2c::update`, `loss`. Acting and advantages are [`crate::on_policy::collector`]'s, as PPO's
//! are.

use crate::agent::{Agent, AgentError, Context, Saved, Stop, all_finite, go_on};
use crate::conv::Filters;
use crate::dist::{Bound, Deviation, Head, Row};
use crate::net::Activation;
use crate::on_policy::collector::{Collecting, Collector, Learning};
use crate::on_policy::frozen::Frame;
use crate::on_policy::networks::{AtOutputs, Rows, Shape, Sums};
use crate::on_policy::ppo::standard;
use crate::optim::{Adam, Schedule};
use agon_core::policy::Policy;
use agon_core::{Actions, FirstBuf, StepBuf};
use agon_search::Evaluate;
use serde_json::{Map, Value, json};

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
        /// Gradients with a greater norm are scaled down to it.
        max_grad_norm: f64 = 0.5, in [0.0, 1e9];
        /// Advantages of a rollout get mean 0 and deviation 1.
        normalize_advantage: bool = false;
        /// Observations that are plain numbers get running mean 0 and deviation 1.
        normalize_observation: bool = true;
        /// Rewards are divided by the running deviation of the discounted return.
        normalize_reward: bool = true;
        /// Logarithm of the Gaussian's initial deviation, in units where the action's bounds are ±1.
        log_std: f64 = 0.0, in [-20.0, 5.0];
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
            deviation: Deviation::Free,
            bound: Bound::Clip,
            recurrent: 0,
        }
    }

    /// What acting needs, without the learner.
    pub fn frame(&self) -> Frame<'_> {
        Frame { name: "a2c", shape: self.shape(), normalize_observation: self.normalize_observation }
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
        let shape = config.shape();
        let collecting = Collecting {
            shape,
            rollout_steps: config.rollout_steps,
            gamma: config.gamma,
            normalize_observation: config.normalize_observation,
            normalize_reward: config.normalize_reward,
            normalize_value: false,
        };
        collecting.fits_in_memory(context, usize::MAX)?;
        let collector = Collector::new(&collecting, context)?;
        Ok(Self { adam: Adam::new(&collector.networks.params, 1e-5), config, collector })
    }

    /// The gradient of the whole rollout, after [`Collector::estimate`].
    pub(super) fn differentiate(&mut self) -> Sums {
        let c = &self.config;
        let (networks, observed, learning) = self.collector.learning();
        let Learning { head, rollout, advantage, target, .. } = learning;
        let at: Vec<usize> = (0..advantage.len()).collect();
        let standardised = c.normalize_advantage && at.len() > 1;
        let [mean, deviation] = if standardised { standard(advantage, &at) } else { [0.0, 1.0] };
        let weights = Weights { value: c.value_coef, entropy: c.entropy_coef, rows: at.len() as f64 };
        networks.differentiate(observed, &at, head.outputs(), &|rows, gradient| {
            let worth = |at: usize, _: f64| [(f64::from(advantage[at]) - mean) / deviation, f64::from(target[at])];
            loss(head, &weights, rows, |at, out| rollout.row(at, out, rows.log_std), worth, gradient)
        })
    }

    fn update(&mut self, progress: f64, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<(), AgentError> {
        self.collector.estimate(self.config.gae_lambda);
        go_on(stop)?;
        let sums = self.differentiate();
        let c = &self.config;
        let rate = c.learning_rate_schedule.at(c.learning_rate, progress);
        let norm = self.collector.networks.step(&mut self.adam, rate, c.max_grad_norm);
        self.collector.networks.refresh();
        tell(report, sums, norm);
        report.push(("explained_variance".into(), self.collector.explained()));
        report.push(("learning_rate".into(), rate));
        all_finite(report)
    }
}

/// Losses of an update by their names.
pub fn tell(report: &mut Vec<(String, f64)>, [policy_loss, value_loss, entropy, ..]: Sums, norm: f64) {
    let names = ["policy_loss", "value_loss", "entropy", "grad_norm"];
    report.extend(names.into_iter().map(String::from).zip([policy_loss, value_loss, entropy, norm]));
}

/// Weights of a loss's parts, and how many rows it is a mean over.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// Of the value loss.
    pub value: f64,
    /// Of the entropy bonus.
    pub entropy: f64,
    /// Rows in all.
    pub rows: f64,
}

/// −log π(a|s) A + c₁ (V − T)² − c₂ H, as a mean over all rows: the policy gradient with a learned value beside it. Its
/// gradient at the networks' outputs, and the parts by name. `row` gives what was done at a place, `worth` the advantage
/// A and the value's target T, given V; A is a number that nothing is differentiated through.
pub fn loss<'a>(
    head: &Head,
    weights: &Weights,
    rows: Rows<'a>,
    row: impl Fn(usize, &'a [f32]) -> Row<'a>,
    worth: impl Fn(usize, f64) -> [f64; 2],
    gradient: &mut AtOutputs,
) -> Sums {
    let (outputs, n, mut scratch, mut sums) = (head.outputs(), weights.rows, Vec::new(), Sums::default());
    for (i, &at) in rows.at.iter().enumerate() {
        let of = i * outputs..(i + 1) * outputs;
        let (row, v) = (row(at, &rows.out[of.clone()]), f64::from(rows.value[i]));
        let ([advantage, target], [log_prob, entropy]) = (worth(at, v), head.evaluate(row, &mut scratch));
        let by = [-advantage / n, -weights.entropy / n];
        head.differentiate(row, &scratch, by, &mut gradient.out[of], &mut gradient.log_std);
        gradient.value[i] = (weights.value * 2.0 * (v - target) / n) as f32;
        let told = [-log_prob * advantage, (v - target).powi(2), entropy];
        sums.iter_mut().zip(told).for_each(|(sum, x)| *sum += x / n);
    }
    sums
}

#[cfg(test)]
impl A2c {
    pub(super) fn collector(&mut self) -> &mut Collector {
        &mut self.collector
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
        self.collector.evaluator("a2c").map(|evaluator| -> Box<dyn Evaluate> { Box::new(evaluator) })
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.collector.warm(saved)
    }

    fn save(&self) -> Saved {
        let mut state = Map::new();
        self.collector.save(&mut state);
        state.insert("adam_steps".into(), json!(self.adam.steps));
        Saved { tensors: self.adam.saved(&self.collector.networks.params), state: Value::Object(state) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.adam.load(&mut self.collector.networks.params, saved)?;
        self.collector.load(saved)
    }
}
