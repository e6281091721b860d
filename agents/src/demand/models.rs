//! Demand models behind one interface, in closed form or by Newton's method in f64: what forecasts are compared and
//! uncertainty is resampled with.
//!
//! Logit with an outside option (by maximum likelihood or by least squares of log shares), and log-log demand with cross
//! effects; nested logit. Each may have a trend and a yearly season, by the week's number in the calendar where dates are known.

use super::{Method, NEVER, PriceEffect, Sales, checks};
use agon_core::calendar::trend_and_season;

mod draws;
mod errors;
mod instruments;
mod log_log;
mod nested;
mod pooling;

pub use draws::{Drawn, draws};
use errors::Equation;
pub use errors::{Errors, Interval};
pub use instruments::{WEAK, strengths};
use log_log::LogLog;
pub use nested::MOST_CORRELATED;
use nested::NestedLogit;
pub use pooling::Pool;
use pooling::Pooled;

/// Units that a product without sales counts as where a logarithm is taken.
const FEWEST: f64 = 0.5;
/// Steps in which Newton's method must have settled.
const MOST_STEPS: usize = 60;
/// One week as a forecast sees it. Lists have an entry a product.
#[derive(Clone, Copy)]
pub struct Week<'a> {
    /// Which products are absent; empty if none is.
    pub absent: &'a [bool],
    /// Shelf prices.
    pub prices: &'a [f64],
    /// Displays, 0 to 1.
    pub displays: &'a [f64],
    /// Covariates of each product; empty if there are none.
    pub covariates: &'a [Vec<f64>],
    /// The prices that customers are used to; empty if demand does not depend on them.
    pub reference_prices: &'a [f64],
    /// Potential customers.
    pub customers: f64,
    /// The week's number, in weeks.
    pub number: f64,
}

impl<'a> Week<'a> {
    /// Week `t` of a table.
    pub fn of(sales: &'a Sales, numbers: &[f64], t: usize) -> Self {
        Self {
            absent: sales.absent.get(t).map_or(&[], |absent| &absent[..]),
            prices: &sales.prices[t],
            displays: &sales.displays[t],
            covariates: sales.covariates.get(t).map_or(&[], Vec::as_slice),
            reference_prices: sales.reference_prices.get(t).map_or(&[], Vec::as_slice),
            customers: sales.customers[t],
            number: numbers[t],
        }
    }

    fn log_price(&self, product: usize) -> f64 {
        self.prices[product].max(1e-9).ln()
    }

    fn lacks(&self, product: usize) -> bool {
        self.absent.get(product) == Some(&true)
    }
}

/// A number that follows from coefficients, and its derivative by each of those that it follows from.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// The number.
    pub value: f64,
    /// Coefficients, all of one equation, each with the derivative.
    pub slopes: Vec<(usize, f64)>,
}

impl Linear {
    /// So many times a coefficient.
    fn multiple(model: &dyn Model, index: usize, factor: f64) -> Self {
        Self { value: factor * model.coefficient(index), slopes: vec![(index, factor)] }
    }

    /// A coefficient itself.
    pub fn coefficient(model: &dyn Model, index: usize) -> Self {
        Self::multiple(model, index, 1.0)
    }
}

