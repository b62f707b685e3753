//! The runner itself: each directive must hold when it is true, and fail when it is not.

use spectest::{Config, Report, run};

/// Runs a script in the default configuration.
fn script(source: &str) -> Report {
    run("test.wast", source, &Config::default())
}

#[track_caller]
fn holds(source: &str, passed: u64) {
    let report = script(source);
    assert!(report.failed.is_empty(), "{:#?}", report.failed);
    assert_eq!(report.passed, passed);
}

/// The script must fail on exactly this line, with a message that contains `message`.
#[track_caller]
fn fails(source: &str, line: usize, message: &str) {
    let report = script(source);
    assert_eq!(report.failed.len(), 1, "{:#?}", report.failed);
    assert_eq!(report.failed[0].line, line, "{:#?}", report.failed);
    assert!(report.failed[0].message.contains(message), "{:#?}", report.failed);
}

const NUMBERS: &str = r#"(module
  (func (export "i32") (result i32) (i32.const 7))
  (func (export "f32") (result f32) (f32.const nan:0x200001))
  (func (export "two") (result i32 i64) (i32.const 1) (i64.const 2))
  (func (export "id") (param externref) (result externref) (local.get 0))
  (func (export "null") (result funcref) (ref.null func))
  (func (export "self") (result funcref) (ref.func 0))
  (func (export "v") (result v128) (v128.const f32x4 nan 1 2 3))
  (func (export "div") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func $loop (export "loop") (call $loop))
  (global (export "g") i32 (i32.const 5)))
"#;

