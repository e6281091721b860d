//! Files that people name: opened here, so that what is no ordinary file is refused before anybody waits for it.

use crate::failure::{Failure, Outcome};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Opens a file to read.
///
/// # Errors
/// Where there is none, or where it is a folder, a pipe or a device: those may never end, or never begin.
pub fn open(path: &Path) -> Outcome<File> {
    let meta = fs::metadata(path).map_err(|e| Failure::read(path, &e))?;
    if !meta.is_file() {
        let what = if meta.is_dir() { "a folder" } else { "a pipe or a device" };
        return Err(Failure::Input(format!("cannot read {}: it is {what}, not an ordinary file", path.display())));
    }
    File::open(path).map_err(|e| Failure::read(path, &e))
}

/// Whether two paths are of one file that is there.
pub fn same(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

/// The text of a small file of ours; none where it is not there, no ordinary file, or no text.
pub fn text(path: &Path) -> Option<String> {
    String::from_utf8(all(open(path).ok()?, path).ok()?).ok()
}

/// Everything that is left of it.
pub fn all(mut file: File, path: &Path) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|e| Failure::read(path, &e))?;
    Ok(bytes)
}
