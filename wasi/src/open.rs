//! `path_open`. In: a directory, a path, wanted rights and flags; out: a new descriptor.
//! Invariant: the new descriptor's rights are among the directory's inheriting ones, and the host's file is open for no
//! more than they need.

use std::os::fd::OwnedFd;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};
use rustix::io::{Errno as HostErrno, retry_on_intr};

use crate::descriptor::{Descriptor, Directory, Object};
use crate::forbidden::check_process;
use crate::memory::GuestMemory;
use crate::path::{Place, check, straighten};
use crate::path_ops::follows;
use crate::types::{fdflag, flags, oflag, right, rights};
use crate::{Errno, WasiCtx};

/// Which rights a caller asked for.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    base: u64,
    inheriting: u64,
}

impl Wanted {
    /// Rights outside of what a path can lead to are left out, as the specification allows.
    fn new(base: u64, inheriting: u64) -> Wanted {
        Wanted { base: base & rights::BY_PATH, inheriting: inheriting & rights::BY_PATH }
    }

    fn read(self) -> bool {
        self.base & right::FD_READ != 0
    }

    fn write(self) -> bool {
        self.base & right::FD_WRITE != 0
    }

    /// Many guests name no right at all, or only the direction, and rely on the rest. Whoever names more gets exactly
    /// what they name.
    fn names_only_direction(self) -> bool {
        self.base & !(right::FD_READ | right::FD_WRITE) == 0 && self.inheriting == 0
    }

    /// The base and inheriting rights of what was opened.
    fn granted(self, directory: &Descriptor, is_dir: bool) -> (u64, u64) {
        let applicable = if is_dir { rights::DIRECTORY } else { rights::FILE };
        let mut base = self.base;
        let mut inheriting = self.inheriting;
        if self.names_only_direction() {
            base |= directory.inheriting & !(right::FD_READ | right::FD_WRITE);
            inheriting = directory.inheriting;
        }
        base &= applicable & directory.inheriting;
        if !self.write() {
            base &= !rights::NEEDS_WRITE;
        }
        (base, if is_dir { inheriting & directory.inheriting } else { 0 })
    }
}

/// The flags for the host's open, but for the access mode.
fn host_flags(oflags: u16, fdflags: u16) -> OFlags {
    const TABLE: [(u16, OFlags); 4] = [
        (oflag::CREAT, OFlags::CREATE),
        (oflag::DIRECTORY, OFlags::DIRECTORY),
        (oflag::EXCL, OFlags::EXCL),
        (oflag::TRUNC, OFlags::TRUNC),
    ];
    const FD_TABLE: [(u16, OFlags); 5] = [
        (fdflag::APPEND, OFlags::APPEND),
        (fdflag::DSYNC, OFlags::DSYNC),
        (fdflag::NONBLOCK, OFlags::NONBLOCK),
        (fdflag::RSYNC, OFlags::RSYNC),
        (fdflag::SYNC, OFlags::SYNC),
    ];
    let pick = |set: u16, table: &[(u16, OFlags)]| {
        table.iter().filter(|(bit, _)| set & bit != 0).fold(OFlags::empty(), |all, (_, host)| all | *host)
    };
    pick(oflags, &TABLE) | pick(fdflags, &FD_TABLE) | OFlags::CLOEXEC | OFlags::NOCTTY
}

