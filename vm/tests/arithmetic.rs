//! Arithmetic that the compiler puts together from several instructions.
//!
//! In: products of 64 by 64 bits made out of 32-bit halves, in any order of their parts, some of them with a slip in one part; sums with
//! outcomes of comparisons. Out: compiled, they give what the interpreter gives; without a slip that is the product.

mod support;

use support::{Execution, Rng};
use vm::{Config, Engine, Instance, Module, Store};

/// One computation.
struct Case {
    text: String,
    /// The second factor, if it is constant.
    constant: Option<u64>,
    slip: bool,
    /// What is added to the high half.
    added: u64,
}

const INTERESTING: [u64; 8] =
    [0, 1, 0xffff_ffff, 0x1_0000_0000, u64::MAX, 0x8000_0000_0000_0000, 0xffff_ffff_0000_0001, 0x9e37_79b1_85eb_ca87];

fn number(rng: &mut Rng) -> u64 {
    if rng.chance(40) { *rng.pick(&INTERESTING) } else { rng.next() >> rng.below(64) }
}

fn either(rng: &mut Rng, op: &str, a: &str, b: &str) -> String {
    if rng.chance(50) { format!("({op} {a} {b})") } else { format!("({op} {b} {a})") }
}

/// The sum of terms in any order and bracketing.
fn sum(rng: &mut Rng, mut terms: Vec<String>) -> String {
    while terms.len() > 1 {
        let a = terms.swap_remove(rng.below(terms.len()));
        let b = terms.swap_remove(rng.below(terms.len()));
        terms.push(format!("(i64.add {a} {b})"));
    }
    terms.remove(0)
}

fn case(rng: &mut Rng) -> Case {
    let constant = rng.chance(40).then(|| number(rng));
    let slip = rng.chance(50);
    // Which part is wrong, and the numbers that are wrong in it.
    let wrong = if slip { rng.below(9) } else { usize::MAX };
    let shift = |part| if part == wrong { 31 } else { 32 };
    let mask = |part| if part == wrong { 0x7fff_ffff_u64 } else { 0xffff_ffff };
    let x = "(local.get $x)".to_string();
    let y = constant.map_or("(local.get $y)".to_string(), |c| format!("(i64.const {})", c as i64));
    let half = |v: &str, part| format!("(i64.and {v} (i64.const {}))", mask(part));
    let high = |v: &str, part| format!("(i64.shr_u {v} (i64.const {}))", shift(part));
    let (xl, yl, xh, yh) = (half(&x, 0), half(&y, 1), high(&x, 2), high(&y, 3));
    let (first, second) = if rng.chance(50) { ((&xh, &yl), (&xl, &yh)) } else { ((&xl, &yh), (&xh, &yl)) };
    let second = if wrong == 8 { first } else { second };
    let lows = either(rng, "i64.mul", &half(&x, 7), &yl);
    let cross = either(rng, "i64.mul", first.0, first.1);
    let t = either(rng, "i64.add", &cross, &high(&lows, 4));
    let cross = either(rng, "i64.mul", second.0, second.1);
    let u = either(rng, "i64.add", &cross, &half("(local.get $t)", 5));
    let highs = either(rng, "i64.mul", &xh, &yh);
    let mut terms = vec![highs, high("(local.get $t)", 6), high("(local.get $u)", 9)];
    let added = if rng.chance(50) { number(rng) } else { 0 };
    if added != 0 {
        terms.push(format!("(i64.const {})", added as i64));
    }
    let join = *rng.pick(&["i64.or", "i64.add", "i64.xor"]);
    let low_half = if rng.chance(50) { half(&lows, 9) } else { half(&format!("(i64.mul {x} {y})"), 9) };
    let low = either(rng, join, "(i64.shl (local.get $u) (i64.const 32))", &low_half);
    let high = sum(rng, terms);
    let text = format!(
        "(module (func (export \"f\") (param $x i64) (param $y i64) (result i64 i64) (local $t i64) (local $u i64)
        (local.set $t {t}) (local.set $u {u}) {low} {high}))"
    );
    Case { text, constant, slip, added }
}

fn engines() -> [Engine; 2] {
    [Execution::Interpreted, Execution::Compiled].map(|e| {
        let mut config = Config::new();
        e.set(&mut config);
        Engine::new(&config).expect("the settings can be met")
    })
}

#[test]
fn sums_with_outcomes_of_comparisons_are_the_same() {
    let engines = engines();
    let constants = [0, 1, -1, 5, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN];
    let inputs: Vec<(u64, u64)> = INTERESTING.iter().flat_map(|&x| INTERESTING.map(|y| (x, y))).collect();
    for condition in ["lt_u", "gt_u", "le_u", "ge_u", "lt_s", "ge_s", "eq", "ne"] {
        for ty in ["i32", "i64"] {
            let [x, y] = ["$x", "$y"].map(|v| match ty {
                "i32" => format!("(i32.wrap_i64 (local.get {v}))"),
                _ => format!("(local.get {v})"),
            });
            let constant = |c: i64| format!("({ty}.const {})", if ty == "i32" { i64::from(c as i32) } else { c });
            let mut rights = vec![y.clone()];
            rights.extend(constants.map(constant));
            for right in rights {
                sums(&engines, &inputs, [&format!("({ty}.{condition} {x} {right})"), &x, &y], ty);
            }
        }
    }
}

