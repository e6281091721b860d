//! A Gaussian squashed by tanh, for actions within bounds (Haarnoja et al. 2018, appendix C): u = μ + σ ε, a = tanh u,
//! in units where the bounds are ±1. Mean and deviation depend on the state.
//!
//! Everything is on the host in f64, wherever networks compute: an action's numbers are few.

use agon_core::Spec;
use agon_core::spec::ActionSpec;

/// ln √(2π)
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_7;
/// Logarithms of deviations stay within these, as in the authors' code.
const LOG_STD: [f64; 2] = [-20.0, 2.0];

/// The distribution for a network's outputs: `[2 · len]`, means and then logarithms of deviations.
#[derive(Clone, Debug)]
pub struct Squashed {
    /// Middle and half width of each bound.
    scale: Vec<(f32, f32)>,
}

/// The parts of a drawn action, `[len]` each, for its gradient.
#[derive(Clone, Debug, Default)]
pub struct Draw {
    /// The actions, in (−1, 1).
    pub action: Vec<f64>,
    /// The standard normal numbers that they were drawn with.
    pub noise: Vec<f64>,
    /// Deviations.
    std: Vec<f64>,
    /// Whether the logarithm of the deviation was within its bounds.
    free: Vec<bool>,
}

/// Actions of several rows, with what their gradients need.
#[derive(Clone, Debug, Default)]
pub struct Draws {
    /// `[rows, len]`, in (−1, 1).
    pub actions: Vec<f32>,
    /// `[rows]`: log-probabilities.
    pub log_prob: Vec<f64>,
    rows: Vec<Draw>,
}

impl Draws {
    /// Draws an action for each row of outputs `[rows, 2 · len]` with standard normal numbers `[rows, len]`.
    pub fn take(&mut self, head: &Squashed, out: &[f32], noise: &[f64]) {
        let width = head.len();
        self.rows.resize_with(noise.len() / width, Draw::default);
        self.actions.clear();
        self.log_prob.clear();
        for ((out, draw), noise) in out.chunks_exact(2 * width).zip(&mut self.rows).zip(noise.chunks_exact(width)) {
            self.log_prob.push(head.draw(out, noise.iter().copied(), draw));
            self.actions.extend(draw.action.iter().map(|a| *a as f32));
        }
    }

    /// The gradient at the outputs, `[rows, 2 · len]`: [`Squashed::differentiate`] row by row.
    pub fn differentiate(&self, head: &Squashed, at_actions: &[f32], at_log_prob: f64, at_out: &mut Vec<f32>) {
        let width = head.len();
        at_out.resize(2 * at_actions.len(), 0.0);
        let at_rows = at_actions.chunks_exact(width).zip(at_out.chunks_exact_mut(2 * width));
        for (draw, (at_action, at_out)) in self.rows.iter().zip(at_rows) {
            head.differentiate(draw, at_action, at_log_prob, at_out);
        }
    }
}

/// ln(1 − tanh² u), also where tanh u is 1 to the last digit.
fn ln_derivative(u: f64) -> f64 {
    let x = -2.0 * u;
    let softplus = x.max(0.0) + (-x.abs()).exp().ln_1p();
    2.0 * (std::f64::consts::LN_2 - u - softplus)
}

impl Squashed {
    /// For these actions; none where they are choices.
    pub fn of(spec: &Spec) -> Option<Self> {
        match &spec.action {
            ActionSpec::Continuous { fields } => {
                let half = |f: &agon_core::Field| ((f.low + f.high) / 2.0, (f.high - f.low) / 2.0);
                Some(Self { scale: fields.iter().map(half).collect() })
            }
            _ => None,
        }
    }

    /// Numbers in an action.
    pub fn len(&self) -> usize {
        self.scale.len()
    }

    /// Whether an action has no numbers (no valid spec is so).
    pub fn is_empty(&self) -> bool {
        self.scale.is_empty()
    }

    /// The action for standard normal numbers `noise` `[len]`, and its log-probability in units where bounds are ±1.
    /// Leaves in `draw` what [`Squashed::differentiate`] needs.
    pub fn draw(&self, out: &[f32], noise: impl Iterator<Item = f64>, draw: &mut Draw) -> f64 {
        let (mean, log_std) = out.split_at(self.len());
        let mut log_prob = 0.0;
        draw.noise.clear();
        draw.noise.extend(noise.take(self.len()));
        draw.action.clear();
        draw.std.clear();
        draw.free.clear();
        for ((mean, raw), noise) in mean.iter().zip(log_std).zip(&draw.noise) {
            let log_std = f64::from(*raw).clamp(LOG_STD[0], LOG_STD[1]);
            let std = log_std.exp();
            let u = f64::from(*mean) + std * noise;
            log_prob -= 0.5 * noise * noise + log_std + HALF_LN_TAU + ln_derivative(u);
            draw.action.push(u.tanh());
            draw.std.push(std);
            draw.free.push(f64::from(*raw) == log_std);
        }
        log_prob
    }

    /// The gradient at the outputs `[2 · len]` of a function whose gradient at the action that was drawn is `at_action`
    /// `[len]`, and at its log-probability `at_log_prob`; the noise stays as it was (the reparameterisation trick).
    pub fn differentiate(&self, draw: &Draw, at_action: &[f32], at_log_prob: f64, at_out: &mut [f32]) {
        let (at_mean, at_log_std) = at_out.split_at_mut(self.len());
        for k in 0..self.len() {
            let a = draw.action[k];
            // da / du = 1 − a²;  d ln p / du = 2 a, by the squashing;  du / dμ = 1, du / d ln σ = σ ε
            let at_u = f64::from(at_action[k]) * (1.0 - a * a) + at_log_prob * 2.0 * a;
            at_mean[k] = at_u as f32;
            let through = at_u * draw.std[k] * draw.noise[k] - at_log_prob;
            at_log_std[k] = if draw.free[k] { through as f32 } else { 0.0 };
        }
    }

