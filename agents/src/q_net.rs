//! Networks that value actions, plain, dueling, distributional, noisy, in any combination, and their passes: by hand on
//! the host ([`crate::dense`]), by tensors on a device. [`crate::q_loss`] defines what a row of outputs means.

use crate::bridge::{host_view, read_f32};
use crate::dense::{BLOCK, Dense, Seen, Tape};
use crate::input::{self, Input, Reading};
use crate::net::{Activation, Builder, Params};
use crate::optim::add;
use crate::q_loss::{Kinds, Outputs};
use agon_core::rng::Rng;
use tch::{Device, Kind, Tensor};

/// The network's layers.
#[derive(Clone, Debug)]
pub struct Shape {
    /// How observations are read.
    pub reading: Reading,
    /// Sizes of the hidden layers.
    pub hidden: Vec<usize>,
    /// Deviation of the weights' noise at the start, times √inputs; 0 for none (Fortunato et al. 2018, factorised).
    pub noise: f64,
    /// The outputs.
    pub outputs: Outputs,
}

/// A parameter: which of [`Params::leaves`], and where it begins in the flat ones.
#[derive(Clone, Copy, Debug)]
struct Spot {
    leaf: usize,
    place: usize,
}

/// A layer's weight and bias, and the deviations of their noise.
#[derive(Clone, Copy, Debug)]
struct Layer {
    inputs: usize,
    outputs: usize,
    mean: [Spot; 2],
    deviation: Option<[Spot; 2]>,
}

impl Layer {
    /// Where its weight and bias are, and those of its noise.
    fn spots(&self) -> impl Iterator<Item = [Spot; 2]> {
        std::iter::once(self.mean).chain(self.deviation)
    }
}

/// One draw of the noise: a vector for the inputs and one for the outputs of every layer.
#[derive(Clone, Debug)]
pub struct Noise(Vec<[Vec<f32>; 2]>);

/// The network.
#[derive(Clone, Debug)]
pub struct QNet {
    input: Input,
    layers: Vec<Layer>,
    hidden: usize,
    dense: Dense,
    noise: f64,
    outputs: Outputs,
}

/// Buffers for the passes on the host.
#[derive(Debug, Default)]
pub struct Work {
    input: input::Work,
    tape: Tape,
    /// The gradient at the features made of observations, and that of the parameters that made them, if any.
    below: Vec<f32>,
    front: Vec<f32>,
    /// Rows of outputs, where only their means are asked for.
    out: Vec<f32>,
    /// Weights with their noise.
    noisy: Vec<f32>,
}

impl Work {
    /// The batch of both passes, `obs`: `[rows, obs_len]`, `at_outputs`: `[rows, width]`.
    pub fn seen<'a>(&'a self, obs: &'a [f32], at_outputs: &'a [f32]) -> Seen<'a> {
        Seen { x: self.input.features(obs), at_outputs, tape: &self.tape, front: &self.front }
    }
}

/// A network with its parameters, on the host or a device.
pub trait Passes {
    /// Rows of outputs `[rows, width]` for observations `[rows, obs_len]`.
    fn forward(&mut self, obs: &[f32], noise: Option<&Noise>, out: &mut [f32]);

    /// Differentiates `Σ at_outputs · out` of the last forward pass, which had the same noise.
    fn backward(&mut self, noise: Option<&Noise>, at_outputs: &[f32]);
}

