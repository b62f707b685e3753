//! Calls, returns, and the function's arguments.
//!
//! In: calls of the IR. Out: moves to and from the places of the convention as fixed operands, accesses to the argument area, and one
//! instruction for the call.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`calls`) in which it does not hold:
//! - An i32 is passed and returned zero-extended, in registers and in the area, whoever is at the other end.
//! - A tail call passes what does not fit into registers through the area, so the frame's own size does not
//!   matter.

use super::inst::{CALL_CLOBBERS, MInst, MOp, Mem, enc};
use super::lower::{Addr, CallInfo, Lower, RmOp, Target, def, fixed, fixed_def, used};
use crate::RelocTarget;
use crate::abi::{ARG_AREA_STRIDE, Helper, HelperResult, INT_ARGS, INT_RESULTS, TrapCode, VEC_ARGS, VEC_RESULTS};
use crate::ir::{Op, Type, Value};
use crate::regalloc::{Operand, PReg, VReg};
use wasm::layout::context;

/// Registers of a C function's arguments behind the context.
const C_ARGS: [u8; 5] = [6, 2, 1, 8, 9];

/// Assigns places of one list of values after another.
struct Places {
    ints: std::slice::Iter<'static, u8>,
    vecs: std::slice::Iter<'static, u8>,
    area: i32,
}

impl Places {
    fn args() -> Places {
        Places { ints: INT_ARGS.iter(), vecs: VEC_ARGS.iter(), area: 0 }
    }
    fn results() -> Places {
        Places { ints: INT_RESULTS.iter(), vecs: VEC_RESULTS.iter(), area: 0 }
    }
    /// The register (allocator's number), or the offset in the argument area.
    fn next(&mut self, ty: Type) -> Result<u8, i32> {
        let r = if ty.is_int() { self.ints.next().copied() } else { self.vecs.next().map(|&r| r + 16) };
        r.ok_or_else(|| {
            self.area += ARG_AREA_STRIDE as i32;
            self.area - ARG_AREA_STRIDE as i32
        })
    }
}

