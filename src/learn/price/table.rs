//! A run of a market with the sales table that says what became of it: the one that demand was fitted to, or a newer one.

use super::advise::{self, Pricer};
use crate::checkpoints::{self, Target};
use crate::plan::Plan;
use crate::sales::{self, FitSettings, SalesTable};
use agon::{Failure, Outcome};
use agon_agents::demand::models::Form;
use agon_agents::demand::{Method, PriceEffect};
use agon_core::settings::Settings;
use agon_envs::pricing::retail::{Demand, Demands, RetailSettings};
use serde_json::{Value, json};
use std::path::Path;

/// A run, and a table that was read as the run's own.
pub struct RunTable {
    run: String,
    plan: Plan,
    /// The run's market with the table's weeks in the place of its own.
    pub market: RetailSettings,
    /// The table.
    pub table: SalesTable,
    /// The form of the fitted demand, and whether it has a trend and a season.
    pub form: (Form, bool),
    /// The rows of the table that demand was fitted to, as far as the run knows them by name.
    pub known: Vec<bool>,
    /// The prices that were charged in the weeks that demand was fitted to.
    pub charged_before: Vec<Vec<f64>>,
    /// What `fit.json` says.
    pub fit: Value,
    /// What `evaluation.json` says, if it is there.
    pub evaluation: Value,
    /// What is odd about it.
    pub notes: Vec<String>,
}

/// A row of a table as people call it.
fn short(label: &str) -> &str {
    label.split_once("week ").map_or(label, |(_, week)| week)
}

/// That some prices of a table are beyond those that a market has.
fn beyond(m: &RetailSettings) -> Option<String> {
    let is_beyond = |row: &&Vec<f64>| (0..row.len()).any(|k| row[k] < m.low[k] || row[k] > m.high[k]);
    let rows = m.charged.iter().filter(is_beyond).count();
    (rows > 0).then(|| {
        format!(
            "{rows} of {} rows have prices beyond all that demand was fitted to: nothing is known of demand there, and the run's \
             own prices stay within",
            m.charged.len()
        )
    })
}

impl RunTable {
    /// Reads both.
    pub fn read(run: &str, data: &Path) -> Outcome<Self> {
        let Target::Checkpoint { scenario, .. } = checkpoints::locate(run)? else {
            return Err(Failure::Input(format!("{run}: there is no such run or checkpoint")));
        };
        let plan = Plan::read_agent(&scenario)?;
        let own = advise::market(&plan, run)?;
        let folder = scenario.parent().unwrap_or(Path::new("."));
        let json = |name: &str| -> Value {
            let text = agon::files::text(&folder.join(name));
            text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
        };
        let (fit, evaluation) = (json("fit.json"), json("evaluation.json"));
        let none = || Failure::Input(format!("{run}: its demand was not fitted to a sales table: it has no fit.json"));
        let settings = fit["settings"].as_object().ok_or_else(none)?;
        let settings =
            FitSettings::read(settings).map_err(|_| Failure::Input(format!("{run}: its fit.json is damaged")))?;
        if !data.exists() {
            return Err(Failure::Input(format!("--data: no file at {}", data.display())));
        }
        let mut table = sales::read(data, &settings)?;
        if table.sales.names != own.names {
            let [theirs, own] = [&table.sales.names, &own.names].map(|names| names.join(", "));
            let message = format!("{}: its products are {theirs}; the run prices {own}", data.display());
            return Err(Failure::Input(message));
        }
        let mut notes = as_guessed(&mut table, &settings, &own);
        notes.extend(as_named(&mut table, &own));
        let labels: Vec<&str> =
            fit["rows"].as_array().into_iter().flatten().filter_map(Value::as_str).map(short).collect();
        let known = table.sales.labels.iter().map(|label| labels.contains(&short(label))).collect();
        let form = match own.demand {
            Demand::LogLog => Form::LogLog,
            Demand::NestedLogit => Form::NestedLogit(settings.price_effect.unwrap_or(PriceEffect::ByProduct)),
            Demand::Logit => Form::Logit(
                settings.method.unwrap_or(Method::Likelihood),
                settings.price_effect.unwrap_or(PriceEffect::ByProduct),
            ),
        };
        let calendar = !own.calendar_effects.is_empty();
        let charged_before = own.charged.clone();
        let market = RetailSettings {
            costs: table.costs.clone(),
            displays: table.sales.displays.clone(),
            customers: table.sales.customers.clone(),
            charged: table.sales.prices.clone(),
            week_numbers: table.weeks.clone(),
            covariates: table.sales.covariates.iter().map(|row| row.concat()).collect(),
            reference_prices: table.sales.reference_prices.clone(),
            ..own
        };
        notes.extend(beyond(&market));
        let form = (form, calendar);
        Ok(Self { run: run.into(), plan, market, table, form, known, charged_before, fit, evaluation, notes })
    }

    /// The calendar's week of each row.
    pub fn numbers(&self) -> Vec<f64> {
        self.table.weeks.iter().map(|week| f64::from(*week)).collect()
    }

    /// What the table calls a row.
    pub fn label(&self, row: usize) -> &str {
        short(&self.table.sales.labels[row])
    }

