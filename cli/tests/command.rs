//! The command as its users meet it: the built binary, run on small modules; what it prints, and its exit codes.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A directory of its own for each test, removed when the test is over.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("command-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Dir(path)
    }

    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_string()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How a command ended.
#[derive(Debug)]
struct End {
    code: Option<i32>,
    out: String,
    err: String,
}

impl End {
    #[track_caller]
    fn code(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "{self:#?}");
        self
    }
    #[track_caller]
    fn out(self, expected: &str) -> Self {
        assert_eq!(self.out, expected, "{self:#?}");
        self
    }
    #[track_caller]
    fn out_has(self, expected: &str) -> Self {
        assert!(self.out.contains(expected), "no {expected:?} in {self:#?}");
        self
    }
    #[track_caller]
    fn err_has(self, expected: &str) -> Self {
        assert!(self.err.contains(expected), "no {expected:?} in {self:#?}");
        self
    }
    #[track_caller]
    fn quiet(self) -> Self {
        assert_eq!(self.err, "", "{self:#?}");
        self
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vm"));
    // Not the user's.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("command-cache");
    command.args(args).stdin(Stdio::null()).env("VM_CACHE_DIR", cache);
    command
}

fn end(output: Output) -> End {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let end = End { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!end.err.contains("panicked"), "{end:#?}");
    end
}

fn vm(args: &[&str]) -> End {
    end(command(args).output().unwrap())
}

/// A program that ends with this code.
fn exits_with(code: i64) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1)
             (func (export "_start") (call $exit (i32.const {code}))))"#
    )
}

/// A program that writes `text`, of `len` bytes, to standard output as often as asked.
fn prints(text: &str, len: u32, times: u32) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (data (i32.const 16) "{text}")
             (func (export "_start") (local $n i32)
               (i32.store (i32.const 0) (i32.const 16))
               (i32.store (i32.const 4) (i32.const {len}))
               (loop $again
                 (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                 (local.set $n (i32.add (local.get $n) (i32.const 1)))
                 (br_if $again (i32.lt_u (local.get $n) (i32.const {times}))))))"#
    )
}

/// A program that prints its arguments or environment: the strings as they lie in memory, with a NUL after each.
fn prints_strings(what: &str) -> String {
    format!(
        r#"(module
             (import "wasi_snapshot_preview1" "{what}_sizes_get" (func $sizes (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "{what}_get" (func $get (param i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (func (export "_start")
               (drop (call $sizes (i32.const 0) (i32.const 12)))
               (drop (call $get (i32.const 1024) (i32.const 4096)))
               (i32.store (i32.const 8) (i32.const 4096))
               (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 4)))))"#
    )
}

const ARITHMETIC: &str = r#"(module
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "mix") (param i64 f32 f64) (result f64 f32 i64) (local.get 2) (local.get 1) (local.get 0))
  (func (export "lanes") (param v128) (result v128) (i32x4.add (local.get 0) (local.get 0)))
  (func (export "nothing"))
  (func $inner (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func $outer (export "divide") (param i32) (result i32) (call $inner (local.get 0)))
  (func $spin (export "spin") (loop (br 0)))
  (func $deep (export "deep") (call $deep))
  (memory (export "memory") 1)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

// Exit codes

#[test]
fn the_guests_exit_code_passes_through() {
    let dir = Dir::new();
    for (guest, host) in [(0, 0), (1, 1), (42, 42), (255, 255), (256, 0), (257, 1), (-1, 255)] {
        let file = dir.file("exit.wat", exits_with(guest));
        vm(&["run", &file]).code(host).out("").quiet();
    }
    let file = dir.file("end.wat", "(module (func (export \"_start\")))");
    vm(&["run", &file]).code(0).out("").quiet();
}

#[test]
fn a_trap_prints_message_and_backtrace_and_exits_134() {
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    let end = vm(&["run", "--invoke", "divide", &file, "0"]).code(134).out("");
    let end = end.err_has("a.wat: trap: integer divide by zero").err_has("inner").err_has("outer");
    let (inner, outer) = (end.err.find("inner").unwrap(), end.err.find("outer").unwrap());
    assert!(inner < outer, "innermost first: {end:#?}");
}

#[test]
fn exhausted_stack_is_a_trap_with_a_hint() {
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    vm(&["run", "--invoke", "deep", &file]).code(134).err_has("call stack exhausted").err_has("--max-stack");
    vm(&["run", "--max-stack", "128k", "--invoke", "deep", &file]).code(134).err_has("call stack exhausted");
}

#[test]
fn fuel_runs_out() {
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    vm(&["run", "--fuel", "100000", "--invoke", "spin", &file]).code(134).err_has("fuel").err_has("--fuel");
    vm(&["run", "--fuel", "100_000", "--invoke", "add", &file, "1", "2"]).code(0).out("3\n");
}

#[test]
fn an_endless_loop_is_stopped_at_the_timeout() {
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    let start = Instant::now();
    vm(&["run", "--timeout", "100ms", "--invoke", "spin", &file]).code(124).err_has("stopped after 100ms");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(100) && took < Duration::from_secs(5), "{took:?}");
    vm(&["run", "--timeout", "10s", "--invoke", "add", &file, "1", "2"]).code(0).out("3\n");
}

