//! Models of tables: an input row of numbers, a class or a number as the answer. Every model is a [`Learner`];
//! [`training`] makes a training of it, [`predictor`] predictions from a save alone.

pub mod accountant;
pub mod acquisition;
pub mod automl;
pub mod boosting;
pub mod calibration;
pub mod class_weights;
pub mod clients;
pub mod dense_net;
pub mod dependence;
pub mod encoder;
pub mod ensemble;
pub mod family;
pub mod federated;
pub mod forest;
pub mod ft_transformer;
pub mod importance;
pub mod linear;
pub mod mixup;
pub mod mlp;
pub mod neural;
pub mod pass;
pub mod picture;
pub mod predictor;
pub mod private;
pub mod pseudo;
pub mod realmlp;
pub mod regime;
pub mod scores;
pub mod secure_sum;
pub mod sharded;
pub mod slices;
pub mod solvers;
pub mod tabm;
pub mod text_encoder;
pub mod training;
pub mod tree;
pub mod two_sample;

use crate::agent::{AgentError, Saved, Stop};
use crate::data::encode::Matrix;
use crate::pretrained::{Mapping, Taken};
use crate::rate_test::{RateTest, no_rate};
use agon_core::plot::Plot;
use agon_core::rng::Rng;
use agon_core::settings::Issue;
use serde_json::Value;
use std::path::Path;
use tch::Device;

/// What a model is trained on.
#[derive(Clone, Debug, Default)]
pub struct Examples {
    /// Inputs, `[rows, width]`.
    pub x: Matrix,
    /// The number of the class, or the value, a row each.
    pub y: Vec<f64>,
    /// Classes; 0 for a regression.
    pub classes: usize,
    /// How much each row counts; nothing where all count the same.
    pub weights: Vec<f64>,
    /// What each row belongs together with, such as its copies; nothing where rows stand alone.
    pub units: Vec<u32>,
}

impl Examples {
    /// How much a row counts.
    pub fn weight(&self, row: usize) -> f64 {
        self.weights.get(row).copied().unwrap_or(1.0)
    }

    /// The rows in a random order; or, balanced, as many rows drawn with replacement, of each class equally often.
    pub fn order(&self, balanced: bool, rng: &mut Rng) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.y.len()).collect();
        if !balanced || self.classes == 0 {
            rng.shuffle(&mut order);
            return order;
        }
        let mut of_class = vec![Vec::new(); self.classes];
        self.y.iter().enumerate().for_each(|(row, y)| of_class[*y as usize].push(row));
        of_class.retain(|rows| !rows.is_empty());
        order.iter_mut().for_each(|row| {
            let rows = &of_class[rng.below(of_class.len() as u32) as usize];
            *row = rows[rng.below(rows.len() as u32) as usize];
        });
        order
    }

    /// Scores of a row: one for each class, or the value.
    pub fn outputs(&self) -> usize {
        self.classes.max(1)
    }

    /// The mean loss of scores `[rows, outputs]`: −ln of the probability of what was the case, or the squared error; of
    /// weighted rows their weighted mean.
    pub fn loss(&self, scores: &[f64]) -> f64 {
        let k = self.outputs();
        let one = |(scores, y): (&[f64], &f64)| match self.classes {
            0 => (scores[0] - y).powi(2),
            _ => log_sum_exp(scores) - scores[*y as usize],
        };
        let (mut sum, mut all) = (0.0, 0.0);
        for (row, pair) in scores.chunks_exact(k).zip(&self.y).enumerate() {
            let weight = self.weight(row);
            sum += weight * one(pair);
            all += weight;
        }
        sum / all
    }
}

/// ln Σ exp, without overflow.
pub fn log_sum_exp(scores: &[f64]) -> f64 {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + scores.iter().map(|s| (s - top).exp()).sum::<f64>().ln()
}

/// Scores to probabilities, in place.
pub fn softmax(scores: &mut [f64]) {
    let sum = log_sum_exp(scores);
    scores.iter_mut().for_each(|s| *s = (*s - sum).exp());
}

/// A model that predicts.
pub trait Predict {
    /// Scores of each row, `[rows, outputs]`: the logarithm of a class's probability up to a constant of the row, or the
    /// value.
    fn scores(&self, x: &Matrix) -> Vec<f64>;

    /// The same of each model that answers with others; none where there is one alone.
    fn members(&self, _x: &Matrix) -> Option<Vec<Vec<f64>>> {
        None
    }
}

/// A model under training.
pub trait Learner: Predict {
    /// Steps made.
    fn step(&self) -> u64;

    /// Whether nothing more is to be learned.
    fn finished(&self) -> bool;

    /// Seconds of training after which it is, where it has so many.
    fn most_seconds(&self) -> Option<f64> {
        None
    }

    /// Tells it what the numbers of a row are called: settings may name them.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where a setting names none of them, or one that it cannot be about.
    fn name_inputs(&mut self, _names: &[String]) -> Result<(), AgentError> {
        Ok(())
    }

