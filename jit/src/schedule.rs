//! Places for floating instructions, and the order of blocks.
//!
//! In: a function whose pure instructions float. Out: every instruction that is needed in its block's list, after its arguments, and the blocks in
//! the order in which their code shall lie. A pure instruction goes to the block with the least loop depth between the
//! earliest possible (where its arguments are) and the latest (the nearest common dominator of its uses), and among those to the
//! latest (Click 1995), so that loops lose what does not change in them and branches get what only they need. Constants, the
//! context and conversions that cost nothing stay out of the lists or with their uses.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`loops`) in which it does not hold:
//! - Only pure instructions move: what reads, writes, charges or may trap stays in its block and order.
//! - A value lies between the blocks of its arguments and the nearest common dominator of its uses; results of a
//!   call that may throw are there behind it only.
//! - A value is made apart in arms of a table only where neither the block itself nor most arms need it.

use crate::Settings;
use crate::ir::cfg::Cfg;
use crate::ir::tree::Tree;
use crate::ir::{Block, Func, Op, Type, Value};
use crate::passes::{Pass, Switches};

/// What scheduling found out.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Order, dominators and loops.
    pub cfg: Cfg,
    /// Reachable blocks in layout order.
    pub layout: Vec<Block>,
    /// How many of them, at the end, are cold.
    pub cold: usize,
    /// Number of uses of each value by instructions that are in lists (and by floating constants' users).
    pub uses: Vec<u32>,
    /// Block of each scheduled value.
    pub block_of: Vec<u32>,
}

const NONE: u32 = u32::MAX;

/// Whether an instruction costs nothing wherever it is used, so that it has no place.
pub fn is_free(op: Op) -> bool {
    matches!(op, Op::Iconst | Op::TypeId | Op::Fconst | Op::Vconst | Op::Ctx | Op::MemBase)
}

/// Whether it is better made where it is used than kept in a register across a loop.
fn stays(f: &Func, v: Value) -> bool {
    let i = f.inst(v);
    match i.op {
        Op::Icmp | Op::Fcmp | Op::VTest | Op::ExtU | Op::Wrap | Op::Bitcast => true,
        // One operand of an address, folded where it is used.
        Op::Add => i.ty == Type::I64 && f.as_iconst(i.args[1]).is_some(),
        _ => false,
    }
}

/// Whether a block ends in a branch to more than two places.
fn is_switch(f: &Func, b: Block) -> bool {
    f.terminator(b).is_some_and(|t| f.inst(t).op == Op::BrTable)
}

/// Whether it is the cheap sort of instruction that steps counters and pointers.
fn is_step(f: &Func, v: Value) -> bool {
    f.inst(v).ty.is_int() && matches!(f.inst(v).op, Op::Add | Op::Sub | Op::Shl | Op::ShrU | Op::And | Op::Or | Op::Xor)
}

/// Schedules a function.
pub fn run(f: &mut Func, settings: &Settings) -> Schedule {
    let cfg = Cfg::new(f);
    let mut s = Scheduler::new(f, cfg, settings);
    s.find_needed(f);
    s.place(f);
    s.order_all(f);
    let (layout, cold) = layout(f, &s.cfg);
    Schedule { cfg: s.cfg, layout, cold, uses: s.uses, block_of: s.block_of }
}

/// Above each block in a loop the nearest dominator that is in fewer loops.
fn shallower(cfg: &Cfg, blocks: usize) -> Tree {
    let mut tree = Tree::new(if cfg.loops.is_empty() { 0 } else { blocks });
    for &b in cfg.rpo.iter().filter(|b| cfg.loop_of[b.index()] != NONE && **b != Func::ENTRY) {
        let depth = cfg.loop_depth(b);
        let deep = |b: u32| cfg.loop_depth(Block(b)) >= depth;
        let above = cfg.idom[b.index()];
        let above = if deep(above) { tree.parent(tree.farthest(above, deep)) } else { above };
        // The entry may be in loops itself.
        if !deep(above) {
            tree.add(b.0, above);
        }
    }
    tree
}

