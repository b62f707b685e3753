//! What a closed pipe does to this process: it ends it quietly, as it ends any other command.
//!
//! Rust's runtime makes the system ignore SIGPIPE, so that a guest whose output nobody reads any more would go on, or
//! complain about it.

/// Restores the system's own treatment of SIGPIPE. Called first in `main`.
pub(crate) fn end_quietly_when_closed() {
    // SAFETY: no other thread runs yet, and the default disposition involves no handler of ours.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}
