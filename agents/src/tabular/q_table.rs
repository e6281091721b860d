//! Action values of every observation that was met.

use crate::agent::{AgentError, Saved};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Fx, as rustc hashes: observations are few and short, and nobody chooses them to collide.
#[derive(Default)]
struct Words(u64);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(4) {
            let mut whole = [0; 4];
            whole[..word.len()].copy_from_slice(word);
            self.write_u32(u32::from_le_bytes(whole));
        }
    }
    fn write_u32(&mut self, x: u32) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(x)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    fn write_usize(&mut self, _: usize) {} // the length, which is always the same
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}

/// Action values of all tables in every state that was met.
#[derive(Clone)]
pub(super) struct QTable {
    places: HashMap<Box<[u32]>, u32, BuildHasherDefault<Words>>,
    /// Observations in the order in which they were met.
    pub(super) keys: Vec<Box<[u32]>>,
    pub(super) actions: usize,
    pub(super) tables: usize,
    /// Values of a state that is met for the first time, `[actions]`.
    pub(super) fresh: Vec<f32>,
    /// `[states, tables, actions]`
    pub(super) q: Vec<f32>,
    /// `[states, tables]` the best legal action.
    pub(super) best: Vec<u32>,
    /// `[states, actions]`, or empty without masks.
    pub(super) legal: Vec<bool>,
    /// `[states]` whether a state's legal actions were ever told.
    pub(super) told: Vec<bool>,
    pub(super) masked: bool,
    key: Vec<u32>,
}

impl QTable {
    /// An empty table.
    pub(super) fn new(actions: usize, tables: usize, fresh: Vec<f32>, masked: bool) -> Self {
        Self {
            places: HashMap::default(),
            keys: Vec::new(),
            actions,
            tables,
            fresh,
            q: Vec::new(),
            best: Vec::new(),
            legal: Vec::new(),
            told: Vec::new(),
            masked,
            key: Vec::new(),
        }
    }

    /// Takes the table of a save in, of observations of `width` numbers; the number of its states.
    pub(super) fn load(&mut self, saved: &Saved, width: usize) -> Result<usize, AgentError> {
        let broken = |what: &str| AgentError::Checkpoint(format!("its table's {what} are not whole"));
        let [keys, q, legal] = ["keys", "q", "legal"].map(|name| numbers(saved, name));
        let (keys, q, legal) = (keys?, q?, legal?);
        let (best, told): (Vec<u32>, Vec<bool>) = (saved.part("best")?, saved.part("told")?);
        let states = keys.len() / width;
        let tables = q.len().checked_div(states * self.actions).unwrap_or(self.tables);
        let whole = keys.len() == states * width && q.len() == states * tables * self.actions;
        // A table each, or one; an evaluation (another number of rows) may have as many as there are.
        if !whole || tables == 0 || best.len() != states * tables || best.iter().any(|b| *b as usize >= self.actions) {
            return Err(broken("values"));
        }
        let masks = if self.masked { states } else { 0 };
        if legal.len() != masks * self.actions || told.len() != masks {
            return Err(broken("masks"));
        }
        self.keys = keys.chunks_exact(width).map(|k| k.iter().map(|x| x.to_bits()).collect()).collect();
        self.places = self.keys.iter().enumerate().map(|(i, k)| (k.clone(), i as u32)).collect();
        (self.q, self.best, self.tables) = (q, best, tables);
        self.legal = legal.iter().map(|l| *l != 0.0).collect();
        self.told = told;
        Ok(states)
    }

    /// The place of an observation, which is made if it is new. `mask`: its legal actions, or empty.
    pub(super) fn place(&mut self, obs: &[f32], mask: &[bool]) -> usize {
        self.key.clear();
        // −0 and 0 are one number.
        self.key.extend(obs.iter().map(|x| (x + 0.0).to_bits()));
        if let Some(place) = self.places.get(&self.key[..]) {
            let place = *place as usize;
            if self.masked && !self.told[place] && !mask.is_empty() {
                self.told[place] = true;
                self.legal[place * self.actions..(place + 1) * self.actions].copy_from_slice(mask);
                for table in 0..self.tables {
                    self.best[place * self.tables + table] = self.argmax(place, table);
                }
            }
            return place;
        }
        let place = self.keys.len();
        self.places.insert(self.key.clone().into(), place as u32);
        self.keys.push(self.key.clone().into());
        for _ in 0..self.tables {
            self.q.extend_from_slice(&self.fresh);
        }
        if self.masked {
            // The last observation of an episode that the step limit ended comes without a mask, until it is met again.
            self.told.push(!mask.is_empty());
            self.legal.extend((0..self.actions).map(|a| mask.get(a).copied().unwrap_or(true)));
        }
        let best = (0..self.tables).map(|t| self.argmax(place, t)).collect::<Vec<_>>();
        self.best.extend(best);
        place
    }

    pub(super) fn at(&self, state: usize, table: usize) -> usize {
        (state * self.tables + table) * self.actions
    }

    pub(super) fn is_legal(&self, state: usize, action: usize) -> bool {
        !self.masked || self.legal[state * self.actions + action]
    }

    pub(super) fn argmax(&self, state: usize, table: usize) -> u32 {
        let values = &self.q[self.at(state, table)..][..self.actions];
        let mut best = None;
        for (a, value) in values.iter().enumerate().filter(|(a, _)| self.is_legal(state, *a)) {
            if best.is_none_or(|(_, top)| *value > top) {
                best = Some((a, *value));
            }
        }
        best.map_or(0, |(a, _)| a as u32)
    }

    pub(super) fn best(&self, state: usize, table: usize) -> usize {
        self.best[state * self.tables + table] as usize
    }

    pub(super) fn value(&self, state: usize, table: usize, action: usize) -> f32 {
        self.q[self.at(state, table) + action]
    }

    /// Moves a value towards its target by the share `rate`; whether the best action of the state changed with it.
    pub(super) fn update(&mut self, state: usize, table: usize, action: usize, target: f32, rate: f32) -> bool {
        let (from, at) = (self.at(state, table), state * self.tables + table);
        let best = self.best[at] as usize;
        let value = &mut self.q[from + action];
        *value += rate * (target - *value);
        let value = *value;
        let now = if action == best {
            self.argmax(state, table) as usize
        } else if value > self.q[from + best] {
            action
        } else {
            best
        };
        self.best[at] = now as u32;
        now != best
    }
}

/// The numbers of a tensor in a save.
pub(super) fn numbers(saved: &Saved, name: &str) -> Result<Vec<f32>, AgentError> {
    let tensor = saved.tensor(name)?;
    let mut numbers = vec![0.0; tensor.numel()];
    crate::bridge::read_f32(tensor, &mut numbers);
    Ok(numbers)
}
