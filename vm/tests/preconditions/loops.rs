//! Loops: copies that follow each other (`jit/src/passes/unroll.rs`), those without a look at the interrupt flag (`polls.rs`), what is
//! computed before them (`jit/src/schedule.rs`), and entry at one (`jit/src/frontend/osr.rs`).

use super::{Case, case, check, linked, ways};
use std::time::{Duration, Instant};
use vm::{Error, Instance, Module, Store, TrapKind};

const UNROLLED: &[Case] = &[
    case(
        "the loop has two exits",
        r#"(module (memory 1) (data (i32.const 0) "aaaabaaac") (func (export "f") (param $p i32) (param $n i32) (result i32) (local $s i32)
          (block $a (block $b (loop $l
            (br_if $a (i32.eq (i32.load8_u (local.get $p)) (i32.const 98)))
            (local.set $p (i32.add (local.get $p) (i32.const 1)))
            (br_if $b (i32.eqz (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (br $l)))
            (return (i32.add (local.get $p) (i32.const 1000))))
          (local.get $p)))"#,
        &["f 0 10 -> 4", "f 0 3 -> 1003", "f 5 4 -> 1009"],
    ),
    case(
        "the loop has two ways back",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $l (i32.and (local.get $n) (i32.const 1)))
            (local.set $s (i32.add (local.get $s) (local.get $n)))
            (br_if $l (i32.gt_s (local.get $n) (i32.const 0))))
          (local.get $s)))"#,
        &["f 9 -> 20", "f 1 -> 0", "f 2 -> 0"],
    ),
    case(
        "the loop has a loop in it",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32) (local $i i32)
          (loop $l
            (local.set $i (local.get $n))
            (loop $k
              (local.set $s (i32.add (local.get $s) (i32.const 1)))
              (br_if $k (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s)))"#,
        &["f 1 -> 1", "f 5 -> 15"],
    ),
    case(
        "the loop calls",
        r#"(module (global $g (mut i32) (i32.const 0)) (func $f (param i32) (result i32)
            (loop (global.set $g (i32.add (global.get $g) (local.get 0)))) (global.get $g))
          (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (local.set $s (i32.add (local.get $s) (call $f (local.get $n))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s)))"#,
        &["f 1 -> 1", "f 3 -> 17"],
    ),
    case(
        "the number of iterations is none of the copies'",
        r#"(module (memory (export "m") 1) (func (export "f") (param $n i32) (result i32 i32) (local $i i32) (local $s i32)
          (loop $l
            (i32.store8 (local.get $i) (local.get $i))
            (local.set $s (i32.add (local.get $s) (i32.mul (local.get $i) (i32.const 3))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (local.get $n))))
          (local.get $i) (local.get $s)))"#,
        &[
            "f 0 -> 1 0",
            "f 1 -> 1 0",
            "f 2 -> 2 3",
            "f 3 -> 3 9",
            "f 4 -> 4 18",
            "f 5 -> 5 30",
            "f 6 -> 6 45",
            "f 7 -> 7 63",
            "f 9 -> 9 108",
        ],
    ),
    case(
        "what is used behind the loop is of the last iteration, or the one before",
        r#"(module (func (export "f") (param $n i32) (result i32 i32 i32 i32) (local $a i32) (local $b i32) (local $c i32)
          (local.set $b (i32.const 1))
          (loop $l
            (local.set $c (i32.xor (local.get $a) (i32.const 5)))
            (local.set $c (local.get $a)) (local.set $a (local.get $b)) (local.set $b (i32.add (local.get $c) (local.get $b)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $a) (local.get $b) (local.get $c) (i32.add (local.get $n) (i32.mul (local.get $b) (i32.const 7)))))"#,
        &["f 1 -> 1 1 0 7", "f 2 -> 1 2 1 14", "f 5 -> 5 8 3 56", "f 10 -> 55 89 34 623"],
    ),
    case(
        "an iteration traps",
        r#"(module (memory (export "m") 1) (func (export "f") (param $p i32) (result i32) (local $s i32)
          (loop $l
            (i32.store (local.get $p) (local.get $s))
            (local.set $s (i32.add (local.get $s) (i32.const 1)))
            (local.set $p (i32.add (local.get $p) (i32.const 4)))
            (br_if $l (i32.lt_u (local.get $s) (i32.const 7))))
          (local.get $s))
          (func (export "g") (param $d i32) (result i32) (local $s i32)
          (loop $l
            (local.set $s (i32.add (local.get $s) (i32.div_s (i32.const 60) (local.get $d))))
            (br_if $l (local.tee $d (i32.sub (local.get $d) (i32.const 1)))))
          (local.get $s))
          (func (export "h") (param $d i32) (result i32) (local $s i32)
          (loop $l
            (local.set $s (i32.add (local.get $s) (i32.div_s (i32.const 60) (local.get $d))))
            (local.set $d (i32.sub (local.get $d) (i32.const 1)))
            (br_if $l (i32.gt_s (local.get $d) (i32.const -3))))
          (local.get $s)))"#,
        &[
            "f 0 -> 7",
            "f 65520 -> MemoryOutOfBounds",
            "f 65508 -> 7",
            "f 65510 -> MemoryOutOfBounds",
            "g 5 -> 137",
            "h 5 -> IntegerDivideByZero",
            "h -1 -> 0xffffffa6",
        ],
    ),
    case(
        "an arm of the loop writes",
        r#"(module (memory (export "m") 1) (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (local.set $s (i32.add (local.get $s) (i32.load (i32.const 4))))
            (if (i32.and (local.get $n) (i32.const 1)) (then (i32.store (i32.const 4) (local.get $n))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (i32.store (i32.const 4) (i32.const 0)) (local.get $s)))"#,
        &["f 1 -> 0", "f 6 -> 16"],
    ),
];

