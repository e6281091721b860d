//! Where there is a CUDA device, PPO learns on it, and its first update is the CPU's to rounding.

use agon_agents::Device;
use agon_agents::registry::{self, Start};
use agon_agents::train::Training;
use serde_json::{Map, json};

fn trainer(device: Device, steps: u64) -> Box<dyn Training> {
    let env = agon_envs::find("classic/cartpole").unwrap().build(&Map::new(), 8, 1).unwrap();
    let settings = json!({"rollout_steps": 32, "epochs": 4});
    let start = Start { env, game: None, seed: 1, steps, device, threads: 1, env_threads: 1 };
    registry::find("ppo").unwrap().start(settings.as_object().unwrap(), start).unwrap()
}

fn weights(training: &dyn Training) -> Vec<f32> {
    let (saved, _) = training.save();
    let mut all = Vec::new();
    for (_, tensor) in &saved.tensors {
        let mut numbers = vec![0.0; tensor.numel()];
        agon_agents::bridge::read_f32(tensor, &mut numbers);
        all.extend(numbers);
    }
    all
}

#[test]
fn cuda_does_what_the_cpu_does() {
    if !agon_agents::cuda_is_available() {
        eprintln!("skipped: no CUDA device");
        return;
    }
    let (mut cpu, mut cuda) = (trainer(Device::Cpu, 256), trainer(Device::Cuda(0), 256));
    cpu.advance().unwrap();
    cuda.advance().unwrap();
    for (a, b) in weights(&*cpu).iter().zip(weights(&*cuda)) {
        assert!((a - b).abs() < 2e-3, "{a} {b}");
    }
    let mut long = trainer(Device::Cuda(0), 40_000);
    while !long.done() {
        long.advance().unwrap();
    }
    assert!(long.take_episodes().high >= 200.0, "nothing was learnt on the device");
}
