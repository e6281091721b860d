//! Models of the reward that each action would bring, for the direct method and for doubly robust estimators; cross-fitted
//! (Chernozhukov et al. 2018): what is expected in a row comes from a model that has not seen the row.

use crate::agent::{AgentError, Saved, Stop, go_on};
use crate::data::encode::Matrix;
use crate::supervised::boosting::{self, Boosting};
use crate::supervised::solvers::solve;
use crate::supervised::{Examples, Learner, Predict, Shape};
use agon_core::rng::{Rng, Stream};
use agon_core::settings::Settings;
use serde_json::{Map, Value, json};
use tch::Device;

agon_core::choices! {
    /// The model of rewards.
    pub enum Kind { Ridge = "ridge", Boosting = "boosting" }
}

/// Contexts, actions and rewards that a model learns from, a row each.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Contexts, `[rows, width]`.
    pub x: &'a Matrix,
    /// The number of the action taken.
    pub actions: &'a [usize],
    /// What followed.
    pub rewards: &'a [f64],
    /// How many actions there are.
    pub count: usize,
}

/// Parts of cross-fitting.
const FOLDS: usize = 5;
/// The ridge penalty of each action's own effects, in rows: rarely tried actions are taken to be like the others.
const OWN: f64 = 10.0;
/// The ridge penalty of the effects that all actions share.
const SHARED: f64 = 1.0;
/// Rounds of boosting at most.
const ROUNDS: u64 = 200;

/// What was learned of rewards.
pub enum OutcomeModel {
    /// A linear model of all rows, and for each action one of what is left, whose intercept is penalised too; weights and
    /// then the intercept, all actions' model first.
    Ridge(Vec<Vec<f64>>),
    /// Trees over the context and a number for each action.
    Boosting(Box<Boosting>, usize),
}

/// Ridge regression of y on rows of x and 1, with a penalty on everything.
fn ridge(x: &Matrix, rows: &[usize], y: &[f64], penalty: f64, intercept: f64) -> Vec<f64> {
    let d = x.width + 1;
    let (mut gram, mut right, mut line) = (vec![0.0; d * d], vec![0.0; d], vec![1.0; d]);
    for (row, y) in rows.iter().zip(y) {
        line[..d - 1].copy_from_slice(x.row(*row));
        for i in 0..d {
            right[i] += line[i] * y;
            for j in 0..=i {
                gram[i * d + j] += line[i] * line[j];
            }
        }
    }
    for i in 0..d {
        gram[i * d + i] += if i + 1 < d { penalty } else { intercept };
        (0..i).for_each(|j| gram[j * d + i] = gram[i * d + j]);
    }
    solve(&mut gram, &right)
}

fn linear(weights: &[f64], x: &[f64]) -> f64 {
    weights[x.len()] + weights.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()
}

/// The context and a number for each action.
fn with_action(x: &[f64], action: usize, count: usize) -> impl Iterator<Item = f64> + '_ {
    x.iter().copied().chain((0..count).map(move |a| f64::from(u8::from(a == action))))
}

impl OutcomeModel {
    /// Learns from some rows.
    ///
    /// # Errors
    /// [`AgentError::Stopped`] if it was asked to stop.
    pub fn fit(kind: Kind, all: Rows<'_>, rows: &[usize], seed: u64, stop: Stop<'_>) -> Result<Self, AgentError> {
        match kind {
            Kind::Ridge => {
                let y: Vec<f64> = rows.iter().map(|row| all.rewards[*row]).collect();
                let shared = ridge(all.x, rows, &y, SHARED, 1e-9);
                let mut models = vec![shared];
                for action in 0..all.count {
                    go_on(stop)?;
                    let own: Vec<usize> = rows.iter().copied().filter(|row| all.actions[*row] == action).collect();
                    let left = own.iter().map(|row| all.rewards[*row] - linear(&models[0], all.x.row(*row)));
                    models.push(ridge(all.x, &own, &left.collect::<Vec<_>>(), OWN, OWN));
                }
                Ok(Self::Ridge(models))
            }
            Kind::Boosting => {
                let examples = |rows: &[usize]| Examples {
                    x: Matrix {
                        x: rows.iter().flat_map(|r| with_action(all.x.row(*r), all.actions[*r], all.count)).collect(),
                        width: all.x.width + all.count,
                    },
                    y: rows.iter().map(|row| all.rewards[*row]).collect(),
                    classes: 0,
                    ..Examples::default()
                };
                let mut order = rows.to_vec();
                Rng::new(seed, Stream::Shuffle, 1).shuffle(&mut order);
                let (held, used) = order.split_at(order.len() / 5);
                let mut model = boosting(all.x.width + all.count, seed)?;
                let (train, validation) = (examples(used), examples(held));
                while !model.finished() && model.step() < ROUNDS {
                    if model.advance(&train, &validation, stop)?.is_none() {
                        return Err(AgentError::Stopped);
                    }
                }
                Ok(Self::Boosting(Box::new(model), all.count))
            }
        }
    }

