//! Multinomial logit with an outside option, by maximum likelihood or by least squares of log shares.

use super::errors::{Equation, InformationOfGroup};
use super::{Asked, Drawn, FEWEST, Linear, MOST_STEPS, MeanWeek, Model, Take, Week, finite, instruments, other};
use crate::demand::matrix::{self, Factor};
use crate::demand::{Method, NEVER, PriceEffect, Sales};
use agon_core::calendar::trend_and_season;
use std::collections::BTreeMap;

/// Squares of rows are added entry by entry where fewer than one in so many coefficients has one.
const SPARSE: usize = 4;

/// Logit demand. Coefficients: a utility a product, price effects, a display effect if there are displays, one a covariate, one
/// of reference prices, and the calendar's three; prices, displays and covariates have mean 0 for each product.
#[derive(Clone)]
pub(super) struct Logit {
    pub theta: Vec<f64>,
    price: Vec<f64>,
    display: Vec<f64>,
    /// Means of covariates and then of reference prices, a list a product.
    others: Vec<Vec<f64>>,
    /// Whether demand depends on reference prices.
    used_to: bool,
    /// What instruments say of the prices it was fitted to, `[weeks][products]`; empty if there are none.
    projected: Vec<Vec<f64>>,
    one_effect: bool,
    shown: bool,
    pub method: Method,
    /// The middle of the weeks, if there are trend and season.
    calendar: Option<f64>,
}

/// The regressors of all weeks and products, `[weeks][products][width]`.
pub(super) struct Rows {
    x: Vec<f64>,
    width: usize,
    products: usize,
    /// The coefficients that a product's regressors belong to.
    at: Vec<Vec<usize>>,
    there: Vec<bool>,
    /// How far each price's regressor is from what instruments say of it, which then stands in its place; empty without them.
    off: Vec<f64>,
}

/// The regressors of a product in a week, its own constant and its price first; of an absent product there are none.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    at: &'a [usize],
    x: &'a [f64],
    off: f64,
}

impl Rows {
    /// Those of a week, product after product.
    pub fn week(&self, t: usize) -> impl ExactSizeIterator<Item = Row<'_>> + Clone {
        (t * self.products..(t + 1) * self.products).zip(&self.at).map(|(i, at)| match self.there[i] {
            true => {
                Row { at, x: &self.x[i * self.width..][..self.width], off: self.off.get(i).copied().unwrap_or(0.0) }
            }
            false => Row { at: &[], x: &[], off: 0.0 },
        })
    }
}

impl Row<'_> {
    /// Coefficients and what they are multiplied by.
    pub fn entries(&self) -> impl Iterator<Item = (usize, f64)> + Clone {
        self.at.iter().copied().zip(self.x.iter().copied())
    }

    fn absent(&self) -> bool {
        self.x.is_empty()
    }

    /// The utility, at the price itself.
    pub fn dot(&self, theta: &[f64]) -> f64 {
        if self.absent() {
            return NEVER;
        }
        let utility: f64 = self.entries().map(|(i, x)| theta[i] * x).sum();
        if self.off == 0.0 { utility } else { utility + self.off * theta[self.at[1]] }
    }

    /// Adds its square, so many times.
    pub fn add_square(&self, factor: f64, matrix: &mut [Vec<f64>]) {
        for (i, x) in self.entries() {
            let (line, x) = (&mut matrix[i], factor * x);
            self.entries().for_each(|(j, z)| line[j] += x * z);
        }
    }
}

/// Scores and information of weeks, summed.
pub(super) struct Sums {
    pub score: Vec<f64>,
    pub information: Vec<Vec<f64>>,
    /// Rows of which the squares are subtracted from the information: all at once, by a product of matrices.
    pub subtracted: Vec<f64>,
}

impl Sums {
    pub fn new(count: usize) -> Self {
        Self { score: vec![0.0; count], information: vec![vec![0.0; count]; count], subtracted: Vec::new() }
    }

