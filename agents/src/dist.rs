//! What a policy's outputs mean: categorical choices under masks, or a Gaussian.
//!
//! Sampling runs on the host with Agon's own random numbers; the same formulas over tensors give the loss its
//! gradients.

use agon_core::rng::Rng;
use agon_core::spec::ActionSpec;
use agon_core::{ActionsMut, Spec};
use tch::{Kind, Tensor};

/// ln √(2π)
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_7;
/// What a forbidden choice's logit becomes: its probability is exactly zero in f32.
const FORBIDDEN: f64 = -1e9;

/// The kind of distribution a spec asks for.
#[derive(Clone, Debug)]
pub enum Head {
    /// Independent choices; the network gives their logits side by side.
    Categorical {
        /// Choices of each part.
        sizes: Vec<usize>,
    },
    /// Independent normals; the network gives means in units where the bounds are ±1.
    Gaussian {
        /// Middle and half width of each bound.
        scale: Vec<(f32, f32)>,
    },
}

/// Where drawn actions go.
#[derive(Debug)]
pub struct Drawn<'a> {
    /// `[rows, len]` as the loss needs them: choices, or normals before scaling.
    pub raw: &'a mut [f32],
    /// `[rows, len]` as the environment does.
    pub actions: ActionsMut<'a>,
    /// `[rows]` their log-probabilities.
    pub log_prob: &'a mut [f32],
}

impl Head {
    /// The one that fits.
    pub fn of(spec: &Spec) -> Self {
        match &spec.action {
            ActionSpec::Continuous { fields } => Self::Gaussian {
                scale: fields.iter().map(|f| ((f.low + f.high) / 2.0, (f.high - f.low) / 2.0)).collect(),
            },
            other => Self::Categorical { sizes: other.choices() },
        }
    }

    /// Numbers the network must give.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Categorical { sizes } => sizes.iter().sum(),
            Self::Gaussian { scale } => scale.len(),
        }
    }

    /// Whether an action is one choice, as a move of a game is.
    pub fn is_one_choice(&self) -> bool {
        matches!(self, Self::Categorical { sizes } if sizes.len() == 1)
    }

    /// Numbers in one action.
    pub fn width(&self) -> usize {
        match self {
            Self::Categorical { sizes } => sizes.len(),
            Self::Gaussian { scale } => scale.len(),
        }
    }

    /// Draws actions for all rows from the network's outputs.
    pub fn sample(&self, out: &[f32], log_std: &[f32], mask: &[bool], rng: &mut Rng, drawn: Drawn<'_>) {
        let Drawn { raw, mut actions, log_prob } = drawn;
        let (outputs, width) = (self.outputs(), self.width());
        for (row, log_prob) in log_prob.iter_mut().enumerate() {
            let out = &out[row * outputs..(row + 1) * outputs];
            let mut total = 0.0;
            match self {
                Self::Categorical { sizes } => {
                    let mut from = 0;
                    for (k, &n) in sizes.iter().enumerate() {
                        let legal = |i: usize| mask.is_empty() || mask[row * outputs + from + i];
                        let part = &out[from..from + n];
                        let top = (0..n).filter(|&i| legal(i)).map(|i| part[i]).fold(f32::NEG_INFINITY, f32::max);
                        let weight = |i: usize| if legal(i) { (part[i] - top).exp() } else { 0.0 };
                        let sum: f32 = (0..n).map(weight).sum();
                        let (mut left, mut pick) = (rng.f32() * sum, 0);
                        for i in (0..n).filter(|&i| legal(i)) {
                            pick = i;
                            left -= weight(i);
                            if left < 0.0 {
                                break;
                            }
                        }
                        total += part[pick] - top - sum.ln();
                        raw[row * width + k] = pick as f32;
                        actions.set(row * width + k, pick as f64);
                        from += n;
                    }
                }
                Self::Gaussian { scale } => {
                    for (k, &(middle, half)) in scale.iter().enumerate() {
                        let z = rng.normal() as f32;
                        let x = out[k] + log_std[k].exp() * z;
                        total += -0.5 * z * z - log_std[k] - HALF_LN_TAU as f32;
                        raw[row * width + k] = x;
                        actions.set(row * width + k, f64::from(middle + half * x.clamp(-1.0, 1.0)));
                    }
                }
            }
            *log_prob = total;
        }
    }

    /// The most probable legal action of every row.
    pub fn mode(&self, out: &[f32], mask: &[bool], mut actions: ActionsMut<'_>) {
        let (outputs, width) = (self.outputs(), self.width());
        for row in 0..out.len() / outputs {
            let out = &out[row * outputs..(row + 1) * outputs];
            match self {
                Self::Categorical { sizes } => {
                    let mut from = 0;
                    for (k, &n) in sizes.iter().enumerate() {
                        let legal = |i: &usize| mask.is_empty() || mask[row * outputs + from + i];
                        let best = (0..n).filter(legal).fold(None, |best: Option<usize>, i| match best {
                            Some(b) if out[from + b] >= out[from + i] => Some(b),
                            _ => Some(i),
                        });
                        actions.set(row * width + k, best.unwrap_or(0) as f64);
                        from += n;
                    }
                }
                Self::Gaussian { scale } => {
                    for (k, &(middle, half)) in scale.iter().enumerate() {
                        actions.set(row * width + k, f64::from(middle + half * out[k].clamp(-1.0, 1.0)));
                    }
                }
            }
        }
    }

    /// Log-probabilities `[rows]` of `raw` actions `[rows, len]`, and the mean entropy where it is asked for.
    pub fn evaluate(&self, out: &Tensor, b: &Taken<'_>, entropy: bool) -> (Tensor, Option<Tensor>) {
        match self {
            Self::Categorical { sizes } => {
                let logits = match b.mask {
                    Some(mask) => out.masked_fill(&mask.logical_not(), FORBIDDEN),
                    None => out.shallow_clone(),
                };
                let choice = b.raw.to_kind(Kind::Int64);
                let part = |logits: &Tensor, choice: &Tensor| {
                    let log_p = logits.log_softmax(-1, None);
                    let mean = || -(log_p.exp() * &log_p).sum(Kind::Float) / log_p.size()[0] as f64;
                    (log_p.gather(1, choice, false).squeeze_dim(1), entropy.then(mean))
                };
                if sizes.len() == 1 {
                    return part(&logits, &choice);
                }
                let mut from = 0;
                let parts = sizes.iter().enumerate().map(|(k, &n)| {
                    let logits = logits.narrow(1, from, n as i64);
                    from += n as i64;
                    part(&logits, &choice.narrow(1, k as i64, 1))
                });
                let join = |a: (Tensor, Option<Tensor>), b: (Tensor, Option<Tensor>)| {
                    (a.0 + b.0, a.1.zip(b.1).map(|(a, b)| a + b))
                };
                parts.reduce(join).expect("a spec has at least one choice")
            }
            Self::Gaussian { scale } => {
                let log_std = b.log_std.expect("a Gaussian has deviations");
                let z = (b.raw - out) * (-log_std).exp();
                let log_p: Tensor = z.square() * -0.5 - log_std - HALF_LN_TAU;
                let mean = || log_std.sum(Kind::Float) + scale.len() as f64 * (0.5 + HALF_LN_TAU);
                (log_p.sum_dim_intlist([-1i64].as_slice(), false, None), entropy.then(mean))
            }
        }
    }
}

