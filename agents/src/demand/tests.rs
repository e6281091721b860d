use super::*;

/// Expected sales of a known demand, so that the likelihood's optimum is that demand.
fn market(b: [f64; 2], g: f64) -> Sales {
    let mut sales = Sales { names: vec!["x".into(), "y".into()], ..Sales::default() };
    for t in 0..60 {
        let wave = |f: f64| (f64::from(t) * f).sin();
        let prices = vec![1.0 + 0.3 * wave(1.3), 2.0 + 0.5 * wave(0.7)];
        let displays = vec![0.5 + 0.5 * wave(2.1), 0.5 + 0.5 * wave(3.7)];
        let w: Vec<f64> = (0..2).map(|k| (1.0 + k as f64 - b[k] * prices[k] + g * displays[k]).exp()).collect();
        let sum = 1.0 + w[0] + w[1];
        sales.units.push(w.iter().map(|w| 1000.0 * w / sum).collect());
        sales.prices.push(prices);
        sales.displays.push(displays);
        sales.customers.push(1000.0);
    }
    sales
}

#[test]
fn both_methods_find_a_known_demand() {
    let sales = market([1.5, 0.8], 0.4);
    for method in [Method::LeastSquares, Method::Likelihood] {
        let fit = fit(&sales, method, PriceEffect::ByProduct).unwrap();
        let found =
            [fit.intercepts[0], fit.intercepts[1], fit.price_effects[0], fit.price_effects[1], fit.display_effect];
        for (found, true_value) in found.iter().zip([1.0, 2.0, 1.5, 0.8, 0.4]) {
            assert!((found.value - true_value).abs() < 1e-7, "{method:?}: {found:?} {true_value}");
        }
        assert!(fit.remarks.is_empty());
    }
}

#[test]
fn wrong_signs_are_remarked_and_what_cannot_be_known_is_refused() {
    let fit_all = |sales: &Sales| fit(sales, Method::Likelihood, PriceEffect::ByProduct);
    let upward = fit_all(&market([-0.5, 0.8], -0.4)).unwrap();
    assert_eq!(upward.remarks.len(), 2, "{:?}", upward.remarks);
    let mut flat = market([1.0, 1.0], 0.1);
    flat.prices.iter_mut().for_each(|p| p[1] = 2.0);
    let error = fit_all(&flat).unwrap_err().to_string();
    assert!(error.contains("the price of y never moves"), "{error}");
    flat.units.iter_mut().for_each(|u| u[0] = 0.0);
    assert!(matches!(fit_all(&flat), Err(DemandError::NeverBought(n)) if n == "x"));
}

/// Weeks of one product or more: units and prices `[weeks][products]`, a hundred customers.
fn table(names: &[&str], units: &[&[f64]], prices: &[&[f64]]) -> Sales {
    let lists = |all: &[&[f64]]| all.iter().map(|week| week.to_vec()).collect::<Vec<_>>();
    Sales {
        names: names.iter().map(|n| String::from(*n)).collect(),
        units: lists(units),
        prices: lists(prices),
        displays: vec![vec![0.0; names.len()]; units.len()],
        customers: vec![100.0; units.len()],
        ..Sales::default()
    }
}

/// One product.
fn single(units: &[f64], prices: &[f64]) -> Sales {
    let each = |list: &[f64]| list.iter().map(|x| vec![*x]).collect::<Vec<_>>();
    let mut sales = table(&["a"], &[], &[]);
    (sales.units, sales.prices) = (each(units), each(prices));
    sales.displays = vec![vec![0.0]; units.len()];
    sales.customers = vec![100.0; units.len()];
    sales
}

