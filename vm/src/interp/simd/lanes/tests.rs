//! Every family of vector instructions against scalar arithmetic done another way.
//!
//! In: vectors full of edge values and of reproducible noise. Out: failures that name the instruction. The references
//! compute in wide integers or compare bit patterns, lane by lane, and share no code with what they check.

// Tables of functions and exact decimal values are what these tests are made of.
#![allow(clippy::type_complexity, clippy::approx_constant)]

use super::*;

/// Vectors of one repeated edge byte pattern at every width, and noise.
fn samples() -> Vec<V> {
    let mut all = vec![[0; 16], [0xff; 16], [0x80; 16], [0x7f; 16], [1; 16]];
    for edge in [i16::MIN, i16::MAX, -1, 1, 0x00ff, 0x0100, 0x0080, 0x007f] {
        all.push([edge; 8].pack());
    }
    for edge in [i32::MIN, i32::MAX, 1, 0xffff, 0x1_0000, -0x8000, 0x7fff, -0x8001] {
        all.push([edge; 4].pack());
    }
    for edge in [i64::MIN, i64::MAX, 1, -2, 0xffff_ffff, 0x1_0000_0000] {
        all.push([edge, edge.wrapping_neg()].pack());
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..40 {
        let noise = from_fn(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        });
        all.push(noise);
    }
    all
}

fn pairs() -> impl Iterator<Item = (V, V)> {
    let all = samples();
    let other = all.clone();
    all.into_iter().flat_map(move |a| other.clone().into_iter().map(move |b| (a, b)))
}

/// Lane `i` of `width` bits, as an unsigned number.
fn unsigned(v: V, width: u32, i: u32) -> i128 {
    (u128::from_le_bytes(v) >> (width * i) & ((1 << width) - 1)) as i128
}

/// Lane `i` of `width` bits, as a signed number.
fn signed(v: V, width: u32, i: u32) -> i128 {
    let x = unsigned(v, width, i);
    if x >> (width - 1) == 1 { x - (1 << width) } else { x }
}

/// The vector whose lane `i` of `width` bits holds `f(i)` modulo 2 to the width.
fn vector(width: u32, f: impl Fn(u32) -> i128) -> V {
    let lane = |i: u32| (f(i) as u128 & ((1 << width) - 1)) << (width * i);
    (0..128 / width).map(lane).fold(0, |v, lane| v | lane).to_le_bytes()
}

type Get = fn(V, u32, u32) -> i128;

/// `function width get reference;` — checks a binary instruction on all pairs of samples.
macro_rules! check_binary {
    ($($f:ident $width:literal $get:ident $reference:expr;)*) => { $(
        let (get, reference): (Get, fn(i128, i128) -> i128) = ($get, $reference);
        for (a, b) in pairs() {
            let want = vector($width, |i| reference(get(a, $width, i), get(b, $width, i)));
            assert_eq!($f(a, b), want, "{} {a:?} {b:?}", stringify!($f));
        }
    )* };
}

fn clamp_to(bits: u32, x: i128) -> i128 {
    x.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
}

fn clamp_unsigned(bits: u32, x: i128) -> i128 {
    x.clamp(0, (1 << bits) - 1)
}

fn flag(holds: bool) -> i128 {
    if holds { -1 } else { 0 }
}

#[test]
fn wrapping_arithmetic() {
    check_binary! {
        i8x16_add 8 signed |x, y| x + y;
        i16x8_add 16 signed |x, y| x + y;
        i32x4_add 32 signed |x, y| x + y;
        i64x2_add 64 signed |x, y| x + y;
        i8x16_sub 8 signed |x, y| x - y;
        i16x8_sub 16 signed |x, y| x - y;
        i32x4_sub 32 signed |x, y| x - y;
        i64x2_sub 64 signed |x, y| x - y;
        i16x8_mul 16 signed |x, y| x * y;
        i32x4_mul 32 signed |x, y| x * y;
        i64x2_mul 64 signed |x, y| x * y;
    }
}

