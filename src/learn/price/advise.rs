//! `agon price RUN`: what prices a trained run recommends for a week of its table, why, and what they are expected to earn,
//! with intervals from the drawn demands.

use crate::acting::{self, Acting};
use crate::checkpoints::{self, Target};
use crate::plan::Plan;
use agon::cli::PriceRun;
use agon::{Failure, Outcome};
use agon_agents::Device;
use agon_core::policy::{Observed, Policy};
use agon_core::rng::Stream;
use agon_core::settings::{Settings, hint, nearest};
use agon_core::vec_env::FirstBuf;
use agon_core::{ActionsMut, VecEnv, View};
use agon_envs::pricing::retail::{Demands, RetailSettings};
use serde_json::Value;

/// A number under the fitted demand, and the 2.5th and 97.5th percentile of it under the drawn ones.
#[derive(Clone, Copy)]
pub struct Expected {
    pub value: f64,
    pub interval: Option<[f64; 2]>,
}

/// What is said of one product.
pub struct Advice {
    pub product: String,
    /// What was charged in that week of the table; none where the table does not say.
    pub current: Option<f64>,
    pub recommended: f64,
    pub why: String,
    /// Units, revenue and profit of the week at the recommended prices.
    pub expected: [Expected; 3],
}

/// What is said of one week, in one shop.
pub struct Sheet {
    pub run: String,
    pub week: String,
    pub products: Vec<Advice>,
    /// Units, revenue and profit of all products.
    pub total: [Expected; 3],
    /// Profit at the current prices.
    pub current_profit: Option<Expected>,
    /// The share of the drawn demands under which the recommended prices earn less than the current ones.
    pub risk: Option<f64>,
    /// What must be known first.
    pub notes: Vec<String>,
}

/// What is recommended.
pub fn sheet_of(args: &PriceRun) -> Outcome<Sheet> {
    let Target::Checkpoint { scenario, .. } = checkpoints::locate(&args.run)? else {
        return Err(Failure::Input(format!("{}: there is no such run or checkpoint", args.run)));
    };
    let plan = Plan::read_agent(&scenario)?;
    let settings = market(&plan, &args.run)?;
    let labels = labels(&scenario, settings.customers.len());
    let row = find_week(args.week.as_deref(), &labels)?;
    let mut pricer = Pricer::new(&args.run, &plan, &settings, plan.build_env(1)?)?;
    let mut prices = pricer.prices(row)?;
    let fixed = what_if(&args.set, &settings)?;
    fixed.iter().for_each(|(k, price)| prices[*k] = *price);
    let report = report(&scenario);
    let mut sheet = sheet(&args.run, &settings, &labels, row, &prices, &fixed)?;
    let allowed = pricer.allowed(&prices);
    for (k, price) in &fixed {
        let inside = (settings.low[*k]..=settings.high[*k]).contains(price);
        if inside && (allowed[*k] - price).abs() > 1e-6 * price {
            let (name, other) = (&settings.names[*k], price_text(allowed[*k], 4));
            sheet.notes.push(format!("{price} for {name} breaks the market's rules, which would make it {other}"));
        }
    }
    if !settings.reference_prices.is_empty() {
        sheet
            .notes
            .push("customers get used to these prices: what that does to later weeks is not in these numbers".into());
    }
    sheet.notes.splice(..0, report["doubt"].as_str().map(String::from));
    let absent = report["absent"].as_array().map_or(&[][..], Vec::as_slice);
    sheet.without((0..prices.len()).filter(|k| absent.contains(&serde_json::json!([row, k]))).collect());
    Ok(sheet)
}

