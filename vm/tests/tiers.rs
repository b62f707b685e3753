//! The border between compiled code and everything else: calls, traps, exceptions, panics, stacks, interruption.
//!
//! In: modules whose functions are compiled, except those named `interpreted`. Out: the same results, traps and backtraces as from
//! the interpreter alone.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::Execution;
use vm::{
    Caller, CompileFilter, Config, Engine, Error, Extern, Instance, Linker, Module, Result, Store, Tier, Trap, TrapKind,
};

const ALL: [Execution; 4] = [Execution::Interpreted, Execution::Compiled, Execution::Mixed, Execution::Replaced];

fn engine(execution: Execution, change: impl Fn(&mut Config)) -> Engine {
    let mut config = Config::new();
    execution.set(config.compile_filter(Some(CompileFilter::parse("!interpreted").expect("a name"))));
    change(&mut config);
    Engine::new(&config).expect("the settings can be met")
}

/// An instance of a module whose host functions call back into it.
fn instance(engine: &Engine, text: &str) -> (Store<u32>, Instance) {
    let mut linker: Linker<u32> = Linker::new(engine);
    let back = |mut c: Caller<'_, u32>, n: i32| -> Result<i32> {
        let f = c.get_export("run").and_then(Extern::into_func).expect("exported");
        f.typed::<i32, i32>(&c)?.call(&mut c, n)
    };
    linker.func_wrap("h", "back", back).expect("new");
    linker.func_wrap("h", "fail", |n: i32| -> Result<i32> { Err(Error::host(format!("host {n}"))) }).expect("new");
    linker.func_wrap("h", "panic", |_: i32| -> i32 { std::panic::resume_unwind(Box::new("quiet")) }).expect("new");
    linker.func_wrap("h", "same", |n: i32| n).expect("new");
    linker.func_wrap("h", "count", |mut c: Caller<'_, u32>| *c.data_mut() += 1).expect("new");
    let mut store = Store::new(engine, 0);
    let module = Module::new(engine, text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    module.validate_bodies().unwrap_or_else(|e| panic!("{e}\n{text}"));
    let instance = linker.instantiate(&mut store, &module).expect("all is there");
    (store, instance)
}

const IMPORTS: &str = r#"
    (import "h" "back" (func $back (param i32) (result i32)))
    (import "h" "fail" (func $fail (param i32) (result i32)))
    (import "h" "panic" (func $panic (param i32) (result i32)))
    (import "h" "same" (func $same (param i32) (result i32)))
    (import "h" "count" (func $count))
    (type $f (func (param i32) (result i32)))
    (tag $e (param i32 i64))
    (memory 1 3)
    (table $t 8 funcref)
    (global $g (mut i32) (i32.const 0))"#;

/// A chain of functions in which every other one stays in the interpreter, with something at the end that goes wrong.
fn chain(end: &str) -> String {
    format!(
        r#"(module {IMPORTS}
        (func $end (param i32) (result i32) (local i64 v128 i32) {end})
        (func $interpreted (param i32) (result i32)
          try (result i32)
          (i32.add (i32.const 1) (call $middle (i32.sub (local.get 0) (i32.const 1))))
          catch $never drop end)
        (tag $never (param i32 i64))
        (func $middle (param i32) (result i32)
          (if (i32.eqz (local.get 0)) (then (return (call $end (local.get 0)))))
          (if (i32.eq (local.get 0) (i32.const 5)) (then (return (i32.add (i32.const 7) (call $back (i32.const 2))))))
          (i32.add (i32.const 1) (call_indirect (type $f) (local.get 0) (i32.const 1))))
        (func $run (export "run") (param i32) (result i32) (local i32)
          (loop $l (br_if $l (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 3))))
          (i32.mul (i32.const 2) (call $middle (local.get 0))))
        (elem (i32.const 1) $interpreted))"#
    )
}

/// What went wrong, with the guest's frames.
fn describe(outcome: Result<i32>) -> String {
    match outcome {
        Ok(n) => format!("{n}"),
        Err(Error::Trap(t)) => {
            let frames = t.backtrace().iter().map(|f| format!("{:?}@{:x?}", f.func_name, f.code_offset));
            format!("{:?} {}", t.kind(), frames.collect::<Vec<_>>().join(" "))
        }
        Err(e) => format!("{e}"),
    }
}

#[test]
fn traps_have_the_same_kind_and_frames() {
    let ends = [
        "unreachable",
        "(i32.load (i32.const -4))",
        "(i32.load offset=65536 (local.get 0))",
        "(i32.store (i32.const 65533) (local.get 0)) (local.get 0)",
        "(i32.div_u (i32.const 1) (local.get 0))",
        "(i32.div_s (i32.const 0x80000000) (i32.sub (local.get 0) (i32.const 1)))",
        "(i32.rem_s (i32.const 1) (local.get 0))",
        "(i32.trunc_f64_s (f64.const nan))",
        "(i32.trunc_f32_u (f32.const -5))",
        "(call_indirect (type $f) (local.get 0) (i32.const 0))",
        "(call_indirect (type $f) (local.get 0) (i32.const 800))",
        "(call_indirect (param i64) (result i32) (i64.const 0) (i32.const 1))",
        "(call_ref $f (local.get 0) (ref.null $f))",
        "(memory.fill (i32.const 65530) (i32.const 1) (i32.const 7)) (local.get 0)",
        "(memory.copy (i32.const 65530) (i32.const 1) (i32.const 7)) (local.get 0)",
        "(table.set $t (i32.const 8) (ref.null func)) (local.get 0)",
        "(drop (table.get $t (i32.const 8))) (local.get 0)",
        "(ref.as_non_null (table.get $t (i32.const 0))) drop (local.get 0)",
        "(throw $e (i32.const 4) (i64.const 5))",
        "(throw_ref (ref.null exn))",
        "(call $fail (i32.const 3))",
        "(i32.atomic.load (i32.const 1))",
        "(memory.atomic.notify (i32.const 2) (i32.const 1))",
        "(call $same (i32.add (memory.grow (i32.const 1)) (memory.grow (i32.const 5))))",
    ];
    for end in ends {
        let mut outcomes = ALL.map(|execution| {
            let (mut store, i) = instance(&engine(execution, |_| ()), &chain(end));
            let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
            // Twice, because the first call may have had functions compiled.
            [8, 3].map(|n| (describe(run.call(&mut store, n)), describe(run.call(&mut store, n))))
        });
        let expected = outcomes[0].clone();
        for (execution, outcome) in ALL.iter().zip(&mut outcomes) {
            assert_eq!(*outcome, expected, "{execution:?} {end}");
        }
    }
}

