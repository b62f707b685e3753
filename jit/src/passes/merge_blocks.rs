//! Joins blocks that follow each other, and skips empty ones.
//!
//! In: any function. Out: no block that a jump leads to as its only predecessor; no jump to an empty block that only jumps
//! on. A block after a branch stays even if empty where its target has other predecessors: edges keep their blocks.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`control`) in which it does not hold:
//! - A block is appended only to its one predecessor, which jumps; parameters become the arguments.
//! - An empty block is passed by only by jumps, and only if it has no parameters and its target is not reached
//!   from the same block already.

use super::order::Order;
use super::rewrite::Rewriter;
use crate::ir::{Block, Func, Op, Value};

/// Runs the pass.
pub(super) fn run(f: &mut Func) {
    let order = Order::new(f);
    for &b in order.rpo.iter().rev() {
        skip_empty(f, b);
    }
    let mut replaced = Vec::new();
    for &b in &order.rpo {
        if !f.blocks[b.index()].insts.is_empty() {
            join(f, b, &mut replaced);
        }
    }
    if replaced.is_empty() {
        return;
    }
    let mut rewriter = Rewriter::new(f);
    for (p, v) in replaced {
        rewriter.replace(p, v);
    }
    for &b in &order.rpo {
        for i in 0..f.blocks[b.index()].insts.len() {
            let v = f.blocks[b.index()].insts[i];
            rewriter.arguments(f, v);
        }
    }
}

fn jump_target(f: &Func, b: Block) -> Option<(Value, Block)> {
    let t = f.terminator(b)?;
    let i = f.inst(t);
    (i.op == Op::Jump).then_some((t, Block(i.idx)))
}

/// Where a block's jump leads to an empty block without parameters, makes it lead to where that one jumps.
fn skip_empty(f: &mut Func, b: Block) {
    // Bounded: empty blocks may jump in a circle.
    for _ in 0..8 {
        let Some((jump, to)) = jump_target(f, b) else { return };
        let empty = &f.blocks[to.index()];
        if empty.insts.len() != 1 || !empty.params.is_empty() || to == b {
            return;
        }
        let Some((on, target)) = jump_target(f, to) else { return };
        if target == to || f.blocks[target.index()].preds.contains(&b) {
            return;
        }
        let args = f.args(on).to_vec();
        let args = f.list(&args);
        let i = &mut f.insts[jump.index()];
        (i.args, i.idx) = (args, target.0);
        f.blocks[to.index()].preds.retain(|&p| p != b);
        f.blocks[target.index()].preds.push(b);
        if f.blocks[to.index()].preds.is_empty() {
            f.blocks[target.index()].preds.retain(|&p| p != to);
            f.blocks[to.index()].insts.clear();
        }
    }
}

/// Appends blocks that only this one leads to.
fn join(f: &mut Func, b: Block, replaced: &mut Vec<(Value, Value)>) {
    while let Some((jump, next)) = jump_target(f, b) {
        if f.blocks[next.index()].preds.len() != 1 || next == b || next == Func::ENTRY {
            return;
        }
        let args = f.args(jump).to_vec();
        let params = std::mem::take(&mut f.blocks[next.index()].params);
        replaced.extend(params.into_iter().zip(args));
        let insts = std::mem::take(&mut f.blocks[next.index()].insts);
        f.blocks[next.index()].preds.clear();
        let cold = f.blocks[next.index()].cold;
        let into = &mut f.blocks[b.index()];
        into.insts.pop();
        into.insts.extend(insts);
        into.cold |= cold;
        let mut succs = Vec::new();
        f.successors(b, |s| succs.push(s));
        for s in succs {
            for p in &mut f.blocks[s.index()].preds {
                if *p == next {
                    *p = b;
                }
            }
        }
    }
}
