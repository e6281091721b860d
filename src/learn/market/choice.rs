//! Which demand a market is made of, what is known of it, and which products are not priced because too little is.

use super::averaging::{Draws, correlations, sold_none};
use super::elasticities::{self, Effects, spreads};
use crate::sales::{FitSettings, SalesTable, Shape};
use agon_agents::demand::forecast::{self, Comparison};
use agon_agents::demand::models::{Drawn, Form};
use agon_agents::demand::{self, Estimate, Fit, Method, PriceEffect};
use agon_core::settings::{Setting, Settings};
use serde_json::{Map, Value, json};

/// Demands drawn for the error of estimation, where the scenario does not say how many.
const DRAWS: u64 = 200;
/// Their seed: the same table gives the same draws.
const SEED: u64 = 1_000_003;

/// A demand that was chosen and fitted.
pub(super) struct Chosen {
    pub form: Form,
    /// Whether it has a trend and a season.
    pub calendar: bool,
    pub price_effects: Vec<Estimate>,
    effects: Effects,
    coefficients: Drawn,
    /// Of a logit without a calendar.
    fit: Option<Fit>,
    draws: Draws,
    /// Names of the products of each nest of several.
    nests: Vec<Vec<String>>,
    /// Products that are held at their charged prices, and why.
    held: Vec<(String, String)>,
    /// Whether all products would have to be held.
    pub unknown: bool,
}

/// What a scenario asks for; what it leaves open is chosen by forecasts.
struct Asked {
    shape: Option<Shape>,
    method: Option<Method>,
    effect: Option<PriceEffect>,
    calendar: Option<bool>,
}

impl Asked {
    fn of(settings: &FitSettings, env: &Map<String, Value>) -> Result<Self, String> {
        let logit = settings.method.is_some() || settings.price_effect.is_some();
        if logit && settings.form == Some(Shape::LogLog) {
            return Err("[fit] method and price_effect are of a logit: leave them out with form = \"log-log\"".into());
        }
        // Parts of the market that only a logit has, or that are a calendar of its own.
        let part = ["price_effects", "intercepts", "display_effects", "rival", "reference_effect", "reference_effects"];
        let own = part.iter().any(|key| env.contains_key(*key));
        let shape = match env.get("demand").and_then(Value::as_str) {
            Some("log-log") => Some(Shape::LogLog),
            Some("nested-logit") => Some(Shape::NestedLogit),
            Some(_) => Some(Shape::Logit),
            None if settings.nests.is_empty() => settings.form.or((logit || own).then_some(Shape::Logit)),
            None => settings.form.or((logit || own).then_some(Shape::NestedLogit)),
        };
        if shape == Some(Shape::NestedLogit) && settings.method.is_some() {
            return Err("[fit] method is of a logit: nested logit is fitted by maximum likelihood, leave it out".into());
        }
        let likelihood = settings.method == Some(Method::Likelihood) || shape == Some(Shape::NestedLogit);
        if likelihood && !settings.instruments.is_empty() {
            return Err(
                "[fit] instruments are for least squares: use method = \"least-squares\" or form = \"log-log\", or \
                        leave them out"
                    .into(),
            );
        }
        let without = logit || own || env.contains_key("seasons") || env.contains_key("calendar_effects");
        Ok(Self {
            shape,
            method: settings.method.or((!settings.instruments.is_empty()).then_some(Method::LeastSquares)),
            effect: settings.price_effect,
            calendar: settings.calendar.or(without.then_some(false)),
        })
    }

    fn takes(&self, form: Form, calendar: bool) -> bool {
        let fits = match form {
            Form::LogLog | Form::PooledLogLog => self.shape.is_none_or(|shape| shape == Shape::LogLog),
            Form::NestedLogit(effect) => {
                self.shape.is_none_or(|shape| shape == Shape::NestedLogit)
                    && self.effect.is_none_or(|wanted| wanted == effect)
            }
            Form::Logit(method, effect) => {
                self.shape.is_none_or(|shape| shape == Shape::Logit)
                    && self.method.is_none_or(|wanted| wanted == method)
                    && self.effect.is_none_or(|wanted| wanted == effect)
            }
        };
        fits && self.calendar.is_none_or(|wanted| wanted == calendar)
    }

