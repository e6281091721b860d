//! Texts read by a transformer encoder: byte-pair tokens with a place each, attention among them, the mean over the tokens
//! of a row. What is known of the texts then goes through a hidden layer together with the other columns.

use super::Shape;
use super::class_weights::ClassWeights;
use super::encoder::{Encoder, Form, Gate, Norm, linear, mapped, norm, normed};
use super::neural::{Inputs, Network, Neural, Plan, columns};
use super::pass::Pass;
use crate::agent::AgentError;
use crate::data::encode::{Scaling, Slot};
use crate::data::tokens;
use crate::net::{Builder, Params};
use crate::precision::Precision;
use crate::pretrained::{Layout, Mapping, Wanted};
use agon_core::settings::Issue;
use std::path::PathBuf;
use tch::{Kind, Tensor};

agon_core::choices! {
    /// What stands for a whole text: the mean over its tokens, or its first token, as in BERT.
    pub enum Pooling { Mean = "mean", First = "first" }
}

agon_core::settings! {
    /// A transformer encoder of texts.
    pub struct Config {
        /// Numbers of a token; a multiple of `heads`.
        width: usize = 64, in [1.0, 4096.0];
        /// Layers of attention and feed-forward network.
        layers: usize = 2, in [1.0, 64.0];
        /// Heads of attention.
        heads: usize = 4, in [1.0, 256.0];
        /// Units of the feed-forward networks.
        hidden: usize = 256, in [1.0, 16384.0];
        /// Where layers are normalised; `after` is BERT's way.
        norm: Norm = Norm::Before;
        /// What stands for a whole text.
        pooling: Pooling = Pooling::Mean;
        /// Different tokens at most, the 256 of single bytes among them.
        vocabulary: usize = 4000, in [256.0, 200000.0];
        /// Tokens of a text that are read, of each column.
        tokens: usize = 128, in [1.0, 4096.0];
        /// Whether capital letters are read as small ones.
        lowercase: bool = true;
        /// A `tokenizer.json` of Hugging Face, beside the scenario, whose tokens are taken; they are learned if left out.
        tokenizer: String = String::new();
        /// A file of weights (safetensors), beside the scenario, that the encoder begins with.
        weights: String = String::new();
        /// Where the numbers of each parameter are in that file.
        mapping: Mapping = Mapping::default();
        /// Whether the encoder stays as it is, and only the layers behind it learn.
        freeze: bool = false;
        /// What the encoder's learning rate is multiplied by, beside that of the layers behind it.
        encoder_rate: f64 = 1.0, in [0.0, 1.0];
        /// What is added to a variance before a norm divides by its root; 1e-12 in BERT.
        epsilon: f64 = 1e-5, in [0.0, 1.0];
        /// Adam's learning rate at its highest: it rises in the first tenth of the run and falls to nothing.
        learning_rate: f64 = 1e-3, in [0.0, 1.0];
        /// What weights shrink by in a step, times the learning rate.
        weight_decay: f64 = 1e-2, in [0.0, 100.0];
        /// The share of hidden activations that are left out in training.
        dropout: f64 = 0.1, in [0.0, 0.95];
        /// The share of a class's target that is divided among all classes.
        label_smoothing: f64 = 0.0, in [0.0, 0.9];
        /// Rows of a gradient step.
        minibatch: usize = 32, in [1.0, 65536.0];
        /// Epochs without a lower loss of the validation part after which it ends; 0 makes all of them.
        patience: u64 = 3, in [0.0, 1e6];
        /// How much a row counts by its class.
        class_weights: ClassWeights = ClassWeights::None;
        /// Whether each class is drawn equally often in training.
        balanced_sampling: bool = false;
        /// The number type of matrix products; bfloat16 is faster on most GPUs, and on few processors.
        precision: Precision = Precision::Float32;
        /// How numbers of other columns are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

/// The deviation that embeddings begin with, as in BERT.
const EMBEDDING: f64 = 0.02;
/// Rows that are read at once where nothing is learned from them: attention needs much memory.
const TOGETHER: usize = 32;

/// The network: places of its parameters.
pub struct TextEncoder {
    inputs: Inputs,
    pooling: Pooling,
    /// Of tokens `[vocabulary, width]`, and of their places `[tokens, width]`.
    embeddings: [usize; 2],
    /// Of embeddings, where norms come after, and what is added to every one of them there.
    norm: Option<([usize; 2], usize)>,
    epsilon: f64,
    freeze: bool,
    encoder: Encoder,
    hidden: [usize; 2],
    head: [usize; 2],
    factors: Vec<[f64; 2]>,
}

/// The rate rises in a tenth of the run, and falls in a line.
fn schedule(t: f64) -> [f64; 2] {
    [if t < 0.1 { 0.01 + 9.9 * t } else { (1.0 - t) / 0.9 }, 1.0]
}

/// How texts become tokens.
pub fn form(config: &Config) -> tokens::Form {
    tokens::Form {
        file: Some(PathBuf::from(&config.tokenizer)).filter(|_| !config.tokenizer.is_empty()),
        vocabulary: config.vocabulary,
        length: config.tokens,
        lowercase: config.lowercase,
    }
}

/// A fresh learner.
///
/// # Errors
/// [`AgentError::Settings`] where no input is a text, or heads do not divide the width.
pub fn learner(config: &Config, shape: Shape, slots: &[Slot]) -> Result<Neural<TextEncoder>, AgentError> {
    let (network, params) = build(config, shape, slots)?;
    let plan = Plan {
        learning_rate: config.learning_rate,
        weight_decay: config.weight_decay,
        dropout: config.dropout,
        label_smoothing: config.label_smoothing,
        minibatch: config.minibatch,
        patience: config.patience,
        betas: [0.9, 0.999],
        schedule,
        clamp: false,
        balanced_sampling: config.balanced_sampling,
        precision: config.precision,
        mixup: 0.0,
        only_full: false,
    };
    Ok(Neural::new(network, params, plan, shape, slots))
}

/// A network with fresh weights.
fn build(config: &Config, shape: Shape, slots: &[Slot]) -> Result<(TextEncoder, Params), AgentError> {
    if !config.width.is_multiple_of(config.heads) {
        return Err(Issue::value("heads", format!("{} do not divide the width, {}", config.heads, config.width)).into());
    }
    let vocabulary = slots.iter().find_map(|slot| if let Slot::Token(n) = slot { Some(*n) } else { None });
    let Some(vocabulary) = vocabulary else {
        return Err(Issue::value("kind", "text-encoder reads texts, and no input is one: use another model").into());
    };
    let mut b = Builder::new(shape.seed);
    let inputs = Inputs::new(&mut b, slots, EMBEDDING);
    let width = config.width;
    let mut embedded =
        |name: &str, rows: usize| b.drawn(name, &[rows as i64, width as i64], |rng| EMBEDDING * rng.normal());
    let embeddings = [embedded("embedding.weight", vocabulary), embedded("position.weight", inputs.tokens.len())];
    let first = (config.norm == Norm::After).then(|| {
        let segment = b.constant("embedding.segment", &[1, width as i64], 0.0);
        (norm(&mut b, "embedding.norm", width), segment)
    });
    let form = Form {
        width,
        layers: config.layers,
        heads: config.heads,
        hidden: config.hidden,
        gate: Gate::Gelu,
        norm: config.norm,
        bare_start: false,
        epsilon: config.epsilon,
        drops_attention: false,
    };
    let encoder = Encoder::new(&mut b, form);
    let others = inputs.numbers.len() + inputs.flags.len() + inputs.embedded() as usize;
    let hidden = linear(&mut b, ["hidden.weight", "hidden.bias"], [width + others, width]);
    let head = linear(&mut b, ["head.weight", "head.bias"], [width, shape.outputs()]);
    let params = b.finish(shape.device);
    let rate = if config.freeze { 0.0 } else { config.encoder_rate };
    let mut factors = factors(&params);
    let names = params.named().map(|(name, _)| is_of_encoder(name));
    names.zip(&mut factors).filter(|(encodes, _)| *encodes).for_each(|(_, factors)| factors[0] *= rate);
    let (epsilon, freeze, pooling) = (config.epsilon, config.freeze, config.pooling);
    let network =
        TextEncoder { inputs, pooling, embeddings, norm: first, epsilon, freeze, encoder, hidden, head, factors };
    Ok((network, params))
}

/// Factors of rate and decay by name: matrices of layers decay; embeddings, norms and biases do not.
pub fn factors(params: &Params) -> Vec<[f64; 2]> {
    let decays = |name: &str, t: &Tensor| {
        t.dim() > 1 && !["embedding", "position", "labels", "numbers"].iter().any(|of| name.starts_with(of))
    };
    params.named().map(|(name, t)| [1.0, if decays(name, &t) { 1.0 } else { 0.0 }]).collect()
}

/// Whether a parameter is one of those that read texts.
fn is_of_encoder(name: &str) -> bool {
    ["embedding.", "position.", "layers.", "norm."].iter().any(|of| name.starts_with(of))
}

impl TextEncoder {
    /// What is known of the texts of rows, `[rows, width]`; zeros where a row has none. `ids`, `[rows, tokens]`: tokens from 1
    /// on, and 0 where there is none.
    pub fn features(&self, params: &Params, ids: &Tensor, pass: &mut Pass<'_>) -> Tensor {
        let places = ids.size()[1];
        let present = ids.gt(0);
        // Attention needs something to look at.
        let is_first = Tensor::arange(places, (Kind::Int64, ids.device())).eq(0);
        let looked = present.logical_or(&present.any_dim(1, true).logical_not().logical_and(&is_first));
        let [token, place] = self.embeddings.map(|leaf| &params.leaves[leaf]);
        let known = (ids - 1).clamp_min(0);
        let mut h = Tensor::embedding(token, &known, -1, false, false) + place.narrow(0, 0, places);
        if let Some((pair, segment)) = self.norm {
            h = normed(params, pair, self.epsilon, &(h + &params.leaves[segment]));
        }
        let h = self.encoder.forward(params, &pass.dropout(h), Some(&looked), pass);
        let kept = present.to_kind(Kind::Float).unsqueeze(-1);
        match self.pooling {
            Pooling::First => h.select(1, 0) * kept.select(1, 0),
            Pooling::Mean => {
                let sum = |t: &Tensor| t.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
                sum(&(h * &kept)) / sum(&kept).clamp_min(1.0)
            }
        }
    }
}

impl Network for TextEncoder {
    fn factors(&self) -> Vec<[f64; 2]> {
        self.factors.clone()
    }

    fn wanted(&self, params: &Params) -> Vec<Wanted> {
        let all = params.named().filter(|(name, _)| is_of_encoder(name));
        let layout = |name: &str| match name {
            "position.weight" | "embedding.segment" => Layout::Rows,
            _ => Layout::Same,
        };
        all.map(|(name, here)| Wanted { name: name.into(), layout: layout(name), here }).collect()
    }

    fn together(&self) -> usize {
        TOGETHER
    }

    fn forward(&self, params: &Params, x: &Tensor, pass: &mut Pass<'_>) -> Tensor {
        let ids = columns(x, &self.inputs.tokens).to_kind(Kind::Int64);
        let plain: Vec<i64> = self.inputs.numbers.iter().chain(&self.inputs.flags).copied().collect();
        let features = if self.freeze {
            tch::no_grad(|| self.features(params, &ids, &mut pass.without_dropout()))
        } else {
            self.features(params, &ids, pass)
        };
        let mut parts = vec![features, columns(x, &plain)];
        parts.extend(self.inputs.labels(params, x));
        let h = pass.dropout(mapped(params, self.hidden, &Tensor::cat(&parts, 1), pass).gelu("none"));
        mapped(params, self.head, &h, pass).unsqueeze(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrained::adopt;
    use agon_core::settings::Setting;
    use serde_json::json;
    use std::path::Path;
    use tch::Device;

    const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/encoder.safetensors");

    fn golden(name: &str) -> Tensor {
        let all = Tensor::read_safetensors(GOLDEN).unwrap();
        all.into_iter().find(|(other, _)| other == name).unwrap().1
    }

    /// A network with weights of the golden file, as a mapping finds them.
    fn network(part: &str, config: &Config) -> (TextEncoder, Params) {
        let shape = Shape { inputs: 8, classes: 2, steps: 1, seed: 1, device: Device::Cpu };
        let (network, params) = build(config, shape, &[Slot::Token(10); 8]).unwrap();
        let rules = json!({
            "*": format!("{part}.body.*"),
            "embedding.weight": format!("{part}.token.weight"),
            "position.weight": format!("{part}.place.weight"),
            "embedding.norm.*": format!("{part}.norm.*"),
            "embedding.segment": "",
        });
        let taken = adopt(network.wanted(&params), Path::new(GOLDEN), &Mapping::from_value(&rules).unwrap()).unwrap();
        assert!(taken.fresh.iter().all(|name| name == "embedding.segment"), "{taken:?}");
        (network, params)
    }

    fn small(norm: Norm, pooling: Pooling) -> Config {
        Config { width: 8, layers: 2, heads: 2, hidden: 16, norm, pooling, ..Config::default() }
    }

    fn off(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    /// PyTorch's encoder with the same weights knows the same of the same tokens.
    #[test]
    fn features_are_those_of_pytorch() {
        for (part, norm, pooling) in [("before", Norm::Before, Pooling::Mean), ("after", Norm::After, Pooling::First)] {
            let (network, params) = network(part, &small(norm, pooling));
            let own = network.features(&params, &golden("ids"), &mut Pass::plain(Kind::Float));
            let far = off(&own, &golden(&format!("{part}.features")));
            assert!(far < 1e-5, "{part}: {far}");
        }
    }

    /// More places without a token change nothing; places of tokens do; and a row without a text is known to have none.
    #[test]
    fn padding_changes_nothing() {
        let (network, params) = network("before", &small(Norm::Before, Pooling::Mean));
        let known = |ids: &[i64]| {
            network.features(&params, &Tensor::from_slice(ids).unsqueeze(0), &mut Pass::plain(Kind::Float))
        };
        let (short, long) = (known(&[5, 3, 8]), known(&[5, 3, 8, 0, 0, 0, 0]));
        assert!(off(&short, &long) < 1e-6 && off(&short, &known(&[3, 5, 8])) > 0.01);
        let none = known(&[0, 0, 0, 0]);
        assert_eq!(none.abs().max().double_value(&[]), 0.0);
        // The other rows of a batch are as they were.
        let both = Tensor::from_slice(&[5i64, 3, 8, 0, 9, 1, 2, 7, 0, 0, 0, 0]).view([3, 4]);
        assert!(off(&network.features(&params, &both, &mut Pass::plain(Kind::Float)).narrow(0, 0, 1), &short) < 1e-6);
    }
}
