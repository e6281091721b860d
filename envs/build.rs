//! Tells where MuJoCo and its models were at build time.

fn main() {
    println!("cargo:rerun-if-env-changed=MUJOCO_STATIC_LINK_DIR");
    let link = std::env::var_os("MUJOCO_STATIC_LINK_DIR").and_then(|link| std::fs::canonicalize(link).ok());
    let home = link.as_deref().and_then(std::path::Path::parent).map(std::path::Path::to_path_buf);
    println!("cargo:rustc-env=AGON_MUJOCO={}", home.unwrap_or_default().display());
}
