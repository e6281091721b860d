//! The policy of a moment, frozen: to be evaluated, to play, to judge positions.

use crate::agent::NEVER;
use crate::dist::Head;
use crate::normalise::Moments;
use crate::on_policy::networks::Networks;
use agon_core::policy::Policy;
use agon_core::{ActionsMut, VecEnv};
use agon_search::Evaluate;
use tch::{Kind, Tensor};

/// Observations as the network takes them.
pub fn prepare(moments: Option<&Moments>, raw: &[f32], out: &mut [f32]) {
    match moments {
        Some(m) => m.standardise(raw, out),
        None => out.copy_from_slice(raw),
    }
}

/// The policy of a moment, acting on its most probable actions.
pub struct Frozen {
    name: &'static str,
    head: Head,
    networks: Networks,
    moments: Option<Moments>,
    /// What is remembered of the episodes under way.
    memory: Option<Tensor>,
    obs: Vec<f32>,
    out: Vec<f32>,
}

impl Frozen {
    /// Everything the policy needs.
    pub fn new(name: &'static str, networks: Networks, head: &Head, moments: Option<&Moments>) -> Self {
        let (head, moments) = (head.clone(), moments.cloned());
        Self { name, head, networks, moments, memory: None, obs: Vec::new(), out: Vec::new() }
    }

    /// As a judge of positions; values are returns divided by `scale`.
    pub fn judging(self, scale: f64) -> FrozenJudge {
        FrozenJudge { frozen: self, scale }
    }

    fn prepare(&mut self, obs: &[f32]) {
        self.obs.resize(obs.len(), 0.0);
        prepare(self.moments.as_ref(), obs, &mut self.obs);
    }
}

/// The same as a judge of positions.
pub struct FrozenJudge {
    frozen: Frozen,
    /// What a unit of the network's value is worth in returns.
    scale: f64,
}

impl Evaluate for FrozenJudge {
    fn evaluate(&mut self, obs: &[f32], logits: &mut [f32], value: &mut [f32]) {
        self.frozen.prepare(obs);
        let Frozen { networks, obs, .. } = &mut self.frozen;
        let _ = networks.forward(obs, logits, value, NEVER);
        value.iter_mut().for_each(|v| *v = (f64::from(*v) * self.scale).clamp(-1.0, 1.0) as f32);
    }
}

impl Policy for Frozen {
    fn act(&mut self, env: &dyn VecEnv, obs: &[f32], mask: &[bool], actions: ActionsMut<'_>) {
        let rows = env.rows();
        self.out.resize(rows * self.head.outputs(), 0.0);
        self.prepare(obs);
        let Self { networks, memory, obs, out, .. } = self;
        match networks.memory_width() {
            None => drop(networks.forward(obs, out, &mut [], NEVER)),
            Some(width) => {
                let none = || Tensor::zeros([rows as i64, width], (Kind::Float, networks.device()));
                let seen = networks.remember(&networks.upload(obs), &memory.take().unwrap_or_else(none));
                networks.forward_seen(&seen, out, &mut []);
                *memory = Some(seen);
            }
        }
        self.head.mode(&self.out, mask, actions);
    }

    fn begin(&mut self) {
        self.memory = None;
    }

    fn name(&self) -> String {
        self.name.into()
    }
}
