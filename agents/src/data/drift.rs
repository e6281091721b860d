//! Whether new rows are like those that a model was trained on, column by column: the population stability index and the
//! test of Kolmogorov and Smirnov.

use super::encode::quantile;
use super::{Column, Values};
use std::collections::BTreeMap;

/// How far a column of new rows is from the training rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// The column.
    pub column: String,
    /// Population stability index over tenths of the training rows, or labels: 0 where shares are the same.
    pub psi: f64,
    /// What the index is below in 95 % of samples of these sizes where nothing has changed.
    pub psi_by_chance: f64,
    /// Of numbers: the largest distance of the distribution functions, and how probable one as large is by chance.
    pub smirnov: Option<[f64; 2]>,
    /// The share of missing values in training, and in the new rows.
    pub missing: [f64; 2],
}

/// Bins of a column of numbers.
const BINS: usize = 10;

/// The upper 5 % point of χ² (Wilson and Hilferty 1931).
fn chi_squared_95(freedom: f64) -> f64 {
    let spread = 2.0 / (9.0 * freedom);
    freedom * (1.0 - spread + 1.644_854 * spread.sqrt()).powi(3)
}

/// The largest distance of two distribution functions, and its asymptotic significance (Stephens 1970).
pub fn smirnov(a: &[f64], b: &[f64]) -> [f64; 2] {
    let sorted = |x: &[f64]| {
        let mut x = x.to_vec();
        x.sort_by(f64::total_cmp);
        x
    };
    let (a, b) = (sorted(a), sorted(b));
    let share = |of: &[f64], at: f64| of.partition_point(|x| *x <= at) as f64 / of.len() as f64;
    let far = a.iter().chain(&b).map(|x| (share(&a, *x) - share(&b, *x)).abs()).fold(0.0, f64::max);
    let n = (a.len() as f64 * b.len() as f64 / (a.len() + b.len()) as f64).sqrt();
    let lambda = (n + 0.12 + 0.11 / n) * far;
    if lambda < 0.2 {
        return [far, 1.0];
    }
    let term = |k: i32| 2.0 * f64::from(1 - 2 * ((k + 1) % 2)) * (-2.0 * f64::from(k * k) * lambda * lambda).exp();
    [far, (1..=100).map(term).sum::<f64>().clamp(0.0, 1.0)]
}

