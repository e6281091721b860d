//! What customers buy: one product or none, or counts around a mean.

use super::market::{self, Form, Market};
use super::{Retail, Sales, State};
use crate::pricing::log_log::LogLog;
use crate::pricing::logit::{Logit, Week};
use crate::pricing::nested_logit::NestedLogit;
use agon_core::Rng;
use rand_distr::{Binomial, Distribution};

impl Retail {
    /// A product's weight in customers' choice; `tilt` is what is carried over.
    pub(super) fn weight(demand: &Logit, week: Week<'_>, tilt: Option<(f64, f64)>, k: usize, price: f64) -> f64 {
        let weight = demand.weight(week, k, price);
        tilt.map_or(weight, |(added, lost)| weight * (added - lost * price).exp())
    }

    /// Sells what customers buy at a state's prices, as if stock had no end.
    pub(super) fn sell(&self, market: &Market, week: Week<'_>, state: &mut State, rng: &mut Rng) {
        match &market.form {
            Form::Logit(demand) => self.choose(market, demand, None, week, state, rng),
            Form::Nested(demand) => self.choose(market, &demand.logit, Some(demand), week, state, rng),
            Form::LogLog(demand) => self.count(market, demand, week, state, rng),
        }
    }

    /// Sells to customers who choose one product or none: one after the other, each product takes its share of those who
    /// are left.
    fn choose(
        &self,
        market: &Market,
        demand: &Logit,
        nested: Option<&NestedLogit>,
        week: Week<'_>,
        state: &mut State,
        rng: &mut Rng,
    ) {
        let carried = self.carry.as_ref().zip(state.carried.as_ref());
        let mut sum = carried.map_or(1.0, |(carry, carried)| carry.outside(carried));
        for (k, price) in state.prices.iter().enumerate() {
            let tilt = carried.map(|(carry, carried)| market.tilt(carry, carried, k));
            state.units[k] = Self::weight(demand, week, tilt, k, *price);
        }
        if let Some(nested) = nested {
            nested.weigh(&mut state.units);
        }
        state.units.iter().for_each(|weight| sum += weight);
        let (mut left, mut rest) = (week.customers.round(), sum);
        for units in &mut state.units {
            let weight = *units;
            *units = match self.settings.sales {
                Sales::Expected => week.customers * weight / sum,
                Sales::Sampled => {
                    let chance = (weight / rest).clamp(0.0, 1.0);
                    Binomial::new(left as u64, chance).map_or(0.0, |d| d.sample(rng) as f64)
                }
            };
            left -= *units;
            rest -= weight;
        }
    }

    /// Sells around the expected units of each product.
    fn count(&self, market: &Market, demand: &LogLog, week: Week<'_>, state: &mut State, rng: &mut Rng) {
        let carried = self.carry.as_ref().zip(state.carried.as_ref());
        for k in 0..state.units.len() {
            let tilt = carried.map(|(carry, carried)| market.tilt(carry, carried, k));
            let added =
                tilt.map_or(0.0, |(added, lost)| if lost == 0.0 { added } else { added - lost * state.prices[k].ln() });
            let mean = week.customers * demand.share(week, k, &state.prices, added);
            let spread = self.settings.dispersion.get(k).copied().unwrap_or(0.0);
            state.units[k] = match self.settings.sales {
                Sales::Expected => mean,
                Sales::Sampled => market::count(mean, spread, rng),
            };
        }
    }
}
