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

/// An empty block stays where more arguments than these would have to be copied for the jumps to it.
const MAX_COPIED: usize = 256;

/// Runs the pass.
pub(super) fn run(f: &mut Func) {
    let order = Order::new(f);
    let mut stale = Vec::new();
    for &b in order.rpo.iter().rev() {
        skip(f, b, &mut stale);
    }
    super::rewrite::forget_gone(f, stale);
    let mut replaced = Vec::new();
    // Blocks that have been appended to others, and to which.
    let mut joined: Vec<u32> = (0..f.blocks.len() as u32).collect();
    for &b in &order.rpo {
        if !f.blocks[b.index()].insts.is_empty() {
            join(f, b, &mut replaced, &mut joined);
        }
    }
    for &b in &order.rpo {
        f.blocks[b.index()].preds.iter_mut().for_each(|p| *p = Block(joined[p.index()]));
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

/// Makes the jumps to an empty block without parameters lead to where that one jumps, which may be left without predecessors then; where
/// it leads is noted in `stale` in that case.
fn skip(f: &mut Func, empty: Block, stale: &mut Vec<Block>) {
    let data = &f.blocks[empty.index()];
    if data.insts.len() != 1 || !data.params.is_empty() || empty == Func::ENTRY {
        return;
    }
    let Some((on, target)) = jump_target(f, empty) else { return };
    if target == empty || f.args(on).len() * data.preds.len() > MAX_COPIED {
        return;
    }
    let mut kept = std::mem::take(&mut f.blocks[empty.index()].preds);
    kept.retain(|&b| {
        let Some((jump, _)) = jump_target(f, b) else { return !f.blocks[b.index()].insts.is_empty() };
        let args = f.args(on).to_vec();
        let args = f.list(&args);
        let i = &mut f.insts[jump.index()];
        (i.args, i.idx) = (args, target.0);
        f.blocks[target.index()].preds.push(b);
        false
    });
    if kept.is_empty() {
        f.blocks[empty.index()].insts.clear();
        stale.push(target);
    }
    f.blocks[empty.index()].preds = kept;
}

/// Appends blocks that only this one leads to.
fn join(f: &mut Func, b: Block, replaced: &mut Vec<(Value, Value)>, joined: &mut [u32]) {
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
        joined[next.index()] = b.0;
    }
}
