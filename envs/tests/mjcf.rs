//! `robot/mjcf`: what settings make of a model, against Gymnasium's ant, MuJoCo's own models and numbers by hand.
#![cfg(feature = "mujoco")]

use agon_core::contract::Harness;
use agon_core::settings::Settings;
use agon_core::{Actions, States, StepBuf, View};
use agon_envs::robot::ant::Ant;
use agon_envs::robot::mjcf::{Mjcf, MjcfSettings};
use agon_envs::robot::simulator::{Robot, Robots};
use serde_json::{Value, json};
use std::path::Path;

fn robots<R: Robot>(settings: &Value) -> Robots<R> {
    Robots::<R>::new(R::Settings::read(settings.as_object().unwrap()).unwrap(), 1, 1).unwrap()
}

fn build(settings: &Value, envs: usize) -> Result<Harness, String> {
    let entry = agon_envs::find("robot/mjcf").unwrap();
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

fn write(folder: &Path, name: &str, text: &str) -> String {
    std::fs::write(folder.join(name), text).unwrap();
    folder.join(name).display().to_string()
}

/// A box on a floor that pushes itself, with an arm on it. Its numbers: mass, friction, damping, stiffness.
fn cart(mass: f64, friction: f64, damping: f64, kp: f64) -> String {
    format!(
        r#"<mujoco><option timestep="0.005"/><worldbody>
        <geom name="floor" type="plane" size="0 0 1" friction="{friction} 0.005 0.0001"/>
        <body name="cart" pos="0 0 0.1"><freejoint name="root"/>
          <geom name="box" type="box" size="0.2 0.2 0.1" mass="{mass}" friction="{friction} 0.005 0.0001"/>
          <site name="tip" pos="0.2 0 0"/>
          <body name="arm" pos="0 0 0.1"><joint name="swing" axis="0 1 0" damping="{damping}"/>
            <geom name="rod" type="capsule" fromto="0 0 0 0.3 0 0.3" size="0.02" mass="{mass}" contype="0"
              conaffinity="0"/></body></body></worldbody>
        <actuator><position name="servo" joint="swing" kp="{kp}" kv="{}" ctrlrange="-1 1"/></actuator>
        <sensor><gyro name="gyro" site="tip"/><actuatorfrc name="force" actuator="servo"/>
          <actuatorvel name="speed" actuator="servo"/></sensor>
        <keyframe><key name="home" qpos="0 0 0.1 1 0 0 0 0.2" ctrl="0.2"/></keyframe></mujoco>"#,
        0.02 * kp
    )
}

/// The same coordinates to the bit, and the same rewards.
#[test]
fn gymnasiums_ant_is_the_same_robot_here() {
    let mut ant = robots::<Ant>(&json!({"contact_cost_weight": 0.0}));
    let mut same = robots::<Mjcf>(&json!({"observe": ["qpos", "qvel"]}));
    let start = ant.get(0);
    let mut qpos = vec![0.0; start.qpos.len()];
    (qpos[2], qpos[3]) = (0.75, 1.0);
    let qvel = vec![0.1; start.qvel.len()];
    ant.place(0, &qpos, &qvel);
    same.place(0, &qpos, &qvel);
    let mut earned = 0.0;
    for step in 0..40 {
        let action: Vec<f32> = (0..8).map(|k| ((step * 7 + k * 5) % 13) as f32 / 6.0 - 1.0).collect();
        let ((a, _), (b, _)) = (ant.advance(0, &action), same.advance(0, &action));
        assert!((a - b).abs() < 1e-9, "step {step}: {a} there, {b} here");
        earned += b;
        assert_eq!((ant.get(0).qpos, ant.get(0).qvel), (same.get(0).qpos, same.get(0).qvel), "step {step}");
    }
    assert!(earned != 0.0);
}

/// Factors of a model do what the same numbers in its file do.
#[test]
fn randomised_models_are_those_that_mujoco_reads() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, changed) = (cart(1.0, 0.8, 0.1, 20.0), cart(2.0, 0.4, 0.3, 30.0));
    let plain = write(folder.path(), "plain.xml", &plain);
    let changed = write(folder.path(), "changed.xml", &changed);
    let observe = json!(["qpos", "qvel"]);
    let factors = json!({"mass": [2, 2], "friction": [0.5, 0.5], "damping": [3, 3], "gain": [1.5, 1.5]});
    let task = |model: &str, randomize: Value| {
        build(&json!({"model": model, "observe": observe, "reward": [], "randomize": randomize}), 1).unwrap()
    };
    let mut other = task(&plain, json!({}));
    let mut here = task(&plain, factors);
    let mut there = task(&changed, json!({}));
    for k in 0..200 {
        let action = [if k % 40 < 20 { 0.9 } else { -0.7 }];
        [&mut other, &mut here, &mut there].into_iter().for_each(|h| step(h, &action));
        let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart(&here.obs, &there.obs) < 1e-5, "step {k}: {:?} {:?}", here.obs, there.obs);
        assert!(k < 100 || apart(&other.obs, &there.obs) > 1e-3, "the factors change nothing");
    }
}

