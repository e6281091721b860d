//! A small residual network (He et al. 2016): convolutions of 3 × 3 with batch normalisation (Ioffe and Szegedy 2015),
//! blocks of two with the input added, stages of which each has half the side of the one before, the mean over what is
//! left of the picture, a linear layer. Where a stage begins, the input is averaged over 2 × 2 and mapped to the new
//! channels (ResNet-D: He et al. 2019). The second normalisation of a block begins at zero, so that blocks begin as the
//! identity (Goyal et al. 2017).

use super::Pictures;
use super::augment::Standard;
use crate::agent::{AgentError, Saved};
use crate::net::{Builder, Params};
use crate::pretrained::{Layout, Wanted};
use tch::{Device, Kind, Tensor};

/// What the means and deviations of a normalisation are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The batch; running ones take it in.
    Train,
    /// The batch, and nothing is changed.
    Batch,
    /// The running ones of training.
    Evaluate,
}

/// How much of a batch running means and deviations take in.
const MOMENTUM: f64 = 0.1;
const EPS: f64 = 1e-5;
/// Pictures that are read at once where nothing is learned from them.
const TOGETHER: usize = 256;

/// A convolution and its normalisation.
#[derive(Clone, Copy, Debug)]
struct Layer {
    /// Places of the kernel, the gain and the offset in [`Params::leaves`].
    leaves: [usize; 3],
    inputs: i64,
    outputs: i64,
    kernel: i64,
    stride: i64,
    /// The place of its first channel among the running means and variances.
    at: i64,
}

/// Two layers, and the one that the input goes through where its shape changes.
#[derive(Clone, Copy, Debug)]
struct Block {
    first: Layer,
    second: Layer,
    aside: Option<Layer>,
    stride: i64,
}

/// The network with its weights.
#[derive(Debug)]
pub struct Resnet {
    /// All weights.
    pub params: Params,
    /// Running means and variances, `[2, channels of all layers]`.
    pub running: Tensor,
    /// The number type of convolutions where it learns; all else, and answers, are float32.
    pub kind: Kind,
    stem: Layer,
    blocks: Vec<Block>,
    head: [usize; 2],
}

struct Layers {
    builder: Builder,
    channels: i64,
}

impl Layers {
    fn layer(&mut self, name: &str, [inputs, outputs]: [usize; 2], [kernel, stride]: [i64; 2], gain: f64) -> Layer {
        let b = &mut self.builder;
        let seen = inputs * (kernel * kernel) as usize;
        // Orthogonal rows of this gain keep the size of what follows a rectifier; the normalisation does the rest.
        let weight = b.orthogonal(&format!("{name}.weight"), seen, outputs, std::f64::consts::SQRT_2);
        let gain = b.constant(&format!("{name}.gain"), &[outputs as i64], gain);
        let offset = b.constant(&format!("{name}.offset"), &[outputs as i64], 0.0);
        let at = self.channels;
        self.channels += outputs as i64;
        let leaves = [weight, gain, offset];
        Layer { leaves, inputs: inputs as i64, outputs: outputs as i64, kernel, stride, at }
    }
}

