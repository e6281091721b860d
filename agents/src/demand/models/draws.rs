//! Demands as they may be, given the error of their estimation.

use super::Form;
use crate::demand::{Sales, checks};
use agon_core::rng::{Rng, Stream};

/// Coefficients of a demand, as a market takes them: those fitted, or one draw.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn {
    /// a_k, a product each.
    pub intercepts: Vec<f64>,
    /// b_k of a logit, a product each.
    pub price_effects: Vec<f64>,
    /// B_kj of log-log demand.
    pub elasticities: Vec<Vec<f64>>,
    /// g_k, a product each.
    pub display_effects: Vec<f64>,
    /// A trend a year, a sine and a cosine of the year, a row a product; empty if there is no calendar.
    pub calendar: Vec<Vec<f64>>,
    /// The week in which the trend is zero.
    pub middle: f64,
    /// Of log-log demand: the variance of sales beyond Poisson's, beside their squared mean.
    pub dispersion: Vec<f64>,
}

impl Drawn {
    /// By how many percent sales of product k change when the price of j rises by one; of a logit, at the mean price of j and
    /// its share of all customers.
    pub fn elasticity(&self, sales: &Sales, k: usize, j: usize) -> f64 {
        if let Some(row) = self.elasticities.get(k) {
            return row[j];
        }
        let share = sales.units.iter().map(|week| week[j]).sum::<f64>() / sales.customers.iter().sum::<f64>();
        let effect = self.price_effects[j] * sales.mean(&sales.prices, j);
        if j == k { -effect * (1.0 - share) } else { effect * share }
    }

    /// This moved away by `wider` times what another differs from it.
    fn apart(&self, other: &Self, wider: f64) -> Self {
        let list = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + wider * (b - a)).collect::<Vec<f64>>();
        let lists = |a: &[Vec<f64>], b: &[Vec<f64>]| a.iter().zip(b).map(|(a, b)| list(a, b)).collect();
        Self {
            intercepts: list(&self.intercepts, &other.intercepts),
            price_effects: list(&self.price_effects, &other.price_effects),
            elasticities: lists(&self.elasticities, &other.elasticities),
            display_effects: list(&self.display_effects, &other.display_effects),
            calendar: lists(&self.calendar, &other.calendar),
            middle: self.middle,
            dispersion: self.dispersion.clone(),
        }
    }
}

/// Draws of a fitted demand, from the circular block bootstrap (Politis and Romano 1992): blocks of neighbouring weeks, as
/// many as the cube root of all, are drawn and demand is fitted again. What draws differ from the fit is widened by
/// √(weeks / (weeks − coefficients)), as residuals of a fit are too small by so much; log-log demand has an equation, and so
/// many coefficients, a product. Fewer than `count` where weeks that were drawn say too little. `numbers`: the calendar's
/// week of each row. Units of `seed`: any.
pub fn draws(sales: &Sales, numbers: &[f64], (form, calendar): (Form, bool), count: usize, seed: u64) -> Vec<Drawn> {
    let weeks = sales.customers.len();
    if checks::true_numbers(sales).is_err() || weeks == 0 {
        return Vec::new();
    }
    let Some(whole) = form.fit(sales, numbers, weeks, calendar) else { return Vec::new() };
    let center = whole.coefficients();
    let each = if form == Form::LogLog { whole.effects() / sales.names.len() } else { whole.effects() };
    let wider = (weeks as f64 / weeks.saturating_sub(each).max(1) as f64).sqrt();
    // Of several shops whole weeks are drawn, or whole shops where they are more.
    let clusters = sales.clusters();
    let block = (clusters.len() as f64).cbrt().ceil() as usize;
    let mut rng = Rng::new(seed, Stream::Eval, 0);
    let mut drawn = Vec::with_capacity(count);
    for _ in 0..2 * count {
        if drawn.len() == count {
            break;
        }
        let mut weights = vec![0.0; weeks];
        let mut left = clusters.len();
        while left > 0 {
            let first = rng.below(clusters.len() as u32) as usize;
            (first..first + block.min(left))
                .flat_map(|c| &clusters[c % clusters.len()])
                .for_each(|t| weights[*t] += 1.0);
            left -= block.min(left);
        }
        let Some(fit) = form.fit_weighted(sales, numbers, &weights, calendar) else { continue };
        drawn.push(center.apart(&fit.coefficients(), wider));
    }
    drawn
}
