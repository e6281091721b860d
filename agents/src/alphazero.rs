//! AlphaZero (Silver et al. 2018) and its Gumbel variant (Danihelka et al. 2022): self-play by search, and a network
//! that learns the searched policies and the results of the games.
//!
//! Reading order: `Config`, `AlphaZero::advance`, `AlphaZero::update`. The searches and the games are
//! `agon_search::self_play`, the network is [`crate::board_net`].

use crate::agent::{AgentError, Inference, MOST_STEPS, Place, Saved, Stop, all_finite, go_on};
use crate::board_net::{BoardEvaluator, BoardNet, cross_entropy};
use crate::bridge::{host_slice, upload};
use crate::net::{Builder, Params};
use crate::optim::{Adam, Schedule, add, chunk_ends};
use crate::precision::Precision;
use crate::train::{Episodes, Start, Times, Training};
use agon_core::memory;
use agon_core::policy::Policy;
use agon_core::rng::{Rng, RngState, Stream};
use agon_core::settings::Issue;
use agon_core::thread_pool::ThreadPool;
use agon_core::{EpisodeEnd, GameSpec, Scene, Score};
use agon_search::Evaluate;
use agon_search::puct::{Noise, Rule, SearchSettings};
use agon_search::self_play::{Played, SelfPlay, SelfPlaySettings};
use serde_json::{Value, json};
use std::time::Instant;
use tch::{Device, Kind, Tensor};

agon_core::settings! {
    /// Hyperparameters. The number of parallel games is `train.envs`, of search threads `train.env_threads`; a step is
    /// a searched move.
    pub struct Config {
        /// Channels of the tower, or the width of hidden layers where observations are no board.
        width: usize = 64, in [1.0, 4096.0];
        /// Residual blocks, or hidden layers.
        blocks: usize = 3, in [0.0, 100.0];
        /// The numbers of the tower while games are played and learned from. A resumed run keeps it, on any machine;
        /// trained networks play in float32.
        precision: Precision = Precision::Auto;
        /// How a move is searched: puct or gumbel.
        rule: Rule = Rule::Gumbel;
        /// Simulations a move.
        simulations: u32 = 32, in [1.0, 1e6];
        /// Gumbel: moves considered at the root.
        considered: u32 = 16, in [1.0, 10_000.0];
        /// Gumbel: c_visit of the paper.
        visit_offset: f64 = 50.0, in [0.0, 1e6];
        /// Gumbel: c_scale of the paper, for values from 0 to 1.
        value_scale: f64 = 1.0, in [0.0, 1e6];
        /// PUCT: weight of the prior.
        exploration: f64 = 1.5, in [0.0, 100.0];
        /// PUCT: the share of Dirichlet noise at the root.
        noise_share: f64 = 0.25, in [0.0, 1.0];
        /// PUCT: concentration of the noise, times the number of moves.
        noise_alpha: f64 = 10.0, in [1e-3, 1e4];
        /// A game with a random opening begins with a random number of random plies, at most so many.
        opening_plies: u32 = 0, in [0.0, 1e4];
        /// The share of games with a random opening.
        opening_share: f64 = 1.0, in [0.0, 1.0];
        /// Moves of a game that are drawn from the searched policy; later ones are the best.
        draw_plies: u32 = 8, in [0.0, 1e6];
        /// The share of the search's value in the value's target, beside the game's result.
        value_blend: f64 = 0.5, in [0.0, 1.0];
        /// A player resigns when its value is below this, if given.
        resign_below: Option<f64> = None, in [-1.0, 0.0];
        /// The share of games without resignation, to measure how often resigning would have been wrong.
        resign_never: f64 = 0.1, in [0.0, 1.0];
        /// Positions of the window that is learned from.
        window: usize = 100_000, in [1.0, 1e9];
        /// Searched moves between updates of the network that searches.
        moves: u64 = 4096, in [1.0, 1e9];
        /// How often a position is learned from, on average.
        passes: f64 = 4.0, in [0.0, 1000.0];
        /// Positions of a minibatch.
        minibatch: usize = 256, in [1.0, 1e6];
        /// Adam's step size.
        learning_rate: f64 = 2e-3, in [0.0, 1.0];
        /// How the step size changes over the run.
        learning_rate_schedule: Schedule = Schedule::Linear;
        /// Weight of the value loss.
        value_coef: f64 = 1.0, in [0.0, 100.0];
        /// Decay of the weights a unit of step size (Loshchilov and Hutter 2019).
        weight_decay: f64 = 1e-4, in [0.0, 10.0];
        /// Gradients with a greater norm are scaled down to it.
        max_grad_norm: f64 = 5.0, in [0.0, 1e9];
    }
}

