//! Moving bytes: `fd_read`, `fd_write`, `fd_pread`, `fd_pwrite`, `fd_seek`, `fd_tell`, `fd_sync`, `fd_datasync`,
//! `fd_allocate`, `fd_advise`, `fd_filestat_set_size`. In: guest buffers; out: counts.
//! Invariant: a result pointer is checked before bytes move, so that a bad one loses no data.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::PollFlags;
use rustix::fs::SeekFrom;
use rustix::io::{preadv, pwritev, readv, retry_on_intr, writev};
use rustix::net::{
    RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags, recv, recvmsg, send as send_one,
    sendmsg,
};
use rustix::pipe::PIPE_BUF;

use crate::descriptor::{Descriptor, Object};
use crate::iovec;
use crate::memory::GuestMemory;
use crate::net::datagram;
use crate::types::{FileType, Snapshot, Whence, fdflag, right};
use crate::{Errno, WasiCtx, sys};

impl Descriptor {
    /// Where other processes share the open file its own flag cannot be used, and readiness is asked for first.
    fn check_shared_readiness(&self, events: PollFlags) -> Result<(), Errno> {
        match self.host() {
            Some(fd) if self.shared && self.nonblocking() && !sys::is_ready(fd, events)? => Err(Errno::Again),
            _ => Ok(()),
        }
    }

