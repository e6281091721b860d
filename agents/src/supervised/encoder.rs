//! A transformer encoder (Vaswani et al. 2017): layers of attention among the tokens of a row and of a feed-forward network,
//! each added to what goes into it. Parameters have the names and shapes of PyTorch's `nn.TransformerEncoder`, so that
//! weights of others fit. [`super::text_encoder`] reads texts with it, [`super::ft_transformer`] tables.

use super::pass::Pass;
use crate::net::{Builder, Params};
use tch::{Kind, Tensor};

agon_core::choices! {
    /// Where layers are normalised: before attention and feed-forward network (Xiong et al. 2020), or after each sum, as in
    /// BERT.
    pub enum Norm { Before = "before", After = "after" }
}

/// The activation of a feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// GELU (Hendrycks and Gimpel 2016).
    Gelu,
    /// Half of the units times the rectified other half (Shazeer 2020).
    ReGlu,
}

/// What an encoder is made of.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Numbers of a token; a multiple of `heads`.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Units of the feed-forward network.
    pub hidden: usize,
    /// Their activation.
    pub gate: Gate,
    /// Where layers are normalised.
    pub norm: Norm,
    /// Whether attention of the first layer reads tokens as they are, in the form with norms before.
    pub bare_start: bool,
    /// What is added to a variance before a norm divides by its root.
    pub epsilon: f64,
    /// Whether shares of attention are left out in training, and not only hidden units.
    pub drops_attention: bool,
}

/// A weight and its bias, or the gain and the offset of a norm: places in [`Params::leaves`].
type Pair = [usize; 2];

struct Layer {
    /// Queries, keys and values, `[3 width, width]`; and what heads are joined by.
    attention: [Pair; 2],
    up: Pair,
    down: Pair,
    /// Of attention and of the feed-forward network.
    norms: [Option<Pair>; 2],
}

/// The encoder: places of its parameters.
pub struct Encoder {
    form: Form,
    layers: Vec<Layer>,
    /// After the last layer, where norms come before.
    norm: Option<Pair>,
}

/// A linear layer `[outputs, inputs]` as PyTorch has it; biases begin at zero.
pub fn linear(b: &mut Builder, [weight, bias]: [&str; 2], [inputs, outputs]: [usize; 2]) -> Pair {
    let bound = 1.0 / (inputs.max(1) as f64).sqrt();
    let weight = b.drawn(weight, &[outputs as i64, inputs as i64], |rng| rng.range(-bound, bound));
    [weight, b.constant(bias, &[outputs as i64], 0.0)]
}

/// A norm over the numbers of a token.
pub fn norm(b: &mut Builder, name: &str, width: usize) -> Pair {
    let gain = b.constant(&format!("{name}.weight"), &[width as i64], 1.0);
    [gain, b.constant(&format!("{name}.bias"), &[width as i64], 0.0)]
}

/// The linear map of `x`, `[…, inputs]`.
pub fn mapped(params: &Params, [weight, bias]: Pair, x: &Tensor, pass: &Pass<'_>) -> Tensor {
    pass.linear(x, &params.leaves[weight], &params.leaves[bias])
}

/// Tokens with mean 0 and variance 1, times gains and with offsets.
pub fn normed(params: &Params, [gain, offset]: Pair, epsilon: f64, x: &Tensor) -> Tensor {
    let [gain, offset] = [gain, offset].map(|leaf| &params.leaves[leaf]);
    x.layer_norm(gain.size(), Some(gain), Some(offset), epsilon, true)
}

impl Encoder {
    /// Fresh weights.
    pub fn new(b: &mut Builder, form: Form) -> Self {
        let width = form.width;
        let units = if form.gate == Gate::ReGlu { 2 * form.hidden } else { form.hidden };
        let mut layers = Vec::with_capacity(form.layers);
        for layer in 0..form.layers {
            let name = |part: &str| format!("layers.{layer}.{part}");
            let mut map = |part: &str, mark: &str, shape| {
                let [weight, bias] = ["weight", "bias"].map(|what| name(&format!("{part}{mark}{what}")));
                linear(b, [&weight, &bias], shape)
            };
            let attention =
                [map("self_attn.in_proj", "_", [width, 3 * width]), map("self_attn.out_proj", ".", [width, width])];
            let (up, down) = (map("linear1", ".", [width, units]), map("linear2", ".", [form.hidden, width]));
            let bare = form.bare_start && layer == 0;
            let first = (!bare).then(|| norm(b, &name("norm1"), width));
            layers.push(Layer { attention, up, down, norms: [first, Some(norm(b, &name("norm2"), width))] });
        }
        let norm = (form.norm == Norm::Before).then(|| norm(b, "norm", width));
        Self { form, layers, norm }
    }

    fn attention(
        &self,
        params: &Params,
        layer: &Layer,
        x: &Tensor,
        absent: Option<&Tensor>,
        pass: &mut Pass<'_>,
    ) -> Tensor {
        let ([rows, tokens, width], heads) = (sizes(x), self.form.heads as i64);
        let all = mapped(params, layer.attention[0], x, pass).view([rows, tokens, 3, heads, width / heads]);
        let all = all.permute([2, 0, 3, 1, 4]);
        let (queries, keys, values) = (all.get(0), all.get(1), all.get(2));
        let mut scores = pass.matmul(&queries, &keys.transpose(-2, -1)) / ((width / heads) as f64).sqrt();
        if let Some(absent) = absent {
            scores = scores.masked_fill(absent, f64::NEG_INFINITY);
        }
        let mut shares = scores.softmax(-1, Kind::Float);
        if self.form.drops_attention {
            shares = pass.dropout(shares);
        }
        let joined = pass.matmul(&shares, &values).transpose(1, 2).reshape([rows, tokens, width]);
        mapped(params, layer.attention[1], &joined, pass)
    }

    fn feed_forward(&self, params: &Params, layer: &Layer, x: &Tensor, pass: &mut Pass<'_>) -> Tensor {
        let h = mapped(params, layer.up, x, pass);
        let h = match self.form.gate {
            Gate::Gelu => h.gelu("none"),
            Gate::ReGlu => {
                let halves = h.chunk(2, -1);
                &halves[0] * halves[1].relu()
            }
        };
        mapped(params, layer.down, &pass.dropout(h), pass)
    }

    /// Tokens `[rows, tokens, width]` from tokens. `present`, `[rows, tokens]`: whether there is a token; attention does not
    /// look where there is none, and a row needs one at least.
    pub fn forward(&self, params: &Params, x: &Tensor, present: Option<&Tensor>, pass: &mut Pass<'_>) -> Tensor {
        let absent = present.map(|present| present.logical_not().unsqueeze(1).unsqueeze(1));
        let mut x = x.shallow_clone();
        let norm = |pair: Option<Pair>, x: &Tensor| match pair {
            Some(pair) => normed(params, pair, self.form.epsilon, x),
            None => x.shallow_clone(),
        };
        for layer in &self.layers {
            let [first, second] = layer.norms;
            x = match self.form.norm {
                Norm::Before => {
                    let h = &x + self.attention(params, layer, &norm(first, &x), absent.as_ref(), pass);
                    &h + self.feed_forward(params, layer, &norm(second, &h), pass)
                }
                Norm::After => {
                    let h = norm(first, &(&x + self.attention(params, layer, &x, absent.as_ref(), pass)));
                    norm(second, &(&h + self.feed_forward(params, layer, &h, pass)))
                }
            };
        }
        norm(self.norm, &x)
    }
}

fn sizes(x: &Tensor) -> [i64; 3] {
    let size = x.size();
    [size[0], size[1], size[2]]
}
