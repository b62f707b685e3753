//! Spill slots.
//!
//! In: placed bundles. Out: [`Slots`], the slot of each bundle with a part in memory. Invariant: bundles that share a slot
//! do not overlap from first to last position; slots of vectors and of other values are never the same.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Class;
use super::layout::NONE;
use super::liveness::Lives;
use super::scan::Placed;

/// See the head of the file.
pub(super) struct Slots {
    /// Slot of each bundle.
    pub(super) of: Vec<u32>,
    /// How many there are.
    pub(super) count: u32,
}

/// Slots that are in use until a position, by that position.
type InUse = BinaryHeap<Reverse<(u32, u32)>>;

/// Gives slots to bundles in the order of their starts, those first that were free for the longest.
pub(super) fn assign(placed: &Placed, lives: &Lives) -> Slots {
    let bundles = &placed.bundles.all;
    let mut slots = Slots { of: vec![NONE; bundles.len()], count: 0 };
    let span = |index: u32| {
        let (first, end) = bundles[index as usize].ranges;
        (lives.ranges[first as usize].from, lives.ranges[end as usize - 1].to)
    };
    let mut spilled: Vec<u32> =
        (0..bundles.len() as u32).filter(|&b| bundles[b as usize].spilled && !bundles[b as usize].remat).collect();
    spilled.sort_unstable_by_key(|&b| span(b).0);
    let (mut single, mut double) = (InUse::new(), InUse::new());
    for index in spilled {
        let vector = bundles[index as usize].class == Class::Vec;
        let in_use = if vector { &mut double } else { &mut single };
        let (from, to) = span(index);
        let slot = match in_use.peek() {
            Some(&Reverse((end, slot))) if end <= from => {
                in_use.pop();
                slot
            }
            _ => slots.add(vector),
        };
        in_use.push(Reverse((to, slot)));
        slots.of[index as usize] = slot;
    }
    slots
}

impl Slots {
    /// A new slot, or two in a row for a vector.
    pub(super) fn add(&mut self, vector: bool) -> u32 {
        let slot = if vector { self.count.next_multiple_of(2) } else { self.count };
        self.count = slot + if vector { 2 } else { 1 };
        slot
    }
}
