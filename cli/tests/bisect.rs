//! Finding the function and the pass at fault: the options for it, and the script that tries them.
//!
//! In: the built binary and a module of several functions; for the script a stand-in for `vm` with an injected fault, since the compiler
//! has none to be found. Out: exactly that function and that pass.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bisect-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a folder");
    path
}

fn vm(args: &[&str], cache: &Path) -> (i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_vm")).args(args).env("VM_CACHE_DIR", cache).output().expect("it runs");
    text(output)
}

fn text(output: Output) -> (i32, String) {
    let both = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat();
    (output.status.code().unwrap_or(-1), both)
}

const MODULE: &str = r#"(module
  (func $zero (result i32) (i32.const 0))
  (func $one (export "f") (param i32) (result i32) (local $i i32)
    (loop $l (local.set $i (i32.add (local.get $i) (call $two)))
             (br_if $l (i32.lt_u (local.get $i) (local.get 0))))
    (local.get $i))
  (func $two (result i32) (i32.add (call $zero) (i32.const 2))))"#;

#[test]
fn only_some_functions_are_compiled_and_nothing_is_kept() {
    let dir = scratch("filter");
    let (file, cache) = (dir.join("m.wat"), dir.join("cache"));
    std::fs::write(&file, MODULE).expect("a module");
    let file = file.to_str().expect("a path");
    let run = |filter: &str| vm(&["run", "--tier", "jit", "--stats", filter, "--invoke", "f", file, "7"], &cache);
    for (filter, count) in [("1..3", 2), ("two", 1), ("!two", 2), ("0", 1), ("!0..9", 0), ("absent", 0)] {
        let (code, text) = run(&format!("--jit-filter={filter}"));
        assert_eq!(code, 0, "{text}");
        assert!(text.starts_with("8\n") && text.contains(&format!("compiled {count} functions")), "{filter}: {text}");
    }
    assert!(!cache.exists(), "something was kept");
    let (code, text) = run("--jit-filter=3..2");
    assert!(code == 2 && text.contains("120..140"), "{text}");
    let (code, text) = run("--jit-passes=-inline,-rotate");
    assert!(code == 0 && text.contains("compiled 3 functions"), "{text}");
    assert!(cache.exists());
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn passes_are_switched_and_their_stages_shown() {
    let dir = scratch("passes");
    let file = dir.join("m.wat");
    std::fs::write(&file, MODULE).expect("a module");
    let file = file.to_str().expect("a path");
    let inspect = |options: &[&str]| vm(&[&["inspect", "--func", "one"], options, &[file]].concat(), &dir);
    let stages = ["ir", "after:fold", "after:dce", "scheduled", "lowered", "allocated", "asm"];
    let texts: Vec<String> = stages
        .iter()
        .map(|s| inspect(&["--stage", s]))
        .map(|(code, text)| {
            assert_eq!(code, 0, "{text}");
            text
        })
        .collect();
    // These passes have nothing to do here.
    for (i, a) in texts.iter().enumerate().skip(3) {
        assert!(a.len() > 100 && texts[..i].iter().all(|b| a != b), "{}: {a}", stages[i]);
    }
    let calls = |passes: &str| inspect(&["--stage", "ir", passes]).1.matches("call").count();
    assert!(calls("--jit-passes=-inline") > calls("--jit-passes=all"));
    assert_eq!(calls("--jit-passes=none"), calls("--jit-passes=-inline"));
    let (code, text) = inspect(&["--stage", "after:inlin"]);
    assert!(code == 2 && text.contains("no pass `inlin`") && text.contains("unroll"), "{text}");
    // Switched off, it is not reached.
    let (code, text) = inspect(&["--stage", "after:fold", "--jit-passes=-fold"]);
    assert!(code == 0 && text.len() < texts[1].len(), "{text}");
    let (code, text) = inspect(&["--jit-passes=help"]);
    assert!(code == 2 && text.contains("if_convert   2 "), "{text}");
    let _ = std::fs::remove_dir_all(dir);
}

/// A `vm` that is wrong where function 37 is compiled with unrolling, and lists its passes.
const FAULTY: &str = r#"#!/bin/sh
filter=0..100 passes=all
for word in "$@"; do
    case $word in
    --jit-filter=*) filter=${word#*=} ;;
    --jit-passes=*) passes=${word#*=} ;;
    esac
done
if [ "$passes" = help ]; then
    "$VM" run --jit-passes=help x
    exit 2
fi
case $filter in
'!'*) compiled=no ;;
*..*) if [ "${filter%..*}" -le 37 ] && [ "${filter#*..}" -gt 37 ]; then compiled=yes; else compiled=no; fi ;;
37) compiled=yes ;;
*) compiled=no ;;
esac
case $passes in *-unroll* | none*) compiled=no ;; esac
if [ $compiled = yes ]; then echo wrong; else echo right; fi
"#;

#[test]
fn the_script_finds_an_injected_fault() {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch("script");
    let faulty = dir.join("vm");
    std::fs::write(&faulty, FAULTY).expect("a script");
    std::fs::set_permissions(&faulty, std::fs::Permissions::from_mode(0o755)).expect("it may run");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/jit-bisect");
    let bisect = |expect: &str| {
        let mut command = Command::new("python3");
        command.arg(&script).args(["--expect", expect]).arg(&faulty).args(["run", "m.wasm"]);
        text(command.env("VM", env!("CARGO_BIN_EXE_vm")).output().expect("it runs"))
    };
    let (code, text) = bisect("right");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("function 37\n") && text.contains("right without any of: unroll\n"), "{text}");
    let (code, text) = bisect("wrong");
    assert!(
        code != 0 && text.contains("wrong even if nothing is compiled") || text.contains("right as it is"),
        "{text}"
    );
    let _ = std::fs::remove_dir_all(dir);
}
