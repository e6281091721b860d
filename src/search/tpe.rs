//! The tree-structured Parzen estimator (Bergstra, Bardenet, Bengio and Kégl 2011): of the trials so far the best few
//! have the density l, the others g, one setting apart from the other; of places drawn from l the one with the largest
//! l / g is tried next.

use super::space::Space;
use super::{Tried, better};
use agon_core::metric::Goal;
use agon_core::rng::{Rng, Stream};

/// Of n trials so many times √n count as good (Bergstra, Yamins and Cox 2013).
const GOOD: f64 = 0.25;
/// Places that are drawn from the density of the good ones.
const CANDIDATES: usize = 24;

/// The density of places from 0 to 1.
enum Density {
    /// Of numbers: normal distributions, cut at 0 and 1, around each of these, with these deviations.
    Normals(Vec<(f64, f64)>),
    /// Of choices: the probability of each.
    Shares(Vec<f64>),
}

/// Abramowitz and Stegun 1964, 26.2.17: the standard normal distribution function, within 7.5e-8.
fn normal_distribution(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let terms = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let tail = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t) * (-0.5 * x * x).exp()
        / std::f64::consts::TAU.sqrt();
    if x >= 0.0 { 1.0 - tail } else { tail }
}

impl Density {
    /// Of the places of some trials; one more observation is everywhere, so that nothing is impossible.
    fn of(places: &[f64], choices: Option<usize>) -> Self {
        if let Some(k) = choices {
            let mut counts = vec![1.0; k];
            places.iter().for_each(|x| counts[((x * k as f64) as usize).min(k - 1)] += 1.0);
            let sum: f64 = counts.iter().sum();
            return Self::Shares(counts.into_iter().map(|n| n / sum).collect());
        }
        let mut sorted = places.to_vec();
        sorted.push(0.5);
        sorted.sort_by(f64::total_cmp);
        // No narrower than 1/100, and wider while there are few.
        let least = 1.0 / (sorted.len().pow(2) as f64 + 1.0).min(100.0);
        // As wide as the neighbour that is farther away.
        let width = |i: usize| {
            let below = sorted[i] - if i > 0 { sorted[i - 1] } else { 0.0 };
            let above = if i + 1 < sorted.len() { sorted[i + 1] } else { 1.0 } - sorted[i];
            below.max(above).clamp(least, 1.0)
        };
        let middle = sorted.iter().position(|x| *x == 0.5);
        let one = |i: usize| if Some(i) == middle { (0.5, 1.0) } else { (sorted[i], width(i)) };
        Self::Normals((0..sorted.len()).map(one).collect())
    }

    fn draw(&self, rng: &mut Rng) -> f64 {
        match self {
            Self::Normals(all) => {
                let (mean, deviation) = all[rng.below(all.len() as u32) as usize];
                loop {
                    let x = mean + deviation * rng.normal();
                    if (0.0..1.0).contains(&x) {
                        return x;
                    }
                }
            }
            Self::Shares(shares) => {
                let mut left = rng.f64();
                let inside = |share: &f64| {
                    left -= share;
                    left < 0.0
                };
                let k = shares.iter().position(inside).unwrap_or(shares.len() - 1);
                (k as f64 + 0.5) / shares.len() as f64
            }
        }
    }

    fn ln(&self, x: f64) -> f64 {
        match self {
            Self::Normals(all) => {
                let one = |(mean, deviation): &(f64, f64)| {
                    let z = (x - mean) / deviation;
                    let inside = normal_distribution((1.0 - mean) / deviation) - normal_distribution(-mean / deviation);
                    (-0.5 * z * z).exp() / (std::f64::consts::TAU.sqrt() * deviation * inside)
                };
                (all.iter().map(one).sum::<f64>() / all.len() as f64).ln()
            }
            Self::Shares(shares) => shares[((x * shares.len() as f64) as usize).min(shares.len() - 1)].ln(),
        }
    }
}

/// Where the next trial is to be.
pub fn propose(space: &Space, done: &[Tried], goal: Goal, seed: u64, trial: usize) -> Vec<f64> {
    let mut sorted: Vec<&Tried> = done.iter().collect();
    sorted.sort_by(|a, b| better(goal, a.value, b.value).then(a.job.trial.cmp(&b.job.trial)));
    let good = ((GOOD * (sorted.len() as f64).sqrt()).ceil() as usize).clamp(1, sorted.len());
    let (good, rest) = sorted.split_at(good);
    let mut rng = Rng::new(seed, Stream::Shuffle, trial as u32);
    let one = |(k, (_, values)): (usize, &(String, super::space::Values))| {
        let of = |all: &[&Tried]| {
            Density::of(&all.iter().map(|tried| tried.job.at[k]).collect::<Vec<_>>(), values.choices())
        };
        let (l, g) = (of(good), of(rest));
        let drawn: Vec<f64> = (0..CANDIDATES).map(|_| l.draw(&mut rng)).collect();
        let ratio = |x: &f64| l.ln(*x) - g.ln(*x);
        drawn.into_iter().max_by(|a, b| ratio(a).total_cmp(&ratio(b))).unwrap_or(0.5)
    };
    space.all.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_normal() {
        for (x, p) in [(0.0, 0.5), (1.0, 0.841_344_746), (-1.96, 0.024_997_895), (3.0, 0.998_650_102)] {
            assert!((normal_distribution(x) - p).abs() < 1e-7, "{x}");
        }
    }

    /// Densities are cut so that what is left is 1, and are where the observations are.
    #[test]
    fn densities_sum_to_one() {
        let density = Density::of(&[0.02, 0.05, 0.9], None);
        let n = 10_000;
        let sum = (0..n).map(|i| density.ln((f64::from(i) + 0.5) / f64::from(n)).exp()).sum::<f64>() / f64::from(n);
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
        assert!(density.ln(0.03) > density.ln(0.5));
        let shares = Density::of(&[0.1, 0.2, 0.9], Some(3));
        assert!((shares.ln(0.0).exp() - 0.5).abs() < 1e-12 && (shares.ln(0.5).exp() - 1.0 / 6.0).abs() < 1e-12);
        let mut rng = Rng::new(1, Stream::Env, 0);
        let first = (0..6000).filter(|_| shares.draw(&mut rng) < 0.33).count();
        assert!((2850..3150).contains(&first), "{first}");
    }
}