impl Resnet {
    /// Fresh weights on a device. `widths`: channels of each stage; `blocks`: blocks of each.
    pub fn new(seed: u64, channels: usize, widths: &[usize], blocks: usize, classes: usize, device: Device) -> Self {
        let mut layers = Layers { builder: Builder::new(seed), channels: 0 };
        let stem = layers.layer("stem", [channels, widths[0]], [3, 1], 1.0);
        let (mut all, mut from) = (Vec::new(), widths[0]);
        for (stage, &to) in widths.iter().enumerate() {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let name = format!("stage.{stage}.block.{block}");
                let first = layers.layer(&format!("{name}.first"), [from, to], [3, stride], 1.0);
                let second = layers.layer(&format!("{name}.second"), [to, to], [3, 1], 0.0);
                let aside =
                    (stride > 1 || from != to).then(|| layers.layer(&format!("{name}.aside"), [from, to], [1, 1], 1.0));
                all.push(Block { first, second, aside, stride });
                from = to;
            }
        }
        let Layers { mut builder, channels } = layers;
        let weight = builder.orthogonal(HEAD[0], from, classes, 0.1);
        let bias = builder.constant(HEAD[1], &[classes as i64], 0.0);
        let params = builder.finish(device);
        let running = Tensor::zeros([2, channels], (Kind::Float, device));
        let _ = running.get(1).fill_(1.0);
        Self { params, running, kind: Kind::Float, stem, blocks: all, head: [weight, bias] }
    }

    fn apply(&self, layer: &Layer, x: &Tensor, mode: Mode) -> Tensor {
        let leaf = |i: usize| &self.params.leaves[layer.leaves[i]];
        let (k, pad) = (layer.kernel, layer.kernel / 2);
        // The kernel in memory as the pictures are: channels last, which libtorch convolves fastest.
        let kernel = leaf(0).tr().contiguous().view([layer.outputs, k, k, layer.inputs]).permute([0, 3, 1, 2]);
        let kind = if mode == Mode::Evaluate { Kind::Float } else { self.kind };
        let convolved =
            |x: &Tensor, kernel: &Tensor| x.conv2d(kernel, None::<&Tensor>, [layer.stride; 2], [pad; 2], [1; 2], 1);
        let x = match kind {
            Kind::Float => convolved(x, &kernel),
            kind => convolved(&x.to_kind(kind), &kernel.to_kind(kind)).to_kind(Kind::Float),
        };
        let running = |row: i64| self.running.get(row).narrow(0, layer.at, layer.outputs);
        let (mean, variance) = (running(0), running(1));
        let (training, kept) = (mode != Mode::Evaluate, mode != Mode::Batch);
        let (gain, offset) = (Some(leaf(1)), Some(leaf(2)));
        x.batch_norm(gain, offset, kept.then_some(&mean), kept.then_some(&variance), training, MOMENTUM, EPS, false)
    }

    /// What is known of a picture before the last layer, `[rows, channels]`, of pictures `[rows, height, width, channels]`.
    pub fn features(&self, x: &Tensor, mode: Mode) -> Tensor {
        let mut x = self.apply(&self.stem, &x.permute([0, 3, 1, 2]), mode).relu();
        for block in &self.blocks {
            let h = self.apply(&block.first, &x, mode).relu();
            let h = self.apply(&block.second, &h, mode);
            let aside = block.aside.as_ref().map(|layer| {
                let s = block.stride;
                let less =
                    if s > 1 { x.avg_pool2d([s; 2], [s; 2], [0; 2], true, false, None) } else { x.shallow_clone() };
                self.apply(layer, &less, mode)
            });
            x = (h + aside.unwrap_or(x)).relu();
        }
        x.mean_dim([2i64, 3].as_slice(), false, Kind::Float)
    }

    /// Scores `[rows, classes]` of what is known of pictures.
    pub fn scores(&self, features: &Tensor) -> Tensor {
        let [weight, bias] = self.head.map(|leaf| &self.params.leaves[leaf]);
        bias.addmm(features, weight)
    }

    /// Scores `[rows, classes]` of pictures `[rows, height, width, channels]`.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        self.scores(&self.features(x, mode))
    }

    /// Scores `[rows, classes]` of these pictures, as training left the network.
    pub fn judge(&self, standard: &Standard, pictures: &Pictures, rows: &[usize]) -> Vec<f64> {
        let ([height, width, channels], n) = (pictures.size, pictures.numbers());
        let mut out = Vec::new();
        let mut numbers = Vec::new();
        for rows in rows.chunks(TOGETHER) {
            numbers.resize(rows.len() * n, 0f32);
            for (row, numbers) in rows.iter().zip(numbers.chunks_exact_mut(n)) {
                standard.plain(pictures.picture(*row), numbers);
            }
            let shape = [rows.len(), height, width, channels].map(|n| n as i64);
            let x = Tensor::from_slice(&numbers).view(shape).to_device(self.params.flat.device());
            let found = tch::no_grad(|| self.forward(&x, Mode::Evaluate));
            let mut found_numbers = vec![0f32; found.numel()];
            crate::bridge::read_f32(&found, &mut found_numbers);
            out.extend(found_numbers.into_iter().map(f64::from));
        }
        out
    }

    /// All parameters, running means and variances, as weights of another program may set them.
    pub fn wanted(&self) -> Vec<Wanted> {
        let named: Vec<(&str, Tensor)> = self.params.named().collect();
        let leaf = |at: usize, layout| Wanted { name: named[at].0.into(), layout, here: named[at].1.shallow_clone() };
        let mut all = vec![leaf(self.head[0], Layout::Transposed), leaf(self.head[1], Layout::Same)];
        for layer in self.layers() {
            let [kernel, gain, offset] = layer.leaves;
            all.extend([
                leaf(kernel, Layout::Kernel(layer.kernel)),
                leaf(gain, Layout::Same),
                leaf(offset, Layout::Same),
            ]);
            let name = named[kernel].0.trim_end_matches(".weight");
            for (row, what) in [(0, "mean"), (1, "variance")] {
                let here = self.running.get(row).narrow(0, layer.at, layer.outputs);
                all.push(Wanted { name: format!("{name}.{what}"), layout: Layout::Same, here });
            }
        }
        all
    }

    /// All convolutions with their normalisations.
    fn layers(&self) -> impl Iterator<Item = Layer> {
        let of_blocks = self.blocks.iter().flat_map(|block| [Some(block.first), Some(block.second), block.aside]);
        std::iter::once(self.stem).chain(of_blocks.flatten())
    }

    /// Places of the weights that decay: kernels and the last layer's; gains and offsets do not.
    pub fn decaying(&self) -> Vec<std::ops::Range<usize>> {
        let leaves = self.layers().map(|layer| layer.leaves[0]).chain([self.head[0]]);
        leaves.map(|leaf| self.params.place(leaf)).collect()
    }

    /// The place of the last layer's weights.
    pub fn head(&self) -> std::ops::Range<usize> {
        self.params.place(self.head[0])
    }

    /// Weights, running means and variances from a save; nothing is changed unless all of them fit.
    pub fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let running = self.params.fitting(saved, RUNNING, &self.running)?;
        self.params.load_weights(saved)?;
        tch::no_grad(|| self.running.copy_(&running));
        Ok(())
    }

    /// The same without the last layer, from a save of other classes.
    pub fn load_body(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let body = self.params.named().filter(|(name, _)| !HEAD.contains(name));
        let body = body.map(|(name, here)| Ok((here.shallow_clone(), self.params.fitting(saved, name, &here)?)));
        let body = body.collect::<Result<Vec<_>, AgentError>>()?;
        let running = self.params.fitting(saved, RUNNING, &self.running)?;
        tch::no_grad(|| {
            body.into_iter().for_each(|(mut here, there)| here.copy_(&there));
            self.running.copy_(&running);
        });
        Ok(())
    }
}

