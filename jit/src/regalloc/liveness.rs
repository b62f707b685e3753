//! Where each virtual register is live, and where it is used.
//!
//! In: the instructions. Out: [`Lives`]: for each virtual register its live ranges and its uses, each sorted by
//! position, and for each machine register where instructions claim it. Invariant: outside of its ranges a virtual
//! register's place may be overwritten.
//!
//! Ranges are found one virtual register at a time, by walking from its uses up to its definition, so any flow of
//! control will do, and what lives in one block only (most) costs no walk at all.
//!
//! What is live how far, for an instruction `i` (positions as in `layout`):
//! - A use reads at `4i + 1`; a late one until `4i + 3`. A definition writes at `4i + 2`, an early or tied one at `4i + 1`.
//! - A use in a fixed register, or tied, is a copy made in the gap, so it reads what was true before the gap: at `4i - 1`,
//!   or, where the instruction is the first of its block, at `4i`, before its tie or fixed register is claimed at `4i + 1`.
//! - A definition in a fixed register is copied away in the gap after it: its range begins at `4i + 4`, and the
//!   register is claimed until then.

use super::layout::{Layout, NONE, gap};
use super::{Constraint, Input, Kind, NO_REMAT, Operand};
use crate::budget::{Steps, TooMuch};

/// No machine register.
pub(super) const NO_REG: u8 = u8::MAX;

/// What a use asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Need {
    /// Read in a register.
    Reg,
    /// Written in a register.
    Def,
    /// Read or written wherever it is.
    Any,
    /// Copied to a register in a gap.
    Gap,
    /// Written in a fixed register, and copied from there in a gap.
    Given,
    /// Passed to a block's parameter, or that parameter.
    Edge,
}

/// One use or definition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// Where its place counts.
    pub(super) pos: u32,
    /// The operand whose place it decides.
    pub(super) op: u32,
    pub(super) need: Need,
    /// How far it reaches, from `pos`.
    pub(super) len: u8,
    /// A register in which it would cost no move.
    pub(super) reg: u8,
}

impl Use {
    pub(super) fn end(&self) -> u32 {
        self.pos + u32::from(self.len)
    }

    /// Whether it needs a register.
    pub(super) fn required(&self) -> bool {
        matches!(self.need, Need::Reg | Need::Def)
    }
}

/// Positions `from..to` in which a virtual register is live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) vreg: u32,
}

/// Positions `from..to` in which an instruction claims a machine register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) from: u32,
    pub(super) to: u32,
    /// The virtual register that may be there nevertheless.
    pub(super) owner: u32,
}

/// Where a virtual register is defined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition {
    /// Start of its ranges.
    pub(super) pos: u32,
    pub(super) block: u32,
    /// The register it is defined in, if that is fixed.
    pub(super) reg: u8,
    /// Whether it is a parameter of its block.
    pub(super) param: bool,
}

/// See the head of the file.
pub(super) struct Lives {
    pub(super) ranges: Vec<Range>,
    /// Ranges of `v`: from `range_start[v]` to `range_start[v + 1]`.
    pub(super) range_start: Vec<u32>,
    pub(super) uses: Vec<Use>,
    /// Uses of `v`: from `use_start[v]` to `use_end[v]`.
    pub(super) use_start: Vec<u32>,
    pub(super) use_end: Vec<u32>,
    pub(super) defs: Vec<Definition>,
    /// By machine register.
    pub(super) claims: Vec<Vec<Claim>>,
}

impl Lives {
    /// Whether a virtual register has a place besides those its operands fix.
    pub(super) fn has_ranges(&self, vreg: u32) -> bool {
        self.range_start[vreg as usize] < self.range_start[vreg as usize + 1]
    }
}

/// Finds live ranges and uses.
pub(super) fn find(input: &Input, layout: &Layout, steps: &mut Steps) -> Result<Lives, TooMuch> {
    let vregs = input.classes.len();
    let mut lives = Lives {
        ranges: Vec::with_capacity(vregs + vregs / 2),
        range_start: Vec::with_capacity(vregs + 1),
        uses: Vec::new(),
        use_start: Vec::new(),
        use_end: Vec::new(),
        defs: vec![Definition { pos: NONE, block: NONE, reg: NO_REG, param: false }; vregs],
        claims: vec![Vec::new(); 32],
    };
    lives.count_uses(input);
    lives.note_uses(input, layout);
    let mut walk =
        Walk { live_in: vec![NONE; input.blocks.len()], live_out: vec![NONE; input.blocks.len()], ..Walk::default() };
    for vreg in 0..vregs as u32 {
        lives.range_start.push(lives.ranges.len() as u32);
        lives.find_ranges(vreg, layout, &mut walk);
        steps.take(std::mem::take(&mut walk.steps));
        if steps.is_over() {
            return Err(TooMuch("too many values live through too many blocks"));
        }
    }
    lives.range_start.push(lives.ranges.len() as u32);
    Ok(lives)
}

