//! SIMD instructions: the operations of `simd::lanes` on pairs of slots.
//!
//! Operands in the fields of their slots, result to slot a. There is no vector accumulator.

use super::access::Access;
use super::memory::checked;
use crate::interp::dispatch::{Handler, Reg, S, handler};
use crate::interp::simd::lanes::{self, V};
use crate::interp::simd::ops::*;
use std::marker::PhantomData;

/// Reads two slots.
///
/// # Safety
/// They must lie in the frame.
#[inline(always)]
unsafe fn get(s: &S, field: u16) -> V {
    // SAFETY: the caller's contract.
    unsafe { *s.slot(field).cast::<V>() }
}
#[inline(always)]
unsafe fn put(s: &S, v: V) {
    // SAFETY: handlers' contract.
    unsafe { *s.slot(s.inst().a).cast::<V>() = v }
}

/// Vector operations by their operands.
pub(crate) trait Unary: 'static {
    fn apply(a: V) -> V;
}
pub(crate) trait Binary: 'static {
    fn apply(a: V, b: V) -> V;
}
pub(crate) trait Ternary: 'static {
    fn apply(a: V, b: V, c: V) -> V;
}
pub(crate) trait Shift: 'static {
    fn apply(a: V, n: u32) -> V;
}
pub(crate) trait Test: 'static {
    fn apply(a: V) -> i32;
}
pub(crate) trait Splat: 'static {
    type T: Reg;
    fn apply(x: Self::T) -> V;
}
pub(crate) trait Lane: 'static {
    type T: Reg;
    fn extract(_: V, _: usize) -> Option<Self::T> {
        None
    }
    fn replace(v: V, _: Self::T, _: usize) -> V {
        v
    }
}

handler! {
    fn unary<O: Unary>(s) {
        let v = O::apply(get(&s, s.inst().b));
        put(&s, v);
        s.next(1)
    }
}
handler! {
    fn binary<O: Binary>(s) {
        let v = O::apply(get(&s, s.inst().b), get(&s, s.inst().c()));
        put(&s, v);
        s.next(1)
    }
}
handler! {
    fn ternary<O: Ternary>(s) {
        let v = O::apply(get(&s, s.inst().b), get(&s, s.inst().c()), get(&s, s.inst().d()));
        put(&s, v);
        s.next(1)
    }
}
handler! {
    fn shift<O: Shift>(s) {
        let n = *s.slot(s.inst().c()) as u32;
        let v = O::apply(get(&s, s.inst().b), n);
        put(&s, v);
        s.next(1)
    }
}
handler! {
    fn test<O: Test>(s) {
        let v = O::apply(get(&s, s.inst().b));
        s.r = u64::from(v as u32);
        *s.slot(s.inst().a) = s.r;
        s.next(1)
    }
}
handler! {
    fn splat<O: Splat>(s) {
        let v = O::apply(O::T::from_slot(s.slot(s.inst().b)));
        put(&s, v);
        s.next(1)
    }
}
handler! {
    /// Lane d of slot b.
    fn extract<O: Lane>(s) {
        let i = *s.inst();
        if let Some(v) = O::extract(get(&s, i.b), i.d() as usize) {
            v.to_slot(s.slot(i.a));
            v.to_acc(&mut s);
        }
        s.next(1)
    }
}
handler! {
    /// Slot b with lane d replaced by slot c.
    fn replace<O: Lane>(s) {
        let i = *s.inst();
        let v = O::replace(get(&s, i.b), O::T::from_slot(s.slot(i.c())), i.d() as usize);
        put(&s, v);
        s.next(1)
    }
}
handler! {
    /// The lanes are in the word behind.
    pub(crate) fn shuffle(s) {
        let i = *s.inst();
        let lanes = *s.ip.add(1).cast::<V>();
        let v = lanes::i8x16_shuffle(get(&s, i.b), get(&s, i.c()), lanes);
        put(&s, v);
        s.next(2)
    }
}

/// How a load makes a vector of what it reads.
pub(crate) trait VectorLoad: 'static {
    type X: Access;
    fn widen(x: <Self::X as Access>::R) -> V;
}

