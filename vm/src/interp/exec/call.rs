//! Calls: within a module, through references, across instances, to the host; and tail calls.
//!
//! A call passes the return address in the integer accumulator; the callee's first instruction stores it. The last word
//! of every call holds in x how many slots behind the caller's frame the callee's begins. A callee in another instance
//! returns to `CROSS_RETURN`, which finds the caller in the store's list of such calls.

use super::access;
use super::control::copy_slots;
use super::exception::{throw_handle, throw_in_caller};
use crate::error::Error;
use crate::instance::InstanceData;
use crate::interp::code::{CodeCell, Inst};
use crate::interp::dispatch::{Acc, Handler, Mem, S, Src, finish, handler};
use crate::interp::translate;
use crate::runtime::context::{CrossCall, TrapSite, Unwind, VmContext, VmFuncRef};
use crate::store::StoreOpaque;
use crate::trap::TrapKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

/// The word before a return stub says that the frame does not move.
const NO_MOVE: Inst = Inst { h: 0, a: 0, b: 0, x: 0 };

/// The return stubs, made at first use because addresses of functions are not constants.
pub(crate) struct Stubs {
    /// To the host.
    pub(crate) exit: [Inst; 2],
    /// To compiled code that has called the interpreter.
    pub(crate) nested: [Inst; 2],
    /// To a caller in another instance.
    pub(crate) cross: [Inst; 2],
}

impl Stubs {
    /// Where frames return to, in the order of the fields.
    pub(crate) fn returns(&self) -> [*const Inst; 3] {
        [&raw const self.exit[1], &raw const self.nested[1], &raw const self.cross[1]]
    }
}

/// The return stubs.
pub(crate) fn stubs() -> &'static Stubs {
    static STUBS: std::sync::OnceLock<Stubs> = std::sync::OnceLock::new();
    STUBS.get_or_init(|| {
        let stub = |h: Handler| [NO_MOVE, Inst { h: h as *const () as u64, a: 0, b: 0, x: 0 }];
        // Two of the same, to be told apart by their addresses.
        let exit = stub(super::control::exit);
        Stubs { exit, nested: exit, cross: stub(cross_return) }
    })
}

/// Goes to a function's code with the return address in the accumulator.
macro_rules! go_to_cell {
    ($s:ident, $cell:expr) => {{
        let cell: *const CodeCell = $cell;
        let entry = (*cell).entry.load(Ordering::Acquire);
        $s.go(entry)
    }};
}

handler! {
    /// Calls function a:b of the module's own.
    pub(crate) fn call(s) {
        let i = *s.inst();
        s.r = s.ip.add(1) as u64;
        s.fp = s.fp.add(i.x as usize);
        go_to_cell!(s, (*s.ctx).cells.add(i.ab() as usize))
    }
}

handler! {
    /// Calls imported function a:b.
    pub(crate) fn call_import(s) {
        let i = *s.inst();
        s.r = *(*s.ctx).imports.add(i.ab() as usize) as u64;
        s.ip = s.ip.add(1);
        s.leave(call_reference)
    }
}

/// Goes through a reference whose type has been checked.
macro_rules! go_through {
    ($s:ident, $reference:expr, $ret:expr) => {{
        let f: *const VmFuncRef = $reference;
        let ret: *const Inst = $ret;
        if (*f).context == $s.ctx {
            $s.fp = $s.fp.add((*ret.sub(1)).x as usize);
            $s.r = ret as u64;
            go_to_cell!($s, (*f).cell)
        } else {
            $s.r = f as u64;
            $s.ip = ret;
            $s.leave(call_reference)
        }
    }};
}

