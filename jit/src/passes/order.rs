//! Blocks in reverse postorder: all that most passes need to know of the control flow.

use crate::ir::{Block, Func};

/// The blocks that can be reached, each before those that it alone leads to.
pub(super) struct Order {
    pub(super) rpo: Vec<Block>,
    reached: Vec<bool>,
}

impl Order {
    pub(super) fn new(f: &Func) -> Order {
        let mut o = Order { rpo: Vec::with_capacity(f.blocks.len()), reached: vec![false; f.blocks.len()] };
        // Blocks whose successors are to be visited, and where theirs begin in `succs`.
        let mut stack = vec![(Func::ENTRY, 0)];
        let mut succs = Vec::new();
        o.reached[0] = true;
        f.successors(Func::ENTRY, |s| succs.push(s));
        while let Some(&(block, start)) = stack.last() {
            if succs.len() > start {
                let Some(s) = succs.pop() else { break };
                if !std::mem::replace(&mut o.reached[s.index()], true) {
                    stack.push((s, succs.len()));
                    f.successors(s, |s| succs.push(s));
                }
            } else {
                o.rpo.push(block);
                stack.pop();
            }
        }
        o.rpo.reverse();
        o
    }

    /// Whether any way leads back.
    pub(super) fn has_loops(&self, f: &Func) -> bool {
        let mut seen = vec![false; f.blocks.len()];
        let mut back = false;
        for &b in &self.rpo {
            seen[b.index()] = true;
            f.successors(b, |s| back |= seen[s.index()]);
        }
        back
    }

    /// Whether the block can be reached.
    pub(super) fn reachable(&self, b: Block) -> bool {
        self.reached[b.index()]
    }
}
