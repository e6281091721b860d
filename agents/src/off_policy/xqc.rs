//! XQC (Palenicek et al. 2026, "XQC: Well-conditioned optimization accelerates deep reinforcement learning"): soft
//! actor-critic whose networks normalise by batch and keep weights of unit norm, with critics that learn a distribution
//! of returns by cross-entropy. Such critics are well conditioned, so that a few steps in the environment are enough.
//!
//! Networks (`normed.rs`), losses and defaults follow the authors' code (github.com/danielpalenicek/xqc, 9a6832b), written
//! anew: one pass of the critics over (s, a) and (s', a') together, by critics and target networks alike, so that both
//! are normalised by the same statistics (CrossQ, Bhatt et al. 2024); a categorical projection of the soft target, and
//! cross-entropy (Bellemare et al. 2017, algorithm 1); the actor's loss by the running statistics of the critics; rewards
//! divided by the deviation of discounted returns.
//!
//! What differs: that divisor is at least the largest return by the bound of the support (as in SimbaV2, Lee et al.
//! 2025), so that no return lies beyond it, and an episode's return begins anew after its last reward; the actor is
//! passed only where it learns, and its running statistics then move as far as they would have meanwhile; two layers of
//! 256, where they have four of 512 and 256; γ is 0.99, where theirs follows from the length of episodes (0.995 for
//! 1,000 steps); logarithms of deviations reach down to −20 as in SAC, theirs to −10.
//!
//! Reading order: `Config`, `Xqc::learn_critics`, `Critic::learn`, `Xqc::learn_actor`. Twin critics are trained side by
//! side, by a thread each; more threads than two only help where next actions are drawn.

use super::actor_critic::{ActorCritic, Algorithm, Pace, fits, frozen, join, parts, progress, rows_of};
use super::collector::Collecting;
use super::normed::{NormTape, Normed};
use super::perceptron::follow;
use crate::agent::{AgentError, Context, Inference, Saved};
use crate::bridge::host_view;
use crate::dense::{Dense, Tape};
use crate::net::{Builder, Params};
use crate::optim::{Adam, Schedule};
use crate::q_loss::{Kinds, Outputs};
use crate::replay::Batch;
use crate::squashed::{Draws, Squashed};
use agon_core::Spec;
use agon_core::rng::Rng;
use agon_core::thread_pool::ThreadPool;
use tch::{Device, Tensor};

/// The share of running statistics that an update keeps, as in the authors' code.
const KEEP: f64 = 0.99;

agon_core::settings! {
    /// Hyperparameters. Steps are those of all environments together, as in `train.steps`.
    pub struct Config {
        /// Sizes of the actor's hidden layers.
        hidden: Vec<usize> = vec![256, 256], in [1.0, 65536.0];
        /// Sizes of the critics' hidden layers.
        critic_hidden: Vec<usize> = vec![256, 256], in [1.0, 65536.0];
        /// Adam's step size at the beginning, for actor, critics and temperature.
        learning_rate: f64 = 3e-4, in [0.0, 1.0];
        /// Its size at the end.
        learning_rate_end: f64 = 3e-5, in [0.0, 1.0];
        /// How the step size changes from one to the other over the run.
        learning_rate_schedule: Schedule = Schedule::Linear;
        /// Discount.
        gamma: f64 = 0.99, in [0.0, 1.0];
        /// τ: the share by which the target critics move towards the critics after each gradient step.
        tau: f64 = 0.005, in [0.0, 1.0];
        /// Transitions that the replay memory holds.
        memory: usize = 1_000_000, in [1.0, 1e9];
        /// Steps before learning begins; actions are uniformly random until then.
        learning_starts: u64 = 5_000, in [1.0, 1e12];
        /// Steps between rounds of learning.
        train_every: u64 = 1, in [1.0, 1e9];
        /// Gradient steps of a round.
        gradient_steps: u64 = 2, in [1.0, 1e6];
        /// Transitions of a minibatch.
        minibatch: usize = 256, in [2.0, 1e6];
        /// Gradient steps of the critics between two of the actor and the temperature.
        policy_every: u64 = 3, in [1.0, 1e4];
        /// Returns between the bounds whose probabilities the critics learn.
        bins: usize = 101, in [2.0, 1e4];
        /// The bound of those returns, in units of scaled rewards.
        value_bound: f64 = 5.0, in [1e-6, 1e6];
        /// Rewards are divided by the running deviation of discounted returns; or by more, so that the largest return
        /// stays within `value_bound`.
        normalize_reward: bool = true;
        /// The target entropy, in nats, of actions in units where their bounds are ±1; minus half the number of an
        /// action's dimensions if left out.
        target_entropy: Option<f64> = None, in [-1e6, 1e6];
        /// A fixed temperature, in place of the learned one.
        temperature: Option<f64> = None, in [0.0, 1e9];
        /// What the learned temperature begins with.
        initial_temperature: f64 = 0.01, in [1e-9, 1e9];
        /// Rewards before the critics' value takes over.
        n_step: usize = 1, in [1.0, 1000.0];
    }
}

