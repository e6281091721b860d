use super::super::{Demand, RetailSettings, Sales};
use super::*;
use crate::pricing::rules::{Gap, Promotion, RuleSettings};
use agon_core::rng::Stream;
use agon_core::{Env, Rng};

/// A small market with rules; of every kind.
fn market(rng: &mut Rng) -> RetailSettings {
    let (n, weeks) = (1 + rng.below(2) as usize, 2 + rng.below(3) as usize);
    let mut numbers = |count: usize, low: f64, high: f64| -> Vec<f64> {
        (0..count).map(|_| low + (high - low) * f64::from(rng.below(1000)) / 1000.0).collect()
    };
    let log_log = numbers(1, 0.0, 1.0)[0] < 0.3;
    let mut elasticities: Vec<Vec<f64>> = (0..n).map(|_| numbers(n, -0.2, 0.6)).collect();
    elasticities.iter_mut().enumerate().for_each(|(k, row)| row[k] = numbers(1, -4.0, -1.3)[0]);
    let which = numbers(6, 0.0, 1.0);
    let gap = Gap { dearer: "p0".into(), cheaper: "p1".into(), gap: numbers(1, 0.0, 0.5)[0] };
    let weeks_of = vec![true, false, false];
    let promotion = Promotion { product: "p0".into(), weeks: weeks_of, promoted: 1.2, regular: 1.0 };
    let ladders = (0..n).map(|_| numbers(4, 0.6, 2.0)).collect();
    let rules = RuleSettings {
        max_change: (which[0] < 0.7).then(|| numbers(1, 0.03, 0.5)[0]),
        cooldown: if which[1] < 0.5 { 0 } else { (6.0 * which[1]) as u32 - 2 },
        min_margin: (which[2] < 0.3).then(|| numbers(1, 0.05, 0.4)[0]),
        ladders: if which[3] < 0.3 { ladders } else { Vec::new() },
        endings: if which[3] > 0.8 { vec![0.25, 0.49, 0.99] } else { Vec::new() },
        gaps: if which[4] < 0.5 && n == 2 { vec![gap] } else { Vec::new() },
        promotions: if which[5] < 0.2 { vec![promotion] } else { Vec::new() },
        ..RuleSettings::default()
    };
    let periods = [None, None, None, Some(2 * weeks as u32), Some(weeks as u32 - 1), Some(weeks as u32 + 1)];
    RetailSettings {
        names: (0..n).map(|k| format!("p{k}")).collect(),
        demand: if log_log { Demand::LogLog } else { Demand::Logit },
        intercepts: if log_log { numbers(n, -6.0, -4.0) } else { numbers(n, -1.0, 3.0) },
        price_effects: numbers(n, 0.5, 4.0),
        elasticities: if log_log { elasticities } else { Vec::new() },
        display_effects: vec![0.0; n],
        low: vec![0.5; n],
        high: vec![2.0; n],
        costs: (0..weeks).map(|_| numbers(n, 0.2, 0.9)).collect(),
        displays: vec![vec![0.0; n]; weeks],
        customers: numbers(weeks, 100.0, 900.0),
        sales: Sales::Expected,
        rules: Some(rules),
        periods: periods[(numbers(1, 0.0, 6.0)[0]) as usize],
        ..RetailSettings::default()
    }
}

/// The most that wanted prices of a lattice earn from a week on, as the market charges them.
fn most(shop: &Retail, row: usize, left: usize, prices: &[f64], since: &[u32], lattice: &[f64]) -> f64 {
    if left == 0 {
        return 0.0;
    }
    let (n, mut best) = (shop.demand.len(), NEVER);
    let (mut now, mut room) = (Vec::new(), Room::default());
    for wanted in 0..lattice.len().pow(n as u32) {
        shop.now(row, None, prices, since, &mut now);
        let mut charged: Vec<f64> =
            (0..n).map(|k| lattice[wanted / lattice.len().pow(k as u32) % lattice.len()]).collect();
        shop.project(row, &mut now, &mut charged, &mut room);
        let mut aged = since.to_vec();
        shop.age(&mut aged, &now, &charged);
        let week = shop.week(row, &shop.demand);
        let earned = week.customers * shop.demand.form.profit(week, &charged);
        let next = (row + 1) % shop.settings.customers.len();
        best = best.max(earned + most(shop, next, left - 1, &charged, &aged, lattice));
    }
    best
}

fn mean_most(shop: &Retail, paths: f64) -> f64 {
    let (n, weeks, periods) = (shop.demand.len(), shop.settings.customers.len(), shop.periods() as usize);
    let steps = paths.powf(1.0 / (n * periods) as f64).max(2.0) as usize;
    let lattice: Vec<f64> = (0..steps).map(|i| 0.5 + 1.5 * i as f64 / (steps - 1) as f64).collect();
    let since = vec![shop.cooldown(); if shop.cooldown() > 0 { n } else { 0 }];
    let all = (0..weeks).map(|first| most(shop, first, periods, &vec![0.0; n], &since, &lattice));
    all.sum::<f64>() / weeks as f64
}

fn unlinked(shop: &Retail) -> f64 {
    let rules = RuleSettings { max_change: None, cooldown: 0, ..shop.settings.rules.clone().unwrap() };
    Retail::new(RetailSettings { rules: Some(rules), ..shop.settings.clone() }).unwrap().bound().unwrap()
}

