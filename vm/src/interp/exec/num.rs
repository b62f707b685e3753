//! Numeric instructions: operations, and the handlers that fetch their operands.

use super::memory::{Imm, Short};
use crate::interp::dispatch::{
    Acc, Dst, Handler, IR, IS, Mem, Pair, RI, RS, RW, Reg, SI, SR, SS, SW, Src, WR, WS, handler,
};
use crate::runtime::gc;
use crate::trap::TrapKind;
use std::marker::PhantomData;

/// An operation of two operands.
pub(crate) trait Binary: 'static {
    type A: Reg;
    type B: Reg;
    type R: Reg;
    fn apply(a: Self::A, b: Self::B) -> Result<Self::R, TrapKind>;
}

/// A comparison of two operands, for branches.
pub(crate) trait Compare: 'static {
    type A: Reg;
    type B: Reg;
    fn holds(a: Self::A, b: Self::B) -> bool;
}

/// An operation of one operand.
pub(crate) trait Unary: 'static {
    type A: Reg;
    type R: Reg;
    fn apply(a: Self::A) -> Result<Self::R, TrapKind>;
}

handler! {
    fn binary<O: Binary, P: Pair, D: Dst>(s) {
        let (a, b) = P::get::<O::A, O::B>(&s);
        match O::apply(a, b) {
            Ok(v) => {
                D::put(&mut s, v);
                s.next(if P::WIDE { 2 } else { 1 })
            }
            Err(kind) => s.trap(kind),
        }
    }
}

handler! {
    fn unary<O: Unary, A: Src, D: Dst>(s) {
        let field = s.inst().b;
        match O::apply(A::get::<O::A>(&s, field)) {
            Ok(v) => {
                D::put(&mut s, v);
                s.next(1)
            }
            Err(kind) => s.trap(kind),
        }
    }
}

handler! {
    /// Compares and branches when the outcome is not `NEGATE`. A branch backwards counts.
    fn compare_branch<O: Compare, P: Pair; const NEGATE: bool, const BACK: bool>(s) {
        let (a, b) = P::get_branch::<O::A, O::B>(&s);
        let holds = O::holds(a, b);
        if holds != NEGATE {
            let offset = s.inst().x;
            if BACK { s.count_and_go(s.ip.offset(offset as i32 as isize)) } else { s.branch(offset) }
        } else {
            s.next(1)
        }
    }
}

/// A comparison of two i32, whichever sign its operands have.
pub(crate) trait Compare32: 'static {
    fn holds(a: i32, b: i32) -> bool;
}

handler! {
    /// The end of a counted loop: slot a gets itself plus the immediate b, is compared with c, and if the comparison holds
    /// control goes back by d.
    fn add_branch<O: Compare32, B: Short>(s) {
        let i = *s.inst();
        let v = i32::from_slot(s.slot(i.a)).wrapping_add(i32::from(i.b as i16));
        v.to_slot(s.slot(i.a));
        v.to_acc(&mut s);
        if O::holds(v, B::get::<i32>(&s, i.c())) {
            let to = s.ip.offset(i.d() as i16 as isize);
            s.count_and_go(to)
        } else {
            s.next(1)
        }
    }
}

macro_rules! add_branches {
    ($($name:ident $t:ty, |$a:ident, $b:ident| $e:expr;)*) => {
        $(
            struct $name;
            impl Compare32 for $name {
                #[inline(always)]
                fn holds(a: i32, b: i32) -> bool {
                    let ($a, $b) = (a as $t, b as $t);
                    $e
                }
            }
        )*
        /// By comparison (in the order of `BrI32Eq` … `BrI32GeU`), then by bound (slot, immediate).
        pub(crate) const ADD_BRANCH: &[Handler] = &[$(add_branch::<$name, Mem>, add_branch::<$name, Imm>),*];
    };
}
add_branches! {
    AddEq i32, |a, b| a == b;
    AddNe i32, |a, b| a != b;
    AddLtS i32, |a, b| a < b;
    AddLtU u32, |a, b| a < b;
    AddGtS i32, |a, b| a > b;
    AddGtU u32, |a, b| a > b;
    AddLeS i32, |a, b| a <= b;
    AddLeU u32, |a, b| a <= b;
    AddGeS i32, |a, b| a >= b;
    AddGeU u32, |a, b| a >= b;
}

