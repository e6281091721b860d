//! The network behind several ways of training: a perceptron on the host, with or without hidden layers, its scores and
//! the gradient of its loss. Without a hidden layer it is linear or logistic regression.

use super::mixup::Mixture;
use super::{Examples, Shape, log_sum_exp};
use crate::data::encode::Matrix;
use crate::dense::{BLOCK, Dense, Dropout, Seen, Tape};
use crate::net::{Activation, Builder, Last, Mlp as Layers, Params};
use agon_core::thread_pool::ThreadPool;
use std::ops::Range;
use tch::Device;

/// A minibatch is split into parts of so many rows at least, and into so many parts at most, whatever threads there are.
const ROWS: usize = 32;
const PARTS: usize = 16;
/// Rows that a thread answers at a time.
const TOGETHER: usize = 64 * BLOCK;

/// Rows that are learned from, and how they are mixed, if they are.
pub type Rows<'a> = (&'a [usize], Option<Mixture<'a>>);

/// A network apart from its weights.
pub struct DenseNet {
    shape: Shape,
    dense: Dense,
    /// Its threads.
    pub pool: ThreadPool,
    /// Places of the weights, which decay; biases do not.
    pub decaying: Vec<Range<usize>>,
    /// The mean and the deviation of a regression's target in the training part.
    pub size: [f64; 2],
    /// The share of a class's target that is divided among all classes where it learns (Szegedy et al. 2016).
    pub label_smoothing: f64,
}

/// Room for the passes of a minibatch.
#[derive(Default)]
pub struct Passes {
    /// Activations and gradients; dropout, if it is wanted.
    pub tape: Tape,
    x: Vec<f32>,
    scores: Vec<f32>,
    /// The gradient at the outputs, `[rows, outputs]`.
    at_outputs: Vec<f32>,
}

/// A part of a minibatch.
#[derive(Default)]
pub struct Part {
    passes: Passes,
    /// The gradient of its rows' losses; laid out as the weights.
    pub gradient: Vec<f32>,
    /// Its rows' summed loss.
    pub loss: f64,
}

impl Part {
    /// A part whose passes leave activations out.
    pub fn new(dropout: Option<Dropout>) -> Self {
        let mut own = Self::default();
        own.passes.tape.dropout = dropout;
        own
    }
}

impl DenseNet {
    /// A network of rectified units, and its fresh weights. `hidden`: units of each hidden layer.
    pub fn new(shape: Shape, hidden: &[usize]) -> (Params, Self) {
        let mut builder = Builder::new(shape.seed);
        let sizes: Vec<usize> =
            [shape.inputs].into_iter().chain(hidden.iter().copied()).chain([shape.outputs()]).collect();
        let layers = Layers::new(&mut builder, "layer", &sizes, Activation::Relu, Last::Head(0.1));
        let params = builder.finish(Device::Cpu);
        let (below, head) = layers.layers().split_at(hidden.len());
        let dense = Dense::new(&params, below, head, Activation::Relu);
        let decaying = layers.layers().iter().map(|(weight, _)| params.place(*weight)).collect();
        (
            params,
            Self { shape, dense, pool: crate::unsupervised::pool(), decaying, size: [0.0, 1.0], label_smoothing: 0.0 },
        )
    }

    /// Takes the size of a regression's target from the training part.
    pub fn measure(&mut self, train: &Examples) {
        if self.shape.classes == 0 {
            let n = train.y.len() as f64;
            let mean = train.y.iter().sum::<f64>() / n;
            let deviation = (train.y.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / n).sqrt();
            self.size = [mean, if deviation > 0.0 { deviation } else { 1.0 }];
        }
    }

