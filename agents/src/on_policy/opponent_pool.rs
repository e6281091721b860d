//! Frozen past selves that take the other seats of a game (or of any environment with several agents), so that a
//! learner does not forget how to beat its earlier selves.
//!
//! At the start of an episode the environment goes, with probability `share`, to the learner in one random seat and a
//! member of the pool in the others; else the learner has all seats. Only the learner's rows are learned from.

use crate::agent::{AgentError, MOST_STEPS, Saved};
use crate::net::Params;
use crate::on_policy::networks::Networks;
use agon_core::Score;
use agon_core::rng::{Rng, RngState, Stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tch::Tensor;

agon_core::choices! {
    /// How past selves are drawn.
    pub enum Weights {
        /// Uniformly.
        Uniform = "uniform",
        /// The newest.
        Latest = "latest",
        /// More often those that are hard to beat: (1 − share of points)² (Vinyals et al. 2019, prioritised fictitious
        /// self-play).
        Pfsp = "pfsp",
    }
}

/// Settings of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// Members at most; 0 for no pool.
    pub size: usize,
    /// Updates between new members.
    pub every: u64,
    /// The share of episodes with a member.
    pub share: f64,
    /// How members are drawn.
    pub weights: Weights,
}

/// How the learner fared against a member, recent episodes counting more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    episodes: f64,
    points: f64,
}

/// The pool, and the assignment of seats.
pub struct Pool {
    set: PoolSettings,
    agents: usize,
    members: Vec<(Params, Record)>,
    /// `[rows]`: 0 for the learner, k for member k − 1.
    seats: Vec<usize>,
    /// `[rows]`: returns of the episodes under way.
    totals: Vec<f32>,
    rng: Rng,
    updates: u64,
    joined: u64,
}

impl Pool {
    /// An empty pool for rows of environments with `agents` agents each.
    pub fn new(set: PoolSettings, agents: usize, rows: usize, seed: u64) -> Self {
        let rng = Rng::new(seed, Stream::Player, u32::MAX);
        Self {
            set,
            agents,
            members: Vec::new(),
            seats: vec![0; rows],
            totals: vec![0.0; rows],
            rng,
            updates: 0,
            joined: 0,
        }
    }

    /// Which rows are the learner's.
    pub fn learned(&self) -> impl Iterator<Item = bool> {
        self.seats.iter().map(|s| *s == 0)
    }

    /// Puts the members' outputs in place of the learner's where they have the seat. `obs`: `[rows, obs_len]`, `out`:
    /// `[rows, outputs]`.
    pub fn overwrite(&self, networks: &Networks, obs: &[f32], out: &mut [f32]) {
        let (outputs, width) = (out.len() / self.seats.len(), obs.len() / self.seats.len());
        for (k, (params, _)) in self.members.iter().enumerate() {
            let rows: Vec<usize> = (0..self.seats.len()).filter(|r| self.seats[*r] == k + 1).collect();
            if rows.is_empty() {
                continue;
            }
            let picked: Vec<f32> = rows.iter().flat_map(|r| &obs[r * width..(r + 1) * width]).copied().collect();
            let mut theirs = vec![0.0; rows.len() * outputs];
            networks.policy_of(params, &picked, &mut theirs);
            for (row, theirs) in rows.iter().zip(theirs.chunks_exact(outputs)) {
                out[row * outputs..(row + 1) * outputs].copy_from_slice(theirs);
            }
        }
    }

    /// Counts a step, and assigns seats anew where an episode ended.
    pub fn stepped(&mut self, reward: &[f32], terminated: &[bool], truncated: &[bool]) {
        self.totals.iter_mut().zip(reward).for_each(|(t, r)| *t += r);
        for first in (0..self.seats.len()).step_by(self.agents) {
            if terminated[first] || truncated[first] {
                self.note(first);
                self.totals[first..first + self.agents].fill(0.0);
                self.seat(first);
            }
        }
    }

