//! What a guest waits for, from one call to the next. In: its list of subscriptions, passed whole every time; out: which
//! descriptors' entries differ from the list before, and the clocks. Invariant: what is kept here says the same as the
//! last list, so that the next one costs a comparison and work for each difference alone.
//!
//! Differences are sets: where in the list a subscription stands does not matter, and one that moves is none. Bytes that
//! mean nothing are not compared: guests leave there what they like.

use std::ops::Range;

use crate::Errno;
use crate::types::Snapshot;

/// What is waited for on a descriptor, as bits.
pub(crate) const READ: u8 = 1;
pub(crate) const WRITE: u8 = 2;

/// Where a subscription's fields lie: snapshot 0 has one more field in a clock's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) size: u32,
    clock_id: usize,
}

impl Layout {
    pub(crate) fn of(snapshot: Snapshot) -> Layout {
        match snapshot {
            Snapshot::Zero => Layout { size: 56, clock_id: 24 },
            Snapshot::One => Layout { size: 48, clock_id: 16 },
        }
    }
}

/// A clock subscription as the guest wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    pub(crate) userdata: u64,
    pub(crate) id: u32,
    pub(crate) timeout: u64,
    pub(crate) flags: u16,
}

/// A subscription for a descriptor; `bit` is [`READ`] or [`WRITE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) userdata: u64,
    pub(crate) fd: u32,
    pub(crate) bit: u8,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The kind of an entry that is a clock. No kind in a list is equal to it: a time passes, and the clock is new in every list.
const CLOCK: u16 = 256;

/// A subscription as it stands in the list; of a clock only that it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    userdata: u64,
    fd: u32,
    /// [`READ`] and [`WRITE`], which are the kinds' numbers too, or [`CLOCK`].
    kind: u16,
}

impl Entry {
    /// The subscription, unless it is a clock.
    fn access(self) -> Option<Access> {
        let bit = u8::try_from(self.kind).ok()?;
        Some(Access { userdata: self.userdata, fd: self.fd, bit })
    }

    /// Zero if these bytes say nothing new.
    #[inline]
    fn difference<const SIZE: usize>(&self, bytes: &[u8; SIZE]) -> u64 {
        let kind = self.kind ^ u16::from(bytes[8]);
        (self.userdata ^ long(bytes, 0)) | u64::from(self.fd ^ word(bytes, 16)) | u64::from(kind)
    }
}

/// Reads a clock subscription.
fn clock(bytes: &[u8], layout: Layout) -> Clock {
    let at = layout.clock_id;
    let (id, timeout, flags) = (word(bytes, at), long(bytes, at + 8), word(bytes, at + 24) as u16);
    Clock { userdata: long(bytes, 0), id, timeout, flags }
}

/// What the list says of a descriptor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Want {
    /// The round that changed it last.
    round: u32,
    /// What the list of the round before that one wanted, and what is wanted now.
    before: u8,
    wanted: u8,
    /// Whether it is in the queue of those to look at.
    queued: bool,
    /// What the guest calls its subscriptions for reading and writing.
    userdata: [u64; 2],
}

/// The list of the last call.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// Its entries in order.
    entries: Vec<Entry>,
    layout: Option<Layout>,
    round: u32,
    /// By descriptor.
    wants: Vec<Want>,
    /// How many descriptors are read from.
    readers: usize,
    /// Subscriptions for what another one of the list wants too, by descriptor and bit.
    twice: Vec<Access>,
    /// Those for descriptors that never were.
    unknown: Vec<Access>,
    clocks: Vec<Clock>,
    /// Descriptors to look at.
    queue: Vec<u32>,
    /// A buffer.
    spare: Vec<Entry>,
}