    /// The most probable action before squashing, in (−1, 1): tanh μ.
    pub fn mode(&self, out: &[f32], action: &mut [f32]) {
        out.iter().zip(action).for_each(|(mean, a)| *a = mean.tanh());
    }

    /// Actions in (−1, 1), row after row, in the units of the environment.
    pub fn scaled(&self, actions: &mut [f32]) {
        for row in actions.chunks_exact_mut(self.len()) {
            row.iter_mut().zip(&self.scale).for_each(|(a, (middle, half))| *a = middle + half * a.clamp(-1.0, 1.0));
        }
    }

    /// The same, backwards.
    pub fn unscaled(&self, actions: &mut [f32]) {
        for row in actions.chunks_exact_mut(self.len()) {
            row.iter_mut().zip(&self.scale).for_each(|(a, (middle, half))| *a = (*a - middle) / half);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::{Rng, Stream};

    fn squashed(len: usize) -> Squashed {
        Squashed { scale: vec![(1.0, 2.0); len] }
    }

    /// The density of a = tanh u by the change of variables, p(atanh a) / (1 − a²), in closed form; and it is one:
    /// its integral over (−1, 1) is 1.
    #[test]
    fn its_density_is_the_closed_form() {
        let head = squashed(1);
        let mut draw = Draw::default();
        for (mean, log_std) in [(0.0, 0.0), (0.7, -1.0), (-1.2, 0.5), (2.5, -0.3)] {
            let out = [mean as f32, log_std as f32];
            let [mean, std] = [f64::from(out[0]), f64::from(out[1]).exp()];
            let n = 200_000;
            let mut integral = 0.0;
            for i in 0..n {
                let a: f64 = (2.0 * (f64::from(i) + 0.5) / f64::from(n)) - 1.0;
                let noise = (a.atanh() - mean) / std;
                let log_prob = head.draw(&out, std::iter::once(noise), &mut draw);
                let normal = (-0.5 * noise * noise).exp() / (std * (2.0 * std::f64::consts::PI).sqrt());
                let closed = normal / (1.0 - a * a);
                assert!((log_prob.exp() - closed).abs() <= 1e-9 * closed.max(1e-12), "{a}: {log_prob} {closed}");
                integral += closed * 2.0 / f64::from(n);
            }
            assert!((integral - 1.0).abs() < 1e-4, "{integral}");
        }
    }

    /// Far out, where tanh is 1 to the last digit, log-probabilities are still those of the limit.
    #[test]
    fn far_out_it_is_finite() {
        let head = squashed(1);
        for mean in [20.0f32, -40.0, 300.0] {
            let log_prob = head.draw(&[mean, 0.0], std::iter::once(0.5), &mut Draw::default());
            let u = (f64::from(mean) + 0.5).abs();
            // ln(1 − tanh² u) → ln 4 − 2u
            let limit = -0.125 - HALF_LN_TAU - (4f64.ln() - 2.0 * u);
            assert!((log_prob - limit).abs() < 1e-9 * limit.abs(), "{mean}: {log_prob} {limit}");
        }
    }

    /// Gradients through the draw agree with finite differences, also where a deviation is at its bound.
    #[test]
    fn gradients_are_those_of_differences() {
        let (head, mut rng) = (squashed(3), Rng::new(5, Stream::Act, 0));
        for trial in 0..50 {
            let mut out: Vec<f32> = (0..6).map(|_| rng.range(-1.5, 1.5) as f32).collect();
            out[5] = if trial % 2 == 0 { 3.0 } else { out[5] };
            let noise: Vec<f64> = (0..3).map(|_| rng.normal()).collect();
            let (at_action, at_log_prob) = ([0.3f32, -1.1, 0.7], 0.4);
            let value = |out: &[f32]| {
                let mut draw = Draw::default();
                let log_prob = head.draw(out, noise.iter().copied(), &mut draw);
                draw.action.iter().zip(at_action).map(|(a, g)| a * f64::from(g)).sum::<f64>() + at_log_prob * log_prob
            };
            let (mut draw, mut found) = (Draw::default(), [0f32; 6]);
            head.draw(&out, noise.iter().copied(), &mut draw);
            head.differentiate(&draw, &at_action, at_log_prob, &mut found);
            for i in 0..6 {
                let h = 2f32.powi(-10);
                let moved = |h: f32| {
                    let mut out = out.clone();
                    out[i] += h;
                    value(&out)
                };
                let difference = (moved(h) - moved(-h)) / f64::from(2.0 * h);
                assert!((f64::from(found[i]) - difference).abs() < 1e-4 * difference.abs().max(1.0), "{i}: {found:?}");
            }
            assert!(trial % 2 == 1 || found[5] == 0.0, "beyond its bound a deviation has no gradient");
        }
    }

    /// In the units of the environment and back.
    #[test]
    fn actions_are_within_their_bounds() {
        let head = squashed(2);
        let mut actions = [1.0, -1.0, 0.5, 7.0];
        head.scaled(&mut actions);
        assert_eq!(actions, [3.0, -1.0, 2.0, 3.0]);
        head.unscaled(&mut actions);
        assert_eq!(actions, [1.0, -1.0, 0.5, 1.0]);
    }
}
