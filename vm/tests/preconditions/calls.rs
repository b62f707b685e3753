//! Functions in the place of their calls (`jit/src/frontend/inline.rs`), tables that only hold the module's own functions
//! (`facts.rs`, `calls.rs`), and the convention (`jit/src/x64/call.rs`, `adapter.rs`).

use super::{Case, case, check, linked};

const INLINED: &[Case] = &[
    case(
        "the callee's locals are zero each time, and its parameters its own",
        r#"(module (func $f (param $x i32) (result i32) (local $y i32)
            (local.set $y (i32.add (local.get $y) (local.get $x))) (local.set $x (i32.const 50)) (i32.add (local.get $y) (local.get $x)))
          (func (export "f") (param $n i32) (result i32 i32) (local $s i32)
          (loop $l (local.set $s (i32.add (local.get $s) (call $f (local.get $n))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s) (local.get $n)))"#,
        &["f 1 -> 51 0", "f 4 -> 210 0"],
    ),
    case(
        "the callee returns early, and with several results",
        r#"(module (func $f (param $x i32) (result i32 i64)
            (if (i32.lt_s (local.get $x) (i32.const 2)) (then (return (i32.const -1) (i64.const 7))))
            (block $b (br_if $b (i32.eq (local.get $x) (i32.const 2))) (return (local.get $x) (i64.const 8)))
            (i32.const 5) (i64.const 9))
          (func (export "f") (param $n i32) (result i32 i64 i32) (call $f (local.get $n)) (local.get $n)))"#,
        &["f 0 -> 0xffffffff 7 0", "f 2 -> 5 9 2", "f 3 -> 3 8 3"],
    ),
    case(
        "the callee loops, calls itself, or never comes back",
        r#"(module (func $loops (param $n i32) (result i32) (local $s i32)
            (loop $l (local.set $s (i32.add (local.get $s) (local.get $n))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))
          (func $self (param $n i32) (result i32)
            (if (result i32) (local.get $n) (then (i32.add (i32.const 2) (call $self (i32.sub (local.get $n) (i32.const 1))))) (else (i32.const 0))))
          (func $never (param i32) (result i32) (unreachable))
          (func $maybe (param i32) (result i32) (if (local.get 0) (then (unreachable))) (i32.const 3))
          (func (export "loops") (param i32) (result i32) (i32.add (call $loops (local.get 0)) (i32.const 1)))
          (func (export "self") (param i32) (result i32) (i32.add (call $self (local.get 0)) (i32.const 1)))
          (func (export "never") (param i32) (result i32) (i32.add (call $never (local.get 0)) (i32.const 1)))
          (func (export "maybe") (param i32) (result i32) (i32.add (call $maybe (local.get 0)) (i32.const 1))))"#,
        &[
            "loops 4 -> 11",
            "self 0 -> 1",
            "self 9 -> 19",
            "never 1 -> Unreachable",
            "maybe 0 -> 4",
            "maybe 1 -> Unreachable",
        ],
    ),
    case(
        "the callee throws within a try, or tail-calls",
        r#"(module (tag $e) (func $throws (param i32) (result i32) (if (local.get 0) (then (throw $e))) (i32.const 3))
          (func $tail (param i32) (result i32) (return_call $throws (local.get 0)))
          (func (export "f") (param i32) (result i32) (local $s i32)
          (loop $l
            (block $h (try_table (catch $e $h) (local.set $s (i32.add (local.get $s) (call $throws (i32.and (local.get 0) (i32.const 1)))))
              (local.set $s (i32.add (local.get $s) (call $tail (i32.and (local.get 0) (i32.const 2)))))))
            (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
          (local.get $s)))"#,
        &["f 1 -> 0", "f 8 -> 18"],
    ),
    case(
        "the callee writes what the caller has read",
        r#"(module (memory (export "m") 1) (global $g (mut i32) (i32.const 0))
          (func $f (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1))) (global.set $g (i32.const 6)))
          (func (export "f") (param i32) (result i32 i32 i32)
          (i32.store (i32.const 8) (local.get 0)) (global.set $g (i32.const 2))
          (loop $l (call $f) (br_if $l (i32.lt_u (i32.load (i32.const 8)) (i32.const 5))))
          (i32.load (i32.const 8)) (global.get $g) (i32.load8_u (i32.const 9))))"#,
        &["f 0 -> 5 6 0", "f 9 -> 10 6 0", "f 255 -> 0x100 6 1"],
    ),
    case(
        "a trap in the callee has its frame, whichever call it was",
        r#"(module (func $div (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
          (func $twice (param i32) (result i32) (i32.add (call $div (i32.const 6) (local.get 0)) (call $div (i32.const 7) (i32.sub (local.get 0) (i32.const 1)))))
          (func (export "f") (param i32) (result i32) (i32.add (call $twice (local.get 0)) (call $div (i32.const 5) (i32.sub (local.get 0) (i32.const 2))))))"#,
        &["f 0 -> IntegerDivideByZero", "f 1 -> IntegerDivideByZero", "f 2 -> IntegerDivideByZero", "f 3 -> 10"],
    ),
];

