//! What a module does, as text: made at random, run with something for every import, looked at from outside.
//!
//! In: a seed or bytes that choose a module, and a configuration to run it in. Out: lines that must be the same in every
//! configuration: results, traps with their places, memories, tables, globals, what the host saw.

use crate::support::{Mode, Rng};
use arbitrary::Unstructured;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};
use vm::{
    AsContext, Error, Extern, ExternType, Func, Global, Instance, Memory, Module, RefKind, SharedMemory, Store,
    StoreLimits, Table, Tag, TrapKind, V128, Val, ValType,
};

/// What the modules may use.
pub(crate) fn config(rng: &mut Rng, everything: bool) -> wasm_smith::Config {
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
pub(crate) fn module(seed: u64, everything: bool) -> Option<Vec<u8>> {
    let mut rng = Rng::new(seed);
    let config = config(&mut rng, everything);
    let bytes = rng.bytes(if seed.is_multiple_of(4) { 4 << 10 } else { 24 << 10 });
    module_of(config, &bytes)
}

/// The module that those bytes choose.
pub(crate) fn module_of(config: wasm_smith::Config, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(bytes)).ok()?;
    module.ensure_termination(3000).ok()?;
    Some(module.to_bytes())
}

/// A value of a type, or none where there is none to be had.
pub(crate) fn value(rng: &mut Rng, ty: ValType) -> Option<Val> {
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
pub(crate) fn describe(ctx: impl AsContext, v: &Val) -> String {
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
pub(crate) fn kind(e: &Error) -> String {
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
pub(crate) fn imports(store: &mut Store<u64>, module: &Module, rng: &mut Rng) -> Option<Vec<Extern>> {
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
pub(crate) fn observe(store: &mut Store<u64>, instance: Instance, log: &mut Vec<String>) {
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

/// What a store of a generated module may hold.
pub(crate) fn limits() -> StoreLimits {
    StoreLimits {
        memory_bytes: Some(16 << 20),
        table_elements: Some(20_000),
        gc_heap_bytes: Some(16 << 20),
        ..Default::default()
    }
}

/// Runs everything a module exports. Out: what happened, line by line; `None` when it waited for what never came within `patience`.
pub(crate) fn run(mode: &Mode, bytes: &[u8], seed: u64, patience: Duration) -> Option<Vec<String>> {
    let mut log = Vec::new();
    let module = match Module::new(&mode.engine, bytes) {
        Ok(m) => m,
        Err(e) => return Some(vec![format!("module: {}", kind(&e))]),
    };
    if let Err(e) = module.validate_bodies() {
        log.push(format!("bodies: {}", kind(&e)));
    }
    let mut store = Store::new(&mode.engine, 0);
    store.limits(limits());
    if mode.fuel {
        store.set_fuel(1 << 40).expect("fuel is on");
    }
    let mut rng = Rng::new(seed ^ 0x77);
    let Some(offered) = imports(&mut store, &module, &mut rng) else { return Some(vec!["no imports".into()]) };
    store.set_deadline(Some(Instant::now() + patience));
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
