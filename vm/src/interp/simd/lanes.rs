//! What each vector instruction computes.
//!
//! In: vectors, scalars and lane numbers. Out: vectors or scalars. One pure function per instruction, named as the
//! instruction; no function panics whatever it is given. Vectors are 16 bytes in memory order, lane 0 first, little
//! end first, on every host. Lanes are reached through `Shape`; the tables below are written so that the compiler
//! turns each row into vector instructions of the host.
//!
//! Relaxed instructions take the choice of the specification's deterministic profile (every `R` parameter 0): each
//! behaves as its strict relative, and the multiply-adds round twice.

use core::array::from_fn;
use core::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

/// A `v128` in memory order.
pub(crate) type V = [u8; 16];

/// A vector seen as lanes.
trait Shape {
    fn pack(self) -> V;
}

/// `name lane count bytes;` — a function that takes a vector apart into lanes, and the way back.
macro_rules! shapes {
    ($($name:ident $lane:ident $count:literal $bytes:literal;)*) => { $(
        #[inline(always)]
        fn $name(v: V) -> [$lane; $count] {
            let lanes = v.as_chunks::<$bytes>().0;
            from_fn(|i| $lane::from_le_bytes(lanes[i]))
        }

        impl Shape for [$lane; $count] {
            #[inline(always)]
            fn pack(self) -> V {
                let mut v = [0; 16];
                for (bytes, lane) in v.as_chunks_mut::<$bytes>().0.iter_mut().zip(self) {
                    *bytes = lane.to_le_bytes();
                }
                v
            }
        }
    )* };
}

shapes! {
    i8x16 i8 16 1;
    u8x16 u8 16 1;
    i16x8 i16 8 2;
    u16x8 u16 8 2;
    i32x4 i32 4 4;
    u32x4 u32 4 4;
    i64x2 i64 2 8;
    u64x2 u64 2 8;
    f32x4 f32 4 4;
    f64x2 f64 2 8;
}

#[inline(always)]
fn zip<A: Copy, R, const N: usize>(a: [A; N], b: [A; N], f: impl Fn(A, A) -> R) -> [R; N] {
    from_fn(|i| f(a[i], b[i]))
}

/// The `N` lanes from lane `first` on. `first + N` must not exceed `M`: callers pass 0 or `M / 2`.
#[inline(always)]
fn lanes_from<A: Copy, const M: usize, const N: usize>(a: [A; M], first: usize) -> [A; N] {
    from_fn(|i| a[first + i])
}

/// Two half vectors, `low` first.
#[inline(always)]
fn join<A: Copy, const N: usize, const M: usize>(low: [A; N], high: [A; N]) -> [A; M] {
    from_fn(|i| if i < N { low[i] } else { high[i - N] })
}

/// `name: shape, lane function;` — one vector in, one out.
macro_rules! unary {
    ($($name:ident: $shape:ident, $f:expr;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(a: V) -> V {
            $shape(a).map($f).pack()
        }
    )* };
}

/// `name: shape, lane function;` — two vectors in, one out.
macro_rules! binary {
    ($($name:ident: $shape:ident, $f:expr;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(a: V, b: V) -> V {
            zip($shape(a), $shape(b), $f).pack()
        }
    )* };
}

/// `name(operands) = of;` — a relaxed instruction and its strict relative.
macro_rules! same {
    ($($name:ident($($arg:ident),*) = $of:ident;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name($($arg: V),*) -> V {
            $of($($arg),*)
        }
    )* };
}

// ---- Whole vectors ----

unary! {
    v128_not: u64x2, Not::not;
}

binary! {
    v128_and: u64x2, BitAnd::bitand;
    v128_andnot: u64x2, |x, y| x & !y;
    v128_or: u64x2, BitOr::bitor;
    v128_xor: u64x2, BitXor::bitxor;
}