#[test]
fn a_blocked_host_call_is_stopped_at_the_timeout() {
    let dir = Dir::new();
    let file = dir.file(
        "read.wat",
        r#"(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (func (export "_start")
               (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 1))
               (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    );
    // The pipe stays open and empty: nobody but the watchdog ends this.
    let child = command(&["run", "--timeout", "100ms", &file])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = child;
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    end(output).code(124).err_has("stopped after 100ms");
}

#[test]
fn reading_counts_towards_the_timeout() {
    let dir = Dir::new();
    let pipe = dir.0.join("pipe.wasm");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let pipe = pipe.to_str().unwrap();
    // Nobody ever writes.
    vm(&["run", "--timeout", "100ms", pipe]).code(124).err_has("stopped after 100ms");
    vm(&["validate", "--timeout", "100ms", pipe]).code(124).err_has("stopped after 100ms");
    vm(&["aot", "--timeout", "100ms", pipe]).code(124).err_has("stopped after 100ms");
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let dir = Dir::new();
    let file = dir.file("large.wasm", "");
    std::fs::File::options().write(true).open(&file).unwrap().set_len(1 << 40).unwrap();
    for command in ["run", "validate", "aot", "inspect"] {
        vm(&[command, &file]).code(1).err_has("large.wasm").err_has("larger than");
    }
}

/// A command that can have no thread but its first. `open` is a directory that everybody may look into, with a copy of the program.
fn without_threads(open: &std::path::Path, args: &[&str]) -> End {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    let mut command = Command::new("sh");
    let script = "ulimit -u 1 2>/dev/null || ulimit -p 1 || exit 99; exec \"$0\" \"$@\"";
    command.args(["-c", script]).arg(open.join("vm")).args(args).stdin(Stdio::null()).env("VM_CACHE_DIR", "");
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        // The limit does not hold for root.
        command.uid(NOBODY);
    }
    end(command.output().unwrap())
}

#[test]
fn one_thread_is_enough() {
    use std::os::unix::fs::PermissionsExt;
    let open = std::env::temp_dir().join(format!("vm-one-thread-{}", std::process::id()));
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_vm"), open.join("vm")).unwrap();
    let functions: String =
        (0..200).map(|n| format!("(func (export \"f{n}\") (result i32) (i32.const {n}))")).collect();
    let file = open.join("many.wat");
    let text = format!("(module {functions} (func (export \"_start\")) (func (export \"spin\") (loop (br 0))))");
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let vm = |args: &[&str]| without_threads(&open, args);
    for tier in ["interp", "jit", "auto"] {
        vm(&["run", "--tier", tier, "--invoke", "f17", file]).code(0).out("17\n");
    }
    vm(&["run", "--tier", "jit", "--stats", "--invoke", "f17", file]).code(0).err_has("202");
    vm(&["run", "--timeout", "100ms", "--invoke", "spin", file]).code(124).err_has("stopped after 100ms");
    vm(&["validate", file]).code(0);
    std::fs::remove_dir_all(&open).unwrap();
}