/// Functions of a few instructions, which the compiler builds into the place of their calls.
const SMALL: &str = r#"
        (func $divide (param i32) (result i32) (i32.div_s (i32.const 6) (local.get 0)))
        (func $outer (param i32) (result i32) (call $divide (i32.sub (local.get 0) (i32.const 3))))
        (func $failing (param i32) (result i32) (if (local.get 0) (then (return (call $fail (local.get 0))))) (i32.const 1))
        (func $two (param i32) (result i32 i64) (local i64)
          (block (br_if 0 (local.get 0)) (local.set 1 (i64.const 3)))
          (local.get 0) (local.get 1))
        (func $down (param i32) (result i32)
          (if (result i32) (local.get 0)
            (then (call $down (i32.sub (local.get 0) (i32.const 1)))) (else (call $outer (i32.const 3)))))
        (func $throwing (param i32) (result i32)
          (if (i32.gt_u (local.get 0) (i32.const 7)) (then (throw $e (i32.const 1) (i64.const 2)))) (local.get 0))
        (func $around (param i32) (result i32)
          (block $h (result i32 i64)
            (try_table (catch $e $h) (return (i32.add (call $throwing (local.get 0)) (call $divide (local.get 0)))))
            unreachable)
          i32.wrap_i64 i32.add)
        (func $run (export "run") (param i32) (result i32) (local i32 i32)
          (loop $l
            (local.set 2 (i32.add (local.get 2) (call $divide (i32.add (local.get 1) (i32.const 1)))))
            (local.set 2 (i32.add (local.get 2) (call $around (i32.sub (local.get 0) (local.get 1)))))
            (call $two (local.get 1)) i32.wrap_i64 i32.add
            (local.set 2 (i32.xor (local.get 2)))
            (br_if $l (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 3))))
          (block $c (block $b (block $a (br_table $a $b $c (i32.sub (local.get 0) (i32.const 4))))
            (return (call $outer (i32.const 3)))) (return (call $failing (local.get 0))))
          (i32.add (local.get 2) (call $down (i32.and (local.get 0) (i32.const 3)))))"#;

#[test]
fn small_functions_have_their_frames_and_charge_their_fuel() {
    let text = format!("(module {IMPORTS} {SMALL})");
    for with_fuel in [false, true] {
        let mut outcomes = ALL.map(|execution| {
            let (mut store, i) = instance(&engine(execution, |c| _ = c.fuel(with_fuel)), &text);
            let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
            let mut all = Vec::new();
            for n in 0..12 {
                for fuel in (0..200).step_by(if with_fuel { 1 } else { 100 }) {
                    let _ = store.set_fuel(fuel);
                    all.push((describe(run.call(&mut store, n)), store.get_fuel().ok()));
                }
            }
            all
        });
        let expected = outcomes[0].clone();
        for what in ["DivideByZero", "host 5", "outer"] {
            assert!(expected.iter().any(|(o, _)| o.contains(what)), "nothing with {what}");
        }
        for (execution, outcome) in ALL.iter().zip(&mut outcomes) {
            for (i, (have, want)) in outcome.iter().zip(&expected).enumerate() {
                assert_eq!(have, want, "{execution:?}, call {i}, fuel: {with_fuel}");
            }
        }
    }
}

