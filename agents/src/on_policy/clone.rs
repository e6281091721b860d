//! Behaviour cloning (Pomerleau 1991): the networks of policy-gradient agents learn from recorded episodes to do what was
//! done there, by maximum likelihood. No environment is stepped; what was learned is a policy like PPO's, which PPO, A2C
//! and REINFORCE can begin with, or one like SAC's, which SAC and TD3 can.
//!
//! Episodes are split into three parts: learned from, validation (it decides when to stop and which weights are kept),
//! and test. A step is a gradient step.

mod decisions;
#[cfg(test)]
mod tests;

pub use decisions::Demonstration;

use crate::agent::{AgentError, Saved, Stop, all_finite, go_on};
use crate::bridge::{host_slice, read_f32};
use crate::conv::Filters;
use crate::dist::{Bound, Deviation, Head};
use crate::input::Reading;
use crate::net::Activation;
use crate::normalise::Moments;
use crate::on_policy::frozen::{Frame, Frozen, worth};
use crate::on_policy::networks::{AtOutputs, Networks, Observed, Rows, Shape, Sums};
use crate::optim::{Adam, Schedule};
use crate::train::{Examined, Part, Start, Times, Training};
use agon_core::metric::Goal;
use agon_core::policy::Policy;
use agon_core::rng::{Rng, RngState, Stream};
use agon_core::settings::Issue;
use agon_core::spec::ActionSpec;
use agon_core::stats::block_bootstrap;
use agon_core::{Metric, Spec};
use agon_search::Evaluate;
use decisions::{Decisions, Found, per_decision, split};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Instant;
use tch::{Kind, Tensor};

agon_core::settings! {
    /// Networks and how they are fitted. For fine-tuning, networks and `normalize_observation` must be those of the
    /// agent that begins with them.
    pub struct Config {
        /// Recorded episodes: files, patterns such as `runs/x/001/episodes/*.jsonl`, or runs (the episodes of their final
        /// evaluation, or all where there are none of it). Paths are looked for beside the scenario, then in the folder
        /// one stands in.
        data: Vec<String> = Vec::new();
        /// Convolutions that read a picture, `[channels, kernel, stride]` each, each followed by a ReLU; `[[16, 3, 1]]`
        /// if left out. Other observations have none.
        conv: Option<Vec<Filters>> = None, in [1.0, 65536.0];
        /// Sizes of the hidden layers.
        hidden: Vec<usize> = vec![64, 64], in [1.0, 65536.0];
        /// The activation after each hidden layer.
        activation: Activation = Activation::Tanh;
        /// The policy of numbers: a Gaussian with one deviation for all observations, as PPO, A2C and REINFORCE have it,
        /// or one through tanh whose deviation is an output of the network, as SAC has it (TD3 takes its mean).
        policy: Form = Form::Gaussian;
        /// Whether policy and value share their hidden layers; the value learns nothing here.
        shared_trunk: bool = false;
        /// Adam's step size.
        learning_rate: f64 = 1e-3, in [0.0, 1.0];
        /// How the step size changes over the run.
        learning_rate_schedule: Schedule = Schedule::Constant;
        /// Decisions of a minibatch.
        minibatch: usize = 256, in [1.0, 1e9];
        /// Gradients with a greater norm are scaled down to it.
        max_grad_norm: f64 = 1.0, in [0.0, 1e9];
        /// Observations that are plain numbers get the mean 0 and deviation 1 that they have in what is learned from.
        normalize_observation: bool = true;
        /// Numbers are fitted by Gaussian likelihood with a deviation that is learned, or by squared error.
        loss: Loss = Loss::Likelihood;
        /// Logarithm of the Gaussian's initial deviation, in units where the action's bounds are ±1.
        log_std: f64 = 0.0, in [-20.0, 5.0];
        /// The share of the episodes that decides when to stop and which weights are kept.
        validation: f64 = 0.1, in [0.01, 0.8];
        /// The share of the episodes for the final metrics. Nothing is learned or decided by it.
        test: f64 = 0.1, in [0.01, 0.8];
        /// Ends the run after so many passes without a better log loss on the validation part.
        patience: u64 = 10, in [1.0, 1e9];
    }
}

agon_core::choices! {
    /// The form of a policy whose actions are numbers.
    pub enum Form { Gaussian = "gaussian", Squashed = "squashed" }
}

agon_core::choices! {
    /// What is minimised where actions are numbers; choices always have the cross-entropy.
    pub enum Loss { Likelihood = "likelihood", Squared = "squared" }
}

