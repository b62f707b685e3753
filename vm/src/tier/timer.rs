//! Lets running code look when a deadline has passed.
//!
//! In: deadlines of stores. Out: polling of each store's flag, asked for once its moment has come. One thread per engine, started
//! by the first deadline, ending with the engine.

use crate::runtime::context::Interrupt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::Instant;

/// The thread only waits.
const STACK: usize = 64 << 10;

#[derive(Default)]
struct Pending {
    deadlines: Vec<(Instant, Weak<Interrupt>)>,
    running: bool,
    closed: bool,
}

/// The deadlines of one engine.
#[derive(Default)]
pub(crate) struct Timer {
    pending: Mutex<Pending>,
    wake: Condvar,
}

impl Timer {
    /// Sets a store's deadline in the place of an earlier one.
    pub(crate) fn set(self: &Arc<Self>, deadline: Instant, store: &Arc<Interrupt>) {
        let mut pending = self.lock();
        pending.deadlines.retain(|(_, s)| s.strong_count() > 0 && !std::ptr::eq(s.as_ptr(), Arc::as_ptr(store)));
        pending.deadlines.push((deadline, Arc::downgrade(store)));
        if pending.running {
            self.wake.notify_one();
            return;
        }
        let timer = self.clone();
        let builder = std::thread::Builder::new().name("deadlines".into()).stack_size(STACK);
        // Without it the interpreter and calls of the host still see the deadline.
        pending.running = builder.spawn(move || timer.work()).is_ok();
    }

    fn work(&self) {
        let mut pending = self.lock();
        while !pending.closed {
            let now = Instant::now();
            pending.deadlines.retain(|(at, store)| {
                if *at > now {
                    return true;
                }
                if let Some(store) = store.upgrade() {
                    store.poll(true);
                }
                false
            });
            let ignore = |e: std::sync::PoisonError<_>| e.into_inner();
            pending = match pending.deadlines.iter().map(|d| d.0).min() {
                None => self.wake.wait(pending).unwrap_or_else(ignore),
                Some(next) => {
                    let left = next.saturating_duration_since(now);
                    self.wake.wait_timeout(pending, left).map_or_else(|e| e.into_inner().0, |w| w.0)
                }
            };
        }
    }

    /// Ends the thread.
    pub(crate) fn close(&self) {
        let mut pending = self.lock();
        pending.closed = true;
        if pending.running {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(|e| e.into_inner())
    }
}
