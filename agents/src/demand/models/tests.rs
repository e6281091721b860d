use super::super::{Method, PriceEffect, Sales, fit};
use super::logit::shares;
use super::*;
use agon_core::calendar::{YEAR, trend_and_season};
use agon_core::rng::{Rng, Stream};
use std::f64::consts::TAU;

/// Sales of a known logit: expected ones, moved week by week by noise in utility.
pub fn market(weeks: usize, effects: &[f64], noise: f64, seed: u64) -> Sales {
    let mut rng = Rng::new(seed, Stream::Env, 0);
    let n = effects.len();
    let mut sales = Sales { names: (0..n).map(|k| format!("p{k}")).collect(), ..Sales::default() };
    for t in 0..weeks {
        let prices: Vec<f64> = (0..n).map(|k| 2.0 + 0.3 * k as f64 + rng.range(-0.5, 0.5)).collect();
        let displays: Vec<f64> = (0..n).map(|k| if (t + k) % 4 == 0 { rng.f64() } else { 0.0 }).collect();
        let mut utility = |k: usize| 0.5 - effects[k] * prices[k] + 0.8 * displays[k] + noise * rng.normal();
        let utilities = (0..n).map(&mut utility).collect();
        sales.units.push(shares(utilities).into_iter().map(|s| (20_000.0 * s).round()).collect());
        sales.prices.push(prices);
        sales.displays.push(displays);
        sales.customers.push(20_000.0);
    }
    sales
}

/// The same coefficients as by the other route: accelerated descent and orthogonal factors on tensors.
#[test]
fn both_routes_to_a_logit_agree() {
    let sales = market(60, &[1.0, 1.5, 0.7], 0.3, 1);
    let numbers = vec![0.0; 60];
    for method in [Method::Likelihood, Method::LeastSquares] {
        for effect in [PriceEffect::Common, PriceEffect::ByProduct] {
            let wanted = fit(&sales, method, effect).unwrap();
            let own = Logit::new(&sales, &numbers, 60, effect, false).fit(&sales, &numbers, 60, method, None);
            let own = own.unwrap().coefficients();
            for k in 0..3 {
                assert!((own.intercepts[k] - wanted.intercepts[k].value).abs() < 1e-5, "{method:?} {own:?}");
                assert!((own.price_effects[k] - wanted.price_effects[k].value).abs() < 1e-5, "{method:?} {own:?}");
            }
            assert!((own.display_effects[0] - wanted.display_effect.value).abs() < 1e-5, "{method:?} {own:?}");
        }
    }
}

/// Without noise a log-log demand forecasts what a log-log shop sells, cross effects and season included.
#[test]
fn log_log_finds_a_log_log_demand() {
    let mut sales = market(150, &[1.0, 1.5], 0.0, 2);
    sales.displays = vec![vec![0.0; 2]; 150];
    let numbers: Vec<f64> = (0..150).map(f64::from).collect();
    for (t, units) in sales.units.iter_mut().enumerate() {
        let p = &sales.prices[t];
        let season = (0.2 * (TAU * t as f64 / YEAR).sin()).exp();
        *units = vec![900.0 * p[0].powf(-2.5) * p[1].powf(0.4) * season, 700.0 * p[1].powf(-1.5) * season];
    }
    let off = |calendar: bool| {
        let model = Form::LogLog.fit(&sales, &numbers, 110, calendar).unwrap();
        let (mut off, mut sold) = (0.0, 0.0);
        for t in 110..150 {
            for (e, u) in model.expected(Week::of(&sales, &numbers, t)).iter().zip(&sales.units[t]) {
                off += (e - u).abs();
                sold += u;
            }
        }
        off / sold
    };
    assert!(off(true) < 0.03, "{}", off(true));
    assert!(off(false) > 3.0 * off(true), "the season is not nothing: {}", off(false));
}

/// The spread of draws is the error that estimates have: it is compared with that over tables of the same shop.
#[test]
fn draws_spread_as_estimates_do() {
    let spread = |all: &[f64]| {
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (all.len() - 1) as f64).sqrt()
    };
    for method in [Method::LeastSquares, Method::Likelihood] {
        let (mut within, mut estimates) = (0.0, Vec::new());
        for seed in 0..60 {
            let sales = market(60, &[1.0, 1.5], 0.4, 100 + seed);
            estimates.push(fit(&sales, method, PriceEffect::ByProduct).unwrap().price_effects[0].value);
            if seed < 10 {
                let form = Form::Logit(method, PriceEffect::ByProduct);
                let again = || draws(&*form.fit(&sales, &[0.0; 60], 60, false).unwrap(), &sales, &[0.0; 60], 60, seed);
                let drawn = again();
                assert_eq!(drawn.len(), 60);
                assert_eq!(drawn, again(), "the same seed, the same draws");
                within += spread(&drawn.iter().map(|d| d.price_effects[0]).collect::<Vec<_>>()) / 10.0;
            }
        }
        let ratio = within / spread(&estimates);
        assert!((0.75..1.3).contains(&ratio), "{method:?}: {ratio}");
    }
}

