//! Vector arithmetic that takes several instructions.
//!
//! In: an operation that is not in the table of direct ones. Out: its sequence.

use super::shifts::{SHL64, SHR16, SHR64};
use super::{Bits, PAND, PSHUFB, PSHUFD, PXOR, ext, float, int, lanes8, lanes16, lanes32};
use crate::ir::{SimdOp, Value};
use crate::regalloc::VReg;
use crate::x64::encode::Enc;
use crate::x64::inst::enc;
use crate::x64::lower::{Lower, RmOp};

const PADDB: Enc = int(0xfc);
const PADDD: Enc = int(0xfe);
const PADDQ: Enc = int(0xd4);
const PMULLW: Enc = int(0xd5);
const PMULHW: Enc = int(0xe5);
const PMULHUW: Enc = int(0xe4);
const PMULUDQ: Enc = int(0xf4);
const PMULDQ: Enc = ext(0x28);
const PMADDWD: Enc = int(0xf5);
/// Unsigned bytes times signed bytes, neighbours added.
const PMADDUBSW: Enc = ext(0x04);

/// Number of ones of each number of four bits.
const NIBBLE_COUNTS: u128 = u128::from_le_bytes([0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4]);

impl Lower<'_> {
    pub(super) fn vector_unary(&mut self, v: Value, op: SimdOp) {
        use SimdOp::*;
        let arg = self.f.inst(v).args[0];
        let d = self.def(v);
        match op {
            V128Not => {
                let a = self.vreg(arg);
                self.not_to(d, a);
            }
            I8x16Neg => self.negate(d, arg, int(0xf8)),
            I16x8Neg => self.negate(d, arg, int(0xf9)),
            I32x4Neg => self.negate(d, arg, int(0xfa)),
            I64x2Neg => self.negate(d, arg, int(0xfb)),
            I64x2Abs => {
                let a = self.vreg(arg);
                let signs = self.shift_by(super::shifts::SAR32, a, 31);
                let signs = self.one_imm(PSHUFD, signs, 0xf5);
                let flipped = self.two(PXOR, a, signs);
                self.two_to(d, int(0xfb), flipped, signs);
            }
            F32x4Abs | F64x2Abs | F32x4Neg | F64x2Neg => {
                let abs = matches!(op, F32x4Abs | F64x2Abs);
                let a = self.vreg(arg);
                let mask = RmOp::Mem(self.sign_mask(matches!(op, F64x2Abs | F64x2Neg), abs));
                self.two_to(d, if abs { enc::ANDPS } else { enc::XORPS }, a, mask);
            }
            I8x16Popcnt => self.byte_popcnt(d, arg),
            _ => self.widen_or_convert(d, arg, op),
        }
    }

    fn negate(&mut self, d: VReg, arg: Value, sub: Enc) {
        let a = self.vrm(arg);
        let zero = self.zero();
        self.two_to(d, sub, zero, a);
    }

    fn byte_popcnt(&mut self, d: VReg, arg: Value) {
        let a = self.vreg(arg);
        let low = self.two(PAND, a, Bits(lanes8(15)));
        let high = self.shift_by(SHR16, a, 4);
        let high = self.two(PAND, high, Bits(lanes8(15)));
        let table = self.vector_const(NIBBLE_COUNTS);
        let low = self.two(PSHUFB, table, low);
        let high = self.two(PSHUFB, table, high);
        self.two_to(d, PADDB, low, high);
    }

    /// Upper halves with wider lanes, and sums of neighbours; conversions else.
    fn widen_or_convert(&mut self, d: VReg, arg: Value, op: SimdOp) {
        use SimdOp::*;
        match op {
            I16x8ExtendHighI8x16S => self.extend_high(d, arg, ext(0x20)),
            I32x4ExtendHighI16x8S => self.extend_high(d, arg, ext(0x23)),
            I64x2ExtendHighI32x4S => self.extend_high(d, arg, ext(0x25)),
            I16x8ExtendHighI8x16U => self.interleave_high(d, arg, int(0x68)),
            I32x4ExtendHighI16x8U => self.interleave_high(d, arg, int(0x69)),
            I64x2ExtendHighI32x4U => self.interleave_high(d, arg, int(0x6a)),
            I16x8ExtAddPairwiseI8x16S => {
                // The operand that is taken as signed is the second one.
                let a = self.vrm(arg);
                let ones = self.vector_const(lanes8(1));
                self.two_to(d, PMADDUBSW, ones, a);
            }
            I16x8ExtAddPairwiseI8x16U => {
                let a = self.vreg(arg);
                self.two_to(d, PMADDUBSW, a, Bits(lanes8(1)));
            }
            I32x4ExtAddPairwiseI16x8S => {
                let a = self.vreg(arg);
                self.two_to(d, PMADDWD, a, Bits(lanes16(1)));
            }
            I32x4ExtAddPairwiseI16x8U => {
                // As signed numbers that are 2^15 less.
                let a = self.vreg(arg);
                let signed = self.two(PXOR, a, Bits(lanes16(0x8000)));
                let sums = self.two(PMADDWD, signed, Bits(lanes16(1)));
                self.two_to(d, PADDD, sums, Bits(lanes32(0x1_0000)));
            }
            _ => self.vector_convert(d, arg, op),
        }
    }

    fn extend_high(&mut self, d: VReg, arg: Value, extend: Enc) {
        let a = self.vreg(arg);
        self.extend_high_signed(d, a, extend);
    }

    fn extend_high_signed(&mut self, d: VReg, a: VReg, extend: Enc) {
        let high = self.one_imm(PSHUFD, a, 0xee);
        self.one_to(d, extend, high);
    }

    /// Upper lanes with zeros between them.
    fn interleave_high(&mut self, d: VReg, arg: Value, unpack: Enc) {
        let a = self.vreg(arg);
        let zero = self.zero();
        self.two_to(d, unpack, a, zero);
    }

    pub(super) fn vector_binary(&mut self, v: Value, op: SimdOp) {
        use SimdOp::*;
        if self.comparison(v, op) || self.extended_product(v, op) {
            return;
        }
        let [a, b, _] = self.f.inst(v).args;
        let d = self.def(v);
        match op {
            I8x16Swizzle => self.swizzle(d, a, b),
            I16x8Q15MulrSatS => {
                let b = self.vrm(b);
                let a = self.vreg(a);
                let product = self.two(ext(0x0b), a, b);
                // Only -1 times -1 does not fit.
                let wrapped = self.two(int(0x75), product, Bits(lanes16(0x8000)));
                self.two_to(d, PXOR, product, wrapped);
            }
            I64x2Mul => self.multiply64(d, a, b),
            F32x4Min => self.extremum(d, a, b, false, false),
            F32x4Max => self.extremum(d, a, b, false, true),
            F64x2Min => self.extremum(d, a, b, true, false),
            F64x2Max => self.extremum(d, a, b, true, true),
            _ => unreachable!("{op:?} is selected elsewhere"),
        }
    }

    /// The lower product, and what the two mixed ones add to its upper half.
    fn multiply64(&mut self, d: VReg, a: Value, b: Value) {
        let (a, b) = (self.vreg(a), self.vreg(b));
        let upper_a = self.shift_by(SHR64, a, 32);
        let mixed_a = self.two(PMULUDQ, upper_a, b);
        let upper_b = self.shift_by(SHR64, b, 32);
        let mixed_b = self.two(PMULUDQ, upper_b, a);
        let mixed = self.two(PADDQ, mixed_a, mixed_b);
        let mixed = self.shift_by(SHL64, mixed, 32);
        let low = self.two(PMULUDQ, a, b);
        self.two_to(d, PADDQ, mixed, low);
    }

    /// Minimum or maximum. The processor's answers its second operand when one is NaN or both are zeros: both orders together
    /// give the right zero, and a sum gives the right NaN.
    fn extremum(&mut self, d: VReg, a: Value, b: Value, double: bool, max: bool) {
        let (a, b) = (self.vreg(a), self.vreg(b));
        let e = float(if max { 0x5f } else { 0x5d }, double);
        let ab = self.two(e, a, b);
        let ba = self.two(e, b, a);
        let both = self.two(if max { enc::ANDPS } else { enc::ORPS }, ab, ba);
        let nan = self.two_imm(float(0xc2, double), a, b, 3);
        let sum = self.two(float(0x58, double), a, b);
        self.blend_to(d, nan, sum, both, true);
    }

    /// Products of halves with lanes of twice the width.
    fn extended_product(&mut self, v: Value, op: SimdOp) -> bool {
        use SimdOp::*;
        let bytes = |signed| ext(if signed { 0x20 } else { 0x30 });
        let (high, signed) = match op {
            I16x8ExtMulLowI8x16S | I32x4ExtMulLowI16x8S | I64x2ExtMulLowI32x4S => (false, true),
            I16x8ExtMulHighI8x16S | I32x4ExtMulHighI16x8S | I64x2ExtMulHighI32x4S => (true, true),
            I16x8ExtMulLowI8x16U | I32x4ExtMulLowI16x8U | I64x2ExtMulLowI32x4U => (false, false),
            I16x8ExtMulHighI8x16U | I32x4ExtMulHighI16x8U | I64x2ExtMulHighI32x4U => (true, false),
            _ => return false,
        };
        let [a, b, _] = self.f.inst(v).args;
        let d = self.def(v);
        let (a, b) = (self.vreg(a), self.vreg(b));
        match op {
            I16x8ExtMulLowI8x16S | I16x8ExtMulHighI8x16S | I16x8ExtMulLowI8x16U | I16x8ExtMulHighI8x16U => {
                let a = self.extended_bytes(a, high, signed, bytes(signed));
                let b = self.extended_bytes(b, high, signed, bytes(signed));
                self.two_to(d, PMULLW, a, b);
            }
            I32x4ExtMulLowI16x8S | I32x4ExtMulHighI16x8S | I32x4ExtMulLowI16x8U | I32x4ExtMulHighI16x8U => {
                let lower = self.two(PMULLW, a, b);
                let upper = self.two(if signed { PMULHW } else { PMULHUW }, a, b);
                self.two_to(d, int(if high { 0x69 } else { 0x61 }), lower, upper);
            }
            _ => {
                // The multiplication takes the even lanes.
                let lanes = if high { 0xfa } else { 0x50 };
                let a = self.one_imm(PSHUFD, a, lanes);
                let b = self.one_imm(PSHUFD, b, lanes);
                self.two_to(d, if signed { PMULDQ } else { PMULUDQ }, a, b);
            }
        }
        true
    }

    fn extended_bytes(&mut self, a: VReg, high: bool, signed: bool, extend: Enc) -> VReg {
        if !high {
            return self.one(extend, a);
        }
        let d = self.temp(crate::ir::Type::V128);
        if signed {
            self.extend_high_signed(d, a, extend);
        } else {
            let zero = self.zero();
            self.two_to(d, int(0x68), a, zero);
        }
        d
    }
}
