//! What each operator does, as far as a compiler or a scan has to know without executing it. The one place where this is said.
//!
//! In: an operator. Out: its [`Facts`]: classes of memory read and written, effect on control, depth of the reference that it looks
//! into. Invariant: every operator that `wasmparser` knows has exactly one row of the table; one that is in no row, or in two, does
//! not compile. What executes nowhere yet (`UNKNOWN`) counts as doing anything.

use wasmparser::{Catch, Operator};

/// Classes of memory, as bits.
pub mod class {
    /// Contents of linear memories.
    pub const MEMORY: u8 = 1;
    /// Globals.
    pub const GLOBAL: u8 = 2;
    /// Elements of tables.
    pub const TABLE: u8 = 4;
    /// Base and length of linear memories.
    pub const MEMORY_DESC: u8 = 8;
    /// Base and length of tables.
    pub const TABLE_DESC: u8 = 16;
    /// Fields of structs that can be written.
    pub const FIELD: u8 = 32;
    /// Elements of arrays that can be written.
    pub const ELEMENT: u8 = 64;
    /// All of them.
    pub const ALL: u8 = 127;
}

/// Where control goes behind an operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// To the next operator, or out of the function by a trap or an exception.
    Next,
    /// Opens a `block`.
    Block,
    /// Opens a `loop`.
    Loop,
    /// Opens an `if`.
    If,
    /// Opens a `try_table`.
    TryTable,
    /// Opens a legacy `try`.
    Try,
    /// Ends the first arm of an `if`.
    Else,
    /// Begins a clause of a legacy `try`.
    Catch,
    /// Ends a structure or the function.
    End,
    /// Ends a legacy `try`.
    Delegate,
    /// To the next operator or to labels.
    Branch,
    /// To labels only.
    Jump,
    /// Out of the function, as its end.
    Return,
    /// Out of the function: a trap, or a tail call.
    Leave,
    /// To a clause, or out of the function by an exception.
    Throw,
    /// Likewise, from a clause of a legacy `try`.
    Rethrow,
    /// Anywhere.
    Unknown,
}

/// See the head of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Classes of memory written.
    pub writes: u8,
    /// Classes of memory read. That of a call's callee is the caller's to find out.
    pub reads: u8,
    /// Where control goes.
    pub control: Control,
    /// Whether it calls a function and comes back.
    pub calls: bool,
    /// Depth on the operand stack of the reference whose static type matters to how it is compiled.
    pub reference: Option<u8>,
}

impl Facts {
    const fn new(writes: u8, reads: u8) -> Facts {
        Facts { writes, reads, control: Control::Next, calls: false, reference: None }
    }
    const fn control(control: Control) -> Facts {
        Facts { control, ..Facts::new(0, 0) }
    }
    const fn reference(self, depth: u8) -> Facts {
        Facts { reference: Some(depth), ..self }
    }
    const fn calling(self) -> Facts {
        Facts { calls: true, ..self }
    }

    /// Whether an exception may come from it.
    pub fn throws(&self) -> bool {
        self.calls || matches!(self.control, Control::Throw | Control::Rethrow | Control::Unknown)
    }
    /// Whether control comes to the next operator and nowhere else within the function.
    pub fn is_straight(&self) -> bool {
        self.control == Control::Next && !self.calls
    }
}

/// The facts of each kind of operator.
mod kind {
    use super::class::*;
    use super::{Control, Facts};

