//! What is known of memory, globals, tables and objects (`jit/src/frontend/loads.rs`), and where an access goes
//! (`jit/src/frontend/memory.rs`).

use super::{Case, case, check, linked};

const TWO_MEMORIES: &str = r#"(module (memory (export "m") 1 4) (data (i32.const 0) "\01\02\03\04\05\06\07\08"))"#;

const KNOWN: &[Case] = &[
    case(
        "a narrower store lies within the place",
        r#"(module (memory (export "m") 1) (func (export "f") (param $p i32) (result i32)
          (i32.store (local.get $p) (i32.const 0x11223344))
          (i32.store8 offset=1 (local.get $p) (i32.const 0xee))
          (i32.load (local.get $p)))
          (func (export "g") (param $p i32) (result i64)
          (i64.store (local.get $p) (i64.const 0x1122334455667788))
          (i32.store16 offset=7 (local.get $p) (i32.const 0xeeff))
          (i64.load (local.get $p)))
          (func (export "h") (param $p i32) (result i64)
          (i64.store (local.get $p) (i64.const 0x1122334455667788))
          (i32.store16 offset=8 (local.get $p) (i32.const 0xeeff))
          (i64.load (local.get $p))))"#,
        &["f 8 -> 0x1122ee44", "g 8 -> 0xff22334455667788", "h 8 -> 0x1122334455667788"],
    ),
    case(
        "the load is wider than what is known",
        r#"(module (memory (export "m") 1) (data (i32.const 8) "\01\02\03\04\05\06\07\08")
          (func (export "f") (param $p i32) (result i32)
          (i32.store8 (local.get $p) (i32.const 0x1ff)) (i32.load16_u (local.get $p)))
          (func (export "g") (param $p i32) (result i64)
          (drop (i64.load32_s (local.get $p))) (i64.load (local.get $p)))
          (func (export "h") (param $p i32) (result i64)
          (f32.store (local.get $p) (f32.const 1)) (i64.load (local.get $p))))"#,
        &["f 8 -> 0x2ff", "g 8 -> 0x8070605040302ff", "h 8 -> 0x80706053f800000"],
    ),
    case(
        "what is known is of another kind",
        r#"(module (memory (export "m") 1)
          (func (export "f") (param $p i32) (param $v i32) (result i32 i32 i32)
          (i32.store (local.get $p) (local.get $v))
          (i32.load8_s (local.get $p)) (i32.load8_u (local.get $p)) (i32.load16_s (local.get $p)))
          (func (export "g") (param $p i32) (param $v i64) (result i64 i64 f64 i32 f32)
          (i64.store (local.get $p) (local.get $v))
          (i64.load32_s (local.get $p)) (i64.load32_u (local.get $p)) (f64.load (local.get $p)) (i32.load (local.get $p))
          (f32.load (local.get $p)))
          (func (export "h") (param $p i32) (param $v f32) (result i32 f32 i32)
          (f32.store (local.get $p) (local.get $v))
          (i32.load (local.get $p)) (f32.load (local.get $p)) (i32.load16_u (local.get $p)))
          (func (export "k") (param $p i32) (param $v i32) (result i32 i64 i64)
          (i32.store8 (local.get $p) (local.get $v))
          (i32.load8_s (local.get $p)) (i64.load8_s (local.get $p)) (i64.load8_u (local.get $p)))
          (func (export "v") (param $p i32) (param $v v128) (result v128 i64 v128 v128)
          (v128.store (local.get $p) (local.get $v))
          (v128.load64_zero (local.get $p)) (i64.load (local.get $p)) (v128.load8x8_s (local.get $p)) (v128.load8_splat (local.get $p))))"#,
        &[
            "f 16 0x1238f4f1 -> 0xfffffff1 0xf1 0xfffff4f1",
            "g 16 0x8123456789abcdef -> 0xffffffff89abcdef 0x89abcdef 0x8123456789abcdef 0x89abcdef 0x89abcdef",
            "h 16 0xffa00001 -> 0xffa00001 0xffa00001 1",
            "k 16 0x3f0 -> 0xfffffff0 0xfffffffffffffff0 0xf0",
            "v 16 0x000102030405060708090a0b0c0d0ef0 -> 0x8090a0b0c0d0ef0 0x8090a0b0c0d0ef0 0x80009000a000b000c000d000efff0 0xf0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0",
        ],
    ),
    case(
        "two pointers are the same, or overlap",
        r#"(module (memory (export "m") 1) (func (export "f") (param $p i32) (param $q i32) (result i32 i32)
          (i32.store (local.get $p) (i32.const 0x01020304))
          (i32.store (local.get $q) (i32.const 0x0a0b0c0d))
          (i32.load (local.get $p)) (i32.load (local.get $q))))"#,
        &["f 8 8 -> 0xa0b0c0d 0xa0b0c0d", "f 8 10 -> 0xc0d0304 0xa0b0c0d", "f 8 12 -> 0x1020304 0xa0b0c0d"],
    ),
    case(
        "a pointer and a constant address are the same",
        r#"(module (memory (export "m") 1) (func (export "f") (param $p i32) (result i32)
          (i32.store (i32.const 100) (i32.const 1))
          (i32.store offset=4 (local.get $p) (i32.const 2))
          (i32.load (i32.const 100))))"#,
        &["f 96 -> 2", "f 92 -> 1", "f -4 -> MemoryOutOfBounds"],
    ),
    linked(
        "two memories are one",
        TWO_MEMORIES,
        r#"(module (import "lib" "m" (memory $a 1 4)) (import "lib" "m" (memory $b 1 4)) (export "m" (memory $a))
          (func (export "f") (result i32 i32)
          (i32.store $a (i32.const 8) (i32.const 1))
          (i32.store $b (i32.const 8) (i32.const 2))
          (i32.load $a (i32.const 8)) (i32.load $b (i32.const 8)))
          (func (export "g") (param $p i32) (result i32 i32)
          (drop (i32.load $a (local.get $p)))
          (i32.store8 $b offset=1 (local.get $p) (i32.const 9))
          (i32.load $a (local.get $p)) (i32.load $b (local.get $p)))
          (func (export "copy") (result i64)
          (memory.copy $a $b (i32.const 1) (i32.const 0) (i32.const 7)) (i64.load $a (i32.const 0)))
          (func (export "grow") (result i32 i32 i32)
          (memory.size $b) (drop (memory.grow $a (i32.const 1))) (memory.size $b) (memory.size $a)))"#,
        &["f -> 2 2", "g 16 -> 0x900 0x900", "copy -> 0x706050403020101", "grow -> 1 2 2"],
    ),
    linked(
        "two globals are one",
        r#"(module (global (export "g") (mut i32) (i32.const 5)))"#,
        r#"(module (import "lib" "g" (global $a (mut i32))) (import "lib" "g" (global $b (mut i32)))
          (global $own (export "own") (mut i32) (i32.const 1))
          (func (export "f") (param i32) (result i32 i32 i32)
          (global.set $a (local.get 0))
          (global.set $b (i32.const 2))
          (global.set $own (i32.const 3))
          (global.get $a) (global.get $b) (global.get $own))
          (func (export "loop") (param $n i32) (result i32) (local $s i32)
          (loop $l
            (local.set $s (i32.add (local.get $s) (global.get $a)))
            (global.set $b (i32.add (global.get $b) (i32.const 1)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s)))"#,
        &["f 9 -> 2 2 3", "loop 4 -> 14"],
    ),
    linked(
        "two tables are one",
        r#"(module (table (export "t") 4 8 funcref))"#,
        r#"(module (import "lib" "t" (table $a 4 8 funcref)) (import "lib" "t" (table $b 4 8 funcref))
          (type $f (func (result i32)))
          (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2)) (elem declare func $one $two)
          (func (export "f") (param i32) (result i32 i32)
          (table.set $a (local.get 0) (ref.func $one))
          (drop (call_indirect $a (type $f) (local.get 0)))
          (table.set $b (local.get 0) (ref.func $two))
          (call_indirect $a (type $f) (local.get 0)) (call_indirect $b (type $f) (local.get 0)))
          (func (export "null") (param i32) (result i32 i32 i32)
          (table.set $a (local.get 0) (ref.null func)) (ref.is_null (table.get $a (local.get 0)))
          (table.set $b (local.get 0) (ref.func $one)) (ref.is_null (table.get $a (local.get 0)))
          (table.set $b (i32.const 3) (ref.null func)) (ref.is_null (table.get $a (local.get 0))))
          (func (export "grow") (result i32 i32)
          (table.size $a) (drop (table.grow $b (ref.null func) (i32.const 1))) (table.size $a))
          (func (export "beyond") (param i32) (result i32)
          (drop (table.grow $b (ref.null func) (i32.const 1)))
          (ref.is_null (table.get $a (local.get 0)))))"#,
        &[
            "f 1 -> 2 2",
            "null 2 -> 1 0 0",
            "null 3 -> 1 0 1",
            "grow -> 4 5",
            "beyond 5 -> 1",
            "f 9 -> TableOutOfBounds",
        ],
    ),
    linked(
        "a call comes between that writes, or grows the memory",
        r#"(module (memory (export "m") 1 4) (global (export "g") (mut i32) (i32.const 0))
          (func (export "write") (i32.store (i32.const 8) (i32.const 77)) (global.set 0 (i32.const 78)))
          (func (export "grow") (drop (memory.grow (i32.const 1)))))"#,
        r#"(module (import "lib" "m" (memory 1 4)) (import "lib" "g" (global $g (mut i32)))
          (import "lib" "write" (func $write)) (import "lib" "grow" (func $grow))
          (func (export "f") (result i32 i32 i32 i32)
          (i32.store (i32.const 8) (i32.const 1)) (global.set $g (i32.const 2))
          (i32.load (i32.const 8)) (global.get $g) (call $write) (i32.load (i32.const 8)) (global.get $g))
          (func (export "size") (result i32 i32) (memory.size) (call $grow) (memory.size))
          (func (export "beyond") (param $p i32) (result i32)
          (i32.store (i32.const 0) (i32.const 3))
          (call $grow) (i32.store (local.get $p) (i32.const 5)) (i32.add (i32.load (local.get $p)) (i32.load (i32.const 0)))))"#,
        &["f -> 1 2 77 78", "size -> 1 2", "beyond 131072 -> 8", "beyond 262144 -> MemoryOutOfBounds"],
    ),
    case(
        "a bulk operation comes between",
        r#"(module (memory (export "m") 1) (data $d "\21\22\23\24")
          (func (export "fill") (param $n i32) (result i32)
          (i32.store (i32.const 8) (i32.const 1)) (memory.fill (i32.const 0) (i32.const 7) (local.get $n)) (i32.load (i32.const 8)))
          (func (export "short") (result i32)
          (i32.store (i32.const 8) (i32.const 1)) (memory.fill (i32.const 9) (i32.const 7) (i32.const 2)) (i32.load (i32.const 8)))
          (func (export "copy") (param $n i32) (result i32)
          (i32.store (i32.const 8) (i32.const 1)) (i32.store (i32.const 16) (i32.const 2))
          (memory.copy (i32.const 8) (i32.const 16) (local.get $n)) (i32.load (i32.const 8)))
          (func (export "init") (result i32)
          (i32.store (i32.const 8) (i32.const 1)) (memory.init $d (i32.const 8) (i32.const 0) (i32.const 4)) (i32.load (i32.const 8))))"#,
        &["fill 9 -> 7", "fill 8 -> 1", "short -> 0x70701", "copy 1 -> 2", "copy 0 -> 1", "init -> 0x24232221"],
    ),
    case(
        "one of the ways that meet has written",
        r#"(module (memory (export "m") 1) (global $g (mut i32) (i32.const 0))
          (func (export "f") (param $p i32) (param $c i32) (result i32 i32)
          (i32.store (local.get $p) (i32.const 1)) (global.set $g (i32.const 3))
          (if (local.get $c) (then (i32.store (local.get $p) (i32.const 2)) (global.set $g (i32.const 4))))
          (i32.load (local.get $p)) (global.get $g))
          (func (export "known") (param $p i32) (param $c i32) (result i32)
          (if (local.get $c) (then (drop (i32.load offset=70000 (local.get $p)))))
          (i32.load offset=70000 (local.get $p)))
          (func (export "out") (param $p i32) (param $c i32) (result i32)
          (i32.store (local.get $p) (i32.const 1))
          (block $b (br_table 0 $b 0 (local.get $c)) (unreachable))
          (block $b (br_if $b (local.get $c)) (i32.store (local.get $p) (i32.const 9)))
          (i32.load (local.get $p))))"#,
        &[
            "f 8 0 -> 1 3",
            "f 8 1 -> 2 4",
            "known 0 0 -> MemoryOutOfBounds",
            "known 0 1 -> MemoryOutOfBounds",
            "out 8 0 -> 9",
            "out 8 5 -> 1",
        ],
    ),
    case(
        "a later iteration has written",
        r#"(module (memory (export "m") 1) (func (export "f") (param $p i32) (param $n i32) (result i32) (local $s i32)
          (i32.store (local.get $p) (i32.const 1))
          (loop $l
            (local.set $s (i32.add (local.get $s) (i32.load (local.get $p))))
            (i32.store (local.get $p) (i32.add (local.get $n) (i32.load (local.get $p))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s))
          (func (export "inner") (param $p i32) (param $n i32) (result i32) (local $s i32) (local $i i32)
          (i32.store (local.get $p) (i32.const 1))
          (loop $l
            (local.set $s (i32.add (local.get $s) (i32.load (local.get $p))))
            (local.set $i (i32.const 2))
            (loop $k
              (i32.store (local.get $p) (i32.add (local.get $i) (i32.load (local.get $p))))
              (br_if $k (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s)))"#,
        &["f 8 3 -> 11", "inner 8 3 -> 12"],
    ),
    case(
        "what is caught has written before it was thrown",
        r#"(module (memory (export "m") 1) (tag $e) (global $g (mut i32) (i32.const 0))
          (func $thrower (param i32) (i32.store (i32.const 8) (i32.const 5)) (global.set $g (i32.const 6))
            (if (local.get 0) (then (throw $e))))
          (func (export "f") (param i32) (result i32 i32)
          (i32.store (i32.const 8) (i32.const 1)) (global.set $g (i32.const 2))
          (block $h (try_table (catch $e $h) (call $thrower (local.get 0)) (i32.store (i32.const 8) (i32.const 10))))
          (i32.load (i32.const 8)) (global.get $g))
          (func (export "legacy") (param i32) (result i32 i32)
          (i32.store (i32.const 8) (i32.const 1)) (global.set $g (i32.const 2))
          try (call $thrower (local.get 0)) (i32.store (i32.const 8) (i32.const 10)) catch_all end
          (i32.load (i32.const 8)) (global.get $g)))"#,
        &["f 0 -> 10 6", "f 1 -> 5 6", "legacy 0 -> 10 6", "legacy 1 -> 5 6"],
    ),
    case(
        "memory that grows may move",
        r#"(module (memory (export "m") 1) (memory $n i64 1) (func (export "f") (param $p i32) (result i32 i32 i64)
          (i32.store (i32.const 8) (i32.const 1)) (i32.store $n (i64.const 8) (i32.const 4))
          (drop (memory.grow (i32.const 3))) (drop (memory.grow $n (i64.const 3)))
          (i32.store (i32.const 8) (i32.const 2)) (i32.store $n (i64.const 8) (i32.const 5))
          (i32.load (local.get $p)) (i32.load $n (i64.extend_i32_u (local.get $p))) (memory.size $n)))"#,
        &["f 8 -> 2 5 4"],
    ),
    case(
        "the same place under another base wraps around",
        r#"(module (memory (export "m") 1) (func (export "f") (param $p i32) (result i32 i32)
          (i32.load (i32.add (local.get $p) (i32.const 16)))
          (i32.load offset=16 (local.get $p)))
          (func (export "g") (param $p i32) (result i32)
          (i32.store (i32.add (local.get $p) (i32.const 96)) (i32.const 3))
          (i32.load offset=8 (i32.add (local.get $p) (i32.const 88))))
          (func (export "h") (param $p i32) (result i32)
          (i32.store offset=104 (local.get $p) (i32.const 3))
          (i32.load offset=8 (i32.add (local.get $p) (i32.const 96))))
          (func (export "down") (param $p i32) (result i32)
          (i32.store (local.get $p) (i32.const 4))
          (i32.load offset=16 (i32.sub (local.get $p) (i32.const 16))))
          (data (i32.const 8) "\07"))"#,
        &[
            "f 0 -> 0 0",
            "f -8 -> MemoryOutOfBounds",
            "f -16 -> MemoryOutOfBounds",
            "g -90 -> MemoryOutOfBounds",
            "g -92 -> MemoryOutOfBounds",
            "g 0 -> 3",
            "h 0 -> 3",
            "h -100 -> MemoryOutOfBounds",
            "down 16 -> 4",
            "down 12 -> MemoryOutOfBounds",
        ],
    ),
    case(
        "two references are of one object",
        r#"(module (type $s (struct (field $a (mut i32)) (field $b (mut i64)) (field $c (mut i8))))
          (type $t (sub (struct (field $a (mut i32)))))
          (type $u (sub $t (struct (field $a (mut i32)) (field $b (mut i32)))))
          (type $v (array (mut i8))) (type $w (array (mut i32)))
          (func $both (param $x (ref $s)) (param $y (ref $s)) (result i32)
          (struct.set $s $a (local.get $x) (i32.const 1)) (struct.set $s $a (local.get $y) (i32.const 2))
          (struct.set $s $c (local.get $x) (i32.const 0x1f3))
          (i32.add (struct.get $s $a (local.get $x)) (struct.get_s $s $c (local.get $y))))
          (func (export "one") (result i32) (local $x (ref null $s))
          (local.set $x (struct.new_default $s))
          (call $both (ref.as_non_null (local.get $x)) (ref.as_non_null (local.get $x))))
          (func (export "two") (result i32) (call $both (struct.new_default $s) (struct.new_default $s)))
          (func $up (param $x (ref $t)) (param $y (ref $u)) (result i32)
          (struct.set $u $a (local.get $y) (i32.const 5)) (struct.set $t $a (local.get $x) (i32.const 6))
          (struct.get $u $a (local.get $y)))
          (func (export "up") (result i32) (local $x (ref null $u))
          (local.set $x (struct.new_default $u))
          (call $up (ref.as_non_null (local.get $x)) (ref.as_non_null (local.get $x))))
          (func $cells (param $x (ref $w)) (param $y (ref $w)) (param $i i32) (param $j i32) (result i32)
          (array.set $w (local.get $x) (local.get $i) (i32.const 1))
          (array.set $w (local.get $y) (local.get $j) (i32.const 2))
          (array.set $w (local.get $y) (i32.const 3) (i32.const 4))
          (array.get $w (local.get $x) (local.get $i)))
          (func (export "cells") (param $i i32) (param $j i32) (result i32) (local $x (ref null $w))
          (local.set $x (array.new_default $w (i32.const 5)))
          (call $cells (ref.as_non_null (local.get $x)) (ref.as_non_null (local.get $x)) (local.get $i) (local.get $j)))
          (func (export "fresh") (param $n i32) (result i32) (local $x (ref null $w)) (local $s i32)
          (loop $l
            (local.set $x (array.new $w (local.get $n) (i32.const 3)))
            (local.set $s (i32.add (local.get $s) (array.get $w (local.get $x) (i32.const 1))))
            (array.set $w (local.get $x) (i32.const 1) (i32.const 100))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $s))
          (func (export "bytes") (param $v i32) (result i32 i32) (local $x (ref null $v))
          (local.set $x (array.new_fixed $v 2 (local.get $v) (i32.const 0x180)))
          (i32.add (array.get_s $v (local.get $x) (i32.const 0)) (array.get_u $v (local.get $x) (i32.const 0)))
          (array.get_s $v (local.get $x) (i32.const 1))))"#,
        &[
            "one -> 0xfffffff5",
            "two -> 1",
            "up -> 6",
            "cells 0 1 -> 1",
            "cells 1 1 -> 2",
            "cells 3 1 -> 4",
            "fresh 4 -> 10",
            "bytes 0x1ff -> 0xfe 0xffffff80",
        ],
    ),
    case(
        "a check that has passed was of another index, limit or memory",
        r#"(module (memory (export "m") 1) (memory $n 2) (func (export "f") (param $p i32) (result i32)
          (drop (i32.load8_u (local.get $p))) (i32.load (local.get $p)))
          (func (export "g") (param $p i32) (result i32)
          (drop (i32.load $n (local.get $p))) (i32.load (local.get $p)))
          (func (export "h") (param $p i32) (result i32)
          (drop (i32.load offset=4 (local.get $p))) (i32.load offset=65532 (local.get $p)))
          (func (export "k") (param $p i32) (param $q i32) (result i32)
          (drop (i32.div_u (i32.const 8) (local.get $p))) (i32.div_u (i32.const 8) (local.get $q))))"#,
        &[
            "f 65532 -> 0",
            "f 65533 -> MemoryOutOfBounds",
            "g 65533 -> MemoryOutOfBounds",
            "g 65532 -> 0",
            "h 0 -> 0",
            "h 1 -> MemoryOutOfBounds",
            "k 1 0 -> IntegerDivideByZero",
            "k 0 1 -> IntegerDivideByZero",
            "k 1 4 -> 2",
        ],
    ),
];

