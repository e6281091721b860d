//! The demand of an episode: the fitted one, or one of those that it may be, given the error of its estimation.

use super::carry::{Carried, Carry};
use super::{Demand, RetailSettings};
use crate::pricing::log_log::LogLog;
use crate::pricing::logit::{Logit, Week};
use crate::pricing::nested_logit::{Nest, NestedLogit};
use crate::pricing::rules::Difference;
use agon_core::calendar::trend_and_season;
use agon_core::{EnvError, Rng};
use rand_distr::{Distribution, Gamma, Poisson};
use std::borrow::Cow;

/// A demand of any form.
#[derive(Clone)]
pub(super) enum Form {
    Logit(Logit),
    Nested(NestedLogit),
    LogLog(LogLog),
}

impl Form {
    /// Whether best prices are searched for, rather than known in closed form.
    pub fn is_searched(&self) -> bool {
        matches!(self, Self::LogLog(_) | Self::Nested(_))
    }

    /// Expected profit a customer.
    pub fn profit(&self, week: Week<'_>, prices: &[f64]) -> f64 {
        match self {
            Self::Logit(demand) => demand.profit(week, prices),
            Self::Nested(demand) => demand.profit(week, prices),
            Self::LogLog(demand) => demand.profit(week, prices),
        }
    }

    /// Expected units of each product.
    pub fn units(&self, week: Week<'_>, prices: &[f64]) -> Vec<f64> {
        let mut units: Vec<f64> = match self {
            Self::Logit(demand) => prices.iter().enumerate().map(|(k, p)| demand.weight(week, k, *p)).collect(),
            Self::Nested(demand) => demand.weights(week, prices),
            Self::LogLog(demand) => (0..prices.len()).map(|k| demand.share(week, k, prices, 0.0)).collect(),
        };
        let rest = match self {
            Self::Logit(_) | Self::Nested(_) => week.outside + units.iter().sum::<f64>(),
            Self::LogLog(_) => 1.0,
        };
        units.iter_mut().for_each(|u| *u *= week.customers / rest);
        units
    }

    /// The prices within bounds that maximise a week's expected profit, or the best that were found, and that profit.
    pub fn optimum(&self, week: Week<'_>, low: &[f64], high: &[f64], prices: &mut [f64]) -> f64 {
        match self {
            Self::Logit(demand) => demand.optimum(week, low, high, prices),
            Self::Nested(demand) => demand.optimum(week, low, high, prices),
            Self::LogLog(demand) => demand.optimum(week, low, high, prices),
        }
    }

    /// What no prices on menus (an empty one has all within bounds) that keep gaps can exceed a customer. `obey` moves prices to
    /// some that keep them.
    pub fn bound_among(
        &self,
        week: Week<'_>,
        [low, high]: &[Vec<f64>; 2],
        menus: &[Vec<f64>],
        gaps: &[Difference],
        obey: impl Fn(&mut [f64]),
    ) -> f64 {
        match self {
            Self::Logit(demand) => demand.bound_among(week, low, high, menus, gaps),
            // Gaps are left out, which only raises it.
            Self::Nested(demand) => demand.bound_among(week, low, high, menus),
            Self::LogLog(demand) => {
                let mut found = demand.best_among(week, low, high, menus);
                if !gaps.is_empty() {
                    obey(&mut found);
                }
                demand.bound_among(week, low, high, menus, gaps, &found)
            }
        }
    }

    /// What no prices within bounds can exceed a customer, given the best ones found.
    pub fn bound(&self, week: Week<'_>, low: &[f64], high: &[f64], found: &[f64]) -> f64 {
        match self {
            Self::Logit(demand) => demand.profit(week, found),
            Self::Nested(demand) => demand.bound_among(week, low, high, &vec![Vec::new(); low.len()]),
            Self::LogLog(demand) => demand.bound(week, low, high, found),
        }
    }

    /// Utilities, where customers have them.
    pub fn logit(&self) -> Option<&Logit> {
        match self {
            Self::Logit(demand) => Some(demand),
            Self::Nested(demand) => Some(&demand.logit),
            Self::LogLog(_) => None,
        }
    }

