//! Vector operators.

use super::builder::Builder;
use crate::ir::simd::SimdForm;
use crate::ir::{Inst, MemKind, Op, SimdOp, Type, Value};
use wasmparser::{MemArg, Operator};

/// Operators that are one operation on vectors, without immediates.
fn plain(op: &Operator<'_>) -> Option<SimdOp> {
    use Operator as O;
    use SimdOp as S;
    Some(match op {
        O::V128Not => S::V128Not,
        O::I8x16Abs => S::I8x16Abs,
        O::I8x16Neg => S::I8x16Neg,
        O::I8x16Popcnt => S::I8x16Popcnt,
        O::I16x8ExtAddPairwiseI8x16S => S::I16x8ExtAddPairwiseI8x16S,
        O::I16x8ExtAddPairwiseI8x16U => S::I16x8ExtAddPairwiseI8x16U,
        O::I16x8Abs => S::I16x8Abs,
        O::I16x8Neg => S::I16x8Neg,
        O::I16x8ExtendLowI8x16S => S::I16x8ExtendLowI8x16S,
        O::I16x8ExtendHighI8x16S => S::I16x8ExtendHighI8x16S,
        O::I16x8ExtendLowI8x16U => S::I16x8ExtendLowI8x16U,
        O::I16x8ExtendHighI8x16U => S::I16x8ExtendHighI8x16U,
        O::I32x4ExtAddPairwiseI16x8S => S::I32x4ExtAddPairwiseI16x8S,
        O::I32x4ExtAddPairwiseI16x8U => S::I32x4ExtAddPairwiseI16x8U,
        O::I32x4Abs => S::I32x4Abs,
        O::I32x4Neg => S::I32x4Neg,
        O::I32x4ExtendLowI16x8S => S::I32x4ExtendLowI16x8S,
        O::I32x4ExtendHighI16x8S => S::I32x4ExtendHighI16x8S,
        O::I32x4ExtendLowI16x8U => S::I32x4ExtendLowI16x8U,
        O::I32x4ExtendHighI16x8U => S::I32x4ExtendHighI16x8U,
        O::I64x2Abs => S::I64x2Abs,
        O::I64x2Neg => S::I64x2Neg,
        O::I64x2ExtendLowI32x4S => S::I64x2ExtendLowI32x4S,
        O::I64x2ExtendHighI32x4S => S::I64x2ExtendHighI32x4S,
        O::I64x2ExtendLowI32x4U => S::I64x2ExtendLowI32x4U,
        O::I64x2ExtendHighI32x4U => S::I64x2ExtendHighI32x4U,
        O::F32x4Ceil => S::F32x4Ceil,
        O::F32x4Floor => S::F32x4Floor,
        O::F32x4Trunc => S::F32x4Trunc,
        O::F32x4Nearest => S::F32x4Nearest,
        O::F32x4Abs => S::F32x4Abs,
        O::F32x4Neg => S::F32x4Neg,
        O::F32x4Sqrt => S::F32x4Sqrt,
        O::F64x2Ceil => S::F64x2Ceil,
        O::F64x2Floor => S::F64x2Floor,
        O::F64x2Trunc => S::F64x2Trunc,
        O::F64x2Nearest => S::F64x2Nearest,
        O::F64x2Abs => S::F64x2Abs,
        O::F64x2Neg => S::F64x2Neg,
        O::F64x2Sqrt => S::F64x2Sqrt,
        O::I32x4TruncSatF32x4S => S::I32x4TruncSatF32x4S,
        O::I32x4TruncSatF32x4U => S::I32x4TruncSatF32x4U,
        O::F32x4ConvertI32x4S => S::F32x4ConvertI32x4S,
        O::F32x4ConvertI32x4U => S::F32x4ConvertI32x4U,
        O::I32x4TruncSatF64x2SZero => S::I32x4TruncSatF64x2SZero,
        O::I32x4TruncSatF64x2UZero => S::I32x4TruncSatF64x2UZero,
        O::F64x2ConvertLowI32x4S => S::F64x2ConvertLowI32x4S,
        O::F64x2ConvertLowI32x4U => S::F64x2ConvertLowI32x4U,
        O::F32x4DemoteF64x2Zero => S::F32x4DemoteF64x2Zero,
        O::F64x2PromoteLowF32x4 => S::F64x2PromoteLowF32x4,
        O::I8x16Swizzle => S::I8x16Swizzle,
        O::I8x16Eq => S::I8x16Eq,
        O::I8x16Ne => S::I8x16Ne,
        O::I8x16LtS => S::I8x16LtS,
        O::I8x16LtU => S::I8x16LtU,
        O::I8x16GtS => S::I8x16GtS,
        O::I8x16GtU => S::I8x16GtU,
        O::I8x16LeS => S::I8x16LeS,
        O::I8x16LeU => S::I8x16LeU,
        O::I8x16GeS => S::I8x16GeS,
        O::I8x16GeU => S::I8x16GeU,
        O::I16x8Eq => S::I16x8Eq,
        O::I16x8Ne => S::I16x8Ne,
        O::I16x8LtS => S::I16x8LtS,
        O::I16x8LtU => S::I16x8LtU,
        O::I16x8GtS => S::I16x8GtS,
        O::I16x8GtU => S::I16x8GtU,
        O::I16x8LeS => S::I16x8LeS,
        O::I16x8LeU => S::I16x8LeU,
        O::I16x8GeS => S::I16x8GeS,
        O::I16x8GeU => S::I16x8GeU,
        O::I32x4Eq => S::I32x4Eq,
        O::I32x4Ne => S::I32x4Ne,
        O::I32x4LtS => S::I32x4LtS,
        O::I32x4LtU => S::I32x4LtU,
        O::I32x4GtS => S::I32x4GtS,
        O::I32x4GtU => S::I32x4GtU,
        O::I32x4LeS => S::I32x4LeS,
        O::I32x4LeU => S::I32x4LeU,
        O::I32x4GeS => S::I32x4GeS,
        O::I32x4GeU => S::I32x4GeU,
        O::I64x2Eq => S::I64x2Eq,
        O::I64x2Ne => S::I64x2Ne,
        O::I64x2LtS => S::I64x2LtS,
        O::I64x2GtS => S::I64x2GtS,
        O::I64x2LeS => S::I64x2LeS,
        O::I64x2GeS => S::I64x2GeS,
        O::F32x4Eq => S::F32x4Eq,
        O::F32x4Ne => S::F32x4Ne,
        O::F32x4Lt => S::F32x4Lt,
        O::F32x4Gt => S::F32x4Gt,
        O::F32x4Le => S::F32x4Le,
        O::F32x4Ge => S::F32x4Ge,
        O::F64x2Eq => S::F64x2Eq,
        O::F64x2Ne => S::F64x2Ne,
        O::F64x2Lt => S::F64x2Lt,
        O::F64x2Gt => S::F64x2Gt,
        O::F64x2Le => S::F64x2Le,
        O::F64x2Ge => S::F64x2Ge,
        O::V128And => S::V128And,
        O::V128AndNot => S::V128AndNot,
        O::V128Or => S::V128Or,
        O::V128Xor => S::V128Xor,
        O::I8x16NarrowI16x8S => S::I8x16NarrowI16x8S,
        O::I8x16NarrowI16x8U => S::I8x16NarrowI16x8U,
        O::I8x16Add => S::I8x16Add,
        O::I8x16AddSatS => S::I8x16AddSatS,
        O::I8x16AddSatU => S::I8x16AddSatU,
        O::I8x16Sub => S::I8x16Sub,
        O::I8x16SubSatS => S::I8x16SubSatS,
        O::I8x16SubSatU => S::I8x16SubSatU,
        O::I8x16MinS => S::I8x16MinS,
        O::I8x16MinU => S::I8x16MinU,
        O::I8x16MaxS => S::I8x16MaxS,
        O::I8x16MaxU => S::I8x16MaxU,
        O::I8x16AvgrU => S::I8x16AvgrU,
        O::I16x8Q15MulrSatS => S::I16x8Q15MulrSatS,
        O::I16x8NarrowI32x4S => S::I16x8NarrowI32x4S,
        O::I16x8NarrowI32x4U => S::I16x8NarrowI32x4U,
        O::I16x8Add => S::I16x8Add,
        O::I16x8AddSatS => S::I16x8AddSatS,
        O::I16x8AddSatU => S::I16x8AddSatU,
        O::I16x8Sub => S::I16x8Sub,
        O::I16x8SubSatS => S::I16x8SubSatS,
        O::I16x8SubSatU => S::I16x8SubSatU,
        O::I16x8Mul => S::I16x8Mul,
        O::I16x8MinS => S::I16x8MinS,
        O::I16x8MinU => S::I16x8MinU,
        O::I16x8MaxS => S::I16x8MaxS,
        O::I16x8MaxU => S::I16x8MaxU,
        O::I16x8AvgrU => S::I16x8AvgrU,
        O::I16x8ExtMulLowI8x16S => S::I16x8ExtMulLowI8x16S,
        O::I16x8ExtMulHighI8x16S => S::I16x8ExtMulHighI8x16S,
        O::I16x8ExtMulLowI8x16U => S::I16x8ExtMulLowI8x16U,
        O::I16x8ExtMulHighI8x16U => S::I16x8ExtMulHighI8x16U,
        O::I32x4Add => S::I32x4Add,
        O::I32x4Sub => S::I32x4Sub,
        O::I32x4Mul => S::I32x4Mul,
        O::I32x4MinS => S::I32x4MinS,
        O::I32x4MinU => S::I32x4MinU,
        O::I32x4MaxS => S::I32x4MaxS,
        O::I32x4MaxU => S::I32x4MaxU,
        O::I32x4DotI16x8S => S::I32x4DotI16x8S,
        O::I32x4ExtMulLowI16x8S => S::I32x4ExtMulLowI16x8S,
        O::I32x4ExtMulHighI16x8S => S::I32x4ExtMulHighI16x8S,
        O::I32x4ExtMulLowI16x8U => S::I32x4ExtMulLowI16x8U,
        O::I32x4ExtMulHighI16x8U => S::I32x4ExtMulHighI16x8U,
        O::I64x2Add => S::I64x2Add,
        O::I64x2Sub => S::I64x2Sub,
        O::I64x2Mul => S::I64x2Mul,
        O::I64x2ExtMulLowI32x4S => S::I64x2ExtMulLowI32x4S,
        O::I64x2ExtMulHighI32x4S => S::I64x2ExtMulHighI32x4S,
        O::I64x2ExtMulLowI32x4U => S::I64x2ExtMulLowI32x4U,
        O::I64x2ExtMulHighI32x4U => S::I64x2ExtMulHighI32x4U,
        O::F32x4Add => S::F32x4Add,
        O::F32x4Sub => S::F32x4Sub,
        O::F32x4Mul => S::F32x4Mul,
        O::F32x4Div => S::F32x4Div,
        O::F32x4Min => S::F32x4Min,
        O::F32x4Max => S::F32x4Max,
        O::F32x4PMin => S::F32x4PMin,
        O::F32x4PMax => S::F32x4PMax,
        O::F64x2Add => S::F64x2Add,
        O::F64x2Sub => S::F64x2Sub,
        O::F64x2Mul => S::F64x2Mul,
        O::F64x2Div => S::F64x2Div,
        O::F64x2Min => S::F64x2Min,
        O::F64x2Max => S::F64x2Max,
        O::F64x2PMin => S::F64x2PMin,
        O::F64x2PMax => S::F64x2PMax,
        O::V128Bitselect => S::V128Bitselect,
        O::I8x16Shl => S::I8x16Shl,
        O::I8x16ShrS => S::I8x16ShrS,
        O::I8x16ShrU => S::I8x16ShrU,
        O::I16x8Shl => S::I16x8Shl,
        O::I16x8ShrS => S::I16x8ShrS,
        O::I16x8ShrU => S::I16x8ShrU,
        O::I32x4Shl => S::I32x4Shl,
        O::I32x4ShrS => S::I32x4ShrS,
        O::I32x4ShrU => S::I32x4ShrU,
        O::I64x2Shl => S::I64x2Shl,
        O::I64x2ShrS => S::I64x2ShrS,
        O::I64x2ShrU => S::I64x2ShrU,
        O::I8x16Splat => S::I8x16Splat,
        O::I16x8Splat => S::I16x8Splat,
        O::I32x4Splat => S::I32x4Splat,
        O::I64x2Splat => S::I64x2Splat,
        O::F32x4Splat => S::F32x4Splat,
        O::F64x2Splat => S::F64x2Splat,
        O::V128AnyTrue => S::V128AnyTrue,
        O::I8x16AllTrue => S::I8x16AllTrue,
        O::I8x16Bitmask => S::I8x16Bitmask,
        O::I16x8AllTrue => S::I16x8AllTrue,
        O::I16x8Bitmask => S::I16x8Bitmask,
        O::I32x4AllTrue => S::I32x4AllTrue,
        O::I32x4Bitmask => S::I32x4Bitmask,
        O::I64x2AllTrue => S::I64x2AllTrue,
        O::I64x2Bitmask => S::I64x2Bitmask,
        // The deterministic choice, as the interpreter's.
        O::I8x16RelaxedSwizzle => S::I8x16Swizzle,
        O::I32x4RelaxedTruncF32x4S => S::I32x4TruncSatF32x4S,
        O::I32x4RelaxedTruncF32x4U => S::I32x4TruncSatF32x4U,
        O::I32x4RelaxedTruncF64x2SZero => S::I32x4TruncSatF64x2SZero,
        O::I32x4RelaxedTruncF64x2UZero => S::I32x4TruncSatF64x2UZero,
        O::F32x4RelaxedMin => S::F32x4Min,
        O::F32x4RelaxedMax => S::F32x4Max,
        O::F64x2RelaxedMin => S::F64x2Min,
        O::F64x2RelaxedMax => S::F64x2Max,
        O::I16x8RelaxedQ15mulrS => S::I16x8Q15MulrSatS,
        O::I8x16RelaxedLaneselect
        | O::I16x8RelaxedLaneselect
        | O::I32x4RelaxedLaneselect
        | O::I64x2RelaxedLaneselect => S::V128Bitselect,
        _ => return None,
    })
}

