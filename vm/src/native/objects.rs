//! What compiled code calls to make objects, and to work on many elements of arrays.
//!
//! In: the context, types, references and numbers. Out: a new reference or nothing, or the specification's trap. Invariant: whatever
//! is alive was on the native stack or in registers that calls keep when compiled code called, lies in the slots below the
//! store's `slot_top`, or is given to the collector by name.

use super::helpers::{Answer, Ctx, done, fail, helper};
use crate::runtime::context::{Slot, Unwind};
use crate::runtime::gc::array::{self, Row, RowOp};
use crate::runtime::gc::object::{Live, new_array, new_struct, type_of};
use crate::runtime::gc::types::{ObjectType, Width};
use crate::sys::safepoint::at_safepoint;
use crate::trap::TrapKind;

/// # Safety
/// Helpers only.
unsafe fn answer(ctx: Ctx, outcome: Result<u64, TrapKind>) -> Answer {
    match outcome {
        Ok(value) => done(value),
        // SAFETY: the caller's contract.
        Err(kind) => unsafe { fail(ctx, Unwind::Trap(kind)) },
    }
}

/// Does an operation on these operands, of which `others` are references.
///
/// # Safety
/// Helpers only; operands, type and immediate must be those of the operation.
unsafe fn row(ctx: Ctx, op: RowOp, ty: u64, immediate: u64, operands: &mut [Slot], others: &[[Slot; 2]]) -> Answer {
    // SAFETY: the caller's contract.
    unsafe {
        let at = operands.as_mut_ptr_range();
        let (ty, immediate) = (ty as *const ObjectType, immediate as u32);
        let live = Live { others, ..live(ctx) };
        answer(ctx, op(&Row { context: ctx, ty, at: at.start, end: at.end, immediate, live }))
    }
}

/// What is in use while compiled code calls one of these helpers.
///
/// # Safety
/// Helpers that are called by way of `at_safepoint` only.
unsafe fn live(ctx: Ctx) -> Live<'static> {
    // SAFETY: the caller's contract.
    unsafe {
        let store = (*ctx).store;
        Live { native: (*store).native_live, ..Live::up_to((*store).slot_top) }
    }
}

/// The type of an array, unless the reference is null, which operations find out before they look at the type.
///
/// # Safety
/// The word must be a reference to an array.
unsafe fn type_of_array(array: u64) -> u64 {
    // SAFETY: the caller's contract.
    if array == 0 { 0 } else { unsafe { &raw const *type_of(array) as u64 } }
}

helper! {
    fn struct_new_here(ctx, ty) -> Answer {
        answer(ctx, new_struct((*ctx).store, ty as *const ObjectType, live(ctx)))
    }

    fn array_new_here(ctx, ty, len) -> Answer {
        answer(ctx, new_array((*ctx).store, ty as *const ObjectType, len as u32, live(ctx)))
    }

    fn array_new_of_here(ctx, ty, len, low, high) -> Answer {
        match (*(ty as *const ObjectType)).element() {
            Ok(Width::W128) => row(ctx, array::array_new, ty, 0, &mut [low, high, len], &[]),
            _ => row(ctx, array::array_new, ty, 0, &mut [low, len], &[[low, 0]]),
        }
    }

    fn array_new_data_here(ctx, ty, segment, offset, len) -> Answer {
        row(ctx, array::array_new_data, ty, segment, &mut [offset, len], &[])
    }

    fn array_new_elem_here(ctx, ty, segment, offset, len) -> Answer {
        row(ctx, array::array_new_elem, ty, segment, &mut [offset, len], &[])
    }

    fn array_fill(ctx, to, at, len, low, high) -> Answer {
        let ty = type_of_array(to);
        match (ty as *const ObjectType).as_ref().map(ObjectType::element) {
            Some(Ok(Width::W128)) => row(ctx, array::array_fill, ty, 0, &mut [to, at, low, high, len], &[]),
            _ => row(ctx, array::array_fill, ty, 0, &mut [to, at, low, len], &[]),
        }
    }

    fn array_copy(ctx, to, dst, from, src, len) -> Answer {
        row(ctx, array::array_copy, type_of_array(to), 0, &mut [to, dst, from, src, len], &[])
    }

    fn array_init_data(ctx, to, at, offset, len, segment) -> Answer {
        row(ctx, array::array_init_data, type_of_array(to), segment, &mut [to, at, offset, len], &[])
    }

    fn array_init_elem(ctx, to, at, offset, len, segment) -> Answer {
        row(ctx, array::array_init_elem, type_of_array(to), segment, &mut [to, at, offset, len], &[])
    }
}

at_safepoint! {
    struct_new: struct_new_here;
    array_new: array_new_here;
    array_new_of: array_new_of_here;
    array_new_data: array_new_data_here;
    array_new_elem: array_new_elem_here;
}
