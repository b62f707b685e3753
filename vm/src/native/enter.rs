//! From the interpreter into compiled code.
//!
//! In: a frame of the interpreter whose parameters are in place, and a [`NativeEntry`] where a function's code cell leads.
//! Out: the run goes on in the caller with the results in slot 0 and on, or as after a trap or throw in the callee.
//! Invariant: the frame's return address is in its slot while compiled code runs, for backtraces and exceptions.

use super::stack::NativeStack;
use crate::interp::code::Inst;
use crate::interp::dispatch::{S, finish, handler};
use crate::interp::exec::call::{load_result, stubs};
use crate::interp::exec::exception::throw_in_caller;
use crate::runtime::context::{TrapSite, Unwind, VmContext, VmStore};
use crate::store::StoreOpaque;
use crate::sys::{ensure_signal_stack, enter_native_code};
use crate::trap::TrapKind;
use wasm::FuncType;

/// A compiled function as the interpreter calls it: an instruction with data behind it.
#[repr(C)]
pub(crate) struct NativeEntry {
    /// Its fields a and b hold the function's index among the module's own.
    pub(crate) inst: Inst,
    pub(crate) code: *const u8,
    /// Calls the code with parameters from slots.
    adapter: *const u8,
    /// Jumps to the code likewise.
    tail: *const u8,
    /// Slot of the return address.
    ret: u32,
    /// Slots that the frame needs for the return address and the results.
    slots: u32,
}

// SAFETY: the pointers lead to code memory, which is immutable.
unsafe impl Send for NativeEntry {}
// SAFETY: as above.
unsafe impl Sync for NativeEntry {}

impl NativeEntry {
    pub(crate) fn new(own_func: u32, ty: &FuncType, code: *const u8, adapter: *const u8, tail: *const u8) -> Self {
        let h = enter_native as *const () as u64;
        let inst = Inst { h, a: own_func as u16, b: (own_func >> 16) as u16, x: 0 };
        let ret = ty.param_slots();
        NativeEntry { inst, code, adapter, tail, ret, slots: (ret + 1).max(ty.result_slots()) }
    }
}

handler! {
    /// Where the code cell of a compiled function leads; the return address is in the integer accumulator.
    #[inline(never)]
    pub(crate) fn enter_native(s) {
        let entry = &*s.ip.cast::<NativeEntry>();
        let ret = s.r;
        *s.fp.add(entry.ret as usize) = ret;
        let [_, nested, cross] = stubs().returns();
        if ret == nested as u64 || (ret == cross as u64 && returns_to(s.ctx, nested)) {
            return s.leave(hand_over);
        }
        run(s, entry, ret)
    }
}

handler! {
    /// At a loop's first instruction, with the frame as labels find it: `r` is the address of the [`NativeEntry`] of its
    /// compiled code, which runs the rest of the function.
    #[inline(never)]
    pub(crate) fn enter_loop(s) {
        let entry = &*(s.r as *const NativeEntry);
        let ret = *s.fp.add(entry.ret as usize);
        run(s, entry, ret)
    }
}

/// Runs compiled code, then goes on where the frame returns to.
#[inline(always)]
unsafe fn run(mut s: S, entry: &NativeEntry, ret: u64) -> crate::interp::dispatch::Exit {
    // SAFETY: handlers' contract; the entry is that of a function of the context's module and stays as long as that.
    unsafe {
        let store = (*s.ctx).store;
        let outer = (*store).slot_top;
        let top = s.fp.wrapping_add(entry.slots as usize);
        if top > (*store).stack_limit {
            return s.trap(TrapKind::CallStackExhausted);
        }
        if (*store).native_top == 0 && !prepare(store) {
            s.r = ret;
            return s.leave(left);
        }
        (*store).slot_top = top;
        (*store).budget_left = s.bg;
        let returned = enter_native_code(s.fp, entry.code, entry.adapter, s.ctx, s.mem, store);
        (*store).slot_top = outer;
        s.bg = (*store).budget_left;
        s.r = ret;
        if !returned {
            return s.leave(left);
        }
        let ip = ret as *const Inst;
        let results = s.fp;
        load_result(&mut s, results);
        s.fp = s.fp.sub((*ip.sub(1)).x as usize);
        s.go(ip)
    }
}

handler! {
    /// After compiled code has been left for the reason in the store; `r` is the frame's return address.
    #[cold]
    #[inline(never)]
    fn left(s) {
        let store = (*s.ctx).store;
        s.ip = s.r as *const Inst;
        if let Some(Unwind::Exception(exception)) = (*store).unwind {
            (*store).unwind = None;
            s.r = exception;
            return s.leave(throw_in_caller);
        }
        (*store).site = Some(TrapSite { ip: s.ip as usize, fp: s.fp, context: s.ctx, returning: true });
        finish(s)
    }
}

handler! {
    /// The outermost frame of a nested run has become that of a compiled function (by a tail call, or because it was
    /// compiled just now): the run ends, and the exit adapter that began it goes on at the function's code.
    #[cold]
    #[inline(never)]
    fn hand_over(s) {
        let entry = &*s.ip.cast::<NativeEntry>();
        let store = (*s.ctx).store;
        (*store).budget_left = s.bg;
        (*store).tail_code = entry.code;
        (*store).tail_adapter = entry.tail;
        (*store).tail_context = s.ctx;
        (*store).handed_over = true;
        finish(s)
    }
}

/// Whether the innermost call across instances returns to that stub; it is over then.
#[cold]
#[inline(never)]
unsafe fn returns_to(ctx: *mut VmContext, stub: *const Inst) -> bool {
    // SAFETY: handlers' contract; nobody else refers to the list now.
    unsafe { (&mut (*(*ctx).store).cross_calls).pop_if(|c| c.return_ip == stub as usize).is_some() }
}

/// Gets the store ready for compiled code, at the first transition with stacks that know none; false with the reason in
/// the store.
#[cold]
#[inline(never)]
unsafe fn prepare(store: *mut VmStore) -> bool {
    // SAFETY: the store is at the start of the whole; no reference to it is alive while guest code runs.
    match unsafe { (*store.cast::<StoreOpaque>()).prepare_native() } {
        Ok(()) => true,
        Err(e) => {
            // SAFETY: as above.
            unsafe { (*store).unwind = Some(Unwind::Error(e)) };
            false
        }
    }
}

impl StoreOpaque {
    /// Sees to it that there is a native stack.
    fn prepare_native(&mut self) -> crate::Result<()> {
        ensure_signal_stack().map_err(|e| crate::Error::limit(format!("cannot have a signal stack: {e}")))?;
        // Guest code runs, so there are stacks.
        let Some(mut stacks) = self.stacks.take() else { return Err(crate::Error::api("no call is going on")) };
        let made = stacks.native().map(|native| self.adopt_native(native));
        self.stacks = Some(stacks);
        made
    }

    /// Lets everybody know the native stack.
    pub(crate) fn adopt_native(&mut self, stack: &NativeStack) {
        self.vm.native_top = stack.top();
        self.vm.native_size = stack.size();
        self.vm.native_limit = stack.limit();
        self.vm.emergency_top = stack.emergency_top();
        self.args = stack.args();
        for instance in self.instances.iter() {
            // SAFETY: instances live as long as the store; only this field is written.
            unsafe { (*instance.as_ptr()).context.args = self.args };
        }
    }
}
