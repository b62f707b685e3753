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
    /// Steps of the register allocator's walks.
    pub walks: Allowance,
    /// Bytes of machine code.
    pub code: usize,
}

/// Something for each unit of a body, and more for each of the first ones.
///
/// What ordinary code takes in excess of its length, functions of some ten thousand bytes take most of; those of a million bytes,
/// which are tables and initialisation, take next to nothing.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// For each unit.
    each: usize,
    /// In addition for each, up to `most` in all.
    more: usize,
    most: usize,
}

impl Allowance {
    /// What there is for so many units.
    pub fn of(self, units: usize) -> usize {
        let more = self.more.saturating_mul(units).min(self.most);
        self.each.saturating_mul(units).saturating_add(more)
    }
}

// Each is four times what the function takes that takes the most, of 750,000 that many toolchains have compiled.
/// Values for each byte of a body.
const VALUES: Allowance = Allowance { each: 2, more: 13, most: 1 << 20 };
/// Values that all functions of a module have in addition, and what each of them gets of those.
const SHARED_VALUES: usize = 2 << 20;
const SHARE: std::ops::RangeInclusive<usize> = 512..=128 << 10;
/// Steps for each byte of a body, and for each value of its share.
const STEPS: Allowance = Allowance { each: 8, more: 56, most: 1 << 20 };
const STEPS_PER_SHARE: usize = 8;
/// Steps for each instruction and block.
const WALKS: Allowance = Allowance { each: 64, more: 1536, most: 68 << 20 };
/// Bytes of code for each value that may be made.
const CODE_PER_VALUE: usize = 16;

impl Limits {
    /// For one of a module's own functions.
    pub fn new(env: &ModuleEnv<'_>, own_func: u32) -> Limits {
        let bodies = &env.module.bodies;
        let share = (SHARED_VALUES / bodies.len().max(1)).clamp(*SHARE.start(), *SHARE.end());
        Limits::of(bodies[own_func as usize].range().len(), share)
    }

    fn of(len: usize, share: usize) -> Limits {
        let values = VALUES.of(len) + share;
        Limits { values, steps: STEPS.of(len) + share * STEPS_PER_SHARE, walks: WALKS, code: values * CODE_PER_VALUE }
    }

    /// None at all.
    pub fn none() -> Limits {
        let walks = Allowance { each: usize::MAX, more: 0, most: 0 };
        Limits { values: usize::MAX, steps: usize::MAX, walks, code: usize::MAX }
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
        assert!(per_byte(8 << 10, 128) <= 18);
        assert!(per_byte(100, 10_000) <= 21);
    }
}