impl QNet {
    /// A fresh one, with its parameters.
    pub fn new(seed: u64, shape: &Shape, device: Device) -> (Self, Params) {
        let (mut b, outputs) = (Builder::new(seed), shape.outputs);
        let input = Input::new(&mut b, &shape.reading);
        let mut layer = |name: &str, inputs: usize, outputs: usize, gain: f64| {
            let shapes = [vec![inputs as i64, outputs as i64], vec![outputs as i64]];
            let weight = b.orthogonal(&format!("{name}.weight"), inputs, outputs, gain);
            let mean = [weight, b.constant(&format!("{name}.bias"), &shapes[1], 0.0)];
            let deviation = (shape.noise > 0.0).then(|| {
                let size = shape.noise / (inputs as f64).sqrt();
                let weight = b.constant(&format!("{name}.weight_noise"), &shapes[0], size);
                [weight, b.constant(&format!("{name}.bias_noise"), &shapes[1], size)]
            });
            (inputs, outputs, mean, deviation)
        };
        let mut last = shape.reading.features();
        let mut layers = Vec::new();
        for (i, &width) in shape.hidden.iter().enumerate() {
            layers.push(layer(&format!("q.{i}"), last, width, std::f64::consts::SQRT_2));
            last = width;
        }
        let gain = if outputs.kind == Kinds::Mean { 1.0 } else { 0.01 };
        layers.push(layer("advantage", last, outputs.actions * outputs.atoms, gain));
        if outputs.dueling {
            layers.push(layer("value", last, outputs.atoms, gain));
        }
        let params = b.finish(device);
        let pairs: Vec<_> = layers.iter().map(|(_, _, [weight, bias], _)| (*weight, *bias)).collect();
        let (hidden, heads) = pairs.split_at(shape.hidden.len());
        let dense = Dense::new(&params, hidden, heads, Activation::Relu);
        let spot = |leaf: usize| Spot { leaf, place: params.place(leaf).start };
        let layers = layers.into_iter().map(|(inputs, outputs, mean, deviation)| {
            let deviation = deviation.map(|leaves: [usize; 2]| leaves.map(spot));
            Layer { inputs, outputs, mean: mean.map(spot), deviation }
        });
        (Self { input, layers: layers.collect(), hidden: hidden.len(), dense, noise: shape.noise, outputs }, params)
    }

    /// How rows of outputs are read.
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// Draws noise for every layer; none where the network has none.
    pub fn noise(&self, rng: &mut Rng) -> Option<Noise> {
        if self.noise == 0.0 {
            return None;
        }
        let mut vector = |n: usize| -> Vec<f32> {
            let f = |x: f64| (x.signum() * x.abs().sqrt()) as f32;
            (0..n).map(|_| f(rng.normal())).collect()
        };
        Some(Noise(self.layers.iter().map(|l| [vector(l.inputs), vector(l.outputs)]).collect()))
    }

    /// Parameters with their noise: weights `W + S ⊙ ε_in ε_outᵀ`, biases `b + s ⊙ ε_out`.
    fn with_noise(&self, flat: &[f32], noise: &Noise, noisy: &mut Vec<f32>) {
        noisy.clear();
        noisy.extend_from_slice(flat);
        for (layer, [inputs, outputs]) in self.layers.iter().zip(&noise.0) {
            let ([weight, bias], Some([weight_noise, bias_noise])) = (layer.mean, layer.deviation) else { continue };
            let mut add = |to: usize, deviation: usize, input: f32| {
                let deviation = &flat[deviation..deviation + outputs.len()];
                let to = noisy[to..].iter_mut().zip(deviation).zip(outputs);
                to.for_each(|((to, deviation), output)| *to += deviation * (input * output));
            };
            for (i, input) in inputs.iter().enumerate() {
                let from = i * outputs.len();
                add(weight.place + from, weight_noise.place + from, *input);
            }
            add(bias.place, bias_noise.place, 1.0);
        }
    }

    /// Units of every hidden layer.
    pub fn units(&self) -> Vec<usize> {
        self.layers[..self.hidden].iter().map(|l| l.outputs).collect()
    }