impl Config {
    fn collecting(&self) -> Collecting {
        Collecting {
            memory: self.memory,
            learning_starts: self.learning_starts,
            train_every: self.train_every,
            n_step: self.n_step,
            gamma: self.gamma,
            reward_scale: 1.0,
            normalize_observation: false,
            return_bound: self.normalize_reward.then_some(self.value_bound),
            priorities: None,
        }
    }

    fn actor(&self, spec: &Spec, seed: u64) -> Normed {
        let sizes = [&[spec.obs_len()], &self.hidden[..], &[2 * spec.action.len()]].concat();
        // Its running statistics are to move as far as the critics' do meanwhile.
        Normed::new(seed, "actor", &sizes, KEEP.powi(self.policy_every as i32))
    }
}

/// The actor of a save, which takes the mean of its Gaussian, squashed.
pub fn inference(config: &Config, spec: &Spec, saved: &Saved) -> Result<Inference, AgentError> {
    let mut actor = config.actor(spec, 0);
    actor.warm(saved)?;
    frozen(Xqc::NAME, spec, actor.plain(), false, saved)
}

/// A fresh learner.
pub fn agent(config: Config, context: &Context<'_>) -> Result<ActorCritic<Xqc>, AgentError> {
    let collecting = config.collecting();
    fits(Xqc::NAME, context, &collecting, config.minibatch, ("hidden", &config.hidden))?;
    let critic = [&config.critic_hidden[..], &[config.bins]].concat();
    let head = fits(Xqc::NAME, context, &collecting, 2 * config.minibatch, ("critic_hidden", &critic))?;
    let pace = Pace {
        gradient_steps: config.gradient_steps,
        minibatch: config.minibatch,
        rate: config.learning_rate,
        last_rate: config.learning_rate_end,
        schedule: config.learning_rate_schedule,
    };
    let xqc = Xqc::new(config, head.clone(), context);
    Ok(ActorCritic::new(xqc, pace, &collecting, head, context))
}

/// The algorithm.
pub struct Xqc {
    config: Config,
    head: Squashed,
    /// How a critic's outputs are read.
    returns: Outputs,
    actor: Normed,
    /// The actor by its running statistics: what acts.
    plain: (Dense, Params),
    actor_tape: NormTape,
    critics: [Critic; 2],
    /// ln α, the one parameter of its own.
    log_alpha: Params,
    alpha_adam: Adam,
    pool: ThreadPool,
    parts: Vec<Part>,
    /// Of the actor's loss.
    own: Part,
    at_out: Vec<f32>,
    /// `[2n, obs_len + len]`: (s, a) and then (s', a').
    joint: Vec<f32>,
    /// `[n, bins]`: the probabilities that the critics are to learn.
    targets: Vec<f32>,
    /// Standard normal numbers of a gradient step: for the next actions, and for those of the actor's loss.
    noise: [Vec<f64>; 2],
    updates: u64,
    /// The actor's last report.
    told: [f64; 2],
}

/// Rows of observations with drawn actions.
#[derive(Default)]
struct Part {
    tape: Tape,
    out: Vec<f32>,
    drawn: Draws,
    x: Vec<f32>,
}

