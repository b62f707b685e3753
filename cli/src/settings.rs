//! Engine settings from options that several commands have.
//!
//! Out: the runtime's configuration.

use crate::args::{CacheChoice, Execution, Memory, Tier};
use vm::{Cache, MemoryMode};

/// What executes functions.
pub(crate) fn tier(tier: Tier) -> vm::Tier {
    match tier {
        Tier::Interp => vm::Tier::Interp,
        Tier::Jit => vm::Tier::Jit,
        Tier::Auto => vm::Tier::Auto,
    }
}

/// How often something runs before it is compiled.
pub(crate) fn threshold(execution: &Execution) -> Option<u32> {
    execution.tier_threshold.map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// How memory accesses are kept in bounds.
pub(crate) fn memory_mode(memory: Memory) -> MemoryMode {
    match memory {
        Memory::Auto => MemoryMode::Auto,
        Memory::Checked => MemoryMode::Checked,
        Memory::Masked => MemoryMode::Masked,
    }
}

/// Where compiled code is kept, if anywhere.
pub(crate) fn cache(choice: &CacheChoice) -> Option<Cache> {
    match (&choice.dir, choice.no_cache) {
        (_, true) => None,
        (Some(dir), _) => Some(Cache::at(dir)),
        (None, _) => Cache::user(),
    }
}