const POLLS: &[Case] = &[
    case(
        "the counter wraps around before it ends the loop",
        r#"(module
          (func (export "u") (result i32) (local $i i32) (local $n i32)
          (local.set $i (i32.const -8))
          (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $l (i32.gt_u (local.tee $i (i32.add (local.get $i) (i32.const 3))) (i32.const 5)))) (local.get $n))
          (func (export "s") (result i32) (local $i i32) (local $n i32)
          (local.set $i (i32.const 0x7ffffffa))
          (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $l (i32.gt_s (local.tee $i (i32.add (local.get $i) (i32.const 3))) (i32.const 5)))) (local.get $n))
          (func (export "n") (result i32) (local $i i32) (local $n i32)
          (local.set $i (i32.const 9))
          (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 3))))) (local.get $n))
          (func (export "w") (result i32) (local $i i64) (local $n i32)
          (local.set $i (i64.const -8))
          (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $l (i64.ne (local.tee $i (i64.add (local.get $i) (i64.const 4))) (i64.const 4)))) (local.get $n)))"#,
        &["u -> 3", "s -> 2", "n -> 3", "w -> 3"],
    ),
    case(
        "the counter is changed in an arm",
        r#"(module (func (export "f") (param $m i32) (result i32) (local $i i32) (local $n i32)
          (local.set $i (i32.const 10))
          (loop $l
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (if (i32.eqz (i32.rem_u (local.get $n) (local.get $m))) (then (local.set $i (i32.add (local.get $i) (i32.const 5)))))
            (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
          (local.get $n)))"#,
        &["f 100 -> 10", "f 7 -> 20"],
    ),
];