impl Config {
    fn shape(&self) -> Shape<'_> {
        let (deviation, bound) = match self.policy {
            Form::Gaussian => (Deviation::Free, Bound::Clip),
            Form::Squashed => (Deviation::State, Bound::Tanh),
        };
        Shape {
            hidden: &self.hidden,
            conv: self.conv.as_deref(),
            activation: self.activation,
            shared: self.shared_trunk,
            log_std: self.log_std,
            deviation,
            bound,
            recurrent: 0,
        }
    }

    /// What a squashed policy must be for SAC and TD3 to begin with it.
    fn fits(&self, spec: &Spec) -> Result<(), Issue> {
        if self.policy == Form::Gaussian {
            return Ok(());
        }
        if !matches!(spec.action, ActionSpec::Continuous { .. }) {
            return Err(Issue::value(
                "policy",
                "squashed policies are for continuous actions; here actions are choices",
            ));
        }
        if self.activation != Activation::Relu || self.shared_trunk || self.conv.is_some() {
            let message =
                "a squashed policy has the networks of SAC: set activation = \"relu\", without shared_trunk or conv";
            return Err(Issue::value("policy", message));
        }
        Ok(())
    }

    /// What acting needs, without the learner.
    pub fn frame(&self) -> Frame<'_> {
        Frame { name: "clone", shape: self.shape(), normalize_observation: self.normalize_observation }
    }
}

/// Where it is, besides weights: saved as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Progress {
    /// Gradient steps made.
    step: u64,
    /// Decisions of this pass that were learned from.
    at: usize,
    /// The sum of their losses.
    loss: f64,
    /// The lowest log loss on the validation part.
    best: Option<f64>,
    /// Passes since then.
    since: u64,
}

/// The learner.
pub struct Cloning {
    config: Config,
    head: Head,
    moments: Option<Moments>,
    /// Learned from, validation, test.
    parts: [Decisions; 3],
    networks: Networks,
    /// The weights with the lowest log loss so far: what acts.
    best: Networks,
    adam: Adam,
    order: Vec<usize>,
    shuffle_rng: Rng,
    progress: Progress,
    steps: u64,
    times: Times,
}

impl Cloning {
    /// A fresh learner of these episodes.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where settings do not fit the environment, then [`AgentError::Data`] where there are too
    /// few episodes.
    pub fn new(config: Config, start: &Start<'_>, episodes: &[Demonstration]) -> Result<Self, AgentError> {
        let spec = start.env.spec();
        let reading = Reading::new(&spec.observation, config.conv.as_deref())?;
        if config.validation + config.test >= 1.0 {
            return Err(Issue::value("test", "leaves nothing to learn from, together with `validation`").into());
        }
        config.fits(spec)?;
        let head = config.shape().head(spec);
        if episodes.is_empty() {
            return Err(AgentError::Data("there are no recorded episodes to learn from".into()));
        }
        let counts = split(episodes.len(), [config.validation, config.test])?;
        // The same parts with every seed, so that seeds can be compared.
        let mut places: Vec<usize> = (0..episodes.len()).collect();
        Rng::new(0, Stream::Shuffle, 0).shuffle(&mut places);
        let of = |from: usize, count: usize| -> Vec<&Demonstration> {
            places[from..from + count].iter().map(|place| &episodes[*place]).collect()
        };
        let all = [of(0, counts[0]), of(counts[0], counts[1]), of(counts[0] + counts[1], counts[2])];
        let mut moments = Moments::of(&spec.observation, config.normalize_observation);
        if let Some(moments) = &mut moments {
            all[0].iter().filter(|e| !e.obs.is_empty()).for_each(|e| moments.update(&e.obs));
        }
        let mask_len = if spec.masked { head.outputs() } else { 0 };
        let lens = [spec.obs_len(), mask_len, head.width()];
        let parts = all.map(|episodes| Decisions::new(&episodes, &head, lens, moments.as_ref()));
        if parts.iter().any(|part| part.len() == 0) {
            return Err(AgentError::Data("the recorded episodes hold too few decisions".into()));
        }
        let new = |device| Networks::new(start.seed, &config.shape(), &reading, &head, device, start.threads);
        let (networks, best) = (new(start.device), new(start.device));
        Ok(Self {
            adam: Adam::new(&networks.params, 1e-5),
            order: (0..parts[0].len()).collect(),
            shuffle_rng: Rng::new(start.seed, Stream::Shuffle, 0),
            progress: Progress { step: 0, at: 0, loss: 0.0, best: None, since: 0 },
            steps: start.steps,
            times: Times::default(),
            moments,
            parts,
            networks,
            best,
            head,
            config,
        })
    }