#[test]
fn a_likelihood_that_rises_for_ever_is_refused_by_name() {
    let prices = [2.0, 2.0, 3.0, 2.0, 3.0, 2.0, 3.0, 2.0];
    let sold = [30.0, 28.0, 0.0, 33.0, 0.0, 31.0, 0.0, 29.0];
    // Sold at one price only and never at another; sold at high prices only; one price at which it was both (two prices,
    // quasi-complete); never sold at either of two higher prices.
    let both = [30.0, 28.0, 0.0, 33.0, 0.0, 31.0, 0.0, 0.0];
    let upward = prices.map(|p| 5.0 - p);
    let three = [2.0, 2.0, 3.0, 2.0, 4.0, 2.0, 3.0, 2.0];
    for (units, prices) in [(sold, prices), (sold, upward), (both, prices), (sold, three)] {
        for effect in [PriceEffect::Common, PriceEffect::ByProduct] {
            for scale in [1.0, 1e-6, 1e6] {
                let sales = single(&units, &prices.map(|p| p * scale));
                let error = fit(&sales, Method::Likelihood, effect).unwrap_err();
                assert!(matches!(&error, DemandError::Separated { names, .. } if names[..] == ["a"]), "{error}");
                assert!(error.to_string().contains("as in week 3: the likelihood rises for ever"), "{error}");
                let error = fit(&sales, Method::LeastSquares, effect).unwrap_err().to_string();
                assert!(error.contains("week 3: no sales of a"), "{error}");
            }
        }
    }
    // Sold at one price and at neither side of it, or once at the higher price: there is a best answer.
    for (units, prices) in
        [(sold, [2.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0]), ([30.0, 28.0, 0.0, 33.0, 1.0, 31.0, 0.0, 29.0], prices)]
    {
        let fit = fit(&single(&units, &prices), Method::Likelihood, PriceEffect::ByProduct).unwrap();
        assert!(fit.price_effects[0].error > 0.1, "{fit:?}");
    }
}

#[test]
fn separation_is_found_where_several_coefficients_play_together() {
    let fit_as = |sales: &Sales, effect| fit(sales, Method::Likelihood, effect);
    // b is separated by its own price; a common effect is held by a's sales.
    let a = [30.0, 20.0, 28.0, 19.0, 31.0, 22.0, 30.0, 21.0];
    let b = [9.0, 0.0, 8.0, 0.0, 9.0, 0.0, 7.0, 0.0];
    let units: Vec<Vec<f64>> = a.iter().zip(b).map(|(a, b)| vec![*a, b]).collect();
    let price = |t: usize| 2.0 + f64::from(u8::from(t % 2 == 1));
    let prices: Vec<Vec<f64>> = (0..8).map(|t| vec![price(t), price(t)]).collect();
    let lists = |all: &[Vec<f64>]| all.iter().map(Vec::as_slice).map(<[f64]>::to_vec).collect::<Vec<_>>();
    let mut sales = table(&["a", "b"], &[], &[]);
    (sales.units, sales.prices) = (lists(&units), lists(&prices));
    (sales.displays, sales.customers) = (vec![vec![0.0; 2]; 8], vec![100.0; 8]);
    let error = fit_as(&sales, PriceEffect::ByProduct).unwrap_err();
    assert!(matches!(&error, DemandError::Separated { names, .. } if names[..] == ["b"]), "{error}");
    assert!(error.to_string().contains("price_effect = \"common\""), "{error}");
    assert!(fit_as(&sales, PriceEffect::Common).is_ok());
    // Sold only on display, whatever its price.
    let mut shown = single(&sold_on_display(), &[2.0, 3.0, 2.0, 3.0, 2.5, 2.0, 3.0, 2.5]);
    shown.displays = (0..8).map(|t| vec![f64::from(u8::from(t % 4 < 2))]).collect();
    for effect in [PriceEffect::Common, PriceEffect::ByProduct] {
        let error = fit_as(&shown, effect).unwrap_err();
        assert!(matches!(&error, DemandError::Separated { names, .. } if names[..] == ["a"]), "{error}");
    }
    // Price and display together: sold where their sum is low, though neither alone tells.
    let mut sum = single(&[9.0, 0.0, 8.0, 0.0, 7.0, 9.0, 0.0, 8.0], &[1.0, 2.0, 2.0, 3.0, 3.0, 1.0, 2.5, 2.0]);
    sum.displays = [0.0, 0.0, 0.5, 0.5, 1.0, 0.0, 0.5, 0.5].iter().map(|d| vec![*d]).collect();
    let error = fit_as(&sum, PriceEffect::ByProduct).unwrap_err();
    assert!(matches!(error, DemandError::Separated { .. }), "{error}");
}

fn sold_on_display() -> [f64; 8] {
    [9.0, 7.0, 0.0, 0.0, 8.0, 9.0, 0.0, 0.0]
}

