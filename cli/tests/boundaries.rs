//! What is not ours, and what is not the guest's, as users meet it: caches in foreign directories, outputs that are no files, closed
//! descriptors, forged caches, artifacts that are written to while they run, modules that change unseen.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const HELLO: &str = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 16) "hello\n") (data (i32.const 0) "\10\00\00\00\06\00\00\00")
  (func (export "_start") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// A directory with a cache and a key of its own.
struct Home(PathBuf);

impl Home {
    fn new() -> Home {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bounds-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("hello.wat"), HELLO).unwrap();
        Home(path)
    }
    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vm"));
        command.args(args).stdin(Stdio::null()).env("HOME", &self.0).current_dir(&self.0);
        for name in ["VM_CACHE_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "VM_KEY_FILE"] {
            command.env_remove(name);
        }
        command
    }
    fn vm(&self, args: &[&str]) -> End {
        End::of(self.command(args).output().unwrap())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct End {
    code: Option<i32>,
    out: Vec<u8>,
    err: String,
}

impl End {
    fn of(o: Output) -> End {
        End { code: o.status.code(), out: o.stdout, err: String::from_utf8(o.stderr).unwrap() }
    }
    #[track_caller]
    fn ok(self) -> End {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
    #[track_caller]
    fn fails(self, text: &str) -> End {
        assert!(self.code == Some(1) && self.err.contains(text), "no {text:?} in {self:?}");
        self
    }
    #[track_caller]
    fn out(self, text: &str) -> End {
        assert_eq!(String::from_utf8_lossy(&self.out), text, "{self:?}");
        self
    }
}

/// Waits until changes of files that were just written would be seen.
fn settle() {
    std::thread::sleep(Duration::from_millis(80));
}

#[test]
fn a_directory_that_is_no_cache_is_left_alone() {
    let home = Home::new();
    let own = ["files/thesis.tex", "code/a.c", "new-house.txt", "profiles/me", "fill"];
    for file in own {
        let path = home.at("docs").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    }
    let end = home.vm(&["run", "--tier", "jit", "--cache", "docs", "hello.wat"]).ok().out("hello\n");
    assert_eq!(end.err.matches("is not a cache").count(), 1, "{end:?}");
    for action in [&["clean"][..], &["prune", "--max-size", "0"], &["list"], &["stat"]] {
        home.vm(&[&["cache", "--cache", "docs"], action].concat()).fails("is not a cache");
    }
    home.vm(&["aot", "--cache", "docs", "hello.wat"]).fails("is not a cache");
    for file in own {
        assert_eq!(fs::read(home.at("docs").join(file)).unwrap(), b"mine", "{file}");
    }
    assert_eq!(fs::read_dir(home.at("docs")).unwrap().count(), 5);
    // In a cache, what is not of our form stays.
    home.vm(&["run", "--tier", "jit", "--cache", "cache", "hello.wat"]).ok();
    let strays = ["new-house.txt", "code/a.c", "files/thesis.tex"];
    strays.iter().for_each(|s| fs::write(home.at("cache").join(s), "mine").unwrap());
    home.vm(&["cache", "--cache", "cache", "clean"]).ok();
    strays.iter().for_each(|s| assert_eq!(fs::read(home.at("cache").join(s)).unwrap(), b"mine", "{s}"));
    assert_eq!(fs::read_dir(home.at("cache/code")).unwrap().count(), 1);
}

#[test]
fn a_cache_that_others_may_change_is_not_used_and_that_is_said_once() {
    let home = Home::new();
    for bad in [".", "code"] {
        let _ = fs::remove_dir_all(home.at("cache"));
        home.vm(&["run", "--tier", "jit", "--cache", "cache", "hello.wat"]).ok();
        home.vm(&["cache", "--cache", "cache", "clean"]).ok();
        fs::set_permissions(home.at("cache").join(bad), PermissionsExt::from_mode(0o777)).unwrap();
        let end = home.vm(&["run", "--tier", "jit", "--cache", "cache", "hello.wat"]).ok().out("hello\n");
        assert_eq!(end.err.matches("nobody else may").count(), 1, "{bad}: {end:?}");
        assert_eq!(fs::read_dir(home.at("cache/code")).unwrap().count(), 0, "{bad}");
    }
}

#[test]
fn artifacts_replace_only_files_that_may_be_written_to() {
    let home = Home::new();
    let aot = |out: &str| home.vm(&["aot", "-q", "hello.wat", "-o", out]);
    aot("a").ok();
    home.vm(&["run", "a"]).ok().out("hello\n");
    symlink("a", home.at("link")).unwrap();
    aot("link").ok();
    assert!(fs::symlink_metadata(home.at("link")).unwrap().is_symlink());
    fs::set_permissions(home.at("a"), PermissionsExt::from_mode(0o444)).unwrap();
    for (out, why) in
        [("a", "read-only"), ("link", "read-only"), ("hello.wat", "the module itself"), (".", "directory")]
    {
        aot(out).fails(why);
    }
    symlink("hello.wat", home.at("again")).unwrap();
    aot("again").fails("the module itself");
    assert_eq!(fs::read(home.at("hello.wat")).unwrap(), HELLO.as_bytes());
    aot("/dev/null").ok();
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    // Standard output takes the artifact, and nothing else.
    let end = home.vm(&["aot", "hello.wat", "-o", "-"]).ok();
    let runs = |artifact: &[u8]| {
        fs::write(home.at("taken"), artifact).unwrap();
        let end = home.vm(&["run", "taken"]).ok().out("hello\n");
        assert_eq!(end.err, "", "its code may run");
    };
    runs(&end.out);
    assert!(end.err.contains("1 of 1 functions"), "{end:?}");
    // A pipe takes it as well, and stays one.
    assert!(Command::new("mkfifo").arg(home.at("pipe")).status().unwrap().success());
    let pipe = home.at("pipe");
    let reader = std::thread::spawn(move || fs::read(pipe).unwrap());
    aot("pipe").ok();
    runs(&reader.join().unwrap());
    assert!(fs::metadata(home.at("pipe")).unwrap().file_type().is_fifo());
}

#[test]
fn closed_standard_descriptors_are_filled() {
    let home = Home::new();
    fs::create_dir(home.at("dir")).unwrap();
    fs::write(home.at("dir/file"), "data").unwrap();
    // The guest opens a file; what goes wrong afterwards is said to nobody.
    let guest = r#"(module (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 0) "file")
      (func (export "_start")
        (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0) (i64.const 66) (i64.const 0)
          (i32.const 0) (i32.const 8)))
        unreachable))"#;
    fs::write(home.at("trap.wat"), guest).unwrap();
    for closed in ["0", "1", "2", "0 1 2", "1 2"] {
        let close: String = closed.split(' ').map(|fd| format!(" {fd}>&-")).collect();
        let script = format!(r#"exec "$0" run --no-cache --dir dir trap.wat {close}"#);
        let mut sh = Command::new("sh");
        sh.args(["-c", &script, env!("CARGO_BIN_EXE_vm")])
            .current_dir(&home.0)
            .env("HOME", &home.0)
            .stdin(Stdio::null());
        assert_eq!(sh.output().unwrap().status.code(), Some(134), "{closed}");
        assert_eq!(fs::read(home.at("dir/file")).unwrap(), b"data", "{closed}");
    }
}

