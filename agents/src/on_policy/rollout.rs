//! On-policy storage `[steps, rows, …]` as environments write it and losses read it.

use crate::dist::{Drawn, Row};
use agon_core::action::ActionBuf;
use agon_core::{Actions, FirstBuf, Spec, StepBuf};

/// One rollout and the slots for the step under way.
#[derive(Debug)]
pub struct Rollout {
    /// Steps of a rollout.
    pub steps: usize,
    /// Rows of the batch.
    pub rows: usize,
    /// The step under way, below `steps`.
    pub t: usize,
    /// `[steps + 1, rows, obs_len]` as the network sees them.
    pub obs: Vec<f32>,
    /// `[steps, rows, mask_len]`, or empty without masks.
    pub mask: Vec<bool>,
    /// `[steps, rows, len]`: choices, or normals before scaling.
    pub action: ActionBuf,
    /// `[steps, rows]`
    pub log_prob: Vec<f32>,
    /// `[steps + 1, rows]`: values of the observations, computed when they were acted on.
    pub value: Vec<f32>,
    /// `[steps, rows]`: the value of the last observation of an episode truncated here.
    pub final_value: Vec<f32>,
    /// `[steps, rows]`
    pub reward: Vec<f32>,
    /// `[steps, rows]`
    pub terminated: Vec<bool>,
    /// `[steps, rows]`
    pub truncated: Vec<bool>,
    /// `[rows, obs_len]`, as the environment wrote them.
    pub raw_obs: Vec<f32>,
    /// `[rows, obs_len]`, as the environment wrote them; meaningful where an episode ended.
    pub final_obs: Vec<f32>,
    next_mask: Vec<bool>,
    /// `[rows, len]` of normals, scaled for the environment; empty where actions are choices.
    scaled: Vec<f32>,
    obs_len: usize,
    mask_len: usize,
    act_len: usize,
}

impl Rollout {
    /// Storage that fits a spec.
    pub fn new(spec: &Spec, rows: usize, steps: usize) -> Self {
        let (obs_len, act_len) = (spec.obs_len(), spec.action.len());
        let mask_len = if spec.masked { spec.action.mask_len() } else { 0 };
        let action = spec.action.buffer(steps * rows);
        let scaled = if matches!(action, ActionBuf::Continuous(_)) { rows * act_len } else { 0 };
        Self {
            steps,
            rows,
            t: 0,
            obs: vec![0.0; (steps + 1) * rows * obs_len],
            mask: vec![false; steps * rows * mask_len],
            action,
            log_prob: vec![0.0; steps * rows],
            value: vec![0.0; (steps + 1) * rows],
            final_value: vec![0.0; steps * rows],
            reward: vec![0.0; steps * rows],
            terminated: vec![false; steps * rows],
            truncated: vec![false; steps * rows],
            raw_obs: vec![0.0; rows * obs_len],
            final_obs: vec![0.0; rows * obs_len],
            next_mask: vec![false; rows * mask_len],
            scaled: vec![0.0; scaled],
            obs_len,
            mask_len,
            act_len,
        }
    }

    /// See [`crate::Agent::first`].
    pub fn first(&mut self) -> FirstBuf<'_> {
        FirstBuf { obs: &mut self.raw_obs, mask: &mut self.next_mask }
    }

    /// The observations at step `t` to be written from the raw ones.
    pub fn newest(&mut self, t: usize) -> (&[f32], &mut [f32]) {
        let n = self.rows * self.obs_len;
        (&self.raw_obs, &mut self.obs[t * n..(t + 1) * n])
    }

    /// The masks in force, and where the step's actions go.
    pub fn choice(&mut self) -> (&[bool], Drawn<'_>) {
        let (t, n) = (self.t, self.rows);
        if self.mask_len > 0 {
            let m = n * self.mask_len;
            self.mask[t * m..(t + 1) * m].copy_from_slice(&self.next_mask);
        }
        let log_prob = &mut self.log_prob[t * n..(t + 1) * n];
        let width = n * self.act_len;
        let action = self.action.part_mut(t * width, width);
        (&self.next_mask, Drawn { action, scaled: &mut self.scaled, log_prob })
    }

    /// See [`crate::Agent::exchange`].
    pub fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        let part = self.t * self.rows..(self.t + 1) * self.rows;
        let width = self.rows * self.act_len;
        let actions = match self.action.all().part(self.t * width, width) {
            Actions::Continuous(_) => Actions::Continuous(&self.scaled),
            choices => choices,
        };
        let out = StepBuf {
            obs: &mut self.raw_obs,
            mask: &mut self.next_mask,
            reward: &mut self.reward[part.clone()],
            terminated: &mut self.terminated[part.clone()],
            truncated: &mut self.truncated[part],
            final_obs: &mut self.final_obs,
            final_mask: &mut [],
        };
        (actions, out)
    }

    /// One transition, as a loss sees it: the network's outputs for it, and what was done.
    pub fn row<'a>(&'a self, at: usize, out: &'a [f32], log_std: &'a [f32]) -> Row<'a> {
        let action = self.action.all().part(at * self.act_len, self.act_len);
        Row { out, log_std, action, mask: &self.mask[at * self.mask_len..(at + 1) * self.mask_len] }
    }

    /// Numbers in an observation.
    pub fn obs_len(&self) -> usize {
        self.obs_len
    }

    /// Moves the observations after the last step to the first.
    pub fn rewind(&mut self) {
        let n = self.rows * self.obs_len;
        let last = self.steps * n;
        self.obs.copy_within(last..last + n, 0);
        self.t = 0;
    }
}
