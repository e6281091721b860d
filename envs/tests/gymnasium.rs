//! Classic control agrees with Gymnasium, transition by transition (tests/golden/classic_control.py).

use agon_core::contract::Harness;
use agon_core::{Actions, StepBuf, View};
use serde_json::json;

/// State, action, next state, observation, reward, terminated.
struct Row {
    state: Vec<f64>,
    action: f64,
    next: Vec<f64>,
    obs: Vec<f64>,
    reward: f64,
    terminated: bool,
}

fn golden(name: &str) -> Vec<Row> {
    let path = format!("{}/../tests/golden/classic_control/{name}.csv", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut lines = text.lines().filter(|l| !l.starts_with('#'));
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let pick = |row: &[f64], first: char| -> Vec<f64> {
        let of = |n: &str| n.starts_with(first) && n[1..].parse::<u32>().is_ok();
        names.iter().zip(row).filter(|(n, _)| of(n)).map(|(_, x)| *x).collect()
    };
    let one = |row: &[f64], name: &str| row[names.iter().position(|n| *n == name).unwrap()];
    lines
        .map(|line| {
            let row: Vec<f64> = line.split(',').map(|x| x.parse().unwrap()).collect();
            Row {
                state: pick(&row, 's'),
                action: one(&row, "action"),
                next: pick(&row, 'n'),
                obs: pick(&row, 'o'),
                reward: one(&row, "reward"),
                terminated: one(&row, "terminated") != 0.0,
            }
        })
        .collect()
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * b.abs().max(1e-3)
}

/// All transitions as one batch, so that whole registers and the rest are both walked.
fn agrees(name: &str) {
    let rows = golden(name);
    assert!(rows.len() >= 999, "the golden file is short");
    let n = rows.len() - 1; // odd, so that some lanes do not fill a register
    let entry = agon_envs::find(&format!("classic/{name}")).unwrap();
    let mut h = Harness::new(entry.build(&serde_json::Map::new(), n, 1).unwrap(), 1);
    h.env.keep_finals(true);
    for (i, row) in rows[..n].iter().enumerate() {
        h.env.restore(i, &json!({"state": row.state, "steps": 0})).unwrap();
    }
    let discrete: Vec<i64> = rows[..n].iter().map(|r| r.action as i64).collect();
    let continuous: Vec<f32> = rows[..n].iter().map(|r| r.action as f32).collect();
    let actions = if name == "pendulum" { Actions::Continuous(&continuous) } else { Actions::Discrete(&discrete) };
    let Harness { env, obs, mask, reward, terminated, truncated, final_obs, .. } = &mut h;
    env.step(actions, StepBuf { obs, mask, reward, terminated, truncated, final_obs, final_mask: &mut [] });
    let width = obs.len() / n;
    for (i, row) in rows[..n].iter().enumerate() {
        assert_eq!(terminated[i], row.terminated, "{name} row {i}");
        assert!(close(f64::from(reward[i]), row.reward, 1e-6), "{name} row {i}: reward {} {}", reward[i], row.reward);
        let saved = env.save(i, if row.terminated { View::Final } else { View::Now });
        let state: Vec<f64> = serde_json::from_value(saved["state"].clone()).unwrap();
        for (a, b) in state.iter().zip(&row.next) {
            assert!(close(*a, *b, 1e-6), "{name} row {i}: {state:?} {:?}", row.next);
        }
        let seen = if row.terminated { &*final_obs } else { &*obs };
        for (a, b) in seen[i * width..(i + 1) * width].iter().zip(&row.obs) {
            assert!((f64::from(*a) - b).abs() <= 1e-6 * b.abs().max(1.0), "{name} row {i}: observation {a} {b}");
        }
    }
}

#[test]
fn cartpole_is_gymnasiums() {
    agrees("cartpole");
}

#[test]
fn acrobot_is_gymnasiums() {
    agrees("acrobot");
}

#[test]
fn mountain_car_is_gymnasiums() {
    agrees("mountain-car");
}

#[test]
fn pendulum_is_gymnasiums() {
    agrees("pendulum");
}