/// Forms of a family's handlers.
pub(crate) struct Forms<O>(PhantomData<O>);

impl<O: Binary> Forms<O> {
    /// Pair in the order of [`crate::interp::isa::PairForm`], then destination.
    pub(crate) const BINARY: &'static [Handler] = &[
        binary::<O, SS, Acc>,
        binary::<O, SS, Mem>,
        binary::<O, RS, Acc>,
        binary::<O, RS, Mem>,
        binary::<O, SR, Acc>,
        binary::<O, SR, Mem>,
        binary::<O, SI, Acc>,
        binary::<O, SI, Mem>,
        binary::<O, RI, Acc>,
        binary::<O, RI, Mem>,
        binary::<O, IS, Acc>,
        binary::<O, IS, Mem>,
        binary::<O, IR, Acc>,
        binary::<O, IR, Mem>,
        binary::<O, SW, Acc>,
        binary::<O, SW, Mem>,
        binary::<O, RW, Acc>,
        binary::<O, RW, Mem>,
        binary::<O, WS, Acc>,
        binary::<O, WS, Mem>,
        binary::<O, WR, Acc>,
        binary::<O, WR, Mem>,
    ];
    /// The same without 64-bit immediates.
    pub(crate) const BINARY_32: &'static [Handler] = Self::BINARY.split_at(14).0;
}

impl<O: Compare> Forms<O> {
    /// Pair (without immediates on the left), then negation, then direction.
    pub(crate) const BRANCH: &'static [Handler] = &[
        compare_branch::<O, SS, false, false>,
        compare_branch::<O, SS, false, true>,
        compare_branch::<O, SS, true, false>,
        compare_branch::<O, SS, true, true>,
        compare_branch::<O, RS, false, false>,
        compare_branch::<O, RS, false, true>,
        compare_branch::<O, RS, true, false>,
        compare_branch::<O, RS, true, true>,
        compare_branch::<O, SR, false, false>,
        compare_branch::<O, SR, false, true>,
        compare_branch::<O, SR, true, false>,
        compare_branch::<O, SR, true, true>,
        compare_branch::<O, SI, false, false>,
        compare_branch::<O, SI, false, true>,
        compare_branch::<O, SI, true, false>,
        compare_branch::<O, SI, true, true>,
        compare_branch::<O, RI, false, false>,
        compare_branch::<O, RI, false, true>,
        compare_branch::<O, RI, true, false>,
        compare_branch::<O, RI, true, true>,
    ];
}

/// Forms of operations of one operand.
pub(crate) struct UnaryForms<O>(PhantomData<O>);
impl<O: Unary> UnaryForms<O> {
    /// Source (slot, accumulator), then destination.
    pub(crate) const ALL: &'static [Handler] =
        &[unary::<O, Mem, Acc>, unary::<O, Mem, Mem>, unary::<O, Acc, Acc>, unary::<O, Acc, Mem>];
}

