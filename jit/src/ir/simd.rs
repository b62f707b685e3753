//! The operations on vectors behind `VUn`, `VBin`, `VTer`, `VShift`, `VSplat`, `VExtract`, `VReplace` and `VTest`.
//!
//! One row per operation of the specification: name, form, and the scalar that goes in or comes out (`V128`: none).
//! Relaxed operations are not here: the front end makes each what the interpreter makes of it, its strict relative, and
//! multiply-adds and dot products of bytes out of several operations. Loads, stores, constants and shuffles have IR
//! operations of their own.

use super::{Op, Type};

/// Which arguments an operation on vectors takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SimdForm {
    /// A vector; answers a vector.
    Un,
    /// Two vectors.
    Bin,
    /// Three vectors.
    Ter,
    /// A vector and an i32 count.
    Shift,
    /// A scalar into all lanes.
    Splat,
    /// A vector; answers the scalar in lane `aux`.
    Extract,
    /// A vector and a scalar for lane `aux`.
    Replace,
    /// A vector; answers an i32.
    Test,
}

impl SimdForm {
    /// The IR operation of that form.
    pub fn op(self) -> Op {
        match self {
            SimdForm::Un => Op::VUn,
            SimdForm::Bin => Op::VBin,
            SimdForm::Ter => Op::VTer,
            SimdForm::Shift => Op::VShift,
            SimdForm::Splat => Op::VSplat,
            SimdForm::Extract => Op::VExtract,
            SimdForm::Replace => Op::VReplace,
            SimdForm::Test => Op::VTest,
        }
    }
}

