//! The terminal while a full-screen view is open: taken over once, given back after quit, error, panic or signal, and
//! while the process is suspended.
//!
//! Whatever anyone prints meanwhile (libtorch's own warnings, a panic's message) goes to a file, not over the picture.

use crate::failure::{Failure, Outcome};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::{cursor, execute, terminal};
use ratatui::{Frame, Terminal};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::mem::ManuallyDrop;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

/// What must be put back: the real stdout and stderr, and where others' output went meanwhile.
struct Taken {
    stdout: OwnedFd,
    stderr: OwnedFd,
    log: File,
    from: u64,
}

static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);
/// Held while a picture is drawn and while the process is suspended: one never happens inside the other.
static DRAWING: Mutex<()> = Mutex::new(());
/// What is on the screen is not what was drawn last.
static STALE: AtomicBool = AtomicBool::new(false);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A full-screen view. Dropping it gives the terminal back.
pub struct Screen {
    /// Never dropped: it would show the cursor again by itself, and panic where the terminal is gone.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<File>>>,
}

/// Whether a full-screen view can be opened.
pub fn is_terminal() -> bool {
    use std::io::IsTerminal;
    std::io::stdin().is_terminal()
        && std::io::stdout().is_terminal()
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Whether colours are welcome (<https://no-color.org>).
pub fn has_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

impl Screen {
    /// Takes the terminal over for a run; what others print goes to the end of its log.
    pub fn open(log: &Path) -> Outcome<Self> {
        let file = OpenOptions::new().create(true).read(true).append(true).open(log);
        Self::over(file.map_err(|e| Failure::write(log, &e))?)
    }

    /// Takes the terminal over for a view; what others print goes to a file without a name, which leaves nothing behind.
    pub fn without_log() -> Outcome<Self> {
        let file = tempfile::tempfile();
        Self::over(file.map_err(|e| Failure::write(&std::env::temp_dir(), &e))?)
    }

    fn over(log: File) -> Outcome<Self> {
        let open = || -> std::io::Result<Self> {
            let mut screen = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
            let out = log.try_clone()?;
            let taken = Taken {
                stdout: rustix::io::dup(rustix::stdio::stdout())?,
                stderr: rustix::io::dup(rustix::stdio::stderr())?,
                from: log.metadata()?.len(),
                log,
            };
            *lock(&TAKEN) = Some(taken);
            enter(&mut screen)?;
            rustix::stdio::dup2_stdout(&out)?;
            rustix::stdio::dup2_stderr(&out)?;
            Ok(Self { terminal: ManuallyDrop::new(Terminal::new(CrosstermBackend::new(screen))?) })
        };
        static HOOK: std::sync::Once = std::sync::Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                before(info);
            }));
        });
        open().map_err(|e| {
            restore();
            Failure::Input(format!("cannot open the dashboard in this terminal: {e}; use --ui plain"))
        })
    }

    /// Draws the next picture, whole where something else was on the screen meanwhile.
    pub fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> Outcome {
        let _drawing = lock(&DRAWING);
        if lock(&TAKEN).is_none() {
            return Ok(()); // given back: the process ends
        }
        let fresh = || Terminal::new(CrosstermBackend::new(OpenOptions::new().write(true).open("/dev/tty")?));
        // `Terminal::clear` would wait for the terminal to say where its cursor is.
        let ready = if STALE.swap(false, Ordering::SeqCst) { fresh().map(|t| *self.terminal = t) } else { Ok(()) };
        let drawn = ready.and_then(|()| self.terminal.draw(picture).map(drop));
        drawn.map_err(|e| Failure::Interrupted(format!("the terminal went away: {e}")))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn enter(screen: &mut File) -> std::io::Result<()> {
    terminal::enable_raw_mode()?;
    execute!(screen, terminal::EnterAlternateScreen, terminal::Clear(terminal::ClearType::All), cursor::Hide)
}

fn leave() {
    if let Ok(mut tty) = OpenOptions::new().write(true).open("/dev/tty") {
        let _ = execute!(tty, terminal::LeaveAlternateScreen, cursor::Show);
    }
    let _ = terminal::disable_raw_mode();
}

/// Stops the process, as Ctrl-Z does, with the terminal in order meanwhile.
pub fn suspend() {
    let _drawing = lock(&DRAWING);
    let taken = lock(&TAKEN); // held throughout, so that a view that ends meanwhile leaves the terminal last
    if taken.is_some() {
        leave();
    }
    let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP);
    if taken.is_some() {
        again();
    }
}

/// Takes the terminal again after the process was stopped by a signal that cannot be caught.
pub fn resume() {
    let _drawing = lock(&DRAWING);
    let taken = lock(&TAKEN);
    if taken.is_some() {
        again();
    }
}

fn again() {
    // In the background there is no terminal to take; `fg` continues the process once more.
    if let Ok(mut tty) = OpenOptions::new().write(true).open("/dev/tty") {
        let _ = enter(&mut tty);
    }
    STALE.store(true, Ordering::SeqCst);
}

/// Gives the terminal back as soon as nothing is being drawn. A terminal that takes no more must not keep the process.
pub fn restore_for_good() {
    let until = Instant::now() + Duration::from_millis(300);
    let drawing = loop {
        match DRAWING.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::yield_now(),
            other => break other.ok(),
        }
    };
    restore();
    std::mem::forget(drawing); // nothing is drawn from now on
}

/// Gives the terminal back and shows what was printed meanwhile. Does nothing if no view is open.
pub fn restore() {
    let mut open = lock(&TAKEN);
    let Some(mut taken) = open.take() else { return };
    leave();
    let _ = rustix::stdio::dup2_stdout(&taken.stdout);
    let _ = rustix::stdio::dup2_stderr(&taken.stderr);
    drop(open);
    let mut fresh = Vec::new();
    if taken.log.seek(SeekFrom::Start(taken.from)).is_ok()
        && std::io::Read::read_to_end(&mut taken.log, &mut fresh).is_ok()
    {
        let fresh = String::from_utf8_lossy(&fresh);
        if !fresh.trim().is_empty() {
            crate::failure::tell(format_args!("{}", fresh.chars().take(10_000).collect::<String>()));
        }
    }
}
