//! TabM (Gorishniy, Kotelnikov and Babenko, ICLR 2025): an ensemble of perceptrons in one network. All members share the
//! weights of hidden layers; each has vectors of its own that multiply what goes into a layer and what comes out of it
//! (BatchEnsemble: Wen, Tran and Ba 2020), a bias, and an output layer. Losses are averaged over members, and so are
//! probabilities.

use super::Shape;
use super::class_weights::ClassWeights;
use super::neural::{Inputs, Network, Neural, Plan, columns, constant_rest};
use super::pass::Pass;
use crate::agent::AgentError;
use crate::data::encode::{Scaling, Slot};
use crate::net::{Builder, Params};
use crate::optim::Schedule;
use crate::precision::Precision;
use agon_core::rng::Rng;
use agon_core::settings::Issue;
use tch::Tensor;

agon_core::settings! {
    /// An ensemble of perceptrons in one network.
    pub struct Config {
        /// Members.
        members: usize = 32, in [1.0, 1024.0];
        /// Units of the hidden layers; 512, three times, in the paper.
        hidden: Vec<usize> = vec![128, 128], in [1.0, 4096.0];
        /// Adam's learning rate.
        learning_rate: f64 = 2e-3, in [0.0, 1.0];
        /// How it changes over the run.
        learning_rate_schedule: Schedule = Schedule::Constant;
        /// What weights shrink by in a step, times the learning rate.
        weight_decay: f64 = 3e-4, in [0.0, 100.0];
        /// The share of hidden activations that are left out in training.
        dropout: f64 = 0.1, in [0.0, 0.95];
        /// The share of a class's target that is divided among all classes.
        label_smoothing: f64 = 0.0, in [0.0, 0.9];
        /// How much rows are mixed in training: the α of mixup; 0 mixes none, 0.2 is usual.
        mixup: f64 = 0.0, in [0.0, 10.0];
        /// Rows of a gradient step.
        minibatch: usize = 256, in [1.0, 65536.0];
        /// Epochs without a lower loss of the validation part after which it ends; 0 makes all of them.
        patience: u64 = 16, in [0.0, 1e6];
        /// How much a row counts by its class.
        class_weights: ClassWeights = ClassWeights::None;
        /// Whether each class is drawn equally often in training.
        balanced_sampling: bool = false;
        /// The number type of matrix products; bfloat16 is faster on most GPUs, and on few processors.
        precision: Precision = Precision::Float32;
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Quantile;
    }
}

/// The deviation that embeddings of labels begin with: of the uniform numbers within ±1/√8 in the authors' code.
const EMBEDDING: f64 = 0.204;

/// A hidden layer: places of its weights, of the vectors before and behind it, and of its biases.
struct Layer {
    weight: usize,
    before: usize,
    behind: usize,
    bias: usize,
}

/// The ensemble.
pub struct TabM {
    inputs: Inputs,
    layers: Vec<Layer>,
    head: [usize; 2],
}

