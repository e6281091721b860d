//! Log-log demand with cross effects.

use super::errors::{Equation, InformationOfGroup};
use super::instruments;
use super::{Asked, Drawn, FEWEST, Linear, MeanWeek, Model, Take, Week, finite};
use crate::demand::Sales;
use crate::demand::matrix::{self, Factor, dot};
use agon_core::calendar::trend_and_season;
use std::ops::Range;

/// The ridge penalty of standardised cross-price effects, a week of data. Cross effects are many and small.
const CROSS_RIDGE: f64 = 0.2;
/// The same of all other effects: it only keeps the solution unique.
const RIDGE: f64 = 1e-6;
/// Products of which sums are made at a time.
const BLOCK: usize = 16;

/// ln(units / customers) of each product, linear in the logs of all prices, its own display and the calendar: ridge
/// regression in standardised columns, with a penalty on cross effects.
///
/// A product's columns: the logs of all prices and the calendar's three, which it shares with the others; its display,
/// covariates and the log of its reference price.
#[derive(Clone)]
pub(super) struct LogLog {
    /// The level and the coefficients of each product's columns.
    products: Vec<(f64, Vec<f64>)>,
    /// The level less what the coefficients make of the means: what is left where all columns are zero.
    offsets: Vec<f64>,
    /// Means of the columns, each product's.
    means: Vec<Vec<f64>>,
    calendar: Option<f64>,
    shown: bool,
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

/// The columns that products share, less their means over all weeks, and sums of their products.
struct Shared {
    weeks: usize,
    width: usize,
    x: Vec<f64>,
    means: Vec<f64>,
    gram: Vec<Vec<f64>>,
}

/// Sums of products of a product's columns, less their means over the weeks in which it was there.
struct Moments {
    /// Those weeks.
    there: Vec<bool>,
    total: f64,
    /// The mean of ln(units / customers).
    level: f64,
    means: Vec<f64>,
    gram: Vec<Vec<f64>>,
    /// With ln(units / customers).
    right: Vec<f64>,
}

/// Less its mean over the weeks in which a product was there, and nothing in others; and that mean.
fn centred(mut column: Vec<f64>, there: &[bool]) -> (Vec<f64>, f64) {
    let weeks = there.iter().filter(|there| **there).count() as f64;
    let mean = column.iter().zip(there).filter(|(_, there)| **there).map(|(x, _)| x).sum::<f64>() / weeks;
    column.iter_mut().zip(there).for_each(|(x, there)| *x = if *there { *x - mean } else { 0.0 });
    (column, mean)
}

/// Adds a vector, so many times.
fn add(sum: &mut [f64], factor: f64, x: &[f64]) {
    sum.iter_mut().zip(x).for_each(|(s, x)| *s += factor * x);
}

/// Columns, put side by side into rows.
fn rows_of(columns: &[Vec<f64>], rows: usize) -> Vec<f64> {
    (0..rows).flat_map(|t| columns.iter().map(move |column| column[t])).collect()
}

/// ln(units / customers).
fn log_share(sales: &Sales, t: usize, k: usize) -> f64 {
    (sales.units[t][k].max(FEWEST) / sales.customers[t]).ln()
}

impl Shared {
    fn of(model: &LogLog, sales: &Sales, numbers: &[f64], weeks: usize) -> Self {
        let mut x: Vec<f64> = Vec::new();
        (0..weeks).for_each(|t| x.extend(model.shared(&Week::of(sales, numbers, t))));
        let width = x.len() / weeks;
        let mut means = vec![0.0; width];
        x.chunks_exact(width).for_each(|row| means.iter_mut().zip(row).for_each(|(m, x)| *m += x / weeks as f64));
        x.chunks_exact_mut(width).for_each(|row| row.iter_mut().zip(&means).for_each(|(x, m)| *x -= m));
        let gram = matrix::gram(&x, width);
        Self { weeks, width, x, means, gram }
    }

    fn row(&self, t: usize) -> &[f64] {
        &self.x[t * self.width..][..self.width]
    }

    /// The sums over some weeks.
    fn gram_of(&self, weeks: impl Iterator<Item = usize>) -> Vec<Vec<f64>> {
        matrix::gram(&weeks.flat_map(|t| self.row(t)).copied().collect::<Vec<f64>>(), self.width)
    }

