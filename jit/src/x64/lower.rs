//! Instruction selection.
//!
//! In: a scheduled function. Out: machine instructions over virtual registers, in layout order, in the form the register allocator
//! takes. Blocks are walked backwards, uses before definitions, so that an instruction whose only use has taken it in
//! (an address, an immediate, a comparison before a branch, a load as operand) is never emitted. Invariant: an i32 in a
//! register is zero-extended.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`selection`) in which it does not hold:
//! - A load becomes an operand only in its block, with no effect and no load that may trap in between, and only if
//!   that is its one use and is made once: what several uses look into reads a register.
//! - It reads exactly as many bytes as the instruction does; the position of its trap stays its own.
//! - A register with an i32 is zero-extended wherever 64 bits of it are read: addresses, extensions, calls,
//!   tables.
//! - Between the instruction that sets the flags and the one that uses them only moves and `lea` come.

use super::encode::Segment;
use super::inst::{MInst, MOp, Mem, cc, enc};
use crate::ir::cfg::Cfg;
use crate::ir::{Block, Effect, FloatCc, Func, IntCc, MemKind, Op, Type, Value};
use crate::passes::{Pass, Switches};
use crate::regalloc::{self, Class, Constraint, Kind, NO_REMAT, Operand, PReg, VReg};
use crate::schedule::Schedule;
use crate::tunables::Tunables;
use crate::{CpuFeatures, ModuleEnv, Place, RelocTarget, Settings};
use smallvec::SmallVec;

const NONE: u32 = u32::MAX;

/// What a call instruction calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// By a relocation.
    Reloc(RelocTarget),
    /// Through the reference in rax, of this instance.
    Near,
    /// Through the reference in rax: of this instance, else by the adapter for that type.
    Any(wasm::TypeId),
    /// A helper; whether it can fail.
    Helper(u16, bool),
}

/// A call, as emission sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallInfo {
    pub(crate) target: Target,
    pub(crate) tail: bool,
    /// Whether it may come back with an exception, and which: a number as in [`crate::Landing::tags`].
    pub(crate) catches: Option<u8>,
}

/// A function after selection.
#[derive(Debug, Default)]
pub(crate) struct Lowered {
    /// Instructions in layout order.
    pub(crate) insts: Vec<MInst>,
    /// The same for the allocator.
    pub(crate) input: regalloc::Input,
    /// Type of each virtual register.
    pub(crate) types: Vec<Type>,
    pub(crate) calls: Vec<CallInfo>,
    /// Constants with their sizes in bytes.
    pub(crate) consts: Vec<(u128, u8)>,
    /// Targets of `br_table`s, as indices into `input.blocks`.
    pub(crate) tables: Vec<Vec<u32>>,
    /// Places that the instructions' positions name.
    pub(crate) places: Vec<Place>,
    /// Lists of tags that calls which catch speak of.
    pub(crate) tags: Vec<Box<[u32]>>,
    /// Whether there is any call, and whether one is of a helper.
    pub(crate) has_calls: bool,
    pub(crate) has_helpers: bool,
    /// Whether the frame is zeros at first: the collector takes what lies there for references.
    pub(crate) clears_frame: bool,
    /// What emission may do.
    pub(crate) passes: Switches,
    pub(crate) tunables: Tunables,
}

/// Lowers a function.
pub(crate) fn lower(f: &Func, s: &Schedule, env: &ModuleEnv<'_>, settings: &Settings) -> Lowered {
    let mut l = Lower::new(f, s, env, settings);
    for i in (0..s.cfg.rpo.len()).rev() {
        l.block(s.cfg.rpo[i]);
    }
    l.finish()
}

/// An address on its way into an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addr {
    pub(super) mem: Mem,
    pub(super) base: Option<VReg>,
    pub(super) index: Option<VReg>,
    pub(super) scale: u8,
    pub(super) disp: i32,
    pub(super) segment: Segment,
    /// What a fault means, and where.
    pub(super) trap: u8,
    pub(super) pos: u32,
}

impl Addr {
    pub(super) fn of(mem: Mem, disp: i32) -> Addr {
        Addr { mem, base: None, index: None, scale: 0, disp, segment: Segment::No, trap: 0, pos: 0 }
    }
    pub(super) fn base(reg: VReg, disp: i32) -> Addr {
        Addr { base: Some(reg), ..Addr::of(Mem::Base, disp) }
    }
}

/// The operand of an instruction that may be a register or memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum RmOp {
    Reg(VReg),
    Mem(Addr),
}

/// Operands of one instruction.
pub(super) type Ops = SmallVec<[Operand; 6]>;

pub(super) struct Lower<'a> {
    pub(super) f: &'a Func,
    pub(super) s: &'a Schedule,
    pub(super) env: &'a ModuleEnv<'a>,
    pub(super) cpu: CpuFeatures,
    pub(super) passes: Switches,
    tunables: Tunables,
    /// Whether the base of memory 0 is also in the GS segment.
    pub(super) segment: bool,
    /// Register of each value that something has asked for.
    vreg_of: Vec<u32>,
    classes: Vec<Class>,
    types: Vec<Type>,
    /// Instructions made for the present one, in order.
    buf: Vec<(MInst, u32, u32)>,
    ops: Vec<Operand>,
    clobbers: Vec<(u32, u32)>,
    /// All instructions, last first; for each its range of `ops`.
    out: Vec<(MInst, u32, u32, u32)>,
    /// Ranges of `out` by block.
    ranges: Vec<(u32, u32)>,
    args_of: Vec<Vec<VReg>>,
    /// Number of effects before an instruction in its block: loads may move only where it is the same.
    color: Vec<u32>,
    now: u32,
    pub(super) block: Block,
    /// Results of the next call up: (number, value).
    pub(super) projections: Vec<(u32, Value)>,
    pub(super) arguments: Vec<Value>,
    /// Pure values of this block that have been made at a later place than their own.
    done: SmallVec<[Value; 2]>,
    /// Whether what is being made may be made once more for another use: then no load becomes part of it, which would read twice.
    again: bool,
    pub(super) calls: Vec<CallInfo>,
    consts: Vec<(u128, u8)>,
    pub(super) pos: u32,
    pub(super) has_calls: bool,
    pub(super) has_helpers: bool,
}