    /// One step on the training part; the validation part may only decide when to end. None if it was asked to stop, and
    /// then nothing has changed.
    fn advance(&mut self, train: &Examples, validation: &Examples, stop: Stop<'_>) -> Result<Option<f64>, AgentError>;

    /// Tests learning rates on the training part; its weights are then good for nothing else.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where it is no network.
    fn test_rates(&mut self, _train: &Examples, _stop: Stop<'_>) -> Result<RateTest, AgentError> {
        Err(no_rate())
    }

    /// Another model that was trained beside it to compare it with, and what that is called.
    fn beside(&self) -> Option<(&'static str, &dyn Learner)> {
        None
    }

    /// Begins with the weights of a file of another program.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where it has no network that could, or names and shapes do not fit; [`AgentError::Data`]
    /// where the file cannot be read.
    fn adopt(&mut self, _file: &Path, _mapping: &Mapping) -> Result<Taken, AgentError> {
        Err(Issue::value("weights", "are for networks that name theirs: text-encoder and cnn").into())
    }

    /// What it learned, where a number of it means something: a weight for each input number and output, `[outputs][width]`.
    fn weights(&self) -> Option<Vec<Vec<f64>>> {
        None
    }

    /// Scores of the validation part by which probabilities and intervals are calibrated: of models that did not see it.
    fn validation_scores(&self, _train: &Examples, validation: &Examples) -> Vec<f64> {
        self.scores(&validation.x)
    }

    /// Whether it loads a save that was made of other rows: what does not depend on the difference is kept.
    fn keeps_what_fits(&self) -> bool {
        false
    }

    /// What else a step has to tell, for the log.
    fn scalars(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// Models that answer together.
    fn models(&self) -> usize {
        1
    }

    /// What predictions need of what is saved; [`Learner::load`] reads it too.
    fn answer(&self) -> Saved {
        self.save()
    }

    /// What it draws of itself in the place of its predictions.
    fn plot(&self) -> Option<Plot> {
        None
    }

    /// What else it has to tell, for `evaluation.json`: an object, or nothing.
    fn report(&self) -> Value {
        Value::Null
    }

    /// Everything that must be saved.
    fn save(&self) -> Saved;

    /// Restores a save; the learner may not have the width of the save yet.
    fn load(&mut self, saved: &Saved) -> Result<(), AgentError>;
}

/// What a learner is made for.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Numbers in a row.
    pub inputs: usize,
    /// Classes; 0 for a regression.
    pub classes: usize,
    /// Steps to make at most.
    pub steps: u64,
    /// The seed of the run.
    pub seed: u64,
    /// Where a network that libtorch differentiates computes; all other models do on the host.
    pub device: Device,
}

impl Shape {
    /// Scores of a row.
    pub fn outputs(&self) -> usize {
        self.classes.max(1)
    }
}

/// A seed of its own for each list of words (SplitMix64: Steele, Lea and Flood 2014).
pub(crate) fn mixed(seed: u64, words: &[u64]) -> u64 {
    words.iter().fold(seed, |mixed, word| {
        let mixed = mixed.wrapping_add(word.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    })
}

/// A list of numbers out of a saved state.
pub(crate) fn saved_numbers(state: &Value, key: &str, count: usize) -> Result<Vec<f64>, AgentError> {
    let read = state[key].as_array().map(|all| all.iter().filter_map(Value::as_f64).collect::<Vec<_>>());
    let fitting = read.filter(|all| all.len() == count);
    fitting.ok_or_else(|| AgentError::Checkpoint(format!("its `{key}` are not {count} numbers")))
}

/// When to end: after so many steps without a lower loss of the validation part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// The lowest loss.
    pub lowest: f64,
    /// The step that it was found after.
    pub at: u64,
    /// Steps without a lower one after which it ends.
    pub patience: u64,
}

impl Patience {
    /// Nothing was found yet.
    pub fn new(patience: u64) -> Self {
        Self { lowest: f64::INFINITY, at: 0, patience }
    }

    /// Takes the loss after a step in; whether it is the lowest so far.
    pub fn see(&mut self, step: u64, loss: f64) -> bool {
        let lower = loss < self.lowest;
        if lower {
            (self.lowest, self.at) = (loss, step);
        }
        lower
    }

    /// Whether it is to end after this step.
    pub fn is_over(&self, step: u64) -> bool {
        self.patience > 0 && step >= self.at + self.patience
    }

    pub(crate) fn save(&self) -> Value {
        // JSON has no infinity.
        serde_json::json!({"lowest": self.lowest.is_finite().then_some(self.lowest), "at": self.at})
    }

    pub(crate) fn load(&mut self, saved: &Value) {
        self.lowest = saved["lowest"].as_f64().unwrap_or(f64::INFINITY);
        self.at = saved["at"].as_u64().unwrap_or(0);
    }
}