/// Operators with a lane number.
fn lane(op: &Operator<'_>) -> Option<(SimdOp, u8)> {
    use Operator as O;
    use SimdOp as S;
    Some(match op {
        O::I8x16ExtractLaneS { lane } => (S::I8x16ExtractLaneS, *lane),
        O::I8x16ExtractLaneU { lane } => (S::I8x16ExtractLaneU, *lane),
        O::I16x8ExtractLaneS { lane } => (S::I16x8ExtractLaneS, *lane),
        O::I16x8ExtractLaneU { lane } => (S::I16x8ExtractLaneU, *lane),
        O::I32x4ExtractLane { lane } => (S::I32x4ExtractLane, *lane),
        O::I64x2ExtractLane { lane } => (S::I64x2ExtractLane, *lane),
        O::F32x4ExtractLane { lane } => (S::F32x4ExtractLane, *lane),
        O::F64x2ExtractLane { lane } => (S::F64x2ExtractLane, *lane),
        O::I8x16ReplaceLane { lane } => (S::I8x16ReplaceLane, *lane),
        O::I16x8ReplaceLane { lane } => (S::I16x8ReplaceLane, *lane),
        O::I32x4ReplaceLane { lane } => (S::I32x4ReplaceLane, *lane),
        O::I64x2ReplaceLane { lane } => (S::I64x2ReplaceLane, *lane),
        O::F32x4ReplaceLane { lane } => (S::F32x4ReplaceLane, *lane),
        O::F64x2ReplaceLane { lane } => (S::F64x2ReplaceLane, *lane),
        _ => return None,
    })
}