    /// Means and sums of products over the weeks in which a product was there.
    fn moments(&self, there: &[bool]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let absent = there.iter().filter(|there| !**there).count();
        if absent == 0 {
            return (self.means.clone(), self.gram.clone());
        }
        let (total, weeks) = ((self.weeks - absent) as f64, || 0..self.weeks);
        let mut off = vec![0.0; self.width];
        for t in weeks().filter(|t| there[*t]) {
            off.iter_mut().zip(self.row(t)).for_each(|(m, x)| *m += x / total);
        }
        let mut gram = if 2 * absent < self.weeks {
            let mut gram = self.gram.clone();
            matrix::add(&mut gram, -1.0, &self.gram_of(weeks().filter(|t| !there[*t])));
            gram
        } else {
            self.gram_of(weeks().filter(|t| there[*t]))
        };
        gram.iter_mut()
            .zip(&off)
            .for_each(|(line, a)| line.iter_mut().zip(&off).for_each(|(g, b)| *g -= total * a * b));
        // What moved in weeks without the product alone leaves but rounding.
        let still: Vec<usize> = (0..self.width).filter(|i| gram[*i][*i] < 1e-12 * self.gram[*i][*i]).collect();
        for i in still {
            gram.iter_mut().for_each(|line| line[i] = 0.0);
            gram[i].fill(0.0);
        }
        (self.means.iter().zip(&off).map(|(mean, off)| mean + off).collect(), gram)
    }
}

impl LogLog {
    /// Coefficients a product: a level and an effect of each column.
    fn each(&self) -> usize {
        1 + self.products[0].1.len()
    }

    /// Columns that products share.
    fn shared(&self, week: &Week<'_>) -> Vec<f64> {
        let mut columns: Vec<f64> = (0..week.prices.len()).map(|j| week.log_price(j)).collect();
        columns.extend(self.calendar.iter().flat_map(|middle| trend_and_season(week.number, *middle)));
        columns
    }

