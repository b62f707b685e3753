//! The stack on which compiled code of a store runs, and what lies beside it.
//!
//! ```text
//!   | guard | headroom for the runtime and the host | usable … | guard | emergency stack | argument area |
//!                                                   ▲ limit     ▲ top
//! ```
//!
//! Compiled code grows down from `top` and may use the headroom too, until it faults in the guard. What it calls in the
//! runtime is entered only above `limit`, so that at least the headroom is left. The runtime's part of a trap runs on the
//! emergency stack: the frames below stay as they are. Parts are whole pages; none costs memory before it is touched.

use crate::error::{Error, Result};
use crate::sys::{Mapping, page_size};
use jit::abi::{ARG_AREA_SIZE, MAX_UNCHECKED_FRAME};

/// More than the largest frame that is entered without a check.
const GUARD: usize = 128 << 10;
const _: () = assert!(GUARD > 2 * MAX_UNCHECKED_FRAME as usize);
/// What host functions may use at least.
const HEADROOM: usize = 512 << 10;
const EMERGENCY: usize = 128 << 10;
/// Bytes at the top that stay between two uses.
const KEPT: usize = 64 << 10;

/// A native stack.
pub(crate) struct NativeStack {
    mapping: Mapping,
    usable: usize,
}

impl NativeStack {
    /// Maps a stack of that many usable bytes.
    pub(crate) fn new(usable: usize) -> Result<NativeStack> {
        let usable = usable.saturating_add(0xffff) & !0xffff;
        let total = usable.saturating_add(2 * GUARD + HEADROOM + EMERGENCY + ARG_AREA_SIZE);
        let mapped = Mapping::reserve(total).and_then(|mut m| {
            m.make_accessible(total)?;
            m.protect(0, GUARD)?;
            m.protect(GUARD + HEADROOM + usable, GUARD)?;
            Ok(m)
        });
        let mapping = mapped.map_err(|e| Error::limit(format!("cannot map a native stack of {usable} bytes: {e}")))?;
        Ok(NativeStack { mapping, usable })
    }

    fn at(&self, offset: usize) -> usize {
        self.mapping.base() as usize + offset
    }
    /// Where compiled code begins.
    pub(crate) fn top(&self) -> usize {
        self.at(GUARD + HEADROOM + self.usable)
    }
    /// The lowest stack pointer with which the runtime may be called.
    pub(crate) fn limit(&self) -> usize {
        self.at(GUARD + HEADROOM)
    }
    /// Bytes from the end of the guard to the top.
    pub(crate) fn size(&self) -> usize {
        HEADROOM + self.usable
    }
    /// Whether a fault at that address means that the stack is used up.
    pub(crate) fn is_guard(&self, address: usize) -> bool {
        address.wrapping_sub(self.at(0)) < GUARD
    }
    /// Where the emergency stack begins.
    pub(crate) fn emergency_top(&self) -> usize {
        self.at(2 * GUARD + HEADROOM + self.usable + EMERGENCY)
    }
    /// The argument area.
    pub(crate) fn args(&self) -> *mut u8 {
        self.emergency_top() as *mut u8
    }
    /// Whether frames have been below what stays mapped, as far as a look at some places can tell.
    pub(crate) fn was_deep(&self) -> bool {
        self.mapping.is_touched(GUARD + self.size() - KEPT - page_size())
    }
    /// Gives back what deep recursion has touched.
    pub(crate) fn trim(&mut self) -> std::io::Result<()> {
        self.mapping.discard_range(GUARD, self.size() - KEPT)
    }
}
