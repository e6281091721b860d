//! Small dense matrices.

/// A matrix by rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Numbers of a row.
    pub columns: usize,
    /// Row after row.
    pub cells: Vec<f64>,
}

impl Matrix {
    /// From its cells by row and column.
    pub fn new(rows: usize, columns: usize, cell: impl Fn(usize, usize) -> f64) -> Self {
        let cells = (0..rows * columns).map(|k| cell(k / columns, k % columns)).collect();
        Self { columns, cells }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.cells.len() / self.columns
    }

    /// Row i.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.cells[i * self.columns..(i + 1) * self.columns]
    }

    /// The number in row i and column j.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.cells[i * self.columns + j]
    }

    /// Rows as columns.
    pub fn transposed(&self) -> Self {
        Self::new(self.columns, self.rows(), |i, j| self.at(j, i))
    }

    /// `self` · `other`
    pub fn times(&self, other: &Self) -> Self {
        Self::new(self.rows(), other.columns, |i, j| (0..self.columns).map(|k| self.at(i, k) * other.at(k, j)).sum())
    }

    /// `self` + `scale` · `other`
    pub fn plus(&self, scale: f64, other: &Self) -> Self {
        Self::new(self.rows(), self.columns, |i, j| self.at(i, j) + scale * other.at(i, j))
    }

    /// `value` times the identity of n rows.
    pub fn diagonal(n: usize, value: f64) -> Self {
        Self::new(n, n, |i, j| if i == j { value } else { 0.0 })
    }

    /// X of `self` X = `right`, for a symmetric positive definite matrix: Gauss's elimination needs no pivots there.
    pub fn solve(&self, right: &Self) -> Self {
        let (n, mut left, mut x) = (self.rows(), self.clone(), right.clone());
        for k in 0..n {
            for i in (0..n).filter(|i| *i != k) {
                let factor = left.at(i, k) / left.at(k, k);
                (0..n).for_each(|j| left.cells[i * n + j] -= factor * left.cells[k * n + j]);
                (0..x.columns).for_each(|j| x.cells[i * x.columns + j] -= factor * x.cells[k * x.columns + j]);
            }
        }
        Self::new(n, x.columns, |i, j| x.at(i, j) / left.at(i, i))
    }

    /// The largest size of an eigenvalue: |Aᵏ|^(1/k) at k = 1024 (Gelfand's formula), by squaring.
    pub fn spectral_radius(&self) -> f64 {
        let (mut power, mut log) = (self.clone(), 0.0);
        for _ in 0..10 {
            let norm = size(&power.cells);
            if norm == 0.0 {
                return 0.0;
            }
            let unit = Self { cells: power.cells.iter().map(|x| x / norm).collect(), ..power };
            (power, log) = (unit.times(&unit), 2.0 * (log + norm.ln()));
        }
        ((log + size(&power.cells).ln()) / 1024.0).exp()
    }
}

fn size(numbers: &[f64]) -> f64 {
    numbers.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Σ |x|
pub fn sum_of_sizes(numbers: &[f64]) -> f64 {
    numbers.iter().map(|x| x.abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_are_measured() {
        let turn = Matrix { columns: 2, cells: vec![0.0, -2.0, 2.0, 0.0] };
        assert!((turn.spectral_radius() - 2.0).abs() < 1e-2);
        assert_eq!(Matrix { columns: 2, cells: vec![0.0, 1.0, 0.0, 0.0] }.spectral_radius(), 0.0);
    }

    #[test]
    fn what_is_solved_multiplies_back() {
        let left = Matrix { columns: 3, cells: vec![4.0, 1.0, 0.5, 1.0, 3.0, -1.0, 0.5, -1.0, 2.0] };
        let right = Matrix { columns: 2, cells: vec![1.0, 2.0, 3.0, -4.0, 0.0, 5.0] };
        let back = left.times(&left.solve(&right)).plus(-1.0, &right);
        assert!(sum_of_sizes(&back.cells) < 1e-12, "{back:?}");
    }
}