/// All numeric operations of two operands: `Name: A, B => R, |a, b| result`.
macro_rules! binary_ops {
    ($m:ident) => {
        $m! {
            I32Add: i32, i32 => i32, |a, b| a.wrapping_add(b);
            I32Sub: i32, i32 => i32, |a, b| a.wrapping_sub(b);
            I32Mul: i32, i32 => i32, |a, b| a.wrapping_mul(b);
            I32And: i32, i32 => i32, |a, b| a & b;
            I32Or: i32, i32 => i32, |a, b| a | b;
            I32Xor: i32, i32 => i32, |a, b| a ^ b;
            I32Shl: i32, i32 => i32, |a, b| a.wrapping_shl(b as u32);
            I32ShrS: i32, i32 => i32, |a, b| a.wrapping_shr(b as u32);
            I32ShrU: u32, i32 => u32, |a, b| a.wrapping_shr(b as u32);
            I32Rotl: u32, i32 => u32, |a, b| a.rotate_left(b as u32 & 31);
            I32Rotr: u32, i32 => u32, |a, b| a.rotate_right(b as u32 & 31);
            I64Add: i64, i64 => i64, |a, b| a.wrapping_add(b);
            I64Sub: i64, i64 => i64, |a, b| a.wrapping_sub(b);
            I64Mul: i64, i64 => i64, |a, b| a.wrapping_mul(b);
            I64And: i64, i64 => i64, |a, b| a & b;
            I64Or: i64, i64 => i64, |a, b| a | b;
            I64Xor: i64, i64 => i64, |a, b| a ^ b;
            I64Shl: i64, i64 => i64, |a, b| a.wrapping_shl(b as u32);
            I64ShrS: i64, i64 => i64, |a, b| a.wrapping_shr(b as u32);
            I64ShrU: u64, i64 => u64, |a, b| a.wrapping_shr(b as u32);
            I64Rotl: u64, i64 => u64, |a, b| a.rotate_left(b as u32 & 63);
            I64Rotr: u64, i64 => u64, |a, b| a.rotate_right(b as u32 & 63);
            F32Add: f32, f32 => f32, |a, b| a + b;
            F32Sub: f32, f32 => f32, |a, b| a - b;
            F32Mul: f32, f32 => f32, |a, b| a * b;
            F32Div: f32, f32 => f32, |a, b| a / b;
            F32Min: f32, f32 => f32, |a, b| min32(a, b);
            F32Max: f32, f32 => f32, |a, b| max32(a, b);
            F32Copysign: f32, f32 => f32, |a, b| a.copysign(b);
            F64Add: f64, f64 => f64, |a, b| a + b;
            F64Sub: f64, f64 => f64, |a, b| a - b;
            F64Mul: f64, f64 => f64, |a, b| a * b;
            F64Div: f64, f64 => f64, |a, b| a / b;
            F64Min: f64, f64 => f64, |a, b| min64(a, b);
            F64Max: f64, f64 => f64, |a, b| max64(a, b);
            F64Copysign: f64, f64 => f64, |a, b| a.copysign(b);
        }
    };
}
pub(crate) use binary_ops;

/// Divisions, which may trap.
macro_rules! trapping_ops {
    ($m:ident) => { $m! {
        I32DivS: i32, i32 => i32, |a, b| signed_div(a, b, i32::checked_div);
        I32DivU: u32, u32 => u32, |a, b| a.checked_div(b).ok_or(TrapKind::IntegerDivideByZero);
        I32RemS: i32, i32 => i32, |a, b| if b == 0 { Err(TrapKind::IntegerDivideByZero) } else { Ok(a.wrapping_rem(b)) };
        I32RemU: u32, u32 => u32, |a, b| a.checked_rem(b).ok_or(TrapKind::IntegerDivideByZero);
        I64DivS: i64, i64 => i64, |a, b| signed_div(a, b, i64::checked_div);
        I64DivU: u64, u64 => u64, |a, b| a.checked_div(b).ok_or(TrapKind::IntegerDivideByZero);
        I64RemS: i64, i64 => i64, |a, b| if b == 0 { Err(TrapKind::IntegerDivideByZero) } else { Ok(a.wrapping_rem(b)) };
        I64RemU: u64, u64 => u64, |a, b| a.checked_rem(b).ok_or(TrapKind::IntegerDivideByZero);
    } };
}
pub(crate) use trapping_ops;

