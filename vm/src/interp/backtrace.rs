//! The guest's frames at a trap, from the slots alone.
//!
//! A run that ends early is left piece by piece: a run of the interpreter, compiled code that called it, the run that
//! entered that, and so on outwards. Each piece adds its frames to the store's trace while it is left; names and offsets
//! are looked up once, at the end.

use super::code::Inst;
use super::exec::call::stubs;
use super::translate;
use crate::instance::InstanceData;
use crate::module::{Module, ModuleInner};
use crate::runtime::context::Slot;
use crate::store::StoreOpaque;
use crate::trap::{Frame, Trap};
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames kept at each end of a deep stack.
const KEPT: usize = 12;

/// Where in its function a frame is.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// At an instruction of register code for guarded memory, or the other.
    Inst(bool, usize),
    /// At an offset in the module, if that is known.
    Wasm(Option<u32>),
}

/// One frame before names are looked up. Its module is that of an instance of the store.
#[derive(Clone, Copy)]
pub(crate) struct RawFrame {
    pub(crate) module: *const ModuleInner,
    pub(crate) own_func: u32,
    pub(crate) place: Place,
}

/// The frames left so far, innermost first: both ends of them.
#[derive(Default)]
pub(crate) struct Trace {
    first: Vec<RawFrame>,
    last: VecDeque<RawFrame>,
    omitted: usize,
}

impl Trace {
    pub(crate) fn push(&mut self, frame: RawFrame) {
        if self.first.len() < KEPT {
            self.first.push(frame);
            return;
        }
        self.last.push_back(frame);
        if self.last.len() > KEPT {
            self.last.pop_front();
            self.omitted += 1;
        }
    }

    /// Forgets the frames: what they were left for is over.
    pub(crate) fn clear(&mut self) {
        if !self.first.is_empty() {
            *self = Trace::default();
        }
    }
}

/// Adds the frames of a run to the trace, from the place the store has recorded down to the frame at `base`; the run began
/// with `depth` cross-instance calls on record.
///
/// # Safety
/// Must be called right after that run has ended, before its slots are used again.
pub(crate) unsafe fn walk(store: &mut StoreOpaque, base: *mut Slot, depth: usize) {
    let Some(site) = store.vm.site.take() else { return };
    if !store.vm.unwind.as_ref().is_some_and(crate::runtime::context::Unwind::is_traced) {
        return;
    }
    let (mut ip, mut fp, mut context) = (site.ip as *const Inst, site.fp, site.context);
    let mut returning = site.returning;
    let mut cross = store.vm.cross_calls.len();
    let [exit, nested, cross_return] = stubs().returns();
    // SAFETY: the frames of the run lie untouched above `base`; every return address in them was stored by a function's
    // entry, or is read again below for the innermost frame, whose entry is its first instruction.
    unsafe {
        loop {
            if returning {
                if ip == exit || ip == nested {
                    break;
                }
                if ip == cross_return {
                    if cross <= depth {
                        break;
                    }
                    cross -= 1;
                    let call = store.vm.cross_calls[cross];
                    (context, ip) = (call.context, call.return_ip as *const Inst);
                }
                // Only now is it known that the return address is one.
                fp = fp.sub((*ip.sub(1)).x as usize);
            }
            if fp < base {
                break;
            }
            let module = &(*context.cast::<InstanceData>()).module;
            let guarded = !(*context).mem0_base.is_null();
            let Some((own_func, inst)) = module.code(guarded).find(ip) else { break };
            let place = Place::Inst(guarded, inst - usize::from(returning && inst > 0));
            store.vm.trace.push(RawFrame { module: Arc::as_ptr(&module.inner), own_func, place });
            let raw = &module.inner.raw;
            let ty = module.func_type(raw.funcs[(own_func + raw.imported_funcs()) as usize]);
            ip = *fp.add(ty.param_slots() as usize) as *const Inst;
            returning = true;
        }
    }
}

/// Gives the trace to a trap.
///
/// # Safety
/// The modules of its frames must still be those of instances of the store.
pub(super) unsafe fn finish(store: &mut StoreOpaque, trap: &mut Trap) {
    let Trace { first, last, omitted } = std::mem::take(&mut store.vm.trace);
    trap.omitted = omitted;
    // SAFETY: the caller's contract.
    trap.backtrace = first.into_iter().chain(last).map(|f| unsafe { describe(f) }).collect();
}

/// Where a function's first operator is: what happens in its entry happens there.
fn first_operator(module: &Module, own_func: u32) -> u32 {
    let body = module.inner.raw.bodies[own_func as usize].range();
    let reader = wasmparser::BinaryReader::new(&module.inner.bytes[body.clone()], body.start as u64);
    let first = wasmparser::FunctionBody::new(reader).get_operators_reader().map(|ops| ops.original_position());
    first.unwrap_or_default() as u32
}

/// Looks up names and the offset in the module.
///
/// # Safety
/// The frame's module must be alive.
unsafe fn describe(f: RawFrame) -> Frame {
    // SAFETY: the pointer came from an `Arc`, of which the store still holds one.
    let module = unsafe {
        Arc::increment_strong_count(f.module);
        Module { inner: Arc::from_raw(f.module) }
    };
    let func_index = f.own_func + module.inner.raw.imported_funcs();
    Frame {
        module_name: module.name().map(Into::into),
        func_index,
        func_name: module.func_name(func_index),
        code_offset: match f.place {
            Place::Inst(guarded, inst) => translate::offset_of(&module, f.own_func, guarded, inst),
            Place::Wasm(offset) => offset.map(|o| o.max(first_operator(&module, f.own_func))),
        },
    }
}
