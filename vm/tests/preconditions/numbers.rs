//! Simplification of arithmetic (`jit/src/passes/simplify`), and conversions (`jit/src/x64/convert.rs`).

use super::{Case, case, check, ways};
use crate::support::Rng;
use std::fmt::Write;
use vm::{Error, Instance, Module, Store, Val};

/// Numbers at the ends of ranges, of bytes and halves, powers of two and their neighbours.
const INTERESTING: [i64; 24] = [
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    24,
    31,
    32,
    33,
    63,
    64,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    i64::MAX,
    i64::MIN,
    -1,
];

const BINARY: [&str; 15] = [
    "add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "rotr", "div_s", "div_u", "rem_s",
    "rem_u",
];
const COMPARISONS: [&str; 10] = ["eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"];

/// An operation on `x` and a constant, in either order.
fn with_constant(rng: &mut Rng, ty: &str, op: &str, x: &str) -> String {
    let c = *rng.pick(&INTERESTING);
    let c = if ty == "i32" { i64::from(c as i32) } else { c };
    let c = format!("({ty}.const {c})");
    if rng.chance(70) { format!("({ty}.{op} {x} {c})") } else { format!("({ty}.{op} {c} {x})") }
}

/// Something made of x that a rule may look into.
fn inner(rng: &mut Rng, ty: &str, n: usize) -> String {
    let x = "(local.get 0)";
    if let Some(op) = BINARY.get(n) {
        return with_constant(rng, ty, op, x);
    }
    let wide = ty == "i64";
    match n - BINARY.len() {
        0 => format!("({ty}.extend8_s {x})"),
        1 => format!("({ty}.extend16_s {x})"),
        2 if wide => format!("(i64.extend32_s {x})"),
        3 if wide => format!("(i64.extend_i32_u (i32.wrap_i64 {x}))"),
        4 if wide => format!("(i64.extend_i32_s (i32.wrap_i64 {x}))"),
        2 => format!("(i32.wrap_i64 (i64.extend_i32_s {x}))"),
        3 => format!("(i32.wrap_i64 (i64.shl (i64.extend_i32_u {x}) (i64.const 40)))"),
        4 => format!("(i32.clz {x})"),
        5 => format!("({ty}.sub {x} (local.get 1))"),
        6 => format!("({ty}.add {x} (local.get 1))"),
        _ => format!("({ty}.load8_s (i32.const {}))", rng.below(8)),
    }
}
const INNER: usize = BINARY.len() + 8;

/// Functions that apply one operation to what another one has made: with two parameters and a result of the type.
fn module(ty: &str) -> (String, usize) {
    let mut rng = Rng::new(if ty == "i32" { 1 } else { 2 });
    let mut text = String::from("(module (memory 1) (data (i32.const 0) \"\\00\\01\\7f\\80\\ff\\fe\\10\\00\")\n");
    let mut n = 0;
    let mut function = |text: &mut String, body: &str| {
        let _ = writeln!(text, "(func (export \"{n}\") (param {ty} {ty}) (result {ty}) {body})");
        n += 1;
    };
    let truth = |v: String| if ty == "i64" { format!("(i64.extend_i32_u {v})") } else { v };
    for i in 0..INNER {
        for op in BINARY {
            let x = inner(&mut rng, ty, i);
            let body = if rng.chance(70) {
                with_constant(&mut rng, ty, op, &x)
            } else {
                format!("({ty}.{op} {x} (local.get 1))")
            };
            function(&mut text, &body);
        }
        for op in COMPARISONS {
            let x = inner(&mut rng, ty, i);
            let compared = with_constant(&mut rng, ty, op, &x);
            function(&mut text, &truth(compared.clone()));
            // Behind a test against zero, as a condition, and as a number that is added.
            let body = match rng.below(4) {
                0 => truth(format!("(i32.eqz {compared})")),
                1 => format!("(select ({ty}.const 1) ({ty}.const 0) {compared})"),
                2 => format!("({ty}.sub (local.get 1) {})", truth(compared)),
                _ => format!("(if (result {ty}) {compared} (then (local.get 0)) (else (local.get 1)))"),
            };
            function(&mut text, &body);
        }
        let x = inner(&mut rng, ty, i);
        let extended = ["extend8_s", "extend16_s", "clz", "ctz", "popcnt"].map(|op| format!("({ty}.{op} {x})"));
        extended.iter().for_each(|body| function(&mut text, body));
        function(&mut text, &truth(format!("({ty}.eqz {x})")));
        if ty == "i64" {
            function(&mut text, &format!("(i64.extend_i32_s (i32.wrap_i64 {x}))"));
        }
    }
    text.push(')');
    (text, n)
}

