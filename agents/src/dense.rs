//! Multilayer perceptrons on the host with hand-written passes: for networks of a few hundred units the overhead of
//! tensor operations is most of the time (docs/adr/0009).
//!
//! Hidden activations are kept unit by unit, `[units, rows]`: then the long dimension of every product of a small
//! minibatch with a large matrix is contiguous, whichever way the matrix is read, and nothing large is transposed.
//!
//! A rectified unit that is zero in every row of a minibatch is inactive: it contributes nothing above or below. Products
//! end at a layer's last active unit, so that inactive units cost nothing where they come last.
//!
//! The only `unsafe` of this file is the call of the matrix product, which takes pointers; `product` checks them.

use crate::net::{Activation, Params};
use agon_core::rng::Rng;
use gemm_common::Parallelism;

/// Rows of a large batch that are processed at a time, so that activations stay in the nearest caches.
pub const BLOCK: usize = 64;

/// A view of a matrix in a slice: entry `(i, j)` is at `i · steps.0 + j · steps.1`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    shape: (usize, usize),
    steps: (usize, usize),
}

impl<'a> View<'a> {
    /// Row after row.
    pub(crate) fn rows(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { data, shape: (rows, columns), steps: (columns, 1) }
    }

    /// Row after row, of a wider matrix.
    pub(crate) fn part(data: &'a [f32], rows: usize, columns: usize, width: usize) -> Self {
        Self { data, shape: (rows, columns), steps: (width, 1) }
    }

    /// At most `rows` rows from `row` on.
    fn rows_from(self, row: usize, rows: usize) -> Self {
        let row = row.min(self.shape.0);
        let shape = (rows.min(self.shape.0 - row), self.shape.1);
        Self { data: &self.data[(row * self.steps.0).min(self.data.len())..], shape, steps: self.steps }
    }

    pub(crate) fn transposed(self) -> Self {
        let ((rows, columns), (down, right)) = (self.shape, self.steps);
        Self { data: self.data, shape: (columns, rows), steps: (right, down) }
    }
}

/// Whether a matrix of this shape and these steps lies within `len` numbers.
fn fits(len: usize, shape: (usize, usize), steps: (usize, usize)) -> bool {
    shape.0 == 0 || shape.1 == 0 || (shape.0 - 1) * steps.0 + (shape.1 - 1) * steps.1 < len
}

/// `out ← a b`, or `out ← out + a b`; `out` is `[a's rows, b's columns]` with these steps.
#[allow(unsafe_code)]
pub(crate) fn product(out: &mut [f32], steps: (usize, usize), a: View<'_>, b: View<'_>, add: bool) {
    let ((m, k), n) = (a.shape, b.shape.1);
    assert!(k == b.shape.0, "{:?} times {:?}", a.shape, b.shape);
    assert!(fits(out.len(), (m, n), steps) && fits(a.data.len(), a.shape, a.steps));
    assert!(fits(b.data.len(), b.shape, b.steps));
    // No two entries of `out` are the same place: rows, or columns, lie one behind the other.
    assert!(steps.1 == 1 && steps.0 >= n || steps.0 == 1 && steps.1 >= m, "{steps:?} for {m} times {n}");
    // The kernels write columns; rows are the columns of the transposed product, bᵀ aᵀ.
    let (m, n, steps, a, b) =
        if steps.1 == 1 { (n, m, (1, steps.0), b.transposed(), a.transposed()) } else { (m, n, steps, a, b) };
    let signed = |step: usize| step as isize;
    // SAFETY: all three matrices lie within their slices, and the entries of `out` apart, by the checks above; `out` is
    // borrowed for itself alone.
    unsafe {
        gemm_f32::gemm::f32::get_gemm_fn()(
            m,
            n,
            k,
            out.as_mut_ptr(),
            signed(steps.1),
            signed(steps.0),
            add,
            a.data.as_ptr(),
            signed(a.steps.1),
            signed(a.steps.0),
            b.data.as_ptr(),
            signed(b.steps.1),
            signed(b.steps.0),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// A layer's places in the flat parameters.
#[derive(Clone, Copy, Debug)]
struct Layer {
    weight: usize,
    bias: usize,
    inputs: usize,
    outputs: usize,
}

impl Layer {
    /// `[inputs, outputs]`, or the first of them.
    fn weight<'a>(&self, flat: &'a [f32], inputs: usize, outputs: usize) -> View<'a> {
        View::part(&flat[self.weight..self.weight + self.inputs * self.outputs], inputs, outputs, self.outputs)
    }

    fn bias<'a>(&self, flat: &'a [f32]) -> &'a [f32] {
        &flat[self.bias..self.bias + self.outputs]
    }
}