struct Scheduler {
    cfg: Cfg,
    shallower: Tree,
    uses: Vec<u32>,
    /// Earliest block of pure values, block of pinned ones, final block after `place`.
    block_of: Vec<u32>,
    /// Nearest common dominator of the uses seen so far.
    late: Vec<u32>,
    /// Needed pure values, arguments before users.
    postorder: Vec<Value>,
    /// Uses of pure values: per value the first entry of `links`, which has user and next entry.
    users: Vec<u32>,
    links: Vec<(Value, u32)>,
    on: Switches,
    /// In how many arms of a `br_table` a value may be computed apart.
    most_arms: usize,
    /// Copies that may still be made for arms of `br_table`s.
    copies: usize,
}

/// One copy for an arm of a `br_table` for so many values of the function, beside a few.
const VALUES_PER_COPY: usize = 4;
const FEW_COPIES: usize = 256;

impl Scheduler {
    fn new(f: &Func, cfg: Cfg, settings: &Settings) -> Scheduler {
        let n = f.insts.len();
        Scheduler {
            shallower: shallower(&cfg, f.blocks.len()),
            cfg,
            uses: vec![0; n],
            block_of: vec![NONE; n],
            late: vec![NONE; n],
            postorder: Vec::new(),
            users: vec![NONE; n],
            links: Vec::new(),
            on: settings.passes,
            most_arms: settings.tunables.schedule_arms as usize,
            copies: n / VALUES_PER_COPY + FEW_COPIES,
        }
    }

    /// Numbers of uses, postorder and earliest blocks of what is needed.
    fn find_needed(&mut self, f: &Func) {
        for &b in &self.cfg.rpo {
            for &v in f.blocks[b.index()].params.iter().chain(&f.blocks[b.index()].insts) {
                self.block_of[v.index()] = b.0;
            }
            // Whatever needs results of a call that may come back with an exception waits until it is clear that it has not.
            if let (Some(results), Some(t)) = (f.catching_call(b), f.terminator(b)) {
                results.iter().for_each(|v| self.block_of[v.index()] = f.inst(t).imm as u32);
            }
        }
        let mut stack: Vec<(Value, u32)> = Vec::new();
        for i in 0..self.cfg.rpo.len() {
            let b = self.cfg.rpo[i];
            for k in 0..f.blocks[b.index()].insts.len() {
                for &a in f.args(f.blocks[b.index()].insts[k]) {
                    self.uses[a.index()] += 1;
                    self.visit(f, a, &mut stack);
                }
            }
        }
    }

    fn visit(&mut self, f: &Func, root: Value, stack: &mut Vec<(Value, u32)>) {
        if self.block_of[root.index()] != NONE || !f.inst(root).op.is_pure() {
            return;
        }
        // Marked before it is finished: pure values have no cycles.
        self.block_of[root.index()] = 0;
        stack.push((root, 0));
        while let Some(top) = stack.last_mut() {
            let v = top.0;
            let args = f.args(v);
            if let Some(&a) = args.get(top.1 as usize) {
                top.1 += 1;
                self.uses[a.index()] += 1;
                if self.block_of[a.index()] == NONE && f.inst(a).op.is_pure() {
                    self.block_of[a.index()] = 0;
                    stack.push((a, 0));
                }
                continue;
            }
            stack.pop();
            let mut early = Func::ENTRY;
            for &a in f.args(v) {
                let b = Block(self.block_of[a.index()]);
                debug_assert!(b.0 != NONE, "argument {a:?} of {v:?} is nowhere");
                if self.cfg.depth(b) > self.cfg.depth(early) {
                    early = b;
                }
            }
            self.block_of[v.index()] = early.0;
            self.postorder.push(v);
        }
    }

    fn link(&mut self, v: Value, user: Value) {
        self.links.push((user, self.users[v.index()]));
        self.users[v.index()] = self.links.len() as u32 - 1;
    }

    fn used_in(&mut self, v: Value, b: Block) {
        let late = self.late[v.index()];
        self.late[v.index()] = if late == NONE { b.0 } else { self.cfg.common(Block(late), b).0 };
    }

