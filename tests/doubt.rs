//! What must be known before a fitted demand is believed is the first line of `agon train`, of `agon eval` and of
//! `agon eval RUN`: through the binary, on small tables that make each of it true.

mod common;

use common::agon;
use std::path::Path;

/// Weeks of one product that costs 1, sold to 10,000 customers: `week(t)` gives its units and its price.
fn scenario(folder: &Path, week: &dyn Fn(usize) -> (f64, f64)) {
    let mut table = String::from("week,units_a,price_a,wholesale_a,customers\n");
    for t in 0..40 {
        let (units, price) = week(t);
        table += &format!("{},{:.0},{price},1,10000\n", t + 1, units);
    }
    std::fs::write(folder.join("sales.csv"), table).unwrap();
    let body = "fit = { data = 'sales.csv', display = '' }\nenv = { id = 'pricing/retail' }\n\
                agent = { kind = 'ppo', hidden = [2], rollout_steps = 1, epochs = 1 }\ntrain = { steps = 1 }\n\
                eval = { final_episodes = 2, baselines = ['random', 'charged', 'myopic'] }\n";
    std::fs::write(folder.join("s.toml"), body).unwrap();
}

/// The first lines on stdout of the final evaluation by `agon train`, and of `agon eval` of that run.
fn first_lines(folder: &Path) -> [String; 2] {
    let trained = agon(folder, &["train", "s.toml", "--ui", "plain", "--out", "r"]);
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let evaluated = agon(folder, &["eval", "r"]);
    assert!(evaluated.status.success(), "{}", String::from_utf8_lossy(&evaluated.stderr));
    [trained, evaluated].map(|out| {
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().take_while(|line| !line.contains("mean return")).collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn a_demand_that_forecasts_no_better_than_last_week_is_no_basis() {
    let folder = tempfile::tempdir().unwrap();
    // Sales grow by 7 % a week, whatever is charged; prices change every fifth week.
    scenario(folder.path(), &|t| {
        let price = if t / 5 % 2 == 0 { 2.0 } else { 2.4 };
        (100.0 * (0.07 * t as f64).exp() * f64::powf(price / 2.0, -6.0), price)
    });
    for line in first_lines(folder.path()) {
        assert!(line.contains("WARNING: the fitted demand forecasts no better than last week"), "{line}");
    }
}

#[test]
fn charged_prices_that_earn_less_than_random_ones_are_doubted() {
    let folder = tempfile::tempdir().unwrap();
    // Hardly above cost in most weeks, though customers would pay three times as much.
    scenario(folder.path(), &|t| {
        let price = if t % 4 == 3 { 3.0 } else { 1.05 + 0.01 * (t % 3) as f64 };
        (2000.0 * f64::powf(price, -1.2) * (1.0 + 0.02 * (t % 5) as f64), price)
    });
    for lines in first_lines(folder.path()) {
        assert!(lines.contains("WARNING: the prices charged earn less than random ones"), "{lines}");
    }
}

#[test]
fn prices_at_the_ends_of_what_was_tried_are_doubted() {
    let folder = tempfile::tempdir().unwrap();
    // Whatever the form of demand, the best price is far above any that was charged.
    scenario(folder.path(), &|t| {
        let price = [1.2, 1.3, 1.4][t % 3];
        (2000.0 * f64::powf(price, -1.3) * (1.0 + 0.01 * (t % 5) as f64), price)
    });
    let out = agon(folder.path(), &["eval", "myopic", "--scenario", "s.toml"]);
    let text = String::from_utf8_lossy(&out.stdout);
    let first = text.lines().take_while(|line| line.starts_with("WARNING")).collect::<Vec<_>>().join("\n");
    assert!(first.contains("every price of this policy is the lowest or the highest"), "{text}");
    let out = agon(folder.path(), &["eval", "charged", "--scenario", "s.toml"]);
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(!text.contains("every price of this policy"), "those charged are the shop's own: {text}");
}

#[test]
fn a_demand_without_any_effect_of_prices_is_no_basis() {
    let folder = tempfile::tempdir().unwrap();
    scenario(folder.path(), &|t| {
        let price = [1.2, 1.9, 1.4, 1.6][t % 4];
        ((1000.0 + 200.0 * ((t * t % 7) as f64)) * f64::powf(price, -0.4), price)
    });
    for lines in first_lines(folder.path()) {
        assert!(lines.starts_with("WARNING: ") && lines.contains("it is no basis for prices"), "{lines}");
    }
}
