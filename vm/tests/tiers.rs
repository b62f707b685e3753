//! The border between compiled code and everything else: calls, traps, exceptions, panics, stacks, interruption.
//!
//! In: modules whose functions are compiled, except those with exception handling, which stay in the interpreter. Out: the
//! same results, traps and backtraces as from the interpreter alone.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use support::Execution;
use vm::{Caller, Config, Engine, Error, Extern, Instance, Linker, Module, Result, Store, Tier, Trap, TrapKind};

const ALL: [Execution; 4] = [Execution::Interpreted, Execution::Compiled, Execution::Mixed, Execution::Replaced];

fn engine(execution: Execution, change: impl Fn(&mut Config)) -> Engine {
    let mut config = Config::new();
    execution.set(&mut config);
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
          (block $h (result i32 i64) (try_table (catch $never $h)
            (return (i32.add (i32.const 1) (call $middle (i32.sub (local.get 0) (i32.const 1)))))) unreachable) drop)
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
