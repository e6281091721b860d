//! One game between players, from its beginning to its end: whose turn it is, chance, what players are told and asked,
//! and why the game ends. Tournaments, evaluations, `agon play` and the replay of recorded games play through here.
//! Self-play does not ([`crate::self_play`]): there one batch of searches is under way in many games at once.

use crate::player::{Fault, Player};
use agon_core::game::{Action, Game, Turn};
use agon_core::rng::Rng;
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Why a game ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// By the game's rules.
    Rules,
    /// The limit of plies: a draw.
    Length,
    /// A player resigned.
    Resigned,
    /// One player evaluated it as lost, or both as decided or even.
    Adjudicated,
    /// Forfeit: the last move is not legal.
    Illegal,
    /// Forfeit: the player broke down.
    Crash,
    /// Forfeit: it thought too long.
    Time,
}

/// In the record of a game that ended by an illegal move: an answer that is no move at all, such as an unknown word of an
/// engine. No game has so many actions.
pub const NO_MOVE: Action = Action::MAX;

/// How an adjudicator ends a game.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This seat wins.
    Win(usize),
    /// Nobody does.
    Draw,
}

/// Ends games before the rules do, by the players' evaluations.
pub trait Adjudicator {
    /// Takes a seat's evaluation after its own move. `value`: the return it expects for itself, if it computes one;
    /// `irreversible`: see [`Game::irreversible`].
    fn hear(&mut self, seat: usize, value: Option<f32>, irreversible: bool);

    /// Whether the game ends now, after so many plies, those before its first position included.
    fn verdict(&self, plies: usize) -> Option<Verdict>;
}

/// What a game is played by, beside its rules.
pub struct Terms<'a> {
    /// The opening: first moves, which the players do not choose.
    pub opening: &'a [Action],
    /// Plies after which the game is a draw, the opening's included.
    pub most_plies: u32,
    /// The longest time for a move; none for no limit.
    pub clock: Option<Duration>,
    /// Whether a resignation loses the game; otherwise the move that came with it is played.
    pub resignations: bool,
    /// Who may end the game early.
    pub adjudicator: Option<&'a mut dyn Adjudicator>,
    /// Set to stop the game; checked before every move.
    pub stop: &'a AtomicBool,
}

/// A game that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Why.
    pub end: End,
    /// The player who lost by something other than the rules.
    pub loser: Option<usize>,
    /// What the loser did wrong, where the end alone does not say it.
    pub fault: Option<String>,
    /// Players' moves, the opening's included; the last one of [`End::Illegal`] was not made.
    pub moves: Vec<Action>,
}

/// What a player answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its move.
    pub action: Action,
    /// Whether it resigns.
    pub resigns: bool,
}

/// A game in progress. Every call takes all players that follow it, always in the same order: first those that play, by
/// seat, where [`Match::run`] asks them for moves.
///
/// A player that panics makes no more moves in this game.
pub struct Match<'a, G: Game> {
    game: &'a G,
    state: &'a mut G::State,
    chance: Rng,
    /// Plies before the position that it began with.
    before: u32,
    /// Who broke down at being told something.
    broken: Vec<usize>,
}

impl<'a, G: Game> Match<'a, G> {
    /// A game that begins with `state`, which players are told; then chance decides until a player must. `state` is
    /// always the position as it stands.
    pub fn begin(game: &'a G, state: &'a mut G::State, chance: Rng, players: &mut [&mut dyn Player<G>]) -> Self {
        let before = game.plies_before(state);
        let mut begun = Self { game, state, chance, before, broken: Vec::new() };
        tell(players, &mut begun.broken, |player| player.begin(game, begun.state));
        begun.roll(players);
        begun
    }

    /// The position.
    pub fn state(&self) -> &G::State {
        self.state
    }

    /// The same, to put it back to an earlier one; players must be told by [`Player::begin`] and [`Player::played`].
    pub fn state_mut(&mut self) -> &mut G::State {
        self.state
    }

    /// Whose decision is next: a player's, or the game is over.
    pub fn turn(&self) -> Turn {
        self.game.turn(self.state)
    }

    /// Makes a legal move, which players are told; then chance decides until a player must.
    pub fn play(&mut self, players: &mut [&mut dyn Player<G>], action: Action) {
        self.happen(players, action);
        self.roll(players);
    }

    /// What `players[number]` answers on its turn.
    ///
    /// # Errors
    /// Why it has no move.
    #[inline]
    pub fn ask(&self, players: &mut [&mut dyn Player<G>], number: usize, mind: &mut Rng) -> Result<Reply, Fault> {
        let panicked = || Fault::Crash("it panicked".into());
        if self.broken.contains(&number) {
            return Err(panicked());
        }
        let (game, state, player) = (self.game, &*self.state, &mut players[number]);
        let reply = || player.choose(game, state, mind).map(|action| Reply { action, resigns: player.resigns() });
        catch_unwind(AssertUnwindSafe(reply)).unwrap_or_else(|_| Err(panicked()))
    }

