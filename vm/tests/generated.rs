//! Modules made by a generator of valid modules, run in every configuration.
//!
//! In: seeds (`VM_FUZZ_MODULES` raises their number, `VM_FUZZ_SEED` picks one or a range, `VM_FUZZ_TRACE` names each before it
//! runs). Out: equal results, traps, memories, tables, globals and fuel, whatever the kind of memory and with or without
//! fuel, and however often garbage is collected.

#[path = "support/behaviour.rs"]
mod behaviour;
mod support;

use behaviour::{describe, imports, kind, limits, module, observe, run, value};
use std::time::{Duration, Instant};
use support::{Mode, Rng};
use vm::{Extern, HeapType, Instance, Module, RefType, Store, TrapKind, Val, ValType};

/// How long a module may wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(3);

fn compare(everything: bool, variable: &str, default: u64) {
    let mut modes = support::modes(|_| ());
    if everything {
        modes.extend(support::stressed());
    }
    let (mut ran, mut returned, mut waited) = (0u64, 0u64, 0u64);
    let seeds = support::seeds(variable, default);
    let total = seeds.end - seeds.start;
    for seed in seeds {
        if std::env::var_os("VM_FUZZ_TRACE").is_some() {
            println!("seed {seed}");
        }
        let Some(bytes) = module(seed, everything) else { continue };
        if std::env::var_os("VM_FUZZ_DUMP").is_some() {
            std::fs::write(format!("generated-{seed}.wasm"), &bytes).expect("a writable folder");
        }
        let first = run(&modes[0], &bytes, seed, PATIENCE);
        let Some(first) = first else {
            waited += 1;
            continue;
        };
        ran += u64::from(first.len() > 1);
        returned += u64::from(first.windows(2).any(|w| w[0].starts_with("call") && !w[1].starts_with("trap")));
        if !everything {
            let accepted = !first.iter().any(|l| l.starts_with("module") || l.starts_with("bodies"));
            assert!(accepted, "seed {seed}: a valid module is refused: {first:?}");
        }
        let random = support::random_mode(seed);
        for mode in modes[1..].iter().chain([&random]) {
            let other = run(mode, &bytes, seed, PATIENCE);
            mode.assert_compiler_is_well(&format!("seed {seed}"));
            let Some(other) = other else { continue };
            for (i, (a, b)) in first.iter().zip(&other).enumerate() {
                assert_eq!(a, b, "seed {seed}, {} differs from {} at line {i} of {first:?}", mode.name, modes[0].name);
            }
            assert_eq!(first.len(), other.len(), "seed {seed}, {}", mode.name);
        }
    }
    println!("{ran} of {total} modules ran, {returned} with calls that returned, {waited} waited in vain");
    assert!(total == 1 || ran * 2 > total, "only {ran} of {total} modules ran");
}

#[test]
fn modules_behave_the_same_in_every_configuration() {
    support::with_large_stack(|| compare(false, "VM_FUZZ_MODULES", 500));
}

#[test]
fn modules_of_all_proposals_do_no_harm() {
    support::with_large_stack(|| compare(true, "VM_FUZZ_MODULES", 300));
}

/// How much fuel a module takes does not depend on the kind of its memory or who executes it, and running out stops it at one place.
#[test]
fn fuel_is_the_same_for_all_memories() {
    let modes: Vec<Mode> = support::modes(|_| ()).into_iter().filter(|m| m.fuel).collect();
    let mut exhausted = 0;
    for seed in support::seeds("VM_FUZZ_MODULES", 200) {
        let Some(bytes) = module(seed, false) else { continue };
        let outcomes: Vec<_> = modes.iter().map(|mode| exhaust(mode, &bytes, seed)).collect();
        for (mode, outcome) in modes.iter().zip(&outcomes).skip(1) {
            assert_eq!(&outcomes[0], outcome, "seed {seed}, {}", mode.name);
        }
        exhausted += usize::from(outcomes[0].iter().flatten().any(|l| l.contains("OutOfFuel")));
    }
    assert!(exhausted > 0 || std::env::var_os("VM_FUZZ_SEED").is_some(), "no module ran out of fuel");
}

/// Calls every export with little fuel.
fn exhaust(mode: &Mode, bytes: &[u8], seed: u64) -> Option<Vec<String>> {
    let module = Module::new(&mode.engine, bytes).ok()?;
    let mut store = Store::new(&mode.engine, 0);
    store.limits(limits());
    store.set_fuel(10_000).ok()?;
    store.set_deadline(Some(Instant::now() + PATIENCE));
    let mut rng = Rng::new(seed ^ 0x77);
    let offered = imports(&mut store, &module, &mut rng)?;
    let instance = Instance::new(&mut store, &module, &offered).ok()?;
    let mut log = Vec::new();
    let exports: Vec<Extern> = instance.exports(&mut store).map(|e| e.into_extern()).collect();
    for f in exports.into_iter().filter_map(Extern::into_func) {
        let ty = f.ty(&store);
        let Some(args) = ty.params.iter().map(|&t| value(&mut rng, t)).collect::<Option<Vec<_>>>() else { continue };
        let mut results = vec![Val::I32(0); ty.results.len()];
        store.set_fuel(rng.below(200) as u64).ok()?;
        let outcome = f.call(&mut store, &args, &mut results);
        log.push(match outcome {
            Ok(()) => results.iter().map(|r| describe(&store, r)).collect(),
            Err(e) if e.as_trap().is_some_and(|t| t.kind() == TrapKind::DeadlineExceeded) => return None,
            Err(e) => {
                let site = e.as_trap().and_then(|t| t.backtrace().first().map(|f| (f.func_index, f.code_offset)));
                format!("{} at {site:?}", kind(&e))
            }
        });
        log.push(format!("{} left", store.get_fuel().ok()?));
    }
    observe(&mut store, instance, &mut log);
    Some(log)
}

/// References the host cannot make are no reason to skip a test in silence.
#[test]
fn only_references_that_may_not_be_null_have_no_default() {
    let of = |nullable, heap| Val::default_for(ValType::Ref(RefType { nullable, heap }));
    assert!(matches!(of(true, HeapType::Func), Ok(Val::FuncRef(None))));
    assert!(matches!(of(true, HeapType::Extern), Ok(Val::ExternRef(None))));
    assert!(of(false, HeapType::Func).is_err());
    assert!(of(false, HeapType::Extern).is_err());
}
