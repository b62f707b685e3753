//! Small innermost loops are continued by copies of themselves.
//!
//! In: any function. Out: where an innermost loop is small, has one way back and one way out and calls nothing, several copies of it follow
//! each other before the way back. Each keeps its test, so the number of iterations need not be known. Counters of the copies
//! become one addition and offsets in addresses.
//!
//! What is used behind the loop becomes a parameter of a block at its exit, since several ways lead there afterwards. Costs as
//! much as the loops that are unrolled are large, beside a look at each value of the function.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`loops`) in which it does not hold:
//! - The loop is innermost and small, with one way back, by a jump, and one exit, which only it leads to.
//! - It has no call and no table of branches, and no cold block.
//! - Values of the iteration that are used behind the exit become parameters there; each copy keeps test, traps,
//!   polls and charges.

use super::order::Order;
use super::simplify;
use super::sparse::{Sparse, Uses};
use crate::ir::cfg::{Cfg, NONE};
use crate::ir::{Block, Effect, Func, Inst, Op, Type, Value};
use crate::tunables::Tunables;

/// Users that may be looked at for all loops, for each value of the function.
const MAX_LOOKS_PER_VALUE: usize = 16;

/// Runs the pass.
pub(super) fn run(f: &mut Func, limits: &Tunables) {
    if !Order::new(f).has_loops(f) {
        return;
    }
    let cfg = Cfg::new(f);
    let candidates = small_loops(f, &cfg, limits.unroll_body as usize);
    if candidates.is_empty() {
        return;
    }
    let mut work = Work {
        uses: Uses::new(f, &cfg.rpo),
        variant: Sparse::default(),
        other: Sparse::default(),
        map: Sparse::default(),
        limits: *limits,
    };
    let mut any = false;
    // What a loop uses of another one's values is behind that one: those in front come first.
    for blocks in candidates {
        if work.uses.looks > MAX_LOOKS_PER_VALUE * f.insts.len() {
            break;
        }
        if let Some(it) = Candidate::new(f, &mut work, blocks) {
            work.unroll(f, &it);
            any = true;
        }
    }
    if any {
        super::fold::run(f);
        super::merge_blocks::run(f);
        super::dce::run(f);
    }
}

/// The blocks of each innermost loop that is small, in reverse postorder.
fn small_loops(f: &Func, cfg: &Cfg, most: usize) -> Vec<Vec<Block>> {
    let mut fits = vec![true; cfg.loops.len()];
    for l in cfg.loops.iter().filter(|l| l.parent != NONE) {
        fits[l.parent as usize] = false;
    }
    let mut blocks: Vec<Vec<Block>> = vec![Vec::new(); cfg.loops.len()];
    let mut order = Vec::new();
    for &b in cfg.rpo.iter().filter(|b| cfg.loop_of[b.index()] != NONE) {
        let l = cfg.loop_of[b.index()] as usize;
        if cfg.loops[l].header == b {
            order.push(l);
        }
        fits[l] &= blocks[l].len() < most && f.blocks[b.index()].insts.len() <= most;
        if fits[l] {
            blocks[l].push(b);
        }
    }
    order.into_iter().filter(|&l| fits[l]).map(|l| std::mem::take(&mut blocks[l])).collect()
}

/// A loop to be unrolled.
struct Candidate {
    /// Its blocks in reverse postorder, the header first.
    blocks: Vec<Block>,
    /// The block that goes back.
    latch: Block,
    /// The block that control leaves to; only the loop leads there.
    exit: Block,
    copies: usize,
}

