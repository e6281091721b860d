//! The Universal Chess Interface (Kahlen and Meyer-Kahlen 2006): `uci:command=stockfish,nodes=1000`.

use crate::engine::{Engine, External, Program, Protocol, Question, quote};
use crate::player::{Fault, Line, PlayerError, Thoughts};
use agon_core::game::{Action, Game, start};
use agon_core::settings::{Issue, hint, nearest};
use std::time::{Duration, Instant};

agon_core::settings! {
    /// Settings.
    pub struct UciSettings {
        /// The program and its arguments.
        command: String = String::new();
        /// Positions a move, as the engine counts them; 0 for no limit.
        nodes: u64 = 0, in [0.0, 1e12];
        /// Search depth in plies; 0 for no limit.
        depth: u32 = 0, in [0.0, 1000.0];
        /// Milliseconds a move; 0 for no limit.
        milliseconds: u64 = 0, in [0.0, 1e9];
        /// Options of the engine, as in `Skill Level:3;Threads:1`.
        options: String = String::new();
        /// Tolerance beyond the milliseconds of a move.
        margin_ms: u64 = 100, in [0.0, 1e9];
        /// The time limit of any other reply, in milliseconds.
        timeout_ms: u64 = 10_000, in [1.0, 1e9];
        /// A log file of all its input and output; empty for none.
        log: String = String::new();
    }
}

/// The protocol.
pub struct Uci {
    set: UciSettings,
    thoughts: Thoughts,
    /// The last score of its best line: an exact one, and one that is only a bound.
    scores: [Option<f32>; 2],
    /// Its last answer, which may come again.
    answered: String,
}

/// A player that speaks it, if the game is chess.
pub fn player<G: Game>(game: &G, set: UciSettings) -> Result<External<G, Uci>, PlayerError> {
    if !fen(game, &start(game)).starts_with("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR w KQkq -") {
        return Err(PlayerError::Game { player: "uci", why: "engines of this interface know chess alone" });
    }
    if set.nodes == 0 && set.depth == 0 && set.milliseconds == 0 {
        let issue = "there must be a limit of nodes, of depth or of milliseconds";
        return Err(PlayerError::Settings(vec![Issue::value("nodes", issue)]));
    }
    let program = Program { command: set.command.clone(), timeout_ms: set.timeout_ms, log: set.log.clone() };
    let uci = Uci { set, thoughts: Thoughts::default(), scores: [None; 2], answered: String::new() };
    Ok(External::new(game, uci, program))
}

/// The position in Forsyth-Edwards notation; empty where the game is not chess.
fn fen<G: Game>(game: &G, state: &G::State) -> String {
    game.notation(state).unwrap_or_default()
}

/// The name of an option, from the line that declares it.
fn option(line: &str) -> Option<String> {
    const TYPES: [&str; 5] = ["check", "spin", "combo", "button", "string"];
    let words: Vec<&str> = line.split_whitespace().collect();
    let ["option", "name", rest @ ..] = &words[..] else { return None };
    let end = rest.windows(2).position(|w| w[0] == "type" && TYPES.contains(&w[1]))?;
    Some(rest[..end].join(" "))
}

/// Waits for a line that begins with a word; `each` gets the lines before it.
fn wait(engine: &mut Engine, word: &str, deadline: Instant, mut each: impl FnMut(&str)) -> Result<String, Fault> {
    loop {
        let line = engine.line(deadline)?;
        if line.split_whitespace().next() == Some(word) {
            return Ok(line);
        }
        each(&line);
    }
}

fn ready(engine: &mut Engine) -> Result<(), Fault> {
    engine.say("isready");
    let deadline = engine.deadline();
    wait(engine, "readyok", deadline, |_| {}).map(|_| ())
}

/// Expected points, from −1 to 1, of so many hundredths of a pawn: the curve that Lichess fitted to its games
/// (lichess.org/page/accuracy).
pub fn points(centipawns: f32) -> f32 {
    2.0 / (1.0 + (-0.003_682_08 * centipawns).exp()) - 1.0
}

