//! Draws of several forms of demand: nobody knows which one is right where several forecast about as well, and an interval
//! of one of them alone is surer than the data are.

use agon_agents::demand::forecast::{self, Comparison};
use agon_agents::demand::models::{self, Drawn, Form, Model};
use agon_agents::demand::{Method, Sales};
use agon_core::settings::Setting;
use agon_core::thread_pool::ThreadPool;
use serde_json::{Value, json};

/// Demands as they may be, mixed so that any first part of them has each form as often as its weight says.
pub(super) struct Draws {
    /// The demands, beside the index of the form of each.
    all: Vec<(usize, Drawn)>,
    /// What reports call the forms.
    names: Vec<String>,
    /// Names of the products of each nest.
    nests: Vec<Vec<String>>,
}

/// Where a form takes the logarithm of sales: the first row and product that sold none.
pub(super) fn sold_none(sales: &Sales, form: Form) -> Option<(usize, usize)> {
    let logarithms = !matches!(form, Form::Logit(Method::Likelihood, _) | Form::NestedLogit(_));
    let products = || 0..sales.names.len();
    let of = |t: usize| products().find(|k| sales.present(t, *k) && sales.units[t][*k] <= 0.0).map(|k| (t, k));
    (0..sales.units.len()).find_map(of).filter(|_| logarithms)
}

/// σ of each nest; nothing where there are no nests.
pub(super) fn correlations(demand: &Drawn, nests: usize) -> Vec<f64> {
    demand.nest_correlation.map_or(Vec::new(), |correlation| vec![correlation; nests])
}

/// The least weight of the form that was chosen: by its draws it is seen how much prices that it chose only seem to earn.
const CHOSEN: f64 = 0.2;

/// Each kind of demand (logit, nested or not, and log-log) has the same weight, which its models share: most of them differ in little. The first,
/// which was chosen, has [`CHOSEN`] at least.
fn weights(models: &[(Form, bool)]) -> Vec<f64> {
    let of_kind = |log_log: bool| models.iter().filter(|(form, _)| form.is_log_log() == log_log).count();
    let kinds = [true, false].into_iter().filter(|log_log| of_kind(*log_log) > 0).count();
    let mut weights: Vec<f64> =
        models.iter().map(|(form, _)| 1.0 / (kinds * of_kind(form.is_log_log())) as f64).collect();
    let kind = models[0].0.is_log_log();
    let more = (CHOSEN - weights[0]).max(0.0);
    let others = (of_kind(kind) - 1) as f64;
    let alike = models.iter().zip(&mut weights).skip(1).filter(|((form, _), _)| form.is_log_log() == kind);
    alike.for_each(|(_, weight)| *weight -= more / others);
    weights[0] += more;
    weights
}

/// The form of each draw. The first is of the form that was chosen, by which readers of draws know it; the next ones are each
/// of the form that is most behind its weight.
fn order(weights: &[f64], count: usize) -> Vec<usize> {
    let mut taken = vec![0usize; weights.len()];
    let one = |i: usize| {
        let behind = |f: &usize| weights[*f] * (i + 1) as f64 - taken[*f] as f64;
        let most = (0..weights.len()).rev().max_by(|a, b| behind(a).total_cmp(&behind(b))).unwrap_or(0);
        let next = if i == 0 { 0 } else { most };
        taken[next] += 1;
        next
    };
    (0..count).map(one).collect()
}

