//! Single lanes: into all lanes, out of a vector, into one, and to memory.
//!
//! In: splats, extractions, replacements; stores of extracted lanes. Out: broadcasts, `pextr` and `pinsr`, with memory in
//! place of the scalar where a load or store is at the other end. Invariant: an i32 that comes out is zero-extended.

use super::{PSHUFB, PSHUFD, ext, ext_imm, int};
use crate::ir::{MemKind, Op, SimdOp, Type, Value};
use crate::regalloc::VReg;
use crate::x64::encode::Enc;
use crate::x64::inst::{MInst, MOp, enc};
use crate::x64::lower::{Addr, Lower, RmOp, def, tied, used};

const MOVDDUP: Enc = Enc::new(0xf2, 1, 0x12);
pub(super) const PSHUFLW: Enc = Enc::new(0xf2, 1, 0x70);
const BROADCAST8: Enc = ext(0x78);
const BROADCAST16: Enc = ext(0x79);
const BROADCAST32: Enc = ext(0x18);
const INSERTPS: Enc = ext_imm(0x21);
/// 64 bits of memory into the lower half.
const MOVLPS: Enc = Enc::new(0, 1, 0x12);
/// 64 bits of memory, or the lower half of a register, into the upper half.
const MOVHPS: Enc = Enc::new(0, 1, 0x16);

const BYTE: &[MemKind] = &[MemKind::S8, MemKind::U8];
const WORD: &[MemKind] = &[MemKind::S16, MemKind::U16];
const WHOLE: &[MemKind] = &[MemKind::Whole];

/// Width of the lane that an extraction takes.
fn lane_bytes(op: SimdOp) -> u8 {
    use SimdOp::*;
    match op {
        I8x16ExtractLaneS | I8x16ExtractLaneU => 1,
        I16x8ExtractLaneS | I16x8ExtractLaneU => 2,
        I32x4ExtractLane | F32x4ExtractLane => 4,
        _ => 8,
    }
}

