//! Addresses, loads, stores, atomics.
//!
//! In: memory instructions of the IR. Out: machine instructions with the fullest address that the parts allow: base (a register, the base of
//! memory 0, the context), index, scale, displacement.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`selection`) in which it does not hold:
//! - A sum becomes part of an address only in 64 bits; in 32 only with the prefix that wraps, and no offset.
//! - `memory op= value` takes the same address, offset, index and width of at least 32 bits; the load has no other
//!   use, and is on the left of a difference.
//! - What is stored loses only such extensions and masks as keep all bytes stored.

use super::encode::{Enc, Segment};
use super::inst::{MInst, MOp, Mem, enc};
use super::lower::{Addr, Lower, RmOp, def, early, fixed, fixed_def, tied, used, used_late};
use crate::abi::TrapCode;
use crate::ir::{MemKind, Op, Rmw, Type, Value};
use crate::regalloc::VReg;

/// The instruction that loads an integer, and the width of what it reads.
fn int_load(kind: MemKind, ty: Type) -> (Enc, u8) {
    let w = ty == Type::I64;
    match kind {
        MemKind::S8 => (enc::MOVSX8.w(w), 1),
        MemKind::U8 => (enc::MOVZX8, 1),
        MemKind::S16 => (enc::MOVSX16.w(w), 2),
        MemKind::U16 => (enc::MOVZX16, 2),
        MemKind::S32 => (enc::MOVSXD, 4),
        MemKind::U32 => (enc::MOV, 4),
        _ => (enc::MOV.w(w), ty.bytes() as u8),
    }
}

/// The instruction that loads a float or vector of that kind whole (SSE4.1).
fn vec_load(kind: MemKind, ty: Type) -> Enc {
    match (kind, ty) {
        (MemKind::Whole, Type::F32) | (MemKind::Zero32, _) => enc::MOVSS,
        (MemKind::Whole, Type::F64) => enc::MOVSD,
        (MemKind::Zero64, _) => enc::MOVSD,
        (MemKind::V8x8S, _) => Enc::new(0x66, 2, 0x20),
        (MemKind::V8x8U, _) => Enc::new(0x66, 2, 0x30),
        (MemKind::V16x4S, _) => Enc::new(0x66, 2, 0x23),
        (MemKind::V16x4U, _) => Enc::new(0x66, 2, 0x33),
        (MemKind::V32x2S, _) => Enc::new(0x66, 2, 0x25),
        (MemKind::V32x2U, _) => Enc::new(0x66, 2, 0x35),
        _ => enc::MOVUPS,
    }
}

