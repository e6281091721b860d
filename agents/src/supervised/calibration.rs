//! How sure predictions are, by the validation part: a temperature for probabilities (Guo et al. 2017), and a margin that
//! holds nine tenths of the truth for numbers (split conformal prediction, Lei et al. 2018).

use super::{Examples, softmax};
use serde::{Deserialize, Serialize};

/// The share of the truth that intervals are to hold.
pub const COVERAGE: f64 = 0.9;
/// Rows of the validation part that a temperature needs.
const ENOUGH: usize = 30;

/// What the validation part says of a model's scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What scores of classes are divided by.
    pub temperature: f64,
    /// Half the width of a number's interval; none where the validation part is too small.
    pub margin: Option<f64>,
}

impl Calibration {
    /// Of a model with these scores of the validation part.
    pub fn of(scores: &[f64], validation: &Examples) -> Self {
        if validation.classes == 0 {
            let mut off: Vec<f64> = scores.iter().zip(&validation.y).map(|(s, y)| (s - y).abs()).collect();
            off.sort_by(f64::total_cmp);
            // The quantile for one more observation than there are, so that the share holds for the next one.
            let rank = ((off.len() + 1) as f64 * COVERAGE).ceil() as usize;
            return Self { temperature: 1.0, margin: off.get(rank - 1).copied() };
        }
        if validation.y.len() < ENOUGH {
            return Self { temperature: 1.0, margin: None };
        }
        let loss = |ln: f64| {
            let scaled: Vec<f64> = scores.iter().map(|s| s * (-ln).exp()).collect();
            validation.loss(&scaled)
        };
        Self::bottom(loss)
    }

    /// The same where a model may be right about every row of the validation part, and seem sure of all others: one more
    /// row is counted, of which nothing is known (Platt 1999).
    pub fn careful(scores: &[f64], validation: &Examples) -> Self {
        let (k, n) = (validation.outputs(), validation.y.len() as f64);
        if validation.classes == 0 || validation.y.len() < ENOUGH {
            return Self::of(scores, validation);
        }
        let loss = |ln: f64| {
            let scaled: Vec<f64> = scores.iter().map(|s| s * (-ln).exp()).collect();
            let rows = scaled.chunks_exact(k);
            let unknown = rows.map(|row| super::log_sum_exp(row) - row.iter().sum::<f64>() / k as f64).sum::<f64>();
            (n * validation.loss(&scaled) + unknown / n) / (n + 1.0)
        };
        Self::bottom(loss)
    }

    /// The temperature whose logarithm has the lowest loss.
    fn bottom(loss: impl Fn(f64) -> f64) -> Self {
        // Convex in 1 / T, so that it falls and then rises: the golden section finds the bottom.
        let golden = (5f64.sqrt() - 1.0) / 2.0;
        let (mut low, mut high) = (-3.0, 3.0);
        for _ in 0..60 {
            let (a, b) = (high - golden * (high - low), low + golden * (high - low));
            if loss(a) <= loss(b) { high = b } else { low = a }
        }
        Self { temperature: f64::exp(0.5 * (low + high)), margin: None }
    }

    /// Scores to probabilities, `[rows, classes]`; numbers stay as they are.
    pub fn probabilities(&self, mut scores: Vec<f64>, classes: usize) -> Vec<f64> {
        if classes > 0 {
            for row in scores.chunks_exact_mut(classes) {
                row.iter_mut().for_each(|s| *s /= self.temperature);
                softmax(row);
            }
        }
        scores
    }
}

/// Rows whose probability is in one tenth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tenth {
    /// Their mean probability.
    pub predicted: f64,
    /// The share of them that it was true of, with the ends of its 95 % interval (Wilson 1927).
    pub observed: f64,
    /// See `observed`.
    pub interval: [f64; 2],
    /// How many.
    pub rows: usize,
}

/// Whether probabilities `[rows, classes]` are what they say: of the second class where there are two, else of the
/// likeliest one. Tenths without a row are left out.
pub fn reliability(classes: usize, y: &[f64], p: &[f64]) -> Vec<Tenth> {
    let mut sums = [[0.0; 3]; 10];
    for (row, y) in p.chunks_exact(classes.max(1)).zip(y) {
        let k =
            if classes == 2 { 1 } else { (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0) };
        let sum = &mut sums[((row[k] * 10.0) as usize).min(9)];
        *sum = [sum[0] + row[k], sum[1] + f64::from(u8::from(*y as usize == k)), sum[2] + 1.0];
    }
    let tenth = |[predicted, right, n]: &[f64; 3]| Tenth {
        predicted: predicted / n,
        observed: right / n,
        interval: wilson(*right, *n),
        rows: *n as usize,
    };
    sums.iter().filter(|sum| sum[2] > 0.0).map(tenth).collect()
}