macro_rules! simd_ops {
    ($($name:ident $text:literal $form:ident $scalar:ident;)*) => {
        /// An operation on vectors.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        #[allow(missing_docs)] // the specification's operations
        pub enum SimdOp { $($name,)* }
        impl SimdOp {
            /// All of them.
            pub const ALL: &[SimdOp] = &[$(SimdOp::$name,)*];
            const INFO: &[(&'static str, SimdForm, Type)] = &[$(($text, SimdForm::$form, Type::$scalar),)*];
            /// Its name in the specification.
            pub fn text(self) -> &'static str { Self::INFO[self as usize].0 }
            /// Its form.
            pub fn form(self) -> SimdForm { Self::INFO[self as usize].1 }
            /// The scalar that goes in or comes out, else `V128`.
            pub fn scalar(self) -> Type { Self::INFO[self as usize].2 }
            /// From the number in an instruction's field.
            pub fn from_code(code: u32) -> SimdOp { Self::ALL[code as usize] }
        }
    };
}

simd_ops! {
    V128Not "v128.not" Un V128;
    I8x16Abs "i8x16.abs" Un V128;
    I8x16Neg "i8x16.neg" Un V128;
    I8x16Popcnt "i8x16.popcnt" Un V128;
    I16x8ExtAddPairwiseI8x16S "i16x8.extadd_pairwise_i8x16_s" Un V128;
    I16x8ExtAddPairwiseI8x16U "i16x8.extadd_pairwise_i8x16_u" Un V128;
    I16x8Abs "i16x8.abs" Un V128;
    I16x8Neg "i16x8.neg" Un V128;
    I16x8ExtendLowI8x16S "i16x8.extend_low_i8x16_s" Un V128;
    I16x8ExtendHighI8x16S "i16x8.extend_high_i8x16_s" Un V128;
    I16x8ExtendLowI8x16U "i16x8.extend_low_i8x16_u" Un V128;
    I16x8ExtendHighI8x16U "i16x8.extend_high_i8x16_u" Un V128;
    I32x4ExtAddPairwiseI16x8S "i32x4.extadd_pairwise_i16x8_s" Un V128;
    I32x4ExtAddPairwiseI16x8U "i32x4.extadd_pairwise_i16x8_u" Un V128;
    I32x4Abs "i32x4.abs" Un V128;
    I32x4Neg "i32x4.neg" Un V128;
    I32x4ExtendLowI16x8S "i32x4.extend_low_i16x8_s" Un V128;
    I32x4ExtendHighI16x8S "i32x4.extend_high_i16x8_s" Un V128;
    I32x4ExtendLowI16x8U "i32x4.extend_low_i16x8_u" Un V128;
    I32x4ExtendHighI16x8U "i32x4.extend_high_i16x8_u" Un V128;
    I64x2Abs "i64x2.abs" Un V128;
    I64x2Neg "i64x2.neg" Un V128;
    I64x2ExtendLowI32x4S "i64x2.extend_low_i32x4_s" Un V128;
    I64x2ExtendHighI32x4S "i64x2.extend_high_i32x4_s" Un V128;
    I64x2ExtendLowI32x4U "i64x2.extend_low_i32x4_u" Un V128;
    I64x2ExtendHighI32x4U "i64x2.extend_high_i32x4_u" Un V128;
    F32x4Ceil "f32x4.ceil" Un V128;
    F32x4Floor "f32x4.floor" Un V128;
    F32x4Trunc "f32x4.trunc" Un V128;
    F32x4Nearest "f32x4.nearest" Un V128;
    F32x4Abs "f32x4.abs" Un V128;
    F32x4Neg "f32x4.neg" Un V128;
    F32x4Sqrt "f32x4.sqrt" Un V128;
    F64x2Ceil "f64x2.ceil" Un V128;
    F64x2Floor "f64x2.floor" Un V128;
    F64x2Trunc "f64x2.trunc" Un V128;
    F64x2Nearest "f64x2.nearest" Un V128;
    F64x2Abs "f64x2.abs" Un V128;
    F64x2Neg "f64x2.neg" Un V128;
    F64x2Sqrt "f64x2.sqrt" Un V128;
    I32x4TruncSatF32x4S "i32x4.trunc_sat_f32x4_s" Un V128;
    I32x4TruncSatF32x4U "i32x4.trunc_sat_f32x4_u" Un V128;
    F32x4ConvertI32x4S "f32x4.convert_i32x4_s" Un V128;
    F32x4ConvertI32x4U "f32x4.convert_i32x4_u" Un V128;
    I32x4TruncSatF64x2SZero "i32x4.trunc_sat_f64x2_s_zero" Un V128;
    I32x4TruncSatF64x2UZero "i32x4.trunc_sat_f64x2_u_zero" Un V128;
    F64x2ConvertLowI32x4S "f64x2.convert_low_i32x4_s" Un V128;
    F64x2ConvertLowI32x4U "f64x2.convert_low_i32x4_u" Un V128;
    F32x4DemoteF64x2Zero "f32x4.demote_f64x2_zero" Un V128;
    F64x2PromoteLowF32x4 "f64x2.promote_low_f32x4" Un V128;
    I8x16Swizzle "i8x16.swizzle" Bin V128;
    I8x16Eq "i8x16.eq" Bin V128;
    I8x16Ne "i8x16.ne" Bin V128;
    I8x16LtS "i8x16.lt_s" Bin V128;
    I8x16LtU "i8x16.lt_u" Bin V128;
    I8x16GtS "i8x16.gt_s" Bin V128;
    I8x16GtU "i8x16.gt_u" Bin V128;
    I8x16LeS "i8x16.le_s" Bin V128;
    I8x16LeU "i8x16.le_u" Bin V128;
    I8x16GeS "i8x16.ge_s" Bin V128;
    I8x16GeU "i8x16.ge_u" Bin V128;
    I16x8Eq "i16x8.eq" Bin V128;
    I16x8Ne "i16x8.ne" Bin V128;
    I16x8LtS "i16x8.lt_s" Bin V128;
    I16x8LtU "i16x8.lt_u" Bin V128;
    I16x8GtS "i16x8.gt_s" Bin V128;
    I16x8GtU "i16x8.gt_u" Bin V128;
    I16x8LeS "i16x8.le_s" Bin V128;
    I16x8LeU "i16x8.le_u" Bin V128;
    I16x8GeS "i16x8.ge_s" Bin V128;
    I16x8GeU "i16x8.ge_u" Bin V128;
    I32x4Eq "i32x4.eq" Bin V128;
    I32x4Ne "i32x4.ne" Bin V128;
    I32x4LtS "i32x4.lt_s" Bin V128;
    I32x4LtU "i32x4.lt_u" Bin V128;
    I32x4GtS "i32x4.gt_s" Bin V128;
    I32x4GtU "i32x4.gt_u" Bin V128;
    I32x4LeS "i32x4.le_s" Bin V128;
    I32x4LeU "i32x4.le_u" Bin V128;
    I32x4GeS "i32x4.ge_s" Bin V128;
    I32x4GeU "i32x4.ge_u" Bin V128;
    I64x2Eq "i64x2.eq" Bin V128;
    I64x2Ne "i64x2.ne" Bin V128;
    I64x2LtS "i64x2.lt_s" Bin V128;
    I64x2GtS "i64x2.gt_s" Bin V128;
    I64x2LeS "i64x2.le_s" Bin V128;
    I64x2GeS "i64x2.ge_s" Bin V128;
    F32x4Eq "f32x4.eq" Bin V128;
    F32x4Ne "f32x4.ne" Bin V128;
    F32x4Lt "f32x4.lt" Bin V128;
    F32x4Gt "f32x4.gt" Bin V128;
    F32x4Le "f32x4.le" Bin V128;
    F32x4Ge "f32x4.ge" Bin V128;
    F64x2Eq "f64x2.eq" Bin V128;
    F64x2Ne "f64x2.ne" Bin V128;
    F64x2Lt "f64x2.lt" Bin V128;
    F64x2Gt "f64x2.gt" Bin V128;
    F64x2Le "f64x2.le" Bin V128;
    F64x2Ge "f64x2.ge" Bin V128;
    V128And "v128.and" Bin V128;
    V128AndNot "v128.andnot" Bin V128;
    V128Or "v128.or" Bin V128;
    V128Xor "v128.xor" Bin V128;
    I8x16NarrowI16x8S "i8x16.narrow_i16x8_s" Bin V128;
    I8x16NarrowI16x8U "i8x16.narrow_i16x8_u" Bin V128;
    I8x16Add "i8x16.add" Bin V128;
    I8x16AddSatS "i8x16.add_sat_s" Bin V128;
    I8x16AddSatU "i8x16.add_sat_u" Bin V128;
    I8x16Sub "i8x16.sub" Bin V128;
    I8x16SubSatS "i8x16.sub_sat_s" Bin V128;
    I8x16SubSatU "i8x16.sub_sat_u" Bin V128;
    I8x16MinS "i8x16.min_s" Bin V128;
    I8x16MinU "i8x16.min_u" Bin V128;
    I8x16MaxS "i8x16.max_s" Bin V128;
    I8x16MaxU "i8x16.max_u" Bin V128;
    I8x16AvgrU "i8x16.avgr_u" Bin V128;
    I16x8Q15MulrSatS "i16x8.q15mulr_sat_s" Bin V128;
    I16x8NarrowI32x4S "i16x8.narrow_i32x4_s" Bin V128;
    I16x8NarrowI32x4U "i16x8.narrow_i32x4_u" Bin V128;
    I16x8Add "i16x8.add" Bin V128;
    I16x8AddSatS "i16x8.add_sat_s" Bin V128;
    I16x8AddSatU "i16x8.add_sat_u" Bin V128;
    I16x8Sub "i16x8.sub" Bin V128;
    I16x8SubSatS "i16x8.sub_sat_s" Bin V128;
    I16x8SubSatU "i16x8.sub_sat_u" Bin V128;
    I16x8Mul "i16x8.mul" Bin V128;
    I16x8MinS "i16x8.min_s" Bin V128;
    I16x8MinU "i16x8.min_u" Bin V128;
    I16x8MaxS "i16x8.max_s" Bin V128;
    I16x8MaxU "i16x8.max_u" Bin V128;
    I16x8AvgrU "i16x8.avgr_u" Bin V128;
    I16x8ExtMulLowI8x16S "i16x8.extmul_low_i8x16_s" Bin V128;
    I16x8ExtMulHighI8x16S "i16x8.extmul_high_i8x16_s" Bin V128;
    I16x8ExtMulLowI8x16U "i16x8.extmul_low_i8x16_u" Bin V128;
    I16x8ExtMulHighI8x16U "i16x8.extmul_high_i8x16_u" Bin V128;
    I32x4Add "i32x4.add" Bin V128;
    I32x4Sub "i32x4.sub" Bin V128;
    I32x4Mul "i32x4.mul" Bin V128;
    I32x4MinS "i32x4.min_s" Bin V128;
    I32x4MinU "i32x4.min_u" Bin V128;
    I32x4MaxS "i32x4.max_s" Bin V128;
    I32x4MaxU "i32x4.max_u" Bin V128;
    I32x4DotI16x8S "i32x4.dot_i16x8_s" Bin V128;
    I32x4ExtMulLowI16x8S "i32x4.extmul_low_i16x8_s" Bin V128;
    I32x4ExtMulHighI16x8S "i32x4.extmul_high_i16x8_s" Bin V128;
    I32x4ExtMulLowI16x8U "i32x4.extmul_low_i16x8_u" Bin V128;
    I32x4ExtMulHighI16x8U "i32x4.extmul_high_i16x8_u" Bin V128;
    I64x2Add "i64x2.add" Bin V128;
    I64x2Sub "i64x2.sub" Bin V128;
    I64x2Mul "i64x2.mul" Bin V128;
    I64x2ExtMulLowI32x4S "i64x2.extmul_low_i32x4_s" Bin V128;
    I64x2ExtMulHighI32x4S "i64x2.extmul_high_i32x4_s" Bin V128;
    I64x2ExtMulLowI32x4U "i64x2.extmul_low_i32x4_u" Bin V128;
    I64x2ExtMulHighI32x4U "i64x2.extmul_high_i32x4_u" Bin V128;
    F32x4Add "f32x4.add" Bin V128;
    F32x4Sub "f32x4.sub" Bin V128;
    F32x4Mul "f32x4.mul" Bin V128;
    F32x4Div "f32x4.div" Bin V128;
    F32x4Min "f32x4.min" Bin V128;
    F32x4Max "f32x4.max" Bin V128;
    F32x4PMin "f32x4.pmin" Bin V128;
    F32x4PMax "f32x4.pmax" Bin V128;
    F64x2Add "f64x2.add" Bin V128;
    F64x2Sub "f64x2.sub" Bin V128;
    F64x2Mul "f64x2.mul" Bin V128;
    F64x2Div "f64x2.div" Bin V128;
    F64x2Min "f64x2.min" Bin V128;
    F64x2Max "f64x2.max" Bin V128;
    F64x2PMin "f64x2.pmin" Bin V128;
    F64x2PMax "f64x2.pmax" Bin V128;
    V128Bitselect "v128.bitselect" Ter V128;
    I8x16Shl "i8x16.shl" Shift V128;
    I8x16ShrS "i8x16.shr_s" Shift V128;
    I8x16ShrU "i8x16.shr_u" Shift V128;
    I16x8Shl "i16x8.shl" Shift V128;
    I16x8ShrS "i16x8.shr_s" Shift V128;
    I16x8ShrU "i16x8.shr_u" Shift V128;
    I32x4Shl "i32x4.shl" Shift V128;
    I32x4ShrS "i32x4.shr_s" Shift V128;
    I32x4ShrU "i32x4.shr_u" Shift V128;
    I64x2Shl "i64x2.shl" Shift V128;
    I64x2ShrS "i64x2.shr_s" Shift V128;
    I64x2ShrU "i64x2.shr_u" Shift V128;
    I8x16Splat "i8x16.splat" Splat I32;
    I16x8Splat "i16x8.splat" Splat I32;
    I32x4Splat "i32x4.splat" Splat I32;
    I64x2Splat "i64x2.splat" Splat I64;
    F32x4Splat "f32x4.splat" Splat F32;
    F64x2Splat "f64x2.splat" Splat F64;
    I8x16ExtractLaneS "i8x16.extract_lane_s" Extract I32;
    I8x16ExtractLaneU "i8x16.extract_lane_u" Extract I32;
    I16x8ExtractLaneS "i16x8.extract_lane_s" Extract I32;
    I16x8ExtractLaneU "i16x8.extract_lane_u" Extract I32;
    I32x4ExtractLane "i32x4.extract_lane" Extract I32;
    I64x2ExtractLane "i64x2.extract_lane" Extract I64;
    F32x4ExtractLane "f32x4.extract_lane" Extract F32;
    F64x2ExtractLane "f64x2.extract_lane" Extract F64;
    I8x16ReplaceLane "i8x16.replace_lane" Replace I32;
    I16x8ReplaceLane "i16x8.replace_lane" Replace I32;
    I32x4ReplaceLane "i32x4.replace_lane" Replace I32;
    I64x2ReplaceLane "i64x2.replace_lane" Replace I64;
    F32x4ReplaceLane "f32x4.replace_lane" Replace F32;
    F64x2ReplaceLane "f64x2.replace_lane" Replace F64;
    V128AnyTrue "v128.any_true" Test I32;
    I8x16AllTrue "i8x16.all_true" Test I32;
    I8x16Bitmask "i8x16.bitmask" Test I32;
    I16x8AllTrue "i16x8.all_true" Test I32;
    I16x8Bitmask "i16x8.bitmask" Test I32;
    I32x4AllTrue "i32x4.all_true" Test I32;
    I32x4Bitmask "i32x4.bitmask" Test I32;
    I64x2AllTrue "i64x2.all_true" Test I32;
    I64x2Bitmask "i64x2.bitmask" Test I32;
}

#[cfg(test)]
mod tests {
    use super::SimdOp;

    #[test]
    fn codes_are_indices() {
        for (i, &op) in SimdOp::ALL.iter().enumerate() {
            assert_eq!(op as usize, i);
            assert_eq!(SimdOp::from_code(i as u32), op);
        }
    }
}