/// A demand that was fitted.
pub trait Model {
    /// Expected units of each product.
    fn expected(&self, week: Week<'_>) -> Vec<f64>;

    /// How many coefficients were fitted.
    fn effects(&self) -> usize;

    /// The coefficients, as a market takes them.
    fn coefficients(&self) -> Drawn {
        self.moved(&[])
    }

    /// The same with what was fitted moved by so much, an entry a coefficient; by nothing where there is none.
    fn moved(&self, by: &[f64]) -> Drawn;

    /// How the coefficients were estimated, for rows in groups within which errors are not independent. The coefficients
    /// of all equations, one after the other, are those of [`Model::moved`]. None where the information has no inverse.
    fn equations(&self, sales: &Sales, numbers: &[f64], groups: &[Vec<usize>]) -> Option<Vec<Equation>>;

    /// By how many percent sales of product k change when the price of j rises by one; of a logit at the mean price of j and
    /// its share of all customers (and of its nest's).
    fn elasticity(&self, sales: &Sales, k: usize, j: usize) -> Linear;

    /// The index of the coefficient by which a product's own price works.
    fn own_effect(&self, k: usize) -> usize;

    /// σ of a nested logit and its index; no index where σ is at an end of its range, and taken for known.
    fn nest_correlation(&self) -> Option<(f64, Option<usize>)> {
        None
    }

    /// The index of the coefficient by which a covariate works on a product; of the price that customers are used to, where
    /// demand depends on it, the index after the last covariate.
    fn covariate(&self, k: usize, covariate: usize) -> usize;

    /// A fitted coefficient.
    fn coefficient(&self, index: usize) -> f64;

    /// The model with its coefficients moved by so much, fitted to the first weeks of a table.
    fn shifted(&self, by: &[f64], sales: &Sales, numbers: &[f64], weeks: usize) -> Box<dyn Model>;

    /// The model before its own-price effects were pooled, and how they were; none if they were not.
    fn unpooled(&self) -> Option<(&dyn Model, &Pool)> {
        None
    }
}

/// What can be fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// Multinomial logit with an outside option.
    Logit(Method, PriceEffect),
    /// Log units of each product linear in the logs of all prices.
    LogLog,
    /// The same with pooled own-price effects.
    PooledLogLog,
    /// Nested logit by maximum likelihood, with the nests of [`Sales::nests`].
    NestedLogit(PriceEffect),
}

impl Form {
    /// Whether own-price effects are pooled.
    pub fn is_pooled(self) -> bool {
        matches!(
            self,
            Self::PooledLogLog | Self::Logit(_, PriceEffect::Pooled) | Self::NestedLogit(PriceEffect::Pooled)
        )
    }

    /// The same without pooling.
    pub fn unpooled(self) -> Self {
        match self {
            Self::Logit(method, PriceEffect::Pooled) => Self::Logit(method, PriceEffect::ByProduct),
            Self::NestedLogit(PriceEffect::Pooled) => Self::NestedLogit(PriceEffect::ByProduct),
            Self::PooledLogLog => Self::LogLog,
            other => other,
        }
    }

    /// Whether it is log-log demand.
    pub fn is_log_log(self) -> bool {
        matches!(self, Self::LogLog | Self::PooledLogLog)
    }

    /// Fits the first weeks of a table; none where they say too little. `calendar`: with trend and season.
    pub fn fit(self, sales: &Sales, numbers: &[f64], weeks: usize, calendar: bool) -> Option<Box<dyn Model>> {
        let instrumented = self.is_log_log() || matches!(self, Self::Logit(Method::LeastSquares, _));
        if !(sales.instruments.is_empty() || instrumented) {
            return None; // a likelihood has no second stage
        }
        if self.is_pooled() {
            let own = self.unpooled().fit(sales, numbers, weeks, calendar)?;
            return Some(Box::new(Pooled::of(own, sales, numbers, weeks)?));
        }
        match self {
            Self::NestedLogit(effect) => Some(Box::new(NestedLogit::fit(sales, numbers, weeks, effect, calendar)?)),
            Self::Logit(method, effect) => {
                let logit = Logit::new(sales, numbers, weeks, effect, calendar).fit(sales, numbers, weeks, method)?;
                Some(Box::new(logit))
            }
            Self::LogLog | Self::PooledLogLog => Some(Box::new(LogLog::fit(sales, numbers, weeks, calendar)?)),
        }
    }
}

/// A covariate of a product, or after the last of them the price that customers are used to.
fn other(week: &Week<'_>, k: usize, c: usize) -> f64 {
    let covariates = week.covariates.get(k).map_or(&[][..], Vec::as_slice);
    covariates.get(c).or(week.reference_prices.get(k)).copied().unwrap_or(0.0)
}

