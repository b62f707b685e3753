//! What is a module, and what is not.
//!
//! In: any bytes. Property: they are accepted exactly if `wasmparser` by itself finds them valid with the same proposals, and whatever is
//! asked of a module then has an answer.

use wasm::{Names, TypeRegistry};
use wasmparser::{FuncValidatorAllocations, FunctionBody, Validator};

/// Parses bytes, and validates all bodies.
pub fn parse(data: &[u8]) {
    let features = wasm::default_features();
    let types = TypeRegistry::default();
    let reference = Validator::new_with_features(features).validate_all(data);
    let own = wasm::parse(data, features, &types);
    let bodies = own.as_ref().map(|module| bodies(module, data));
    match (&reference, &bodies) {
        (Ok(_), Ok(Ok(()))) | (Err(_), Err(_) | Ok(Err(_))) => {}
        _ => panic!("wasmparser says {:?}, we say {bodies:?}", reference.map(drop)),
    }
    if let Ok(module) = &own {
        look_at(module, data, &types);
    }
}

fn bodies(module: &wasm::Module, data: &[u8]) -> Result<(), String> {
    let mut allocs = FuncValidatorAllocations::default();
    for own_func in 0..module.bodies.len() as u32 {
        let (mut validator, reader) = wasm::validate_body(module, data, own_func, allocs);
        validator.validate(&FunctionBody::new(reader)).map_err(|e| e.to_string())?;
        allocs = validator.into_allocations();
    }
    Ok(())
}

/// Follows all references within a module.
fn look_at(module: &wasm::Module, data: &[u8], types: &TypeRegistry) {
    let names = Names::read(data, module.name_section.clone());
    assert!(names.funcs.len() <= data.len());
    for &id in module.types.iter().chain(&module.funcs) {
        let _ = types.get(id);
    }
    for export in &module.exports {
        assert_eq!(module.export(&export.name).map(|e| e.index), Some(export.index));
    }
    for (_, range) in &module.custom_sections {
        let _ = &data[range.clone()];
    }
    for segment in &module.data {
        let _ = &data[segment.range.clone()];
    }
}
