//! Float arithmetic, and constants in vector registers.
//!
//! In: float instructions of the IR. Out: scalar SSE instructions, three-operand AVX forms where the processor has them.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`control`) in which it does not hold:
//! - A choice is a minimum or maximum only for `<` between its own two operands, in the order in which NaN and
//!   zeros give the second.
//! - A mask chooses only between floats of the type that is compared.

use super::encode::Enc;
use super::inst::{MInst, MOp, cc, enc};
use super::lower::{Addr, Lower, RmOp, def, tied, used};
use crate::ir::{FloatCc, Op, Type, Value};
use crate::regalloc::VReg;

impl Lower<'_> {
    /// A float constant in a register.
    pub(super) fn float_const(&mut self, ty: Type, bits: i64) -> VReg {
        let d = self.temp(ty);
        if bits == 0 {
            self.emit(MInst::new(MOp::VecZero), &[def(d)]);
            return d;
        }
        let size = ty.bytes() as u8;
        let addr = self.const_addr(u128::from(bits as u64), size);
        let e = if size == 4 { enc::MOVSS } else { enc::MOVSD };
        self.emit_rm(MInst::new(MOp::SseUn).enc(e), &[def(d)], RmOp::Mem(addr));
        d
    }

    /// A vector constant in a register.
    pub(super) fn vector_const(&mut self, bits: u128) -> VReg {
        let d = self.temp(Type::V128);
        match bits {
            0 => self.emit(MInst::new(MOp::VecZero), &[def(d)]),
            u128::MAX => self.emit(MInst::new(MOp::VecOnes), &[def(d)]),
            _ => {
                let addr = self.const_addr(bits, 16);
                self.emit_rm(MInst::new(MOp::SseUn).enc(enc::MOVAPS), &[def(d)], RmOp::Mem(addr));
            }
        }
        d
    }

    /// A two-operand vector instruction in whichever form the processor has. Memory operands of legacy packed
    /// instructions must be aligned: pass only such.
    pub(super) fn sse(&mut self, e: Enc, d: VReg, a: VReg, b: RmOp) {
        if self.cpu.avx {
            self.emit_rm(MInst::new(MOp::Avx).enc(e), &[def(d), used(a)], b);
        } else {
            self.emit_rm(MInst::new(MOp::Sse).enc(e), &[tied(d), used(a)], b);
        }
    }

    /// As `sse` with an immediate byte.
    pub(super) fn sse_imm(&mut self, e: Enc, d: VReg, a: VReg, b: RmOp, imm: u8) {
        let imm = i64::from(imm);
        if self.cpu.avx {
            self.emit_rm(MInst::new(MOp::Avx).enc(e).imm(imm), &[def(d), used(a)], b);
        } else {
            self.emit_rm(MInst::new(MOp::Sse).enc(e).imm(imm), &[tied(d), used(a)], b);
        }
    }

    pub(super) fn float(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let double = i.ty == Type::F64;
        let scalar = |op: u8| Enc::new(if double { 0xf2 } else { 0xf3 }, 1, op);
        match i.op {
            Op::FAdd => self.float_binary(v, scalar(0x58), true),
            Op::FMul => self.float_binary(v, scalar(0x59), true),
            Op::FSub => self.float_binary(v, scalar(0x5c), false),
            Op::FDiv => self.float_binary(v, scalar(0x5e), false),
            Op::FSqrt => self.float_unary(v, scalar(0x51), None),
            Op::FNearest => self.float_unary(v, round(double), Some(8)),
            Op::FFloor => self.float_unary(v, round(double), Some(9)),
            Op::FCeil => self.float_unary(v, round(double), Some(10)),
            Op::FTrunc => self.float_unary(v, round(double), Some(11)),
            Op::FAbs | Op::FNeg => self.float_sign(v),
            Op::FCopysign => self.float_copysign(v),
            Op::FMin | Op::FMax => {
                let d = self.def(v);
                let (a, b) = (self.reg(i.args[0]), self.reg(i.args[1]));
                let max = u8::from(i.op == Op::FMax);
                let inst = MInst::new(MOp::FMinMax).size(i.ty.bytes() as u8).cc(max);
                self.emit(inst, &[tied(d), used(a), super::lower::used_late(b)]);
            }
            _ => unreachable!("{:?} is selected elsewhere", i.op),
        }
    }

    fn float_binary(&mut self, v: Value, e: Enc, commutes: bool) {
        let i = *self.f.inst(v);
        let (mut a, mut b) = (i.args[0], i.args[1]);
        let d = self.def(v);
        let constant = |v: Value| self.f.inst(v).op == Op::Fconst;
        if commutes && !constant(b) {
            let fold = self.can_fold(a) && !self.can_fold(b);
            let dies = !self.cpu.avx && self.is_wanted(a) && !self.is_wanted(b) && !self.can_fold(b);
            if fold || dies || constant(a) {
                (a, b) = (b, a);
            }
        }
        let b = self.rm(b);
        let a = self.reg(a);
        self.sse(e, d, a, b);
    }

    /// Scalar one-operand instructions merge into the destination's upper half: in the AVX form from the operand itself, in the legacy
    /// form the destination is cleared first when the operand is in memory.
    fn float_unary(&mut self, v: Value, e: Enc, imm: Option<u8>) {
        let i = *self.f.inst(v);
        let d = self.def(v);
        let a = self.reg(i.args[0]);
        let inst = MInst::new(if self.cpu.avx { MOp::Avx } else { MOp::SseUn }).enc(e);
        let inst = imm.map_or(inst, |n| inst.imm(i64::from(n)));
        if self.cpu.avx {
            self.emit_rm(inst, &[def(d), used(a)], RmOp::Reg(a));
        } else {
            self.emit_rm(inst, &[def(d)], RmOp::Reg(a));
        }
    }

    /// A choice by a float comparison without a branch: `minss` and its kin where they mean the same, or a mask.
    pub(super) fn select_float(&mut self, v: Value) -> bool {
        let i = *self.f.inst(v);
        let c = *self.f.inst(i.args[0]);
        if c.op != Op::Fcmp || self.f.ty(c.args[0]) != i.ty || !matches!(i.ty, Type::F32 | Type::F64) {
            return false;
        }
        let (mut code, mut x, mut y) = (FloatCc::from_code(c.aux), c.args[0], c.args[1]);
        let (mut yes, mut no) = (i.args[1], i.args[2]);
        if matches!(code, FloatCc::Uge | FloatCc::Ule | FloatCc::Ugt | FloatCc::Ult | FloatCc::Ne) {
            code = code.negate();
            (yes, no) = (no, yes);
        }
        if matches!(code, FloatCc::Gt | FloatCc::Ge) {
            code = code.swap();
            (x, y) = (y, x);
        }
        let prefix = if i.ty == Type::F64 { 0xf2 } else { 0xf3 };
        let d = self.def(v);
        // x < y ? x : y and x < y ? y : x are what minss(x, y) and maxss(y, x) do with NaN and zeros.
        if code == FloatCc::Lt && ((yes, no) == (x, y) || (yes, no) == (y, x)) {
            let op = if yes == x { 0x5d } else { 0x5f };
            let second = self.for_one_use(i.args[0], |l| l.rm(no));
            let first = self.reg(yes);
            self.sse(Enc::new(prefix, 1, op), d, first, second);
            return true;
        }
        if !self.cpu.avx {
            return false;
        }
        let predicate = match code {
            FloatCc::Eq => 0,
            FloatCc::Lt => 1,
            _ => 2,
        };
        let mask = self.temp(i.ty);
        let (yes, no) = (self.reg(yes), self.reg(no));
        let y = self.for_one_use(i.args[0], |l| l.rm(y));
        let x = self.reg(x);
        self.sse_imm(Enc::new(prefix, 1, 0xc2), mask, x, y, predicate);
        let blend = Enc::new(0x66, 3, if i.ty == Type::F64 { 0x4b } else { 0x4a });
        self.emit(MInst::new(MOp::Avx4).enc(blend), &[def(d), used(no), used(yes), used(mask)]);
        true
    }

    /// A constant with the sign bits (or all others) set, as an aligned memory operand.
    pub(super) fn sign_mask(&mut self, double: bool, inverted: bool) -> Addr {
        let lane: u128 = if double { 1 << 63 | 1 << 127 } else { 0x8000_0000_8000_0000_8000_0000_8000_0000 };
        self.const_addr(if inverted { !lane } else { lane }, 16)
    }

    fn float_sign(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let d = self.def(v);
        let abs = i.op == Op::FAbs;
        let a = self.reg(i.args[0]);
        let mask = self.sign_mask(i.ty == Type::F64, abs);
        self.sse(if abs { enc::ANDPS } else { enc::XORPS }, d, a, RmOp::Mem(mask));
    }

    fn float_copysign(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let double = i.ty == Type::F64;
        let d = self.def(v);
        let (magnitude, sign) = (self.temp(i.ty), self.temp(i.ty));
        let (a, b) = (self.reg(i.args[0]), self.reg(i.args[1]));
        let keep = self.sign_mask(double, true);
        self.sse(enc::ANDPS, magnitude, a, RmOp::Mem(keep));
        let mask = self.sign_mask(double, false);
        self.sse(enc::ANDPS, sign, b, RmOp::Mem(mask));
        self.sse(enc::ORPS, d, magnitude, RmOp::Reg(sign));
    }
}

fn round(double: bool) -> Enc {
    Enc::new(0x66, 3, if double { 0x0b } else { 0x0a })
}

/// The condition "always true" does not exist; this is the one after `ptest` for "some bit is set".
pub(super) const SOME: u8 = cc::NE;
