//! Drop stones into columns; four in a line win. Any size that fits 128 bits with one spare cell a column.
//!
//! Actions: columns from the left. Stones are bits, columns of `rows + 1` from the bottom up, so that a line is a
//! few shifts (Tromp's representation).

use super::board::{hex, letters, symmetry};
use agon_core::env::ensure;
use agon_core::game::{Action, mix};
use agon_core::{EnvError, Game, GameSpec, Rng, Turn};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct ConnectFourSettings {
        /// Rows.
        rows: usize = 6, in [1.0, 20.0];
        /// Columns.
        columns: usize = 7, in [1.0, 26.0];
        /// Stones in a line that win.
        line: usize = 4, in [2.0, 10.0];
    }
}

#[derive(Clone)]
pub struct ConnectFour {
    set: ConnectFourSettings,
    spec: GameSpec,
    /// Whether 64 bits suffice.
    small: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    #[serde(with = "hex")]
    stones: [u128; 2],
    plies: u8,
    won: bool,
}

/// Whether a set holds `line` bits in one of four directions.
macro_rules! lines {
    ($set:expr, $line:expr, $height:expr) => {
        [1, $height, $height - 1, $height + 1].into_iter().any(|step| {
            let mut run = $set;
            if $line == 4 {
                run &= run >> step;
                run &= run >> (2 * step);
            } else {
                (1..$line).for_each(|_| run = $set & run >> step);
            }
            run != 0
        })
    };
}

impl ConnectFour {
    fn height(&self) -> usize {
        self.set.rows + 1
    }

    #[inline]
    fn open(&self, state: &State, column: usize) -> bool {
        (state.stones[0] | state.stones[1]) >> (column * self.height() + self.set.rows - 1) & 1 == 0
    }

    /// Whose stone is on a cell, counted row by row from the top.
    fn stone(&self, state: &State, cell: usize) -> Option<usize> {
        let (row, column) = (cell / self.set.columns, cell % self.set.columns);
        let at = column * self.height() + self.set.rows - 1 - row;
        (0..2).find(|&p| state.stones[p] >> at & 1 == 1)
    }
}

impl Game for ConnectFour {
    type Settings = ConnectFourSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(set: ConnectFourSettings) -> Result<Self, EnvError> {
        let (rows, columns) = (set.rows, set.columns);
        if columns * (rows + 1) > 128 {
            return Err(EnvError::setting(
                "columns",
                format!("{rows}×{columns} is too large: columns × (rows + 1) ≤ 128"),
            ));
        }
        let mut spec = GameSpec::board(["x", "o"], columns, vec![3, rows, columns], (rows * columns) as u32);
        let mirror = |cell: usize| cell / columns * columns + columns - 1 - cell % columns;
        let mut swap = symmetry(3, rows * columns, rows * columns, mirror);
        swap.action = (0..columns as Action).rev().collect();
        spec.symmetries = vec![swap];
        Ok(Self { small: columns * (rows + 1) <= 64, set, spec })
    }

    fn spec(&self) -> &GameSpec {
        &self.spec
    }

    fn start(&self, state: &mut State) {
        *state = State::default();
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let [x, o] = state.stones;
        ensure(x & o == 0, "two stones lie in one cell")?;
        let (height, mut left) = (self.height(), x | o);
        for column in 0..self.set.columns {
            let stones = (x | o) >> (column * height) & ((1 << self.set.rows) - 1);
            ensure(stones & (stones + 1) == 0, "a stone has none below it")?;
            left &= !(stones << (column * height));
        }
        ensure(left == 0, "a stone lies beside the board")?;
        let [x, o] = [x, o].map(u128::count_ones);
        ensure(x + o == u32::from(state.plies) && (x == o || x == o + 1), "`plies` or the stones are miscounted")?;
        let [last, other] = if x > o { state.stones } else { [state.stones[1], state.stones[0]] };
        ensure(!lines!(other, self.set.line, height), "a stone was placed after the game was won")?;
        ensure(state.won == lines!(last, self.set.line, height), "`won` is not what the board says")
    }

