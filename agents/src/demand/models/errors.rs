//! How far a fitted demand's coefficients may be from the truth, in tables of eight weeks as of eight years.
//!
//! A coefficient's variance is that of the sum of what each week's residuals move it by (a sandwich), with neighbouring
//! weeks weighted by Bartlett's kernel, as shocks last (Newey and West 1987). Residuals of few weeks are too small and say
//! little of their own spread, so that the variance is made unbiased for independent errors and its degrees of freedom are
//! Satterthwaite's, both from the design (Bell and McCaffrey 2002, with the kernel in the quadratic form). No interval is
//! narrower than that of the sampling error of so many customers.

use super::{Asked, Linear, Model};
use crate::demand::matrix::{self, Factor, dot, times};
use crate::demand::{Estimate, Sales};
use agon_core::rng::Rng;
use agon_core::stats::student_975;

/// The 97.5 % point of a normal distribution.
const NORMAL_975: f64 = 1.959_963_984_540_054;
/// With more groups of rows than these, degrees of freedom are approximated: groups less coefficients.
pub(super) const MANY: usize = 200;

/// What a group of rows adds to the information, times a vector.
pub type InformationOfGroup = Box<dyn Fn(usize, &[f64]) -> Vec<f64>>;

/// Coefficients that were estimated together.
pub struct Equation {
    /// Of the information and the penalty; its inverse is by how much a score moves the coefficients.
    pub factor: Factor,
    /// The derivative of the objective at the estimate, of each group of rows (a week).
    pub scores: Vec<Vec<f64>>,
    /// The information.
    pub information: Vec<Vec<f64>>,
    /// That of each group; none where it was not asked for.
    pub of_group: Option<InformationOfGroup>,
    /// The covariance that scores would have if only customers' luck differed from week to week.
    pub luck: Vec<Vec<f64>>,
    /// What the penalty pulls each coefficient back by; empty if there is none.
    pub pull: Vec<f64>,
    /// The effective number of coefficients that groups of rows tell apart, by which degrees of freedom are approximated
    /// where groups are many.
    pub effective_coefficients: f64,
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
    /// All coefficients together, where they are of one equation, and its [`Equation::middle`].
    equation: Option<(Equation, Vec<Vec<f64>>)>,
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
    /// By how much each group moves a coefficient, whose column of the inverse it is.
    fn influence(&self, column: &[f64]) -> Vec<f64> {
        self.scores.iter().map(|score| dot(column, score)).collect()
    }

    /// An approximation of [`Self::small_sample`]. Where shocks last, the coefficient itself costs a degree of freedom for each
    /// group that the kernel spans, and Bartlett's kernel leaves 3 / 2 degrees of freedom for as many groups as it spans.
    fn approximate(&self, block: usize) -> (f64, f64) {
        let (groups, block) = (self.scores.len() as f64, block as f64);
        let free = (groups - self.effective_coefficients - (block - 1.0)).max(1.0);
        (groups / free, free / (1.0 + (block - 1.0) * 2.0 / 3.0))
    }

    /// A coefficient's standard error, raised by [`Self::approximate`]: quicker than [`Errors`], and rougher.
    pub fn error(&self, column: &[f64], block: usize) -> f64 {
        (self.approximate(block).0 * variance(&self.influence(column), block)).sqrt()
    }

    /// The same without its penalty, and by how much the estimates then differ; as it is where the table says too little.
    fn unshrunk(mut self) -> (Self, Vec<f64>) {
        let count = self.luck.len();
        let nothing = vec![0.0; count];
        let Some(of_group) = self.of_group.as_ref().filter(|_| !self.pull.is_empty() && self.scores.len() > count)
        else {
            return (self, nothing);
        };
        let Ok(factor) = Factor::of(&self.information) else { return (self, nothing) };
        let shift = factor.solve(&self.pull);
        for (group, score) in self.scores.iter_mut().enumerate() {
            score.iter_mut().zip(of_group(group, &shift)).for_each(|(s, x)| *s -= x);
        }
        (Self { factor, pull: Vec::new(), ..self }, shift)
    }

    /// 2 M − M T M, with the inverse M and the information T: the information of two groups around it is what one's errors are
    /// in the other's scores. Without a penalty it is M. Empty where degrees of freedom are approximated.
    fn middle(&self, inverse: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        if self.scores.len() > MANY {
            return Vec::new();
        }
        if self.pull.is_empty() {
            return inverse;
        }
        let mut middle = matrix::quadratic_form(&inverse.concat(), &self.information);
        middle.iter_mut().flatten().zip(inverse.iter().flatten()).for_each(|(x, m)| *x = 2.0 * m - *x);
        middle
    }

