//! External engines such as GNU Go and Stockfish as players, over standard input and output. [`crate::gtp`] and
//! [`crate::uci`] are the protocols; this file is what both have in common.
//!
//! An engine may hang, crash, or answer anything. Any fault ends one game with a [`Fault`] and the process; the next
//! game starts a new one. Threads carry its lines, so that an engine that neither writes nor reads blocks nobody beyond
//! its time limit.

use crate::player::{Fault, Player, PlayerError, Thoughts};
use crate::strays;
use agon_core::game::{Action, Game, Turn};
use agon_core::rng::Rng;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// The longest line in bytes; a longer one is split.
const LINE: u64 = 1 << 16;
/// The most unread lines; an engine that writes more blocks.
const LINES: usize = 1 << 10;
/// How long an engine may take to end after `quit`.
const GRACE: Duration = Duration::from_secs(1);

/// Set once engines are no longer waited for.
static ENOUGH: AtomicBool = AtomicBool::new(false);

/// Stops waiting for engines: the program is about to end.
pub fn enough() {
    ENOUGH.store(true, Ordering::Relaxed);
}

/// How an engine is started.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program and its arguments.
    pub command: String,
    /// The time limit of a reply, in milliseconds.
    pub timeout_ms: u64,
    /// A log file to which its lines are appended; empty for none.
    pub log: String,
}

/// A running program with which lines are exchanged. Dropping it sends `quit`, and kills it if it does not exit.
pub struct Engine {
    child: Child,
    /// None once it was told to quit.
    to: Option<Sender<String>>,
    from: Receiver<String>,
    /// The last line that it wrote to its standard error; the channel closes when there will be no more.
    complaint: (Arc<Mutex<String>>, Receiver<String>),
    timeout: Duration,
    mark: String,
    /// Set once it is dead and its number free for others.
    status: Option<ExitStatus>,
}

/// A log of what an engine reads and writes: milliseconds since its start, its process, the direction, the line.
#[derive(Clone)]
struct Log(Option<(Arc<File>, u32, Instant)>);

impl Log {
    fn open(path: &str) -> Result<Option<File>, String> {
        if path.is_empty() {
            return Ok(None);
        }
        let path = Path::new(path);
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let file = folder.and_then(|()| File::options().create(true).append(true).open(path));
        file.map(Some).map_err(|e| format!("its log {} cannot be written: {e}", path.display()))
    }

    fn add(&self, direction: &str, line: &str) {
        if let Some((file, process, begun)) = &self.0 {
            let entry = format!("{:>8} {process} {direction} {}\n", begun.elapsed().as_millis(), line.trim_end());
            // A log that cannot be written stops no game; several processes may add to it, whole lines each.
            let _ = (&**file).write_all(entry.as_bytes());
        }
    }
}

