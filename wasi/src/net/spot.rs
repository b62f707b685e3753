//! Where a granted `AF_UNIX` socket is. In: the path in a grant, when it is given; later, what is there. Out: an address that leads
//! to the socket itself. Invariant: links that were put in the way after the grant was given are not followed, and only a socket is
//! connected to: what a guest may change on the disk does not change what it may talk to.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::net::SocketAddrUnix;

use crate::forbidden::id;
use crate::{Errno, sys};

const NAME_A_DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A name in a directory.
#[derive(Debug)]
pub(crate) struct Spot {
    /// The last directory of the path that was there.
    dir: OwnedFd,
    /// Directories that were not there yet, and the name.
    rest: PathBuf,
}

/// An address to use while it is held.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) address: SocketAddrUnix,
    pub(crate) _open: Option<OwnedFd>,
}

impl Spot {
    /// Looks for the directory of a path.
    pub(crate) fn find(path: &[u8]) -> Option<Spot> {
        let path = Path::new(OsStr::from_bytes(path));
        path.file_name()?;
        for above in path.ancestors().skip(1) {
            let named = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            if let Ok(dir) = openat(CWD, named, NAME_A_DIRECTORY, Mode::empty()) {
                let rest = path.strip_prefix(above).ok()?;
                let plain = rest.components().all(|part| matches!(part, std::path::Component::Normal(_)));
                return plain.then(|| Spot { dir, rest: rest.to_path_buf() });
            }
        }
        None
    }

    /// The directory that the name is in now; no link leads there.
    fn parent(&self) -> Result<OwnedFd, Errno> {
        let mut dir = self.dir.try_clone().map_err(Errno::from)?;
        for name in self.rest.parent().into_iter().flat_map(Path::iter) {
            dir = openat(&dir, name, NAME_A_DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(dir)
    }

    fn name(&self) -> &OsStr {
        self.rest.file_name().unwrap_or_default()
    }

    /// An address to bind to: the name itself, which the host does not follow.
    pub(crate) fn to_bind(&self) -> Result<Reached, Errno> {
        let dir = self.parent()?;
        let path = [sys::path_of(dir.as_fd()).as_bytes(), b"/", self.name().as_bytes()].concat();
        Ok(Reached { address: SocketAddrUnix::new(path)?, _open: Some(dir) })
    }

    /// An address to connect to: the socket that has the name.
    pub(crate) fn to_connect(&self) -> Result<Reached, Errno> {
        let socket =
            openat(&self.parent()?, self.name(), OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        match FileType::from_raw_mode(fstat(&socket)?.st_mode) {
            FileType::Socket => {
                let address = SocketAddrUnix::new(sys::path_of(socket.as_fd()).as_bytes())?;
                Ok(Reached { address, _open: Some(socket) })
            }
            FileType::Symlink => Err(Errno::Acces),
            _ => Err(Errno::ConnRefused),
        }
    }

    /// Whether it is that name in that directory.
    pub(crate) fn is(&self, dir: BorrowedFd<'_>, name: &str) -> bool {
        let same = |own: OwnedFd| Ok(id(&fstat(&own)?) == id(&statat(dir, ".", AtFlags::empty())?));
        self.name() == name && self.parent().and_then(same).unwrap_or(false)
    }
}