    /// Final blocks, users before arguments.
    fn place(&mut self, f: &mut Func) {
        let switches = self.on.has(Pass::Arms) && self.cfg.rpo.iter().any(|&b| is_switch(f, b));
        for i in 0..self.cfg.rpo.len() {
            let b = self.cfg.rpo[i];
            for &v in &f.blocks[b.index()].insts {
                for &a in f.args(v) {
                    self.used_in(a, b);
                    if switches {
                        self.link(a, v);
                    }
                }
            }
        }
        for i in (0..self.postorder.len()).rev() {
            let v = self.postorder[i];
            let late = Block(self.late[v.index()]);
            if switches && is_switch(f, late) && self.split(f, v, late) {
                continue;
            }
            let block = if stays(f, v) || !self.on.has(Pass::Hoist) {
                late
            } else {
                self.best(Block(self.block_of[v.index()]), late)
            };
            let block = if is_step(f, v) && self.on.has(Pass::Latch) { self.before_latch(f, block) } else { block };
            self.block_of[v.index()] = block.0;
            for &a in f.args(v) {
                self.used_in(a, block);
                if switches {
                    self.link(a, v);
                }
            }
        }
        self.postorder.retain(|v| self.uses[v.index()] > 0);
    }

    /// A value that several arms of a `br_table` need, but not all of them and not the block itself, is computed in each
    /// of those: before the branch it would cost every arm its time and a register. Answers false if that does not pay.
    fn split(&mut self, f: &mut Func, v: Value, switch: Block) -> bool {
        if !is_step(f, v) && f.inst(v).op != Op::Mul {
            return false;
        }
        // The arms that use it, each with the users in it.
        let mut arms: Vec<(Block, Block, Vec<Value>)> = Vec::new();
        let mut at = self.users[v.index()];
        while at != NONE {
            let (user, next) = self.links[at as usize];
            at = next;
            let block = self.home(f, user);
            if block == switch || !self.cfg.dominates(switch, block) {
                return false;
            }
            let arm = self.cfg.dominator_at(block, self.cfg.depth(switch) + 1);
            match arms.iter().position(|a| a.0 == arm) {
                Some(i) => {
                    arms[i].1 = self.cfg.common(arms[i].1, block);
                    arms[i].2.push(user);
                }
                None if arms.len() == self.most_arms => return false,
                None => arms.push((arm, block, vec![user])),
            }
        }
        let deeper = arms.iter().any(|a| self.cfg.loop_depth(a.1) > self.cfg.loop_depth(switch));
        let targets = f.terminator(switch).map_or(0, |t| f.tables[f.inst(t).idx as usize].len());
        // What nearly all arms need is better made once.
        if deeper || arms.len() < 2 || arms.len() * 4 > targets * 3 || self.copies < arms.len() {
            return false;
        }
        self.copies -= arms.len();
        for (_, block, users) in arms {
            self.clone_into(f, v, block, &users);
        }
        self.uses[v.index()] = 0;
        for k in 0..f.args(v).len() {
            let a = f.args(v)[k];
            self.uses[a.index()] -= 1;
        }
        true
    }

    /// The block in which an instruction is executed. Results of a call that may come back with an exception are only there in the
    /// block behind that.
    fn home(&self, f: &Func, v: Value) -> Block {
        let block = Block(self.block_of[v.index()]);
        let i = f.inst(v);
        match f.blocks[block.index()].preds[..] {
            [before] if i.op.is_catching(i.aux) => before,
            _ => block,
        }
    }

    fn clone_into(&mut self, f: &mut Func, v: Value, block: Block, users: &[Value]) {
        let inst = *f.inst(v);
        let clone = f.raw(inst);
        let mut count = 0;
        for &u in users {
            for a in f.args_mut(u).iter_mut().filter(|a| **a == v) {
                *a = clone;
                count += 1;
            }
        }
        self.uses.push(count);
        self.block_of.push(block.0);
        self.late.push(block.0);
        self.users.push(NONE);
        self.postorder.push(clone);
        for k in 0..f.args(clone).len() {
            let a = f.args(clone)[k];
            self.uses[a.index()] += 1;
            self.used_in(a, block);
            self.link(a, clone);
        }
    }

