//! Threads for work that is cut into pieces.
//!
//! Out: a pool, started when it is first asked for. Where no thread is to be had there is none, and the work is done by the one that asks.

use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;

/// The pool, if it helps.
pub(crate) fn pool() -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let several = || std::thread::available_parallelism().is_ok_and(|n| n.get() > 1);
    let start = || several().then(|| ThreadPoolBuilder::new().build().ok()).flatten();
    POOL.get_or_init(start).as_ref()
}
