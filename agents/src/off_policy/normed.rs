//! A perceptron with batch normalisation (Ioffe and Szegedy 2015) and weights of unit norm, on the host: the network of
//! XQC (Palenicek et al. 2026). Inputs are normalised, then every hidden layer is a product, a normalisation and a
//! rectification; the head is linear.
//!
//! Batch normalisation couples the rows of a minibatch, so a network is trained by one thread, which sees all rows:
//! activations are kept unit by unit, `[units, rows]`, and the statistics of a unit are those of numbers side by side.
//! Several networks (twin critics) are trained side by side.
//!
//! With running statistics a normalisation is one scale and one shift a unit: the network is then the same function as
//! a plain perceptron ([`Normed::fold`]), which computes all passes that need no statistics of a minibatch.

use crate::agent::{AgentError, Saved};
use crate::bridge::{host_slice, host_view};
use crate::dense::{Dense, View, product};
use crate::net::{Activation, Builder, Params};
use crate::optim::{Adam, chunk_ends};
use agon_core::thread_pool::ThreadPool;
use std::ops::Range;
use tch::{Device, Tensor};

/// What is added to a variance before its root is taken, as in the authors' code.
const EPS: f32 = 1e-3;

/// Where a normalisation's parameters are in the flat ones, and its statistics among all: means, then variances.
#[derive(Clone, Copy, Debug)]
struct Norm {
    gain: usize,
    shift: usize,
    statistics: usize,
    units: usize,
}

/// A matrix `[inputs, outputs]` in the flat parameters.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    at: usize,
    inputs: usize,
    outputs: usize,
}

impl Matrix {
    fn range(self) -> Range<usize> {
        self.at..self.at + self.inputs * self.outputs
    }

    fn view(self, flat: &[f32]) -> View<'_> {
        View::rows(&flat[self.range()], self.inputs, self.outputs)
    }
}

/// Where everything is.
#[derive(Clone, Debug)]
struct Shape {
    /// Of the inputs, and of each hidden layer.
    norms: Vec<Norm>,
    hidden: Vec<Matrix>,
    head: Matrix,
    bias: usize,
}

/// What the backward pass needs of the forward pass, and room for it.
#[derive(Debug, Default)]
pub struct NormTape {
    stages: Vec<Stage>,
    /// Gradients at a layer's outputs and at its inputs, `[units, rows]`.
    at: [Vec<f32>; 2],
}

/// A normalisation's work.
#[derive(Debug, Default)]
struct Stage {
    /// `[units, rows]`: sums first, then standardised ones.
    standard: Vec<f32>,
    /// `[units, rows]`: what the next layer gets.
    out: Vec<f32>,
    /// Means and then variances of the minibatch.
    moments: Vec<f32>,
}

/// A network with everything that learning needs.
pub struct Normed {
    shape: Shape,
    /// Its parameters.
    pub params: Params,
    adam: Adam,
    gradient: Tensor,
    ends: Vec<usize>,
    /// Running means and variances of all normalisations.
    running: Vec<f32>,
    /// The share of the running statistics that an update keeps.
    keep: f32,
    name: String,
}

