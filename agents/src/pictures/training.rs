//! A residual network learns the classes of pictures: Adam with decoupled weight decay (Loshchilov and Hutter 2019), a
//! rate that rises and falls once, label smoothing (Szegedy et al. 2016), pictures changed at random. Pictures without a
//! class teach by FixMatch (Sohn et al. 2020): what the network says of a picture that is hardly changed, where it is
//! sure, is what it must say of the same one changed strongly. A step is a pass over the training part.

use super::augment::{Augment, Standard};
use super::dataset::PictureSet;
use super::resnet::{HEAD, Mode, RUNNING, Resnet};
use crate::agent::{AgentError, Saved, Stop, go_on};
use crate::bridge::read_f32;
use crate::optim::{Adam, Schedule};
use crate::precision::Precision;
use crate::pretrained::{Mapping, Taken, adopt};
use crate::rate_test::{Minibatches, RateTest};
use crate::supervised::Examples;
use crate::supervised::calibration::Calibration;
use crate::supervised::class_weights::ClassWeights;
use crate::supervised::picture;
use crate::supervised::scores::Judged;
use crate::train::{Examined, Part, Times, Training};
use agon_core::plot::Plot;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

agon_core::choices! {
    /// What pictures without a class are used for.
    pub enum Unlabelled { FixMatch = "fixmatch", Ignore = "ignore" }
}

agon_core::settings! {
    /// A residual network.
    pub struct Config {
        /// Channels of each stage; every stage after the first halves the picture's side.
        widths: Vec<usize> = vec![16, 32, 64], in [1.0, 4096.0];
        /// Residual blocks of a stage.
        blocks: usize = 1, in [1.0, 64.0];
        /// Adam's learning rate at its highest.
        learning_rate: f64 = 5e-3, in [0.0, 1.0];
        /// How it falls after the warm-up.
        learning_rate_schedule: Schedule = Schedule::Cosine;
        /// The share of the run in which the rate rises.
        warm_up: f64 = 0.2, in [0.0, 1.0];
        /// What weights shrink by in a step, times the learning rate.
        weight_decay: f64 = 0.05, in [0.0, 100.0];
        /// The share of the target that is divided among all classes.
        label_smoothing: f64 = 0.1, in [0.0, 0.9];
        /// Pictures of a gradient step.
        minibatch: usize = 128, in [2.0, 65536.0];
        /// The number type of convolutions; bfloat16 is faster on most GPUs, and on few processors.
        precision: Precision = Precision::Float32;
        /// Pictures are moved by at most this share of their side,
        shift: f64 = 0.05, in [0.0, 0.5];
        /// turned by at most so many degrees,
        rotate: f64 = 0.0, in [0.0, 180.0];
        /// resized by at most this share,
        zoom: f64 = 0.0, in [0.0, 0.5];
        /// mirrored left to right in half of the cases,
        flip: bool = false;
        /// changed in contrast by at most this share;
        light: f64 = 0.0, in [0.0, 0.9];
        /// in tint, each channel by itself, by at most this share;
        colour: f64 = 0.0, in [0.0, 0.9];
        /// and a square of this share of their side is left out.
        erase: f64 = 0.0, in [0.0, 0.9];
        /// How much a picture counts by its class.
        class_weights: ClassWeights = ClassWeights::None;
        /// What pictures without a class are used for.
        unlabelled: Unlabelled = Unlabelled::FixMatch;
        /// How sure the network must be of such a picture.
        threshold: f64 = 0.95, in [0.0, 1.0];
        /// How much such a picture counts beside one with a class.
        unlabelled_weight: f64 = 1.0, in [0.0, 100.0];
        /// Whether only the last layer learns, beside another run's body (`agon train --from`), or that of `weights`.
        freeze: bool = false;
        /// A file of weights of another program (safetensors), beside the scenario, that it begins with.
        weights: String = String::new();
        /// Where the numbers of each parameter are in that file.
        mapping: Mapping = Mapping::default();
        /// What the learning rate of all layers but the last is multiplied by.
        body_rate: f64 = 1.0, in [0.0, 1.0];
    }
}

