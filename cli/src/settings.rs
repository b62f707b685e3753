//! Engine settings from options that several commands have.
//!
//! Out: the runtime's configuration.

use crate::args::{CacheChoice, Compiler, Execution, Memory, Tier};
use crate::exit::Exit;
use vm::{Cache, CompileFilter, Config, MemoryMode};

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

/// `--jit-filter`
pub(crate) fn filter(text: &str) -> Result<CompileFilter, String> {
    CompileFilter::parse(text).map_err(|e| e.to_string())
}

/// `--jit-passes`, which an engine understands.
pub(crate) fn passes(text: &str) -> Result<String, String> {
    Config::new().change_passes(text).map(|_| text.to_string()).map_err(|e| e.to_string())
}

/// Sets what of the compiler is used.
pub(crate) fn compiler(config: &mut Config, choice: &Compiler) -> Result<(), Exit> {
    config.compile_filter(choice.jit_filter.clone());
    let text = choice.jit_passes.as_deref().unwrap_or_default();
    config.change_passes(text).map_err(|e| Exit::usage(e.to_string()))?;
    Ok(())
}
