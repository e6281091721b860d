//! What a network said of positions, while it stays the same: a position comes up again in the search of the next move,
//! by another order of moves, and in other games.

/// Room for what is remembered, in numbers: 32 MiB.
const ROOM: usize = 1 << 23;

/// A table where a judgement stands at a place that its observation tells. A later one takes the place of an earlier one.
pub struct Memory {
    keys: Vec<u64>,
    /// Logits and value, a row each.
    rows: Vec<f32>,
    width: usize,
}

impl Memory {
    /// For networks with so many actions that judge about so many positions.
    pub fn new(actions: usize, judgements: usize) -> Self {
        let width = actions + 1;
        let places = 1 << judgements.min(ROOM / width).max(1).ilog2();
        Self { keys: vec![0; places], rows: vec![0.0; places * width], width }
    }

    /// What stands for an observation. Two observations share a key with a probability of about 2⁻⁶⁴.
    pub fn key(obs: &[f32]) -> u64 {
        // Multiplied and folded: every bit of an observation reaches the low bits, which tell the place.
        let fold = |hash: u64, x: &f32| {
            let hash = (hash ^ u64::from(x.to_bits())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^ (hash >> 29)
        };
        obs.iter().fold(obs.len() as u64 + 1, fold).max(1) // 0 is an empty place
    }

    fn place(&self, key: u64) -> usize {
        key as usize & (self.keys.len() - 1)
    }

    /// The logits and the value that were kept for this key, if they are still there.
    pub fn find(&self, key: u64) -> Option<(&[f32], f32)> {
        let place = self.place(key);
        if self.keys[place] != key {
            return None;
        }
        let (value, logits) = self.rows[place * self.width..(place + 1) * self.width].split_last()?;
        Some((logits, *value))
    }

    /// Keeps what was said.
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
        let mut memory = Memory::new(2, 4);
        let keys =
            [[0.0, 1.0], [1.0, 0.0], [0.5, 0.0], [-0.0, 1.0], [0.0, 0.0], [1.0, 1.0]].map(|obs| Memory::key(&obs));
        for (i, key) in keys.iter().enumerate() {
            assert!(memory.find(*key).is_none());
            memory.keep(*key, &[i as f32, 1.0], -1.0);
            assert_eq!(memory.find(*key), Some((&[i as f32, 1.0][..], -1.0)));
        }
        // Four places for six.
        let found = keys.iter().enumerate().filter_map(|(i, key)| Some((i, memory.find(*key)?.0[0])));
        let found: Vec<_> = found.collect();
        assert!((1..=4).contains(&found.len()) && found.iter().all(|(i, logit)| *i as f32 == *logit), "{found:?}");
    }
}
