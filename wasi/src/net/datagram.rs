//! Receiving with, and sending to, an address: `sock_recv_from`, `sock_send_to`. In: guest buffers; out: counts and
//! addresses. Invariant: where an answer goes is checked before anything is received, so that no datagram is lost to a
//! bad pointer; nothing of a datagram that the guest may not hear reaches its memory.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::PollFlags;
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags, getpeername, recvmsg, sendmsg_addr,
};

use crate::memory::GuestMemory;
use crate::net::Version;
use crate::net::address::{Address, Buffer};
use crate::net::grant::Network;
use crate::sock::recv_flags;
use crate::types::{FileType, roflag};
use crate::{Errno, WasiCtx, iovec, sys};

/// How many senders are remembered for a socket.
const REMEMBERED: usize = 64;

/// Where the latest datagrams of a socket came from: who may receive may answer, with no grant for every client.
#[derive(Debug, Default)]
pub(crate) struct Heard(VecDeque<SocketAddr>);

impl Heard {
    fn add(&mut self, from: SocketAddr) {
        if !self.has(from) {
            if self.0.len() >= REMEMBERED {
                self.0.pop_front();
            }
            self.0.push_back(from);
        }
    }

    /// The latest comes first, as it is answered most often.
    fn has(&self, address: SocketAddr) -> bool {
        self.0.iter().rev().any(|heard| *heard == address)
    }
}

/// Takes datagrams away that are first in a socket's queue and come from where no grant lets the guest send to: a socket that the
/// host has bound when the guest first sent can be reached by everybody, and the guest was not granted to hear everybody.
pub(crate) fn skip_strangers(network: &mut Network, socket: BorrowedFd<'_>, nonblocking: bool) -> Result<(), Errno> {
    let mut flags = RecvFlags::PEEK;
    flags.set(RecvFlags::DONTWAIT, nonblocking);
    loop {
        let first = sys::until_done(socket, PollFlags::IN, nonblocking, || {
            recvmsg(socket, &mut [], &mut RecvAncillaryBuffer::default(), flags)
        })?;
        match first.address.and_then(|from| SocketAddr::try_from(from).ok()) {
            Some(from) if !network.may_hear(from) => {
                recvmsg(socket, &mut [], &mut RecvAncillaryBuffer::default(), RecvFlags::DONTWAIT)?;
            }
            _ => return Ok(()),
        }
    }
}

/// Where the results of a receiving call go.
struct Results {
    port: Option<u32>,
    datalen: u32,
    ro_flags: u32,
}

impl Results {
    fn check(&self, mem: &GuestMemory<'_>) -> Result<(), Errno> {
        for at in self.port.into_iter().chain([self.datalen]) {
            mem.aligned(at, 4)?;
            mem.check(at, 4)?;
        }
        mem.aligned(self.ro_flags, 2)?;
        mem.check(self.ro_flags, 2)
    }
}

