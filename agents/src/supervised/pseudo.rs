//! Pseudo-labels (Lee 2013): a first model, the teacher, learns from the rows that have a class; rows without one that it is
//! sure of get the class it says; then a second model, the student, learns from both. How sure it is, is calibrated on the
//! validation part. The student answers.

use super::calibration::Calibration;
use super::{Examples, Learner, Predict, Shape};
use crate::agent::{AgentError, Saved, Stop};
use crate::data::encode::Matrix;
use serde_json::json;
use std::collections::HashMap;

/// Makes a fresh learner.
type Make = Box<dyn Fn(Shape) -> Result<Box<dyn Learner>, AgentError>>;

/// A learner that is its own teacher first.
pub struct Pseudo {
    make: Make,
    shape: Shape,
    /// Rows without a class.
    unlabelled: Matrix,
    /// How sure the teacher must be of a row.
    sure: f64,
    /// The teacher, and later the student.
    learner: Box<dyn Learner>,
    taught: Option<Taught>,
    /// The training part with the rows that were labelled; made again where it is missing.
    both: Option<Examples>,
}

/// What the teacher left.
struct Taught {
    /// Its steps.
    steps: u64,
    /// The class of each row without one; −1 where it was not sure.
    labels: Vec<i64>,
}

impl Pseudo {
    /// A teacher that has learned nothing. It makes half of the steps at most, the student the other half.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn new(make: Make, shape: Shape, unlabelled: Matrix, sure: f64) -> Result<Self, AgentError> {
        let learner = make(Shape { steps: shape.steps.div_ceil(2), ..shape })?;
        Ok(Self { make, shape, unlabelled, sure, learner, taught: None, both: None })
    }

    fn student(&self) -> Result<Box<dyn Learner>, AgentError> {
        (self.make)(Shape { steps: self.shape.steps / 2, ..self.shape })
    }

    /// The classes that the teacher is sure of.
    fn labels(&self, validation: &Examples) -> Vec<i64> {
        let k = self.shape.classes;
        let calibration = Calibration::careful(&self.learner.scores(&validation.x), validation);
        let p = calibration.probabilities(self.learner.scores(&self.unlabelled), k);
        let likeliest = |p: &[f64]| (0..k).rev().max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap_or(0);
        let label = |p: &[f64]| {
            let class = likeliest(p);
            if p[class] >= self.sure { class as i64 } else { -1 }
        };
        p.chunks_exact(k).map(label).collect()
    }

    /// The training part and the rows that were labelled, which count what their class counts.
    fn both(&self, train: &Examples, labels: &[i64]) -> Examples {
        let mut both = train.clone();
        let of_class: HashMap<u64, f64> = train.y.iter().zip(&train.weights).map(|(y, w)| (*y as u64, *w)).collect();
        for (row, label) in labels.iter().enumerate().filter(|(_, label)| **label >= 0) {
            both.x.x.extend_from_slice(self.unlabelled.row(row));
            both.y.push(*label as f64);
            both.weights.extend(of_class.get(&(*label as u64)));
        }
        both
    }
}

impl Predict for Pseudo {
    fn scores(&self, x: &Matrix) -> Vec<f64> {
        self.learner.scores(x)
    }
}

impl Learner for Pseudo {
    fn step(&self) -> u64 {
        self.taught.as_ref().map_or(0, |taught| taught.steps) + self.learner.step()
    }

    fn finished(&self) -> bool {
        self.taught.is_some() && (self.learner.finished() || self.learner.step() >= self.shape.steps / 2)
    }

    fn advance(&mut self, train: &Examples, validation: &Examples, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        if let Some(taught) = &self.taught {
            let both = self.both.take().unwrap_or_else(|| self.both(train, &taught.labels));
            let loss = self.learner.advance(&both, validation, stop);
            self.both = Some(both);
            return loss;
        }
        let loss = self.learner.advance(train, validation, stop)?;
        let teacher = &self.learner;
        if loss.is_some() && (teacher.finished() || teacher.step() >= self.shape.steps.div_ceil(2)) {
            let (steps, labels) = (teacher.step(), self.labels(validation));
            self.learner = self.student()?;
            self.taught = Some(Taught { steps, labels });
        }
        Ok(loss)
    }

    fn weights(&self) -> Option<Vec<Vec<f64>>> {
        self.learner.weights()
    }

    fn models(&self) -> usize {
        self.learner.models()
    }

    fn report(&self) -> serde_json::Value {
        let Some(taught) = &self.taught else { return serde_json::Value::Null };
        let sure = taught.labels.iter().filter(|label| **label >= 0).count();
        json!({"pseudo_labels": {"rows": taught.labels.len(), "labelled": sure, "sure": self.sure}})
    }

    /// What the teacher or the student saves, so that predictions need not know of teachers.
    fn save(&self) -> Saved {
        let Saved { tensors, mut state } = self.learner.save();
        if let Some(taught) = &self.taught {
            state["taught"] = json!({"steps": taught.steps, "labels": taught.labels});
        }
        Saved { tensors, state }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let state = &saved.state["taught"];
        if state.is_null() {
            return self.learner.load(saved);
        }
        let wrong = || AgentError::Checkpoint("the classes that its teacher gave cannot be read".into());
        let steps = state["steps"].as_u64().ok_or_else(wrong)?;
        let labels: Option<Vec<i64>> =
            state["labels"].as_array().ok_or_else(wrong)?.iter().map(serde_json::Value::as_i64).collect();
        let fits = |all: &Vec<i64>| {
            all.len() == self.unlabelled.rows() && all.iter().all(|l| (-1..self.shape.classes as i64).contains(l))
        };
        let labels = labels.filter(fits).ok_or_else(wrong)?;
        let mut student = self.student()?;
        student.load(saved)?;
        (self.learner, self.taught, self.both) = (student, Some(Taught { steps, labels }), None);
        Ok(())
    }
}
