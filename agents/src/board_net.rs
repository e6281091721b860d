//! Policy and value of a position by one network: a residual tower over boards, a perceptron over anything else.

use crate::bridge::{read_f32, upload};
use crate::net::{Activation, Builder, Last, Mlp, Params};
use agon_search::Evaluate;
use tch::{Device, Kind, Tensor};

/// Channels of the policy's head before its linear layer.
const POLICY_CHANNELS: usize = 16;
/// Channels of the value's head before its linear layers.
const VALUE_CHANNELS: usize = 8;

/// Channels-last memory layout, the fastest for convolutions.
fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// A 3×3 or 1×1 convolution: the places of its weight and bias in [`Params::leaves`].
#[derive(Clone, Copy, Debug)]
struct Conv {
    weight: usize,
    bias: usize,
    padding: i64,
}

impl Conv {
    /// Orthogonal weights with this gain, biases zero.
    fn new(b: &mut Builder, name: &str, inputs: usize, outputs: usize, size: usize, gain: f64) -> Self {
        Self {
            weight: b.convolution(&format!("{name}.weight"), inputs, outputs, size, gain),
            bias: b.constant(&format!("{name}.bias"), &[outputs as i64], 0.0),
            padding: (size / 2) as i64,
        }
    }

    fn forward(self, p: &Params, x: &Tensor) -> Tensor {
        let [weight, bias] = [self.weight, self.bias].map(|leaf| p.leaves[leaf].to_kind(x.kind()));
        x.conv2d(&weight, Some(bias), 1, self.padding, 1, 1)
    }
}

/// The layers before the heads.
#[derive(Clone, Debug)]
enum Trunk {
    /// Blocks with activations before convolutions (He et al. 2016, "Identity mappings"), without normalisation: the
    /// last convolution of a block begins at 0, so that a fresh tower is the identity (Zhang et al. 2019, "Fixup").
    Tower { board: [i64; 3], stem: Conv, blocks: Vec<(Conv, Conv)>, policy: Conv, value: Conv },
    /// Hidden layers.
    Flat(Mlp),
}

/// The network.
#[derive(Clone, Debug)]
pub struct BoardNet {
    trunk: Trunk,
    policy: Mlp,
    value: Mlp,
    inputs: usize,
    actions: usize,
}

impl BoardNet {
    /// For observations of this shape, `[planes, rows, columns]` or anything flat; `width` channels (or numbers of a
    /// hidden layer) and `blocks` residual blocks (or hidden layers).
    pub fn new(b: &mut Builder, observation: &[usize], actions: usize, width: usize, blocks: usize) -> Self {
        let inputs = observation.iter().product();
        let root2 = std::f64::consts::SQRT_2;
        let (trunk, policy_in, value_in) = match *observation {
            [planes, rows, columns] => {
                let stem = Conv::new(b, "stem", planes, width, 3, root2);
                let block = |i: usize, b: &mut Builder| {
                    let one = Conv::new(b, &format!("block.{i}.0"), width, width, 3, root2);
                    (one, Conv::new(b, &format!("block.{i}.1"), width, width, 3, 0.0))
                };
                let blocks = (0..blocks).map(|i| block(i, b)).collect();
                let policy = Conv::new(b, "policy.conv", width, POLICY_CHANNELS, 1, root2);
                let value = Conv::new(b, "value.conv", width, VALUE_CHANNELS, 1, root2);
                let board = [planes as i64, rows as i64, columns as i64];
                let cells = rows * columns;
                (Trunk::Tower { board, stem, blocks, policy, value }, POLICY_CHANNELS * cells, VALUE_CHANNELS * cells)
            }
            _ => {
                let sizes = [vec![inputs], vec![width; blocks.max(1)]].concat();
                (Trunk::Flat(Mlp::new(b, "trunk", &sizes, Activation::Relu, Last::Hidden)), width, width)
            }
        };
        let policy = Mlp::new(b, "policy", &[policy_in, actions], Activation::Relu, Last::Head(0.01));
        let value = Mlp::new(b, "value", &[value_in, width.max(16), 1], Activation::Relu, Last::Head(0.01));
        Self { trunk, policy, value, inputs, actions }
    }

    /// The parameters prepared for many forward passes: those of convolutions in the tower's number type.
    fn ready(&self, mut p: Params, kind: Kind) -> Params {
        if let Trunk::Tower { stem, blocks, policy, value, .. } = &self.trunk {
            let convolutions = [stem, policy, value].into_iter().chain(blocks.iter().flat_map(|(one, two)| [one, two]));
            for conv in convolutions {
                p.leaves[conv.weight] = channels_last(&p.leaves[conv.weight].detach().to_kind(kind));
                p.leaves[conv.bias] = p.leaves[conv.bias].detach().to_kind(kind);
            }
        }
        p
    }

