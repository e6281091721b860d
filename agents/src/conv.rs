//! Convolutions that a network reads pictures with: as settings, as shapes, and both passes on the host, where each is a
//! matrix product over patches of the picture (im2col: Chellapilla, Puri and Simard 2006). No padding; a rectifier follows
//! each. Pictures and what is made of them are `[channels, height, width]`, kernels `[outputs, channels, kernel, kernel]`.

use crate::dense::{View, product, rectify, relu_backward, sum};
use crate::net::{Builder, Params};
use agon_core::settings::Setting;
use serde_json::Value;
use std::ops::Range;
use tch::Tensor;

/// A convolution as a scenario writes it, `[channels, kernel, stride]`: output channels, side of the square kernel, and
/// stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters {
    /// Output channels.
    pub channels: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    /// The stride.
    pub stride: usize,
}

impl Setting for Filters {
    fn kind() -> String {
        "[channels, kernel, stride]".into()
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        match Vec::from_value(value)?[..] {
            [channels, kernel, stride] => Ok(Self { channels, kernel, stride }),
            _ => Err(format!("expected three integers, [channels, kernel, stride], found {value}")),
        }
    }

    fn to_value(&self) -> Value {
        [self.channels, self.kernel, self.stride].to_vec().into()
    }

    fn numbers(&self) -> Vec<f64> {
        [self.channels, self.kernel, self.stride].map(|x| x as f64).to_vec()
    }
}

/// A convolution with the shapes of its input and output.
#[derive(Clone, Copy, Debug)]
struct Layer {
    /// `[channels, height, width]`
    from: [usize; 3],
    to: [usize; 3],
    kernel: usize,
    stride: usize,
}

impl Layer {
    /// Size of the input.
    fn inputs(&self) -> usize {
        self.from.iter().product()
    }

    /// Size of the output.
    fn outputs(&self) -> usize {
        self.to.iter().product()
    }

    /// Positions of the kernel, and inputs at each.
    fn patches(&self) -> [usize; 2] {
        [self.to[1] * self.to[2], self.from[0] * self.kernel * self.kernel]
    }

    /// Numbers of its weights.
    fn weights(&self) -> usize {
        self.to[0] * self.patches()[1]
    }

    /// Calls `each` with the beginnings of all runs of a row of places that see a row of the picture: among the
    /// patches, `[seen, places]`, and in the picture.
    fn rows(&self, mut each: impl FnMut(usize, usize)) {
        let ([channels, height, width], [_, down, across], k) = (self.from, self.to, self.kernel);
        for seen in 0..channels * k * k {
            let (channel, y, x) = (seen / (k * k), seen / k % k, seen % k);
            for row in 0..down {
                each((seen * down + row) * across, (channel * height + row * self.stride + y) * width + x);
            }
        }
    }

    /// `x`: a picture, `patches`: `[seen, places]`.
    fn cut(&self, x: &[f32], patches: &mut [f32]) {
        let (across, stride) = (self.to[2], self.stride);
        self.rows(|to, from| {
            let to = &mut patches[to..to + across];
            match stride {
                1 => to.copy_from_slice(&x[from..from + across]),
                _ => to.iter_mut().zip(x[from..].iter().step_by(stride)).for_each(|(to, x)| *to = *x),
            }
        });
    }

    /// The adjoint: adds the patches where they were cut from.
    fn paste(&self, patches: &[f32], x: &mut [f32]) {
        let (across, stride) = (self.to[2], self.stride);
        self.rows(|from, to| {
            let places = x[to..].iter_mut().step_by(stride);
            places.zip(&patches[from..from + across]).for_each(|(x, patch)| *x += patch);
        });
    }
}

/// The shapes of convolutions one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Stack(Vec<Layer>);

impl Stack {
    /// These convolutions of a picture `[channels, height, width]`; or which of them is larger than its input.
    pub fn new(picture: [usize; 3], filters: &[Filters]) -> Result<Self, String> {
        let (mut from, mut layers) = (picture, Vec::new());
        for (i, &Filters { channels, kernel, stride }) in filters.iter().enumerate() {
            let [_, height, width] = from;
            if kernel > height.min(width) {
                return Err(format!("layer {} sees {kernel} × {kernel} of only {height} × {width}", i + 1));
            }
            let to = [channels, (height - kernel) / stride + 1, (width - kernel) / stride + 1];
            layers.push(Layer { from, to, kernel, stride });
            from = to;
        }
        Ok(Self(layers))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Output sizes, layer by layer.
    pub fn outputs(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.0.iter().map(Layer::outputs)
    }

    /// The number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.0.iter().map(|layer| layer.weights() + layer.to[0]).sum()
    }
}

/// Convolutions with their parameters, which are the first of a network's: weights and biases, layer by layer.
#[derive(Clone, Debug)]
pub struct Conv {
    layers: Vec<Layer>,
    /// Weights and biases in [`Params::leaves`].
    leaves: Vec<[usize; 2]>,
    /// The same in the flat parameters.
    places: Vec<[Range<usize>; 2]>,
}