/// The names of the last layer's weights.
pub const HEAD: [&str; 2] = ["head.weight", "head.bias"];
/// The name of running means and variances in a save.
pub const RUNNING: &str = "running";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrained::{Mapping, adopt};
    use agon_core::settings::Setting;

    fn pictures() -> Tensor {
        let x: Vec<f32> = (0..4 * 7 * 5 * 3).map(|i| ((i * 37 % 101) as f32 - 50.0) / 29.0).collect();
        Tensor::from_slice(&x).view([4, 7, 5, 3])
    }

    /// Any size is read, odd ones too; what was seen of pictures in training is used afterwards, and a batch that must
    /// change nothing changes nothing.
    #[test]
    fn normalisation_keeps_to_its_mode() {
        let net = Resnet::new(1, 3, &[4, 6, 8], 1, 5, Device::Cpu);
        let (x, before) = (pictures(), net.running.copy());
        let one = net.forward(&x, Mode::Batch);
        assert_eq!((one.size(), net.running == before), (vec![4, 5], true));
        assert!(net.forward(&x, Mode::Evaluate) != one, "nothing was seen yet");
        for _ in 0..200 {
            assert_eq!(tch::no_grad(|| net.forward(&x, Mode::Train)), one);
        }
        // Running variances are the unbiased ones, so that a small batch differs a little.
        let off = (net.forward(&x, Mode::Evaluate) - one).abs().max().double_value(&[]);
        assert!(net.running != before && off < 0.05, "{off}");
    }

    /// PyTorch's network of the same layers answers the same with the same weights (tests/golden/encoder.py).
    #[test]
    fn answers_are_those_of_pytorch() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/encoder.safetensors");
        let golden = |name: &str| {
            let all = Tensor::read_safetensors(file).unwrap();
            all.into_iter().find(|(other, _)| other == name).unwrap().1
        };
        let net = Resnet::new(1, 3, &[4, 6], 1, 5, Device::Cpu);
        let mut rules = serde_json::Map::from_iter([("head.*".to_owned(), "resnet.fc.*".into())]);
        for (own, there) in [
            ("weight", "conv.weight"),
            ("gain", "bn.weight"),
            ("offset", "bn.bias"),
            ("mean", "bn.running_mean"),
            ("variance", "bn.running_var"),
        ] {
            rules.insert(format!("stem.{own}"), format!("resnet.stem.{there}").into());
            for part in ["0", "1"].iter().flat_map(|stage| ["first", "second", "aside"].map(|layer| (stage, layer))) {
                let (stage, layer) = part;
                let here = format!("stage.{stage}.block.0.{layer}.{own}");
                rules.insert(here, format!("resnet.stage.{stage}.0.{layer}.{there}").into());
            }
        }
        let rules = Mapping::from_value(&serde_json::Value::Object(rules)).unwrap();
        let taken = adopt(net.wanted(), std::path::Path::new(file), &rules).unwrap();
        assert!(taken.fresh.is_empty() && taken.taken.len() == 2 + 5 * 6, "{taken:?}");
        let off = (net.forward(&golden("resnet.x"), Mode::Evaluate) - golden("resnet.answers")).abs();
        assert!(off.max().double_value(&[]) < 1e-5, "{off:?}");
    }

    /// The gradient of every weight by differences.
    #[test]
    fn every_weight_has_its_gradient() {
        let mut net = Resnet::new(2, 3, &[4, 6], 1, 3, Device::Cpu);
        // A block that begins as the identity would hide its own weights.
        let _ = tch::no_grad(|| net.params.flat.g_add_scalar_(0.05));
        let x = pictures();
        let loss = |net: &Resnet| net.forward(&x, Mode::Batch).square().sum(Kind::Double);
        let gradient = net.params.gradient(&loss(&net));
        let mut off = 0.0f64;
        let largest = gradient.abs().max().double_value(&[]);
        for i in (0..net.params.count()).step_by(7) {
            let at = |change: f64| {
                tch::no_grad(|| {
                    let _ = net.params.flat.get(i).g_add_scalar_(change);
                    loss(&net).double_value(&[])
                })
            };
            let difference = (at(1e-2) - at(-2e-2)) / 2e-2;
            let _ = at(1e-2);
            off = off.max((difference - gradient.double_value(&[i])).abs() / largest);
        }
        assert!(off < 0.02, "{off}");
    }
}
