//! `fd_readdir`. In: a directory and a cookie; out: entries packed into a guest buffer.
//! Invariant: a cookie names a place in the directory, not in one listing of it: it stays good while entries come and
//! go, and when the directory is read again from the start. `.` and `..` come first, from us, on every file system.

use rustix::fs::{AtFlags, FileType as Host, fstat, statat};

use crate::memory::GuestMemory;
use crate::types::{FileType, right};
use crate::{Errno, WasiCtx, sys};

/// Size of the fixed part of an entry.
const DIRENT: usize = 24;

/// Cookies of the host's own positions come after those of the start, of `.` and of `..`.
const AFTER_DOTS: u64 = 2;

/// A guest buffer being filled with entries.
struct Packer<'a> {
    buffer: &'a mut [u8],
    used: usize,
}

impl Packer<'_> {
    /// Adds an entry, cut where the buffer ends. Whether more has room.
    fn add(&mut self, name: &[u8], ino: u64, filetype: FileType, next: u64) -> bool {
        let mut head = [0u8; DIRENT];
        head[0..8].copy_from_slice(&next.to_le_bytes());
        head[8..16].copy_from_slice(&ino.to_le_bytes());
        // Names are at most 255 bytes on the host.
        head[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
        head[20] = filetype as u8;
        for part in [&head[..], name] {
            let room = &mut self.buffer[self.used..];
            let len = part.len().min(room.len());
            room[..len].copy_from_slice(&part[..len]);
            self.used += len;
        }
        self.used < self.buffer.len()
    }
}

impl WasiCtx {
    /// Lists a directory from `cookie` on. A buffer filled to the last byte means that there may be more.
    pub fn fd_readdir(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        buf: u32,
        buf_len: u32,
        cookie: u64,
        bufused: u32,
    ) -> Result<(), Errno> {
        let dir = self.table.get(fd)?.dir(right::FD_READDIR)?;
        mem.check(bufused, 4)?;
        let mut packer = Packer { buffer: mem.slice_mut(buf, buf_len)?, used: 0 };
        let own_ino = fstat(dir)?.st_ino;
        let dots = [&b"."[..], b".."].into_iter().enumerate().skip(cookie.min(AFTER_DOTS) as usize);
        let mut room = buf_len > 0;
        for (index, name) in dots {
            // What lies above a directory is not the guest's business, not even its number.
            room = room && packer.add(name, own_ino, FileType::Directory, index as u64 + 1);
        }
        if room {
            let position = cookie.saturating_sub(AFTER_DOTS);
            sys::list(std::os::fd::AsFd::as_fd(dir), position, |entry| {
                if entry.name == b"." || entry.name == b".." {
                    return true;
                }
                let kind = match entry.file_type {
                    Host::Unknown => statat(dir, entry.name, AtFlags::SYMLINK_NOFOLLOW)
                        .map_or(Host::Unknown, |stat| Host::from_raw_mode(stat.st_mode)),
                    known => known,
                };
                packer.add(entry.name, entry.ino, kind.into(), entry.next.saturating_add(AFTER_DOTS))
            })?;
        }
        let used = packer.used;
        // Not more than `buf_len`, so it fits.
        mem.write_u32(bufused, used as u32)
    }
}
