//! Waiting on addresses: `memory.atomic.wait32/64` and `memory.atomic.notify`.
//!
//! Each shared memory has one lot. A waiter checks the value and enters its queue under the lot's lock, and a
//! notifier wakes under the same lock, so that no wake-up between check and sleep is lost.

use super::context::Interrupt;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How a wait ended; the numbers are the instruction's results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Waited {
    Woken = 0,
    NotEqual = 1,
    TimedOut = 2,
}

#[derive(Default)]
struct Waiter {
    woken: Mutex<bool>,
    wake: Condvar,
}

/// The queues of waiters of one memory, by byte address within it.
#[derive(Default)]
pub(crate) struct ParkingLot {
    queues: Mutex<HashMap<u64, Vec<Arc<Waiter>>>>,
}

/// How often a sleeper looks whether it has been interrupted.
const INTERRUPT_POLL: Duration = Duration::from_millis(20);

impl ParkingLot {
    /// Sleeps until notified, unless `equal` says no; `None` when interrupted (by flag or deadline).
    pub(crate) fn wait(
        &self,
        address: u64,
        timeout_ns: i64,
        equal: impl FnOnce() -> bool,
        interrupt: &Interrupt,
        deadline: Option<Instant>,
    ) -> Option<Waited> {
        let waiter = Arc::new(Waiter::default());
        {
            let mut queues = self.queues.lock().unwrap_or_else(|e| e.into_inner());
            if !equal() {
                return Some(Waited::NotEqual);
            }
            queues.entry(address).or_default().push(waiter.clone());
        }
        let until = u64::try_from(timeout_ns).ok().and_then(|ns| Instant::now().checked_add(Duration::from_nanos(ns)));
        let ended = Self::sleep(&waiter, until, interrupt, deadline);
        let mut queues = self.queues.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(queue) = queues.get_mut(&address) {
            queue.retain(|w| !Arc::ptr_eq(w, &waiter));
            if queue.is_empty() {
                queues.remove(&address);
            }
        }
        // A notifier that came between the timeout and this lock has counted this waiter as woken.
        let woken = *waiter.woken.lock().unwrap_or_else(|e| e.into_inner());
        if woken { Some(Waited::Woken) } else { ended }
    }

    fn sleep(
        waiter: &Waiter,
        until: Option<Instant>,
        interrupt: &Interrupt,
        deadline: Option<Instant>,
    ) -> Option<Waited> {
        let mut woken = waiter.woken.lock().unwrap_or_else(|e| e.into_inner());
        loop {
            let now = Instant::now();
            if *woken {
                return Some(Waited::Woken);
            }
            if until.is_some_and(|u| now >= u) {
                return Some(Waited::TimedOut);
            }
            if interrupt.flag.load(Ordering::Relaxed) || deadline.is_some_and(|d| now >= d) {
                return None;
            }
            let slice = until.map_or(INTERRUPT_POLL, |u| (u - now).min(INTERRUPT_POLL));
            woken = waiter.wake.wait_timeout(woken, slice).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    /// Wakes up to `count` waiters in the order they came; answers how many.
    pub(crate) fn notify(&self, address: u64, count: u32) -> u32 {
        let mut queues = self.queues.lock().unwrap_or_else(|e| e.into_inner());
        let Some(queue) = queues.get_mut(&address) else { return 0 };
        let n = queue.len().min(count as usize);
        for waiter in queue.drain(..n) {
            *waiter.woken.lock().unwrap_or_else(|e| e.into_inner()) = true;
            waiter.wake.notify_one();
        }
        if queue.is_empty() {
            queues.remove(&address);
        }
        n as u32
    }
}
