//! Branches around next to nothing become selections.
//!
//! In: any function. Out: where both ways of a branch are empty and meet again, and choose between at most two pairs of
//! integers that cost at most an instruction, the branch is gone and the choices are `select`s. Loads stay behind their
//! branches, so no walk over a structure in memory is made to wait for both ways.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`control`) in which it does not hold:
//! - Both arms are empty but for their jumps, which lead to the same block: nothing that reads, writes, traps or
//!   charges is in them.
//! - At most two pairs of integers differ, and each takes an instruction at most.
//! - The condition is not an equality of floats, which needs two flags.

use super::order::Order;
use crate::ir::{Block, FloatCc, Func, Inst, Op, Type, Value};
use crate::passes::simplify;
use crate::tunables::Tunables;

/// Runs the pass.
pub(super) fn run(f: &mut Func, limits: &Tunables) {
    let order = Order::new(f);
    let mut joins = Vec::new();
    for &b in order.rpo.iter().rev() {
        // What has been converted may be the arm of another branch only after blocks are joined again.
        if let Some(diamond) = find(f, b, limits.if_convert_selections) {
            convert(f, b, &diamond);
            joins.push(diamond.join);
        }
    }
    super::rewrite::forget_gone(f, joins);
}

struct Diamond {
    branch: Value,
    arms: [Block; 2],
    join: Block,
}

/// The block that an otherwise empty one jumps to.
fn empty_to(f: &Func, b: Block) -> Option<Block> {
    let data = &f.blocks[b.index()];
    let [jump] = data.insts[..] else { return None };
    let i = f.inst(jump);
    (i.op == Op::Jump && !data.cold).then_some(Block(i.idx))
}

fn args_of(f: &Func, b: Block) -> &[Value] {
    f.terminator(b).map_or(&[], |t| f.args(t))
}

fn find(f: &Func, b: Block, most: u32) -> Option<Diamond> {
    let branch = f.terminator(b)?;
    let i = f.inst(branch);
    if i.op != Op::BrIf {
        return None;
    }
    let arms = [Block(i.idx), Block(i.imm as u32)];
    let join = empty_to(f, arms[0])?;
    if empty_to(f, arms[1])? != join || arms.contains(&join) || !is_cheap_condition(f, i.args[0]) {
        return None;
    }
    let mut selections = 0;
    for (&x, &y) in args_of(f, arms[0]).iter().zip(args_of(f, arms[1])) {
        if x != y {
            selections += 1;
            if !f.ty(x).is_int() || cost(f, x) + cost(f, y) > 1 {
                return None;
            }
        }
    }
    (selections <= most).then_some(Diamond { branch, arms, join })
}

/// Float equality needs two flags.
fn is_cheap_condition(f: &Func, c: Value) -> bool {
    let i = f.inst(c);
    i.op != Op::Fcmp || !matches!(FloatCc::from_code(i.aux), FloatCc::Eq | FloatCc::Ne)
}

/// Instructions it takes to make a value that is perhaps made only in an arm: 0, 1, or too many.
fn cost(f: &Func, v: Value) -> u32 {
    let i = f.inst(v);
    let made = |a: &Value| {
        let op = f.inst(*a).op;
        op.is_pure() && !matches!(op, Op::Iconst | Op::TypeId | Op::Wrap | Op::ExtU)
    };
    match i.op {
        Op::Iconst | Op::TypeId => 0,
        op if !op.is_pure() => 0,
        Op::Add | Op::Sub | Op::And | Op::Or | Op::Xor | Op::Shl | Op::ShrS | Op::ShrU | Op::Wrap | Op::ExtU => {
            if f.args(v).iter().any(made) { 9 } else { 1 }
        }
        _ => 9,
    }
}

fn convert(f: &mut Func, b: Block, d: &Diamond) {
    let i = *f.inst(d.branch);
    let (yes, no) = (args_of(f, d.arms[0]).to_vec(), args_of(f, d.arms[1]).to_vec());
    let args: Vec<Value> = yes
        .iter()
        .zip(&no)
        .map(|(&x, &y)| if x == y { x } else { simplify::select(f, f.ty(x), i.args[0], x, y, i.pos) })
        .collect();
    let args = f.list(&args);
    f.insts[d.branch.index()] = Inst { idx: d.join.0, args, pos: i.pos, ..Inst::new(Op::Jump, Type::Void) };
    for arm in d.arms {
        f.blocks[arm.index()] = Default::default();
    }
    f.blocks[d.join.index()].preds.push(b);
}
