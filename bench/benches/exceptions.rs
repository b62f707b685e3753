//! What exceptions cost that are not thrown: the same loop of calls without them, within one `try_table`, and with one around
//! each call.
//!
//! In: nothing. Out: times per call, by tier. The three forms compute the same.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vm::{Config, Engine, Instance, Module, Store, Tier, TypedFunc};

const CALLS: i32 = 100_000;

/// How much of the loop is in a `try_table`.
#[derive(Clone, Copy)]
enum Form {
    None,
    Loop,
    Call,
}

/// A loop with six values that live across a call.
fn text(form: Form) -> String {
    let around = |code: &str| {
        format!(
            "(block $done (block $caught (result i32) (try_table (catch $e $caught) {code}) (br $done)) (local.set $x))"
        )
    };
    let call = "(local.set $x (call $step (local.get $x) (local.get $i)))";
    let call = if matches!(form, Form::Call) { around(call) } else { call.into() };
    let body = format!(
        "(loop $l {call}
            (local.set $a (i32.add (local.get $a) (local.get $x)))
            (local.set $b (i32.xor (local.get $b) (local.get $a)))
            (local.set $c (i32.rotl (local.get $c) (local.get $b)))
            (i32.store (i32.shl (i32.and (local.get $i) (i32.const 1023)) (i32.const 2)) (local.get $c))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))"
    );
    let body = if matches!(form, Form::Loop) { around(&body) } else { body };
    let fails = if matches!(form, Form::None) { "unreachable" } else { "throw $e (local.get $i)" };
    format!(
        "(module (tag $e (param i32)) (memory 1)
            (func $step (param $x i32) (param $i i32) (result i32)
                (if (i32.eq (local.get $x) (i32.const 0x12345)) (then ({fails})))
                (i32.add (i32.mul (i32.rotl (local.get $x) (i32.const 5)) (i32.const 0x9e3779b1)) (local.get $i)))
            (func (export \"run\") (param $n i32) (result i32)
                (local $i i32) (local $x i32) (local $a i32) (local $b i32) (local $c i32)
                (local.set $x (i32.const 1)) (local.set $c (i32.const 7))
                {body}
                (i32.add (local.get $x) (local.get $c))))"
    )
}

fn setup(tier: Tier, form: Form) -> (Store<()>, TypedFunc<i32, i32>) {
    let engine = Engine::new(Config::new().tier(tier)).expect("the settings can be met");
    let module = Module::new(&engine, text(form)).expect("a valid module");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("it needs nothing");
    let run = instance.get_typed_func(&mut store, "run").expect("its type");
    (store, run)
}

fn not_thrown(c: &mut Criterion) {
    let mut results = Vec::new();
    for (tier, name) in [(Tier::Jit, "compiled"), (Tier::Interp, "interpreted")] {
        let mut group = c.benchmark_group(format!("exceptions that are not thrown, {name}"));
        group.throughput(Throughput::Elements(u64::from(CALLS.unsigned_abs())));
        for (form, name) in [(Form::None, "without"), (Form::Loop, "around the loop"), (Form::Call, "around each call")]
        {
            let (mut store, run) = setup(tier, form);
            results.push(run.call(&mut store, CALLS).expect("it does not trap"));
            group.bench_function(name, |b| b.iter(|| run.call(&mut store, CALLS).expect("it does not trap")));
        }
        group.finish();
    }
    assert!(results.iter().all(|r| *r == results[0]), "the forms compute the same: {results:?}");
}

criterion_group!(benches, not_thrown);
criterion_main!(benches);
