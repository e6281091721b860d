//! How often 95 % intervals hold the truth in shops whose demand is known. `make test-long` prints the whole table
//! (`cargo test --release --bin agon-torch coverage -- --include-ignored --nocapture`); fewer shops are simulated every day.

use super::averaging::{Draws, correlations};
use super::elasticities::Effects;
use crate::lift::{CHARGED, Lift, Shop};
use agon_agents::demand::forecast::{self, Comparison};
use agon_agents::demand::models::{Drawn, Form};
use agon_agents::demand::{Method, PriceEffect, Sales};
use agon_agents::evaluate::evaluate;
use agon_core::policy::{self, Actor, Observed};
use agon_core::rng::{Rng, Stream};
use agon_core::{ActionsMut, Entry, VecEnv};
use agon_envs::pricing::nested_logit::{Nest, NestedLogit};
use agon_envs::pricing::{log_log, logit};
use serde_json::{Map, Value, json};

const LEAST_SQUARES: Form = Form::Logit(Method::LeastSquares, PriceEffect::ByProduct);
const LIKELIHOOD: Form = Form::Logit(Method::Likelihood, PriceEffect::ByProduct);
const WEEKS: [usize; 4] = [8, 15, 30, 120];
/// In so many of the shops the lift is looked at, too: each takes a policy under every drawn demand.
const LIFTS: u64 = 300;
const CUSTOMERS: f64 = 20_000.0;
/// Within the nests of shops that have them.
const CORRELATION: f64 = 0.5;
/// The lift is that over the first weeks of a table: all are alike but for the prices charged.
const COMPARED: usize = 8;

/// The form of a shop's true demand.
#[derive(Clone, Copy, PartialEq)]
enum Truth {
    Logit,
    /// Of the first half of the products and of the rest, one nest each; of two products, one of both.
    NestedLogit,
    LogLog,
}

/// A shop of so many products.
#[derive(Clone, Copy)]
struct World {
    truth: Truth,
    products: usize,
}

impl World {
    fn price_effect(self, k: usize) -> f64 {
        [1.0, 1.8][k % 2]
    }

    fn elasticity(self, k: usize, j: usize) -> f64 {
        let cross = if self.products == 2 { [0.4, 0.3][k % 2] } else { 0.1 * (k as f64 - j as f64).cos() };
        if k == j { [-2.5, -1.8][k % 2] } else { cross }
    }

    fn usual(self, k: usize) -> f64 {
        [2.0, 2.3][k % 2]
    }

    fn costs(self) -> Vec<f64> {
        (0..self.products).map(|k| [1.2, 1.3][k % 2]).collect()
    }

    /// The nest of each product.
    fn nests(self) -> Vec<usize> {
        let nest = |k: usize| usize::from(self.products > 2 && k >= self.products / 2);
        if self.truth == Truth::NestedLogit { (0..self.products).map(nest).collect() } else { Vec::new() }
    }

    /// Customers' choice, if products are in nests.
    fn nested(self, demand: &Drawn) -> NestedLogit {
        let Drawn { intercepts, price_effects, display_effects, .. } = demand.clone();
        let nests = self.nests();
        let products = |g: usize| (0..nests.len()).filter(|k| nests[*k] == g).collect();
        let nest = |g: usize| Nest { products: products(g), correlation: demand.nest_correlation.unwrap_or(0.0) };
        let count = nests.iter().max().map_or(0, |most| most + 1);
        NestedLogit::new(logit::Logit { intercepts, price_effects, display_effects }, (0..count).map(nest).collect())
    }

    fn market(self) -> Drawn {
        let all = 0..self.products;
        let plain = Drawn { display_effects: vec![0.0; self.products], ..Drawn::default() };
        match self.truth {
            Truth::Logit | Truth::NestedLogit => Drawn {
                intercepts: vec![1.0; self.products],
                price_effects: all.map(|k| self.price_effect(k)).collect(),
                nest_correlation: (self.truth == Truth::NestedLogit).then_some(CORRELATION),
                ..plain
            },
            Truth::LogLog => {
                let usual = |k: usize| all.clone().map(|j| self.elasticity(k, j) * self.usual(j).ln()).sum::<f64>();
                let level = -2.0 - (0.5 * self.products as f64).ln();
                Drawn {
                    intercepts: all.clone().map(|k| level - usual(k)).collect(),
                    elasticities: all.clone().map(|k| all.clone().map(|j| self.elasticity(k, j)).collect()).collect(),
                    ..plain
                }
            }
        }
    }

