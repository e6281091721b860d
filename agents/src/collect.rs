//! What every on-policy learner does between updates: acts, keeps what happened, and estimates what it was worth.

use crate::actor_critic::{Frozen, FrozenJudge, Nets, Shape, prepare};
use crate::agent::{AgentError, Saved, Stop, go_on};
use crate::bridge::{HostTensor, read_f32};
use crate::dist::Head;
use crate::net::{Builder, Params};
use crate::normalise::Moments;
use crate::registry::Context;
use crate::returns::{Earned, gae};
use crate::rollout::Rollout;
use agon_core::memory;
use agon_core::rng::{Rng, RngState, Stream};
use agon_core::{Actions, FirstBuf, StepBuf};
use serde_json::{Map, Value, json};
use tch::{Device, Tensor};

/// What can be set of it.
#[derive(Clone, Copy, Debug)]
pub struct Collecting<'a> {
    /// What the networks look like.
    pub shape: Shape<'a>,
    /// Steps a row between updates.
    pub rollout_steps: usize,
    /// Discount.
    pub gamma: f64,
    /// Observations get running mean 0 and deviation 1.
    pub normalize_observation: bool,
    /// Rewards are divided by the running deviation of the discounted return.
    pub normalize_reward: bool,
}

/// Transitions whose values are estimated at once.
const AT_ONCE: usize = 1 << 17;

impl Collecting<'_> {
    /// Refuses what this machine cannot hold. `together`: transitions that are learned from at once.
    pub fn fits_in_memory(&self, context: &Context<'_>, together: usize) -> Result<(), AgentError> {
        let (spec, rows) = (context.spec, context.rows as f64);
        let steps = rows * self.rollout_steps as f64;
        // What was seen, done and allowed; rewards, probabilities, values, advantages, targets and two orders of them.
        let masks = if spec.masked { spec.action.mask_len() } else { 0 };
        let rollout = steps * (4 * spec.obs_len() + 4 * spec.action.len() + masks + 50) as f64;
        let (memory, outputs) = (self.shape.memory as f64, Head::of(spec).outputs());
        let first = if self.shape.memory > 0 { self.shape.memory } else { spec.obs_len() };
        let sizes = [&[first], self.shape.hidden, &[outputs]].concat();
        // Weights, two moments and a gradient, for two networks, twice where they are put aside; and the memory's.
        let weights: f64 = sizes.windows(2).map(|w| 64.0 * w[0] as f64 * w[1] as f64).sum();
        let gates = 96.0 * memory * (memory + spec.obs_len() as f64);
        // What layers make of transitions, kept for the way back.
        let width = sizes.iter().sum::<usize>() as f64 + 8.0 * memory;
        let passes = 24.0 * width * (together as f64).min(steps).max(steps.min(AT_ONCE as f64) / 3.0);
        let what = format!(" with {rows} rows");
        memory::fits("memory", gates, "")?;
        memory::fits("hidden", weights + gates, "")?;
        memory::fits("rollout_steps", rollout + weights + gates, &what)?;
        let setting = if self.rollout_steps == 1 { "hidden" } else { "rollout_steps" };
        memory::fits(setting, rollout + weights + gates + passes, &what)?;
        Ok(())
    }
}

/// Networks that act, and the rollout they fill.
pub struct Collector {
    /// Where tensors live.
    pub device: Device,
    /// What the policy's outputs mean.
    pub head: Head,
    /// All parameters.
    pub params: Params,
    /// The networks.
    pub nets: Nets,
    /// The rollout.
    pub rollout: Rollout,
    /// `[steps × rows]` after [`Collector::estimate`].
    pub advantage: HostTensor<f32>,
    /// `[steps × rows]` after [`Collector::estimate`]: what values should be.
    pub target: HostTensor<f32>,
    /// What recurrent networks remember.
    pub memory: Option<Memory>,
    gamma: f64,
    act_rng: Rng,
    obs_moments: Option<Moments>,
    return_moments: Option<Moments>,
    discounted: Vec<f32>,
    out: Vec<f32>,
    log_std: Vec<f32>,
    /// Truncated transitions of this rollout: their places and last observations.
    finals: (Vec<usize>, Vec<f32>),
}

