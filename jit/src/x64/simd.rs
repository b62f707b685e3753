//! Vector instructions.
//!
//! In: vector instructions of the IR. Out: machine instructions: one where the processor has it (`direct`), else a short straight
//! sequence over temporaries, in three-operand AVX forms where they exist. Invariant: every lane gets the bits that the
//! interpreter gives it, except that a NaN that arithmetic makes may have any sign and payload which the specification allows (with
//! [`crate::Settings::canonical_nans`] the front end replaces those).
//!
//! Memory operands of legacy packed instructions must be aligned, and neither guest memory nor spill slots are: those
//! instructions get registers, or constants. AVX forms may take loads and spill slots.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`selection`) in which it does not hold:
//! - A vector load becomes an operand only of instructions that read all of it, and in AVX forms.
//! - Counts and numbers of lanes are masked or saturated as the operation says before the processor's own rules
//!   apply.

mod arith;
mod compare;
mod convert;
mod direct;
mod flags;
mod lanes;
mod shifts;
mod shuffles;
#[cfg(test)]
mod tests;

use super::encode::Enc;
use super::inst::{MInst, MOp};
use super::lower::{Lower, RmOp, def, tied, used};
use crate::ir::{Op, SimdOp, Type, Value};
use crate::regalloc::VReg;

/// An integer vector instruction of map 0F.
const fn int(op: u8) -> Enc {
    Enc::new(0x66, 1, op)
}

/// A vector instruction of map 0F 38.
const fn ext(op: u8) -> Enc {
    Enc::new(0x66, 2, op)
}

/// A vector instruction of map 0F 3A; these have an immediate.
const fn ext_imm(op: u8) -> Enc {
    Enc::new(0x66, 3, op)
}

/// Float instruction: single precision without a prefix, double precision with 66.
const fn float(op: u8, double: bool) -> Enc {
    Enc::new(if double { 0x66 } else { 0 }, 1, op)
}

const PAND: Enc = int(0xdb);
/// Second operand without the bits of the first.
const PANDN: Enc = int(0xdf);
const POR: Enc = int(0xeb);
const PXOR: Enc = int(0xef);
const PSHUFD: Enc = int(0x70);
const PSHUFB: Enc = ext(0x00);
const PACKUSWB: Enc = int(0x67);

/// A constant with that lane everywhere.
const fn lanes8(x: u8) -> u128 {
    u128::from_le_bytes([x; 16])
}
const fn lanes16(x: u16) -> u128 {
    lanes32(x as u32 | (x as u32) << 16)
}
const fn lanes32(x: u32) -> u128 {
    lanes64(x as u64 | (x as u64) << 32)
}
const fn lanes64(x: u64) -> u128 {
    x as u128 | (x as u128) << 64
}

/// A constant in memory as an operand.
#[derive(Clone, Copy)]
struct Bits(u128);

/// What may stand as the last operand of an instruction.
trait Source {
    fn rm(self, l: &mut Lower<'_>) -> RmOp;
}

impl Source for VReg {
    fn rm(self, _: &mut Lower<'_>) -> RmOp {
        RmOp::Reg(self)
    }
}

impl Source for RmOp {
    fn rm(self, _: &mut Lower<'_>) -> RmOp {
        self
    }
}

impl Source for Bits {
    fn rm(self, l: &mut Lower<'_>) -> RmOp {
        RmOp::Mem(l.const_addr(self.0, 16))
    }
}

impl Lower<'_> {
    /// Whether a test can be done as flags: all can but bitmasks.
    pub(super) fn is_vector_test(&self, v: Value) -> bool {
        let i = self.f.inst(v);
        i.op == Op::VTest && !flags::is_bitmask(SimdOp::from_code(i.idx))
    }

    /// Selects a vector instruction.
    pub(super) fn vector(&mut self, v: Value) {
        let i = *self.f.inst(v);
        if i.op == Op::VShuffle {
            return self.shuffle(v);
        }
        let op = SimdOp::from_code(i.idx);
        match i.op {
            Op::VUn | Op::VBin if self.direct(v, op) => {}
            Op::VUn => self.vector_unary(v, op),
            Op::VBin => self.vector_binary(v, op),
            Op::VTer => self.bitselect(v),
            Op::VShift => self.vector_shift(v, op),
            Op::VSplat => self.splat(v, op),
            Op::VExtract => self.extract_lane(v, op),
            Op::VReplace => self.replace_lane(v, op),
            _ => self.bitmask(v, op),
        }
    }

    // ---- operands

    /// The bits of a vector that is known.
    fn vector_bits(&self, v: Value) -> Option<u128> {
        let i = self.f.inst(v);
        if i.op == Op::Vconst {
            return Some(self.f.vectors[i.imm as usize]);
        }
        let scalar = (i.op == Op::VSplat).then(|| self.f.inst(i.args[0]))?;
        if !matches!(scalar.op, Op::Iconst | Op::Fconst) {
            return None;
        }
        let x = scalar.imm as u64;
        Some(match SimdOp::from_code(i.idx) {
            SimdOp::I8x16Splat => lanes8(x as u8),
            SimdOp::I16x8Splat => lanes16(x as u16),
            SimdOp::I32x4Splat | SimdOp::F32x4Splat => lanes32(x as u32),
            _ => lanes64(x),
        })
    }

