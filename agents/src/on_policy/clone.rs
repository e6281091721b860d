//! Behaviour cloning (Pomerleau 1991): the networks of policy-gradient agents learn from recorded episodes to do what was
//! done there, by maximum likelihood. No environment is stepped; what was learned is a policy like PPO's, which PPO, A2C
//! and REINFORCE can begin with.
//!
//! Episodes are split into three parts: learned from, validation (it decides when to stop and which weights are kept),
//! and test. A step is a gradient step.

use crate::agent::{AgentError, NEVER, Saved, Stop, all_finite, go_on};
use crate::bridge::{host_slice, read_f32};
use crate::conv::Filters;
use crate::dist::{Deviation, Head, Row};
use crate::input::Reading;
use crate::net::Activation;
use crate::normalise::Moments;
use crate::on_policy::frozen::{Frame, Frozen, worth};
use crate::on_policy::networks::{AtOutputs, Networks, Observed, Rows, Shape, Sums};
use crate::optim::{Adam, Schedule};
use crate::train::{Examined, Part, Start, Times, Training};
use agon_core::Metric;
use agon_core::metric::Goal;
use agon_core::policy::Policy;
use agon_core::rng::{Rng, RngState, Stream};
use agon_core::settings::Issue;
use agon_core::stats::block_bootstrap;
use agon_search::Evaluate;
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
    /// What is minimised where actions are numbers; choices always have the cross-entropy.
    pub enum Loss { Likelihood = "likelihood", Squared = "squared" }
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
            recurrent: 0,
        }
    }

    /// What acting needs, without the learner.
    pub fn frame(&self) -> Frame<'_> {
        Frame { name: "clone", shape: self.shape(), normalize_observation: self.normalize_observation }
    }
}

/// One recorded episode: what was seen and done at each of its steps by each agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demonstration {
    /// `[steps × agents, obs_len]`
    pub obs: Vec<f32>,
    /// `[steps × agents, mask_len]`, or empty where everything is allowed.
    pub mask: Vec<bool>,
    /// `[steps × agents, action_len]`: choices, or numbers in the environment's units.
    pub actions: Vec<f32>,
}

/// The decisions of some episodes, one after another.
#[derive(Debug, Default)]
struct Decisions {
    /// `[n, obs_len]`, standardised.
    obs: Vec<f32>,
    /// `[n, mask_len]` or empty.
    mask: Vec<bool>,
    /// `[n, action_len]`: choices, or numbers in units where the bounds are ±1.
    actions: Vec<f32>,
    /// Where each episode ends.
    ends: Vec<usize>,
}

/// What was found of an episode: the sums over its decisions, and their number.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    log_loss: f64,
    /// Decisions that the policy would take too; of numbers, the sum of squared errors.
    agreed: f64,
    decisions: f64,
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

/// The numbers of episodes in each part, of so many.
fn split(episodes: usize, shares: [f64; 2]) -> Result<[usize; 3], AgentError> {
    let [validation, test] = shares.map(|share| ((share * episodes as f64).round() as usize).max(1));
    match episodes.checked_sub(validation + test).filter(|first| *first > 0) {
        Some(first) => Ok([first, validation, test]),
        None => Err(AgentError::Data(format!(
            "{episodes} recorded episodes: {validation} for validation and {test} for the test leave none to learn from"
        ))),
    }
}