    /// For a block that does nothing but go back to a loop's header, the block before it: what it would compute (the step of a
    /// counter) is done before the branch, and the loop then ends in that one branch.
    fn before_latch(&self, f: &Func, b: Block) -> Block {
        let data = &f.blocks[b.index()];
        let [jump] = data.insts[..] else { return b };
        let [pred] = data.preds[..] else { return b };
        let to = Block(f.inst(jump).idx);
        let back = f.inst(jump).op == Op::Jump && self.cfg.number[to.index()] <= self.cfg.number[b.index()];
        let branch = f.terminator(pred).is_some_and(|t| f.inst(t).op == Op::BrIf);
        if back && branch && self.cfg.loop_of[pred.index()] == self.cfg.loop_of[b.index()] { pred } else { b }
    }

    /// The block of least loop depth between two, of several the last one.
    fn best(&self, early: Block, late: Block) -> Block {
        if early == late || self.cfg.loop_depth(late) == 0 {
            return late;
        }
        let depth = self.cfg.depth(early);
        Block(self.shallower.farthest(late.0, |b| self.cfg.depth(Block(b)) >= depth))
    }

    /// Puts the pure values into the blocks' lists.
    fn order_all(&mut self, f: &mut Func) {
        // Pure values by block, in order of their numbers: the order of the program, mostly.
        let mut heads = vec![NONE; f.blocks.len()];
        let mut next = vec![NONE; f.insts.len()];
        self.postorder.sort_unstable();
        for &v in self.postorder.iter().rev() {
            if !is_free(f.inst(v).op) {
                let b = self.block_of[v.index()] as usize;
                next[v.index()] = heads[b];
                heads[b] = v.0;
            }
        }
        let mut placed = vec![false; f.insts.len()];
        let mut stack = Vec::new();
        for i in 0..self.cfg.rpo.len() {
            let b = self.cfg.rpo[i];
            for &p in &f.blocks[b.index()].params {
                placed[p.index()] = true;
            }
            let pinned = std::mem::take(&mut f.blocks[b.index()].insts);
            let mut list = Vec::with_capacity(pinned.len() * 2);
            let mut seed = heads[b.index()];
            let mut deferred = Vec::new();
            for &p in &pinned {
                let (op, aux) = (f.inst(p).op, f.inst(p).aux);
                // Between a call that may come back with an exception and the end of its block lies nothing else.
                let last = op.is_terminator() || op.is_catching(aux);
                while seed != NONE && (last || seed < p.0) && op != Op::Proj {
                    if !self.put(f, Value(seed), b, &mut placed, &mut list, &mut stack) {
                        deferred.push(Value(seed));
                    }
                    seed = next[seed as usize];
                }
                if last {
                    for &v in &deferred {
                        self.put(f, v, b, &mut placed, &mut list, &mut stack);
                    }
                }
                for k in 0..f.args(p).len() {
                    let a = f.args(p)[k];
                    self.put(f, a, b, &mut placed, &mut list, &mut stack);
                }
                placed[p.index()] = true;
                list.push(p);
            }
            f.blocks[b.index()].insts = list;
        }
    }

    /// Puts a value and what it needs of its block into the list; answers false when that must wait for a pinned instruction.
    fn put(
        &self,
        f: &Func,
        root: Value,
        b: Block,
        placed: &mut [bool],
        list: &mut Vec<Value>,
        stack: &mut Vec<(Value, u32)>,
    ) -> bool {
        let wants =
            |v: Value, placed: &[bool]| !placed[v.index()] && self.block_of[v.index()] == b.0 && !is_free(f.inst(v).op);
        if !wants(root, placed) {
            return true;
        }
        if !f.inst(root).op.is_pure() {
            return false;
        }
        stack.clear();
        stack.push((root, 0));
        while let Some(top) = stack.last_mut() {
            let v = top.0;
            if let Some(&a) = f.args(v).get(top.1 as usize) {
                top.1 += 1;
                if wants(a, placed) {
                    if !f.inst(a).op.is_pure() {
                        return false;
                    }
                    stack.push((a, 0));
                }
                continue;
            }
            stack.pop();
            if !placed[v.index()] {
                placed[v.index()] = true;
                list.push(v);
            }
        }
        true
    }
}

