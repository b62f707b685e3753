//! Everything that is specific to an operating system or a processor's signal frame.

mod alarm;
mod altstack;
mod code;
mod file;
mod guard;
mod map;
mod memfd;
mod pagemap;
pub(crate) mod perf;
mod registers;
pub(crate) mod safepoint;
mod stack;
mod transition;

pub use alarm::exit_after;
pub(crate) use altstack::ensure as ensure_signal_stack;
pub(crate) use code::{CodeMemory, TRAP, fault};
pub(crate) use file::MappedFile;
pub(crate) use guard::{Guarded, Outcome, catch_native_faults, guarded_call, guards_available};
pub(crate) use map::{FileView, Mapping, expect_to_fill, page_size};
pub(crate) use memfd::{sealed_copy, sealed_file};
pub(crate) use pagemap::written;
pub(crate) use registers::with_kept_registers;
pub(crate) use stack::on_stack;
#[cfg(target_arch = "x86_64")]
pub(crate) use transition::keeps_wide_registers;
pub(crate) use transition::{
    AVAILABLE as NATIVE_AVAILABLE, Decision, TRAP_FUEL, TRAP_REGISTERS, call_by_cell, cross_return, cross_tail,
    enter as enter_native_code, raise, segment_available, set_segment,
};
