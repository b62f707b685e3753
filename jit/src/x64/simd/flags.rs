//! Tests of vectors: answers as flags, and bitmasks.
//!
//! In: `VTest` instructions. Out: `ptest`, whose zero flag says that no bit is in both operands and whose carry flag says that
//! the second has none outside the first; or the lanes' topmost bits in an integer register.

use super::int;
use crate::ir::{Op, SimdOp, Value};
use crate::regalloc::VReg;
use crate::x64::encode::Enc;
use crate::x64::float::SOME;
use crate::x64::inst::{MInst, MOp, cc, enc};
use crate::x64::lower::{Lower, def, used};

/// Whether the answer is a number.
pub(super) fn is_bitmask(op: SimdOp) -> bool {
    use SimdOp::*;
    matches!(op, I8x16Bitmask | I16x8Bitmask | I32x4Bitmask | I64x2Bitmask)
}

/// Number of bits of a lane as a power of two, of a comparison's result.
fn comparison_width(op: SimdOp) -> u8 {
    use SimdOp::*;
    const FIRST: [(SimdOp, u8); 6] =
        [(F64x2Eq, 6), (F32x4Eq, 5), (I64x2Eq, 6), (I32x4Eq, 5), (I16x8Eq, 4), (I8x16Eq, 3)];
    FIRST.iter().find(|f| op as u8 >= f.0 as u8).map_or(0, |f| f.1)
}

/// The comparison for equality of lanes, and their width, for "all true".
fn equality(op: SimdOp) -> (Enc, u8) {
    match op {
        SimdOp::I8x16AllTrue => (int(0x74), 3),
        SimdOp::I16x8AllTrue => (int(0x75), 4),
        SimdOp::I32x4AllTrue => (int(0x76), 5),
        _ => (super::ext(0x29), 6),
    }
}

impl Lower<'_> {
    /// Sets the flags by a test; answers the condition under which it is 1.
    pub(in crate::x64) fn vector_test(&mut self, v: Value) -> u8 {
        let i = *self.f.inst(v);
        let op = SimdOp::from_code(i.idx);
        if op == SimdOp::V128AnyTrue { self.any_true(i.args[0]) } else { self.all_true(i.args[0], op) }
    }

    fn ptest(&mut self, a: VReg, b: VReg) {
        self.emit(MInst::new(MOp::Ucomi).enc(enc::PTEST), &[used(a), used(b)]);
    }

    fn any_true(&mut self, arg: Value) -> u8 {
        let x = *self.f.inst(arg);
        if x.op == Op::VBin && !self.is_wanted(arg) {
            match SimdOp::from_code(x.idx) {
                SimdOp::V128And => {
                    let (a, b) = (self.vreg(x.args[0]), self.vreg(x.args[1]));
                    self.ptest(a, b);
                    return SOME;
                }
                SimdOp::V128AndNot => {
                    let (a, b) = (self.vreg(x.args[0]), self.vreg(x.args[1]));
                    self.ptest(b, a);
                    return cc::AE;
                }
                _ => {}
            }
        }
        let a = self.vreg(arg);
        self.ptest(a, a);
        SOME
    }

    fn all_true(&mut self, arg: Value, op: SimdOp) -> u8 {
        let (equal, width) = equality(op);
        let x = *self.f.inst(arg);
        if self.is_comparison(arg) && comparison_width(SimdOp::from_code(x.idx)) >= width {
            if let Some(e) = super::compare::unequal(SimdOp::from_code(x.idx))
                && !self.is_wanted(arg)
            {
                // All lanes differ: none is equal.
                let b = self.for_one_use(arg, |l| l.vrm(x.args[1]));
                let a = self.vreg(x.args[0]);
                let same = self.two(e, a, b);
                self.ptest(same, same);
                return cc::E;
            }
            let a = self.vreg(arg);
            let ones = self.vector_const(u128::MAX);
            self.ptest(a, ones);
            return cc::B;
        }
        let a = self.vrm(arg);
        let zero = self.zero();
        let zeros = self.two(equal, zero, a);
        self.ptest(zeros, zeros);
        cc::E
    }

    /// The lanes' topmost bits as a number.
    pub(super) fn bitmask(&mut self, v: Value, op: SimdOp) {
        let d = self.def(v);
        let mut a = self.vreg(self.f.inst(v).args[0]);
        let e = match op {
            SimdOp::I8x16Bitmask => int(0xd7),
            SimdOp::I16x8Bitmask => {
                // Signed saturation keeps signs.
                let zero = self.zero();
                a = self.two(int(0x63), a, zero);
                int(0xd7)
            }
            SimdOp::I32x4Bitmask => Enc::new(0, 1, 0x50),
            _ => Enc::new(0x66, 1, 0x50),
        };
        let inst = MInst::new(MOp::SseUn).enc(e).cc(u8::from(self.cpu.avx));
        self.emit(inst, &[def(d), used(a)]);
    }
}
