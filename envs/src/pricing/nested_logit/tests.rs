use super::*;
use agon_core::rng::{Rng, Stream};

/// Four products, two nests or one and two products alone.
struct Case {
    demand: NestedLogit,
    costs: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
}

fn case(seed: u64) -> Case {
    let mut rng = Rng::new(seed, Stream::Env, 0);
    let mut list = |a: f64, z: f64| -> Vec<f64> { (0..4).map(|_| rng.range(a, z)).collect() };
    // Price effects that are far apart make several stationary points.
    let (intercepts, effects, costs) = (list(-1.0, 4.0), list(-1.2, 1.5), list(0.2, 1.5));
    let (low, wide, sigma) = (list(0.3, 1.2), list(0.5, 8.0), list(0.0, 0.97));
    let high = low.iter().zip(&wide).map(|(l, w)| l + w).collect();
    let price_effects = effects.iter().map(|x| x.exp()).collect();
    let logit = Logit { intercepts, price_effects, display_effects: vec![0.0; 4] };
    let second = if seed.is_multiple_of(2) { vec![2, 3] } else { vec![3] };
    let nests = vec![
        Nest { products: if seed.is_multiple_of(3) { vec![0, 2, 1] } else { vec![0, 1] }, correlation: sigma[0] },
        Nest { products: if seed.is_multiple_of(3) { vec![3] } else { second }, correlation: sigma[1] },
    ];
    Case { demand: NestedLogit::new(logit, nests), costs, low, high }
}

fn week(costs: &[f64]) -> Week<'_> {
    Week { costs, displays: &[0.0; 4], customers: 1.0, outside: 1.0, added: &[] }
}

/// By hand, from the formula.
#[test]
fn shares_are_mcfaddens() {
    let logit = Logit { intercepts: vec![1.0, 0.5, 0.2], price_effects: vec![1.0; 3], display_effects: vec![0.0; 3] };
    let demand = NestedLogit::new(logit, vec![Nest { products: vec![0, 2], correlation: 0.6 }]);
    let prices = [1.0, 1.2, 0.9];
    let week = Week { displays: &[0.0; 3], ..week(&[0.0; 3]) };
    let weights = demand.weights(week, &prices);
    let d = (0.0f64 / 0.4).exp() + (-0.7f64 / 0.4).exp();
    let wanted = [d.powf(-0.6), (-0.7f64).exp(), (-0.7f64 / 0.4).exp() * d.powf(-0.6)];
    (0..3).for_each(|k| assert!((weights[k] - wanted[k]).abs() < 1e-14, "{weights:?} {wanted:?}"));
}

#[test]
fn without_correlation_it_is_the_logit() {
    for seed in 0..20 {
        let Case { mut demand, costs, low, high } = case(seed);
        demand.nests.iter_mut().for_each(|nest| nest.correlation = 0.0);
        let (mut own, mut wanted) = ([0.0; 4], [0.0; 4]);
        let profit = demand.optimum(week(&costs), &low, &high, &mut own);
        let known = demand.logit.optimum(week(&costs), &low, &high, &mut wanted);
        let [nested, plain] = [demand.profit(week(&costs), &low), demand.logit.profit(week(&costs), &low)];
        assert!((nested - plain).abs() < 1e-14, "{nested} {plain}");
        if known > 0.0 {
            assert!((profit / known - 1.0).abs() < 1e-12, "{seed}: {profit} {known}");
            // Where next to nobody buys, a price is known less well, and matters less.
            let weights = demand.weights(week(&costs), &wanted);
            let near = |k: usize| (own[k] - wanted[k]).abs() < 1e-6 / weights[k].min(1.0);
            (0..4).for_each(|k| assert!(near(k), "{seed}: {own:?} {wanted:?}"));
        }
    }
}

