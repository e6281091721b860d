//! 2048: slide all tiles to one side, equal ones merge once and score what they become; then a 2 (or with probability
//! 0.1 a 4) appears on a random free cell. Begins with two tiles, ends when nothing can move. Any size.
//!
//! Actions: up, right, down, left. Chance: 2 × cell for a 2, 2 × cell + 1 for a 4.

use agon_core::env::ensure;
use agon_core::game::{Action, mix};
use agon_core::{EnvError, Game, GameSpec, Rng, Turn};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct Twenty48Settings {
        /// Rows.
        rows: usize = 4, in [1.0, 8.0];
        /// Columns.
        columns: usize = 4, in [1.0, 8.0];
        /// The game also ends when this tile appears; 0 for never.
        goal: u64 = 0, in [0.0, 1e15];
        /// Moves after which an episode is truncated.
        step_limit: u32 = 20000, in [1.0, 1e9];
    }
}

#[derive(Clone)]
pub struct Twenty48 {
    rows: usize,
    columns: usize,
    goal: u64,
    spec: GameSpec,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Exponents of two, 0 for a free cell.
    cells: Vec<u8>,
    score: u64,
    /// Tiles that chance must still place.
    owed: u8,
}

impl Clone for State {
    fn clone(&self) -> Self {
        Self { cells: self.cells.clone(), ..*self }
    }

    fn clone_from(&mut self, from: &Self) {
        self.cells.clone_from(&from.cells);
        (self.score, self.owed) = (from.score, from.owed);
    }
}

impl Twenty48 {
    /// The number of lines in a direction, their length, and the cell at a place, counted from where tiles pile up.
    #[inline]
    fn lines(&self, action: Action) -> (usize, usize, impl Fn(usize, usize) -> usize) {
        let (rows, columns) = (self.rows, self.columns);
        let upright = action.is_multiple_of(2);
        let (lines, length) = if upright { (columns, rows) } else { (rows, columns) };
        let cell = move |line: usize, at: usize| match action {
            0 => at * columns + line,
            1 => line * columns + columns - 1 - at,
            2 => (rows - 1 - at) * columns + line,
            _ => line * columns + at,
        };
        (lines, length, cell)
    }

    fn can(&self, cells: &[u8], action: Action) -> bool {
        let (lines, length, cell) = self.lines(action);
        (0..lines).any(|line| {
            (1..length).any(|at| {
                let (before, here) = (cells[cell(line, at - 1)], cells[cell(line, at)]);
                here != 0 && (before == 0 || before == here)
            })
        })
    }

    fn slide(&self, state: &mut State, action: Action) {
        let (lines, length, cell) = self.lines(action);
        for line in 0..lines {
            let (mut to, mut open) = (0, false); // the next place, and whether the tile before it can still merge
            for at in 0..length {
                let tile = std::mem::take(&mut state.cells[cell(line, at)]);
                if tile == 0 {
                    continue;
                }
                if open && state.cells[cell(line, to - 1)] == tile {
                    state.cells[cell(line, to - 1)] = tile + 1;
                    state.score += 1 << (tile + 1);
                    open = false;
                } else {
                    state.cells[cell(line, to)] = tile;
                    to += 1;
                    open = true;
                }
            }
        }
    }
}

impl Game for Twenty48 {
    type Settings = Twenty48Settings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(set: Twenty48Settings) -> Result<Self, EnvError> {
        let cells = set.rows * set.columns;
        if cells < 2 {
            return Err(EnvError::setting("rows", "one cell is no game"));
        }
        if cells > 36 {
            return Err(EnvError::setting("rows", format!("{cells} cells are too many: at most 36")));
        }
        let spec = GameSpec {
            seats: vec!["player"],
            actions: 4,
            // The largest tile is 2^(cells + 1): every cell in a falling chain that ends in two fours.
            observation: vec![cells + 2, set.rows, set.columns],
            max_plies: set.step_limit,
            hidden: false,
            chance: true,
            returns: [0.0, f32::INFINITY],
            symmetries: Vec::new(),
        };
        Ok(Self { rows: set.rows, columns: set.columns, goal: set.goal, spec })
    }

    fn spec(&self) -> &GameSpec {
        &self.spec
    }