/// Bits of `a` where `mask` is set, of `b` elsewhere.
#[inline(always)]
pub(crate) fn v128_bitselect(a: V, b: V, mask: V) -> V {
    v128_or(v128_and(a, mask), v128_andnot(b, mask))
}

#[inline(always)]
pub(crate) fn v128_any_true(v: V) -> i32 {
    let [low, high] = u64x2(v);
    i32::from(low | high != 0)
}

/// Lane `i` is lane `lanes[i]` of the 32 that `a` and `b` make up. Validation admits only numbers below 32.
#[inline(always)]
pub(crate) fn i8x16_shuffle(a: V, b: V, lanes: [u8; 16]) -> V {
    gather::<32>(join(a, b), lanes)
}

/// The bytes of `table` with the numbers in `lanes`, taken modulo `N`, a power of two.
#[inline(always)]
fn gather<const N: usize>(table: [u8; N], lanes: [u8; 16]) -> V {
    let pick = |i: usize| u64::from(table[usize::from(lanes[i]) & (N - 1)]);
    let half = |first: usize| (0..8).fold(0, |bits, i| bits | pick(first + i) << (8 * i));
    // Put together in two registers: a vector written to memory byte by byte would stall whoever reads it next.
    [half(0), half(8)].pack()
}

/// Lane `i` is the lane of `a` whose number is in lane `i` of `s`, or 0 where there is none.
#[inline(always)]
pub(crate) fn i8x16_swizzle(a: V, s: V) -> V {
    // A table for all numbers a byte can hold: clearing it costs less than looking at 16 numbers.
    let mut table = [0; 256];
    table[..16].copy_from_slice(&a);
    gather(table, s)
}

// ---- Single lanes ----

/// `name: shape, scalar as lane;` — every lane the same.
macro_rules! splat {
    ($($name:ident: $scalar:ident => $lane:ident $count:literal;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(x: $scalar) -> V {
            [x as $lane; $count].pack()
        }
    )* };
}

splat! {
    i8x16_splat: i32 => i8 16;
    i16x8_splat: i32 => i16 8;
    i32x4_splat: i32 => i32 4;
    i64x2_splat: i64 => i64 2;
    f32x4_splat: f32 => f32 4;
    f64x2_splat: f64 => f64 2;
}

/// `name: shape => scalar;` — one lane out, extended to the scalar. The lane number is taken modulo the lane count.
macro_rules! extract {
    ($($name:ident: $shape:ident => $scalar:ident;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(v: V, lane: usize) -> $scalar {
            let lanes = $shape(v);
            lanes[lane & (lanes.len() - 1)] as $scalar
        }
    )* };
}

extract! {
    i8x16_extract_lane_s: i8x16 => i32;
    i8x16_extract_lane_u: u8x16 => i32;
    i16x8_extract_lane_s: i16x8 => i32;
    i16x8_extract_lane_u: u16x8 => i32;
    i32x4_extract_lane: i32x4 => i32;
    i64x2_extract_lane: i64x2 => i64;
    f32x4_extract_lane: f32x4 => f32;
    f64x2_extract_lane: f64x2 => f64;
}

/// `name: shape, scalar => lane;` — one lane in. The lane number is taken modulo the lane count.
macro_rules! replace {
    ($($name:ident: $shape:ident, $scalar:ident => $lane:ident;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(v: V, x: $scalar, lane: usize) -> V {
            let mut lanes = $shape(v);
            lanes[lane & (lanes.len() - 1)] = x as $lane;
            lanes.pack()
        }
    )* };
}

replace! {
    i8x16_replace_lane: i8x16, i32 => i8;
    i16x8_replace_lane: i16x8, i32 => i16;
    i32x4_replace_lane: i32x4, i32 => i32;
    i64x2_replace_lane: i64x2, i64 => i64;
    f32x4_replace_lane: f32x4, f32 => f32;
    f64x2_replace_lane: f64x2, f64 => f64;
}

// ---- Comparisons ----

