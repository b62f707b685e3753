//! The x86-64 back end: selection, emission, adapters.

pub mod adapter;
mod call;
mod convert;
mod emit;
mod encode;
mod float;
mod inst;
mod list;
mod lower;
mod memory;
mod shrink;
mod simd;

pub use emit::emit;
pub use inst::{MInst, MOp, regs};
pub use list::list;
pub use lower::{Lowered, lower};
