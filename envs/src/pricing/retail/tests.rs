use super::*;

mod covariates;

fn shop(settings: RetailSettings) -> Retail {
    Retail::new(RetailSettings { sales: Sales::Expected, ..settings }).unwrap()
}

fn week(shop: &Retail, state: &mut State, prices: [f32; 3]) -> f32 {
    let (mut reward, mut rng) = ([0f32], Rng::new(0, Stream::Env, 0));
    shop.step(state, Actions::Continuous(&prices), &mut reward, &mut rng);
    reward[0]
}

fn start(shop: &Retail) -> State {
    let mut state = State::default();
    shop.reset(&mut state, &mut Rng::new(0, Stream::Env, 0));
    let carried = state.carried.map(|mut carried| {
        shop.carry.as_ref().unwrap().reset(&mut carried, 0);
        carried
    });
    State { week: 0, carried, ..state }
}

/// Each part by hand, on the first week of the default shop: 1000 customers, utilities a − p, no displays.
#[test]
fn what_carries_over_is_what_its_formula_says() {
    let share = |utilities: [f64; 3], outside: f64, k: usize| {
        utilities[k].exp() / (outside + utilities.iter().map(|u| u.exp()).sum::<f64>())
    };
    let base = [2.0 - 1.0, 1.5 - 1.0, 1.0 - 1.0];
    let plain = shop(RetailSettings::default());
    let mut state = start(&plain);
    week(&plain, &mut state, [1.0; 3]);
    assert!((state.units[0] - 1000.0 * share(base, 1.0, 0)).abs() < 1e-9 && state.carried.is_none());

    let few = shop(RetailSettings { stock: vec![100.0, 1e9, 1e9], ..Default::default() });
    let mut state = start(&few);
    week(&few, &mut state, [1.0; 3]);
    assert_eq!(state.units[0], 100.0);
    assert!((state.units[1] - 1000.0 * share(base, 1.0, 1)).abs() < 1e-9, "the others sell what they would");
    week(&few, &mut state, [1.0; 3]);
    assert_eq!(state.units[0], 0.0, "an empty shelf sells nothing");

    // Customers are used to 2.25, the middle of the range: 1.25 below it, at 0.4 a dollar.
    let used = RetailSettings { reference_effect: 0.4, reference_memory: 0.5, ..Default::default() };
    let used = shop(used);
    let mut state = start(&used);
    week(&used, &mut state, [1.0; 3]);
    assert!((state.units[0] - 1000.0 * share(base.map(|u| u + 0.5), 1.0, 0)).abs() < 1e-9);
    state.week = 0;
    week(&used, &mut state, [1.0; 3]);
    let halfway = 0.4 * (0.5 * (2.25 + 1.0) - 1.0);
    assert!((state.units[0] - 1000.0 * share(base.map(|u| u + halfway), 1.0, 0)).abs() < 1e-9, "half forgotten");

    let rivalled = RetailSettings { rival: Some(2.0), rival_prices: vec![1.0, 3.0], ..Default::default() };
    let rivalled = shop(rivalled);
    let mut state = start(&rivalled);
    week(&rivalled, &mut state, [1.0; 3]);
    assert!((state.units[0] - 1000.0 * share(base, 2.0, 0)).abs() < 1e-9, "e^(2 − 2) beside buying nothing");
    state.week = 0;
    week(&rivalled, &mut state, [1.0; 3]);
    let outside = 1.0 + (2.0f64 - 1.5).exp();
    assert!((state.units[0] - 1000.0 * share(base, outside, 0)).abs() < 1e-9, "it came half the way to 1");

    let calendar = RetailSettings {
        seasons: vec![0.3, 0.0],
        promotions: vec![false, true],
        regular_low: vec![1.5; 3],
        ..Default::default()
    };
    let calendar = shop(calendar);
    let mut state = start(&calendar);
    let settled = |state: &State| {
        let mut prices = [1.0, 2.0, 9.0];
        calendar.settle(state, ActionsMut::Continuous(&mut prices));
        prices
    };
    assert_eq!(settled(&state), [1.5, 2.0, 4.0], "who writes prices down writes those that are charged");
    week(&calendar, &mut state, [1.0; 3]);
    assert_eq!(state.prices, [1.5; 3], "no promotion this week");
    assert_eq!(settled(&state), [1.0, 2.0, 4.0]);
    let raised = base.map(|u| u - 0.5 + 0.3);
    assert!((state.units[0] - 1000.0 * share(raised, 1.0, 0)).abs() < 1e-9, "the season is in");
    week(&calendar, &mut state, [1.0; 3]);
    assert_eq!(state.prices, [1.0; 3], "but next week");
}