    pub(super) const PURE: Facts = Facts::new(0, 0);
    pub(super) const LOAD: Facts = Facts::new(0, MEMORY | MEMORY_DESC);
    pub(super) const STORE: Facts = Facts::new(MEMORY, MEMORY_DESC);
    // What synchronises with other threads may let their writes be seen, to any address. Lengths of shared memories may change at
    // any time, so nobody remembers them.
    pub(super) const ATOMIC: Facts = Facts::new(MEMORY, MEMORY | MEMORY_DESC);
    pub(super) const FENCE: Facts = Facts::new(MEMORY, MEMORY);
    pub(super) const NOTIFY: Facts = Facts::new(MEMORY, MEMORY | MEMORY_DESC);
    pub(super) const WAIT: Facts = Facts::new(MEMORY | MEMORY_DESC, MEMORY | MEMORY_DESC);
    pub(super) const SIZE: Facts = Facts::new(0, MEMORY_DESC);
    pub(super) const GROW: Facts = Facts::new(MEMORY_DESC, MEMORY_DESC);
    pub(super) const BULK_WRITE: Facts = Facts::new(MEMORY, MEMORY_DESC);
    pub(super) const BULK_COPY: Facts = Facts::new(MEMORY, MEMORY | MEMORY_DESC);
    pub(super) const DROP: Facts = Facts::new(0, 0);
    pub(super) const GLOBAL_READ: Facts = Facts::new(0, GLOBAL);
    pub(super) const GLOBAL_WRITE: Facts = Facts::new(GLOBAL, 0);
    pub(super) const TABLE_READ: Facts = Facts::new(0, TABLE | TABLE_DESC);
    pub(super) const TABLE_WRITE: Facts = Facts::new(TABLE, TABLE | TABLE_DESC);
    pub(super) const TABLE_GROW: Facts = Facts::new(TABLE | TABLE_DESC, TABLE_DESC);
    // A new object overlaps with nothing known.
    pub(super) const NEW: Facts = Facts::new(0, 0);
    pub(super) const TOP_REF: Facts = Facts::new(0, 0).reference(0);
    pub(super) const FIELD_READ: Facts = Facts::new(0, FIELD).reference(0);
    pub(super) const FIELD_WRITE: Facts = Facts::new(FIELD, 0).reference(1);
    pub(super) const ELEMENT_READ: Facts = Facts::new(0, ELEMENT).reference(1);
    pub(super) const ELEMENT_WRITE: Facts = Facts::new(ELEMENT, 0).reference(2);
    pub(super) const ELEMENTS_WRITE: Facts = Facts::new(ELEMENT, ELEMENT);
    pub(super) const BLOCK: Facts = Facts::control(Control::Block);
    pub(super) const LOOP: Facts = Facts::control(Control::Loop);
    pub(super) const IF: Facts = Facts::control(Control::If);
    pub(super) const TRY_TABLE: Facts = Facts::control(Control::TryTable);
    pub(super) const TRY: Facts = Facts::control(Control::Try);
    pub(super) const ELSE: Facts = Facts::control(Control::Else);
    pub(super) const CATCH: Facts = Facts::control(Control::Catch);
    pub(super) const END: Facts = Facts::control(Control::End);
    pub(super) const DELEGATE: Facts = Facts::control(Control::Delegate);
    pub(super) const BRANCH: Facts = Facts::control(Control::Branch);
    pub(super) const BRANCH_REF: Facts = Facts::control(Control::Branch).reference(0);
    pub(super) const JUMP: Facts = Facts::control(Control::Jump);
    pub(super) const RETURN: Facts = Facts::control(Control::Return);
    pub(super) const LEAVE: Facts = Facts::control(Control::Leave);
    pub(super) const THROW: Facts = Facts::control(Control::Throw);
    pub(super) const RETHROW: Facts = Facts::control(Control::Rethrow);
    pub(super) const CALL: Facts = Facts::new(ALL, TABLE_DESC).calling();
    pub(super) const CALL_REF: Facts = CALL.reference(0);
    pub(super) const TAIL: Facts = Facts { control: Control::Leave, ..Facts::new(ALL, TABLE_DESC) };
    pub(super) const TAIL_REF: Facts = TAIL.reference(0);
    pub(super) const UNKNOWN: Facts = Facts { control: Control::Unknown, ..Facts::new(ALL, ALL).calling() };
}

/// What a call of anything may do.
pub const CALL: Facts = kind::CALL;

/// The table: a kind, and the operators of that kind.
macro_rules! table {
    ($($kind:ident: $($op:ident)*;)*) => {
        #[allow(non_upper_case_globals)]
        mod row { $($(pub(super) const $op: super::Facts = super::kind::$kind;)*)* }
    };
}