handler! {
    /// Index in a, table b, canonical type x.
    fn call_indirect<A: Src>(s) {
        let i = *s.inst();
        let table = *(*s.ctx).tables.add(i.b as usize);
        let Some(element) = access::element(table, A::get::<u64>(&s, i.a)) else { return s.trap(TrapKind::UndefinedElement) };
        let f = *element as *const VmFuncRef;
        if f.is_null() {
            return s.trap(TrapKind::UninitializedElement);
        }
        if (*f).type_id != i.x {
            s.r = f as u64;
            return s.leave(call_subtype);
        }
        go_through!(s, f, s.ip.add(2))
    }
}
pub(crate) const CALL_INDIRECT: &[Handler] = &[call_indirect::<Mem>, call_indirect::<Acc>];

/// Whether a reference's type is the wanted one or a subtype of it.
///
/// # Safety
/// The context must be a running one, the reference valid.
unsafe fn suits(s: &S, f: *const VmFuncRef, want: u32) -> bool {
    // SAFETY: contexts are the first field of their instance.
    unsafe {
        let d = &*s.ctx.cast::<InstanceData>();
        (*f).type_id == want || d.module.inner.engine.types().is_subtype(wasm::TypeId((*f).type_id), wasm::TypeId(want))
    }
}

handler! {
    /// The rest of `call_indirect` when the types are not the same.
    #[cold]
    #[inline(never)]
    fn call_subtype(s) {
        let f = s.r as *const VmFuncRef;
        let want = s.inst().x;
        if !suits(&s, f, want) {
            return s.trap(TrapKind::IndirectCallTypeMismatch);
        }
        go_through!(s, f, s.ip.add(2))
    }
}

handler! {
    /// Calls the reference in slot a.
    pub(crate) fn call_ref(s) {
        let f = *s.slot(s.inst().a) as *const VmFuncRef;
        if f.is_null() {
            return s.trap(TrapKind::NullFunctionReference);
        }
        go_through!(s, f, s.ip.add(1))
    }
}

/// How a host function came back.
pub(crate) enum HostOutcome {
    /// With its results.
    Returned,
    /// With an exception of this store, to be thrown where it was called.
    Threw(u64),
    /// With something else: the guest is to be left.
    Failed,
}

/// Calls a host function from an instruction of the interpreter.
///
/// # Safety
/// As [`call_host`].
#[inline(never)]
unsafe fn call_host_at(
    ctx: *mut VmContext,
    fp: *mut u64,
    f: *const VmFuncRef,
    args: *mut u64,
    site: *const Inst,
) -> HostOutcome {
    // SAFETY: the caller's contract.
    unsafe {
        let outcome = call_host(ctx, f, args);
        if let HostOutcome::Failed = outcome {
            (*(*ctx).store).site = Some(TrapSite { ip: site as usize, fp, context: ctx, returning: false });
        }
        outcome
    }
}

/// Calls a host function with its arguments at `args`.
///
/// # Safety
/// The reference must be to a host function, and its slots valid at `args`.
pub(crate) unsafe fn call_host(ctx: *mut VmContext, f: *const VmFuncRef, args: *mut u64) -> HostOutcome {
    // SAFETY: the caller's contract; the store outlives the run.
    unsafe {
        let host = &*(*f).host;
        let store = (*ctx).store;
        let outer = (*store).host_top;
        (*store).host_top = args.add(host.slots as usize);
        // References that the function is given, or makes, end with it.
        let roots = (&(*store.cast::<StoreOpaque>()).roots).as_ptr();
        let scope = (*roots).enter();
        let outcome = catch_unwind(AssertUnwindSafe(|| (host.call)(ctx, store, args)));
        (*store).host_top = outer;
        (*roots).leave(scope);
        (*store).unwind = match outcome {
            Ok(Ok(())) => return HostOutcome::Returned,
            Ok(Err(Error::Trap(t))) if t.exception.is_some_and(|(id, _)| id == (*store.cast::<StoreOpaque>()).id) => {
                return HostOutcome::Threw(t.exception.map_or(0, |e| e.1));
            }
            Ok(Err(e)) => Some(Unwind::Error(e)),
            Err(panic) => Some(Unwind::Panic(panic)),
        };
        HostOutcome::Failed
    }
}

