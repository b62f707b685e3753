//! Runs the guests under tests/guests in the runtime. In: their modules, each of which checks what it gets; out: their
//! exit codes, and what they wrote when they found something wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tempfile::{TempDir, tempdir};
use vm::{Engine, Linker, Module, Store};
use wasi::{I32Exit, OutputBuffer, WASI_FUNCTIONS, WasiCtxBuilder};

const FILES: &[u8] = include_bytes!("guests/files.wasm");
const PROCESS: &[u8] = include_bytes!("guests/process.wasm");
const SOCKETS: &[u8] = include_bytes!("guests/sockets.wasm");
const STD: &[u8] = include_bytes!("guests/std.wasm");
const UNSTABLE: &[u8] = include_bytes!("guests/unstable.wasm");

/// What a guest is run with and leaves behind.
struct Run {
    builder: WasiCtxBuilder,
    dir: TempDir,
    output: OutputBuffer,
    errors: OutputBuffer,
}

impl Run {
    fn new(args: &[&str]) -> Run {
        let (output, errors) = (OutputBuffer::new(), OutputBuffer::new());
        let mut builder = WasiCtxBuilder::new();
        builder.arg("guest").unwrap().args(args).unwrap().env("EXACT", "1").unwrap();
        builder.stdout_buffer(&output).stderr_buffer(&errors);
        Run { builder, dir: tempdir().unwrap(), output, errors }
    }

    /// Gives the directory, runs the module's `_start` and returns the exit code.
    fn exit_code(&mut self, module: &[u8]) -> i32 {
        self.builder.preopened_dir(self.dir.path(), "/", false).unwrap();
        let engine = Engine::default();
        let module = Module::new(&engine, module).unwrap();
        let mut store = Store::new(&engine, self.builder.build().unwrap());
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker, |ctx| ctx).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
        match start.call(&mut store, ()) {
            Ok(()) => 0,
            Err(error) => error.downcast_ref::<I32Exit>().unwrap_or_else(|| panic!("{error}")).0,
        }
    }

    fn assert_exit_code(&mut self, module: &[u8], expected: i32) {
        let code = self.exit_code(module);
        let errors = String::from_utf8_lossy(&self.errors.contents()).into_owned();
        assert_eq!((code, errors.as_str()), (expected, ""));
    }
}

#[test]
fn files() {
    let mut run = Run::new(&[]);
    run.assert_exit_code(FILES, 0);
    assert_eq!(std::fs::read_dir(run.dir.path()).unwrap().count(), 0, "the guest cleans up");
}

#[test]
fn process() {
    let mut run = Run::new(&["one", "two words", ""]);
    run.builder.env("A", "1").unwrap().env("EMPTY", "").unwrap().stdin_bytes(*b"input");
    run.assert_exit_code(PROCESS, 7);
    assert_eq!(run.output.contents(), b"output\n");
}

#[test]
fn unstable() {
    Run::new(&[]).assert_exit_code(UNSTABLE, 0);
}

#[test]
fn std() {
    let mut run = Run::new(&["first", "zweites ä"]);
    run.builder.env("NAME", "value with = in it").unwrap().stdin_bytes(*b"line\n");
    run.assert_exit_code(STD, 0);
    assert_eq!(run.output.contents(), b"all good\n");
}

/// Waits until the guest said a line.
fn wait_for(output: &OutputBuffer, line: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while !String::from_utf8_lossy(&output.contents()).contains(line) {
        assert!(Instant::now() < until, "the guest never said {line:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The other side of the guest's connection.
fn talk(address: SocketAddr, output: &OutputBuffer) -> Vec<u8> {
    wait_for(output, "ready");
    let mut stream = TcpStream::connect(address).unwrap();
    wait_for(output, "accepted");
    for part in ["first", "01234", "56789"] {
        stream.write_all(part.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    reply
}

#[test]
fn sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut run = Run::new(&[]);
    run.builder.preopened_listener(listener).unwrap();
    let output = run.output.clone();
    let peer = std::thread::spawn(move || talk(address, &output));
    run.assert_exit_code(SOCKETS, 0);
    assert_eq!(peer.join().unwrap(), b"reply");
}

#[test]
fn every_function_is_linked() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, WasiCtxBuilder::new().build().unwrap());
    let mut linker = Linker::new(&engine);
    wasi::add_to_linker(&mut linker, |ctx| ctx).unwrap();
    for (module, name) in WASI_FUNCTIONS {
        assert!(linker.get(&mut store, module, name).is_some(), "{module} {name}");
    }
}

#[test]
fn a_guest_without_memory_is_told_so() {
    let engine = Engine::default();
    let text = r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (func (export "_start") (drop (call 0))))"#;
    let module = Module::new(&engine, text).unwrap();
    let mut store = Store::new(&engine, WasiCtxBuilder::new().build().unwrap());
    let mut linker = Linker::new(&engine);
    wasi::add_to_linker(&mut linker, |ctx| ctx).unwrap();
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
    let error = start.call(&mut store, ()).unwrap_err();
    assert!(error.to_string().contains("export its memory"), "{error}");
}