/// A run of the interpreter within another one, for compiled code, ends in a tail call of compiled code; the outer one returns.
#[test]
fn a_run_that_ends_in_a_tail_call_leaves_the_run_around_it_alone() {
    let text = r#"(module
        (func $compiled (result f64) (loop) (f64.const 3))
        (func $tail (param f64 i64) (result f64) (return_call $compiled))
        (func $looping (param i32) (result i32) (local f64)
          (loop $l
            (local.set 1 (f64.add (local.get 1) (call $compiled)))
            (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
          (drop (call $tail (f64.const 1) (i64.const 2)))
          (i32.trunc_f64_s (local.get 1)))
        (func (export "run") (param i32) (result i32) (local i32)
          (local.set 1 (i32.const 4))
          (loop $l (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
          (drop (call $compiled))
          (i32.add (call $looping (i32.const 4)) (local.get 0))))"#;
    for execution in ALL {
        let (mut store, i) = instance(&engine(execution, |_| ()), text);
        let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
        for n in 0..3 {
            assert_eq!(describe(run.call(&mut store, n)), (12 + n).to_string(), "{execution:?}");
        }
    }
}

#[test]
fn small_functions_that_are_not_valid_are_called() {
    let text = r#"(module
        (func $bad (result i32) (i64.const 1))
        (func (export "run") (param i32) (result i32) (local i32)
          (loop $l (br_if $l (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 3))))
          (if (local.get 0) (then (return (call $bad))))
          (i32.const 5)))"#;
    for execution in ALL {
        let engine = engine(execution, |_| ());
        let mut store = Store::new(&engine, 0u32);
        let module = Module::new(&engine, text).expect("bodies are looked at later");
        let i = Linker::new(&engine).instantiate(&mut store, &module).expect("nothing is imported");
        let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
        for _ in 0..3 {
            assert_eq!(run.call(&mut store, 0).ok(), Some(5), "{execution:?}");
        }
        let outcome = describe(run.call(&mut store, 1));
        assert!(outcome.starts_with("InvalidFunction"), "{execution:?}: {outcome}");
    }
}

#[test]
fn exceptions_pass_compiled_frames() {
    let text = format!(
        r#"(module {IMPORTS}
        (func $thrower (param i32) (result i32)
          (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $e (i32.const 11) (i64.const -1))))
          (if (i32.eq (local.get 0) (i32.const 2)) (then (drop (i32.load (i32.const -1)))))
          (local.get 0))
        (func $between (param i32) (result i32) (i32.add (i32.const 100) (call $thrower (local.get 0))))
        (func $rethrower (param i32) (result i32) (local exnref)
          (block $h (result i32 i64 exnref) (try_table (catch_ref $e $h) (return (call $between (local.get 0)))) unreachable)
          (local.set 1) drop drop
          (throw_ref (local.get 1)))
        (func $outer (param i32) (result i32) (i32.add (i32.const 1000) (call $rethrower (local.get 0))))
        (func $run (export "run") (param i32) (result i32)
          (block $h (result i32 i64) (try_table (catch $e $h) (return (call $outer (local.get 0)))) unreachable)
          (i32.add (i32.wrap_i64)))
        (func (export "loose") (param i32) (result i32) (call $outer (local.get 0)))
        (func (export "host") (param i32) (result i32)
          (block $h (result i32 i64) (try_table (catch $e $h) (return (call $back2 (local.get 0)))) unreachable)
          (i32.add (i32.wrap_i64)))
        (func $back2 (param i32) (result i32) (i32.add (i32.const 1) (call $loosely (local.get 0))))
        (func $loosely (param i32) (result i32) (call $back (i32.add (i32.const 0) (local.get 0)))))"#
    );
    let mut all = Vec::new();
    for execution in ALL {
        let (mut store, i) = instance(&engine(execution, |_| ()), &text);
        let mut outcomes = Vec::new();
        for _ in 0..3 {
            for name in ["run", "loose", "host"] {
                let f = i.get_typed_func::<i32, i32>(&mut store, name).expect("exported");
                outcomes.extend([0, 1, 2].map(|n| describe(f.call(&mut store, n))));
            }
        }
        all.push(outcomes);
    }
    assert_eq!(all[0][..2], ["1100", "10"]);
    for (execution, outcomes) in ALL.iter().zip(&all) {
        assert_eq!(outcomes, &all[0], "{execution:?}");
    }
}

/// Values of many kinds that are made of a parameter, are alive across a call, and are all looked at afterwards; `caught`
/// is what a catch clause leads to behind the call.
fn crowded(name: &str, call: &str, caught: bool) -> String {
    let ints = (1..=14).map(|i| format!("(local.set {i} (i64.mul (i64.extend_i32_u (local.get 0)) (i64.const {i}7)))"));
    let floats =
        (15..=24).map(|i| format!("(local.set {i} (f64.add (f64.convert_i32_u (local.get 0)) (f64.const {i}.5)))"));
    let set: String = ints.chain(floats).collect();
    let sum: String = (1..=14)
        .map(|i| format!("(i64.xor (i64.mul (i64.const 31)) (local.get {i}))"))
        .chain((15..=24).map(|i| format!("(i64.xor (i64.mul (i64.const 31)) (i64.reinterpret_f64 (local.get {i})))")))
        .collect();
    let vector = "(i64.add (i64x2.extract_lane 1 (local.get 25)))";
    let call = match caught {
        true => format!(
            "(block $out (block $h (result i32 i64) (try_table (catch $e $h)
               (local.set 1 (i64.add (local.get 1) (i64.const 9)))
               (local.set 26 {call}) (br $out)) unreachable)
             (local.set 27) (local.set 26 (i32.add (i32.const 1000))))"
        ),
        false => format!("(local.set 26 {call})"),
    };
    format!(
        "(func {name} (param i32) (result i32)
          (local {} {} v128 i32 i64) {set}
          (local.set 25 (i64x2.splat (i64.extend_i32_u (local.get 0))))
          {call}
          (i64.add (i64.extend_i32_u (local.get 26)) (local.get 27)) {sum} {vector}
          (i32.wrap_i64))",
        "i64 ".repeat(14),
        "f64 ".repeat(10)
    )
}

#[test]
fn what_is_alive_where_an_exception_is_caught_is_kept() {
    // Compiled, interpreted, host, compiled: each way down ends in a throw, or does not.
    let functions = [
        crowded("$catcher (export \"catcher\")", "(call $first (local.get 0))", true),
        crowded("$first", "(call $interpreted (local.get 0))", false),
        crowded("$run (export \"run\")", "(call_indirect (type $f) (local.get 0) (i32.const 1))", true),
        crowded("$second", "(call $thrower (i32.sub (local.get 0) (i32.const 1)))", false),
    ]
    .concat();
    let text = format!(
        r#"(module {IMPORTS} {functions}
        (tag $never)
        (func $interpreted (param i32) (result i32)
          try (result i32)
          (if (result i32) (i32.and (local.get 0) (i32.const 1))
            (then (call $back (local.get 0)))
            (else (call $second (local.get 0))))
          catch $never (i32.const 3) end)
        (func $thrower (param i32) (result i32)
          (if (i32.and (local.get 0) (i32.const 2)) (then (throw $e (local.get 0) (i64.const -5))))
          (if (i32.and (local.get 0) (i32.const 8)) (then (return (call $catcher (i32.and (local.get 0) (i32.const 7))))))
          (local.get 0))
        (elem (i32.const 1) $second))"#
    );
    let mut all = Vec::new();
    for execution in ALL {
        let (mut store, i) = instance(&engine(execution, |_| ()), &text);
        let f = i.get_typed_func::<i32, i32>(&mut store, "catcher").expect("exported");
        let outcomes: Vec<_> = (0..48).map(|n| describe(f.call(&mut store, n % 16))).collect();
        all.push(outcomes);
    }
    for (execution, outcomes) in ALL.iter().zip(&all) {
        assert_eq!(outcomes, &all[0], "{execution:?}");
    }
}