#[test]
fn saturating_arithmetic() {
    check_binary! {
        i8x16_add_sat_s 8 signed |x, y| clamp_to(8, x + y);
        i8x16_add_sat_u 8 unsigned |x, y| clamp_unsigned(8, x + y);
        i8x16_sub_sat_s 8 signed |x, y| clamp_to(8, x - y);
        i8x16_sub_sat_u 8 unsigned |x, y| clamp_unsigned(8, x - y);
        i16x8_add_sat_s 16 signed |x, y| clamp_to(16, x + y);
        i16x8_add_sat_u 16 unsigned |x, y| clamp_unsigned(16, x + y);
        i16x8_sub_sat_s 16 signed |x, y| clamp_to(16, x - y);
        i16x8_sub_sat_u 16 unsigned |x, y| clamp_unsigned(16, x - y);
        i16x8_q15mulr_sat_s 16 signed |x, y| clamp_to(16, (x * y + 0x4000).div_euclid(0x8000));
        i16x8_relaxed_q15mulr_s 16 signed |x, y| clamp_to(16, (x * y + 0x4000).div_euclid(0x8000));
    }
}

#[test]
fn smallest_greatest_average() {
    check_binary! {
        i8x16_min_s 8 signed |x, y| x.min(y);
        i8x16_min_u 8 unsigned |x, y| x.min(y);
        i8x16_max_s 8 signed |x, y| x.max(y);
        i8x16_max_u 8 unsigned |x, y| x.max(y);
        i16x8_min_s 16 signed |x, y| x.min(y);
        i16x8_min_u 16 unsigned |x, y| x.min(y);
        i16x8_max_s 16 signed |x, y| x.max(y);
        i16x8_max_u 16 unsigned |x, y| x.max(y);
        i32x4_min_s 32 signed |x, y| x.min(y);
        i32x4_min_u 32 unsigned |x, y| x.min(y);
        i32x4_max_s 32 signed |x, y| x.max(y);
        i32x4_max_u 32 unsigned |x, y| x.max(y);
        i8x16_avgr_u 8 unsigned |x, y| (x + y + 1) / 2;
        i16x8_avgr_u 16 unsigned |x, y| (x + y + 1) / 2;
    }
}

#[test]
fn integer_comparisons() {
    macro_rules! check_order {
        ($($width:literal: $eq:ident $ne:ident $lt:ident $gt:ident $le:ident $ge:ident $get:ident;)*) => {
            check_binary! { $(
                $eq $width $get |x, y| flag(x == y);
                $ne $width $get |x, y| flag(x != y);
                $lt $width $get |x, y| flag(x < y);
                $gt $width $get |x, y| flag(x > y);
                $le $width $get |x, y| flag(x <= y);
                $ge $width $get |x, y| flag(x >= y);
            )* }
        };
    }
    check_order! {
        8: i8x16_eq i8x16_ne i8x16_lt_s i8x16_gt_s i8x16_le_s i8x16_ge_s signed;
        8: i8x16_eq i8x16_ne i8x16_lt_u i8x16_gt_u i8x16_le_u i8x16_ge_u unsigned;
        16: i16x8_eq i16x8_ne i16x8_lt_s i16x8_gt_s i16x8_le_s i16x8_ge_s signed;
        16: i16x8_eq i16x8_ne i16x8_lt_u i16x8_gt_u i16x8_le_u i16x8_ge_u unsigned;
        32: i32x4_eq i32x4_ne i32x4_lt_s i32x4_gt_s i32x4_le_s i32x4_ge_s signed;
        32: i32x4_eq i32x4_ne i32x4_lt_u i32x4_gt_u i32x4_le_u i32x4_ge_u unsigned;
        64: i64x2_eq i64x2_ne i64x2_lt_s i64x2_gt_s i64x2_le_s i64x2_ge_s signed;
    }
}

#[test]
fn bitwise() {
    let number = u128::from_le_bytes;
    for (a, b) in pairs() {
        assert_eq!(number(v128_and(a, b)), number(a) & number(b));
        assert_eq!(number(v128_or(a, b)), number(a) | number(b));
        assert_eq!(number(v128_xor(a, b)), number(a) ^ number(b));
        assert_eq!(number(v128_andnot(a, b)), number(a) & !number(b));
        assert_eq!(number(v128_not(a)), !number(a));
        let mask = i8x16_add(a, b);
        let want = from_fn(|i| (a[i] & mask[i]) | (b[i] & !mask[i]));
        for select in [
            v128_bitselect,
            i8x16_relaxed_laneselect,
            i16x8_relaxed_laneselect,
            i32x4_relaxed_laneselect,
            i64x2_relaxed_laneselect,
        ] {
            assert_eq!(select(a, b, mask), want);
        }
    }
}

