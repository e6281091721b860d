//! A simulator learned from recorded episodes (Chua et al. 2018; Janner et al. 2019): an ensemble of networks that give
//! the change of the observation, the reward and the probability of an end, by maximum likelihood of normals whose
//! variances are outputs too. What was learned is a [`World`], which `model/learned` simulates.
//!
//! A step is a pass of every network over the training part; each has an order of its own. The weights that are best on
//! the validation part are kept.

#[cfg(test)]
mod tests;

use crate::agent::{AgentError, Saved, Stop, all_finite};
use crate::bridge::host_view;
use crate::dense::{BLOCK, Seen, Tape};
use crate::off_policy::perceptron::Perceptrons;
use crate::on_policy::clone::{Demonstration, split};
use crate::optim::Schedule;
use crate::train::{Examined, Part, Times, Training};
use agon_core::metric::Goal;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use agon_core::stats::block_bootstrap;
use agon_core::thread_pool::ThreadPool;
use agon_core::world::{FORMAT, LOG_VARIANCE, Layer, Standard, World, encode, encoded, fits};
use agon_core::{Metric, Spec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Instant;
use tch::Tensor;

agon_core::settings! {
    /// Networks and how they are fitted.
    pub struct Config {
        /// Recorded episodes: files, patterns such as `runs/x/001/episodes/*.jsonl`, folders, or runs (the episodes of
        /// their final evaluation, or all where there are none of it).
        data: Vec<String> = Vec::new();
        /// Networks of the ensemble.
        members: usize = 5, in [1.0, 64.0];
        /// Sizes of their hidden layers.
        hidden: Vec<usize> = vec![128, 128], in [1.0, 512.0];
        /// Adam's step size.
        learning_rate: f64 = 1e-3, in [0.0, 1.0];
        /// How the step size changes over the run.
        learning_rate_schedule: Schedule = Schedule::Constant;
        /// Transitions of a minibatch.
        minibatch: usize = 256, in [1.0, 1e6];
        /// The share of the episodes that decides when to stop and which weights are kept.
        validation: f64 = 0.1, in [0.01, 0.8];
        /// The share of the episodes for the final metrics.
        test: f64 = 0.1, in [0.01, 0.8];
        /// Ends the run after so many passes without a better log loss on the validation part.
        patience: u64 = 20, in [1.0, 1e9];
    }
}

/// Steps of the rollouts whose error is measured.
const HORIZON: usize = 10;

/// Transitions of some episodes, one after another.
#[derive(Debug, Default)]
struct Transitions {
    /// `[n, inputs]`, standardised.
    x: Vec<f32>,
    /// `[n, obs_len + 1]`: the change of the observation and the reward, standardised.
    y: Vec<f32>,
    /// `[n]`: whether the rules ended the episode.
    ended: Vec<bool>,
    /// Where each episode ends.
    ends: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Progress {
    /// Passes made.
    pass: u64,
    /// The lowest log loss on the validation part.
    best: Option<f64>,
    /// Passes since then.
    since: u64,
}

/// The learner.
pub struct WorldModel {
    config: Config,
    world: World,
    /// Learned from, validation, test.
    parts: [Transitions; 3],
    nets: Perceptrons,
    /// The weights with the lowest log loss so far.
    best: Tensor,
    pool: ThreadPool,
    progress: Progress,
    steps: u64,
    seed: u64,
    times: Times,
}

/// Means and deviations of rows of `width` numbers; what never changes has the deviation 1.
fn standard(rows: &[f32], width: usize) -> Standard {
    let n = (rows.len() / width).max(1) as f64;
    let column = |k: usize| rows.iter().skip(k).step_by(width).map(|x| f64::from(*x));
    let mean: Vec<f64> = (0..width).map(|k| column(k).sum::<f64>() / n).collect();
    let deviation = (0..width).map(|k| (column(k).map(|x| (x - mean[k]).powi(2)).sum::<f64>() / n).sqrt() as f32);
    let deviation = deviation.map(|d| if d > 1e-6 { d } else { 1.0 }).collect();
    Standard { mean: mean.iter().map(|m| *m as f32).collect(), deviation }
}

/// Standardises rows.
fn apply(standard: &Standard, rows: &mut [f32]) {
    for row in rows.chunks_exact_mut(standard.mean.len()) {
        let both = standard.mean.iter().zip(&standard.deviation);
        row.iter_mut().zip(both).for_each(|(x, (mean, deviation))| *x = (*x - mean) / deviation);
    }
}

impl Transitions {
    /// Raw ones.
    fn new(episodes: &[&Demonstration], spec: &Spec) -> Self {
        let (seen, asked, width) = (spec.obs_len(), encoded(&spec.action), spec.action.len());
        let (mut all, mut code) = (Self::default(), vec![0.0; asked]);
        for episode in episodes {
            let steps = episode.rewards.len();
            for at in 0..steps {
                let now = &episode.obs[at * seen..(at + 1) * seen];
                let next =
                    if at + 1 < steps { &episode.obs[(at + 1) * seen..(at + 2) * seen] } else { &episode.last[..] };
                encode(&spec.action, episode.actions.all().part(at * width, width), &mut code);
                all.x.extend_from_slice(now);
                all.x.extend_from_slice(&code);
                all.y.extend(next.iter().zip(now).map(|(next, now)| next - now));
                all.y.push(episode.rewards[at]);
                all.ended.push(episode.terminated && at + 1 == steps);
            }
            all.ends.push(all.ended.len());
        }
        all
    }

    fn len(&self) -> usize {
        self.ended.len()
    }
}

impl WorldModel {
    /// A fresh learner of these episodes of an environment with this spec.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where settings leave nothing to learn from, [`AgentError::Data`] where the environment is
    /// one that cannot be learned, or there are too few episodes.
    pub fn new(
        config: Config,
        spec: &Spec,
        episodes: &[Demonstration],
        [steps, seed]: [u64; 2],
        threads: usize,
    ) -> Result<Self, AgentError> {
        fits(spec).map_err(AgentError::Data)?;
        if config.validation + config.test >= 1.0 {
            return Err(Issue::value("test", "leaves nothing to learn from, together with `validation`").into());
        }
        if config.hidden.is_empty() {
            return Err(Issue::value("hidden", "needs a layer").into());
        }
        let counts = split(episodes.len(), [config.validation, config.test])?;
        // The same parts with every seed, so that seeds can be compared.
        let mut places: Vec<usize> = (0..episodes.len()).collect();
        Rng::new(0, Stream::Shuffle, 0).shuffle(&mut places);
        let of = |from: usize, count: usize| -> Vec<&Demonstration> {
            places[from..from + count].iter().map(|place| &episodes[*place]).collect()
        };
        let learned = of(0, counts[0]);
        let all = [learned.clone(), of(counts[0], counts[1]), of(counts[0] + counts[1], counts[2])];
        let mut parts = all.map(|episodes| Transitions::new(&episodes, spec));
        let (seen, inputs) = (spec.obs_len(), spec.obs_len() + encoded(&spec.action));
        let [input, output] = [standard(&parts[0].x, inputs), standard(&parts[0].y, seen + 1)];
        for part in &mut parts {
            apply(&input, &mut part.x);
            apply(&output, &mut part.y);
        }
        let ranges = (0..seen).map(|k| {
            let column = learned.iter().flat_map(|e| e.obs.iter().chain(&e.last).skip(k).step_by(seen));
            column.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], x| [low.min(*x), high.max(*x)])
        });
        let world = World {
            format: FORMAT.into(),
            spec: spec.clone(),
            starts: learned.iter().map(|e| e.obs[..seen].to_vec()).collect(),
            seen: ranges.collect(),
            input,
            output,
            members: Vec::new(),
        };
        let sizes = [&[inputs], &config.hidden[..], &[2 * (seen + 1) + 1]].concat();
        let nets = Perceptrons::new(seed, "member", config.members, &sizes);
        Ok(Self {
            best: nets.params.flat.copy(),
            pool: ThreadPool::new(threads.min(config.members).max(1)),
            progress: Progress { pass: 0, best: None, since: 0 },
            times: Times::default(),
            world,
            parts,
            nets,
            steps,
            seed,
            config,
        })
    }

    /// One pass; the mean loss.
    fn pass(&mut self) -> f64 {
        let (part, n, k) = (&self.parts[0], self.parts[0].len(), self.config.members);
        let (inputs, outputs) = (part.x.len() / n, part.y.len() / n);
        let orders: Vec<Vec<usize>> = (0..k)
            .map(|member| {
                let mut order: Vec<usize> = (0..n).collect();
                Rng::at_step(self.seed, Stream::Shuffle, member as u32, self.progress.pass).shuffle(&mut order);
                order
            })
            .collect();
        let share = self.progress.pass as f64 / self.steps as f64;
        let rate = self.config.learning_rate_schedule.at(self.config.learning_rate, share);
        let (mut work, mut total) = ((0..k).map(|_| Work::default()).collect::<Vec<_>>(), 0.0);
        for from in (0..n).step_by(self.config.minibatch) {
            let to = (from + self.config.minibatch).min(n);
            let now = self.nets.now();
            self.pool.each(&mut work, |member, work| {
                let rows = &orders[member][from..to];
                work.x.clear();
                rows.iter().for_each(|row| work.x.extend_from_slice(&part.x[row * inputs..(row + 1) * inputs]));
                work.out.resize(rows.len() * (2 * outputs + 1), 0.0);
                now.dense[member].forward(now.flat, &work.x, &mut work.out, &mut work.tape);
                work.loss = 0.0;
                work.at_out.resize(work.out.len(), 0.0);
                let each = work.out.chunks_exact(2 * outputs + 1).zip(work.at_out.chunks_exact_mut(2 * outputs + 1));
                for (row, (out, at_out)) in rows.iter().zip(each) {
                    let y = &part.y[row * outputs..(row + 1) * outputs];
                    work.loss += log_loss(out, y, part.ended[*row], Some((at_out, rows.len())));
                }
                now.dense[member].backward(now.flat, &work.at_out, &mut work.tape);
                work.gradient.clear();
                work.gradient.resize(now.flat.len(), 0.0);
                let seen = Seen { x: &work.x, at_outputs: &work.at_out, tape: &work.tape, front: &[] };
                now.dense[member].gradient(seen, &mut work.gradient);
            });
            total += work.iter().map(|w| w.loss).sum::<f64>();
            let gradients: Vec<&[f32]> = work.iter().map(|w| &w.gradient[..]).collect();
            let _ = self.nets.step(&gradients, rate, &self.pool);
        }
        total / (n * k) as f64
    }

    /// Outputs of one network for standardised inputs.
    fn outputs(&self, flat: &Tensor, member: usize, x: &[f32]) -> Vec<f32> {
        let (dense, flat) = (&self.nets.dense[member], host_view(flat).expect("it is on the host"));
        let (inputs, outputs) = (dense.inputs(), dense.outputs());
        let (mut out, mut tape) = (vec![0.0; x.len() / inputs * outputs], Tape::default());
        for (x, out) in x.chunks(BLOCK * inputs).zip(out.chunks_mut(BLOCK * outputs)) {
            dense.forward(flat, x, out, &mut tape);
        }
        out
    }

    /// The mean of the networks' log losses of every transition.
    fn losses(&self, flat: &Tensor, part: &Transitions) -> Vec<f64> {
        let (n, k) = (part.len(), self.config.members);
        let (width, mut sums) = (part.y.len() / n, vec![0.0; n]);
        for member in 0..k {
            let out = self.outputs(flat, member, &part.x);
            for (row, out) in out.chunks_exact(2 * width + 1).enumerate() {
                sums[row] += log_loss(out, &part.y[row * width..(row + 1) * width], part.ended[row], None) / k as f64;
            }
        }
        sums
    }

    /// The networks' mean change of the observation and reward, `[n, obs_len + 1]`, standardised.
    fn means(&self, x: &[f32]) -> Vec<f32> {
        let (width, k) = (self.world.output.mean.len(), self.config.members);
        let mut sums = vec![0.0; x.len() / self.world.input.mean.len() * width];
        for member in 0..k {
            let out = self.outputs(&self.best, member, x);
            for (sums, out) in sums.chunks_exact_mut(width).zip(out.chunks_exact(2 * width + 1)) {
                sums.iter_mut().zip(out).for_each(|(s, o)| *s += o / k as f32);
            }
        }
        sums
    }

    /// Squared errors of every transition's observation, in units where what is observed has the deviation 1: after one
    /// step, and after [`HORIZON`] steps of means from a recorded observation on, with the recorded actions; none where
    /// an episode ends before. And the squared error of the reward, in its own unit.
    fn errors(&self, part: &Transitions) -> [Vec<Option<f64>>; 3] {
        let World { input, output, seen, .. } = &self.world;
        let (n, width, inputs) = (part.len(), seen.len(), input.mean.len());
        let first = self.means(&part.x);
        let unit = f64::from(output.deviation[width]);
        let reward = (0..n).map(|i| {
            let at = i * (width + 1) + width;
            Some((unit * f64::from(first[at] - part.y[at])).powi(2))
        });
        // The observation's own deviation is the input's.
        let change = |change: f32, k: usize| (change * output.deviation[k] + output.mean[k]) / input.deviation[k];
        let after = |steps: usize| -> Vec<Option<f64>> {
            let within = |i: usize| part.ends.iter().find(|end| **end > i).is_some_and(|end| i + steps <= *end);
            let rows: Vec<usize> = (0..n).filter(|i| within(*i)).collect();
            let mut x: Vec<f32> = rows.iter().flat_map(|i| part.x[i * inputs..(i + 1) * inputs].to_vec()).collect();
            for step in 0..steps {
                let means = self.means(&x);
                for ((row, x), means) in rows.iter().zip(x.chunks_exact_mut(inputs)).zip(means.chunks_exact(width + 1))
                {
                    for k in 0..width {
                        let [low, high] = seen[k].map(|end| (end - input.mean[k]) / input.deviation[k]);
                        x[k] = (x[k] + change(means[k], k)).clamp(low, high);
                    }
                    // The recorded action of the next step.
                    if step + 1 < steps {
                        let from = (row + step + 1) * inputs;
                        x[width..].copy_from_slice(&part.x[from + width..from + inputs]);
                    }
                }
            }
            let mut all = vec![None; n];
            for (row, x) in rows.iter().zip(x.chunks_exact(inputs)) {
                let last = row + steps - 1;
                let error = (0..width).map(|k| {
                    let right = part.x[last * inputs + k] + change(part.y[last * (width + 1) + k], k);
                    f64::from(x[k] - right).powi(2)
                });
                all[*row] = Some(error.sum::<f64>() / width as f64);
            }
            all
        };
        [after(1), after(HORIZON), reward.collect()]
    }

    /// What was learned so far.
    pub fn world(&self) -> World {
        let flat = host_view(&self.best).expect("it is on the host");
        let place = |leaf: usize| flat[self.nets.params.place(leaf)].to_vec();
        let layers = 1 + self.config.hidden.len();
        let member = |m: usize| (0..layers).map(move |l| 2 * (m * layers + l));
        let members = (0..self.config.members)
            .map(|m| member(m).map(|leaf| Layer { weight: place(leaf), bias: place(leaf + 1) }).collect());
        World { members: members.collect(), ..self.world.clone() }
    }
}

