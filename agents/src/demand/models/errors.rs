//! How far a fitted demand's coefficients may be from the truth, in tables of eight weeks as of eight years.
//!
//! A coefficient's variance is that of the sum of what each week's residuals move it by (a sandwich), with neighbouring
//! weeks weighted by Bartlett's kernel, as shocks last (Newey and West 1987). Residuals of few weeks are too small and say
//! little of their own spread, so that the variance is made unbiased for independent errors and its degrees of freedom are
//! Satterthwaite's, both from the design (Bell and McCaffrey 2002, with the kernel in the quadratic form). No interval is
//! narrower than that of the sampling error of so many customers.

use super::{Linear, Model};
use crate::demand::matrix::{Factor, dot, times};
use crate::demand::{Estimate, Sales};
use agon_core::rng::Rng;
use agon_core::stats::student_975;

/// The 97.5 % point of a normal distribution.
const NORMAL_975: f64 = 1.959_963_984_540_054;
/// With more groups of rows than these, degrees of freedom are counted: groups less coefficients.
pub(super) const MANY: usize = 200;

/// Coefficients that were estimated together.
pub struct Equation {
    /// Of the information and the penalty; its inverse is by how much a score moves the coefficients.
    pub factor: Factor,
    /// The derivative of the objective at the estimate, of each group of rows (a week).
    pub scores: Vec<Vec<f64>>,
    /// The information.
    pub information: Information,
    /// The covariance that scores would have if only customers' luck differed from week to week.
    pub luck: Vec<Vec<f64>>,
    /// What the penalty pulls each coefficient back by; empty if there is none.
    pub pull: Vec<f64>,
}

/// What rows tell of the coefficients.
pub struct Information {
    /// Of all groups.
    pub total: Vec<Vec<f64>>,
    /// Of each group.
    pub each: Each,
}

/// What each group of rows adds to the information.
pub enum Each {
    /// A matrix a group; none where there are so many groups that nobody asks.
    Matrices(Vec<Vec<Vec<f64>>>),
    /// Rows of which the squares are summed, one after the other, and the number of rows up to the end of each group.
    Rows(Vec<f64>, Vec<usize>),
}

impl Information {
    /// What a group adds to it, times a vector.
    fn of_group(&self, group: usize, vector: &[f64]) -> Vec<f64> {
        match &self.each {
            Each::Matrices(all) => times(&all[group], vector),
            Each::Rows(x, ends) => {
                let (width, begin) = (vector.len(), group.checked_sub(1).map_or(0, |before| ends[before]));
                let mut sum = vec![0.0; width];
                for row in x[begin * width..ends[group] * width].chunks_exact(width) {
                    let along = dot(row, vector);
                    sum.iter_mut().zip(row).for_each(|(s, x)| *s += along * x);
                }
                sum
            }
        }
    }
}

/// An estimate with a 95 % interval of what it estimates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The estimate with its standard error.
    pub estimate: Estimate,
    /// The interval's ends.
    pub ends: [f64; 2],
}

impl Interval {
    /// The estimate for people: three significant digits.
    pub fn value(&self) -> String {
        digits(self.estimate.value)
    }

    /// The ends for people.
    pub fn range(&self) -> String {
        let [low, high] = self.ends.map(digits);
        format!("[{low}, {high}]")
    }
}

fn digits(value: f64) -> String {
    Estimate { value, error: 0.0 }.to_string()
}

/// The errors of all coefficients of a model.
pub struct Errors {
    /// By how much the estimates without a penalty differ from those with it; of errors as fitted, nothing.
    shift: Vec<f64>,
    /// By how much a group of rows moved each coefficient, scaled to the standard error: `[groups][coefficients]`.
    influence: Vec<Vec<f64>>,
    /// Groups over which shocks last.
    block: usize,
    /// Standard errors.
    error: Vec<f64>,
    /// 97.5 % points of Student's t, beside the normal distribution's.
    wider: Vec<f64>,
    /// All coefficients together, where they are of one equation.
    equation: Option<Equation>,
}

/// How far an equation's coefficients, or a sum of them, may be from the truth.
struct Measured {
    /// By how much each group moved it.
    own: Vec<f64>,
    /// By how much the variance was raised.
    raised: f64,
    /// The standard error of what groups moved, and the larger of that and luck's.
    weekly: f64,
    error: f64,
    /// The 97.5 % point of Student's t beside the normal distribution's.
    wider: f64,
}

/// The 97.5 % point of Student's t for any number of degrees of freedom from 1 on.
fn student(freedom: f64) -> f64 {
    let points = [12.706_204_736, 4.302_652_730, 3.182_446_305, 2.776_445_105];
    if freedom >= 4.0 {
        return student_975(freedom);
    }
    // Between whole numbers its logarithm is all but linear in 1 / ν.
    let below = freedom.max(1.0).floor();
    let share = (1.0 / below - 1.0 / freedom.max(1.0)) / (1.0 / below - 1.0 / (below + 1.0));
    let ends = [below as usize - 1, (below as usize).min(3)].map(|i: usize| f64::ln(points[i]));
    (ends[0] + share * (ends[1] - ends[0])).exp()
}

