//! Writes the result: a place for every operand, and the moves between pieces, along edges and around fixed operands.
//!
//! In: placed pieces. Out: [`Output`]. Invariant: where a virtual register is live, its value is in the place of the piece that
//! covers the position, and if that is in memory, the slot was written on every path.
//!
//! Moves at one instruction come in three groups, each in parallel: what edges bring to the start of the block, then
//! what happens in the gap (pieces that meet there, fixed and tied operands), then what the edge takes along at the end.
//!
//! A value that goes to memory is stored once, after its definition, unless storing it wherever it leaves a register costs less.

use super::layout::{Layout, NONE, gap, inst_of};
use super::liveness::{Lives, NO_REG};
use super::parallel::{Sequencer, Transfer};
use super::scan::{Place, Placed};
use super::slots::Slots;
use super::{Alloc, Constraint, Input, Kind, Move, NO_REMAT, Output, PReg, RegInfo, Stats};
use crate::budget::{Steps, TooMuch};

/// Groups of moves at one instruction, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Enter,
    Gap,
    Leave,
}

/// A move and where it goes: the instruction, times four, plus the group.
#[derive(Clone, Copy)]
struct Placement {
    key: u32,
    it: Transfer,
}

/// Writes the result.
pub(super) fn finish(
    input: &Input,
    regs: &RegInfo,
    layout: &Layout,
    lives: &Lives,
    placed: &Placed,
    slots: Slots,
    steps: &mut Steps,
) -> Result<Output, TooMuch> {
    let mut resolver = Resolver {
        input,
        layout,
        lives,
        placed,
        slots,
        starts: Vec::with_capacity(placed.bundles.all.len() + 1),
        pieces: Vec::with_capacity(placed.pieces.len()),
        moves: Vec::new(),
        stores: Vec::new(),
        output: Output { allocs: vec![Alloc::None; input.operands.len()], used: placed.used, ..Output::default() },
    };
    resolver.list_pieces();
    resolver.fix_operands();
    resolver.pass_args();
    resolver.join_pieces(steps)?;
    resolver.place_stores();
    resolver.order_moves(regs);
    resolver.output.stats.steps = steps.taken() as u64;
    Ok(resolver.output)
}

struct Resolver<'a> {
    input: &'a Input,
    layout: &'a Layout,
    lives: &'a Lives,
    placed: &'a Placed,
    slots: Slots,
    /// Pieces of bundle `b`: from `starts[b]` to `starts[b + 1]`.
    starts: Vec<u32>,
    /// Start and place of each piece.
    pieces: Vec<(u32, Place)>,
    moves: Vec<Placement>,
    /// Moves from a register to the slot of the value's own bundle.
    stores: Vec<Placement>,
    output: Output,
}

