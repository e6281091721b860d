//! Networks that judge actions: plain, dueling, distributional, noisy, in any combination.

use crate::net::{Builder, Params};
use agon_core::rng::Rng;
use tch::{Kind, Tensor};

agon_core::choices! {
    /// What is learned of an action's return.
    pub enum Kinds {
        /// Its mean.
        Mean = "mean",
        /// Probabilities of fixed returns (Bellemare et al. 2017).
        C51 = "c51",
        /// Quantiles (Dabney et al. 2018).
        Quantiles = "qr",
    }
}

/// What the network looks like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Sizes of the hidden layers.
    pub hidden: Vec<usize>,
    /// Whether value and advantage have their own last layers (Wang et al. 2016).
    pub dueling: bool,
    /// Deviation of the weights' noise at the start, times √inputs; 0 for none (Fortunato et al. 2018, factorised).
    pub noise: f64,
    /// What is learned.
    pub kind: Kinds,
    /// Fixed returns, or quantiles.
    pub atoms: usize,
    /// The least and the greatest of the fixed returns.
    pub support: [f64; 2],
}

/// A layer's places in [`Params::leaves`]: weight and bias, and the deviations of their noise.
#[derive(Clone, Copy, Debug)]
struct Layer {
    weight: usize,
    bias: usize,
    noise: Option<[usize; 2]>,
    inputs: usize,
    outputs: usize,
}

/// One draw of the noise: two vectors a noisy layer.
#[derive(Debug)]
pub struct Noise(Vec<[Tensor; 2]>);

/// The network.
#[derive(Clone, Debug)]
pub struct QNet {
    trunk: Vec<Layer>,
    advantage: Layer,
    value: Option<Layer>,
    actions: i64,
    shape: Shape,
}

impl QNet {
    /// A fresh one.
    pub fn new(b: &mut Builder, inputs: usize, actions: usize, shape: Shape) -> Self {
        let mut layer = |name: &str, inputs: usize, outputs: usize, gain: f64| {
            let weight = b.orthogonal(&format!("{name}.weight"), inputs, outputs, gain);
            let bias = b.constant(&format!("{name}.bias"), &[outputs as i64], 0.0);
            let noise = (shape.noise > 0.0).then(|| {
                let deviation = shape.noise / (inputs as f64).sqrt();
                let weight = b.constant(&format!("{name}.weight_noise"), &[inputs as i64, outputs as i64], deviation);
                [weight, b.constant(&format!("{name}.bias_noise"), &[outputs as i64], deviation)]
            });
            Layer { weight, bias, noise, inputs, outputs }
        };
        let mut last = inputs;
        let mut trunk = Vec::new();
        for (i, &width) in shape.hidden.iter().enumerate() {
            trunk.push(layer(&format!("q.{i}"), last, width, std::f64::consts::SQRT_2));
            last = width;
        }
        let atoms = if shape.kind == Kinds::Mean { 1 } else { shape.atoms };
        let gain = if shape.kind == Kinds::Mean { 1.0 } else { 0.01 };
        let advantage = layer("advantage", last, actions * atoms, gain);
        let value = shape.dueling.then(|| layer("value", last, atoms, gain));
        Self { trunk, advantage, value, actions: actions as i64, shape }
    }

    fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.trunk.iter().chain([&self.advantage]).chain(self.value.as_ref())
    }

    /// Draws noise for every layer; none where the network has none.
    pub fn noise(&self, rng: &mut Rng, params: &Params) -> Option<Noise> {
        if self.shape.noise == 0.0 {
            return None;
        }
        let mut vector = |n: usize| {
            let f = |x: f64| (x.signum() * x.abs().sqrt()) as f32;
            let drawn: Vec<f32> = (0..n).map(|_| f(rng.normal())).collect();
            Tensor::from_slice(&drawn).to_device(params.flat.device())
        };
        Some(Noise(self.layers().map(|l| [vector(l.inputs), vector(l.outputs)]).collect()))
    }

    fn apply(&self, p: &Params, at: usize, layer: &Layer, x: &Tensor, noise: Option<&Noise>) -> Tensor {
        let (weight, bias) = (&p.leaves[layer.weight], &p.leaves[layer.bias]);
        match (layer.noise, noise) {
            (Some([weight_noise, bias_noise]), Some(noise)) => {
                let [inputs, outputs] = &noise.0[at];
                // x (W + S ⊙ ε_in ε_outᵀ) without the big product: ((x ⊙ ε_in) S) ⊙ ε_out.
                let noisy = (x * inputs).matmul(&p.leaves[weight_noise]) * outputs;
                bias.addmm(x, weight) + noisy + &p.leaves[bias_noise] * outputs
            }
            _ => bias.addmm(x, weight),
        }
    }

    /// `[rows, actions, atoms]`: means, logits of the fixed returns, or quantiles.
    pub fn forward(&self, p: &Params, obs: &Tensor, noise: Option<&Noise>) -> Tensor {
        let mut x = obs.shallow_clone();
        for (i, layer) in self.trunk.iter().enumerate() {
            x = self.apply(p, i, layer, &x, noise).relu();
        }
        let at = self.trunk.len();
        let out = self.apply(p, at, &self.advantage, &x, noise).view([x.size()[0], self.actions, -1]);
        match &self.value {
            None => out,
            Some(value) => {
                let mean = out.mean_dim([1i64].as_slice(), true, Kind::Float);
                out - mean + self.apply(p, at + 1, value, &x, noise).unsqueeze(1)
            }
        }
    }

    /// The fixed returns, `[atoms]`.
    fn support(&self, like: &Tensor) -> Tensor {
        let [low, high] = self.shape.support;
        Tensor::linspace(low, high, self.shape.atoms as i64, (Kind::Float, like.device()))
    }

    /// The mean return of every action, `[rows, actions]`.
    pub fn means(&self, out: &Tensor) -> Tensor {
        match self.shape.kind {
            Kinds::Mean => out.squeeze_dim(2),
            Kinds::C51 => (out.softmax(2, None) * self.support(out)).sum_dim_intlist([2i64].as_slice(), false, None),
            Kinds::Quantiles => out.mean_dim([2i64].as_slice(), false, Kind::Float),
        }
    }

    /// What the outputs `next` `[rows, atoms]` of the best next actions make of the target: returns
    /// `reward + discount · next`, `[rows]` or `[rows, atoms]`, or probabilities of the fixed returns.
    pub fn target(&self, next: &Tensor, reward: &Tensor, discount: &Tensor) -> Tensor {
        let (reward, discount) = (reward.unsqueeze(1), discount.unsqueeze(1));
        if self.shape.kind != Kinds::C51 {
            return reward + discount * next;
        }
        // Each fixed return moves and its probability is shared by its two neighbours.
        let ([low, high], atoms) = (self.shape.support, self.shape.atoms as i64);
        let width = (high - low) / (atoms - 1) as f64;
        let moved = (reward + discount * self.support(next)).clamp(low, high);
        let place = (moved - low) / width;
        let below = place.floor().clamp(0.0, (atoms - 1) as f64);
        let above = (&below + 1.0).clamp_max((atoms - 1) as f64);
        let share = &place - &below;
        let probability = next.softmax(1, None);
        let mut target = probability.zeros_like();
        let _ = target.scatter_add_(1, &below.to_kind(Kind::Int64), &(&probability * (1.0 - &share)));
        let _ = target.scatter_add_(1, &above.to_kind(Kind::Int64), &(&probability * &share));
        target
    }

    /// The mean return that targets stand for.
    pub fn mean_of_target(&self, target: &Tensor) -> Tensor {
        let returns = match self.shape.kind {
            Kinds::C51 => (target * self.support(target)).sum_dim_intlist([1i64].as_slice(), false, None),
            _ => target.shallow_clone(),
        };
        returns.mean(Kind::Float)
    }

    /// The loss of each row and its error as priorities count it, from the outputs `[rows, atoms]` of the actions taken.
    pub fn loss(&self, taken: &Tensor, target: &Tensor) -> (Tensor, Tensor) {
        match self.shape.kind {
            Kinds::Mean => {
                let error = (taken - target).squeeze_dim(1);
                (huber(&error), error.detach())
            }
            Kinds::C51 => {
                let loss = -(target * taken.log_softmax(1, None)).sum_dim_intlist([1i64].as_slice(), false, None);
                let error = loss.detach();
                (loss, error)
            }
            Kinds::Quantiles => {
                let n = self.shape.atoms as i64;
                let error = target.unsqueeze(1) - taken.unsqueeze(2); // [rows, own quantile, target quantile]
                let middle = (Tensor::arange(n, (Kind::Float, taken.device())) + 0.5) / n as f64;
                let below = error.detach().lt(0.0).to_kind(Kind::Float);
                let weight = (middle.view([1, n, 1]) - below).abs();
                let loss = (weight * huber(&error)).mean_dim([2i64].as_slice(), false, Kind::Float).sum_dim_intlist(
                    [1i64].as_slice(),
                    false,
                    None,
                );
                let error = loss.detach();
                (loss, error)
            }
        }
    }
}

