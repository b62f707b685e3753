//! Everything that is specific to an operating system or a processor's signal frame.

mod guard;
mod map;

pub(crate) use guard::{Guarded, Outcome, guarded_call, guards_available};
pub(crate) use map::Mapping;
