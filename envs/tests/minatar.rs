//! Breakout is MinAtar's, episode by episode and bit by bit (tests/golden/breakout.py).

use agon_core::contract::Harness;
use agon_core::{Actions, StepBuf, View};
use serde_json::{Map, json};

/// A state and how it was reached.
struct Row {
    /// The action asked for, and whether the one before was repeated instead; none at an episode's start.
    action: Option<(i64, bool)>,
    /// Columns and rows: paddle, ball, ball, trail, trail; then the bricks.
    seen: [usize; 6],
    reward: f32,
    terminated: bool,
}

fn golden() -> Vec<Row> {
    let path = format!("{}/../tests/golden/breakout.csv", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let row = |line: &str| {
        let cells: Vec<Option<usize>> = line.split(',').map(|x| x.parse().ok()).collect();
        Row {
            action: cells[1].map(|action| (action as i64, cells[2] == Some(1))),
            seen: std::array::from_fn(|k| cells[3 + k].unwrap()),
            reward: cells[9].unwrap_or(0) as f32,
            terminated: cells[10] == Some(1),
        }
    };
    text.lines().skip(1).map(row).collect()
}

/// The picture that MinAtar showed, `[4, 10, 10]`.
fn picture([paddle, ball_x, ball_y, trail_x, trail_y, bricks]: [usize; 6]) -> Vec<f32> {
    let mut all = vec![0.0; 400];
    for at in [90 + paddle, 100 + 10 * ball_y + ball_x, 200 + 10 * trail_y + trail_x] {
        all[at] = 1.0;
    }
    (0..30).for_each(|i| all[310 + i] = (bricks >> i & 1) as f32);
    all
}

/// The same actions from the same starts. Whether an action sticks is drawn in MinAtar: two environments, in one of which
/// every action sticks and none in the other, take turns.
#[test]
fn breakout_is_minatars() {
    let entry = agon_envs::find("classic/breakout-10").unwrap();
    let build = |sticky: f64| {
        let settings = json!({"actions": "all", "sticky": sticky});
        Harness::new(entry.build(settings.as_object().unwrap(), 1, 1).unwrap(), 1)
    };
    let (mut games, mut at, rows) = ([build(0.0), build(1.0)], 0, golden());
    let (mut earned, mut ends, mut stuck_moves, mut anew) = (0.0, 0, 0, 0);
    for (i, row) in rows.iter().enumerate() {
        let Some((action, stuck)) = row.action else {
            let [paddle, x, y, _, _, bricks] = row.seen;
            let start = json!({"ball": [x, y], "trail": [x, y], "right": x == 0, "down": true, "paddle": paddle,
                               "bricks": bricks, "strike": false, "action": 0});
            games[at].env.restore(0, &json!({"state": start, "steps": 0})).unwrap();
            continue;
        };
        if at != usize::from(stuck) {
            let state = games[at].env.save(0, View::Now);
            at = usize::from(stuck);
            games[at].env.restore(0, &state).unwrap();
        }
        let Harness { env, obs, mask, reward, terminated, truncated, final_obs, .. } = &mut games[at];
        let out = StepBuf { obs, mask, reward, terminated, truncated, final_obs, final_mask: &mut [] };
        env.step(Actions::Discrete(&[action]), out);
        let seen = if row.terminated { &*final_obs } else { &*obs };
        assert_eq!(*seen, picture(row.seen), "line {}", i + 2);
        assert_eq!((reward[0], terminated[0], truncated[0]), (row.reward, row.terminated, false), "line {}", i + 2);
        earned += row.reward;
        ends += u32::from(row.terminated);
        stuck_moves += u32::from(stuck && seen[90..100] != picture(rows[i - 1].seen)[90..100]);
        anew += u32::from(row.seen[5] == (1 << 30) - 1 && rows[i - 1].seen[5] == 0);
    }
    assert!(earned > 150.0 && ends > 5 && stuck_moves > 20 && anew > 1, "{earned} {ends} {stuck_moves} {anew}");
}

/// The minimal actions are those of the six that do something.
#[test]
fn three_actions_do_what_six_do() {
    let entry = agon_envs::find("classic/breakout-10").unwrap();
    let six = json!({"actions": "all"});
    let mut games = [&Map::new(), six.as_object().unwrap()].map(|s| Harness::new(entry.build(s, 8, 1).unwrap(), 3));
    for step in 0..500 {
        for (game, names) in games.iter_mut().zip([[0, 1, 2], [0, 1, 3]]) {
            let actions: Vec<i64> = (0..8).map(|i| names[(step * 7 + i * 5 + step * i) % 3]).collect();
            let Harness { env, obs, mask, reward, terminated, truncated, final_obs, .. } = game;
            let out = StepBuf { obs, mask, reward, terminated, truncated, final_obs, final_mask: &mut [] };
            env.step(Actions::Discrete(&actions), out);
        }
        assert_eq!(games[0].bits(), games[1].bits(), "step {step}");
    }
}