#[test]
fn deeply_nested_text_needs_no_deep_stack() {
    let dir = Dir::new();
    let nested = |depth: usize| {
        let (open, close) = ("(i32.eqz ".repeat(depth), ")".repeat(depth));
        format!("(module (func (export \"f\") (result i32) {open}(i32.const 0){close}))")
    };
    let run = |file: &str| {
        let limited = "ulimit -s 256; exec \"$0\" run --no-cache --invoke f \"$1\"";
        end(Command::new("sh").args(["-c", limited, env!("CARGO_BIN_EXE_vm"), file]).output().unwrap())
    };
    run(&dir.file("some.wat", nested(40))).code(0).out("0\n");
    let deep = run(&dir.file("deep.wat", nested(100_000)));
    assert!(matches!(deep.code, Some(0 | 1)), "{deep:?}");
}

#[test]
fn a_signal_that_is_sent_ends_the_process() {
    use std::os::unix::process::ExitStatusExt;
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    for tier in ["interp", "jit"] {
        for (name, number) in [("SEGV", 11), ("BUS", 7), ("FPE", 8), ("ILL", 4)] {
            let mut child = command(&["run", "--tier", tier, "--invoke", "spin", &file]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(100));
            let kill = format!("kill -{name} {}", child.id());
            assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
            assert_eq!(child.wait().unwrap().signal(), Some(number), "{name} with {tier}");
        }
    }
}

#[test]
fn an_interrupt_from_the_terminal_ends_the_guest() {
    use std::os::unix::process::ExitStatusExt;
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    let mut child = command(&["run", "--invoke", "spin", &file]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}

#[test]
fn limits_on_memory_hold() {
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    vm(&["run", "--max-memory", "128k", "--invoke", "grow", &file, "1"]).code(0).out("1\n");
    vm(&["run", "--max-memory", "128k", "--invoke", "grow", &file, "2"]).code(0).out("-1\n");
    for (i, much) in ["(memory 100)", "(table 1000000 externref)", "(memory 9) (memory 9)"].iter().enumerate() {
        let big = dir.file(&format!("big{i}.wat"), format!("(module {much} (func (export \"_start\")))"));
        vm(&["run", "--max-memory", "1M", &big]).code(1).err_has("big").err_has("--max-memory");
    }
}

// Invoking functions

#[test]
fn functions_are_invoked_with_typed_arguments() {
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    vm(&["run", "--invoke", "add", &file, "2", "3"]).code(0).out("5\n").quiet();
    vm(&["run", "--invoke", "add", &file, "-2", "0x10"]).code(0).out("14\n");
    vm(&["run", "--invoke", "mix", &file, "-9", "0.5", "1e3"]).code(0).out("1000\n0.5\n-9\n");
    vm(&["run", "--invoke", "mix", &file, "1", "nan", "-inf"]).code(0).out("-inf\nnan\n1\n");
    vm(&["run", "--invoke", "lanes", &file, "i32x4 1 2 3 4"]).code(0).out("0x00000008000000060000000400000002\n");
    vm(&["run", "--invoke", "nothing", &file]).code(0).out("");
}

#[test]
fn bad_arguments_are_bad_usage() {
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    vm(&["run", "--invoke", "add", &file, "2"]).code(2).err_has("takes 2 arguments, but 1 were given");
    vm(&["run", "--invoke", "add", &file, "2", "x"]).code(2).err_has("argument 2 of `add`: \"x\" is not an i32");
    vm(&["run", "--invoke", "ad", &file]).code(1).err_has("no function is exported as `ad`").err_has("add (i32, i32)");
}

#[test]
fn a_module_that_is_no_program_says_what_to_call() {
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    vm(&["run", &file]).code(1).err_has("no function `_start`").err_has("--invoke NAME").err_has("add (i32, i32)");
}

#[test]
fn reactors_are_initialised_first() {
    let dir = Dir::new();
    let file = dir.file(
        "r.wat",
        r#"(module (global $g (mut i32) (i32.const 0))
             (func (export "_initialize") (global.set $g (i32.const 7)))
             (func (export "get") (result i32) (global.get $g)))"#,
    );
    vm(&["run", "--invoke", "get", &file]).code(0).out("7\n");
    vm(&["run", &file]).code(0).out("").err_has("nothing was run").err_has("--invoke NAME: get");
}