/// Each instance has a number, which its functions give.
const FOREIGN: &str = r#"(module (global $g (mut i32) (i32.const 40)) (type $f (func (param i32) (result i32)))
    (func (export "f") (type $f) (i32.add (local.get 0) (global.get $g)))
    (func (export "via") (type $f) (call_indirect (type $f) (i32.const 1) (local.get 0)))
    (table (export "t") 4 funcref) (elem (i32.const 0) 0))"#;

const TABLES: &[Case] = &[
    linked(
        "a table gets a function of another instance",
        FOREIGN,
        r#"(module (type $f (func (param i32) (result i32))) (import "lib" "f" (func $foreign (type $f))) (import "lib" "t" (table $theirs 4 funcref))
          (import "lib" "via" (func $via (type $f)))
          (global $g (mut i32) (i32.const 7))
          (func $own (type $f) (i32.add (local.get 0) (global.get $g)))
          (table $closed 2 funcref) (elem (table $closed) (i32.const 0) func $own)
          (table $active 2 funcref) (elem (table $active) (i32.const 0) func $own $foreign)
          (table $set 2 funcref) (table $grown 1 4 funcref) (table $filled 2 funcref) (table $copied 4 funcref) (table $inited 2 funcref)
          (table $typed 2 (ref null $f)) (elem (table $typed) (i32.const 0) (ref null $f) (ref.func $own) (ref.func $foreign))
          (elem $passive func $foreign $own) (elem declare func $own $foreign)
          (func (export "closed") (param i32) (result i32) (call_indirect $closed (type $f) (i32.const 1) (local.get 0)))
          (func (export "active") (param i32) (result i32) (call_indirect $active (type $f) (i32.const 1) (local.get 0)))
          (func (export "set") (param i32) (result i32) (table.set $set (i32.const 1) (ref.func $foreign)) (call_indirect $set (type $f) (i32.const 1) (local.get 0)))
          (func (export "grown") (result i32) (drop (table.grow $grown (ref.func $foreign) (i32.const 1))) (call_indirect $grown (type $f) (i32.const 1) (i32.const 1)))
          (func (export "filled") (param i32) (result i32) (table.fill $filled (i32.const 0) (ref.func $foreign) (i32.const 2)) (call_indirect $filled (type $f) (i32.const 1) (local.get 0)))
          (func (export "copied") (param i32) (result i32) (table.copy $copied $theirs (i32.const 0) (i32.const 0) (i32.const 4)) (call_indirect $copied (type $f) (i32.const 1) (local.get 0)))
          (func (export "inited") (param i32) (result i32) (table.init $inited $passive (i32.const 0) (i32.const 0) (i32.const 2)) (call_indirect $inited (type $f) (i32.const 1) (local.get 0)))
          (func (export "typed") (param i32) (result i32) (call_indirect $typed (type $f) (i32.const 1) (local.get 0)))
          (func (export "theirs") (param i32) (result i32) (return_call_indirect $theirs (type $f) (i32.const 1) (local.get 0)))
          (func (export "ref") (param i32) (result i32) (call_ref $f (i32.const 1) (if (result (ref $f)) (local.get 0) (then (ref.func $foreign)) (else (ref.func $own)))))
          (func (export "exported") (result i32) (table.set $theirs (i32.const 2) (ref.func $own)) (call $via (i32.const 2)))
          (func (export "direct") (result i32) (i32.add (call $foreign (i32.const 1)) (global.get $g))))"#,
        &[
            "closed 0 -> 8",
            "closed 1 -> UninitializedElement",
            "closed 2 -> UndefinedElement",
            "closed -1 -> UndefinedElement",
            "active 0 -> 8",
            "active 1 -> 41",
            "set 1 -> 41",
            "set 0 -> UninitializedElement",
            "grown -> 41",
            "filled 0 -> 41",
            "copied 0 -> 41",
            "copied 1 -> UninitializedElement",
            "inited 0 -> 41",
            "inited 1 -> 8",
            "typed 0 -> 8",
            "typed 1 -> 41",
            "theirs 0 -> 41",
            "theirs 1 -> UninitializedElement",
            "ref 0 -> 8",
            "ref 1 -> 41",
            "direct -> 48",
            "exported -> 8",
        ],
    ),
    case(
        "the type of an element is another one, or a subtype",
        r#"(module (type $a (sub (func (result i32)))) (type $b (sub final $a (func (result i32)))) (type $c (func (result i64))) (type $d (func (result i32)))
          (func $fa (type $a) (i32.const 1)) (func $fb (type $b) (i32.const 2)) (func $fc (type $c) (i64.const 3)) (func $fd (type $d) (i32.const 4))
          (table $t funcref (elem $fa $fb $fc $fd))
          (func (export "a") (param i32) (result i32) (call_indirect $t (type $a) (local.get 0)))
          (func (export "b") (param i32) (result i32) (call_indirect $t (type $b) (local.get 0)))
          (func (export "d") (param i32) (result i32) (i32.add (call_indirect $t (type $d) (local.get 0)) (call_indirect $t (type $a) (i32.const 0)))))"#,
        &[
            "a 0 -> 1",
            "a 1 -> 2",
            "a 2 -> IndirectCallTypeMismatch",
            "a 3 -> IndirectCallTypeMismatch",
            "b 0 -> IndirectCallTypeMismatch",
            "b 1 -> 2",
            "d 3 -> 5",
            "d 0 -> IndirectCallTypeMismatch",
            "d 4 -> UndefinedElement",
        ],
    ),
];