    /// Adds to a product's utility at price zero, and to what it loses a dollar; to ln units at price one, and to what they
    /// lose by the log of the price.
    pub fn tilt(&mut self, k: usize, (added, lost): (f64, f64)) {
        match self {
            Self::Logit(demand) | Self::Nested(NestedLogit { logit: demand, .. }) => {
                demand.intercepts[k] += added;
                demand.price_effects[k] += lost;
            }
            Self::LogLog(demand) => {
                demand.intercepts[k] += added;
                demand.elasticities[k][k] -= lost;
            }
        }
    }
}

/// A logit, or a nested one if there is a correlation of each nest.
fn nested(s: &RetailSettings, logit: Logit, correlations: &[f64]) -> Form {
    if correlations.is_empty() {
        return Form::Logit(logit);
    }
    let nests = s.members().into_iter().zip(correlations);
    let nests = nests.map(|(products, correlation)| Nest { products, correlation: *correlation });
    Form::Nested(NestedLogit::new(logit, nests.collect()))
}

/// A demand, what the week adds to it, and what reference prices do.
#[derive(Clone)]
pub(super) struct Market {
    pub form: Form,
    /// By the calendar and by covariates: a row a week of the table, an entry a product; empty if nothing is added.
    added: Vec<Vec<f64>>,
    /// A product each; empty if demand does not depend on them.
    reference_effects: Vec<f64>,
}

/// Effects of the calendar and of covariates, a row a product, and of reference prices; empty where there are none.
struct Effects<'a> {
    calendar: Vec<&'a [f64]>,
    covariates: Vec<&'a [f64]>,
    reference: Vec<f64>,
}

/// Trend, sine and cosine of a row's week.
pub(super) fn moment(s: &RetailSettings, row: usize) -> [f64; 3] {
    let week = s.week_numbers.get(row).map_or(row as f64, |week| f64::from(*week));
    trend_and_season(week, s.calendar_middle)
}

/// Those of the fitted demand.
fn reference_effects(s: &RetailSettings) -> Vec<f64> {
    match s.reference_effect > 0.0 {
        true => vec![s.reference_effect; s.names.len()],
        false => s.reference_effects.clone(),
    }
}

/// A list's mean by column.
pub(super) fn means(table: &[Vec<f64>], columns: usize) -> Vec<f64> {
    (0..columns).map(|k| table.iter().map(|row| row[k]).sum::<f64>() / table.len().max(1) as f64).collect()
}

impl Market {
    fn of(s: &RetailSettings, form: Form, effects: Effects<'_>) -> Self {
        let dot = |effects: &[f64], x: &[f64]| effects.iter().zip(x).map(|(e, x)| e * x).sum::<f64>();
        let Effects { calendar, covariates, reference } = effects;
        let each = s.covariate_names.len();
        let added = |row: usize| {
            let now = moment(s, row);
            let of = |k: usize| {
                let by_time = calendar.get(k).map_or(0.0, |effects| dot(effects, &now));
                by_time + covariates.get(k).map_or(0.0, |effects| dot(effects, &s.covariates[row][k * each..]))
            };
            (0..s.names.len()).map(of).collect()
        };
        let rows = if calendar.is_empty() && covariates.is_empty() { 0 } else { s.customers.len() };
        Self { form, added: (0..rows).map(added).collect(), reference_effects: reference }
    }

    /// Utility (or ln units) at price zero (or one) that is added, and what is lost a dollar (or a unit of the price's log)
    /// beside the product's own: a season, and what customers feel of r (reference price − price).
    pub fn tilt(&self, carry: &Carry, carried: &Carried, k: usize) -> (f64, f64) {
        let effect = self.reference_effects.get(k).copied().unwrap_or(0.0);
        let usual = carried.reference_price(k);
        let usual = if self.form.logit().is_some() || effect == 0.0 { usual } else { usual.ln() };
        (carry.season(carried) + effect * usual, effect)
    }

    /// The form of demand with all that is carried over to a week, but for what is not ours.
    pub fn tilted(&self, carry: &Carry, carried: &Carried) -> Form {
        let mut form = self.form.clone();
        (0..self.len()).for_each(|k| form.tilt(k, self.tilt(carry, carried, k)));
        form
    }

    /// The one that players know of.
    pub fn fitted(s: &RetailSettings) -> Self {
        let (intercepts, display_effects) = (s.intercepts.clone(), s.display_effects.clone());
        let form = match s.demand {
            Demand::Logit | Demand::NestedLogit => {
                let logit = Logit { intercepts, price_effects: s.price_effects.clone(), display_effects };
                nested(s, logit, &s.nest_correlations)
            }
            Demand::LogLog => {
                Form::LogLog(LogLog { intercepts, elasticities: s.elasticities.clone(), display_effects })
            }
        };
        let effects = Effects {
            calendar: s.calendar_effects.iter().map(Vec::as_slice).collect(),
            covariates: s.covariate_effects.iter().map(Vec::as_slice).collect(),
            reference: reference_effects(s),
        };
        Self::of(s, form, effects)
    }