table! {
    PURE:
        Nop Drop Select LocalGet LocalSet LocalTee I32Const I64Const F32Const F64Const I32Eqz I32Eq I32Ne I32LtS
        I32LtU I32GtS I32GtU I32LeS I32LeU I32GeS I32GeU I64Eqz I64Eq I64Ne I64LtS I64LtU I64GtS I64GtU I64LeS
        I64LeU I64GeS I64GeU F32Eq F32Ne F32Lt F32Gt F32Le F32Ge F64Eq F64Ne F64Lt F64Gt F64Le F64Ge I32Clz
        I32Ctz I32Popcnt I32Add I32Sub I32Mul I32DivS I32DivU I32RemS I32RemU I32And I32Or I32Xor I32Shl I32ShrS
        I32ShrU I32Rotl I32Rotr I64Clz I64Ctz I64Popcnt I64Add I64Sub I64Mul I64DivS I64DivU I64RemS I64RemU
        I64And I64Or I64Xor I64Shl I64ShrS I64ShrU I64Rotl I64Rotr F32Abs F32Neg F32Ceil F32Floor F32Trunc
        F32Nearest F32Sqrt F32Add F32Sub F32Mul F32Div F32Min F32Max F32Copysign F64Abs F64Neg F64Ceil F64Floor
        F64Trunc F64Nearest F64Sqrt F64Add F64Sub F64Mul F64Div F64Min F64Max F64Copysign I32WrapI64
        I32TruncF32S I32TruncF32U I32TruncF64S I32TruncF64U I64ExtendI32S I64ExtendI32U I64TruncF32S
        I64TruncF32U I64TruncF64S I64TruncF64U F32ConvertI32S F32ConvertI32U F32ConvertI64S F32ConvertI64U
        F32DemoteF64 F64ConvertI32S F64ConvertI32U F64ConvertI64S F64ConvertI64U F64PromoteF32 I32ReinterpretF32
        I64ReinterpretF64 F32ReinterpretI32 F64ReinterpretI64 I32Extend8S I32Extend16S I64Extend8S I64Extend16S
        I64Extend32S RefEq AnyConvertExtern ExternConvertAny RefI31 I32TruncSatF32S I32TruncSatF32U
        I32TruncSatF64S I32TruncSatF64U I64TruncSatF32S I64TruncSatF32U I64TruncSatF64S I64TruncSatF64U
        TypedSelect TypedSelectMulti RefNull RefIsNull RefFunc V128Const I8x16Shuffle I8x16ExtractLaneS
        I8x16ExtractLaneU I8x16ReplaceLane I16x8ExtractLaneS I16x8ExtractLaneU I16x8ReplaceLane I32x4ExtractLane
        I32x4ReplaceLane I64x2ExtractLane I64x2ReplaceLane F32x4ExtractLane F32x4ReplaceLane F64x2ExtractLane
        F64x2ReplaceLane I8x16Swizzle I8x16Splat I16x8Splat I32x4Splat I64x2Splat F32x4Splat F64x2Splat I8x16Eq
        I8x16Ne I8x16LtS I8x16LtU I8x16GtS I8x16GtU I8x16LeS I8x16LeU I8x16GeS I8x16GeU I16x8Eq I16x8Ne I16x8LtS
        I16x8LtU I16x8GtS I16x8GtU I16x8LeS I16x8LeU I16x8GeS I16x8GeU I32x4Eq I32x4Ne I32x4LtS I32x4LtU
        I32x4GtS I32x4GtU I32x4LeS I32x4LeU I32x4GeS I32x4GeU I64x2Eq I64x2Ne I64x2LtS I64x2GtS I64x2LeS
        I64x2GeS F32x4Eq F32x4Ne F32x4Lt F32x4Gt F32x4Le F32x4Ge F64x2Eq F64x2Ne F64x2Lt F64x2Gt F64x2Le F64x2Ge
        V128Not V128And V128AndNot V128Or V128Xor V128Bitselect V128AnyTrue I8x16Abs I8x16Neg I8x16Popcnt
        I8x16AllTrue I8x16Bitmask I8x16NarrowI16x8S I8x16NarrowI16x8U I8x16Shl I8x16ShrS I8x16ShrU I8x16Add
        I8x16AddSatS I8x16AddSatU I8x16Sub I8x16SubSatS I8x16SubSatU I8x16MinS I8x16MinU I8x16MaxS I8x16MaxU
        I8x16AvgrU I16x8ExtAddPairwiseI8x16S I16x8ExtAddPairwiseI8x16U I16x8Abs I16x8Neg I16x8Q15MulrSatS
        I16x8AllTrue I16x8Bitmask I16x8NarrowI32x4S I16x8NarrowI32x4U I16x8ExtendLowI8x16S I16x8ExtendHighI8x16S
        I16x8ExtendLowI8x16U I16x8ExtendHighI8x16U I16x8Shl I16x8ShrS I16x8ShrU I16x8Add I16x8AddSatS
        I16x8AddSatU I16x8Sub I16x8SubSatS I16x8SubSatU I16x8Mul I16x8MinS I16x8MinU I16x8MaxS I16x8MaxU
        I16x8AvgrU I16x8ExtMulLowI8x16S I16x8ExtMulHighI8x16S I16x8ExtMulLowI8x16U I16x8ExtMulHighI8x16U
        I32x4ExtAddPairwiseI16x8S I32x4ExtAddPairwiseI16x8U I32x4Abs I32x4Neg I32x4AllTrue I32x4Bitmask
        I32x4ExtendLowI16x8S I32x4ExtendHighI16x8S I32x4ExtendLowI16x8U I32x4ExtendHighI16x8U I32x4Shl I32x4ShrS
        I32x4ShrU I32x4Add I32x4Sub I32x4Mul I32x4MinS I32x4MinU I32x4MaxS I32x4MaxU I32x4DotI16x8S
        I32x4ExtMulLowI16x8S I32x4ExtMulHighI16x8S I32x4ExtMulLowI16x8U I32x4ExtMulHighI16x8U I64x2Abs I64x2Neg
        I64x2AllTrue I64x2Bitmask I64x2ExtendLowI32x4S I64x2ExtendHighI32x4S I64x2ExtendLowI32x4U
        I64x2ExtendHighI32x4U I64x2Shl I64x2ShrS I64x2ShrU I64x2Add I64x2Sub I64x2Mul I64x2ExtMulLowI32x4S
        I64x2ExtMulHighI32x4S I64x2ExtMulLowI32x4U I64x2ExtMulHighI32x4U F32x4Ceil F32x4Floor F32x4Trunc
        F32x4Nearest F32x4Abs F32x4Neg F32x4Sqrt F32x4Add F32x4Sub F32x4Mul F32x4Div F32x4Min F32x4Max F32x4PMin
        F32x4PMax F64x2Ceil F64x2Floor F64x2Trunc F64x2Nearest F64x2Abs F64x2Neg F64x2Sqrt F64x2Add F64x2Sub
        F64x2Mul F64x2Div F64x2Min F64x2Max F64x2PMin F64x2PMax I32x4TruncSatF32x4S I32x4TruncSatF32x4U
        F32x4ConvertI32x4S F32x4ConvertI32x4U I32x4TruncSatF64x2SZero I32x4TruncSatF64x2UZero
        F64x2ConvertLowI32x4S F64x2ConvertLowI32x4U F32x4DemoteF64x2Zero F64x2PromoteLowF32x4
        I8x16RelaxedSwizzle I32x4RelaxedTruncF32x4S I32x4RelaxedTruncF32x4U I32x4RelaxedTruncF64x2SZero
        I32x4RelaxedTruncF64x2UZero F32x4RelaxedMadd F32x4RelaxedNmadd F64x2RelaxedMadd F64x2RelaxedNmadd
        I8x16RelaxedLaneselect I16x8RelaxedLaneselect I32x4RelaxedLaneselect I64x2RelaxedLaneselect
        F32x4RelaxedMin F32x4RelaxedMax F64x2RelaxedMin F64x2RelaxedMax I16x8RelaxedQ15mulrS
        I16x8RelaxedDotI8x16I7x16S I32x4RelaxedDotI8x16I7x16AddS I64Add128 I64Sub128 I64MulWideS I64MulWideU
       ;
    LOAD:
        I32Load I64Load F32Load F64Load I32Load8S I32Load8U I32Load16S I32Load16U I64Load8S I64Load8U I64Load16S
        I64Load16U I64Load32S I64Load32U V128Load V128Load8x8S V128Load8x8U V128Load16x4S V128Load16x4U
        V128Load32x2S V128Load32x2U V128Load8Splat V128Load16Splat V128Load32Splat V128Load64Splat
        V128Load32Zero V128Load64Zero V128Load8Lane V128Load16Lane V128Load32Lane V128Load64Lane;
    STORE:
        I32Store I64Store F32Store F64Store I32Store8 I32Store16 I64Store8 I64Store16 I64Store32 V128Store
        V128Store8Lane V128Store16Lane V128Store32Lane V128Store64Lane;
    ATOMIC:
        I32AtomicLoad I64AtomicLoad I32AtomicLoad8U I32AtomicLoad16U I64AtomicLoad8U I64AtomicLoad16U
        I64AtomicLoad32U I32AtomicStore I64AtomicStore I32AtomicStore8 I32AtomicStore16 I64AtomicStore8
        I64AtomicStore16 I64AtomicStore32 I32AtomicRmwAdd I64AtomicRmwAdd I32AtomicRmw8AddU I32AtomicRmw16AddU
        I64AtomicRmw8AddU I64AtomicRmw16AddU I64AtomicRmw32AddU I32AtomicRmwSub I64AtomicRmwSub
        I32AtomicRmw8SubU I32AtomicRmw16SubU I64AtomicRmw8SubU I64AtomicRmw16SubU I64AtomicRmw32SubU
        I32AtomicRmwAnd I64AtomicRmwAnd I32AtomicRmw8AndU I32AtomicRmw16AndU I64AtomicRmw8AndU
        I64AtomicRmw16AndU I64AtomicRmw32AndU I32AtomicRmwOr I64AtomicRmwOr I32AtomicRmw8OrU I32AtomicRmw16OrU
        I64AtomicRmw8OrU I64AtomicRmw16OrU I64AtomicRmw32OrU I32AtomicRmwXor I64AtomicRmwXor I32AtomicRmw8XorU
        I32AtomicRmw16XorU I64AtomicRmw8XorU I64AtomicRmw16XorU I64AtomicRmw32XorU I32AtomicRmwXchg
        I64AtomicRmwXchg I32AtomicRmw8XchgU I32AtomicRmw16XchgU I64AtomicRmw8XchgU I64AtomicRmw16XchgU
        I64AtomicRmw32XchgU I32AtomicRmwCmpxchg I64AtomicRmwCmpxchg I32AtomicRmw8CmpxchgU I32AtomicRmw16CmpxchgU
        I64AtomicRmw8CmpxchgU I64AtomicRmw16CmpxchgU I64AtomicRmw32CmpxchgU;
    FENCE:
        AtomicFence;
    NOTIFY:
        MemoryAtomicNotify;
    WAIT:
        MemoryAtomicWait32 MemoryAtomicWait64;
    SIZE:
        MemorySize;
    GROW:
        MemoryGrow;
    BULK_WRITE:
        MemoryInit MemoryFill;
    BULK_COPY:
        MemoryCopy;
    DROP:
        DataDrop ElemDrop;
    GLOBAL_READ:
        GlobalGet;
    GLOBAL_WRITE:
        GlobalSet;
    TABLE_READ:
        TableGet TableSize;
    TABLE_WRITE:
        TableInit TableCopy TableFill TableSet;
    TABLE_GROW:
        TableGrow;
    NEW:
        StructNew StructNewDefault ArrayNew ArrayNewDefault ArrayNewFixed ArrayNewData ArrayNewElem;
    TOP_REF:
        ArrayLen RefTestNonNull RefTestNullable RefCastNonNull RefCastNullable I31GetS I31GetU RefAsNonNull;
    FIELD_READ:
        StructGet StructGetS StructGetU;
    FIELD_WRITE:
        StructSet;
    ELEMENT_READ:
        ArrayGet ArrayGetS ArrayGetU;
    ELEMENT_WRITE:
        ArraySet;
    ELEMENTS_WRITE:
        ArrayFill ArrayCopy ArrayInitData ArrayInitElem;
    BLOCK:
        Block;
    LOOP:
        Loop;
    IF:
        If;
    TRY_TABLE:
        TryTable;
    TRY:
        Try;
    ELSE:
        Else;
    CATCH:
        Catch CatchAll;
    END:
        End;
    DELEGATE:
        Delegate;
    BRANCH:
        BrIf BrOnNull BrOnNonNull;
    BRANCH_REF:
        BrOnCast BrOnCastFail;
    JUMP:
        Br BrTable;
    RETURN:
        Return;
    LEAVE:
        Unreachable;
    THROW:
        Throw ThrowRef;
    RETHROW:
        Rethrow;
    CALL:
        Call CallIndirect;
    CALL_REF:
        CallRef;
    TAIL:
        ReturnCall ReturnCallIndirect;
    TAIL_REF:
        ReturnCallRef;
    UNKNOWN:
        StructNewDesc StructNewDefaultDesc RefGetDesc RefCastDescEqNonNull RefCastDescEqNullable BrOnCastDescEq
        BrOnCastDescEqFail MemoryDiscard GlobalAtomicGet GlobalAtomicSet GlobalAtomicRmwAdd GlobalAtomicRmwSub
        GlobalAtomicRmwAnd GlobalAtomicRmwOr GlobalAtomicRmwXor GlobalAtomicRmwXchg GlobalAtomicRmwCmpxchg
        TableAtomicGet TableAtomicSet TableAtomicRmwXchg TableAtomicRmwCmpxchg StructAtomicGet StructAtomicGetS
        StructAtomicGetU StructAtomicSet StructAtomicRmwAdd StructAtomicRmwSub StructAtomicRmwAnd
        StructAtomicRmwOr StructAtomicRmwXor StructAtomicRmwXchg StructAtomicRmwCmpxchg ArrayAtomicGet
        ArrayAtomicGetS ArrayAtomicGetU ArrayAtomicSet ArrayAtomicRmwAdd ArrayAtomicRmwSub ArrayAtomicRmwAnd
        ArrayAtomicRmwOr ArrayAtomicRmwXor ArrayAtomicRmwXchg ArrayAtomicRmwCmpxchg RefI31Shared ContNew
        ContBind Suspend Pause Resume ResumeThrow ResumeThrowRef Switch;
}