    /// Scores of rows, `[rows, outputs]`, by the weights `flat`.
    pub fn answer(&self, flat: &[f32], x: &Matrix) -> Vec<f64> {
        let k = self.shape.outputs();
        let mut out = vec![0.0; x.rows() * k];
        let mut parts: Vec<(&[f64], &mut [f64])> =
            x.x.chunks(TOGETHER * x.width).zip(out.chunks_mut(TOGETHER * k)).collect();
        self.pool.each(&mut parts, |_, (x_rows, out)| {
            // Always as many at once: a row's sums must not depend on how many others there are.
            let (mut tape, mut block, mut scores) =
                (Tape::default(), vec![0f32; BLOCK * x.width], vec![0f32; BLOCK * k]);
            for (rows, out) in x_rows.chunks(BLOCK * x.width).zip(out.chunks_mut(BLOCK * k)) {
                block.iter_mut().zip(rows).for_each(|(to, x)| *to = *x as f32);
                self.dense.forward(flat, &block, &mut scores, &mut tape);
                out.iter_mut().zip(&scores).for_each(|(out, s)| *out = f64::from(*s));
            }
        });
        if self.shape.classes == 0 {
            out.iter_mut().for_each(|y| *y = self.size[0] + self.size[1] * *y);
        }
        out
    }

    /// Writes the gradient of the rows' summed loss, divided by `n`, at the outputs; the summed loss. That of a mixture is in
    /// between those of both rows.
    fn at_outputs(&self, train: &Examples, (rows, mixture): Rows<'_>, n: f64, passes: &mut Passes) -> f64 {
        let (k, mut loss) = (train.outputs(), 0.0);
        let (mut p, mut sum) = (vec![0.0; k], vec![0.0; k]);
        let (scores, out) = (passes.scores.chunks_exact(k), passes.at_outputs.chunks_exact_mut(k));
        for (i, (scores, out)) in scores.zip(out).enumerate() {
            let share = mixture.map_or(1.0, |mixture| mixture.share);
            let other = mixture.map(|mixture| (mixture.others[i], 1.0 - share));
            sum.fill(0.0);
            for (row, share) in std::iter::once((rows[i], share)).chain(other) {
                p.iter_mut().zip(scores).for_each(|(p, s)| *p = f64::from(*s));
                let (y, weight) = (train.y[row], share * train.weight(row));
                if train.classes == 0 {
                    p[0] -= (y - self.size[0]) / self.size[1];
                    loss += weight * (p[0] * self.size[1]).powi(2);
                } else {
                    let sum = log_sum_exp(&p);
                    let (whole, rest) = (1.0 - self.label_smoothing, self.label_smoothing / k as f64);
                    let mean = if rest > 0.0 { rest * p.iter().sum::<f64>() } else { 0.0 };
                    loss += weight * (sum - whole * p[y as usize] - mean);
                    p.iter_mut().for_each(|p| *p = (*p - sum).exp() - rest);
                    p[y as usize] -= whole;
                }
                sum.iter_mut().zip(&p).for_each(|(sum, p)| *sum += weight * p);
            }
            out.iter_mut().zip(&sum).for_each(|(out, sum)| *out = (sum / n) as f32);
        }
        loss
    }

    /// Both passes of some rows.
    fn passes(&self, flat: &[f32], train: &Examples, of: Rows<'_>, n: f64, passes: &mut Passes) -> f64 {
        let (k, (rows, mixture)) = (self.shape.outputs(), of);
        passes.x.clear();
        for (i, row) in rows.iter().enumerate() {
            let x = train.x.row(*row);
            match mixture {
                None => passes.x.extend(x.iter().map(|x| *x as f32)),
                Some(Mixture { others, share }) => {
                    let both = x.iter().zip(train.x.row(others[i]));
                    passes.x.extend(both.map(|(x, other)| (share * x + (1.0 - share) * other) as f32));
                }
            }
        }
        passes.scores.resize(rows.len() * k, 0f32);
        passes.at_outputs.resize(rows.len() * k, 0f32);
        self.dense.forward(flat, &passes.x, &mut passes.scores, &mut passes.tape);
        let loss = self.at_outputs(train, of, n, passes);
        self.dense.backward(flat, &passes.at_outputs, &mut passes.tape);
        loss
    }

