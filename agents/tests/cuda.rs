//! Where there is a CUDA device, agents learn on it, and their first updates are the CPU's to rounding. (DQN's at most 127:
//! then the CPU gives hidden units another order.)
//!
//! Tests do not look for libtorch's CUDA half as the binary does: `LD_PRELOAD=libtorch_cuda.so` loads it.

use agon_agents::Device;
use agon_agents::registry;
use agon_agents::train::{Start, Training};
use agon_core::Game;
use agon_core::game::Turn;
use agon_core::rng::{Rng, Stream};
use agon_envs::games::tic_tac_toe::TicTacToe;
use agon_search::guided::{Guided, GuidedSettings, NoNetworks};
use agon_search::player::Player;
use agon_search::registry::from_words;
use serde_json::{Map, Value, json};

fn device() -> Option<Device> {
    let there = agon_agents::cuda_is_available();
    if !there {
        eprintln!("skipped: no CUDA device");
    }
    there.then_some(Device::Cuda(0))
}

fn trainer(kind: &str, settings: &Value, device: Device, steps: u64) -> Box<dyn Training> {
    let env = agon_envs::find("classic/cartpole").unwrap().build(&Map::new(), 8, 1).unwrap();
    let start = Start { env, game: None, seed: 1, steps, device, threads: 1, env_threads: 1 };
    registry::find(kind).unwrap().start(settings.as_object().unwrap(), start).unwrap()
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
    let Some(device) = device() else { return };
    let ppo = json!({"rollout_steps": 32, "epochs": 4});
    let dqn =
        json!({"hidden": [32, 32], "learning_starts": 64, "train_every": 64, "gradient_steps": 8, "double": true});
    for (kind, settings) in [("ppo", ppo), ("dqn", dqn)] {
        let (mut cpu, mut cuda) = (trainer(kind, &settings, Device::Cpu, 256), trainer(kind, &settings, device, 256));
        let fresh = weights(&*cpu);
        while !cpu.done() {
            cpu.advance().unwrap();
            cuda.advance().unwrap();
        }
        let (here, there) = (weights(&*cpu), weights(&*cuda));
        assert!(fresh != here, "{kind} learned something");
        for (a, b) in here.iter().zip(there) {
            assert!((a - b).abs() < 2e-3, "{kind}: {a} {b}");
        }
    }
    let mut long = trainer("ppo", &json!({"rollout_steps": 32, "epochs": 4}), device, 40_000);
    while !long.done() {
        long.advance().unwrap();
    }
    assert!(long.take_episodes().high >= 200.0, "nothing was learnt on the device");
}

/// Self-play on a device, in the numbers that it is fast at, up to play without a mistake.
#[test]
fn alphazero_learns_on_cuda() {
    let Some(device) = device() else { return };
    let game = TicTacToe::new(Default::default()).unwrap();
    let env = agon_envs::find("games/tic-tac-toe").unwrap().build(&Map::new(), 128, 1).unwrap();
    let set = json!({"width": 32, "blocks": 2, "simulations": 24, "opening_plies": 2, "moves": 2048, "window": 20_000});
    let start = Start { env, game: Some(&game), seed: 1, steps: 40_000, device, threads: 2, env_threads: 2 };
    let mut training = registry::find("alphazero").unwrap().start(set.as_object().unwrap(), start).unwrap();
    while !training.done() {
        training.advance().unwrap();
    }
    let set = GuidedSettings { simulations: 24, ..GuidedSettings::default() };
    let learned: Box<dyn Player<TicTacToe>> = Box::new(Guided::new(&game, set, training.network().unwrap()).unwrap());
    let mut players = [learned, from_words(&game, "minimax:depth=9,random_ties=true", &NoNetworks).unwrap()];
    let mut rng = Rng::new(1, Stream::Player, 0);
    for round in 0..40 {
        let mut state = Default::default();
        game.start(&mut state);
        while let Turn::Player(mover) = game.turn(&state) {
            let action = players[(mover + round) % 2].choose(&game, &state, &mut rng).unwrap();
            game.play(&mut state, action);
        }
        let mut returns = [0.0; 2];
        game.returns(&state, &mut returns);
        assert!(returns[round % 2] >= 0.0, "lost game {round}");
    }
}