impl Lower<'_> {
    fn area_pointer(&mut self) -> VReg {
        let t = self.temp(Type::I64);
        let at = Addr::of(Mem::Context, context::ARGS as i32);
        self.emit_rm(MInst::new(MOp::MovRm).enc(enc::MOV.wide()), &[def(t)], RmOp::Mem(at));
        t
    }

    fn area_load(&mut self, area: VReg, d: VReg, ty: Type, at: i32) {
        let addr = RmOp::Mem(Addr::base(area, at));
        match ty {
            Type::I32 => self.emit_rm(MInst::new(MOp::MovRm).enc(enc::MOV).size(4), &[def(d)], addr),
            Type::F32 => self.emit_rm(MInst::new(MOp::SseUn).enc(enc::MOVSS), &[def(d)], addr),
            Type::F64 => self.emit_rm(MInst::new(MOp::SseUn).enc(enc::MOVSD), &[def(d)], addr),
            Type::V128 => self.emit_rm(MInst::new(MOp::SseUn).enc(enc::MOVUPS), &[def(d)], addr),
            _ => self.emit_rm(MInst::new(MOp::MovRm).enc(enc::MOV.wide()), &[def(d)], addr),
        }
    }

    fn area_store(&mut self, area: VReg, v: Value, at: i32) {
        let r = self.reg(v);
        let addr = RmOp::Mem(Addr::base(area, at));
        match self.f.ty(v) {
            Type::F32 => self.emit_rm(MInst::new(MOp::VecStore).enc(enc::MOVSS_STORE), &[used(r)], addr),
            Type::F64 => self.emit_rm(MInst::new(MOp::VecStore).enc(enc::MOVSD_STORE), &[used(r)], addr),
            Type::V128 => self.emit_rm(MInst::new(MOp::VecStore).enc(enc::MOVUPS_STORE), &[used(r)], addr),
            _ => self.emit_rm(MInst::new(MOp::Store).size(8), &[used(r)], addr),
        }
    }

    /// The function's arguments, at the start of the entry block.
    pub(super) fn entry(&mut self) {
        let mut arguments = std::mem::take(&mut self.arguments);
        arguments.sort_unstable_by_key(|&v| self.f.inst(v).idx);
        let mut arguments = arguments.into_iter().peekable();
        let mut places = Places::args();
        let mut ops = Vec::new();
        let mut in_area = Vec::new();
        for (n, &ty) in self.f.params.iter().enumerate() {
            let place = places.next(ty);
            if let Some(v) = arguments.next_if(|&v| self.f.inst(v).idx as usize == n)
                && self.is_wanted(v)
            {
                let d = self.def(v);
                match place {
                    Ok(r) => ops.push(fixed_def(d, r)),
                    Err(at) => in_area.push((d, ty, at)),
                }
            }
        }
        self.emit(MInst::new(MOp::Entry), &ops);
        if !in_area.is_empty() {
            let area = self.area_pointer();
            for (d, ty, at) in in_area {
                self.area_load(area, d, ty, at);
            }
        }
    }

    /// Puts arguments into their places: fixed uses, and stores to the area.
    fn pass(&mut self, args: &[Value], mut places: Places) -> Vec<Operand> {
        let mut ops = Vec::with_capacity(args.len() + 4);
        let mut area = None;
        for &a in args {
            match places.next(self.f.ty(a)) {
                Ok(r) => {
                    let v = self.reg(a);
                    ops.push(fixed(v, r));
                }
                Err(at) => {
                    let pointer = match area {
                        Some(p) => p,
                        None => *area.insert(self.area_pointer()),
                    };
                    self.area_store(pointer, a, at);
                }
            }
        }
        ops
    }

    pub(super) fn call(&mut self, v: Value) {
        self.has_calls = true;
        let i = *self.f.inst(v);
        if i.op == Op::Helper {
            return self.helper(v);
        }
        let args: Vec<Value> = self.f.args(v).to_vec();
        let (target, args, reference) = self.target(i.op, i.idx, &args);
        // Results: the value itself is the first, projections are the others.
        let mut wanted: Vec<(u32, Value)> = std::mem::take(&mut self.projections);
        if i.ty != Type::Void {
            wanted.push((0, v));
        }
        wanted.sort_unstable_by_key(|w| w.0);
        let types = self.result_types(v, i.op, i.idx);
        let mut places = Places::results();
        let (mut defs, mut in_area) = (Vec::new(), Vec::new());
        let mut wanted = wanted.into_iter().peekable();
        for (n, ty) in types.into_iter().enumerate() {
            let place = places.next(ty);
            if let Some((_, w)) = wanted.next_if(|w| w.0 as usize == n)
                && self.is_wanted(w)
            {
                let d = self.def(w);
                match place {
                    Ok(r) => defs.push(fixed_def(d, r)),
                    Err(at) => in_area.push((d, ty, at)),
                }
            }
        }
        let mut ops = defs.clone();
        ops.extend(self.pass(args, Places::args()));
        if let Some(f) = reference {
            let r = self.reg(f);
            ops.push(fixed(r, 0));
        }
        let edge = (i.aux != 0).then(|| self.f.terminator(self.block)).flatten();
        let catches = edge.map(|t| self.f.inst(t).aux);
        self.emit_call(CallInfo { target, tail: false, catches }, ops, &defs);
        if !in_area.is_empty() {
            let area = self.area_pointer();
            for (d, ty, at) in in_area {
                self.area_load(area, d, ty, at);
            }
        }
    }

    fn emit_call(&mut self, info: CallInfo, ops: Vec<Operand>, defs: &[Operand]) {
        let mut clobbers = CALL_CLOBBERS;
        for d in defs {
            if let crate::regalloc::Constraint::Fixed(PReg(r)) = d.constraint {
                clobbers &= !(1 << r);
            }
        }
        self.calls.push(info);
        let n = self.calls.len() as i64 - 1;
        self.emit_clobbering(MInst::new(MOp::Call).imm(n), &ops, if info.tail { 0 } else { clobbers });
    }

    fn target<'v>(&self, op: Op, idx: u32, args: &'v [Value]) -> (Target, &'v [Value], Option<Value>) {
        let ty = wasm::TypeId(idx);
        match op {
            Op::Call | Op::TailCall => {
                let own = idx - self.env.module.imported_funcs();
                (Target::Reloc(RelocTarget::Func(own)), args, None)
            }
            Op::CallNear | Op::TailCallNear => (Target::Near, &args[1..], Some(args[0])),
            Op::CallFar | Op::TailCallFar => {
                (Target::Reloc(RelocTarget::ReferenceAdapter(ty)), &args[1..], Some(args[0]))
            }
            _ => (Target::Any(ty), &args[1..], Some(args[0])),
        }
    }

    fn result_types(&self, v: Value, op: Op, idx: u32) -> Vec<Type> {
        let id = match op {
            Op::Call => self.env.module.funcs[idx as usize],
            _ => wasm::TypeId(idx),
        };
        match self.env.types.func(id) {
            Some(ty) => ty.results.iter().map(|&t| Type::of(t)).collect(),
            // Only functions have such types; the value's own type is what is known.
            None => vec![self.f.ty(v)],
        }
    }

    fn helper(&mut self, v: Value) {
        self.has_helpers = true;
        let i = *self.f.inst(v);
        let helper = Helper::ALL[i.idx as usize];
        let (_, _, result) = helper.signature();
        let (mut ops, mut defs) = (Vec::new(), Vec::new());
        if i.ty != Type::Void && self.is_wanted(v) {
            let d = self.def(v);
            let raw = if i.ty == Type::I32 { self.temp(Type::I64) } else { d };
            defs.push(fixed_def(raw, 0));
        }
        ops.extend_from_slice(&defs);
        for (n, &a) in self.f.args(v).iter().enumerate() {
            let r = self.reg(a);
            ops.push(fixed(r, C_ARGS[n]));
        }
        let target = Target::Helper(i.idx as u16, result == HelperResult::Fallible);
        // A failure is seen in rdx.
        self.emit_call(CallInfo { target, tail: false, catches: None }, ops, &defs);
        if result == HelperResult::Fallible
            && let Some(last) = self.buf_last()
        {
            last.trap = TrapCode::Raised as u8 + 1;
        }
        if let (Type::I32, Some(raw)) = (i.ty, defs.first()) {
            let d = self.def(v);
            self.emit_rm(MInst::new(MOp::MovRm).enc(enc::MOV).size(4), &[def(d)], RmOp::Reg(raw.vreg));
        }
    }

    pub(super) fn return_(&mut self, v: Value) {
        let args: Vec<Value> = self.f.args(v).to_vec();
        let ops = self.pass(&args, Places::results());
        self.emit(MInst::new(MOp::Ret), &ops);
    }

    pub(super) fn tail_call(&mut self, v: Value) {
        let i = *self.f.inst(v);
        let args: Vec<Value> = self.f.args(v).to_vec();
        let (target, args, reference) = self.target(i.op, i.idx, &args);
        let mut ops = self.pass(args, Places::args());
        if let Some(f) = reference {
            let r = self.reg(f);
            ops.push(fixed(r, 0));
        }
        self.emit_call(CallInfo { target, tail: true, catches: None }, ops, &[]);
    }
}