impl Lower<'_> {
    /// The address of a load of such a kind, if it can be folded.
    fn fold_load(&mut self, v: Value, kinds: &[MemKind]) -> Option<Addr> {
        let i = self.f.inst(v);
        let loads =
            matches!(i.op, Op::Load | Op::PLoad | Op::ELoad | Op::CLoad) && kinds.contains(&MemKind::from_code(i.aux));
        (loads && self.can_fold(v)).then(|| self.fold(v))
    }

    // ---- splats

    pub(super) fn splat(&mut self, v: Value, op: SimdOp) {
        let d = self.def(v);
        let x = self.f.inst(v).args[0];
        if let Some(bits) = self.vector_bits(v) {
            let r = self.vector_const(bits);
            return self.copy_to(d, r);
        }
        let (kinds, broadcast, have, size) = match op {
            SimdOp::I8x16Splat => (BYTE, BROADCAST8, self.cpu.avx2, 1),
            SimdOp::I16x8Splat => (WORD, BROADCAST16, self.cpu.avx2, 2),
            SimdOp::I32x4Splat => (WHOLE, BROADCAST32, self.cpu.avx, 4),
            SimdOp::I64x2Splat => (WHOLE, MOVDDUP, true, 8),
            SimdOp::F32x4Splat => return self.splat_single(d, x),
            _ => {
                // A register or eight bytes of memory.
                let x = self.rm(x);
                return self.one_to(d, MOVDDUP, x);
            }
        };
        if have && let Some(addr) = self.fold_load(x, kinds) {
            return self.one_to(d, broadcast, RmOp::Mem(addr));
        }
        if size == 4 {
            let x = self.rm(x);
            let t = self.vector_of_int(x, 4);
            return self.one_imm_to(d, PSHUFD, t, 0);
        }
        let x = self.reg_for(x);
        self.splat_int(d, x, size);
    }

    fn splat_single(&mut self, d: VReg, x: Value) {
        let x = self.rm(x);
        match x {
            RmOp::Reg(_) if self.cpu.avx2 => self.one_to(d, BROADCAST32, x),
            RmOp::Mem(_) if self.cpu.avx => self.one_to(d, BROADCAST32, x),
            RmOp::Mem(_) => {
                let t = self.one(enc::MOVSS, x);
                self.one_imm_to(d, PSHUFD, t, 0);
            }
            // A spill slot of a float is too narrow for this one.
            RmOp::Reg(x) => self.pshufd_of_float(d, x, 0),
        }
    }

    fn pshufd_of_float(&mut self, d: VReg, a: VReg, imm: u8) {
        let inst = MInst::new(MOp::SseUn).enc(PSHUFD).cc(u8::from(self.cpu.avx)).imm(i64::from(imm));
        self.emit(inst, &[def(d), used(a)]);
    }

    fn vector_of_int(&mut self, x: RmOp, size: u8) -> VReg {
        let d = self.temp(Type::V128);
        let e = enc::MOVD_FROM.w(size == 8);
        self.emit_rm(MInst::new(MOp::FromGpr).enc(e).size(size), &[def(d)], x);
        d
    }

    /// The lowest `size` bytes of an integer register into all lanes.
    pub(in crate::x64) fn splat_int(&mut self, d: VReg, t: VReg, size: u8) {
        let x = self.vector_of_int(RmOp::Reg(t), size);
        match size {
            1 if self.cpu.avx2 => self.one_to(d, BROADCAST8, x),
            1 => {
                let zero = self.zero();
                self.two_to(d, PSHUFB, x, zero);
            }
            2 if self.cpu.avx2 => self.one_to(d, BROADCAST16, x),
            2 => {
                let low = self.one_imm(PSHUFLW, x, 0);
                self.one_imm_to(d, PSHUFD, low, 0);
            }
            4 => self.one_imm_to(d, PSHUFD, x, 0),
            _ => self.one_imm_to(d, PSHUFD, x, 0x44),
        }
    }

    // ---- extractions

    pub(super) fn extract_lane(&mut self, v: Value, op: SimdOp) {
        let i = *self.f.inst(v);
        let (d, lane) = (self.def(v), i.aux);
        let a = self.vreg(i.args[0]);
        match op {
            SimdOp::F32x4ExtractLane | SimdOp::F64x2ExtractLane if lane == 0 => self.copy_to(d, a),
            SimdOp::F32x4ExtractLane => self.one_imm_to(d, PSHUFD, a, lane),
            SimdOp::F64x2ExtractLane => self.one_imm_to(d, PSHUFD, a, 0xee),
            SimdOp::I8x16ExtractLaneS => self.extract_extended(d, a, lane, 1, enc::MOVSX8),
            SimdOp::I16x8ExtractLaneS => self.extract_extended(d, a, lane, 2, enc::MOVSX16),
            SimdOp::I8x16ExtractLaneU if lane == 0 => self.extract_extended(d, a, lane, 1, enc::MOVZX8),
            _ => self.extract_int(d, a, lane, lane_bytes(op)),
        }
    }

    /// A lane, zero-extended.
    fn extract_int(&mut self, d: VReg, a: VReg, lane: u8, size: u8) {
        let wide = size == 8;
        let inst = match size {
            1 => MInst::new(MOp::ToGpr).enc(ext_imm(0x14)).imm(i64::from(lane)),
            2 => {
                // Here the integer is in the other field.
                let inst = MInst::new(MOp::SseUn).enc(int(0xc5)).cc(u8::from(self.cpu.avx)).imm(i64::from(lane));
                return self.emit(inst, &[def(d), used(a)]);
            }
            _ if lane == 0 => MInst::new(MOp::ToGpr).enc(enc::MOVD_TO.w(wide)),
            _ => MInst::new(MOp::ToGpr).enc(ext_imm(0x16).w(wide)).imm(i64::from(lane)),
        };
        self.emit(inst, &[def(d), used(a)]);
    }

    /// A narrow lane by way of a register; the first one comes with its neighbours, which is quicker.
    fn extract_extended(&mut self, d: VReg, a: VReg, lane: u8, size: u8, extend: Enc) {
        let t = self.temp(Type::I32);
        self.extract_int(t, a, lane, if lane == 0 { 4 } else { size });
        self.emit_rm(MInst::new(MOp::MovRm).enc(extend).size(size), &[def(d)], RmOp::Reg(t));
    }

    // ---- replacements

    pub(super) fn replace_lane(&mut self, v: Value, op: SimdOp) {
        let i = *self.f.inst(v);
        let (d, lane, x) = (self.def(v), i.aux, i.args[1]);
        let (kinds, e) = match op {
            SimdOp::I8x16ReplaceLane => (BYTE, ext_imm(0x20)),
            SimdOp::I16x8ReplaceLane => (WORD, int(0xc4)),
            SimdOp::I32x4ReplaceLane => (WHOLE, ext_imm(0x22)),
            SimdOp::I64x2ReplaceLane => (WHOLE, ext_imm(0x22).wide()),
            SimdOp::F32x4ReplaceLane => return self.insert_single(d, i.args[0], x, lane),
            _ => return self.insert_double(d, i.args[0], x, lane),
        };
        let x = match self.fold_load(x, kinds) {
            Some(addr) => RmOp::Mem(addr),
            None => RmOp::Reg(self.reg_for(x)),
        };
        let a = self.vreg(i.args[0]);
        self.two_imm_to(d, e, a, x, lane);
    }

    fn insert_single(&mut self, d: VReg, a: Value, x: Value, lane: u8) {
        let xi = *self.f.inst(x);
        let from_vector = xi.op == Op::VExtract && !self.is_wanted(x);
        if from_vector {
            let (a, from) = (self.vreg(a), self.vreg(xi.args[0]));
            // From memory it would take the first lane.
            let inst = MInst::new(MOp::Avx).enc(INSERTPS).imm(i64::from(xi.aux << 6 | lane << 4));
            return self.emit_two_registers(inst, d, a, from);
        }
        let x = self.rm(x);
        let a = self.vreg(a);
        self.two_imm_to(d, INSERTPS, a, x, lane << 4);
    }

    fn insert_double(&mut self, d: VReg, a: Value, x: Value, lane: u8) {
        let x = self.rm(x);
        let a = self.vreg(a);
        match x {
            _ if lane == 1 => self.two_to(d, MOVHPS, a, x),
            RmOp::Mem(_) => self.two_to(d, MOVLPS, a, x),
            // The memory form would clear the upper half.
            RmOp::Reg(x) => self.emit_two_registers(MInst::new(MOp::Avx).enc(enc::MOVSD), d, a, x),
        }
    }

    fn emit_two_registers(&mut self, inst: MInst, d: VReg, a: VReg, b: VReg) {
        if self.cpu.avx {
            self.emit(inst, &[def(d), used(a), used(b)]);
        } else {
            self.emit(MInst { op: MOp::Sse, ..inst }, &[tied(d), used(a), used(b)]);
        }
    }

    // ---- stores

    /// A store of a lane that nothing else wants, without the way through a scalar register.
    pub(in crate::x64) fn store_lane(&mut self, v: Value) -> bool {
        let i = *self.f.inst(v);
        let x = *self.f.inst(i.args[1]);
        if x.op != Op::VExtract || self.is_wanted(i.args[1]) {
            return false;
        }
        let size = MemKind::from_code(i.aux).bytes(x.ty) as u8;
        let width = lane_bytes(SimdOp::from_code(x.idx));
        if size > width {
            return false;
        }
        // In lanes of the width that is stored.
        let lane = x.aux * (width / size);
        let (e, imm) = match (size, lane) {
            (1, _) => (ext_imm(0x14), Some(lane)),
            (2, _) => (ext_imm(0x15), Some(lane)),
            (4, 0) => (enc::MOVSS_STORE, None),
            (4, _) => (ext_imm(0x16), Some(lane)),
            (_, 0) => (Enc::new(0, 1, 0x13), None),
            _ => (Enc::new(0, 1, 0x17), None),
        };
        let inst = MInst::new(MOp::VecStore).enc(e).cc(u8::from(self.cpu.avx));
        let inst = imm.map_or(inst, |n| inst.imm(i64::from(n)));
        let r = self.vreg(x.args[0]);
        let addr = self.address_of(v, 0);
        self.emit_rm(inst, &[used(r)], RmOp::Mem(addr));
        true
    }
}
