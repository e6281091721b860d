//! Agon's simulators. One file an environment, one row a registry entry.
#![allow(missing_docs)]
pub mod classic;
pub mod games;
pub mod pricing;

use agon_core::{Entry, EnvError};

/// All families.
pub fn registry() -> Vec<Entry> {
    [classic::ENTRIES, games::ENTRIES, pricing::ENTRIES].concat()
}

/// The row with this name.
pub fn find(id: &str) -> Result<Entry, EnvError> {
    agon_core::registry::find(&registry(), id).copied()
}