/// Comparisons, which also have branching forms: `Name BranchName: A, B, |a, b| truth`.
macro_rules! compare_ops {
    ($m:ident) => {
        $m! {
            I32Eq BrI32Eq: i32, |a, b| a == b;
            I32Ne BrI32Ne: i32, |a, b| a != b;
            I32LtS BrI32LtS: i32, |a, b| a < b;
            I32LtU BrI32LtU: u32, |a, b| a < b;
            I32GtS BrI32GtS: i32, |a, b| a > b;
            I32GtU BrI32GtU: u32, |a, b| a > b;
            I32LeS BrI32LeS: i32, |a, b| a <= b;
            I32LeU BrI32LeU: u32, |a, b| a <= b;
            I32GeS BrI32GeS: i32, |a, b| a >= b;
            I32GeU BrI32GeU: u32, |a, b| a >= b;
            I64Eq BrI64Eq: i64, |a, b| a == b;
            I64Ne BrI64Ne: i64, |a, b| a != b;
            I64LtS BrI64LtS: i64, |a, b| a < b;
            I64LtU BrI64LtU: u64, |a, b| a < b;
            I64GtS BrI64GtS: i64, |a, b| a > b;
            I64GtU BrI64GtU: u64, |a, b| a > b;
            I64LeS BrI64LeS: i64, |a, b| a <= b;
            I64LeU BrI64LeU: u64, |a, b| a <= b;
            I64GeS BrI64GeS: i64, |a, b| a >= b;
            I64GeU BrI64GeU: u64, |a, b| a >= b;
            F32Eq BrF32Eq: f32, |a, b| a == b;
            F32Ne BrF32Ne: f32, |a, b| a != b;
            F32Lt BrF32Lt: f32, |a, b| a < b;
            F32Gt BrF32Gt: f32, |a, b| a > b;
            F32Le BrF32Le: f32, |a, b| a <= b;
            F32Ge BrF32Ge: f32, |a, b| a >= b;
            F64Eq BrF64Eq: f64, |a, b| a == b;
            F64Ne BrF64Ne: f64, |a, b| a != b;
            F64Lt BrF64Lt: f64, |a, b| a < b;
            F64Gt BrF64Gt: f64, |a, b| a > b;
            F64Le BrF64Le: f64, |a, b| a <= b;
            F64Ge BrF64Ge: f64, |a, b| a >= b;
            I32Test BrI32Test: i32, |a, b| a & b != 0;
            I64Test BrI64Test: i64, |a, b| a & b != 0;
        }
    };
}
pub(crate) use compare_ops;

/// The bits of an i31 with its tag.
#[inline(always)]
fn i31_of(reference: u64) -> Result<u32, TrapKind> {
    if reference == 0 { Err(TrapKind::NullI31Reference) } else { Ok(reference as u32) }
}

/// What deterministic engines do behind floating-point operations; no operators of their own.
macro_rules! canonical_ops {
    ($m:ident) => {
        $m! {
            F32Canonical: f32 => f32, |a| Ok(if a.is_nan() { f32::from_bits(0x7fc0_0000) } else { a });
            F64Canonical: f64 => f64, |a| Ok(if a.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { a });
        }
    };
}
pub(crate) use canonical_ops;

