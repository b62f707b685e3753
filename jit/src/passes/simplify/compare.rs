//! Comparisons, conditions and selections.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`numbers`) in which it does not hold:
//! - A bound moves by one only where it does not wrap; a signed condition becomes unsigned only for values that
//!   cannot be negative.
//! - Both sides are narrowed only by the same extension, or to a constant that it can give.
//! - A selection between operands of its own comparison goes only for integers and equality.

use super::bits::zeros;
use super::*;

/// A condition without tests against zero: the value to look at, and whether zero means true.
pub fn condition(f: &Func, mut v: Value) -> (Value, bool) {
    let mut zero_means_true = false;
    loop {
        let i = f.inst(v);
        let against_zero = i.op == Op::Icmp && f.ty(i.args[0]) == Type::I32 && f.as_iconst(i.args[1]) == Some(0);
        match IntCc::ALL.get(usize::from(i.aux)) {
            Some(IntCc::Eq) if against_zero => zero_means_true = !zero_means_true,
            Some(IntCc::Ne) if against_zero => {}
            _ => return (v, zero_means_true),
        }
        v = i.args[0];
    }
}

/// Whether a value is 0 or 1.
fn is_truth(f: &Func, v: Value) -> bool {
    zeros(f, v) & mask(f.ty(v)) == mask(f.ty(v)) & !1
}

/// `1 - v` for a comparison.
pub(super) fn negated(f: &mut Func, v: Value, pos: u32) -> Option<Value> {
    let i = *f.inst(v);
    match i.op {
        Op::Icmp => Some(super::icmp(f, IntCc::from_code(i.aux).negate(), i.args[0], i.args[1], pos)),
        Op::Fcmp => Some(super::fcmp(f, FloatCc::from_code(i.aux).negate(), i.args[0], i.args[1], pos)),
        _ => None,
    }
}

pub(in crate::passes) fn holds(cc: IntCc, a: i64, b: i64, ty: Type) -> bool {
    let (ua, ub) = (a as u64 & mask(ty), b as u64 & mask(ty));
    match cc {
        IntCc::Eq => a == b,
        IntCc::Ne => a != b,
        IntCc::LtS => a < b,
        IntCc::LtU => ua < ub,
        IntCc::GtS => a > b,
        IntCc::GtU => ua > ub,
        IntCc::LeS => a <= b,
        IntCc::LeU => ua <= ub,
        IntCc::GeS => a >= b,
        IntCc::GeU => ua >= ub,
    }
}

fn truth(f: &mut Func, b: bool) -> Option<Value> {
    int_const(f, Type::I32, i64::from(b))
}

pub(super) fn icmp(f: &mut Func, i: &Inst) -> Option<Value> {
    let [a, b, _] = i.args;
    let (cc, ty) = (IntCc::from_code(i.aux), f.ty(a));
    match (f.as_iconst(a), f.as_iconst(b)) {
        (Some(x), Some(y)) => return truth(f, holds(cc, x, y, ty)),
        (Some(_), None) => return Some(super::icmp(f, cc.swap(), b, a, i.pos)),
        (None, Some(c)) => return icmp_with(f, i, cc, ty, c),
        _ => {}
    }
    if a == b {
        return truth(f, holds(cc, 0, 0, ty));
    }
    // Ids of types right, as constants are.
    let [ida, idb] = [a, b].map(|v| f.inst(v).op == Op::TypeId);
    narrow(f, i, cc).or_else(|| {
        // One order for equal comparisons.
        (if ida == idb { a > b } else { ida }).then(|| super::icmp(f, cc.swap(), b, a, i.pos))
    })
}

/// Comparison of two extended values.
fn narrow(f: &mut Func, i: &Inst, cc: IntCc) -> Option<Value> {
    let (a, b) = (*f.inst(i.args[0]), *f.inst(i.args[1]));
    let signed = matches!(cc, IntCc::LtS | IntCc::GtS | IntCc::LeS | IntCc::GeS);
    match (a.op, b.op) {
        (Op::ExtS, Op::ExtS) => Some(super::icmp(f, cc, a.args[0], b.args[0], i.pos)),
        (Op::ExtU, Op::ExtU) => {
            let cc = if signed { unsigned(cc) } else { cc };
            Some(super::icmp(f, cc, a.args[0], b.args[0], i.pos))
        }
        _ => None,
    }
}

/// The condition for values that are not negative.
fn unsigned(cc: IntCc) -> IntCc {
    match cc {
        IntCc::LtS => IntCc::LtU,
        IntCc::GtS => IntCc::GtU,
        IntCc::LeS => IntCc::LeU,
        IntCc::GeS => IntCc::GeU,
        cc => cc,
    }
}

/// Comparison with a constant.
fn icmp_with(f: &mut Func, i: &Inst, cc: IntCc, ty: Type, c: i64) -> Option<Value> {
    let a = i.args[0];
    range(f, i, cc, ty, c)
        .or_else(|| by_known_bits(f, i, cc, ty, c))
        .or_else(|| if matches!(cc, IntCc::Eq | IntCc::Ne) { equality(f, i, cc, ty, c) } else { None })
        .or_else(|| narrow_with(f, i, cc, a, c))
}

