//! Machine code from machine instructions with registers.
//!
//! In: the selected function and the allocator's places and moves. Out: [`Code`]: bytes, constants, relocations, traps, calls. Blocks come in layout
//! order; empty ones are jumped over; traps and slow paths lie behind the last block. Between an instruction that
//! sets the flags and the one that uses them only moves can come, which keep them.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`selection`) in which it does not hold:
//! - A test of a register is left out only if the instruction before it made that register, in that width, no move
//!   comes between, and only zero or sign are asked for.
//! - A block is jumped over only if it is nothing but a jump, without moves.

use super::dispatch::Dispatch;
use super::encode::{Asm, Base, Enc, Rm, Segment};
use super::inst::{CALLEE_SAVED, MInst, MOp, Mem, SCRATCH, cc, enc, gpr};
use super::lower::{Lowered, Target};
use super::shrink::{Branch, ROUNDS, shrink};
use crate::abi::{self, MAX_UNCHECKED_FRAME, RAISE_LEN, TrapCode};
use crate::ir::Type;
use crate::passes::Pass;
use crate::regalloc::{Alloc, Class, Move, Output};
use crate::{Code, Place, Reloc, RelocTarget, TrapSite};
use dynasmrt::{DynasmApi, dynasm};
use wasm::layout::{context, func_ref, store};

/// A position in the code, to be bound.
pub(super) type Label = u32;

/// Code to be put behind the last block.
pub(super) enum Cold {
    /// `ud2`.
    Trap { label: Label, code: TrapCode, pos: u32 },
    /// `ud2`, after which the runtime may go on at `back`.
    Poll { label: Label, back: Label, pos: u32 },
    /// Calls the adapter for references of others, with `rax` set.
    Adapter { label: Label, back: Option<Label>, target: RelocTarget, pos: u32, landing: Option<(Label, u8)> },
    /// Where a call comes back to with an exception: does what lies between the call and the end of its block, from instruction
    /// `from` on, and goes on at the block's first successor.
    Landing { label: Label, block: usize, from: u32 },
    /// The remainder of a division by -1 is 0.
    ZeroRdx { label: Label, back: Label },
    /// The operands of a minimum or maximum are equal, or one is NaN.
    MinMax { equal: Label, nan: Label, back: Label, d: u8, b: u8, double: bool, max: bool },
    /// The rest of a conversion: see `sequence`.
    Convert { label: Label, other: Label, back: Label, inst: MInst, d: u8, t: u8, a: u8 },
    /// An unsigned number above 2^63 to a float.
    BigUnsigned { label: Label, back: Label, inst: MInst, d: u8, t: u8, u: u8, a: u8 },
}

pub(super) struct Emitter<'a> {
    pub(super) asm: Asm,
    pub(super) l: &'a Lowered,
    out: &'a Output,
    /// Offset of each label; the first ones are the blocks'.
    labels: Vec<u32>,
    branches: Vec<Branch>,
    cold: Vec<Cold>,
    code: Code,
    /// Bytes below the saved registers.
    locals: u32,
    saved: u32,
    /// Where in the code the address of a table of branches is wanted: number of the table, offset of the field.
    table_refs: Vec<(u32, u32)>,
    /// Return addresses of calls that may come back with an exception, and where that goes.
    landings: Vec<(u32, Label, u8)>,
    /// For each block the one that a jump to it ends up in: itself unless it is empty.
    resolved: Vec<u32>,
    pub(super) dispatch: Dispatch,
    /// In a copy of blocks: the one that follows there.
    pub(super) copying: Option<u32>,
    /// The instruction being emitted.
    pub(super) at: usize,
    pub(super) block: usize,
}

/// Emits a function.
pub(crate) fn emit(l: &Lowered, out: &Output) -> Code {
    let resolved = resolve_empty(l, out);
    let mut e = Emitter {
        asm: Asm::new(l.insts.len() * 5),
        l,
        out,
        labels: vec![u32::MAX; l.input.blocks.len()],
        branches: Vec::new(),
        cold: Vec::new(),
        code: Code::default(),
        locals: 0,
        saved: out.used & CALLEE_SAVED,
        table_refs: Vec::new(),
        landings: Vec::new(),
        dispatch: Dispatch::find(l, out, &resolved),
        copying: None,
        resolved,
        at: 0,
        block: 0,
    };
    e.prologue();
    for b in 0..l.input.blocks.len() {
        if e.resolved[b] == b as u32 {
            e.labels[b] = e.asm.at();
            e.block(b);
        }
    }
    // Slow paths may need slow paths.
    while let Some(c) = e.cold.pop() {
        e.slow(c);
    }
    e.finish()
}

