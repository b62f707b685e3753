//! What is known of a value's bits.

use super::mask;
use crate::ir::{Func, MemKind, Op, SimdOp, Type, Value};

/// The bits of an integer value that are known to be zero (within its width).
pub fn zeros(f: &Func, v: Value) -> u64 {
    zeros_to(f, v, 4)
}

/// All bits above the lowest `n`.
fn above(n: u32) -> u64 {
    if n >= 64 { 0 } else { u64::MAX << n }
}

fn zeros_to(f: &Func, v: Value, depth: u32) -> u64 {
    let i = f.inst(v);
    let all = mask(i.ty);
    if i.op == Op::Iconst {
        return !(i.imm as u64) & all;
    }
    if depth == 0 {
        return 0;
    }
    let arg = |n: usize| zeros_to(f, i.args[n], depth - 1);
    let constant = |n: usize| f.as_iconst(i.args[n]);
    let z = match i.op {
        Op::And => arg(0) | arg(1),
        Op::Or | Op::Xor => arg(0) & arg(1),
        Op::Select => zeros_to(f, i.args[1], depth - 1) & zeros_to(f, i.args[2], depth - 1),
        Op::Shl => constant(1).map_or(0, |c| {
            let c = c as u32 & (i.ty.bytes() * 8 - 1);
            arg(0) << c | !above(c)
        }),
        Op::ShrU => constant(1).map_or(0, |c| {
            let c = c as u32 & (i.ty.bytes() * 8 - 1);
            (arg(0) & all) >> c | !(all >> c)
        }),
        // Without a sign bit an arithmetic shift is a logical one.
        Op::ShrS => constant(1).map_or(0, |c| {
            let c = c as u32 & (i.ty.bytes() * 8 - 1);
            let z = arg(0) & all;
            if z > all >> 1 { z >> c | !(all >> c) } else { 0 }
        }),
        Op::ExtU => arg(0) | above(32),
        Op::ExtS => match arg(0) {
            z if z & 0x8000_0000 != 0 => z | above(32),
            z => z & 0x7fff_ffff,
        },
        Op::Wrap => arg(0),
        // A sum has at most one bit more than the longer operand.
        Op::Add => {
            let top = |z: u64| 64 - (!z & all).leading_zeros();
            above(top(arg(0)).max(top(arg(1))) + 1)
        }
        Op::Icmp | Op::Fcmp => above(1),
        Op::Clz | Op::Ctz | Op::Popcnt => above(7),
        Op::VTest => match SimdOp::from_code(i.idx) {
            SimdOp::I8x16Bitmask => above(16),
            SimdOp::I16x8Bitmask => above(8),
            SimdOp::I32x4Bitmask => above(4),
            SimdOp::I64x2Bitmask => above(2),
            _ => above(1),
        },
        Op::VExtract => match SimdOp::from_code(i.idx) {
            SimdOp::I8x16ExtractLaneU => above(8),
            SimdOp::I16x8ExtractLaneU => above(16),
            _ => 0,
        },
        Op::Load | Op::PLoad | Op::ELoad | Op::AtomicLoad | Op::AtomicRmw | Op::AtomicCas => {
            match MemKind::from_code(i.aux) {
                MemKind::U8 => above(8),
                MemKind::U16 => above(16),
                MemKind::U32 if i.ty == Type::I64 => above(32),
                _ => 0,
            }
        }
        _ => 0,
    };
    z & all
}

/// How many of the topmost bits are known to equal the sign bit, at least 1.
pub(super) fn sign_bits(f: &Func, v: Value) -> u32 {
    let i = f.inst(v);
    let w = i.ty.bytes() * 8;
    let low = |bits: u32| w - bits + 1;
    match i.op {
        Op::Ext8S => low(8),
        Op::Ext16S => low(16),
        Op::Ext32S | Op::ExtS => low(32),
        Op::Load | Op::PLoad | Op::ELoad => match MemKind::from_code(i.aux) {
            MemKind::S8 => low(8),
            MemKind::S16 => low(16),
            MemKind::S32 if i.ty == Type::I64 => low(32),
            _ => from_zeros(f, v, w),
        },
        Op::VExtract => match SimdOp::from_code(i.idx) {
            SimdOp::I8x16ExtractLaneS => low(8),
            SimdOp::I16x8ExtractLaneS => low(16),
            _ => from_zeros(f, v, w),
        },
        Op::Iconst => {
            let c = if i.ty == Type::I32 { i.imm << 32 } else { i.imm };
            (if c < 0 { (!c).leading_zeros() } else { c.leading_zeros() }).clamp(1, w)
        }
        Op::ShrS => f.as_iconst(i.args[1]).map_or(1, |c| (c as u32 & (w - 1)) + 1),
        _ => from_zeros(f, v, w),
    }
}

fn from_zeros(f: &Func, v: Value, w: u32) -> u32 {
    let z = zeros(f, v);
    ((z << (64 - w)).leading_ones()).clamp(1, w)
}
