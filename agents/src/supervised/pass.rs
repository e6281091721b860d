//! How a network of tables computes a forward pass: the number type of its matrix products, and dropout where something is
//! learned.

use agon_core::rng::Rng;
use tch::{Device, Kind, Tensor};

/// A forward pass.
pub struct Pass<'a> {
    /// The number type of matrix products; everything between them is float32.
    kind: Kind,
    /// The share of hidden activations that are left out, and what chooses them.
    dropout: Option<(f64, &'a mut Rng)>,
}

impl<'a> Pass<'a> {
    /// One that nothing is learned from.
    pub fn plain(kind: Kind) -> Self {
        Self { kind, dropout: None }
    }

    /// One that leaves this share of hidden activations out.
    pub fn dropping(kind: Kind, rate: f64, rng: &'a mut Rng) -> Self {
        Self { kind, dropout: (rate > 0.0).then_some((rate, rng)) }
    }

    /// The same numbers, and no dropout.
    pub fn without_dropout(&self) -> Pass<'static> {
        Pass { kind: self.kind, dropout: None }
    }

    /// The product of `a` `[…, n, k]` and `b` `[…, k, m]`, in float32.
    pub fn matmul(&self, a: &Tensor, b: &Tensor) -> Tensor {
        match self.kind {
            Kind::Float => a.matmul(b),
            kind => a.to_kind(kind).matmul(&b.to_kind(kind)).to_kind(Kind::Float),
        }
    }

    /// The linear map of `x`, `[…, inputs]`, by a weight `[outputs, inputs]`, in float32.
    pub fn linear(&self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
        match self.kind {
            Kind::Float => x.linear(weight, Some(bias)),
            kind => x.to_kind(kind).linear(&weight.to_kind(kind), None::<&Tensor>).to_kind(Kind::Float) + bias,
        }
    }

    /// Leaves hidden activations out and makes the others larger (Srivastava et al. 2014). Chance is not libtorch's: that is
    /// shared by all threads.
    pub fn dropout(&mut self, h: Tensor) -> Tensor {
        let Some((rate, rng)) = &mut self.dropout else { return h };
        let factors = match h.device() {
            Device::Cpu => {
                let (rate, kept) = (*rate as f32, (1.0 / (1.0 - *rate)) as f32);
                let factors: Vec<f32> = (0..h.numel()).map(|_| if rng.f32() < rate { 0.0 } else { kept }).collect();
                Tensor::from_slice(&factors)
            }
            // Numbers that were drawn on the host would take longer to get there than the pass.
            device => hashed(h.numel() as i64, *rate, [rng.below(u32::MAX), rng.below(u32::MAX)], device),
        };
        let factors = factors.view(h.size().as_slice());
        h * factors
    }
}

/// As many factors, 0 for this share of them, drawn on the device: the places are hashed with two keys, twice by Mueller's
/// function of 32 bits, whose products fit 63.
fn hashed(count: i64, rate: f64, keys: [u32; 2], device: Device) -> Tensor {
    let spread = |x: &Tensor| x.bitwise_xor_tensor(&x.bitwise_right_shift_tensor_scalar(16));
    let all = 0xFFFF_FFFFi64;
    let mut x = Tensor::arange(count, (Kind::Int64, device));
    for key in keys {
        x = x.bitwise_xor(i64::from(key));
        for _ in 0..2 {
            x = (spread(&x) * 0x045D_9F3Bi64).bitwise_and(all);
        }
        x = spread(&x);
    }
    x.ge((rate * 4_294_967_296.0).round() as i64).to_kind(Kind::Float) * (1.0 / (1.0 - rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;

    /// Which ones are left out has the right share, and hangs together neither with neighbours nor with other keys.
    #[test]
    fn factors_of_a_device_are_independent() {
        let n = 100_000;
        let made = |keys| -> Vec<f32> {
            let mut numbers = vec![0f32; n];
            crate::bridge::read_f32(&hashed(n as i64, 0.3, keys, Device::Cpu), &mut numbers);
            numbers
        };
        let (one, other) = (made([1, 2]), made([1, 3]));
        assert_eq!(one, made([1, 2]));
        let share = |zeros: usize| zeros as f64 / n as f64;
        let error = |p: f64| 4.0 * (p * (1.0 - p) / n as f64).sqrt();
        for factors in [&one, &other] {
            assert!(factors.iter().all(|f| *f == 0.0 || (f - 1.0 / 0.7).abs() < 1e-6));
            let zeros = share(factors.iter().filter(|f| **f == 0.0).count());
            assert!((zeros - 0.3).abs() < error(0.3), "{zeros}");
        }
        for away in [1, 2, 7, 64, 1024] {
            let both = one.iter().zip(&one[away..]).filter(|(a, b)| **a == 0.0 && **b == 0.0).count();
            assert!((share(both) - 0.09).abs() < error(0.09), "{away} away: {}", share(both));
        }
        let both = one.iter().zip(&other).filter(|(a, b)| **a == 0.0 && **b == 0.0).count();
        assert!((share(both) - 0.09).abs() < error(0.09), "other keys: {}", share(both));
    }

    /// Products of bfloat16 are those of float32 to three digits, and gradients are float32.
    #[test]
    fn short_products_are_close() {
        let mut rng = Rng::new(1, Stream::Act, 0);
        let mut drawn = |shape: [i64; 2]| {
            let numbers: Vec<f32> = (0..shape[0] * shape[1]).map(|_| rng.normal() as f32).collect();
            Tensor::from_slice(&numbers).view(shape)
        };
        let (a, b, bias) = (drawn([40, 30]), drawn([30, 20]).set_requires_grad(true), drawn([1, 20]).view([20]));
        let [long, short] = [Kind::Float, Kind::BFloat16].map(|kind| {
            let pass = Pass::plain(kind);
            let (product, map) = (pass.matmul(&a, &b), pass.linear(&a, &b.tr().contiguous(), &bias));
            assert_eq!([product.kind(), map.kind()], [Kind::Float; 2]);
            let gradient = Tensor::run_backward(&[(&product.square() + &map).sum(Kind::Float)], &[&b], false, false);
            [product.detach(), map.detach(), gradient[0].shallow_clone()]
        });
        for (long, short) in long.iter().zip(&short) {
            assert_eq!(short.kind(), Kind::Float);
            let off = ((long - short).norm() / long.norm()).double_value(&[]);
            assert!(1e-5 < off && off < 0.01, "{off}");
        }
    }
}
