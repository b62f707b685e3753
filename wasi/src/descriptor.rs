//! One descriptor of a guest: what is behind it, and what the guest may do with it.
//! In: host descriptors and in-memory streams; out: checked access to them.
//! Invariant: rights only ever shrink; `read_only` is the embedder's word and holds whatever the rights say.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use cap_std::fs::Dir;
use rustix::fs::Stat;
use rustix::net::SocketAddrUnix;

use crate::forbidden::Forbidden;
use crate::net::datagram::Heard;
use crate::readdir::Cookies;
use crate::types::{FileType, fdflag, right, rights};
use crate::{Errno, sys};

/// What is behind a descriptor.
#[derive(Debug)]
pub(crate) enum Object {
    /// A regular file, a device with a position, or whatever else was opened by path and is no directory.
    File(OwnedFd),
    /// A directory.
    Dir(Directory),
    /// A terminal, pipe or the like among the host's standard streams.
    Stream(OwnedFd),
    /// A connected socket. Blocking on the host; calls of a non-blocking guest say so one by one.
    Socket(OwnedFd),
    /// A listening socket. Never blocking on the host, so that a connection withdrawn between poll and accept cannot
    /// block a guest that asked not to be; waiting is done by poll.
    Listener(OwnedFd),
    /// Bytes given by the embedder, to be read.
    Input(Arc<[u8]>, usize),
    /// A buffer of the embedder, written to.
    Output(Arc<Mutex<Vec<u8>>>),
    /// Empty to read, bottomless to write.
    Null,
}

/// A directory, and the name under which it was handed in if it was.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) dir: Dir,
    pub(crate) preopen: Option<String>,
    /// What in it is forbidden, if anything may be.
    pub(crate) forbidden: Option<Arc<Forbidden>>,
    /// Its device, unless that shows processes.
    pub(crate) plain: Option<u64>,
    pub(crate) cookies: Cookies,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl Directory {
    /// A directory; `stat` is its own.
    pub(crate) fn new(
        dir: Dir,
        preopen: Option<String>,
        forbidden: Option<Arc<Forbidden>>,
        stat: &Stat,
    ) -> Result<Directory, Errno> {
        // What is on a disk is no device of the system's making.
        let made = rustix::fs::major(stat.st_dev) == 0;
        let plain = if made && sys::shows_processes(dir.as_fd())? { None } else { Some(stat.st_dev) };
        Ok(Directory { dir, preopen, forbidden, plain, cookies: Cookies::default() })
    }

    /// Opens a directory below it, which is not forbidden.
    pub(crate) fn open_dir(&self, path: &str) -> Result<Dir, Errno> {
        let dir = self.dir.open_dir(path)?;
        if let Some(forbidden) = &self.forbidden {
            forbidden.check_dir(&dir)?;
        }
        Ok(dir)
    }
}

/// An entry of the descriptor table.
#[derive(Debug)]
pub(crate) struct Descriptor {
    pub(crate) object: Object,
    pub(crate) filetype: FileType,
    /// The `fdflags` as the guest set them.
    pub(crate) flags: u16,
    pub(crate) base: u64,
    pub(crate) inheriting: u64,
    /// Whether the embedder forbade changes below the directory this came from.
    pub(crate) read_only: bool,
    /// Whether other processes share the open file, so that its flags must be left as they are.
    pub(crate) shared: bool,
    /// Who connected, for a connection that was accepted. Guests ask after they accept, when the peer may be gone already
    /// and the host knows no more; servers take that for a failure of the listener.
    pub(crate) peer: Option<SocketAddr>,
    /// Where the latest datagrams came from.
    pub(crate) heard: Heard,
    /// Whether it may only hear whom it may send to: a socket for datagrams that no grant has let the guest bind.
    pub(crate) hears_granted: bool,
    /// The `AF_UNIX` address that the guest has bound it to; the host knows it by another path.
    pub(crate) bound: Option<SocketAddrUnix>,
    /// A non-blocking stream that had less to read than there was room for. Event loops read on until they are told to come
    /// again, and are told so, once, without the host: what has come meanwhile they find with the next poll.
    pub(crate) drained: bool,
    /// A listener that was handed in, before the guest said whether it shall block. It does; but guests that ask find it
    /// non-blocking, and it is from then on, since a language runtime with an event loop of its own (Go's) asks, and
    /// keeps out of that loop what would block.
    pub(crate) undecided: bool,
}

