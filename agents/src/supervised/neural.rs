//! How networks of tables are trained by libtorch's automatic differentiation: minibatches, Adam with a rate for each
//! parameter and decoupled weight decay, dropout, label smoothing, early stopping. A step is an epoch; the weights that
//! were best on the validation part answer. [`super::tabm`] and [`super::realmlp`] are the networks.

use super::mixup::Mixture;
use super::pass::Pass;
use super::{Examples, Learner, Patience, Predict, Shape, saved_numbers};
use crate::agent::{AgentError, Saved, Stop, all_finite, go_on};
use crate::bridge::read_f32;
use crate::data::encode::{Matrix, Slot};
use crate::net::{Builder, Params};
use crate::optim::Schedule;
use crate::precision::Precision;
use crate::pretrained::{self, Mapping, Taken, Wanted};
use crate::rate_test::{Minibatches, RateTest};
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use serde_json::json;
use std::path::Path;
use tch::{Kind, Tensor};

/// Lanes of random numbers: the order of rows, and what is dropped.
const ORDER: u32 = u32::MAX - 2;
const DROPPED: u32 = u32::MAX - 3;
/// Rows that are read at once where nothing is learned from them.
const TOGETHER: usize = 256;

/// How a network is trained.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Adam's learning rate at its highest.
    pub learning_rate: f64,
    /// What weights shrink by in a step, times the learning rate.
    pub weight_decay: f64,
    /// The share of hidden activations that are left out.
    pub dropout: f64,
    /// The share of a class's target that is divided among all classes.
    pub label_smoothing: f64,
    /// Rows of a gradient step.
    pub minibatch: usize,
    /// Epochs without a lower loss of the validation part after which it ends; 0 makes all of them.
    pub patience: u64,
    /// How fast Adam's moments forget.
    pub betas: [f64; 2],
    /// Factors of the rate, and of decay and dropout, at a moment of the run from 0 to 1.
    pub schedule: fn(f64) -> [f64; 2],
    /// Whether numbers are predicted within what training had.
    pub clamp: bool,
    /// Whether a last minibatch that is not full is left out of an epoch.
    pub only_full: bool,
    /// Whether each class is drawn equally often.
    pub balanced_sampling: bool,
    /// The number type of matrix products.
    pub precision: Precision,
    /// How much rows are mixed: the α of mixup, 0 for none.
    pub mixup: f64,
}

/// Factors of a rate with this schedule, beside decay and dropout that stay as they are.
pub fn constant_rest(schedule: Schedule) -> fn(f64) -> [f64; 2] {
    match schedule {
        Schedule::Constant => |_| [1.0, 1.0],
        Schedule::Linear => |t| [Schedule::Linear.at(1.0, t), 1.0],
        Schedule::Cosine => |t| [Schedule::Cosine.at(1.0, t), 1.0],
    }
}

/// Numbers that a label is embedded in.
pub const EMBEDDED: i64 = 8;

/// The places of a row's numbers by what they are, and the embeddings of labels.
pub struct Inputs {
    /// Places of numbers.
    pub numbers: Vec<i64>,
    /// Places of flags, and of weights of words.
    pub flags: Vec<i64>,
    /// Places of tokens.
    pub tokens: Vec<i64>,
    /// Places of labels, and their leaves `[labels, 8]`.
    codes: Vec<(i64, usize)>,
}

impl Inputs {
    /// Of rows that hold this; embeddings begin with normal numbers of this deviation.
    pub fn new(b: &mut Builder, slots: &[Slot], deviation: f64) -> Self {
        let mut own = Self { numbers: Vec::new(), flags: Vec::new(), tokens: Vec::new(), codes: Vec::new() };
        for (slot, at) in slots.iter().zip(0..) {
            match slot {
                Slot::Number => own.numbers.push(at),
                Slot::Flag | Slot::Word => own.flags.push(at),
                Slot::Token(_) => own.tokens.push(at),
                Slot::Code(labels) => {
                    let name = format!("labels.{at}");
                    let leaf = b.drawn(&name, &[*labels as i64, EMBEDDED], |rng| deviation * rng.normal());
                    own.codes.push((at, leaf));
                }
            }
        }
        own
    }

    /// Numbers that labels become.
    pub fn embedded(&self) -> i64 {
        EMBEDDED * self.codes.len() as i64
    }