/// A latency of one step's `mj_step`s is the action of the step before.
#[test]
fn a_latency_delays_actions() {
    let folder = tempfile::tempdir().unwrap();
    let model = write(folder.path(), "cart.xml", &cart(1.0, 0.8, 0.1, 20.0));
    let task = |latency: u32| {
        let settings = json!({"model": model, "frame_skip": 4, "action": "target", "observe": ["qpos", "qvel"],
                              "reward": [], "randomize": {"latency": [latency, latency]}});
        build(&settings, 1).unwrap()
    };
    let actions: Vec<f32> = (0..30).map(|k| ((k * 7) % 11) as f32 / 5.0 - 1.0).collect();
    let (mut late, mut shifted, mut half, mut now) = (task(4), task(0), task(2), task(0));
    for k in 0..30 {
        step(&mut late, &actions[k..=k]);
        step(&mut shifted, &[if k == 0 { 0.0 } else { actions[k - 1] }]);
        step(&mut half, &actions[k..=k]);
        step(&mut now, &actions[k..=k]);
        assert_eq!(late.obs, shifted.obs, "step {k}");
    }
    assert!(half.obs != late.obs && half.obs != now.obs);
}

/// Of a base that lies on its side, moves and turns.
#[test]
fn bases_are_observed_in_their_own_frame() {
    let folder = tempfile::tempdir().unwrap();
    let model = write(folder.path(), "cart.xml", &cart(1.0, 0.8, 0.1, 20.0));
    let fields = ["base_height", "projected_gravity", "base_linear_velocity", "base_angular_velocity"];
    let observe = json!([fields[0], fields[1], fields[2], fields[3], "joint_positions",
                         {"field": "offset", "of": ["cart", "tip"]}, {"field": "sensor", "of": ["gyro"]}]);
    let mut robot = robots::<Mjcf>(&json!({"model": model, "base": "cart", "observe": observe}));
    // Turned by 90° about x: its y points up, its z to −y. MuJoCo's angular velocity of a free joint is the body's own.
    let half = 0.5f64.sqrt();
    robot.place(0, &[0.0, 0.0, 3.0, half, half, 0.0, 0.0, 0.7], &[1.0, 2.0, 3.0, 0.1, 0.2, 0.3, 0.0]);
    let seen = robot.observation(0);
    let expected = [3.0, 0.0, -1.0, 0.0, 1.0, 3.0, -2.0, 0.1, 0.2, 0.3, 0.5, 0.2, 0.0, 0.0, 0.1, 0.2, 0.3];
    assert_eq!(seen.len(), expected.len());
    for (k, (own, x)) in seen.iter().zip(expected).enumerate() {
        assert!((own - x).abs() < 1e-9, "number {k}: {own} for {x}");
    }
}