#[test]
fn any_number_of_exceptions_is_thrown_and_caught() {
    let text = format!(
        r#"(module {IMPORTS}
        (func $deep (param i32) (result i32)
          (if (i32.eqz (local.get 0)) (then (throw $e (i32.const 3) (i64.const 4))))
          (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
        (func (export "run") (param i32) (result i32)
          (block $h (result i32 i64) (try_table (catch $e $h) (return (call $deep (local.get 0)))) unreachable)
          (i32.add (i32.wrap_i64)))
        ;; Thrown in the body, or by a callee; caught by the loop.
        (func (export "local") (param i32) (result i32) (local i32)
          (loop $l
            (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (try_table (catch_all $l)
              (if (i32.lt_u (local.get 1) (local.get 0)) (then (throw $e (local.get 1) (i64.const 0))))))
          (local.get 1))
        ;; A reference stays good when the exception is thrown again and caught without one.
        (func (export "again") (param i32) (result i32) (local exnref i32)
          (block $h (result i32 i64 exnref) (try_table (catch_ref $e $h) (throw $e (local.get 0) (i64.const 0))) unreachable)
          (local.set 1) drop (local.set 2)
          (loop $l
            (block $h (result i32 i64) (try_table (catch $e $h) (throw_ref (local.get 1))) unreachable)
            drop
            (local.set 2 (i32.add (local.get 2)))
            (br_if $l (i32.lt_u (local.get 2) (i32.const 1000))))
          (local.get 2))
        (func (export "callee") (param i32) (result i32) (local i32 i32)
          (loop $l
            (local.set 2 (i32.add (local.get 1) (local.get 2)))
            (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (block $h (result i32 i64)
              (try_table (catch $e $h)
                (if (i32.lt_u (local.get 1) (local.get 0)) (then (drop (call $deep (i32.and (local.get 1) (i32.const 3)))))))
              (return (local.get 2)))
            drop drop (br $l))
          (unreachable)))"#
    );
    // More than may be referred to at once.
    let many = if cfg!(debug_assertions) { 30_000 } else { 2_200_000 };
    for execution in ALL {
        let (mut store, i) = instance(&engine(execution, |_| ()), &text);
        let mut call = |name: &str, n: i32| {
            let f = i.get_typed_func::<i32, i32>(&mut store, name).expect("exported");
            describe(f.call(&mut store, n))
        };
        for _ in 0..4 {
            assert_eq!(call("run", 5000), "7", "{execution:?}");
        }
        assert_eq!(call("again", 77), "1001", "{execution:?}");
        assert_eq!(call("local", many), many.to_string(), "{execution:?}");
        assert_eq!(call("callee", 20_000), (19_999 * 20_000 / 2).to_string(), "{execution:?}");
    }
}

#[test]
fn instances_have_their_memories_back_when_they_catch() {
    let first = r#"(module
        (import "b" "thrower" (func $thrower (param i32) (result i32)))
        (import "t" "e" (tag $e (param i32)))
        (memory 1)
        (data (i32.const 100) "\2a")
        (func $twice (param i32) (result i32)
          (block $h (result i32) (try_table (catch $e $h) (return (call $thrower (local.get 0)))) unreachable)
          (i32.add (i32.load (i32.const 100))))
        (func (export "run") (param i32) (result i32)
          (i32.add (call $twice (local.get 0)) (i32.mul (i32.const 1000) (i32.load (i32.const 100))))))"#;
    let second = r#"(module
        (import "t" "e" (tag $e (param i32)))
        (memory 2)
        (data (i32.const 100) "\01")
        (func $throw (param i32) (result i32)
          (if (local.get 0) (then (throw $e (i32.add (local.get 0) (i32.load (i32.const 100))))))
          (i32.load (i32.const 100)))
        (func (export "thrower") (param i32) (result i32) (i32.add (i32.const 7) (call $throw (local.get 0)))))"#;
    let tags = r#"(module (tag (export "e") (param i32)))"#;
    for execution in ALL {
        let engine = engine(execution, |_| ());
        let mut linker: Linker<u32> = Linker::new(&engine);
        let mut store = Store::new(&engine, 0);
        for (name, text) in [("t", tags), ("b", second)] {
            let module = Module::new(&engine, text).expect("valid");
            let i = linker.instantiate(&mut store, &module).expect("all is there");
            linker.instance(&mut store, name, i).expect("new");
        }
        let module = Module::new(&engine, first).expect("valid");
        let i = linker.instantiate(&mut store, &module).expect("all is there");
        let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
        for _ in 0..3 {
            assert_eq!(describe(run.call(&mut store, 5)), "42048", "{execution:?}");
            assert_eq!(describe(run.call(&mut store, 0)), "42008", "{execution:?}");
        }
    }
}

/// Results that come in memory and in registers, after which and before which much is alive, of calls of all kinds; the landing has to
/// leave all as it was but for the results.
#[test]
fn calls_with_many_results_land_with_everything_as_it_was() {
    let results = "(result i64 f64 i64 v128 i64 f32 i64 i64 i32 f64)";
    let kinds = [
        ("direct", "(call $many (local.get 0))"),
        ("indirect", "(call_indirect (type $m) (local.get 0) (i32.const 2))"),
        ("reference", "(call_ref $m (local.get 0) (ref.func $many))"),
        ("interpreted", "(call $interpreted (local.get 0))"),
    ];
    let function = |(name, call): &(&str, &str)| {
        format!(
            "(func (export \"{name}\") (param i32) (result i32)
               (local $a i64) (local $b f64) (local $c i64) (local $v v128) (local $d i64) (local $f f32) (local $g i64)
               (local $h i64) (local $i i32) (local $k f64) (local $n i32)
               (loop $l
                 (local.set $n (i32.add (local.get $n) (i32.const 1)))
                 (block $next
                   (block $h (result i32)
                     (try_table (catch $x $h)
                       {call}
                       (local.set $k) (local.set $i (i32.add (local.get $i))) (local.set $h) (local.set $g)
                       (local.set $f) (local.set $d (i64.add (local.get $d))) (local.set $v)
                       (local.set $c (i64.add (local.get $c))) (local.set $b) (local.set $a (i64.add (local.get $a))))
                     (br $next))
                   (local.set $h (i64.add (i64.extend_i32_u) (local.get $h)))
                   (local.set $a (i64.add (local.get $a) (local.get $d))))
                 (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                 (br_if $l (local.get 0)))
               (i64.add (i64.add (local.get $a) (local.get $c)) (i64.add (local.get $d) (local.get $g)))
               (i64.add (local.get $h)) (i64.add (i64.extend_i32_u (i32.add (local.get $i) (local.get $n))))
               (i64.add (i64.trunc_sat_f64_s (f64.add (local.get $b) (local.get $k))))
               (i64.add (i64.trunc_sat_f32_s (local.get $f))) (i64.add (i64x2.extract_lane 1 (local.get $v)))
               (i32.wrap_i64))"
        )
    };
    let body = "(if (i32.eqz (i32.rem_u (local.get 0) (i32.const 3))) (then (throw $x (local.get 0))))
        (i64.extend_i32_u (local.get 0)) (f64.convert_i32_u (local.get 0)) (i64.const 5)
        (i64x2.splat (i64.extend_i32_u (local.get 0))) (i64.const 77) (f32.const 9) (i64.const 11)
        (i64.extend_i32_u (local.get 0)) (local.get 0) (f64.const 13)";
    let text = format!(
        "(module {IMPORTS} (type $m (func (param i32) {results})) (tag $x (param i32))
           (func $many (type $m) {body}) (func $interpreted (type $m) {body})
           (elem (i32.const 2) $many) {})",
        kinds.iter().map(function).collect::<String>()
    );
    let mut expected = None;
    for execution in ALL {
        let (mut store, i) = instance(&engine(execution, |_| ()), &text);
        for (name, _) in &kinds {
            let f = i.get_typed_func::<i32, i32>(&mut store, name).expect("exported");
            let outcomes = [1, 2, 3, 40, 1000].map(|n| describe(f.call(&mut store, n)));
            let expected = expected.get_or_insert_with(|| outcomes.clone());
            assert_eq!(outcomes, *expected, "{execution:?} {name}");
        }
    }
}