handler! {
    /// Address in slot b, memory in c; always checked, offset behind.
    fn load<L: VectorLoad>(s) {
        let i = *s.inst();
        match checked(&s, i.c(), *s.slot(i.b), L::X::WIDTH) {
            Ok((base, at)) => {
                let v = L::widen(L::X::load(base, at, s.ip as usize, s.fp as usize, s.ctx as usize));
                put(&s, v);
                s.next(2)
            }
            Err(kind) => s.trap(kind),
        }
    }
}
handler! {
    pub(crate) fn load_v128(s) {
        let i = *s.inst();
        match checked(&s, i.c(), *s.slot(i.b), 16) {
            Ok((base, at)) => {
                let v = base.add(at as usize).cast::<V>().read_unaligned();
                put(&s, v);
                s.next(2)
            }
            Err(kind) => s.trap(kind),
        }
    }
}
handler! {
    /// Address in slot a, value in slot b, memory in c.
    pub(crate) fn store_v128(s) {
        let i = *s.inst();
        match checked(&s, i.c(), *s.slot(i.a), 16) {
            Ok((base, at)) => {
                base.add(at as usize).cast::<V>().write_unaligned(get(&s, i.b));
                s.next(2)
            }
            Err(kind) => s.trap(kind),
        }
    }
}
handler! {
    /// The vector in slot d with one lane loaded: address in slot b, memory in the low byte of c, lane in its high byte.
    fn load_lane<L: LaneAccess>(s) {
        let i = *s.inst();
        match checked(&s, i.c() & 0xff, *s.slot(i.b), L::X::WIDTH) {
            Ok((base, at)) => {
                let x = L::X::load(base, at, s.ip as usize, s.fp as usize, s.ctx as usize);
                let v = L::replace(get(&s, i.d()), x, usize::from(i.c() >> 8));
                put(&s, v);
                s.next(2)
            }
            Err(kind) => s.trap(kind),
        }
    }
}
handler! {
    /// Address in slot a, vector in slot b, memory in c, lane in d.
    fn store_lane<L: LaneAccess>(s) {
        let i = *s.inst();
        match checked(&s, i.c(), *s.slot(i.a), L::X::WIDTH) {
            Ok((base, at)) => {
                let x = L::extract(get(&s, i.b), i.d() as usize);
                L::X::store(base, at, x, s.ip as usize, s.fp as usize, s.ctx as usize);
                s.next(2)
            }
            Err(kind) => s.trap(kind),
        }
    }
}

/// A lane in memory.
pub(crate) trait LaneAccess: 'static {
    type X: Access;
    fn extract(v: V, lane: usize) -> <Self::X as Access>::R;
    fn replace(v: V, x: <Self::X as Access>::R, lane: usize) -> V;
}

macro_rules! lane_access {
    ($($name:ident $access:ident $extract:ident $replace:ident $to:ty, $from:ty;)*) => { $(
        pub(crate) struct $name;
        impl LaneAccess for $name {
            type X = super::access::$access;
            #[inline(always)]
            fn extract(v: V, lane: usize) -> <Self::X as Access>::R {
                lanes::$extract(v, lane) as $to
            }
            #[inline(always)]
            fn replace(v: V, x: <Self::X as Access>::R, lane: usize) -> V {
                lanes::$replace(v, x as $from, lane)
            }
        }
    )* };
}
lane_access! {
    Lane8 A32U8 i8x16_extract_lane_u i8x16_replace_lane u32, i32;
    Lane16 A32U16 i16x8_extract_lane_u i16x8_replace_lane u32, i32;
    Lane32 A32 i32x4_extract_lane i32x4_replace_lane i32, i32;
    Lane64 A64 i64x2_extract_lane i64x2_replace_lane i64, i64;
}
/// By width: 8, 16, 32, 64 bits.
pub(crate) const LOAD_LANE: &[Handler] =
    &[load_lane::<Lane8>, load_lane::<Lane16>, load_lane::<Lane32>, load_lane::<Lane64>];
pub(crate) const STORE_LANE: &[Handler] =
    &[store_lane::<Lane8>, store_lane::<Lane16>, store_lane::<Lane32>, store_lane::<Lane64>];

macro_rules! vector_loads {
    ($($name:ident $access:ident |$x:ident| $e:expr;)*) => {
        $(
            struct $name;
            impl VectorLoad for $name {
                type X = super::access::$access;
                #[inline(always)]
                fn widen($x: <Self::X as Access>::R) -> V {
                    $e
                }
            }
        )*
        /// Widening, splatting and zero-extending loads, in the order of the table above.
        pub(crate) const LOADS: &[Handler] = &[$(load::<$name>),*];
    };
}
vector_loads! {
    L8x8S A64 |x| lanes::load8x8_s(x as u64);
    L8x8U A64 |x| lanes::load8x8_u(x as u64);
    L16x4S A64 |x| lanes::load16x4_s(x as u64);
    L16x4U A64 |x| lanes::load16x4_u(x as u64);
    L32x2S A64 |x| lanes::load32x2_s(x as u64);
    L32x2U A64 |x| lanes::load32x2_u(x as u64);
    L8Splat A32U8 |x| lanes::i8x16_splat(x as i32);
    L16Splat A32U16 |x| lanes::i16x8_splat(x as i32);
    L32Splat A32 |x| lanes::i32x4_splat(x);
    L64Splat A64 |x| lanes::i64x2_splat(x);
    L32Zero A32 |x| u128::from(x as u32).to_le_bytes();
    L64Zero A64 |x| u128::from(x as u64).to_le_bytes();
}