/// `name: shape, operator, mask lane;` — all bits of a lane set where the comparison holds, none elsewhere.
macro_rules! compare {
    ($($name:ident: $shape:ident $op:tt $mask:ident;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(a: V, b: V) -> V {
            zip($shape(a), $shape(b), |x, y| -$mask::from(x $op y)).pack()
        }
    )* };
}

compare! {
    i8x16_eq: u8x16 == i8;
    i8x16_ne: u8x16 != i8;
    i8x16_lt_s: i8x16 < i8;
    i8x16_lt_u: u8x16 < i8;
    i8x16_gt_s: i8x16 > i8;
    i8x16_gt_u: u8x16 > i8;
    i8x16_le_s: i8x16 <= i8;
    i8x16_le_u: u8x16 <= i8;
    i8x16_ge_s: i8x16 >= i8;
    i8x16_ge_u: u8x16 >= i8;
    i16x8_eq: u16x8 == i16;
    i16x8_ne: u16x8 != i16;
    i16x8_lt_s: i16x8 < i16;
    i16x8_lt_u: u16x8 < i16;
    i16x8_gt_s: i16x8 > i16;
    i16x8_gt_u: u16x8 > i16;
    i16x8_le_s: i16x8 <= i16;
    i16x8_le_u: u16x8 <= i16;
    i16x8_ge_s: i16x8 >= i16;
    i16x8_ge_u: u16x8 >= i16;
    i32x4_eq: u32x4 == i32;
    i32x4_ne: u32x4 != i32;
    i32x4_lt_s: i32x4 < i32;
    i32x4_lt_u: u32x4 < i32;
    i32x4_gt_s: i32x4 > i32;
    i32x4_gt_u: u32x4 > i32;
    i32x4_le_s: i32x4 <= i32;
    i32x4_le_u: u32x4 <= i32;
    i32x4_ge_s: i32x4 >= i32;
    i32x4_ge_u: u32x4 >= i32;
    i64x2_eq: u64x2 == i64;
    i64x2_ne: u64x2 != i64;
    i64x2_lt_s: i64x2 < i64;
    i64x2_gt_s: i64x2 > i64;
    i64x2_le_s: i64x2 <= i64;
    i64x2_ge_s: i64x2 >= i64;
    f32x4_eq: f32x4 == i32;
    f32x4_ne: f32x4 != i32;
    f32x4_lt: f32x4 < i32;
    f32x4_gt: f32x4 > i32;
    f32x4_le: f32x4 <= i32;
    f32x4_ge: f32x4 >= i32;
    f64x2_eq: f64x2 == i64;
    f64x2_ne: f64x2 != i64;
    f64x2_lt: f64x2 < i64;
    f64x2_gt: f64x2 > i64;
    f64x2_le: f64x2 <= i64;
    f64x2_ge: f64x2 >= i64;
}

/// `name: shape;` — whether no lane is zero.
macro_rules! all_true {
    ($($name:ident: $shape:ident;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(v: V) -> i32 {
            // No short cut: one comparison of all lanes is cheaper than a branch for each.
            i32::from($shape(v).into_iter().fold(true, |all, x| all & (x != 0)))
        }
    )* };
}

all_true! {
    i8x16_all_true: u8x16;
    i16x8_all_true: u16x8;
    i32x4_all_true: u32x4;
    i64x2_all_true: u64x2;
}

/// `name: lanes in half a vector, their width, their lowest bits, multiplier;` — the lanes' topmost bits.
/// In each half of the vector the topmost bits move down to the lowest bits of their lanes; a multiplication then moves
/// the lowest bit of lane `i` to bit `64 - lanes + i`. All other sums of exponents lie outside those bits and differ
/// from each other, so nothing carries into them.
macro_rules! bitmask {
    ($($name:ident: $lanes:literal lanes of $width:literal bits, $lowest:literal * $gather:literal;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(v: V) -> i32 {
            let [low, high] =
                u64x2(v).map(|half| (half >> ($width - 1) & $lowest).wrapping_mul($gather) >> (64 - $lanes));
            (low | high << $lanes) as i32
        }
    )* };
}