    /// One gradient step on the next minibatch of this pass.
    fn descend(&mut self) {
        let n = self.order.len();
        if self.progress.at == 0 {
            self.shuffle_rng.shuffle(&mut self.order);
        }
        let minibatch = &self.order[self.progress.at..(self.progress.at + self.config.minibatch).min(n)];
        let Self { head, networks, parts, config, .. } = self;
        let (learned, count) = (&parts[0], minibatch.len() as f64);
        let squared = config.loss == Loss::Squared && matches!(head, Head::Gaussian { .. });
        let observed = Observed { obs: &learned.obs, on_device: None, recurrent: None };
        let loss = |rows: Rows<'_>, gradient: &mut AtOutputs| {
            let (outputs, mut scratch, mut sums) = (head.outputs(), Vec::new(), Sums::default());
            for (i, &at) in rows.at.iter().enumerate() {
                let of = i * outputs..(i + 1) * outputs;
                let row = learned.row(head, at, &rows.out[of.clone()], rows.log_std);
                if squared {
                    let numbers = row.out.iter().zip(row.action.continuous());
                    for (at_out, (mean, a)) in gradient.out[of].iter_mut().zip(numbers) {
                        let (error, slope) = match head {
                            Head::Gaussian { bound: Bound::Tanh, .. } => {
                                (mean.tanh() - a.tanh(), 1.0 - mean.tanh().powi(2))
                            }
                            _ => (mean - a, 1.0),
                        };
                        *at_out = (2.0 * f64::from(error * slope) / count) as f32;
                        sums[0] += f64::from(error).powi(2) / count;
                    }
                    continue;
                }
                // −log π(a|s) as a mean over the minibatch.
                let [log_prob, _] = head.evaluate(row, &mut scratch);
                head.differentiate(row, &scratch, [-1.0 / count, 0.0], &mut gradient.out[of], &mut gradient.log_std);
                sums[0] -= log_prob / count;
            }
            sums
        };
        let [loss, ..] = networks.differentiate(observed, minibatch, head.outputs(), &loss);
        let share = self.progress.step as f64 / self.steps as f64;
        let rate = self.config.learning_rate_schedule.at(self.config.learning_rate, share);
        let taken = minibatch.len();
        self.networks.step(&mut self.adam, rate, self.config.max_grad_norm);
        self.networks.refresh();
        self.progress.loss += loss * taken as f64;
        self.progress.at += taken;
        self.progress.step += 1;
    }

    /// Evaluates the weights after a pass, or at the end of the run, and keeps the best.
    fn validate(&mut self) -> f64 {
        let found = self.parts[1].examine(&self.head, &mut self.networks);
        let log_loss = per_decision(&found, |f| f.log_loss);
        if self.progress.best.is_none_or(|best| log_loss < best) {
            (self.progress.best, self.progress.since) = (Some(log_loss), 0);
            self.best.params.copy(&self.networks.params);
            self.best.refresh();
        } else {
            self.progress.since += 1;
        }
        log_loss
    }

    fn frozen(&self) -> Frozen {
        Frozen::new("clone", self.best.frozen(), &self.head, self.moments.as_ref())
    }
}