/// The learner with its games.
pub struct AlphaZero {
    config: Config,
    searchers: usize,
    params: Params,
    net: BoardNet,
    kind: Kind,
    adam: Adam,
    games: Box<dyn SelfPlay>,
    rng: Rng,
    step: u64,
    steps: u64,
    /// Positions still to be learned from.
    owed: f64,
    /// The report of games that were not learned from before it was asked to stop.
    pending: Option<Vec<(String, f64)>>,
    /// A minibatch, in parts that the threads of the pool work on in parallel.
    parts: Vec<Part>,
    pool: ThreadPool,
    times: Times,
    episodes: Episodes,
}

/// A part of a minibatch as games write it, and its results.
struct Part {
    /// The learner's parameters, sharing memory.
    params: Params,
    /// `[rows, obs_len]`
    obs: Vec<f32>,
    /// `[rows, actions]`
    policy: Vec<f32>,
    /// `[rows, actions]`: 1 for legal actions.
    mask: Vec<f32>,
    /// `[rows]`
    value: Vec<f32>,
    /// The part's share of the minibatch.
    share: f64,
    /// Policy loss, value loss and gradient, times the share.
    losses: [Tensor; 2],
    gradient: Tensor,
}

impl Part {
    fn new(spec: &GameSpec, params: &Params, rows: usize, share: f64) -> Self {
        Self {
            params: params.shared(),
            obs: vec![0.0; rows * spec.obs_len()],
            policy: vec![0.0; rows * spec.actions],
            mask: vec![0.0; rows * spec.actions],
            value: vec![0.0; rows],
            share,
            losses: [Tensor::new(), Tensor::new()],
            gradient: Tensor::new(),
        }
    }

    /// The loss: cross entropy to the searched policy, and squared error to the value's target.
    fn learn(&mut self, net: &BoardNet, kind: Kind, value_coef: f64) {
        let (device, rows) = (self.params.flat.device(), self.value.len());
        let batch = |numbers: &[f32]| upload(numbers, rows, device);
        let (logits, value) = net.forward(&self.params, &batch(&self.obs), kind);
        let policy_loss = cross_entropy(&logits, &batch(&self.policy), &batch(&self.mask)) * self.share;
        let value_loss = (value - batch(&self.value).squeeze_dim(1)).square().mean(Kind::Float) * self.share;
        self.gradient = self.params.gradient(&(&policy_loss + &value_loss * value_coef));
        self.losses = [policy_loss.detach(), value_loss.detach()];
    }
}

/// Bytes of a position in a search tree, with room to grow.
const TREE_NODE: f64 = 45.0;

/// Rows of a part: enough for convolutions to be worth their while.
const PART: usize = 64;

impl Config {
    fn fits_in_memory(&self, spec: &GameSpec, games: usize) -> Result<(), AgentError> {
        let (width, cells, actions) = (self.width as f64, spec.obs_len() as f64, spec.actions as f64);
        // Weights, two moments and a gradient, again where they are put aside; activations of a minibatch, kept for the
        // way back; searched policies of the window, again where they are written; a tree for each game.
        let weights = 32.0 * (18.0 * width * width * self.blocks as f64 + width * (9.0 * cells + actions));
        let batch = 4.0 * self.minibatch as f64 * (cells * (1.0 + width * (1.0 + 4.0 * self.blocks as f64)));
        let window = self.window as f64 * (12.0 * actions + 200.0);
        let trees = games as f64 * TREE_NODE * f64::from(self.simulations) * actions.min(40.0);
        memory::fits("width", weights, "")?;
        memory::fits("minibatch", weights + batch, "")?;
        memory::fits("window", weights + batch + window, "")?;
        memory::fits("simulations", weights + batch + window + trees, &format!(" with {games} games side by side"))?;
        Ok(())
    }

