//! The fuzzy graph of a table's rows (McInnes, Healy and Melville 2018, algorithms 2 and 3): how surely each row belongs to
//! the neighbourhood of another one. Symbols are the paper's: ρ the distance to the nearest other row, σ the width.

use crate::agent::{AgentError, Stop};
use crate::data::encode::Matrix;
use crate::unsupervised::graph::Graph;
use crate::unsupervised::neighbours::{Far, nearest};
use agon_core::thread_pool::ThreadPool;

/// How near the sum of memberships comes to log₂ k, and how many halvings that takes at most: umap-learn's.
const NEAR: f64 = 1e-5;
const HALVINGS: usize = 64;
/// The least width, as a share of the mean distance.
const LEAST: f64 = 1e-3;

/// The width σ for which the memberships exp(−(d − ρ) / σ), at most 1, have this sum.
fn width(far: &[f64], rho: f64, sum: f64) -> f64 {
    let (mut sigma, mut low, mut high) = (1.0, 0.0, f64::INFINITY);
    for _ in 0..HALVINGS {
        let found: f64 = far.iter().map(|d| membership(*d, rho, sigma)).sum();
        if (found - sum).abs() < NEAR {
            break;
        }
        if found > sum {
            high = sigma;
        } else {
            low = sigma;
        }
        sigma = if high.is_finite() { f64::midpoint(low, high) } else { sigma * 2.0 };
    }
    sigma
}

fn membership(d: f64, rho: f64, sigma: f64) -> f64 {
    if d <= rho || sigma == 0.0 { 1.0 } else { (-(d - rho) / sigma).exp() }
}

/// Distances instead of squared ones.
fn distances(near: &[Far]) -> Vec<f64> {
    near.iter().map(|(d, _)| d.sqrt()).collect()
}

/// Of a table's rows: each has `k` neighbours, itself among them, and belongs surely to its nearest other one.
///
/// # Errors
/// [`AgentError::Stopped`] if it was asked to stop.
pub fn graph(x: &Matrix, k: usize, pool: &ThreadPool, stop: Stop<'_>) -> Result<Graph, AgentError> {
    let near = nearest(x, k - 1, pool, stop)?;
    let mean = near.iter().map(|(d, _)| d.sqrt()).sum::<f64>() / (x.rows() * k) as f64;
    let mut weights = vec![0.0; near.len()];
    let size = crate::unsupervised::rows_of_part(x.rows()) * (k - 1);
    let mut parts: Vec<_> = weights.chunks_mut(size).zip(near.chunks(size)).collect();
    pool.each(&mut parts, |_, (weights, near)| {
        for (weights, near) in weights.chunks_exact_mut(k - 1).zip(near.chunks_exact(k - 1)) {
            let far = distances(near);
            let rho = far.iter().copied().find(|d| *d > 0.0).unwrap_or(0.0);
            // Of rows whose neighbours are all the same as they, the widths of the others say what is narrow.
            let mean = if rho > 0.0 { far.iter().sum::<f64>() / k as f64 } else { mean };
            let sigma = width(&far, rho, (k as f64).log2()).max(LEAST * mean);
            weights.iter_mut().zip(&far).for_each(|(weight, d)| *weight = membership(*d, rho, sigma));
        }
    });
    let edges = near.iter().zip(&weights).enumerate();
    let edges = edges.map(|(place, ((_, j), weight))| ((place / (k - 1)) as u32, *j, *weight));
    Ok(Graph::symmetric(x.rows(), edges, |a, b| a + b - a * b))
}

/// Of a new row with its neighbours among the table's rows, the nearest first: it belongs surely to none, and the nearest
/// does not count for the width, as in umap-learn.
pub fn of_new(near: &[Far]) -> Vec<f64> {
    let far = distances(near);
    let mean = far.iter().sum::<f64>() / far.len() as f64;
    let sigma = width(&far[1..], 0.0, (far.len() as f64).log2()).max(LEAST * mean);
    far.iter().map(|d| membership(*d, 0.0, sigma)).collect()
}
