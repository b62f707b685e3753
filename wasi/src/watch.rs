//! What the host's `epoll` knows of a guest's descriptors. In: round by round, what a guest waits for; out: which of it
//! is ready. Invariants: a registration stays until it is wrong, so that a round costs a system call for each
//! difference to the one before and none for the rest; no registration outlives its descriptor.
//!
//! A descriptor that a round leaves out stays registered until it becomes ready: only then is it worth taking out.

use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::{Errno as Host, Result};

use crate::table::FdTable;

/// The most events asked of the host at once. What is ready beyond that is answered by the next round.
const MAX_EVENTS: usize = 256;

/// What is waited for on a descriptor, as bits.
pub(crate) const READ: u8 = 1;
pub(crate) const WRITE: u8 = 2;

/// A descriptor that was waited for at some time.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    /// The round in which it was last waited for.
    round: u32,
    /// What that round waits for.
    wanted: u8,
    /// What the round before it waited for, if it was the one before it.
    before: u8,
    /// What the host reports.
    registered: u8,
    /// Whether this round has to compare `wanted` and `registered`.
    queued: bool,
    /// Which subscriptions of the round want to read and to write.
    at: [u32; 2],
}

/// One instance of `epoll`, and a copy of what it knows.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    epoll: Option<OwnedFd>,
    /// Whether readiness is reported once, when it comes about, rather than while it lasts.
    edge: bool,
    round: u32,
    /// How many descriptors this round waits for.
    wanted: usize,
    watches: Vec<Watch>,
    queue: Vec<u32>,
    /// Subscriptions for what an earlier one of the round wants already: descriptor, bit, index.
    twice: Vec<(u32, u8, u32)>,
}

/// What became of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Ready; `hang_up` if the other side is gone or an error is pending.
    Ready { hang_up: bool },
    /// The host cannot wait for such a descriptor: it is always ready.
    Always,
    /// The host refused to watch it.
    Failed(Host),
}

fn host_flags(bits: u8, edge: bool) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, bits & READ != 0);
    flags.set(EventFlags::OUT, bits & WRITE != 0);
    flags.set(EventFlags::ET, edge);
    flags
}

/// The next whole millisecond, no further away than the host can count them.
fn milliseconds(timeout: &Timespec) -> Timespec {
    const SECOND: i64 = 1_000_000_000;
    let nanoseconds = (timeout.tv_nsec + 999_999) / 1_000_000 * 1_000_000;
    let seconds = timeout.tv_sec.min(i64::from(i32::MAX) / 1000 - 1);
    Timespec { tv_sec: seconds + nanoseconds / SECOND, tv_nsec: (nanoseconds % SECOND) as _ }
}

impl Watcher {
    /// One that reports what becomes ready rather than what is.
    pub(crate) fn edge_triggered() -> Watcher {
        Watcher { edge: true, ..Watcher::default() }
    }

    pub(crate) fn is_edge_triggered(&self) -> bool {
        self.edge
    }

    /// Whether it has ever waited for anything.
    pub(crate) fn is_used(&self) -> bool {
        self.epoll.is_some()
    }

