//! Log-log demand with cross effects.

use super::errors::Equation;
use super::instruments;
use super::{Drawn, FEWEST, Linear, Model, Week, finite, times};
use crate::demand::{Sales, checks};
use agon_core::calendar::trend_and_season;

/// The ridge penalty of standardised cross-price effects, a week of data. Cross effects are many and small.
const CROSS_RIDGE: f64 = 0.2;
/// The same of all other effects: it only keeps the solution unique.
const RIDGE: f64 = 1e-6;

/// ln(units / customers) of each product, linear in the logs of all prices, its own display and the calendar: ridge
/// regression in standardised columns, with a penalty on cross effects.
#[derive(Clone)]
pub(super) struct LogLog {
    /// The level and the coefficients of each product's columns.
    products: Vec<(f64, Vec<f64>)>,
    /// Means of the columns, each product's.
    means: Vec<Vec<f64>>,
    calendar: Option<f64>,
    shown: bool,
    /// Columns before those of covariates, and whether after them there is one of reference prices.
    first: usize,
    used_to: bool,
    /// What instruments say of the logs of all prices, of each product `[weeks][products]`; empty if there are none.
    projected: Vec<Vec<Vec<f64>>>,
    /// Penalties of the columns, each product's.
    penalties: Vec<Vec<f64>>,
    /// ln (units sold / units expected), a product each: what turns the median sales of a week into the mean ones.
    smearing: Vec<f64>,
    /// The variance of sales around their mean beyond Poisson's, beside the square of that, a product each.
    dispersion: Vec<f64>,
}

impl LogLog {
    /// Coefficients a product: a level and an effect of each column.
    fn each(&self) -> usize {
        1 + self.products[0].1.len()
    }

    fn columns(&self, week: Week<'_>, k: usize) -> Vec<f64> {
        let mut columns: Vec<f64> = (0..week.prices.len()).map(|j| week.log_price(j)).collect();
        if self.shown {
            columns.push(week.displays[k]);
        }
        columns.extend(self.calendar.iter().flat_map(|middle| trend_and_season(week.number, *middle)));
        columns.extend(week.covariates.get(k).into_iter().flatten());
        columns.extend(week.reference_prices.get(k).map(|price| price.max(1e-9).ln()));
        columns
    }

    /// The same with what instruments say of prices.
    fn instrumented(&self, sales: &Sales, numbers: &[f64], t: usize, k: usize) -> Vec<f64> {
        let mut columns = self.columns(Week::of(sales, numbers, t), k);
        if let Some(projected) = self.projected.get(k) {
            columns.iter_mut().zip(&projected[t]).for_each(|(x, p)| *x = *p);
        }
        columns
    }

    /// 1 for weeks that a product was present in, else 0.
    fn present(sales: &Sales, weeks: usize, k: usize) -> Vec<f64> {
        (0..weeks).map(|t| f64::from(u8::from(sales.present(t, k)))).collect()
    }