/// Bartlett's weight of groups so far apart, where shocks last over `block` of them.
fn kernel(apart: usize, block: usize) -> f64 {
    (1.0 - apart as f64 / block as f64).max(0.0)
}

/// The variance of a sum of what groups move a coefficient by.
fn variance(own: &[f64], block: usize) -> f64 {
    let near = |t: usize| t.saturating_sub(block - 1)..(t + block).min(own.len());
    let with = |t: usize| near(t).map(|s| kernel(t.abs_diff(s), block) * own[s]).sum::<f64>();
    (0..own.len()).map(|t| own[t] * with(t)).sum::<f64>().max(0.0)
}

impl Equation {
    /// Of customers' choices: their information is the variance that luck gives the scores. None where it has no inverse.
    pub fn of_choices(scores: Vec<Vec<f64>>, information: Information) -> Option<Self> {
        let (factor, luck) = (Factor::of(&information.total).ok()?, information.total.clone());
        Some(Self { factor, scores, information, luck, pull: Vec::new() })
    }

    /// By how much each group moves a coefficient, whose column of the inverse it is.
    pub fn influence(&self, column: &[f64]) -> Vec<f64> {
        self.scores.iter().map(|score| dot(column, score)).collect()
    }

    /// A coefficient's standard error, raised for as many coefficients as there are: quicker than [`Errors`], and rougher.
    pub fn error(&self, column: &[f64], block: usize) -> f64 {
        let own = self.influence(column);
        let free = own.len().saturating_sub(column.len()).max(1) as f64;
        (own.len() as f64 / free * variance(&own, block)).sqrt()
    }

    /// The same without its penalty, and by how much the estimates then differ; as it is where the table says too little.
    fn unshrunk(mut self) -> (Self, Vec<f64>) {
        let count = self.luck.len();
        let nothing = vec![0.0; count];
        if self.pull.is_empty() || self.scores.len() <= count {
            return (self, nothing);
        }
        let Ok(factor) = Factor::of(&self.information.total) else { return (self, nothing) };
        let shift = factor.solve(&self.pull);
        for (group, score) in self.scores.iter_mut().enumerate() {
            score.iter_mut().zip(self.information.of_group(group, &shift)).for_each(|(s, x)| *s -= x);
        }
        (Self { factor, ..self }, shift)
    }

    /// By how much the variance of a coefficient must be raised to be unbiased where errors are independent, and its degrees
    /// of freedom.
    fn small_sample(&self, contrast: &[f64], block: usize) -> (f64, f64) {
        let groups = self.scores.len();
        if groups > MANY {
            let free = groups.saturating_sub(contrast.len()).max(1) as f64;
            return (groups as f64 / free, free);
        }
        let total = &self.information.total;
        // Residuals are (1 − H) u: what a group's score owes to another's errors.
        let along: Vec<Vec<f64>> = (0..groups).map(|group| self.information.of_group(group, contrast)).collect();
        let back: Vec<Vec<f64>> = along
            .iter()
            .map(|v| {
                let moved = self.factor.solve(v);
                let twice = self.factor.solve(&times(total, &moved));
                moved.iter().zip(&twice).map(|(m, t)| 2.0 * m - t).collect()
            })
            .collect();
        let covariance: Vec<Vec<f64>> = (0..groups)
            .map(|t| {
                let own = dot(contrast, &along[t]);
                (0..groups).map(|s| f64::from(u8::from(s == t)) * own - dot(&along[t], &back[s])).collect()
            })
            .collect();
        let smoothed: Vec<Vec<f64>> = (0..groups)
            .map(|t| {
                let near = t.saturating_sub(block - 1)..(t + block).min(groups);
                (0..groups)
                    .map(|s| near.clone().map(|r| kernel(t.abs_diff(r), block) * covariance[r][s]).sum())
                    .collect()
            })
            .collect();
        let mean: f64 = (0..groups).map(|t| smoothed[t][t]).sum();
        let square: f64 = (0..groups).map(|t| (0..groups).map(|s| smoothed[t][s] * smoothed[s][t]).sum::<f64>()).sum();
        let truth = dot(contrast, &times(total, contrast));
        if mean > 1e-12 * truth && square > 0.0 { (truth / mean, mean * mean / square) } else { (1.0, 1.0) }
    }
}

impl Equation {
    /// Of a coefficient, whose column of the inverse is `contrast`, or of a sum of them.
    fn measured(&self, contrast: &[f64], block: usize) -> Measured {
        let own = self.influence(contrast);
        let (raised, freedom) = self.small_sample(contrast, block);
        let weekly = (raised * variance(&own, block)).sqrt();
        let error = weekly.max(dot(contrast, &times(&self.luck, contrast)).max(0.0).sqrt());
        let half = (student(freedom) * weekly).max(NORMAL_975 * error);
        Measured { own, raised, weekly, error, wider: if error > 0.0 { half / (NORMAL_975 * error) } else { 1.0 } }
    }
}