macro_rules! define_facts {
    ($(@$proposal:ident $op:ident $({ $($arg:ident: $argty:ty),* })? => $visit:ident ($($ann:tt)*))*) => {
        /// What an operator does.
        pub fn facts(op: &Operator<'_>) -> Facts {
            match op {
                $(Operator::$op { .. } => row::$op,)*
                // The enumeration is not closed to other crates; all that it has is listed above.
                _ => kind::UNKNOWN,
            }
        }
    };
}
wasmparser::for_each_operator!(define_facts);

/// Depth of the label that a clause of a `try_table` leads to, seen from outside of it.
pub fn label_of(clause: &Catch) -> u32 {
    match *clause {
        Catch::One { label, .. } | Catch::OneRef { label, .. } | Catch::All { label } | Catch::AllRef { label } => {
            label
        }
    }
}

/// Does something with the depth of each label that an operator may branch to, as the operator sees it.
pub fn for_each_label(op: &Operator<'_>, mut f: impl FnMut(u32)) {
    match op {
        Operator::Br { relative_depth }
        | Operator::BrIf { relative_depth }
        | Operator::BrOnNull { relative_depth }
        | Operator::BrOnNonNull { relative_depth }
        | Operator::BrOnCast { relative_depth, .. }
        | Operator::BrOnCastFail { relative_depth, .. } => f(*relative_depth),
        Operator::BrTable { targets } => {
            targets.targets().map_while(Result::ok).for_each(&mut f);
            f(targets.default());
        }
        Operator::TryTable { try_table } => try_table.catches.iter().map(label_of).for_each(f),
        op => debug_assert!(!matches!(facts(op).control, Control::Branch | Control::Jump), "{op:?} has labels"),
    }
}

