//! Players of games that think without learning. They know games only by their contract.
//!
//! | to learn about | read |
//! | --- | --- |
//! | what a player is, and which there are | [`player`] |
//! | alpha-beta search | [`minimax`] |
//! | Monte Carlo tree search | [`mcts`] |
//! | regret minimisation for hidden cards | [`cfr`] |
//! | programs that play: what they have in common, Go, chess | [`engine`], [`gtp`], [`uci`] |

pub mod cfr;
pub mod engine;
pub mod gtp;
pub mod mcts;
pub mod minimax;
pub mod player;
pub mod uci;

pub use player::{Fault, Line, Player, PlayerError, Thoughts};
