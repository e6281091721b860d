//! Go by Tromp-Taylor rules: area scoring, positional superko, two passes end the game. Sizes 1 to 9.
//!
//! Actions: points row by row from the top, then the pass. A board is 128 bits in rows of ten: the tenth column is
//! never taken, so that shifts cannot wrap.

use super::board::{Ones, fill, hex, letters, square};
use agon_core::env::ensure;
use agon_core::game::{Action, follow, mix};
use agon_core::settings::Settings;
use agon_core::{EnvError, Game, GameSpec, Rng, Turn};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

agon_core::settings! {
    pub struct GoSettings {
        /// Rows and columns.
        size: usize = 9, in [1.0, 9.0];
        /// Points given to White.
        komi: f64 = 7.5, in [-100.0, 100.0];
        /// Whether a move may take its own stones (Tromp-Taylor: yes).
        suicide: bool = true;
        /// Moves after which the board is scored as it is; 0 means twice the number of points.
        move_limit: u32 = 0, in [0.0, 10000.0];
    }
}

#[derive(Clone)]
pub struct Go {
    set: GoSettings,
    points: u128,
    spec: GameSpec,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    #[serde(with = "hex")]
    stones: [u128; 2],
    plies: u16,
    passes: u8,
    /// Hashes of all positions so far, this one included.
    past: Vec<u64>,
    /// The most stones that any of them had.
    most: u8,
}

impl Clone for State {
    fn clone(&self) -> Self {
        Self { past: self.past.clone(), ..*self }
    }

    fn clone_from(&mut self, from: &Self) {
        self.past.clone_from(&from.past);
        (self.stones, self.plies, self.passes, self.most) = (from.stones, from.plies, from.passes, from.most);
    }
}

const STRIDE: usize = 10;

#[inline(always)]
fn around(set: u128) -> u128 {
    set << 1 | set >> 1 | set << STRIDE | set >> STRIDE
}

/// All of `area` that hangs together with `seed`.
#[inline(always)]
fn flood(seed: u128, area: u128) -> u128 {
    let mut set = seed;
    loop {
        let next = set | around(set) & area;
        if next == set {
            return set;
        }
        set = next;
    }
}

fn key(stones: [u128; 2]) -> u64 {
    stones.iter().fold(0, |h, s| mix(mix(h, *s as u64), (*s >> 64) as u64))
}

fn count(stones: [u128; 2]) -> u8 {
    (stones[0] | stones[1]).count_ones() as u8
}

impl Go {
    /// The position after a stone, `None` where suicide is not allowed and it would be one.
    #[inline]
    fn place(&self, stones: [u128; 2], mover: usize, stone: u128) -> Option<[u128; 2]> {
        let (mut own, mut other) = (stones[mover] | stone, stones[1 - mover]);
        let empty = self.points & !(own | other);
        let near = around(stone);
        let mut threatened = near & other;
        while threatened != 0 {
            let one = threatened & threatened.wrapping_neg();
            // Most stones have a liberty of their own: no need to know their group.
            let group = if around(one) & empty != 0 { one } else { flood(one, other) };
            if around(group) & empty == 0 {
                other &= !group;
            }
            threatened &= !group;
        }
        if other == stones[1 - mover] && near & empty == 0 {
            let group = flood(stone, own);
            if around(group) & empty == 0 {
                if !self.set.suicide {
                    return None;
                }
                own &= !group;
            }
        }
        Some(if mover == 0 { [own, other] } else { [other, own] })
    }

    /// The same, `None` also where it would repeat a position.
    #[inline]
    fn legal(&self, state: &State, bit: u32) -> Option<[u128; 2]> {
        let after = self.place(state.stones, usize::from(state.plies % 2), 1 << bit)?;
        // With more stones than ever it is new; most moves of a game are.
        if count(after) > state.most {
            return Some(after);
        }
        let key = key(after);
        // One comparison after the other would cost more than all at once.
        let repeated = state.past.iter().fold(false, |found, past| found | (*past == key));
        (!repeated).then_some(after)
    }

    fn bit(&self, cell: usize) -> u32 {
        (cell / self.set.size * STRIDE + cell % self.set.size) as u32
    }