#[test]
fn operations_on_operations_give_what_they_give_one_by_one() {
    for ty in ["i32", "i64"] {
        let (text, n) = module(ty);
        let value = |x: i64| if ty == "i32" { Val::I32(x as i32) } else { Val::I64(x) };
        let ways = ways()
            .iter()
            .filter(|w| ["interpreted", "compiled", "compiled, old processor", "compiled, level 0"].contains(&w.name));
        let logs: Vec<(&str, Vec<String>)> = ways
            .map(|way| {
                let module = Module::new(&way.engine, &text).expect("a valid module");
                let mut store = Store::new(&way.engine, ());
                let i = Instance::new(&mut store, &module, &[]).expect("it imports nothing");
                let mut log = Vec::new();
                for n in 0..n {
                    let f = i.get_func(&mut store, &n.to_string()).expect("exported");
                    for (k, &x) in INTERESTING.iter().enumerate() {
                        let y = INTERESTING[(k * 5 + 3) % INTERESTING.len()];
                        let mut results = [value(0)];
                        log.push(match f.call(&mut store, &[value(x), value(y)], &mut results) {
                            Ok(()) => format!("{n} {x} {y}: {:x?}", results[0]),
                            Err(Error::Trap(t)) => format!("{n} {x} {y}: {:?}", t.kind()),
                            Err(e) => panic!("{e}"),
                        });
                    }
                }
                (way.name, log)
            })
            .collect();
        for (name, log) in &logs[1..] {
            for (have, want) in log.iter().zip(&logs[0].1) {
                let line = |l: &str| text.lines().nth(1 + l.split(' ').next().map_or(0, |n| n.parse().unwrap_or(0)));
                assert_eq!(have, want, "{name}: {:?}", line(have).map(str::to_string));
            }
        }
    }
}