/// Over all weeks in which an episode can begin, myopic prices earn what is said to be the optimum.
#[test]
fn a_calendar_leaves_the_optimum_known() {
    let settings = RetailSettings {
        seasons: vec![0.3, -0.2, 0.1],
        promotions: vec![false, true],
        regular_low: vec![2.4; 3],
        rival: Some(1.0),
        rival_follows: 0.0,
        periods: Some(7),
        ..Default::default()
    };
    let shop = shop(settings);
    let mut earned = 0.0;
    for first in 0..2 {
        let mut state = start(&shop);
        state.week = first;
        shop.carry.as_ref().unwrap().reset(state.carried.as_mut().unwrap(), first);
        for _ in 0..7 {
            let mut prices = [0f32; 3];
            shop.play(4, &state, ActionsMut::Continuous(&mut prices));
            earned += f64::from(week(&shop, &mut state, prices)) / 2.0;
        }
    }
    let said = shop.optimum().unwrap();
    assert!((earned / said - 1.0).abs() < 1e-5, "{earned} is not {said}");
    assert!(shop.offers(4).is_ok() && shop.offers(1).is_err());
}

/// Myopic prices are a maximum of the week's profit in whatever state the shop is.
#[test]
fn myopic_prices_are_the_weeks_best() {
    let shop = shop(RetailSettings {
        seasons: vec![0.2, -0.1],
        reference_effect: 0.3,
        rival: Some(1.0),
        ..Default::default()
    });
    let mut state = start(&shop);
    week(&shop, &mut state, [1.2, 2.0, 1.7]);
    let mut best = [0f32; 3];
    shop.play(2, &state, ActionsMut::Continuous(&mut best));
    let earned = |prices: [f32; 3]| week(&shop, &mut state.clone(), prices);
    let top = earned(best);
    for k in 0..3 {
        for step in [-0.05, 0.05] {
            let mut other = best;
            other[k] += step;
            assert!(earned(other) < top, "{k} {step}");
        }
    }
    assert!(shop.optimum().is_none() && shop.offers(3).is_err());
}

#[test]
fn settings_that_do_not_fit_are_named() {
    for (settings, name) in [
        (RetailSettings { stock: vec![1.0], ..Default::default() }, "stock"),
        (RetailSettings { stock: vec![5.0, 0.0, 5.0], ..Default::default() }, "stock"),
        (RetailSettings { stock: vec![5.0, 0.5, 5.0], ..Default::default() }, "stock"),
        (RetailSettings { charged: vec![vec![1.0; 3], vec![1.0, 1.0, 4.1]], ..Default::default() }, "charged"),
        (RetailSettings { regular_low: vec![1.0; 3], ..Default::default() }, "regular_low"),
        (RetailSettings { promotions: vec![true], regular_low: vec![9.0; 3], ..Default::default() }, "regular_low"),
        (RetailSettings { rival: Some(1.0), rival_prices: vec![3.0, 1.0], ..Default::default() }, "rival_prices"),
    ] {
        let why = Retail::new(settings).err().expect("refused").to_string();
        assert!(why.contains(name), "{why}");
    }
}