/// `function width get reference;` — checks a unary instruction on all samples.
macro_rules! check_unary {
    ($($f:ident $width:literal $get:ident $reference:expr;)*) => { $(
        let (get, reference): (Get, fn(i128) -> i128) = ($get, $reference);
        for a in samples() {
            assert_eq!($f(a), vector($width, |i| reference(get(a, $width, i))), "{} {a:?}", stringify!($f));
        }
    )* };
}

#[test]
fn integer_unary() {
    check_unary! {
        i8x16_abs 8 signed |x| if x < 0 { -x } else { x };
        i16x8_abs 16 signed |x| if x < 0 { -x } else { x };
        i32x4_abs 32 signed |x| if x < 0 { -x } else { x };
        i64x2_abs 64 signed |x| if x < 0 { -x } else { x };
        i8x16_neg 8 signed |x| -x;
        i16x8_neg 16 signed |x| -x;
        i32x4_neg 32 signed |x| -x;
        i64x2_neg 64 signed |x| -x;
        i8x16_popcnt 8 unsigned |x| (0..8).map(|bit| x >> bit & 1).sum();
    }
}

#[test]
fn lane_tests() {
    macro_rules! check {
        ($($all_true:ident $bitmask:ident $width:literal;)*) => { $(
            for (a, b) in pairs() {
                // The products give lanes of zeros and lanes of every sign side by side.
                let v = i16x8_mul(a, b);
                let lanes = 0..128 / $width;
                let mask = lanes.clone().map(|i| i32::from(signed(v, $width, i) < 0) << i).sum::<i32>();
                assert_eq!($bitmask(v), mask, "{} {v:?}", stringify!($bitmask));
                let all = lanes.clone().all(|i| unsigned(v, $width, i) != 0);
                assert_eq!($all_true(v), i32::from(all), "{} {v:?}", stringify!($all_true));
                assert_eq!(v128_any_true(v), i32::from(v != [0; 16]));
            }
            for i in 0..128 / $width {
                let one = vector($width, |lane| if lane == i { 1 << ($width - 1) } else { 0 });
                assert_eq!($bitmask(one), 1 << i);
                assert_eq!($all_true(v128_not(vector($width, |lane| flag(lane == i)))), 0);
                assert_eq!(v128_any_true(one), 1);
            }
        )* };
    }
    check! {
        i8x16_all_true i8x16_bitmask 8;
        i16x8_all_true i16x8_bitmask 16;
        i32x4_all_true i32x4_bitmask 32;
        i64x2_all_true i64x2_bitmask 64;
    }
}

#[test]
fn shifts() {
    macro_rules! check {
        ($($shl:ident $shr_s:ident $shr_u:ident $width:literal;)*) => { $(
            for v in samples() {
                for count in (0..=2 * $width).chain([u32::MAX, 1 << 31]) {
                    let n = count % $width;
                    assert_eq!($shl(v, count), vector($width, |i| ((unsigned(v, $width, i) as u128) << n) as i128));
                    assert_eq!($shr_s(v, count), vector($width, |i| signed(v, $width, i).div_euclid(1 << n)));
                    assert_eq!($shr_u(v, count), vector($width, |i| unsigned(v, $width, i) / (1 << n)));
                }
            }
        )* };
    }
    check! {
        i8x16_shl i8x16_shr_s i8x16_shr_u 8;
        i16x8_shl i16x8_shr_s i16x8_shr_u 16;
        i32x4_shl i32x4_shr_s i32x4_shr_u 32;
        i64x2_shl i64x2_shr_s i64x2_shr_u 64;
    }
}

#[test]
fn narrowing() {
    macro_rules! check {
        ($($f:ident $width:literal $clamp:ident;)*) => { $(
            for (a, b) in pairs() {
                let count = 64 / $width;
                let lane = |i| if i < count { signed(a, 2 * $width, i) } else { signed(b, 2 * $width, i - count) };
                assert_eq!($f(a, b), vector($width, |i| $clamp($width, lane(i))), "{} {a:?} {b:?}", stringify!($f));
            }
        )* };
    }
    check! {
        i8x16_narrow_i16x8_s 8 clamp_to;
        i8x16_narrow_i16x8_u 8 clamp_unsigned;
        i16x8_narrow_i32x4_s 16 clamp_to;
        i16x8_narrow_i32x4_u 16 clamp_unsigned;
    }
}

