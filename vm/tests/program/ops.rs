//! The numeric instructions as tables: the instruction, its types, and what it computes.

use crate::ast::Ty;
use std::sync::OnceLock;
use vm::TrapKind;
use wasm_encoder::{Instruction, MemArg};

type Outcome = Result<u64, TrapKind>;

/// An atomic operation that reads and writes.
#[derive(Debug)]
pub(crate) struct AtomicOp {
    pub(crate) ty: Ty,
    pub(crate) bytes: u32,
    pub(crate) operands: usize,
    pub(crate) instruction: fn(MemArg) -> Instruction<'static>,
    /// What is written, of the old value and the operands, all as wide as what lies in memory.
    pub(crate) eval: fn(u64, &[u64]) -> u64,
}

macro_rules! atomics {
    ($($ty:ident $bytes:literal: $add:ident $sub:ident $and:ident $or:ident $xor:ident $xchg:ident $cmpxchg:ident;)*) => {
        [$(
            AtomicOp { ty: Ty::$ty, bytes: $bytes, operands: 1, instruction: Instruction::$add, eval: |a, o| a.wrapping_add(o[0]) },
            AtomicOp { ty: Ty::$ty, bytes: $bytes, operands: 1, instruction: Instruction::$sub, eval: |a, o| a.wrapping_sub(o[0]) },
            AtomicOp { ty: Ty::$ty, bytes: $bytes, operands: 1, instruction: Instruction::$and, eval: |a, o| a & o[0] },
            AtomicOp { ty: Ty::$ty, bytes: $bytes, operands: 1, instruction: Instruction::$or, eval: |a, o| a | o[0] },
            AtomicOp { ty: Ty::$ty, bytes: $bytes, operands: 1, instruction: Instruction::$xor, eval: |a, o| a ^ o[0] },
            AtomicOp { ty: Ty::$ty, bytes: $bytes, operands: 1, instruction: Instruction::$xchg, eval: |_, o| o[0] },
            AtomicOp {
                ty: Ty::$ty,
                bytes: $bytes,
                operands: 2,
                instruction: Instruction::$cmpxchg,
                eval: |a, o| if a == o[0] { o[1] } else { a },
            },
        )*]
    };
}

/// All of them.
pub(crate) static ATOMICS: [AtomicOp; 49] = atomics! {
    I32 4: I32AtomicRmwAdd I32AtomicRmwSub I32AtomicRmwAnd I32AtomicRmwOr I32AtomicRmwXor I32AtomicRmwXchg I32AtomicRmwCmpxchg;
    I32 1: I32AtomicRmw8AddU I32AtomicRmw8SubU I32AtomicRmw8AndU I32AtomicRmw8OrU I32AtomicRmw8XorU I32AtomicRmw8XchgU
        I32AtomicRmw8CmpxchgU;
    I32 2: I32AtomicRmw16AddU I32AtomicRmw16SubU I32AtomicRmw16AndU I32AtomicRmw16OrU I32AtomicRmw16XorU I32AtomicRmw16XchgU
        I32AtomicRmw16CmpxchgU;
    I64 8: I64AtomicRmwAdd I64AtomicRmwSub I64AtomicRmwAnd I64AtomicRmwOr I64AtomicRmwXor I64AtomicRmwXchg I64AtomicRmwCmpxchg;
    I64 1: I64AtomicRmw8AddU I64AtomicRmw8SubU I64AtomicRmw8AndU I64AtomicRmw8OrU I64AtomicRmw8XorU I64AtomicRmw8XchgU
        I64AtomicRmw8CmpxchgU;
    I64 2: I64AtomicRmw16AddU I64AtomicRmw16SubU I64AtomicRmw16AndU I64AtomicRmw16OrU I64AtomicRmw16XorU I64AtomicRmw16XchgU
        I64AtomicRmw16CmpxchgU;
    I64 4: I64AtomicRmw32AddU I64AtomicRmw32SubU I64AtomicRmw32AndU I64AtomicRmw32OrU I64AtomicRmw32XorU I64AtomicRmw32XchgU
        I64AtomicRmw32CmpxchgU;
};

#[derive(Debug)]
pub(crate) struct UnaryOp {
    pub(crate) from: Ty,
    pub(crate) to: Ty,
    pub(crate) instruction: Instruction<'static>,
    pub(crate) eval: fn(u64) -> Outcome,
}