/// Sixteen partial sums, then eight, four, two: a single chain of additions would be bound by latency.
pub(crate) fn sum(xs: &[f32]) -> f32 {
    let ((chunks, rest), mut sums) = (xs.as_chunks::<16>(), [0f32; 16]);
    for chunk in chunks {
        for i in 0..16 {
            sums[i] += chunk[i];
        }
    }
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            sums[i] += sums[half + i];
        }
    }
    sums[0] + rest.iter().sum::<f32>()
}

/// A perceptron with hidden layers of one activation and one or several linear heads.
#[derive(Clone, Debug)]
pub struct Dense {
    activation: Activation,
    hidden: Vec<Layer>,
    heads: Vec<Layer>,
}

/// What the backward pass needs of the forward pass, and room for it.
#[derive(Debug, Default)]
pub struct Tape {
    /// A layer's activations each, `[units, rows]`, and how many units there are up to the last active one.
    hidden: Vec<(Vec<f32>, usize)>,
    /// The gradient at each layer's sums, `[units, rows]`, up to the last active one.
    gradients: Vec<Vec<f32>>,
    /// Which activations the next passes leave out, if any; of rectified units only.
    pub dropout: Option<Dropout>,
}

/// Dropout (Srivastava et al. 2014): each activation is zero with this probability, the others are larger for it.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// The probability, below 1.
    pub rate: f32,
    /// Where chance comes from.
    pub rng: Rng,
}

impl Dropout {
    fn apply(&mut self, h: &mut [f32]) {
        let (rate, scale) = (self.rate, self.scale());
        h.iter_mut().for_each(|h| *h = if self.rng.f32() < rate { 0.0 } else { *h * scale });
    }

    fn scale(&self) -> f32 {
        1.0 / (1.0 - self.rate)
    }
}

/// A batch that both passes have processed.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// `[rows, inputs]`
    pub x: &'a [f32],
    /// The gradient at the outputs, `[rows, outputs]`.
    pub at_outputs: &'a [f32],
    /// Left by both passes.
    pub tape: &'a Tape,
    /// The gradient of the parameters of the layers before `x`, if there are any.
    pub front: &'a [f32],
}

/// Whether a unit is zero in every row.
fn is_inactive(unit: &[f32]) -> bool {
    // The bits of several numbers are combined at once: a comparison each with an early exit is not vectorised.
    let ((lines, rest), any) = (unit.as_chunks::<16>(), |some: &[f32]| some.iter().fold(0, |all, h| all | h.to_bits()));
    lines.iter().all(|line| any(line) == 0) && any(rest) == 0
}

impl Tape {
    /// Which units of a hidden layer were inactive in the last forward pass; nothing before the first pass.
    pub fn inactive(&self, layer: usize, units: usize) -> impl Iterator<Item = bool> {
        let h = self.hidden.get(layer).map_or(&[][..], |(h, _)| h);
        h.chunks_exact((h.len() / units).max(1)).map(is_inactive)
    }
}

impl Dense {
    /// The network whose layers' weights and biases are these of [`Params::leaves`].
    pub fn new(params: &Params, hidden: &[(usize, usize)], heads: &[(usize, usize)], activation: Activation) -> Self {
        let layer = |&(weight, bias): &(usize, usize)| {
            let shape = params.leaves[weight].size();
            let (inputs, outputs) = (shape[0] as usize, shape[1] as usize);
            Layer { weight: params.place(weight).start, bias: params.place(bias).start, inputs, outputs }
        };
        let all = |layers: &[(usize, usize)]| layers.iter().map(layer).collect();
        Self { activation, hidden: all(hidden), heads: all(heads) }
    }

