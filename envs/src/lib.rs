//! Agon's simulators. One file an environment, one row a registry entry.
#![allow(missing_docs)]
pub mod classic;
pub mod games;
pub mod pricing;
#[cfg(feature = "mujoco")]
pub mod robot;

use agon_core::{Entry, EnvError};

/// All families.
pub fn registry() -> Vec<Entry> {
    let families = [
        classic::ENTRIES,
        games::ENTRIES,
        pricing::ENTRIES,
        #[cfg(feature = "mujoco")]
        robot::ENTRIES,
    ];
    families.concat()
}

/// The row with this name.
pub fn find(id: &str) -> Result<Entry, EnvError> {
    if !cfg!(feature = "mujoco") && id.starts_with("robot/") {
        return Err(EnvError::Missing(
            "robots need MuJoCo, and this program was built without the feature `mujoco`".into(),
        ));
    }
    agon_core::registry::find(&registry(), id).copied()
}