    /// Columns of a product's own.
    fn own<'a>(&self, week: &Week<'a>, k: usize) -> impl Iterator<Item = f64> + use<'a> {
        let display = self.shown.then(|| week.displays[k]);
        let covariates = week.covariates.get(k).into_iter().flatten().copied();
        display.into_iter().chain(covariates).chain(week.reference_prices.get(k).map(|price| price.max(1e-9).ln()))
    }

    /// How many columns are shared.
    fn width(&self, products: usize) -> usize {
        products + if self.calendar.is_some() { 3 } else { 0 }
    }

    /// Sums of products of all columns of some products.
    fn moments(&self, shared: &Shared, sales: &Sales, numbers: &[f64], products: Range<usize>) -> Vec<Moments> {
        let weeks = shared.weeks;
        // Own columns, and what is explained after them, of all these products: one product of matrices.
        let (mut own, mut parts) = (Vec::new(), Vec::new());
        for k in products.clone() {
            let there: Vec<bool> = (0..weeks).map(|t| sales.present(t, k)).collect();
            let of: Vec<Vec<f64>> = (0..weeks).map(|t| self.own(&Week::of(sales, numbers, t), k).collect()).collect();
            let columns = (0..of[0].len()).map(|c| of.iter().map(|row| row[c]).collect::<Vec<f64>>());
            let y = (0..weeks).map(|t| log_share(sales, t, k)).collect();
            let (columns, means): (Vec<_>, Vec<_>) = columns.chain([y]).map(|column| centred(column, &there)).unzip();
            own.extend(columns);
            parts.push((there, means));
        }
        let count = own.len() / parts.len();
        let mut beside = matrix::cross((&rows_of(&own, weeks), own.len()), (&shared.x, shared.width)).into_iter();
        let of = |(i, (there, own_means)): (usize, (Vec<bool>, Vec<f64>))| {
            let own = &own[i * count..][..count];
            let mut beside: Vec<Vec<f64>> = beside.by_ref().take(count).collect();
            let (mut means, mut gram) = shared.moments(&there);
            if let Some(projected) = self.projected.get(products.start + i) {
                // Prices are what instruments say of them, in the weeks of this product.
                let at =
                    |t: usize, c: usize| projected[t].get(c).copied().unwrap_or(shared.row(t)[c] + shared.means[c]);
                let column = |c: usize| centred((0..weeks).map(|t| at(t, c)).collect(), &there);
                let (columns, of_columns): (Vec<_>, Vec<_>) = (0..shared.width).map(column).unzip();
                (means, gram) = (of_columns, matrix::gram(&rows_of(&columns, weeks), shared.width));
                beside = own.iter().map(|a| columns.iter().map(|b| dot(a, b)).collect()).collect();
            }
            let (y, own) = (&own[count - 1], &own[..count - 1]);
            means.extend(&own_means[..count - 1]);
            gram.iter_mut().enumerate().for_each(|(c, line)| line.extend(beside[..own.len()].iter().map(|row| row[c])));
            for (row, a) in beside.iter().zip(own) {
                gram.push(row.iter().copied().chain(own.iter().map(|b| dot(a, b))).collect());
            }
            let right = beside[own.len()].iter().copied().chain(own.iter().map(|a| dot(a, y))).collect();
            let total = there.iter().filter(|there| **there).count() as f64;
            Moments { there, total, level: own_means[count - 1], means, gram, right }
        };
        parts.into_iter().enumerate().map(of).collect()
    }

    /// Fits the first weeks of a table; none where they say too little.
    pub fn fit(sales: &Sales, numbers: &[f64], weeks: usize, calendar: bool) -> Option<Self> {
        let n = sales.names.len();
        let shown = sales.displays.iter().flatten().any(|d| *d != 0.0);
        let calendar = calendar.then(|| numbers[..weeks].iter().sum::<f64>() / weeks as f64);
        let used_to = !sales.reference_prices.is_empty();
        let (products, offsets, means, penalties) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (projected, smearing, dispersion) = (Vec::new(), Vec::new(), Vec::new());
        let mut model =
            Self { products, offsets, means, calendar, shown, used_to, projected, penalties, smearing, dispersion };
        if !sales.instruments.is_empty() {
            let of = |k: usize| instruments::log_prices(sales, numbers, weeks, calendar, k);
            model.projected = (0..n).map(of).collect::<Option<_>>()?;
        }
        let shared = Shared::of(&model, sales, numbers, weeks);
        for first in (0..n).step_by(BLOCK) {
            let block = first..(first + BLOCK).min(n);
            for (k, moments) in block.clone().zip(model.moments(&shared, sales, numbers, block)) {
                model.solve(moments, k, n)?;
            }
        }
        model.mean_units(sales, numbers, weeks);
        Some(model)
    }

    /// Adds the equation of the next product.
    fn solve(&mut self, moments: Moments, k: usize, n: usize) -> Option<()> {
        let Moments { total, level, means, mut gram, right, .. } = moments;
        let count = means.len();
        // Own level, price, display and calendar are hardly penalised: they must be fewer than the weeks.
        if total <= (2 + count - n) as f64 {
            return None;
        }
        let size = |c: usize| {
            let square = gram[c][c] / total;
            if square > 1e-18 { square.sqrt() } else { 1.0 }
        };
        let sizes: Vec<f64> = (0..count).map(size).collect();
        for (line, a) in gram.iter_mut().zip(&sizes) {
            line.iter_mut().zip(&sizes).for_each(|(x, b)| *x /= a * b);
        }
        let right: Vec<f64> = right.iter().zip(&sizes).map(|(x, size)| x / size).collect();
        let penalty = |i: usize| total * if i < n && i != k { CROSS_RIDGE } else { RIDGE };
        gram.iter_mut().enumerate().for_each(|(i, line)| line[i] += penalty(i));
        let solved = Factor::of(&gram).ok()?.solve(&right);
        let effects: Vec<f64> = solved.iter().zip(&sizes).map(|(b, s)| b / s).collect();
        self.penalties.push((0..count).map(|i| penalty(i) * sizes[i].powi(2)).collect());
        self.means.push(means);
        let fits = finite(&effects);
        self.products.push((level, effects));
        fits.then_some(())
    }

    /// Levels of logarithms are those of medians: finds by how much the mean is above them (Duan's smearing, 1983), and how
    /// far sales vary around that (by moments).
    fn mean_units(&mut self, sales: &Sales, numbers: &[f64], weeks: usize) {
        let offset = |((level, effects), means): (&(f64, Vec<f64>), &Vec<f64>)| level - dot(effects, means);
        self.offsets = self.products.iter().zip(&self.means).map(offset).collect();
        // Of each product the sums of units sold and expected, and then those of squares.
        let mut sums = vec![[0.0; 2]; sales.names.len()];
        let expected: Vec<Vec<f64>> = (0..weeks).map(|t| self.expected(Week::of(sales, numbers, t))).collect();
        let there = |t: usize| (0..sales.names.len()).filter(move |k| sales.present(t, *k));
        for (t, expected) in expected.iter().enumerate() {
            for k in there(t) {
                sums[k][0] += sales.units[t][k];
                sums[k][1] += expected[k];
            }
        }
        let ratios: Vec<f64> = sums.iter().map(|[units, mean]| units / mean).collect();
        let mut squares = vec![[0.0; 2]; ratios.len()];
        for (t, expected) in expected.iter().enumerate() {
            for k in there(t) {
                let (units, mean) = (sales.units[t][k], ratios[k] * expected[k]);
                squares[k][0] += (units - mean).powi(2) - mean;
                squares[k][1] += mean * mean;
            }
        }
        self.smearing = ratios.iter().map(|ratio| if *ratio > 0.0 { ratio.ln() } else { 0.0 }).collect();
        let of = |[excess, square]: &[f64; 2]| if *square > 0.0 { (excess / square).max(0.0) } else { 0.0 };
        self.dispersion = squares.iter().map(of).collect();
    }

    /// ln(units / customers) of a product, by the columns that products share.
    fn log_units(&self, week: &Week<'_>, shared: &[f64], k: usize) -> f64 {
        let (by_shared, by_own) = self.products[k].1.split_at(shared.len());
        self.offsets[k] + dot(by_shared, shared) + by_own.iter().zip(self.own(week, k)).map(|(b, x)| b * x).sum::<f64>()
    }

    /// A product's columns in a week, a constant and then each less its mean.
    fn centred_row(
        &self,
        (shared, moments): (&Shared, &Moments),
        week: &Week<'_>,
        (t, k): (usize, usize),
        x: &mut [f64],
    ) {
        let (constant, columns) = x.split_at_mut(1);
        constant[0] = 1.0;
        let by_all = shared.row(t).iter().zip(&shared.means).map(|(x, mean)| x + mean);
        columns.iter_mut().zip(by_all.chain(self.own(week, k))).for_each(|(x, column)| *x = column);
        if let Some(projected) = self.projected.get(k) {
            columns.iter_mut().zip(&projected[t]).for_each(|(x, p)| *x = *p);
        }
        columns.iter_mut().zip(&moments.means).for_each(|(x, mean)| *x -= mean);
    }

    /// The equation of a product whose sums these are.
    fn equation(&self, parts: &Parts<'_>, k: usize, moments: &Moments) -> Option<Equation> {
        let Parts { asked: Asked { sales, numbers, groups, whole }, residuals, shared } = parts;
        let (n, count, projected) = (self.products.len(), self.each(), self.projected.get(k));
        let (mut scores, mut rows, mut lucky, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut x, mut between) = (vec![0.0; count], 0.0);
        for group in *groups {
            let (mut score, mut sum, mut own_price) = (vec![0.0; count], 0.0, (0.0, 0.0));
            for t in group.iter().copied().filter(|t| moments.there[*t]) {
                let (week, residual) = (Week::of(sales, numbers, t), residuals[t][k]);
                sum += residual;
                let columns = &mut score[1..];
                let prices = projected.map_or(&shared.row(t)[..n], |projected| &projected[t]);
                add(&mut columns[..n], residual, prices);
                own_price = (own_price.0 + prices[k], own_price.1 + 1.0);
                add(&mut columns[n..shared.width], residual, &shared.row(t)[n..]);
                columns[shared.width..].iter_mut().zip(self.own(&week, k)).for_each(|(s, x)| *s += residual * x);
                if *whole {
                    self.centred_row((shared, moments), &week, (t, k), &mut x);
                    let root = sales.units[t][k].max(FEWEST).sqrt();
                    lucky.extend(x.iter().map(|x| x / root));
                    rows.extend_from_slice(&x);
                }
            }
            // Columns are centred at the product's own means: the difference of means times the sum of residuals.
            score[0] = sum;
            let less = |c: usize| match projected {
                Some(_) if c < n => moments.means[c],
                _ => moments.means[c] - shared.means.get(c).copied().unwrap_or(0.0),
            };
            score[1..].iter_mut().enumerate().for_each(|(c, s)| *s -= less(c) * sum);
            if own_price.1 > 0.0 {
                between += own_price.1 * (own_price.0 / own_price.1 - less(k)).powi(2);
            }
            scores.push(score);
            ends.push(rows.len() / count);
        }
        // The level and centred columns have nothing in common.
        let mut total = vec![vec![0.0; count]; count];
        total[0][0] = moments.total;
        total[1..].iter_mut().zip(&moments.gram).for_each(|(line, gram)| line[1..].copy_from_slice(gram));
        let (mut penalised, mut pull) = (total.clone(), vec![0.0; count]);
        for (i, (penalty, effect)) in self.penalties[k].iter().zip(&self.products[k].1).enumerate() {
            penalised[i + 1][i + 1] += penalty;
            pull[i + 1] = penalty * effect;
        }
        let luck = if *whole { matrix::gram(&lucky, count) } else { Vec::new() };
        let of_group = whole.then(|| of_group(rows, ends));
        // The share of the price's variance that lies between groups is the inverse of the effective number of rows in a
        // group (Kish's design effect, 1965): one row where shops have the same prices, all where each has its own.
        let effective_coefficients = 1.0 + count as f64 * between / moments.gram[k][k];
        let (factor, information) = (Factor::of(&penalised).ok()?, total);
        Some(Equation { factor, scores, information, of_group, luck, pull, effective_coefficients })
    }
}