    fn note(&mut self, first: usize) {
        let rows = first..first + self.agents;
        let member = self.seats[rows.clone()].iter().copied().max().unwrap_or(0);
        let learner = rows.clone().find(|r| self.seats[*r] == 0);
        let (Some(learner), true) = (learner, member > 0) else { return };
        let others = rows.filter(|r| *r != learner).map(|r| self.totals[r]).fold(f32::NEG_INFINITY, f32::max);
        let record = &mut self.members[member - 1].1;
        let points = match Score::of(self.totals[learner].into(), others.into()) {
            Score::Win => 1.0,
            Score::Draw => 0.5,
            Score::Loss => 0.0,
        };
        record.episodes = 0.99 * record.episodes + 1.0;
        record.points = 0.99 * record.points + points;
    }

    fn seat(&mut self, first: usize) {
        let rows = first..first + self.agents;
        if self.members.is_empty() || self.rng.f64() >= self.set.share {
            self.seats[rows].fill(0);
            return;
        }
        let member = self.draw();
        self.seats[rows].fill(member + 1);
        let own = self.rng.below(self.agents as u32) as usize;
        self.seats[first + own] = 0;
    }

    fn draw(&mut self) -> usize {
        let n = self.members.len();
        let weight = |r: &Record| (1.0 - (r.points + 0.5) / (r.episodes + 1.0)).powi(2);
        match self.set.weights {
            Weights::Uniform => self.rng.below(n as u32) as usize,
            Weights::Latest => ((self.joined - 1) % self.set.size as u64) as usize,
            Weights::Pfsp => {
                let mut left = self.rng.f64() * self.members.iter().map(|m| weight(&m.1)).sum::<f64>();
                let chosen = self.members.iter().position(|m| {
                    left -= weight(&m.1);
                    left < 0.0
                });
                chosen.unwrap_or(n - 1)
            }
        }
    }

    /// Counts an update; a copy of the learner joins when it is due, in place of the oldest member where the pool is
    /// full. Games with that member continue with the new one: a learner's seat cannot change within an episode.
    pub fn updated(&mut self, params: &Params) {
        self.updates += 1;
        if !self.updates.is_multiple_of(self.set.every) {
            return;
        }
        let at = (self.joined % self.set.size as u64) as usize;
        self.joined += 1;
        let member = (params.frozen(), Record::default());
        if at == self.members.len() { self.members.push(member) } else { self.members[at] = member }
    }

    /// The learner's share of points against the pool.
    pub fn score(&self) -> Option<f64> {
        let (points, episodes) = self.members.iter().fold((0.0, 0.0), |s, m| (s.0 + m.1.points, s.1 + m.1.episodes));
        (episodes > 0.0).then(|| points / episodes)
    }

    /// Everything that must be saved.
    pub fn save(&self, tensors: &mut Vec<(String, Tensor)>) -> Value {
        let flat = self.members.iter().enumerate().map(|(k, m)| (format!("pool.{k}"), m.0.flat.shallow_clone()));
        tensors.extend(flat);
        let records: Vec<Record> = self.members.iter().map(|m| m.1).collect();
        json!({"records": records, "seats": self.seats, "totals": self.totals, "rng": self.rng.state(),
               "updates": self.updates, "joined": self.joined})
    }