#[test]
fn entries_and_links_of_another_key_are_worth_nothing() {
    let home = Home::new();
    let run = || home.vm(&["run", "--stats", "--tier", "jit", "hello.wat"]).ok().out("hello\n").err;
    settle();
    (0..3).for_each(|_| drop(run()));
    assert!(run().contains("compiled before"));
    let key = home.at(".local/share/vm/key");
    let own = fs::read(&key).unwrap();
    fs::write(&key, [1; 32]).unwrap();
    assert!(!run().contains("compiled before"), "what was signed with another key");
    // Whoever has planted entries and links of a key of their own finds them unused.
    fs::write(&key, own).unwrap();
    assert!(!run().contains("compiled before"));
    (0..3).for_each(|_| drop(run()));
    assert!(run().contains("compiled before"));
}

#[test]
fn a_guest_that_was_given_home_reaches_neither_cache_nor_key() {
    let home = Home::new();
    // Prints a letter for each path that it can open.
    let mut text = String::from(
        r#"(module (import "wasi_snapshot_preview1" "path_open"
          (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1) (func (export "f") (result i32) (local i32)"#,
    );
    let mut data = String::new();
    let paths = [".cache/vm", ".cache/vm/code", ".local/share/vm/key", ".local/share/vm", ".cache/vm/code/planted"];
    for (i, path) in paths.iter().enumerate() {
        data.push_str(&format!("(data (i32.const {}) \"{path}\")", i * 64 + 100));
        for (flags, rights) in [(0, 2), (1, 66), (2, 0)] {
            text.push_str(&format!(
                "(local.set 0 (i32.add (local.get 0) (i32.eqz (call $open (i32.const 3) (i32.const 1) (i32.const {}) (i32.const {})
                  (i32.const {flags}) (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 8)))))",
                i * 64 + 100,
                path.len()
            ));
        }
    }
    data.push_str(r#"(data (i32.const 0) ".cache.local")"#);
    for (at, len) in [(0, 6), (6, 6)] {
        text.push_str(&format!(
            "(local.set 0 (i32.add (local.get 0) (i32.eqz (call $rename (i32.const 3) (i32.const {at}) (i32.const {len})
              (i32.const 3) (i32.const 1) (i32.const 3)))))"
        ));
    }
    text.push_str(&format!("(local.get 0)) {data})"));
    fs::write(home.at("plant.wat"), text).unwrap();
    for _ in 0..2 {
        home.vm(&["run", "--dir", ".", "--invoke", "f", "plant.wat"]).ok().out("0\n");
        home.vm(&["run", "--dir", "/::/", "--dir", ".", "--invoke", "f", "plant.wat"]).ok();
    }
    assert!(home.at(".local/share/vm").is_dir() && !home.at(".cache/vm/code/planted").exists());
}