    /// Weeks of sales: shocks to demand of 30 %, prices up to a quarter around the usual ones, one after the other at random.
    fn sales(self, weeks: usize, seed: u64) -> Sales {
        let mut rng = Rng::new(seed, Stream::Env, 0);
        let n = self.products;
        let mut sales = Sales { names: (0..n).map(|k| format!("p{k}")).collect(), ..Sales::default() };
        let market = self.market();
        sales.nests = self.nests();
        for _ in 0..weeks {
            let prices: Vec<f64> = (0..n).map(|k| self.usual(k) * rng.range(0.75, 1.25)).collect();
            let shock: Vec<f64> = (0..n).map(|_| 0.3 * rng.normal()).collect();
            let moved = |k: usize| match self.truth {
                Truth::Logit | Truth::NestedLogit => -self.price_effect(k) * prices[k],
                Truth::LogLog => (0..n).map(|j| self.elasticity(k, j) * prices[j].ln()).sum(),
            };
            let mut weights: Vec<f64> = (0..n).map(|k| (market.intercepts[k] + moved(k) + shock[k]).exp()).collect();
            if self.truth == Truth::NestedLogit {
                self.nested(&market).weigh(&mut weights);
            }
            let rest = if self.truth == Truth::LogLog { 1.0 } else { 1.0 + weights.iter().sum::<f64>() };
            // Who decides one by one varies by the root of the mean.
            let mut units: Vec<f64> = Vec::new();
            for weight in &weights {
                let mean = CUSTOMERS * weight / rest;
                units.push((mean + mean.sqrt() * rng.normal()).round().max(1.0));
            }
            // Log-log demand knows no end; customers do.
            let many = units.iter().sum::<f64>() / (0.95 * CUSTOMERS);
            units.iter_mut().for_each(|u| *u /= many.max(1.0));
            sales.units.push(units);
            sales.prices.push(prices);
            sales.displays.push(vec![0.0; n]);
            sales.customers.push(CUSTOMERS);
        }
        sales
    }
}

/// The settings of a market that has this demand, and those drawn.
fn settings(world: World, sales: &Sales, demand: &Drawn, draws: Option<&Draws>) -> Map<String, Value> {
    let end = |pick: fn(f64, f64) -> f64| -> Vec<f64> {
        (0..world.products).map(|k| sales.prices.iter().map(|week| week[k]).reduce(pick).unwrap_or(0.0)).collect()
    };
    let logit = demand.elasticities.is_empty();
    let mut all = json!({
        "names": sales.names, "demand": if logit { "logit" } else { "log-log" },
        "intercepts": demand.intercepts, "display_effects": demand.display_effects,
        "costs": vec![world.costs(); COMPARED], "displays": &sales.displays[..COMPARED],
        "customers": &sales.customers[..COMPARED], "charged": &sales.prices[..COMPARED],
        "low": end(f64::min), "high": end(f64::max), "sales": "expected",
    });
    if logit {
        all["price_effects"] = json!(demand.price_effects);
        if demand.nest_correlation.is_some() {
            let nests = sales.nests_of_several();
            let names = |nest: &Vec<usize>| nest.iter().map(|k| sales.names[*k].clone()).collect::<Vec<_>>();
            all["demand"] = json!("nested-logit");
            all["nests"] = json!(nests.iter().map(names).collect::<Vec<_>>());
            all["nest_correlations"] = json!(correlations(demand, nests.len()));
        }
    } else {
        all["elasticities"] = json!(demand.elasticities);
    }
    draws.into_iter().flat_map(Draws::settings).for_each(|(key, value)| all[key] = value);
    all.as_object().cloned().unwrap_or_default()
}

