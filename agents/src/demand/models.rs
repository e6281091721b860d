//! Demand models behind one interface, in closed form or by Newton's method in f64: what forecasts are compared and
//! uncertainty is resampled with.
//!
//! Logit with an outside option (by maximum likelihood or by least squares of log shares), and log-log demand with cross
//! effects; nested logit. Each may have a trend and a yearly season, by the week's number in the calendar where dates are known.

use super::matrix::Factor;
use super::{Method, PriceEffect, Sales};

mod draws;
mod errors;
mod instruments;
mod log_log;
mod logit;
mod nested;
mod pooling;

pub use draws::{Drawn, draws};
use errors::Equation;
pub use errors::{Errors, Interval};
pub use instruments::{WEAK, strengths};
use log_log::LogLog;
use logit::Logit;
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

/// What the weeks of a table are on average. Lists have an entry a product.
pub struct MeanWeek {
    prices: Vec<f64>,
    /// Of all customers.
    shares: Vec<f64>,
}

impl MeanWeek {
    /// Of a table.
    pub fn of(sales: &Sales) -> Self {
        let (n, customers) = (sales.names.len(), sales.customers.iter().sum::<f64>());
        let bought = |k: usize| sales.units.iter().map(|week| week[k]).sum::<f64>();
        Self {
            prices: (0..n).map(|k| sales.mean(&sales.prices, k)).collect(),
            shares: (0..n).map(|k| bought(k) / customers).collect(),
        }
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

/// What [`Model::equations`] is asked for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// What it was fitted to.
    pub sales: &'a Sales,
    /// The calendar's week of each row.
    pub numbers: &'a [f64],
    /// The rows that it was fitted to, in groups within which errors are not independent.
    pub groups: &'a [Vec<usize>],
    /// With luck and the information of each group; else these may be empty.
    pub whole: bool,
}

impl Asked<'_> {
    /// How many rows it was fitted to, from the first on.
    fn rows(&self) -> Option<usize> {
        Some(self.groups.iter().flatten().max()? + 1)
    }
}

/// Takes an equation; none where no more are wanted.
pub type Take<'a> = dyn FnMut(Equation) -> Option<()> + 'a;

/// A demand that was fitted.
pub trait Model: Send + Sync {
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

    /// How the coefficients were estimated, an equation at a time. The coefficients of all equations, one after the other, are
    /// those of [`Model::moved`]. None where the information has no inverse, or `take` wants no more.
    fn equations(&self, asked: &Asked<'_>, take: &mut Take<'_>) -> Option<()>;

    /// By how many percent sales of product k change when the price of j rises by one; of a logit at the mean price of j and
    /// its share of all customers (and of its nest's).
    fn elasticity(&self, mean: &MeanWeek, k: usize, j: usize) -> Linear;

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

    /// The same with pooling, where there is such a thing.
    pub fn pooled(self) -> Option<Self> {
        match self {
            Self::Logit(method, PriceEffect::ByProduct) => Some(Self::Logit(method, PriceEffect::Pooled)),
            Self::NestedLogit(PriceEffect::ByProduct) => Some(Self::NestedLogit(PriceEffect::Pooled)),
            Self::LogLog => Some(Self::PooledLogLog),
            _ => None,
        }
    }

    /// Fits the first weeks of a table; none where they say too little. `calendar`: with trend and season.
    pub fn fit(self, sales: &Sales, numbers: &[f64], weeks: usize, calendar: bool) -> Option<Box<dyn Model>> {
        let own = self.unpooled().fit_from(sales, numbers, weeks, calendar, None)?;
        if self.is_pooled() { pool(own, sales, numbers, weeks) } else { Some(own) }
    }

    /// The same of a form without pooling. `start`: coefficients that are near, such as those of a few weeks less; a search
    /// begins there.
    pub fn fit_from(
        self,
        sales: &Sales,
        numbers: &[f64],
        weeks: usize,
        calendar: bool,
        start: Option<&[f64]>,
    ) -> Option<Box<dyn Model>> {
        let instrumented = self.is_log_log() || matches!(self, Self::Logit(Method::LeastSquares, _));
        if !(sales.instruments.is_empty() || instrumented) {
            return None; // a likelihood has no second stage
        }
        match self {
            Self::NestedLogit(effect) => {
                Some(Box::new(NestedLogit::fit(sales, numbers, weeks, effect, calendar, start)?))
            }
            Self::Logit(method, effect) => {
                let logit = Logit::new(sales, numbers, weeks, effect, calendar);
                Some(Box::new(logit.fit(sales, numbers, weeks, method, start)?))
            }
            Self::LogLog | Self::PooledLogLog => Some(Box::new(LogLog::fit(sales, numbers, weeks, calendar)?)),
        }
    }
}

/// Pools the own-price effects of a demand that was fitted to the first weeks of a table; none where they say too little.
pub fn pool(own: Box<dyn Model>, sales: &Sales, numbers: &[f64], weeks: usize) -> Option<Box<dyn Model>> {
    Some(Box::new(Pooled::of(own, sales, numbers, weeks)?))
}

/// A covariate of a product, or after the last of them the price that customers are used to.
fn other(week: &Week<'_>, k: usize, c: usize) -> f64 {
    let covariates = week.covariates.get(k).map_or(&[][..], Vec::as_slice);
    covariates.get(c).or(week.reference_prices.get(k)).copied().unwrap_or(0.0)
}

/// The first covariate that is collinear with prices, displays and the covariates before it, each less its product's mean.
pub fn collinear(sales: &Sales) -> Option<&str> {
    let (n, rows, each) = (sales.names.len(), sales.customers.len(), sales.covariate_names.len());
    if each == 0 {
        return None;
    }
    // A column of each price, one of displays, and a column a covariate; a product's rows have its own price alone.
    let columns = |k: usize| [k].into_iter().chain(n..n + 1 + each);
    let mut gram = vec![vec![0.0; n + 1 + each]; n + 1 + each];
    for k in 0..n {
        let there = || (0..rows).filter(|t| sales.present(*t, k));
        let row = |t: usize| {
            [sales.prices[t][k], sales.displays[t][k]].into_iter().chain(sales.covariates[t][k].iter().copied())
        };
        let mut mean = vec![0.0; 2 + each];
        there().for_each(|t| mean.iter_mut().zip(row(t)).for_each(|(m, x)| *m += x));
        let weeks = there().count().max(1) as f64;
        for t in there() {
            let off: Vec<f64> = row(t).zip(&mean).map(|(x, m)| x - m / weeks).collect();
            for (i, a) in columns(k).zip(&off) {
                columns(k).zip(&off).for_each(|(j, b)| gram[i][j] += a * b);
            }
        }
    }
    // What stands still says nothing of others.
    let kept: Vec<usize> = (0..n + 1 + each).filter(|c| *c > n || gram[*c][*c] > 1e-18).collect();
    let among: Vec<Vec<f64>> = kept.iter().map(|i| kept.iter().map(|j| gram[*i][*j]).collect()).collect();
    let at = kept[Factor::of(&among).err()?];
    Some(&sales.covariate_names[at.checked_sub(n + 1)?])
}

fn finite(all: &[f64]) -> bool {
    all.iter().all(|x| x.is_finite())
}

#[cfg(test)]
pub(super) mod tests;
