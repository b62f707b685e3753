//! The x86-64 back end: selection, emission, adapters.

// The expansions of dynasm convert register numbers, which mostly are of the wanted type already.
#![allow(clippy::useless_conversion)]

pub mod adapter;
mod call;
mod carry;
mod convert;
mod dispatch;
mod emit;
mod encode;
mod float;
mod inst;
mod list;
mod lower;
mod memory;
mod shrink;
mod simd;
#[cfg(test)]
mod tests;

pub(crate) use emit::emit;
pub(crate) use inst::regs;
pub(crate) use list::list;
pub(crate) use lower::lower;
