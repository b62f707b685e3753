//! Vector operations that are one machine instruction.
//!
//! In: an operation of the IR. Out: its row of the table: encoding, and how the operands go in.

use super::{PAND, PANDN, POR, PXOR, ext, ext_imm, float, int};
use crate::ir::{Op, SimdOp, Value};
use crate::x64::encode::Enc;
use crate::x64::lower::{Lower, RmOp};

/// How operands go in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As they stand.
    Plain,
    /// In either order.
    Commutes,
    /// Exchanged.
    Swapped,
    /// One operand.
    One,
    /// One operand, of which only the lower half is read: a load of the whole may not be folded, as it would not trap.
    Half,
    /// One operand, and that immediate.
    OneImm(u8),
    /// As `Plain` with that immediate.
    Imm(u8),
    /// As `Swapped` with that immediate.
    SwappedImm(u8),
}

macro_rules! rows {
    ($($name:ident $e:expr, $form:expr;)*) => {
        fn row(op: SimdOp) -> Option<(Enc, Form)> {
            Some(match op {
                $(SimdOp::$name => const { ($e, $form) },)*
                _ => return None,
            })
        }
    };
}

use Form::{Commutes, Half, Imm, One, OneImm, Plain, Swapped, SwappedImm};

rows! {
    V128And PAND, Commutes;
    V128AndNot PANDN, Swapped;
    V128Or POR, Commutes;
    V128Xor PXOR, Commutes;

    I8x16Abs ext(0x1c), One;
    I16x8Abs ext(0x1d), One;
    I32x4Abs ext(0x1e), One;
    I16x8ExtendLowI8x16S ext(0x20), Half;
    I16x8ExtendLowI8x16U ext(0x30), Half;
    I32x4ExtendLowI16x8S ext(0x23), Half;
    I32x4ExtendLowI16x8U ext(0x33), Half;
    I64x2ExtendLowI32x4S ext(0x25), Half;
    I64x2ExtendLowI32x4U ext(0x35), Half;

    I8x16Eq int(0x74), Commutes;
    I16x8Eq int(0x75), Commutes;
    I32x4Eq int(0x76), Commutes;
    I64x2Eq ext(0x29), Commutes;
    I8x16GtS int(0x64), Plain;
    I16x8GtS int(0x65), Plain;
    I32x4GtS int(0x66), Plain;
    I8x16LtS int(0x64), Swapped;
    I16x8LtS int(0x65), Swapped;
    I32x4LtS int(0x66), Swapped;

    I8x16Add int(0xfc), Commutes;
    I16x8Add int(0xfd), Commutes;
    I32x4Add int(0xfe), Commutes;
    I64x2Add int(0xd4), Commutes;
    I8x16Sub int(0xf8), Plain;
    I16x8Sub int(0xf9), Plain;
    I32x4Sub int(0xfa), Plain;
    I64x2Sub int(0xfb), Plain;
    I8x16AddSatS int(0xec), Commutes;
    I16x8AddSatS int(0xed), Commutes;
    I8x16AddSatU int(0xdc), Commutes;
    I16x8AddSatU int(0xdd), Commutes;
    I8x16SubSatS int(0xe8), Plain;
    I16x8SubSatS int(0xe9), Plain;
    I8x16SubSatU int(0xd8), Plain;
    I16x8SubSatU int(0xd9), Plain;
    I8x16MinS ext(0x38), Commutes;
    I8x16MinU int(0xda), Commutes;
    I8x16MaxS ext(0x3c), Commutes;
    I8x16MaxU int(0xde), Commutes;
    I16x8MinS int(0xea), Commutes;
    I16x8MinU ext(0x3a), Commutes;
    I16x8MaxS int(0xee), Commutes;
    I16x8MaxU ext(0x3e), Commutes;
    I32x4MinS ext(0x39), Commutes;
    I32x4MinU ext(0x3b), Commutes;
    I32x4MaxS ext(0x3d), Commutes;
    I32x4MaxU ext(0x3f), Commutes;
    I8x16AvgrU int(0xe0), Commutes;
    I16x8AvgrU int(0xe3), Commutes;
    I16x8Mul int(0xd5), Commutes;
    I32x4Mul ext(0x40), Commutes;
    I32x4DotI16x8S int(0xf5), Commutes;
    I8x16NarrowI16x8S int(0x63), Plain;
    I8x16NarrowI16x8U int(0x67), Plain;
    I16x8NarrowI32x4S int(0x6b), Plain;
    I16x8NarrowI32x4U ext(0x2b), Plain;

    F32x4Add float(0x58, false), Plain;
    F64x2Add float(0x58, true), Plain;
    F32x4Sub float(0x5c, false), Plain;
    F64x2Sub float(0x5c, true), Plain;
    F32x4Mul float(0x59, false), Plain;
    F64x2Mul float(0x59, true), Plain;
    F32x4Div float(0x5e, false), Plain;
    F64x2Div float(0x5e, true), Plain;
    F32x4PMin float(0x5d, false), Swapped;
    F64x2PMin float(0x5d, true), Swapped;
    F32x4PMax float(0x5f, false), Swapped;
    F64x2PMax float(0x5f, true), Swapped;
    F32x4Sqrt float(0x51, false), One;
    F64x2Sqrt float(0x51, true), One;
    F32x4Nearest ext_imm(0x08), OneImm(8);
    F64x2Nearest ext_imm(0x09), OneImm(8);
    F32x4Floor ext_imm(0x08), OneImm(9);
    F64x2Floor ext_imm(0x09), OneImm(9);
    F32x4Ceil ext_imm(0x08), OneImm(10);
    F64x2Ceil ext_imm(0x09), OneImm(10);
    F32x4Trunc ext_imm(0x08), OneImm(11);
    F64x2Trunc ext_imm(0x09), OneImm(11);
    F32x4Eq float(0xc2, false), Imm(0);
    F64x2Eq float(0xc2, true), Imm(0);
    F32x4Lt float(0xc2, false), Imm(1);
    F64x2Lt float(0xc2, true), Imm(1);
    F32x4Le float(0xc2, false), Imm(2);
    F64x2Le float(0xc2, true), Imm(2);
    F32x4Ne float(0xc2, false), Imm(4);
    F64x2Ne float(0xc2, true), Imm(4);
    F32x4Gt float(0xc2, false), SwappedImm(1);
    F64x2Gt float(0xc2, true), SwappedImm(1);
    F32x4Ge float(0xc2, false), SwappedImm(2);
    F64x2Ge float(0xc2, true), SwappedImm(2);

    F32x4ConvertI32x4S Enc::new(0, 1, 0x5b), One;
    F64x2ConvertLowI32x4S Enc::new(0xf3, 1, 0xe6), Half;
    F32x4DemoteF64x2Zero Enc::new(0x66, 1, 0x5a), One;
    F64x2PromoteLowF32x4 Enc::new(0, 1, 0x5a), Half;
}

