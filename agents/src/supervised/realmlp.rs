//! RealMLP (Holzmüller, Grinsztajn and Steinwart, NeurIPS 2024): a perceptron with what their study of defaults found
//! best. Inputs are scaled robustly and clipped smoothly, numbers get periodic embeddings (PBLD), each input a scale that
//! is learned fast; layers are in the NTK's parametrisation, begin by what the training part says, and have activations
//! with a learned strength; the rate goes through four cycles, and decay and dropout end with the run.

use super::Shape;
use super::class_weights::ClassWeights;
use super::neural::{Inputs, Network, Neural, Plan, columns};
use super::pass::Pass;
use crate::agent::AgentError;
use crate::data::encode::{Matrix, Slot, quantile};
use crate::net::{Builder, Params};
use crate::precision::Precision;
use agon_core::rng::Rng;
use agon_core::settings::Issue;
use std::f64::consts::PI;
use tch::{Kind, Tensor};

agon_core::settings! {
    /// A perceptron with the defaults of RealMLP.
    pub struct Config {
        /// Units of the hidden layers.
        hidden: Vec<usize> = vec![256, 256, 256], in [1.0, 4096.0];
        /// Adam's learning rate at its highest; 0.04 for classes and 0.2 for numbers if left out.
        learning_rate: Option<f64> = None, in [0.0, 1.0];
        /// What weights shrink by in a step, times the learning rate.
        weight_decay: f64 = 2e-2, in [0.0, 100.0];
        /// The share of hidden activations that are left out in training.
        dropout: f64 = 0.15, in [0.0, 0.95];
        /// The share of a class's target that is divided among all classes.
        label_smoothing: f64 = 0.1, in [0.0, 0.9];
        /// How much rows are mixed in training: the α of mixup; 0 mixes none, 0.2 is usual.
        mixup: f64 = 0.0, in [0.0, 10.0];
        /// Rows of a gradient step.
        minibatch: usize = 256, in [1.0, 65536.0];
        /// Epochs without a lower loss of the validation part after which it ends; 0 makes all of them.
        patience: u64 = 0, in [0.0, 1e6];
        /// How much a row counts by its class.
        class_weights: ClassWeights = ClassWeights::None;
        /// Whether each class is drawn equally often in training.
        balanced_sampling: bool = false;
        /// The number type of matrix products; bfloat16 is faster on most GPUs, and on few processors.
        precision: Precision = Precision::Float32;
    }
}

/// Frequencies of a number's embedding, what they become, and their deviation.
const FREQUENCIES: i64 = 16;
const EMBEDDED: i64 = 4;
const SIGMA: f64 = 0.1;
/// Samples of the training part that a unit's bias is taken from.
const CORNERS: usize = 5;

/// A hidden layer: places of its weights, its biases and the strengths of its activations.
struct Layer([usize; 3]);

/// The network.
pub struct RealMlp {
    inputs: Inputs,
    classes: bool,
    /// Frequencies, phases, and the map that follows them.
    embedding: [usize; 4],
    scale: usize,
    layers: Vec<Layer>,
    head: [usize; 2],
}

/// Factors of the rate, and of decay and dropout: four cycles that get longer, and half a cosine in the second half.
fn schedule(t: f64) -> [f64; 2] {
    let cycles = 0.5 * (1.0 - (2.0 * PI * (1.0 + 15.0 * t).log2()).cos());
    [cycles, if t < 0.5 { 1.0 } else { 0.5 * (1.0 + (PI * (2.0 * t - 1.0)).cos()) }]
}

/// A fresh learner.
///
/// # Errors
/// [`AgentError::Settings`] where there is no hidden layer.
pub fn learner(config: &Config, shape: Shape, slots: &[Slot]) -> Result<Neural<RealMlp>, AgentError> {
    if config.hidden.is_empty() {
        return Err(Issue::value("hidden", "needs a layer; linear and logistic are models without one").into());
    }
    let (network, params) = RealMlp::new(&config.hidden, shape, slots);
    let classes = shape.classes > 0;
    let plan = Plan {
        learning_rate: config.learning_rate.unwrap_or(if classes { 0.04 } else { 0.2 }),
        weight_decay: config.weight_decay,
        dropout: config.dropout,
        label_smoothing: if classes { config.label_smoothing } else { 0.0 },
        minibatch: config.minibatch,
        patience: config.patience,
        betas: [0.9, 0.95],
        schedule,
        clamp: true,
        balanced_sampling: config.balanced_sampling,
        precision: config.precision,
        mixup: config.mixup,
        only_full: true,
    };
    Ok(Neural::new(network, params, plan, shape, slots))
}

