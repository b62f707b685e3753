//! What all sockets can, those that the embedder handed in too: `sock_accept`, `sock_recv`, `sock_send`,
//! `sock_shutdown`. In: guest buffers; out: counts and new descriptors.
//! Invariant: whether a call blocks is decided by the guest's flag alone (see [`Object`] for how).

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::net::sockopt::{Timeout, set_tcp_nodelay, socket_timeout, socket_type as host_socket_type};
use rustix::net::{RecvFlags, Shutdown, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with, shutdown};

use crate::descriptor::{Descriptor, Object};
use crate::memory::GuestMemory;
use crate::net::datagram;
use crate::types::{FileType, fdflag, flags, riflag, right, rights, roflag, sdflag};
use crate::{Errno, WasiCtx, data, iovec, sys};

/// The interface's number for a kind of socket.
pub(crate) fn socket_type(fd: &OwnedFd) -> Result<FileType, Errno> {
    Ok(match host_socket_type(fd)? {
        SocketType::STREAM => FileType::SocketStream,
        SocketType::DGRAM => FileType::SocketDgram,
        _ => FileType::Unknown,
    })
}

/// Has TCP send what is there instead of waiting for more. Few guests can ask for that: neither preview 1 nor the
/// libraries of the socket extension have the option, and those libraries write heads and bodies one after the other. A
/// listener hands it down to its connections.
fn send_at_once(fd: &OwnedFd) {
    // Sockets of other kinds have no such option, and need none.
    let _ = set_tcp_nodelay(fd, true);
}

impl Descriptor {
    /// The descriptor of a listening socket, which is made non-blocking on the host.
    pub(crate) fn listener(fd: OwnedFd) -> Result<Descriptor, Errno> {
        let filetype = socket_type(&fd)?;
        rustix::io::ioctl_fionbio(&fd, true)?;
        send_at_once(&fd);
        let mut descriptor = Descriptor::new(Object::Listener(fd), filetype);
        descriptor.undecided = true;
        Ok(descriptor)
    }

    /// The descriptor of a connected socket.
    pub(crate) fn socket_from_host(fd: OwnedFd) -> Result<Descriptor, Errno> {
        let filetype = socket_type(&fd)?;
        Ok(Descriptor::new(Object::Socket(fd), filetype))
    }

    /// The descriptor of a socket that the guest opened: connected one day, or listening.
    pub(crate) fn opened_socket(fd: OwnedFd, filetype: FileType) -> Descriptor {
        send_at_once(&fd);
        let mut descriptor = Descriptor::new(Object::Socket(fd), filetype);
        (descriptor.base, descriptor.inheriting) = (rights::OPENED_SOCKET, rights::SOCKET);
        descriptor
    }

    /// The host's socket.
    pub(crate) fn socket(&self) -> Result<&OwnedFd, Errno> {
        match &self.object {
            Object::Socket(fd) | Object::Listener(fd) => Ok(fd),
            _ => Err(Errno::NotSock),
        }
    }
}

/// The host's flags for a receiving call.
pub(crate) fn recv_flags(ri_flags: u32, nonblocking: bool) -> Result<RecvFlags, Errno> {
    let ri_flags: u16 = flags(ri_flags, riflag::ALL)?;
    let mut host = RecvFlags::empty();
    host.set(RecvFlags::PEEK, ri_flags & riflag::PEEK != 0);
    host.set(RecvFlags::WAITALL, ri_flags & riflag::WAITALL != 0);
    host.set(RecvFlags::DONTWAIT, nonblocking);
    Ok(host)
}

/// Accepts a connection. Listeners do not block on the host, so that the timeout for receiving is kept here.
fn accept(listener: &OwnedFd, nonblocking: bool) -> Result<(OwnedFd, Option<SocketAddrAny>), Errno> {
    let mut timeout: Option<Option<Duration>> = None;
    loop {
        match acceptfrom_with(listener, SocketFlags::CLOEXEC) {
            // The connection was given up while it waited; the next one is meant.
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => {}
            Err(rustix::io::Errno::AGAIN) if !nonblocking => {
                let timeout = *timeout.get_or_insert(socket_timeout(listener, Timeout::Recv)?);
                if !sys::wait_for(listener.as_fd(), PollFlags::IN, timeout)? {
                    return Err(Errno::Again);
                }
            }
            result => return Ok(result?),
        }
    }
}

