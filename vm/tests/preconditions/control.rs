//! Branches and merges (`jit/src/frontend/{control,prescan,flow,exceptions,legacy,hints,casts}.rs`), selections in their place
//! (`jit/src/passes/if_convert.rs`), parameters and blocks that go (`fold.rs`, `dce.rs`, `merge_blocks.rs`, `cold.rs`).

use super::{Case, case, check};

const MERGES: &[Case] = &[
    case(
        "an arm assigns, and the other one does not",
        r#"(module (func (export "f") (param $c i32) (result i32 i32) (local $a i32) (local $b i32)
          (local.set $a (i32.const 1))
          (if (local.get $c) (then (local.set $a (i32.const 2)) (local.set $b (i32.const 3))))
          (if (i32.eqz (local.get $c)) (then (local.set $b (i32.add (local.get $a) (local.get $b)))) (else (local.set $a (local.get $b))))
          (local.get $a) (local.get $b)))"#,
        &["f 0 -> 1 1", "f 1 -> 3 3"],
    ),
    case(
        "a branch leaves before a local is assigned",
        r#"(module (func (export "f") (param $c i32) (result i32) (local $a i32)
          (block $b
            (br_if $b (i32.eq (local.get $c) (i32.const 1)))
            (local.set $a (i32.const 5))
            (br_if $b (i32.eq (local.get $c) (i32.const 2)))
            (local.set $a (i32.add (local.get $a) (i32.const 10))))
          (local.get $a)))"#,
        &["f 1 -> 0", "f 2 -> 5", "f 3 -> 15"],
    ),
    case(
        "a local is read behind the loop that assigns it in an arm",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $a i32) (local $b i32)
          (loop $l
            (if (i32.and (local.get $n) (i32.const 2)) (then (local.set $b (local.get $a)) (local.set $a (local.get $n))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (i32.add (i32.mul (local.get $a) (i32.const 100)) (local.get $b))))"#,
        &["f 1 -> 0", "f 2 -> 200", "f 7 -> 203"],
    ),
    case(
        "targets of a table are the same, and one is a loop",
        r#"(module (func (export "f") (param $x i32) (result i32) (local $s i32)
          (loop $l
            (local.set $s (i32.add (local.get $s) (i32.const 1)))
            (block $b (block $a
              (br_table $a $b $a $l $b $a (i32.sub (local.get $x) (local.tee $x (i32.shr_u (local.get $x) (i32.const 3))))))
              (return (i32.add (local.get $s) (i32.const 100))))
            (local.set $s (i32.add (local.get $s) (i32.const 10))))
          (local.get $s))
          (func (export "one") (param $x i32) (result i32) (block $b (block $a (br_table $a $a $a (local.get $x))) (return (i32.const 1))) (i32.const 2))
          (func (export "two") (param $x i32) (result i32) (block $b (block $a (br_table $a $b $b (local.get $x))) (return (i32.const 1))) (i32.const 2))
          (func (export "values") (param $x i32) (result i32)
          (block $c (result i32) (block $b (result i32) (block $a (result i32)
            (i32.const 7) (br_table $a $b $c $a (local.get $x))) (i32.add (i32.const 1)) (br $c)) (i32.add (i32.const 2)))))"#,
        &[
            "f 0 -> 101",
            "f 1 -> 11",
            "f 3 -> 102",
            "f 8 -> 101",
            "one -1 -> 1",
            "two 0 -> 1",
            "two -1 -> 2",
            "values 0 -> 8",
            "values 1 -> 9",
            "values 2 -> 7",
            "values 3 -> 8",
            "values -1 -> 8",
        ],
    ),
    case(
        "a condition is known, and so is that of a loop's way back",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (if (i32.const 0) (then (unreachable)) (else (local.set $s (i32.const 1))))
          (if (i32.const 7) (then (local.set $s (i32.add (local.get $s) (i32.const 2)))))
          (loop $l
            (br_if 1 (local.get $s) (i32.eq (local.get $n) (local.get $s))) (local.set $s)
            (local.set $s (i32.add (local.get $s) (i32.const 1)))
            (br_if $l (i32.const 1)))
          (unreachable))
          (func (export "g") (param $n i32) (result i32)
          (block $b (br_if $b (i32.eqz (i32.eqz (i32.eqz (local.get $n))))) (return (i32.const 1))) (i32.const 2))
          (func (export "h") (param $n i64) (result i32)
          (if (result i32) (i32.wrap_i64 (local.get $n)) (then (i32.const 1)) (else (i32.const 2)))))"#,
        &["f 10 -> 10", "g 0 -> 2", "g 9 -> 1", "h 0x100000000 -> 2", "h 0x100000001 -> 1"],
    ),
    case(
        "a block takes and gives operands, in an if with one arm",
        r#"(module (func (export "f") (param $c i32) (result i32 i64)
          (i32.const 1) (i64.const 2)
          (if (param i32 i64) (result i32 i64) (local.get $c)
            (then (drop) (i32.add (i32.const 5)) (i64.const 9))
            (else))
          (local.get $c)
          (if (param i64) (result i64) (then (i64.add (i64.const 100))))))"#,
        &["f 0 -> 1 2", "f 1 -> 6 109"],
    ),
    case(
        "code follows that is never reached",
        r#"(module (func (export "f") (param $c i32) (result i32) (local $a i32)
          (block $b
            (if (local.get $c) (then (br $b) (local.set $a (i32.const 1)) (loop $l (br $l)))
              (else (return (i32.const 4)) (if (i32.const 1) (then (local.set $a (i32.const 1))) (else))))
            (local.set $a (i32.const 3)))
          (local.get $a)))"#,
        &["f 0 -> 4", "f 1 -> 0"],
    ),
    case(
        "hints are wrong",
        r#"(module (func (export "f") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (@metadata.code.branch_hint "\00")
            (if (i32.and (local.get $n) (i32.const 3)) (then (local.set $s (i32.add (local.get $s) (local.get $n))))
              (else (local.set $s (i32.xor (local.get $s) (i32.const 255)))))
            (@metadata.code.branch_hint "\00")
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s)))"#,
        &["f 1 -> 1", "f 5 -> 0x100"],
    ),
];

