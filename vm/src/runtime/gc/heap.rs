//! The memory of a store's objects: allocation, marks, and sweeping. Nothing moves.
//!
//! In: sizes, and which objects are alive. Out: zeroed room for objects. A heap is one reservation of address space that is
//! cut into blocks. A block holds objects of one size class, or is part of a larger object:
//!
//! ```text
//!   space   | block 0: 16 16 16 … | block 1: 48 48 … | block 2: large object ────────► | …
//!   bits    | starts 0 | marks 0  | starts 1 | marks 1 | …     one bit per 16 bytes each
//! ```
//!
//! Allocation counts a pointer through a *hole*: free places of a block in a row, cleared when they are taken. Which of them
//! have become objects is written down when the hole is used up or a collection begins. From then on `starts` has a bit
//! for every object, so that any word can be told to be a reference or not, whatever its type: that is what makes
//! conservative roots safe. Marking sets `marks`; sweeping makes `starts` equal to them, 64 places at once.

use crate::runtime::exception::is_reference;
use crate::sys::Mapping;
use std::ptr::{self, NonNull};
use wasm::layout::bump;
use wasm::{GRANULE, LARGEST_IN_CLASS, SIZE_CLASSES, class_bytes};

/// Bytes of a block.
const BLOCK: usize = 32 << 10;
/// Words of each of a block's two bitmaps.
const WORDS: usize = BLOCK / GRANULE / 64;
/// Bytes of a block's bitmaps.
const BITS: usize = 2 * WORDS * size_of::<u64>();
// Objects that have no class are large: they have blocks of their own.
const _: () = assert!(LARGEST_IN_CLASS == BLOCK / 4);
/// Bytes that are allocated between two collections at least.
const MIN_THRESHOLD: usize = 4 << 20;
/// Address space of a heap whose limit does not ask for more.
const RESERVED: u64 = 4 << 30;
/// Less address space than this is no heap.
const MIN_RESERVED: u64 = 1 << 20;

/// A size in whole granules.
pub(crate) fn round_up(bytes: usize) -> usize {
    bytes.next_multiple_of(GRANULE)
}

/// What a block is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    Free,
    /// Objects of a class.
    Small(u8),
    /// The beginning of a large object, with its number of blocks.
    Large(u32),
    /// A further block of a large object.
    Tail,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    used: Use,
    /// Whether there may be something other than zeros in it.
    dirty: bool,
}

/// Where the next objects of a class go: the rest of its present hole.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Bump {
    next: usize,
    end: usize,
}

const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(Bump, next) == bump::NEXT);
    assert!(offset_of!(Bump, end) == bump::END);
    assert!(size_of::<Bump>() == bump::SIZE);
};

/// Where the next objects of each class go. Compiled code allocates there too, so the table is reached by pointers and stays where it
/// is.
pub(crate) struct Bumps(NonNull<[Bump; SIZE_CLASSES]>);

impl Bumps {
    pub(crate) fn new() -> Bumps {
        Bumps(NonNull::from(Box::leak(Box::new([Bump::default(); SIZE_CLASSES]))))
    }

    /// What `VmContext::bumps` is.
    pub(crate) fn address(&self) -> *mut u8 {
        self.0.as_ptr().cast()
    }

    /// Zeroed room for an object of a size class, if there is some in the present hole.
    ///
    /// # Safety
    /// Nobody else may use the table now.
    #[inline(always)]
    pub(crate) unsafe fn quick(&self, class: usize) -> Option<usize> {
        // SAFETY: the caller's contract.
        let b = unsafe { &mut (&mut *self.0.as_ptr())[class] };
        let at = b.next;
        let next = at + class_bytes(class);
        if next > b.end {
            return None;
        }
        b.next = next;
        Some(at)
    }
}