/// Blocks in the order of their code: reverse postorder with each loop's blocks together, cold ones at the end.
fn layout(f: &Func, cfg: &Cfg) -> (Vec<Block>, usize) {
    enum Item {
        Block(Block),
        Loop(u32),
    }
    let mut top = Vec::new();
    let mut inside: Vec<Vec<Item>> = cfg.loops.iter().map(|_| Vec::new()).collect();
    for &b in &cfg.rpo {
        let l = cfg.loop_of[b.index()];
        // A loop takes its place in the one around it where its header is.
        if l != NONE && cfg.loops[l as usize].header == b {
            let parent = cfg.loops[l as usize].parent;
            if parent == NONE { top.push(Item::Loop(l)) } else { inside[parent as usize].push(Item::Loop(l)) }
        }
        if l == NONE { top.push(Item::Block(b)) } else { inside[l as usize].push(Item::Block(b)) }
    }
    for (l, items) in inside.iter_mut().enumerate() {
        let header = cfg.loops[l].header;
        if let Some(Item::Block(last)) = items.last()
            && falls_into(f, *last, header)
        {
            items.rotate_right(1);
        }
    }
    let cold = cold_blocks(f, cfg);
    let (mut hot_order, mut cold_order) = (Vec::with_capacity(cfg.rpo.len()), Vec::new());
    let mut stack = vec![top.into_iter()];
    while let Some(items) = stack.last_mut() {
        match items.next() {
            None => {
                stack.pop();
            }
            Some(Item::Loop(l)) => stack.push(std::mem::take(&mut inside[l as usize]).into_iter()),
            Some(Item::Block(b)) => {
                if cold[b.index()] {
                    cold_order.push(b)
                } else {
                    hot_order.push(b)
                }
            }
        }
    }
    let count = cold_order.len();
    hot_order.append(&mut cold_order);
    (hot_order, count)
}

/// Whether the last block of a loop is better put before its header: it only goes back there, and is either what the
/// header's own branch leads to (the test is then at the bottom) or reached by several jumps anyway.
fn falls_into(f: &Func, last: Block, header: Block) -> bool {
    let back = f.terminator(last).is_some_and(|t| f.inst(t).op == Op::Jump && f.inst(t).idx == header.0);
    let preds = &f.blocks[last.index()].preds;
    back && last != header
        && header != Func::ENTRY
        && f.blocks[last.index()].insts.len() > 1
        && (preds.len() > 1 || preds[..] == [header])
}

/// Blocks marked as cold, all they dominate, and those that lead nowhere else.
fn cold_blocks(f: &Func, cfg: &Cfg) -> Vec<bool> {
    let mut cold = vec![false; f.blocks.len()];
    for &b in &cfg.rpo {
        let idom = cfg.idom[b.index()];
        let traps = f.terminator(b).is_some_and(|t| f.inst(t).op == Op::Trap);
        cold[b.index()] = b != Func::ENTRY && (f.blocks[b.index()].cold || traps || cold[idom as usize]);
    }
    for &b in cfg.rpo.iter().rev() {
        let (mut any, mut all) = (false, true);
        f.successors(b, |s| {
            any = true;
            all &= cold[s.index()] && cfg.number[s.index()] > cfg.number[b.index()];
        });
        if any && all && b != Func::ENTRY {
            cold[b.index()] = true;
        }
    }
    // What a cold block dominates must follow it.
    for &b in &cfg.rpo {
        let idom = cfg.idom[b.index()];
        if b != Func::ENTRY && cold[idom as usize] {
            cold[b.index()] = true;
        }
    }
    cold
}