    /// Numbers in a row of input.
    pub fn inputs(&self) -> usize {
        self.hidden.first().unwrap_or(&self.heads[0]).inputs
    }

    /// Numbers in a row of output: those of all heads.
    pub fn outputs(&self) -> usize {
        self.heads.iter().map(|h| h.outputs).sum()
    }

    /// The input of layer `i` of the hidden ones, or of the heads, as `[units, rows]`, up to the last active unit.
    fn input<'a>(&self, i: usize, x: &'a [f32], tape: &'a [(Vec<f32>, usize)], rows: usize) -> View<'a> {
        match i.checked_sub(1) {
            Some(before) => View::rows(&tape[before].0, tape[before].1, rows),
            None => View::rows(x, rows, self.inputs()).transposed(),
        }
    }

    /// `x`: `[rows, inputs]`; `out`: `[rows, outputs]`.
    pub fn forward(&self, flat: &[f32], x: &[f32], out: &mut [f32], tape: &mut Tape) {
        let (rows, width) = (x.len() / self.inputs(), self.outputs());
        tape.hidden.resize_with(self.hidden.len(), Default::default);
        for (i, layer) in self.hidden.iter().enumerate() {
            let mut h = std::mem::take(&mut tape.hidden[i].0);
            h.resize(layer.outputs * rows, 0.0);
            let input = self.input(i, x, &tape.hidden, rows);
            let weight = layer.weight(flat, input.shape.0, layer.outputs);
            product(&mut h, (rows, 1), weight.transposed(), input, false);
            let inactive = match self.activation {
                Activation::Relu => {
                    rectify(&mut h, layer.bias(flat));
                    tape.dropout.iter_mut().for_each(|dropout| dropout.apply(&mut h));
                    h.rchunks_exact(rows).take_while(|unit| is_inactive(unit)).count()
                }
                Activation::Tanh => {
                    squash(&mut h, layer.bias(flat));
                    0
                }
            };
            tape.hidden[i] = (h, (layer.outputs - inactive).max(1));
        }
        let (input, mut from) = (self.input(self.hidden.len(), x, &tape.hidden, rows), 0);
        for head in &self.heads {
            for row in out.chunks_exact_mut(width) {
                row[from..from + head.outputs].copy_from_slice(head.bias(flat));
            }
            let weight = head.weight(flat, input.shape.0, head.outputs);
            product(&mut out[from..], (1, width), weight.transposed(), input, true);
            from += head.outputs;
        }
    }

