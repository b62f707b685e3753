//! Copies of short blocks that end in a table of branches, in the place of jumps to them.
//!
//! In: the selected function with registers. Out: for each block the way from it to a table of branches, where that is short and
//! in a loop. Invariant: a copy is the very instructions and moves of its blocks, so whatever jumps to the first of them may have it
//! instead.
//!
//! The loop of an interpreter ends every operation by a jump to the one place that fetches and branches on the next. With a copy of that
//! place behind each operation, the processor predicts the next operation by the present one, and a jump is saved.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`selection`) in which it does not hold:
//! - Copied blocks have no call, and so no landing; each copy has traps, slow paths and labels of its own.
//! - The way ends in a table of branches, lies in a loop and is not cold; a copy is made in place of a jump only.

use super::emit::Emitter;
use super::inst::MOp;
use super::lower::Lowered;
use crate::passes::Pass;
use crate::regalloc::Output;

/// Which blocks may be copied.
#[derive(Default)]
pub(super) struct Dispatch {
    /// For each block the blocks from it to the table of branches; empty for most. None at all where there is no table.
    ways: Vec<Vec<u32>>,
    /// Instructions that copies may still have, all together.
    pub(super) left: u32,
}

impl Dispatch {
    /// Finds the ways; `resolved` has the block that a jump to each ends up in.
    pub(super) fn find(l: &Lowered, out: &Output, resolved: &[u32]) -> Dispatch {
        if !l.passes.has(Pass::TailDup) {
            return Dispatch::default();
        }
        let blocks = &l.input.blocks;
        let mut ways: Vec<Vec<u32>> = Vec::new();
        let mut cost = vec![u32::MAX; blocks.len()];
        // From the tables backwards: each block is looked at once for every successor that has a way.
        let mut work: Vec<u32> = Vec::new();
        for (b, block) in blocks.iter().enumerate() {
            let table = block.insts.end.checked_sub(1).is_some_and(|i| l.insts[i as usize].op == MOp::JmpTable);
            if table && block.loop_depth > 0 && !block.cold {
                ways.resize(blocks.len(), Vec::new());
                work.push(b as u32);
                cost[b] = own_cost(l, out, b);
                ways[b] = vec![b as u32];
            }
        }
        let mut preds: Vec<u32> = Vec::new();
        while let Some(to) = work.pop() {
            preds.clear();
            preds.extend_from_slice(&blocks[to as usize].preds);
            while let Some(p) = preds.pop() {
                let b = p as usize;
                if resolved[b] != p {
                    preds.extend_from_slice(&blocks[b].preds);
                    continue;
                }
                let all = cost[to as usize].saturating_add(own_cost(l, out, b));
                let leads = !blocks[b].cold && blocks[b].loop_depth > 0 && !ways[to as usize].contains(&p);
                if leads && all <= l.tunables.tail_dup_size && all < cost[b] {
                    cost[b] = all;
                    ways[b] = std::iter::once(p).chain(ways[to as usize].iter().copied()).collect();
                    work.push(p);
                }
            }
        }
        for (way, cost) in ways.iter_mut().zip(&cost) {
            if *cost > l.tunables.tail_dup_size {
                way.clear();
            }
        }
        Dispatch { ways, left: l.insts.len() as u32 }
    }

    /// The way from a block to a table of branches.
    pub(super) fn way(&self, from: u32) -> &[u32] {
        self.ways.get(from as usize).map_or(&[], |w| w)
    }
}

/// Instructions and moves of a block, without a jump at its end; too many if it has calls.
fn own_cost(l: &Lowered, out: &Output, b: usize) -> u32 {
    let insts = l.input.blocks[b].insts.clone();
    let calls = l.insts[insts.start as usize..insts.end as usize].iter().any(|i| matches!(i.op, MOp::Call));
    let moves = out.moves.partition_point(|m| m.inst < insts.end) - out.moves.partition_point(|m| m.inst < insts.start);
    if calls { u32::MAX } else { insts.len() as u32 + moves as u32 }
}

impl Emitter<'_> {
    /// In the place of a jump to a block: a copy of the way from it to a table of branches, if there is one; answers whether.
    pub(super) fn copy_dispatch(&mut self, to: u32) -> bool {
        let way = self.dispatch.way(to).to_vec();
        let cost = way.iter().map(|&b| self.l.input.blocks[b as usize].insts.len() as u32).sum();
        if way.is_empty() || self.copying.is_some() || self.l.input.blocks[self.block].cold || self.dispatch.left < cost
        {
            return false;
        }
        self.dispatch.left -= cost;
        let (block, at) = (self.block, self.at);
        for (i, &b) in way.iter().enumerate() {
            self.copying = Some(way.get(i + 1).copied().unwrap_or(u32::MAX));
            self.block(b as usize);
        }
        self.copying = None;
        (self.block, self.at) = (block, at);
        true
    }
}