    /// Subtracts the square of a sum of rows, each so many times, from the information.
    pub fn subtract_square<'a>(&mut self, rows: impl Iterator<Item = (Row<'a>, f64)>) {
        let (count, mut sum) = (self.score.len(), BTreeMap::new());
        for (row, factor) in rows {
            row.entries().for_each(|(i, x)| *sum.entry(i).or_insert(0.0) += factor * x);
        }
        // Of a few coefficients it is cheaper at once.
        if SPARSE * sum.len() < count {
            for (i, a) in &sum {
                sum.iter().for_each(|(j, b)| self.information[*i][*j] -= a * b);
            }
        } else {
            let first = self.subtracted.len();
            self.subtracted.resize(first + count, 0.0);
            sum.into_iter().for_each(|(i, a)| self.subtracted[first + i] = a);
        }
    }

    /// The sum of the scores, and the information.
    pub fn finish(mut self) -> (Vec<f64>, Vec<Vec<f64>>) {
        if !self.subtracted.is_empty() {
            matrix::add(&mut self.information, -1.0, &matrix::gram(&self.subtracted, self.score.len()));
        }
        (self.score, self.information)
    }
}

/// Means over weeks, a product each.
fn means(list: &[Vec<f64>], products: usize) -> Vec<f64> {
    let mut sums = vec![0.0; products];
    list.iter().for_each(|week| sums.iter_mut().zip(week).for_each(|(sum, x)| *sum += x));
    sums.iter_mut().for_each(|sum| *sum /= list.len() as f64);
    sums
}

impl Logit {
    /// Before its fit to the first weeks of a table.
    pub fn new(sales: &Sales, numbers: &[f64], weeks: usize, effect: PriceEffect, calendar: bool) -> Self {
        let n = sales.names.len();
        let one_effect = effect == PriceEffect::Common;
        let shown = sales.displays.iter().flatten().any(|d| *d != 0.0);
        let used_to = !sales.reference_prices.is_empty();
        let more = sales.covariate_names.len() + usize::from(used_to);
        let other = |k: usize, c: usize| {
            (0..weeks).map(|t| other(&Week::of(sales, numbers, t), k, c)).sum::<f64>() / weeks as f64
        };
        let count = n + if one_effect { 1 } else { n } + usize::from(shown) + more + if calendar { 3 } else { 0 };
        Self {
            theta: vec![0.0; count],
            price: means(&sales.prices[..weeks], n),
            display: means(&sales.displays[..weeks], n),
            others: (0..n).map(|k| (0..more).map(|c| other(k, c)).collect()).collect(),
            used_to,
            projected: Vec::new(),
            one_effect,
            shown,
            method: Method::LeastSquares,
            calendar: calendar.then(|| numbers[..weeks].iter().sum::<f64>() / weeks as f64),
        }
    }

    fn price_columns(&self) -> usize {
        if self.one_effect { 1 } else { self.price.len() }
    }

    /// Coefficients before those of displays and what else all products share.
    fn first(&self) -> usize {
        self.price.len() + self.price_columns()
    }

    /// Trend and season of a week, if there are any.
    fn season(&self, number: f64) -> Option<[f64; 3]> {
        self.calendar.map(|middle| trend_and_season(number, middle))
    }

    /// Appends a product's regressors.
    fn append(&self, week: &Week<'_>, season: Option<&[f64; 3]>, k: usize, x: &mut Vec<f64>) {
        x.extend([1.0, self.price[k] - week.prices[k]]);
        if self.shown {
            x.push(week.displays[k] - self.display[k]);
        }
        x.extend(self.others[k].iter().enumerate().map(|(c, mean)| other(week, k, c) - mean));
        x.extend(season.into_iter().flatten());
    }

    /// Utilities of all products.
    pub fn utilities(&self, week: Week<'_>) -> Vec<f64> {
        let (season, mut x, first) = (self.season(week.number), Vec::new(), self.first());
        let one = |k: usize| {
            if week.lacks(k) {
                return NEVER;
            }
            x.clear();
            self.append(&week, season.as_ref(), k, &mut x);
            let shared: f64 = x[2..].iter().zip(&self.theta[first..]).map(|(x, effect)| x * effect).sum();
            self.theta[k] + x[1] * self.theta[self.own_effect(k)] + shared
        };
        (0..self.price.len()).map(one).collect()
    }

