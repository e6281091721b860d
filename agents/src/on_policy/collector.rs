//! What every on-policy learner does between updates: acts, stores the rollout, and estimates advantages.

use crate::agent::{AgentError, Context, NEVER, Saved, acts};
use crate::bridge::read_f32;
use crate::dist::Head;
use crate::input::Reading;
use crate::normalise::Moments;
use crate::on_policy::frozen::{Frozen, FrozenEvaluator, prepare, worth};
use crate::on_policy::networks::{Networks, Observed, Shape};
use crate::on_policy::returns::{Earned, gae};
use crate::on_policy::rollout::Rollout;
use agon_core::memory;
use agon_core::rng::{LaneRngs, Stream};
use agon_core::{Actions, FirstBuf, StepBuf};
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

/// Its settings.
#[derive(Clone, Copy, Debug)]
pub struct Collecting<'a> {
    /// The networks' layers.
    pub shape: Shape<'a>,
    /// Steps a row between updates.
    pub rollout_steps: usize,
    /// Discount.
    pub gamma: f64,
    /// Observations that are plain numbers get running mean 0 and deviation 1.
    pub normalize_observation: bool,
    /// Rewards are divided by the running deviation of the discounted return.
    pub normalize_reward: bool,
    /// The networks' values are returns with running mean 0 and deviation 1.
    pub normalize_value: bool,
}

impl Collecting<'_> {
    /// Refuses what does not fit in memory, and convolutions of an observation that is no picture. `together`:
    /// transitions that are learned from at once.
    pub fn fits_in_memory(&self, context: &Context<'_>, together: usize) -> Result<(), AgentError> {
        let (spec, rows) = (context.spec, context.rows as f64);
        let reading = Reading::new(&spec.observation, self.shape.conv)?;
        let steps = rows * self.rollout_steps as f64;
        // What was seen, done and allowed; rewards, probabilities, values, advantages, targets and two orders of them.
        let masks = if spec.masked { spec.action.mask_len() } else { 0 };
        let rollout = steps * (4 * spec.obs_len() + 4 * spec.action.len() + masks + 50) as f64;
        let (units, outputs) = (self.shape.recurrent as f64, self.shape.head(spec).outputs());
        let first = if units > 0.0 { self.shape.recurrent } else { reading.features() };
        let sizes = [&[first], self.shape.hidden, &[outputs]].concat();
        // Weights, two moments and a gradient, for two networks, twice where they are put aside; and the memory's.
        let weights: f64 = sizes.windows(2).map(|w| 64.0 * w[0] as f64 * w[1] as f64).sum();
        let gates = 96.0 * units * (units + reading.features() as f64);
        // What layers make of transitions, kept for the way back.
        let width = (sizes.iter().sum::<usize>() + reading.room()) as f64 + 8.0 * units;
        let passes = 24.0 * width * (together as f64).min(steps);
        let what = format!(" with {rows} rows");
        memory::fits("memory", gates, "")?;
        memory::fits("hidden", weights + gates, "")?;
        memory::fits("rollout_steps", rollout + weights + gates, &what)?;
        let setting = if self.rollout_steps == 1 { "hidden" } else { "rollout_steps" };
        memory::fits(setting, rollout + weights + gates + passes, &what)?;
        Ok(())
    }
}

/// The inputs of a loss besides the networks' outputs.
#[derive(Clone, Copy, Debug)]
pub struct Learning<'a> {
    /// The action distribution.
    pub head: &'a Head,
    /// What happened.
    pub rollout: &'a Rollout,
    /// `[steps × rows]`
    pub advantage: &'a [f32],
    /// `[steps × rows]`
    pub target: &'a [f32],
    /// Mean and deviation by which the networks' values are standardised; targets are not.
    pub value_scale: [f64; 2],
}

/// Networks that act, and the rollout they fill.
pub struct Collector {
    /// The action distribution.
    pub head: Head,
    /// The networks.
    pub networks: Networks,
    /// The rollout.
    pub rollout: Rollout,
    /// `[steps × rows]` after [`Collector::estimate`].
    pub advantage: Vec<f32>,
    /// `[steps × rows]` after [`Collector::estimate`]: what values should be.
    pub target: Vec<f32>,
    /// The state of recurrent networks.
    recurrent: Option<Recurrent>,
    /// `[(steps + 1) × rows, obs_len]`: the observations on the device, if there is one.
    on_device: Option<Tensor>,
    /// Whether the first of them are uploaded.
    uploaded: bool,
    gamma: f64,
    act_rngs: LaneRngs,
    obs_moments: Option<Moments>,
    return_moments: Option<Moments>,
    /// Of targets, where values are standardised by them.
    pub(super) value_moments: Option<Moments>,
    discounted: Vec<f32>,
    out: Vec<f32>,
}

