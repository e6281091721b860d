//! Recorded episodes as rows of decisions, and what networks say of them.

use crate::agent::{AgentError, NEVER};
use crate::dist::{Head, Row};
use crate::normalise::Moments;
use crate::on_policy::networks::Networks;
use agon_core::ActionBuf;
use agon_core::spec::ActionSpec;

/// One recorded episode: what was seen and done at each of its steps by each agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Demonstration {
    /// `[steps × agents, obs_len]`
    pub obs: Vec<f32>,
    /// `[steps × agents, mask_len]`, or empty where everything is allowed.
    pub mask: Vec<bool>,
    /// `[steps × agents, action_len]`: choices, or numbers in the environment's units.
    pub actions: ActionBuf,
}

impl Demonstration {
    /// An episode without steps.
    pub fn new(spec: &ActionSpec) -> Self {
        Self { obs: Vec::new(), mask: Vec::new(), actions: spec.buffer(0) }
    }
}

/// The decisions of some episodes, one after another.
#[derive(Debug)]
pub(super) struct Decisions {
    /// `[n, obs_len]`, standardised.
    pub(super) obs: Vec<f32>,
    /// `[n, mask_len]` or empty.
    pub(super) mask: Vec<bool>,
    /// `[n, action_len]`: choices, or numbers in units where the bounds are ±1, before tanh where that bounds them.
    pub(super) actions: ActionBuf,
    /// Where each episode ends.
    ends: Vec<usize>,
}

/// What was found of an episode: the sums over its decisions, and their number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub(super) log_loss: f64,
    /// Decisions that the policy would take too; of numbers, the sum of squared errors.
    pub(super) agreed: f64,
    pub(super) decisions: f64,
}

/// The numbers of episodes in each part, of so many.
pub(super) fn split(episodes: usize, shares: [f64; 2]) -> Result<[usize; 3], AgentError> {
    let [validation, test] = shares.map(|share| ((share * episodes as f64).round() as usize).max(1));
    match episodes.checked_sub(validation + test).filter(|first| *first > 0) {
        Some(first) => Ok([first, validation, test]),
        None => Err(AgentError::Data(format!(
            "{episodes} recorded episodes: {validation} for validation and {test} for the test leave none to learn from"
        ))),
    }
}

impl Decisions {
    pub(super) fn new(episodes: &[&Demonstration], head: &Head, lens: [usize; 3], moments: Option<&Moments>) -> Self {
        let [obs_len, mask_len, action_len] = lens;
        let actions = match head {
            Head::Categorical { .. } => ActionBuf::Discrete(Vec::new()),
            Head::Gaussian { .. } => ActionBuf::Continuous(Vec::new()),
        };
        let mut all = Self { obs: Vec::new(), mask: Vec::new(), actions, ends: Vec::new() };
        for episode in episodes {
            for at in 0..episode.actions.len() / action_len {
                let mask = episode.mask.get(at * mask_len..(at + 1) * mask_len).unwrap_or_default();
                // Where there is one choice alone, nothing was decided: games ask the others so while one moves.
                if head.is_one_choice() && mask.iter().filter(|legal| **legal).count() == 1 {
                    continue;
                }
                all.obs.extend_from_slice(&episode.obs[at * obs_len..(at + 1) * obs_len]);
                all.mask.extend_from_slice(mask);
                all.actions.extend(episode.actions.all().part(at * action_len, action_len));
            }
            all.ends.push(all.actions.len() / action_len);
        }
        if let Some(moments) = moments {
            moments.apply(&mut all.obs);
        }
        if let (Head::Gaussian { scale, bound, .. }, ActionBuf::Continuous(numbers)) = (head, &mut all.actions) {
            for row in numbers.chunks_exact_mut(action_len) {
                row.iter_mut().zip(scale).for_each(|(a, (middle, half))| *a = bound.number((*a - middle) / half));
            }
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// A decision as the distribution takes it.
    pub(super) fn row<'a>(&'a self, head: &Head, at: usize, out: &'a [f32], log_std: &'a [f32]) -> Row<'a> {
        let (width, outputs) = (head.width(), head.outputs());
        let mask = self.mask.get(at * outputs..(at + 1) * outputs).unwrap_or_default();
        Row { out, log_std, action: self.actions.all().part(at * width, width), mask }
    }

    /// What the networks say of each episode.
    pub(super) fn examine(&self, head: &Head, networks: &mut Networks) -> Vec<Found> {
        let (n, outputs, width) = (self.len(), head.outputs(), head.width());
        let mut out = vec![0.0; n * outputs];
        networks.forward(&self.obs, &mut out, &mut [], NEVER).expect("nobody asks for a stop");
        let (mut scratch, mut found, mut from) = (Vec::new(), Vec::new(), 0);
        for &end in &self.ends {
            let mut sums = Found { decisions: (end - from) as f64, ..Found::default() };
            for at in from..end {
                let out = &out[at * outputs..(at + 1) * outputs];
                let row = self.row(head, at, out, &networks.log_std);
                sums.log_loss -= head.evaluate(row, &mut scratch)[0];
                sums.agreed += match head {
                    Head::Gaussian { bound, .. } => out
                        .iter()
                        .zip(row.action.continuous())
                        .map(|(mean, a)| f64::from(bound.action(*mean) - bound.action(*a)).powi(2))
                        .sum(),
                    Head::Categorical { .. } => {
                        let mut choice = vec![0i64; width];
                        head.mode(out, row.mask, agon_core::ActionsMut::Discrete(&mut choice));
                        f64::from(u8::from(choice == row.action.discrete()))
                    }
                };
            }
            from = end;
            found.push(sums);
        }
        found
    }
}

/// Sums over episodes, per decision.
pub(super) fn per_decision(found: &[Found], of: fn(&Found) -> f64) -> f64 {
    found.iter().map(of).sum::<f64>() / found.iter().map(|f| f.decisions).sum::<f64>().max(1.0)
}
