//! Principal components: exact ones by the covariance matrix, or, of wide tables, by a randomised range finder (Halko,
//! Martinsson and Tropp 2011, algorithm 4.4).

use super::{Found, Learner, Shape, means, numbers, so_many, squared, tensor};
use crate::agent::{AgentError, NEVER, Saved, Stop};
use crate::data::encode::{Matrix, Scaling};
use agon_core::rng::{Rng, Stream};
use agon_core::world::Layer;
use serde_json::{Value, json};
use tch::{Kind, Tensor};

agon_core::choices! {
    /// How components are found.
    pub enum Solver { Auto = "auto", Exact = "exact", Randomised = "randomised" }
}

agon_core::settings! {
    /// Principal component analysis.
    pub struct Config {
        /// Components; if left out, as many as explain `variance`.
        components: Option<usize> = None, in [1.0, 10_000.0];
        /// The share of the variance to be explained, where `components` is left out.
        variance: f64 = 0.9, in [0.01, 1.0];
        /// Exact, or approximate with fewer operations; `auto` is exact up to 1000 numbers a row.
        solver: Solver = Solver::Auto;
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

/// Numbers of a row up to which `auto` is exact.
const EXACT: usize = 1000;
/// Components that the randomised solver finds where their number is left out.
const SOUGHT: usize = 100;
/// Directions that it looks into beyond those that are wanted, and how often it multiplies by the table.
const MORE: usize = 10;
const POWERS: usize = 6;

/// Directions, in the order of the variance along them.
pub struct Pca {
    config: Config,
    shape: Shape,
    mean: Vec<f64>,
    /// `[components, width]`.
    axes: Vec<f64>,
    /// Along each axis.
    variances: Vec<f64>,
    /// Of all columns together.
    total: f64,
    step: u64,
}

fn of_torch(error: tch::TchError) -> AgentError {
    AgentError::Data(format!("components cannot be found: {error}"))
}

impl Pca {
    /// Nothing yet.
    pub fn new(config: Config, shape: Shape) -> Self {
        Self {
            config,
            shape,
            mean: vec![0.0; shape.inputs],
            axes: Vec::new(),
            variances: Vec::new(),
            total: 0.0,
            step: 0,
        }
    }

    /// Axes and variances, the largest first. `x`: `[rows, width]` around its mean.
    fn solved(&self, x: &Tensor) -> Result<(Tensor, Tensor), tch::TchError> {
        let [n, d] = [x.size()[0], x.size()[1]];
        let divided = (n - 1).max(1) as f64;
        let exact = match self.config.solver {
            Solver::Auto => d as usize <= EXACT,
            Solver::Exact => true,
            Solver::Randomised => false,
        };
        if exact {
            let covariance = x.tr().f_matmul(x)? / divided;
            let (values, vectors) = covariance.f_linalg_eigh("L")?;
            return Ok((vectors.tr().f_flip([0])?, values.f_flip([0])?));
        }
        let wanted = self.config.components.unwrap_or(SOUGHT) + MORE;
        let wanted = (wanted as i64).min(n).min(d);
        let mut rng = Rng::new(self.shape.seed, Stream::Weights, 0);
        let start: Vec<f64> = (0..d * wanted).map(|_| rng.normal()).collect();
        let basis = |t: &Tensor| Ok::<_, tch::TchError>(Tensor::f_linalg_qr(t, "reduced")?.0);
        let mut q = basis(&x.f_matmul(&Tensor::from_slice(&start).view([d, wanted]))?)?;
        for _ in 0..POWERS {
            let z = basis(&x.tr().f_matmul(&q)?)?;
            q = basis(&x.f_matmul(&z)?)?;
        }
        let small = q.tr().f_matmul(x)?;
        let (squares, turns) = small.f_matmul(&small.tr())?.f_linalg_eigh("L")?;
        let squares = squares.f_flip([0])?.f_clamp_min(f64::MIN_POSITIVE)?;
        let axes = turns.tr().f_flip([0])?.f_matmul(&small)? / squares.f_sqrt()?.f_unsqueeze(1)?;
        let kept = wanted - (MORE as i64).min(wanted - 1);
        Ok((axes.narrow(0, 0, kept), (squares / divided).narrow(0, 0, kept)))
    }

    fn components(&self) -> usize {
        self.variances.len()
    }
}

/// The first two components of rows, as those of a table are; 0 where there is no second one.
///
/// # Errors
/// [`AgentError::Data`] where they cannot be found.
pub fn first_two(table: &Matrix, rows: &Matrix) -> Result<Vec<[f64; 2]>, AgentError> {
    let config = Config { components: Some(2), ..Config::default() };
    let mut own = Pca::new(config, Shape { inputs: table.width, steps: 1, seed: 0, device: tch::Device::Cpu });
    own.advance(table, table, NEVER)?;
    let found = own.read(rows).components;
    let two = |row: &[f64]| [row[0], row.get(1).copied().unwrap_or(0.0)];
    Ok(found.x.chunks_exact(found.width).map(two).collect())
}

impl Learner for Pca {
    fn step(&self) -> u64 {
        self.step
    }

    fn steps(&self) -> Option<u64> {
        Some(1)
    }

    fn finished(&self) -> bool {
        self.step > 0
    }

    fn advance(&mut self, train: &Matrix, _: &Matrix, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        if stop() {
            return Ok(None);
        }
        let d = train.width;
        self.mean = means(train);
        let off: Vec<f64> = train.x.iter().zip(self.mean.iter().cycle()).map(|(x, m)| x - m).collect();
        self.total = off.iter().map(|x| x * x).sum::<f64>() / (train.rows() as f64 - 1.0).max(1.0);
        let x = Tensor::from_slice(&off).view([train.rows() as i64, d as i64]);
        let (axes, variances) = self.solved(&x).map_err(of_torch)?;
        let list =
            |t: &Tensor| Vec::<f64>::try_from(&t.to_kind(Kind::Double).contiguous().view([-1])).map_err(of_torch);
        let (mut axes, variances) = (list(&axes)?, list(&variances)?);
        // A direction and its opposite are the same axis: the largest number is positive.
        for axis in axes.chunks_exact_mut(d) {
            let most = axis.iter().fold(0f64, |most, x| if x.abs() > most.abs() { *x } else { most });
            if most < 0.0 {
                axis.iter_mut().for_each(|x| *x = -*x);
            }
        }
        let (mut sum, mut enough) = (0.0, 0);
        for v in &variances {
            if sum >= self.config.variance * self.total * (1.0 - 1e-12) {
                break;
            }
            (sum, enough) = (sum + v, enough + 1);
        }
        let keep = self.config.components.unwrap_or(enough).clamp(1, variances.len());
        axes.truncate(keep * d);
        (self.axes, self.variances) = (axes, variances[..keep].iter().map(|v| v.max(0.0)).collect());
        self.step = 1;
        Ok(Some(self.read(train).loss.iter().sum::<f64>() / train.rows() as f64))
    }

    fn layers(&self) -> Option<Vec<Layer>> {
        let (d, k) = (self.mean.len(), self.components());
        let weight = (0..d * k).map(|at| self.axes[at % k * d + at / k] as f32).collect();
        let middle = |axis: &[f64]| -axis.iter().zip(&self.mean).map(|(a, m)| a * m).sum::<f64>() as f32;
        Some(vec![Layer { weight, bias: self.axes.chunks_exact(d).map(middle).collect() }])
    }

    fn read(&self, x: &Matrix) -> Found {
        let (d, k) = (x.width, self.components());
        let mut components = Matrix { x: Vec::with_capacity(x.rows() * k), width: k };
        let mut loss = Vec::with_capacity(x.rows());
        for row in x.x.chunks_exact(d) {
            let off: Vec<f64> = row.iter().zip(&self.mean).map(|(x, m)| x - m).collect();
            let mut back = vec![0.0; d];
            for axis in self.axes.chunks_exact(d) {
                let along: f64 = axis.iter().zip(&off).map(|(a, x)| a * x).sum();
                back.iter_mut().zip(axis).for_each(|(back, a)| *back += along * a);
                components.x.push(along);
            }
            loss.push(squared(&off, &back));
        }
        Found { components, anomaly: loss.iter().map(|d| d.sqrt()).collect(), loss, ..Found::default() }
    }

    fn details(&self) -> Value {
        let share = |v: &f64| if self.total > 0.0 { v / self.total } else { 0.0 };
        json!({
            "explained": self.variances.iter().map(share).collect::<Vec<_>>(),
            "variances": self.variances,
            "axes": self.axes.chunks_exact(self.shape.inputs.max(1)).take(20).collect::<Vec<_>>(),
        })
    }

    fn save(&self) -> Saved {
        let tensors = vec![("mean", &self.mean), ("axes", &self.axes), ("variances", &self.variances)];
        let tensors = tensors.into_iter().map(|(name, x)| (name.to_owned(), tensor(x))).collect();
        Saved { tensors, state: json!({"step": self.step, "total": self.total}) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (step, total): (u64, f64) = (saved.part("step")?, saved.part("total")?);
        let variances = numbers(saved, "variances")?;
        self.axes = so_many(saved, "axes", variances.len() * self.shape.inputs)?;
        self.mean = so_many(saved, "mean", self.shape.inputs)?;
        (self.variances, self.step, self.total) = (variances, step, total);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: usize, width: usize) -> Matrix {
        let mut rng = Rng::new(1, Stream::Env, 0);
        let mix: Vec<f64> = (0..5 * width).map(|_| rng.normal()).collect();
        let row = |_| {
            let z: Vec<f64> = (0..5).map(|k| rng.normal() * 3.0 / (k + 1) as f64).collect();
            (0..width).map(|j| (0..5).map(|k| z[k] * mix[k * width + j]).sum::<f64>() + 0.1 * rng.normal()).collect()
        };
        Matrix { x: (0..rows).flat_map::<Vec<f64>, _>(row).collect(), width }
    }

    fn fitted(solver: Solver, components: Option<usize>, x: &Matrix) -> Pca {
        let config = Config { solver, components, ..Config::default() };
        let mut own = Pca::new(config, Shape { inputs: x.width, steps: 1, seed: 1, device: tch::Device::Cpu });
        own.advance(x, x, NEVER).unwrap();
        own
    }

    #[test]
    fn both_solvers_find_the_same() {
        let x = table(300, 40);
        let [exact, other] = [Solver::Exact, Solver::Randomised].map(|solver| fitted(solver, Some(5), &x));
        assert!(exact.variances.iter().zip(&other.variances).all(|(a, b)| (a / b - 1.0).abs() < 1e-9));
        assert!(exact.axes.iter().zip(&other.axes).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    /// Components of the training rows have the variances that are told, and what they leave out is the rest.
    #[test]
    fn variances_add_up() {
        let x = table(200, 8);
        for components in [Some(3), Some(8), None] {
            let own = fitted(Solver::Auto, components, &x);
            let (found, n) = (own.read(&x), 199.0);
            for (k, variance) in own.variances.iter().enumerate() {
                let along = found.components.x.iter().skip(k).step_by(own.components());
                assert!((along.map(|x| x * x).sum::<f64>() / n / variance - 1.0).abs() < 1e-9);
            }
            let rest = found.loss.iter().sum::<f64>() / n;
            assert!((own.variances.iter().sum::<f64>() + rest - own.total).abs() < 1e-9 * own.total);
            if components.is_none() {
                assert!(rest <= 0.1 * own.total && rest + own.variances.last().unwrap() > 0.1 * own.total);
            }
        }
    }
}