impl Part {
    /// Draws actions for these observations with this noise.
    fn act(&mut self, (dense, params): &(Dense, &[f32]), head: &Squashed, obs: &[f32], noise: &[f64]) {
        let rows = noise.len() / head.len();
        self.out.resize(rows * dense.outputs(), 0.0);
        dense.forward(params, obs, &mut self.out, &mut self.tape);
        self.drawn.take(head, &self.out, noise);
        join(obs, &self.drawn.actions, rows, &mut self.x);
    }
}

/// A critic, its target network, and buffers.
struct Critic {
    net: Normed,
    target: Params,
    tape: NormTape,
    /// The critic by its running statistics.
    plain: (Dense, Params),
    plain_tape: Tape,
    /// `[n, bins]`
    logits: Vec<f32>,
    at_logits: Vec<f32>,
    /// `[n]`: mean returns.
    means: Vec<f32>,
    at_actions: Vec<f32>,
    loss: f64,
    norm: f64,
}

impl Critic {
    fn new(seed: u64, name: &str, sizes: &[usize]) -> Self {
        let net = Normed::new(seed, name, sizes, KEEP);
        Self {
            target: net.params.frozen(),
            plain: net.plain(),
            net,
            tape: NormTape::default(),
            plain_tape: Tape::default(),
            logits: Vec::new(),
            at_logits: Vec::new(),
            means: Vec::new(),
            at_actions: Vec::new(),
            loss: 0.0,
            norm: 0.0,
        }
    }

    fn find_means(&mut self, returns: &Outputs) {
        self.means.clear();
        self.means.extend(self.logits.chunks_exact(returns.atoms).map(|row| returns.mean(row)));
    }

    /// The target network's distributions for the second half of `joint`.
    fn foresee(&mut self, joint: &[f32], n: usize, returns: &Outputs) {
        let flat = host_view(&self.target.flat).expect("it is on the host");
        self.net.forward(flat, joint, n..2 * n, &mut self.logits, &mut self.tape);
        self.find_means(returns);
    }

    /// The gradient of the mean cross-entropy of the first half of `joint`, and the step along it.
    fn learn(&mut self, joint: &[f32], targets: &[f32], returns: &Outputs, [rate, tau]: [f64; 2]) {
        let n = targets.len() / returns.atoms;
        let flat = host_view(&self.net.params.flat).expect("it is on the host");
        self.net.forward(flat, joint, 0..n, &mut self.logits, &mut self.tape);
        self.at_logits.resize(self.logits.len(), 0.0);
        let rows = self.logits.chunks_exact(returns.atoms).zip(targets.chunks_exact(returns.atoms));
        let (share, mut loss) = (1.0 / n as f32, 0.0);
        for ((taken, target), gradient) in rows.zip(self.at_logits.chunks_exact_mut(returns.atoms)) {
            loss += f64::from(returns.loss(taken, target, gradient).0);
            gradient.iter_mut().for_each(|g| *g *= share);
        }
        self.loss = loss / n as f64;
        self.net.backward(&self.at_logits, 0..n, &mut self.tape);
        self.net.absorb(&self.tape);
        self.norm = self.net.step(rate);
        follow(&mut self.target, &self.net.params, tau as f32);
    }

    /// The mean returns of rows, by running statistics.
    fn judge(&mut self, x: &[f32], returns: &Outputs) {
        self.net.fold(&mut self.plain.1);
        let (dense, params) = &self.plain;
        self.logits.resize(x.len() / dense.inputs() * returns.atoms, 0.0);
        let flat = host_view(&params.flat).expect("it is on the host");
        dense.forward(flat, x, &mut self.logits, &mut self.plain_tape);
        self.find_means(returns);
    }

    /// The gradient of `share · Σ mean returns` of the rows that are its own at their actions, after [`Critic::judge`].
    fn differentiate(&mut self, own: impl Iterator<Item = bool>, share: f32, returns: &Outputs, obs_len: usize) {
        let (dense, params) = &self.plain;
        let flat = host_view(&params.flat).expect("it is on the host");
        self.at_logits.resize(self.logits.len(), 0.0);
        let rows = self.logits.chunks_exact(returns.atoms).zip(self.at_logits.chunks_exact_mut(returns.atoms));
        for ((row, gradient), own) in rows.zip(own) {
            if own {
                returns.differentiate_mean(row, share, gradient);
            } else {
                gradient.fill(0.0);
            }
        }
        dense.backward(flat, &self.at_logits, &mut self.plain_tape);
        self.at_actions.resize(self.means.len() * (dense.inputs() - obs_len), 0.0);
        dense.at_inputs(flat, &self.at_logits, &self.plain_tape, obs_len, &mut self.at_actions, false);
    }
}

