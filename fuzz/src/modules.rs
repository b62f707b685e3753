//! From bytes to a module.
//!
//! In: bytes. If they begin as a module does, they are one; otherwise they choose one (wasm-smith). Out: a module, and numbers
//! that settings can be chosen with.

use crate::behaviour;
use crate::support::Rng;
use arbitrary::Unstructured;

/// What a target works on.
pub(crate) struct Input {
    pub(crate) bytes: Vec<u8>,
    /// Whether the bodies are valid for sure.
    pub(crate) valid: bool,
    /// For choosing settings.
    pub(crate) rng: Rng,
}

/// The module that `data` is or chooses; `invalid` lets the generator make bodies that are not valid.
pub(crate) fn module(data: &[u8], invalid: bool) -> Option<Input> {
    if data.starts_with(b"\0asm") {
        let rng = Rng::new(data.iter().rev().take(8).fold(0, |n, &b| n << 8 | u64::from(b)));
        return Some(Input { bytes: data.to_vec(), valid: false, rng });
    }
    let (seed, rest) = data.split_first_chunk::<4>()?;
    let mut rng = Rng::new(u64::from(u32::from_le_bytes(*seed)));
    let everything = rng.chance(60);
    let mut config = behaviour::config(&mut rng, everything);
    config.allow_invalid_funcs = invalid && rng.chance(50);
    let valid = !config.allow_invalid_funcs;
    let bytes = wasm_smith::Module::new(config, &mut Unstructured::new(rest)).ok()?.to_bytes();
    dump(&bytes);
    Some(Input { bytes, valid, rng })
}

/// Writes a module where `VM_FUZZ_DUMP` says, so that others can look at it.
pub(crate) fn dump(bytes: &[u8]) {
    if let Some(path) = std::env::var_os("VM_FUZZ_DUMP") {
        std::fs::write(path, bytes).expect("a place for the module");
    }
}