    /// What is taken where nothing can be compared, or a method is asked for.
    fn first(&self) -> (Form, bool) {
        let (method, effect) =
            (self.method.unwrap_or(Method::Likelihood), self.effect.unwrap_or(PriceEffect::ByProduct));
        let form = match self.shape {
            Some(Shape::LogLog) => Form::LogLog,
            Some(Shape::NestedLogit) => Form::NestedLogit(effect),
            Some(Shape::Logit) | None => Form::Logit(method, effect),
        };
        (form, self.calendar.unwrap_or(false))
    }
}

impl Chosen {
    /// Fits as the scenario says, or, where it does not, as forecasts best among what a market can be made of.
    pub fn of(
        table: &SalesTable,
        settings: &FitSettings,
        env: &Map<String, Value>,
        comparison: Option<&Comparison>,
    ) -> Result<Self, String> {
        let asked = Asked::of(settings, env)?;
        let count = env.get("draws").and_then(Value::as_u64).filter(|n| (1..=10_000).contains(n)).unwrap_or(DRAWS);
        let mut best = None;
        if settings.method.is_none() {
            let models = comparison.into_iter().flat_map(Comparison::models);
            for (form, calendar) in models.filter(|(form, calendar)| asked.takes(*form, *calendar)) {
                let takes = |form: Form, calendar: bool| asked.takes(form, calendar);
                match Self::fitted(table, (form, calendar), comparison, &takes, count) {
                    Ok(chosen) if !chosen.unknown => return Ok(chosen),
                    Ok(chosen) => best = best.or(Some(chosen)),
                    Err(_) => {}
                }
            }
        }
        // Where no demand knows what a price does, the one that forecasts best is played, and doubted.
        if let Some(best) = best {
            return Ok(best);
        }
        let (form, calendar) = asked.first();
        Self::fitted(table, (form, calendar), None, &|_, _| false, count)
    }

    fn fitted(
        table: &SalesTable,
        (form, calendar): (Form, bool),
        comparison: Option<&Comparison>,
        takes: &dyn Fn(Form, bool) -> bool,
        count: u64,
    ) -> Result<Self, String> {
        let (sales, names) = (&table.sales, &table.sales.names);
        let numbers: Vec<f64> = table.weeks.iter().map(|week| f64::from(*week)).collect();
        // Forecasts take half a unit for none; a market is not made of that.
        // The tensor backend's fit knows nothing of covariates and second stages.
        let plain =
            sales.covariate_names.is_empty() && sales.reference_prices.is_empty() && sales.instruments.is_empty();
        if let Some((t, k)) = sold_none(sales, form).filter(|_| calendar || form.is_log_log() || !plain) {
            let (week, name) = (&sales.labels[t], &names[k]);
            return Err(format!(
                "{week}: no sales of {name}, and {} needs the logarithm",
                forecast::name(form, calendar)
            ));
        }
        let fit = match form {
            Form::Logit(method, effect) if !calendar && plain && effect != PriceEffect::Pooled => {
                let fit = demand::fit(sales, method, effect).map_err(|e| e.to_string())?;
                upward(fit.wrong_prices(names).map(|(name, b)| format!("{name} ({b})")))?;
                Some(fit)
            }
            _ => None,
        };
        let too_little = || format!("the data say too little for {}", forecast::name(form, calendar));
        let model = form.fit(sales, &numbers, sales.customers.len(), calendar).ok_or_else(too_little)?;
        let effects = Effects::of(&*model, sales, &numbers).ok_or_else(too_little)?;
        let coefficients = match &fit {
            Some(fit) => Drawn {
                intercepts: fit.intercepts.iter().map(|e| e.value).collect(),
                price_effects: fit.price_effects.iter().map(|e| e.value).collect(),
                display_effects: vec![fit.display_effect.value; names.len()],
                ..Drawn::default()
            },
            None => model.coefficients(),
        };
        let wrong = coefficients.price_effects.iter().zip(names).filter(|(b, _)| **b <= 0.0);
        upward(wrong.map(|(b, name)| format!("{name} ({b:.3})")))?;
        let draws = Draws::of(sales, &numbers, ((form, calendar), &*model), comparison, takes, (count as usize, SEED));
        let n = names.len();
        let price_effects = effects.price_effects.iter().map(|effect| effect.estimate).collect();
        let mut held = Vec::new();
        for (k, name) in names.iter().enumerate() {
            let (own, e) = (effects.own(k), effects.own(k).estimate);
            let why = if own.ends[1] >= 0.0 && !effects.pooled_is_below_zero(k) {
                "may as well be zero: nothing is known of other prices"
            } else if form.is_log_log() && e.value >= -1.0 {
                "is not below -1, so that it has no finite best price"
            } else {
                continue;
            };
            held.push((name.clone(), format!("its own-price elasticity {e} {} {why}", own.range())));
        }
        // A market without a price to set is none: it is made, and doubted.
        let unknown = held.len() == n;
        if unknown {
            held.clear();
        }
        let nests =
            sales.nests_of_several().iter().map(|nest| nest.iter().map(|k| names[*k].clone()).collect()).collect();
        Ok(Self { form, calendar, price_effects, effects, coefficients, fit, draws, nests, held, unknown })
    }