impl Config {
    fn augment(&self) -> Augment {
        let Self { shift, rotate, zoom, flip, light, colour, erase, .. } = *self;
        Augment { shift, rotate, zoom, flip, light, colour, erase }
    }

    /// The rate at a moment of the run, from 0 to 1.
    fn rate(&self, progress: f64) -> f64 {
        if progress < self.warm_up {
            return self.learning_rate * (0.04 + 0.96 * progress / self.warm_up);
        }
        let rest = (1.0 - self.warm_up).max(f64::EPSILON);
        self.learning_rate_schedule.at(self.learning_rate, (progress - self.warm_up) / rest)
    }
}

/// Passes over so many pictures where a scenario does not say how many.
pub fn steps(pictures: usize) -> u64 {
    (300_000 / pictures.max(1) as u64).clamp(15, 100)
}

/// Lanes of random numbers: the order of pictures, of those without a class, and which of those with one go with them.
const ORDER: u32 = u32::MAX;
const OTHERS: u32 = u32::MAX - 1;
const BESIDE: u32 = u32::MAX - 2;

/// How a picture's numbers are drawn: kinds of change that must differ for the same picture in the same pass.
#[derive(Clone, Copy)]
enum Change {
    Labelled,
    Weak,
    Strong,
}

/// A network with its pictures.
pub struct Classifier {
    config: Config,
    set: Arc<PictureSet>,
    standard: Standard,
    net: Resnet,
    adam: Adam,
    /// Classes of the training, validation and test part.
    y: [Vec<f64>; 3],
    /// What a picture of each class counts.
    weights: Vec<f64>,
    pass: u64,
    steps: u64,
    seed: u64,
    /// A sum that tells these pictures from others.
    sum: u32,
    times: Times,
    /// Scores of the validation and the test part, until the weights change.
    found: [OnceCell<Vec<f64>>; 2],
}

impl Classifier {
    /// Fresh weights.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where there is no stage.
    pub fn new(
        config: Config,
        set: Arc<PictureSet>,
        [steps, seed]: [u64; 2],
        device: Device,
    ) -> Result<Self, AgentError> {
        if config.widths.is_empty() {
            return Err(Issue::value("widths", "needs a stage at least").into());
        }
        let [.., channels] = set.pictures.size;
        let split = &set.split;
        let learned = split.train.iter().chain(&set.unlabelled).map(|i| set.pictures.picture(*i));
        let standard = Standard::of(channels, learned);
        let mut net = Resnet::new(seed, channels, &config.widths, config.blocks, set.classes.len(), device);
        net.kind = config.precision.kind(device);
        let adam = Adam::new(&net.params, 1e-8);
        let class = |i: &usize| f64::from(set.y[*i].unwrap_or(0));
        let y = [&split.train, &split.validation, &split.test].map(|part| part.iter().map(class).collect::<Vec<_>>());
        let mut weights = config.class_weights.of(y[0].iter().map(|y| *y as usize), &set.classes)?;
        weights.resize(set.classes.len(), 1.0);
        let rows = [&split.train, &split.validation, &split.test, &set.unlabelled].into_iter().flatten();
        let sum = rows.fold(0, |sum, i| {
            let class = set.y[*i].map_or(u32::MAX, |class| class);
            let class = if set.unlabelled.binary_search(i).is_ok() { u32::MAX } else { class };
            crc32c::crc32c_append(crc32c::crc32c_append(sum, &class.to_le_bytes()), set.pictures.picture(*i))
        });
        let times = Times::default();
        let found = Default::default();
        Ok(Self { config, set, standard, net, adam, y, weights, pass: 0, steps, seed, sum, times, found })
    }

    fn uses_unlabelled(&self) -> bool {
        self.config.unlabelled == Unlabelled::FixMatch && !self.set.unlabelled.is_empty()
    }

    /// Numbers where the network is.
    fn there(&self, numbers: &[f32]) -> Tensor {
        Tensor::from_slice(numbers).to_device(self.net.params.flat.device())
    }

