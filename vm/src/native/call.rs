//! From compiled code to the interpreter, to other instances and to the host: what exit adapters call.
//!
//! In: what is called, and the slots in which its arguments lie. Out: results in the same slots, or a failure with the
//! reason in the store, or the tail call with which the run ended. Everything runs on the native stack, of which the adapter
//! has found enough left.

use super::helpers::Answer;
use crate::instance::InstanceData;
use crate::interp::backtrace;
use crate::interp::code::Inst;
use crate::interp::dispatch::S;
use crate::interp::enter::run_guarded;
use crate::interp::exec::call::{HostOutcome, call_host, stubs};
use crate::runtime::context::{Slot, Unwind, VmContext, VmFuncRef};
use crate::store::StoreOpaque;
use crate::sys::{cross_tail, set_segment};
use crate::tier::queue::compile_now;
use jit::x64::adapter::{CALL_FAILED, CALL_RETURNED, CALL_TAIL};
use std::sync::atomic::{AtomicPtr, Ordering};

/// Calls the function whose native cell is given.
///
/// # Safety
/// To be called by exit adapters only.
pub(super) unsafe extern "C" fn call_own(ctx: *mut VmContext, cell: *const AtomicPtr<u8>, slots: *mut Slot) -> Answer {
    // SAFETY: the cell is one of the context's own, and there is a code cell for each.
    unsafe {
        let own = cell.offset_from((*ctx).native_cells) as usize;
        if (*(*ctx).store).nested >= DEEP {
            compile_callee(ctx, own as u32);
        }
        let entry = (*(*ctx).cells.add(own)).entry.load(Ordering::Acquire);
        let answer = run_nested(ctx, ctx, entry, slots);
        back_in(ctx);
        answer
    }
}

/// Calls a function of the host or of another instance.
///
/// # Safety
/// To be called by exit adapters only.
pub(super) unsafe extern "C" fn call_reference(ctx: *mut VmContext, f: *const VmFuncRef, slots: *mut Slot) -> Answer {
    // SAFETY: the reference is valid as long as the store.
    unsafe {
        let answer = if (*f).host.is_null() {
            if (*(*ctx).store).nested >= DEEP {
                let callee = (*f).context;
                compile_callee(callee, (*f).native.offset_from((*callee).native_cells) as u32);
            }
            let entry = (*(*f).cell).entry.load(Ordering::Acquire);
            run_nested((*f).context, ctx, entry, slots)
        } else {
            match call_host(ctx, f, slots) {
                HostOutcome::Returned => RETURNED,
                HostOutcome::Threw(exception) => {
                    (*(*ctx).store).unwind = Some(Unwind::Exception(exception));
                    FAILED
                }
                HostOutcome::Failed => FAILED,
            }
        };
        back_in(ctx);
        answer
    }
}

/// So many runs of the interpreter on top of each other's compiled code are too many: each takes some hundred bytes of native stack,
/// where frames of one kind take a few dozen. From then on what is called is compiled first.
const DEEP: u32 = 1000;

#[cold]
#[inline(never)]
unsafe fn compile_callee(ctx: *mut VmContext, own_func: u32) {
    // SAFETY: contexts are the first field of their instance.
    let (module, guarded) = unsafe { (&(*ctx.cast::<InstanceData>()).module, !(*ctx).mem0_base.is_null()) };
    compile_now(module, guarded, own_func);
}

/// Compiled code of the instance goes on: other code may have run meanwhile and had the segment for its own memory.
unsafe fn back_in(ctx: *mut VmContext) {
    // SAFETY: the context is a running one.
    unsafe {
        if (*(*ctx).store).segment != 0 {
            set_segment((*ctx).mem0_base);
        }
    }
}

const RETURNED: Answer = Answer { value: 0, status: CALL_RETURNED as u64 };
const FAILED: Answer = Answer { value: 0, status: CALL_FAILED as u64 };

/// Runs the interpreter until a function returns, on top of the present frames, for compiled code of the instance `caller`.
/// Where that would be a frame's only purpose, compiled code is not entered but handed to the adapter.
unsafe fn run_nested(ctx: *mut VmContext, caller: *mut VmContext, entry: *const Inst, slots: *mut Slot) -> Answer {
    // SAFETY: exit adapters pass the slots of the arguments, above everything that is in use.
    unsafe {
        let vm = (*ctx).store;
        let depth = (&(*vm).cross_calls).len();
        let state = S {
            ip: entry,
            fp: slots,
            mem: (*ctx).mem0_base,
            ctx,
            bg: (*vm).budget_left,
            r: (&raw const stubs().nested[1]) as u64,
            d: 0.0,
            f: 0.0,
        };
        (*vm).nested += 1;
        run_guarded(vm, state);
        (*vm).nested -= 1;
        // Runs within this one may have ended in tail calls too.
        let handed_over = std::mem::take(&mut (*vm).handed_over);
        if (*vm).unwind.is_some() {
            backtrace::walk(&mut *vm.cast::<StoreOpaque>(), slots, depth);
            (&mut (*vm).cross_calls).truncate(depth);
            return FAILED;
        }
        if !handed_over {
            return RETURNED;
        }
        let value = if (*vm).tail_context == caller { (*vm).tail_adapter as u64 } else { cross_tail() };
        Answer { value, status: u64::from(CALL_TAIL) }
    }
}