/// Whether the first critic's mean return is the smaller one, row by row.
fn first_is_smaller([first, second]: &[Critic; 2]) -> Vec<bool> {
    first.means.iter().zip(&second.means).map(|(a, b)| a <= b).collect()
}

impl Xqc {
    fn new(config: Config, head: Squashed, context: &Context<'_>) -> Self {
        let Context { spec, seed, threads, .. } = *context;
        let (len, n, parts) = (head.len(), config.minibatch, parts(config.minibatch));
        let mut alpha = Builder::new(seed);
        alpha.constant("log_alpha", &[1], config.initial_temperature.ln());
        let log_alpha = alpha.finish(Device::Cpu);
        let actor = config.actor(spec, seed);
        let sizes = [&[spec.obs_len() + len], &config.critic_hidden[..], &[config.bins]].concat();
        let bound = config.value_bound as f32;
        Self {
            returns: Outputs {
                kind: Kinds::C51,
                actions: 1,
                atoms: config.bins,
                dueling: false,
                support: [-bound, bound],
            },
            plain: actor.plain(),
            actor,
            actor_tape: NormTape::default(),
            // Other streams: else they would begin with the same numbers.
            critics: [Critic::new(!seed, "critic.0", &sizes), Critic::new(!seed ^ 1 << 63, "critic.1", &sizes)],
            alpha_adam: Adam::new(&log_alpha, 1e-8),
            log_alpha,
            pool: ThreadPool::new(threads.min(parts.max(2))),
            parts: (0..parts).map(|_| Part::default()).collect(),
            own: Part::default(),
            at_out: Vec::new(),
            joint: Vec::new(),
            targets: vec![0.0; n * config.bins],
            noise: [(); 2].map(|()| vec![0.0; n * len]),
            updates: 0,
            told: [0.0; 2],
            head,
            config,
        }
    }

    /// The temperature α.
    fn alpha(&self) -> f64 {
        self.config.temperature.unwrap_or_else(|| self.log_alpha.flat.double_value(&[0]).exp())
    }

    /// Z = r + γ (Z'(s', a') − α ln π(a'|s')), a' ~ π(s'), where Z' is that of the critic with the smaller mean; both
    /// critics learn the probabilities of Z. Loss, mean target and the gradient's norm.
    fn learn_critics(&mut self, batch: &Batch, actions: &[f32], rate: f64) -> [f64; 3] {
        let (alpha, n, width, tau) = (self.alpha(), batch.places.len(), self.head.len(), self.config.tau);
        let Self { head, returns, plain, critics, pool, parts, joint, targets, noise, .. } = self;
        let (count, obs_len, returns) = (parts.len(), batch.obs.len() / n, *returns);
        let actor = (plain.0.clone(), host_view(&plain.1.flat).expect("it is on the host"));
        pool.each(parts, |i, part| {
            let rows = rows_of(i, n, count);
            let next = &batch.next_obs[rows.start * obs_len..rows.end * obs_len];
            part.act(&actor, head, next, &noise[0][rows.start * width..rows.end * width]);
        });
        join(&batch.obs, actions, n, joint);
        parts.iter().for_each(|part| joint.extend_from_slice(&part.x));
        let joint = &joint[..];
        pool.each(critics, |_, critic| critic.foresee(joint, n, &returns));
        let log_probs = parts.iter().flat_map(|part| &part.drawn.log_prob);
        let mut value = 0.0;
        for (((i, target), log_prob), first) in
            targets.chunks_exact_mut(returns.atoms).enumerate().zip(log_probs).zip(first_is_smaller(critics))
        {
            let next = &critics[usize::from(!first)].logits[i * returns.atoms..(i + 1) * returns.atoms];
            let discount = batch.discount[i];
            let reward = f64::from(batch.reward[i]) - f64::from(discount) * alpha * log_prob;
            returns.target(next, reward as f32, discount, target);
            value += f64::from(returns.mean_of_target(target)) / n as f64;
        }
        let targets = &targets[..];
        pool.each(critics, |_, critic| critic.learn(joint, targets, &returns, [rate, tau]));
        let [first, second] = critics;
        [first.loss + second.loss, value, first.norm.hypot(second.norm)]
    }