// Arguments, environment, directories

#[test]
fn everything_after_the_file_goes_to_the_guest() {
    let dir = Dir::new();
    let file = dir.file("args.wat", prints_strings("args"));
    let args = |rest: &[&str]| vm(&[&["run", &file], rest].concat()).code(0).out;
    assert_eq!(args(&[]), "args.wat\0");
    assert_eq!(args(&["a", "b c", ""]), "args.wat\0a\0b c\0\0");
    assert_eq!(args(&["--fuel", "-x", "--help"]), "args.wat\0--fuel\0-x\0--help\0");
    assert_eq!(args(&["--", "-x", "--"]), "args.wat\0--\0-x\0--\0");
    vm(&["run", "--argv0", "prog", &file, "x"]).code(0).out("prog\0x\0");
    vm(&["run", "--", &file, "x"]).code(0).out("args.wat\0x\0");
}

#[test]
fn only_named_variables_reach_the_guest() {
    let dir = Dir::new();
    let file = dir.file("env.wat", prints_strings("environ"));
    let run = |args: &[&str]| {
        let mut command = command(&[&["run"], args, &[&file]].concat());
        end(command.env("OUTER", "host").env_remove("UNSET").output().unwrap()).code(0)
    };
    run(&[]).out("");
    run(&["--env", "A=1", "--env", "B=x=y"]).out("A=1\0B=x=y\0");
    run(&["--env", "OUTER", "--env", "UNSET"]).out("OUTER=host\0");
    run(&["--env", "OUTER=guest"]).out("OUTER=guest\0");
}