/// A log-log shop's coefficients come back, as a market takes them: they sell as many units as were sold.
#[test]
fn log_log_coefficients_sell_what_was_sold() {
    let mut sales = market(200, &[1.0, 1.5], 0.0, 2);
    let mut rng = Rng::new(9, Stream::Env, 0);
    for (t, units) in sales.units.iter_mut().enumerate() {
        let p = &sales.prices[t];
        *units = vec![900.0 * p[0].powf(-2.5) * p[1].powf(0.4), 700.0 * p[1].powf(-1.5)];
        units.iter_mut().for_each(|u| *u *= (0.5 * rng.normal()).exp());
    }
    let numbers: Vec<f64> = (0..200).map(f64::from).collect();
    let found = Form::LogLog.fit(&sales, &numbers, 200, true).unwrap().coefficients();
    assert!((found.elasticities[0][0] + 2.5).abs() < 0.4 && (found.elasticities[1][1] + 1.5).abs() < 0.4, "{found:?}");
    let mut sold = [[0.0; 2]; 2];
    for (t, number) in numbers.iter().enumerate() {
        let now = trend_and_season(*number, found.middle);
        for (k, [expected, units]) in sold.iter_mut().enumerate() {
            let moved: f64 = (0..2).map(|j| found.elasticities[k][j] * sales.prices[t][j].ln()).sum();
            let season: f64 = found.calendar[k].iter().zip(now).map(|(e, x)| e * x).sum();
            let display = found.display_effects[k] * sales.displays[t][k];
            *expected += 20_000.0 * (found.intercepts[k] + moved + season + display).exp();
            *units += sales.units[t][k];
        }
    }
    for [expected, units] in sold {
        assert!((expected / units - 1.0).abs() < 1e-9, "{expected} {units}");
    }
    // e^(0.5 z) has a variance of e^0.25 − 1 beside its squared mean.
    assert!((found.dispersion[0] - (0.25f64.exp() - 1.0)).abs() < 0.12, "{found:?}");
}

/// In short tables of products that are alike, pooled effects are nearer to the truth; in long ones of products that are not,
/// each keeps its own.
#[test]
fn pooled_effects_are_nearer_where_data_are_few() {
    let off = |truth: &[f64], weeks: usize, effect: PriceEffect| -> f64 {
        let form = Form::Logit(Method::LeastSquares, effect);
        let table = |seed: u64| {
            let sales = market(weeks, truth, 0.5, 300 + seed);
            let found = form.fit(&sales, &vec![0.0; weeks], weeks, false).unwrap().coefficients().price_effects;
            found.iter().zip(truth).map(|(b, wanted)| (b - wanted).powi(2)).sum::<f64>()
        };
        (0..40).map(table).sum()
    };
    let alike = [0.9, 1.0, 1.1, 1.0, 1.2];
    let [own, pooled] = [PriceEffect::ByProduct, PriceEffect::Pooled].map(|effect| off(&alike, 15, effect));
    assert!(pooled < 0.5 * own, "{pooled} {own}");
    let apart = [0.3, 2.0, 1.0];
    let [own, pooled] = [PriceEffect::ByProduct, PriceEffect::Pooled].map(|effect| off(&apart, 200, effect));
    assert!((pooled / own - 1.0).abs() < 0.1, "{pooled} {own}");
}

/// Sales of a known nested logit, without noise: products 0 and 1 in one nest, others alone.
fn nested_market(weeks: usize, effects: &[f64], correlation: f64, seed: u64) -> Sales {
    let mut sales = market(weeks, effects, 0.0, seed);
    sales.nests = (0..effects.len()).map(|k| k.saturating_sub(1)).collect();
    for t in 0..weeks {
        let worth = |k: &usize| (0.5 - effects[*k] * sales.prices[t][*k] + 0.8 * sales.displays[t][*k]).exp();
        let mut weights: Vec<f64> = (0..effects.len()).map(|k| worth(&k)).collect();
        let scale = 1.0 - correlation;
        let within = [0, 1].map(|k| weights[k].powf(1.0 / scale));
        (0..2).for_each(|k| weights[k] = within[k] * (within[0] + within[1]).powf(scale - 1.0));
        let sum = 1.0 + weights.iter().sum::<f64>();
        sales.units[t] = weights.iter().map(|w| 20_000.0 * w / sum).collect();
    }
    sales
}