/// Every term, from the state that a step led to.
#[test]
fn terms_are_what_their_formulas_say() {
    let folder = tempfile::tempdir().unwrap();
    let model = write(folder.path(), "cart.xml", &cart(1.0, 0.8, 0.1, 20.0));
    let fields = json!(["base_height", "projected_gravity", "base_linear_velocity", "base_angular_velocity",
                        "joint_positions", {"field": "offset", "of": ["cart", "tip"]}, "command",
                        {"field": "sensor", "of": ["force", "speed"]}]);
    let command = json!({"x": [0.5, 0.5], "y": [-0.2, -0.2], "yaw": [0.3, 0.3]});
    let worth = |term: Value, by_hand: &dyn Fn(&[f64]) -> f64| {
        let settings = json!({"model": model, "observe": fields, "reward": [term], "command": command});
        let mut h = build(&settings, 1).unwrap();
        step(&mut h, &[0.4]);
        step(&mut h, &[0.9]);
        let seen: Vec<f64> = h.obs.iter().map(|x| f64::from(*x)).collect();
        let (own, expected) = (f64::from(h.reward[0]), by_hand(&seen));
        assert!((own - expected).abs() < 1e-5 * expected.abs().max(1.0), "{term}: {own} for {expected}");
        let mut told = vec![0.0; h.env.measures().len()];
        h.env.measure(0, View::Now, &mut told);
        assert!((told[0] - own).abs() < 1e-6 * own.abs().max(1.0), "{term}: {told:?}");
        own
    };
    let error = |s: &[f64]| (s[4] - 0.5).powi(2) + (s[5] + 0.2).powi(2);
    worth(json!({"term": "track_velocity", "scale": 0.4, "weight": 3}), &|s| 3.0 * (-error(s) / 0.4).exp());
    worth(json!("track_yaw"), &|s| (-(s[9] - 0.3).powi(2) / 0.25).exp());
    worth(json!("vertical_velocity"), &|s| s[6] * s[6]);
    worth(json!("angular_velocity_xy"), &|s| s[7] * s[7] + s[8] * s[8]);
    worth(json!("upright"), &|s| -s[3]);
    worth(json!("tilt"), &|s| s[1] * s[1] + s[2] * s[2]);
    worth(json!({"term": "height", "target": 0.4, "weight": -2}), &|s| -2.0 * (s[0] - 0.4).powi(2));
    worth(json!("pose"), &|s| s[10] * s[10]);
    worth(json!("control_cost"), &|_| 0.81);
    worth(json!("action_rate"), &|_| 0.25);
    worth(json!("energy"), &|s| (s[17] * s[18]).abs());
    worth(json!("effort"), &|s| s[17] * s[17]);
    worth(json!("alive"), &|_| 1.0);
    let distance = |s: &[f64]| (s[11] * s[11] + s[12] * s[12] + s[13] * s[13]).sqrt();
    worth(json!({"term": "distance", "from": "cart", "to": "tip"}), &distance);
    worth(json!({"term": "reach", "scale": 0.1, "from": "tip", "to": "cart"}), &|s| (-distance(s) / 0.1).exp());
}

/// The level of commands grows after each episode that was tracked well enough, and a new run begins anew.
#[test]
fn commands_grow_with_success() {
    let command = |goal: f64| json!({"x": [2, 2], "start": 0.25, "grow": 0.25, "goal": goal});
    let run = |goal: f64| {
        let settings = json!({"observe": ["command"], "step_limit": 5, "command": command(goal)});
        let mut h = build(&settings, 1).unwrap();
        let mut seen = vec![h.obs[0]];
        for _ in 0..5 {
            (0..5).for_each(|_| step(&mut h, &[0.0; 8]));
            seen.push(h.obs[0]);
        }
        h.env.reset(1, agon_core::rng::Stream::Env, agon_core::FirstBuf { obs: &mut h.obs, mask: &mut h.mask });
        (seen, h.obs[0])
    };
    assert_eq!(run(0.0), (vec![0.5, 1.0, 1.5, 2.0, 2.0, 2.0], 0.5));
    assert_eq!(run(1.0), (vec![0.5; 6], 0.5), "nobody tracks without a fault");
}

