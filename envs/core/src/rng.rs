//! The random numbers of Agon: Philox4x32-10, a counter-based generator (Salmon et al. 2011, "Parallel random
//! numbers: as easy as 1, 2, 3").
//!
//! A stream is named by (seed, stream, lane); its n-th block of four words is a pure function of those and n. So
//! streams never overlap, cost nothing to create, and a whole generator is saved as three numbers.

use rand::rand_core::{Infallible, TryRng};
use serde::{Deserialize, Serialize};

/// What a stream is for. Two uses of one seed never share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// Initial states and the noise of environments.
    Env = 1,
    /// Exploration: the sampling of actions.
    Act = 2,
    /// Initial weights.
    Weights = 3,
    /// The order of minibatches.
    Shuffle = 4,
    /// Environments of evaluations.
    Eval = 5,
    /// Scripted players.
    Player = 6,
}

/// One stream of random numbers. 32 bytes of state: key, stream, lane and the number of words drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    key: [u32; 2],
    stream: u32,
    lane: u32,
    drawn: u64,
    block: [u32; 4],
}

/// Random numbers for the rows of a batch, step by step: each row's numbers are those of its lane among all lanes of a
/// run, so that a row acts alike in whichever batch it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneRngs {
    seed: u64,
    stream: Stream,
    first_lane: u32,
    /// Steps made.
    pub step: u64,
}

impl LaneRngs {
    /// Row 0 is lane `first_lane`.
    pub fn new(seed: u64, stream: Stream, first_lane: u32) -> Self {
        Self { seed, stream, first_lane, step: 0 }
    }

    /// The generator of a row at this step.
    pub fn row(&self, row: usize) -> Rng {
        Rng::at_step(self.seed, self.stream, self.first_lane + row as u32, self.step)
    }
}

/// A generator as it is saved: `[seed, stream << 32 | lane, words drawn]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "[u64; 3]")]
pub struct RngState(pub [u64; 3]);

impl TryFrom<[u64; 3]> for RngState {
    type Error = String;

    fn try_from(words: [u64; 3]) -> Result<Self, String> {
        let [_, place, drawn] = words;
        let streams = Stream::Env as u64..=Stream::Player as u64;
        if !streams.contains(&(place >> 32)) {
            return Err(format!("{place} names no stream of random numbers"));
        }
        // Nobody draws so many; beyond it the count would overflow.
        if drawn >> 62 != 0 { Err(format!("{drawn} words cannot have been drawn")) } else { Ok(Self(words)) }
    }
}

impl Rng {
    /// The stream named by seed, purpose and lane.
    pub fn new(seed: u64, stream: Stream, lane: u32) -> Self {
        Self::raw(seed, stream as u32, lane)
    }

    /// The stream of a lane at one of its steps: the same numbers whatever was drawn at earlier steps, and in whichever
    /// batch the lane is. A step has 65,536 words of its own; there may be 2^44 steps.
    pub fn at_step(seed: u64, stream: Stream, lane: u32, step: u64) -> Self {
        Self { drawn: step << 16, ..Self::new(seed, stream, lane) }
    }

