//! Files that settings name, such as a robot's model: a path in a scenario or an episode is one from the file that it is
//! written in, and a run keeps a copy of what it names.

use agon_core::Entry;
use serde_json::{Map, Value};
use std::path::Path;

/// Turns paths beside a file in `folder` into paths from here. A name that is no file there is left to the environment,
/// which has files of its own. `files`: see [`agon_core::States::FILES`].
pub fn find(files: &[(&str, &str)], settings: &mut Map<String, Value>, folder: &Path) {
    for (key, _) in files {
        let Some(name) = settings.get(*key).and_then(Value::as_str) else { continue };
        let there = folder.join(name);
        if !name.starts_with('~') && (name.starts_with('.') || there.is_file()) {
            // Environments take what begins with a dot or a slash for a path.
            let path = if there.is_absolute() { there } else { Path::new(".").join(there) };
            settings.insert((*key).into(), path.display().to_string().into());
        }
    }
}

/// The settings of a run's own files, which name the run's copies. `up`: the way from the file to the run's folder.
pub fn copied(entry: &Entry, settings: &Map<String, Value>, up: &str) -> Map<String, Value> {
    let mut settings = settings.clone();
    for (key, copy) in entry.files {
        settings.insert((*key).into(), format!("{up}{copy}").into());
    }
    settings
}
