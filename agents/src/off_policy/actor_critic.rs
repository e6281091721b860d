//! What learners of continuous actions share: twin critics (Fujimoto et al. 2018), the loop around an algorithm, and
//! the trained policy.

use super::collector::{Collecting, Collector};
use super::perceptron::{Now, Perceptrons, follow};
use crate::agent::{Agent, AgentError, Context, Inference, Saved, Stop, acts, all_finite, go_on};
use crate::bridge::host_view;
use crate::dense::{BLOCK, Dense, Seen, Tape};
use crate::greedy::see;
use crate::net::Params;
use crate::normalise::Moments;
use crate::optim::Schedule;
use crate::replay::{Batch, Replay};
use crate::squashed::Squashed;
use agon_core::memory;
use agon_core::policy::{Observed, Policy};
use agon_core::rng::{LaneRngs, Rng, RngState, Stream};
use agon_core::settings::Issue;
use agon_core::thread_pool::ThreadPool;
use agon_core::{Actions, ActionsMut, FirstBuf, Observation, Spec, StepBuf};
use serde_json::{Map, Value, json};
use tch::Tensor;

/// Rows of observations beside rows of actions, `[rows, obs_len + len]`.
pub fn join(obs: &[f32], actions: &[f32], rows: usize, out: &mut Vec<f32>) {
    let (n, m) = (obs.len() / rows, actions.len() / rows);
    out.clear();
    for (obs, action) in obs.chunks_exact(n).zip(actions.chunks_exact(m)) {
        out.extend_from_slice(obs);
        out.extend_from_slice(action);
    }
}

/// Two critics Q(s, a) and their target networks.
pub struct Critics {
    nets: Perceptrons,
    target: Params,
    obs_len: usize,
}

/// Buffers for the passes of critics over a part of a minibatch.
#[derive(Debug, Default)]
pub struct CriticWork {
    tapes: [Tape; 2],
    q: [Vec<f32>; 2],
    at_outputs: [Vec<f32>; 2],
    /// The gradient of the last loss, laid out as the parameters.
    pub gradient: Vec<f32>,
}

impl Critics {
    /// Fresh ones for observations and actions of these lengths.
    pub fn new(seed: u64, obs_len: usize, actions: usize, hidden: &[usize]) -> Self {
        let nets = Perceptrons::new(seed, "critic", 2, &[&[obs_len + actions], hidden, &[1]].concat());
        Self { target: nets.params.frozen(), nets, obs_len }
    }

    /// What their passes need, for any thread.
    pub fn now(&self) -> CriticsNow<'_> {
        let target = host_view(&self.target.flat).expect("it is on the host");
        CriticsNow { nets: self.nets.now(), target, obs_len: self.obs_len }
    }

    /// Adam's step along the sum of the parts' gradients; its norm.
    pub fn step(&mut self, parts: &[&[f32]], rate: f64, pool: &ThreadPool) -> f64 {
        self.nets.step(parts, rate, pool)
    }

    /// Moves the target networks towards the critics by `tau`.
    pub fn follow(&mut self, tau: f64) {
        follow(&mut self.target, &self.nets.params, tau as f32);
    }

    /// Everything that must be saved.
    pub fn save(&self, tensors: &mut Vec<(String, Tensor)>) {
        self.nets.save(tensors);
        tensors.push(("target.critic".into(), self.target.flat.shallow_clone()));
    }

    /// Restores a save.
    pub fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let target = self.target.fitting(saved, "target.critic", &self.target.flat)?;
        self.nets.load(saved)?;
        tch::no_grad(|| self.target.flat.copy_(&target));
        Ok(())
    }

    /// Loads the weights of a save.
    pub fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.nets.params.load_weights(saved)?;
        self.target.copy(&self.nets.params);
        Ok(())
    }
}

#[cfg(test)]
impl Critics {
    pub(super) fn params(&self) -> &Params {
        &self.nets.params
    }