#[derive(Debug)]
pub(crate) struct BinaryOp {
    pub(crate) ty: Ty,
    pub(crate) to: Ty,
    pub(crate) instruction: Instruction<'static>,
    pub(crate) eval: fn(u64, u64) -> Outcome,
}

/// A number type as 64 bits.
trait Bits: Copy {
    fn of(bits: u64) -> Self;
    fn bits(self) -> u64;
}
macro_rules! bits {
    ($($t:ty: |$b:ident| $of:expr, |$v:ident| $to:expr;)*) => { $(
        impl Bits for $t {
            fn of($b: u64) -> Self { $of }
            fn bits(self) -> u64 { let $v = self; $to }
        }
    )* };
}
bits! {
    i32: |b| b as i32, |v| u64::from(v as u32);
    u32: |b| b as u32, |v| u64::from(v);
    i64: |b| b as i64, |v| v as u64;
    u64: |b| b, |v| v;
    f32: |b| f32::from_bits(b as u32), |v| u64::from(v.to_bits());
    f64: |b| f64::from_bits(b), |v| v.to_bits();
    bool: |b| b != 0, |v| u64::from(v);
}

macro_rules! int {
    ($v:ident, $ty:ident, $s:ty, $u:ty: $add:ident $sub:ident $mul:ident $divs:ident $divu:ident $rems:ident $remu:ident
     $and:ident $or:ident $xor:ident $shl:ident $shrs:ident $shru:ident $rotl:ident $rotr:ident
     $eq:ident $ne:ident $lts:ident $ltu:ident $gts:ident $gtu:ident $les:ident $leu:ident $ges:ident $geu:ident) => {
        let mut row = |to, instruction, eval| $v.push(BinaryOp { ty: Ty::$ty, to, instruction, eval });
        row(Ty::$ty, Instruction::$add, |a, b| Ok(<$s>::of(a).wrapping_add(<$s>::of(b)).bits()));
        row(Ty::$ty, Instruction::$sub, |a, b| Ok(<$s>::of(a).wrapping_sub(<$s>::of(b)).bits()));
        row(Ty::$ty, Instruction::$mul, |a, b| Ok(<$s>::of(a).wrapping_mul(<$s>::of(b)).bits()));
        row(Ty::$ty, Instruction::$and, |a, b| Ok(a & b));
        row(Ty::$ty, Instruction::$or, |a, b| Ok(a | b));
        row(Ty::$ty, Instruction::$xor, |a, b| Ok(a ^ b));
        row(Ty::$ty, Instruction::$shl, |a, b| Ok(<$s>::of(a).wrapping_shl(b as u32).bits()));
        row(Ty::$ty, Instruction::$shrs, |a, b| Ok(<$s>::of(a).wrapping_shr(b as u32).bits()));
        row(Ty::$ty, Instruction::$shru, |a, b| Ok(<$u>::of(a).wrapping_shr(b as u32).bits()));
        row(Ty::$ty, Instruction::$rotl, |a, b| Ok(<$u>::of(a).rotate_left(b as u32 & (<$u>::BITS - 1)).bits()));
        row(Ty::$ty, Instruction::$rotr, |a, b| Ok(<$u>::of(a).rotate_right(b as u32 & (<$u>::BITS - 1)).bits()));
        row(Ty::$ty, Instruction::$divs, |a, b| match (<$s>::of(a), <$s>::of(b)) {
            (_, 0) => Err(TrapKind::IntegerDivideByZero),
            (a, b) => a.checked_div(b).map(Bits::bits).ok_or(TrapKind::IntegerOverflow),
        });
        row(Ty::$ty, Instruction::$divu, |a, b| {
            <$u>::of(a).checked_div(<$u>::of(b)).map(Bits::bits).ok_or(TrapKind::IntegerDivideByZero)
        });
        row(Ty::$ty, Instruction::$rems, |a, b| match (<$s>::of(a), <$s>::of(b)) {
            (_, 0) => Err(TrapKind::IntegerDivideByZero),
            (a, b) => Ok(a.wrapping_rem(b).bits()),
        });
        row(Ty::$ty, Instruction::$remu, |a, b| {
            <$u>::of(a).checked_rem(<$u>::of(b)).map(Bits::bits).ok_or(TrapKind::IntegerDivideByZero)
        });
        row(Ty::I32, Instruction::$eq, |a, b| Ok((a == b).bits()));
        row(Ty::I32, Instruction::$ne, |a, b| Ok((a != b).bits()));
        row(Ty::I32, Instruction::$lts, |a, b| Ok((<$s>::of(a) < <$s>::of(b)).bits()));
        row(Ty::I32, Instruction::$ltu, |a, b| Ok((<$u>::of(a) < <$u>::of(b)).bits()));
        row(Ty::I32, Instruction::$gts, |a, b| Ok((<$s>::of(a) > <$s>::of(b)).bits()));
        row(Ty::I32, Instruction::$gtu, |a, b| Ok((<$u>::of(a) > <$u>::of(b)).bits()));
        row(Ty::I32, Instruction::$les, |a, b| Ok((<$s>::of(a) <= <$s>::of(b)).bits()));
        row(Ty::I32, Instruction::$leu, |a, b| Ok((<$u>::of(a) <= <$u>::of(b)).bits()));
        row(Ty::I32, Instruction::$ges, |a, b| Ok((<$s>::of(a) >= <$s>::of(b)).bits()));
        row(Ty::I32, Instruction::$geu, |a, b| Ok((<$u>::of(a) >= <$u>::of(b)).bits()));
    };
}