impl Drop for Bumps {
    fn drop(&mut self) {
        // SAFETY: it was made as a box.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// What else there is to know of it.
#[derive(Default)]
struct Class {
    /// Where the present hole began.
    hole: usize,
    /// The block with the hole, and the first of its places that have not been looked at.
    block: u32,
    place: usize,
    /// Further blocks with free places; the last is next.
    open: Vec<u32>,
}

/// Why there is no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// It is time for a collection.
    Collect,
    /// The limit is reached, or the system has no more memory.
    Limit,
}

/// A store's heap.
pub(crate) struct Heap {
    space: Mapping,
    bits: Mapping,
    base: usize,
    blocks: Vec<Block>,
    /// Blocks that were free when they were put here.
    free: Vec<u32>,
    classes: [Class; SIZE_CLASSES],
    /// The table of the store, which lives longer.
    bumps: NonNull<[Bump; SIZE_CLASSES]>,
    /// Blocks that are not free.
    used: usize,
    /// Bytes of holes and large objects since the last collection, and how many lead to the next.
    since: usize,
    threshold: usize,
    /// Bytes of the objects that the last collection has found alive.
    live: usize,
    collections: u64,
    /// Every so many allocations there is a collection; 0 without.
    stress: u32,
    until_stress: u32,
    /// Objects that are marked but not yet looked into.
    pub(super) gray: Vec<usize>,
    /// Words that look like references to exceptions, found while marking.
    pub(super) exceptions: Vec<u64>,
}

impl Heap {
    /// Reserves address space for a heap of at most `limit` bytes; with `stress`, every so many allocations are a reason to
    /// collect.
    pub(crate) fn new(bumps: &Bumps, limit: Option<u64>, stress: u32) -> Option<Heap> {
        let mut bytes = limit.unwrap_or(0).max(RESERVED);
        // Where the address space is limited there may be less.
        let space = loop {
            match usize::try_from(bytes).ok().and_then(|n| Mapping::reserve(n.next_multiple_of(BLOCK)).ok()) {
                Some(space) => break space,
                None if bytes < MIN_RESERVED => return None,
                None => bytes /= 2,
            }
        };
        let bits = Mapping::reserve(space.reserved() / BLOCK * BITS).ok()?;
        let base = space.base() as usize;
        Some(Heap {
            space,
            bits,
            base,
            blocks: Vec::new(),
            free: Vec::new(),
            classes: std::array::from_fn(|_| Class::default()),
            bumps: bumps.0,
            used: 0,
            since: 0,
            threshold: MIN_THRESHOLD,
            live: 0,
            collections: 0,
            stress,
            until_stress: stress,
            gray: Vec::new(),
            exceptions: Vec::new(),
        })
    }

    /// Bytes of blocks in use.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used * BLOCK
    }
    /// Collections so far.
    pub(crate) fn collections(&self) -> u64 {
        self.collections
    }
    /// Bytes of the objects that the last collection has found alive.
    pub(crate) fn live_bytes(&self) -> usize {
        self.live
    }

    // ---- allocation

    /// Where the next object of a class goes.
    fn bump(&mut self, class: usize) -> &mut Bump {
        // SAFETY: the table lives longer than the heap; who has the heap exclusively has the table.
        unsafe { &mut (&mut *self.bumps.as_ptr())[class] }
    }

    /// Zeroed room for an object of a size class. With `collected` there has just been a collection for it.
    ///
    /// # Errors
    /// When a collection is due, or the heap is full after one.
    #[cold]
    #[inline(never)]
    pub(crate) fn small(&mut self, class: usize, limit: Option<u64>, collected: bool) -> Result<usize, Full> {
        self.check_due(collected)?;
        if !self.find_hole(class) {
            let block = self.take_block(limit).ok_or(if collected { Full::Limit } else { Full::Collect })?;
            self.blocks[block as usize].used = Use::Small(class as u8);
            let c = &mut self.classes[class];
            (c.block, c.place) = (block, 0);
            if !self.next_hole(class) {
                return Err(Full::Limit);
            }
        }
        let b = self.bump(class);
        let at = b.next;
        b.next += class_bytes(class);
        debug_assert!(b.next <= b.end);
        Ok(at)
    }

    /// Zeroed room for a large object.
    ///
    /// # Errors
    /// As [`Heap::small`].
    #[cold]
    #[inline(never)]
    pub(crate) fn large(&mut self, bytes: usize, limit: Option<u64>, collected: bool) -> Result<usize, Full> {
        self.check_due(collected)?;
        let n = bytes.div_ceil(BLOCK);
        let first = self.take_run(n, limit).ok_or(if collected { Full::Limit } else { Full::Collect })?;
        for (i, block) in self.blocks[first..first + n].iter_mut().enumerate() {
            block.used = if i == 0 { Use::Large(n as u32) } else { Use::Tail };
            if std::mem::replace(&mut block.dirty, true) {
                // SAFETY: the block is free: nobody refers into it.
                unsafe { ptr::write_bytes((self.base + (first + i) * BLOCK) as *mut u8, 0, BLOCK) };
            }
        }
        self.since = self.since.saturating_add(n * BLOCK);
        self.starts(first)[0] |= 1;
        Ok(self.base + first * BLOCK)
    }