/// What the run's report of the fit says; null if there is none.
fn report(scenario: &std::path::Path) -> Value {
    let report = scenario.parent().and_then(|folder| agon::files::text(&folder.join("fit.json")));
    report.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// The settings of a market in which a week can be looked at alone.
pub fn market(plan: &Plan, run: &str) -> Outcome<RetailSettings> {
    let wrong = |why: &str| Failure::Input(format!("{run}: {why}"));
    if plan.env.id != "pricing/retail" {
        return Err(wrong(&format!("it is a run of {}: `agon price` is for runs of pricing/retail", plan.env.id)));
    }
    let settings = RetailSettings::read(&plan.env_settings).map_err(|issues| {
        wrong(&issues.first().map_or_else(|| "its settings cannot be read".into(), |issue| issue.message.clone()))
    })?;
    let s = &settings;
    if s.carries_over() || s.most_used_to() > 0.0 && s.reference_prices.is_empty() {
        return Err(wrong(
            "in its market something carries over from week to week (stock, seasons, reference prices, a rival, promotions): \
             a week cannot be priced alone; `agon eval RUN --export prices.csv` writes the policy",
        ));
    }
    Ok(settings)
}

/// What the table calls its rows, as the run's report of the fit has them; else their numbers.
fn labels(scenario: &std::path::Path, rows: usize) -> Vec<String> {
    let report = report(scenario);
    let told = report["rows"].as_array().filter(|all| all.len() == rows);
    let short = |label: &str| label.split_once("week ").map_or(label, |(_, week)| week).to_owned();
    (0..rows).map(|t| told.and_then(|all| all[t].as_str()).map_or_else(|| (t + 1).to_string(), short)).collect()
}

/// The row of a week: by what the table calls it, or by its number; the last one if none is named.
fn find_week(week: Option<&str>, labels: &[String]) -> Outcome<usize> {
    let Some(week) = week else { return Ok(labels.len() - 1) };
    let is = |label: &&String| *label == week || label.starts_with(&format!("{week}, "));
    let mut found: Vec<usize> = (0..labels.len()).filter(|t| is(&&labels[*t])).collect();
    if let Some(number) = week.parse::<f64>().ok().filter(|_| found.is_empty()) {
        // By its number: as the table has it, however it is written, or, where weeks are no numbers, that of its row.
        let parsed = |label: &String| label.split(", ").next().and_then(|week| week.parse::<f64>().ok());
        found = (0..labels.len()).filter(|t| parsed(&labels[*t]) == Some(number)).collect();
        if labels.iter().all(|label| parsed(label).is_none()) {
            found = (0..labels.len()).filter(|t| (t + 1) as f64 == number).collect();
        }
    }
    match found[..] {
        [row] => Ok(row),
        [] => {
            let near = hint(&nearest(week, labels.iter().map(String::as_str)));
            let (first, last) = (&labels[0], &labels[labels.len() - 1]);
            Err(Failure::Input(format!("--week {week}: the run's table has no such week ({first} to {last}){near}")))
        }
        [first, ..] => {
            let (example, n) = (&labels[first], found.len());
            Err(Failure::Input(format!("--week {week}: {n} shops have it; name one too, as in --week '{example}'")))
        }
    }
}

/// The policy of a run's best checkpoint, asked for the prices of a week.
pub struct Pricer<'a> {
    policy: Box<dyn Policy>,
    env: Box<dyn VecEnv>,
    market: &'a RetailSettings,
}

impl<'a> Pricer<'a> {
    /// Reads it. `env`: a batch of one of the market.
    pub fn new(run: &str, plan: &Plan, market: &'a RetailSettings, mut env: Box<dyn VecEnv>) -> Outcome<Self> {
        let best = std::path::Path::new(run).join("checkpoints/best");
        let from = if best.exists() { best.display().to_string() } else { run.to_owned() };
        let (acting, _) = acting::acting(&from, plan, Device::Cpu)?;
        let policy = match acting {
            Acting::Inference(it) => it.policy,
            Acting::Training(it) => it.policy(),
        };
        let policy = policy.ok_or_else(|| Failure::Input(format!("{run}: {} has no policy", plan.agent.kind)))?;
        let mut obs = vec![0.0; env.spec().obs_len()];
        env.reset(1, Stream::Eval, FirstBuf { obs: &mut obs, mask: &mut [] });
        Ok(Self { policy, env, market })
    }