/// Constants at the ends of the range, and one form for each condition: against zero if possible, else strict.
fn range(f: &mut Func, i: &Inst, cc: IntCc, ty: Type, c: i64) -> Option<Value> {
    let a = i.args[0];
    let (min, max) = if ty == Type::I32 { (i64::from(i32::MIN), i64::from(i32::MAX)) } else { (i64::MIN, i64::MAX) };
    let u = c as u64 & mask(ty);
    let umax = mask(ty);
    let to = |f: &mut Func, cc, c| Some(super::icmp_const(f, cc, a, c, i.pos));
    match cc {
        IntCc::LtU if u == 0 => truth(f, false),
        IntCc::GeU if u == 0 => truth(f, true),
        IntCc::GtU if u == umax => truth(f, false),
        IntCc::LeU if u == umax => truth(f, true),
        IntCc::LtS if c == min => truth(f, false),
        IntCc::GeS if c == min => truth(f, true),
        IntCc::GtS if c == max => truth(f, false),
        IntCc::LeS if c == max => truth(f, true),
        IntCc::LtU if u == 1 => to(f, IntCc::Eq, 0),
        IntCc::LeU if u == 0 => to(f, IntCc::Eq, 0),
        IntCc::GtU if u == 0 => to(f, IntCc::Ne, 0),
        IntCc::GeU if u == 1 => to(f, IntCc::Ne, 0),
        // The sign alone.
        IntCc::LtU if u == umax / 2 + 1 => to(f, IntCc::GeS, 0),
        IntCc::GtU if u == umax / 2 => to(f, IntCc::LtS, 0),
        IntCc::LeS if c == -1 => to(f, IntCc::LtS, 0),
        IntCc::GtS if c == -1 => to(f, IntCc::GeS, 0),
        IntCc::LtS if c == 1 => to(f, IntCc::LeS, 0),
        IntCc::GeS if c == 1 => to(f, IntCc::GtS, 0),
        IntCc::LeS if c != 0 => to(f, IntCc::LtS, c + 1),
        IntCc::GeS if c != 0 => to(f, IntCc::GtS, c - 1),
        IntCc::LeU => to(f, IntCc::LtU, c.wrapping_add(1)),
        IntCc::GeU => to(f, IntCc::GtU, c.wrapping_sub(1)),
        _ => None,
    }
}

fn by_known_bits(f: &mut Func, i: &Inst, cc: IntCc, ty: Type, c: i64) -> Option<Value> {
    let a = i.args[0];
    let known = zeros(f, a);
    if known == 0 {
        return None;
    }
    let largest = !known & mask(ty);
    let u = c as u64 & mask(ty);
    let sign = mask(ty) / 2 + 1;
    match cc {
        IntCc::Eq | IntCc::Ne if u & known != 0 => truth(f, cc == IntCc::Ne),
        IntCc::LtU if largest < u => truth(f, true),
        IntCc::GtU if largest <= u => truth(f, false),
        IntCc::LtS if known & sign != 0 && c <= 0 => truth(f, false),
        IntCc::GeS if known & sign != 0 && c <= 0 => truth(f, true),
        IntCc::LeS if known & sign != 0 && c == 0 => Some(super::icmp_const(f, IntCc::Eq, a, 0, i.pos)),
        IntCc::GtS if known & sign != 0 && c == 0 => Some(super::icmp_const(f, IntCc::Ne, a, 0, i.pos)),
        IntCc::LtS if known & sign != 0 && c > 0 && largest < u => truth(f, true),
        IntCc::GtS if known & sign != 0 && c > 0 && largest <= u => truth(f, false),
        // A truth value: compared with 1 or 0.
        IntCc::Eq | IntCc::Ne if largest == 1 && u == 1 => {
            Some(super::icmp_const(f, if cc == IntCc::Eq { IntCc::Ne } else { IntCc::Eq }, a, 0, i.pos))
        }
        IntCc::Ne if largest == 1 && u == 0 && ty == Type::I32 => Some(a),
        IntCc::Eq if largest == 1 && u == 0 => negated(f, a, i.pos),
        _ => None,
    }
}