const ADDRESSES: &[Case] = &[
    case(
        "an index and its constant addend wrap around",
        r#"(module (memory (export "m") 1) (data (i32.const 4) "\01\02\03\04\05\06\07\08\09\0a\0b\0c")
          (func (export "add") (param $p i32) (result i32) (i32.load offset=4 (i32.add (local.get $p) (i32.const 8))))
          (func (export "narrow") (param $p i32) (result i32)
          (i32.load offset=4 (i32.add (i32.and (local.get $p) (i32.const 0xff)) (i32.const 8))))
          (func (export "most") (param $p i32) (result i32)
          (i32.load (i32.add (i32.and (local.get $p) (i32.const 0xff)) (i32.const -8))))
          (func (export "or") (param $p i32) (result i32) (i32.load (i32.or (local.get $p) (i32.const 4))))
          (func (export "even") (param $p i32) (result i32)
          (i32.load offset=1 (i32.or (i32.shl (local.get $p) (i32.const 3)) (i32.const 4))))
          (func (export "top") (param $p i32) (result i32)
          (i32.load (i32.or (i32.shl (local.get $p) (i32.const 3)) (i32.const 0x80000004))))
          (func (export "scaled") (param $p i32) (param $q i32) (result i32)
          (i32.load offset=4 (i32.add (local.get $q) (i32.shl (local.get $p) (i32.const 2)))))
          (func (export "shl") (param $p i32) (result i32) (i32.load (i32.shl (local.get $p) (i32.const 2)))))"#,
        &[
            "add -8 -> 0x4030201",
            "add -4 -> 0x8070605",
            "add -12 -> MemoryOutOfBounds",
            "narrow 0x100 -> 0xc0b0a09",
            "most 0xc -> 0x4030201",
            "most 4 -> MemoryOutOfBounds",
            "or 4 -> 0x4030201",
            "or 3 -> 0x7060504",
            "even 0 -> 0x5040302",
            "even 1 -> 0xc0b0a",
            "top 0 -> MemoryOutOfBounds",
            "top 0x10000000 -> MemoryOutOfBounds",
            "scaled 0x40000001 0 -> 0x8070605",
            "scaled 1 -4 -> 0x4030201",
            "scaled 0 -4 -> MemoryOutOfBounds",
            "shl 0x40000001 -> 0x4030201",
        ],
    ),
    case(
        "a constant index and an offset go beyond 2^31 and 2^32",
        r#"(module (memory (export "m") 1)
          (func (export "a") (result i32) (i32.load offset=0x7fffffff (i32.const 1)))
          (func (export "b") (result i32) (i32.load offset=0x80000000 (i32.const 0)))
          (func (export "c") (result i32) (i32.load offset=0xffffffff (i32.const 1)))
          (func (export "d") (result i32) (i32.load offset=8 (i32.const -8)))
          (func (export "e") (result i32) (i32.load8_u offset=0xffffffff (i32.const -1)))
          (func (export "s") (i32.store offset=8 (i32.const -8) (i32.const 1)))
          (func (export "g") (param $p i32) (result i32) (i32.load offset=0xfffffff8 (local.get $p)))
          (func (export "h") (param $p i32) (result i32) (i32.load offset=0x7ffffff8 (i32.add (local.get $p) (i32.const 8))))
          (func (export "x") (param $p i32) (result i32) (i32.atomic.load offset=0xfffffff8 (local.get $p))))"#,
        &[
            "a -> MemoryOutOfBounds",
            "b -> MemoryOutOfBounds",
            "c -> MemoryOutOfBounds",
            "d -> MemoryOutOfBounds",
            "e -> MemoryOutOfBounds",
            "s -> MemoryOutOfBounds",
            "g 8 -> MemoryOutOfBounds",
            "g 0 -> MemoryOutOfBounds",
            "h -8 -> MemoryOutOfBounds",
            "h 0x80000000 -> MemoryOutOfBounds",
            "x 8 -> MemoryOutOfBounds",
        ],
    ),
    case(
        "a copy of known length overlaps, or ends behind the memory",
        r#"(module (memory (export "m") 1) (data (i32.const 0) "\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\10\11\12\13\14")
          (func (export "up") (result i64) (memory.copy (i32.const 3) (i32.const 0) (i32.const 19)) (i64.load (i32.const 14)))
          (func (export "down") (result i64) (memory.copy (i32.const 0) (i32.const 3) (i32.const 19)) (i64.load (i32.const 8)))
          (func (export "to") (param i32) (memory.copy (local.get 0) (i32.const 0) (i32.const 7)))
          (func (export "from") (param i32) (memory.copy (i32.const 0) (local.get 0) (i32.const 21)))
          (func (export "none") (param i32) (memory.copy (local.get 0) (i32.const 0) (i32.const 0)))
          (func (export "long") (param i32) (memory.copy (local.get 0) (i32.const 0) (i32.const 65)))
          (func (export "fill") (param i32 i32) (result i32)
          (memory.fill (local.get 0) (local.get 1) (i32.const 13)) (i32.load (local.get 0)))
          (func (export "fill0") (param i32) (memory.fill (local.get 0) (i32.const 1) (i32.const 0)))
          (func (export "fill64") (param i32) (memory.fill (local.get 0) (i32.const 1) (i32.const 64))))"#,
        &[
            "up -> 0x131211100f0e0d0c",
            "down -> 0x100f0e0d0c0b0a09",
            "to 65529 ->",
            "to 65530 -> MemoryOutOfBounds",
            "to -3 -> MemoryOutOfBounds",
            "from 65515 ->",
            "from 65516 -> MemoryOutOfBounds",
            "from -1 -> MemoryOutOfBounds",
            "none 65536 ->",
            "none 65537 -> MemoryOutOfBounds",
            "long 65471 ->",
            "long 65472 -> MemoryOutOfBounds",
            "fill 8 0x1fe -> 0xfefefefe",
            "fill 65523 0x80 -> 0x80808080",
            "fill 65524 1 -> MemoryOutOfBounds",
            "fill0 65536 ->",
            "fill0 -1 -> MemoryOutOfBounds",
            "fill64 65472 ->",
            "fill64 65473 -> MemoryOutOfBounds",
        ],
    ),
    case(
        "an index of 64 bits and its offset wrap around",
        r#"(module (memory (export "m") i64 1 2) (data (i64.const 0) "\01\02\03\04")
          (func (export "f") (param $p i64) (result i32) (i32.load offset=0x10 (local.get $p)))
          (func (export "g") (param $p i64) (result i32) (i32.load offset=0xffffffffffffffff (local.get $p)))
          (func (export "h") (param $p i64) (result i32) (i32.load (i64.add (local.get $p) (i64.const 0x100000000))))
          (func (export "k") (param $p i64) (result i32) (i32.load8_u offset=0xfffffffffffffff0 (local.get $p)))
          (func (export "x") (param $p i64) (result i32) (i32.atomic.load offset=0x10 (local.get $p)))
          (func (export "c") (result i32) (i32.load offset=4 (i64.const -4)))
          (func (export "s") (param $p i64) (i64.store offset=8 (local.get $p) (i64.const 1)))
          (func (export "fill") (param $p i64) (param $n i64) (memory.fill (local.get $p) (i32.const 7) (local.get $n))))"#,
        &[
            "f -16 -> MemoryOutOfBounds",
            "f 0 -> 0",
            "f 0x100000000 -> MemoryOutOfBounds",
            "g 1 -> MemoryOutOfBounds",
            "g 0 -> MemoryOutOfBounds",
            "h 0 -> MemoryOutOfBounds",
            "h 0xffffffff00000000 -> 0x4030201",
            "k 16 -> MemoryOutOfBounds",
            "x -16 -> MemoryOutOfBounds",
            "x 0 -> 0",
            "c -> MemoryOutOfBounds",
            "s 65520 ->",
            "s 65521 -> MemoryOutOfBounds",
            "s -8 -> MemoryOutOfBounds",
            "fill 65535 1 ->",
            "fill 65535 2 -> MemoryOutOfBounds",
            "fill -1 2 -> MemoryOutOfBounds",
            "fill 0x100000000 0 -> MemoryOutOfBounds",
        ],
    ),
    case(
        "the memory's length cannot change, or may",
        r#"(module (memory (export "m") 2 2) (memory $n (export "n") 1 3)
          (func (export "f") (param $p i32) (result i32) (i32.load $n offset=65532 (local.get $p)))
          (func (export "g") (result i32 i32) (memory.grow (i32.const 1)) (memory.size))
          (func (export "h") (param $p i32) (result i32 i32)
          (memory.size $n) (drop (memory.grow $n (local.get $p))) (memory.size $n))
          (func (export "k") (param $p i32) (result i32) (i32.load (local.get $p))))"#,
        &[
            "f 0 -> 0",
            "f 4 -> MemoryOutOfBounds",
            "g -> 0xffffffff 2",
            "h 1 -> 1 2",
            "f 4 -> 0",
            "h 7 -> 2 2",
            "k 131068 -> 0",
            "k 131069 -> MemoryOutOfBounds",
        ],
    ),
    case(
        "the alignment of an atomic access is checked before its bounds",
        r#"(module (memory (export "m") 1) (func (export "f") (param $p i32) (result i32) (i32.atomic.load offset=2 (local.get $p)))
          (func (export "g") (param $p i32) (result i64) (i64.atomic.rmw16.add_u offset=1 (local.get $p) (i64.const 0x1ffff)))
          (func (export "h") (param $p i32) (result i32) (i32.atomic.rmw8.cmpxchg_u (local.get $p) (i32.const 0x100) (i32.const 0x2ff))))"#,
        &[
            "f 2 -> 0",
            "f 1 -> UnalignedAtomic",
            "f 65534 -> MemoryOutOfBounds",
            "f 65535 -> UnalignedAtomic",
            "f -2 -> MemoryOutOfBounds",
            "g 7 -> 0",
            "g 7 -> 0xffff",
            "g 8 -> UnalignedAtomic",
            "h 100 -> 0",
            "h 100 -> 0xff",
            "h 65536 -> MemoryOutOfBounds",
        ],
    ),
];

#[test]
fn what_is_known_of_memory_is_forgotten_in_time() {
    check(KNOWN);
}

#[test]
fn addresses_are_put_together_only_where_nothing_wraps() {
    check(ADDRESSES);
}