impl Normed {
    /// A fresh one with these sizes, from inputs to outputs; orthogonal weights, of unit norm.
    pub fn new(seed: u64, name: &str, sizes: &[usize], keep: f64) -> Self {
        let (mut b, mut norms, mut layers, mut statistics) = (Builder::new(seed), Vec::new(), Vec::new(), 0);
        let head = sizes.len() - 2;
        for (i, pair) in sizes.windows(2).enumerate() {
            let at = if i == 0 { "input".to_owned() } else { (i - 1).to_string() };
            let units = [pair[0] as i64];
            let [gain, shift] =
                [("gain", 1.0), ("shift", 0.0)].map(|(what, x)| b.constant(&format!("{name}.{at}.{what}"), &units, x));
            norms.push((gain, shift, statistics, pair[0]));
            statistics += 2 * pair[0];
            let at = if i == head { "head".to_owned() } else { i.to_string() };
            layers.push((b.orthogonal(&format!("{name}.{at}.weight"), pair[0], pair[1], 1.0), pair[0], pair[1]));
        }
        let bias = b.constant(&format!("{name}.head.bias"), &[sizes[head + 1] as i64], 0.0);
        let params = b.finish(Device::Cpu);
        let start = |leaf: usize| params.place(leaf).start;
        let norm = |&(gain, shift, statistics, units): &(usize, usize, usize, usize)| Norm {
            gain: start(gain),
            shift: start(shift),
            statistics,
            units,
        };
        let norms: Vec<Norm> = norms.iter().map(norm).collect();
        let mut hidden: Vec<Matrix> =
            layers.iter().map(|&(leaf, inputs, outputs)| Matrix { at: start(leaf), inputs, outputs }).collect();
        let head = hidden.pop().expect("a head");
        let mut running = vec![0.0; statistics];
        for norm in &norms {
            running[norm.statistics + norm.units..][..norm.units].fill(1.0);
        }
        let mut fresh = Self {
            shape: Shape { norms, hidden, head, bias: start(bias) },
            adam: Adam::new(&params, 1e-8),
            gradient: params.beside(3),
            ends: chunk_ends(params.count() as usize),
            running,
            keep: keep as f32,
            name: name.to_owned(),
            params,
        };
        fresh.project();
        fresh
    }

    /// The outputs `[rows of `wanted`, outputs]` by these parameters of this network, or of a copy of it; every row of
    /// `x` `[rows, inputs]` counts for the statistics.
    pub fn forward(&self, flat: &[f32], x: &[f32], wanted: Range<usize>, out: &mut Vec<f32>, tape: &mut NormTape) {
        let Shape { norms, hidden, head, bias } = &self.shape;
        let rows = x.len() / norms[0].units;
        tape.stages.resize_with(norms.len(), Stage::default);
        for (i, norm) in norms.iter().enumerate() {
            let (before, rest) = tape.stages.split_at_mut(i);
            let stage = &mut rest[0];
            for buffer in [&mut stage.standard, &mut stage.out] {
                buffer.resize(norm.units * rows, 0.0);
            }
            match i.checked_sub(1) {
                None => {
                    for (k, unit) in stage.standard.chunks_exact_mut(rows).enumerate() {
                        let column = x.iter().skip(k).step_by(norm.units);
                        unit.iter_mut().zip(column).for_each(|(to, x)| *to = *x);
                    }
                }
                Some(layer) => {
                    let input = View::rows(&before[layer].out, norms[layer].units, rows);
                    let weight = hidden[layer].view(flat).transposed();
                    product(&mut stage.standard, (rows, 1), weight, input, false);
                }
            }
            let [gain, shift] = [norm.gain, norm.shift].map(|from| &flat[from..][..norm.units]);
            pulp::Arch::new().dispatch(Normalise { stage, gain, shift, rectified: i > 0 });
        }
        let last = &tape.stages[hidden.len()].out;
        let input = View::part(&last[wanted.start..], head.inputs, wanted.len(), rows);
        out.resize(wanted.len() * head.outputs, 0.0);
        out.chunks_exact_mut(head.outputs).for_each(|row| row.copy_from_slice(&flat[*bias..][..head.outputs]));
        product(out, (1, head.outputs), head.view(flat).transposed(), input, true);
    }

