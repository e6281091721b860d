//! How far rows are from the middle of a table, by Mahalanobis' distance. The middle and the covariance are those of the
//! rows that are nearest by it (the concentration steps of Rousseeuw and Van Driessen 1999), so that unusual rows do not
//! hide themselves.

use super::gaussian::{Gaussian, covariance};
use super::{Found, Learner, Shape};
use crate::agent::{AgentError, Saved, Stop, go_on};
use crate::data::encode::{Matrix, Scaling, quantile};
use agon_core::settings::Issue;
use serde_json::{Value, json};

agon_core::settings! {
    /// Mahalanobis' distance.
    pub struct Config {
        /// The share of the training rows, those farthest away, that mean and covariance are estimated without.
        trimmed: f64 = 0.1, in [0.0, 0.5];
        /// What is added to variances, so that the covariance can be inverted.
        added_variance: f64 = 1e-6, in [0.0, 1e6];
        /// How numbers are brought to a common size.
        scaling: Scaling = Scaling::Standard;
    }
}

/// Concentration steps at most.
const MOST: usize = 100;

/// Mean and covariance.
pub struct Mahalanobis {
    config: Config,
    own: Gaussian,
    /// Rows that they were estimated from.
    rows: usize,
    step: u64,
}

fn singular() -> AgentError {
    AgentError::Data("the covariance cannot be inverted: raise added_variance".into())
}

/// Mean and covariance of some rows. What does not vary among them, such as a number that says that a value is missing, has
/// the variance that it has in all rows: else every row where it differs would be infinitely unusual.
fn of_rows(x: &Matrix, rows: &[usize], added: f64, all: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let some = super::agreement::rows_of(x, rows);
    let mean = super::means(&some);
    let mut found = covariance(&some, &mean, false, added);
    for (j, variance) in all.iter().enumerate() {
        let own = &mut found[j * (x.width + 1)];
        if *own - added <= 1e-9 * variance {
            *own = variance + added;
        }
    }
    (mean, found)
}

impl Mahalanobis {
    /// The unit covariance.
    ///
    /// # Errors
    /// [`AgentError::Settings`] where rows have too many numbers.
    pub fn new(config: Config, shape: Shape) -> Result<Self, AgentError> {
        let d = shape.inputs;
        if d > 2000 {
            let what =
                format!("mahalanobis is for 2000 numbers a row at most, and there are {d}: use isolation-forest");
            return Err(Issue::value("kind", what).into());
        }
        let unit: Vec<f64> = (0..d * d).map(|i| f64::from(u8::from(i % (d + 1) == 0))).collect();
        let own = Gaussian::new(vec![0.0; d], &unit).ok_or_else(singular)?;
        Ok(Self { config, own, rows: 0, step: 0 })
    }

    /// The estimate of the nearest rows, from medians and quartiles on.
    fn concentrated(&self, x: &Matrix, stop: Stop<'_>) -> Result<(Gaussian, usize), AgentError> {
        let n = x.rows();
        let keep = ((1.0 - self.config.trimmed) * n as f64).ceil() as usize;
        let added = self.config.added_variance;
        let all = covariance(x, &super::means(x), true, 0.0);
        let gaussian = |(mean, covariance): (Vec<f64>, Vec<f64>)| Gaussian::new(mean, &covariance).ok_or_else(singular);
        if keep >= n {
            return Ok((gaussian(of_rows(x, &(0..n).collect::<Vec<_>>(), added, &all))?, n));
        }
        let (mut middle, mut spread) = (Vec::new(), Vec::new());
        for (j, overall) in all.iter().enumerate() {
            let mut column: Vec<f64> = x.x.iter().skip(j).step_by(x.width).copied().collect();
            column.sort_by(f64::total_cmp);
            let [low, median, high] = [0.25, 0.5, 0.75].map(|share| quantile(&column, share));
            middle.push(median);
            // Of a normal distribution the quartiles are 1.349 deviations apart.
            let wide = (high - low) / 1.349;
            spread.push(if wide > 0.0 { wide * wide } else { *overall } + added);
        }
        let mut own = Gaussian::new(middle, &spread).ok_or_else(singular)?;
        let mut chosen: Vec<usize> = Vec::new();
        for _ in 0..MOST {
            go_on(stop)?;
            let mut scratch = Vec::new();
            let far: Vec<f64> = (0..n).map(|row| own.distance(x.row(row), &mut scratch)).collect();
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|a, b| far[*a].total_cmp(&far[*b]).then(a.cmp(b)));
            order.truncate(keep);
            order.sort_unstable();
            if order == chosen {
                break;
            }
            own = gaussian(of_rows(x, &order, added, &all))?;
            chosen = order;
        }
        // The nearest rows alone are too narrow: the median distance becomes what it is of a normal distribution.
        let (mut scratch, mut far) = (Vec::new(), Vec::new());
        (0..n).for_each(|row| far.push(own.distance(x.row(row), &mut scratch)));
        far.sort_by(f64::total_cmp);
        // Wilson and Hilferty 1931.
        let d = x.width as f64;
        let wanted = d * (1.0 - 2.0 / (9.0 * d)).powi(3);
        let (mean, mut wide) = of_rows(x, &chosen, added, &all);
        let wider = (quantile(&far, 0.5) / wanted).max(f64::MIN_POSITIVE);
        wide.iter_mut().for_each(|c| *c *= wider);
        Ok((gaussian((mean, wide))?, keep))
    }
}

