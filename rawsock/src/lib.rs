//! The one socket option that no safe library has: `SO_RCVLOWAT`, how many bytes must be there for a stream to count as
//! readable. In: a borrowed socket; out: the host's answer. Invariant: the host reads and writes the one number that it
//! is shown.

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
