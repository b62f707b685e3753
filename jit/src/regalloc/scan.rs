//! Linear scan: gives bundles, piece by piece, a register or a place in memory.
//!
//! In: bundles with their ranges and uses. Out: [`Placed`], the pieces of each bundle, each in one register or in memory.
//! Invariant: of two pieces that are live at once, no two are in the same register; every use that needs a register is in a piece
//! that has one.
//!
//! Pieces come in the order of their starts (Wimmer and Mössenböck 2005). Each weighs what it can do, in units of one
//! memory access at the function's entry: take a register that is free for all or a part of its life, take one from another piece,
//! or go to memory; and does the cheapest. Where pieces are cut is decided in `spill`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::bundles::{Affinity, Bundle, Bundles};
use super::layout::{Layout, NONE};
use super::liveness::{Claim, Definition, Lives, NO_REG, Range, Use};
use super::registers::{Blocker, Conflict, FREE, Register};
use super::{Class, Input, RegInfo, RegSet};

/// Where a piece is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Not decided yet.
    Open,
    Reg(u8),
    /// In the spill slot of its bundle, or made anew where it is read.
    Memory,
}

/// A part of a bundle that stays in one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) bundle: u32,
    /// Its positions, within which its ranges count.
    pub(super) from: u32,
    pub(super) to: u32,
    /// Its ranges; the first and the last may reach out of it.
    pub(super) ranges: (u32, u32),
    pub(super) uses: (u32, u32),
    pub(super) place: Place,
    /// Whether the piece before it is in a register where this one starts.
    pub(super) resumes: bool,
    /// The next piece of the bundle.
    pub(super) next: u32,
}

/// See the head of the file.
pub(super) struct Placed {
    pub(super) bundles: Bundles,
    /// The first piece of bundle `b` is `pieces[b]`.
    pub(super) pieces: Vec<Piece>,
    /// Registers given to some piece.
    pub(super) used: RegSet,
    pub(super) splits: u32,
}

/// The state of the scan.
pub(super) struct Scan<'a> {
    pub(super) layout: &'a Layout,
    pub(super) ranges: &'a [Range],
    pub(super) uses: &'a [Use],
    pub(super) claims: &'a [Vec<Claim>],
    pub(super) defs: &'a [Definition],
    pub(super) regs: &'a RegInfo,
    pub(super) bundles: Vec<Bundle>,
    pub(super) affinities: Vec<Affinity>,
    pub(super) pieces: Vec<Piece>,
    pub(super) registers: Vec<Register>,
    /// Pieces that were cut off, by start.
    pub(super) later: BinaryHeap<Reverse<(u32, u32)>>,
    pub(super) used: RegSet,
    pub(super) splits: u32,
}

/// What a piece needs at its start.
#[derive(Clone, Copy)]
pub(super) struct Need {
    /// Whether it must be in a register there.
    pub(super) required: bool,
    /// How far it must stay in it.
    pub(super) end: u32,
    /// End of its first use: a register that does not last so long is no good.
    first_end: u32,
}

/// First conflicts with registers, as far as they are known.
struct Conflicts {
    known: RegSet,
    of: [Conflict; 32],
}

/// What to do with a piece.
#[derive(Clone, Copy)]
enum Choice {
    /// Take a register that is free until the conflict.
    Take(u8, Conflict),
    /// Take a register from that piece, up to the conflict.
    Evict(u8, u32, Conflict),
    /// Go to memory.
    Spill,
}

/// What the first use of a callee-saved register costs: to save and to restore it, but once for all.
const CALLEE_SAVED: f32 = 1.5;

/// Places all bundles.
pub(super) fn place(input: &Input, regs: &RegInfo, layout: &Layout, lives: &Lives, bundles: Bundles) -> Placed {
    let pieces: Vec<Piece> = (0..).zip(&bundles.all).map(|(index, bundle)| whole(index, bundle, lives)).collect();
    let mut order: Vec<u64> = (0..).zip(&pieces).map(|(index, piece)| u64::from(piece.from) << 32 | index).collect();
    order.sort_unstable();
    debug_assert_eq!(input.classes.len(), bundles.of.len());
    let mut scan = Scan {
        layout,
        ranges: &lives.ranges,
        uses: &lives.uses,
        claims: &lives.claims,
        defs: &lives.defs,
        regs,
        bundles: bundles.all,
        affinities: bundles.affinities,
        pieces,
        registers: vec![Register::default(); 32],
        later: BinaryHeap::new(),
        used: 0,
        splits: 0,
    };
    for next in order {
        while scan.later.peek().is_some_and(|Reverse((from, _))| u64::from(*from) < next >> 32) {
            scan.place_later();
        }
        scan.place_piece(next as u32);
    }
    while !scan.later.is_empty() {
        scan.place_later();
    }
    let bundles = Bundles { of: bundles.of, all: scan.bundles, affinities: scan.affinities };
    Placed { bundles, pieces: scan.pieces, used: scan.used, splits: scan.splits }
}