    /// Leaves the gradient of `Σ at_out · out` of the last forward pass by its own parameters, through the statistics of
    /// the minibatch; `at_out`: as `out`.
    pub fn backward(&mut self, at_out: &[f32], wanted: Range<usize>, tape: &mut NormTape) {
        let (Shape { norms, hidden, head, bias }, NormTape { stages, at: [at, below] }) = (&self.shape, tape);
        let flat = host_view(&self.params.flat).expect("it is on the host");
        let gradient = host_slice(&mut self.gradient).expect("it is on the host");
        let rows = stages[0].out.len() / norms[0].units;
        let at_head = View::rows(at_out, wanted.len(), head.outputs);
        let bias = &mut gradient[*bias..][..head.outputs];
        bias.fill(0.0);
        at_out.chunks_exact(head.outputs).for_each(|row| crate::optim::add(bias, row));
        let input = View::part(&stages[hidden.len()].out[wanted.start..], head.inputs, wanted.len(), rows);
        product(&mut gradient[head.range()], (head.outputs, 1), input, at_head, false);
        at.clear();
        at.resize(head.inputs * rows, 0.0);
        product(&mut at[wanted.start..], (rows, 1), head.view(flat), at_head.transposed(), false);
        for (i, norm) in norms.iter().enumerate().rev() {
            let units = norm.units;
            // Gains and shifts lie side by side.
            let (at_gain, at_shift) = gradient[norm.gain..][..2 * units].split_at_mut(units);
            let (stage, gain) = (&stages[i], &flat[norm.gain..][..units]);
            let way_back = Differentiate { stage, gain, at: &mut at[..], at_gain, at_shift, rectified: i > 0 };
            pulp::Arch::new().dispatch(way_back);
            if let Some(layer) = i.checked_sub(1) {
                let matrix = hidden[layer];
                let (input, at_sums) =
                    (View::rows(&stages[layer].out, matrix.inputs, rows), View::rows(at, units, rows));
                product(&mut gradient[matrix.range()], (units, 1), input, at_sums.transposed(), false);
                below.resize(matrix.inputs * rows, 0.0);
                product(below, (rows, 1), matrix.view(flat), at_sums, false);
                std::mem::swap(at, below);
            }
        }
    }

    /// Takes the statistics of the last forward pass into the running ones.
    pub fn absorb(&mut self, tape: &NormTape) {
        let batch = tape.stages.iter().flat_map(|stage| &stage.moments);
        self.running.iter_mut().zip(batch).for_each(|(mine, batch)| *mine += (1.0 - self.keep) * (batch - *mine));
    }

    /// Adam's step along the gradient that the backward pass left, and the projection of the weights; its norm.
    pub fn step(&mut self, rate: f64) -> f64 {
        let gradient = host_slice(&mut self.gradient).expect("it is on the host");
        let (rates, alone) = ([rate, f64::INFINITY], ThreadPool::default());
        let norm = self.adam.step_on_host(&mut self.params, gradient, &self.ends, |_, _| {}, rates, &alone);
        self.project();
        norm.map_or(f64::NAN, f64::from)
    }

