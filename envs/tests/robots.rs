//! Robots agree with Gymnasium, step by step (tests/golden/robots.py), and stay whole when a simulation does not.
#![cfg(feature = "mujoco")]

use agon_core::contract::Harness;
use agon_core::scene::{Ink, Solid};
use agon_core::settings::Settings;
use agon_core::{Actions, Scene, States, StepBuf, View};
use agon_envs::robot::pendulums::{InvertedDoublePendulum, InvertedPendulum};
use agon_envs::robot::simulator::{Robot, Robots};
use agon_envs::robot::{ant::Ant, half_cheetah::HalfCheetah, hopper::Hopper, humanoid::Humanoid, swimmer::Swimmer};
use agon_envs::robot::{humanoid_standup::HumanoidStandup, pusher::Pusher, reacher::Reacher, walker2d::Walker2d};
use serde_json::{Value, json};

/// The largest difference in observations and rewards, absolute below 1 and relative above.
const TOLERANCE: f64 = 1e-10;

/// Numbers from the hexadecimal digits of f64.
fn numbers(digits: &Value) -> Vec<f64> {
    let one = |i: usize| u64::from_str_radix(&digits.as_str().unwrap()[i * 16..(i + 1) * 16], 16).unwrap();
    (0..digits.as_str().unwrap().len() / 16).map(|i| f64::from_bits(one(i))).collect()
}

/// The action of a step, as tests/golden/robots.py has it.
fn action(spec: &agon_core::Spec, step: usize) -> Vec<f32> {
    let agon_core::ActionSpec::Continuous { fields } = &spec.action else { unreachable!() };
    let one = |(k, f): (usize, &agon_core::Field)| {
        let u = ((step * 7919 + k * 104_729 + step * step * 31) % 1009) as f64 / 1008.0;
        (f64::from(f.low) + (f64::from(f.high) - f64::from(f.low)) * u) as f32
    };
    fields.iter().enumerate().map(one).collect()
}

/// Replays one line; the largest difference.
fn replay<R: Robot>(line: &Value) -> f64 {
    let settings = R::Settings::read(line["settings"].as_object().unwrap()).unwrap();
    let mut robots = Robots::<R>::new(settings, 1, 1).unwrap();
    robots.place(0, &numbers(&line["qpos"]), &numbers(&line["qvel"]));
    let mut worst = 0f64;
    let mut compare = |what: &str, own: &[f64], theirs: &[f64]| {
        assert_eq!(own.len(), theirs.len(), "{what} of {} {}", line["robot"], line["settings"]);
        for (own, theirs) in own.iter().zip(theirs) {
            let off = (own - theirs).abs() / theirs.abs().max(1.0);
            assert!(off <= TOLERANCE, "{what} of {} {}: {own} for {theirs}", line["robot"], line["settings"]);
            worst = worst.max(off);
        }
    };
    compare("first observation", &robots.observation(0), &numbers(&line["obs"][0]));
    let mut at = line["at"].as_array().unwrap().iter().zip(1..).peekable();
    for (step, end) in line["ends"].as_str().unwrap().bytes().enumerate() {
        let action = action(robots.spec(), step);
        let (reward, over) = robots.advance(0, &action);
        assert_eq!(over, end == b'1', "the end of {} {} at step {step}", line["robot"], line["settings"]);
        if let Some((_, k)) = at.next_if(|(s, _)| **s == step) {
            compare(&format!("step {step}"), &robots.observation(0), &numbers(&line["obs"][k]));
            compare(&format!("the reward of step {step}"), &[reward], &numbers(&line["reward"][k - 1]));
        }
    }
    assert!(at.next().is_none());
    worst
}

fn replay_file(path: &str) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut lines = 0;
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let worst = match line["robot"].as_str().unwrap() {
            "half-cheetah" => replay::<HalfCheetah>(&line),
            "hopper" => replay::<Hopper>(&line),
            "walker2d" => replay::<Walker2d>(&line),
            "swimmer" => replay::<Swimmer>(&line),
            "ant" => replay::<Ant>(&line),
            "humanoid" => replay::<Humanoid>(&line),
            "humanoid-standup" => replay::<HumanoidStandup>(&line),
            "reacher" => replay::<Reacher>(&line),
            "pusher" => replay::<Pusher>(&line),
            "inverted-pendulum" => replay::<InvertedPendulum>(&line),
            "inverted-double-pendulum" => replay::<InvertedDoublePendulum>(&line),
            other => panic!("{other} is not compared"),
        };
        println!(
            "{:<25} {:<60} {} steps, off by at most {worst:e}",
            line["robot"],
            line["settings"].to_string(),
            line["ends"].as_str().unwrap().len()
        );
        lines += 1;
    }
    assert!(lines > 0);
}