/// Coefficients of a nested logit come back, and so do they where a product is absent in some weeks; elasticities are the
/// differences of its expected sales.
#[test]
fn nested_logit_finds_a_nested_demand() {
    let truth = [1.0, 1.5, 0.7, 1.2];
    let mut sales = nested_market(60, &truth, 0.6, 3);
    let numbers: Vec<f64> = (0..60).map(f64::from).collect();
    for effect in [PriceEffect::ByProduct, PriceEffect::Pooled] {
        let model = Form::NestedLogit(effect).fit(&sales, &numbers, 60, false).unwrap();
        let found = model.coefficients();
        let pooled = effect == PriceEffect::Pooled;
        let close = |a: f64, b: f64| (a - b).abs() < if pooled { 0.1 } else { 1e-5 };
        assert!(close(found.nest_correlation.unwrap(), 0.6), "{found:?}");
        (0..4).for_each(|k| assert!(close(found.price_effects[k], truth[k]), "{found:?}"));
        (0..4).for_each(|k| assert!(close(found.intercepts[k], 0.5) || pooled, "{found:?}"));
        assert!(Errors::of(&*model, &sales, &numbers).is_some());
    }
    // At a constant week, whose shares are those of the whole table.
    let mut still = Sales { names: sales.names.clone(), nests: sales.nests.clone(), ..Sales::default() };
    let model = Form::NestedLogit(PriceEffect::ByProduct).fit(&sales, &numbers, 60, true).unwrap();
    let prices = vec![2.0, 2.2, 2.5, 2.6];
    let week = |prices: &[f64]| {
        let displays = [0.0; 4];
        model.expected(Week {
            absent: &[],
            prices,
            displays: &displays,
            covariates: &[],
            reference_prices: &[],
            customers: 1.0,
            number: 9.0,
        })
    };
    still.units.push(week(&prices));
    still.prices.push(prices.clone());
    still.customers.push(1.0);
    let mean = MeanWeek::of(&still);
    for k in 0..4 {
        for j in 0..4 {
            let moved = |by: f64| {
                let mut moved = prices.clone();
                moved[j] *= 1.0 + by;
                week(&moved)[k].ln()
            };
            let wanted = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let found = model.elasticity(&mean, k, j);
            assert!((found.value - wanted).abs() < 1e-6, "{k} {j}: {found:?} {wanted}");
            for (index, slope) in found.slopes {
                let mut by = vec![0.0; model.effects()];
                by[index] = 1e-5;
                let other = model.shifted(&by, &sales, &numbers, 60).elasticity(&mean, k, j).value;
                assert!(((other - found.value) / 1e-5 - slope).abs() < 1e-3 * slope.abs().max(1.0), "{k} {j} {index}");
            }
        }
    }
    // As it is where product 1 is not there.
    sales.absent = (0..60).map(|t| (0..4).map(|k| k == 1 && t % 3 == 0).collect()).collect();
    for t in (0..60).step_by(3) {
        let worth = |k: usize| (0.5 - truth[k] * sales.prices[t][k] + 0.8 * sales.displays[t][k]).exp();
        let sum = 1.0 + worth(0) + worth(2) + worth(3);
        sales.units[t] = [0, 1, 2, 3].map(|k| if k == 1 { 0.0 } else { 20_000.0 * worth(k) / sum }).to_vec();
        sales.displays[t][1] = 0.0;
    }
    let found = Form::NestedLogit(PriceEffect::ByProduct).fit(&sales, &numbers, 60, false).unwrap().coefficients();
    assert!((found.nest_correlation.unwrap() - 0.6).abs() < 1e-5, "{found:?}");
}