    /// Why there are too few weeks for the cross effects of log-log demand, where there are: the penalty on them alone
    /// decides what they are.
    pub fn too_many_effects(&self, table: &SalesTable) -> Option<String> {
        let n = table.sales.names.len();
        let present = |k: usize| (0..table.weeks.len()).filter(|t| table.sales.present(*t, k)).count();
        let weeks = (0..n).map(present).min().unwrap_or(0);
        let calendar = if self.calendar { 3 } else { 0 };
        let effects = n + 1 + calendar + self.effects.covariates.len();
        (self.form.is_log_log() && effects >= weeks).then(|| {
            format!(
                "the sales of a product are explained by {effects} effects and there are {weeks} weeks to tell them by"
            )
        })
    }

    /// Settings of the market, but for what the scenario has of its own.
    pub fn settings(&self, env: &Map<String, Value>) -> Vec<(&'static str, Value)> {
        let c = &self.coefficients;
        let mut found = vec![("intercepts", json!(c.intercepts)), ("display_effects", json!(c.display_effects))];
        match self.form {
            Form::Logit(..) => found.push(("price_effects", json!(c.price_effects))),
            Form::NestedLogit(_) => found.extend([
                ("demand", Shape::NestedLogit.to_value()),
                ("price_effects", json!(c.price_effects)),
                ("nests", json!(self.nests)),
                ("nest_correlations", json!(correlations(c, self.nests.len()))),
            ]),
            Form::LogLog | Form::PooledLogLog => found.extend([
                ("demand", Shape::LogLog.to_value()),
                ("elasticities", json!(c.elasticities)),
                ("dispersion", json!(c.dispersion)),
            ]),
        }
        if self.calendar {
            found.extend([("calendar_effects", json!(c.calendar)), ("calendar_middle", json!(c.middle))]);
        }
        if c.covariate_effects.iter().any(|row| !row.is_empty()) {
            found.push(("covariate_effects", json!(c.covariate_effects)));
        }
        if !c.reference_effects.is_empty() {
            found.push(("reference_effects", json!(c.reference_effects)));
        }
        if !self.held.is_empty() {
            found.push(("held", self.held.iter().map(|(name, _)| name.as_str()).collect()));
        }
        // Draws are of the whole fit, and say nothing of coefficients of one's own.
        if !["intercepts", "price_effects", "display_effects", "nest_correlations"]
            .iter()
            .any(|key| env.contains_key(*key))
        {
            let fresh: Vec<_> = self
                .draws
                .settings()
                .into_iter()
                .filter(|(key, _)| found.iter().all(|(other, _)| other != key))
                .collect();
            found.extend(fresh);
        }
        found
    }

