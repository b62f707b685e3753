//! Descriptors and their attributes: `fd_close`, `fd_renumber`, `fd_fdstat_*`, `fd_filestat_*`, `fd_prestat_*`.
//! In: descriptor numbers; out: structures in guest memory. Invariant: rights can be dropped, never regained.

use rustix::fs::{Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, fstat, futimens};

use crate::descriptor::{Descriptor, Object};
use crate::memory::GuestMemory;
use crate::types::{FileType, Filestat, Snapshot, flags, fstflag, right, timestamp, write_fdstat};
use crate::{Errno, WasiCtx};

impl Filestat {
    #[allow(clippy::unnecessary_cast, reason = "the fields' types differ between architectures")]
    pub(crate) fn from_host(stat: &Stat) -> Filestat {
        Filestat {
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            filetype: rustix::fs::FileType::from_raw_mode(stat.st_mode).into(),
            nlink: stat.st_nlink as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            atim: timestamp(stat.st_atime as i64, stat.st_atime_nsec as i64),
            mtim: timestamp(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctim: timestamp(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}

/// The times to set, from the arguments of `fd_filestat_set_times` and `path_filestat_set_times`.
pub(crate) fn timestamps(atim: u64, mtim: u64, fst_flags: u32) -> Result<Timestamps, Errno> {
    let bits: u16 = flags(fst_flags, fstflag::ALL)?;
    let choose = |given: u16, now: u16, nanoseconds: u64| {
        let special = |tv_nsec| Ok(Timespec { tv_sec: 0, tv_nsec });
        match (bits & given != 0, bits & now != 0) {
            (true, true) => Err(Errno::Inval),
            (false, true) => special(UTIME_NOW),
            (false, false) => special(UTIME_OMIT),
            (true, false) => Ok(Timespec {
                // Both fit: the quotient is below 2^35, the remainder below 2^30.
                tv_sec: (nanoseconds / 1_000_000_000) as i64,
                tv_nsec: (nanoseconds % 1_000_000_000) as _,
            }),
        }
    };
    Ok(Timestamps {
        last_access: choose(fstflag::ATIM, fstflag::ATIM_NOW, atim)?,
        last_modification: choose(fstflag::MTIM, fstflag::MTIM_NOW, mtim)?,
    })
}

impl Descriptor {
    fn filestat(&self) -> Result<Filestat, Errno> {
        match self.host() {
            None => Ok(Filestat::of_type(self.filetype)),
            // A socket's type is known from the socket, not from its inode.
            Some(host) => Ok(Filestat { filetype: self.filetype, ..Filestat::from_host(&fstat(host)?) }),
        }
    }
}

impl WasiCtx {
    /// Closes a descriptor.
    pub fn fd_close(&mut self, _mem: &mut GuestMemory<'_>, fd: u32) -> Result<(), Errno> {
        self.poller.forget(&self.table, fd);
        self.table.remove(fd).map(drop)
    }

    /// Moves a descriptor over another one, which is closed.
    pub fn fd_renumber(&mut self, _mem: &mut GuestMemory<'_>, from: u32, to: u32) -> Result<(), Errno> {
        self.poller.forget(&self.table, from);
        self.poller.forget(&self.table, to);
        self.table.renumber(from, to)
    }

    /// Tells a descriptor's type, flags and rights.
    pub fn fd_fdstat_get(&mut self, mem: &mut GuestMemory<'_>, fd: u32, stat: u32) -> Result<(), Errno> {
        let descriptor = self.table.get_mut(fd)?;
        mem.check(stat, 24)?;
        let flags = descriptor.tell_flags();
        let Descriptor { filetype, base, inheriting, .. } = *descriptor;
        write_fdstat(mem, stat, filetype, flags, base, inheriting)
    }

    /// Drops rights of a descriptor.
    pub fn fd_fdstat_set_rights(
        &mut self,
        _mem: &mut GuestMemory<'_>,
        fd: u32,
        base: u64,
        inheriting: u64,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get_mut(fd)?;
        if base & !descriptor.base != 0 || inheriting & !descriptor.inheriting != 0 {
            return Err(Errno::NotCapable);
        }
        descriptor.base = base;
        descriptor.inheriting = inheriting;
        // Whether it may be waited for is asked again.
        self.poller.forget(&self.table, fd);
        Ok(())
    }

    /// Tells a file's attributes, in the layout of `wasi_snapshot_preview1`.
    pub fn fd_filestat_get(&mut self, mem: &mut GuestMemory<'_>, fd: u32, stat: u32) -> Result<(), Errno> {
        self.filestat(mem, fd, stat, Snapshot::One)
    }

    /// Tells a file's attributes, in the layout of `wasi_unstable`.
    pub fn fd_filestat_get_unstable(&mut self, mem: &mut GuestMemory<'_>, fd: u32, stat: u32) -> Result<(), Errno> {
        self.filestat(mem, fd, stat, Snapshot::Zero)
    }

    fn filestat(&mut self, mem: &mut GuestMemory<'_>, fd: u32, stat: u32, snapshot: Snapshot) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        descriptor.require(right::FD_FILESTAT_GET)?;
        descriptor.filestat()?.write(mem, stat, snapshot)
    }

    /// Sets a file's times.
    pub fn fd_filestat_set_times(
        &mut self,
        _mem: &mut GuestMemory<'_>,
        fd: u32,
        atim: u64,
        mtim: u64,
        fst_flags: u32,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let times = timestamps(atim, mtim, fst_flags)?;
        match (&descriptor.object, descriptor.host()) {
            (Object::File(_) | Object::Dir(_), Some(host)) => {
                descriptor.require_change(right::FD_FILESTAT_SET_TIMES)?;
                Ok(futimens(host, &times)?)
            }
            _ => Err(Errno::Badf),
        }
    }

    /// Tells what a descriptor was handed in as. Sockets answer with a tag of their own, so that a guest looking for
    /// directories (which stops at the first error) skips them.
    pub fn fd_prestat_get(&mut self, mem: &mut GuestMemory<'_>, fd: u32, prestat: u32) -> Result<(), Errno> {
        const TAG_DIR: u8 = 0;
        const TAG_SOCKET: u8 = 1;
        let descriptor = self.table.get(fd)?;
        let (tag, len) = match &descriptor.object {
            Object::Dir(directory) => (TAG_DIR, directory.preopen.as_ref().ok_or(Errno::Badf)?.len()),
            Object::Listener(_) | Object::Socket(_) => (TAG_SOCKET, 0),
            _ => return Err(Errno::Badf),
        };
        let mut bytes = [0u8; 8];
        bytes[0] = tag;
        bytes[4..].copy_from_slice(&u32::try_from(len).map_err(|_| Errno::Overflow)?.to_le_bytes());
        mem.write(prestat, &bytes)
    }

    /// Tells the name under which a directory was handed in.
    pub fn fd_prestat_dir_name(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let name = descriptor.directory()?.preopen.as_ref().ok_or(Errno::Badf)?;
        if name.len() > path_len as usize {
            return Err(Errno::NameTooLong);
        }
        mem.write(path, name.as_bytes())
    }
}

/// The descriptor for one of the host's standard streams or another open file that is shared with other processes.
pub(crate) fn describe_shared(fd: std::os::fd::OwnedFd) -> Result<Descriptor, Errno> {
    use crate::types::rights;
    use rustix::fs::{FileType as Host, OFlags};
    let stat = fstat(&fd)?;
    let kind = Host::from_raw_mode(stat.st_mode);
    let mode = rustix::fs::fcntl_getfl(&fd)?;
    let (object, filetype): (fn(_) -> Object, FileType) = match kind {
        Host::Socket if rustix::net::sockopt::socket_acceptconn(&fd).unwrap_or(false) => {
            return Descriptor::listener(fd);
        }
        Host::Socket => (Object::Socket, crate::sock::socket_type(&fd)?),
        Host::CharacterDevice if rustix::termios::isatty(&fd) => (Object::Stream, kind.into()),
        Host::RegularFile | Host::BlockDevice | Host::CharacterDevice => (Object::File, kind.into()),
        _ => (Object::Stream, kind.into()),
    };
    let mut descriptor = Descriptor::new(object(fd), filetype);
    descriptor.shared = true;
    if mode.contains(OFlags::APPEND) {
        descriptor.flags |= crate::types::fdflag::APPEND;
    }
    match mode & OFlags::RWMODE {
        OFlags::WRONLY => descriptor.base &= !right::FD_READ,
        OFlags::RDWR => {}
        _ => descriptor.base &= !rights::NEEDS_WRITE,
    }
    Ok(descriptor)
}
