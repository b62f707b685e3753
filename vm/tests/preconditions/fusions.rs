//! Instructions of the interpreter that do what several operators do (`vm/src/interp/translate`).

use super::{Case, case, check};

const CASES: &[Case] = &[
    case(
        "a local changes while it is an operand",
        r#"(module
          (func (export "set") (param i32 i32) (result i32) (local.get 0) (local.get 0) (local.set 0 (i32.const 9)) (i32.add (local.get 0)) (i32.mul))
          (func (export "tee") (param i32 i32) (result i32) (local.get 0) (i32.sub (local.tee 0 (i32.add (local.get 0) (local.get 1)))) (i32.xor (local.get 0)))
          (func (export "swap") (param i32 i32) (result i32 i32) (local.get 0) (local.set 0 (local.get 1)) (local.set 1) (local.get 0) (local.get 1))
          (func (export "rotate") (param i32 i32) (result i32 i32 i32) (local i32)
            (local.get 0) (local.get 1) (local.set 0) (local.tee 2) (local.set 1) (local.get 0) (local.get 1) (local.get 2))
          (func (export "chain") (param i32 i32) (result i32) (local i32)
            (local.set 2 (local.get 0)) (local.set 0 (local.get 2)) (local.set 1 (local.get 0)) (local.set 2 (local.get 1)) (i32.add (local.get 2) (local.get 0)))
          (func (export "block") (param i32 i32) (result i32) (local.get 0) (block (local.set 0 (i32.const 7))) (i32.add (local.get 0)))
          (func (export "vector") (param v128 v128) (result v128 v128) (local.get 0) (local.set 0 (local.get 1)) (local.set 1) (local.get 0) (local.get 1))
          (func (export "self") (param i32 i32) (result i32) (local.set 0 (local.get 0)) (local.set 1 (local.tee 0 (local.get 1))) (i32.sub (local.get 0) (local.get 1))))"#,
        &[
            "set 3 0 -> 36",
            "tee 5 2 -> 0xfffffff9",
            "swap 1 2 -> 2 1",
            "rotate 1 2 -> 2 1 1",
            "chain 4 9 -> 8",
            "block 5 0 -> 12",
            "vector 1 2 -> 2 1",
            "self 4 9 -> 0",
        ],
    ),
    case(
        "a counter is compared with something else than a bound",
        r#"(module
          (func (export "bound") (param i32) (result i32) (local i32 i32)
            (loop $l (local.set 2 (i32.add (local.get 2) (i32.const 3))) (br_if $l (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0)))) (local.get 2))
          (func (export "self") (param i32) (result i32) (local i32)
            (loop $l (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br_if $l (i32.ne (local.get 1) (local.get 1)))) (local.get 1))
          (func (export "left") (param i32) (result i32) (local i32)
            (loop $l (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br_if $l (i32.gt_s (local.get 0) (local.get 1)))) (local.get 1))
          (func (export "other") (param i32) (result i32) (local i32 i32)
            (loop $l (local.set 1 (i32.add (local.get 2) (i32.const 1))) (local.set 2 (local.get 1)) (br_if $l (i32.lt_u (local.get 1) (local.get 0)))) (local.get 1))
          (func (export "copy") (param i32) (result i32 i32) (local i32 i32 i32)
            (loop $l (local.set 2 (i32.add (local.get 1) (local.get 1))) (local.set 3 (i32.mul (local.get 0) (local.get 0))) (br_if $l (i32.lt_u (local.tee 1 (i32.add (local.get 2) (i32.const 1))) (local.get 0)))) (local.get 1) (local.get 2))
          (func (export "not") (param i32) (result i32) (local i32)
            (loop $l (br_if $l (i32.eqz (i32.ge_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0))))) (local.get 1))
          (func (export "big") (param i32) (result i32) (local i32)
            (loop $l (br_if $l (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 40000))) (i32.const 100000)))) (local.get 1))
          (func (export "wide") (param i32) (result i64) (local i64)
            (loop $l (br_if $l (i64.lt_s (local.tee 1 (i64.add (local.get 1) (i64.const 1))) (i64.extend_i32_s (local.get 0))))) (local.get 1))
          (func (export "forward") (param i32) (result i32) (local i32)
            (block $b (br_if $b (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0))) (local.set 1 (i32.const 50))) (local.get 1))
          (func (export "operand") (param i32) (result i32) (local i32)
            (i32.const 5)
            (loop $l (param i32) (result i32)
              (i32.add (i32.const 2)) (br_if $l (i32.lt_s (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0)))))
          (func (export "down") (param i32) (result i32) (local i32)
            (loop $l (local.set 1 (i32.add (local.get 1) (local.get 0))) (br_if $l (local.tee 0 (i32.add (local.get 0) (i32.const -1))))) (local.get 1)))"#,
        &[
            "bound 4 -> 12",
            "bound 0 -> 3",
            "self 0 -> 1",
            "left 4 -> 4",
            "other 5 -> 5",
            "copy 20 -> 31 30",
            "not 5 -> 5",
            "big 0 -> 120000",
            "wide 5 -> 5",
            "forward 4 -> 1",
            "forward 0 -> 50",
            "operand 3 -> 11",
            "down 4 -> 10",
        ],
    ),
    case(
        "a condition is no comparison made just for it",
        r#"(module
          (func (export "used") (param i32 i32) (result i32) (local i32) (local.set 2 (i32.lt_s (local.get 0) (local.get 1))) (if (result i32) (i32.eqz (local.get 2)) (then (i32.const 1)) (else (i32.add (local.get 2) (i32.const 5)))))
          (func (export "twice") (param i32 i32) (result i32) (if (result i32) (i32.eqz (i32.eqz (i32.eqz (i32.gt_u (local.get 0) (local.get 1))))) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "big") (param i32 i32) (result i32) (if (result i32) (i32.eq (local.get 0) (i32.const 70000)) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "minus") (param i64) (result i32) (if (result i32) (i64.lt_u (local.get 0) (i64.const -2)) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "test") (param i32 i32) (result i32) (if (result i32) (i32.eqz (i32.and (local.get 0) (i32.const 0x8000))) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "sign") (param i32 i32) (result i32) (if (result i32) (i32.and (local.get 0) (i32.const -32768)) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "float") (param f64 f64) (result i32) (if (result i32) (i32.eqz (f64.lt (local.get 0) (local.get 1))) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "const") (param f64) (result i32) (if (result i32) (f64.gt (local.get 0) (f64.const 1.5)) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "values") (param i32 i32) (result i32 i32)
            (block $b (result i32 i32) (local.get 1) (local.get 0) (br_if $b (i32.lt_s (local.get 0) (local.get 1))) (drop) (drop) (i32.const 8) (i32.const 9)))
          (func (export "dropped") (param i32 i32) (result i32) (drop (i32.lt_s (local.get 0) (local.get 1))) (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1)) (else (i32.const 2))))
          (func (export "between") (param i32 i32) (result i32) (local f64) (i32.lt_s (local.get 0) (local.get 1)) (local.set 2 (f64.add (local.get 2) (f64.const 1))) (i32.eqz) (if (result i32) (then (i32.const 1)) (else (i32.const 2)))))"#,
        &[
            "used 1 2 -> 6",
            "used 2 1 -> 1",
            "twice 1 2 -> 1",
            "twice 2 1 -> 2",
            "big 70000 0 -> 1",
            "big 4464 0 -> 2",
            "minus -1 -> 2",
            "minus -3 -> 1",
            "test 0x8000 0 -> 2",
            "test 0x7fff 0 -> 1",
            "sign 0x8000 0 -> 1",
            "sign 0x7fff 0 -> 2",
            "float 0x7ff8000000000000 0 -> 1",
            "float 0 0x3ff0000000000000 -> 2",
            "const 0x3ff8000000000000 -> 2",
            "const 0x7ff8000000000000 -> 2",
            "const 0x4000000000000000 -> 1",
            "values 1 2 -> 2 1",
            "values 2 1 -> 8 9",
            "dropped 0 5 -> 1",
            "dropped 6 5 -> 2",
            "between 1 2 -> 2",
            "between 2 1 -> 1",
        ],
    ),
    case(
        "two operations do not join: order, constants, what comes between",
        r#"(module (memory (export "m") 1) (data (i32.const 8) "\07\00\00\80")
          (func (export "sub") (param i32 i32) (result i32 i32) (i32.and (i32.sub (local.get 0) (local.get 1)) (i32.const 255)) (i32.sub (local.get 1) (i32.shl (local.get 0) (i32.const 2))))
          (func (export "left") (param i32 i32) (result i32 i32) (i32.and (i32.sub (local.get 0) (i32.xor (local.get 1) (local.get 1))) (i32.const 255)) (i32.add (i32.shl (local.get 0) (i32.or (local.get 1) (i32.const 1))) (local.get 1)))
          (func (export "right") (param i32 i32) (result i32 i32) (i32.shl (local.get 1) (i32.and (local.get 0) (i32.const 7))) (i32.rotl (local.get 1) (i32.xor (local.get 0) (i32.const 3))))
          (func (export "big") (param i32 i32) (result i32 i32) (i32.add (i32.mul (local.get 0) (i32.const 100000)) (local.get 1)) (i32.add (i32.mul (local.get 0) (local.get 1)) (i32.const 100000)))
          (func (export "wide") (param i64 i64) (result i64 i64) (i64.xor (i64.shr_u (local.get 0) (i64.const 33)) (i64.const 0x123456789abcdef)) (i64.add (i64.const 0x7fffffffffff) (i64.mul (local.get 0) (local.get 1))))
          (func (export "float") (param f64 f64) (result f64 f64) (f64.sub (f64.mul (local.get 0) (local.get 1)) (f64.const 1)) (f64.sub (f64.const 1) (f64.mul (local.get 0) (local.get 1))))
          (func (export "load") (param i32 i32) (result i32 i32) (i32.sub (i32.load (local.get 0)) (local.get 1)) (i32.sub (local.get 1) (i32.load (local.get 0))))
          (func (export "far") (param i32 i32) (result i32) (i32.add (i32.load offset=70000 (local.get 0)) (local.get 1)))
          (func (export "tee") (param i32 i32) (result i32) (i32.add (local.tee 1 (i32.mul (local.get 0) (local.get 0))) (local.get 1)))
          (func (export "imm") (param i32 i32) (result i32 i32) (i32.sub (i32.const 5) (i32.add (local.get 0) (i32.const 1))) (i32.shl (i32.const 1) (i32.add (local.get 0) (i32.const 1)))))"#,
        &[
            "sub 3 5 -> 0xfe 0xfffffff9",
            "left 3 5 -> 3 101",
            "right 9 3 -> 6 0xc00",
            "big 3 4 -> 300004 100012",
            "wide 0x400000000 3 -> 0x123456789abcded 0x800bffffffff",
            "float 0x4000000000000000 0x4008000000000000 -> 0x4014000000000000 0xc014000000000000",
            "load 8 1 -> 0x80000006 0x7ffffffa",
            "load 65536 1 -> MemoryOutOfBounds",
            "far 0 1 -> MemoryOutOfBounds",
            "tee 3 0 -> 18",
            "imm 7 0 -> 0xfffffffd 0x100",
        ],
    ),
    case(
        "an address is a sum whose parts do not fit",
        r#"(module (memory (export "m") 1) (data (i32.const 64) "\01\02\03\04\05\06\07\08")
          (func (export "sum") (param i32 i32) (result i32) (i32.load offset=4 (i32.add (local.get 0) (local.get 1))))
          (func (export "far") (param i32 i32) (result i32) (i32.load offset=65536 (i32.add (local.get 0) (local.get 1))))
          (func (export "scaled") (param i32 i32) (result i32) (i32.load offset=4 (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 2)))))
          (func (export "byte") (param i32 i32) (result i32) (i32.load8_u offset=256 (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 7)))))
          (func (export "eight") (param i32 i32) (result i32) (i32.load8_u (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 8)))))
          (func (export "wrapped") (param i32 i32) (result i32) (i32.load (i32.add (local.get 0) (i32.const -16))))
          (func (export "offset") (param i32 i32) (result i32) (i32.load offset=4 (i32.add (local.get 0) (i32.const -16))))
          (func (export "used") (param i32 i32) (result i32) (local i32) (i32.add (i32.load (local.tee 2 (i32.add (local.get 0) (local.get 1)))) (local.get 2)))
          (func (export "index") (param i32 i32) (result i32) (local i32) (i32.add (i32.load8_u (i32.add (local.get 0) (local.tee 2 (i32.shl (local.get 1) (i32.const 1))))) (local.get 2)))
          (func (export "store") (param i32 i32) (result i32) (i32.store offset=8 (i32.add (local.get 0) (local.get 1)) (i32.mul (local.get 0) (local.get 1))) (i32.load offset=8 (i32.add (local.get 0) (local.get 1))))
          (func (export "value") (param i32 i32) (result i32) (i32.store8 (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 2))) (i32.const -1)) (i32.load8_s (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 2)))))
          (func (export "large") (param i32 i32) (result i32) (i32.store (i32.add (local.get 0) (i32.const 8)) (i32.const 40000)) (i32.load (i32.add (local.get 0) (i32.const 8))))
          (func (export "long") (param i32 i64) (result i64) (i64.store (local.get 0) (i64.const -5)) (i64.store32 offset=2 (local.get 0) (local.get 1)) (i64.load (local.get 0)))
          (func (export "vector") (param i32 i32) (result v128) (v128.store offset=16 (i32.add (local.get 0) (local.get 1)) (v128.load (i32.add (local.get 0) (i32.const 8)))) (v128.load offset=16 (i32.add (local.get 0) (local.get 1))))
          (func (export "const") (result i32) (i32.store offset=0xfffffff0 (i32.const 16) (i32.const 1)) (i32.const 1)))"#,
        &[
            "sum 32 32 -> 0x8070605",
            "sum -4 64 -> 0x4030201",
            "sum -4 -4 -> MemoryOutOfBounds",
            "far 0 0 -> MemoryOutOfBounds",
            "scaled 0 15 -> 0x4030201",
            "scaled 64 0x40000000 -> 0x8070605",
            "byte -256 0 -> MemoryOutOfBounds",
            "byte 0 0xfffffffe -> MemoryOutOfBounds",
            "byte 64 0x1fffffe -> MemoryOutOfBounds",
            "eight 64 0x1000000 -> 1",
            "wrapped 80 0 -> 0x4030201",
            "wrapped 15 0 -> MemoryOutOfBounds",
            "offset 80 0 -> 0x8070605",
            "offset 12 0 -> MemoryOutOfBounds",
            "used 60 4 -> 0x4030241",
            "index 62 1 -> 3",
            "store 3 5 -> 15",
            "value 0 4 -> 0xffffffff",
            "large 8 0 -> 40000",
            "long 128 0x1122334455667788 -> 0xffff55667788fffb",
            "vector 56 64 -> 0x807060504030201",
            "const -> MemoryOutOfBounds",
        ],
    ),
    case(
        "two operands of one operator are in one accumulator",
        r#"(module (memory (export "m") 1)
          (func (export "square") (param i32 i32) (result i32) (local.set 0 (i32.add (local.get 0) (i32.const 1))) (i32.mul (local.get 0) (local.get 0)))
          (func (export "twice") (param i32 i32) (result i32 i32) (local.set 0 (i32.add (local.get 0) (i32.const 1))) (local.set 1 (local.get 0)) (i32.sub (local.get 1) (local.get 0)) (i32.add (local.get 0) (local.get 1)))
          (func (export "store") (param i32 i32) (result i32) (local.set 0 (i32.add (local.get 0) (i32.const 4))) (i32.store (local.get 0) (local.get 0)) (i32.load (local.get 0)))
          (func (export "select") (param i32 i32) (result i32) (select (i32.add (local.get 0) (i32.const 1)) (i32.mul (local.get 0) (i32.const 2)) (i32.gt_s (local.get 1) (i32.const 3))))
          (func (export "table") (param i32 i32) (result i32)
            (block $b (result i32) (block $a (result i32) (i32.add (local.get 0) (local.get 1)) (br_table $a $b (i32.sub (local.get 0) (local.get 1)))) (i32.add (i32.const 100))))
          (func (export "call") (param i32 i32) (result i32) (call_indirect (param i32 i32) (result i32) (i32.add (local.get 0) (i32.const 1)) (i32.const 5) (i32.sub (local.get 1) (i32.const 1))))
          (func $f (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
          (table funcref (elem $f)))"#,
        &[
            "square 4 0 -> 25",
            "twice 4 0 -> 0 10",
            "store 12 0 -> 16",
            "select 5 4 -> 6",
            "select 5 3 -> 10",
            "table 3 3 -> 106",
            "table 4 3 -> 7",
            "table 3 4 -> 7",
            "call 9 1 -> 5",
            "call 9 2 -> UndefinedElement",
        ],
    ),
];

#[test]
fn operators_are_joined_only_where_that_is_the_same() {
    check(CASES);
}
