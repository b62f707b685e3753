//! Leaves out looks at the interrupt flag that others make unnecessary.
//!
//! In: a function with a `poll` at its entry and in each loop. Out: the same without the entry's if the function neither calls nor loops,
//! and without those of innermost loops that are known to end soon. Invariant: between two polls, or a poll and the end of the
//! function, lie at most a bounded number of instructions and calls of functions that poll or end themselves.
//!
//! A program that runs on without end goes round a loop, or calls functions, without end; and among those calls are some of functions
//! that call, since a function without loops calls a bounded number of times.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`loops`) in which it does not hold:
//! - A function's own poll goes only if it neither loops nor calls.
//! - A loop's goes only if it is innermost, the test that leaves it dominates every way back, and its counter
//!   begins at a constant on the one way in.
//! - Every way back adds the same constant to that counter; the number of iterations is found by counting them,
//!   with the type's wrapping and the comparison's sign.

use super::simplify::holds;
use crate::ir::cfg::{Cfg, NONE};
use crate::ir::{Block, Func, Inst, IntCc, Op, Type, Value};
use crate::tunables::Tunables;

/// Runs the pass.
pub(super) fn run(f: &mut Func, limits: &Tunables) {
    let is_poll = |f: &Func, b: Block| f.blocks[b.index()].insts.iter().any(|&v| f.inst(v).op == Op::Poll);
    if !(0..f.blocks.len() as u32).any(|b| is_poll(f, Block(b))) {
        return;
    }
    let cfg = Cfg::new(f);
    let calls = cfg.rpo.iter().any(|&b| f.blocks[b.index()].insts.iter().any(|&v| is_call(f.inst(v).op)));
    if cfg.loops.is_empty() && !calls {
        remove(f, Func::ENTRY);
        return;
    }
    let mut has_inner = vec![false; cfg.loops.len()];
    for l in &cfg.loops {
        if l.parent != NONE {
            has_inner[l.parent as usize] = true;
        }
    }
    let mut blocks: Vec<Vec<Block>> = vec![Vec::new(); cfg.loops.len()];
    for &b in cfg.rpo.iter().filter(|b| cfg.loop_of[b.index()] != NONE) {
        blocks[cfg.loop_of[b.index()] as usize].push(b);
    }
    for (l, inner) in has_inner.iter().enumerate() {
        if !inner && ends_soon(f, &cfg, l as u32, &blocks[l], limits.polls_soon) {
            blocks[l].iter().for_each(|&b| remove(f, b));
        }
    }
}

/// Whether it may come to other functions, which may come back here.
fn is_call(op: Op) -> bool {
    use Op::*;
    matches!(op, Call | CallNear | CallFar | CallAny | TailCall | TailCallNear | TailCallFar | TailCallAny)
}

fn remove(f: &mut Func, b: Block) {
    let Func { blocks, insts, .. } = f;
    blocks[b.index()].insts.retain(|v| insts[v.index()].op != Op::Poll);
}

/// Whether a loop is left after a small number of iterations, whatever happens in them.
fn ends_soon(f: &Func, cfg: &Cfg, l: u32, blocks: &[Block], soon: u32) -> bool {
    let header = cfg.loops[l as usize].header;
    let inside = |b: Block| cfg.loop_of[b.index()] == l;
    let (back, front): (Vec<Block>, Vec<Block>) = f.blocks[header.index()].preds.iter().partition(|&&p| inside(p));
    blocks.iter().any(|&b| {
        let Some(t) = f.terminator(b) else { return false };
        let i = f.inst(t);
        if i.op != Op::BrIf || !back.iter().all(|&p| cfg.dominates(b, p)) {
            return false;
        }
        let stays = match (inside(Block(i.idx)), inside(Block(i.imm as u32))) {
            (true, false) => true,
            (false, true) => false,
            _ => return false,
        };
        counted(f, header, &back, &front, (i.args[0], stays), soon)
    })
}

/// Whether a condition, looked at in each iteration, becomes other than `stays` after fewer than `soon` of them.
fn counted(
    f: &Func,
    header: Block,
    back: &[Block],
    front: &[Block],
    (condition, stays): (Value, bool),
    soon: u32,
) -> bool {
    let c = *f.inst(condition);
    let (counter, compare): (Value, Box<dyn Fn(i64) -> bool>) = match c.op {
        Op::Icmp => {
            let Some(limit) = f.as_iconst(c.args[1]) else { return false };
            let (code, ty) = (IntCc::from_code(c.aux), f.ty(c.args[0]));
            (c.args[0], Box::new(move |x| holds(code, x, limit, ty)))
        }
        // Branches on a number go by whether it is zero.
        _ if c.ty == Type::I32 => (condition, Box::new(|x| x != 0)),
        _ => return false,
    };
    let Some((param, offset)) = sum(f, counter) else { return false };
    let Some(index) = f.blocks[header.index()].params.iter().position(|&p| p == param) else { return false };
    let arg = |p: &Block| f.terminator(*p).map(|t| (f.inst(t).op, f.args(t).get(index).copied()));
    let mut starts = front.iter().map(|p| match arg(p) {
        Some((Op::Jump, Some(v))) => f.as_iconst(v),
        _ => None,
    });
    let (Some(Some(start)), None) = (starts.next(), starts.next()) else { return false };
    let mut step = None;
    for p in back {
        let next = match arg(p) {
            Some((Op::Jump, Some(v))) => sum(f, v),
            _ => None,
        };
        match next {
            Some((of, by)) if of == param && step.is_none_or(|s| s == by) => step = Some(by),
            _ => return false,
        }
    }
    let Some(step) = step else { return false };
    let narrow = |x: i64| if f.ty(param) == Type::I32 { i64::from(x as i32) } else { x };
    let mut x = start;
    (0..soon).any(|_| {
        let done = compare(narrow(x.wrapping_add(offset))) != stays;
        x = narrow(x.wrapping_add(step));
        done
    })
}

/// A value as a header's parameter and a constant to be added.
fn sum(f: &Func, v: Value) -> Option<(Value, i64)> {
    let i: &Inst = f.inst(v);
    match i.op {
        Op::Param => Some((v, 0)),
        Op::Add if f.inst(i.args[0]).op == Op::Param => Some((i.args[0], f.as_iconst(i.args[1])?)),
        _ => None,
    }
}