    /// The regressors of the first weeks.
    pub fn rows(&self, sales: &Sales, numbers: &[f64], weeks: usize) -> Rows {
        let (n, first) = (self.price.len(), self.first());
        let width = 2 + self.theta.len() - first;
        let at = |k: usize| [k, self.own_effect(k)].into_iter().chain(first..self.theta.len()).collect();
        let mut x = Vec::with_capacity(weeks * n * width);
        let (mut there, mut off) = (Vec::with_capacity(weeks * n), Vec::new());
        for t in 0..weeks {
            let week = Week::of(sales, numbers, t);
            let season = self.season(week.number);
            for k in 0..n {
                self.append(&week, season.as_ref(), k, &mut x);
                there.push(!week.lacks(k));
                if let Some(projected) = self.projected.get(t) {
                    let apart = projected[k] - week.prices[k];
                    let price = x.len() - width + 1;
                    x[price] -= apart;
                    off.push(apart);
                }
            }
        }
        Rows { x, width, products: n, at: (0..n).map(at).collect(), there, off }
    }

    /// Fits the first weeks of a table; none where they say too little, or Newton's method does not settle. `start`:
    /// coefficients that are near, such as those of a few weeks less.
    pub fn fit(
        mut self,
        sales: &Sales,
        numbers: &[f64],
        weeks: usize,
        method: Method,
        start: Option<&[f64]>,
    ) -> Option<Self> {
        if weeks <= self.theta.len() {
            return None;
        }
        self.method = method;
        if !sales.instruments.is_empty() {
            self.projected = instruments::prices(sales, numbers, weeks, self.calendar)?;
        }
        let rows = self.rows(sales, numbers, weeks);
        let settled = match method {
            Method::LeastSquares => self.least_squares(&rows, sales, weeks, &|_, _| 0.0),
            Method::Likelihood => {
                match start.filter(|start| start.len() == self.theta.len()) {
                    Some(start) => self.theta.copy_from_slice(start),
                    None => self.least_squares(&rows, sales, weeks, &|_, _| 0.0)?,
                }
                self.climb(&rows, sales, weeks)
            }
        };
        (settled.is_some() && finite(&self.theta)).then_some(self)
    }

    /// Least squares of ln s_k − ln s_0 less `known` of the week and the product.
    pub fn least_squares(
        &mut self,
        rows: &Rows,
        sales: &Sales,
        weeks: usize,
        known: &dyn Fn(usize, usize) -> f64,
    ) -> Option<()> {
        let count = self.theta.len();
        let (mut gram, mut right) = (vec![vec![0.0; count]; count], vec![0.0; count]);
        for t in 0..weeks {
            let outside = (sales.customers[t] - sales.units[t].iter().sum::<f64>()).ln();
            for (k, (row, units)) in rows.week(t).zip(&sales.units[t]).enumerate() {
                let y = units.max(FEWEST).ln() - outside - known(t, k);
                row.entries().for_each(|(i, x)| right[i] += x * y);
                row.add_square(1.0, &mut gram);
            }
        }
        self.theta = Factor::of(&gram).ok()?.solve(&right);
        Some(())
    }

    /// The log-likelihood, apart from what does not change.
    fn log_likelihood(rows: &Rows, sales: &Sales, weeks: usize, theta: &[f64]) -> f64 {
        let mut utilities = Vec::new();
        let mut week = |t: usize| {
            utilities.clear();
            utilities.extend(rows.week(t).map(|row| row.dot(theta)));
            let top = utilities.iter().copied().fold(0.0, f64::max);
            let sum = (-top).exp() + utilities.iter().map(|u| (u - top).exp()).sum::<f64>();
            let chosen: f64 = utilities.iter().zip(&sales.units[t]).map(|(u, x)| u * x).sum();
            chosen - sales.customers[t] * (top + sum.ln())
        };
        (0..weeks).map(&mut week).sum()
    }