    /// The prices that it sets in a week, as the market's bounds and rules leave them.
    pub fn prices(&mut self, row: usize) -> Outcome<Vec<f64>> {
        let (s, env) = (self.market, &mut self.env);
        let mut obs = vec![0.0; env.spec().obs_len()];
        let mut saved = env.save(0, View::Now);
        saved["state"]["week"] = row.into();
        // What rules compare prices with: those of that week.
        if let (Some(rules), Some(charged)) = (&s.rules, s.charged.get(row)) {
            saved["state"]["prices"] = Value::from(charged.clone());
            if rules.cooldown > 0 {
                let since = |k: usize| stood(&s.charged, row, k).min(rules.cooldown);
                saved["state"]["since"] = (0..charged.len()).map(since).collect::<Vec<u32>>().into();
            }
        }
        // What customers are used to in that week.
        if let Some(usual) = s.reference_prices.get(row).filter(|_| !saved["state"]["carried"].is_null()) {
            let carried = &mut saved["state"]["carried"];
            (carried["reference"], carried["time"], carried["age"]) =
                (Value::from(usual.clone()), row.into(), 0.into());
        }
        env.restore(0, &saved).map_err(|e| Failure::Internal(format!("the week cannot be shown: {e}")))?;
        env.observe(FirstBuf { obs: &mut obs, mask: &mut [] });
        let mut prices = vec![0.0f32; s.names.len()];
        let seen = Observed { obs: &obs, mask: &[], begins: &[true] };
        self.policy.act(seen, ActionsMut::Continuous(&mut prices));
        // Bounds, held products and rules, as in a step.
        env.settle(ActionsMut::Continuous(&mut prices));
        Ok(prices.into_iter().map(f64::from).collect())
    }

    /// What rules and bounds make of prices in the week that was shown last.
    fn allowed(&self, prices: &[f64]) -> Vec<f64> {
        let mut prices: Vec<f32> = prices.iter().map(|price| *price as f32).collect();
        self.env.settle(ActionsMut::Continuous(&mut prices));
        prices.into_iter().map(f64::from).collect()
    }
}

/// In how many weeks up to a row a product had the row's price, without a break; more than any rule asks if it never changed.
fn stood(charged: &[Vec<f64>], row: usize, k: usize) -> u32 {
    let before = charged[..row].iter().rev().position(|week| week[k] != charged[row][k]);
    before.map_or(u32::MAX, |weeks| weeks as u32 + 1)
}

/// Prices that `--set price.NAME=X` fixes.
fn what_if(sets: &[String], s: &RetailSettings) -> Outcome<Vec<(usize, f64)>> {
    let one = |set: &String| {
        let wrong = |why: String| Failure::Input(format!("--set {set}: {why}"));
        let how = || wrong("write it as price.PRODUCT=PRICE".into());
        let (name, price) = set.strip_prefix("price.").and_then(|rest| rest.rsplit_once('=')).ok_or_else(how)?;
        let k = s.names.iter().position(|n| n == name).ok_or_else(|| {
            let near = hint(&nearest(name, s.names.iter().map(String::as_str)));
            wrong(format!("no product is called `{name}`{near}; there are {}", s.names.join(", ")))
        })?;
        let price: f64 = price.parse().map_err(|_| wrong(format!("`{price}` is not a number")))?;
        if !(price > 0.0 && price <= 1e9) {
            return Err(wrong("a price is above 0".into()));
        }
        Ok((k, price))
    };
    sets.iter().map(one).collect()
}

/// Units, revenue and profit of each product.
fn outcome(units: &[f64], s: &RetailSettings, row: usize, prices: &[f64]) -> Vec<[f64; 3]> {
    let one = |k: usize| [units[k], units[k] * prices[k], units[k] * (prices[k] - s.costs[row][k])];
    (0..prices.len()).map(one).collect()
}

/// The 2.5th and the 97.5th percentile; none of few draws.
fn interval(mut all: Vec<f64>) -> Option<[f64; 2]> {
    all.sort_by(f64::total_cmp);
    let cut = (0.025 * all.len() as f64) as usize;
    (all.len() >= 40).then(|| [all[cut], all[all.len() - 1 - cut]])
}