/// Actions that were taken, as tensors.
#[derive(Clone, Copy, Debug)]
pub struct Taken<'a> {
    /// `[rows, len]`
    pub raw: &'a Tensor,
    /// `[rows, mask_len]`
    pub mask: Option<&'a Tensor>,
    /// `[len]`, of a Gaussian.
    pub log_std: Option<&'a Tensor>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;

    /// The host's log-probabilities are the tensor's, for every kind of head.
    #[test]
    fn both_forms_agree() {
        let masked = [true, false, true, true, true, false, true, true, true, true];
        let heads: [(Head, &[bool]); 3] = [
            (Head::Categorical { sizes: vec![5] }, &masked),
            (Head::Categorical { sizes: vec![2, 3] }, &[]),
            (Head::Gaussian { scale: vec![(1.0, 2.0); 5] }, &[]),
        ];
        for (head, mask) in heads {
            let out: Vec<f32> = (0..10).map(|i| (i as f32 * 1.7).sin()).collect();
            let log_std = [0.1f32, -0.3, 0.2, 0.0, -1.0];
            let width = head.width();
            let (mut raw, mut log_prob) = (vec![0.0; 2 * width], vec![0.0; 2]);
            let (mut choices, mut numbers) = (vec![0i64; 2 * width], vec![0f32; 2 * width]);
            let actions = match head {
                Head::Gaussian { .. } => ActionsMut::Continuous(&mut numbers),
                _ => ActionsMut::Discrete(&mut choices),
            };
            let mut rng = Rng::new(3, Stream::Act, 0);
            let drawn = Drawn { raw: &mut raw, actions, log_prob: &mut log_prob };
            head.sample(&out, &log_std, mask, &mut rng, drawn);
            let tensor = |x: &[f32], w: usize| Tensor::from_slice(x).view([2, w as i64]);
            let allowed = (!mask.is_empty()).then(|| Tensor::from_slice(mask).view([2, 5]));
            let log_std = Tensor::from_slice(&log_std);
            let raw = tensor(&raw, width);
            let taken = Taken { raw: &raw, mask: allowed.as_ref(), log_std: Some(&log_std) };
            let (log_p, _) = head.evaluate(&tensor(&out, 5), &taken, false);
            for (row, host) in log_prob.iter().enumerate() {
                assert!((f64::from(*host) - log_p.double_value(&[row as i64])).abs() < 1e-5, "{head:?}");
            }
        }
    }

    #[test]
    fn forbidden_choices_are_never_drawn_and_get_no_gradient() {
        let head = Head::Categorical { sizes: vec![3] };
        let mut rng = Rng::new(1, Stream::Act, 0);
        let mask = [false, true, true];
        for _ in 0..2000 {
            let (mut raw, mut choice, mut log_prob) = ([0.0], [0i64], [0.0]);
            let actions = ActionsMut::Discrete(&mut choice);
            let drawn = Drawn { raw: &mut raw, actions, log_prob: &mut log_prob };
            head.sample(&[50.0, 0.0, -3.0], &[], &mask, &mut rng, drawn);
            assert_ne!(choice[0], 0);
        }
        let logits = Tensor::from_slice(&[50.0f32, 0.0, -3.0]).view([1, 3]).set_requires_grad(true);
        let raw = Tensor::from_slice(&[1.0f32]).view([1, 1]);
        let mask = Tensor::from_slice(&mask).view([1, 3]);
        let taken = Taken { raw: &raw, mask: Some(&mask), log_std: None };
        let (log_p, entropy) = head.evaluate(&logits, &taken, true);
        (log_p + entropy.unwrap()).sum(Kind::Float).backward();
        assert_eq!(logits.grad().double_value(&[0, 0]), 0.0);
        assert_ne!(logits.grad().double_value(&[0, 2]), 0.0);
    }
}
