//! Action distributions: categorical under masks, or Gaussian.
//!
//! Sampling and the gradients of log-probabilities and entropies are on the host, wherever the network computes: an
//! action's numbers are few beside a network's.

use agon_core::rng::Rng;
use agon_core::spec::ActionSpec;
use agon_core::{Actions, ActionsMut, Spec};

/// ln √(2π)
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_7;

agon_core::choices! {
    /// What the logarithms of a Gaussian's deviations are.
    pub enum Deviation {
        /// Parameters of their own, the same for every observation.
        Free = "free",
        /// Outputs of the network.
        State = "state"
    }
}

/// Where logarithms of deviations that depend on the observation are cut, so that no deviation overflows or vanishes.
const LOG_STD: [f32; 2] = [-20.0, 5.0];

/// The kind of distribution a spec asks for.
#[derive(Clone, Debug)]
pub enum Head {
    /// Independent choices; the network gives their logits one after another.
    Categorical {
        /// Choices of each part.
        sizes: Vec<usize>,
    },
    /// Independent normals; the network gives means in units where the bounds are ±1, and after them the logarithms of
    /// their deviations where these depend on the observation.
    Gaussian {
        /// Middle and half width of each bound.
        scale: Vec<(f32, f32)>,
        /// What the deviations depend on.
        deviation: Deviation,
        /// How a number from the normal becomes an action.
        bound: Bound,
    },
}

/// How a number from a normal becomes an action in [−1, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Beyond the bounds it counts as the bound.
    Clip,
    /// By tanh, as SAC's actors do it. The normal is then the one before it: log-probabilities lack the logarithm of
    /// tanh's derivative, which does not depend on the network.
    Tanh,
}

impl Bound {
    /// The action of a number from the normal.
    pub fn action(self, x: f32) -> f32 {
        match self {
            Self::Clip => x.clamp(-1.0, 1.0),
            Self::Tanh => x.tanh(),
        }
    }

    /// A number that becomes this action, which is in [−1, 1]; tanh reaches ±1 nowhere, so ±0.999 stand for those.
    pub fn number(self, action: f32) -> f32 {
        match self {
            Self::Clip => action,
            Self::Tanh => action.clamp(-0.999, 0.999).atanh(),
        }
    }
}

/// Buffers for sampled actions.
#[derive(Debug)]
pub struct Drawn<'a> {
    /// `[rows, len]` as the loss needs them: choices, or normals before scaling.
    pub action: ActionsMut<'a>,
    /// `[rows, len]` as the environment needs them: scaled numbers; empty where actions are choices.
    pub scaled: &'a mut [f32],
    /// `[rows]` their log-probabilities.
    pub log_prob: &'a mut [f32],
}

impl Head {
    /// The distribution that fits an environment's actions, with deviations that are parameters of their own.
    pub fn of(spec: &Spec) -> Self {
        Self::with(spec, Deviation::Free, Bound::Clip)
    }

    /// The distribution that fits an environment's actions.
    pub fn with(spec: &Spec, deviation: Deviation, bound: Bound) -> Self {
        match &spec.action {
            ActionSpec::Continuous { fields } => Self::Gaussian {
                scale: fields.iter().map(|f| ((f.low + f.high) / 2.0, (f.high - f.low) / 2.0)).collect(),
                deviation,
                bound,
            },
            other => Self::Categorical { sizes: other.choices() },
        }
    }