/// Loads that extend, splat, or fill up with zeros.
fn load(op: &Operator<'_>) -> Option<(MemKind, MemArg)> {
    use MemKind as K;
    use Operator as O;
    Some(match op {
        O::V128Load { memarg } => (K::Whole, *memarg),
        O::V128Load8x8S { memarg } => (K::V8x8S, *memarg),
        O::V128Load8x8U { memarg } => (K::V8x8U, *memarg),
        O::V128Load16x4S { memarg } => (K::V16x4S, *memarg),
        O::V128Load16x4U { memarg } => (K::V16x4U, *memarg),
        O::V128Load32x2S { memarg } => (K::V32x2S, *memarg),
        O::V128Load32x2U { memarg } => (K::V32x2U, *memarg),
        O::V128Load8Splat { memarg } => (K::Splat8, *memarg),
        O::V128Load16Splat { memarg } => (K::Splat16, *memarg),
        O::V128Load32Splat { memarg } => (K::Splat32, *memarg),
        O::V128Load64Splat { memarg } => (K::Splat64, *memarg),
        O::V128Load32Zero { memarg } => (K::Zero32, *memarg),
        O::V128Load64Zero { memarg } => (K::Zero64, *memarg),
        _ => return None,
    })
}

/// Lanes in memory: width in bits, lane, whether it stores.
fn lane_access(op: &Operator<'_>) -> Option<(u32, u8, bool, MemArg)> {
    use Operator as O;
    Some(match op {
        O::V128Load8Lane { memarg, lane } => (8, *lane, false, *memarg),
        O::V128Load16Lane { memarg, lane } => (16, *lane, false, *memarg),
        O::V128Load32Lane { memarg, lane } => (32, *lane, false, *memarg),
        O::V128Load64Lane { memarg, lane } => (64, *lane, false, *memarg),
        O::V128Store8Lane { memarg, lane } => (8, *lane, true, *memarg),
        O::V128Store16Lane { memarg, lane } => (16, *lane, true, *memarg),
        O::V128Store32Lane { memarg, lane } => (32, *lane, true, *memarg),
        O::V128Store64Lane { memarg, lane } => (64, *lane, true, *memarg),
        _ => return None,
    })
}

