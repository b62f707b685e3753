//! The register interpreter.
//!
//! In: validated function bodies and an instance. Out: results, or why and where the guest stopped.
//! `translate` turns a body into register code (`code`, `isa`) at its first call; `exec` holds one handler per
//! instruction form; `dispatch` defines what handlers pass on; `enter` goes in from the host and comes out again.

pub(crate) mod backtrace;
pub(crate) mod code;
pub(crate) mod dispatch;
pub(crate) mod enter;
pub(crate) mod exec;
pub(crate) mod isa;
pub(crate) mod simd;
pub(crate) mod stack;
pub(crate) mod translate;
