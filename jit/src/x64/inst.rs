//! Machine instructions before and after register allocation.
//!
//! An instruction is one record of fixed size and a list of register operands in the allocator's input. The order of operands is
//! definitions, then register uses, then the operand "r/m": a register if `mem` is `No`, else base and index if the form has
//! them.

use super::encode::{Enc, Segment};
use crate::regalloc::RegInfo;
use crate::{Settings, abi};

/// General registers by number.
pub(crate) mod gpr {
    pub(crate) const RAX: u8 = 0;
    pub(crate) const RBX: u8 = 3;
    pub(crate) const RSP: u8 = 4;
    pub(crate) const RBP: u8 = 5;
    pub(crate) const R12: u8 = 12;
    pub(crate) const R13: u8 = 13;
    pub(crate) const R14: u8 = 14;
    pub(crate) const R15: u8 = 15;
}

/// The vector register that emission may use between instructions and within sequences.
pub(crate) const SCRATCH: u8 = 15;

/// The registers as the allocator sees them: all but rsp and r15 (context); xmm15 is scratch. r14 is among them only where the segment
/// holds the base of memory 0, r13 only where fuel is not counted: see [`regs`].
const REGS: RegInfo = RegInfo {
    int: 0x7fff & !(1 << gpr::RSP),
    vec: 0x7fff << 16,
    callee_saved: CALLEE_SAVED,
    scratch_vec: crate::regalloc::PReg(16 + SCRATCH),
};

/// Registers that functions keep.
pub(crate) const CALLEE_SAVED: u32 = 1 << gpr::RBX | 1 << gpr::RBP | 1 << gpr::R12 | 1 << gpr::R13 | 1 << gpr::R14;

/// The registers that a function may use.
pub(crate) const fn regs(settings: &Settings) -> RegInfo {
    let base = if settings.segment { 0 } else { 1 << gpr::R14 };
    let fuel = if settings.fuel { 1 << abi::FUEL } else { 0 };
    RegInfo { int: REGS.int & !(base | fuel), ..REGS }
}

/// Registers that a call of a function does not keep.
pub(crate) const CALL_CLOBBERS: u32 = (REGS.int & !REGS.callee_saved) | REGS.vec;