    /// A register that holds a vector.
    fn vreg(&mut self, v: Value) -> VReg {
        match self.vector_bits(v) {
            Some(bits) if !self.is_wanted(v) => self.vector_const(bits),
            _ => self.reg(v),
        }
    }

    /// A whole vector as last operand: constants and, in AVX forms, loads need no register.
    fn vrm(&mut self, v: Value) -> RmOp {
        match self.vector_bits(v) {
            // Cheaper in a register.
            Some(bits @ (0 | u128::MAX)) => RmOp::Reg(self.vector_const(bits)),
            Some(bits) => Bits(bits).rm(self),
            None if self.cpu.avx => self.rm(v),
            None => RmOp::Reg(self.reg(v)),
        }
    }

    // ---- instructions, into a given register or into a new one

    fn emit_vector(&mut self, inst: MInst, d: VReg, a: VReg, b: RmOp) {
        match b {
            RmOp::Reg(b) if !self.cpu.avx => self.emit(MInst { op: MOp::Sse, ..inst }, &[tied(d), used(a), used(b)]),
            _ if !self.cpu.avx => self.emit_rm(MInst { op: MOp::Sse, ..inst }, &[tied(d), used(a)], b),
            _ => self.emit_rm(inst, &[def(d), used(a)], b),
        }
    }

    fn two_to(&mut self, d: VReg, e: Enc, a: VReg, b: impl Source) {
        let b = b.rm(self);
        self.emit_vector(MInst::new(MOp::Avx).enc(e), d, a, b);
    }

    fn two(&mut self, e: Enc, a: VReg, b: impl Source) -> VReg {
        let d = self.temp(Type::V128);
        self.two_to(d, e, a, b);
        d
    }

    fn two_imm_to(&mut self, d: VReg, e: Enc, a: VReg, b: impl Source, imm: u8) {
        let b = b.rm(self);
        self.emit_vector(MInst::new(MOp::Avx).enc(e).imm(i64::from(imm)), d, a, b);
    }

    fn two_imm(&mut self, e: Enc, a: VReg, b: impl Source, imm: u8) -> VReg {
        let d = self.temp(Type::V128);
        self.two_imm_to(d, e, a, b, imm);
        d
    }

    fn emit_unary(&mut self, inst: MInst, d: VReg, a: RmOp) {
        let inst = inst.cc(u8::from(self.cpu.avx));
        match a {
            RmOp::Reg(a) if !self.cpu.avx => self.emit(inst, &[def(d), used(a)]),
            _ => self.emit_rm(inst, &[def(d)], a),
        }
    }

    fn one_to(&mut self, d: VReg, e: Enc, a: impl Source) {
        let a = a.rm(self);
        self.emit_unary(MInst::new(MOp::SseUn).enc(e), d, a);
    }

    fn one(&mut self, e: Enc, a: impl Source) -> VReg {
        let d = self.temp(Type::V128);
        self.one_to(d, e, a);
        d
    }

    fn one_imm_to(&mut self, d: VReg, e: Enc, a: impl Source, imm: u8) {
        let a = a.rm(self);
        self.emit_unary(MInst::new(MOp::SseUn).enc(e).imm(i64::from(imm)), d, a);
    }

    fn one_imm(&mut self, e: Enc, a: impl Source, imm: u8) -> VReg {
        let d = self.temp(Type::V128);
        self.one_imm_to(d, e, a, imm);
        d
    }

    fn zero(&mut self) -> VReg {
        self.vector_const(0)
    }

    fn not_to(&mut self, d: VReg, a: VReg) {
        let ones = self.vector_const(u128::MAX);
        self.two_to(d, PXOR, a, ones);
    }

    /// `d` gets what `a` holds.
    fn copy_to(&mut self, d: VReg, a: VReg) {
        self.emit_rm(MInst::new(MOp::Copy).size(16), &[def(d)], RmOp::Reg(a));
    }

    /// Bits of `yes` where `mask` is set, of `no` elsewhere. `bytes`: each byte of the mask is all ones or zero.
    fn blend_to(&mut self, d: VReg, mask: VReg, yes: VReg, no: VReg, bytes: bool) {
        if bytes && self.cpu.avx {
            let inst = MInst::new(MOp::Avx4).enc(ext_imm(0x4c));
            self.emit(inst, &[def(d), used(no), used(yes), used(mask)]);
            return;
        }
        let kept = self.two(PAND, yes, mask);
        let other = self.two(PANDN, mask, no);
        self.two_to(d, POR, other, kept);
    }

    // ---- three operands

    fn bitselect(&mut self, v: Value) {
        let [yes, no, mask] = self.f.inst(v).args;
        let d = self.def(v);
        let bytes = self.is_comparison(mask);
        let (yes, no, mask) = (self.vreg(yes), self.vreg(no), self.vreg(mask));
        self.blend_to(d, mask, yes, no, bytes);
    }
}
