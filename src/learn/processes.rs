//! Runs as processes of their own: each does what `agon train` does, saves and stops once its stdin ends, and its lines are
//! read by threads.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

/// A line of a process: whose, whether on stdout, and what.
pub type Line = (usize, bool, String);

/// A process under way.
pub struct Process {
    child: Child,
    /// Open as long as it shall go on.
    stdin: Option<ChildStdin>,
    readers: [JoinHandle<()>; 2],
}

impl Process {
    /// Starts this program with these words; its lines are sent with its number `at`.
    pub fn start(words: Vec<OsString>, at: usize, lines: &Sender<Line>) -> std::io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let readers = [read(out, at, true, lines), read(err, at, false, lines)];
        Ok(Self { stdin: child.stdin.take(), child, readers })
    }

    /// Asks it to save and stop.
    pub fn stop(&mut self) {
        self.stdin = None;
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits until its last lines are sent.
    pub fn join(self) {
        self.readers.into_iter().for_each(|reader| drop(reader.join()));
    }
}

/// Sends every line of a stream.
fn read(stream: Option<impl Read + Send + 'static>, at: usize, out: bool, lines: &Sender<Line>) -> JoinHandle<()> {
    let lines = lines.clone();
    std::thread::spawn(move || {
        let Some(stream) = stream else { return };
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let _ = lines.send((at, out, String::from_utf8_lossy(&line).into_owned()));
        }
    })
}
