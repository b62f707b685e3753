//! Modules made by a generator of valid modules, run in every configuration.
//!
//! In: seeds (`VM_FUZZ_MODULES` raises their number, `VM_FUZZ_SEED` picks one or a range, `VM_FUZZ_TRACE` names each before it
//! runs). Out: equal results, traps, memories, tables, globals and fuel, whatever the kind of memory and with or without
//! fuel, and however often garbage is collected.

mod support;

use arbitrary::Unstructured;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};
use support::{Mode, Rng};
use vm::{
    AsContext, Error, Extern, ExternType, Func, Global, HeapType, Instance, Memory, Module, RefKind, RefType,
    SharedMemory, Store, StoreLimits, Table, Tag, TrapKind, V128, Val, ValType,
};

/// What the modules may use.
fn config(rng: &mut Rng, everything: bool) -> wasm_smith::Config {
    wasm_smith::Config {
        bulk_memory_enabled: true,
        canonicalize_nans: true,
        custom_page_sizes_enabled: rng.chance(20),
        exceptions_enabled: everything,
        extended_const_enabled: true,
        gc_enabled: everything,
        compact_imports_enabled: false,
        memory64_enabled: true,
        multi_value_enabled: true,
        reference_types_enabled: true,
        relaxed_simd_enabled: true,
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        simd_enabled: rng.chance(60),
        tail_call_enabled: true,
        threads_enabled: rng.chance(50),
        wide_arithmetic_enabled: true,
        // Half of the modules check what could trap, and so get further.
        disallow_traps: rng.chance(60),
        allow_start_export: rng.chance(20),
        export_everything: true,
        max_data_segments: 6,
        max_element_segments: 6,
        max_elements: 12,
        max_exports: 200,
        max_funcs: 12,
        max_globals: 12,
        max_imports: 8,
        max_instructions: *rng.pick(&[40, 150, 600]),
        max_memories: 3,
        max_memory32_bytes: 4 << 20,
        max_memory64_bytes: 4 << 20,
        max_table_elements: 1000,
        max_tables: 3,
        max_tags: 4,
        max_types: 20,
        min_funcs: 1,
        ..wasm_smith::Config::default()
    }
}

/// The module of a seed, with a global that lets it run for a while only.
fn module(seed: u64, everything: bool) -> Option<Vec<u8>> {
    let mut rng = Rng::new(seed);
    let config = config(&mut rng, everything);
    let bytes = rng.bytes(if seed.is_multiple_of(4) { 4 << 10 } else { 24 << 10 });
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(3000).ok()?;
    Some(module.to_bytes())
}

/// A value of a type, or none where there is none to be had.
fn value(rng: &mut Rng, ty: ValType) -> Option<Val> {
    Some(match ty {
        ValType::I32 if rng.chance(50) => Val::I32(rng.below(70000) as i32),
        ValType::I32 => Val::I32(rng.next() as i32),
        ValType::I64 if rng.chance(50) => Val::I64(rng.below(70000) as i64),
        ValType::I64 => Val::I64(rng.next() as i64),
        ValType::F32 => Val::F32((rng.below(4000) as f32 / 8.0).to_bits()),
        ValType::F64 => Val::F64((rng.below(4000) as f64 / 8.0).to_bits()),
        ValType::V128 => Val::V128(V128(u128::from(rng.next()) << 64 | u128::from(rng.next()))),
        ValType::Ref(_) => Val::default_for(ty).ok()?,
    })
}

/// A value without the identity of what it refers to; of objects what is in them, down to a few levels.
fn describe(ctx: impl AsContext, v: &Val) -> String {
    describe_to(&ctx.as_context(), v, 3)
}

fn describe_to(ctx: &impl AsContext, v: &Val, depth: u32) -> String {
    match v {
        Val::AnyRef(Some(_)) if depth == 0 => "…".into(),
        Val::AnyRef(Some(r)) => {
            let list = |at: &dyn Fn(u32) -> Option<Val>| -> String {
                let parts = (0..20).map_while(at).map(|v| describe_to(ctx, &v, depth - 1));
                parts.collect::<Vec<_>>().join(" ")
            };
            match r.kind(ctx).expect("a handle at work") {
                RefKind::Struct(_) => format!("{{{}}}", list(&|i| r.field(ctx, i).ok())),
                RefKind::Array(_) => {
                    format!("{}[{}]", r.len(ctx).expect("an array"), list(&|i| r.element(ctx, i).ok()))
                }
                other => format!("{other:?}"),
            }
        }
        Val::FuncRef(f) => format!("func {}", f.is_some()),
        Val::ExternRef(e) => format!("extern {}", e.is_some()),
        other => format!("{other:x?}"),
    }
}

/// An error without its words, which name addresses and configurations.
fn kind(e: &Error) -> String {
    match e {
        Error::Trap(t) => format!("trap {:?}", t.kind()),
        Error::Module(m) => format!("module {:?} {}", m.offset, m.message),
        Error::Link(_) => "link".into(),
        Error::Host(e) => format!("host {e}"),
        Error::Limit(_) => "limit".into(),
        Error::Unsupported(_) => "unsupported".into(),
        other => format!("{other}"),
    }
}

/// Something for every import, or none where the module wants what cannot be made.
fn imports(store: &mut Store<u64>, module: &Module, rng: &mut Rng) -> Option<Vec<Extern>> {
    let wanted: Vec<ExternType> = module.imports().map(|i| i.ty()).collect();
    wanted.into_iter().map(|ty| import(store, module, rng, ty)).collect()
}