/// All sums of a comparison with operands of it and a constant.
fn sums(engines: &[Engine; 2], inputs: &[(u64, u64)], [compare, x, y]: [&str; 3], ty: &str) {
    let mut narrow = [x.to_string(), y.to_string()];
    if ty == "i64" {
        narrow = narrow.map(|v| format!("(i32.wrap_i64 {v})"));
    }
    let wide = format!("(i64.extend_i32_u {compare})");
    let sums = [
        format!("(i64.add (local.get $y) {wide})"),
        format!("(i64.add {wide} (i64.add (local.get $x) (local.get $y)))"),
        format!("(i64.sub (local.get $x) {wide})"),
        format!("(i64.sub {wide} (local.get $x))"),
        format!("(i64.add {wide} (i64.const 7))"),
        format!("(i64.extend_i32_u (i32.add {} {compare}))", narrow[0]),
        format!("(i64.extend_i32_s (i32.sub {} {compare}))", narrow[1]),
        format!("(i64.extend_i32_u (i32.sub (i32.const 3) {compare}))"),
    ];
    for sum in sums {
        let text = format!(
            "(module (func (export \"f\") (param $x i64) (param $y i64) (result i64 i64) {sum} (i64.const 0)))"
        );
        let [interpreted, compiled] = [0, 1].map(|e| results(&engines[e], &text, inputs));
        assert_eq!(interpreted, compiled, "{text}");
    }
}

#[test]
fn products_of_halves_are_what_they_are() {
    let engines = engines();
    let mut rng = Rng::new(1);
    for _ in 0..400 {
        let case = case(&mut rng);
        let inputs: Vec<(u64, u64)> = (0..24).map(|_| (number(&mut rng), number(&mut rng))).collect();
        let [interpreted, compiled] = [0, 1].map(|e| results(&engines[e], &case.text, &inputs));
        assert_eq!(interpreted, compiled, "{}", case.text);
        for (&(x, y), &(low, high)) in inputs.iter().zip(&compiled).filter(|_| !case.slip) {
            let product = u128::from(x) * u128::from(case.constant.unwrap_or(y));
            let expected = (product as u64, ((product >> 64) as u64).wrapping_add(case.added));
            assert_eq!((low as u64, high as u64), expected, "{x:#x} {y:#x}\n{}", case.text);
        }
    }
}

#[test]
fn a_place_may_have_two_bases() {
    let engines = engines();
    let bases: Vec<u32> = [0u32, 96, 104, 112, 1 << 16, 1 << 31]
        .iter()
        .flat_map(|b| (0..24).map(|d| b.wrapping_sub(12).wrapping_add(d)))
        .collect();
    let inputs: Vec<(u64, u64)> = bases.iter().map(|&b| (u64::from(b), 0x0123_4567_89ab_cdef)).collect();
    for pages in [1, 65536] {
        for (c, o, d, p) in [(96, 8, 0, 104), (0, 104, 96, 8), (96, 0, 0, 96), (104, 4, 108, 0), (-4, 8, 0, 4)] {
            let text = format!(
                "(module (memory {pages}) (func (export \"f\") (param $x i64) (param $y i64) (result i64 i64) (local $f i32)
                (local.set $f (i32.sub (i32.wrap_i64 (local.get $x)) (i32.const 112)))
                (i64.store offset={o} (i32.add (local.get $f) (i32.const {c})) (local.get $y))
                (i64.load offset={p} (i32.add (local.get $f) (i32.const {d})))
                (i64.load32_u offset={p} (i32.add (local.get $f) (i32.const {d})))))"
            );
            let [interpreted, compiled] = [0, 1].map(|e| outcomes(&engines[e], &text, &inputs));
            assert_eq!(interpreted, compiled, "{text}");
        }
    }
}

fn results(engine: &Engine, text: &str, inputs: &[(u64, u64)]) -> Vec<(i64, i64)> {
    outcomes(engine, text, inputs).into_iter().map(|r| r.expect("no trap")).collect()
}

/// Results, or traps as text: with the place of each.
fn outcomes(engine: &Engine, text: &str, inputs: &[(u64, u64)]) -> Vec<Result<(i64, i64), String>> {
    let module = Module::new(engine, text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
    let f = instance.get_export(&mut store, "f").and_then(vm::Extern::into_func).expect("exported");
    let f = f.typed::<(i64, i64), (i64, i64)>(&store).expect("of that type");
    inputs.iter().map(|&(x, y)| f.call(&mut store, (x as i64, y as i64)).map_err(|e| e.to_string())).collect()
}