impl Descriptor {
    /// A descriptor with the rights that go with its kind of object.
    pub(crate) fn new(object: Object, filetype: FileType) -> Descriptor {
        let (base, inheriting) = match &object {
            Object::File(_) => (rights::FILE, 0),
            Object::Dir(_) => (rights::DIRECTORY, rights::BY_PATH),
            Object::Socket(_) => (rights::SOCKET, 0),
            Object::Listener(_) => (rights::LISTENER, rights::SOCKET),
            Object::Stream(_) | Object::Null => (rights::STREAM, 0),
            Object::Input(..) => (rights::STREAM & !right::FD_WRITE, 0),
            Object::Output(_) => (rights::STREAM & !right::FD_READ, 0),
        };
        Descriptor {
            object,
            filetype,
            flags: 0,
            base,
            inheriting,
            read_only: false,
            shared: false,
            peer: None,
            heard: Heard::default(),
            hears_granted: false,
            bound: None,
            drained: false,
            undecided: false,
        }
    }

    /// A descriptor with nothing behind it.
    pub(crate) fn null() -> Descriptor {
        Descriptor::new(Object::Null, FileType::Unknown)
    }

    /// Fails with `NOTCAPABLE` unless the guest has all of `needed`.
    #[inline]
    pub(crate) fn require(&self, needed: u64) -> Result<(), Errno> {
        if self.base & needed == needed { Ok(()) } else { Err(Errno::NotCapable) }
    }

    /// As [`require`](Self::require), for operations that change something, which a read-only tree refuses first.
    pub(crate) fn require_change(&self, needed: u64) -> Result<(), Errno> {
        if self.read_only { Err(Errno::Perm) } else { self.require(needed) }
    }

    /// Fails with `BADF`, as POSIX does, unless the descriptor is open in this direction.
    #[inline]
    pub(crate) fn require_direction(&self, needed: u64) -> Result<(), Errno> {
        if self.base & needed == needed { Ok(()) } else { Err(Errno::Badf) }
    }

    #[inline]
    pub(crate) fn nonblocking(&self) -> bool {
        self.flags & fdflag::NONBLOCK != 0
    }

    /// The flags, for a guest that asks; see [`undecided`](Self::undecided).
    pub(crate) fn tell_flags(&mut self) -> u16 {
        if std::mem::take(&mut self.undecided) {
            self.flags |= fdflag::NONBLOCK;
        }
        self.flags
    }

    /// Whether reading may wait for somebody else to write.
    pub(crate) fn waits(&self) -> bool {
        match self.object {
            Object::File(_) => self.filetype != FileType::RegularFile && self.filetype != FileType::BlockDevice,
            Object::Stream(_) | Object::Socket(_) | Object::Listener(_) => true,
            Object::Dir(_) | Object::Input(..) | Object::Output(_) | Object::Null => false,
        }
    }

    /// The host's descriptor, where there is one.
    pub(crate) fn host(&self) -> Option<BorrowedFd<'_>> {
        match &self.object {
            Object::File(fd) | Object::Stream(fd) | Object::Socket(fd) | Object::Listener(fd) => Some(fd.as_fd()),
            Object::Dir(directory) => Some(directory.dir.as_fd()),
            Object::Input(..) | Object::Output(_) | Object::Null => None,
        }
    }

    /// The file, for operations at a position: directories have none (`BADF`), streams and sockets cannot (`SPIPE`).
    pub(crate) fn positioned(&self) -> Result<BorrowedFd<'_>, Errno> {
        match &self.object {
            Object::File(fd) => Ok(fd.as_fd()),
            Object::Dir(_) => Err(Errno::Badf),
            _ => Err(Errno::Spipe),
        }
    }

    /// The file, for operations on its extent: whatever has none refuses with `other`.
    pub(crate) fn sized(&self, other: Errno) -> Result<BorrowedFd<'_>, Errno> {
        match &self.object {
            Object::File(fd) => Ok(fd.as_fd()),
            Object::Dir(_) => Err(Errno::Badf),
            _ => Err(other),
        }
    }

    pub(crate) fn directory(&self) -> Result<&Directory, Errno> {
        match &self.object {
            Object::Dir(directory) => Ok(directory),
            _ => Err(Errno::NotDir),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_rights_have_their_errno() {
        let mut descriptor = Descriptor::null();
        assert_eq!(descriptor.require(right::FD_READ), Ok(()));
        assert_eq!(descriptor.require(right::FD_SEEK), Err(Errno::NotCapable));
        descriptor.base = 0;
        assert_eq!(descriptor.require_direction(right::FD_READ), Err(Errno::Badf));
        descriptor.read_only = true;
        assert_eq!(descriptor.require_change(right::FD_READ), Err(Errno::Perm));
        assert_eq!(descriptor.positioned().err(), Some(Errno::Spipe));
        assert_eq!(descriptor.directory().err(), Some(Errno::NotDir));
    }
}
