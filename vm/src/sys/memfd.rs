//! Files in memory that nobody changes any more.

use std::io;
use std::os::fd::OwnedFd;

/// Makes a file without a name of that length, has it filled, and seals it.
#[cfg(target_os = "linux")]
pub(crate) fn sealed_file(len: u64, fill: impl FnOnce(&std::fs::File) -> io::Result<()>) -> io::Result<OwnedFd> {
    use std::os::fd::{AsRawFd, FromRawFd};
    // SAFETY: the name is a C string; the answered descriptor is ours alone.
    let file = unsafe {
        let fd = libc::memfd_create(c"vm-image".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        std::fs::File::from_raw_fd(fd)
    };
    file.set_len(len)?;
    fill(&file)?;
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: the descriptor is open; sealing touches no memory of ours.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file.into())
}

/// A copy of so many bytes of a file, of which nobody can change or take away anything.
pub(crate) fn sealed_copy(file: &std::fs::File, len: u64) -> io::Result<std::fs::File> {
    let copy = |to: &std::fs::File| {
        let mut at = 0;
        while at < len {
            let left = usize::try_from(len - at).unwrap_or(usize::MAX);
            match rustix::fs::sendfile(to, file, Some(&mut at), left)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => continue,
            }
        }
        Ok(())
    };
    sealed_file(len, copy).map(Into::into)
}

/// There are no such files here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sealed_file(_: u64, _: impl FnOnce(&std::fs::File) -> io::Result<()>) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
