//! FT-Transformer (Gorishniy, Rubachev, Khrulkov and Babenko, NeurIPS 2021): every column becomes a token, the encoder lets
//! tokens look at each other, and a token of its own (CLS) gathers what the answer is read from. The words of texts are one
//! token together, a linear map of their weights.

use super::Shape;
use super::class_weights::ClassWeights;
use super::encoder::{Encoder, Form, Gate, Norm, linear, mapped};
use super::neural::{Network, Neural, Plan, columns, constant_rest};
use super::pass::Pass;
use super::text_encoder::factors;
use crate::agent::AgentError;
use crate::data::encode::{Scaling, Slot};
use crate::net::{Builder, Params};
use crate::optim::Schedule;
use crate::precision::Precision;
use agon_core::settings::Issue;
use tch::{Kind, Tensor};

agon_core::settings! {
    /// A transformer of tables, with the defaults of its authors, but for a higher rate and smaller tokens.
    pub struct Config {
        /// Numbers of a token; 192 in the paper; a multiple of `heads`.
        width: usize = 64, in [1.0, 4096.0];
        /// Layers of attention and feed-forward network.
        layers: usize = 3, in [1.0, 64.0];
        /// Heads of attention.
        heads: usize = 8, in [1.0, 256.0];
        /// Units of the feed-forward networks; 4/3 of the width if left out.
        hidden: Option<usize> = None, in [1.0, 16384.0];
        /// Adam's learning rate; 1e-4 in the paper.
        learning_rate: f64 = 1e-3, in [0.0, 1.0];
        /// How it changes over the run.
        learning_rate_schedule: Schedule = Schedule::Constant;
        /// What weights shrink by in a step, times the learning rate.
        weight_decay: f64 = 1e-5, in [0.0, 100.0];
        /// The share of attention and of hidden units that is left out in training; 0.2 and 0.1 in the paper.
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

/// What is added to variances, as PyTorch does.
const EPSILON: f64 = 1e-5;

/// The network: places of a row's numbers and of the parameters.
pub struct FtTransformer {
    /// Places of numbers and flags, a token each: x times a weight, and a bias, `[numbers, width]`.
    numbers: (Vec<i64>, [usize; 2]),
    /// The place of each label and its embeddings, `[labels, width]`.
    labels: Vec<(i64, usize)>,
    /// Places of weights of words, and the map from them.
    words: Option<(Vec<i64>, [usize; 2])>,
    cls: usize,
    encoder: Encoder,
    head: [usize; 2],
    factors: Vec<[f64; 2]>,
}

/// A fresh learner.
///
/// # Errors
/// [`AgentError::Settings`] where heads do not divide the width.
pub fn learner(config: &Config, shape: Shape, slots: &[Slot]) -> Result<Neural<FtTransformer>, AgentError> {
    let (network, params) = build(config, shape, slots)?;
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
    Ok(Neural::new(network, params, plan, shape, slots))
}

/// A network with fresh weights.
fn build(config: &Config, shape: Shape, slots: &[Slot]) -> Result<(FtTransformer, Params), AgentError> {
    let width = config.width;
    if !width.is_multiple_of(config.heads) {
        return Err(Issue::value("heads", format!("{} do not divide the width, {width}", config.heads)).into());
    }
    let mut b = Builder::new(shape.seed);
    // As the authors begin: uniform within ±1/√width.
    let bound = 1.0 / (width as f64).sqrt();
    let mut drawn =
        |name: &str, rows: usize| b.drawn(name, &[rows as i64, width as i64], |rng| rng.range(-bound, bound));
    let places = |wanted: &dyn Fn(&Slot) -> bool| -> Vec<i64> {
        slots.iter().zip(0..).filter(|(slot, _)| wanted(slot)).map(|(_, at)| at).collect()
    };
    let at = places(&|slot| matches!(slot, Slot::Number | Slot::Flag));
    let count = at.len();
    let numbers = (at, [drawn("numbers.weight", count), drawn("numbers.bias", count)]);
    let mut labels = Vec::new();
    for (slot, at) in slots.iter().zip(0..) {
        if let Slot::Code(count) = slot {
            labels.push((at, drawn(&format!("labels.{at}"), *count)));
        }
    }
    let cls = drawn("embedding.cls", 1);
    let words = Some(places(&|slot| *slot == Slot::Word)).filter(|words| !words.is_empty());
    let words = words.map(|at| {
        let map = linear(&mut b, ["words.weight", "words.bias"], [at.len(), width]);
        (at, map)
    });
    let form = Form {
        width,
        layers: config.layers,
        heads: config.heads,
        hidden: config.hidden.unwrap_or((4 * width).div_ceil(3)),
        gate: Gate::ReGlu,
        norm: Norm::Before,
        bare_start: true,
        epsilon: EPSILON,
        drops_attention: true,
    };
    let encoder = Encoder::new(&mut b, form);
    let head = linear(&mut b, ["head.weight", "head.bias"], [width, shape.outputs()]);
    let params = b.finish(shape.device);
    let factors = factors(&params);
    let network = FtTransformer { numbers, labels, words, cls, encoder, head, factors };
    Ok((network, params))
}

impl FtTransformer {
    /// A token for each column and CLS in front, `[rows, tokens, width]`.
    fn tokens(&self, params: &Params, x: &Tensor, pass: &Pass<'_>) -> Tensor {
        let leaf = |at: usize| &params.leaves[at];
        let (rows, width) = (x.size()[0], leaf(self.cls).size()[1]);
        let mut all = vec![leaf(self.cls).unsqueeze(0).expand([rows, 1, width], false)];
        let (at, [weight, bias]) = &self.numbers;
        if !at.is_empty() {
            all.push(columns(x, at).unsqueeze(-1) * leaf(*weight) + leaf(*bias));
        }
        for (at, embeddings) in &self.labels {
            let label = x.select(1, *at).to_kind(Kind::Int64);
            all.push(leaf(*embeddings).index_select(0, &label).unsqueeze(1));
        }
        if let Some((at, map)) = &self.words {
            all.push(mapped(params, *map, &columns(x, at), pass).unsqueeze(1));
        }
        Tensor::cat(&all, 1)
    }
}

impl Network for FtTransformer {
    fn factors(&self) -> Vec<[f64; 2]> {
        self.factors.clone()
    }

    fn forward(&self, params: &Params, x: &Tensor, pass: &mut Pass<'_>) -> Tensor {
        let tokens = self.encoder.forward(params, &self.tokens(params, x, pass), None, pass);
        mapped(params, self.head, &tokens.select(1, 0).relu(), pass).unsqueeze(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrained::{Layout, Mapping, Wanted, adopt};
    use agon_core::settings::Setting;
    use serde_json::json;
    use std::path::Path;
    use tch::Device;

    /// The authors' network with the same weights answers the same (tests/golden/encoder.py).
    #[test]
    fn answers_are_those_of_its_authors() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/encoder.safetensors");
        let golden = |name: &str| {
            let all = Tensor::read_safetensors(file).unwrap();
            all.into_iter().find(|(other, _)| other == name).unwrap().1
        };
        let config = Config { width: 8, layers: 2, heads: 2, hidden: Some(11), ..Config::default() };
        let shape = Shape { inputs: 4, classes: 2, steps: 1, seed: 1, device: Device::Cpu };
        let slots = [Slot::Number, Slot::Number, Slot::Number, Slot::Code(4)];
        let (network, params) = build(&config, shape, &slots).unwrap();
        let heads = |part: &str| ["q", "k", "v"].map(|of| format!("ft.backbone.blocks.*.attention.W_{of}.{part}"));
        let rules = json!({
            "numbers.*": "ft.cont_embeddings.*",
            "labels.3": "ft.labels",
            "embedding.cls": "ft.cls",
            "layers.*.self_attn.in_proj_weight": heads("weight"),
            "layers.*.self_attn.in_proj_bias": heads("bias"),
            "layers.*.self_attn.out_proj.weight": "ft.backbone.blocks.*.attention.W_out.weight",
            "layers.*.self_attn.out_proj.bias": "ft.backbone.blocks.*.attention.W_out.bias",
            "layers.*.linear1.weight": "ft.backbone.blocks.*.ffn.linear1.weight",
            "layers.*.linear1.bias": "ft.backbone.blocks.*.ffn.linear1.bias",
            "layers.*.linear2.weight": "ft.backbone.blocks.*.ffn.linear2.weight",
            "layers.*.linear2.bias": "ft.backbone.blocks.*.ffn.linear2.bias",
            "layers.*.norm1.weight": "ft.backbone.blocks.*.attention_normalization.weight",
            "layers.*.norm1.bias": "ft.backbone.blocks.*.attention_normalization.bias",
            "layers.*.norm2.weight": "ft.backbone.blocks.*.ffn_normalization.weight",
            "layers.*.norm2.bias": "ft.backbone.blocks.*.ffn_normalization.bias",
            "norm.*": "ft.backbone.output.normalization.*",
            "head.*": "ft.backbone.output.linear.*",
        });
        let all = params.named().map(|(name, here)| Wanted { name: name.into(), layout: Layout::Same, here });
        let taken = adopt(all.collect(), Path::new(file), &Mapping::from_value(&rules).unwrap()).unwrap();
        assert!(taken.fresh.is_empty(), "{taken:?}");
        let own = network.forward(&params, &golden("ft.x"), &mut Pass::plain(Kind::Float)).squeeze_dim(0);
        let off = (own - golden("ft.answers")).abs().max().double_value(&[]);
        assert!(off < 1e-5, "{off}");
    }
}
