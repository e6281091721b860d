//! Models of a table without a target: groups of rows, fewer numbers for each row, and how unusual a row is. Every model
//! is a [`Learner`]; [`training`] makes a training of it, [`reader`] reads new rows from a save alone.

pub mod agreement;
pub mod autoencoder;
pub mod clustering;
pub mod describe;
pub mod family;
pub mod gaussian;
pub mod gmm;
pub mod graph;
pub mod hdbscan;
pub mod inputs;
pub mod isolation_forest;
pub mod kmeans;
pub mod mahalanobis;
pub mod nearest;
pub mod neighbours;
pub mod pca;
pub mod picture;
pub mod quad_tree;
pub mod reader;
pub mod scores;
mod screen;
pub mod training;
pub mod tsne;
pub mod umap;

use crate::agent::{AgentError, Saved, Stop};
use crate::data::encode::Matrix;
use agon_core::Metric;
use agon_core::thread_pool::ThreadPool;
use agon_core::world::Layer;
use serde_json::Value;
use tch::{Device, Tensor};

/// What a model says of rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The number of clusters; 0 of models that have none.
    pub clusters: usize,
    /// The cluster of each row, none of rows that belong to none; empty without clusters.
    pub cluster: Vec<Option<u32>>,
    /// Probabilities of each cluster, `[rows, clusters]`.
    pub p: Vec<f64>,
    /// Components of each row; of width 0 of models that have none.
    pub components: Matrix,
    /// What training lowers, a row each; empty of models that have no such thing.
    pub loss: Vec<f64>,
    /// How unusual each row is: more where it is higher.
    pub anomaly: Vec<f64>,
}

/// A model under training.
pub trait Learner {
    /// Steps made.
    fn step(&self) -> u64;

    /// Steps to make at most; none where only the run's length ends it.
    fn steps(&self) -> Option<u64>;

    /// Whether nothing more is to be learned.
    fn finished(&self) -> bool;

    /// Whether it can be trained on so many rows.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where they are too few.
    fn check(&self, _rows: usize) -> Result<(), AgentError> {
        Ok(())
    }

    /// One step on the training part; the validation part may only decide when to end. The mean loss, or another number
    /// that says how far it is; none if it was asked to stop, and then nothing has changed.
    fn advance(&mut self, train: &Matrix, validation: &Matrix, stop: Stop<'_>) -> Result<Option<f64>, AgentError>;

    /// What it says of rows.
    fn read(&self, x: &Matrix) -> Found;

    /// How unusual rows are by each half of the model, where it has halves: what they do not agree about is chance.
    fn halves(&self, _x: &Matrix) -> Option<[Vec<f64>; 2]> {
        None
    }

    /// The place of every training row in a plane, `[rows, 2]`, of models that make a map.
    fn map(&self) -> Option<Matrix> {
        None
    }

    /// How it writes a row down in its components, as layers of rectified units, the last of which is linear; none of models
    /// that are no such function.
    fn layers(&self) -> Option<Vec<Layer>> {
        None
    }

    /// What it says of itself on the training rows, where that is all that it can be judged by.
    fn metrics(&self, _train: &Matrix) -> Vec<Metric> {
        Vec::new()
    }

    /// What else is worth telling: numbers of clusters that were tried, shares of variance.
    fn details(&self) -> Value {
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
    /// Steps of the run.
    pub steps: u64,
    /// The seed of the run.
    pub seed: u64,
    /// Where a network computes; all other models do on the host.
    pub device: Device,
}

/// Parts that rows are divided into for several threads. It never depends on the number of threads, so neither do results.
pub(crate) const PARTS: usize = 32;

/// The rows of a part: at least a few hundred, so that a thread is worth it.
pub(crate) fn rows_of_part(rows: usize) -> usize {
    rows.div_ceil(PARTS).max(256)
}

/// A thread for every core, up to 16: results are the same on any number.
pub(crate) fn pool() -> ThreadPool {
    ThreadPool::new(std::thread::available_parallelism().map_or(1, usize::from).min(16))
}

/// The squared distance of two rows.
pub(crate) fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The mean of each column.
pub(crate) fn means(x: &Matrix) -> Vec<f64> {
    let mut sums = vec![0.0; x.width];
    for row in x.x.chunks_exact(x.width) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    sums.iter().map(|sum| sum / x.rows() as f64).collect()
}

/// Numbers as a tensor that can be saved.
pub(crate) fn tensor(numbers: &[f64]) -> Tensor {
    Tensor::from_slice(numbers)
}

/// The numbers of a saved tensor.
pub(crate) fn numbers(saved: &Saved, name: &str) -> Result<Vec<f64>, AgentError> {
    let flat = saved.tensor(name)?.contiguous().view([-1]);
    let wrong = |_| AgentError::Checkpoint(format!("`{name}` does not hold numbers"));
    Vec::<f64>::try_from(&flat).map_err(wrong)
}

/// The same, if there are as many as there must be.
pub(crate) fn so_many(saved: &Saved, name: &str, count: usize) -> Result<Vec<f64>, AgentError> {
    let read = numbers(saved, name)?;
    if read.len() == count {
        return Ok(read);
    }
    Err(AgentError::Checkpoint(format!("`{name}` has {} numbers, and {count} are needed", read.len())))
}