/// `AGON_ROBOTS`: another file, which tests/golden/robots_live.py writes.
#[test]
fn robots_agree_with_gymnasium() {
    let golden = format!("{}/../tests/golden/robots.jsonl", env!("CARGO_MANIFEST_DIR"));
    replay_file(&std::env::var("AGON_ROBOTS").unwrap_or(golden));
}

fn build(id: &str, settings: &Value, envs: usize) -> Result<Harness, String> {
    let entry = agon_envs::find(&format!("robot/{id}")).map_err(|e| e.to_string())?;
    let env = entry.build(settings.as_object().unwrap(), envs, 1).map_err(|e| e.to_string())?;
    Ok(Harness::new(env, 1))
}

fn step(h: &mut Harness, actions: &[f32]) {
    h.env.step(
        Actions::Continuous(actions),
        StepBuf {
            obs: &mut h.obs,
            mask: &mut h.mask,
            reward: &mut h.reward,
            terminated: &mut h.terminated,
            truncated: &mut h.truncated,
            final_obs: &mut h.final_obs,
            final_mask: &mut h.final_mask,
        },
    );
}

/// A simulation that blows up ends its episode with the reason; nobody sees what is not finite, and the others go on.
#[test]
fn failed_simulations_end_their_episode_alone() {
    for (id, state, actions, why) in [
        ("half-cheetah", true, vec![0.5f32; 12], "beyond 1e10"),
        ("half-cheetah", false, [vec![f32::NAN; 6], vec![0.5; 6]].concat(), "an action was not finite"),
        ("ant", false, [vec![f32::INFINITY; 8], vec![0.5; 8]].concat(), "an action was not finite"),
    ] {
        let mut h = build(id, &json!({}), 2).unwrap();
        let mut alone = build(id, &json!({}), 2).unwrap();
        h.env.keep_finals(true);
        if state {
            let mut saved = h.env.save(0, View::Now);
            saved["state"]["qvel"] = json!([9e9, 9e9, 9e9, 9e9, 9e9, 9e9, 9e9, 9e9, 9e9]);
            saved["state"]["warm_start"] = json!([9e9, 9e9, 9e9, 9e9, 9e9, 9e9, 9e9, 9e9, 9e9]);
            h.env.restore(0, &saved).unwrap();
        }
        step(&mut h, &actions);
        let width = actions.len() / 2;
        step(&mut alone, &[&actions[width..], &actions[width..]].concat());
        assert_eq!((h.truncated[0], h.truncated[1], h.reward[0]), (true, false, 0.0), "{id}");
        assert!(!h.terminated[0], "{id}: it was cut off, so that its value is not taken to be 0");
        assert_eq!(h.env.ended().iter().map(|e| e.failed.is_some()).collect::<Vec<_>>(), [true], "{id}");
        assert!(h.obs.iter().chain(&h.reward).chain(&h.final_obs[..h.obs.len() / 2]).all(|x| x.is_finite()), "{id}");
        let half = h.obs.len() / 2;
        assert_eq!(h.obs[half..], alone.obs[half..], "the other robot goes on");
        let ended = h.env.save(0, View::Final)["state"]["failed"].as_str().unwrap().to_owned();
        assert!(ended.contains(why), "{id}: {ended}");
        let mut scene = Scene::default();
        h.env.draw(0, View::Final, &mut scene);
        assert!(scene.notes.iter().any(|(_, note)| *note == ended), "{:?}", scene.notes);
        assert!(h.env.save(0, View::Now)["state"].get("failed").is_none(), "the next episode is a new one");
    }
}