    /// Gives the weights of every unit, of head and hidden layers, norm 1.
    fn project(&mut self) {
        let flat = host_slice(&mut self.params.flat).expect("it is on the host");
        for matrix in self.shape.hidden.iter().chain([&self.shape.head]) {
            let (weights, mut norms) = (&mut flat[matrix.range()], vec![0f32; matrix.outputs]);
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    for row in weights.chunks_exact(norms.len()) {
                        norms.iter_mut().zip(row).for_each(|(sum, w)| *sum += w * w);
                    }
                    norms.iter_mut().for_each(|x| *x = 1.0 / (x.sqrt() + 1e-12));
                    for row in weights.chunks_exact_mut(norms.len()) {
                        row.iter_mut().zip(&norms).for_each(|(w, scale)| *w *= scale);
                    }
                },
            );
        }
    }

    /// A plain perceptron of the same shape, and room for its parameters.
    pub fn plain(&self) -> (Dense, Params) {
        let (mut b, shape) = (Builder::new(0), &self.shape);
        let layers: Vec<_> = shape
            .hidden
            .iter()
            .chain([&shape.head])
            .map(|m| {
                let (inputs, outputs) = (m.inputs as i64, m.outputs as i64);
                (b.constant("weight", &[inputs, outputs], 0.0), b.constant("bias", &[outputs], 0.0))
            })
            .collect();
        let params = b.finish(Device::Cpu);
        let (head, hidden) = layers.split_last().expect("a head");
        let dense = Dense::new(&params, hidden, &[*head], Activation::Relu);
        let mut plain = (dense, params);
        self.fold(&mut plain.1);
        plain
    }

    /// Writes the parameters of the plain perceptron that is the same function by running statistics:
    /// `gain (x W − mean) / deviation + shift = x (W scale) + bias`, with the inputs' own scale and shift in the first
    /// layer.
    pub fn fold(&self, plain: &mut Params) {
        let flat = host_view(&self.params.flat).expect("it is on the host");
        let out = host_slice(&mut plain.flat).expect("it is on the host");
        let affine = |norm: &Norm| -> (Vec<f32>, Vec<f32>) {
            let of = |from: usize| &flat[from..][..norm.units];
            let (mean, variance) = self.running[norm.statistics..][..2 * norm.units].split_at(norm.units);
            let scale: Vec<f32> = of(norm.gain).iter().zip(variance).map(|(g, v)| g / (v + EPS).sqrt()).collect();
            let shift = of(norm.shift).iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
            (scale, shift)
        };
        let Shape { norms, hidden, head, bias } = &self.shape;
        let mut from = 0;
        let (mut scale_in, mut shift_in) = affine(&norms[0]);
        for (i, matrix) in hidden.iter().chain([head]).enumerate() {
            let (scale, shift) = match norms.get(i + 1) {
                Some(norm) => affine(norm),
                None => (vec![1.0; head.outputs], flat[*bias..][..head.outputs].to_vec()),
            };
            let (weights, rest) = out[from..].split_at_mut(matrix.inputs * matrix.outputs);
            let biases = &mut rest[..matrix.outputs];
            biases.fill(0.0);
            let rows = flat[matrix.range()].chunks_exact(matrix.outputs);
            for ((row, to), (s, t)) in
                rows.zip(weights.chunks_exact_mut(matrix.outputs)).zip(scale_in.iter().zip(&shift_in))
            {
                for (((w, to), bias), scale) in row.iter().zip(to).zip(&mut *biases).zip(&scale) {
                    *to = s * w * scale;
                    *bias += t * w;
                }
            }
            biases.iter_mut().zip(scale.iter().zip(&shift)).for_each(|(b, (scale, shift))| *b = *b * scale + shift);
            from += matrix.inputs * matrix.outputs + matrix.outputs;
            (scale_in, shift_in) = (vec![1.0; matrix.outputs], vec![0.0; matrix.outputs]);
        }
    }

    /// Weights, moments and running statistics.
    pub fn save(&self, tensors: &mut Vec<(String, Tensor)>) {
        self.adam.save(&self.name, &self.params, tensors);
        tensors.push((format!("{}.running", self.name), Tensor::from_slice(&self.running)));
    }

    /// The same from a save.
    pub fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let running = self.saved_running(saved)?;
        self.adam.load_named(&self.name, &mut self.params, saved)?;
        self.running = running;
        Ok(())
    }

    /// Weights and running statistics of a save.
    pub fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let running = self.saved_running(saved)?;
        self.params.load_weights(saved)?;
        self.running = running;
        Ok(())
    }

    fn saved_running(&self, saved: &Saved) -> Result<Vec<f32>, AgentError> {
        let name = format!("{}.running", self.name);
        let there = self.params.fitting(saved, &name, &Tensor::from_slice(&self.running))?;
        let mut running = vec![0.0; self.running.len()];
        crate::bridge::read_f32(&there, &mut running);
        let negative = |norm: &Norm| running[norm.statistics + norm.units..][..norm.units].iter().any(|v| *v < 0.0);
        if running.iter().any(|x| !x.is_finite()) || self.shape.norms.iter().any(negative) {
            return Err(AgentError::Checkpoint(format!("its `{name}` cannot be")));
        }
        Ok(running)
    }
}

/// `Σ f(a, b)` in sixteen sums side by side: one after the other, additions would wait for each other.
#[inline(always)]
fn total(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut sums = [0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            sums[i] += f(a[i], b[i]);
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| f(*a, *b)).sum::<f32>()
}

