//! The Go Text Protocol, version 2 (Farnebäck 2002, "GTP Protocol version 2"): `gtp:command=gnugo --mode gtp`.
//!
//! The first seat is Black. The board's size and the komi are those of the game. An engine may have other rules, such
//! as superko; it forfeits if it refuses a move of the other player, or makes one that the game does not allow.

use crate::engine::{Engine, External, Made, Program, Protocol, Question, quote};
use crate::player::{Fault, PlayerError};
use agon_core::game::{Action, Game};
use std::time::Instant;

agon_core::settings! {
    /// Settings.
    pub struct GtpSettings {
        /// The program and its arguments.
        command: String = String::new();
        /// The time limit of a reply, in milliseconds.
        timeout_ms: u64 = 10_000, in [1.0, 1e9];
        /// A log file of all its input and output; empty for none.
        log: String = String::new();
    }
}

/// The protocol.
pub struct Gtp {
    /// The moves that stand on the engine's board.
    told: Vec<Made>,
    /// Its last move, which may come again.
    answered: String,
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
    let program = Program { command: set.command.clone(), timeout_ms: set.timeout_ms, log: set.log.clone() };
    Ok(External::new(game, Gtp { told: Vec::new(), answered: String::new() }, program))
}

/// The reply to a command: an answer, or why it was refused.
type Reply = Result<String, String>;

/// Sends a command, and waits for the reply.
fn tell(engine: &mut Engine, command: &str, deadline: Instant) -> Result<Reply, Fault> {
    // Unsolicited replies are skipped.
    engine.forget();
    engine.say(command);
    reply(engine, command, deadline)
}

/// Waits for a reply: the sign, then text on that line or below it, up to an empty line.
fn reply(engine: &mut Engine, command: &str, deadline: Instant) -> Result<Reply, Fault> {
    let mut first = engine.line(deadline)?;
    while first.is_empty() {
        first = engine.line(deadline)?;
    }
    let (fine, rest) = match (first.strip_prefix('='), first.strip_prefix('?')) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err(Fault::Crash(format!("to `{command}` it said `{}`", quote(&first)))),
    };
    let mut text = rest.trim().to_owned();
    loop {
        let more = engine.line(deadline)?;
        if more.is_empty() {
            return Ok(if fine { Ok(text) } else { Err(quote(&text)) });
        }
        if text.is_empty() {
            text = more;
        }
    }
}

impl Gtp {
    /// The reply to a command that must not be refused, and either has an answer or has none. One of the other kind is
    /// its last move said again, or what came after that instead.
    fn must(&mut self, engine: &mut Engine, command: &str, answers: bool) -> Result<String, Fault> {
        let deadline = engine.deadline();
        let mut said = tell(engine, command, deadline)?;
        let stale = |said: &Reply| match said {
            Ok(text) if answers => text.is_empty(),
            Ok(text) => !text.is_empty() && *text == self.answered,
            Err(_) => false,
        };
        if stale(&said) {
            said = reply(engine, command, deadline)?;
        }
        said.map_err(|why| Fault::Crash(format!("it refused `{command}`: {why}")))
    }
}

impl<G: Game> Protocol<G> for Gtp {
    const NAME: &'static str = "gtp";

    fn greet(&mut self, engine: &mut Engine, game: &G) -> Result<(), String> {
        let rules = game.rules();
        if let [_, rows, columns] = game.spec().observation[..]
            && rows == columns
        {
            self.must(engine, &format!("boardsize {rows}"), false).map_err(|e| e.to_string())?;
        }
        if let Some(komi) = rules.get("komi") {
            self.must(engine, &format!("komi {komi}"), false).map_err(|e| e.to_string())?;
        }
        self.told.clear();
        self.must(engine, "clear_board", false).map_err(|e| e.to_string()).map(drop)
    }

    fn fresh(&mut self, engine: &mut Engine) -> Result<(), Fault> {
        self.told.clear();
        self.must(engine, "clear_board", false)?;
        self.answered.clear();
        Ok(())
    }

    fn think(&mut self, engine: &mut Engine, question: &Question<'_, G>) -> Result<Option<Action>, Fault> {
        let strange = || Fault::Crash("it does not know how the game came to this position".into());
        let moves = question.moves.filter(|_| question.from.is_none()).ok_or_else(strange)?;
        let colour = |mover: usize| if mover == 0 { "b" } else { "w" };
        // A move that was taken back, or one of its own that was not played.
        if !moves.starts_with(&self.told) {
            Protocol::<G>::fresh(self, engine)?;
        }
        for (mover, text) in &moves[self.told.len()..] {
            self.must(engine, &format!("play {} {text}", colour(*mover)), false)?;
        }
        self.told = moves.to_vec();
        let answer = self.must(engine, &format!("genmove {}", colour(question.mover)), true)?;
        self.answered.clone_from(&answer);
        if answer.eq_ignore_ascii_case("resign") {
            return Ok(None);
        }
        let action = question.game.read(question.state, &answer).ok_or_else(|| Fault::Illegal(quote(&answer)))?;
        self.told.push((question.mover, question.game.write(question.state, action)));
        Ok(Some(action))
    }
}
