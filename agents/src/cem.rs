//! The cross-entropy method over the weights of a small network (Rubinstein 1999; Mannor et al. 2003), with noise that
//! keeps it from converging too early (Szita and Lőrincz 2006): no gradients, only the returns of whole episodes.
//!
//! Reading order: `Config`, `Search`, `Cem::learn`. Every row plays with another member of the population; a row whose
//! episode ends takes the next one, so the population may be larger than the batch.

use crate::agent::{Agent, AgentError, Context, Inference, MOST_STEPS, Saved, Stop, all_finite};
use crate::bridge::{host_slice, host_view};
use crate::dense::{BLOCK, Dense, Tape};
use crate::dist::Head;
use crate::greedy::see;
use crate::input::{self, Input, Reading};
use crate::net::{Activation, Builder, Last, Mlp, Params};
use crate::normalise::Moments;
use crate::optim::Schedule;
use agon_core::policy::{Observed, Policy};
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use agon_core::{Actions, ActionsMut, FirstBuf, Slab, Spec, StepBuf, memory};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Device, Tensor};

agon_core::settings! {
    /// Hyperparameters.
    pub struct Config {
        /// Sizes of the hidden layers; none for a linear policy.
        hidden: Vec<usize> = vec![], in [1.0, 65536.0];
        /// The activation after each hidden layer.
        activation: Activation = Activation::Tanh;
        /// Members of a generation.
        population: usize = 64, in [2.0, 1e6];
        /// Episodes that a member is judged by.
        episodes: usize = 1, in [1.0, 1e4];
        /// The share of the population, the best, that the next generation is drawn around.
        elite_share: f64 = 0.2, in [0.0, 1.0];
        /// The deviation of weights in the first generation.
        deviation: f64 = 1.0, in [0.0, 1e3];
        /// The deviation of noise that is added to the elite's.
        noise: f64 = 0.1, in [0.0, 1e3];
        /// How the noise changes over the run.
        noise_schedule: Schedule = Schedule::Linear;
        /// Observations that are plain numbers get running mean 0 and deviation 1.
        normalize_observation: bool = true;
    }
}

impl Config {
    fn elites(&self) -> usize {
        ((self.elite_share * self.population as f64).round() as usize).clamp(1, self.population)
    }
}

/// The distribution that members are drawn from: independent normals, one a weight.
#[derive(Debug)]
struct Search {
    mean: Vec<f32>,
    deviation: Vec<f32>,
    seed: u64,
    generation: u64,
}

impl Search {
    /// The weights of one member of this generation, which are the same whenever they are asked for.
    fn member(&self, member: usize, weights: &mut [f32]) {
        // A normal number takes two words, rarely more; a step of the stream has 65,536.
        let steps = 1 + (self.mean.len() as u64 >> 14);
        let mut rng = Rng::at_step(self.seed, Stream::Act, member as u32, self.generation * steps);
        for (weight, (mean, deviation)) in weights.iter_mut().zip(self.mean.iter().zip(&self.deviation)) {
            *weight = (f64::from(*mean) + f64::from(*deviation) * rng.normal()) as f32;
        }
    }

    /// Moves on to the next generation: mean and variance become those of the members with the highest scores, and the
    /// variance of the noise is added. The scores of that elite.
    fn advance(&mut self, scores: &[f64], elites: usize, noise: f64) -> Vec<f64> {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        order.truncate(elites);
        let (n, mut one) = (self.mean.len(), vec![0.0; self.mean.len()]);
        // Sums and sums of squares of distances to the present mean.
        let (mut sum, mut squares) = (vec![0.0; n], vec![0.0; n]);
        for member in &order {
            self.member(*member, &mut one);
            for (i, weight) in one.iter().enumerate() {
                let x = f64::from(*weight) - f64::from(self.mean[i]);
                sum[i] += x;
                squares[i] += x * x;
            }
        }
        for i in 0..n {
            let [first, second] = [sum[i], squares[i]].map(|sum| sum / elites as f64);
            self.mean[i] = (f64::from(self.mean[i]) + first) as f32;
            self.deviation[i] = ((second - first * first).max(0.0) + noise * noise).sqrt() as f32;
        }
        self.generation += 1;
        order.into_iter().map(|member| scores[member]).collect()
    }
}

/// A network that is given its weights each time, and buffers for it.
struct Net {
    input: Input,
    dense: Dense,
    head: Head,
    moments: Option<Moments>,
    seen: Vec<f32>,
    out: Vec<f32>,
    work: input::Work,
    tape: Tape,
}