/// What a group adds to the information, times a vector: of rows that lie one after the other, and how many there are up to the
/// end of each group.
fn of_group(x: Vec<f64>, ends: Vec<usize>) -> InformationOfGroup {
    Box::new(move |group, vector| {
        let (width, begin) = (vector.len(), group.checked_sub(1).map_or(0, |before| ends[before]));
        let mut sum = vec![0.0; width];
        let rows = x[begin * width..ends[group] * width].chunks_exact(width);
        rows.for_each(|row| add(&mut sum, dot(row, vector), row));
        sum
    })
}

/// What equations are made of.
struct Parts<'a> {
    asked: &'a Asked<'a>,
    /// Of ln(units / customers), `[weeks][products]`.
    residuals: &'a [Vec<f64>],
    shared: &'a Shared,
}

impl Model for LogLog {
    fn expected(&self, week: Week<'_>) -> Vec<f64> {
        let shared = self.shared(&week);
        let one = |k: usize| match week.lacks(k) {
            true => 0.0,
            false => week.customers * self.log_units(&week, &shared, k).min(0.0).exp(),
        };
        (0..self.products.len()).map(one).collect()
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
        let of = |columns: Range<usize>| -> Vec<Vec<f64>> {
            (0..n).map(|k| columns.clone().map(|i| effect(k, i)).collect()).collect()
        };
        let (own, last) = (self.width(n), each - 1 - usize::from(self.used_to));
        let reference = |k: usize| if self.used_to { effect(k, last) } else { 0.0 };
        let mut elasticities = of(0..n);
        // r (ln usual − ln price): what is felt of it is not in the price's own effect.
        elasticities.iter_mut().enumerate().for_each(|(k, row)| row[k] += reference(k));
        Drawn {
            intercepts: (0..n).map(level).collect(),
            elasticities,
            covariate_effects: of(own + usize::from(self.shown)..last),
            reference_effects: if self.used_to { (0..n).map(reference).collect() } else { Vec::new() },
            display_effects: (0..n).map(|k| if self.shown { effect(k, own) } else { 0.0 }).collect(),
            calendar: self.calendar.map_or(Vec::new(), |_| of(n..own)),
            middle: self.calendar.unwrap_or(0.0),
            dispersion: self.dispersion.clone(),
            ..Drawn::default()
        }
    }