    /// `obs`: `[n, inputs]`; logits `[n, actions]` and values `[n]` from −1 to 1, for the player who observes. The
    /// tower computes in this number type.
    pub fn forward(&self, p: &Params, obs: &Tensor, kind: Kind) -> (Tensor, Tensor) {
        let (policy, value) = match &self.trunk {
            Trunk::Flat(trunk) => {
                let h = trunk.forward(p, obs);
                (h.shallow_clone(), h)
            }
            Trunk::Tower { board: [planes, rows, columns], stem, blocks, policy, value } => {
                let board = obs.view([-1, *planes, *rows, *columns]).to_kind(kind);
                let mut x = stem.forward(p, &channels_last(&board));
                for (one, two) in blocks {
                    let h = one.forward(p, &x.relu()).relu_();
                    x = two.forward(p, &h) + x; // not in place: the way back needs both
                }
                let x = x.relu_();
                let head = |conv: &Conv| conv.forward(p, &x).relu_().to_kind(Kind::Float).flatten(1, -1);
                (head(policy), head(value))
            }
        };
        (self.policy.forward(p, &policy), self.value.forward(p, &value).squeeze_dim(1).tanh())
    }
}

/// A frozen copy of the network, which evaluates positions for searches.
pub struct BoardEvaluator {
    params: Params,
    net: BoardNet,
    kind: Kind,
    device: Device,
    /// `[rows, inputs]`, rows as a device is given them.
    input: Vec<f32>,
    /// Whether libtorch was limited to one thread for the calling thread: there are as many callers as cores.
    alone: bool,
}

impl BoardEvaluator {
    /// A copy of everything that evaluation needs.
    pub fn new(params: &Params, net: &BoardNet, kind: Kind) -> Self {
        let (device, input) = (params.flat.device(), Vec::new());
        Self { params: net.ready(params.frozen(), kind), net: net.clone(), kind, device, input, alone: false }
    }
}

/// The batch size that a device gets for so many rows: its libraries plan anew for every size they meet.
fn whole(rows: usize) -> usize {
    if rows <= 64 { rows.next_power_of_two() } else { rows.next_multiple_of(64) }
}

impl Evaluate for BoardEvaluator {
    fn evaluate(&mut self, obs: &[f32], logits: &mut [f32], value: &mut [f32]) {
        let rows = value.len();
        if !std::mem::replace(&mut self.alone, true) {
            crate::set_threads(1);
        }
        let batch = if self.device == Device::Cpu { rows } else { whole(rows) };
        self.input.clear();
        self.input.extend_from_slice(obs);
        self.input.resize(batch * self.net.inputs, 0.0);
        tch::no_grad(|| {
            let (policy, worth) = self.net.forward(&self.params, &upload(&self.input, batch, self.device), self.kind);
            debug_assert_eq!(policy.size(), [batch as i64, self.net.actions as i64]);
            read_f32(&policy.narrow(0, 0, rows as i64), logits);
            read_f32(&worth.narrow(0, 0, rows as i64), value);
        });
    }
}