/// A kind of floating-point result, of a scalar or of each lane of a vector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the specification's
pub enum Float {
    F32,
    F64,
    F32x4,
    F64x2,
}

macro_rules! nan_results {
    ($($float:ident: $($op:ident)*;)*) => {
        /// The kind of floating-point result of an operator by which NaNs come into being: whose sign and payload the specification leaves
        /// open. Operators that move or change bits of their operands (`neg`, `abs`, `copysign`, `pmin`, `pmax`) are none.
        pub fn nan_result(op: &Operator<'_>) -> Option<Float> {
            match op {
                $($(Operator::$op)|* => Some(Float::$float),)*
                _ => None,
            }
        }
    };
}
nan_results! {
    F32: F32Ceil F32Floor F32Trunc F32Nearest F32Sqrt F32Add F32Sub F32Mul F32Div F32Min F32Max F32DemoteF64;
    F64: F64Ceil F64Floor F64Trunc F64Nearest F64Sqrt F64Add F64Sub F64Mul F64Div F64Min F64Max F64PromoteF32;
    F32x4: F32x4Ceil F32x4Floor F32x4Trunc F32x4Nearest F32x4Sqrt F32x4Add F32x4Sub F32x4Mul F32x4Div F32x4Min F32x4Max
        F32x4DemoteF64x2Zero F32x4RelaxedMadd F32x4RelaxedNmadd F32x4RelaxedMin F32x4RelaxedMax;
    F64x2: F64x2Ceil F64x2Floor F64x2Trunc F64x2Nearest F64x2Sqrt F64x2Add F64x2Sub F64x2Mul F64x2Div F64x2Min F64x2Max
        F64x2PromoteLowF32x4 F64x2RelaxedMadd F64x2RelaxedNmadd F64x2RelaxedMin F64x2RelaxedMax;
}