/// Loops that are entered in their midst, in the body and in clauses of a legacy `try`, with operands below.
#[test]
fn legacy_clauses_are_entered_at_loops() {
    let text = format!(
        r#"(module {IMPORTS}
        (tag $x (param i32)) (tag $y (param i64 f64)) (tag $z)
        (func $throw (param i32)
          (if (i32.eq (i32.and (local.get 0) (i32.const 3)) (i32.const 1)) (then (throw $x (local.get 0))))
          (if (i32.eq (i32.and (local.get 0) (i32.const 3)) (i32.const 2))
            (then (throw $y (i64.extend_i32_u (local.get 0)) (f64.const 2.5))))
          (if (i32.eq (i32.and (local.get 0) (i32.const 7)) (i32.const 7)) (then (throw $z))))
        (func $times (param i32 i32) (result i32)
          (loop $l (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
          (local.get 1))
        (func (export "run") (param i32) (result i32) (local $sum i32) (local $n i32)
          (i32.const 1000)
          (loop $outer (param i32) (result i32)
            (i32.const 3)
            try $t (param i32) (result i32)
              (local.set $n (i32.const 5))
              (loop $l (param i32) (result i32)
                (call $throw (i32.add (local.get 0) (local.get $n)))
                (i32.add (local.get $n))
                (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            catch $x
              (local.set $sum (i32.add (local.get $sum)))
              (i32.const 20)
              (loop $l (param i32) (result i32)
                (local.set $sum (i32.add (local.get $sum) (local.get $n)))
                (i32.add (i32.const 1))
                (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 6))))
            catch $y
              (i32.trunc_f64_s)
              try (param i64 i32) (result i32)
                (drop)
                (loop $l
                  (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 2))) (i32.const 30))))
                (drop)
                rethrow $t
              catch $y
                drop (i32.wrap_i64)
              end
            catch_all
              (local.set $sum (i32.add (local.get $sum) (call $times (i32.const 9) (local.get $n))))
              (i32.const 4)
            end
            (i32.add)
            (br_if $outer (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
          (i32.add (local.get $sum))))"#
    );
    let mut expected = None;
    for execution in ALL {
        let (mut store, i) = instance(&engine(execution, |_| ()), &text);
        let f = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
        let outcomes = [1, 2, 3, 10, 500].map(|n| describe(f.call(&mut store, n)));
        let expected = expected.get_or_insert_with(|| outcomes.clone());
        assert!(outcomes.iter().all(|o| o.parse::<i32>().is_ok()), "{outcomes:?}");
        assert_eq!(outcomes, *expected, "{execution:?}");
    }
}

#[test]
fn panics_of_the_host_pass_compiled_frames() {
    for execution in ALL {
        let text = chain("(call $panic (local.get 0))");
        let (mut store, i) = instance(&engine(execution, |_| ()), &text);
        let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
        for _ in 0..20 {
            for n in [8, 3, 0] {
                let outcome = catch_unwind(AssertUnwindSafe(|| run.call(&mut store, n)));
                let panic = outcome.expect_err("the host panics");
                assert_eq!(panic.downcast_ref::<&str>(), Some(&"quiet"), "{execution:?}");
            }
        }
    }
}