    /// By how much the variance of a coefficient must be raised to be unbiased where errors are independent, and its degrees
    /// of freedom.
    fn small_sample(&self, contrast: &[f64], block: usize, middle: &[Vec<f64>]) -> (f64, f64) {
        let groups = self.scores.len();
        let Some(of_group) = self.of_group.as_ref().filter(|_| !middle.is_empty()) else {
            return self.approximate(block);
        };
        // Residuals are (1 − H) u: what a group's score owes to another's errors.
        let along: Vec<Vec<f64>> = (0..groups).map(|group| of_group(group, contrast)).collect();
        let mut covariance = matrix::quadratic_form(&along.concat(), middle);
        covariance.iter_mut().flatten().for_each(|x| *x = -*x);
        (0..groups).for_each(|t| covariance[t][t] += dot(contrast, &along[t]));
        let smoothed: Vec<Vec<f64>> = (0..groups)
            .map(|t| {
                let near = t.saturating_sub(block - 1)..(t + block).min(groups);
                let mut line = vec![0.0; groups];
                for r in near {
                    let weight = kernel(t.abs_diff(r), block);
                    line.iter_mut().zip(&covariance[r]).for_each(|(x, c)| *x += weight * c);
                }
                line
            })
            .collect();
        let mean: f64 = (0..groups).map(|t| smoothed[t][t]).sum();
        let square: f64 = (0..groups).map(|t| (0..groups).map(|s| smoothed[t][s] * smoothed[s][t]).sum::<f64>()).sum();
        let truth = dot(contrast, &times(&self.information, contrast));
        if mean > 1e-12 * truth && square > 0.0 { (truth / mean, mean * mean / square) } else { (1.0, 1.0) }
    }

    /// Of a coefficient, whose column of the inverse is `contrast`, or of a sum of them.
    fn measured(&self, contrast: &[f64], block: usize, middle: &[Vec<f64>]) -> Measured {
        let own = self.influence(contrast);
        let (raised, freedom) = self.small_sample(contrast, block, middle);
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
        model.equations(&Asked { sales, numbers, groups: &groups, whole: true }, &mut |equation| {
            let first = found.error.len();
            let (equation, shift) = estimated(equation);
            found.shift.extend(shift);
            let inverse = equation.factor.inverse();
            let middle = equation.middle(inverse.clone());
            for contrast in &inverse {
                let Measured { own, raised, weekly, error, wider } = equation.measured(contrast, block, &middle);
                found.error.push(error);
                found.wider.push(wider);
                // Where luck is all there is, coefficients err together as weeks have them.
                let scale = raised.sqrt() * (error / weekly.max(1e-9 * error).max(f64::MIN_POSITIVE)).max(1.0);
                found.influence.iter_mut().zip(&own).for_each(|(all, x)| all.push(scale * x));
            }
            found.equation = (first == 0).then_some((equation, middle));
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
        let Some((equation, middle)) = &self.equation else { return (f64::INFINITY, 1.0) };
        let mut weights = vec![0.0; equation.luck.len()];
        slopes.iter().for_each(|(i, slope)| weights[*i] += slope);
        let Measured { error, wider, .. } = equation.measured(&equation.factor.solve(&weights), self.block, middle);
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

    /// Where it is approximated, the variance is raised as much as the exact correction raises it: in one shop, in
    /// shops with the same prices, and in shops with their own.
    #[test]
    fn the_approximation_is_near_the_exact_correction() {
        use crate::demand::models::{Form, tests::market};
        use crate::demand::{Method, PriceEffect};
        let (weeks, effects) = (100, [1.0, 1.5, 0.7, 1.2, 0.9, 1.1]);
        for (shops, alike) in [(1, false), (8, true), (8, false)] {
            let drawn: Vec<Sales> = (0..shops).map(|shop| market(weeks, &effects, 0.3, 70 + shop)).collect();
            let mut sales = Sales { names: drawn[0].names.clone(), ..Sales::default() };
            for t in 0..weeks {
                sales.begins.push(sales.customers.len());
                for (shop, one) in drawn.iter().enumerate() {
                    sales.prices.push(if alike { &drawn[0] } else { one }.prices[t].clone());
                    sales.units.push(one.units[t].clone());
                    sales.displays.push(vec![0.0; effects.len()]);
                    sales.customers.push(one.customers[t]);
                    sales.shops.push(shop as u32);
                }
            }
            let (rows, groups) = (sales.customers.len(), sales.clusters());
            for form in [
                Form::Logit(Method::Likelihood, PriceEffect::ByProduct),
                Form::Logit(Method::LeastSquares, PriceEffect::ByProduct),
                Form::LogLog,
            ] {
                let model = form.fit(&sales, &vec![0.0; rows], rows, false).unwrap();
                let (mut first, mut at) = (0, 0);
                let asked = Asked { sales: &sales, numbers: &vec![0.0; rows], groups: &groups, whole: true };
                model.equations(&asked, &mut |equation| {
                    let count = equation.luck.len();
                    let own = (0..effects.len()).map(|k| model.own_effect(k)).find(|i| *i >= first).unwrap() - first;
                    let inverse = equation.factor.inverse();
                    let middle = equation.middle(inverse.clone());
                    for (block, close) in [(1, 0.03), (5, 0.06)] {
                        let (raised, freedom) = equation.small_sample(&inverse[own], block, &middle);
                        let (wanted, wanted_freedom) = equation.approximate(block);
                        let told =
                            format!("{form:?} {shops} {alike} {block}: {wanted} {raised}, {wanted_freedom} {freedom}");
                        assert!((wanted / raised - 1.0).abs() < close, "{told}");
                        // It also depends on how prices are spread, which is left out: with so many groups that is little.
                        assert!((0.5..2.5).contains(&(wanted_freedom / freedom)), "{told}");
                    }
                    (first, at) = (first + count, at + 1);
                    Some(())
                });
                assert_eq!((first, at > 0), (model.effects(), true));
            }
        }
    }
}