impl Subscriptions {
    /// Takes the list of a call, which fails if a kind is unknown. `end`: no descriptor has this number or a higher one.
    pub(crate) fn take(&mut self, list: &[u8], layout: Layout, end: u32) -> Result<(), Errno> {
        self.begin();
        let size = layout.size as usize;
        let piecemeal = self.layout == Some(layout) && self.twice.is_empty() && self.unknown.is_empty();
        let (from, same) = match size {
            48 if piecemeal => common::<48>(&self.entries, list),
            56 if piecemeal => common::<56>(&self.entries, list),
            _ => (0, 0),
        };
        let (old, new) = (from..self.entries.len() - same, from..list.len() / size - same);
        if old.is_empty() && new.is_empty() && piecemeal {
            return Ok(());
        }
        let mut entries = std::mem::take(&mut self.spare);
        entries.clear();
        self.clocks.clear();
        for bytes in list[new.start * size..new.end * size].chunks_exact(size) {
            let kind = match bytes[8] {
                0 => CLOCK,
                kind @ (READ | WRITE) => kind.into(),
                // No event could say what it was.
                _ => {
                    self.clear();
                    return Err(Errno::Inval);
                }
            };
            if kind == CLOCK {
                self.clocks.push(clock(bytes, layout));
            }
            entries.push(Entry { userdata: long(bytes, 0), fd: word(bytes, 16), kind });
        }
        let done = piecemeal && self.change(old.clone(), &entries, end);
        self.entries.splice(old, entries.drain(..));
        self.spare = entries;
        if !done {
            self.clear();
            self.add_all(end);
        }
        self.layout = Some(layout);
        Ok(())
    }

    /// Takes the whole list, of which nothing is known.
    fn add_all(&mut self, end: u32) {
        let entries = std::mem::take(&mut self.entries);
        for entry in &entries {
            self.add(*entry, end, true);
        }
        self.entries = entries;
        self.twice.sort_by_key(|access| (access.fd, access.bit));
    }

    fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            // The numbers begin anew: no old one may look like a new one.
            self.wants.iter_mut().for_each(|want| want.round = 0);
            self.round = 1;
        }
    }

    /// Wants nothing any more; what was wanted is looked at.
    fn clear(&mut self) {
        for fd in 0..self.wants.len() {
            if self.wants[fd].wanted != 0 {
                self.touch(fd as u32).wanted = 0;
            }
        }
        self.twice.clear();
        self.unknown.clear();
        self.readers = 0;
        self.layout = None;
    }

    /// Replaces a part of the list; false if that cannot be done but from its beginning.
    fn change(&mut self, old: Range<usize>, new: &[Entry], end: u32) -> bool {
        let entries = std::mem::take(&mut self.entries);
        let old = &entries[old];
        let differing = old.iter().enumerate().filter(|&(index, entry)| differs(new, index, entry));
        differing.for_each(|(_, entry)| self.remove(*entry));
        let mut differing = new.iter().enumerate().filter(|&(index, entry)| differs(old, index, entry));
        let done = differing.all(|(_, entry)| self.add(*entry, end, false));
        self.entries = entries;
        done
    }

    /// The entry of a descriptor that is about to change, which is to be looked at.
    fn touch(&mut self, fd: u32) -> &mut Want {
        let round = self.round;
        self.look_at(fd);
        let want = &mut self.wants[fd as usize];
        if want.round != round {
            (want.round, want.before) = (round, want.wanted);
        }
        want
    }

    fn remove(&mut self, entry: Entry) {
        if let Some(Access { fd, bit, .. }) = entry.access() {
            self.touch(fd).wanted &= !bit;
            self.readers -= usize::from(bit == READ);
        }
    }

    /// Adds a subscription; false if it is one that only a list may have that is taken whole, which `all` says.
    fn add(&mut self, entry: Entry, end: u32, all: bool) -> bool {
        let Some(access) = entry.access() else { return true };
        let slot = access.fd as usize;
        if access.fd >= end {
            self.unknown.push(access);
            return all;
        }
        if slot >= self.wants.len() {
            self.wants.resize(slot + 1, Want::default());
        }
        if self.wants[slot].wanted & access.bit != 0 {
            self.twice.push(access);
            return all;
        }
        let want = self.touch(access.fd);
        want.wanted |= access.bit;
        want.userdata[usize::from(access.bit == WRITE)] = access.userdata;
        self.readers += usize::from(access.bit == READ);
        true
    }

    /// Has a descriptor looked at in this call or the next, although the list says nothing new of it.
    pub(crate) fn look_at(&mut self, fd: u32) {
        if let Some(want) = self.wants.get_mut(fd as usize)
            && !want.queued
        {
            want.queued = true;
            self.queue.push(fd);
        }
    }

    /// The next descriptor to look at.
    pub(crate) fn next(&mut self) -> Option<u32> {
        let fd = self.queue.pop()?;
        self.wants[fd as usize].queued = false;
        Some(fd)
    }

    /// Counts the calls.
    pub(crate) fn round(&self) -> u32 {
        self.round
    }

    /// What is waited for on a descriptor.
    pub(crate) fn wanted(&self, fd: u32) -> u8 {
        self.wants.get(fd as usize).map_or(0, |want| want.wanted)
    }

    /// What of it the list before did not have.
    pub(crate) fn fresh(&self, fd: u32) -> u8 {
        match self.wants.get(fd as usize) {
            Some(want) if want.round == self.round => want.wanted & !want.before,
            _ => 0,
        }
    }

    /// Whether any descriptor is read from.
    pub(crate) fn reads(&self) -> bool {
        self.readers > 0
    }

    /// Passes on every subscription for these bits of a descriptor.
    pub(crate) fn each(&self, fd: u32, bits: u8, mut f: impl FnMut(Access)) {
        let Some(want) = self.wants.get(fd as usize) else { return };
        for bit in [READ, WRITE] {
            if want.wanted & bits & bit != 0 {
                f(Access { userdata: want.userdata[usize::from(bit == WRITE)], fd, bit });
                let from = self.twice.partition_point(|access| (access.fd, access.bit) < (fd, bit));
                let more = self.twice[from..].iter().take_while(|access| (access.fd, access.bit) == (fd, bit));
                more.for_each(|access| f(*access));
            }
        }
    }

    /// Passes on the descriptor of every subscription for writing.
    pub(crate) fn each_write(&self, mut f: impl FnMut(u32)) {
        for entry in &self.entries {
            if entry.kind == u16::from(WRITE) {
                f(entry.fd);
            }
        }
    }

    /// How many subscriptions there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the guest calls each subscription, and its kind's number, in the order of the list.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (u64, u8)> {
        // A clock's number is the low byte of ours.
        self.entries.iter().map(|entry| (entry.userdata, entry.kind as u8))
    }

    pub(crate) fn clocks(&self) -> &[Clock] {
        &self.clocks
    }

    /// Subscriptions for descriptors that never were.
    pub(crate) fn unknown(&self) -> &[Access] {
        &self.unknown
    }
}