/// `==` and `!=` with a constant.
fn equality(f: &mut Func, i: &Inst, cc: IntCc, ty: Type, c: i64) -> Option<Value> {
    let a = i.args[0];
    let inner = *f.inst(a);
    let [x, y, z] = inner.args;
    let d = if f.inst(a).op.arity() == crate::ir::Arity::Fixed(2) { f.as_iconst(y) } else { None };
    match (inner.op, d) {
        // Not for sums and differences: those are mostly needed anyway, and set the flags.
        (Op::Xor, Some(d)) => Some(super::icmp_const(f, cc, x, c ^ d, i.pos)),
        (Op::Xor, None) if c == 0 => Some(super::icmp(f, cc, x, y, i.pos)),
        // A single bit that is set is one that is not clear.
        (Op::And, Some(d)) if c == d && (d as u64 & mask(ty)).is_power_of_two() => {
            Some(super::icmp_const(f, cc.negate(), a, 0, i.pos))
        }
        (Op::ShrU, Some(d)) if c == 0 && (1..i64::from(width(ty))).contains(&d) => {
            let limit = f.iconst(ty, 1i64 << d);
            let cc = if cc == IntCc::Eq { IntCc::LtU } else { IntCc::GeU };
            Some(super::icmp(f, cc, x, limit, i.pos))
        }
        (Op::Rotl, Some(_)) if c == 0 || c == -1 => Some(super::icmp_const(f, cc, x, c, i.pos)),
        (Op::Select, _) => {
            // Which of two constants it is tells the condition.
            let (p, q) = (f.as_iconst(y)?, f.as_iconst(z)?);
            let (if_true, if_false) = (holds(cc, p, c, ty), holds(cc, q, c, ty));
            match (if_true, if_false) {
                (true, false) => Some(super::icmp_const(f, IntCc::Ne, x, 0, i.pos)),
                (false, true) => Some(super::icmp_const(f, IntCc::Eq, x, 0, i.pos)),
                (same, _) => truth(f, same),
            }
        }
        _ => None,
    }
}

/// Comparison of an extended value with a constant.
fn narrow_with(f: &mut Func, i: &Inst, cc: IntCc, a: Value, c: i64) -> Option<Value> {
    let inner = *f.inst(a);
    let x = inner.args[0];
    match inner.op {
        Op::ExtU if u32::try_from(c).is_ok() => Some(super::icmp_const(f, unsigned(cc), x, c, i.pos)),
        Op::ExtU if c > 0 => truth(f, matches!(cc, IntCc::Ne | IntCc::LtS | IntCc::LtU | IntCc::LeS | IntCc::LeU)),
        Op::ExtS if i32::try_from(c).is_ok() => Some(super::icmp_const(f, cc, x, c, i.pos)),
        _ => None,
    }
}

pub(super) fn fcmp(f: &mut Func, i: &Inst) -> Option<Value> {
    let [a, b, _] = i.args;
    let (x, y) = (f.inst(a), f.inst(b));
    if x.op != Op::Fconst || y.op != Op::Fconst {
        return None;
    }
    let get = |c: &Inst| match c.ty {
        Type::F32 => f64::from(f32::from_bits(c.imm as u32)),
        _ => f64::from_bits(c.imm as u64),
    };
    let (x, y) = (get(x), get(y));
    let r = match FloatCc::from_code(i.aux) {
        FloatCc::Eq => x == y,
        FloatCc::Ne => x != y,
        FloatCc::Lt => x < y,
        FloatCc::Gt => x > y,
        FloatCc::Le => x <= y,
        FloatCc::Ge => x >= y,
        FloatCc::Uge => x >= y || x.is_nan() || y.is_nan(),
        FloatCc::Ule => x <= y || x.is_nan() || y.is_nan(),
        FloatCc::Ugt => x > y || x.is_nan() || y.is_nan(),
        FloatCc::Ult => x < y || x.is_nan() || y.is_nan(),
    };
    truth(f, r)
}

pub(super) fn select(f: &mut Func, i: &Inst) -> Option<Value> {
    let ([c, a, b], ty) = (i.args, i.ty);
    if a == b {
        return Some(a);
    }
    if let Some(k) = f.as_iconst(c) {
        return Some(if k != 0 { a } else { b });
    }
    let (bare, swapped) = condition(f, c);
    if bare != c {
        let (a, b) = if swapped { (b, a) } else { (a, b) };
        return Some(super::select(f, ty, bare, a, b, i.pos));
    }
    if !ty.is_int() {
        return None;
    }
    // x == 0 ? 0 : x and the like need no selection.
    if f.inst(c).op == Op::Icmp {
        let k = *f.inst(c);
        let cc = IntCc::from_code(k.aux);
        let (p, q) = (k.args[0], k.args[1]);
        if ((a, b) == (p, q) || (a, b) == (q, p)) && matches!(cc, IntCc::Eq | IntCc::Ne) {
            return Some(if cc == IntCc::Eq { b } else { a });
        }
    }
    let (x, y) = (f.as_iconst(a)?, f.as_iconst(b)?);
    let as_ty = |f: &mut Func, v: Value| if ty == Type::I64 { un(f, Op::ExtU, ty, v, i.pos) } else { v };
    match (x, y) {
        (1, 0) if is_truth(f, c) => Some(as_ty(f, c)),
        (1, 0) => {
            let v = super::icmp_const(f, IntCc::Ne, c, 0, i.pos);
            Some(as_ty(f, v))
        }
        (0, 1) => {
            let v = super::icmp_const(f, IntCc::Eq, c, 0, i.pos);
            Some(as_ty(f, v))
        }
        (-1, 0) if is_truth(f, c) => {
            let v = as_ty(f, c);
            let zero = f.iconst(ty, 0);
            Some(bin(f, Op::Sub, ty, zero, v, i.pos))
        }
        _ => None,
    }
}
