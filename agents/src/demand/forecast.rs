//! Demand models compared by their forecasts: at each of several origins they are fitted to the weeks before it and
//! forecast those after it, beside forecasts that know nothing of prices (rolling-origin evaluation, Tashman 2000).

use super::models::{self, Form, Model, Week};
use super::{Method, PriceEffect, Sales, checks};
use agon_core::settings::Setting;
use agon_core::thread_pool::ThreadPool;
use serde_json::{Value, json};
use std::ops::Range;

/// Origins at which models are fitted anew.
const ORIGINS: usize = 13;
/// Half the width of a 90 % interval of a normal distribution, in standard deviations.
const HALF_90: f64 = 1.644_853_627;
/// By which share of the WAPE forecasts must be better for effects to be pooled.
const POOLED: f64 = 0.005;
/// Weeks of a year; with fewer than two years before the first origin no season is fitted.
const YEAR: usize = 52;

/// How well one model forecast.
#[derive(Clone, Debug)]
pub struct Row {
    /// What people call it.
    pub name: String,
    /// What was fitted; none for forecasts that know nothing of prices.
    pub form: Option<Form>,
    /// Whether it has a trend and a season.
    pub calendar: bool,
    /// Coefficients.
    pub effects: usize,
    /// Σ |units forecast − sold| / Σ sold over weeks and products.
    pub wape: f64,
    /// The same of all products' units together.
    pub wape_total: f64,
    /// The same of each product.
    pub by_product: Vec<f64>,
    /// Mean −log density of ln(units + ½), nats; lower is better.
    pub log_score: f64,
    /// The share of units sold within their 90 % prediction interval.
    pub coverage: f64,
    /// Σ |units forecast − sold| of each week that was forecast.
    pub weekly_errors: Vec<f64>,
    /// Σ −log density of each week that was forecast.
    pub weekly_scores: Vec<f64>,
}

/// All models' forecasts of the same weeks, the best first.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The best forecast first.
    pub rows: Vec<Row>,
    /// Weeks that were forecast.
    pub weeks: usize,
    /// Origins.
    pub origins: usize,
}

/// Sums of one model's forecasts.
#[derive(Default)]
struct Tally {
    absolute: Vec<f64>,
    sold: Vec<f64>,
    absolute_total: f64,
    log_score: f64,
    covered: f64,
    count: f64,
    /// The week, its absolute errors and its log scores.
    weekly: Vec<(usize, f64, f64)>,
}

/// Mean and squares of what a product's forecasts are off by, a week at a time (Welford 1962).
#[derive(Clone, Copy, Default)]
struct Spread {
    weeks: f64,
    mean: f64,
    square: f64,
}

impl Spread {
    fn add(&mut self, off: f64) {
        self.weeks += 1.0;
        let apart = off - self.mean;
        self.mean += apart / self.weeks;
        self.square += apart * (off - self.mean);
    }

    /// Mean and standard deviation, where so many coefficients were fitted.
    fn normal(self, effects: f64) -> (f64, f64) {
        (self.mean, (self.square / (self.weeks - effects).max(1.0)).sqrt().max(1e-6))
    }
}