impl RealMlp {
    /// Fresh weights, before anything is known of the training part.
    fn new(hidden: &[usize], shape: Shape, slots: &[Slot]) -> (Self, Params) {
        let mut b = Builder::new(shape.seed);
        let inputs = Inputs::new(&mut b, slots, 1.0);
        let n = inputs.numbers.len() as i64;
        let bound = 1.0 / (FREQUENCIES as f64).sqrt();
        let embedding = [
            b.drawn("embedding.frequency", &[n, 1, FREQUENCIES], |rng| SIGMA * rng.normal()),
            b.drawn("embedding.phase", &[n, 1, FREQUENCIES], |rng| rng.range(-PI, PI)),
            b.drawn("embedding.weight", &[n, FREQUENCIES, EMBEDDED - 1], |rng| rng.range(-bound, bound)),
            b.drawn("embedding.bias", &[n, 1, EMBEDDED - 1], |rng| rng.range(-bound, bound)),
        ];
        let mut from = n * EMBEDDED + inputs.flags.len() as i64 + inputs.embedded();
        let scale = b.constant("scale", &[from], 1.0);
        let mut layers = Vec::new();
        for (i, &to) in hidden.iter().enumerate() {
            let (name, to) = (|what: &str| format!("layer.{i}.{what}"), to as i64);
            let weight = b.drawn(&name("weight"), &[from, to], Rng::normal);
            layers.push(Layer([
                weight,
                b.constant(&name("bias"), &[to], 0.0),
                b.constant(&name("strength"), &[to], 1.0),
            ]));
            from = to;
        }
        let weight = b.drawn("head.weight", &[from, shape.outputs() as i64], Rng::normal);
        let head = [weight, b.constant("head.bias", &[shape.outputs() as i64], 0.0)];
        (Self { inputs, classes: shape.classes > 0, embedding, scale, layers, head }, b.finish(shape.device))
    }

    /// What the first layer reads: each number with three of its embedding, flags, labels.
    fn embedded(&self, params: &Params, x: &Tensor) -> Tensor {
        let [frequency, phase, weight, bias] = self.embedding.map(|leaf| &params.leaves[leaf]);
        // At most 3 in size, and almost itself near 0.
        let clipped = x / (x.square() / 9.0 + 1.0).sqrt();
        let each = columns(&clipped, &self.inputs.numbers).tr().unsqueeze(-1);
        let waves = (each.matmul(frequency) * (2.0 * PI) + phase).cos();
        let both = Tensor::cat(&[waves.matmul(weight) + bias, each], -1);
        let rows = x.size()[0];
        let numbers = both.transpose(0, 1).reshape([rows, EMBEDDED * self.inputs.numbers.len() as i64]);
        let mut parts = vec![numbers, columns(&clipped, &self.inputs.flags)];
        parts.extend(self.inputs.labels(params, x));
        Tensor::cat(&parts, 1) * &params.leaves[self.scale]
    }

    /// A linear layer, whose weights are divided by the root of the number of inputs.
    fn linear(params: &Params, weight: usize, x: &Tensor, pass: &Pass<'_>) -> Tensor {
        let weight = &params.leaves[weight];
        pass.matmul(x, weight) / (weight.size()[0] as f64).sqrt()
    }

    fn activated(&self, params: &Params, strength: usize, x: &Tensor) -> Tensor {
        let f = if self.classes { x.selu() } else { x.mish() };
        x + (f - x) * &params.leaves[strength]
    }
}

impl Network for RealMlp {
    fn factors(&self) -> Vec<[f64; 2]> {
        // Decay is that of pytabkit, which multiplies the factor of the rate into it twice.
        let (embedding, layer) = ([[0.1, 0.1]; 4], [[1.0, 1.0], [0.1, 0.0], [0.1, 0.1]]);
        let labels = vec![[1.0, 1.0]; self.inputs.leaves()];
        let layers = self.layers.iter().flat_map(|_| layer);
        let front = labels.into_iter().chain(embedding).chain([[6.0, 6.0]]);
        front.chain(layers).chain([[1.0, 1.0], [0.1, 0.0]]).collect()
    }

