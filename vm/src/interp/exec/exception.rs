//! Exceptions: throwing, and finding who catches.
//!
//! The normal path costs nothing: a function's code carries a table of the ranges in which its `try` blocks are active,
//! which is only looked at when something is thrown. A thrown exception lives in the store's list; a clause that does not
//! hand out a reference to it ends its life.

use crate::instance::InstanceData;
use crate::interp::code::Inst;
use crate::interp::dispatch::{Exit, S, finish, handler};
use crate::interp::exec::call::stubs;
use crate::runtime::context::{TrapSite, Unwind, VmContext, VmStore};
use crate::runtime::exception::Exception;
use crate::runtime::gc::collect::collect_exceptions;
use crate::runtime::gc::object::Live;
use crate::trap::TrapKind;

/// What a clause does with the reference to the exception.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reference {
    /// Nothing: the exception is over.
    Drop,
    /// It comes after the values (`catch_ref`).
    After,
    /// Its slot lies before the values but is not used (legacy `catch` in a function without `rethrow`).
    DropBefore,
    /// It comes before the values (legacy `catch`).
    Before,
}

/// What a clause gets of the exception that it catches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    /// The first slot.
    pub(crate) slot: u32,
    /// Whether the values are wanted: clauses without a tag have no slots for them.
    pub(crate) values: bool,
    pub(crate) reference: Reference,
}

/// One catch clause.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    /// The tag it catches, or all.
    pub(crate) tag: Option<u32>,
    pub(crate) reference: Reference,
    /// Index of the instruction to go on at.
    pub(crate) target: u32,
}

/// The instructions in which a `try` block is active.
#[derive(Clone, Debug)]
pub(crate) struct TryRange {
    /// Tells blocks of a function apart.
    pub(crate) id: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Slot where the values (and the reference) go.
    pub(crate) slot: u32,
    pub(crate) clauses: Vec<Clause>,
    /// For `delegate`: the block whose clauses are next, or none of this function's.
    pub(crate) delegate: Option<Option<u32>>,
}

/// Where control goes on after a throw.
#[derive(Clone, Copy)]
pub(crate) struct Landing {
    ip: *const Inst,
    fp: *mut u64,
    context: *mut VmContext,
}

/// A place from which an exception is on its way: an instruction, or (`returning`) the return address of a frame that has
/// been left, `fp` still being that frame's.
#[derive(Clone, Copy)]
struct Place {
    ip: *const Inst,
    fp: *mut u64,
    context: *mut VmContext,
    returning: bool,
}

handler! {
    /// Throws an exception of tag a:b with values from slot x on.
    pub(crate) fn throw(s) {
        s.r = make(s.ip, s.fp, s.ctx);
        if s.r == 0 {
            return s.trap(TrapKind::TooManyExceptions);
        }
        s.leave(throw_handle)
    }
}

handler! {
    /// Throws the exception that slot a refers to.
    pub(crate) fn throw_ref(s) {
        let exception = *s.slot(s.inst().a);
        if exception == 0 {
            return s.trap(TrapKind::NullExceptionReference);
        }
        s.r = exception;
        s.leave(throw_handle)
    }
}

/// Makes the exception of a `throw`; zero when there are too many.
#[cold]
#[inline(never)]
unsafe fn make(ip: *const Inst, fp: *mut u64, ctx: *mut VmContext) -> u64 {
    // SAFETY: handlers' contract.
    unsafe {
        let d = &*ctx.cast::<InstanceData>();
        let tag = d.tag((*ip).ab());
        let slots = d.module.func_type((*tag).ty).param_slots() as usize;
        let first = fp.add((*ip).x as usize);
        collect_exceptions((*ctx).store, Live::up_to(first.add(slots)));
        let values = std::slice::from_raw_parts(first, slots);
        let limit = (*(*ctx).store).exceptions_limit();
        (&mut (*(*ctx).store).exceptions).add(Exception { tag, values: values.into() }, limit).unwrap_or(0)
    }
}