    pub(super) fn target(&self) -> &Params {
        &self.target
    }
}

/// The present critics and target networks.
#[derive(Clone, Copy)]
pub struct CriticsNow<'a> {
    nets: Now<'a>,
    target: &'a [f32],
    obs_len: usize,
}

impl CriticsNow<'_> {
    fn forward(&self, flat: &[f32], x: &[f32], work: &mut CriticWork) {
        for ((net, tape), q) in self.nets.dense.iter().zip(&mut work.tapes).zip(&mut work.q) {
            q.resize(x.len() / net.inputs(), 0.0);
            net.forward(flat, x, q, tape);
        }
    }

    /// The smaller value of both target networks, `[rows]`; `x`: `[rows, obs_len + len]`.
    pub fn target_minimum(&self, x: &[f32], work: &mut CriticWork, out: &mut Vec<f32>) {
        self.forward(self.target, x, work);
        out.clear();
        out.extend(work.q[0].iter().zip(&work.q[1]).map(|(a, b)| a.min(*b)));
    }

    /// Leaves in `work` the gradient of `share · Σ ½ (Q(x) − y)²` of both; that sum, and the sum of values.
    pub fn learn(&self, x: &[f32], y: &[f32], share: f64, work: &mut CriticWork) -> [f64; 2] {
        self.forward(self.nets.flat, x, work);
        let CriticWork { tapes, q, at_outputs, gradient, .. } = work;
        gradient.clear();
        gradient.resize(self.nets.flat.len(), 0.0);
        let (mut loss, mut values) = (0.0, 0.0);
        for (((net, tape), q), at_output) in self.nets.dense.iter().zip(tapes).zip(q).zip(at_outputs) {
            at_output.clear();
            at_output.extend(q.iter().zip(y).map(|(q, y)| (share * f64::from(q - y)) as f32));
            loss += q.iter().zip(y).map(|(q, y)| 0.5 * share * f64::from(q - y).powi(2)).sum::<f64>();
            values += q.iter().map(|q| f64::from(*q)).sum::<f64>();
            net.backward(self.nets.flat, at_output, tape);
            net.gradient(Seen { x, at_outputs: at_output, tape, front: &[] }, gradient);
        }
        [loss, 0.5 * values]
    }

    /// Writes the gradient of `share · Σ min Q(x)`, or of the first critic alone, at the actions `[rows, len]`; the sum.
    pub fn at_actions(&self, x: &[f32], both: bool, share: f64, work: &mut CriticWork, out: &mut [f32]) -> f64 {
        let flat = self.nets.flat;
        self.forward(flat, x, work);
        let CriticWork { tapes, q, at_outputs, .. } = work;
        let [first, second] = &*q;
        let of_first: Vec<bool> = first.iter().zip(second).map(|(a, b)| !both || a <= b).collect();
        let mut sum = 0.0;
        for (k, ((net, tape), q)) in self.nets.dense.iter().zip(tapes).zip(&*q).enumerate() {
            if k == 1 && !both {
                break;
            }
            let at_output = &mut at_outputs[k];
            let own = || of_first.iter().map(|first| *first == (k == 0));
            at_output.clear();
            at_output.extend(own().map(|own| if own { share as f32 } else { 0.0 }));
            sum += share * own().zip(q).map(|(own, q)| if own { f64::from(*q) } else { 0.0 }).sum::<f64>();
            net.backward(flat, at_output, tape);
            net.at_inputs(flat, at_output, tape, self.obs_len, out, k > 0);
        }
        sum
    }
}

/// Parts of a minibatch. They do not depend on the number of threads, so neither do results.
pub fn parts(minibatch: usize) -> usize {
    (minibatch / 64).clamp(1, 8)
}

/// Rows of part `i` of so many rows in so many parts.
pub fn rows_of(i: usize, rows: usize, parts: usize) -> std::ops::Range<usize> {
    i * rows / parts..(i + 1) * rows / parts
}