impl Emitter<'_> {
    /// A block's instructions and moves.
    pub(super) fn block(&mut self, b: usize) {
        self.block = b;
        self.insts(self.l.input.blocks[b].insts.clone());
    }

    /// Instructions of the present block, each with the moves before it.
    fn insts(&mut self, insts: std::ops::Range<u32>) {
        let (l, out) = (self.l, self.out);
        let mut moves = out.moves[out.moves.partition_point(|m| m.inst < insts.start)..].iter().peekable();
        for i in insts {
            while let Some(m) = moves.next_if(|m| m.inst == i) {
                self.move_(m);
            }
            self.at = i as usize;
            self.inst(&l.insts[i as usize]);
        }
    }

    // ---- labels and branches

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(u32::MAX);
        self.labels.len() as u32 - 1
    }
    pub(super) fn bind(&mut self, l: Label) {
        self.labels[l as usize] = self.asm.at();
    }
    pub(super) fn jmp(&mut self, label: Label) {
        self.branches.push(Branch { at: self.asm.at(), label, conditional: false });
        self.asm.imm8(0xe9);
        self.asm.imm32(0);
    }
    pub(super) fn jcc(&mut self, code: u8, label: Label) {
        self.branches.push(Branch { at: self.asm.at(), label, conditional: true });
        self.asm.imm8(0x0f);
        self.asm.imm8(0x80 | code);
        self.asm.imm32(0);
    }
    /// A label behind the last block where the program traps.
    pub(super) fn trap_label(&mut self, code: TrapCode, pos: u32) -> Label {
        let label = self.label();
        self.cold.push(Cold::Trap { label, code, pos });
        label
    }
    fn site(&mut self, code: TrapCode, pos: u32) {
        self.code.traps.push(TrapSite { at: self.asm.at(), code, wasm: pos });
    }
    /// If the instruction about to be written may fault, notes it.
    pub(super) fn may_fault(&mut self, i: &MInst) {
        if i.trap != 0 {
            self.site(trap_code(i.trap), i.pos);
        }
    }

    // ---- operands

    fn alloc(&self, k: usize) -> Alloc {
        self.out.allocs[self.l.input.operand_start[self.at] as usize + k]
    }
    /// The register number of an operand.
    pub(super) fn r(&self, k: usize) -> u8 {
        match self.alloc(k) {
            Alloc::Reg(p) => p.0 & 15,
            other => unreachable!("operand {k} of {:?} must be a register, is {other:?}", self.l.insts[self.at]),
        }
    }
    fn slot(&self, n: u32) -> Rm {
        Rm::Mem { base: Base::Reg(gpr::RSP), index: None, disp: n as i32 * 8, segment: Segment::No }
    }
    fn place(&self, a: Alloc) -> Rm {
        match a {
            Alloc::Reg(p) => Rm::Reg(p.0 & 15),
            Alloc::Stack(n) => self.slot(n),
            other => unreachable!("{other:?} is no place"),
        }
    }
    /// The r/m operand that begins at operand `k`.
    pub(super) fn rm(&self, i: &MInst, k: usize) -> Rm {
        let index = |k: usize| (i.scale != 0).then(|| (self.r(k), i.scale));
        let (base, index) = match i.mem {
            Mem::No => return self.place(self.alloc(k)),
            Mem::Base => (Base::Reg(self.r(k)), index(k + 1)),
            Mem::Memory0 => (Base::Reg(gpr::R14), index(k)),
            Mem::Context => (Base::Reg(gpr::R15), index(k)),
            Mem::Absolute => (Base::None, index(k)),
            Mem::Const => (Base::Const, None),
        };
        Rm::Mem { base, index, disp: i.disp, segment: i.segment }
    }

    // ---- frame

    fn prologue(&mut self) {
        let slots = self.out.spill_slots * 8;
        let pushed = self.saved.count_ones() * 8;
        let mut locals = slots;
        // The return address is 8 bytes more.
        if self.l.has_calls && !(locals + pushed + 8).is_multiple_of(16) {
            locals += 8;
        }
        self.locals = locals;
        self.code.frame_size = locals + pushed;
        self.code.saved = self.saved;
        self.code.prologue.push((0, 0));
        let mut depth = 0;
        for r in 0..16u8 {
            if self.saved >> r & 1 != 0 {
                self.push_pop(0x50, r);
                depth += 8;
                self.code.prologue.push((self.asm.at(), depth));
            }
        }
        if locals == 8 && self.l.clears_frame {
            dynasm!(self.asm.code ; .arch x64 ; push 0);
        } else if locals == 8 {
            dynasm!(self.asm.code ; .arch x64 ; push rax);
        } else if locals > 0 {
            self.rsp(5, locals);
        }
        if locals > 0 {
            self.code.prologue.push((self.asm.at(), self.code.frame_size));
        }
        if self.l.has_helpers || locals > MAX_UNCHECKED_FRAME {
            let first = self.l.insts.first().map_or(0, |i| Place::outermost(&self.l.places, i.pos));
            let trap = self.trap_label(TrapCode::CallStackExhausted, first);
            self.load(gpr::RAX, gpr::R15, context::STORE);
            let limit = based(gpr::RAX, store::NATIVE_LIMIT as i32);
            self.asm.legacy(Enc::new(0, 0, 0x3b).wide(), gpr::RSP, limit, false, 0);
            self.jcc(cc::B, trap);
        }
        if self.l.clears_frame && locals > 8 {
            self.clear_frame();
        }
    }

    /// Zeros the frame, in which references of earlier calls may lie that would keep their objects alive for as long as nothing is
    /// written over them.
    fn clear_frame(&mut self) {
        let (n, disp) = (self.locals as i32, |at: i32| based(gpr::RSP, at));
        if n > self.l.tunables.clear_unrolled as i32 {
            let again = self.label();
            dynasm!(self.asm.code ; .arch x64 ; mov eax, n);
            self.bind(again);
            dynasm!(self.asm.code ; .arch x64 ; mov QWORD [rsp + rax - 8], 0 ; sub eax, 8);
            return self.jcc(cc::NE, again);
        }
        if n >= 16 {
            self.asm.legacy(enc::XORPS, SCRATCH, Rm::Reg(SCRATCH), false, 0);
        }
        for at in (0..n & !15).step_by(16) {
            self.asm.legacy(enc::MOVUPS_STORE, SCRATCH, disp(at), false, 0);
        }
        if n & 8 != 0 {
            dynasm!(self.asm.code ; .arch x64 ; mov QWORD [rsp + n - 8], 0);
        }
    }

    /// `push r` (0x50), `pop r` (0x58) or `mov r, imm32` (0xb8), without the prefix that a register chosen at run time would get.
    fn push_pop(&mut self, op: u8, r: u8) {
        if r >= 8 {
            self.asm.imm8(0x41);
        }
        self.asm.imm8(op | r & 7);
    }

    /// `rsp -= n` (5) or `rsp += n` (0).
    fn rsp(&mut self, number: u8, n: u32) {
        self.alu_imm(8, number, Rm::Reg(gpr::RSP), n as i32);
    }

    fn epilogue(&mut self, tail: bool) {
        if self.locals == 8 && !tail {
            // rsi is neither a result nor kept.
            dynasm!(self.asm.code ; .arch x64 ; pop rsi);
        } else if self.locals > 0 {
            self.rsp(0, self.locals);
        }
        for r in (0..16u8).rev() {
            if self.saved >> r & 1 != 0 {
                self.push_pop(0x58, r);
            }
        }
    }

    // ---- moves of the allocator

    fn move_(&mut self, m: &Move) {
        if m.swap {
            if let (Alloc::Reg(a), Alloc::Reg(b)) = (m.from, m.to) {
                self.asm.legacy(Enc::new(0, 0, 0x87).wide(), a.0, Rm::Reg(b.0), false, 0);
            }
            return;
        }
        let ty = self.l.types.get(m.vreg.0 as usize).copied().unwrap_or(Type::I64);
        match m.class {
            Class::Int => self.move_int(m, ty == Type::I32),
            _ => self.move_vec(m, if m.class == Class::Vec { Type::V128 } else { ty }),
        }
    }

    fn move_int(&mut self, m: &Move, narrow: bool) {
        match (m.from, m.to) {
            (from, Alloc::Reg(d)) => {
                let from = self.place(from);
                // An i32 is stored whole and read by half.
                self.asm.legacy(enc::MOV.w(!narrow), d.0, from, false, 0);
            }
            (Alloc::Reg(s), to) => {
                let to = self.place(to);
                self.asm.legacy(Enc::new(0, 0, 0x89).wide(), s.0, to, false, 0);
            }
            (from, to) => {
                let (from, to) = (self.place(from), self.place(to));
                self.asm.legacy(enc::MOVSD, SCRATCH, from, false, 0);
                self.asm.legacy(enc::MOVSD_STORE, SCRATCH, to, false, 0);
            }
        }
    }

    fn move_vec(&mut self, m: &Move, ty: Type) {
        let (load, store) = match ty {
            Type::F32 => (enc::MOVSS, enc::MOVSS_STORE),
            Type::F64 => (enc::MOVSD, enc::MOVSD_STORE),
            _ => (enc::MOVUPS, enc::MOVUPS_STORE),
        };
        match (m.from, m.to) {
            (Alloc::Reg(s), Alloc::Reg(d)) => self.asm.legacy(enc::MOVAPS, d.0 & 15, Rm::Reg(s.0 & 15), false, 0),
            (Alloc::Reg(s), to) => {
                let to = self.place(to);
                self.asm.legacy(store, s.0 & 15, to, false, 0);
            }
            (from, Alloc::Reg(d)) => {
                let from = self.place(from);
                self.asm.legacy(load, d.0 & 15, from, false, 0);
            }
            (from, to) => {
                let (from, to) = (self.place(from), self.place(to));
                self.asm.legacy(load, SCRATCH, from, false, 0);
                self.asm.legacy(store, SCRATCH, to, false, 0);
            }
        }
    }

    // ---- instructions

    /// `op rm, imm` of the arithmetic group, with the shortest immediate.
    pub(super) fn alu_imm(&mut self, size: u8, number: u8, rm: Rm, imm: i32) {
        let wide = size == 8;
        if size == 1 {
            self.asm.legacy(Enc::new(0, 0, 0x80), number, rm, false, 1);
            self.asm.imm8(imm as u8);
        } else if i8::try_from(imm).is_ok() {
            self.asm.legacy(Enc::new(0, 0, 0x83).w(wide), number, rm, false, 1);
            self.asm.imm8(imm as u8);
        } else {
            self.asm.legacy(Enc::new(0, 0, 0x81).w(wide), number, rm, false, 4);
            self.asm.imm32(imm);
        }
    }

    fn alu(&mut self, i: &MInst, number: u8, reg: u8, rm: Rm) {
        self.may_fault(i);
        self.asm.legacy(Enc::new(0, 0, number << 3 | 3).w(i.size == 8), reg, rm, false, 0);
    }

    /// `mov d, [base + offset]`, 64 bits.
    fn load(&mut self, d: u8, base: u8, offset: usize) {
        self.asm.legacy(enc::MOV.wide(), d, based(base, offset as i32), false, 0);
    }

    /// `call` (2) or `jmp` (4) to the address in a register or in memory.
    fn group5(&mut self, number: u8, rm: Rm) {
        self.asm.legacy(Enc::new(0, 0, 0xff), number, rm, false, 0);
    }

    fn mov_imm(&mut self, d: u8, imm: i64) {
        if imm == 0 {
            self.asm.legacy(Enc::new(0, 0, 0x33), d, Rm::Reg(d), false, 0);
        } else if u32::try_from(imm).is_ok() {
            self.push_pop(0xb8, d);
            self.asm.imm32(imm as i32);
        } else if let Ok(imm) = i32::try_from(imm) {
            dynasm!(self.asm.code ; .arch x64 ; mov Rq(d), imm);
        } else {
            dynasm!(self.asm.code ; .arch x64 ; mov Rq(d), QWORD imm);
        }
    }

    fn inst(&mut self, i: &MInst) {
        let wide = i.size == 8;
        match i.op {
            MOp::Copy => {
                let m = Move {
                    inst: 0,
                    from: self.alloc(1),
                    to: self.alloc(0),
                    class: self.l.input.classes
                        [self.l.input.operands[self.l.input.operand_start[self.at] as usize].vreg.0 as usize],
                    vreg: self.l.input.operands[self.l.input.operand_start[self.at] as usize].vreg,
                    swap: false,
                };
                if m.from != m.to {
                    self.move_(&m);
                }
            }
            MOp::MovImm => self.mov_imm(self.r(0), i.imm),
            MOp::MovType => {
                self.push_pop(0xb8, self.r(0));
                self.type_id(i.imm);
            }
            MOp::MovRm => {
                let rm = self.rm(i, 1);
                self.may_fault(i);
                let byte = i.size == 1 && matches!(rm, Rm::Reg(_));
                self.legacy_rm_byte(i.enc, self.r(0), rm, byte);
            }
            MOp::Store => self.store(i),
            MOp::StoreImm => self.store_imm(i),
            MOp::Lea => {
                let rm = self.rm(i, 1);
                match rm {
                    Rm::Mem { base: Base::Reg(b), index: None, disp: 0, .. } => {
                        self.asm.legacy(enc::MOV.w(wide), self.r(0), Rm::Reg(b), false, 0);
                    }
                    _ => self.asm.legacy(Enc::new(0, 0, 0x8d).w(wide), self.r(0), rm, false, 0),
                }
            }
            MOp::Alu => self.alu(i, i.cc, self.r(0), self.rm(i, 2)),
            MOp::AluImm => self.alu_imm(i.size, i.cc, Rm::Reg(self.r(0)), i.imm as i32),
            MOp::AluStore => {
                let rm = self.rm(i, 1);
                self.may_fault(i);
                self.asm.legacy(Enc::new(0, 0, i.cc << 3 | 1).w(wide), self.r(0), rm, false, 0);
            }
            MOp::AluStoreImm => {
                let rm = self.rm(i, 0);
                self.may_fault(i);
                self.alu_imm(i.size, i.cc, rm, i.imm as i32);
            }
            MOp::Cmp => self.alu(i, 7, self.r(0), self.rm(i, 1)),
            MOp::CmpImm => {
                let rm = self.rm(i, 0);
                self.may_fault(i);
                self.alu_imm(i.size, 7, rm, i.imm as i32);
            }
            MOp::CmpType => {
                let rm = self.rm(i, 0);
                self.may_fault(i);
                self.asm.legacy(Enc::new(0, 0, 0x81).w(wide), 7, rm, false, 4);
                self.type_id(i.imm);
            }
            MOp::Test if self.flags_are_set(i) => {}
            MOp::Test => self.asm.legacy(Enc::new(0, 0, 0x85).w(wide), self.r(1), Rm::Reg(self.r(0)), false, 0),
            MOp::TestImm => self.test_imm(i),
            MOp::BtImm => {
                let rm = self.rm(i, 0);
                self.asm.legacy(Enc::new(0, 1, 0xba).w(wide), 4, rm, false, 1);
                self.asm.imm8(i.imm as u8);
            }
            MOp::Bt => self.asm.legacy(Enc::new(0, 1, 0xa3).w(wide), self.r(1), Rm::Reg(self.r(0)), false, 0),
            MOp::Imul => {
                let rm = self.rm(i, 2);
                self.may_fault(i);
                self.asm.legacy(Enc::new(0, 1, 0xaf).w(wide), self.r(0), rm, false, 0);
            }
            MOp::ImulImm => {
                let rm = self.rm(i, 1);
                self.may_fault(i);
                let small = i8::try_from(i.imm).is_ok();
                let e = Enc::new(0, 0, if small { 0x6b } else { 0x69 }).w(wide);
                self.asm.legacy(e, self.r(0), rm, false, if small { 1 } else { 4 });
                if small { self.asm.imm8(i.imm as u8) } else { self.asm.imm32(i.imm as i32) }
            }
            MOp::MulWide => {
                let rm = self.rm(i, 3);
                self.may_fault(i);
                self.asm.legacy(Enc::new(0, 0, 0xf7).w(wide), 4 + i.cc, rm, false, 0);
            }
            MOp::Div => self.div(i),
            MOp::ShiftImm => {
                let (d, n) = (Rm::Reg(self.r(0)), i.imm as u8);
                if n == 1 {
                    self.asm.legacy(Enc::new(0, 0, 0xd1).w(wide), i.cc, d, false, 0);
                } else {
                    self.asm.legacy(Enc::new(0, 0, 0xc1).w(wide), i.cc, d, false, 1);
                    self.asm.imm8(n);
                }
            }
            MOp::ShiftCl => self.asm.legacy(Enc::new(0, 0, 0xd3).w(wide), i.cc, Rm::Reg(self.r(0)), false, 0),
            MOp::ShiftX => {
                let rm = self.rm(i, 2);
                self.may_fault(i);
                self.asm.vex(i.enc, self.r(0), self.r(1), rm, 0);
            }
            MOp::Rorx => {
                let rm = self.rm(i, 1);
                self.may_fault(i);
                self.asm.vex(Enc::new(0xf2, 3, 0xf0).w(wide), self.r(0), 0, rm, 1);
                self.asm.imm8(i.imm as u8);
            }
            MOp::Unary => self.asm.legacy(Enc::new(0, 0, 0xf7).w(wide), i.cc, Rm::Reg(self.r(0)), false, 0),
            MOp::Bits => {
                let rm = self.rm(i, 1);
                self.may_fault(i);
                self.asm.legacy(i.enc, self.r(0), rm, false, 0);
            }
            MOp::ClzBsr | MOp::CtzBsf => self.scan(i),
            MOp::Andn => {
                let rm = self.rm(i, 2);
                self.may_fault(i);
                self.asm.vex(i.enc, self.r(0), self.r(1), rm, 0);
            }
            MOp::Setcc => self.setcc(i),
            MOp::Cmov => self.cmov(i),
            MOp::Sse => {
                let rm = self.rm(i, 2);
                self.may_fault(i);
                self.asm.legacy(i.enc, self.r(0), rm, false, u8::from(i.has_imm));
                self.imm_byte(i);
            }
            MOp::Avx => {
                let rm = self.rm(i, 2);
                self.may_fault(i);
                self.asm.vex(i.enc, self.r(0), self.r(1), rm, u8::from(i.has_imm));
                self.imm_byte(i);
            }
            MOp::Avx4 => {
                let (rm, mask) = (Rm::Reg(self.r(2)), self.r(3));
                self.asm.vex(i.enc, self.r(0), self.r(1), rm, 1);
                self.asm.imm8(mask << 4);
            }
            MOp::SseUn => {
                let rm = self.rm(i, 1);
                self.may_fault(i);
                if i.cc == 1 {
                    self.asm.vex(i.enc, self.r(0), 0, rm, u8::from(i.has_imm));
                } else {
                    self.asm.legacy(i.enc, self.r(0), rm, false, u8::from(i.has_imm));
                }
                self.imm_byte(i);
            }
            MOp::VecShiftImm => {
                if i.size == 1 {
                    self.asm.vex(i.enc, i.cc, self.r(0), Rm::Reg(self.r(1)), 1);
                } else {
                    self.asm.legacy(i.enc, i.cc, Rm::Reg(self.r(0)), false, 1);
                }
                self.asm.imm8(i.imm as u8);
            }
            MOp::VecStore => {
                let rm = self.rm(i, 1);
                self.may_fault(i);
                if i.cc == 1 {
                    self.asm.vex(i.enc, self.r(0), 0, rm, u8::from(i.has_imm));
                } else {
                    self.asm.legacy(i.enc, self.r(0), rm, false, u8::from(i.has_imm));
                }
                self.imm_byte(i);
            }
            MOp::VecZero => self.asm.legacy(enc::XORPS, self.r(0), Rm::Reg(self.r(0)), false, 0),
            MOp::VecOnes => self.asm.legacy(Enc::new(0x66, 1, 0x76), self.r(0), Rm::Reg(self.r(0)), false, 0),
            MOp::Ucomi => {
                let rm = self.rm(i, 1);
                self.may_fault(i);
                self.asm.legacy(i.enc, self.r(0), rm, false, 0);
            }
            MOp::ToGpr => {
                self.asm.legacy(i.enc, self.r(1), Rm::Reg(self.r(0)), false, u8::from(i.has_imm));
                self.imm_byte(i);
            }
            MOp::IntToFloat => {
                let rm = self.rm(i, 1);
                self.asm.legacy(enc::XORPS, self.r(0), Rm::Reg(self.r(0)), false, 0);
                self.may_fault(i);
                self.asm.legacy(i.enc, self.r(0), rm, false, 0);
            }
            MOp::FromGpr => {
                let rm = self.rm(i, 1);
                self.may_fault(i);
                self.asm.legacy(i.enc, self.r(0), rm, false, 0);
            }
            MOp::VecSelect => self.vec_select(i),
            MOp::FMinMax => self.min_max(i),
            MOp::U64ToFloat => self.u64_to_float(i),
            MOp::FloatToInt => self.float_to_int(i),
            MOp::AtomicXchg | MOp::AtomicXadd | MOp::AtomicCas | MOp::AtomicLoop => self.atomic(i),
            MOp::Fence => dynasm!(self.asm.code ; .arch x64 ; mfence),
            MOp::TrapCc => self.trap_cc(i),
            MOp::Ud2 => {
                self.may_fault(i);
                dynasm!(self.asm.code ; .arch x64 ; ud2);
            }
            MOp::Poll => {
                let (label, back) = (self.label(), self.label());
                self.cold.push(Cold::Poll { label, back, pos: i.pos });
                self.alu_imm(4, 7, based(gpr::R15, context::INTERRUPT as i32), 0);
                self.jcc(cc::NE, label);
                self.bind(back);
            }
            MOp::Fuel => {
                let trap = self.trap_label(TrapCode::OutOfFuel, i.pos);
                self.alu_imm(8, 5, Rm::Reg(abi::FUEL), i.imm as i32);
                self.jcc(cc::S, trap);
            }
            MOp::Entry => {}
            MOp::Call => self.call(i),
            MOp::Ret => {
                self.epilogue(false);
                dynasm!(self.asm.code ; .arch x64 ; ret);
            }
            MOp::Jmp => {
                let to = self.target(self.l.input.blocks[self.block].succs[0]);
                self.go_on(to);
            }
            MOp::Jcc => self.branch(i.cc),
            MOp::JmpTable => self.jmp_table(i),
            MOp::CatchEdge => self.go_on(self.target(self.l.input.blocks[self.block].succs[1])),
        }
    }

    /// Whether a test of a register against itself can be left out: the instruction before has just computed that register, the flags
    /// with it, and only zero and sign are asked for.
    fn flags_are_set(&self, i: &MInst) -> bool {
        let start = self.l.input.blocks[self.block].insts.start as usize;
        if self.at <= start || self.r(0) != self.r(1) {
            return false;
        }
        let before = &self.l.insts[self.at - 1];
        let sets = matches!(before.op, MOp::Alu | MOp::AluImm) && before.size == i.size;
        let moved = self.out.moves.binary_search_by_key(&(self.at as u32), |m| m.inst).is_ok();
        let result = self.out.allocs[self.l.input.operand_start[self.at - 1] as usize];
        let asked = self.l.insts.get(self.at + 1).is_some_and(|next| {
            matches!(next.op, MOp::Jcc | MOp::TrapCc | MOp::Setcc | MOp::Cmov)
                && matches!(next.cc, cc::E | cc::NE | cc::S | cc::NS)
        });
        sets && !moved && asked && self.alloc(0) == result
    }

    /// The immediate byte of a vector instruction.
    fn imm_byte(&mut self, i: &MInst) {
        if i.has_imm {
            self.asm.imm8(i.imm as u8);
        }
    }

    /// As `legacy`, where only the r/m register is of byte size.
    fn legacy_rm_byte(&mut self, e: Enc, d: u8, rm: Rm, byte: bool) {
        let needs = byte && matches!(rm, Rm::Reg(4..=7));
        self.asm.legacy(e, d, rm, needs, 0);
    }

    fn store(&mut self, i: &MInst) {
        let (r, rm) = (self.r(0), self.rm(i, 1));
        self.may_fault(i);
        match i.size {
            1 => self.asm.legacy(Enc::new(0, 0, 0x88), r, rm, r >= 4, 0),
            2 => self.asm.legacy(Enc::new(0x66, 0, 0x89), r, rm, false, 0),
            n => self.asm.legacy(Enc::new(0, 0, 0x89).w(n == 8), r, rm, false, 0),
        }
    }

    fn store_imm(&mut self, i: &MInst) {
        let rm = self.rm(i, 0);
        self.may_fault(i);
        match i.size {
            1 => {
                self.asm.legacy(Enc::new(0, 0, 0xc6), 0, rm, false, 1);
                self.asm.imm8(i.imm as u8);
            }
            2 => {
                self.asm.legacy(Enc::new(0x66, 0, 0xc7), 0, rm, false, 2);
                self.asm.imm8(i.imm as u8);
                self.asm.imm8((i.imm >> 8) as u8);
            }
            n => {
                self.asm.legacy(Enc::new(0, 0, 0xc7).w(n == 8), 0, rm, false, 4);
                self.asm.imm32(i.imm as i32);
            }
        }
    }

    fn test_imm(&mut self, i: &MInst) {
        let rm = self.rm(i, 0);
        self.may_fault(i);
        if let (Rm::Reg(r), 0..=127) = (rm, i.imm) {
            self.asm.legacy(Enc::new(0, 0, 0xf6), 0, rm, r >= 4, 1);
            self.asm.imm8(i.imm as u8);
            return;
        }
        self.asm.legacy(Enc::new(0, 0, 0xf7).w(i.size == 8), 0, rm, false, 4);
        self.asm.imm32(i.imm as i32);
    }

    fn div(&mut self, i: &MInst) {
        let (b, wide) = (self.r(3), i.size == 8);
        let signed = i.cc & 1 != 0;
        let mut site = TrapCode::IntegerDivideByZero;
        let mut back = None;
        match i.cc {
            1 => {
                let trap = self.trap_label(TrapCode::IntegerDivideByZero, i.pos);
                self.asm.legacy(Enc::new(0, 0, 0x85).w(wide), b, Rm::Reg(b), false, 0);
                self.jcc(cc::E, trap);
                site = TrapCode::IntegerOverflow;
            }
            3 => {
                let (label, done) = (self.label(), self.label());
                self.alu_imm(i.size, 7, Rm::Reg(b), -1);
                self.jcc(cc::E, label);
                self.cold.push(Cold::ZeroRdx { label, back: done });
                back = Some(done);
            }
            _ => {}
        }
        match (signed, wide) {
            (false, _) => dynasm!(self.asm.code ; .arch x64 ; xor edx, edx),
            (true, false) => dynasm!(self.asm.code ; .arch x64 ; cdq),
            (true, true) => dynasm!(self.asm.code ; .arch x64 ; cqo),
        }
        self.site(site, i.pos);
        self.asm.legacy(Enc::new(0, 0, 0xf7).w(wide), if signed { 7 } else { 6 }, Rm::Reg(b), false, 0);
        if let Some(done) = back {
            self.bind(done);
        }
    }

    /// Leading or trailing zeros without the instructions for them; `d` and `t` differ from the operand.
    fn scan(&mut self, i: &MInst) {
        let (d, t, a, wide) = (self.r(0), self.r(1), self.r(2), i.size == 8);
        let bits = i32::from(i.size) * 8;
        let clz = i.op == MOp::ClzBsr;
        let none = if clz { bits * 2 - 1 } else { bits };
        self.mov_imm(t, i64::from(none));
        self.asm.legacy(Enc::new(0, 1, if clz { 0xbd } else { 0xbc }).w(wide), d, Rm::Reg(a), false, 0);
        self.asm.legacy(Enc::new(0, 1, 0x44), d, Rm::Reg(t), false, 0);
        if clz {
            self.alu_imm(4, 6, Rm::Reg(d), bits - 1);
        }
    }

    fn setcc(&mut self, i: &MInst) {
        let d = self.r(0);
        let set = |e: &mut Self, code: u8| e.asm.legacy(Enc::new(0, 1, 0x90 | code), 0, Rm::Reg(d), d >= 4, 0);
        match i.cc {
            cc::EQ_ORD | cc::NE_UNORD => {
                let done = self.label();
                let (first, code) = if i.cc == cc::EQ_ORD { (0, cc::E) } else { (1, cc::NE) };
                dynasm!(self.asm.code ; .arch x64 ; mov Rd(d), first);
                self.jcc(cc::P, done);
                set(self, code);
                self.bind(done);
            }
            code => {
                set(self, code);
                self.asm.legacy(enc::MOVZX8, d, Rm::Reg(d), d >= 4, 0);
            }
        }
    }

    fn cmov(&mut self, i: &MInst) {
        let (d, rm) = (self.r(0), self.rm(i, 2));
        let wide = i.size == 8;
        let mov = |e: &mut Self, code: u8| e.asm.legacy(Enc::new(0, 1, 0x40 | code).w(wide), d, rm, false, 0);
        match i.cc {
            cc::EQ_ORD => {
                let done = self.label();
                self.jcc(cc::P, done);
                mov(self, cc::E);
                self.bind(done);
            }
            cc::NE_UNORD => {
                mov(self, cc::NE);
                mov(self, cc::P);
            }
            code => mov(self, code),
        }
    }

    /// Jumps to `to` unless the condition holds.
    fn unless(&mut self, code: u8, to: Label) {
        match code {
            cc::EQ_ORD => {
                self.jcc(cc::P, to);
                self.jcc(cc::NE, to);
            }
            cc::NE_UNORD => {
                let yes = self.label();
                self.jcc(cc::P, yes);
                self.jcc(cc::E, to);
                self.bind(yes);
            }
            code => self.jcc(cc::negate(code), to),
        }
    }

    fn vec_select(&mut self, i: &MInst) {
        let (d, b) = (self.r(0), self.r(2));
        let done = self.label();
        self.unless(i.cc, done);
        self.asm.legacy(enc::MOVAPS, d, Rm::Reg(b), false, 0);
        self.bind(done);
    }

    fn trap_cc(&mut self, i: &MInst) {
        let trap = self.trap_label(trap_code(i.trap), i.pos);
        match i.cc {
            cc::EQ_ORD => {
                let done = self.label();
                self.jcc(cc::P, done);
                self.jcc(cc::E, trap);
                self.bind(done);
            }
            cc::NE_UNORD => {
                self.jcc(cc::P, trap);
                self.jcc(cc::NE, trap);
            }
            code => self.jcc(code, trap),
        }
    }

    // ---- control

    /// Where a jump to the block ends up.
    fn target(&self, b: u32) -> Label {
        self.resolved[b as usize]
    }

    /// The block whose code follows.
    fn next(&self) -> Label {
        if let Some(next) = self.copying {
            return next;
        }
        let mut b = self.block + 1;
        while b < self.resolved.len() && self.resolved[b] != b as u32 {
            b += 1;
        }
        b as Label
    }

    /// Goes on at a block.
    fn go_on(&mut self, to: Label) {
        if to != self.next() && !self.copy_dispatch(to) {
            self.jmp(to);
        }
    }

    fn branch(&mut self, code: u8) {
        let succs = &self.l.input.blocks[self.block].succs;
        let (yes, no) = (self.target(succs[0]), self.target(succs[1]));
        let next = self.next();
        match code {
            cc::EQ_ORD => {
                self.jcc(cc::P, no);
                if yes == next {
                    self.jcc(cc::NE, no);
                } else {
                    self.jcc(cc::E, yes);
                    self.go_on(no);
                }
            }
            cc::NE_UNORD => {
                self.jcc(cc::P, yes);
                if yes == next {
                    self.jcc(cc::E, no);
                } else {
                    self.jcc(cc::NE, yes);
                    self.go_on(no);
                }
            }
            code if yes == next => self.jcc(cc::negate(code), no),
            code => {
                self.jcc(code, yes);
                self.go_on(no);
            }
        }
    }

    fn jmp_table(&mut self, i: &MInst) {
        let (t, u, index) = (self.r(0), self.r(1), self.r(2));
        let targets = &self.l.tables[i.imm as usize];
        let default = self.target(targets[targets.len() - 1]);
        self.alu_imm(4, 7, Rm::Reg(index), targets.len() as i32 - 1);
        self.jcc(cc::AE, default);
        // lea t, [rip + table]
        let table = Rm::Mem { base: Base::Const, index: None, disp: 0, segment: Segment::No };
        self.asm.legacy(Enc::new(0, 0, 0x8d).wide(), t, table, false, 0);
        self.asm.const_refs.pop();
        self.table_refs.push((i.imm as u32, self.asm.at() - 4));
        let entry = Rm::Mem { base: Base::Reg(t), index: Some((index, 4)), disp: 0, segment: Segment::No };
        self.asm.legacy(enc::MOVSXD, u, entry, false, 0);
        dynasm!(self.asm.code ; .arch x64 ; add Rq(u), Rq(t));
        self.group5(4, Rm::Reg(u));
    }

    /// A type's id as an immediate of 32 bits.
    fn type_id(&mut self, id: i64) {
        let target = RelocTarget::TypeId(wasm::TypeId(id as u32));
        self.code.relocs.push(Reloc { at: self.asm.at(), target });
        self.asm.imm32(id as i32);
    }

    fn reloc(&mut self, target: RelocTarget) {
        self.code.relocs.push(Reloc { at: self.asm.at(), target });
        self.asm.imm32(0);
    }

    /// Notes that a call returns here, or to the landing with an exception.
    fn returns(&mut self, pos: u32, landing: Option<(Label, u8)>) {
        self.code.calls.push((self.asm.at(), pos));
        if let Some((landing, tags)) = landing {
            self.landings.push((self.asm.at(), landing, tags));
        }
    }

    /// Where the present instruction, a call at the end of its block, comes back to with an exception: the block's first successor,
    /// behind what lies between.
    fn landing(&mut self) -> Label {
        let block = &self.l.input.blocks[self.block];
        debug_assert!(block.throws == Some(self.at as u32), "a call that catches is the last of its block");
        let (from, edge) = (self.at as u32 + 1, block.insts.end - 1);
        let moves = &self.out.moves;
        if from == edge && moves.binary_search_by_key(&edge, |m| m.inst).is_err() {
            return self.target(block.succs[0]);
        }
        let label = self.label();
        self.cold.push(Cold::Landing { label, block: self.block, from });
        label
    }

    fn call(&mut self, i: &MInst) {
        let info = self.l.calls[i.imm as usize];
        if info.tail {
            return self.tail_call(i, info.target);
        }
        let landing = info.catches.map(|tags| (self.landing(), tags));
        match info.target {
            Target::Reloc(target) => {
                self.asm.imm8(0xe8);
                self.reloc(target);
            }
            Target::Near => self.group5(2, based(gpr::RAX, func_ref::CODE as i32)),
            Target::Any(ty) => {
                let (label, back) = (self.label(), self.label());
                let target = RelocTarget::ReferenceAdapter(ty);
                self.cold.push(Cold::Adapter { label, back: Some(back), target, pos: i.pos, landing });
                let context = based(gpr::RAX, func_ref::CONTEXT as i32);
                self.asm.legacy(Enc::new(0, 0, 0x3b).wide(), gpr::R15, context, false, 0);
                self.jcc(cc::NE, label);
                self.group5(2, based(gpr::RAX, func_ref::CODE as i32));
                self.returns(i.pos, landing);
                self.bind(back);
                return;
            }
            Target::Helper(id, _) => {
                dynasm!(self.asm.code ; .arch x64 ; mov rdi, r15);
                self.load(gpr::RAX, gpr::R15, context::HELPERS);
                self.group5(2, based(gpr::RAX, i32::from(id) * 8));
            }
        }
        self.returns(i.pos, landing);
        if let Target::Helper(_, true) = info.target {
            let trap = self.trap_label(TrapCode::Raised, i.pos);
            dynasm!(self.asm.code ; .arch x64 ; test edx, edx);
            self.jcc(cc::NE, trap);
        }
    }

    fn tail_call(&mut self, i: &MInst, target: Target) {
        match target {
            Target::Reloc(target) => {
                self.epilogue(true);
                self.asm.imm8(0xe9);
                self.reloc(target);
                return;
            }
            Target::Any(ty) => {
                let label = self.label();
                let target = RelocTarget::ReferenceAdapter(ty);
                self.cold.push(Cold::Adapter { label, back: None, target, pos: i.pos, landing: None });
                let context = based(gpr::RAX, func_ref::CONTEXT as i32);
                self.asm.legacy(Enc::new(0, 0, 0x3b).wide(), gpr::R15, context, false, 0);
                self.jcc(cc::NE, label);
            }
            _ => {}
        }
        self.epilogue(true);
        self.group5(4, based(gpr::RAX, func_ref::CODE as i32));
    }

    // ---- sequences

    fn min_max(&mut self, i: &MInst) {
        let (d, b) = (self.r(0), self.r(2));
        let (double, max) = (i.size == 8, i.cc == 1);
        let (equal, nan, back) = (self.label(), self.label(), self.label());
        self.asm.legacy(if double { enc::UCOMISD } else { enc::UCOMISS }, d, Rm::Reg(b), false, 0);
        self.jcc(cc::P, nan);
        self.jcc(cc::E, equal);
        let prefix = if double { 0xf2 } else { 0xf3 };
        self.asm.legacy(Enc::new(prefix, 1, if max { 0x5f } else { 0x5d }), d, Rm::Reg(b), false, 0);
        self.bind(back);
        self.cold.push(Cold::MinMax { equal, nan, back, d, b, double, max });
    }

    fn u64_to_float(&mut self, i: &MInst) {
        let (d, t, u, a) = (self.r(0), self.r(1), self.r(2), self.r(3));
        let (label, back) = (self.label(), self.label());
        dynasm!(self.asm.code ; .arch x64 ; test Rq(a), Rq(a));
        self.asm.legacy(enc::XORPS, d, Rm::Reg(d), false, 0);
        self.jcc(cc::S, label);
        self.asm.legacy(to_float(i.size), d, Rm::Reg(a), false, 0);
        self.bind(back);
        self.cold.push(Cold::BigUnsigned { label, back, inst: *i, d, t, u, a });
    }

    /// Conversion of a float: the fast way, with a test whether it was exact; the rest is in `slow`.
    fn float_to_int(&mut self, i: &MInst) {
        use super::convert::to_int::{UNSIGNED, WIDE};
        let (d, t, a) = (self.r(0), self.r(1), self.r(2));
        let (label, other, back) = (self.label(), self.label(), self.label());
        let truncate = Enc::new(if i.size == 8 { 0xf2 } else { 0xf3 }, 1, 0x2c);
        match (i.cc & UNSIGNED != 0, i.cc & WIDE != 0) {
            (false, wide) => {
                self.asm.legacy(truncate.w(wide), d, Rm::Reg(a), false, 0);
                // Only the least integer overflows when 1 is subtracted.
                self.alu_imm(if wide { 8 } else { 4 }, 7, Rm::Reg(d), 1);
                self.jcc(cc::O, label);
            }
            (true, false) => {
                self.asm.legacy(truncate.wide(), d, Rm::Reg(a), false, 0);
                dynasm!(self.asm.code ; .arch x64 ; mov Rq(t), Rq(d) ; shr Rq(t), 32);
                self.jcc(cc::NE, label);
            }
            (true, true) => {
                self.float_bits(t, i.size, 9223372036854775808.0);
                self.asm.legacy(ucomi(i.size), a, Rm::Reg(SCRATCH), false, 0);
                self.jcc(cc::AE, other);
                self.asm.legacy(truncate.wide(), d, Rm::Reg(a), false, 0);
                dynasm!(self.asm.code ; .arch x64 ; test Rq(d), Rq(d));
                self.jcc(cc::S, label);
            }
        }
        self.bind(back);
        self.cold.push(Cold::Convert { label, other, back, inst: *i, d, t, a });
    }

    /// The scratch vector register gets a float constant by way of `t`.
    fn float_bits(&mut self, t: u8, size: u8, v: f64) {
        let bits = if size == 8 { v.to_bits() as i64 } else { i64::from((v as f32).to_bits()) };
        self.mov_imm(t, bits);
        self.asm.legacy(enc::MOVD_FROM.wide(), SCRATCH, Rm::Reg(t), false, 0);
    }

    fn slow_convert(&mut self, [label, other, back]: [Label; 3], i: &MInst, [d, t, a]: [u8; 3]) {
        use super::convert::to_int::{SATURATE, UNSIGNED, WIDE};
        let (saturate, unsigned, wide) = (i.cc & SATURATE != 0, i.cc & UNSIGNED != 0, i.cc & WIDE != 0);
        let ucomi = ucomi(i.size);
        let truncate = Enc::new(if i.size == 8 { 0xf2 } else { 0xf3 }, 1, 0x2c).wide();
        self.bind(label);
        self.asm.legacy(ucomi, a, Rm::Reg(a), false, 0);
        if saturate {
            let (zero, negative) = (self.label(), self.label());
            self.jcc(cc::P, zero);
            self.asm.legacy(enc::XORPS, SCRATCH, Rm::Reg(SCRATCH), false, 0);
            self.asm.legacy(ucomi, SCRATCH, Rm::Reg(a), false, 0);
            self.jcc(cc::AE, negative);
            let greatest = match (unsigned, wide) {
                (true, true) => -1,
                (true, false) => i64::from(u32::MAX),
                (false, true) => i64::MAX,
                (false, false) => i64::from(i32::MAX),
            };
            self.mov_imm(d, greatest);
            self.jmp(back);
            self.bind(negative);
            // Signed: already the least integer.
            if !unsigned {
                self.jmp(back);
            }
            self.bind(zero);
            dynasm!(self.asm.code ; .arch x64 ; xor Rd(d), Rd(d));
            self.jmp(back);
        } else {
            let invalid = self.trap_label(TrapCode::InvalidConversionToInteger, i.pos);
            let overflow = self.trap_label(TrapCode::IntegerOverflow, i.pos);
            self.jcc(cc::P, invalid);
            if unsigned {
                self.jmp(overflow);
            } else {
                // The least integer may be right.
                let exclusive = i.size == 8 && !wide;
                let bound = match (wide, exclusive) {
                    (true, _) => -9223372036854775808.0,
                    (false, true) => -2147483649.0,
                    (false, false) => -2147483648.0,
                };
                self.float_bits(t, i.size, bound);
                self.asm.legacy(ucomi, a, Rm::Reg(SCRATCH), false, 0);
                self.jcc(if exclusive { cc::BE } else { cc::B }, overflow);
                self.asm.legacy(enc::XORPS, SCRATCH, Rm::Reg(SCRATCH), false, 0);
                self.asm.legacy(ucomi, SCRATCH, Rm::Reg(a), false, 0);
                self.jcc(cc::B, overflow);
                self.jmp(back);
            }
        }
        if unsigned && wide {
            self.bind(other);
            self.float_bits(t, i.size, -9223372036854775808.0);
            let prefix = if i.size == 8 { 0xf2 } else { 0xf3 };
            self.asm.legacy(Enc::new(prefix, 1, 0x58), SCRATCH, Rm::Reg(a), false, 0);
            self.asm.legacy(truncate, d, Rm::Reg(SCRATCH), false, 0);
            dynasm!(self.asm.code ; .arch x64 ; test Rq(d), Rq(d));
            if saturate {
                let fits = self.label();
                self.jcc(cc::NS, fits);
                self.mov_imm(d, -1);
                self.jmp(back);
                self.bind(fits);
            } else {
                let overflow = self.trap_label(TrapCode::IntegerOverflow, i.pos);
                self.jcc(cc::S, overflow);
            }
            self.mov_imm(t, i64::MIN);
            dynasm!(self.asm.code ; .arch x64 ; add Rq(d), Rq(t));
            self.jmp(back);
        }
    }

    fn atomic(&mut self, i: &MInst) {
        let e = |op: u8, map: u8| {
            let op = if i.size == 1 { op - 1 } else { op };
            Enc::new(if i.size == 2 { 0x66 } else { 0 }, map, op).w(i.size == 8)
        };
        match i.op {
            MOp::AtomicXchg | MOp::AtomicXadd => {
                let (d, rm) = (self.r(0), self.rm(i, 2));
                self.may_fault(i);
                if i.op == MOp::AtomicXadd {
                    self.asm.imm8(0xf0);
                    self.asm.legacy(e(0xc1, 1), d, rm, i.size == 1 && d >= 4, 0);
                } else {
                    self.asm.legacy(e(0x87, 0), d, rm, i.size == 1 && d >= 4, 0);
                }
            }
            MOp::AtomicCas => {
                let (new, rm) = (self.r(2), self.rm(i, 3));
                self.may_fault(i);
                self.asm.imm8(0xf0);
                self.asm.legacy(e(0xb1, 1), new, rm, i.size == 1 && new >= 4, 0);
            }
            _ => {
                // The old value in rax, the new one in t.
                let (t, v, rm) = (self.r(1), self.r(2), self.rm(i, 3));
                self.may_fault(i);
                let load = match i.size {
                    1 => enc::MOVZX8,
                    2 => enc::MOVZX16,
                    n => enc::MOV.w(n == 8),
                };
                self.asm.legacy(load, gpr::RAX, rm, false, 0);
                let again = self.label();
                self.bind(again);
                dynasm!(self.asm.code ; .arch x64 ; mov Rq(t), rax);
                self.asm.legacy(Enc::new(0, 0, i.cc << 3 | 3).wide(), t, Rm::Reg(v), false, 0);
                self.may_fault(i);
                self.asm.imm8(0xf0);
                self.asm.legacy(e(0xb1, 1), t, rm, i.size == 1 && t >= 4, 0);
                self.jcc(cc::NE, again);
            }
        }
    }

    // ---- behind the last block

    fn slow(&mut self, c: Cold) {
        match c {
            Cold::Trap { label, code, pos } => {
                self.bind(label);
                self.site(code, pos);
                match code {
                    TrapCode::Raised => {
                        let from = self.asm.at();
                        dynasm!(self.asm.code ; .arch x64 ; call QWORD [r15 + context::RAISE as i32]);
                        debug_assert_eq!(self.asm.at() - from, RAISE_LEN);
                    }
                    _ => dynasm!(self.asm.code ; .arch x64 ; ud2),
                }
            }
            Cold::Poll { label, back, pos } => {
                self.bind(label);
                self.site(TrapCode::Interrupted, pos);
                dynasm!(self.asm.code ; .arch x64 ; ud2);
                self.jmp(back);
            }
            Cold::Adapter { label, back, target, pos, landing } => {
                self.bind(label);
                match back {
                    Some(back) => {
                        self.asm.imm8(0xe8);
                        self.reloc(target);
                        self.returns(pos, landing);
                        self.jmp(back);
                    }
                    None => {
                        self.epilogue(true);
                        self.asm.imm8(0xe9);
                        self.reloc(target);
                    }
                }
            }
            Cold::Landing { label, block, from } => {
                self.bind(label);
                self.block = block;
                let edge = self.l.input.blocks[block].insts.end - 1;
                self.insts(from..edge);
                let moves = &self.out.moves;
                for m in &moves[moves.partition_point(|m| m.inst < edge)..moves.partition_point(|m| m.inst <= edge)] {
                    self.move_(m);
                }
                self.jmp(self.target(self.l.input.blocks[block].succs[0]));
            }
            Cold::ZeroRdx { label, back } => {
                self.bind(label);
                dynasm!(self.asm.code ; .arch x64 ; xor edx, edx);
                self.jmp(back);
            }
            Cold::MinMax { equal, nan, back, d, b, double, max } => {
                self.bind(equal);
                self.asm.legacy(if max { enc::ANDPS } else { enc::ORPS }, d, Rm::Reg(b), false, 0);
                self.jmp(back);
                self.bind(nan);
                self.asm.legacy(Enc::new(if double { 0xf2 } else { 0xf3 }, 1, 0x58), d, Rm::Reg(b), false, 0);
                self.jmp(back);
            }
            Cold::Convert { label, other, back, inst, d, t, a } => {
                self.slow_convert([label, other, back], &inst, [d, t, a])
            }
            Cold::BigUnsigned { label, back, inst, d, t, u, a } => {
                self.bind(label);
                dynasm!(self.asm.code
                    ; .arch x64
                    ; mov Rq(t), Rq(a)
                    ; mov Rq(u), Rq(a)
                    ; shr Rq(t), 1
                    ; and Rd(u), 1
                    ; or Rq(t), Rq(u)
                );
                self.asm.legacy(to_float(inst.size), d, Rm::Reg(t), false, 0);
                let prefix = if inst.size == 8 { 0xf2 } else { 0xf3 };
                self.asm.legacy(Enc::new(prefix, 1, 0x58), d, Rm::Reg(d), false, 0);
                self.jmp(back);
            }
        }
    }

    // ---- the end

    fn finish(mut self) -> Code {
        let code = std::mem::take(&mut self.asm.code.ops);
        let mut labels = std::mem::take(&mut self.labels);
        let rounds = if self.l.passes.has(Pass::Shrink) { ROUNDS } else { 0 };
        let (mut bytes, mut mapping) = shrink(code, &self.branches, &mut labels, rounds);
        let mut c = self.code;
        c.code_len = bytes.len() as u32;
        c.prologue.iter_mut().for_each(|p| p.0 = mapping.map(p.0));
        c.relocs.iter_mut().for_each(|r| r.at = mapping.map(r.at));
        c.traps.iter_mut().for_each(|t| t.at = mapping.map(t.at));
        c.calls.iter_mut().for_each(|p| p.0 = mapping.map(p.0));
        let landing =
            |&(at, to, tags): &(u32, Label, u8)| crate::Landing { at: mapping.map(at), to: labels[to as usize], tags };
        c.landings = self.landings.iter().map(landing).collect();
        c.tags = self.l.tags.clone();
        c.relocs.sort_unstable_by_key(|r| r.at);
        c.traps.sort_unstable_by_key(|t| t.at);
        c.calls.sort_unstable();
        c.landings.sort_unstable_by_key(|l| l.at);
        keep_places(&mut c, &self.l.places);
        if !self.asm.const_refs.is_empty() || !self.table_refs.is_empty() {
            let places = place_consts(&self.l.consts, &mut bytes);
            let patch = |bytes: &mut Vec<u8>, at: u32, behind: u32, to: u32| {
                let distance = to as i32 - (at + 4 + behind) as i32;
                bytes[at as usize..at as usize + 4].copy_from_slice(&distance.to_le_bytes());
            };
            for &(at, constant, behind) in &self.asm.const_refs {
                let at = mapping.map(at);
                patch(&mut bytes, at, u32::from(behind), places[constant as usize]);
            }
            // Copies of a block share its table.
            self.table_refs.sort_unstable();
            let (mut placed, mut start) = (u32::MAX, 0);
            for &(table, at) in &self.table_refs {
                if placed != table {
                    bytes.resize(bytes.len().next_multiple_of(4), 0);
                    (placed, start) = (table, bytes.len() as u32);
                    for &t in &self.l.tables[table as usize] {
                        let distance = labels[self.resolved[t as usize] as usize] as i32 - start as i32;
                        bytes.extend_from_slice(&distance.to_le_bytes());
                    }
                }
                patch(&mut bytes, mapping.map(at), 0, start);
            }
        }
        c.bytes = bytes;
        c
    }
}