impl Engine {
    /// Starts the program of a command line, without a shell.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn start(program: &Program) -> Result<Self, String> {
        let words = words(&program.command)?;
        let (name, arguments) = words.split_first().ok_or("no program is named; write command=PROGRAM")?;
        let log = Log::open(&program.log)?;
        strays::guard();
        let mark = strays::mark();
        let mut command = Command::new(name);
        command.args(arguments).env(strays::MARK, &mark);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // In a group of its own: Ctrl-C is meant for Agon, and what the program starts can be ended with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|e| format!("it cannot be started: {e}"))?;
        let log = Log(log.map(|file| (Arc::new(file), child.id(), Instant::now())));
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let ((to, outgoing), (incoming, from)) = (unbounded::<String>(), bounded(LINES));
        let (last, (complaints, silence)) = (Arc::new(Mutex::new(String::new())), bounded(0));
        let complaint = (last.clone(), silence);
        let timeout = Duration::from_millis(program.timeout_ms);
        let engine = Self { child, to: Some(to), from, complaint, timeout, mark, status: None };
        // The threads end when the engine's ends of the pipes do, which is when it does.
        let threads = || -> std::io::Result<()> {
            if let Some(stdin) = stdin {
                let log = log.clone();
                Builder::new().spawn(move || speak(stdin, &outgoing, &log))?;
            }
            if let Some(stdout) = stdout {
                let log = log.clone();
                Builder::new().spawn(move || {
                    listen(stdout, |line| {
                        log.add("<", &line);
                        incoming.send(line).is_ok()
                    });
                })?;
            }
            if let Some(stderr) = stderr {
                Builder::new().spawn(move || {
                    let _complaints = complaints; // closes with the thread
                    listen(stderr, |line| {
                        log.add("!", &line);
                        if !line.trim().is_empty() {
                            *last.lock().unwrap_or_else(PoisonError::into_inner) = line;
                        }
                        true
                    });
                })?;
            }
            Ok(())
        };
        threads().map_err(|e| format!("there is no thread for it: {e}"))?;
        Ok(engine)
    }

    /// Sends a line, without waiting.
    pub fn say(&self, line: &str) {
        // Whether it is still there shows when it is to answer.
        let _ = self.to.as_ref().map(|to| to.send(format!("{line}\n")));
    }

    /// The deadline of a reply.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// The next line, without the white space around it.
    ///
    /// # Errors
    /// [`Fault::Time`] where none comes before the deadline, [`Fault::Crash`] where none can come any more.
    pub fn line(&mut self, deadline: Instant) -> Result<String, Fault> {
        // Who never stops talking is late as well.
        if Instant::now() >= deadline {
            return Err(Fault::Time);
        }
        loop {
            let soon = deadline.min(Instant::now() + GRACE / 20);
            match self.from.recv_deadline(soon) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Disconnected) => return Err(Fault::Crash(self.obituary())),
                Err(RecvTimeoutError::Timeout) if soon == deadline || ENOUGH.load(Ordering::Relaxed) => {
                    return Err(Fault::Time);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Discards unread output.
    pub fn forget(&self) {
        while self.from.try_recv().is_ok() {}
    }

    /// How it exited, and the last line of its standard error.
    fn obituary(&mut self) -> String {
        // Its output closes an instant before its status is known.
        let ended = self.ends_within(GRACE / 2);
        let _ = self.complaint.1.recv_timeout(GRACE / 10);
        let status = self.end().filter(|_| ended);
        let how = match status.map(|s| (s.code(), signal(s))) {
            Some((Some(code), _)) => format!("it ended with exit code {code}"),
            Some((_, Some(signal))) => format!("it was ended by signal {signal}"),
            Some(_) => "it ended".into(),
            None => "it closed its output".into(),
        };
        let last = clean(&self.complaint.0.lock().unwrap_or_else(PoisonError::into_inner), 200);
        if last.is_empty() { how } else { format!("{how}; the last line of its standard error: `{last}`") }
    }

    /// Whether it exits by itself within so much time. It is not reaped, so that its process number stays reserved.
    fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            if gone(&mut self.child) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            // One that waits to be read must not wait for ever.
            self.forget();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Sends `quit`, waits briefly, kills it and all that it started, and waits until it is gone.
    fn end(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.say("quit");
            // Its input closes behind the last line.
            self.to = None;
            self.ends_within(GRACE);
            // A program that has ended has no use for a signal, but those that it started may.
            #[cfg(unix)]
            let _ = rustix::process::kill_process_group(
                rustix::process::Pid::from_child(&self.child),
                rustix::process::Signal::KILL,
            );
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
            strays::end(&self.mark);
        }
        self.status
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a program has exited; it is not reaped yet.
#[cfg(unix)]
fn gone(child: &mut Child) -> bool {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(Pid::from_child(child)), options), Ok(None))
}

#[cfg(not(unix))]
fn gone(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

/// The number and the name of the signal that ended a program.
#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<String> {
    use rustix::process::Signal;
    let number = std::os::unix::process::ExitStatusExt::signal(&status)?;
    let names = [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::ILL, "ILL"),
        (Signal::TRAP, "TRAP"),
        (Signal::ABORT, "ABRT"),
        (Signal::BUS, "BUS"),
        (Signal::FPE, "FPE"),
        (Signal::KILL, "KILL"),
        (Signal::SEGV, "SEGV"),
        (Signal::PIPE, "PIPE"),
        (Signal::ALARM, "ALRM"),
        (Signal::TERM, "TERM"),
        (Signal::XCPU, "XCPU"),
        (Signal::XFSZ, "XFSZ"),
        (Signal::SYS, "SYS"),
    ];
    let name = names.iter().find(|(s, _)| s.as_raw() == number).map(|(_, name)| format!(" (SIG{name})"));
    Some(format!("{number}{}", name.unwrap_or_default()))
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<String> {
    None
}

