//! Hex: the first player joins the top to the bottom, the second the left to the right; one of them always does.
//!
//! Actions: cells row by row; each row lies half a cell to the right of the one above. Cells know which of their
//! owner's edges they are joined to, so that the end of the game is seen at once.

use super::board::{self, letters, symmetry};
use agon_core::env::ensure;
use agon_core::game::{Action, mix};
use agon_core::{EnvError, Game, GameSpec, Turn};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct HexSettings {
        /// Rows and columns.
        size: usize = 11, in [1.0, 26.0];
    }
}

#[derive(Clone)]
pub struct Hex {
    size: usize,
    spec: GameSpec,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// 0, or [`TAKEN`] with the owner in bit 1 and the edges that the stone is joined to in bits 2 and 3.
    cells: Vec<u8>,
    plies: u16,
    won: bool,
}

impl Clone for State {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone(), ..*self }
    }

    fn clone_from(&mut self, from: &Self) {
        self.cells.clone_from(&from.cells);
        (self.plies, self.won) = (from.plies, from.won);
    }
}

const TAKEN: u8 = 1;
const NEAR: u8 = 4;
const FAR: u8 = 8;

impl Hex {
    /// The neighbours of a cell.
    #[inline]
    fn around(&self, cell: usize) -> impl Iterator<Item = usize> {
        let n = self.size as i32;
        let (row, column) = ((cell / self.size) as i32, (cell % self.size) as i32);
        [(-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0)].into_iter().filter_map(move |(dr, dc)| {
            let (r, c) = (row + dr, column + dc);
            (r >= 0 && c >= 0 && r < n && c < n).then_some((r * n + c) as usize)
        })
    }

    /// The edges of a player on which a cell lies.
    #[inline]
    fn edges(&self, cell: usize, player: u8) -> u8 {
        let along = if player == 0 { cell / self.size } else { cell % self.size };
        let near = if along == 0 { NEAR } else { 0 };
        near | if along == self.size - 1 { FAR } else { 0 }
    }

    /// Joins all stones of one owner that hang together with `cell`, not through `but`, to `edges`.
    fn spread_but(&self, cells: &mut [u8], cell: usize, edges: u8, but: Option<usize>) {
        let owner = cells[cell] & (TAKEN | 2);
        for next in self.around(cell) {
            if cells[next] & (TAKEN | 2) == owner && cells[next] & edges != edges && Some(next) != but {
                cells[next] |= edges;
                self.spread_but(cells, next, edges, but);
            }
        }
    }

    fn owner(state: &State, cell: usize) -> Option<usize> {
        let cell = state.cells.get(cell).copied().unwrap_or(0);
        (cell & TAKEN != 0).then_some(usize::from(cell >> 1 & 1))
    }
}

impl Game for Hex {
    type Settings = HexSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(set: HexSettings) -> Result<Self, EnvError> {
        let (n, cells) = (set.size, set.size * set.size);
        let mut spec = GameSpec::board(["red", "blue"], cells, vec![4, n, n], cells as u32);
        spec.symmetries = vec![symmetry(4, cells, cells, |cell| cells - 1 - cell)];
        Ok(Self { size: n, spec })
    }

    fn spec(&self) -> &GameSpec {
        &self.spec
    }

    fn start(&self, state: &mut State) {
        state.cells.clear();
        state.cells.resize(self.size * self.size, 0);
        (state.plies, state.won) = (0, false);
    }