const INTEGERS: &[Case] = &[
    case(
        "two shifts are no rotation",
        r#"(module
          (func (export "rotl") (param i32 i32) (result i32) (i32.or (i32.shl (local.get 0) (i32.const 5)) (i32.shr_u (local.get 0) (i32.const 27))))
          (func (export "sum") (param i32 i32) (result i32) (i32.or (i32.shl (local.get 0) (i32.const 5)) (i32.shr_u (local.get 0) (i32.const 26))))
          (func (export "signed") (param i32 i32) (result i32) (i32.or (i32.shl (local.get 0) (i32.const 5)) (i32.shr_s (local.get 0) (i32.const 27))))
          (func (export "two") (param i32 i32) (result i32) (i32.or (i32.shl (local.get 0) (i32.const 5)) (i32.shr_u (local.get 1) (i32.const 27))))
          (func (export "xor") (param i32 i32) (result i32) (i32.xor (i32.shr_u (local.get 0) (i32.const 27)) (i32.shl (local.get 0) (i32.const 5))))
          (func (export "and") (param i32 i32) (result i32) (i32.and (i32.shl (local.get 0) (i32.const 5)) (i32.shr_u (local.get 0) (i32.const 27))))
          (func (export "wide") (param i64 i64) (result i64) (i64.or (i64.shl (local.get 0) (i64.const 5)) (i64.shr_u (local.get 0) (i64.const 27))))
          (func (export "mod") (param i32 i32) (result i32) (i32.or (i32.shl (local.get 0) (i32.const 37)) (i32.shr_u (local.get 0) (i32.const -5))))
          (func (export "by") (param i32 i32) (result i32) (i32.rotl (local.get 0) (i32.and (local.get 1) (i32.const 15))))
          (func (export "bare") (param i32 i32) (result i32) (i32.rotl (local.get 0) (i32.and (local.get 1) (i32.const 63)))))"#,
        &[
            "rotl 0x80000001 0 -> 0x30",
            "sum 0x80000001 0 -> 0x20",
            "signed 0x80000001 0 -> 0xfffffff0",
            "two 0x80000001 0 -> 0x20",
            "xor 0x80000001 0 -> 0x30",
            "and 0x80000001 0 -> 0",
            "wide 0x8000000000000001 0 -> 0x1000000020",
            "mod 0x80000001 0 -> 0x30",
            "by 1 17 -> 2",
            "bare 1 33 -> 2",
        ],
    ),
    case(
        "a divisor is zero or -1, or the dividend the least integer",
        r#"(module
          (func (export "ds") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
          (func (export "rs") (param i32 i32) (result i32) (i32.rem_s (local.get 0) (local.get 1)))
          (func (export "dl") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
          (func (export "rl") (param i64 i64) (result i64) (i64.rem_s (local.get 0) (local.get 1)))
          (func (export "m1") (param i32) (result i32) (i32.div_s (local.get 0) (i32.const -1)))
          (func (export "r1") (param i32) (result i32) (i32.rem_s (local.get 0) (i32.const -1)))
          (func (export "z") (param i32) (result i32) (i32.rem_u (local.get 0) (i32.const 0)))
          (func (export "drop") (param i32) (drop (i32.div_s (i32.const 1) (local.get 0))))
          (func (export "min") (param i32) (result i32 i32) (i32.div_s (local.get 0) (i32.const 0x80000000)) (i32.rem_s (local.get 0) (i32.const 0x80000000)))
          (func (export "twice") (param i32 i32) (result i32) (i32.add (i32.div_u (local.get 0) (local.get 1)) (i32.mul (local.get 1) (i32.rem_u (local.get 0) (local.get 1)))))
          (func (export "eight") (param i32) (result i32 i32) (i32.div_s (local.get 0) (i32.const -8)) (i32.rem_s (local.get 0) (i32.const 8))))"#,
        &[
            "ds 7 -2 -> 0xfffffffd",
            "ds 0x80000000 -1 -> IntegerOverflow",
            "ds 1 0 -> IntegerDivideByZero",
            "rs 0x80000000 -1 -> 0",
            "rs 5 0 -> IntegerDivideByZero",
            "rs -7 3 -> 0xffffffff",
            "dl 0x8000000000000000 -1 -> IntegerOverflow",
            "rl 0x8000000000000000 -1 -> 0",
            "dl 1 0 -> IntegerDivideByZero",
            "m1 0x80000000 -> IntegerOverflow",
            "m1 5 -> 0xfffffffb",
            "r1 0x80000000 -> 0",
            "z 5 -> IntegerDivideByZero",
            "drop 0 -> IntegerDivideByZero",
            "drop 1 ->",
            "min 0x80000000 -> 1 0",
            "min 0x7fffffff -> 0 0x7fffffff",
            "twice 17 5 -> 13",
            "twice 1 0 -> IntegerDivideByZero",
            "eight -9 -> 1 0xffffffff",
            "eight 0x80000000 -> 0x10000000 0",
        ],
    ),
    case(
        "sums of 128 bits carry and borrow, or only look as if they did",
        r#"(module
          (func (export "add") (param i64 i64 i64 i64) (result i64 i64) (local $l i64)
            (local.set $l (i64.add (local.get 0) (local.get 2))) (local.get $l)
            (i64.add (i64.add (local.get 1) (local.get 3)) (i64.extend_i32_u (i64.lt_u (local.get $l) (local.get 0)))))
          (func (export "signed") (param i64 i64 i64 i64) (result i64 i64) (local $l i64)
            (local.set $l (i64.add (local.get 0) (local.get 2))) (local.get $l)
            (i64.add (i64.add (local.get 1) (local.get 3)) (i64.extend_i32_u (i64.lt_s (local.get $l) (local.get 0)))))
          (func (export "other") (param i64 i64 i64 i64) (result i64 i64)
            (i64.add (local.get 1) (i64.extend_i32_u (i64.lt_s (local.get 0) (local.get 2)))) (i64.sub (local.get 3) (i64.extend_i32_u (i64.ge_s (local.get 0) (local.get 2)))))
          (func (export "sub") (param i64 i64 i64 i64) (result i64 i64)
            (i64.sub (local.get 0) (local.get 2)) (i64.sub (i64.sub (local.get 1) (local.get 3)) (i64.extend_i32_u (i64.lt_u (local.get 0) (local.get 2)))))
          (func (export "twice") (param i64 i64 i64 i64) (result i64 i64) (local $c i32)
            (local.set $c (i64.gt_u (local.get 0) (local.get 2))) (i64.add (local.get 1) (i64.extend_i32_u (local.get $c))) (i64.sub (local.get 3) (i64.extend_i32_u (local.get $c))))
          (func (export "neg") (param i64 i64 i64 i64) (result i64 i64)
            (i64.add (local.get 1) (i64.extend_i32_u (i64.ge_u (local.get 0) (local.get 2)))) (i64.sub (local.get 3) (i64.extend_i32_u (i64.le_u (local.get 0) (local.get 2)))))
          (func (export "sign") (param i64 i64 i64 i64) (result i64 i64)
            (i64.add (local.get 1) (i64.extend_i32_s (i64.lt_u (local.get 0) (local.get 2)))) (i64.sub (i64.extend_i32_u (i64.lt_u (local.get 0) (local.get 2))) (local.get 3)))
          (func (export "const") (param i32) (result i32 i32 i32 i32 i32 i32)
            (i32.add (local.get 0) (i32.le_u (local.get 0) (i32.const -1))) (i32.add (local.get 0) (i32.gt_u (local.get 0) (i32.const -2)))
            (i32.sub (local.get 0) (i32.eqz (local.get 0))) (i32.sub (local.get 0) (i32.ne (local.get 0) (i32.const 0)))
            (i32.add (i32.const 5) (i32.lt_u (local.get 0) (i32.const 0x80000000))) (i32.sub (i32.const 5) (i32.ge_u (local.get 0) (i32.const 0x7fffffff))))
          (func (export "wide") (param i64 i64 i64 i64) (result i64 i64 i64 i64)
            (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)) (i64.sub128 (local.get 0) (local.get 1) (local.get 2) (local.get 3))))"#,
        &[
            "add -1 1 1 2 -> 0 4",
            "add 1 1 1 2 -> 2 3",
            "signed -1 1 1 2 -> 0 3",
            "signed 0x7fffffffffffffff 1 1 2 -> 0x8000000000000000 4",
            "sub 0 5 1 2 -> -1 2",
            "other -1 10 1 20 -> 11 20",
            "other 1 10 -1 20 -> 10 19",
            "twice 2 10 1 20 -> 11 19",
            "twice 1 10 1 20 -> 10 20",
            "neg 1 10 1 20 -> 11 19",
            "neg 0 10 1 20 -> 10 19",
            "neg 2 10 1 20 -> 11 20",
            "sign 0 10 1 20 -> 11 0xffffffffffffffed",
            "sign 1 10 1 20 -> 10 0xffffffffffffffec",
            "const 0 -> 1 0 0xffffffff 0 6 5",
            "const -1 -> 0 0 0xffffffff 0xfffffffe 5 4",
            "const 0x7fffffff -> 0x80000000 0x7fffffff 0x7fffffff 0x7ffffffe 6 4",
            "wide 0 0 1 0 -> 1 0 -1 -1",
            "wide -1 0 1 0 -> 0 1 0xfffffffffffffffe 0",
        ],
    ),
];

