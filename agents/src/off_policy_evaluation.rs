//! What a policy would have earned, estimated from the log of another one (off-policy evaluation).
//!
//! A log has a row for each decision: what was known (the context x), the action a that was taken, with which probability
//! p = π₀(a | x) (the propensity), and the reward r that followed. With w = π(a | x) / p the value of π is the mean of
//!
//! - w r: inverse propensities (Horvitz and Thompson 1952), or Σ w r / Σ w, self-normalised (Swaminathan and Joachims 2015);
//! - Σ_a π(a | x) q(x, a): the direct method, by a model q of rewards;
//! - Σ_a π(a | x) q(x, a) + w (r − q(x, a)): doubly robust (Dudík, Langford and Li 2011), right if either the propensities or
//!   the model are;
//! - the same with w = 0 where it is above τ: switch-DR (Wang, Agarwal and Dudík 2017).
//!
//! None of them says anything of actions that the log never took: [`Overlap`] does.

pub mod outcome_model;
pub mod prices;

use crate::data::encode::quantile;
use agon_core::rng::{Rng, Stream};

/// A log of decisions. All lists have an entry a row.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    /// The number of the action that was taken.
    pub actions: &'a [usize],
    /// What followed.
    pub rewards: &'a [f64],
    /// The probability of the action that was taken, in (0, 1].
    pub propensities: &'a [f64],
    /// How many actions there are.
    pub count: usize,
}

impl Log<'_> {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.actions.len()
    }

    /// Importance weights w of a policy with these probabilities, `[rows, actions]`.
    pub fn weights(&self, target: &[f64]) -> Vec<f64> {
        let taken = target.chunks_exact(self.count).zip(self.actions).map(|(p, a)| p[*a]);
        taken.zip(self.propensities).map(|(target, logged)| target / logged).collect()
    }
}

agon_core::choices! {
    /// An estimator of a policy's value.
    pub enum Estimator {
        InversePropensity = "inverse-propensity",
        SelfNormalised = "self-normalised",
        Direct = "direct",
        DoublyRobust = "doubly-robust",
        Switch = "switch-doubly-robust",
    }
}

/// All of them.
pub const ESTIMATORS: [Estimator; 5] = [
    Estimator::DoublyRobust,
    Estimator::Switch,
    Estimator::InversePropensity,
    Estimator::SelfNormalised,
    Estimator::Direct,
];

/// An estimated value and the ends of its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// The estimate.
    pub value: f64,
    /// The ends of its 95 % interval.
    pub interval: [f64; 2],
}

/// Scores of rows, whose mean is an estimate: Σ top / Σ bottom.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// A number a row.
    pub top: Vec<f64>,
    /// What the sum is divided by: 1 a row, or the weight.
    pub bottom: Vec<f64>,
}

impl Estimator {
    /// The scores of rows. `target`: probabilities of the policy, `rewards`: what the model expects of each action, both
    /// `[rows, actions]`. Switch-DR takes the model's word alone where a weight is above `most`.
    pub fn scores(self, log: Log<'_>, target: &[f64], rewards: &[f64], most: f64) -> Scores {
        let (k, weights) = (log.count, log.weights(target));
        let expected = || target.chunks_exact(k).zip(rewards.chunks_exact(k)).map(|(p, q)| dot(p, q));
        let corrected = |most: f64| -> Vec<f64> {
            let one = |(row, expected): (usize, f64)| {
                let off = log.rewards[row] - rewards[row * k + log.actions[row]];
                expected + if weights[row] <= most { weights[row] * off } else { 0.0 }
            };
            expected().enumerate().map(one).collect()
        };
        let weighted = || weights.iter().zip(log.rewards).map(|(w, r)| w * r).collect();
        let ones = vec![1.0; log.rows()];
        match self {
            Self::InversePropensity => Scores { top: weighted(), bottom: ones },
            Self::SelfNormalised => Scores { top: weighted(), bottom: weights },
            Self::Direct => Scores { top: expected().collect(), bottom: ones },
            Self::DoublyRobust => Scores { top: corrected(f64::INFINITY), bottom: ones },
            Self::Switch => Scores { top: corrected(most), bottom: ones },
        }
    }

    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::InversePropensity => "inverse propensities",
            Self::SelfNormalised => "self-normalised",
            Self::Direct => "direct method",
            Self::DoublyRobust => "doubly robust",
            Self::Switch => "switch doubly robust",
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Resamples behind an interval.
pub const RESAMPLES: u32 = 2000;

impl Scores {
    /// The estimate.
    pub fn value(&self) -> f64 {
        self.top.iter().sum::<f64>() / self.bottom.iter().sum::<f64>()
    }

