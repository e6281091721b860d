//! Switchback experiments: new prices and old ones take turns in blocks of weeks, so that a lift is measured and not only
//! promised (Bojinov, Simchi-Levi and Zhao 2023).
//!
//! Blocks come in pairs: one with the new prices, one with the old, in an order drawn by the seed; of several shops half begin
//! with the new ones, so that what happens to all shops alike cancels. An observation is the mean over shops of
//! ln(profit a week with the new prices) − ln(with the old ones) in a pair.
//!
//! Whoever looks every week and stops when the result pleases must not be fooled: the test is a mixture of t-tests that stays
//! valid whenever one looks and stops ([`confidence`]).

use agon_core::rng::{Rng, Stream};

/// An experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Design {
    /// Shops that take part, each on its own.
    pub shops: usize,
    /// Weeks of a block.
    pub block: usize,
    /// First weeks of a block that do not count, as customers still remember the prices before.
    pub settle: usize,
    /// Pairs of blocks.
    pub pairs: usize,
}

/// What a shop does in a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The week, from 0.
    pub week: usize,
    /// The shop, from 0.
    pub shop: usize,
    /// The pair of blocks, from 0.
    pub pair: usize,
    /// Whether the new prices are charged.
    pub new: bool,
    /// Whether the week counts.
    pub counts: bool,
}

impl Design {
    /// Weeks of the whole experiment.
    pub fn weeks(&self) -> usize {
        2 * self.block * self.pairs
    }

    /// Who charges which prices when, week after week. Equal seeds give equal schedules, whatever the number of pairs.
    pub fn schedule(&self, seed: u64) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(self.weeks() * self.shops);
        for pair in 0..self.pairs {
            let mut rng = Rng::at_step(seed, Stream::Act, 0, pair as u64);
            let mut order: Vec<usize> = (0..self.shops).collect();
            rng.shuffle(&mut order);
            // Of an odd number it is drawn which half is larger.
            let first = self.shops / 2 + if self.shops % 2 == 1 { rng.below(2) as usize } else { 0 };
            let mut begins = vec![false; self.shops];
            order[..first].iter().for_each(|shop| begins[*shop] = true);
            for week in 0..2 * self.block {
                let second = week >= self.block;
                for (shop, begins) in begins.iter().enumerate() {
                    slots.push(Slot {
                        week: pair * 2 * self.block + week,
                        shop,
                        pair,
                        new: begins ^ second,
                        counts: week % self.block >= self.settle,
                    });
                }
            }
        }
        slots
    }
}

/// The observations of complete pairs, in their order, from the profit of each slot that is known: a pair is complete where
/// all weeks that count are. None where a block's profit is not positive.
pub fn observations(results: &[(Slot, Option<f64>)]) -> Option<Vec<f64>> {
    let pairs = results.iter().map(|(slot, _)| slot.pair + 1).max().unwrap_or(0);
    let mut found = Vec::new();
    for pair in 0..pairs {
        let of: Vec<&(Slot, Option<f64>)> = results.iter().filter(|(s, _)| s.pair == pair && s.counts).collect();
        if of.is_empty() || of.iter().any(|(_, profit)| profit.is_none()) {
            continue;
        }
        let shops = of.iter().map(|(slot, _)| slot.shop + 1).max().unwrap_or(0);
        let (mut sum, mut count) = (0.0, 0.0);
        for shop in 0..shops {
            let mean = |new: bool| {
                let profits: Vec<f64> =
                    of.iter().filter(|(s, _)| s.shop == shop && s.new == new).filter_map(|(_, p)| *p).collect();
                (!profits.is_empty()).then(|| profits.iter().sum::<f64>() / profits.len() as f64)
            };
            let (Some(new), Some(old)) = (mean(true), mean(false)) else { continue };
            if !(new > 0.0 && old > 0.0) {
                return None;
            }
            sum += (new / old).ln();
            count += 1.0;
        }
        if count > 0.0 {
            found.push(sum / count);
        }
    }
    Some(found)
}

/// An interval for the mean of normal observations that holds it with probability 1 − α at all times together, however often
/// one looks and whenever one stops (a confidence sequence). None while nothing can be excluded.
///
/// The Bayes factor of an effect with a normal prior of variance g, in standard deviations, and the right Haar prior of the
/// standard deviation, against no effect, is √c⁻¹ ((1 + t²/ν) / (1 + t²/(ν c)))^((ν + 1) / 2), with c = 1 + n g and ν = n − 1
/// (Gönen et al. 2005). It exceeds 1/α with probability α at most at any time (Ville's inequality; Wang and Ramdas 2025). The
/// interval is what it does not reject. Small g are for small effects.
pub fn confidence(observations: &[f64], g: f64, alpha: f64) -> Option<[f64; 2]> {
    let n = observations.len() as f64;
    if n < 2.0 {
        return None;
    }
    let mean = observations.iter().sum::<f64>() / n;
    let deviation = (observations.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let (c, nu) = (1.0 + n * g, n - 1.0);
    let bound = (c.sqrt() / alpha).powf(2.0 / (nu + 1.0));
    // However large t is, the factor stays below 1/α.
    if bound >= c {
        return None;
    }
    let t = (nu * (bound - 1.0) / (1.0 - bound / c)).sqrt();
    let half = t * deviation / n.sqrt();
    Some([mean - half, mean + half])
}

/// How much weekly profits vary where prices stay as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Standard deviation of ln(profit) of a shop's week around what is expected.
    pub deviation: f64,
    /// Correlation of a week with the one before.
    pub carried: f64,
}