handler! {
    /// Calls the reference in the accumulator, which is not of the running instance; `ip` is the return address.
    #[inline(never)]
    pub(crate) fn call_reference(s) {
        let f = s.r as *const VmFuncRef;
        let ret = s.ip;
        let to = s.fp.add((*ret.sub(1)).x as usize);
        if !(*f).host.is_null() {
            match call_host_at(s.ctx, s.fp, f, to, ret.sub(1)) {
                HostOutcome::Returned => {}
                HostOutcome::Threw(exception) => {
                    s.r = exception;
                    s.ip = ret.sub(1);
                    return s.leave(throw_handle);
                }
                HostOutcome::Failed => return finish(s),
            }
            load_result(&mut s, to);
            return s.go(ret);
        }
        if (*f).context != s.ctx {
            push_cross_call(s.ctx, ret as usize);
            s.ctx = (*f).context;
            s.mem = (*s.ctx).mem0_base;
            s.r = (&raw const stubs().cross[1]) as u64;
        } else {
            s.r = ret as u64;
        }
        s.fp = to;
        go_to_cell!(s, (*f).cell)
    }
}

/// Remembers a caller in another instance.
#[inline(never)]
unsafe fn push_cross_call(context: *mut VmContext, return_ip: usize) {
    // SAFETY: handlers' contract; nobody else refers to the list now.
    unsafe { (&mut (*(*context).store).cross_calls).push(CrossCall { context, return_ip }) }
}

/// After a call the accumulators hold the first result, whatever its type.
#[inline(always)]
pub(crate) unsafe fn load_result(s: &mut S, at: *const u64) {
    // SAFETY: callers pass the slot of the first result, which is valid stack even when there is no result.
    unsafe {
        s.r = *at;
        s.d = f64::from_bits(*at);
        s.f = f32::from_bits(*at as u32);
    }
}

handler! {
    /// Returns to a caller in another instance. The frame pointer is still the callee's.
    fn cross_return(s) {
        let store = (*s.ctx).store;
        // Each way here has pushed an entry.
        let Some(back) = (&mut (*store).cross_calls).pop() else { return s.trap(TrapKind::Unreachable) };
        s.ctx = back.context;
        s.mem = (*s.ctx).mem0_base;
        let ip = back.return_ip as *const Inst;
        s.fp = s.fp.sub((*ip.sub(1)).x as usize);
        s.go(ip)
    }
}

handler! {
    /// The first call of a function: translates it. `ip` is the stub in its cell.
    #[cold]
    #[inline(never)]
    pub(crate) fn lazy_entry(s) {
        let entry = translate_now(s.ctx, s.ip, s.fp, s.r);
        if entry.is_null() { finish(s) } else { s.go(entry) }
    }
}

/// Translates the function whose stub is `ip`; null when it cannot be, with the reason in the store. Its entry has not
/// run then: the return address is stored here, for the backtrace.
///
/// # Safety
/// As handlers.
#[inline(never)]
unsafe fn translate_now(ctx: *mut VmContext, ip: *const Inst, fp: *mut u64, ret: u64) -> *const Inst {
    // SAFETY: handlers' contract.
    unsafe {
        let module = &(*ctx.cast::<InstanceData>()).module;
        let own = (*ip).ab();
        let guarded = !(*ctx).mem0_base.is_null();
        let code = module.code(guarded);
        // There may be compiled code from a file, which has not been entered yet.
        if let Ok(true) = code.native.enter(module, guarded, own) {
            return (*code.cells().add(own as usize)).entry.load(Ordering::Acquire);
        }
        let why = match catch_unwind(AssertUnwindSafe(|| translate::translate_and_publish(module, own, guarded))) {
            Ok(Ok(entry)) => return entry,
            Ok(Err(e)) => Unwind::Error(e),
            Err(panic) => Unwind::Panic(panic),
        };
        let raw = &module.inner.raw;
        let ty = module.func_type(raw.funcs[(own + raw.imported_funcs()) as usize]);
        *fp.add(ty.param_slots() as usize) = ret;
        let store = (*ctx).store;
        (*store).unwind = Some(why);
        (*store).site = Some(TrapSite { ip: ip as usize, fp, context: ctx, returning: false });
        std::ptr::null()
    }
}