    /// Where chunks of about `size` parameters end, each of whole rows of weights and about the same work: 1, 2, 4 or
    /// another power of two, for as many threads. `active`: active units of every hidden layer.
    pub fn chunk_ends(&self, size: usize, active: &[usize]) -> Vec<usize> {
        // How much longer a weight between active units takes than another, which has no gradient and soon no moment:
        // with this, both threads finish together at CartPole. Products use registers of 16 numbers, filled or not.
        const ACTIVE_COST: usize = 8;
        let front = self.input.reading().parameters();
        let (mut rows, mut fed) = (Vec::new(), self.layers[0].inputs);
        rows.extend((front > 0).then_some((front, front)));
        for (at, layer) in self.layers.iter().enumerate() {
            let told = *active.get(at).unwrap_or(&layer.outputs);
            let (without, with) = (layer.outputs, layer.outputs + ACTIVE_COST * told.next_multiple_of(16));
            let cost = |row| if row < fed || row == layer.inputs { with } else { without };
            for _ in layer.spots() {
                rows.extend((0..=layer.inputs).map(|row| (layer.outputs, cost(row))));
            }
            if at < self.hidden {
                fed = told;
            }
        }
        let (all, total) = rows.iter().fold((0, 0), |(all, total), (numbers, cost)| (all + numbers, total + cost));
        let chunks = ((all + size / 2) / size).max(1).next_power_of_two();
        let (mut ends, mut last, mut done) = (Vec::new(), 0, 0);
        let share = |done: usize| done * chunks / total;
        for (numbers, cost) in rows {
            last += numbers;
            if share(done + cost) > share(done) {
                ends.push(last);
            }
            done += cost;
        }
        ends
    }

