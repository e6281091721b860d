//! Symmetric matrices of coefficients by coefficients: sums of products of rows, Cholesky factors, inverses.

use pulp::{Simd, WithSimd};
use tch::Tensor;

/// Registers of numbers that are summed side by side: a sum waits for the last one to its register.
const SUMS: usize = 4;

/// The sum of products, of as many numbers as the shorter list has.
#[inline(always)]
fn sum_of_products<S: Simd>(simd: S, a: &[f64], b: &[f64]) -> f64 {
    let length = a.len().min(b.len());
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f64s(&a[..length]), S::as_simd_f64s(&b[..length]));
    let ((a, a_last), (b, b_last)) = (a.as_chunks::<SUMS>(), b.as_chunks::<SUMS>());
    let mut sums = [simd.splat_f64s(0.0); SUMS];
    for (a, b) in a.iter().zip(b) {
        (0..SUMS).for_each(|i| sums[i] = simd.mul_add_f64s(a[i], b[i], sums[i]));
    }
    for (sum, (a, b)) in sums.iter_mut().zip(a_last.iter().zip(b_last)) {
        *sum = simd.mul_add_f64s(*a, *b, *sum);
    }
    let all = simd.add_f64s(simd.add_f64s(sums[0], sums[1]), simd.add_f64s(sums[2], sums[3]));
    simd.reduce_sum_f64s(all) + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

struct Dot<'a>(&'a [f64], &'a [f64]);

impl WithSimd for Dot<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        sum_of_products(simd, self.0, self.1)
    }
}

/// The sum of products.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    pulp::Arch::new().dispatch(Dot(a, b))
}

/// The next row of a Cholesky factor, but for its last entry: from the rows above, and the matrix's row in its place.
struct NextRow<'a> {
    above: &'a [Vec<f64>],
    row: &'a mut [f64],
}

impl WithSimd for NextRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (j, above) in self.above.iter().enumerate() {
            let (before, rest) = self.row.split_at_mut(j);
            rest[0] = (rest[0] - sum_of_products(simd, before, above)) / above[j];
        }
    }
}

/// A matrix times a vector.
pub(super) fn times(matrix: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| dot(row, vector)).collect()
}

fn tensor(rows: &[f64], width: usize) -> Tensor {
    Tensor::from_slice(rows).view([-1, width as i64])
}

fn lists(matrix: &Tensor) -> Vec<Vec<f64>> {
    Vec::try_from(matrix).unwrap_or_default()
}

/// Σ row rowᵀ of rows that lie one after the other.
pub(super) fn gram(rows: &[f64], width: usize) -> Vec<Vec<f64>> {
    let rows = tensor(rows, width);
    lists(&rows.tr().matmul(&rows))
}

/// Σ a bᵀ of rows a and b, `[width of a][width of b]`.
pub(super) fn cross(a: (&[f64], usize), b: (&[f64], usize)) -> Vec<Vec<f64>> {
    lists(&tensor(a.0, a.1).tr().matmul(&tensor(b.0, b.1)))
}

/// A M Aᵀ of a symmetric matrix M and of rows, which are as wide as M and lie one after the other.
pub(super) fn quadratic_form(rows: &[f64], middle: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let rows = tensor(rows, middle.len());
    lists(&rows.matmul(&tensor(&middle.concat(), middle.len())).matmul(&rows.tr()))
}

/// Adds a matrix, so many times.
pub(super) fn add(sum: &mut [Vec<f64>], factor: f64, matrix: &[Vec<f64>]) {
    sum.iter_mut().flatten().zip(matrix.iter().flatten()).for_each(|(s, x)| *s += factor * x);
}

/// A Cholesky factor of a symmetric positive definite matrix, scaled to a diagonal of ones.
pub struct Factor {
    scale: Vec<f64>,
    /// Rows of the lower triangle.
    lower: Vec<Vec<f64>>,
}

impl Factor {
    /// Of a matrix. Where it has no inverse, or none to be trusted, the first row that those before it make up.
    pub(super) fn of(matrix: &[Vec<f64>]) -> Result<Self, usize> {
        let n = matrix.len();
        let scale: Vec<f64> = (0..n).map(|i| matrix[i][i].sqrt().recip()).collect();
        if let Some(i) = scale.iter().position(|s| !s.is_finite()) {
            return Err(i);
        }
        let mut lower: Vec<Vec<f64>> = Vec::with_capacity(n);
        for i in 0..n {
            let mut row: Vec<f64> = (0..=i).map(|j| matrix[i][j] * scale[i] * scale[j]).collect();
            pulp::Arch::new().dispatch(NextRow { above: &lower, row: &mut row });
            // What is left of the row's one: with less, rounding would decide.
            let pivot = row[i] - dot(&row[..i], &row[..i]);
            if pivot.is_nan() || pivot < 1e-11 {
                return Err(i);
            }
            row[i] = pivot.sqrt();
            lower.push(row);
        }
        Ok(Self { scale, lower })
    }

