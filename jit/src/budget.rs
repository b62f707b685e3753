//! How much a function may take to compile.
//!
//! In: the lengths of its body and of the module. Out: limits on what is made of it and on the work that does not show in what is made.
//! Invariant: limits and counts depend on the module and the settings alone, so the same functions are compiled every time, on every
//! machine; and the limits of all functions of a module together are in proportion to its length.
//!
//! Most analyses take time in proportion to what they look at. Some cannot: values may be live through all blocks of a function,
//! loops may assign the same locals at every depth, a call may have a thousand results. What such a body takes grows with the square of
//! its length. Ordinary code stays far below the limits. A function beyond one stays in the interpreter.

use crate::ModuleEnv;

/// Why a function is too much for the compiler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMuch(pub &'static str);

/// Limits for a function.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Values, arguments of calls and branches among them.
    pub values: usize,
    /// Steps of the front end beside one for each value: locals looked at for loops and merges.
    pub steps: usize,
    /// Steps of the register allocator's walks, for each instruction and block.
    pub walks: usize,
    /// Bytes of machine code.
    pub code: usize,
}

/// Values for each byte of a body: as much as ordinary code has, many times over, but not for long.
const VALUES_PER_BYTE: usize = 3;
const MORE_VALUES_PER_BYTE: usize = 8;
const MORE_VALUES: usize = 96 << 10;
/// Values that all functions of a module have in addition, and what each of them gets of those.
const SHARED_VALUES: usize = 2 << 20;
const SHARE: std::ops::RangeInclusive<usize> = 512..=128 << 10;
/// Steps for each value that may be made.
const STEPS_PER_VALUE: usize = 16;
/// Steps for each instruction and block.
const WALKS: usize = 128;
/// Bytes of code for each value that may be made.
const CODE_PER_VALUE: usize = 24;

impl Limits {
    /// For one of a module's own functions.
    pub fn new(env: &ModuleEnv<'_>, own_func: u32) -> Limits {
        let bodies = &env.module.bodies;
        let share = (SHARED_VALUES / bodies.len().max(1)).clamp(*SHARE.start(), *SHARE.end());
        Limits::of(bodies[own_func as usize].range().len(), share)
    }

    fn of(len: usize, share: usize) -> Limits {
        let values = VALUES_PER_BYTE * len + (MORE_VALUES_PER_BYTE * len).min(MORE_VALUES) + share;
        Limits { values, steps: values * STEPS_PER_VALUE, walks: WALKS, code: values * CODE_PER_VALUE }
    }

    /// None at all.
    pub fn none() -> Limits {
        Limits { values: usize::MAX, steps: usize::MAX, walks: usize::MAX, code: usize::MAX }
    }
}

/// Counts down to a limit.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    limit: usize,
    taken: usize,
}

impl Steps {
    /// So many may be taken.
    pub fn new(limit: usize) -> Steps {
        Steps { limit, taken: 0 }
    }
    /// Takes some.
    #[inline]
    pub fn take(&mut self, steps: usize) {
        self.taken += steps;
    }
    /// How many have been taken.
    pub fn taken(&self) -> usize {
        self.taken
    }
    /// Whether that were too many.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.taken > self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_module_are_in_proportion_to_its_length() {
        let per_byte = |len: usize, functions: usize| {
            let share = (SHARED_VALUES / functions).clamp(*SHARE.start(), *SHARE.end());
            Limits::of(len, share).values * functions / (len * functions)
        };
        // One function, some, and many.
        assert!(per_byte(1 << 20, 1) <= 4);
        assert!(per_byte(8 << 10, 128) <= 16);
        assert!(per_byte(100, 10_000) <= 17);
    }
}