const FLOATS: &[Case] = &[
    case(
        "an operation on floats is not exact, or keeps the sign of zero",
        r#"(module
          (func (export "two") (param f64) (result f64 f64) (f64.mul (local.get 0) (f64.const 2)) (f64.mul (f64.const -2) (local.get 0)))
          (func (export "half") (param f64) (result f64 f64) (f64.div (local.get 0) (f64.const 4)) (f64.div (local.get 0) (f64.const 0x1p+1023)))
          (func (export "third") (param f64) (result f64) (f64.div (local.get 0) (f64.const 3)))
          (func (export "zero") (param f64) (result f64 f64 f64) (f64.add (local.get 0) (f64.const 0)) (f64.sub (local.get 0) (f64.const 0)) (f64.mul (local.get 0) (f64.const 0)))
          (func (export "one") (param f32) (result f32 f32) (f32.mul (local.get 0) (f32.const 1)) (f32.div (local.get 0) (f32.const -1)))
          (func (export "tiny") (param f32) (result f32 f32 f32) (f32.div (local.get 0) (f32.const 0x1p+127)) (f32.div (local.get 0) (f32.const 0x1p-127)) (f32.div (local.get 0) (f32.const 0x1p-149)))
          (func (export "self") (param f64) (result f64 i32 i32) (f64.sub (local.get 0) (local.get 0)) (f64.eq (local.get 0) (local.get 0)) (f64.ge (local.get 0) (local.get 0)))
          (func (export "round") (param f64) (result f64 f64 f64 f64) (f64.ceil (f64.floor (local.get 0))) (f64.nearest (local.get 0)) (f64.floor (f64.neg (local.get 0))) (f64.trunc (local.get 0)))
          (func (export "signs") (param f64) (result f64 f64 f64 f64) (f64.abs (f64.neg (local.get 0))) (f64.neg (f64.abs (local.get 0))) (f64.copysign (local.get 0) (f64.const -0)) (f64.copysign (f64.neg (local.get 0)) (f64.abs (local.get 0))))
          (func (export "const") (result f32 f32 f64 f64 i32) (f32.add (f32.const 16777216) (f32.const 1)) (f32.mul (f32.const 0x1.000002p0) (f32.const 0x1.000002p0)) (f64.neg (f64.const 0)) (f64.nearest (f64.const -0.5)) (i32.trunc_sat_f64_s (f64.const 1e10)))
          (func (export "narrow") (param f64) (result f32 f64) (f32.demote_f64 (local.get 0)) (f64.promote_f32 (f32.demote_f64 (local.get 0))))
          (func (export "bits") (param f32) (result i32 f32 i32) (i32.reinterpret_f32 (local.get 0)) (f32.reinterpret_i32 (i32.reinterpret_f32 (local.get 0))) (i32.reinterpret_f32 (f32.neg (f32.const nan:0x200001)))))"#,
        &[
            "two 0x7fefffffffffffff -> 0x7ff0000000000000 0xfff0000000000000",
            "two 1 -> 2 0x8000000000000002",
            "half 3 -> 1 0",
            "half 0x8000000000000000 -> 0x8000000000000000 0x8000000000000000",
            "third 0x3ff0000000000000 -> 0x3fd5555555555555",
            "zero 0x8000000000000000 -> 0 0x8000000000000000 0x8000000000000000",
            "one 0x80000000 -> 0x80000000 0",
            "tiny 0x7f000000 -> 0x3f800000 0x7f800000 0x7f800000",
            "tiny 1 -> 0 0x34800000 0x3f800000",
            "self 0x7ff0000000000000 -> 0xfff8000000000000 1 1",
            "self 0 -> 0 1 1",
            "round 0xbfe0000000000000 -> 0xbff0000000000000 0x8000000000000000 0 0x8000000000000000",
            "round 0x4004000000000000 -> 0x4000000000000000 0x4000000000000000 0xc008000000000000 0x4000000000000000",
            "signs 0xfff4000000000001 -> 0x7ff4000000000001 0xfff4000000000001 0xfff4000000000001 0x7ff4000000000001",
            "const -> 0x4b800000 0x3f800002 0x8000000000000000 0x8000000000000000 0x7fffffff",
            "narrow 0x3ff0000010000000 -> 0x3f800000 0x3ff0000000000000",
            "narrow 0x47efffffefffffff -> 0x7f7fffff 0x47efffffe0000000",
            "bits 0xffa00001 -> 0xffa00001 0xffa00001 0xffa00001",
        ],
    ),
    case(
        "a conversion is near its limits",
        r#"(module
          (func (export "ss") (param f32) (result i32) (i32.trunc_f32_s (local.get 0)))
          (func (export "su") (param f32) (result i32) (i32.trunc_f32_u (local.get 0)))
          (func (export "ds") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
          (func (export "du") (param f64) (result i32) (i32.trunc_f64_u (local.get 0)))
          (func (export "ls") (param f64) (result i64) (i64.trunc_f64_s (local.get 0)))
          (func (export "lu") (param f64) (result i64) (i64.trunc_f64_u (local.get 0)))
          (func (export "fl") (param f32) (result i64) (i64.trunc_f32_u (local.get 0)))
          (func (export "sat") (param f64) (result i32 i32 i64 i64) (i32.trunc_sat_f64_s (local.get 0)) (i32.trunc_sat_f64_u (local.get 0)) (i64.trunc_sat_f64_s (local.get 0)) (i64.trunc_sat_f64_u (local.get 0)))
          (func (export "u64") (param i64) (result f64 f32) (f64.convert_i64_u (local.get 0)) (f32.convert_i64_u (local.get 0)))
          (func (export "u32") (param i64) (result f64 f32 f64) (f64.convert_i32_u (i32.wrap_i64 (local.get 0))) (f32.convert_i32_u (i32.wrap_i64 (local.get 0))) (f64.convert_i32_s (i32.wrap_i64 (local.get 0))))
          (func (export "shr") (param i64) (result f64) (f64.convert_i64_u (i64.shr_u (local.get 0) (i64.const 1)))))"#,
        &[
            "ss 0x4f000000 -> IntegerOverflow",
            "ss 0xcf000000 -> 0x80000000",
            "ss 0xcf000001 -> IntegerOverflow",
            "ss 0x7fc00000 -> InvalidConversionToInteger",
            "ss 0xbf7fffff -> 0",
            "su 0x4f7fffff -> 0xffffff00",
            "su 0x4f800000 -> IntegerOverflow",
            "su 0xbf7fffff -> 0",
            "su 0xbf800000 -> IntegerOverflow",
            "su 0xffc00000 -> InvalidConversionToInteger",
            "ds 0xc1e00000001fffff -> 0x80000000",
            "ds 0xc1e0000000200000 -> IntegerOverflow",
            "ds 0x41dfffffffffffff -> 0x7fffffff",
            "ds 0x41e0000000000000 -> IntegerOverflow",
            "ds 0x7ff8000000000000 -> InvalidConversionToInteger",
            "du 0x41efffffffffffff -> 0xffffffff",
            "du 0x41f0000000000000 -> IntegerOverflow",
            "du 0xbfefffffffffffff -> 0",
            "du 0xbff0000000000000 -> IntegerOverflow",
            "ls 0xc3e0000000000000 -> 0x8000000000000000",
            "ls 0xc3e0000000000001 -> IntegerOverflow",
            "ls 0x43e0000000000000 -> IntegerOverflow",
            "ls 0x43dfffffffffffff -> 0x7ffffffffffffc00",
            "ls 0x7ff8000000000000 -> InvalidConversionToInteger",
            "lu 0x43efffffffffffff -> 0xfffffffffffff800",
            "lu 0x43f0000000000000 -> IntegerOverflow",
            "lu 0xbff0000000000000 -> IntegerOverflow",
            "lu 0x43e0000000000000 -> 0x8000000000000000",
            "lu 0x7ff8000000000000 -> InvalidConversionToInteger",
            "fl 0x5f7fffff -> 0xffffff0000000000",
            "fl 0x5f800000 -> IntegerOverflow",
            "fl 0xbf7fffff -> 0",
            "sat 0x7ff8000000000000 -> 0 0 0 0",
            "sat 0xfff0000000000000 -> 0x80000000 0 0x8000000000000000 0",
            "sat 0x7ff0000000000000 -> 0x7fffffff 0xffffffff 0x7fffffffffffffff 0xffffffffffffffff",
            "sat 0x43efffffffffffff -> 0x7fffffff 0xffffffff 0x7fffffffffffffff 0xfffffffffffff800",
            "sat 0xbfefffffffffffff -> 0 0 0 0",
            "u64 -1 -> 0x43f0000000000000 0x5f800000",
            "u64 0x8000000000000401 -> 0x43e0000000000001 0x5f000000",
            "u64 0x8000008000000001 -> 0x43e0000010000000 0x5f000001",
            "u64 0x20000000000001 -> 0x4340000000000000 0x5a000000",
            "u32 0xff00000080000001 -> 0x41e0000000200000 0x4f000000 0xc1dfffffffc00000",
            "shr -1 -> 0x43e0000000000000",
        ],
    ),
];

#[test]
fn integers_keep_their_widths_signs_and_traps() {
    check(INTEGERS);
}

#[test]
fn floats_keep_their_bits() {
    check(FLOATS);
}
