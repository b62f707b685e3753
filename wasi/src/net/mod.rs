//! Sockets that guests open themselves: the socket extension of `wasi_snapshot_preview1` beyond `sock_accept`,
//! `sock_recv`, `sock_send` and `sock_shutdown`. In: addresses, names and options in guest memory; out: host sockets.
//! Invariant: no socket is opened, bound, connected or sent on, and no name looked up, before the grants were asked.
//!
//! - `address`, `options`: addresses and options as they cross the border
//! - `socket`, `datagram`: the functions on sockets
//! - `grant`: what the embedder allows; `spot`: where the `AF_UNIX` sockets in grants are
//! - `addrinfo`, `resolve`, `dns`: names to addresses

mod address;
mod addrinfo;
pub(crate) mod datagram;
mod dns;
pub(crate) mod grant;
mod options;
mod resolve;
mod socket;
mod spot;

/// Which of its two versions a function of the extension is called in: the first knows IPv4 and IPv6 addresses as they
/// are, the second also a storage of 128 bytes that begins with the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    One,
    Two,
}