    fn raw(seed: u64, stream: u32, lane: u32) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], stream, lane, drawn: 0, block: [0; 4] }
    }

    /// A number in [0, 1) with 53 random bits.
    #[inline]
    pub fn f64(&mut self) -> f64 {
        let low = u64::from(self.word());
        let high = u64::from(self.word());
        (((high << 32 | low) >> 11) as f64) * (1.0 / (1u64 << 53) as f64)
    }

    /// A number in [low, high).
    #[inline]
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.f64()
    }

    /// A number in [0, 1) with 24 random bits.
    #[inline]
    pub fn f32(&mut self) -> f32 {
        (self.word() >> 8) as f32 * (1.0 / (1 << 24) as f32)
    }

    /// An integer in [0, n); its bias is below n / 2^32. `n` must not be zero.
    #[inline]
    pub fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.word()) * u64::from(n)) >> 32) as u32
    }

    /// One whole block: four numbers in [low, high), of 32 random bits each.
    #[inline(always)]
    pub fn four(&mut self, low: f64, high: f64) -> [f64; 4] {
        let block = self.drawn.div_ceil(4);
        self.drawn = (block + 1) * 4;
        let step = (high - low) * (1.0 / (1u64 << 32) as f64);
        self.compute(block).map(|w| low + step * f64::from(w))
    }

    /// The generator `words` words further on.
    pub fn skip(&self, words: u64) -> Self {
        let RngState([seed, place, drawn]) = self.state();
        Self::restore(RngState([seed, place, drawn + words]))
    }

    /// The stream as a sequence of integers in [0, n): fills with those from number `first` on, whatever was drawn before,
    /// and draws nothing. Where n divides 256 a word gives four of them, exactly uniform; else one, with a bias below
    /// n / 2^32.
    pub fn fill_below(&self, n: u32, first: u64, out: &mut [i64]) {
        let bytes = n.is_power_of_two() && n <= 256;
        let each = if bytes { 16 * WIDE } else { 4 * WIDE };
        let (mut tile, head) = (first / each as u64, (first % each as u64) as usize);
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut rest = out;
                if head > 0 {
                    let mut whole = [0; 16 * WIDE];
                    self.tile(tile, n, bytes, &mut whole[..each]);
                    let (part, after) = rest.split_at_mut(rest.len().min(each - head));
                    part.copy_from_slice(&whole[head..head + part.len()]);
                    (rest, tile) = (after, tile + 1);
                }
                for (part, tile) in rest.chunks_mut(each).zip(tile..) {
                    self.tile(tile, n, bytes, part);
                }
            },
        );
    }

    /// The integers of [`WIDE`] blocks, as many of them as `out` holds.
    #[inline(always)]
    fn tile(&self, tile: u64, n: u32, bytes: bool, out: &mut [i64]) {
        let words = philox_wide::<WIDE>(self.key, self.stream, self.lane, tile * WIDE as u64);
        let runs = out.chunks_mut(WIDE);
        if bytes {
            for (k, run) in runs.enumerate() {
                let (word, shift) = (&words[k / 4], 8 * (k % 4));
                run.iter_mut().zip(word).for_each(|(o, w)| *o = i64::from(w >> shift & (n - 1)));
            }
        } else {
            for (run, word) in runs.zip(&words) {
                let below = |w: &u32| ((u64::from(*w) * u64::from(n)) >> 32) as i64;
                run.iter_mut().zip(word).for_each(|(o, w)| *o = below(w));
            }
        }
    }

    /// A standard normal number.
    #[inline]
    pub fn normal(&mut self) -> f64 {
        rand_distr::Distribution::sample(&rand_distr::StandardNormal, self)
    }

    /// A standard Gumbel number: the greatest of logits with one added to each is a draw from their softmax.
    #[inline]
    pub fn gumbel(&mut self) -> f64 {
        -(-self.f64().max(1e-300).ln()).ln()
    }

    /// A uniformly random permutation, in place (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }

    /// The state to be saved.
    pub fn state(&self) -> RngState {
        let seed = u64::from(self.key[1]) << 32 | u64::from(self.key[0]);
        RngState([seed, u64::from(self.stream) << 32 | u64::from(self.lane), self.drawn])
    }

    /// The generator that `state` was taken from.
    pub fn restore(state: RngState) -> Self {
        let [seed, place, drawn] = state.0;
        let mut rng = Self::raw(seed, (place >> 32) as u32, place as u32);
        rng.drawn = drawn;
        if !drawn.is_multiple_of(4) {
            rng.block = rng.compute(drawn / 4);
        }
        rng
    }

    #[inline(always)]
    fn compute(&self, block: u64) -> [u32; 4] {
        philox([block as u32, (block >> 32) as u32, self.stream, self.lane], self.key)
    }

    #[inline]
    fn word(&mut self) -> u32 {
        let at = (self.drawn % 4) as usize;
        if at == 0 {
            self.block = self.compute(self.drawn / 4);
        }
        self.drawn = self.drawn.wrapping_add(1);
        self.block[at]
    }
}