    fn network(&self, spec: &GameSpec, seed: u64, device: Device) -> (BoardNet, Params) {
        let mut builder = Builder::new(seed);
        let net = BoardNet::new(&mut builder, &spec.observation, spec.actions, self.width, self.blocks);
        (net, builder.finish(device))
    }

    /// A minibatch in parts. Their number does not depend on the number of threads, so neither do results.
    fn parts(&self, spec: &GameSpec, params: &Params) -> Vec<Part> {
        let (rows, device) = (self.minibatch, params.flat.device());
        let count = if device == Device::Cpu { rows.div_ceil(PART).clamp(1, 16) } else { 1 };
        let part = |i: usize| {
            let rows_here = (i + 1) * rows / count - i * rows / count;
            Part::new(spec, params, rows_here, rows_here as f64 / rows as f64)
        };
        (0..count).map(part).collect()
    }

    fn self_play(&self, games: usize, seed: u64) -> SelfPlaySettings {
        SelfPlaySettings {
            search: SearchSettings {
                simulations: self.simulations,
                rule: self.rule,
                exploration: self.exploration,
                considered: self.considered,
                visit_offset: self.visit_offset,
                value_scale: self.value_scale,
                ..SearchSettings::default()
            },
            noise: Noise { share: self.noise_share as f32, alpha: self.noise_alpha },
            opening_plies: self.opening_plies,
            opening_share: self.opening_share as f32,
            draw_plies: self.draw_plies,
            value_blend: self.value_blend as f32,
            resign_below: self.resign_below.map(|x| x as f32),
            resign_never: self.resign_never as f32,
            window: self.window,
            games,
            seed,
        }
    }
}

/// The network of a save, which evaluates positions for searches.
pub fn inference(config: &Config, place: &Place<'_>, saved: &Saved) -> Result<Inference, AgentError> {
    let none = || AgentError::Checkpoint("alphazero plays games; this environment is none".into());
    let spec = place.game.ok_or_else(none)?;
    let (net, mut params) = config.network(spec, 0, place.device);
    params.load_weights(saved)?;
    let network: Box<dyn Evaluate> = Box::new(BoardEvaluator::new(&params, &net, Kind::Float));
    Ok(Inference { policy: None, network: Some(network) })
}

impl AlphaZero {
    /// A fresh learner whose games have just begun.
    pub fn new(config: Config, start: &Start<'_>) -> Result<Self, AgentError> {
        let refuse = |why: &str| AgentError::Settings(vec![Issue::value("kind", format!("alphazero {why}"))]);
        let rules = start.game.ok_or_else(|| refuse("plays games; this environment is none"))?;
        let spec = rules.game_spec();
        let (games, threads) = (start.env.envs(), start.env_threads);
        if config.moves < games as u64 {
            let message = format!("must be at least the number of games side by side, train.envs = {games}");
            return Err(AgentError::Settings(vec![Issue::value("moves", message)]));
        }
        config.fits_in_memory(spec, games)?;
        let (net, params) = config.network(spec, start.seed, start.device);
        let parts = config.parts(spec, &params);
        let games = rules
            .self_play(config.self_play(games, start.seed))
            .map_err(|why| refuse(&format!("cannot learn this game: {why}")))?;
        Ok(Self {
            pool: ThreadPool::new(start.threads.min(parts.len())),
            parts,
            adam: Adam::new(&params, 1e-8),
            rng: Rng::new(start.seed, Stream::Shuffle, 0),
            searchers: threads,
            kind: config.precision.kind(start.device),
            step: 0,
            steps: start.steps,
            owed: 0.0,
            pending: None,
            times: Times::default(),
            episodes: Episodes::default(),
            config,
            params,
            net,
            games,
        })
    }