    /// The reward expected of each action in these contexts, `[rows, actions]`.
    pub fn expected(&self, x: &Matrix, rows: &[usize]) -> Vec<f64> {
        match self {
            Self::Ridge(models) => {
                let of = |row: &usize| {
                    let x = x.row(*row);
                    let shared = linear(&models[0], x);
                    models[1..].iter().map(move |own| shared + linear(own, x)).collect::<Vec<_>>()
                };
                rows.iter().flat_map(of).collect()
            }
            Self::Boosting(model, count) => {
                let of = |row: &usize| {
                    let each = (0..*count).flat_map(|a| with_action(x.row(*row), a, *count)).collect();
                    model.scores(&Matrix { x: each, width: x.width + count })
                };
                rows.iter().flat_map(of).collect()
            }
        }
    }

    /// As it is saved.
    pub fn save(&self) -> Value {
        match self {
            Self::Ridge(models) => json!(models),
            Self::Boosting(model, _) => model.save().state,
        }
    }

    /// From a save; `width`: numbers of a context.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] where the save is of another model, or damaged.
    pub fn load(kind: Kind, saved: &Value, width: usize, count: usize) -> Result<Self, AgentError> {
        match kind {
            Kind::Ridge => {
                let models: Vec<Vec<f64>> = serde_json::from_value(saved.clone()).unwrap_or_default();
                let fits = models.len() == count + 1 && models.iter().all(|m| m.len() == width + 1);
                let wrong = || AgentError::Checkpoint("its model of rewards has another shape".into());
                fits.then_some(Self::Ridge(models)).ok_or_else(wrong)
            }
            Kind::Boosting => {
                let mut model = boosting(width + count, 0)?;
                model.load(&Saved { tensors: Vec::new(), state: saved.clone() })?;
                Ok(Self::Boosting(Box::new(model), count))
            }
        }
    }
}

fn boosting(inputs: usize, seed: u64) -> Result<Boosting, AgentError> {
    let config = boosting::Config::read(&Map::new()).map_err(AgentError::Settings)?;
    let shape = Shape { inputs, classes: 0, steps: ROUNDS, seed, device: Device::Cpu };
    Ok(Boosting::new(config, shape, &[]))
}

/// The reward expected of each action in each row, `[rows, actions]`, by models that have not seen the row.
///
/// # Errors
/// [`AgentError::Stopped`] if it was asked to stop.
pub fn cross_fitted(kind: Kind, all: Rows<'_>, seed: u64, stop: Stop<'_>) -> Result<Vec<f64>, AgentError> {
    let n = all.rewards.len();
    let mut order: Vec<usize> = (0..n).collect();
    Rng::new(seed, Stream::Shuffle, 0).shuffle(&mut order);
    let folds = FOLDS.min(n);
    let mut expected = vec![0.0; n * all.count];
    for fold in 0..folds {
        let (own, others): (Vec<(usize, usize)>, Vec<(usize, usize)>) =
            order.iter().copied().enumerate().partition(|(i, _)| i % folds == fold);
        let rows = |list: Vec<(usize, usize)>| list.into_iter().map(|(_, row)| row).collect::<Vec<usize>>();
        let (own, others) = (rows(own), rows(others));
        let model = OutcomeModel::fit(kind, all, &others, seed, stop)?;
        for (row, of) in own.iter().zip(model.expected(all.x, &own).chunks_exact(all.count)) {
            expected[row * all.count..][..all.count].copy_from_slice(of);
        }
    }
    Ok(expected)
}
