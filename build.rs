//! Lets this package's tests find libtorch without LD_LIBRARY_PATH.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if let Some(lib) = std::env::var_os("LIBTORCH").and_then(|home| std::fs::canonicalize(home).ok()) {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.join("lib").display());
    }
}