impl<'a> Lower<'a> {
    fn new(f: &'a Func, s: &'a Schedule, env: &'a ModuleEnv<'a>, settings: &Settings) -> Self {
        let mut color = vec![0; f.insts.len()];
        for b in &s.cfg.rpo {
            let mut c = 0;
            for &v in &f.blocks[b.index()].insts {
                // A load that may trap is not moved past another one: the first to trap is the one that says where.
                c += u32::from(f.inst(v).op == Op::Load);
                color[v.index()] = c;
                c += u32::from(!matches!(f.inst(v).op.effect(), Effect::Pure | Effect::Read | Effect::Pinned));
            }
        }
        Lower {
            f,
            s,
            env,
            cpu: settings.cpu,
            passes: settings.passes,
            tunables: settings.tunables,
            segment: settings.segment,
            vreg_of: vec![NONE; f.insts.len()],
            classes: Vec::with_capacity(f.insts.len()),
            types: Vec::with_capacity(f.insts.len()),
            buf: Vec::new(),
            ops: Vec::with_capacity(f.insts.len() * 3),
            clobbers: Vec::new(),
            out: Vec::with_capacity(f.insts.len()),
            ranges: vec![(0, 0); f.blocks.len()],
            args_of: vec![Vec::new(); f.blocks.len()],
            color,
            now: 0,
            block: Func::ENTRY,
            projections: Vec::new(),
            arguments: Vec::new(),
            done: SmallVec::new(),
            again: false,
            calls: Vec::new(),
            consts: Vec::new(),
            pos: 0,
            has_calls: false,
            has_helpers: false,
        }
    }

    fn block(&mut self, b: Block) {
        self.block = b;
        self.done.clear();
        let start = self.out.len() as u32;
        let f = self.f;
        for &v in f.blocks[b.index()].insts.iter().rev() {
            let i = f.inst(v);
            if i.op.is_pure() && (self.vreg_of[v.index()] == NONE || self.done.contains(&v)) {
                continue;
            }
            // A load that its only use has taken in.
            if i.op.effect() == Effect::Read && self.vreg_of[v.index()] == NONE && (self.folded(v) || i.op != Op::Load)
            {
                continue;
            }
            self.now = self.color[v.index()];
            self.pos = i.pos;
            self.inst(v);
            self.flush();
        }
        if b == Func::ENTRY {
            self.entry();
            self.flush();
        }
        for &p in &f.blocks[b.index()].params {
            self.def(p);
        }
        self.ranges[b.index()] = (start, self.out.len() as u32);
    }

    /// Whether a load has no result to give: it was folded, which leaves its `color` marked.
    fn folded(&self, v: Value) -> bool {
        self.color[v.index()] == NONE
    }

    fn flush(&mut self) {
        for (inst, start, len) in self.buf.drain(..).rev() {
            let clobbers = match self.clobbers.last() {
                Some(&(at, mask)) if at == start => {
                    self.clobbers.pop();
                    mask
                }
                _ => 0,
            };
            self.out.push((inst, start, len, clobbers));
        }
    }

    // ---- registers

    pub(super) fn temp(&mut self, ty: Type) -> VReg {
        self.classes.push(match ty {
            Type::V128 => Class::Vec,
            Type::F32 | Type::F64 => Class::Float,
            _ => Class::Int,
        });
        self.types.push(ty);
        VReg(self.types.len() as u32 - 1)
    }

    /// The register that a value is to be put into; for the instruction that makes it.
    pub(super) fn def(&mut self, v: Value) -> VReg {
        if self.vreg_of[v.index()] == NONE {
            self.vreg_of[v.index()] = self.temp(self.f.ty(v)).0;
        }
        VReg(self.vreg_of[v.index()])
    }

    /// Whether something behind the present place uses the value.
    pub(super) fn is_wanted(&self, v: Value) -> bool {
        self.vreg_of[v.index()] != NONE
    }

    /// A register that holds the value here.
    pub(super) fn reg(&mut self, v: Value) -> VReg {
        let i = *self.f.inst(v);
        match i.op {
            Op::Iconst => {
                let d = self.temp(i.ty);
                self.load_const(d, i.ty, i.imm);
                d
            }
            Op::TypeId => {
                let d = self.temp(i.ty);
                self.emit(MInst::new(MOp::MovType).imm(i64::from(i.idx)), &[def(d)]);
                d
            }
            Op::Fconst => self.float_const(i.ty, i.imm),
            Op::Vconst => {
                let bits = self.f.vectors[i.imm as usize];
                self.vector_const(bits)
            }
            Op::MemBase if self.segment => {
                let d = self.temp(Type::I64);
                let at = Addr::of(Mem::Context, wasm::layout::context::MEM0_BASE as i32);
                self.emit_rm(MInst::new(MOp::MovRm).enc(enc::MOV.wide()), &[def(d)], RmOp::Mem(at));
                d
            }
            Op::Ctx | Op::MemBase => {
                let d = self.temp(Type::I64);
                let mem = if i.op == Op::Ctx { Mem::Context } else { Mem::Memory0 };
                self.emit_rm(MInst::new(MOp::Lea), &[def(d)], RmOp::Mem(Addr::of(mem, 0)));
                d
            }
            // Already zero-extended.
            Op::ExtU => self.reg(i.args[0]),
            _ => self.def(v),
        }
    }

    /// A register whose lower 32 bits are the i32 value; the upper ones are anything.
    pub(super) fn reg_low(&mut self, v: Value) -> VReg {
        let i = self.f.inst(v);
        if i.op == Op::Wrap && !self.is_wanted(v) { self.reg_low(i.args[0]) } else { self.reg(v) }
    }