    /// How many leaves embed labels.
    pub fn leaves(&self) -> usize {
        self.codes.len()
    }

    /// The embeddings of the labels of rows `[rows, inputs]`, one behind the other.
    pub fn labels(&self, params: &Params, x: &Tensor) -> Vec<Tensor> {
        let one =
            |(at, leaf): &(i64, usize)| params.leaves[*leaf].index_select(0, &x.select(1, *at).to_kind(Kind::Int64));
        self.codes.iter().map(one).collect()
    }
}

/// Columns of a tensor `[rows, columns]`.
pub fn columns(x: &Tensor, at: &[i64]) -> Tensor {
    x.index_select(1, &Tensor::from_slice(at).to_device(x.device()))
}

/// A network of tables.
pub trait Network {
    /// For every leaf of its parameters the factors of the rate and of weight decay.
    fn factors(&self) -> Vec<[f64; 2]>;

    /// Weights that follow from the training part, before the first epoch: inputs `[rows, inputs]`.
    fn begin(&self, _params: &mut Params, _x: &Tensor, _rng: &mut Rng) {}

    /// What numbers are subtracted from inputs, and what they are multiplied by, by the training part.
    fn scaling(&self, x: &Matrix) -> [Vec<f64>; 2] {
        [vec![0.0; x.width], vec![1.0; x.width]]
    }

    /// Parameters that weights of another program may set; none where it names none.
    fn wanted(&self, _params: &Params) -> Vec<Wanted> {
        Vec::new()
    }

    /// Rows that are read at once where nothing is learned from them.
    fn together(&self) -> usize {
        TOGETHER
    }

    /// Scores `[members, rows, outputs]` of inputs `[rows, inputs]`.
    fn forward(&self, params: &Params, x: &Tensor, pass: &mut Pass<'_>) -> Tensor;
}

/// A network with its optimizer.
pub struct Neural<N> {
    network: N,
    plan: Plan,
    shape: Shape,
    /// The number type of matrix products where it learns, which a resumed run keeps on any machine. Answers are float32.
    kind: Kind,
    params: Params,
    best: Params,
    /// Adam's moments, and the factors of rate and decay of each parameter.
    moments: [Tensor; 2],
    factors: [Tensor; 2],
    made: u64,
    patience: Patience,
    epoch: u64,
    /// The mean and the deviation of a regression's target in the training part, its lowest and its highest value.
    size: [f64; 4],
    /// What is subtracted from inputs, and what they are multiplied by.
    scaling: [Vec<f64>; 2],
    /// Which inputs are places of labels, `[inputs]`.
    codes: Tensor,
}

impl<N: Network> Neural<N> {
    /// A network with fresh weights.
    pub fn new(network: N, params: Params, plan: Plan, shape: Shape, slots: &[Slot]) -> Self {
        let each = network.factors();
        let of = |k: usize| {
            let parts = params.leaves.iter().zip(&each);
            let parts: Vec<Tensor> = parts
                .map(|(leaf, factors)| Tensor::full([leaf.numel() as i64], factors[k], (Kind::Float, shape.device)))
                .collect();
            Tensor::cat(&parts, 0)
        };
        let (factors, best) = ([of(0), of(1)], params.frozen());
        let moments = [0, 1].map(|_| params.flat.zeros_like());
        let (patience, scaling) = (Patience::new(plan.patience), [vec![0.0; shape.inputs], vec![1.0; shape.inputs]]);
        let (size, kind) = ([0.0, 1.0, f64::MIN, f64::MAX], plan.precision.kind(shape.device));
        let codes: Vec<bool> = slots.iter().map(|slot| matches!(slot, Slot::Code(_))).collect();
        let codes = Tensor::from_slice(&codes).to_device(shape.device);
        let (made, epoch) = (0, 0);
        Self { network, plan, shape, kind, params, best, moments, factors, made, patience, epoch, size, scaling, codes }
    }

    /// Rows as the network reads them, `[rows, inputs]`.
    fn input(&self, rows: &[f64]) -> Tensor {
        let [minus, times] = &self.scaling;
        let scaled = |row: &[f64]| {
            let numbers = row.iter().zip(minus).zip(times);
            numbers.map(|((x, minus), times)| ((x - minus) * times) as f32).collect::<Vec<_>>()
        };
        let numbers: Vec<f32> = rows.chunks_exact(self.shape.inputs).flat_map(scaled).collect();
        Tensor::from_slice(&numbers).view([-1, self.shape.inputs as i64]).to_device(self.shape.device)
    }

