//! The network behind several ways of training: a perceptron on the host, with or without hidden layers, its scores and
//! the gradient of its loss. Without a hidden layer it is linear or logistic regression.

use super::{Examples, Shape, softmax};
use crate::data::encode::Matrix;
use crate::dense::{BLOCK, Dense, Seen, Tape};
use crate::net::{Activation, Builder, Last, Mlp as Layers, Params};
use std::ops::Range;
use tch::Device;

/// A network apart from its weights.
pub struct DenseNet {
    shape: Shape,
    dense: Dense,
    /// Places of the weights, which decay; biases do not.
    pub decaying: Vec<Range<usize>>,
    /// The mean and the deviation of a regression's target in the training part.
    pub size: [f64; 2],
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
        (params, Self { shape, dense, decaying, size: [0.0, 1.0] })
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
        let (mut out, mut tape, mut block) = (Vec::with_capacity(x.rows() * k), Tape::default(), Vec::new());
        let mut scores = vec![0f32; BLOCK * k];
        for rows in x.x.chunks(BLOCK * x.width) {
            block.clear();
            block.extend(rows.iter().map(|x| *x as f32));
            let scores = &mut scores[..rows.len() / x.width * k];
            self.dense.forward(flat, &block, scores, &mut tape);
            out.extend(scores.iter().map(|s| f64::from(*s)));
        }
        if self.shape.classes == 0 {
            out.iter_mut().for_each(|y| *y = self.size[0] + self.size[1] * *y);
        }
        out
    }

    /// Writes the gradient of the rows' summed loss, divided by `n`, at the outputs.
    fn at_outputs(&self, train: &Examples, rows: &[usize], n: f64, passes: &mut Passes) {
        let k = train.outputs();
        let mut p = vec![0.0; k];
        let (scores, out) = (passes.scores.chunks_exact(k), passes.at_outputs.chunks_exact_mut(k));
        for ((scores, out), row) in scores.zip(out).zip(rows) {
            p.iter_mut().zip(scores).for_each(|(p, s)| *p = f64::from(*s));
            let y = train.y[*row];
            if train.classes == 0 {
                p[0] -= (y - self.size[0]) / self.size[1];
            } else {
                softmax(&mut p);
                p[y as usize] -= 1.0;
            }
            let weight = train.weight(*row);
            out.iter_mut().zip(&p).for_each(|(out, p)| *out = (weight * p / n) as f32);
        }
    }

    /// Both passes of some rows.
    fn passes(&self, flat: &[f32], train: &Examples, rows: &[usize], n: f64, passes: &mut Passes) {
        let k = self.shape.outputs();
        passes.x.clear();
        rows.iter().for_each(|row| passes.x.extend(train.x.row(*row).iter().map(|x| *x as f32)));
        passes.scores.resize(rows.len() * k, 0f32);
        passes.at_outputs.resize(rows.len() * k, 0f32);
        self.dense.forward(flat, &passes.x, &mut passes.scores, &mut passes.tape);
        self.at_outputs(train, rows, n, passes);
        self.dense.backward(flat, &passes.at_outputs, &mut passes.tape);
    }

    /// Writes the gradient of some rows' mean loss; laid out as the weights `flat`.
    pub fn gradient(&self, flat: &[f32], train: &Examples, rows: &[usize], passes: &mut Passes, gradient: &mut [f32]) {
        self.passes(flat, train, rows, rows.len() as f64, passes);
        gradient.fill(0.0);
        self.add_gradient(passes, gradient);
    }

    fn add_gradient(&self, passes: &Passes, gradient: &mut [f32]) {
        let seen = Seen { x: &passes.x, at_outputs: &passes.at_outputs, tape: &passes.tape, front: &[] };
        self.dense.gradient(seen, gradient);
    }
}
