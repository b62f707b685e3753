//! Comparisons that the processor has only in another form.
//!
//! In: integer comparisons but equal and signed greater. Out: minimum or maximum and a test for equality, negations; 64-bit
//! order without SSE4.2 from comparisons of halves.

use super::{PAND, POR, PSHUFD, ext, int};
use crate::ir::{Op, SimdOp, Value};
use crate::regalloc::VReg;
use crate::x64::encode::Enc;
use crate::x64::lower::Lower;

/// `x <= y` is `min(x, y) == x` and `x >= y` is `max(x, y) == x`; the strict ones are the negations of the opposite ones.
struct Order {
    extremum: Enc,
    equal: Enc,
    negated: bool,
}

fn order(op: SimdOp) -> Option<Order> {
    use SimdOp::*;
    const EQ8: Enc = int(0x74);
    const EQ16: Enc = int(0x75);
    const EQ32: Enc = int(0x76);
    let (extremum, equal, negated) = match op {
        I8x16LeS => (ext(0x38), EQ8, false),
        I8x16GeS => (ext(0x3c), EQ8, false),
        I8x16LeU => (int(0xda), EQ8, false),
        I8x16GtU => (int(0xda), EQ8, true),
        I8x16GeU => (int(0xde), EQ8, false),
        I8x16LtU => (int(0xde), EQ8, true),
        I16x8LeS => (int(0xea), EQ16, false),
        I16x8GeS => (int(0xee), EQ16, false),
        I16x8LeU => (ext(0x3a), EQ16, false),
        I16x8GtU => (ext(0x3a), EQ16, true),
        I16x8GeU => (ext(0x3e), EQ16, false),
        I16x8LtU => (ext(0x3e), EQ16, true),
        I32x4LeS => (ext(0x39), EQ32, false),
        I32x4GeS => (ext(0x3d), EQ32, false),
        I32x4LeU => (ext(0x3b), EQ32, false),
        I32x4GtU => (ext(0x3b), EQ32, true),
        I32x4GeU => (ext(0x3f), EQ32, false),
        I32x4LtU => (ext(0x3f), EQ32, true),
        _ => return None,
    };
    Some(Order { extremum, equal, negated })
}

/// The instruction for equal lanes, if the operation is "not equal".
pub(super) fn unequal(op: SimdOp) -> Option<Enc> {
    match op {
        SimdOp::I8x16Ne => Some(int(0x74)),
        SimdOp::I16x8Ne => Some(int(0x75)),
        SimdOp::I32x4Ne => Some(int(0x76)),
        SimdOp::I64x2Ne => Some(ext(0x29)),
        _ => None,
    }
}

impl Lower<'_> {
    /// Selects a comparison, if the operation is one.
    pub(super) fn comparison(&mut self, v: Value, op: SimdOp) -> bool {
        let [a, b, _] = self.f.inst(v).args;
        if let Some(o) = order(op) {
            let d = self.def(v);
            let b = self.vrm(b);
            let a = self.vreg(a);
            let m = self.two(o.extremum, a, b);
            if o.negated {
                let t = self.two(o.equal, m, a);
                self.not_to(d, t);
            } else {
                self.two_to(d, o.equal, m, a);
            }
            return true;
        }
        if let Some(equal) = unequal(op) {
            let d = self.def(v);
            let (a, b) = self.best_order(a, b);
            let b = self.vrm(b);
            let a = self.vreg(a);
            let t = self.two(equal, a, b);
            self.not_to(d, t);
            return true;
        }
        let (a, b, negated) = match op {
            SimdOp::I64x2GtS => (a, b, false),
            SimdOp::I64x2LtS => (b, a, false),
            SimdOp::I64x2LeS => (a, b, true),
            SimdOp::I64x2GeS => (b, a, true),
            _ => return false,
        };
        let d = self.def(v);
        let (a, b) = (self.vreg(a), self.vreg(b));
        if negated {
            let t = self.greater64(a, b);
            self.not_to(d, t);
        } else {
            self.greater64_to(d, a, b);
        }
        true
    }

    fn greater64(&mut self, a: VReg, b: VReg) -> VReg {
        let t = self.temp(crate::ir::Type::V128);
        self.greater64_to(t, a, b);
        t
    }

    /// Signed `a > b` by lanes of 64 bits.
    pub(super) fn greater64_to(&mut self, d: VReg, a: VReg, b: VReg) {
        if self.cpu.sse42 || self.cpu.avx {
            return self.two_to(d, ext(0x37), a, b);
        }
        // Upper halves decide, or if they are equal the borrow that the lower ones leave in the upper half of b - a.
        let same = self.two(int(0x76), a, b);
        let difference = self.two(int(0xfb), b, a);
        let borrow = self.two(PAND, difference, same);
        let above = self.two(int(0x66), a, b);
        let upper = self.two(POR, above, borrow);
        self.one_imm_to(d, PSHUFD, upper, 0xf5);
    }

    /// Whether every lane of a value is all ones or zero.
    pub(super) fn is_comparison(&self, v: Value) -> bool {
        let i = self.f.inst(v);
        if i.op != Op::VBin {
            return false;
        }
        let op = SimdOp::from_code(i.idx) as u8;
        (SimdOp::I8x16Eq as u8..=SimdOp::F64x2Ge as u8).contains(&op)
    }
}