/// The first covariate that is collinear with prices, displays and the covariates before it, each less its product's mean.
pub fn collinear(sales: &Sales) -> Option<&str> {
    let (n, rows, each) = (sales.names.len(), sales.customers.len(), sales.covariate_names.len());
    let there = |k: usize| (0..rows).filter(move |t| sales.present(*t, k));
    // A column a covariate, after one of displays and one of each price.
    let column = |c: usize, t: usize, k: usize| match c.checked_sub(n + 1) {
        Some(c) => sales.covariates[t][k][c],
        None if c == n => sales.displays[t][k],
        None => {
            if c == k {
                sales.prices[t][k]
            } else {
                0.0
            }
        }
    };
    let mean = |c: usize, k: usize| there(k).map(|t| column(c, t, k)).sum::<f64>() / there(k).count().max(1) as f64;
    let means: Vec<Vec<f64>> = (0..n + 1 + each).map(|c| (0..n).map(|k| mean(c, k)).collect()).collect();
    let mut gram = vec![vec![0.0; n + 1 + each]; n + 1 + each];
    for (k, t) in (0..n).flat_map(|k| there(k).map(move |t| (k, t))) {
        let row: Vec<f64> = (0..n + 1 + each).map(|c| column(c, t, k) - means[c][k]).collect();
        gram.iter_mut().zip(&row).for_each(|(line, a)| line.iter_mut().zip(&row).for_each(|(g, b)| *g += a * b));
    }
    // What stands still says nothing of others.
    let kept: Vec<usize> = (0..n + 1 + each).filter(|c| *c > n || gram[*c][*c] > 1e-18).collect();
    let among: Vec<Vec<f64>> = kept.iter().map(|i| kept.iter().map(|j| gram[*i][*j]).collect()).collect();
    let at = kept[checks::inverse(&among).err()?];
    Some(&sales.covariate_names[at.checked_sub(n + 1)?])
}

fn finite(all: &[f64]) -> bool {
    all.iter().all(|x| x.is_finite())
}

/// Logit demand. Coefficients: a utility a product, price effects, a display effect if there are displays, one a covariate, one
/// of reference prices, and the calendar's three; prices, displays and covariates have mean 0 for each product.
#[derive(Clone)]
pub(super) struct Logit {
    theta: Vec<f64>,
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
    method: Method,
    /// The middle of the weeks, if there are trend and season.
    calendar: Option<f64>,
}

/// The entries of a row that are not zero, the product's own and its price's first; of an absent product there are none.
struct Row {
    entries: Vec<(usize, f64)>,
    /// How far the price's entry is from what instruments say of it, which then stands in its place.
    off: f64,
}

impl Row {
    fn entries(&self) -> &[(usize, f64)] {
        &self.entries
    }

    fn absent(&self) -> bool {
        self.entries.is_empty()
    }

    /// The utility, at the price itself.
    fn dot(&self, theta: &[f64]) -> f64 {
        if self.absent() {
            return NEVER;
        }
        let utility: f64 = self.entries.iter().map(|(i, x)| theta[*i] * x).sum();
        if self.off == 0.0 { utility } else { utility + self.off * theta[self.entries[1].0] }
    }
}

impl Logit {
    /// Before its fit to the first weeks of a table.
    pub fn new(sales: &Sales, numbers: &[f64], weeks: usize, effect: PriceEffect, calendar: bool) -> Self {
        let n = sales.names.len();
        let mean = |list: &[Vec<f64>], k: usize| list[..weeks].iter().map(|x| x[k]).sum::<f64>() / weeks as f64;
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
            price: (0..n).map(|k| mean(&sales.prices, k)).collect(),
            display: (0..n).map(|k| mean(&sales.displays, k)).collect(),
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

    fn row(&self, week: Week<'_>, k: usize) -> Row {
        if week.lacks(k) {
            return Row { entries: Vec::new(), off: 0.0 };
        }
        let mut entries = Vec::with_capacity(3 + self.others[k].len() + if self.calendar.is_some() { 3 } else { 0 });
        entries.extend([(k, 1.0), (self.own_effect(k), self.price[k] - week.prices[k])]);
        let mut next = self.price.len() + self.price_columns();
        let mut push = |x: f64| {
            entries.push((next, x));
            next += 1;
        };
        if self.shown {
            push(week.displays[k] - self.display[k]);
        }
        self.others[k].iter().enumerate().for_each(|(c, mean)| push(other(&week, k, c) - mean));
        if let Some(middle) = self.calendar {
            trend_and_season(week.number, middle).into_iter().for_each(push);
        }
        Row { entries, off: 0.0 }
    }

    /// Rows of the weeks, product after product.
    fn rows(&self, sales: &Sales, numbers: &[f64], weeks: usize) -> Vec<Row> {
        let n = self.price.len();
        let row = |(t, k): (usize, usize)| {
            let mut row = self.row(Week::of(sales, numbers, t), k);
            if let (Some(projected), Some((_, x))) = (self.projected.get(t), row.entries.get_mut(1)) {
                row.off = projected[k] - sales.prices[t][k];
                *x -= row.off;
            }
            row
        };
        (0..weeks * n).map(|i| row((i / n, i % n))).collect()
    }

    /// Fits the first weeks of a table; none where they say too little, or Newton's method does not settle.
    pub fn fit(mut self, sales: &Sales, numbers: &[f64], weeks: usize, method: Method) -> Option<Self> {
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
            Method::Likelihood => self.likelihood(&rows, sales, weeks),
        };
        (settled.is_some() && finite(&self.theta)).then_some(self)
    }

