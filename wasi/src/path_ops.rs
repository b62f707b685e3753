//! The functions on paths but `path_open`. In: directory descriptors and guest paths; out: changes on the host's disk.
//! Invariant: every path goes through [`Place`] or cap-std, so nothing outside of the directory is reached.

use cap_std::fs::{MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::fs::{
    AtFlags, FileType as HostType, Mode, fstat, linkat, mkdirat, readlinkat, renameat, statat, symlinkat, unlinkat,
    utimensat,
};

use crate::descriptor::{Descriptor, Directory};
use crate::memory::GuestMemory;
use crate::path::{Place, check, straighten};
use crate::stat::timestamps;
use crate::types::{FileType, Filestat, Snapshot, flags, lookupflag, right, timestamp};
use crate::{Errno, WasiCtx, sys};

/// Whether the last component of a path is followed if it is a link.
pub(crate) fn follows(lookup: u32) -> Result<bool, Errno> {
    Ok(flags::<u32>(lookup, lookupflag::ALL)? & lookupflag::SYMLINK_FOLLOW != 0)
}

impl Descriptor {
    /// The directory, for an operation that needs `needed` and changes nothing.
    pub(crate) fn dir(&self, needed: u64) -> Result<&Directory, Errno> {
        let directory = self.directory()?;
        self.require(needed)?;
        Ok(directory)
    }

    /// The directory, for an operation that needs `needed` and changes something.
    pub(crate) fn dir_to_change(&self, needed: u64) -> Result<&Directory, Errno> {
        let directory = self.directory()?;
        self.require_change(needed)?;
        Ok(directory)
    }
}

fn metadata_filestat(metadata: &cap_std::fs::Metadata) -> Filestat {
    Filestat {
        dev: metadata.dev(),
        ino: metadata.ino(),
        filetype: HostType::from_raw_mode(metadata.mode()).into(),
        nlink: metadata.nlink(),
        size: metadata.size(),
        atim: timestamp(metadata.atime(), metadata.atime_nsec()),
        mtim: timestamp(metadata.mtime(), metadata.mtime_nsec()),
        ctim: timestamp(metadata.ctime(), metadata.ctime_nsec()),
    }
}

impl WasiCtx {
    /// Makes a directory.
    pub fn path_create_directory(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<(), Errno> {
        let dir = self.table.get(fd)?.dir_to_change(right::PATH_CREATE_DIRECTORY)?;
        let place = Place::find(dir, mem.str(path, path_len)?)?;
        let name = place.name(Errno::Exist)?;
        Ok(mkdirat(place.dir(), name, Mode::from_raw_mode(0o777))?)
    }

    /// Tells a file's attributes, in the layout of `wasi_snapshot_preview1`.
    pub fn path_filestat_get(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        path_len: u32,
        stat: u32,
    ) -> Result<(), Errno> {
        self.path_filestat(mem, fd, lookup, path, path_len)?.write(mem, stat, Snapshot::One)
    }

    /// Tells a file's attributes, in the layout of `wasi_unstable`.
    pub fn path_filestat_get_unstable(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        path_len: u32,
        stat: u32,
    ) -> Result<(), Errno> {
        self.path_filestat(mem, fd, lookup, path, path_len)?.write(mem, stat, Snapshot::Zero)
    }

    fn path_filestat(
        &mut self,
        mem: &GuestMemory<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        path_len: u32,
    ) -> Result<Filestat, Errno> {
        let dir = self.table.get(fd)?.dir(right::PATH_FILESTAT_GET)?;
        let follow = follows(lookup)?;
        let (path, follow) = straighten(dir, mem.str(path, path_len)?, follow)?;
        let path = &*path;
        // A name right here need not be looked at by cap-std unless it turns out to be a link that is to be followed.
        if !follow || !path.contains('/') {
            let place = Place::find(dir, path)?;
            if let Some(name) = place.plain()? {
                let stat = Filestat::from_host(&statat(place.dir(), name, AtFlags::SYMLINK_NOFOLLOW)?);
                if !follow || stat.filetype != FileType::SymbolicLink {
                    return Ok(stat);
                }
            }
        }
        check(path)?;
        if dir.forbidden.is_some() {
            return Ok(Filestat::from_host(&fstat(dir.open_dir(path)?)?));
        }
        Ok(metadata_filestat(&dir.dir.metadata(path)?))
    }

    /// Sets a file's times.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn path_filestat_set_times(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        lookup: u32,
        path: u32,
        path_len: u32,
        atim: u64,
        mtim: u64,
        fst_flags: u32,
    ) -> Result<(), Errno> {
        let dir = self.table.get(fd)?.dir_to_change(right::PATH_FILESTAT_SET_TIMES)?;
        let follow = follows(lookup)?;
        let times = timestamps(atim, mtim, fst_flags)?;
        let (path, follow) = straighten(dir, mem.str(path, path_len)?, follow)?;
        let path = &*path;
        if !follow {
            let place = Place::find(dir, path)?;
            if let Some(name) = place.plain()? {
                return Ok(utimensat(place.dir(), name, &times, AtFlags::SYMLINK_NOFOLLOW)?);
            }
        }
        check(path)?;
        if dir.forbidden.is_some() {
            let named = dir.open_dir(path)?;
            return Ok(sys::set_times_by_name(std::os::fd::AsFd::as_fd(&named), &times)?);
        }
        let named =
            dir.dir.open_with(path, OpenOptions::new().read(true).custom_flags(sys::NAME_ONLY.bits() as i32))?;
        Ok(sys::set_times_by_name(std::os::fd::AsFd::as_fd(&named), &times)?)
    }

    /// Makes another name for a file. Links are never followed: where one points can change in between.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn path_link(
        &mut self,
        mem: &mut GuestMemory<'_>,
        old_fd: u32,
        old_lookup: u32,
        old_path: u32,
        old_path_len: u32,
        new_fd: u32,
        new_path: u32,
        new_path_len: u32,
    ) -> Result<(), Errno> {
        let old_dir = self.table.get(old_fd)?.dir_to_change(right::PATH_LINK_SOURCE)?;
        let new_dir = self.table.get(new_fd)?.dir_to_change(right::PATH_LINK_TARGET)?;
        if follows(old_lookup)? {
            return Err(Errno::Inval);
        }
        let old = Place::find(old_dir, mem.str(old_path, old_path_len)?)?;
        let new = Place::find(new_dir, mem.str(new_path, new_path_len)?)?;
        let old_name = old.name(Errno::Perm)?;
        if old.slash {
            let is_dir = old.kind(old_name)? == HostType::Directory;
            return Err(if is_dir { Errno::Perm } else { Errno::NotDir });
        }
        let new_name = new.name(Errno::Exist)?;
        new.refuse_slash_on_new_name(new_name)?;
        // A socket's name says who may use it.
        if old.kind(old_name)? == HostType::Socket {
            return Err(Errno::Perm);
        }
        Ok(linkat(old.dir(), old_name, new.dir(), new_name, AtFlags::empty())?)
    }

    /// Tells where a symbolic link points, as far as the buffer holds it. Where an absolute link of the host's points
    /// is not the guest's business.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn path_readlink(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        path: u32,
        path_len: u32,
        buf: u32,
        buf_len: u32,
        bufused: u32,
    ) -> Result<(), Errno> {
        let dir = self.table.get(fd)?.dir(right::PATH_READLINK)?;
        let place = Place::find(dir, mem.str(path, path_len)?)?;
        let name = place.name(Errno::Inval)?;
        if place.slash {
            dir.open_dir(place.path)?;
            return Err(Errno::Inval);
        }
        let target = readlinkat(place.dir(), name, Vec::new())?;
        let target = target.to_bytes();
        if target.starts_with(b"/") {
            return Err(Errno::Perm);
        }
        let used = target.len().min(buf_len as usize);
        mem.check(bufused, 4)?;
        mem.write(buf, &target[..used])?;
        // Not longer than `buf_len`, so it fits.
        mem.write_u32(bufused, used as u32)
    }

    /// Removes an empty directory.
    pub fn path_remove_directory(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<(), Errno> {
        let dir = self.table.get(fd)?.dir_to_change(right::PATH_REMOVE_DIRECTORY)?;
        let place = Place::find(dir, mem.str(path, path_len)?)?;
        let ends_in_parent = place.path.trim_end_matches('/').ends_with("..");
        let name = place.name(if ends_in_parent { Errno::NotEmpty } else { Errno::Inval })?;
        place.may_change(name)?;
        Ok(unlinkat(place.dir(), name, AtFlags::REMOVEDIR)?)
    }

    /// Removes a name that is not a directory.
    pub fn path_unlink_file(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<(), Errno> {
        let dir = self.table.get(fd)?.dir_to_change(right::PATH_UNLINK_FILE)?;
        let place = Place::find(dir, mem.str(path, path_len)?)?;
        let name = place.name(Errno::IsDir)?;
        if place.slash {
            let is_dir = place.kind(name)? == HostType::Directory;
            return Err(if is_dir { Errno::IsDir } else { Errno::NotDir });
        }
        place.may_change(name)?;
        Ok(unlinkat(place.dir(), name, AtFlags::empty())?)
    }

    /// Moves a file or directory.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn path_rename(
        &mut self,
        mem: &mut GuestMemory<'_>,
        old_fd: u32,
        old_path: u32,
        old_path_len: u32,
        new_fd: u32,
        new_path: u32,
        new_path_len: u32,
    ) -> Result<(), Errno> {
        let old_dir = self.table.get(old_fd)?.dir_to_change(right::PATH_RENAME_SOURCE)?;
        let new_dir = self.table.get(new_fd)?.dir_to_change(right::PATH_RENAME_TARGET)?;
        let old = Place::find(old_dir, mem.str(old_path, old_path_len)?)?;
        let new = Place::find(new_dir, mem.str(new_path, new_path_len)?)?;
        let old_name = old.name(Errno::Busy)?;
        let new_name = new.name(Errno::Busy)?;
        if (old.slash || new.slash) && old.kind(old_name)? != HostType::Directory {
            return Err(Errno::NotDir);
        }
        old.may_change(old_name)?;
        new.may_change(new_name)?;
        if self.network.is_granted_name(new.dir(), new_name) && old.kind(old_name)? == HostType::Socket {
            return Err(Errno::Perm);
        }
        Ok(renameat(old.dir(), old_name, new.dir(), new_name)?)
    }

    /// Makes a symbolic link. An absolute target would mean one thing to the guest and another to the host.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn path_symlink(
        &mut self,
        mem: &mut GuestMemory<'_>,
        target: u32,
        target_len: u32,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<(), Errno> {
        let dir = self.table.get(fd)?.dir_to_change(right::PATH_SYMLINK)?;
        let target = mem.str(target, target_len)?;
        check(target)?;
        let place = Place::find(dir, mem.str(path, path_len)?)?;
        let name = place.name(Errno::Exist)?;
        place.refuse_slash_on_new_name(name)?;
        Ok(symlinkat(target, place.dir(), name)?)
    }
}