/// What an instruction is. The comment gives operands (`d` definitions, `u` uses, `rm` the r/m operand) and fields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MOp {
    /// `d, rm`: a register copy; `size` 4, 8, or 16 for vectors and floats.
    Copy,
    /// `d`; `imm`, `size`.
    MovImm,
    /// `d`; the id of a type in `imm`.
    MovType,
    /// `d, rm`; `enc`: any load or extension into an integer register; `size` 1 when the source is a byte register.
    MovRm,
    /// `u, rm`; `size`.
    Store,
    /// `rm`; `imm`, `size`.
    StoreImm,
    /// `d, rm` (memory); `size`.
    Lea,
    /// `d, u tied, rm`; `cc` is the operation's number (add 0, or 1, adc 2, sbb 3, and 4, sub 5, xor 6); `size`.
    Alu,
    /// `d, u tied`; `imm`.
    AluImm,
    /// `u, rm` (memory): memory op= register.
    AluStore,
    /// `rm` (memory); `imm`.
    AluStoreImm,
    /// `u, rm`.
    Cmp,
    /// `rm`; `imm`; `size` may be 1 or 2 for memory.
    CmpImm,
    /// `rm`; the id of a type in `imm`; `size` 4 or 8.
    CmpType,
    /// `u, u`.
    Test,
    /// `rm`; `imm`.
    TestImm,
    /// `rm`; `imm`: bit test by constant.
    BtImm,
    /// `u, u`: bit test of the first by the second.
    Bt,
    /// `d, u tied, rm`.
    Imul,
    /// `d, rm`; `imm`.
    ImulImm,
    /// `d rdx, d rax, u rax, rm`; `cc` 1 for signed.
    MulWide,
    /// `d rax (or rdx), early d rdx (or rax), u rax, rm`; `cc`: 0 div_u, 1 div_s, 2 rem_u, 3 rem_s.
    Div,
    /// `d, u tied`; `cc` (rol 0, ror 1, shl 4, shr 5, sar 7); `imm`.
    ShiftImm,
    /// `d, u tied, u rcx`; `cc`.
    ShiftCl,
    /// `d, u, rm`: count, then value; `enc` (BMI2).
    ShiftX,
    /// `d, rm`; `imm`: BMI2 rorx.
    Rorx,
    /// `d, u tied`; `cc` (not 2, neg 3).
    Unary,
    /// `d, rm`; `enc`: lzcnt, tzcnt, popcnt.
    Bits,
    /// `d, rm`; clz by bsr; `early d` temporary.
    ClzBsr,
    /// As `ClzBsr` for ctz.
    CtzBsf,
    /// `d, u, rm`; `enc` (BMI1 andn: not u and rm).
    Andn,
    /// `d`; `cc`: 0 or 1, zero-extended.
    Setcc,
    /// `d, u tied, rm`: rm if `cc`.
    Cmov,
    /// `d, u tied, rm`; `enc`; `imm` if `has_imm`: legacy SSE.
    Sse,
    /// `d, u, rm`; `enc`; `imm` if `has_imm`: three operands, AVX.
    Avx,
    /// `d, u, rm, u`: AVX with the fourth register in the immediate.
    Avx4,
    /// `d, rm`; `enc`; `imm` if `has_imm`; VEX encoded if `cc` is 1. Loads, moves, conversions, roots.
    SseUn,
    /// `d, u tied`; `enc`, `cc`, `imm`: vector shift by constant (legacy); AVX form when `size` is 1.
    VecShiftImm,
    /// `u, rm` (memory); `enc`, `imm` if `has_imm`; VEX if `cc` is 1: stores and extractions to memory.
    VecStore,
    /// `d`: all zeros.
    VecZero,
    /// `d`: all ones.
    VecOnes,
    /// `u, rm`; `enc` (ucomiss, ucomisd, ptest).
    Ucomi,
    /// `d, rm`; `enc`, vector to integer register (movd, movq, movmsk, cvtt).
    ToGpr,
    /// `d, rm`; `enc`: integer to float, with the destination cleared before.
    IntToFloat,
    /// `d, rm`; `enc`: integer register or memory to vector register.
    FromGpr,
    /// `d, u tied (if false), u (if true)`; `cc`: by a branch.
    VecSelect,
    /// `d, u tied, u`; `cc`: 0 min, 1 max; `size`.
    FMinMax,
    /// `d, u, early d int`; conversion of unsigned i64; `size` of the float.
    U64ToFloat,
    /// `d int, u, early d int`; `cc` from `convert`; `size` of the float.
    FloatToInt,
    /// `early d` temporaries, `u pointer, u value`; atomics: see `memory`.
    AtomicXchg,
    AtomicXadd,
    /// `d rax, u rax, u replacement, rm`.
    AtomicCas,
    /// `d rax, early d, u value, rm`: and, or, xor by a loop; `cc` as `Alu`.
    AtomicLoop,
    Fence,
    /// Trap with `trap` if `cc`.
    TrapCc,
    Ud2,
    /// `early d`.
    Poll,
    /// `early d`; `imm`.
    Fuel,
    /// Definitions of the function's arguments.
    Entry,
    /// Fixed uses and definitions; `imm` is an index into `Lowered::calls`.
    Call,
    Ret,
    Jmp,
    /// `cc`; successors from the block.
    Jcc,
    /// `u, early d, early d`; `imm` index into `Func::tables`.
    JmpTable,
    /// The end of a block whose call may come back with an exception: to the second successor, or to the first by way of a landing.
    CatchEdge,
}

/// Form of the r/m operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Mem {
    /// A register (or spill slot).
    #[default]
    No,
    /// Base register.
    Base,
    /// The base of memory 0.
    Memory0,
    /// The context.
    Context,
    /// No base, only an index or an address.
    Absolute,
    /// A constant of the function; `disp` is its index.
    Const,
}

/// One machine instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MInst {
    pub(crate) op: MOp,
    /// Width of the operation in bytes.
    pub(crate) size: u8,
    /// Condition or variant.
    pub(crate) cc: u8,
    pub(crate) has_imm: bool,
    pub(crate) mem: Mem,
    /// 0 without an index.
    pub(crate) scale: u8,
    pub(crate) segment: Segment,
    /// 0, or `TrapCode` plus one of what a fault here means.
    pub(crate) trap: u8,
    pub(crate) enc: Enc,
    pub(crate) disp: i32,
    pub(crate) pos: u32,
    pub(crate) imm: i64,
}