    /// As `reg_low` for i32, `reg` for the others: for instructions that read as many bits as the value has.
    pub(super) fn reg_for(&mut self, v: Value) -> VReg {
        if self.f.ty(v) == Type::I32 { self.reg_low(v) } else { self.reg(v) }
    }

    pub(super) fn load_const(&mut self, d: VReg, ty: Type, imm: i64) {
        let imm = if ty == Type::I32 { i64::from(imm as u32) } else { imm };
        self.emit(MInst::new(MOp::MovImm).imm(imm), &[def(d)]);
    }

    /// Index of a constant of that many bytes.
    pub(super) fn constant(&mut self, bits: u128, size: u8) -> i32 {
        let from = self.consts.len().saturating_sub(64);
        if let Some(i) = self.consts[from..].iter().position(|&c| c == (bits, size)) {
            return (from + i) as i32;
        }
        self.consts.push((bits, size));
        self.consts.len() as i32 - 1
    }

    pub(super) fn const_addr(&mut self, bits: u128, size: u8) -> Addr {
        let c = self.constant(bits, size);
        Addr::of(Mem::Const, c)
    }

    // ---- emission into the buffer

    pub(super) fn emit(&mut self, inst: MInst, ops: &[Operand]) {
        let start = self.ops.len() as u32;
        self.ops.extend_from_slice(ops);
        self.buf.push((MInst { pos: self.pos, ..inst }, start, ops.len() as u32));
    }

    pub(super) fn emit_clobbering(&mut self, inst: MInst, ops: &[Operand], clobbers: u32) {
        self.clobbers.push((self.ops.len() as u32, clobbers));
        self.emit(inst, ops);
    }

    /// The instruction emitted last.
    pub(super) fn buf_last(&mut self) -> Option<&mut MInst> {
        self.buf.last_mut().map(|b| &mut b.0)
    }

    /// With an r/m operand behind the others.
    pub(super) fn emit_rm(&mut self, mut inst: MInst, ops: &[Operand], rm: RmOp) {
        let mut all: Ops = SmallVec::from_slice(ops);
        match rm {
            RmOp::Reg(r) => {
                // Legacy packed instructions want aligned memory, which spill slots are not.
                let scalar = matches!(inst.enc.prefix, 0xf2 | 0xf3) || inst.op == MOp::Ucomi;
                let class = self.classes[r.0 as usize];
                let aligned = class == Class::Vec || class == Class::Float && !scalar;
                let constraint = if aligned && !self.cpu.avx { Constraint::Reg } else { Constraint::Any };
                all.push(Operand { vreg: r, kind: Kind::Use, constraint });
            }
            RmOp::Mem(a) => {
                all.extend(a.base.map(used));
                all.extend(a.index.map(used));
                inst = MInst { mem: a.mem, scale: a.scale, disp: a.disp, segment: a.segment, ..inst };
                if a.trap != 0 {
                    inst.trap = a.trap;
                }
            }
        }
        self.emit(inst, &all);
        if let (RmOp::Mem(Addr { trap: 1.., pos, .. }), Some(last)) = (rm, self.buf.last_mut()) {
            last.0.pos = pos;
        }
    }

    // ---- operands

    /// Whether a load can be done by the instruction at hand instead of by itself.
    pub(super) fn can_fold(&self, v: Value) -> bool {
        let i = self.f.inst(v);
        let pure = i.op == Op::CLoad;
        self.passes.has(Pass::Operands)
            && (i.op.effect() == Effect::Read && self.color[v.index()] == self.now || pure)
            && self.s.uses[v.index()] == 1
            && self.s.block_of[v.index()] == self.block.0
            && !self.is_wanted(v)
            && !self.again
    }

    /// Makes a value without a register of its own for one of its uses.
    pub(super) fn for_one_use<R>(&mut self, v: Value, make: impl FnOnce(&mut Self) -> R) -> R {
        let again = self.again;
        self.again |= self.s.uses[v.index()] > 1;
        let made = make(self);
        self.again = again;
        made
    }

    /// The address of a load that is folded.
    pub(super) fn fold(&mut self, v: Value) -> Addr {
        self.color[v.index()] = NONE;
        self.address_of(v, 0)
    }

    /// A value as r/m operand of its own width; `reg_for` if it is in a register.
    pub(super) fn rm(&mut self, v: Value) -> RmOp {
        let i = *self.f.inst(v);
        if MemKind::from_code(i.aux) == MemKind::Whole
            && (i.op.effect() == Effect::Read || i.op == Op::CLoad)
            && self.can_fold(v)
        {
            return RmOp::Mem(self.fold(v));
        }
        match i.op {
            Op::Fconst => RmOp::Mem(self.const_addr(u128::from(i.imm as u64), i.ty.bytes() as u8)),
            _ => RmOp::Reg(self.reg_for(v)),
        }
    }

    /// A constant that fits a sign-extended 32-bit immediate.
    pub(super) fn imm32(&self, v: Value) -> Option<i64> {
        self.f.as_iconst(v).filter(|&c| i32::try_from(c).is_ok())
    }

    // ---- instructions

