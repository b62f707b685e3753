//! The structures that running code reaches from its context pointer.
//!
//! All are `#[repr(C)]` and agree with `wasm::layout`, which is asserted below. They are reached through raw
//! pointers: everything here lives in boxes owned by a store and keeps its address until the store is dropped.

use super::gc::types::ObjectType;
use super::memory::LinearMemory;
use super::table::TableData;
use crate::error::Error;
use crate::interp::code::CodeCell;
use crate::trap::TrapKind;
use smallvec::SmallVec;
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use wasm::{HeldTypes, layout};

/// A 64-bit cell of a frame, table or global.
pub(crate) type Slot = u64;

/// One instance as running code sees it; the first field of [`crate::instance::InstanceData`].
#[repr(C, align(16))]
pub(crate) struct VmContext {
    pub(crate) store: *mut VmStore,
    pub(crate) mem0_base: *mut u8,
    pub(crate) cells: *const CodeCell,
    pub(crate) imports: *const *const VmFuncRef,
    pub(crate) globals: *const *mut VmGlobal,
    pub(crate) memories: *const *mut LinearMemory,
    pub(crate) tables: *const *mut TableData,
    pub(crate) func_refs: *mut VmFuncRef,
    /// Addresses of the helpers of compiled code.
    pub(crate) helpers: *const *const (),
    /// The store's argument area, once compiled code has run in it.
    pub(crate) args: *mut u8,
    /// Not zero when there is a reason to look at the store's flag and deadline: what compiled code polls.
    pub(crate) interrupt: AtomicU64,
    /// Native cells of own functions.
    pub(crate) native_cells: *const AtomicPtr<u8>,
    /// The exception that a call in compiled code has just ended with, or 0: only for that call's landing.
    pub(crate) exception: u64,
    /// Types of objects, by index of the module's types.
    pub(crate) object_types: *const AtomicPtr<ObjectType>,
    /// The first globals of the module's own.
    pub(crate) own_globals: [VmGlobal; layout::context::INLINE_GLOBALS],
    /// Where the next objects of each size class go; null if the module has no types of objects.
    pub(crate) bumps: *mut u8,
    /// `sys::raise`.
    pub(crate) raise: *const (),
}

/// What a function reference points to.
#[repr(C)]
pub(crate) struct VmFuncRef {
    pub(crate) context: *mut VmContext,
    pub(crate) type_id: u32,
    pub(crate) func_index: u32,
    /// What compiled code calls: at first `sys::call_by_cell`, which puts the function's own code here once there is some.
    pub(crate) code: *const u8,
    pub(crate) native: *const AtomicPtr<u8>,
    pub(crate) cell: *const CodeCell,
    pub(crate) host: *const HostFunc,
    pub(crate) param_slots: u32,
    pub(crate) result_slots: u32,
}

/// The value of a global, two slots so that it can hold a v128.
#[repr(C, align(16))]
#[derive(Default)]
pub(crate) struct VmGlobal {
    pub(crate) value: [Slot; 2],
}

/// Base and length of a memory, at the start of [`LinearMemory`].
#[repr(C)]
pub(crate) struct VmMemory {
    pub(crate) base: *mut u8,
    /// Length in bytes.
    pub(crate) len: AtomicUsize,
}

impl VmMemory {
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }
}

/// Base and length of a table, at the start of [`TableData`].
#[repr(C)]
pub(crate) struct VmTable {
    pub(crate) base: *mut Slot,
    /// Number of elements.
    pub(crate) len: usize,
}

/// A host function, given the calling instance (or null), the store, and the slots in which the arguments lie; results
/// go to the same place.
pub(crate) type HostCall = dyn Fn(*mut VmContext, *mut VmStore, *mut Slot) -> Result<(), Error> + Send + Sync;

/// A host function with what calling it needs.
pub(crate) struct HostFunc {
    pub(crate) call: Box<HostCall>,
    /// Slots that arguments or results take, whichever is more.
    pub(crate) slots: u32,
    /// Keeps its type.
    pub(crate) _types: HeldTypes,
}

/// Why guest code was left before it was done.
pub(crate) enum Unwind {
    /// A trap of the guest.
    Trap(TrapKind),
    /// A host function failed, or the runtime did on the guest's behalf.
    Error(Error),
    /// An exception that no frame of the run catches.
    Exception(u64),
    /// A host function panicked: the panic goes on behind the guest's frames.
    Panic(Box<dyn Any + Send>),
}