#[test]
fn many_parameters_and_results_of_all_kinds_cross_the_border() {
    // Values beyond the registers, in both directions; `$interpreted` has them go through slots.
    let kinds = ["i32", "i64", "f32", "f64", "v128", "funcref"];
    let list: Vec<&str> = (0..40).map(|i| kinds[i * 7 % 6]).collect();
    let types = list.join(" ");
    let gets: String = (0..40).map(|i| format!("(local.get {i}) ")).collect();
    let value = |i: usize| match list[i] {
        "i32" => format!("(i32.const {})", -(i as i64) - 5),
        "i64" => format!("(i64.const {})", -(i as i64) * 1_000_000_007 - 9),
        "f32" => format!("(f32.const {i}.5)"),
        "f64" => format!("(f64.const -{i}.25)"),
        "v128" => format!("(v128.const i64x2 {i} -{i}7)"),
        _ => "(ref.func $compiled)".to_string(),
    };
    let values: String = (0..40).map(value).collect();
    // Each result is compared with what went in; the sum of what differs is the answer.
    let checks: String = (0..40)
        .rev()
        .map(|i| {
            let differs = match list[i] {
                "i32" => format!("{} i32.ne", value(i)),
                "i64" => format!("{} i64.ne", value(i)),
                "f32" => format!("{} f32.ne", value(i)),
                "f64" => format!("{} f64.ne", value(i)),
                "v128" => format!("{} i64x2.eq i64x2.all_true i32.eqz", value(i)),
                _ => "ref.is_null".to_string(),
            };
            format!("{differs} (i32.shl (i32.const {})) local.get $sum i32.add local.set $sum\n", 0)
        })
        .collect();
    let checks = checks.replace("(i32.shl (i32.const 0))", "");
    let text = format!(
        r#"(module {IMPORTS} (elem declare func $compiled)
        (type $many (func (param {types}) (result {types})))
        (func $compiled (type $many) {gets})
        (func $interpreted (type $many)
          (block $h (result i32 i64) (try_table (catch $e $h) (return (call $compiled {gets}))) unreachable) unreachable)
        (func $through (type $many) (return_call $interpreted {gets}))
        (func (export "run") (param i32) (result i32) (local $sum i32)
          {values} (call $through) {checks}
          {values} (call_ref $many (ref.func $compiled2)) {checks}
          (local.get $sum))
        (func $compiled2 (type $many) (call $interpreted {gets}))
        (elem declare func $compiled2))"#
    );
    for execution in ALL {
        let (mut store, i) = instance(&engine(execution, |_| ()), &text);
        let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
        for _ in 0..3 {
            assert_eq!(run.call(&mut store, 0).expect("it returns"), 0, "{execution:?}");
        }
    }
}

#[test]
fn tail_calls_between_tiers_take_no_stack() {
    let text = format!(
        r#"(module {IMPORTS}
        (func $odd (param i32) (result i32)
          (block $h (result i32 i64) (try_table (catch $e $h)
             (br_if 0 (local.get 0)) (return (i32.const 0)))
             (return_call $even (i32.sub (local.get 0) (i32.const 1)))) unreachable)
        (func $even (param i32) (result i32)
          (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
          (return_call $odd (i32.sub (local.get 0) (i32.const 1))))
        (func (export "run") (param i32) (result i32) (i32.add (call $even (local.get 0)) (call $odd (local.get 0)))))"#
    );
    for execution in ALL {
        let (mut store, i) = instance(&engine(execution, |c| _ = c.max_stack(64 << 10)), &text);
        let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
        for n in [1_000_000, 3, 1_000_001] {
            assert_eq!(run.call(&mut store, n).expect("it returns"), 1, "{execution:?}");
        }
    }
}

#[test]
fn stacks_are_exhausted_in_any_mixture() {
    let recursions = [
        // Compiled alone, with small and with large frames, checked and unchecked.
        "(func $run (export \"run\") (param i32) (result i32) (i32.add (i32.const 1) (call $run (local.get 0))))",
        "(func $run (export \"run\") (param i32) (result i32) (call $count) (i32.add (i32.const 1) (call $run (local.get 0))))",
        // By way of the interpreter, of the host, of both.
        "(func $run (export \"run\") (param i32) (result i32) (i32.add (i32.const 1) (call $other (local.get 0))))
         (func $other (param i32) (result i32) (block $h (result i32 i64) (try_table (catch $e $h)
            (return (i32.add (i32.const 1) (call $run (local.get 0))))) unreachable) unreachable)",
        "(func $run (export \"run\") (param i32) (result i32) (i32.add (i32.const 1) (call $back (local.get 0))))",
        "(func $run (export \"run\") (param i32) (result i32) (i32.add (i32.const 1) (call $other (local.get 0))))
         (func $other (param i32) (result i32) (block $h (result i32 i64) (try_table (catch $e $h)
            (return (i32.add (i32.const 1) (call $back (local.get 0))))) unreachable) unreachable)",
    ];
    let large: String =
        (0..400).map(|i| format!("(local.set {} (i64.extend_i32_u (call $same (i32.const {i}))))", i + 1)).collect();
    let used: String = (0..400).map(|i| format!("(local.get {}) i64.add ", i + 1)).collect();
    let locals = "i64 ".repeat(400);
    let large = format!(
        "(func $run (export \"run\") (param i32) (result i32) (local {locals}) {large}
         (drop (call $run (local.get 0))) (i64.const 0) {used} i32.wrap_i64)"
    );
    for recursion in recursions.into_iter().chain([&*large]) {
        let text = format!("(module {IMPORTS} {recursion})");
        for execution in ALL {
            for stack in [64 << 10, 1 << 20] {
                let (mut store, i) = instance(&engine(execution, |c| _ = c.max_stack(stack)), &text);
                let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
                for _ in 0..3 {
                    let error = run.call(&mut store, 1).expect_err("it never ends");
                    let trap = error.as_trap().unwrap_or_else(|| panic!("{execution:?} {error}"));
                    assert_eq!(trap.kind(), TrapKind::CallStackExhausted, "{execution:?}");
                    assert!(trap.backtrace().len() > 10 || recursion.contains("$back"), "{trap}");
                }
            }
        }
    }
}