    fn inst(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let size = i.ty.bytes() as u8;
        match i.op {
            Op::Iconst | Op::TypeId | Op::Fconst | Op::Vconst | Op::Ctx | Op::MemBase | Op::Param | Op::ExtU => {}
            Op::Arg => self.arguments.push(v),
            Op::Proj => self.projections.push((i.idx, v)),
            Op::Add => self.add(v),
            Op::Sub => self.sub(v),
            Op::And => self.and(v),
            Op::Or => self.alu(v, 1, true),
            Op::Xor => self.xor(v),
            Op::Mul => self.mul(v),
            Op::MulHiS | Op::MulHiU => self.mul_hi(v),
            Op::Shl | Op::ShrS | Op::ShrU | Op::Rotl | Op::Rotr => self.shift(v),
            Op::Clz | Op::Ctz | Op::Popcnt => self.bits(v),
            Op::Ext8S => self.extend(v, enc::MOVSX8.w(size == 8), 1, MemKind::S8, MemKind::U8),
            Op::Ext16S => self.extend(v, enc::MOVSX16.w(size == 8), 2, MemKind::S16, MemKind::U16),
            Op::Ext32S => self.extend(v, enc::MOVSXD, 4, MemKind::S32, MemKind::U32),
            Op::ExtS => {
                let d = self.def(v);
                let a = self.rm(i.args[0]);
                self.emit_rm(MInst::new(MOp::MovRm).enc(enc::MOVSXD).size(4), &[def(d)], a);
            }
            Op::Wrap => {
                let d = self.def(v);
                // Not folded: a load of eight bytes must trap where one of four would not.
                let a = RmOp::Reg(self.reg(i.args[0]));
                self.emit_rm(MInst::new(MOp::MovRm).enc(enc::MOV).size(4), &[def(d)], a);
            }
            Op::DivS | Op::DivU | Op::RemS | Op::RemU => self.div(v),
            Op::VTest if !self.is_vector_test(v) => self.vector(v),
            Op::Icmp | Op::Fcmp | Op::VTest => {
                let d = self.def(v);
                let code = self.condition(v, true);
                self.emit(MInst::new(MOp::Setcc).cc(code), &[def(d)]);
            }
            Op::Select => self.select(v),
            Op::TrapIf => {
                let code = self.condition(i.args[0], false);
                self.emit(MInst { trap: i.aux + 1, ..MInst::new(MOp::TrapCc).cc(code) }, &[]);
            }
            Op::BrIf => {
                let steps = self.steps_before(v, i.args[0]);
                let code = self.condition(i.args[0], false);
                for s in steps {
                    let addr = self.sum(s, 0);
                    let d = self.def(s);
                    self.done.push(s);
                    let size = self.f.ty(s).bytes() as u8;
                    self.emit_rm(MInst::new(MOp::Lea).size(size), &[def(d)], RmOp::Mem(addr));
                }
                self.emit(MInst::new(MOp::Jcc).cc(code), &[]);
            }
            Op::Jump => {
                let args: Vec<VReg> = self.f.args(v).iter().map(|&a| self.reg(a)).collect();
                self.args_of[self.block.index()] = args;
                self.emit(MInst::new(MOp::Jmp), &[]);
            }
            Op::CatchEdge => self.emit(MInst::new(MOp::CatchEdge), &[]),
            Op::BrTable => {
                let (t, u) = (self.temp(Type::I64), self.temp(Type::I64));
                let index = self.reg(i.args[0]);
                let inst = MInst::new(MOp::JmpTable).imm(i64::from(i.idx));
                self.emit(inst, &[early(t), early(u), used(index)]);
            }
            Op::Trap => self.emit(MInst { trap: i.aux + 1, ..MInst::new(MOp::Ud2) }, &[]),
            Op::Poll => self.emit(MInst::new(MOp::Poll), &[]),
            Op::Fuel => self.emit(MInst::new(MOp::Fuel).imm(i.imm), &[]),
            Op::Load | Op::PLoad | Op::ELoad | Op::CLoad | Op::FLoad => self.load(v),
            Op::Store | Op::PStore | Op::EStore => self.store(v),
            Op::AtomicLoad | Op::AtomicStore | Op::AtomicRmw | Op::AtomicCas | Op::Fence => self.atomic(v),
            Op::Call | Op::CallNear | Op::CallFar | Op::CallAny | Op::Helper => self.call(v),
            Op::Return => self.return_(v),
            Op::TailCall | Op::TailCallNear | Op::TailCallFar | Op::TailCallAny => self.tail_call(v),
            Op::FToS
            | Op::FToU
            | Op::FToSSat
            | Op::FToUSat
            | Op::SToF
            | Op::UToF
            | Op::Promote
            | Op::Demote
            | Op::Bitcast => self.convert(v),
            Op::VUn | Op::VBin | Op::VTer | Op::VShift | Op::VSplat | Op::VExtract | Op::VReplace | Op::VShuffle => {
                self.vector(v)
            }
            _ => self.float(v),
        }
    }

    /// Additions of constants right before a branch on a comparison with what they add to: done by `lea` between the comparison and the
    /// jump, old and new value can share a register.
    fn steps_before(&self, branch: Value, condition: Value) -> SmallVec<[Value; 2]> {
        let mut steps = SmallVec::new();
        let c = self.f.inst(condition);
        if c.op != Op::Icmp || self.is_wanted(condition) {
            return steps;
        }
        let list = &self.f.blocks[self.block.index()].insts;
        for &v in list.iter().rev().skip_while(|&&v| v != branch).skip(1).take(8) {
            let i = self.f.inst(v);
            if v == condition {
                continue;
            }
            let step = i.op == Op::Add && i.ty.is_int() && self.imm32(i.args[1]).is_some() && self.is_wanted(v);
            if !step {
                break;
            }
            if c.args[..2].contains(&i.args[0]) && !c.args[..2].contains(&v) && !self.is_wanted(i.args[0]) {
                steps.push(v);
            }
        }
        steps
    }

    // ---- integers

    /// Whether the second operand should come first: it dies here and the first does not, or the first can be folded.
    fn swapped(&self, a: Value, b: Value) -> bool {
        if self.f.as_iconst(b).is_some() {
            return false;
        }
        if self.can_fold(a) && !self.can_fold(b) && MemKind::from_code(self.f.inst(a).aux) == MemKind::Whole {
            return true;
        }
        self.is_wanted(a) && !self.is_wanted(b) && !self.can_fold(b)
    }

    /// A two-operand instruction with immediates and folded loads.
    fn alu(&mut self, v: Value, number: u8, commutes: bool) {
        let i = *self.f.inst(v);
        let (mut a, mut b) = (i.args[0], i.args[1]);
        if commutes && self.swapped(a, b) {
            (a, b) = (b, a);
        }
        self.alu_of(v, number, a, b);
    }

