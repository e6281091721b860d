//! Simulators that were learned from recorded episodes.
pub mod learned;

use agon_core::Entry;

/// Learned simulators.
pub const ENTRIES: &[Entry] = &[Entry::env::<learned::Learned>(
    "model/learned",
    "A simulator learned from recorded episodes of another environment",
    "a linear system in closed form; agents trained in it play the real one (docs/world-models.md)",
)];