    /// The gradient of some rows' mean loss in parts, of which the first so many that are returned are in use: their
    /// gradients add up to it. `make` makes the part of a number.
    pub fn gradients(
        &self,
        flat: &[f32],
        train: &Examples,
        (rows, mixture): Rows<'_>,
        parts: &mut Vec<Part>,
        make: impl Fn(usize) -> Part,
    ) -> usize {
        let size = rows.len().div_ceil(PARTS).max(ROWS);
        let used = rows.len().div_ceil(size);
        parts.extend((parts.len()..used).map(make));
        self.pool.each(&mut parts[..used], |i, part| {
            let own = &rows[i * size..((i + 1) * size).min(rows.len())];
            let own = (own, mixture.map(|mixture| mixture.part(i * size, own.len())));
            part.loss = self.passes(flat, train, own, rows.len() as f64, &mut part.passes);
            part.gradient.clear();
            part.gradient.resize(flat.len(), 0.0);
            self.add_gradient(&part.passes, &mut part.gradient);
        });
        used
    }

    /// Writes the gradient of some rows' mean loss; laid out as the weights `flat`.
    pub fn gradient(&self, flat: &[f32], train: &Examples, rows: &[usize], passes: &mut Passes, gradient: &mut [f32]) {
        self.passes(flat, train, (rows, None), rows.len() as f64, passes);
        gradient.fill(0.0);
        self.add_gradient(passes, gradient);
    }

    /// Adds the gradients of some rows' losses, each of them clipped to this norm.
    pub fn add_clipped(
        &self,
        flat: &[f32],
        train: &Examples,
        rows: &[usize],
        norm: f64,
        passes: &mut Passes,
        sum: &mut [f32],
    ) {
        self.passes(flat, train, (rows, None), 1.0, passes);
        let mut norms = vec![0.0; rows.len()];
        let Passes { tape, x, at_outputs, .. } = passes;
        self.dense.squared_norms(Seen { x, at_outputs, tape, front: &[] }, &mut norms);
        // A row's gradient is linear in what it says at the outputs.
        for (at_outputs, squared) in at_outputs.chunks_exact_mut(self.shape.outputs()).zip(&norms) {
            let kept = (norm / squared.sqrt()).min(1.0) as f32;
            at_outputs.iter_mut().for_each(|g| *g *= kept);
        }
        self.dense.backward(flat, at_outputs, tape);
        self.add_gradient(passes, sum);
    }