    /// The number of network outputs.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Categorical { sizes } => sizes.iter().sum(),
            Self::Gaussian { scale, deviation: Deviation::Free, .. } => scale.len(),
            Self::Gaussian { scale, deviation: Deviation::State, .. } => 2 * scale.len(),
        }
    }

    /// The number of deviations that are parameters of their own.
    pub fn free_deviations(&self) -> usize {
        match self {
            Self::Gaussian { scale, deviation: Deviation::Free, .. } => scale.len(),
            _ => 0,
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
            Self::Gaussian { scale, .. } => scale.len(),
        }
    }

    /// Draws actions for all rows from the network's outputs; `rng`: a generator for each row.
    pub fn sample(
        &self,
        out: &[f32],
        log_std: &[f32],
        mask: &[bool],
        rng: &mut dyn FnMut(usize) -> Rng,
        drawn: Drawn<'_>,
    ) {
        let Drawn { mut action, scaled, log_prob } = drawn;
        let (outputs, width) = (self.outputs(), self.width());
        for (row, log_prob) in log_prob.iter_mut().enumerate() {
            let out = &out[row * outputs..(row + 1) * outputs];
            let (mut total, mut rng) = (0.0, rng(row));
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
                        action.discrete()[row * width + k] = pick as i64;
                        from += n;
                    }
                }
                Self::Gaussian { scale, bound, .. } => {
                    for (k, &(middle, half)) in scale.iter().enumerate() {
                        let z = rng.normal() as f32;
                        let [mean, log_std] = normal(out, log_std, k);
                        let x = mean + log_std.exp() * z;
                        total += -0.5 * z * z - log_std - HALF_LN_TAU as f32;
                        action.continuous()[row * width + k] = x;
                        scaled[row * width + k] = middle + half * bound.action(x);
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
                Self::Gaussian { scale, bound, .. } => {
                    for (k, &(middle, half)) in scale.iter().enumerate() {
                        actions.set(row * width + k, f64::from(middle + half * bound.action(out[k])));
                    }
                }
            }
        }
    }

    /// The log-probability of one row's action and the entropy of what it was drawn from. Leaves in `choices` what
    /// [`Head::differentiate`] needs.
    pub fn evaluate(&self, row: Row<'_>, choices: &mut Vec<Choice>) -> [f64; 2] {
        let Row { out, log_std, action, mask } = row;
        choices.clear();
        match self {
            Self::Categorical { sizes } => {
                let (mut from, mut log_prob, mut entropy) = (0, 0.0, 0.0);
                for (&n, choice) in sizes.iter().zip(action.discrete()) {
                    let legal = |i: usize| mask.is_empty() || mask[from + i];
                    let logit = |i: usize| f64::from(out[from + i]);
                    let top = (0..n).filter(|i| legal(*i)).map(logit).fold(f64::NEG_INFINITY, f64::max);
                    choices.extend((0..n).map(|i| match legal(i) {
                        true => Choice { log_p: logit(i) - top, p: (logit(i) - top).exp() },
                        false => Choice { log_p: f64::NEG_INFINITY, p: 0.0 },
                    }));
                    let part = &mut choices[from..from + n];
                    let sum: f64 = part.iter().map(|c| c.p).sum();
                    let ln = sum.ln();
                    for c in &mut *part {
                        (c.log_p, c.p) = (c.log_p - ln, c.p / sum);
                        entropy -= if c.p > 0.0 { c.p * c.log_p } else { 0.0 };
                    }
                    log_prob += part[*choice as usize].log_p;
                    from += n;
                }
                [log_prob, entropy]
            }
            Self::Gaussian { .. } => {
                let (mut log_prob, mut entropy) = (0.0, 0.0);
                for (k, x) in action.continuous().iter().enumerate() {
                    let [mean, log_std] = normal(out, log_std, k).map(f64::from);
                    let z = (f64::from(*x) - mean) * (-log_std).exp();
                    log_prob -= 0.5 * z * z + log_std + HALF_LN_TAU;
                    entropy += log_std + 0.5 + HALF_LN_TAU;
                }
                [log_prob, entropy]
            }
        }
    }

    /// Adds the gradient of `of_log_prob · log-probability + of_entropy · entropy` of the row that was just evaluated
    /// to the gradients at its outputs and at the logarithms of deviations that are parameters of their own.
    pub fn differentiate(
        &self,
        row: Row<'_>,
        choices: &[Choice],
        [of_log_prob, of_entropy]: [f64; 2],
        at_out: &mut [f32],
        at_log_std: &mut [f64],
    ) {
        let (Row { out, log_std, action, .. }, width) = (row, self.width());
        match self {
            // ∂ log p(a) / ∂ logit_i = [i = a] − p_i;  ∂ H / ∂ logit_i = −p_i (log p_i + H)
            Self::Categorical { sizes } => {
                let mut from = 0;
                for (&n, choice) in sizes.iter().zip(action.discrete()) {
                    let part = &choices[from..from + n];
                    let minus_entropy: f64 = part.iter().filter(|c| c.p > 0.0).map(|c| c.p * c.log_p).sum();
                    for (i, (c, at)) in part.iter().zip(&mut at_out[from..from + n]).enumerate() {
                        if c.p > 0.0 {
                            let chosen = f64::from(u8::from(i == *choice as usize));
                            let entropy = -c.p * (c.log_p - minus_entropy);
                            *at += (of_log_prob * (chosen - c.p) + of_entropy * entropy) as f32;
                        }
                    }
                    from += n;
                }
            }
            // ∂ log p / ∂ μ = z / σ;  ∂ log p / ∂ ln σ = z² − 1;  ∂ H / ∂ ln σ = 1
            Self::Gaussian { .. } => {
                for (k, x) in action.continuous().iter().enumerate() {
                    let [mean, s] = normal(out, log_std, k).map(f64::from);
                    let precision = (-s).exp();
                    let z = (f64::from(*x) - mean) * precision;
                    at_out[k] += (of_log_prob * z * precision) as f32;
                    let at_s = of_log_prob * (z * z - 1.0) + of_entropy;
                    if !log_std.is_empty() {
                        at_log_std[k] += at_s;
                    } else if (LOG_STD[0]..=LOG_STD[1]).contains(&out[width + k]) {
                        at_out[width + k] += at_s as f32;
                    }
                }
            }
        }
    }
}

/// Mean `k` of a row and the logarithm of its deviation, which is the second half of the outputs where none is given.
fn normal(out: &[f32], log_std: &[f32], k: usize) -> [f32; 2] {
    let of_state = || out[out.len() / 2 + k].clamp(LOG_STD[0], LOG_STD[1]);
    [out[k], log_std.get(k).copied().unwrap_or_else(of_state)]
}

