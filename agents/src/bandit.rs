//! A policy of one decision at a time (a contextual bandit), learned from a log of what another policy did.
//!
//! `direct` takes the action of which a model of rewards expects most. The others maximise the mean over rows of
//! Σ_a π(a | x) g(a), π a softmax of linear scores, by L-BFGS with exact gradients; g is an estimate of what action a would
//! have brought in that row: by inverse propensities w (r − mean r) of the action taken, or doubly robust (Dudík, Langford and
//! Li 2011). The penalty on weights is the one whose policy the validation part values most. See
//! [`crate::off_policy_evaluation`] for how policies are valued.

pub mod decisions;
mod training;

use crate::agent::{AgentError, Saved};
use crate::data::Raw;
use crate::data::encode::{Encoder, Matrix};
use crate::off_policy_evaluation::outcome_model::{Kind, OutcomeModel};
use crate::supervised::predictor::{columns_of, tell_unseen};
use crate::supervised::softmax;
use decisions::contexts;
use serde_json::{Value, json};

pub use training::Bandit;

agon_core::choices! {
    /// How a policy is learned.
    pub enum Method {
        Direct = "direct",
        InversePropensity = "inverse-propensity",
        DoublyRobust = "doubly-robust",
    }
}

agon_core::settings! {
    /// A policy of single decisions, learned from a log.
    pub struct Config {
        /// `direct` takes the action of which the model of rewards expects most; `inverse-propensity` and `doubly-robust` follow
        /// the gradient of the policy's estimated value.
        method: Method = Method::DoublyRobust;
        /// The model of rewards: `ridge`, linear for each action and drawn to what all have in common, or `boosting`.
        outcomes: Kind = Kind::Ridge;
        /// The penalty on squared weights of the policy, rewards in standard deviations; chosen by the validation part if left
        /// out.
        l2: Option<f64> = None, in [1e-9, 1e6];
    }
}

/// What was learned: a model of rewards, and for policies by gradient the weights of their scores, `[actions][width + 1]`.
pub struct Policy {
    config: Config,
    outcomes: OutcomeModel,
    weights: Vec<f64>,
    count: usize,
}

impl Policy {
    /// Probabilities of actions in these contexts, `[rows, actions]`.
    pub fn probabilities(&self, x: &Matrix) -> Vec<f64> {
        let rows: Vec<usize> = (0..x.rows()).collect();
        if self.config.method == Method::Direct {
            let mut all = self.outcomes.expected(x, &rows);
            for row in all.chunks_exact_mut(self.count) {
                // Of equal ones the first.
                let best = (0..row.len()).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0);
                row.fill(0.0);
                row[best] = 1.0;
            }
            return all;
        }
        let mut all = Vec::with_capacity(rows.len() * self.count);
        rows.iter().for_each(|row| all.extend(probabilities(&self.weights, x.row(*row))));
        all
    }

    /// The reward that each action is expected to bring, `[rows, actions]`.
    pub fn expected(&self, x: &Matrix) -> Vec<f64> {
        self.outcomes.expected(x, &(0..x.rows()).collect::<Vec<_>>())
    }

    fn save(&self) -> Value {
        json!({"weights": self.weights, "outcomes": self.outcomes.save()})
    }

    fn load(config: &Config, saved: &Value, width: usize, count: usize) -> Result<Self, AgentError> {
        let weights: Vec<f64> = serde_json::from_value(saved["weights"].clone()).unwrap_or_default();
        let wanted = if config.method == Method::Direct { 0 } else { count * (width + 1) };
        if weights.len() != wanted {
            return Err(AgentError::Checkpoint(format!("its `weights` are not {wanted} numbers")));
        }
        let outcomes = OutcomeModel::load(config.outcomes, &saved["outcomes"], width, count)?;
        Ok(Self { config: config.clone(), outcomes, weights, count })
    }
}

/// The softmax of linear scores of a context.
fn probabilities(weights: &[f64], x: &[f64]) -> Vec<f64> {
    let score = |w: &[f64]| w[x.len()] + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    let mut p: Vec<f64> = weights.chunks_exact(x.len() + 1).map(score).collect();
    softmax(&mut p);
    p
}

/// A policy from a save alone, for new rows.
pub struct Chooser {
    /// The column of actions.
    pub name: String,
    /// The actions.
    pub actions: Vec<String>,
    encoder: Encoder,
    policy: Policy,
}

/// What a policy does in rows.
pub struct Choices {
    /// Probabilities `[rows, actions]`.
    pub p: Vec<f64>,
    /// What was odd about the table.
    pub findings: Vec<String>,
}

impl Chooser {
    /// From a save.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] where the save is of another model, or damaged.
    pub fn load(config: &Config, saved: &Saved) -> Result<Self, AgentError> {
        let (name, actions, encoder): (String, Vec<String>, Encoder) =
            (saved.part("action")?, saved.part("actions")?, saved.part("encoder")?);
        let policy = Policy::load(config, &saved.state["policy"], encoder.width().max(1), actions.len())?;
        Ok(Self { name, actions, encoder, policy })
    }

    /// What the policy does in each row of a table, whose columns are found by their names.
    ///
    /// # Errors
    /// [`AgentError::Data`] where a column is missing, or holds what it did not in training.
    pub fn choose(&self, raw: &Raw) -> Result<Choices, AgentError> {
        let (columns, mut findings) = columns_of(&self.encoder, raw, &self.name)?;
        let rows: Vec<usize> = (0..raw.rows()).collect();
        let (x, unseen) = contexts(&self.encoder, &columns.iter().collect::<Vec<_>>(), &rows);
        tell_unseen(&self.encoder, &unseen, &mut findings);
        let p = self.policy.probabilities(&x);
        if p.iter().any(|p| !p.is_finite()) {
            return Err(AgentError::Data("some choices are no numbers: are there huge numbers in the table?".into()));
        }
        Ok(Choices { p, findings })
    }
}

#[cfg(test)]
mod tests;
