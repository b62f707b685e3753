//! What each machine register is taken for, and when.
//!
//! In: claims of instructions, and pieces as they are placed. Out: the first conflict of a piece with a register.
//! Invariant: the times for which a register is taken never overlap, claims aside whose owner is there itself.
//!
//! Pieces come in the order of their starts, so what lies before the current instruction is dropped. Lists are kept with the
//! soonest time last: most changes are made there, and cost little.

use super::liveness::{Claim, Range};
use super::scan::Piece;

/// Who is in the way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Blocker {
    /// Nobody.
    None,
    /// An instruction; or nobody, but we stopped looking.
    Claim,
    /// That piece.
    Piece(u32),
}

/// The first conflict.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conflict {
    /// Where it is; the greatest position if there is none.
    pub(super) pos: u32,
    pub(super) blocker: Blocker,
}

/// No conflict.
pub(super) const FREE: Conflict = Conflict { pos: u32::MAX, blocker: Blocker::None };

/// A time for which a register is taken.
#[derive(Clone, Copy, Debug)]
struct Taken {
    from: u32,
    to: u32,
    piece: u32,
}

/// How many times of a piece and of a register are compared before the answer is "conflict here": keeps huge functions linear.
const PATIENCE: u32 = 128;

/// One register.
#[derive(Clone, Default)]
pub(super) struct Register {
    /// Soonest last.
    taken: Vec<Taken>,
    /// Claims before this one are over.
    claim: usize,
}

impl Register {
    /// Forgets what was before a position.
    pub(super) fn advance(&mut self, to: u32, claims: &[Claim]) {
        while self.taken.last().is_some_and(|t| t.to <= to) {
            self.taken.pop();
        }
        while claims.get(self.claim).is_some_and(|c| c.to <= to) {
            self.claim += 1;
        }
    }

    /// The first conflict of the piece at or after `from`, `except` for another piece.
    pub(super) fn conflict(
        &self,
        piece: &Piece,
        ranges: &[Range],
        claims: &[Claim],
        from: u32,
        except: u32,
    ) -> Conflict {
        let pieces = self.taken_conflict(piece, ranges, from, except);
        let limit = pieces.pos.min(piece.to);
        let claims = self.claim_conflict(piece, ranges, claims, from, limit);
        if claims.pos < pieces.pos { claims } else { pieces }
    }

    fn taken_conflict(&self, piece: &Piece, ranges: &[Range], start: u32, except: u32) -> Conflict {
        let mut left = self.taken.len();
        let mut at = piece.ranges.0 as usize;
        let mut from = piece.from.max(start);
        for step in 0.. {
            left = skip_back(&self.taken, left, from);
            let Some(taken) = left.checked_sub(1).map(|i| self.taken[i]) else { return FREE };
            if taken.from >= piece.to {
                return FREE;
            }
            at = skip_ranges(ranges, at, piece.ranges.1 as usize, taken.from.max(from));
            if at >= piece.ranges.1 as usize {
                return FREE;
            }
            from = from.max(ranges[at].from);
            let pos = taken.from.max(from);
            if from >= piece.to {
                return FREE;
            }
            if pos < ranges[at].to.min(piece.to) && pos < taken.to {
                if taken.piece != except {
                    return Conflict { pos, blocker: Blocker::Piece(taken.piece) };
                }
                left -= 1;
            }
            if step > PATIENCE && from > piece.from.max(start) + 8 {
                return Conflict { pos: from, blocker: Blocker::Claim };
            }
        }
        FREE
    }

    fn claim_conflict(&self, piece: &Piece, ranges: &[Range], claims: &[Claim], start: u32, limit: u32) -> Conflict {
        let mut claim = self.claim;
        let mut at = piece.ranges.0 as usize;
        let mut from = piece.from.max(start);
        for step in 0.. {
            claim = skip_claims(claims, claim, from);
            let Some(it) = claims.get(claim) else { return FREE };
            if it.from >= limit {
                return FREE;
            }
            at = skip_ranges(ranges, at, piece.ranges.1 as usize, it.from.max(from));
            if at >= piece.ranges.1 as usize {
                return FREE;
            }
            from = from.max(ranges[at].from);
            let pos = it.from.max(from);
            if from >= limit {
                return FREE;
            }
            if pos < ranges[at].to.min(limit) && pos < it.to {
                if it.owner != ranges[at].vreg {
                    return Conflict { pos, blocker: Blocker::Claim };
                }
                claim += 1;
            }
            if step > PATIENCE && from > piece.from.max(start) + 8 {
                return Conflict { pos: from, blocker: Blocker::Claim };
            }
        }
        FREE
    }

    /// Takes the register for a piece.
    pub(super) fn take(&mut self, index: u32, piece: &Piece, ranges: &[Range]) {
        for range in ranges[piece.ranges.0 as usize..piece.ranges.1 as usize].iter().rev() {
            let (from, to) = (range.from.max(piece.from), range.to.min(piece.to));
            let tail = self.taken.iter().rev().take(8).take_while(|t| t.from < from).count();
            let place = match tail {
                8 => self.taken.partition_point(|t| t.from >= from),
                _ => self.taken.len() - tail,
            };
            debug_assert!(place == 0 || self.taken[place - 1].from >= to, "taken twice");
            debug_assert!(self.taken.get(place).is_none_or(|t| t.to <= from), "taken twice");
            self.taken.insert(place, Taken { from, to, piece: index });
        }
    }

    /// Frees the register of a piece from a position on; the piece is as it was when it took it.
    pub(super) fn release(&mut self, index: u32, piece: &Piece, ranges: &[Range], pos: u32) {
        for range in ranges[piece.ranges.0 as usize..piece.ranges.1 as usize].iter().rev() {
            let (from, to) = (range.from.max(piece.from), range.to.min(piece.to));
            if to <= pos {
                break;
            }
            let place = self.taken.partition_point(|t| t.from > from);
            // What is over may have been forgotten.
            if let Some(it) = self.taken.get_mut(place).filter(|t| t.from == from && t.piece == index) {
                if from < pos {
                    it.to = pos;
                } else {
                    self.taken.remove(place);
                }
            }
        }
    }
}

/// Index (plus one) of the soonest time that ends after a position.
fn skip_back(taken: &[Taken], left: usize, from: u32) -> usize {
    let near = taken[..left].iter().rev().take(8).take_while(|t| t.to <= from).count();
    match near {
        8 => taken[..left - 8].partition_point(|t| t.to > from),
        _ => left - near,
    }
}

/// Index of the first range that ends after a position.
fn skip_ranges(ranges: &[Range], at: usize, end: usize, pos: u32) -> usize {
    let near = ranges[at..end].iter().take(8).take_while(|r| r.to <= pos).count();
    match near {
        8 => at + 8 + ranges[at + 8..end].partition_point(|r| r.to <= pos),
        _ => at + near,
    }
}

/// Index of the first claim that ends after a position.
fn skip_claims(claims: &[Claim], at: usize, pos: u32) -> usize {
    let near = claims[at..].iter().take(4).take_while(|c| c.to <= pos).count();
    match near {
        4 => at + 4 + claims[at + 4..].partition_point(|c| c.to <= pos),
        _ => at + near,
    }
}
