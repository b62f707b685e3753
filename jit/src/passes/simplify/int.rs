//! Integer arithmetic, bits, widths; and shuffles.

use super::bits::{sign_bits, zeros};
use super::compare::negated;
use super::*;

/// Both arguments of an operation as constants.
fn both(f: &Func, i: &Inst) -> Option<(i64, i64)> {
    Some((f.as_iconst(i.args[0])?, f.as_iconst(i.args[1])?))
}

pub(super) fn add(f: &mut Func, i: &Inst) -> Option<Value> {
    let ([a, b, _], ty) = (i.args, i.ty);
    if let Some((x, y)) = both(f, i) {
        return int_const(f, ty, x.wrapping_add(y));
    }
    if let Some(c) = f.as_iconst(b) {
        if c == 0 {
            return Some(a);
        }
        if let Some((x, d)) = op_const(f, a, Op::Add) {
            return Some(bin_const(f, Op::Add, ty, x, d.wrapping_add(c), i.pos));
        }
        // c1 - x + c2
        if let Some([x, y, _]) = is_op(f, a, Op::Sub)
            && let Some(d) = f.as_iconst(x)
        {
            let k = f.iconst(ty, d.wrapping_add(c));
            return Some(bin(f, Op::Sub, ty, k, y, i.pos));
        }
        return None;
    }
    for (p, q) in [(a, b), (b, a)] {
        if let Some([x, y, _]) = is_op(f, p, Op::Sub) {
            if y == q {
                return Some(x);
            }
            if f.as_iconst(x) == Some(0) {
                return Some(bin(f, Op::Sub, ty, q, y, i.pos));
            }
        }
    }
    wide::high(f, i).or_else(|| wide::low(f, i)).or_else(|| rotation(f, i))
}

pub(super) fn sub(f: &mut Func, i: &Inst) -> Option<Value> {
    let ([a, b, _], ty) = (i.args, i.ty);
    if let Some((x, y)) = both(f, i) {
        return int_const(f, ty, x.wrapping_sub(y));
    }
    if a == b {
        return int_const(f, ty, 0);
    }
    if let Some(c) = f.as_iconst(b) {
        return Some(bin_const(f, Op::Add, ty, a, c.wrapping_neg(), i.pos));
    }
    if let Some(c) = f.as_iconst(a) {
        // c - (x + d), c - (d - x)
        if let Some((x, d)) = op_const(f, b, Op::Add) {
            let k = f.iconst(ty, c.wrapping_sub(d));
            return Some(bin(f, Op::Sub, ty, k, x, i.pos));
        }
        if let Some([x, y, _]) = is_op(f, b, Op::Sub) {
            if let Some(d) = f.as_iconst(x) {
                return Some(bin_const(f, Op::Add, ty, y, c.wrapping_sub(d), i.pos));
            }
            if c == 0 {
                return Some(bin(f, Op::Sub, ty, y, x, i.pos));
            }
        }
        // All ones: a complement.
        if c == -1 {
            return Some(bin_const(f, Op::Xor, ty, b, -1, i.pos));
        }
        return None;
    }
    if let Some([x, y, _]) = is_op(f, b, Op::Sub)
        && f.as_iconst(x) == Some(0)
    {
        return Some(bin(f, Op::Add, ty, a, y, i.pos));
    }
    if let Some([x, y, _]) = is_op(f, a, Op::Add) {
        if x == b {
            return Some(y);
        }
        if y == b {
            return Some(x);
        }
    }
    if let Some([x, y, _]) = is_op(f, b, Op::Add) {
        // x - (x + y)
        let rest = if x == a { Some(y) } else { (y == a).then_some(x) };
        if let Some(rest) = rest {
            let zero = f.iconst(ty, 0);
            return Some(bin(f, Op::Sub, ty, zero, rest, i.pos));
        }
    }
    None
}

