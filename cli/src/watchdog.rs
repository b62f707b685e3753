//! `--timeout`: stops everything when the time is up.
//!
//! In: a duration, and from some moment on the interrupt handle of the store whose guest runs. Out: the end of the process, whatever it is at.
//! A guest is interrupted first, which it notices at its next call or loop iteration, and has a short grace to end with a trap; it may sit in
//! a host call instead (a blocking read). Where no thread can be had to wait, a timer of the system ends the process.

use crate::{exit, output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use vm::InterruptHandle;

/// How long an interrupted guest may take to notice.
const GRACE: Duration = Duration::from_millis(200);
/// The thread only sleeps and formats one message.
const STACK: usize = 64 << 10;

/// A running watchdog.
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    fired: AtomicBool,
    guest: OnceLock<InterruptHandle>,
}

impl Watchdog {
    /// Starts the clock, if there is a time; `what` is what is stopped.
    pub(crate) fn start(timeout: Option<Duration>, what: &str) -> Option<Watchdog> {
        let timeout = timeout?;
        let shared = Arc::new(Shared::default());
        let (theirs, words) = (shared.clone(), message(what, timeout));
        let builder = std::thread::Builder::new().name("watchdog".into()).stack_size(STACK);
        let last_words = words.clone();
        let started = builder.spawn(move || {
            std::thread::sleep(timeout);
            theirs.fired.store(true, Ordering::SeqCst);
            if let Some(guest) = theirs.guest.get() {
                guest.interrupt();
                std::thread::sleep(GRACE);
            }
            output::complain(&last_words);
            std::process::exit(exit::TIMEOUT);
        });
        if started.is_err() {
            vm::exit_after(timeout, &format!("vm: {words}\n"), exit::TIMEOUT);
        }
        Some(Watchdog { shared })
    }

    /// From now on a guest is to be interrupted before the process ends.
    pub(crate) fn guard(&self, guest: InterruptHandle) {
        let _ = self.shared.guest.set(guest);
    }

    /// Whether the time is up.
    pub(crate) fn fired(&self) -> bool {
        self.shared.fired.load(Ordering::SeqCst)
    }
}

/// What to say when the time is up.
pub(crate) fn message(what: &str, timeout: Duration) -> String {
    format!("{what}: stopped after {timeout:?} (--timeout)")
}
