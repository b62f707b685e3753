//! Checks that a function is well formed.
//!
//! Structure (terminators, predecessors, the rule about edges), arguments (number, types), and dominance. Only blocks that
//! can be reached and what they need are looked at.

use super::cfg::Cfg;
use super::{Arity, Block, Func, Inst, MemKind, Op, SimdOp, Type, Value};
use crate::ir::simd::SimdForm;

type Check = Result<(), String>;

impl Func {
    /// Checks the function.
    ///
    /// # Errors
    /// The first thing found wrong, with the function's text.
    pub fn verify(&self) -> Result<(), String> {
        let cfg = Cfg::new(self);
        Verifier { f: self, cfg, place: Vec::new() }.run().map_err(|e| format!("{e}\n{}", self.print()))
    }
}

struct Verifier<'a> {
    f: &'a Func,
    cfg: Cfg,
    /// Per value: block and position of its definition (pure ones: the deepest of their arguments'); `None` if unknown.
    place: Vec<Option<(Block, u32)>>,
}

fn ensure(ok: bool, message: impl FnOnce() -> String) -> Check {
    if ok { Ok(()) } else { Err(message()) }
}

impl Verifier<'_> {
    fn run(&mut self) -> Check {
        for i in 0..self.cfg.rpo.len() {
            self.block(self.cfg.rpo[i])?;
        }
        self.place = vec![None; self.f.insts.len()];
        for &b in &self.cfg.rpo {
            let data = &self.f.blocks[b.index()];
            for &p in &data.params {
                ensure(self.f.inst(p).op == Op::Param && self.f.inst(p).idx == b.0, || format!("{p} is no parameter"))?;
                self.place[p.index()] = Some((b, 0));
            }
            for (n, &v) in data.insts.iter().enumerate() {
                ensure(self.place[v.index()].is_none(), || format!("{v} is in two places"))?;
                self.place[v.index()] = Some((b, n as u32 + 1));
            }
            // The results of a call that may come back with an exception exist where it did not.
            if let (Some(results), Some(t)) = (self.f.catching_call(b), self.f.terminator(b)) {
                let on = Block(self.f.inst(t).imm as u32);
                results.iter().for_each(|v| self.place[v.index()] = Some((on, 0)));
            }
        }
        for i in 0..self.cfg.rpo.len() {
            let b = self.cfg.rpo[i];
            for (n, &v) in self.f.blocks[b.index()].insts.iter().enumerate() {
                self.inst(v).map_err(|e| format!("{v} in {b}: {e}"))?;
                if let Some([call, results @ ..]) = self.f.catching_call(b)
                    && results.contains(&v)
                {
                    ensure(self.f.args(v) == [*call], || format!("{v} in {b} is not of the call before it"))?;
                    continue;
                }
                for &a in self.f.args(v) {
                    self.dominates(a, (b, n as u32 + 1)).map_err(|e| format!("{v} in {b}: {e}"))?;
                }
            }
        }
        Ok(())
    }

    /// Terminator, predecessors, edges.
    fn block(&self, b: Block) -> Check {
        let f = self.f;
        let data = &f.blocks[b.index()];
        ensure(f.terminator(b).is_some(), || format!("{b} has no terminator"))?;
        let early = data.insts[..data.insts.len() - 1].iter().find(|v| f.inst(**v).op.is_terminator());
        ensure(early.is_none(), || format!("{b} has a terminator in its middle"))?;
        let mut succs = Vec::new();
        f.successors(b, |s| succs.push(s));
        for &s in &succs {
            let to = &f.blocks[s.index()];
            ensure(to.preds.contains(&b), || format!("{s} does not know its predecessor {b}"))?;
            if succs.len() > 1 {
                ensure(to.preds.iter().all(|&p| p == b), || format!("the edge from {b} to {s} is critical"))?;
                ensure(to.params.is_empty(), || format!("{s} has parameters, and {b} several successors"))?;
            }
        }
        if let Some(t) = f.terminator(b)
            && matches!(f.inst(t).op, Op::BrIf | Op::CatchEdge)
        {
            ensure(succs[0] != succs[1], || format!("{b} branches to one block either way"))?;
        }
        self.catching(b)?;
        for &p in data.preds.iter().filter(|p| self.cfg.reachable(**p)) {
            let mut found = false;
            f.successors(p, |s| found |= s == b);
            ensure(found, || format!("{p} is not a predecessor of {b}"))?;
            ensure(data.preds.iter().filter(|q| **q == p).count() == 1, || {
                format!("{b} has {p} twice as predecessor")
            })?;
        }
        Ok(())
    }

    /// A marked call ends its block but for its projections and a `catch_edge`, which comes behind such a call only.
    fn catching(&self, b: Block) -> Check {
        let f = self.f;
        let insts = &f.blocks[b.index()].insts;
        let marked = |v: &&Value| f.inst(**v).op.is_catching(f.inst(**v).aux);
        let call = f.catching_call(b).and_then(<[Value]>::first);
        let edge = f.terminator(b).is_some_and(|t| f.inst(t).op == Op::CatchEdge);
        ensure(!edge || call.is_some_and(|c| marked(&c)), || format!("{b} ends in a catch_edge without its call"))?;
        ensure(insts.iter().filter(marked).all(|v| Some(v) == call), || {
            format!("{b} has a call that catches without a catch_edge behind it")
        })
    }

    /// Where a value can be used from: its definition, or for floating ones the deepest of their arguments'.
    fn place_of(&mut self, v: Value) -> Result<(Block, u32), String> {
        let mut stack = vec![v];
        while let Some(&at) = stack.last() {
            ensure(at.index() < self.f.insts.len(), || format!("{at} does not exist"))?;
            if self.place[at.index()].is_some() {
                stack.pop();
                continue;
            }
            let op = self.f.inst(at).op;
            ensure(op.is_pure(), || format!("{at} ({}) is in no block", op.text()))?;
            ensure(stack.len() <= self.f.insts.len(), || format!("{at} needs itself"))?;
            let args = self.f.args(at);
            ensure(args.iter().all(|a| a.index() < self.f.insts.len()), || format!("{at} lacks an argument"))?;
            match args.iter().find(|a| self.place[a.index()].is_none()) {
                Some(&a) => stack.push(a),
                None => {
                    let mut deepest = (Func::ENTRY, 0);
                    for a in args {
                        let p = self.place[a.index()].unwrap_or(deepest);
                        if self.earlier(deepest, p) {
                            deepest = p;
                        } else {
                            ensure(self.earlier(p, deepest), || format!("the arguments of {at} have no common place"))?;
                        }
                    }
                    self.place[at.index()] = Some(deepest);
                    self.inst(at).map_err(|e| format!("{at}: {e}"))?;
                    stack.pop();
                }
            }
        }
        self.place[v.index()].ok_or_else(|| format!("{v} has no place"))
    }

    /// Whether `a` is before or at `b` on all ways to `b`.
    fn earlier(&self, a: (Block, u32), b: (Block, u32)) -> bool {
        if a.0 == b.0 { a.1 <= b.1 } else { self.cfg.dominates(a.0, b.0) }
    }

    fn dominates(&mut self, a: Value, user: (Block, u32)) -> Check {
        let at = self.place_of(a)?;
        let before = if at.0 == user.0 { at.1 < user.1 } else { self.cfg.dominates(at.0, user.0) };
        ensure(before, || format!("{a} is not defined on all ways here"))
    }

    fn inst(&self, v: Value) -> Check {
        let f = self.f;
        let i = f.inst(v);
        if let Arity::Fixed(n) = i.op.arity() {
            let missing = i.args[..usize::from(n)].iter().any(|a| a.index() >= f.insts.len());
            ensure(!missing, || "an argument is missing".into())?;
        }
        for &a in f.args(v) {
            ensure(a.index() < f.insts.len() && f.ty(a) != Type::Void, || format!("{a} is no value"))?;
        }
        self.types(v, i)
    }

    fn expect(&self, i: &Inst, result: Type, args: &[Type]) -> Check {
        ensure(i.ty == result, || format!("{} gives {result}", i.op.text()))?;
        for (n, (&a, &t)) in i.args.iter().zip(args).enumerate() {
            let have = self.f.ty(a);
            ensure(have == t, || format!("argument {n} of {} is {have}, not {t}", i.op.text()))?;
        }
        Ok(())
    }

    fn types(&self, v: Value, i: &Inst) -> Check {
        use Op as O;
        let ty = |n: usize| self.f.ty(i.args[n]);
        let t = i.ty;
        let int = || ensure(t.is_int(), || format!("{} of {t}", i.op.text()));
        let float = || ensure(matches!(t, Type::F32 | Type::F64), || format!("{} of {t}", i.op.text()));
        match i.op {
            O::Iconst | O::TypeId => int(),
            O::Fconst => float(),
            O::Vconst => self.expect(i, Type::V128, &[]),
            O::Ctx | O::MemBase => self.expect(i, Type::I64, &[]),
            O::Add | O::Sub | O::Mul | O::MulHiS | O::MulHiU | O::And | O::Or | O::Xor | O::Shl | O::ShrS | O::ShrU => {
                int().and_then(|()| self.expect(i, t, &[t, t]))
            }
            O::Rotl | O::Rotr | O::DivS | O::DivU | O::RemS | O::RemU => {
                int().and_then(|()| self.expect(i, t, &[t, t]))
            }
            O::Clz | O::Ctz | O::Popcnt | O::Ext8S | O::Ext16S => int().and_then(|()| self.expect(i, t, &[t])),
            O::Ext32S => self.expect(i, Type::I64, &[Type::I64]),
            O::Wrap => self.expect(i, Type::I32, &[Type::I64]),
            O::ExtS | O::ExtU => self.expect(i, Type::I64, &[Type::I32]),
            O::Icmp => {
                ensure(ty(0).is_int(), || format!("icmp of {}", ty(0)))?;
                self.expect(i, Type::I32, &[ty(0), ty(0)])
            }
            O::Fcmp => {
                ensure(matches!(ty(0), Type::F32 | Type::F64), || format!("fcmp of {}", ty(0)))?;
                self.expect(i, Type::I32, &[ty(0), ty(0)])
            }
            O::Select => self.expect(i, t, &[Type::I32, t, t]),
            O::FAdd | O::FSub | O::FMul | O::FDiv | O::FMin | O::FMax | O::FCopysign => {
                float().and_then(|()| self.expect(i, t, &[t, t]))
            }
            O::FAbs | O::FNeg | O::FSqrt | O::FCeil | O::FFloor | O::FTrunc | O::FNearest => {
                float().and_then(|()| self.expect(i, t, &[t]))
            }
            O::Promote => self.expect(i, Type::F64, &[Type::F32]),
            O::Demote => self.expect(i, Type::F32, &[Type::F64]),
            O::SToF | O::UToF => float().and_then(|()| ensure(ty(0).is_int(), || "of no integer".into())),
            O::FToS | O::FToU | O::FToSSat | O::FToUSat => {
                int().and_then(|()| ensure(matches!(ty(0), Type::F32 | Type::F64), || "of no float".into()))
            }
            O::Bitcast => ensure(t.bytes() == ty(0).bytes() && t != ty(0), || "bitcast changes the width".into()),
            O::VUn | O::VBin | O::VTer | O::VShift | O::VSplat | O::VExtract | O::VReplace | O::VTest => self.vector(i),
            O::VShuffle => self.expect(i, Type::V128, &[Type::V128, Type::V128]),
            _ => self.effectful(v, i),
        }
    }

    fn vector(&self, i: &Inst) -> Check {
        let op = SimdOp::from_code(i.idx);
        ensure(op.form().op() == i.op, || format!("{} is no {}", op.text(), i.op.text()))?;
        let (v, s) = (Type::V128, op.scalar());
        match op.form() {
            SimdForm::Un => self.expect(i, v, &[v]),
            SimdForm::Bin => self.expect(i, v, &[v, v]),
            SimdForm::Ter => self.expect(i, v, &[v, v, v]),
            SimdForm::Shift => self.expect(i, v, &[v, Type::I32]),
            SimdForm::Splat => self.expect(i, v, &[s]),
            SimdForm::Extract => self.expect(i, s, &[v]),
            SimdForm::Replace => self.expect(i, v, &[v, s]),
            SimdForm::Test => self.expect(i, Type::I32, &[v]),
        }
    }

    fn effectful(&self, v: Value, i: &Inst) -> Check {
        use Op as O;
        let kind = |t: Type| {
            let k = MemKind::from_code(i.aux);
            let narrow = k != MemKind::Whole && (k as u8) < MemKind::V8x8S as u8;
            let fits =
                if narrow { t.is_int() && k.bytes(t) <= t.bytes() } else { k == MemKind::Whole || t == Type::V128 };
            ensure(fits, || format!("{} of {t}", k.text()))
        };
        let (i32, i64) = (Type::I32, Type::I64);
        let ty = |n: usize| self.f.ty(i.args[n]);
        match i.op {
            O::Load => kind(i.ty).and_then(|()| self.expect(i, i.ty, &[i32])),
            O::PLoad | O::CLoad | O::AtomicLoad => kind(i.ty).and_then(|()| self.expect(i, i.ty, &[i64])),
            O::ELoad => kind(i.ty).and_then(|()| self.expect(i, i.ty, &[i64, i64])),
            O::EStore => kind(ty(1)).and_then(|()| self.expect(i, Type::Void, &[i64, ty(1), i64])),
            O::FLoad => self.expect(i, i32, &[i64]),
            O::Store => kind(ty(1)).and_then(|()| self.expect(i, Type::Void, &[i32])),
            O::PStore | O::AtomicStore => kind(ty(1)).and_then(|()| self.expect(i, Type::Void, &[i64])),
            O::AtomicRmw => kind(i.ty).and_then(|()| self.expect(i, i.ty, &[i64, i.ty])),
            O::AtomicCas => kind(i.ty).and_then(|()| self.expect(i, i.ty, &[i64, i.ty, i.ty])),
            O::TrapIf | O::BrIf | O::BrTable => self.expect(i, Type::Void, &[i32]),
            O::Arg => {
                let t = self.f.params.get(i.idx as usize);
                ensure(t == Some(&i.ty), || "no such argument".into())
            }
            O::Helper => {
                let (_, n, _) = crate::abi::Helper::ALL[i.idx as usize].signature();
                let args = self.f.args(v);
                ensure(args.len() == usize::from(n), || format!("the helper has {n} arguments"))?;
                ensure(args.iter().all(|&a| self.f.ty(a) == i64), || "a helper's argument is no i64".into())
            }
            O::Jump => {
                let params = &self.f.blocks[i.idx as usize].params;
                let args = self.f.args(v);
                ensure(args.len() == params.len(), || format!("block{} has {} parameters", i.idx, params.len()))?;
                let same = args.iter().zip(params).all(|(&a, &p)| self.f.ty(a) == self.f.ty(p));
                ensure(same, || format!("a parameter of block{} has another type", i.idx))
            }
            O::Return => {
                let types: Vec<Type> = self.f.args(v).iter().map(|&a| self.f.ty(a)).collect();
                ensure(types == self.f.results, || "returns something else".into())
            }
            _ => Ok(()),
        }
    }
}