/// A motor that is far too strong: the episode is cut off at the last state that was whole, and the others go on.
#[test]
fn blown_up_simulations_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let arm = |timestep: f64, gear: f64| {
        format!(
            r#"<mujoco><option timestep="{timestep}" gravity="0 0 0"/><worldbody><body name="arm"><joint name="j" axis="0 1 0"/>
            <geom type="capsule" fromto="0 0 0 0.5 0 0" size="0.02"/>
            <body name="end" pos="0.5 0 0"><joint name="k" axis="0 1 0"/>
            <geom type="capsule" fromto="0 0 0 0.5 0 0" size="0.02"/></body></body></worldbody>
            <actuator><motor joint="j" gear="{gear}" ctrlrange="-1 1"/></actuator></mujoco>"#
        )
    };
    for (name, text) in [("gear.xml", arm(0.002, 1e12)), ("time.xml", arm(10.0, 1e6))] {
        let model = write(folder.path(), name, &text);
        let mut h = build(&json!({"model": model, "observe": ["qpos", "qvel"]}), 2).unwrap();
        h.env.keep_finals(true);
        let mut steps = 0;
        let before = loop {
            let before = h.obs.clone();
            step(&mut h, &[1.0, 0.0]);
            steps += 1;
            assert!(h.obs.iter().chain(&h.reward).all(|x| x.is_finite()) && !h.terminated[0], "{name}");
            if h.truncated[0] {
                break before;
            }
            assert!(steps < 500, "{name} does not blow up");
        };
        assert!(!h.truncated[1] && !h.terminated[1], "{name}: the other arm goes on");
        assert_eq!(h.final_obs[..4], before[..4], "{name}: the last observation that was whole");
        let [end] = h.env.ended() else { panic!("{name}: {:?}", h.env.ended()) };
        assert!(end.truncated && end.failed.is_some_and(|why| why.contains("1e10")), "{name}: {end:?}");
        assert!(h.env.save(0, View::Final)["state"]["failed"].is_string());
    }
}

/// A model that MuJoCo compiled is the same model, and another one is refused.
#[test]
fn models_are_known_by_their_checksum() {
    let folder = tempfile::tempdir().unwrap();
    let model = write(folder.path(), "cart.xml", &cart(1.0, 0.8, 0.1, 20.0));
    let entry = agon_envs::find("robot/mjcf").unwrap();
    let given = json!({"model": model, "observe": ["qpos"]});
    let resolved = entry.resolve(given.as_object().unwrap()).unwrap();
    assert!(resolved["checksum"].is_u64());
    assert_eq!(entry.resolve(&resolved).unwrap(), resolved);
    let mut moved = resolved.clone();
    let copy = folder.path().join("copy.mjb");
    std::fs::write(&copy, entry.file(&resolved, "model").unwrap()).unwrap();
    moved.insert("model".into(), copy.display().to_string().into());
    let [mut a, mut b] = [&resolved, &moved].map(|s| Harness::new(entry.build(s, 3, 1).unwrap(), 1));
    for _ in 0..50 {
        [&mut a, &mut b].into_iter().for_each(|h| {
            h.choose();
            h.step();
        });
        assert_eq!(a.bits(), b.bits());
    }
    write(folder.path(), "cart.xml", &cart(1.1, 0.8, 0.1, 20.0));
    let why = entry.build(&resolved, 1, 1).err().unwrap().to_string();
    assert!(why.contains("cart.xml is another model"), "{why}");
    let mut bytes = std::fs::read(&copy).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&copy, bytes).unwrap();
    let why = entry.build(&moved, 1, 1).err().unwrap().to_string();
    assert!(why.contains("copy.mjb is another model"), "{why}");
    moved.remove("checksum");
    let why = entry.build(&moved, 1, 1).err().unwrap().to_string();
    assert!(why.contains("copy.mjb"), "{why}");
}