    /// The gradient of `Σ at_outputs · out` of the last forward pass at all hidden layers' sums; `at_outputs`:
    /// `[rows, outputs]`.
    pub fn backward(&self, flat: &[f32], at_outputs: &[f32], tape: &mut Tape) {
        let (width, depth) = (self.outputs(), self.hidden.len());
        let (rows, Tape { hidden, gradients, dropout }) = (at_outputs.len() / width, tape);
        gradients.resize_with(depth, Vec::new);
        for i in (0..depth).rev() {
            let (h, active) = &hidden[i];
            let (here, above) = gradients[i..].split_first_mut().expect("a layer each");
            here.resize(active * rows, 0.0);
            let mut carry_back = |layer: &Layer, above: View<'_>, add: bool| {
                product(here, (rows, 1), layer.weight(flat, *active, above.shape.0), above, add);
            };
            match above.first() {
                Some(above) => carry_back(&self.hidden[i + 1], View::rows(above, hidden[i + 1].1, rows), false),
                None => {
                    let mut from = 0;
                    for head in &self.heads {
                        carry_back(
                            head,
                            View::part(&at_outputs[from..], rows, head.outputs, width).transposed(),
                            from > 0,
                        );
                        from += head.outputs;
                    }
                }
            }
            match self.activation {
                Activation::Relu => {
                    relu_backward(here, h);
                    let scale = dropout.as_ref().map(Dropout::scale);
                    scale.into_iter().for_each(|scale| here.iter_mut().for_each(|g| *g *= scale));
                }
                Activation::Tanh => tanh_backward(here, h),
            }
        }
    }

    /// Writes, or adds, the gradient of `Σ at_outputs · out` of the last passes at the inputs from number `from` on,
    /// `[rows, n]`.
    pub fn at_inputs(&self, flat: &[f32], at_outputs: &[f32], tape: &Tape, from: usize, out: &mut [f32], add: bool) {
        let (rows, inputs, width) = (at_outputs.len() / self.outputs(), self.inputs(), self.outputs());
        let n = out.len() / rows;
        if let (Some(layer), Some((_, active))) = (self.hidden.first(), tape.hidden.first()) {
            let at_sums = View::rows(&tape.gradients[0], *active, rows).transposed();
            let weight = layer.weight(flat, inputs, *active).rows_from(from, n);
            return product(out, (n, 1), at_sums, weight.transposed(), add);
        }
        let mut first = 0;
        for head in &self.heads {
            let at_head = View::part(&at_outputs[first..], rows, head.outputs, width);
            let weight = head.weight(flat, inputs, head.outputs).rows_from(from, n);
            product(out, (n, 1), at_head, weight.transposed(), add || first > 0);
            first += head.outputs;
        }
    }

    /// The input of a layer, counted through hidden ones and heads, and the gradient at its sums, as `[units, rows]`.
    fn input_and_gradient<'a>(&self, layer: usize, seen: Seen<'a>) -> [View<'a>; 2] {
        let (Seen { x, at_outputs, tape, .. }, depth, width) = (seen, self.hidden.len(), self.outputs());
        let rows = at_outputs.len() / width;
        let input = self.input(layer.min(depth), x, &tape.hidden, rows);
        let Some(head) = layer.checked_sub(depth) else {
            return [input, View::rows(&tape.gradients[layer], tape.hidden[layer].1, rows)];
        };
        let from: usize = self.heads[..head].iter().map(|h| h.outputs).sum();
        [input, View::part(&at_outputs[from..], rows, self.heads[head].outputs, width).transposed()]
    }

    /// Adds to `out`, `[rows]`, each row's own squared norm of the gradient of all weights and biases (Goodfellow 2015).
    pub fn squared_norms(&self, seen: Seen<'_>, out: &mut [f64]) {
        let of_row = |view: View<'_>, row: usize| -> f64 {
            (0..view.shape.0).map(|unit| f64::from(view.data[unit * view.steps.0 + row * view.steps.1]).powi(2)).sum()
        };
        for layer in 0..self.hidden.len() + self.heads.len() {
            let [input, at_sums] = self.input_and_gradient(layer, seen);
            let of = |row: usize| (of_row(input, row) + 1.0) * of_row(at_sums, row);
            out.iter_mut().enumerate().for_each(|(row, out)| *out += of(row));
        }
    }

    /// Adds the gradient of all weights and biases over the rows of both passes; `gradient` is laid out as the flat
    /// parameters.
    pub fn gradient(&self, seen: Seen<'_>, gradient: &mut [f32]) {
        for (i, layer) in self.hidden.iter().chain(&self.heads).enumerate() {
            self.weights(i, 0, &[seen], &mut gradient[layer.weight..layer.weight + layer.inputs * layer.outputs]);
            self.biases(i, &[seen], &mut gradient[layer.bias..layer.bias + layer.outputs]);
        }
    }

    /// Adds the gradient of a layer's weights from input number `from` on, `[inputs, outputs]`, over all rows seen.
    pub fn weights(&self, layer: usize, from: usize, seen: &[Seen<'_>], gradient: &mut [f32]) {
        let outputs = self.hidden.get(layer).unwrap_or_else(|| &self.heads[layer - self.hidden.len()]).outputs;
        for seen in seen {
            let [input, at_sums] = self.input_and_gradient(layer, *seen);
            let input = input.rows_from(from, gradient.len() / outputs);
            product(gradient, (outputs, 1), input, at_sums.transposed(), true);
        }
    }

    /// Adds the gradient of a layer's biases.
    pub fn biases(&self, layer: usize, seen: &[Seen<'_>], gradient: &mut [f32]) {
        for seen in seen {
            let at_sums = self.input_and_gradient(layer, *seen)[1];
            for (i, bias) in gradient.iter_mut().enumerate().take(at_sums.shape.0) {
                let unit = &at_sums.data[i * at_sums.steps.0..];
                *bias += match at_sums.steps.1 {
                    1 => sum(&unit[..at_sums.shape.1]),
                    step => unit.iter().step_by(step).take(at_sums.shape.1).sum(),
                };
            }
        }
    }
}

/// `max(h + bias, 0)`; `h` is `[units, rows]`, `bias` `[units]`.
pub(crate) fn rectify(h: &mut [f32], bias: &[f32]) {
    let rows = h.len() / bias.len().max(1);
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (h, b) in h.chunks_exact_mut(rows.max(1)).zip(bias) {
                // Not `max`, which would hide what is no number.
                for h in h {
                    let x = *h + b;
                    *h = if x < 0.0 { 0.0 } else { x };
                }
            }
        },
    );
}