/// A fresh learner.
///
/// # Errors
/// [`AgentError::Settings`] where there is no hidden layer.
pub fn learner(config: &Config, shape: Shape, slots: &[Slot]) -> Result<Neural<TabM>, AgentError> {
    if config.hidden.is_empty() {
        return Err(Issue::value("hidden", "needs a layer: members share it").into());
    }
    let (mut b, members) = (Builder::new(shape.seed), config.members as i64);
    let inputs = Inputs::new(&mut b, slots, EMBEDDING);
    let plain = inputs.numbers.len() + inputs.flags.len();
    let (mut layers, mut from) = (Vec::new(), plain + inputs.embedded() as usize);
    for (i, &to) in config.hidden.iter().enumerate() {
        let bound = 1.0 / (from.max(1) as f64).sqrt();
        let name = |what: &str| format!("layer.{i}.{what}");
        let (inputs, outputs) = (from as i64, to as i64);
        let weight = b.drawn(&name("weight"), &[inputs, outputs], |rng| rng.range(-bound, bound));
        // Signs at random in the first layer tell members apart; every later vector begins at one.
        let sign = |rng: &mut Rng| if i > 0 || rng.f64() < 0.5 { 1.0 } else { -1.0 };
        let before = b.drawn(&name("before"), &[members, 1, inputs], sign);
        let behind = b.constant(&name("behind"), &[members, 1, outputs], 1.0);
        // Members begin with equal biases, as in the authors' code.
        let mut first = Vec::with_capacity(to);
        let mut at = 0;
        let bias = b.drawn(&name("bias"), &[members, 1, outputs], |rng| {
            if at < to {
                first.push(rng.range(-bound, bound));
            }
            at += 1;
            first[(at - 1) % to]
        });
        layers.push(Layer { weight, before, behind, bias });
        from = to;
    }
    let bound = 1.0 / (from as f64).sqrt();
    let outputs = shape.outputs() as i64;
    let weight = b.drawn("head.weight", &[members, from as i64, outputs], |rng| rng.range(-bound, bound));
    let bias = b.drawn("head.bias", &[members, 1, outputs], |rng| rng.range(-bound, bound));
    let plan = Plan {
        learning_rate: config.learning_rate,
        weight_decay: config.weight_decay,
        dropout: config.dropout,
        label_smoothing: config.label_smoothing,
        minibatch: config.minibatch,
        patience: config.patience,
        betas: [0.9, 0.999],
        schedule: constant_rest(config.learning_rate_schedule),
        clamp: false,
        balanced_sampling: config.balanced_sampling,
        precision: config.precision,
        mixup: config.mixup,
        only_full: false,
    };
    Ok(Neural::new(TabM { inputs, layers, head: [weight, bias] }, b.finish(shape.device), plan, shape, slots))
}

impl Network for TabM {
    fn factors(&self) -> Vec<[f64; 2]> {
        // Weights decay; embeddings, vectors and biases do not.
        let layer = [[1.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]];
        let labels = vec![[1.0, 0.0]; self.inputs.leaves()];
        labels.into_iter().chain(self.layers.iter().flat_map(|_| layer)).chain([[1.0, 1.0], [1.0, 0.0]]).collect()
    }

    fn forward(&self, params: &Params, x: &Tensor, pass: &mut Pass<'_>) -> Tensor {
        let leaf = |i: usize| &params.leaves[i];
        let plain: Vec<i64> = self.inputs.numbers.iter().chain(&self.inputs.flags).copied().collect();
        let mut parts = vec![columns(x, &plain)];
        parts.extend(self.inputs.labels(params, x));
        let mut h = Tensor::cat(&parts, 1).unsqueeze(0);
        for layer in &self.layers {
            h = pass.matmul(&(h * leaf(layer.before)), leaf(layer.weight)) * leaf(layer.behind) + leaf(layer.bias);
            h = pass.dropout(h.relu());
        }
        pass.matmul(&h, leaf(self.head[0])) + leaf(self.head[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    /// A member alone is a perceptron with its vectors multiplied into the shared weights.
    #[test]
    fn members_are_perceptrons_that_share_weights() {
        let mut b = Builder::new(1);
        let mut drawn = |name: &str, shape: &[i64]| b.drawn(name, shape, Rng::normal);
        let layer = Layer {
            weight: drawn("w", &[3, 5]),
            before: drawn("r", &[4, 1, 3]),
            behind: drawn("s", &[4, 1, 5]),
            bias: drawn("b", &[4, 1, 5]),
        };
        let inputs = Inputs::new(&mut Builder::new(1), &[Slot::Number; 3], 1.0);
        let net = TabM { inputs, layers: vec![layer], head: [drawn("v", &[4, 5, 2]), drawn("c", &[4, 1, 2])] };
        let p = b.finish(Device::Cpu);
        let x = Tensor::from_slice(&[0.3f32, -1.0, 0.7, 2.0, 0.1, -0.4]).view([2, 3]);
        let all = net.forward(&p, &x, &mut Pass::plain(Kind::Float));
        assert_eq!(all.size(), [4, 2, 2]);
        for member in 0..4 {
            let of = |leaf: usize| p.leaves[leaf].get(member);
            let weight = of(1).view([3, 1]) * &p.leaves[0] * of(2);
            let own = (x.matmul(&weight) + of(3)).relu().matmul(&of(4)) + of(5);
            let off = (own - all.get(member)).abs().max().double_value(&[]);
            assert!(off < 1e-5, "{off}");
        }
        let spread = (all.get(0) - all.get(1)).abs().sum(Kind::Float).double_value(&[]);
        assert!(spread > 0.01);
    }
}
