//! Two numeric operations in one instruction: the first's result goes straight into the second.
//!
//! Which pairs are worth an instruction was measured over the benchmark kernels and CPython: those in the table below
//! make up most adjacent pairs. First operand in slot b or the accumulator, second in c, third in d; c and d may be
//! 16-bit immediates.

use super::access::{self, Access};
use super::memory::{Imm, Short};
use super::num::{Binary, op};
use crate::interp::dispatch::{Acc, Dst, Handler, Mem, Reg, Src, handler};
use std::marker::PhantomData;

/// Two operations, the first of whose results is of the type of the second's operands up to signedness.
pub(crate) trait Chain: 'static {
    type X: Reg;
    type Y: Reg;
    type Z: Reg;
    type R: Reg;
    /// The first result as the left operand of the second operation.
    fn left(x: Self::X, y: Self::Y, z: Self::Z) -> Option<Self::R>;
    /// The first result as its right operand.
    fn right(x: Self::X, y: Self::Y, z: Self::Z) -> Option<Self::R>;
}

handler! {
    fn chain<C: Chain, X: Src, Y: Short, Z: Short, D: Dst; const RIGHT: bool>(s) {
        let i = *s.inst();
        let x = X::get::<C::X>(&s, i.b);
        let y = Y::get::<C::Y>(&s, i.c());
        let z = Z::get::<C::Z>(&s, i.d());
        let v = if RIGHT { C::right(x, y, z) } else { C::left(x, y, z) };
        // Operations in the table do not trap.
        if let Some(v) = v {
            D::put(&mut s, v);
        }
        s.next(1)
    }
}

/// Forms of a pair's handlers.
pub(crate) struct Forms<C>(PhantomData<C>);
impl<C: Chain> Forms<C> {
    /// First operand (slot, accumulator), second (slot, immediate), third (slot, immediate, slot with the first result to
    /// its right), destination.
    pub(crate) const ALL: &'static [Handler] = &[
        chain::<C, Mem, Mem, Mem, Acc, false>,
        chain::<C, Mem, Mem, Mem, Mem, false>,
        chain::<C, Mem, Mem, Imm, Acc, false>,
        chain::<C, Mem, Mem, Imm, Mem, false>,
        chain::<C, Mem, Mem, Mem, Acc, true>,
        chain::<C, Mem, Mem, Mem, Mem, true>,
        chain::<C, Mem, Imm, Mem, Acc, false>,
        chain::<C, Mem, Imm, Mem, Mem, false>,
        chain::<C, Mem, Imm, Imm, Acc, false>,
        chain::<C, Mem, Imm, Imm, Mem, false>,
        chain::<C, Mem, Imm, Mem, Acc, true>,
        chain::<C, Mem, Imm, Mem, Mem, true>,
        chain::<C, Acc, Mem, Mem, Acc, false>,
        chain::<C, Acc, Mem, Mem, Mem, false>,
        chain::<C, Acc, Mem, Imm, Acc, false>,
        chain::<C, Acc, Mem, Imm, Mem, false>,
        chain::<C, Acc, Mem, Mem, Acc, true>,
        chain::<C, Acc, Mem, Mem, Mem, true>,
        chain::<C, Acc, Imm, Mem, Acc, false>,
        chain::<C, Acc, Imm, Mem, Mem, false>,
        chain::<C, Acc, Imm, Imm, Acc, false>,
        chain::<C, Acc, Imm, Imm, Mem, false>,
        chain::<C, Acc, Imm, Mem, Acc, true>,
        chain::<C, Acc, Imm, Mem, Mem, true>,
    ];
}

/// `First Second: type between them`.
macro_rules! chains {
    ($m:ident) => {
        $m! {
            I64ShrU I64Xor I64ShrUXor: i64;
            I64Shl I64Xor I64ShlXor: i64;
            I64Mul I64ShrU I64MulShrU: u64;
            I64Mul I64Add I64MulAdd: i64;
            I64ShrU I64And I64ShrUAnd: i64;
            I64ShrU I64Add I64ShrUAdd: i64;
            I64And I64Xor I64AndXor: i64;
            I64And I64Or I64AndOr: i64;
            I64And I64Add I64AndAdd: i64;
            I64Add I64Rotl I64AddRotl: u64;
            I64Shl I64Or I64ShlOr: i64;
        I64Add I64Add I64AddAdd: i64;
        I64Add I64Xor I64AddXor: i64;
        I64Xor I64Mul I64XorMul: i64;
        I64Xor I64Add I64XorAdd: i64;
        I64Xor I64Rotl I64XorRotl: u64;
        I64Rotl I64Mul I64RotlMul: i64;
            I32Add I32Add I32AddAdd: i32;
            I32Shl I32Add I32ShlAdd: i32;
            I32ShrU I32And I32ShrUAnd: i32;
            I32And I32Shl I32AndShl: i32;
            I32Mul I32Add I32MulAdd: i32;
            I32ShrU I32Add I32ShrUAdd: i32;
            I32Rotl I32Xor I32RotlXor: i32;
            I32Xor I32Add I32XorAdd: i32;
            I32ShrU I32Xor I32ShrUXor: i32;
            I32Xor I32And I32XorAnd: i32;
            I32And I32Xor I32AndXor: i32;
            I32And I32Add I32AndAdd: i32;
            I32Add I32And I32AddAnd: i32;
            I32Xor I32Rotl I32XorRotl: u32;
            I32Shl I32Or I32ShlOr: i32;
            I32And I32Or I32AndOr: i32;
            I32Sub I32And I32SubAnd: i32;
        I32Rotl I32Add I32RotlAdd: i32;
        I32Xor I32Xor I32XorXor: i32;
        I32Mul I32ShrU I32MulShrU: u32;
        I32Add I32Mul I32AddMul: i32;
        I32Add I32Shl I32AddShl: i32;
        I32Sub I32Add I32SubAdd: i32;
            F64Mul F64Add F64MulAdd: f64;
            F64Mul F64Sub F64MulSub: f64;
            F64Mul F64Mul F64MulMul: f64;
            F64Sub F64Add F64SubAdd: f64;
            F64Add F64Add F64AddAdd: f64;
            F32Mul F32Add F32MulAdd: f32;
            F32Mul F32Sub F32MulSub: f32;
        }
    };
}
pub(crate) use chains;