/// Directives that hold, with one that nearly does the same and does not.
const PAIRS: &[(&str, &str, &str)] = &[
    (
        r#"(assert_return (invoke "i32") (i32.const 7))"#,
        r#"(assert_return (invoke "i32") (i32.const 8))"#,
        "expected 8 : i32, got 7 : i32",
    ),
    (
        r#"(assert_return (invoke "i32") (either (i32.const 1) (i32.const 7)))"#,
        r#"(assert_return (invoke "i32") (either (i32.const 1) (i32.const 2)))"#,
        "expected 1 : i32 or 2 : i32",
    ),
    (
        r#"(assert_return (invoke "i32") (i32.const 7))"#,
        r#"(assert_return (invoke "i32"))"#,
        "expected 0 results, got 1",
    ),
    (
        r#"(assert_return (invoke "f32") (f32.const nan:0x200001))"#,
        r#"(assert_return (invoke "f32") (f32.const nan:arithmetic))"#,
        "ArithmeticNan",
    ),
    (
        r#"(assert_return (invoke "two") (i32.const 1) (i64.const 2))"#,
        r#"(assert_return (invoke "two") (i32.const 1) (i64.const 3))"#,
        "as result 1",
    ),
    (
        r#"(assert_return (invoke "id" (ref.extern 3)) (ref.extern 3))"#,
        r#"(assert_return (invoke "id" (ref.extern 3)) (ref.extern 4))"#,
        "RefExtern",
    ),
    (
        r#"(assert_return (invoke "id" (ref.null extern)) (ref.null extern))"#,
        r#"(assert_return (invoke "id" (ref.null extern)) (ref.null func))"#,
        "got null : externref",
    ),
    (
        r#"(assert_return (invoke "null") (ref.null))"#,
        r#"(assert_return (invoke "null") (ref.func))"#,
        "got null : funcref",
    ),
    (
        r#"(assert_return (invoke "self") (ref.func))"#,
        r#"(assert_return (invoke "self") (ref.null func))"#,
        "got a function",
    ),
    (
        r#"(assert_return (invoke "v") (v128.const f32x4 nan:canonical 1 2 3))"#,
        r#"(assert_return (invoke "v") (v128.const f32x4 nan:canonical 1 2 4))"#,
        "v128",
    ),
    (r#"(assert_return (get "g") (i32.const 5))"#, r#"(assert_return (get "g") (i32.const 6))"#, "expected 6 : i32"),
    (
        r#"(assert_trap (invoke "div" (i32.const 0)) "integer divide by zero")"#,
        r#"(assert_trap (invoke "div" (i32.const 1)) "integer divide by zero")"#,
        "but it returned [1 : i32]",
    ),
    (
        r#"(assert_trap (invoke "div" (i32.const 0)) "integer divide")"#,
        r#"(assert_trap (invoke "div" (i32.const 0)) "integer overflow")"#,
        "it trapped with",
    ),
    (
        r#"(assert_exhaustion (invoke "loop") "call stack exhausted")"#,
        r#"(assert_exhaustion (invoke "div" (i32.const 0)) "call stack exhausted")"#,
        "it failed with",
    ),
    (
        r#"(assert_invalid (module (func (result i32))) "type mismatch")"#,
        r#"(assert_invalid (module (func (result i32) (i32.const 0))) "type mismatch")"#,
        "the module is valid",
    ),
    (
        r#"(assert_malformed (module quote "(func") "unexpected token")"#,
        r#"(assert_malformed (module quote "(func)") "unexpected token")"#,
        "the module is valid",
    ),
    (
        r#"(assert_malformed (module binary "\00asm\01\00\00") "unexpected end")"#,
        r#"(assert_malformed (module binary "\00asm\01\00\00\00") "unexpected end")"#,
        "the module is valid",
    ),
    (
        r#"(assert_unlinkable (module (import "no" "such" (func))) "unknown import")"#,
        r#"(assert_unlinkable (module (import "spectest" "print" (func))) "unknown import")"#,
        "could be instantiated",
    ),
    (
        r#"(assert_unlinkable (module (import "spectest" "print_i32" (func))) "incompatible import type")"#,
        r#"(assert_unlinkable (module (import "spectest" "print_i32" (func))) "unknown import")"#,
        "it failed with",
    ),
    (
        r#"(assert_trap (module (func $f (unreachable)) (start $f)) "unreachable")"#,
        r#"(assert_trap (module (func $f) (start $f)) "unreachable")"#,
        "but it returned []",
    ),
    (r#"(invoke "div" (i32.const 1))"#, r#"(invoke "div" (i32.const 0))"#, "integer divide by zero"),
    (r#"(module (func))"#, r#"(module (import "no" "such" (func)))"#, "cannot instantiate the module: unknown import"),
    (r#"(register "m")"#, r#"(register "m" $nobody)"#, "no instance $nobody"),
    (r#"(invoke "i32")"#, r#"(invoke "nothing")"#, "no export \"nothing\""),
    (r#"(assert_return (invoke "i32") (i32.const 7))"#, r#"(assert_exception (invoke "i32"))"#, "exception"),
];

#[test]
fn every_directive_can_hold_and_can_fail() {
    let start = 1 + NUMBERS.lines().count();
    for (good, bad, message) in PAIRS {
        let assertions = u64::from(good.starts_with("(assert"));
        holds(&format!("{NUMBERS}{good}"), assertions);
        fails(&format!("{NUMBERS}{bad}"), start, message);
    }
}

#[test]
fn a_module_that_fails_does_not_stop_the_script() {
    let report = script(
        r#"(module $a (func (export "f") (result i32) (i32.const 1)))
(module $b (import "no" "such" (func)) (func (export "f") (result i32) (i32.const 2)))
(assert_return (invoke "f") (i32.const 1))
(assert_return (invoke $a "f") (i32.const 1))
(module $c (func (export "f") (result i32) (i32.const 3)))
(assert_return (invoke "f") (i32.const 3))"#,
    );
    let lines: Vec<_> = report.failed.iter().map(|f| f.line).collect();
    assert_eq!(lines, [2, 3], "{:#?}", report.failed);
    assert_eq!(report.passed, 2);
}

#[test]
fn definitions_are_instantiated_as_often_as_asked() {
    holds(
        r#"(module definition $counter
             (global $n (mut i32) (i32.const 0))
             (func (export "next") (result i32)
               (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))
           (module instance $a $counter)
           (module instance $b $counter)
           (assert_return (invoke $a "next") (i32.const 1))
           (assert_return (invoke $a "next") (i32.const 2))
           (assert_return (invoke $b "next") (i32.const 1))
           (module instance)
           (assert_return (invoke "next") (i32.const 1))"#,
        4,
    );
    fails("(module)\n(module instance $a $none)", 2, "no module definition $none");
}

#[test]
fn registered_instances_can_be_imported() {
    holds(
        r#"(module $m (global (export "g") i32 (i32.const 42)))
           (register "m" $m)
           (module (import "m" "g" (global i32)) (export "again" (global 0)))
           (assert_return (get "again") (i32.const 42))
           (assert_unlinkable (module (import "m" "g" (global i64))) "incompatible import type")"#,
        2,
    );
}

#[test]
fn the_host_module_is_the_official_one() {
    holds(
        r#"(module
             (import "spectest" "print" (func))
             (import "spectest" "print_i32_f32" (func $p (param i32 f32)))
             (import "spectest" "global_i32" (global $i i32))
             (import "spectest" "global_f64" (global $f f64))
             (import "spectest" "table" (table $t 10 20 funcref))
             (import "spectest" "table64" (table i64 10 20 funcref))
             (import "spectest" "memory" (memory 1 2))
             (import "spectest" "shared_memory" (memory 1 2 shared))
             (func (export "i") (result i32) (call $p (i32.const 1) (f32.const 2)) (global.get $i))
             (func (export "f") (result f64) (global.get $f))
             (func (export "t") (result i32) (table.size $t)))
           (assert_return (invoke "i") (i32.const 666))
           (assert_return (invoke "f") (f64.const 666.6))
           (assert_return (invoke "t") (i32.const 10))"#,
        3,
    );
}

#[test]
fn threads_share_memories_and_nothing_else() {
    holds(
        r#"(module $mem (memory (export "m") 1 1 shared))
           (module $own (func (export "f")))
           (thread $t (shared (module $mem))
             (register "mem" $mem)
             (module (import "mem" "m" (memory 1 1 shared))
               (func (export "run") (i32.atomic.store (i32.const 0) (i32.const 42))
                 (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))))
             (invoke "run")
             (assert_return (invoke "run")))
           (wait $t)
           (register "mem" $mem)
           (module (import "mem" "m" (memory 1 1 shared))
             (func (export "read") (result i32) (i32.atomic.load (i32.const 0))))
           (assert_return (invoke "read") (i32.const 42))"#,
        2,
    );
    fails("(module $own (func (export \"f\")))\n(thread $t (invoke $own \"f\"))\n(wait $t)", 2, "no instance $own");
    fails("(module)\n(wait $nobody)", 2, "no thread $nobody");
}

#[test]
fn a_thread_that_nobody_waits_for_still_counts() {
    fails("(module)\n(thread $t\n (module (func (export \"f\")))\n (assert_trap (invoke \"f\") \"x\"))", 4, "returned");
}

#[test]
fn unsupported_directives_are_failures() {
    fails(
        "(module (func (export \"f\")))\n(assert_suspension (invoke \"f\") \"unhandled tag\")",
        2,
        "unsupported: assert_suspension",
    );
}

#[test]
fn text_that_is_no_script_is_one_failure() {
    for (source, line) in [("(module", 1), ("\n(modul)", 2), ("(module)\n(assert_return)", 2), ("(module \"", 1)] {
        let report = script(source);
        assert_eq!(report.failed.len(), 1, "{source:?}: {report:?}");
        assert_eq!(report.failed[0].line, line, "{source:?}: {report:?}");
    }
}

#[test]
fn an_endless_loop_ends_at_the_timeout() {
    let config = Config { timeout: Some(std::time::Duration::from_millis(50)), ..Config::default() };
    let source = "(module (func (export \"f\") (loop (br 0))))\n(assert_return (invoke \"f\"))";
    let report = run("test.wast", source, &config);
    assert_eq!(report.failed.len(), 1);
    assert!(report.failed[0].message.contains("deadline exceeded"), "{:?}", report.failed);
}

/// Scripts cut short or with a byte replaced are failures at worst.
#[test]
fn damaged_scripts_never_panic() {
    let source: String =
        NUMBERS.to_string() + &PAIRS.iter().map(|(good, bad, _)| format!("{good}\n{bad}\n")).collect::<String>();
    let config = Config { timeout: Some(std::time::Duration::from_secs(10)), ..Config::default() };
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    for _ in 0..150 {
        let cut = next(source.len());
        let _ = run("cut.wast", &source[..cut], &config);
        let mut bytes = source.clone().into_bytes();
        for _ in 0..3 {
            let (at, with) = (next(bytes.len()), b"()\"$;0x1 "[next(9)]);
            bytes[at] = with;
        }
        let bent = String::from_utf8(bytes).expect("ASCII stays ASCII");
        let _ = run("bent.wast", &bent, &config);
    }
}
