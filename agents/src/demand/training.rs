//! Demand as a training of its own: coefficients are learned from the first weeks of a table and evaluated by how well they
//! forecast later ones, beside forecasts that know nothing of prices.

use super::likelihood::Descent;
use super::{Design, Estimate, Fit, PriceEffect, Sales, has_a_maximum, list};
use crate::agent::{AgentError, Saved, Stop, go_on};
use crate::train::{Examined, Part, Times, Training};
use agon_core::Metric;
use agon_core::metric::Goal;
use agon_core::plot::{Body, MOST_POINTS, Plot, Points};
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use agon_core::stats::block_bootstrap;
use serde_json::{Value, json};
use std::ops::Range;
use std::time::Instant;

agon_core::settings! {
    /// A multinomial logit with an outside option, by maximum likelihood.
    pub struct Config {
        /// Whether all products share one price effect.
        price_effect: PriceEffect = PriceEffect::ByProduct;
    }
}

/// Resamples behind an interval.
const REPLICATES: usize = 2000;
/// What a forecast adds to every count, so that nothing that was not sold yesterday is impossible today.
const PSEUDO_COUNT: f64 = 0.5;

/// The learner.
pub struct Demand {
    sales: Sales,
    /// The weeks for training, for validation, and for the test at the end.
    parts: [Range<usize>; 3],
    learned: Sales,
    design: Design,
    descent: Descent,
    steps: u64,
    times: Times,
}

impl Demand {
    /// A fresh learner of all but the last weeks; of those the shares `validation` and `test` are kept back.
    ///
    /// # Errors
    /// [`AgentError::Data`] where the first weeks say too little, or where nothing is left to evaluate on.
    pub fn new(config: &Config, sales: Sales, [validation, test]: [f64; 2], steps: u64) -> Result<Self, AgentError> {
        let weeks = sales.customers.len();
        let count = |share: f64| (share * weeks as f64).round() as usize;
        let (validation, test) = (count(validation).max(1), count(test).max(1));
        let Some(first) = weeks.checked_sub(validation + test).filter(|first| *first > 0) else {
            let message = format!("of {weeks} weeks none are left to learn from");
            return Err(Issue::value("test", message).into());
        };
        let parts = [0..first, first..first + validation, first + validation..weeks];
        let learned = sales.of_rows(&(0..first).collect::<Vec<_>>());
        let (from, of) = (weeks, first);
        let data = |e: super::DemandError| AgentError::Data(format!("the first {of} of {from} weeks: {e}"));
        let design = Design::new(&learned, config.price_effect).map_err(data)?;
        has_a_maximum(&design, &learned, config.price_effect).map_err(data)?;
        let descent = Descent::new(&design);
        Ok(Self { sales, parts, learned, design, descent, steps, times: Times::default() })
    }

    /// Coefficients as people know them, with errors; none before they have settled.
    pub fn fit(&self) -> Option<Fit> {
        self.descent.fit(&self.design, &self.learned).ok()
    }

    /// Products, in order.
    pub fn names(&self) -> &[String] {
        &self.sales.names
    }

    /// Where the weeks of each part are.
    pub fn parts(&self) -> &[Range<usize>; 3] {
        &self.parts
    }

    /// A sum that tells these data from others.
    fn sum(&self) -> u32 {
        let s = &self.sales;
        let numbers = [&s.units, &s.prices, &s.displays].into_iter().flatten().flatten().chain(&s.customers);
        numbers.fold(0, |sum, x| crc32c::crc32c_append(sum, &x.to_le_bytes()))
    }

    /// What the model expects of a week: the share of every product.
    fn shares(&self, theta: &[f64], week: usize) -> Vec<f64> {
        let (n, one_effect) = (self.design.products, self.design.prices == 1);
        let shown = self.design.count() > n + self.design.prices;
        let display = if shown { theta[n + self.design.prices] } else { 0.0 };
        let utility = |k: usize| {
            let price = self.sales.prices[week][k];
            let there = if self.sales.present(week, k) { 0.0 } else { super::NEVER };
            theta[k] - theta[n + if one_effect { 0 } else { k }] * price
                + display * self.sales.displays[week][k]
                + there
        };
        let utilities: Vec<f64> = (0..n).map(utility).collect();
        let top = utilities.iter().copied().fold(0.0, f64::max);
        let weights: Vec<f64> = utilities.iter().map(|u| (u - top).exp()).collect();
        let sum = (-top).exp() + weights.iter().sum::<f64>();
        weights.into_iter().map(|w| w / sum).collect()
    }

