//! Predictions from a save alone: neither the table nor the training is needed.

use super::calibration::Calibration;
use super::family::Family;
use super::{Learner, Shape, regime, softmax};
use crate::agent::{AgentError, Saved};
use crate::data::dataset::Target;
use crate::data::encode::{Encoder, Input};
use crate::data::written::Way;
use crate::data::{Column, Kind, Raw, Values, cells};
use agon_core::settings::{hint, nearest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tch::Device;

/// What is predicted, as it is saved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The column.
    pub name: String,
    /// Its classes; none for a regression.
    pub classes: Vec<String>,
    /// How its numbers were written in training, of a regression; runs of before do not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
}

/// A trained model with all that it needs to predict.
pub struct Predictor {
    /// What is predicted.
    pub answer: Answer,
    encoder: Encoder,
    calibration: Calibration,
    learner: Box<dyn Learner>,
}

/// Predictions, a row each.
pub struct Predictions {
    /// Probabilities `[rows, classes]`, or numbers.
    pub p: Vec<f64>,
    /// Half the width of a number's 90 % interval, if it is known.
    pub margin: Option<f64>,
    /// How many rows of each input column have a label that was unseen in training.
    pub unseen: Vec<usize>,
    /// What else was odd about the table.
    pub findings: Vec<String>,
}

/// What was the case in the rows of a table.
pub struct Truth {
    /// The rows that it is known of.
    pub rows: Vec<usize>,
    /// The number of the class, or the value, of each of them.
    pub y: Vec<f64>,
    /// Rows in which it is missing.
    pub missing: usize,
    /// Classes of rows that training did not have, a row each.
    pub unknown: Vec<String>,
}

impl Truth {
    /// What is odd about it.
    pub fn findings(&self, answer: &Answer) -> Vec<String> {
        let missing = (self.missing > 0)
            .then(|| format!("`{}` is missing in {} rows, which are left out", answer.name, self.missing));
        let unknown = self.unknown.first().map(|first| {
            format!(
                "WARNING: {} rows are of classes that training did not have, such as `{first}`: it is wrong about all of \
                 them, and they are left out of the metrics",
                self.unknown.len()
            )
        });
        missing.into_iter().chain(unknown).collect()
    }
}

/// How a column is read as one of a kind: [`cells::read_as`] of a whole table, [`cells::read_by`] of a part of one.
pub type Read = fn(&Raw, usize, Kind, Option<Way>) -> Result<Column, (usize, String)>;

impl Answer {
    /// A target that is predicted.
    pub fn of(target: &Target) -> Self {
        Self { name: target.name.clone(), classes: target.classes.clone(), way: target.way }
    }

    /// The truth of a table's rows, from the column that the training table had it in.
    ///
    /// # Errors
    /// [`AgentError::Data`] where that column is missing, or holds no numbers where numbers are predicted.
    pub fn truth(&self, raw: &Raw, read: Read) -> Result<Truth, AgentError> {
        let name = &self.name;
        let at = raw.find(name).ok_or_else(|| {
            let near = nearest(name, raw.names.iter().map(String::as_str));
            AgentError::Data(format!("the column `{name}`, which holds the truth, cannot be found{}", hint(&near)))
        })?;
        let known: Vec<usize> = (0..raw.rows()).filter(|row| !cells::is_missing(raw.cell(*row, at))).collect();
        let missing = raw.rows() - known.len();
        let mut truth = Truth { rows: Vec::new(), y: Vec::new(), missing, unknown: Vec::new() };
        if self.classes.is_empty() {
            let column = read(raw, at, Kind::Number, self.way).map_err(|(row, why)| {
                AgentError::Data(format!("line {}: {why}, as it was in training", raw.lines[row]))
            })?;
            if let Values::Numbers(x) = &column.values {
                truth.y = known.iter().map(|row| x[*row]).collect();
            }
            truth.rows = known;
            return Ok(truth);
        }
        for row in known {
            let cell = raw.cell(row, at);
            match self.class_of(cell) {
                Some(class) => {
                    truth.rows.push(row);
                    truth.y.push(class as f64);
                }
                None => truth.unknown.push(cell.to_owned()),
            }
        }
        Ok(truth)
    }

    /// The class that a cell means: as it is written, in other letters, or as the same number.
    fn class_of(&self, cell: &str) -> Option<usize> {
        let classes = || self.classes.iter();
        let number = |text: &str| text.parse::<f64>().ok();
        classes()
            .position(|class| class == cell)
            .or_else(|| classes().position(|class| class.eq_ignore_ascii_case(cell)))
            .or_else(|| number(cell).and_then(|x| classes().position(|class| number(class) == Some(x))))
    }
}

impl Predictor {
    /// From a save.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] where the save is of another model, or damaged.
    pub fn load(family: &Family, settings: &Map<String, Value>, saved: &Saved) -> Result<Self, AgentError> {
        let (encoder, answer): (Encoder, Answer) = (saved.part("encoder")?, saved.part("answer")?);
        let calibration: Calibration = saved.part("calibration")?;
        let shape =
            Shape { inputs: encoder.width(), classes: answer.classes.len(), steps: 0, seed: 0, device: Device::Cpu };
        let learner = regime::answering(family, settings, shape, &encoder.slots(), &learners_part(saved))?;
        Ok(Self { answer, encoder, calibration, learner })
    }

    /// The truth of a table's rows, from the column that the training table had it in.
    ///
    /// # Errors
    /// [`AgentError::Data`] where that column is missing, holds no numbers where numbers are predicted, or says nothing.
    pub fn truth(&self, raw: &Raw) -> Result<Truth, AgentError> {
        let truth = self.answer.truth(raw, cells::read_as)?;
        if truth.rows.is_empty() {
            return Err(AgentError::Data(format!("`{}` says the truth of no row", self.answer.name)));
        }
        Ok(truth)
    }