const SELECTIONS: &[Case] = &[
    case(
        "an arm has an effect or may trap",
        r#"(module (memory (export "m") 1) (global $g (export "g") (mut i32) (i32.const 0))
          (func (export "load") (param $c i32) (param $p i32) (result i32)
          (if (result i32) (local.get $c) (then (i32.load (local.get $p))) (else (i32.const 5))))
          (func (export "div") (param $c i32) (param $d i32) (result i32)
          (if (result i32) (local.get $c) (then (i32.div_s (i32.const 8) (local.get $d))) (else (i32.const 5))))
          (func (export "set") (param $c i32) (result i32)
          (if (result i32) (local.get $c) (then (global.set $g (i32.const 3)) (i32.const 1)) (else (i32.const 5))))
          (func (export "rem") (param $c i32) (param $d i32) (result i32)
          (if (result i32) (i32.eqz (local.get $d)) (then (i32.const 0)) (else (i32.rem_u (i32.const 17) (local.get $d))))))"#,
        &[
            "load 0 -1 -> 5",
            "load 1 65533 -> MemoryOutOfBounds",
            "load 1 0 -> 0",
            "div 0 0 -> 5",
            "div 1 0 -> IntegerDivideByZero",
            "div 1 -2 -> 0xfffffffc",
            "set 0 -> 5",
            "set 1 -> 1",
            "rem 0 0 -> 0",
            "rem 0 5 -> 2",
        ],
    ),
    case(
        "the values are floats or vectors, or more than two",
        r#"(module (func (export "f") (param $c i32) (param $x f32) (param $y f32) (result f32)
          (if (result f32) (local.get $c) (then (local.get $x)) (else (local.get $y))))
          (func (export "v") (param $c i32) (param $x v128) (result v128)
          (if (result v128) (local.get $c) (then (local.get $x)) (else (v128.const i64x2 1 2))))
          (func (export "three") (param $c i32) (result i32 i32 i64)
          (if (result i32 i32 i64) (local.get $c) (then (i32.const 1) (i32.const 2) (i64.const 3)) (else (i32.const 4) (i32.const 5) (i64.const 6))))
          (func (export "swap") (param $c i32) (param $x i32) (param $y i32) (result i32 i32)
          (if (result i32 i32) (local.get $c) (then (local.get $x) (local.get $y)) (else (local.get $y) (local.get $x)))))"#,
        &[
            "f 0 0x7fa00001 0x80000000 -> 0x80000000",
            "f 1 0x7fa00001 0 -> 0x7fa00001",
            "v 2 0x100000000000000000 -> 0x100000000000000000",
            "v 0 0 -> 0x20000000000000001",
            "three 0 -> 4 5 6",
            "three 9 -> 1 2 3",
            "swap 0 1 2 -> 2 1",
            "swap 1 1 2 -> 1 2",
        ],
    ),
    case(
        "the condition is an equality of floats, which NaN fails",
        r#"(module (func (export "eq") (param f64 f64) (result i32)
          (if (result i32) (f64.eq (local.get 0) (local.get 1)) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "ne") (param f32 f32) (result i32)
          (if (result i32) (f32.ne (local.get 0) (local.get 1)) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "not") (param f64 f64) (result i32)
          (if (result i32) (i32.eqz (f64.lt (local.get 0) (local.get 1))) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "value") (param f64 f64) (result i32 i32 i32 i32)
          (f64.eq (local.get 0) (local.get 1)) (f64.ne (local.get 0) (local.get 1)) (i32.eqz (f64.ge (local.get 0) (local.get 1)))
          (i32.eqz (f64.eq (local.get 0) (local.get 1))))
          (func (export "trap") (param f64 f64) (if (f64.ne (local.get 0) (local.get 1)) (then (unreachable))))
          (func (export "select") (param f64 f64) (result i32 i64)
          (select (i32.const 1) (i32.const 2) (f64.eq (local.get 0) (local.get 1)))
          (select (i64.const 3) (i64.const 4) (f64.ne (local.get 0) (local.get 1))))
          (func (export "loop") (param f64 f64) (result i32) (local $n i32)
          (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (local.set 0 (f64.add (local.get 0) (f64.const 1))) (br_if $l (f64.lt (local.get 0) (local.get 1)))) (local.get $n)))"#,
        &[
            "eq 0 0x8000000000000000 -> 1",
            "eq 0x7ff8000000000000 0x7ff8000000000000 -> 2",
            "ne 0x7fc00000 0x7fc00000 -> 1",
            "ne 0 0x80000000 -> 2",
            "not 0x7ff8000000000000 0 -> 1",
            "not 0 0x3ff0000000000000 -> 2",
            "value 0x7ff8000000000000 0 -> 0 1 1 1",
            "value 0 0 -> 1 0 0 0",
            "trap 0x7ff8000000000000 0x7ff8000000000000 -> Unreachable",
            "trap 0 0x8000000000000000 ->",
            "select 0 0 -> 1 4",
            "select 0x7ff8000000000000 0 -> 2 3",
            "loop 0 0x4008000000000000 -> 3",
            "loop 0x7ff8000000000000 0x4008000000000000 -> 1",
        ],
    ),
    case(
        "the smaller of two is neither, or has another sign",
        r#"(module
          (func (export "lt") (param f64 f64) (result f64) (select (local.get 0) (local.get 1) (f64.lt (local.get 0) (local.get 1))))
          (func (export "gt") (param f64 f64) (result f64) (select (local.get 0) (local.get 1) (f64.gt (local.get 0) (local.get 1))))
          (func (export "le") (param f64 f64) (result f64) (select (local.get 0) (local.get 1) (f64.le (local.get 0) (local.get 1))))
          (func (export "rev") (param f64 f64) (result f64) (select (local.get 1) (local.get 0) (f64.lt (local.get 0) (local.get 1))))
          (func (export "nge") (param f64 f64) (result f64) (select (local.get 0) (local.get 1) (i32.eqz (f64.ge (local.get 0) (local.get 1)))))
          (func (export "min") (param f64 f64) (result f64) (f64.min (local.get 0) (local.get 1)))
          (func (export "max") (param f64 f64) (result f64) (f64.max (local.get 0) (local.get 1)))
          (func (export "mixed") (param f64 f32) (result f32) (select (local.get 1) (f32.const 2) (f64.lt (local.get 0) (f64.const 1))))
          (func (export "same") (param f64 f64) (result f64) (select (local.get 0) (local.get 1) (f64.eq (local.get 0) (local.get 1)))))"#,
        &[
            "lt 0x8000000000000000 0 -> 0",
            "lt 0 0x8000000000000000 -> 0x8000000000000000",
            "lt 0x7ff8000000000001 5 -> 5",
            "lt 5 0x7ff8000000000001 -> 0x7ff8000000000001",
            "gt 0x8000000000000000 0 -> 0",
            "gt 0 0x8000000000000000 -> 0x8000000000000000",
            "gt 0x7ff8000000000001 5 -> 5",
            "le 0x8000000000000000 0 -> 0x8000000000000000",
            "le 0x7ff8000000000001 5 -> 5",
            "rev 0 0x8000000000000000 -> 0",
            "rev 5 0x7ff8000000000001 -> 5",
            "rev 0x7ff8000000000001 5 -> 0x7ff8000000000001",
            "nge 0x7ff8000000000001 5 -> 0x7ff8000000000001",
            "nge 0 0x8000000000000000 -> 0x8000000000000000",
            "min 0 0x8000000000000000 -> 0x8000000000000000",
            "min 0x8000000000000000 0 -> 0x8000000000000000",
            "max 0x8000000000000000 0 -> 0",
            "max 0 0x8000000000000000 -> 0",
            "min 0x7ff8000000000000 0 -> 0x7ff8000000000000",
            "max 0 0x7ff8000000000000 -> 0x7ff8000000000000",
            "mixed 0 0x3f800000 -> 0x3f800000",
            "mixed 0x7ff8000000000000 0 -> 0x40000000",
            "same 0 0x8000000000000000 -> 0",
            "same 0x8000000000000000 0 -> 0x8000000000000000",
        ],
    ),
    case(
        "a selection looks like one of its own operands, or like a comparison",
        r#"(module
          (func (export "zero") (param i32) (result i32) (select (i32.const 0) (local.get 0) (i32.eqz (local.get 0))))
          (func (export "other") (param i32 i32) (result i32) (select (local.get 1) (local.get 0) (i32.ne (local.get 0) (local.get 1))))
          (func (export "less") (param i32 i32) (result i32) (select (local.get 1) (local.get 0) (i32.lt_s (local.get 0) (local.get 1))))
          (func (export "ten") (param i32) (result i32) (select (i32.const 1) (i32.const 0) (local.get 0)))
          (func (export "wide") (param i32) (result i64) (select (i64.const -1) (i64.const 0) (local.get 0)))
          (func (export "truth") (param i32) (result i64) (select (i64.const -1) (i64.const 0) (i32.gt_u (local.get 0) (i32.const 3))))
          (func (export "which") (param i32) (result i32) (i32.eq (select (i32.const 5) (i32.const 9) (local.get 0)) (i32.const 9)))
          (func (export "both") (param i32) (result i32) (i32.lt_u (select (i32.const 5) (i32.const 9) (local.get 0)) (i32.const 10)))
          (func (export "nested") (param i32 i32) (result i32)
            (select (select (i32.const 1) (i32.const 2) (local.get 1)) (select (i32.const 3) (i32.const 4) (local.get 1)) (i32.eqz (local.get 0)))))"#,
        &[
            "zero 0 -> 0",
            "zero 7 -> 7",
            "other 3 4 -> 4",
            "other 4 4 -> 4",
            "less -1 1 -> 1",
            "less 1 -1 -> 1",
            "ten 256 -> 1",
            "ten 0 -> 0",
            "wide 2 -> 0xffffffffffffffff",
            "wide 0 -> 0",
            "truth 4 -> 0xffffffffffffffff",
            "truth 3 -> 0",
            "which 0 -> 1",
            "which 8 -> 0",
            "both 0 -> 1",
            "nested 0 0 -> 2",
            "nested 0 1 -> 1",
            "nested 1 0 -> 4",
            "nested 1 1 -> 3",
        ],
    ),
];

