//! What fuzzing once found, and some more of its kind.
//!
//! In: `corpus/TARGET/*`, and changes to these files made at random (`VM_FUZZ_CHANGES` for each, 3 unless told otherwise). Out: no
//! property is broken. It needs no fuzzer.

#[path = "../../vm/tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::Rng;

fn corpus(target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<PathBuf> = files.map(|f| f.expect("a readable folder").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus in {}", dir.display());
    files
}

/// Changes a few bytes, or the length.
fn change(rng: &mut Rng, data: &mut Vec<u8>) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(data.len().max(1));
        match rng.below(5) {
            0 if !data.is_empty() => data.truncate(at),
            1 if !data.is_empty() => data[at] ^= 1 << rng.below(8),
            2 if !data.is_empty() => data[at] = rng.next() as u8,
            3 => data.extend(rng.bytes(16)),
            _ => data.insert(at.min(data.len()), rng.next() as u8),
        }
    }
}

fn repeat(target: &'static str) {
    // The key that signs artifacts is of this test alone, and the environment is changed only from outside.
    if std::env::var_os("VM_KEY_FILE").is_none() {
        let test = std::thread::current().name().map(str::to_owned).expect("tests have names");
        let key = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-key-{}", std::process::id()));
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        let output = child.args(["--exact", &test, "--nocapture"]).env("VM_KEY_FILE", &key).output().expect("a child");
        let _ = std::fs::remove_file(key);
        return assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let run = fuzz::TARGETS.iter().find(|t| t.0 == target).expect("a target").1;
    support::with_large_stack(move || {
        for file in corpus(target) {
            let data = std::fs::read(&file).expect("a readable file");
            eprintln!("{}", file.display());
            run(&data);
            let mut rng = Rng::new(data.len() as u64);
            for _ in 0..support::count("VM_FUZZ_CHANGES", 3) {
                let mut changed = data.clone();
                change(&mut rng, &mut changed);
                run(&changed);
            }
        }
    });
}

macro_rules! tests {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            repeat(stringify!($target));
        })*

        #[test]
        fn every_target_has_a_test() {
            let names = fuzz::TARGETS.map(|t| t.0);
            assert_eq!(names, [$(stringify!($target)),*]);
        }
    };
}

tests!(parse validate translate compile differential cache_load wasi_paths);
