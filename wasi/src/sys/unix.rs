//! Waiting on and duplicating host descriptors. In: borrowed descriptors; out: readiness.
//! Invariant: an interrupted call is taken up again, since a guest has no signals that could have caused it.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{Errno, Result, fcntl_dupfd_cloexec, retry_on_intr};

/// Waits until one of `events`, an error or a hang-up is there, or for so long; whether there is.
pub(crate) fn wait_for(fd: BorrowedFd<'_>, events: PollFlags, timeout: Option<Duration>) -> Result<bool> {
    let end = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        // Whoever set a timeout beyond what a clock shows waits without one.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::from_borrowed_fd(fd, events)], left.as_ref()) {
            Err(Errno::INTR) => {}
            ready => return ready.map(|ready| ready > 0),
        }
    }
}

/// Waits until one of `events`, an error or a hang-up is there.
pub(crate) fn wait(fd: BorrowedFd<'_>, events: PollFlags) -> Result<()> {
    retry_on_intr(|| poll(&mut [PollFd::from_borrowed_fd(fd, events)], None)).map(drop)
}

/// Whether one of `events`, an error or a hang-up is there now.
pub(crate) fn is_ready(fd: BorrowedFd<'_>, events: PollFlags) -> Result<bool> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    retry_on_intr(|| poll(&mut [PollFd::from_borrowed_fd(fd, events)], Some(&now))).map(|ready| ready > 0)
}

/// Repeats `call` while it is interrupted and, unless `nonblocking`, while it would block; waits in between.
/// The host's own descriptor may be non-blocking because another process made it so; where it is not, it was a timeout
/// of the socket's own that ran out.
pub(crate) fn until_done<T>(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    nonblocking: bool,
    mut call: impl FnMut() -> Result<T>,
) -> Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if !nonblocking && fcntl_getfl(fd)?.contains(OFlags::NONBLOCK) => wait(fd, events)?,
            result => return result,
        }
    }
}

/// A descriptor of our own for the same open file, above the three of stdio.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    fcntl_dupfd_cloexec(fd, 3)
}
