//! Properties that hold for all input: one function for each, which panics when the property is broken.
//!
//! In: bytes, which are a module, choose one, or list what to do. Out: nothing. libFuzzer drives them (`targets/`, built by
//! `run.sh`), and `tests/corpus.rs` repeats what it once found. Invariant: the same bytes do the same every time.

#[path = "../../vm/tests/support/behaviour.rs"]
#[allow(dead_code)]
mod behaviour;
mod cache_load;
mod compile;
mod differential;
mod modules;
mod parse;
#[path = "../../vm/tests/support/mod.rs"]
mod support;
mod translate;
mod validate;
mod wasi_paths;

pub use cache_load::cache_load;
pub use compile::compile;
pub use differential::differential;
pub use parse::parse;
pub use translate::translate;
pub use validate::validate;
pub use wasi_paths::wasi_paths;

/// A property and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("parse", parse),
    ("validate", validate),
    ("translate", translate),
    ("compile", compile),
    ("differential", differential),
    ("cache_load", cache_load),
    ("wasi_paths", wasi_paths),
];
