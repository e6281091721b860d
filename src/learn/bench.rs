//! `agon bench`: the speeds that docs/benchmarks.md quotes, measured on this machine.

use crate::device;
use agon::cli;
use agon::{Failure, Outcome};
use agon_agents::Device;
use agon_agents::agent::NEVER;
use agon_agents::data::encode::Matrix;
use agon_agents::registry;
use agon_agents::replay::{self, Batch, Priorities, Replay};
use agon_agents::supervised::mlp::{self, Mlp};
use agon_agents::supervised::{Examples, Learner};
use agon_agents::train::{Start, Training};
use agon_agents::unsupervised::kmeans;
use agon_core::contract::Harness;
use agon_core::game::{self, Visit};
use agon_core::rng::Stream;
use agon_core::thread_pool::ThreadPool;
use agon_core::{Actions, Game, Rng};
use agon_envs::games;
use agon_search::Player;
use agon_search::mcts::{Mcts, MctsSettings};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Steps a second under random actions that are drawn on the way, one thread.
pub fn stepping(id: &str, envs: usize, seconds: f64) -> Outcome<f64> {
    let entry = agon_envs::find(id).map_err(|e| Failure::Input(e.to_string()))?;
    let env = entry.build(&Map::new(), envs, 1).map_err(|e| Failure::Input(e.to_string()))?;
    let mut h = Harness::new(env, 1);
    let mut run = |seconds: f64| {
        let (start, mut steps) = (Instant::now(), 0u64);
        while start.elapsed().as_secs_f64() < seconds {
            for _ in 0..64 {
                h.choose();
                h.step();
            }
            steps += 64 * envs as u64;
        }
        steps as f64 / start.elapsed().as_secs_f64()
    };
    run(seconds * 0.2);
    Ok(run(seconds))
}

/// Random games a second from the beginning, one thread.
struct Playouts(f64);

impl Visit for Playouts {
    type Out = f64;

    fn visit<G: Game>(self, game: G) -> f64 {
        let (from, mut rng) = (game::start(&game), Rng::new(1, Stream::Eval, 0));
        let mut state = from.clone();
        let mut run = |seconds: f64| {
            let (start, mut games) = (Instant::now(), 0u64);
            while start.elapsed().as_secs_f64() < seconds {
                for _ in 0..16 {
                    state.clone_from(&from);
                    game::playout(&game, &mut state, &mut rng);
                }
                games += 16;
            }
            games as f64 / start.elapsed().as_secs_f64()
        };
        run(self.0 * 0.2);
        run(self.0)
    }
}

fn playouts(id: &str) -> Outcome<f64> {
    games::visit(id, &Map::new(), Playouts(1.0)).map_err(|e| Failure::Input(e.to_string()))
}

/// Simulations a second of a tree search from the beginning, 2,000 a search, one thread, with OpenSpiel's constant.
struct Simulations(f64);

impl Visit for Simulations {
    type Out = Outcome<f64>;

    fn visit<G: Game>(self, game: G) -> Outcome<f64> {
        let set = MctsSettings { simulations: 2000, exploration: 2.0, ..Default::default() };
        let mut player = Mcts::new(&game, set).map_err(|e| Failure::Internal(e.to_string()))?;
        let (from, mut rng) = (game::start(&game), Rng::new(1, Stream::Eval, 0));
        let mut run = |seconds: f64| {
            let (start, mut searches) = (Instant::now(), 0u64);
            while start.elapsed().as_secs_f64() < seconds {
                // A tree search has no faults.
                let _ = player.choose(&game, &from, &mut rng);
                searches += 1;
            }
            (2000 * searches) as f64 / start.elapsed().as_secs_f64()
        };
        run(self.0 * 0.2);
        Ok(run(self.0))
    }
}

fn simulations(id: &str) -> Outcome<f64> {
    games::visit(id, &Map::new(), Simulations(1.0)).map_err(|e| Failure::Input(e.to_string()))?
}

/// PPO's settings on CartPole as others publish them: `(envs, settings)`.
fn published(name: &str) -> (usize, Value) {
    match name {
        "rl-zoo" => (
            8,
            json!({"rollout_steps": 32, "minibatch": 256, "epochs": 20, "gamma": 0.98, "gae_lambda": 0.8,
                   "learning_rate": 1e-3, "clip_range_schedule": "linear",
                   "normalize_observation": false, "normalize_reward": false}),
        ),
        _ => (
            4,
            json!({"rollout_steps": 128, "minibatch": 128, "epochs": 4, "gamma": 0.99, "gae_lambda": 0.95,
                   "learning_rate": 2.5e-4, "entropy_coef": 0.01,
                   "normalize_observation": false, "normalize_reward": false}),
        ),
    }
}

