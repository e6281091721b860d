//! Players that are programs of their own, spoken to through their standard input and output: GNU Go, Stockfish and
//! their kind. [`crate::gtp`] and [`crate::uci`] know what is said; here is what both have in common.
//!
//! What an engine does is not in our hands: it may hang, die, or answer anything. Whatever it does ends one game with a
//! [`Fault`]; then it is killed, and the next game begins with a new one. Two threads carry its lines, so that neither
//! a silent nor a deaf program holds anybody up for longer than its time.

use crate::player::{Fault, Player, PlayerError, Thoughts};
use agon_core::game::{Action, Game, Turn};
use agon_core::rng::Rng;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Bytes of a line; what is longer counts as several lines.
const LINE: u64 = 1 << 16;
/// Lines that wait to be read; an engine that writes more than that is made to wait.
const LINES: usize = 1 << 10;

/// A running program with which lines are exchanged. Dropping it kills it.
pub struct Engine {
    child: Child,
    to: Sender<String>,
    from: Receiver<String>,
    timeout: Duration,
    /// Set once it is dead and its number free for others.
    status: Option<ExitStatus>,
}

impl Engine {
    /// Starts the program of a command line, without a shell.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn start(command: &str, timeout_ms: u64) -> Result<Self, String> {
        let words = words(command)?;
        let (program, arguments) = words.split_first().ok_or("no program is named; write command=PROGRAM")?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // In a group of its own: Ctrl-C is meant for Agon, and what the program starts can be ended with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|e| format!("it cannot be started: {e}"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let ((to, outgoing), (incoming, from)) = (unbounded(), bounded(LINES));
        let engine = Self { child, to, from, timeout: Duration::from_millis(timeout_ms), status: None };
        // Both threads end when the engine's ends of the pipes do, which is when it is killed.
        let threads = || -> std::io::Result<()> {
            if let Some(stdin) = stdin {
                Builder::new().spawn(move || speak(stdin, &outgoing))?;
            }
            if let Some(stdout) = stdout {
                Builder::new().spawn(move || listen(stdout, &incoming))?;
            }
            Ok(())
        };
        threads().map_err(|e| format!("there is no thread for it: {e}"))?;
        Ok(engine)
    }

    /// Says a line; it is not waited for.
    pub fn say(&self, line: &str) {
        // Whether it is still there shows when it is to answer.
        let _ = self.to.send(format!("{line}\n"));
    }

    /// When a reply must be there, `more_ms` beside the time that any reply has.
    pub fn deadline(&self, more_ms: u64) -> Instant {
        Instant::now() + self.timeout + Duration::from_millis(more_ms)
    }

    /// The next line, without the white space at its end.
    ///
    /// # Errors
    /// [`Fault::Time`] where none comes before the deadline, [`Fault::Crash`] where none can come any more.
    pub fn line(&mut self, deadline: Instant) -> Result<String, Fault> {
        // Who never stops talking is late as well.
        if Instant::now() >= deadline {
            return Err(Fault::Time);
        }
        self.from.recv_deadline(deadline).map_err(|e| match e {
            RecvTimeoutError::Timeout => Fault::Time,
            RecvTimeoutError::Disconnected => {
                // Its output closes an instant before its status is known.
                std::thread::sleep(Duration::from_millis(20));
                let status = self.end().and_then(|s| s.code());
                Fault::Crash(status.map_or("it ended".into(), |code| format!("it ended with exit code {code}")))
            }
        })
    }

    /// Kills it, and waits until it is gone.
    fn end(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            // A program that has already ended has no use for a signal, but those that it started may.
            #[cfg(unix)]
            let _ = rustix::process::kill_process_group(
                rustix::process::Pid::from_child(&self.child),
                rustix::process::Signal::KILL,
            );
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
        self.status
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}

fn speak(mut stdin: ChildStdin, lines: &Receiver<String>) {
    while lines.recv().is_ok_and(|line| stdin.write_all(line.as_bytes()).is_ok()) {}
}

fn listen(stdout: ChildStdout, lines: &Sender<String>) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let read = stdout.by_ref().take(LINE).read_until(b'\n', &mut line);
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !read.is_ok_and(|n| n > 0) || lines.send(text).is_err() {
            return;
        }
    }
}

