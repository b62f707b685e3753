//! The runtime's functions that compiled code calls, other than functions of the guest.
//!
//! In: the context and 64-bit integers. Out: a value, or a failure whose reason is in the store. They do what the
//! interpreter's handlers do, by the same operations of `runtime`. The upper half of a 32-bit argument means nothing.

use super::call::{call_own, call_reference};
use super::objects;
use crate::instance::InstanceData;
use crate::runtime::bulk;
use crate::runtime::context::{Unwind, VmContext};
use crate::runtime::exception::Exception;
use crate::runtime::gc::collect::collect_exceptions;
use crate::runtime::gc::object::Live;
use crate::runtime::limits;
use crate::runtime::memory::LinearMemory;
use crate::runtime::table::TableData;
use crate::trap::TrapKind;
use jit::abi::{ARG_AREA_STRIDE, Helper};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use wasm::{TypeId, ValType};

/// What a helper answers, in two registers. `status` is zero after success.
#[repr(C)]
pub(super) struct Answer {
    pub(super) value: u64,
    pub(super) status: u64,
}

/// The addresses of all helpers, in the order of their numbers.
struct Table([*const (); Helper::ALL.len()]);

// SAFETY: addresses of functions.
unsafe impl Sync for Table {}

static TABLE: Table = {
    let mut table = [std::ptr::null(); Helper::ALL.len()];
    let mut i = 0;
    while i < table.len() {
        table[i] = address(Helper::ALL[i]);
        i += 1;
    }
    Table(table)
};

/// What `VmContext::helpers` points to.
pub(crate) fn helpers() -> *const *const () {
    TABLE.0.as_ptr()
}

const fn address(helper: Helper) -> *const () {
    match helper {
        Helper::MemoryGrow => memory_grow as *const (),
        Helper::MemoryFill => memory_fill as *const (),
        Helper::MemoryCopy => memory_copy as *const (),
        Helper::MemoryInit => memory_init as *const (),
        Helper::DataDrop => data_drop as *const (),
        Helper::TableGet => table_get as *const (),
        Helper::TableSet => table_set as *const (),
        Helper::TableSize => table_size as *const (),
        Helper::TableGrow => table_grow as *const (),
        Helper::TableFill => table_fill as *const (),
        Helper::TableCopy => table_copy as *const (),
        Helper::TableInit => table_init as *const (),
        Helper::ElemDrop => elem_drop as *const (),
        Helper::RefFunc => ref_func as *const (),
        Helper::AtomicWait32 => atomic_wait32 as *const (),
        Helper::AtomicWait64 => atomic_wait64 as *const (),
        Helper::AtomicNotify => atomic_notify as *const (),
        Helper::FuncRefIs => func_ref_is as *const (),
        Helper::Throw => throw as *const (),
        Helper::ThrowRef => throw_ref as *const (),
        Helper::MakeException => make_exception as *const (),
        Helper::ExceptionIs => exception_is as *const (),
        Helper::ExceptionValue => exception_value as *const (),
        Helper::ExceptionCaught => exception_caught as *const (),
        Helper::StructNew => objects::struct_new as *const (),
        Helper::ArrayNew => objects::array_new as *const (),
        Helper::ArrayNewOf => objects::array_new_of as *const (),
        Helper::ArrayNewData => objects::array_new_data as *const (),
        Helper::ArrayNewElem => objects::array_new_elem as *const (),
        Helper::ArrayFill => objects::array_fill as *const (),
        Helper::ArrayCopy => objects::array_copy as *const (),
        Helper::ArrayInitData => objects::array_init_data as *const (),
        Helper::ArrayInitElem => objects::array_init_elem as *const (),
        Helper::CallOwn => call_own as *const (),
        Helper::CallReference => call_reference as *const (),
    }
}

pub(super) type Ctx = *mut VmContext;

/// The running instance.
///
/// # Safety
/// Helpers only: the context is a running one, and no other reference to its instance is alive.
unsafe fn instance<'a>(ctx: Ctx) -> &'a mut InstanceData {
    // SAFETY: contexts are the first field of their instance.
    unsafe { &mut *ctx.cast::<InstanceData>() }
}

/// # Safety
/// As [`instance`], and the index must be that of a memory.
unsafe fn memory(ctx: Ctx, index: u64) -> *mut LinearMemory {
    // SAFETY: the caller's contract.
    unsafe { *(*ctx).memories.add(index as u32 as usize) }
}

/// # Safety
/// As [`instance`], and the index must be that of a table.
unsafe fn table(ctx: Ctx, index: u64) -> *mut TableData {
    // SAFETY: the caller's contract.
    unsafe { *(*ctx).tables.add(index as u32 as usize) }
}

/// An operand that is 64 bits wide or 32.
fn index(is64: bool, v: u64) -> u64 {
    if is64 { v } else { u64::from(v as u32) }
}

/// What grow answers when it cannot.
fn grow_failed(is64: bool) -> u64 {
    index(is64, u64::MAX)
}

pub(super) fn done(value: u64) -> Answer {
    Answer { value, status: 0 }
}