/// For each block itself, or where its lone jump leads.
fn resolve_empty(l: &Lowered, out: &Output) -> Vec<u32> {
    let blocks = &l.input.blocks;
    let empty: Vec<bool> = blocks
        .iter()
        .map(|b| {
            b.insts.len() == 1
                && l.insts[b.insts.start as usize].op == MOp::Jmp
                && out.moves.binary_search_by_key(&b.insts.start, |m| m.inst).is_err()
        })
        .collect();
    let mut resolved: Vec<u32> = (0..blocks.len() as u32).collect();
    let mut done: Vec<bool> = empty.iter().map(|e| !e).collect();
    let mut path = Vec::new();
    for b in 0..blocks.len() {
        path.clear();
        let mut at = b;
        while !done[at] {
            // In a circle of empty blocks, which never ends, this one stays.
            done[at] = true;
            path.push(at);
            at = blocks[at].succs[0] as usize;
        }
        let to = resolved[at];
        for &p in &path {
            resolved[p] = to;
        }
    }
    resolved
}

/// Appends the constants, the largest first; answers their offsets.
fn place_consts(consts: &[(u128, u8)], bytes: &mut Vec<u8>) -> Vec<u32> {
    let mut places = vec![0; consts.len()];
    for size in [16u8, 8, 4] {
        for (i, c) in consts.iter().enumerate().filter(|(_, c)| c.1 == size) {
            bytes.resize(bytes.len().next_multiple_of(size as usize), 0);
            places[i] = bytes.len() as u32;
            bytes.extend_from_slice(&c.0.to_le_bytes()[..size as usize]);
        }
    }
    places
}

