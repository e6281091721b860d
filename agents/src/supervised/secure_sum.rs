//! Secure aggregation by pairwise masks (Bonawitz et al. 2017), simulated: every pair of clients shares a stream of random
//! numbers that one of them adds to its vector and the other subtracts, so that the server sees vectors that look random
//! and whose sum is exact. Vectors are fixed-point integers modulo 2^64: masks cancel to the bit.
//!
//! What is simulated is the arithmetic of the protocol's last round alone. There is no agreement on keys (the pairs'
//! streams follow from the run's seed, which undoes them), and no secret sharing that would let the sum survive clients
//! that drop out.

use super::mixed;
use crate::agent::AgentError;
use agon_core::rng::{Rng, Stream};

/// Bits of the fraction.
const FRACTION: u32 = 30;
const SCALE: f64 = (1u64 << FRACTION) as f64;
/// The lane of the masks.
const MASKS: u32 = u32::MAX - 4;

/// A vector as fixed-point integers modulo 2^64.
///
/// # Errors
/// [`AgentError::Data`] where the sum of `vectors` such vectors might leave the range.
pub fn fixed_point(vector: &[f64], vectors: usize) -> Result<Vec<u64>, AgentError> {
    let most = 2f64.powi(62) / SCALE / vectors.max(1) as f64;
    let one = |x: &f64| {
        // A comparison with what is no number is false.
        let fits = x.abs() < most;
        fits.then(|| (x * SCALE).round() as i64 as u64)
    };
    let all: Option<Vec<u64>> = vector.iter().map(one).collect();
    all.ok_or_else(|| AgentError::Data("a client's weights became too large: lower train.local_rate".into()))
}

/// The numbers that a sum of fixed-point integers stands for.
pub fn numbers(sum: &[u64]) -> Vec<f64> {
    sum.iter().map(|x| *x as i64 as f64 / SCALE).collect()
}

/// The stream that a pair of clients shares in a round.
fn of_pair(seed: u64, round: u64, low: u32, high: u32) -> Rng {
    Rng::new(mixed(seed, &[round, u64::from(low) << 32 | u64::from(high)]), Stream::Act, MASKS)
}

/// A vector as its client sends it: with the masks that it shares with the others of the round.
pub fn masked(mut vector: Vec<u64>, me: u32, clients: &[u32], seed: u64, round: u64) -> Vec<u64> {
    for other in clients.iter().filter(|other| **other != me) {
        let mut rng = of_pair(seed, round, me.min(*other), me.max(*other));
        for x in &mut vector {
            // Sixteen bits a draw, each of them uniform.
            let mask = (0..4).fold(0u64, |mask, _| mask << 16 | u64::from(rng.below(1 << 16)));
            *x = if me < *other { x.wrapping_add(mask) } else { x.wrapping_sub(mask) };
        }
    }
    vector
}

/// The sum modulo 2^64.
pub fn sum(vectors: &[Vec<u64>]) -> Vec<u64> {
    let mut all = vec![0u64; vectors.first().map_or(0, Vec::len)];
    vectors.iter().for_each(|vector| all.iter_mut().zip(vector).for_each(|(all, x)| *all = all.wrapping_add(*x)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(count: usize) -> Vec<Vec<u64>> {
        let mut rng = Rng::new(4, Stream::Env, 0);
        (0..count)
            .map(|_| fixed_point(&(0..50).map(|_| 100.0 * rng.normal()).collect::<Vec<_>>(), count).unwrap())
            .collect()
    }

    #[test]
    fn masks_cancel_to_the_bit() {
        let (plain, clients) = (vectors(7), [0, 2, 3, 5, 8, 13, 21]);
        for round in 0..3 {
            let send = |(vector, me): (&Vec<u64>, &u32)| masked(vector.clone(), *me, &clients, 9, round);
            let sent: Vec<Vec<u64>> = plain.iter().zip(&clients).map(send).collect();
            assert_eq!(sum(&sent), sum(&plain));
            assert!(sent.iter().zip(&plain).all(|(a, b)| a.iter().zip(b).all(|(a, b)| a != b)));
            // Without one client nothing is left of the sum.
            let without = numbers(&sum(&sent[1..]));
            let rest = numbers(&sum(&plain[1..]));
            assert!(without.iter().zip(&rest).all(|(a, b)| (a - b).abs() > 1.0));
        }
    }

    /// What the server sees of the same vector differs from round to round, and is spread over all 64 bits.
    #[test]
    fn masked_vectors_look_random() {
        let zero = vec![0u64; 4000];
        let [one, two] = [0, 1].map(|round| masked(zero.clone(), 1, &[1, 2], 9, round));
        assert!(one.iter().zip(&two).all(|(a, b)| a != b));
        for bit in 0..64 {
            let set = one.iter().filter(|x| *x >> bit & 1 == 1).count();
            // Five deviations of 4000 fair coins.
            assert!((1842..=2158).contains(&set), "bit {bit}: {set}");
        }
    }

    #[test]
    fn fixed_point_is_near_and_bounded() {
        let x = [0.0, -1.5, 3.25e-9, 12_345.678];
        let back = numbers(&fixed_point(&x, 1).unwrap());
        assert!(x.iter().zip(&back).all(|(a, b)| (a - b).abs() <= 0.5 / SCALE), "{back:?}");
        assert!(fixed_point(&[5e9], 1).is_err() && fixed_point(&[f64::NAN], 1).is_err());
        assert!(fixed_point(&[1e9], 1).is_ok() && fixed_point(&[1e9], 10).is_err());
    }
}
