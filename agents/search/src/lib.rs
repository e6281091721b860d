//! Players of games that think without learning. They know games only by their contract.
//!
//! | to learn about | read |
//! | --- | --- |
//! | what a player is, and which there are | [`player`] |
//! | alpha-beta search | [`minimax`] |
//! | Monte Carlo tree search | [`mcts`] |
//! | regret minimisation for hidden cards | [`cfr`] |

pub mod cfr;
pub mod mcts;
pub mod minimax;
pub mod player;

pub use player::{Line, Player, PlayerError, Thoughts};