/// The pairs as types.
pub(crate) mod pair {
    use super::*;

    macro_rules! define {
        ($($first:ident $second:ident $name:ident: $t:ty;)*) => { $(
            pub(crate) struct $name;
            impl Chain for $name {
                type X = <op::$first as Binary>::A;
                type Y = <op::$first as Binary>::B;
                type Z = $t;
                type R = <op::$second as Binary>::R;
                #[inline(always)]
                fn left(x: Self::X, y: Self::Y, z: $t) -> Option<Self::R> {
                    let t = op::$first::apply(x, y).ok()?;
                    op::$second::apply(t as $t, z as <op::$second as Binary>::B).ok()
                }
                #[inline(always)]
                fn right(x: Self::X, y: Self::Y, z: $t) -> Option<Self::R> {
                    let t = op::$first::apply(x, y).ok()?;
                    op::$second::apply(z, t as <op::$second as Binary>::B).ok()
                }
            }
        )* };
    }
    chains!(define);
}

handler! {
    /// A load from slot b (or the accumulator) plus d, and an operation on what was loaded and slot c: the loaded value is
    /// the right operand if `RIGHT`.
    fn load_chain<L: LoadChain, A: Src, D: Dst; const RIGHT: bool>(s) {
        let other = <L::T as Reg>::from_slot(s.slot(s.inst().c()));
        let at = u64::from(A::get::<u32>(&s, s.inst().b)) + u64::from(s.inst().d());
        let loaded = L::X::load(s.mem, at, s.ip as usize, s.fp as usize, s.ctx as usize);
        let v = if RIGHT { L::apply(other, L::value(loaded)) } else { L::apply(L::value(loaded), other) };
        // Operations in the table do not trap.
        if let Some(v) = v {
            D::put(&mut s, v);
        }
        s.next(1)
    }
}

/// A load and the operation that takes its result.
pub(crate) trait LoadChain: 'static {
    type X: Access;
    type T: Reg;
    fn value(loaded: <Self::X as Access>::R) -> Self::T;
    fn apply(a: Self::T, b: Self::T) -> Option<Self::T>;
}

impl<L: LoadChain> LoadForms<L> {
    /// Address (slot, accumulator), side of the loaded value (left, right), destination.
    pub(crate) const ALL: &'static [Handler] = &[
        load_chain::<L, Mem, Acc, false>,
        load_chain::<L, Mem, Mem, false>,
        load_chain::<L, Mem, Acc, true>,
        load_chain::<L, Mem, Mem, true>,
        load_chain::<L, Acc, Acc, false>,
        load_chain::<L, Acc, Mem, false>,
        load_chain::<L, Acc, Acc, true>,
        load_chain::<L, Acc, Mem, true>,
    ];
}
/// Forms of a load chain's handlers.
pub(crate) struct LoadForms<L>(PhantomData<L>);

/// `Load Operation Name: access, type`.
macro_rules! load_chains {
    ($m:ident) => {
        $m! {
            I32Load I32Add I32LoadAdd: A32, i32;
            I32Load I32Sub I32LoadSub: A32, i32;
            I32Load I32Mul I32LoadMul: A32, i32;
            I32Load I32And I32LoadAnd: A32, i32;
            I32Load I32Or I32LoadOr: A32, i32;
            I32Load I32Xor I32LoadXor: A32, i32;
            I32Load8U I32Add I32Load8UAdd: A32U8, i32;
            I32Load8U I32Sub I32Load8USub: A32U8, i32;
            I32Load8U I32Xor I32Load8UXor: A32U8, i32;
            I32Load8U I32Or I32Load8UOr: A32U8, i32;
            I64Load I64Add I64LoadAdd: A64, i64;
            I64Load I64Sub I64LoadSub: A64, i64;
            I64Load I64Mul I64LoadMul: A64, i64;
            I64Load I64Xor I64LoadXor: A64, i64;
            F32Load F32Add F32LoadAdd: AF32, f32;
            F32Load F32Sub F32LoadSub: AF32, f32;
            F32Load F32Mul F32LoadMul: AF32, f32;
            F64Load F64Add F64LoadAdd: AF64, f64;
            F64Load F64Sub F64LoadSub: AF64, f64;
            F64Load F64Mul F64LoadMul: AF64, f64;
            F64Load F64Div F64LoadDiv: AF64, f64;
        }
    };
}
pub(crate) use load_chains;

/// The load chains as types.
pub(crate) mod load {
    use super::*;

    macro_rules! define {
        ($($load:ident $second:ident $name:ident: $x:ident, $t:ty;)*) => { $(
            pub(crate) struct $name;
            impl LoadChain for $name {
                type X = access::$x;
                type T = $t;
                #[inline(always)]
                fn value(loaded: <access::$x as Access>::R) -> $t {
                    loaded as $t
                }
                #[inline(always)]
                fn apply(a: $t, b: $t) -> Option<$t> {
                    op::$second::apply(a, b).ok()
                }
            }
        )* };
    }
    load_chains!(define);
}
