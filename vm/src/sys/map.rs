//! Address space: reserved, made accessible piece by piece, given back when dropped.
//!
//! Invariant: a [`Mapping`] owns its whole range; the first `accessible` bytes can be read and written, the
//! rest faults. It is private: parts that were mapped from a file keep what is written to them to themselves.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The size of a page of the host in bytes.
pub(crate) fn page_size() -> usize {
    static SIZE: AtomicUsize = AtomicUsize::new(0);
    match SIZE.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: sysconf has no preconditions.
            let n = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            let n = usize::try_from(n).unwrap_or(4096);
            SIZE.store(n, Ordering::Relaxed);
            n
        }
        n => n,
    }
}

fn round_up(n: usize) -> Option<usize> {
    let page = page_size();
    Some(n.checked_add(page - 1)? & !(page - 1))
}

/// Asks for large pages where memory is about to be written for the first time: filling it then takes hundreds of faults less.
pub(crate) fn expect_to_fill(room: &mut [MaybeUninit<u8>]) {
    const LARGE: usize = 2 << 20;
    let start = room.as_ptr() as usize;
    let (from, to) = (start.next_multiple_of(LARGE), (start + room.len()) & !(LARGE - 1));
    if cfg!(target_os = "linux") && from < to {
        const HUGEPAGE: libc::c_int = 14;
        // SAFETY: the range lies in `room`; the advice changes nothing of what is read or written there. It may be refused.
        unsafe { libc::madvise(from as *mut libc::c_void, to - from, HUGEPAGE) };
    }
}

/// An owned, private range of address space, anonymous but for what was mapped into it.
pub(crate) struct Mapping {
    base: NonNull<u8>,
    reserved: usize,
    accessible: usize,
}