    pub fn fit(sales: &Sales, numbers: &[f64], weeks: usize, calendar: bool) -> Option<Self> {
        let n = sales.names.len();
        let shown = sales.displays.iter().flatten().any(|d| *d != 0.0);
        let calendar = calendar.then(|| numbers[..weeks].iter().sum::<f64>() / weeks as f64);
        let (products, means, penalties) = (Vec::new(), Vec::new(), Vec::new());
        let (smearing, dispersion) = (Vec::new(), Vec::new());
        let (used_to, projected) = (!sales.reference_prices.is_empty(), Vec::new());
        let first = n + usize::from(shown) + if calendar.is_some() { 3 } else { 0 };
        let mut model =
            Self { products, means, calendar, shown, first, used_to, projected, penalties, smearing, dispersion };
        for k in 0..n {
            if !sales.instruments.is_empty() {
                model.projected.push(instruments::log_prices(sales, numbers, weeks, calendar, k)?);
            }
            let weights = Self::present(sales, weeks, k);
            let total: f64 = weights.iter().sum();
            let rows: Vec<Vec<f64>> = (0..weeks).map(|t| model.instrumented(sales, numbers, t, k)).collect();
            let y: Vec<f64> = (0..weeks).map(|t| (sales.units[t][k].max(FEWEST) / sales.customers[t]).ln()).collect();
            let count = rows[0].len();
            // Own level, price, display and calendar are hardly penalised: they must be fewer than the weeks.
            if total <= (2 + count - n) as f64 {
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
            let penalty = |i: usize| total * if i < n && i != k { CROSS_RIDGE } else { RIDGE };
            gram.iter_mut().enumerate().for_each(|(i, line)| line[i] += penalty(i));
            let solved = times(&checks::inverse(&gram).ok()?, &right);
            let effects: Vec<f64> = solved.iter().zip(&sizes).map(|(b, s)| b / s).collect();
            if !finite(&effects) {
                return None;
            }
            model.products.push((level, effects));
            model.means.push(mean);
            model.penalties.push((0..count).map(|i| penalty(i) * sizes[i].powi(2)).collect());
        }
        model.mean_units(sales, numbers, weeks);
        Some(model)
    }

    /// Levels of logarithms are those of medians: finds by how much the mean is above them (Duan's smearing, 1983), and how
    /// far sales vary around that (by moments).
    fn mean_units(&mut self, sales: &Sales, numbers: &[f64], weeks: usize) {
        let expected: Vec<Vec<f64>> = (0..weeks).map(|t| self.expected(Week::of(sales, numbers, t))).collect();
        for k in 0..self.products.len() {
            let weights = Self::present(sales, weeks, k);
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
    fn moved(&self, by: &[f64]) -> Drawn {
        let (n, each) = (self.products.len(), self.each());
        let effect = |k: usize, i: usize| self.products[k].1[i] + by.get(k * each + 1 + i).unwrap_or(&0.0);
        let level = |k: usize| {
            let means = self.means[k].iter().enumerate().map(|(i, mean)| effect(k, i) * mean).sum::<f64>();
            self.products[k].0 + by.get(k * each).unwrap_or(&0.0) + self.smearing[k] - means
        };
        let of = |from: usize, to: usize| -> Vec<Vec<f64>> {
            (0..n).map(|k| (from..to).map(|i| effect(k, i)).collect()).collect()
        };
        let calendar = n + usize::from(self.shown);
        let last = self.each() - 1 - usize::from(self.used_to);
        let reference = |k: usize| if self.used_to { effect(k, last) } else { 0.0 };
        let mut elasticities = of(0, n);
        // r (ln usual − ln price): what is felt of it is not in the price's own effect.
        elasticities.iter_mut().enumerate().for_each(|(k, row)| row[k] += reference(k));
        Drawn {
            intercepts: (0..n).map(level).collect(),
            elasticities,
            covariate_effects: of(self.first, last),
            reference_effects: if self.used_to { (0..n).map(reference).collect() } else { Vec::new() },
            display_effects: (0..n).map(|k| if self.shown { effect(k, n) } else { 0.0 }).collect(),
            calendar: self.calendar.map_or(Vec::new(), |_| of(calendar, calendar + 3)),
            middle: self.calendar.unwrap_or(0.0),
            dispersion: self.dispersion.clone(),
            ..Drawn::default()
        }
    }

    fn equations(&self, sales: &Sales, numbers: &[f64], groups: &[Vec<usize>]) -> Option<Vec<Equation>> {
        let count = self.each();
        let one = |k: usize| {
            let (level, effects) = &self.products[k];
            let mut total = vec![vec![0.0; count]; count];
            let (mut scores, mut information, mut luck) = (Vec::new(), Vec::new(), vec![vec![0.0; count]; count]);
            for group in groups {
                let (mut score, mut own) = (vec![0.0; count], vec![vec![0.0; count]; count]);
                for t in group.iter().filter(|t| sales.present(**t, k)) {
                    let centred = |columns: Vec<f64>| -> Vec<f64> {
                        [1.0].into_iter().chain(columns.iter().zip(&self.means[k]).map(|(c, m)| c - m)).collect()
                    };
                    let x = centred(self.instrumented(sales, numbers, *t, k));
                    let real = centred(self.columns(Week::of(sales, numbers, *t), k));
                    let moved: f64 = effects.iter().zip(&real[1..]).map(|(b, x)| b * x).sum();
                    let units = sales.units[*t][k].max(FEWEST);
                    let residual = (units / sales.customers[*t]).ln() - level - moved;
                    for i in 0..count {
                        score[i] += x[i] * residual;
                        own[i].iter_mut().zip(&x).for_each(|(o, z)| *o += x[i] * z);
                        luck[i].iter_mut().zip(&x).for_each(|(o, z)| *o += x[i] * z / units);
                    }
                }
                total.iter_mut().flatten().zip(own.iter().flatten()).for_each(|(a, b)| *a += b);
                scores.push(score);
                information.push(own);
            }
            let mut pull = vec![0.0; count];
            for (i, (penalty, effect)) in self.penalties[k].iter().zip(effects).enumerate() {
                total[i + 1][i + 1] += penalty;
                pull[i + 1] = penalty * effect;
            }
            Some(Equation { bread: checks::inverse(&total).ok()?, scores, information, luck, pull })
        };
        (0..self.products.len()).map(one).collect()
    }

    fn elasticity(&self, _: &Sales, k: usize, j: usize) -> Linear {
        Linear::coefficient(self, k * self.each() + 1 + j)
    }

    fn own_effect(&self, k: usize) -> usize {
        k * self.each() + 1 + k
    }

    fn covariate(&self, k: usize, covariate: usize) -> usize {
        k * self.each() + 1 + self.first + covariate
    }

    fn coefficient(&self, index: usize) -> f64 {
        let (k, i) = (index / self.each(), index % self.each());
        let (level, effects) = &self.products[k];
        if i == 0 { *level } else { effects[i - 1] }
    }

    fn shifted(&self, by: &[f64], sales: &Sales, numbers: &[f64], weeks: usize) -> Box<dyn Model> {
        let mut model = Self { smearing: Vec::new(), dispersion: Vec::new(), ..self.clone() };
        for ((level, effects), by) in model.products.iter_mut().zip(by.chunks(self.each())) {
            *level += by[0];
            effects.iter_mut().zip(&by[1..]).for_each(|(effect, by)| *effect += by);
        }
        model.mean_units(sales, numbers, weeks);
        Box::new(model)
    }
}