pub(super) fn mul(f: &mut Func, i: &Inst) -> Option<Value> {
    let ([a, b, _], ty) = (i.args, i.ty);
    if let Some((x, y)) = both(f, i) {
        return int_const(f, ty, x.wrapping_mul(y));
    }
    let c = f.as_iconst(b)?;
    match c {
        0 => return Some(b),
        1 => return Some(a),
        -1 => {
            let zero = f.iconst(ty, 0);
            return Some(bin(f, Op::Sub, ty, zero, a, i.pos));
        }
        _ => {}
    }
    let bits = c as u64 & mask(ty);
    if bits.is_power_of_two() {
        return Some(bin_const(f, Op::Shl, ty, a, i64::from(bits.trailing_zeros()), i.pos));
    }
    if let Some((x, d)) = op_const(f, a, Op::Mul) {
        return Some(bin_const(f, Op::Mul, ty, x, d.wrapping_mul(c), i.pos));
    }
    if let Some((x, d)) = op_const(f, a, Op::Shl) {
        let d = d as u32 & (width(ty) - 1);
        return Some(bin_const(f, Op::Mul, ty, x, c.wrapping_shl(d), i.pos));
    }
    if let Some([x, y, _]) = is_op(f, a, Op::Sub)
        && f.as_iconst(x) == Some(0)
    {
        return Some(bin_const(f, Op::Mul, ty, y, c.wrapping_neg(), i.pos));
    }
    None
}

pub(super) fn mul_high(f: &mut Func, i: &Inst) -> Option<Value> {
    let (x, y) = both(f, i)?;
    let w = width(i.ty);
    let high = if i.op == Op::MulHiS {
        (i128::from(x) * i128::from(y)) >> w
    } else {
        let m = mask(i.ty);
        ((u128::from(x as u64 & m) * u128::from(y as u64 & m)) >> w) as i128
    };
    int_const(f, i.ty, high as i64)
}

pub(super) fn and(f: &mut Func, i: &Inst) -> Option<Value> {
    let ([a, b, _], ty) = (i.args, i.ty);
    if let Some((x, y)) = both(f, i) {
        return int_const(f, ty, x & y);
    }
    if a == b {
        return Some(a);
    }
    let Some(c) = f.as_iconst(b) else {
        let (za, zb) = (zeros(f, a), zeros(f, b));
        return if za | zb == mask(ty) { int_const(f, ty, 0) } else { None };
    };
    let known = zeros(f, a);
    let kept = c as u64 & !known & mask(ty);
    if kept == 0 {
        return int_const(f, ty, 0);
    }
    if kept == !known & mask(ty) {
        return Some(a);
    }
    if let Some((x, d)) = op_const(f, a, Op::And) {
        return Some(bin_const(f, Op::And, ty, x, c & d, i.pos));
    }
    // What is added to higher bits does not show in the low ones.
    if let Some((x, d)) = op_const(f, a, Op::Add)
        && (c as u64).wrapping_add(1).is_power_of_two()
        && d & c == 0
    {
        return Some(bin_const(f, Op::And, ty, x, c, i.pos));
    }
    let inner = f.inst(a).op;
    // The sign bits that an extension makes are masked away.
    let extended = match inner {
        Op::Ext8S => 8,
        Op::Ext16S => 16,
        Op::Ext32S => 32,
        _ => 64,
    };
    if extended < 64 && c as u64 >> extended == 0 {
        let x = f.inst(a).args[0];
        return Some(bin_const(f, Op::And, ty, x, c, i.pos));
    }
    if inner == Op::ExtS && c as u64 >> 32 == 0 {
        let x = f.inst(a).args[0];
        let narrow = bin_const(f, Op::And, Type::I32, x, c, i.pos);
        return Some(un(f, Op::ExtU, ty, narrow, i.pos));
    }
    if inner == Op::ExtU {
        let x = f.inst(a).args[0];
        let narrow = bin_const(f, Op::And, Type::I32, x, c, i.pos);
        return Some(un(f, Op::ExtU, ty, narrow, i.pos));
    }
    if ty == Type::I64 && c == 0xffff_ffff {
        let low = un(f, Op::Wrap, Type::I32, a, i.pos);
        return Some(un(f, Op::ExtU, ty, low, i.pos));
    }
    None
}

