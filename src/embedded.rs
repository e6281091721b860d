//! The scenarios that come with Agon, inside the program: they work from any folder.

use crate::cli;
use crate::failure::{Failure, Outcome};
use agon_core::settings::{hint, nearest};
use serde_json::json;
use std::path::{Path, PathBuf};

// `FILES`: every file of `scenarios/` with its text, made by `build.rs`.
include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The names of all scenarios, such as `pricing/tuna`.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().filter_map(|(file, _)| file.strip_suffix(".toml"))
}

/// The name of a scenario of ours that is meant by these words: `pricing/tuna`, with or without `scenarios/` and `.toml`.
fn meant(words: &Path) -> Option<&'static str> {
    let words = words.to_str()?;
    let words = words.strip_prefix("./").unwrap_or(words);
    let words = words.strip_prefix("scenarios/").unwrap_or(words);
    let words = words.strip_suffix(".toml").unwrap_or(words);
    names().find(|name| *name == words)
}

/// The file of a scenario: the one of this path, or one that comes with Agon.
pub fn locate(scenario: &Path) -> Outcome<PathBuf> {
    match meant(scenario) {
        Some(name) if !scenario.exists() => Ok(unpacked()?.join(format!("{name}.toml"))),
        _ => Ok(scenario.to_owned()),
    }
}

/// The embedded files on disk, in a folder named after what is in them: a scenario may name files beside it.
fn unpacked() -> Outcome<PathBuf> {
    let sum = FILES.iter().fold(0, |sum, (file, text)| {
        crc32c::crc32c_append(crc32c::crc32c_append(sum, file.as_bytes()), text.as_bytes())
    });
    let deps = std::env::var_os("AGON_DEPS").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/agon"));
    let places = [deps, home, Some(std::env::temp_dir().join("agon"))];
    let mut failed = None;
    for place in places.into_iter().flatten() {
        let folder = place.join(format!("scenarios-{sum:08x}"));
        if folder.join("complete").is_file() {
            return Ok(folder.join("scenarios"));
        }
        let written = write_all(&folder.join("scenarios")).and_then(|()| std::fs::write(folder.join("complete"), ""));
        match written {
            Ok(()) => return Ok(folder.join("scenarios")),
            Err(e) => failed = Some(Failure::write(&folder, &e)),
        }
    }
    Err(failed.unwrap_or_else(|| Failure::Internal("there is no folder for temporary files".into())))
}

fn write_all(folder: &Path) -> std::io::Result<()> {
    for (file, text) in FILES {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        // Two processes may come at once: whoever is last renames the same bytes over the same bytes.
        let draft = path.with_extension(format!("draft-{}", std::process::id()));
        std::fs::write(&draft, text)?;
        std::fs::rename(draft, path)?;
    }
    Ok(())
}

/// What to try instead of a scenario that is not there.
pub fn instead(scenario: &Path) -> String {
    let wanted = scenario.to_string_lossy();
    let near = nearest(wanted.trim_start_matches("scenarios/").trim_end_matches(".toml"), names());
    if near.is_some() { hint(&near) } else { "; `agon scenarios` lists those that come with Agon".into() }
}

fn about(text: &str) -> String {
    let table: Option<toml::Table> = toml::from_str(text).ok();
    table.and_then(|t| t.get("about")?.as_str().map(String::from)).unwrap_or_default()
}

/// `agon scenarios`.
pub fn run(args: &cli::Scenarios) -> Outcome {
    if let Some(folder) = &args.write {
        let folder = folder.join("scenarios");
        if folder.exists() {
            return Err(Failure::Input(format!("{} is there already: choose another folder", folder.display())));
        }
        write_all(&folder).map_err(|e| Failure::write(&folder, &e))?;
        crate::say!("wrote {} scenarios and their data to {}", names().count(), folder.display());
        return Ok(());
    }
    if let Some(name) = &args.name {
        let unknown = || Failure::Input(format!("no scenario is called `{name}`{}", instead(Path::new(name))));
        let meant = meant(Path::new(name)).ok_or_else(unknown)?;
        let text = FILES.iter().find(|(file, _)| file.strip_suffix(".toml") == Some(meant)).map(|(_, text)| *text);
        crate::failure::say(format_args!("{}", text.ok_or_else(unknown)?));
        return Ok(());
    }
    let all = FILES.iter().filter_map(|(file, text)| Some((file.strip_suffix(".toml")?, about(text))));
    if args.json.json {
        let all: Vec<_> = all.map(|(name, about)| json!({"name": name, "about": about})).collect();
        crate::say!("{}", json!(all));
        return Ok(());
    }
    all.for_each(|(name, about)| crate::say!("{name:<34} {about}"));
    crate::say!(
        "\n`agon train NAME` or `agon tournament NAME` runs one from any folder; `agon scenarios NAME` prints it,"
    );
    crate::say!("`--write FOLDER` writes them all out to be changed, `--keys` lists what a scenario can say.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_found_by_any_of_its_names() {
        for words in ["pricing/tuna", "pricing/tuna.toml", "scenarios/pricing/tuna.toml", "./scenarios/pricing/tuna"] {
            assert_eq!(meant(Path::new(words)), Some("pricing/tuna"), "{words}");
        }
        assert_eq!(meant(Path::new("tuna")), None);
        assert!(instead(Path::new("pricing/tunaa")).contains("pricing/tuna"));
    }

    #[test]
    fn every_scenario_says_what_it_is() {
        assert!(names().count() >= 30);
        for (file, text) in FILES.iter().filter(|(file, _)| file.ends_with(".toml")) {
            assert!(!about(text).is_empty(), "{file}");
        }
    }
}