/// Whether a list has something else in an entry's place.
fn differs(list: &[Entry], index: usize, entry: &Entry) -> bool {
    list.get(index) != Some(entry)
}

/// How many entries at the beginning, and after those at the end, a list says again.
fn common<const SIZE: usize>(entries: &[Entry], list: &[u8]) -> (usize, usize) {
    /// How many are compared without a branch.
    const STEP: usize = 8;
    let list = list.as_chunks::<SIZE>().0;
    let is = |(entry, bytes): (&Entry, &[u8; SIZE])| entry.difference(bytes);
    let steps = entries.chunks_exact(STEP).zip(list.chunks_exact(STEP));
    let equal =
        steps.take_while(|(entries, list)| entries.iter().zip(*list).map(is).fold(0, |all, one| all | one) == 0);
    let mut from = equal.count() * STEP;
    from += entries[from..].iter().zip(&list[from..]).take_while(|pair| is(*pair) == 0).count();
    let pairs = entries[from..].iter().rev().zip(list[from..].iter().rev());
    (from, pairs.take_while(|pair| is(*pair) == 0).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list: `r` and `w` with descriptors, `c` with a timeout; the subscription's user data is its descriptor or timeout.
    fn list(text: &str) -> Vec<u8> {
        let entry = |word: &str| {
            let (kind, number) = word.split_at(1);
            let number: u64 = number.parse().unwrap();
            let mut bytes = [0u8; 48];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            bytes[8] = match kind {
                "c" => 0,
                "r" => 1,
                "w" => 2,
                _ => 9,
            };
            let at = if kind == "c" { 24 } else { 16 };
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
            bytes
        };
        text.split_whitespace().flat_map(entry).collect()
    }

    /// Takes a list and tells, in order, what has to be looked at: descriptor, wanted, fresh.
    fn take(subscriptions: &mut Subscriptions, text: &str) -> Result<Vec<(u32, u8, u8)>, Errno> {
        subscriptions.take(&list(text), Layout::of(Snapshot::One), 100)?;
        let mut queue = Vec::new();
        while let Some(fd) = subscriptions.next() {
            queue.push((fd, subscriptions.wanted(fd), subscriptions.fresh(fd)));
        }
        queue.sort_unstable();
        Ok(queue)
    }

    #[test]
    fn differences_alone_are_looked_at() {
        let mut s = Subscriptions::default();
        assert_eq!(take(&mut s, "r3 w3 r4 c7").unwrap(), [(3, 3, 3), (4, 1, 1)]);
        assert_eq!(take(&mut s, "r3 w3 r4 c7").unwrap(), []);
        assert_eq!(s.clocks().len(), 1);
        assert_eq!(take(&mut s, "r3 w3 r4 c8").unwrap(), []);
        assert_eq!((s.clocks().len(), s.clocks()[0].timeout), (1, 8));
        assert_eq!(take(&mut s, "r3 w3 r4").unwrap(), []);
        assert!(s.clocks().is_empty());
        assert_eq!(take(&mut s, "r3 r4 w3").unwrap(), [(3, 3, 0), (4, 1, 0)], "moved, which is nothing new");
        assert_eq!(take(&mut s, "r3 w3").unwrap(), [(4, 0, 0)]);
        assert_eq!(take(&mut s, "r9 r3 w3").unwrap(), [(9, 1, 1)]);
        assert_eq!(take(&mut s, "w3").unwrap(), [(3, 2, 0), (9, 0, 0)]);
        assert!(!s.reads());
        s.look_at(3);
        s.look_at(3);
        assert_eq!(take(&mut s, "w3").unwrap(), [(3, 2, 0)]);
    }

    #[test]
    fn what_is_wanted_twice_or_never_was_has_the_list_taken_whole() {
        let all = |s: &Subscriptions, fd| {
            let mut all = Vec::new();
            s.each(fd, READ | WRITE, |access| all.push(access.userdata));
            all.len()
        };
        let mut s = Subscriptions::default();
        take(&mut s, "r3 r4").unwrap();
        take(&mut s, "r3 r4 r3 r500").unwrap();
        assert_eq!((all(&s, 3), all(&s, 4), s.unknown().len()), (2, 1, 1));
        take(&mut s, "r3 r4 r3 r500").unwrap();
        assert_eq!((all(&s, 3), all(&s, 4), s.unknown().len()), (2, 1, 1));
        take(&mut s, "r4 r3").unwrap();
        assert_eq!((all(&s, 3), all(&s, 4), s.unknown().len()), (1, 1, 0));
        assert!(s.reads());
    }

    #[test]
    fn a_list_that_makes_no_sense_leaves_nothing_behind() {
        let mut s = Subscriptions::default();
        take(&mut s, "r3 r4 c1").unwrap();
        assert_eq!(take(&mut s, "r3 x1"), Err(Errno::Inval));
        assert!(!s.reads());
        assert_eq!(take(&mut s, "r3").unwrap(), [(3, 1, 1), (4, 0, 0)]);
    }

    /// Whatever lists follow each other, the same is known as from the last one alone.
    #[test]
    fn any_sequence_of_lists_is_the_last_of_them() {
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        let mut s = Subscriptions::default();
        let mut words: Vec<String> = Vec::new();
        for _ in 0..3000 {
            for _ in 0..=random(3) {
                let kind = ["r", "w", "c"][random(3) as usize];
                match random(4) {
                    0 if !words.is_empty() => drop(words.swap_remove(random(words.len() as u64) as usize)),
                    1 if words.len() > 20 => drop(words.remove(random(words.len() as u64) as usize)),
                    2 => words.insert(random(words.len() as u64 + 1) as usize, format!("{kind}{}", random(110))),
                    _ => words.push(format!("{kind}{}", random(40))),
                }
            }
            if words.len() > 200 {
                words.truncate(random(200) as usize);
            }
            take(&mut s, &words.join(" ")).unwrap();
            let mut fresh = Subscriptions::default();
            take(&mut fresh, &words.join(" ")).unwrap();
            let known = |s: &Subscriptions| {
                let mut all: Vec<(u32, u8, u64)> = s.unknown().iter().map(|a| (a.fd, a.bit, a.userdata)).collect();
                (0..100).for_each(|fd| s.each(fd, READ | WRITE, |a| all.push((a.fd, a.bit, a.userdata))));
                all.sort_unstable();
                let mut clocks: Vec<u64> = s.clocks().iter().map(|clock| clock.timeout).collect();
                clocks.sort_unstable();
                (all, clocks, s.readers)
            };
            assert_eq!(known(&s), known(&fresh), "{words:?}");
        }
    }
}