    /// Restores a save; `params` are of the members' shape.
    pub fn load(&mut self, saved: &Saved, state: &Value, params: &Params) -> Result<(), AgentError> {
        fn part<T: serde::de::DeserializeOwned>(state: &Value, key: &str) -> Result<T, AgentError> {
            let wrong = |e| AgentError::Checkpoint(format!("its pool's `{key}` cannot be read: {e}"));
            T::deserialize(&state[key]).map_err(wrong)
        }
        let records: Vec<Record> = part(state, "records")?;
        let (seats, totals): (Vec<usize>, Vec<f32>) = (part(state, "seats")?, part(state, "totals")?);
        let seated = seats.iter().all(|seat| *seat <= records.len());
        if records.len() > self.set.size || !seated {
            return Err(AgentError::Checkpoint("its pool has other members than seats name".into()));
        }
        let mut members = Vec::new();
        for (k, record) in records.into_iter().enumerate() {
            let mut member = params.frozen();
            let flat = saved.tensor(&format!("pool.{k}"))?;
            if flat.size() != member.flat.size() {
                return Err(AgentError::Checkpoint(format!("its pool's member {k} is of another network")));
            }
            tch::no_grad(|| member.flat.copy_(flat));
            members.push((member, record));
        }
        let (updates, joined): (u64, u64) = (part(state, "updates")?, part(state, "joined")?);
        if updates > MOST_STEPS || joined > updates || members.len() as u64 != joined.min(self.set.size as u64) {
            return Err(AgentError::Checkpoint("its pool's members are not as many as joined".into()));
        }
        self.members = members;
        self.rng = Rng::restore(part::<RngState>(state, "rng")?);
        (self.updates, self.joined) = (updates, joined);
        // Another number of environments (an evaluation) starts these anew.
        if seats.len() == self.seats.len() && totals.len() == self.totals.len() {
            (self.seats, self.totals) = (seats, totals);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Builder;
    use tch::Device;

    fn pool(weights: Weights) -> (Pool, Params) {
        let mut builder = Builder::new(0);
        builder.constant("x", &[1], 1.0);
        let params = builder.finish(Device::Cpu);
        let mut pool = Pool::new(PoolSettings { size: 2, every: 1, share: 1.0, weights }, 2, 2000, 1);
        pool.updated(&params);
        pool.updated(&params);
        (pool, params)
    }

    /// The seats after all episodes ended once: rows of the learner, of the first and of the second member.
    fn seated(pool: &mut Pool) -> [usize; 3] {
        pool.stepped(&[0.0; 2000], &[true; 2000], &[false; 2000]);
        [0, 1, 2].map(|k| pool.seats.iter().filter(|s| **s == k).count())
    }

    #[test]
    fn every_environment_has_one_learner_and_weights_are_kept() {
        let (mut uniform, _) = pool(Weights::Uniform);
        let [own, a, b] = seated(&mut uniform);
        assert_eq!((own, a + b), (1000, 1000));
        assert!(a.abs_diff(500) < 60, "{a}");
        assert!(uniform.seats.chunks(2).all(|pair| pair.contains(&0) && pair.iter().any(|s| *s > 0)));
        let first = uniform.seats.iter().step_by(2).filter(|s| **s == 0).count();
        assert!(first.abs_diff(500) < 60, "the learner has either seat: {first}");
        let (mut latest, params) = pool(Weights::Latest);
        assert_eq!(seated(&mut latest), [1000, 0, 1000]);
        latest.updated(&params);
        assert_eq!(seated(&mut latest), [1000, 1000, 0], "the newest took the place of the oldest");
    }

    #[test]
    fn hard_members_are_met_more_often() {
        let (mut pfsp, _) = pool(Weights::Pfsp);
        seated(&mut pfsp);
        for _ in 0..20 {
            // The learner beats the first member and loses to the second.
            let reward: Vec<f32> = (0..2000)
                .map(|row| {
                    let (own, other) = (pfsp.seats[row], pfsp.seats[row ^ 1]);
                    let won = own.max(other) == 1;
                    if (own == 0) == won { 1.0 } else { -1.0 }
                })
                .collect();
            pfsp.stepped(&reward, &[true; 2000], &[false; 2000]);
        }
        let [_, beaten, hard] = [0, 1, 2].map(|k| pfsp.seats.iter().filter(|s| **s == k).count());
        assert!(beaten < 20 && hard > 980, "{beaten} {hard}");
        assert!(pfsp.members[0].1.points > 0.9 * pfsp.members[0].1.episodes && pfsp.members[1].1.points < 1.0);
    }
}