    /// The prices that the run's best checkpoint sets in each row.
    pub fn policy(&self) -> Outcome<Vec<Vec<f64>>> {
        // Prices that the run's market does not have are the nearest ones that it has.
        let within = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let (low, high) = (&self.market.low, &self.market.high);
            let row = |row: &Vec<f64>| (0..row.len()).map(|k| row[k].clamp(low[k], high[k])).collect();
            rows.iter().map(row).collect()
        };
        let (charged, reference_prices) = (within(&self.market.charged), within(&self.market.reference_prices));
        let m = &RetailSettings { charged, reference_prices, ..self.market.clone() };
        let mut settings = self.plan.env_settings.clone();
        for (key, value) in [
            ("costs", json!(m.costs)),
            ("displays", json!(m.displays)),
            ("customers", json!(m.customers)),
            ("charged", json!(m.charged)),
            ("week_numbers", json!(m.week_numbers)),
            ("covariates", json!(m.covariates)),
            ("reference_prices", json!(m.reference_prices)),
            ("periods", Value::Null),
        ] {
            settings.insert(key.into(), value);
        }
        let env = self.plan.env.build(&settings, 1, 1).map_err(|e| Failure::Input(format!("{}: {e}", self.run)))?;
        let mut pricer = Pricer::new(&self.run, &self.plan, m, self.plan.described(env)?)?;
        (0..m.customers.len()).map(|row| pricer.prices(row)).collect()
    }

    /// Units that the fitted demand expects in each row at the charged prices: by itself, and by each drawn demand.
    pub fn expected(&self) -> Outcome<Vec<(Vec<f64>, Vec<Vec<f64>>)>> {
        let demands = Demands::of(&self.market).map_err(|e| Failure::Input(format!("{}: {e}", self.run)))?;
        let m = &self.market;
        Ok((0..m.customers.len()).map(|row| demands.units(m, row, &m.charged[row])).collect())
    }

    /// The median price of each product in the weeks that demand was fitted to.
    pub fn usual_prices(&self) -> Vec<f64> {
        let of = |k: usize| sales::median(self.charged_before.iter().map(|week| week[k]));
        (0..self.market.names.len()).map(of).collect()
    }

    /// The profit that is expected of some rows at the same prices: by the fitted demand, and by each drawn one.
    pub fn expected_at(&self, rows: &[usize], prices: &[f64]) -> Outcome<Vec<(f64, Vec<f64>)>> {
        let demands = Demands::of(&self.market).map_err(|e| Failure::Input(format!("{}: {e}", self.run)))?;
        let of = |row: &usize| {
            let (fitted, drawn) = demands.units(&self.market, *row, prices);
            let profit = |units: &Vec<f64>| {
                let there = (0..units.len()).filter(|k| self.table.sales.present(*row, *k));
                there.map(|k| units[k] * (prices[k] - self.market.costs[*row][k])).sum::<f64>()
            };
            (profit(&fitted), drawn.iter().map(profit).collect())
        };
        Ok(rows.iter().map(of).collect())
    }

    /// The profit of a row, over the products that were there, of these units.
    pub fn profit(&self, row: usize, units: &[f64]) -> f64 {
        let (sales, costs) = (&self.table.sales, &self.market.costs[row]);
        let of = |k: usize| if sales.present(row, k) { units[k] * (sales.prices[row][k] - costs[k]) } else { 0.0 };
        (0..units.len()).map(of).sum()
    }
}

/// Covariates of a newer table in the order of the run's, by name: words that it does not hold are nowhere, new ones are unknown.
fn as_named(table: &mut SalesTable, own: &RetailSettings) -> Vec<String> {
    let names = std::mem::replace(&mut table.sales.covariate_names, own.covariate_names.clone());
    let place: Vec<Option<usize>> =
        own.covariate_names.iter().map(|name| names.iter().position(|other| other == name)).collect();
    if !own.covariate_names.is_empty() && table.sales.covariates.is_empty() {
        table.sales.covariates = vec![vec![Vec::new(); own.names.len()]; table.weeks.len()];
    }
    for product in table.sales.covariates.iter_mut().flatten() {
        *product = place.iter().map(|at| at.map_or(0.0, |at| product[at])).collect();
    }
    let fresh: Vec<&str> = names.iter().filter(|n| !own.covariate_names.contains(n)).map(String::as_str).collect();
    if fresh.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "nothing is known of the effect of {}, which the fitted weeks do not have: it is taken for none",
        fresh.join(", ")
    )]
}

/// What no column says is guessed from a table; a newer one must be understood by the guesses of the run.
fn as_guessed(table: &mut SalesTable, settings: &FitSettings, own: &RetailSettings) -> Vec<String> {
    let mut notes = Vec::new();
    let same = |x: &[f64]| x.windows(2).all(|pair| pair[0] == pair[1]);
    if settings.customers.is_empty() {
        if same(&own.customers) {
            table.sales.customers.iter_mut().for_each(|c| *c = own.customers[0]);
        } else {
            notes.push("customers were guessed for each shop, and are guessed anew from this table".into());
        }
    }
    if settings.cost.is_empty() {
        let last = own.costs[own.costs.len() - 1].clone();
        table.costs.iter_mut().for_each(|costs| costs.clone_from(&last));
        notes.push("costs are in no column: those of the run are taken, and profits are as good as they are".into());
    }
    notes
}
