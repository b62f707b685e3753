//! When functions are compiled, and by whom.
//!
//! In: how often the interpreter is seen in which function and loop. Out: compiled code where calls and loops find it.
//!
//! - `heat`: what the interpreter's samples add up to; `queue`: what is to be compiled, and the threads that do
//! - `compile`: one function; `eager`: all of a module; `filter`: which functions
//! - `log`: what was compiled, for those who want to know
//! - `timer`: lets compiled code know when a deadline has passed
//!
//! Invariant: none of it costs anything before the interpreter has run for a while, with the default settings.

pub(crate) mod compile;
pub(crate) mod eager;
pub(crate) mod filter;
pub(crate) mod heat;
pub(crate) mod log;
pub(crate) mod queue;
pub(crate) mod timer;
