//! What a player is, and the two that need no search.

use agon_core::game::{Action, Game, Turn};
use agon_core::rng::Rng;
use agon_core::settings::{Issue, hint};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Why a player gave no legal move.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// What it gave is none: its words.
    #[error("`{0}` is not a legal move")]
    Illegal(String),
    /// It broke down: how.
    #[error("{0}")]
    Crash(String),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    Time,
}

/// Set by whoever waits for nobody any more.
pub type Halt = Arc<AtomicBool>;

/// Someone who moves.
///
/// Whoever lets it play says so: [`Player::begin`], [`Player::played`] for everything that happens, and
/// [`Player::choose`] on its turns. Most players look at the position alone and need only the last.
pub trait Player<G: Game>: Send {
    /// A legal move. `state` is a player's turn.
    ///
    /// # Errors
    /// Why there is none; the game is lost then. The player is fit for the next one.
    fn choose(&mut self, game: &G, state: &G::State, rng: &mut Rng) -> Result<Action, Fault>;

    /// Leaves off thinking as soon as this is set; what it chooses then is worth nothing.
    fn heed(&mut self, _halt: &Halt) {}

    /// Whether it is able to play: a program that it needs is started.
    ///
    /// # Errors
    /// Why it is not.
    fn check(&mut self, _game: &G) -> Result<(), PlayerError> {
        Ok(())
    }

    /// A new game begins, at its start or from another position.
    fn begin(&mut self, _game: &G, _start: &G::State) {}

    /// It plays in no game for now: a program that it needs may end until the next one begins.
    fn rest(&mut self) {}

    /// Every move and outcome of chance that is made in the game, one's own and the opening's included.
    fn played(&mut self, _game: &G, _before: &G::State, _action: Action) {}

    /// What it thought of its last choice.
    fn thoughts(&self) -> Thoughts {
        Thoughts::default()
    }

    /// Writes the probabilities by which it would choose in a position, `[actions]`; false where it has no such, because
    /// it searches or remembers.
    fn policy(&mut self, _game: &G, _state: &G::State, _policy: &mut [f32]) -> bool {
        false
    }

    /// The return that it expects for itself after its last choice, where it has such a number.
    fn value(&self) -> Option<f32> {
        self.thoughts().lines.first().map(|l| l.value)
    }

    /// Bytes that it holds, or may come to hold while it thinks, where that is much.
    fn bytes(&self) -> f64 {
        0.0
    }

    /// Whether it gave the game up by its last choice. The move that came with it is for who plays on regardless.
    fn resigns(&self) -> bool {
        false
    }
}

/// How a player came to its choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thoughts {
    /// What it considered, best first.
    pub lines: Vec<Line>,
    /// Simulations or positions looked at.
    pub searched: u64,
    /// Plies looked ahead, where the search has such a number.
    pub depth: u32,
    /// Whether the lines' values are the probabilities by which it chooses, and not the returns that it expects.
    pub chances: bool,
}

/// One move that was considered.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The move and what may follow it.
    pub moves: Vec<Action>,
    /// Simulations that began with it, 0 where the search does not count them.
    pub visits: u64,
    /// The return it expects for the player to move; of `cfr`, the probability of the move.
    pub value: f32,
}

/// Why a player cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PlayerError {
    /// No player has this name.
    #[error("no player is called `{name}`{} (known are {}; a path is a run)", hint(.nearest), .known.join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The nearest that exists.
        nearest: Option<String>,
        /// All that exist.
        known: &'static [&'static str],
    },
    /// Settings that do not fit.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<Issue>),
    /// The game is not of a kind that this player can play.
    #[error("{player} cannot play this game: {why}")]
    Game {
        /// The player.
        player: &'static str,
        /// What stands in its way.
        why: &'static str,
    },
    /// A network that was trained cannot be had.
    #[error("{path}: {why}")]
    Network {
        /// The run or checkpoint.
        path: String,
        /// What stands in its way.
        why: String,
    },
    /// A program that plays cannot be had.
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

/// When a search must stop.
#[derive(Clone, Debug)]
pub struct Budget {
    deadline: Option<Instant>,
    halt: Halt,
    left: u64,
}

impl Budget {
    /// At most `count` units of work and `milliseconds`; 0 means no such limit. Nothing is left once `halt` is set.
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

/// Takes what looks best one move ahead, ties at random.
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
