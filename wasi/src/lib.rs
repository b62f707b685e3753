//! WASI preview 1 for guests of the `vm` crate, under the module names `wasi_snapshot_preview1` and `wasi_unstable`.
//!
//! In: what an embedder grants through [`WasiCtxBuilder`]; out: a [`WasiCtx`] and `add_to_linker`, which makes the
//! functions available to guests. Invariant: a guest reaches nothing it was not granted. Files are reached only below
//! preopened directories, whatever paths, links or concurrent renames say.
//!
//! ```no_run
//! use vm::{Engine, Linker, Module, Store};
//! use wasi::WasiCtxBuilder;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::default();
//! let module = Module::from_file(&engine, "program.wasm")?;
//! let ctx = WasiCtxBuilder::new().arg("program")?.inherit_stdio()?.preopened_dir(".", "/", false)?.build()?;
//! let mut store = Store::new(&engine, ctx);
//! let mut linker = Linker::new(&engine);
//! wasi::add_to_linker(&mut linker, |ctx| ctx)?;
//! let instance = linker.instantiate(&mut store, &module)?;
//! instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ())?;
//! # Ok(())
//! # }
//! ```
//!
//! The functions themselves are methods of [`WasiCtx`] on [`GuestMemory`], independent of what runs the guest.
//!
//! - `functions`, `link`: the list of functions, and how they get into a linker
//! - `builder`, `table`, `descriptor`: what a guest has open
//! - `memory`, `iovec`, `types`, `errno`: what crosses the border
//! - `forbidden`: what is not a guest's business wherever it lies
//! - `data`, `stat`, `readdir`, `path`, `path_ops`, `open`, `poll`, `sock`, `process`: the functions
//! - `net`: sockets that guests open themselves, and what they may do with them
//! - `watch`: what the host's `epoll` knows of a guest's descriptors
//! - `sys`: what is specific to an operating system

#![forbid(unsafe_code)]

mod builder;
mod data;
mod descriptor;
mod errno;
mod forbidden;
mod functions;
mod iovec;
mod link;
mod memory;
mod net;
mod open;
mod path;
mod path_ops;
mod poll;
mod process;
mod readdir;
mod room;
mod sock;
mod stat;
mod subscriptions;
mod sys;
mod table;
pub mod types;
mod watch;

pub use builder::{BuildError, OutputBuffer, WasiCtxBuilder};
pub use errno::Errno;
pub use functions::{PREVIEW1, UNSTABLE, WASI_FUNCTIONS};
pub use link::{add_imports_to_linker, add_to_linker};
pub use memory::GuestMemory;
pub use net::grant::{Grant, GrantError, Refusal};
pub use process::I32Exit;

/// One guest's side of the interface: its arguments, environment and descriptors.
#[derive(Debug)]
pub struct WasiCtx {
    args: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    table: table::FdTable,
    network: net::grant::Network,
    poller: poll::Pollers,
}
