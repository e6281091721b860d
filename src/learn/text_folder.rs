//! Folders of text files as tables: a folder for each class, or files alone where no class is known.

use crate::picture_folder::is_without;
use agon::{Failure, Outcome};
use agon_agents::data::Raw;
use std::path::{Path, PathBuf};

/// The columns of such a table.
const TEXT: &str = "text";
/// The column of classes.
pub const CLASS: &str = "class";
const FILE: &str = "file";

/// Whether a folder holds text files, or folders that do.
pub fn is_meant(path: &Path) -> bool {
    let has_texts = |folder: &Path| entries(folder).is_ok_and(|all| all.iter().any(|path| is_text(path)));
    path.is_dir() && (has_texts(path) || entries(path).is_ok_and(|all| all.iter().any(|inner| has_texts(inner))))
}

/// Whether the folders in a folder, its classes, hold more text files than pictures.
pub fn has_classes(path: &Path) -> bool {
    let inner = || entries(path).unwrap_or_default().into_iter().filter_map(|inner| entries(&inner).ok()).flatten();
    let pictures = || inner().filter(|path| ["png", "jpg", "jpeg"].iter().any(|end| ends_in(path, end)));
    inner().filter(|path| is_text(path)).count() > pictures().count()
}

fn is_text(path: &Path) -> bool {
    path.is_file() && ends_in(path, "txt")
}

fn ends_in(path: &Path, end: &str) -> bool {
    path.extension().is_some_and(|own| own.eq_ignore_ascii_case(end))
}

/// What is in a folder, in the order of names; nothing of what is no folder.
fn entries(folder: &Path) -> Outcome<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |e: std::io::Error| Failure::read(folder, &e);
    let all: Result<Vec<_>, _> =
        std::fs::read_dir(folder).map_err(failed)?.map(|entry| entry.map(|e| e.path())).collect();
    let mut all = all.map_err(failed)?;
    all.sort();
    Ok(all)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads the files that end with .txt: `text` and `class` where there is a folder for each class, else `text` and `file`.
///
/// # Errors
/// A file cannot be read, or there are files both in the folder and in folders below it.
pub fn read(folder: &Path) -> Outcome<Raw> {
    let all = entries(folder)?;
    let mut found: Vec<(PathBuf, String)> = Vec::new();
    for class in all.iter().filter(|path| path.is_dir()) {
        let texts = entries(class)?.into_iter().filter(|path| is_text(path));
        let known = if is_without(class) { String::new() } else { name(class) };
        found.extend(texts.map(|file| (file, known.clone())));
    }
    let of_classes = !found.is_empty();
    let alone: Vec<&PathBuf> = all.iter().filter(|path| is_text(path)).collect();
    if let (true, Some(file)) = (of_classes, alone.first()) {
        let why = "is in no folder of a class, as other files are";
        return Err(Failure::Input(format!("{}: {} {why}", folder.display(), name(file))));
    }
    found.extend(alone.into_iter().map(|file| (file.clone(), name(file))));
    let names = [TEXT, if of_classes { CLASS } else { FILE }];
    let mut raw = Raw::new(names.map(String::from).to_vec(), false);
    for ((file, other), line) in found.iter().zip(2..) {
        raw.push(line, [agon::text::read_latin(file)?.as_str(), other.as_str()]);
    }
    Ok(raw)
}