    /// Adds a week's scores and information at the coefficients, by the method that fitted them.
    fn add_score(&self, rows: &Rows, sales: &Sales, t: usize, sums: &mut Sums) {
        let (units, customers) = (&sales.units[t], sales.customers[t]);
        if self.method == Method::LeastSquares {
            let outside = (customers - units.iter().sum::<f64>()).ln();
            for (row, units) in rows.week(t).zip(units).filter(|(row, _)| !row.absent()) {
                let residual = units.max(FEWEST).ln() - outside - row.dot(&self.theta);
                row.entries().for_each(|(i, x)| sums.score[i] += x * residual);
                row.add_square(1.0, &mut sums.information);
            }
            return;
        }
        let shares = shares(rows.week(t).map(|row| row.dot(&self.theta)).collect());
        // Customers' mean regressors, by the root of their number.
        let mean = sums.subtracted.len();
        sums.subtracted.resize(mean + sums.score.len(), 0.0);
        for ((row, share), units) in rows.week(t).zip(&shares).zip(units) {
            let (residual, weight) = (units - customers * share, customers.sqrt() * share);
            for (i, x) in row.entries() {
                sums.score[i] += x * residual;
                sums.subtracted[mean + i] += x * weight;
            }
            row.add_square(customers * share, &mut sums.information);
        }
    }

    /// Adds the covariance that a week's scores of least squares have by customers' luck: of logarithms, the delta method.
    /// `sums` gets rows of which the squares are still to be added.
    fn add_luck(rows: &Rows, sales: &Sales, t: usize, luck: &mut [Vec<f64>], sums: &mut Vec<f64>) {
        let outside = sales.customers[t] - sales.units[t].iter().sum::<f64>();
        let first = sums.len();
        sums.resize(first + luck.len(), 0.0);
        for (row, units) in rows.week(t).zip(&sales.units[t]).filter(|(row, _)| !row.absent()) {
            row.entries().for_each(|(i, x)| sums[first + i] += x / outside.sqrt());
            row.add_square(units.max(FEWEST).recip(), luck);
        }
    }

    /// What a group of weeks adds to the information, times a vector.
    fn of_group(&self, rows: Rows, sales: &Sales, groups: &[Vec<usize>]) -> InformationOfGroup {
        let (groups, count, customers) = (groups.to_vec(), self.theta.len(), sales.customers.clone());
        let share = |t: usize| match self.method {
            Method::LeastSquares => Vec::new(),
            Method::Likelihood => shares(rows.week(t).map(|row| row.dot(&self.theta)).collect()),
        };
        let shares: Vec<Vec<f64>> = (0..rows.there.len() / rows.products).map(share).collect();
        Box::new(move |group, vector| {
            let mut sum = vec![0.0; count];
            for t in &groups[group] {
                let along = |row: Row<'_>| row.entries().map(|(i, x)| x * vector[i]).sum::<f64>();
                // Of choices it is the covariance of the regressors.
                let mean: f64 = rows.week(*t).zip(&shares[*t]).map(|(row, share)| share * along(row)).sum();
                for (k, row) in rows.week(*t).enumerate() {
                    let weight = shares[*t].get(k).map_or(1.0, |share| customers[*t] * share);
                    let factor = weight * (along(row) - mean);
                    row.entries().for_each(|(i, x)| sum[i] += factor * x);
                }
            }
            sum
        })
    }

    /// Newton's method.
    fn climb(&mut self, rows: &Rows, sales: &Sales, weeks: usize) -> Option<()> {
        let mut value = Self::log_likelihood(rows, sales, weeks, &self.theta);
        for _ in 0..MOST_STEPS {
            let mut sums = Sums::new(self.theta.len());
            (0..weeks).for_each(|t| self.add_score(rows, sales, t, &mut sums));
            let (slope, information) = sums.finish();
            let step = Factor::of(&information).ok()?.solve(&slope);
            let gain: f64 = step.iter().zip(&slope).map(|(a, b)| a * b).sum();
            // Twice the gain that is left, in nats: standard errors to go, squared.
            if gain < 1e-8 {
                return Some(());
            }
            let mut rate = 1.0;
            loop {
                let next: Vec<f64> = self.theta.iter().zip(&step).map(|(x, d)| x + rate * d).collect();
                let there = Self::log_likelihood(rows, sales, weeks, &next);
                if there >= value - 1e-12 * value.abs() {
                    (self.theta, value) = (next, there);
                    break;
                }
                rate *= 0.5;
                if rate < 1e-8 {
                    return None;
                }
            }
        }
        None
    }
}

/// Shares of utilities beside an outside option of utility 0.
pub(super) fn shares(mut utilities: Vec<f64>) -> Vec<f64> {
    let top = utilities.iter().copied().fold(0.0, f64::max);
    utilities.iter_mut().for_each(|u| *u = (*u - top).exp());
    let sum = (-top).exp() + utilities.iter().sum::<f64>();
    utilities.iter_mut().for_each(|w| *w /= sum);
    utilities
}

