//! Files that the settings of a model name.

use serde_json::{Map, Value};
use std::path::Path;

/// Settings that name files beside the scenario.
const FILES: [&str; 2] = ["weights", "tokenizer"];

/// Makes the files that a model's settings name absolute; the name of the one that is missing otherwise.
pub fn locate(settings: &mut Map<String, Value>, folder: &Path) -> Result<(), (&'static str, String)> {
    for key in FILES {
        let Some(name) = settings.get(key).and_then(Value::as_str).filter(|name| !name.is_empty()) else { continue };
        let file = folder.join(name);
        let file = std::path::absolute(&file).unwrap_or(file);
        if !file.is_file() && key != "weights" {
            return Err((key, format!("no file at {}", file.display())));
        }
        settings.insert(key.into(), file.display().to_string().into());
    }
    Ok(())
}