    fn add_gradient(&self, passes: &Passes, gradient: &mut [f32]) {
        let seen = Seen { x: &passes.x, at_outputs: &passes.at_outputs, tape: &passes.tape, front: &[] };
        self.dense.gradient(seen, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::host_view;
    use agon_core::rng::{Rng, Stream};

    /// The gradients of the parts of a minibatch add up to that of the whole.
    #[test]
    fn parts_add_up() {
        let shape = Shape { inputs: 4, classes: 3, steps: 1, seed: 3, device: Device::Cpu };
        let (params, net) = DenseNet::new(shape, &[9, 5]);
        let mut rng = Rng::new(3, Stream::Env, 0);
        let x = (0..150 * 4).map(|_| rng.normal()).collect();
        let y = (0..150).map(|i| f64::from(i % 3)).collect();
        let train = Examples { x: Matrix { x, width: 4 }, y, classes: 3, ..Examples::default() };
        let (flat, rows) = (host_view(&params.flat).unwrap(), (0..150).rev().collect::<Vec<_>>());
        let mut whole = vec![0f32; flat.len()];
        net.gradient(flat, &train, &rows, &mut Passes::default(), &mut whole);
        let mut parts = Vec::new();
        let used = net.gradients(flat, &train, (&rows, None), &mut parts, |_| Part::default());
        assert_eq!(used, 5);
        let mut sum = vec![0f32; flat.len()];
        parts.iter().for_each(|part| crate::optim::add(&mut sum, &part.gradient));
        assert!(whole.iter().any(|g| g.abs() > 1e-3));
        assert!(sum.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-6));
        let loss = parts.iter().map(|part| part.loss).sum::<f64>() / 150.0;
        assert!((loss - train.loss(&net.answer(flat, &train.x))).abs() < 1e-6);
    }

    /// Of mixtures the gradient is that of their loss, by differences, for classes and for numbers.
    #[test]
    fn gradients_of_mixtures_are_those_of_their_loss() {
        for classes in [0, 3] {
            let shape = Shape { inputs: 4, classes, steps: 1, seed: 3, device: Device::Cpu };
            let (params, mut net) = DenseNet::new(shape, &[9]);
            net.label_smoothing = 0.2;
            let mut rng = Rng::new(3, Stream::Env, 0);
            let x = (0..50 * 4).map(|_| rng.normal()).collect();
            let y = (0..50).map(|i| if classes == 0 { rng.normal() } else { f64::from(i % 3) }).collect();
            let weights = (0..50).map(|i| 1.0 + f64::from(i % 2)).collect();
            let train = Examples { x: Matrix { x, width: 4 }, y, classes, weights, ..Examples::default() };
            let (rows, others): (Vec<usize>, Vec<usize>) = ((0..50).collect(), (0..50).rev().collect());
            let mixture = Some(Mixture { others: &others, share: 0.3 });
            let all = |flat: &[f32], mixture| {
                let mut parts = Vec::new();
                let used = net.gradients(flat, &train, (&rows, mixture), &mut parts, |_| Part::default());
                assert_eq!(used, 2);
                let mut sum = vec![0f32; flat.len()];
                parts.iter().for_each(|part| crate::optim::add(&mut sum, &part.gradient));
                (sum, parts.iter().map(|part| part.loss).sum::<f64>() / 50.0)
            };
            let flat = host_view(&params.flat).unwrap().to_vec();
            let ((gradient, _), (plain, _)) = (all(&flat, mixture), all(&flat, None));
            assert!(gradient.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 0.01));
            for at in (0..flat.len()).step_by(5) {
                let moved = |by: f32| {
                    let mut flat = flat.clone();
                    flat[at] += by;
                    all(&flat, mixture).1
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                // The gradient of a regression is that of half the squared error.
                let own = f64::from(gradient[at]) * if classes == 0 { 2.0 } else { 1.0 };
                assert!((slope - own).abs() < 0.02 * (1.0 + own.abs()), "{classes} {at}: {slope} {own}");
            }
        }
    }

    /// Clipped at once, and row by row.
    #[test]
    fn clipping_at_once_is_clipping_row_by_row() {
        for (hidden, classes) in [(vec![], 2), (vec![], 0), (vec![7], 3), (vec![9, 5], 3), (vec![6], 0)] {
            let shape = Shape { inputs: 4, classes, steps: 1, seed: 3, device: Device::Cpu };
            let (params, net) = DenseNet::new(shape, &hidden);
            let mut rng = Rng::new(3, Stream::Env, 0);
            let x = (0..40 * 4).map(|_| rng.normal()).collect();
            let y = (0..40).map(|i| if classes > 0 { f64::from(i % classes as u32) } else { rng.normal() }).collect();
            let train = Examples { x: Matrix { x, width: 4 }, y, classes, ..Examples::default() };
            let (rows, flat, mut passes) =
                ((0..40).collect::<Vec<_>>(), host_view(&params.flat).unwrap(), Passes::default());
            let (mut once, mut one) = (vec![0f32; flat.len()], vec![0f32; flat.len()]);
            let each: Vec<(f64, Vec<f32>)> = rows
                .iter()
                .map(|row| {
                    net.gradient(flat, &train, &[*row], &mut passes, &mut one);
                    (one.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt(), one.clone())
                })
                .collect();
            // Half of the rows are clipped.
            let mut norms: Vec<f64> = each.iter().map(|(long, _)| *long).collect();
            norms.sort_by(f64::total_cmp);
            let (norm, mut by_row) = (0.5 * (norms[19] + norms[20]), vec![0f64; flat.len()]);
            assert!(norms[0] < norm && norm < norms[39]);
            net.add_clipped(flat, &train, &rows, norm, &mut passes, &mut once);
            for (long, gradient) in &each {
                let kept = (norm / long).min(1.0);
                by_row.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += kept * f64::from(*g));
            }
            assert!(once.iter().zip(&by_row).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5), "{hidden:?} {classes}");
        }
    }
}