const EXCEPTIONS: &[Case] = &[
    case(
        "locals and operands are those at the call that throws",
        r#"(module (tag $e (param i32)) (tag $other)
          (func $thrower (param i32) (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $e (i32.const 50)))) (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $other))))
          (func $down (param i32 i32) (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1)) (local.get 1))) (else (call $thrower (local.get 1)))))
          (func (export "f") (param $n i32) (result i32) (local $a i32)
          (local.set $a (i32.const 1))
          (i32.const 1000)
          (block $all (block $h (result i32)
            (try_table (catch $e $h) (catch_all $all)
              (local.set $a (i32.const 2))
              (call $down (i32.const 3) (i32.sub (local.get $n) (i32.const 10)))
              (local.set $a (i32.const 3))
              (call $thrower (local.get $n))
              (local.set $a (i32.const 4)))
            (i32.const 60))
            (local.set $a (i32.add (local.get $a))))
          (i32.add (local.get $a)))
          (func (export "g") (param $n i32) (result i32) (local $a i32)
          (loop $l
            (block $h (result i32)
              (try_table (catch $e $h)
                (try_table (catch $other $l) (local.set $a (i32.add (local.get $a) (i32.const 1)))
                  (call $thrower (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
              (i32.const 7))
            (local.set $a (i32.add (local.get $a)))
            (br_if $l (i32.gt_s (local.get $n) (i32.const 0))))
          (local.get $a)))"#,
        &["f 0 -> 1064", "f 1 -> 1053", "f 2 -> 1003", "f 11 -> 1052", "f 12 -> 1002", "g 5 -> 76"],
    ),
    case(
        "a clause is not the first, throws again, or delegates",
        r#"(module (tag $a (param i64)) (tag $b)
          (func $throw (param i32) (if (local.get 0) (then (throw $a (i64.extend_i32_u (local.get 0)))) (else (throw $b))))
          (func (export "f") (param $n i32) (result i64)
          try (result i64)
            try (result i64)
              (call $throw (local.get $n)) (i64.const 1)
            catch $b
              (i64.const 2)
            catch_all
              (rethrow 0)
            end
          catch $a
            (i64.add (i64.const 10))
          end)
          (func (export "d") (param $n i32) (result i64)
          try (result i64)
            try (result i64)
              try (result i64) (call $throw (local.get $n)) (i64.const 1) delegate 1
            catch_all (i64.const 5)
            end
          catch $a (i64.add (i64.const 20))
          catch $b (i64.const 6)
          end)
          (func (export "uncaught") (param $n i32)
          try (call $throw (local.get $n)) catch $b end))"#,
        &["f 0 -> 2", "f 4 -> 14", "d 0 -> 6", "d 4 -> 24", "uncaught 0 ->", "uncaught 3 -> UncaughtException"],
    ),
    case(
        "a reference is null, i31, or of another type",
        r#"(module (type $a (sub (struct (field i32)))) (type $b (sub $a (struct (field i32) (field i32)))) (type $c (array i8))
          (func $make (param i32) (result anyref)
          (block $3 (block $2 (block $1 (block $0 (br_table $0 $1 $2 $3 (local.get 0)))
            (return (ref.null any))) (return (ref.i31 (i32.const -5)))) (return (struct.new $a (i32.const 1)))) (struct.new $b (i32.const 2) (i32.const 3)))
          (func (export "test") (param i32) (result i32 i32 i32 i32 i32) (local $r anyref)
          (local.set $r (call $make (local.get 0)))
          (ref.test (ref $a) (local.get $r)) (ref.test (ref null $b) (local.get $r)) (ref.test i31ref (local.get $r)) (ref.test (ref struct) (local.get $r)) (ref.test (ref array) (local.get $r)))
          (func (export "cast") (param i32) (result i32) (struct.get $b 0 (ref.cast (ref $b) (call $make (local.get 0)))))
          (func (export "null") (param i32) (result i32) (ref.is_null (ref.cast (ref null $a) (call $make (local.get 0)))))
          (func (export "branch") (param i32) (result i32)
          (block $no (result anyref) (return (struct.get $a 0 (br_on_cast_fail $no anyref (ref $a) (call $make (local.get 0)))))) (drop) (i32.const 9))
          (func (export "i31") (param i32) (result i32 i32) (local $r i31ref)
          (local.set $r (ref.cast i31ref (call $make (local.get 0)))) (i31.get_s (local.get $r)) (i31.get_u (local.get $r)))
          (func (export "wide") (param i32) (result i32 i32) (i31.get_s (ref.i31 (local.get 0))) (i31.get_u (ref.i31 (local.get 0)))))"#,
        &[
            "test 0 -> 0 1 1 0 0",
            "test 1 -> 0 0 1 0 0",
            "test 2 -> 1 0 0 1 0",
            "test 3 -> 1 1 0 1 0",
            "cast 3 -> 2",
            "cast 2 -> CastFailure",
            "cast 0 -> CastFailure",
            "null 0 -> 1",
            "null 2 -> 0",
            "null 1 -> CastFailure",
            "branch 0 -> 9",
            "branch 1 -> 9",
            "branch 2 -> 1",
            "branch 3 -> 2",
            "i31 1 -> 0xfffffffb 0x7ffffffb",
            "i31 0 -> NullI31Reference",
            "wide 0x40000000 -> 0xc0000000 0x40000000",
            "wide 0x80000001 -> 1 1",
        ],
    ),
];

#[test]
fn ways_that_meet_bring_what_they_have() {
    check(MERGES);
}

#[test]
fn branches_become_selections_only_where_both_arms_may_be_executed() {
    check(SELECTIONS);
}

#[test]
fn clauses_have_what_was_there_at_the_call() {
    check(EXCEPTIONS);
}