    fn alu_of(&mut self, v: Value, number: u8, a: Value, b: Value) {
        let size = self.f.ty(v).bytes() as u8;
        let d = self.def(v);
        if let Some(imm) = self.imm32(b) {
            let a = self.reg_for(a);
            self.emit(MInst::new(MOp::AluImm).size(size).cc(number).imm(imm), &[tied(d), used(a)]);
            return;
        }
        let b = self.rm(b);
        let a = self.reg_for(a);
        self.emit_rm(MInst::new(MOp::Alu).size(size).cc(number), &[tied(d), used(a)], b);
    }

    fn add(&mut self, v: Value) {
        if self.with_carry(v) {
            return;
        }
        let i = *self.f.inst(v);
        let size = i.ty.bytes() as u8;
        let (a, b) = (i.args[0], i.args[1]);
        let scaled = |v: Value| {
            let s = self.f.inst(v);
            let k = (s.op == Op::Shl).then(|| self.f.as_iconst(s.args[1])).flatten();
            k.is_some_and(|k| (1..=3).contains(&k)) && !self.is_wanted(v)
        };
        let inner_add = |v: Value| self.f.inst(v).op == Op::Add && self.s.uses[v.index()] == 1 && !self.is_wanted(v);
        let constant = self.imm32(b);
        // lea: three operands, a scale, or an operand that lives on.
        let want = scaled(a)
            || scaled(b)
            || (constant.is_some() && (inner_add(a) || self.is_wanted(a)))
            || (constant.is_none() && self.is_wanted(a) && self.is_wanted(b));
        if want && !(constant.is_none() && (self.can_fold(a) || self.can_fold(b))) {
            let addr = self.sum(v, 0);
            let d = self.def(v);
            self.emit_rm(MInst::new(MOp::Lea).size(size), &[def(d)], RmOp::Mem(addr));
            return;
        }
        self.alu(v, 0, true);
    }

    fn sub(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let size = i.ty.bytes() as u8;
        if self.f.as_iconst(i.args[0]) == Some(0) {
            let d = self.def(v);
            let a = self.reg_for(i.args[1]);
            self.emit(MInst::new(MOp::Unary).size(size).cc(3), &[tied(d), used(a)]);
            return;
        }
        if !self.with_carry(v) {
            self.alu(v, 5, false);
        }
    }

    fn xor(&mut self, v: Value) {
        let i = *self.f.inst(v);
        if self.f.as_iconst(i.args[1]) == Some(-1) {
            let d = self.def(v);
            let a = self.reg_for(i.args[0]);
            self.emit(MInst::new(MOp::Unary).size(i.ty.bytes() as u8).cc(2), &[tied(d), used(a)]);
            return;
        }
        self.alu(v, 6, true);
    }

    fn and(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let size = i.ty.bytes() as u8;
        let (a, b) = (i.args[0], i.args[1]);
        // Masks that are zero extensions.
        let extension = match self.f.as_iconst(b) {
            Some(0xff) => Some((enc::MOVZX8, 1)),
            Some(0xffff) => Some((enc::MOVZX16, 2)),
            Some(0xffff_ffff) if size == 8 => Some((enc::MOV, 4)),
            _ => None,
        };
        if let Some((e, size)) = extension {
            let d = self.def(v);
            let a = RmOp::Reg(self.reg_for(a));
            self.emit_rm(MInst::new(MOp::MovRm).enc(e).size(size), &[def(d)], a);
            return;
        }
        if self.cpu.bmi1 {
            let inverted = |v: Value| {
                let n = self.f.inst(v);
                let is = n.op == Op::Xor && self.f.as_iconst(n.args[1]) == Some(-1) && !self.is_wanted(v);
                is.then(|| n.args[0])
            };
            let pair = inverted(a).map(|x| (x, b)).or_else(|| inverted(b).map(|x| (x, a)));
            if let Some((x, y)) = pair {
                let d = self.def(v);
                let e = crate::x64::encode::Enc::new(0, 2, 0xf2).w(size == 8);
                if self.imm32(y).is_none() {
                    let y = self.rm(y);
                    let x = self.reg_for(x);
                    self.emit_rm(MInst::new(MOp::Andn).enc(e).size(size), &[def(d), used(x)], y);
                    return;
                }
            }
        }
        self.alu(v, 4, true);
    }

    fn mul(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let size = i.ty.bytes() as u8;
        let (mut a, mut b) = (i.args[0], i.args[1]);
        let d = self.def(v);
        if let Some(imm) = self.imm32(b) {
            if let 3 | 5 | 9 = imm {
                let a = self.reg_for(a);
                let addr = Addr { index: Some(a), scale: imm as u8 - 1, ..Addr::base(a, 0) };
                self.emit_rm(MInst::new(MOp::Lea).size(size), &[def(d)], RmOp::Mem(addr));
                return;
            }
            let a = self.rm(a);
            self.emit_rm(MInst::new(MOp::ImulImm).size(size).imm(imm), &[def(d)], a);
            return;
        }
        if self.swapped(a, b) {
            (a, b) = (b, a);
        }
        let b = self.rm(b);
        let a = self.reg_for(a);
        self.emit_rm(MInst::new(MOp::Imul).size(size), &[tied(d), used(a)], b);
    }

    fn mul_hi(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let signed = i.op == Op::MulHiS;
        let d = self.def(v);
        let low = self.temp(i.ty);
        let b = self.rm(i.args[1]);
        let a = self.reg_for(i.args[0]);
        let ops = [fixed_def(d, 2), fixed_def(low, 0), fixed(a, 0)];
        self.emit_rm(MInst::new(MOp::MulWide).size(i.ty.bytes() as u8).cc(u8::from(signed)), &ops, b);
    }

    fn div(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let size = i.ty.bytes() as u8;
        let (signed, remainder) = match i.op {
            Op::DivS => (true, false),
            Op::DivU => (false, false),
            Op::RemS => (true, true),
            _ => (false, true),
        };
        let d = self.def(v);
        let other = self.temp(i.ty);
        let (to, from) = if remainder { (2, 0) } else { (0, 2) };
        let a = self.reg_for(i.args[0]);
        let b = self.reg_for(i.args[1]);
        let early = Operand { kind: Kind::EarlyDef, ..fixed_def(other, from) };
        let late = if remainder { Operand { kind: Kind::EarlyDef, ..fixed_def(d, to) } } else { fixed_def(d, to) };
        // For a remainder rax is the definition nobody wants, and rdx is written before the division.
        let other = if remainder { fixed_def(other, from) } else { early };
        let variant = u8::from(signed) | u8::from(remainder) << 1;
        self.emit(MInst::new(MOp::Div).size(size).cc(variant), &[late, other, fixed(a, 0), used_late(b)]);
    }