macro_rules! float {
    ($v:ident, $ty:ident, $f:ty: $add:ident $sub:ident $mul:ident $div:ident $min:ident $max:ident $copysign:ident
     $eq:ident $ne:ident $lt:ident $gt:ident $le:ident $ge:ident) => {
        let mut row = |to, instruction, eval| $v.push(BinaryOp { ty: Ty::$ty, to, instruction, eval });
        row(Ty::$ty, Instruction::$add, |a, b| Ok((<$f>::of(a) + <$f>::of(b)).bits()));
        row(Ty::$ty, Instruction::$sub, |a, b| Ok((<$f>::of(a) - <$f>::of(b)).bits()));
        row(Ty::$ty, Instruction::$mul, |a, b| Ok((<$f>::of(a) * <$f>::of(b)).bits()));
        row(Ty::$ty, Instruction::$div, |a, b| Ok((<$f>::of(a) / <$f>::of(b)).bits()));
        row(Ty::$ty, Instruction::$copysign, |a, b| Ok(<$f>::of(a).copysign(<$f>::of(b)).bits()));
        row(Ty::$ty, Instruction::$min, |a, b| {
            let (a, b) = (<$f>::of(a), <$f>::of(b));
            Ok(if a.is_nan() || b.is_nan() {
                <$f>::NAN
            } else if a == b {
                // Zeros of two signs: the negative one.
                <$f>::from_bits(a.to_bits() | b.to_bits())
            } else if a < b {
                a
            } else {
                b
            }
            .bits())
        });
        row(Ty::$ty, Instruction::$max, |a, b| {
            let (a, b) = (<$f>::of(a), <$f>::of(b));
            Ok(if a.is_nan() || b.is_nan() {
                <$f>::NAN
            } else if a == b {
                <$f>::from_bits(a.to_bits() & b.to_bits())
            } else if a > b {
                a
            } else {
                b
            }
            .bits())
        });
        row(Ty::I32, Instruction::$eq, |a, b| Ok((<$f>::of(a) == <$f>::of(b)).bits()));
        row(Ty::I32, Instruction::$ne, |a, b| Ok((<$f>::of(a) != <$f>::of(b)).bits()));
        row(Ty::I32, Instruction::$lt, |a, b| Ok((<$f>::of(a) < <$f>::of(b)).bits()));
        row(Ty::I32, Instruction::$gt, |a, b| Ok((<$f>::of(a) > <$f>::of(b)).bits()));
        row(Ty::I32, Instruction::$le, |a, b| Ok((<$f>::of(a) <= <$f>::of(b)).bits()));
        row(Ty::I32, Instruction::$ge, |a, b| Ok((<$f>::of(a) >= <$f>::of(b)).bits()));
    };
}

