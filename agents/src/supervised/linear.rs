//! Linear regression and logistic regression, solved whole in f64: one step.
//!
//! Ridge (Hoerl and Kennard 1970): minimise ‖y − Xw − b‖² + l2 ‖w‖². Logistic: minimise Σ −ln p + ½ l2 ‖w‖² (with l2 =
//! 1 / C in scikit-learn's words). Intercepts are never penalised.

use super::class_weights::ClassWeights;
use super::solvers::{minimise, solve};
use super::{Examples, Learner, Predict, Shape, log_sum_exp, saved_numbers};
use crate::agent::{AgentError, Saved, Stop, go_on};
use crate::data::encode::{Matrix, Scaling};
use serde_json::json;

agon_core::settings! {
    /// Linear or ridge regression.
    pub struct LinearConfig {
        /// The penalty on squared weights; 0 for ordinary least squares.
        l2: f64 = 1.0, in [0.0, 1e12];
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

agon_core::settings! {
    /// Logistic regression, of two classes or several.
    pub struct LogisticConfig {
        /// The penalty on squared weights, 1 / C.
        l2: f64 = 1.0, in [1e-9, 1e12];
        /// How much a row counts by its class.
        class_weights: ClassWeights = ClassWeights::None;
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

/// Weights and intercepts.
pub struct Linear {
    l2: f64,
    shape: Shape,
    /// For each fitted output the weights, then the intercept. Of two classes only the second is fitted.
    weights: Vec<f64>,
    step: u64,
}

/// Inputs at most: their normal equations, or the steps that L-BFGS remembers, must fit into memory.
const MOST_INPUTS: usize = 8000;

impl Linear {
    /// Fits nothing yet.
    ///
    /// # Errors
    /// [`AgentError::Data`] where the inputs are too many to be solved.
    pub fn new(l2: f64, shape: Shape) -> Result<Self, AgentError> {
        if shape.classes == 0 && shape.inputs > MOST_INPUTS {
            let gb = (shape.inputs as f64).powi(2) * 8.0 / 1e9;
            return Err(AgentError::Data(format!(
                "{} numbers a row are more than {MOST_INPUTS}: solving for their weights needs {gb:.1} GB and hours; use \
                 model.kind = \"boosting\", or leave columns out with data.drop",
                shape.inputs
            )));
        }
        let fitted = if shape.classes == 2 { 1 } else { shape.outputs() };
        Ok(Self { l2, shape, weights: vec![0.0; fitted * (shape.inputs + 1)], step: 0 })
    }

    /// The closed form: centred normal equations.
    fn solve_squares(&mut self, train: &Examples, stop: Stop<'_>) -> Result<(), AgentError> {
        let (d, rows) = (train.x.width, train.x.rows());
        let mut means = vec![0.0; d];
        for row in 0..rows {
            means.iter_mut().zip(train.x.row(row)).for_each(|(m, x)| *m += x / rows as f64);
        }
        let mean = train.y.iter().sum::<f64>() / rows as f64;
        let (mut gram, mut right, mut centred) = (vec![0.0; d * d], vec![0.0; d], vec![0.0; d]);
        for row in 0..rows {
            if row % 1024 == 0 {
                go_on(stop)?;
            }
            centred.iter_mut().zip(train.x.row(row).iter().zip(&means)).for_each(|(c, (x, m))| *c = x - m);
            let off = train.y[row] - mean;
            for (i, a) in centred.iter().enumerate().filter(|(_, a)| **a != 0.0) {
                right[i] += a * off;
                gram[i * d..=i * d + i].iter_mut().zip(&centred).for_each(|(g, b)| *g += a * b);
            }
        }
        for i in 0..d {
            gram[i * d + i] += self.l2;
            (0..i).for_each(|j| gram[j * d + i] = gram[i * d + j]);
        }
        go_on(stop)?;
        let weights = solve(&mut gram, &right);
        let intercept = mean - weights.iter().zip(&means).map(|(w, m)| w * m).sum::<f64>();
        self.weights = weights.into_iter().chain([intercept]).collect();
        Ok(())
    }

    /// The likelihood's maximum by L-BFGS.
    fn solve_classes(&mut self, train: &Examples, stop: Stop<'_>) -> Result<(), AgentError> {
        let start = vec![0.0; self.weights.len()];
        let tolerance = 1e-9 * train.y.len() as f64;
        let found = minimise(start, tolerance, stop, |weights, gradient| self.objective(weights, train, gradient))?;
        self.weights = found.x;
        Ok(())
    }

    /// Σ −ln p + ½ l2 ‖w‖², or ½ (‖y − Xw − b‖² + l2 ‖w‖²), and its gradient.
    fn objective(&self, weights: &[f64], train: &Examples, gradient: &mut [f64]) -> f64 {
        let (d, k) = (self.shape.inputs, self.shape.outputs());
        let (mut sum, mut scores) = (0.0, vec![0.0; k]);
        gradient.fill(0.0);
        for (row, y) in train.y.iter().enumerate() {
            let x = train.x.row(row);
            self.score(weights, x, &mut scores);
            if self.shape.classes == 0 {
                scores[0] -= y;
                sum += 0.5 * scores[0] * scores[0];
            } else {
                let all = log_sum_exp(&scores);
                let weight = train.weight(row);
                sum += weight * (all - scores[*y as usize]);
                scores.iter_mut().for_each(|s| *s = (*s - all).exp());
                scores[*y as usize] -= 1.0;
                scores.iter_mut().for_each(|s| *s *= weight);
            }
            let first = k - weights.len() / (d + 1);
            for (g, error) in gradient.chunks_exact_mut(d + 1).zip(&scores[first..]) {
                g.iter_mut().zip(x).for_each(|(g, x)| *g += error * x);
                g[d] += error;
            }
        }
        for (g, w) in gradient.chunks_exact_mut(d + 1).zip(weights.chunks_exact(d + 1)) {
            for (g, w) in g.iter_mut().zip(w).take(d) {
                *g += self.l2 * w;
                sum += 0.5 * self.l2 * w * w;
            }
        }
        sum
    }

    /// Scores of a row; of two classes the first has 0.
    fn score(&self, weights: &[f64], x: &[f64], out: &mut [f64]) {
        let d = self.shape.inputs;
        let fitted = weights.len() / (d + 1);
        let first = out.len() - fitted;
        out[..first].fill(0.0);
        for (out, w) in out[first..].iter_mut().zip(weights.chunks_exact(d + 1)) {
            *out = w[d] + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        }
    }
}

impl Predict for Linear {
    fn scores(&self, x: &Matrix) -> Vec<f64> {
        let mut out = vec![0.0; x.rows() * self.shape.outputs()];
        for (row, out) in out.chunks_exact_mut(self.shape.outputs()).enumerate() {
            self.score(&self.weights, x.row(row), out);
        }
        out
    }
}

impl Learner for Linear {
    fn step(&self) -> u64 {
        self.step
    }

    fn finished(&self) -> bool {
        self.step > 0
    }

    fn advance(&mut self, train: &Examples, _: &Examples, stop: Stop<'_>) -> Result<Option<f64>, AgentError> {
        let solved =
            if self.shape.classes == 0 { self.solve_squares(train, stop) } else { self.solve_classes(train, stop) };
        match solved {
            Err(AgentError::Stopped) => return Ok(None),
            other => other?,
        }
        self.step = 1;
        Ok(Some(train.loss(&self.scores(&train.x))))
    }

    fn weights(&self) -> Option<Vec<Vec<f64>>> {
        Some(self.weights.chunks_exact(self.shape.inputs + 1).map(<[f64]>::to_vec).collect())
    }

    fn save(&self) -> Saved {
        Saved { tensors: Vec::new(), state: json!({"step": self.step, "weights": self.weights}) }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let step: u64 = saved.part("step")?;
        self.weights = saved_numbers(&saved.state, "weights", self.weights.len())?;
        self.step = step;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NEVER;
    use agon_core::rng::{Rng, Stream};

    fn examples(classes: usize, rows: usize) -> Examples {
        let mut rng = Rng::new(3, Stream::Env, 0);
        let width = 4;
        let x: Vec<f64> = (0..rows * width).map(|_| rng.normal()).collect();
        let y = x.chunks_exact(width).map(|x| {
            let z = 0.5 + x[0] - 2.0 * x[1] + 0.3 * x[2];
            match classes {
                0 => z + 0.1 * rng.normal(),
                2 => f64::from(u8::from(z + rng.normal() > 0.0)),
                _ => (z + rng.normal()).round().clamp(-1.0, 1.0) + 1.0,
            }
        });
        let y = y.collect();
        Examples { x: Matrix { x, width }, y, classes, ..Examples::default() }
    }

    fn fitted(train: &Examples, l2: f64) -> Linear {
        let shape =
            Shape { inputs: train.x.width, classes: train.classes, steps: 1, seed: 1, device: tch::Device::Cpu };
        let mut own = Linear::new(l2, shape).unwrap();
        own.advance(train, train, NEVER).unwrap();
        own
    }

    /// The gradient vanishes where the closed form, or L-BFGS, ended, and descending the gradient finds the same.
    #[test]
    fn closed_form_and_gradient_agree() {
        for classes in [0, 2, 3] {
            let train = examples(classes, 200);
            let own = fitted(&train, 0.7);
            let mut gradient = vec![0.0; own.weights.len()];
            own.objective(&own.weights, &train, &mut gradient);
            assert!(gradient.iter().all(|g| g.abs() < 1e-6), "{classes}: {gradient:?}");
            let start = vec![0.1; own.weights.len()];
            let again = minimise(start, 1e-10, NEVER, |w, g| own.objective(w, &train, g)).unwrap();
            if classes < 3 {
                assert!(again.x.iter().zip(&own.weights).all(|(a, b)| (a - b).abs() < 1e-7), "{classes}");
            }
        }
        let squares = fitted(&examples(0, 2000), 0.0);
        assert!(
            squares.weights.iter().zip([1.0, -2.0, 0.3, 0.0, 0.5]).all(|(w, true_one)| (w - true_one).abs() < 0.02)
        );
    }

    #[test]
    fn the_gradient_is_that_of_differences() {
        for classes in [0, 2, 3] {
            let train = examples(classes, 20);
            let own = fitted(&train, 0.7);
            let at: Vec<f64> = (0..own.weights.len()).map(|i| 0.1 * i as f64 - 0.3).collect();
            let (mut gradient, mut unused) = (vec![0.0; at.len()], vec![0.0; at.len()]);
            own.objective(&at, &train, &mut gradient);
            for i in 0..at.len() {
                let mut ends = [1e-5, -1e-5].map(|h| {
                    let mut moved = at.clone();
                    moved[i] += h;
                    own.objective(&moved, &train, &mut unused)
                });
                ends[0] -= ends[1];
                assert!((ends[0] / 2e-5 - gradient[i]).abs() < 1e-5, "{classes}, {i}");
            }
        }
    }
}