impl Builder<'_> {
    /// An operation on vectors.
    pub(super) fn simd(&mut self, op: SimdOp, lane: u8, args: &[Value]) -> Value {
        let form = op.form();
        let ty = match form {
            SimdForm::Extract | SimdForm::Test => op.scalar(),
            _ => Type::V128,
        };
        let arg = |i: usize| args.get(i).copied().unwrap_or(Value::NONE);
        let args = [arg(0), arg(1), arg(2)];
        self.pure(Inst { idx: op as u32, aux: lane, args, ..Inst::new(form.op(), ty) })
    }

    fn simd_n(&mut self, op: SimdOp, lane: u8, operands: usize) {
        let args = self.pop_n(operands);
        let v = self.simd(op, lane, &args);
        self.stack.push(v);
    }

    /// Does a vector operator; false if it is none.
    pub(super) fn vector_operator(&mut self, op: &Operator<'_>) -> bool {
        if let Some(op) = plain(op) {
            let operands = match op.form() {
                SimdForm::Ter => 3,
                SimdForm::Bin | SimdForm::Shift => 2,
                _ => 1,
            };
            self.simd_n(op, 0, operands);
        } else if let Some((op, lane)) = lane(op) {
            self.simd_n(op, lane, if op.form() == SimdForm::Replace { 2 } else { 1 });
        } else if let Some((kind, memarg)) = load(op) {
            self.load(&memarg, Type::V128, kind);
        } else if let Some((bits, lane, store, memarg)) = lane_access(op) {
            self.lane_access(&memarg, bits, lane, store);
        } else {
            return self.other_vector_operator(op);
        }
        true
    }

    fn other_vector_operator(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::V128Const { value } => {
                let v = self.vector_const(value.i128() as u128);
                self.stack.push(v);
            }
            Operator::V128Store { memarg } => self.store(memarg, MemKind::Whole),
            Operator::I8x16Shuffle { lanes } => {
                let (a, b) = self.pop2();
                let imm = self.f.vector(u128::from_le_bytes(*lanes));
                let args = [a, b, Value::NONE];
                let v = self.pure(Inst { imm, args, ..Inst::new(Op::VShuffle, Type::V128) });
                self.stack.push(v);
            }
            Operator::F32x4RelaxedMadd => self.multiply_add(SimdOp::F32x4Mul, SimdOp::F32x4Add, None),
            Operator::F32x4RelaxedNmadd => {
                self.multiply_add(SimdOp::F32x4Mul, SimdOp::F32x4Add, Some(SimdOp::F32x4Neg));
            }
            Operator::F64x2RelaxedMadd => self.multiply_add(SimdOp::F64x2Mul, SimdOp::F64x2Add, None),
            Operator::F64x2RelaxedNmadd => {
                self.multiply_add(SimdOp::F64x2Mul, SimdOp::F64x2Add, Some(SimdOp::F64x2Neg));
            }
            Operator::I16x8RelaxedDotI8x16I7x16S => {
                let (a, b) = self.pop2();
                let v = self.byte_products(a, b);
                self.stack.push(v);
            }
            Operator::I32x4RelaxedDotI8x16I7x16AddS => {
                let c = self.pop();
                let (a, b) = self.pop2();
                let sums = self.byte_products(a, b);
                let sums = self.simd(SimdOp::I32x4ExtAddPairwiseI16x8S, 0, &[sums]);
                let v = self.simd(SimdOp::I32x4Add, 0, &[sums, c]);
                self.stack.push(v);
            }
            _ => return false,
        }
        true
    }

    /// Rounded twice.
    fn multiply_add(&mut self, mul: SimdOp, add: SimdOp, neg: Option<SimdOp>) {
        let c = self.pop();
        let (a, b) = self.pop2();
        let a = neg.map_or(a, |neg| self.simd(neg, 0, &[a]));
        let product = self.simd(mul, 0, &[a, b]);
        let v = self.simd(add, 0, &[product, c]);
        self.stack.push(v);
    }

    /// Sums of the products of neighbouring bytes, both signed, in 16 bits.
    fn byte_products(&mut self, a: Value, b: Value) -> Value {
        let eight = self.f.iconst(Type::I32, 8);
        let odd = |s: &mut Self, v| s.simd(SimdOp::I16x8ShrS, 0, &[v, eight]);
        let even = |s: &mut Self, v| {
            let up = s.simd(SimdOp::I16x8Shl, 0, &[v, eight]);
            s.simd(SimdOp::I16x8ShrS, 0, &[up, eight])
        };
        let (ao, bo) = (odd(self, a), odd(self, b));
        let (ae, be) = (even(self, a), even(self, b));
        let odd = self.simd(SimdOp::I16x8Mul, 0, &[ao, bo]);
        let even = self.simd(SimdOp::I16x8Mul, 0, &[ae, be]);
        self.simd(SimdOp::I16x8Add, 0, &[even, odd])
    }
}