/// Standardises every unit's sums over the rows, scales and shifts, and rectifies hidden ones. (No closure, nor is the
/// way back one: with closures `dispatch` called generic code.)
struct Normalise<'a> {
    stage: &'a mut Stage,
    gain: &'a [f32],
    shift: &'a [f32],
    rectified: bool,
}

impl pulp::NullaryFnOnce for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (units, Stage { standard, out, moments }) = (self.gain.len(), self.stage);
        let rows = standard.len() / units;
        let (share, least) = (1.0 / rows as f32, least(self.rectified));
        moments.resize(2 * units, 0.0);
        let (means, variances) = moments.split_at_mut(units);
        for (k, (x, out)) in standard.chunks_exact_mut(rows).zip(out.chunks_exact_mut(rows)).enumerate() {
            let mean = share * total(x, x, |x, _| x);
            let variance = share * total(x, x, |x, _| (x - mean) * (x - mean));
            (means[k], variances[k]) = (mean, variance);
            let (scale, gain, shift) = (1.0 / (variance + EPS).sqrt(), self.gain[k], self.shift[k]);
            for (x, out) in x.iter_mut().zip(out) {
                *x = (*x - mean) * scale;
                let y = gain * *x + shift;
                // Not `max`, which would hide what is no number.
                *out = if y < least { least } else { y };
            }
        }
    }
}

/// The least output: 0 where it is rectified.
fn least(rectified: bool) -> f32 {
    if rectified { 0.0 } else { f32::NEG_INFINITY }
}

/// The way back: `at`, the gradient at the outputs, becomes that at the sums,
/// `gain / deviation · (g − mean g − x̂ · mean (g x̂))`; also the gradient of gains and shifts.
struct Differentiate<'a> {
    stage: &'a Stage,
    gain: &'a [f32],
    at: &'a mut [f32],
    at_gain: &'a mut [f32],
    at_shift: &'a mut [f32],
    rectified: bool,
}

impl pulp::NullaryFnOnce for Differentiate<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (units, Stage { standard, out, moments }) = (self.gain.len(), self.stage);
        let rows = standard.len() / units;
        let (share, least) = (1.0 / rows as f32, least(self.rectified));
        let unit = standard.chunks_exact(rows).zip(out.chunks_exact(rows)).zip(self.at.chunks_exact_mut(rows));
        for (k, ((x, out), g)) in unit.enumerate() {
            g.iter_mut().zip(out).for_each(|(g, y)| *g = if *y <= least { 0.0 } else { *g });
            let (sum, along) = (total(g, g, |g, _| g), total(g, x, |g, x| g * x));
            (self.at_gain[k], self.at_shift[k]) = (along, sum);
            let scale = self.gain[k] / (moments[units + k] + EPS).sqrt();
            let (mean, slope) = (share * sum, share * along);
            g.iter_mut().zip(x).for_each(|(g, x)| *g = scale * (*g - mean - x * slope));
        }
    }
}

#[cfg(test)]
pub(super) mod oracle {
    //! The same network by tensor operations.

    use super::*;
    use tch::Kind;

    impl Normed {
        /// The gradient that the last backward pass left.
        pub fn gradient(&self) -> &[f32] {
            host_view(&self.gradient).unwrap()
        }

