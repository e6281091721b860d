//! Perceptrons on the host, both passes by hand: for networks of a few hundred units, what tensor operations cost beside
//! their arithmetic is most of the time (docs/adr/0009).
//!
//! Hidden activations are kept unit by unit, `[units, rows]`: then the long dimension of every product of a small
//! minibatch with a large matrix is contiguous, whichever way the matrix is read, and nothing large is transposed.
//!
//! The only `unsafe` of this file is the call of the matrix product, which takes pointers; [`product`] checks them.

use crate::net::Params;
use gemm_common::Parallelism;

/// Rows that a large batch is worked on at a time: activations stay in the nearest caches.
pub const BLOCK: usize = 64;

/// A matrix in somebody's memory: entry `(i, j)` is at `i · steps.0 + j · steps.1`.
#[derive(Clone, Copy)]
struct View<'a> {
    data: &'a [f32],
    shape: (usize, usize),
    steps: (usize, usize),
}

impl<'a> View<'a> {
    /// Row after row.
    fn rows(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { data, shape: (rows, columns), steps: (columns, 1) }
    }

    /// Row after row, of a wider matrix.
    fn part(data: &'a [f32], rows: usize, columns: usize, width: usize) -> Self {
        Self { data, shape: (rows, columns), steps: (width, 1) }
    }

    fn transposed(self) -> Self {
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
fn product(out: &mut [f32], steps: (usize, usize), a: View<'_>, b: View<'_>, add: bool) {
    let ((m, k), n) = (a.shape, b.shape.1);
    assert!(k == b.shape.0, "{:?} times {:?}", a.shape, b.shape);
    assert!(fits(out.len(), (m, n), steps) && fits(a.data.len(), a.shape, a.steps));
    assert!(fits(b.data.len(), b.shape, b.steps));
    // The kernels write columns; rows are the columns of the transposed product, bᵀ aᵀ.
    let (m, n, steps, a, b) =
        if steps.1 == 1 { (n, m, (1, steps.0), b.transposed(), a.transposed()) } else { (m, n, steps, a, b) };
    let signed = |step: usize| step as isize;
    // SAFETY: all three matrices lie within their slices, by the checks above, and `out` is borrowed for itself alone.
    // The steps of `out` tell its entries apart: they are those of whole rows or columns in all calls of this file.
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
    /// `[inputs, outputs]`.
    fn weight<'a>(&self, flat: &'a [f32]) -> View<'a> {
        View::rows(&flat[self.weight..self.weight + self.inputs * self.outputs], self.inputs, self.outputs)
    }

    fn bias<'a>(&self, flat: &'a [f32]) -> &'a [f32] {
        &flat[self.bias..self.bias + self.outputs]
    }

    /// The gradient from the layer's input `[inputs, rows]` and the slope of its output `[outputs, rows]`.
    fn gradient(&self, flat: &mut [f32], input: View<'_>, slope: View<'_>) {
        let weight = &mut flat[self.weight..self.weight + self.inputs * self.outputs];
        product(weight, (self.outputs, 1), input, slope.transposed(), false);
        let bias = &mut flat[self.bias..self.bias + self.outputs];
        if slope.steps.1 == 1 {
            bias.iter_mut().zip(slope.data.chunks_exact(slope.shape.1)).for_each(|(b, unit)| *b = sum(unit));
        } else {
            for (i, bias) in bias.iter_mut().enumerate() {
                *bias = slope.data[i * slope.steps.0..].iter().step_by(slope.steps.1).take(slope.shape.1).sum();
            }
        }
    }
}

/// Sixteen sums side by side: one after the other, additions would wait for each other.
fn sum(xs: &[f32]) -> f32 {
    let (chunks, mut sums) = (xs.chunks_exact(16), [0f32; 16]);
    let rest: f32 = chunks.remainder().iter().sum();
    chunks.for_each(|x| sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x));
    sums.iter().sum::<f32>() + rest
}

/// A perceptron with rectified hidden layers (ReLU) and one linear last layer or several side by side.
#[derive(Clone, Debug)]
pub struct Dense {
    hidden: Vec<Layer>,
    heads: Vec<Layer>,
}

/// What the backward pass needs of the forward pass, and room for it.
#[derive(Debug, Default)]
pub struct Tape {
    /// A layer's activations each, `[units, rows]`.
    hidden: Vec<Vec<f32>>,
    slope: [Vec<f32>; 2],
}

impl Dense {
    /// The network whose layers' weights and biases are these of [`Params::leaves`].
    pub fn new(params: &Params, hidden: &[(usize, usize)], heads: &[(usize, usize)]) -> Self {
        let layer = |&(weight, bias): &(usize, usize)| {
            let shape = params.leaves[weight].size();
            let (inputs, outputs) = (shape[0] as usize, shape[1] as usize);
            Layer { weight: params.place(weight).start, bias: params.place(bias).start, inputs, outputs }
        };
        Self { hidden: hidden.iter().map(layer).collect(), heads: heads.iter().map(layer).collect() }
    }

    /// Numbers in a row of input.
    pub fn inputs(&self) -> usize {
        self.hidden.first().unwrap_or(&self.heads[0]).inputs
    }

    /// Numbers in a row of output: those of all heads.
    pub fn outputs(&self) -> usize {
        self.heads.iter().map(|h| h.outputs).sum()
    }

    /// The input of layer `i` of the hidden ones, or of the heads, as `[units, rows]`.
    fn input<'a>(&self, i: usize, x: &'a [f32], tape: &'a [Vec<f32>], rows: usize) -> View<'a> {
        match i.checked_sub(1) {
            Some(before) => View::rows(&tape[before], self.hidden[before].outputs, rows),
            None => View::rows(x, rows, self.inputs()).transposed(),
        }
    }