#[test]
fn columns_that_say_nothing_are_refused_by_name() {
    let told = |sales: &Sales, effect| {
        let all = [Method::LeastSquares, Method::Likelihood].map(|m| fit(sales, m, effect).unwrap_err().to_string());
        assert_eq!(all[0], all[1]);
        all[0].clone()
    };
    let good = market([1.5, 0.8], 0.4);
    let mut flat = good.clone();
    flat.prices.iter_mut().for_each(|p| p[1] = 0.3);
    assert!(told(&flat, PriceEffect::ByProduct).contains("the price of y never moves"));
    assert!(fit(&flat, Method::Likelihood, PriceEffect::Common).is_ok());
    flat.prices.iter_mut().for_each(|p| p[0] = 0.1 + 0.2);
    assert!(told(&flat, PriceEffect::Common).contains("the price of x, y never moves"));
    let mut shown = good.clone();
    shown.displays.iter_mut().for_each(|d| d.copy_from_slice(&[1.0, 0.5]));
    assert!(told(&shown, PriceEffect::Common).contains("displays of x, y never change"));
    let mut together = good.clone();
    for (displays, prices) in together.displays.iter_mut().zip(&together.prices) {
        *displays = vec![(2.0 - prices[0]) / 2.0, (4.0 - prices[1]) / 5.0];
    }
    assert!(told(&together, PriceEffect::ByProduct).contains("displays and the prices of x, y move together"));
    // Two products whose prices move as one are no trouble.
    let mut twins = good.clone();
    twins.prices.iter_mut().for_each(|p| p[1] = p[0]);
    assert!(fit(&twins, Method::Likelihood, PriceEffect::ByProduct).is_ok());
    let mut few = good.clone();
    few.units.truncate(5);
    few.customers.truncate(5);
    few.prices.truncate(5);
    few.displays.truncate(5);
    let error = told(&few, PriceEffect::ByProduct);
    assert!(error.contains("5 weeks are too few for 5 coefficients") && error.contains("at least 6"), "{error}");
    let mut untrue = good;
    untrue.units[3][1] = f64::NAN;
    assert!(told(&untrue, PriceEffect::Common).starts_with("week 4: units of y is NaN"));
    untrue.units[3][1] = 2000.0;
    untrue.labels = (1..=60).map(|t| format!("line {}, week {}", t + 1, t + 100)).collect();
    assert!(told(&untrue, PriceEffect::Common).starts_with("line 5, week 104:"));
}

#[test]
fn units_of_prices_change_only_their_coefficients() {
    let mut sales = market([1.5, 0.8], 0.4);
    sales.units.iter_mut().flatten().for_each(|u| *u = u.round());
    for method in [Method::LeastSquares, Method::Likelihood] {
        let one = fit(&sales, method, PriceEffect::ByProduct).unwrap();
        for scale in [1e-6, 100.0, 1e8] {
            let mut other = sales.clone();
            other.prices.iter_mut().flatten().for_each(|p| *p *= scale);
            let other = fit(&other, method, PriceEffect::ByProduct).unwrap();
            let same = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-6, "{method:?} {scale}: {a} {b}");
            for k in 0..2 {
                same(one.price_effects[k].value, other.price_effects[k].value * scale);
                same(one.price_effects[k].error, other.price_effects[k].error * scale);
                same(one.intercepts[k].error, other.intercepts[k].error);
                same(one.elasticities[k].value, other.elasticities[k].value);
                same(one.elasticities[k].error, other.elasticities[k].error);
            }
        }
        // −b p (1 − s) by hand, from a market whose b is known.
        let share = sales.units.iter().map(|u| u[0]).sum::<f64>() / 60_000.0;
        let price = sales.prices.iter().map(|p| p[0]).sum::<f64>() / 60.0;
        assert!((one.elasticities[0].value + 1.5 * price * (1.0 - share)).abs() < 0.01, "{:?}", one.elasticities);
    }
}

