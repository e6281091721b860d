//! Running means and variances, for observations and returns.

use crate::agent::{AgentError, Saved};
use agon_core::Observation;
use serde::{Deserialize, Serialize};

/// Mean and variance of each number, over all batches seen (Chan et al.'s parallel update).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    count: f64,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl Moments {
    /// Of `width` numbers.
    pub fn new(width: usize) -> Self {
        Self { count: 1e-4, mean: vec![0.0; width], variance: vec![1.0; width] }
    }

    /// For observations, if wanted and if they are plain numbers: for other kinds a mean is meaningless.
    pub fn of(observation: &Observation, wanted: bool) -> Option<Self> {
        let plain = matches!(observation, Observation::Numbers(_));
        (wanted && plain).then(|| Self::new(observation.len()))
    }

    /// Whether `self` can have become it: as many numbers, all possible.
    fn fits(&self, other: &Self) -> bool {
        let sane = |x: &f64| x.is_finite();
        self.mean.len() == other.mean.len()
            && self.variance.len() == other.mean.len()
            && self.count.is_finite()
            && self.count > 0.0
            && self.mean.iter().all(sane)
            && self.variance.iter().all(|v| sane(v) && *v >= 0.0)
    }

    /// Those of a save under this name.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] where they could not have come from what is here.
    pub fn saved(saved: &Saved, name: &str, here: Option<&Self>) -> Result<Option<Self>, AgentError> {
        let there: Option<Self> = saved.part(name)?;
        match (&there, here) {
            (None, None) => Ok(None),
            (Some(moments), Some(here)) if moments.fits(here) => Ok(there),
            _ => Err(AgentError::Checkpoint(format!(
                "its `{name}` are of other observations, or only one of the two normalises them"
            ))),
        }
    }

    /// Updates with a batch `[rows, width]`.
    pub fn update(&mut self, batch: &[f32]) {
        let width = self.mean.len();
        let rows = (batch.len() / width) as f64;
        for k in 0..width {
            let column = batch.iter().skip(k).step_by(width).map(|x| f64::from(*x));
            let mean = column.clone().sum::<f64>() / rows;
            let variance = column.map(|x| (x - mean) * (x - mean)).sum::<f64>() / rows;
            let (delta, total) = (mean - self.mean[k], self.count + rows);
            let sum = self.variance[k] * self.count + variance * rows + delta * delta * self.count * rows / total;
            self.mean[k] += delta * rows / total;
            self.variance[k] = sum / total;
        }
        self.count += rows;
    }

    /// Writes (x − mean) / deviation, cut to ±10.
    pub fn standardise(&self, batch: &[f32], out: &mut [f32]) {
        out.copy_from_slice(batch);
        self.apply(out);
    }

    /// The same in place.
    pub fn apply(&self, batch: &mut [f32]) {
        let deviation: Vec<f64> = self.variance.iter().map(|v| (v + 1e-8).sqrt()).collect();
        for row in batch.chunks_exact_mut(self.mean.len()) {
            for (x, (mean, deviation)) in row.iter_mut().zip(self.mean.iter().zip(&deviation)) {
                *x = ((f64::from(*x) - mean) / deviation).clamp(-10.0, 10.0) as f32;
            }
        }
    }

    /// Mean and deviation of the first number.
    pub fn first(&self) -> [f64; 2] {
        [self.mean[0], self.deviation()]
    }

    /// The deviation of the first number.
    pub fn deviation(&self) -> f64 {
        (self.variance[0] + 1e-8).sqrt()
    }
}

/// What rewards are divided by, so that discounted returns have deviation 1 at most and stay within a bound: the running
/// deviation of returns, or the largest of them by the bound where that is more (Lee et al. 2025, SimbaV2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReturnScale {
    /// `[rows]`: discounted rewards of the episodes under way.
    returns: Vec<f32>,
    moments: Moments,
    largest: f32,
}

impl ReturnScale {
    /// Of so many rows, with nothing seen.
    pub fn new(rows: usize) -> Self {
        Self { returns: vec![0.0; rows], moments: Moments::new(1), largest: 0.0 }
    }

    /// Those of a save under this name.
    ///
    /// # Errors
    /// [`AgentError::Checkpoint`] where they cannot be, or only one of the two scales rewards.
    pub fn saved(saved: &Saved, name: &str, here: Option<&Self>) -> Result<Option<Self>, AgentError> {
        let there: Option<Self> = saved.part(name)?;
        let fits = |there: &Self, here: &Self| {
            there.returns.iter().all(|x| x.is_finite())
                && there.largest.is_finite()
                && here.moments.fits(&there.moments)
                && there.moments.fits(&here.moments)
        };
        match (&there, here) {
            (None, None) => Ok(None),
            (Some(scale), Some(here)) if fits(scale, here) => {
                let mut scale = scale.clone();
                // A warm start may have another number of environments.
                scale.returns.resize(here.returns.len(), 0.0);
                Ok(Some(scale))
            }
            _ => Err(AgentError::Checkpoint(format!("its `{name}` cannot be, or only one of the two scales rewards"))),
        }
    }

    /// Takes a step's rewards `[rows]`; `ended`: whether the episode of a row ends with it.
    pub fn update(&mut self, rewards: &[f32], gamma: f32, ended: impl Iterator<Item = bool>) {
        for (sum, reward) in self.returns.iter_mut().zip(rewards) {
            *sum = gamma * *sum + reward;
            self.largest = self.largest.max(sum.abs());
        }
        self.moments.update(&self.returns);
        self.returns.iter_mut().zip(ended).for_each(|(sum, ended)| *sum = if ended { 0.0 } else { *sum });
    }

    /// The divisor that keeps returns within ±`bound`.
    pub fn divisor(&self, bound: f64) -> f32 {
        self.moments.deviation().max(f64::from(self.largest) / bound) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows by hand: returns 1, 2 and then 0.5 + 3, 1 + 4 with γ = ½; the first row's episode ends between, so its
    /// next return begins anew.
    #[test]
    fn rewards_are_scaled_by_returns() {
        let mut scale = ReturnScale::new(2);
        scale.update(&[1.0, 2.0], 0.5, [true, false].into_iter());
        scale.update(&[3.0, 4.0], 0.5, [false, false].into_iter());
        let returns = [1.0f64, 2.0, 3.0, 5.0];
        let mean = returns.iter().sum::<f64>() / 4.0;
        let deviation = (returns.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4.0).sqrt();
        assert!((f64::from(scale.divisor(100.0)) - deviation).abs() < 1e-3, "{scale:?}");
        assert!((scale.divisor(2.0) - 2.5).abs() < 1e-6, "the largest return, 5, becomes the bound");
    }

    #[test]
    fn batches_give_the_moments_of_all() {
        let all: Vec<f32> = (0..200).map(|i| ((i * 37) % 101) as f32 * 0.1 - 3.0).collect();
        let mut moments = Moments::new(2);
        all.chunks(20).for_each(|batch| moments.update(batch));
        for k in 0..2 {
            let column: Vec<f64> = all.iter().skip(k).step_by(2).map(|x| f64::from(*x)).collect();
            let mean = column.iter().sum::<f64>() / 100.0;
            let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 100.0;
            assert!((moments.mean[k] - mean).abs() < 1e-4 && (moments.variance[k] - variance).abs() < 1e-3);
        }
    }
}