/// The same prices in every week.
struct Prices(Vec<f64>);

impl Actor for Prices {
    fn act(&mut self, _: &dyn VecEnv, _: Observed<'_>, mut actions: ActionsMut<'_>) {
        self.0.iter().enumerate().for_each(|(k, price)| actions.set(k, *price));
    }

    fn name(&self) -> String {
        "the best prices".into()
    }
}

/// The best prices by a demand: every week is alike.
fn best(world: World, demand: &Drawn, settings: &Map<String, Value>) -> Prices {
    let list = |key: &str| -> Vec<f64> { serde_json::from_value(settings[key].clone()).unwrap() };
    let (low, high, mut prices) = (list("low"), list("high"), vec![0.0; world.products]);
    let (costs, displays) = (world.costs(), vec![0.0; world.products]);
    let week = logit::Week { costs: &costs, displays: &displays, customers: CUSTOMERS, outside: 1.0, added: &[] };
    let (intercepts, display_effects) = (demand.intercepts.clone(), demand.display_effects.clone());
    if demand.nest_correlation.is_some() {
        world.nested(demand).optimum(week, &low, &high, &mut prices);
    } else if demand.elasticities.is_empty() {
        let price_effects = demand.price_effects.clone();
        logit::Logit { intercepts, price_effects, display_effects }.optimum(week, &low, &high, &mut prices);
    } else {
        let elasticities = demand.elasticities.clone();
        log_log::LogLog { intercepts, elasticities, display_effects }.optimum(week, &low, &high, &mut prices);
    }
    Prices(prices)
}

/// What is fitted to a shop's sales.
#[derive(Clone, Copy, PartialEq)]
enum Fitted {
    /// This form.
    Given(Form),
    /// Whatever forecasts best, as if it were known to be right.
    Best,
    /// The same, with draws of all forms that forecast about as well: what a person gets.
    Averaged,
}

/// The shares of shops in which intervals of own effects, of cross effects and of the lift hold the truth; in how many shops
/// demand could not be fitted with price effects above zero.
struct Covered {
    own: f64,
    cross: f64,
    /// The same of the correlation within nests.
    correlation: f64,
    lift: Option<f64>,
    refused: usize,
}

/// The form that forecasts best, with price effects above zero: what a market is made of.
fn chosen(comparison: &Comparison, sales: &Sales, numbers: &[f64]) -> Option<Form> {
    let fits = |form: &Form| {
        let fit = form.fit(sales, numbers, numbers.len(), false);
        fit.is_some_and(|model| model.coefficients().price_effects.iter().all(|b| *b > 0.0))
    };
    comparison.models().map(|(form, _)| form).find(fits)
}

