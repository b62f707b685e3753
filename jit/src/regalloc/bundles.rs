//! Bundles: virtual registers that shall have one place, because that saves moves.
//!
//! In: live ranges. Out: [`Bundles`]; each is one virtual register or several that are tied, copied or passed to each other as
//! block arguments and are never live at once. Invariant: the ranges of a bundle do not overlap, so at each position it
//! holds the value of one virtual register at most.
//!
//! Pairs are tried from the deepest loops outwards, block arguments first, so that back edges carry no moves. Pairs that
//! cannot be joined become hints ([`Affinity`]).

use super::layout::{Layout, NONE, gap};
use super::liveness::{Lives, NO_REG, Range, Use};
use super::{Class, Constraint, Input, Kind, NO_REMAT};

/// One bundle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bundle {
    /// Its ranges: indices in `Lives::ranges`.
    pub(super) ranges: (u32, u32),
    /// Its uses: indices in `Lives::uses`.
    pub(super) uses: (u32, u32),
    pub(super) class: Class,
    /// Whether all its values can be made anew.
    pub(super) remat: bool,
    /// Whether some part of it is in memory.
    pub(super) spilled: bool,
    /// The register that a part of it got last.
    pub(super) last_reg: u8,
    /// First of its affinities.
    pub(super) affinity: u32,
}

/// Two virtual registers of different bundles that would save a move if they were in one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affinity {
    /// The next of this bundle.
    pub(super) next: u32,
    /// Where in this bundle.
    pub(super) here: u32,
    /// The other bundle, and where there.
    pub(super) other: u32,
    pub(super) there: u32,
    /// What the move costs.
    pub(super) weight: f32,
}

/// See the head of the file.
pub(super) struct Bundles {
    /// Bundle of each virtual register; none for those without ranges.
    pub(super) of: Vec<u32>,
    pub(super) all: Vec<Bundle>,
    pub(super) affinities: Vec<Affinity>,
}

/// A pair of virtual registers, each with a position where it is live.
#[derive(Clone, Copy)]
struct Pair {
    a: u32,
    at_a: u32,
    b: u32,
    at_b: u32,
}

/// Joins virtual registers to bundles.
pub(super) fn coalesce(input: &Input, layout: &Layout, lives: &mut Lives) -> Bundles {
    let pairs = find_pairs(input, layout);
    let mut joiner = Joiner::new(input, lives);
    let mut apart = Vec::new();
    for &pair in pairs.iter().rev().flatten() {
        if lives.has_ranges(pair.a) && lives.has_ranges(pair.b) && !joiner.join(pair.a, pair.b, lives) {
            apart.push(pair);
        }
    }
    let mut bundles = joiner.finish(lives);
    for pair in apart {
        bundles.note_affinity(pair, layout);
    }
    bundles
}

/// Pairs by urgency: a bucket for each loop depth and kind, the most urgent last.
fn find_pairs(input: &Input, layout: &Layout) -> Vec<Vec<Pair>> {
    const DEPTHS: u32 = 8;
    let mut buckets = vec![Vec::new(); 2 * DEPTHS as usize];
    for (index, block) in (0..).zip(&input.blocks) {
        let bucket = if block.cold { 0 } else { 2 * (block.loop_depth + 1).min(DEPTHS - 1) as usize };
        if let [succ] = block.succs[..] {
            let (at_a, at_b) = (layout.end(index) - 1, layout.start(succ));
            for (arg, param) in block.args.iter().zip(&input.blocks[succ as usize].params) {
                buckets[bucket + 1].push(Pair { a: arg.0, at_a, b: param.0, at_b });
            }
        }
        for inst in block.insts.clone() {
            let start = input.operand_start[inst as usize] as usize;
            let operands = &input.operands[start..input.operand_start[inst as usize + 1] as usize];
            let at = gap(inst);
            let before = if layout.first[index as usize] == inst { at } else { at - 1 };
            if input.is_copy[inst as usize] {
                let [to, from] = [operands[0].vreg.0, operands[1].vreg.0];
                buckets[bucket].push(Pair { a: from, at_a: at + 1, b: to, at_b: at + 2 });
                continue;
            }
            for it in operands {
                if let (Constraint::Tied(to), Kind::Def | Kind::EarlyDef) = (it.constraint, it.kind) {
                    let from = operands[to as usize].vreg.0;
                    buckets[bucket].push(Pair { a: from, at_a: before, b: it.vreg.0, at_b: at + 1 });
                }
            }
        }
    }
    buckets
}

/// Bundles under construction; a bundle is named by one of its virtual registers.
struct Joiner {
    up: Vec<u32>,
    bundles: Vec<Bundle>,
    /// What may still be spent on copying lists before only short ones are joined.
    budget: usize,
}

/// Lists of this length are joined whatever was spent.
const SHORT: u32 = 48;

impl Joiner {
    fn new(input: &Input, lives: &Lives) -> Self {
        let count = input.classes.len();
        let bundle = |v: usize| Bundle {
            ranges: (lives.range_start[v], lives.range_start[v + 1]),
            uses: own_uses(lives, v),
            class: input.classes[v],
            remat: input.remat[v] != NO_REMAT,
            spilled: false,
            last_reg: NO_REG,
            affinity: NONE,
        };
        Self {
            up: (0..count as u32).collect(),
            bundles: (0..count).map(bundle).collect(),
            budget: 8 * (lives.ranges.len() + lives.uses.len()) + 100_000,
        }
    }