#[test]
fn widening() {
    macro_rules! check {
        ($($low:ident $high:ident $mul_low:ident $mul_high:ident $load:ident $width:literal $get:ident;)*) => { $(
            for (a, b) in pairs() {
                let count = 64 / $width;
                let lane = |v, i| $get(v, $width, i);
                assert_eq!($low(a), vector(2 * $width, |i| lane(a, i)));
                assert_eq!($high(a), vector(2 * $width, |i| lane(a, count + i)));
                assert_eq!($load(u64x2(a)[0]), $low(a));
                assert_eq!($mul_low(a, b), vector(2 * $width, |i| lane(a, i) * lane(b, i)));
                assert_eq!($mul_high(a, b), vector(2 * $width, |i| lane(a, count + i) * lane(b, count + i)));
            }
        )* };
    }
    check! {
        i16x8_extend_low_i8x16_s i16x8_extend_high_i8x16_s
            i16x8_extmul_low_i8x16_s i16x8_extmul_high_i8x16_s load8x8_s 8 signed;
        i16x8_extend_low_i8x16_u i16x8_extend_high_i8x16_u
            i16x8_extmul_low_i8x16_u i16x8_extmul_high_i8x16_u load8x8_u 8 unsigned;
        i32x4_extend_low_i16x8_s i32x4_extend_high_i16x8_s
            i32x4_extmul_low_i16x8_s i32x4_extmul_high_i16x8_s load16x4_s 16 signed;
        i32x4_extend_low_i16x8_u i32x4_extend_high_i16x8_u
            i32x4_extmul_low_i16x8_u i32x4_extmul_high_i16x8_u load16x4_u 16 unsigned;
        i64x2_extend_low_i32x4_s i64x2_extend_high_i32x4_s
            i64x2_extmul_low_i32x4_s i64x2_extmul_high_i32x4_s load32x2_s 32 signed;
        i64x2_extend_low_i32x4_u i64x2_extend_high_i32x4_u
            i64x2_extmul_low_i32x4_u i64x2_extmul_high_i32x4_u load32x2_u 32 unsigned;
    }
}

#[test]
fn sums_of_neighbours() {
    macro_rules! check {
        ($($f:ident $width:literal $get:ident;)*) => { $(
            for v in samples() {
                let want = vector(2 * $width, |i| $get(v, $width, 2 * i) + $get(v, $width, 2 * i + 1));
                assert_eq!($f(v), want, "{} {v:?}", stringify!($f));
            }
        )* };
    }
    check! {
        i16x8_extadd_pairwise_i8x16_s 8 signed;
        i16x8_extadd_pairwise_i8x16_u 8 unsigned;
        i32x4_extadd_pairwise_i16x8_s 16 signed;
        i32x4_extadd_pairwise_i16x8_u 16 unsigned;
    }
    let dot = |width: u32, a, b, i| {
        let product = |i| signed(a, width, i) * signed(b, width, i);
        product(2 * i) + product(2 * i + 1)
    };
    for (a, b) in pairs() {
        assert_eq!(i32x4_dot_i16x8_s(a, b), vector(32, |i| dot(16, a, b, i)));
        let sums = vector(16, |i| dot(8, a, b, i));
        assert_eq!(i16x8_relaxed_dot_i8x16_i7x16_s(a, b), sums);
        let c = v128_xor(a, b);
        let want = vector(32, |i| signed(sums, 16, 2 * i) + signed(sums, 16, 2 * i + 1) + signed(c, 32, i));
        assert_eq!(i32x4_relaxed_dot_i8x16_i7x16_add_s(a, b, c), want);
    }
}

#[test]
fn lanes_by_number() {
    let (a, b): (V, V) = (from_fn(|i| i as u8 + 100), from_fn(|i| i as u8 + 200));
    let numbers = [0, 31, 15, 16, 7, 8, 30, 1, 255, 32, 5, 5, 17, 20, 2, 3];
    assert_eq!(
        i8x16_shuffle(a, b, numbers),
        [100, 215, 115, 200, 107, 108, 214, 101, 215, 100, 105, 105, 201, 204, 102, 103]
    );
    for swizzle in [i8x16_swizzle, i8x16_relaxed_swizzle] {
        assert_eq!(swizzle(a, numbers), [100, 0, 115, 0, 107, 108, 0, 101, 0, 0, 105, 105, 0, 0, 102, 103]);
        assert_eq!(swizzle(a, [128; 16]), [0; 16]);
    }
}

