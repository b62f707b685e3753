//! Shifts of lanes.
//!
//! In: a vector and a count, taken modulo the lane width. Out: the processor's shifts for 16, 32 and 64 bits (which clear
//! or fill lanes when the count is too large, so variable counts are masked); bytes are shifted as words without the bits
//! that would cross, or widened; 64-bit arithmetic shifts are logical ones that then extend the sign.

use super::{Bits, PACKUSWB, PAND, PXOR, int, lanes8, lanes64};
use crate::ir::{Op, SimdOp, Type, Value};
use crate::regalloc::VReg;
use crate::x64::encode::Enc;
use crate::x64::inst::{MInst, MOp, enc};
use crate::x64::lower::{Lower, RmOp, def, tied, used};

/// A shift: opcode by a count in a register, opcode and its extension by a constant.
#[derive(Clone, Copy)]
pub(super) struct Shift {
    by_reg: u8,
    by_imm: u8,
    extension: u8,
}

pub(super) const SHL16: Shift = Shift { by_reg: 0xf1, by_imm: 0x71, extension: 6 };
pub(super) const SAR16: Shift = Shift { by_reg: 0xe1, by_imm: 0x71, extension: 4 };
pub(super) const SHR16: Shift = Shift { by_reg: 0xd1, by_imm: 0x71, extension: 2 };
pub(super) const SHL32: Shift = Shift { by_reg: 0xf2, by_imm: 0x72, extension: 6 };
pub(super) const SAR32: Shift = Shift { by_reg: 0xe2, by_imm: 0x72, extension: 4 };
pub(super) const SHR32: Shift = Shift { by_reg: 0xd2, by_imm: 0x72, extension: 2 };
pub(super) const SHL64: Shift = Shift { by_reg: 0xf3, by_imm: 0x73, extension: 6 };
pub(super) const SHR64: Shift = Shift { by_reg: 0xd3, by_imm: 0x73, extension: 2 };

const PSUBB: Enc = int(0xf8);
const PSUBQ: Enc = int(0xfb);
const UNPACK_LOW8: Enc = int(0x60);
const UNPACK_HIGH8: Enc = int(0x68);
const PACKSSWB: Enc = int(0x63);

/// The shift of an operation with lanes of at least 16 bits, if the processor has it.
fn whole(op: SimdOp) -> Option<Shift> {
    Some(match op {
        SimdOp::I16x8Shl => SHL16,
        SimdOp::I16x8ShrS => SAR16,
        SimdOp::I16x8ShrU => SHR16,
        SimdOp::I32x4Shl => SHL32,
        SimdOp::I32x4ShrS => SAR32,
        SimdOp::I32x4ShrU => SHR32,
        SimdOp::I64x2Shl => SHL64,
        SimdOp::I64x2ShrU => SHR64,
        _ => return None,
    })
}

fn lane_bits(op: SimdOp) -> i64 {
    match op {
        SimdOp::I8x16Shl | SimdOp::I8x16ShrS | SimdOp::I8x16ShrU => 8,
        SimdOp::I16x8Shl | SimdOp::I16x8ShrS | SimdOp::I16x8ShrU => 16,
        SimdOp::I32x4Shl | SimdOp::I32x4ShrS | SimdOp::I32x4ShrU => 32,
        _ => 64,
    }
}

