//! Every valid body is compiled, or refused for a reason.
//!
//! In: bytes that are a module or choose one. Property: each function, and each loop as an entry, is compiled under settings chosen
//! at random. Built with debug assertions, the compiler verifies its code after every pass and proves every allocation
//! of registers. Compiling is deterministic.

use crate::modules;
use crate::support::Rng;
use jit::frontend::ModuleFacts;
use jit::{Code, CompileError, CpuFeatures, Entry, Landing, ModuleEnv, Place, Settings};
use wasm::TypeRegistry;
use wasmparser::{BinaryReader, FunctionBody, Operator};

/// Compiles all functions of a module.
pub fn compile(data: &[u8]) {
    let Some(mut input) = modules::module(data, false) else { return };
    let types = TypeRegistry::default();
    let Ok(module) = wasm::parse(&input.bytes, wasm::default_features(), &types) else {
        return assert!(!input.valid, "a valid module is refused");
    };
    let facts = ModuleFacts::new(&module, &input.bytes, &types);
    let env = ModuleEnv { module: &module, bytes: &input.bytes, types: &types, facts: &facts };
    for own_func in 0..module.bodies.len() as u32 {
        let settings = settings(&mut input.rng, &module);
        match jit::compile(&env, own_func, Entry::Function, &settings) {
            Ok(code) => {
                check(&code);
                let again = jit::compile(&env, own_func, Entry::Function, &settings).expect("as before");
                assert_eq!(code.bytes, again.bytes, "function {own_func} is compiled in two ways");
            }
            Err(CompileError::Unsupported { .. }) => continue,
            Err(CompileError::Invalid { .. }) if !input.valid => continue,
            Err(e) => panic!("function {own_func}: {e}"),
        }
        for at in loops(&module, &input.bytes, own_func).into_iter().take(20) {
            match jit::compile(&env, own_func, Entry::Loop(at), &settings) {
                Ok(code) => check(&code),
                Err(CompileError::Unsupported { .. }) => {}
                Err(e) => panic!("function {own_func}, loop at {at:#x}: {e}"),
            }
        }
    }
}

/// Settings for one function.
fn settings(rng: &mut Rng, module: &wasm::Module) -> Settings {
    let mut coin = || rng.chance(50);
    let avx = coin();
    let cpu = CpuFeatures {
        popcnt: coin(),
        lzcnt: coin(),
        bmi1: coin(),
        bmi2: coin(),
        avx,
        avx2: avx && coin(),
        fma: avx && coin(),
        sse42: coin(),
    };
    let can_guard = module.memories.first().is_some_and(|m| !m.is64 && m.page_size_log2 == 16);
    let (guarded, fuel, interruptible, mut segment) = (can_guard && coin(), coin(), coin(), coin());
    segment &= guarded || coin();
    let (mask_tables, mask_memories, canonical_nans) = (coin(), coin(), coin());
    let (passes, tunables) = if rng.chance(60) { Default::default() } else { jit::tunables::random(rng.next()) };
    Settings {
        cpu,
        guarded,
        segment,
        fuel,
        canonical_nans,
        interruptible,
        mask_tables,
        mask_memories,
        passes,
        tunables,
    }
}

/// The tables of a piece of code name places in it, in order.
fn check(code: &Code) {
    assert!(code.code_len as usize <= code.bytes.len());
    assert!(code.traps.is_sorted_by_key(|t| t.at) && code.traps.iter().all(|t| t.at < code.code_len));
    assert!(code.calls.is_sorted() && code.calls.iter().all(|c| c.0 <= code.code_len));
    let exists = |position: u32| position < Place::INLINED + code.places.len() as u32;
    assert!(code.traps.iter().all(|t| exists(t.wasm)) && code.calls.iter().all(|c| exists(c.1)));
    // Each is in the function itself or in a place before it.
    assert!(code.places.iter().zip(Place::INLINED..).all(|(p, number)| p.caller < number));
    let is_landing = |l: &Landing| {
        let tags = usize::from(l.tags) <= code.tags.len();
        tags && l.to < code.code_len && code.calls.iter().any(|c| c.0 == l.at)
    };
    assert!(code.landings.is_sorted_by_key(|l| l.at) && code.landings.iter().all(is_landing));
    assert!(code.relocs.iter().all(|r| r.at + 4 <= code.code_len));
    assert_eq!(code.prologue.last().map(|p| p.1), Some(code.frame_size));
}

/// Offsets of the loops of a body.
fn loops(module: &wasm::Module, bytes: &[u8], own_func: u32) -> Vec<u32> {
    let body = module.bodies[own_func as usize];
    let reader = BinaryReader::new_features(&bytes[body.range()], body.start.into(), module.features());
    let Ok(operators) = FunctionBody::new(reader).get_operators_reader() else { return Vec::new() };
    let loops = operators.into_iter_with_offsets().map_while(Result::ok);
    loops.filter(|(op, _)| matches!(op, Operator::Loop { .. })).map(|(_, at)| at as u32).collect()
}