impl Tally {
    /// Adds the forecasts of `test`; those of `fitted` say how far off they are, in ln(units + ½).
    fn add(
        &mut self,
        sales: &Sales,
        fitted: Range<usize>,
        test: Range<usize>,
        effects: usize,
        forecast: &dyn Fn(usize) -> Vec<f64>,
    ) {
        let n = sales.names.len();
        // None where the product was not on the shelf.
        let off = |t: usize, expected: &[f64]| -> Vec<Option<f64>> {
            let apart = |(k, (u, e)): (usize, (&f64, &f64))| sales.present(t, k).then(|| ((u + 0.5) / (e + 0.5)).ln());
            sales.units[t].iter().zip(expected).enumerate().map(apart).collect()
        };
        let mut spreads = vec![Spread::default(); n];
        for t in fitted {
            let off = off(t, &forecast(t));
            spreads
                .iter_mut()
                .zip(off)
                .filter_map(|(spread, r)| Some((spread, r?)))
                .for_each(|(spread, r)| spread.add(r));
        }
        // Coefficients a product take from the weeks that tell its spread.
        let each = effects as f64 / n as f64;
        let normals: Vec<(f64, f64)> = spreads.iter().map(|spread| spread.normal(each)).collect();
        self.absolute.resize(n, 0.0);
        self.sold.resize(n, 0.0);
        for t in test {
            let expected = forecast(t);
            let mut total = 0.0;
            let before = (self.absolute.iter().sum::<f64>(), self.log_score);
            for (k, (e, u)) in expected.iter().zip(&sales.units[t]).enumerate().filter(|(k, _)| sales.present(t, *k)) {
                self.absolute[k] += (e - u).abs();
                self.sold[k] += u;
                total += e - u;
            }
            self.absolute_total += total.abs();
            let off = off(t, &expected);
            for (r, (mean, spread)) in off.into_iter().zip(&normals).filter_map(|(r, normal)| Some((r?, normal))) {
                let z = (r - mean) / spread;
                self.log_score += 0.5 * z * z + spread.ln() + 0.5 * std::f64::consts::TAU.ln();
                self.covered += f64::from(u8::from(z.abs() <= HALF_90));
                self.count += 1.0;
            }
            let week = sales.week(t);
            if self.weekly.last().is_none_or(|(last, ..)| *last != week) {
                self.weekly.push((week, 0.0, 0.0));
            }
            if let Some((_, error, score)) = self.weekly.last_mut() {
                *error += self.absolute.iter().sum::<f64>() - before.0;
                *score += self.log_score - before.1;
            }
        }
    }

    fn row(self, name: String, form: Option<Form>, calendar: bool, effects: usize) -> Row {
        let sold: f64 = self.sold.iter().sum();
        Row {
            name,
            form,
            calendar,
            effects,
            wape: self.absolute.iter().sum::<f64>() / sold,
            wape_total: self.absolute_total / sold,
            by_product: self.absolute.iter().zip(&self.sold).map(|(a, s)| a / s).collect(),
            log_score: self.log_score / self.count,
            coverage: self.covered / self.count,
            weekly_errors: self.weekly.iter().map(|(_, error, _)| *error).collect(),
            weekly_scores: self.weekly.iter().map(|(_, _, score)| *score).collect(),
        }
    }
}

/// What people call a model; `calendar`: with trend and season.
pub fn name(form: Form, calendar: bool) -> String {
    let effect_name = |effect: PriceEffect| effect.to_value().as_str().unwrap_or_default().to_owned();
    let plain = match form {
        Form::LogLog => "log-log, cross effects".to_owned(),
        Form::PooledLogLog => "log-log, cross effects, pooled".to_owned(),
        Form::Logit(method, effect) => {
            let method = if method == Method::Likelihood { "maximum-likelihood" } else { "least-squares" };
            format!("{method}, {}", effect_name(effect))
        }
        Form::NestedLogit(effect) => format!("nested logit, {}", effect_name(effect)),
    };
    if calendar { format!("{plain}, trend and season") } else { plain }
}

/// How well a model forecasts, and the same with its effects pooled; none if it cannot be fitted at every origin. `origins`:
/// the rows before each, and those that are forecast from it.
fn compared(
    sales: &Sales,
    numbers: &[f64],
    (form, calendar): (Form, bool),
    origins: impl Iterator<Item = (usize, Range<usize>)>,
) -> Option<Vec<Row>> {
    let (mut own, mut pooled, mut pooled_form) = (Tally::default(), Tally::default(), form.pooled());
    let mut last: Vec<f64> = Vec::new();
    for (origin, test) in origins {
        let add = |tally: &mut Tally, model: &dyn Model| {
            let forecast = |t: usize| model.expected(Week::of(sales, numbers, t));
            tally.add(sales, 0..origin, test.clone(), model.effects(), &forecast);
        };
        let model = form.fit_from(sales, numbers, origin, calendar, Some(&last))?;
        last = (0..model.effects()).map(|i| model.coefficient(i)).collect();
        add(&mut own, &*model);
        if pooled_form.is_some() {
            match models::pool(model, sales, numbers, origin) {
                Some(model) => add(&mut pooled, &*model),
                None => pooled_form = None,
            }
        }
    }
    let row = |tally: Tally, form: Form| tally.row(name(form, calendar), Some(form), calendar, last.len());
    Some([row(own, form)].into_iter().chain(pooled_form.map(|form| row(pooled, form))).collect())
}