    fn shift(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let size = i.ty.bytes() as u8;
        let bits = i64::from(size) * 8;
        let (number, bmi) = match i.op {
            Op::Shl => (4, Some(enc::SHLX)),
            Op::ShrU => (5, Some(enc::SHRX)),
            Op::ShrS => (7, Some(enc::SARX)),
            Op::Rotl => (0, None),
            _ => (1, None),
        };
        let d = self.def(v);
        if let Some(count) = self.f.as_iconst(i.args[1]) {
            let count = count & (bits - 1);
            if number <= 1 && self.cpu.bmi2 && self.is_wanted(i.args[0]) {
                let right = if number == 0 { (bits - count) & (bits - 1) } else { count };
                let a = self.rm(i.args[0]);
                self.emit_rm(MInst::new(MOp::Rorx).size(size).imm(right), &[def(d)], a);
                return;
            }
            if i.op == Op::Shl && (1..=3).contains(&count) && self.is_wanted(i.args[0]) {
                let a = self.reg_for(i.args[0]);
                let addr = Addr { index: Some(a), scale: 1 << count, ..Addr::of(Mem::Absolute, 0) };
                self.emit_rm(MInst::new(MOp::Lea).size(size), &[def(d)], RmOp::Mem(addr));
                return;
            }
            let a = self.reg_for(i.args[0]);
            self.emit(MInst::new(MOp::ShiftImm).size(size).cc(number).imm(count), &[tied(d), used(a)]);
            return;
        }
        if let (Some(e), true) = (bmi, self.cpu.bmi2) {
            let a = self.rm(i.args[0]);
            let count = self.reg_for(i.args[1]);
            self.emit_rm(MInst::new(MOp::ShiftX).size(size).enc(e.w(size == 8)), &[def(d), used(count)], a);
            return;
        }
        let a = self.reg_for(i.args[0]);
        let count = self.reg_for(i.args[1]);
        self.emit(MInst::new(MOp::ShiftCl).size(size).cc(number), &[tied(d), used(a), fixed(count, 1)]);
    }

    fn bits(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let size = i.ty.bytes() as u8;
        let (e, have, fallback) = match i.op {
            Op::Clz => (enc::LZCNT, self.cpu.lzcnt, MOp::ClzBsr),
            Op::Ctz => (enc::TZCNT, self.cpu.bmi1, MOp::CtzBsf),
            _ => (enc::POPCNT, true, MOp::Bits),
        };
        let d = self.def(v);
        if have {
            let a = self.rm(i.args[0]);
            self.emit_rm(MInst::new(MOp::Bits).size(size).enc(e.w(size == 8)), &[def(d)], a);
            return;
        }
        let t = self.temp(i.ty);
        let a = self.reg_for(i.args[0]);
        self.emit(MInst::new(fallback).size(size), &[early(d), early(t), used(a)]);
    }

    fn extend(&mut self, v: Value, e: super::encode::Enc, size: u8, signed: MemKind, unsigned: MemKind) {
        let a = self.f.inst(v).args[0];
        let d = self.def(v);
        let kind = MemKind::from_code(self.f.inst(a).aux);
        let loads = self.f.inst(a).op.effect() == Effect::Read && (kind == signed || kind == unsigned);
        let rm = if loads && self.can_fold(a) { RmOp::Mem(self.fold(a)) } else { RmOp::Reg(self.reg_low(a)) };
        self.emit_rm(MInst::new(MOp::MovRm).enc(e).size(size), &[def(d)], rm);
    }

    // ---- conditions

    /// Sets the flags by an i32 value; answers the condition under which it is not zero. `own`: the value itself is being made.
    pub(super) fn condition(&mut self, v: Value, own: bool) -> u8 {
        self.for_one_use(v, |l| l.condition_of(v, own))
    }

    fn condition_of(&mut self, v: Value, own: bool) -> u8 {
        let i = *self.f.inst(v);
        match i.op {
            Op::Icmp if own || !self.is_wanted(v) || self.s.uses[v.index()] < 4 => self.icmp(v),
            Op::Fcmp if own || !self.is_wanted(v) || self.s.uses[v.index()] < 4 => self.fcmp(v),
            Op::VTest if self.is_vector_test(v) => self.vector_test(v),
            Op::And if !self.is_wanted(v) => {
                self.test(i.args[0], i.args[1]);
                cc::NE
            }
            Op::Load | Op::PLoad | Op::ELoad if self.can_fold(v) && self.compares_in_memory(v) => {
                let size = MemKind::from_code(i.aux).bytes(i.ty) as u8;
                let addr = self.fold(v);
                self.emit_rm(MInst::new(MOp::CmpImm).size(size).imm(0), &[], RmOp::Mem(addr));
                cc::NE
            }
            _ => {
                let a = self.reg_for(v);
                self.emit(MInst::new(MOp::Test).size(4), &[used(a), used(a)]);
                cc::NE
            }
        }
    }

