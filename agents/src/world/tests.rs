//! A linear system in closed form, gradients, exact resume, what is refused.

use super::*;
use agon_core::{ActionSpec, Actions, Field};

/// x' = 0.9 x + 0.3 a + 0.05 z, reward −x²; the rules end an episode where x is above 1.5.
fn episodes(count: usize) -> (Spec, Vec<Demonstration>) {
    let fields = |name: &str| vec![Field::new(name, "", -10.0, 10.0)];
    let spec = Spec::new(fields("x"), ActionSpec::Continuous { fields: vec![Field::new("a", "", -2.0, 2.0)] }, 40);
    let mut rng = Rng::new(7, Stream::Env, 0);
    let episode = |_| {
        let (mut one, mut x) = (Demonstration::new(&spec.action), rng.range(-1.0, 1.0));
        for _ in 0..40 {
            let a = rng.range(-2.0, 2.0);
            one.obs.push(x as f32);
            one.actions.extend(Actions::Continuous(&[a as f32]));
            one.rewards.push(-(x * x) as f32);
            x = 0.9 * x + 0.3 * a + 0.05 * rng.normal();
            if x > 1.5 {
                one.terminated = true;
                break;
            }
        }
        one.last.push(x as f32);
        one
    };
    let all = (0..count).map(episode).collect();
    (spec, all)
}

fn learner(steps: u64) -> WorldModel {
    let config = Config { hidden: vec![32, 32], members: 3, ..Config::default() };
    let (spec, episodes) = episodes(100);
    WorldModel::new(config, &spec, &episodes, [steps, 1], 2).unwrap()
}

/// What is left of the error is the noise; ends are where they are.
#[test]
fn a_linear_system_is_learned_down_to_its_noise() {
    let mut own = learner(60);
    while !own.done() {
        own.advance().unwrap();
    }
    let examined = own.examine(Part::Test, 1);
    let of = |name: &str| examined[0].metrics.iter().find(|m| m.name == name).unwrap().value;
    let noise = 0.05 / f64::from(own.world.input.deviation[0]);
    assert!((of("step_error") / noise - 1.0).abs() < 0.15, "{} {noise}", of("step_error"));
    assert!(of("reward_error") < 0.1, "{}", of("reward_error"));
    assert!(of("ten_step_error") < 6.0 * noise, "{} {noise}", of("ten_step_error"));
    let world = WorldModel::world(&own);
    world.check().unwrap();
    // The same numbers by the simulator's own passes: x = 0.5, a = 1.
    let input = [0.5, 0.5].iter().zip(&world.input.mean).zip(&world.input.deviation).map(|((x, m), d)| (x - m) / d);
    let input: Vec<f32> = input.collect();
    let means = own.means(&input);
    let mut sum = [0.0; 2];
    for member in &world.members {
        let (mut x, mut y) = ([0f32; agon_core::world::WIDEST], [0f32; agon_core::world::WIDEST]);
        x[..2].copy_from_slice(&input);
        World::forward(member, &mut x, &mut y);
        sum.iter_mut().zip(y).for_each(|(s, y)| *s += y / 3.0);
    }
    assert!((sum[0] - means[0]).abs() + (sum[1] - means[1]).abs() < 1e-4, "{sum:?} {means:?}");
    let change = world.output.mean[0] + world.output.deviation[0] * means[0];
    assert!((change - 0.25).abs() < 0.05, "{change}");
}

#[test]
fn gradients_are_those_of_differences() {
    let (out, y) = ([0.3f32, -0.8, 0.5, -1.5, 0.7], [0.9f32, -0.2]);
    for ended in [true, false] {
        let mut at = [0f32; 5];
        let _ = log_loss(&out, &y, ended, Some((&mut at, 1)));
        for k in 0..5 {
            let moved = |by: f32| {
                let mut out = out;
                out[k] += by;
                log_loss(&out, &y, ended, None)
            };
            let right = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((f64::from(at[k]) - right).abs() < 1e-3, "{k}: {} {right}", at[k]);
        }
    }
}

#[test]
fn it_resumes_in_the_same_bits() {
    let mut whole = learner(8);
    let mut half = learner(8);
    (0..3).for_each(|_| drop(half.advance().unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let (saved, rest) = half.save();
    crate::checkpoint::write(folder.path(), &saved, &rest, &Value::Null).unwrap();
    let (saved, rest) = crate::checkpoint::read(folder.path()).unwrap();
    let mut again = learner(8);
    again.load(&saved, Some(&rest)).unwrap();
    for own in [&mut whole, &mut again] {
        while !own.done() {
            own.advance().unwrap();
        }
    }
    assert_eq!(WorldModel::world(&whole), WorldModel::world(&again));
    assert_eq!(whole.progress, again.progress);
}

#[test]
fn what_cannot_be_learned_is_refused() {
    let (spec, episodes) = episodes(10);
    let new = |spec: &Spec, n: usize, config: Config| {
        WorldModel::new(config, spec, &episodes[..n], [1, 1], 1).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(new(&spec, 2, Config::default()).contains("none to learn from"));
    assert!(new(&Spec { agents: 2, ..spec.clone() }, 10, Config::default()).contains("2 agents"));
    assert!(new(&Spec { masked: true, ..spec.clone() }, 10, Config::default()).contains("forbid"));
    assert!(new(&spec, 10, Config { test: 0.8, validation: 0.5, ..Config::default() }).contains("nothing to learn"));
}
