//! The guest's frames at a trap, from the slots alone.

use super::code::Inst;
use super::exec::call::stubs;
use super::translate;
use crate::instance::InstanceData;
use crate::runtime::context::{Slot, VmContext};
use crate::store::StoreOpaque;
use crate::trap::{Frame, Trap};

/// Frames kept at each end of a deep stack.
const KEPT: usize = 12;

/// One frame before names are looked up.
#[derive(Clone, Copy)]
struct RawFrame {
    context: *mut VmContext,
    own_func: u32,
    inst: usize,
}

/// Walks from the place the store has recorded down to the frame at `base`, whose run began with `depth` cross-instance
/// calls on record.
///
/// # Safety
/// Must be called right after that run has ended, before its slots are used again.
pub(super) unsafe fn capture(store: &mut StoreOpaque, base: *mut Slot, depth: usize, trap: &mut Trap) {
    let Some(site) = store.vm.site.take() else { return };
    let (mut first, mut last): (Vec<RawFrame>, std::collections::VecDeque<RawFrame>) = Default::default();
    let mut omitted = 0;
    let (mut ip, mut fp, mut context) = (site.ip as *const Inst, site.fp, site.context);
    let mut cross = store.vm.cross_calls.len();
    let exit = &raw const stubs().exit[1];
    let cross_return = &raw const stubs().cross[1];
    let mut returning = false;
    // SAFETY: the frames of the run lie untouched above `base`; every return address in them was stored by a function's
    // entry, or is read again below for the innermost frame, whose entry is its first instruction.
    unsafe {
        while fp >= base {
            let instance = &*context.cast::<InstanceData>();
            let module = &instance.module;
            let guarded = !(*context).mem0_base.is_null();
            let Some((own_func, inst)) = module.code(guarded).find(ip) else { break };
            let inst = if returning {
                // Only now is it known that the return address is one.
                fp = fp.sub((*ip.sub(1)).x as usize);
                inst.saturating_sub(1)
            } else {
                inst
            };
            let frame = RawFrame { context, own_func, inst };
            if first.len() < KEPT {
                first.push(frame);
            } else {
                last.push_back(frame);
                if last.len() > KEPT {
                    last.pop_front();
                    omitted += 1;
                }
            }
            let raw = &module.inner.raw;
            let ty = module.func_type(raw.funcs[(own_func + raw.imported_funcs()) as usize]);
            let mut ret = *fp.add(ty.param_slots() as usize) as *const Inst;
            if ret == exit {
                break;
            }
            if ret == cross_return {
                if cross <= depth {
                    break;
                }
                cross -= 1;
                let call = store.vm.cross_calls[cross];
                context = call.context;
                ret = call.return_ip as *const Inst;
            }
            ip = ret;
            returning = true;
        }
        trap.omitted = omitted;
        trap.backtrace = first.into_iter().chain(last).map(|f| describe(f)).collect();
    }
}

/// Looks up names and the offset in the module.
///
/// # Safety
/// The frame's context must be a live instance's.
unsafe fn describe(f: RawFrame) -> Frame {
    // SAFETY: the caller's contract.
    let (module, guarded) = unsafe { (&(*f.context.cast::<InstanceData>()).module, !(*f.context).mem0_base.is_null()) };
    let func_index = f.own_func + module.inner.raw.imported_funcs();
    Frame {
        module_name: module.name().map(Into::into),
        func_index,
        func_name: module.func_name(func_index),
        code_offset: translate::offset_of(module, f.own_func, guarded, f.inst),
    }
}