pub(super) fn or(f: &mut Func, i: &Inst) -> Option<Value> {
    let ([a, b, _], ty) = (i.args, i.ty);
    if let Some((x, y)) = both(f, i) {
        return int_const(f, ty, x | y);
    }
    if a == b {
        return Some(a);
    }
    if let Some(c) = f.as_iconst(b) {
        if c == 0 {
            return Some(a);
        }
        if c as u64 & mask(ty) == mask(ty) {
            return Some(b);
        }
        if let Some((x, d)) = op_const(f, a, Op::Or) {
            return Some(bin_const(f, Op::Or, ty, x, c | d, i.pos));
        }
        return None;
    }
    wide::low(f, i).or_else(|| rotation(f, i))
}

pub(super) fn xor(f: &mut Func, i: &Inst) -> Option<Value> {
    let ([a, b, _], ty) = (i.args, i.ty);
    if let Some((x, y)) = both(f, i) {
        return int_const(f, ty, x ^ y);
    }
    if a == b {
        return int_const(f, ty, 0);
    }
    if let Some(c) = f.as_iconst(b) {
        if c == 0 {
            return Some(a);
        }
        if let Some((x, d)) = op_const(f, a, Op::Xor) {
            return Some(bin_const(f, Op::Xor, ty, x, c ^ d, i.pos));
        }
        if c == 1
            && let Some(v) = negated(f, a, i.pos)
        {
            return Some(v);
        }
        return None;
    }
    rotation(f, i)
}

/// `x << k` joined with `x >> (width - k)`.
fn rotation(f: &mut Func, i: &Inst) -> Option<Value> {
    let [a, b, _] = i.args;
    let (l, r) = if f.inst(a).op == Op::Shl { (a, b) } else { (b, a) };
    let (x, k) = op_const(f, l, Op::Shl)?;
    let (y, n) = op_const(f, r, Op::ShrU)?;
    if x != y || k + n != i64::from(width(i.ty)) {
        return None;
    }
    Some(bin_const(f, Op::Rotl, i.ty, x, k, i.pos))
}

/// A shift count without a mask that the shift applies anyway.
fn bare_count(f: &Func, count: Value, w: u32) -> Option<Value> {
    let (x, m) = op_const(f, count, Op::And)?;
    (m as u32 & (w - 1) == w - 1).then_some(x)
}

pub(super) fn shift(f: &mut Func, i: &Inst) -> Option<Value> {
    let ([a, b, _], ty, w) = (i.args, i.ty, width(i.ty));
    let Some(count) = f.as_iconst(b) else {
        if f.as_iconst(a) == Some(0) {
            return Some(a);
        }
        let x = bare_count(f, b, w)?;
        return Some(bin(f, i.op, ty, a, x, i.pos));
    };
    let n = count as u32 & (w - 1);
    if n == 0 {
        return Some(a);
    }
    if i64::from(n) != count {
        return Some(bin_const(f, i.op, ty, a, i64::from(n), i.pos));
    }
    if let Some(x) = f.as_iconst(a) {
        let v = match i.op {
            Op::Shl => x << n,
            Op::ShrU => ((x as u64 & mask(ty)) >> n) as i64,
            _ => x >> n,
        };
        return int_const(f, ty, v);
    }
    if i.op == Op::ShrS && zeros(f, a) > mask(ty) >> 1 {
        return Some(bin_const(f, Op::ShrU, ty, a, count, i.pos));
    }
    shift_of_shift(f, i, n)
}