    /// The gradient of one chunk of [`QNet::chunk_ends`], over all rows that both passes have seen with this noise.
    pub fn gradient(&self, from: usize, seen: &[Seen<'_>], noise: Option<&Noise>, gradient: &mut [f32]) {
        let to = from + gradient.len();
        gradient.fill(0.0);
        let front = to.min(self.input.reading().parameters());
        if from < front {
            seen.iter().for_each(|seen| add(&mut gradient[..front - from], &seen.front[from..front]));
        }
        for (at, layer) in self.layers.iter().enumerate() {
            let mut chunk = |[weight, bias]: [Spot; 2], noise: Option<&[Vec<f32>; 2]>| {
                let end = weight.place + layer.inputs * layer.outputs;
                let [first, last] = [from, to].map(|at| at.clamp(weight.place, end));
                if first < last {
                    let row = (first - weight.place) / layer.outputs;
                    let weights = &mut gradient[first - from..last - from];
                    self.dense.weights(at, row, seen, weights);
                    if let Some([inputs, outputs]) = noise {
                        for (weights, input) in weights.chunks_exact_mut(layer.outputs).zip(&inputs[row..]) {
                            weights.iter_mut().zip(outputs).for_each(|(w, output)| *w *= input * output);
                        }
                    }
                }
                if (from..to).contains(&bias.place) {
                    let biases = &mut gradient[bias.place - from..][..layer.outputs];
                    self.dense.biases(at, seen, biases);
                    if let Some([_, outputs]) = noise {
                        biases.iter_mut().zip(outputs).for_each(|(b, output)| *b *= output);
                    }
                }
            };
            chunk(layer.mean, None);
            if let (Some(deviation), Some(noise)) = (layer.deviation, noise) {
                chunk(deviation, Some(&noise.0[at]));
            }
        }
    }

    /// Reorders hidden layers, in every vector shaped like the parameters, so that units inactive in the last forward
    /// passes come last, where products do not reach them. The network remains the same function. Returns how many
    /// units of every layer are active.
    pub fn inactive_last(&self, parts: &[&Work], vectors: &mut [&mut [f32]]) -> Vec<usize> {
        let (mut row, mut active) = (Vec::new(), Vec::new());
        for at in 0..self.hidden {
            let layer = &self.layers[at];
            let mut inactive = vec![true; layer.outputs];
            for part in parts {
                inactive
                    .iter_mut()
                    .zip(part.tape.inactive(at, layer.outputs))
                    .for_each(|(all, inactive)| *all &= inactive);
            }
            active.push(inactive.iter().filter(|inactive| !**inactive).count());
            // A stable order: units that were active lately stay before those that never were.
            let mut order: Vec<usize> = (0..layer.outputs).collect();
            order.sort_by_key(|unit| inactive[*unit]);
            if order.is_sorted() {
                continue;
            }
            let mut reorder = |numbers: &mut [f32], size: usize| {
                row.clear();
                row.extend_from_slice(numbers);
                for (to, from) in numbers.chunks_exact_mut(size).zip(&order) {
                    to.copy_from_slice(&row[from * size..(from + 1) * size]);
                }
            };
            let above = if at + 1 < self.hidden { at + 1..at + 2 } else { self.hidden..self.layers.len() };
            for numbers in vectors.iter_mut() {
                for [weight, bias] in layer.spots() {
                    let weights = &mut numbers[weight.place..weight.place + layer.inputs * layer.outputs];
                    weights.chunks_exact_mut(layer.outputs).for_each(|weights| reorder(weights, 1));
                    reorder(&mut numbers[bias.place..bias.place + layer.outputs], 1);
                }
                for above in &self.layers[above.clone()] {
                    for [weight, _] in above.spots() {
                        let weights = &mut numbers[weight.place..weight.place + above.inputs * above.outputs];
                        reorder(weights, above.outputs);
                    }
                }
            }
        }
        active
    }

    /// Rows of outputs `[rows, width]` by tensor operations, on any device.
    fn tensors(&self, p: &Params, obs: &Tensor, noise: Option<&Noise>) -> Tensor {
        let device = p.flat.device();
        let apply = |at: usize, x: &Tensor| {
            let layer = &self.layers[at];
            let [weight, bias] = layer.mean.map(|spot| &p.leaves[spot.leaf]);
            match (layer.deviation, noise) {
                (Some(deviation), Some(noise)) => {
                    let [weight_noise, bias_noise] = deviation.map(|spot| &p.leaves[spot.leaf]);
                    let [inputs, outputs] = noise.0[at].each_ref().map(|v| Tensor::from_slice(v).to_device(device));
                    let weight = weight + weight_noise * inputs.outer(&outputs);
                    (bias + bias_noise * outputs).addmm(x, &weight)
                }
                _ => bias.addmm(x, weight),
            }
        };
        let mut x = self.input.tensor(p, obs);
        for at in 0..self.hidden {
            x = apply(at, &x).relu();
        }
        let heads: Vec<Tensor> = (self.hidden..self.layers.len()).map(|at| apply(at, &x)).collect();
        Tensor::cat(&heads, 1)
    }

    /// The mean return of every action `[rows, actions]` for observations `[rows, obs_len]`.
    pub fn means(&self, params: &Params, obs: &[f32], noise: Option<&Noise>, work: &mut Work, means: &mut [f32]) {
        let o = &self.outputs;
        let (width, mut out) = (self.input.reading().obs_len(), std::mem::take(&mut work.out));
        out.resize(o.width() * (means.len() / o.actions), 0.0);
        match host_view(&params.flat) {
            Some(flat) => {
                let mut passes = OnHost { net: self, flat, work: &mut *work };
                for (obs, out) in obs.chunks(BLOCK * width).zip(out.chunks_mut(BLOCK * o.width())) {
                    passes.forward(obs, noise, out);
                }
            }
            None => tch::no_grad(|| {
                OnDevice { net: self, params, last: None, gradient: None }.forward(obs, noise, &mut out);
            }),
        }
        for (row, means) in out.chunks_exact_mut(o.width()).zip(means.chunks_exact_mut(o.actions)) {
            o.join(row);
            means.iter_mut().enumerate().for_each(|(action, mean)| *mean = o.mean(o.of(row, action)));
        }
        work.out = out;
    }
}

/// Hand-written passes on the host.
pub struct OnHost<'a> {
    /// The network.
    pub net: &'a QNet,
    /// Its flat parameters.
    pub flat: &'a [f32],
    /// Where the passes leave things; their tape is here.
    pub work: &'a mut Work,
}