/// Buffers of one network.
#[derive(Default)]
struct Work {
    x: Vec<f32>,
    out: Vec<f32>,
    at_out: Vec<f32>,
    tape: Tape,
    gradient: Vec<f32>,
    loss: f64,
}

/// −log p of a transition up to a constant: normals of the numbers, and whether it ended. Writes the gradient of the mean
/// over so many rows at the outputs.
fn log_loss(out: &[f32], y: &[f32], ended: bool, gradient: Option<(&mut [f32], usize)>) -> f64 {
    let n = y.len();
    let (mut loss, mut at) = (0.0, gradient);
    for k in 0..n {
        let log_variance = out[n + k].clamp(LOG_VARIANCE[0], LOG_VARIANCE[1]);
        let (error, precision) = (f64::from(out[k] - y[k]), f64::from(-log_variance).exp());
        loss += 0.5 * (error * error * precision + f64::from(log_variance));
        if let Some((at, rows)) = &mut at {
            let share = 1.0 / *rows as f64;
            let of_variance = 0.5 * (1.0 - error * error * precision) * share;
            // Beyond the cut only what leads back counts.
            let cut = out[n + k] != log_variance && (of_variance > 0.0) == (out[n + k] < log_variance);
            at[k] = (error * precision * share) as f32;
            at[n + k] = if cut { 0.0 } else { of_variance as f32 };
        }
    }
    let logit = f64::from(out[2 * n]);
    // ln(1 + e^−z), z the logit of what happened.
    let z = if ended { logit } else { -logit };
    loss += (-z).max(0.0) + (-z.abs()).exp().ln_1p();
    if let Some((at, rows)) = &mut at {
        let p = 1.0 / (1.0 + (-logit).exp());
        at[2 * n] = ((p - f64::from(u8::from(ended))) / *rows as f64) as f32;
    }
    loss
}