impl Lower<'_> {
    /// Selects an operation that is one instruction, if it is one.
    pub(super) fn direct(&mut self, v: Value, op: SimdOp) -> bool {
        let Some((e, form)) = row(op) else { return false };
        let i = *self.f.inst(v);
        debug_assert!(i.op == Op::VUn || i.op == Op::VBin);
        let d = self.def(v);
        let (a, b) = match form {
            Commutes => self.best_order(i.args[0], i.args[1]),
            Swapped | SwappedImm(_) => (i.args[1], i.args[0]),
            _ => (i.args[0], i.args[1]),
        };
        match form {
            Plain | Commutes | Swapped => {
                let b = self.vrm(b);
                let a = self.vreg(a);
                self.two_to(d, e, a, b);
            }
            Imm(n) | SwappedImm(n) => {
                let b = self.vrm(b);
                let a = self.vreg(a);
                self.two_imm_to(d, e, a, b, n);
            }
            One => {
                let a = self.vrm(a);
                self.one_to(d, e, a);
            }
            OneImm(n) => {
                let a = self.vrm(a);
                self.one_imm_to(d, e, a, n);
            }
            Half => {
                let a = RmOp::Reg(self.vreg(a));
                self.one_to(d, e, a);
            }
        }
        true
    }

    /// Operands of which the order does not matter: the second may be in memory, the first is overwritten in legacy forms.
    pub(super) fn best_order(&self, a: Value, b: Value) -> (Value, Value) {
        if self.vector_bits(b).is_some() {
            return (a, b);
        }
        let fold = self.cpu.avx && self.can_fold(a) && !self.can_fold(b);
        let dies = !self.cpu.avx && self.is_wanted(a) && !self.is_wanted(b);
        if fold || dies || self.vector_bits(a).is_some() { (b, a) } else { (a, b) }
    }
}
