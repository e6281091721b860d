//! Whether a classifier can tell new rows from training rows (Lopez-Paz and Oquab 2017): it sees what no column shows alone.

use super::boosting::{self, Boosting};
use super::{Examples, Learner, Predict, Shape};
use crate::agent::{AgentError, Stop};
use crate::data::Column;
use crate::data::encode::{Encoder, Matrix, Scaling};
use crate::unsupervised::scores::auc;
use tch::Device;

/// Rows of either side at most, folds, and rounds of boosting.
const MOST: usize = 2000;
const FOLDS: usize = 5;
const ROUNDS: u64 = 40;

/// How well rows are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Apart {
    /// The area under the curve on rows that the classifier did not learn from: ½ where they cannot be told apart.
    pub auc: f64,
    /// What it is below in 95 % of cases where nothing differs.
    pub by_chance: f64,
}

fn some(rows: usize) -> impl Iterator<Item = usize> + Clone {
    (0..rows).step_by(rows.div_ceil(MOST).max(1))
}

/// Learns to tell the training rows `rows` of `old` from all rows of `new`, which are the same columns.
///
/// # Errors
/// [`AgentError::Stopped`] if it was asked to stop.
pub fn two_sample(
    old: &[&Column],
    rows: &[usize],
    new: &[&Column],
    stop: Stop<'_>,
) -> Result<Option<Apart>, AgentError> {
    let encoder = Encoder::fit(old, rows, Scaling::Asis, true);
    let picked: Vec<usize> = some(rows.len()).map(|i| rows[i]).collect();
    let fresh: Vec<usize> = some(new.first().map_or(0, |column| column.len())).collect();
    let (a, b) = (encoder.encode(old, &picked).0, encoder.encode(new, &fresh).0);
    let (n, m) = (a.rows(), b.rows());
    let of = |i: usize| if i < n { (a.row(i), 0.0) } else { (b.row(i - n), 1.0) };
    let mut scores = vec![0.0; n + m];
    for fold in 0..FOLDS {
        let pick = |wanted: &dyn Fn(usize) -> bool| {
            let rows: Vec<usize> = (0..n + m).filter(|i| wanted(i % FOLDS)).collect();
            let x = rows.iter().flat_map(|i| of(*i).0.iter().copied()).collect();
            let y = rows.iter().map(|i| of(*i).1).collect();
            (rows, Examples { x: Matrix { x, width: a.width }, y, classes: 2, ..Examples::default() })
        };
        let (held, test) = pick(&|f| f == fold);
        let train = pick(&|f| f != fold).1;
        let shape = Shape { inputs: a.width, classes: 2, steps: ROUNDS, seed: 1, device: Device::Cpu };
        let mut learner = Boosting::new(boosting::Config { patience: 0, ..boosting::Config::default() }, shape, &[]);
        while learner.step() < ROUNDS {
            if learner.advance(&train, &test, stop)?.is_none() {
                return Err(AgentError::Stopped);
            }
        }
        let found = learner.scores(&test.x);
        held.iter().zip(found.chunks_exact(2)).for_each(|(row, s)| scores[*row] = s[1] - s[0]);
    }
    let is: Vec<bool> = (0..n + m).map(|i| i >= n).collect();
    let (n, m) = (n as f64, m as f64);
    let chance = 0.5 + 1.645 * ((n + m + 1.0) / (12.0 * n * m)).sqrt();
    Ok(auc(&scores, &is).map(|auc| Apart { auc, by_chance: chance }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NEVER;
    use crate::data::{Kind, Values};
    use agon_core::rng::{Rng, Stream};

    /// Two columns that each stay as they were, but no longer go together.
    #[test]
    fn it_sees_what_no_column_shows_alone() {
        let mut rng = Rng::new(1, Stream::Env, 0);
        let mut table = |rows: usize, together: bool| {
            let a: Vec<f64> = (0..rows).map(|_| rng.normal()).collect();
            let b = a.iter().map(|a| if together { *a + 0.3 * rng.normal() } else { 1.044 * rng.normal() }).collect();
            [a, b].map(|x| Column { name: "x".into(), kind: Kind::Number, values: Values::Numbers(x), way: None })
        };
        let (old, same, other) = (table(400, true), table(300, true), table(300, false));
        let rows: Vec<usize> = (0..400).collect();
        let apart = |new: &[Column; 2]| {
            two_sample(&old.iter().collect::<Vec<_>>(), &rows, &new.iter().collect::<Vec<_>>(), NEVER).unwrap().unwrap()
        };
        let (same, other) = (apart(&same), apart(&other));
        assert!(same.auc < same.by_chance + 0.02, "{same:?}");
        assert!(other.auc > 0.75 && other.by_chance < 0.55, "{other:?}");
    }
}
