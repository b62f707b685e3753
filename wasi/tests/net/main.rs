//! Programs that use the network, run in the runtime and driven from outside over the loopback interface. In: the
//! modules under `guests`, built for the socket extension (C that calls it, the crates `wasmedge_wasi_socket`, `tokio_wasi`, `hyper_wasi`,
//! `reqwest_wasi`) or for listeners that are handed in (upstream `tokio` and `hyper`, Go's `net/http`); out: whether
//! every client gets what it asked for, whatever other clients do meanwhile.

mod chat;
mod client;
mod echo;
mod host;
mod http;
mod versions;
