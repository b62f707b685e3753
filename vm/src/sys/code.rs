//! Memory for machine code: executable, never writable where it is executed, and written through another mapping.
//!
//! In: bytes and where they belong. Out: the same bytes, executable. Invariant: pages of the executable mapping are never
//! writable, and those of the mapping for writing exist only during a write and are never executable. Both show the same
//! physical pages, so that threads that execute neighbouring code notice nothing. Pages to which nothing was written cannot be
//! executed, and between what was written there are instructions that trap: wherever there is no code, execution ends.
//!
//! `is_code` tells lock-free whether an address lies in any such memory, for signal handlers.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// An instruction that traps, for where there is no code.
pub(crate) const TRAP: u8 = 0xcc;

/// An owned range of executable memory.
pub(crate) struct CodeMemory {
    base: NonNull<u8>,
    len: usize,
    range: &'static Range,
    /// Bytes from the beginning that are executable; a multiple of the page size.
    filled: usize,
}

// SAFETY: the memory is only read by the processor; writes go through `write`, whose callers hold a lock.
unsafe impl Send for CodeMemory {}
// SAFETY: as above.
unsafe impl Sync for CodeMemory {}

/// Bounds of one range of code; an end of zero means that the entry is free.
struct Range {
    start: AtomicUsize,
    end: AtomicUsize,
    next: *const Range,
}

// SAFETY: `next` is set once, before the range is shared, and ranges are never freed.
unsafe impl Sync for Range {}
// SAFETY: as above.
unsafe impl Send for Range {}

static RANGES: AtomicPtr<Range> = AtomicPtr::new(ptr::null_mut());
static CHANGES: Mutex<()> = Mutex::new(());

/// All entries, used or free.
fn ranges() -> impl Iterator<Item = &'static Range> {
    let mut at: *const Range = RANGES.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: entries are leaked boxes.
        let range = unsafe { at.as_ref()? };
        at = range.next;
        Some(range)
    })
}

/// Whether the address lies in code memory. Safe to ask in a signal handler.
pub(crate) fn is_code(address: usize) -> bool {
    ranges().any(|r| address < r.end.load(Ordering::Acquire) && address >= r.start.load(Ordering::Relaxed))
}

/// Enters a range in the list.
fn enter(start: usize, end: usize) -> &'static Range {
    let _changes = CHANGES.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(free) = ranges().find(|r| r.end.load(Ordering::Relaxed) == 0) {
        free.start.store(start, Ordering::Relaxed);
        free.end.store(end, Ordering::Release);
        return free;
    }
    let next = RANGES.load(Ordering::Relaxed);
    let range = Box::leak(Box::new(Range { start: start.into(), end: end.into(), next }));
    RANGES.store(range, Ordering::Release);
    range
}

impl CodeMemory {
    /// Reserves address space; pages cost nothing until they are written.
    pub(crate) fn reserve(len: usize) -> io::Result<CodeMemory> {
        fault::point()?;
        let len = len.next_multiple_of(super::map::page_size());
        // SAFETY: a new mapping at an address of the kernel's choice. It is shared with nobody but the mappings that
        // `write` makes of it.
        let base = unsafe {
            let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let start = base.as_ptr() as usize;
        Ok(CodeMemory { base, len, range: enter(start, start + len), filled: 0 })
    }

    pub(crate) fn base(&self) -> *const u8 {
        self.base.as_ptr()
    }
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Lets the memory begin with so many bytes of a file, which is shared with everybody who executes the same file. What is written
    /// later goes behind the first `taken` bytes, a multiple of the page size.
    pub(crate) fn map_file(&mut self, file: &File, offset: u64, len: usize, taken: usize) -> io::Result<()> {
        fault::point()?;
        if len > taken || taken > self.len {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the range lies in this mapping, of which nothing is executed yet.
        let at = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
            let protection = libc::PROT_READ | libc::PROT_EXEC;
            libc::mmap(self.base.as_ptr().cast(), len, protection, flags, file.as_raw_fd(), offset as libc::off_t)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        self.filled = taken;
        Ok(())
    }

    /// A copy of what was written at an offset; less at its end.
    pub(crate) fn read(&self, at: usize, len: usize) -> Vec<u8> {
        let (at, end) = (at.min(self.filled), at.saturating_add(len).min(self.filled));
        // SAFETY: the range lies in this mapping, where it can be read.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(at), end - at) }.to_vec()
    }

    /// Writes each piece at its offset. Nobody may execute the bytes written until this has returned.
    ///
    /// # Errors
    /// When the system refuses a mapping: what was executable is as it was.
    pub(crate) fn write(&mut self, pieces: &[(usize, &[u8])]) -> io::Result<()> {
        let start = pieces.iter().map(|p| p.0).min().unwrap_or(0);
        let end = pieces.iter().map(|p| p.0 + p.1.len()).max().unwrap_or(0);
        if end > self.len {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if start < end {
            let page = super::map::page_size();
            let (from, to) = ((start & !(page - 1)).min(self.filled), end.next_multiple_of(page));
            let window = Window::open(self, from, to - from)?;
            if self.filled < to {
                // SAFETY: these pages lie in the window, and nothing was written to them.
                unsafe { window.base.add(self.filled - from).write_bytes(TRAP, to - self.filled) };
            }
            for &(at, bytes) in pieces {
                // SAFETY: the piece lies in the window, which nobody else has.
                unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), window.base.add(at - from), bytes.len()) };
            }
            self.allow(to)?;
        }
        Ok(())
    }