const CONVENTION: &[Case] = &[
    case(
        "the upper half of a register is not zero where an i32 crosses the border",
        r#"(module (import "host" "low" (func $low (param i64) (result i32))) (import "host" "same" (func $same (param i32) (result i32)))
          (type $f (func (param i32) (result i64)))
          (func $own (param i32) (result i64) (loop) (i64.extend_i32_u (local.get 0)))
          (func $interpreted (param i32) (result i64) (i64.extend_i32_u (local.get 0)))
          (func $narrow (param i64) (result i32) (loop) (i32.wrap_i64 (local.get 0)))
          (func $many (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i64) (loop) (i64.extend_i32_u (local.get 11)))
          (func $results (param i64) (result i32 i32 i32 i32 i32 i32 i32 i32) (loop)
            (i32.wrap_i64 (local.get 0)) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6) (i32.wrap_i64 (local.get 0)))
          (table funcref (elem $own $interpreted))
          (func (export "own") (param i64) (result i64) (call $own (i32.wrap_i64 (local.get 0))))
          (func (export "int") (param i64) (result i64) (call $interpreted (i32.wrap_i64 (local.get 0))))
          (func (export "table") (param i64) (result i64) (i64.add (call_indirect (type $f) (i32.wrap_i64 (local.get 0)) (i32.const 0)) (call_indirect (type $f) (i32.wrap_i64 (local.get 0)) (i32.const 1))))
          (func (export "back") (param i64) (result i64) (i64.extend_i32_u (call $narrow (local.get 0))))
          (func (export "host") (param i64) (result i64 i64) (i64.extend_i32_u (call $low (local.get 0))) (i64.extend_i32_u (call $same (i32.wrap_i64 (local.get 0)))))
          (func (export "many") (param i64) (result i64) (local $x i32) (local.set $x (i32.wrap_i64 (local.get 0)))
            (call $many (local.get $x) (local.get $x) (local.get $x) (local.get $x) (local.get $x) (local.get $x) (local.get $x) (local.get $x) (local.get $x) (local.get $x) (local.get $x) (local.get $x)))
          (func (export "results") (param i64) (result i64) (call $results (local.get 0)) (i64.extend_i32_u) (local.set 0) (drop) (drop) (drop) (drop) (drop) (drop) (i64.extend_i32_u) (i64.add (local.get 0)))
          (func (export "index") (param i64) (result i32) (local $n i64)
            (block $b (block $a (br_table $a $b (i32.wrap_i64 (local.get 0)))) (return (i32.const 7))) (i32.const 8))
          (memory (export "m") 1)
          (func (export "load") (param i64) (result i32) (i32.store (i32.wrap_i64 (local.get 0)) (i32.const 3)) (i32.load (i32.wrap_i64 (local.get 0))))
          (func (export "select") (param i64 i32) (result i64) (i64.extend_i32_u (select (i32.wrap_i64 (local.get 0)) (local.get 1) (local.get 1))))
          (func (export "global") (param i64) (result i64) (global.set 0 (i32.wrap_i64 (local.get 0))) (i64.extend_i32_u (global.get 0)))
          (global (mut i32) (i32.const 0)))"#,
        &[
            "own 0xff00000012345678 -> 0x12345678",
            "int 0xff00000092345678 -> 0x92345678",
            "table 0xff00000000000001 -> 2",
            "back -1 -> 0xffffffff",
            "host 0xffffffff80000000 -> 0x80000000 0x80000000",
            "many -2 -> 0xfffffffe",
            "results -1 -> 0x1fffffffe",
            "index 0x100000000 -> 7",
            "index 0x100000001 -> 8",
            "load 0x100000008 -> 3",
            "select -1 1 -> 0xffffffff",
            "select -1 0 -> 0",
            "global -1 -> 0xffffffff",
        ],
    ),
    case(
        "values do not fit into registers, and tail calls need more room than the frame has",
        r#"(module (func $sum (param i32 f32 i64 f64 v128 i32 i64 i32 i64 i32 i64 f32 f32 f64 f64 v128 v128 f32 f32 f64) (result i32 f64 v128 i64)
            (i32.add (local.get 0) (i32.add (local.get 5) (i32.add (local.get 7) (local.get 9))))
            (f64.add (local.get 3) (f64.add (local.get 13) (f64.add (local.get 14) (local.get 19))))
            (i64x2.add (local.get 4) (i64x2.add (local.get 15) (local.get 16)))
            (i64.add (local.get 2) (i64.add (local.get 6) (i64.add (local.get 8) (local.get 10)))))
          (func $tail (param i32) (result i32 f64 v128 i64)
            (return_call $sum (local.get 0) (f32.const 1) (i64.const 2) (f64.const 3) (v128.const i64x2 4 5) (i32.const 6) (i64.const 7) (i32.const 8) (i64.const 9) (i32.const 10) (i64.const 11)
              (f32.const 12) (f32.const 13) (f64.const 14) (f64.const 15) (v128.const i64x2 16 17) (v128.const i64x2 18 19) (f32.const 20) (f32.const 21) (f64.const 22)))
          (func $interpreted (param i32) (result i32 f64 v128 i64) (return_call $tail (local.get 0)))
          (func (export "f") (param i32) (result i32 f64 v128 i64) (call $tail (local.get 0)))
          (func (export "g") (param i32) (result i32 f64 v128 i64) (call $interpreted (local.get 0)))
          (func $down (param i32 i64 i64 i64 i64 i64 i64 i64) (result i64)
            (if (i32.eqz (local.get 0)) (then (return (i64.add (local.get 1) (local.get 7)))))
            (return_call $down (i32.sub (local.get 0) (i32.const 1)) (local.get 7) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)))
          (func (export "down") (param i32) (result i64) (call $down (local.get 0) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5) (i64.const 6) (i64.const 7))))"#,
        &[
            "f 1 -> 25 0x404b000000000000 0x290000000000000026 29",
            "g 1 -> 25 0x404b000000000000 0x290000000000000026 29",
            "down 0 -> 8",
            "down 3 -> 9",
            "down 100 -> 11",
        ],
    ),
];

#[test]
fn functions_in_the_place_of_calls_behave_as_called() {
    check(INLINED);
}

#[test]
fn only_the_modules_own_functions_are_called_without_their_context() {
    check(TABLES);
}

#[test]
fn values_cross_borders_whole() {
    check(CONVENTION);
}
