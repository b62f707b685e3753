//! What is to be compiled, and the threads that do it.
//!
//! In: requests. Out: published code, or a function marked as refused. Threads start when there is work for them, hold a
//! module only while they work on it, and end with the engine; nobody waits for them. What promises the most for its size goes
//! first, and what is no longer hot when its turn comes is left until it is asked for again. When there is nothing to do, what has
//! been compiled is saved from time to time.

use super::compile::{draft, publish};
use crate::cache::save_in_background;
use crate::config::Config;
use crate::module::{Module, ModuleInner};
use crate::sys::on_stack;
use jit::Entry;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

/// A request that has waited for so long is dropped if the interpreter has not been seen in its function since: a program passes
/// through phases, and code of the last one only delays that of the present one.
const STALE: Duration = Duration::from_millis(30);
/// What a compilation costs whatever the size of the function, in bytes of a body that take as long.
const FIXED_COST: u64 = 200;
/// How much more a loop is worth than a function with as many samples: somebody is in it.
const LOOP_WORTH: u64 = 4;

/// Bytes of a body at most whose compilation somebody may be kept waiting for.
const AT_ONCE: u32 = 32 << 10;

/// Stack of a compiling thread: passes may recurse as deeply as a function nests.
pub(crate) const STACK: usize = 64 << 20;

/// How far the compilation of a function or loop has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum State {
    Cold = 0,
    Queued = 1,
    Done = 2,
    Refused = 3,
}

impl State {
    pub(crate) fn of(cell: &AtomicU8) -> State {
        match cell.load(Ordering::Relaxed) {
            0 => State::Cold,
            1 => State::Queued,
            2 => State::Done,
            _ => State::Refused,
        }
    }
}

/// One thing to compile.
pub(crate) struct Job {
    module: Weak<ModuleInner>,
    guarded: bool,
    own_func: u32,
    entry: Entry,
    /// Bytes of the function's body.
    size: u32,
    asked: Instant,
    /// Samples that the function had then.
    samples: u32,
    /// It is for the next run, as long as nobody calls the function in this one.
    ahead: bool,
}

impl Job {
    pub(crate) fn new(module: &Module, guarded: bool, own_func: u32, entry: Entry) -> Job {
        let size = module.inner.raw.bodies[own_func as usize].range().len() as u32;
        let samples = module.code(guarded).heat()[own_func as usize].samples.load(Ordering::Relaxed);
        let module = Arc::downgrade(&module.inner);
        Job { module, guarded, own_func, entry, size, asked: Instant::now(), samples, ahead: false }
    }

    /// The same for the next run.
    pub(crate) fn ahead(self) -> Job {
        Job { ahead: true, ..self }
    }

    /// Compiles and publishes, if the module is still there.
    fn run(&self) {
        let Some(module) = self.module() else { return };
        let done = draft(&module.inner, self.guarded, self.own_func, self.entry)
            .is_some_and(|d| publish(&module, self.guarded, vec![d]));
        self.set_state(&module, if done { State::Done } else { State::Refused });
    }

    fn set_state(&self, module: &Module, state: State) {
        let code = module.code(self.guarded);
        match self.entry {
            Entry::Function => code.heat()[self.own_func as usize].state.store(state as u8, Ordering::Relaxed),
            Entry::Loop(offset) => code.set_loop_state(self.own_func, offset, state as u8),
        }
    }

    /// The module, if it is still there.
    fn module(&self) -> Option<Module> {
        self.module.upgrade().map(|inner| Module { inner })
    }

    /// The place of the module in a list, where it is put if need be; none if it is gone.
    fn hold(&self, held: &mut Vec<Module>) -> Option<usize> {
        let is_it = |m: &Module| std::ptr::eq(Arc::as_ptr(&m.inner), self.module.as_ptr());
        if let Some(at) = held.iter().position(is_it) {
            return Some(at);
        }
        held.push(self.module()?);
        Some(held.len() - 1)
    }

    /// Samples of the function and how many of them were at its entry.
    fn heat(&self, module: &Module) -> (u32, u32) {
        let heat = &module.code(self.guarded).heat()[self.own_func as usize];
        (heat.samples.load(Ordering::Relaxed), heat.entries.load(Ordering::Relaxed))
    }

    /// How urgent it is: what is for this run first, by what it promises for its cost.
    fn urgency(&self, module: &Module) -> (bool, u64) {
        let (samples, entries) = self.heat(module);
        let worth = if self.entry == Entry::Function { 1 } else { LOOP_WORTH };
        let gain = ((u64::from(samples) * worth) << 24) / (u64::from(self.size) + FIXED_COST);
        (!self.ahead || entries > 0, gain)
    }