bitmask! {
    i8x16_bitmask: 8 lanes of 8 bits, 0x0101_0101_0101_0101 * 0x0102_0408_1020_4080;
    i16x8_bitmask: 4 lanes of 16 bits, 0x0001_0001_0001_0001 * 0x1000_2000_4000_8000;
    i32x4_bitmask: 2 lanes of 32 bits, 0x0000_0001_0000_0001 * 0x4000_0000_8000_0000;
    i64x2_bitmask: 1 lanes of 64 bits, 1 * 0x8000_0000_0000_0000;
}

// ---- Integers ----

unary! {
    i8x16_abs: i8x16, i8::wrapping_abs;
    i8x16_neg: i8x16, i8::wrapping_neg;
    i8x16_popcnt: u8x16, |x| x.count_ones() as u8;
    i16x8_abs: i16x8, i16::wrapping_abs;
    i16x8_neg: i16x8, i16::wrapping_neg;
    i32x4_abs: i32x4, i32::wrapping_abs;
    i32x4_neg: i32x4, i32::wrapping_neg;
    i64x2_abs: i64x2, i64::wrapping_abs;
    i64x2_neg: i64x2, i64::wrapping_neg;
}

binary! {
    i8x16_add: u8x16, u8::wrapping_add;
    i8x16_add_sat_s: i8x16, i8::saturating_add;
    i8x16_add_sat_u: u8x16, u8::saturating_add;
    i8x16_sub: u8x16, u8::wrapping_sub;
    i8x16_sub_sat_s: i8x16, i8::saturating_sub;
    i8x16_sub_sat_u: u8x16, u8::saturating_sub;
    i8x16_min_s: i8x16, Ord::min;
    i8x16_min_u: u8x16, Ord::min;
    i8x16_max_s: i8x16, Ord::max;
    i8x16_max_u: u8x16, Ord::max;
    i8x16_avgr_u: u8x16, |x, y| ((u16::from(x) + u16::from(y) + 1) >> 1) as u8;
    i16x8_add: u16x8, u16::wrapping_add;
    i16x8_add_sat_s: i16x8, i16::saturating_add;
    i16x8_add_sat_u: u16x8, u16::saturating_add;
    i16x8_sub: u16x8, u16::wrapping_sub;
    i16x8_sub_sat_s: i16x8, i16::saturating_sub;
    i16x8_sub_sat_u: u16x8, u16::saturating_sub;
    i16x8_mul: u16x8, u16::wrapping_mul;
    i16x8_min_s: i16x8, Ord::min;
    i16x8_min_u: u16x8, Ord::min;
    i16x8_max_s: i16x8, Ord::max;
    i16x8_max_u: u16x8, Ord::max;
    i16x8_avgr_u: u16x8, |x, y| ((u32::from(x) + u32::from(y) + 1) >> 1) as u16;
    i16x8_q15mulr_sat_s: i16x8, q15mulr_sat;
    i32x4_add: u32x4, u32::wrapping_add;
    i32x4_sub: u32x4, u32::wrapping_sub;
    i32x4_mul: u32x4, u32::wrapping_mul;
    i32x4_min_s: i32x4, Ord::min;
    i32x4_min_u: u32x4, Ord::min;
    i32x4_max_s: i32x4, Ord::max;
    i32x4_max_u: u32x4, Ord::max;
    i64x2_add: u64x2, u64::wrapping_add;
    i64x2_sub: u64x2, u64::wrapping_sub;
    i64x2_mul: u64x2, u64::wrapping_mul;
}

/// The rounded product of two fractions with 15 bits behind the point.
#[inline(always)]
fn q15mulr_sat(x: i16, y: i16) -> i16 {
    let product = ((i32::from(x) * i32::from(y) + 0x4000) >> 15) as i16;
    // Only -1 × -1 = 1 does not fit, and only it wraps round to the smallest number.
    if product == i16::MIN { i16::MAX } else { product }
}