/// `tanh(h + bias)`; `h` is `[units, rows]`, `bias` `[units]`.
fn squash(h: &mut [f32], bias: &[f32]) {
    let rows = h.len() / bias.len().max(1);
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (h, b) in h.chunks_exact_mut(rows.max(1)).zip(bias) {
                h.iter_mut().for_each(|h| *h = tanh(*h + b));
            }
        },
    );
}

/// The derivative of tanh is 1 − tanh².
fn tanh_backward(gradient: &mut [f32], h: &[f32]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || gradient.iter_mut().zip(h).for_each(|(g, h)| *g *= 1.0 - h * h),
    );
}

/// tanh x = e / (e + 2) with e = exp(2x) − 1, without branches, so that it vectorises; accurate to a few units in the
/// last place, also near 0. Bit-identical on every machine.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    // Beyond 9 it is ±1 in f32. A comparison with what is no number is false: that stays none.
    let y = if x > 9.0 { 9.0 } else { x };
    let y = 2.0 * if y < -9.0 { -9.0 } else { y };
    // y = n ln 2 + r, |r| ≤ ln 2 / 2. Adding and taking away 1.5 · 2²³ rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let shifted = y * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, the first of few bits, so that n times it is exact.
    let r = (y - n * 0.693_359_4) - n * -2.121_944_4e-4;
    // exp(r) − 1 by Taylor's series: what is left out is below 2⁻²⁷ of it.
    let tail = 1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0))));
    let less = r + r * r * (0.5 + r * tail);
    let power = f32::from_bits((shifted.to_bits().wrapping_shl(23)).wrapping_add(127 << 23));
    let e = power * less + (power - 1.0);
    e / (e + 2.0)
}

