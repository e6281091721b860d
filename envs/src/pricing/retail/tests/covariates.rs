use super::*;

/// Covariates are added to utility in their week, and observed: once where they are the same for all products.
#[test]
fn covariates_move_demand_in_their_week() {
    let with = RetailSettings {
        covariate_names: vec!["feast".into(), "deal".into()],
        covariates: vec![vec![1.0, 0.0, 1.0, 0.5, 1.0, 0.0], vec![0.0; 6]],
        covariate_effects: vec![vec![0.3, 0.2]; 3],
        sales: Sales::Expected,
        ..RetailSettings::default()
    };
    let moved = RetailSettings { intercepts: vec![2.3, 1.9, 1.3], sales: Sales::Expected, ..RetailSettings::default() };
    let (with, moved) = (shop(with), shop(moved));
    let mut state = State { week: 0, ..start(&with) };
    let mut obs = vec![0f32; with.spec().obs_len()];
    with.observe(&state, &mut obs);
    assert_eq!(obs[7..], [1.0, 0.0, 0.5, 0.0]);
    assert_eq!(with.spec().obs_len(), moved.spec().obs_len() + 4);
    let mut other = State { week: 0, ..start(&moved) };
    week(&with, &mut state, [1.0, 1.5, 2.0]);
    week(&moved, &mut other, [1.0, 1.5, 2.0]);
    state.units.iter().zip(&other.units).for_each(|(a, b)| assert!((a - b).abs() < 1e-9 * b, "{a} {b}"));
    // The optimum knows them.
    let mut prices = [[0.0; 3]; 2];
    let [best, same] = [(&with, 0), (&moved, 1)].map(|(shop, i)| shop.best(0, &mut prices[i]));
    assert!((best - same).abs() < 1e-9 * best, "{best} {same}");
    prices[0].iter().zip(&prices[1]).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{a} {b}"));
    for (key, wrong) in [
        ("covariates", RetailSettings { covariates: vec![vec![1.0; 6]], ..with.settings.clone() }),
        ("covariates", RetailSettings { covariates: vec![vec![1.0; 5]; 2], ..with.settings.clone() }),
        ("covariate_effects", RetailSettings { covariate_effects: vec![vec![0.3]; 3], ..with.settings.clone() }),
        ("covariate_effects", RetailSettings { covariate_names: Vec::new(), ..with.settings.clone() }),
    ] {
        let told = Retail::new(wrong).err().unwrap().to_string();
        assert!(told.contains(key), "{key} in {told}");
    }
}

/// r (ln usual − ln price) of log-log demand, by hand; an episode begins with the reference price of its row.
#[test]
fn log_log_demand_may_depend_on_reference_prices() {
    let used = RetailSettings {
        sales: Sales::Expected,
        calendar_effects: Vec::new(),
        reference_effects: vec![0.5, -0.2, 0.0],
        reference_memory: 0.25,
        reference_prices: vec![vec![1.0, 2.0, 1.5], vec![3.0, 1.0, 1.5]],
        ..log_log()
    };
    let shop = shop(used.clone());
    let mut state = start(&shop);
    let first = state.week as usize;
    let mut usual = used.reference_prices[first].clone();
    for prices in [[1.2f32, 1.4, 2.0], [2.0, 1.0, 1.0]] {
        let row = state.week as usize;
        week(&shop, &mut state, prices);
        for k in 0..3 {
            let p = prices.map(f64::from);
            let logs: f64 = (0..3).map(|j| used.elasticities[k][j] * p[j].ln()).sum();
            let felt = used.reference_effects[k] * (usual[k] / p[k]).ln();
            let display = used.display_effects[k] * used.displays[row][k];
            let wanted = used.customers[row] * (used.intercepts[k] + logs + felt + display).exp();
            assert!((state.units[k] / wanted - 1.0).abs() < 1e-9, "{k}: {} {wanted}", state.units[k]);
            usual[k] = 0.25 * usual[k] + 0.75 * p[k];
        }
    }
    // Myopic prices are best for the week, whatever customers are used to.
    let mut best = vec![0.0; 3];
    let earned = shop.myopic(&state, &mut best);
    let profit = |prices: &[f64]| {
        let (form, _) = shop.tilted(&state).unwrap();
        form.profit(shop.week(state.week as usize, &shop.demand), prices)
    };
    assert!((earned - profit(&best)).abs() < 1e-12);
    for k in 0..3 {
        for by in [0.99, 1.01] {
            let mut near = best.clone();
            near[k] = (near[k] * by).clamp(used.low[k], used.high[k]);
            assert!(profit(&near) <= earned + 1e-12);
        }
    }
}

/// Draws without effects of their own of reference prices have the fitted one.
#[test]
fn drawn_demands_keep_the_fitted_effect_of_reference_prices() {
    let s = RetailSettings {
        reference_effect: 0.4,
        draws: 1,
        drawn_intercepts: vec![vec![2.0, 1.5, 1.0]],
        drawn_price_effects: vec![vec![1.0; 3]],
        drawn_display_effects: vec![vec![0.5; 3]],
        ..RetailSettings::default()
    };
    let fitted = shop(RetailSettings { draws: 0, ..s.clone() });
    let drawn = shop(s);
    let (mut one, mut other) = (start(&fitted), start(&drawn));
    (one.week, other.week) = (0, 0);
    for prices in [[1.0, 1.5, 2.0], [2.0, 1.0, 1.5]] {
        assert_eq!(week(&fitted, &mut one, prices), week(&drawn, &mut other, prices));
    }
}
