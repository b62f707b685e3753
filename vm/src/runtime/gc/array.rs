//! Operations on many elements of arrays, shared by all that runs code.
//!
//! In: operands in slots in a row, as the instructions take them. Out: a new reference (0 from those that make none), or the
//! specification's trap. All check their whole range before they write anything.

use super::object::{Live, array_len, element, new_array, new_struct, new_struct_of, put};
use super::types::{ObjectType, Width};
use crate::instance::{InstanceData, segment_slots};
use crate::runtime::context::{Slot, VmContext};
use crate::trap::TrapKind;
use std::ptr;

/// An operation on operands in a row.
pub(crate) struct Row<'a> {
    pub(crate) context: *mut VmContext,
    /// The type that is made or written.
    pub(crate) ty: *const ObjectType,
    /// The first operand.
    pub(crate) at: *mut Slot,
    /// One past the last.
    pub(crate) end: *mut Slot,
    /// A segment or a number of elements.
    pub(crate) immediate: u32,
    /// What is in use elsewhere.
    pub(crate) live: Live<'a>,
}

type Trapping = Result<u64, TrapKind>;

/// Operations are called with rows that hold operands as validation has found them, in a running context.
pub(crate) type RowOp = unsafe fn(&Row<'_>) -> Trapping;

impl Row<'_> {
    /// An operand that takes one slot, by its position from the end.
    unsafe fn last(&self, from_end: usize) -> u64 {
        // SAFETY: the row's contract.
        unsafe { *self.end.sub(from_end) }
    }

    /// An i32 operand, as `last`.
    unsafe fn index(&self, from_end: usize) -> u64 {
        // SAFETY: the row's contract.
        unsafe { u64::from(self.last(from_end) as u32) }
    }

    unsafe fn make(&self, len: u64) -> Trapping {
        let len = u32::try_from(len).map_err(|_| TrapKind::HeapExhausted)?;
        // SAFETY: the row's contract.
        unsafe { new_array((*self.context).store, self.ty, len, self.live) }
    }

    unsafe fn width(&self) -> Result<Width, TrapKind> {
        // SAFETY: the row's contract.
        unsafe { (*self.ty).element() }
    }
}

/// Refuses null, and ranges that do not lie within an array.
unsafe fn check(array: u64, at: u64, len: u64) -> Result<(), TrapKind> {
    if array == 0 {
        return Err(TrapKind::NullArrayReference);
    }
    // SAFETY: callers pass references to arrays. Sums of 32-bit numbers do not overflow.
    if at + len > u64::from(unsafe { array_len(array) }) { Err(TrapKind::ArrayOutOfBounds) } else { Ok(()) }
}

/// Writes the same value to elements in a row.
unsafe fn fill_with(array: u64, at: u64, len: u64, width: Width, value: *const Slot) {
    // SAFETY: the range has been checked.
    unsafe {
        match width {
            Width::W8 => ptr::write_bytes(element(array, at, width), *value as u8, len as usize),
            _ => (at..at + len).for_each(|i| put(element(array, i, width), width, value)),
        }
    }
}

pub(crate) unsafe fn struct_new(r: &Row<'_>) -> Trapping {
    // SAFETY: the row's contract.
    unsafe { new_struct_of((*r.context).store, r.ty, r.at, r.live) }
}

pub(crate) unsafe fn struct_new_default(r: &Row<'_>) -> Trapping {
    // SAFETY: the row's contract.
    unsafe { new_struct((*r.context).store, r.ty, r.live) }
}

/// Value, length.
pub(crate) unsafe fn array_new(r: &Row<'_>) -> Trapping {
    // SAFETY: the row's contract.
    unsafe {
        let len = r.index(1);
        let made = r.make(len)?;
        fill_with(made, 0, len, r.width()?, r.at);
        Ok(made)
    }
}

/// Length.
pub(crate) unsafe fn array_new_default(r: &Row<'_>) -> Trapping {
    // SAFETY: the row's contract.
    unsafe { r.make(r.index(1)) }
}

/// As many values as the immediate says.
pub(crate) unsafe fn array_new_fixed(r: &Row<'_>) -> Trapping {
    // SAFETY: the row's contract.
    unsafe {
        let made = r.make(u64::from(r.immediate))?;
        let width = r.width()?;
        for i in 0..r.immediate as usize {
            put(element(made, i as u64, width), width, r.at.add(i * width.slots()));
        }
        Ok(made)
    }
}