/// Moves a tail call's arguments to the frame's begin; answers where the frame returns to. The word `at` holds the
/// return address' slot in a, the number of argument slots in b, and the first in x.
#[inline(always)]
unsafe fn replace_frame(s: &S, at: *const Inst) -> u64 {
    // SAFETY: handlers' contract.
    unsafe {
        let w = *at;
        let ret = *s.slot(w.a);
        copy_slots(s.fp.add(w.x as usize), s.fp, w.b as usize);
        ret
    }
}

handler! {
    /// Tail-calls function a:b of the module's own.
    pub(crate) fn return_call(s) {
        s.r = replace_frame(&s, s.ip.add(1));
        let cell = (*s.ctx).cells.add(s.inst().ab() as usize);
        go_to_cell!(s, cell)
    }
}

handler! {
    /// Tail-calls imported function a:b.
    pub(crate) fn return_call_import(s) {
        let f = *(*s.ctx).imports.add(s.inst().ab() as usize);
        s.ip = s.ip.add(1);
        s.r = f as u64;
        s.leave(return_call_reference)
    }
}

handler! {
    /// Index in a, table b, canonical type x.
    pub(crate) fn return_call_indirect(s) {
        let i = *s.inst();
        let table = *(*s.ctx).tables.add(i.b as usize);
        let Some(element) = access::element(table, *s.slot(i.a)) else { return s.trap(TrapKind::UndefinedElement) };
        let f = *element as *const VmFuncRef;
        if f.is_null() {
            return s.trap(TrapKind::UninitializedElement);
        }
        if (*f).type_id != i.x && !suits(&s, f, i.x) {
            return s.trap(TrapKind::IndirectCallTypeMismatch);
        }
        s.r = f as u64;
        s.ip = s.ip.add(1);
        s.leave(return_call_reference)
    }
}

handler! {
    /// Tail-calls the reference in slot a.
    pub(crate) fn return_call_ref(s) {
        let f = *s.slot(s.inst().a) as *const VmFuncRef;
        if f.is_null() {
            return s.trap(TrapKind::NullFunctionReference);
        }
        s.r = f as u64;
        s.ip = s.ip.add(1);
        s.leave(return_call_reference)
    }
}

handler! {
    /// Tail-calls the reference in the accumulator; `ip` is the word that describes the frame.
    #[inline(never)]
    fn return_call_reference(s) {
        let f = s.r as *const VmFuncRef;
        let site = s.ip;
        let ret = replace_frame(&s, site);
        if !(*f).host.is_null() {
            match call_host_at(s.ctx, s.fp, f, s.fp, site) {
                HostOutcome::Returned => {}
                HostOutcome::Threw(exception) => {
                    s.r = exception;
                    s.ip = ret as *const Inst;
                    return s.leave(throw_in_caller);
                }
                HostOutcome::Failed => {
                    // The arguments may have overwritten it, and the backtrace reads it.
                    *s.slot((*site).a) = ret;
                    return finish(s);
                }
            }
            let results = s.fp;
            load_result(&mut s, results);
            let ip = ret as *const Inst;
            s.fp = s.fp.sub((*ip.sub(1)).x as usize);
            return s.go(ip);
        }
        s.r = ret;
        if (*f).context != s.ctx {
            let cross = (&raw const stubs().cross[1]) as u64;
            if ret != cross {
                push_cross_call(s.ctx, ret as usize);
                s.r = cross;
            }
            s.ctx = (*f).context;
            s.mem = (*s.ctx).mem0_base;
        }
        go_to_cell!(s, (*f).cell)
    }
}