/// An algorithm of continuous control.
pub trait Algorithm {
    /// As scenarios name it.
    const NAME: &'static str;

    /// Writes actions with exploration, `[rows, len]` in (−1, 1), for observations; `rng`: a generator for each row.
    fn explore(&mut self, obs: &[f32], rng: &mut dyn FnMut(usize) -> Rng, actions: &mut [f32]);

    /// One gradient step; its report, by name. `actions`: `[n, len]` of the batch, in (−1, 1).
    fn update(&mut self, batch: &Batch, actions: &[f32], rng: &mut Rng, rate: f64) -> Vec<(&'static str, f64)>;

    /// The actor as a plain perceptron, and its parameters.
    fn actor(&self) -> (&Dense, &Params);

    /// Everything that must be saved.
    fn save(&self, tensors: &mut Vec<(String, Tensor)>);

    /// Restores a save.
    fn load(&mut self, saved: &Saved) -> Result<(), AgentError>;

    /// Loads the weights of a save.
    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError>;

    /// Loads the actor of a squashed clone.
    fn warm_from_clone(&mut self, _saved: &Saved) -> Result<(), AgentError> {
        Err(AgentError::Checkpoint("a clone has other networks than this agent's actor".into()))
    }
}

/// How many gradient steps a save has made, and its last report.
pub fn progress<const N: usize>(saved: &Saved) -> Result<(u64, [f64; N]), AgentError> {
    let (updates, told) = (saved.tensor("adam.updates")?, saved.tensor("adam.told")?);
    if updates.numel() == 1
        && told.numel() == N
        && let Ok(updates) = u64::try_from(updates.int64_value(&[0]))
    {
        return Ok((updates, std::array::from_fn(|k| told.double_value(&[k as i64]))));
    }
    Err(AgentError::Checkpoint("its `adam.updates` cannot be".into()))
}

/// How fast an algorithm learns.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Gradient steps of a round.
    pub gradient_steps: u64,
    /// Transitions of a gradient step.
    pub minibatch: usize,
    /// Adam's step size.
    pub rate: f64,
    /// What a schedule leads it to.
    pub last_rate: f64,
    /// How that changes over the run.
    pub schedule: Schedule,
}

/// An algorithm and its collector: the agent.
pub struct ActorCritic<A> {
    algorithm: A,
    pace: Pace,
    collector: Collector,
    head: Squashed,
    batch: Batch,
    actions: Vec<f32>,
    act_rngs: LaneRngs,
    sample_rng: Rng,
}

