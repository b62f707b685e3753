//! Simplification: the one place of rewrite rules for pure instructions.
//!
//! In: a pure instruction whose arguments are simplified values. Out: a value equal to it, made of no more and no dearer
//! instructions. Rules only ever go one way (constants to the right, wide to narrow, dear to cheap), so they end; each
//! looks at most a few instructions deep. What a rule makes goes through the rules again.
//!
//! `int` has integer arithmetic and bits, `compare` comparisons and selections, `float` what is exact for floats,
//! `divide` division by constants, `wide` products made out of halves, `bits` what is known of a value's bits.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`numbers`) in which it does not hold:
//! - A rule holds for every value of its operands, in both widths: constants are compared modulo the width, shift
//!   counts taken modulo it.
//! - A rule that narrows proves what it drops, by known bits or by sign.
//! - Nothing that may trap is made or dropped: a division goes only with a constant divisor other than 0, and -1
//!   for `DivS`.
//! - Floats only become what has the same bits, also for NaN, infinities and both zeros.

mod bits;
mod compare;
mod divide;
mod float;
mod int;
mod wide;

use crate::ir::{FloatCc, Func, Inst, IntCc, Op, Type, Value};

pub use bits::zeros;
pub use compare::condition;
pub(super) use compare::holds;
pub use divide::divide;

/// The value of a pure instruction.
pub fn pure(f: &mut Func, mut inst: Inst) -> Value {
    if commutes(inst.op) {
        // Constants right; otherwise one order, so that equal instructions look equal.
        let [a, b, _] = inst.args;
        let (ca, cb) = (f.inst(a).op == Op::Iconst, f.inst(b).op == Op::Iconst);
        if (ca && !cb) || (ca == cb && a > b) {
            inst.args.swap(0, 1);
        }
    }
    let simpler = match inst.op {
        Op::Add => int::add(f, &inst),
        Op::Sub => int::sub(f, &inst),
        Op::Mul => int::mul(f, &inst),
        Op::And => int::and(f, &inst),
        Op::Or => int::or(f, &inst),
        Op::Xor => int::xor(f, &inst),
        Op::Shl | Op::ShrS | Op::ShrU => int::shift(f, &inst),
        Op::Rotl | Op::Rotr => int::rotate(f, &inst),
        Op::MulHiS | Op::MulHiU => int::mul_high(f, &inst),
        Op::Clz | Op::Ctz | Op::Popcnt => int::count(f, &inst),
        Op::Ext8S | Op::Ext16S | Op::Ext32S => int::extend(f, &inst),
        Op::Wrap => int::wrap(f, &inst),
        Op::ExtS | Op::ExtU => int::widen(f, &inst),
        Op::Icmp => compare::icmp(f, &inst),
        Op::Fcmp => compare::fcmp(f, &inst),
        Op::Select => compare::select(f, &inst),
        Op::VShuffle => int::shuffle(f, &inst),
        op if float::is_float(op) => float::simplify(f, &inst),
        _ => None,
    };
    simpler.unwrap_or_else(|| f.pure(inst))
}

fn commutes(op: Op) -> bool {
    matches!(op, Op::Add | Op::Mul | Op::MulHiS | Op::MulHiU | Op::And | Op::Or | Op::Xor)
}

/// An instruction of one argument.
pub fn un(f: &mut Func, op: Op, ty: Type, a: Value, pos: u32) -> Value {
    pure(f, Inst { args: [a, Value::NONE, Value::NONE], pos, ..Inst::new(op, ty) })
}

/// An instruction of two arguments.
pub fn bin(f: &mut Func, op: Op, ty: Type, a: Value, b: Value, pos: u32) -> Value {
    pure(f, Inst { args: [a, b, Value::NONE], pos, ..Inst::new(op, ty) })
}

/// An instruction of a value and a constant of the result's type.
pub fn bin_const(f: &mut Func, op: Op, ty: Type, a: Value, c: i64, pos: u32) -> Value {
    let c = f.iconst(ty, c);
    bin(f, op, ty, a, c, pos)
}

/// A comparison of integers.
pub fn icmp(f: &mut Func, cc: IntCc, a: Value, b: Value, pos: u32) -> Value {
    pure(f, Inst { aux: cc as u8, args: [a, b, Value::NONE], pos, ..Inst::new(Op::Icmp, Type::I32) })
}

/// A comparison of an integer with a constant.
pub fn icmp_const(f: &mut Func, cc: IntCc, a: Value, c: i64, pos: u32) -> Value {
    let c = f.iconst(f.ty(a), c);
    icmp(f, cc, a, c, pos)
}

/// A comparison of floats.
pub fn fcmp(f: &mut Func, cc: FloatCc, a: Value, b: Value, pos: u32) -> Value {
    pure(f, Inst { aux: cc as u8, args: [a, b, Value::NONE], pos, ..Inst::new(Op::Fcmp, Type::I32) })
}

/// A selection by a condition.
pub fn select(f: &mut Func, ty: Type, c: Value, a: Value, b: Value, pos: u32) -> Value {
    pure(f, Inst { args: [c, a, b], pos, ..Inst::new(Op::Select, ty) })
}

/// An integer constant of the type, truncated to it.
fn int_const(f: &mut Func, ty: Type, c: i64) -> Option<Value> {
    Some(f.iconst(ty, c))
}

/// Width of an integer type in bits.
fn width(ty: Type) -> u32 {
    ty.bytes() * 8
}

/// All bits of an integer type.
fn mask(ty: Type) -> u64 {
    if ty == Type::I32 { 0xffff_ffff } else { u64::MAX }
}

/// The arguments of the value if it is of that operation.
fn is_op(f: &Func, v: Value, op: Op) -> Option<[Value; 3]> {
    let i = f.inst(v);
    (i.op == op).then_some(i.args)
}

/// The first argument and the constant that is the second, if the value is of that operation and has one.
fn op_const(f: &Func, v: Value, op: Op) -> Option<(Value, i64)> {
    let args = is_op(f, v, op)?;
    Some((args[0], f.as_iconst(args[1])?))
}
