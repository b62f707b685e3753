//! Conversions of lanes between integers and floats.
//!
//! In: conversions that are not one instruction. Out: their sequences. Conversions to integers saturate and make NaN zero.

use super::shifts::SHR32;
use super::{Bits, PAND, PXOR, float, int, lanes32, lanes64};
use crate::ir::{SimdOp, Value};
use crate::regalloc::VReg;
use crate::x64::encode::Enc;
use crate::x64::inst::enc;
use crate::x64::lower::Lower;

/// f32 to i32, truncating; 2^31 where it does not fit.
const CVTTPS2DQ: Enc = Enc::new(0xf3, 1, 0x5b);
const CVTTPD2DQ: Enc = Enc::new(0x66, 1, 0xe6);
const CVTDQ2PS: Enc = Enc::new(0, 1, 0x5b);
const SHUFPS: Enc = Enc::new(0, 1, 0xc6);
const UNPACK_LOW32: Enc = Enc::new(0, 1, 0x14);
/// Comparison for "not less".
const NOT_LESS: u8 = 5;

/// 2^31 as f32.
const TWO_31: u128 = lanes32(0x4f00_0000);
/// 2^52 as f64: added to a smaller whole number, the number is in the lower bits.
const TWO_52: u128 = lanes64(0x4330_0000_0000_0000);

impl Lower<'_> {
    pub(super) fn vector_convert(&mut self, d: VReg, arg: Value, op: SimdOp) {
        use SimdOp::*;
        let a = self.vreg(arg);
        match op {
            I32x4TruncSatF32x4S => self.single_to_signed(d, a),
            I32x4TruncSatF32x4U => self.single_to_unsigned(d, a),
            I32x4TruncSatF64x2SZero => self.double_to_signed(d, a),
            I32x4TruncSatF64x2UZero => self.double_to_unsigned(d, a),
            F32x4ConvertI32x4U => self.unsigned_to_single(d, a),
            F64x2ConvertLowI32x4U => {
                // As the lower bits of 2^52 + x.
                let joined = self.two(UNPACK_LOW32, a, Bits(lanes32(0x4330_0000)));
                self.two_to(d, float(0x5c, true), joined, Bits(TWO_52));
            }
            _ => unreachable!("{op:?} is selected elsewhere"),
        }
    }

    fn single_to_signed(&mut self, d: VReg, a: VReg) {
        let number = self.two_imm(float(0xc2, false), a, a, 0);
        let a = self.two(enc::ANDPS, a, number);
        // What is too large comes out as 2^31, one too many.
        let large = self.two_imm(float(0xc2, false), a, Bits(TWO_31), NOT_LESS);
        let whole = self.one(CVTTPS2DQ, a);
        self.two_to(d, PXOR, whole, large);
    }

    fn single_to_unsigned(&mut self, d: VReg, a: VReg) {
        let zero = self.zero();
        // Of NaN and anything the second.
        let a = self.two(float(0x5f, false), a, zero);
        // The number is the sum of two conversions: 2^31 at most, and what is above that.
        let above = self.two(float(0x5c, false), a, Bits(TWO_31));
        let large = self.two_imm(float(0xc2, false), above, Bits(TWO_31), NOT_LESS);
        let above = self.one(CVTTPS2DQ, above);
        let above = self.two(PXOR, above, large);
        let above = self.two(super::ext(0x3d), above, zero);
        let whole = self.one(CVTTPS2DQ, a);
        self.two_to(d, int(0xfe), whole, above);
    }

    fn double_to_signed(&mut self, d: VReg, a: VReg) {
        let number = self.two_imm(float(0xc2, true), a, a, 0);
        // The greatest integer, or zero beside NaN, which the minimum prefers to NaN.
        let limit = self.two(enc::ANDPS, number, Bits(lanes64(2_147_483_647_f64.to_bits())));
        let a = self.two(float(0x5d, true), a, limit);
        self.one_to(d, CVTTPD2DQ, a);
    }

    fn double_to_unsigned(&mut self, d: VReg, a: VReg) {
        let zero = self.zero();
        let a = self.two(float(0x5f, true), a, zero);
        let a = self.two(float(0x5d, true), a, Bits(lanes64(4_294_967_295_f64.to_bits())));
        let whole = self.one_imm(super::ext_imm(0x09), a, 11);
        let shifted = self.two(float(0x58, true), whole, Bits(TWO_52));
        self.two_imm_to(d, SHUFPS, shifted, zero, 0x88);
    }

    /// Both halves convert exactly; their sum is rounded once.
    fn unsigned_to_single(&mut self, d: VReg, a: VReg) {
        let low = self.two(PAND, a, Bits(lanes32(0xffff)));
        let high = self.shift_by(SHR32, a, 16);
        let low = self.one(CVTDQ2PS, low);
        let high = self.one(CVTDQ2PS, high);
        let high = self.two(float(0x59, false), high, Bits(lanes32(65536_f32.to_bits())));
        self.two_to(d, float(0x58, false), high, low);
    }
}