/// Compares all models on a table. `numbers`: the calendar's week of each row. None where weeks are too few, or cannot be.
pub fn compare(sales: &Sales, numbers: &[u32]) -> Option<Comparison> {
    let weeks = sales.customers.len();
    if weeks < 8 || checks::true_numbers(sales).is_err() {
        return None;
    }
    let numbers: Vec<f64> = match numbers.len() == weeks {
        true => numbers.iter().map(|x| f64::from(*x)).collect(),
        false => (0..weeks).map(|t| t as f64).collect(),
    };
    // Rows of one week, in several shops, are forecast together.
    let all = sales.parts();
    if all.len() < 2 {
        return None;
    }
    let half = all.len() / 2;
    let step = (all.len() - half).div_ceil(ORIGINS);
    let origins: Vec<usize> = (half..all.len()).step_by(step).collect();
    let row = |week: usize| all.get(week).map_or(weeks, |rows| rows.start);
    // The row of the same shop so many weeks before.
    let mut earlier: Vec<Vec<usize>> = Vec::new();
    let before: Vec<Option<usize>> = (0..weeks)
        .map(|t| {
            let shop = sales.shops.get(t).map_or(0, |shop| *shop as usize);
            earlier.resize(earlier.len().max(shop + 1), Vec::new());
            earlier[shop].push(t);
            earlier[shop].len().checked_sub(2).map(|i| earlier[shop][i])
        })
        .collect();
    let lagged = |t: usize, lag: usize| (0..lag).try_fold(t, |t, _| before[t]);
    const EFFECTS: [PriceEffect; 2] = [PriceEffect::Common, PriceEffect::ByProduct];
    let logits =
        [Method::Likelihood, Method::LeastSquares].into_iter().flat_map(|m| EFFECTS.map(|e| Form::Logit(m, e)));
    let nested = EFFECTS.map(Form::NestedLogit).into_iter().filter(|_| !sales.nests.is_empty());
    let forms = logits.chain(nested).chain([Form::LogLog]);
    // A thread gets every second one: as many with a season as the other.
    let seasons = [[false, true], [true, false]];
    let models = forms.enumerate().flat_map(|(i, form)| seasons[i % 2].map(|calendar| (form, calendar)));
    let mut parts: Vec<(Form, bool, Vec<Row>)> = models
        .filter(|(_, calendar)| !calendar || half >= 2 * YEAR)
        .map(|(form, calendar)| (form, calendar, Vec::new()))
        .collect();
    let origins_of = || origins.iter().map(|o| (row(*o), row(*o)..row(o + step)));
    let pool = ThreadPool::on_all_cores();
    pool.each(&mut parts, |_, (form, calendar, rows)| {
        rows.extend(compared(sales, &numbers, (*form, *calendar), origins_of()).into_iter().flatten());
    });
    let mut rows: Vec<Row> = parts.into_iter().flat_map(|(_, _, rows)| rows).collect();
    // Shares of all customers of some weeks, and the units that those make of a week's customers.
    let shares = |of: Range<usize>| -> Vec<f64> {
        let customers: f64 = sales.customers[of.clone()].iter().sum();
        let bought = |k: usize| sales.units[of.clone()].iter().map(|week| week[k]).sum::<f64>();
        (0..sales.names.len()).map(|k| bought(k) / customers).collect()
    };
    let units = |shares: &[f64], t: usize| shares.iter().map(|share| share * sales.customers[t]).collect();
    let lags = [(1, "last week (naive)"), (YEAR, "a year ago (naive)")].into_iter().filter(|(lag, _)| 2 * lag <= half);
    let mut tallies: Vec<(Option<usize>, &str, Tally)> =
        lags.map(|(lag, name)| (Some(lag), name, Tally::default())).collect();
    tallies.push((None, "mean share (naive)", Tally::default()));
    for (origin, test) in origins_of() {
        let mean = shares(0..origin);
        for (lag, _, tally) in &mut tallies {
            let forecast = |t: usize| match lag.and_then(|lag| lagged(t, lag)) {
                Some(row) => units(&shares(row..row + 1), t),
                None => units(&mean, t), // or the shop is new
            };
            tally.add(sales, lag.map_or(0, row)..origin, test.clone(), 0, &forecast);
        }
    }
    rows.extend(tallies.into_iter().map(|(_, name, tally)| tally.row(name.into(), None, false, 0)));
    rows.retain(|row| row.wape.is_finite() && row.log_score.is_finite());
    rows.sort_by(|a, b| a.wape.total_cmp(&b.wape));
    Some(Comparison { rows, weeks: all.len() - half, origins: origins.len() })
}

