//! A normal distribution of several numbers, with a whole covariance matrix or a diagonal one.

use super::{so_many, tensor};
use crate::agent::{AgentError, Saved};
use crate::data::encode::Matrix;

/// ln 2π.
const LN_2PI: f64 = 1.837_877_066_409_345_5;

/// Mean and covariance.
#[derive(Clone, Debug, PartialEq)]
pub struct Gaussian {
    /// The mean.
    pub mean: Vec<f64>,
    /// Cholesky's lower factor of the covariance, `[width, width]`; or deviations, `[width]`, of a diagonal one.
    factor: Vec<f64>,
    /// ln of the density at the mean.
    top: f64,
}

impl Gaussian {
    /// With this covariance, `[width, width]`, or these variances, `[width]`. None where it is not positive definite.
    pub fn new(mean: Vec<f64>, covariance: &[f64]) -> Option<Self> {
        let d = mean.len();
        let mut factor = covariance.to_vec();
        let roots: Vec<f64> = if covariance.len() == d {
            factor.iter_mut().for_each(|v| *v = v.sqrt());
            factor.clone()
        } else {
            for j in 0..d {
                for i in j..d {
                    let sum: f64 = (0..j).map(|k| factor[i * d + k] * factor[j * d + k]).sum();
                    let left = factor[i * d + j] - sum;
                    factor[i * d + j] = if i == j { left.sqrt() } else { left / factor[j * d + j] };
                    if i != j {
                        factor[j * d + i] = 0.0;
                    }
                }
            }
            (0..d).map(|i| factor[i * d + i]).collect()
        };
        let top = -0.5 * d as f64 * LN_2PI - roots.iter().map(|root| root.ln()).sum::<f64>();
        (roots.iter().all(|root| *root > 0.0) && top.is_finite()).then_some(Self { mean, factor, top })
    }

    /// Columns whose variance, given those before them, is at most this.
    pub fn flat(&self, variance: f64) -> Vec<usize> {
        let d = self.width();
        let root = |i: &usize| self.factor[if self.factor.len() == d { *i } else { i * d + i }];
        (0..d).filter(|i| root(i).powi(2) <= variance).collect()
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.mean.len()
    }

    /// The squared Mahalanobis distance of a row. `scratch` is overwritten.
    pub fn distance(&self, row: &[f64], scratch: &mut Vec<f64>) -> f64 {
        let d = self.width();
        scratch.clear();
        scratch.extend(row.iter().zip(&self.mean).map(|(x, m)| x - m));
        if self.factor.len() == d {
            return scratch.iter().zip(&self.factor).map(|(x, s)| (x / s) * (x / s)).sum();
        }
        for i in 0..d {
            let line = &self.factor[i * d..=i * d + i];
            let sum: f64 = line.iter().zip(&scratch[..i]).map(|(l, z)| l * z).sum();
            scratch[i] = (scratch[i] - sum) / line[i];
        }
        scratch.iter().map(|z| z * z).sum()
    }

    /// ln of the density at a squared distance.
    pub fn ln_density(&self, distance: f64) -> f64 {
        self.top - 0.5 * distance
    }

    /// Adds its numbers to a save.
    pub fn save(&self, name: &str, into: &mut Saved) {
        into.tensors.push((format!("{name}.mean"), tensor(&self.mean)));
        into.tensors.push((format!("{name}.factor"), tensor(&self.factor)));
        into.tensors.push((format!("{name}.top"), tensor(&[self.top])));
    }

    /// What [`Self::save`] saved.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] where it is of another width.
    pub fn load(name: &str, width: usize, diagonal: bool, saved: &Saved) -> Result<Self, AgentError> {
        let count = if diagonal { width } else { width * width };
        let factor = so_many(saved, &format!("{name}.factor"), count)?;
        let top = so_many(saved, &format!("{name}.top"), 1)?[0];
        Ok(Self { mean: so_many(saved, &format!("{name}.mean"), width)?, factor, top })
    }
}

/// The covariance of rows around their mean, `[width, width]`, or its diagonal; with `added` to each variance.
pub fn covariance(x: &Matrix, mean: &[f64], diagonal: bool, added: f64) -> Vec<f64> {
    let (d, n) = (x.width, x.rows() as f64);
    let mut all = vec![0.0; if diagonal { d } else { d * d }];
    let mut off = vec![0.0; d];
    for row in x.x.chunks_exact(d) {
        off.iter_mut().zip(row).zip(mean).for_each(|((off, x), m)| *off = x - m);
        add_products(&mut all, &off, 1.0);
    }
    finish(&mut all, d, n, added);
    all
}

/// Adds the products of each two numbers, or their squares alone where `sums` has only place for them: the lower half.
pub fn add_products(sums: &mut [f64], off: &[f64], weight: f64) {
    let d = off.len();
    if sums.len() == d {
        return sums.iter_mut().zip(off).for_each(|(sum, x)| *sum += weight * x * x);
    }
    for (i, x) in off.iter().enumerate() {
        let x = weight * x;
        sums[i * d..=i * d + i].iter_mut().zip(off).for_each(|(sum, y)| *sum += x * y);
    }
}

/// From sums of products to a covariance: divided by `n`, the upper half as the lower one, `added` to the diagonal.
pub fn finish(sums: &mut [f64], d: usize, n: f64, added: f64) {
    sums.iter_mut().for_each(|sum| *sum /= n);
    if sums.len() == d {
        return sums.iter_mut().for_each(|sum| *sum += added);
    }
    for i in 0..d {
        sums[i * d + i] += added;
        for j in 0..i {
            sums[j * d + i] = sums[i * d + j];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covariance [[2, 1], [1, 2]]: its inverse is [[2, −1], [−1, 2]] / 3, its determinant 3.
    #[test]
    fn distances_and_densities_by_hand() {
        let own = Gaussian::new(vec![1.0, 0.0], &[2.0, 1.0, 1.0, 2.0]).unwrap();
        let d = own.distance(&[2.0, 3.0], &mut Vec::new());
        assert!((d - (2.0 - 6.0 + 18.0) / 3.0).abs() < 1e-12);
        assert!((own.ln_density(d) + 0.5 * (d + 3f64.ln()) + LN_2PI).abs() < 1e-12);
        let diagonal = Gaussian::new(vec![1.0, 0.0], &[4.0, 9.0]).unwrap();
        let d = diagonal.distance(&[3.0, 3.0], &mut Vec::new());
        assert!((d - 2.0).abs() < 1e-12 && (diagonal.ln_density(0.0) + 6f64.ln() + LN_2PI).abs() < 1e-12);
        assert!(Gaussian::new(vec![0.0; 2], &[1.0, 1.0, 1.0, 1.0]).is_none());
    }

    #[test]
    fn covariances_by_hand() {
        let x = Matrix { x: vec![1.0, 0.0, 3.0, 4.0], width: 2 };
        assert_eq!(covariance(&x, &[2.0, 2.0], false, 0.5), [1.5, 2.0, 2.0, 4.5]);
        assert_eq!(covariance(&x, &[2.0, 2.0], true, 0.0), [1.0, 4.0]);
    }
}
