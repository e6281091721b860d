//! Writes files so that any interruption, a power cut too, leaves either the old or the new one complete.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names the number, from 1, of the change of the disk at which the process ends as if killed: tests use it to stop a
/// run at every point at which its files could be incomplete.
pub const EXIT_AT: &str = "AGON_EXIT_AT_CHANGE";

/// To be called before every change of the disk that later ones depend on.
pub fn change() {
    static AT: OnceLock<Option<u64>> = OnceLock::new();
    static MADE: AtomicU64 = AtomicU64::new(0);
    let at = AT.get_or_init(|| std::env::var(EXIT_AT).ok()?.parse().ok());
    if at.is_some_and(|at| MADE.fetch_add(1, Ordering::Relaxed) + 1 == at) {
        std::process::exit(137);
    }
}

/// Writes a file atomically: to a temporary one beside it, synced, renamed, and the folder synced.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = OsString::from(path);
    draft.push(".draft");
    create(Path::new(&draft), bytes)?;
    rename(Path::new(&draft), path)
}

/// Writes a file that no other file refers to yet, and syncs it.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    change();
    let mut file = File::create(path)?;
    change();
    file.write_all(bytes)?;
    change();
    file.sync_all()
}

/// Renames, replacing what is there, and syncs the folder.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    change();
    fs::rename(from, to)?;
    change();
    sync_folder(&parent(to))
}

/// The folder that a path is in.
pub fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Makes the names in a folder survive a power cut.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
