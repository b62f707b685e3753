//! Linux only. In: borrowed host descriptors; out: `rustix` results.
//! Invariant: nothing here resolves a path: names reach the kernel with `O_PATH` descriptors or as single components.

use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::fs::{Advice, AtFlags, CWD, FallocateFlags, FileType, OFlags, RawDir, SeekFrom, Timestamps};
use rustix::io::{Errno, Result};

/// Opens a file only to name it: no permission on the file itself is needed, and nothing happens to a device.
pub(crate) const NAME_ONLY: OFlags = OFlags::PATH;

/// How much of a directory is asked of the kernel at once.
const LISTING_BUFFER: usize = 8 * 1024;

/// One entry of a directory, as [`list`] passes it on.
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) ino: u64,
    pub(crate) file_type: FileType,
    /// Where the listing goes on after this entry.
    pub(crate) next: u64,
}

/// Passes the entries of a directory that come after `position` (0: all) to `visit` until that returns false.
/// Positions are the kernel's own, so they stay good while entries come and go.
pub(crate) fn list(dir: BorrowedFd<'_>, position: u64, mut visit: impl FnMut(Entry<'_>) -> bool) -> Result<()> {
    rustix::fs::seek(dir, SeekFrom::Start(position))?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); LISTING_BUFFER];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            // The directory was removed while open: it has no entries any more.
            Err(Errno::NOENT) => break,
            entry => entry?,
        };
        let visited = Entry {
            name: entry.file_name().to_bytes(),
            ino: entry.ino(),
            file_type: entry.file_type(),
            next: entry.next_entry_cookie(),
        };
        if !visit(visited) {
            break;
        }
    }
    Ok(())
}

/// Sets the times of what an `O_PATH` descriptor names.
pub(crate) fn set_times_by_name(file: BorrowedFd<'_>, times: &Timestamps) -> Result<()> {
    match rustix::fs::utimensat(file, "", times, AtFlags::EMPTY_PATH) {
        // Before Linux 5.8 the empty path is refused, and the descriptor's link in /proc is the way.
        Err(Errno::INVAL | Errno::NOENT) => {
            rustix::fs::utimensat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), times, AtFlags::empty())
        }
        result => result,
    }
}

/// Whether a file is one of those that show processes and the system (`/proc`).
pub(crate) fn shows_processes(file: BorrowedFd<'_>) -> Result<bool> {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    Ok(rustix::fs::fstatfs(file)?.f_type as u64 == PROC_SUPER_MAGIC)
}

/// A path of an open file, if the system tells one.
pub(crate) fn name_of(file: BorrowedFd<'_>) -> Option<PathBuf> {
    let name = rustix::fs::readlinkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new()).ok()?;
    Some(PathBuf::from(OsString::from_vec(name.into_bytes())))
}

/// A path by which an open directory or file is reached whatever has become of its names, as long as it is open.
pub(crate) fn path_of(file: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Reserves room for a range of a file and makes the file at least that long.
pub(crate) fn allocate(file: BorrowedFd<'_>, offset: u64, len: u64) -> Result<()> {
    rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), offset, len))
}

/// Passes a hint on; `advice` is the interface's number.
pub(crate) fn advise(file: BorrowedFd<'_>, offset: u64, len: u64, advice: u32) -> Result<()> {
    const ADVICE: [Advice; 6] =
        [Advice::Normal, Advice::Sequential, Advice::Random, Advice::WillNeed, Advice::DontNeed, Advice::NoReuse];
    let advice = *ADVICE.get(advice as usize).ok_or(Errno::INVAL)?;
    rustix::fs::fadvise(file, offset, NonZeroU64::new(len), advice)
}
