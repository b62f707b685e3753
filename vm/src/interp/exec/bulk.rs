//! Instructions on whole memories, tables and references, and wide arithmetic: everything that is more than a load.

use super::access;
use crate::instance::InstanceData;
use crate::interp::dispatch::{Acc, Dst, Handler, Mem, S, handler};
use crate::runtime::bulk;
use crate::runtime::limits;
use crate::runtime::memory::LinearMemory;
use crate::runtime::table::TableData;
use crate::trap::TrapKind;

/// The running instance.
///
/// # Safety
/// The context must be a running one; no other reference to the instance may be alive.
#[inline(always)]
unsafe fn instance<'a>(s: &S) -> &'a mut InstanceData {
    // SAFETY: contexts are the first field of their instance.
    unsafe { &mut *s.ctx.cast::<InstanceData>() }
}

/// Goes on, or traps.
macro_rules! finish_with {
    ($s:ident, $outcome:expr, $words:expr) => {
        match $outcome {
            Ok(()) => $s.next($words),
            Err(kind) => $s.trap(kind),
        }
    };
}

handler! {
    /// Size in pages of memory x.
    fn memory_size<D: Dst>(s) {
        let m: *mut LinearMemory = *(*s.ctx).memories.add(s.inst().x as usize);
        let pages = (*m).pages();
        D::put(&mut s, pages);
        s.next(1)
    }
}
pub(crate) const MEMORY_SIZE: &[Handler] = &[memory_size::<Acc>, memory_size::<Mem>];

handler! {
    /// Slot a gets the size before memory x is grown by slot b pages, or -1.
    pub(crate) fn memory_grow(s) {
        let i = *s.inst();
        let m: *mut LinearMemory = *(*s.ctx).memories.add(i.x as usize);
        let failed = if (*m).ty.is64 { u64::MAX } else { u64::from(u32::MAX) };
        *s.slot(i.a) = limits::grow_memory((*s.ctx).store, m, *s.slot(i.b)).unwrap_or(failed);
        s.next(1)
    }
}

handler! {
    /// Memory d from slot a on gets slot c bytes of slot b.
    pub(crate) fn memory_fill(s) {
        let i = *s.inst();
        let m = *(*s.ctx).memories.add(i.d() as usize);
        finish_with!(s, bulk::memory_fill(m, *s.slot(i.a), *s.slot(i.b) as u8, *s.slot(i.c())), 1)
    }
}

handler! {
    /// Slot c bytes to slot a from slot b; the memories are the bytes of d, destination lowest.
    pub(crate) fn memory_copy(s) {
        let i = *s.inst();
        let to = *(*s.ctx).memories.add((i.d() & 0xff) as usize);
        let from = *(*s.ctx).memories.add((i.d() >> 8) as usize);
        finish_with!(s, bulk::memory_copy(to, from, *s.slot(i.a), *s.slot(i.b), *s.slot(i.c())), 1)
    }
}

handler! {
    /// Operands in slots a, b, c; memory d; segment in the word behind.
    pub(crate) fn memory_init(s) {
        let i = *s.inst();
        let segment = (*s.ip.add(1)).h as u32;
        let d = instance(&s);
        let outcome = bulk::memory_init(d, u32::from(i.d()), segment, *s.slot(i.a), *s.slot(i.b), *s.slot(i.c()));
        finish_with!(s, outcome, 2)
    }
}

handler! {
    pub(crate) fn data_drop(s) {
        let segment = s.inst().x as usize;
        instance(&s).dropped_data[segment] = true;
        s.next(1)
    }
}

handler! {
    pub(crate) fn elem_drop(s) {
        let segment = s.inst().x as usize;
        instance(&s).dropped_elems[segment] = true;
        s.next(1)
    }
}

handler! {
    /// Operands in slots a, b, c; table d; segment in the word behind.
    pub(crate) fn table_init(s) {
        let i = *s.inst();
        let segment = (*s.ip.add(1)).h as u32;
        let d = instance(&s);
        let outcome = bulk::table_init(d, u32::from(i.d()), segment, *s.slot(i.a), *s.slot(i.b), *s.slot(i.c()));
        finish_with!(s, outcome, 2)
    }
}