    /// Reads what there is. `edges`: the guest relies on being told once that there is something.
    fn read(&mut self, into: &mut [IoSliceMut<'_>], edges: bool) -> Result<usize, Errno> {
        let nonblocking = self.nonblocking();
        if std::mem::take(&mut self.drained) && nonblocking && !edges {
            return Err(Errno::Again);
        }
        match &mut self.object {
            Object::Dir(_) | Object::Output(_) => Err(Errno::Badf),
            Object::Null => Ok(0),
            Object::Input(bytes, position) => {
                let mut rest = &bytes[*position..];
                let got = std::io::Read::read_vectored(&mut rest, into)?;
                *position += got;
                Ok(got)
            }
            Object::File(_) | Object::Stream(_) => {
                self.check_shared_readiness(PollFlags::IN)?;
                let (Object::File(fd) | Object::Stream(fd)) = &self.object else { return Err(Errno::Badf) };
                Ok(sys::until_done(fd.as_fd(), PollFlags::IN, nonblocking, || readv(fd, into))?)
            }
            Object::Socket(fd) | Object::Listener(fd) => {
                let flags = if nonblocking { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
                let fd = fd.as_fd();
                let room: usize = into.iter().map(|slice| slice.len()).sum();
                let stream = self.filetype == FileType::SocketStream;
                let (received, _) =
                    sys::until_done(fd, PollFlags::IN, nonblocking, || receive(fd, into, flags, stream))?;
                self.drained = stream && nonblocking && received > 0 && received < room;
                Ok(received)
            }
        }
    }

    fn write(&self, from: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let nonblocking = self.nonblocking();
        match &self.object {
            Object::Dir(_) | Object::Input(..) | Object::Listener(_) => Err(Errno::Badf),
            Object::Null => Ok(from.iter().map(|slice| slice.len()).sum()),
            Object::Output(buffer) => {
                // A writer that panicked elsewhere leaves a plain byte vector behind, which stays usable.
                let mut buffer = buffer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                Ok(std::io::Write::write_vectored(&mut *buffer, from)?)
            }
            Object::File(fd) | Object::Stream(fd) => {
                self.check_shared_readiness(PollFlags::OUT)?;
                let first = [IoSlice::new(from.first().map_or(&[][..], |slice| &slice[..slice.len().min(PIPE_BUF)]))];
                // A ready pipe takes this much without blocking, and no more is promised.
                let from = if self.shared && nonblocking { &first } else { from };
                Ok(sys::until_done(fd.as_fd(), PollFlags::OUT, nonblocking, || writev(fd, from))?)
            }
            Object::Socket(fd) => send(fd.as_fd(), from, nonblocking),
        }
    }
}

/// Receives from a connected socket; how much, and whether a datagram was cut.
pub(crate) fn receive(
    fd: BorrowedFd<'_>,
    into: &mut [IoSliceMut<'_>],
    flags: RecvFlags,
    stream: bool,
) -> rustix::io::Result<(usize, bool)> {
    if let [one] = into {
        // The host has less to look at. With this flag it tells how long a datagram was that it cut.
        let flags = if stream { flags } else { flags | RecvFlags::TRUNC };
        let (got, len) = recv(fd, &mut **one, flags)?;
        return Ok((got, len > got));
    }
    let received = recvmsg(fd, into, &mut RecvAncillaryBuffer::default(), flags)?;
    Ok((received.bytes, received.flags.contains(ReturnFlags::TRUNC)))
}

/// Sends on a connected socket; a vanished reader is `PIPE`, not a signal.
pub(crate) fn send(fd: BorrowedFd<'_>, from: &[IoSlice<'_>], nonblocking: bool) -> Result<usize, Errno> {
    let mut flags = SendFlags::NOSIGNAL;
    flags.set(SendFlags::DONTWAIT, nonblocking);
    Ok(sys::until_done(fd, PollFlags::OUT, nonblocking, || match from {
        // The host has less to look at.
        [one] => send_one(fd, one, flags),
        from => sendmsg(fd, from, &mut SendAncillaryBuffer::default(), flags),
    })?)
}

/// Offsets beyond what the host can express have no file behind them.
fn host_offset(offset: u64) -> Result<u64, Errno> {
    if i64::try_from(offset).is_ok() { Ok(offset) } else { Err(Errno::Inval) }
}

impl WasiCtx {
    /// Reads at the current position.
    pub fn fd_read(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        nread: u32,
    ) -> Result<(), Errno> {
        let edges = self.poller.uses_edges();
        let descriptor = self.table.get_mut(fd)?;
        descriptor.require_direction(right::FD_READ)?;
        let ranges = iovec::ranges(mem, iovs, iovs_len)?;
        mem.check(nread, 4)?;
        let waits = descriptor.waits();
        if ranges.is_empty() && waits {
            // Some kinds of socket would wait for data all the same.
            return mem.write_u32(nread, 0);
        }
        if descriptor.hears_granted {
            datagram::skip_strangers(&mut self.network, descriptor.socket()?.as_fd(), descriptor.nonblocking())?;
        }
        let got = iovec::fill(mem, &ranges, waits, |slices, _| descriptor.read(slices, edges))?;
        mem.write_u32(nread, got)
    }

    /// Writes at the current position.
    pub fn fd_write(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        nwritten: u32,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        descriptor.require_direction(right::FD_WRITE)?;
        let ranges = iovec::ranges(mem, iovs, iovs_len)?;
        mem.check(nwritten, 4)?;
        let put = descriptor.write(&iovec::slices(mem, &ranges));
        if matches!(descriptor.object, Object::Socket(_)) {
            self.poller.sent(fd, put.is_ok_and(|put| put == iovec::total(&ranges)));
        }
        let put = put?;
        mem.write_u32(nwritten, u32::try_from(put).map_err(|_| Errno::Overflow)?)
    }

    /// Reads at a position of its own.
    pub fn fd_pread(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        offset: u64,
        nread: u32,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let file = descriptor.positioned()?;
        descriptor.require_direction(right::FD_READ)?;
        descriptor.require(right::FD_SEEK)?;
        let offset = host_offset(offset)?;
        let ranges = iovec::ranges(mem, iovs, iovs_len)?;
        mem.check(nread, 4)?;
        let got = iovec::fill(mem, &ranges, descriptor.waits(), |slices, done| {
            Ok(retry_on_intr(|| preadv(file, slices, offset.saturating_add(done)))?)
        })?;
        mem.write_u32(nread, got)
    }

    /// Writes at a position of its own. In append mode Linux writes at the end all the same.
    pub fn fd_pwrite(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        offset: u64,
        nwritten: u32,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let file = descriptor.positioned()?;
        descriptor.require_direction(right::FD_WRITE)?;
        descriptor.require(right::FD_SEEK)?;
        let offset = host_offset(offset)?;
        let ranges = iovec::ranges(mem, iovs, iovs_len)?;
        mem.check(nwritten, 4)?;
        let put = {
            let slices = iovec::slices(mem, &ranges);
            retry_on_intr(|| pwritev(file, &slices, offset))?
        };
        mem.write_u32(nwritten, u32::try_from(put).map_err(|_| Errno::Overflow)?)
    }

    /// Moves the position; whence numbers are those of `wasi_snapshot_preview1`.
    pub fn fd_seek(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        offset: u64,
        whence: u32,
        newoffset: u32,
    ) -> Result<(), Errno> {
        self.seek(mem, fd, offset, Whence::new(Snapshot::One, whence)?, newoffset)
    }

    /// Moves the position; whence numbers are those of `wasi_unstable`.
    pub fn fd_seek_unstable(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        offset: u64,
        whence: u32,
        newoffset: u32,
    ) -> Result<(), Errno> {
        self.seek(mem, fd, offset, Whence::new(Snapshot::Zero, whence)?, newoffset)
    }

    fn seek(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        offset: u64,
        whence: Whence,
        newoffset: u32,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let file = descriptor.positioned()?;
        let only_asks = whence == Whence::Cur && offset == 0;
        if !(only_asks && descriptor.base & right::FD_TELL != 0) {
            descriptor.require(right::FD_SEEK)?;
        }
        mem.check(newoffset, 8)?;
        // The interface's `filedelta` is signed and crosses the border as 64 bits.
        let delta = offset.cast_signed();
        let to = match whence {
            Whence::Set => SeekFrom::Start(host_offset(offset)?),
            Whence::Cur => SeekFrom::Current(delta),
            Whence::End => SeekFrom::End(delta),
        };
        let position = rustix::fs::seek(file, to)?;
        mem.write_u64(newoffset, position)
    }

    /// Tells the position.
    pub fn fd_tell(&mut self, mem: &mut GuestMemory<'_>, fd: u32, offset: u32) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let file = descriptor.positioned()?;
        // Who may move the position learns it by doing so.
        if descriptor.base & right::FD_SEEK == 0 {
            descriptor.require(right::FD_TELL)?;
        }
        let position = rustix::fs::seek(file, SeekFrom::Current(0))?;
        mem.write_u64(offset, position)
    }

    /// Writes data and metadata through to the disk.
    pub fn fd_sync(&mut self, _mem: &mut GuestMemory<'_>, fd: u32) -> Result<(), Errno> {
        self.flush(fd, right::FD_SYNC, |host| rustix::fs::fsync(host))
    }

    /// Writes data through to the disk.
    pub fn fd_datasync(&mut self, _mem: &mut GuestMemory<'_>, fd: u32) -> Result<(), Errno> {
        self.flush(fd, right::FD_DATASYNC, |host| rustix::fs::fdatasync(host))
    }

    fn flush(
        &mut self,
        fd: u32,
        needed: u64,
        call: fn(std::os::fd::BorrowedFd<'_>) -> rustix::io::Result<()>,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        if matches!(descriptor.object, Object::Dir(_)) {
            return Err(Errno::Badf);
        }
        descriptor.require(needed)?;
        match descriptor.host() {
            Some(host) => Ok(retry_on_intr(|| call(host))?),
            None => Ok(()),
        }
    }

    /// Makes sure that a range of a file has room on the disk.
    pub fn fd_allocate(&mut self, _mem: &mut GuestMemory<'_>, fd: u32, offset: u64, len: u64) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let file = descriptor.sized(Errno::Spipe)?;
        if !descriptor.read_only {
            descriptor.require_direction(right::FD_WRITE)?;
        }
        descriptor.require_change(right::FD_ALLOCATE)?;
        let end = offset.checked_add(len).ok_or(Errno::Fbig)?;
        i64::try_from(end).map_err(|_| Errno::Fbig)?;
        Ok(sys::allocate(file, offset, len)?)
    }

    /// Passes a hint about coming accesses on.
    pub fn fd_advise(
        &mut self,
        _mem: &mut GuestMemory<'_>,
        fd: u32,
        offset: u64,
        len: u64,
        advice: u32,
    ) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let file = descriptor.sized(Errno::Spipe)?;
        descriptor.require(right::FD_ADVISE)?;
        Ok(sys::advise(file, host_offset(offset)?, host_offset(len)?, advice)?)
    }

    /// Cuts or extends a file.
    pub fn fd_filestat_set_size(&mut self, _mem: &mut GuestMemory<'_>, fd: u32, size: u64) -> Result<(), Errno> {
        let descriptor = self.table.get(fd)?;
        let file = descriptor.sized(Errno::Inval)?;
        if !descriptor.read_only && descriptor.base & right::FD_WRITE == 0 {
            // As POSIX has it for what is not open for writing.
            return Err(Errno::Inval);
        }
        descriptor.require_change(right::FD_FILESTAT_SET_SIZE)?;
        i64::try_from(size).map_err(|_| Errno::Fbig)?;
        Ok(retry_on_intr(|| rustix::fs::ftruncate(file, size))?)
    }

    /// Changes the flags of a descriptor. How writes are synchronised is fixed when a file is opened.
    pub fn fd_fdstat_set_flags(&mut self, _mem: &mut GuestMemory<'_>, fd: u32, flags: u32) -> Result<(), Errno> {
        const FIXED: u16 = fdflag::DSYNC | fdflag::RSYNC | fdflag::SYNC;
        let descriptor = self.table.get_mut(fd)?;
        if matches!(descriptor.object, Object::Dir(_)) {
            return Err(Errno::Badf);
        }
        let flags: u16 = crate::types::flags(flags, fdflag::ALL)?;
        descriptor.require(right::FD_FDSTAT_SET_FLAGS)?;
        let changed = flags ^ descriptor.flags;
        if changed & FIXED != 0 {
            return Err(Errno::Inval);
        }
        if descriptor.shared && changed & fdflag::APPEND != 0 {
            return Err(Errno::NotSup);
        }
        if let (Object::File(file), false) = (&descriptor.object, descriptor.shared) {
            use rustix::fs::OFlags;
            let mut host = rustix::fs::fcntl_getfl(file)?;
            host.set(OFlags::APPEND, flags & fdflag::APPEND != 0);
            host.set(OFlags::NONBLOCK, flags & fdflag::NONBLOCK != 0);
            rustix::fs::fcntl_setfl(file, host)?;
        }
        descriptor.flags = flags;
        descriptor.undecided = false;
        Ok(())
    }
}