fn import(store: &mut Store<u64>, module: &Module, rng: &mut Rng, ty: ExternType) -> Option<Extern> {
    Some(match ty {
        ExternType::Func(ty) => {
            let mut own = rng.clone();
            let answer: Vec<Val> = ty.results.iter().map(|&t| value(&mut own, t)).collect::<Option<_>>()?;
            let host = move |mut caller: vm::Caller<'_, u64>, args: &[Val], results: &mut [Val]| {
                let mut hasher = DefaultHasher::new();
                args.iter().for_each(|a| describe(&caller, a).hash(&mut hasher));
                let seen = caller.data().rotate_left(5) ^ hasher.finish();
                *caller.data_mut() = seen;
                if seen.is_multiple_of(64) {
                    return Err(Error::host("the host has had enough"));
                }
                results.copy_from_slice(&answer);
                Ok(())
            };
            Func::new(store, ty, host).into()
        }
        ExternType::Global(ty) => {
            let v = value(rng, ty.content)?;
            Global::new(store, ty, v).ok()?.into()
        }
        ExternType::Table(ty) => {
            let null = Val::default_for(ValType::Ref(ty.element)).ok()?;
            Table::new(store, ty, null).ok()?.into()
        }
        ExternType::Memory(ty) if ty.shared => SharedMemory::new(module.engine(), ty).ok()?.into(),
        ExternType::Memory(ty) => Memory::new(store, ty).ok()?.into(),
        ExternType::Tag(ty) => Tag::new(store, ty).into(),
    })
}

/// Everything that can be seen of an instance from outside.
fn observe(store: &mut Store<u64>, instance: Instance, log: &mut Vec<String>) {
    let exports: Vec<(String, Extern)> =
        instance.exports(store).map(|e| (e.name().to_string(), e.into_extern())).collect();
    for (name, item) in exports {
        let text = match item {
            Extern::Global(g) => describe(&*store, &g.get(&*store)),
            Extern::Memory(m) => {
                let mut hasher = DefaultHasher::new();
                m.data(&*store).hash(&mut hasher);
                format!("{} pages, {:x}", m.size(&*store), hasher.finish())
            }
            Extern::SharedMemory(m) => format!("{} pages", m.size()),
            Extern::Table(t) => {
                let n = t.size(&*store);
                let elements = (0..n.min(2000)).filter_map(|i| t.get(&*store, i));
                format!("{n}: {:?}", elements.map(|v| describe(&*store, &v)).collect::<Vec<_>>())
            }
            _ => continue,
        };
        log.push(format!("{name}: {text}"));
    }
}

/// Runs everything a module exports. Out: what happened, line by line; `None` when it waited for what never came.
fn run(mode: &Mode, bytes: &[u8], seed: u64) -> Option<Vec<String>> {
    let mut log = Vec::new();
    let module = match Module::new(&mode.engine, bytes) {
        Ok(m) => m,
        Err(e) => return Some(vec![format!("module: {}", kind(&e))]),
    };
    if let Err(e) = module.validate_bodies() {
        log.push(format!("bodies: {}", kind(&e)));
    }
    let mut store = Store::new(&mode.engine, 0);
    store.limits(StoreLimits {
        memory_bytes: Some(16 << 20),
        table_elements: Some(20_000),
        gc_heap_bytes: Some(16 << 20),
        ..Default::default()
    });
    if mode.fuel {
        store.set_fuel(1 << 40).expect("fuel is on");
    }
    let mut rng = Rng::new(seed ^ 0x77);
    let Some(offered) = imports(&mut store, &module, &mut rng) else { return Some(vec!["no imports".into()]) };
    store.set_deadline(Some(Instant::now() + Duration::from_secs(3)));
    let mut late = false;
    let mut outcome = |log: &mut Vec<String>, e: &Error| {
        late |= e.as_trap().is_some_and(|t| t.kind() == TrapKind::DeadlineExceeded);
        log.push(kind(e));
        // How deep is deep enough depends on who executes it.
        let trap = e.as_trap().filter(|t| t.kind() != TrapKind::CallStackExhausted);
        log.extend(
            trap.iter().flat_map(|t| t.backtrace()).map(|f| format!("in {} at {:?}", f.func_index, f.code_offset)),
        );
        // A trap describes itself, and its backtrace leads to functions of the module.
        assert!(!e.to_string().is_empty());
    };
    let instance = match Instance::new(&mut store, &module, &offered) {
        Ok(i) => Some(i),
        Err(e) => {
            outcome(&mut log, &e);
            None
        }
    };
    if let Some(instance) = instance {
        let exports: Vec<(String, Extern)> =
            instance.exports(&mut store).map(|e| (e.name().to_string(), e.into_extern())).collect();
        for (name, item) in exports {
            let Extern::Func(f) = item else { continue };
            let ty = f.ty(&store);
            let Some(args) = ty.params.iter().map(|&t| value(&mut rng, t)).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let mut results = vec![Val::I32(0); ty.results.len()];
            log.push(format!("call {name}"));
            match f.call(&mut store, &args, &mut results) {
                Ok(()) => log.extend(results.iter().map(|r| describe(&store, r))),
                Err(e) => outcome(&mut log, &e),
            }
        }
        observe(&mut store, instance, &mut log);
    }
    log.push(format!("host saw {:x}", store.data()));
    (!late).then_some(log)
}

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
        let first = run(&modes[0], &bytes, seed);
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
        for mode in &modes[1..] {
            let other = run(mode, &bytes, seed);
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
    store.limits(StoreLimits {
        memory_bytes: Some(16 << 20),
        table_elements: Some(20_000),
        gc_heap_bytes: Some(16 << 20),
        ..Default::default()
    });
    store.set_fuel(10_000).ok()?;
    store.set_deadline(Some(Instant::now() + Duration::from_secs(3)));
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
