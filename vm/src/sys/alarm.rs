//! The end of the process at a moment, without a thread that waits for it.
//!
//! In: how long it may go on, its last words and its exit code. Out: a timer of the system whose signal ends the process.

use std::sync::OnceLock;
use std::time::Duration;

/// What is done when the time is up.
struct End {
    words: Box<[u8]>,
    code: i32,
}

static END: OnceLock<End> = OnceLock::new();

/// Ends the process when the time is up, whatever it does then: for hosts that can have no thread that would do it. It can be set once.
/// Returns whether it has been. The alarm signal (`SIGALRM`) is used for it.
pub fn exit_after(time: Duration, words: &str, code: i32) -> bool {
    if END.set(End { words: words.as_bytes().into(), code }).is_err() {
        return false;
    }
    // A timer of zero would be none.
    let time = time.max(Duration::from_micros(1));
    // SAFETY: `ring` is async-signal-safe; the structures are valid for the calls.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ring as *const () as usize;
        action.sa_flags = libc::SA_ONSTACK;
        let mut timer: libc::itimerval = std::mem::zeroed();
        timer.it_value.tv_sec = libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX);
        timer.it_value.tv_usec = time.subsec_micros() as libc::suseconds_t;
        libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()) == 0
            && libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) == 0
    }
}

extern "C" fn ring(_: libc::c_int) {
    if let Some(end) = END.get() {
        // SAFETY: both calls may be made in signal handlers; the words stay where they are.
        unsafe {
            libc::write(2, end.words.as_ptr().cast(), end.words.len());
            libc::_exit(end.code)
        }
    }
}