#[test]
fn single_integer_lanes() {
    macro_rules! check {
        ($($splat:ident $replace:ident $width:literal [$($extract:ident $get:ident)*] $scalar:ident;)*) => { $(
            let count = 128 / $width;
            for v in samples() {
                let x = i64x2(v)[1] as $scalar;
                assert_eq!($splat(x), vector($width, |_| i128::from(x)));
                // Lane numbers beyond the last wrap round: they never panic.
                for lane in (0..count).chain([count, 255]) {
                    let n = lane % count;
                    $( assert_eq!(i128::from($extract(v, lane as usize)), $get(v, $width, n)); )*
                    let want = vector($width, |i| if i == n { i128::from(x) } else { signed(v, $width, i) });
                    assert_eq!($replace(v, x, lane as usize), want);
                }
            }
        )* };
    }
    check! {
        i8x16_splat i8x16_replace_lane 8 [i8x16_extract_lane_s signed i8x16_extract_lane_u unsigned] i32;
        i16x8_splat i16x8_replace_lane 16 [i16x8_extract_lane_s signed i16x8_extract_lane_u unsigned] i32;
        i32x4_splat i32x4_replace_lane 32 [i32x4_extract_lane signed] i32;
        i64x2_splat i64x2_replace_lane 64 [i64x2_extract_lane signed] i64;
    }
}

const F32_EDGES: [u32; 18] = [
    0,
    0x8000_0000,
    1,
    0x8000_0001,
    0x3f80_0000,
    0xbf80_0000,
    0x3f00_0000,
    0xbf00_0000,
    0x3fc0_0000,
    0x4020_0000,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0xffc0_0000,
    0x7fa0_0000,
    0x4f00_0000,
];

fn f64_edges() -> Vec<u64> {
    let halves = [0.5, -0.5, 1.5, -2.5, 2147483647.9, -2147483648.9, 2147483648.0, 4294967295.9, 4294967296.0, -1.0];
    let special = [0, 1 << 63, 1, 0x7fef << 48, 0x7ff0 << 48, 0xfff0 << 48, 0x7ff8 << 48, 0xfff8 << 48, 0x7ff4 << 48];
    halves.map(f64::to_bits).into_iter().chain(special).collect()
}

/// Whether `got` is what `want` is: any arithmetic NaN for a NaN, the same bits for everything else.
fn agrees(got: f64, want: f64, quiet: bool) -> bool {
    if want.is_nan() { got.is_nan() && quiet } else { got.to_bits() == want.to_bits() }
}

/// The specification's minimum, by cases on values and signs.
fn min_by_cases(x: f64, y: f64) -> f64 {
    match (x.is_nan() || y.is_nan(), x == 0.0 && y == 0.0) {
        (true, _) => f64::NAN,
        (_, true) if x.is_sign_negative() || y.is_sign_negative() => -0.0,
        _ => [x, y].into_iter().min_by(f64::total_cmp).unwrap_or(x),
    }
}

fn max_by_cases(x: f64, y: f64) -> f64 {
    -min_by_cases(-x, -y)
}

#[test]
fn float_extremes() {
    let extremes: [(fn(V, V) -> V, fn(V, V) -> V, fn(f64, f64) -> f64); 4] = [
        (f32x4_min, f64x2_min, min_by_cases),
        (f32x4_max, f64x2_max, max_by_cases),
        (f32x4_relaxed_min, f64x2_relaxed_min, min_by_cases),
        (f32x4_relaxed_max, f64x2_relaxed_max, max_by_cases),
    ];
    for (of_f32, of_f64, reference) in extremes {
        for (x, y) in F32_EDGES.into_iter().flat_map(|x| F32_EDGES.map(|y| (x, y))) {
            let want = reference(f32::from_bits(x).into(), f32::from_bits(y).into());
            for got in u32x4(of_f32([x; 4].pack(), [y; 4].pack())) {
                assert!(agrees(f32::from_bits(got).into(), want, got & 0x40_0000 != 0), "{x:x} {y:x} {got:x}");
            }
        }
        for (x, y) in f64_edges().into_iter().flat_map(|x| f64_edges().into_iter().map(move |y| (x, y))) {
            let want = reference(f64::from_bits(x), f64::from_bits(y));
            for got in u64x2(of_f64([x; 2].pack(), [y; 2].pack())) {
                assert!(agrees(f64::from_bits(got), want, got & (1 << 51) != 0), "{x:x} {y:x} {got:x}");
            }
        }
    }
}