impl WasiCtx {
    /// Accepts a connection.
    pub fn sock_accept(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        fdflags: u32,
        accepted_fd: u32,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let listener = descriptor.socket()?;
        descriptor.require(right::SOCK_ACCEPT)?;
        let fdflags: u16 = flags(fdflags, fdflag::NONBLOCK)?;
        self.table.check_room()?;
        mem.check(accepted_fd, 4)?;
        let (connection, peer) = accept(listener, descriptor.nonblocking())?;
        let filetype = descriptor.filetype;
        let bound = descriptor.bound.clone();
        let mut accepted = Descriptor::new(Object::Socket(connection), filetype);
        accepted.base &= descriptor.inheriting;
        accepted.flags = fdflags;
        accepted.bound = bound;
        accepted.peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        let accepted = self.table.insert(accepted)?;
        // Nothing was sent yet.
        self.poller.sent(accepted, true);
        mem.write_u32(accepted_fd, accepted)
    }

    /// Receives from a connection.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn sock_recv(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        ri_flags: u32,
        datalen: u32,
        ro_flags: u32,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let socket = descriptor.socket()?.as_fd();
        descriptor.require(right::FD_READ)?;
        let nonblocking = descriptor.nonblocking();
        let host_flags = recv_flags(ri_flags, nonblocking)?;
        let ranges = iovec::socket_ranges(mem, iovs, iovs_len)?;
        mem.check(datalen, 4)?;
        mem.check(ro_flags, 2)?;
        let mut truncated = false;
        let stream = descriptor.filetype == FileType::SocketStream;
        if ranges.is_empty() && stream {
            // Nothing is asked for; the host would wait for data all the same.
            mem.write_u32(datalen, 0)?;
            return mem.write_u16(ro_flags, 0);
        }
        if descriptor.hears_granted {
            datagram::skip_strangers(&mut self.network, socket, nonblocking)?;
        }
        let got = iovec::fill(mem, &ranges, true, |slices, _| {
            let received;
            (received, truncated) = sys::until_done(socket, PollFlags::IN, nonblocking, || {
                data::receive(socket, slices, host_flags, stream)
            })?;
            Ok(received)
        })?;
        mem.write_u32(datalen, got)?;
        mem.write_u16(ro_flags, if truncated { roflag::DATA_TRUNCATED } else { 0 })
    }

    /// Sends on a connection. No flags are defined, and guests pass whatever they like.
    pub fn sock_send(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        _si_flags: u32,
        datalen: u32,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let socket = descriptor.socket()?.as_fd();
        descriptor.require(right::FD_WRITE)?;
        let ranges = iovec::socket_ranges(mem, iovs, iovs_len)?;
        mem.check(datalen, 4)?;
        let sent = data::send(socket, &iovec::slices(mem, &ranges), descriptor.nonblocking());
        self.poller.sent(fd, sent.is_ok_and(|sent| sent == iovec::total(&ranges)));
        let sent = sent?;
        mem.write_u32(datalen, u32::try_from(sent).map_err(|_| Errno::Overflow)?)
    }

    /// Shuts one or both directions of a connection; 0 is the number that C libraries elsewhere have for receiving.
    pub fn sock_shutdown(&mut self, _mem: &mut GuestMemory<'_>, fd: u32, how: u32) -> Result<(), Errno> {
        const BOTH: u8 = sdflag::RD | sdflag::WR;
        let descriptor = self.table.get(fd)?;
        let socket = descriptor.socket()?;
        descriptor.require(right::SOCK_SHUTDOWN)?;
        let how = match flags(how, sdflag::ALL)? {
            0 | sdflag::RD => Shutdown::Read,
            sdflag::WR => Shutdown::Write,
            BOTH => Shutdown::Both,
            _ => return Err(Errno::Inval),
        };
        Ok(shutdown(socket, how)?)
    }
}
