//! Engine settings from options that several commands have.
//!
//! Out: the runtime's setting, or bad usage where this version lacks what was asked for.

use crate::args::{Memory, Tier};
use crate::exit::Exit;
use vm::MemoryMode;

/// What executes functions, where this version has it.
pub(crate) fn tier(tier: Tier) -> Result<vm::Tier, Exit> {
    match tier {
        Tier::Interp => Ok(vm::Tier::Interp),
        Tier::Auto => Ok(vm::Tier::Auto),
        Tier::Jit => Err(Exit::usage(
            "--tier jit: this version has no compiler; use --tier interp, or auto for the best there is",
        )),
    }
}

/// How memory accesses are kept in bounds.
pub(crate) fn memory_mode(memory: Memory) -> MemoryMode {
    match memory {
        Memory::Auto => MemoryMode::Auto,
        Memory::Checked => MemoryMode::Checked,
    }
}