    fn icmp(&mut self, v: Value) -> u8 {
        let i = *self.f.inst(v);
        let mut code = IntCc::from_code(i.aux);
        let (mut a, mut b) = (i.args[0], i.args[1]);
        let right = *self.f.inst(b);
        if right.op == Op::TypeId {
            let a = self.rm(a);
            let inst = MInst::new(MOp::CmpType).size(right.ty.bytes() as u8).imm(i64::from(right.idx));
            self.emit_rm(inst, &[], a);
            return int_condition(code);
        }
        if self.f.as_iconst(a).is_some() || (self.can_fold(a) && !self.can_fold(b) && self.f.as_iconst(b).is_none()) {
            // A load is folded on the right.
            if self.f.as_iconst(b).is_none() {
                (a, b) = (b, a);
                code = code.swap();
            }
        }
        let size = self.f.ty(a).bytes() as u8;
        let zero = self.f.as_iconst(b) == Some(0);
        let x = *self.f.inst(a);
        if zero && matches!(code, IntCc::Eq | IntCc::Ne) {
            let code = if code == IntCc::Eq { cc::E } else { cc::NE };
            match x.op {
                Op::And if !self.is_wanted(a) => {
                    if let Some(bt) = self.bit_test(x.args[0], x.args[1]) {
                        return if code == cc::E { cc::AE } else { bt };
                    }
                    self.for_one_use(a, |l| l.test(x.args[0], x.args[1]));
                    return code;
                }
                Op::Icmp | Op::Fcmp | Op::VTest
                    if !self.is_wanted(a) && (x.op != Op::VTest || self.is_vector_test(a)) =>
                {
                    let inner = self.condition(a, false);
                    return if code == cc::E { cc::negate(inner) } else { inner };
                }
                _ => {}
            }
        }
        let unsigned = match code {
            IntCc::LtS => IntCc::LtU,
            IntCc::LeS => IntCc::LeU,
            IntCc::GtS => IntCc::GtU,
            IntCc::GeS => IntCc::GeU,
            same => same,
        };
        let code = int_condition(code);
        if let Some(imm) = self.imm32(b) {
            if self.is_narrow_load(a, imm) {
                let addr = self.fold(a);
                self.emit_rm(MInst::new(MOp::CmpImm).size(1).imm(imm), &[], RmOp::Mem(addr));
                return int_condition(unsigned);
            }
            if zero && !self.can_fold(a) {
                let a = self.reg_for(a);
                self.emit(MInst::new(MOp::Test).size(size), &[used(a), used(a)]);
                return code;
            }
            let a = self.rm(a);
            self.emit_rm(MInst::new(MOp::CmpImm).size(size).imm(imm), &[], a);
            return code;
        }
        let b = self.rm(b);
        let a = self.reg_for(a);
        self.emit_rm(MInst::new(MOp::Cmp).size(size), &[used(a)], b);
        code
    }

    /// Whether a loaded value can be compared with zero where it lies.
    fn compares_in_memory(&self, v: Value) -> bool {
        matches!(MemKind::from_code(self.f.inst(v).aux), MemKind::Whole | MemKind::U8 | MemKind::S8)
    }

    /// Whether a value is a foldable byte load that can be compared with the constant in memory. Such values are not negative,
    /// so unsigned conditions serve for signed ones.
    fn is_narrow_load(&self, v: Value, imm: i64) -> bool {
        let i = self.f.inst(v);
        i.op.effect() == Effect::Read
            && MemKind::from_code(i.aux) == MemKind::U8
            && (0..256).contains(&imm)
            && self.can_fold(v)
    }

    /// `bt` for a test of one bit; answers the condition for "set".
    fn bit_test(&mut self, x: Value, y: Value) -> Option<u8> {
        let size = self.f.ty(x).bytes() as u8;
        if let Some(mask) = self.f.as_iconst(y) {
            let one = (mask as u64).is_power_of_two();
            // A 32-bit immediate of `test` is as good.
            if !one || i32::try_from(mask).is_ok() {
                return None;
            }
            let bit = i64::from(mask.trailing_zeros());
            let a = self.reg_for(x);
            self.emit_rm(MInst::new(MOp::BtImm).size(size).imm(bit), &[], RmOp::Reg(a));
            return Some(cc::B);
        }
        let one_shifted = |v: Value| {
            let s = self.f.inst(v);
            (s.op == Op::Shl && self.f.as_iconst(s.args[0]) == Some(1) && !self.is_wanted(v)).then(|| s.args[1])
        };
        let (value, count) = match (one_shifted(y), one_shifted(x)) {
            (Some(n), _) => (x, n),
            (_, Some(n)) => (y, n),
            _ => return None,
        };
        let a = self.reg_for(value);
        let n = self.reg_for(count);
        self.emit(MInst::new(MOp::Bt).size(size), &[used(a), used(n)]);
        Some(cc::B)
    }

    fn test(&mut self, x: Value, y: Value) {
        let size = self.f.ty(x).bytes() as u8;
        if let Some(imm) = self.imm32(y) {
            let a = self.rm(x);
            self.emit_rm(MInst::new(MOp::TestImm).size(size).imm(imm), &[], a);
            return;
        }
        let (a, b) = (self.reg_for(x), self.reg_for(y));
        self.emit(MInst::new(MOp::Test).size(size), &[used(a), used(b)]);
    }

    fn fcmp(&mut self, v: Value) -> u8 {
        let i = *self.f.inst(v);
        let code = FloatCc::from_code(i.aux);
        let (mut a, mut b) = (i.args[0], i.args[1]);
        let (code, swap) = match code {
            FloatCc::Eq => (cc::EQ_ORD, false),
            FloatCc::Ne => (cc::NE_UNORD, false),
            FloatCc::Gt => (cc::A, false),
            FloatCc::Ge => (cc::AE, false),
            FloatCc::Lt => (cc::A, true),
            FloatCc::Le => (cc::AE, true),
            FloatCc::Ule => (cc::BE, false),
            FloatCc::Ult => (cc::B, false),
            FloatCc::Uge => (cc::BE, true),
            FloatCc::Ugt => (cc::B, true),
        };
        if swap {
            (a, b) = (b, a);
        }
        let e = if self.f.ty(a) == Type::F32 { enc::UCOMISS } else { enc::UCOMISD };
        let b = self.rm(b);
        let a = self.reg(a);
        self.emit_rm(MInst::new(MOp::Ucomi).enc(e), &[used(a)], b);
        code
    }

