//! Closed forms, exact resume, what is refused.

use super::*;
use crate::checkpoint;
use agon_core::spec::ActionSpec;
use agon_core::{ActionBuf, Actions};
use serde_json::Map;
use tch::Device;

fn cloning(env: &str, set: Config, episodes: &[Demonstration], steps: u64) -> Result<Cloning, AgentError> {
    let env = agon_envs::find(env).unwrap().build(&Map::new(), 1, 1).unwrap();
    let start = Start { env, game: None, seed: 1, steps, device: Device::Cpu, threads: 1, env_threads: 1 };
    Cloning::new(set, &start, episodes)
}

/// Episodes in which nothing is seen: `obs_len` zeros a step.
fn blind(obs_len: usize, actions: &ActionBuf, episodes: usize) -> Vec<Demonstration> {
    let obs = vec![0.0; obs_len * actions.len()];
    vec![Demonstration { obs, mask: Vec::new(), actions: actions.clone() }; episodes]
}

fn finish(cloning: &mut Cloning) {
    while !cloning.done() {
        cloning.advance().unwrap();
    }
}

/// Where nothing is seen the best policy is known: choices as often as they were taken, with the entropy of that as
/// log loss; numbers with their mean and deviation, ½ ln(2πe σ²).
#[test]
fn a_policy_without_inputs_is_the_closed_form() {
    let set = Config { normalize_observation: false, learning_rate: 1e-2, patience: 100, ..Config::default() };
    let mut choices =
        cloning("classic/cartpole", set.clone(), &blind(4, &ActionBuf::Discrete(vec![1, 0, 1, 1]), 8), 600).unwrap();
    finish(&mut choices);
    let [log_loss, agreement] = &choices.examine(Part::Test, 1)[0].metrics[..] else { panic!() };
    let entropy = -(0.75f64 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
    assert!((log_loss.value - entropy).abs() < 1e-4, "{} {entropy}", log_loss.value);
    assert_eq!(agreement.value, 0.75);

    // Torques of ±2 are ±1 here: 0.2 ± 0.4 as mean and deviation.
    let torques = ActionBuf::Continuous(vec![1.2, -0.4, 1.2, -0.4]);
    let mut numbers = cloning("classic/pendulum", set.clone(), &blind(3, &torques, 8), 2000).unwrap();
    finish(&mut numbers);
    let [log_loss, squared] = &numbers.examine(Part::Test, 1)[0].metrics[..] else { panic!() };
    let entropy = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E * 0.16f64).ln();
    assert!((log_loss.value - entropy).abs() < 1e-3, "{} {entropy}", log_loss.value);
    assert!((squared.value - 0.16).abs() < 1e-3, "{}", squared.value);
    let set = Config { loss: Loss::Squared, ..set };
    let mut squared = cloning("classic/pendulum", set, &blind(3, &torques, 8), 2000).unwrap();
    finish(&mut squared);
    assert!((squared.examine(Part::Test, 1)[0].metrics[1].value - 0.16).abs() < 1e-3);
}

/// Through tanh, the deviation is that of the numbers before it; squared error is that of the actions.
#[test]
fn a_squashed_policy_without_inputs_is_the_closed_form() {
    let set = Config {
        policy: Form::Squashed,
        activation: Activation::Relu,
        normalize_observation: false,
        learning_rate: 1e-2,
        patience: 100,
        ..Config::default()
    };
    // Torques of ±2 are ±1 here: 0.8 and −0.2.
    let torques = ActionBuf::Continuous(vec![1.6, -0.4, 1.6, -0.4]);
    let mut likely = cloning("classic/pendulum", set.clone(), &blind(3, &torques, 8), 3000).unwrap();
    finish(&mut likely);
    let [log_loss, _] = &likely.examine(Part::Test, 1)[0].metrics[..] else { panic!() };
    let [a, b] = [0.8f64.atanh(), (-0.2f64).atanh()];
    let entropy = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E * (0.5 * (a - b)).powi(2)).ln();
    assert!((log_loss.value - entropy).abs() < 2e-3, "{} {entropy}", log_loss.value);
    let set = Config { loss: Loss::Squared, ..set };
    let mut squared = cloning("classic/pendulum", set.clone(), &blind(3, &torques, 8), 3000).unwrap();
    finish(&mut squared);
    // Around their mean, 0.3.
    assert!((squared.examine(Part::Test, 1)[0].metrics[1].value - 0.25).abs() < 2e-3);

    for wrong in [Config { activation: Activation::Tanh, ..set.clone() }, Config { shared_trunk: true, ..set.clone() }]
    {
        let refused = cloning("classic/pendulum", wrong, &blind(3, &torques, 8), 1).err().unwrap();
        assert!(refused.to_string().contains("activation"), "{refused}");
    }
    let choices = cloning("classic/cartpole", set, &blind(4, &ActionBuf::Discrete(vec![1]), 8), 1).err().unwrap();
    assert!(choices.to_string().contains("continuous"), "{choices}");
}

