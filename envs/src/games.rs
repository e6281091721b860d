//! Turn-based games. To add one: a file, a `mod` line, a row.
pub mod backgammon;
mod board;
pub mod chess;
pub mod connect_four;
pub mod go;
pub mod hex;
pub mod kuhn;
pub mod leduc;
pub mod liars_dice;
pub mod othello;
pub mod tic_tac_toe;
pub mod twenty48;

use agon_core::game::Visit;
use agon_core::settings::Settings;
use agon_core::{Entry, EnvError, Game, GameEnv};
use serde_json::{Map, Value};

/// From the one list of games: their rows as environments, their names, and the way to a game by its name.
macro_rules! games {
    ($($id:literal: $game:ty, $about:literal, $verified:literal;)*) => {
        pub const ENTRIES: &[Entry] = &[$(Entry::env::<GameEnv<$game>>($id, $about, $verified),)*];

        /// The names of all games.
        pub const NAMES: &[&str] = &[$($id,)*];

        /// Does something with the game of this name.
        pub fn visit<V: Visit>(id: &str, settings: &Map<String, Value>, visitor: V) -> Result<V::Out, EnvError> {
            match id {
                $($id => {
                    let settings = <$game as Game>::Settings::read(settings).map_err(EnvError::Settings)?;
                    Ok(visitor.visit(<$game>::new(settings)?))
                })*
                _ if crate::find(id).is_ok() => {
                    let what = format!("`{id}` is not a turn-based game");
                    Err(EnvError::NoGame { what, nearest: None, games: NAMES })
                }
                _ => Err(EnvError::NoGame {
                    what: format!("no game is called `{id}`"),
                    nearest: agon_core::settings::nearest(id, NAMES.iter().copied()),
                    games: NAMES,
                }),
            }
        }
    };
}

games! {
    "games/tic-tac-toe": tic_tac_toe::TicTacToe, "Three in a row on 3×3",
        "255,168 games, 5,478 positions; OpenSpiel's games";
    "games/connect-four": connect_four::ConnectFour, "Drop stones into columns, four in a line win",
        "perft; OpenSpiel's games";
    "games/othello": othello::Othello, "Enclose lines of stones to turn them", "perft; OpenSpiel's games";
    "games/go": go::Go, "Enclose area, by Tromp-Taylor rules",
        "perft; the counts of legal positions; OpenSpiel's games";
    "games/hex": hex::Hex, "Join your two edges of the board", "the 3×3 solution; OpenSpiel's games";
    "games/chess": chess::Chess, "Mate the king", "perft; OpenSpiel's games";
    "games/kuhn-poker": kuhn::Kuhn, "Poker with three cards", "OpenSpiel's games";
    "games/leduc-poker": leduc::Leduc, "Poker with six cards and two rounds", "OpenSpiel's games";
    "games/2048": twenty48::Twenty48, "Slide and merge tiles", "the exact 2×2 optimum; OpenSpiel's games";
    "games/backgammon": backgammon::Backgammon, "Race fifteen checkers home by dice", "OpenSpiel's games";
    "games/liars-dice": liars_dice::LiarsDice, "Bid on hidden dice", "OpenSpiel's games";
}
