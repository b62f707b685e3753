//! Parameters that are always the same value, and what becomes known through them.
//!
//! In: any function. Out: no parameter whose arguments are all one value (or the parameter itself); floating
//! instructions simplified anew where that changed their arguments; branches and checks with known outcome gone. Nothing
//! is touched when there is nothing to do.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`control`) in which it does not hold:
//! - A parameter goes only if every way that can be reached passes the same value or itself.
//! - A branch or check goes only if its condition is a constant, in either form (bare or tested against zero).

use super::order::Order;
use super::rewrite::{Rewriter, plain_jump};
use crate::ir::{Block, Func, Inst, Op, Type, Value};

/// How often parameters are looked at.
const MAX_ROUNDS: usize = 16;

/// Runs the pass.
pub(super) fn run(f: &mut Func) {
    let order = Order::new(f);
    let mut same = find(f, &order);
    if !same.any && !has_known_condition(f, &order) {
        return;
    }
    let mut rewriter = Rewriter::new(f);
    for i in 0..same.of.len() {
        let v = Value(i as u32);
        if same.resolve(v) != v {
            let by = same.resolve(v);
            rewriter.replace(v, by);
        }
    }
    drop_parameters(f, &order, &same);
    for &b in &order.rpo {
        rewrite_block(f, &mut rewriter, b);
    }
}

/// Which value each parameter stands for.
struct Same {
    of: Vec<Value>,
    any: bool,
}

impl Same {
    fn resolve(&mut self, v: Value) -> Value {
        let mut end = v;
        while self.of[end.index()] != end {
            end = self.of[end.index()];
        }
        let mut at = v;
        while self.of[at.index()] != end {
            at = std::mem::replace(&mut self.of[at.index()], end);
        }
        end
    }
}

/// The jump at the end of a predecessor of a block with parameters.
fn jump_of(f: &Func, pred: Block) -> Option<Value> {
    f.terminator(pred).filter(|&t| f.inst(t).op == Op::Jump)
}

fn find(f: &Func, order: &Order) -> Same {
    let mut same = Same { of: (0..f.insts.len() as u32).map(Value).collect(), any: false };
    for round in 0..MAX_ROUNDS {
        let mut changed = false;
        let mut blocks = order.rpo[1..].iter();
        // Every other time backwards, so that what is found of an inner loop is known for the one around it.
        while let Some(&b) = if round % 2 == 0 { blocks.next() } else { blocks.next_back() } {
            for i in 0..f.blocks[b.index()].params.len() {
                let p = f.blocks[b.index()].params[i];
                if same.of[p.index()] == p
                    && let Some(v) = only_value(f, order, &mut same, b, i, p)
                {
                    same.of[p.index()] = v;
                    changed = true;
                }
            }
        }
        same.any |= changed;
        if !changed {
            break;
        }
    }
    same
}

/// The one value that all ways pass for a parameter, if there is one besides itself.
fn only_value(f: &Func, order: &Order, same: &mut Same, b: Block, i: usize, p: Value) -> Option<Value> {
    let mut one = None;
    for &pred in f.blocks[b.index()].preds.iter().filter(|q| order.reachable(**q)) {
        let v = same.resolve(f.args(jump_of(f, pred)?)[i]);
        if v == p {
            continue;
        }
        match one {
            None => one = Some(v),
            Some(o) if o == v => {}
            Some(_) => return None,
        }
    }
    one
}

fn has_known_condition(f: &Func, order: &Order) -> bool {
    let known = |&v: &Value| {
        let i = f.inst(v);
        matches!(i.op, Op::TrapIf | Op::BrIf | Op::BrTable) && f.as_iconst(i.args[0]).is_some()
    };
    order.rpo.iter().any(|b| f.blocks[b.index()].insts.iter().any(known))
}

/// Removes replaced parameters and the arguments for them.
fn drop_parameters(f: &mut Func, order: &Order, same: &Same) {
    for &b in &order.rpo {
        let gone: Vec<bool> = f.blocks[b.index()].params.iter().map(|p| same.of[p.index()] != *p).collect();
        if gone.contains(&true) {
            remove_parameters(f, b, &gone);
        }
    }
}

/// Removes some parameters of a block, and the arguments for them.
pub(super) fn remove_parameters(f: &mut Func, b: Block, gone: &[bool]) {
    for i in 0..f.blocks[b.index()].preds.len() {
        let pred = f.blocks[b.index()].preds[i];
        let Some(jump) = jump_of(f, pred) else { continue };
        let args = f.args_mut(jump);
        let mut kept = 0;
        for n in 0..args.len() {
            args[kept] = args[n];
            kept += usize::from(!gone[n]);
        }
        f.insts[jump.index()].args[1] = Value(kept as u32);
    }
    let mut at = gone.iter();
    f.blocks[b.index()].params.retain(|_| at.next() == Some(&false));
}

fn rewrite_block(f: &mut Func, rewriter: &mut Rewriter, b: Block) {
    let insts = std::mem::take(&mut f.blocks[b.index()].insts);
    let mut kept = Vec::with_capacity(insts.len());
    let terminator = insts.last().copied();
    for v in insts {
        if !rewriter.effectful(f, v) {
            continue;
        }
        kept.push(v);
        let i = *f.inst(v);
        if i.op == Op::TrapIf && f.as_iconst(i.args[0]).is_some_and(|c| c != 0) {
            // What follows is never reached.
            if let Some(t) = terminator {
                forget_successors(f, b, t, None);
            }
            f.insts[v.index()] = Inst { aux: i.aux, pos: i.pos, ..Inst::new(Op::Trap, Type::Void) };
            f.blocks[b.index()].cold = true;
            break;
        }
    }
    f.blocks[b.index()].insts = kept;
    if let Some(t) = f.terminator(b) {
        fold_branch(f, b, t);
    }
}

/// Removes a block from its successors' predecessors, but for one.
fn forget_successors(f: &mut Func, b: Block, t: Value, keep: Option<Block>) {
    let mut succs = Vec::new();
    let i = f.inst(t);
    match i.op {
        Op::Jump => succs.push(Block(i.idx)),
        Op::BrIf | Op::CatchEdge => succs.extend([Block(i.idx), Block(i.imm as u32)]),
        Op::BrTable => succs.extend(&f.tables[i.idx as usize]),
        _ => {}
    }
    for s in succs {
        if Some(s) != keep {
            f.blocks[s.index()].preds.retain(|&p| p != b);
        }
    }
}

fn fold_branch(f: &mut Func, b: Block, t: Value) {
    let i = *f.inst(t);
    if !matches!(i.op, Op::BrIf | Op::BrTable) {
        return;
    }
    let Some(c) = f.as_iconst(i.args[0]) else { return };
    let target = match i.op {
        Op::BrIf => Block(if c != 0 { i.idx } else { i.imm as u32 }),
        _ => {
            let targets = &f.tables[i.idx as usize];
            targets[(c as u32 as usize).min(targets.len() - 1)]
        }
    };
    forget_successors(f, b, t, Some(target));
    f.insts[t.index()] = plain_jump(f, i.pos, target.0);
}