fn speak(mut stdin: ChildStdin, lines: &Receiver<String>, log: &Log) {
    while let Ok(line) = lines.recv() {
        log.add(">", &line);
        if stdin.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

/// Forwards every line until the receiver is gone.
fn listen(pipe: impl Read, mut each: impl FnMut(String) -> bool) {
    let mut pipe = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        let read = pipe.by_ref().take(LINE).read_until(b'\n', &mut line);
        let text = String::from_utf8_lossy(&line).trim_start_matches('\u{feff}').trim().to_owned();
        if !read.is_ok_and(|n| n > 0) || !each(text) {
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

/// Part of an engine's output, fit for a message.
pub fn quote(line: &str) -> String {
    clean(line, 60)
}

fn clean(line: &str, most: usize) -> String {
    let mut text: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).take(most).collect();
    if line.chars().nth(most).is_some() {
        text.push('…');
    }
    text
}

/// A move: the player, and the game's notation.
pub type Made = (usize, String);

/// A request to an engine.
pub struct Question<'a, G: Game> {
    /// The game.
    pub game: &'a G,
    /// The position.
    pub state: &'a G::State,
    /// Who moves.
    pub mover: usize,
    /// The initial position in the game's notation, where that is not the start.
    pub from: Option<&'a str>,
    /// All moves of the game so far; none where the position does not follow from the moves that were told.
    pub moves: Option<&'a [Made]>,
}

/// A protocol of engines.
pub trait Protocol<G: Game>: Send {
    /// The name of its player.
    const NAME: &'static str;

    /// Prepares a new process to play; an error says why it cannot be used.
    fn greet(&mut self, engine: &mut Engine, game: &G) -> Result<(), String>;

    /// Announces a new game.
    fn fresh(&mut self, engine: &mut Engine) -> Result<(), Fault>;

    /// The engine's move, a legal one; none if it resigns.
    fn think(&mut self, engine: &mut Engine, question: &Question<'_, G>) -> Result<Option<Action>, Fault>;

    /// What the engine reported about its last choice.
    fn thoughts(&self) -> Thoughts {
        Thoughts::default()
    }

    /// The return that it expects by its last score.
    fn value(&self) -> Option<f32> {
        None
    }
}

/// The player.
pub struct External<G: Game, P> {
    protocol: P,
    program: Program,
    /// None after a fault, and while no game is under way.
    engine: Option<Engine>,
    from: Option<String>,
    moves: Vec<Made>,
    /// The position after them.
    now: G::State,
    /// A fault before a move was asked for.
    fault: Option<Fault>,
    resigns: bool,
}

impl<G: Game, P: Protocol<G>> External<G, P> {
    /// The engine is started by the check, or with its first game.
    pub fn new(game: &G, protocol: P, program: Program) -> Self {
        Self {
            protocol,
            program,
            engine: None,
            from: None,
            moves: Vec::new(),
            now: agon_core::game::start(game),
            fault: None,
            resigns: false,
        }
    }

    fn start(&mut self, game: &G) -> Result<Engine, String> {
        let mut engine = Engine::start(&self.program)?;
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
        let (from, moves) = (self.from.as_deref(), (self.now == *state).then_some(&self.moves[..]));
        let chosen = self.protocol.think(&mut engine, &Question { game, state, mover, from, moves })?;
        self.engine = Some(engine);
        self.resigns = chosen.is_none();
        Ok(chosen.unwrap_or_else(|| game.random_move(state, rng)))
    }

    fn check(&mut self, game: &G) -> Result<(), PlayerError> {
        let command = self.program.command.clone();
        let why = |why| PlayerError::Engine { player: P::NAME, command, why };
        self.engine = Some(self.start(game).map_err(why)?);
        Ok(())
    }

    fn rest(&mut self) {
        self.engine = None;
    }

    fn begin(&mut self, game: &G, start: &G::State) {
        self.moves.clear();
        self.from = if *start == agon_core::game::start(game) { None } else { game.notation(start) };
        self.now.clone_from(start);
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

    fn value(&self) -> Option<f32> {
        self.protocol.value()
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