#[test]
fn wrong_settings_are_told_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let cart = write(folder.path(), "cart.xml", &cart(1.0, 0.8, 0.1, 20.0));
    let broken = write(folder.path(), "broken.xml", "<mujoco>\n<worldbody>\n<body nam=\"x\"/>\n</worldbody></mujoco>");
    let included = write(folder.path(), "included.xml", "<mujoco><include file=\"nowhere.xml\"/></mujoco>");
    for (settings, parts) in [
        (json!({"model": "./nowhere.xml"}), ["model: ", "no model file"]),
        (json!({"model": broken}), ["line 3", "nam"]),
        (json!({"model": included}), ["nowhere.xml", "model"]),
        (json!({"model": cart, "observe": ["base_hight"]}), ["observe", "did you mean `base_height`"]),
        (json!({"model": cart, "observe": []}), ["observe", "name what is observed"]),
        (json!({"model": cart, "observe": [{"field": "sensor", "of": ["gyr"]}]}), ["observe.1.of", "mean `gyro`"]),
        (json!({"model": cart, "observe": ["qpos", {"field": "contact", "of": ["bx"]}]}), ["observe.2.of", "`box`"]),
        (json!({"model": cart, "observe": ["sensor"]}), ["observe.1.of", "needs names"]),
        (json!({"model": cart, "observe": [{"field": "offset", "of": ["tip"]}]}), ["observe.1.of", "two names"]),
        (json!({"model": cart, "observe": [{"field": "joint_positions", "of": ["root"]}]}), ["of", "neither a hinge"]),
        (json!({"model": cart, "observe": [{"field": "qpos", "noise": -1}]}), ["observe.1.noise", "0 to"]),
        (json!({"model": cart, "reward": ["alife"]}), ["reward", "did you mean `alive`"]),
        (json!({"model": cart, "reward": [{"term": "distance", "from": "tip"}]}), ["reward.1.to", "`from` and `to`"]),
        (json!({"model": cart, "reward": [{"term": "reach", "from": "tip", "to": "car"}]}), ["reward.1.to", "`cart`"]),
        (json!({"model": cart, "reward": [{"term": "alive", "from": "tip"}]}), ["reward.1.from", "between no two"]),
        (json!({"model": cart, "reward": [{"term": "alive", "wieght": 1}]}), ["reward.1.wieght", "mean `weight`"]),
        (json!({"model": cart, "actuators": ["serva"]}), ["actuators", "mean `servo`"]),
        (json!({"model": cart, "actuators": ["servo", "servo"]}), ["actuators", "twice"]),
        (json!({"model": cart, "keyframe": "hom"}), ["keyframe", "mean `home`"]),
        (json!({"model": cart, "base": "cat"}), ["base", "mean `cart`"]),
        (json!({"model": cart, "kp": 3.0}), ["kp", "target"]),
        (json!({"model": cart, "action": "target", "kp": 3.0}), ["kp", "stiffness of its own"]),
        (json!({"action": "target"}), ["action", "`kp`"]),
        (json!({"model": cart, "terminate": {"contact": ["boxx"]}}), ["terminate.contact", "`box`"]),
        (json!({"model": cart, "terminate": {"tilt_over": 1}}), ["terminate.tilt_over", "mean `tilt_above`"]),
        (json!({"model": cart, "randomize": {"mass": [2, 1]}}), ["randomize.mass", "must not be above"]),
        (json!({"model": cart, "randomize": {"mass": [0, 1]}}), ["randomize.mass", "0.001"]),
        (json!({"model": cart, "randomize": {"latency": [0, 1.5]}}), ["randomize.latency", "integers"]),
        (json!({"model": cart, "randomize": {"anywhere": ["swing"]}}), ["randomize.anywhere", "no range"]),
        (
            json!({"model": cart, "base": "arm", "randomize": {"push_every": 5}}),
            ["randomize.push_every", "no free joint"],
        ),
        (json!({"model": cart, "command": {"x": [1]}}), ["command.x", "two numbers"]),
    ] {
        let why = build(&settings, 1).err().unwrap_or_else(|| panic!("{settings} was taken"));
        assert!(parts.iter().all(|part| why.contains(part)), "{settings}: {parts:?} in {why}");
    }
}

#[test]
fn settings_are_written_as_they_are_read() {
    let given = json!({
        "observe": ["qpos", {"field": "qvel", "noise": 0.1}], "reward": [{"term": "alive", "weight": 2}],
        "terminate": {"height_below": 0.2}, "randomize": {"mass": [0.5, 2]}, "command": {"x": [0, 1]},
    });
    let read = MjcfSettings::read(given.as_object().unwrap()).unwrap();
    assert_eq!(MjcfSettings::read(&read.write()).unwrap(), read);
    assert_eq!((read.observe[1].noise, read.reward[0].weight), (0.1, 2.0));
}