    /// Whether to collect before anything more is allocated.
    fn check_due(&mut self, collected: bool) -> Result<(), Full> {
        if collected {
            self.until_stress = self.stress;
            return Ok(());
        }
        if self.stress > 0 {
            self.until_stress = self.until_stress.saturating_sub(1);
            if self.until_stress == 0 {
                return Err(Full::Collect);
            }
        }
        if self.since >= self.threshold { Err(Full::Collect) } else { Ok(()) }
    }

    /// Makes the next hole the present one, in a block that the class has already.
    fn find_hole(&mut self, class: usize) -> bool {
        self.retire(class);
        loop {
            if self.next_hole(class) {
                return true;
            }
            let c = &mut self.classes[class];
            let Some(block) = c.open.pop() else { return false };
            (c.block, c.place) = (block, 0);
        }
    }

    /// Makes the next hole in the class's present block the present one.
    fn next_hole(&mut self, class: usize) -> bool {
        let granules = class_bytes(class) / GRANULE;
        let places = BLOCK / GRANULE / granules;
        let Class { block, place, .. } = self.classes[class];
        if place >= places || self.blocks.get(block as usize).is_none_or(|b| b.used != Use::Small(class as u8)) {
            return false;
        }
        // Under stress every allocation comes through here.
        let most = if self.stress > 0 { 1 } else { places };
        let base = self.base + block as usize * BLOCK;
        let starts = self.starts(block as usize);
        let is_free = |p: &usize| starts[p * granules / 64] >> (p * granules % 64) & 1 == 0;
        let Some(first) = (place..places).find(is_free) else {
            self.classes[class].place = places;
            return false;
        };
        let end = (first..places).take(most).take_while(is_free).last().map_or(first, |p| p + 1);
        let at = |p: usize| base + p * granules * GRANULE;
        let (hole, len) = (at(first), at(end) - at(first));
        if self.blocks[block as usize].dirty {
            // SAFETY: there are no objects in the hole.
            unsafe { ptr::write_bytes(hole as *mut u8, 0, len) };
        }
        self.since = self.since.saturating_add(len);
        let c = &mut self.classes[class];
        (c.hole, c.place) = (hole, end);
        *self.bump(class) = Bump { next: hole, end: hole + len };
        true
    }

    /// Notes the objects that the present hole of a class has become, and gives it up.
    fn retire(&mut self, class: usize) {
        let Class { hole, block, .. } = self.classes[class];
        let next = std::mem::take(self.bump(class)).next;
        if hole < next {
            let first = hole - (self.base + block as usize * BLOCK);
            let count = (next - hole) / GRANULE;
            let starts = self.starts(block as usize);
            for g in (first / GRANULE..first / GRANULE + count).step_by(class_bytes(class) / GRANULE) {
                starts[g / 64] |= 1 << (g % 64);
            }
        }
        self.classes[class].hole = 0;
    }

    fn take_block(&mut self, limit: Option<u64>) -> Option<u32> {
        if !self.may_use(1, limit) {
            return None;
        }
        while let Some(block) = self.free.pop() {
            // Large objects take blocks without looking at the list.
            if self.blocks[block as usize].used == Use::Free {
                self.used += 1;
                return Some(block);
            }
        }
        self.extend(1).map(|b| b as u32)
    }

    fn may_use(&self, n: usize, limit: Option<u64>) -> bool {
        let bytes = (self.used + n) as u64 * BLOCK as u64;
        limit.is_none_or(|l| bytes <= l)
    }

    /// Blocks in a row, made used.
    fn take_run(&mut self, n: usize, limit: Option<u64>) -> Option<usize> {
        if !self.may_use(n, limit) {
            return None;
        }
        if self.blocks.len() - self.used >= n {
            let mut len = 0;
            for (i, block) in self.blocks.iter().enumerate() {
                len = if block.used == Use::Free { len + 1 } else { 0 };
                if len == n {
                    self.used += n;
                    return Some(i + 1 - n);
                }
            }
        }
        self.extend(n)
    }

    /// Adds blocks that have never been used, made used; their place among all blocks.
    fn extend(&mut self, n: usize) -> Option<usize> {
        let first = self.blocks.len();
        let end = first.checked_add(n)?;
        if end > self.space.reserved() / BLOCK || self.blocks.try_reserve(n).is_err() {
            return None;
        }
        // More than is asked for, because each time is a system call.
        let ahead = (end + end / 8 + 32).min(self.space.reserved() / BLOCK);
        if self.space.accessible() < end * BLOCK {
            self.space.make_accessible(ahead * BLOCK).ok()?;
        }
        if self.bits.accessible() < end * BITS {
            self.bits.make_accessible(ahead * BITS).ok()?;
        }
        self.blocks.resize(end, Block { used: Use::Free, dirty: false });
        self.used += n;
        Some(first)
    }