    fn check(&self, state: &State) -> Result<(), String> {
        ensure(state.cells.len() == self.size * self.size, "`cells` does not have the size of the board")?;
        let stone = |c: &u8| *c & TAKEN != 0 && *c < 16;
        ensure(state.cells.iter().all(|c| *c == 0 || stone(c)), "a cell holds what is no stone")?;
        let count = |owner: usize| (0..state.cells.len()).filter(|c| Self::owner(state, *c) == Some(owner)).count();
        let [first, second] = [count(0), count(1)];
        let fair = first == second || first == second + 1;
        ensure(fair && first + second == usize::from(state.plies), "`plies` or the stones are miscounted")?;
        // Only the stone that wins is joined to both edges: it came last, and the others do not know of it.
        let mut both = (0..state.cells.len()).filter(|c| state.cells[*c] & (NEAR | FAR) == NEAR | FAR);
        let last = both.next();
        let placed_last = last.is_none_or(|c| Self::owner(state, c) == Some(usize::from(first == second)));
        ensure(both.next().is_none() && placed_last, "a stone was placed after the game was won")?;
        ensure(state.won == last.is_some(), "`won` is not what the board says")?;
        let mut cells: Vec<u8> = state.cells.iter().map(|c| c & (TAKEN | 2)).collect();
        for cell in (0..cells.len()).filter(|c| state.cells[*c] != 0 && Some(*c) != last) {
            let edges = self.edges(cell, state.cells[cell] >> 1 & 1);
            cells[cell] |= edges;
            self.spread_but(&mut cells, cell, edges, last);
        }
        let joined = |cell: usize| {
            let own = state.cells[cell] & (TAKEN | 2);
            let near = self.around(cell).filter(|next| cells[*next] & (TAKEN | 2) == own);
            near.fold(self.edges(cell, own >> 1), |edges, next| edges | cells[next] & (NEAR | FAR))
        };
        let told = |cell: usize| match last == Some(cell) {
            true => joined(cell) == NEAR | FAR,
            false => cells[cell] == state.cells[cell],
        };
        ensure((0..cells.len()).all(told), "a stone's edges are not what the board says")
    }

    #[inline]
    fn turn(&self, state: &State) -> Turn {
        if state.won || usize::from(state.plies) >= state.cells.len() {
            Turn::Over
        } else {
            Turn::Player(usize::from(state.plies) % 2)
        }
    }

    #[inline]
    fn moves(&self, state: &State, mut each: impl FnMut(Action)) {
        if !state.won {
            (0..).zip(&state.cells).filter(|(_, c)| **c == 0).for_each(|(cell, _)| each(cell));
        }
    }

    #[inline]
    fn play(&self, state: &mut State, action: Action) {
        let (mover, cell) = (u8::from(state.plies % 2 == 1), usize::from(action));
        let mut edges = self.edges(cell, mover);
        for next in self.around(cell) {
            if state.cells[next] & (TAKEN | 2) == TAKEN | mover << 1 {
                edges |= state.cells[next] & (NEAR | FAR);
            }
        }
        state.cells[cell] = TAKEN | mover << 1 | edges;
        state.plies += 1;
        state.won = edges == NEAR | FAR;
        if edges != 0 && !state.won {
            self.spread_but(&mut state.cells, cell, edges, None);
        }
    }

    fn returns(&self, state: &State, returns: &mut [f32]) {
        returns.fill(0.0);
        if state.won {
            let loser = usize::from(state.plies) % 2;
            returns[loser] = -1.0;
            returns[1 - loser] = 1.0;
        }
    }

    fn hash(&self, state: &State) -> u64 {
        let stones = state.cells.chunks(32);
        stones.fold(0, |h, c| mix(h, c.iter().fold(0, |word, cell| word << 2 | u64::from(cell & 3))))
    }

    /// Planes: own stones, the other's, all ones if to move, all ones for the player who joins top and bottom.
    fn observe(&self, state: &State, player: usize, obs: &mut [f32]) {
        let cells = self.size * self.size;
        for (plane, owner) in obs.chunks_exact_mut(cells).zip([player, 1 - player]) {
            board::fill(plane, |cell| Self::owner(state, cell) == Some(owner));
        }
        obs[2 * cells..3 * cells].fill(f32::from(u8::from(self.turn(state) == Turn::Player(player))));
        obs[3 * cells..].fill(f32::from(u8::from(player == 0)));
    }

    fn write(&self, _: &State, action: Action) -> String {
        board::cell_name(usize::from(action), self.size)
    }

    fn text(&self, state: &State) -> String {
        let flat = letters(self.size, self.size, |cell| match Self::owner(state, cell) {
            Some(0) => 'x',
            Some(_) => 'o',
            None => '.',
        });
        let slanted = flat.lines().enumerate().map(|(row, line)| format!("{:row$}{line}", ""));
        slanted.collect::<Vec<_>>().join("\n")
    }
}