/// Both arms of a comparison live through the same weeks, whatever they charge and sell.
#[test]
fn weeks_do_not_depend_on_what_is_sold() {
    let table = RetailSettings { sales: Sales::Sampled, weeks: Weeks::Resample, ..RetailSettings::default() };
    let customers: Vec<f64> = (0..50).map(|week| 500.0 + f64::from(week)).collect();
    let n = customers.len();
    let costs = table.costs.first().map_or(Vec::new(), |costs| vec![costs.clone(); n]);
    let displays = table.displays.first().map_or(Vec::new(), |displays| vec![displays.clone(); n]);
    let shop = Retail::new(RetailSettings { customers, costs, displays, ..table }).unwrap();
    let lived = |seed: u64, price: f32| -> Vec<u32> {
        let (mut state, mut rng, mut reward) = (State::default(), Rng::new(seed, Stream::Env, 3), [0f32]);
        shop.reset(&mut state, &mut rng);
        let mut week = || {
            shop.step(&mut state, Actions::Continuous(&[price; 3]), &mut reward, &mut rng);
            state.week
        };
        (0..200).map(|_| week()).collect()
    };
    let weeks = lived(1, 1.0);
    assert_eq!(weeks, lived(1, 1.7));
    assert_ne!(weeks, lived(2, 1.0));
    let mut met = vec![0; n];
    weeks.iter().for_each(|week| met[*week as usize] += 1);
    assert!(met.iter().filter(|times| **times > 0).count() > 40 && met.iter().all(|times| *times < 15), "{met:?}");
}

/// Seasons belong to the calendar's weeks: those that are missing from the table shift none, in what is sold, in what is
/// shown, and in the exact optimum.
#[test]
fn seasons_follow_the_calendar() {
    let numbers = [0, 1, 2, 4, 5, 6, 8, 9];
    let n = numbers.len();
    let seasons = vec![0.4, -0.1, 0.2, -5.0];
    let set = |weeks: Weeks, week_numbers: Vec<u32>| RetailSettings {
        costs: vec![vec![0.5, 0.4, 0.3]; n],
        displays: vec![vec![0.0; 3]; n],
        customers: (0..n).map(|i| 1000.0 + 10.0 * i as f64).collect(),
        seasons: seasons.clone(),
        weeks,
        week_numbers,
        ..Default::default()
    };
    let missing = shop(set(Weeks::Replay, numbers.to_vec()));
    let mut state = start(&missing);
    for lap in [0, 1] {
        for (i, number) in numbers.iter().enumerate() {
            let carried = state.carried.as_ref().unwrap();
            let added = missing.carry.as_ref().unwrap().season(carried);
            assert_eq!(added, seasons[*number as usize % 4], "row {i} of lap {lap}");
            week(&missing, &mut state, [1.0; 3]);
        }
    }
    // By hand: each row's own best prices in its own week of the calendar.
    let mut prices = vec![0.0; 3];
    let best: f64 = (0..n)
        .map(|i| {
            let mut demand = missing.demand.clone();
            (0..3).for_each(|k| demand.form.tilt(k, (seasons[numbers[i] as usize % 4], 0.0)));
            let (s, row) = (&missing.settings, missing.week(i, &missing.demand));
            row.customers * demand.form.optimum(row, &s.low, &s.high, &mut prices)
        })
        .sum();
    assert!((missing.optimum().unwrap() / best - 1.0).abs() < 1e-12, "{:?} is not {best}", missing.optimum());
    // Where nothing is missing, rows are weeks; drawn rows lend their costs to the weeks that follow the first.
    let rows = |weeks| shop(set(weeks, Vec::new())).optimum().unwrap();
    for weeks in [Weeks::Replay, Weeks::Resample] {
        let told = shop(set(weeks, (0..n as u32).collect())).optimum().unwrap();
        assert!((told / rows(weeks) - 1.0).abs() < 1e-12, "{told} is not {}", rows(weeks));
    }
    let wrong = RetailSettings { week_numbers: vec![1], ..set(Weeks::Replay, Vec::new()) };
    assert!(Retail::new(wrong).is_err());
}