impl Learner for Mahalanobis {
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
        let (own, rows) = match self.concentrated(train, stop) {
            Err(AgentError::Stopped) => return Ok(None),
            other => other?,
        };
        (self.own, self.rows, self.step) = (own, rows, 1);
        Ok(Some(self.read(train).loss.iter().sum::<f64>() / train.rows() as f64))
    }

    fn read(&self, x: &Matrix) -> Found {
        let mut scratch = Vec::new();
        let far: Vec<f64> = (0..x.rows()).map(|row| self.own.distance(x.row(row), &mut scratch)).collect();
        Found {
            loss: far.iter().map(|d| -self.own.ln_density(*d)).collect(),
            anomaly: far.iter().map(|d| d.sqrt()).collect(),
            ..Found::default()
        }
    }

    fn details(&self) -> Value {
        json!({"estimated_from": self.rows})
    }

    fn save(&self) -> Saved {
        let mut saved = Saved { tensors: Vec::new(), state: json!({"step": self.step, "rows": self.rows}) };
        self.own.save("all", &mut saved);
        saved
    }

    fn load(&mut self, saved: &Saved) -> Result<(), AgentError> {
        let (step, rows): (u64, usize) = (saved.part("step")?, saved.part("rows")?);
        self.own = Gaussian::load("all", self.own.width(), false, saved)?;
        (self.step, self.rows) = (step, rows);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::NEVER;
    use agon_core::rng::{Rng, Stream};

    /// Fifty of a thousand rows are far away together: without trimming they pull mean and covariance to themselves.
    #[test]
    fn unusual_rows_do_not_hide_themselves() {
        let mut rng = Rng::new(2, Stream::Env, 0);
        let row = |i: usize| {
            let (a, b) = (rng.normal(), rng.normal());
            if i < 50 { [5.0 + 0.1 * a, -5.0 + 0.1 * b] } else { [a, 0.9 * a + 0.436 * b] }
        };
        let x = Matrix { x: (0..1000).flat_map(row).collect(), width: 2 };
        let fitted = |trimmed| {
            let config = Config { trimmed, ..Config::default() };
            let mut own =
                Mahalanobis::new(config, Shape { inputs: 2, steps: 1, seed: 1, device: tch::Device::Cpu }).unwrap();
            own.advance(&x, &x, NEVER).unwrap();
            own
        };
        let (robust, plain) = (fitted(0.1), fitted(0.0));
        assert!(robust.own.mean.iter().all(|m| m.abs() < 0.1), "{:?}", robust.own.mean);
        let [robust, plain] = [robust, plain].map(|own| own.read(&x).anomaly);
        assert!(robust[0] > 15.0 && plain[0] < 6.0, "{} {}", robust[0], plain[0]);
        let median = {
            let mut usual = robust[50..].to_vec();
            usual.sort_by(f64::total_cmp);
            usual[usual.len() / 2]
        };
        // √χ² of two numbers has the median √(2 ln 2).
        assert!((median - (2.0 * 2f64.ln()).sqrt()).abs() < 0.1, "{median}");
    }
}