    /// Scores of rows: the members' mean probability as a logarithm, or their mean.
    fn answer(&self, params: &Params, x: &Matrix) -> Vec<f64> {
        let k = self.shape.outputs();
        let mut out = Vec::with_capacity(x.rows() * k);
        // Always as many at once: a row's sums must not depend on how many others there are.
        let mut block = vec![0.0; self.network.together() * x.width];
        for rows in x.x.chunks(block.len().max(1)) {
            block[..rows.len()].copy_from_slice(rows);
            let scores = tch::no_grad(|| {
                let each = self.network.forward(params, &self.input(&block), &mut Pass::plain(Kind::Float));
                if self.shape.classes == 0 {
                    return each.mean_dim([0i64].as_slice(), false, Kind::Float);
                }
                let members = each.size()[0] as f64;
                each.log_softmax(-1, Kind::Float).logsumexp([0i64].as_slice(), false) - members.ln()
            });
            let mut numbers = vec![0f32; scores.numel()];
            read_f32(&scores, &mut numbers);
            let here = rows.len() / x.width * k;
            out.extend(numbers.into_iter().take(here).map(f64::from));
        }
        if self.shape.classes == 0 {
            let [mean, deviation, low, high] = self.size;
            out.iter_mut().for_each(|y| *y = mean + deviation * *y);
            if self.plan.clamp {
                out.iter_mut().for_each(|y| *y = y.clamp(low, high));
            }
        }
        out
    }

    /// Targets of all rows, `[rows, outputs]`.
    fn targets(&self, train: &Examples) -> Tensor {
        let (k, smooth) = (self.shape.classes, self.plan.label_smoothing);
        let mut targets = Vec::with_capacity(train.y.len() * k.max(1));
        if k == 0 {
            targets.extend(train.y.iter().map(|y| ((y - self.size[0]) / self.size[1]) as f32));
        } else {
            for y in &train.y {
                let one = |class| if class == *y as usize { 1.0 - smooth } else { 0.0 } + smooth / k as f64;
                targets.extend((0..k).map(|class| one(class) as f32));
            }
        }
        Tensor::from_slice(&targets).view([-1, k.max(1) as i64]).to_device(self.shape.device)
    }

    /// Adam's step (Kingma and Ba 2015), with decay apart from it (Loshchilov and Hutter 2019).
    fn descend(&mut self, gradient: &Tensor, rate: f64, decay: f64) {
        let ([b1, b2], [rates, decays]) = (self.plan.betas, &self.factors);
        self.made += 1;
        let n = self.made as f64;
        let [m, v] = &mut self.moments;
        let flat = &mut self.params.flat;
        tch::no_grad(|| {
            let _ = m.lerp_(gradient, 1.0 - b1);
            let _ = v.lerp_(&gradient.square(), 1.0 - b2);
            let (c1, c2) = (1.0 - b1.powf(n), 1.0 - b2.powf(n));
            let change = &*m / ((&*v / c2).sqrt() + 1e-8);
            let shrunk = 1.0 - rates * decays * (rate * decay);
            let _ = flat.g_mul_(&shrunk);
            let _ = flat.g_sub_(&(change * rates * (rate / c1)));
        });
    }

    /// What the first epoch takes from the training part.
    fn begin(&mut self, x: &Tensor) {
        let mut rng = Rng::new(self.shape.seed, Stream::Weights, 1);
        self.network.begin(&mut self.params, x, &mut rng);
    }

    /// The size of the target and of inputs in the training part.
    fn measure(&mut self, train: &Examples) {
        self.scaling = self.network.scaling(&train.x);
        if self.shape.classes == 0 {
            let n = train.y.len() as f64;
            let mean = train.y.iter().sum::<f64>() / n;
            let deviation = (train.y.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / n).sqrt();
            let low = train.y.iter().copied().fold(f64::INFINITY, f64::min);
            let high = train.y.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            self.size = [mean, if deviation > 0.0 { deviation } else { 1.0 }, low, high];
        }
    }