    /// What the matrix, times it, is `right`.
    pub(super) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x: Vec<f64> = Vec::with_capacity(right.len());
        for (i, row) in self.lower.iter().enumerate() {
            x.push((right[i] * self.scale[i] - dot(&row[..i], &x)) / row[i]);
        }
        for (i, row) in self.lower.iter().enumerate().rev() {
            x[i] /= row[i];
            let (own, before) = (x[i], &mut x[..i]);
            before.iter_mut().zip(row).for_each(|(x, l)| *x -= own * l);
        }
        x.iter_mut().zip(&self.scale).for_each(|(x, s)| *x *= s);
        x
    }

    /// A column of the inverse.
    pub fn column(&self, i: usize) -> Vec<f64> {
        let mut unit = vec![0.0; self.scale.len()];
        unit[i] = 1.0;
        self.solve(&unit)
    }

    /// The inverse.
    pub(super) fn inverse(&self) -> Vec<Vec<f64>> {
        let n = self.scale.len();
        // L⁻¹ by rows, and the inverse as the sum of the products of those.
        let mut unfolded: Vec<Vec<f64>> = Vec::with_capacity(n);
        for (i, row) in self.lower.iter().enumerate() {
            let mut line = vec![0.0; i + 1];
            for (factor, above) in row.iter().zip(&unfolded) {
                line.iter_mut().zip(above).for_each(|(x, a)| *x -= factor * a);
            }
            line[i] = 1.0;
            line.iter_mut().for_each(|x| *x /= row[i]);
            unfolded.push(line);
        }
        let mut inverse = vec![vec![0.0; n]; n];
        for line in &unfolded {
            for (i, a) in line.iter().enumerate() {
                inverse[i].iter_mut().zip(&line[..=i]).for_each(|(x, b)| *x += a * b);
            }
        }
        // The lower triangle is the upper one, too.
        let cell = |i: usize, j: usize| inverse[i.max(j)][i.min(j)] * self.scale[i] * self.scale[j];
        (0..n).map(|i| (0..n).map(|j| cell(i, j)).collect()).collect()
    }
}

/// The inverse of a symmetric positive definite matrix. Where there is none, or none to be trusted, the first row that
/// those before it make up.
pub(super) fn inverse(matrix: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, usize> {
    Ok(Factor::of(matrix)?.inverse())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix times its inverse, and what solves it, in numbers of very different sizes.
    #[test]
    fn inverses_are_inverses() {
        let n = 37;
        let row = |t: usize| (0..n).map(move |i| ((1 + t * (i + 3)) as f64 * 0.7).sin() * 10f64.powi(i as i32 % 7 - 3));
        let rows: Vec<f64> = (0..90).flat_map(row).collect();
        let matrix = gram(&rows, n);
        let factor = Factor::of(&matrix).unwrap();
        let inverse = factor.inverse();
        let right: Vec<f64> = (0..n).map(|i| i as f64 - 5.0).collect();
        let solved = factor.solve(&right);
        for i in 0..n {
            let by_columns: f64 = (0..n).map(|j| inverse[i][j] * right[j]).sum();
            assert!((solved[i] / by_columns - 1.0).abs() < 1e-9, "{i}: {} {by_columns}", solved[i]);
            assert!(factor.column(i).iter().zip(&inverse[i]).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs()));
            for j in 0..n {
                let unit: f64 = (0..n).map(|c| matrix[i][c] * inverse[c][j]).sum();
                let size = (matrix[i][i] / matrix[j][j]).sqrt();
                assert!((unit - f64::from(u8::from(i == j))).abs() < 1e-9 * size, "{i} {j}: {unit}");
            }
        }
        let mut twin = matrix.clone();
        (twin[20], twin[20][20]) = (matrix[4].clone(), matrix[4][4]);
        (0..n).for_each(|i| twin[i][20] = if i == 20 { matrix[4][4] } else { matrix[i][4] });
        twin[20][20] = matrix[4][4];
        twin[20][4] = matrix[4][4];
        assert_eq!(Factor::of(&twin).err(), Some(20));
    }

    #[test]
    fn sums_of_products_are_by_hand() {
        assert_eq!(gram(&[1.0, 2.0, 3.0, 4.0], 2), [[10.0, 14.0], [14.0, 20.0]]);
        let middle = [vec![2.0, 1.0], vec![1.0, 3.0]];
        assert_eq!(quadratic_form(&[1.0, 0.0, 1.0, -1.0], &middle), [[2.0, 1.0], [1.0, 3.0]]);
        assert_eq!(cross((&[1.0, 2.0], 1), (&[1.0, 2.0, 3.0, 4.0], 2)), [[7.0, 10.0]]);
        let all: Vec<f64> = (0..71).map(f64::from).collect();
        assert_eq!(dot(&all, &all), 116_795.0);
        for length in 0..all.len() {
            let wanted: f64 = all[..length].iter().map(|x| x * x).sum();
            assert_eq!(dot(&all[..length], &all), wanted, "{length}");
        }
    }
}