/// What recurrent networks remember, and when they forget.
#[derive(Debug)]
pub struct Memory {
    /// `[rows, width]` before the first step of the rollout.
    pub first: Tensor,
    /// `[rows, width]` before the step under way.
    now: Tensor,
    /// `[steps + 1, rows]`: 1 where an episode begins, 0 elsewhere.
    pub fresh: HostTensor<f32>,
}

impl Collector {
    /// Fresh networks and an empty rollout.
    pub fn new(set: &Collecting<'_>, context: &Context<'_>) -> Self {
        let Context { spec, rows, seed, device, .. } = *context;
        let head = Head::of(spec);
        let mut builder = Builder::new(seed);
        let nets = Nets::new(&mut builder, &set.shape, spec.obs_len(), &head);
        let params = builder.finish(device);
        let batch = rows * set.rollout_steps;
        let memory = (set.shape.memory > 0).then(|| {
            let none = Tensor::zeros([rows as i64, set.shape.memory as i64], (tch::Kind::Float, device));
            let mut fresh = HostTensor::zeros(&[set.rollout_steps + 1, rows]);
            fresh.slice_mut()[..rows].fill(1.0);
            Memory { first: none.copy(), now: none, fresh }
        });
        let mut collector = Self {
            rollout: Rollout::new(spec, rows, set.rollout_steps),
            advantage: HostTensor::zeros(&[batch]),
            target: HostTensor::zeros(&[batch]),
            memory,
            gamma: set.gamma,
            act_rng: Rng::new(seed, Stream::Act, 0),
            obs_moments: set.normalize_observation.then(|| Moments::new(spec.obs_len())),
            return_moments: set.normalize_reward.then(|| Moments::new(1)),
            discounted: vec![0.0; rows],
            out: vec![0.0; rows * head.outputs()],
            log_std: vec![0.0; if nets.log_std.is_some() { head.outputs() } else { 0 }],
            finals: (Vec::new(), Vec::new()),
            device,
            head,
            params,
            nets,
        };
        collector.refresh();
        collector
    }

    /// Copies what sampling needs of the parameters to the host; to be called when they changed.
    pub fn refresh(&mut self) {
        if let Some(at) = self.nets.log_std {
            read_f32(&self.params.leaves[at].detach(), &mut self.log_std);
        }
    }

