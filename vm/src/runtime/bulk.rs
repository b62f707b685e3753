//! Bulk operations on memories and tables, shared by instantiation, interpreter and compiled code.
//!
//! All check their whole range before they write anything.

use crate::instance::{InstanceData, segment_slots};
use crate::module::Module;
use crate::runtime::memory::LinearMemory;
use crate::trap::TrapKind;
use std::ptr;

type Trapping<T = ()> = Result<T, TrapKind>;

/// `at..at + len` as an address, if it lies within the memory.
///
/// # Safety
/// The memory must be one of a store that is borrowed, or runs.
#[inline(always)]
unsafe fn address(m: *mut LinearMemory, at: u64, len: u64) -> Trapping<*mut u8> {
    // SAFETY: the caller's contract.
    let vm = unsafe { &(*m).vm };
    match at.checked_add(len) {
        // SAFETY: the range was just found to be within the memory.
        Some(end) if end <= vm.len() as u64 => Ok(unsafe { vm.base.add(at as usize) }),
        _ => Err(TrapKind::MemoryOutOfBounds),
    }
}

/// An aligned cell of so many bytes within the memory.
///
/// # Safety
/// As [`address`].
pub(crate) unsafe fn atomic_address(m: *mut LinearMemory, at: u64, width: u64) -> Trapping<*mut u8> {
    if !at.is_multiple_of(width) {
        return Err(TrapKind::UnalignedAtomic);
    }
    // SAFETY: the caller's contract.
    unsafe { address(m, at, width) }
}

/// # Safety
/// As [`address`], and nobody may hold a reference into the memory.
pub(crate) unsafe fn memory_fill(m: *mut LinearMemory, at: u64, value: u8, len: u64) -> Trapping {
    // SAFETY: the caller's contract; the range is within the memory.
    unsafe { ptr::write_bytes(address(m, at, len)?, value, len as usize) };
    Ok(())
}

/// # Safety
/// As [`memory_fill`], for both memories.
pub(crate) unsafe fn memory_copy(
    to: *mut LinearMemory,
    from: *mut LinearMemory,
    dst: u64,
    src: u64,
    len: u64,
) -> Trapping {
    // SAFETY: the caller's contract; both ranges are within their memories, and may overlap.
    unsafe {
        let (d, s) = (address(to, dst, len)?, address(from, src, len)?);
        ptr::copy(s, d, len as usize);
    }
    Ok(())
}

pub(crate) fn memory_init(d: &mut InstanceData, memory: u32, segment: u32, dst: u64, src: u64, len: u64) -> Trapping {
    let range = &d.module.inner.raw.data[segment as usize].range;
    let bytes: &[u8] = if d.dropped_data[segment as usize] { &[] } else { &d.module.inner.bytes[range.clone()] };
    let end = src.checked_add(len).filter(|&e| e <= bytes.len() as u64).ok_or(TrapKind::MemoryOutOfBounds)?;
    // SAFETY: memories of the instance, which is borrowed, are valid.
    let to = unsafe { address(d.memory(memory), dst, len)? };
    let from = &bytes[src as usize..end as usize];
    // SAFETY: the range is within the memory, and module bytes are not guest memory.
    unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
    Ok(())
}

pub(crate) fn table_init(d: &mut InstanceData, table: u32, segment: u32, dst: u64, src: u64, len: u64) -> Trapping {
    let module = d.module.clone();
    table_init_from(d, &module, table, segment, dst, src, len)
}

/// The same when the caller has the instance's module at hand: counting its uses is dear where many threads do so.
pub(crate) fn table_init_from(
    d: &mut InstanceData,
    module: &Module,
    table: u32,
    segment: u32,
    dst: u64,
    src: u64,
    len: u64,
) -> Trapping {
    let oob = TrapKind::TableOutOfBounds;
    let items = module.inner.raw.elems[segment as usize].items.len() as u64;
    let available = if d.dropped_elems[segment as usize] { 0 } else { items };
    let end = src.checked_add(len).filter(|&e| e <= available).ok_or(oob)?;
    let t = d.table(table);
    // SAFETY: tables of the instance are valid; evaluating elements does not touch tables.
    let to = unsafe { (*t).range(dst, len).ok_or(oob)? };
    let put = |i: usize, slot| {
        // SAFETY: `to` is within the table.
        unsafe { *(*t).vm.base.add(to.start + i) = slot }
    };
    // What could fail, making objects, has been done at instantiation.
    segment_slots(d, module, segment, src as usize..end as usize, put).map_err(|_| TrapKind::UnsupportedInstruction)
}

pub(crate) fn table_copy(d: &mut InstanceData, to: u32, from: u32, dst: u64, src: u64, len: u64) -> Trapping {
    let oob = TrapKind::TableOutOfBounds;
    let (t, f) = (d.table(to), d.table(from));
    // SAFETY: tables of the instance are valid; the ranges are checked, and may overlap.
    unsafe {
        let dst = (*t).range(dst, len).ok_or(oob)?;
        let src = (*f).range(src, len).ok_or(oob)?;
        ptr::copy((*f).vm.base.add(src.start), (*t).vm.base.add(dst.start), src.len());
    }
    Ok(())
}

pub(crate) fn table_fill(d: &mut InstanceData, table: u32, at: u64, value: u64, len: u64) -> Trapping {
    // SAFETY: tables of the instance are valid, and nothing else refers into them now.
    let t = unsafe { &mut *d.table(table) };
    let range = t.range(at, len).ok_or(TrapKind::TableOutOfBounds)?;
    t.elements_mut()[range].fill(value);
    Ok(())
}