fn shift_of_shift(f: &mut Func, i: &Inst, n: u32) -> Option<Value> {
    let (a, ty, w) = (i.args[0], i.ty, width(i.ty));
    let inner = f.inst(a).op;
    if !matches!(inner, Op::Shl | Op::ShrS | Op::ShrU | Op::And) {
        return None;
    }
    let (x, m) = op_const(f, a, inner)?;
    if inner == Op::And {
        // What a mask keeps is shifted out, or all that is left was kept.
        if i.op == Op::ShrU && (mask(ty) << n) & mask(ty) & !(m as u64) == 0 {
            return Some(bin_const(f, Op::ShrU, ty, x, i64::from(n), i.pos));
        }
        if i.op == Op::Shl && (mask(ty) >> n) & !(m as u64) == 0 {
            return Some(bin_const(f, Op::Shl, ty, x, i64::from(n), i.pos));
        }
        return None;
    }
    let m = m as u32 & (w - 1);
    match (inner, i.op) {
        (Op::Shl, Op::Shl) | (Op::ShrU, Op::ShrU) => match n + m {
            s if s >= w => int_const(f, ty, 0),
            s => Some(bin_const(f, i.op, ty, x, i64::from(s), i.pos)),
        },
        (Op::ShrS, Op::ShrS) => Some(bin_const(f, Op::ShrS, ty, x, i64::from((n + m).min(w - 1)), i.pos)),
        (Op::Shl, Op::ShrU) if n == m => Some(bin_const(f, Op::And, ty, x, (mask(ty) >> n) as i64, i.pos)),
        (Op::ShrU | Op::ShrS, Op::Shl) if n == m => {
            Some(bin_const(f, Op::And, ty, x, (mask(ty) << n & mask(ty)) as i64, i.pos))
        }
        (Op::Shl, Op::ShrS) if n == m => {
            let op = match w - n {
                8 => Op::Ext8S,
                16 => Op::Ext16S,
                32 => Op::Ext32S,
                _ => return None,
            };
            Some(un(f, op, ty, x, i.pos))
        }
        _ => None,
    }
}

pub(super) fn rotate(f: &mut Func, i: &Inst) -> Option<Value> {
    let ([a, b, _], ty, w) = (i.args, i.ty, width(i.ty));
    let Some(count) = f.as_iconst(b) else {
        let x = bare_count(f, b, w)?;
        return Some(bin(f, i.op, ty, a, x, i.pos));
    };
    let n = count as u32 & (w - 1);
    let left = if i.op == Op::Rotl { n } else { (w - n) & (w - 1) };
    if left == 0 {
        return Some(a);
    }
    if let Some(x) = f.as_iconst(a) {
        let v = if w == 32 { i64::from((x as u32).rotate_left(left)) } else { x.rotate_left(left) };
        return int_const(f, ty, v);
    }
    if let Some((x, m)) = op_const(f, a, Op::Rotl) {
        let sum = (left + m as u32) & (w - 1);
        return Some(bin_const(f, Op::Rotl, ty, x, i64::from(sum), i.pos));
    }
    if i.op == Op::Rotr || i64::from(n) != count {
        return Some(bin_const(f, Op::Rotl, ty, a, i64::from(left), i.pos));
    }
    None
}

pub(super) fn count(f: &mut Func, i: &Inst) -> Option<Value> {
    let x = f.as_iconst(i.args[0])? as u64 & mask(i.ty);
    let n = match i.op {
        Op::Clz => x.leading_zeros() - (64 - width(i.ty)),
        Op::Ctz => x.trailing_zeros().min(width(i.ty)),
        _ => x.count_ones(),
    };
    int_const(f, i.ty, i64::from(n))
}

