//! Which examples without a class are the most useful to ask about (active learning).

/// −Σ p ln p.
fn entropy_of(p: &[f64]) -> f64 {
    -p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>()
}

/// How unsure the model is: the entropy of its probabilities `[rows, classes]`, in nats (Lewis and Gale 1994).
pub fn entropy(p: &[f64], classes: usize) -> Vec<f64> {
    p.chunks_exact(classes).map(entropy_of).collect()
}

/// How near the likeliest two classes are: 1 less their difference (Scheffer, Decomain and Wrobel 2001).
pub fn margin(p: &[f64], classes: usize) -> Vec<f64> {
    let one = |p: &[f64]| {
        let (mut first, mut second) = (0.0f64, 0.0f64);
        for p in p {
            (first, second) = if *p > first { (*p, first) } else { (first, second.max(*p)) };
        }
        1.0 - (first - second)
    };
    p.chunks_exact(classes).map(one).collect()
}

/// How much the models of an ensemble disagree: the entropy of their mean less the mean of their entropies, in nats (BALD:
/// Houlsby et al. 2011). `members`: the probabilities `[rows, classes]` of each.
pub fn bald(members: &[Vec<f64>], classes: usize) -> Vec<f64> {
    let n = members.len().max(1) as f64;
    let rows = members.first().map_or(0, |p| p.len() / classes);
    let one = |row: usize| {
        let own = || members.iter().map(|p| &p[row * classes..][..classes]);
        let mean: Vec<f64> = (0..classes).map(|k| own().map(|p| p[k]).sum::<f64>() / n).collect();
        entropy_of(&mean) - own().map(entropy_of).sum::<f64>() / n
    };
    (0..rows).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_hand() {
        let p = [0.5, 0.5, 0.0, 1.0, 0.0, 0.0, 0.6, 0.1, 0.3];
        let (ln2, found) = (2f64.ln(), entropy(&p, 3));
        assert!((found[0] - ln2).abs() < 1e-12 && found[1] == 0.0);
        assert!(margin(&p, 3).iter().zip([1.0, 0.0, 0.7]).all(|(a, b)| (a - b).abs() < 1e-12));
        // Two models that are sure of other classes disagree; two that are both unsure do not.
        let found = bald(&[vec![1.0, 0.0, 0.5, 0.5], vec![0.0, 1.0, 0.5, 0.5]], 2);
        assert!((found[0] - ln2).abs() < 1e-12 && found[1].abs() < 1e-12);
    }
}