impl Candidate {
    /// Looks whether a loop can be unrolled; `work.variant` has its floating values that depend on the iteration then.
    fn new(f: &Func, work: &mut Work, blocks: Vec<Block>) -> Option<Candidate> {
        let inside = |b: Block| blocks.contains(&b);
        let header = *blocks.first()?;
        let mut back = f.blocks[header.index()].preds.iter().filter(|p| inside(**p));
        let (&latch, None) = (back.next()?, back.next()) else { return None };
        if f.inst(f.terminator(latch)?).op != Op::Jump || blocks.iter().any(|b| f.blocks[b.index()].cold) {
            return None;
        }
        let mut exits: Vec<Block> = Vec::new();
        let mut size = 0;
        for &b in &blocks {
            for &v in &f.blocks[b.index()].insts {
                let op = f.inst(v).op;
                if op.effect() == Effect::Call || op == Op::BrTable {
                    return None;
                }
                size += usize::from(!matches!(op, Op::Jump | Op::Poll | Op::Fuel));
            }
            f.successors(b, |s| {
                if !inside(s) {
                    exits.push(s);
                }
            });
        }
        let [exit] = exits[..] else { return None };
        size += work.find_variant(f, &blocks)?;
        let copies = (work.limits.unroll_size as usize / size.max(1)).min(work.limits.unroll_copies as usize);
        let fits = size <= work.limits.unroll_body as usize && copies > 1 && f.blocks[exit.index()].preds.len() == 1;
        fits.then_some(Candidate { blocks, latch, exit, copies })
    }
}

/// Values that blocks define, not floating ones.
fn pinned(f: &Func, blocks: &[Block]) -> Vec<Value> {
    let lists = blocks.iter().map(|b| &f.blocks[b.index()]);
    lists.flat_map(|b| b.params.iter().chain(&b.insts).copied()).collect()
}

/// What the loops of a function share.
struct Work {
    uses: Uses,
    /// Floating values that are different in a copy.
    variant: Sparse<()>,
    other: Sparse<()>,
    /// What values are in the copy at hand.
    map: Sparse<Value>,
    limits: Tunables,
}

impl Work {
    /// Finds the floating values that depend on those of a loop and are used in it; answers how many there are. `None` when
    /// that is too much to look at.
    fn find_variant(&mut self, f: &Func, blocks: &[Block]) -> Option<usize> {
        self.variant.clear();
        let mut varies: Sparse<bool> = std::mem::take(&mut self.uses.seen);
        varies.clear();
        let pinned = pinned(f, blocks);
        for &v in &pinned {
            varies.set(v, true);
        }
        let mut stack: Vec<Value> = Vec::new();
        let (mut looked, mut count) = (0, 0);
        for &v in &pinned {
            stack.extend(f.args(v).iter().filter(|a| varies.get(**a).is_none()));
            while let Some(&at) = stack.last() {
                let waiting = stack.len();
                let pure = f.inst(at).op.is_pure();
                if pure && varies.get(at).is_none() {
                    stack.extend(f.args(at).iter().filter(|a| varies.get(**a).is_none()));
                }
                if stack.len() > waiting {
                    continue;
                }
                stack.pop();
                if varies.get(at).is_none() {
                    looked += 1;
                    let any = pure && f.args(at).iter().any(|a| varies.get(*a) == Some(true));
                    varies.set(at, any);
                    if any {
                        self.variant.set(at, ());
                        count += 1;
                    }
                }
                if looked > self.limits.unroll_look {
                    self.uses.seen = varies;
                    return None;
                }
            }
        }
        self.uses.seen = varies;
        Some(count)
    }

    fn unroll(&mut self, f: &mut Func, it: &Candidate) {
        let outside = self.used_outside(f, it);
        let join = split_exit(f, it, &outside);
        let params = f.blocks[join.index()].params.clone();
        self.rename_outside(f, it, join, &outside, &params);
        let back = f.terminator(it.latch).map_or(Vec::new(), |t| f.args(t).to_vec());
        let header = it.blocks[0];
        let position = f.blocks[header.index()].preds.iter().position(|&p| p == it.latch);
        self.map.clear();
        let mut last = it.latch;
        for _ in 1..it.copies {
            let args: Vec<Value> = back.iter().map(|&v| self.mapped(f, v)).collect();
            let copies = self.copy(f, it, &args, join, &outside);
            let of = |b: Block| copies[it.blocks.iter().position(|&x| x == b).unwrap_or(0)];
            go_to(f, last, of(header), &[]);
            f.blocks[of(header).index()].preds = vec![last];
            last = of(it.latch);
        }
        let args: Vec<Value> = back.iter().map(|&v| self.mapped(f, v)).collect();
        go_to(f, last, header, &args);
        if let Some(i) = position {
            f.blocks[header.index()].preds[i] = last;
        }
        self.uses.sync(f);
    }

