//! Loops whose test stands at the top (`jit/src/frontend/rotate.rs`).

use super::{Case, case, check};

/// Sums 1 + 2 + … + n unless the text says otherwise.
const CASES: &[Case] = &[
    case(
        "the loop has a parameter",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (i32.const 0)
          (loop $l (param i32)
            (local.set $s)
            (if (local.get $n) (then
              (i32.add (local.get $s) (local.get $n))
              (local.set $n (i32.sub (local.get $n) (i32.const 1)))
              (br $l))))
          (local.get $s)))"#,
        &["f 0 -> 0", "f 4 -> 10"],
    ),
    case(
        "the loop has a parameter that the header leaves where it is",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (block $out
            (i32.const 5)
            (loop $l (param i32)
              (br_if $out (i32.eqz (local.get $n)))
              (local.set $s (i32.add (local.get $s) (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
              (local.set $s (i32.add (local.get $s)))
              (i32.mul (local.get $n) (i32.const 100))
              (br $l)))
          (local.get $s)))"#,
        &["f 0 -> 0", "f 1 -> 5", "f 3 -> 308"],
    ),
    case(
        "an operand lies below the condition",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l (result i32)
            (local.get $s) (local.get $n)
            (if (then
              (local.set $s (i32.add (local.get $s) (local.get $n)))
              (local.set $n (i32.sub (local.get $n) (i32.const 1)))
              (br $l))))))"#,
        &["f 0 -> 0", "f 5 -> 15"],
    ),
    case(
        "the header is long",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (block $out (loop $l
            (local.set $s (i32.add (local.get $s) (local.get $n)))
            (local.set $s (i32.xor (local.get $s) (i32.const 1)))
            (local.set $s (i32.add (local.get $s) (i32.const 3)))
            (local.set $s (i32.mul (local.get $s) (i32.const 5)))
            (br_if $out (i32.eqz (local.get $n)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $l)))
          (local.get $s)))"#,
        &["f 0 -> 20", "f 2 -> 835"],
    ),
    case(
        "the header writes memory",
        r#"(module (memory (export "m") 1) (func (export "f") (param $n i32) (result i32)
          (block $out (loop $l
            (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
            (br_if $out (i32.eqz (local.get $n)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $l)))
          (i32.load (i32.const 8))))"#,
        &["f 0 -> 1", "f 3 -> 5"],
    ),
    case(
        "the header writes a global",
        r#"(module (global $g (export "g") (mut i32) (i32.const 0)) (func (export "f") (param $n i32) (result i32)
          (loop $l
            (global.set $g (i32.add (global.get $g) (i32.const 1)))
            (if (i32.lt_u (global.get $g) (local.get $n)) (then (br $l))))
          (global.get $g)))"#,
        &["f 4 -> 4", "f 4 -> 5"],
    ),
    case(
        "the header calls",
        r#"(module (global $g (mut i32) (i32.const 0))
          (func $next (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g))
          (func (export "f") (param $n i32) (result i32) (local $s i32)
          (block $out (loop $l
            (br_if $out (i32.ge_u (call $next) (local.get $n)))
            (local.set $s (i32.add (local.get $s) (global.get $g)))
            (br $l)))
          (local.get $s)))"#,
        &["f 4 -> 6", "f 4 -> 0"],
    ),
    case(
        "the header traps in a later iteration",
        r#"(module (memory 1) (func (export "f") (param $p i32) (result i32) (local $s i32)
          (block $out (loop $l
            (br_if $out (i32.eqz (i32.load8_u (local.get $p))))
            (local.set $p (i32.add (local.get $p) (i32.const 1)))
            (local.set $s (i32.add (local.get $s) (i32.const 1)))
            (br $l)))
          (local.get $s))
          (func (export "g") (param $d i32) (result i32) (local $s i32)
          (loop $l
            (if (i32.lt_s (i32.div_s (i32.const 100) (local.get $d)) (i32.const 1000)) (then
              (local.set $d (i32.sub (local.get $d) (i32.const 1)))
              (local.set $s (i32.add (local.get $s) (local.get $d)))
              (br $l))))
          (local.get $s))
          (data (i32.const 65530) "abcdef") (data (i32.const 10) "xyz"))"#,
        &["f 10 -> 3", "f 65530 -> MemoryOutOfBounds", "f 0 -> 0", "g 3 -> IntegerDivideByZero"],
    ),
    case(
        "the loop is continued in two places",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (if (local.get $n) (then
              (local.set $n (i32.sub (local.get $n) (i32.const 1)))
              (br_if $l (i32.and (local.get $n) (i32.const 1)))
              (local.set $s (i32.add (local.get $s) (local.get $n)))
              (br $l))))
          (local.get $s)))"#,
        &["f 0 -> 0", "f 9 -> 20"],
    ),
    case(
        "one operator continues the loop twice",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (block $out (loop $l
            (br_if $out (i32.eqz (local.get $n)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (local.set $s (i32.add (local.get $s) (local.get $n)))
            (br_table $l $out $l $out $l (local.get $n))))
          (local.get $s)))"#,
        &["f 0 -> 0", "f 1 -> 0", "f 9 -> 33", "f 2 -> 1"],
    ),
    case(
        "a clause continues the loop",
        r#"(module (tag $e) (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (if (local.get $n) (then
              (local.set $n (i32.sub (local.get $n) (i32.const 1)))
              (local.set $s (i32.add (local.get $s) (local.get $n)))
              (try_table (catch $e $l) (if (i32.and (local.get $n) (i32.const 1)) (then (throw $e))))
              (br $l))))
          (local.get $s)))"#,
        &["f 0 -> 0", "f 5 -> 10"],
    ),
    case(
        "the exit is the head of a loop around",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32) (local $i i32)
          (block $done
          (loop $outer
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $done (i32.lt_s (local.get $n) (i32.const 0)))
            (local.set $i (i32.const 3))
            (loop $l
              (br_if $outer (i32.eqz (local.get $i)))
              (local.set $i (i32.sub (local.get $i) (i32.const 1)))
              (local.set $s (i32.add (local.get $s) (i32.const 1)))
              (br $l))))
          (local.get $s)))"#,
        &["f 0 -> 0", "f 4 -> 12"],
    ),
    case(
        "the exit takes an operand",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (block $out (result i32) (loop $l
            (local.get $s)
            (br_if $out (i32.eqz (local.get $n)))
            (drop)
            (local.set $s (i32.add (local.get $s) (local.get $n)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $l)) (unreachable))))"#,
        &["f 0 -> 0", "f 4 -> 10"],
    ),
    case(
        "the exit is a function with a result",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (br_if 1 (local.get $s) (i32.eqz (local.get $n)))
            (local.set $s)
            (local.set $s (i32.add (local.get $s) (local.get $n)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $l)) (unreachable)))"#,
        &["f 0 -> 0", "f 4 -> 10"],
    ),
    case(
        "the exit is a clause of a legacy try",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          try
            (loop $l
              (br_if 1 (i32.eqz (local.get $n)))
              (local.set $s (i32.add (local.get $s) (local.get $n)))
              (local.set $n (i32.sub (local.get $n) (i32.const 1)))
              (br $l))
          catch_all
            (local.set $s (i32.const 100))
          end
          (local.get $s)))"#,
        &["f 0 -> 0", "f 4 -> 10"],
    ),
    case(
        "the if has an else",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (if (local.get $n)
              (then
                (local.set $s (i32.add (local.get $s) (local.get $n)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br $l))
              (else (local.set $s (i32.add (local.get $s) (i32.const 100))))))
          (local.get $s)))"#,
        &["f 0 -> 100", "f 4 -> 110"],
    ),
    case(
        "the if has an else that returns, and nothing comes behind",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (if (local.get $n)
              (then
                (local.set $s (i32.add (local.get $s) (local.get $n)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br $l))
              (else (return (i32.mul (local.get $s) (i32.const 1000))))))
          (unreachable)))"#,
        &["f 0 -> 0", "f 4 -> 10000"],
    ),
    case(
        "the if has an else that is empty",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (local.get $n)
            if
              (local.set $s (i32.add (local.get $s) (local.get $n)))
              (local.set $n (i32.sub (local.get $n) (i32.const 1)))
              br $l
            else
            end)
          (local.get $s)))"#,
        &["f 0 -> 0", "f 4 -> 10"],
    ),
    case(
        "the loop is continued in the else",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (if (i32.eqz (local.get $n))
              (then (local.set $s (i32.add (local.get $s) (i32.const 7))))
              (else
                (local.set $s (i32.add (local.get $s) (local.get $n)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br $l))))
          (local.get $s)))"#,
        &["f 0 -> 7", "f 4 -> 17"],
    ),
    case(
        "the loop is continued behind the if",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (block $out (loop $l
            (if (i32.eqz (local.get $n)) (then (local.set $s (i32.add (local.get $s) (i32.const 7))) (br $out)))
            (local.set $s (i32.add (local.get $s) (local.get $n)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $l)))
          (local.get $s)))"#,
        &["f 0 -> 7", "f 4 -> 17"],
    ),
    case(
        "the if has a result",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l (result i32)
            (local.get $n)
            (if (result i32)
              (then
                (local.set $s (i32.add (local.get $s) (local.get $n)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br $l))
              (else (local.get $s))))))"#,
        &["f 0 -> 0", "f 4 -> 10"],
    ),
    case(
        "the header assigns what lies behind the exit",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32) (local $t i32)
          (block $out (loop $l
            (br_if $out (i32.eqz (local.tee $t (i32.and (local.get $n) (i32.const 7)))))
            (local.set $s (i32.add (local.get $s) (local.get $t)))
            (local.set $t (i32.const 1000))
            (local.set $n (i32.add (local.get $n) (i32.const 3)))
            (br $l)))
          (i32.add (i32.mul (local.get $t) (i32.const 1000000)) (local.get $s))))"#,
        &["f 0 -> 0", "f 5 -> 5", "f 2 -> 7", "f 1 -> 19"],
    ),
    case(
        "the loop lies in another one that is entered from the interpreter",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32) (local $i i32)
          (loop $outer
            (local.set $i (local.get $n))
            (block $out (loop $l
              (br_if $out (i32.eqz (local.get $i)))
              (local.set $s (i32.add (local.get $s) (local.get $i)))
              (local.set $i (i32.sub (local.get $i) (i32.const 1)))
              (br $l)))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $outer (i32.gt_s (local.get $n) (i32.const 0))))
          (local.get $s)))"#,
        &["f 1 -> 1", "f 4 -> 20"],
    ),
    case(
        "the test is known",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (block $out (loop $l
            (br_if $out (i32.const 1))
            (local.set $s (i32.const 9))
            (br $l)))
          (block $out (loop $l
            (br_if $out (i32.const 0))
            (local.set $s (i32.add (local.get $s) (i32.const 3)))
            (br_if $out (i32.gt_u (local.get $s) (local.get $n)))
            (br $l)))
          (local.get $s)))"#,
        &["f 0 -> 3", "f 7 -> 9"],
    ),
];

#[test]
fn loops_are_rotated_only_where_that_is_the_same() {
    check(CASES);
}