impl Unwind {
    /// Whether the guest's frames are noted while they are left.
    pub(crate) fn is_traced(&self) -> bool {
        match self {
            Unwind::Trap(_) | Unwind::Exception(_) | Unwind::Error(Error::Module(_)) => true,
            // What comes from another call of the guest has a trace of its own.
            Unwind::Error(Error::Trap(t)) => t.backtrace.is_empty(),
            Unwind::Error(_) | Unwind::Panic(_) => false,
        }
    }
}

/// Where guest code was when it was left.
#[derive(Clone, Copy)]
pub(crate) struct TrapSite {
    pub(crate) ip: usize,
    pub(crate) fp: *mut Slot,
    pub(crate) context: *mut VmContext,
    /// Whether `ip` is the return address of the frame at `fp`, which has been left.
    pub(crate) returning: bool,
}

/// A caller in another instance, to return to.
#[derive(Clone, Copy)]
pub(crate) struct CrossCall {
    pub(crate) context: *mut VmContext,
    pub(crate) return_ip: usize,
}

/// Asks running guest code to stop; shared with other threads.
#[derive(Default)]
pub(crate) struct Interrupt {
    /// The embedder asks.
    pub(crate) flag: AtomicBool,
    /// The fields `interrupt` of the store's contexts, which compiled code polls: with the flag in each context a poll is one
    /// comparison with memory. Emptied before the contexts are freed.
    contexts: Mutex<Vec<Polled>>,
}

/// A context's field `interrupt`.
struct Polled(*const AtomicU64);

// SAFETY: the field is atomic, and the list that holds this is emptied before the context is freed.
unsafe impl Send for Polled {}

impl Interrupt {
    /// Has compiled code look at flag and deadline soon, or no longer.
    pub(crate) fn poll(&self, on: bool) {
        for context in self.contexts().iter() {
            // SAFETY: contexts in the list are alive (`watch`, `forget`), and do not move.
            unsafe { (*context.0).store(on.into(), Ordering::Release) };
        }
    }
    /// Takes a context's field into the list.
    ///
    /// # Safety
    /// It stays where it is until `forget` is called.
    pub(crate) unsafe fn watch(&self, field: *const AtomicU64) {
        self.contexts().push(Polled(field));
    }
    /// Empties the list of contexts.
    pub(crate) fn forget(&self) {
        self.contexts().clear();
    }
    fn contexts(&self) -> MutexGuard<'_, Vec<Polled>> {
        self.contexts.lock().unwrap_or_else(|e| e.into_inner())
    }
    /// Why the guest is to stop, if it is; a flag that was set is so no longer.
    pub(crate) fn reason(&self, deadline: Option<Instant>) -> Option<TrapKind> {
        if self.flag.swap(false, Ordering::Relaxed) {
            return Some(TrapKind::Interrupted);
        }
        deadline.is_some_and(|d| Instant::now() >= d).then_some(TrapKind::DeadlineExceeded)
    }
}

/// A fault in compiled code.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct NativeFault {
    pub(crate) pc: usize,
    pub(crate) sp: usize,
    pub(crate) address: usize,
    pub(crate) signal: i32,
    /// Its place is unknown: the handler that was installed before ours gets it when it happens again.
    pub(crate) foreign: bool,
}

/// The runtime state of a store that running code reaches.
#[repr(C)]
pub(crate) struct VmStore {
    /// End of the slots that frames may use; a red zone follows.
    pub(crate) stack_limit: *mut Slot,
    /// Remaining fuel.
    pub(crate) fuel: i64,
    /// Lowest native stack pointer with which compiled code may call the runtime.
    pub(crate) native_limit: usize,
    /// First free slot while compiled code runs.
    pub(crate) slot_top: *mut Slot,
    /// Compiled code that a nested run has tail-called.
    pub(crate) tail_code: *const u8,
    /// The adapter that goes there.
    pub(crate) tail_adapter: *const u8,
    /// The context in which it runs.
    pub(crate) tail_context: *mut VmContext,
    /// Whether the run that is ending does so by that tail call. Whoever began the run takes it.
    pub(crate) handed_over: bool,
    /// Native stack pointer where compiled code has called a helper that may collect garbage, with the registers that calls keep
    /// from there on.
    pub(crate) native_live: *const usize,
    /// Native stack pointer of the innermost transition into compiled code, or 0.
    pub(crate) native_sp: usize,
    /// Not 0 if compiled code finds the base of memory 0 in the GS segment: set wherever compiled code is entered, and again after
    /// calls that may have run other compiled code.
    pub(crate) segment: usize,
    /// End of the native stack, or 0 before compiled code first runs.
    pub(crate) native_top: usize,
    /// Bytes of the native stack below that.
    pub(crate) native_size: usize,
    /// Stack pointer for the runtime's part of a trap.
    pub(crate) emergency_top: usize,
    pub(crate) fault: NativeFault,
    /// Runs of the interpreter that compiled code has begun and that are not over.
    pub(crate) nested: u32,
    /// What is left of the budget while compiled code runs.
    pub(crate) budget_left: i64,
    /// Loop iterations and calls between two looks at interruption and deadline.
    pub(crate) budget: i64,
    /// Whether a budget that is used up is a sample for tiering.
    pub(crate) sampled: bool,
    /// First free slot while a host function runs; null while guest code runs.
    pub(crate) host_top: *mut Slot,
    pub(crate) interrupt: Arc<Interrupt>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) cross_calls: Vec<CrossCall>,
    pub(crate) unwind: Option<Unwind>,
    pub(crate) exceptions: super::exception::ExceptionList,
    pub(crate) site: Option<TrapSite>,
    /// The frames that have been left so far because of `unwind`.
    pub(crate) trace: crate::interp::backtrace::Trace,
    /// Memories whose guard pages guest code of this store may hit.
    pub(crate) guarded: SmallVec<[*const LinearMemory; 1]>,
    pub(crate) limits: super::limits::StoreLimits,
    /// Bytes of the store's memories and tables.
    pub(crate) bytes: u64,
    /// Objects, once there is one.
    pub(crate) heap: Option<Box<super::gc::heap::Heap>>,
    /// Where the next ones go, as soon as there is an instance with types of objects.
    pub(crate) bumps: Option<super::gc::heap::Bumps>,
}

