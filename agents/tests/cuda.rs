//! Where there is a CUDA device, agents and networks of data learn on it, and their first updates are the CPU's to rounding. (DQN's at most 127:
//! then the CPU gives hidden units another order.)
//!
//! Tests do not look for libtorch's CUDA half as the binary does: `LD_PRELOAD=libtorch_cuda.so` loads it.

use agon_agents::Device;
use agon_agents::data::Raw;
use agon_agents::data::dataset::{DataSettings, Dataset};
use agon_agents::pictures::Pictures;
use agon_agents::pictures::dataset::{self, Given, PictureSet, PictureSettings};
use agon_agents::registry::{self, Data, DataStart};
use agon_agents::train::{Part, Start, Training};
use agon_core::Game;
use agon_core::game::Turn;
use agon_core::rng::{Rng, Stream};
use agon_envs::games::tic_tac_toe::TicTacToe;
use agon_search::guided::{Guided, GuidedSettings, NoNetworks};
use agon_search::player::Player;
use agon_search::registry::from_words;
use serde_json::{Map, Value, json};
use std::sync::Arc;

fn device() -> Device {
    assert!(agon_agents::cuda_is_available(), "there is no CUDA device");
    Device::Cuda(0)
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
#[ignore = "needs a CUDA device: make test-cuda"]
fn cuda_does_what_the_cpu_does() {
    let device = device();
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
#[ignore = "needs a CUDA device: make test-cuda"]
fn cuda_trains_alphazero() {
    let device = device();
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

/// Two classes of rows with numbers, labels and words; the first column says most.
fn rows(n: usize) -> Raw {
    let mut rng = Rng::new(2, Stream::Env, 0);
    let mut raw = Raw::new(["x", "z", "label", "note", "y"].map(String::from).to_vec(), false);
    for line in 0..n as u64 {
        let class = rng.below(2);
        let word = if rng.below(10) < 8 { ["cheap", "dear"][class as usize] } else { "plain" };
        let cells = [
            format!("{:.4}", rng.normal() + 2.0 * f64::from(class)),
            format!("{:.4}", rng.normal()),
            format!("l{}", rng.below(40)),
            format!("a {word} thing number {line} that nobody else has, and more words than a label would have"),
            ["no", "yes"][class as usize].to_owned(),
        ];
        raw.push(line + 2, cells.each_ref().map(String::as_str));
    }
    raw
}

fn of_data(kind: &str, settings: &Value, data: Data, steps: u64, device: Device) -> Box<dyn Training> {
    agon_agents::set_threads(1);
    let model = registry::find_model(kind).unwrap();
    assert!(model.on_device, "{kind}");
    let settings = model.resolve(settings.as_object().unwrap()).unwrap();
    model.start(&settings, DataStart { data, steps, seed: 1, device }).unwrap()
}

fn value(training: &dyn Training, name: &str) -> f64 {
    let found = training.examine(Part::Test, 1);
    found[0].metrics.iter().find(|metric| metric.name == name).unwrap().value
}

/// How far two weights are from each other, as a share of how far the first ones have come.
fn apart(fresh: &[f32], one: &[f32], other: &[f32]) -> f64 {
    assert!(fresh.len() == one.len() && one.len() == other.len());
    let length = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    length(one, other) / length(fresh, one)
}

/// Networks of tables on a device: one epoch without dropout is the CPU's to rounding; with dropout, in float32 and in
/// bfloat16, they learn; and a save of the device goes on on the CPU and answers there the same.
fn tables_on(device: Device) {
    let raw = rows(600);
    let data = || {
        let set = DataSettings { target: "y".into(), ..DataSettings::default() };
        Data::Table(Box::new(Dataset::new(&raw, &set).unwrap()))
    };
    let small = json!({"width": 16, "layers": 1, "heads": 2, "minibatch": 64});
    let text = json!({"width": 16, "layers": 1, "heads": 2, "hidden": 32, "vocabulary": 300, "tokens": 24, "minibatch": 64, "learning_rate": 5e-3});
    let hidden = json!({"hidden": [32, 32], "minibatch": 64, "mixup": 0.2});
    for (kind, settings) in
        [("tabm", &hidden), ("realmlp", &hidden), ("ft-transformer", &small), ("text-encoder", &text)]
    {
        let with = |key: &str, value: Value| {
            let mut all = settings.clone();
            all[key] = value;
            all
        };
        let plain = with("dropout", json!(0.0));
        let [mut cpu, mut there] = [Device::Cpu, device].map(|device| of_data(kind, &plain, data(), 20, device));
        let fresh = weights(&*cpu);
        cpu.advance().unwrap();
        there.advance().unwrap();
        let off = apart(&fresh, &weights(&*cpu), &weights(&*there));
        assert!(off < 0.02, "{kind}: {off}");
        for precision in ["float32", "bfloat16"] {
            let mut own = of_data(kind, &with("precision", precision.into()), data(), 20, device);
            while !own.done() {
                own.advance().unwrap();
            }
            assert!(value(&*own, "accuracy") > 0.8, "{kind} {precision}: {}", value(&*own, "accuracy"));
            let (saved, rest) = own.save();
            let mut back = of_data(kind, settings, data(), 20, Device::Cpu);
            back.load(&saved, Some(&rest)).unwrap();
            let off = (value(&*back, "log_loss") - value(&*own, "log_loss")).abs();
            assert!(off < 1e-2, "{kind} {precision}: {off}");
        }
    }
}

/// A residual network, too: bars that go across or down.
fn pictures_on(device: Device) {
    let (side, n) = (10usize, 400usize);
    let mut rng = Rng::new(3, Stream::Env, 0);
    let mut bytes = Vec::new();
    for i in 0..n {
        let (across, at) = (i % 2 == 0, rng.below(side as u32) as usize);
        for place in 0..side * side {
            let lit = if across { place / side == at } else { place % side == at };
            bytes.push(if lit { 200 } else { 0 } + rng.below(40) as u8);
        }
    }
    let raw = dataset::Raw {
        file: "bars".into(),
        pictures: Pictures { bytes, size: [side, side, 1] },
        labels: (0..n).map(|i| Some(["across", "down"][i % 2].into())).collect(),
        names: (0..n).map(|i| i.to_string()).collect(),
        parts: (0..n).map(|i| [Given::Train, Given::Train, Given::Validation, Given::Test][i / 2 % 4]).collect(),
        findings: Vec::new(),
    };
    let set = Arc::new(PictureSet::new(raw, &PictureSettings::default()).unwrap());
    for precision in ["float32", "bfloat16"] {
        let settings = json!({"widths": [8, 16], "minibatch": 32, "precision": precision});
        let start = |device| of_data("cnn", &settings, Data::Pictures(set.clone()), 8, device);
        let mut own = start(device);
        while !own.done() {
            own.advance().unwrap();
        }
        assert!(value(&*own, "accuracy") > 0.95, "{precision}: {}", value(&*own, "accuracy"));
        let (saved, rest) = own.save();
        let mut back = start(Device::Cpu);
        back.load(&saved, Some(&rest)).unwrap();
        assert!((value(&*back, "log_loss") - value(&*own, "log_loss")).abs() < 1e-2);
    }
}

/// An autoencoder and a variational one.
fn codes_on(device: Device) {
    let raw = rows(400);
    for kind in ["autoencoder", "vae"] {
        let set = DataSettings { drop: vec!["note".into()], ..DataSettings::default() };
        let data = || Data::Table(Box::new(Dataset::unlabelled(&raw, &set).unwrap()));
        let settings = json!({"latent": 2, "hidden": [8], "patience": 0});
        let [mut cpu, mut there] = [Device::Cpu, device].map(|device| of_data(kind, &settings, data(), 3, device));
        let fresh = weights(&*cpu);
        while !cpu.done() {
            cpu.advance().unwrap();
            there.advance().unwrap();
        }
        let off = apart(&fresh, &weights(&*cpu), &weights(&*there));
        assert!(off < 0.02, "{kind}: {off}");
        let [here, there] = [&cpu, &there].map(|own| value(&**own, "squared_error"));
        assert!((here / there - 1.0).abs() < 0.01, "{kind}: {here} {there}");
    }
}

/// What the tests of a device ask for, asked of the CPU.
#[test]
fn models_of_data_learn_on_the_cpu() {
    tables_on(Device::Cpu);
    pictures_on(Device::Cpu);
    codes_on(Device::Cpu);
}

#[test]
#[ignore = "needs a CUDA device: make test-cuda"]
fn cuda_trains_models_of_data() {
    tables_on(device());
    pictures_on(device());
    codes_on(device());
}