    fn start(&self, state: &mut State) {
        state.cells.clear();
        state.cells.resize(self.rows * self.columns, 0);
        (state.score, state.owed) = (0, 2);
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let n = self.rows * self.columns;
        ensure(state.cells.len() == n, "`cells` does not have the size of the board")?;
        let mut tiles: Vec<u8> = state.cells.iter().copied().filter(|c| *c > 0).collect();
        tiles.sort_unstable_by(|a, b| b.cmp(a));
        // A tile 2^e beside k others took two of 2^(e − 1) beside k, and so on down to a four in the last free cell: it
        // is at most 2^(n + 1 − k).
        let possible = (0..).zip(&tiles).all(|(k, e)| usize::from(*e) + k <= n + 1);
        ensure(possible, "the tiles are larger than they can get on this board")?;
        // Each merge scored what it made, down to twos or fours.
        let most = tiles.iter().map(|e| (u64::from(*e) - 1) << e).sum();
        let least = tiles.iter().map(|e| u64::from(*e).saturating_sub(2) << e).sum();
        ensure((least..=most).contains(&state.score), "`score` is not what these tiles scored")?;
        let room = n - tiles.len();
        ensure(state.owed <= 2 && usize::from(state.owed) <= room, "`owed` is more tiles than can come")?;
        ensure(state.owed < 2 || tiles.is_empty(), "`owed` is 2 only at the beginning")?;
        ensure(tiles.len() >= 2 || state.owed > 0 || state.score > 0, "the first tiles are missing")
    }

    fn turn(&self, state: &State) -> Turn {
        if state.owed > 0 {
            Turn::Chance
        } else if self.goal > 0 && state.cells.iter().any(|c| 1 << c >= self.goal)
            || !(0..4).any(|a| self.can(&state.cells, a))
        {
            Turn::Over
        } else {
            Turn::Player(0)
        }
    }

    fn moves(&self, state: &State, each: impl FnMut(Action)) {
        if self.turn(state) == Turn::Player(0) {
            (0..4).filter(|a| self.can(&state.cells, *a)).for_each(each);
        }
    }

    fn chance(&self, state: &State, mut each: impl FnMut(Action, f64)) {
        if state.owed == 0 {
            return;
        }
        let free = state.cells.iter().filter(|c| **c == 0).count() as f64;
        for (cell, _) in (0..).zip(&state.cells).filter(|(_, c)| **c == 0) {
            each(2 * cell, 0.9 / free);
            each(2 * cell + 1, 0.1 / free);
        }
    }

    fn roll(&self, state: &State, rng: &mut Rng) -> Action {
        let free = state.cells.iter().filter(|c| **c == 0).count() as u32;
        let pick = rng.below(free) as usize;
        let cell = state.cells.iter().enumerate().filter(|(_, c)| **c == 0).nth(pick).map_or(0, |(i, _)| i);
        2 * cell as Action + Action::from(rng.below(10) == 0)
    }

    fn play(&self, state: &mut State, action: Action) {
        if state.owed > 0 {
            state.cells[usize::from(action / 2)] = 1 + (action % 2) as u8;
            state.owed -= 1;
        } else {
            self.slide(state, action);
            // The goal ends the game at once.
            let reached = self.goal > 0 && state.cells.iter().any(|c| 1 << c >= self.goal);
            state.owed = u8::from(!reached);
        }
    }

    fn returns(&self, state: &State, returns: &mut [f32]) {
        returns[0] = state.score as f32;
    }

    fn hash(&self, state: &State) -> u64 {
        let cells = state.cells.chunks(8);
        let hash = cells.fold(u64::from(state.owed), |h, c| mix(h, c.iter().fold(0, |w, x| w << 8 | u64::from(*x))));
        mix(hash, state.score)
    }

    /// Plane k shows the tiles 2^k, plane 0 the free cells.
    fn observe(&self, state: &State, _: usize, obs: &mut [f32]) {
        obs.fill(0.0);
        for (i, cell) in state.cells.iter().enumerate() {
            obs[usize::from(*cell) * state.cells.len() + i] = 1.0;
        }
    }

    fn write(&self, _: &State, action: Action) -> String {
        ["up", "right", "down", "left"][usize::from(action)].into()
    }

    fn text(&self, state: &State) -> String {
        let tile = |c: &u8| if *c == 0 { ".".into() } else { (1u64 << c).to_string() };
        let row = |r: &[u8]| r.iter().map(|c| format!("{:>6}", tile(c))).collect::<String>();
        let rows: Vec<String> = state.cells.chunks(self.columns).map(row).collect();
        format!("{}\nscore {}", rows.join("\n"), state.score)
    }
}