#[test]
fn what_weeks_fit_exactly_still_has_the_error_of_luck() {
    // Two prices, the same sales at each: no week differs from what is expected.
    let prices = [2.0, 3.0, 2.0, 3.0, 2.0, 3.0, 2.0, 3.0];
    let sales = single(&prices.map(|p| if p < 2.5 { 40.0 } else { 20.0 }), &prices);
    for method in [Method::LeastSquares, Method::Likelihood] {
        let b = fit(&sales, method, PriceEffect::ByProduct).unwrap().price_effects[0];
        // The logarithm of an odds ratio, whose variance is the sum of 1/cells.
        let cells = [160.0f64, 240.0, 80.0, 320.0];
        let value = (cells[0] / cells[1] / cells[2] * cells[3]).ln();
        let error: f64 = cells.iter().map(|c| 1.0 / c).sum::<f64>().sqrt();
        assert!((b.value - value).abs() < 1e-9 && (b.error - error).abs() < 1e-9, "{method:?}: {b:?} {value} {error}");
    }
}

#[test]
fn digits_follow_the_error() {
    for (value, error, text) in [
        (1.5, 0.0234, "1.500 ± 0.023"),
        (0.012345, 0.000456, "0.01235 ± 0.00046"),
        (-0.25, 0.1, "-0.250 ± 0.100"),
        (2.0, 0.0996, "2.00 ± 0.10"),
        (12345.6, 78.0, "12346 ± 78"),
        (0.0000012346, 0.0000000456, "1.235e-6 ± 4.6e-8"),
        (1.2346e9, 4.5e7, "1.235e9 ± 4.5e7"),
        (0.00001, 0.2, "0.0000100 ± 0.2000000"),
        (0.0, 0.034, "0.000 ± 0.034"),
        (0.0, 0.0, "0"),
        (29.4, 311.0, "29.4 ± 311.0"),
    ] {
        assert_eq!(Estimate { value, error }.to_string(), text);
    }
    assert_eq!(format!("{:>8}|", Estimate { value: 1.0, error: 0.0 }), "    1.00|");
}

/// Whatever a table holds, there are estimates that make sense, or an error with a name.
#[test]
fn any_table_is_estimated_or_refused() {
    let mut state = 1u64;
    let mut below = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let (mut estimated, mut refused) = (0, 0);
    for case in 0..150 {
        let (n, weeks) = (1 + below(3) as usize, 2 + below(20) as usize);
        let scale = 10f64.powi(below(25) as i32 - 12);
        let customers = 10f64.powi(2 + below(10) as i32);
        let (levels, zeros, share, shown, twins) = (1 + below(4), below(4), below(4), below(4), below(4));
        let names = ["alder", "birch", "cedar"][..n].iter().map(|s| String::from(*s)).collect();
        let mut sales = Sales { names, ..Sales::default() };
        for _ in 0..weeks {
            let mut prices: Vec<f64> = (0..n).map(|k| (1.0 + k as f64 + below(levels) as f64) * scale).collect();
            if twins == 0 {
                prices = vec![prices[0]; n];
            }
            let most = [1.0, 5.0, 0.3 * customers, customers / n as f64][share as usize];
            let unit = |r: u64| (most * r as f64 / 1000.0).floor().max(f64::from(u8::from(zeros == 0)));
            sales.units.push((0..n).map(|_| unit(below(if zeros == 1 { 1000 } else { 999 }))).collect());
            sales.displays.push(match shown {
                0 => vec![1.0; n],
                1 => (0..n).map(|_| below(2) as f64).collect(),
                2 => prices.iter().map(|p| 1.0 - p / scale / 8.0).collect(),
                _ => vec![0.0; n],
            });
            sales.prices.push(prices);
            sales.customers.push(customers);
        }
        for method in [Method::LeastSquares, Method::Likelihood] {
            for effect in [PriceEffect::Common, PriceEffect::ByProduct] {
                match fit(&sales, method, effect) {
                    Ok(fit) => {
                        estimated += 1;
                        let all = [&fit.intercepts[..], &fit.price_effects, &fit.elasticities].concat();
                        for e in all {
                            assert!(e.value.is_finite() && e.error.is_finite() && e.error > 0.0, "{case}: {fit:?}");
                            assert!(!e.to_string().contains("NaN"), "{e}");
                        }
                        assert!(fit.quality.is_finite() && fit.gradient.is_finite(), "{case}: {fit:?}");
                    }
                    Err(error) => {
                        refused += 1;
                        let told = error.to_string();
                        assert!(sales.names.iter().any(|n| told.contains(n.as_str())), "{case}: {told}");
                        assert!(!matches!(error, DemandError::Unsettled { .. }), "{case}: {told} {sales:?}");
                    }
                }
            }
        }
    }
    assert!(estimated > 50 && refused > 50, "{estimated} estimated, {refused} refused");
}

