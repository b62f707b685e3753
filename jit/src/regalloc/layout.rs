//! Where blocks lie, how often they run, and which loops they are in.
//!
//! In: the blocks. Out: [`Layout`], with positions, weights, predecessors and loops in dense arrays. Invariant: what is
//! said about loops is advice for choosing good places to split; no decision's correctness depends on it.
//!
//! Instruction `i` owns four positions: `4i` the gap before it (where moves are done), `4i + 1` where it reads, `4i + 2`
//! where it writes, and `4i + 3`, after it.

use super::{Block, Input};

/// No entity.
pub(super) const NONE: u32 = u32::MAX;
/// The gap before an instruction, as a position.
pub(super) const fn gap(inst: u32) -> u32 {
    inst * 4
}
/// The instruction of a position.
pub(super) const fn inst_of(pos: u32) -> u32 {
    pos / 4
}

/// A loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loop {
    /// First position of its blocks, without cold ones.
    pub(super) from: u32,
    /// End of the last of its blocks, without cold ones.
    pub(super) to: u32,
    /// The loop around it.
    pub(super) parent: u32,
    /// Weight of the code just outside.
    pub(super) outside: f32,
}

/// See the head of the file.
pub(super) struct Layout {
    /// Block of each instruction.
    pub(super) block_of: Vec<u32>,
    /// First instruction of each block, and at the end the number of instructions.
    pub(super) first: Vec<u32>,
    /// How often each block runs, compared with the entry.
    pub(super) weight: Vec<f32>,
    /// Whether each block is cold.
    cold: Vec<bool>,
    /// For a cold block the end of the run of cold blocks it is in, else zero.
    cold_end: Vec<u32>,
    /// Innermost loop of each block; none for cold parts of a loop, which lie elsewhere.
    pub(super) loop_of: Vec<u32>,
    pub(super) loops: Vec<Loop>,
    pred_start: Vec<u32>,
    preds: Vec<u32>,
}

impl Layout {
    pub(super) fn new(input: &Input) -> Self {
        let blocks = &input.blocks;
        let mut layout = Self {
            block_of: Vec::with_capacity(input.clobbers.len()),
            first: Vec::with_capacity(blocks.len() + 1),
            weight: blocks.iter().map(weight).collect(),
            cold: blocks.iter().map(|b| b.cold).collect(),
            cold_end: vec![0; blocks.len()],
            loop_of: vec![NONE; blocks.len()],
            loops: Vec::new(),
            pred_start: Vec::with_capacity(blocks.len() + 1),
            preds: Vec::new(),
        };
        for (index, block) in (0..).zip(blocks) {
            layout.first.push(block.insts.start);
            layout.block_of.resize(block.insts.end as usize, index);
            layout.pred_start.push(layout.preds.len() as u32);
            layout.preds.extend_from_slice(&block.preds);
        }
        layout.first.push(layout.block_of.len() as u32);
        layout.pred_start.push(layout.preds.len() as u32);
        layout.find_cold_runs(blocks);
        layout.find_loops(blocks);
        layout
    }

    pub(super) fn preds(&self, block: u32) -> &[u32] {
        &self.preds[self.pred_start[block as usize] as usize..self.pred_start[block as usize + 1] as usize]
    }

    /// Block of a position.
    pub(super) fn block_at(&self, pos: u32) -> u32 {
        self.block_of[inst_of(pos) as usize]
    }

    /// First position of a block.
    pub(super) fn start(&self, block: u32) -> u32 {
        gap(self.first[block as usize])
    }

    /// End of a block.
    pub(super) fn end(&self, block: u32) -> u32 {
        gap(self.first[block as usize + 1])
    }

    pub(super) fn weight_at(&self, pos: u32) -> f32 {
        self.weight[self.block_at(pos) as usize]
    }

    pub(super) fn loop_at(&self, pos: u32) -> u32 {
        self.loop_of[self.block_at(pos) as usize]
    }

    /// Whether the instruction is the first of its block.
    pub(super) fn opens_block(&self, inst: u32) -> bool {
        self.first[self.block_of[inst as usize] as usize] == inst
    }

    /// End of the run of cold blocks around a position; none if the position is not cold.
    pub(super) fn cold_run_end(&self, pos: u32) -> Option<u32> {
        let end = self.cold_end[self.block_at(pos) as usize];
        (end != 0).then_some(end)
    }

    /// Notes where runs of cold blocks end.
    fn find_cold_runs(&mut self, blocks: &[Block]) {
        let mut end = 0;
        for (index, block) in blocks.iter().enumerate().rev() {
            if !block.cold {
                end = 0;
            } else if end == 0 {
                end = gap(self.first[index + 1]);
            }
            self.cold_end[index] = end;
        }
    }