/// Half the square up to 1, linear beyond (Huber 1964).
fn huber(error: &Tensor) -> Tensor {
    let size = error.abs();
    let bounded = size.clamp_max(1.0);
    &bounded * (size - &bounded * 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn net(kind: Kinds, dueling: bool, noise: f64, atoms: usize, support: [f64; 2]) -> (QNet, Params) {
        let mut b = Builder::new(1);
        let shape = Shape { hidden: vec![8], dueling, noise, kind, atoms, support };
        let net = QNet::new(&mut b, 3, 2, shape);
        let params = b.finish(Device::Cpu);
        (net, params)
    }

    fn numbers(t: &Tensor) -> Vec<f64> {
        let t = t.contiguous().view([-1]).to_kind(Kind::Double);
        (0..t.numel()).map(|i| t.double_value(&[i as i64])).collect()
    }

    fn close(a: &[f64], b: &[f64]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} is not {b:?}");
    }

    /// Three fixed returns 0, 1, 2: the algorithm of Bellemare et al. by hand.
    #[test]
    fn distributions_are_projected_by_hand() {
        let (net, _) = net(Kinds::C51, false, 0.0, 3, [0.0, 2.0]);
        let probability = Tensor::from_slice(&[0.2f32, 0.3, 0.5]).log().view([1, 3]).repeat([3, 1]);
        let reward = Tensor::from_slice(&[0.25f32, 1.0, -5.0]);
        let discount = Tensor::from_slice(&[0.5f32, 0.0, 1.0]);
        let target = net.target(&probability, &reward, &discount);
        // 0.25, 0.75, 1.25 with 0.2, 0.3, 0.5; everything at 1; everything below 0.
        let first = [0.2 * 0.75 + 0.3 * 0.25, 0.2 * 0.25 + 0.3 * 0.75 + 0.5 * 0.75, 0.5 * 0.25];
        close(&numbers(&target), &[first[0], first[1], first[2], 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        let means = net.means(&probability.view([3, 1, 3]).repeat([1, 2, 1]));
        close(&numbers(&means)[..2], &[1.3, 1.3]);
    }

    /// Two quantiles 0 and 1 against targets 0.5 and 3: Σ_i mean_j |τ_i − 1(u < 0)| L(u).
    #[test]
    fn the_quantile_loss_is_the_papers() {
        let (net, _) = net(Kinds::Quantiles, false, 0.0, 2, [0.0, 1.0]);
        let taken = Tensor::from_slice(&[0.0f32, 1.0]).view([1, 2]);
        let target = Tensor::from_slice(&[0.5f32, 3.0]).view([1, 2]);
        let (loss, _) = net.loss(&taken, &target);
        let low = 0.5 * (0.25 * 0.125 + 0.25 * 2.5);
        let high = 0.5 * (0.25 * 0.125 + 0.75 * 1.5);
        close(&numbers(&loss), &[low + high]);
    }

    #[test]
    fn the_mean_loss_is_hubers() {
        let (net, _) = net(Kinds::Mean, false, 0.0, 1, [0.0, 1.0]);
        let column = |x: [f32; 3]| Tensor::from_slice(&x).view([3, 1]);
        let (loss, error) = net.loss(&column([1.0, 2.0, -3.0]), &column([0.5, 2.0, 1.0]));
        close(&numbers(&loss), &[0.125, 0.0, 3.5]);
        close(&numbers(&error), &[0.5, 0.0, -4.0]);
    }

    /// Advantages have mean 0: the mean over actions is the value alone.
    #[test]
    fn dueling_keeps_value_and_advantage_apart() {
        let (net, p) = net(Kinds::Mean, true, 0.0, 1, [0.0, 1.0]);
        let obs = Tensor::from_slice(&[0.3f32, -0.7, 2.0]).view([1, 3]);
        let x = net.apply(&p, 0, &net.trunk[0], &obs, None).relu();
        let value = net.apply(&p, 2, net.value.as_ref().unwrap(), &x, None);
        close(&numbers(&net.forward(&p, &obs, None).mean(Kind::Float)), &numbers(&value));
    }

    /// The weights' noise has the deviation that was asked for, is the same for all rows, and is gone without a draw.
    #[test]
    fn noise_is_factorised_and_can_be_left_out() {
        let (net, p) = net(Kinds::Mean, false, 0.5, 1, [0.0, 1.0]);
        let obs = Tensor::from_slice(&[0.3f32, -0.7, 2.0, 0.3, -0.7, 2.0]).view([2, 3]);
        let mut rng = Rng::new(0, agon_core::rng::Stream::Act, 1);
        let plain = numbers(&net.forward(&p, &obs, None));
        let one = numbers(&net.forward(&p, &obs, net.noise(&mut rng, &p).as_ref()));
        let two = numbers(&net.forward(&p, &obs, net.noise(&mut rng, &p).as_ref()));
        close(&one[..2], &one[2..]);
        assert!(one[0] != plain[0] && one[0] != two[0]);
        // A layer by hand: y = x W + b + ((x ⊙ ε_in) S) ⊙ ε_out + s ⊙ ε_out.
        let (input, output) = (Tensor::from_slice(&[2f32, 0.0, 0.0]), Tensor::ones([8], (Kind::Float, Device::Cpu)));
        let noise = Noise(vec![[input, output]]);
        let y = net.apply(&p, 0, &net.trunk[0], &obs, Some(&noise)) - net.apply(&p, 0, &net.trunk[0], &obs, None);
        let deviation = 0.5 / 3f64.sqrt();
        close(&numbers(&y)[..8], &[0.3 * 2.0 * deviation + deviation; 8]);
    }
}