#[test]
fn directories_are_given_under_the_names_asked_for() {
    let dir = Dir::new();
    let file = dir.file(
        "dirs.wat",
        r#"(module
             (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $name (param i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (func (export "_start")
               (drop (call $name (i32.const 3) (i32.const 16) (i32.const 4)))
               (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 4))
               (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    );
    let host = dir.0.to_str().unwrap();
    vm(&["run", "--dir", &format!("{host}::/dat"), &file]).code(0).out("/dat");
    vm(&["run", "--dir", &format!("{host}::/ro1:ro"), &file]).code(0).out("/ro1");
    vm(&["run", "--dir", &format!("{host}/none"), &file]).code(1).err_has("--dir").err_has("none");
    vm(&["run", "--dir", "::", &file]).code(2).err_has("HOST::GUEST");
}

// Imports

const IMPORTING: &str = r#"(module
  (import "env" "first" (func $first (param i32) (result i32)))
  (import "env" "second" (func))
  (import "wasi:cli/environment@0.2.0" "get" (func))
  (func (export "_start"))
  (func (export "call") (result i32) (call $first (i32.const 5))))"#;

#[test]
fn missing_imports_are_listed_all_at_once() {
    let dir = Dir::new();
    let file = dir.file("i.wat", IMPORTING);
    let end = vm(&["run", &file]).code(1).out("").err_has("nothing provides 3 of its imports");
    let end = end.err_has("env.first  func (i32) -> (i32)").err_has("env.second").err_has("--preload env=FILE");
    end.err_has("--unknown-imports trap").err_has("component model");
}

#[test]
fn unknown_imports_can_trap_or_return_zero() {
    let dir = Dir::new();
    let file = dir.file("i.wat", IMPORTING);
    vm(&["run", "--unknown-imports", "trap", &file]).code(0).quiet();
    vm(&["run", "--unknown-imports", "trap", "--invoke", "call", &file]).code(134).err_has("unknown import");
    vm(&["run", "--unknown-imports", "default", "--invoke", "call", &file]).code(0).out("0\n");
}

#[test]
fn preloaded_modules_provide_imports() {
    let dir = Dir::new();
    let file = dir.file(
        "i.wat",
        r#"(module (import "env" "f" (func $f (param i32) (result i32)))
             (func (export "call") (result i32) (call $f (i32.const 5))))"#,
    );
    let lib = dir.file(
        "lib.wat",
        r#"(module (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3))))"#,
    );
    vm(&["run", "--preload", &format!("env={lib}"), "--invoke", "call", &file]).code(0).out("15\n");
    let wrong = dir.file("wrong.wat", r#"(module (func (export "f")))"#);
    let end = vm(&["run", "--preload", &format!("env={wrong}"), "--invoke", "call", &file]).code(1);
    end.err_has("incompatible import type").err_has("i.wat");
    vm(&["run", "--preload", "env", &file]).code(2).err_has("NAME=FILE");
}

// Bad files

#[test]
fn bad_files_are_named() {
    let dir = Dir::new();
    for sub in ["run", "validate", "inspect"] {
        vm(&[sub, "/no/such/file.wasm"]).code(1).out("").err_has("/no/such/file.wasm");
        vm(&[sub, dir.0.to_str().unwrap()]).code(1).err_has("directory");
        let elf = dir.file("elf", b"\x7fELF\x02\x01\x01\x00\x00");
        vm(&[sub, &elf]).code(1).err_has("elf").err_has("ELF file");
        let component = dir.file("c.wasm", b"\0asm\x0d\x00\x01\x00");
        vm(&[sub, &component]).code(1).err_has("component").err_has("preview 1");
        let text = dir.file("bad.wat", "(module\n  (func (i32.cosnt 1)))");
        vm(&[sub, &text]).code(1).err_has("bad.wat:2:10");
        let empty = dir.file("empty.wasm", "");
        vm(&[sub, &empty]).code(1).err_has("empty.wasm");
    }
}

/// The binary form of a module of the text format: only what these tests need.
fn small_binary() -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend([1, 5, 1, 0x60, 0, 1, 0x7f]); // type: () -> (i32)
    module.extend([3, 2, 1, 0]);
    module.extend([7, 5, 1, 1, b'f', 0, 0]);
    module.extend([10, 6, 1, 4, 0, 0x41, 42, 0x0b]); // i32.const 42
    module
}

#[test]
fn truncated_and_mutated_modules_never_panic() {
    let dir = Dir::new();
    let good = small_binary();
    let file = dir.file("good.wasm", &good);
    vm(&["run", "--invoke", "f", &file]).code(0).out("42\n");
    for len in 0..good.len() {
        // Up to a section's end the file is a module of its own, which exports nothing or has functions without code.
        let file = dir.file("cut.wasm", &good[..len]);
        let end = vm(&["run", "--invoke", "f", &file]).code(1).out("").err_has("cut.wasm");
        if ![8, 15].contains(&len) && len > 8 {
            end.err_has("offset").err_has("damaged");
        }
    }
    for i in 0..good.len() {
        let mut bytes = good.clone();
        bytes[i] ^= 1 << (i % 8);
        let file = dir.file("bent.wasm", &bytes);
        let code = vm(&["run", "--timeout", "5s", "--invoke", "f", &file]).code;
        assert!(matches!(code, Some(0 | 1 | 2 | 134)), "bit {} of byte {i}: {code:?}", i % 8);
    }
}

#[test]
fn absurd_modules_are_refused_in_a_line_or_two() {
    let dir = Dir::new();
    let header = b"\0asm\x01\0\0\0";
    // 2^32 - 1 locals of one type.
    let mut locals = header.to_vec();
    locals.extend([1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, b'f', 0, 0]);
    locals.extend([10, 10, 1, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f, 0x0b]);
    let locals = dir.file("locals.wasm", locals);
    vm(&["run", "--invoke", "f", &locals]).code(134).err_has("locals");
    vm(&["validate", &locals]).code(1).err_has("locals.wasm");
    // A type section that promises a billion types and holds none.
    let mut types = header.to_vec();
    types.extend([1, 5, 0x80, 0x94, 0xeb, 0xdc, 0x03]);
    let types = dir.file("types.wasm", types);
    vm(&["validate", &types]).code(1).err_has("types.wasm");
    // Text nested deeper than any stack.
    let nested = dir.file("nested.wat", format!("(module (func {}", "(block ".repeat(200_000)));
    vm(&["validate", &nested]).code(1).err_has("nested.wat");
    // More memory than there are addresses.
    let memory = dir.file("memory.wat", "(module (memory i64 0x1000000000000) (func (export \"_start\")))");
    vm(&["run", &memory]).code(1).err_has("memory.wat");
}

#[test]
fn an_invalid_body_is_found_when_called_or_when_asked_to_look() {
    let dir = Dir::new();
    let mut bytes = small_binary();
    let last = bytes.len() - 3;
    bytes[last] = 0x43; // f32.const, cut short
    let file = dir.file("bad.wasm", &bytes);
    vm(&["run", "--invoke", "f", &file]).code(134).err_has("invalid").err_has("vm validate");
    vm(&["run", "--validate", "eager", "--invoke", "f", &file]).code(1).err_has("function 0").err_has("offset");
    vm(&["validate", &file]).code(1).err_has("bad.wasm").err_has("function 0").err_has("offset");
}

// Usage

#[test]
fn bad_usage_exits_2_and_slips_get_suggestions() {
    vm(&[]).code(2).err_has("Usage: vm");
    vm(&["rnu", "x.wasm"]).code(2).err_has("'run'");
    vm(&["valdiate", "x.wasm"]).code(2).err_has("'validate'");
    vm(&["x.wasm"]).code(1).err_has("cannot read x.wasm");
    vm(&["run", "--invok", "f", "x.wasm"]).code(2).err_has("--invoke");
    vm(&["run", "--dri", ".", "x.wasm"]).code(2).err_has("'--dir'");
    vm(&["run", "--tier", "jti", "x.wasm"]).code(2).err_has("interp, jit, auto");
    vm(&["run", "--timeout", "soon", "x.wasm"]).code(2).err_has("such as 500ms");
    vm(&["run", "--max-memory", "lots", "x.wasm"]).code(2).err_has("such as 65536");
    vm(&["run", "--fuel", "-1", "x.wasm"]).code(2);
    vm(&["run"]).code(2).err_has("FILE");
    vm(&["run", "--zzz", "x.wasm"]).code(2).err_has("--zzz");
}

#[test]
fn every_tier_and_kind_of_memory_gives_the_same_results() {
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    for tier in ["interp", "jit", "auto"] {
        vm(&["run", "--tier", tier, "--invoke", "add", &file, "1", "2"]).code(0).out("3\n");
    }
    for memory in ["checked", "masked", "auto"] {
        vm(&["run", "--memory", memory, "--invoke", "grow", &file, "1"]).code(0).out("1\n");
    }
}

#[test]
fn help_has_examples_and_exit_codes() {
    for args in [&["--help"][..], &["run", "--help"], &["help", "run"]] {
        vm(args).code(0).quiet().out_has("Examples:").out_has("Exit codes:").out_has("134");
    }
    for sub in ["validate", "wast", "inspect", "completions"] {
        vm(&[sub, "--help"]).code(0).quiet().out_has("Example");
    }
    vm(&["--version"]).code(0).out_has(env!("CARGO_PKG_VERSION"));
}

#[test]
fn completions_are_printed() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        vm(&["completions", shell]).code(0).quiet().out_has("unknown-imports");
    }
    vm(&["completions", "csh"]).code(2).err_has("bash");
}