    fn select(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let (yes, no) = (i.args[1], i.args[2]);
        let d = self.def(v);
        if !i.ty.is_int() && self.select_float(v) {
            return;
        }
        if !i.ty.is_int() {
            let (yes, no) = (self.reg(yes), self.reg(no));
            let code = self.condition(i.args[0], false);
            self.emit(MInst::new(MOp::VecSelect).cc(code), &[tied(d), used(no), used(yes)]);
            return;
        }
        let size = i.ty.bytes() as u8;
        let negate = self.can_swap_select(i.args[0], yes, no);
        let (yes, no) = if negate { (no, yes) } else { (yes, no) };
        // Constants are loaded before the flags are set.
        let (yes, no) = (self.reg_for(yes), self.reg_for(no));
        let code = self.condition(i.args[0], false);
        let code = if negate { cc::negate(code) } else { code };
        self.emit_rm(MInst::new(MOp::Cmov).size(size).cc(code), &[tied(d), used(no)], RmOp::Reg(yes));
    }

    /// Whether exchanging the arms saves a copy: the value for "false" is overwritten.
    fn can_swap_select(&self, condition: Value, yes: Value, no: Value) -> bool {
        let c = self.f.inst(condition);
        let two = c.op == Op::Fcmp && matches!(FloatCc::from_code(c.aux), FloatCc::Eq | FloatCc::Ne);
        !two && self.is_wanted(no) && !self.is_wanted(yes)
    }

    // ---- the result

    fn finish(self) -> Lowered {
        let mut r = Lowered {
            types: self.types,
            calls: self.calls,
            consts: self.consts,
            places: self.f.places.clone(),
            tags: self.f.tags.clone(),
            has_calls: self.has_calls,
            has_helpers: self.has_helpers,
            clears_frame: self.has_calls && self.env.facts.has_objects(),
            passes: self.passes,
            tunables: self.tunables,
            ..Lowered::default()
        };
        let mut number = vec![NONE; self.f.blocks.len()];
        for (n, b) in self.s.layout.iter().enumerate() {
            number[b.index()] = n as u32;
        }
        let cold_from = self.s.layout.len() - self.s.cold;
        let input = &mut r.input;
        input.remat = vec![NO_REMAT; r.types.len()];
        input.classes = self.classes;
        input.operands.reserve(self.ops.len());
        for (n, b) in self.s.layout.iter().enumerate() {
            let data = &self.f.blocks[b.index()];
            let (start, end) = self.ranges[b.index()];
            let first = r.insts.len() as u32;
            for &(inst, at, len, clobbers) in self.out[start as usize..end as usize].iter().rev() {
                input.operand_start.push(input.operands.len() as u32);
                input.operands.extend_from_slice(&self.ops[at as usize..][..len as usize]);
                input.clobbers.push(clobbers);
                input.is_copy.push(inst.op == MOp::Copy);
                r.insts.push(inst);
            }
            let all = &r.insts[first as usize..];
            let throws = all.last().is_some_and(|i| i.op == MOp::CatchEdge);
            let throws = throws.then(|| all.iter().rposition(|i| i.op == MOp::Call)).flatten();
            let mut succs = Vec::new();
            self.f.successors(*b, |s| succs.push(number[s.index()]));
            if self.f.terminator(*b).is_some_and(|t| self.f.inst(t).op == Op::BrTable) {
                succs.sort_unstable();
                succs.dedup();
            }
            input.blocks.push(regalloc::Block {
                insts: first..r.insts.len() as u32,
                preds: reachable_preds(&self.s.cfg, data).map(|p| number[p.index()]).collect(),
                succs,
                params: data.params.iter().map(|p| VReg(self.vreg_of[p.index()])).collect(),
                args: self.args_of[b.index()].clone(),
                loop_depth: self.s.cfg.loop_depth(*b),
                cold: n >= cold_from,
                throws: throws.map(|n| first + n as u32),
            });
        }
        input.operand_start.push(input.operands.len() as u32);
        r.tables = self.f.tables.iter().map(|t| t.iter().map(|b| number[b.index()]).collect()).collect();
        r
    }
}

fn reachable_preds<'b>(cfg: &'b Cfg, data: &'b crate::ir::BlockData) -> impl Iterator<Item = Block> + 'b {
    data.preds.iter().copied().filter(|&p| cfg.reachable(p))
}

/// The processor's condition of an integer comparison.
pub(super) fn int_condition(code: IntCc) -> u8 {
    use IntCc::*;
    match code {
        Eq => cc::E,
        Ne => cc::NE,
        LtS => cc::L,
        LtU => cc::B,
        GtS => cc::G,
        GtU => cc::A,
        LeS => cc::LE,
        LeU => cc::BE,
        GeS => cc::GE,
        GeU => cc::AE,
    }
}

// Operands.

/// A definition in any register.
pub(super) fn def(vreg: VReg) -> Operand {
    Operand { vreg, kind: Kind::Def, constraint: Constraint::Reg }
}
/// A definition in the register of operand 1.
pub(super) fn tied(vreg: VReg) -> Operand {
    Operand { vreg, kind: Kind::Def, constraint: Constraint::Tied(1) }
}
/// A definition while operands are still read: temporaries and results of sequences.
pub(super) fn early(vreg: VReg) -> Operand {
    Operand { vreg, kind: Kind::EarlyDef, constraint: Constraint::Reg }
}
/// A use in any register.
pub(super) fn used(vreg: VReg) -> Operand {
    Operand { vreg, kind: Kind::Use, constraint: Constraint::Reg }
}
/// A use that lasts until the end of the instruction.
pub(super) fn used_late(vreg: VReg) -> Operand {
    Operand { vreg, kind: Kind::LateUse, constraint: Constraint::Reg }
}
/// A use in a certain register.
pub(super) fn fixed(vreg: VReg, r: u8) -> Operand {
    Operand { vreg, kind: Kind::Use, constraint: Constraint::Fixed(PReg(r)) }
}
/// A definition in a certain register.
pub(super) fn fixed_def(vreg: VReg, r: u8) -> Operand {
    Operand { vreg, kind: Kind::Def, constraint: Constraint::Fixed(PReg(r)) }
}