#[test]
fn names_are_told_apart() {
    let names = ["x", "y", "x"].map(String::from).to_vec();
    let why = Retail::new(RetailSettings { names, ..Default::default() }).err().unwrap().to_string();
    assert!(why.contains("`x` twice"), "{why}");
}

/// A draw of another form sells as a market does whose fitted demand that is; what players know stays the fitted one.
#[test]
fn draws_may_be_of_another_form() {
    let elasticities = vec![vec![-2.0, 0.2, 0.1], vec![0.3, -1.5, 0.0], vec![0.0, 0.1, -3.0]];
    let settings = RetailSettings {
        sales: Sales::Expected,
        draws: 1,
        drawn_intercepts: vec![vec![-2.0; 3], vec![2.0; 3]],
        drawn_price_effects: vec![Vec::new(), vec![1.0; 3]],
        drawn_display_effects: vec![vec![0.1; 3]; 2],
        drawn_elasticities: vec![elasticities.concat(), Vec::new()],
        drawn_forms: vec!["log-log".into(), "logit".into()],
        ..RetailSettings::default()
    };
    let own = RetailSettings {
        sales: Sales::Expected,
        demand: Demand::LogLog,
        intercepts: vec![-2.0; 3],
        elasticities,
        display_effects: vec![0.1; 3],
        ..RetailSettings::default()
    };
    let [drawn, own] = [&settings, &own].map(|s| shop(s.clone()));
    let [mut one, mut other] = [start(&drawn), start(&own)];
    assert_eq!(week(&drawn, &mut one, [1.5; 3]), week(&own, &mut other, [1.5; 3]));
    let (mut known, mut wanted) = ([0.0; 3], [0.0; 3]);
    drawn.best(0, &mut known);
    shop(RetailSettings::default()).best(0, &mut wanted);
    assert_eq!(known, wanted);
    for (key, wrong) in [
        ("drawn_price_effects", RetailSettings { drawn_price_effects: vec![Vec::new(); 2], ..settings.clone() }),
        ("drawn_elasticities", RetailSettings { drawn_price_effects: vec![vec![1.0; 3]; 2], ..settings.clone() }),
        ("drawn_forms", RetailSettings { drawn_forms: vec!["one".into()], ..settings.clone() }),
        ("drawn_elasticities", RetailSettings { rival: Some(0.0), ..settings }),
    ] {
        let Err(error) = Retail::new(wrong) else { panic!("{key}") };
        assert!(error.to_string().contains(key), "{error}");
    }
}