    /// These pictures as numbers, `[rows, height, width, channels]`, changed at random.
    fn drawn(&self, rows: &[usize], change: Change) -> Tensor {
        let (pictures, own) = (&self.set.pictures, self.config.augment());
        let how = match (self.uses_unlabelled(), change) {
            (false, _) => own,
            (true, Change::Strong) => own.strong(),
            (true, _) => own.weak(),
        };
        let (size, n) = (pictures.size, pictures.numbers());
        let mut numbers = vec![0f32; rows.len() * n];
        for (row, numbers) in rows.iter().zip(numbers.chunks_exact_mut(n)) {
            let mut rng = Rng::at_step(self.seed, Stream::Act, *row as u32, 3 * self.pass + change as u64);
            self.standard.changed(pictures.picture(*row), size, &how, &mut rng, numbers);
        }
        let [height, width, channels] = size.map(|n| n as i64);
        self.there(&numbers).view([rows.len() as i64, height, width, channels])
    }

    /// Smoothed targets of pictures with a class, and what each counts.
    fn targets(&self, rows: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let (k, smooth) = (self.set.classes.len(), self.config.label_smoothing);
        let (mut targets, mut counts) = (vec![(smooth / k as f64) as f32; rows.len() * k], Vec::new());
        for (row, target) in rows.iter().zip(targets.chunks_exact_mut(k)) {
            let class = self.set.y[*row].unwrap_or(0) as usize;
            target[class] += (1.0 - smooth) as f32;
            counts.push(self.weights[class] as f32);
        }
        (targets, counts)
    }

    /// What the network says of pictures that are hardly changed: targets, and 0 for those that it is not sure of.
    fn guesses(&self, rows: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let k = self.set.classes.len();
        let x = self.drawn(rows, Change::Weak);
        let p = tch::no_grad(|| self.net.forward(&x, Mode::Batch).softmax(-1, Kind::Float));
        let mut p_host = vec![0f32; rows.len() * k];
        read_f32(&p, &mut p_host);
        let (mut targets, mut counts) = (vec![0f32; rows.len() * k], Vec::new());
        for (p, target) in p_host.chunks_exact(k).zip(targets.chunks_exact_mut(k)) {
            let most = (0..k).rev().max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap_or(0);
            target[most] = 1.0;
            let sure = f64::from(p[most]) >= self.config.threshold;
            counts.push(if sure { self.config.unlabelled_weight as f32 } else { 0.0 });
        }
        (targets, counts)
    }

    /// One gradient step; the loss of the pictures with a class, summed.
    fn descend(&mut self, labelled: &[usize], others: &[usize], rate: f64) -> Result<f64, AgentError> {
        let k = self.set.classes.len() as i64;
        let (mut x, (mut targets, mut counts)) = (self.drawn(labelled, Change::Labelled), self.targets(labelled));
        counts.iter_mut().for_each(|count| *count /= labelled.len() as f32);
        if !others.is_empty() {
            let (more, mut sure) = self.guesses(others);
            sure.iter_mut().for_each(|count| *count /= others.len() as f32);
            targets.extend(more);
            counts.extend(sure);
            x = Tensor::cat(&[x, self.drawn(others, Change::Strong)], 0);
        }
        let scores = if self.config.freeze {
            self.net.scores(&tch::no_grad(|| self.net.features(&x, Mode::Evaluate)))
        } else {
            self.net.forward(&x, Mode::Train)
        };
        let targets = self.there(&targets).view([-1, k]);
        let each =
            -(scores.log_softmax(-1, Kind::Float) * targets).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
        let counts = self.there(&counts);
        let gradient = self.net.params.gradient(&(&each * &counts).sum(Kind::Float));
        let known = labelled.len() as i64;
        let loss = each.narrow(0, 0, known).dot(&counts.narrow(0, 0, known)).double_value(&[]) * known as f64;
        let kept = 1.0 - rate * self.config.weight_decay;
        let decaying = if self.config.freeze { vec![self.net.head()] } else { self.net.decaying() };
        let before = (self.config.body_rate < 1.0).then(|| self.net.params.frozen());
        tch::no_grad(|| {
            for place in decaying {
                let (from, count) = (place.start as i64, place.len() as i64);
                let _ = self.net.params.flat.narrow(0, from, count).g_mul_scalar_(kept);
            }
        });
        let _ = self.adam.step(&mut self.net.params, &gradient, rate, f64::INFINITY);
        if let Some(before) = before {
            // Adam's step has the size of its rate, so that a part of the step is a step at a part of the rate.
            let part = self.config.body_rate;
            tch::no_grad(|| {
                let body = self.net.params.named().zip(before.named()).filter(|((name, _), _)| !HEAD.contains(name));
                body.for_each(|((_, mut now), (_, before))| now.copy_(&before.lerp(&now, part)));
            });
        }
        Ok(loss)
    }