/// A training of an agent with these settings in so many environments.
fn training(
    (kind, id): (&str, &str),
    envs: usize,
    settings: &Value,
    steps: u64,
    threads: usize,
) -> Outcome<Box<dyn Training>> {
    agon_agents::set_threads(threads);
    let entry = agon_envs::find(id).map_err(|e| Failure::Internal(e.to_string()))?;
    let env = entry.build(&Map::new(), envs, 1).map_err(|e| Failure::Internal(e.to_string()))?;
    let agent = registry::find(kind).map_err(|_| Failure::Internal(format!("no {kind}")))?;
    let settings = settings.as_object().cloned().unwrap_or_default();
    let begin = Start { env, game: None, seed: 1, steps, device: Device::Cpu, threads, env_threads: 1 };
    agent.start(&settings, begin).map_err(|e| Failure::Internal(e.to_string()))
}

/// Gradient steps a second of DQN with rl-zoo3's settings for CartPole: two hidden layers of 256, minibatches of 64.
fn gradient_steps(threads: usize) -> Outcome<f64> {
    let settings = json!({"learning_rate": 2.3e-3, "train_every": 256, "gradient_steps": 128, "minibatch": 64,
                          "target_every": 10, "double": false});
    let mut trainer = training(("dqn", "classic/cartpole"), 1, &settings, 20_000, threads)?;
    let mut bouts = 0;
    while !trainer.done() {
        if !trainer.advance().map_err(|e| Failure::Internal(e.to_string()))?.is_empty() {
            bouts += 1;
        }
    }
    Ok(f64::from(128 * bouts) / trainer.take_times().learn.as_secs_f64())
}

/// Gradient steps a second of SAC or XQC: two hidden layers of 256, minibatches of 256.
fn soft_steps(kind: &str, threads: usize) -> Outcome<f64> {
    let settings = json!({"learning_starts": 1000, "memory": 20_000, "train_every": 100, "gradient_steps": 100});
    let mut trainer = training((kind, "classic/pendulum"), 1, &settings, 3000, threads)?;
    let mut bouts = 0;
    while !trainer.done() {
        if !trainer.advance().map_err(|e| Failure::Internal(e.to_string()))?.is_empty() {
            bouts += 1;
        }
    }
    Ok(f64::from(100 * bouts) / trainer.take_times().learn.as_secs_f64())
}

