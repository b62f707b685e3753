//! Where pieces are cut, what goes to memory, and what that costs.
//!
//! In: a piece that must leave its register. Out: the piece cut, its tail in memory up to the next use that needs a register,
//! and the rest back in the queue. Invariant: a piece is cut in a gap, or, if its tail starts in memory, between the
//! reads and the writes of an instruction; the queue only ever gets pieces that start after what was given up.
//!
//! A cut is made before the outermost loop in which the value is not used before the cut, and a reload before the outermost
//! loop that begins after it: a value that is only live through a loop costs nothing in it, and one that is
//! used in the loop is loaded once.

use std::cmp::Reverse;

use super::bundles::uses_between;
use super::layout::{NONE, gap, inst_of};
use super::liveness::{self, Use};
use super::registers::{Blocker, Conflict};
use super::scan::{Need, Piece, Place, Scan, each};

/// How many loops around a place are looked at.
const MAX_LOOPS: usize = 64;

impl Scan<'_> {
    fn uses_of(&self, piece: &Piece) -> &[Use] {
        &self.uses[piece.uses.0 as usize..piece.uses.1 as usize]
    }

    /// Whether a piece can leave its register at a position.
    pub(super) fn may_evict(&self, index: u32, at: u32) -> bool {
        let piece = &self.pieces[index as usize];
        let start = at & !3;
        let uses = uses_between(self.uses_of(piece), start, start + 4);
        piece.from < at.max(start + 1) && (!uses.iter().any(Use::required) || ends_amid(uses, at))
    }

    /// What it costs that a piece is not in a register from a position on.
    pub(super) fn spill_cost(&self, piece: &Piece, at: u32) -> f32 {
        let bundle = &self.bundles[piece.bundle as usize];
        let reload = self.reload_cost(piece, at);
        if bundle.remat {
            return reload * 0.5;
        }
        if bundle.spilled {
            return reload;
        }
        let ranges = &self.ranges[piece.ranges.0 as usize..piece.ranges.1 as usize];
        let range = ranges[ranges.partition_point(|r| r.to <= at).min(ranges.len() - 1)];
        let defined = self.layout.weight[self.defs[range.vreg as usize].block as usize];
        reload + 0.7 * defined.min(self.layout.weight_at(at))
    }

    /// What it costs to bring a value back for its next uses, be they ahead or behind in a loop.
    fn reload_cost(&self, piece: &Piece, at: u32) -> f32 {
        let uses = self.uses_of(piece);
        let ahead = &uses[uses.partition_point(|u| u.pos < at)..];
        let mut cost = 0f32;
        for it in ahead.iter().take(4) {
            let factor = match it.need {
                liveness::Need::Given if it.pos == at => 0.0,
                liveness::Need::Def | liveness::Need::Given => break,
                liveness::Need::Reg => 1.0,
                liveness::Need::Any => 0.6,
                liveness::Need::Gap => 0.5,
                liveness::Need::Edge => 0.3,
            };
            cost = cost.max(factor * self.weight_outside(it.pos, at) * nearness(it.pos - at));
        }
        let next = ahead.first().map_or(u32::MAX, |u| u.pos);
        let bundle = self.bundles[piece.bundle as usize];
        let all = &self.uses[bundle.uses.0 as usize..bundle.uses.1 as usize];
        for it in self.loops_around(self.layout.loop_at(at)) {
            if next < it.to || piece.to < it.to || it.from > at {
                break;
            }
            if let Some(behind) = uses_between(all, it.from, at).first() {
                let way = it.to.saturating_sub(at) + (behind.pos - it.from);
                return cost.max(self.layout.weight_at(behind.pos) * nearness(way));
            }
        }
        cost
    }

    /// Weight of the place where a value is best loaded for a use, somewhere after `from`.
    fn weight_outside(&self, pos: u32, from: u32) -> f32 {
        let mut weight = self.layout.weight_at(pos);
        for it in self.loops_around(self.layout.loop_at(pos)).take_while(|it| it.from > from) {
            weight = weight.min(it.outside);
        }
        weight
    }

    /// The best position to cut a piece, at `to` or before, but after `from`.
    fn best_cut(&self, from: u32, to: u32) -> u32 {
        let mut pos = to;
        for it in self.loops_around(self.layout.loop_at(to)).take_while(|it| it.from > from) {
            pos = pos.min(it.from);
        }
        pos
    }

    /// A loop and those around it, innermost first, as far as is worth looking.
    fn loops_around(&self, mut innermost: u32) -> impl Iterator<Item = &super::layout::Loop> {
        let next = move || {
            let it = self.layout.loops.get(innermost as usize)?;
            innermost = it.parent;
            Some(it)
        };
        std::iter::from_fn(next).take(MAX_LOOPS)
    }

    /// Cuts a piece that has a register until a conflict.
    pub(super) fn cut(&mut self, index: u32, conflict: u32) {
        let piece = self.pieces[index as usize];
        let to = conflict & !3;
        let uses = uses_between(self.uses_of(&piece), to, conflict);
        if ends_amid(uses, conflict) && (to <= piece.from || uses.iter().any(Use::required)) {
            let tail = self.split(index, conflict);
            return self.spill_tail(tail, conflict);
        }
        let last = uses_between(self.uses_of(&piece), piece.from, to).last().map_or(piece.from, |u| u.pos);
        let tail = self.split(index, self.best_cut(last.max(piece.from), to));
        self.resume(tail);
    }

    /// Cuts a piece where its next value starts in a fixed register: it is moved from there anyway, unless it may stay.
    pub(super) fn cut_at_given(&mut self, index: u32, reg: u8) {
        let piece = self.pieces[index as usize];
        let starts =
            |u: &Use| matches!(u.need, liveness::Need::Given | liveness::Need::Def) && u.reg != liveness::NO_REG;
        let given = |u: &&Use| starts(u) && u.reg != reg && u.pos > piece.from;
        if let Some(pos) = self.uses_of(&piece).iter().take(64).find(given).map(|u| u.pos) {
            let tail = self.split(index, pos);
            self.queue(tail);
        }
    }

    /// Queues a piece whose predecessor is in a register.
    fn resume(&mut self, tail: u32) {
        if tail != NONE {
            self.pieces[tail as usize].resumes = true;
            self.queue(tail);
        }
    }

    fn queue(&mut self, index: u32) {
        self.later.push(Reverse((self.pieces[index as usize].from, index)));
    }

    /// Takes its register from a piece.
    pub(super) fn evict(&mut self, index: u32, at: u32) {
        let piece = self.pieces[index as usize];
        let start = at & !3;
        let uses = self.uses_of(&piece);
        let cut = if uses_between(uses, start, start + 4).iter().any(Use::required) {
            start + 2
        } else {
            let last = uses_between(uses, piece.from, start).last().map_or(piece.from, |u| u.pos);
            self.best_cut(last, start)
        };
        let idle = cut <= piece.from || uses_between(uses, piece.from, cut).is_empty();
        if idle {
            // Nothing is left that the register was for.
            self.release(index, piece.from);
            self.pieces[index as usize].place = Place::Open;
            return self.spill_from(index, at);
        }
        self.release(index, cut);
        let tail = self.split(index, cut);
        self.spill_tail(tail, at);
    }

    fn release(&mut self, index: u32, from: u32) {
        let piece = &self.pieces[index as usize];
        if let Place::Reg(reg) = piece.place {
            self.registers[reg as usize].release(index, piece, self.ranges, from);
        }
    }

    /// Sends to memory what follows a piece in a register.
    fn spill_tail(&mut self, tail: u32, at: u32) {
        if tail != NONE {
            self.pieces[tail as usize].resumes = true;
            self.spill_from(tail, at);
        }
    }

    /// Sends an open piece to memory, up to where it needs a register next, which is after `at`.
    pub(super) fn spill_from(&mut self, mut index: u32, mut at: u32) {
        loop {
            let rest = self.spill_to_next(index, at);
            if rest == NONE {
                return;
            }
            // A value that is in memory before and after a cold stretch comes back for that only.
            let from = self.pieces[rest as usize].from;
            let cold_end = self.layout.cold_run_end(from);
            let hot = self.layout.cold_run_end(self.pieces[index as usize].from).is_none();
            let Some(end) = cold_end.filter(|_| hot) else { return self.queue(rest) };
            index = self.split(rest, end);
            self.queue(rest);
            if index == NONE {
                return;
            }
            at = self.pieces[index as usize].from;
        }
    }

    /// Sends the start of an open piece to memory; returns what needs a register again.
    fn spill_to_next(&mut self, index: u32, at: u32) -> u32 {
        let piece = self.pieces[index as usize];
        let mut back = self.next_reload(&piece, at);
        // After a cold stretch a value that was in a register before it had best be in that again.
        let cold_end =
            self.layout.cold_run_end(piece.from).filter(|&end| piece.resumes && at < end && end < back.min(piece.to));
        back = cold_end.unwrap_or(back);
        if back <= piece.from {
            return index;
        }
        let rest = self.split(index, back);
        self.pieces[index as usize].place = Place::Memory;
        self.bundles[piece.bundle as usize].spilled = true;
        if cold_end.is_some() && rest != NONE {
            self.pieces[rest as usize].resumes = true;
        }
        rest
    }

    /// Where a piece in memory shall come back: as far out of loops as can be between `at` and its next use.
    fn next_reload(&self, piece: &Piece, at: u32) -> u32 {
        let here = self.layout.weight_at(piece.from);
        let uses = self.uses_of(piece);
        for it in &uses[uses.partition_point(|u| u.pos < piece.from)..] {
            if it.need == liveness::Need::Def || it.need == liveness::Need::Given && it.pos > piece.from {
                return it.pos;
            }
            let wanted = it.need == liveness::Need::Any && self.layout.weight_at(it.pos) > here;
            if it.need != liveness::Need::Reg && !wanted {
                continue;
            }
            let back = self.best_cut(at, gap(inst_of(it.pos)));
            if back > at {
                return back;
            }
            if it.need == liveness::Need::Reg {
                return piece.from;
            }
        }
        u32::MAX
    }

    /// Cuts a piece; returns what follows, if anything does.
    fn split(&mut self, index: u32, pos: u32) -> u32 {
        let piece = self.pieces[index as usize];
        if pos >= piece.to {
            return NONE;
        }
        debug_assert!(pos > piece.from, "nothing would be left");
        let ranges = &self.ranges[piece.ranges.0 as usize..piece.ranges.1 as usize];
        let done = piece.ranges.0 + ranges.partition_point(|r| r.to <= pos) as u32;
        let uses = piece.uses.0 + self.uses_of(&piece).partition_point(|u| u.pos < pos) as u32;
        let from = self.ranges[done as usize].from.max(pos);
        let tail = Piece {
            from,
            ranges: (done, piece.ranges.1),
            uses: (uses, piece.uses.1),
            place: Place::Open,
            resumes: false,
            ..piece
        };
        let new = self.pieces.len() as u32;
        self.pieces.push(tail);
        self.splits += 1;
        let head = &mut self.pieces[index as usize];
        head.ranges.1 = if self.ranges[done as usize].from < pos { done + 1 } else { done };
        head.to = self.ranges[head.ranges.1 as usize - 1].to.min(pos);
        head.uses.1 = uses;
        head.next = new;
        new
    }

    /// Makes room for a piece that needs a register, by sending another piece that needs one to look for a different one.
    ///
    /// Only a piece that needs its register beyond the reads of the instruction may do that to one that does not, so it ends.
    pub(super) fn displace(&mut self, index: u32, need: Need, conflicts: &[Conflict; 32]) {
        let piece = self.pieces[index as usize];
        for reg in each(self.registers_of(self.bundles[piece.bundle as usize].class)) {
            let Conflict { pos, blocker: Blocker::Piece(other) } = conflicts[reg as usize & 31] else { continue };
            let claims = &self.claims[reg as usize];
            let conflict = self.registers[reg as usize].conflict(&piece, self.ranges, claims, piece.from, other);
            if conflict.pos < need.end || !self.may_displace(other, pos, need) {
                continue;
            }
            let cut = if pos > piece.from { pos } else { pos & !3 };
            self.release(other, cut);
            if cut <= self.pieces[other as usize].from {
                self.release(other, 0);
                self.pieces[other as usize].place = Place::Open;
                self.queue(other);
            } else {
                let tail = self.split(other, cut);
                self.resume(tail);
            }
            return self.take(index, reg, conflict);
        }
        panic!("too few registers for instruction {}", inst_of(piece.from));
    }

    fn may_displace(&self, other: u32, pos: u32, need: Need) -> bool {
        let start = pos & !3;
        let uses = uses_between(self.uses_of(&self.pieces[other as usize]), start, start + 4);
        need.end > start + 2
            && uses.iter().all(|u| {
                u.end() <= start + 2
                    || u.pos >= need.end
                    || u.need == liveness::Need::Def && u.pos >= pos && pos > start
            })
    }
}

/// Whether a piece can go to memory between the reads and the writes of an instruction that has these uses of it.
fn ends_amid(uses: &[Use], at: u32) -> bool {
    at % 4 == 2 && uses.iter().all(|u| u.end() <= at)
}

/// Greater for what is needed sooner, from 1 to 2.
fn nearness(distance: u32) -> f32 {
    1.0 + 256.0 / (distance as f32 + 256.0)
}
