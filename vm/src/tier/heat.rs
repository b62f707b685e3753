//! What is hot: samples of the interpreter, taken whenever its budget is used up.
//!
//! In: the instruction at which it then is. Out: requests to compile, and for a back edge whose loop has been compiled
//! the code to go on in. A function's samples are counted together; one at a back edge counts for the loop as well.
//!
//! The function comes first; its loops are compiled too while nobody is seen to enter it (a main loop), or when samples go
//! on after it has been compiled, which then come from frames older than its code.

use super::queue::{Job, State};
use crate::config::Config;
use crate::instance::InstanceData;
use crate::interp::code::{Inst, Loop, ModuleCode};
use crate::native::enter::NativeEntry;
use crate::runtime::context::VmContext;
use jit::Entry;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// How much longer the interpreter goes on unobserved where the compiler refused to help.
const REFUSED_FACTOR: i64 = 16;
/// Samples of a loop in a compiled function after which the loop is compiled as well.
const LATE: u8 = 2;
/// Samples after which a loop counts as iterating.
const ITERATES: u32 = 2;

/// What is known of one function.
#[derive(Default)]
pub(crate) struct FuncHeat {
    pub(crate) samples: AtomicU32,
    /// How many of them were at its entry.
    pub(crate) entries: AtomicU32,
    /// A [`State`].
    pub(crate) state: AtomicU8,
}

/// What comes of a sample.
pub(crate) struct Sample {
    /// Compiled code to go on in, or null.
    pub(crate) native: *const NativeEntry,
    /// The interpreter's next budget.
    pub(crate) budget: i64,
}

/// Takes a sample at an instruction that a call or a back edge leads to.
///
/// # Safety
/// The context must be a running one.
#[cold]
#[inline(never)]
pub(crate) unsafe fn sample(ctx: *mut VmContext, ip: *const Inst, budget: i64) -> Sample {
    // SAFETY: contexts are the first field of their instance.
    let (d, guarded) = unsafe { (&*ctx.cast::<InstanceData>(), !(*ctx).mem0_base.is_null()) };
    let module = &d.module;
    let code = module.code(guarded);
    let none = Sample { native: std::ptr::null(), budget };
    let Some((own_func, loops, header)) = code.place(ip) else { return none };
    let heat = &code.heat()[own_func as usize];
    let samples = heat.samples.fetch_add(1, Ordering::Relaxed) + 1;
    let config = module.inner.engine.config();
    let job = |entry| Job::new(module, guarded, own_func, entry);
    let queue = module.inner.engine.queue();
    let at = if header { loops.last().copied() } else { None };
    let enough = config.samples();
    match at {
        None => {
            heat.entries.fetch_add(1, Ordering::Relaxed);
        }
        Some(l) => {
            l.heat.fetch_add(1, Ordering::Relaxed);
            if let Some(l) = wanted_loop(heat, samples >= enough, &loops, config) {
                queue.request(job(Entry::Loop(l.offset)), &l.state, config);
                // The next run enters the function, for which this one need not.
                if config.cache.is_some() && config.threshold > 0 {
                    queue.request(job(Entry::Function).ahead(), &heat.state, config);
                }
            }
        }
    }
    if samples >= enough && config.threshold > 0 {
        queue.request(job(Entry::Function), &heat.state, config);
    }
    let native = at.map_or(std::ptr::null(), |l| l.native.load(Ordering::Acquire).cast_const());
    let refused = State::of(&heat.state) == State::Refused;
    Sample { native, budget: if refused { budget * REFUSED_FACTOR } else { budget } }
}

/// The loop from which on the rest of a function is to be compiled now, if one of its back edges is not the first to be seen:
/// the outermost that is seen iterating, because code that is entered there is as good as the function's own.
fn wanted_loop<'a>(heat: &FuncHeat, hot: bool, loops: &[&'a Loop], config: &Config) -> Option<&'a Loop> {
    let innermost = loops.last()?;
    let wanted = match State::of(&heat.state) {
        _ if config.threshold == 0 => return Some(innermost),
        State::Refused => false,
        State::Done => innermost.late.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= LATE,
        State::Cold | State::Queued => hot && heat.entries.load(Ordering::Relaxed) == 0,
    };
    // A loop that has been asked for will do.
    if !wanted || loops.iter().any(|l| State::of(&l.state) != State::Cold) {
        return None;
    }
    let iterates = |l: &&&Loop| l.heat.load(Ordering::Relaxed) >= ITERATES;
    loops.iter().find(iterates).or(loops.last()).copied()
}

impl ModuleCode {
    /// The heat of own functions, made when first asked for.
    pub(crate) fn heat(&self) -> &[FuncHeat] {
        self.heat.get_or_init(|| (0..self.funcs()).map(|_| FuncHeat::default()).collect())
    }
}
