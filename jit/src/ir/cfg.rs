//! Order, dominators and loops of a function's blocks.
//!
//! In: blocks with terminators and predecessors. Out: reverse postorder, immediate dominators, dominator-tree depth, and the loop forest.
//! Only blocks that can be reached appear.
//!
//! Where every loop is entered at its header (which all code is but what is entered at a loop), one walk in reverse postorder finds
//! the dominators (Cooper, Harvey and Kennedy 2001); elsewhere they are found as by Lengauer and Tarjan 1979. Both take no more than a
//! logarithm of the depth for each edge.

use super::tree::Tree;
use super::{Block, Func};

/// No loop, or no block.
pub const NONE: u32 = u32::MAX;

/// A natural loop.
#[derive(Clone, Debug)]
pub struct Loop {
    /// The block that all iterations begin with.
    pub header: Block,
    /// The loop around it, or [`NONE`].
    pub parent: u32,
    /// 1 for outermost loops.
    pub depth: u32,
}

/// What is known of the blocks' order.
#[derive(Clone, Debug, Default)]
pub struct Cfg {
    /// Blocks in reverse postorder; the entry first.
    pub rpo: Vec<Block>,
    /// Position in `rpo`, or [`NONE`] for blocks that cannot be reached.
    pub number: Vec<u32>,
    /// Immediate dominator, [`NONE`] for the entry.
    pub idom: Vec<u32>,
    /// The dominator tree.
    tree: Tree,
    /// Innermost loop of each block, or [`NONE`].
    pub loop_of: Vec<u32>,
    /// All loops, inner ones before those around them.
    pub loops: Vec<Loop>,
}

impl Cfg {
    /// Computes everything.
    pub fn new(f: &Func) -> Cfg {
        let n = f.blocks.len();
        let mut cfg = Cfg {
            rpo: Vec::with_capacity(n),
            number: vec![NONE; n],
            idom: vec![NONE; n],
            tree: Tree::new(n),
            loop_of: vec![NONE; n],
            loops: Vec::new(),
        };
        cfg.order(f);
        cfg.dominators(f);
        cfg.find_loops(f);
        cfg
    }

    fn order(&mut self, f: &Func) {
        let mut seen = vec![false; f.blocks.len()];
        let mut stack: Vec<(Block, usize)> = vec![(Func::ENTRY, 0)];
        let mut succs: Vec<Block> = Vec::new();
        seen[0] = true;
        let mut starts = vec![0usize];
        f.successors(Func::ENTRY, |s| succs.push(s));
        while let Some(&mut (block, ref mut next)) = stack.last_mut() {
            let start = *starts.last().unwrap_or(&0);
            if start + *next < succs.len() {
                // Last successor first: its part of the function then comes after that of the first one.
                let s = succs[succs.len() - 1 - *next];
                *next += 1;
                if !seen[s.index()] {
                    seen[s.index()] = true;
                    stack.push((s, 0));
                    starts.push(succs.len());
                    f.successors(s, |s| succs.push(s));
                }
            } else {
                succs.truncate(start);
                starts.pop();
                stack.pop();
                self.rpo.push(block);
            }
        }
        self.rpo.reverse();
        for (i, b) in self.rpo.iter().enumerate() {
            self.number[b.index()] = i as u32;
        }
    }

    /// Whether the block can be reached.
    pub fn reachable(&self, b: Block) -> bool {
        self.number[b.index()] != NONE
    }

    fn dominators(&mut self, f: &Func) {
        let mut retreats = Vec::new();
        for i in 1..self.rpo.len() {
            let b = self.rpo[i];
            let mut new = NONE;
            for &p in f.blocks[b.index()].preds.iter().filter(|p| self.reachable(**p)) {
                if self.number[p.index()] >= i as u32 {
                    retreats.push((p, b));
                } else {
                    new = if new == NONE { p.0 } else { self.tree.common(new, p.0) };
                }
            }
            self.idom[b.index()] = new;
            self.tree.add(b.0, new);
        }
        if retreats.into_iter().all(|(from, to)| self.dominates(to, from)) {
            return;
        }
        self.idom = Semi::new(f, self).dominators(f, self);
        for i in 1..self.rpo.len() {
            let b = self.rpo[i];
            self.tree.add(b.0, self.idom[b.index()]);
        }
    }

