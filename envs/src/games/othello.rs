//! Othello (Reversi): a move turns every line of the other's stones that it closes. Sizes 4, 6 and 8.
//!
//! Actions: cells row by row, then the pass, which is legal only where nothing else is. A board of any size lies in
//! the upper left of 8×8 bits; lines are found by shifts in eight directions.

use super::board::{self, letters, nth_one};
use agon_core::env::ensure;
use agon_core::game::{Action, mix, start};
use agon_core::{EnvError, Game, GameSpec, Rng, Turn};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct OthelloSettings {
        /// Rows and columns: 4, 6 or 8.
        size: usize = 8, in [4.0, 8.0];
    }
}

#[derive(Clone)]
pub struct Othello {
    size: usize,
    cells: u64,
    spec: GameSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    stones: [u64; 2],
    /// Where the player to move can place a stone.
    open: u64,
    mover: u8,
    over: bool,
}

/// Columns 2 to 7: a stone there can be enclosed sideways, and shifts of it cannot leave its row.
const INNER: u64 = 0x7e7e_7e7e_7e7e_7e7e;

/// For each of the eight directions: the cells of `through` that lie in line from `from`, and the cells one step on.
#[inline(always)]
fn rays(from: u64, through: u64, mut each: impl FnMut(u64, u64)) {
    for (step, through) in [(1, through & INNER), (8, through), (7, through & INNER), (9, through & INNER)] {
        let (mut up, mut down) = (from << step & through, from >> step & through);
        for _ in 0..5 {
            up |= up << step & through;
            down |= down >> step & through;
        }
        each(up, up << step);
        each(down, down >> step);
    }
}

impl Othello {
    #[inline(always)]
    fn open(&self, own: u64, other: u64) -> u64 {
        let mut open = 0;
        rays(own, other, |_, next| open |= next);
        open & self.cells & !(own | other)
    }

    /// A bit from a cell's number.
    fn bit(&self, cell: usize) -> u32 {
        (cell / self.size * 8 + cell % self.size) as u32
    }

    fn cell(&self, bit: u32) -> Action {
        (bit as usize / 8 * self.size + bit as usize % 8) as Action
    }

    fn pass(&self) -> Action {
        (self.size * self.size) as Action
    }
}

impl Game for Othello {
    type Settings = OthelloSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(set: OthelloSettings) -> Result<Self, EnvError> {
        let n = set.size;
        if n % 2 == 1 {
            return Err(EnvError::setting("size", format!("`{n}` must be 4, 6 or 8")));
        }
        // A pass is answered by a stone, so passes are fewer than stones.
        let mut spec = GameSpec::board(["black", "white"], n * n + 1, vec![3, n, n], 2 * (n * n) as u32);
        spec.symmetries = board::square(n, 3, n * n + 1);
        let cells = (0..n * n).fold(0, |set, cell| set | 1u64 << (cell / n * 8 + cell % n));
        Ok(Self { size: n, cells, spec })
    }

    fn spec(&self) -> &GameSpec {
        &self.spec
    }

    fn start(&self, state: &mut State) {
        let corner = (self.size / 2 - 1) * 9;
        let stones = [1 << (corner + 1) | 1 << (corner + 8), 1 << corner | 1 << (corner + 9)];
        *state = State { stones, open: self.open(stones[0], stones[1]), mover: 0, over: false };
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let [black, white] = state.stones;
        ensure((black | white) & !self.cells == 0 && black & white == 0, "stones lie beside the board or on others")?;
        let begun = start(self).stones;
        ensure((begun[0] | begun[1]) & !(black | white) == 0, "the middle is empty")?;
        ensure(state.mover <= 1, "`mover` is neither player")?;
        let [own, other] = if state.mover == 0 { [black, white] } else { [white, black] };
        ensure(state.open == self.open(own, other), "`open` is not what the board says")?;
        let over = state.open == 0 && self.open(other, own) == 0;
        ensure(state.over == over, "`over` is not what the board says")
    }

    #[inline]
    fn turn(&self, state: &State) -> Turn {
        if state.over { Turn::Over } else { Turn::Player(usize::from(state.mover)) }
    }

    #[inline]
    fn moves(&self, state: &State, mut each: impl FnMut(Action)) {
        if !state.over && state.open == 0 {
            each(self.pass());
        }
        board::Ones(u128::from(state.open)).for_each(|bit| each(self.cell(bit)));
    }

    #[inline]
    fn play(&self, state: &mut State, action: Action) {
        let mover = usize::from(state.mover);
        let [mut own, mut other] = [state.stones[mover], state.stones[1 - mover]];
        if action != self.pass() {
            let stone = 1 << self.bit(usize::from(action));
            let mut turned = 0;
            rays(stone, other, |passed, next| turned |= if next & own != 0 { passed } else { 0 });
            own |= stone | turned;
            other &= !turned;
            state.stones[mover] = own;
            state.stones[1 - mover] = other;
        }
        state.mover ^= 1;
        state.open = self.open(other, own);
        state.over = state.open == 0 && self.open(own, other) == 0;
    }

    #[inline]
    fn random_move(&self, state: &State, rng: &mut Rng) -> Action {
        match state.open.count_ones() {
            0 => self.pass(),
            n => self.cell(nth_one(state.open, rng.below(n))),
        }
    }

    fn returns(&self, state: &State, returns: &mut [f32]) {
        returns.fill(0.0);
        if state.over {
            let lead = state.stones[0].count_ones() as f32 - state.stones[1].count_ones() as f32;
            if lead != 0.0 {
                returns.copy_from_slice(&[lead.signum(), -lead.signum()]);
            }
        }
    }

    /// Corners, a tenth each, and the share of the moves that are one's own.
    fn estimate(&self, state: &State, player: usize) -> f32 {
        let [own, other] = [state.stones[player], state.stones[1 - player]];
        let last = self.size - 1;
        let corners = [0, last, last * self.size, last * self.size + last].map(|cell| 1u64 << self.bit(cell));
        let held = |set: u64| corners.iter().filter(|c| set & **c != 0).count() as f32;
        let moves = [self.open(own, other), self.open(other, own)].map(|m| m.count_ones() as f32);
        let share = (moves[0] - moves[1]) / (moves[0] + moves[1] + 1.0);
        0.1 * (held(own) - held(other)) + 0.5 * share
    }

    #[inline]
    fn hash(&self, state: &State) -> u64 {
        mix(mix(mix(0, state.stones[0]), state.stones[1]), u64::from(state.mover))
    }

    /// Planes: own stones, the other's, all ones if to move.
    fn observe(&self, state: &State, player: usize, obs: &mut [f32]) {
        let cells = self.size * self.size;
        for (plane, set) in obs.chunks_exact_mut(cells).zip([state.stones[player], state.stones[1 - player]]) {
            board::fill(plane, |cell| set >> self.bit(cell) & 1 == 1);
        }
        obs[2 * cells..].fill(f32::from(u8::from(self.turn(state) == Turn::Player(player))));
    }

    fn write(&self, _: &State, action: Action) -> String {
        if action == self.pass() { "pass".into() } else { board::cell_name(usize::from(action), self.size) }
    }

    fn text(&self, state: &State) -> String {
        letters(self.size, self.size, |cell| match [0, 1].map(|p| state.stones[p] >> self.bit(cell) & 1) {
            [1, _] => 'x',
            [_, 1] => 'o',
            _ if state.open >> self.bit(cell) & 1 == 1 => '*',
            _ => '.',
        })
    }
}