    fn cell(&self, bit: u32) -> Action {
        (bit as usize / STRIDE * self.set.size + bit as usize % STRIDE) as Action
    }

    fn pass(&self) -> Action {
        (self.set.size * self.set.size) as Action
    }

    fn empty(&self, state: &State) -> u128 {
        self.points & !(state.stones[0] | state.stones[1])
    }

    /// Black's area less White's, less komi.
    pub fn score(&self, state: &State) -> f64 {
        let empty = self.empty(state);
        let [black, white] = state.stones.map(|s| flood(s, s | empty));
        let area = |reached: u128, other: u128| f64::from((reached & !other).count_ones());
        area(black, white) - area(white, black) - self.set.komi
    }

    /// A stone without a liberty.
    fn breathless(&self, stones: [u128; 2]) -> Option<u32> {
        let empty = self.points & !(stones[0] | stones[1]);
        // Those that are not reached from a liberty.
        stones.iter().find_map(|&set| Ones(set & !flood(around(empty) & set, set)).next())
    }

    fn bare(&self, state: &mut State) {
        state.stones = [0; 2];
        (state.plies, state.passes, state.most) = (0, 0, 0);
        state.past.clear();
        state.past.reserve(self.spec.max_plies as usize + 1);
    }

    /// Remembers the position.
    #[inline]
    fn note(&self, state: &mut State) {
        state.past.push(key(state.stones));
        state.most = state.most.max(count(state.stones));
    }

    fn stone(&self, state: &State, cell: usize) -> char {
        match [0, 1].map(|p| state.stones[p] >> self.bit(cell) & 1) {
            [1, _] => 'x',
            [_, 1] => 'o',
            _ => '.',
        }
    }
}

impl Game for Go {
    type Settings = GoSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(set: GoSettings) -> Result<Self, EnvError> {
        let n = set.size;
        let limit = if set.move_limit == 0 { 2 * (n * n) as u32 } else { set.move_limit };
        let mut spec = GameSpec::board(["black", "white"], n * n + 1, vec![4, n, n], limit.max(2));
        spec.symmetries = square(n, 4, n * n + 1);
        let points = (0..n * n).fold(0, |set, cell| set | 1u128 << (cell / n * STRIDE + cell % n));
        Ok(Self { set, points, spec })
    }

    fn spec(&self) -> &GameSpec {
        &self.spec
    }

    fn rules(&self) -> Map<String, Value> {
        self.set.write()
    }

    fn start(&self, state: &mut State) {
        self.bare(state);
        self.note(state);
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let [black, white] = state.stones;
        ensure((black | white) & !self.points == 0 && black & white == 0, "stones lie beside the board or on others")?;
        ensure(self.breathless(state.stones).is_none(), "stones have no liberty")?;
        let (plies, most) = (u32::from(state.plies), u32::from(state.most));
        ensure(plies <= self.spec.max_plies, "`plies` is more than a game has")?;
        ensure(state.passes <= 2 && u32::from(state.passes) <= plies, "`passes` is too many")?;
        // Each move that is no pass leaves a position; one more is where it began.
        let positions = 1..=plies as usize + 1 - usize::from(state.passes);
        ensure(positions.contains(&state.past.len()), "`past` does not hold the positions of so many plies")?;
        ensure(state.past.last() == Some(&key(state.stones)), "`past` does not end with this position")?;
        ensure((u32::from(count(state.stones))..=self.points.count_ones()).contains(&most), "`most` is miscounted")
    }

    #[inline]
    fn turn(&self, state: &State) -> Turn {
        if state.passes == 2 || u32::from(state.plies) >= self.spec.max_plies {
            Turn::Over
        } else {
            Turn::Player(usize::from(state.plies % 2))
        }
    }

    #[inline]
    fn moves(&self, state: &State, mut each: impl FnMut(Action)) {
        if self.turn(state) != Turn::Over {
            let open = Ones(self.empty(state)).filter(|bit| self.legal(state, *bit).is_some());
            open.for_each(|bit| each(self.cell(bit)));
            each(self.pass());
        }
    }