    /// Depth of a block in the dominator tree.
    pub fn depth(&self, b: Block) -> u32 {
        self.tree.depth(b.0)
    }

    /// The block that dominates another, or is it, at a depth in the dominator tree.
    pub fn dominator_at(&self, b: Block, depth: u32) -> Block {
        Block(self.tree.at_depth(b.0, depth))
    }

    /// The nearest block that dominates both.
    pub fn common(&self, a: Block, b: Block) -> Block {
        Block(self.tree.common(a.0, b.0))
    }

    /// Whether `a` dominates `b`.
    pub fn dominates(&self, a: Block, b: Block) -> bool {
        self.dominator_at(b, self.depth(a)) == a
    }

    /// Headers in reverse postorder are outer ones first; walking backwards from the latches, a block belongs to the
    /// innermost loop that reaches it, so inner loops are done first and then climbed over.
    fn find_loops(&mut self, f: &Func) {
        let mut work = Vec::new();
        // Leads from each loop to the outermost one known around it.
        let mut outermost: Vec<u32> = Vec::new();
        for i in (0..self.rpo.len()).rev() {
            let header = self.rpo[i];
            let back = |p: &&Block| {
                self.number[p.index()] != NONE && self.number[p.index()] >= i as u32 && self.dominates(header, **p)
            };
            work.extend(f.blocks[header.index()].preds.iter().filter(back).copied());
            if work.is_empty() {
                continue;
            }
            let this = self.loops.len() as u32;
            self.loops.push(Loop { header, parent: NONE, depth: 0 });
            outermost.push(this);
            while let Some(b) = work.pop() {
                let mut at = b;
                if self.loop_of[at.index()] == NONE {
                    self.loop_of[at.index()] = this;
                } else {
                    let l = find(&mut outermost, self.loop_of[at.index()]);
                    if l == this {
                        continue;
                    }
                    self.loops[l as usize].parent = this;
                    outermost[l as usize] = this;
                    at = self.loops[l as usize].header;
                }
                if at != header {
                    work.extend(f.blocks[at.index()].preds.iter().copied().filter(|p| self.reachable(*p)));
                }
            }
        }
        for i in (0..self.loops.len()).rev() {
            let parent = self.loops[i].parent;
            self.loops[i].depth = if parent == NONE { 1 } else { self.loops[parent as usize].depth + 1 };
        }
    }

    /// Nesting depth of loops at a block.
    pub fn loop_depth(&self, b: Block) -> u32 {
        match self.loop_of[b.index()] {
            NONE => 0,
            l => self.loops[l as usize].depth,
        }
    }
}

/// The end of a chain, which becomes shorter.
fn find(up: &mut [u32], mut at: u32) -> u32 {
    while up[at as usize] != at {
        up[at as usize] = up[up[at as usize] as usize];
        at = up[at as usize];
    }
    at
}

/// Dominators in any graph, by semidominators. Blocks go by their numbers in a walk depth first.
struct Semi {
    blocks: Vec<Block>,
    number: Vec<u32>,
    parent: Vec<u32>,
    semi: Vec<u32>,
    /// The forest of what has been linked, with paths compressed: parent, and the block of least semidominator on the way there.
    up: Vec<u32>,
    least: Vec<u32>,
}

impl Semi {
    fn new(f: &Func, cfg: &Cfg) -> Semi {
        let mut s = Semi {
            blocks: Vec::with_capacity(cfg.rpo.len()),
            number: vec![NONE; f.blocks.len()],
            parent: Vec::with_capacity(cfg.rpo.len()),
            semi: (0..cfg.rpo.len() as u32).collect(),
            up: vec![NONE; cfg.rpo.len()],
            least: (0..cfg.rpo.len() as u32).collect(),
        };
        let mut stack = vec![(Func::ENTRY, NONE)];
        while let Some((b, parent)) = stack.pop() {
            if s.number[b.index()] == NONE {
                let number = s.blocks.len() as u32;
                s.number[b.index()] = number;
                s.blocks.push(b);
                s.parent.push(parent);
                f.successors(b, |to| stack.push((to, number)));
            }
        }
        s
    }

