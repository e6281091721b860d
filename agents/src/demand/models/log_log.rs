//! Log-log demand with cross effects.

use super::{Drawn, FEWEST, Model, Week, finite, times};
use crate::demand::{Sales, checks};
use agon_core::calendar::trend_and_season;

/// The ridge penalty of standardised cross-price effects, a week of data. Cross effects are many and small.
const CROSS_RIDGE: f64 = 0.2;
/// The same of all other effects: it only keeps the solution unique.
const RIDGE: f64 = 1e-6;

/// ln(units / customers) of each product, linear in the logs of all prices, its own display and the calendar: ridge
/// regression in standardised columns, with a penalty on cross effects.
pub(super) struct LogLog {
    /// The level and the coefficients of each product's columns.
    products: Vec<(f64, Vec<f64>)>,
    /// Means of the columns, each product's.
    means: Vec<Vec<f64>>,
    calendar: Option<f64>,
    shown: bool,
    /// ln (units sold / units expected), a product each: what turns the median sales of a week into the mean ones.
    smearing: Vec<f64>,
    /// The variance of sales around their mean beyond Poisson's, beside the square of that, a product each.
    dispersion: Vec<f64>,
}

impl LogLog {
    fn columns(&self, week: Week<'_>, k: usize) -> Vec<f64> {
        let mut columns: Vec<f64> = week.prices.iter().map(|p| p.max(1e-9).ln()).collect();
        if self.shown {
            columns.push(week.displays[k]);
        }
        columns.extend(self.calendar.iter().flat_map(|middle| trend_and_season(week.number, *middle)));
        columns
    }

    /// Weights of the weeks that a product was present in; 0 in all others.
    fn present(sales: &Sales, weights: &[f64], k: usize) -> Vec<f64> {
        weights.iter().enumerate().map(|(t, w)| if sales.present(t, k) { *w } else { 0.0 }).collect()
    }

    pub fn fit(sales: &Sales, numbers: &[f64], weights: &[f64], calendar: bool) -> Option<Self> {
        let n = sales.names.len();
        let shown = sales.displays.iter().flatten().any(|d| *d != 0.0);
        let calendar = calendar.then(|| numbers[..weights.len()].iter().sum::<f64>() / weights.len() as f64);
        let (products, means, smearing, dispersion) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut model = Self { products, means, calendar, shown, smearing, dispersion };
        for k in 0..n {
            let weights = Self::present(sales, weights, k);
            let weeks = weights.iter().filter(|w| **w > 0.0).count();
            let total: f64 = weights.iter().sum();
            let rows: Vec<Vec<f64>> =
                (0..weights.len()).map(|t| model.columns(Week::of(sales, numbers, t), k)).collect();
            let y: Vec<f64> =
                (0..weights.len()).map(|t| (sales.units[t][k].max(FEWEST) / sales.customers[t]).ln()).collect();
            let count = rows[0].len();
            // Own level, price, display and calendar are hardly penalised: they must be fewer than the weeks.
            if weeks <= 2 + count - n {
                return None;
            }
            let mean_of =
                |x: &dyn Fn(usize) -> f64| weights.iter().enumerate().map(|(t, w)| w * x(t)).sum::<f64>() / total;
            let level = mean_of(&|t| y[t]);
            let mean: Vec<f64> = (0..count).map(|c| mean_of(&|t| rows[t][c])).collect();
            let size = |c: usize| {
                let square = mean_of(&|t| (rows[t][c] - mean[c]).powi(2));
                if square > 1e-18 { square.sqrt() } else { 1.0 }
            };
            let sizes: Vec<f64> = (0..count).map(size).collect();
            let (mut gram, mut right) = (vec![vec![0.0; count]; count], vec![0.0; count]);
            for ((row, y), weight) in rows.iter().zip(&y).zip(&weights) {
                let z: Vec<f64> = (0..count).map(|c| (row[c] - mean[c]) / sizes[c]).collect();
                for i in 0..count {
                    right[i] += weight * z[i] * (y - level);
                    gram[i].iter_mut().zip(&z).for_each(|(g, x)| *g += weight * z[i] * x);
                }
            }
            for (i, line) in gram.iter_mut().enumerate() {
                line[i] += total * if i < n && i != k { CROSS_RIDGE } else { RIDGE };
            }
            let solved = times(&checks::inverse(&gram).ok()?, &right);
            let effects: Vec<f64> = solved.iter().zip(&sizes).map(|(b, s)| b / s).collect();
            if !finite(&effects) {
                return None;
            }
            model.products.push((level, effects));
            model.means.push(mean);
        }
        model.mean_units(sales, numbers, weights);
        Some(model)
    }

    /// Levels of logarithms are those of medians: finds by how much the mean is above them (Duan's smearing, 1983), and how
    /// far sales vary around that (by moments).
    fn mean_units(&mut self, sales: &Sales, numbers: &[f64], weights: &[f64]) {
        let expected: Vec<Vec<f64>> = (0..weights.len()).map(|t| self.expected(Week::of(sales, numbers, t))).collect();
        for k in 0..self.products.len() {
            let weights = Self::present(sales, weights, k);
            let sum = |x: &dyn Fn(f64, f64) -> f64| -> f64 {
                let weeks = expected.iter().zip(&sales.units).zip(&weights);
                weeks.map(|((week, units), weight)| weight * x(week[k], units[k])).sum()
            };
            let ratio = sum(&|_, units| units) / sum(&|mean, _| mean);
            let square = sum(&|mean, _| (ratio * mean).powi(2));
            let excess = sum(&|mean, units| (units - ratio * mean).powi(2) - ratio * mean);
            self.smearing.push(if ratio > 0.0 { ratio.ln() } else { 0.0 });
            self.dispersion.push(if square > 0.0 { (excess / square).max(0.0) } else { 0.0 });
        }
    }
}

impl Model for LogLog {
    fn expected(&self, week: Week<'_>) -> Vec<f64> {
        let one = |(k, (level, effects)): (usize, &(f64, Vec<f64>))| {
            if week.lacks(k) {
                return 0.0;
            }
            let columns = self.columns(week, k);
            let moved: f64 = (0..effects.len()).map(|c| effects[c] * (columns[c] - self.means[k][c])).sum();
            week.customers * (level + moved).min(0.0).exp()
        };
        self.products.iter().enumerate().map(one).collect()
    }

    fn effects(&self) -> usize {
        self.products.iter().map(|(_, effects)| 1 + effects.len()).sum()
    }

    /// Of mean units, where [`Model::expected`] gives the median: it is the better forecast by absolute errors.
    fn coefficients(&self) -> Drawn {
        let n = self.products.len();
        let level = |k: usize| {
            let (level, effects) = &self.products[k];
            level + self.smearing[k] - effects.iter().zip(&self.means[k]).map(|(b, m)| b * m).sum::<f64>()
        };
        let of = |from: usize, to: usize| self.products.iter().map(move |(_, effects)| effects[from..to].to_vec());
        let display = |effects: Vec<f64>| effects.first().copied().unwrap_or(0.0);
        let calendar = n + usize::from(self.shown);
        Drawn {
            intercepts: (0..n).map(level).collect(),
            elasticities: of(0, n).collect(),
            display_effects: of(n, calendar).map(display).collect(),
            calendar: self.calendar.map_or(Vec::new(), |_| of(calendar, calendar + 3).collect()),
            middle: self.calendar.unwrap_or(0.0),
            dispersion: self.dispersion.clone(),
            ..Drawn::default()
        }
    }
}