/// The words of a command line. Quotes, single or double, hold one with spaces together.
fn words(command: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut open) = (Vec::new(), None::<String>, None);
    for c in command.chars() {
        match open {
            Some(quote) if c == quote => open = None,
            None if c == '"' || c == '\'' => {
                open = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if open.is_some() { Err("a quote is not closed in its command".into()) } else { Ok(words) }
}

/// Part of what an engine said, fit for a message.
pub fn quote(line: &str) -> String {
    let mut text: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).take(60).collect();
    if line.chars().nth(60).is_some() {
        text.push('…');
    }
    text
}

/// A move that was made: by whom, and in the game's notation.
pub type Made = (usize, String);

/// What an engine is asked.
pub struct Question<'a, G: Game> {
    /// The game.
    pub game: &'a G,
    /// The position.
    pub state: &'a G::State,
    /// Who moves.
    pub mover: usize,
    /// All moves of the game so far; none where the position did not come from those that were told.
    pub moves: Option<&'a [Made]>,
}

/// A language that engines understand.
pub trait Protocol<G: Game>: Send {
    /// What its player is called.
    const NAME: &'static str;

    /// Makes a new program ready to play; an error says why it cannot be used.
    fn greet(&mut self, engine: &mut Engine, game: &G) -> Result<(), String>;

    /// Says that a new game begins.
    fn fresh(&mut self, engine: &mut Engine) -> Result<(), Fault>;

    /// The engine's move, a legal one; none if it resigns.
    fn think(&mut self, engine: &mut Engine, question: &Question<'_, G>) -> Result<Option<Action>, Fault>;

    /// What the engine told of its last choice.
    fn thoughts(&self) -> Thoughts {
        Thoughts::default()
    }
}

/// The player.
pub struct External<G: Game, P> {
    protocol: P,
    command: String,
    timeout_ms: u64,
    /// None after a fault.
    engine: Option<Engine>,
    moves: Vec<Made>,
    /// The position after them.
    now: G::State,
    /// What went wrong before a move was asked for.
    fault: Option<Fault>,
    resigns: bool,
}

impl<G: Game, P: Protocol<G>> External<G, P> {
    /// Starts the engine, so that one that cannot be had is known at once.
    pub fn new(game: &G, protocol: P, command: &str, timeout_ms: u64) -> Result<Self, PlayerError> {
        let mut player = Self {
            protocol,
            command: command.into(),
            timeout_ms,
            engine: None,
            moves: Vec::new(),
            now: agon_core::game::start(game),
            fault: None,
            resigns: false,
        };
        let why = |why| PlayerError::Engine { player: P::NAME, command: command.into(), why };
        player.engine = Some(player.start(game).map_err(why)?);
        Ok(player)
    }

    fn start(&mut self, game: &G) -> Result<Engine, String> {
        let mut engine = Engine::start(&self.command, self.timeout_ms)?;
        self.protocol.greet(&mut engine, game)?;
        Ok(engine)
    }

    /// The engine, a new one after a fault.
    fn engine(&mut self, game: &G) -> Result<Engine, Fault> {
        match self.engine.take() {
            Some(engine) => Ok(engine),
            None => self.start(game).map_err(Fault::Crash),
        }
    }
}

// An engine is taken out while it is spoken to, and put back when all went well: after a fault it is dropped.
impl<G: Game, P: Protocol<G>> Player<G> for External<G, P> {
    fn choose(&mut self, game: &G, state: &G::State, rng: &mut Rng) -> Result<Action, Fault> {
        let Turn::Player(mover) = game.turn(state) else { return Ok(0) };
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let mut engine = self.engine(game)?;
        let moves = (self.now == *state).then_some(&self.moves[..]);
        let chosen = self.protocol.think(&mut engine, &Question { game, state, mover, moves })?;
        self.engine = Some(engine);
        self.resigns = chosen.is_none();
        Ok(chosen.unwrap_or_else(|| game.random_move(state, rng)))
    }

    fn begin(&mut self, game: &G) {
        self.moves.clear();
        game.start(&mut self.now);
        self.resigns = false;
        let ready = self.engine(game).and_then(|mut engine| {
            self.protocol.fresh(&mut engine)?;
            Ok(engine)
        });
        match ready {
            Ok(engine) => (self.engine, self.fault) = (Some(engine), None),
            Err(fault) => self.fault = Some(fault),
        }
    }

    fn played(&mut self, game: &G, before: &G::State, action: Action) {
        if let Turn::Player(mover) = game.turn(before) {
            self.moves.push((mover, game.write(before, action)));
        }
        self.now.clone_from(before);
        game.play(&mut self.now, action);
    }

    fn thoughts(&self) -> Thoughts {
        self.protocol.thoughts()
    }

    fn resigns(&self) -> bool {
        self.resigns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_split_as_a_shell_would() {
        let list = words("  a --b 'c d' \"e 'f'\"g '' ").unwrap();
        assert_eq!(list, ["a", "--b", "c d", "e 'f'g", ""]);
        assert!(words("a 'b").is_err() && words(" ").unwrap().is_empty());
        assert_eq!(quote("a\tb"), "a?b");
        assert_eq!(quote(&"x".repeat(100)).chars().count(), 61);
    }
}
