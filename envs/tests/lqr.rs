//! The linear-quadratic regulator agrees with scipy (tests/golden/lqr.py), and its optimum with what is earned.

use agon_core::contract::Harness;
use agon_core::{Actions, ActionsMut, StepBuf};
use serde_json::{Map, Value, json};

fn table(row: &Value, steps: &str) -> Map<String, Value> {
    let mut settings = row.as_object().unwrap().clone();
    settings.retain(|key, _| key != "gain" && key != "returns");
    settings.insert("system".into(), "matrices".into());
    settings.insert("steps".into(), steps.parse::<u32>().unwrap().into());
    settings
}

#[test]
fn gains_and_optima_are_scipys() {
    let text = include_str!("../../tests/golden/lqr.json");
    let golden: Value = serde_json::from_str(text).unwrap();
    let entry = agon_envs::find("robot/lqr").unwrap();
    let rows = golden["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 14);
    for row in rows {
        for (steps, expected) in row["returns"].as_object().unwrap() {
            let env = entry.build(&table(row, steps), 1, 1).unwrap();
            let (found, expected) = (env.optimum().unwrap(), expected.as_f64().unwrap());
            assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{steps}: {found} {expected} {row}");
        }
        // So far from the end, the gain no longer depends on the step; column j of it is the answer to a unit.
        let gain: Vec<Vec<f64>> = serde_json::from_value(row["gain"].clone()).unwrap();
        let (n, m) = (gain[0].len(), gain.len());
        let mut env = entry.build(&table(row, "200"), 1, 1).unwrap();
        let start = row["start"].as_f64().unwrap();
        for j in 0..n {
            let mut x = vec![0.0; n];
            x[j] = 0.5 * start;
            env.restore(0, &json!({"state": {"x": x, "step": 0}, "steps": 0})).unwrap();
            let mut u = vec![0f32; m];
            env.play(0, ActionsMut::Continuous(&mut u));
            for (u, row) in u.iter().zip(&gain) {
                let expected = -0.5 * start * row[j];
                assert!((f64::from(*u) - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{u} {expected}");
            }
        }
    }
}

/// The best feedback earns the optimum on the average, and is never stopped by the bounds of its actions.
#[test]
fn the_optimum_is_earned() {
    for settings in [json!({"noise": 0.1}), json!({"system": "random", "discount": 0.97, "spectral_radius": 1.05})] {
        let entry = agon_envs::find("robot/lqr").unwrap();
        let mut h = Harness::new(entry.build(settings.as_object().unwrap(), 4000, 1).unwrap(), 9);
        let (rows, m, discount) = (h.env.rows(), h.env.spec().action.len(), h.env.spec().discount);
        let mut actions = vec![0f32; rows * m];
        let (mut returns, mut weight) = (vec![0.0; rows], 1.0);
        for _ in 0..100 {
            h.env.play(0, ActionsMut::Continuous(&mut actions));
            assert!(h.env.spec().takes(Actions::Continuous(&actions[..m]), &[]).is_ok());
            let Harness { env, obs, mask, reward, terminated, truncated, final_obs, .. } = &mut h;
            let buffers = StepBuf { obs, mask, reward, terminated, truncated, final_obs, final_mask: &mut [] };
            env.step(Actions::Continuous(&actions), buffers);
            returns.iter_mut().zip(&h.reward).for_each(|(total, r)| *total += weight * f64::from(*r));
            weight *= discount;
        }
        assert!(h.terminated.iter().all(|t| *t), "an episode has 100 steps");
        let mean = returns.iter().sum::<f64>() / rows as f64;
        let deviation = (returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / rows as f64).sqrt();
        let optimum = h.env.optimum().unwrap();
        assert!((mean - optimum).abs() < 3.0 * deviation / (rows as f64).sqrt(), "{settings}: {mean} {optimum}");
    }
}
