//! The learning-rate range test (Smith 2017, "Cyclical learning rates for training neural networks"): gradient steps at
//! rates that grow from step to step, and the losses of their minibatches. Where the loss falls fastest is a rate to begin
//! with; where it rises again, rates are too high.

use crate::agent::AgentError;
use agon_core::settings::Issue;

/// Rates, in the order in which they were tried, and the loss after each.
#[derive(Clone, Debug, PartialEq)]
pub struct RateTest {
    /// Rates, growing.
    pub rates: Vec<f64>,
    /// Mean losses of minibatches, smoothed.
    pub losses: Vec<f64>,
}

/// Steps of a test.
pub const STEPS: usize = 200;
/// The lowest and the highest rate.
const RATES: [f64; 2] = [1e-6, 1.0];
/// How slowly the mean of losses forgets.
const MEMORY: f64 = 0.95;
/// A loss so many times the lowest one ends the test, after so many steps.
const RISEN: f64 = 4.0;
const FIRST: usize = 20;
/// Steps on either side between which the slope of the losses is taken.
const REACH: usize = 5;

impl RateTest {
    /// Tests rates; `step` makes a gradient step at this rate, and says the loss before it.
    ///
    /// # Errors
    /// Those of `step`, but for a divergence, which ends the test.
    pub fn run(step: &mut dyn FnMut(f64) -> Result<f64, AgentError>) -> Result<Self, AgentError> {
        let mut own = Self { rates: Vec::new(), losses: Vec::new() };
        let (mut mean, mut lowest) = (0.0, f64::INFINITY);
        for i in 0..STEPS {
            let rate = RATES[0] * (RATES[1] / RATES[0]).powf(i as f64 / (STEPS - 1) as f64);
            let loss = match step(rate) {
                Err(AgentError::Diverged(_)) => break,
                other => other?,
            };
            if !loss.is_finite() {
                break;
            }
            mean = MEMORY * mean + (1.0 - MEMORY) * loss;
            let smooth = mean / (1.0 - MEMORY.powi(i as i32 + 1));
            lowest = smooth.min(lowest);
            if i >= FIRST && smooth > RISEN * lowest {
                break;
            }
            own.rates.push(rate);
            own.losses.push(smooth);
        }
        Ok(own)
    }

    /// The place of the lowest loss.
    pub fn lowest(&self) -> Option<usize> {
        (0..self.losses.len()).min_by(|a, b| self.losses[*a].total_cmp(&self.losses[*b]))
    }

    /// The place where the loss falls fastest with the logarithm of the rate, before it is lowest; none where it never falls
    /// by more than it was moved by chance.
    pub fn fastest(&self) -> Option<usize> {
        let lowest = self.lowest()?;
        let slope = |i: usize| self.losses[(i + REACH).min(lowest)] - self.losses[i - REACH];
        let at = (REACH..lowest).min_by(|a, b| slope(*a).total_cmp(&slope(*b)))?;
        // The first losses are of weights that hardly moved: their differences are chance.
        let first = &self.losses[..FIRST.min(lowest)];
        let mean = first.iter().sum::<f64>() / first.len() as f64;
        let chance = (first.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / first.len() as f64).sqrt();
        (mean - self.losses[lowest] > 3.0 * chance).then_some(at)
    }
}

/// That a model has no rate to be tested.
pub fn no_rate() -> AgentError {
    let which = "mlp (--model mlp), tabm, realmlp, ft-transformer and text-encoder, and cnn of pictures, have one";
    Issue::value("kind", format!("the model has no learning rate that can be tested: {which}")).into()
}

/// Minibatches of pass after pass.
pub struct Minibatches {
    size: usize,
    order: Vec<usize>,
    at: usize,
    pass: u64,
}

impl Minibatches {
    /// Of so many rows each.
    pub fn new(size: usize) -> Self {
        Self { size, order: Vec::new(), at: 0, pass: 0 }
    }

    /// The next one; `order` says the rows of a pass. A pass that is not a multiple of the size ends with fewer.
    pub fn next(&mut self, order: impl Fn(u64) -> Vec<usize>) -> &[usize] {
        if self.at >= self.order.len() {
            (self.order, self.at) = (order(self.pass), 0);
            self.pass += 1;
        }
        let rows = &self.order[self.at..(self.at + self.size).min(self.order.len())];
        self.at += self.size;
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gradient descent on w²/2 with noise: w ← (1 − rate·k) w; it falls from rate 1/k on, and rises beyond 2/k.
    fn of(curvature: f64) -> RateTest {
        let (mut w, mut i) = (1.0f64, 0.0);
        let step = &mut |rate: f64| {
            i += 1.0;
            let loss = 0.5 * curvature * w * w + 0.01 * (i * 1.7f64).sin();
            w *= 1.0 - rate * curvature;
            Ok(loss)
        };
        RateTest::run(step).unwrap()
    }

    #[test]
    fn the_rate_follows_the_curvature() {
        for curvature in [10.0, 100.0, 1000.0] {
            let test = of(curvature);
            let fastest = test.rates[test.fastest().unwrap()];
            assert!((0.02..2.0).contains(&(fastest * curvature)), "{fastest} of {curvature}");
            assert!(test.rates.len() < STEPS || curvature < 100.0, "too high a rate ends it");
        }
    }

    #[test]
    fn where_nothing_falls_nothing_is_found() {
        let mut i = 0.0;
        let noise = &mut |_| {
            i += 1.0;
            Ok(1.0 + 0.1 * (i * 1.7f64).sin())
        };
        assert_eq!(RateTest::run(noise).unwrap().fastest(), None);
        let mut calls = 0;
        let diverges = &mut |_| {
            calls += 1;
            if calls <= 30 { Ok(1.0) } else { Err(AgentError::Diverged("gone".into())) }
        };
        let test = RateTest::run(diverges).unwrap();
        assert_eq!((test.rates.len(), test.fastest()), (30, None));
    }
}
