//! Removes what is not needed.
//!
//! In: any function. Out: no instruction without effect whose value is not used, no parameter that only other unused
//! parameters use, no block that cannot be reached. A load from guest memory stays, since it may trap; one from a
//! descriptor or global goes.
//!
//! Precondition, with a test in `vm/tests/preconditions` (`selection`) in which it does not hold:
//! - An instruction stays that writes, calls, may trap or ends its block; so does a load from guarded memory,
//!   whose fault is a trap.

use super::fold::remove_parameters;
use super::order::Order;
use crate::ir::{Block, Effect, Func, Op, Value};

/// Runs the pass.
pub(super) fn run(f: &mut Func) {
    let order = Order::new(f);
    drop_unreachable(f, &order);
    let needed = mark(f, &order);
    for &b in &order.rpo {
        let gone: Vec<bool> = f.blocks[b.index()].params.iter().map(|p| !needed[p.index()]).collect();
        if gone.contains(&true) {
            remove_parameters(f, b, &gone);
        }
        f.blocks[b.index()].insts.retain(|v| needed[v.index()]);
    }
}

fn drop_unreachable(f: &mut Func, order: &Order) {
    for i in 0..f.blocks.len() {
        if order.reachable(Block(i as u32)) {
            f.blocks[i].preds.retain(|p| order.reachable(*p));
        } else {
            f.blocks[i] = Default::default();
        }
    }
}

/// Whether an instruction is needed whoever uses it.
fn is_root(f: &Func, v: Value) -> bool {
    let i = f.inst(v);
    match i.op.effect() {
        Effect::Pure => false,
        // Results of calls stay beside their calls.
        Effect::Pinned | Effect::Trap | Effect::Write | Effect::Call | Effect::Terminator => true,
        Effect::Read => i.op == Op::Load,
    }
}

fn mark(f: &Func, order: &Order) -> Vec<bool> {
    let mut needed = vec![false; f.insts.len()];
    let mut work = Vec::new();
    let mut position = vec![0u32; f.insts.len()];
    for &b in &order.rpo {
        for (i, p) in f.blocks[b.index()].params.iter().enumerate() {
            position[p.index()] = i as u32;
        }
        for &v in &f.blocks[b.index()].insts {
            if is_root(f, v) {
                needed[v.index()] = true;
                work.push(v);
            }
        }
    }
    while let Some(v) = work.pop() {
        let i = f.inst(v);
        let mut need = |a: Value| {
            if !std::mem::replace(&mut needed[a.index()], true) {
                work.push(a);
            }
        };
        match i.op {
            // Its arguments are needed as far as the parameters are.
            Op::Jump => {}
            Op::Param => {
                let at = position[v.index()] as usize;
                for &p in &f.blocks[i.idx as usize].preds {
                    if let Some(t) = f.terminator(p).filter(|&t| f.inst(t).op == Op::Jump) {
                        need(f.args(t)[at]);
                    }
                }
            }
            _ => f.args(v).iter().for_each(|&a| need(a)),
        }
    }
    needed
}