impl Lower<'_> {
    /// The address of a load or store (pointer or index is the first argument), `extra` bytes further.
    pub(super) fn address_of(&mut self, v: Value, extra: i64) -> Addr {
        let i = *self.f.inst(v);
        if matches!(i.op, Op::Load | Op::Store) {
            let mut a = self.guarded(i.args[0], i.imm + extra);
            a.trap = TrapCode::MemoryOutOfBounds as u8 + 1;
            a.pos = i.pos;
            return a;
        }
        if matches!(i.op, Op::ELoad | Op::EStore) {
            return self.element(v, extra);
        }
        let mut a = self.pointer(i.args[0], i.imm + extra);
        if i.op == Op::FLoad {
            a.trap = i.aux + 1;
            a.pos = i.pos;
        }
        a
    }

    /// The address of an element.
    fn element(&mut self, v: Value, extra: i64) -> Addr {
        let i = *self.f.inst(v);
        let (ty, index) = match i.op {
            Op::ELoad => (i.ty, i.args[1]),
            _ => (self.f.ty(i.args[1]), i.args[2]),
        };
        let scale = MemKind::from_code(i.aux).bytes(ty).min(8) as u8;
        let (object, index) = (self.reg(i.args[0]), self.reg(index));
        Addr { index: Some(index), scale, ..Addr::base(object, (i.imm + extra) as i32) }
    }

    /// A pointer plus a displacement; the base of memory 0 is the segment's if it is in one.
    fn pointer(&mut self, p: Value, disp: i64) -> Addr {
        let i = *self.f.inst(p);
        let is_base = |v: Value| self.f.inst(v).op == Op::MemBase;
        if self.segment && i.op == Op::Add && !self.is_wanted(p) {
            let rest = match (is_base(i.args[0]), is_base(i.args[1])) {
                (true, _) => Some(i.args[1]),
                (_, true) => Some(i.args[0]),
                _ => None,
            };
            if let Some(rest) = rest {
                return Addr { segment: Segment::Gs, ..self.sum(rest, disp) };
            }
        }
        self.sum(p, disp)
    }

    /// Where guarded memory 0 begins, further by a register.
    fn in_memory0(&self, index: Option<VReg>, disp: i32) -> Addr {
        match (self.segment, index) {
            (false, None) => Addr::of(Mem::Memory0, disp),
            (false, Some(r)) => Addr { index: Some(r), scale: 1, ..Addr::of(Mem::Memory0, disp) },
            (true, None) => Addr { segment: Segment::Gs, ..Addr::of(Mem::Absolute, disp) },
            (true, Some(r)) => Addr { segment: Segment::Gs, ..Addr::base(r, disp) },
        }
    }

    /// Guarded memory 0 at an i32 index plus an offset of up to 32 bits.
    fn guarded(&mut self, index: Value, offset: i64) -> Addr {
        if let Some(c) = self.f.as_iconst(index) {
            let at = i64::from(c as u32) + offset;
            if let Ok(disp) = i32::try_from(at) {
                return self.in_memory0(None, disp);
            }
            let t = self.temp(Type::I64);
            self.load_const(t, Type::I64, at);
            return self.in_memory0(Some(t), 0);
        }
        let parts = matches!(self.f.inst(index).op, Op::Add | Op::Shl);
        if self.segment && offset == 0 && parts && !self.is_wanted(index) {
            let sum = self.sum(index, 0);
            return Addr { segment: Segment::Gs32, ..sum };
        }
        let r = self.reg(index);
        if let Ok(disp) = i32::try_from(offset) {
            return self.in_memory0(Some(r), disp);
        }
        let (t, u) = (self.temp(Type::I64), self.temp(Type::I64));
        self.load_const(t, Type::I64, offset);
        let sum = Addr { index: Some(r), scale: 1, ..Addr::base(t, 0) };
        self.emit_rm(MInst::new(MOp::Lea), &[def(u)], RmOp::Mem(sum));
        self.in_memory0(Some(u), 0)
    }

    /// A sum of pointers and integers as an address: constants, one shifted part and two registers at most. Also for `lea` of i32.
    pub(super) fn sum(&mut self, v: Value, disp: i64) -> Addr {
        let mut disp = disp;
        let mut parts: [Option<(Value, u8)>; 2] = [None, None];
        let mut work = [v, Value::NONE, Value::NONE];
        let mut n = 1;
        let mut taken = 0;
        let mut first = true;
        while n > 0 {
            n -= 1;
            let at = work[n];
            let i = *self.f.inst(at);
            let open = first || !self.is_wanted(at);
            first = false;
            match i.op {
                Op::Iconst if i32::try_from(disp.wrapping_add(i.imm)).is_ok() => disp = disp.wrapping_add(i.imm),
                Op::Add if open && self.adds(disp, i.args[1]) => {
                    disp += self.f.inst(i.args[1]).imm;
                    work[n] = i.args[0];
                    n += 1;
                }
                Op::Add if open && taken + n == 0 => {
                    work[0] = i.args[1];
                    work[1] = i.args[0];
                    n = 2;
                }
                Op::Shl if open && parts.iter().flatten().all(|p| p.1 == 1) => {
                    match self.f.as_iconst(i.args[1]) {
                        Some(k @ 1..=3) => parts[taken] = Some((i.args[0], 1 << k)),
                        _ => parts[taken] = Some((at, 1)),
                    }
                    taken += 1;
                }
                _ => {
                    parts[taken] = Some((at, 1));
                    taken += 1;
                }
            }
        }
        self.address_of_parts(parts, disp)
    }

    fn adds(&self, disp: i64, constant: Value) -> bool {
        self.f.as_iconst(constant).is_some_and(|c| i32::try_from(disp.wrapping_add(c)).is_ok())
    }

    fn address_of_parts(&mut self, mut parts: [Option<(Value, u8)>; 2], disp: i64) -> Addr {
        let pinned = |p: Option<(Value, u8)>| p.is_some_and(|p| matches!(self.f.inst(p.0).op, Op::Ctx | Op::MemBase));
        if pinned(parts[1]) {
            parts.swap(0, 1);
        }
        let mut a = Addr::of(Mem::Absolute, 0);
        for (v, scale) in parts.into_iter().flatten() {
            match self.f.inst(v).op {
                Op::Ctx if scale == 1 && a.mem == Mem::Absolute => a.mem = Mem::Context,
                Op::MemBase if scale == 1 && a.mem == Mem::Absolute && !self.segment => a.mem = Mem::Memory0,
                _ => {
                    let r = self.reg_for(v);
                    if scale == 1 && a.mem == Mem::Absolute {
                        a.mem = Mem::Base;
                        a.base = Some(r);
                    } else if a.index.is_none() {
                        a.index = Some(r);
                        a.scale = scale;
                    } else {
                        // A scaled part came first and a base is not free: cannot happen with two parts.
                        let t = self.temp(Type::I64);
                        let sum = Addr { index: a.index, scale: a.scale, ..Addr::base(r, 0) };
                        self.emit_rm(MInst::new(MOp::Lea), &[def(t)], RmOp::Mem(sum));
                        a.index = Some(t);
                        a.scale = 1;
                    }
                }
            }
        }
        match i32::try_from(disp) {
            Ok(d) => a.disp = d,
            Err(_) => {
                let (t, u) = (self.temp(Type::I64), self.temp(Type::I64));
                self.load_const(t, Type::I64, disp);
                self.emit_rm(MInst::new(MOp::Lea), &[def(u)], RmOp::Mem(a));
                a = Addr { index: Some(u), scale: 1, ..Addr::base(t, 0) };
            }
        }
        a
    }

    pub(super) fn load(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let d = self.def(v);
        let kind = if i.op == Op::FLoad { MemKind::Whole } else { MemKind::from_code(i.aux) };
        let addr = self.address_of(v, 0);
        if i.ty.is_int() {
            let (e, size) = int_load(kind, i.ty);
            self.emit_rm(MInst::new(MOp::MovRm).enc(e).size(size), &[def(d)], RmOp::Mem(addr));
            return;
        }
        match kind {
            MemKind::Splat8 | MemKind::Splat16 | MemKind::Splat32 | MemKind::Splat64 => self.load_splat(d, kind, addr),
            _ => self.emit_rm(MInst::new(MOp::SseUn).enc(vec_load(kind, i.ty)), &[def(d)], RmOp::Mem(addr)),
        }
    }

    fn load_splat(&mut self, d: VReg, kind: MemKind, addr: Addr) {
        let avx2 = match kind {
            MemKind::Splat8 => Enc::new(0x66, 2, 0x78),
            MemKind::Splat16 => Enc::new(0x66, 2, 0x79),
            MemKind::Splat32 => Enc::new(0x66, 2, 0x58),
            _ => Enc::new(0xf2, 1, 0x12),
        };
        // movddup is SSE3.
        if kind == MemKind::Splat64 || self.cpu.avx2 {
            let vex = u8::from(kind != MemKind::Splat64);
            self.emit_rm(MInst::new(MOp::SseUn).enc(avx2).cc(vex), &[def(d)], RmOp::Mem(addr));
            return;
        }
        if kind == MemKind::Splat32 {
            let t = self.temp(Type::V128);
            self.emit_rm(MInst::new(MOp::SseUn).enc(enc::MOVSS), &[def(t)], RmOp::Mem(addr));
            let shuffle = Enc::new(0x66, 1, 0x70);
            self.emit_rm(MInst::new(MOp::SseUn).enc(shuffle).imm(0), &[def(d)], RmOp::Reg(t));
            return;
        }
        let t = self.temp(Type::I32);
        let (e, size) = int_load(if kind == MemKind::Splat8 { MemKind::U8 } else { MemKind::U16 }, Type::I32);
        self.emit_rm(MInst::new(MOp::MovRm).enc(e).size(size), &[def(t)], RmOp::Mem(addr));
        self.splat_int(d, t, size);
    }

    pub(super) fn store(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let value = i.args[1];
        let ty = self.f.ty(value);
        let size = MemKind::from_code(i.aux).bytes(ty) as u8;
        if self.store_lane(v) {
            return;
        }
        if !ty.is_int() {
            return self.store_vec(v, value, ty);
        }
        if let Some(c) = self.f.as_iconst(value) {
            let c = if size >= 8 { c } else { i64::from(c as i32) };
            if i32::try_from(c).is_ok() {
                let addr = self.address_of(v, 0);
                self.emit_rm(MInst::new(MOp::StoreImm).size(size).imm(c), &[], RmOp::Mem(addr));
                return;
            }
        }
        if self.store_op(v, value, size) {
            return;
        }
        // The truncations of what is stored are of no interest.
        let r = self.stored(value, size);
        let addr = self.address_of(v, 0);
        self.emit_rm(MInst::new(MOp::Store).size(size), &[used(r)], RmOp::Mem(addr));
    }

    /// The register of a value of which the lowest `size` bytes are stored.
    fn stored(&mut self, value: Value, size: u8) -> VReg {
        let i = *self.f.inst(value);
        if self.is_wanted(value) {
            return self.reg(value);
        }
        let narrow = match i.op {
            Op::Ext8S => 1,
            Op::Ext16S => 2,
            Op::Ext32S | Op::Wrap | Op::ExtU | Op::ExtS => 4,
            Op::And => match self.f.as_iconst(i.args[1]) {
                Some(0xff) => 1,
                Some(0xffff) => 2,
                Some(0xffff_ffff) => 4,
                _ => 0,
            },
            _ => 0,
        };
        if narrow >= size { self.stored(i.args[0], size) } else { self.reg(value) }
    }

    fn store_vec(&mut self, v: Value, value: Value, ty: Type) {
        let e = match ty {
            Type::F32 => enc::MOVSS_STORE,
            Type::F64 => enc::MOVSD_STORE,
            _ => enc::MOVUPS_STORE,
        };
        if ty != Type::V128
            && let Op::Fconst = self.f.inst(value).op
        {
            let c = self.f.inst(value).imm;
            let size = ty.bytes() as u8;
            let c = if size == 4 { i64::from(c as i32) } else { c };
            if i32::try_from(c).is_ok() {
                let addr = self.address_of(v, 0);
                self.emit_rm(MInst::new(MOp::StoreImm).size(size).imm(c), &[], RmOp::Mem(addr));
                return;
            }
        }
        let r = self.reg(value);
        let addr = self.address_of(v, 0);
        self.emit_rm(MInst::new(MOp::VecStore).enc(e), &[used(r)], RmOp::Mem(addr));
    }

    /// `memory op= value`, when the loaded value has no other use and nothing happens between.
    fn store_op(&mut self, v: Value, value: Value, size: u8) -> bool {
        let (i, x) = (*self.f.inst(v), *self.f.inst(value));
        let number = match x.op {
            Op::Add => 0,
            Op::Or => 1,
            Op::And => 4,
            Op::Sub => 5,
            Op::Xor => 6,
            _ => return false,
        };
        if self.is_wanted(value) || self.s.uses[value.index()] != 1 || size < 4 {
            return false;
        }
        let same = |l: Value| {
            let li = self.f.inst(l);
            let (load, index) = match i.op {
                Op::Store => (Op::Load, Value::NONE),
                Op::EStore => (Op::ELoad, i.args[2]),
                _ => (Op::PLoad, Value::NONE),
            };
            li.op == load
                && li.args[0] == i.args[0]
                && li.args[1] == index
                && li.imm == i.imm
                && li.idx == i.idx
                && MemKind::from_code(li.aux) == MemKind::Whole
                && li.ty.bytes() as u8 == size
                && self.can_fold(l)
        };
        let (load, other) = if same(x.args[0]) {
            (x.args[0], x.args[1])
        } else if number != 5 && same(x.args[1]) {
            (x.args[1], x.args[0])
        } else {
            return false;
        };
        if let Some(imm) = self.imm32(other) {
            let addr = self.fold(load);
            self.emit_rm(MInst::new(MOp::AluStoreImm).size(size).cc(number).imm(imm), &[], RmOp::Mem(addr));
            return true;
        }
        let r = self.reg_for(other);
        let addr = self.fold(load);
        self.emit_rm(MInst::new(MOp::AluStore).size(size).cc(number), &[used(r)], RmOp::Mem(addr));
        true
    }

    // ---- atomics

    fn atomic_address(&mut self, v: Value) -> Addr {
        let i = *self.f.inst(v);
        let mut a = self.pointer(i.args[0], i.imm);
        a.trap = TrapCode::MemoryOutOfBounds as u8 + 1;
        a.pos = i.pos;
        a
    }

    pub(super) fn atomic(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let kind = MemKind::from_code(i.aux);
        match i.op {
            Op::Fence => self.emit(MInst::new(MOp::Fence), &[]),
            Op::AtomicLoad => {
                let d = self.def(v);
                let addr = self.atomic_address(v);
                let (e, size) = int_load(kind, i.ty);
                self.emit_rm(MInst::new(MOp::MovRm).enc(e).size(size), &[def(d)], RmOp::Mem(addr));
            }
            Op::AtomicStore => {
                let size = kind.bytes(self.f.ty(i.args[1])) as u8;
                let t = self.temp(Type::I64);
                let r = self.reg(i.args[1]);
                let addr = self.atomic_address(v);
                self.emit_rm(MInst::new(MOp::AtomicXchg).size(size), &[tied(t), used(r)], RmOp::Mem(addr));
            }
            Op::AtomicCas => {
                let size = kind.bytes(i.ty) as u8;
                let old = self.temp(i.ty);
                let (expected, new) = (self.reg(i.args[1]), self.reg(i.args[2]));
                let addr = self.atomic_address(v);
                let ops = [fixed_def(old, 0), fixed(expected, 0), used_late(new)];
                self.emit_rm(MInst::new(MOp::AtomicCas).size(size), &ops, RmOp::Mem(addr));
                self.widen(v, old, size);
            }
            _ => self.atomic_rmw(v, kind.bytes(i.ty) as u8),
        }
    }

    fn atomic_rmw(&mut self, v: Value, size: u8) {
        let i = *self.f.inst(v);
        let rmw = Rmw::from_code(i.idx as u8);
        let old = self.temp(i.ty);
        let r = self.reg(i.args[1]);
        match rmw {
            Rmw::Xchg | Rmw::Add | Rmw::Sub => {
                let mut r = r;
                if rmw == Rmw::Sub {
                    let t = self.temp(i.ty);
                    self.emit(MInst::new(MOp::Unary).size(i.ty.bytes() as u8).cc(3), &[tied(t), used(r)]);
                    r = t;
                }
                let op = if rmw == Rmw::Xchg { MOp::AtomicXchg } else { MOp::AtomicXadd };
                let addr = self.atomic_address(v);
                self.emit_rm(MInst::new(op).size(size), &[tied(old), used(r)], RmOp::Mem(addr));
            }
            Rmw::And | Rmw::Or | Rmw::Xor => {
                let number = match rmw {
                    Rmw::And => 4,
                    Rmw::Or => 1,
                    _ => 6,
                };
                let t = self.temp(i.ty);
                let addr = self.atomic_address(v);
                let result = crate::regalloc::Operand { kind: crate::regalloc::Kind::EarlyDef, ..fixed_def(old, 0) };
                let ops = [result, early(t), used(r)];
                self.emit_rm(MInst::new(MOp::AtomicLoop).size(size).cc(number), &ops, RmOp::Mem(addr));
            }
        }
        self.widen(v, old, size);
    }

    /// Zero-extends the old value of a narrow access.
    fn widen(&mut self, v: Value, old: VReg, size: u8) {
        let d = self.def(v);
        let e = match size {
            1 => enc::MOVZX8,
            2 => enc::MOVZX16,
            4 => enc::MOV,
            _ => {
                self.emit_rm(MInst::new(MOp::Copy), &[def(d)], RmOp::Reg(old));
                return;
            }
        };
        self.emit_rm(MInst::new(MOp::MovRm).enc(e).size(size), &[def(d)], RmOp::Reg(old));
    }
}
