//! A simulator learned from recorded episodes (Chua et al. 2018; Janner et al. 2019): an ensemble, each member of three
//! networks, by maximum likelihood. The first gives the change of the observation: each number as a normal whose variance is
//! an output too, or the probability of each change where few were ever recorded. The others give the reward and the
//! probability of an end from the observation that follows: a stock that is sold out ends an episode, not one that is nearly
//! so. What was learned is a [`World`], which `model/learned` simulates.
//!
//! A step is a pass of every network over the training part; each member has an order of its own. Of each kind of network
//! the weights that are best on the validation part are kept.

mod loss;
#[cfg(test)]
mod tests;
mod transitions;

use crate::agent::{AgentError, Saved, Stop, all_finite};
use crate::bridge::host_view;
use crate::dense::{BLOCK, Seen, Tape};
use crate::off_policy::perceptron::{Now, Perceptrons};
use crate::on_policy::clone::{Demonstration, split};
use crate::optim::Schedule;
use crate::train::{Examined, Part, Times, Training};
use agon_core::metric::Goal;
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Issue;
use agon_core::stats::block_bootstrap;
use agon_core::thread_pool::ThreadPool;
use agon_core::world::{FORMAT, Layer, Member, World, encoded, fits};
use agon_core::{Metric, Spec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Instant;
use tch::Tensor;
use transitions::{Transitions, standard, values};

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
/// Kinds of networks, and the names of their best weights in a checkpoint. Without an end there is no network of ends.
const KINDS: [[&str; 2]; 3] =
    [["change", "adam.best.change"], ["reward", "adam.best.reward"], ["end", "adam.best.end"]];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Progress {
    /// Passes made.
    pass: u64,
    /// The lowest log loss of each kind of network on the validation part.
    best: Vec<Option<f64>>,
    /// Passes since any of them was lowered.
    since: u64,
}

/// The learner.
pub struct WorldModel {
    config: Config,
    world: World,
    /// Learned from, validation, test.
    parts: [Transitions; 3],
    /// Of each kind, one a member.
    nets: Vec<Perceptrons>,
    /// The weights of each kind with its lowest log loss so far.
    best: Vec<Tensor>,
    pool: ThreadPool,
    progress: Progress,
    steps: u64,
    seed: u64,
    times: Times,
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
        let ranges = (0..seen).map(|k| {
            let column = learned.iter().flat_map(|e| e.obs.iter().chain(&e.last).skip(k).step_by(seen));
            column.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], x| [low.min(*x), high.max(*x)])
        });
        let ranges: Vec<[f32; 2]> = ranges.collect();
        let world = World {
            format: FORMAT.into(),
            spec: spec.clone(),
            starts: learned.iter().map(|e| e.obs[..seen].to_vec()).collect(),
            values: values(&parts[0], &ranges),
            seen: ranges,
            input: standard(&parts[0].x, inputs),
            output: standard(&parts[0].y, seen + 1),
            members: Vec::new(),
        };
        parts.iter_mut().for_each(|part| part.standardise(&world));
        let outcome = world.outcome_inputs();
        let sizes = [(inputs, world.outputs()), (outcome, 2), (outcome, 1)];
        let kinds = if parts[0].ended.contains(&true) { 3 } else { 2 };
        let nets: Vec<Perceptrons> = KINDS[..kinds]
            .iter()
            .zip(sizes)
            .map(|([name, _], (inputs, outputs))| {
                let sizes = [&[inputs], &config.hidden[..], &[outputs]].concat();
                Perceptrons::new(seed, name, config.members, &sizes)
            })
            .collect();
        Ok(Self {
            best: nets.iter().map(|nets| nets.params.flat.copy()).collect(),
            pool: ThreadPool::new(threads.min(config.members).max(1)),
            progress: Progress { pass: 0, best: vec![None; kinds], since: 0 },
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
        let world = &self.world;
        let orders: Vec<Vec<usize>> = (0..k)
            .map(|member| {
                let mut order: Vec<usize> = (0..n).collect();
                Rng::at_step(self.seed, Stream::Shuffle, member as u32, self.progress.pass).shuffle(&mut order);
                order
            })
            .collect();
        let share = self.progress.pass as f64 / self.steps as f64;
        let rate = self.config.learning_rate_schedule.at(self.config.learning_rate, share);
        let fresh = || (0..self.nets.len()).map(|_| Work::default()).collect::<Vec<_>>();
        let (mut work, mut total) = ((0..k).map(|_| fresh()).collect::<Vec<_>>(), 0.0);
        for from in (0..n).step_by(self.config.minibatch) {
            let to = (from + self.config.minibatch).min(n);
            let now: Vec<Now<'_>> = self.nets.iter().map(Perceptrons::now).collect();
            self.pool.each(&mut work, |member, work| {
                let rows = &orders[member][from..to];
                for (kind, (work, now)) in work.iter_mut().zip(&now).enumerate() {
                    let (x, width) = (part.inputs(kind), now.dense[member].inputs());
                    work.x.clear();
                    rows.iter().for_each(|row| work.x.extend_from_slice(&x[row * width..(row + 1) * width]));
                    let share = 1.0 / rows.len() as f64;
                    work.learn(*now, member, |i, out, at| part.loss(world, rows[i], kind, out, Some((at, share))));
                }
            });
            total += work.iter().flatten().map(|w| w.loss).sum::<f64>();
            for (kind, nets) in self.nets.iter_mut().enumerate() {
                let gradients: Vec<&[f32]> = work.iter().map(|w| &w[kind].gradient[..]).collect();
                let _ = nets.step(&gradients, rate, &self.pool);
            }
        }
        total / (n * k) as f64
    }

    /// The mean over the networks of a kind of their log losses of every transition.
    fn losses(&self, kind: usize, flat: &Tensor, part: &Transitions) -> Vec<f64> {
        let (k, mut sums) = (self.config.members, vec![0.0; part.len()]);
        for member in 0..k {
            let out = outputs(&self.nets[kind], flat, member, part.inputs(kind));
            let rows = out.chunks_exact(self.nets[kind].dense[member].outputs()).enumerate();
            rows.for_each(|(row, out)| sums[row] += part.loss(&self.world, row, kind, out, None) / k as f64);
        }
        sums
    }

    /// The networks' mean change of the observation, `[n, obs_len]`, standardised.
    fn means(&self, x: &[f32]) -> Vec<f32> {
        let World { input, output, seen, values, .. } = &self.world;
        let (width, inputs, k) = (seen.len(), input.mean.len(), self.config.members);
        let mut sums = vec![0.0; x.len() / inputs * width];
        for member in 0..k {
            let out = outputs(&self.nets[0], &self.best[0], member, x);
            for (sums, out) in sums.chunks_exact_mut(width).zip(out.chunks_exact(self.world.outputs())) {
                loss::mean_change(values, [&output.mean, &output.deviation], out, 1.0 / k as f32, sums);
            }
        }
        sums
    }

    /// Squared errors of the mean reward that comes with every recorded change, in its own unit.
    fn reward_errors(&self, part: &Transitions) -> Vec<Option<f64>> {
        let (k, width) = (self.config.members, self.world.seen.len() + 1);
        let mut sums = vec![0.0; part.len()];
        for member in 0..k {
            let out = outputs(&self.nets[1], &self.best[1], member, part.inputs(1));
            sums.iter_mut().zip(out.iter().step_by(2)).for_each(|(sum, mean)| *sum += f64::from(*mean) / k as f64);
        }
        let unit = f64::from(self.world.output.deviation[width - 1]);
        let truth = part.y.iter().skip(width - 1).step_by(width);
        sums.iter().zip(truth).map(|(mean, y)| Some((unit * (mean - f64::from(*y))).powi(2))).collect()
    }

    /// Squared errors of every transition's observation, in units where what is observed has the deviation 1, after so many
    /// steps of means from a recorded observation on, with the recorded actions; none where an episode ends before.
    fn errors(&self, part: &Transitions, steps: usize) -> Vec<Option<f64>> {
        let World { input, output, seen, .. } = &self.world;
        let (n, width, inputs) = (part.len(), seen.len(), input.mean.len());
        // The observation's own deviation is the input's.
        let change = |change: f32, k: usize| (change * output.deviation[k] + output.mean[k]) / input.deviation[k];
        let left = part.left();
        let rows: Vec<usize> = (0..n).filter(|i| steps <= left[*i]).collect();
        let mut x: Vec<f32> = rows.iter().flat_map(|i| part.x[i * inputs..(i + 1) * inputs].to_vec()).collect();
        for step in 0..steps {
            let means = self.means(&x);
            for ((row, x), means) in rows.iter().zip(x.chunks_exact_mut(inputs)).zip(means.chunks_exact(width)) {
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
    }

    /// What was learned so far.
    pub fn world(&self) -> World {
        let layers = 1 + self.config.hidden.len();
        let of = |kind: usize, member: usize| -> Vec<Layer> {
            let Some(best) = self.best.get(kind) else { return Vec::new() };
            let flat = host_view(best).expect("it is on the host");
            let place = |leaf: usize| flat[self.nets[kind].params.place(leaf)].to_vec();
            let leaves = (0..layers).map(|layer| 2 * (member * layers + layer));
            leaves.map(|leaf| Layer { weight: place(leaf), bias: place(leaf + 1) }).collect()
        };
        let members = (0..self.config.members).map(|m| Member { change: of(0, m), reward: of(1, m), end: of(2, m) });
        World { members: members.collect(), ..self.world.clone() }
    }
}

/// Outputs of one network for standardised inputs.
fn outputs(nets: &Perceptrons, flat: &Tensor, member: usize, x: &[f32]) -> Vec<f32> {
    let (dense, flat) = (&nets.dense[member], host_view(flat).expect("it is on the host"));
    let (inputs, outputs) = (dense.inputs(), dense.outputs());
    let (mut out, mut tape) = (vec![0.0; x.len() / inputs * outputs], Tape::default());
    for (x, out) in x.chunks(BLOCK * inputs).zip(out.chunks_mut(BLOCK * outputs)) {
        dense.forward(flat, x, out, &mut tape);
    }
    out
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

impl Work {
    /// The gradient of the losses of all rows of `x`, and their sum. `loss` takes a row's number and its outputs, and writes the
    /// gradient at them.
    fn learn(&mut self, nets: Now<'_>, member: usize, loss: impl Fn(usize, &[f32], &mut [f32]) -> f64) {
        let dense = &nets.dense[member];
        let outputs = dense.outputs();
        self.out.resize(self.x.len() / dense.inputs() * outputs, 0.0);
        self.at_out.resize(self.out.len(), 0.0);
        dense.forward(nets.flat, &self.x, &mut self.out, &mut self.tape);
        let rows = self.out.chunks_exact(outputs).zip(self.at_out.chunks_exact_mut(outputs)).enumerate();
        self.loss = rows.map(|(i, (out, at))| loss(i, out, at)).sum();
        dense.backward(nets.flat, &self.at_out, &mut self.tape);
        self.gradient.clear();
        self.gradient.resize(nets.flat.len(), 0.0);
        let seen = Seen { x: &self.x, at_outputs: &self.at_out, tape: &self.tape, front: &[] };
        dense.gradient(seen, &mut self.gradient);
    }
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
        let validation: Vec<f64> = (0..self.nets.len())
            .map(|kind| {
                let losses = self.losses(kind, &self.nets[kind].params.flat, &self.parts[1]);
                losses.iter().sum::<f64>() / losses.len() as f64
            })
            .collect();
        self.times.learn += begun.elapsed();
        let report = vec![("loss".into(), loss), ("validation_log_loss".into(), validation.iter().sum())];
        all_finite(&report)?;
        self.progress.since += 1;
        // Rewards and ends are learned from recorded changes, whatever the other network says of these.
        for (kind, loss) in validation.into_iter().enumerate() {
            if self.progress.best[kind].is_none_or(|best| loss < best) {
                (self.progress.best[kind], self.progress.since) = (Some(loss), 0);
                self.best[kind] = self.nets[kind].params.flat.copy();
            }
        }
        Ok(Some(report))
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        for (nets, best) in self.nets.iter_mut().zip(&mut self.best) {
            nets.params.load_weights(saved)?;
            *best = nets.params.flat.copy();
        }
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
        let mut losses = vec![0.0; part.len()];
        for kind in 0..self.nets.len() {
            let of_kind = self.losses(kind, &self.best[kind], part);
            losses.iter_mut().zip(of_kind).for_each(|(sum, loss)| *sum += loss);
        }
        let losses: Vec<Option<f64>> = losses.into_iter().map(Some).collect();
        let (one, ten) = (self.errors(part, 1), self.errors(part, HORIZON));
        let mut metrics = vec![metric("log_loss", &losses, false), metric("step_error", &one, true)];
        if ten.iter().any(Option::is_some) {
            metrics.push(metric("ten_step_error", &ten, true));
        }
        metrics.push(metric("reward_error", &self.reward_errors(part), true));
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
        for (nets, (best, name)) in self.nets.iter().zip(self.best.iter().zip(KINDS)) {
            nets.save(&mut tensors);
            tensors.push((name[1].into(), best.shallow_clone()));
        }
        (Saved { tensors, state: json!({"progress": self.progress}) }, json!({"step": self.progress.pass}))
    }

    fn load(&mut self, saved: &Saved, _: Option<&Value>) -> Result<(), AgentError> {
        for (nets, (best, name)) in self.nets.iter_mut().zip(self.best.iter_mut().zip(KINDS)) {
            let there = nets.params.fitting(saved, name[1], &nets.params.flat)?.copy();
            nets.load(saved)?;
            *best = there;
        }
        self.progress = saved.part("progress")?;
        Ok(())
    }
}