    /// A pass over the training part, or over the pictures without a class where those are more; the mean loss.
    fn learn(&mut self, stop: Stop<'_>) -> Result<f64, AgentError> {
        let shuffled = |all: &[usize], lane: u32| {
            let mut order = all.to_vec();
            Rng::at_step(self.seed, Stream::Shuffle, lane, self.pass).shuffle(&mut order);
            order
        };
        let used = self.uses_unlabelled();
        let (train, others) = (shuffled(&self.set.split.train, ORDER), shuffled(&self.set.unlabelled, OTHERS));
        let longest = if used { train.len().max(others.len()) } else { train.len() };
        // As many steps as fit, of about equal size: a picture alone has no deviation.
        let steps = (longest as f64 / self.config.minibatch as f64).round().max(1.0) as usize;
        let part = |n: usize, i: usize| i * n / steps..(i + 1) * n / steps;
        let mut rng = Rng::at_step(self.seed, Stream::Shuffle, BESIDE, self.pass);
        let (mut loss, mut n) = (0.0, 0);
        for i in 0..steps {
            go_on(stop)?;
            let progress = (self.pass as f64 + i as f64 / steps as f64) / self.steps as f64;
            let mut labelled = train[part(train.len(), i)].to_vec();
            let others = if used { &others[part(others.len(), i)] } else { &[][..] };
            // Few pictures with a class come again and again, half as many as there are without.
            while used && labelled.len() < others.len().div_ceil(2) {
                labelled.push(train[rng.below(train.len() as u32) as usize]);
            }
            loss += self.descend(&labelled, others, self.config.rate(progress))?;
            n += labelled.len();
        }
        Ok(loss / n as f64)
    }

    fn part(&self, at: usize) -> &[usize] {
        let split = &self.set.split;
        [&split.train, &split.validation, &split.test][at]
    }

    /// Scores of the validation part (1) or the test part (2).
    fn scores(&self, at: usize) -> Vec<f64> {
        self.found[at - 1].get_or_init(|| self.net.judge(&self.standard, &self.set.pictures, self.part(at))).clone()
    }

    fn calibration(&self) -> Calibration {
        let (y, classes) = (self.y[1].clone(), self.set.classes.len());
        Calibration::careful(&self.scores(1), &Examples { y, classes, ..Examples::default() })
    }

    fn judged(&self, at: usize) -> Judged<'_> {
        let k = self.set.classes.len();
        Judged::new(k, &self.y[at], self.calibration().probabilities(self.scores(at), k))
    }
}

