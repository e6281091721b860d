//! Lets the programs find libtorch without LD_LIBRARY_PATH, and tells them which commit they are.

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
    let git = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = git.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    println!("cargo:rustc-env=AGON_COMMIT={}", commit.unwrap_or_else(|| "unknown".into()));
}