impl Resolver<'_> {
    /// Lists the pieces of each bundle in order, and gives their places to the operands.
    fn list_pieces(&mut self) {
        for bundle in 0..self.placed.bundles.all.len() as u32 {
            self.starts.push(self.pieces.len() as u32);
            let mut next = bundle;
            while next != NONE {
                let piece = &self.placed.pieces[next as usize];
                self.pieces.push((piece.from, piece.place));
                for it in &self.lives.uses[piece.uses.0 as usize..piece.uses.1 as usize] {
                    if it.op != NONE {
                        self.output.allocs[it.op as usize] = match piece.place {
                            Place::Reg(reg) => Alloc::Reg(PReg(reg)),
                            _ => Alloc::Stack(self.slots.of[bundle as usize]),
                        };
                    }
                }
                next = piece.next;
            }
        }
        self.starts.push(self.pieces.len() as u32);
    }

    /// The place of a bundle at a position.
    fn place(&self, bundle: u32, pos: u32) -> Place {
        let pieces = &self.pieces[self.starts[bundle as usize] as usize..self.starts[bundle as usize + 1] as usize];
        match pieces {
            [(_, only)] => *only,
            _ => pieces[pieces.partition_point(|p| p.0 <= pos).saturating_sub(1)].1,
        }
    }

    fn alloc_of(&self, vreg: u32, place: Place) -> Alloc {
        match place {
            Place::Reg(reg) => Alloc::Reg(PReg(reg)),
            _ if self.input.remat[vreg as usize] != NO_REMAT => Alloc::Remat(self.input.remat[vreg as usize]),
            _ => Alloc::Stack(self.slots.of[self.placed.bundles.of[vreg as usize] as usize]),
        }
    }

    /// The place of a virtual register at a position where it is live.
    fn alloc(&self, vreg: u32, pos: u32) -> Alloc {
        self.alloc_of(vreg, self.place(self.placed.bundles.of[vreg as usize], pos))
    }

    /// The place of a virtual register just before the moves in a gap.
    fn before(&self, vreg: u32, inst: u32) -> Alloc {
        let (def, at) = (&self.lives.defs[vreg as usize], gap(inst));
        if def.reg != NO_REG && def.pos == at {
            return Alloc::Reg(PReg(def.reg));
        }
        self.alloc(vreg, if self.layout.opens_block(inst) { at } else { at - 1 })
    }

    /// Notes a move; one to the slot of the value's own bundle may turn out to be needless.
    fn add(&mut self, inst: u32, group: Group, from: Alloc, to: Alloc, vreg: u32) {
        if from == to || matches!(to, Alloc::Remat(_) | Alloc::None) {
            return;
        }
        let class = self.input.classes[vreg as usize];
        let it = Placement { key: inst * 4 + group as u32, it: Transfer { from, to, class, vreg } };
        let bundle = self.placed.bundles.of[vreg as usize];
        let own = |slot| bundle != NONE && self.slots.of[bundle as usize] == slot;
        match (from, to) {
            (Alloc::Reg(_), Alloc::Stack(slot)) if own(slot) => self.stores.push(it),
            _ => self.moves.push(it),
        }
    }

    /// Gives fixed and tied operands their places, with the moves to and from there.
    fn fix_operands(&mut self) {
        let input = self.input;
        for inst in 0..self.layout.block_of.len() as u32 {
            let start = input.operand_start[inst as usize] as usize;
            let operands = &input.operands[start..input.operand_start[inst as usize + 1] as usize];
            self.output.used |= input.clobbers[inst as usize];
            for (index, it) in operands.iter().enumerate() {
                match it.constraint {
                    Constraint::Fixed(reg) => self.fix(inst, start + index, reg),
                    Constraint::Tied(to) => self.tie(inst, start, index, to as usize),
                    Constraint::Reg | Constraint::Any => {}
                }
            }
        }
    }

    fn fix(&mut self, inst: u32, op: usize, reg: PReg) {
        let it = &self.input.operands[op];
        let (vreg, place) = (it.vreg.0, Alloc::Reg(reg));
        self.output.allocs[op] = place;
        self.output.used |= 1 << reg.0;
        if matches!(it.kind, Kind::Use | Kind::LateUse) {
            self.add(inst, Group::Gap, self.before(vreg, inst), place, vreg);
        } else if self.lives.has_ranges(vreg) && !self.layout.opens_block(inst + 1) {
            self.add(inst + 1, Group::Gap, place, self.alloc(vreg, gap(inst + 1)), vreg);
        }
    }

    fn tie(&mut self, inst: u32, start: usize, index: usize, to: usize) {
        let operands = &self.input.operands[start..self.input.operand_start[inst as usize + 1] as usize];
        let place = self.output.allocs[start + index];
        let tied = operands[to].vreg;
        for (other, it) in operands.iter().enumerate() {
            if it.vreg == tied && it.kind == Kind::Use && !matches!(it.constraint, Constraint::Fixed(_)) {
                self.output.allocs[start + other] = place;
            }
        }
        self.add(inst, Group::Gap, self.before(tied.0, inst), place, tied.0);
    }

    /// Moves block arguments to parameters.
    fn pass_args(&mut self) {
        let input = self.input;
        for (index, block) in (0..).zip(&input.blocks) {
            if block.args.is_empty() {
                continue;
            }
            let succ = block.succs[0];
            for (arg, param) in block.args.iter().zip(&input.blocks[succ as usize].params) {
                if !self.lives.has_ranges(param.0) {
                    continue;
                }
                let from = self.alloc(arg.0, self.layout.end(index) - 1);
                let to = self.alloc(param.0, self.layout.start(succ));
                let (inst, group) = self.edge(index, succ);
                // Between values of one bundle this is a store of the argument.
                let together = self.placed.bundles.of[arg.0 as usize] == self.placed.bundles.of[param.0 as usize];
                if let (Alloc::Remat(_), Alloc::Stack(_), _) | (_, _, false) = (from, to, together) {
                    let class = input.classes[arg.0 as usize];
                    if from != to {
                        let it = Transfer { from, to, class, vreg: arg.0 };
                        self.moves.push(Placement { key: inst * 4 + group as u32, it });
                    }
                } else {
                    self.add(inst, group, from, to, arg.0);
                }
            }
        }
    }

    /// Where the moves of an edge go.
    fn edge(&self, from: u32, to: u32) -> (u32, Group) {
        let (block, last) = (&self.input.blocks[from as usize], self.layout.first[from as usize + 1] - 1);
        let operands = self.input.operand_start[last as usize + 1] - self.input.operand_start[last as usize];
        if block.succs.len() == 1 && (operands == 0 || self.layout.preds(to).len() > 1) {
            debug_assert!(operands == 0, "a jump with operands to a block with several predecessors");
            return (last, Group::Leave);
        }
        (self.layout.first[to as usize], Group::Enter)
    }

    /// Moves values where pieces of a bundle meet, in gaps and along edges.
    fn join_pieces(&mut self, steps: &mut Steps) -> Result<(), TooMuch> {
        for bundle in 0..self.placed.bundles.all.len() as u32 {
            if self.starts[bundle as usize] + 1 == self.starts[bundle as usize + 1] {
                continue;
            }
            let ranges = self.placed.bundles.all[bundle as usize].ranges;
            for at in ranges.0..ranges.1 {
                let range = self.lives.ranges[at as usize];
                self.join_in_gaps(bundle, range.from, range.to, range.vreg);
                steps.take(self.join_along_edges(bundle, range.from, range.to, range.vreg));
            }
            if steps.is_over() {
                return Err(TooMuch("too many values in memory through too many blocks"));
            }
        }
        Ok(())
    }

    /// Moves between pieces that meet within a range, at other places than starts of blocks.
    fn join_in_gaps(&mut self, bundle: u32, from: u32, to: u32, vreg: u32) {
        let (first, end) = (self.starts[bundle as usize] as usize, self.starts[bundle as usize + 1] as usize);
        let start = first + self.pieces[first..end].partition_point(|p| p.0 <= from);
        for at in start..end {
            let (pos, place) = self.pieces[at];
            if pos >= to {
                break;
            }
            let inst = inst_of(pos);
            if pos % 4 != 0 {
                // It goes to memory in the midst of an instruction: it is stored before it.
                self.add(inst, Group::Gap, self.before(vreg, inst), self.alloc_of(vreg, place), vreg);
            } else if !self.layout.opens_block(inst) {
                let before = self.alloc_of(vreg, self.pieces[at - 1].1);
                self.add(inst, Group::Gap, before, self.alloc_of(vreg, place), vreg);
            }
        }
    }

    /// Moves along the edges into blocks where a virtual register is live within a range; returns how many blocks there are.
    fn join_along_edges(&mut self, bundle: u32, from: u32, to: u32, vreg: u32) -> usize {
        let layout = self.layout;
        let def = &self.lives.defs[vreg as usize];
        let param_of = if def.param { def.block } else { NONE };
        let mut block = layout.block_at(from);
        if layout.start(block) < from {
            block += 1;
        }
        let first = block;
        let end = self.starts[bundle as usize + 1] as usize;
        let mut at = self.starts[bundle as usize] as usize;
        at += self.pieces[at..end].partition_point(|p| p.0 <= from).saturating_sub(1);
        while (block as usize) < self.input.blocks.len() && layout.start(block) < to {
            while at + 1 < end && self.pieces[at + 1].0 <= layout.start(block) {
                at += 1;
            }
            let (piece, here) = self.pieces[at];
            let next = self.pieces[at + 1..end].first().map_or(u32::MAX, |p| p.0);
            for &pred in layout.preds(block).iter().filter(|_| block != param_of) {
                // Mostly both ends are in the same piece.
                let leaves = layout.end(pred) - 1;
                if (piece..next).contains(&leaves) {
                    continue;
                }
                let there = self.place(bundle, leaves);
                if here != there {
                    let (inst, group) = self.edge(pred, block);
                    self.add(inst, group, self.alloc_of(vreg, there), self.alloc_of(vreg, here), vreg);
                }
            }
            block += 1;
        }
        (block - first) as usize
    }

    /// Decides for each value where it is stored.
    fn place_stores(&mut self) {
        self.stores.sort_unstable_by_key(|s| (s.it.vreg, s.key));
        self.stores.dedup_by_key(|s| (s.it.vreg, s.key));
        let stores = std::mem::take(&mut self.stores);
        for group in stores.chunk_by(|a, b| a.it.vreg == b.it.vreg) {
            let vreg = group[0].it.vreg;
            let def = self.lives.defs[vreg as usize];
            // A definition in a fixed register that goes to memory at once is among the stores.
            let at_def = group.iter().find(|s| def.reg != NO_REG && s.key == def.pos + Group::Gap as u32);
            if let Some(store) = at_def {
                self.moves.push(*store);
                continue;
            }
            if self.place(self.placed.bundles.of[vreg as usize], def.pos) == Place::Memory {
                continue;
            }
            let weight = |s: &Placement| self.layout.weight[self.layout.block_of[s.key as usize / 4] as usize];
            let cost: f32 = group.iter().map(weight).sum();
            if group.len() > 1 && cost >= self.layout.weight[def.block as usize]
                || cost > self.layout.weight[def.block as usize]
            {
                self.moves.push(self.store_after_def(vreg, group[0].it));
            } else {
                self.moves.extend_from_slice(group);
            }
        }
    }

    /// The store of a value after its definition.
    fn store_after_def(&self, vreg: u32, store: Transfer) -> Placement {
        let def = self.lives.defs[vreg as usize];
        let inst = if def.param || def.reg != NO_REG { inst_of(def.pos) } else { inst_of(def.pos) + 1 };
        Placement { key: inst * 4 + Group::Gap as u32, it: Transfer { from: self.before(vreg, inst), ..store } }
    }

    /// Puts all moves in order.
    fn order_moves(&mut self, regs: &RegInfo) {
        self.moves.sort_unstable_by_key(|m| m.key);
        self.output.moves.reserve(self.moves.len());
        let mut sequencer = Sequencer::new(&self.slots, regs.scratch_vec);
        let mut group: Vec<Transfer> = Vec::new();
        for moves in self.moves.chunk_by(|a, b| a.key == b.key) {
            group.clear();
            group.extend(moves.iter().map(|m| m.it));
            sequencer.emit(moves[0].key / 4, &group, &mut self.slots, &mut self.output.moves);
        }
        self.output.spill_slots = self.slots.count;
        self.count();
    }

    fn count(&mut self) {
        let stats =
            Stats { intervals: self.placed.bundles.all.len() as u32, splits: self.placed.splits, ..Stats::default() };
        self.output.stats = stats;
        for Move { from, to, .. } in &self.output.moves {
            if let Alloc::Reg(reg) = to {
                self.output.used |= 1 << reg.0;
            }
            let stats = &mut self.output.stats;
            match (from, to) {
                (Alloc::Remat(_), _) => stats.remats += 1,
                (Alloc::Reg(_), Alloc::Stack(_)) => stats.spills += 1,
                (Alloc::Stack(_), Alloc::Reg(_)) => stats.reloads += 1,
                _ => stats.moves += 1,
            }
        }
    }
}