fn covered(world: World, fitted_by: Fitted, weeks: usize, shops: u64, draws: usize) -> Covered {
    let (mut own, mut cross, mut correlation, mut fitted, mut lift, mut lifted) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    let holds = |ends: [f64; 2], x: f64| f64::from(u8::from(ends[0] <= x && x <= ends[1]));
    let numbers: Vec<f64> = (0..weeks).map(|t| t as f64).collect();
    let retail: Entry = agon_envs::registry().into_iter().find(|entry| entry.id == "pricing/retail").unwrap();
    for shop in 0..shops {
        let sales = world.sales(weeks, 5000 + shop);
        let comparison = if let Fitted::Given(_) = fitted_by { None } else { forecast::compare(&sales, &[]) };
        let form = match fitted_by {
            Fitted::Given(form) => Some(form),
            _ => comparison.as_ref().and_then(|comparison| chosen(comparison, &sales, &numbers)),
        };
        let Some(form) = form else { continue };
        let Some(model) = form.fit(&sales, &numbers, weeks, false) else { continue };
        let Some(effects) = Effects::of(&*model, &sales, &numbers) else { continue };
        let demand = model.coefficients();
        if demand.price_effects.iter().any(|b| *b <= 0.0) {
            continue;
        }
        fitted += 1.0;
        let share = 1.0 / world.products as f64;
        for k in 0..world.products {
            let next = (k + 1) % world.products;
            own += share
                * match form {
                    Form::LogLog | Form::PooledLogLog => holds(effects.own(k).ends, world.elasticity(k, k)),
                    Form::Logit(..) | Form::NestedLogit(_) => {
                        holds(effects.price_effects[k].ends, world.price_effect(k))
                    }
                };
            cross += share * holds(effects.elasticities[k][next].ends, world.elasticity(k, next));
        }
        correlation += effects.nest_correlation.map_or(0.0, |found| holds(found.ends, CORRELATION));
        if draws > 0 && shop < LIFTS {
            lifted += 1.0;
            let others = |_, _| fitted_by == Fitted::Averaged;
            let all =
                Draws::of(&sales, &numbers, ((form, false), &*model), comparison.as_ref(), &others, (draws, shop));
            let known = settings(world, &sales, &demand, Some(&all));
            let mut who = best(world, &demand, &known);
            let told = Shop { env: &retail, settings: &known, features: None, stopped: &|| false };
            let found = Lift::in_shop(&told, &mut who, 1, &mut |_| {}).unwrap().unwrap();
            let mut env = retail.build(&settings(world, &sales, &world.market(), None), 1, 1).unwrap();
            let mut charged = policy::by_name(&*env, CHARGED, 1).unwrap();
            let theirs = evaluate(&mut *env, &mut *charged, 1, 0, &mut |_| {}).returns[0];
            let own = evaluate(&mut *env, &mut who, 1, 0, &mut |_| {}).returns[0];
            lift += holds(found.interval, own / theirs - 1.0);
        }
    }
    Covered {
        own: own / fitted,
        cross: cross / fitted,
        correlation: correlation / fitted,
        lift: (draws > 0).then_some(lift / lifted),
        refused: shops as usize - fitted as usize,
    }
}

fn line(world: World, fitted_by: Fitted, weeks: usize, found: &Covered) -> String {
    let name = |log_log: bool| if log_log { "log-log" } else { "logit" };
    let percent = |x: f64| format!("{:5.1} %", 100.0 * x);
    let (form, fitted) = match fitted_by {
        Fitted::Given(form) => (Some(form), forecast::name(form, false)),
        Fitted::Best => (None, "what forecasts best, alone".into()),
        Fitted::Averaged => (None, "what forecasts about as well".into()),
    };
    let right = form.is_some_and(|form| (world.truth == Truth::LogLog) == form.is_log_log());
    let own = if right { percent(found.own) } else { "-".into() };
    let cross = if form == Some(Form::LogLog) && right { percent(found.cross) } else { "-".into() };
    let lift = found.lift.map_or("-".into(), percent);
    format!(
        "{weeks:>4} weeks  {} products  {:<8} {fitted:<32} {own:>8} {cross:>8} {lift:>8} {:>8}",
        world.products,
        name(world.truth == Truth::LogLog),
        found.refused
    )
}

/// Of nested logit: own effects, the correlation within nests and the lift. Every day few shops, which only show gross errors.
#[test]
fn intervals_of_nested_logit_hold_the_truth() {
    let form = Fitted::Given(Form::NestedLogit(PriceEffect::ByProduct));
    let world = World { truth: Truth::NestedLogit, products: 4 };
    let found = covered(world, form, 40, 200, 0);
    assert!(
        (0.9..0.99).contains(&found.own) && (0.9..0.99).contains(&found.correlation),
        "{}",
        nested_line(40, &found)
    );
    let found = covered(world, form, 40, 20, 60);
    assert!(found.lift.unwrap() >= 0.85, "{}", nested_line(40, &found));
}

fn nested_line(weeks: usize, found: &Covered) -> String {
    let [own, correlation] = [found.own, found.correlation].map(|x| 100.0 * x);
    let lift = found.lift.map_or("-".into(), |x| format!("{:.1} %", 100.0 * x));
    format!("{weeks:>4} weeks: own {own:.1} %, correlation {correlation:.1} %, lift {lift}, refused {}", found.refused)
}