impl Net {
    /// With the initial weights of a seed.
    fn new(config: &Config, spec: &Spec, seed: u64) -> Result<(Self, Params), AgentError> {
        let (head, reading) = (Head::of(spec), Reading::new(&spec.observation, None)?);
        let sizes = [&[reading.features()], &config.hidden[..], &[head.outputs()]].concat();
        let weights: f64 = sizes.windows(2).map(|w| w[0] as f64 * w[1] as f64).sum();
        // Parameters, mean and deviation, a member, sums of an elite.
        memory::fits("hidden", 40.0 * weights, "")?;
        let mut b = Builder::new(seed);
        let input = Input::new(&mut b, &reading);
        let mlp = Mlp::new(&mut b, "policy", &sizes, config.activation, Last::Head(0.01));
        let params = b.finish(Device::Cpu);
        let (last, hidden) = mlp.layers().split_last().expect("a last layer");
        let dense = Dense::new(&params, hidden, &[*last], mlp.activation());
        let moments = Moments::of(&spec.observation, config.normalize_observation);
        let (seen, out, work, tape) = Default::default();
        Ok((Self { input, dense, head, moments, seen, out, work, tape }, params))
    }

    /// The same, to act with.
    fn frozen(&self, weights: &[f32]) -> Mean {
        let Self { input, dense, head, moments, .. } = self;
        let (seen, out, work, tape) = Default::default();
        let (input, dense, head, moments) = (input.clone(), dense.clone(), head.clone(), moments.clone());
        Mean { net: Self { input, dense, head, moments, seen, out, work, tape }, weights: weights.to_vec() }
    }

    /// The best actions for `obs` `[rows, obs_len]`. `weights`: for each row, or one for all.
    fn act(&mut self, weights: &[Vec<f32>], obs: &[f32], mask: &[bool], actions: ActionsMut<'_>) {
        let (width, outputs) = (self.input.reading().obs_len(), self.head.outputs());
        let obs = see(self.moments.as_ref(), obs, &mut self.seen);
        self.out.resize(obs.len() / width * outputs, 0.0);
        let rows = if weights.len() == 1 { BLOCK } else { 1 };
        let parts = obs.chunks(rows * width).zip(self.out.chunks_mut(rows * outputs));
        for ((obs, out), weights) in parts.zip(weights.iter().cycle()) {
            let x = self.input.forward(weights, obs, &mut self.work);
            self.dense.forward(weights, x, out, &mut self.tape);
        }
        self.head.mode(&self.out, mask, actions);
    }
}

/// The policy in the middle of the distribution.
struct Mean {
    net: Net,
    weights: Vec<f32>,
}

impl Policy for Mean {
    fn act(&mut self, Observed { obs, mask, .. }: Observed<'_>, actions: ActionsMut<'_>) {
        self.net.act(std::slice::from_ref(&self.weights), obs, mask, actions);
    }

    fn name(&self) -> String {
        "cem".into()
    }
}

/// What a row plays.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Row {
    /// Which of the generation's episodes; none where all of them are being played, or where this one began before the
    /// generation did. The row then plays with the mean, and its return does not count.
    episode: Option<usize>,
    /// Its return so far.
    total: f64,
}

/// How far a generation is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Generation {
    number: u64,
    /// Episodes that rows have begun, and that are over.
    begun: usize,
    ended: usize,
    /// Of each member: the sum of its returns.
    scores: Vec<f64>,
    rows: Vec<Row>,
}

/// The learner.
pub struct Cem {
    config: Config,
    net: Net,
    /// Where the mean is read and saved by its names.
    params: Params,
    search: Search,
    now: Generation,
    /// Of each row.
    weights: Vec<Vec<f32>>,
    slab: Slab,
}