impl Noise {
    /// Of logs of real beside expected profits, in the order of time.
    pub fn of(off: &[f64]) -> Self {
        let n = off.len() as f64;
        let mean = off.iter().sum::<f64>() / n;
        let square = off.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        let beside = off.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum::<f64>();
        let carried = if square > 0.0 { (beside / square).clamp(0.0, 0.95) } else { 0.0 };
        Self { deviation: (square / (n - 1.0).max(1.0)).sqrt(), carried }
    }

    /// A shop's weeks, one after the other.
    fn path(self, weeks: usize, rng: &mut Rng) -> Vec<f64> {
        let fresh = (1.0 - self.carried * self.carried).sqrt();
        let mut last = rng.normal();
        (0..weeks)
            .map(|_| {
                let now = self.deviation * last;
                last = self.carried * last + fresh * rng.normal();
                now
            })
            .collect()
    }
}

/// Simulated experiments behind a power.
pub const TRIALS: u32 = 1000;

/// One simulated experiment: its observations, where the new prices earn the share `lift` more.
pub fn simulate(design: Design, noise: Noise, lift: f64, seed: u64) -> Vec<f64> {
    let paths: Vec<Vec<f64>> = (0..design.shops)
        .map(|shop| noise.path(design.weeks(), &mut Rng::new(seed, Stream::Env, shop as u32)))
        .collect();
    let of = |slot: Slot| {
        let more = if slot.new { lift.ln_1p() } else { 0.0 };
        (slot, Some((paths[slot.shop][slot.week] + more).exp()))
    };
    let results: Vec<(Slot, Option<f64>)> = design.schedule(seed).into_iter().map(of).collect();
    observations(&results).unwrap_or_default()
}

/// The variance g that suits a lift: that of the effect itself, beside that of an observation.
pub fn prior(design: Design, noise: Noise, lift: f64) -> f64 {
    let one = Design { pairs: 400, ..design };
    let off = simulate(one, noise, 0.0, 1);
    let square = off.iter().map(|x| x * x).sum::<f64>() / off.len() as f64;
    (lift.ln_1p().powi(2) / square.max(1e-12)).clamp(1e-6, 1e3)
}

