//! Order, dominators and loops of a function's blocks.
//!
//! In: blocks with terminators and predecessors. Out: reverse postorder, immediate dominators (Cooper, Harvey and Kennedy 2001), dominator-tree
//! depth, and the loop forest. Only blocks that can be reached appear.

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
    /// Depth in the dominator tree.
    pub depth: Vec<u32>,
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
            depth: vec![0; n],
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
        let mut changed = true;
        while changed {
            changed = false;
            for i in 1..self.rpo.len() {
                let b = self.rpo[i];
                let mut new = NONE;
                for &p in &f.blocks[b.index()].preds {
                    let known = self.reachable(p) && (p == Func::ENTRY || self.idom[p.index()] != NONE);
                    if known {
                        new = if new == NONE { p.0 } else { self.common(Block(new), p).0 };
                    }
                }
                if self.idom[b.index()] != new {
                    self.idom[b.index()] = new;
                    changed = true;
                }
            }
        }
        for i in 1..self.rpo.len() {
            let b = self.rpo[i].index();
            self.depth[b] = self.depth[self.idom[b] as usize] + 1;
        }
    }

    /// The nearest block that dominates both.
    pub fn common(&self, a: Block, b: Block) -> Block {
        let (mut a, mut b) = (a, b);
        while a != b {
            while self.number[a.index()] > self.number[b.index()] {
                a = Block(self.idom[a.index()]);
            }
            while self.number[b.index()] > self.number[a.index()] {
                b = Block(self.idom[b.index()]);
            }
        }
        a
    }

    /// Whether `a` dominates `b`.
    pub fn dominates(&self, a: Block, b: Block) -> bool {
        let mut b = b;
        while self.depth[b.index()] > self.depth[a.index()] {
            b = Block(self.idom[b.index()]);
        }
        a == b
    }

    /// Headers in reverse postorder are outer ones first; walking backwards from the latches, a block belongs to the
    /// innermost loop that reaches it, so inner loops are done first and then climbed over.
    fn find_loops(&mut self, f: &Func) {
        let mut work = Vec::new();
        for i in (0..self.rpo.len()).rev() {
            let header = self.rpo[i];
            let back = |p: &&Block| self.reachable(**p) && self.dominates(header, **p);
            work.extend(f.blocks[header.index()].preds.iter().filter(back).copied());
            if work.is_empty() {
                continue;
            }
            let this = self.loops.len() as u32;
            self.loops.push(Loop { header, parent: NONE, depth: 0 });
            while let Some(b) = work.pop() {
                let mut at = b;
                // Climb to the outermost loop known around the block.
                let mut l = self.loop_of[at.index()];
                if l != NONE {
                    while self.loops[l as usize].parent != NONE {
                        l = self.loops[l as usize].parent;
                    }
                    if l == this {
                        continue;
                    }
                    self.loops[l as usize].parent = this;
                    at = self.loops[l as usize].header;
                } else {
                    self.loop_of[at.index()] = this;
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