impl Cem {
    /// A fresh learner.
    pub fn new(config: Config, context: &Context<'_>) -> Result<Self, AgentError> {
        let Context { spec, rows, seed, .. } = *context;
        if spec.agents > 1 {
            return Err(Issue::value("kind", "cem is for environments of one agent").into());
        }
        let (net, params) = Net::new(&config, spec, seed)?;
        let n = params.count() as usize;
        let bytes = rows as f64 * (4 * n + 8 * spec.obs_len()) as f64 + 8.0 * config.population as f64;
        memory::fits("hidden", bytes, &format!(" with {rows} rows"))?;
        let mean = host_view(&params.flat).expect("it is on the host").to_vec();
        let deviation = vec![config.deviation as f32; n];
        let scores = vec![0.0; config.population];
        let mut cem = Self {
            net,
            params,
            search: Search { mean, deviation, seed, generation: 0 },
            now: Generation { scores, rows: vec![Row::default(); rows], ..Generation::default() },
            weights: vec![vec![0.0; n]; rows],
            slab: Slab::new(spec, rows),
            config,
        };
        (0..rows).for_each(|row| cem.begin_episode(row));
        Ok(cem)
    }

    fn all_episodes(&self) -> usize {
        self.config.population * self.config.episodes
    }

    /// A row's episode begins: the next one of the generation, if any is left.
    fn begin_episode(&mut self, row: usize) {
        let next = self.now.begun;
        let episode = (next < self.all_episodes()).then_some(next);
        self.now.begun += usize::from(episode.is_some());
        self.now.rows[row] = Row { episode, total: 0.0 };
        self.give_weights(row);
    }

    fn give_weights(&mut self, row: usize) {
        match self.now.rows[row].episode {
            Some(episode) => self.search.member(episode / self.config.episodes, &mut self.weights[row]),
            None => self.weights[row].copy_from_slice(&self.search.mean),
        }
    }

    /// All of the generation's episodes are over.
    fn update(&mut self, progress: f64, report: &mut Vec<(String, f64)>) -> Result<(), AgentError> {
        let noise = self.config.noise_schedule.at(self.config.noise, progress);
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64 / self.config.episodes as f64;
        let scores = std::mem::replace(&mut self.now.scores, vec![0.0; self.config.population]);
        let elite = self.search.advance(&scores, self.config.elites(), noise);
        let deviations: f64 = self.search.deviation.iter().map(|d| f64::from(*d)).sum();
        report.push(("population_return".into(), mean(&scores)));
        report.push(("elite_return".into(), mean(&elite)));
        report.push(("deviation".into(), deviations / self.search.deviation.len() as f64));
        (self.now.number, self.now.begun, self.now.ended) = (self.search.generation, 0, 0);
        for row in 0..self.now.rows.len() {
            self.give_weights(row);
        }
        all_finite(report)
    }

    fn load_mean(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.params.load_weights(saved)?;
        self.search.mean.copy_from_slice(host_view(&self.params.flat).expect("it is on the host"));
        Ok(())
    }
}

/// The policy of a save.
pub fn inference(config: &Config, spec: &Spec, saved: &Saved) -> Result<Inference, AgentError> {
    let (mut net, mut params) = Net::new(config, spec, 0)?;
    params.load_weights(saved)?;
    net.moments = Moments::saved(saved, "obs_moments", net.moments.as_ref())?;
    let mean = net.frozen(host_view(&params.flat).expect("it is on the host"));
    Ok(Inference { policy: Some(Box::new(mean)), network: None })
}