pub(super) fn extend(f: &mut Func, i: &Inst) -> Option<Value> {
    let (a, ty) = (i.args[0], i.ty);
    let from = match i.op {
        Op::Ext8S => 8,
        Op::Ext16S => 16,
        _ => 32,
    };
    if let Some(x) = f.as_iconst(a) {
        return int_const(f, ty, x << (64 - from) >> (64 - from));
    }
    if sign_bits(f, a) > width(ty) - from {
        return Some(a);
    }
    // What the inner operation does to higher bits does not matter.
    let inner = f.inst(a);
    let x = inner.args[0];
    match inner.op {
        Op::And if f.as_iconst(inner.args[1]).is_some_and(|m| m as u64 | u64::MAX << from == u64::MAX) => {}
        Op::Ext16S | Op::Ext32S if from <= 16 => {}
        Op::ExtU | Op::ExtS if from <= 16 => {
            let narrow = un(f, i.op, Type::I32, x, i.pos);
            return Some(un(f, Op::ExtS, ty, narrow, i.pos));
        }
        Op::ExtU if from == 32 => return Some(un(f, Op::ExtS, ty, x, i.pos)),
        _ => return None,
    }
    Some(un(f, i.op, ty, x, i.pos))
}

pub(super) fn wrap(f: &mut Func, i: &Inst) -> Option<Value> {
    let a = i.args[0];
    if let Some(x) = f.as_iconst(a) {
        return int_const(f, Type::I32, x);
    }
    let inner = *f.inst(a);
    let [x, y, _] = inner.args;
    match inner.op {
        Op::ExtS | Op::ExtU => Some(x),
        Op::Ext32S => Some(un(f, Op::Wrap, Type::I32, x, i.pos)),
        // The low half of these depends on the low halves alone.
        Op::Add | Op::Sub | Op::Mul | Op::And | Op::Or | Op::Xor if narrows(f, x) && narrows(f, y) => {
            let x = un(f, Op::Wrap, Type::I32, x, i.pos);
            let y = un(f, Op::Wrap, Type::I32, y, i.pos);
            Some(bin(f, inner.op, Type::I32, x, y, i.pos))
        }
        Op::Shl if narrows(f, x) && f.as_iconst(y).is_some_and(|c| c & 63 < 32) => {
            let n = f.as_iconst(y)? & 63;
            let x = un(f, Op::Wrap, Type::I32, x, i.pos);
            Some(bin_const(f, Op::Shl, Type::I32, x, n, i.pos))
        }
        Op::And if f.as_iconst(y).is_some_and(|m| m as u32 == u32::MAX) => Some(un(f, Op::Wrap, Type::I32, x, i.pos)),
        _ => None,
    }
}

/// Whether the low half of a value is to be had without an instruction.
fn narrows(f: &Func, v: Value) -> bool {
    matches!(f.inst(v).op, Op::ExtS | Op::ExtU | Op::Iconst)
}

pub(super) fn widen(f: &mut Func, i: &Inst) -> Option<Value> {
    let (a, ty) = (i.args[0], i.ty);
    if let Some(x) = f.as_iconst(a) {
        return int_const(f, ty, if i.op == Op::ExtS { x } else { i64::from(x as u32) });
    }
    // Zero extension costs nothing.
    if i.op == Op::ExtS && zeros(f, a) & 0x8000_0000 != 0 {
        return Some(un(f, Op::ExtU, ty, a, i.pos));
    }
    let [x, ..] = is_op(f, a, Op::Wrap)?;
    if i.op == Op::ExtS {
        return Some(un(f, Op::Ext32S, ty, x, i.pos));
    }
    (zeros(f, x) >> 32 == 0xffff_ffff).then_some(x)
}

/// Shuffles that look at one of their operands only get it as both.
pub(super) fn shuffle(f: &mut Func, i: &Inst) -> Option<Value> {
    let [a, b, _] = i.args;
    let lanes = f.vectors[i.imm as usize].to_le_bytes();
    let one = if a == b || lanes.iter().all(|&l| l < 16) {
        a
    } else if lanes.iter().all(|&l| l >= 16) {
        b
    } else {
        return None;
    };
    let low = lanes.map(|l| l & 15);
    if low == std::array::from_fn(|n| n as u8) {
        return Some(one);
    }
    if low == lanes && a == b {
        return None;
    }
    let imm = f.vector(u128::from_le_bytes(low));
    Some(f.pure(Inst { imm, args: [one, one, Value::NONE], ..*i }))
}