    /// Whether nothing has been seen of the function for a while; it may then be asked for again.
    fn is_stale(&self, module: &Module) -> bool {
        !self.ahead && self.asked.elapsed() > STALE && self.heat(module).0 == self.samples
    }
}

#[derive(Default)]
struct Pending {
    jobs: Vec<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

/// The requests of one engine.
#[derive(Default)]
pub(crate) struct Queue {
    pending: Mutex<Pending>,
    wake: Condvar,
}

impl Queue {
    /// Asks for a compilation, unless it has been asked for. Without threads it is done when this returns.
    pub(crate) fn request(self: &Arc<Self>, job: Job, state: &AtomicU8, config: &Config) {
        let queued = State::Queued as u8;
        if state.compare_exchange(State::Cold as u8, queued, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        if config.compile_threads == Some(0) {
            run_and_wait(job);
            return;
        }
        let mut pending = self.lock();
        pending.jobs.push(job);
        if pending.idle > 0 {
            self.wake.notify_one();
        } else if pending.threads == 0 || pending.threads < config.threads() {
            pending.threads += 1;
            let queue = self.clone();
            let builder = std::thread::Builder::new().name("compile".into()).stack_size(STACK);
            if builder.spawn(move || queue.work()).is_err() {
                // What runs goes on in the interpreter; a later request may have more luck.
                pending.threads -= 1;
            }
        }
    }

    /// What each thread does.
    fn work(&self) {
        let mut pending = self.lock();
        // What this thread has worked on and is not saved.
        let mut unsaved = None;
        let mut held = Vec::new();
        while !pending.closed {
            let job = pending.take(&mut held);
            drop(pending);
            held.clear();
            match job {
                Some(job) => {
                    job.run();
                    unsaved = Some(job.module);
                    pending = self.lock();
                }
                None => {
                    let inner = unsaved.as_ref().and_then(Weak::upgrade);
                    let again = inner.and_then(|inner| save_in_background(&Module { inner }));
                    pending = self.lock();
                    if pending.jobs.is_empty() && !pending.closed {
                        pending = self.idle(pending, again);
                    }
                }
            }
        }
    }

    /// Waits for work, or for a time to pass.
    fn idle<'a>(&self, mut pending: MutexGuard<'a, Pending>, at_most: Option<Duration>) -> MutexGuard<'a, Pending> {
        pending.idle += 1;
        let mut pending = match at_most {
            None => self.wake.wait(pending).unwrap_or_else(|e| e.into_inner()),
            Some(time) => self.wake.wait_timeout(pending, time).unwrap_or_else(|e| e.into_inner()).0,
        };
        pending.idle -= 1;
        pending
    }

    /// Ends the threads after what they are at.
    pub(crate) fn close(&self) {
        let mut pending = self.lock();
        pending.closed = true;
        pending.jobs.clear();
        if pending.threads > 0 {
            self.wake.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Pending {
    /// The most urgent job. What is left in `held` is to be dropped without the lock: with the last reference to a module its engine may
    /// go, which takes the lock.
    fn take(&mut self, held: &mut Vec<Module>) -> Option<Job> {
        self.jobs.retain(|j| j.module.strong_count() > 0);
        loop {
            let mut best = None;
            for (i, job) in self.jobs.iter().enumerate() {
                let Some(at) = job.hold(held) else { continue };
                best = best.max(Some((job.urgency(&held[at]), i, at)));
            }
            let (_, i, at) = best?;
            let job = self.jobs.swap_remove(i);
            if !job.is_stale(&held[at]) {
                return Some(job);
            }
            job.set_state(&held[at], State::Cold);
        }
    }
}

/// Compiles a function before this returns, unless that has been tried, or it is so long that it would be missed.
#[cold]
#[inline(never)]
pub(crate) fn compile_now(module: &Module, guarded: bool, own_func: u32) {
    let job = Job::new(module, guarded, own_func, Entry::Function);
    let state = &module.code(guarded).heat()[own_func as usize].state;
    let (cold, queued) = (State::Cold as u8, State::Queued as u8);
    if job.size <= AT_ONCE && state.compare_exchange(cold, queued, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        run_and_wait(job);
    }
}

/// Compiles on a thread of its own, whose stack is large enough, while the present one waits; if there is none, on such a stack.
fn run_and_wait(job: Job) {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("compile".into()).stack_size(STACK);
        if builder.spawn_scoped(scope, || job.run()).is_err() {
            // Without a stack the function stays in the interpreter.
            let _ = on_stack(STACK, || job.run());
        }
    });
}