/// No prices of a grid, nor those that a search from the best of them finds, earn more; the bound is met.
#[test]
fn no_prices_earn_more_than_the_optimum() {
    for seed in 0..60 {
        let Case { demand, costs, low, high } = case(seed);
        let week = week(&costs);
        let mut prices = [0.0; 4];
        let profit = demand.optimum(week, &low, &high, &mut prices);
        let bound = demand.bound_among(week, &low, &high, &[const { Vec::new() }; 4]);
        assert!((demand.profit(week, &prices) - profit).abs() < 1e-12);
        assert!((bound - profit).abs() <= 1e-9 * profit.abs(), "{seed}: {profit} {bound}");
        let at = |k: usize, i: usize| low[k] + (high[k] - low[k]) * i as f64 / 11.0;
        let grid =
            (0..12usize.pow(4)).map(|i| [at(0, i % 12), at(1, i / 12 % 12), at(2, i / 144 % 12), at(3, i / 1728)]);
        let (mut most, mut best) = (f64::NEG_INFINITY, [0.0; 4]);
        for point in grid {
            let earned = demand.profit(week, &point);
            if earned > most {
                (most, best) = (earned, point);
            }
        }
        // A search by halved steps along each axis.
        let mut step = 0.1;
        while step > 1e-9 {
            let before = most;
            for k in 0..4 {
                for by in [-step, step] {
                    let mut next = best;
                    next[k] = (next[k] + by * (high[k] - low[k])).clamp(low[k], high[k]);
                    let earned = demand.profit(week, &next);
                    if earned > most {
                        (most, best) = (earned, next);
                    }
                }
            }
            if most <= before {
                step *= 0.5;
            }
        }
        assert!(most <= profit + 1e-12 * profit.abs(), "{seed}: {most} at {best:?}, {profit} at {prices:?}");
        assert!(most >= profit - 1e-6 * profit.abs(), "{seed}: the search is no match: {most} {profit}");
    }
}

/// Of every choice from menus none earns more than the bound, which is met where each nest earns more than the value of a
/// customer, as where most buy nothing; a product without a menu is bounded, too.
#[test]
fn the_bound_of_menus_bounds() {
    let mut tight = 0;
    for seed in 0..60 {
        let Case { demand, mut costs, low, high } = case(seed);
        costs.iter_mut().zip(&low).for_each(|(c, l)| *c = c.min(0.9 * l));
        let week = Week { outside: 50.0, ..week(&costs) };
        let menu = |k: usize, len: usize| -> Vec<f64> {
            (0..len).map(|i| low[k] + (high[k] - low[k]) * (i as f64 + 0.3) / len as f64).collect()
        };
        let mut menus = [menu(0, 4), menu(1, 3), menu(2, 5), menu(3, 3)];
        let pick = |menus: &[Vec<f64>; 4], i: usize| {
            let [a, b, c] = [menus[0].len(), menus[1].len(), menus[2].len()];
            [menus[0][i % a], menus[1][i / a % b], menus[2][i / (a * b) % c], menus[3][i / (a * b * c)]]
        };
        let most_of = |menus: &[Vec<f64>; 4]| {
            let all = menus.iter().map(Vec::len).product();
            (0..all).map(|i| demand.profit(week, &pick(menus, i))).fold(f64::NEG_INFINITY, f64::max)
        };
        let (most, bound) = (most_of(&menus), demand.bound_among(week, &low, &high, &menus));
        assert!(most <= bound + 1e-12 * bound.abs(), "{seed}: {most} {bound}");
        tight += usize::from((bound - most).abs() < 1e-9 * most.abs());
        menus[1] = (0..400).map(|i| low[1] + (high[1] - low[1]) * i as f64 / 399.0).collect();
        let most = most_of(&menus);
        menus[1].clear();
        let bound = demand.bound_among(week, &low, &high, &menus);
        assert!(most <= bound + 1e-12 * bound.abs(), "{seed}: {most} {bound}");
    }
    assert!(tight >= 50, "{tight} of 60");
}

/// Prices that never change, of one week twice, are that week's; a held product keeps its own.
#[test]
fn fixed_prices_of_one_week_are_its_best() {
    for seed in 0..20 {
        let Case { demand, costs, low, high } = case(seed);
        let week = week(&costs);
        let mut one = [0.0; 4];
        let profit = demand.optimum(week, &low, &high, &mut one);
        let fixed = demand.best_fixed(&[week, week].into_iter(), &low, &high, &|_, _| None);
        assert!(demand.profit(week, &fixed) >= profit - 1e-9 * profit.abs(), "{seed}: {fixed:?} {one:?}");
        let held = |_: usize, k: usize| (k == 1).then_some(low[1]);
        let fixed = demand.best_fixed(&[week, week].into_iter(), &low, &high, &held);
        let ends = [low.clone(), [high[0], low[1], high[2], high[3]].to_vec()];
        let profit = demand.optimum(week, &ends[0], &ends[1], &mut one);
        let found = demand.profit(week, &[fixed[0], low[1], fixed[2], fixed[3]]);
        assert!(found >= profit - 1e-9 * profit.abs(), "{seed}: {fixed:?} {one:?}");
    }
}