handler! {
    /// Throws the exception in the accumulator from the present instruction.
    #[cold]
    #[inline(never)]
    pub(crate) fn throw_handle(s) {
        go_on(s, false)
    }
}

handler! {
    /// As [`throw_handle`] for a frame that is gone: `ip` is its return address.
    #[cold]
    #[inline(never)]
    pub(crate) fn throw_in_caller(s) {
        go_on(s, true)
    }
}

/// Goes on where the exception in the accumulator is caught, or ends the run.
#[inline(always)]
unsafe fn go_on(mut s: S, returning: bool) -> Exit {
    // SAFETY: handlers' contract.
    unsafe {
        let landing = land(Place { ip: s.ip, fp: s.fp, context: s.ctx, returning }, s.r);
        if landing.ip.is_null() {
            return finish(s);
        }
        s.fp = landing.fp;
        s.ctx = landing.context;
        s.mem = (*s.ctx).mem0_base;
        s.go(landing.ip)
    }
}

/// Finds the clause that catches an exception and puts its values there; without one the store is told why the run ends.
#[inline(never)]
unsafe fn land(from: Place, exception: u64) -> Landing {
    // SAFETY: handlers' contract; references to exceptions lead to the store's list.
    unsafe {
        let store = (*from.context).store;
        let tag = (&(*store).exceptions).get(exception).tag;
        let mut at = from;
        let mut cross = (&(*store).cross_calls).len();
        let [exit, nested, cross_return] = stubs().returns();
        loop {
            if at.returning {
                if at.ip == exit || at.ip == nested {
                    break;
                }
                if at.ip == cross_return {
                    let Some(call) = cross.checked_sub(1).map(|i| (&(*store).cross_calls)[i]) else { break };
                    cross -= 1;
                    (at.context, at.ip) = (call.context, call.return_ip as *const Inst);
                }
                at.fp = at.fp.sub((*at.ip.sub(1)).x as usize);
            }
            let d = &*at.context.cast::<InstanceData>();
            let code = d.module.code(!(*at.context).mem0_base.is_null());
            let Some((own_func, inst)) = code.find(at.ip) else { break };
            let inst = inst - usize::from(at.returning && inst > 0);
            let matches = |t: u32| std::ptr::eq(d.tag(t), tag);
            if let Some((delivery, target)) = code.catch(at.ip, inst as u32, &matches) {
                (&mut (*store).cross_calls).truncate(cross);
                (*store).trace.clear();
                deliver(store, exception, at.fp, delivery);
                return Landing { ip: target, fp: at.fp, context: at.context };
            }
            let raw = &d.module.inner.raw;
            let ty = d.module.func_type(raw.funcs[(own_func + raw.imported_funcs()) as usize]);
            at.ip = *at.fp.add(ty.param_slots() as usize) as *const Inst;
            at.returning = true;
        }
        (*store).unwind = Some(Unwind::Exception(exception));
        let Place { ip, fp, context, returning } = from;
        (*store).site = Some(TrapSite { ip: ip as usize, fp, context, returning });
        Landing { ip: std::ptr::null(), fp: from.fp, context: from.context }
    }
}

/// Puts an exception's values into the slots of the clause that catches it.
unsafe fn deliver(store: *mut VmStore, exception: u64, fp: *mut u64, delivery: Delivery) {
    // SAFETY: the translator has kept slots for the values of the clause's tag and the reference.
    unsafe {
        let Delivery { slot, values: wanted, reference } = delivery;
        let to = fp.add(slot as usize);
        let list = &mut (*store).exceptions;
        let all: &[u64] = &list.get(exception).values;
        let values = if wanted { all } else { &[] };
        let before = matches!(reference, Reference::Before | Reference::DropBefore);
        let first = to.add(usize::from(before));
        for (i, v) in values.iter().enumerate() {
            *first.add(i) = *v;
        }
        match reference {
            Reference::After => {
                *first.add(values.len()) = exception;
                list.keep(exception);
            }
            Reference::Before => {
                *to = exception;
                list.keep(exception);
            }
            Reference::Drop | Reference::DropBefore => list.remove(exception),
        }
    }
}