/// `name: shape, lane function;` — every lane shifted by the count modulo the lane width.
macro_rules! shift {
    ($($name:ident: $shape:ident, $f:expr;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(v: V, count: u32) -> V {
            $shape(v).map(|x| $f(x, count)).pack()
        }
    )* };
}

shift! {
    i8x16_shl: u8x16, u8::wrapping_shl;
    i8x16_shr_s: i8x16, i8::wrapping_shr;
    i8x16_shr_u: u8x16, u8::wrapping_shr;
    i16x8_shl: u16x8, u16::wrapping_shl;
    i16x8_shr_s: i16x8, i16::wrapping_shr;
    i16x8_shr_u: u16x8, u16::wrapping_shr;
    i32x4_shl: u32x4, u32::wrapping_shl;
    i32x4_shr_s: i32x4, i32::wrapping_shr;
    i32x4_shr_u: u32x4, u32::wrapping_shr;
    i64x2_shl: u64x2, u64::wrapping_shl;
    i64x2_shr_s: i64x2, i64::wrapping_shr;
    i64x2_shr_u: u64x2, u64::wrapping_shr;
}

// ---- Integers of two widths ----

/// `name: shape => lane count;` — lanes of half the width, those of `a` first, clamped to what they can hold.
macro_rules! narrow {
    ($($name:ident: $shape:ident $wide:ident => $lane:ident $count:literal;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(a: V, b: V) -> V {
            let clamp = |x: $wide| x.clamp($wide::from($lane::MIN), $wide::from($lane::MAX)) as $lane;
            let lanes: [$lane; $count] = join($shape(a).map(clamp), $shape(b).map(clamp));
            lanes.pack()
        }
    )* };
}

narrow! {
    i8x16_narrow_i16x8_s: i16x8 i16 => i8 16;
    i8x16_narrow_i16x8_u: i16x8 i16 => u8 16;
    i16x8_narrow_i32x4_s: i32x4 i32 => i16 8;
    i16x8_narrow_i32x4_u: i32x4 i32 => u16 8;
}

/// `low high mul_low mul_high pairwise: shape lane => wide count;` — the halves of a vector with their lanes widened,
/// the products of two such halves, and the sums of neighbours.
macro_rules! widen {
    ($($low:ident $high:ident $mul_low:ident $mul_high:ident: $shape:ident $lane:ident => $wide:ident $count:literal;)*
    ) => { $(
        #[inline(always)]
        pub(crate) fn $low(v: V) -> V {
            lanes_from::<$lane, { 2 * $count }, $count>($shape(v), 0).map($wide::from).pack()
        }

        #[inline(always)]
        pub(crate) fn $high(v: V) -> V {
            lanes_from::<$lane, { 2 * $count }, $count>($shape(v), $count).map($wide::from).pack()
        }

        #[inline(always)]
        pub(crate) fn $mul_low(a: V, b: V) -> V {
            let (a, b) = ($shape(a), $shape(b));
            from_fn::<$wide, $count, _>(|i| $wide::from(a[i]) * $wide::from(b[i])).pack()
        }

        #[inline(always)]
        pub(crate) fn $mul_high(a: V, b: V) -> V {
            let (a, b) = ($shape(a), $shape(b));
            from_fn::<$wide, $count, _>(|i| $wide::from(a[$count + i]) * $wide::from(b[$count + i])).pack()
        }
    )* };
}

