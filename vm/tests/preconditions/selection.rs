//! Selection of instructions (`jit/src/x64/{lower,memory,carry,float,simd}.rs`): loads in the place of operands, operations on memory, flags
//! that are set already; and copies of what leads to a table of branches (`dispatch.rs`).

use super::{Case, case, check};

const FOLDED: &[Case] = &[
    case(
        "a load reads more, or less, than the operand it becomes",
        r#"(module (memory (export "m") 1) (data (i32.const 65528) "\01\82\03\84\05\86\07\88")
          (func (export "wrap") (param i32) (result i32) (i32.wrap_i64 (i64.load (local.get 0))))
          (func (export "byte") (param i32) (result i32) (i32.eq (i32.load8_u (local.get 0)) (i32.const 0x88)))
          (func (export "signed") (param i32) (result i32 i32) (i32.lt_s (i32.load8_s (local.get 0)) (i32.const 5)) (i32.lt_s (i32.load8_u (local.get 0)) (i32.const 5)))
          (func (export "beyond") (param i32) (result i32 i32) (i32.lt_u (i32.load8_u (local.get 0)) (i32.const 256)) (i32.gt_s (i32.load8_u (local.get 0)) (i32.const -1)))
          (func (export "half") (param i32) (result i32) (i32.eq (i32.load16_u (local.get 0)) (i32.const 0x8807)))
          (func (export "bit") (param i32) (result i32) (if (result i32) (i32.and (i32.load8_u (local.get 0)) (i32.const 0x80)) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "bits") (param i32) (result i32) (if (result i32) (i64.eqz (i64.and (i64.load (local.get 0)) (i64.const 0x8000000000000000))) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "truth") (param i32) (result i32) (if (result i32) (i32.load8_s (local.get 0)) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "truth16") (param i32) (result i32) (if (result i32) (i32.load16_u (local.get 0)) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "extend") (param i32) (result i32 i64 i64) (i32.extend8_s (i32.load8_u (local.get 0))) (i64.extend8_s (i64.load8_u (local.get 0))) (i64.extend_i32_s (i32.load8_s (local.get 0))))
          (func (export "extend16") (param i32) (result i32) (i32.extend8_s (i32.load16_u (local.get 0))))
          (func (export "mul") (param i32) (result i32) (i32.mul (i32.load (local.get 0)) (i32.const 5)))
          (func (export "sum") (param i32 i64) (result i64) (i64.add (local.get 1) (i64.load32_u (local.get 0))))
          (func (export "float") (param i32) (result f64) (f64.convert_i32_s (i32.load (local.get 0))))
          (func (export "promote") (param i32) (result f64) (f64.promote_f32 (f32.load (local.get 0))))
          (func (export "fadd") (param i32 f32) (result f32) (f32.add (local.get 1) (f32.load (local.get 0))))
          (func (export "sqrt") (param i32) (result f64) (f64.sqrt (f64.load (local.get 0))))
          (func (export "neg") (param i32) (result f32) (f32.neg (f32.load (local.get 0))))
          (func (export "shift") (param i32) (result i64) (i64.shr_u (i64.load (local.get 0)) (i64.const 4)))
          (func (export "by") (param i32 i64) (result i64) (i64.shl (local.get 1) (i64.load8_u (local.get 0)))))"#,
        &[
            "wrap 65528 -> 0x84038201",
            "wrap 65529 -> MemoryOutOfBounds",
            "wrap 65532 -> MemoryOutOfBounds",
            "byte 65535 -> 1",
            "byte 65534 -> 0",
            "byte 65536 -> MemoryOutOfBounds",
            "signed 65535 -> 1 0",
            "signed 65530 -> 1 1",
            "beyond 65535 -> 1 1",
            "half 65534 -> 1",
            "half 65535 -> MemoryOutOfBounds",
            "bit 65535 -> 1",
            "bit 65534 -> 2",
            "bits 65528 -> 2",
            "bits 65521 -> 1",
            "bits 65529 -> MemoryOutOfBounds",
            "truth 65535 -> 1",
            "truth 65520 -> 2",
            "truth16 65534 -> 1",
            "truth16 65535 -> MemoryOutOfBounds",
            "extend 65535 -> 0xffffff88 0xffffffffffffff88 0xffffffffffffff88",
            "extend16 65534 -> 7",
            "extend16 65535 -> MemoryOutOfBounds",
            "mul 65532 -> 0xa8259e19",
            "mul 65533 -> MemoryOutOfBounds",
            "sum 65532 0x100000000 -> 0x188078605",
            "float 65532 -> 0xc1ddfe1e7ec00000",
            "float 65533 -> MemoryOutOfBounds",
            "promote 65532 -> 0xb900f0c0a0000000",
            "fadd 65532 0 -> 0x88078605",
            "fadd 65533 0 -> MemoryOutOfBounds",
            "sqrt 65520 -> 0",
            "sqrt 65529 -> MemoryOutOfBounds",
            "neg 65532 -> 0x8078605",
            "neg 65533 -> MemoryOutOfBounds",
            "shift 65528 -> 0x880786058403820",
            "by 65535 1 -> 0x100",
            "by 65530 1 -> 8",
        ],
    ),
    case(
        "a vector's load reads more than what is looked at",
        r#"(module (memory (export "m") 1) (data (i32.const 65520) "\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f\90")
          (func (export "low") (param i32) (result v128) (i16x8.extend_low_i8x16_s (v128.load (local.get 0))))
          (func (export "zero") (param i32) (result v128) (v128.load64_zero (local.get 0)))
          (func (export "promote") (param i32) (result v128) (f64x2.promote_low_f32x4 (v128.load (local.get 0))))
          (func (export "splat8") (param i32) (result v128) (i8x16.splat (i32.load8_u (local.get 0))))
          (func (export "splat16") (param i32) (result v128) (i16x8.splat (i32.load8_u (local.get 0))))
          (func (export "splat") (param i32) (result v128) (f32x4.splat (f32.load (local.get 0))))
          (func (export "splatd") (param i32) (result v128) (f64x2.splat (f64.load (local.get 0))))
          (func (export "lane") (param i32) (result v128) (i16x8.replace_lane 3 (v128.const i64x2 0 0) (i32.load16_s (local.get 0))))
          (func (export "lanef") (param i32) (result v128) (f32x4.replace_lane 3 (v128.const i64x2 0 0) (f32.load (local.get 0))))
          (func (export "laned") (param i32) (result v128) (f64x2.replace_lane 0 (v128.const i64x2 1 2) (f64.load (local.get 0))))
          (func (export "extract") (param i32) (result i32) (i32x4.extract_lane 3 (v128.load (local.get 0))))
          (func (export "add") (param i32) (result v128) (i32x4.add (v128.load (local.get 0)) (v128.load (local.get 0))))
          (func (export "store") (param i32 v128) (i32.store8 (local.get 0) (i8x16.extract_lane_s 15 (local.get 1))))
          (func (export "store16") (param i32 v128) (i32.store16 (local.get 0) (i32x4.extract_lane 3 (local.get 1))))
          (func (export "stored") (param i32 v128) (i32.store (local.get 0) (i8x16.extract_lane_s 15 (local.get 1))))
          (func (export "shuffle") (param i32 v128) (result v128) (i8x16.shuffle 0 1 2 3 20 21 22 23 8 9 10 11 28 29 30 31 (local.get 1) (v128.load (local.get 0)))))"#,
        &[
            "low 65520 -> 0x80007000600050004000300020001",
            "low 65521 -> MemoryOutOfBounds",
            "zero 65528 -> 0x900f0e0d0c0b0a09",
            "zero 65529 -> MemoryOutOfBounds",
            "promote 65521 -> MemoryOutOfBounds",
            "splat8 65535 -> 0x90909090909090909090909090909090",
            "splat16 65535 -> 0x900090009000900090009000900090",
            "splat 65532 -> 0x900f0e0d900f0e0d900f0e0d900f0e0d",
            "splat 65533 -> MemoryOutOfBounds",
            "splatd 65529 -> MemoryOutOfBounds",
            "lane 65534 -> 0x900f000000000000",
            "lane 65535 -> MemoryOutOfBounds",
            "lanef 65532 -> 0x900f0e0d000000000000000000000000",
            "lanef 65533 -> MemoryOutOfBounds",
            "laned 65528 -> 0x2900f0e0d0c0b0a09",
            "laned 65529 -> MemoryOutOfBounds",
            "extract 65520 -> 0x900f0e0d",
            "extract 65521 -> MemoryOutOfBounds",
            "add 65521 -> MemoryOutOfBounds",
            "store 65535 0x80000000000000000000000000000000 ->",
            "store16 65534 0x1234567800000000000000000000000 ->",
            "stored 65533 0 -> MemoryOutOfBounds",
            "stored 65532 0x80000000000000000000000000000000 ->",
            "shuffle 65521 0 -> MemoryOutOfBounds",
        ],
    ),
    case(
        "something happens between a load and its use",
        r#"(module (memory (export "m") 1) (global $g (mut i32) (i32.const 0))
          (func $effect (i32.store (i32.const 8) (i32.const 99)))
          (func (export "store") (param i32 i32) (result i32) (local i32)
            (i32.store (i32.const 8) (i32.const 5)) (drop (i32.load (i32.const 12)))
            (local.set 2 (i32.load (local.get 0))) (i32.store (i32.const 8) (i32.const 7)) (i32.add (local.get 1) (local.get 2)))
          (func (export "call") (param i32 i32) (result i32) (local i32)
            (i32.store (i32.const 8) (i32.const 5)) (local.set 2 (i32.load (local.get 0))) (call $effect) (i32.add (local.get 1) (local.get 2)))
          (func (export "global") (param i32 i32) (result i32) (local i32)
            (global.set $g (local.get 0)) (local.set 2 (global.get $g)) (global.set $g (i32.const 3)) (i32.sub (local.get 1) (local.get 2)))
          (func (export "trap") (param i32 i32) (result i32) (local i32)
            (local.set 2 (i32.load (local.get 0))) (drop (i32.div_u (i32.const 1) (local.get 1))) (i32.add (local.get 1) (local.get 2)))
          (func (export "fill") (param i32 i32) (result i32) (local i32)
            (i32.store (i32.const 8) (i32.const 5)) (local.set 2 (i32.load (local.get 0))) (memory.fill (i32.const 8) (i32.const 1) (local.get 1)) (i32.add (local.get 1) (local.get 2)))
          (func (export "order") (param i32 i32) (result i32) (i32.sub (i32.load (local.get 0)) (i32.load offset=4 (local.get 1))))
          (func (export "arm") (param i32 i32) (result i32) (local i32)
            (local.set 2 (i32.load (local.get 0))) (if (local.get 1) (then (local.set 1 (i32.add (local.get 1) (local.get 2))))) (local.get 1)))"#,
        &[
            "store 8 1 -> 6",
            "call 8 1 -> 6",
            "global 8 1 -> 0xfffffff9",
            "trap 65536 0 -> MemoryOutOfBounds",
            "trap 0 0 -> IntegerDivideByZero",
            "fill 8 4 -> 9",
            "order 65536 65536 -> MemoryOutOfBounds",
            "order 0 65530 -> MemoryOutOfBounds",
            "arm 65536 0 -> MemoryOutOfBounds",
        ],
    ),
    case(
        "nobody needs what is read or computed, but it traps",
        r#"(module (memory (export "m") 1) (memory $n 1) (global $g (export "g") (mut i32) (i32.const 0))
          (func (export "load") (param i32) (drop (i32.load (local.get 0))))
          (func (export "other") (param i32) (drop (i32.load $n (local.get 0))))
          (func (export "vector") (param i32) (drop (i32x4.add (v128.load (local.get 0)) (v128.const i64x2 0 0))))
          (func (export "trunc") (param f64) (drop (i64.trunc_f64_u (local.get 0))))
          (func (export "masked") (param i32) (result i32) (i32.and (i32.load (local.get 0)) (i32.const 0)))
          (func (export "zero") (param i32) (result i32) (i32.mul (i32.load8_u (local.get 0)) (i32.const 0)))
          (func (export "select") (param i32) (result i32) (select (i32.const 1) (i32.const 1) (i32.load (local.get 0))))
          (func (export "before") (param i32) (global.set $g (i32.const 1)) (drop (i32.load (local.get 0))) (global.set $g (i32.const 2)))
          (func (export "local") (param i32) (local i32) (loop $l (local.set 1 (i32.load (local.get 0))) (br_if $l (i32.const 0)))))"#,
        &[
            "load 65532 ->",
            "load 65533 -> MemoryOutOfBounds",
            "other 65533 -> MemoryOutOfBounds",
            "vector 65521 -> MemoryOutOfBounds",
            "trunc 0xbff0000000000000 -> IntegerOverflow",
            "trunc 0 ->",
            "masked 65533 -> MemoryOutOfBounds",
            "masked 0 -> 0",
            "zero 65536 -> MemoryOutOfBounds",
            "select -1 -> MemoryOutOfBounds",
            "before -1 -> MemoryOutOfBounds",
            "local 65536 -> MemoryOutOfBounds",
        ],
    ),
    case(
        "memory is operated on by what only looks like itself",
        r#"(module (memory (export "m") 1)
          (func (export "add") (param i32 i32) (result i32) (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (local.get 1))) (i32.load (local.get 0)))
          (func (export "offset") (param i32 i32) (result i32 i32) (i32.store offset=4 (local.get 0) (i32.add (i32.load (local.get 0)) (local.get 1))) (i32.load (local.get 0)) (i32.load offset=4 (local.get 0)))
          (func (export "reversed") (param i32 i32) (result i32) (i32.store (local.get 0) (i32.sub (local.get 1) (i32.load (local.get 0)))) (i32.load (local.get 0)))
          (func (export "narrow") (param i32 i32) (result i32) (i32.store8 (local.get 0) (i32.add (i32.load8_u (local.get 0)) (local.get 1))) (i32.load (local.get 0)))
          (func (export "wider") (param i32 i32) (result i64) (i64.store (local.get 0) (i64.add (i64.load32_u (local.get 0)) (i64.const 1))) (i64.load (local.get 0)))
          (func (export "used") (param i32 i32) (result i32) (local i32) (i32.store (local.get 0) (i32.xor (local.tee 2 (i32.load (local.get 0))) (local.get 1))) (i32.add (local.get 2) (i32.load (local.get 0))))
          (func (export "both") (param i32 i32) (result i32) (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.load (local.get 0)))) (i32.load (local.get 0)))
          (func (export "between") (param i32 i32) (result i32) (local i32)
            (local.set 2 (i32.load (local.get 0))) (i32.store (local.get 1) (i32.const 50)) (i32.store (local.get 0) (i32.or (local.get 2) (i32.const 1))) (i32.load (local.get 0)))
          (func (export "value") (param i32 i32) (result i32) (local i32) (i32.store (local.get 0) (local.tee 2 (i32.and (i32.load (local.get 0)) (local.get 1)))) (local.get 2))
          (func (export "float") (param i32) (result i32) (f32.store (local.get 0) (f32.neg (f32.load (local.get 0)))) (i32.load (local.get 0)))
          (func (export "const") (param i32 i32) (result i64) (i64.store (local.get 0) (i64.add (i64.load (local.get 0)) (i64.const 0x80000000))) (i64.load (local.get 0))))"#,
        &[
            "add 8 5 -> 5",
            "add 65533 1 -> MemoryOutOfBounds",
            "offset 8 2 -> 5 7",
            "reversed 8 100 -> 95",
            "narrow 8 200 -> 39",
            "wider 8 0 -> 40",
            "used 8 3 -> 83",
            "both 8 0 -> 86",
            "between 8 8 -> 87",
            "value 8 0x52 -> 0x52",
            "float 8 -> 0x80000052",
            "const 8 0 -> 0x100000052",
        ],
    ),
    case(
        "memory is operated on, but elsewhere, the other way round, or in another width",
        r#"(module (memory (export "m") 1) (data (i32.const 8) "\05\86\07\88\09\8a\0b\8c\0d\8e\0f\90")
          (func (export "read") (param i32) (result i64) (i64.load (local.get 0)))
          (func (export "same") (param i32 i32) (i32.store (local.get 0) (i32.sub (i32.load (local.get 0)) (local.get 1))))
          (func (export "offset") (param i32 i32) (i32.store offset=4 (local.get 0) (i32.add (i32.load (local.get 0)) (local.get 1))))
          (func (export "base") (param i32 i32) (i32.store (local.get 1) (i32.xor (i32.load (local.get 0)) (local.get 1))))
          (func (export "reversed") (param i32 i32) (i32.store (local.get 0) (i32.sub (local.get 1) (i32.load (local.get 0)))))
          (func (export "narrow") (param i32 i32) (i32.store8 (local.get 0) (i32.add (i32.load8_u (local.get 0)) (local.get 1))))
          (func (export "signed") (param i32 i32) (i32.store (local.get 0) (i32.add (i32.load16_s (local.get 0)) (local.get 1))))
          (func (export "wider") (param i32 i64) (i64.store (local.get 0) (i64.add (i64.load32_s (local.get 0)) (local.get 1))))
          (func (export "lesser") (param i32 i64) (i32.store (local.get 0) (i32.wrap_i64 (i64.and (i64.load (local.get 0)) (local.get 1)))))
          (func (export "between") (param i32 i32) (local i32)
            (local.set 2 (i32.load (local.get 0))) (i32.store (local.get 1) (i32.const 50)) (i32.store (local.get 0) (i32.or (local.get 2) (i32.const 64))))
          (func (export "extended") (param i32 i64)
            (i32.store (local.get 0) (i32.extend8_s (i32.wrap_i64 (local.get 1)))) (i64.store offset=8 (local.get 0) (i64.extend_i32_s (i32.wrap_i64 (local.get 1))))
            (i32.store16 offset=16 (local.get 0) (i32.and (i32.wrap_i64 (local.get 1)) (i32.const 0xff))) (i64.store offset=24 (local.get 0) (i64.and (local.get 1) (i64.const 0xffff)))
            (i32.store8 offset=32 (local.get 0) (i32.and (i32.wrap_i64 (local.get 1)) (i32.const 0x7f))) (i32.store16 offset=40 (local.get 0) (i32.extend8_s (i32.wrap_i64 (local.get 1))))))"#,
        &[
            "same 8 5 ->",
            "read 8 -> 0x8c0b8a0988078600",
            "offset 8 1 ->",
            "read 8 -> 0x8807860188078600",
            "base 8 12 ->",
            "read 8 -> 0x8807860c88078600",
            "reversed 8 0 ->",
            "read 8 -> 0x8807860c77f87a00",
            "narrow 9 200 ->",
            "read 8 -> 0x8807860c77f84200",
            "signed 10 1 ->",
            "read 8 -> 0x8807000077f94200",
            "wider 8 1 ->",
            "read 8 -> 0x77f94201",
            "lesser 8 0xffff00000000 ->",
            "read 8 -> 0",
            "base 12 8 ->",
            "between 8 8 ->",
            "read 8 -> 0x48",
            "extended 64 0x123456789abcdef0 ->",
            "read 64 -> 0xfffffff0",
            "read 72 -> 0xffffffff9abcdef0",
            "read 80 -> 0xf0",
            "read 88 -> 0xdef0",
            "read 96 -> 0x70",
            "read 104 -> 0xfff0",
        ],
    ),
    case(
        "a comparison is used twice, or its operand changes before the branch",
        r#"(module (memory (export "m") 1)
          (func (export "twice") (param i32 i32) (result i32 i32) (local i32)
            (local.set 2 (i32.lt_s (i32.load (local.get 0)) (local.get 1)))
            (if (local.get 2) (then (i32.store (local.get 0) (i32.const 100))) (else (i32.store (local.get 0) (i32.const -100))))
            (local.get 2) (i32.load (local.get 0)))
          (func (export "step") (param i32 i32) (result i32 i32) (local i32)
            (local.set 2 (i32.eq (local.get 0) (local.get 1))) (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            (if (local.get 2) (then (local.set 0 (i32.mul (local.get 0) (i32.const 10))))) (local.get 0) (local.get 2))
          (func (export "many") (param i32 i32) (result i32) (local $s i32) (local $p i32)
            (loop $l
              (local.set $p (local.get 0)) (local.set 0 (i32.add (local.get 0) (i32.const 4)))
              (local.set $s (i32.add (local.get $s) (i32.load (local.get $p))))
              (br_if $l (i32.ne (local.get $p) (local.get 1))))
            (i32.add (local.get $s) (local.get 0)))
          (func (export "sign") (param i32 i32) (result i32 i32 i32)
            (i32.lt_s (i32.sub (local.get 0) (local.get 1)) (i32.const 0)) (i32.eqz (i32.sub (local.get 0) (local.get 1)))
            (if (result i32) (i32.gt_s (i32.add (local.get 0) (local.get 1)) (i32.const 0)) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "mask") (param i64 i64) (result i32 i32 i32)
            (i64.ne (i64.and (local.get 0) (i64.shl (i64.const 1) (local.get 1))) (i64.const 0)) (i64.eqz (i64.and (local.get 0) (i64.const 0x80000000)))
            (i32.eqz (i32.and (i32.wrap_i64 (local.get 0)) (i32.shl (i32.const 1) (i32.wrap_i64 (local.get 1))))))
          (func (export "andn") (param i32 i32) (result i32 i32) (i32.and (local.get 0) (i32.xor (local.get 1) (i32.const -1))) (i32.and (i32.xor (local.get 0) (i32.const -1)) (i32.xor (local.get 1) (i32.const -1))))
          (func (export "lea") (param i32 i32) (result i32 i32 i64)
            (i32.add (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 3))) (i32.const 0x7fffffff)) (i32.add (i32.shl (local.get 0) (i32.const 4)) (i32.shl (local.get 1) (i32.const 2)))
            (i64.add (i64.add (i64.extend_i32_u (local.get 0)) (i64.const 0x7fffffff)) (i64.const 0x7fffffff))))"#,
        &[
            "twice 8 1 -> 1 100",
            "twice 8 1 -> 0 0xffffff9c",
            "step 5 5 -> 60 1",
            "step 5 6 -> 6 0",
            "many 16 24 -> 28",
            "sign 0x80000000 1 -> 0 0 2",
            "sign 3 3 -> 0 1 1",
            "sign 0x7fffffff 1 -> 0 0 2",
            "mask 0x80000000 31 -> 1 0 0",
            "mask 0x80000000 63 -> 0 0 0",
            "mask 0x8000000000000000 63 -> 1 1 1",
            "mask 1 64 -> 1 1 0",
            "andn 0xff 0x0f -> 0xf0 0xffffff00",
            "lea 1 1 -> 0x80000008 20 0xffffffff",
            "lea -1 0x20000001 -> 0x80000006 0x7ffffff4 0x1fffffffd",
        ],
    ),
];