impl Training for Classifier {
    fn step(&self) -> u64 {
        self.pass
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn task_scalars(&self) -> Vec<String> {
        vec!["loss".into()]
    }

    fn test_rates(&mut self, stop: Stop<'_>) -> Result<RateTest, AgentError> {
        let mut minibatches = Minibatches::new(self.config.minibatch);
        RateTest::run(&mut |rate| {
            go_on(stop)?;
            let order = |pass| {
                let mut order = self.set.split.train.clone();
                Rng::at_step(self.seed, Stream::Shuffle, ORDER, pass).shuffle(&mut order);
                order
            };
            let rows = minibatches.next(order).to_vec();
            Ok(self.descend(&rows, &[], rate)? / rows.len() as f64)
        })
    }

    fn advance_until(&mut self, stop: Stop<'_>) -> Result<Option<Vec<(String, f64)>>, AgentError> {
        let begun = Instant::now();
        // A pass is only part of the state once it is whole.
        let (weights, running) = (self.net.params.frozen(), self.net.running.copy());
        let (m, v, made) = (self.adam.m.copy(), self.adam.v.copy(), self.adam.steps);
        let loss = match self.learn(stop) {
            Err(AgentError::Stopped) => {
                self.net.params.copy(&weights);
                self.net.running.copy_(&running);
                self.adam.m.copy_(&m);
                self.adam.v.copy_(&v);
                self.adam.steps = made;
                return Ok(None);
            }
            other => other?,
        };
        self.pass += 1;
        self.found = Default::default();
        self.times.learn += begun.elapsed();
        let report = vec![("loss".into(), loss)];
        crate::agent::all_finite(&report)?;
        Ok(Some(report))
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (size, classes): ([usize; 3], Vec<String>) = (saved.part("size")?, saved.part("classes")?);
        if size[2] != self.set.pictures.size[2] {
            let colours = |n: usize| if n == 1 { "grey" } else { "colour" };
            return Err(AgentError::Checkpoint(format!(
                "its pictures are {}, these are {}",
                colours(size[2]),
                colours(self.set.pictures.size[2])
            )));
        }
        // Other classes need a last layer of their own; the body reads pictures of any size.
        if classes == self.set.classes {
            self.net.load(saved)?;
        } else {
            self.net.load_body(saved)?;
        }
        self.found = Default::default();
        Ok(())
    }

    fn adopt(&mut self, file: &Path, mapping: &Mapping) -> Result<Taken, AgentError> {
        let taken = adopt(self.net.wanted(), file, mapping)?;
        self.found = Default::default();
        Ok(taken)
    }

    fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn plot(&self) -> Option<Plot> {
        let seen = self.pass > 0 && !self.y[1].is_empty();
        seen.then(|| picture::of(&self.judged(1), &self.set.classes, "class"))
    }

    fn examine(&self, part: Part, seed: u64) -> Vec<Examined> {
        let at = if part == Part::Validation { 1 } else { 2 };
        let (k, n) = (self.set.classes.len(), self.y[0].len() as f64);
        let mut shares = vec![0.0; k];
        self.y[0].iter().for_each(|y| shares[*y as usize] += 1.0 / n);
        let p = (0..self.y[at].len()).flat_map(|_| shares.iter().copied()).collect();
        let (own, trivial) = (self.judged(at), Judged::new(k, &self.y[at], p));
        let units: Vec<u32> = self.part(at).iter().map(|i| self.set.units[*i]).collect();
        let (metrics, better_by) = own.metrics(&units, seed, Some(&trivial));
        let mut found = vec![
            Examined { name: "residual network".into(), metrics, better_by: None },
            Examined { name: "class shares".into(), metrics: trivial.metrics(&units, seed, None).0, better_by },
        ];
        let all = found.iter_mut().flat_map(|e| e.metrics.iter_mut().chain(&mut e.better_by));
        all.for_each(|metric| metric.over.1 = "pictures".into());
        found
    }

    fn details(&self) -> Value {
        let own = self.judged(2);
        let confusion = own.confusion(&vec![1.0; self.y[2].len()]);
        let confusion: Vec<&[f64]> = confusion.chunks_exact(self.set.classes.len()).collect();
        json!({
            "classes": self.set.classes,
            "confusion": confusion,
            "temperature": self.calibration().temperature,
        })
    }

    fn save(&self) -> (Saved, Value) {
        let mut tensors = self.adam.saved(&self.net.params);
        tensors.push((RUNNING.into(), self.net.running.shallow_clone()));
        let state = json!({
            "pass": self.pass,
            "adam_steps": self.adam.steps,
            "size": self.set.pictures.size,
            "classes": self.set.classes,
            "standard": self.standard,
            "calibration": self.calibration(),
            "bfloat16": self.net.kind == Kind::BFloat16,
        });
        (Saved { tensors, state }, json!({"step": self.pass, "data": self.sum}))
    }

    fn load(&mut self, saved: &Saved, rest: Option<&Value>) -> Result<(), AgentError> {
        if rest.is_some_and(|rest| rest["data"] != self.sum) {
            return Err(AgentError::Checkpoint("the pictures are not those that it was learned from".into()));
        }
        let pass: u64 = saved.part("pass")?;
        self.net.load(saved)?;
        self.adam.load(&mut self.net.params, saved)?;
        self.net.kind = if saved.state["bfloat16"] == true { Kind::BFloat16 } else { Kind::Float };
        self.pass = pass;
        self.found = Default::default();
        Ok(())
    }
}