impl Agent for Cem {
    fn first(&mut self) -> FirstBuf<'_> {
        self.slab.first()
    }

    fn begin(&mut self) {}

    fn act(&mut self) {
        let Self { net, weights, slab, .. } = self;
        let (obs, mask, actions) = slab.act();
        net.act(weights, obs, mask, actions);
    }

    fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        self.slab.exchange()
    }

    fn learn(&mut self, progress: f64, report: &mut Vec<(String, f64)>, _stop: Stop<'_>) -> Result<bool, AgentError> {
        if let Some(moments) = &mut self.net.moments {
            moments.update(&self.slab.obs);
        }
        let mut over = Vec::new();
        for (i, row) in self.now.rows.iter_mut().enumerate() {
            row.total += f64::from(self.slab.reward[i]);
            if self.slab.terminated[i] || self.slab.truncated[i] {
                over.push(i);
                if let Some(episode) = row.episode.take() {
                    self.now.scores[episode / self.config.episodes] += row.total;
                    self.now.ended += 1;
                }
            }
        }
        let updated = self.now.ended == self.all_episodes();
        if updated {
            self.update(progress, report)?;
        }
        over.into_iter().for_each(|row| self.begin_episode(row));
        Ok(updated || progress >= 1.0)
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(self.net.frozen(&self.search.mean))
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let moments = Moments::saved(saved, "obs_moments", self.net.moments.as_ref())?;
        self.load_mean(saved)?;
        self.net.moments = moments;
        (0..self.weights.len()).for_each(|row| self.give_weights(row));
        Ok(())
    }

    fn save(&self) -> Saved {
        let mut mean = self.params.frozen();
        host_slice(&mut mean.flat).expect("it is on the host").copy_from_slice(&self.search.mean);
        let mut tensors: Vec<_> = mean.named().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
        tensors.push(("deviation".into(), Tensor::from_slice(&self.search.deviation)));
        Saved { tensors, state: json!({ "obs_moments": self.net.moments, "generation": self.now }) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let now: Generation = saved.part("generation")?;
        let moments = Moments::saved(saved, "obs_moments", self.net.moments.as_ref())?;
        let deviation = self.params.fitting(saved, "deviation", &self.params.flat)?;
        let deviation = host_view(&deviation).expect("it is on the host").to_vec();
        // Each episode that was begun is over or played by one row.
        let mut played: Vec<usize> = now.rows.iter().filter_map(|row| row.episode).collect();
        played.sort_unstable();
        let once = played.windows(2).all(|two| two[0] < two[1]) && played.last().is_none_or(|last| *last < now.begun);
        let sane = once
            && now.begun <= self.all_episodes()
            && now.ended.checked_add(played.len()) == Some(now.begun)
            && now.scores.len() == self.config.population
            && now.number < MOST_STEPS >> 20
            && deviation.iter().all(|d| d.is_finite() && *d >= 0.0);
        if !sane {
            return Err(AgentError::Checkpoint("its `generation` cannot be".into()));
        }
        self.load_mean(saved)?;
        self.net.moments = moments;
        self.search.deviation = deviation;
        // Another number of environments (an evaluation) starts the generation anew.
        if now.rows.len() == self.now.rows.len() {
            self.search.generation = now.number;
            self.now = now;
        }
        (0..self.weights.len()).for_each(|row| self.give_weights(row));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(mean: f32, n: usize) -> Search {
        Search { mean: vec![mean; n], deviation: vec![1.0; n], seed: 1, generation: 0 }
    }

    fn scores(search: &Search, count: usize, of: impl Fn(&[f32]) -> f64) -> Vec<f64> {
        let mut one = vec![0.0; search.mean.len()];
        let score = |member| {
            search.member(member, &mut one);
            of(&one)
        };
        (0..count).map(score).collect()
    }

    /// Where the score is one weight, the elite is the upper tail of a normal: with q its quantile and
    /// λ = φ(q) / share, that weight's mean moves by λ and its variance becomes 1 − λ (λ − q); other weights keep theirs.
    #[test]
    fn an_elite_is_a_truncated_normal() {
        let mut search = search(3.0, 2);
        let scores = scores(&search, 100_000, |weights| f64::from(weights[0]));
        let elite = search.advance(&scores, 20_000, 0.5);
        assert!(elite.windows(2).all(|two| two[0] >= two[1]) && elite.len() == 20_000);
        let q: f64 = 0.841_621_2;
        let lambda = (-0.5 * q * q).exp() / std::f64::consts::TAU.sqrt() / 0.2;
        let wanted = [(3.0 + lambda, 1.0 - lambda * (lambda - q)), (3.0, 1.0)];
        for (i, (mean, variance)) in wanted.into_iter().enumerate() {
            let found = [search.mean[i], search.deviation[i]].map(f64::from);
            assert!((found[0] - mean).abs() < 0.02, "weight {i}: {found:?} is not {mean}");
            assert!((found[1].powi(2) - 0.25 - variance).abs() < 0.02, "weight {i}: {found:?} is not {variance}");
        }
        assert_eq!(search.generation, 1);
    }

    #[test]
    fn the_top_of_a_paraboloid_is_found() {
        let mut search = search(0.0, 10);
        let top = |i: usize| 2.0 * (i as f64).sin();
        let score = |weights: &[f32]| -> f64 {
            weights.iter().enumerate().map(|(i, w)| -(f64::from(*w) - top(i)).powi(2)).sum()
        };
        for generation in 0..60 {
            let scores = scores(&search, 100, score);
            search.advance(&scores, 20, 0.1 * (1.0 - f64::from(generation) / 60.0));
        }
        let off = search.mean.iter().enumerate().map(|(i, w)| (f64::from(*w) - top(i)).abs()).fold(0.0, f64::max);
        assert!(off < 0.05, "{off}");
    }
}