    fn find(&mut self, mut vreg: u32) -> u32 {
        while self.up[vreg as usize] != vreg {
            let next = self.up[self.up[vreg as usize] as usize];
            self.up[vreg as usize] = next;
            vreg = next;
        }
        vreg
    }

    /// Joins the bundles of two virtual registers if they are never live at once.
    fn join(&mut self, a: u32, b: u32, lives: &mut Lives) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return true;
        }
        let (one, two) = (self.bundles[a as usize], self.bundles[b as usize]);
        let small = len(one.ranges).min(len(two.ranges)) + len(one.uses).min(len(two.uses));
        let large = len(one.ranges) + len(two.ranges) + len(one.uses) + len(two.uses);
        if one.class != two.class || self.budget == 0 && large > SHORT {
            return false;
        }
        self.budget = self.budget.saturating_sub(small as usize);
        if overlap(slice(&lives.ranges, one.ranges), slice(&lives.ranges, two.ranges)) {
            return false;
        }
        self.budget = self.budget.saturating_sub(large as usize / 4);
        let (keep, gone) = if len(one.uses) >= len(two.uses) { (a, b) } else { (b, a) };
        let (one, two) = (self.bundles[keep as usize], self.bundles[gone as usize]);
        self.up[gone as usize] = keep;
        let it = &mut self.bundles[keep as usize];
        it.ranges = merge(&mut lives.ranges, one.ranges, two.ranges, |r| r.from);
        it.uses = merge(&mut lives.uses, one.uses, two.uses, |u| u.pos);
        it.remat &= two.remat;
        true
    }

    /// Numbers the bundles.
    fn finish(mut self, lives: &Lives) -> Bundles {
        let count = self.up.len() as u32;
        let mut bundles = Bundles { of: vec![NONE; count as usize], all: Vec::new(), affinities: Vec::new() };
        for vreg in 0..count {
            if !lives.has_ranges(vreg) {
                continue;
            }
            let root = self.find(vreg);
            if bundles.of[root as usize] == NONE {
                bundles.of[root as usize] = bundles.all.len() as u32;
                bundles.all.push(self.bundles[root as usize]);
            }
            bundles.of[vreg as usize] = bundles.of[root as usize];
        }
        bundles
    }
}

impl Bundles {
    /// Notes on both sides that a pair would like one place.
    fn note_affinity(&mut self, pair: Pair, layout: &Layout) {
        let (a, b) = (self.of[pair.a as usize], self.of[pair.b as usize]);
        let weight = layout.weight_at(pair.at_a) * 0.5;
        for (mine, here, other, there) in [(a, pair.at_a, b, pair.at_b), (b, pair.at_b, a, pair.at_a)] {
            let head = &mut self.all[mine as usize].affinity;
            let next = std::mem::replace(head, self.affinities.len() as u32);
            self.affinities.push(Affinity { next, here, other, there, weight });
        }
    }
}

fn own_uses(lives: &Lives, vreg: usize) -> (u32, u32) {
    (lives.use_start[vreg], lives.use_end[vreg])
}

fn len(range: (u32, u32)) -> u32 {
    range.1 - range.0
}

fn slice<T>(all: &[T], range: (u32, u32)) -> &[T] {
    &all[range.0 as usize..range.1 as usize]
}

/// Whether two lists of ranges overlap.
fn overlap(one: &[Range], two: &[Range]) -> bool {
    let (short, long) = if one.len() < two.len() { (one, two) } else { (two, one) };
    let mut at = 0;
    for range in short {
        if long.len() > 8 * short.len() {
            at += long[at..].partition_point(|other| other.to <= range.from);
        } else {
            at += long[at..].iter().take_while(|other| other.to <= range.from).count();
        }
        match long.get(at) {
            Some(other) if other.from < range.to => return true,
            Some(_) => {}
            None => return false,
        }
    }
    false
}

/// Merges two sorted lists into a new one at the end of the pool, where the first of them may lie already.
fn merge<T: Copy>(pool: &mut Vec<T>, one: (u32, u32), two: (u32, u32), key: impl Fn(&T) -> u32) -> (u32, u32) {
    let end = pool.len();
    if one.1 as usize == end {
        for at in two.0 as usize..two.1 as usize {
            let it = pool[at];
            let tail = pool[one.0 as usize..].iter().rev().take(16).take_while(|other| key(other) > key(&it)).count();
            let place = match tail {
                16 => one.0 as usize + pool[one.0 as usize..].partition_point(|other| key(other) <= key(&it)),
                _ => pool.len() - tail,
            };
            pool.insert(place, it);
        }
        return (one.0, pool.len() as u32);
    }
    let (mut a, mut b) = (one.0 as usize, two.0 as usize);
    while a < one.1 as usize && b < two.1 as usize {
        let from = if key(&pool[a]) <= key(&pool[b]) { &mut a } else { &mut b };
        let it = pool[*from];
        *from += 1;
        pool.push(it);
    }
    pool.extend_from_within(a..one.1 as usize);
    pool.extend_from_within(b..two.1 as usize);
    (end as u32, pool.len() as u32)
}

/// The uses of a bundle between two positions.
pub(super) fn uses_between(uses: &[Use], from: u32, to: u32) -> &[Use] {
    let start = uses.partition_point(|u| u.pos < from);
    &uses[start..start + uses[start..].partition_point(|u| u.pos < to)]
}