    /// The loop's values that are used outside of it, through floating ones or not.
    fn used_outside(&mut self, f: &Func, it: &Candidate) -> Vec<Value> {
        self.uses.sync(f);
        let pinned = pinned(f, &it.blocks);
        pinned.into_iter().filter(|&v| self.uses.leaves(f, v, &it.blocks)).collect()
    }

    /// Replaces values by parameters of the block behind the exit, outside of the loop.
    fn rename_outside(&mut self, f: &mut Func, it: &Candidate, join: Block, outside: &[Value], params: &[Value]) {
        let users = self.uses.users_outside(f, outside, &it.blocks, &mut self.other);
        std::mem::swap(&mut self.variant, &mut self.other);
        self.map.clear();
        for (&v, &p) in outside.iter().zip(params) {
            self.map.set(v, p);
        }
        for u in users {
            for i in 0..f.args(u).len() {
                let a = f.args(u)[i];
                let to = self.mapped(f, a);
                f.args_mut(u)[i] = to;
            }
            self.uses.relink(f, u);
        }
        // The exit's own jump was made with the loop's values.
        let args = f.list(outside);
        f.push(it.exit, Inst { idx: join.0, args, ..Inst::new(Op::Jump, Type::Void) });
        self.uses.moved(f, it.exit);
        self.uses.moved(f, join);
        std::mem::swap(&mut self.variant, &mut self.other);
    }

    /// What a value is in the copy that `map` belongs to.
    fn mapped(&mut self, f: &mut Func, v: Value) -> Value {
        let mut stack = vec![v];
        while let Some(&at) = stack.last() {
            if self.map.get(at).is_some() || self.variant.get(at).is_none() {
                stack.pop();
                continue;
            }
            let waiting = stack.len();
            let missing = |a: &&Value| self.variant.get(**a).is_some() && self.map.get(**a).is_none();
            stack.extend(f.args(at).iter().filter(missing));
            if stack.len() == waiting {
                let mut inst = *f.inst(at);
                let n = f.args(at).len();
                for a in &mut inst.args[..n] {
                    *a = self.map.get(*a).unwrap_or(*a);
                }
                let new = simplify::pure(f, inst);
                self.map.set(at, new);
                stack.pop();
            }
        }
        self.map.get(v).unwrap_or(v)
    }

    /// Another copy of the loop, whose header's parameters are `args`; `map` becomes its own. Its way back is still to be made.
    /// Answers its blocks.
    fn copy(&mut self, f: &mut Func, it: &Candidate, args: &[Value], join: Block, outside: &[Value]) -> Vec<Block> {
        self.map.clear();
        let copies: Vec<Block> = it.blocks.iter().map(|_| f.new_block()).collect();
        let of = |b: Block| it.blocks.iter().position(|&x| x == b).map(|i| copies[i]);
        for (i, &b) in it.blocks.iter().enumerate() {
            let params = f.blocks[b.index()].params.clone();
            for (k, p) in params.into_iter().enumerate() {
                let ty = f.ty(p);
                let by = if i == 0 { args[k] } else { f.new_param(copies[i], ty) };
                self.map.set(p, by);
            }
            f.blocks[copies[i].index()].preds = f.blocks[b.index()].preds.iter().filter_map(|&p| of(p)).collect();
        }
        for (&b, &to) in it.blocks.iter().zip(&copies) {
            for v in f.blocks[b.index()].insts.clone() {
                self.copy_inst(f, v, to, &of);
            }
            if let Some(t) = f.terminator(to).filter(|&t| f.inst(t).op == Op::BrIf) {
                self.leave(f, it, t, to, join, outside);
            }
        }
        for &b in &copies {
            self.uses.moved(f, b);
        }
        copies
    }

