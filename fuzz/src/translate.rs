//! Every valid body has register code.
//!
//! In: bytes that are a module or choose one. Property: all functions of a valid module are translated, for all kinds of memory, with
//! and without fuel, and the same every time.

use crate::modules;
use vm::{Config, Engine, Error, MemoryMode, Module, Tier};

/// Translates all functions of a module.
pub fn translate(data: &[u8]) {
    let Some(input) = modules::module(data, false) else { return };
    for (memory, fuel) in
        [(MemoryMode::Auto, false), (MemoryMode::Checked, false), (MemoryMode::Auto, true), (MemoryMode::Checked, true)]
    {
        let mut config = Config::new();
        config.tier(Tier::Interp).memory_mode(memory).fuel(fuel);
        let engine = Engine::new(&config).expect("the settings can be met");
        let module = match Module::new(&engine, &input.bytes) {
            Ok(module) => module,
            Err(e) => return assert!(!input.valid, "a valid module is refused: {e}"),
        };
        let valid = module.validate_bodies().is_ok();
        assert!(valid || !input.valid);
        for f in (0..module.function_count()).filter(|&f| module.function_body(f).is_some()) {
            match module.disassemble(f) {
                Ok(text) => assert_eq!(Ok(text), module.disassemble(f).map_err(|e| e.to_string())),
                // A frame may be too large.
                Err(Error::Limit(_) | Error::Unsupported(_)) => {}
                Err(e) => assert!(!valid, "function {f}: {e}"),
            }
        }
    }
}