/// The piece that is all of a bundle.
fn whole(index: u32, bundle: &Bundle, lives: &Lives) -> Piece {
    Piece {
        bundle: index,
        from: lives.ranges[bundle.ranges.0 as usize].from,
        to: lives.ranges[bundle.ranges.1 as usize - 1].to,
        ranges: bundle.ranges,
        uses: bundle.uses,
        place: Place::Open,
        resumes: false,
        next: NONE,
    }
}

impl Scan<'_> {
    fn place_later(&mut self) {
        if let Some(Reverse((_, piece))) = self.later.pop() {
            self.place_piece(piece);
        }
    }

    /// Decides where a piece goes.
    fn place_piece(&mut self, index: u32) {
        let piece = self.pieces[index as usize];
        let need = self.need(&piece);
        let costs = self.costs(&piece);
        let mut conflicts = Conflicts { known: 0, of: [FREE; 32] };
        let choice = self.choose(&piece, need, &costs, &mut conflicts);
        match choice {
            Some(Choice::Take(reg, conflict)) => self.take(index, reg, conflict),
            Some(Choice::Evict(reg, other, conflict)) => {
                self.evict(other, piece.from);
                self.take(index, reg, conflict);
            }
            Some(Choice::Spill) => self.spill_from(index, piece.from),
            None => self.displace(index, need, &conflicts.of),
        }
    }

    /// The registers of a class.
    pub(super) fn registers_of(&self, class: Class) -> RegSet {
        if class == Class::Int { self.regs.int } else { self.regs.vec }
    }

    fn need(&self, piece: &Piece) -> Need {
        let mut need = Need { required: false, end: piece.from + 1, first_end: piece.from + 1 };
        let uses = &self.uses[piece.uses.0 as usize..piece.uses.1 as usize];
        if let Some(first) = uses.first() {
            need.first_end = first.end().min(piece.to);
        }
        for it in uses.iter().take_while(|u| u.pos < (piece.from & !3) + 4) {
            need.required |= it.required();
            if it.op != NONE {
                need.end = need.end.max(it.end());
            }
        }
        need
    }

    /// What each register costs: its first use, if it must be saved, less what it saves by fixed operands and by places of
    /// values that this one is copied from or to.
    fn costs(&self, piece: &Piece) -> [f32; 32] {
        let mut costs = [0.0; 32];
        let mut save = self.regs.callee_saved & !self.used;
        while save != 0 {
            costs[save.trailing_zeros() as usize] = CALLEE_SAVED;
            save &= save - 1;
        }
        let uses = &self.uses[piece.uses.0 as usize..piece.uses.1 as usize];
        for it in uses.iter().take(12).chain(uses.iter().skip(12).rev().take(4)).filter(|u| u.reg != NO_REG) {
            costs[it.reg as usize & 31] -= self.layout.weight_at(it.pos) * 0.5;
        }
        let bundle = &self.bundles[piece.bundle as usize];
        let mut next = bundle.affinity;
        for _ in 0..16 {
            let Some(it) = self.affinities.get(next as usize) else { break };
            if (piece.from..piece.to).contains(&it.here)
                && let Some(reg) = self.reg_at(it.other, it.there)
            {
                costs[reg as usize & 31] -= it.weight;
            }
            next = it.next;
        }
        if bundle.last_reg != NO_REG {
            costs[bundle.last_reg as usize & 31] -= self.layout.weight_at(piece.from) * 0.5;
        }
        costs
    }

    /// The register of a bundle at a position, if it is decided.
    fn reg_at(&self, bundle: u32, pos: u32) -> Option<u8> {
        let mut piece = &self.pieces[bundle as usize];
        for _ in 0..16 {
            if pos < piece.to || piece.next == NONE {
                break;
            }
            piece = &self.pieces[piece.next as usize];
        }
        match piece.place {
            Place::Reg(reg) if (piece.from..piece.to).contains(&pos) => Some(reg),
            _ => None,
        }
    }

    /// The first conflict with a register.
    fn conflict(&mut self, piece: &Piece, reg: u8, conflicts: &mut Conflicts) -> Conflict {
        if conflicts.known >> reg & 1 == 0 {
            let (register, claims) = (&mut self.registers[reg as usize], &self.claims[reg as usize]);
            register.advance(piece.from & !3, claims);
            conflicts.of[reg as usize & 31] = register.conflict(piece, self.ranges, claims, piece.from, NONE);
            conflicts.known |= 1 << reg;
        }
        conflicts.of[reg as usize & 31]
    }

    /// The cheapest choice; none if the piece needs a register and none can be had.
    fn choose(&mut self, piece: &Piece, need: Need, costs: &[f32; 32], conflicts: &mut Conflicts) -> Option<Choice> {
        let mut rest = self.registers_of(self.bundles[piece.bundle as usize].class);
        let all = rest;
        let mut best = (f32::INFINITY, None);
        // From the register that is best by itself on: most pieces get that.
        while let Some((reg, own)) = cheapest(rest, costs).filter(|it| it.1 < best.0) {
            rest &= !(1 << reg);
            let conflict = self.conflict(piece, reg, conflicts);
            if lasts(piece, need, conflict) {
                let cost = own + self.cut_cost(piece, reg, conflict, NONE);
                if cost < best.0 {
                    best = (cost, Some(Choice::Take(reg, conflict)));
                }
            }
        }
        if best.0 < 0.1 {
            return best.1;
        }
        for reg in each(all) {
            let Conflict { pos, blocker: Blocker::Piece(other) } = self.conflict(piece, reg, conflicts) else {
                continue;
            };
            if pos != piece.from || costs[reg as usize & 31] >= best.0 || !self.may_evict(other, piece.from) {
                continue;
            }
            let cost = costs[reg as usize & 31] + self.spill_cost(&self.pieces[other as usize], piece.from);
            if cost >= best.0 {
                continue;
            }
            let claims = &self.claims[reg as usize];
            let conflict = self.registers[reg as usize].conflict(piece, self.ranges, claims, piece.from, other);
            if lasts(piece, need, conflict) {
                let cost = cost + self.cut_cost(piece, reg, conflict, other);
                if cost < best.0 {
                    best = (cost, Some(Choice::Evict(reg, other, conflict)));
                }
            }
        }
        if !need.required && self.spill_cost(piece, piece.from) < best.0 {
            return Some(Choice::Spill);
        }
        best.1
    }

    /// What it will cost that a piece cannot stay in a register.
    fn cut_cost(&self, piece: &Piece, reg: u8, mut conflict: Conflict, except: u32) -> f32 {
        let mut cost = 0.0;
        for _ in 0..4 {
            if conflict.pos >= piece.to {
                break;
            }
            // In cold code it costs little; what matters is where it next meets with hot code.
            let Some(end) = self.layout.cold_run_end(conflict.pos) else {
                return cost + self.move_cost(piece, reg, conflict.pos).min(self.spill_cost(piece, conflict.pos));
            };
            cost += 0.02;
            if end >= piece.to {
                break;
            }
            conflict =
                self.registers[reg as usize].conflict(piece, self.ranges, &self.claims[reg as usize], end, except);
        }
        cost
    }

    /// What it costs to move a piece to another register at a conflict: to one that survives calls and is saved anyway, if
    /// such a one is free from there on.
    fn move_cost(&self, piece: &Piece, reg: u8, pos: u32) -> f32 {
        let free = |other: u8| {
            let claims = &self.claims[other as usize];
            self.registers[other as usize].conflict(piece, self.ranges, claims, pos & !3, NONE).pos >= piece.to
        };
        let all = self.registers_of(self.bundles[piece.bundle as usize].class);
        match each(all & self.regs.callee_saved & self.used & !(1 << reg)).any(free) {
            true => 0.6 * self.layout.weight_at(pos),
            false => f32::INFINITY,
        }
    }

    /// Puts a piece in a register, up to a conflict.
    pub(super) fn take(&mut self, index: u32, reg: u8, conflict: Conflict) {
        if conflict.pos < self.pieces[index as usize].to {
            self.cut(index, conflict.pos);
        }
        self.cut_at_given(index, reg);
        let piece = &mut self.pieces[index as usize];
        piece.place = Place::Reg(reg);
        self.used |= 1 << reg;
        self.bundles[piece.bundle as usize].last_reg = reg;
        self.registers[reg as usize].take(index, piece, self.ranges);
    }
}

/// The registers of a set.
pub(super) fn each(mut set: RegSet) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let reg = (set != 0).then(|| set.trailing_zeros() as u8)?;
        set &= set - 1;
        Some(reg)
    })
}

/// The register of a set that costs least, and what it costs.
fn cheapest(set: RegSet, costs: &[f32; 32]) -> Option<(u8, f32)> {
    each(set).map(|reg| (reg, costs[reg as usize & 31])).reduce(|a, b| if b.1 < a.1 { b } else { a })
}

/// Whether a register that is free until the conflict is any good.
fn lasts(piece: &Piece, need: Need, conflict: Conflict) -> bool {
    let pos = conflict.pos;
    let cuttable = pos & !3 > piece.from || need.required && pos % 4 == 2;
    pos >= need.end && (pos >= piece.to || pos >= need.first_end && cuttable)
}
