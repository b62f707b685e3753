//! Says whether this build's compiler settings make handlers' calls sibling calls, and tells this build from others whose
//! machine code may differ: by the sources of the compiler and the runtime, their dependencies' versions, and the toolchain.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(vm_tail_calls)");
    let optimised = std::env::var("OPT_LEVEL").is_ok_and(|l| matches!(&*l, "2" | "3"));
    // Debug assertions keep checks in handlers whose panics need a frame.
    let assertions = std::env::var_os("CARGO_CFG_DEBUG_ASSERTIONS").is_some();
    if optimised && !assertions {
        println!("cargo::rustc-cfg=vm_tail_calls");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=VM_BUILD={}", build());
}

/// A hash of everything that machine code and files depend on.
fn build() -> String {
    let mut files = Vec::new();
    for dir in ["src", "../jit/src", "../wasm/src"] {
        println!("cargo::rerun-if-changed={dir}");
        list(Path::new(dir), &mut files);
    }
    files.sort();
    files.push("../Cargo.lock".into());
    let contents: Vec<Option<Vec<u8>>> = files.iter().map(|f| std::fs::read(f).ok()).collect();
    let toolchain = std::env::var_os("RUSTC").and_then(|rustc| {
        let version = std::process::Command::new(rustc).arg("-vV").output().ok()?;
        Some(version.stdout)
    });
    let variables = ["TARGET", "OPT_LEVEL", "CARGO_CFG_DEBUG_ASSERTIONS", "CARGO_PKG_VERSION"].map(std::env::var_os);
    // Two hashes of 64 bits.
    let hash = |salt: u8| {
        let mut h = DefaultHasher::new();
        (salt, &files, &contents, &toolchain, &variables).hash(&mut h);
        h.finish()
    };
    format!("{:016x}{:016x}", hash(0), hash(1))
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}