#[test]
#[ignore = "minutes: make test-long"]
fn coverage_of_nested_logit_over_many_shops() {
    let form = Fitted::Given(Form::NestedLogit(PriceEffect::ByProduct));
    // Of two products in few weeks, the correlation is often found at 0, and taken for known.
    for (products, weeks, own, correlation) in
        [(2, 30, 0.85, 0.77), (4, 30, 0.89, 0.88), (4, 40, 0.9, 0.88), (4, 120, 0.92, 0.92), (7, 60, 0.92, 0.91)]
    {
        let found = covered(World { truth: Truth::NestedLogit, products }, form, weeks, 400, 100);
        println!("{products} products {}", nested_line(weeks, &found));
        assert!((own..0.985).contains(&found.own) && (correlation..0.985).contains(&found.correlation), "outside");
    }
}

/// Every day: so few shops that only gross errors show, which is what errors by the normal distribution were.
#[test]
fn intervals_of_eight_and_thirty_weeks_hold_the_truth() {
    for (truth, form) in [(Truth::Logit, LEAST_SQUARES), (Truth::Logit, LIKELIHOOD), (Truth::LogLog, Form::LogLog)] {
        let world = World { truth, products: 2 };
        for weeks in [8, 30] {
            let found = covered(world, Fitted::Given(form), weeks, 300, 0);
            assert!((0.925..0.985).contains(&found.own), "{}", line(world, Fitted::Given(form), weeks, &found));
        }
        let found = covered(world, Fitted::Given(form), 15, 30, 60);
        assert!(found.lift.unwrap() >= 0.85, "{}", line(world, Fitted::Given(form), 15, &found));
    }
}

/// Where forecasts choose the form, an interval of that form alone misses the truth too often; one of all forms that forecast
/// about as well holds it.
#[test]
fn an_interval_over_forms_holds_what_one_of_the_best_form_misses() {
    for truth in [Truth::Logit, Truth::LogLog] {
        let world = World { truth, products: 2 };
        let [alone, averaged] = [Fitted::Best, Fitted::Averaged].map(|by| covered(world, by, 15, 30, 60).lift.unwrap());
        assert!(averaged >= 0.9 && alone < averaged, "{alone} {averaged}");
    }
    // Of seven products a logit that forecasts best promises a lift that log-log shops never see.
    let world = World { truth: Truth::LogLog, products: 7 };
    let [alone, averaged] = [Fitted::Best, Fitted::Averaged].map(|by| covered(world, by, 60, 20, 60).lift.unwrap());
    assert!(averaged >= 0.7 && alone <= 0.4, "{alone} {averaged}");
}

#[test]
#[ignore = "minutes: make test-long"]
fn coverage_over_many_shops() {
    println!("     table              demand   fitted                                own    cross     lift  refused");
    let two = WEEKS.map(|weeks| (2, weeks));
    for (products, weeks) in two.into_iter().chain([(7, 60), (7, 120)]) {
        for truth in [Truth::Logit, Truth::LogLog] {
            let world = World { truth, products };
            for form in [LEAST_SQUARES, LIKELIHOOD, Form::LogLog] {
                let found = covered(world, Fitted::Given(form), weeks, 1000, 200);
                println!("{}", line(world, Fitted::Given(form), weeks, &found));
                if (truth == Truth::LogLog) == form.is_log_log() {
                    // The promise, and two standard errors of so many shops.
                    let promised = 0.93 - 0.014..0.97 + 0.011;
                    assert!(promised.contains(&found.own), "outside");
                    assert!(form != Form::LogLog || promised.contains(&found.cross), "outside");
                    assert!(found.lift.unwrap() >= 0.93 - 0.029, "outside");
                }
            }
            for by in [Fitted::Best, Fitted::Averaged] {
                let found = covered(world, by, weeks, 200, 100);
                println!("{}", line(world, by, weeks, &found));
                // Of seven products, whose cross effects are shrunk, and forms are told apart wrongly, it is less.
                let promised = if products == 2 { 0.93 - 0.029 } else { 0.75 };
                assert!(matches!(by, Fitted::Best) || found.lift.unwrap() >= promised, "outside");
            }
        }
    }
}