/// Customers of nested logit buy what its formula says, one by one and on average, and draws of it stand beside draws of a
/// logit; nests that cannot be are refused.
#[test]
fn nests_sell_as_their_formula_says() {
    let nests = vec![vec!["plain".to_owned(), "best".to_owned()]];
    let nested = RetailSettings {
        demand: Demand::NestedLogit,
        nests: nests.clone(),
        nest_correlations: vec![0.6],
        customers: vec![100_000.0, 100_000.0],
        displays: vec![vec![0.0; 3]; 2],
        ..RetailSettings::default()
    };
    // e^(V / λ) of plain and best at prices 1.5, 2, 1; D^λ of both.
    let within = [0.5f64, 0.0].map(|v| (v / 0.4).exp());
    let both = (within[0] + within[1]).powf(0.4);
    let sum = 1.0 + both + (-0.5f64).exp();
    let of_both = |i: usize| 1e5 * both / sum * within[i] / (within[0] + within[1]);
    let wanted = [of_both(0), 1e5 * (-0.5f64).exp() / sum, of_both(1)];
    for sales in [Sales::Expected, Sales::Sampled] {
        let market = shop(RetailSettings { sales, ..nested.clone() });
        let mut state = start(&market);
        week(&market, &mut state, [1.5, 2.0, 1.0]);
        let near = if sales == Sales::Expected { 1e-6 } else { 4.0 * 1e5f64.sqrt() / 2.0 };
        (0..3).for_each(|k| assert!((state.units[k] - wanted[k]).abs() < near, "{:?} {wanted:?}", state.units));
        assert!(market.optimum().is_some());
    }
    let draws = RetailSettings {
        sales: Sales::Expected,
        draws: 2,
        drawn_intercepts: vec![vec![2.0, 1.5, 1.0]; 2],
        drawn_price_effects: vec![vec![1.0; 3]; 2],
        drawn_display_effects: vec![vec![0.0; 3]; 2],
        drawn_nest_correlations: vec![vec![0.6], Vec::new()],
        nests,
        customers: vec![100_000.0, 100_000.0],
        displays: vec![vec![0.0; 3]; 2],
        ..RetailSettings::default()
    };
    let market = shop(draws.clone());
    let mut state = start(&market);
    state.draw = Some(0);
    week(&market, &mut state, [1.5, 2.0, 1.0]);
    (0..3).for_each(|k| assert!((state.units[k] - wanted[k]).abs() < 1e-6, "{:?} {wanted:?}", state.units));
    for (key, wrong) in [
        ("nest_correlations", RetailSettings { nest_correlations: Vec::new(), ..nested.clone() }),
        ("nest_correlations", RetailSettings { demand: Demand::Logit, ..nested.clone() }),
        ("nests", RetailSettings { nests: vec![vec!["other".into()]], ..nested.clone() }),
        ("nests", RetailSettings { nests: vec![vec!["best".into(), "best".into()]], ..nested.clone() }),
        ("nests", RetailSettings { nests: vec![vec!["best".into()], Vec::new()], ..nested }),
        ("drawn_nest_correlations", RetailSettings { drawn_nest_correlations: vec![vec![0.6, 0.1]; 2], ..draws }),
    ] {
        let Err(error) = Retail::new(wrong) else { panic!("{key}") };
        assert!(error.to_string().contains(key), "{error}");
    }
}

/// Episodes sell as drawn demands have it, each as often; players know the fitted one; a state names its draw.
#[test]
fn episodes_have_drawn_demands() {
    let settings = RetailSettings {
        draws: 2,
        drawn_intercepts: vec![vec![2.0, 1.5, 1.0], vec![0.0; 3], vec![9.0; 3]],
        drawn_price_effects: vec![vec![1.0; 3], vec![-0.1, 1.0, 2.0], vec![1.0; 3]],
        drawn_display_effects: vec![vec![0.5; 3]; 3],
        ..RetailSettings::default()
    };
    let (drawn, fitted) = (shop(settings.clone()), shop(RetailSettings::default()));
    let mut seen = [0; 2];
    for lane in 0..200 {
        let mut state = State::default();
        drawn.reset(&mut state, &mut Rng::new(0, Stream::Env, lane));
        let draw = state.draw.unwrap() as usize;
        seen[draw] += 1;
        state.week = 0;
        assert_eq!(drawn.check(&state), Ok(Status::Running));
        week(&drawn, &mut state, [1.0; 3]);
        let u: Vec<f64> =
            (0..3).map(|k| settings.drawn_intercepts[draw][k] - settings.drawn_price_effects[draw][k]).collect();
        let share = u[0].exp() / (1.0 + u.iter().map(|u| u.exp()).sum::<f64>());
        assert!((state.units[0] - 1000.0 * share).abs() < 1e-9);
        assert!(drawn.check(&State { draw: None, ..state.clone() }).is_err());
        assert!(drawn.check(&State { draw: Some(2), ..state.clone() }).is_err(), "the third is none of two");
        assert!(fitted.check(&state).is_err(), "the fitted shop draws nothing");
    }
    assert!(seen.iter().all(|count| *count > 70), "{seen:?}");
    let (mut own, mut wanted) = ([0.0; 3], [0.0; 3]);
    assert_eq!(drawn.best(1, &mut own), fitted.best(1, &mut wanted));
    assert_eq!(own, wanted);
    assert!(drawn.optimum().is_none() && fitted.optimum().is_some());
    let optimal = Retail::PLAYERS.iter().position(|p| p.name == "optimal").unwrap();
    assert!(drawn.offers(optimal).unwrap_err().contains("nobody knows"));
    for (key, wrong) in [
        ("draws", RetailSettings { draws: 4, ..settings.clone() }),
        ("drawn_intercepts", RetailSettings { drawn_intercepts: vec![vec![0.0; 2]; 3], ..settings.clone() }),
        ("drawn_price_effects", RetailSettings { drawn_price_effects: Vec::new(), ..settings.clone() }),
        ("intercepts", RetailSettings { drawn_intercepts: vec![vec![900.0; 3]; 3], ..settings }),
    ] {
        let why = Retail::new(wrong).err().unwrap().to_string();
        assert!(why.contains(key), "{key}: {why}");
    }
}