    /// Makes the pages up to an offset executable.
    fn allow(&mut self, to: usize) -> io::Result<()> {
        if self.filled < to {
            fault::point()?;
            // SAFETY: the pages lie in this mapping.
            let outcome = unsafe {
                let protection = libc::PROT_READ | libc::PROT_EXEC;
                libc::mprotect(self.base.as_ptr().add(self.filled).cast(), to - self.filled, protection)
            };
            if outcome != 0 {
                return Err(io::Error::last_os_error());
            }
            self.filled = to;
        }
        Ok(())
    }
}

impl Drop for CodeMemory {
    fn drop(&mut self) {
        self.range.end.store(0, Ordering::Release);
        // SAFETY: the range was mapped by `reserve`; nothing of it is executed any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// A second, writable mapping of some of the pages.
struct Window {
    base: *mut u8,
    len: usize,
}

impl Window {
    fn open(code: &CodeMemory, at: usize, len: usize) -> io::Result<Window> {
        fault::point()?;
        // SAFETY: the pages lie in the shared mapping. An old size of zero makes another mapping of them.
        unsafe {
            let base = libc::mremap(code.base.as_ptr().add(at).cast(), 0, len, libc::MREMAP_MAYMOVE);
            if base == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let window = Window { base: base.cast(), len };
            if libc::mprotect(base, len, libc::PROT_READ | libc::PROT_WRITE) != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(window)
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `open` and is owned by this value.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

/// Failures of the system on purpose: in unit tests, the step of publishing code with a certain number fails on this thread.
pub(crate) mod fault {
    use std::io;

    #[cfg(test)]
    thread_local! {
        /// Steps until the one that fails; and steps made.
        static STEPS: std::cell::Cell<(Option<u32>, u32)> = const { std::cell::Cell::new((None, 0)) };
    }

    /// A step that may fail.
    pub(crate) fn point() -> io::Result<()> {
        #[cfg(test)]
        {
            let (at, made) = STEPS.get();
            STEPS.set((at, made + 1));
            if at == Some(made) {
                return Err(io::Error::other("refused on purpose"));
            }
        }
        Ok(())
    }

    /// Lets the step with that number fail, counted from 0 from now on; none with `None`. Returns how many were made before.
    #[cfg(test)]
    pub(crate) fn inject(at: Option<u32>) -> u32 {
        STEPS.replace((at, 0)).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_can_be_read_beside_what_is_there() {
        let mut code = CodeMemory::reserve(1 << 20).unwrap();
        let base = code.base();
        // SAFETY: within the mapping.
        let at = |i: usize| unsafe { *base.add(i) };
        code.write(&[(5000, &[1, 2, 3])]).unwrap();
        code.write(&[(4999, &[9]), (5003, &[4])]).unwrap();
        assert_eq!([4998, 4999, 5000, 5001, 5002, 5003, 5004].map(at), [TRAP, 9, 1, 2, 3, 4, TRAP]);
        assert_eq!([0, 4095].map(at), [TRAP; 2], "what lies before was written with it");
        assert!(code.write(&[((1 << 20) - 1, &[0, 0])]).is_err());
        let address = code.base() as usize;
        assert!(is_code(address) && is_code(address + (1 << 20) - 1) && !is_code(address - 1));
        drop(code);
        assert!(!is_code(address));
    }
}
