//! Steps a second of one robot under random actions on one thread: `robot_speed ROBOT agon|bare SECONDS`.
//!
//! `agon` is the environment as learners step it, one robot. `bare` is a loop of `mj_step` with the same frame skip, the
//! same actions and a new start wherever the environment would have one; it observes nothing and earns nothing.
//! `benches/robots.py` runs both beside Gymnasium.

use agon_core::contract::Harness;
use agon_core::rng::Stream;
use agon_core::{ActionSpec, Rng};
use agon_envs::robot::mujoco::{self, Data};
use std::time::Instant;

/// Model, frame skip, and whether the robot has fallen.
fn robot(name: &str) -> Option<(&'static str, u32, fn(&Data) -> bool)> {
    Some(match name {
        "half-cheetah" => ("half_cheetah.xml", 5, |_| false),
        "hopper" => ("hopper.xml", 4, |d| !(d.qpos()[1] > 0.7 && d.qpos()[2].abs() < 0.2)),
        "ant" => ("ant.xml", 5, |d| !(0.2..=1.0).contains(&d.qpos()[2])),
        _ => return None,
    })
}

/// Runs `step` for so many seconds; steps a second.
fn rate(seconds: f64, mut step: impl FnMut()) -> f64 {
    let (start, mut steps) = (Instant::now(), 0u64);
    while start.elapsed().as_secs_f64() < seconds {
        (0..64).for_each(|_| step());
        steps += 64;
    }
    steps as f64 / start.elapsed().as_secs_f64()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, how, seconds] = args.as_slice() else { return Err("robot_speed ROBOT agon|bare SECONDS".into()) };
    let (seconds, found) = (seconds.parse::<f64>()?, robot(name));
    let (file, frame_skip, fallen) = found.ok_or("robots are half-cheetah, hopper and ant")?;
    let entry = agon_envs::find(&format!("robot/{name}"))?;
    let mut h = Harness::new(entry.build(&serde_json::Map::new(), 1, 1)?, 1);
    let speed = if how == "agon" {
        let mut step = || {
            h.choose();
            h.step();
        };
        rate(seconds * 0.2, &mut step);
        rate(seconds, step)
    } else {
        let ActionSpec::Continuous { fields } = &h.env.spec().action else { return Err("robots take numbers".into()) };
        let mut data = Data::try_new(mujoco::load("xml_file", file)?)?;
        let (mut rng, mut age) = (Rng::new(1, Stream::Act, 0), 0);
        let mut step = || {
            for (control, f) in data.ctrl_mut().iter_mut().zip(fields) {
                *control = f64::from(f.low + (f.high - f.low) * rng.f32());
            }
            (0..frame_skip).for_each(|_| data.step());
            age += 1;
            if age == 1000 || fallen(&data) {
                data.reset();
                data.forward();
                age = 0;
            }
        };
        rate(seconds * 0.2, &mut step);
        rate(seconds, step)
    };
    println!("{speed:.0}");
    Ok(())
}