fn log_log() -> RetailSettings {
    RetailSettings {
        demand: Demand::LogLog,
        intercepts: vec![-3.0, -3.5, -3.2],
        elasticities: vec![vec![-2.5, 0.3, 0.1], vec![0.2, -3.0, 0.2], vec![0.1, 0.0, -1.8]],
        calendar_effects: vec![vec![0.1, 0.2, -0.3], vec![0.0; 3], vec![-0.1, 0.0, 0.1]],
        calendar_middle: 20.0,
        week_numbers: vec![3, 30],
        ..RetailSettings::default()
    }
}

/// Units, the calendar and what is observed of it, by hand; counts have the mean and the variance that are asked for.
#[test]
fn log_log_demand_sells_what_its_formula_says() {
    let plain = shop(log_log());
    let mut state = start(&plain);
    let mut obs = vec![0f32; plain.spec().obs_len()];
    plain.observe(&state, &mut obs);
    let [years, angle] = [(3.0 - 20.0) * 7.0 / 365.25, std::f64::consts::TAU * 3.0 * 7.0 / 365.25];
    for (found, wanted) in obs[7..].iter().zip([years, angle.sin(), angle.cos()]) {
        assert!((f64::from(*found) - wanted).abs() < 1e-6, "{obs:?}");
    }
    week(&plain, &mut state, [1.5, 2.0, 0.8]);
    let logs = [1.5f64, 2.0, f64::from(0.8f32)].map(f64::ln);
    let ln_units =
        -3.0 - 2.5 * logs[0] + 0.3 * logs[1] + 0.1 * logs[2] + 0.1 * years + 0.2 * angle.sin() - 0.3 * angle.cos();
    assert!((state.units[0] - 1000.0 * ln_units.exp()).abs() < 1e-9, "{state:?}", state = state.units);

    let counted = |dispersion: Vec<f64>| -> [f64; 2] {
        let settings = RetailSettings { sales: Sales::Sampled, dispersion, ..log_log() };
        let (shop, mut rng, mut reward) = (Retail::new(settings).unwrap(), Rng::new(1, Stream::Env, 0), [0f32]);
        let sold: Vec<f64> = (0..20_000)
            .map(|_| {
                let mut state = start(&shop);
                shop.step(&mut state, Actions::Continuous(&[1.5, 2.0, 0.8]), &mut reward, &mut rng);
                assert_eq!(shop.check(&state), Ok(Status::Running));
                state.units[0]
            })
            .collect();
        let mean = sold.iter().sum::<f64>() / 2e4;
        [mean, sold.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2e4]
    };
    let mean = 1000.0 * ln_units.exp();
    for (dispersion, variance) in [(Vec::new(), mean), (vec![0.3; 3], mean + 0.3 * mean * mean)] {
        let [found, spread] = counted(dispersion);
        assert!((found / mean - 1.0).abs() < 4.0 * (variance / 2e4).sqrt() / mean, "{found} {mean}");
        assert!((spread / variance - 1.0).abs() < 0.06, "{spread} {variance}");
    }
}