#[test]
fn canonical_nan_stays_canonical() {
    for other in F32_EDGES.into_iter().filter(|&bits| !f32::from_bits(bits).is_nan()) {
        for extreme in [f32x4_min, f32x4_max] {
            for got in u32x4(extreme([0x7fc0_0000; 4].pack(), [other; 4].pack())) {
                assert_eq!(got & 0x7fff_ffff, 0x7fc0_0000);
            }
        }
    }
}

#[test]
fn pseudo_extremes_pass_operands_on() {
    // The first operand is the result, bit for bit, unless the second is truly beyond it.
    for (x, y) in F32_EDGES.into_iter().flat_map(|x| F32_EDGES.map(|y| (x, y))) {
        let (fx, fy) = (f32::from_bits(x), f32::from_bits(y));
        let (a, b) = ([x; 4].pack(), [y; 4].pack());
        assert_eq!(u32x4(f32x4_pmin(a, b)), [if fy < fx { y } else { x }; 4]);
        assert_eq!(u32x4(f32x4_pmax(a, b)), [if fx < fy { y } else { x }; 4]);
    }
    for (x, y) in f64_edges().into_iter().flat_map(|x| f64_edges().into_iter().map(move |y| (x, y))) {
        let (fx, fy) = (f64::from_bits(x), f64::from_bits(y));
        let (a, b) = ([x; 2].pack(), [y; 2].pack());
        assert_eq!(u64x2(f64x2_pmin(a, b)), [if fy < fx { y } else { x }; 2]);
        assert_eq!(u64x2(f64x2_pmax(a, b)), [if fx < fy { y } else { x }; 2]);
    }
}

#[test]
fn float_comparisons() {
    use core::cmp::Ordering::{Equal, Greater, Less};
    type Holds = fn(Option<core::cmp::Ordering>) -> bool;
    let comparisons: [(fn(V, V) -> V, fn(V, V) -> V, Holds); 6] = [
        (f32x4_eq, f64x2_eq, |o| o == Some(Equal)),
        (f32x4_ne, f64x2_ne, |o| o != Some(Equal)),
        (f32x4_lt, f64x2_lt, |o| o == Some(Less)),
        (f32x4_gt, f64x2_gt, |o| o == Some(Greater)),
        (f32x4_le, f64x2_le, |o| matches!(o, Some(Less | Equal))),
        (f32x4_ge, f64x2_ge, |o| matches!(o, Some(Greater | Equal))),
    ];
    for (x, y) in F32_EDGES.into_iter().flat_map(|x| F32_EDGES.map(|y| (f32::from_bits(x), f32::from_bits(y)))) {
        for (of_f32, of_f64, holds) in comparisons {
            let want = vector(128 / 2, |_| flag(holds(x.partial_cmp(&y))));
            assert_eq!(of_f32([x; 4].pack(), [y; 4].pack()), want, "{x} {y}");
            assert_eq!(of_f64([f64::from(x); 2].pack(), [f64::from(y); 2].pack()), want, "{x} {y}");
        }
    }
}

#[test]
fn float_arithmetic() {
    let (a, b) = ([1.5_f32, -0.0, f32::MAX, 1.0], [0.5_f32, 0.0, f32::MAX, 3.0]);
    assert_eq!(f32x4(f32x4_add(a.pack(), b.pack())), [2.0, 0.0, f32::INFINITY, 4.0]);
    assert_eq!(u32x4(f32x4_sub(a.pack(), b.pack())), [0x3f80_0000, 0x8000_0000, 0, 0xc000_0000]);
    assert_eq!(u32x4(f32x4_mul(a.pack(), b.pack())), [0x3f40_0000, 0x8000_0000, 0x7f80_0000, 0x4040_0000]);
    let quotients = f32x4_div([9.0_f32, 1.0, -0.0, -1.0].pack(), [3.0_f32, 0.0, 5.0, 0.0].pack());
    assert_eq!(u32x4(quotients), [0x4040_0000, 0x7f80_0000, 0x8000_0000, 0xff80_0000]);
    let (a, b) = ([1.5, -0.0], [0.5, 0.0]);
    assert_eq!(f64x2(f64x2_add(a.pack(), b.pack())), [2.0, 0.0]);
    assert_eq!(u64x2(f64x2_sub(a.pack(), b.pack())), [0x3ff0 << 48, 1 << 63]);
    assert_eq!(u64x2(f64x2_mul(a.pack(), b.pack())), [0x3fe8 << 48, 1 << 63]);
    assert_eq!(f64x2(f64x2_div([9.0, -1.0].pack(), [3.0, 0.0].pack())), [3.0, f64::NEG_INFINITY]);
    assert_eq!(f32x4(f32x4_sqrt([4.0_f32, 0.25, 2.0, 0.0].pack())), [2.0, 0.5, 1.414_213_5, 0.0]);
    assert_eq!(f64x2(f64x2_sqrt([4.0, 2.25].pack())), [2.0, 1.5]);
}