impl Decisions {
    fn new(episodes: &[&Demonstration], head: &Head, lens: [usize; 3], moments: Option<&Moments>) -> Self {
        let [obs_len, mask_len, action_len] = lens;
        let mut all = Self::default();
        for episode in episodes {
            for at in 0..episode.actions.len() / action_len {
                let mask = episode.mask.get(at * mask_len..(at + 1) * mask_len).unwrap_or_default();
                // Where there is one choice alone, nothing was decided: games ask the others so while one moves.
                if head.is_one_choice() && mask.iter().filter(|legal| **legal).count() == 1 {
                    continue;
                }
                all.obs.extend_from_slice(&episode.obs[at * obs_len..(at + 1) * obs_len]);
                all.mask.extend_from_slice(mask);
                all.actions.extend_from_slice(&episode.actions[at * action_len..(at + 1) * action_len]);
            }
            all.ends.push(all.actions.len() / action_len);
        }
        if let Some(moments) = moments {
            moments.apply(&mut all.obs);
        }
        if let Head::Gaussian { scale, .. } = head {
            for row in all.actions.chunks_exact_mut(action_len) {
                row.iter_mut().zip(scale).for_each(|(a, (middle, half))| *a = (*a - middle) / half);
            }
        }
        all
    }

    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// A decision as the distribution takes it.
    fn row<'a>(&'a self, head: &Head, at: usize, out: &'a [f32], log_std: &'a [f32]) -> Row<'a> {
        let (width, outputs) = (head.width(), head.outputs());
        let mask = self.mask.get(at * outputs..(at + 1) * outputs).unwrap_or_default();
        Row { out, log_std, raw: &self.actions[at * width..(at + 1) * width], mask }
    }

    /// What the networks say of each episode.
    fn examine(&self, head: &Head, networks: &mut Networks) -> Vec<Found> {
        let (n, outputs, width) = (self.len(), head.outputs(), head.width());
        let mut out = vec![0.0; n * outputs];
        networks.forward(&self.obs, &mut out, &mut [], NEVER).expect("nobody asks for a stop");
        let (mut scratch, mut found, mut from) = (Vec::new(), Vec::new(), 0);
        for &end in &self.ends {
            let mut sums = Found { decisions: (end - from) as f64, ..Found::default() };
            for at in from..end {
                let out = &out[at * outputs..(at + 1) * outputs];
                let row = self.row(head, at, out, &networks.log_std);
                sums.log_loss -= head.evaluate(row, &mut scratch)[0];
                sums.agreed += match head {
                    Head::Gaussian { .. } => {
                        out.iter().zip(row.raw).map(|(m, a)| f64::from(m.clamp(-1.0, 1.0) - a).powi(2)).sum()
                    }
                    Head::Categorical { .. } => {
                        let mut choice = vec![0i64; width];
                        head.mode(out, row.mask, agon_core::ActionsMut::Discrete(&mut choice));
                        f64::from(u8::from(choice.iter().zip(row.raw).all(|(c, a)| *c as f32 == *a)))
                    }
                };
            }
            from = end;
            found.push(sums);
        }
        found
    }
}