    /// Least squares of ln s_k − ln s_0 less `known` of the week and the product.
    fn least_squares(
        &mut self,
        rows: &[Row],
        sales: &Sales,
        weeks: usize,
        known: &dyn Fn(usize, usize) -> f64,
    ) -> Option<()> {
        let (n, count) = (self.price.len(), self.theta.len());
        let (mut gram, mut right) = (vec![vec![0.0; count]; count], vec![0.0; count]);
        for t in 0..weeks {
            let outside = (sales.customers[t] - sales.units[t].iter().sum::<f64>()).ln();
            for (k, (row, units)) in rows[t * n..][..n].iter().zip(&sales.units[t]).enumerate() {
                let y = units.max(FEWEST).ln() - outside - known(t, k);
                for (i, x) in row.entries() {
                    right[*i] += x * y;
                    row.entries().iter().for_each(|(j, z)| gram[*i][*j] += x * z);
                }
            }
        }
        self.theta = times(&checks::inverse(&gram).ok()?, &right);
        Some(())
    }

    /// The log-likelihood, apart from what does not change.
    fn log_likelihood(rows: &[Row], sales: &Sales, weeks: usize, theta: &[f64]) -> f64 {
        let n = sales.names.len();
        let week = |t: usize| {
            let utilities: Vec<f64> = rows[t * n..][..n].iter().map(|row| row.dot(theta)).collect();
            let top = utilities.iter().copied().fold(0.0, f64::max);
            let sum = (-top).exp() + utilities.iter().map(|u| (u - top).exp()).sum::<f64>();
            let chosen: f64 = utilities.iter().zip(&sales.units[t]).map(|(u, x)| u * x).sum();
            chosen - sales.customers[t] * (top + sum.ln())
        };
        (0..weeks).map(week).sum()
    }

    /// Adds a week's scores and information at the coefficients, by the method that fitted them.
    fn week_score(&self, rows: &[Row], sales: &Sales, t: usize, score: &mut [f64], information: &mut [Vec<f64>]) {
        let (units, customers) = (&sales.units[t], sales.customers[t]);
        if self.method == Method::LeastSquares {
            let outside = (customers - units.iter().sum::<f64>()).ln();
            for (row, units) in rows.iter().zip(units).filter(|(row, _)| !row.absent()) {
                let residual = units.max(FEWEST).ln() - outside - row.dot(&self.theta);
                for (i, x) in row.entries() {
                    score[*i] += x * residual;
                    row.entries().iter().for_each(|(j, z)| information[*i][*j] += x * z);
                }
            }
            return;
        }
        let shares = shares(rows.iter().map(|row| row.dot(&self.theta)).collect());
        let mut mean = vec![0.0; score.len()];
        for ((row, share), units) in rows.iter().zip(&shares).zip(units) {
            for (i, x) in row.entries() {
                score[*i] += x * (units - customers * share);
                mean[*i] += x * share;
                row.entries().iter().for_each(|(j, z)| information[*i][*j] += customers * share * x * z);
            }
        }
        for (line, a) in information.iter_mut().zip(&mean) {
            line.iter_mut().zip(&mean).for_each(|(x, b)| *x -= customers * a * b);
        }
    }

    /// Adds the covariance that a week's scores of least squares have by customers' luck: of logarithms, the delta method.
    fn week_luck(&self, rows: &[Row], sales: &Sales, t: usize, luck: &mut [Vec<f64>]) {
        let outside = sales.customers[t] - sales.units[t].iter().sum::<f64>();
        let mut sum = vec![0.0; luck.len()];
        for (row, units) in rows.iter().zip(&sales.units[t]).filter(|(row, _)| !row.absent()) {
            for (i, x) in row.entries() {
                sum[*i] += x;
                row.entries().iter().for_each(|(j, z)| luck[*i][*j] += x * z / units.max(FEWEST));
            }
        }
        for (line, a) in luck.iter_mut().zip(&sum) {
            line.iter_mut().zip(&sum).for_each(|(x, b)| *x += a * b / outside);
        }
    }