/// Memory at a register plus a displacement.
fn based(base: u8, disp: i32) -> Rm {
    Rm::Mem { base: Base::Reg(base), index: None, disp, segment: Segment::No }
}

fn trap_code(trap: u8) -> TrapCode {
    crate::abi::TrapCode::ALL[trap as usize - 1]
}

fn ucomi(size: u8) -> Enc {
    if size == 8 { enc::UCOMISD } else { enc::UCOMISS }
}

fn to_float(size: u8) -> Enc {
    Enc::new(if size == 8 { 0xf2 } else { 0xf3 }, 1, 0x2a).wide()
}

/// Gives the code the places that its tables name, and those that these name, numbered anew.
fn keep_places(c: &mut Code, places: &[Place]) {
    if places.is_empty() {
        return;
    }
    let mut numbers = vec![u32::MAX; places.len()];
    for position in c.traps.iter_mut().map(|t| &mut t.wasm).chain(c.calls.iter_mut().map(|p| &mut p.1)) {
        *position = keep_place(*position, places, &mut numbers, &mut c.places);
    }
}

fn keep_place(position: u32, places: &[Place], numbers: &mut [u32], kept: &mut Vec<Place>) -> u32 {
    let Some(place) = Place::at(places, position) else { return position };
    let old = (position - Place::INLINED) as usize;
    if numbers[old] == u32::MAX {
        // Not deep: functions are only built into each other so far.
        let caller = keep_place(place.caller, places, numbers, kept);
        numbers[old] = Place::INLINED + kept.len() as u32;
        kept.push(Place { caller, ..*place });
    }
    numbers[old]
}
