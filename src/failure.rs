//! How a command ends when it does not end well: one readable message and an exit code.

use std::any::Any;
use std::io::Write;
use std::path::Path;

/// Why a command failed. The message says what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something broke that should not have; exit code 1.
    #[error("{0}")]
    Internal(String),
    /// Wrong use or wrong input; exit code 2.
    #[error("{0}")]
    Input(String),
    /// A check did not hold; exit code 3.
    #[error("{0}")]
    Check(String),
    /// Someone stopped it; what could be saved was saved; exit code 130.
    #[error("{0}")]
    Interrupted(String),
}

/// What a command returns.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub fn code(&self) -> u8 {
        match self {
            Self::Internal(_) => 1,
            Self::Input(_) => 2,
            Self::Check(_) => 3,
            Self::Interrupted(_) => 130,
        }
    }

    /// Something could not be written: a full disk, missing rights.
    pub fn write(path: &Path, error: &std::io::Error) -> Self {
        let hint = match error.kind() {
            std::io::ErrorKind::StorageFull => "; free some room and resume",
            std::io::ErrorKind::QuotaExceeded => "; free some room in your quota and resume",
            std::io::ErrorKind::FileTooLarge => "; raise the limit of a file's size (ulimit -f) and resume",
            std::io::ErrorKind::PermissionDenied => "; choose another folder with --out",
            _ => "",
        };
        Self::Internal(format!("cannot write {}: {error}{hint}", path.display()))
    }

    /// Something could not be read.
    pub fn read(path: &Path, error: &std::io::Error) -> Self {
        Self::Input(format!("cannot read {}: {error}", path.display()))
    }
}

/// Runs a program's body, prints its failure, and gives the exit code. A panic is a bug, and still ends with a code of
/// ours and the terminal in order.
pub fn report(body: impl FnOnce() -> Outcome) -> std::process::ExitCode {
    ignore_size_limits();
    std::panic::set_hook(Box::new(|panic| {
        if !ran_out_of_memory(panic.payload()) {
            tell(format_args!("{panic}\n"));
        }
    }));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    match outcome.unwrap_or_else(|payload| Err(of_panic(&*payload))) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            let word = if matches!(failure, Failure::Interrupted(_)) { "" } else { "error: " };
            tell(format_args!("{word}{failure}\n"));
            failure.code().into()
        }
    }
}

/// What a panic means to a person. libtorch's operations panic where a device has no memory left: no bug.
pub fn of_panic(payload: &(dyn Any + Send)) -> Failure {
    let message = if ran_out_of_memory(payload) {
        "there is not enough memory on the device: take a smaller agent.minibatch, fewer train.envs or a smaller network, \
         end what else uses it, or train with --device cpu; what was saved before is intact"
    } else {
        "this is a bug in Agon; what was saved before it is intact"
    };
    Failure::Internal(message.into())
}

/// Whether a panic says so in libtorch's words, of a GPU or of the host.
fn ran_out_of_memory(payload: &(dyn Any + Send)) -> bool {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref::<&str>().copied());
    text.is_some_and(|text| text.contains("CUDA out of memory") || text.contains("DefaultCPUAllocator: "))
}

/// A path as it can be pasted into a command.
pub fn quoted(path: impl AsRef<Path>) -> String {
    let text = path.as_ref().display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:=@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Parses the command line. What it says of a wrong one, or of `--help`, goes the way of all other words.
pub fn parse<C: clap::Parser>() -> Outcome<C> {
    C::try_parse().or_else(|e| {
        if e.use_stderr() {
            tell(format_args!("{e}"));
            std::process::exit(2);
        }
        say(format_args!("{e}"));
        std::process::exit(0)
    })
}

/// Line breaks and tabs are ours; other control characters, and those that reorder what follows, are not to be obeyed.
fn is_plain(c: char) -> bool {
    matches!(c, '\n' | '\t')
        || !(c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

/// Writes text with every character that a terminal would obey instead of show as `\u001b`: names, settings and files
/// come from anywhere. JSON stays the same JSON.
pub fn write_plain(out: &mut impl Write, text: &str) -> std::io::Result<()> {
    for part in text.split_inclusive(|c| !is_plain(c)) {
        match part.chars().next_back().filter(|c| !is_plain(*c)) {
            Some(c) => {
                out.write_all(&part.as_bytes()[..part.len() - c.len_utf8()])?;
                write!(out, "\\u{:04x}", u32::from(c))?;
            }
            None => out.write_all(part.as_bytes())?,
        }
    }
    Ok(())
}

/// Lets a write beyond `ulimit -f` fail as one to a full disk does; unheard, its signal would end the process.
fn ignore_size_limits() {
    #[cfg(unix)]
    {
        let heard = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        // Where it cannot be listened to, all is as it was.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, heard);
    }
}

/// Writes to stdout. A reader that went away (`agon envs | head`) is the ordinary end of the program.
pub fn say(text: std::fmt::Arguments<'_>) {
    if let Err(e) = write_plain(&mut std::io::stdout().lock(), &text.to_string()) {
        if e.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        tell(format_args!("error: cannot write to stdout: {e}\n"));
        std::process::exit(1);
    }
}

/// Writes to stderr; if nobody reads it, nobody is told.
pub fn tell(text: std::fmt::Arguments<'_>) {
    let _ = write_plain(&mut std::io::stderr().lock(), &text.to_string());
}

/// `println!` that survives a closed pipe.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => { $crate::failure::say(format_args!("{}\n", format_args!($($part)*))) };
}

/// `eprintln!` that survives a closed pipe.
#[macro_export]
macro_rules! tell {
    ($($part:tt)*) => { $crate::failure::tell(format_args!("{}\n", format_args!($($part)*))) };
}