/// What is absent in some weeks is fitted by the weeks in which it is there: the same as by hand from the definition of
/// the objective.
#[test]
fn choice_sets_may_differ_by_week() {
    let mut full = market([1.0, 1.5], 0.0);
    full.displays.iter_mut().flatten().for_each(|d| *d = 0.0);
    let weeks = full.customers.len();
    let mut sales = full.clone();
    sales.absent = (0..weeks).map(|t| vec![t.is_multiple_of(3), t % 4 == 1]).collect();
    let there = |t: usize, k: usize| !(if k == 0 { t.is_multiple_of(3) } else { t % 4 == 1 });
    for k in 0..2 {
        let of: Vec<f64> = (0..weeks).filter(|t| there(*t, k)).map(|t| full.prices[t][k]).collect();
        let mean = of.iter().sum::<f64>() / of.len() as f64;
        for t in (0..weeks).filter(|t| !there(*t, k)) {
            (sales.prices[t][k], sales.units[t][k]) = (mean, 0.0);
        }
    }
    for method in [Method::Likelihood, Method::LeastSquares] {
        let found = fit(&sales, method, PriceEffect::ByProduct).unwrap();
        let (a, b): (Vec<f64>, Vec<f64>) =
            (0..2).map(|k| (found.intercepts[k].value, found.price_effects[k].value)).unzip();
        // The gradient of each estimator's objective, over what is there.
        let mut slope = [0.0; 4];
        for t in 0..weeks {
            let u = |k: usize| a[k] - b[k] * sales.prices[t][k];
            let sum = 1.0 + (0..2).filter(|k| there(t, *k)).map(|k| u(k).exp()).sum::<f64>();
            let outside = sales.customers[t] - sales.units[t].iter().sum::<f64>();
            for k in (0..2).filter(|k| there(t, *k)) {
                let off = match method {
                    Method::Likelihood => sales.units[t][k] / sales.customers[t] - u(k).exp() / sum,
                    Method::LeastSquares => (sales.units[t][k] / outside).ln() - u(k),
                };
                slope[k] += off;
                slope[2 + k] += off * sales.prices[t][k];
            }
        }
        assert!(slope.iter().all(|x| x.abs() < 1e-6), "{method:?} {slope:?}");
    }
    let form = models::Form::Logit(Method::Likelihood, PriceEffect::ByProduct);
    let model = form.fit(&sales, &vec![0.0; weeks], weeks, false).unwrap();
    let draws = models::draws(&*model, &sales, &vec![0.0; weeks], 20, 1);
    assert!(draws.len() == 20 && draws.iter().all(|d| d.price_effects.iter().all(|b| b.is_finite())));
}

/// Each week the same in four shops: no more is known than from one of them.
#[test]
fn errors_of_several_shops_are_clustered() {
    let mut single = market([1.0, 1.5], 0.5);
    for (t, units) in single.units.iter_mut().enumerate() {
        let luck = |k: usize| 1.0 + 0.3 * ((7 * t + 3 * k) as f64 * 1.9).sin();
        units.iter_mut().enumerate().for_each(|(k, u)| *u *= luck(k));
    }
    let mut copies = Sales { names: single.names.clone(), ..Sales::default() };
    for t in 0..single.customers.len() {
        for shop in 0..4 {
            copies.units.push(single.units[t].clone());
            copies.prices.push(single.prices[t].clone());
            copies.displays.push(single.displays[t].clone());
            copies.customers.push(single.customers[t]);
            copies.shops.push(shop);
        }
        copies.begins.push(4 * t);
    }
    let error = |sales: &Sales| fit(sales, Method::LeastSquares, PriceEffect::Common).unwrap().price_effects[0];
    let (all, one) = (error(&copies), error(&single));
    assert!((all.value / one.value - 1.0).abs() < 1e-9 && (all.error / one.error - 1.0).abs() < 1e-6, "{all} {one}");
    let unaware = error(&Sales { shops: Vec::new(), begins: Vec::new(), ..copies });
    assert!((unaware.error / one.error - 0.5).abs() < 1e-6, "{unaware} {one}");
}