    /// The gradient of α ln π(a|s) − min Q(s, a), a ~ π(s), through the draw. The mean of that, and of −ln π(a|s).
    fn learn_actor(&mut self, batch: &Batch, rate: f64) -> [f64; 2] {
        let (alpha, n) = (self.alpha(), batch.places.len());
        let Self { head, returns, actor, actor_tape, plain, critics, pool, own, at_out, noise, .. } = self;
        let (obs_len, share, returns) = (batch.obs.len() / n, 1.0 / n as f64, *returns);
        let flat = host_view(&actor.params.flat).expect("it is on the host");
        actor.forward(flat, &batch.obs, 0..n, &mut own.out, actor_tape);
        own.drawn.take(head, &own.out, &noise[1]);
        join(&batch.obs, &own.drawn.actions, n, &mut own.x);
        let x = &own.x[..];
        pool.each(critics, |_, critic| critic.judge(x, &returns));
        let first = first_is_smaller(critics);
        pool.each(critics, |k, critic| {
            critic.differentiate(first.iter().map(|first| *first == (k == 0)), -share as f32, &returns, obs_len);
        });
        let [one, other] = critics;
        one.at_actions.iter_mut().zip(&other.at_actions).for_each(|(sum, g)| *sum += g);
        own.drawn.differentiate(head, &one.at_actions, alpha * share, at_out);
        actor.backward(at_out, 0..n, actor_tape);
        actor.absorb(actor_tape);
        let _ = actor.step(rate);
        actor.fold(&mut plain.1);
        let value = one.means.iter().zip(&other.means).map(|(a, b)| f64::from(a.min(*b))).sum::<f64>() * share;
        let log_prob = own.drawn.log_prob.iter().sum::<f64>() * share;
        [alpha * log_prob - value, -log_prob]
    }

    /// The gradient of α (entropy − target entropy) at ln α.
    fn learn_temperature(&mut self, entropy: f64, rate: f64) {
        if self.config.temperature.is_none() {
            let target = self.config.target_entropy.unwrap_or(-0.5 * self.head.len() as f64);
            let gradient = Tensor::from_slice(&[(self.alpha() * (entropy - target)) as f32]);
            let _ = self.alpha_adam.step(&mut self.log_alpha, &gradient, rate, f64::INFINITY);
        }
    }
}

impl Algorithm for Xqc {
    const NAME: &'static str = "xqc";

    fn explore(&mut self, obs: &[f32], rng: &mut dyn FnMut(usize) -> Rng, actions: &mut [f32]) {
        let width = self.head.len();
        let mut noise = Vec::with_capacity(actions.len());
        for row in 0..actions.len() / width {
            let mut rng = rng(row);
            noise.extend((0..width).map(|_| rng.normal()));
        }
        let actor = (self.plain.0.clone(), host_view(&self.plain.1.flat).expect("it is on the host"));
        self.own.act(&actor, &self.head, obs, &noise);
        actions.copy_from_slice(&self.own.drawn.actions);
    }

    fn update(&mut self, batch: &Batch, actions: &[f32], rng: &mut Rng, rate: f64) -> Vec<(&'static str, f64)> {
        self.noise.iter_mut().flatten().for_each(|x| *x = rng.normal());
        let [loss, value, norm] = self.learn_critics(batch, actions, rate);
        self.updates += 1;
        if self.updates.is_multiple_of(self.config.policy_every) {
            self.told = self.learn_actor(batch, rate);
            self.learn_temperature(self.told[1], rate);
        }
        let [actor_loss, entropy] = self.told;
        vec![
            ("critic_loss", loss),
            ("actor_loss", actor_loss),
            ("value", value),
            ("entropy", entropy),
            ("temperature", self.alpha()),
            ("grad_norm", norm),
        ]
    }

    fn actor(&self) -> (&Dense, &Params) {
        (&self.plain.0, &self.plain.1)
    }