impl Draws {
    /// Of the demand that was chosen, and of those that forecast not clearly worse than the best one and that `takes` lets
    /// pass, if they can be fitted and sales fall with prices by them.
    pub fn of(
        sales: &Sales,
        numbers: &[f64],
        (chosen, model): ((Form, bool), &dyn Model),
        comparison: Option<&Comparison>,
        takes: &dyn Fn(Form, bool) -> bool,
        (count, seed): (usize, u64),
    ) -> Self {
        let can_be = |(form, calendar): &(Form, bool)| {
            (*form, *calendar) != chosen && takes(*form, *calendar) && sold_none(sales, *form).is_none()
        };
        // Where sales fall with prices.
        let fitted = |(form, calendar): (Form, bool)| {
            let model = form.fit(sales, numbers, sales.customers.len(), calendar)?;
            model.coefficients().price_effects.iter().all(|b| *b > 0.0).then_some(model)
        };
        let pool = ThreadPool::on_all_cores();
        let others = comparison.map_or(Vec::new(), Comparison::not_clearly_worse);
        let mut others: Vec<_> = others.into_iter().filter(can_be).map(|form| (form, None)).collect();
        pool.each(&mut others, |_, (form, model)| *model = fitted(*form));
        others.retain(|(_, model)| model.is_some());
        let forms: Vec<(Form, bool)> = [chosen].into_iter().chain(others.iter().map(|(form, _)| *form)).collect();
        let models: Vec<&dyn Model> =
            [model].into_iter().chain(others.iter().filter_map(|(_, model)| model.as_deref())).collect();
        let weights = weights(&forms);
        let order = order(&weights, count);
        let taken = |form: usize| order.iter().filter(|f| **f == form).count();
        let mut drawn: Vec<Vec<Drawn>> = vec![Vec::new(); forms.len()];
        pool.each(&mut drawn, |i, all| *all = models::draws(models[i], sales, numbers, taken(i), seed));
        let mut drawn: Vec<_> = drawn.into_iter().map(Vec::into_iter).collect();
        let mut all: Vec<_> = order.into_iter().filter_map(|f| Some((f, drawn[f].next()?))).collect();
        if all.first().is_none_or(|(form, _)| *form != 0) {
            all.clear();
        }
        let name = |k: usize| sales.names[k].clone();
        let nests = sales.nests_of_several().into_iter().map(|nest| nest.into_iter().map(name).collect()).collect();
        Self { all, nests, names: forms.iter().map(|(form, calendar)| forecast::name(*form, *calendar)).collect() }
    }

    /// Those of the chosen form.
    pub fn own(&self) -> impl Iterator<Item = &Drawn> {
        self.all.iter().filter(|(form, _)| *form == 0).map(|(_, drawn)| drawn)
    }

    /// Settings of a market.
    pub fn settings(&self) -> Vec<(&'static str, Value)> {
        let column = |of: &dyn Fn(&Drawn) -> Vec<f64>| self.all.iter().map(|(_, d)| of(d)).collect::<Vec<_>>();
        let mut found = Vec::new();
        for (key, rows, always) in [
            ("drawn_intercepts", column(&|d| d.intercepts.clone()), true),
            ("drawn_display_effects", column(&|d| d.display_effects.clone()), true),
            ("drawn_price_effects", column(&|d| d.price_effects.clone()), false),
            ("drawn_nest_correlations", column(&|d| correlations(d, self.nests.len())), false),
            ("drawn_elasticities", column(&|d| d.elasticities.concat()), false),
            ("drawn_calendar_effects", column(&|d| d.calendar.concat()), false),
            ("drawn_covariate_effects", column(&|d| d.covariate_effects.concat()), false),
            ("drawn_reference_effects", column(&|d| d.reference_effects.clone()), false),
        ] {
            if always || rows.iter().any(|row| !row.is_empty()) {
                found.push((key, json!(rows)));
            }
        }
        if self.all.iter().any(|(_, d)| d.nest_correlation.is_some()) {
            found.push(("nests", json!(self.nests)));
        }
        if self.all.iter().any(|(form, _)| *form > 0) {
            let names: Vec<Value> = self.all.iter().map(|(form, _)| self.names[*form].to_value()).collect();
            found.push(("drawn_forms", names.into()));
            // The middle of all weeks, whichever form has a calendar.
            if let Some((_, drawn)) = self.all.iter().find(|(_, d)| !d.calendar.is_empty()) {
                found.push(("calendar_middle", json!(drawn.middle)));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_agents::demand::PriceEffect;

    /// However little the chosen form weighs, the first draw is of it.
    #[test]
    fn draws_begin_with_the_chosen_form() {
        let weights = [0.125, 0.25, 0.25, 0.375];
        let order = order(&weights, 200);
        assert_eq!(order[0], 0);
        for (form, weight) in weights.iter().enumerate() {
            let count = order.iter().filter(|f| **f == form).count() as f64;
            assert!((count - 200.0 * weight).abs() <= 1.0, "{form}: {count}");
        }
    }

    #[test]
    fn kinds_of_demand_weigh_the_same() {
        let logit = |effect| (Form::Logit(Method::LeastSquares, effect), false);
        let models = [logit(PriceEffect::Common), (Form::LogLog, false), logit(PriceEffect::ByProduct)];
        assert_eq!(weights(&models), [0.25, 0.5, 0.25]);
        assert_eq!(weights(&models[..1]), [1.0]);
        let log_log =
            [(Form::LogLog, false), (Form::LogLog, true), (Form::PooledLogLog, false), (Form::PooledLogLog, true)];
        let found = weights(&[&log_log[..], &models[..1]].concat());
        let wanted = [0.2, 0.1, 0.1, 0.1, 0.5];
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
    }
}