    #[inline]
    fn turn(&self, state: &State) -> Turn {
        if state.won || u32::from(state.plies) == self.spec.max_plies {
            Turn::Over
        } else {
            Turn::Player(usize::from(state.plies) % 2)
        }
    }

    #[inline]
    fn moves(&self, state: &State, each: impl FnMut(Action)) {
        if self.turn(state) != Turn::Over {
            (0..self.set.columns as Action).filter(|c| self.open(state, usize::from(*c))).for_each(each);
        }
    }

    #[inline]
    fn play(&self, state: &mut State, action: Action) {
        let (height, mover) = (self.height(), usize::from(state.plies) % 2);
        let bottom = usize::from(action) * height;
        state.plies += 1;
        if self.small {
            let [own, other] = [state.stones[mover] as u64, state.stones[1 - mover] as u64];
            let column = ((1 << self.set.rows) - 1) << bottom;
            let own = own | ((own | other) + (1 << bottom)) & column;
            state.stones[mover] = u128::from(own);
            state.won = lines!(own, self.set.line, height);
        } else {
            let column = ((1 << self.set.rows) - 1) << bottom;
            let own = state.stones[mover] | (((state.stones[0] | state.stones[1]) + (1 << bottom)) & column);
            state.stones[mover] = own;
            state.won = lines!(own, self.set.line, height);
        }
    }

    #[inline]
    fn random_move(&self, state: &State, rng: &mut Rng) -> Action {
        loop {
            let column = rng.below(self.set.columns as u32) as usize;
            if self.open(state, column) {
                return column as Action;
            }
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

    /// Free cells that would complete a line of four, weighed by a tenth each.
    fn estimate(&self, state: &State, player: usize) -> f32 {
        let height = self.height();
        let column = (1u128 << self.set.rows) - 1;
        let board = (0..self.set.columns).fold(0, |set, c| set | column << (c * height));
        let free = board & !(state.stones[0] | state.stones[1]);
        let threats = |own: u128| {
            let cells = [1, height, height - 1, height + 1].into_iter().fold(0, |cells, step| {
                let two = own & own >> step;
                let (row, left, right) = (two & own >> (2 * step), two & own >> (3 * step), own & (two >> (2 * step)));
                cells | row >> step | row << (3 * step) | left << (2 * step) | right << step
            });
            (cells & free).count_ones() as f32
        };
        if self.set.line != 4 {
            return 0.0;
        }
        (0.1 * (threats(state.stones[player]) - threats(state.stones[1 - player]))).clamp(-0.9, 0.9)
    }

    #[inline]
    fn hash(&self, state: &State) -> u64 {
        let words = state.stones.map(|s| [s as u64, (s >> 64) as u64]);
        words.as_flattened().iter().fold(0, |h, w| mix(h, *w))
    }

    /// Planes: own stones, the other's, all ones if to move.
    fn observe(&self, state: &State, player: usize, obs: &mut [f32]) {
        let cells = self.set.rows * self.set.columns;
        obs.fill(0.0);
        for cell in 0..cells {
            if let Some(owner) = self.stone(state, cell) {
                obs[usize::from(owner != player) * cells + cell] = 1.0;
            }
        }
        obs[2 * cells..].fill(f32::from(u8::from(self.turn(state) == Turn::Player(player))));
    }

    /// Columns count from 1.
    fn write(&self, _: &State, action: Action) -> String {
        (action + 1).to_string()
    }

    fn text(&self, state: &State) -> String {
        let board = letters(self.set.rows, self.set.columns, |cell| match self.stone(state, cell) {
            Some(0) => 'x',
            Some(_) => 'o',
            None => '.',
        });
        // Columns have numbers here and rows need no names.
        let mut rows: Vec<String> = board.lines().take(self.set.rows).map(|l| l[3..].to_owned()).collect();
        let names = (1..=self.set.columns).map(|c| (c % 10).to_string());
        rows.push(names.collect::<Vec<_>>().join(" "));
        rows.join("\n")
    }
}
