//! Networks over one flat parameter tensor.

use crate::agent::{AgentError, Saved};
use crate::bridge::{host_slice, host_view};
use agon_core::rng::{Rng, Stream};
use std::ops::Range;
use tch::{Device, Kind, Tensor};

agon_core::choices! {
    /// The activation after each hidden layer.
    pub enum Activation { Tanh = "tanh", Relu = "relu" }
}

impl Activation {
    fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Self::Tanh => x.tanh(),
            Self::Relu => x.relu(),
        }
    }
}

/// All parameters of an agent: one flat tensor, and named views into it.
///
/// The optimizer updates `flat`; networks compute with `leaves`, which are the same memory.
#[derive(Debug)]
pub struct Params {
    /// Every number, in order.
    pub flat: Tensor,
    /// Views of it that gradients are taken for.
    pub leaves: Vec<Tensor>,
    names: Vec<(String, Vec<i64>)>,
}

/// Builds the parameters of networks.
pub struct Builder {
    rng: Rng,
    names: Vec<(String, Vec<i64>)>,
    values: Vec<Tensor>,
}

impl Builder {
    /// Initial values come from the seed's stream of weights.
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed, Stream::Weights, 0), names: Vec::new(), values: Vec::new() }
    }

    /// A parameter filled with one value.
    pub fn constant(&mut self, name: &str, shape: &[i64], value: f64) -> usize {
        self.push(name, shape, &Tensor::full(shape, value, (Kind::Float, Device::Cpu)))
    }

    /// Sets the last `count` numbers of a parameter.
    pub fn set_last(&mut self, at: usize, count: usize, value: f64) {
        let all = self.values[at].size()[0];
        let _ = self.values[at].narrow(0, all - count as i64, count as i64).fill_(value);
    }

    /// An orthogonal matrix times `gain` (Saxe et al. 2014), `[inputs, outputs]`.
    pub fn orthogonal(&mut self, name: &str, inputs: usize, outputs: usize, gain: f64) -> usize {
        let (long, short) = (inputs.max(outputs), inputs.min(outputs));
        let normal: Vec<f32> = (0..long * short).map(|_| self.rng.normal() as f32).collect();
        let normal = Tensor::from_slice(&normal).view([long as i64, short as i64]);
        let (q, r) = Tensor::linalg_qr(&normal, "reduced");
        // The signs of R's diagonal make Q uniformly distributed.
        let q = q * r.diagonal(0, 0, 1).sign();
        let w = if inputs >= outputs { q } else { q.tr() };
        self.push(name, &[inputs as i64, outputs as i64], &(w.contiguous() * gain))
    }

    /// A matrix `[inputs, outputs]` and its biases, uniform within ±1/√inputs: what PyTorch's linear layers begin with.
    pub fn linear(&mut self, name: &str, inputs: usize, outputs: usize) -> (usize, usize) {
        let bound = 1.0 / (inputs as f64).sqrt();
        let mut uniform = |shape: &[i64]| -> Tensor {
            let n: i64 = shape.iter().product();
            Tensor::from_slice(&(0..n).map(|_| self.rng.range(-bound, bound) as f32).collect::<Vec<_>>())
        };
        let shapes = [vec![inputs as i64, outputs as i64], vec![outputs as i64]];
        let [weight, bias] = shapes.each_ref().map(|shape| uniform(shape));
        let weight = self.push(&format!("{name}.weight"), &shapes[0], &weight);
        (weight, self.push(&format!("{name}.bias"), &shapes[1], &bias))
    }

    /// A parameter whose numbers are drawn one after another.
    pub fn drawn(&mut self, name: &str, shape: &[i64], mut draw: impl FnMut(&mut Rng) -> f64) -> usize {
        let n: i64 = shape.iter().product();
        let numbers: Vec<f32> = (0..n).map(|_| draw(&mut self.rng) as f32).collect();
        self.push(name, shape, &Tensor::from_slice(&numbers))
    }

    /// A square convolution with orthogonal weights, `[outputs, inputs, size, size]`.
    pub fn convolution(&mut self, name: &str, inputs: usize, outputs: usize, size: usize, gain: f64) -> usize {
        let at = self.orthogonal(name, inputs * size * size, outputs, gain);
        let (width, side) = ((inputs * size * size) as i64, size as i64);
        // The matrix is `[inputs × size × size, outputs]`; libtorch wants outputs first.
        self.values[at] = self.values[at].view([width, outputs as i64]).tr().contiguous().view([-1]);
        self.names[at].1 = vec![outputs as i64, inputs as i64, side, side];
        at
    }

    fn push(&mut self, name: &str, shape: &[i64], value: &Tensor) -> usize {
        self.names.push((name.to_owned(), shape.to_vec()));
        self.values.push(value.view([-1]));
        self.values.len() - 1
    }

    /// Lays all parameters out on a device.
    pub fn finish(self, device: Device) -> Params {
        let flat = Tensor::cat(&self.values, 0).to_device(device);
        let mut params = Params { flat, leaves: Vec::new(), names: self.names };
        params.relink();
        params
    }
}

impl Params {
    fn relink(&mut self) {
        let mut from = 0;
        self.leaves.clear();
        for (_, shape) in &self.names {
            let n: i64 = shape.iter().product();
            self.leaves.push(self.flat.narrow(0, from, n).view(shape.as_slice()).detach().set_requires_grad(true));
            from += n;
        }
    }