/// Whether numbers are larger on average than those beside them: a paired t-test, two-sided at 1 %.
fn clearly_more(one: &[f64], other: &[f64]) -> bool {
    let apart: Vec<f64> = one.iter().zip(other).map(|(a, b)| a - b).collect();
    let n = apart.len() as f64;
    if apart.len() < 2 {
        return false;
    }
    let mean = apart.iter().sum::<f64>() / n;
    let square = apart.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    // Student's point by the first terms of Fisher's expansion of it around the normal distribution's.
    let (z, free) = (2.575_829_304_f64, n - 1.0);
    let point = z
        + (z.powi(3) + z) / (4.0 * free)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * free.powi(2))
        + (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / (384.0 * free.powi(3));
    mean > point * (square / n).sqrt()
}

impl Comparison {
    /// What was fitted, and whether with trend and season, the best forecast first; pooled effects only where they are
    /// better by more than a little (`POOLED`), as they are where a product's own data are noisy.
    pub fn models(&self) -> impl Iterator<Item = (Form, bool)> {
        let mut all: Vec<(Form, bool, f64)> =
            self.rows.iter().filter_map(|row| Some((row.form?, row.calendar, row.wape))).collect();
        let worth = |(form, _, wape): &(Form, bool, f64)| if form.is_pooled() { wape * (1.0 + POOLED) } else { *wape };
        all.sort_by(|a, b| worth(a).total_cmp(&worth(b)));
        all.into_iter().map(|(form, calendar, _)| (form, calendar))
    }

    /// What was fitted, where its absolute errors are not clearly larger than those of the model that forecasts best: in a
    /// paired test over weeks, two-sided at 1 %.
    pub fn not_clearly_worse(&self) -> Vec<(Form, bool)> {
        let models = self.rows.iter().filter_map(|row| Some((row.form?, row)));
        let Some((_, best)) = models.clone().next() else { return Vec::new() };
        models
            .filter(|(_, row)| !clearly_more(&row.weekly_errors, &best.weekly_errors))
            .map(|(form, row)| (form, row.calendar))
            .collect()
    }

    /// How well a model forecast.
    pub fn of(&self, form: Form, calendar: bool) -> Option<&Row> {
        self.rows.iter().find(|row| row.form == Some(form) && row.calendar == calendar)
    }

    /// The forecasts that know nothing of prices and are no worse than a model's.
    pub fn unbeaten(&self, row: &Row) -> Vec<&str> {
        self.rows.iter().filter(|r| r.form.is_none() && r.wape <= row.wape).map(|r| r.name.as_str()).collect()
    }

    /// The table for people.
    pub fn lines(&self, names: &[String]) -> Vec<String> {
        let wide = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let mut lines = vec![
            format!(
                "  forecasts of the last {} weeks from {} origins (WAPE: units forecast wrongly / units sold):",
                self.weeks, self.origins
            ),
            format!("    {:<wide$}  effects    WAPE   total  log score  within 90 %   WAPE by product", ""),
        ];
        for row in &self.rows {
            let mut line = format!(
                "    {:<wide$}  {:>7}  {:>6.3}  {:>6.3}  {:>9.3}  {:>9.1} %  ",
                row.name,
                row.effects,
                row.wape,
                row.wape_total,
                row.log_score,
                100.0 * row.coverage
            );
            // More would not fit on a line.
            for (k, wape) in row.by_product.iter().enumerate().take(8) {
                line += &format!(" {} {wape:.2}", names[k]);
            }
            lines.push(line);
        }
        lines
    }

    /// The same as data.
    pub fn json(&self) -> Value {
        let one = |row: &Row| {
            json!({
                "name": row.name, "effects": row.effects, "wape": row.wape, "wape_total": row.wape_total,
                "wape_by_product": row.by_product, "log_score": row.log_score, "coverage_90": row.coverage,
            })
        };
        json!({"weeks": self.weeks, "origins": self.origins, "models": self.rows.iter().map(one).collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests;