    /// Begins a round.
    pub(crate) fn begin(&mut self) {
        self.wanted = 0;
        self.queue.clear();
        self.twice.clear();
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            // The numbers begin anew: no old one may look like a new one.
            self.watches.iter_mut().for_each(|watch| watch.round = 0);
            self.round = 2;
        }
    }

    /// Whether the descriptor is known to be good for this.
    #[inline]
    pub(crate) fn knows(&self, fd: u32, bit: u8) -> bool {
        self.watches.get(fd as usize).is_some_and(|watch| watch.registered & bit != 0)
    }

    /// Whether this round waits for any descriptor.
    pub(crate) fn is_waiting(&self) -> bool {
        self.wanted > 0
    }

    /// Whether this round waits for one descriptor alone.
    pub(crate) fn waits_for_one(&self) -> bool {
        self.wanted == 1
    }

    /// Adds a subscription to the round; its number is `index`. The descriptor is open.
    #[inline]
    pub(crate) fn want(&mut self, fd: u32, bit: u8, index: u32) {
        let slot = fd as usize;
        if slot >= self.watches.len() {
            self.watches.resize(slot + 1, Watch::default());
        }
        let watch = &mut self.watches[slot];
        if watch.round != self.round {
            watch.before = if watch.round == self.round.wrapping_sub(1) { watch.wanted } else { 0 };
            watch.round = self.round;
            watch.wanted = 0;
            watch.queued = false;
            self.wanted += 1;
        }
        if watch.wanted & bit != 0 {
            self.twice.push((fd, bit, index));
            return;
        }
        watch.wanted |= bit;
        watch.at[usize::from(bit == WRITE)] = index;
        // What was waited for before, and is waited for now, is no news for an edge.
        let again = self.edge && watch.before & bit == 0;
        if (watch.registered != watch.wanted || again) && !watch.queued {
            watch.queued = true;
            self.queue.push(fd);
        }
    }

    /// Brings the host up to date. `done` is told of subscriptions that are not waited for after all.
    pub(crate) fn update(&mut self, table: &FdTable, mut done: impl FnMut(u32, u8, Outcome)) {
        let mut queue = std::mem::take(&mut self.queue);
        for fd in queue.drain(..) {
            let watch = self.watches[fd as usize];
            // That nobody reads for the moment is not worth a call: most of the time nothing comes.
            let kept = if self.edge { 0 } else { watch.registered & READ };
            let target = watch.wanted | kept;
            let again = self.edge && watch.wanted & !watch.before != 0;
            if target == watch.registered && !again {
                continue;
            }
            let Some(host) = table.get(fd).ok().and_then(|descriptor| descriptor.host()) else { continue };
            let outcome = match self.register(fd, host, target) {
                Ok(()) => continue,
                Err(Host::PERM) => Outcome::Always,
                Err(host) => Outcome::Failed(host),
            };
            self.report(fd, READ | WRITE, outcome, &mut done);
        }
        self.queue = queue;
    }

    /// Tells the host what to report of a descriptor.
    fn register(&mut self, fd: u32, host: BorrowedFd<'_>, target: u8) -> Result<()> {
        let epoll = match &mut self.epoll {
            Some(epoll) => epoll,
            none => none.insert(epoll::create(CreateFlags::CLOEXEC)?),
        };
        let watch = &mut self.watches[fd as usize];
        let (data, flags) = (EventData::new_u64(fd.into()), host_flags(target, self.edge));
        match (watch.registered, target) {
            (_, 0) => epoll::delete(&*epoll, host)?,
            (0, _) => epoll::add(&*epoll, host, data, flags)?,
            _ => epoll::modify(&*epoll, host, data, flags)?,
        }
        watch.registered = target;
        Ok(())
    }

    /// Tells `done` of every subscription of the round for these bits of a descriptor.
    fn report(&self, fd: u32, bits: u8, outcome: Outcome, done: &mut impl FnMut(u32, u8, Outcome)) {
        let watch = &self.watches[fd as usize];
        for (bit, index) in [(READ, watch.at[0]), (WRITE, watch.at[1])] {
            if watch.wanted & bits & bit != 0 {
                done(index, bit, outcome);
            }
        }
        for &(_, bit, index) in self.twice.iter().filter(|(other, bit, _)| *other == fd && bits & bit != 0) {
            done(index, bit, outcome);
        }
    }

    /// Waits for anything, and tells `done` what of the round is ready. It returns early for reasons of its own.
    pub(crate) fn wait(
        &mut self,
        table: &FdTable,
        timeout: Option<&Timespec>,
        mut done: impl FnMut(u32, u8, Outcome),
    ) -> Result<()> {
        let Some(epoll) = &self.epoll else { return Ok(()) };
        let mut buffer = [MaybeUninit::uninit(); MAX_EVENTS];
        let (events, _) = match epoll::wait(epoll, &mut buffer, timeout) {
            // Before Linux 5.11 timeouts are whole milliseconds.
            Err(Host::NOSYS) => epoll::wait(epoll, &mut buffer, timeout.map(milliseconds).as_ref())?,
            events => events?,
        };
        for event in events {
            // Two copies, as the structure is packed. The number is what `register` gave.
            let (data, flags) = (event.data, event.flags);
            self.happened(table, data.u64() as u32, flags, &mut done);
        }
        Ok(())
    }

    /// Passes one of the host's events on, and takes out what nobody waits for.
    fn happened(&mut self, table: &FdTable, fd: u32, flags: EventFlags, done: &mut impl FnMut(u32, u8, Outcome)) {
        let Some(watch) = self.watches.get(fd as usize) else { return };
        let hang_up = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        let mut bits = if hang_up { READ | WRITE } else { 0 };
        bits |= if flags.contains(EventFlags::IN) { READ } else { 0 };
        bits |= if flags.contains(EventFlags::OUT) { WRITE } else { 0 };
        let wanted = if watch.round == self.round { watch.wanted } else { 0 };
        // An edge is gone by being reported; it comes back when the descriptor is waited for again.
        let stray = wanted == 0 || bits & watch.registered & !wanted != 0;
        if stray && !self.edge {
            let host = table.get(fd).ok().and_then(|descriptor| descriptor.host());
            if let Some(host) = host {
                // It was registered, and the host has no reason to refuse less.
                let _ = self.register(fd, host, wanted);
            }
        }
        if wanted != 0 {
            self.report(fd, bits, Outcome::Ready { hang_up }, done);
        }
    }

    /// Takes a descriptor out that is about to be closed, moved or changed.
    pub(crate) fn forget(&mut self, table: &FdTable, fd: u32) {
        let Some(watch) = self.watches.get_mut(fd as usize) else { return };
        let registered = std::mem::take(watch).registered;
        let host = table.get(fd).ok().and_then(|descriptor| descriptor.host());
        if let (Some(epoll), Some(host), true) = (&self.epoll, host, registered != 0) {
            // Closing is not enough: the open file may live on in another process.
            let _ = epoll::delete(epoll, host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_rounded_up_to_milliseconds() {
        let round = |tv_sec, tv_nsec| {
            let rounded = milliseconds(&Timespec { tv_sec, tv_nsec });
            (rounded.tv_sec, rounded.tv_nsec)
        };
        assert_eq!(round(0, 0), (0, 0));
        assert_eq!(round(1, 1), (1, 1_000_000));
        assert_eq!(round(1, 999_000_001), (2, 0));
        assert!(round(i64::MAX, 5).0 < 3_000_000);
    }
}