handler! {
    /// Operands in slots a, b, c; destination and source table in the halves of the word behind.
    pub(crate) fn table_copy(s) {
        let i = *s.inst();
        let tables = (*s.ip.add(1)).h;
        let d = instance(&s);
        let (to, from) = (tables as u32, (tables >> 32) as u32);
        finish_with!(s, bulk::table_copy(d, to, from, *s.slot(i.a), *s.slot(i.b), *s.slot(i.c())), 2)
    }
}

handler! {
    /// Start in slot a, value in slot b, length in slot c; table d.
    pub(crate) fn table_fill(s) {
        let i = *s.inst();
        let d = instance(&s);
        finish_with!(s, bulk::table_fill(d, u32::from(i.d()), *s.slot(i.a), *s.slot(i.b), *s.slot(i.c())), 1)
    }
}

handler! {
    /// Slot a gets the element at slot b of table x.
    pub(crate) fn table_get(s) {
        let i = *s.inst();
        let t: *mut TableData = *(*s.ctx).tables.add(i.x as usize);
        let Some(element) = access::element(t, *s.slot(i.b)) else { return s.trap(TrapKind::TableOutOfBounds) };
        *s.slot(i.a) = *element;
        s.next(1)
    }
}

handler! {
    /// The element at slot a of table x gets slot b.
    pub(crate) fn table_set(s) {
        let i = *s.inst();
        let t: *mut TableData = *(*s.ctx).tables.add(i.x as usize);
        let Some(element) = access::element(t, *s.slot(i.a)) else { return s.trap(TrapKind::TableOutOfBounds) };
        *element = *s.slot(i.b);
        s.next(1)
    }
}

handler! {
    /// Slot a gets the size of table x.
    pub(crate) fn table_size(s) {
        let i = *s.inst();
        let t: *mut TableData = *(*s.ctx).tables.add(i.x as usize);
        *s.slot(i.a) = (*t).vm.len as u64;
        s.next(1)
    }
}

handler! {
    /// Slot a gets the size before table d is grown by slot c elements of slot b, or -1.
    pub(crate) fn table_grow(s) {
        let i = *s.inst();
        let t: *mut TableData = *(*s.ctx).tables.add(i.d() as usize);
        let failed = if (*t).ty.is64 { u64::MAX } else { u64::from(u32::MAX) };
        *s.slot(i.a) = limits::grow_table((*s.ctx).store, t, *s.slot(i.c()), *s.slot(i.b)).unwrap_or(failed);
        s.next(1)
    }
}

handler! {
    /// Slot a gets a reference to function x.
    pub(crate) fn ref_func(s) {
        let i = *s.inst();
        *s.slot(i.a) = instance(&s).func_ref(i.x) as u64;
        s.next(1)
    }
}

handler! {
    /// Traps when slot a is null.
    pub(crate) fn ref_as_non_null(s) {
        if *s.slot(s.inst().a) == 0 { s.trap(TrapKind::NullReference) } else { s.next(1) }
    }
}

handler! {
    /// Slots a, a + 1 get the 128-bit sum (b = 0) or difference (b = 1) of the numbers in a.. and a + 2...
    pub(crate) fn add_sub_128(s) {
        let i = *s.inst();
        let at = s.slot(i.a);
        let x = u128::from(*at) | u128::from(*at.add(1)) << 64;
        let y = u128::from(*at.add(2)) | u128::from(*at.add(3)) << 64;
        let v = if i.b == 0 { x.wrapping_add(y) } else { x.wrapping_sub(y) };
        *at = v as u64;
        *at.add(1) = (v >> 64) as u64;
        s.next(1)
    }
}

handler! {
    /// Slots a, a + 1 get the 128-bit product of themselves, signed when b = 1.
    pub(crate) fn mul_wide(s) {
        let i = *s.inst();
        let at = s.slot(i.a);
        let v = if i.b == 1 {
            (i128::from(*at as i64) * i128::from(*at.add(1) as i64)) as u128
        } else {
            u128::from(*at) * u128::from(*at.add(1))
        };
        *at = v as u64;
        *at.add(1) = (v >> 64) as u64;
        s.next(1)
    }
}