/// What the backward pass needs of the forward pass, and buffers for both.
#[derive(Debug, Default)]
pub struct Tape {
    /// `[rows, outputs]` of every layer.
    made: Vec<Vec<f32>>,
    /// Of one picture.
    patches: Vec<f32>,
    /// Gradients at a layer's outputs and inputs, `[rows, numbers]`.
    gradients: [Vec<f32>; 2],
}

impl Tape {
    /// The last layer's outputs, `[rows, outputs]`.
    pub fn made(&self) -> &[f32] {
        self.made.last().map_or(&[], |made| made)
    }
}

impl Conv {
    /// Fresh parameters, orthogonal with gain √2; biases zero. Nothing must be in `b` yet.
    pub fn new(b: &mut Builder, stack: &Stack) -> Self {
        let (mut leaves, mut places, mut at) = (Vec::new(), Vec::new(), 0);
        for (i, layer) in stack.0.iter().enumerate() {
            let [channels, outputs] = [layer.from[0], layer.to[0]];
            let gain = std::f64::consts::SQRT_2;
            let weight = b.convolution(&format!("conv.{i}.weight"), channels, outputs, layer.kernel, gain);
            leaves.push([weight, b.constant(&format!("conv.{i}.bias"), &[outputs as i64], 0.0)]);
            let bias = at + layer.weights();
            places.push([at..bias, bias..bias + outputs]);
            at = bias + outputs;
        }
        Self { layers: stack.0.clone(), leaves, places }
    }

    /// `x`: pictures, `[rows, numbers]`; the outputs are in the tape.
    pub fn forward(&self, flat: &[f32], x: &[f32], tape: &mut Tape) {
        tape.made.resize_with(self.layers.len(), Vec::new);
        for (i, (layer, [weight, bias])) in self.layers.iter().zip(&self.places).enumerate() {
            let [places, seen] = layer.patches();
            let (before, here) = tape.made.split_at_mut(i);
            let (x, out) = (before.last().map_or(x, |made| made), &mut here[0]);
            let rows = x.len() / layer.inputs();
            out.resize(rows * layer.outputs(), 0.0);
            tape.patches.resize(places * seen, 0.0);
            let weight = View::rows(&flat[weight.clone()], layer.to[0], seen);
            for (x, out) in x.chunks_exact(layer.inputs()).zip(out.chunks_exact_mut(layer.outputs())) {
                layer.cut(x, &mut tape.patches);
                product(out, (places, 1), weight, View::rows(&tape.patches, seen, places), false);
                rectify(out, &flat[bias.clone()]);
            }
        }
    }

    /// Adds the gradient of `Σ at_outputs · made` of the last forward pass, which was of the same pictures `x`, to
    /// `gradient`, which begins where the flat parameters do. `at_outputs`: `[rows, outputs]`.
    pub fn backward(&self, flat: &[f32], x: &[f32], at_outputs: &[f32], tape: &mut Tape, gradient: &mut [f32]) {
        let Tape { made, patches, gradients: [here, below] } = tape;
        here.clear();
        here.extend_from_slice(at_outputs);
        for (i, (layer, [weight, bias])) in self.layers.iter().zip(&self.places).enumerate().rev() {
            let [places, seen] = layer.patches();
            let x = if i == 0 { x } else { &made[i - 1] };
            relu_backward(here, &made[i]);
            below.clear();
            below.resize(if i == 0 { 0 } else { x.len() }, 0.0);
            patches.resize(places * seen, 0.0);
            let filters = layer.to[0];
            for (row, at_row) in here.chunks_exact(layer.outputs()).enumerate() {
                let from = row * layer.inputs()..(row + 1) * layer.inputs();
                layer.cut(&x[from.clone()], patches);
                let at_filters = View::rows(at_row, filters, places);
                let cut = View::rows(patches, seen, places).transposed();
                product(&mut gradient[weight.clone()], (seen, 1), at_filters, cut, true);
                let biases = gradient[bias.clone()].iter_mut().zip(at_row.chunks_exact(places));
                biases.for_each(|(gradient, at_filter)| *gradient += sum(at_filter));
                if i > 0 {
                    let weights = View::rows(&flat[weight.clone()], filters, seen).transposed();
                    product(patches, (places, 1), weights, at_filters, false);
                    layer.paste(patches, &mut below[from]);
                }
            }
            std::mem::swap(here, below);
        }
    }