    /// The block of least semidominator between one and the root of what it is linked to.
    fn eval(&mut self, v: u32) -> u32 {
        let mut path = Vec::new();
        let mut at = v;
        while self.up[at as usize] != NONE && self.up[self.up[at as usize] as usize] != NONE {
            path.push(at);
            at = self.up[at as usize];
        }
        for v in path.into_iter().rev() {
            let up = self.up[v as usize];
            let (mine, above) = (self.least[v as usize], self.least[up as usize]);
            if self.semi[above as usize] < self.semi[mine as usize] {
                self.least[v as usize] = above;
            }
            self.up[v as usize] = self.up[up as usize];
        }
        self.least[v as usize]
    }

    /// Immediate dominators by block.
    fn dominators(mut self, f: &Func, cfg: &Cfg) -> Vec<u32> {
        let count = self.blocks.len();
        let mut idom = vec![0u32; count];
        let mut waiting: Vec<Vec<u32>> = vec![Vec::new(); count];
        for w in (1..count as u32).rev() {
            for &p in &f.blocks[self.blocks[w as usize].index()].preds {
                if cfg.reachable(p) {
                    let u = self.eval(self.number[p.index()]);
                    self.semi[w as usize] = self.semi[w as usize].min(self.semi[u as usize]);
                }
            }
            waiting[self.semi[w as usize] as usize].push(w);
            let parent = self.parent[w as usize];
            self.up[w as usize] = parent;
            for v in std::mem::take(&mut waiting[parent as usize]) {
                let u = self.eval(v);
                idom[v as usize] = if self.semi[u as usize] < self.semi[v as usize] { u } else { parent };
            }
        }
        let mut of = vec![NONE; f.blocks.len()];
        for w in 1..count {
            if idom[w] != self.semi[w] {
                idom[w] = idom[idom[w] as usize];
            }
            of[self.blocks[w].index()] = self.blocks[idom[w] as usize].0;
        }
        of
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Inst, Op, Type, Value};

    /// A function of blocks that branch at random, forwards and backwards.
    fn random(seed: u32, blocks: u32) -> Func {
        let mut f = Func::new();
        (1..blocks).for_each(|_| {
            f.new_block();
        });
        let mut x = seed;
        let mut next = move || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            x >> 8
        };
        for b in 0..blocks {
            let (near, far) = ((b + 1) % blocks, next() % blocks);
            let to = Inst {
                idx: near,
                imm: i64::from(far),
                args: [Value(0), Value::NONE, Value::NONE],
                ..Inst::new(Op::BrIf, Type::Void)
            };
            f.push(Block(b), to);
            for t in [near, far] {
                f.blocks[t as usize].preds.push(Block(b));
            }
        }
        f
    }

    #[test]
    fn dominators_are_what_no_way_goes_around() {
        for seed in 0..60 {
            let f = random(seed, 24);
            let cfg = Cfg::new(&f);
            for a in 0..24 {
                // What can be reached without a block is what it does not dominate.
                let mut seen = [false; 24];
                let mut work: Vec<Block> = [Func::ENTRY].into_iter().filter(|e| e.0 != a).collect();
                while let Some(b) = work.pop() {
                    if !std::mem::replace(&mut seen[b.index()], true) {
                        f.successors(b, |s| work.extend(Some(s).filter(|s| s.0 != a)));
                    }
                }
                for b in 0..24 {
                    if cfg.reachable(Block(a)) && cfg.reachable(Block(b)) {
                        assert_eq!(cfg.dominates(Block(a), Block(b)), !seen[b as usize], "{a} {b} of {seed}");
                    }
                }
            }
        }
    }
}