        /// The outputs by the statistics of these rows, or by the running ones.
        pub fn outputs(&self, params: &Params, x: &Tensor, training: bool) -> Tensor {
            let (p, mut h, mut from) = (&params.leaves, x.shallow_clone(), 0);
            for (i, norm) in self.shape.norms.iter().enumerate() {
                let running = |at: usize| Tensor::from_slice(&self.running[at..at + norm.units]);
                let [mean, variance] = if training {
                    let mean = h.mean_dim([0i64].as_slice(), false, Kind::Float);
                    let variance = (&h - &mean).square().mean_dim([0i64].as_slice(), false, Kind::Float);
                    [mean, variance]
                } else {
                    [running(norm.statistics), running(norm.statistics + norm.units)]
                };
                let y = (h - mean) / (variance + f64::from(EPS)).sqrt() * &p[from] + &p[from + 1];
                let y = if i > 0 { y.relu() } else { y };
                h = y.matmul(&p[from + 2]);
                from += 3;
            }
            h + &p[from]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::{Rng, Stream};
    use tch::Kind;

    fn close(found: &[f32], right: &Tensor, what: &str) {
        let right = Vec::<f32>::try_from(right.detach().contiguous().view([-1])).unwrap();
        let size = right.iter().map(|x| x * x).sum::<f32>().sqrt();
        let off = found.iter().zip(&right).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
        assert!(found.len() == right.len() && size > 0.0 && off < 1e-5 * size, "{what}: {off} of {size}");
    }

    /// Outputs and the gradient of every parameter, through the statistics of all rows where only some rows count; and
    /// the plain perceptron by running statistics.
    #[test]
    fn both_passes_are_libtorchs() {
        let mut rng = Rng::new(4, Stream::Act, 0);
        for (sizes, rows, wanted) in [
            (vec![3, 16, 24, 5], 37, 0..37),
            (vec![3, 16, 24, 5], 50, 0..25),
            (vec![7, 33, 2], 50, 25..50),
            (vec![4, 3], 9, 2..6),
        ] {
            let mut net = Normed::new(5, "net", &sizes, 0.75);
            // Gains and shifts that are not ones and zeros.
            let _ =
                tch::no_grad(|| net.params.flat.shallow_clone().g_add_(&(Tensor::rand_like(&net.params.flat) * 0.3)));
            let mut drawn =
                |n: usize, scale: f64| (0..n).map(|_| (scale * rng.normal() + 0.5) as f32).collect::<Vec<_>>();
            let (x, at_out) = (drawn(rows * sizes[0], 3.0), drawn(wanted.len() * sizes[sizes.len() - 1], 1.0));
            let (mut tape, mut out) = (NormTape::default(), Vec::new());
            let flat = net.params.flat.copy();
            net.forward(host_view(&flat).unwrap(), &x, wanted.clone(), &mut out, &mut tape);
            net.backward(&at_out, wanted.clone(), &mut tape);

            let all = Tensor::from_slice(&x).view([rows as i64, -1]);
            let right = net.outputs(&net.params, &all, true).narrow(0, wanted.start as i64, wanted.len() as i64);
            close(&out, &right, "outputs");
            let sum = (&right * Tensor::from_slice(&at_out).view_as(&right)).sum(Kind::Float);
            let gradient = net.params.gradient(&sum);
            close(net.gradient(), &gradient, "gradient");

            // The inputs' statistics after an update: a quarter of the way from 0 and 1.
            net.absorb(&tape);
            let [mean, variance] =
                [all.mean_dim([0i64].as_slice(), false, Kind::Float), all.var_dim([0i64].as_slice(), false, false)];
            close(&net.running[..sizes[0]], &(mean * 0.25), "means");
            close(&net.running[sizes[0]..2 * sizes[0]], &(variance * 0.25 + 0.75), "variances");
            let (dense, params) = net.plain();
            let mut plain = vec![0.0; rows * sizes[sizes.len() - 1]];
            dense.forward(host_view(&params.flat).unwrap(), &x, &mut plain, &mut crate::dense::Tape::default());
            close(&plain, &net.outputs(&net.params, &all, false), "by running statistics");

            // Adam's first step is the rate in each direction; then every unit's weights have norm 1.
            net.step(0.01);
            let stepped = flat - gradient.sign() * 0.01;
            for matrix in net.shape.hidden.iter().chain([&net.shape.head]) {
                let weights = stepped.narrow(0, matrix.at as i64, matrix.range().len() as i64);
                let weights = weights.view([matrix.inputs as i64, matrix.outputs as i64]);
                let norms = weights.square().sum_dim_intlist([0i64].as_slice(), true, Kind::Float).sqrt();
                close(&host_view(&net.params.flat).unwrap()[matrix.range()], &(weights / norms), "unit weights");
            }
        }
    }
}
