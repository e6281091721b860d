//! Players of games and the searches behind them. They know games only by their contract, and no tensors: a network is
//! anything that implements [`guided::Evaluate`].
//!
//! | to learn about | read |
//! | --- | --- |
//! | what a player is | [`player`] |
//! | how a game between players is played | [`match_loop`] |
//! | the players, by name | [`registry`] |
//! | alpha-beta search | [`minimax`] |
//! | Monte Carlo tree search | [`mcts`] |
//! | regret minimisation for hidden cards | [`cfr`] |
//! | programs that play: what they have in common, Go, chess | [`engine`], [`gtp`], [`uci`] |
//! | ending engines and all that they started | [`strays`] |
//! | search guided by a network | [`puct`], [`guided`] |
//! | self-play with it, and the cache of evaluations | [`self_play`], [`evaluation_cache`] |

pub mod cfr;
pub mod engine;
pub mod evaluation_cache;
pub mod gtp;
pub mod guided;
pub mod match_loop;
pub mod mcts;
pub mod minimax;
pub mod player;
pub mod puct;
pub mod registry;
pub mod self_play;
pub mod strays;
pub mod uci;

pub use guided::{Evaluate, Networks};
pub use player::{Fault, Line, Player, PlayerError, Thoughts};