    /// The rows of a pass in their order.
    fn order(&self, train: &Examples, pass: u64) -> Vec<usize> {
        let mut rng = Rng::at_step(self.shape.seed, Stream::Shuffle, ORDER, pass);
        train.order(self.plan.balanced_sampling, &mut rng)
    }

    /// Rows that are in between two: numbers are, and a label is that of either, as likely as it counts.
    fn mixed(&self, [x, there]: [&Tensor; 2], share: f64, rng: &mut Rng) -> Tensor {
        let own: Vec<bool> = (0..x.size()[0]).map(|_| rng.f64() < share).collect();
        let own = Tensor::from_slice(&own).to_device(self.shape.device).unsqueeze(1);
        x.where_self(&own, there).where_self(&self.codes, &(x * share + there * (1.0 - share)))
    }

    /// A gradient step; the mean loss before it. `rest`: the factor of decay and dropout.
    fn step(&mut self, all: &Tensors, rows: &[usize], [rate, rest]: [f64; 2], dropped: &mut Rng) -> f64 {
        let pick = |rows: &[usize]| {
            let rows: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
            let rows = Tensor::from_slice(&rows).to_device(self.shape.device);
            [&all.x, &all.targets, &all.weights].map(|all| all.index_select(0, &rows))
        };
        let [mut x, target, weight] = pick(rows);
        let mut others = Vec::new();
        let mixture = Mixture::drawn(self.plan.mixup, rows, dropped, &mut others);
        let other = mixture.map(|mixture| (pick(mixture.others), mixture.share));
        if let Some(([there, ..], share)) = &other {
            x = self.mixed([&x, there], *share, dropped);
        }
        let mut pass = Pass::dropping(self.kind, rest * self.plan.dropout, dropped);
        let scores = self.network.forward(&self.params, &x, &mut pass);
        let loss_of = |target: &Tensor, weight: &Tensor| {
            let each = if self.shape.classes == 0 {
                (&scores - target).square()
            } else {
                -(scores.log_softmax(-1, Kind::Float) * target)
            };
            (each.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float) * weight).mean(Kind::Float)
        };
        let mut loss = loss_of(&target, &weight);
        if let Some(([_, target, weight], share)) = &other {
            loss = loss * *share + loss_of(target, weight) * (1.0 - share);
        }
        let gradient = self.params.gradient(&loss);
        self.descend(&gradient, rate, rest * self.plan.weight_decay);
        loss.double_value(&[])
    }

    /// The training part as tensors.
    fn tensors(&self, train: &Examples) -> Tensors {
        let weights: Vec<f32> = (0..train.y.len()).map(|row| train.weight(row) as f32).collect();
        let weights = Tensor::from_slice(&weights).to_device(self.shape.device);
        Tensors { x: self.input(&train.x.x), targets: self.targets(train), weights }
    }

    /// An epoch; the mean of its minibatches' losses.
    fn pass(&mut self, train: &Examples, stop: Stop<'_>) -> Result<f64, AgentError> {
        let (epoch, n) = (self.epoch, train.y.len());
        let all = self.tensors(train);
        if epoch == 0 {
            self.begin(&all.x);
        }
        let order = self.order(train, epoch);
        let mut dropped = Rng::at_step(self.shape.seed, Stream::Act, DROPPED, epoch);
        let full = n / self.plan.minibatch;
        let steps = if self.plan.only_full && full > 0 { full } else { n.div_ceil(self.plan.minibatch) };
        let mut sum = 0.0;
        for (i, rows) in order.chunks(self.plan.minibatch).take(steps).enumerate() {
            go_on(stop)?;
            let progress = (epoch as f64 + i as f64 / steps as f64) / self.shape.steps.max(1) as f64;
            let [rate, rest] = (self.plan.schedule)(progress.min(1.0));
            sum += self.step(&all, rows, [rate * self.plan.learning_rate, rest], &mut dropped);
        }
        let unit = if self.shape.classes == 0 { self.size[1].powi(2) } else { 1.0 };
        Ok(unit * sum / steps as f64)
    }
}

/// A training part: inputs `[rows, inputs]`, targets `[rows, outputs]`, and what rows count.
struct Tensors {
    x: Tensor,
    targets: Tensor,
    weights: Tensor,
}

impl<N: Network> Predict for Neural<N> {
    fn scores(&self, x: &Matrix) -> Vec<f64> {
        self.answer(&self.best, x)
    }
}

