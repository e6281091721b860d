//! Soft actor-critic (Haarnoja et al. 2018, "Soft actor-critic algorithms and applications"): twin critics, a squashed
//! Gaussian, a temperature that keeps the policy's entropy at its target.
//!
//! Reading order: `Config`, `Sac::explore`, `Sac::update`. Steps are collected by [`super::collector`]; the loop around it
//! is [`super::actor_critic`].

use super::actor_critic::{
    ActorCritic, Algorithm, CriticWork, Critics, Pace, fits, inference as actor_of, join, parts, rows_of,
};
use super::collector::Collecting;
use super::perceptron::{Now, Perceptrons};
use crate::agent::{AgentError, Context, Inference, Saved};
use crate::dense::{Dense, Seen, Tape};
use crate::net::{Builder, Params};
use crate::optim::{Adam, Schedule};
use crate::replay::Batch;
use crate::squashed::{Draws, Squashed};
use agon_core::Spec;
use agon_core::rng::Rng;
use agon_core::thread_pool::ThreadPool;
use tch::{Device, Tensor};

agon_core::settings! {
    /// Hyperparameters. Steps are those of all environments together, as in `train.steps`.
    pub struct Config {
        /// Sizes of the hidden layers of actor and critics.
        hidden: Vec<usize> = vec![256, 256], in [1.0, 65536.0];
        /// Adam's step size, for actor, critics and temperature.
        learning_rate: f64 = 3e-4, in [0.0, 1.0];
        /// How the step size changes over the run.
        learning_rate_schedule: Schedule = Schedule::Constant;
        /// Discount.
        gamma: f64 = 0.99, in [0.0, 1.0];
        /// τ: the share by which the target critics move towards the critics after each gradient step.
        tau: f64 = 0.005, in [0.0, 1.0];
        /// Transitions that the replay memory holds.
        memory: usize = 1_000_000, in [1.0, 1e9];
        /// Steps before learning begins; actions are uniformly random until then.
        learning_starts: u64 = 10_000, in [1.0, 1e12];
        /// Steps between rounds of learning.
        train_every: u64 = 1, in [1.0, 1e9];
        /// Gradient steps of a round.
        gradient_steps: u64 = 1, in [1.0, 1e6];
        /// Transitions of a minibatch.
        minibatch: usize = 256, in [1.0, 1e6];
        /// Gradient steps of the critics before the actor learns: beside an actor from a clone they know nothing yet.
        policy_starts: u64 = 0, in [0.0, 1e12];
        /// Gradient steps of the critics between two of the actor.
        policy_every: u64 = 1, in [1.0, 1e6];
        /// The target entropy, in nats, of actions in units where their bounds are ±1; minus the number of an action's
        /// dimensions if left out.
        target_entropy: Option<f64> = None, in [-1e6, 1e6];
        /// The temperature that learning begins with.
        initial_temperature: f64 = 1.0, in [1e-9, 1e9];
        /// A fixed temperature, in place of the learned one.
        temperature: Option<f64> = None, in [0.0, 1e9];
        /// Rewards before the critics' value takes over.
        n_step: usize = 1, in [1.0, 1000.0];
        /// Observations are standardised by their running mean and deviation.
        normalize_observation: bool = false;
        /// Rewards are multiplied by this before anything is learned from them.
        reward_scale: f64 = 1.0, in [1e-12, 1e12];
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
            reward_scale: self.reward_scale,
            normalize_observation: self.normalize_observation,
            return_bound: None,
            priorities: None,
        }
    }
}

/// The actor of a save, which takes the mean of its Gaussian, squashed.
pub fn inference(config: &Config, spec: &Spec, saved: &Saved) -> Result<Inference, AgentError> {
    let outputs = 2 * spec.action.len();
    actor_of(Sac::NAME, spec, &config.hidden, outputs, config.normalize_observation, saved)
}

