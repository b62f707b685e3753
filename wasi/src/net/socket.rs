//! Opening, binding, listening, connecting, and asking where a socket is: `sock_open`, `sock_bind`, `sock_listen`,
//! `sock_accept` without flags, `sock_connect`, `sock_getlocaladdr`, `sock_getpeeraddr`. In: addresses in guest memory;
//! out: host sockets. Invariant: a socket is non-blocking on the host only while it listens, or for the moment in which
//! a non-blocking guest connects it (see [`Object`]).

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::Errno as Host;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketFlags, SocketType, bind, connect, getpeername, getsockname, listen,
    socket_with, sockopt,
};

use crate::descriptor::{Descriptor, Object};
use crate::memory::GuestMemory;
use crate::net::Version;
use crate::net::address::{Address, Buffer, Family, unspecified};
use crate::net::grant::Network;
use crate::types::{FileType, fdflag};
use crate::{Errno, WasiCtx, sys};

/// How many connections may wait to be accepted at least. The number is a hint, and the one that guests' libraries have
/// is passed within milliseconds when many clients come at once, whose next try is a second later.
const MIN_BACKLOG: i32 = 1024;

/// Connects a socket as the guest's flag says: waiting, or `INPROGRESS`.
fn connect_as(network: &Network, socket: &OwnedFd, address: &Address, nonblocking: bool) -> Result<(), Errno> {
    let reached = match address {
        Address::Unix(address) => Some(network.reach(address, false)?),
        Address::Inet(_) => None,
    };
    let call = || match (address, &reached) {
        (Address::Inet(address), _) => connect(socket, address),
        (Address::Unix(_), Some(reached)) => connect(socket, &reached.address),
        (Address::Unix(address), None) => connect(socket, address),
    };
    if nonblocking {
        rustix::io::ioctl_fionbio(socket, true)?;
        let outcome = call();
        rustix::io::ioctl_fionbio(socket, false)?;
        return Ok(outcome?);
    }
    match call() {
        // It goes on without us; what became of it is the socket's error.
        Err(Host::INTR | Host::INPROGRESS) => {
            sys::wait(socket.as_fd(), PollFlags::OUT)?;
            Ok(sockopt::socket_error(socket)??)
        }
        outcome => Ok(outcome?),
    }
}

/// Makes a socket that listens one that does not block on the host.
fn into_listener(descriptor: &mut Descriptor) -> Result<(), Errno> {
    if let Object::Socket(fd) = &descriptor.object {
        rustix::io::ioctl_fionbio(fd, true)?;
    }
    descriptor.object = match std::mem::replace(&mut descriptor.object, Object::Null) {
        Object::Socket(fd) => Object::Listener(fd),
        object => object,
    };
    Ok(())
}

/// Where a socket is bound, as the guest knows it.
fn local(descriptor: &Descriptor) -> Result<SocketAddrAny, Errno> {
    let socket = descriptor.socket()?;
    match &descriptor.bound {
        Some(bound) => Ok(bound.clone().into()),
        None => Ok(getsockname(socket)?),
    }
}

/// What a socket is connected to, or was when it was accepted.
fn peer(descriptor: &Descriptor) -> Result<SocketAddrAny, Errno> {
    match (getpeername(descriptor.socket()?), descriptor.peer) {
        (Ok(Some(peer)), _) => Ok(peer),
        (_, Some(peer)) => Ok(peer.into()),
        (outcome, None) => outcome?.ok_or(Errno::NotConn),
    }
}

impl WasiCtx {
    /// Opens a socket; families and types have the extension's numbers.
    pub fn sock_open(&mut self, mem: &mut GuestMemory<'_>, family: u32, kind: u32, opened: u32) -> Result<(), Errno> {
        mem.aligned(opened, 4)?;
        mem.check(opened, 4)?;
        let family = Family::new(family)?;
        let (kind, filetype) = match kind {
            1 => (SocketType::DGRAM, FileType::SocketDgram),
            2 => (SocketType::STREAM, FileType::SocketStream),
            _ => return Err(Errno::Inval),
        };
        let family = match family {
            Family::Unix if !self.network.may_open_unix() => return Err(Errno::NoSys),
            Family::Unix => AddressFamily::UNIX,
            _ if !self.network.may_open() => return Err(Errno::Acces),
            Family::Inet4 => AddressFamily::INET,
            Family::Inet6 => AddressFamily::INET6,
        };
        self.table.check_room()?;
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        let mut descriptor = Descriptor::opened_socket(socket, filetype);
        descriptor.hears_granted =
            filetype == FileType::SocketDgram && family != AddressFamily::UNIX && !self.network.all();
        let fd = self.table.insert(descriptor)?;
        mem.write_u32(opened, fd)
    }

    /// Binds a socket to an address.
    pub fn sock_bind(&mut self, mem: &mut GuestMemory<'_>, fd: u32, addr: u32, port: u32) -> Result<(), Errno> {
        self.bind(mem, fd, addr, port, Version::One)
    }

