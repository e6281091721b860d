//! Players of games and the searches behind them. They know games only by their contract, and no tensors: a network is
//! whoever implements [`guided::Evaluate`].
//!
//! | to learn about | read |
//! | --- | --- |
//! | what a player is, and which there are | [`player`] |
//! | alpha-beta search | [`minimax`] |
//! | Monte Carlo tree search | [`mcts`] |
//! | regret minimisation for hidden cards | [`cfr`] |
//! | search guided by a network | [`puct`], [`guided`] |
//! | self-play with it | [`self_play`] |

pub mod cfr;
pub mod guided;
pub mod mcts;
pub mod minimax;
pub mod player;
pub mod puct;
pub mod self_play;

pub use guided::Evaluate;
pub use player::{Line, Player, PlayerError, Thoughts};