/// A rule that depends on what is seen, with noise in some of the actions: it is found again in episodes that were
/// not learned from, and no longer run is any worse, since the best weights are kept.
#[test]
fn it_ends_early_with_the_best_weights_and_resumes_in_the_same_bits() {
    let mut rng = Rng::new(3, Stream::Act, 0);
    let mut episode = || {
        let mut one = Demonstration::new(&ActionSpec::discrete(0..2));
        for _ in 0..50 {
            let seen: Vec<f32> = (0..4).map(|_| rng.normal() as f32).collect();
            let right = (seen[0] + seen[2] > 0.0) != (rng.f64() < 0.1);
            one.actions.extend(Actions::Discrete(&[i64::from(right)]));
            one.obs.extend(seen);
        }
        one
    };
    let episodes: Vec<_> = (0..40).map(|_| episode()).collect();
    let set = Config { learning_rate: 3e-3, minibatch: 64, patience: 5, ..Config::default() };
    let new = || cloning("classic/cartpole", set.clone(), &episodes, 100_000).unwrap();
    let mut whole = new();
    finish(&mut whole);
    assert!(whole.step() < 100_000 && whole.progress.since == 5);
    let log_loss = whole.examine(Part::Validation, 1)[0].metrics[0].value;
    assert_eq!(Some(log_loss), whole.progress.best);
    let agreement = &whole.examine(Part::Test, 1)[0].metrics[1];
    assert!(agreement.value > 0.8 && agreement.interval.is_some(), "{agreement:?}");

    let folder = tempfile::tempdir().unwrap();
    for stop_after in [0, 3, 40] {
        let mut half = new();
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= stop_after;
        while half.advance_until(&stop).unwrap().is_some() {}
        assert_eq!(half.step() as usize, stop_after, "in the middle of a pass");
        let (saved, rest) = half.save();
        let path = folder.path().join(stop_after.to_string());
        checkpoint::write(&path, &saved, &rest, &Value::Null).unwrap();
        let (saved, rest) = checkpoint::read(&path).unwrap();
        let mut again = new();
        again.load(&saved, Some(&rest)).unwrap();
        finish(&mut again);
        let bits = |c: &Cloning| {
            c.save()
                .0
                .tensors
                .iter()
                .map(|(_, t)| format!("{:?}", Vec::<f64>::try_from(t.view(-1).to_kind(Kind::Double))))
                .collect::<Vec<_>>()
        };
        assert!(bits(&again) == bits(&whole) && again.progress == whole.progress, "stopped after {stop_after}");
    }
    let (saved, rest) = whole.save();
    let mut other = cloning("classic/cartpole", set.clone(), &episodes[1..], 100).unwrap();
    assert!(other.load(&saved, Some(&rest)).unwrap_err().to_string().contains("episodes"));
}

#[test]
fn too_few_episodes_are_refused() {
    let of = |n: usize| {
        cloning("classic/cartpole", Config::default(), &blind(4, &ActionBuf::Discrete(vec![1]), n), 1).err().unwrap()
    };
    assert!(of(0).to_string().contains("no recorded episodes"));
    assert!(of(2).to_string().contains("leave none to learn from"));
    let set = Config { validation: 0.6, test: 0.6, ..Config::default() };
    assert!(matches!(cloning("classic/cartpole", set, &[], 1), Err(AgentError::Settings(_))));
}
