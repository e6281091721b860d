//! Effects of products' own prices, each drawn towards the mean of all as far as its own data are noisy (empirical Bayes).
//!
//! Estimates b_k = β_k + error of known variance, β_k = μ + spread of variance τ². τ² by moments (DerSimonian and Laird 1986),
//! μ by its best weights, and each product's effect is its posterior mean. What else was estimated follows as if effects had
//! been given.

use super::{Asked, Drawn, Linear, MeanWeek, Model, Take, Week};
use crate::demand::Sales;
use crate::demand::matrix::Factor;

/// The common effect and what products get of it.
#[derive(Clone, Debug)]
pub struct Pool {
    /// μ.
    pub mean: f64,
    /// τ, how far products are apart.
    pub spread: f64,
    /// The posterior mean of each product's effect.
    pub effects: Vec<f64>,
    /// Its posterior standard deviation, that of μ included.
    pub errors: Vec<f64>,
}

impl Pool {
    /// Of effects with these standard errors, all above zero.
    pub fn of(effects: &[f64], errors: &[f64]) -> Self {
        let n = effects.len() as f64;
        let weighed = |weights: &[f64]| {
            let sum: f64 = weights.iter().sum();
            (weights.iter().zip(effects).map(|(w, b)| w * b).sum::<f64>() / sum, sum)
        };
        let precise: Vec<f64> = errors.iter().map(|e| e.powi(-2)).collect();
        let (fixed, sum) = weighed(&precise);
        let q: f64 = precise.iter().zip(effects).map(|(w, b)| w * (b - fixed).powi(2)).sum();
        let square: f64 = precise.iter().map(|w| w * w).sum();
        let between = ((q - (n - 1.0)) / (sum - square / sum)).max(0.0);
        let weights: Vec<f64> = errors.iter().map(|e| (e.powi(2) + between).recip()).collect();
        let (mean, sum) = weighed(&weights);
        let own = |e: f64| between / (between + e.powi(2));
        Self {
            mean,
            spread: between.sqrt(),
            effects: effects.iter().zip(errors).map(|(b, e)| mean + own(*e) * (b - mean)).collect(),
            errors: errors.iter().map(|e| (own(*e) * e.powi(2) + (1.0 - own(*e)).powi(2) / sum).sqrt()).collect(),
        }
    }
}

/// A demand whose own-price effects are pooled.
pub(super) struct Pooled {
    own: Box<dyn Model>,
    model: Box<dyn Model>,
    pool: Pool,
}

impl Pooled {
    /// Pools the effects of a demand that was fitted to the first weeks of a table. None where there is but one product, or
    /// the table says nothing of the errors.
    pub fn of(own: Box<dyn Model>, sales: &Sales, numbers: &[f64], weeks: usize) -> Option<Self> {
        let n = sales.names.len();
        let groups: Vec<Vec<usize>> = sales.clusters_within(weeks);
        let (block, mut first) = (sales.block(groups.len()), 0);
        // Of each equation: its own-price effects, and their columns of the inverse.
        let mut all: Vec<Vec<(usize, Vec<f64>)>> = Vec::new();
        let (mut effects, mut errors) = (Vec::new(), Vec::new());
        let asked = Asked { sales, numbers, groups: &groups, whole: false };
        own.equations(&asked, &mut |equation| {
            let indices = first..first + equation.scores.first()?.len();
            let here = (0..n).map(|k| own.own_effect(k)).filter(|i| indices.contains(i));
            let columns: Vec<_> = here.map(|i| (i - first, equation.factor.column(i - first))).collect();
            errors.extend(columns.iter().map(|(_, column)| equation.error(column, block)));
            effects.extend(columns.iter().map(|(i, _)| own.coefficient(first + i)));
            all.push(columns);
            first = indices.end;
            Some(())
        })?;
        if n < 2 || errors.iter().any(|e| !(e.is_finite() && *e > 0.0)) {
            return None;
        }
        let pool = Pool::of(&effects, &errors);
        let mut moves = pool.effects.iter().zip(&effects).map(|(pooled, own)| pooled - own);
        let mut by = Vec::new();
        for columns in &all {
            by.extend(followed(columns, &moves.by_ref().take(columns.len()).collect::<Vec<_>>())?);
        }
        let model = own.shifted(&by, sales, numbers, weeks);
        Some(Self { own, model, pool })
    }
}

/// By how much all coefficients of an equation move where some are moved by so much: the others to the best of what is left.
/// `columns`: of those that are moved, the index and the column of the inverse, which tells how the others go with it.
fn followed(columns: &[(usize, Vec<f64>)], moved: &[f64]) -> Option<Vec<f64>> {
    let among: Vec<Vec<f64>> =
        columns.iter().map(|(_, column)| columns.iter().map(|(j, _)| column[*j]).collect()).collect();
    let pulls = Factor::of(&among).ok()?.solve(moved);
    let mut all = vec![0.0; columns.first()?.1.len()];
    for ((_, column), pull) in columns.iter().zip(&pulls) {
        all.iter_mut().zip(column).for_each(|(x, c)| *x += pull * c);
    }
    Some(all)
}

impl Model for Pooled {
    fn expected(&self, week: Week<'_>) -> Vec<f64> {
        self.model.expected(week)
    }

    fn effects(&self) -> usize {
        self.model.effects()
    }

    fn moved(&self, by: &[f64]) -> Drawn {
        self.model.moved(by)
    }

    fn shifted(&self, by: &[f64], sales: &Sales, numbers: &[f64], weeks: usize) -> Box<dyn Model> {
        self.model.shifted(by, sales, numbers, weeks)
    }

    fn equations(&self, asked: &Asked<'_>, take: &mut Take<'_>) -> Option<()> {
        self.own.equations(asked, take)
    }

    fn elasticity(&self, mean: &MeanWeek, k: usize, j: usize) -> Linear {
        self.model.elasticity(mean, k, j)
    }

    fn own_effect(&self, k: usize) -> usize {
        self.model.own_effect(k)
    }

    fn nest_correlation(&self) -> Option<(f64, Option<usize>)> {
        self.model.nest_correlation()
    }

    fn covariate(&self, k: usize, covariate: usize) -> usize {
        self.model.covariate(k, covariate)
    }

    fn coefficient(&self, index: usize) -> f64 {
        self.model.coefficient(index)
    }

    fn unpooled(&self) -> Option<(&dyn Model, &Pool)> {
        Some((&*self.own, &self.pool))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eight schools of Rubin (1981): Q is 4.7 with 7 degrees of freedom, so that τ² is 0 and all get the mean, 7.69 ± 4.07.
    #[test]
    fn eight_schools_are_one() {
        let pool =
            Pool::of(&[28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0], &[15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0]);
        assert!(pool.spread == 0.0 && (pool.mean - 7.69).abs() < 0.02, "{pool:?}");
        assert!(pool.effects.iter().all(|b| (b - pool.mean).abs() < 1e-12));
        assert!(pool.errors.iter().all(|e| (e - 4.07).abs() < 0.02), "{pool:?}");
    }

    /// By hand: weights 1, Q = 200, τ² = (200 − 1) / (2 − 1) = 199, so that each keeps 199 / 200 of its distance to the mean.
    #[test]
    fn what_is_far_apart_stays() {
        let pool = Pool::of(&[0.0, 20.0], &[1.0, 1.0]);
        assert!((pool.mean - 10.0).abs() < 1e-12 && (pool.spread.powi(2) - 199.0).abs() < 1e-9, "{pool:?}");
        assert!((pool.effects[0] - 0.05).abs() < 1e-12, "{pool:?}");
    }
}
