//! The terminal while a full-screen view is open: taken over once, given back after quit, error, panic or signal.
//!
//! Whatever anyone prints meanwhile (libtorch's own warnings, a panic's message) goes to a file, not over the picture.

use crate::failure::{Failure, Outcome};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::{cursor, execute, terminal};
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What must be put back: the real stdout and stderr, and where others' output went meanwhile.
struct Taken {
    stdout: OwnedFd,
    stderr: OwnedFd,
    log: PathBuf,
    from: u64,
}

static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

/// A full-screen view. Dropping it gives the terminal back.
pub struct Screen {
    pub terminal: Terminal<CrosstermBackend<File>>,
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
    /// Takes the terminal over; what others print goes to the end of `log`.
    pub fn open(log: &Path) -> Outcome<Self> {
        let open = || -> std::io::Result<Self> {
            let tty = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
            let file = OpenOptions::new().create(true).append(true).open(log)?;
            let taken = Taken {
                stdout: rustix::io::dup(rustix::stdio::stdout())?,
                stderr: rustix::io::dup(rustix::stdio::stderr())?,
                log: log.to_owned(),
                from: file.metadata()?.len(),
            };
            terminal::enable_raw_mode()?;
            let mut screen = tty;
            execute!(screen, terminal::EnterAlternateScreen, terminal::Clear(terminal::ClearType::All), cursor::Hide)?;
            rustix::stdio::dup2_stdout(&file)?;
            rustix::stdio::dup2_stderr(&file)?;
            *TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(taken);
            Ok(Self { terminal: Terminal::new(CrosstermBackend::new(screen))? })
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
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back and shows what was printed meanwhile. Does nothing if no view is open.
pub fn restore() {
    let taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    let Some(taken) = taken else { return };
    if let Ok(mut tty) = OpenOptions::new().write(true).open("/dev/tty") {
        let _ = execute!(tty, terminal::LeaveAlternateScreen, cursor::Show);
    }
    let _ = terminal::disable_raw_mode();
    let _ = rustix::stdio::dup2_stdout(&taken.stdout);
    let _ = rustix::stdio::dup2_stderr(&taken.stderr);
    if let Ok(bytes) = std::fs::read(&taken.log) {
        let fresh = String::from_utf8_lossy(bytes.get(taken.from as usize..).unwrap_or_default());
        if !fresh.trim().is_empty() {
            crate::failure::tell(format_args!("{}", fresh.chars().take(10_000).collect::<String>()));
        }
    }
}