/// All numeric operations of one operand: `Name: A => R, |a| result`.
macro_rules! unary_ops {
    ($m:ident) => { $m! {
        I32Eqz: i32 => i32, |a| Ok(i32::from(a == 0));
        I64Eqz: i64 => i32, |a| Ok(i32::from(a == 0));
        RefI31: u32 => u64, |a| Ok(gc::i31(a));
        I31GetS: u64 => i32, |a| i31_of(a).map(|v| (v as i32) >> 1);
        I31GetU: u64 => u32, |a| i31_of(a).map(|v| v >> 1);
        I32Clz: u32 => u32, |a| Ok(a.leading_zeros());
        I32Ctz: u32 => u32, |a| Ok(a.trailing_zeros());
        I32Popcnt: u32 => u32, |a| Ok(a.count_ones());
        I64Clz: u64 => u64, |a| Ok(u64::from(a.leading_zeros()));
        I64Ctz: u64 => u64, |a| Ok(u64::from(a.trailing_zeros()));
        I64Popcnt: u64 => u64, |a| Ok(u64::from(a.count_ones()));
        F32Abs: f32 => f32, |a| Ok(a.abs());
        F32Neg: f32 => f32, |a| Ok(-a);
        F32Ceil: f32 => f32, |a| Ok(quiet32(a.ceil()));
        F32Floor: f32 => f32, |a| Ok(quiet32(a.floor()));
        F32Trunc: f32 => f32, |a| Ok(quiet32(a.trunc()));
        F32Nearest: f32 => f32, |a| Ok(quiet32(a.round_ties_even()));
        F32Sqrt: f32 => f32, |a| Ok(a.sqrt());
        F64Abs: f64 => f64, |a| Ok(a.abs());
        F64Neg: f64 => f64, |a| Ok(-a);
        F64Ceil: f64 => f64, |a| Ok(quiet64(a.ceil()));
        F64Floor: f64 => f64, |a| Ok(quiet64(a.floor()));
        F64Trunc: f64 => f64, |a| Ok(quiet64(a.trunc()));
        F64Nearest: f64 => f64, |a| Ok(quiet64(a.round_ties_even()));
        F64Sqrt: f64 => f64, |a| Ok(a.sqrt());
        I32WrapI64: i64 => i32, |a| Ok(a as i32);
        I64ExtendI32S: i32 => i64, |a| Ok(i64::from(a));
        I64ExtendI32U: u32 => u64, |a| Ok(u64::from(a));
        I32Extend8S: i32 => i32, |a| Ok(i32::from(a as i8));
        I32Extend16S: i32 => i32, |a| Ok(i32::from(a as i16));
        I64Extend8S: i64 => i64, |a| Ok(i64::from(a as i8));
        I64Extend16S: i64 => i64, |a| Ok(i64::from(a as i16));
        I64Extend32S: i64 => i64, |a| Ok(i64::from(a as i32));
        I32TruncF32S: f32 => i32, |a| truncate(f64::from(a), -2147483648.0, 2147483648.0).map(|v| v as i32);
        I32TruncF32U: f32 => u32, |a| truncate(f64::from(a), 0.0, 4294967296.0).map(|v| v as u32);
        I32TruncF64S: f64 => i32, |a| truncate(a, -2147483648.0, 2147483648.0).map(|v| v as i32);
        I32TruncF64U: f64 => u32, |a| truncate(a, 0.0, 4294967296.0).map(|v| v as u32);
        I64TruncF32S: f32 => i64, |a| truncate(f64::from(a), -9223372036854775808.0, 9223372036854775808.0).map(|v| v as i64);
        I64TruncF32U: f32 => u64, |a| truncate(f64::from(a), 0.0, 18446744073709551616.0).map(|v| v as u64);
        I64TruncF64S: f64 => i64, |a| truncate(a, -9223372036854775808.0, 9223372036854775808.0).map(|v| v as i64);
        I64TruncF64U: f64 => u64, |a| truncate(a, 0.0, 18446744073709551616.0).map(|v| v as u64);
        I32TruncSatF32S: f32 => i32, |a| Ok(a as i32);
        I32TruncSatF32U: f32 => u32, |a| Ok(a as u32);
        I32TruncSatF64S: f64 => i32, |a| Ok(a as i32);
        I32TruncSatF64U: f64 => u32, |a| Ok(a as u32);
        I64TruncSatF32S: f32 => i64, |a| Ok(a as i64);
        I64TruncSatF32U: f32 => u64, |a| Ok(a as u64);
        I64TruncSatF64S: f64 => i64, |a| Ok(a as i64);
        I64TruncSatF64U: f64 => u64, |a| Ok(a as u64);
        F32ConvertI32S: i32 => f32, |a| Ok(a as f32);
        F32ConvertI32U: u32 => f32, |a| Ok(a as f32);
        F32ConvertI64S: i64 => f32, |a| Ok(a as f32);
        F32ConvertI64U: u64 => f32, |a| Ok(a as f32);
        F32DemoteF64: f64 => f32, |a| Ok(a as f32);
        F64ConvertI32S: i32 => f64, |a| Ok(f64::from(a));
        F64ConvertI32U: u32 => f64, |a| Ok(f64::from(a));
        F64ConvertI64S: i64 => f64, |a| Ok(a as f64);
        F64ConvertI64U: u64 => f64, |a| Ok(a as f64);
        F64PromoteF32: f32 => f64, |a| Ok(f64::from(a));
        I32ReinterpretF32: f32 => u32, |a| Ok(a.to_bits());
        I64ReinterpretF64: f64 => u64, |a| Ok(a.to_bits());
        F32ReinterpretI32: u32 => f32, |a| Ok(f32::from_bits(a));
        F64ReinterpretI64: u64 => f64, |a| Ok(f64::from_bits(a));
    } };
}
pub(crate) use unary_ops;

/// The operations as types.
pub(crate) mod op {
    use super::*;

