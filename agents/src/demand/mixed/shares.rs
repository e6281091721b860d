//! Choice probabilities of one market, and the mean utilities that give its shares.

use super::{Markets, Parameter};

/// The largest step of ln shares with which mean utilities have settled.
const SETTLED: f64 = 1e-13;
/// Evaluations of shares within which they must.
const MOST: usize = 5000;

/// What people of one market add to mean utilities.
pub(super) struct Market<'a> {
    /// Σ_k x_jk Σ_c θ_kc v_ic, `[people][products]`.
    apart: Vec<Vec<f64>>,
    weights: &'a [f64],
    shares: &'a [f64],
}

impl<'a> Market<'a> {
    pub fn new(all: &'a Markets, market: usize, theta: &[Parameter]) -> Self {
        let (products, people) = (all.products[market].clone(), all.people[market].clone());
        let x = &all.characteristics[products.clone()];
        let one = |v: &Vec<f64>| {
            let of = |x: &Vec<f64>| theta.iter().map(|p| p.value * x[p.characteristic] * v[p.taste]).sum();
            x.iter().map(of).collect()
        };
        Self {
            apart: all.tastes[people.clone()].iter().map(one).collect(),
            weights: &all.weights[people],
            shares: &all.shares[products],
        }
    }

    pub fn weights(&self) -> &[f64] {
        self.weights
    }

    /// Each person's probability of buying each product, `[people][products]`.
    pub fn choices(&self, delta: &[f64]) -> Vec<Vec<f64>> {
        let one = |apart: &Vec<f64>| {
            let utilities: Vec<f64> = apart.iter().zip(delta).map(|(a, d)| a + d).collect();
            let top = utilities.iter().copied().fold(0.0, f64::max);
            let mut weights: Vec<f64> = utilities.iter().map(|u| (u - top).exp()).collect();
            let sum = (-top).exp() + weights.iter().sum::<f64>();
            weights.iter_mut().for_each(|w| *w /= sum);
            weights
        };
        self.apart.iter().map(one).collect()
    }

    /// The mean of something over people.
    pub fn mean(&self, of: impl Fn(usize) -> f64) -> f64 {
        self.weights.iter().enumerate().map(|(i, weight)| weight * of(i)).sum()
    }

    /// δ + ln S − ln s(δ): a contraction whose fixed point gives the shares (Berry 1994).
    fn step(&self, delta: &[f64]) -> Vec<f64> {
        let choices = self.choices(delta);
        let next = |j: usize| delta[j] + self.shares[j].ln() - self.mean(|i| choices[i][j]).ln();
        (0..delta.len()).map(next).collect()
    }

    /// Mean utilities that give the market's shares, from those given on; none where they are not found. Two steps of the
    /// contraction are extrapolated (SQUAREM, Varadhan and Roland 2008) as long as that brings them nearer.
    pub fn invert(&self, delta: &mut Vec<f64>) -> Option<()> {
        let apart = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        let largest = |all: &[f64]| all.iter().map(|x| x.abs()).fold(0.0, f64::max);
        let length = |all: &[f64]| all.iter().map(|x| x * x).sum::<f64>().sqrt();
        let mut next = self.step(delta);
        for _ in 0..MOST / 3 {
            let first = apart(&next, delta);
            let gap = largest(&first);
            if !gap.is_finite() {
                return None;
            }
            if gap < SETTLED {
                *delta = next;
                return Some(());
            }
            let after = self.step(&next);
            let second = apart(&after, &next);
            let bend = apart(&second, &first);
            let far = -length(&first) / length(&bend).max(f64::MIN_POSITIVE);
            let jump: Vec<f64> =
                (0..delta.len()).map(|j| delta[j] - 2.0 * far * first[j] + far * far * bend[j]).collect();
            let there = self.step(&jump);
            let left = largest(&apart(&there, &jump));
            (*delta, next) = if left < gap { (jump, there) } else { (after.clone(), self.step(&after)) };
        }
        // Rounding may keep the last digit from settling.
        (largest(&apart(&next, delta)) < 100.0 * SETTLED).then_some(())
    }

    /// By how much shares change with each mean utility: symmetric and positive definite.
    pub fn slopes(&self, choices: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let n = self.shares.len();
        let cell = |j: usize, l: usize| {
            let both = self.mean(|i| choices[i][j] * choices[i][l]);
            if j == l { self.mean(|i| choices[i][j]) - both } else { -both }
        };
        (0..n).map(|j| (0..n).map(|l| cell(j, l)).collect()).collect()
    }
}