/// Leaves the reason for compiled code to be left.
///
/// # Safety
/// As [`instance`].
pub(super) unsafe fn fail(ctx: Ctx, why: Unwind) -> Answer {
    // SAFETY: the caller's contract.
    unsafe { (*(*ctx).store).unwind = Some(why) };
    Answer { value: 0, status: 1 }
}

/// # Safety
/// As [`instance`].
unsafe fn answer(ctx: Ctx, outcome: Result<(), TrapKind>) -> Answer {
    match outcome {
        Ok(()) => done(0),
        // SAFETY: the caller's contract.
        Err(kind) => unsafe { fail(ctx, Unwind::Trap(kind)) },
    }
}

/// Defines helpers: `helper!(fn name(ctx, a, b) -> Type { … });`
macro_rules! helper {
    ($(fn $name:ident($ctx:ident $(, $arg:ident)*) $(-> $ret:ty)? $body:block)*) => {
        $(pub(super) unsafe extern "C" fn $name($ctx: Ctx $(, $arg: u64)*) $(-> $ret)? {
            // SAFETY: compiled code passes its context, and indices that validation has checked.
            unsafe { $body }
        })*
    };
}

pub(super) use helper;

helper! {
    fn memory_grow(ctx, index_of, delta) -> u64 {
        let m = memory(ctx, index_of);
        let is64 = (*m).ty.is64;
        limits::grow_memory((*ctx).store, m, index(is64, delta)).unwrap_or(grow_failed(is64))
    }

    fn memory_fill(ctx, index_of, at, value, len) -> Answer {
        let m = memory(ctx, index_of);
        let is64 = (*m).ty.is64;
        answer(ctx, bulk::memory_fill(m, index(is64, at), value as u8, index(is64, len)))
    }

    fn memory_copy(ctx, to, from, dst, src, len) -> Answer {
        let (to, from) = (memory(ctx, to), memory(ctx, from));
        let (to64, from64) = ((*to).ty.is64, (*from).ty.is64);
        let len = index(to64 && from64, len);
        answer(ctx, bulk::memory_copy(to, from, index(to64, dst), index(from64, src), len))
    }

    fn memory_init(ctx, index_of, segment, dst, src, len) -> Answer {
        let dst = index((*memory(ctx, index_of)).ty.is64, dst);
        let (src, len) = (index(false, src), index(false, len));
        answer(ctx, bulk::memory_init(instance(ctx), index_of as u32, segment as u32, dst, src, len))
    }

    fn data_drop(ctx, segment) {
        instance(ctx).dropped_data[segment as u32 as usize] = true;
    }

    fn table_get(ctx, index_of, at) -> Answer {
        let t = table(ctx, index_of);
        let at = index((*t).ty.is64, at);
        if at >= (*t).vm.len as u64 {
            return fail(ctx, Unwind::Trap(TrapKind::TableOutOfBounds));
        }
        done(*(*t).vm.base.add(at as usize))
    }

    fn table_set(ctx, index_of, at, value) -> Answer {
        let t = table(ctx, index_of);
        let at = index((*t).ty.is64, at);
        if at >= (*t).vm.len as u64 {
            return fail(ctx, Unwind::Trap(TrapKind::TableOutOfBounds));
        }
        *(*t).vm.base.add(at as usize) = value;
        done(0)
    }

    fn table_size(ctx, index_of) -> u64 {
        (*table(ctx, index_of)).vm.len as u64
    }

    fn table_grow(ctx, index_of, delta, value) -> u64 {
        let t = table(ctx, index_of);
        let is64 = (*t).ty.is64;
        limits::grow_table((*ctx).store, t, index(is64, delta), value).unwrap_or(grow_failed(is64))
    }

    fn table_fill(ctx, index_of, at, value, len) -> Answer {
        let is64 = (*table(ctx, index_of)).ty.is64;
        answer(ctx, bulk::table_fill(instance(ctx), index_of as u32, index(is64, at), value, index(is64, len)))
    }

    fn table_copy(ctx, to, from, dst, src, len) -> Answer {
        let (to64, from64) = ((*table(ctx, to)).ty.is64, (*table(ctx, from)).ty.is64);
        let (dst, src, len) = (index(to64, dst), index(from64, src), index(to64 && from64, len));
        answer(ctx, bulk::table_copy(instance(ctx), to as u32, from as u32, dst, src, len))
    }

    fn table_init(ctx, index_of, segment, dst, src, len) -> Answer {
        let dst = index((*table(ctx, index_of)).ty.is64, dst);
        let (src, len) = (index(false, src), index(false, len));
        answer(ctx, bulk::table_init(instance(ctx), index_of as u32, segment as u32, dst, src, len))
    }

    fn elem_drop(ctx, segment) {
        instance(ctx).dropped_elems[segment as u32 as usize] = true;
    }

    fn ref_func(ctx, func) -> u64 {
        instance(ctx).func_ref(func as u32) as u64
    }

    fn atomic_wait32(ctx, index_of, at, expected, timeout) -> Answer {
        let load = |p: *mut u8| u64::from((*p.cast::<AtomicU32>()).load(Ordering::SeqCst));
        wait(ctx, index_of, at, 4, timeout, |p| load(p) == u64::from(expected as u32))
    }

    fn atomic_wait64(ctx, index_of, at, expected, timeout) -> Answer {
        wait(ctx, index_of, at, 8, timeout, |p| (*p.cast::<AtomicU64>()).load(Ordering::SeqCst) == expected)
    }

    fn atomic_notify(ctx, index_of, at, count) -> Answer {
        let m = memory(ctx, index_of);
        match bulk::atomic_address(m, at, 4) {
            Ok(_) => done(u64::from((*m).parking.notify(at, count as u32))),
            Err(kind) => fail(ctx, Unwind::Trap(kind)),
        }
    }

    fn func_ref_is(ctx, reference, ty) -> u64 {
        let have = (*(reference as *const crate::runtime::context::VmFuncRef)).type_id;
        let engine = &instance(ctx).module.inner.engine;
        u64::from(have == ty as u32 || engine.types().is_subtype(TypeId(have), TypeId(ty as u32)))
    }

    fn throw(ctx, tag) -> Answer {
        match exception_of(ctx, tag) {
            Some(exception) => fail(ctx, Unwind::Exception(exception)),
            None => fail(ctx, Unwind::Trap(TrapKind::TooManyExceptions)),
        }
    }

    fn make_exception(ctx, tag) -> Answer {
        match exception_of(ctx, tag) {
            Some(exception) => done(exception),
            None => fail(ctx, Unwind::Trap(TrapKind::TooManyExceptions)),
        }
    }

    fn exception_is(ctx, exception, tag) -> u64 {
        let thrown = (&(*(*ctx).store).exceptions).get(exception).tag;
        u64::from(std::ptr::eq(thrown, instance(ctx).tag(tag as u32)))
    }

    fn exception_value(ctx, exception, slot) -> u64 {
        (&(*(*ctx).store).exceptions).get(exception).values[slot as usize]
    }

    fn exception_caught(ctx, exception, kept) {
        let store = (*ctx).store;
        (&mut (*store).trace).clear();
        let list = &mut (*store).exceptions;
        if kept == 0 { list.remove(exception) } else { list.keep(exception) }
    }

    fn throw_ref(ctx, exception) -> Answer {
        match exception {
            0 => fail(ctx, Unwind::Trap(TrapKind::NullExceptionReference)),
            e => fail(ctx, Unwind::Exception(e)),
        }
    }
}

