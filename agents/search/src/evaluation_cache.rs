//! A cache of a network's evaluations, valid while the network stays the same: a position comes up again in the search
//! of the next move, by transposition, and in other games.

/// The most numbers that are cached: 32 MiB.
const ROOM: usize = 1 << 23;

/// A hash table with one evaluation a slot: a later one replaces an earlier one.
pub struct EvaluationCache {
    keys: Vec<u64>,
    /// Logits and value, a row each.
    rows: Vec<f32>,
    width: usize,
}

impl EvaluationCache {
    /// For networks with so many actions that evaluate about so many positions.
    pub fn new(actions: usize, evaluations: usize) -> Self {
        let width = actions + 1;
        let places = 1 << evaluations.min(ROOM / width).max(1).ilog2();
        Self { keys: vec![0; places], rows: vec![0.0; places * width], width }
    }

    /// The hash of an observation. Two observations share a key with a probability of about 2⁻⁶⁴.
    pub fn key(obs: &[f32]) -> u64 {
        // Multiplied and folded: every bit of an observation reaches the low bits, which select the slot.
        let fold = |hash: u64, x: &f32| {
            let hash = (hash ^ u64::from(x.to_bits())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^ (hash >> 29)
        };
        obs.iter().fold(obs.len() as u64 + 1, fold).max(1) // 0 marks an empty slot
    }

    fn place(&self, key: u64) -> usize {
        key as usize & (self.keys.len() - 1)
    }

    /// The logits and the value of this key, if they are still there.
    pub fn find(&self, key: u64) -> Option<(&[f32], f32)> {
        let place = self.place(key);
        if self.keys[place] != key {
            return None;
        }
        let (value, logits) = self.rows[place * self.width..(place + 1) * self.width].split_last()?;
        Some((logits, *value))
    }

    /// Stores an evaluation.
    pub fn keep(&mut self, key: u64, logits: &[f32], value: f32) {
        let place = self.place(key);
        self.keys[place] = key;
        let row = &mut self.rows[place * self.width..(place + 1) * self.width];
        row[..logits.len()].copy_from_slice(logits);
        row[logits.len()] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_was_kept_for_the_same_observation() {
        let mut cache = EvaluationCache::new(2, 4);
        let keys = [[0.0, 1.0], [1.0, 0.0], [0.5, 0.0], [-0.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
            .map(|obs| EvaluationCache::key(&obs));
        for (i, key) in keys.iter().enumerate() {
            assert!(cache.find(*key).is_none());
            cache.keep(*key, &[i as f32, 1.0], -1.0);
            assert_eq!(cache.find(*key), Some((&[i as f32, 1.0][..], -1.0)));
        }
        // Four places for six.
        let found = keys.iter().enumerate().filter_map(|(i, key)| Some((i, cache.find(*key)?.0[0])));
        let found: Vec<_> = found.collect();
        assert!((1..=4).contains(&found.len()) && found.iter().all(|(i, logit)| *i as f32 == *logit), "{found:?}");
    }
}