// The other commands

#[test]
fn validate_looks_at_every_file() {
    let dir = Dir::new();
    let good = dir.file("good.wat", ARITHMETIC);
    let bad = dir.file("bad.wat", "(module (func (result i32)))");
    vm(&["validate", &good]).code(0).quiet().out(&format!("{good}: valid\n"));
    vm(&["validate", &bad, &good]).code(1).out(&format!("{good}: valid\n")).err_has("bad.wat").err_has("function 0");
}

#[test]
fn wast_scripts_are_counted() {
    let dir = Dir::new();
    let module = r#"(module (func (export "f") (result i32) (i32.const 1)))"#;
    let good = dir.file("good.wast", format!("{module}\n(assert_return (invoke \"f\") (i32.const 1))"));
    let bad = dir.file("bad.wast", format!("{module}\n\n (assert_return (invoke \"f\") (i32.const 2))"));
    vm(&["wast", &good]).code(0).quiet().out("1 passed, 0 failed\n");
    vm(&["wast", "--tier", "interp", "--memory", "checked", "--fuel", &good]).code(0).out("1 passed, 0 failed\n");
    let end = vm(&["wast", &bad, &good]).code(1).out_has("bad.wast:3:3: expected 2 : i32, got 1 : i32\n");
    assert!(end.out.ends_with("1 passed, 1 failed\n"), "{end:#?}");
    for threshold in ["0", "1"] {
        let tier = ["--tier", "auto", "--compile-threads", "0", "--tier-threshold", threshold];
        vm(&[&["wast"], &tier[..], &[&good]].concat()).code(0).out("1 passed, 0 failed\n");
    }
    vm(&["wast", "--tier", "jit", &good]).code(0).out("1 passed, 0 failed\n");
    vm(&["wast", "/no/such.wast", &good]).code(1).err_has("/no/such.wast").out("1 passed, 0 failed\n");
    let printing = dir.file(
        "print.wast",
        r#"(module (import "spectest" "print_i32" (func $p (param i32))) (func (export "f") (call $p (i32.const 7))))
           (invoke "f")"#,
    );
    vm(&["wast", &printing]).code(0).out("7 : i32\n0 passed, 0 failed\n");
}