impl Training for Cloning {
    fn step(&self) -> u64 {
        self.progress.step
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn done(&self) -> bool {
        self.step() >= self.steps || self.progress.since >= self.config.patience
    }

    fn may_end_early(&self) -> bool {
        true
    }

    fn task_scalars(&self) -> Vec<String> {
        vec!["validation_log_loss".into(), "loss".into()]
    }

    /// One pass over what is learned from.
    fn advance_until(&mut self, stop: Stop<'_>) -> Result<Option<Vec<(String, f64)>>, AgentError> {
        let begun = Instant::now();
        while self.progress.at < self.order.len() && self.progress.step < self.steps {
            if go_on(stop).is_err() {
                self.times.learn += begun.elapsed();
                return Ok(None);
            }
            self.descend();
        }
        let loss = self.progress.loss / self.progress.at.max(1) as f64;
        if !loss.is_finite() {
            all_finite(&[("loss".into(), loss)])?;
        }
        let validation = self.validate();
        if self.progress.at >= self.order.len() {
            (self.progress.at, self.progress.loss) = (0, 0.0);
        }
        self.times.learn += begun.elapsed();
        let report = vec![("loss".into(), loss), ("validation_log_loss".into(), validation)];
        all_finite(&report)?;
        Ok(Some(report))
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let moments = Moments::saved(saved, "obs_moments", self.moments.as_ref())?;
        if moments != self.moments {
            return Err(AgentError::Checkpoint("it standardises observations otherwise than these episodes do".into()));
        }
        self.networks.params.load_weights(saved)?;
        self.networks.refresh();
        self.best.params.copy(&self.networks.params);
        self.best.refresh();
        Ok(())
    }

    fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn policy(&self) -> Option<Box<dyn Policy>> {
        Some(Box::new(self.frozen()))
    }

    fn network(&self) -> Option<Box<dyn Evaluate>> {
        self.head.is_one_choice().then(|| -> Box<dyn Evaluate> { Box::new(self.frozen().evaluator(worth(None, None))) })
    }

    /// Log loss and agreement (of numbers, squared error in units where the bounds are ±1) on episodes that were not
    /// learned from, per decision; intervals by resampled episodes.
    fn examine(&self, part: Part, seed: u64) -> Vec<Examined> {
        let decisions = &self.parts[if part == Part::Validation { 1 } else { 2 }];
        let found = decisions.examine(&self.head, &mut self.best.frozen());
        let choices = matches!(self.head, Head::Categorical { .. });
        // An interval ends where values do: a density's log loss may be below zero.
        let metric = |name: &str, goal, [low, high]: [f64; 2], of: fn(&Found) -> f64| {
            let mut rng = Rng::new(seed, Stream::Eval, 0);
            let mut statistic = |at: &[usize]| per_decision(&at.iter().map(|i| found[*i]).collect::<Vec<_>>(), of);
            let interval = block_bootstrap(found.len(), 2000, &mut rng, &mut statistic);
            Metric {
                name: name.into(),
                value: per_decision(&found, of),
                interval: interval.map(|ends| ends.map(|end| end.clamp(low, high))),
                ci95: None,
                goal,
                over: (decisions.len() as u64, "decisions".into()),
            }
        };
        let lowest = if choices { 0.0 } else { f64::NEG_INFINITY };
        let log_loss = metric("log_loss", Goal::Lowest, [lowest, f64::INFINITY], |f| f.log_loss);
        let second = match choices {
            true => metric("agreement", Goal::Highest, [0.0, 1.0], |f| f.agreed),
            false => metric("squared_error", Goal::Lowest, [0.0, f64::INFINITY], |f| f.agreed),
        };
        let metrics = vec![log_loss, second];
        vec![Examined { name: "clone".into(), metrics, better_by: None }]
    }

    fn save(&self) -> (Saved, Value) {
        // Under their own names the weights that act, as agents that begin with them look for them.
        let mut tensors = self.adam.saved(&self.best.params);
        tensors.push(("adam.learner".into(), self.networks.params.flat.shallow_clone()));
        let order: Vec<i64> = self.order.iter().map(|place| *place as i64).collect();
        tensors.push(("order".into(), Tensor::from_slice(&order)));
        let state = json!({
            "adam_steps": self.adam.steps,
            "squashed": self.config.policy == Form::Squashed,
            "obs_moments": self.moments,
            "shuffle_rng": self.shuffle_rng.state(),
            "progress": self.progress,
        });
        (Saved { tensors, state }, json!({"step": self.progress.step}))
    }

    fn load(&mut self, saved: &Saved, rest: Option<&Value>) -> Result<(), AgentError> {
        let broken = |why: &str| AgentError::Checkpoint(why.into());
        let moments = Moments::saved(saved, "obs_moments", self.moments.as_ref())?;
        let learner = self.networks.params.fitting(saved, "adam.learner", &self.networks.params.flat)?;
        if rest.is_some() {
            let progress: Progress = saved.part("progress")?;
            let order = saved.tensor("order")?;
            let mut places = vec![0i64; order.numel()];
            if order.kind() != Kind::Int64 || places.len() != self.order.len() || moments != self.moments {
                return Err(broken("the episodes are not those that it was learned from"));
            }
            order.copy_data(&mut places, order.numel());
            let mut sorted = places.clone();
            sorted.sort_unstable();
            if sorted.iter().enumerate().any(|(i, place)| *place != i as i64) || progress.at > places.len() {
                return Err(broken("its `order` is not one of all decisions"));
            }
            self.shuffle_rng = Rng::restore(saved.part::<RngState>("shuffle_rng")?);
            self.order = places.into_iter().map(|place| place as usize).collect();
            self.progress = progress;
        }
        // Loads the weights that act, too.
        self.adam.load(&mut self.best.params, saved)?;
        self.best.refresh();
        match host_slice(&mut self.networks.params.flat) {
            Some(here) => read_f32(&learner, here),
            None => tch::no_grad(|| self.networks.params.flat.copy_(&learner)),
        }
        self.networks.refresh();
        self.moments = moments;
        Ok(())
    }
}
