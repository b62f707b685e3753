//! Floats: only what gives the same bits, NaNs included.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`numbers`) in which it does not hold:
//! - A result that is NaN is not folded; of two operands none is dropped, since it may be NaN.
//! - A product replaces a quotient only for powers of two whose inverse is normal.
//! - An f32 is computed as f64 only where rounding twice is rounding once: one operation or square root.

use super::*;

pub(super) fn is_float(op: Op) -> bool {
    use Op::*;
    matches!(
        op,
        FAdd | FSub
            | FMul
            | FDiv
            | FMin
            | FMax
            | FCopysign
            | FAbs
            | FNeg
            | FSqrt
            | FCeil
            | FFloor
            | FTrunc
            | FNearest
            | Promote
            | Demote
            | SToF
            | UToF
            | FToSSat
            | FToUSat
            | Bitcast
    )
}

fn fconst(f: &mut Func, ty: Type, bits: u64) -> Option<Value> {
    Some(f.pure(Inst { imm: bits as i64, ..Inst::new(Op::Fconst, ty) }))
}

/// A constant's value; f32 exactly as f64.
fn value(f: &Func, v: Value) -> Option<f64> {
    let i = f.inst(v);
    match (i.op, i.ty) {
        (Op::Fconst, Type::F32) => Some(f64::from(f32::from_bits(i.imm as u32))),
        (Op::Fconst, _) => Some(f64::from_bits(i.imm as u64)),
        _ => None,
    }
}

/// A float result that is not NaN, as a constant of the type.
fn number(f: &mut Func, ty: Type, v: f64) -> Option<Value> {
    if v.is_nan() {
        return None;
    }
    fconst(f, ty, if ty == Type::F32 { u64::from((v as f32).to_bits()) } else { v.to_bits() })
}

pub(super) fn simplify(f: &mut Func, i: &Inst) -> Option<Value> {
    match i.op {
        Op::FAdd | Op::FSub | Op::FMul | Op::FDiv => arithmetic(f, i),
        Op::FCopysign | Op::FAbs | Op::FNeg => signs(f, i),
        Op::Bitcast => bitcast(f, i),
        Op::SToF | Op::UToF => from_int(f, i),
        Op::FToSSat | Op::FToUSat => to_int(f, i),
        Op::FMin | Op::FMax => None,
        _ => rounding(f, i),
    }
}

fn arithmetic(f: &mut Func, i: &Inst) -> Option<Value> {
    let [a, b, _] = i.args;
    if let (Some(x), Some(y)) = (value(f, a), value(f, b)) {
        // One operation on f32 rounds the same when done in f64 first.
        let v = match i.op {
            Op::FAdd => x + y,
            Op::FSub => x - y,
            Op::FMul => x * y,
            _ => x / y,
        };
        return number(f, i.ty, v);
    }
    let y = value(f, b)?;
    match i.op {
        // Exact in both forms, and an operand's NaN goes through both.
        Op::FMul if y == 2.0 => Some(bin(f, Op::FAdd, i.ty, a, a, i.pos)),
        Op::FDiv if is_power_of_two(y, i.ty) => {
            let inverse = number(f, i.ty, 1.0 / y)?;
            Some(bin(f, Op::FMul, i.ty, a, inverse, i.pos))
        }
        _ => None,
    }
}

/// Whether it is a power of two (of either sign) with a normal inverse.
fn is_power_of_two(v: f64, ty: Type) -> bool {
    let (mantissa, limit) = (v.to_bits() & ((1 << 52) - 1), if ty == Type::F32 { 120 } else { 1000 });
    let exponent = (v.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    mantissa == 0 && exponent.abs() <= limit
}

fn signs(f: &mut Func, i: &Inst) -> Option<Value> {
    let a = i.args[0];
    let inner = *f.inst(a);
    let sign = if i.ty == Type::F32 { 1u64 << 31 } else { 1 << 63 };
    match (i.op, inner.op) {
        (Op::FNeg, Op::Fconst) => fconst(f, i.ty, inner.imm as u64 ^ sign),
        (Op::FAbs, Op::Fconst) => fconst(f, i.ty, inner.imm as u64 & !sign),
        (Op::FNeg, Op::FNeg) => Some(inner.args[0]),
        (Op::FAbs, Op::FAbs) => Some(a),
        (Op::FAbs, Op::FNeg | Op::FCopysign) => Some(un(f, Op::FAbs, i.ty, inner.args[0], i.pos)),
        (Op::FCopysign, _) => {
            // A known sign.
            let b = *f.inst(i.args[1]);
            match b.op {
                Op::Fconst if b.imm as u64 & sign == 0 => Some(un(f, Op::FAbs, i.ty, a, i.pos)),
                Op::Fconst => {
                    let abs = un(f, Op::FAbs, i.ty, a, i.pos);
                    Some(un(f, Op::FNeg, i.ty, abs, i.pos))
                }
                Op::FAbs => Some(un(f, Op::FAbs, i.ty, a, i.pos)),
                _ => None,
            }
        }
        _ => None,
    }
}

fn bitcast(f: &mut Func, i: &Inst) -> Option<Value> {
    let a = *f.inst(i.args[0]);
    match a.op {
        Op::Bitcast if f.ty(a.args[0]) == i.ty => Some(a.args[0]),
        Op::Iconst if i.ty == Type::F32 => fconst(f, i.ty, u64::from(a.imm as u32)),
        Op::Iconst if i.ty == Type::F64 => fconst(f, i.ty, a.imm as u64),
        Op::Fconst if i.ty.is_int() => int_const(f, i.ty, a.imm),
        _ => None,
    }
}

fn from_int(f: &mut Func, i: &Inst) -> Option<Value> {
    let a = i.args[0];
    if let Some(x) = f.as_iconst(a) {
        let u = x as u64 & mask(f.ty(a));
        let bits = match (i.op, i.ty) {
            (Op::SToF, Type::F32) => u64::from((x as f32).to_bits()),
            (Op::SToF, _) => (x as f64).to_bits(),
            (_, Type::F32) => u64::from((u as f32).to_bits()),
            _ => (u as f64).to_bits(),
        };
        return fconst(f, i.ty, bits);
    }
    // What cannot be negative converts as signed, which is the cheaper instruction.
    if i.op == Op::UToF && zeros(f, a) > mask(f.ty(a)) >> 1 {
        return Some(un(f, Op::SToF, i.ty, a, i.pos));
    }
    None
}

fn to_int(f: &mut Func, i: &Inst) -> Option<Value> {
    let x = value(f, i.args[0])?;
    let v = match (i.op, i.ty) {
        (Op::FToSSat, Type::I32) => i64::from(x as i32),
        (Op::FToSSat, _) => x as i64,
        (_, Type::I32) => i64::from(x as u32),
        _ => x as u64 as i64,
    };
    int_const(f, i.ty, v)
}

fn rounding(f: &mut Func, i: &Inst) -> Option<Value> {
    let a = i.args[0];
    let Some(x) = value(f, a) else {
        // Rounding what has been rounded.
        let whole = |op| matches!(op, Op::FCeil | Op::FFloor | Op::FTrunc | Op::FNearest);
        let inner = f.inst(a).op;
        return (whole(i.op) && whole(inner)).then_some(a);
    };
    let v = match i.op {
        Op::FSqrt if i.ty == Type::F32 => f64::from((x as f32).sqrt()),
        Op::FSqrt => x.sqrt(),
        Op::FCeil => x.ceil(),
        Op::FFloor => x.floor(),
        Op::FTrunc => x.trunc(),
        Op::FNearest => x.round_ties_even(),
        _ => x,
    };
    number(f, i.ty, v)
}