/// Refuses environments whose actions are choices, and settings that need more memory than there is. `hidden`: the sizes
/// of hidden layers, under their name in a scenario.
pub fn fits(
    kind: &str,
    context: &Context<'_>,
    set: &Collecting,
    minibatch: usize,
    (name, hidden): (&'static str, &[usize]),
) -> Result<Squashed, AgentError> {
    let Context { spec, rows, .. } = *context;
    let refuse = |name: &str, message: String| AgentError::Settings(vec![Issue::value(name, message)]);
    let Some(head) = Squashed::of(spec) else {
        return Err(refuse(
            "kind",
            format!("{kind} is for continuous actions; here actions are choices: use dqn or ppo"),
        ));
    };
    if !matches!(spec.observation, Observation::Numbers(_)) {
        return Err(refuse("kind", format!("{kind} is for observations that are plain numbers: use ppo")));
    }
    let kept = Replay::bytes(spec, Replay::steps(rows, set.memory, set.n_step) * rows);
    memory::fits("memory", kept, ", which is written out in full at every checkpoint")?;
    let sizes = [&[spec.obs_len() + head.len()], hidden, &[2 * head.len()]].concat();
    // Three networks with target networks, moments, gradients of parts; again where they are put aside.
    let weights: f64 = sizes.windows(2).map(|w| 150.0 * w[0] as f64 * w[1] as f64).sum();
    memory::fits(name, weights, "")?;
    let widest = hidden.iter().copied().max().unwrap_or(1).max(spec.obs_len() + head.len());
    let batch = 4.0 * minibatch as f64 * (3 * spec.obs_len() + 12 * widest * (hidden.len() + 1)) as f64;
    memory::fits("minibatch", batch, "")?;
    memory::fits("memory", kept + batch + weights, " together with the networks")?;
    Ok(head)
}

impl<A: Algorithm> ActorCritic<A> {
    /// An algorithm at its beginning.
    pub fn new(algorithm: A, pace: Pace, set: &Collecting, head: Squashed, context: &Context<'_>) -> Self {
        let Context { spec, rows, first_lane, seed, .. } = *context;
        Self {
            algorithm,
            collector: Collector::new(set, spec, rows),
            actions: vec![0.0; pace.minibatch * head.len()],
            batch: Batch::new(spec, pace.minibatch),
            head,
            act_rngs: LaneRngs::new(seed, Stream::Act, first_lane),
            sample_rng: Rng::new(seed, Stream::Shuffle, 0),
            pace,
        }
    }

    fn bout(&mut self, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<(), AgentError> {
        let Pace { rate, last_rate, schedule, .. } = self.pace;
        let rate = last_rate + schedule.at(rate - last_rate, self.collector.progress);
        let mut told = Vec::new();
        for _ in 0..self.pace.gradient_steps {
            go_on(stop)?;
            self.collector.sample(&mut self.sample_rng, 1.0, &mut self.batch);
            self.actions.copy_from_slice(&self.batch.numbers);
            self.head.unscaled(&mut self.actions);
            told = self.algorithm.update(&self.batch, &self.actions, &mut self.sample_rng, rate);
        }
        report.extend(told.into_iter().map(|(name, x)| (name.to_owned(), x)));
        report.push(("learning_rate".into(), rate));
        all_finite(report)
    }
}

impl<A: Algorithm> Agent for ActorCritic<A> {
    fn first(&mut self) -> FirstBuf<'_> {
        self.collector.first()
    }

    fn begin(&mut self) {
        self.collector.begin();
    }

    fn act(&mut self) {
        let (rngs, warming_up) = (self.act_rngs, self.collector.is_warming_up());
        self.act_rngs.step += 1;
        let (obs, actions) = self.collector.choice();
        if warming_up {
            for (row, action) in actions.chunks_exact_mut(self.head.len()).enumerate() {
                let mut rng = rngs.row(row);
                action.iter_mut().for_each(|a| *a = rng.range(-1.0, 1.0) as f32);
            }
        } else {
            self.algorithm.explore(obs, &mut |row| rngs.row(row), actions);
        }
        self.head.scaled(actions);
    }

    fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        self.collector.exchange()
    }

    fn learn(&mut self, progress: f64, report: &mut Vec<(String, f64)>, stop: Stop<'_>) -> Result<bool, AgentError> {
        self.collector.take(progress);
        if !self.collector.is_due() {
            return Ok(self.collector.may_rest());
        }
        while self.collector.next_bout() {
            report.clear();
            self.bout(report, stop)?;
        }
        Ok(true)
    }

    fn takes_long(&self) -> bool {
        // A transition goes through three networks several times.
        self.collector.takes_long(10.0 * self.pace.gradient_steps as f64 * self.pace.minibatch as f64)
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        if let Some(squashed) = saved.state.get("squashed") {
            if squashed != true {
                let message = "a clone that this agent begins with has `policy = \"squashed\"`; this one is gaussian";
                return Err(AgentError::Checkpoint(message.into()));
            }
            let moments = Moments::saved(saved, "obs_moments", self.collector.moments.as_ref())?;
            self.algorithm.warm_from_clone(saved)?;
            self.collector.moments = moments;
            self.collector.follow_policy();
            return Ok(());
        }
        let (moments, returns) = (self.collector.saved_moments(saved)?, self.collector.saved_returns(saved)?);
        self.algorithm.warm(saved)?;
        (self.collector.moments, self.collector.returns) = (moments, returns);
        Ok(())
    }

    fn policy(&self) -> Box<dyn Policy> {
        let (dense, params) = self.algorithm.actor();
        Box::new(Frozen {
            name: A::NAME,
            dense: dense.clone(),
            params: params.frozen(),
            head: self.head.clone(),
            moments: self.collector.moments.clone(),
            seen: Vec::new(),
            out: Vec::new(),
            tape: Tape::default(),
        })
    }

    fn save(&self) -> Saved {
        let (mut tensors, mut state) = (Vec::new(), Map::new());
        self.algorithm.save(&mut tensors);
        self.collector.save(&mut tensors, &mut state);
        state.insert("due".into(), json!(self.collector.due()));
        state.insert("acts".into(), json!(self.act_rngs.step));
        state.insert("sample_rng".into(), json!(self.sample_rng.state()));
        Saved { tensors, state: Value::Object(state) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (due, rng): (u64, RngState) = (saved.part("due")?, saved.part("sample_rng")?);
        self.algorithm.load(saved)?;
        self.collector.load(saved, due)?;
        self.sample_rng = Rng::restore(rng);
        self.act_rngs.step = acts(saved)?;
        Ok(())
    }
}

/// An actor without exploration.
struct Frozen {
    name: &'static str,
    dense: Dense,
    params: Params,
    head: Squashed,
    moments: Option<Moments>,
    seen: Vec<f32>,
    out: Vec<f32>,
    tape: Tape,
}

/// The actor of a save. `outputs`: its number of outputs, means first.
pub fn inference(
    name: &'static str,
    spec: &Spec,
    hidden: &[usize],
    outputs: usize,
    normalize_observation: bool,
    saved: &Saved,
) -> Result<Inference, AgentError> {
    let mut actor = Perceptrons::new(0, "actor", 1, &[&[spec.obs_len()], hidden, &[outputs]].concat());
    actor.params.load_weights(saved)?;
    frozen(name, spec, (actor.dense.remove(0), actor.params), normalize_observation, saved)
}

/// A policy of this actor, with the moments of a save.
pub fn frozen(
    name: &'static str,
    spec: &Spec,
    (dense, params): (Dense, Params),
    normalize_observation: bool,
    saved: &Saved,
) -> Result<Inference, AgentError> {
    let refuse = || AgentError::Checkpoint(format!("{name} is for continuous actions"));
    let head = Squashed::of(spec).ok_or_else(refuse)?;
    let fresh = Moments::of(&spec.observation, normalize_observation);
    let moments = Moments::saved(saved, "moments", fresh.as_ref())?;
    let (seen, out, tape) = (Vec::new(), Vec::new(), Tape::default());
    let policy = Frozen { name, dense, params, head, moments, seen, out, tape };
    Ok(Inference { policy: Some(Box::new(policy)), network: None })
}

impl Policy for Frozen {
    fn act(&mut self, observed: Observed<'_>, actions: ActionsMut<'_>) {
        let ActionsMut::Continuous(actions) = actions else { panic!("the spec has continuous actions") };
        let (inputs, outputs, len) = (self.dense.inputs(), self.dense.outputs(), self.head.len());
        let obs = see(self.moments.as_ref(), observed.obs, &mut self.seen);
        let flat = host_view(&self.params.flat).expect("it is on the host");
        for (obs, actions) in obs.chunks(BLOCK * inputs).zip(actions.chunks_mut(BLOCK * len)) {
            self.out.resize(obs.len() / inputs * outputs, 0.0);
            self.dense.forward(flat, obs, &mut self.out, &mut self.tape);
            for (out, action) in self.out.chunks_exact(outputs).zip(actions.chunks_exact_mut(len)) {
                self.head.mode(&out[..len], action);
            }
        }
        self.head.scaled(actions);
    }

    fn name(&self) -> String {
        self.name.into()
    }
}
