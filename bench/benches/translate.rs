//! How fast modules are taken in: parsed with lazy validation, validated whole, and translated at first calls.
//!
//! Parsing and validation see the committed modules (all kernels and examples) and, where it has been fetched for
//! `programs/run.sh`, QuickJS. Translation happens when a function is first called, so it sees a made-up module whose
//! functions are all called once and return at once.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vm::{Engine, Linker, Module, Store};

/// Functions in the made-up module.
const FUNCTIONS: usize = 500;
/// Repetitions of the same arithmetic in each of them.
const STATEMENTS: usize = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn modules_in(directory: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join(directory))
        .expect("the directory is part of the repository")
        .map(|entry| entry.expect("its entries can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("the module can be read")).collect()
}

fn inputs() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let committed = [modules_in("bench/kernels/wasm"), modules_in("examples")].concat();
    let mut inputs = vec![("kernels", committed)];
    if let Ok(quickjs) = fs::read(root().join(".cache/programs/quickjs.wasm")) {
        inputs.push(("quickjs", vec![quickjs]));
    }
    inputs
}

fn size(modules: &[Vec<u8>]) -> Throughput {
    Throughput::Bytes(modules.iter().map(Vec::len).sum::<usize>() as u64)
}

fn parse_and_validate(c: &mut Criterion) {
    let engine = Engine::default();
    let mut group = c.benchmark_group("take in");
    for (name, modules) in inputs() {
        group.throughput(size(&modules));
        group.bench_with_input(BenchmarkId::new("parse", name), &modules, |b, modules| {
            b.iter(|| {
                for bytes in modules {
                    black_box(Module::new(&engine, bytes).expect("a valid module"));
                }
            });
        });
        group.bench_with_input(BenchmarkId::new("validate", name), &modules, |b, modules| {
            b.iter(|| {
                for bytes in modules {
                    Module::validate(&engine, black_box(bytes)).expect("a valid module");
                }
            });
        });
    }
    group.finish();
}

/// A module whose export `all` calls every function with 0, on which each returns before its arithmetic.
fn made_up() -> Vec<u8> {
    let mut text = String::from("(module (memory 1)\n");
    for f in 0..FUNCTIONS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "(func $f{f} (param $n i32) (result i32) (local $x i32) (local $y i64) (local $z f64)");
        text += "  (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))\n  (loop $again\n";
        for s in 0..STATEMENTS {
            let _ = writeln!(
                text,
                "    (local.set $x (i32.add (i32.mul (local.get $x) (i32.const {})) (i32.load offset={} (local.get $n))))
    (local.set $y (i64.xor (local.get $y) (i64.shl (i64.extend_i32_u (local.get $x)) (i64.const {}))))
    (if (i32.lt_s (local.get $x) (i32.const {f}))
      (then (local.set $z (f64.add (local.get $z) (f64.const {s}.5))))
      (else (i64.store offset={} (local.get $n) (local.get $y))))",
                s * 7 + 3,
                s * 8,
                s % 64,
                s * 16,
            );
        }
        text += "    (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))\n";
        text += "  (i32.add (local.get $x) (i32.trunc_sat_f64_s (local.get $z))))\n";
    }
    text += "(func (export \"all\") (result i32) (local $sum i32)\n";
    for f in 0..FUNCTIONS {
        let _ = writeln!(text, "  (local.set $sum (i32.add (local.get $sum) (call $f{f} (i32.const 0))))");
    }
    text += "  (local.get $sum)))";
    wat::parse_str(&text).expect("the generated text is valid")
}

fn first_calls(c: &mut Criterion) {
    let engine = Engine::default();
    let bytes = made_up();
    let mut group = c.benchmark_group("translate");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("first calls", |b| {
        b.iter(|| {
            // A fresh module each time: translated code is kept with it.
            let module = Module::new(&engine, &bytes).expect("a valid module");
            let mut store = Store::new(&engine, ());
            let instance = Linker::new(&engine).instantiate(&mut store, &module).expect("it has no imports");
            let all = instance.get_typed_func::<(), i32>(&mut store, "all").expect("it is exported");
            let sum = all.call(&mut store, ()).expect("it does not trap");
            assert_eq!(usize::try_from(sum), Ok(FUNCTIONS));
        });
    });
    group.finish();
}

criterion_group!(benches, parse_and_validate, first_calls);
criterion_main!(benches);