fn sheet(
    run: &str,
    s: &RetailSettings,
    labels: &[String],
    row: usize,
    prices: &[f64],
    fixed: &[(usize, f64)],
) -> Outcome<Sheet> {
    let demands = Demands::of(s).map_err(|e| Failure::Input(format!("{run}: {e}")))?;
    let n = prices.len();
    let at = |prices: &[f64]| -> (Vec<[f64; 3]>, Vec<Vec<[f64; 3]>>) {
        let (fitted, drawn) = demands.units(s, row, prices);
        (outcome(&fitted, s, row, prices), drawn.iter().map(|units| outcome(units, s, row, prices)).collect())
    };
    let sum = |all: &[[f64; 3]], what: usize| all.iter().map(|x| x[what]).sum::<f64>();
    let (fitted, draws) = at(prices);
    let expected = |k: usize, what: usize| Expected {
        value: fitted[k][what],
        interval: interval(draws.iter().map(|draw| draw[k][what]).collect()),
    };
    let total = [0, 1, 2].map(|what| Expected {
        value: sum(&fitted, what),
        interval: interval(draws.iter().map(|draw| sum(draw, what)).collect()),
    });
    let charged = s.charged.get(row);
    let (mut current_profit, mut risk) = (None, None);
    if let Some(charged) = charged {
        let (theirs, their_draws) = at(charged);
        let all: Vec<f64> = their_draws.iter().map(|draw| sum(draw, 2)).collect();
        let worse = draws.iter().zip(&all).filter(|(own, theirs)| sum(own, 2) < **theirs).count();
        risk = (!draws.is_empty()).then(|| worse as f64 / draws.len() as f64);
        current_profit = Some(Expected { value: sum(&theirs, 2), interval: interval(all) });
    }
    // By a small change of one price, whatever the form of demand.
    let elasticity = |k: usize| {
        let units = |step: f64| {
            let mut moved = prices.to_vec();
            moved[k] *= 1.0 + step;
            demands.units(s, row, &moved).0[k]
        };
        (units(1e-5) / units(-1e-5)).ln() / (1.00001f64 / 0.99999).ln()
    };
    let advice = |k: usize| Advice {
        product: s.names[k].clone(),
        current: charged.map(|prices| prices[k]),
        recommended: prices[k],
        why: why(s, row, k, prices[k], elasticity(k), fixed.iter().any(|(j, _)| *j == k)),
        expected: [0, 1, 2].map(|what| expected(k, what)),
    };
    let forms = s.drawn_forms.iter().collect::<std::collections::BTreeSet<_>>().len();
    let mut notes = vec![match forms {
        0 | 1 => {
            "expected by the fitted demand, with 95 % intervals from the error of its estimation; not from the form of \
                  the model, nor from chance"
                .to_owned()
        }
        _ => format!(
            "expected by the fitted demand, with 95 % intervals over demands drawn around it and others that forecast about \
             as well ({forms} models); not from chance"
        ),
    }];
    for (k, price) in fixed.iter().filter(|(k, price)| *price < s.low[*k] || *price > s.high[*k]) {
        let (name, low, high) = (&s.names[*k], s.low[*k], s.high[*k]);
        notes.push(format!(
            "{price} for {name} is beyond every price that was charged ({low} to {high}): nothing is known of it"
        ));
    }
    Ok(Sheet {
        run: run.into(),
        week: labels[row].clone(),
        products: (0..n).map(advice).collect(),
        total,
        current_profit,
        risk,
        notes,
    })
}

/// Why a price is what it is: how demand answers, what is earned, which bound holds it.
fn why(s: &RetailSettings, row: usize, k: usize, price: f64, elasticity: f64, fixed: bool) -> String {
    let margin = 100.0 * (price - s.costs[row][k]) / price;
    let near = 1e-3 * (s.high[k] - s.low[k]);
    let bound = match (price <= s.low[k] + near, price >= s.high[k] - near) {
        _ if fixed => ", set by you",
        _ if s.is_held(k) => ", held at the charged price",
        (true, _) => ", at the lowest price allowed",
        (_, true) => ", at the highest price allowed",
        _ => "",
    };
    format!("elasticity {elasticity:.2}, margin {margin:.0} %{bound}")
}

