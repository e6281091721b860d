//! TD3 (Fujimoto et al. 2018, "Addressing function approximation error in actor-critic methods"): twin critics, a
//! delayed actor, targets smoothed by noise.
//!
//! Reading order: `Config`, `Td3::explore`, `Td3::update`. Steps are collected by [`super::collector`]; the loop around it
//! is [`super::actor_critic`].

use super::actor_critic::{
    ActorCritic, Algorithm, CriticWork, Critics, Pace, fits, inference as actor_of, join, parts, rows_of,
};
use super::collector::Collecting;
use super::perceptron::{Now, Perceptrons, follow};
use crate::agent::{AgentError, Context, Inference, Saved};
use crate::bridge::host_view;
use crate::dense::{Dense, Seen, Tape};
use crate::net::Params;
use crate::optim::Schedule;
use crate::replay::Batch;
use agon_core::Spec;
use agon_core::rng::Rng;
use agon_core::thread_pool::ThreadPool;
use tch::Tensor;

agon_core::settings! {
    /// Hyperparameters. Steps are those of all environments together, as in `train.steps`; noise is in units where the
    /// actions' bounds are ±1.
    pub struct Config {
        /// Sizes of the hidden layers of actor and critics.
        hidden: Vec<usize> = vec![256, 256], in [1.0, 65536.0];
        /// Adam's step size, for actor and critics.
        learning_rate: f64 = 3e-4, in [0.0, 1.0];
        /// How the step size changes over the run.
        learning_rate_schedule: Schedule = Schedule::Constant;
        /// Discount.
        gamma: f64 = 0.99, in [0.0, 1.0];
        /// τ: the share by which the target networks move towards their networks after each gradient step of the actor.
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
        policy_every: u64 = 2, in [1.0, 1e6];
        /// Deviation of the exploration noise.
        exploration_noise: f64 = 0.1, in [0.0, 10.0];
        /// Deviation of the noise on the target actions.
        target_noise: f64 = 0.2, in [0.0, 10.0];
        /// Bound of that noise.
        target_noise_clip: f64 = 0.5, in [0.0, 10.0];
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

/// The actor of a save.
pub fn inference(config: &Config, spec: &Spec, saved: &Saved) -> Result<Inference, AgentError> {
    actor_of(Td3::NAME, spec, &config.hidden, spec.action.len(), config.normalize_observation, saved)
}

/// A fresh learner.
pub fn agent(config: Config, context: &Context<'_>) -> Result<ActorCritic<Td3>, AgentError> {
    let collecting = config.collecting();
    let head = fits(Td3::NAME, context, &collecting, config.minibatch, ("hidden", &config.hidden))?;
    let pace = Pace {
        gradient_steps: config.gradient_steps,
        minibatch: config.minibatch,
        rate: config.learning_rate,
        last_rate: 0.0,
        schedule: config.learning_rate_schedule,
    };
    let td3 = Td3::new(config, head.len(), context);
    Ok(ActorCritic::new(td3, pace, &collecting, head, context))
}

/// The algorithm.
pub struct Td3 {
    config: Config,
    /// Numbers of an action.
    len: usize,
    actor: Perceptrons,
    /// The target actor.
    target: Params,
    critics: Critics,
    pool: ThreadPool,
    parts: Vec<Part>,
    noise: Vec<f32>,
    updates: u64,
    /// The critics' last mean value of the actor's actions.
    told: f64,
}

/// A part of a minibatch, with buffers.
#[derive(Default)]
struct Part {
    tape: Tape,
    /// Actions in (−1, 1), and the gradient at them.
    actions: Vec<f32>,
    at_actions: Vec<f32>,
    x: Vec<f32>,
    y: Vec<f32>,
    critics: CriticWork,
    gradient: Vec<f32>,
    sums: [f64; 2],
}

impl Part {
    /// The actor's actions for these observations: tanh of its outputs.
    fn act(&mut self, actor: Now<'_>, obs: &[f32], rows: usize) {
        let net = &actor.dense[0];
        self.actions.resize(rows * net.outputs(), 0.0);
        net.forward(actor.flat, obs, &mut self.actions, &mut self.tape);
        self.actions.iter_mut().for_each(|a| *a = a.tanh());
    }
}

impl Td3 {
    fn new(config: Config, len: usize, context: &Context<'_>) -> Self {
        let Context { spec, seed, threads, .. } = *context;
        let parts = parts(config.minibatch);
        let actor = Perceptrons::new(seed, "actor", 1, &[&[spec.obs_len()], &config.hidden[..], &[len]].concat());
        Self {
            target: actor.params.frozen(),
            actor,
            // Another stream: else critics would begin with the actor's numbers.
            critics: Critics::new(!seed, spec.obs_len(), len, &config.hidden),
            pool: ThreadPool::new(threads.min(parts)),
            parts: (0..parts).map(|_| Part::default()).collect(),
            noise: vec![0.0; config.minibatch * len],
            updates: 0,
            told: 0.0,
            len,
            config,
        }
    }

    /// y = r + γ min Q'(s', clip(π'(s') + ε)), and the gradient of both critics' ½ (Q(s, a) − y)².
    fn learn_critics(&mut self, batch: &Batch, actions: &[f32], rate: f64) -> [f64; 3] {
        let (n, width) = (batch.places.len(), self.len);
        let Self { actor, target, critics, pool, parts, noise, .. } = self;
        let (count, obs_len) = (parts.len(), batch.obs.len() / n);
        let copy = Now { flat: host_view(&target.flat).expect("it is on the host"), ..actor.now() };
        let critics_now = critics.now();
        pool.each(parts, |i, part| {
            let rows = rows_of(i, n, count);
            let next = &batch.next_obs[rows.start * obs_len..rows.end * obs_len];
            part.act(copy, next, rows.len());
            let noise = &noise[rows.start * width..rows.end * width];
            part.actions.iter_mut().zip(noise).for_each(|(a, noise)| *a = (*a + noise).clamp(-1.0, 1.0));
            join(next, &part.actions, rows.len(), &mut part.x);
            critics_now.target_minimum(&part.x, &mut part.critics, &mut part.y);
            let earned = batch.reward[rows.clone()].iter().zip(&batch.discount[rows.clone()]);
            part.y.iter_mut().zip(earned).for_each(|(y, (reward, discount))| *y = reward + discount * *y);
            let obs = &batch.obs[rows.start * obs_len..rows.end * obs_len];
            join(obs, &actions[rows.start * width..rows.end * width], rows.len(), &mut part.x);
            part.sums = critics_now.learn(&part.x, &part.y, 1.0 / n as f64, &mut part.critics);
        });
        let gradients: Vec<&[f32]> = parts.iter().map(|p| &p.critics.gradient[..]).collect();
        let norm = critics.step(&gradients, rate, pool);
        let sum = |k: usize| parts.iter().map(|p| p.sums[k]).sum::<f64>();
        [sum(0), sum(1) / n as f64, norm]
    }

    /// The gradient of −Q₁(s, π(s)); its mean.
    fn learn_actor(&mut self, batch: &Batch, rate: f64) -> f64 {
        let n = batch.places.len();
        let Self { actor, critics, pool, parts, .. } = self;
        let (count, obs_len, share) = (parts.len(), batch.obs.len() / n, 1.0 / n as f64);
        let (actor_now, critics) = (actor.now(), critics.now());
        pool.each(parts, |i, part| {
            let rows = rows_of(i, n, count);
            let obs = &batch.obs[rows.start * obs_len..rows.end * obs_len];
            part.act(actor_now, obs, rows.len());
            join(obs, &part.actions, rows.len(), &mut part.x);
            part.at_actions.resize(part.actions.len(), 0.0);
            let value = critics.at_actions(&part.x, false, -share, &mut part.critics, &mut part.at_actions);
            // d tanh = 1 − tanh²
            part.at_actions.iter_mut().zip(&part.actions).for_each(|(g, a)| *g *= 1.0 - a * a);
            let (flat, net) = (actor_now.flat, &actor_now.dense[0]);
            net.backward(flat, &part.at_actions, &mut part.tape);
            part.gradient.clear();
            part.gradient.resize(flat.len(), 0.0);
            net.gradient(
                Seen { x: obs, at_outputs: &part.at_actions, tape: &part.tape, front: &[] },
                &mut part.gradient,
            );
            part.sums[0] = value;
        });
        let gradients: Vec<&[f32]> = parts.iter().map(|p| &p.gradient[..]).collect();
        let _ = actor.step(&gradients, rate, pool);
        parts.iter().map(|p| p.sums[0]).sum()
    }
}

impl Algorithm for Td3 {
    const NAME: &'static str = "td3";

    fn explore(&mut self, obs: &[f32], rng: &mut dyn FnMut(usize) -> Rng, actions: &mut [f32]) {
        let rows = actions.len() / self.len;
        let part = &mut self.parts[0];
        part.act(self.actor.now(), obs, rows);
        for (row, (to, action)) in
            actions.chunks_exact_mut(self.len).zip(part.actions.chunks_exact(self.len)).enumerate()
        {
            let mut rng = rng(row);
            for (to, a) in to.iter_mut().zip(action) {
                *to = (a + (self.config.exploration_noise * rng.normal()) as f32).clamp(-1.0, 1.0);
            }
        }
    }

    fn update(&mut self, batch: &Batch, actions: &[f32], rng: &mut Rng, rate: f64) -> Vec<(&'static str, f64)> {
        let (deviation, most) = (self.config.target_noise, self.config.target_noise_clip);
        self.noise.iter_mut().for_each(|x| *x = (deviation * rng.normal()).clamp(-most, most) as f32);
        let [loss, value, norm] = self.learn_critics(batch, actions, rate);
        self.updates += 1;
        if self.updates.is_multiple_of(self.config.policy_every) {
            if self.updates > self.config.policy_starts {
                self.told = self.learn_actor(batch, rate);
            }
            self.critics.follow(self.config.tau);
            follow(&mut self.target, &self.actor.params, self.config.tau as f32);
        }
        vec![("critic_loss", loss), ("actor_loss", self.told), ("value", value), ("grad_norm", norm)]
    }

    fn actor(&self) -> (&Dense, &Params) {
        (&self.actor.dense[0], &self.actor.params)
    }

    fn save(&self, tensors: &mut Vec<(String, Tensor)>) {
        self.actor.save(tensors);
        self.critics.save(tensors);
        tensors.push(("target.actor".into(), self.target.flat.shallow_clone()));
        tensors.push(("adam.updates".into(), Tensor::from_slice(&[self.updates as i64])));
        tensors.push(("adam.told".into(), Tensor::from_slice(&[self.told])));
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (updates, [told]) = super::actor_critic::progress(saved)?;
        let target = self.target.fitting(saved, "target.actor", &self.target.flat)?;
        self.actor.load(saved)?;
        self.critics.load(saved)?;
        tch::no_grad(|| self.target.flat.copy_(&target));
        (self.updates, self.told) = (updates, told);
        Ok(())
    }

    fn warm_from_clone(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.actor.load_clone(saved)?;
        self.target.copy(&self.actor.params);
        Ok(())
    }

    fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        self.actor.params.load_weights(saved)?;
        self.target.copy(&self.actor.params);
        self.critics.warm(saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;
    use agon_core::{ActionSpec, Field};
    use tch::{Device, Kind};

    fn rows(x: &[f32], n: usize) -> Tensor {
        Tensor::from_slice(x).view([n as i64, -1])
    }

    /// A network's outputs by tensor operations.
    fn outputs(params: &Params, first: usize, x: &Tensor) -> Tensor {
        let p = &params.leaves[first..];
        p[5].addmm(&p[3].addmm(&p[1].addmm(x, &p[0]).relu(), &p[2]).relu(), &p[4])
    }

    fn close(found: &[f32], right: &Tensor, what: &str) {
        let right = Vec::<f32>::try_from(right.view([-1])).unwrap();
        let size = right.iter().map(|x| x * x).sum::<f32>().sqrt();
        let off = found.iter().zip(&right).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
        assert!(found.len() == right.len() && size > 0.0 && off < 1e-5 * size, "{what}: {off} of {size}");
    }

    /// One gradient step: the critics' gradient at a target with clipped noise and clipped actions, and the actor's
    /// through the first critic, are those of automatic differentiation; target networks follow every second step.
    #[test]
    fn gradients_are_libtorchs() {
        let field = |name: &str| Field::new(name, "", -2.0, 3.0);
        let action = ActionSpec::Continuous { fields: vec![field("a"), field("b")] };
        let spec = Spec::new(["x", "y", "z"].map(field).to_vec(), action, 10);
        let context = Context { spec: &spec, rows: 1, first_lane: 0, seed: 3, device: Device::Cpu, threads: 2 };
        let n = 150; // parts of uneven size
        let [deviation, most, tau] = [0.6, 0.5, 0.25];
        let config = Config {
            hidden: vec![16, 24],
            minibatch: n,
            memory: 10,
            target_noise: deviation,
            target_noise_clip: most,
            tau,
            ..Config::default()
        };
        let mut td3 = Td3::new(config, 2, &context);
        let (mut rng, mut batch) = (Rng::new(9, Stream::Env, 0), Batch::new(&spec, n));
        let mut draw = |x: &mut Vec<f32>| x.iter_mut().for_each(|x| *x = rng.normal() as f32);
        for x in [&mut batch.obs, &mut batch.next_obs, &mut batch.reward, &mut batch.discount] {
            draw(x);
        }
        let mut actions = vec![0.0; 2 * n];
        draw(&mut actions);
        actions.iter_mut().for_each(|a| *a = a.tanh());
        // Other numbers than the networks', and actions of which some are at their bounds with the noise.
        let _ = tch::no_grad(|| td3.critics.target().flat.shallow_clone().g_mul_scalar_(1.1));
        let _ = tch::no_grad(|| td3.target.flat.shallow_clone().g_mul_scalar_(3.0));
        let (obs, next) = (rows(&batch.obs, n), rows(&batch.next_obs, n));
        let all = |td3: &Td3, of: fn(&Part) -> &[f32]| {
            let mut sum = vec![0.0; of(&td3.parts[0]).len()];
            td3.parts.iter().for_each(|part| crate::optim::add(&mut sum, of(part)));
            sum
        };

        // The rate is 0: networks stay as they are, and only targets move.
        let noise: Vec<f64> = {
            let mut rng = Rng::new(7, Stream::Act, 0);
            (0..2 * n).map(|_| rng.normal()).collect()
        };
        let y = tch::no_grad(|| {
            let noise = (Tensor::from_slice(&noise).view([n as i64, 2]) * deviation).clamp(-most, most);
            let free = outputs(&td3.target, 0, &next).tanh() + noise.to_kind(Kind::Float);
            let a = free.clamp(-1.0, 1.0);
            let clipped = a.ne_tensor(&free).sum(Kind::Int64).int64_value(&[]);
            assert!((1..2 * n as i64).contains(&clipped), "some actions are clipped");
            let x = Tensor::cat(&[&next, &a], 1);
            let [q1, q2] = [0, 6].map(|first| outputs(td3.critics.target(), first, &x));
            rows(&batch.reward, n) + rows(&batch.discount, n) * q1.minimum(&q2)
        });
        let x = Tensor::cat(&[&obs, &rows(&actions, n)], 1);
        let loss = |first: usize| (outputs(td3.critics.params(), first, &x) - &y).square().mean(Kind::Float) * 0.5;
        let loss = loss(0) + loss(6);
        let right = td3.critics.params().gradient(&loss);
        let told = td3.update(&batch, &actions, &mut Rng::new(7, Stream::Act, 0), 0.0);
        assert!(
            told[0].0 == "critic_loss" && (loss.double_value(&[]) - told[0].1).abs() < 1e-4 * told[0].1,
            "{told:?}"
        );
        close(&all(&td3, |p| &p.critics.gradient), &right, "critics");
        assert!(td3.parts.iter().all(|part| part.gradient.is_empty()), "the actor's turn is the next step");

        let [actor, target] = [td3.actor.params.flat.copy(), td3.target.flat.copy()];
        let told = td3.update(&batch, &actions, &mut rng, 0.0);
        let a = outputs(&td3.actor.params, 0, &obs).tanh();
        let loss = -outputs(td3.critics.params(), 0, &Tensor::cat(&[&obs, &a], 1)).mean(Kind::Float);
        assert!(told[1].0 == "actor_loss" && (loss.double_value(&[]) - told[1].1).abs() < 1e-5, "{told:?}");
        close(&all(&td3, |p| &p.gradient), &td3.actor.params.gradient(&loss), "actor");
        close(host_view(&td3.target.flat).unwrap(), &(&target + (actor - &target) * tau), "target");
    }
}