/// The state of a recurrent network, and where episodes reset it.
#[derive(Debug)]
struct Recurrent {
    /// `[rows, width]` before the first step of the rollout.
    first: Tensor,
    /// `[rows, width]` before the step under way.
    now: Tensor,
    /// `[steps + 1, rows]`: 1 where an episode begins, 0 elsewhere.
    fresh: Vec<f32>,
}

impl Recurrent {
    /// The state after these observations `[rows, obs_len]`, given where episodes began.
    fn after(&self, networks: &Networks, obs: &Tensor, fresh: &[f32]) -> Tensor {
        let kept: Tensor = 1.0 - Tensor::from_slice(fresh).to_device(obs.device()).unsqueeze(1);
        networks.remember(obs, &(&self.now * kept))
    }
}

/// Values as networks give them become returns.
fn to_returns(moments: Option<&Moments>, values: &mut [f32]) {
    if let Some([mean, deviation]) = moments.map(Moments::first) {
        values.iter_mut().for_each(|v| *v = (mean + f64::from(*v) * deviation) as f32);
    }
}

impl Collector {
    /// Fresh networks and an empty rollout.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where convolutions do not fit what is observed.
    pub fn new(set: &Collecting<'_>, context: &Context<'_>) -> Result<Self, AgentError> {
        let Context { spec, rows, first_lane, seed, device, threads } = *context;
        let head = set.shape.head(spec);
        let reading = Reading::new(&spec.observation, set.shape.conv)?;
        let networks = Networks::new(seed, &set.shape, &reading, &head, device, threads);
        let batch = rows * set.rollout_steps;
        let recurrent = (set.shape.recurrent > 0).then(|| {
            let none = Tensor::zeros([rows as i64, set.shape.recurrent as i64], (Kind::Float, device));
            let mut fresh = vec![0.0; (set.rollout_steps + 1) * rows];
            fresh[..rows].fill(1.0);
            Recurrent { first: none.copy(), now: none, fresh }
        });
        let slab = [(batch + rows) as i64, spec.obs_len() as i64];
        Ok(Self {
            rollout: Rollout::new(spec, rows, set.rollout_steps),
            advantage: vec![0.0; batch],
            target: vec![0.0; batch],
            recurrent,
            on_device: (device != Device::Cpu).then(|| Tensor::zeros(slab, (Kind::Float, device))),
            uploaded: false,
            gamma: set.gamma,
            act_rngs: LaneRngs::new(seed, Stream::Act, first_lane),
            obs_moments: Moments::of(&spec.observation, set.normalize_observation),
            return_moments: set.normalize_reward.then(|| Moments::new(1)),
            value_moments: set.normalize_value.then(|| Moments::new(1)),
            discounted: vec![0.0; rows],
            out: vec![0.0; rows * head.outputs()],
            head,
            networks,
        })
    }

