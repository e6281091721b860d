//! The trait of players, and the two that need no search.

use agon_core::game::{Action, Game, Turn};
use agon_core::rng::Rng;
use agon_core::settings::{Issue, hint};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Why a player made no legal move.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// Its answer is no legal move: the answer.
    #[error("`{0}` is not a legal move")]
    Illegal(String),
    /// It failed: how.
    #[error("{0}")]
    Crash(String),
    /// It exceeded its time.
    #[error("it did not answer in time")]
    Time,
}

/// Set when nothing is waited for any more.
pub type Halt = Arc<AtomicBool>;

/// A player of a game.
///
/// The caller calls [`Player::begin`], [`Player::played`] for every move and outcome of chance, and [`Player::choose`]
/// on the player's turns. Most players use the position alone and need only the last.
pub trait Player<G: Game>: Send {
    /// A legal move. In `state` it is this player's turn.
    ///
    /// # Errors
    /// Why there is none; the game is then lost. The player is ready for the next one.
    fn choose(&mut self, game: &G, state: &G::State, rng: &mut Rng) -> Result<Action, Fault>;

    /// Stops thinking as soon as this is set; its choice is then meaningless.
    fn heed(&mut self, _halt: &Halt) {}

    /// Checks that it can play: starts a program that it needs.
    ///
    /// # Errors
    /// Why it cannot.
    fn check(&mut self, _game: &G) -> Result<(), PlayerError> {
        Ok(())
    }

    /// A new game begins, at its start or from another position.
    fn begin(&mut self, _game: &G, _start: &G::State) {}

    /// It is idle: a program that it needs may exit until the next game begins.
    fn rest(&mut self) {}

    /// Told every move and outcome of chance of the game, its own and the opening's included.
    fn played(&mut self, _game: &G, _before: &G::State, _action: Action) {}

    /// Its thoughts about its last choice.
    fn thoughts(&self) -> Thoughts {
        Thoughts::default()
    }

    /// Writes the probabilities by which it would choose in a position, `[actions]`; false where it has none, because
    /// it searches or keeps state.
    fn policy(&mut self, _game: &G, _state: &G::State, _policy: &mut [f32]) -> bool {
        false
    }

    /// Its expected return after its last choice, where it has one.
    fn value(&self) -> Option<f32> {
        self.thoughts().lines.first().map(|l| l.value)
    }

    /// Bytes that it holds, or may allocate while thinking, where that is much.
    fn bytes(&self) -> f64 {
        0.0
    }

    /// Whether it resigned by its last choice. The move is used where resignation does not count.
    fn resigns(&self) -> bool {
        false
    }
}

/// The thoughts behind a choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thoughts {
    /// The moves considered, best first.
    pub lines: Vec<Line>,
    /// Simulations or positions searched.
    pub searched: u64,
    /// Search depth in plies, where the search has one.
    pub depth: u32,
    /// Whether the lines' values are probabilities of choosing them, and not expected returns.
    pub probabilities: bool,
}

/// One move that was considered.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The move and its expected continuation.
    pub moves: Vec<Action>,
    /// Simulations through it, 0 where the search does not count them.
    pub visits: u64,
    /// Expected return for the player to move; of `cfr`, the probability of the move.
    pub value: f32,
}

/// Why a player cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlayerError {
    /// No player has this name.
    #[error("no player is called `{name}`{} (known are {}; a path is a run)", hint(.nearest), .known.join(", "))]
    Unknown {
        /// The given name.
        name: String,
        /// The nearest existing name.
        nearest: Option<String>,
        /// All names.
        known: &'static [&'static str],
    },
    /// Invalid settings.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<Issue>),
    /// The game is not of a kind that this player can play.
    #[error("{player} cannot play this game: {why}")]
    Game {
        /// The player.
        player: &'static str,
        /// The reason.
        why: &'static str,
    },
    /// A trained network cannot be loaded.
    #[error("{path}: {why}")]
    Network {
        /// The run or checkpoint.
        path: String,
        /// The reason.
        why: String,
    },
    /// An engine cannot be started.
    #[error("{player}: `{command}`: {why}")]
    Engine {
        /// The player.
        player: &'static str,
        /// The program and its arguments.
        command: String,
        /// What went wrong.
        why: String,
    },
}

impl From<Issue> for PlayerError {
    fn from(issue: Issue) -> Self {
        Self::Settings(vec![issue])
    }
}

/// The budget of a search.
#[derive(Clone, Debug)]
pub struct Budget {
    deadline: Option<Instant>,
    halt: Halt,
    left: u64,
}

impl Budget {
    /// At most `count` units of work and `milliseconds`; 0 means no limit. Exhausted once `halt` is set.
    pub fn new(count: u64, milliseconds: u64, halt: &Halt) -> Self {
        let deadline = (milliseconds > 0).then(|| Instant::now() + Duration::from_millis(milliseconds));
        Self { deadline, halt: halt.clone(), left: if count == 0 { u64::MAX } else { count } }
    }

    /// Takes one unit; false when nothing is left. Looks at the clock every 64 units.
    #[inline]
    pub fn take(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        if self.left.is_multiple_of(64) {
            let late = self.deadline.is_some_and(|d| Instant::now() >= d);
            if late || self.halt.load(Ordering::Relaxed) {
                self.left = 0;
            }
        }
        true
    }

    /// Whether nothing is left.
    pub fn spent(&self) -> bool {
        self.left == 0
    }
}

/// Uniformly random.
pub struct Random;

impl<G: Game> Player<G> for Random {
    fn choose(&mut self, game: &G, state: &G::State, rng: &mut Rng) -> Result<Action, Fault> {
        Ok(game.random_move(state, rng))
    }

    fn policy(&mut self, game: &G, state: &G::State, policy: &mut [f32]) -> bool {
        let legal = agon_core::game::moves(game, state);
        policy.fill(0.0);
        legal.iter().for_each(|a| policy[usize::from(*a)] = 1.0 / legal.len() as f32);
        true
    }
}

/// Takes the best move by one ply of lookahead, ties broken at random.
pub struct Greedy;

impl<G: Game> Player<G> for Greedy {
    fn choose(&mut self, game: &G, state: &G::State, rng: &mut Rng) -> Result<Action, Fault> {
        let Turn::Player(mover) = game.turn(state) else { return Ok(0) };
        let (mut best, mut value, mut ties) = (0, f32::NEG_INFINITY, 0);
        let (mut next, mut returns) = (state.clone(), vec![0.0; game.spec().players()]);
        game.moves(state, |action| {
            next.clone_from(state);
            game.play(&mut next, action);
            game.returns(&next, &mut returns);
            let over = game.turn(&next) == Turn::Over;
            let worth = returns[mover] + if over { 0.0 } else { game.estimate(&next, mover) };
            ties = if worth > value { 1 } else { ties + u32::from(worth == value) };
            // Each of the equals is kept with equal probability.
            if worth > value || worth == value && rng.below(ties) == 0 {
                (best, value) = (action, worth);
            }
        });
        Ok(best)
    }
}