widen! {
    i16x8_extend_low_i8x16_s i16x8_extend_high_i8x16_s
        i16x8_extmul_low_i8x16_s i16x8_extmul_high_i8x16_s: i8x16 i8 => i16 8;
    i16x8_extend_low_i8x16_u i16x8_extend_high_i8x16_u
        i16x8_extmul_low_i8x16_u i16x8_extmul_high_i8x16_u: u8x16 u8 => u16 8;
    i32x4_extend_low_i16x8_s i32x4_extend_high_i16x8_s
        i32x4_extmul_low_i16x8_s i32x4_extmul_high_i16x8_s: i16x8 i16 => i32 4;
    i32x4_extend_low_i16x8_u i32x4_extend_high_i16x8_u
        i32x4_extmul_low_i16x8_u i32x4_extmul_high_i16x8_u: u16x8 u16 => u32 4;
    i64x2_extend_low_i32x4_s i64x2_extend_high_i32x4_s
        i64x2_extmul_low_i32x4_s i64x2_extmul_high_i32x4_s: i32x4 i32 => i64 2;
    i64x2_extend_low_i32x4_u i64x2_extend_high_i32x4_u
        i64x2_extmul_low_i32x4_u i64x2_extmul_high_i32x4_u: u32x4 u32 => u64 2;
}

/// `name: wide shape, narrow lane => wide lane;` — sums of neighbours, which the wider lanes always hold. The even
/// neighbour is the low half of the wide lane they share, the odd one the high half.
macro_rules! extadd_pairwise {
    ($($name:ident: $shape:ident, $lane:ident => $wide:ident;)*) => { $(
        #[inline(always)]
        pub(crate) fn $name(v: V) -> V {
            $shape(v).map(|x| $wide::from(x as $lane) + (x >> $lane::BITS)).pack()
        }
    )* };
}

extadd_pairwise! {
    i16x8_extadd_pairwise_i8x16_s: i16x8, i8 => i16;
    i16x8_extadd_pairwise_i8x16_u: u16x8, u8 => u16;
    i32x4_extadd_pairwise_i16x8_s: i32x4, i16 => i32;
    i32x4_extadd_pairwise_i16x8_u: u32x4, u16 => u32;
}

/// Sums of the products of neighbours. Only four times the smallest number overflows; it wraps.
#[inline(always)]
pub(crate) fn i32x4_dot_i16x8_s(a: V, b: V) -> V {
    let products = zip(i16x8(a), i16x8(b), |x, y| i32::from(x) * i32::from(y));
    from_fn::<_, 4, _>(|i| products[2 * i].wrapping_add(products[2 * i + 1])).pack()
}

/// Sums of the products of neighbours, both operands signed. Only four times the smallest number overflows; it wraps.
#[inline(always)]
pub(crate) fn i16x8_relaxed_dot_i8x16_i7x16_s(a: V, b: V) -> V {
    // The even neighbour is the low half of the wide lane they share, the odd one the high half.
    let dot = |x: i16, y: i16| (i16::from(x as i8) * i16::from(y as i8)).wrapping_add((x >> 8) * (y >> 8));
    zip(i16x8(a), i16x8(b), dot).pack()
}

/// The sums of `i16x8_relaxed_dot_i8x16_i7x16_s`, added by twos to the lanes of `c`.
#[inline(always)]
pub(crate) fn i32x4_relaxed_dot_i8x16_i7x16_add_s(a: V, b: V, c: V) -> V {
    i32x4_add(i32x4_extadd_pairwise_i16x8_s(i16x8_relaxed_dot_i8x16_i7x16_s(a, b)), c)
}

/// Two lanes of 16 bits moved apart to lanes of 32, in a register: taking a scalar apart lane by lane would write the
/// vector in pieces, and stall whoever reads it next.
#[inline(always)]
fn spread_halves(two: u32) -> u64 {
    let x = u64::from(two);
    (x | x << 16) & 0x0000_ffff_0000_ffff
}

/// Four lanes of 8 bits moved apart to lanes of 16: first by twos, then singly.
#[inline(always)]
fn spread_bytes(four: u32) -> u64 {
    let x = spread_halves(four);
    (x | x << 8) & 0x00ff_00ff_00ff_00ff
}