    fn equations(&self, asked: &Asked<'_>, take: &mut Take<'_>) -> Option<()> {
        let Asked { sales, numbers, .. } = *asked;
        let (n, weeks) = (self.products.len(), asked.rows()?);
        let shared = Shared::of(self, sales, numbers, weeks);
        let residual = |t: usize| {
            let week = Week::of(sales, numbers, t);
            let columns = self.shared(&week);
            (0..n).map(|k| log_share(sales, t, k) - self.log_units(&week, &columns, k)).collect()
        };
        let residuals: Vec<Vec<f64>> = (0..weeks).map(residual).collect();
        let parts = Parts { asked, residuals: &residuals, shared: &shared };
        for first in (0..n).step_by(BLOCK) {
            let block = first..(first + BLOCK).min(n);
            for (k, moments) in block.clone().zip(self.moments(&shared, sales, numbers, block)) {
                take(self.equation(&parts, k, &moments)?)?;
            }
        }
        Some(())
    }

    fn elasticity(&self, _: &MeanWeek, k: usize, j: usize) -> Linear {
        Linear::coefficient(self, k * self.each() + 1 + j)
    }

    fn own_effect(&self, k: usize) -> usize {
        k * self.each() + 1 + k
    }

    fn covariate(&self, k: usize, covariate: usize) -> usize {
        k * self.each() + 1 + self.width(self.products.len()) + usize::from(self.shown) + covariate
    }

    fn coefficient(&self, index: usize) -> f64 {
        let (k, i) = (index / self.each(), index % self.each());
        let (level, effects) = &self.products[k];
        if i == 0 { *level } else { effects[i - 1] }
    }

    fn shifted(&self, by: &[f64], sales: &Sales, numbers: &[f64], weeks: usize) -> Box<dyn Model> {
        let mut model = self.clone();
        for ((level, effects), by) in model.products.iter_mut().zip(by.chunks(self.each())) {
            *level += by[0];
            effects.iter_mut().zip(&by[1..]).for_each(|(effect, by)| *effect += by);
        }
        model.mean_units(sales, numbers, weeks);
        Box::new(model)
    }
}