#[test]
fn signs_are_bits() {
    for bits in F32_EDGES {
        assert_eq!(u32x4(f32x4_abs([bits; 4].pack())), [bits & 0x7fff_ffff; 4]);
        assert_eq!(u32x4(f32x4_neg([bits; 4].pack())), [bits ^ 0x8000_0000; 4]);
    }
    for bits in f64_edges() {
        assert_eq!(u64x2(f64x2_abs([bits; 2].pack())), [bits & !(1 << 63); 2]);
        assert_eq!(u64x2(f64x2_neg([bits; 2].pack())), [bits ^ 1 << 63; 2]);
    }
}

#[test]
fn rounding() {
    // Operand, then its ceiling, floor, truncation and nearest integer with ties to even.
    let table = [
        (0.5, 1.0, 0.0, 0.0, 0.0),
        (-0.5, -0.0, -1.0, -0.0, -0.0),
        (1.5, 2.0, 1.0, 1.0, 2.0),
        (2.5, 3.0, 2.0, 2.0, 2.0),
        (-2.5, -2.0, -3.0, -2.0, -2.0),
        (-3.5, -3.0, -4.0, -3.0, -4.0),
        (-0.0, -0.0, -0.0, -0.0, -0.0),
        (8_388_609.0, 8_388_609.0, 8_388_609.0, 8_388_609.0, 8_388_609.0),
        (f32::INFINITY, f32::INFINITY, f32::INFINITY, f32::INFINITY, f32::INFINITY),
    ];
    for (x, ceil, floor, trunc, nearest) in table {
        let single: [(fn(V) -> V, f32); 4] =
            [(f32x4_ceil, ceil), (f32x4_floor, floor), (f32x4_trunc, trunc), (f32x4_nearest, nearest)];
        for (f, want) in single {
            assert_eq!(u32x4(f([x; 4].pack())), [want.to_bits(); 4], "{x}");
        }
        let double: [(fn(V) -> V, f32); 4] =
            [(f64x2_ceil, ceil), (f64x2_floor, floor), (f64x2_trunc, trunc), (f64x2_nearest, nearest)];
        for (f, want) in double {
            assert_eq!(u64x2(f([f64::from(x); 2].pack())), [f64::from(want).to_bits(); 2], "{x}");
        }
    }
}

#[test]
fn floats_to_integers() {
    let cases: [(f64, i32, u32); 12] = [
        (0.0, 0, 0),
        (-0.9, 0, 0),
        (1.9, 1, 1),
        (-1.9, -1, 0),
        (2147483647.9, i32::MAX, 2147483647),
        (2147483648.0, i32::MAX, 2147483648),
        (-2147483649.0, i32::MIN, 0),
        (4294967295.5, i32::MAX, u32::MAX),
        (4294967296.0, i32::MAX, u32::MAX),
        (f64::INFINITY, i32::MAX, u32::MAX),
        (f64::NEG_INFINITY, i32::MIN, 0),
        (f64::NAN, 0, 0),
    ];
    for (x, s, u) in cases {
        for f in [i32x4_trunc_sat_f64x2_s_zero, i32x4_relaxed_trunc_f64x2_s_zero] {
            assert_eq!(i32x4(f([x; 2].pack())), [s, s, 0, 0], "{x}");
        }
        for f in [i32x4_trunc_sat_f64x2_u_zero, i32x4_relaxed_trunc_f64x2_u_zero] {
            assert_eq!(u32x4(f([x; 2].pack())), [u, u, 0, 0], "{x}");
        }
        // Only numbers that single precision holds exactly.
        if f64::from(x as f32) == x || x.is_nan() {
            for f in [i32x4_trunc_sat_f32x4_s, i32x4_relaxed_trunc_f32x4_s] {
                assert_eq!(i32x4(f([x as f32; 4].pack())), [s; 4], "{x}");
            }
            for f in [i32x4_trunc_sat_f32x4_u, i32x4_relaxed_trunc_f32x4_u] {
                assert_eq!(u32x4(f([x as f32; 4].pack())), [u; 4], "{x}");
            }
        }
    }
}

