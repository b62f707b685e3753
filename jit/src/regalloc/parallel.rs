//! Moves that are to happen at once, as a sequence.
//!
//! In: moves with different targets, or the same move twice. Out: moves in an order that has the same effect. Invariant: no move is emitted while its
//! target is still to be read.
//!
//! Cycles among integer registers become exchanges; those among vector registers go through the scratch register. A
//! cycle with a spill slot in it goes through another spill slot, as moves between slots may need the scratch register.

use super::layout::NONE;
use super::slots::Slots;
use super::{Alloc, Class, Move, PReg};

/// A move to be made, without its position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Transfer {
    pub(super) from: Alloc,
    pub(super) to: Alloc,
    pub(super) class: Class,
    pub(super) vreg: u32,
}

/// Orders groups of moves; keeps its tables from one group to the next.
pub(super) struct Sequencer {
    /// How many moves still read each place.
    reads: Vec<u32>,
    /// The move that writes each place.
    writer: Vec<u32>,
    ready: Vec<u32>,
    /// Slots for cycles through memory: for a vector, for another value.
    temporary: [Option<u32>; 2],
    scratch: PReg,
}

impl Sequencer {
    pub(super) fn new(slots: &Slots, scratch: PReg) -> Self {
        let places = 32 + slots.count as usize;
        Self { reads: vec![0; places], writer: vec![NONE; places], ready: Vec::new(), temporary: [None; 2], scratch }
    }

    /// Emits the moves of a group, to be done before `inst`.
    pub(super) fn emit(&mut self, inst: u32, group: &[Transfer], slots: &mut Slots, moves: &mut Vec<Move>) {
        let mut out = Emitter { inst, moves };
        if let [one] = group {
            return out.push(one, one.from, one.to);
        }
        for (index, it) in (0..).zip(group) {
            let Some(to) = place(it.to) else { continue };
            if self.writer[to] != NONE {
                debug_assert!(group[self.writer[to] as usize].from == it.from, "two values to one place");
                continue;
            }
            self.writer[to] = index;
            if let Some(from) = place(it.from) {
                self.reads[from] += 1;
            }
        }
        let (reads, writer) = (&self.reads, &self.writer);
        let now =
            |(index, it): &(u32, &Transfer)| place(it.to).is_some_and(|to| reads[to] == 0 && writer[to] == *index);
        self.ready.extend((0..).zip(group).filter(now).map(|(index, _)| index));
        while let Some(index) = self.ready.pop() {
            let it = &group[index as usize];
            out.push(it, it.from, it.to);
            self.done(it);
        }
        for it in group {
            if place(it.to).is_some_and(|to| self.writer[to] != NONE) {
                self.emit_cycle(it, group, slots, &mut out);
            }
        }
    }

    /// Takes note that a move was done.
    fn done(&mut self, it: &Transfer) {
        if let Some(to) = place(it.to) {
            self.writer[to] = NONE;
        }
        if let Some(from) = place(it.from) {
            self.reads[from] -= 1;
            if self.reads[from] == 0 && self.writer[from] != NONE {
                self.ready.push(self.writer[from]);
            }
        }
    }

    /// Emits the cycle that a move is in.
    fn emit_cycle(&mut self, first: &Transfer, group: &[Transfer], slots: &mut Slots, out: &mut Emitter) {
        let mut cycle = vec![*first];
        loop {
            let last = cycle[cycle.len() - 1];
            let Some(from) = place(last.from) else { break };
            self.reads[from] -= 1;
            let next = std::mem::replace(&mut self.writer[from], NONE);
            if last.from == first.to || next == NONE {
                break;
            }
            cycle.push(group[next as usize]);
        }
        let in_registers = cycle.iter().all(|it| matches!(it.from, Alloc::Reg(_)));
        if in_registers && first.class == Class::Int {
            for it in &cycle[..cycle.len() - 1] {
                out.swap(it);
            }
            return;
        }
        let (last, rest) = cycle.split_last().unwrap_or((first, &[]));
        // A cycle may hold floats and vectors; what goes through the temporary is the last value.
        let temporary = if in_registers { Alloc::Reg(self.scratch) } else { self.temporary_slot(last.class, slots) };
        out.push(last, last.from, temporary);
        for it in rest {
            out.push(it, it.from, it.to);
        }
        out.push(last, temporary, last.to);
    }

    fn temporary_slot(&mut self, class: Class, slots: &mut Slots) -> Alloc {
        let vector = class == Class::Vec;
        Alloc::Stack(*self.temporary[usize::from(vector)].get_or_insert_with(|| slots.add(vector)))
    }
}

/// Where moves go.
struct Emitter<'a> {
    inst: u32,
    moves: &'a mut Vec<Move>,
}

impl Emitter<'_> {
    fn push(&mut self, it: &Transfer, from: Alloc, to: Alloc) {
        self.moves.push(Move { inst: self.inst, from, to, class: it.class, vreg: super::VReg(it.vreg), swap: false });
    }

    fn swap(&mut self, it: &Transfer) {
        let (from, to) = (it.from, it.to);
        self.moves.push(Move { inst: self.inst, from, to, class: it.class, vreg: super::VReg(it.vreg), swap: true });
    }
}

/// Index of a place in the tables.
fn place(alloc: Alloc) -> Option<usize> {
    match alloc {
        Alloc::Reg(reg) => Some(usize::from(reg.0)),
        Alloc::Stack(slot) => Some(32 + slot as usize),
        Alloc::None | Alloc::Remat(_) => None,
    }
}
