//! Learning from one minibatch of transitions, or a part of one: the targets, the loss and the backward pass.

use crate::dense::Seen;
use crate::q_loss::Outputs;
use crate::q_net::{Noise, Passes, Work};
use std::ops::Range;

/// Results and buffers of a part of a minibatch.
#[derive(Debug, Default)]
pub struct Part {
    /// Buffers of the network.
    pub work: Work,
    /// Errors as priorities count them, row by row.
    pub errors: Vec<f32>,
    /// Losses, summed.
    pub loss: f64,
    /// Mean returns of the targets, summed.
    pub learned: f64,
    out: Vec<f32>,
    at_outputs: Vec<f32>,
    target: Vec<f32>,
}

impl Part {
    /// The batch of the passes of [`Task::learn`], for the gradient.
    pub fn seen<'a>(&'a self, task: &Task<'a>) -> Seen<'a> {
        self.work.seen(task.obs, &self.at_outputs)
    }
}

/// The transitions of a part, a row each, and what all parts share.
pub struct Task<'a> {
    /// How rows of outputs are read.
    pub outputs: &'a Outputs,
    /// Whether the network picks the next action, and the target network only evaluates it.
    pub double: bool,
    /// The weight of each loss: one over the minibatch's size.
    pub share: f32,
    /// `[rows, obs_len]`
    pub obs: &'a [f32],
    /// `[rows, obs_len]`
    pub next_obs: &'a [f32],
    /// `[rows, actions]`, or nothing where all are legal.
    pub next_mask: &'a [bool],
    /// `[rows]`
    pub action: &'a [i64],
    /// `[rows]`
    pub reward: &'a [f32],
    /// `[rows]`
    pub discount: &'a [f32],
    /// Importance weights `[rows]`, or nothing.
    pub weight: &'a [f32],
    /// The target network's outputs for the next observations, `[rows, width]`.
    pub next_outputs: &'a [f32],
    /// The noise of the choice of the next action, and of what is learned.
    pub noise: [Option<&'a Noise>; 2],
}

impl Task<'_> {
    /// The transitions of these rows.
    pub fn of(&self, rows: Range<usize>) -> Self {
        fn cut<'a, T>(all: &'a [T], rows: &Range<usize>, n: usize) -> &'a [T] {
            let width = all.len() / n;
            &all[rows.start * width..rows.end * width]
        }
        let n = self.action.len();
        Self {
            obs: cut(self.obs, &rows, n),
            next_obs: cut(self.next_obs, &rows, n),
            next_mask: cut(self.next_mask, &rows, n),
            action: cut(self.action, &rows, n),
            reward: cut(self.reward, &rows, n),
            discount: cut(self.discount, &rows, n),
            weight: cut(self.weight, &rows, n),
            next_outputs: cut(self.next_outputs, &rows, n),
            ..*self
        }
    }

    /// Learns from these transitions: targets, the loss, its gradient, and the backward pass. `passes` are the
    /// network's, `part` gets the results.
    pub fn learn(&self, passes: &mut dyn Passes, part: &mut Part) {
        let (o, rows) = (self.outputs, self.action.len());
        let (width, legal) = (o.width(), self.next_mask.len() / rows);
        let Part { out, at_outputs, target, errors, .. } = part;
        out.resize(rows * width, 0.0);
        target.resize(rows * o.atoms, 0.0);
        if self.double {
            passes.forward(self.next_obs, self.noise[0], out);
        } else {
            out.copy_from_slice(self.next_outputs);
        }
        let next_row = &mut *at_outputs; // free until the loss is computed
        for (i, target) in target.chunks_exact_mut(o.atoms).enumerate() {
            let row = i * width..(i + 1) * width;
            o.join(&mut out[row.clone()]);
            let next = o.best(&out[row.clone()], &self.next_mask[i * legal..(i + 1) * legal]);
            next_row.clear();
            next_row.extend_from_slice(&self.next_outputs[row]);
            o.join(next_row);
            o.target(o.of(next_row, next), self.reward[i], self.discount[i], target);
        }
        passes.forward(self.obs, self.noise[1], out);
        at_outputs.clear();
        at_outputs.resize(rows * width, 0.0);
        errors.clear();
        (part.loss, part.learned) = (0.0, 0.0);
        for (i, target) in target.chunks_exact(o.atoms).enumerate() {
            let (row, action) = (i * width..(i + 1) * width, self.action[i] as usize);
            let (row, at_row) = (&mut out[row.clone()], &mut at_outputs[row]);
            o.join(row);
            let taken = &mut at_row[action * o.atoms..(action + 1) * o.atoms];
            let (loss, error) = o.loss(o.of(row, action), target, taken);
            let share = self.share * self.weight.get(i).unwrap_or(&1.0);
            taken.iter_mut().for_each(|s| *s *= share);
            o.part(at_row);
            part.loss += f64::from(loss * share);
            part.learned += f64::from(o.mean_of_target(target));
            errors.push(error);
        }
        passes.backward(self.noise[1], at_outputs);
    }
}