/// Myopic prices earn the optimum, which is proven; held products keep their prices, in every player's hands.
#[test]
fn log_log_demand_has_a_proven_optimum() {
    for held in [Vec::new(), vec!["fine".to_owned()]] {
        let settings = RetailSettings { charged: vec![vec![1.0, 1.5, 2.0], vec![1.1, 1.7, 2.1]], held, ..log_log() };
        let shop = shop(settings.clone());
        let optimum = shop.optimum().expect("proven");
        assert!(shop.bound().unwrap() >= optimum);
        let earned = |player: usize| {
            let mut state = start(&shop);
            (0..2)
                .map(|_| {
                    let mut prices = [0f32; 3];
                    shop.play(player, &state, ActionsMut::Continuous(&mut prices));
                    let row = state.week as usize;
                    let earned = f64::from(week(&shop, &mut state, prices));
                    assert!(settings.held.is_empty() || state.prices[1] == settings.charged[row][1]);
                    earned
                })
                .sum::<f64>()
        };
        assert!((earned(2) / optimum - 1.0).abs() < 1e-5, "{} is not {optimum}", earned(2));
        assert!(earned(1) <= optimum && earned(1) > 0.9 * optimum && earned(0) < earned(1));
        let drawn = RetailSettings {
            draws: 1,
            drawn_intercepts: vec![settings.intercepts.clone()],
            drawn_display_effects: vec![settings.display_effects.clone()],
            drawn_elasticities: vec![settings.elasticities.concat()],
            drawn_calendar_effects: vec![settings.calendar_effects.concat()],
            ..settings.clone()
        };
        let drawn = Retail::new(RetailSettings { sales: Sales::Expected, ..drawn }).unwrap();
        let [mut one, mut other] = [start(&shop), start(&drawn)];
        assert_eq!(
            week(&shop, &mut one, [1.0; 3]),
            week(&drawn, &mut other, [1.0; 3]),
            "the draw is the fitted demand"
        );
    }
    for (key, wrong) in [
        ("elasticities", RetailSettings { elasticities: Vec::new(), ..log_log() }),
        ("low", RetailSettings { low: vec![0.0; 3], ..log_log() }),
        ("rival", RetailSettings { rival: Some(1.0), ..log_log() }),
        ("held", RetailSettings { held: vec!["plane".into()], ..log_log() }),
        ("held", RetailSettings { held: vec!["plain".into()], ..log_log() }),
        ("calendar_effects", RetailSettings { calendar_effects: vec![vec![0.0; 2]; 3], ..log_log() }),
        ("elasticities", RetailSettings { elasticities: vec![vec![0.0; 3]; 3], ..RetailSettings::default() }),
        ("dispersion", RetailSettings { dispersion: vec![0.1; 3], ..RetailSettings::default() }),
        (
            "drawn_elasticities",
            RetailSettings {
                drawn_intercepts: vec![vec![0.0; 3]],
                drawn_display_effects: vec![vec![0.0; 3]],
                ..log_log()
            },
        ),
    ] {
        let why = Retail::new(wrong).err().unwrap().to_string();
        assert!(why.contains(key), "{key}: {why}");
    }
}

