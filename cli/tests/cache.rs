//! Compiled code that is kept, as users meet it: `vm run` twice, `vm aot`, artifacts, `vm cache`; writers that are killed,
//! artifacts that are not what they seem.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A directory with a cache and a key of its own.
struct Home(PathBuf);

impl Home {
    fn new() -> Home {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("home-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Home(path)
    }
    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_string()
    }
    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
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
    fn entries(&self) -> usize {
        fs::read_dir(self.0.join(".cache/vm/code")).map_or(0, Iterator::count)
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
    out: String,
    err: String,
}

impl End {
    fn of(o: Output) -> End {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let end = End { code: o.status.code(), out: text(o.stdout), err: text(o.stderr) };
        assert!(!end.err.contains("panicked"), "{end:#?}");
        end
    }
    #[track_caller]
    fn ok(self) -> End {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }
    #[track_caller]
    fn has(self, text: &str) -> End {
        assert!(self.out.contains(text) || self.err.contains(text), "no {text:?} in {self:#?}");
        self
    }
    #[track_caller]
    fn has_not(self, text: &str) -> End {
        assert!(!self.out.contains(text) && !self.err.contains(text), "{text:?} in {self:#?}");
        self
    }
}

/// A module of many functions, of which `sum` calls all; and what `sum 5` answers.
fn many() -> (String, String) {
    let mut text = String::from("(module $many\n");
    let mut expected: i64 = 0;
    let mut calls = String::new();
    for i in 0..150i64 {
        text.push_str(&format!(
            "(func $f{i} (param i64) (result i64) (local $n i64) (local.set $n (local.get 0))
              (loop $l (local.set 0 (i64.add (i64.mul (local.get 0) (i64.const {})) (i64.const {i})))
                (br_if $l (i64.gt_s (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))
              (local.get 0))\n",
            i % 7 + 3
        ));
        calls.push_str(&format!("(local.set 1 (i64.xor (local.get 1) (call $f{i} (local.get 0))))\n"));
        let mut x: i64 = 5;
        for _ in 0..5 {
            x = x.wrapping_mul(i % 7 + 3).wrapping_add(i);
        }
        expected ^= x;
    }
    text.push_str(&format!(
        "(func (export \"sum\") (param i64) (result i64) (local i64) {calls} (local.get 1))\n
         (func (export \"repeat\") (param i64) (result i64) (local i64)
            (loop $l (local.set 1 (call $f3 (local.get 0)))
                (br_if $l (i64.ne (local.tee 0 (i64.sub (local.get 0) (i64.const 1))) (i64.const 0))))
            (local.get 1)))"
    ));
    (text, format!("{expected}\n"))
}

/// Waits until changes of files that were just written would be seen.
fn settle() {
    std::thread::sleep(Duration::from_millis(80));
}

#[test]
fn a_second_run_starts_with_the_code_of_the_first() {
    let home = Home::new();
    let (text, _) = many();
    let file = home.file("many.wat", text);
    settle();
    let run = || home.vm(&["run", "--stats", "--tier-threshold", "500", "--invoke", "repeat", &file, "2000"]).ok();
    run().has("kept for the next run").has_not("were compiled before");
    assert_eq!(home.entries(), 1);
    // What a run ends too early for is compiled in the next one, until nothing is left.
    let all = |_| run().has("were compiled before").err.contains("compiled 0 functions and 0 loops");
    assert!((0..20).any(all), "something is compiled in every run");
    run().has("were compiled before");
    home.vm(&["run", "--stats", "--no-cache", "--invoke", "repeat", &file, "2000"]).ok().has_not("before");
    let other = home.path("other");
    home.vm(&["run", "--cache", &other, "--stats", "--tier", "jit", "--invoke", "repeat", &file, "9"])
        .ok()
        .has("kept for the next run");
    assert!(Path::new(&other).join("code").is_dir());
    // Everything there is private.
    for path in [".cache/vm", ".cache/vm/code"] {
        assert_eq!(fs::metadata(home.0.join(path)).unwrap().mode() & 0o777, 0o700);
    }
}

#[test]
fn what_was_only_interpreted_is_compiled_when_the_guest_is_over() {
    let home = Home::new();
    let (text, expected) = many();
    // Bodies large enough to be worth it.
    let padding = "(drop (i64.const 123456789012345678))".repeat(30);
    let text = text.replace("(local $n i64)", &format!("(local $n i64) {padding}"));
    let file = home.file("many.wat", text);
    settle();
    let run = |more: &[&str]| {
        let args = [&["run", "--stats"], more, &["--invoke", "sum", &file, "5"]].concat();
        home.vm(&args).ok().has(&expected)
    };
    run(&["--no-fill"]);
    std::thread::sleep(Duration::from_millis(300));
    run(&["--no-fill"]).has_not("were compiled before");
    run(&[]);
    for _ in 0..600 {
        std::thread::sleep(Duration::from_millis(100));
        if run(&["--no-fill"]).err.contains("functions were compiled before") {
            run(&[]).has("151 functions were compiled before");
            return;
        }
    }
    panic!("nothing was compiled");
}

#[test]
fn ahead_of_time_everything_is_compiled() {
    let home = Home::new();
    let (text, expected) = many();
    let file = home.file("many.wat", text);
    settle();
    home.vm(&["aot", &file]).ok().has("152 of 152 functions");
    home.vm(&["aot", &file]).ok().has("already");
    home.vm(&["run", "--stats", "--invoke", "sum", &file, "5"])
        .ok()
        .has("152 functions were compiled before")
        .has(&expected);
    home.vm(&["aot", "--quiet", &file, "-o", &home.path("q")]).ok().has_not("functions");
    home.vm(&["aot", "--timings", "-O", "1", &file, "-o", &home.path("t")]).ok().has("regalloc").has("slowest");
    let bad = home.file("bad.wat", "(module (func) (func (result i32) i32.const 1 i32.add))");
    let end = home.vm(&["aot", &bad]);
    assert_eq!(end.code, Some(1));
    end.has("function 1");
    assert_eq!(home.vm(&["aot", &home.path("missing")]).code, Some(1));
    assert_eq!(home.vm(&["aot", "--target-cpu", "z80", &file]).code, Some(2));
    assert_eq!(home.vm(&["aot", "-O", "9", &file]).code, Some(2));
    let unwritable = home.vm(&["aot", &file, "-o", "/proc/nowhere/x"]);
    assert_eq!(unwritable.code, Some(1));
    unwritable.has("/proc/nowhere/x");
}

#[test]
fn artifacts_run_where_they_are_trusted() {
    let home = Home::new();
    let (text, expected) = many();
    let file = home.file("many.wat", text);
    let artifact = home.path("many.aot");
    home.vm(&["aot", &file, "-o", &artifact]).ok();
    fs::remove_file(&file).unwrap();
    let key = home.0.join(".local/share/vm/key");
    assert_eq!(fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
    let run = |home: &Home, more: &[&str]| {
        let args = [&["run", "--stats"], more, &["--invoke", "sum", &artifact, "5"]].concat();
        home.vm(&args).ok().has(&expected)
    };
    for _ in 0..3 {
        settle();
        run(&home, &[]).has("152 functions were compiled before").has_not("note");
    }
    // Who may write to it might do so after it was verified.
    fs::set_permissions(&artifact, fs::Permissions::from_mode(0o666)).unwrap();
    run(&home, &[]).has("others may write to it").has_not("compiled before");
    fs::set_permissions(&artifact, fs::Permissions::from_mode(0o644)).unwrap();
    run(&home, &[]).has("152 functions were compiled before").has_not("note");
    // Somebody else has another key.
    let other = Home::new();
    run(&other, &[]).has("not signed by this user").has_not("compiled before");
    run(&other, &["--allow-precompiled"]).has("compiled before").has_not("note");
    run(&other, &["--tier", "interp"]).has_not("compiled before");
    // Other settings make other code; the module in it runs all the same.
    run(&home, &["--fuel", "1000000"]).has("note").has_not("were compiled before");
    home.vm(&["aot", "--fuel", &artifact, "-o", &home.path("fuel.aot")]).ok();
    home.vm(&["run", "--fuel", "1000000", "--stats", "--invoke", "sum", &home.path("fuel.aot"), "5"])
        .ok()
        .has(&expected)
        .has("152 functions were compiled before");
    // Code without masks does not serve who wants them.
    let checked = home.path("checked.aot");
    home.vm(&["aot", "--memory", "checked", &artifact, "-o", &checked]).ok();
    let run_checked = |memory: &str| {
        home.vm(&["run", "--memory", memory, "--stats", "--invoke", "sum", &checked, "5"]).ok().has(&expected)
    };
    run_checked("checked").has("152 functions were compiled before");
    run_checked("masked").has("without the masks").has_not("were compiled before");
    // A key that others can read is none.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(fs::read_dir(home.0.join(".cache/vm/files")).unwrap().count() > 0, "it was verified each time");
    fs::remove_dir_all(home.0.join(".cache")).unwrap();
    run(&home, &[]).has("not signed by this user");
    home.vm(&["aot", &artifact, "-o", &home.path("again")]).has("chmod 600");
}

#[test]
fn artifacts_for_any_processor_run_here() {
    let home = Home::new();
    let (text, expected) = many();
    let file = home.file("many.wat", text);
    for cpu in ["baseline", "baseline,popcnt", "native"] {
        let artifact = home.path("many.aot");
        home.vm(&["aot", "--target-cpu", cpu, &file, "-o", &artifact]).ok();
        let end = home.vm(&["run", "--stats", "--invoke", "sum", &artifact, "5"]).ok().has(&expected);
        end.has("152 functions were compiled before");
    }
}

#[test]
fn damaged_artifacts_are_not_executed() {
    let home = Home::new();
    let (text, expected) = many();
    let file = home.file("many.wat", text);
    let artifact = home.path("many.aot");
    home.vm(&["aot", &file, "-o", &artifact]).ok();
    let original = fs::read(&artifact).unwrap();
    let mut right = 0;
    for at in (0..original.len()).step_by(original.len() / 60) {
        let mut damage = original.clone();
        damage[at] ^= 0x20;
        fs::write(&artifact, damage).unwrap();
        let end = home.vm(&["run", "--stats", "--invoke", "sum", &artifact, "5"]).has_not("were compiled before");
        // If the module in it is whole, that is run.
        match end.code {
            Some(0) => {
                assert_eq!(end.out, expected);
                right += 1;
            }
            code => assert_eq!(code, Some(1), "{end:#?}"),
        }
        let end = home.vm(&["run", "--stats", "--allow-precompiled", "--invoke", "sum", &artifact, "5"]);
        end.has_not("were compiled before");
    }
    assert!(right > 10, "{right}");
    for len in [0, 7, 8, 100, 1023, 1024, 5000, original.len() - 1] {
        fs::write(&artifact, &original[..len]).unwrap();
        let end = home.vm(&["run", "--stats", "--invoke", "sum", &artifact, "5"]).has_not("were compiled before");
        assert!(matches!(end.code, Some(0 | 1)), "{end:#?}");
    }
    // Another version's: the module in it is run.
    let mut other = original;
    other[12] ^= 1;
    fs::write(&artifact, other).unwrap();
    home.vm(&["run", "--invoke", "sum", &artifact, "5"]).ok().has("another version").has(&expected);
}

#[test]
fn writers_may_be_killed_at_any_moment() {
    let home = Home::new();
    let (text, expected) = many();
    let file = home.file("many.wat", text);
    let line = ["run", "--tier", "jit", "--invoke", "sum", &file, "5"];
    let mut seed = 1u64;
    let mut finished = 0;
    for round in 0..200 {
        if round % 3 == 0 {
            let _ = fs::remove_dir_all(home.0.join(".cache/vm/code"));
        }
        let mut child = home.command(&line).stdout(Stdio::null()).spawn().unwrap();
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        std::thread::sleep(Duration::from_micros((seed >> 33) % 60_000));
        finished += i32::from(child.try_wait().unwrap().is_some());
        let _ = child.kill();
        child.wait().unwrap();
        if round % 8 == 7 {
            home.vm(&line).ok().has(&expected);
        }
    }
    assert!(finished < 200, "no writer was killed");
    home.vm(&line).ok().has(&expected);
    home.vm(&["cache", "prune"]).ok();
}

#[test]
fn the_cache_can_be_looked_at_and_emptied() {
    let home = Home::new();
    assert_eq!(home.vm(&["cache", "path"]).ok().out, format!("{}\n", home.path(".cache/vm")));
    assert_eq!(home.vm(&["cache", "list"]).ok().out, "");
    home.vm(&["cache", "stat"]).ok().has("0 entries");
    home.vm(&["cache", "clean"]).ok().has("removed 0 entries");
    let file = home.file("many.wat", many().0);
    home.vm(&["aot", &file]).ok();
    home.vm(&["cache", "list"]).ok().has("152/152").has("many");
    home.vm(&["cache", "stat"]).ok().has("1 entries").has("1 for this version");
    home.vm(&["cache", "prune", "--max-size", "100M"]).ok().has("removed 0");
    home.vm(&["cache", "prune", "--max-size", "1K"]).ok().has("removed 1 entries");
    home.vm(&["aot", &file]).ok();
    home.vm(&["cache", "clean"]).ok().has("removed 1 entries");
    assert_eq!(home.entries(), 0);
    let end = End::of(home.command(&["cache", "path"]).env_remove("HOME").output().unwrap());
    assert_eq!(end.code, Some(1));
    end.has("--cache DIR");
    let chosen = home.path("chosen");
    let end = End::of(home.command(&["cache", "path"]).env("VM_CACHE_DIR", &chosen).output().unwrap());
    assert_eq!(end.ok().out, format!("{chosen}\n"));
    home.vm(&["cache", "--cache", &chosen, "path"]).ok().has(&chosen);
}