    /// See [`crate::Agent::first`].
    pub fn first(&mut self) -> FirstBuf<'_> {
        self.rollout.first()
    }

    /// See [`crate::Agent::begin`].
    pub fn begin(&mut self) {
        self.rollout.t = 0;
        self.finals.0.clear();
        self.finals.1.clear();
        let (raw, out) = self.rollout.newest(0);
        prepare(self.obs_moments.as_ref(), raw, out);
    }

    /// Samples actions for the newest observations. `change` may put others' outputs in place of the policy's.
    pub fn act(&mut self, change: impl FnOnce(&Nets, &Tensor, &mut [f32])) {
        let t = self.rollout.t as i64;
        tch::no_grad(|| {
            let obs = self.rollout.obs.tensor().get(t).to_device(self.device);
            let seen = match &mut self.memory {
                None => obs.shallow_clone(),
                Some(memory) => {
                    let kept: Tensor = 1.0 - memory.fresh.tensor().get(t).to_device(self.device).unsqueeze(1);
                    memory.now = self.nets.remember(&self.params, &obs, &(&memory.now * kept));
                    memory.now.shallow_clone()
                }
            };
            read_f32(&self.nets.policy(&self.params, &seen), &mut self.out);
            change(&self.nets, &obs, &mut self.out);
        });
        let (mask, drawn) = self.rollout.choice();
        self.head.sample(&self.out, &self.log_std, mask, &mut self.act_rng, drawn);
    }

    /// See [`crate::Agent::exchange`].
    pub fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        self.rollout.exchange()
    }

    /// Takes a step in; whether the rollout is full.
    pub fn take(&mut self) -> bool {
        if let Some(moments) = &mut self.obs_moments {
            moments.update(&self.rollout.raw_obs);
        }
        self.scale_rewards();
        self.keep_finals();
        let (raw, out) = self.rollout.newest(self.rollout.t + 1);
        prepare(self.obs_moments.as_ref(), raw, out);
        let (t, rows) = (self.rollout.t, self.rollout.rows);
        if let Some(memory) = &mut self.memory {
            let next = &mut memory.fresh.slice_mut()[(t + 1) * rows..(t + 2) * rows];
            for (row, fresh) in next.iter_mut().enumerate() {
                let i = t * rows + row;
                *fresh = f32::from(u8::from(self.rollout.terminated[i] || self.rollout.truncated[i]));
            }
        }
        self.rollout.t += 1;
        self.rollout.t == self.rollout.steps
    }

    /// Begins the next rollout where this one ended.
    pub fn rewind(&mut self) {
        if let Some(memory) = &mut self.memory {
            let (rows, last) = (self.rollout.rows, self.rollout.steps * self.rollout.rows);
            memory.first = memory.now.copy();
            memory.fresh.slice_mut().copy_within(last..last + rows, 0);
        }
        self.rollout.rewind();
    }

    /// Divides rewards by the deviation of the discounted return.
    fn scale_rewards(&mut self) {
        let Some(moments) = &mut self.return_moments else { return };
        let part = self.rollout.t * self.rollout.rows..(self.rollout.t + 1) * self.rollout.rows;
        let gamma = self.gamma as f32;
        let rewards = &mut self.rollout.reward[part.clone()];
        self.discounted.iter_mut().zip(&*rewards).for_each(|(d, r)| *d = *d * gamma + r);
        moments.update(&self.discounted);
        let deviation = moments.deviation();
        rewards.iter_mut().for_each(|r| *r = (f64::from(*r) / deviation).clamp(-10.0, 10.0) as f32);
        let ended = self.rollout.terminated[part.clone()].iter().zip(&self.rollout.truncated[part]);
        self.discounted.iter_mut().zip(ended).for_each(|(d, (a, b))| *d = if *a || *b { 0.0 } else { *d });
    }

    /// Keeps the last observations of episodes that the step limit ended.
    fn keep_finals(&mut self) {
        let (rows, width) = (self.rollout.rows, self.rollout.final_obs.len() / self.rollout.rows);
        for row in 0..rows {
            let i = self.rollout.t * rows + row;
            if self.rollout.truncated[i] {
                let raw = &self.rollout.final_obs[row * width..(row + 1) * width];
                let (places, obs) = &mut self.finals;
                places.push(i);
                let from = obs.len();
                obs.resize(from + width, 0.0);
                prepare(self.obs_moments.as_ref(), raw, &mut obs[from..]);
            }
        }
    }

    /// Values, advantages and targets of the whole rollout, unless it is asked to stop.
    pub fn estimate(&mut self, gae_lambda: f64, stop: Stop<'_>) -> Result<(), AgentError> {
        let (rows, batch) = (self.rollout.rows, self.rollout.reward.len());
        let mut value = vec![0.0; batch + rows];
        let mut final_value = vec![0.0; batch];
        tch::no_grad(|| {
            let obs = self.rollout.obs.to(self.device);
            let seen = match &self.memory {
                None => obs.flatten(0, 1),
                Some(m) => self.nets.sequence(&self.params, &obs, &m.fresh.to(self.device), &m.first).flatten(0, 1),
            };
            // A part at a time: what hidden layers make of all transitions can be many times the rollout.
            for (part, value) in value.chunks_mut(AT_ONCE).enumerate() {
                go_on(stop)?;
                let part = seen.narrow(0, (part * AT_ONCE) as i64, value.len() as i64);
                read_f32(&self.nets.value(&self.params, &part), value);
            }
            let (places, obs) = &mut self.finals;
            if !places.is_empty() {
                let n = places.len();
                let obs = Tensor::from_slice(obs).view([n as i64, -1]).to_device(self.device);
                let last = match &self.memory {
                    None => obs,
                    Some(_) => {
                        let at: Vec<i64> = places.iter().map(|p| *p as i64).collect();
                        let before = seen.index_select(0, &Tensor::from_slice(&at).to_device(self.device));
                        self.nets.remember(&self.params, &obs, &before)
                    }
                };
                let mut values = vec![0.0; n];
                read_f32(&self.nets.value(&self.params, &last), &mut values);
                places.iter().zip(values).for_each(|(&i, v)| final_value[i] = v);
            }
            Ok::<_, AgentError>(())
        })?;
        self.finals.0.clear();
        self.finals.1.clear();
        let earned = Earned {
            reward: &self.rollout.reward,
            value: &value,
            final_value: &final_value,
            terminated: &self.rollout.terminated,
            truncated: &self.rollout.truncated,
        };
        gae(earned, rows, self.gamma as f32, gae_lambda as f32, self.advantage.slice_mut());
        let (advantage, target) = (self.advantage.slice(), self.target.slice_mut());
        target.iter_mut().zip(advantage).zip(&value).for_each(|((t, a), v)| *t = a + v);
        Ok(())
    }

    /// How well the values foretold: 1 − Var(target − value) / Var(target), 1 for a perfect critic.
    pub fn explained(&self) -> f64 {
        let variance = |x: &[f32]| {
            let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / x.len() as f64;
            x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>()
        };
        1.0 - variance(self.advantage.slice()) / variance(self.target.slice()).max(1e-12)
    }

    /// The policy as it is now.
    pub fn policy(&self, name: &'static str) -> Frozen {
        Frozen::new(name, &self.params, &self.nets, &self.head, self.obs_moments.as_ref())
    }

    /// The networks as a judge of positions, where moves are one choice and nothing is remembered.
    pub fn judge(&self, name: &'static str) -> Option<FrozenJudge> {
        let scale = self.return_moments.as_ref().map_or(1.0, Moments::deviation);
        (self.head.is_one_choice() && self.memory.is_none()).then(|| self.policy(name).judging(scale))
    }

    /// Everything that must survive besides the parameters.
    pub fn save(&self, state: &mut Map<String, Value>) {
        state.insert("act_rng".into(), json!(self.act_rng.state()));
        state.insert("obs_moments".into(), json!(self.obs_moments));
        state.insert("return_moments".into(), json!(self.return_moments));
        state.insert("discounted".into(), json!(self.discounted));
        if let Some(memory) = &self.memory {
            let mut now = vec![0.0; memory.now.numel()];
            read_f32(&memory.now, &mut now);
            state.insert("memory".into(), json!(now));
            state.insert("fresh".into(), json!(memory.fresh.slice()[..self.rollout.rows]));
        }
    }

    /// Begins with what another has learned: weights, and what observations and rewards are normalised by.
    pub fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let [obs, returns] = self.moments(saved)?;
        self.params.load_weights(saved)?;
        self.obs_moments = obs.or(self.obs_moments.take());
        self.return_moments = returns.or(self.return_moments.take());
        self.refresh();
        Ok(())
    }

    /// What is normalised, and how, as a save says; it must be what is normalised here.
    fn moments(&self, saved: &Saved) -> Result<[Option<Moments>; 2], AgentError> {
        let part = |name: &str, here: &Option<Moments>| {
            let there: Option<Moments> = saved.part(name)?;
            match (&there, here) {
                (None, None) => Ok(None),
                (Some(there_is), Some(here)) if there_is.fits(here) => Ok(there),
                _ => Err(AgentError::Checkpoint(format!(
                    "its `{name}` are of other observations, or only one of the two normalises them"
                ))),
            }
        };
        Ok([part("obs_moments", &self.obs_moments)?, part("return_moments", &self.return_moments)?])
    }

    /// Goes on from a save; rows come back only where there are as many.
    pub fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let discounted: Vec<f32> = saved.part("discounted")?;
        let [moments, returns] = self.moments(saved)?;
        self.act_rng = Rng::restore(saved.part::<RngState>("act_rng")?);
        (self.obs_moments, self.return_moments) = (moments, returns);
        if discounted.len() == self.discounted.len() {
            self.discounted = discounted;
            if let Some(memory) = &mut self.memory {
                let (now, fresh): (Vec<f32>, Vec<f32>) = (saved.part("memory")?, saved.part("fresh")?);
                if now.len() != memory.now.numel() || fresh.len() != self.rollout.rows {
                    return Err(AgentError::Checkpoint("its memory is of another network".into()));
                }
                memory.now = Tensor::from_slice(&now).view(memory.now.size().as_slice()).to_device(self.device);
                memory.first = memory.now.copy();
                memory.fresh.slice_mut()[..fresh.len()].copy_from_slice(&fresh);
            }
        }
        self.refresh();
        Ok(())
    }
}
