//! Sums with the outcome of a comparison: carries of wide numbers, counts of what is less.
//!
//! In: an addition or subtraction of an unsigned comparison, which nobody else needs. Out: the comparison, and the operation with
//! the flag that it leaves: `adc` or `sbb`.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`numbers`) in which it does not hold:
//! - The comparison is unsigned, or with zero, and nobody else needs it or its extension, which is by zeros.
//! - A bound that moves by one does not wrap, and fits an immediate.

use super::inst::{MInst, MOp};
use super::lower::{Lower, RmOp, tied, used};
use crate::ir::{IntCc, Op, Value};
use crate::passes::Pass;

/// Numbers of the operations with carry.
const ADC: u8 = 2;
const SBB: u8 = 3;

/// A comparison by which the carry flag is set where `a` is less than `b`.
struct Carry {
    a: Value,
    b: Right,
    /// Whether the outcome is the opposite of the flag.
    negated: bool,
}

#[derive(Clone, Copy)]
enum Right {
    Value(Value),
    Const(i64),
}

impl Lower<'_> {
    /// Adds to the first argument, or takes from it, the outcome of a comparison; false if it is none that can be had from the carry
    /// flag, and nothing has been done.
    pub(super) fn with_carry(&mut self, v: Value) -> bool {
        let i = *self.f.inst(v);
        let [x, y, _] = i.args;
        let subtract = i.op == Op::Sub;
        let found = self.carry(y).map(|c| (x, c));
        let found = found.or_else(|| if subtract { None } else { self.carry(x).map(|c| (y, c)) });
        let Some((x, carry)) = found else { return false };
        let d = self.def(v);
        // Constants are loaded before the flags are set.
        let x = self.reg_for(x);
        let size = self.f.ty(carry.a).bytes() as u8;
        match carry.b {
            Right::Const(imm) => {
                let a = self.reg_for(carry.a);
                self.emit_rm(MInst::new(MOp::CmpImm).size(size).imm(imm), &[], RmOp::Reg(a));
            }
            Right::Value(b) => {
                let b = self.rm(b);
                let a = self.reg_for(carry.a);
                self.emit_rm(MInst::new(MOp::Cmp).size(size), &[used(a)], b);
            }
        }
        // With c for the flag: x + c, x - c, x + (1 - c) = x - (-1) - c, x - (1 - c) = x + (-1) + c.
        let number = if subtract == carry.negated { ADC } else { SBB };
        let imm = if carry.negated { -1 } else { 0 };
        let size = i.ty.bytes() as u8;
        self.emit(MInst::new(MOp::AluImm).size(size).cc(number).imm(imm), &[tied(d), used(x)]);
        true
    }

    /// What sets the carry flag as a value is one.
    fn carry(&self, v: Value) -> Option<Carry> {
        if !self.passes.has(Pass::Carry) {
            return None;
        }
        let alone = |v: Value| self.s.uses[v.index()] == 1 && !self.is_wanted(v);
        let mut i = *self.f.inst(v);
        if i.op == Op::ExtU && alone(v) {
            let narrow = i.args[0];
            i = *self.f.inst(narrow);
            if !alone(narrow) {
                return None;
            }
        } else if !alone(v) {
            return None;
        }
        if i.op != Op::Icmp {
            return None;
        }
        let (a, b) = (i.args[0], i.args[1]);
        if let Some(c) = self.f.as_iconst(b) {
            // Below: less than the next; not below: the same, negated. What is zero is less than one.
            let (limit, negated) = match IntCc::from_code(i.aux) {
                IntCc::LtU => (c, false),
                IntCc::GeU => (c, true),
                IntCc::LeU if c != -1 => (c.wrapping_add(1), false),
                IntCc::GtU if c != -1 => (c.wrapping_add(1), true),
                IntCc::Eq if c == 0 => (1, false),
                IntCc::Ne if c == 0 => (1, true),
                _ => return None,
            };
            let fits = i32::try_from(limit).is_ok() && self.f.as_iconst(a).is_none();
            return fits.then_some(Carry { a, b: Right::Const(limit), negated });
        }
        let (a, b, negated) = match IntCc::from_code(i.aux) {
            IntCc::LtU => (a, b, false),
            IntCc::GeU => (a, b, true),
            IntCc::GtU => (b, a, false),
            IntCc::LeU => (b, a, true),
            _ => return None,
        };
        Some(Carry { a, b: Right::Value(b), negated })
    }
}