    /// Binds a socket to an address, which may be a storage.
    pub fn sock_bind_v2(&mut self, mem: &mut GuestMemory<'_>, fd: u32, addr: u32, port: u32) -> Result<(), Errno> {
        self.bind(mem, fd, addr, port, Version::Two)
    }

    fn bind(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        addr: u32,
        port: u32,
        version: Version,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get_mut(fd)?;
        let socket = descriptor.socket()?;
        let address = Buffer::at(mem, addr)?.read(mem, port, version)?;
        if !self.network.may_bind(&address) {
            return Err(Errno::Acces);
        }
        match address {
            Address::Inet(address) => {
                bind(socket, &address)?;
                descriptor.hears_granted = false;
            }
            Address::Unix(address) => {
                bind(socket, &self.network.reach(&address, true)?.address)?;
                descriptor.bound = Some(address);
            }
        }
        Ok(())
    }

    /// Lets a socket listen. One that was not bound is bound by the host, which needs a grant as well.
    pub fn sock_listen(&mut self, _mem: &mut GuestMemory<'_>, fd: u32, backlog: u32) -> Result<(), Errno> {
        let descriptor = self.table.get_mut(fd)?;
        let socket = descriptor.socket()?;
        if let Ok(local) = SocketAddr::try_from(getsockname(socket)?)
            && local.port() == 0
            && !self.network.may_bind(&Address::Inet(unspecified(local)))
        {
            return Err(Errno::Acces);
        }
        listen(socket, i32::try_from(backlog).unwrap_or(i32::MAX).max(MIN_BACKLOG))?;
        into_listener(descriptor)
    }

    /// Accepts a connection, which blocks.
    pub fn sock_accept_v1(&mut self, mem: &mut GuestMemory<'_>, fd: u32, accepted: u32) -> Result<(), Errno> {
        self.sock_accept(mem, fd, 0, accepted)
    }

    /// Connects a socket.
    pub fn sock_connect(&mut self, mem: &mut GuestMemory<'_>, fd: u32, addr: u32, port: u32) -> Result<(), Errno> {
        self.connect(mem, fd, addr, port, Version::One)
    }

    /// Connects a socket to an address, which may be a storage.
    pub fn sock_connect_v2(&mut self, mem: &mut GuestMemory<'_>, fd: u32, addr: u32, port: u32) -> Result<(), Errno> {
        self.connect(mem, fd, addr, port, Version::Two)
    }

    fn connect(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        addr: u32,
        port: u32,
        version: Version,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let socket = descriptor.socket()?;
        let address = Buffer::at(mem, addr)?.read(mem, port, version)?;
        if !self.network.may_connect(&address) {
            return Err(Errno::Acces);
        }
        if matches!(descriptor.object, Object::Listener(_)) {
            return Err(Errno::IsConn);
        }
        connect_as(&self.network, socket, &address, descriptor.flags & fdflag::NONBLOCK != 0)
    }

    /// Tells where a socket is bound: address, 4 or 6 for its family, port.
    pub fn sock_getlocaladdr(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        addr: u32,
        kind: u32,
        port: u32,
    ) -> Result<(), Errno> {
        self.name(mem, fd, addr, Some(kind), port, local)
    }

    /// Tells where a socket is bound: a storage, and the port.
    pub fn sock_getlocaladdr_v2(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        addr: u32,
        port: u32,
    ) -> Result<(), Errno> {
        self.name(mem, fd, addr, None, port, local)
    }

    /// Tells what a socket is connected to: address, 4 or 6 for its family, port.
    pub fn sock_getpeeraddr(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        addr: u32,
        kind: u32,
        port: u32,
    ) -> Result<(), Errno> {
        self.name(mem, fd, addr, Some(kind), port, peer)
    }

    /// Tells what a socket is connected to: a storage, and the port.
    pub fn sock_getpeeraddr_v2(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        addr: u32,
        port: u32,
    ) -> Result<(), Errno> {
        self.name(mem, fd, addr, None, port, peer)
    }

    /// Answers one of a socket's two addresses. Only the first version, with 4 or 16 bytes, tells the `kind`; only the
    /// second takes a storage.
    fn name(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        addr: u32,
        kind: Option<u32>,
        port: u32,
        ask: impl FnOnce(&Descriptor) -> Result<SocketAddrAny, Errno>,
    ) -> Result<(), Errno> {
        for result in kind.into_iter().chain([port]) {
            mem.aligned(result, 4)?;
            mem.check(result, 4)?;
        }
        let descriptor = self.table.get(fd)?;
        descriptor.socket()?;
        let buffer = Buffer::at(mem, addr)?;
        if kind.is_none() != buffer.is_storage() {
            return Err(Errno::Inval);
        }
        buffer.check_answer(Version::Two)?;
        let address = Address::try_from(ask(descriptor)?)?;
        let number = buffer.write(mem, &address)?;
        if let Some(kind) = kind {
            mem.write_u32(kind, if matches!(address, Address::Inet(SocketAddr::V6(_))) { 6 } else { 4 })?;
        }
        mem.write_u32(port, number)
    }
}
