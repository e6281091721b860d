//! The market fitted from the tuna data agrees with an independent fit and an independent optimum
//! (tests/golden/tuna.py: numpy and scipy, another algorithm for every part).

use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().map(|x| x.as_f64().unwrap()).collect(),
        one => vec![one.as_f64().unwrap()],
    }
}

/// `(fit.json, env settings)` of the tuna scenario with some fit settings.
fn fitted(method: &str, effect: &str) -> (Value, Value) {
    let dir = tempfile::tempdir().unwrap();
    let data = root().join("scenarios/data/tuna.csv");
    let body = format!(
        "fit = {{ data = '{}', method = '{method}', price_effect = '{effect}' }}\nenv = {{ id = 'pricing/retail' }}\n\
         agent = {{ kind = 'ppo', hidden = [2], rollout_steps = 1, epochs = 1 }}\ntrain = {{ steps = 1 }}\n\
         eval = {{ final_episodes = 1 }}\n",
        data.display()
    );
    std::fs::write(dir.path().join("s.toml"), body).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_agon"))
        .args(["train", "s.toml", "--ui", "plain", "--out", "r"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let read = |name: &str| std::fs::read_to_string(dir.path().join("r").join(name)).unwrap();
    let scenario: toml::Table = read("scenario.toml").parse().unwrap();
    (serde_json::from_str(&read("fit.json")).unwrap(), serde_json::to_value(&scenario["env"]).unwrap())
}

fn golden() -> Value {
    let text = std::fs::read_to_string(root().join("tests/golden/tuna.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn close(what: &str, found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (a, b) in found.iter().zip(wanted) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what}: {found:?} instead of {wanted:?}");
    }
}

#[test]
fn both_estimators_agree_with_an_independent_solution() {
    let golden = golden();
    for (method, key, tolerance) in
        [("least-squares", "least_squares", 1e-9), ("maximum-likelihood", "likelihood", 1e-7)]
    {
        // By product, least squares gives one price effect the wrong sign and is refused: see below.
        let effects = if key == "likelihood" { &["common", "by-product"][..] } else { &["common"] };
        for effect in effects {
            let (fit, _) = fitted(method, effect);
            let wanted = &golden["fits"][effect][key];
            let values = |name: &str| -> Vec<f64> {
                fit[name].as_array().unwrap().iter().map(|pair| pair[0].as_f64().unwrap()).collect()
            };
            let what = format!("{method}, {effect}");
            close(&what, &values("intercepts"), &numbers(&wanted["a"]), tolerance);
            let mut b = numbers(&wanted["b"]);
            if b.len() == 1 {
                b = vec![b[0]; 7];
            }
            close(&what, &values("price_effects"), &b, tolerance);
            close(&what, &[fit["display_effect"][0].as_f64().unwrap()], &numbers(&wanted["g"]), tolerance);
            let quality = if key == "likelihood" { "log_likelihood_per_customer" } else { "r2" };
            close(&what, &[fit["quality"].as_f64().unwrap()], &numbers(&wanted[quality]), 1e-9);
            assert_eq!(fit["left_out"].as_array().unwrap().len(), golden["weeks_left_out"].as_array().unwrap().len());
            assert!(fit["left_out"][0].as_str().unwrap().contains("week 76"));
        }
    }
}

#[test]
fn a_price_effect_of_the_wrong_sign_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let data = root().join("scenarios/data/tuna.csv");
    let body = format!(
        "fit = {{ data = '{}', method = 'least-squares' }}\nenv = {{ id = 'pricing/retail' }}\nagent = {{ kind = 'ppo' }}\n",
        data.display()
    );
    std::fs::write(dir.path().join("s.toml"), body).unwrap();
    let out =
        Command::new(env!("CARGO_BIN_EXE_agon")).args(["train", "s.toml"]).current_dir(dir.path()).output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{told}");
    assert!(told.contains("sales would rise with the price of 6 (-0.2"), "{told}");
}

#[test]
fn optima_agree_with_an_independent_optimiser() {
    use agon_core::Env;
    use agon_core::settings::Settings;
    use agon_envs::pricing::retail::{Retail, RetailSettings};
    let golden = golden();
    let (_, mut env) = fitted("maximum-likelihood", "by-product");
    env.as_object_mut().unwrap().remove("id");
    let settings = RetailSettings::read(env.as_object().unwrap()).unwrap();
    let wanted = &golden["fits"]["by-product"];
    close("low", &settings.low, &numbers(&golden["box"]["low"]), 0.0);
    close("high", &settings.high, &numbers(&golden["box"]["high"]), 0.0);
    let charged = settings.charged.clone();
    let retail = Retail::new(settings).unwrap();
    let total = |name: &str| wanted["total_profit"][name].as_f64().unwrap();
    let mut prices = vec![0.0; 7];
    close("optimum", &[retail.optimum().unwrap()], &[total("optimum")], 1e-7);
    close("charged", &[retail.total(|i, p| p.copy_from_slice(&charged[i]))], &[total("charged")], 1e-7);
    let fixed = retail.best_fixed().to_vec();
    close("best fixed", &[retail.total(|_, p| p.copy_from_slice(&fixed))], &[total("best_fixed")], 1e-7);
    close("best fixed prices", &fixed, &numbers(&wanted["total_profit"]["best_fixed_prices"]), 1e-4);
    // The golden weeks are named by their number; week 76 is the one that was left out.
    let data = std::fs::read_to_string(root().join("scenarios/data/tuna.csv")).unwrap();
    let weeks: Vec<i64> =
        data.lines().skip(1).map(|l| l.split(',').next().unwrap().parse().unwrap()).filter(|w| *w != 76).collect();
    let samples = wanted["optimum"].as_array().unwrap();
    assert!(samples.len() >= 20);
    for sample in samples {
        let week = weeks.iter().position(|w| *w == sample["week"].as_i64().unwrap()).unwrap();
        let profit = retail.best(week, &mut prices);
        close("prices", &prices, &numbers(&sample["prices"]), 1e-6);
        close("profit", &[profit], &numbers(&sample["profit_per_customer"]), 1e-9);
    }
}