impl WasiCtx {
    /// Receives, and tells the sender's address without its port.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn sock_recv_from(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        addr: u32,
        ri_flags: u32,
        datalen: u32,
        ro_flags: u32,
    ) -> Result<(), Errno> {
        self.recv_from(mem, fd, (iovs, iovs_len), addr, ri_flags, Results { port: None, datalen, ro_flags })
    }

    /// Receives, and tells the sender's address and port.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn sock_recv_from_v2(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        addr: u32,
        ri_flags: u32,
        port: u32,
        datalen: u32,
        ro_flags: u32,
    ) -> Result<(), Errno> {
        self.recv_from(mem, fd, (iovs, iovs_len), addr, ri_flags, Results { port: Some(port), datalen, ro_flags })
    }

    fn recv_from(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        (iovs, iovs_len): (u32, u32),
        addr: u32,
        ri_flags: u32,
        results: Results,
    ) -> Result<(), Errno> {
        results.check(mem)?;
        let descriptor = self.table.get_mut(fd)?;
        let socket = descriptor.socket()?.as_fd();
        let buffer = Buffer::at(mem, addr)?;
        buffer.check_answer(if results.port.is_some() { Version::Two } else { Version::One })?;
        let nonblocking = descriptor.nonblocking();
        let flags = recv_flags(ri_flags, nonblocking)?;
        let ranges = iovec::socket_ranges(mem, iovs, iovs_len)?;
        if descriptor.hears_granted {
            skip_strangers(&mut self.network, socket, nonblocking)?;
        }
        let mut from = None;
        let mut truncated = false;
        let got = iovec::fill(mem, &ranges, true, |slices, _| {
            let received = sys::until_done(socket, PollFlags::IN, nonblocking, || {
                recvmsg(socket, slices, &mut RecvAncillaryBuffer::default(), flags)
            })?;
            truncated = received.flags.contains(ReturnFlags::TRUNC);
            from = received.address;
            Ok(received.bytes)
        })?;
        // A stream says nothing about the sender, who is known from the connection.
        let from = from.or_else(|| getpeername(socket).ok().flatten());
        let number = match from.map(Address::try_from) {
            Some(Ok(address)) => {
                if let (Address::Inet(from), FileType::SocketDgram, false, false) =
                    (&address, descriptor.filetype, self.network.all(), descriptor.hears_granted)
                {
                    descriptor.heard.add(*from);
                }
                buffer.write(mem, &address)?
            }
            _ => 0,
        };
        if let Some(port) = results.port {
            mem.write_u32(port, number)?;
        }
        mem.write_u32(results.datalen, got)?;
        mem.write_u16(results.ro_flags, if truncated { roflag::DATA_TRUNCATED } else { 0 })
    }

    /// Sends to an address.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn sock_send_to(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        addr: u32,
        port: u32,
        si_flags: u32,
        datalen: u32,
    ) -> Result<(), Errno> {
        self.send_to(mem, fd, (iovs, iovs_len), (addr, port, Version::One), si_flags, datalen)
    }

    /// Sends to an address, which may be a storage.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn sock_send_to_v2(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        addr: u32,
        port: u32,
        si_flags: u32,
        datalen: u32,
    ) -> Result<(), Errno> {
        self.send_to(mem, fd, (iovs, iovs_len), (addr, port, Version::Two), si_flags, datalen)
    }

    /// No flags are defined, and guests pass whatever they like.
    fn send_to(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        (iovs, iovs_len): (u32, u32),
        (addr, port, version): (u32, u32, Version),
        _si_flags: u32,
        datalen: u32,
    ) -> Result<(), Errno> {
        mem.aligned(datalen, 4)?;
        mem.check(datalen, 4)?;
        let descriptor = self.table.get(fd)?;
        let socket = descriptor.socket()?.as_fd();
        let nonblocking = descriptor.nonblocking();
        let address = Buffer::at(mem, addr)?.read(mem, port, version)?;
        let answers = matches!(address, Address::Inet(to) if descriptor.heard.has(to));
        if !answers && !self.network.may_connect(&address) {
            return Err(Errno::Acces);
        }
        let reached = match &address {
            Address::Unix(address) => Some(self.network.reach(address, false)?),
            Address::Inet(_) => None,
        };
        let ranges = iovec::socket_ranges(mem, iovs, iovs_len)?;
        let mut flags = SendFlags::NOSIGNAL;
        flags.set(SendFlags::DONTWAIT, nonblocking);
        let sent = {
            let slices = iovec::slices(mem, &ranges);
            sys::until_done(socket, PollFlags::OUT, nonblocking, || {
                let control = &mut SendAncillaryBuffer::default();
                match (&address, &reached) {
                    (Address::Inet(address), _) => sendmsg_addr(socket, address, &slices, control, flags),
                    (_, Some(reached)) => sendmsg_addr(socket, &reached.address, &slices, control, flags),
                    (Address::Unix(address), None) => sendmsg_addr(socket, address, &slices, control, flags),
                }
            })
        };
        if sent == Err(rustix::io::Errno::AGAIN) {
            self.poller.sent(fd, false);
        }
        let sent = sent?;
        mem.write_u32(datalen, u32::try_from(sent).map_err(|_| Errno::Overflow)?)
    }
}
