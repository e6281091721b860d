use super::super::models::tests::market;
use super::*;

/// Where demand is a logit and prices matter, logits with an effect a product forecast best, within their intervals.
#[test]
fn the_true_model_forecasts_best() {
    let sales = market(120, &[0.4, 2.0, 1.0], 0.2, 3);
    let found = compare(&sales, &[]).unwrap();
    assert_eq!((found.weeks, found.origins), (60, 12));
    let (form, calendar) = found.models().next().unwrap();
    let Form::Logit(method, PriceEffect::ByProduct) = form else { panic!("{found:?}") };
    let best = found.of(form, calendar).unwrap();
    assert!(found.unbeaten(best).is_empty() && (0.82..0.97).contains(&best.coverage), "{best:?}");
    let common = found.of(Form::Logit(method, PriceEffect::Common), false).unwrap();
    assert!(best.wape < common.wape && best.log_score < common.log_score, "{found:?}");
    assert!(found.rows.windows(2).all(|pair| pair[0].wape <= pair[1].wape));
}

/// Where prices do not matter, who knows nothing of them forecasts as well, and that is said.
#[test]
fn prices_that_do_not_matter_beat_nobody() {
    let mut found = 0;
    for seed in 0..6 {
        let sales = market(40, &[0.0, 0.0], 0.5, 20 + seed);
        let sales = Sales { displays: vec![vec![0.0; 2]; 40], ..sales };
        let all = compare(&sales, &[]).unwrap();
        let row = all.of(Form::Logit(Method::Likelihood, PriceEffect::ByProduct), false).unwrap();
        found += usize::from(!all.unbeaten(row).is_empty());
    }
    assert!(found >= 4, "{found} of 6");
}

/// No number of a week changes the forecast of one before it.
#[test]
fn later_weeks_change_no_forecast() {
    let sales = market(40, &[1.0, 1.5], 0.3, 5);
    let mut cut = sales.clone();
    cut.units[39] = vec![1.0, 1.0];
    let [one, other] = [&sales, &cut].map(|s| compare(s, &[]).unwrap());
    let last = |c: &Comparison| c.of(Form::Logit(Method::LeastSquares, PriceEffect::Common), false).unwrap().wape;
    assert_ne!(last(&one), last(&other));
    let model =
        |s: &Sales| Form::LogLog.fit(s, &[0.0; 40], 38, false).unwrap().expected(Week::of(&sales, &[0.0; 40], 38));
    assert_eq!(model(&sales), model(&cut));
}

#[test]
fn few_weeks_are_not_compared() {
    assert!(compare(&market(7, &[1.0], 0.1, 1), &[]).is_none());
}

/// Student's 99.5 % point of 9 degrees of freedom is 3.250, of 39 it is 2.708 (tables): differences of mean 1 and that spread.
#[test]
fn a_paired_test_is_students() {
    for (weeks, point) in [(10usize, 3.250), (40, 2.708)] {
        let n = weeks as f64;
        // Half above and half below 1, so that the mean is 1 and the standard error is as wanted.
        let with_error = |error: f64| -> Vec<f64> {
            let apart = error * (n * (n - 1.0) / n).sqrt();
            (0..weeks).map(|i| 1.0 + if i % 2 == 0 { apart } else { -apart }).collect()
        };
        let nothing = vec![0.0; weeks];
        assert!(clearly_more(&with_error(0.99 / point), &nothing));
        assert!(!clearly_more(&with_error(1.01 / point), &nothing));
    }
    assert!(!clearly_more(&[1.0], &[0.0]), "one week tells nothing");
}

/// Weekly errors are the parts of the WAPE, and whatever forecasts best is never left out.
#[test]
fn weekly_errors_add_up() {
    let sales = market(120, &[0.4, 2.0, 1.0], 0.2, 3);
    let found = compare(&sales, &[]).unwrap();
    let sold: f64 = sales.units[60..].iter().flatten().sum();
    for row in &found.rows {
        assert_eq!(row.weekly_errors.len(), 60);
        assert!((row.weekly_errors.iter().sum::<f64>() / sold - row.wape).abs() < 1e-12, "{row:?}");
    }
    let kept = found.not_clearly_worse();
    let best = found.rows.iter().find(|row| row.form.is_some()).unwrap();
    assert_eq!(kept[0], (best.form.unwrap(), best.calendar));
    let worst = (Form::Logit(Method::LeastSquares, PriceEffect::Common), false);
    assert!(!kept.contains(&worst), "one effect for all, by least squares: {kept:?}");
}