/// Loops that never end, though their counters look as if they would.
const ENDLESS: &[(&str, &str)] = &[
    (
        "the step passes by the limit",
        r#"(loop $l (local.set $i (i32.add (local.get $i) (i32.const 2))) (br_if $l (i32.ne (local.get $i) (i32.const 7))))"#,
    ),
    (
        "the condition that ends it is not looked at each time",
        r#"(local.set $i (i32.const 10))
           (loop $l
             (local.set $i (i32.sub (local.get $i) (i32.const 1)))
             (br_if $l (local.get $j))
             (br_if $l (local.get $i)))"#,
    ),
    (
        "the limit is signed, and never passed",
        r#"(local.set $i (i32.const 0))
           (loop $l (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $l (i32.ge_u (local.get $i) (i32.const 0))))"#,
    ),
    (
        "the step is none",
        r#"(local.set $i (i32.const 3))
           (loop $l (local.set $i (i32.add (local.get $i) (local.get $k))) (br_if $l (i32.lt_s (local.get $i) (i32.const 100))))"#,
    ),
    (
        "one of the ways back adds nothing",
        r#"(block $out (loop $l
             (br_if $out (i32.eq (local.get $i) (i32.const 100)))
             (br_if $l (local.get $j))
             (local.set $i (i32.add (local.get $i) (i32.const 1)))
             (br $l)))"#,
    ),
    ("there is no condition", "(loop $l (br $l))"),
    ("two empty loops continue each other", "(loop $l (block $b (loop $k (br_if $b (local.get $j)) (br $k))) (br $l))"),
    (
        "the outer loop is endless",
        r#"(loop $l (local.set $i (i32.const 3)) (loop $k
        (br_if $k (local.tee $i (i32.sub (local.get $i) (i32.const 1))))) (br $l))"#,
    ),
    ("a clause continues it", r#"(loop $l (try_table (catch_all $l) (call $throws)))"#),
    ("a tail call continues it", r#"(return_call $tail)"#),
];

const MOVED: &[Case] = &[
    case(
        "what may trap is in a loop that is never entered, or in an arm",
        r#"(module (memory (export "m") 1) (global $g (export "g") (mut i32) (i32.const 0))
          (func (export "f") (param $n i32) (param $d i32) (result i32) (local $s i32)
          (block $out (loop $l
            (br_if $out (i32.eqz (local.get $n)))
            (global.set $g (local.get $n))
            (local.set $s (i32.add (local.get $s) (i32.div_u (i32.const 12) (local.get $d))))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $l)))
          (local.get $s))
          (func (export "h") (param $n i32) (param $p i32) (result i32) (local $s i32)
          (loop $l
            (global.set $g (local.get $n))
            (if (i32.lt_s (local.get $n) (i32.const 3)) (then
              (local.set $s (i32.add (local.get $s) (i32.load (local.get $p))))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s))
          (func (export "k") (param $c i32) (param $x f64) (result i32)
          (global.set $g (i32.const 50))
          (if (local.get $c) (then (global.set $g (i32.const 51)) (return (i32.trunc_f64_s (local.get $x)))))
          (i32.const 1)))"#,
        &[
            "f 0 0 -> 0",
            "f 3 0 -> IntegerDivideByZero",
            "f 3 4 -> 9",
            "h 5 65536 -> MemoryOutOfBounds",
            "h 5 0 -> 0",
            "k 0 0x7ff8000000000000 -> 1",
            "k 1 0x7ff8000000000000 -> InvalidConversionToInteger",
            "k 1 0xc1e0000000100000 -> 0x80000000",
        ],
    ),
    linked(
        "what the loop reads is written by what it calls",
        r#"(module (global (export "g") (mut i32) (i32.const 0)) (func (export "next") (global.set 0 (i32.add (global.get 0) (i32.const 1)))))"#,
        r#"(module (import "lib" "g" (global $g (mut i32))) (import "lib" "next" (func $next)) (memory 1 3)
          (func $grows (loop (drop (memory.grow (i32.const 1)))))
          (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (call $next)
            (local.set $s (i32.add (local.get $s) (global.get $g)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (global.set $g (i32.const 0)) (local.get $s))
          (func (export "sizes") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 10)) (memory.size)))
            (call $grows)
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s))
          (func (export "beyond") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (local.set $s (i32.add (local.get $s) (i32.load8_u (i32.mul (local.get $n) (i32.const 65536)))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s)))"#,
        &[
            "f 4 -> 10",
            "beyond 1 -> MemoryOutOfBounds",
            "sizes 4 -> 1233",
            "beyond 2 -> 0",
            "beyond 3 -> MemoryOutOfBounds",
        ],
    ),
    case(
        "an arm of a table needs what others do not",
        r#"(module (func (export "f") (param $n i32) (param $x i32) (result i32) (local $s i32) (local $y i32)
          (loop $l
            (local.set $y (i32.mul (local.get $x) (i32.const 77)))
            (block $d (block $c (block $b (block $a (br_table $a $b $c $d $a $d (i32.and (local.get $n) (i32.const 7))))
              (local.set $s (i32.add (local.get $s) (local.get $y))) (br $d))
              (local.set $s (i32.sub (local.get $s) (local.get $y))) (br $d))
              (local.set $s (i32.xor (local.get $s) (i32.const 1))))
            (local.set $x (i32.add (local.get $x) (i32.const 1)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s)))"#,
        &["f 1 1 -> 0xffffffb3", "f 9 2 -> 0xffffff67"],
    ),
];