impl Errors {
    /// Of a model as it was fitted to these sales. `numbers`: the calendar's week of each row. None where the information has
    /// no inverse.
    pub fn of(model: &dyn Model, sales: &Sales, numbers: &[f64]) -> Option<Self> {
        Self::with(model, sales, numbers, |equation| {
            let nothing = vec![0.0; equation.luck.len()];
            (equation, nothing)
        })
    }

    /// The same of the estimates without the penalty on cross effects, whose intervals are around the truth where those of
    /// shrunk estimates are not. Where a table is too short for them they stay as they are.
    pub fn unshrunk(model: &dyn Model, sales: &Sales, numbers: &[f64]) -> Option<Self> {
        Self::with(model, sales, numbers, Equation::unshrunk)
    }

    fn with(
        model: &dyn Model,
        sales: &Sales,
        numbers: &[f64],
        estimated: fn(Equation) -> (Equation, Vec<f64>),
    ) -> Option<Self> {
        let groups = sales.clusters();
        let block = sales.block(groups.len());
        let influence = vec![Vec::new(); groups.len()];
        let (shift, error, wider) = (Vec::new(), Vec::new(), Vec::new());
        let mut found = Self { shift, influence, block, error, wider, equation: None };
        model.equations(sales, numbers, &groups, true, &mut |equation| {
            let first = found.error.len();
            let (equation, shift) = estimated(equation);
            found.shift.extend(shift);
            for contrast in &equation.factor.inverse() {
                let Measured { own, raised, weekly, error, wider } = equation.measured(contrast, block);
                found.error.push(error);
                found.wider.push(wider);
                // Where luck is all there is, coefficients err together as weeks have them.
                let scale = raised.sqrt() * (error / weekly.max(1e-9 * error).max(f64::MIN_POSITIVE)).max(1.0);
                found.influence.iter_mut().zip(&own).for_each(|(all, x)| all.push(scale * x));
            }
            found.equation = (first == 0).then_some(equation);
            Some(())
        })?;
        Some(found)
    }

    /// One draw of what coefficients may differ from the truth by: normal, with the covariance of the estimates, and widened
    /// coefficient by coefficient so that its 95 % interval is Student's.
    pub fn draw(&self, rng: &mut Rng) -> Vec<f64> {
        // Means over as many neighbours as shocks last: their covariance is Bartlett's kernel.
        let luck: Vec<f64> = (0..self.influence.len() + self.block - 1).map(|_| rng.normal()).collect();
        let mut moved = vec![0.0; self.error.len()];
        for (t, influence) in self.influence.iter().enumerate() {
            let shock = luck[t..t + self.block].iter().sum::<f64>() / (self.block as f64).sqrt();
            moved.iter_mut().zip(influence).for_each(|(m, x)| *m += shock * x);
        }
        moved.iter_mut().zip(&self.wider).for_each(|(m, w)| *m *= w);
        moved
    }

    /// The 95 % interval of a number that follows from coefficients (by the delta method), which stands beside it.
    pub fn interval(&self, of: &Linear) -> Interval {
        let (error, wider) = match of.slopes[..] {
            [(coefficient, slope)] => (slope.abs() * self.error[coefficient], self.wider[coefficient]),
            _ => self.combined(&of.slopes),
        };
        let half = NORMAL_975 * wider * error;
        let middle = of.value + of.slopes.iter().map(|(i, slope)| slope * self.shift[*i]).sum::<f64>();
        Interval { estimate: Estimate { value: of.value, error }, ends: [middle - half, middle + half] }
    }

    /// The standard error of a sum of coefficients, which must all be of one equation, and how much wider than the normal
    /// distribution it is.
    fn combined(&self, slopes: &[(usize, f64)]) -> (f64, f64) {
        let Some(equation) = &self.equation else { return (f64::INFINITY, 1.0) };
        let mut weights = vec![0.0; equation.luck.len()];
        slopes.iter().for_each(|(i, slope)| weights[*i] += slope);
        let Measured { error, wider, .. } = equation.measured(&equation.factor.solve(&weights), self.block);
        (error, wider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables of Student's t.
    #[test]
    fn points_between_whole_degrees_of_freedom_lie_between() {
        for (freedom, wanted) in [(1.0, 12.706), (2.0, 4.303), (3.0, 3.182), (4.0, 2.776), (10.0, 2.228)] {
            assert!((student(freedom) / wanted - 1.0).abs() < 2e-3, "{freedom}: {}", student(freedom));
        }
        // By Simpson's rule on the density.
        for (freedom, wanted) in [(1.5, 6.0167), (2.5, 3.5747), (3.5, 2.9401)] {
            assert!((student(freedom) / wanted - 1.0).abs() < 0.03, "{freedom}: {}", student(freedom));
        }
    }
}