const VECTORS: &[Case] = &[case(
    "lanes are numbered by what is out of range, or known",
    r#"(module
          (func (export "swizzle") (param v128 v128) (result v128) (i8x16.swizzle (local.get 0) (local.get 1)))
          (func (export "known") (param v128) (result v128 v128) (i8x16.swizzle (local.get 0) (v128.const i8x16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0)) (i8x16.swizzle (local.get 0) (v128.const i8x16 0 1 2 16 4 5 255 7 128 9 10 11 12 13 14 15)))
          (func (export "one") (param v128) (result v128 v128 v128) (i8x16.shuffle 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 (local.get 0) (local.get 0)) (i8x16.shuffle 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 16 (v128.const i64x2 0 0) (local.get 0)) (i8x16.shuffle 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 0 (local.get 0) (local.get 0)))
          (func (export "two") (param v128 v128) (result v128 v128 v128 v128)
            (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get 0) (local.get 1)) (i8x16.shuffle 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 (local.get 0) (local.get 1))
            (i8x16.shuffle 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31 (local.get 0) (local.get 1)) (i8x16.shuffle 4 5 6 7 0 1 2 3 16 17 18 19 28 29 30 31 (local.get 0) (local.get 1)))
          (func (export "shift") (param v128 i32) (result v128 v128 v128 v128) (i8x16.shl (local.get 0) (local.get 1)) (i8x16.shr_s (local.get 0) (local.get 1)) (i64x2.shr_s (local.get 0) (local.get 1)) (i16x8.shr_u (local.get 0) (local.get 1)))
          (func (export "by") (param v128) (result v128 v128 v128) (i8x16.shl (local.get 0) (i32.const 9)) (i8x16.shr_s (local.get 0) (i32.const 7)) (i64x2.shr_s (local.get 0) (i32.const 63)))
          (func (export "select") (param v128 v128) (result v128 v128) (v128.bitselect (local.get 0) (local.get 1) (i8x16.gt_s (local.get 0) (local.get 1))) (v128.bitselect (local.get 0) (local.get 1) (i8x16.add (local.get 0) (local.get 1))))
          (func (export "tests") (param v128 v128) (result i32 i32 i32 i32 i32)
            (i8x16.all_true (i16x8.eq (local.get 0) (local.get 1))) (i32x4.all_true (i8x16.eq (local.get 0) (local.get 1))) (v128.any_true (v128.andnot (local.get 0) (local.get 1))) (i16x8.all_true (local.get 0)) (i8x16.bitmask (local.get 0)))
          (func (export "sat") (param v128) (result v128 v128 v128) (i32x4.trunc_sat_f32x4_s (local.get 0)) (i32x4.trunc_sat_f32x4_u (local.get 0)) (i32x4.trunc_sat_f64x2_u_zero (local.get 0)))
          (func (export "minmax") (param v128 v128) (result v128 v128 v128 v128) (f32x4.min (local.get 0) (local.get 1)) (f32x4.max (local.get 0) (local.get 1)) (f32x4.pmin (local.get 0) (local.get 1)) (f32x4.pmax (local.get 0) (local.get 1)))
          (func (export "order") (param v128 v128) (result v128 v128 v128) (i64x2.gt_s (local.get 0) (local.get 1)) (i32x4.lt_u (local.get 0) (local.get 1)) (i8x16.ge_u (local.get 0) (local.get 1)))
          (func (export "q15") (param v128 v128) (result v128 v128) (i16x8.q15mulr_sat_s (local.get 0) (local.get 1)) (i16x8.extadd_pairwise_i8x16_u (local.get 0))))"#,
    &[
        "swizzle 0x1f1e1d1c1b1a19181716151413121110 0x8010000102030405060708090a0b7f0f -> 0x101112131415161718191a1b001f",
        "known 0x1f1e1d1c1b1a19181716151413121110 -> 0x101112131415161718191a1b1c1d1e1f 0x1f1e1d1c1b1a19001700151400121110",
        "one 0x1f1e1d1c1b1a19181716151413121110 -> 0x11101110111011101110111011101110 0x101f1e1d1c1b1a191817161514131211 0x101f1e1d1c1b1a191817161514131211",
        "two 0x0f0e0d0c0b0a09080706050403020100 0x1f1e1d1c1b1a19181716151413121110 -> 0x17071606150514041303120211011000 0x1211100f0e0d0c0b0a09080706050403 0x1f0e1d0c1b0a19081706150413021100 0x1f1e1d1c131211100302010007060504",
        "shift 0x80ff7f01 9 -> 0xfefe02 0xc0ff3f00 0x407fbf 0x40003f",
        "shift 0x8000000000000000 64 -> 0x8000000000000000 0x8000000000000000 0x8000000000000000 0x8000000000000000",
        "by 0x8000000000000081 -> 2 0xff000000000000ff 0xffffffffffffffff",
        "select 0x0180 0x0203 -> 0x203 0x180",
        "tests 0x00010001 0x00010001 -> 1 1 0 0 0",
        "tests -1 0 -> 0 0 1 0 0xff",
        "sat 0x7fc00000cf0000014f800000bf800000 -> 0x800000007fffffffffffffff 0xffffffff00000000 0xffffffffffffffff",
        "minmax 0x80000000 0 -> 0x80000000 0 0x80000000 0x80000000",
        "order 0x80000000 0x7fffffff -> 0xffffffffffffffff 0 0xffffffffffffffffffffffffff000000",
        "q15 0x8000 0x8000 -> 0x7fff 0x80",
    ],
)];