/// `unsigned signed: shape narrow wide, spread;` — what a load of 64 bits that widens its lanes puts into the vector.
macro_rules! load_extend {
    ($($unsigned:ident $signed:ident: $shape:ident $narrow:ident => $wide:ident, $spread:expr;)*) => { $(
        #[inline(always)]
        pub(crate) fn $unsigned(bits: u64) -> V {
            [$spread(bits as u32), $spread((bits >> 32) as u32)].pack()
        }

        #[inline(always)]
        pub(crate) fn $signed(bits: u64) -> V {
            $shape($unsigned(bits)).map(|x| $wide::from(x as $narrow)).pack()
        }
    )* };
}

load_extend! {
    load8x8_u load8x8_s: i16x8 i8 => i16, spread_bytes;
    load16x4_u load16x4_s: i32x4 i16 => i32, spread_halves;
    load32x2_u load32x2_s: i64x2 i32 => i64, u64::from;
}

// ---- Floating point ----

/// The specification's `fmin` and `fmax` of one format: NaN if either is NaN, and -0 below +0.
macro_rules! float_min_max {
    ($($min:ident $max:ident: $float:ident;)*) => { $(
        #[inline(always)]
        fn $min(x: $float, y: $float) -> $float {
            // Equal operands differ at most in the sign of zero: the two selections disagree, and joining their bits
            // keeps a minus sign. The sum of a NaN and anything is a quiet NaN, canonical if the operands' NaNs are.
            let xy = if x < y { x } else { y };
            let yx = if y < x { y } else { x };
            let least = $float::from_bits(xy.to_bits() | yx.to_bits());
            if x.is_nan() | y.is_nan() { x + y } else { least }
        }

        #[inline(always)]
        fn $max(x: $float, y: $float) -> $float {
            // As above; common bits keep a plus sign.
            let xy = if x > y { x } else { y };
            let yx = if y > x { y } else { x };
            let greatest = $float::from_bits(xy.to_bits() & yx.to_bits());
            if x.is_nan() | y.is_nan() { x + y } else { greatest }
        }
    )* };
}

float_min_max! {
    f32_min f32_max: f32;
    f64_min f64_max: f64;
}

unary! {
    f32x4_abs: f32x4, f32::abs;
    f32x4_neg: f32x4, Neg::neg;
    f32x4_canonical: f32x4, |a: f32| if a.is_nan() { f32::from_bits(0x7fc0_0000) } else { a };
    f64x2_canonical: f64x2, |a: f64| if a.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { a };
    f32x4_sqrt: f32x4, f32::sqrt;
    f32x4_ceil: f32x4, f32::ceil;
    f32x4_floor: f32x4, f32::floor;
    f32x4_trunc: f32x4, f32::trunc;
    f32x4_nearest: f32x4, f32::round_ties_even;
    f64x2_abs: f64x2, f64::abs;
    f64x2_neg: f64x2, Neg::neg;
    f64x2_sqrt: f64x2, f64::sqrt;
    f64x2_ceil: f64x2, f64::ceil;
    f64x2_floor: f64x2, f64::floor;
    f64x2_trunc: f64x2, f64::trunc;
    f64x2_nearest: f64x2, f64::round_ties_even;
    f32x4_convert_i32x4_s: i32x4, |x| x as f32;
    f32x4_convert_i32x4_u: u32x4, |x| x as f32;
    // `as` truncates, saturates, and makes NaN zero, as the instructions do.
    i32x4_trunc_sat_f32x4_s: f32x4, |x| x as i32;
    i32x4_trunc_sat_f32x4_u: f32x4, |x| x as u32;
}

binary! {
    f32x4_add: f32x4, Add::add;
    f32x4_sub: f32x4, Sub::sub;
    f32x4_mul: f32x4, Mul::mul;
    f32x4_div: f32x4, Div::div;
    f32x4_min: f32x4, f32_min;
    f32x4_max: f32x4, f32_max;
    f32x4_pmin: f32x4, |x, y| if y < x { y } else { x };
    f32x4_pmax: f32x4, |x, y| if x < y { y } else { x };
    f64x2_add: f64x2, Add::add;
    f64x2_sub: f64x2, Sub::sub;
    f64x2_mul: f64x2, Mul::mul;
    f64x2_div: f64x2, Div::div;
    f64x2_min: f64x2, f64_min;
    f64x2_max: f64x2, f64_max;
    f64x2_pmin: f64x2, |x, y| if y < x { y } else { x };
    f64x2_pmax: f64x2, |x, y| if x < y { y } else { x };
}