/// Where products of a nest are no closer than others, σ is 0, and the rest is the logit's; nests of one product have no σ.
#[test]
fn nested_logit_without_correlation_is_the_logit() {
    let mut at_the_end = 0;
    for seed in 0..8 {
        let mut sales = market(80, &[1.0, 1.5, 0.7], 0.3, 40 + seed);
        sales.nests = vec![0, 0, 1];
        let fit = |form: Form| form.fit(&sales, &[0.0; 80], 80, false).unwrap();
        let model = fit(Form::NestedLogit(PriceEffect::ByProduct));
        if let Some((_, Some(_))) = model.nest_correlation() {
            continue;
        }
        at_the_end += 1;
        let logit = fit(Form::Logit(Method::Likelihood, PriceEffect::ByProduct));
        let [own, wanted] = [&model, &logit].map(|model| model.coefficients());
        assert_eq!(own.nest_correlation, Some(0.0));
        for k in 0..3 {
            assert!((own.intercepts[k] - wanted.intercepts[k]).abs() < 1e-4, "{own:?} {wanted:?}");
            assert!((own.price_effects[k] - wanted.price_effects[k]).abs() < 1e-4, "{own:?} {wanted:?}");
        }
        let [own, wanted] = [&model, &logit].map(|m| Errors::of(&**m, &sales, &[0.0; 80]).unwrap());
        let error = |errors: &Errors| errors.interval(&Linear { value: 0.0, slopes: vec![(3, 1.0)] }).estimate.error;
        assert!((error(&own) / error(&wanted) - 1.0).abs() < 1e-4, "{} {}", error(&own), error(&wanted));
        let drawn = draws(&*model, &sales, &[0.0; 80], 5, 1);
        assert!(drawn.iter().all(|d| d.nest_correlation == Some(0.0)));
    }
    assert!(at_the_end > 0);
    let alone = Sales { nests: vec![0, 1, 2], ..market(80, &[1.0, 1.5, 0.7], 0.3, 1) };
    assert!(Form::NestedLogit(PriceEffect::Common).fit(&alone, &[0.0; 80], 80, false).is_none());
}

/// A shop that raises its price when demand is high: without instruments effects come out too small, with the costs that it
/// passes on they are right; the two-stage interval holds the truth as often as it says.
#[test]
fn instruments_find_effects_that_prices_hide() {
    let shop = |seed: u64| {
        let mut rng = Rng::new(seed, Stream::Env, 0);
        let mut sales = Sales { names: vec!["a".into(), "b".into()], ..Sales::default() };
        for _ in 0..150 {
            let week: Vec<[f64; 3]> = (0..2)
                .map(|k| {
                    let (shock, cost) = (0.4 * rng.normal(), rng.range(0.8, 1.6));
                    [shock, cost, 0.6 + f64::from(k) * 0.2 + 0.9 * cost + 0.5 * shock + 0.05 * rng.normal()]
                })
                .collect();
            let weights: Vec<f64> = week.iter().map(|[shock, _, price]| (1.0 + shock - 1.8 * price).exp()).collect();
            let sum = 1.0 + weights.iter().sum::<f64>();
            sales.units.push(weights.iter().map(|w| (1e5 * w / sum).round()).collect());
            sales.prices.push(week.iter().map(|w| w[2]).collect());
            sales.instruments.push(week.iter().map(|w| vec![w[1]]).collect());
            sales.displays.push(vec![0.0; 2]);
            sales.customers.push(1e5);
        }
        sales
    };
    let form = Form::Logit(Method::LeastSquares, PriceEffect::ByProduct);
    let numbers: Vec<f64> = (0..150).map(f64::from).collect();
    let (mut held, mut hidden, mut bias) = (0, 0, 0.0);
    for seed in 0..100 {
        let sales = shop(seed);
        let model = form.fit(&sales, &numbers, 150, false).unwrap();
        let errors = Errors::of(&*model, &sales, &numbers).unwrap();
        let found = errors.interval(&Linear::coefficient(&*model, model.own_effect(0)));
        held += usize::from(found.ends[0] <= 1.8 && 1.8 <= found.ends[1]);
        bias += (found.estimate.value - 1.8) / 100.0;
        let plain = Sales { instruments: Vec::new(), ..sales.clone() };
        let without = form.fit(&plain, &numbers, 150, false).unwrap();
        let errors = Errors::of(&*without, &plain, &numbers).unwrap();
        let found = errors.interval(&Linear::coefficient(&*without, without.own_effect(0)));
        hidden += usize::from(found.ends[1] < 1.8);
        assert!(strengths(&sales, &numbers, false).iter().all(|f| f.unwrap() > 50.0));
    }
    assert!((89..=100).contains(&held) && bias.abs() < 0.03, "{held} of 100, bias {bias}");
    assert!(hidden > 95, "{hidden} of 100 intervals without instruments lie below the truth");
    // A likelihood has no second stage.
    assert!(Form::Logit(Method::Likelihood, PriceEffect::Common).fit(&shop(1), &numbers, 150, false).is_none());
}
