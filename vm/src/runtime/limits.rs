//! What a store may hold at most, and what it holds.
//!
//! In: limits that the host has set, and everything that makes memories, tables and heap grow. Out: how far each may. Invariant: the bytes
//! that are counted are those of the store's memories and tables; what objects and exceptions take is asked where it is kept. A memory
//! that several stores share counts in each of them, with what that store has seen of its growth.

use super::context::{Slot, VmStore};
use super::memory::LinearMemory;
use super::table::TableData;
use crate::error::{Error, Result};

/// What a store may hold at most.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreLimits {
    /// Bytes of each linear memory.
    pub memory_bytes: Option<u64>,
    /// Elements of each table.
    pub table_elements: Option<u64>,
    /// Number of instances.
    pub instances: Option<usize>,
    /// Number of memories.
    pub memories: Option<usize>,
    /// Number of tables.
    pub tables: Option<usize>,
    /// Bytes of the heap of structs and arrays, free room in it included. Without this limit it is 4 GiB. Exceptions that the guest refers
    /// to may take as much.
    pub gc_heap_bytes: Option<u64>,
    /// Bytes of all memories, tables, objects and exceptions together. An element of a table takes eight.
    pub total_bytes: Option<u64>,
}

/// Bytes of an element of a table.
const ELEMENT: u64 = size_of::<Slot>() as u64;

fn smaller(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}

impl VmStore {
    /// Bytes of everything that the limit on all of it counts.
    fn used_bytes(&self) -> u64 {
        let heap = self.heap.as_ref().map_or(0, |h| h.used_bytes() as u64);
        self.bytes.saturating_add(heap).saturating_add(self.exceptions.bytes())
    }

    /// What may be added at most.
    fn left(&self) -> Option<u64> {
        self.limits.total_bytes.map(|t| t.saturating_sub(self.used_bytes()))
    }

    /// Bytes that a memory of so many may have.
    fn memory_limit(&self, len: u64) -> Option<u64> {
        smaller(self.limits.memory_bytes, self.left().map(|l| l.saturating_add(len)))
    }

    /// Elements that a table of so many may have.
    fn table_limit(&self, len: u64) -> Option<u64> {
        smaller(self.limits.table_elements, self.left().map(|l| (l / ELEMENT).saturating_add(len)))
    }

    /// Bytes that the heap may have.
    pub(crate) fn heap_limit(&self) -> Option<u64> {
        let heap = self.heap.as_ref().map_or(0, |h| h.used_bytes() as u64);
        smaller(self.limits.gc_heap_bytes, self.left().map(|l| l.saturating_add(heap)))
    }

    /// Bytes that exceptions may take.
    pub(crate) fn exceptions_limit(&self) -> Option<u64> {
        smaller(self.limits.gc_heap_bytes, self.left().map(|l| l.saturating_add(self.exceptions.bytes())))
    }

    /// Counts a new memory.
    ///
    /// # Errors
    /// When it is larger than may be.
    pub(crate) fn admit_memory(&mut self, bytes: u64) -> Result<()> {
        if let Some(limit) = self.memory_limit(0).filter(|&l| bytes > l) {
            return Err(Error::limit(format!(
                "a memory of {bytes} bytes exceeds the store's limit: {limit} bytes are left"
            )));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Counts a new table.
    ///
    /// # Errors
    /// When it is larger than may be.
    pub(crate) fn admit_table(&mut self, elements: u64) -> Result<()> {
        if let Some(limit) = self.table_limit(0).filter(|&l| elements > l) {
            let left = format!("{limit} are left");
            return Err(Error::limit(format!("a table of {elements} elements exceeds the store's limit: {left}")));
        }
        self.bytes = self.bytes.saturating_add(elements.saturating_mul(ELEMENT));
        Ok(())
    }
}

/// Grows a memory by `delta` pages if its type, the limits and the system allow it; returns the size before.
///
/// # Safety
/// As [`LinearMemory::grow`]; nobody may have a reference to the store's counts.
pub(crate) unsafe fn grow_memory(vm: *mut VmStore, memory: *mut LinearMemory, delta: u64) -> Option<u64> {
    // SAFETY: the caller's contract.
    unsafe {
        let len = (*memory).vm.len() as u64;
        let before = LinearMemory::grow(memory, delta, (*vm).memory_limit(len))?;
        // What others have added to a shared memory is theirs.
        let added = delta.saturating_mul(1 << (*memory).ty.page_size_log2);
        (*vm).bytes = (*vm).bytes.saturating_add(added);
        Some(before)
    }
}

/// Grows a table by `delta` elements if its type, the limits and the system allow it; returns the length before.
///
/// # Safety
/// The table must be one of the store, and nobody else have a reference to it or to the store's counts.
pub(crate) unsafe fn grow_table(vm: *mut VmStore, table: *mut TableData, delta: u64, init: Slot) -> Option<u64> {
    // SAFETY: the caller's contract.
    unsafe {
        let limit = (*vm).table_limit((*table).len());
        let before = (*table).grow(delta, init, limit)?;
        (*vm).bytes = (*vm).bytes.saturating_add(delta.saturating_mul(ELEMENT));
        Some(before)
    }
}