/// All binary instructions.
pub(crate) fn binaries() -> &'static [BinaryOp] {
    static TABLE: OnceLock<Vec<BinaryOp>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut v: Vec<BinaryOp> = Vec::new();
        int!(v, I32, i32, u32: I32Add I32Sub I32Mul I32DivS I32DivU I32RemS I32RemU I32And I32Or I32Xor I32Shl I32ShrS
            I32ShrU I32Rotl I32Rotr I32Eq I32Ne I32LtS I32LtU I32GtS I32GtU I32LeS I32LeU I32GeS I32GeU);
        int!(v, I64, i64, u64: I64Add I64Sub I64Mul I64DivS I64DivU I64RemS I64RemU I64And I64Or I64Xor I64Shl I64ShrS
            I64ShrU I64Rotl I64Rotr I64Eq I64Ne I64LtS I64LtU I64GtS I64GtU I64LeS I64LeU I64GeS I64GeU);
        float!(v, F32, f32: F32Add F32Sub F32Mul F32Div F32Min F32Max F32Copysign F32Eq F32Ne F32Lt F32Gt F32Le F32Ge);
        float!(v, F64, f64: F64Add F64Sub F64Mul F64Div F64Min F64Max F64Copysign F64Eq F64Ne F64Lt F64Gt F64Le F64Ge);
        v
    })
}