    macro_rules! define_binary {
        ($($name:ident: $a:ty, $b:ty => $r:ty, |$x:ident, $y:ident| $e:expr;)*) => { $(
            pub(crate) struct $name;
            impl Binary for $name {
                type A = $a;
                type B = $b;
                type R = $r;
                #[inline(always)]
                fn apply($x: $a, $y: $b) -> Result<$r, TrapKind> {
                    Ok($e)
                }
            }
        )* };
    }
    binary_ops!(define_binary);

    macro_rules! define_trapping {
        ($($name:ident: $a:ty, $b:ty => $r:ty, |$x:ident, $y:ident| $e:expr;)*) => { $(
            pub(crate) struct $name;
            impl Binary for $name {
                type A = $a;
                type B = $b;
                type R = $r;
                #[inline(always)]
                fn apply($x: $a, $y: $b) -> Result<$r, TrapKind> {
                    $e
                }
            }
        )* };
    }
    trapping_ops!(define_trapping);

    macro_rules! define_compare {
        ($($name:ident $br:ident: $a:ty, |$x:ident, $y:ident| $e:expr;)*) => { $(
            pub(crate) struct $name;
            impl Compare for $name {
                type A = $a;
                type B = $a;
                #[inline(always)]
                fn holds($x: $a, $y: $a) -> bool {
                    $e
                }
            }
            impl Binary for Truth<$name> {
                type A = $a;
                type B = $a;
                type R = i32;
                #[inline(always)]
                fn apply(a: $a, b: $a) -> Result<i32, TrapKind> {
                    Ok(i32::from(<$name as Compare>::holds(a, b)))
                }
            }
        )* };
    }
    /// A comparison as an operation whose result is 0 or 1.
    pub(crate) struct Truth<C>(PhantomData<C>);
    compare_ops!(define_compare);

    macro_rules! define_unary {
        ($($name:ident: $a:ty => $r:ty, |$x:ident| $e:expr;)*) => { $(
            pub(crate) struct $name;
            impl Unary for $name {
                type A = $a;
                type R = $r;
                #[inline(always)]
                fn apply($x: $a) -> Result<$r, TrapKind> {
                    $e
                }
            }
        )* };
    }
    unary_ops!(define_unary);
    canonical_ops!(define_unary);
}

#[inline(always)]
fn signed_div<T: PartialEq + Default + Copy>(a: T, b: T, div: fn(T, T) -> Option<T>) -> Result<T, TrapKind> {
    if b == T::default() {
        return Err(TrapKind::IntegerDivideByZero);
    }
    div(a, b).ok_or(TrapKind::IntegerOverflow)
}

/// The integral part of `a` if it lies in `min..limit`. Every bound is a power of two, and so exact; an integral part of
/// -0 counts as 0, so values above -1 suit a `min` of 0.
#[inline(always)]
fn truncate(a: f64, min: f64, limit: f64) -> Result<f64, TrapKind> {
    let t = a.trunc();
    if t >= min && t < limit {
        Ok(t)
    } else if a.is_nan() {
        Err(TrapKind::InvalidConversionToInteger)
    } else {
        Err(TrapKind::IntegerOverflow)
    }
}

/// Rounding functions may answer a signalling NaN as it came; WebAssembly wants it quiet.
#[inline(always)]
fn quiet32(a: f32) -> f32 {
    if a.is_nan() { f32::from_bits(a.to_bits() | 0x0040_0000) } else { a }
}
#[inline(always)]
fn quiet64(a: f64) -> f64 {
    if a.is_nan() { f64::from_bits(a.to_bits() | 0x0008_0000_0000_0000) } else { a }
}

macro_rules! min_max {
    ($min:ident $max:ident $t:ty) => {
        #[inline(always)]
        pub(crate) fn $min(a: $t, b: $t) -> $t {
            if a < b {
                a
            } else if b < a {
                b
            } else if a == b {
                // Equal, or zeros of either sign: a set sign bit wins.
                <$t>::from_bits(a.to_bits() | b.to_bits())
            } else {
                a + b
            }
        }
        #[inline(always)]
        pub(crate) fn $max(a: $t, b: $t) -> $t {
            if a > b {
                a
            } else if b > a {
                b
            } else if a == b {
                <$t>::from_bits(a.to_bits() & b.to_bits())
            } else {
                a + b
            }
        }
    };
}
min_max!(min32 max32 f32);
min_max!(min64 max64 f64);