// What compiled code and interpreter assume, checked where the structures are.
const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(VmContext, store) == layout::context::STORE);
    assert!(offset_of!(VmContext, mem0_base) == layout::context::MEM0_BASE);
    assert!(offset_of!(VmContext, cells) == layout::context::CELLS);
    assert!(offset_of!(VmContext, imports) == layout::context::IMPORTS);
    assert!(offset_of!(VmContext, globals) == layout::context::GLOBALS);
    assert!(offset_of!(VmContext, memories) == layout::context::MEMORIES);
    assert!(offset_of!(VmContext, tables) == layout::context::TABLES);
    assert!(offset_of!(VmContext, func_refs) == layout::context::FUNC_REFS);
    assert!(offset_of!(VmContext, helpers) == layout::context::HELPERS);
    assert!(offset_of!(VmContext, args) == layout::context::ARGS);
    assert!(offset_of!(VmContext, interrupt) == layout::context::INTERRUPT);
    assert!(offset_of!(VmContext, native_cells) == layout::context::NATIVE_CELLS);
    assert!(offset_of!(VmContext, exception) == layout::context::EXCEPTION);
    assert!(offset_of!(VmContext, object_types) == layout::context::OBJECT_TYPES);
    assert!(offset_of!(VmContext, bumps) == layout::context::BUMPS);
    assert!(offset_of!(VmContext, raise) == layout::context::RAISE);
    assert!(offset_of!(VmContext, own_globals) == layout::context::OWN_GLOBALS);
    assert!(offset_of!(VmStore, stack_limit) == layout::store::STACK_LIMIT);
    assert!(offset_of!(VmStore, fuel) == layout::store::FUEL);
    assert!(offset_of!(VmStore, native_limit) == layout::store::NATIVE_LIMIT);
    assert!(offset_of!(VmStore, slot_top) == layout::store::SLOT_TOP);
    assert!(offset_of!(VmStore, tail_code) == layout::store::TAIL_CODE);
    assert!(offset_of!(VmFuncRef, cell) == layout::func_ref::CELL);
    assert!(offset_of!(VmFuncRef, context) == layout::func_ref::CONTEXT);
    assert!(offset_of!(VmFuncRef, host) == layout::func_ref::HOST);
    assert!(offset_of!(VmFuncRef, type_id) == layout::func_ref::TYPE_ID);
    assert!(offset_of!(VmFuncRef, func_index) == layout::func_ref::FUNC_INDEX);
    assert!(offset_of!(VmFuncRef, param_slots) == layout::func_ref::PARAM_SLOTS);
    assert!(offset_of!(VmFuncRef, code) == layout::func_ref::CODE);
    assert!(offset_of!(VmFuncRef, native) == layout::func_ref::NATIVE);
    assert!(size_of::<VmFuncRef>() == layout::func_ref::SIZE);
    assert!(offset_of!(VmMemory, base) == layout::memory::BASE);
    assert!(offset_of!(VmMemory, len) == layout::memory::LEN);
    assert!(offset_of!(VmTable, base) == layout::table::BASE);
    assert!(offset_of!(VmTable, len) == layout::table::LEN);
    assert!(size_of::<Slot>() == layout::SLOT as usize);
};