/// The first binary instruction from one type to another that satisfies a condition.
pub(crate) fn binary(ty: Ty, want: &Instruction<'_>) -> &'static BinaryOp {
    let same = |op: &&BinaryOp| std::mem::discriminant(&op.instruction) == std::mem::discriminant(want);
    binaries().iter().find(|op| op.ty == ty && same(op)).expect("the instruction is in the table")
}

/// Truncation to an integer that traps: by way of f64, which holds every f32, with the open interval of valid inputs.
fn truncate(x: f64, low: f64, high: f64, to: fn(f64) -> u64) -> Outcome {
    match x {
        x if x.is_nan() => Err(TrapKind::InvalidConversionToInteger),
        x if x.trunc() < low || x.trunc() >= high => Err(TrapKind::IntegerOverflow),
        x => Ok(to(x)),
    }
}

const TWO31: f64 = 2147483648.0;
const TWO63: f64 = 9223372036854775808.0;

/// All unary instructions.
pub(crate) fn unaries() -> &'static [UnaryOp] {
    static TABLE: OnceLock<Vec<UnaryOp>> = OnceLock::new();
    TABLE.get_or_init(|| {
        use Instruction::*;
        use Ty::*;
        let mut v: Vec<UnaryOp> = Vec::new();
        let mut row = |from: Ty, to: Ty, instruction, eval| v.push(UnaryOp { from, to, instruction, eval });
        row(Ty::I32, I32, I32Clz, |a| Ok(u64::from((a as u32).leading_zeros())));
        row(Ty::I32, I32, I32Ctz, |a| Ok(u64::from((a as u32).trailing_zeros())));
        row(Ty::I32, I32, I32Popcnt, |a| Ok(u64::from((a as u32).count_ones())));
        row(Ty::I32, I32, I32Eqz, |a| Ok((a as u32 == 0).bits()));
        row(Ty::I32, I32, I32Extend8S, |a| Ok(i32::from(a as i8).bits()));
        row(Ty::I32, I32, I32Extend16S, |a| Ok(i32::from(a as i16).bits()));
        row(Ty::I64, I64, I64Clz, |a| Ok(u64::from(a.leading_zeros())));
        row(Ty::I64, I64, I64Ctz, |a| Ok(u64::from(a.trailing_zeros())));
        row(Ty::I64, I64, I64Popcnt, |a| Ok(u64::from(a.count_ones())));
        row(Ty::I64, I32, I64Eqz, |a| Ok((a == 0).bits()));
        row(Ty::I64, I64, I64Extend8S, |a| Ok(i64::from(a as i8).bits()));
        row(Ty::I64, I64, I64Extend16S, |a| Ok(i64::from(a as i16).bits()));
        row(Ty::I64, I64, I64Extend32S, |a| Ok(i64::from(a as i32).bits()));
        row(Ty::I64, I32, I32WrapI64, |a| Ok(u64::from(a as u32)));
        row(Ty::I32, I64, I64ExtendI32S, |a| Ok(i64::from(a as i32).bits()));
        row(Ty::I32, I64, I64ExtendI32U, |a| Ok(u64::from(a as u32)));
        row(Ty::I32, F32, F32ConvertI32S, |a| Ok((a as i32 as f32).bits()));
        row(Ty::I32, F32, F32ConvertI32U, |a| Ok((a as u32 as f32).bits()));
        row(Ty::I64, F32, F32ConvertI64S, |a| Ok((a as i64 as f32).bits()));
        row(Ty::I64, F32, F32ConvertI64U, |a| Ok((a as f32).bits()));
        row(Ty::I32, F64, F64ConvertI32S, |a| Ok(f64::from(a as i32).bits()));
        row(Ty::I32, F64, F64ConvertI32U, |a| Ok(f64::from(a as u32).bits()));
        row(Ty::I64, F64, F64ConvertI64S, |a| Ok((a as i64 as f64).bits()));
        row(Ty::I64, F64, F64ConvertI64U, |a| Ok((a as f64).bits()));
        row(Ty::F32, F64, F64PromoteF32, |a| Ok(f64::from(f32::of(a)).bits()));
        row(Ty::F64, F32, F32DemoteF64, |a| Ok((f64::of(a) as f32).bits()));
        row(Ty::F32, I32, I32ReinterpretF32, Ok);
        row(Ty::F64, I64, I64ReinterpretF64, Ok);
        row(Ty::I32, F32, F32ReinterpretI32, Ok);
        row(Ty::I64, F64, F64ReinterpretI64, Ok);
        row(Ty::F32, I32, I32TruncSatF32S, |a| Ok((f32::of(a) as i32).bits()));
        row(Ty::F32, I32, I32TruncSatF32U, |a| Ok((f32::of(a) as u32).bits()));
        row(Ty::F64, I32, I32TruncSatF64S, |a| Ok((f64::of(a) as i32).bits()));
        row(Ty::F64, I32, I32TruncSatF64U, |a| Ok((f64::of(a) as u32).bits()));
        row(Ty::F32, I64, I64TruncSatF32S, |a| Ok((f32::of(a) as i64).bits()));
        row(Ty::F32, I64, I64TruncSatF32U, |a| Ok(f32::of(a) as u64));
        row(Ty::F64, I64, I64TruncSatF64S, |a| Ok((f64::of(a) as i64).bits()));
        row(Ty::F64, I64, I64TruncSatF64U, |a| Ok(f64::of(a) as u64));
        row(Ty::F32, I32, I32TruncF32S, |a| truncate(f32::of(a).into(), -TWO31, TWO31, |x| (x as i32).bits()));
        row(Ty::F64, I32, I32TruncF64S, |a| truncate(f64::of(a), -TWO31, TWO31, |x| (x as i32).bits()));
        row(Ty::F64, I32, I32TruncF64U, |a| truncate(f64::of(a), 0.0, 2.0 * TWO31, |x| (x as u32).bits()));
        row(Ty::F32, I64, I64TruncF32S, |a| truncate(f32::of(a).into(), -TWO63, TWO63, |x| (x as i64).bits()));
        row(Ty::F64, I64, I64TruncF64S, |a| truncate(f64::of(a), -TWO63, TWO63, |x| (x as i64).bits()));
        row(Ty::F64, I64, I64TruncF64U, |a| truncate(f64::of(a), 0.0, 2.0 * TWO63, |x| x as u64));
        row(Ty::F32, F32, F32Abs, |a| Ok(f32::of(a).abs().bits()));
        row(Ty::F32, F32, F32Neg, |a| Ok((-f32::of(a)).bits()));
        row(Ty::F32, F32, F32Sqrt, |a| Ok(f32::of(a).sqrt().bits()));
        row(Ty::F32, F32, F32Ceil, |a| Ok(f32::of(a).ceil().bits()));
        row(Ty::F32, F32, F32Floor, |a| Ok(f32::of(a).floor().bits()));
        row(Ty::F32, F32, F32Trunc, |a| Ok(f32::of(a).trunc().bits()));
        row(Ty::F32, F32, F32Nearest, |a| Ok(f32::of(a).round_ties_even().bits()));
        row(Ty::F64, F64, F64Abs, |a| Ok(f64::of(a).abs().bits()));
        row(Ty::F64, F64, F64Neg, |a| Ok((-f64::of(a)).bits()));
        row(Ty::F64, F64, F64Sqrt, |a| Ok(f64::of(a).sqrt().bits()));
        row(Ty::F64, F64, F64Ceil, |a| Ok(f64::of(a).ceil().bits()));
        row(Ty::F64, F64, F64Floor, |a| Ok(f64::of(a).floor().bits()));
        row(Ty::F64, F64, F64Trunc, |a| Ok(f64::of(a).trunc().bits()));
        row(Ty::F64, F64, F64Nearest, |a| Ok(f64::of(a).round_ties_even().bits()));
        v
    })
}