// SAFETY: the mapping is plain memory that belongs to this value alone.
unsafe impl Send for Mapping {}
// SAFETY: shared use goes through raw pointers whose users synchronise.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// A mapping of nothing.
    pub(crate) fn empty() -> Mapping {
        Mapping { base: NonNull::dangling(), reserved: 0, accessible: 0 }
    }

    /// Reserves `reserved` bytes (rounded up to pages) that fault on every access.
    pub(crate) fn reserve(reserved: usize) -> io::Result<Mapping> {
        let reserved = round_up(reserved).ok_or_else(too_large)?;
        if reserved == 0 {
            return Ok(Mapping::empty());
        }
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                reserved,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(too_large)?;
        Ok(Mapping { base, reserved, accessible: 0 })
    }

    /// First byte of the range.
    pub(crate) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }
    /// Length of the range in bytes.
    pub(crate) fn reserved(&self) -> usize {
        self.reserved
    }

    /// Makes the first `bytes` (rounded up to pages) readable and writable; new bytes are zero.
    pub(crate) fn make_accessible(&mut self, bytes: usize) -> io::Result<()> {
        let want = round_up(bytes).filter(|&n| n <= self.reserved).ok_or_else(too_large)?;
        if want <= self.accessible {
            return Ok(());
        }
        // SAFETY: the range lies within this mapping, which nobody else owns.
        let rc = unsafe {
            libc::mprotect(
                self.base.as_ptr().add(self.accessible).cast(),
                want - self.accessible,
                libc::PROT_READ | libc::PROT_WRITE,
            )
        };
        if rc != 0 {
            return Err(io::Error::last_os_error());
        }
        self.accessible = want;
        Ok(())
    }

    /// Makes exactly the first `bytes` (rounded up to pages) accessible.
    pub(crate) fn set_accessible(&mut self, bytes: usize) -> io::Result<()> {
        let want = round_up(bytes).filter(|&n| n <= self.reserved).ok_or_else(too_large)?;
        if want < self.accessible {
            // SAFETY: the range lies within this mapping, which nobody else owns.
            let rc =
                unsafe { libc::mprotect(self.base.as_ptr().add(want).cast(), self.accessible - want, libc::PROT_NONE) };
            if rc != 0 {
                return Err(io::Error::last_os_error());
            }
            self.accessible = want;
        }
        self.make_accessible(want)
    }

    /// Gives the memory behind the first `keep` accessible bytes back: it reads as zeros from now on.
    pub(crate) fn discard(&mut self, keep: usize) -> io::Result<()> {
        let keep = round_up(keep).ok_or_else(too_large)?;
        if keep >= self.accessible {
            return Ok(());
        }
        // SAFETY: the range lies within this mapping, which nobody else uses now.
        let rc =
            unsafe { libc::madvise(self.base.as_ptr().add(keep).cast(), self.accessible - keep, libc::MADV_DONTNEED) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Whether something other than zeros lies in one of a few places of the page at `at`, in the accessible part.
    pub(crate) fn is_touched(&self, at: usize) -> bool {
        const PLACES: usize = 8;
        const WORDS: usize = 8;
        let step = page_size() / PLACES;
        if !at.is_multiple_of(align_of::<u64>()) || at.checked_add(page_size()).is_none_or(|end| end > self.accessible)
        {
            return false;
        }
        (0..PLACES).any(|place| {
            // SAFETY: the words lie in the page, which is accessible and used by nobody else now.
            let words = unsafe { &*self.base.as_ptr().add(at + place * step).cast::<[u64; WORDS]>() };
            words.iter().any(|&w| w != 0)
        })
    }

    /// As `discard`, for a range of whole pages in the accessible part.
    pub(crate) fn discard_range(&mut self, at: usize, len: usize) -> io::Result<()> {
        if at.checked_add(len).is_none_or(|end| end > self.accessible) {
            return Err(too_large());
        }
        // SAFETY: the range lies within this mapping, which nobody else uses now.
        let rc = unsafe { libc::madvise(self.base.as_ptr().add(at).cast(), len, libc::MADV_DONTNEED) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Makes a range of whole pages in the accessible part fault on every access.
    pub(crate) fn protect(&mut self, at: usize, len: usize) -> io::Result<()> {
        if at.checked_add(len).is_none_or(|end| end > self.accessible) {
            return Err(too_large());
        }
        // SAFETY: the range lies within this mapping, which nobody else uses now.
        let rc = unsafe { libc::mprotect(self.base.as_ptr().add(at).cast(), len, libc::PROT_NONE) };
        if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Bytes that can be read and written.
    pub(crate) fn accessible(&self) -> usize {
        self.accessible
    }

    /// Lets a range of whole pages in the accessible part begin as that part of a file, instead of as zeros.
    pub(crate) fn map_file(&mut self, at: usize, len: usize, file: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
        self.map_over(at, len, libc::MAP_PRIVATE, file.as_raw_fd(), offset)
    }

    /// Lets a range of whole pages in the accessible part be zeros, whatever was mapped there.
    pub(crate) fn map_zeros(&mut self, at: usize, len: usize) -> io::Result<()> {
        self.map_over(at, len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, -1, 0)
    }

    fn map_over(&mut self, at: usize, len: usize, flags: i32, fd: i32, offset: u64) -> io::Result<()> {
        if at.checked_add(len).is_none_or(|end| end > self.accessible) {
            return Err(too_large());
        }
        let offset = libc::off_t::try_from(offset).map_err(|_| too_large())?;
        // SAFETY: the range lies within this mapping, which nobody else uses now; whole pages of it are replaced.
        let rc = unsafe {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(self.base.as_ptr().add(at).cast(), len, prot, flags | libc::MAP_FIXED, fd, offset)
        };
        if rc == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Grows the reservation to `reserved` bytes, if it is smaller, with the first `bytes` accessible. The range may move, so no pointer
    /// into it may be kept across the call.
    pub(crate) fn grow_moving(&mut self, bytes: usize, reserved: usize) -> io::Result<()> {
        if reserved > self.reserved {
            let mut bigger = Mapping::reserve(reserved)?;
            bigger.make_accessible(bytes.max(self.accessible))?;
            self.copy_pages(&mut bigger);
            *self = bigger;
        }
        self.make_accessible(bytes)
    }

    /// Copies all that is accessible, but for pages of zeros: those need no memory until they are written.
    fn copy_pages(&self, to: &mut Mapping) {
        let (page, from) = (page_size(), self.base());
        for at in (0..self.accessible).step_by(page) {
            // SAFETY: both ranges are owned, accessible for `self.accessible` bytes, which are whole pages, and disjoint.
            unsafe {
                let words = std::slice::from_raw_parts(from.add(at).cast::<u64>(), page / 8);
                if words.iter().any(|&w| w != 0) {
                    ptr::copy_nonoverlapping(from.add(at), to.base().add(at), page);
                }
            }
        }
    }
}

fn too_large() -> io::Error {
    io::Error::from(io::ErrorKind::OutOfMemory)
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.reserved != 0 {
            // SAFETY: the range was mapped by `reserve` and is owned by this value.
            unsafe { libc::munmap(self.base.as_ptr().cast(), self.reserved) };
        }
    }
}

/// A part of a file, to read.
pub(crate) struct FileView {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is memory that nobody writes.
unsafe impl Send for FileView {}
// SAFETY: as above.
unsafe impl Sync for FileView {}

impl FileView {
    /// Maps whole pages of a file.
    pub(crate) fn new(file: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<FileView> {
        let offset = libc::off_t::try_from(offset).map_err(|_| too_large())?;
        // SAFETY: a mapping at an address of the kernel's choice touches no existing memory.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(too_large)?;
        Ok(FileView { base, len })
    }

    /// The first byte.
    pub(crate) fn base(&self) -> *const u8 {
        self.base.as_ptr()
    }
}

impl Drop for FileView {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new` and is owned by this value.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_keeps_its_contents_and_untouched_pages_take_no_memory() {
        let page = page_size();
        let mut m = Mapping::reserve(4 * page).unwrap();
        m.make_accessible(4 * page).unwrap();
        // SAFETY: within the mapping.
        unsafe { *m.base().add(2 * page + 5) = 7 };
        let before = m.base();
        m.grow_moving(4 * page, 4 * page).unwrap();
        assert_eq!(m.base(), before);
        m.grow_moving(5 * page, 8 * page).unwrap();
        assert_eq!((m.reserved(), m.accessible()), (8 * page, 5 * page));
        // SAFETY: as above.
        let (moved, resident) = unsafe {
            let mut pages = [0u8; 5];
            assert_eq!(libc::mincore(m.base().cast(), 5 * page, pages.as_mut_ptr()), 0);
            (*m.base().add(2 * page + 5), pages)
        };
        assert_eq!((moved, resident.map(|r| r & 1)), (7, [0, 0, 1, 0, 0]));
    }
}