/// A price with so many decimals, or as many more as a small one needs for four digits.
pub fn price_text(price: f64, decimals: usize) -> String {
    let small = if price > 0.0 && price < 1.0 { (3.0 - price.log10().floor()) as usize } else { 0 };
    format!("{price:.*}", if price < 0.1 { small.max(decimals) } else { decimals })
}

impl Expected {
    /// As people read it.
    pub fn text(&self) -> String {
        let digits = match self.value.abs() {
            x if x > 0.0 && x < 0.1 => (2.0 - x.log10().floor()) as usize,
            x if x < 10.0 => 2,
            _ => 0,
        };
        let ends = self.interval.map_or(String::new(), |[low, high]| format!(" [{low:.digits$}, {high:.digits$}]"));
        format!("{:.digits$}{ends}", self.value)
    }
}

impl Sheet {
    /// Takes out current prices of products that were not there in the week, and with them what is compared with those.
    fn without(&mut self, absent: Vec<usize>) {
        if absent.is_empty() {
            return;
        }
        absent.iter().for_each(|k| self.products[*k].current = None);
        (self.current_profit, self.risk) = (None, None);
        let names: Vec<&str> = absent.iter().map(|k| self.products[*k].product.as_str()).collect();
        self.notes.push(format!(
            "the table has no price of {} in this week: nothing is compared with current prices, and what is expected \
             takes it for on offer",
            names.join(", ")
        ));
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let wide = self.products.iter().map(|p| p.product.chars().count()).max().unwrap_or(0).max(8);
        let mut out = format!("{}, week {}\n\n", self.run, self.week);
        out += &format!(
            "{:<wide$}  {:>8}  {:>11}  {:<30}  {:<30}  why\n",
            "product", "current", "recommended", "units", "profit"
        );
        for p in &self.products {
            let current = p.current.map_or("-".into(), |x| price_text(x, 4));
            let recommended = price_text(p.recommended, 4);
            out += &format!(
                "{:<wide$}  {current:>8}  {recommended:>11}  {:<30}  {:<30}  {}\n",
                p.product,
                p.expected[0].text(),
                p.expected[2].text(),
                p.why
            );
        }
        out += &format!("\n{}\n", self.summary().join("\n"));
        out
    }

