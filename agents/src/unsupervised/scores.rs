//! Metrics of models without a target: means over rows with intervals by the bootstrap, and agreement of ranks.

use agon_core::Metric;
use agon_core::metric::Goal;
use agon_core::rng::{Rng, Stream};
use std::collections::BTreeMap;

/// Resamples behind an interval.
const REPLICATES: usize = 1000;

/// A metric without an interval.
pub fn metric(name: &str, value: f64, goal: Goal, rows: usize) -> Metric {
    Metric { name: name.into(), value, interval: None, ci95: None, goal, over: (rows as u64, "rows".into()) }
}

/// The mean of a number of each row, with its 95 % interval; rows with the same unit are drawn together.
pub fn mean(name: &str, of: &[f64], units: &[u32], goal: Goal, seed: u64) -> Metric {
    let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for (x, unit) in of.iter().zip(units) {
        let sum = sums.entry(*unit).or_default();
        (sum.0, sum.1) = (sum.0 + x, sum.1 + 1.0);
    }
    let sums: Vec<(f64, f64)> = sums.into_values().collect();
    let mut out = metric(name, of.iter().sum::<f64>() / of.len() as f64, goal, of.len());
    if sums.len() >= 4 {
        let mut rng = Rng::new(seed, Stream::Eval, 0);
        let draws = if sums.len() > 20_000 { REPLICATES / 5 } else { REPLICATES };
        let mut one = || {
            let all = (0..sums.len()).map(|_| sums[rng.below(sums.len() as u32) as usize]);
            let (a, b) = all.fold((0.0, 0.0), |(a, b), (x, n)| (a + x, b + n));
            a / b
        };
        let mut found: Vec<f64> = (0..draws).map(|_| one()).collect();
        found.sort_by(f64::total_cmp);
        let cut = draws / 40;
        out.interval = Some([found[cut], found[draws - 1 - cut]]);
    }
    out
}

/// Ranks, equal numbers sharing the mean of theirs.
fn ranks(x: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|a, b| x[*a].total_cmp(&x[*b]));
    let mut out = vec![0.0; x.len()];
    let mut at = 0;
    while at < order.len() {
        let end = (at..order.len()).find(|i| x[order[*i]] != x[order[at]]).unwrap_or(order.len());
        order[at..end].iter().for_each(|row| out[*row] = (at + end - 1) as f64 / 2.0);
        at = end;
    }
    out
}

/// Spearman's correlation of ranks; 0 where one side is all the same.
pub fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let middle = (a.len() as f64 - 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum::<f64>();
    let below = (product(&a, &a) * product(&b, &b)).sqrt();
    if below > 0.0 { product(&a, &b) / below } else { 0.0 }
}

/// The area under the ROC curve: the probability that a row that `is` scores higher than one that is not.
pub fn auc(score: &[f64], is: &[bool]) -> Option<f64> {
    let (ranks, positive) = (ranks(score), is.iter().filter(|is| **is).count() as f64);
    let negative = is.len() as f64 - positive;
    let sum: f64 = ranks.iter().zip(is).filter(|(_, is)| **is).map(|(rank, _)| rank + 1.0).sum();
    (positive > 0.0 && negative > 0.0).then(|| (sum - positive * (positive + 1.0) / 2.0) / (positive * negative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlation_and_area_by_hand() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 9.0]), [1.5, 0.0, 1.5, 3.0]);
        assert!((spearman(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0]) - 0.8).abs() < 1e-12);
        assert_eq!(spearman(&[1.0; 4], &[1.0, 2.0, 3.0, 4.0]), 0.0);
        // Pairs: (0.8 beats both), (0.4 beats 0.1, ties 0.4).
        assert_eq!(auc(&[0.8, 0.4, 0.1, 0.4], &[true, true, false, false]), Some(3.5 / 4.0));
        assert_eq!(auc(&[0.8], &[true]), None);
    }

    /// The interval of a mean of a thousand normal numbers is about ± 0.062 wide.
    #[test]
    fn means_have_intervals() {
        let mut rng = Rng::new(1, Stream::Env, 0);
        let x: Vec<f64> = (0..1000).map(|_| rng.normal()).collect();
        let found = mean("x", &x, &(0..1000).collect::<Vec<_>>(), Goal::Lowest, 1);
        let [low, high] = found.interval.unwrap();
        assert!(low < found.value && found.value < high && ((high - low) / 0.124 - 1.0).abs() < 0.15, "{found:?}");
    }
}