    /// Finds the loops (Havlak 1997, without what irreducible flow needs: of such loops some blocks are missed).
    fn find_loops(&mut self, blocks: &[Block]) {
        let walk = Walk::new(blocks);
        let mut joined: Vec<u32> = (0..blocks.len() as u32).collect();
        let mut loop_headed = vec![NONE; blocks.len()];
        let mut body = Vec::new();
        for &head in walk.order.iter().rev() {
            if !self.preds(head).iter().any(|&p| walk.is_back_edge(p, head)) {
                continue;
            }
            let this = self.loops.len() as u32;
            self.loops.push(Loop { from: self.start(head), to: self.end(head), parent: NONE, outside: 1.0 });
            loop_headed[head as usize] = this;
            body.clear();
            for &pred in self.preds(head) {
                if walk.is_back_edge(pred, head) {
                    add_to_body(find(&mut joined, pred), head, &mut joined, &mut body);
                }
            }
            while let Some(block) = body.pop() {
                match loop_headed[block as usize] {
                    NONE => self.loop_of[block as usize] = this,
                    inner => self.loops[inner as usize].parent = this,
                }
                for at in self.pred_start[block as usize]..self.pred_start[block as usize + 1] {
                    let pred = self.preds[at as usize];
                    let inner = walk.is_back_edge(pred, block);
                    if !inner && walk.is_below(pred, head) {
                        add_to_body(find(&mut joined, pred), head, &mut joined, &mut body);
                    }
                }
            }
            self.loop_of[head as usize] = this;
        }
        self.measure_loops(&walk);
    }

    /// Sets extent and surrounding weight of every loop. Inner loops come before outer ones.
    fn measure_loops(&mut self, walk: &Walk) {
        let mut head_cold = vec![false; self.loops.len()];
        let mut count = self.loops.len();
        for &block in &walk.order {
            if self.preds(block).iter().any(|&p| walk.is_back_edge(p, block)) {
                count -= 1;
                head_cold[count] = self.cold[block as usize];
            }
        }
        for block in 0..self.cold.len() as u32 {
            let of = self.loop_of[block as usize];
            if of == NONE {
                continue;
            }
            if self.cold[block as usize] != head_cold[of as usize] {
                self.loop_of[block as usize] = NONE;
                continue;
            }
            let (from, to) = (self.start(block), self.end(block));
            let it = &mut self.loops[of as usize];
            (it.from, it.to) = (it.from.min(from), it.to.max(to));
        }
        for index in 0..self.loops.len() {
            let it = self.loops[index];
            let before = self.block_at(it.from.saturating_sub(1));
            self.loops[index].outside = self.weight[before as usize].min(self.weight_at(it.from));
            if it.parent != NONE && head_cold[index] == head_cold[it.parent as usize] {
                let outer = &mut self.loops[it.parent as usize];
                (outer.from, outer.to) = (outer.from.min(it.from), outer.to.max(it.to));
            }
        }
    }
}

/// How often a block is thought to run.
fn weight(block: &Block) -> f32 {
    if block.cold { 0.01 } else { 8f32.powi(block.loop_depth.min(6) as i32) }
}

fn find(joined: &mut [u32], mut block: u32) -> u32 {
    while joined[block as usize] != block {
        let up = joined[joined[block as usize] as usize];
        joined[block as usize] = up;
        block = up;
    }
    block
}

fn add_to_body(block: u32, head: u32, joined: &mut [u32], body: &mut Vec<u32>) {
    if block != head {
        joined[block as usize] = head;
        body.push(block);
    }
}

/// A walk over the blocks, depth first.
struct Walk {
    /// Blocks as they were met.
    order: Vec<u32>,
    /// When each block was met.
    number: Vec<u32>,
    /// The highest number met below each block.
    last: Vec<u32>,
}

impl Walk {
    fn new(blocks: &[Block]) -> Self {
        let mut walk = Self { order: Vec::new(), number: vec![NONE; blocks.len()], last: vec![0; blocks.len()] };
        if blocks.is_empty() {
            return walk;
        }
        let mut stack = vec![(0u32, 0u32)];
        walk.meet(0);
        while let Some(top) = stack.last_mut() {
            let block = top.0;
            match blocks[block as usize].succs.get(top.1 as usize) {
                Some(&next) => {
                    top.1 += 1;
                    if walk.number[next as usize] == NONE {
                        walk.meet(next);
                        stack.push((next, 0));
                    }
                }
                None => {
                    walk.last[block as usize] = walk.order.len() as u32 - 1;
                    stack.pop();
                }
            }
        }
        walk
    }

    fn meet(&mut self, block: u32) {
        self.number[block as usize] = self.order.len() as u32;
        self.order.push(block);
    }

    /// Whether `block` was met below `head`, or is it.
    fn is_below(&self, block: u32, head: u32) -> bool {
        let number = self.number[block as usize];
        number != NONE && self.number[head as usize] <= number && number <= self.last[head as usize]
    }

    fn is_back_edge(&self, from: u32, to: u32) -> bool {
        self.is_below(from, to)
    }
}