/// Opens on the host. Links are followed by cap-std only, which keeps them inside.
fn open_host(
    dir: &Directory,
    path: &str,
    follow: bool,
    read: bool,
    write: bool,
    host: OFlags,
) -> Result<OwnedFd, Errno> {
    let access = match (read, write) {
        (_, false) => OFlags::RDONLY,
        (false, true) => OFlags::WRONLY,
        (true, true) => OFlags::RDWR,
    };
    let mode = Mode::from_raw_mode(0o666);
    // A name right here need not be looked at by cap-std unless it turns out to be a link that is to be followed.
    if !follow || !path.contains('/') {
        let place = Place::find(dir, path)?;
        if let Some(name) = place.plain()? {
            match retry_on_intr(|| openat(place.dir(), name, access | host | OFlags::NOFOLLOW, mode)) {
                Err(HostErrno::LOOP | HostErrno::NOTDIR) if follow => {}
                opened => return Ok(opened?),
            }
        }
    }
    check(path)?;
    if host.contains(OFlags::DIRECTORY) {
        // cap-std names the directory, for which it follows links on every kernel; then it is opened for real.
        let named = dir.open_dir(path)?;
        return Ok(retry_on_intr(|| openat(&named, ".", access | host, mode))?);
    }
    let mut options = OpenOptions::new();
    options.read(read || !write).write(write).custom_flags(host.bits() as i32).mode(mode.bits());
    Ok(dir.dir.open_with(path, &options)?.into_std().into())
}

impl WasiCtx {
    /// Opens or makes a file, or opens a directory.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn path_open(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        path_len: u32,
        oflags: u32,
        base: u64,
        inheriting: u64,
        fdflags: u32,
        opened_fd: u32,
    ) -> Result<(), Errno> {
        self.table.check_room()?;
        mem.check(opened_fd, 4)?;
        let path = mem.str(path, path_len)?;
        let opened = self.open(fd, follows(lookup)?, path, oflags, Wanted::new(base, inheriting), fdflags)?;
        let opened = self.table.insert(opened)?;
        mem.write_u32(opened_fd, opened)
    }

    fn open(
        &self,
        fd: u32,
        follow: bool,
        path: &str,
        oflags: u32,
        wanted: Wanted,
        fdflags: u32,
    ) -> Result<Descriptor, Errno> {
        let oflags: u16 = flags(oflags, oflag::ALL)?;
        let fdflags: u16 = flags(fdflags, fdflag::ALL)?;
        let directory = self.table.get(fd)?;
        let dir = directory.directory()?;
        let creates = oflags & oflag::CREAT != 0;
        let truncates = oflags & oflag::TRUNC != 0;
        if directory.read_only && (wanted.write() || creates || truncates) {
            return Err(Errno::Perm);
        }
        let mut needed = right::PATH_OPEN;
        if creates {
            needed |= right::PATH_CREATE_FILE;
        }
        if truncates {
            needed |= right::PATH_FILESTAT_SET_SIZE;
        }
        directory.require(needed)?;
        if (wanted.base | wanted.inheriting) & !directory.inheriting != 0 {
            return Err(Errno::NotCapable);
        }
        if creates && oflags & oflag::DIRECTORY != 0 {
            return Err(Errno::Inval);
        }

        // To truncate, the host wants a file open for writing; the guest's rights do not grow by that.
        let host_write = wanted.write() || truncates;
        let (path, follow) = straighten(dir, path, follow)?;
        let file = open_host(dir, &path, follow, wanted.read(), host_write, host_flags(oflags, fdflags))?;
        let stat = fstat(&file)?;
        check_process(&file, &stat, dir.plain, host_write)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_dir = kind == FileType::Directory;
        if let (true, Some(forbidden)) = (is_dir, &dir.forbidden) {
            forbidden.check_dir(&file)?;
        }
        if kind == FileType::Fifo && host_write {
            rawsock::survive_broken_pipes();
        }
        let object = if is_dir {
            Object::Dir(Directory::new(Dir::from_std_file(file.into()), None, dir.forbidden.clone(), &stat)?)
        } else {
            Object::File(file)
        };
        let (mut base, inheriting) = wanted.granted(directory, is_dir);
        let no_position = match (kind, &object) {
            (FileType::CharacterDevice, Object::File(file)) => rustix::termios::isatty(file),
            (kind, _) => kind == FileType::Fifo,
        };
        if no_position {
            base &= rights::STREAM;
        }
        let read_only = directory.read_only;
        Ok(Descriptor { flags: fdflags, base, inheriting, read_only, ..Descriptor::new(object, kind.into()) })
    }
}