/// Every price that is charged obeys, whoever sets it and whatever the week; what is written down is what is charged.
#[test]
fn rules_are_obeyed_by_all_who_set_prices() {
    use crate::pricing::rules::{Gap, RuleSettings};
    let rules = RuleSettings {
        endings: vec![0.95, 0.99],
        max_change: Some(0.6),
        cooldown: 2,
        min_margin: Some(0.1),
        gaps: vec![Gap { dearer: "fine".into(), cheaper: "plain".into(), gap: 0.2 }],
        ..RuleSettings::default()
    };
    let charged = vec![vec![1.0, 1.5, 2.0], vec![1.1, 1.7, 2.1]];
    let plain = RetailSettings { charged: charged.clone(), ..RetailSettings::default() };
    let ruled = shop(RetailSettings { rules: Some(rules.clone()), ..plain.clone() });
    let free = shop(plain.clone());
    let mut rng = Rng::new(3, Stream::Env, 0);
    let mut state = start(&ruled);
    for step in 0..2000 {
        let before = state.clone();
        let mut wanted = [0f32; 3];
        match step % 4 {
            3 => wanted.fill_with(|| rng.range(-1.0, 6.0) as f32),
            player => ruled.play(player, &state, ActionsMut::Continuous(&mut wanted)),
        }
        let mut settled = wanted;
        ruled.settle(&state, ActionsMut::Continuous(&mut settled));
        week(&ruled, &mut state, wanted);
        for (k, written) in settled.iter().enumerate() {
            let (p, cents) = (state.prices[k], (state.prices[k] * 100.0).round() as i64 % 100);
            assert_eq!(*written, p as f32);
            assert!([95, 99].contains(&cents) && (0.5..=4.0).contains(&p), "{p}");
            assert!(p - ruled.settings.costs[before.week as usize][k] > 0.0999 * p);
            if before.prices[k] > 0.0 {
                assert!((p / before.prices[k] - 1.0).abs() <= 0.6 + 1e-9);
                assert!(before.since[k] >= 2 || p == before.prices[k], "it stays for two weeks");
            }
        }
        assert!(state.prices[1] >= state.prices[0] + 0.2 - 1e-9);
        assert!(ruled.check(&state).is_ok(), "{:?}", ruled.check(&state));
    }
    let mut obs = vec![0f32; ruled.spec().obs_len()];
    ruled.observe(&state, &mut obs);
    assert_eq!(obs[7..10], [0, 1, 2].map(|k| state.prices[k] as f32));
    assert_eq!(obs[10], (2 - state.since[0]) as f32);
    assert!(ruled.optimum().is_none() && ruled.bound().unwrap() <= free.bound().unwrap());
    // One switch, and all prices are those charged.
    let stopped = shop(RetailSettings { rules: Some(RuleSettings { stop: true, ..rules.clone() }), ..plain.clone() });
    let mut state = start(&stopped);
    week(&stopped, &mut state, [4.0; 3]);
    assert_eq!(state.prices, charged[0]);
    let impossible = RuleSettings { ceilings: vec![1.0, 1.1, 4.0], ..rules };
    let why = Retail::new(RetailSettings { rules: Some(impossible), ..plain.clone() }).err().unwrap().to_string();
    assert!(why.contains("rules") && why.contains("fine cannot be dearer than plain by 0.2"), "{why}");
    let dear = RuleSettings { min_margin: Some(0.9), ..RuleSettings::default() };
    let why = Retail::new(RetailSettings { rules: Some(dear), ..plain }).err().unwrap().to_string();
    assert!(
        why.contains("in row 1 of the table: no price of plain obeys its own rules: it must be at least 5"),
        "{why}"
    );
}

/// Under a ladder the bound is the best of all its prices, week by week; of either form.
#[test]
fn the_bound_under_a_ladder_is_the_best_of_it() {
    use crate::pricing::rules::RuleSettings;
    let ladders = vec![vec![0.9, 1.2, 1.6], vec![1.0, 1.4, 1.9], vec![1.1, 1.5, 2.2]];
    let rules = Some(RuleSettings { ladders: ladders.clone(), ..RuleSettings::default() });
    for plain in [log_log(), RetailSettings::default()] {
        let free = shop(RetailSettings { sales: Sales::Expected, ..plain });
        let ruled = shop(RetailSettings { rules: rules.clone(), ..free.settings.clone() });
        let mut wanted = 0.0;
        for (row, week) in free.all().enumerate() {
            let all = (0..27).map(|i| [ladders[0][i % 3], ladders[1][i / 3 % 3], ladders[2][i / 9]]);
            let best = all.map(|prices| free.demand.form.profit(free.week(row, &free.demand), &prices));
            wanted += week.customers * best.fold(f64::NEG_INFINITY, f64::max);
        }
        let bound = ruled.bound().unwrap();
        assert!((bound / wanted - 1.0).abs() < 1e-9, "{bound} {wanted}");
        assert!(bound < 0.999 * free.bound().unwrap() && ruled.optimum().is_none());
    }
}
