//! Links the command statically where that is possible: it starts in two thirds of the time, and runs on any distribution.
//!
//! A third of what a dynamically linked program takes to begin is the dynamic loader's, and a good part of the rest are relocations, which
//! a program at a fixed address has none of. (What guests run in, heaps, stacks and compiled code, is at random addresses all the same.)
//! `-C target-feature=+crt-static` would be the usual way; it cannot be used for a workspace with procedural macros without
//! giving cargo an explicit target. So the linker is given scripts in the place of shared libraries, which lead to the
//! static ones.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Shared libraries that Rust's standard library asks for.
const LIBRARIES: [&str; 7] = ["c", "m", "gcc_s", "pthread", "rt", "dl", "util"];
/// What is in them, as archives, which need each other.
const ARCHIVES: [&str; 8] =
    ["libc.a", "libm.a", "libgcc_eh.a", "libgcc.a", "libpthread.a", "librt.a", "libdl.a", "libutil.a"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let var = |name| std::env::var(name).unwrap_or_default();
    if var("CARGO_CFG_TARGET_OS") != "linux" || var("CARGO_CFG_TARGET_ENV") != "gnu" || var("TARGET") != var("HOST") {
        return;
    }
    if var("CARGO_ENCODED_RUSTFLAGS").contains("crt-static") || !ARCHIVES.iter().all(|a| has(a)) {
        return;
    }
    let dir = PathBuf::from(var("OUT_DIR")).join("static");
    if write_scripts(&dir).is_ok() {
        println!("cargo::rustc-link-arg-bin=vm=-L{}", dir.display());
        println!("cargo::rustc-link-arg-bin=vm=-static");
        println!("cargo::rustc-link-arg-bin=vm=-no-pie");
    }
}

/// Whether the C compiler knows an archive.
fn has(archive: &str) -> bool {
    let path = Command::new("cc").arg(format!("-print-file-name={archive}")).output();
    // What it does not know it answers unchanged.
    path.is_ok_and(|o| o.status.success() && Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_absolute())
}

fn write_scripts(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let group: Vec<String> = ARCHIVES.iter().map(|a| format!("-l:{a}")).collect();
    for library in LIBRARIES {
        std::fs::write(dir.join(format!("lib{library}.so")), format!("GROUP({})\n", group.join(" ")))?;
    }
    Ok(())
}