    /// `x`: `[rows, inputs]`; `out`: `[rows, outputs]`.
    pub fn forward(&self, flat: &[f32], x: &[f32], out: &mut [f32], tape: &mut Tape) {
        let (rows, width) = (x.len() / self.inputs(), self.outputs());
        tape.hidden.resize_with(self.hidden.len(), Vec::new);
        for (i, layer) in self.hidden.iter().enumerate() {
            let mut h = std::mem::take(&mut tape.hidden[i]);
            h.resize(layer.outputs * rows, 0.0);
            let input = self.input(i, x, &tape.hidden, rows);
            product(&mut h, (rows, 1), layer.weight(flat).transposed(), input, false);
            rectify(&mut h, layer.bias(flat));
            tape.hidden[i] = h;
        }
        let (input, mut from) = (self.input(self.hidden.len(), x, &tape.hidden, rows), 0);
        for head in &self.heads {
            for row in out.chunks_exact_mut(width) {
                row[from..from + head.outputs].copy_from_slice(head.bias(flat));
            }
            product(&mut out[from..], (1, width), head.weight(flat).transposed(), input, true);
            from += head.outputs;
        }
    }

    /// Differentiates `Σ slope · out` of the last forward pass by every weight and bias; the rest of `gradient` stays.
    /// `slope`: `[rows, outputs]`.
    pub fn backward(&self, flat: &[f32], x: &[f32], slope: &[f32], gradient: &mut [f32], tape: &mut Tape) {
        let (rows, width, depth) = (x.len() / self.inputs(), self.outputs(), self.hidden.len());
        let [mut here, mut below] = std::mem::take(&mut tape.slope);
        let mut from = 0;
        for (i, head) in self.heads.iter().enumerate() {
            let slope = View::part(&slope[from..], rows, head.outputs, width).transposed();
            head.gradient(gradient, self.input(depth, x, &tape.hidden, rows), slope);
            if depth > 0 {
                here.resize(head.inputs * rows, 0.0);
                product(&mut here, (rows, 1), head.weight(flat), slope, i > 0);
            }
            from += head.outputs;
        }
        for (i, layer) in self.hidden.iter().enumerate().rev() {
            silence(&mut here, &tape.hidden[i]);
            let slope = View::rows(&here, layer.outputs, rows);
            layer.gradient(gradient, self.input(i, x, &tape.hidden, rows), slope);
            if i > 0 {
                below.resize(layer.inputs * rows, 0.0);
                product(&mut below, (rows, 1), layer.weight(flat), slope, false);
                std::mem::swap(&mut here, &mut below);
            }
        }
        tape.slope = [here, below];
    }
}

/// `max(h + bias, 0)`; `h` is `[units, rows]`, `bias` `[units]`.
fn rectify(h: &mut [f32], bias: &[f32]) {
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

/// Slopes end where the unit was silent.
fn silence(slope: &mut [f32], h: &[f32]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || slope.iter_mut().zip(h).for_each(|(s, h)| *s = if *h <= 0.0 { 0.0 } else { *s }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::host_view;
    use crate::net::Builder;
    use agon_core::rng::{Rng, Stream};
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
        for (sizes, heads, rows) in [
            (vec![4], vec![2], 3),
            (vec![4], vec![1], 5),
            (vec![4, 8], vec![1], 5),
            (vec![4, 256, 256], vec![2], 32),
            (vec![5, 17], vec![3, 1], 1),
            (vec![3, 33, 19], vec![6, 51], 67),
        ] {
            let mut b = Builder::new(7);
            let mut layer = |name: &str, i: usize, o: usize| {
                (b.orthogonal(name, i, o, 1.0), b.constant(&format!("{name}.bias"), &[o as i64], 0.1))
            };
            let hidden: Vec<_> = sizes.windows(2).map(|w| layer("hidden", w[0], w[1])).collect();
            let heads: Vec<_> = heads.iter().map(|&o| layer("head", sizes[sizes.len() - 1], o)).collect();
            let params = b.finish(Device::Cpu);
            let net = Dense::new(&params, &hidden, &heads);
            let mut drawn = |n: usize| (0..n).map(|_| rng.normal() as f32).collect::<Vec<_>>();
            let (x, slope) = (drawn(rows * net.inputs()), drawn(rows * net.outputs()));

            let mut h = Tensor::from_slice(&x).view([rows as i64, -1]);
            for (w, b) in hidden {
                h = params.leaves[b].addmm(&h, &params.leaves[w]).relu();
            }
            let outs: Vec<_> = heads.iter().map(|&(w, b)| params.leaves[b].addmm(&h, &params.leaves[w])).collect();
            let out = Tensor::cat(&outs, 1);
            let gradient = params.gradient(&(&out * Tensor::from_slice(&slope).view_as(&out)).sum(Kind::Float));

            let (mut tape, mut mine) = (Tape::default(), vec![0.0; rows * net.outputs()]);
            let (flat, mut flow) = (host_view(&params.flat).unwrap(), vec![f32::NAN; params.count() as usize]);
            net.forward(flat, &x, &mut mine, &mut tape);
            close(&mine, &out.detach());
            net.backward(flat, &x, &slope, &mut flow, &mut tape);
            close(&flow, &gradient);
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        let mut b = Builder::new(7);
        let hidden = (b.orthogonal("hidden", 2, 3, 1.0), b.constant("bias", &[3], 0.0));
        let head = (b.orthogonal("head", 3, 1, 1.0), b.constant("bias", &[1], 0.0));
        let params = b.finish(Device::Cpu);
        let net = Dense::new(&params, &[hidden], &[head]);
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
}