    /// Plays to the end. `minds`: a generator for each seat, or one for all. None if it was stopped.
    pub fn run(
        mut self,
        players: &mut [&mut dyn Player<G>],
        minds: &mut [Rng],
        mut terms: Terms<'_>,
    ) -> Option<Finished> {
        let mut moves: Vec<Action> = Vec::with_capacity(64);
        let finished = |end, loser, fault, moves| Some(Finished { end, loser, fault, moves });
        loop {
            let Turn::Player(mover) = self.turn() else { return finished(End::Rules, None, None, moves) };
            let plies = self.before as usize + moves.len();
            if let Some(verdict) = terms.adjudicator.as_ref().and_then(|a| a.verdict(plies)) {
                let loser = if let Verdict::Win(seat) = verdict { Some(1 - seat) } else { None };
                return finished(End::Adjudicated, loser, None, moves);
            }
            if moves.len() >= terms.most_plies as usize {
                return finished(End::Length, None, None, moves);
            }
            if terms.stop.load(Ordering::Relaxed) {
                return None;
            }
            let given = terms.opening.get(moves.len()).copied();
            let action = if let Some(action) = given {
                action
            } else {
                let mind = mover.min(minds.len() - 1);
                match self.answer(players, mover, &mut minds[mind], &terms) {
                    Ok(action) => action,
                    // Nobody waited for the move to the end.
                    Err(_) if terms.stop.load(Ordering::Relaxed) => return None,
                    Err((end, fault)) => {
                        moves.extend((end == End::Illegal).then_some(NO_MOVE));
                        return finished(end, Some(mover), fault, moves);
                    }
                }
            };
            moves.push(action);
            let mut legal = false;
            self.game.moves(self.state, |a| legal |= a == action);
            if !legal {
                return finished(End::Illegal, Some(mover), None, moves);
            }
            let player = &players[mover];
            let thinks = || catch_unwind(AssertUnwindSafe(|| player.value())).unwrap_or(None);
            let value = (terms.adjudicator.is_some() && given.is_none()).then(thinks);
            self.happen(players, action);
            if let (Some(adjudicator), Some(value)) = (&mut terms.adjudicator, value) {
                adjudicator.hear(mover, value, self.game.irreversible(self.state));
            }
            self.roll(players);
        }
    }

    /// A player's move, or how the game is lost for it.
    #[inline]
    fn answer(
        &self,
        players: &mut [&mut dyn Player<G>],
        mover: usize,
        mind: &mut Rng,
        terms: &Terms<'_>,
    ) -> Result<Action, (End, Option<String>)> {
        let begun = terms.clock.map(|allowed| (Instant::now(), allowed));
        let reply = self.ask(players, mover, mind).map_err(|fault| {
            let end = match fault {
                Fault::Illegal(_) => End::Illegal,
                Fault::Crash(_) => End::Crash,
                Fault::Time => End::Time,
            };
            (end, Some(fault.to_string()))
        })?;
        if begun.is_some_and(|(at, allowed)| at.elapsed() > allowed) {
            return Err((End::Time, None));
        }
        if reply.resigns && terms.resignations { Err((End::Resigned, None)) } else { Ok(reply.action) }
    }

    /// Tells all what happens, and lets it happen.
    fn happen(&mut self, players: &mut [&mut dyn Player<G>], action: Action) {
        let (game, state) = (self.game, &*self.state);
        tell(players, &mut self.broken, |player| player.played(game, state, action));
        self.game.play(self.state, action);
    }

    /// Lets chance decide until a player must, before all eyes.
    fn roll(&mut self, players: &mut [&mut dyn Player<G>]) {
        while self.turn() == Turn::Chance {
            let outcome = self.game.roll(self.state, &mut self.chance);
            self.happen(players, outcome);
        }
    }
}

/// Says something to every player, and notes who breaks down at it.
fn tell<G: Game>(players: &mut [&mut dyn Player<G>], broken: &mut Vec<usize>, mut say: impl FnMut(&mut dyn Player<G>)) {
    let mut at = 0;
    // One net under all of them: every move comes through here.
    while at < players.len() {
        let told = catch_unwind(AssertUnwindSafe(|| {
            while at < players.len() {
                say(&mut *players[at]);
                at += 1;
            }
        }));
        if told.is_err() {
            broken.push(at);
            at += 1;
        }
    }
}

/// Hears everything that happens, the position before it and the action, and never moves.
pub struct Listener<F>(pub F);

impl<G: Game, F: FnMut(&G, &G::State, Action) + Send> Player<G> for Listener<F> {
    fn choose(&mut self, _: &G, _: &G::State, _: &mut Rng) -> Result<Action, Fault> {
        Err(Fault::Crash("it only listens".into()))
    }

    fn played(&mut self, game: &G, before: &G::State, action: Action) {
        (self.0)(game, before, action);
    }
}
