//! Permutation importance (Breiman 2001): how much worse the deciding metric becomes where a column is shuffled among rows.

use super::Examples;
use super::Predict;
use super::calibration::Calibration;
use super::scores::Judged;
use crate::data::encode::{Encoder, Matrix};
use crate::demand::Estimate;
use agon_core::rng::{Rng, Stream};

/// Shuffles behind the importance of a column.
const SHUFFLES: u32 = 5;

/// Rows that are shuffled at most: evenly apart in the part.
const ROWS: usize = 5000;

/// Some rows of a part, where it has many.
fn some(part: &Examples) -> Examples {
    let rows = || (0..part.y.len()).step_by(part.y.len().div_ceil(ROWS).max(1));
    let x = rows().flat_map(|row| part.x.row(row).iter().copied()).collect();
    let y = rows().map(|row| part.y[row]).collect();
    Examples { x: Matrix { x, width: part.x.width }, y, classes: part.classes, ..Examples::default() }
}

/// The importance of every column for predictions of some rows, the most important first; errors are those of shuffling.
pub fn importance(
    encoder: &Encoder,
    part: &Examples,
    model: &dyn Predict,
    calibration: Calibration,
) -> Vec<(String, Estimate)> {
    let part = &some(part);
    let decides = |scores: Vec<f64>| {
        Judged::new(part.classes, &part.y, calibration.probabilities(scores, part.classes)).decides()
    };
    let whole = decides(model.scores(&part.x));
    let mut at = 0;
    let mut all = Vec::new();
    for (column, input) in encoder.inputs.iter().enumerate() {
        let place = at..at + input.width();
        at = place.end;
        let worse = |shuffle: u32| {
            let mut x = part.x.clone();
            let mut order: Vec<usize> = (0..x.rows()).collect();
            Rng::at_step(1, Stream::Eval, shuffle, column as u64).shuffle(&mut order);
            for (row, other) in order.into_iter().enumerate() {
                let from = part.x.row(other)[place.clone()].iter();
                x.x[row * x.width..][place.clone()].iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
            decides(model.scores(&x)) - whole
        };
        let found: Vec<f64> = (1..=SHUFFLES).map(worse).collect();
        let n = f64::from(SHUFFLES);
        let value = found.iter().sum::<f64>() / n;
        let error = (found.iter().map(|x| (x - value).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt();
        all.push((input.name.clone(), Estimate { value, error }));
    }
    all.sort_by(|a, b| b.1.value.total_cmp(&a.1.value));
    all
}