impl Passes for OnHost<'_> {
    fn forward(&mut self, obs: &[f32], noise: Option<&Noise>, out: &mut [f32]) {
        let Work { input, tape, noisy, .. } = self.work;
        let flat = match noise {
            None => self.flat,
            Some(noise) => {
                self.net.with_noise(self.flat, noise, noisy);
                noisy
            }
        };
        self.net.dense.forward(flat, self.net.input.forward(flat, obs, input), out, tape);
    }

    fn backward(&mut self, noise: Option<&Noise>, at_outputs: &[f32]) {
        let (Work { input, tape, noisy, below, front, .. }, QNet { dense, input: reads, .. }) =
            (&mut *self.work, self.net);
        let flat = if noise.is_some() { noisy } else { self.flat };
        dense.backward(flat, at_outputs, tape);
        front.clear();
        front.resize(reads.reading().parameters(), 0.0);
        if !front.is_empty() {
            below.resize(at_outputs.len() / dense.outputs() * dense.inputs(), 0.0);
            dense.at_inputs(flat, at_outputs, tape, 0, below, false);
            reads.backward(flat, below, input, front);
        }
    }
}

/// Passes by tensor operations, where parameters are on a device: observations and gradients go there, outputs come back.
pub struct OnDevice<'a> {
    /// The network.
    pub net: &'a QNet,
    /// Its parameters.
    pub params: &'a Params,
    /// The outputs of the last forward pass.
    pub last: Option<Tensor>,
    /// What the last backward pass found, for all parameters.
    pub gradient: Option<Tensor>,
}