/// The gradient is zero where the unit's output was.
pub(crate) fn relu_backward(gradient: &mut [f32], h: &[f32]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || gradient.iter_mut().zip(h).for_each(|(g, h)| *g = if *h <= 0.0 { 0.0 } else { *g }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::host_view;
    use crate::net::Builder;
    use agon_core::rng::Stream;
    use tch::{Device, Kind, Tensor};

    fn close(a: &[f32], b: &Tensor) {
        let b = b.contiguous().view([-1]);
        let b = host_view(&b).unwrap();
        let largest = b.iter().fold(1f32, |m, x| m.max(x.abs()));
        assert!(a.len() == b.len());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5 * largest), "{a:?} is not {b:?}");
    }

    /// libtorch's own gradients, for shapes that are and are not whole registers: no hidden layer, one, two; two heads.
    #[test]
    fn both_passes_are_libtorchs() {
        let mut rng = Rng::new(3, Stream::Act, 0);
        // Sizes from the input on, heads, rows, and how many units of each hidden layer are inactive behind the others.
        let cases = [
            (vec![4], vec![2], 3, 0),
            (vec![4], vec![1], 5, 0),
            (vec![4, 8], vec![1], 5, 0),
            (vec![4, 256, 256], vec![2], 32, 0),
            (vec![5, 17], vec![3, 1], 1, 0),
            (vec![3, 33, 19], vec![6, 51], 67, 0),
            (vec![4, 256, 256], vec![2], 32, 100),
            (vec![3, 33, 19], vec![6, 51], 67, 7),
            (vec![3, 8, 8], vec![2], 5, 8),
        ];
        let both = [Activation::Relu, Activation::Tanh];
        for ((sizes, heads, rows, inactive), activation) in cases.iter().flat_map(|case| both.map(|a| (case, a))) {
            let (rows, inactive) = (*rows, *inactive);
            let mut b = Builder::new(7);
            let mut layer = |name: &str, i: usize, o: usize| {
                (b.orthogonal(name, i, o, 1.0), b.constant(&format!("{name}.bias"), &[o as i64], 0.1))
            };
            let hidden: Vec<_> = sizes.windows(2).map(|w| layer("hidden", w[0], w[1])).collect();
            let heads: Vec<_> = heads.iter().map(|&o| layer("head", sizes[sizes.len() - 1], o)).collect();
            let params = b.finish(Device::Cpu);
            for &(_, bias) in hidden.iter().filter(|_| activation == Activation::Relu) {
                let bias = tch::no_grad(|| params.leaves[bias].shallow_clone());
                let units = bias.numel() as i64;
                let _ = tch::no_grad(|| bias.narrow(0, units - inactive, inactive).fill_(-100.0));
            }
            let net = Dense::new(&params, &hidden, &heads, activation);
            let mut drawn = |n: usize| (0..n).map(|_| rng.normal() as f32).collect::<Vec<_>>();
            let (x, at_outputs) = (drawn(rows * net.inputs()), drawn(rows * net.outputs()));

            let leaf = Tensor::from_slice(&x).view([rows as i64, -1]).set_requires_grad(true);
            let mut h = leaf.shallow_clone();
            for (w, b) in hidden {
                let sum = params.leaves[b].addmm(&h, &params.leaves[w]);
                h = if activation == Activation::Tanh { sum.tanh() } else { sum.relu() };
            }
            let outs: Vec<_> = heads.iter().map(|&(w, b)| params.leaves[b].addmm(&h, &params.leaves[w])).collect();
            let out = Tensor::cat(&outs, 1);
            let sum = (&out * Tensor::from_slice(&at_outputs).view_as(&out)).sum(Kind::Float);
            let at_x = Tensor::run_backward(&[&sum], &[&leaf], true, false).remove(0);
            let gradient = params.gradient(&sum);

            let (mut tape, mut mine) = (Tape::default(), vec![0.0; rows * net.outputs()]);
            let (flat, mut flow) = (host_view(&params.flat).unwrap(), vec![0.0; params.count() as usize]);
            net.forward(flat, &x, &mut mine, &mut tape);
            close(&mine, &out.detach());
            if activation == Activation::Relu {
                assert!(tape.hidden.iter().all(|(h, active)| *active <= (h.len() / rows - inactive as usize).max(1)));
            }
            net.backward(flat, &at_outputs, &mut tape);
            let seen = [Seen { x: &x, at_outputs: &at_outputs, tape: &tape, front: &[] }];
            for (i, layer) in net.hidden.iter().chain(&net.heads).enumerate() {
                // In two parts, as two threads do.
                let half = layer.inputs / 2;
                let [first, last] = [(0, half), (half, layer.inputs)]
                    .map(|(from, to)| layer.weight + from * layer.outputs..layer.weight + to * layer.outputs);
                net.weights(i, 0, &seen, &mut flow[first]);
                net.weights(i, half, &seen, &mut flow[last]);
                net.biases(i, &seen, &mut flow[layer.bias..layer.bias + layer.outputs]);
            }
            close(&flow, &gradient);
            flow.fill(0.0);
            net.gradient(seen[0], &mut flow);
            close(&flow, &gradient);
            for from in 0..net.inputs() {
                let n = net.inputs() - from;
                let mut at_inputs = vec![f32::NAN; rows * n];
                net.at_inputs(flat, &at_outputs, &tape, from, &mut at_inputs, false);
                close(&at_inputs, &at_x.narrow(1, from as i64, n as i64));
                net.at_inputs(flat, &at_outputs, &tape, from, &mut at_inputs, true);
                close(&at_inputs, &(at_x.narrow(1, from as i64, n as i64) * 2.0));
            }
        }
    }

    #[test]
    fn tanh_is_right_to_the_last_places() {
        for i in -200_000..=200_000 {
            let x = i as f32 * 5e-5;
            let right = f64::from(x).tanh();
            assert!((f64::from(tanh(x)) - right).abs() <= 3e-7 * right.abs(), "tanh {x} is {}, not {right}", tanh(x));
        }
        for (x, y) in [(0.0, 0.0), (1e-30, 1e-30), (-50.0, -1.0), (f32::INFINITY, 1.0), (f32::NEG_INFINITY, -1.0)] {
            assert_eq!(tanh(x), y);
        }
        assert!(tanh(f32::NAN).is_nan());
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let mut b = Builder::new(7);
        let hidden = (b.orthogonal("hidden", 2, 3, 1.0), b.constant("bias", &[3], 0.0));
        let head = (b.orthogonal("head", 3, 1, 1.0), b.constant("bias", &[1], 0.0));
        let params = b.finish(Device::Cpu);
        let net = Dense::new(&params, &[hidden], &[head], Activation::Relu);
        let mut out = [0.0; 2];
        net.forward(host_view(&params.flat).unwrap(), &[f32::NAN, 1.0, 2.0, 3.0], &mut out, &mut Tape::default());
        assert!(out[0].is_nan() && out[1].is_finite());
    }

    #[test]
    #[should_panic(expected = "fits")]
    fn a_product_stays_in_its_memory() {
        let (a, b) = ([1.0; 6], [1.0; 6]);
        product(&mut [0.0; 3], (2, 1), View::rows(&a, 2, 3), View::rows(&b, 3, 2), false);
    }

    /// Without biases the output is linear in every layer's weights as long as the same units are active: Σ w · ∂/∂w is the
    /// output itself (Euler), for each layer, also where dropout leaves some out and makes others larger.
    #[test]
    fn gradients_heed_dropout() {
        let (mut b, sizes) = (Builder::new(3), [5, 40, 40, 2]);
        let layers = crate::net::Mlp::new(&mut b, "x", &sizes, Activation::Relu, crate::net::Last::Head(1.0));
        let params = b.finish(Device::Cpu);
        let (hidden, head) = layers.layers().split_at(2);
        let net = Dense::new(&params, hidden, head, Activation::Relu);
        let mut rng = Rng::new(1, Stream::Env, 0);
        let mut drawn = |n: usize| (0..n).map(|_| rng.normal() as f32).collect::<Vec<_>>();
        let (x, at_outputs) = (drawn(7 * 5), drawn(7 * 2));
        let dropout = Some(Dropout { rate: 0.4, rng: Rng::new(2, Stream::Act, 0) });
        let (mut tape, mut out) = (Tape { dropout, ..Tape::default() }, vec![0.0; 7 * 2]);
        let (flat, mut flow) = (host_view(&params.flat).unwrap(), vec![0.0; params.count() as usize]);
        net.forward(flat, &x, &mut out, &mut tape);
        let zeros = tape.hidden[0].0.iter().filter(|h| **h == 0.0).count() as f64 / 280.0;
        assert!((0.6..0.8).contains(&zeros), "half of six tenths are left: {zeros}");
        net.backward(flat, &at_outputs, &mut tape);
        net.gradient(Seen { x: &x, at_outputs: &at_outputs, tape: &tape, front: &[] }, &mut flow);
        let whole: f32 = out.iter().zip(&at_outputs).map(|(a, b)| a * b).sum();
        for (weight, _) in layers.layers() {
            let place = params.place(*weight);
            let sum: f32 = flat[place.clone()].iter().zip(&flow[place]).map(|(w, g)| w * g).sum();
            assert!((sum / whole - 1.0).abs() < 1e-3, "{sum} is not {whole}");
        }
    }
}