#[test]
fn inspect_shows_what_a_module_is() {
    let dir = Dir::new();
    let file = dir.file("i.wat", IMPORTING);
    let end = vm(&["inspect", &file]).code(0).quiet().out_has("imports (3)").out_has("func (i32) -> (i32)");
    end.out_has("env.first")
        .out_has("exports (2)")
        .out_has("_start")
        .out_has("code ")
        .out_has("3 imported, 2 of its own");
    let file = dir.file("a.wat", ARITHMETIC);
    vm(&["inspect", &file]).code(0).out_has("memories (1)").out_has("largest functions");
}

#[test]
fn inspect_shows_the_code_of_a_function() {
    let dir = Dir::new();
    let file = dir.file("a.wat", ARITHMETIC);
    let end = vm(&["inspect", "--func", "add", &file]).code(0).quiet().out_has("function 0 (add): (i32, i32) -> (i32)");
    // Once in WebAssembly and once in register code, which have spellings of their own.
    let adds = end.out.to_lowercase().replace('.', "").matches("i32add").count();
    assert_eq!(adds, 2, "{end:#?}");
    vm(&["inspect", "--func", "4", &file]).code(0).out_has("function 4 (inner)");
    vm(&["inspect", "--func", "99", &file]).code(1).err_has("no function `99`");
    let file = dir.file("i.wat", IMPORTING);
    vm(&["inspect", "--func", "0", &file]).code(0).out_has("imported");
}

// Pipes

/// Reads a little of what the command prints, and closes the pipe.
fn read_a_little(args: &[&str]) -> (String, String) {
    let mut child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut little = [0; 4];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut little).unwrap();
    drop(stdout);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    child.wait().unwrap();
    (String::from_utf8(little.to_vec()).unwrap(), err)
}

#[test]
fn a_closed_pipe_ends_the_guest_quietly() {
    let dir = Dir::new();
    let file = dir.file("yes.wat", prints("yes\\n", 4, 1 << 30));
    let start = Instant::now();
    let (out, err) = read_a_little(&["run", &file]);
    assert_eq!((out.as_str(), err.as_str()), ("yes\n", ""));
    assert!(start.elapsed() < Duration::from_secs(20), "it ended by itself");
}

#[test]
fn a_closed_pipe_ends_commands_quietly() {
    let dir = Dir::new();
    let exports: String = (0..40_000).map(|i| format!("(export \"{i}\" (func 0))")).collect();
    let file = dir.file("many.wat", format!("(module (func) {exports})"));
    let (_, err) = read_a_little(&["inspect", &file]);
    assert_eq!(err, "");
}

#[test]
fn the_guest_reads_and_writes_the_standard_streams() {
    let dir = Dir::new();
    let file = dir.file(
        "cat.wat",
        r#"(module
             (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
             (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
             (memory (export "memory") 1)
             (func (export "_start")
               (loop $more
                 (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 1000))
                 (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
                 (if (i32.load (i32.const 4)) (then
                   (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                   (br $more))))))"#,
    );
    let mut child =
        command(&["run", &file]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&[b'x'; 5000]).unwrap();
    let end = end(child.wait_with_output().unwrap()).code(0).quiet();
    assert_eq!(end.out, "x".repeat(5000));
}