    /// The probabilities `[rows, classes]` of each model that answers with others, not calibrated; none where there is one.
    ///
    /// # Errors
    /// Those of [`Self::predict`].
    pub fn members(&self, raw: &Raw) -> Result<Option<Vec<Vec<f64>>>, AgentError> {
        let columns = columns_of(&self.encoder, raw, &self.answer.name)?.0;
        let rows: Vec<usize> = (0..raw.rows()).collect();
        let (x, _) = self.encoder.encode(&columns.iter().collect::<Vec<_>>(), &rows);
        let mut members = self.learner.members(&x);
        let k = self.answer.classes.len().max(1);
        members.iter_mut().flatten().flat_map(|p| p.chunks_exact_mut(k)).for_each(softmax);
        Ok(members)
    }

    /// Predicts every row of a table, whose columns are found by their names.
    ///
    /// # Errors
    /// [`AgentError::Data`] where a column is missing, or holds what it did not in training.
    pub fn predict(&self, raw: &Raw) -> Result<Predictions, AgentError> {
        self.predict_by(raw, cells::read_as)
    }

    /// The same of a part of a table.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub fn predict_part(&self, raw: &Raw) -> Result<Predictions, AgentError> {
        self.predict_by(raw, cells::read_by)
    }

    fn predict_by(&self, raw: &Raw, read: Read) -> Result<Predictions, AgentError> {
        let (columns, findings) = columns_by(&self.encoder, raw, &self.answer.name, read)?;
        let rows: Vec<usize> = (0..raw.rows()).collect();
        let (x, unseen) = self.encoder.encode(&columns.iter().collect::<Vec<_>>(), &rows);
        let scores = self.learner.scores(&x);
        let p = self.calibration.probabilities(scores, self.answer.classes.len());
        if p.iter().any(|p| !p.is_finite()) {
            return Err(AgentError::Data(
                "some predictions are no numbers: are there huge numbers in the table?".into(),
            ));
        }
        Ok(Predictions { p, margin: self.calibration.margin, unseen, findings })
    }

    /// What was odd about rows that were predicted.
    pub fn findings(&self, found: &Predictions) -> Vec<String> {
        let mut all = found.findings.clone();
        tell_unseen(&self.encoder, &found.unseen, &mut all);
        all
    }
}

/// The columns of a table that an encoder reads, found by their names, and what is odd about the table; `answer` is the name
/// of a column that may be there.
///
/// # Errors
/// [`AgentError::Data`] where a column is missing, or holds what it did not in training.
pub(crate) fn columns_of(encoder: &Encoder, raw: &Raw, answer: &str) -> Result<(Vec<Column>, Vec<String>), AgentError> {
    columns_by(encoder, raw, answer, cells::read_as)
}

/// The same, where columns are read in this way.
pub(crate) fn columns_by(
    encoder: &Encoder,
    raw: &Raw,
    answer: &str,
    read: Read,
) -> Result<(Vec<Column>, Vec<String>), AgentError> {
    let is_input = |name: &str| encoder.inputs.iter().any(|input| input.name == name);
    let missing: Vec<String> = encoder
        .inputs
        .iter()
        .filter(|input| raw.find(&input.name).is_none())
        .map(|input| match nearest(&input.name, raw.names.iter().map(String::as_str).filter(|n| !is_input(n))) {
            Some(near) => format!("`{}` (there is `{near}`)", input.name),
            None => format!("`{}`", input.name),
        })
        .collect();
    if !missing.is_empty() {
        let all = missing.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
        let what = if missing.len() == 1 { "the column" } else { "the columns" };
        return Err(AgentError::Data(format!(
            "{what} {all} of the training table cannot be found; a column whose values are unknown may be empty, but must be \
             there"
        )));
    }
    let read = |name: &str, kind, way| {
        let at = raw.find(name).unwrap_or_default();
        read(raw, at, kind, way)
            .map_err(|(row, why)| AgentError::Data(format!("line {}: {why}, as it was in training", raw.lines[row])))
    };
    let inputs = encoder.inputs.iter();
    let columns: Vec<Column> =
        inputs.map(|input| read(&input.name, input.kind, input.way)).collect::<Result<_, _>>()?;
    let mut findings = Vec::new();
    let extra: Vec<&String> = raw.names.iter().filter(|n| !is_input(n) && **n != answer).collect();
    if !extra.is_empty() {
        let some: Vec<String> = extra.iter().take(10).map(|name| format!("`{name}`")).collect();
        let more = if extra.len() > 10 { ", …" } else { "" };
        findings.push(format!("{} columns are no inputs of the model: {}{more}", extra.len(), some.join(", ")));
    }
    Ok((columns, findings))
}

/// Says which columns have labels that were unseen in training, first.
pub(crate) fn tell_unseen(encoder: &Encoder, unseen: &[usize], findings: &mut Vec<String>) {
    let of = |(input, count): (&Input, &usize)| {
        format!(
            "`{}` has a value in {count} rows that training never had, or too rarely: they count as unseen",
            input.name
        )
    };
    let all: Vec<String> = encoder.inputs.iter().zip(unseen).filter(|(_, count)| **count > 0).map(of).collect();
    findings.splice(0..0, all);
}

/// What the learner itself saved.
pub(crate) fn learners_part(saved: &Saved) -> Saved {
    let tensors = saved.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
    Saved { tensors, state: saved.state["model"].clone() }
}