    /// The same by tensor operations, on any device: `[rows, numbers]` to `[rows, outputs]`.
    pub fn tensor(&self, p: &Params, x: &Tensor) -> Tensor {
        let Some(first) = self.layers.first() else { return x.shallow_clone() };
        let [channels, height, width] = first.from.map(|n| n as i64);
        let mut x = x.reshape([-1, channels, height, width]);
        for (layer, [weight, bias]) in self.layers.iter().zip(&self.leaves) {
            let stride = [layer.stride as i64; 2];
            x = x.conv2d(&p.leaves[*weight], Some(&p.leaves[*bias]), stride, [0, 0], [1, 1], 1).relu();
        }
        x.flatten(1, -1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::host_view;
    use agon_core::rng::{Rng, Stream};
    use serde_json::json;
    use tch::{Device, Kind};

    const FILTERS: fn(usize, usize, usize) -> Filters = |channels, kernel, stride| Filters { channels, kernel, stride };

    fn close(a: &[f32], b: &Tensor) {
        let b = b.contiguous().view([-1]);
        let b = host_view(&b).unwrap();
        let largest = b.iter().fold(1f32, |m, x| m.max(x.abs()));
        assert_eq!(a.len(), b.len());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5 * largest), "{a:?} is not {b:?}");
    }

    /// Outputs and gradients agree with libtorch's, for one to three layers with strides that leave a remainder.
    #[test]
    fn both_passes_are_libtorchs() {
        let mut rng = Rng::new(3, Stream::Act, 0);
        let cases = [
            ([4, 10, 10], vec![FILTERS(16, 3, 1)], 7),
            ([1, 5, 9], vec![FILTERS(3, 2, 2)], 1),
            ([2, 12, 11], vec![FILTERS(5, 3, 2), FILTERS(4, 2, 1)], 33),
            ([3, 20, 20], vec![FILTERS(8, 8, 4), FILTERS(6, 2, 1), FILTERS(7, 1, 2)], 5),
        ];
        for (picture, filters, rows) in cases {
            let stack = Stack::new(picture, &filters).unwrap();
            let mut b = Builder::new(1);
            let conv = Conv::new(&mut b, &stack);
            let params = b.finish(Device::Cpu);
            tch::no_grad(|| {
                let numbers: Vec<f32> = (0..params.count()).map(|_| 0.3 * rng.normal() as f32).collect();
                params.flat.shallow_clone().copy_(&Tensor::from_slice(&numbers));
            });
            assert_eq!(params.count() as usize, stack.parameters());
            let outputs = stack.outputs().next_back().unwrap();
            let mut drawn = |n: usize| (0..n).map(|_| rng.normal() as f32).collect::<Vec<_>>();
            let (x, at_outputs) = (drawn(rows * picture.iter().product::<usize>()), drawn(rows * outputs));

            let made = conv.tensor(&params, &Tensor::from_slice(&x).view([rows as i64, -1]));
            let gradient = params.gradient(&(&made * Tensor::from_slice(&at_outputs).view_as(&made)).sum(Kind::Float));

            // Room that was used for something else before.
            let (mut tape, flat) = (Tape::default(), host_view(&params.flat).unwrap());
            conv.forward(flat, &drawn(x.len() * 2), &mut tape);
            conv.forward(flat, &x, &mut tape);
            close(tape.made(), &made.detach());
            let mut flow = vec![1.0; flat.len()];
            conv.backward(flat, &x, &at_outputs, &mut tape, &mut flow);
            close(&flow, &(gradient + 1.0));
        }
    }

    /// By hand: a 3 × 3 picture and a 2 × 2 kernel.
    #[test]
    fn a_convolution_by_hand() {
        let stack = Stack::new([1, 3, 3], &[FILTERS(1, 2, 1)]).unwrap();
        let conv = Conv::new(&mut Builder::new(1), &stack);
        let (flat, mut tape) = ([1.0, 2.0, 3.0, 4.0, -10.0], Tape::default());
        conv.forward(&flat, &[0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 2.0], &mut tape);
        // 2 + 3 + 4 − 10 < 0; 1 + 3 − 10 < 0; 1 + 2 − 10 < 0; 1 + 4 · 2 − 10 < 0
        assert_eq!(tape.made(), [0.0; 4]);
        conv.forward(&[1.0, 2.0, 3.0, 4.0, -3.5], &[0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 2.0], &mut tape);
        assert_eq!(tape.made(), [5.5, 0.5, 0.0, 5.5]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let why = Stack::new([4, 10, 10], &[FILTERS(16, 3, 2), FILTERS(8, 5, 1)]).unwrap_err();
        assert_eq!(why, "layer 2 sees 5 × 5 of only 4 × 4");
        assert_eq!(Filters::from_value(&json!([16, 3, 1])), Ok(FILTERS(16, 3, 1)));
        assert_eq!(FILTERS(16, 3, 1).to_value(), json!([16, 3, 1]));
        for wrong in [json!([16, 3]), json!(3), json!([16, 3, 1.5]), json!([1, 2, 3, 4])] {
            assert!(Filters::from_value(&wrong).is_err(), "{wrong}");
        }
    }
}
