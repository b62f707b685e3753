//! All functions of a module at once, before it runs (`Tier::Jit`).

use super::compile::{draft, publish};
use super::queue::STACK;
use crate::module::Module;
use jit::Entry;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Fewer functions than these are not worth another thread.
const PER_THREAD: usize = 16;

/// Compiles every function of a module, in parallel, and publishes what could be compiled.
pub(crate) fn compile_all(module: &Module, guarded: bool) {
    let count = module.inner.raw.bodies.len();
    let threads = module.inner.engine.config().threads().clamp(1, count.div_ceil(PER_THREAD).max(1));
    let (next, drafts) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    let work = || {
        let mut own = Vec::new();
        loop {
            let f = next.fetch_add(1, Ordering::Relaxed);
            if f >= count {
                break;
            }
            own.extend(draft(&module.inner, guarded, f as u32, Entry::Function));
        }
        drafts.lock().unwrap_or_else(|e| e.into_inner()).extend(own);
    };
    std::thread::scope(|scope| {
        for i in 0..threads {
            let builder = std::thread::Builder::new().name(format!("compile {i}")).stack_size(STACK);
            // Without a single thread nothing is compiled, and the interpreter runs it all.
            if builder.spawn_scoped(scope, work).is_err() {
                break;
            }
        }
    });
    let mut drafts = drafts.into_inner().unwrap_or_else(|e| e.into_inner());
    drafts.sort_by_key(|d| d.compiled.own_func);
    publish(module, guarded, drafts);
}