#[test]
fn compiled_loops_are_interrupted_and_go_on_after_false_alarms() {
    let text = format!(
        r#"(module {IMPORTS}
        (func (export "run") (param i32) (result i32) (local i32 i64 f64 v128)
          (local.set 3 (f64.const 1.5)) (local.set 4 (v128.const i64x2 7 9))
          (loop $l
            (local.set 2 (i64.add (local.get 2) (i64.extend_i32_u (local.get 1))))
            (local.set 3 (f64.add (local.get 3) (f64.const 0.5)))
            (local.set 4 (i64x2.add (local.get 4) (local.get 4)))
            (br_if $l (i32.ne (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0))))
          (i32.wrap_i64 (i64.add (local.get 2) (i64.add (i64.trunc_f64_s (local.get 3)) (i64x2.extract_lane 0 (local.get 4)))))))"#
    );
    let expected = AtomicU32::new(0);
    for execution in ALL {
        let (mut store, i) = instance(&engine(execution, |_| ()), &text);
        let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
        let n = 30_000_000;
        let plain = run.call(&mut store, n).expect("it returns") as u32;
        if let Execution::Interpreted = execution {
            expected.store(plain, Ordering::Relaxed);
        }
        // A deadline far away, after one that has been lifted, only makes the guest look.
        store.set_deadline(Some(Instant::now() + Duration::from_millis(5)));
        store.set_deadline(Some(Instant::now() + Duration::from_secs(600)));
        assert_eq!(run.call(&mut store, n).expect("it returns") as u32, expected.load(Ordering::Relaxed));
        store.set_deadline(Some(Instant::now() + Duration::from_millis(20)));
        let kind = |e: Error| e.as_trap().map(Trap::kind);
        assert_eq!(kind(run.call(&mut store, 0).expect_err("it is stopped")), Some(TrapKind::DeadlineExceeded));
        assert_eq!(kind(run.call(&mut store, 0).expect_err("it is stopped")), Some(TrapKind::DeadlineExceeded));
        store.set_deadline(None);
        let handle = store.interrupt_handle();
        let other = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            handle.interrupt();
        });
        let begun = Instant::now();
        assert_eq!(kind(run.call(&mut store, 0).expect_err("it is stopped")), Some(TrapKind::Interrupted));
        assert!(begun.elapsed() < Duration::from_secs(5));
        other.join().expect("it does not panic");
        assert_eq!(run.call(&mut store, n).expect("it returns") as u32, expected.load(Ordering::Relaxed));
    }
}

#[test]
fn functions_are_compiled_in_the_background_while_they_run() {
    let mut config = Config::new();
    config.tier(Tier::Auto).compile_threads(2).compile_log(true);
    let engine = Engine::new(&config).expect("the settings can be met");
    let text = format!(
        r#"(module {IMPORTS}
        (func $step (param i32) (result i32) (i32.add (i32.mul (local.get 0) (i32.const 31)) (i32.const 7)))
        (func (export "run") (param i32) (result i32) (local i32)
          (loop $l (local.set 1 (call $step (local.get 1)))
            (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
          (local.get 1)))"#
    );
    let (mut store, i) = instance(&engine, &text);
    let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
    let value = (0..50_000_000).fold(0i32, |v, _| v.wrapping_mul(31).wrapping_add(7));
    assert_eq!(run.call(&mut store, 50_000_000).expect("it returns"), value);
    let stats = engine.compile_stats();
    assert!(stats.functions >= 2 && stats.loops >= 1, "{stats:?}");
    assert_eq!(stats.log.len() as u64, stats.functions + stats.loops);
    assert!(stats.refused.is_empty());
}

#[test]
fn modules_and_engines_go_away_while_they_are_compiled() {
    for round in 0..20 {
        let mut config = Config::new();
        config.tier(Tier::Auto).compile_threads(3).tier_threshold(1 + round % 3);
        let engine = Engine::new(&config).expect("the settings can be met");
        for _ in 0..5 {
            let (mut store, i) = instance(&engine, &chain("(call $same (local.get 0))"));
            let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
            run.call(&mut store, 3).expect("it returns");
        }
    }
}

#[test]
fn stores_on_many_threads_trap_in_the_same_code() {
    for execution in ALL {
        let engine = engine(execution, |_| ());
        let text = chain("(i32.load (i32.const -4))");
        let module = Module::new(&engine, &text).expect("valid");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..30 {
                        let mut linker: Linker<u32> = Linker::new(&engine);
                        for name in ["back", "fail", "panic", "same"] {
                            linker.func_wrap("h", name, |n: i32| n).expect("new");
                        }
                        linker.func_wrap("h", "count", || ()).expect("new");
                        let mut store = Store::new(&engine, 0);
                        let i = linker.instantiate(&mut store, &module).expect("all is there");
                        let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
                        for n in [0, 3, 4] {
                            let e = run.call(&mut store, n).expect_err("it traps");
                            assert_eq!(e.as_trap().map(Trap::kind), Some(TrapKind::MemoryOutOfBounds));
                        }
                    }
                });
            }
        });
    }
}

