//! Runs a guest on a thread of its own. In: a module and what it is granted; out: its exit code, once it ends.

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use vm::{Engine, Linker, Module, Store};
use wasi::{I32Exit, OutputBuffer, WasiCtxBuilder};

/// A guest that runs.
pub(crate) struct Running {
    thread: JoinHandle<i32>,
    output: OutputBuffer,
    errors: OutputBuffer,
}

/// Runs a module's `_start` with these arguments and grants, and listeners from descriptor 3 on.
pub(crate) fn run(module: Vec<u8>, args: &[&str], grants: &[&str], listeners: Vec<TcpListener>) -> Running {
    let (output, errors) = (OutputBuffer::new(), OutputBuffer::new());
    let mut builder = WasiCtxBuilder::new();
    builder.arg("guest").unwrap().args(args).unwrap().stdout_buffer(&output).stderr_buffer(&errors);
    for grant in grants {
        builder.network(grant.parse().unwrap());
    }
    for listener in listeners {
        builder.preopened_listener(listener).unwrap();
    }
    let ctx = builder.build().unwrap();
    let thread = std::thread::spawn(move || {
        let engine = Engine::default();
        let module = Module::new(&engine, &module).unwrap();
        let mut store = Store::new(&engine, ctx);
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker, |ctx| ctx).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
        match start.call(&mut store, ()) {
            Ok(()) => 0,
            Err(error) => error.downcast_ref::<I32Exit>().unwrap_or_else(|| panic!("{error}")).0,
        }
    });
    Running { thread, output, errors }
}

impl Running {
    /// The address that the guest says it is at.
    pub(crate) fn address(&self) -> SocketAddr {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let text = String::from_utf8(self.output.contents()).unwrap();
            if let Some((address, _)) = text.split_once('\n') {
                return address.parse().unwrap();
            }
            let errors = self.errors.contents();
            assert!(Instant::now() < until, "no address: {}", String::from_utf8_lossy(&errors));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for the end; returns the exit code, the output and the errors.
    pub(crate) fn end(self) -> (i32, String, String) {
        let code = self.thread.join().unwrap();
        let text = |buffer: &OutputBuffer| String::from_utf8_lossy(&buffer.contents()).into_owned();
        (code, text(&self.output), text(&self.errors))
    }
}

/// Whether this machine has IPv6 on its loopback interface.
pub(crate) fn has_ipv6() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("skipped: no IPv6 here");
    }
    has
}

/// Lets this process have as many descriptors as the system allows.
pub(crate) fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}
