//! Tables: growable arrays of references, one slot each; null is zero.

use super::context::{Slot, VmTable};
use crate::error::{Error, Result};
use std::alloc::Layout;
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
        let elements = filled(ty.min as usize, init)
            .ok_or_else(|| Error::limit(format!("there is no memory for a table of {} elements", ty.min)))?;
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
        // With room to grow, if there is memory for that.
        let more = delta as usize;
        self.elements.try_reserve(more).or_else(|_| self.elements.try_reserve_exact(more)).ok()?;
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

/// So many elements, if there is memory for them.
fn filled(n: usize, init: Slot) -> Option<Vec<Slot>> {
    let mut elements = Vec::new();
    if n > 0 && init == 0 {
        let layout = Layout::array::<Slot>(n).ok()?;
        // SAFETY: the layout is not empty; zeroed memory of that layout is what a vector of so many zeros has. Asked for zeroed pages, the
        // system gives such that cost nothing until they are touched.
        return unsafe {
            let base = std::alloc::alloc_zeroed(layout).cast::<Slot>();
            (!base.is_null()).then(|| Vec::from_raw_parts(base, n, n))
        };
    }
    elements.try_reserve_exact(n).ok()?;
    elements.resize(n, init);
    Some(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm::RefType;

    fn ty(min: u64) -> TableType {
        TableType { element: RefType::FUNCREF, min, max: None, is64: true }
    }

    #[test]
    fn tables_begin_filled() {
        for init in [0, 7] {
            let mut t = TableData::new(ty(1000), init).unwrap();
            assert_eq!(t.grow(1, 5, None), Some(1000));
            assert!(t.elements_mut()[..1000].iter().all(|&e| e == init) && t.elements_mut()[1000] == 5);
        }
        assert_eq!(TableData::new(ty(0), 0).unwrap().len(), 0);
    }

    #[test]
    fn growth_one_by_one_moves_a_table_seldom() {
        let (mut t, mut moves) = (TableData::new(ty(0), 0).unwrap(), 0);
        for _ in 0..100_000 {
            let before = t.elements.capacity();
            t.grow(1, 0, None).unwrap();
            moves += usize::from(t.elements.capacity() != before);
        }
        assert!(moves < 32, "{moves}");
    }
}