    /// Learns from one minibatch. Policy loss, value loss and the gradient's norm.
    fn update(&mut self, rate: f64) -> [Tensor; 3] {
        for part in &mut self.parts {
            let Part { obs, policy, mask, value, .. } = part;
            self.games.sample(&mut self.rng, obs, policy, mask, value);
        }
        let (net, kind) = (&self.net, self.kind);
        let (value_coef, max_norm) = (self.config.value_coef, self.config.max_grad_norm);
        // Within a part libtorch works alone: its sums, too, are then the same on any number of threads.
        self.pool.each(&mut self.parts, |_, part| {
            crate::set_threads(1);
            part.learn(net, kind, value_coef);
        });
        let mut gradients: Vec<Tensor> = self.parts.iter().map(|p| p.gradient.shallow_clone()).collect();
        let slices = gradients.iter_mut().map(host_slice).collect::<Option<Vec<_>>>();
        let norm = slices.and_then(|mut parts| {
            let (first, others) = parts.split_first_mut()?;
            let sum = |from: usize, g: &mut [f32]| others.iter().for_each(|other| add(g, &other[from..from + g.len()]));
            self.adam.step_on_host(&mut self.params, first, &chunk_ends(first.len()), sum, [rate, max_norm], &self.pool)
        });
        let norm = match norm {
            Some(norm) => Tensor::from(norm),
            None => self.adam.step(&mut self.params, &self.parts[0].gradient, rate, max_norm),
        };
        tch::no_grad(|| {
            let _ = self.params.flat.g_mul_scalar_(1.0 - rate * self.config.weight_decay);
        });
        let loss = |i: usize| self.parts.iter().map(|p| &p.losses[i]).sum::<Tensor>();
        [loss(0), loss(1), norm]
    }