/// How far the new values of a column are from those of the training rows `rows`.
pub fn drift(old: &Column, rows: &[usize], new: &Column) -> Drift {
    let all: Vec<usize> = (0..new.len()).collect();
    let missing = [(old, rows), (new, &all[..])]
        .map(|(c, rows)| rows.iter().filter(|row| c.is_missing(**row)).count() as f64 / rows.len().max(1) as f64);
    let mut counts: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    let mut smirnov_of = None;
    match (&old.values, &new.values) {
        (Values::Numbers(a), Values::Numbers(b)) => {
            let known =
                |x: &[f64], rows: &[usize]| rows.iter().map(|r| x[*r]).filter(|x| !x.is_nan()).collect::<Vec<_>>();
            let (mut seen, fresh) = (known(a, rows), known(b, &all));
            seen.sort_by(f64::total_cmp);
            let mut edges: Vec<f64> = Vec::new();
            if !seen.is_empty() {
                edges.extend((1..BINS).map(|i| quantile(&seen, i as f64 / BINS as f64)));
                edges.dedup();
            }
            for (side, values) in [&seen, &fresh].into_iter().enumerate() {
                for x in values {
                    let bin = edges.partition_point(|edge| edge < x);
                    counts.entry(format!("{bin:02}")).or_default()[side] += 1.0;
                }
            }
            if !seen.is_empty() && !fresh.is_empty() {
                smirnov_of = Some(smirnov(&seen, &fresh));
            }
        }
        (Values::Labels(names, a), Values::Labels(others, b)) => {
            for row in rows {
                a[*row].into_iter().for_each(|code| counts.entry(names[code as usize].clone()).or_default()[0] += 1.0);
            }
            for code in b.iter().flatten() {
                counts.entry(others[*code as usize].clone()).or_default()[1] += 1.0;
            }
        }
        _ => {}
    }
    let gaps = [missing[0] * rows.len() as f64, missing[1] * all.len() as f64];
    if gaps != [0.0; 2] {
        counts.insert(" missing".into(), gaps.map(f64::round));
    }
    let (n, m, bins) = (rows.len() as f64, all.len() as f64, counts.len() as f64);
    // Half a row more in each bin: an empty one would be infinitely far.
    let share = |count: f64, of: f64| (count + 0.5) / (of + 0.5 * bins);
    let psi = counts.values().map(|[a, b]| {
        let (a, b) = (share(*a, n), share(*b, m));
        (b - a) * (b / a).ln()
    });
    let psi_by_chance = if bins > 1.0 { chi_squared_95(bins - 1.0) * (1.0 / n + 1.0 / m) } else { 0.0 };
    Drift { column: old.name.clone(), psi: psi.sum(), psi_by_chance, smirnov: smirnov_of, missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Kind;
    use agon_core::rng::{Rng, Stream};

    fn numbers(x: Vec<f64>) -> Column {
        Column { name: "x".into(), kind: Kind::Number, values: Values::Numbers(x), way: None }
    }

    /// scipy.stats.ks_2samp([1, 2, 3, 4, 5, 6], [4, 5, 6, 7, 8, 9]): the statistic is ½.
    #[test]
    fn distances_of_distributions_by_hand() {
        let [far, p] = smirnov(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert!((far - 0.5).abs() < 1e-12 && (0.3..0.5).contains(&p), "{far} {p}");
        // Kolmogorov's distribution: Q(1.36) is 0.049.
        let x: Vec<f64> = (0..100_000).map(f64::from).collect();
        let y: Vec<f64> = x.iter().map(|x| x + 608.0).collect();
        let [far, p] = smirnov(&x, &y);
        assert!((far - 0.006_08).abs() < 1e-9 && (p - 0.049).abs() < 2e-3, "{far} {p}");
    }

    /// Shares ½, ½ and ¾, ¼: ¼ ln 1.5 + ¼ ln 2.
    #[test]
    fn the_index_by_hand() {
        let of = |a: usize, b: usize| {
            let cells: Vec<Option<&str>> =
                std::iter::repeat_n(Some("a"), a).chain(std::iter::repeat_n(Some("b"), b)).collect();
            Column::labels("x", Kind::Category, cells.into_iter())
        };
        let rows: Vec<usize> = (0..100_000).collect();
        let found = drift(&of(50_000, 50_000), &rows, &of(75_000, 25_000));
        assert!((found.psi - 0.25 * 1.5f64.ln() - 0.25 * 2f64.ln()).abs() < 1e-4, "{found:?}");
        assert!(found.psi_by_chance < 1e-3 && found.smirnov.is_none());
    }

    /// Samples of the same distribution are above the bound by chance in about 5 % of cases, moved ones always.
    #[test]
    fn chance_is_told_from_drift() {
        let mut rng = Rng::new(1, Stream::Env, 0);
        let (mut psi, mut smirnov, mut moved) = (0, 0, 0);
        let rows: Vec<usize> = (0..500).collect();
        for _ in 0..400 {
            let old = numbers((0..500).map(|_| rng.normal()).collect());
            let new: Vec<f64> = (0..200).map(|_| rng.normal()).collect();
            let other = drift(&old, &rows, &numbers(new.iter().map(|x| x + 0.6).collect()));
            let same = drift(&old, &rows, &numbers(new));
            psi += usize::from(same.psi > same.psi_by_chance);
            smirnov += usize::from(same.smirnov.unwrap()[1] < 0.05);
            moved +=
                usize::from(other.psi > 0.2 && other.psi > other.psi_by_chance && other.smirnov.unwrap()[1] < 0.05);
        }
        assert!((4..40).contains(&psi) && (4..40).contains(&smirnov) && moved > 340, "{psi} {smirnov} {moved}");
    }
}
