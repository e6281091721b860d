//! Who plays the n-th pair. It depends on the results of earlier pairs alone, in their order, so that a tournament
//! that was killed goes on as if it had not been.

use super::plan::{Format, TournamentPlan};
use super::ratings::Score;
use super::sprt::{Pairs, Test, Verdict};

/// A pair of games.
#[derive(Clone, Copy, Debug)]
pub struct Pairing {
    /// Of the tournament, from 0.
    pub number: u64,
    /// How many pairs each meeting had before: all meetings have the same opening at the same turn.
    pub turn: u64,
    /// Who sits first in the first game, and the other.
    pub entrants: (usize, usize),
}

/// The order of play.
pub struct Schedule {
    players: usize,
    pairs: u64,
    rounds: u64,
    test: Option<Test>,
    /// The meetings of the present stage, and its first pair.
    meetings: Vec<(usize, usize)>,
    first: u64,
    round: u64,
    played: u64,
    points: Vec<f64>,
    met: Vec<bool>,
    byes: Vec<bool>,
    ptnml: Pairs,
    over: bool,
}

impl Schedule {
    pub fn new(plan: &TournamentPlan) -> Self {
        let players = plan.entrants.len();
        let mut schedule = Self {
            players,
            pairs: plan.set.pairs,
            rounds: if plan.set.format == Format::Swiss { plan.set.rounds } else { 1 },
            test: plan.test(),
            meetings: Vec::new(),
            first: 0,
            round: 0,
            played: 0,
            points: vec![0.0; players],
            met: vec![false; players * players],
            byes: vec![false; players],
            ptnml: [0; 5],
            over: false,
        };
        schedule.meetings = match plan.set.format {
            Format::RoundRobin => (0..players).flat_map(|a| (a + 1..players).map(move |b| (a, b))).collect(),
            Format::Gauntlet => (1..players).map(|b| (0, b)).collect(),
            Format::Sprt => vec![(0, 1)],
            Format::Swiss => schedule.pair_up(),
        };
        schedule
    }

    /// Pairs that can be played before more results are in, from the beginning of the tournament.
    pub fn known(&self) -> u64 {
        if self.over { self.played } else { self.first + self.meetings.len() as u64 * self.pairs }
    }

    /// The most pairs there may be.
    pub fn total(&self) -> u64 {
        self.rounds * self.meetings.len() as u64 * self.pairs
    }

    /// A known pair that is not over yet.
    pub fn pairing(&self, number: u64) -> Pairing {
        let turn = self.round * self.pairs + (number - self.first) / self.meetings.len() as u64;
        Pairing { number, turn, entrants: self.pair(number) }
    }

    /// Who plays a known pair that is not over yet. The meetings take turns, so that all get on alike.
    pub fn pair(&self, pair: u64) -> (usize, usize) {
        self.meetings[((pair - self.first) % self.meetings.len() as u64) as usize]
    }

    /// Takes the result of the next pair; `scores` are the first-named's.
    pub fn add(&mut self, scores: [Score; 2]) {
        let (a, b) = self.pair(self.played);
        let halves = scores[0] as usize + scores[1] as usize;
        self.points[a] += halves as f64 / 2.0;
        self.points[b] += 2.0 - halves as f64 / 2.0;
        self.ptnml[halves] += 1;
        self.played += 1;
        if self.test.is_some_and(|t| t.verdict(&self.ptnml) != Verdict::Open) {
            self.over = true;
        }
        if self.played == self.first + self.meetings.len() as u64 * self.pairs {
            self.round += 1;
            self.over |= self.round == self.rounds;
            if !self.over {
                self.first = self.played;
                self.meetings = self.pair_up();
            }
        }
    }

    /// Whether all is played.
    pub fn over(&self) -> bool {
        self.over
    }

    /// A round of a Swiss tournament: neighbours in points, nobody twice against the same if that can be had; who has
    /// the fewest points and sat out least sits out where they are odd, and gets the points of a win.
    fn pair_up(&mut self) -> Vec<(usize, usize)> {
        let mut order: Vec<usize> = (0..self.players).collect();
        order.sort_by(|a, b| self.points[*b].total_cmp(&self.points[*a]).then(a.cmp(b)));
        if order.len() % 2 == 1 {
            let at = order.iter().rposition(|p| !self.byes[*p]).unwrap_or(order.len() - 1);
            let sits_out = order.remove(at);
            self.byes[sits_out] = true;
            self.points[sits_out] += 2.0 * self.pairs as f64;
        }
        let mut found = Vec::new();
        let mut tries = 100_000;
        if !match_up(&order, &self.met, self.players, &mut found, &mut tries) {
            found = order.chunks(2).map(|c| (c[0], c[1])).collect();
        }
        for (a, b) in &found {
            self.met[a * self.players + b] = true;
            self.met[b * self.players + a] = true;
        }
        found
    }
}

/// Pairs the first with the next that it has not met, and so on; goes back where that leaves nobody.
fn match_up(order: &[usize], met: &[bool], players: usize, found: &mut Vec<(usize, usize)>, tries: &mut u32) -> bool {
    let Some((first, rest)) = order.split_first() else { return true };
    for (i, other) in rest.iter().enumerate() {
        if met[first * players + other] || *tries == 0 {
            continue;
        }
        *tries -= 1;
        let left: Vec<usize> = rest.iter().enumerate().filter(|(k, _)| *k != i).map(|(_, p)| *p).collect();
        found.push((*first, *other));
        if match_up(&left, met, players, found, tries) {
            return true;
        }
        found.pop();
    }
    false
}