    /// Where one of the leaves is in the flat tensor.
    pub fn place(&self, leaf: usize) -> Range<usize> {
        let size = |(_, shape): &(String, Vec<i64>)| shape.iter().product::<i64>() as usize;
        let start = self.names[..leaf].iter().map(size).sum();
        start..start + size(&self.names[leaf])
    }

    /// The number of parameters.
    pub fn count(&self) -> i64 {
        self.flat.size()[0]
    }

    /// `(name, tensor)` of each parameter.
    pub fn named(&self) -> impl Iterator<Item = (&str, Tensor)> {
        self.names.iter().zip(&self.leaves).map(|((name, _), leaf)| (name.as_str(), leaf.detach()))
    }

    /// Weights alone from a save; nothing is changed unless all of them fit.
    pub fn load_weights(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let weights = self.named().map(|(name, t)| self.fitting(saved, name, &t)).collect::<Result<Vec<_>, _>>()?;
        tch::no_grad(|| {
            for ((_, mut here), there) in self.named().zip(&weights) {
                here.copy_(there);
            }
        });
        Ok(())
    }

    /// A tensor of a save, if it has the shape of its place here.
    pub(crate) fn fitting(&self, saved: &Saved, name: &str, here: &Tensor) -> Result<Tensor, AgentError> {
        let there = saved.tensor(name)?;
        if there.size() == here.size() {
            return Ok(there.to_device(self.flat.device()));
        }
        let message = format!("`{name}` has shape {:?}, this agent needs {:?}", there.size(), here.size());
        Err(AgentError::Checkpoint(message))
    }

    /// A zero for every parameter: gradients, moments. `place`: 1, 2, 3 for vectors that are walked side by side with
    /// the parameters. Large vectors mostly begin at a page boundary each, and entries at the same distance from it
    /// conflict in the nearest cache: Adam alone takes three times as long if all four do.
    pub fn beside(&self, place: i64) -> Tensor {
        let ahead = 272 * place; // a quarter of a page and a line
        let long = Tensor::zeros([ahead + self.count()], (Kind::Float, self.flat.device()));
        long.narrow(0, ahead, self.count())
    }

    /// The same memory, for another thread to differentiate by.
    pub fn shared(&self) -> Self {
        let mut same = Self { flat: self.flat.shallow_clone(), leaves: Vec::new(), names: self.names.clone() };
        same.relink();
        same
    }

    /// A copy of the parameters, for a policy that outlives the next update.
    pub fn frozen(&self) -> Self {
        let mut copy = Self { flat: self.flat.copy(), leaves: Vec::new(), names: self.names.clone() };
        copy.relink();
        copy
    }

    /// Copies the parameters of `other`, of the same network.
    pub fn copy(&mut self, other: &Self) {
        // On the host without libtorch: its threads would be woken for this, and get in the way of others for a while.
        match (host_slice(&mut self.flat), host_view(&other.flat)) {
            (Some(here), Some(there)) => here.copy_from_slice(there),
            _ => tch::no_grad(|| self.flat.copy_(&other.flat)),
        }
    }

    /// The gradient of a scalar, as one flat tensor.
    pub fn gradient(&self, loss: &Tensor) -> Tensor {
        let parts = Tensor::run_backward(&[loss], &self.leaves, false, false);
        let flat: Vec<Tensor> = parts
            .iter()
            .zip(&self.leaves)
            // A parameter that the loss does not use has no gradient.
            .map(|(g, leaf)| if g.defined() { g.reshape([-1]) } else { leaf.detach().zeros_like().view([-1]) })
            .collect();
        Tensor::cat(&flat, 0)
    }
}

/// A multilayer perceptron: the places of its weights and biases in [`Params::leaves`].
#[derive(Clone, Debug)]
pub struct Mlp {
    layers: Vec<(usize, usize)>,
    activation: Activation,
    activate_last: bool,
}

impl Mlp {
    /// Layers of the given sizes. Hidden weights are orthogonal with gain √2, the last ones with `gain`; biases zero.
    /// With `activate_last` the last layer is a hidden one too: a trunk shared by heads.
    pub fn new(b: &mut Builder, name: &str, sizes: &[usize], activation: Activation, last: Last) -> Self {
        let count = sizes.len() - 1;
        let layers = (0..count).map(|i| {
            let gain = match last {
                Last::Head(gain) if i + 1 == count => gain,
                _ => std::f64::consts::SQRT_2,
            };
            let w = b.orthogonal(&format!("{name}.{i}.weight"), sizes[i], sizes[i + 1], gain);
            (w, b.constant(&format!("{name}.{i}.bias"), &[sizes[i + 1] as i64], 0.0))
        });
        Self { layers: layers.collect(), activation, activate_last: matches!(last, Last::Hidden) }
    }

    /// Its weights and biases, layer by layer: places in [`Params::leaves`].
    pub fn layers(&self) -> &[(usize, usize)] {
        &self.layers
    }

    /// What follows its hidden layers.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    pub fn forward(&self, p: &Params, x: &Tensor) -> Tensor {
        let mut h = x.shallow_clone();
        for (i, &(w, b)) in self.layers.iter().enumerate() {
            h = p.leaves[b].addmm(&h, &p.leaves[w]);
            if i + 1 < self.layers.len() || self.activate_last {
                h = self.activation.apply(&h);
            }
        }
        h
    }
}

/// What the last layer of an [`Mlp`] is.
#[derive(Clone, Copy, Debug)]
pub enum Last {
    /// Linear, with this gain.
    Head(f64),
    /// Hidden like the others.
    Hidden,
}