impl Training for WorldModel {
    fn step(&self) -> u64 {
        self.progress.pass
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn done(&self) -> bool {
        self.step() >= self.steps || self.progress.since >= self.config.patience
    }

    fn may_end_early(&self) -> bool {
        true
    }

    fn task_scalars(&self) -> Vec<String> {
        vec!["validation_log_loss".into(), "loss".into()]
    }

    fn advance_until(&mut self, stop: Stop<'_>) -> Result<Option<Vec<(String, f64)>>, AgentError> {
        if stop() {
            return Ok(None);
        }
        let begun = Instant::now();
        let loss = self.pass();
        self.progress.pass += 1;
        let losses = self.losses(&self.nets.params.flat, &self.parts[1]);
        let validation = losses.iter().sum::<f64>() / losses.len() as f64;
        self.times.learn += begun.elapsed();
        let report = vec![("loss".into(), loss), ("validation_log_loss".into(), validation)];
        all_finite(&report)?;
        self.progress.since += 1;
        if self.progress.best.is_none_or(|best| validation < best) {
            (self.progress.best, self.progress.since) = (Some(validation), 0);
            self.best = self.nets.params.flat.copy();
        }
        Ok(Some(report))
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.nets.params.load_weights(saved)?;
        self.best = self.nets.params.flat.copy();
        Ok(())
    }

    fn take_times(&mut self) -> Times {
        std::mem::take(&mut self.times)
    }

    fn world(&self) -> Option<World> {
        Some(WorldModel::world(self))
    }

    /// Errors of the mean forecast, beside those of a forecast that nothing changes.
    fn examine(&self, part: Part, seed: u64) -> Vec<Examined> {
        let part = &self.parts[if part == Part::Validation { 1 } else { 2 }];
        let width = self.world.seen.len();
        let metric = |name: &str, errors: &[Option<f64>], root: bool| {
            let of = |at: &[usize]| {
                let (mut sum, mut count) = (0.0, 0.0);
                for episode in at {
                    let from = if *episode == 0 { 0 } else { part.ends[episode - 1] };
                    for error in errors[from..part.ends[*episode]].iter().flatten() {
                        sum += error;
                        count += 1.0;
                    }
                }
                let mean: f64 = sum / f64::max(count, 1.0);
                if root { mean.sqrt() } else { mean }
            };
            let all: Vec<usize> = (0..part.ends.len()).collect();
            let mut rng = Rng::new(seed, Stream::Eval, 0);
            Metric {
                name: name.into(),
                value: of(&all),
                interval: block_bootstrap(all.len(), 2000, &mut rng, &mut |at| of(at)),
                ci95: None,
                goal: Goal::Lowest,
                over: (part.len() as u64, "transitions".into()),
            }
        };
        let losses: Vec<Option<f64>> = self.losses(&self.best, part).into_iter().map(Some).collect();
        let [one, ten, reward] = self.errors(part);
        let mut metrics = vec![metric("log_loss", &losses, false), metric("step_error", &one, true)];
        if ten.iter().any(Option::is_some) {
            metrics.push(metric("ten_step_error", &ten, true));
        }
        metrics.push(metric("reward_error", &reward, true));
        // The mean change and reward of the training part are zero in standardised units.
        let still: Vec<Option<f64>> = (0..part.len())
            .map(|i| {
                let change = (0..width).map(|k| {
                    let unit = self.world.output.deviation[k] / self.world.input.deviation[k];
                    f64::from(part.y[i * (width + 1) + k] * unit).powi(2)
                });
                Some(change.sum::<f64>() / width as f64)
            })
            .collect();
        let unit = f64::from(self.world.output.deviation[width]);
        let plain: Vec<_> =
            (0..part.len()).map(|i| Some((unit * f64::from(part.y[i * (width + 1) + width])).powi(2))).collect();
        let of_mean = vec![metric("step_error", &still, true), metric("reward_error", &plain, true)];
        vec![
            Examined { name: "world".into(), metrics, better_by: None },
            Examined { name: "mean change".into(), metrics: of_mean, better_by: None },
        ]
    }

    fn save(&self) -> (Saved, Value) {
        let mut tensors = Vec::new();
        self.nets.save(&mut tensors);
        tensors.push(("adam.best".into(), self.best.shallow_clone()));
        (Saved { tensors, state: json!({"progress": self.progress}) }, json!({"step": self.progress.pass}))
    }

    fn load(&mut self, saved: &Saved, _: Option<&Value>) -> Result<(), AgentError> {
        let best = self.nets.params.fitting(saved, "adam.best", &self.nets.params.flat)?;
        self.nets.load(saved)?;
        self.best = best.copy();
        self.progress = saved.part("progress")?;
        Ok(())
    }
}
