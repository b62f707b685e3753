//! The functions called as a guest would, on plain memory, without a runtime. In: a [`Guest`] with what its context
//! grants; out: assertions on errnos, on memory and on the host's disk.

mod bad_input;
mod directories;
mod escapes;
mod files;
mod guest;
mod network;
mod polling;
mod private;
mod read_only;
mod sockets;
mod streams;
