//! What an instance costs: a store, linking, memories, tables, segments and the start function of small modules.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use vm::{Engine, Linker, Module, Store};

/// Nothing but a function.
const BARE: &str = r#"(module (func (export "run") (result i32) i32.const 7))"#;

/// A bit of everything that instantiation has to do.
const FURNISHED: &str = r#"(module
    (import "host" "log" (func $log (param i32)))
    (memory (export "memory") 4 16)
    (data (i32.const 1024) "some bytes that are there from the start")
    (data (i32.const 70000) "\00\01\02\03\04\05\06\07")
    (table (export "table") 64 funcref)
    (elem (i32.const 3) $one $two $one $two)
    (global $g (export "g") (mut i64) (i64.const 42))
    (func $one (result i32) i32.const 1)
    (func $two (result i32) i32.const 2)
    (func $start (call $log (i32.load (i32.const 1024))))
    (func (export "run") (result i32) (i32.add (call $one) (call $two)))
    (start $start))"#;

fn instantiate(c: &mut Criterion) {
    let engine = Engine::default();
    let mut linker = Linker::<u64>::new(&engine);
    linker
        .func_wrap("host", "log", |mut caller: vm::Caller<'_, u64>, value: i32| {
            *caller.data_mut() += u64::from(value.unsigned_abs());
        })
        .expect("the name is free");
    let mut group = c.benchmark_group("instantiate");
    for (name, text) in [("bare", BARE), ("furnished", FURNISHED)] {
        let module = Module::new(&engine, text).expect("a valid module");
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut store = Store::new(&engine, 0);
                black_box(linker.instantiate(&mut store, &module).expect("its import is defined"));
                black_box(store.into_data())
            });
        });
        group.bench_function(format!("{name} and call"), |b| {
            b.iter(|| {
                let mut store = Store::new(&engine, 0);
                let instance = linker.instantiate(&mut store, &module).expect("its import is defined");
                let run = instance.get_typed_func::<(), i32>(&mut store, "run").expect("it is exported");
                run.call(&mut store, ()).expect("it does not trap")
            });
        });
    }
    group.finish();
}

fn link(c: &mut Criterion) {
    let engine = Engine::default();
    c.bench_function("link 50 host functions", |b| {
        b.iter(|| {
            let mut linker = Linker::<()>::new(&engine);
            for i in 0..50 {
                linker.func_wrap("host", &format!("f{i}"), |a: i32, b: i64| i64::from(a) + b).expect("a new name");
            }
            black_box(linker)
        });
    });
}

criterion_group!(benches, instantiate, link);
criterion_main!(benches);