impl<N: Network> Learner for Neural<N> {
    fn step(&self) -> u64 {
        self.epoch
    }

    fn finished(&self) -> bool {
        self.patience.is_over(self.epoch)
    }

    fn advance(&mut self, train: &Examples, validation: &Examples, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        if self.epoch == 0 {
            self.measure(train);
        }
        // A pass is only part of the state once it is whole.
        let (weights, moments, made) = (self.params.frozen(), self.moments.each_ref().map(Tensor::copy), self.made);
        let loss = match self.pass(train, stop) {
            Err(AgentError::Stopped) => {
                self.params.copy(&weights);
                (self.moments, self.made) = (moments, made);
                return Ok(None);
            }
            other => other?,
        };
        self.epoch += 1;
        all_finite(&[("loss".into(), loss)])?;
        let held_out = validation.loss(&self.answer(&self.params, &validation.x));
        if self.patience.see(self.epoch, held_out) {
            self.best.copy(&self.params);
        }
        Ok(Some(loss))
    }

    fn test_rates(&mut self, train: &Examples, stop: Stop<'_>) -> Result<RateTest, AgentError> {
        self.measure(train);
        let all = self.tensors(train);
        self.begin(&all.x);
        let mut minibatches = Minibatches::new(self.plan.minibatch);
        let mut dropped = Rng::at_step(self.shape.seed, Stream::Act, DROPPED, 0);
        RateTest::run(&mut |rate| {
            go_on(stop)?;
            let rows = minibatches.next(|pass| self.order(train, pass)).to_vec();
            Ok(self.step(&all, &rows, [rate, 1.0], &mut dropped))
        })
    }

    fn adopt(&mut self, file: &Path, mapping: &Mapping) -> Result<Taken, AgentError> {
        let wanted = self.network.wanted(&self.params);
        if wanted.is_empty() {
            return Err(Issue::value("weights", "are for networks that name theirs: text-encoder and cnn").into());
        }
        let taken = pretrained::adopt(wanted, file, mapping)?;
        self.best.copy(&self.params);
        Ok(taken)
    }

    fn save(&self) -> Saved {
        let mut tensors: Vec<_> = self.params.named().map(|(name, t)| (name.to_owned(), t)).collect();
        let [m, v] = &self.moments;
        for (name, tensor) in [("adam.m", m), ("adam.v", v), ("best", &self.best.flat)] {
            tensors.push((name.into(), tensor.shallow_clone()));
        }
        let state = json!({
            "epoch": self.epoch,
            "adam_steps": self.made,
            "patience": self.patience.save(),
            "size": self.size,
            "minus": self.scaling[0],
            "times": self.scaling[1],
            "bfloat16": self.kind == Kind::BFloat16,
        });
        Saved { tensors, state }
    }

    /// The best weights, and neither the newest ones nor the optimizer.
    fn answer(&self) -> Saved {
        let Saved { state, .. } = self.save();
        Saved { tensors: vec![("best".into(), self.best.flat.shallow_clone())], state }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (epoch, made, size): (u64, u64, [f64; 4]) =
            (saved.part("epoch")?, saved.part("adam_steps")?, saved.part("size")?);
        let n = self.shape.inputs;
        let scaling = [saved_numbers(&saved.state, "minus", n)?, saved_numbers(&saved.state, "times", n)?];
        let fitting = |name: &str, here: &Tensor| self.params.fitting(saved, name, here).map(|t| t.copy());
        let best = fitting("best", &self.best.flat)?;
        // An answer alone has no optimizer, and learns no more.
        let is_whole = saved.tensors.iter().any(|(name, _)| name == "adam.m");
        let moments = if is_whole {
            [fitting("adam.m", &self.moments[0])?, fitting("adam.v", &self.moments[1])?]
        } else {
            [0, 1].map(|_| self.params.flat.zeros_like())
        };
        if is_whole {
            self.params.load_weights(saved)?;
        }
        tch::no_grad(|| self.best.flat.copy_(&best));
        self.kind = if saved.state["bfloat16"] == true { Kind::BFloat16 } else { Kind::Float };
        self.patience.load(&saved.state["patience"]);
        (self.epoch, self.made, self.size, self.scaling, self.moments) = (epoch, made, size, scaling, moments);
        Ok(())
    }
}