    /// The totals and what must be known, a line each.
    pub fn summary(&self) -> Vec<String> {
        let [units, revenue, profit] = self.total.map(|x| x.text());
        let mut lines = vec![format!("all: {units} units, revenue {revenue}, profit {profit}")];
        if let Some(current) = &self.current_profit {
            lines.push(format!("at the current prices: profit {}", current.text()));
        }
        if let Some(risk) = self.risk {
            lines.push(format!(
                "risk: under {:.1} % of the demands that fit the data, these prices earn less than the current ones",
                100.0 * risk
            ));
        }
        lines.extend(self.notes.iter().cloned());
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> RetailSettings {
        RetailSettings { charged: vec![vec![1.0, 2.0, 3.0], vec![2.0; 3]], ..RetailSettings::default() }
    }

    /// By hand: 1000 customers, utilities 2 − 1, 1.5 − 2, 1 − 3.
    #[test]
    fn outcomes_are_those_of_the_logit() {
        let s = settings();
        let labels = ["1", "2"].map(String::from);
        let prices = [1.0, 2.0, 3.0];
        let sheet = sheet("run", &s, &labels, 0, &prices, &[]).unwrap();
        let weights = [1.0f64.exp(), (-0.5f64).exp(), (-2.0f64).exp()];
        let sum = 1.0 + weights.iter().sum::<f64>();
        let profit: f64 = (0..3).map(|k| 1000.0 * weights[k] / sum * (prices[k] - s.costs[0][k])).sum();
        assert!((sheet.total[2].value - profit).abs() < 1e-9);
        assert!((sheet.current_profit.unwrap().value - profit).abs() < 1e-9, "the current prices are the same");
        assert!(sheet.risk.is_none() && sheet.total[2].interval.is_none(), "nothing was drawn");
        assert!(sheet.products[0].why.starts_with("elasticity -0.39, margin 50 %"), "{}", sheet.products[0].why);
    }

    #[test]
    fn intervals_and_risk_come_from_the_draws() {
        let drawn = |b: f64| vec![b; 3];
        let s = RetailSettings {
            drawn_intercepts: vec![vec![2.0, 1.5, 1.0]; 40],
            drawn_price_effects: (0..40).map(|d| drawn(0.8 + 0.01 * f64::from(d))).collect(),
            drawn_display_effects: vec![vec![0.5; 3]; 40],
            ..settings()
        };
        let sheet = sheet("run", &s, &["1".into(), "2".into()], 0, &[1.5, 2.0, 3.0], &[(0, 1.5)]).unwrap();
        let [low, high] = sheet.total[2].interval.unwrap();
        assert!(low < sheet.total[2].value && sheet.total[2].value < high);
        assert!(sheet.risk.is_some_and(|risk| (0.0..=1.0).contains(&risk)));
        assert!(sheet.products[0].why.ends_with("set by you"));
    }

    /// What was not there had no price: nothing is compared with one that nobody charged.
    #[test]
    fn a_product_that_was_not_there_has_no_current_price() {
        let mut sheet = sheet("run", &settings(), &["1".into(), "2".into()], 0, &[1.5, 2.0, 3.0], &[]).unwrap();
        sheet.without(vec![1]);
        assert_eq!([0, 1, 2].map(|k| sheet.products[k].current), [Some(1.0), None, Some(3.0)]);
        assert!(sheet.current_profit.is_none() && sheet.risk.is_none());
        assert!(sheet.notes.last().is_some_and(|note| note.contains("no price of fine")), "{:?}", sheet.notes);
    }

    #[test]
    fn a_price_has_stood_since_it_was_changed() {
        let charged: Vec<Vec<f64>> = [1.0, 1.0, 2.0, 2.0, 2.0].iter().map(|price| vec![*price]).collect();
        assert_eq!([2, 3, 4].map(|row| stood(&charged, row, 0)), [1, 2, 3]);
        assert!(stood(&charged, 1, 0) > 10_000, "never changed");
    }

    #[test]
    fn small_prices_keep_their_digits() {
        assert_eq!(price_text(0.000_675_288, 2), "0.0006753");
        assert_eq!([price_text(2.5, 2), price_text(0.5, 4), price_text(0.0, 2)], ["2.50", "0.5000", "0.00"]);
        let small = Expected { value: 0.0012, interval: None };
        assert_eq!(small.text(), "0.00120");
    }

    #[test]
    fn weeks_and_products_are_found_by_name() {
        let labels = ["1, north", "1, south", "2, north"].map(String::from);
        assert_eq!(find_week(Some("1, south"), &labels).unwrap(), 1);
        assert_eq!(find_week(None, &labels).unwrap(), 2);
        assert!(find_week(Some("1"), &labels).unwrap_err().to_string().contains("2 shops have it"));
        assert_eq!(find_week(Some("2.0"), &labels).unwrap(), 2, "the same number");
        assert!(find_week(Some("1.0"), &labels).is_err(), "of two shops");
        let dates = ["2026-03-02", "2026-03-09"].map(String::from);
        assert_eq!(find_week(Some("2"), &dates).unwrap(), 1, "the second");
        assert!(find_week(Some("3"), &dates).is_err());
        assert!(find_week(Some("7"), &labels).unwrap_err().to_string().contains("no such week"));
        assert_eq!(what_if(&["price.fine=1.25".into()], &settings()).unwrap(), [(1, 1.25)]);
        for (set, part) in [
            ("price.fin=1", "did you mean `fine`"),
            ("price.fine=x", "`x` is not a number"),
            ("price.fine=-1", "above 0"),
            ("fine=1", "write it as price.PRODUCT=PRICE"),
        ] {
            let why = what_if(&[set.into()], &settings()).unwrap_err().to_string();
            assert!(why.contains(part), "{why}");
        }
    }
}