const DISPATCH: &[Case] = &[case(
    "a loop ends in a table of branches, with calls, landings, traps and several ways to it",
    r#"(module (memory (export "m") 1) (tag $e (param i32)) (data (i32.const 0) "\01\02\03\04\05\01\06\01\02\07\08\00")
          (func $may (param i32) (result i32) (if (i32.eq (local.get 0) (i32.const 6)) (then (throw $e (i32.const 1000)))) (i32.add (local.get 0) (i32.const 1)))
          (func (export "run") (param $p i32) (param $d i32) (result i32) (local $s i32)
            (loop $next
              (block $halt (block $7 (block $6 (block $5 (block $4 (block $3 (block $2 (block $1
                (br_table $halt $1 $2 $3 $4 $5 $6 $7 $1 $2 $halt (i32.load8_u (local.get $p))))
                (local.set $s (i32.add (local.get $s) (i32.const 1))) (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next))
                (local.set $s (i32.mul (local.get $s) (i32.const 3))) (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next))
                (local.set $s (i32.xor (local.get $s) (i32.const 0x55))) (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next))
                (local.set $s (call $may (local.get $s))) (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next))
                (if (i32.and (local.get $s) (i32.const 1)) (then (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next)))
                (local.set $s (i32.add (local.get $s) (i32.const 100))) (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next))
                (block $h (result i32) (try_table (catch $e $h) (local.set $s (call $may (i32.const 6)))) (i32.const 0))
                (local.set $s (i32.add (local.get $s))) (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next))
                (local.set $s (i32.add (local.get $s) (i32.div_u (i32.const 70) (local.get $d)))) (local.set $p (i32.add (local.get $p) (i32.const 1))) (br $next)))
            (local.get $s)))"#,
    &[
        "run 0 7 -> 0xcce",
        "run 0 0 -> IntegerDivideByZero",
        "run 3 1 -> 0xc08",
        "run 11 0 -> 0",
        "run 65536 0 -> MemoryOutOfBounds",
    ],
)];

#[test]
fn loads_become_operands_only_where_nothing_is_read_otherwise() {
    check(FOLDED);
}

#[test]
fn lanes_are_those_that_were_meant() {
    check(VECTORS);
}

#[test]
fn copies_of_what_leads_to_a_table_are_the_same() {
    check(DISPATCH);
}