    fn learn(&mut self, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<(), AgentError> {
        let progress = self.step as f64 / self.steps as f64;
        let rate = self.config.learning_rate_schedule.at(self.config.learning_rate, progress);
        let size = self.config.minibatch as f64;
        let mut sums: Option<[Tensor; 3]> = None;
        let mut count = 0.0;
        while self.owed >= size && self.games.positions() > 0 {
            go_on(stop)?;
            self.owed -= size;
            let parts = self.update(rate);
            count += 1.0;
            sums = Some(match sums {
                None => parts,
                Some(sums) => std::array::from_fn(|i| &sums[i] + &parts[i]),
            });
        }
        if let Some(sums) = sums {
            let names = ["policy_loss", "value_loss", "grad_norm"];
            report.extend(names.iter().zip(&sums).map(|(n, t)| ((*n).to_owned(), t.double_value(&[]) / count)));
        }
        report.push(("learning_rate".into(), rate));
        all_finite(report)
    }

    /// Plays games and reports on them; none, and no game played, where it was asked to stop.
    fn play(&mut self, stop: Stop<'_>) -> Option<Vec<(String, f64)>> {
        let mut report = Vec::new();
        let evaluator = |_| -> Box<dyn Evaluate> { Box::new(BoardEvaluator::new(&self.params, &self.net, self.kind)) };
        let mut networks: Vec<_> = (0..self.searchers).map(evaluator).collect();
        let played = self.games.play(self.config.moves, &mut networks, stop)?;
        self.step += played.moves;
        self.owed += played.kept as f64 * self.config.passes;
        for &(total, length) in &played.games {
            let total = f64::from(total);
            self.episodes.add(&EpisodeEnd { row: 0, total, length, truncated: false, failed: None });
        }
        self.tell(&played, &mut report);
        let [network, all] = played.times;
        self.times.infer += network;
        self.times.simulate += all.saturating_sub(network);
        Some(report)
    }

    fn tell(&self, played: &Played, report: &mut Vec<(String, f64)>) {
        let games = played.games.len() as f64;
        let of = |value: f32| Score::of(value.into(), (-value).into());
        let share = |score| played.games.iter().filter(|g| of(g.0) == score).count() as f64 / games.max(1.0);
        if games > 0.0 {
            report.push(("first_wins".into(), share(Score::Win)));
            report.push(("second_wins".into(), share(Score::Loss)));
        }
        report.push(("window".into(), self.games.positions() as f64));
        let [evaluated, cached] = played.evaluations.map(|n| n as f64);
        report.push(("remembered".into(), cached / (evaluated + cached).max(1.0)));
        let [resigned, noted, wrong] = played.resigned.map(|n| n as f64);
        if self.config.resign_below.is_some() {
            report.push(("resigned".into(), resigned / games.max(1.0)));
            report.push(("resign_wrong".into(), wrong / noted.max(1.0)));
        }
    }
}

impl Training for AlphaZero {
    fn step(&self) -> u64 {
        self.step
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    /// Where it is asked to stop, learning since the last games is dropped and repeated later. The last games may not
    /// have been learned from yet.
    fn done(&self) -> bool {
        self.step >= self.steps && self.pending.is_none()
    }

    fn advance_until(&mut self, stop: Stop<'_>) -> Result<Option<Vec<(String, f64)>>, AgentError> {
        let played = match self.pending.take() {
            Some(report) => Some(report),
            None => self.play(stop),
        };
        let Some(mut report) = played else { return Ok(None) };
        let begun = Instant::now();
        let told = report.clone();
        let before = (self.params.flat.copy(), self.adam.m.copy(), self.adam.v.copy(), self.adam.steps);
        let (rng, owed) = (self.rng.state(), self.owed);
        match self.learn(&mut report, stop) {
            Err(AgentError::Stopped) => {
                let (flat, m, v, steps) = before;
                tch::no_grad(|| {
                    self.params.flat.copy_(&flat);
                    self.adam.m.copy_(&m);
                    self.adam.v.copy_(&v);
                });
                (self.adam.steps, self.rng, self.owed) = (steps, Rng::restore(rng), owed);
                self.pending = Some(told);
                return Ok(None);
            }
            other => other?,
        }
        self.times.learn += begun.elapsed();
        Ok(Some(report))
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.params.load_weights(saved)
    }

    fn take_episodes(&mut self) -> Episodes {
        std::mem::take(&mut self.episodes)
    }

    fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn policy(&self) -> Option<Box<dyn Policy>> {
        None
    }

    fn network(&self) -> Option<Box<dyn Evaluate>> {
        Some(Box::new(BoardEvaluator::new(&self.params, &self.net, Kind::Float)))
    }

    fn optimum(&self) -> Option<f64> {
        None
    }

    fn draw(&self, scene: &mut Scene) {
        self.games.draw(scene);
    }

    fn save(&self) -> (Saved, Value) {
        let mut tensors = self.adam.saved(&self.params);
        let (numbers, games) = self.games.save();
        tensors.extend(numbers.into_iter().map(|(name, x)| (name.to_owned(), Tensor::from_slice(&x))));
        let state = json!({ "adam_steps": self.adam.steps, "bfloat16": self.kind == Kind::BFloat16 });
        let rest = json!({
            "step": self.step, "owed": self.owed, "rng": self.rng.state(), "games": games, "episodes": self.episodes,
            "pending": self.pending,
        });
        (Saved { tensors, state }, rest)
    }

    fn load(&mut self, saved: &Saved, rest: Option<&Value>) -> Result<(), AgentError> {
        self.adam.load(&mut self.params, saved)?;
        // A resumed run keeps its precision, whatever this machine supports.
        self.kind = if saved.state["bfloat16"] == true { Kind::BFloat16 } else { Kind::Float };
        let Some(rest) = rest else { return Ok(()) };
        let numbers = |name: &str| {
            let tensor = saved.tensor(name).ok()?;
            let mut numbers = vec![0.0; tensor.numel()];
            crate::bridge::read_f32(tensor, &mut numbers);
            Some(numbers)
        };
        self.games.load(&numbers, &rest["games"]).map_err(AgentError::Checkpoint)?;
        let broken = |e: serde_json::Error| AgentError::Checkpoint(format!("its counters cannot be read: {e}"));
        self.step = serde_json::from_value(rest["step"].clone()).map_err(broken)?;
        self.owed = serde_json::from_value(rest["owed"].clone()).map_err(broken)?;
        self.episodes = Episodes::read(&rest["episodes"])?;
        self.rng = Rng::restore(serde_json::from_value::<RngState>(rest["rng"].clone()).map_err(broken)?);
        self.pending = serde_json::from_value(rest["pending"].clone()).map_err(broken)?;
        let new = if self.pending.is_some() { self.games.positions() as f64 * self.config.passes } else { 0.0 };
        // It learns until it owes less than a minibatch, where there is anything to learn from.
        let most = self.config.minibatch as f64 + new;
        if self.step > MOST_STEPS || !(0.0..=most).contains(&self.owed) {
            return Err(AgentError::Checkpoint("its `step` or what it `owed` cannot be".into()));
        }
        Ok(())
    }
}
