//! Compiled code at run time: where it lives, how it is entered and left, and what it calls.
//!
//! In: [`jit::Code`] and running instances. Out: results in the interpreter's slots, or a reason in the store.
//!
//! - `arrange`: where its parts go, and what they call; `code`: the compiled code of one module: placed, published; `registry`: from a machine address back to it
//! - `stack`: the stack it runs on
//! - `enter`: from the interpreter into compiled code; `call`: from compiled code to the interpreter and the host
//! - `helpers`: everything else that compiled code calls, `objects` of it what concerns objects
//! - `trap`: what becomes of a fault
//!
//! Invariant: between a transition into compiled code and the way out of it nothing with a destructor lives on the native
//! stack, except within calls of the runtime, which return before anything is abandoned.

pub(crate) mod arrange;
pub(crate) mod call;
pub(crate) mod code;
pub(crate) mod cpu;
pub(crate) mod enter;
pub(crate) mod helpers;
mod objects;
pub(crate) mod registry;
pub(crate) mod stack;
pub(crate) mod trap;

pub(crate) use helpers::helpers;