    /// A block's bitmap of objects.
    fn starts(&mut self, block: usize) -> &mut [u64; WORDS] {
        debug_assert!(block < self.blocks.len());
        // SAFETY: the bitmaps of all blocks are accessible, and borrowed with the heap.
        unsafe { &mut *self.bits.base().add(block * BITS).cast() }
    }

    // ---- collection

    /// Begins a collection: every object is on record.
    pub(super) fn begin(&mut self) {
        (0..SIZE_CLASSES).for_each(|c| self.retire(c));
        self.gray.clear();
        self.exceptions.clear();
        self.collections += 1;
    }

    /// Marks the object that a word refers to, if it is one; those it refers to are marked later. Exceptions are only noted.
    #[inline]
    pub(super) fn mark(&mut self, word: u64) {
        let offset = (word as usize).wrapping_sub(self.base);
        if offset >= self.blocks.len() * BLOCK {
            if is_reference(word) {
                self.exceptions.push(word);
            }
            return;
        }
        if !offset.is_multiple_of(GRANULE) {
            return;
        }
        let (block, granule) = (offset / BLOCK, offset % BLOCK / GRANULE);
        let (at, bit) = (granule / 64, 1 << (granule % 64));
        // SAFETY: the bitmaps of all blocks are accessible, and borrowed with the heap; marks lie behind starts.
        let bits: &mut [u64; 2 * WORDS] = unsafe { &mut *self.bits.base().add(block * BITS).cast() };
        if bits[at] & bit != 0 && bits[WORDS + at] & bit == 0 {
            bits[WORDS + at] |= bit;
            self.gray.push(word as usize);
        }
    }

    /// Frees what is not marked.
    pub(super) fn sweep(&mut self) {
        self.classes.iter_mut().for_each(|c| *c = Class::default());
        (0..SIZE_CLASSES).for_each(|c| *self.bump(c) = Bump::default());
        self.free.clear();
        self.live = 0;
        self.used = 0;
        let mut block = self.blocks.len();
        // From the end, so that the lists have low addresses last, which are taken first.
        while block > 0 {
            block -= 1;
            match self.blocks[block].used {
                Use::Small(class) => self.sweep_small(block, usize::from(class)),
                Use::Large(n) => self.sweep_large(block, n as usize),
                Use::Tail => {}
                Use::Free => self.free.push(block as u32),
            }
        }
        self.since = 0;
        self.threshold = self.live.max(MIN_THRESHOLD);
        self.give_back();
    }

    /// Makes the marked objects of a block its objects; their number.
    fn settle(&mut self, block: usize) -> usize {
        // SAFETY: as in `mark`.
        let bits: &mut [u64; 2 * WORDS] = unsafe { &mut *self.bits.base().add(block * BITS).cast() };
        let (starts, marks) = bits.split_at_mut(WORDS);
        starts.copy_from_slice(marks);
        marks.fill(0);
        starts.iter().map(|w| w.count_ones() as usize).sum()
    }

    fn sweep_small(&mut self, block: usize, class: usize) {
        let alive = self.settle(block);
        self.blocks[block].dirty = true;
        if alive == 0 {
            self.blocks[block].used = Use::Free;
            self.free.push(block as u32);
            return;
        }
        self.used += 1;
        self.live += alive * class_bytes(class);
        if alive < BLOCK / class_bytes(class) {
            self.classes[class].open.push(block as u32);
        }
    }

    fn sweep_large(&mut self, first: usize, n: usize) {
        if self.settle(first) > 0 {
            self.used += n;
            self.live += n * BLOCK;
            return;
        }
        for block in first..first + n {
            self.blocks[block].used = Use::Free;
            self.free.push(block as u32);
        }
    }

