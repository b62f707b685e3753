//! Calls across the border: from the host into a module, typed and untyped, and from a module out to the host.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vm::{Caller, Engine, Func, Instance, Linker, Module, Store, Val};

/// Calls out per call in, so that the way in does not count.
const CALLS: i32 = 1000;

const MODULE: &str = r#"(module
    (import "host" "nothing" (func $nothing))
    (import "host" "add" (func $add (param i32 i64) (result i64)))
    (import "host" "count" (func $count (param i32)))
    (import "host" "dynamic" (func $dynamic (param i32) (result i32)))
    (type $step (func (param i32) (result i32)))
    (table funcref (elem $increment))
    (func $increment (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "nothing"))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "many") (param i32 i64 f32 f64 i32 i64) (result i64 f64)
        (i64.add (local.get 1) (local.get 5)) (f64.add (local.get 3) (f64.promote_f32 (local.get 2))))
    (func (export "out nothing") (param $n i32)
        (loop $l (call $nothing) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "out add") (param $n i32) (local $sum i64)
        (loop $l (local.set $sum (call $add (local.get $n) (local.get $sum)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "out count") (param $n i32)
        (loop $l (call $count (local.get $n)) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "out dynamic") (param $n i32)
        (loop $l (drop (call $dynamic (local.get $n))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "within") (param $n i32)
        (loop $l (drop (call $increment (local.get $n))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "within, indirect") (param $n i32)
        (loop $l (drop (call_indirect (type $step) (local.get $n) (i32.const 0)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

fn setup() -> (Store<u64>, Instance) {
    let engine = Engine::default();
    let module = Module::new(&engine, MODULE).expect("a valid module");
    let mut store = Store::new(&engine, 0u64);
    let mut linker = Linker::new(&engine);
    let ty = module
        .imports()
        .find_map(|import| match import.ty() {
            vm::ExternType::Func(ty) if import.name() == "dynamic" => Some(ty),
            _ => None,
        })
        .expect("the module imports it");
    linker
        .func_wrap("host", "nothing", || ())
        .and_then(|linker| linker.func_wrap("host", "add", |a: i32, b: i64| i64::from(a).wrapping_add(b)))
        .and_then(|linker| {
            linker.func_wrap("host", "count", |mut caller: Caller<'_, u64>, n: i32| {
                *caller.data_mut() += u64::from(n.unsigned_abs());
            })
        })
        .and_then(|linker| {
            linker.func_new("host", "dynamic", ty, |_, parameters, results| {
                results[0] = parameters[0];
                Ok(())
            })
        })
        .expect("the names are free");
    let instance = linker.instantiate(&mut store, &module).expect("all imports are defined");
    (store, instance)
}

fn function(store: &mut Store<u64>, instance: &Instance, name: &str) -> Func {
    instance.get_func(store, name).expect("it is exported")
}

fn into_wasm(c: &mut Criterion) {
    let (mut store, instance) = setup();
    let mut group = c.benchmark_group("call in");
    let nothing = function(&mut store, &instance, "nothing");
    let typed = nothing.typed::<(), ()>(&store).expect("its type");
    group.bench_function("nothing, typed", |b| b.iter(|| typed.call(&mut store, ()).expect("it does not trap")));
    group.bench_function("nothing, untyped", |b| {
        b.iter(|| nothing.call(&mut store, &[], &mut []).expect("it does not trap"));
    });
    let add = function(&mut store, &instance, "add");
    let typed = add.typed::<(i32, i32), i32>(&store).expect("its type");
    group.bench_function("add, typed", |b| {
        b.iter(|| typed.call(&mut store, black_box((2, 3))).expect("it does not trap"));
    });
    group.bench_function("add, untyped", |b| {
        let mut results = [Val::I32(0)];
        b.iter(|| {
            add.call(&mut store, black_box(&[Val::I32(2), Val::I32(3)]), &mut results).expect("it does not trap");
        });
    });
    let many = function(&mut store, &instance, "many");
    let typed = many.typed::<(i32, i64, f32, f64, i32, i64), (i64, f64)>(&store).expect("its type");
    group.bench_function("six parameters and two results, typed", |b| {
        b.iter(|| typed.call(&mut store, black_box((1, 2, 3.0, 4.0, 5, 6))).expect("it does not trap"));
    });
    group.finish();
}

fn out_of_wasm(c: &mut Criterion) {
    let (mut store, instance) = setup();
    let mut group = c.benchmark_group("calls in a loop");
    group.throughput(Throughput::Elements(u64::from(CALLS.unsigned_abs())));
    for name in ["out nothing", "out add", "out count", "out dynamic", "within", "within, indirect"] {
        let run = function(&mut store, &instance, name).typed::<i32, ()>(&store).expect("its type");
        group.bench_function(name, |b| b.iter(|| run.call(&mut store, CALLS).expect("it does not trap")));
    }
    group.finish();
}

criterion_group!(benches, into_wasm, out_of_wasm);
criterion_main!(benches);
