//! When bodies are validated makes no difference to what is found.
//!
//! In: bytes that are a module or choose one, with bodies that may not be valid. Property: validating at once, later, and one function
//! at a time by translating it find the same.

use crate::modules;
use vm::{Config, Engine, Error, Module, Validation};

/// Validates a module in several ways.
pub fn validate(data: &[u8]) {
    let Some(input) = modules::module(data, true) else { return };
    let [lazy, eager] = [Validation::Lazy, Validation::Eager].map(|v| {
        let engine = Engine::new(Config::new().validation(v)).expect("the settings can be met");
        Module::new(&engine, &input.bytes)
    });
    let lazy = match lazy {
        Ok(module) => module,
        Err(e) => {
            let at_once = eager.err().map(|e| e.to_string());
            return assert_eq!(at_once, Some(e.to_string()), "a module is refused only when it is not validated");
        }
    };
    let later = lazy.validate_bodies().map_err(|e| e.to_string());
    assert_eq!(eager.map(drop).map_err(|e| e.to_string()), later);
    assert!(later.is_ok() || !input.valid, "a valid module is refused: {later:?}");
    let one_by_one = (0..lazy.function_count())
        .filter(|&f| lazy.function_body(f).is_some())
        .find_map(|f| lazy.disassemble(f).err().filter(|e| matches!(e, Error::Module(_))));
    assert_eq!(one_by_one.map_or(Ok(()), |e| Err(e.to_string())), later);
}