/// One `info` of an engine.
#[derive(Default)]
struct Info<'a> {
    rank: usize,
    depth: u32,
    nodes: u64,
    /// By its win and loss shares, where it reports them, else by its score.
    value: Option<f32>,
    /// By its score alone.
    score: Option<f32>,
    bound: bool,
    moves: Vec<&'a str>,
}

impl<'a> Info<'a> {
    /// Unknown words and malformed numbers are skipped.
    fn read(line: &'a str) -> Self {
        let mut info = Self { rank: 1, ..Self::default() };
        let mut words = line.split_whitespace();
        while let Some(word) = words.next() {
            let mut number = || words.next().and_then(|w| w.parse::<f32>().ok());
            match word {
                "depth" => info.depth = number().unwrap_or_default() as u32,
                "nodes" => info.nodes = words.next().and_then(|w| w.parse().ok()).unwrap_or_default(),
                "multipv" => info.rank = number().unwrap_or_default() as usize,
                "cp" => info.score = number().map(points),
                // Mated now is `mate 0`.
                "mate" => info.score = number().map(|n| if n > 0.0 { 1.0 } else { -1.0 }),
                "wdl" => {
                    if let (Some(wins), Some(_), Some(losses)) = (number(), number(), number()) {
                        info.value = Some(((wins - losses) / 1000.0).clamp(-1.0, 1.0));
                    }
                }
                "lowerbound" | "upperbound" => info.bound = true,
                "pv" => info.moves = words.by_ref().take(12).collect(),
                "string" => break,
                _ => {}
            }
        }
        info.value = info.value.or(info.score).filter(|_| !info.bound);
        info
    }
}

impl Uci {
    fn note<G: Game>(&mut self, question: &Question<'_, G>, info: &Info<'_>) {
        self.thoughts.searched = self.thoughts.searched.max(info.nodes);
        if info.rank == 1 && info.score.is_some() {
            self.scores[usize::from(info.bound)] = info.score;
        }
        let (Some(value), 1..=256) = (info.value, info.rank) else { return };
        let (mut state, mut moves) = (question.state.clone(), Vec::new());
        for word in &info.moves {
            let Some(action) = question.game.read(&state, word) else { break };
            question.game.play(&mut state, action);
            moves.push(action);
        }
        if moves.is_empty() {
            return;
        }
        self.thoughts.depth = self.thoughts.depth.max(info.depth);
        let line = Line { moves, visits: 0, value };
        match self.thoughts.lines.get_mut(info.rank - 1) {
            Some(old) => *old = line,
            None => self.thoughts.lines.push(line),
        }
    }
}

impl<G: Game> Protocol<G> for Uci {
    const NAME: &'static str = "uci";

    fn greet(&mut self, engine: &mut Engine, _: &G) -> Result<(), String> {
        engine.say("uci");
        let mut known = Vec::new();
        let deadline = engine.deadline();
        let told = wait(engine, "uciok", deadline, |line| known.extend(option(line)));
        told.map_err(|e| e.to_string())?;
        for option in self.set.options.split(';').map(str::trim).filter(|o| !o.is_empty()) {
            let (name, value) = option.split_once(':').map_or((option, None), |(n, v)| (n.trim(), Some(v.trim())));
            let name = &name.split_whitespace().collect::<Vec<_>>().join(" ");
            if !known.iter().any(|k| k.eq_ignore_ascii_case(name)) {
                let near = nearest(name, known.iter().map(String::as_str));
                return Err(format!("it has no option `{name}`{}", hint(&near)));
            }
            engine.say(&value.map_or(format!("setoption name {name}"), |v| format!("setoption name {name} value {v}")));
        }
        ready(engine).map_err(|e| e.to_string())
    }

    fn fresh(&mut self, engine: &mut Engine) -> Result<(), Fault> {
        self.answered.clear();
        engine.say("ucinewgame");
        ready(engine)
    }

