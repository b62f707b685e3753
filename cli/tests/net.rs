//! The network options of `vm run`: grants and what is said of their lack, listeners handed to guests in every way there
//! is, and a server that is stopped and continued under load.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../wasi/tests/net/guests");

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A module of this name in the directory for such things.
fn module(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("net-{}-{name}.wat", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

/// A guest that accepts one connection on a descriptor, says so and ends.
fn greeter(fd: u32) -> PathBuf {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "\20\00\00\00\05\00\00\00")
            (data (i32.const 32) "hello")
            (func (export "_start")
                (if (call $accept (i32.const {fd}) (i32.const 0) (i32.const 0)) (then unreachable))
                (if (call $write (i32.load (i32.const 0)) (i32.const 16) (i32.const 1) (i32.const 8)) (then unreachable))))"#
    );
    module(&format!("greeter-{fd}"), &text)
}

/// A guest that opens a socket twice and ends with the errno.
fn opener() -> PathBuf {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "sock_open" (func $open (param i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (drop (call $open (i32.const 1) (i32.const 2) (i32.const 0)))
            (call $exit (call $open (i32.const 1) (i32.const 2) (i32.const 0)))))"#;
    module("opener", text)
}

fn vm(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vm")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn read_all(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_network_is_closed_and_it_is_said_once_what_would_open_it() {
    let guest = opener();
    let guest = guest.to_str().unwrap();
    let refused = vm(&["run", guest]);
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(text, format!("vm: {guest}: may not use the network\nhint: --net would allow it\n"));
    for grants in [&["--net"][..], &["--net=all"], &["--net", "connect:localhost:80,dns"], &["--net", "bind:[::1]:80"]]
    {
        let allowed = vm(&[&["run"], grants, &[guest]].concat());
        assert_eq!((allowed.status.code(), allowed.stderr), (Some(0), vec![]), "{grants:?}");
    }
}

#[test]
fn senseless_grants_and_addresses_are_bad_usage() {
    for (option, value, told) in [
        ("--net", "connect:a:b", "a port is a number"),
        ("--net", "bind:", "a host is an address"),
        ("--net", "conect:a:1", "expected all"),
        ("--net", "connect:::1:80", "in brackets"),
        ("--net", "bind:*:9-8", "ends before it begins"),
        ("--listen", "nowhere", "expected"),
        ("--listen", "127.0.0.1", "expected"),
    ] {
        let end = vm(&["run", option, value, "x.wasm"]);
        assert_eq!(end.status.code(), Some(2), "{value}");
        assert!(String::from_utf8(end.stderr).unwrap().contains(told), "{value}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let end = vm(&["run", "--listen", &address, opener().to_str().unwrap()]);
    assert_eq!(end.status.code(), Some(1));
    assert!(String::from_utf8(end.stderr).unwrap().contains(&address));
}

#[test]
fn listeners_are_the_first_descriptors_after_the_standard_streams() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vm"))
        .args(["run", "--dir", ".", "--listen", "127.0.0.1:0", "--listen", "localhost:0"])
        .arg(greeter(4))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let errors = BufReader::new(child.stderr.take().unwrap());
    let _process = Process(child);
    let said: Vec<String> = errors.lines().take(2).map(|line| line.unwrap()).collect();
    let address = said[1].strip_prefix("vm: listening on ").unwrap().parse().unwrap();
    assert_eq!(read_all(address), "hello");
}

#[test]
fn a_listener_can_be_standard_input() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _process = Process(
        Command::new(env!("CARGO_BIN_EXE_vm"))
            .arg("run")
            .arg(greeter(0))
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .spawn()
            .unwrap(),
    );
    assert_eq!(read_all(address), "hello");
}

#[test]
fn listeners_that_the_parent_left_are_passed_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The shell moves what it got as standard input to where listeners are looked for.
    let script = r#"exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$0" run "$1""#;
    let _process = Process(
        Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_vm")])
            .arg(greeter(3))
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .spawn()
            .unwrap(),
    );
    assert_eq!(read_all(address), "hello");
}

/// One request and its answer on a connection that stays.
fn request(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 1024];
    let mut got = 0;
    if stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").is_err() {
        return false;
    }
    loop {
        match stream.read(&mut buffer[got..]) {
            Ok(len) if len > 0 => got += len,
            // With a timeout set a read is not repeated by itself after this process was stopped or moved.
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            _ => return false,
        }
        if buffer[..got].ends_with(b"hello\n") {
            return true;
        }
    }
}

/// The address that the command says it listens on.
fn said_address(child: &mut Child) -> SocketAddr {
    let mut line = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim().strip_prefix("vm: listening on ").unwrap().parse().unwrap()
}

/// Stops and continues a server twenty times while eight clients talk to it.
fn stop_and_continue(args: &[&str], first_line: impl FnOnce(&mut Child) -> SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vm"))
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = first_line(&mut child);
    let process = Process(child);
    let (done, served) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                while !done.load(Ordering::Relaxed) {
                    assert!(request(&mut stream), "a connection was lost");
                    served.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
        let pid = process.0.id().to_string();
        for _ in 0..20 {
            for signal in ["-STOP", "-CONT"] {
                assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(served.load(Ordering::Relaxed) > 100);
}

#[test]
fn a_low_limit_of_descriptors_is_raised() {
    let script = r#"ulimit -Sn 48; exec "$0" run --listen 127.0.0.1:0 "$1""#;
    let mut child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_vm")])
        .arg(format!("{GUESTS}/tokio_server.wasm"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let address = said_address(&mut child);
    let _process = Process(child);
    let mut clients: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
    for client in &mut clients {
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert!(request(client));
    }
}

#[test]
fn servers_survive_being_stopped_and_continued() {
    let server = format!("{GUESTS}/http_server.wasm");
    stop_and_continue(&["run", "--net", "bind:127.0.0.1:0", &server, "127.0.0.1:0"], |child| {
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    });
    let server = format!("{GUESTS}/tokio_server.wasm");
    stop_and_continue(&["run", "--listen", "127.0.0.1:0", &server], said_address);
}