impl MInst {
    /// An instruction, to be completed by struct update.
    pub(crate) fn new(op: MOp) -> MInst {
        MInst {
            op,
            size: 8,
            cc: 0,
            has_imm: false,
            mem: Mem::No,
            scale: 0,
            segment: Segment::No,
            trap: 0,
            enc: Enc::default(),
            disp: 0,
            pos: 0,
            imm: 0,
        }
    }
    /// Of that width.
    pub(crate) fn size(self, size: u8) -> MInst {
        MInst { size, ..self }
    }
    /// With that condition or variant.
    pub(crate) fn cc(self, cc: u8) -> MInst {
        MInst { cc, ..self }
    }
    /// With that immediate.
    pub(crate) fn imm(self, imm: i64) -> MInst {
        MInst { imm, has_imm: true, ..self }
    }
    /// With that encoding.
    pub(crate) fn enc(self, enc: Enc) -> MInst {
        MInst { enc, ..self }
    }
}

/// Condition codes of the processor, and two of float comparisons.
pub(crate) mod cc {
    pub(crate) const O: u8 = 0;
    pub(crate) const B: u8 = 2;
    pub(crate) const AE: u8 = 3;
    pub(crate) const E: u8 = 4;
    pub(crate) const NE: u8 = 5;
    pub(crate) const BE: u8 = 6;
    pub(crate) const A: u8 = 7;
    pub(crate) const S: u8 = 8;
    pub(crate) const NS: u8 = 9;
    pub(crate) const P: u8 = 10;
    pub(crate) const L: u8 = 12;
    pub(crate) const GE: u8 = 13;
    pub(crate) const LE: u8 = 14;
    pub(crate) const G: u8 = 15;
    /// Equal and ordered (not parity).
    pub(crate) const EQ_ORD: u8 = 16;
    /// Not equal, or unordered.
    pub(crate) const NE_UNORD: u8 = 17;

    /// The opposite condition.
    pub(crate) fn negate(cc: u8) -> u8 {
        cc ^ 1
    }
}

/// Opcodes that are used in several places.
pub(crate) mod enc {
    use super::Enc;
    pub(crate) const MOV: Enc = Enc::new(0, 0, 0x8b);
    pub(crate) const MOVZX8: Enc = Enc::new(0, 1, 0xb6);
    pub(crate) const MOVZX16: Enc = Enc::new(0, 1, 0xb7);
    pub(crate) const MOVSX8: Enc = Enc::new(0, 1, 0xbe);
    pub(crate) const MOVSX16: Enc = Enc::new(0, 1, 0xbf);
    pub(crate) const MOVSXD: Enc = Enc::new(0, 0, 0x63).wide();
    pub(crate) const LZCNT: Enc = Enc::new(0xf3, 1, 0xbd);
    pub(crate) const TZCNT: Enc = Enc::new(0xf3, 1, 0xbc);
    pub(crate) const POPCNT: Enc = Enc::new(0xf3, 1, 0xb8);
    pub(crate) const SHLX: Enc = Enc::new(0x66, 2, 0xf7);
    pub(crate) const SARX: Enc = Enc::new(0xf3, 2, 0xf7);
    pub(crate) const SHRX: Enc = Enc::new(0xf2, 2, 0xf7);
    pub(crate) const MOVSS: Enc = Enc::new(0xf3, 1, 0x10);
    pub(crate) const MOVSD: Enc = Enc::new(0xf2, 1, 0x10);
    pub(crate) const MOVSS_STORE: Enc = Enc::new(0xf3, 1, 0x11);
    pub(crate) const MOVSD_STORE: Enc = Enc::new(0xf2, 1, 0x11);
    pub(crate) const MOVUPS: Enc = Enc::new(0, 1, 0x10);
    pub(crate) const MOVUPS_STORE: Enc = Enc::new(0, 1, 0x11);
    pub(crate) const MOVAPS: Enc = Enc::new(0, 1, 0x28);
    pub(crate) const MOVD_FROM: Enc = Enc::new(0x66, 1, 0x6e);
    pub(crate) const MOVD_TO: Enc = Enc::new(0x66, 1, 0x7e);
    pub(crate) const XORPS: Enc = Enc::new(0, 1, 0x57);
    pub(crate) const ANDPS: Enc = Enc::new(0, 1, 0x54);
    pub(crate) const ORPS: Enc = Enc::new(0, 1, 0x56);
    pub(crate) const UCOMISS: Enc = Enc::new(0, 1, 0x2e);
    pub(crate) const UCOMISD: Enc = Enc::new(0x66, 1, 0x2e);
    pub(crate) const PTEST: Enc = Enc::new(0x66, 2, 0x17);
}
