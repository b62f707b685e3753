//! Sockets that the embedder handed in, and connections accepted on them: `sock_accept`, `sock_recv`, `sock_send`,
//! `sock_shutdown`. In: guest buffers; out: counts and new descriptors.
//! Invariant: whether a call blocks is decided by the guest's flag alone (see [`Object`] for how).

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::net::sockopt::socket_type as host_socket_type;
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, ReturnFlags, Shutdown, SocketFlags, SocketType, accept_with, recvmsg, shutdown,
};

use crate::descriptor::{Descriptor, Object};
use crate::memory::GuestMemory;
use crate::types::{FileType, fdflag, flags, riflag, right, roflag, sdflag};
use crate::{Errno, WasiCtx, data, iovec, sys};

/// The interface's number for a kind of socket.
pub(crate) fn socket_type(fd: &OwnedFd) -> Result<FileType, Errno> {
    Ok(match host_socket_type(fd)? {
        SocketType::STREAM => FileType::SocketStream,
        SocketType::DGRAM => FileType::SocketDgram,
        _ => FileType::Unknown,
    })
}

impl Descriptor {
    /// The descriptor of a listening socket, which is made non-blocking on the host.
    pub(crate) fn listener(fd: OwnedFd) -> Result<Descriptor, Errno> {
        let filetype = socket_type(&fd)?;
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Descriptor::new(Object::Listener(fd), filetype))
    }

    /// The descriptor of a connected socket.
    pub(crate) fn socket_from_host(fd: OwnedFd) -> Result<Descriptor, Errno> {
        let filetype = socket_type(&fd)?;
        Ok(Descriptor::new(Object::Socket(fd), filetype))
    }

    /// The host's socket, for a call that works on connected ones.
    fn socket(&self) -> Result<&OwnedFd, Errno> {
        match &self.object {
            Object::Socket(fd) | Object::Listener(fd) => Ok(fd),
            _ => Err(Errno::NotSock),
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
        let connection = sys::until_done(listener.as_fd(), PollFlags::IN, descriptor.nonblocking(), || {
            accept_with(listener, SocketFlags::CLOEXEC)
        })?;
        let filetype = descriptor.filetype;
        let mut accepted = Descriptor::new(Object::Socket(connection), filetype);
        accepted.base &= descriptor.inheriting;
        accepted.flags = fdflags;
        let accepted = self.table.insert(accepted)?;
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
        let ri_flags: u16 = flags(ri_flags, riflag::ALL)?;
        let nonblocking = descriptor.nonblocking();
        let mut host_flags = RecvFlags::empty();
        host_flags.set(RecvFlags::PEEK, ri_flags & riflag::PEEK != 0);
        host_flags.set(RecvFlags::WAITALL, ri_flags & riflag::WAITALL != 0);
        host_flags.set(RecvFlags::DONTWAIT, nonblocking);
        let ranges = iovec::ranges(mem, iovs, iovs_len)?;
        mem.check(datalen, 4)?;
        mem.check(ro_flags, 2)?;
        let mut truncated = false;
        if ranges.is_empty() && descriptor.filetype == FileType::SocketStream {
            // Nothing is asked for; the host would wait for data all the same.
            mem.write_u32(datalen, 0)?;
            return mem.write_u16(ro_flags, 0);
        }
        let got = iovec::fill(mem, &ranges, true, |slices, _| {
            let received = sys::until_done(socket, PollFlags::IN, nonblocking, || {
                recvmsg(socket, slices, &mut RecvAncillaryBuffer::default(), host_flags)
            })?;
            truncated = received.flags.contains(ReturnFlags::TRUNC);
            Ok(received.bytes)
        })?;
        mem.write_u32(datalen, got)?;
        mem.write_u16(ro_flags, if truncated { roflag::DATA_TRUNCATED } else { 0 })
    }

    /// Sends on a connection. No flags are defined.
    pub fn sock_send(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        si_flags: u32,
        datalen: u32,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let socket = descriptor.socket()?.as_fd();
        descriptor.require(right::FD_WRITE)?;
        if si_flags != 0 {
            return Err(Errno::Inval);
        }
        let ranges = iovec::ranges(mem, iovs, iovs_len)?;
        mem.check(datalen, 4)?;
        let sent = data::send(socket, &iovec::slices(mem, &ranges), descriptor.nonblocking())?;
        mem.write_u32(datalen, u32::try_from(sent).map_err(|_| Errno::Overflow)?)
    }

    /// Shuts one or both directions of a connection.
    pub fn sock_shutdown(&mut self, _mem: &mut GuestMemory<'_>, fd: u32, how: u32) -> Result<(), Errno> {
        const BOTH: u8 = sdflag::RD | sdflag::WR;
        let descriptor = self.table.get(fd)?;
        let socket = descriptor.socket()?;
        descriptor.require(right::SOCK_SHUTDOWN)?;
        let how = match flags(how, sdflag::ALL)? {
            sdflag::RD => Shutdown::Read,
            sdflag::WR => Shutdown::Write,
            BOTH => Shutdown::Both,
            _ => return Err(Errno::Inval),
        };
        Ok(shutdown(socket, how)?)
    }
}