    /// The estimate with its 95 % interval by resampled rows (percentile bootstrap, Efron 1979). A ratio of nothing by
    /// nothing counts as 0. Equal seeds give equal intervals.
    pub fn estimate(&self, resamples: u32, seed: u64) -> Value {
        let n = self.top.len();
        let mut rng = Rng::new(seed, Stream::Eval, 0);
        let one = |rng: &mut Rng| {
            let (mut top, mut bottom) = (0.0, 0.0);
            for _ in 0..n {
                let row = rng.below(n as u32) as usize;
                top += self.top[row];
                bottom += self.bottom[row];
            }
            if bottom == 0.0 { 0.0 } else { top / bottom }
        };
        let mut all: Vec<f64> = (0..resamples).map(|_| one(&mut rng)).collect();
        all.sort_by(f64::total_cmp);
        Value { value: self.value(), interval: [0.025, 0.975].map(|share| quantile(&all, share)) }
    }

    /// These less others of the same rows, to compare two policies in pairs; both must be means.
    pub fn less(&self, other: &Self) -> Self {
        Self { top: self.top.iter().zip(&other.top).map(|(a, b)| a - b).collect(), bottom: self.bottom.clone() }
    }
}

/// How far the log tried what the policy does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overlap {
    /// Rows.
    pub rows: usize,
    /// The effective number of rows (Σ w)² / Σ w² (Kish 1965).
    pub effective: f64,
    /// The share of all weight that the heaviest row has.
    pub heaviest: f64,
    /// The mean weight: 1 where propensities are right and every action of the policy may occur in the log.
    pub mean: f64,
    /// Standard error of that.
    pub mean_error: f64,
    /// The probability that the policy gives to actions that the log never took.
    pub untried: f64,
}

/// Effective rows below which an estimate is said to be worth little.
const FEW: f64 = 50.0;
/// Effective rows below which intervals are said to be too narrow: in simulations with rare actions and rare rewards they hold
/// the truth in 75 to 85 % there, and in 93 % above a thousand.
const THIN: f64 = 500.0;
/// A share of all weight in one row that is told.
const HEAVY: f64 = 0.1;
/// A probability of untried actions that is told.
const UNTRIED: f64 = 0.01;

impl Overlap {
    /// Of a policy with these probabilities, `[rows, actions]`.
    pub fn of(log: Log<'_>, target: &[f64]) -> Self {
        let weights = log.weights(target);
        let mut tried = vec![false; log.count];
        log.actions.iter().for_each(|a| tried[*a] = true);
        let missing = |p: &[f64]| p.iter().zip(&tried).filter(|(_, tried)| !**tried).map(|(p, _)| p).sum::<f64>();
        let untried = target.chunks_exact(log.count).map(missing).sum::<f64>() / log.rows() as f64;
        Self { untried, ..Self::of_weights(&weights) }
    }

    /// Of weights alone.
    pub fn of_weights(weights: &[f64]) -> Self {
        let (n, sum) = (weights.len() as f64, weights.iter().sum::<f64>());
        let squares: f64 = weights.iter().map(|w| w * w).sum();
        let largest = weights.iter().copied().fold(0.0, f64::max);
        let mean = sum / n;
        Self {
            rows: weights.len(),
            effective: if squares > 0.0 { sum * sum / squares } else { 0.0 },
            heaviest: if sum > 0.0 { largest / sum } else { 0.0 },
            mean,
            mean_error: ((squares / n - mean * mean).max(0.0) / n).sqrt(),
            untried: 0.0,
        }
    }

    /// What must be known before the value is believed; nothing where the log says enough.
    pub fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.untried > UNTRIED {
            let share = 100.0 * self.untried;
            all.push(format!("the log never took actions to which the policy gives {share:.1} % of its choices"));
        }
        if self.effective < FEW {
            let (effective, rows) = (self.effective, self.rows);
            all.push(format!(
                "the log hardly ever did what the policy does: its {rows} rows count as {effective:.1}, too few for any \
                 estimate"
            ));
        } else if self.heaviest > HEAVY {
            let share = 100.0 * self.heaviest;
            all.push(format!(
                "one row has {share:.0} % of all weight: the interval is too narrow if such rows are rare"
            ));
        } else if self.effective < THIN && self.effective < 0.5 * self.rows as f64 {
            let (effective, rows) = (self.effective, self.rows);
            all.push(format!(
                "the {rows} rows count as {effective:.0}: intervals are too narrow where rewards are rare, too"
            ));
        }
        if (self.mean - 1.0).abs() > 4.0 * self.mean_error + 0.01 {
            let mean = self.mean;
            all.push(format!(
                "the mean weight is {mean:.2} where 1 is expected: propensities are wrong, or actions are missing"
            ));
        }
        all
    }
}

#[cfg(test)]
mod tests;