    /// What was fitted, for people.
    pub fn lines(&self, names: &[String]) -> Vec<String> {
        let name = forecast::name(self.form, self.calendar);
        let quality = match (&self.fit, self.form) {
            (Some(fit), Form::Logit(Method::LeastSquares, _)) => format!(" R² {:.3};", fit.quality),
            (Some(fit), _) => format!(" log-likelihood {:.6} a customer;", fit.quality),
            (None, _) => String::new(),
        };
        let what = if self.price_effects.is_empty() { "" } else { "price effects and " };
        let mut lines =
            vec![format!("  {name}:{quality} {what}own-price elasticities (± standard errors, 95 % intervals):")];
        let wide = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
        for (k, name) in names.iter().enumerate() {
            let b = self.price_effects.get(k).map_or(String::new(), |b| format!("{b:<20} "));
            let own = self.effects.own(k);
            lines.push(format!("    {name:<wide$}  {b}elasticity {} {}", own.estimate, own.range()));
        }
        lines.extend(self.effects.nests(&self.nests));
        lines.extend(self.effects.lines(names));
        lines.extend(self.effects.pooled(names));
        lines.extend(self.effects.others(names));
        let remarks = match &self.fit {
            Some(fit) => {
                if fit.display_effect.error > 0.0 {
                    lines.push(format!("    display effect, the same for all: {}", fit.display_effect));
                }
                fit.remarks.clone()
            }
            None => Vec::new(),
        };
        lines.extend(remarks.iter().map(|r| format!("  note: {r}")));
        lines.extend(sentences(&self.held).into_iter().map(|sentence| format!("  held: {sentence}")));
        if !self.coefficients.reference_effects.is_empty() {
            lines.push(
                "  note: this week's prices move what customers are used to: give the agent a gamma above 0, so that it looks \
                 ahead; elasticities are of the week in which a price changes"
                    .into(),
            );
        }
        if self.form.is_log_log() {
            lines.push(
                "  note: log-log demand is believed between the lowest and the highest price charged, no further"
                    .into(),
            );
        }
        lines
    }

    /// The same as data.
    pub fn json(&self, settings: &FitSettings, table: &SalesTable) -> Value {
        let (method, effect) = match self.form {
            Form::Logit(method, effect) => (Some(method), Some(effect)),
            Form::NestedLogit(effect) => (None, Some(effect)),
            Form::LogLog | Form::PooledLogLog => (None, None),
        };
        let of = FitSettings { method, price_effect: effect, ..settings.clone() };
        let c = &self.coefficients;
        let remarks = self.fit.iter().flat_map(|fit| fit.remarks.clone());
        let all = |list: &[Estimate]| list.iter().map(|e| json!([e.value, e.error])).collect::<Vec<_>>();
        let own: Vec<Drawn> = self.draws.own().cloned().collect();
        let errors = |value: &[f64], of: &dyn Fn(&Drawn, usize) -> f64| spreads(value, &own, of);
        let intercepts = match &self.fit {
            Some(fit) => fit.intercepts.clone(),
            None => errors(&c.intercepts, &|d, k| d.intercepts[k]),
        };
        let display = match &self.fit {
            Some(fit) => json!([fit.display_effect.value, fit.display_effect.error]),
            None => json!(all(&errors(&c.display_effects, &|d, k| d.display_effects[k]))),
        };
        let [table_of_elasticities, price_effect_intervals] = self.effects.json();
        json!({
            "settings": of.write(),
            "model": forecast::name(self.form, self.calendar),
            "method": method.map(|method| method.to_value()),
            "products": table.sales.names,
            "rows": table.sales.labels,
            "weeks_kept": table.weeks.len(),
            "left_out": table.left_out,
            "remarks": table.remarks.iter().cloned().chain(remarks).collect::<Vec<_>>(),
            "held": sentences(&self.held),
            "intercepts": all(&intercepts),
            "price_effects": all(&self.price_effects),
            "elasticities": all(&self.effects.own_estimates()),
            "elasticity_table": table_of_elasticities,
            "price_effect_intervals": price_effect_intervals,
            "nests": self.effects.nest_correlation.map(|_| &self.nests),
            "nest_correlation": self.effects.nest_correlation.as_ref().map(elasticities::numbers),
            "display_effect": display,
            "covariates": self.effects.covariates.iter().map(|(name, effects)| {
                json!({"name": name, "effects": effects.iter().map(elasticities::numbers).collect::<Vec<_>>()})
            }).collect::<Vec<_>>(),
            "cross_elasticities": c.elasticities,
            "calendar": c.calendar,
            "dispersion": c.dispersion,
            "quality": self.fit.as_ref().map(|fit| fit.quality),
            "gradient": self.fit.as_ref().map(|fit| fit.gradient),
        })
    }
}

fn sentences(held: &[(String, String)]) -> Vec<String> {
    held.iter().map(|(name, why)| format!("{name} at its charged prices: {why}")).collect()
}

fn upward(names: impl Iterator<Item = String>) -> Result<(), String> {
    let names: Vec<String> = names.collect();
    let how = "no best price exists for them; try price_effect = \"common\", method = \"maximum-likelihood\", or leave them out with `products`";
    if names.is_empty() {
        Ok(())
    } else {
        Err(format!("sales would rise with the price of {}: {how}", names.join(", ")))
    }
}
