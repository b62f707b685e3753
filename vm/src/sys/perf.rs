//! What `perf` needs of a process that makes code: its clock, its thread ids, and a sign of where the code's dump is.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

/// Nanoseconds of the clock that `perf record -k 1` uses.
pub(crate) fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is valid for the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The kernel's number of this thread.
pub(crate) fn thread_id() -> u32 {
    #[cfg(target_os = "linux")]
    // SAFETY: gettid has no preconditions.
    unsafe {
        libc::gettid() as u32
    }
    #[cfg(not(target_os = "linux"))]
    0
}

/// A mapping of a file's first page, executable, which `perf` records with the file's name.
pub(crate) struct Announced(*mut libc::c_void);

// SAFETY: the mapping is never accessed.
unsafe impl Send for Announced {}

/// Maps the beginning of a dump.
pub(crate) fn announce(file: &File) -> io::Result<Announced> {
    let (page, prot) = (super::map::page_size(), libc::PROT_READ | libc::PROT_EXEC);
    // SAFETY: a new mapping at an address of the kernel's choice.
    let at = unsafe { libc::mmap(ptr::null_mut(), page, prot, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(Announced(at)) }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // SAFETY: mapped by `announce`, and owned by this value.
        unsafe { libc::munmap(self.0, super::map::page_size()) };
    }
}
