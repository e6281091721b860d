//! Buffers for one step of a batch, owned by the loop of a learner or an evaluation.

use crate::action::{ActionBuf, Actions, ActionsMut};
use crate::spec::Spec;
use crate::vec_env::{FirstBuf, StepBuf};

/// All inputs and outputs of a step, row after row.
#[derive(Clone, Debug)]
pub struct Slab {
    /// `[rows, obs_len]` to act on.
    pub obs: Vec<f32>,
    /// `[rows, mask_len]` for `obs`, or empty where the spec has no masks.
    pub mask: Vec<bool>,
    /// `[rows, len]`
    pub action: ActionBuf,
    /// `[rows]`
    pub reward: Vec<f32>,
    /// `[rows]`
    pub terminated: Vec<bool>,
    /// `[rows]`
    pub truncated: Vec<bool>,
    /// `[rows, obs_len]`
    pub final_obs: Vec<f32>,
    /// `[rows, mask_len]`, or empty where the spec has no masks.
    pub final_mask: Vec<bool>,
}

impl Slab {
    /// Buffers for so many rows of this spec.
    pub fn new(spec: &Spec, rows: usize) -> Self {
        let masks = rows * if spec.masked { spec.action.mask_len() } else { 0 };
        let obs = rows * spec.obs_len();
        Self {
            obs: vec![0.0; obs],
            mask: vec![true; masks],
            action: spec.action.buffer(rows),
            reward: vec![0.0; rows],
            terminated: vec![false; rows],
            truncated: vec![false; rows],
            final_obs: vec![0.0; obs],
            final_mask: vec![true; masks],
        }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.reward.len()
    }

    /// Where the first observations go.
    pub fn first(&mut self) -> FirstBuf<'_> {
        FirstBuf { obs: &mut self.obs, mask: &mut self.mask }
    }

    /// The actions.
    pub fn actions(&self) -> Actions<'_> {
        self.action.all()
    }

    /// Where actions are written.
    pub fn actions_mut(&mut self) -> ActionsMut<'_> {
        self.action.all_mut()
    }

    /// The observations and masks to act on, and where actions are written.
    pub fn act(&mut self) -> (&[f32], &[bool], ActionsMut<'_>) {
        (&self.obs, &self.mask, self.action.all_mut())
    }

    /// The actions, and the slots that the environment must fill.
    pub fn exchange(&mut self) -> (Actions<'_>, StepBuf<'_>) {
        let out = StepBuf {
            obs: &mut self.obs,
            mask: &mut self.mask,
            reward: &mut self.reward,
            terminated: &mut self.terminated,
            truncated: &mut self.truncated,
            final_obs: &mut self.final_obs,
            final_mask: &mut self.final_mask,
        };
        (self.action.all(), out)
    }
}