/// One row's outputs, and the action that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// `[outputs]`
    pub out: &'a [f32],
    /// `[len]` of a Gaussian whose deviations are parameters of their own, else empty.
    pub log_std: &'a [f32],
    /// `[len]`: choices, or normals before scaling.
    pub action: Actions<'a>,
    /// `[outputs]`, or empty where everything is allowed.
    pub mask: &'a [bool],
}

/// A choice and its probability.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    log_p: f64,
    p: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::action::ActionBuf;
    use agon_core::rng::Stream;

    /// Sampled actions come with their log-probability, and gradients agree with finite differences, for every kind of
    /// head.
    #[test]
    fn gradients_are_those_of_differences() {
        let masked = [true, false, true, true, true, false, true, true, true, true];
        let gaussian =
            |numbers, deviation| Head::Gaussian { scale: vec![(1.0, 2.0); numbers], deviation, bound: Bound::Clip };
        let heads: [(Head, &[bool]); 4] = [
            (Head::Categorical { sizes: vec![5] }, &masked),
            (Head::Categorical { sizes: vec![2, 3] }, &[]),
            (gaussian(5, Deviation::Free), &[]),
            (gaussian(2, Deviation::State), &[]),
        ];
        for (head, mask) in heads {
            let n = head.outputs();
            let out: Vec<f32> = (0..2 * n).map(|i| (i as f32 * 1.7).sin()).collect();
            let gaussian = matches!(head, Head::Gaussian { .. });
            let log_std = [0.1f32, -0.3, 0.2, 0.0, -1.0][..head.free_deviations()].to_vec();
            let width = head.width();
            let (mut scaled, mut log_prob) = (vec![0.0; 2 * width], vec![0.0; 2]);
            let mut action = match gaussian {
                true => ActionBuf::Continuous(vec![0.0; 2 * width]),
                false => ActionBuf::Discrete(vec![0; 2 * width]),
            };
            let mut rng = |row: usize| Rng::new(3, Stream::Act, row as u32);
            let drawn = Drawn { action: action.all_mut(), scaled: &mut scaled, log_prob: &mut log_prob };
            head.sample(&out, &log_std, mask, &mut rng, drawn);
            for r in 0..2 {
                let given = Row {
                    out: &[],
                    log_std: &log_std,
                    action: action.all().part(r * width, width),
                    mask: if mask.is_empty() { &[] } else { &mask[r * n..(r + 1) * n] },
                };
                let (here, mut scratch) = (&out[r * n..(r + 1) * n], Vec::new());
                let found = head.evaluate(Row { out: here, ..given }, &mut scratch);
                assert!((f64::from(log_prob[r]) - found[0]).abs() < 1e-5, "{head:?}");
                let (mut at_out, mut at_log_std) = (vec![0.0; n], vec![0.0; log_std.len()]);
                head.differentiate(Row { out: here, ..given }, &scratch, [2.0, 3.0], &mut at_out, &mut at_log_std);
                for i in 0..n {
                    let with = |h: f32| {
                        let mut moved = here.to_vec();
                        moved[i] += h;
                        let [log_prob, entropy] = head.evaluate(Row { out: &moved, ..given }, &mut Vec::new());
                        2.0 * log_prob + 3.0 * entropy
                    };
                    let (h, allowed) = (2f32.powi(-8), mask.is_empty() || mask[r * n + i]);
                    let difference = (with(h) - with(-h)) / f64::from(2.0 * h);
                    assert!((f64::from(at_out[i]) - difference).abs() < 1e-3, "{head:?} {i}");
                    assert!(allowed || at_out[i] == 0.0, "what is forbidden has no gradient");
                }
            }
        }
    }

    #[test]
    fn forbidden_choices_are_never_drawn() {
        let head = Head::Categorical { sizes: vec![3] };
        let mask = [false, true, true];
        for step in 0..2000 {
            let (mut choice, mut log_prob) = ([0i64], [0.0]);
            let action = ActionsMut::Discrete(&mut choice);
            let drawn = Drawn { action, scaled: &mut [], log_prob: &mut log_prob };
            head.sample(&[50.0, 0.0, -3.0], &[], &mask, &mut |_| Rng::at_step(1, Stream::Act, 0, step), drawn);
            assert_ne!(choice[0], 0);
        }
    }

    /// A deviation that depends on the observation is cut where it would overflow, and nothing moves it further.
    #[test]
    fn deviations_stay_finite() {
        let head = Head::Gaussian { scale: vec![(0.0, 1.0)], deviation: Deviation::State, bound: Bound::Clip };
        for (asked, cut) in [(300.0, 5.0), (-300.0, -20.0)] {
            let row = Row { out: &[0.5, asked], log_std: &[], action: Actions::Continuous(&[0.5]), mask: &[] };
            let [log_prob, _] = head.evaluate(row, &mut Vec::new());
            assert!((log_prob + cut + HALF_LN_TAU).abs() < 1e-12, "{log_prob}");
            let mut at_out = [0.0; 2];
            head.differentiate(row, &[], [1.0, 1.0], &mut at_out, &mut []);
            assert_eq!(at_out, [0.0; 2]);
        }
    }
}