/// Handlers of vector operations, each family with one form.
pub(crate) struct Forms<O>(PhantomData<O>);
impl<O: Unary> Forms<O> {
    pub(crate) const UNARY: &'static [Handler] = &[unary::<O>];
}
impl<O: Binary> Forms<O> {
    pub(crate) const BINARY: &'static [Handler] = &[binary::<O>];
}
impl<O: Ternary> Forms<O> {
    pub(crate) const TERNARY: &'static [Handler] = &[ternary::<O>];
}
impl<O: Shift> Forms<O> {
    pub(crate) const SHIFT: &'static [Handler] = &[shift::<O>];
}
impl<O: Test> Forms<O> {
    pub(crate) const TEST: &'static [Handler] = &[test::<O>];
}
impl<O: Splat> Forms<O> {
    pub(crate) const SPLAT: &'static [Handler] = &[splat::<O>];
}
impl<O: Lane> Forms<O> {
    pub(crate) const EXTRACT: &'static [Handler] = &[extract::<O>];
    pub(crate) const REPLACE: &'static [Handler] = &[replace::<O>];
}

/// The operations as types.
pub(crate) mod op {
    use super::*;

    macro_rules! define {
        (unary $($name:ident $f:ident;)*) => { $(
            pub(crate) struct $name;
            impl Unary for $name {
                #[inline(always)]
                fn apply(a: V) -> V {
                    lanes::$f(a)
                }
            }
        )* };
        (binary $($name:ident $f:ident;)*) => { $(
            pub(crate) struct $name;
            impl Binary for $name {
                #[inline(always)]
                fn apply(a: V, b: V) -> V {
                    lanes::$f(a, b)
                }
            }
        )* };
        (ternary $($name:ident $f:ident;)*) => { $(
            pub(crate) struct $name;
            impl Ternary for $name {
                #[inline(always)]
                fn apply(a: V, b: V, c: V) -> V {
                    lanes::$f(a, b, c)
                }
            }
        )* };
        (shift $($name:ident $f:ident;)*) => { $(
            pub(crate) struct $name;
            impl Shift for $name {
                #[inline(always)]
                fn apply(a: V, n: u32) -> V {
                    lanes::$f(a, n)
                }
            }
        )* };
        (test $($name:ident $f:ident;)*) => { $(
            pub(crate) struct $name;
            impl Test for $name {
                #[inline(always)]
                fn apply(a: V) -> i32 {
                    lanes::$f(a)
                }
            }
        )* };
        (splat $($name:ident $t:ty, $f:ident;)*) => { $(
            pub(crate) struct $name;
            impl Splat for $name {
                type T = $t;
                #[inline(always)]
                fn apply(x: $t) -> V {
                    lanes::$f(x)
                }
            }
        )* };
        (extract $($name:ident $t:ty, $f:ident;)*) => { $(
            pub(crate) struct $name;
            impl Lane for $name {
                type T = $t;
                #[inline(always)]
                fn extract(v: V, lane: usize) -> Option<$t> {
                    Some(lanes::$f(v, lane))
                }
            }
        )* };
        (replace $($name:ident $t:ty, $f:ident;)*) => { $(
            pub(crate) struct $name;
            impl Lane for $name {
                type T = $t;
                #[inline(always)]
                fn replace(v: V, x: $t, lane: usize) -> V {
                    lanes::$f(v, x, lane)
                }
            }
        )* };
    }
    macro_rules! unary { ($($t:tt)*) => { define!(unary $($t)*); } }
    macro_rules! binary { ($($t:tt)*) => { define!(binary $($t)*); } }
    macro_rules! ternary { ($($t:tt)*) => { define!(ternary $($t)*); } }
    macro_rules! shift { ($($t:tt)*) => { define!(shift $($t)*); } }
    macro_rules! test { ($($t:tt)*) => { define!(test $($t)*); } }
    macro_rules! splat { ($($name:ident $t:ident $f:ident;)*) => { define!(splat $($name $t, $f;)*); } }
    macro_rules! extract { ($($name:ident $t:ident $f:ident;)*) => { define!(extract $($name $t, $f;)*); } }
    macro_rules! replace { ($($name:ident $t:ident $f:ident;)*) => { define!(replace $($name $t, $f;)*); } }
    simd_unary!(unary);
    simd_canonical!(unary);
    simd_binary!(binary);
    simd_ternary!(ternary);
    simd_shift!(shift);
    simd_test!(test);
    simd_splat!(splat);
    simd_extract!(extract);
    simd_replace!(replace);
}
