//! Running the program in tests.
#![allow(dead_code)] // a test program uses some of it

use std::path::Path;
use std::process::{Command, Output};

/// Runs `agon` in a folder, where its runs go too.
pub fn agon(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_agon")).args(args).current_dir(folder).env_remove("AGON_RUNS").output().unwrap()
}

/// All that it said; it ended with this exit code, and did not panic.
pub fn told(out: &Output, code: i32) -> String {
    let told = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(code), "{told}");
    assert!(!told.contains("panicked"), "{told}");
    told
}
