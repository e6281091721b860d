//! Two-stage least squares: where prices answer shocks to demand, they are replaced by what instruments, such as costs, say of
//! them (Angrist and Pischke 2009, chapter 4).

use super::Week;
use crate::demand::Sales;
use crate::demand::matrix::{self, dot, times};
use agon_core::calendar::trend_and_season;

/// A first stage below this F says so little of prices that estimates are biased and their intervals too narrow (Stock and
/// Yogo 2005).
pub const WEAK: f64 = 10.0;

/// Regressors of a first stage, each less its mean over the weeks in which the product was there; 0 in others.
struct Stage {
    columns: Vec<Vec<f64>>,
    /// How many of them are instruments; they come first.
    instruments: usize,
    there: Vec<bool>,
    inverse: Vec<Vec<f64>>,
}

/// A logarithm where all numbers have one.
fn logs(column: Vec<f64>) -> Vec<f64> {
    if column.iter().all(|x| *x > 0.0) { column.into_iter().map(f64::ln).collect() } else { column }
}

impl Stage {
    /// Of a product, by its own instruments, or, of `all`, by those of all products in logarithms. What other columns make
    /// up is left out.
    fn of(sales: &Sales, numbers: &[f64], weeks: usize, calendar: Option<f64>, k: usize, all: bool) -> Option<Self> {
        let n = sales.names.len();
        let there: Vec<bool> = (0..weeks).map(|t| sales.present(t, k)).collect();
        let at = |of: &dyn Fn(usize) -> f64| (0..weeks).map(of).collect::<Vec<f64>>();
        let mut columns = Vec::new();
        for j in if all { 0..n } else { k..k + 1 } {
            for i in 0..sales.instruments[0][j].len() {
                let column = at(&|t| sales.instruments[t][j][i]);
                columns.push(if all { logs(column) } else { column });
            }
        }
        let candidates = columns.len();
        columns.push(at(&|t| sales.displays[t][k]));
        for c in 0..sales.covariate_names.len() {
            columns.push(at(&|t| sales.covariates[t][k][c]));
        }
        if !sales.reference_prices.is_empty() {
            columns.push(at(&|t| if all { sales.reference_prices[t][k].ln() } else { sales.reference_prices[t][k] }));
        }
        if let Some(middle) = calendar {
            (0..3).for_each(|i| columns.push(at(&|t| trend_and_season(numbers[t], middle)[i])));
        }
        let mut instruments = candidates;
        columns.iter_mut().for_each(|column| centre(column, &there));
        // Exogenous columns first, so that an instrument which they make up is the one that is left out.
        columns.rotate_left(candidates);
        let inverse = loop {
            let gram: Vec<Vec<f64>> = columns.iter().map(|a| columns.iter().map(|b| dot(a, b)).collect()).collect();
            match matrix::inverse(&gram) {
                Ok(inverse) => break inverse,
                Err(at) => {
                    instruments -= usize::from(at >= columns.len() - instruments);
                    columns.remove(at);
                }
            }
        };
        let total = there.iter().filter(|there| **there).count();
        (instruments > 0 && total > columns.len() + 1).then_some(Self { columns, instruments, there, inverse })
    }

    /// What the regressors say of some numbers.
    fn projected(&self, numbers: &[f64]) -> Vec<f64> {
        let (mut rest, mean) = (numbers.to_vec(), mean(numbers, &self.there));
        centre(&mut rest, &self.there);
        let right: Vec<f64> = self.columns.iter().map(|column| dot(column, &rest)).collect();
        let effects = times(&self.inverse, &right);
        let of = |t: usize| mean + self.columns.iter().zip(&effects).map(|(column, b)| column[t] * b).sum::<f64>();
        (0..numbers.len()).map(of).collect()
    }

    /// The F statistic of the instruments beside everything else.
    fn strength(&self, numbers: &[f64]) -> Option<f64> {
        let off = |fitted: &[f64]| -> f64 {
            let apart = numbers.iter().zip(fitted).zip(&self.there).filter(|(_, there)| **there);
            apart.map(|((x, y), _)| (x - y).powi(2)).sum()
        };
        let others = self.columns.len() - self.instruments;
        let columns: Vec<Vec<f64>> = self.columns[..others].to_vec();
        let gram: Vec<Vec<f64>> = columns.iter().map(|a| columns.iter().map(|b| dot(a, b)).collect()).collect();
        let inverse = matrix::inverse(&gram).ok()?;
        let without = Self { columns, instruments: 0, there: self.there.clone(), inverse };
        let [with, without] = [self, &without].map(|stage| off(&stage.projected(numbers)));
        let free = self.there.iter().filter(|there| **there).count() - self.columns.len() - 1;
        Some((without - with) / self.instruments as f64 / (with / free as f64))
    }
}

fn mean(numbers: &[f64], there: &[bool]) -> f64 {
    let own = || numbers.iter().zip(there).filter(|(_, there)| **there).map(|(x, _)| *x);
    own().sum::<f64>() / own().count().max(1) as f64
}

fn centre(numbers: &mut [f64], there: &[bool]) {
    let mean = mean(numbers, there);
    numbers.iter_mut().zip(there).for_each(|(x, there)| *x = if *there { *x - mean } else { 0.0 });
}

/// What each product's own instruments say of its price, `[weeks][products]`: for a logit.
pub(super) fn prices(sales: &Sales, numbers: &[f64], weeks: usize, calendar: Option<f64>) -> Option<Vec<Vec<f64>>> {
    let n = sales.names.len();
    let of = |k: usize| -> Option<Vec<f64>> {
        let stage = Stage::of(sales, numbers, weeks, calendar, k, false)?;
        Some(stage.projected(&(0..weeks).map(|t| sales.prices[t][k]).collect::<Vec<_>>()))
    };
    let columns = (0..n).map(of).collect::<Option<Vec<_>>>()?;
    Some((0..weeks).map(|t| columns.iter().map(|column| column[t]).collect()).collect())
}

/// What the instruments of all products say of the logarithms of all prices in the weeks of product k, `[weeks][products]`: for
/// log-log demand. None where there are fewer instruments than prices.
pub(super) fn log_prices(
    sales: &Sales,
    numbers: &[f64],
    weeks: usize,
    calendar: Option<f64>,
    k: usize,
) -> Option<Vec<Vec<f64>>> {
    let n = sales.names.len();
    let stage = Stage::of(sales, numbers, weeks, calendar, k, true).filter(|stage| stage.instruments >= n)?;
    let log = |j: usize| (0..weeks).map(|t| Week::of(sales, numbers, t).log_price(j)).collect::<Vec<f64>>();
    let columns: Vec<Vec<f64>> = (0..n).map(|j| stage.projected(&log(j))).collect();
    Some((0..weeks).map(|t| columns.iter().map(|column| column[t]).collect()).collect())
}

/// The first-stage F statistic of each product's price; none where nothing can be said. `calendar`: beside trend and season.
pub fn strengths(sales: &Sales, numbers: &[f64], calendar: bool) -> Vec<Option<f64>> {
    let weeks = sales.customers.len();
    let middle = calendar.then(|| numbers.iter().sum::<f64>() / weeks as f64);
    let of = |k: usize| {
        let stage = Stage::of(sales, numbers, weeks, middle, k, false)?;
        stage.strength(&(0..weeks).map(|t| sales.prices[t][k]).collect::<Vec<_>>())
    };
    (0..sales.names.len()).map(of).collect()
}
