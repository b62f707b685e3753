//! Files mapped for reading.
//!
//! In: an open file. Out: its bytes. Invariant: the mapping is never writable; it shows the file, so that whoever maps one must
//! know that it is replaced when it changes and not written to (as all files of the code cache are).

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// A whole file in memory, with the file.
pub(crate) struct MappedFile {
    base: NonNull<u8>,
    len: usize,
    file: File,
}

// SAFETY: the mapping is only read.
unsafe impl Send for MappedFile {}
// SAFETY: as above.
unsafe impl Sync for MappedFile {}

impl MappedFile {
    /// Maps so many bytes, which is the file's length.
    pub(crate) fn new(file: File, len: usize) -> io::Result<MappedFile> {
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base =
            unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(MappedFile { base, len, file })
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

impl Deref for MappedFile {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is readable and lives as long as this value.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new` and is owned by this value.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