    fn save(&self, tensors: &mut Vec<(String, Tensor)>) {
        self.actor.save(tensors);
        for (k, critic) in self.critics.iter().enumerate() {
            critic.net.save(tensors);
            tensors.push((format!("target.critic.{k}"), critic.target.flat.shallow_clone()));
        }
        self.alpha_adam.save("log_alpha", &self.log_alpha, tensors);
        tensors.push(("adam.updates".into(), Tensor::from_slice(&[self.updates as i64])));
        tensors.push(("adam.told".into(), Tensor::from_slice(&self.told)));
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        (self.updates, self.told) = progress(saved)?;
        self.actor.load(saved)?;
        for (k, critic) in self.critics.iter_mut().enumerate() {
            let target = critic.target.fitting(saved, &format!("target.critic.{k}"), &critic.target.flat)?;
            critic.net.load(saved)?;
            tch::no_grad(|| critic.target.flat.copy_(&target));
        }
        self.actor.fold(&mut self.plain.1);
        self.alpha_adam.load_named("log_alpha", &mut self.log_alpha, saved)
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.actor.warm(saved)?;
        self.actor.fold(&mut self.plain.1);
        for critic in &mut self.critics {
            critic.net.warm(saved)?;
            critic.target.copy(&critic.net.params);
        }
        self.log_alpha.load_weights(saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;
    use agon_core::{ActionSpec, Field};
    use tch::Kind;

    fn rows(x: &[f32], n: usize) -> Tensor {
        Tensor::from_slice(x).view([n as i64, -1])
    }

    /// Actions `[n, len]` and log-probabilities `[n, 1]` for standard normal numbers.
    fn act(out: &Tensor, noise: &Tensor) -> [Tensor; 2] {
        let (mean, log_std) = (out.narrow(1, 0, 2), out.narrow(1, 2, 2).clamp(-20.0, 2.0));
        let a = (mean + log_std.exp() * noise).tanh();
        let normal: Tensor = noise.square() * -0.5 - &log_std - 0.918_938_533_204_672_7;
        let log_prob = (normal - (a.square() * -1.0 + 1.0).log()).sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
        [a, log_prob]
    }

    fn close(found: &[f32], right: &Tensor, what: &str) {
        let right = Vec::<f32>::try_from(right.detach().contiguous().view([-1])).unwrap();
        let size = right.iter().map(|x| x * x).sum::<f32>().sqrt();
        let off = found.iter().zip(&right).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
        assert!(found.len() == right.len() && size > 0.0 && off < 1e-4 * size, "{what}: {off} of {size}");
    }

    /// The categorical projection as a sum over pairs of returns, each with a triangle of weights around it.
    fn projected(p: &Tensor, moved: &Tensor, returns: &Tensor, gap: f64) -> Tensor {
        let distance = (moved.unsqueeze(1) - returns.view([1, -1, 1])).abs() / gap;
        ((distance * -1.0 + 1.0).clamp_min(0.0) * p.unsqueeze(1)).sum_dim_intlist([2i64].as_slice(), false, Kind::Float)
    }

    /// The gradients of both losses, through statistics, distributions and draws, are those of automatic
    /// differentiation.
    #[test]
    fn gradients_are_libtorchs() {
        let field = |name: &str| Field::new(name, "", -2.0, 3.0);
        let action = ActionSpec::Continuous { fields: vec![field("a"), field("b")] };
        let spec = Spec::new(["x", "y", "z"].map(field).to_vec(), action, 10);
        let context = Context { spec: &spec, rows: 1, first_lane: 0, seed: 3, device: Device::Cpu, threads: 2 };
        let n = 150; // parts of uneven size
        let config =
            Config { hidden: vec![16, 24], critic_hidden: vec![24, 16], minibatch: n, memory: 10, ..Config::default() };
        let (bins, gap) = (config.bins as i64, 2.0 * config.value_bound / (config.bins - 1) as f64);
        let mut xqc = Xqc::new(config, Squashed::of(&spec).unwrap(), &context);
        let (mut rng, mut batch) = (Rng::new(9, Stream::Env, 0), Batch::new(&spec, n));
        let mut draw = |x: &mut Vec<f32>| x.iter_mut().for_each(|x| *x = rng.normal() as f32);
        for x in [&mut batch.obs, &mut batch.next_obs, &mut batch.reward, &mut batch.discount] {
            draw(x);
        }
        let mut actions = vec![0.0; 2 * n];
        draw(&mut actions);
        actions.iter_mut().for_each(|a| *a = a.tanh());
        xqc.noise.iter_mut().flatten().for_each(|x| *x = f64::from(rng.normal() as f32));
        let _ = tch::no_grad(|| xqc.log_alpha.flat.shallow_clone().fill_(-1.0));
        for critic in &xqc.critics {
            // Other numbers than the critics'.
            let _ = tch::no_grad(|| critic.target.flat.shallow_clone().g_mul_scalar_(1.1));
        }
        let (obs, next, alpha) = (rows(&batch.obs, n), rows(&batch.next_obs, n), (-1f64).exp());
        let [next_noise, noise] =
            xqc.noise.each_ref().map(|x| Tensor::from_slice(x).view([n as i64, -1]).to_kind(Kind::Float));
        let returns = Tensor::arange(bins, (Kind::Float, Device::Cpu)) * gap - xqc.config.value_bound;
        let mean = |p: &Tensor| (p * &returns).sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
        let before = xqc.critics.each_ref().map(|critic| critic.net.params.frozen());

        let half = |x: &Tensor, k: i64| x.narrow(0, k * n as i64, n as i64);
        let [a, log_prob] = act(&xqc.actor.outputs(&xqc.actor.params, &next, false), &next_noise);
        let joint =
            Tensor::cat(&[Tensor::cat(&[&obs, &rows(&actions, n)], 1), Tensor::cat(&[&next, &a], 1)], 0).detach();
        let target = tch::no_grad(|| {
            let critic = |k: usize| xqc.critics[k].net.outputs(&xqc.critics[k].target, &joint, true);
            let [first, second] = [0, 1].map(|k| half(&critic(k), 1).softmax(-1, Kind::Float));
            let p = first.where_self(&mean(&first).le_tensor(&mean(&second)), &second);
            let moved = rows(&batch.reward, n) + rows(&batch.discount, n) * (&returns - log_prob * alpha);
            projected(&p, &moved.clamp(-xqc.config.value_bound, xqc.config.value_bound), &returns, gap)
        });
        assert!((target.sum(Kind::Float).double_value(&[]) - n as f64).abs() < 1e-2, "they are probabilities");
        let losses = [0, 1].map(|k| {
            let log_p = half(&xqc.critics[k].net.outputs(&before[k], &joint, true), 0).log_softmax(-1, Kind::Float);
            -(&target * log_p).sum(Kind::Float) / n as f64
        });
        let right = [0, 1].map(|k| before[k].gradient(&losses[k]));

        let [loss, ..] = xqc.learn_critics(&batch, &actions, 1e-3);
        let [first, second] = losses.map(|loss| loss.double_value(&[]));
        assert!((first + second - loss).abs() < 1e-4 * loss, "{loss} is not {first} + {second}");
        for (critic, right) in xqc.critics.iter().zip(&right) {
            close(critic.net.gradient(), right, "critics");
        }

        let actor = xqc.actor.params.frozen();
        let [a, log_prob] = act(&xqc.actor.outputs(&actor, &obs, true), &noise);
        let x = Tensor::cat(&[&obs, &a], 1);
        let critic = |k: usize| xqc.critics[k].net.outputs(&xqc.critics[k].net.params, &x, false);
        let [first, second] = [0, 1].map(|k| mean(&critic(k).softmax(-1, Kind::Float)));
        let right = (&log_prob * alpha - first.minimum(&second)).mean(Kind::Float);
        let gradient = actor.gradient(&right);
        let [loss, entropy] = xqc.learn_actor(&batch, 1e-3);
        assert!((right.double_value(&[]) - loss).abs() < 1e-5, "{loss} is not {right}");
        assert!((log_prob.mean(Kind::Float).double_value(&[]) + entropy).abs() < 1e-4 * entropy.abs());
        close(xqc.actor.gradient(), &gradient, "actor");

        for (entropy, rises) in [(-1.5, true), (-0.5, false)] {
            let before = xqc.alpha();
            xqc.learn_temperature(entropy, 0.1);
            assert_eq!(xqc.alpha() > before, rises, "−1 nat is asked, {entropy} are there");
        }
    }
}
