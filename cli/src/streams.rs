//! The three standard descriptors.
//!
//! In: the process as it was started. Out: descriptors 0, 1 and 2 open. Invariant: no file, socket or directory that is opened later gets
//! one of their numbers, so that no message ever goes into what is the guest's.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::stdio::{stderr, stdin, stdout};
use std::os::fd::IntoRawFd;

/// Opens those that are closed: empty to read, and swallowing what is written.
pub(crate) fn fill() -> rustix::io::Result<()> {
    let nothing = PollFlags::empty();
    let mut three = [
        PollFd::from_borrowed_fd(stdin(), nothing),
        PollFd::from_borrowed_fd(stdout(), nothing),
        PollFd::from_borrowed_fd(stderr(), nothing),
    ];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut three, Some(&now)) == Ok(0) {
        return Ok(());
    }
    let closed = three.iter().filter(|fd| fd.revents().contains(PollFlags::NVAL)).count();
    for _ in 0..closed {
        // The lowest free number is given out, which is one of the three. Without devices, a directory can be neither read nor
        // written to.
        let null = open("/dev/null", OFlags::RDWR, Mode::empty());
        let fd = null.or_else(|_| open("/", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()))?;
        let _ = fd.into_raw_fd();
    }
    Ok(())
}
