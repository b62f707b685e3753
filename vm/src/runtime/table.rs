//! Tables: growable arrays of references, one slot each; null is zero.

use super::context::{Slot, VmTable};
use crate::error::{Error, Result};
use wasm::TableType;

/// A table of one store.
#[repr(C)]
pub(crate) struct TableData {
    pub(crate) vm: VmTable,
    pub(crate) ty: TableType,
    elements: Vec<Slot>,
}

impl TableData {
    /// Greatest number of elements whatever the type says: 2^28 slots are 2 GiB.
    const MAX_ELEMENTS: u64 = 1 << 28;

    /// Creates a table of its initial size, every element `init`.
    ///
    /// # Errors
    /// When the initial size cannot be had.
    pub(crate) fn new(ty: TableType, init: Slot) -> Result<TableData> {
        if ty.min > Self::MAX_ELEMENTS {
            return Err(Error::limit(format!("table of {} elements is larger than this runtime allows", ty.min)));
        }
        // `vec![0; n]` asks for zeroed pages, which cost nothing until they are touched.
        let elements = vec![init; ty.min as usize];
        let mut t = TableData { vm: VmTable { base: std::ptr::null_mut(), len: 0 }, ty, elements };
        t.publish();
        Ok(t)
    }

    fn publish(&mut self) {
        self.vm.base = self.elements.as_mut_ptr();
        self.vm.len = self.elements.len();
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> u64 {
        self.elements.len() as u64
    }

    /// The elements.
    pub(crate) fn elements_mut(&mut self) -> &mut [Slot] {
        &mut self.elements
    }

    /// Grows by `delta` elements of `init` if type, `limit` and memory allow it; answers the length before.
    pub(crate) fn grow(&mut self, delta: u64, init: Slot, limit: Option<u64>) -> Option<u64> {
        let old = self.len();
        let new = old.checked_add(delta)?;
        let max = self.ty.max.unwrap_or(u64::MAX).min(Self::MAX_ELEMENTS).min(limit.unwrap_or(u64::MAX));
        if new > max && delta > 0 {
            return None;
        }
        self.elements.try_reserve_exact(delta as usize).ok()?;
        self.elements.resize(new as usize, init);
        self.publish();
        Some(old)
    }

    /// `start..start + len` if it lies within the table.
    pub(crate) fn range(&self, start: u64, len: u64) -> Option<std::ops::Range<usize>> {
        let end = start.checked_add(len).filter(|&e| e <= self.len())?;
        Some(start as usize..end as usize)
    }
}