    fn copy_inst(&mut self, f: &mut Func, v: Value, to: Block, of: &impl Fn(Block) -> Option<Block>) {
        let mut inst = *f.inst(v);
        if inst.op == Op::Poll {
            return;
        }
        let args: Vec<Value> = f.args(v).to_vec().into_iter().map(|a| self.mapped(f, a)).collect();
        if let Op::DivS | Op::DivU | Op::RemS | Op::RemU = inst.op
            && let Some(c) = f.as_iconst(args[1])
            && let Some(by) = simplify::divide(f, inst.op, inst.ty, args[0], c, inst.pos)
        {
            self.map.set(v, by);
            return;
        }
        match inst.op {
            Op::Jump => {
                inst.args = f.list(&args);
                inst.idx = of(Block(inst.idx)).map_or(inst.idx, |b| b.0);
            }
            Op::BrIf => {
                inst.args[0] = args[0];
                inst.idx = of(Block(inst.idx)).map_or(inst.idx, |b| b.0);
                inst.imm = of(Block(inst.imm as u32)).map_or(inst.imm, |b| i64::from(b.0));
            }
            _ => inst.args[..args.len()].copy_from_slice(&args),
        }
        let new = f.push(to, inst);
        self.map.set(v, new);
    }

    /// Gives a copy's branch out of the loop a block of its own.
    fn leave(&mut self, f: &mut Func, it: &Candidate, branch: Value, from: Block, join: Block, outside: &[Value]) {
        let i = *f.inst(branch);
        let (yes, no) = (i.idx == it.exit.0, i.imm == i64::from(it.exit.0));
        if !yes && !no {
            return;
        }
        let edge = f.new_block();
        let args: Vec<Value> = outside.iter().map(|&v| self.mapped(f, v)).collect();
        let args = f.list(&args);
        f.push(edge, Inst { idx: join.0, args, pos: i.pos, ..Inst::new(Op::Jump, Type::Void) });
        f.blocks[edge.index()].preds = vec![from];
        f.blocks[edge.index()].cold = f.blocks[it.exit.index()].cold;
        f.blocks[join.index()].preds.push(edge);
        self.uses.moved(f, edge);
        let i = &mut f.insts[branch.index()];
        if yes { i.idx = edge.0 } else { i.imm = i64::from(edge.0) }
    }
}

/// Moves what an exit consists of to a block behind it that all copies can lead to, with a parameter for each of `outside`.
fn split_exit(f: &mut Func, it: &Candidate, outside: &[Value]) -> Block {
    let join = f.new_block();
    let moved = std::mem::take(&mut f.blocks[it.exit.index()].insts);
    let cold = f.blocks[it.exit.index()].cold;
    let to = &mut f.blocks[join.index()];
    (to.insts, to.cold, to.preds) = (moved, cold, vec![it.exit]);
    let mut succs = Vec::new();
    f.successors(join, |s| succs.push(s));
    for s in succs {
        for p in f.blocks[s.index()].preds.iter_mut().filter(|p| **p == it.exit) {
            *p = join;
        }
    }
    for &v in outside {
        let ty = f.ty(v);
        f.new_param(join, ty);
    }
    join
}

/// Makes a block's jump lead to another block.
fn go_to(f: &mut Func, from: Block, to: Block, args: &[Value]) {
    let args = f.list(args);
    if let Some(t) = f.terminator(from) {
        let i = &mut f.insts[t.index()];
        (i.idx, i.args) = (to.0, args);
    }
}