/// Sums over episodes, per decision.
fn per_decision(found: &[Found], of: fn(&Found) -> f64) -> f64 {
    found.iter().map(of).sum::<f64>() / found.iter().map(|f| f.decisions).sum::<f64>().max(1.0)
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
        let head = Head::of(spec);
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
                    for ((at_out, mean), a) in gradient.out[of].iter_mut().zip(row.out).zip(row.raw) {
                        let error = f64::from(mean - a);
                        *at_out = (2.0 * error / count) as f32;
                        sums[0] += error * error / count;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint;
    use serde_json::Map;
    use tch::Device;

    fn cloning(env: &str, set: Config, episodes: &[Demonstration], steps: u64) -> Result<Cloning, AgentError> {
        let env = agon_envs::find(env).unwrap().build(&Map::new(), 1, 1).unwrap();
        let start = Start { env, game: None, seed: 1, steps, device: Device::Cpu, threads: 1, env_threads: 1 };
        Cloning::new(set, &start, episodes)
    }

    /// Episodes in which nothing is seen: `obs_len` zeros a step.
    fn blind(obs_len: usize, actions: &[f32], episodes: usize) -> Vec<Demonstration> {
        let obs = vec![0.0; obs_len * actions.len()];
        vec![Demonstration { obs, mask: Vec::new(), actions: actions.to_vec() }; episodes]
    }

    fn finish(cloning: &mut Cloning) {
        while !cloning.done() {
            cloning.advance().unwrap();
        }
    }

    /// Where nothing is seen the best policy is known: choices as often as they were taken, with the entropy of that as
    /// log loss; numbers with their mean and deviation, ½ ln(2πe σ²).
    #[test]
    fn a_policy_without_inputs_is_the_closed_form() {
        let set = Config { normalize_observation: false, learning_rate: 1e-2, patience: 100, ..Config::default() };
        let mut choices = cloning("classic/cartpole", set.clone(), &blind(4, &[1.0, 0.0, 1.0, 1.0], 8), 600).unwrap();
        finish(&mut choices);
        let [log_loss, agreement] = &choices.examine(Part::Test, 1)[0].metrics[..] else { panic!() };
        let entropy = -(0.75f64 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        assert!((log_loss.value - entropy).abs() < 1e-4, "{} {entropy}", log_loss.value);
        assert_eq!(agreement.value, 0.75);

        // Torques of ±2 are ±1 here: 0.2 ± 0.4 as mean and deviation.
        let torques = [1.2f32, -0.4, 1.2, -0.4];
        let mut numbers = cloning("classic/pendulum", set.clone(), &blind(3, &torques, 8), 2000).unwrap();
        finish(&mut numbers);
        let [log_loss, squared] = &numbers.examine(Part::Test, 1)[0].metrics[..] else { panic!() };
        let entropy = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E * 0.16f64).ln();
        assert!((log_loss.value - entropy).abs() < 1e-3, "{} {entropy}", log_loss.value);
        assert!((squared.value - 0.16).abs() < 1e-3, "{}", squared.value);
        let set = Config { loss: Loss::Squared, ..set };
        let mut squared = cloning("classic/pendulum", set, &blind(3, &torques, 8), 2000).unwrap();
        finish(&mut squared);
        assert!((squared.examine(Part::Test, 1)[0].metrics[1].value - 0.16).abs() < 1e-3);
    }

    /// A rule that depends on what is seen, with noise in some of the actions: it is found again in episodes that were
    /// not learned from, and no longer run is any worse, since the best weights are kept.
    #[test]
    fn it_ends_early_with_the_best_weights_and_resumes_in_the_same_bits() {
        let mut rng = Rng::new(3, Stream::Act, 0);
        let mut episode = || {
            let mut one = Demonstration::default();
            for _ in 0..50 {
                let seen: Vec<f32> = (0..4).map(|_| rng.normal() as f32).collect();
                let right = (seen[0] + seen[2] > 0.0) != (rng.f64() < 0.1);
                one.actions.push(f32::from(u8::from(right)));
                one.obs.extend(seen);
            }
            one
        };
        let episodes: Vec<_> = (0..40).map(|_| episode()).collect();
        let set = Config { learning_rate: 3e-3, minibatch: 64, patience: 5, ..Config::default() };
        let new = || cloning("classic/cartpole", set.clone(), &episodes, 100_000).unwrap();
        let mut whole = new();
        finish(&mut whole);
        assert!(whole.step() < 100_000 && whole.progress.since == 5);
        let log_loss = whole.examine(Part::Validation, 1)[0].metrics[0].value;
        assert_eq!(Some(log_loss), whole.progress.best);
        let agreement = &whole.examine(Part::Test, 1)[0].metrics[1];
        assert!(agreement.value > 0.8 && agreement.interval.is_some(), "{agreement:?}");

        let folder = tempfile::tempdir().unwrap();
        for stop_after in [0, 3, 40] {
            let mut half = new();
            let asked = std::sync::atomic::AtomicUsize::new(0);
            let stop = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= stop_after;
            while half.advance_until(&stop).unwrap().is_some() {}
            assert_eq!(half.step() as usize, stop_after, "in the middle of a pass");
            let (saved, rest) = half.save();
            let path = folder.path().join(stop_after.to_string());
            checkpoint::write(&path, &saved, &rest, &Value::Null).unwrap();
            let (saved, rest) = checkpoint::read(&path).unwrap();
            let mut again = new();
            again.load(&saved, Some(&rest)).unwrap();
            finish(&mut again);
            let bits = |c: &Cloning| {
                c.save()
                    .0
                    .tensors
                    .iter()
                    .map(|(_, t)| format!("{:?}", Vec::<f64>::try_from(t.view(-1).to_kind(Kind::Double))))
                    .collect::<Vec<_>>()
            };
            assert!(bits(&again) == bits(&whole) && again.progress == whole.progress, "stopped after {stop_after}");
        }
        let (saved, rest) = whole.save();
        let mut other = cloning("classic/cartpole", set.clone(), &episodes[1..], 100).unwrap();
        assert!(other.load(&saved, Some(&rest)).unwrap_err().to_string().contains("episodes"));
    }

    #[test]
    fn too_few_episodes_are_refused() {
        let of = |n: usize| cloning("classic/cartpole", Config::default(), &blind(4, &[1.0], n), 1).err().unwrap();
        assert!(of(0).to_string().contains("no recorded episodes"));
        assert!(of(2).to_string().contains("leave none to learn from"));
        let set = Config { validation: 0.6, test: 0.6, ..Config::default() };
        assert!(matches!(cloning("classic/cartpole", set, &[], 1), Err(AgentError::Settings(_))));
    }
}