    /// The median, and the range of the middle half of the numbers; half of the whole range where that is nothing.
    fn scaling(&self, x: &Matrix) -> [Vec<f64>; 2] {
        let one = |k: usize| {
            let mut column: Vec<f64> = (0..x.rows()).map(|row| x.row(row)[k]).collect();
            column.sort_by(f64::total_cmp);
            let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| quantile(&column, share));
            let whole = column[column.len() - 1] - column[0];
            let range = if high > low { high - low } else { 0.5 * whole };
            (middle, if range > 0.0 { 1.0 / range } else { 0.0 })
        };
        let (mut minus, mut times) = (vec![0.0; x.width], vec![1.0; x.width]);
        for at in self.inputs.numbers.iter().chain(&self.inputs.flags) {
            (minus[*at as usize], times[*at as usize]) = one(*at as usize);
        }
        [minus, times]
    }

    /// Layer by layer: weights such that every unit has deviation 1, and biases such that it bends within the data.
    fn begin(&self, params: &mut Params, x: &Tensor, rng: &mut Rng) {
        let pass = &Pass::plain(Kind::Float);
        tch::no_grad(|| {
            let mut h = self.embedded(params, &x.narrow(0, 0, x.size()[0].min(4096)));
            let all = self.layers.iter().map(|layer| (layer.0[0], layer.0[1], Some(layer.0[2])));
            for (weight, bias, strength) in all.chain([(self.head[0], self.head[1], None)]) {
                let units = params.leaves[weight].size()[1];
                let deviation = Self::linear(params, weight, &h, pass).std_dim([0i64].as_slice(), false, true);
                let _ = params.leaves[weight].detach().g_div_(&deviation.clamp_min(1e-6));
                let out = Self::linear(params, weight, &h, pass);
                let rows = out.size()[0] as u32;
                for unit in 0..units {
                    let shares: Vec<f64> = (0..CORNERS).map(|_| -(1.0 - rng.f64()).ln()).collect();
                    let sum: f64 = shares.iter().sum();
                    let of = |share: f64| share / sum * out.double_value(&[i64::from(rng.below(rows)), unit]);
                    let value: f64 = shares.into_iter().map(of).sum();
                    let _ = params.leaves[bias].detach().get(unit).fill_(-value);
                }
                h = out + &params.leaves[bias];
                if let Some(strength) = strength {
                    h = self.activated(params, strength, &h);
                }
            }
        });
    }

    fn forward(&self, params: &Params, x: &Tensor, pass: &mut Pass<'_>) -> Tensor {
        let mut h = self.embedded(params, x);
        for Layer([weight, bias, strength]) in &self.layers {
            h = Self::linear(params, *weight, &h, pass) + &params.leaves[*bias];
            h = pass.dropout(self.activated(params, *strength, &h));
        }
        (Self::linear(params, self.head[0], &h, pass) + &params.leaves[self.head[1]]).unsqueeze(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// The schedule at the ends and the bottoms of its cycles, t = (2^i − 1) / 15.
    #[test]
    fn rates_go_through_four_cycles() {
        for t in [0.0, 1.0 / 15.0, 3.0 / 15.0, 7.0 / 15.0, 1.0] {
            assert!(schedule(t)[0] < 1e-12, "{t}");
        }
        assert!((schedule((2f64.powf(0.5) - 1.0) / 15.0)[0] - 1.0).abs() < 1e-12);
        assert_eq!([schedule(0.3)[1], schedule(0.5)[1]], [1.0, 1.0]);
        assert!((schedule(0.75)[1] - 0.5).abs() < 1e-12 && schedule(1.0)[1] < 1e-12);
    }

    /// After `begin` every unit of the first layer varies as much as any other, and bends somewhere among the rows.
    #[test]
    fn weights_begin_by_what_the_training_part_says() {
        let shape = Shape { inputs: 2, classes: 3, steps: 10, seed: 4, device: Device::Cpu };
        let (network, mut params) = RealMlp::new(&[6], shape, &[Slot::Number; 2]);
        let x = Tensor::from_slice(&(0..200).map(|i| ((i * 37 % 101) as f32 - 50.0) / 30.0).collect::<Vec<_>>());
        let x = x.view([100, 2]);
        network.begin(&mut params, &x, &mut Rng::new(1, agon_core::rng::Stream::Weights, 1));
        let out =
            RealMlp::linear(&params, network.layers[0].0[0], &network.embedded(&params, &x), &Pass::plain(Kind::Float))
                + &params.leaves[network.layers[0].0[1]];
        let deviation = out.std_dim([0i64].as_slice(), false, false);
        assert!((deviation - 1.0).abs().max().double_value(&[]) < 1e-4);
        let (low, high) = (out.amin([0i64].as_slice(), false), out.amax([0i64].as_slice(), false));
        assert!(low.max().double_value(&[]) < 0.0 && high.min().double_value(&[]) > 0.0);
        assert!(out.sum(Kind::Float).double_value(&[]).is_finite());
    }
}