/// Wilson's 95 % interval of a share: `right` of `n`.
pub fn wilson(right: f64, n: f64) -> [f64; 2] {
    let (z, p) = (1.959_964, right / n);
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    [(middle - half) / (1.0 + z * z / n), (middle + half) / (1.0 + z * z / n)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::{Rng, Stream};

    /// Scores that are three times too sure have temperature 3.
    #[test]
    fn a_temperature_undoes_what_was_too_sure() {
        let mut rng = Rng::new(1, Stream::Env, 0);
        let (mut scores, mut y) = (Vec::new(), Vec::new());
        for _ in 0..20_000 {
            let z = 1.5 * rng.normal();
            y.push(f64::from(u8::from(rng.f64() < 1.0 / (1.0 + (-z).exp()))));
            scores.extend([0.0, 3.0 * z]);
        }
        let found = Calibration::of(&scores, &Examples { y, classes: 2, ..Examples::default() });
        assert!((found.temperature - 3.0).abs() < 0.1, "{found:?}");
        let p = Calibration { temperature: 2.0, margin: None }.probabilities(vec![0.0, 2.0 * 3f64.ln()], 2);
        assert!((p[1] - 0.75).abs() < 1e-12);
    }

    /// Whoever was right every time is not thereby sure of everything: the mean probability of the truth is that of n right
    /// ones among n + 1.
    #[test]
    fn a_model_without_a_mistake_stays_in_doubt() {
        let y: Vec<f64> = (0..200).map(|i| f64::from(i % 2)).collect();
        let scores: Vec<f64> = y.iter().flat_map(|y| [-y, y - 1.0]).collect();
        let scores: Vec<f64> = scores.into_iter().map(|s| 4.0 * s).collect();
        let known = Examples { y, classes: 2, ..Examples::default() };
        let p = |found: Calibration| found.probabilities(scores.clone(), 2)[0];
        assert!(p(Calibration::of(&scores, &known)) > 0.999_999);
        let careful = p(Calibration::careful(&scores, &known));
        assert!((careful - (200.0 + 0.5) / 201.0).abs() < 1e-6, "{careful}");
    }

    #[test]
    fn tenths_are_counted_by_hand() {
        let p = [0.05, 0.95, 0.97, 1.0, 0.5].iter().flat_map(|p| [1.0 - p, *p]).collect::<Vec<_>>();
        let found = reliability(2, &[0.0, 1.0, 1.0, 0.0, 1.0], &p);
        let counts: Vec<(usize, f64)> = found.iter().map(|tenth| (tenth.rows, tenth.observed)).collect();
        assert_eq!(counts, [(1, 0.0), (1, 1.0), (3, 2.0 / 3.0)]);
        assert!((found[2].predicted - 2.92 / 3.0).abs() < 1e-12);
        let found = reliability(3, &[2.0, 0.0], &[0.1, 0.2, 0.7, 0.2, 0.6, 0.2]);
        let counts: Vec<(usize, f64)> = found.iter().map(|tenth| (tenth.rows, tenth.observed)).collect();
        assert_eq!(counts, [(1, 0.0), (1, 1.0)], "of the likeliest class");
    }

    /// Newcombe 1998, table I: 81 of 263 and 0 of 20.
    #[test]
    fn intervals_of_shares_are_wilsons() {
        for (right, n, [low, high]) in [(81.0, 263.0, [0.2553, 0.3662]), (0.0, 20.0, [0.0, 0.1611])] {
            let [a, b] = wilson(right, n);
            assert!((a - low).abs() < 1e-4 && (b - high).abs() < 1e-4, "{a} {b}");
        }
    }

    /// A margin of 19 rows is their 18th; of 8 rows there is none.
    #[test]
    fn margins_hold_their_share() {
        let off = |n: usize| {
            let y: Vec<f64> = (1..=n).map(|i| i as f64).collect();
            Calibration::of(&vec![0.0; n], &Examples { y, ..Examples::default() }).margin
        };
        assert_eq!((off(19), off(8)), (Some(18.0), None));
        let (mut rng, mut held) = (Rng::new(2, Stream::Env, 0), 0);
        for _ in 0..2000 {
            let y: Vec<f64> = (0..50).map(|_| rng.normal()).collect();
            let margin = Calibration::of(&[0.0; 50], &Examples { y, ..Examples::default() }).margin.unwrap();
            held += usize::from(rng.normal().abs() <= margin);
        }
        assert!((1760..1850).contains(&held), "{held} of 2000");
    }
}
