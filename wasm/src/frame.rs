//! Where the values of a function lie in a frame of the interpreter.
//!
//! In: the types of parameters and locals. Out: their slots, that of the return address, and the first slot of the operand
//! stack. Invariant: at every label each local is in its slot and each entry of the operand stack in its own (an entry
//! begins where the one below ends), which on-stack replacement relies on.
//!
//! ```text
//!   | params | ret | (scratch) | locals | operands …
//! ```

use crate::types::ValType;

/// The slots of a frame; a v128 takes two in a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrameLayout {
    /// First slot of each local, parameters first.
    pub local_slots: Vec<u32>,
    /// Slot of the return address.
    pub ret: u32,
    /// First slot of the operand stack.
    pub stack_base: u32,
}

impl FrameLayout {
    /// The layout for these parameters and further locals.
    pub fn new(params: &[ValType], locals: &[ValType]) -> FrameLayout {
        FrameLayout::with_scratch(params.iter().map(|t| t.slots()), locals.iter().map(|t| t.slots()), 0)
    }

    /// As `new`, from the number of slots of each value, with `scratch` slots behind the return address.
    pub fn with_scratch(
        params: impl IntoIterator<Item = u32>,
        locals: impl IntoIterator<Item = u32>,
        scratch: u32,
    ) -> FrameLayout {
        let mut next = 0;
        let mut place = |slots: u32| {
            next += slots;
            next - slots
        };
        let mut local_slots: Vec<u32> = params.into_iter().map(&mut place).collect();
        let ret = place(1 + scratch);
        local_slots.extend(locals.into_iter().map(&mut place));
        FrameLayout { local_slots, ret, stack_base: next }
    }

    /// First slot of a local.
    pub fn local_slot(&self, local: u32) -> u32 {
        self.local_slots[local as usize]
    }

    /// Slots between return address and operand stack (what the function's entry zeroes).
    pub fn zeroed(&self) -> u32 {
        self.stack_base - self.ret - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_return_address_lies_between_parameters_and_locals() {
        let f = FrameLayout::new(&[ValType::I32, ValType::V128], &[ValType::F64, ValType::V128, ValType::I32]);
        assert_eq!(f, FrameLayout { local_slots: vec![0, 1, 4, 5, 7], ret: 3, stack_base: 8 });
        assert_eq!(f.zeroed(), 4);
        let f = FrameLayout::with_scratch([1], [1], 16);
        assert_eq!(f, FrameLayout { local_slots: vec![0, 18], ret: 1, stack_base: 19 });
        let f = FrameLayout::new(&[], &[]);
        assert_eq!(f, FrameLayout { local_slots: vec![], ret: 0, stack_base: 1 });
    }
}
