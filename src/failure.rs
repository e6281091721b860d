//! How a command ends when it does not end well: one readable message and an exit code.

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

/// Prints a failure and gives its exit code.
pub fn report(outcome: Outcome) -> std::process::ExitCode {
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(failure) => {
            let word = if matches!(failure, Failure::Interrupted(_)) { "" } else { "error: " };
            eprintln!("{word}{failure}");
            failure.code().into()
        }
    }
}
