//! `fd_readdir`. In: a directory and a cookie; out: entries packed into a guest buffer.
//! Invariant: a cookie names a place in the directory, not in one listing of it: it stays good while entries come and
//! go, and when the directory is read again from the start. `.` and `..` come first, from us, on every file system.
//! Cookies fit 31 bits, since guests' libraries keep them in a `long`; where the host's positions do not, they are numbered.

use std::collections::HashMap;
use std::os::fd::AsFd;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType as Host, fstat, statat};

use crate::descriptor::{Directory, Object};
use crate::memory::GuestMemory;
use crate::types::{FileType, right};
use crate::{Errno, WasiCtx, sys};

/// Size of the fixed part of an entry.
const DIRENT: usize = 24;

/// Cookies of the host's own positions come after those of the start, of `.` and of `..`.
const AFTER_DOTS: u64 = 2;

/// Cookies from here on are numbers of positions in [`Cookies`], those below are positions.
const NUMBERED: u64 = 1 << 30;

/// How many positions of a directory are remembered before a listing from the start forgets them.
const MOST_NUMBERED: usize = 1 << 20;

/// Positions of the host that are too large for a cookie, by number.
#[derive(Debug, Default)]
pub(crate) struct Cookies {
    positions: Vec<u64>,
    numbers: HashMap<u64, u32>,
}

impl Cookies {
    /// The cookie for a position.
    fn cookie(&mut self, position: u64) -> u64 {
        if position < NUMBERED - AFTER_DOTS {
            return position + AFTER_DOTS;
        }
        let next = self.positions.len() as u32;
        let number = *self.numbers.entry(position).or_insert(next);
        if number == next {
            self.positions.push(position);
        }
        NUMBERED + u64::from(number)
    }

    /// The position that a cookie stands for.
    fn position(&self, cookie: u64) -> Result<u64, Errno> {
        match cookie.checked_sub(NUMBERED) {
            None => Ok(cookie.saturating_sub(AFTER_DOTS)),
            Some(number) => {
                let number = usize::try_from(number).map_err(|_| Errno::Inval)?;
                self.positions.get(number).copied().ok_or(Errno::Inval)
            }
        }
    }

    /// The same, also for a cookie that another descriptor of the directory has handed out: positions are numbered in the order in which
    /// they are listed.
    fn find(&mut self, dir: &Dir, cookie: u64) -> Result<u64, Errno> {
        if cookie >= NUMBERED && self.position(cookie).is_err() && self.positions.len() < MOST_NUMBERED {
            sys::list(dir.as_fd(), 0, |entry| {
                if !is_dots(entry.name) {
                    self.cookie(entry.next);
                }
                self.positions.len() < MOST_NUMBERED
            })?;
        }
        self.position(cookie)
    }

    fn begin(&mut self) {
        if self.positions.len() > MOST_NUMBERED {
            *self = Cookies::default();
        }
    }
}

/// Whether the host's entry is one of those that come from us.
fn is_dots(name: &[u8]) -> bool {
    name == b"." || name == b".."
}

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
        let descriptor = self.table.get_mut(fd)?;
        descriptor.dir(right::FD_READDIR)?;
        let Object::Dir(Directory { dir, cookies, .. }) = &mut descriptor.object else { return Err(Errno::NotDir) };
        if cookie == 0 {
            cookies.begin();
        }
        mem.check(bufused, 4)?;
        let mut packer = Packer { buffer: mem.slice_mut(buf, buf_len)?, used: 0 };
        let own_ino = fstat(&*dir)?.st_ino;
        let dots = [&b"."[..], b".."].into_iter().enumerate().skip(cookie.min(AFTER_DOTS) as usize);
        let mut room = buf_len > 0;
        for (index, name) in dots {
            // What lies above a directory is not the guest's business, not even its number.
            room = room && packer.add(name, own_ino, FileType::Directory, index as u64 + 1);
        }
        if room {
            let position = cookies.find(dir, cookie)?;
            sys::list(dir.as_fd(), position, |entry| {
                if is_dots(entry.name) {
                    return true;
                }
                let kind = match entry.file_type {
                    Host::Unknown => statat(&*dir, entry.name, AtFlags::SYMLINK_NOFOLLOW)
                        .map_or(Host::Unknown, |stat| Host::from_raw_mode(stat.st_mode)),
                    known => known,
                };
                packer.add(entry.name, entry.ino, kind.into(), cookies.cookie(entry.next))
            })?;
        }
        let used = packer.used;
        // Not more than `buf_len`, so it fits.
        mem.write_u32(bufused, used as u32)
    }
}