#[test]
fn wrong_settings_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let broken = write("broken.xml", "<mujoco><worldbody><body></worldbody>");
    let empty = write("empty.xml", "<mujoco/>");
    let mesh = write("mesh.xml", r#"<mujoco><asset><mesh name="m" file="nowhere.stl"/></asset></mujoco>"#);
    let cart = r#"<body><joint name="j" type="slide"/><joint name="k"/><geom size="1"/></body>"#;
    let free = format!("<mujoco><worldbody>{cart}</worldbody><actuator><motor joint=\"j\"/></actuator></mujoco>");
    let free = write("free.xml", &free);
    for (id, settings, part) in [
        ("hopper", json!({"xml_file": "./no/such.xml"}), "there is no model file ./no/such.xml"),
        ("hopper", json!({"xml_file": "hoper.xml"}), "there is no model file"),
        ("hopper", json!({"xml_file": broken}), "XML"),
        ("hopper", json!({"xml_file": empty}), "no actuators"),
        ("hopper", json!({"xml_file": mesh}), "nowhere.stl"),
        ("half-cheetah", json!({"xml_file": "inverted_pendulum.xml", "frame_skip": 0}), "frame_skip"),
        ("hopper", json!({"xml_file": "inverted_pendulum.xml"}), "2 coordinates and 2 velocities; at least 3"),
        ("inverted-pendulum", json!({"xml_file": free}), "no range of control"),
        ("half-cheetah", json!({"xml_file": "reacher.xml", "version": "v6"}), "v5, v4"),
        ("reacher", json!({"xml_file": "ant.xml"}), "no body `fingertip`"),
        ("ant", json!({"main_body": "tors"}), "did you mean `torso`"),
        ("ant", json!({"main_body": 14}), "14 bodies"),
        ("ant", json!({"use_contact_forces": true}), "v5 of this robot does not have it"),
        ("humanoid", json!({"version": "v4", "include_cvel_in_observation": false}), "v4 of this robot"),
        ("pusher", json!({"version": "v4"}), "MuJoCo below 3"),
        ("hopper", json!({"healthy_z_range": [2.0, 1.0]}), "must not be above"),
        ("hopper", json!({"healthy_z_range": [1.0]}), "two numbers"),
    ] {
        let why = build(id, &settings, 1).err().unwrap_or_else(|| panic!("{id} took {settings}"));
        assert!(why.contains(part), "{id} {settings}: {part} in {why}");
    }
}

#[test]
fn ranges_and_bodies_are_written_as_they_are_read() {
    let entry = agon_envs::find("robot/hopper").unwrap();
    let given = json!({"healthy_z_range": [0.5, "inf"], "healthy_state_range": ["-inf", 3.0]});
    let resolved = entry.resolve(given.as_object().unwrap()).unwrap();
    assert_eq!(
        (&resolved["healthy_z_range"], &resolved["healthy_state_range"]),
        (&given["healthy_z_range"], &given["healthy_state_range"])
    );
    assert_eq!(entry.resolve(&resolved).unwrap(), resolved);
}

/// Every robot is drawn with all of its moving parts in the picture, from another place after some steps, and whoever
/// walks touches the ground.
#[test]
fn robots_are_drawn() {
    let middle = |solid: &Solid| -> [f64; 3] {
        match solid {
            Solid::Segment { ends } | Solid::Capsule { ends, .. } => {
                std::array::from_fn(|i| 0.5 * (ends[0][i] + ends[1][i]))
            }
            Solid::Box { centre, .. } | Solid::Ellipsoid { centre, .. } | Solid::Cylinder { centre, .. } => *centre,
        }
    };
    for entry in agon_envs::robot::ENTRIES {
        let mut h = Harness::new(entry.build(&Default::default(), 1, 1).unwrap(), 1);
        let mut scene = Scene::default();
        h.env.draw(0, View::Now, &mut scene);
        let first = scene.space.clone().unwrap();
        let mut touched = false;
        for _ in 0..30 {
            h.choose();
            h.step();
            h.env.draw(0, View::Now, &mut scene);
            touched |= !scene.space.as_ref().unwrap().contacts.is_empty();
        }
        let space = scene.space.unwrap();
        assert!(scene.shapes.is_empty() && space.solids != first.solids, "{} does not move", entry.id);
        let parts: Vec<_> = space.solids.iter().filter(|(_, ink)| *ink != Ink::Frame).collect();
        let near = |solid: &Solid| {
            middle(solid).iter().zip(space.centre).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
                <= 1.5 * space.reach
        };
        assert!(parts.len() >= 2 && parts.iter().all(|(solid, _)| near(solid)), "{}: {space:?}", entry.id);
        let walks = ["half-cheetah", "hopper", "walker2d", "ant", "humanoid", "humanoid-standup"];
        let walks = walks.iter().any(|name| entry.id.ends_with(name));
        assert!(!walks || (touched && space.ground == Some(0.0)), "{} touches nothing", entry.id);
    }
}