    /// Gives free blocks back to the system, but for as many as will be used until the next collection.
    fn give_back(&mut self) {
        let keep = self.threshold / BLOCK;
        let extra = self.free.len().saturating_sub(keep);
        for &block in &self.free[..extra] {
            let b = &mut self.blocks[block as usize];
            if b.dirty && self.space.discard_range(block as usize * BLOCK, BLOCK).is_ok() {
                b.dirty = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm::size_class as class_of;

    /// A heap with its table.
    struct Own(Heap, Bumps);

    impl Own {
        fn new(limit: Option<u64>, stress: u32) -> Own {
            let bumps = Bumps::new();
            Own(Heap::new(&bumps, limit, stress).expect("there is address space"), bumps)
        }
    }

    impl std::ops::Deref for Own {
        type Target = Heap;
        fn deref(&self) -> &Heap {
            &self.0
        }
    }

    impl std::ops::DerefMut for Own {
        fn deref_mut(&mut self) -> &mut Heap {
            &mut self.0
        }
    }

    fn alloc(h: &mut Own, bytes: usize, limit: Option<u64>) -> Result<usize, Full> {
        match class_of(bytes) {
            // SAFETY: the test's own.
            Some(c) => unsafe { h.1.quick(c) }.map_or_else(|| h.small(c, limit, false), Ok),
            None => h.large(bytes, limit, false),
        }
    }

    /// A collection in which these are alive.
    fn collect(h: &mut Heap, alive: &[usize]) {
        h.begin();
        alive.iter().for_each(|&a| h.mark(a as u64));
        h.sweep();
    }

    #[test]
    fn what_is_marked_stays_and_the_rest_is_used_again() {
        let mut h = Own::new(None, 0);
        let all: Vec<usize> = (0..10_000).map(|_| alloc(&mut h, 40, None).unwrap()).collect();
        let kept: Vec<usize> = all.iter().copied().step_by(3).collect();
        for &a in &all {
            // SAFETY: the object's own memory.
            unsafe { *(a as *mut u64).add(4) = 7 };
        }
        collect(&mut h, &kept);
        assert_eq!(h.live_bytes(), kept.len() * 48);
        let again: Vec<usize> = (0..6_000).map(|_| alloc(&mut h, 48, None).unwrap()).collect();
        assert!(again.iter().all(|a| !kept.contains(a)));
        // SAFETY: as above.
        let word = |&a: &usize| unsafe { *(a as *const u64).add(4) };
        assert!(again.iter().all(|a| word(a) == 0));
        assert!(kept.iter().all(|a| word(a) == 7));
    }

    #[test]
    fn only_starts_of_objects_are_marked() {
        let mut h = Own::new(None, 0);
        let a = alloc(&mut h, 64, None).unwrap();
        let big = alloc(&mut h, 100_000, None).unwrap();
        collect(&mut h, &[a + 16, a + 1, a + 64, big + BLOCK, big + 16, 0, usize::MAX]);
        assert_eq!(h.live_bytes(), 0);
        assert_eq!(h.used_bytes(), 0);
    }

    #[test]
    fn large_objects_take_blocks_in_a_row_and_give_them_back() {
        let mut h = Own::new(None, 0);
        let a = alloc(&mut h, 3 * BLOCK, None).unwrap();
        let b = alloc(&mut h, 2 * BLOCK + 1, None).unwrap();
        // SAFETY: the object's own memory.
        unsafe { ptr::write_bytes(a as *mut u8, 1, 3 * BLOCK) };
        collect(&mut h, &[b]);
        assert_eq!(h.used_bytes(), 3 * BLOCK);
        let c = alloc(&mut h, 3 * BLOCK, None).unwrap();
        assert_eq!(a, c);
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(c as *const u8, 3 * BLOCK) };
        assert!(bytes.iter().all(|&b| b == 0));
    }

    #[test]
    fn the_limit_asks_for_a_collection_first() {
        let mut h = Own::new(Some(4 * BLOCK as u64), 0);
        let limit = Some(4 * BLOCK as u64);
        while alloc(&mut h, 1024, limit).is_ok() {}
        assert_eq!(alloc(&mut h, 1024, limit), Err(Full::Collect));
        assert_eq!(h.small(class_of(1024).unwrap(), limit, true), Err(Full::Limit));
        collect(&mut h, &[]);
        assert!(alloc(&mut h, 1024, limit).is_ok());
        assert_eq!(h.large(5 * BLOCK, limit, true), Err(Full::Limit));
    }

    #[test]
    fn under_stress_every_so_many_allocations_are_due() {
        let mut h = Own::new(None, 3);
        let outcomes: Vec<bool> = (0..9)
            .map(|_| {
                let due = alloc(&mut h, 16, None).is_err();
                if due {
                    collect(&mut h, &[]);
                    h.small(0, None, true).unwrap();
                }
                due
            })
            .collect();
        assert_eq!(outcomes, [false, false, true, false, false, true, false, false, true]);
    }
}
