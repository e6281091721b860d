//! A linear system in closed form, gradients, exact resume, what is refused.

use super::transitions::outcome_inputs;
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
    let mut sum = 0.0;
    for member in &world.members {
        let (mut x, mut y) = ([0f32; agon_core::world::WIDEST], [0f32; agon_core::world::WIDEST]);
        x[..2].copy_from_slice(&input);
        World::forward(&member.change, &mut x, &mut y);
        sum += y[0] / 3.0;
    }
    assert!((sum - means[0]).abs() < 1e-4, "{sum} {means:?}");
    let change = world.output.mean[0] + world.output.deviation[0] * means[0];
    assert!((change - 0.25).abs() < 0.05, "{change}");
}

#[test]
fn gradients_are_those_of_differences() {
    let check = |out: &[f32], loss: &dyn Fn(&[f32], Option<(&mut [f32], f64)>) -> f64| {
        let mut at = vec![0f32; out.len()];
        let _ = loss(out, Some((&mut at, 1.0)));
        for k in 0..out.len() {
            let moved = |by: f32| {
                let mut out = out.to_vec();
                out[k] += by;
                loss(&out, None)
            };
            let right = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((f64::from(at[k]) - right).abs() < 1e-3, "{k}: {} {right}", at[k]);
        }
    };
    let values = [vec![], vec![-2.0, -1.0, 0.0]];
    check(&[0.3, -0.8, 0.5, -1.5, 0.7], &|out, at| loss::of_change(&values, out, &[0.9, -0.2], &[0, 2], at));
    check(&[0.3, -0.8], &|out, at| loss::of_reward(out, 0.9, at));
    for ended in [true, false] {
        check(&[0.7], &|out, at| loss::of_end(out, ended, at));
    }
}

/// A shop with three units sells one a period with probability 0.9 − 0.2 a at the price 1 + a. The episode ends when the
/// stock does.
#[test]
fn a_shop_is_learned_unit_by_unit() {
    let stock = vec![Field::new("stock", "", 0.0, 3.0)];
    let spec = Spec::new(stock, ActionSpec::Discrete { labels: ["0", "1", "2", "3"].map(String::from).to_vec() }, 40);
    let mut rng = Rng::new(3, Stream::Env, 0);
    let episode = |_| {
        let (mut one, mut left) = (Demonstration::new(&spec.action), 3u32);
        while left > 0 && one.rewards.len() < 40 {
            let a = rng.below(4);
            one.obs.push(left as f32);
            one.actions.extend(Actions::Discrete(&[a.into()]));
            let sold = rng.f64() < 0.9 - 0.2 * f64::from(a);
            left -= u32::from(sold);
            one.rewards.push(if sold { 1.0 + a as f32 } else { 0.0 });
        }
        one.terminated = left == 0;
        one.last.push(left as f32);
        one
    };
    let episodes: Vec<Demonstration> = (0..600).map(episode).collect();
    let config = Config { hidden: vec![32, 32], members: 2, minibatch: 32, ..Config::default() };
    let mut own = WorldModel::new(config, &spec, &episodes, [40, 1], 2).unwrap();
    while !own.done() {
        own.advance().unwrap();
    }
    let world = WorldModel::world(&own);
    world.check().unwrap();
    assert_eq!(world.values, [vec![-1.0, 0.0]]);
    // Expected changes are the probabilities; the reward is the price of what was sold, and the last unit ends it.
    for member in &world.members {
        for a in 0..4 {
            for stock in 1..=3 {
                let mut x = vec![stock as f32, 0.0, 0.0, 0.0, 0.0];
                x[1 + a] = 1.0;
                let both = world.input.mean.iter().zip(&world.input.deviation);
                x.iter_mut().zip(both).for_each(|(x, (mean, deviation))| *x = (*x - mean) / deviation);
                let outputs = |layers: &[Layer], from: &[f32]| {
                    let (mut x, mut y) = ([0f32; agon_core::world::WIDEST], [0f32; agon_core::world::WIDEST]);
                    x[..from.len()].copy_from_slice(from);
                    World::forward(layers, &mut x, &mut y);
                    y
                };
                let scores = outputs(&member.change, &x);
                let sold = 1.0 / (1.0 + (scores[1] - scores[0]).exp());
                assert!((sold - (0.9 - 0.2 * a as f32)).abs() < 0.1, "{stock} {a}: {sold}");
                for (change, reward) in [(-1.0, 1.0 + a as f32), (0.0, 0.0)] {
                    let mut next = Vec::new();
                    let unit = (change - world.output.mean[0]) / world.output.deviation[0];
                    outcome_inputs(&world, &x, &[unit], &mut next);
                    let out = outputs(&member.reward, &next);
                    let found = world.output.mean[1] + world.output.deviation[1] * out[0];
                    assert!((found - reward).abs() < 0.1, "{stock} {a} {change}: {found}");
                    let logit = outputs(&member.end, &next)[0];
                    assert_eq!(logit > 0.0, stock == 1 && change < 0.0, "{stock} {a} {change}: {logit}");
                    assert!(logit.abs() > 4.0, "{stock} {a} {change}: {logit}");
                }
            }
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
