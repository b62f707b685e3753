//! Profilers and debuggers get to know compiled code.

use crate::config::Config;
use crate::module::ModuleInner;
use crate::native::code::Location;
use jit::Entry;

/// Who wants to know of published code.
pub(crate) struct Listeners {}

impl Listeners {
    pub(crate) fn new(_config: &Config) -> Listeners {
        Listeners {}
    }
    /// Tells everybody of code that has been published.
    pub(crate) fn published(&self, _: &ModuleInner, _: u32, _: Entry, _: Location, _: &[(u32, u32)]) {}
}