    fn likelihood(&mut self, rows: &[Row], sales: &Sales, weeks: usize) -> Option<()> {
        let (n, count) = (self.price.len(), self.theta.len());
        if self.theta.iter().all(|x| *x == 0.0) {
            self.least_squares(rows, sales, weeks, &|_, _| 0.0)?; // a start that is near
        }
        let mut value = Self::log_likelihood(rows, sales, weeks, &self.theta);
        for _ in 0..MOST_STEPS {
            let (mut slope, mut information) = (vec![0.0; count], vec![vec![0.0; count]; count]);
            for t in 0..weeks {
                self.week_score(&rows[t * n..][..n], sales, t, &mut slope, &mut information);
            }
            let step = times(&checks::inverse(&information).ok()?, &slope);
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

fn times(matrix: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
}

/// Shares of utilities beside an outside option of utility 0.
fn shares(mut utilities: Vec<f64>) -> Vec<f64> {
    let top = utilities.iter().copied().fold(0.0, f64::max);
    utilities.iter_mut().for_each(|u| *u = (*u - top).exp());
    let sum = (-top).exp() + utilities.iter().sum::<f64>();
    utilities.iter_mut().for_each(|w| *w /= sum);
    utilities
}

impl Model for Logit {
    fn expected(&self, week: Week<'_>) -> Vec<f64> {
        let utilities = (0..self.price.len()).map(|k| self.row(week, k).dot(&self.theta)).collect();
        shares(utilities).into_iter().map(|share| share * week.customers).collect()
    }

    fn effects(&self) -> usize {
        self.theta.len()
    }

    fn moved(&self, by: &[f64]) -> Drawn {
        let n = self.price.len();
        let theta = |i: usize| self.theta[i] + by.get(i).unwrap_or(&0.0);
        let effect = |k: usize| theta(n + if self.one_effect { 0 } else { k });
        let display = if self.shown { theta(n + self.price_columns()) } else { 0.0 };
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

    fn equations(&self, sales: &Sales, numbers: &[f64], groups: &[Vec<usize>]) -> Option<Vec<Equation>> {
        let (n, count) = (self.price.len(), self.theta.len());
        let rows = self.rows(sales, numbers, sales.customers.len());
        let mut total = vec![vec![0.0; count]; count];
        let (mut scores, mut information, mut luck) = (Vec::new(), Vec::new(), vec![vec![0.0; count]; count]);
        for group in groups {
            let (mut score, mut own) = (vec![0.0; count], vec![vec![0.0; count]; count]);
            for t in group {
                self.week_score(&rows[t * n..][..n], sales, *t, &mut score, &mut own);
                self.week_luck(&rows[t * n..][..n], sales, *t, &mut luck);
            }
            total.iter_mut().flatten().zip(own.iter().flatten()).for_each(|(a, b)| *a += b);
            scores.push(score);
            information.push(own);
        }
        // Of customers' choices the information is the variance of the scores.
        let luck = if self.method == Method::Likelihood { total.clone() } else { luck };
        Some(vec![Equation { bread: checks::inverse(&total).ok()?, scores, information, luck, pull: Vec::new() }])
    }

    fn elasticity(&self, sales: &Sales, k: usize, j: usize) -> Linear {
        let share = sales.units.iter().map(|week| week[j]).sum::<f64>() / sales.customers.iter().sum::<f64>();
        let price = sales.mean(&sales.prices, j);
        let factor = if j == k { -price * (1.0 - share) } else { price * share };
        Linear::multiple(self, self.own_effect(j), factor)
    }

    fn own_effect(&self, k: usize) -> usize {
        self.price.len() + if self.one_effect { 0 } else { k }
    }

    fn covariate(&self, _: usize, covariate: usize) -> usize {
        self.price.len() + self.price_columns() + usize::from(self.shown) + covariate
    }

    fn coefficient(&self, index: usize) -> f64 {
        self.theta[index]
    }

    fn shifted(&self, by: &[f64], _: &Sales, _: &[f64], _: usize) -> Box<dyn Model> {
        let theta = self.theta.iter().zip(by).map(|(x, d)| x + d).collect();
        Box::new(Self { theta, ..self.clone() })
    }
}

#[cfg(test)]
pub(super) mod tests;