/// No prices that a small market with rules charges earn more than its bound.
#[test]
fn no_path_of_prices_earns_more_than_the_bound() {
    let (mut tried, mut tighter) = (0, 0);
    for seed in 0..2500 {
        let mut rng = Rng::new(seed, Stream::Env, 0);
        let Ok(shop) = Retail::new(market(&mut rng)) else { continue };
        let best = mean_most(&shop, 400.0);
        let Some(bound) = shop.bound() else { panic!("seed {seed}: no bound of {best}, {:?}", shop.settings) };
        assert!(best <= bound + 1e-7 * bound.abs(), "seed {seed}: {best} is more than {bound}, {:?}", shop.settings);
        tried += 1;
        tighter += usize::from(bound < unlinked(&shop) * (1.0 - 1e-4));
    }
    assert!(tried > 2000 && tighter > 300, "{tried} markets, {tighter} bounds are below those of single weeks");
}

fn long(rules: RuleSettings) -> Retail {
    let costs = (0..60).map(|t| (0..3).map(|k| [0.5, 0.9, 0.6, 1.1][(t + k) % 4]).collect()).collect();
    let customers = (0..60).map(|t| 800.0 + f64::from(t % 7) * 50.0).collect();
    let displays = vec![vec![0.0; 3]; 60];
    let settings = RetailSettings { costs, customers, displays, rules: Some(rules), ..RetailSettings::default() };
    Retail::new(RetailSettings { sales: Sales::Expected, ..settings }).unwrap()
}

/// Rules that hold nothing back leave the optimum.
#[test]
fn the_bound_is_the_optimum_where_rules_do_not_bind() {
    let shop = long(RuleSettings { max_change: Some(50.0), ..RuleSettings::default() });
    let free = Retail::new(RetailSettings { rules: None, ..shop.settings.clone() }).unwrap();
    let [bound, optimum] = [shop.bound().unwrap(), free.optimum().unwrap()];
    assert!((bound / optimum - 1.0).abs() < 1e-9, "{bound} {optimum}");
}

/// Where rules bind, the bound is below that of single weeks, and within a per cent of what some prices earn.
#[test]
fn the_bound_is_near_the_best_path_known() {
    let ladder = vec![1.0, 1.3, 1.6, 1.9, 2.2, 2.5, 2.8];
    for rules in [
        RuleSettings { max_change: Some(0.04), ..RuleSettings::default() },
        RuleSettings { cooldown: 6, ladders: vec![ladder; 3], ..RuleSettings::default() },
    ] {
        let shop = long(rules);
        let ([known, bound], loose) = (shop.linked().unwrap(), unlinked(&shop));
        assert!(known <= bound && bound < loose, "{known} {bound} {loose}");
        assert!(bound < 1.01 * known, "{known} {bound} {loose}");
    }
}

/// Gaps within a week are part of the bound, of either form: the best of all lists that keep them.
#[test]
fn the_bound_of_a_week_keeps_gaps() {
    let gaps = [(0, 1, 0.3), (1, 2, 0.1)].map(|(a, b, gap)| Gap {
        dearer: ["plain", "fine", "best"][a].into(),
        cheaper: ["plain", "fine", "best"][b].into(),
        gap,
    });
    let ladder: Vec<f64> = (0..24).map(|i| 0.8 + 0.1 * f64::from(i)).collect();
    let log_log = RetailSettings {
        demand: Demand::LogLog,
        intercepts: vec![-2.0, -2.5, -2.2],
        elasticities: vec![vec![-2.5, 0.3, 0.1], vec![0.2, -3.0, 0.2], vec![0.1, 0.0, -1.8]],
        ..RetailSettings::default()
    };
    for form in [RetailSettings::default(), log_log] {
        let rules = RuleSettings { gaps: gaps.to_vec(), ladders: vec![ladder.clone(); 3], ..RuleSettings::default() };
        let shop = Retail::new(RetailSettings { rules: Some(rules), ..form }).unwrap();
        let mut wanted = 0.0;
        for row in 0..shop.settings.customers.len() {
            let week = shop.week(row, &shop.demand);
            let all = (0..24 * 24 * 24).map(|i| [ladder[i % 24], ladder[i / 24 % 24], ladder[i / 576]]);
            let kept = all.filter(|p| p[0] >= p[1] + 0.3 - 1e-9 && p[1] >= p[2] + 0.1 - 1e-9);
            let best = kept.map(|p| shop.demand.form.profit(week, &p)).fold(NEVER, f64::max);
            wanted += week.customers * best;
        }
        let bound = shop.bound().unwrap();
        assert!((bound / wanted - 1.0).abs() < 1e-7, "{bound} {wanted}");
        // Any prices: not below the lists, and near what prices on a gap earn.
        let rules = RuleSettings { gaps: gaps.to_vec(), ..RuleSettings::default() };
        let settings = RetailSettings { rules: Some(rules), low: vec![0.8; 3], ..shop.settings.clone() };
        let any = Retail::new(settings).unwrap();
        let found = any.greedy();
        let bound = any.bound().unwrap();
        assert!(bound >= wanted && bound >= found && bound < 1.02 * found.max(wanted), "{wanted} {found} {bound}");
    }
}
