//! Three in a row on 3×3. 255,168 games, 5,478 positions, a draw. Actions: cells row by row.

use super::board;
use agon_core::env::ensure;
use agon_core::game::{Action, mix};
use agon_core::{EnvError, Game, GameSpec, Turn};
use serde::{Deserialize, Serialize};

agon_core::settings! {
    pub struct TicTacToeSettings {}
}

#[derive(Clone)]
pub struct TicTacToe {
    spec: GameSpec,
}

/// Nine bits a player.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    stones: [u16; 2],
}

const LINES: [u16; 8] = [0o7, 0o70, 0o700, 0o111, 0o222, 0o444, 0o421, 0o124];

impl State {
    fn winner(&self) -> Option<usize> {
        (0..2).find(|&p| LINES.iter().any(|l| self.stones[p] & l == *l))
    }

    fn taken(&self) -> u16 {
        self.stones[0] | self.stones[1]
    }
}

impl Game for TicTacToe {
    type Settings = TicTacToeSettings;
    type State = State;
    const VERSION: u32 = 1;

    fn new(_: TicTacToeSettings) -> Result<Self, EnvError> {
        let mut spec = GameSpec::board(["x", "o"], 9, vec![3, 3, 3], 9);
        spec.symmetries = board::square(3, 3, 9);
        Ok(Self { spec })
    }

    fn spec(&self) -> &GameSpec {
        &self.spec
    }

    fn start(&self, state: &mut State) {
        *state = State::default();
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let [x, o] = state.stones;
        ensure((x | o) < 0o1000 && x & o == 0, "the stones lie beside the board or on each other")?;
        let ahead = x.count_ones().checked_sub(o.count_ones());
        // Whoever has a line placed the last stone.
        let wins = |stones: u16| LINES.iter().any(|l| stones & l == *l);
        let fair = match (wins(x), wins(o)) {
            (false, false) => matches!(ahead, Some(0 | 1)),
            (true, false) => ahead == Some(1),
            (false, true) => ahead == Some(0),
            (true, true) => false,
        };
        ensure(fair, "no order of moves leads there")
    }

    #[inline]
    fn turn(&self, state: &State) -> Turn {
        let plies = state.taken().count_ones();
        if plies == 9 || state.winner().is_some() { Turn::Over } else { Turn::Player(plies as usize % 2) }
    }

    #[inline]
    fn moves(&self, state: &State, each: impl FnMut(Action)) {
        if self.turn(state) != Turn::Over {
            (0..9).filter(|a| state.taken() >> a & 1 == 0).for_each(each);
        }
    }

    #[inline]
    fn play(&self, state: &mut State, action: Action) {
        let mover = state.taken().count_ones() as usize % 2;
        state.stones[mover] |= 1 << action;
    }

    fn returns(&self, state: &State, returns: &mut [f32]) {
        returns.fill(0.0);
        if let Some(winner) = state.winner() {
            returns[winner] = 1.0;
            returns[1 - winner] = -1.0;
        }
    }

    fn hash(&self, state: &State) -> u64 {
        mix(0, u64::from(state.stones[0]) << 16 | u64::from(state.stones[1]))
    }

    /// Planes: own stones, the other's, all ones if to move.
    fn observe(&self, state: &State, player: usize, obs: &mut [f32]) {
        let moves = self.turn(state) == Turn::Player(player);
        for (plane, set) in obs.chunks_exact_mut(9).zip([state.stones[player], state.stones[1 - player]]) {
            board::fill(plane, |cell| set >> cell & 1 == 1);
        }
        obs[18..].fill(f32::from(u8::from(moves)));
    }

    fn write(&self, _: &State, action: Action) -> String {
        board::cell_name(usize::from(action), 3)
    }

    fn text(&self, state: &State) -> String {
        board::letters(3, 3, |cell| match [0, 1].map(|p| state.stones[p] >> cell & 1) {
            [1, _] => 'x',
            [_, 1] => 'o',
            _ => '.',
        })
    }
}