/// −Σ target log softmax(logits) over legal actions, the mean over rows. `mask`: 1 for legal actions, else 0.
pub fn cross_entropy(logits: &Tensor, target: &Tensor, mask: &Tensor) -> Tensor {
    let masked = logits + (mask - 1.0) * 1e9;
    -(masked.log_softmax(-1, Kind::Float) * target).sum_dim_intlist(-1, false, Kind::Float).mean(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::{Rng, Stream};

    #[test]
    fn devices_see_few_numbers_of_rows() {
        assert_eq!([1, 3, 64, 65, 512].map(whole), [1, 4, 64, 128, 512]);
    }

    #[test]
    fn an_evaluator_is_a_frozen_copy() {
        let mut builder = Builder::new(3);
        let net = BoardNet::new(&mut builder, &[3, 6, 7], 7, 8, 2);
        let mut params = builder.finish(Device::Cpu);
        let mut evaluator = BoardEvaluator::new(&params, &net, Kind::Float);
        let obs: Vec<f32> = (0..2 * 126).map(|i| (i % 5) as f32 * 0.3).collect();
        let (mut logits, mut value) = (vec![0.0; 14], vec![0.0; 2]);
        evaluator.evaluate(&obs, &mut logits, &mut value);
        let (policy, worth) = net.forward(&params, &Tensor::from_slice(&obs).view([2, 126]), Kind::Float);
        let (mut a, mut b) = (vec![0.0; 14], vec![0.0; 2]);
        read_f32(&policy, &mut a);
        read_f32(&worth, &mut b);
        assert_eq!((&a, &b), (&logits, &value));
        let _ = tch::no_grad(|| params.flat.g_add_scalar_(0.1));
        evaluator.evaluate(&obs, &mut a, &mut b);
        assert_eq!((a, b), (logits, value), "what learning does later does not reach it");
    }

    /// With bfloat16, evaluations and the direction of the gradient stay nearly the same.
    #[test]
    fn short_numbers_say_the_same() {
        let mut builder = Builder::new(3);
        let net = BoardNet::new(&mut builder, &[3, 6, 7], 7, 16, 2);
        let mut params = builder.finish(Device::Cpu);
        let mut rng = Rng::new(3, Stream::Shuffle, 0);
        let noise: Vec<f32> = (0..params.count()).map(|_| 0.1 * rng.normal() as f32).collect();
        let _ = tch::no_grad(|| params.flat.g_add_(&Tensor::from_slice(&noise)));
        let obs = (Tensor::arange(4 * 126, (Kind::Float, Device::Cpu)).remainder(7.0).lt(3.0)).view([4, 126]);
        let said = |kind: Kind| {
            let (policy, value) = net.forward(&params, &obs.to_kind(Kind::Float), kind);
            let all = Tensor::cat(&[policy, value.unsqueeze(1)], 1);
            assert_eq!(all.kind(), Kind::Float);
            [all.detach(), params.gradient(&all.square().sum(Kind::Float))]
        };
        for ((long, short), most) in said(Kind::Float).iter().zip(&said(Kind::BFloat16)).zip([0.03, 0.15]) {
            let off = ((long - short).norm() / long.norm()).double_value(&[]);
            assert!(off > 0.0 && off < most, "off by {off}");
        }
    }

    /// Padding of batches changes neither outputs nor gradients.
    #[test]
    fn a_cuda_device_says_the_same() {
        if !crate::cuda_is_available() {
            eprintln!("skipped: no CUDA device");
            return;
        }
        let made = |device: Device| {
            let mut builder = Builder::new(3);
            let net = BoardNet::new(&mut builder, &[3, 6, 7], 7, 32, 2);
            let mut params = builder.finish(device);
            let mut rng = Rng::new(3, Stream::Shuffle, 0);
            let noise: Vec<f32> = (0..params.count()).map(|_| 0.05 * rng.normal() as f32).collect();
            let _ = tch::no_grad(|| params.flat.g_add_(&Tensor::from_slice(&noise).to_device(device)));
            (net, params)
        };
        let said = |device: Device, kind: Kind, rows: usize| {
            let (net, params) = made(device);
            let obs: Vec<f32> = (0..rows * 126).map(|i| f32::from(i % 11 < 3 || i % 7 == 2)).collect();
            let (mut logits, mut value) = (vec![0.0; rows * 7], vec![0.0; rows]);
            BoardEvaluator::new(&params, &net, kind).evaluate(&obs, &mut logits, &mut value);
            let input = Tensor::from_slice(&obs).view([rows as i64, 126]).to_device(device);
            let (policy, worth) = net.forward(&params, &input, kind);
            let gradient = params.gradient(&(policy.square().sum(Kind::Float) + worth.sum(Kind::Float)));
            let gradient = gradient.to_device(Device::Cpu).to_kind(Kind::Float);
            [Tensor::from_slice(&logits), Tensor::from_slice(&value), gradient]
        };
        for rows in [1, 3, 100] {
            let here = said(Device::Cpu, Kind::Float, rows);
            // Devices multiply float32 in convolutions with 10 bits of it.
            for (kind, most) in [(Kind::Float, 0.01), (Kind::BFloat16, 0.05)] {
                for (a, b) in here.iter().zip(&said(Device::Cuda(0), kind, rows)) {
                    let off = ((a - b).norm() / a.norm()).double_value(&[]);
                    assert!(off < most, "{kind:?}, {rows} rows: off by {off}");
                }
            }
        }
    }

    #[test]
    fn cross_entropy_is_by_hand_and_blind_to_illegal_actions() {
        let logits = Tensor::from_slice(&[1.0f32, 2.0, 50.0]).view([1, 3]).set_requires_grad(true);
        let target = Tensor::from_slice(&[0.25f32, 0.75, 0.0]).view([1, 3]);
        let mask = Tensor::from_slice(&[1.0f32, 1.0, 0.0]).view([1, 3]);
        let loss = cross_entropy(&logits, &target, &mask);
        let z = (1f64.exp() + 2f64.exp()).ln();
        assert!((loss.double_value(&[]) - (0.25 * (z - 1.0) + 0.75 * (z - 2.0))).abs() < 1e-5);
        loss.backward();
        assert_eq!(logits.grad().double_value(&[0, 2]), 0.0);
    }
}
