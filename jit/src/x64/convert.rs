//! Conversions between integers and floats.
//!
//! In: conversions of the IR. Out: single instructions where the processor has the conversion, sequences of [`MOp::FloatToInt`] and
//! [`MOp::U64ToFloat`] else, which emission spells out.
//!
//! Precondition, with a test in `vm/tests/preconditions` (`numbers`) in which it does not hold:
//! - The fast conversion is kept only if its result is not the one for what does not fit; NaN, both limits and
//!   both signs are told apart behind it.

use super::encode::Enc;
use super::inst::{MInst, MOp, enc};
use super::lower::{Lower, RmOp, def, early, used, used_late};
use crate::ir::{Op, Type, Value};

/// What a `FloatToInt` sequence does: bits of its `cc` field.
pub(crate) mod to_int {
    /// Result is 64 bits wide.
    pub(crate) const WIDE: u8 = 1;
    /// Result is unsigned.
    pub(crate) const UNSIGNED: u8 = 2;
    /// Saturates instead of trapping.
    pub(crate) const SATURATE: u8 = 4;
}

impl Lower<'_> {
    pub(super) fn convert(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let a = i.args[0];
        let from = self.f.ty(a);
        match i.op {
            Op::Promote | Op::Demote => {
                let e = Enc::new(if i.op == Op::Promote { 0xf3 } else { 0xf2 }, 1, 0x5a);
                let d = self.def(v);
                let a = self.reg(a);
                if self.cpu.avx {
                    self.emit_rm(MInst::new(MOp::Avx).enc(e), &[def(d), used(a)], RmOp::Reg(a));
                } else {
                    self.emit_rm(MInst::new(MOp::SseUn).enc(e), &[def(d)], RmOp::Reg(a));
                }
            }
            Op::SToF => {
                let e = int_to_float(i.ty, from == Type::I64);
                let d = self.def(v);
                let a = self.rm(a);
                self.emit_rm(MInst::new(MOp::IntToFloat).enc(e).size(from.bytes() as u8), &[def(d)], a);
            }
            Op::UToF if from == Type::I32 => {
                // Zero-extended, it is a positive 64-bit number.
                let d = self.def(v);
                let a = self.reg(a);
                let e = int_to_float(i.ty, true);
                self.emit_rm(MInst::new(MOp::IntToFloat).enc(e), &[def(d)], RmOp::Reg(a));
            }
            Op::UToF => {
                let d = self.def(v);
                let t = self.temp(Type::I64);
                let u = self.temp(Type::I64);
                let a = self.reg(a);
                let inst = MInst::new(MOp::U64ToFloat).size(i.ty.bytes() as u8);
                self.emit(inst, &[early(d), early(t), early(u), used_late(a)]);
            }
            Op::Bitcast => self.bitcast(v),
            _ => {
                let mut variant = 0;
                if i.ty == Type::I64 {
                    variant |= to_int::WIDE;
                }
                if matches!(i.op, Op::FToU | Op::FToUSat) {
                    variant |= to_int::UNSIGNED;
                }
                if matches!(i.op, Op::FToSSat | Op::FToUSat) {
                    variant |= to_int::SATURATE;
                }
                let d = self.def(v);
                let t = self.temp(Type::I64);
                let a = self.reg(a);
                let inst = MInst::new(MOp::FloatToInt).size(from.bytes() as u8).cc(variant);
                self.emit(inst, &[early(d), early(t), used_late(a)]);
            }
        }
    }

    fn bitcast(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let d = self.def(v);
        let wide = i.ty.bytes() == 8;
        if i.ty.is_int() {
            let a = self.reg(i.args[0]);
            // The vector register is the `reg` field, so the integer is r/m.
            self.emit(MInst::new(MOp::ToGpr).enc(enc::MOVD_TO.w(wide)), &[def(d), used(a)]);
        } else {
            let a = RmOp::Reg(self.reg(i.args[0]));
            self.emit_rm(MInst::new(MOp::FromGpr).enc(enc::MOVD_FROM.w(wide)).size(i.ty.bytes() as u8), &[def(d)], a);
        }
    }
}

fn int_to_float(to: Type, wide: bool) -> Enc {
    Enc::new(if to == Type::F64 { 0xf2 } else { 0xf3 }, 1, 0x2a).w(wide)
}