/// Marks for the walk from uses to definition; a mark is the virtual register it was made for.
#[derive(Default)]
struct Walk {
    live_in: Vec<u32>,
    live_out: Vec<u32>,
    /// Blocks marked in `live_in`.
    blocks: Vec<u32>,
    todo: Vec<u32>,
    /// Blocks looked at.
    steps: usize,
}

impl Lives {
    /// Reserves the room for each virtual register's uses.
    fn count_uses(&mut self, input: &Input) {
        self.use_start = vec![0; input.classes.len() + 1];
        let at = &mut self.use_start;
        for operand in &input.operands {
            at[operand.vreg.0 as usize] += 1;
        }
        for block in &input.blocks {
            block.params.iter().chain(&block.args).for_each(|v| at[v.0 as usize] += 1);
        }
        let mut sum = 0;
        for count in at.iter_mut() {
            (*count, sum) = (sum, sum + *count);
        }
        self.use_end = self.use_start[..input.classes.len()].to_vec();
        self.uses = vec![Use { pos: 0, op: NONE, need: Need::Any, len: 0, reg: NO_REG }; sum as usize];
    }

    fn push_use(&mut self, vreg: u32, it: Use) {
        let end = &mut self.use_end[vreg as usize];
        self.uses[*end as usize] = it;
        *end += 1;
    }

    /// Notes uses, definitions and claims in the order of positions.
    fn note_uses(&mut self, input: &Input, layout: &Layout) {
        for (index, block) in (0..).zip(&input.blocks) {
            let start = layout.start(index);
            for param in &block.params {
                self.defs[param.0 as usize] = Definition { pos: start, block: index, reg: NO_REG, param: true };
                self.push_use(param.0, Use { pos: start, op: NONE, need: Need::Edge, len: 1, reg: NO_REG });
            }
            for inst in block.insts.clone() {
                self.note_inst(input, layout, index, inst);
            }
            let last = layout.end(index) - 1;
            for arg in &block.args {
                self.push_use(arg.0, Use { pos: last, op: NONE, need: Need::Edge, len: 1, reg: NO_REG });
            }
        }
    }

    fn note_inst(&mut self, input: &Input, layout: &Layout, block: u32, inst: u32) {
        let start = input.operand_start[inst as usize];
        let operands = &input.operands[start as usize..input.operand_start[inst as usize + 1] as usize];
        let at = gap(inst);
        let mut rest = false;
        // What reads in the gap comes first, so that uses stay sorted.
        for it in operands {
            let fixed = match it.constraint {
                Constraint::Fixed(reg) if !is_def(it) => reg.0,
                _ if it.kind == Kind::Use && is_tied(operands, it) => NO_REG,
                _ => {
                    rest = true;
                    continue;
                }
            };
            let pos = if layout.first[block as usize] == inst { at } else { at - 1 };
            // After a definition in a fixed register the copy is made from there.
            if self.defs[it.vreg.0 as usize].pos != at || pos == at {
                self.push_use(it.vreg.0, Use { pos, op: NONE, need: Need::Gap, len: 1, reg: fixed });
            }
            if fixed != NO_REG {
                let to = if it.kind == Kind::LateUse { at + 4 } else { at + 2 };
                self.claims[fixed as usize].push(Claim { from: at + 1, to, owner: it.vreg.0 });
            }
        }
        let mut clobbers = input.clobbers[inst as usize];
        while clobbers != 0 {
            let claims = &mut self.claims[clobbers.trailing_zeros() as usize];
            claims.push(Claim { from: at + 2, to: at + 4, owner: NONE });
            clobbers &= clobbers - 1;
        }
        if rest {
            for (op, it) in (start..).zip(operands) {
                self.note_operand(input, operands, block, inst, op, it);
            }
        }
    }