impl Passes for OnDevice<'_> {
    fn forward(&mut self, obs: &[f32], noise: Option<&Noise>, out: &mut [f32]) {
        let rows = (out.len() / self.net.outputs.width()) as i64;
        let obs = Tensor::from_slice(obs).view([rows, -1]).to_device(self.params.flat.device());
        self.last = None; // what it would take to differentiate that one is not needed any more
        let made = self.net.tensors(self.params, &obs, noise);
        read_f32(&made.detach(), out);
        self.last = Some(made);
    }

    fn backward(&mut self, _: Option<&Noise>, at_outputs: &[f32]) {
        self.gradient = self.last.take().map(|out| {
            let at_outputs = Tensor::from_slice(at_outputs).view_as(&out).to_device(out.device());
            self.params.gradient(&(out * at_outputs).sum(Kind::Float))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv::Filters;
    use agon_core::rng::Stream;
    use agon_core::{Observation, Picture};

    const OBS: [f32; 6] = [0.3, -0.7, 2.0, 0.3, -0.7, 2.0];

    fn net(noise: f64, dueling: bool) -> (QNet, Params) {
        let outputs = Outputs { kind: Kinds::Mean, actions: 2, atoms: 1, dueling, support: [0.0, 1.0] };
        QNet::new(1, &Shape { reading: Reading::plain(3), hidden: vec![8], noise, outputs }, Device::Cpu)
    }

    fn close(a: &[f32], b: &[f32]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} is not {b:?}");
    }

    /// The gradient for all parameters, in chunks.
    fn whole(net: &QNet, least: usize, seen: Seen<'_>, noise: Option<&Noise>) -> Vec<f32> {
        let (mut gradient, mut from) = (Vec::new(), 0);
        for end in net.chunk_ends(least, &net.units()) {
            let mut chunk = vec![f32::NAN; end - from];
            net.gradient(from, &[seen], noise, &mut chunk);
            gradient.append(&mut chunk);
            from = end;
        }
        gradient
    }

    /// Hand-written outputs and gradients agree with libtorch's: with noise, two heads, and every kind of observation.
    #[test]
    fn both_kinds_of_passes_agree() {
        let picture = |high: u8| {
            let channels = vec!["a".into(), "b".into()];
            let picture = Observation::Picture(Picture { channels, height: 5, width: 4, high });
            Reading::new(&picture, Some(&[Filters { channels: 3, kernel: 2, stride: 1 }])).unwrap()
        };
        let one = Reading::new(&Observation::discrete(["a", "b", "c"]), None).unwrap();
        let mut rng = Rng::new(0, Stream::Act, 1);
        let bytes: Vec<f32> = (0..80).map(|_| rng.below(3) as f32).collect();
        for (reading, obs) in [(Reading::plain(3), &OBS[..]), (one, &[2.0, 0.0]), (picture(2), &bytes)] {
            for (noise, hidden) in [(0.0, vec![8]), (0.5, vec![8, 6]), (0.0, vec![])] {
                let outputs = Outputs { kind: Kinds::Mean, actions: 2, atoms: 1, dueling: true, support: [0.0, 1.0] };
                let shape = Shape { reading: reading.clone(), hidden, noise, outputs };
                let (net, p) = QNet::new(1, &shape, Device::Cpu);
                let noise = net.noise(&mut rng);
                let at_outputs = [0.5, -1.0, 2.0, 0.1, 0.2, 0.3];
                let ([mut a, mut b], mut work) = ([[0.0; 6]; 2], Work::default());
                let mut host = OnHost { net: &net, flat: host_view(&p.flat).unwrap(), work: &mut work };
                host.forward(obs, noise.as_ref(), &mut a);
                host.backward(noise.as_ref(), &at_outputs);
                let mut device = OnDevice { net: &net, params: &p, last: None, gradient: None };
                device.forward(obs, noise.as_ref(), &mut b);
                device.backward(noise.as_ref(), &at_outputs);
                close(&a, &b);
                let gradient = device.gradient.unwrap();
                for least in [1, 10, 1000] {
                    let found = whole(&net, least, work.seen(obs, &at_outputs), noise.as_ref());
                    close(&found, host_view(&gradient).unwrap());
                }
            }
        }
    }

    /// Units are reordered and nothing else changes: outputs stay, the gradient and deviations are reordered alike.
    #[test]
    fn inactive_units_go_last() {
        let outputs = Outputs { kind: Kinds::Mean, actions: 2, atoms: 1, dueling: true, support: [0.0, 1.0] };
        let (net, p) =
            QNet::new(1, &Shape { reading: Reading::plain(3), hidden: vec![8, 12], noise: 0.5, outputs }, Device::Cpu);
        let at_outputs = [0.5, -1.0, 2.0, 0.1, 0.2, 0.3];
        let pass = |flat: &[f32], obs: &[f32; 6]| {
            let (mut out, mut work) = ([0.0; 6], Work::default());
            let mut host = OnHost { net: &net, flat, work: &mut work };
            host.forward(obs, None, &mut out);
            host.backward(None, &at_outputs);
            (out, whole(&net, 100, work.seen(&OBS, &at_outputs), None), work)
        };
        let flat = host_view(&p.flat).unwrap();
        let (said, mut gradient, work) = pass(flat, &OBS);
        let (_, _, other) = pass(flat, &[-0.3, 0.7, 0.5, -2.0, 0.1, 1.0]);
        let inactive = |work: &Work, at: usize| work.tape.inactive(at, [8, 12][at]).collect::<Vec<_>>();
        let both =
            |at: usize| inactive(&work, at).iter().zip(inactive(&other, at)).map(|(a, b)| *a && b).collect::<Vec<_>>();
        for at in [0, 1] {
            assert!(!both(at).is_sorted() && both(at) != inactive(&work, at), "layer {at} has something to do");
        }
        let mut moved = flat.to_vec();
        for layer in &net.layers {
            let [from, to] = [layer.mean, layer.deviation.unwrap()].map(|[weight, _]| weight.place);
            let numbers = (layer.inputs + 1) * layer.outputs;
            moved.copy_within(from..from + numbers, to);
        }
        let active = net.inactive_last(&[&work, &other], &mut [&mut moved, &mut gradient]);
        assert_eq!(active, [0, 1].map(|at| both(at).iter().filter(|inactive| !**inactive).count()));
        for layer in &net.layers {
            let numbers = (layer.inputs + 1) * layer.outputs;
            let [mean, deviation] = [layer.mean, layer.deviation.unwrap()].map(|[weight, _]| weight.place);
            assert_eq!(moved[mean..mean + numbers], moved[deviation..deviation + numbers]);
        }
        let (says, moved_gradient, work) = pass(&moved, &OBS);
        close(&said, &says);
        close(&gradient, &moved_gradient);
        for at in [0, 1] {
            let last = both(at).iter().filter(|inactive| **inactive).count();
            assert!(inactive(&work, at).iter().rev().take(last).all(|inactive| *inactive));
        }
    }

    /// Chunks take about as long as each other, whatever is active; all parameters are in one, and each ends with
    /// a row.
    #[test]
    fn chunks_share_the_work_of_active_units() {
        let net = |actions: usize| {
            let outputs = Outputs { kind: Kinds::Mean, actions, atoms: 1, dueling: false, support: [0.0, 1.0] };
            QNet::new(
                1,
                &Shape { reading: Reading::plain(4), hidden: vec![256, 256], noise: 0.0, outputs },
                Device::Cpu,
            )
        };
        // A row of the second layer: 8 + 1 for each of 256 numbers where all are active, 1 where the row is inactive.
        for (actions, active) in [(2, [256, 256]), (2, [200, 120]), (2, [40, 256]), (64, [256, 256]), (64, [256, 16])] {
            let (net, p) = net(actions);
            let [first, row] = active.map(|active: usize| 256 + 8 * active.next_multiple_of(16));
            let head = actions + 8 * actions.next_multiple_of(16);
            let second = row * (active[0] + 1) + 256 * (256 - active[0]);
            let total = 5 * first + second + head * (active[1] + 1) + actions * (256 - active[1]);
            let ends = net.chunk_ends(p.count() as usize / 2, &active);
            let fair = 5 * 256 + (total / 2 - 5 * first).div_ceil(row) * 256;
            assert!(ends.len() == 2 && ends[1] == p.count() as usize, "{ends:?}");
            assert!(
                ends[0].abs_diff(fair) <= 256 && ends[0] % 256 == 0,
                "{ends:?} is not {fair} with {active:?} active"
            );
        }
        let (net, p) = net(2);
        let (all, rows) = (p.count() as usize, net.chunk_ends(1, &[256, 256]));
        assert!(rows.is_sorted_by(|a, b| a < b) && rows.last() == Some(&all));
        assert_eq!(net.chunk_ends(2 * all + 1, &[256, 256]), [all]);
    }

    /// Noise is the same for all rows, another one at every draw, and gone without.
    #[test]
    fn noise_is_drawn_and_can_be_left_out() {
        let (net, p) = net(0.5, false);
        let (mut rng, mut work) = (Rng::new(0, Stream::Act, 1), Work::default());
        let mut means = |noise: Option<Noise>| {
            let mut means = [0.0; 4];
            net.means(&p, &OBS, noise.as_ref(), &mut work, &mut means);
            means
        };
        let (plain, one, two) = (means(None), means(net.noise(&mut rng)), means(net.noise(&mut rng)));
        close(&one[..2], &one[2..]);
        assert!(one[0] != plain[0] && one[0] != two[0]);
    }

    /// A layer by hand: weights `W + S ⊙ ε_in ε_outᵀ`, biases `b + s ⊙ ε_out`.
    #[test]
    fn noise_is_factorised() {
        let outputs = Outputs { kind: Kinds::Mean, actions: 2, atoms: 1, dueling: false, support: [0.0, 1.0] };
        let (net, p) =
            QNet::new(1, &Shape { reading: Reading::plain(3), hidden: vec![], noise: 0.5, outputs }, Device::Cpu);
        let noise = Noise(vec![[vec![2.0, 0.0, 0.0], vec![1.0, -1.0]]]);
        let ([mut plain, mut noisy], mut work) = ([[0.0; 2]; 2], Work::default());
        net.means(&p, &OBS[..3], None, &mut work, &mut plain);
        net.means(&p, &OBS[..3], Some(&noise), &mut work, &mut noisy);
        let by = (0.5 / 3f64.sqrt()) as f32 * (0.3 * 2.0 + 1.0);
        close(&[noisy[0] - plain[0], noisy[1] - plain[1]], &[by, -by]);
    }
}