    /// Products.
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Logit(demand) => demand.intercepts.len(),
            Form::Nested(demand) => demand.logit.intercepts.len(),
            Form::LogLog(demand) => demand.intercepts.len(),
        }
    }

    /// What a row's week adds.
    pub fn added(&self, row: usize) -> &[f64] {
        self.added.get(row).map_or(&[], Vec::as_slice)
    }

    /// The mean of that over all weeks; empty if nothing is added.
    pub fn mean_added(&self) -> Vec<f64> {
        means(&self.added, self.added.first().map_or(0, Vec::len))
    }

    /// The most utility that a product can have between two prices; of log-log demand, whose units are capped, 0.
    pub fn most_utility(&self, k: usize, prices: [f64; 2]) -> f64 {
        let Some(d) = self.form.logit() else { return 0.0 };
        // A drawn price effect may have the wrong sign.
        let lost = prices.map(|p| d.price_effects[k] * p).into_iter().fold(f64::INFINITY, f64::min);
        let season = self.added.iter().map(|row| row[k]).fold(0.0, f64::max);
        d.intercepts[k] - lost + d.display_effects[k].max(0.0) + season
    }
}

/// What a table's demand says outside episodes: the fitted one, and all that were drawn.
pub struct Demands {
    carry: Option<Carry>,
    pub(super) fitted: Market,
    pub(super) drawn: Vec<Market>,
}

impl Demands {
    /// Of checked settings.
    pub fn of(s: &RetailSettings) -> Result<Self, EnvError> {
        let all = RetailSettings { draws: s.drawn_intercepts.len() as u32, ..s.clone() };
        Ok(Self { carry: Carry::new(s)?, fitted: Market::fitted(s), drawn: drawn(&all)? })
    }

    /// The form of a market's demand where customers are used to some prices, if demand depends on them.
    pub(super) fn form<'a>(&self, market: &'a Market, usual: Option<&Carried>) -> Cow<'a, Form> {
        match self.carry.as_ref().zip(usual) {
            Some((carry, usual)) => Cow::Owned(market.tilted(carry, usual)),
            None => Cow::Borrowed(&market.form),
        }
    }

    /// Expected units of each product in a row's week at these prices, where nothing carries over from other weeks but the
    /// prices that customers are used to: by the fitted demand, and by each drawn one.
    pub fn units(&self, s: &RetailSettings, row: usize, prices: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let usual = s.reference_prices.get(row).map(|usual| Carried::used_to(usual));
        let of = |market: &Market| {
            let (costs, displays) = (&s.costs[row][..], &s.displays[row][..]);
            let week = Week { costs, displays, customers: s.customers[row], outside: 1.0, added: market.added(row) };
            self.form(market, usual.as_ref()).units(week, prices)
        };
        (of(&self.fitted), self.drawn.iter().map(of).collect())
    }
}

