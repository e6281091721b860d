//! Replay memory for off-policy learners: n-step transitions from a ring of whole steps, drawn uniformly or by priority.
//!
//! A step of all rows is stored once. What a transition needs of later steps (n rewards, the observation after them) is
//! read in place, which takes about half the memory of separate transitions. Pictures are kept as bytes, actions as
//! choices or as numbers.

use crate::agent::{AgentError, Saved};
use crate::bridge::read_f32;
use crate::sum_tree::{SumTree, fetch};
use agon_core::rng::Rng;
use agon_core::{ActionSpec, Actions, Dtype, Spec};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tch::Tensor;

/// How transitions are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Priorities {
    /// α: 0 is uniform.
    pub exponent: f64,
    /// What is added to every error.
    pub floor: f64,
}

/// A batch of transitions, row after row.
#[derive(Debug)]
pub struct Batch {
    /// `[n, obs_len]`
    pub obs: Vec<f32>,
    /// `[n, obs_len]`, n steps later, or the episode's last one.
    pub next_obs: Vec<f32>,
    /// `[n, actions]`, or empty without masks.
    pub next_mask: Vec<bool>,
    /// `[n]` where actions are choices, else empty.
    pub action: Vec<i64>,
    /// `[n, len]` where actions are numbers, else empty.
    pub numbers: Vec<f32>,
    /// `[n]` the discounted rewards of the steps between.
    pub reward: Vec<f32>,
    /// `[n]` what the value of `next_obs` is discounted by; 0 where the rules ended the episode.
    pub discount: Vec<f32>,
    /// `[n]` importance weights, the largest 1.
    pub weight: Vec<f32>,
    /// Their slots.
    pub places: Vec<usize>,
}

impl Batch {
    /// For `n` transitions.
    pub fn new(spec: &Spec, n: usize) -> Self {
        let mask_len = if spec.masked { spec.action.mask_len() } else { 0 };
        Self {
            obs: vec![0.0; n * spec.obs_len()],
            next_obs: vec![0.0; n * spec.obs_len()],
            next_mask: vec![false; n * mask_len],
            action: vec![0; if width(spec) > 0 { 0 } else { n }],
            numbers: vec![0.0; n * width(spec)],
            reward: vec![0.0; n],
            discount: vec![0.0; n],
            weight: vec![1.0; n],
            places: vec![0; n],
        }
    }
}

/// Numbers of an action, where it is made of numbers.
fn width(spec: &Spec) -> usize {
    if matches!(spec.action, ActionSpec::Continuous { .. }) { spec.action.len() } else { 0 }
}

/// Stored observations.
enum Kept {
    Numbers(Vec<f32>),
    /// Of pictures: integers from 0 to 255.
    Bytes(Vec<u8>),
}

impl Kept {
    fn new(bytes: bool, len: usize) -> Self {
        if bytes { Self::Bytes(vec![0; len]) } else { Self::Numbers(vec![0.0; len]) }
    }

    fn write(&mut self, from: usize, numbers: &[f32]) {
        match self {
            Self::Numbers(all) => all[from..from + numbers.len()].copy_from_slice(numbers),
            Self::Bytes(all) => all[from..].iter_mut().zip(numbers).for_each(|(byte, x)| *byte = *x as u8),
        }
    }

    fn read(&self, from: usize, out: &mut [f32]) {
        match self {
            Self::Numbers(all) => out.copy_from_slice(&all[from..from + out.len()]),
            Self::Bytes(all) => out.iter_mut().zip(&all[from..]).for_each(|(x, byte)| *x = f32::from(*byte)),
        }
    }

    /// Prefetches the number at an index.
    fn fetch(&self, places: impl Iterator<Item = usize>) {
        match self {
            Self::Numbers(all) => fetch(places.map(|place| all[place])),
            Self::Bytes(all) => fetch(places.map(|place| f32::from(all[place]))),
        }
    }

    fn tensor(&self) -> Tensor {
        match self {
            Self::Numbers(all) => Tensor::from_slice(all),
            Self::Bytes(all) => Tensor::from_slice(all),
        }
    }
}

/// Action and outcome, adjacent in memory because they are read together.
#[derive(Clone, Copy, Debug, Default)]
struct Fact {
    reward: f32,
    action: u16,
    end: u8,
}

/// The end of a truncated episode.
struct Final {
    obs: Box<[f32]>,
    mask: Box<[bool]>,
}

