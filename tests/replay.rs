//! `agon replay` on files that nobody's simulator wrote: one message, never a panic.

use agon::Failure;
use agon::replay::simulate;
use agon_core::damage::damage;
use agon_core::episode::{Action, Episode, FORMAT, Header, Solo, Step};
use agon_core::policy::Random;
use agon_core::rng::{Rng, Stream};
use agon_core::{ActionSpec, Actions, ActionsMut, View};
use serde_json::{Map, Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

/// An episode of random play, at most 60 steps of it.
fn episode(id: &str) -> Episode {
    let entry = agon_envs::find(id).unwrap();
    let mut solo = Solo::new(entry.build(&Map::new(), 1, 1).unwrap());
    solo.reset(3, Stream::Env);
    let header = Header {
        format: FORMAT.into(),
        env: id.into(),
        version: entry.version,
        settings: entry.resolve(&Map::new()).unwrap(),
        seed: 3,
        actor: "random".into(),
        start: solo.env().save(0, View::Now),
        hash: solo.env().hash(0, View::Now),
    };
    let (spec, mut random, mut steps) = (solo.env().spec().clone(), Random::new(1), Vec::new());
    let n = spec.agents * spec.action.len();
    let (mut choices, mut numbers) = (vec![0; n], vec![0.0; n]);
    while steps.len() < 60 && !solo.over() {
        let continuous = matches!(spec.action, ActionSpec::Continuous { .. });
        random.fill(
            &spec,
            0,
            &solo.mask,
            match continuous {
                true => ActionsMut::Continuous(&mut numbers),
                false => ActionsMut::Discrete(&mut choices),
            },
        );
        let actions = if continuous { Actions::Continuous(&numbers) } else { Actions::Discrete(&choices) };
        let (terminated, truncated) = solo.step(actions);
        let (reward, hash) = (solo.reward.clone(), solo.env().hash(0, solo.view()));
        steps.push(Step { action: Action::of(actions), reward, terminated, truncated, hash });
    }
    Episode { header, steps }
}

/// The lines of its file.
fn lines(episode: &Episode) -> Vec<Value> {
    let steps = episode.steps.iter().map(|s| serde_json::to_value(s).unwrap());
    std::iter::once(serde_json::to_value(&episode.header).unwrap()).chain(steps).collect()
}

fn write(path: &Path, lines: &[Value]) {
    let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
    std::fs::write(path, text).unwrap();
}

#[test]
fn crafted_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crafted.jsonl");
    let game = lines(&episode("games/tic-tac-toe"));
    let pole = lines(&episode("classic/cartpole"));
    let with = |lines: &[Value], change: &dyn Fn(&mut Vec<Value>)| {
        let mut lines = lines.to_vec();
        change(&mut lines);
        lines
    };
    let (played, first) = (game.len() - 1, game[1]["action"][0].clone());
    for (file, code, part) in [
        (with(&game, &|l| l.push(l[1].clone())), 2, format!("step {}: the episode is over before it", played + 1)),
        (with(&game, &|l| l[3]["action"][0] = first.clone()), 2, "step 3: choice".into()),
        (with(&game, &|l| l[1]["action"] = json!([0])), 2, "step 1: an action holds 2 numbers".into()),
        (with(&game, &|l| l[2]["reward"] = json!([0.0])), 2, "step 2: 1 rewards".into()),
        (with(&game, &|l| l[2]["reward"] = json!([])), 2, "step 2: 0 rewards".into()),
        (with(&game, &|l| l[0]["start"]["state"]["stones"] = json!([3, 3])), 2, "the start".into()),
        (with(&game, &|l| l[0]["start"]["state"]["stones"] = json!([7, 24])), 2, "over before it".into()),
        (with(&pole, &|l| l[0]["settings"]["step_limit"] = json!(1e300)), 2, "step_limit".into()),
        (with(&pole, &|l| l[0]["start"]["state"][0] = json!(1e300)), 2, "position".into()),
        (with(&pole, &|l| l[0]["start"]["rng"][2] = json!(u64::MAX)), 2, "drawn".into()),
        (with(&pole, &|l| l[2]["action"] = json!([0.5])), 2, "step 2: an action is made of integers".into()),
        (with(&pole, &|l| l[1]["hash"] = json!(1)), 3, "step 1 differs".into()),
    ] {
        // Where the start was changed, its hash is right for it.
        let mut file = file;
        if part == "over before it" {
            let mut solo = Solo::new(agon_envs::find("games/tic-tac-toe").unwrap().build(&Map::new(), 1, 1).unwrap());
            solo.restore(&file[0]["start"]).unwrap();
            file[0]["hash"] = json!(solo.env().hash(0, View::Now));
        }
        write(&path, &file);
        let out = Command::new(env!("CARGO_BIN_EXE_agon")).arg("replay").arg(&path).output().unwrap();
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(told.contains(&part) && out.status.code() == Some(code), "{part}: {:?} {told}", out.status.code());
    }
}

#[test]
fn damaged_files_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.jsonl");
    for (k, entry) in agon_envs::registry().iter().enumerate() {
        let (whole, mut rng) = (lines(&episode(entry.id)), Rng::new(2, Stream::Eval, k as u32));
        write(&path, &whole);
        simulate(&path).unwrap_or_else(|e| panic!("{}: {e:?}", entry.id));
        for _ in 0..40 {
            let mut file = whole.clone();
            let at = rng.below(file.len() as u32 + 3).saturating_sub(3) as usize; // the header more often
            damage(&mut file[at], &mut rng);
            write(&path, &file);
            let found = catch_unwind(AssertUnwindSafe(|| simulate(&path)));
            let found = found.unwrap_or_else(|_| panic!("{}: {}", entry.id, file[at]));
            assert!(matches!(found, Ok(_) | Err(Failure::Input(_) | Failure::Check(_))), "{}: {}", entry.id, file[at]);
        }
    }
}