    /// The shares of some weeks together.
    fn seen(&self, weeks: Range<usize>) -> Vec<f64> {
        let n = self.sales.names.len();
        let customers: f64 = self.sales.customers[weeks.clone()].iter().sum();
        let count = |k: usize| self.sales.units[weeks.clone()].iter().map(|week| week[k]).sum::<f64>() + PSEUDO_COUNT;
        (0..n).map(|k| count(k) / (customers + PSEUDO_COUNT * (n + 1) as f64)).collect()
    }

    /// How a forecast of these weeks turned out: for each, what metrics are made of.
    fn turned_out(&self, weeks: &Range<usize>, forecast: impl Fn(usize) -> Vec<f64>) -> Vec<Week> {
        let one = |week: usize| {
            let (shares, units, customers) = (forecast(week), &self.sales.units[week], self.sales.customers[week]);
            let bought: f64 = units.iter().sum();
            let outside = (1.0 - shares.iter().sum::<f64>()).max(f64::MIN_POSITIVE);
            let chosen: f64 = units.iter().zip(&shares).map(|(u, s)| if *u > 0.0 { u * s.ln() } else { 0.0 }).sum();
            let off = |(u, s): (&f64, &f64)| s * customers - u;
            Week {
                customers,
                bought,
                surprise: -chosen - (customers - bought) * outside.ln(),
                absolute: units.iter().zip(&shares).map(off).map(f64::abs).sum(),
                signed: units.iter().zip(&shares).map(off).sum(),
            }
        };
        weeks.clone().map(one).collect()
    }
}

/// A week's forecast beside what was sold.
struct Week {
    customers: f64,
    bought: f64,
    /// −log-likelihood of all customers' choices.
    surprise: f64,
    /// Units forecast less units sold, over products: absolute and signed.
    absolute: f64,
    signed: f64,
}

/// A ratio of sums over weeks.
struct Ratio {
    name: &'static str,
    goal: Goal,
    of: fn(&Week) -> [f64; 2],
}

/// The metrics of forecasts, the deciding one first.
const METRICS: [Ratio; 3] = [
    // Nats a customer.
    Ratio { name: "log_loss", goal: Goal::Lowest, of: |w| [w.surprise, w.customers] },
    // Units that were forecast wrongly beside units sold.
    Ratio { name: "wape", goal: Goal::Lowest, of: |w| [w.absolute, w.bought] },
    // Units forecast too many, or too few, beside units sold.
    Ratio { name: "bias", goal: Goal::Zero, of: |w| [w.signed, w.bought] },
];

impl Ratio {
    fn over<'a>(&self, weeks: impl Iterator<Item = &'a Week>) -> f64 {
        let [above, below] = weeks.map(self.of).fold([0.0; 2], |sum, x| [sum[0] + x[0], sum[1] + x[1]]);
        above / below
    }

    /// The metric with its interval; what is taken off, week by week, is another forecast.
    fn metric(&self, weeks: &[Week], off: Option<&[Week]>, seed: u64) -> Metric {
        let n = weeks.len();
        let value = |at: &mut dyn Iterator<Item = usize>| {
            let at: Vec<usize> = at.collect();
            let own = self.over(at.iter().map(|i| &weeks[*i]));
            off.map_or(own, |off| self.over(at.iter().map(|i| &off[*i])) - own)
        };
        let mut rng = Rng::new(seed, Stream::Eval, 0);
        let interval = block_bootstrap(n, REPLICATES, &mut rng, &mut |drawn| value(&mut drawn.iter().copied()));
        let (goal, over) = (if off.is_some() { Goal::Highest } else { self.goal }, (n as u64, "weeks".into()));
        Metric { name: self.name.into(), value: value(&mut (0..n)), interval, ci95: None, goal, over }
    }
}