const ENTERED: &[Case] = &[
    case(
        "operands lie below the loops, and differ between the two ways in",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $i i32) (local $j i32)
          (local.get $n) (i64.const 5)
          (loop $outer (param i64) (result i64)
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (i64.add (i64.extend_i32_u (local.get $i)))
            (v128.const i64x2 3 4) (f64.convert_i32_s (local.get $i)) (local.set $j (i32.const 3))
            (loop $inner (param f64) (result f64)
              (f64.mul (f64.const 2))
              (br_if $inner (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
            (local.set $j (i32.trunc_f64_s))
            (i64x2.extract_lane 1) (i64.add) (i64.add (i64.extend_i32_s (local.get $j)))
            (br_if $outer (i32.lt_u (local.get $i) (local.get $n))))
          (i32.wrap_i64) (i32.add)))"#,
        &["f 1 -> 19", "f 3 -> 74"],
    ),
    case(
        "locals are assigned in the loop around and behind, in arms and in clauses",
        r#"(module (tag $e (param i32)) (func (export "f") (param $n i32) (result i32) (local $a i32) (local $b i32) (local $i i32)
          (loop $outer
            (if (i32.and (local.get $n) (i32.const 1)) (then (local.set $a (i32.add (local.get $a) (i32.const 5))))
              (else
                (local.set $i (i32.const 2))
                (loop $inner
                  (block $h (result i32)
                    (try_table (catch $e $h)
                      (if (local.get $i) (then (throw $e (local.get $a)))))
                    (i32.const 1000))
                  (local.set $b (i32.add (local.get $b)))
                  (local.set $i (i32.sub (local.get $i) (i32.const 1)))
                  (br_if $inner (i32.ge_s (local.get $i) (i32.const 0))))
                (local.set $a (i32.add (local.get $a) (i32.const 1)))))
            (br_if $outer (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (i32.add (i32.mul (local.get $a) (i32.const 1000000)) (local.get $b))))"#,
        &["f 2 -> 6001000", "f 5 -> 17002032"],
    ),
    case(
        "the entry is at a loop within an if, a block and a legacy clause",
        r#"(module (tag $e) (func (export "f") (param $n i32) (result i32) (local $s i32) (local $i i32)
          (loop $outer
            try
              (if (i32.and (local.get $n) (i32.const 1)) (then (throw $e)))
              (local.set $s (i32.add (local.get $s) (i32.const 100)))
            catch $e
              (local.set $i (local.get $n))
              (loop $inner
                (local.set $s (i32.add (local.get $s) (local.get $i)))
                (br_if $inner (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
            end
            (br_if $outer (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s)))"#,
        &["f 1 -> 1", "f 4 -> 207"],
    ),
];

#[test]
fn loops_are_copied_only_where_each_copy_is_the_loop() {
    check(UNROLLED);
}

#[test]
fn loops_end_when_they_end() {
    check(POLLS);
}

#[test]
fn endless_loops_can_be_interrupted() {
    for (why, body) in ENDLESS {
        let text = format!(
            r#"(module (tag $e) (func $throws (throw $e)) (func $tail (return_call $tail))
            (func (export "f") (param $j i32) (param $k i32) (local $i i32) {body}))"#
        );
        for way in ways().iter().filter(|w| !w.fuel) {
            let module = Module::new(&way.engine, &text).unwrap_or_else(|e| panic!("{why}: {e}"));
            let mut store = Store::new(&way.engine, ());
            let i = Instance::new(&mut store, &module, &[]).expect("it imports nothing");
            let f = i.get_typed_func::<(i32, i32), ()>(&mut store, "f").expect("exported");
            store.set_deadline(Some(Instant::now() + Duration::from_millis(20)));
            match f.call(&mut store, (1, 0)) {
                Err(Error::Trap(t)) if t.kind() == TrapKind::DeadlineExceeded => {}
                other => panic!("{why}, {}: {other:?}", way.name),
            }
        }
    }
}

#[test]
fn what_traps_or_is_written_stays_in_its_loop() {
    check(MOVED);
}

#[test]
fn loops_are_entered_with_all_that_differs() {
    check(ENTERED);
}