#[inline(always)]
pub(crate) fn i32x4_trunc_sat_f64x2_s_zero(v: V) -> V {
    let [x, y] = f64x2(v);
    [x as i32, y as i32, 0, 0].pack()
}

#[inline(always)]
pub(crate) fn i32x4_trunc_sat_f64x2_u_zero(v: V) -> V {
    let [x, y] = f64x2(v);
    [x as u32, y as u32, 0, 0].pack()
}

#[inline(always)]
pub(crate) fn f64x2_convert_low_i32x4_s(v: V) -> V {
    let [x, y, ..] = i32x4(v);
    [f64::from(x), f64::from(y)].pack()
}

#[inline(always)]
pub(crate) fn f64x2_convert_low_i32x4_u(v: V) -> V {
    let [x, y, ..] = u32x4(v);
    [f64::from(x), f64::from(y)].pack()
}

#[inline(always)]
pub(crate) fn f32x4_demote_f64x2_zero(v: V) -> V {
    let [x, y] = f64x2(v);
    [x as f32, y as f32, 0.0, 0.0].pack()
}

#[inline(always)]
pub(crate) fn f64x2_promote_low_f32x4(v: V) -> V {
    let [x, y, ..] = f32x4(v);
    [f64::from(x), f64::from(y)].pack()
}

// ---- Relaxed ----

same! {
    i8x16_relaxed_swizzle(a, s) = i8x16_swizzle;
    i32x4_relaxed_trunc_f32x4_s(v) = i32x4_trunc_sat_f32x4_s;
    i32x4_relaxed_trunc_f32x4_u(v) = i32x4_trunc_sat_f32x4_u;
    i32x4_relaxed_trunc_f64x2_s_zero(v) = i32x4_trunc_sat_f64x2_s_zero;
    i32x4_relaxed_trunc_f64x2_u_zero(v) = i32x4_trunc_sat_f64x2_u_zero;
    i8x16_relaxed_laneselect(a, b, mask) = v128_bitselect;
    i16x8_relaxed_laneselect(a, b, mask) = v128_bitselect;
    i32x4_relaxed_laneselect(a, b, mask) = v128_bitselect;
    i64x2_relaxed_laneselect(a, b, mask) = v128_bitselect;
    f32x4_relaxed_min(a, b) = f32x4_min;
    f32x4_relaxed_max(a, b) = f32x4_max;
    f64x2_relaxed_min(a, b) = f64x2_min;
    f64x2_relaxed_max(a, b) = f64x2_max;
    i16x8_relaxed_q15mulr_s(a, b) = i16x8_q15mulr_sat_s;
}

/// `madd nmadd: neg mul add;` — `a × b + c` and `-a × b + c`, the product rounded before the sum.
macro_rules! relaxed_madd {
    ($($madd:ident $nmadd:ident: $neg:ident $mul:ident $add:ident;)*) => { $(
        #[inline(always)]
        pub(crate) fn $madd(a: V, b: V, c: V) -> V {
            $add($mul(a, b), c)
        }

        #[inline(always)]
        pub(crate) fn $nmadd(a: V, b: V, c: V) -> V {
            $madd($neg(a), b, c)
        }
    )* };
}

relaxed_madd! {
    f32x4_relaxed_madd f32x4_relaxed_nmadd: f32x4_neg f32x4_mul f32x4_add;
    f64x2_relaxed_madd f64x2_relaxed_nmadd: f64x2_neg f64x2_mul f64x2_add;
}

#[cfg(test)]
mod tests;
