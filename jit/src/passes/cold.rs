//! What is executed rarely.
//!
//! In: blocks marked cold because they trap or are slow paths. Out: blocks that only lead to cold ones, or that only cold
//! ones lead to, are cold too, and branches say which way is likely.
//!
//! Precondition, with a test in `vm/tests/preconditions` (`control`) in which it does not hold:
//! - What is cold says where code lies, and nothing else: a wrong hint changes nothing.

use super::order::Order;
use crate::ir::{Block, Func, Op};

/// Runs the pass.
pub(super) fn run(f: &mut Func) {
    let order = Order::new(f);
    for &b in order.rpo.iter().rev() {
        let (mut any, mut all) = (false, true);
        f.successors(b, |s| {
            any = true;
            all &= f.blocks[s.index()].cold;
        });
        if any && all && b != Func::ENTRY {
            f.blocks[b.index()].cold = true;
        }
    }
    for &b in &order.rpo[1..] {
        let block = &f.blocks[b.index()];
        if !block.preds.is_empty() && block.preds.iter().all(|p| f.blocks[p.index()].cold) {
            f.blocks[b.index()].cold = true;
        }
    }
    for &b in &order.rpo {
        let Some(t) = f.terminator(b) else { continue };
        let i = f.inst(t);
        if i.op == Op::BrIf {
            let cold = |b: u32| f.blocks[Block(b).index()].cold;
            let likely = match (cold(i.idx), cold(i.imm as u32)) {
                (false, true) => 1,
                (true, false) => 2,
                _ => 0,
            };
            f.insts[t.index()].aux = likely;
        }
    }
}