    /// See [`crate::Agent::first`].
    pub fn first(&mut self) -> FirstBuf<'_> {
        self.rollout.first()
    }

    /// See [`crate::Agent::begin`].
    pub fn begin(&mut self) {
        (self.rollout.t, self.uploaded) = (0, false);
        let (raw, out) = self.rollout.newest(0);
        prepare(self.obs_moments.as_ref(), raw, out);
    }

    /// Computes outputs and values for the observations at step `t`. The state of a recurrent network advances with it.
    fn ask(&mut self, t: usize) {
        self.ask_networks(t);
        let rows = self.rollout.rows;
        to_returns(self.value_moments.as_ref(), &mut self.rollout.value[t * rows..(t + 1) * rows]);
    }

    fn ask_networks(&mut self, t: usize) {
        let Self { networks, rollout, recurrent, on_device, out, .. } = self;
        let (rows, width) = (rollout.rows, rollout.obs_len());
        let obs = &rollout.obs[t * rows * width..(t + 1) * rows * width];
        let value = &mut rollout.value[t * rows..(t + 1) * rows];
        if on_device.is_none() && recurrent.is_none() {
            networks.forward(obs, out, value, NEVER).expect("nobody asks for a stop");
            return;
        }
        let obs = match on_device {
            None => networks.upload(obs),
            Some(slab) => {
                let mut place = slab.narrow(0, (t * rows) as i64, rows as i64);
                if t > 0 || !self.uploaded {
                    place.copy_(&networks.upload(obs));
                }
                place
            }
        };
        let seen = match recurrent {
            None => obs,
            Some(recurrent) => {
                recurrent.now = recurrent.after(networks, &obs, &recurrent.fresh[t * rows..(t + 1) * rows]);
                recurrent.now.shallow_clone()
            }
        };
        networks.forward_seen(&seen, out, value);
    }

    /// Samples actions for the newest observations. `change` may replace the policy's outputs, given the observations.
    pub fn act(&mut self, change: impl FnOnce(&Networks, &[f32], &mut [f32])) {
        let t = self.rollout.t;
        self.ask(t);
        let n = self.rollout.rows * self.rollout.obs_len();
        change(&self.networks, &self.rollout.obs[t * n..(t + 1) * n], &mut self.out);
        let (mask, drawn) = self.rollout.choice();
        self.head.sample(&self.out, &self.networks.log_std, mask, &mut |row| self.act_rngs.row(row), drawn);
        self.act_rngs.step += 1;
    }

    /// See [`crate::Agent::exchange`].
    pub fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        self.rollout.exchange()
    }

    /// Stores the step; whether the rollout is full.
    pub fn take(&mut self) -> bool {
        if let Some(moments) = &mut self.obs_moments {
            moments.update(&self.rollout.raw_obs);
        }
        self.scale_rewards();
        self.evaluate_finals();
        let (raw, out) = self.rollout.newest(self.rollout.t + 1);
        prepare(self.obs_moments.as_ref(), raw, out);
        let (t, rows) = (self.rollout.t, self.rollout.rows);
        if let Some(recurrent) = &mut self.recurrent {
            let next = &mut recurrent.fresh[(t + 1) * rows..(t + 2) * rows];
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
        let (rows, last) = (self.rollout.rows, self.rollout.steps * self.rollout.rows);
        if let Some(recurrent) = &mut self.recurrent {
            recurrent.first = recurrent.now.copy();
            recurrent.fresh.copy_within(last..last + rows, 0);
        }
        if let Some(slab) = &self.on_device {
            slab.narrow(0, 0, rows as i64).copy_(&slab.narrow(0, last as i64, rows as i64));
        }
        self.uploaded = true;
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

    /// The values of the last observations of truncated episodes.
    fn evaluate_finals(&mut self) {
        let (rows, width) = (self.rollout.rows, self.rollout.obs_len());
        let from = self.rollout.t * rows;
        let ended: Vec<usize> = (0..rows).filter(|row| self.rollout.truncated[from + row]).collect();
        if ended.is_empty() {
            return;
        }
        let mut obs = vec![0.0; ended.len() * width];
        for (row, obs) in ended.iter().zip(obs.chunks_exact_mut(width)) {
            prepare(self.obs_moments.as_ref(), &self.rollout.final_obs[row * width..(row + 1) * width], obs);
        }
        let (mut out, mut value) = (vec![0.0; ended.len() * self.head.outputs()], vec![0.0; ended.len()]);
        match &self.recurrent {
            None => self.networks.forward(&obs, &mut out, &mut value, NEVER).expect("nobody asks for a stop"),
            Some(recurrent) => {
                let at: Vec<i64> = ended.iter().map(|row| *row as i64).collect();
                let before = recurrent.now.index_select(0, &Tensor::from_slice(&at).to_device(recurrent.now.device()));
                let seen = self.networks.remember(&self.networks.upload(&obs), &before);
                self.networks.forward_seen(&seen, &mut out, &mut value);
            }
        }
        to_returns(self.value_moments.as_ref(), &mut value);
        ended.iter().zip(value).for_each(|(row, value)| self.rollout.final_value[from + row] = value);
    }

    /// Advantages and targets of the whole rollout.
    pub fn estimate(&mut self, gae_lambda: f64) {
        // The values of the observations after it. The recurrent state advances when they are acted on.
        let before = self.recurrent.as_ref().map(|recurrent| recurrent.now.shallow_clone());
        self.ask(self.rollout.steps);
        if let (Some(recurrent), Some(before)) = (&mut self.recurrent, before) {
            recurrent.now = before;
        }
        let r = &self.rollout;
        let earned = Earned {
            reward: &r.reward,
            value: &r.value,
            final_value: &r.final_value,
            terminated: &r.terminated,
            truncated: &r.truncated,
        };
        gae(earned, r.rows, self.gamma as f32, gae_lambda as f32, &mut self.advantage);
        let sums = self.advantage.iter().zip(&r.value);
        self.target.iter_mut().zip(sums).for_each(|(target, (advantage, value))| *target = advantage + value);
        if let Some(moments) = &mut self.value_moments {
            moments.update(&self.target);
        }
    }

    /// The networks, and what a loss is computed over.
    pub fn learning(&mut self) -> (&mut Networks, Observed<'_>, Learning<'_>) {
        let value_scale = self.value_moments.as_ref().map_or([0.0, 1.0], Moments::first);
        let Self { networks, rollout, recurrent, on_device, head, advantage, target, .. } = self;
        let last = rollout.steps * rollout.rows;
        let observed = Observed {
            obs: &rollout.obs,
            on_device: on_device.as_ref(),
            recurrent: recurrent.as_ref().map(|m| (&m.first, &m.fresh[..last])),
        };
        (networks, observed, Learning { head, rollout, advantage, target, value_scale })
    }

    /// Explained variance of the values: 1 − Var(target − value) / Var(target), 1 for a perfect critic.
    pub fn explained(&self) -> f64 {
        let variance = |x: &[f32]| {
            let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / x.len() as f64;
            x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>()
        };
        1.0 - variance(&self.advantage) / variance(&self.target).max(1e-12)
    }

    /// The policy as it is now.
    pub fn policy(&self, name: &'static str) -> Frozen {
        Frozen::new(name, self.networks.frozen(), &self.head, self.obs_moments.as_ref())
    }

    /// A frozen copy that evaluates positions, where moves are one choice and the networks are not recurrent.
    pub fn evaluator(&self, name: &'static str) -> Option<FrozenEvaluator> {
        let worth = worth(self.return_moments.as_ref(), self.value_moments.as_ref());
        (self.head.is_one_choice() && self.recurrent.is_none()).then(|| self.policy(name).evaluator(worth))
    }

    /// Everything to be saved besides the parameters.
    pub fn save(&self, state: &mut Map<String, Value>) {
        state.insert("acts".into(), json!(self.act_rngs.step));
        state.insert("obs_moments".into(), json!(self.obs_moments));
        state.insert("return_moments".into(), json!(self.return_moments));
        state.insert("discounted".into(), json!(self.discounted));
        if let Some(moments) = &self.value_moments {
            state.insert("value_moments".into(), json!(moments));
        }
        if let Some(recurrent) = &self.recurrent {
            let mut now = vec![0.0; recurrent.now.numel()];
            read_f32(&recurrent.now, &mut now);
            state.insert("memory".into(), json!(now));
            state.insert("fresh".into(), json!(recurrent.fresh[..self.rollout.rows]));
        }
    }

    /// Loads what another has learned: weights, and the moments of observations, rewards and values.
    pub fn warm(&mut self, saved: &Saved) -> Result<(), AgentError> {
        if saved.state.get("squashed").is_some_and(|squashed| squashed == true) {
            let message = "a clone that this agent begins with has `policy = \"gaussian\"`; this one is squashed";
            return Err(AgentError::Checkpoint(message.into()));
        }
        let part = |name: &str, here: &Option<Moments>| Moments::saved(saved, name, here.as_ref());
        let obs = part("obs_moments", &self.obs_moments)?;
        // A policy that was cloned saw no rewards: their moments and those of values begin anew.
        let rewarded = saved.state.get("return_moments").is_some();
        let [returns, values] = if rewarded {
            let [_, returns, values] = self.moments(saved)?;
            [returns, values]
        } else {
            [None, None]
        };
        self.networks.params.load_weights(saved)?;
        self.obs_moments = obs.or(self.obs_moments.take());
        self.return_moments = returns.or(self.return_moments.take());
        self.value_moments = values.or(self.value_moments.take());
        self.networks.refresh();
        Ok(())
    }

    /// The moments in a save, which must be of what is normalised here.
    fn moments(&self, saved: &Saved) -> Result<[Option<Moments>; 3], AgentError> {
        let part = |name: &str, here: &Option<Moments>| Moments::saved(saved, name, here.as_ref());
        let [obs, returns, values] = [&self.obs_moments, &self.return_moments, &self.value_moments];
        Ok([part("obs_moments", obs)?, part("return_moments", returns)?, part("value_moments", values)?])
    }

    /// Restores a save; the state of rows only where there are as many.
    pub fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let discounted: Vec<f32> = saved.part("discounted")?;
        let [obs, returns, values] = self.moments(saved)?;
        self.act_rngs.step = acts(saved)?;
        (self.obs_moments, self.return_moments, self.value_moments) = (obs, returns, values);
        if discounted.len() == self.discounted.len() {
            self.discounted = discounted;
            if let Some(recurrent) = &mut self.recurrent {
                let (now, fresh): (Vec<f32>, Vec<f32>) = (saved.part("memory")?, saved.part("fresh")?);
                if now.len() != recurrent.now.numel() || fresh.len() != self.rollout.rows {
                    return Err(AgentError::Checkpoint("its memory is of another network".into()));
                }
                recurrent.now =
                    Tensor::from_slice(&now).view(recurrent.now.size().as_slice()).to_device(self.networks.device());
                recurrent.first = recurrent.now.copy();
                recurrent.fresh[..fresh.len()].copy_from_slice(&fresh);
            }
        }
        self.networks.refresh();
        self.uploaded = false;
        Ok(())
    }
}
