//! Errors of the contract.

use crate::settings::Issue;

/// Why an environment could not be built, or a state not restored.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// No environment has this name.
    #[error("no environment is called `{id}`{}; `agon envs` lists them", crate::settings::hint(.nearest))]
    Unknown {
        /// The name that was asked for.
        id: String,
        /// The nearest name that exists.
        nearest: Option<String>,
    },
    /// The environment is no turn-based game.
    #[error("{what}{}; games are {}", crate::settings::hint(.nearest), .games.join(", "))]
    NoGame {
        /// What is wrong with the name.
        what: String,
        /// The nearest name of a game.
        nearest: Option<String>,
        /// The names of all games.
        games: &'static [&'static str],
    },
    /// Invalid settings, each with its path.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Settings(Vec<Issue>),
    /// Something outside the program that the environment needs: what, and what to do.
    #[error("{0}")]
    Missing(String),
    /// A saved state that is not one of this environment.
    #[error("this is not a state of the environment: {0}")]
    State(String),
}

impl EnvError {
    /// One setting with an invalid value.
    pub fn setting(name: &str, message: impl Into<String>) -> Self {
        Self::Settings(vec![Issue::value(name, message)])
    }
}
