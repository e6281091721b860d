//! What a model says of new rows, from a save alone: neither the table nor the training is needed.

use super::family::Family;
use super::inputs::Inputs;
use super::{Found, Learner, Shape};
use crate::agent::{AgentError, Saved};
use crate::data::Raw;
use crate::features::Features;
use crate::supervised::predictor::{columns_of, learners_part, tell_unseen};
use serde_json::{Map, Value};
use tch::Device;

/// A trained model with all that it needs to read rows.
pub struct Reader {
    inputs: Inputs,
    learner: Box<dyn Learner>,
    /// A column that was kept out of training, if one was.
    labels: String,
    /// How unusual training rows were, in rising order.
    usual: Vec<f64>,
}

/// What was found of rows.
pub struct Reading {
    /// What the model says.
    pub found: Found,
    /// The share of the training rows that are less unusual, for each row.
    pub below: Vec<f64>,
    /// What was odd about the table.
    pub findings: Vec<String>,
}

/// Scores of training rows that are kept at most.
const KEPT: usize = 1000;

/// Evenly spread ones of sorted scores.
pub(crate) fn kept(mut scores: Vec<f64>) -> Vec<f64> {
    scores.sort_by(f64::total_cmp);
    if scores.len() <= KEPT {
        return scores;
    }
    let last = (scores.len() - 1) as f64;
    (0..KEPT).map(|i| scores[(last * i as f64 / (KEPT - 1) as f64).round() as usize]).collect()
}

/// The share of sorted scores that are below one.
pub(crate) fn share_below(usual: &[f64], score: f64) -> f64 {
    usual.partition_point(|u| *u < score) as f64 / usual.len().max(1) as f64
}

impl Reader {
    /// From a save.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] where the save is of another model, or damaged; [`AgentError::Data`] where a model of its
    /// family reads no new rows.
    pub fn load(family: &Family, settings: &Map<String, Value>, saved: &Saved) -> Result<Self, AgentError> {
        if !family.reads {
            return Err(AgentError::Data(format!(
                "{} places the rows that it is made of, and has no map for others: coordinates.csv in the run's folder has \
                 their places; for new rows train umap, pca or autoencoder, or train {} again with the new rows in the table",
                family.name, family.kind
            )));
        }
        let inputs: Inputs = saved.part("inputs")?;
        if !inputs.is_sound() {
            return Err(AgentError::Checkpoint("its `inputs` cannot be".into()));
        }
        let shape = Shape { inputs: inputs.width(), steps: 0, seed: 0, device: Device::Cpu };
        let mut learner = (family.learner)(settings, shape)?;
        learner.load(&learners_part(saved))?;
        Ok(Self { inputs, learner, labels: saved.part("labels")?, usual: saved.part("usual")? })
    }

    /// What it makes of observations.
    ///
    /// # Errors
    /// [`AgentError::Data`] where it makes no components of rows of numbers.
    pub fn features(&self) -> Result<Features, AgentError> {
        let Some(layers) = self.learner.layers() else {
            return Err(AgentError::Data("it makes no features: train an autoencoder, vae or pca".into()));
        };
        let Some(inputs) = self.inputs.numbers() else {
            let why = "it reads labels or missing values: features are of observations that are numbers or pictures (data.drop leaves columns out)";
            return Err(AgentError::Data(why.into()));
        };
        Ok(Features::new(inputs, layers))
    }

    /// Reads every row of a table, whose columns are found by their names.
    ///
    /// # Errors
    /// [`AgentError::Data`] where a column is missing, or holds what it did not in training.
    pub fn read(&self, raw: &Raw) -> Result<Reading, AgentError> {
        let (columns, mut findings) = columns_of(&self.inputs.encoder, raw, &self.labels)?;
        let rows: Vec<usize> = (0..raw.rows()).collect();
        let (x, unseen) = self.inputs.encode(&columns.iter().collect::<Vec<_>>(), &rows);
        tell_unseen(&self.inputs.encoder, &unseen, &mut findings);
        let found = self.learner.read(&x);
        if found.anomaly.iter().chain(&found.p).chain(&found.components.x).any(|x| !x.is_finite()) {
            let why = "some results are no numbers: are there huge numbers in the table?";
            return Err(AgentError::Data(why.into()));
        }
        let below = found.anomaly.iter().map(|score| share_below(&self.usual, *score)).collect();
        Ok(Reading { found, below, findings })
    }
}
