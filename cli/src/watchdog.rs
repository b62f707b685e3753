//! `--timeout`: stops the guest from another thread.
//!
//! In: a duration and the store's interrupt handle. When the time is up the guest is interrupted, which it notices at
//! its next call or loop iteration. If it sits in a host call instead (a blocking read), the process ends after a short
//! grace.

use crate::{exit, output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use vm::InterruptHandle;

/// How long an interrupted guest may take to notice.
const GRACE: Duration = Duration::from_millis(200);
/// The thread only sleeps and formats one message.
const STACK: usize = 64 << 10;

/// A running watchdog.
pub(crate) struct Watchdog {
    fired: Arc<AtomicBool>,
}

impl Watchdog {
    /// Starts the clock.
    pub(crate) fn start(timeout: Duration, handle: InterruptHandle, file: String) -> std::io::Result<Watchdog> {
        let fired = Arc::new(AtomicBool::new(false));
        let flag = fired.clone();
        std::thread::Builder::new().name("watchdog".into()).stack_size(STACK).spawn(move || {
            std::thread::sleep(timeout);
            flag.store(true, Ordering::SeqCst);
            handle.interrupt();
            std::thread::sleep(GRACE);
            output::complain(&message(&file, timeout));
            std::process::exit(exit::TIMEOUT);
        })?;
        Ok(Watchdog { fired })
    }

    /// Whether the time is up.
    pub(crate) fn fired(&self) -> bool {
        self.fired.load(Ordering::SeqCst)
    }
}

/// What to say when the time is up.
pub(crate) fn message(file: &str, timeout: Duration) -> String {
    format!("{file}: stopped after {timeout:?} (--timeout)")
}