    #[inline]
    fn play(&self, state: &mut State, action: Action) {
        if action == self.pass() {
            state.passes += 1;
        } else {
            let stone = 1 << self.bit(usize::from(action));
            // A move that is not legal is the caller's mistake; it leaves the board as it was.
            let after = self.place(state.stones, usize::from(state.plies % 2), stone);
            state.stones = after.unwrap_or(state.stones);
            self.note(state);
            state.passes = 0;
        }
        state.plies += 1;
    }

    /// Draws points until one is legal: as uniform as a list of the legal ones, and faster.
    #[inline]
    fn random_move(&self, state: &State, rng: &mut Rng) -> Action {
        let (pass, empty) = (self.pass(), self.empty(state));
        loop {
            let action = rng.below(u32::from(pass) + 1) as Action;
            let bit = self.bit(usize::from(action));
            if action == pass || empty >> bit & 1 == 1 && self.legal(state, bit).is_some() {
                return action;
            }
        }
    }

    fn returns(&self, state: &State, returns: &mut [f32]) {
        returns.fill(0.0);
        if self.turn(state) == Turn::Over {
            let score = self.score(state);
            if score != 0.0 {
                let sign = score.signum() as f32;
                returns.copy_from_slice(&[sign, -sign]);
            }
        }
    }

    /// The lead in area, as a share of the board.
    fn estimate(&self, state: &State, player: usize) -> f32 {
        let lead = (self.score(state) / f64::from(self.points.count_ones())).clamp(-0.9, 0.9) as f32;
        if player == 0 { lead } else { -lead }
    }

    fn hash(&self, state: &State) -> u64 {
        // The past matters through superko; its order does not.
        let past = state.past.iter().fold(0, |sum: u64, p| sum.wrapping_add(mix(1, *p)));
        mix(mix(key(state.stones), past), u64::from(state.plies) << 8 | u64::from(state.passes))
    }

    /// Planes: own stones, the other's, all ones if to move, all ones for White (who has the komi).
    fn observe(&self, state: &State, player: usize, obs: &mut [f32]) {
        let cells = self.set.size * self.set.size;
        for (plane, set) in obs.chunks_exact_mut(cells).zip([state.stones[player], state.stones[1 - player]]) {
            fill(plane, |cell| set >> self.bit(cell) & 1 == 1);
        }
        obs[2 * cells..3 * cells].fill(f32::from(u8::from(self.turn(state) == Turn::Player(player))));
        obs[3 * cells..].fill(f32::from(u8::from(player == 1)));
    }

    /// As the Go Text Protocol does: columns are letters without I, rows count from the bottom.
    fn write(&self, _: &State, action: Action) -> String {
        if action == self.pass() {
            return "pass".into();
        }
        let (row, column) = (usize::from(action) / self.set.size, usize::from(action) % self.set.size);
        format!("{}{}", char::from(b"ABCDEFGHJ"[column]), self.set.size - row)
    }

    /// Moves, or a board as rows of `.`, `x` and `o` from the top, with no past.
    fn position(&self, text: &str) -> Result<State, String> {
        let n = self.set.size;
        let rows: Vec<&str> = text.split_whitespace().collect();
        if rows.len() != n || !rows.iter().all(|r| r.len() == n && r.chars().all(|c| ".xo".contains(c))) {
            return follow(self, text);
        }
        let mut state = State::default();
        self.bare(&mut state);
        for (cell, letter) in rows.concat().chars().enumerate() {
            match letter {
                'x' => state.stones[0] |= 1 << self.bit(cell),
                'o' => state.stones[1] |= 1 << self.bit(cell),
                _ => {}
            }
        }
        if let Some(bit) = self.breathless(state.stones) {
            return Err(format!("the stones at {} have no liberty", self.write(&state, self.cell(bit))));
        }
        self.note(&mut state);
        Ok(state)
    }

    fn text(&self, state: &State) -> String {
        let n = self.set.size;
        let board = letters(n, n, |cell| self.stone(state, cell));
        let mut rows: Vec<String> = board.lines().take(n).map(|l| l[2..].to_owned()).collect();
        rows.iter_mut().enumerate().for_each(|(i, row)| *row = format!("{:>2}{row}", n - i));
        let names: String = "ABCDEFGHJ"[..n].chars().flat_map(|c| [' ', c]).collect();
        rows.join("\n") + "\n  " + &names
    }
}
