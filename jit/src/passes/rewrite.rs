//! Values replaced by others, and what that makes simpler: the machinery of passes that change values.
//!
//! A replaced value stands for its replacement wherever it is used. Floating instructions are made anew, through
//! simplification, when an argument has changed; so equal ones become one again.

use super::simplify;
use crate::ir::{Block, Func, Inst, Op, Type, Value};

/// Replacements under way.
pub(super) struct Rewriter {
    /// What each value has become; [`Value::NONE`]: not known yet.
    map: Vec<Value>,
    stack: Vec<Value>,
}

impl Rewriter {
    pub(super) fn new(f: &Func) -> Rewriter {
        Rewriter { map: vec![Value::NONE; f.insts.len()], stack: Vec::new() }
    }

    /// Makes `v` stand for `by`.
    pub(super) fn replace(&mut self, v: Value, by: Value) {
        // Chains stay short if what comes first is replaced first.
        self.map[v.index()] = self.follow(by);
    }

    /// Where the replacements of a value end, as far as they are known.
    fn follow(&self, mut v: Value) -> Value {
        while let Some(&to) = self.map.get(v.index()) {
            if to == Value::NONE || to == v {
                break;
            }
            v = to;
        }
        v
    }

    /// Whether nothing more is to be done about a value: it stands for itself, or has been made by a rewrite.
    fn is_done(&self, v: Value) -> bool {
        self.map.get(v.index()).is_none_or(|&to| to == v)
    }

    /// What a value has become.
    pub(super) fn value(&mut self, f: &mut Func, v: Value) -> Value {
        loop {
            let end = self.follow(v);
            if self.is_done(end) {
                return end;
            }
            self.settle(f, end);
        }
    }

    /// Finds out what a value becomes that is not replaced itself, its arguments first.
    fn settle(&mut self, f: &mut Func, v: Value) {
        self.stack.push(v);
        while let Some(&at) = self.stack.last() {
            if self.map[at.index()] != Value::NONE {
                self.stack.pop();
                continue;
            }
            let waiting = self.stack.len();
            let pure = f.inst(at).op.is_pure();
            if pure {
                for &a in f.args(at) {
                    let end = self.follow(a);
                    if !self.is_done(end) {
                        self.stack.push(end);
                    }
                }
            }
            if self.stack.len() == waiting {
                self.map[at.index()] = if pure { self.again(f, at) } else { at };
                self.stack.pop();
            }
        }
    }

    /// A floating instruction with its new arguments.
    fn again(&self, f: &mut Func, v: Value) -> Value {
        let mut inst = *f.inst(v);
        let n = f.args(v).len();
        for a in &mut inst.args[..n] {
            *a = self.follow(*a);
        }
        if inst == *f.inst(v) { v } else { simplify::pure(f, inst) }
    }

    /// Rewrites the arguments of an instruction with an effect.
    pub(super) fn arguments(&mut self, f: &mut Func, v: Value) {
        for i in 0..f.args(v).len() {
            let a = f.args(v)[i];
            let to = self.value(f, a);
            f.args_mut(v)[i] = to;
        }
    }

    /// Rewrites one: its arguments, and itself where they make it simpler. False when it is to be removed.
    pub(super) fn effectful(&mut self, f: &mut Func, v: Value) -> bool {
        self.arguments(f, v);
        let i = *f.inst(v);
        match i.op {
            Op::DivS | Op::DivU | Op::RemS | Op::RemU => {
                let divisor = f.as_iconst(i.args[1]);
                match divisor.and_then(|c| simplify::divide(f, i.op, i.ty, i.args[0], c, i.pos)) {
                    Some(by) => {
                        self.map[v.index()] = by;
                        false
                    }
                    None => true,
                }
            }
            Op::TrapIf | Op::BrIf => {
                let (bare, swapped) = simplify::condition(f, i.args[0]);
                if !swapped {
                    f.insts[v.index()].args[0] = bare;
                } else if i.op == Op::BrIf {
                    let i = &mut f.insts[v.index()];
                    i.args[0] = bare;
                    (i.idx, i.imm) = (i.imm as u32, i64::from(i.idx));
                    i.aux = [0, 2, 1][usize::from(i.aux)];
                }
                i.op != Op::TrapIf || f.as_iconst(f.inst(v).args[0]) != Some(0)
            }
            _ => true,
        }
    }
}

/// Removes from the predecessors of some blocks those that have been emptied.
pub(super) fn forget_gone(f: &mut Func, mut of: Vec<Block>) {
    of.sort_unstable();
    of.dedup();
    for b in of {
        let mut preds = std::mem::take(&mut f.blocks[b.index()].preds);
        preds.retain(|p| !f.blocks[p.index()].insts.is_empty());
        f.blocks[b.index()].preds = preds;
    }
}

/// A jump without arguments in place of another terminator.
pub(super) fn plain_jump(f: &mut Func, pos: u32, target: u32) -> Inst {
    let args = f.list(&[]);
    Inst { idx: target, args, pos, ..Inst::new(Op::Jump, Type::Void) }
}
