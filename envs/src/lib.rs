//! Agon's simulators. One file an environment, one row a registry entry.
#![allow(missing_docs)]
pub mod classic;
pub mod games;
pub mod model;
pub mod pricing;
pub mod robot;

use agon_core::{Entry, EnvError};

/// All families.
pub fn registry() -> Vec<Entry> {
    let families = [
        classic::ENTRIES,
        games::ENTRIES,
        model::ENTRIES,
        pricing::ENTRIES,
        robot::PLAIN,
        #[cfg(feature = "mujoco")]
        robot::ENTRIES,
    ];
    families.concat()
}

/// The row with this name.
pub fn find(id: &str) -> Result<Entry, EnvError> {
    let found = agon_core::registry::find(&registry(), id).copied();
    let engines = [("mujoco", cfg!(feature = "mujoco")), ("rapier", cfg!(feature = "rapier"))];
    let lacking: Vec<_> = engines.iter().filter(|(_, there)| !there).map(|(name, _)| format!("`{name}`")).collect();
    if !lacking.is_empty() && id.starts_with("robot/") && found.is_err() {
        let features = lacking.join(" and ");
        return Err(EnvError::Missing(format!(
            "this program was built without robots that need the feature {features}"
        )));
    }
    found
}