impl Training for Demand {
    fn step(&self) -> u64 {
        self.descent.step
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn done(&self) -> bool {
        self.descent.settled || self.step() >= self.steps
    }

    fn may_end_early(&self) -> bool {
        true
    }

    fn task_scalars(&self) -> Vec<String> {
        vec!["log_loss".into()]
    }

    fn advance_until(&mut self, stop: Stop<'_>) -> Result<Option<Vec<(String, f64)>>, AgentError> {
        if go_on(stop).is_err() {
            return Ok(None);
        }
        let begun = Instant::now();
        self.descent.advance(&self.design).map_err(|e| AgentError::Data(e.to_string()))?;
        self.times.learn += begun.elapsed();
        let report = vec![("log_loss".into(), self.descent.loss), ("gradient".into(), self.descent.size)];
        crate::agent::all_finite(&report)?;
        Ok(Some(report))
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let mut other = Descent::new(&self.design);
        other.load(saved, &saved.state)?;
        self.descent.begin_with(other.theta, &self.design);
        Ok(())
    }

    fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn examine(&self, part: Part, seed: u64) -> Vec<Examined> {
        let weeks = &self.parts[if part == Part::Validation { 1 } else { 2 }];
        let theta = list(&self.design.back.matmul(&self.descent.theta));
        let mean = self.seen(self.parts[0].clone());
        let all = [
            ("logit demand", self.turned_out(weeks, |week| self.shares(&theta, week))),
            ("last week", self.turned_out(weeks, |week| self.seen(week - 1..week))),
            ("mean share", self.turned_out(weeks, |_| mean.clone())),
        ];
        let [own, naive @ ..] = &all;
        let metrics = |weeks: &[Week]| METRICS.iter().map(|m| m.metric(weeks, None, seed)).collect();
        let better = |weeks: &[Week]| METRICS[0].metric(&own.1, Some(weeks), seed);
        let mut examined = vec![Examined { name: own.0.into(), metrics: metrics(&own.1), better_by: None }];
        examined.extend(naive.iter().map(|(name, weeks)| Examined {
            name: (*name).into(),
            metrics: metrics(weeks),
            better_by: Some(better(weeks)),
        }));
        examined
    }

    fn plot(&self) -> Option<Plot> {
        let theta = list(&self.design.back.matmul(&self.descent.theta));
        let (mut at, mut products) = (Vec::new(), Vec::new());
        for week in self.parts[1].clone() {
            let expected = self.shares(&theta, week);
            for k in (0..expected.len()).filter(|k| self.sales.present(week, *k)) {
                at.push([self.sales.units[week][k], expected[k] * self.sales.customers[week]].map(|x| x as f32));
                products.push(k as u32);
            }
        }
        let every = at.len().div_ceil(MOST_POINTS).max(1);
        let at = at.into_iter().step_by(every).collect();
        let products: Vec<u32> = products.into_iter().step_by(every).collect();
        let axes = ["units sold", "units expected"].map(String::from);
        let points = Points { axes, at, diagonal: true, ..Points::default() }.in_groups(&self.sales.names, &products);
        Some(Plot { title: "validation: units sold and expected".into(), body: Body::Points(points) })
    }

    fn learned(&self) -> Vec<(String, Estimate)> {
        let Some(fit) = self.fit() else { return Vec::new() };
        let names = &self.sales.names;
        let each = |what: &str, all: &[Estimate]| -> Vec<(String, Estimate)> {
            names.iter().zip(all).map(|(name, e)| (format!("{what} of {name}"), *e)).collect()
        };
        let mut all = each("price effect", &fit.price_effects);
        all.extend(each("elasticity", &fit.elasticities));
        if fit.display_effect.error > 0.0 {
            all.push(("display effect, the same for all".into(), fit.display_effect));
        }
        all
    }

    fn save(&self) -> (Saved, Value) {
        (self.descent.save(), json!({"step": self.descent.step, "data": self.sum()}))
    }

    fn load(&mut self, saved: &Saved, rest: Option<&Value>) -> Result<(), AgentError> {
        if rest.is_some_and(|rest| rest["data"] != self.sum()) {
            return Err(AgentError::Checkpoint("the data are not those that it was learned from".into()));
        }
        self.descent.load(saved, &saved.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint;

    /// Sales of a known demand, with the luck of finitely many customers.
    fn market(weeks: u32, b: f64) -> Sales {
        let mut rng = Rng::new(7, Stream::Env, 0);
        let mut sales = Sales { names: vec!["x".into(), "y".into()], ..Sales::default() };
        for _ in 0..weeks {
            let prices: Vec<f64> = (0..2).map(|k| 1.0 + f64::from(k) + rng.range(-0.4, 0.4)).collect();
            let weights: Vec<f64> = prices.iter().map(|p| (1.0 - b * p).exp()).collect();
            let sum = 1.0 + weights.iter().sum::<f64>();
            let mut units = vec![0.0; 2];
            for _ in 0..2000 {
                let mut left = rng.f64() * sum;
                if let Some(k) = weights.iter().position(|w| {
                    left -= w;
                    left < 0.0
                }) {
                    units[k] += 1.0;
                }
            }
            sales.units.push(units);
            sales.displays.push(vec![0.0; 2]);
            sales.prices.push(prices);
            sales.customers.push(2000.0);
        }
        sales
    }

    fn training(sales: Sales) -> Demand {
        Demand::new(&Config::default(), sales, [0.15, 0.15], 500).unwrap()
    }

    fn finish(training: &mut Demand) {
        while !training.done() {
            training.advance().unwrap();
        }
    }

    /// It learns what the estimator finds in the same weeks, and forecasts the later ones better than who knows nothing
    /// of prices; where prices do not matter it cannot.
    #[test]
    fn it_forecasts_weeks_that_it_never_saw() {
        let sales = market(120, 1.5);
        let mut own = training(sales.clone());
        finish(&mut own);
        let direct = super::super::fit(
            &sales.of_rows(&(0..84).collect::<Vec<_>>()),
            super::super::Method::Likelihood,
            PriceEffect::ByProduct,
        );
        assert_eq!(own.fit().unwrap().price_effects, direct.unwrap().price_effects);
        assert_eq!(own.parts().clone().map(|p| p.len()), [84, 18, 18]);
        let Some(Plot { body: Body::Points(points), .. }) = own.plot() else { panic!("it has points") };
        assert_eq!((points.at.len(), points.groups.len(), points.at[1][0]), (36, 2, sales.units[84][1] as f32));
        assert!(points.at.iter().all(|[sold, expected]| (sold - expected).abs() < 0.3 * sold), "{points:?}");
        for part in [Part::Validation, Part::Test] {
            let examined = own.examine(part, 1);
            let [log_loss, wape, bias] = &examined[0].metrics[..] else { panic!() };
            assert!(wape.value < 0.1 && bias.value.abs() < 0.1 && log_loss.interval.is_some(), "{examined:?}");
            for naive in &examined[1..] {
                let by = naive.better_by.as_ref().unwrap();
                assert!(by.interval.unwrap()[0] > 0.0, "{naive:?}");
                let difference = naive.metrics[0].value - log_loss.value;
                assert!((by.value - difference).abs() < 1e-12, "the difference is that of the two");
            }
        }
        let mut flat = training(market(120, 0.0));
        finish(&mut flat);
        let mean = flat.examine(Part::Test, 1).pop().unwrap().better_by.unwrap();
        assert!(mean.value.abs() < 1e-3 && mean.interval.unwrap()[0] < 0.0, "{mean:?}");
    }

    /// No number of the test weeks changes what is learned, or what is found of the weeks before.
    #[test]
    fn test_weeks_change_nothing_that_is_learned() {
        let sales = market(60, 1.5);
        let mut turned = sales.clone();
        turned.units[51..].reverse();
        turned.prices[51..].iter_mut().flatten().for_each(|p| *p *= 1.1);
        let [mut one, mut other] = [sales, turned].map(training);
        assert_eq!(one.parts()[2], 51..60);
        finish(&mut one);
        finish(&mut other);
        assert_eq!(list(&one.descent.theta), list(&other.descent.theta));
        let found = |d: &Demand, part| d.examine(part, 1)[0].metrics.clone();
        assert_eq!(found(&one, Part::Validation), found(&other, Part::Validation));
        assert_ne!(found(&one, Part::Test), found(&other, Part::Test));
    }

    /// Stopped after any step, written to disk and resumed, it ends bit-identical.
    #[test]
    fn it_goes_on_in_the_same_bits() {
        let sales = market(60, 1.5);
        let mut whole = training(sales.clone());
        finish(&mut whole);
        let folder = tempfile::tempdir().unwrap();
        let mut step = 0;
        while step < whole.step() {
            let mut half = training(sales.clone());
            while half.step() < step {
                half.advance().unwrap();
            }
            let (saved, rest) = half.save();
            let path = folder.path().join(step.to_string());
            checkpoint::write(&path, &saved, &rest, &Value::Null).unwrap();
            let (saved, rest) = checkpoint::read(&path).unwrap();
            let mut again = training(sales.clone());
            again.load(&saved, Some(&rest)).unwrap();
            finish(&mut again);
            assert_eq!(again.step(), whole.step());
            assert_eq!(list(&again.descent.theta), list(&whole.descent.theta), "stopped after step {step}");
            step += 7;
        }
        let mut other = training(market(61, 1.5));
        let (saved, rest) = whole.save();
        assert!(other.load(&saved, Some(&rest)).unwrap_err().to_string().contains("not those"));
    }

    #[test]
    fn data_that_say_too_little_are_refused() {
        let few = Demand::new(&Config::default(), market(6, 1.5), [0.15, 0.15], 10);
        let why = few.err().unwrap().to_string();
        assert!(why.contains("the first 4 of 6 weeks: 4 weeks are too few for 4 coefficients"), "{why}");
        let none = Demand::new(&Config::default(), market(10, 1.5), [0.6, 0.6], 10).err().unwrap().to_string();
        assert!(none.contains("none are left to learn from"), "{none}");
    }
}