/// Blocks computed in parallel: plain arithmetic on arrays, which becomes SIMD.
const WIDE: usize = 16;

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Ten rounds over one counter.
#[inline(always)]
fn philox(mut c: [u32; 4], mut k: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let p0 = u64::from(MULTIPLIER[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIER[1]) * u64::from(c[2]);
        c = [(p1 >> 32) as u32 ^ c[1] ^ k[0], p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ k[1], p0 as u32];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

/// The same rounds over `W` successive counters; `out[word][counter]`.
#[inline(always)]
fn philox_wide<const W: usize>(mut k: [u32; 2], stream: u32, lane: u32, first: u64) -> [[u32; W]; 4] {
    let (mut c0, mut c1, mut c2, mut c3) = ([0u32; W], [0u32; W], [stream; W], [lane; W]);
    for i in 0..W {
        let block = first + i as u64;
        c0[i] = block as u32;
        c1[i] = (block >> 32) as u32;
    }
    for _ in 0..10 {
        for i in 0..W {
            let p0 = u64::from(MULTIPLIER[0]) * u64::from(c0[i]);
            let p1 = u64::from(MULTIPLIER[1]) * u64::from(c2[i]);
            c0[i] = (p1 >> 32) as u32 ^ c1[i] ^ k[0];
            c1[i] = p1 as u32;
            c2[i] = (p0 >> 32) as u32 ^ c3[i] ^ k[1];
            c3[i] = p0 as u32;
        }
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    [c0, c1, c2, c3]
}

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.word());
        Ok(u64::from(self.word()) << 32 | low)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(4) {
            chunk.copy_from_slice(&self.word().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
    #[test]
    fn philox_gives_the_published_vectors() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = u32::MAX;
        assert_eq!(philox([ones; 4], [ones; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(pi, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn wide_blocks_are_the_same_numbers() {
        let wide = philox_wide::<16>([3, 4], 5, 6, u64::from(u32::MAX) - 7);
        for i in 0..16u64 {
            let block = u64::from(u32::MAX) - 7 + i;
            let one = philox([block as u32, (block >> 32) as u32, 5, 6], [3, 4]);
            assert_eq!(one, std::array::from_fn(|word| wide[word][i as usize]));
        }
    }

    #[test]
    fn a_saved_generator_goes_on_with_the_same_numbers() {
        for before in 0..9 {
            let mut rng = Rng::new(7, Stream::Env, 3);
            for _ in 0..before {
                rng.word();
            }
            let (mut copy, mut skipped) = (Rng::restore(rng.state()), Rng::new(7, Stream::Env, 3).skip(before));
            for _ in 0..20 {
                let word = rng.word();
                assert_eq!((copy.word(), skipped.word()), (word, word));
            }
        }
    }

    #[test]
    fn below_is_uniform_and_filled_integers_are_too() {
        let rng = Rng::new(1, Stream::Act, 0);
        // Chi-square's 99.9 % points for n − 1 degrees of freedom.
        for (n, limit) in [(7, 22.46), (2, 10.83), (8, 24.32)] {
            let mut out = vec![0i64; 70_001];
            rng.fill_below(n, 0, &mut out);
            let mut counts = vec![0f64; n as usize];
            out.iter().for_each(|&i| counts[i as usize] += 1.0);
            let expected = out.len() as f64 / f64::from(n);
            let chi2: f64 = counts.iter().map(|c| (c - expected).powi(2) / expected).sum();
            assert!(chi2 < limit, "{n}: {chi2}");
            for part in [0..1, 3..70, 255..600, 256..300] {
                let mut again = vec![0; part.len()];
                rng.fill_below(n, part.start as u64, &mut again);
                assert_eq!(again, out[part], "any part of the sequence is the same numbers");
            }
            // Neighbours are independent too.
            let pairs = out.windows(2).filter(|w| w[0] == w[1]).count() as f64;
            let (mean, p) = (70_000.0 / f64::from(n), 1.0 / f64::from(n));
            assert!((pairs - mean).abs() < 3.9 * (70_000.0 * p * (1.0 - p)).sqrt(), "{n}: {pairs}");
        }
    }
}
