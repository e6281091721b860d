//! How places move (McInnes, Healy and Melville 2018, algorithm 5, with umap-learn's gradients): each pair is drawn as often
//! as it is near, pulls its rows together, and pushes them away from rows drawn at random.

use super::curve::Curve;
use crate::unsupervised::graph::Graph;
use crate::unsupervised::rows_of_part;
use agon_core::rng::Rng;
use agon_core::thread_pool::ThreadPool;

/// No single force moves a row farther than this, times the learning rate.
const MOST: f32 = 4.0;
/// Rows on the same place push each other with a force that is not infinite.
const SOFT: f32 = 0.001;

/// What moves rows.
#[derive(Clone, Copy, Debug)]
pub struct Forces {
    a: f32,
    b: f32,
    /// How strong pushes are beside pulls.
    pub repulsion: f32,
    /// Rows that push, for each that pulls.
    pub negatives: u64,
}

/// Whether a pair of this share of the greatest weight is drawn in this step: in as many steps as its share says, evenly.
fn is_due(share: f64, step: u64) -> bool {
    ((step + 1) as f64 * share).floor() > (step as f64 * share).floor()
}

impl Forces {
    /// With a curve.
    pub fn new(curve: Curve, repulsion: f64, negatives: u64) -> Self {
        Self { a: curve.a as f32, b: curve.b as f32, repulsion: repulsion as f32, negatives }
    }

    /// Moves a place; the force is along `off` and as large as `coefficient` times it.
    #[inline(always)]
    fn move_by(at: &mut [f32; 2], off: [f32; 2], coefficient: f32, rate: f32) {
        for (at, off) in at.iter_mut().zip(off) {
            *at += rate * (coefficient * off).clamp(-MOST, MOST);
        }
    }

    /// A pull towards a place; how surely they are neighbours.
    #[inline(always)]
    fn pull(&self, at: &mut [f32; 2], other: [f32; 2], rate: f32) -> f32 {
        let off = [at[0] - other[0], at[1] - other[1]];
        let square = off[0] * off[0] + off[1] * off[1];
        if square == 0.0 {
            return 1.0;
        }
        let power = square.powf(self.b);
        let q = 1.0 / (1.0 + self.a * power);
        Self::move_by(at, off, -2.0 * self.a * self.b * power / square * q, rate);
        q
    }

    /// A push away from a place; how surely they are no neighbours.
    #[inline(always)]
    fn push(&self, at: &mut [f32; 2], other: [f32; 2], rate: f32) -> f32 {
        let off = [at[0] - other[0], at[1] - other[1]];
        let square = off[0] * off[0] + off[1] * off[1];
        let power = self.a * square.powf(self.b);
        let q = 1.0 / (1.0 + power);
        Self::move_by(at, off, 2.0 * self.repulsion * self.b * q / (SOFT + square), rate);
        power * q
    }

    /// One step of every row, beside the places that the others had before it: results do not depend on the order of rows, so
    /// not on threads. `rng` gives each row its numbers. The mean cross-entropy of the pairs that were drawn.
    pub fn step(
        &self,
        graph: &Graph,
        y: &mut [[f32; 2]],
        step: u64,
        rate: f32,
        rng: impl Fn(u32) -> Rng + Sync,
        pool: &ThreadPool,
    ) -> f64 {
        let (before, most) = (y.to_vec(), graph.most());
        let size = rows_of_part(y.len());
        let mut parts: Vec<_> = y.chunks_mut(size).map(|y| (y, 0.0, 0u64)).collect();
        pool.each(&mut parts, |part, (y, sum, pairs)| {
            for (i, at) in (part * size..).zip(y.iter_mut()) {
                let mut rng = rng(i as u32);
                for (j, _) in graph.of(i).filter(|(_, weight)| is_due(weight / most, step)) {
                    // A pair is two: each row of it pulls the other one along.
                    self.pull(at, before[j], rate);
                    let mut q = f64::from(self.pull(at, before[j], rate));
                    for _ in 0..self.negatives {
                        let k = rng.below(before.len() as u32) as usize;
                        if k != i {
                            q *= f64::from(self.push(at, before[k], rate).max(SOFT));
                        }
                    }
                    *sum -= q.max(f64::MIN_POSITIVE).ln();
                    *pairs += 1;
                }
            }
        });
        let (sum, pairs) = parts.iter().fold((0.0, 0), |all, part| (all.0 + part.1, all.1 + part.2));
        sum / pairs.max(1) as f64
    }

    /// Moves a new row, of which `near` are the neighbours and their weights, beside places that stay.
    pub fn step_of_new(
        &self,
        y: &[[f32; 2]],
        near: &[(usize, f64)],
        at: &mut [f32; 2],
        step: u64,
        rate: f32,
        rng: &mut Rng,
    ) {
        let most = near.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
        for (j, _) in near.iter().filter(|(_, weight)| is_due(weight / most, step)) {
            self.pull(at, y[*j], rate);
            for _ in 0..self.negatives {
                self.push(at, y[rng.below(y.len() as u32) as usize], rate);
            }
        }
    }
}

/// The cross-entropy between how near rows are and how near their places are: of each of these rows the sum over all others,
/// and of that the mean.
pub fn cross_entropy(graph: &Graph, y: &[[f32; 2]], curve: Curve, rows: &[usize], pool: &ThreadPool) -> f64 {
    // What no place on the map can undo is not infinite.
    const LEAST: f64 = 1e-4;
    let mut sums = vec![0.0; rows.len()];
    let size = rows.len().div_ceil(crate::unsupervised::PARTS);
    let mut parts: Vec<_> = sums.chunks_mut(size).zip(rows.chunks(size)).collect();
    pool.each(&mut parts, |_, (sums, rows)| {
        for (sum, i) in sums.iter_mut().zip(rows.iter()) {
            let q = |j: usize| {
                let off = [0, 1].map(|k| f64::from(y[*i][k] - y[j][k]));
                curve.at(off[0] * off[0] + off[1] * off[1]).clamp(LEAST, 1.0 - LEAST)
            };
            *sum = (0..y.len()).filter(|j| j != i).map(|j| -(1.0 - q(j)).ln()).sum();
            *sum += graph.of(*i).map(|(j, w)| -w * (q(j).ln() - (1.0 - q(j)).ln())).sum::<f64>();
        }
    });
    sums.iter().sum::<f64>() / rows.len() as f64
}
