//! Mixup (Zhang, Cisse, Dauphin and Lopez-Paz, ICLR 2018): a network learns from rows that are in between two, with a loss
//! that is in between those of both. As its authors do, one share is drawn for a minibatch, whose rows are mixed with each
//! other.

use super::clients::gamma;
use agon_core::rng::Rng;

/// How the rows of a minibatch are mixed.
#[derive(Clone, Copy, Debug)]
pub struct Mixture<'a> {
    /// What each row is mixed with.
    pub others: &'a [usize],
    /// How much of a mixture is the row itself.
    pub share: f64,
}

impl<'a> Mixture<'a> {
    /// That of some rows of the minibatch.
    pub fn part(&self, from: usize, rows: usize) -> Self {
        Self { others: &self.others[from..from + rows], share: self.share }
    }

    /// Drawn with a Beta(α, α) distribution; none where α is 0. `others` is room for the rows.
    pub fn drawn(alpha: f64, rows: &[usize], rng: &mut Rng, others: &'a mut Vec<usize>) -> Option<Self> {
        if alpha <= 0.0 {
            return None;
        }
        let [a, b] = [(); 2].map(|()| gamma(alpha, rng));
        others.clear();
        others.extend_from_slice(rows);
        rng.shuffle(others);
        Some(Self { others, share: a / (a + b) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;

    /// Shares have the mean and the variance of Beta(α, α), and the others are the same rows.
    #[test]
    fn shares_are_those_of_the_beta_distribution() {
        let (rows, mut others, mut rng) = ((5..25).collect::<Vec<_>>(), Vec::new(), Rng::new(1, Stream::Env, 0));
        assert!(Mixture::drawn(0.0, &rows, &mut rng, &mut others).is_none());
        for alpha in [0.2, 1.0, 4.0] {
            let (mut sum, mut squares, mut moved) = (0.0, 0.0, 0);
            for _ in 0..20_000 {
                let mixture = Mixture::drawn(alpha, &rows, &mut rng, &mut others).unwrap();
                sum += mixture.share;
                squares += (mixture.share - 0.5).powi(2);
                moved += usize::from(mixture.others != rows);
                assert_eq!(mixture.part(3, 2).others, &mixture.others[3..5]);
            }
            let mut sorted = others.clone();
            sorted.sort_unstable();
            assert!(sorted == rows && moved > 19_990);
            let variance = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((sum / 2e4 - 0.5).abs() < 0.015 && (squares / 2e4 / variance - 1.0).abs() < 0.04, "{alpha}");
        }
    }
}