impl Lower<'_> {
    pub(super) fn shift_by_to(&mut self, d: VReg, s: Shift, a: VReg, n: u8) {
        let inst = MInst::new(MOp::VecShiftImm).enc(int(s.by_imm)).cc(s.extension).imm(i64::from(n));
        if self.cpu.avx {
            self.emit(inst.size(1), &[def(d), used(a)]);
        } else {
            self.emit(inst.size(0), &[tied(d), used(a)]);
        }
    }

    /// A shift by a constant into a new register.
    pub(super) fn shift_by(&mut self, s: Shift, a: VReg, n: u8) -> VReg {
        let d = self.temp(Type::V128);
        self.shift_by_to(d, s, a, n);
        d
    }

    pub(super) fn vector_shift(&mut self, v: Value, op: SimdOp) {
        let i = *self.f.inst(v);
        let d = self.def(v);
        let a = self.vreg(i.args[0]);
        if let Some(count) = self.f.as_iconst(i.args[1]) {
            let n = (count & (lane_bits(op) - 1)) as u8;
            return self.constant_shift(d, op, a, n);
        }
        let n = self.masked_count(i.args[1], lane_bits(op) - 1);
        if let Some(s) = whole(op) {
            let n = self.count(n);
            return self.two_to(d, int(s.by_reg), a, n);
        }
        match op {
            SimdOp::I8x16ShrS => self.wide_shift(d, a, n),
            SimdOp::I64x2ShrS => {
                let n = self.count(n);
                let sign = self.vector_const(lanes64(1 << 63));
                let sign = self.two(int(SHR64.by_reg), sign, n);
                let shifted = self.two(int(SHR64.by_reg), a, n);
                self.extend_sign(d, shifted, sign, PSUBQ);
            }
            _ => self.byte_shift(d, a, n, op == SimdOp::I8x16Shl),
        }
    }

    /// The count without its superfluous bits.
    fn masked_count(&mut self, count: Value, mask: i64) -> VReg {
        let i = self.f.inst(count);
        let masked = i.op == Op::And && self.f.as_iconst(i.args[1]).is_some_and(|c| c & !mask == 0);
        let r = self.reg_low(count);
        if masked {
            return r;
        }
        let d = self.temp(Type::I32);
        self.emit(MInst::new(MOp::AluImm).size(4).cc(4).imm(mask), &[tied(d), used(r)]);
        d
    }

    /// A count in a vector register.
    fn count(&mut self, n: VReg) -> VReg {
        let d = self.temp(Type::V128);
        self.emit_rm(MInst::new(MOp::FromGpr).enc(enc::MOVD_FROM).size(4), &[def(d)], RmOp::Reg(n));
        d
    }

    /// 8 more than a count, in a vector register.
    fn count_and_8(&mut self, n: VReg) -> VReg {
        let t = self.temp(Type::I32);
        self.emit(MInst::new(MOp::AluImm).size(4).cc(0).imm(8), &[tied(t), used(n)]);
        self.count(t)
    }

    /// `(shifted ^ sign) - sign` fills with ones from above, where the sign bit of `shifted` is set.
    fn extend_sign(&mut self, d: VReg, shifted: VReg, sign: VReg, sub: Enc) {
        let flipped = self.two(PXOR, shifted, sign);
        self.two_to(d, sub, flipped, sign);
    }

    fn constant_shift(&mut self, d: VReg, op: SimdOp, a: VReg, n: u8) {
        if n == 0 {
            return self.copy_to(d, a);
        }
        if let Some(s) = whole(op) {
            return self.shift_by_to(d, s, a, n);
        }
        match op {
            SimdOp::I8x16Shl if n == 1 => self.two_to(d, int(0xfc), a, a),
            SimdOp::I8x16Shl => {
                let kept = self.two(PAND, a, Bits(lanes8(0xff >> n)));
                self.shift_by_to(d, SHL16, kept, n);
            }
            SimdOp::I8x16ShrU => {
                let shifted = self.shift_by(SHR16, a, n);
                self.two_to(d, PAND, shifted, Bits(lanes8(0xff >> n)));
            }
            SimdOp::I8x16ShrS if n == 7 => {
                let zero = self.zero();
                self.two_to(d, int(0x64), zero, a);
            }
            SimdOp::I8x16ShrS => {
                let shifted = self.shift_by(SHR16, a, n);
                let kept = self.two(PAND, shifted, Bits(lanes8(0xff >> n)));
                let flipped = self.two(PXOR, kept, Bits(lanes8(0x80 >> n)));
                self.two_to(d, PSUBB, flipped, Bits(lanes8(0x80 >> n)));
            }
            _ if n == 63 => {
                let zero = self.zero();
                self.greater64_to(d, zero, a);
            }
            _ => {
                let shifted = self.shift_by(SHR64, a, n);
                let flipped = self.two(PXOR, shifted, Bits(lanes64(1 << (63 - n))));
                self.two_to(d, PSUBQ, flipped, Bits(lanes64(1 << (63 - n))));
            }
        }
    }

    /// Bytes by a variable count, left or unsigned right: as words, and without what comes from the neighbour.
    fn byte_shift(&mut self, d: VReg, a: VReg, n: VReg, left: bool) {
        let wide = self.count_and_8(n);
        let narrow = self.count(n);
        // 0xff >> n in every word, then in every byte.
        let ones = self.vector_const(u128::MAX);
        let words = self.two(int(SHR16.by_reg), ones, wide);
        let kept = self.two(PACKUSWB, words, words);
        if left {
            let a = self.two(PAND, a, kept);
            self.two_to(d, int(SHL16.by_reg), a, narrow);
        } else {
            let a = self.two(int(SHR16.by_reg), a, narrow);
            self.two_to(d, PAND, a, kept);
        }
    }

    /// Bytes by a variable count, signed right: in the upper halves of words.
    fn wide_shift(&mut self, d: VReg, a: VReg, n: VReg) {
        let n = self.count_and_8(n);
        let low = self.two(UNPACK_LOW8, a, a);
        let high = self.two(UNPACK_HIGH8, a, a);
        let low = self.two(int(SAR16.by_reg), low, n);
        let high = self.two(int(SAR16.by_reg), high, n);
        self.two_to(d, PACKSSWB, low, high);
    }
}