/// Microseconds to draw 256 of a million prioritized transitions of CartPole and to give them new priorities.
fn prioritized() -> Outcome<f64> {
    let entry = agon_envs::find("classic/cartpole").map_err(|e| Failure::Internal(e.to_string()))?;
    let env = entry.build(&Map::new(), 1, 1).map_err(|e| Failure::Internal(e.to_string()))?;
    let (spec, rows) = (env.spec(), 64);
    let priorities = Priorities { exponent: 0.6, floor: 1e-6 };
    let mut replay = Replay::new(spec, rows, 1_000_000, 1, 0.99, Some(priorities));
    let (obs, flags, action, reward) =
        (vec![0.5; rows * spec.obs_len()], vec![false; rows], vec![0; rows], vec![1.0; rows]);
    replay.begin(&obs, &[]);
    for _ in 0..1_000_000 / rows {
        let (terminated, truncated) = (&flags, &flags);
        replay.end(replay::StepOutcome {
            action: Actions::Discrete(&action),
            reward: &reward,
            terminated,
            truncated,
            final_obs: &obs,
            final_mask: &[],
        });
        replay.begin(&obs, &[]);
    }
    let (mut batch, mut rng) = (Batch::new(spec, 256), Rng::new(1, Stream::Shuffle, 0));
    let mut errors = vec![0f32; 256];
    let mut run = |times: u32| {
        let start = Instant::now();
        for _ in 0..times {
            replay.sample(&mut rng, 0.4, &mut batch);
            errors.iter_mut().for_each(|e| *e = rng.f32());
            replay.update(&batch.places, &errors);
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(times)
    };
    run(5000); // priorities become different
    Ok(run(20_000))
}

/// Steps a second of PPO's whole training loop on CartPole, two separate networks of 64×64 tanh.
pub fn learning(name: &str, steps: u64) -> Outcome<f64> {
    let (envs, settings) = published(name);
    let mut trainer = training(("ppo", "classic/cartpole"), envs, &settings, steps, 1)?;
    let start = Instant::now();
    while !trainer.done() {
        trainer.advance().map_err(|e| Failure::Internal(e.to_string()))?;
    }
    Ok(trainer.step() as f64 / start.elapsed().as_secs_f64())
}

/// Milliseconds of 20 iterations of k-means, several starts in the same cluster: a million rows of 16 numbers, 64 clusters,
/// all cores.
fn clustering() -> Outcome<f64> {
    let (rows, width, clusters) = (1_000_000, 16, 64);
    let mut rng = Rng::new(1, Stream::Env, 0);
    let middle: Vec<f64> = (0..clusters * width).map(|_| 2.0 * rng.normal()).collect();
    let x = (0..rows * width).map(|i| middle[i / width % clusters * width + i % width] + rng.normal()).collect();
    let x = Matrix { x, width };
    let pool = ThreadPool::on_all_cores();
    let centres = (0..clusters).flat_map(|c| x.row(4 * c).to_vec()).collect();
    let start = Instant::now();
    let found = kmeans::lloyd(&x, centres, 20, 0.0, &pool, NEVER);
    found.map_err(|e| Failure::Internal(e.to_string()))?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// Milliseconds of an epoch of a perceptron with two hidden layers of 128 over a million rows of 16 numbers in two classes, in
/// minibatches of so many, with dropout; all cores.
fn perceptron(minibatch: usize) -> Outcome<f64> {
    let (rows, width) = (1_000_000, 16);
    let mut rng = Rng::new(1, Stream::Env, 0);
    let x: Vec<f64> = (0..rows * width).map(|_| rng.normal()).collect();
    let y = x.chunks_exact(width).map(|row| f64::from(u8::from(row[0] * row[1] + row[2] > 0.0))).collect();
    let train = Examples { x: Matrix { x, width }, y, classes: 2, ..Examples::default() };
    let few = Examples {
        x: Matrix { x: train.x.x[..100 * width].to_vec(), width },
        y: train.y[..100].to_vec(),
        classes: 2,
        ..Examples::default()
    };
    let failed = |e: agon_agents::AgentError| Failure::Internal(e.to_string());
    let shape = agon_agents::supervised::Shape { inputs: width, classes: 2, steps: 1, seed: 1, device: Device::Cpu };
    let mut own = Mlp::new(mlp::Config { minibatch, ..mlp::Config::default() }, shape).map_err(failed)?;
    let start = Instant::now();
    own.advance(&train, &few, NEVER).map_err(failed)?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

type Measure = Box<dyn Fn() -> Outcome<f64>>;

fn all() -> Vec<(String, &'static str, Measure)> {
    let mut all: Vec<(String, &'static str, Measure)> = Vec::new();
    for envs in [1usize, 64, 1024, 8192] {
        let measure = move || stepping("classic/cartpole", envs, 1.0);
        all.push((format!("step/classic/cartpole x{envs}"), "steps/s", Box::new(measure)));
    }
    for entry in agon_envs::registry().into_iter().filter(|e| e.id != "classic/cartpole") {
        let measure = move || stepping(entry.id, 1024, 1.0);
        all.push((format!("step/{} x1024", entry.id), "steps/s", Box::new(measure)));
    }
    for id in games::NAMES {
        all.push((format!("playout/{id}"), "games/s", Box::new(move || playouts(id))));
    }
    for id in ["games/tic-tac-toe", "games/connect-four", "games/othello", "games/go", "games/chess"] {
        all.push((format!("mcts/{id}"), "simulations/s", Box::new(move || simulations(id))));
    }
    all.push(("ppo/cartpole rl-zoo".into(), "steps/s", Box::new(|| learning("rl-zoo", 100_000))));
    all.push(("ppo/cartpole cleanrl".into(), "steps/s", Box::new(|| learning("cleanrl", 200_000))));
    for threads in [1, 2] {
        let measure = move || gradient_steps(threads);
        all.push((format!("dqn/cartpole rl-zoo3 x{threads}"), "gradient steps/s", Box::new(measure)));
    }
    for (kind, threads) in [("sac", 1), ("sac", 2), ("xqc", 1), ("xqc", 2)] {
        let measure = move || soft_steps(kind, threads);
        all.push((format!("{kind}/pendulum x{threads}"), "gradient steps/s", Box::new(measure)));
    }
    all.push(("kmeans/1M x 16, 64 clusters".into(), "ms", Box::new(clustering)));
    for minibatch in [256, 4096] {
        let measure = move || perceptron(minibatch);
        all.push((format!("mlp/1M x 16, epoch, batch {minibatch}"), "ms", Box::new(measure)));
    }
    all.push(("replay/prioritized 256 of 1M".into(), "µs", Box::new(prioritized)));
    all
}

pub fn run(args: &cli::Bench) -> Outcome {
    let wanted = args.name.as_deref().unwrap_or("");
    let chosen: Vec<_> = all().into_iter().filter(|(name, ..)| name.contains(wanted)).collect();
    if chosen.is_empty() {
        let names: Vec<String> = all().into_iter().map(|b| b.0).collect();
        return Err(Failure::Input(format!(
            "no benchmark's name contains `{wanted}`; there are\n  {}",
            names.join("\n  ")
        )));
    }
    let mut results = Vec::new();
    for (name, unit, measure) in chosen {
        let mut values = (0..3).map(|_| measure()).collect::<Outcome<Vec<f64>>>()?;
        values.sort_by(f64::total_cmp);
        if !args.json.json {
            agon::say!("{name:<36} {:>14.0} {unit}  [{:.0} – {:.0}]", values[1], values[0], values[2]);
        }
        results.push(json!({"name": name, "unit": unit, "value": values[1], "low": values[0], "high": values[2]}));
    }
    if args.json.json {
        agon::say!("{}", json!({"machine": device::machine(), "results": results}));
    }
    Ok(())
}
