//! The stack of value slots on which frames lie.
//!
//! ```text
//!   caller's frame                         callee's frame
//!   | params | ret | locals | operands … |args = params | ret | locals | operands … |
//!                                         ^ fp
//! ```
//!
//! A callee's frame begins where its arguments lie in the caller's operands; `ret` is the one word of bookkeeping, the
//! instruction to return to. The slots never move. A red zone behind the limit holds what is written before a frame's
//! size has been checked.

use crate::error::{Error, Result};
use crate::runtime::context::Slot;
use crate::sys::Mapping;

/// Slots behind the limit: more than the parameters and results of any function (1,000 values each).
const RED_ZONE: usize = 8192;

/// Bytes of a stack that stay mapped between two uses.
const KEPT: usize = 64 << 10;

/// A stack of slots.
pub(crate) struct ValueStack {
    mapping: Mapping,
}

impl ValueStack {
    /// Maps a stack of that many bytes; pages cost nothing until they are touched.
    pub(crate) fn new(bytes: usize) -> Result<ValueStack> {
        let total = bytes.saturating_add(RED_ZONE * size_of::<Slot>());
        let mapping = Mapping::reserve(total).and_then(|mut m| m.make_accessible(total).map(|()| m));
        let mapping = mapping.map_err(|e| Error::limit(format!("cannot map a guest stack of {bytes} bytes: {e}")))?;
        Ok(ValueStack { mapping })
    }
    /// Whether frames have been beyond what stays mapped, as far as a look at some places can tell.
    pub(crate) fn was_deep(&self) -> bool {
        self.mapping.is_touched(KEPT)
    }
    /// Gives back what deep recursion has touched.
    pub(crate) fn trim(&mut self) -> std::io::Result<()> {
        self.mapping.discard(KEPT)
    }
    /// The first slot.
    pub(crate) fn base(&self) -> *mut Slot {
        self.mapping.base().cast()
    }
    /// The first slot that frames may not use.
    pub(crate) fn limit(&self) -> *mut Slot {
        let slots = self.mapping.reserved() / size_of::<Slot>() - RED_ZONE;
        self.base().wrapping_add(slots)
    }
}