    /// Notes an operand that is not read in the gap.
    fn note_operand(&mut self, input: &Input, operands: &[Operand], block: u32, inst: u32, op: u32, it: &Operand) {
        let (at, vreg) = (gap(inst), it.vreg.0);
        if is_def(it) {
            let early = it.kind == Kind::EarlyDef || matches!(it.constraint, Constraint::Tied(_));
            let from = if early { at + 1 } else { at + 2 };
            if let Constraint::Fixed(reg) = it.constraint {
                self.claims[reg.0 as usize].push(Claim { from, to: at + 4, owner: NONE });
                self.defs[vreg as usize] = Definition { pos: at + 4, block, reg: reg.0, param: false };
                return self.push_use(vreg, Use { pos: at + 4, op: NONE, need: Need::Given, len: 1, reg: reg.0 });
            }
            self.defs[vreg as usize] = Definition { pos: from, block, reg: NO_REG, param: false };
            let any = it.constraint == Constraint::Any && input.remat[vreg as usize] == NO_REMAT;
            let need = if any { Need::Any } else { Need::Def };
            // What is tied to a value that was just written in a fixed register starts there.
            let reg = match it.constraint {
                Constraint::Tied(to) => Some(self.defs[operands[to as usize].vreg.0 as usize]).filter(|d| d.pos == at),
                _ => None,
            };
            let reg = reg.map_or(NO_REG, |d| d.reg);
            return self.push_use(vreg, Use { pos: from, op, need, len: (at + 4 - from) as u8, reg });
        }
        let need = match it.constraint {
            Constraint::Reg => Need::Reg,
            Constraint::Any if input.remat[vreg as usize] == NO_REMAT => Need::Any,
            // A value that is made anew has no spill slot to be read from.
            Constraint::Any => Need::Reg,
            Constraint::Fixed(_) | Constraint::Tied(_) => return,
        };
        match it.kind {
            Kind::LateUse => self.push_use(vreg, Use { pos: at + 1, op, need, len: 3, reg: NO_REG }),
            _ if is_tied(operands, it) => {}
            _ => self.push_use(vreg, Use { pos: at + 1, op, need, len: 1, reg: NO_REG }),
        }
    }

    /// Appends the live ranges of a virtual register.
    fn find_ranges(&mut self, vreg: u32, layout: &Layout, walk: &mut Walk) {
        let def = self.defs[vreg as usize];
        let uses = &self.uses[self.use_start[vreg as usize] as usize..self.use_end[vreg as usize] as usize];
        let unread = def.param || def.reg != NO_REG;
        if def.pos == NONE || uses.len() == 1 && unread {
            return;
        }
        let (start, end) = (layout.start(def.block), layout.end(def.block));
        if uses[0].pos >= start && uses[uses.len() - 1].pos < end {
            let last = uses[uses.len() - 1].pos;
            let to = uses.iter().rev().take_while(|u| u.pos + 3 >= last).map(Use::end).max().unwrap_or(end);
            return self.ranges.push(Range { from: def.pos, to, vreg });
        }
        walk.run(vreg, def.block, uses, layout);
        walk.sort_blocks(vreg, def.block);
        walk.steps += walk.blocks.len();
        let mut rest = uses;
        for &block in &walk.blocks {
            let (mut from, end) = (layout.start(block), layout.end(block));
            let count = rest.iter().take_while(|u| u.pos < end).count();
            let mut to = rest[..count].iter().map(Use::end).max().unwrap_or(from);
            rest = &rest[count..];
            if block == def.block {
                from = def.pos;
            }
            if walk.live_out[block as usize] == vreg {
                to = end;
            }
            match self.ranges.last_mut() {
                Some(last) if last.vreg == vreg && last.to == from => last.to = last.to.max(to),
                _ if from < to => self.ranges.push(Range { from, to, vreg }),
                _ => {}
            }
        }
    }
}

impl Walk {
    /// Marks the blocks where the virtual register is live in and out.
    fn run(&mut self, vreg: u32, def: u32, uses: &[Use], layout: &Layout) {
        self.blocks.clear();
        let mut rest = uses;
        while let Some(it) = rest.first() {
            let block = layout.block_at(it.pos);
            self.add(vreg, def, block);
            let end = layout.end(block);
            rest = &rest[rest.iter().take_while(|u| u.pos < end).count()..];
        }
        while let Some(block) = self.todo.pop() {
            for &pred in layout.preds(block) {
                self.live_out[pred as usize] = vreg;
                self.add(vreg, def, pred);
            }
        }
    }

    /// Sorts the blocks marked, and the one of the definition.
    fn sort_blocks(&mut self, vreg: u32, def: u32) {
        self.blocks.push(def);
        let (first, last) = self.blocks.iter().fold((def, def), |(min, max), &b| (min.min(b), max.max(b)));
        if self.blocks.len() < 32 || self.blocks.len() < (last - first) as usize / 8 {
            return self.blocks.sort_unstable();
        }
        self.blocks.clear();
        let live_in = &self.live_in;
        self.blocks.extend((first..=last).filter(|&b| b == def || live_in[b as usize] == vreg));
    }

    fn add(&mut self, vreg: u32, def: u32, block: u32) {
        if block != def && self.live_in[block as usize] != vreg {
            self.live_in[block as usize] = vreg;
            self.blocks.push(block);
            self.todo.push(block);
        }
    }
}

fn is_def(it: &Operand) -> bool {
    matches!(it.kind, Kind::Def | Kind::EarlyDef)
}

/// Whether a use is of the same virtual register as a tied use, so that it reads the tied register.
fn is_tied(operands: &[Operand], it: &Operand) -> bool {
    operands.iter().any(|o| matches!(o.constraint, Constraint::Tied(to) if operands[to as usize].vreg == it.vreg))
}