#[test]
fn conversions_between_formats() {
    let v = [-1, i32::MIN, 16_777_217, 0].pack();
    assert_eq!(f32x4(f32x4_convert_i32x4_s(v)), [-1.0, -2_147_483_648.0, 16_777_216.0, 0.0]);
    assert_eq!(f32x4(f32x4_convert_i32x4_u(v)), [4_294_967_296.0, 2_147_483_648.0, 16_777_216.0, 0.0]);
    assert_eq!(f64x2(f64x2_convert_low_i32x4_s(v)), [-1.0, -2_147_483_648.0]);
    assert_eq!(f64x2(f64x2_convert_low_i32x4_u(v)), [4_294_967_295.0, 2_147_483_648.0]);
    assert_eq!(u32x4(f32x4_demote_f64x2_zero([-1e-60, 1e60].pack())), [0x8000_0000, 0x7f80_0000, 0, 0]);
    assert_eq!(f64x2(f64x2_promote_low_f32x4([1.5_f32, -0.25, 7.0, 8.0].pack())), [1.5, -0.25]);
    // A signalling NaN becomes quiet on the way.
    assert_ne!(u64x2(f64x2_promote_low_f32x4([0x7fa0_0000_u32; 4].pack()))[0] & (1 << 51), 0);
    assert_ne!(u32x4(f32x4_demote_f64x2_zero([0x7ff4_u64 << 48; 2].pack()))[1] & 0x40_0000, 0);
}

#[test]
fn single_float_lanes() {
    let v = [1.0_f32, 2.0, 3.0, 4.0].pack();
    assert_eq!(f32x4_splat(2.5), [2.5_f32; 4].pack());
    assert_eq!([0, 1, 2, 3, 4].map(|lane| f32x4_extract_lane(v, lane)), [1.0, 2.0, 3.0, 4.0, 1.0]);
    assert_eq!(f32x4(f32x4_replace_lane(v, -1.0, 2)), [1.0, 2.0, -1.0, 4.0]);
    let v = [1.0, 2.0].pack();
    assert_eq!(f64x2_splat(2.5), [2.5; 2].pack());
    assert_eq!([0, 1, 2].map(|lane| f64x2_extract_lane(v, lane)), [1.0, 2.0, 1.0]);
    assert_eq!(f64x2(f64x2_replace_lane(v, -1.0, 1)), [1.0, -1.0]);
}

#[test]
fn multiply_add_rounds_twice() {
    // The product needs one bit more than there is; only a fused sum would see it.
    let (x, y) = (1.0 + f32::EPSILON * 2.0, 1.0 + f32::EPSILON * 256.0);
    let product = x * y;
    assert_ne!(f64::from(x) * f64::from(y), f64::from(product));
    let (a, b, c) = ([x; 4].pack(), [y; 4].pack(), [-product; 4].pack());
    assert_eq!(f32x4(f32x4_relaxed_madd(a, b, c)), [0.0; 4]);
    assert_eq!(f32x4(f32x4_relaxed_nmadd(f32x4_neg(a), b, c)), [0.0; 4]);
    assert_eq!(f32x4(f32x4_relaxed_nmadd([2.0_f32; 4].pack(), [3.0_f32; 4].pack(), [10.0_f32; 4].pack())), [4.0; 4]);
    let huge = [f64::MAX; 2].pack();
    let two = [2.0; 2].pack();
    assert_eq!(f64x2(f64x2_relaxed_madd(huge, two, f64x2_neg(huge))), [f64::INFINITY; 2]);
    assert_eq!(f64x2(f64x2_relaxed_nmadd(two, two, two)), [-2.0; 2]);
}
