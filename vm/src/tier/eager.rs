//! All functions of a module at once: before it runs (`Tier::Jit`), or for a file.

use super::compile::{Draft, draft, publish};
use super::log::Entered;
use super::queue::STACK;
use crate::cache::Progress;
use crate::module::Module;
use crate::native::code::Compiled;
use crate::sys::on_stack;
use jit::Entry;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Fewer functions than these are not worth another thread.
const PER_THREAD: usize = 16;

/// Compiles every function of a module that has no code yet, in parallel, and publishes what could be compiled.
pub(crate) fn compile_all(module: &Module, guarded: bool) {
    let missing = module.code(guarded).native.missing();
    publish(module, guarded, compile(module, guarded, missing, &|_| {}));
}

/// Compiles functions in parallel; what could be compiled, in order.
pub(crate) fn compile(
    module: &Module,
    guarded: bool,
    functions: Vec<u32>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Vec<Draft> {
    let total = functions.len();
    let threads = module.inner.engine.config().eager_threads().clamp(1, total.div_ceil(PER_THREAD).max(1));
    let (next, drafts) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(total)));
    let (done, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    let most = module.inner.engine.config().max_code.unwrap_or(u64::MAX);
    let work = || {
        let mut own = Vec::new();
        while let Some(&f) = functions.get(next.fetch_add(1, Ordering::Relaxed)) {
            // What is not published is not made either.
            let room = bytes.load(Ordering::Relaxed) < most;
            let made = room.then(|| draft(&module.inner, guarded, f, Entry::Function)).flatten();
            bytes.fetch_add(made.as_ref().map_or(0, Draft::bytes), Ordering::Relaxed);
            own.extend(made);
            progress(Progress { done: done.fetch_add(1, Ordering::Relaxed) + 1, total });
        }
        drafts.lock().unwrap_or_else(|e| e.into_inner()).extend(own);
    };
    std::thread::scope(|scope| {
        for i in 0..threads {
            let builder = std::thread::Builder::new().name(format!("compile {i}")).stack_size(STACK);
            if builder.spawn_scoped(scope, work).is_err() {
                // Whoever waits can do it: all of it, if there is no other thread.
                if i == 0 {
                    let _ = on_stack(STACK, work);
                }
                break;
            }
        }
    });
    let mut drafts = drafts.into_inner().unwrap_or_else(|e| e.into_inner());
    drafts.sort_by_key(|d| d.compiled.own_func);
    drafts
}

/// The code of functions that are not published but kept, which is entered in the log.
pub(crate) fn finish(module: &Module, drafts: Vec<Draft>) -> Vec<Compiled> {
    let entered: Vec<Entered> = drafts.iter().map(Entered::of).collect();
    module.inner.engine.log().published(module, module.inner.origin.guarded, entered);
    drafts.into_iter().map(|d| d.compiled).collect()
}