/// A range of a data segment that holds `len` elements; `None` outside.
unsafe fn data<'a>(r: &Row<'_>, offset: u64, len: u64) -> Result<&'a [u8], TrapKind> {
    // SAFETY: the row's contract; the module's bytes live as long as the instance.
    unsafe {
        let d = r.context.cast::<InstanceData>();
        let bytes = len << r.width()? as u32;
        let oob = TrapKind::MemoryOutOfBounds;
        let inner: &'a crate::module::ModuleInner = &*std::sync::Arc::as_ptr(&(*d).module.inner);
        let dropped = *(&(*d).dropped_data).get(r.immediate as usize).ok_or(oob)?;
        let range = if dropped { 0..0 } else { inner.raw.data[r.immediate as usize].range.clone() };
        let all = &inner.bytes[range];
        all.get(offset as usize..(offset + bytes) as usize).ok_or(oob)
    }
}

/// Offset in the segment, length.
pub(crate) unsafe fn array_new_data(r: &Row<'_>) -> Trapping {
    // SAFETY: the row's contract; the range of the segment has been checked, and the array made for it.
    unsafe {
        let len = r.index(1);
        let bytes = data(r, r.index(2), len)?;
        let made = r.make(len)?;
        ptr::copy_nonoverlapping(bytes.as_ptr(), element(made, 0, r.width()?), bytes.len());
        Ok(made)
    }
}

/// Writes a range of an element segment that has been checked.
unsafe fn write_elements(r: &Row<'_>, array: u64, at: u64, offset: u64, len: u64) -> Result<(), TrapKind> {
    // SAFETY: the row's contract.
    unsafe {
        let d = &mut *r.context.cast::<InstanceData>();
        let module = d.module.clone();
        let range = offset as usize..(offset + len) as usize;
        let put = |i: usize, slot: Slot| *element(array, at + i as u64, Width::W64).cast::<Slot>() = slot;
        segment_slots(d, &module, r.immediate, range, put).map_err(|_| TrapKind::TableOutOfBounds)
    }
}

/// Refuses ranges outside an element segment.
unsafe fn check_elements(r: &Row<'_>, offset: u64, len: u64) -> Result<(), TrapKind> {
    // SAFETY: the row's contract.
    let d = unsafe { &*r.context.cast::<InstanceData>() };
    let segment = r.immediate as usize;
    let available = if d.dropped_elems[segment] { 0 } else { d.module.inner.raw.elems[segment].items.len() as u64 };
    if offset + len > available { Err(TrapKind::TableOutOfBounds) } else { Ok(()) }
}

/// Offset in the segment, length.
pub(crate) unsafe fn array_new_elem(r: &Row<'_>) -> Trapping {
    // SAFETY: the row's contract.
    unsafe {
        let (offset, len) = (r.index(2), r.index(1));
        check_elements(r, offset, len)?;
        let made = r.make(len)?;
        write_elements(r, made, 0, offset, len)?;
        Ok(made)
    }
}

/// Array, start, value, length.
pub(crate) unsafe fn array_fill(r: &Row<'_>) -> Trapping {
    // SAFETY: the row's contract.
    unsafe {
        let (array, at, len) = (*r.at, u64::from(*r.at.add(1) as u32), r.index(1));
        check(array, at, len)?;
        fill_with(array, at, len, r.width()?, r.at.add(2));
        Ok(0)
    }
}

/// Destination, start there, source, start there, length.
pub(crate) unsafe fn array_copy(r: &Row<'_>) -> Trapping {
    // SAFETY: the row's contract; the ranges are checked, and may overlap.
    unsafe {
        let (to, dst, from, src, len) = (r.last(5), r.index(4), r.last(3), r.index(2), r.index(1));
        check(to, dst, len)?;
        check(from, src, len)?;
        let width = r.width()?;
        ptr::copy(element(from, src, width), element(to, dst, width), (len as usize) << width as u32);
        Ok(0)
    }
}

/// Array, start, offset in the segment, length.
pub(crate) unsafe fn array_init_data(r: &Row<'_>) -> Trapping {
    // SAFETY: the row's contract; both ranges have been checked.
    unsafe {
        let (array, at, offset, len) = (r.last(4), r.index(3), r.index(2), r.index(1));
        check(array, at, len)?;
        let bytes = data(r, offset, len)?;
        ptr::copy_nonoverlapping(bytes.as_ptr(), element(array, at, r.width()?), bytes.len());
        Ok(0)
    }
}

/// Array, start, offset in the segment, length.
pub(crate) unsafe fn array_init_elem(r: &Row<'_>) -> Trapping {
    // SAFETY: the row's contract; both ranges have been checked.
    unsafe {
        let (array, at, offset, len) = (r.last(4), r.index(3), r.index(2), r.index(1));
        check(array, at, len)?;
        check_elements(r, offset, len)?;
        write_elements(r, array, at, offset, len)?;
        Ok(0)
    }
}
