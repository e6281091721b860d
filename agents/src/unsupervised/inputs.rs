//! What models without a target read of a table: its columns as numbers, without those that are the same in the whole
//! training part.

use crate::data::Column;
use crate::data::encode::{Encoder, Input, Matrix, Scaling, Slot};
use serde::{Deserialize, Serialize};

/// How columns become numbers, and which of these vary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Columns to numbers.
    pub encoder: Encoder,
    /// The numbers that are used.
    varying: Vec<usize>,
}

impl Inputs {
    /// What these rows say of these columns.
    pub fn fit(columns: &[&Column], rows: &[usize], scaling: Scaling) -> Self {
        let encoder = Encoder::fit(columns, rows, scaling, false);
        let all = encoder.encode(columns, rows).0;
        let varies = |k: &usize| all.x.iter().skip(*k).step_by(all.width).any(|x| *x != all.x[*k]);
        let varying = (0..all.width).filter(varies).collect();
        Self { encoder, varying }
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.varying.len()
    }

    /// What the numbers of a row are called.
    pub fn names(&self) -> Vec<String> {
        let all = self.encoder.names();
        self.varying.iter().filter_map(|k| all.get(*k).cloned()).collect()
    }

    /// The columns of the numbers of a row, where each is the number of a column.
    pub fn numbers(&self) -> Option<Vec<Input>> {
        let plain = self.encoder.slots().iter().all(|slot| *slot == Slot::Number);
        plain.then(|| self.varying.iter().map(|k| self.encoder.inputs[*k].clone()).collect())
    }

    /// Whether it can be used: a save may be damaged.
    pub fn is_sound(&self) -> bool {
        let width = self.encoder.width();
        self.varying.iter().all(|k| *k < width)
    }

    /// Rows of these columns as numbers; and for each column how many rows have a label that was unseen in training.
    pub fn encode(&self, columns: &[&Column], rows: &[usize]) -> (Matrix, Vec<usize>) {
        let (all, unseen) = self.encoder.encode(columns, rows);
        let x = all.x.chunks_exact(all.width.max(1)).flat_map(|row| self.varying.iter().map(|k| row[*k]));
        (Matrix { x: x.collect(), width: self.varying.len() }, unseen)
    }
}
