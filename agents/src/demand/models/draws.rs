//! Demands as they may be, given the error of their estimation.

use super::{Errors, Model};
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
    /// Of each covariate, a row a product.
    pub covariate_effects: Vec<Vec<f64>>,
    /// Of reference prices (of their logs in log-log demand), beside those of prices themselves; empty if there is none.
    pub reference_effects: Vec<f64>,
    /// A trend a year, a sine and a cosine of the year, a row a product; empty if there is no calendar.
    pub calendar: Vec<Vec<f64>>,
    /// The week in which the trend is zero.
    pub middle: f64,
    /// Of log-log demand: the variance of sales beyond Poisson's, beside their squared mean.
    pub dispersion: Vec<f64>,
    /// σ of a nested logit.
    pub nest_correlation: Option<f64>,
}

/// Draws of a demand that was fitted to these sales, as far from it as its coefficients may be from the truth ([`Errors`]): none
/// where the table says too little. `numbers`: the calendar's week of each row. `seed`: the same gives the same draws.
pub fn draws(model: &dyn Model, sales: &Sales, numbers: &[f64], count: usize, seed: u64) -> Vec<Drawn> {
    if checks::true_numbers(sales).is_err() {
        return Vec::new();
    }
    let Some(errors) = Errors::of(model, sales, numbers) else { return Vec::new() };
    let mut rng = Rng::new(seed, Stream::Eval, 0);
    (0..count).map(|_| model.moved(&errors.draw(&mut rng))).collect()
}