impl Model for Logit {
    fn expected(&self, week: Week<'_>) -> Vec<f64> {
        shares(self.utilities(week)).into_iter().map(|share| share * week.customers).collect()
    }

    fn effects(&self) -> usize {
        self.theta.len()
    }

    fn moved(&self, by: &[f64]) -> Drawn {
        let n = self.price.len();
        let theta = |i: usize| self.theta[i] + by.get(i).unwrap_or(&0.0);
        let effect = |k: usize| theta(n + if self.one_effect { 0 } else { k });
        let display = if self.shown { theta(self.first()) } else { 0.0 };
        let (others, first) = (self.others[0].len(), self.covariate(0, 0));
        let other = |c: usize| theta(first + c);
        let moved = |k: usize| self.others[k].iter().enumerate().map(|(c, mean)| other(c) * mean).sum::<f64>();
        let level = |k: usize| theta(k) + effect(k) * self.price[k] - display * self.display[k] - moved(k);
        let covariates = others - usize::from(self.used_to);
        // r (usual − price): what is felt of it is not in the price's own effect.
        let reference = if self.used_to { other(covariates) } else { 0.0 };
        let last = self.theta.len();
        let calendar = self.calendar.map(|_| (last - 3..last).map(theta).collect());
        Drawn {
            intercepts: (0..n).map(level).collect(),
            price_effects: (0..n).map(|k| effect(k) - reference).collect(),
            display_effects: vec![display; n],
            covariate_effects: vec![(0..covariates).map(other).collect(); n],
            reference_effects: if self.used_to { vec![reference; n] } else { Vec::new() },
            calendar: calendar.map_or(Vec::new(), |effects| vec![effects; n]),
            middle: self.calendar.unwrap_or(0.0),
            ..Drawn::default()
        }
    }

    fn equations(&self, asked: &Asked<'_>, take: &mut Take<'_>) -> Option<()> {
        let Asked { sales, numbers, groups, whole } = *asked;
        let (count, n) = (self.theta.len(), self.price.len());
        let rows = self.rows(sales, numbers, asked.rows()?);
        let (mut scores, mut luck, mut lucky) = (Vec::new(), vec![vec![0.0; count]; count], Vec::new());
        let (mut sums, squares) = (Sums::new(count), self.method == Method::LeastSquares);
        for group in groups {
            for t in group {
                self.add_score(&rows, sales, *t, &mut sums);
                if whole && squares {
                    Self::add_luck(&rows, sales, *t, &mut luck, &mut lucky);
                }
            }
            scores.push(std::mem::replace(&mut sums.score, vec![0.0; count]));
        }
        let (_, information) = sums.finish();
        if !squares {
            // Of customers' choices the information is the variance of the scores.
            luck = information.clone();
        } else if !lucky.is_empty() {
            matrix::add(&mut luck, 1.0, &matrix::gram(&lucky, count));
        }
        let factor = Factor::of(&information).ok()?;
        let of_group = whole.then(|| self.of_group(rows, sales, groups));
        let effective_coefficients = count as f64 / n as f64;
        take(Equation { factor, scores, information, of_group, luck, pull: Vec::new(), effective_coefficients })
    }

    fn elasticity(&self, mean: &MeanWeek, k: usize, j: usize) -> Linear {
        let (price, share) = (mean.prices[j], mean.shares[j]);
        let factor = if j == k { -price * (1.0 - share) } else { price * share };
        Linear::multiple(self, self.own_effect(j), factor)
    }

    fn own_effect(&self, k: usize) -> usize {
        self.price.len() + if self.one_effect { 0 } else { k }
    }

    fn covariate(&self, _: usize, covariate: usize) -> usize {
        self.first() + usize::from(self.shown) + covariate
    }

    fn coefficient(&self, index: usize) -> f64 {
        self.theta[index]
    }

    fn shifted(&self, by: &[f64], _: &Sales, _: &[f64], _: usize) -> Box<dyn Model> {
        let theta = self.theta.iter().zip(by).map(|(x, d)| x + d).collect();
        Box::new(Self { theta, ..self.clone() })
    }
}