    fn think(&mut self, engine: &mut Engine, question: &Question<'_, G>) -> Result<Option<Action>, Fault> {
        let words = |moves: &[(usize, String)]| moves.iter().map(|m| format!(" {}", m.1)).collect::<String>();
        let from = question.from.map_or("startpos".into(), |from| format!("fen {from}"));
        engine.say(&match question.moves {
            Some([]) => format!("position {from}"),
            Some(moves) => format!("position {from} moves{}", words(moves)),
            None => format!("position fen {}", fen(question.game, question.state)),
        });
        // Whatever it still had to say of the position before comes before this.
        ready(engine)?;
        let UciSettings { nodes, depth, milliseconds, margin_ms, .. } = self.set;
        let limits = [("nodes", nodes), ("depth", u64::from(depth)), ("movetime", milliseconds)];
        let limits: String = limits.iter().filter(|l| l.1 > 0).map(|(name, n)| format!(" {name} {n}")).collect();
        engine.say(&format!("go{limits}"));
        (self.thoughts, self.scores) = (Thoughts::default(), [None; 2]);
        let clock = Instant::now() + Duration::from_millis(milliseconds + margin_ms);
        let deadline = if milliseconds > 0 { clock } else { engine.deadline() };
        let mut stale = false;
        loop {
            let answer = wait(engine, "bestmove", deadline, |line| {
                if line.split_whitespace().next() == Some("info") {
                    self.note(question, &Info::read(line));
                }
            });
            let answer = match answer {
                // All that came was the answer before: it was meant for this position.
                Err(Fault::Time) if stale => return Err(Fault::Illegal(quote(&self.answered))),
                answer => answer?,
            };
            let word = answer.split_whitespace().nth(1).unwrap_or_default();
            match question.game.read(question.state, word) {
                Some(action) => {
                    self.answered = word.into();
                    return Ok(Some(action));
                }
                // Its answer to the position before, said again: no piece can make the same move twice in a row.
                None if !word.is_empty() && word == self.answered => stale = true,
                None => return Err(Fault::Illegal(quote(word))),
            }
        }
    }

    fn value(&self) -> Option<f32> {
        let [exact, bound] = self.scores;
        exact.or(bound)
    }

    fn thoughts(&self) -> Thoughts {
        self.thoughts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_whatever_white_space_is_between() {
        for line in [
            "option name Skill Level type spin default 20",
            "  option name  Skill   Level type spin",
            "option\tname\tSkill\tLevel\ttype\tspin\tdefault\t20\r",
        ] {
            assert_eq!(option(line).as_deref(), Some("Skill Level"), "{line}");
        }
        assert_eq!(option("option name Clear Hash type button").as_deref(), Some("Clear Hash"));
        assert_eq!(option("option name Book type type string default <empty>").as_deref(), Some("Book type"));
        assert_eq!(option("info string option name X type spin"), None);
    }

    #[test]
    fn what_an_engine_tells_is_read() {
        let info = Info::read("info depth 9 seldepth 12 multipv 2 score cp 100 nodes 512 nps 9 pv e2e4 e7e5");
        assert_eq!((info.rank, info.depth, info.nodes, &info.moves[..]), (2, 9, 512, &["e2e4", "e7e5"][..]));
        assert!((info.value.unwrap() - 0.1820).abs() < 1e-3);
        let value = |line| Info::read(line).value;
        assert_eq!(value("info score mate 3"), Some(1.0));
        assert_eq!(value("info score mate -2"), Some(-1.0));
        assert_eq!(value("info score mate 0"), Some(-1.0));
        assert_eq!(value("info score cp 20 wdl 300 500 200 pv e2e4"), Some(0.1));
        assert_eq!(value("info score cp 30 lowerbound nodes 3"), None);
        let bound = Info::read("info\tscore  cp\t30 lowerbound");
        assert_eq!((bound.score, bound.bound), (Some(points(30.0)), true));
        assert_eq!(Info::read("info score cp 20 wdl 300 500 200").score, Some(points(20.0)));
        assert_eq!(value("info string score cp 30"), None);
        assert_eq!(value("info score cp"), None);
        assert!(points(1000.0) > 0.95 && points(0.0) == 0.0 && points(-1e9) == -1.0);
    }
}
