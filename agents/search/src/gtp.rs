//! The Go Text Protocol, version 2 (Farnebäck 2002, "GTP Protocol version 2"): `gtp:command=gnugo --mode gtp`.
//!
//! The first seat is Black. The board's size and the komi are those of the game. An engine may have other rules, of
//! superko say; a move of the other player that it does not accept ends the game as its fault, one of its own that the
//! game does not allow as an illegal move.

use crate::engine::{Engine, External, Made, Protocol, Question, quote};
use crate::player::{Fault, PlayerError};
use agon_core::game::{Action, Game};

agon_core::settings! {
    /// What can be set.
    pub struct GtpSettings {
        /// The program and its arguments.
        command: String = String::new();
        /// Milliseconds to wait for a reply.
        timeout_ms: u64 = 10_000, in [1.0, 1e9];
    }
}

/// The language.
pub struct Gtp {
    /// The moves that stand on the engine's board.
    told: Vec<Made>,
}

/// A player that speaks it, if the game is one of boards.
pub fn player<G: Game>(game: &G, set: &GtpSettings) -> Result<External<G, Gtp>, PlayerError> {
    let spec = game.spec();
    let why = match spec {
        _ if spec.players() != 2 => Some("it is not for two"),
        _ if spec.hidden => Some("players do not see everything"),
        _ if spec.chance => Some("chance decides"),
        _ => None,
    };
    if let Some(why) = why {
        return Err(PlayerError::Game { player: "gtp", why });
    }
    External::new(game, Gtp { told: Vec::new() }, &set.command, set.timeout_ms)
}

/// What came of a command: an answer, or that it was refused and why.
type Reply = Result<String, String>;

/// Says a command, and waits for the reply.
fn tell(engine: &mut Engine, command: &str) -> Result<Reply, Fault> {
    engine.say(command);
    let deadline = engine.deadline(0);
    let mut first = engine.line(deadline)?;
    while first.is_empty() {
        first = engine.line(deadline)?;
    }
    let reply = match (first.strip_prefix('='), first.strip_prefix('?')) {
        (Some(answer), _) => Ok(answer.trim().to_owned()),
        (_, Some(why)) => Err(quote(why.trim())),
        _ => return Err(Fault::Crash(format!("to `{command}` it said `{}`", quote(&first)))),
    };
    // An empty line ends a reply of however many lines.
    while !engine.line(deadline)?.is_empty() {}
    Ok(reply)
}

/// The same where the command must not be refused.
fn must(engine: &mut Engine, command: &str) -> Result<String, Fault> {
    tell(engine, command)?.map_err(|why| Fault::Crash(format!("it refused `{command}`: {why}")))
}

impl<G: Game> Protocol<G> for Gtp {
    const NAME: &'static str = "gtp";

    fn greet(&mut self, engine: &mut Engine, game: &G) -> Result<(), String> {
        let rules = game.rules();
        if let [_, rows, columns] = game.spec().observation[..]
            && rows == columns
        {
            must(engine, &format!("boardsize {rows}")).map_err(|e| e.to_string())?;
        }
        if let Some(komi) = rules.get("komi") {
            must(engine, &format!("komi {komi}")).map_err(|e| e.to_string())?;
        }
        self.told.clear();
        must(engine, "clear_board").map_err(|e| e.to_string())?;
        Ok(())
    }

    fn fresh(&mut self, engine: &mut Engine) -> Result<(), Fault> {
        self.told.clear();
        must(engine, "clear_board").map(|_| ())
    }

    fn think(&mut self, engine: &mut Engine, question: &Question<'_, G>) -> Result<Option<Action>, Fault> {
        let strange = || Fault::Crash("it does not know how the game came to this position".into());
        let moves = question.moves.ok_or_else(strange)?;
        let colour = |mover: usize| if mover == 0 { "b" } else { "w" };
        // A move that was taken back, or one of its own that was not played.
        if !moves.starts_with(&self.told) {
            Protocol::<G>::fresh(self, engine)?;
        }
        for (mover, text) in &moves[self.told.len()..] {
            must(engine, &format!("play {} {text}", colour(*mover)))?;
        }
        self.told = moves.to_vec();
        let answer = must(engine, &format!("genmove {}", colour(question.mover)))?;
        if answer.eq_ignore_ascii_case("resign") {
            return Ok(None);
        }
        let action = question.game.read(question.state, &answer).ok_or_else(|| Fault::Illegal(quote(&answer)))?;
        self.told.push((question.mover, question.game.write(question.state, action)));
        Ok(Some(action))
    }
}