#[test]
fn loops_in_and_around_try_tables_are_replaced() {
    let text = format!(
        r#"(module {IMPORTS}
        (func $may (param i32) (result i32)
          (if (i32.eqz (i32.rem_u (local.get 0) (i32.const 7))) (then (throw $e (local.get 0) (i64.const 5))))
          (i32.mul (local.get 0) (i32.const 3)))
        (func (export "run") (param i32) (result i32) (local $sum i32) (local $i i32)
          (loop $outer
            (block $caught (result i32 i64)
              (try_table (catch $e $caught)
                (loop $inner
                  (local.set $sum (i32.add (local.get $sum) (call $may (local.get $i))))
                  (local.set $i (i32.add (local.get $i) (i32.const 1)))
                  (br_if $inner (i32.lt_u (local.get $i) (local.get 0)))))
              (return (local.get $sum)))
            (i32.wrap_i64)
            (i32.mul)
            (local.set $sum (i32.xor (local.get $sum)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $outer (i32.lt_u (local.get $i) (local.get 0))))
          (block $all (result exnref)
            (try_table (catch_all_ref $all)
              (loop $throws
                (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
                (local.set $i (i32.sub (local.get $i) (i32.const 1)))
                (br_if $throws (i32.gt_s (local.get $i) (i32.const 0))))
              (drop (call $may (i32.const 0))))
            (unreachable))
          (drop)
          (local.get $sum))
        (func (export "escapes") (param i32) (result i32)
          (loop $l (result i32)
            (try_table (result i32)
              (loop $m (result i32)
                (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
                (br_if $m (i32.ne (local.get 0) (i32.const 14)))
                (call $may (local.get 0)))))))"#
    );
    let outcomes: Vec<String> = ALL
        .iter()
        .map(|&execution| {
            let engine = engine(execution, |_| {});
            let (mut store, instance) = instance(&engine, &text);
            let mut outcome = String::new();
            for n in [1, 6, 7, 8, 50, 701, 7000] {
                for name in ["run", "escapes"] {
                    let f = instance.get_typed_func::<i32, i32>(&mut store, name).expect("exported");
                    if name == "escapes" && n < 15 {
                        continue;
                    }
                    outcome += &format!("{name} {n}: {:?}\n", f.call(&mut store, n).map_err(|e| e.to_string()));
                }
            }
            if let Execution::Replaced = execution {
                assert!(engine.compile_stats().loops >= 2, "{:?}", engine.compile_stats().refused);
            }
            outcome
        })
        .collect();
    assert!(outcomes[0].contains("run 50: Ok") && outcomes[0].contains("Err"), "{}", outcomes[0]);
    outcomes.iter().for_each(|o| assert_eq!(o, &outcomes[0]));
}

#[test]
fn the_stack_may_end_between_two_pushes() {
    // Frames of every size up to a page, so that for some of them the guard page begins in the middle of a prologue.
    for values in 1..24u32 {
        let locals: String = (0..values).map(|_| "i64 ").collect();
        let compute = |op: &str| -> String {
            (1..=values).map(|i| format!("(local.set {i} (i64.{op} (local.get 0) (i64.const {i})))")).collect()
        };
        let sum: String = (1..=values).map(|i| format!("(local.get {i}) (i64.add)")).collect();
        let text = format!(
            r#"(module
            (func $deep (export "run") (param i64) (result i64) (local {locals})
              {}
              (call $deep (i64.add (local.get 0) (i64.const 1)))
              {sum}))"#,
            compute("mul")
        );
        for (fuel, checked) in [(false, false), (true, false), (true, true)] {
            let engine = engine(Execution::Compiled, |c| {
                c.fuel(fuel).interruption(checked);
            });
            let (mut store, instance) = instance(&engine, &text);
            if fuel {
                store.set_fuel(u64::MAX >> 2).expect("fuel is counted");
            }
            let f = instance.get_typed_func::<i64, i64>(&mut store, "run").expect("exported");
            for _ in 0..2 {
                let error = f.call(&mut store, 1).expect_err("it never ends");
                assert_eq!(error.as_trap().map(Trap::kind), Some(TrapKind::CallStackExhausted), "{values} values");
            }
        }
    }
}

/// An interpreter: adds, subtracts, skips, loops, and ends at 4; anything else is a trap, and so is code that goes on behind memory.
const INTERPRETER: &str = r#"(module
    (import "h" "count" (func $count))
    (memory 1)
    (func (export "run") (param $pc i32) (result i32) (local $x i32) (local $n i32)
      (loop $next
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (block $bad (block $end (block $host (block $again (block $skip (block $sub (block $add
          (br_table $add $sub $skip $again $end $host $bad
            (i32.load8_u (local.tee $pc (i32.add (local.get $pc) (i32.const 1))))))
          (local.set $x (i32.add (local.get $x) (i32.const 3)))
          (br $next))
          (local.set $x (i32.sub (local.get $x) (i32.const 1)))
          (br $next))
          (local.set $pc (i32.add (local.get $pc) (i32.const 1)))
          (br $next))
          (br_if $next (i32.ge_s (local.get $n) (i32.const 2000)))
          (local.set $pc (i32.const 99))
          (br $next))
          (call $count)
          (br $next))
          (return (i32.add (local.get $x) (local.get $n))))
        (unreachable))
      (unreachable))
    ;; 100: all operations, again and again; 200: one that is unknown; 65500: to the end of memory
    (data (i32.const 100) "\00\00\01\02\06\00\05\01\03\04")
    (data (i32.const 200) "\00\01\05\02\09\09")
    (data (i32.const 65500) "\01\01"))"#;

#[test]
fn guests_that_are_interpreters_go_their_way_in_every_tier() {
    for (fuel, interruption) in [(false, false), (false, true), (true, false), (true, true)] {
        let outcomes = ALL.map(|execution| {
            let engine = engine(execution, |c| {
                c.fuel(fuel).interruption(interruption);
            });
            let (mut store, i) = instance(&engine, INTERPRETER);
            let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
            [99, 199, 65499, 102, 99].map(|pc| {
                if fuel {
                    // Enough for some of them only.
                    store.set_fuel(30_000).expect("counted");
                }
                let outcome = describe(run.call(&mut store, pc));
                let left = if fuel { store.get_fuel().expect("counted") } else { 0 };
                (outcome, left, *store.data())
            })
        });
        for (i, o) in outcomes.iter().enumerate() {
            assert_eq!(*o, outcomes[0], "fuel {fuel}, interruption {interruption}, {:?}", ALL[i]);
        }
        assert!(outcomes[0][2].0.starts_with("MemoryOutOfBounds"), "{:?}", outcomes[0]);
        assert!(outcomes[0][1].0.starts_with("Unreachable"), "{:?}", outcomes[0]);
    }
}