#[test]
fn an_artifact_may_be_cut_off_or_overwritten_while_it_runs() {
    let home = Home::new();
    // Many functions, called one after the other once a byte has been read.
    let mut text = String::from(
        r#"(module (import "wasi_snapshot_preview1" "fd_read" (func $r (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1) (data (i32.const 0) "\10\00\00\00\01\00\00\00")"#,
    );
    let mut calls = String::new();
    for i in 0..400 {
        text.push_str(&format!(
            "(func $f{i} (param i64) (result i64) (i64.add (i64.mul (local.get 0) (i64.const 3)) (i64.const {i})))"
        ));
        calls
            .push_str(&format!("(local.set 0 (call_indirect (param i64) (result i64) (local.get 0) (i32.const {i})))"));
    }
    let elements: String = (0..400).map(|i| format!(" $f{i}")).collect();
    text.push_str(&format!(
        r#"(table 400 funcref) (elem (i32.const 0) {elements})
        (func (export "f") (result i64) (local i64) (drop (call $r (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
          {calls} (local.get 0)))"#
    ));
    fs::write(home.at("many.wat"), text).unwrap();
    let expected = home.vm(&["run", "--no-cache", "--invoke", "f", "many.wat"]).ok().out;
    for cut in [true, false] {
        home.vm(&["aot", "-q", "many.wat", "-o", "many.aot"]).ok();
        let mut command = home.command(&["run", "--invoke", "f", "many.aot"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let file = fs::OpenOptions::new().write(true).open(home.at("many.aot")).unwrap();
        let len = file.metadata().unwrap().len();
        if cut {
            file.set_len(0).unwrap()
        } else {
            file.write_all_at(&vec![0xcc; len as usize], 0).unwrap()
        }
        child.stdin.take().unwrap().write_all(b"x").unwrap();
        let mut out = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
        assert_eq!((child.wait().unwrap().code(), out), (Some(0), expected.clone()), "cut {cut}");
        assert!(home.vm(&["run", "--invoke", "f", "many.aot"]).code == Some(1), "what is left is no module");
    }
}

#[test]
fn a_module_in_a_pipe_is_read_once() {
    let home = Home::new();
    for (contents, code) in [(HELLO, 0), ("\0asm\x01\0\0\0garbage", 1), ("<!doctype html>", 1)] {
        let _ = fs::remove_file(home.at("pipe"));
        assert!(Command::new("mkfifo").arg(home.at("pipe")).status().unwrap().success());
        let child = home.command(&["run", "pipe"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        fs::write(home.at("pipe"), contents).unwrap();
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(code), "{contents:?}");
        let mut child = home
            .command(&["run", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(contents.as_bytes()).unwrap();
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(code), "{contents:?}");
    }
}

#[test]
fn what_people_type_is_understood_or_explained() {
    let home = Home::new();
    home.vm(&["hello.wat"]).ok().out("hello\n");
    home.vm(&["compile", "-q", "hello.wat"]).ok();
    for (line, tip) in [
        (&["run", "--mapdir", "/:.", "x"][..], "--dir HOST::GUEST"),
        (&["run", "--memory-page-limit", "1", "x"], "--max-memory SIZE"),
        (&["run", "--gas-limit", "1", "x"], "--fuel N"),
        (&["run", "-S", "inherit-env", "x"], "--env NAME"),
        (&["run", "--reactor", "x"], "--invoke NAME"),
        (&["validate", "--fuel", "1", "x"], "'--fuel' is an option of `vm run`"),
    ] {
        let end = home.vm(line);
        assert!(end.code == Some(2) && end.err.contains(tip) && !end.err.contains("similar"), "{end:?}");
    }
    home.vm(&["run", "--dir", ".:.", "hello.wat"]).fails("--dir .::.");
    for (begin, what) in [("<!DOCTYPE html>", "HTML"), ("\u{1f}\u{8b}", ""), ("\x7fELF\x02", "ELF"), ("", "empty")] {
        fs::write(home.at("x.wasm"), begin).unwrap();
        home.vm(&["run", "x.wasm"]).fails(what);
    }
    fs::write(home.at("x.wasm"), b"\x1f\x8b\x08").unwrap();
    home.vm(&["run", "x.wasm"]).fails("gzip");
}

#[test]
fn the_default_export_runs_and_reactors_say_what_could() {
    let home = Home::new();
    let module = |exports: &str| {
        format!(r#"(module (func (export "_initialize")) {exports} (func (export "other") (param i32)))"#)
    };
    fs::write(home.at("default.wat"), module(r#"(func (export "") unreachable)"#)).unwrap();
    assert_eq!(home.vm(&["run", "default.wat"]).code, Some(134));
    fs::write(home.at("reactor.wat"), module("")).unwrap();
    let end = home.vm(&["run", "reactor.wat"]).ok();
    assert!(end.err.contains("nothing was run") && end.err.contains("--invoke NAME: other (i32)"), "{end:?}");
}

/// The process that compiles after a run in this home, if there is one.
fn after_run(home: &Home) -> Option<PathBuf> {
    let name = home.0.to_str().unwrap();
    let of_home = |process: &Path| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains("--noted") && line.contains(name)
    };
    fs::read_dir("/proc").unwrap().flatten().map(|p| p.path()).find(|p| of_home(p))
}

#[test]
fn what_goes_on_after_a_run_holds_nothing_of_the_callers() {
    let home = Home::new();
    let body = "(drop (i64.const 123456789012345678))".repeat(2000);
    fs::write(home.at("long.wat"), format!(r#"(module (func (export "_start") {body}))"#)).unwrap();
    // Whoever compiles waits for this lock.
    home.vm(&["run", "--tier", "jit", "hello.wat"]).ok();
    let lock = fs::File::create(home.at(".cache/vm/fill")).unwrap();
    lock.lock().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let script = r#"exec "$0" run long.wat 9>&1 >/dev/null"#;
    let mut sh = Command::new("sh");
    sh.args(["-c", script, env!("CARGO_BIN_EXE_vm")]).current_dir(&home.0).env("HOME", &home.0);
    for name in ["VM_CACHE_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME", "VM_KEY_FILE"] {
        sh.env_remove(name);
    }
    assert!(sh.stdin(Stdio::null()).stdout(writer).status().unwrap().success());
    drop(sh);
    let process = after_run(&home).expect("a process that compiles");
    // Descriptor 9 was the pipe: it has an end now, although that process is there.
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(fs::read_link(process.join("cwd")).unwrap(), Path::new("/"));
    drop(lock);
    for _ in 0..600 {
        if !process.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("it does not end");
}