/// What became of a step.
const RUNNING: u8 = 0;
const TERMINATED: u8 = 1;
const TRUNCATED: u8 = 2;

/// The memory. Slot (t mod steps) × rows + row holds row's step t.
pub struct Replay {
    rows: usize,
    steps: usize,
    obs_len: usize,
    mask_len: usize,
    actions: usize,
    n_step: usize,
    gamma: f32,
    obs: Kept,
    mask: Vec<bool>,
    facts: Vec<Fact>,
    /// `[slots, width]` actions that are made of numbers.
    numbers: Vec<f32>,
    width: usize,
    /// Last observations of truncated episodes, by slot.
    finals: BTreeMap<usize, Final>,
    /// Steps begun: the newest one's observation is there, its outcome is not.
    begun: u64,
    tree: Option<(SumTree, Priorities)>,
    /// The largest priority given so far: new transitions get it, so that all are drawn at least once.
    top: f32,
}

/// The step's outcome, all `[rows]` or `[rows, obs_len]`.
#[derive(Clone, Copy, Debug)]
pub struct StepOutcome<'a> {
    /// What was done, `[rows, len]`: one choice a row, or numbers.
    pub action: Actions<'a>,
    /// What was earned.
    pub reward: &'a [f32],
    /// Whether the rules ended the episode.
    pub terminated: &'a [bool],
    /// Whether the step limit did.
    pub truncated: &'a [bool],
    /// The ended episode's last observation.
    pub final_obs: &'a [f32],
    /// `[rows, actions]` for these where episodes were truncated, or empty where nothing is masked.
    pub final_mask: &'a [bool],
}

impl Replay {
    /// Room for at least `capacity` steps of single rows. `n_step` rewards, discounted by `gamma`, make a transition.
    pub fn new(
        spec: &Spec,
        rows: usize,
        capacity: usize,
        n_step: usize,
        gamma: f64,
        priorities: Option<Priorities>,
    ) -> Self {
        let steps = Self::steps(rows, capacity, n_step);
        let mask_len = if spec.masked { spec.action.mask_len() } else { 0 };
        let slots = steps * rows;
        Self {
            rows,
            steps,
            obs_len: spec.obs_len(),
            mask_len,
            actions: spec.action.mask_len(),
            n_step,
            gamma: gamma as f32,
            obs: Kept::new(spec.observation.dtype() == Dtype::U8, slots * spec.obs_len()),
            mask: vec![false; slots * mask_len],
            facts: vec![Fact::default(); slots],
            numbers: vec![0.0; slots * width(spec)],
            width: width(spec),
            finals: BTreeMap::new(),
            begun: 0,
            tree: priorities.map(|p| (SumTree::new(slots), p)),
            top: 1.0,
        }
    }

    /// Steps of all rows that are kept for at least `capacity` transitions.
    pub fn steps(rows: usize, capacity: usize, n_step: usize) -> usize {
        capacity.div_ceil(rows).max(n_step) + n_step + 1
    }

    /// Bytes for so many slots, including a copy and what writing them needs: all as 32-bit numbers, three times.
    pub fn bytes(spec: &Spec, capacity: usize) -> f64 {
        let mask_len = if spec.masked { spec.action.mask_len() } else { 0 };
        let obs = spec.obs_len() * if spec.observation.dtype() == Dtype::U8 { 1 } else { 4 };
        let numbers = obs + 4 * width(spec);
        let (kept, written) = (numbers + mask_len + 8 + 5, numbers + 4 * (mask_len + 4));
        capacity as f64 * (kept + 3 * written) as f64
    }

    /// Transitions that can be drawn.
    pub fn len(&self) -> usize {
        let kept = self.begun.min(self.steps as u64) as usize;
        kept.saturating_sub(self.n_step) * self.rows
    }