/// A fresh learner.
pub fn agent(config: Config, context: &Context<'_>) -> Result<ActorCritic<Sac>, AgentError> {
    let collecting = config.collecting();
    let head = fits(Sac::NAME, context, &collecting, config.minibatch, ("hidden", &config.hidden))?;
    let pace = Pace {
        gradient_steps: config.gradient_steps,
        minibatch: config.minibatch,
        rate: config.learning_rate,
        last_rate: 0.0,
        schedule: config.learning_rate_schedule,
    };
    let sac = Sac::new(config, head.clone(), context);
    Ok(ActorCritic::new(sac, pace, &collecting, head, context))
}

/// The algorithm.
pub struct Sac {
    config: Config,
    head: Squashed,
    actor: Perceptrons,
    critics: Critics,
    /// ln α, the one parameter of its own.
    log_alpha: Params,
    alpha_adam: Adam,
    pool: ThreadPool,
    parts: Vec<Part>,
    /// Standard normal numbers of a gradient step: for the next actions, and for those of the actor's loss.
    noise: [Vec<f64>; 2],
    updates: u64,
    /// The actor's last report.
    told: [f64; 2],
}

/// A part of a minibatch, with buffers.
#[derive(Default)]
struct Part {
    tape: Tape,
    out: Vec<f32>,
    at_out: Vec<f32>,
    drawn: Draws,
    at_actions: Vec<f32>,
    x: Vec<f32>,
    y: Vec<f32>,
    critics: CriticWork,
    gradient: Vec<f32>,
    sums: [f64; 2],
}

