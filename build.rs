//! Lets the programs find libtorch without LD_LIBRARY_PATH, tells them which commit they are, and puts the scenarios
//! into them.

use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/refs/heads");
    let lib =
        std::env::var_os("LIBTORCH").and_then(|home| std::fs::canonicalize(home).ok()).map(|home| home.join("lib"));
    if let Some(lib) = &lib {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
    println!("cargo:rustc-env=AGON_LIBTORCH={}", lib.unwrap_or_default().display());
    embed();
    let git = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = git.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    println!("cargo:rustc-env=AGON_COMMIT={}", commit.unwrap_or_else(|| "unknown".into()));
}

/// Writes `embedded.rs`: a list of every file of `scenarios/` and its text.
fn embed() {
    println!("cargo:rerun-if-changed=scenarios");
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("scenarios");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let mut list = String::from("/// Every file of `scenarios/` and its text.\nconst FILES: &[(&str, &str)] = &[\n");
    for file in files {
        println!("cargo:rerun-if-changed={}", file.display());
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        list += &format!("    ({name:?}, include_str!({:?})),\n", file.display().to_string());
    }
    list += "];\n";
    let out = Path::new(&std::env::var_os("OUT_DIR").unwrap_or_default()).join("embedded.rs");
    std::fs::write(&out, list).unwrap_or_else(|e| panic!("{}: {e}", out.display()));
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let kept = ["toml", "csv", "txt", "epd", "pgn", "xml"];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| kept.iter().any(|k| e == *k)) {
            files.push(path);
        }
    }
}
