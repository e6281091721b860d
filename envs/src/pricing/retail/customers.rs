//! What customers buy: one product or none, or counts around a mean.

use super::market::{self, Form};
use super::{Carried, Carry, Retail, Sales, State};
use crate::pricing::log_log::LogLog;
use crate::pricing::logit::{Logit, Week};
use crate::pricing::nested_logit::NestedLogit;
use agon_core::Rng;
use rand_distr::{Binomial, Distribution};

impl Retail {
    /// A product's weight in customers' choice.
    pub(super) fn weight(
        demand: &Logit,
        week: Week<'_>,
        carried: Option<(&Carry, &Carried)>,
        k: usize,
        price: f64,
    ) -> f64 {
        let weight = demand.weight(week, k, price);
        let (added, lost) = carried.map_or((0.0, 0.0), |(carry, c)| carry.tilt(c, k));
        if carried.is_some() { weight * (added - lost * price).exp() } else { weight }
    }

    /// Sells what customers buy at a state's prices, as if stock had no end.
    pub(super) fn sell(&self, form: &Form, week: Week<'_>, state: &mut State, rng: &mut Rng) {
        match form {
            Form::Logit(demand) => self.choose(demand, None, week, state, rng),
            Form::Nested(demand) => self.choose(&demand.logit, Some(demand), week, state, rng),
            Form::LogLog(demand) => self.count(demand, week, state, rng),
        }
    }

    /// Sells to customers who choose one product or none: one after the other, each product takes its share of those who
    /// are left.
    fn choose(&self, demand: &Logit, nested: Option<&NestedLogit>, week: Week<'_>, state: &mut State, rng: &mut Rng) {
        let carried = self.carry.as_ref().zip(state.carried.as_ref());
        let mut sum = carried.map_or(1.0, |(carry, carried)| carry.outside(carried));
        for (k, price) in state.prices.iter().enumerate() {
            state.units[k] = Self::weight(demand, week, carried, k, *price);
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
    fn count(&self, demand: &LogLog, week: Week<'_>, state: &mut State, rng: &mut Rng) {
        let carried = self.carry.as_ref().zip(state.carried.as_ref());
        for k in 0..state.units.len() {
            let added = carried.map_or(0.0, |(carry, c)| carry.tilt(c, k).0);
            let mean = week.customers * demand.share(week, k, &state.prices, added);
            let spread = self.settings.dispersion.get(k).copied().unwrap_or(0.0);
            state.units[k] = match self.settings.sales {
                Sales::Expected => mean,
                Sales::Sampled => market::count(mean, spread, rng),
            };
        }
    }
}