impl Sac {
    fn new(config: Config, head: Squashed, context: &Context<'_>) -> Self {
        let Context { spec, seed, threads, .. } = *context;
        let (obs_len, len, parts) = (spec.obs_len(), head.len(), parts(config.minibatch));
        let mut alpha = Builder::new(seed);
        alpha.constant("log_alpha", &[1], config.initial_temperature.ln());
        let log_alpha = alpha.finish(Device::Cpu);
        Self {
            actor: Perceptrons::new(seed, "actor", 1, &[&[obs_len], &config.hidden[..], &[2 * len]].concat()),
            // Another stream: else critics would begin with the actor's numbers.
            critics: Critics::new(!seed, obs_len, len, &config.hidden),
            alpha_adam: Adam::new(&log_alpha, 1e-8),
            log_alpha,
            pool: ThreadPool::new(threads.min(parts)),
            parts: (0..parts).map(|_| Part::default()).collect(),
            noise: [(); 2].map(|()| vec![0.0; config.minibatch * len]),
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

    /// y = r + γ (min Q'(s', a') − α ln π(a'|s')), a' ~ π(s'), and the gradient of both critics' ½ (Q(s, a) − y)².
    fn learn_critics(&mut self, batch: &Batch, actions: &[f32], rate: f64) -> [f64; 3] {
        let (alpha, n, width) = (self.alpha(), batch.places.len(), self.head.len());
        let Self { head, actor, critics, pool, parts, noise, .. } = self;
        let (count, obs_len) = (parts.len(), batch.obs.len() / n);
        let (actor, critics_now) = (actor.now(), critics.now());
        pool.each(parts, |i, part| {
            let rows = rows_of(i, n, count);
            let next = &batch.next_obs[rows.start * obs_len..rows.end * obs_len];
            part.act(actor, head, next, &noise[0][rows.start * width..rows.end * width]);
            join(next, &part.drawn.actions, rows.len(), &mut part.x);
            critics_now.target_minimum(&part.x, &mut part.critics, &mut part.y);
            let (reward, discount) = (&batch.reward[rows.clone()], &batch.discount[rows.clone()]);
            for (k, y) in part.y.iter_mut().enumerate() {
                let soft = f64::from(*y) - alpha * part.drawn.log_prob[k];
                *y = (f64::from(reward[k]) + f64::from(discount[k]) * soft) as f32;
            }
            let obs = &batch.obs[rows.start * obs_len..rows.end * obs_len];
            join(obs, &actions[rows.start * width..rows.end * width], rows.len(), &mut part.x);
            part.sums = critics_now.learn(&part.x, &part.y, 1.0 / n as f64, &mut part.critics);
        });
        let gradients: Vec<&[f32]> = parts.iter().map(|p| &p.critics.gradient[..]).collect();
        let norm = critics.step(&gradients, rate, pool);
        let sum = |k: usize| parts.iter().map(|p| p.sums[k]).sum::<f64>();
        [sum(0), sum(1) / n as f64, norm]
    }

    /// The gradient of α ln π(a|s) − min Q(s, a), a ~ π(s), through the draw. The mean of that, and of −ln π(a|s).
    fn learn_actor(&mut self, batch: &Batch, rate: f64) -> [f64; 2] {
        let (alpha, n, width) = (self.alpha(), batch.places.len(), self.head.len());
        let Self { head, actor, critics, pool, parts, noise, .. } = self;
        let (count, obs_len, share) = (parts.len(), batch.obs.len() / n, 1.0 / n as f64);
        let (actor_now, critics) = (actor.now(), critics.now());
        pool.each(parts, |i, part| {
            let rows = rows_of(i, n, count);
            let obs = &batch.obs[rows.start * obs_len..rows.end * obs_len];
            part.act(actor_now, head, obs, &noise[1][rows.start * width..rows.end * width]);
            join(obs, &part.drawn.actions, rows.len(), &mut part.x);
            part.at_actions.resize(part.drawn.actions.len(), 0.0);
            let value = critics.at_actions(&part.x, true, -share, &mut part.critics, &mut part.at_actions);
            part.drawn.differentiate(head, &part.at_actions, alpha * share, &mut part.at_out);
            let (flat, net) = (actor_now.flat, &actor_now.dense[0]);
            net.backward(flat, &part.at_out, &mut part.tape);
            part.gradient.clear();
            part.gradient.resize(flat.len(), 0.0);
            net.gradient(Seen { x: obs, at_outputs: &part.at_out, tape: &part.tape, front: &[] }, &mut part.gradient);
            let log_prob = part.drawn.log_prob.iter().sum::<f64>() * share;
            part.sums = [value + alpha * log_prob, -log_prob];
        });
        let gradients: Vec<&[f32]> = parts.iter().map(|p| &p.gradient[..]).collect();
        let _ = actor.step(&gradients, rate, pool);
        [0, 1].map(|k| parts.iter().map(|p| p.sums[k]).sum::<f64>())
    }

    /// The gradient of ln α (entropy − target entropy): where the policy's entropy is above its target, α falls.
    fn learn_temperature(&mut self, entropy: f64, rate: f64) {
        if self.config.temperature.is_none() {
            let target = self.config.target_entropy.unwrap_or(-(self.head.len() as f64));
            let gradient = Tensor::from_slice(&[(entropy - target) as f32]);
            let _ = self.alpha_adam.step(&mut self.log_alpha, &gradient, rate, f64::INFINITY);
        }
    }
}

impl Part {
    /// Draws actions for these observations with this noise, and keeps what their gradients need.
    fn act(&mut self, actor: Now<'_>, head: &Squashed, obs: &[f32], noise: &[f64]) {
        self.out.resize(2 * noise.len(), 0.0);
        actor.dense[0].forward(actor.flat, obs, &mut self.out, &mut self.tape);
        self.drawn.take(head, &self.out, noise);
    }
}

impl Algorithm for Sac {
    const NAME: &'static str = "sac";

    fn explore(&mut self, obs: &[f32], rng: &mut dyn FnMut(usize) -> Rng, actions: &mut [f32]) {
        let (width, rows) = (self.head.len(), actions.len() / self.head.len());
        let noise: Vec<f64> = (0..rows)
            .flat_map(|row| {
                let mut rng = rng(row);
                (0..width).map(move |_| rng.normal())
            })
            .collect();
        let part = &mut self.parts[0];
        part.act(self.actor.now(), &self.head, obs, &noise);
        actions.copy_from_slice(&part.drawn.actions);
    }

    fn update(&mut self, batch: &Batch, actions: &[f32], rng: &mut Rng, rate: f64) -> Vec<(&'static str, f64)> {
        self.noise.iter_mut().flatten().for_each(|x| *x = rng.normal());
        let [loss, value, norm] = self.learn_critics(batch, actions, rate);
        self.updates += 1;
        if self.updates > self.config.policy_starts && self.updates.is_multiple_of(self.config.policy_every) {
            self.told = self.learn_actor(batch, rate);
            self.learn_temperature(self.told[1], rate);
        }
        self.critics.follow(self.config.tau);
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
        (&self.actor.dense[0], &self.actor.params)
    }

    fn save(&self, tensors: &mut Vec<(String, Tensor)>) {
        self.actor.save(tensors);
        self.critics.save(tensors);
        self.alpha_adam.save("log_alpha", &self.log_alpha, tensors);
        tensors.push(("adam.updates".into(), Tensor::from_slice(&[self.updates as i64])));
        tensors.push(("adam.told".into(), Tensor::from_slice(&self.told)));
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        (self.updates, self.told) = super::actor_critic::progress(saved)?;
        self.actor.load(saved)?;
        self.critics.load(saved)?;
        self.alpha_adam.load_named("log_alpha", &mut self.log_alpha, saved)
    }

    fn warm_from_clone(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.actor.load_clone(saved)?;
        Ok(())
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.actor.params.load_weights(saved)?;
        self.critics.warm(saved)?;
        self.log_alpha.load_weights(saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;
    use agon_core::{ActionSpec, Field};
    use tch::Kind;

    /// Rows of numbers as a tensor.
    fn rows(x: &[f32], n: usize) -> Tensor {
        Tensor::from_slice(x).view([n as i64, -1])
    }

    /// A network's outputs by tensor operations.
    fn outputs(params: &Params, first: usize, x: &Tensor) -> Tensor {
        let p = &params.leaves[first..];
        p[5].addmm(&p[3].addmm(&p[1].addmm(x, &p[0]).relu(), &p[2]).relu(), &p[4])
    }

    /// Actions `[n, len]` and log-probabilities `[n, 1]` for standard normal numbers, as the paper has them.
    fn act(out: &Tensor, noise: &Tensor) -> [Tensor; 2] {
        let (mean, log_std) = (out.narrow(1, 0, 2), out.narrow(1, 2, 2).clamp(-20.0, 2.0));
        let a = (mean + log_std.exp() * noise).tanh();
        let normal: Tensor = noise.square() * -0.5 - &log_std - 0.918_938_533_204_672_7;
        let log_prob = (normal - (a.square() * -1.0 + 1.0).log()).sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
        [a, log_prob]
    }

    fn close(found: &[f32], right: &Tensor, what: &str) {
        let right = Vec::<f32>::try_from(right.view([-1])).unwrap();
        let size = right.iter().map(|x| x * x).sum::<f32>().sqrt();
        let off = found.iter().zip(&right).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
        assert!(found.len() == right.len() && size > 0.0 && off < 1e-5 * size, "{what}: {off} of {size}");
    }

    /// The gradients of both losses, through the draw and through the critics, are those of automatic differentiation.
    #[test]
    fn gradients_are_libtorchs() {
        let field = |name: &str| Field::new(name, "", -2.0, 3.0);
        let action = ActionSpec::Continuous { fields: vec![field("a"), field("b")] };
        let spec = Spec::new(["x", "y", "z"].map(field).to_vec(), action, 10);
        let context = Context { spec: &spec, rows: 1, first_lane: 0, seed: 3, device: Device::Cpu, threads: 2 };
        let n = 150; // parts of uneven size
        let config = Config { hidden: vec![16, 24], minibatch: n, memory: 10, ..Config::default() };
        let head = Squashed::of(&spec).unwrap();
        let mut sac = Sac::new(config, head, &context);
        let (mut rng, mut batch) = (Rng::new(9, Stream::Env, 0), Batch::new(&spec, n));
        let mut draw = |x: &mut Vec<f32>| x.iter_mut().for_each(|x| *x = rng.normal() as f32);
        for x in [&mut batch.obs, &mut batch.next_obs, &mut batch.reward, &mut batch.discount] {
            draw(x);
        }
        let mut actions = vec![0.0; 2 * n];
        draw(&mut actions);
        actions.iter_mut().for_each(|a| *a = a.tanh());
        sac.noise.iter_mut().flatten().for_each(|x| *x = f64::from(rng.normal() as f32));
        let _ = tch::no_grad(|| sac.critics.target().flat.shallow_clone().g_mul_scalar_(1.1)); // other numbers than the critics'
        let _ = tch::no_grad(|| sac.log_alpha.flat.shallow_clone().fill_(-1.0));
        let (obs, next, alpha) = (rows(&batch.obs, n), rows(&batch.next_obs, n), (-1f64).exp());
        let [next_noise, noise] =
            sac.noise.each_ref().map(|x| Tensor::from_slice(x).view([n as i64, -1]).to_kind(Kind::Float));
        let all = |sac: &Sac, of: fn(&Part) -> &[f32]| {
            let mut sum = vec![0.0; of(&sac.parts[0]).len()];
            sac.parts.iter().for_each(|part| crate::optim::add(&mut sum, of(part)));
            sum
        };

        let told = sac.learn_critics(&batch, &actions, 0.0);
        let y = tch::no_grad(|| {
            let [a, log_prob] = act(&outputs(&sac.actor.params, 0, &next), &next_noise);
            let x = Tensor::cat(&[&next, &a], 1);
            let [q1, q2] = [0, 6].map(|first| outputs(sac.critics.target(), first, &x));
            rows(&batch.reward, n) + rows(&batch.discount, n) * (q1.minimum(&q2) - log_prob * alpha)
        });
        let x = Tensor::cat(&[&obs, &rows(&actions, n)], 1);
        let loss = |first: usize| (outputs(sac.critics.params(), first, &x) - &y).square().mean(Kind::Float) * 0.5;
        let loss = loss(0) + loss(6);
        assert!((loss.double_value(&[]) - told[0]).abs() < 1e-4 * told[0], "{told:?}");
        close(&all(&sac, |p| &p.critics.gradient), &sac.critics.params().gradient(&loss), "critics");

        let [told, entropy] = sac.learn_actor(&batch, 0.0);
        let [a, log_prob] = act(&outputs(&sac.actor.params, 0, &obs), &noise);
        let x = Tensor::cat(&[&obs, &a], 1);
        let [q1, q2] = [0, 6].map(|first| outputs(sac.critics.params(), first, &x));
        let loss = (&log_prob * alpha - q1.minimum(&q2)).mean(Kind::Float);
        assert!((loss.double_value(&[]) - told).abs() < 1e-4 * told.abs());
        assert!((log_prob.mean(Kind::Float).double_value(&[]) + entropy).abs() < 1e-4 * entropy.abs());
        close(&all(&sac, |p| &p.gradient), &sac.actor.params.gradient(&loss), "actor");

        for (entropy, rises) in [(-2.5, true), (-1.5, false)] {
            let before = sac.log_alpha.flat.double_value(&[0]);
            sac.learn_temperature(entropy, 0.1);
            let after = sac.log_alpha.flat.double_value(&[0]);
            assert_eq!(after > before, rises, "−2 nats are asked, {entropy} are there");
        }
    }
}
