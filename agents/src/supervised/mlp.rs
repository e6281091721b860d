//! A multilayer perceptron on the host: minibatches, Adam with decoupled weight decay (Loshchilov and Hutter 2019),
//! dropout, early stopping. A step is an epoch; the weights that were best on the validation part answer.

use super::class_weights::ClassWeights;
use super::dense_net::{DenseNet, Part};
use super::mixup::Mixture;
use super::{Examples, Learner, Patience, Predict, Shape, mixed};
use crate::agent::{AgentError, Saved, Stop, all_finite, go_on};
use crate::bridge::{host_slice, host_view};
use crate::data::encode::{Matrix, Scaling};
use crate::dense::Dropout;
use crate::net::Params;
use crate::optim::{Adam, Schedule, add, chunk_ends};
use crate::rate_test::{Minibatches, RateTest};
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use serde_json::json;

agon_core::settings! {
    /// A multilayer perceptron.
    pub struct Config {
        /// Units of the hidden layers.
        hidden: Vec<usize> = vec![128, 128], in [1.0, 4096.0];
        /// Adam's learning rate.
        learning_rate: f64 = 1e-3, in [0.0, 1.0];
        /// How it changes over the run.
        learning_rate_schedule: Schedule = Schedule::Constant;
        /// What weights shrink by in a step, times the learning rate.
        weight_decay: f64 = 1e-2, in [0.0, 100.0];
        /// The share of hidden activations that are left out in training.
        dropout: f64 = 0.1, in [0.0, 0.95];
        /// The share of a class's target that is divided among all classes.
        label_smoothing: f64 = 0.0, in [0.0, 0.9];
        /// How much rows are mixed in training: the α of mixup; 0 mixes none, 0.2 is usual.
        mixup: f64 = 0.0, in [0.0, 10.0];
        /// Rows of a gradient step.
        minibatch: usize = 64, in [1.0, 65536.0];
        /// Epochs without a lower loss of the validation part after which it ends; 0 makes all of them.
        patience: u64 = 20, in [0.0, 1e6];
        /// How much a row counts by its class.
        class_weights: ClassWeights = ClassWeights::None;
        /// Whether each class is drawn equally often in training.
        balanced_sampling: bool = false;
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

/// Lanes of random numbers: the order of rows, and how they are mixed.
const ORDER: u32 = u32::MAX;
const MIXED: u32 = u32::MAX - 1;

/// The network and its optimizer.
pub struct Mlp {
    config: Config,
    shape: Shape,
    params: Params,
    adam: Adam,
    net: DenseNet,
    best: Params,
    patience: Patience,
    epoch: u64,
}

impl Mlp {
    /// Fresh weights.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where there is no hidden layer.
    pub fn new(config: Config, shape: Shape) -> Result<Self, AgentError> {
        if config.hidden.is_empty() {
            return Err(Issue::value("hidden", "needs a layer; linear and logistic are models without one").into());
        }
        let (params, mut net) = DenseNet::new(shape, &config.hidden);
        net.label_smoothing = config.label_smoothing;
        let (adam, best, patience) = (Adam::new(&params, 1e-8), params.frozen(), Patience::new(config.patience));
        Ok(Self { config, shape, params, adam, net, best, patience, epoch: 0 })
    }

    fn answer(&self, params: &Params, x: &Matrix) -> Result<Vec<f64>, AgentError> {
        let flat = host_view(&params.flat).ok_or_else(|| AgentError::Data("its weights are on no host".into()))?;
        Ok(self.net.answer(flat, x))
    }

    /// What drops hidden activations of a part of a minibatch; `pass` tells passes apart.
    fn part(&self, pass: u64, part: usize) -> Part {
        let rng = Rng::new(mixed(self.shape.seed, &[pass]), Stream::Act, part as u32);
        let rate = self.config.dropout as f32;
        Part::new((rate > 0.0).then_some(Dropout { rate, rng }))
    }

    /// A gradient step; the summed loss of its rows before it, and what they count.
    fn descend(
        &mut self,
        train: &Examples,
        rows: &[usize],
        rate: f64,
        room: &mut Room,
    ) -> Result<[f64; 2], AgentError> {
        let nowhere = || AgentError::Data("its weights are on no host".into());
        let kept = (1.0 - rate * self.config.weight_decay) as f32;
        let mut parts = std::mem::take(&mut room.parts);
        let flat = host_view(&self.params.flat).ok_or_else(nowhere)?;
        let mixture = Mixture::drawn(self.config.mixup, rows, &mut room.mixed, &mut room.others);
        let used = self.net.gradients(flat, train, (rows, mixture), &mut parts, |part| self.part(room.pass, part));
        let of = &parts[..used];
        let loss = of.iter().map(|part| part.loss).sum::<f64>();
        let weight = rows.iter().map(|row| train.weight(*row)).sum::<f64>();
        let flat = host_slice(&mut self.params.flat).ok_or_else(nowhere)?;
        self.net.decaying.iter().for_each(|place| flat[place.clone()].iter_mut().for_each(|w| *w *= kept));
        let sum = |from: usize, gradient: &mut [f32]| {
            gradient.fill(0.0);
            of.iter().for_each(|part| add(gradient, &part.gradient[from..from + gradient.len()]));
        };
        let (rates, pool) = ([rate, f64::INFINITY], &self.net.pool);
        let step = self.adam.step_on_host(&mut self.params, &mut room.gradient, &room.ends, sum, rates, pool);
        step.ok_or_else(nowhere)?;
        room.parts = parts;
        Ok([loss, weight])
    }

    fn room(&self, pass: u64) -> Room {
        let count = self.params.count() as usize;
        let mixed = Rng::at_step(self.shape.seed, Stream::Act, MIXED, pass);
        let (parts, others) = (Vec::new(), Vec::new());
        Room { pass, gradient: vec![0f32; count], parts, ends: chunk_ends(count), mixed, others }
    }

    /// The rows of a pass in their order.
    fn order(&self, train: &Examples, pass: u64) -> Vec<usize> {
        let mut rng = Rng::at_step(self.shape.seed, Stream::Shuffle, ORDER, pass);
        train.order(self.config.balanced_sampling, &mut rng)
    }

    /// A pass over the training part; the mean loss of its minibatches' rows.
    fn pass(&mut self, train: &Examples, stop: Stop<'_>) -> Result<f64, AgentError> {
        let (order, mut room) = (self.order(train, self.epoch), self.room(self.epoch));
        let (mut loss, mut weight) = (0.0, 0.0);
        let passes = order.len().div_ceil(self.config.minibatch).max(1) as f64;
        for (i, rows) in order.chunks(self.config.minibatch).enumerate() {
            go_on(stop)?;
            let progress = (self.epoch as f64 + i as f64 / passes) / self.shape.steps.max(1) as f64;
            let rate = self.config.learning_rate_schedule.at(self.config.learning_rate, progress);
            let [one, counted] = self.descend(train, rows, rate, &mut room)?;
            loss += one;
            weight += counted;
        }
        Ok(loss / weight)
    }
}

/// Room for the steps of a pass.
struct Room {
    pass: u64,
    gradient: Vec<f32>,
    parts: Vec<Part>,
    ends: Vec<usize>,
    /// What mixes rows, and room for what they are mixed with.
    mixed: Rng,
    others: Vec<usize>,
}

impl Predict for Mlp {
    fn scores(&self, x: &Matrix) -> Vec<f64> {
        self.answer(if self.config.patience > 0 { &self.best } else { &self.params }, x).unwrap_or_default()
    }
}

impl Learner for Mlp {
    fn step(&self) -> u64 {
        self.epoch
    }

    fn finished(&self) -> bool {
        self.patience.is_over(self.epoch)
    }

    fn advance(&mut self, train: &Examples, validation: &Examples, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        if self.epoch == 0 {
            self.net.measure(train);
        }
        // A pass is only part of the state once it is whole.
        let (weights, m, v, steps) = (self.params.frozen(), self.adam.m.copy(), self.adam.v.copy(), self.adam.steps);
        let loss = match self.pass(train, stop) {
            Err(AgentError::Stopped) => {
                self.params.copy(&weights);
                self.adam.m.copy_(&m);
                self.adam.v.copy_(&v);
                self.adam.steps = steps;
                return Ok(None);
            }
            other => other?,
        };
        self.epoch += 1;
        all_finite(&[("loss".into(), loss)])?;
        let held_out = validation.loss(&self.answer(&self.params, &validation.x)?);
        if self.patience.see(self.epoch, held_out) {
            self.best.copy(&self.params);
        }
        Ok(Some(loss))
    }

    fn test_rates(&mut self, train: &Examples, stop: Stop<'_>) -> Result<RateTest, AgentError> {
        self.net.measure(train);
        let mut minibatches = Minibatches::new(self.config.minibatch);
        let mut room = self.room(0);
        RateTest::run(&mut |rate| {
            go_on(stop)?;
            let rows = minibatches.next(|pass| self.order(train, pass)).to_vec();
            let [loss, weight] = self.descend(train, &rows, rate, &mut room)?;
            Ok(loss / weight)
        })
    }

    fn save(&self) -> Saved {
        let mut tensors = self.adam.saved(&self.params);
        tensors.push(("best".into(), self.best.flat.shallow_clone()));
        let state = json!({
            "epoch": self.epoch,
            "adam_steps": self.adam.steps,
            "patience": self.patience.save(),
            "size": self.net.size,
        });
        Saved { tensors, state }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (epoch, size): (u64, [f64; 2]) = (saved.part("epoch")?, saved.part("size")?);
        let best = self.params.fitting(saved, "best", &self.best.flat)?;
        self.adam.load(&mut self.params, saved)?;
        tch::no_grad(|| self.best.flat.copy_(&best));
        self.patience.load(&saved.state["patience"]);
        (self.epoch, self.net.size) = (epoch, size);
        Ok(())
    }
}