/// The demands that episodes are drawn from; checks all that were given. The form of a draw is that which its row has effects
/// of: price effects of a logit (nested if it has correlations), elasticities of log-log demand.
pub(super) fn drawn(s: &RetailSettings) -> Result<Vec<Market>, EnvError> {
    let (n, rows, draws) = (s.intercepts.len(), s.drawn_intercepts.len(), s.draws as usize);
    let wrong = |name: &str, long: usize| {
        let each =
            if name == "drawn_nest_correlations" { "one a nest".into() } else { format!("{} a product", long / n) };
        let message = format!("needs {rows} rows of {long} entries, {each}, as `drawn_intercepts` has rows");
        Err(EnvError::setting(name, message))
    };
    // Effects of the other form, or of no calendar, may be missing: of all draws, or of some.
    let (logit, calendar) = (s.demand != Demand::LogLog, !s.calendar_effects.is_empty());
    let nests = s.members().len();
    for (name, table, long, needed) in [
        ("drawn_intercepts", &s.drawn_intercepts, n, true),
        ("drawn_price_effects", &s.drawn_price_effects, n, logit),
        ("drawn_display_effects", &s.drawn_display_effects, n, true),
        ("drawn_nest_correlations", &s.drawn_nest_correlations, nests, s.demand == Demand::NestedLogit),
        ("drawn_elasticities", &s.drawn_elasticities, n * n, !logit),
        ("drawn_calendar_effects", &s.drawn_calendar_effects, 3 * n, calendar),
        (
            "drawn_covariate_effects",
            &s.drawn_covariate_effects,
            s.covariate_names.len() * n,
            !s.covariate_names.is_empty(),
        ),
        ("drawn_reference_effects", &s.drawn_reference_effects, n, !s.reference_effects.is_empty()),
    ] {
        let missing = table.is_empty() && !needed;
        let whole = ["drawn_intercepts", "drawn_display_effects"].contains(&name);
        let fits = |row: &Vec<f64>| row.len() == long || (row.is_empty() && !whole);
        if !missing && (table.len() != rows || !table.iter().all(fits)) {
            return wrong(name, long);
        }
    }
    for i in 0..rows {
        let [logit, log_log] = [&s.drawn_price_effects, &s.drawn_elasticities]
            .map(|table| table.get(i).is_some_and(|row| !row.is_empty()));
        if logit == log_log {
            let message = format!("row {} must have price effects or elasticities, and not both", i + 1);
            return Err(EnvError::setting(if logit { "drawn_elasticities" } else { "drawn_price_effects" }, message));
        }
        if log_log && s.drawn_nest_correlations.get(i).is_some_and(|row| !row.is_empty()) {
            let message = format!("row {} must be empty: the draw is of log-log demand, which has no nests", i + 1);
            return Err(EnvError::setting("drawn_nest_correlations", message));
        }
        if log_log && (s.reference_effect > 0.0 || s.rival.is_some() || s.low.iter().any(|low| *low <= 0.0)) {
            let message = "log-log demand has no utility for a rival or a reference price, and is endless at price 0";
            return Err(EnvError::setting("drawn_elasticities", message));
        }
    }
    if !(s.drawn_forms.is_empty() || s.drawn_forms.len() == rows) {
        return Err(EnvError::setting("drawn_forms", format!("needs {rows} names, as `drawn_intercepts` has rows")));
    }
    if rows < draws {
        let message =
            format!("is {draws}, but there are {rows} drawn demands: [fit] makes them, or `drawn_…` gives them");
        return Err(EnvError::setting("draws", message));
    }
    let one = |i: usize| {
        let (intercepts, display_effects) = (s.drawn_intercepts[i].clone(), s.drawn_display_effects[i].clone());
        let form = match s.drawn_price_effects.get(i).filter(|row| !row.is_empty()) {
            Some(price_effects) => {
                let logit = Logit { intercepts, price_effects: price_effects.clone(), display_effects };
                nested(s, logit, s.drawn_nest_correlations.get(i).map_or(&[], Vec::as_slice))
            }
            None => {
                let elasticities = s.drawn_elasticities[i].chunks(n).map(<[f64]>::to_vec).collect();
                Form::LogLog(LogLog { intercepts, elasticities, display_effects })
            }
        };
        let rows = |table: &'_ [Vec<f64>], long: usize| -> Vec<Vec<f64>> {
            table.get(i).map_or(Vec::new(), |all| all.chunks(long.max(1)).map(<[f64]>::to_vec).collect())
        };
        let [calendar, covariates] =
            [rows(&s.drawn_calendar_effects, 3), rows(&s.drawn_covariate_effects, s.covariate_names.len())];
        let effects = Effects {
            calendar: calendar.iter().map(Vec::as_slice).collect(),
            covariates: covariates.iter().map(Vec::as_slice).collect(),
            reference: s.drawn_reference_effects.get(i).cloned().unwrap_or_else(|| reference_effects(s)),
        };
        Market::of(s, form, effects)
    };
    Ok((0..draws).map(one).collect())
}

/// A count of that mean whose variance is the mean and `spread` times its square: negative binomial, or Poisson.
pub(super) fn count(mean: f64, spread: f64, rng: &mut Rng) -> f64 {
    // The mean itself varies by a gamma distribution.
    let mean = match Gamma::new(1.0 / spread, spread) {
        Ok(gamma) if spread > 1e-12 => mean * gamma.sample(rng),
        _ => mean,
    };
    Poisson::new(mean).map_or(0.0, |poisson| poisson.sample(rng))
}
