//! How well groupings agree: the adjusted Rand index, normalised mutual information, and the silhouette of one grouping.

use super::squared;
use crate::data::encode::Matrix;
use std::collections::BTreeMap;

/// How often each pair of groups occurs, and each group of either.
struct Counts {
    both: Vec<f64>,
    one: Vec<f64>,
    other: Vec<f64>,
    n: f64,
}

fn counts(a: &[u32], b: &[u32]) -> Counts {
    let (mut both, mut one, mut other) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (a, b) in a.iter().zip(b) {
        *both.entry((*a, *b)).or_insert(0.0) += 1.0;
        *one.entry(*a).or_insert(0.0) += 1.0;
        *other.entry(*b).or_insert(0.0) += 1.0;
    }
    Counts {
        both: both.into_values().collect(),
        one: one.into_values().collect(),
        other: other.into_values().collect(),
        n: a.len() as f64,
    }
}

/// The adjusted Rand index (Hubert and Arabie 1985) of two groupings of the same rows: 1 where they are the same, about 0
/// where they have nothing to do with each other.
pub fn adjusted_rand(a: &[u32], b: &[u32]) -> f64 {
    let c = counts(a, b);
    let pairs = |n: &Vec<f64>| n.iter().map(|n| n * (n - 1.0) / 2.0).sum::<f64>();
    let (both, one, other, all) = (pairs(&c.both), pairs(&c.one), pairs(&c.other), c.n * (c.n - 1.0) / 2.0);
    let (expected, most) = (one * other / all, (one + other) / 2.0);
    if most == expected { 1.0 } else { (both - expected) / (most - expected) }
}

/// Mutual information beside the mean of both entropies, from 0 to 1.
pub fn normalised_mutual_information(a: &[u32], b: &[u32]) -> f64 {
    let c = counts(a, b);
    let entropy = |n: &Vec<f64>| -n.iter().map(|k| k / c.n * (k / c.n).ln()).sum::<f64>();
    let (both, one, other) = (entropy(&c.both), entropy(&c.one), entropy(&c.other));
    if one + other == 0.0 { 1.0 } else { 2.0 * (one + other - both).max(0.0) / (one + other) }
}

/// The mean silhouette (Rousseeuw 1987) of rows in groups: how much nearer a row is to its own group than to the next one,
/// from −1 to 1. Rows alone in their group count 0. None where there is only one group. It takes all pairs of rows.
pub fn silhouette(x: &Matrix, group: &[u32]) -> Option<f64> {
    let groups = group.iter().max().map_or(0, |most| *most as usize + 1);
    let mut sizes = vec![0.0; groups];
    group.iter().for_each(|g| sizes[*g as usize] += 1.0);
    if sizes.iter().filter(|n| **n > 0.0).count() < 2 {
        return None;
    }
    let rows = group.len();
    let mut far = vec![0.0; groups];
    let mut one = |row: usize| {
        far.fill(0.0);
        (0..rows).for_each(|other| far[group[other] as usize] += squared(x.row(row), x.row(other)).sqrt());
        let own = group[row] as usize;
        if sizes[own] < 2.0 {
            return 0.0;
        }
        let inside = far[own] / (sizes[own] - 1.0);
        let others = (0..groups).filter(|g| *g != own && sizes[*g] > 0.0).map(|g| far[g] / sizes[g]);
        let outside = others.fold(f64::INFINITY, f64::min);
        let most = inside.max(outside);
        if most > 0.0 { (outside - inside) / most } else { 0.0 }
    };
    Some((0..rows).map(&mut one).sum::<f64>() / rows as f64)
}

/// About so many rows, evenly spread over a table: what takes all pairs of rows is worked out of them.
pub fn sample(rows: usize, most: usize) -> Vec<usize> {
    let step = rows.div_ceil(most).max(1);
    (0..rows).step_by(step).collect()
}

/// These rows of a table.
pub fn rows_of(x: &Matrix, rows: &[usize]) -> Matrix {
    Matrix { x: rows.iter().flat_map(|row| x.row(*row).iter().copied()).collect(), width: x.width }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of scikit-learn's documentation of both indices.
    #[test]
    fn agreement_by_hand() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(adjusted_rand(&[0, 0, 1, 1], &[1, 1, 0, 0]), 1.0);
        close(adjusted_rand(&[0, 0, 1, 2], &[0, 0, 1, 1]), 4.0 / 7.0);
        close(adjusted_rand(&[0, 0, 0, 0], &[0, 1, 2, 3]), 0.0);
        close(adjusted_rand(&[0, 0, 1, 1], &[0, 1, 0, 1]), -0.5);
        close(normalised_mutual_information(&[0, 0, 1, 1], &[1, 1, 0, 0]), 1.0);
        close(normalised_mutual_information(&[0, 0, 0, 0], &[0, 1, 2, 3]), 0.0);
    }

    /// Points 0, 1 and 10, 12, 13 on a line.
    #[test]
    fn silhouettes_by_hand() {
        let x = Matrix { x: vec![0.0, 1.0, 10.0, 12.0, 13.0], width: 1 };
        let one = |inside: f64, outside: f64| (outside - inside) / outside;
        let wanted = [one(1.0, 35.0 / 3.0), one(1.0, 32.0 / 3.0), one(2.5, 9.5), one(1.5, 11.5), one(2.0, 12.5)];
        let found = silhouette(&x, &[0, 0, 1, 1, 1]).unwrap();
        assert!((found - wanted.iter().sum::<f64>() / 5.0).abs() < 1e-12);
        assert_eq!(silhouette(&x, &[3; 5]), None);
    }
}
