//! Deduplicates rows of a batch: what depends on the transition alone is computed once for each distinct transition.

/// Computes a function of rows once for each distinct key.
///
/// Keys are kept as a sparse set (Briggs and Torczon 1993, "An efficient representation for sparse sets"): nothing is
/// cleared or searched, whatever the bound.
#[derive(Debug)]
pub struct Distinct {
    /// The index of a key in `met`, if it was met; else anything.
    stands: Vec<u32>,
    met: Vec<u32>,
    /// The rows of the keys met, and their results.
    rows: Vec<f32>,
    results: Vec<f32>,
}

impl Distinct {
    /// For keys below `bound`.
    pub fn new(bound: usize) -> Self {
        Self { stands: vec![0; bound], met: Vec::new(), rows: Vec::new(), results: Vec::new() }
    }

    /// The index of a key among those met, and whether it is new.
    fn meet(&mut self, number: usize) -> (usize, bool) {
        let stands = self.stands[number] as usize;
        if self.met.get(stands) == Some(&(number as u32)) {
            return (stands, false);
        }
        self.stands[number] = self.met.len() as u32;
        self.met.push(number as u32);
        (self.met.len() - 1, true)
    }

    /// `rows`: `[n, any]`, equal where `numbers` `[n]` are; `out`: `[n, any]`. `work` turns rows into results of one batch.
    pub fn each(&mut self, numbers: &[usize], rows: &[f32], out: &mut [f32], work: impl FnOnce(&[f32], &mut [f32])) {
        let (width, results) = (rows.len() / numbers.len(), out.len() / numbers.len());
        self.met.clear();
        self.rows.clear();
        for (number, row) in numbers.iter().zip(rows.chunks_exact(width)) {
            if self.meet(*number).1 {
                self.rows.extend_from_slice(row);
            }
        }
        self.results.resize(self.met.len() * results, 0.0);
        work(&self.rows, &mut self.results);
        for (number, out) in numbers.iter().zip(out.chunks_exact_mut(results)) {
            let stands = self.stands[*number] as usize;
            out.copy_from_slice(&self.results[stands * results..(stands + 1) * results]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_worked_on_once() {
        let mut distinct = Distinct::new(10);
        for numbers in [vec![7, 0, 7, 9, 0, 7, 3], vec![3, 3], vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9]] {
            let rows: Vec<f32> = numbers.iter().flat_map(|n| [*n as f32, 1.0]).collect();
            let (mut out, mut seen) = (vec![0.0; 3 * numbers.len()], 0);
            distinct.each(&numbers, &rows, &mut out, |rows, results| {
                seen = rows.len() / 2;
                for (row, result) in rows.chunks(2).zip(results.chunks_mut(3)) {
                    result.copy_from_slice(&[row[0], row[1], 2.0 * row[0]]);
                }
            });
            let different: std::collections::BTreeSet<_> = numbers.iter().collect();
            assert_eq!(seen, different.len());
            for (number, out) in numbers.iter().zip(out.chunks(3)) {
                let x = *number as f32;
                assert_eq!(out, [x, 1.0, 2.0 * x]);
            }
        }
    }
}
