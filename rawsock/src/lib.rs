//! What of the system no safe library has. `SO_RCVLOWAT`: how many bytes must be there for a stream to count as readable; what a pipe
//! without a reader does to its writer; which descriptors programs that are started inherit. In: a borrowed socket, or nothing;
//! out: the host's answer. Invariant: the host reads and writes the one number that it is shown; nothing is closed.

use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd};

/// The length of the option's value as the host wants it.
const LEN: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;

/// Has a socket count as readable, and receiving calls that wait go on waiting, until so many bytes are there.
///
/// # Errors
/// The host's: the descriptor is no socket, or its kind has no such option.
pub fn set_receive_low_water(socket: impl AsFd, bytes: i32) -> Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open while it is borrowed, and the value is as long as the call says.
    let result = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, (&raw const bytes).cast(), LEN) };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// How many bytes must be there.
///
/// # Errors
/// As for [`set_receive_low_water`].
pub fn receive_low_water(socket: impl AsFd) -> Result<i32> {
    let fd = socket.as_fd().as_raw_fd();
    let (mut bytes, mut len): (libc::c_int, _) = (0, LEN);
    // SAFETY: as above; the host writes no more than the length it is shown.
    let result =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, (&raw mut bytes).cast(), &raw mut len) };
    if result == 0 { Ok(bytes) } else { Err(Error::last_os_error()) }
}

/// Has those who write to a pipe without a reader get an error in place of a signal that ends the process, unless somebody has
/// decided otherwise already.
pub fn survive_broken_pipes() {
    // SAFETY: the structure is plain data, and the host writes no more than it; `SIG_IGN` runs no code of ours.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut now) == 0 && now.sa_sigaction == libc::SIG_DFL {
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        }
    }
}

/// Has programs that this process starts from now on inherit the three standard descriptors only, out of those that are open now.
pub fn keep_descriptors_to_ourselves() {
    // SAFETY: descriptors are marked, none is closed.
    if unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) } == 0 {
        return;
    }
    // Before Linux 5.11 they are marked one by one.
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    for fd in open.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<libc::c_int>().ok()) {
        if fd > 2 {
            // SAFETY: as above; of a number that is not open any more the host says so.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_is_set_is_answered() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(receive_low_water(&socket).unwrap(), 1);
        set_receive_low_water(&socket, 100).unwrap();
        assert_eq!(receive_low_water(&socket).unwrap(), 100);
        assert!(receive_low_water(std::fs::File::open("/dev/null").unwrap()).is_err());
    }
}