/// Makes an exception of a tag with the values in the argument area, unless there are too many.
unsafe fn exception_of(ctx: Ctx, tag: u64) -> Option<u64> {
    // SAFETY: helpers' contract; the tag is one of the instance's.
    unsafe {
        // Values lie in the argument area, and what frames hold on the native stack.
        collect_exceptions((*ctx).store, Live::up_to((*(*ctx).store).slot_top));
        let d = instance(ctx);
        let tag = d.tag(tag as u32);
        let params = d.module.func_type((*tag).ty).params;
        let values = values_of(ctx, &params);
        let limit = (*(*ctx).store).exceptions_limit();
        (&mut (*(*ctx).store).exceptions).add(Exception { tag, values }, limit)
    }
}

/// Values of these types from the argument area, as slots.
unsafe fn values_of(ctx: Ctx, types: &[ValType]) -> Box<[u64]> {
    let mut values = Vec::with_capacity(types.len());
    for (i, ty) in types.iter().enumerate() {
        // SAFETY: compiled code has put all values there.
        let [low, high] = unsafe { *(*ctx).args.add(i * ARG_AREA_STRIDE as usize).cast::<[u64; 2]>() };
        values.push(if matches!(ty, ValType::I32 | ValType::F32) { u64::from(low as u32) } else { low });
        if *ty == ValType::V128 {
            values.push(high);
        }
    }
    values.into()
}

/// Waits on an address while `holds` says so of it.
unsafe fn wait(
    ctx: Ctx,
    index_of: u64,
    at: u64,
    width: u64,
    timeout: u64,
    holds: impl FnOnce(*mut u8) -> bool,
) -> Answer {
    // SAFETY: helpers' contract; the address is checked before it is used.
    unsafe {
        let m = memory(ctx, index_of);
        let address = match bulk::atomic_address(m, at, width) {
            Ok(address) => address,
            Err(kind) => return fail(ctx, Unwind::Trap(kind)),
        };
        if !(*m).ty.shared {
            return fail(ctx, Unwind::Trap(TrapKind::ExpectedSharedMemory));
        }
        let store = (*ctx).store;
        let (interrupt, deadline) = (&(*store).interrupt, (*store).deadline);
        match (*m).parking.wait(at, timeout as i64, || holds(address), interrupt, deadline) {
            Some(w) => done(w as u32 as u64),
            None => fail(ctx, Unwind::Trap(interrupt.reason(deadline).unwrap_or(TrapKind::Interrupted))),
        }
    }
}