/// For each number of pairs up to the design's, the share of experiments that have found the lift by then, by somebody who
/// looks after every pair and stops where the interval is above zero.
pub fn power(design: Design, noise: Noise, lift: f64, alpha: f64, trials: u32, seed: u64) -> Vec<f64> {
    let g = prior(design, noise, lift);
    let mut found = vec![0u32; design.pairs];
    for trial in 0..trials {
        let seen = simulate(design, noise, lift, seed + u64::from(trial));
        let sure = |n: &usize| confidence(&seen[..*n], g, alpha).is_some_and(|[low, _]| low > 0.0);
        if let Some(n) = (2..=seen.len()).find(sure) {
            found[n - 1..].iter_mut().for_each(|count| *count += 1);
        }
    }
    found.into_iter().map(|count| f64::from(count) / f64::from(trials)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISE: Noise = Noise { deviation: 0.2, carried: 0.3 };

    /// Half of the shops begin with the new prices, every pair has both, and a longer experiment begins alike.
    #[test]
    fn schedules_are_balanced_and_repeat() {
        let design = Design { shops: 6, block: 3, settle: 1, pairs: 8 };
        let slots = design.schedule(5);
        assert_eq!(slots.len(), 6 * design.weeks());
        for week in 0..design.weeks() {
            let new = slots.iter().filter(|s| s.week == week && s.new).count();
            assert_eq!(new, 3, "week {week}");
        }
        for (pair, shop) in (0..8).flat_map(|pair| (0..6).map(move |shop| (pair, shop))) {
            let of: Vec<&Slot> = slots.iter().filter(|s| s.pair == pair && s.shop == shop).collect();
            assert_eq!(
                (of.len(), of.iter().filter(|s| s.new).count(), of.iter().filter(|s| s.counts).count()),
                (6, 3, 4)
            );
        }
        assert_eq!(Design { pairs: 20, ..design }.schedule(5)[..slots.len()], slots);
        let other = design.schedule(6);
        assert!(other != slots);
        let alone: Vec<bool> =
            Design { shops: 1, ..design }.schedule(1).iter().filter(|s| s.week % 6 == 0).map(|s| s.new).collect();
        assert!(alone.contains(&true) && alone.contains(&false), "the order is drawn: {alone:?}");
    }

    /// Nothing to find, a look after each of 100 pairs: at most 5 % of experiments ever say that there is something, with
    /// independent weeks, with weeks that carry over, and with a few very bad ones; an ordinary t-test does in far more.
    #[test]
    fn looking_every_week_raises_no_false_alarms() {
        let design = Design { shops: 1, block: 2, settle: 0, pairs: 100 };
        for (carried, rare) in [(0.0, false), (0.6, false), (0.0, true)] {
            let (mut alarms, mut naive, trials) = (0, 0, 1500);
            for seed in 0..trials {
                let mut seen = simulate(design, Noise { deviation: 0.2, carried }, 0.0, seed);
                if rare {
                    let mut rng = Rng::new(seed, Stream::Player, 0);
                    seen.iter_mut().for_each(|x| *x *= if rng.f64() < 0.1 { 4.0 } else { 1.0 });
                }
                let excludes = |[low, high]: [f64; 2]| low > 0.0 || high < 0.0;
                alarms += u32::from((2..=100).any(|n| confidence(&seen[..n], 0.1, 0.05).is_some_and(excludes)));
                let fixed = |n: usize| {
                    let mean = seen[..n].iter().sum::<f64>() / n as f64;
                    let square = seen[..n].iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
                    mean.abs() > agon_core::stats::student_975(n as f64 - 1.0) * (square / n as f64).sqrt()
                };
                naive += u32::from((2..=100).any(fixed));
            }
            let (alarms, naive) = (f64::from(alarms) / trials as f64, f64::from(naive) / trials as f64);
            assert!(alarms <= 0.05 && naive > 0.2, "{carried} {rare}: {alarms} {naive}");
        }
    }

    /// The pairs that are planned for a power of 80 % find the lift in about 80 % of other experiments, and the interval at the
    /// moment of the decision holds the true lift in 95 %.
    #[test]
    fn the_power_is_as_promised() {
        let lift = 0.10;
        for shops in [1, 4] {
            let design = Design { shops, block: 2, settle: 0, pairs: 150 };
            let promised = power(design, NOISE, lift, 0.05, TRIALS, 1);
            let pairs = promised.iter().position(|p| *p >= 0.8).unwrap() + 1;
            assert!((8..140).contains(&pairs), "{shops}: {pairs}");
            let (planned, g) = (Design { pairs, ..design }, prior(design, NOISE, lift));
            let (mut found, mut held, trials) = (0, 0, 1000);
            for seed in 0..trials {
                let seen = simulate(planned, NOISE, lift, 100_000 + seed);
                let sure = |n: &usize| confidence(&seen[..*n], g, 0.05).is_some_and(|[low, _]| low > 0.0);
                let stop = (2..=pairs).find(sure);
                found += u32::from(stop.is_some());
                let [low, high] = confidence(&seen[..stop.unwrap_or(pairs)], g, 0.05).unwrap_or([-1.0, 1.0]);
                held += u32::from((low..=high).contains(&lift.ln_1p()));
            }
            let [found, held] = [found, held].map(|n| f64::from(n) / trials as f64);
            assert!((0.77..0.84).contains(&found) && held >= 0.95, "{shops}: {found} {held}");
        }
    }

    /// The closed form of the interval's end: there the Bayes factor is 1/α.
    #[test]
    fn the_bayes_factor_is_one_over_alpha_at_the_end() {
        let seen = [0.3, -0.1, 0.4, 0.2, 0.0, 0.25, 0.1];
        let (g, alpha, n) = (0.8, 0.05, 7.0f64);
        let [low, high] = confidence(&seen, g, alpha).unwrap();
        let mean = seen.iter().sum::<f64>() / n;
        let square = seen.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        for end in [low, high] {
            let t2 = n * (mean - end).powi(2) / square;
            let (nu, c) = (n - 1.0, 1.0 + n * g);
            let factor = c.powf(-0.5) * ((1.0 + t2 / nu) / (1.0 + t2 / (nu * c))).powf((nu + 1.0) / 2.0);
            assert!((factor - 20.0).abs() < 1e-9, "{factor}");
        }
        assert_eq!(confidence(&seen[..2], g, alpha), None, "two observations exclude nothing");
    }

    #[test]
    fn pairs_that_are_not_over_do_not_count() {
        let design = Design { shops: 1, block: 1, settle: 0, pairs: 2 };
        let slots = design.schedule(1);
        let results: Vec<(Slot, Option<f64>)> =
            slots.iter().map(|slot| (*slot, (slot.week < 3).then_some(if slot.new { 110.0 } else { 100.0 }))).collect();
        let found = observations(&results).unwrap();
        assert!(found.len() == 1 && (found[0] - 1.1f64.ln()).abs() < 1e-12);
        let loss: Vec<_> = results.iter().map(|(slot, _)| (*slot, Some(-1.0))).collect();
        assert_eq!(observations(&loss), None);
    }

    #[test]
    fn noise_is_measured() {
        let noise = Noise { deviation: 0.3, carried: 0.5 };
        let found = Noise::of(&noise.path(20_000, &mut Rng::new(1, Stream::Env, 0)));
        assert!((found.deviation - 0.3).abs() < 0.01 && (found.carried - 0.5).abs() < 0.03, "{found:?}");
    }
}