    /// Whether a step was ever begun.
    pub fn has_begun(&self) -> bool {
        self.begun > 0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn slot(&self, t: u64, row: usize) -> usize {
        (t % self.steps as u64) as usize * self.rows + row
    }

    /// Begins a step with all rows' observations, `[rows, obs_len]`, and masks.
    pub fn begin(&mut self, obs: &[f32], mask: &[bool]) {
        let first = self.slot(self.begun, 0);
        self.obs.write(first * self.obs_len, obs);
        self.mask[first * self.mask_len..][..mask.len()].copy_from_slice(mask);
        let gone: Vec<usize> = self.finals.range(first..first + self.rows).map(|(slot, _)| *slot).collect();
        gone.iter().for_each(|slot| drop(self.finals.remove(slot)));
        self.begun += 1;
        if let Some((tree, _)) = &mut self.tree {
            // The slots begun now hold nothing to draw, and the one that just got its n-th successor does.
            let slots = |first: usize| (first..first + self.rows).collect::<Vec<_>>();
            tree.set(&slots(first), |_| 0.0);
            if self.begun > self.n_step as u64 {
                let ready = ((self.begun - 1 - self.n_step as u64) % self.steps as u64) as usize * self.rows;
                tree.set(&slots(ready), |_| self.top);
            }
        }
    }

    /// Ends the step begun last.
    pub fn end(&mut self, step: StepOutcome<'_>) {
        let first = self.slot(self.begun - 1, 0);
        if let Actions::Continuous(numbers) = step.action {
            self.numbers[first * self.width..][..numbers.len()].copy_from_slice(numbers);
        }
        for row in 0..self.rows {
            let slot = first + row;
            let choice = |row: usize| match step.action {
                Actions::Discrete(choices) => choices[row] as u16,
                Actions::Continuous(_) => 0,
            };
            let end = match (step.terminated[row], step.truncated[row]) {
                (true, _) => TERMINATED,
                (_, true) => TRUNCATED,
                _ => RUNNING,
            };
            self.facts[slot] = Fact { reward: step.reward[row], action: choice(row), end };
            if end == TRUNCATED {
                let obs = &step.final_obs[row * self.obs_len..(row + 1) * self.obs_len];
                let mask = &step.final_mask[row * self.mask_len..(row + 1) * self.mask_len];
                self.finals.insert(slot, Final { obs: obs.into(), mask: mask.into() });
            }
        }
    }

    /// Draws transitions: by priority, one from each of as many equal shares of their sum, weighted
    /// by (N·P)^−`beta` over the largest; else uniformly.
    pub fn sample(&self, rng: &mut Rng, beta: f64, batch: &mut Batch) {
        let (n, len) = (batch.places.len(), self.len());
        let oldest = self.begun - (len / self.rows + self.n_step) as u64;
        match &self.tree {
            None => {
                for place in &mut batch.places {
                    let pick = rng.below(len as u32) as usize;
                    *place = self.slot(oldest + (pick / self.rows) as u64, pick % self.rows);
                }
            }
            Some((tree, _)) => {
                let (total, weight) = (tree.total(), &mut batch.weight);
                let share = total / n as f32;
                weight.iter_mut().enumerate().for_each(|(i, mass)| *mass = (i as f32 + rng.f32()) * share);
                tree.find(weight, &mut batch.places);
                let mean = total / len as f32;
                for (weight, place) in weight.iter_mut().zip(&batch.places) {
                    *weight = (tree.get(*place) / mean).powf(-beta as f32);
                }
                let largest = weight.iter().fold(0f32, |a, b| a.max(*b));
                weight.iter_mut().for_each(|w| *w /= largest);
            }
        }
        self.gather(batch);
    }

    /// Writes the transitions at `places`.
    fn gather(&self, batch: &mut Batch) {
        let (w, m) = (self.obs_len, self.mask_len);
        let Batch { obs, next_obs, next_mask, action, numbers, reward, discount, places, .. } = batch;
        // Where episodes end before, what is n steps later is fetched in vain.
        let later = |place: usize| (place + self.n_step * self.rows) % self.facts.len();
        fetch(places.iter().map(|place| self.facts[*place].reward));
        self.obs.fetch(places.iter().map(|place| place * w));
        self.obs.fetch(places.iter().map(|place| later(*place) * w));
        for (i, &place) in places.iter().enumerate() {
            self.obs.read(place * w, &mut obs[i * w..(i + 1) * w]);
            if self.width == 0 {
                action[i] = i64::from(self.facts[place].action);
            } else {
                let n = self.width;
                numbers[i * n..(i + 1) * n].copy_from_slice(&self.numbers[place * n..(place + 1) * n]);
            }
            let (mut slot, mut sum, mut weight, mut last) = (place, 0.0, 1.0, None);
            for _ in 0..self.n_step {
                let fact = self.facts[slot];
                sum += weight * fact.reward;
                weight *= self.gamma;
                match fact.end {
                    TERMINATED => weight = 0.0,
                    TRUNCATED => last = self.finals.get(&slot),
                    _ => {
                        slot += self.rows;
                        slot -= if slot >= self.facts.len() { self.facts.len() } else { 0 };
                        continue;
                    }
                }
                break;
            }
            (reward[i], discount[i]) = (sum, weight);
            let next = &mut next_obs[i * w..(i + 1) * w];
            match last {
                Some(last) => next.copy_from_slice(&last.obs),
                None => self.obs.read(slot * w, next),
            }
            let legal = last.map_or(&self.mask[slot * m..(slot + 1) * m], |last| &last.mask);
            next_mask[i * m..(i + 1) * m].copy_from_slice(legal);
        }
    }

    /// New priorities for transitions that were drawn, from their errors.
    pub fn update(&mut self, places: &[usize], errors: &[f32]) {
        let Some((tree, set)) = &mut self.tree else { return };
        let (exponent, floor) = (set.exponent as f32, set.floor as f32);
        let top = &mut self.top;
        let priorities: Vec<f32> = errors.iter().map(|error| (error.abs() + floor).powf(exponent)).collect();
        priorities.iter().for_each(|p| *top = top.max(*p));
        tree.set(places, |i| priorities[i]);
    }

    /// Everything that must be saved.
    pub fn save(&self, tensors: &mut Vec<(String, Tensor)>) -> Value {
        let list = |x: Vec<f32>| Tensor::from_slice(&x);
        let flags = |x: &[bool]| x.iter().map(|b| f32::from(u8::from(*b))).collect();
        tensors.push(("replay.obs".into(), self.obs.tensor()));
        if self.width > 0 {
            tensors.push(("replay.numbers".into(), Tensor::from_slice(&self.numbers)));
        }
        tensors.push(("replay.mask".into(), list(flags(&self.mask))));
        tensors.push(("replay.action".into(), list(self.facts.iter().map(|f| f32::from(f.action)).collect())));
        tensors.push(("replay.reward".into(), list(self.facts.iter().map(|f| f.reward).collect())));
        tensors.push(("replay.end".into(), list(self.facts.iter().map(|f| f32::from(f.end)).collect())));
        tensors
            .push(("replay.finals".into(), list(self.finals.values().flat_map(|f| f.obs.iter().copied()).collect())));
        let masks = self.finals.values().flat_map(|f| f.mask.iter().copied()).collect::<Vec<bool>>();
        tensors.push(("replay.final_masks".into(), list(flags(&masks))));
        if let Some((tree, _)) = &self.tree {
            tensors.push(("replay.priority".into(), list(tree.leaves())));
        }
        json!({"begun": self.begun, "top": self.top, "finals": self.finals.keys().collect::<Vec<_>>(),
               "rows": self.rows})
    }

    /// Restores a save of the same shape; nothing is restored where the number of rows differs (an evaluation).
    pub fn load(&mut self, saved: &Saved, state: &Value) -> Result<(), AgentError> {
        if state["rows"].as_u64() != Some(self.rows as u64) {
            return Ok(());
        }
        let broken = |what: &str| AgentError::Checkpoint(format!("its replay memory's `{what}` does not fit"));
        let part = |name: &str, len: usize| -> Result<Vec<f32>, AgentError> {
            let tensor = saved.tensor(&format!("replay.{name}"))?;
            let mut numbers = vec![0.0; tensor.numel()];
            read_f32(tensor, &mut numbers);
            if numbers.len() == len { Ok(numbers) } else { Err(broken(name)) }
        };
        let slots = self.facts.len();
        let numbers = if self.width > 0 { part("numbers", slots * self.width)? } else { Vec::new() };
        let places: Vec<usize> = serde_json::from_value(state["finals"].clone()).map_err(|_| broken("finals"))?;
        let (obs, mask) = (part("obs", slots * self.obs_len)?, part("mask", slots * self.mask_len)?);
        let (action, reward, end) = (part("action", slots)?, part("reward", slots)?, part("end", slots)?);
        let finals = part("finals", places.len() * self.obs_len)?;
        // Older saves had none: everything counted as legal there.
        let final_masks: Vec<bool> = match saved.tensor("replay.final_masks") {
            Ok(_) => part("final_masks", places.len() * self.mask_len)?.into_iter().map(|m| m != 0.0).collect(),
            Err(_) => vec![true; places.len() * self.mask_len],
        };
        if places.iter().any(|p| *p >= slots || end[*p] != f32::from(TRUNCATED)) {
            return Err(broken("finals"));
        }
        let begun = state["begun"].as_u64().filter(|n| *n < 1 << 60).ok_or_else(|| broken("begun"))?;
        let top = state["top"].as_f64().filter(|t| *t > 0.0 && *t < 1e30).ok_or_else(|| broken("top"))? as f32;
        let whole = |x: &f32, most: usize| *x >= 0.0 && x.fract() == 0.0 && *x < most as f32;
        if self.width == 0 && !action.iter().all(|a| whole(a, self.actions)) {
            return Err(broken("action"));
        }
        if !end.iter().all(|e| whole(e, 3)) {
            return Err(broken("end"));
        }
        if let Some((tree, _)) = &mut self.tree {
            let priority = part("priority", tree.leaves().len())?;
            if priority.iter().any(|p| *p < 0.0) {
                return Err(broken("priority"));
            }
            *tree = SumTree::new(slots);
            tree.set(&(0..slots).collect::<Vec<_>>(), |i| priority[i]);
        }
        self.obs.write(0, &obs);
        self.numbers = numbers;
        self.mask = mask.iter().map(|m| *m != 0.0).collect();
        let fact = |i: usize| Fact { reward: reward[i], action: action[i] as u16, end: end[i] as u8 };
        self.facts = (0..slots).map(fact).collect();
        let (w, m) = (self.obs_len, self.mask_len);
        let last = |i: usize| Final { obs: finals[i * w..][..w].into(), mask: final_masks[i * m..][..m].into() };
        self.finals = places.into_iter().enumerate().map(|(i, place)| (place, last(i))).collect();
        (self.begun, self.top) = (begun, top);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agon_core::rng::Stream;
    use agon_core::{ActionSpec, Field};

    fn spec(masked: bool) -> Spec {
        let mut spec = Spec::new(vec![Field::new("x", "", -1e9, 1e9)], ActionSpec::discrete(["a", "b"]), 10);
        spec.masked = masked;
        spec
    }

    /// A memory of one row that saw x = 0, 1, 2, … and earned 1, 2, 4, 8, …; step 2 ends as `end` says.
    fn filled(n_step: usize, end: u8, steps: u32) -> Replay {
        let mut replay = Replay::new(&spec(true), 1, 100, n_step, 0.5, None);
        replay.begin(&[0.0], &[true, true]);
        for t in 0..steps {
            replay.end(StepOutcome {
                action: Actions::Discrete(&[i64::from(t % 2)]),
                reward: &[2f32.powi(t as i32)],
                terminated: &[t == 2 && end == TERMINATED],
                truncated: &[t == 2 && end == TRUNCATED],
                final_obs: &[77.0],
                final_mask: &[false, true],
            });
            replay.begin(&[t as f32 + 1.0], &[true, t % 2 == 0]);
        }
        replay
    }

    fn at(replay: &Replay, place: usize) -> (f32, i64, f32, f32, f32, Vec<bool>) {
        let mut b = Batch::new(&spec(true), 1);
        b.places[0] = place;
        replay.gather(&mut b);
        let mask = b.next_mask.clone();
        (b.obs[0], b.action[0], b.reward[0], b.discount[0], b.next_obs[0], mask)
    }

    #[test]
    fn transitions_are_n_step_returns_by_hand() {
        let running = filled(3, RUNNING, 6);
        // 2 + 4/2 + 8/4, then γ³ times the value of x = 4, whose mask was given with it.
        assert_eq!(at(&running, 1), (1.0, 1, 2.0 + 2.0 + 2.0, 0.125, 4.0, vec![true, false]));
        let ended = filled(3, TERMINATED, 6);
        assert_eq!(at(&ended, 1).2..=at(&ended, 1).3, 4.0..=0.0, "the rules end it: 2 + 4/2 and nothing after");
        let cut = filled(3, TRUNCATED, 6);
        assert_eq!(
            at(&cut, 1),
            (1.0, 1, 4.0, 0.25, 77.0, vec![false, true]),
            "the step limit does: go on from the last"
        );
        assert_eq!(at(&cut, 3).4, 6.0, "the next episode's own");
    }

    /// What is kept of a prioritized memory is less than its transitions written out: two observations of four numbers,
    /// an action, a reward and a flag of 4, 4 and 1 bytes.
    #[test]
    fn memory_is_no_more_than_its_transitions() {
        let field = |i: usize| Field::new(format!("x{i}"), "", -1.0, 1.0);
        let spec = Spec::new((0..4).map(field).collect(), ActionSpec::discrete(["a", "b"]), 500);
        let (capacity, set) = (100_000, Priorities { exponent: 0.6, floor: 1e-6 });
        let replay = Replay::new(&spec, 8, capacity, 1, 0.99, Some(set));
        let tree = replay.tree.as_ref().map_or(0, |(tree, _)| tree.bytes());
        let Kept::Numbers(obs) = &replay.obs else { panic!("no pictures") };
        let kept = 4 * obs.capacity() + size_of::<Fact>() * replay.facts.capacity() + tree;
        let raw = capacity * (4 * 4 * 2 + 4 + 4 + 1);
        assert!(kept as f64 <= 1.2 * raw as f64, "{kept} bytes for {raw}");
        let told = Replay::bytes(&spec, replay.facts.len());
        assert!(told >= kept as f64, "{told} bytes told, {kept} kept");
    }

    #[test]
    fn only_whole_transitions_are_drawn_and_old_ones_go() {
        let replay = filled(3, RUNNING, 5);
        assert_eq!(replay.len(), 3, "steps 0 to 2 have three successors");
        let mut small = Replay::new(&spec(false), 2, 8, 1, 1.0, None);
        small.begin(&[0.0, 100.0], &[]);
        for t in 1..50 {
            small.end(StepOutcome {
                action: Actions::Discrete(&[0, 1]),
                reward: &[t as f32, -(t as f32)],
                terminated: &[false; 2],
                truncated: &[t % 7 == 0; 2],
                final_obs: &[-1.0, -2.0],
                final_mask: &[],
            });
            small.begin(&[t as f32, 100.0 + t as f32], &[]);
        }
        assert!(small.finals.len() <= 2, "last observations go with their steps: {}", small.finals.len());
        let (mut batch, mut rng) = (Batch::new(&spec(false), 500), Rng::new(1, Stream::Shuffle, 0));
        small.sample(&mut rng, 1.0, &mut batch);
        let seen: std::collections::BTreeSet<i64> = batch.obs.iter().map(|x| *x as i64).collect();
        let wanted = (49 - small.len() as i64 / 2..49).flat_map(|t| [t, 100 + t]).collect();
        assert_eq!(seen, wanted, "the newest ones of both rows, all of them");
        for i in 0..500 {
            let (x, next) = (batch.obs[i], batch.next_obs[i]);
            let cut = (x as i64 % 100 + 1) % 7 == 0;
            assert_eq!(next, if cut { if x < 100.0 { -1.0 } else { -2.0 } } else { x + 1.0 });
        }
    }

    #[test]
    fn weights_undo_priorities() {
        let p = Priorities { exponent: 1.0, floor: 0.0 };
        let mut replay = Replay::new(&spec(false), 1, 64, 1, 1.0, Some(p));
        replay.begin(&[0.0], &[]);
        for t in 1..=64 {
            let outcome = StepOutcome {
                action: Actions::Discrete(&[0]),
                reward: &[0.0],
                terminated: &[false],
                truncated: &[false],
                final_obs: &[0.0],
                final_mask: &[],
            };
            replay.end(outcome);
            replay.begin(&[t as f32], &[]);
        }
        assert_eq!(replay.tree.as_ref().map(|t| t.0.total()), Some(64.0), "new ones have the top priority");
        let places: Vec<usize> = (0..64).collect();
        let errors: Vec<f32> = (0..64).map(|i| if i < 32 { 1.0 } else { 3.0 }).collect();
        replay.update(&places, &errors);
        let (mut batch, mut rng) = (Batch::new(&spec(false), 4096), Rng::new(5, Stream::Shuffle, 0));
        replay.sample(&mut rng, 1.0, &mut batch);
        let often = batch.places.iter().filter(|p| **p >= 32).count();
        assert!(often.abs_diff(3072) <= 2, "{often}");
        for (place, weight) in batch.places.iter().zip(&batch.weight) {
            assert!((weight - if *place < 32 { 1.0 } else { 1.0 / 3.0 }).abs() < 1e-6);
        }
    }
}
