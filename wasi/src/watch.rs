//! What the host's `epoll` knows of a guest's descriptors. In: what the guest waits for, where that changed; out: which of
//! it is ready. Invariants: a registration stays until it is wrong, so that a call costs a system call for each
//! difference to the one before and none for the rest; no registration outlives its descriptor.
//!
//! A descriptor that nobody waits for any more stays registered until it becomes ready: only then is it worth taking
//! out, and not even at once if the call does not sleep.

use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::{Errno as Host, Result};

use crate::subscriptions::{READ, WRITE};
use crate::table::FdTable;

/// The most events asked of the host at once. What is ready beyond that is answered by the next call: event loops run only
/// some of what they woke before they call again, and would be told of the rest once more.
const MAX_EVENTS: usize = 64;

/// How often a descriptor may be ready while nobody waits for it: event loops leave out what they were told of and have
/// not come to yet, which with many connections takes some calls.
const MAX_STRAYS: u8 = 64;

/// A descriptor that was waited for at some time.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    /// What is waited for.
    wanted: u8,
    /// What the host reports.
    registered: u8,
    strays: u8,
}

/// One instance of `epoll`, and a copy of what it knows.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    epoll: Option<OwnedFd>,
    /// Whether readiness is reported once, when it comes about, rather than while it lasts.
    edge: bool,
    /// How many descriptors are waited for.
    wanted: usize,
    watches: Vec<Watch>,
}

/// Something that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) fd: u32,
    /// What was waited for, and can be done.
    pub(crate) bits: u8,
    /// Whether the other side is gone or an error is pending.
    pub(crate) hang_up: bool,
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

    /// Whether it has ever waited for anything.
    pub(crate) fn is_used(&self) -> bool {
        self.epoll.is_some()
    }

    /// Whether any descriptor is waited for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.wanted > 0
    }

    /// Whether one descriptor alone is waited for.
    pub(crate) fn waits_for_one(&self) -> bool {
        self.wanted == 1
    }

    fn want(&mut self, fd: u32, bits: u8) -> &mut Watch {
        let slot = fd as usize;
        if slot >= self.watches.len() {
            self.watches.resize(slot + 1, Watch::default());
        }
        let watch = &mut self.watches[slot];
        self.wanted += usize::from(bits != 0);
        self.wanted -= usize::from(watch.wanted != 0);
        watch.wanted = bits;
        watch
    }

    /// Waits for these bits of an open descriptor from now on. `fresh` is what was not waited for before, which is news
    /// where readiness is reported once. If the host refuses, nothing is waited for.
    pub(crate) fn set(&mut self, fd: u32, host: BorrowedFd<'_>, bits: u8, fresh: u8) -> Result<()> {
        let edge = self.edge;
        let watch = self.want(fd, bits);
        // That nobody reads for the moment is not worth a call: most of the time nothing comes.
        let kept = if edge { 0 } else { watch.registered & READ };
        let again = edge && bits & fresh != 0;
        if bits == 0 || (bits | kept == watch.registered && !again) {
            return Ok(());
        }
        self.register(fd, host, bits | kept).inspect_err(|_| self.unset(fd))
    }

    /// Waits for nothing of a descriptor from now on.
    pub(crate) fn unset(&mut self, fd: u32) {
        if self.watches.get(fd as usize).is_some_and(|watch| watch.wanted != 0) {
            self.want(fd, 0);
        }
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
        (watch.registered, watch.strays) = (target, 0);
        Ok(())
    }

    /// Waits for anything, and tells `done` what of it is ready. It returns early for reasons of its own.
    pub(crate) fn wait(
        &mut self,
        table: &FdTable,
        timeout: Option<&Timespec>,
        mut done: impl FnMut(Ready),
    ) -> Result<()> {
        // A call that does not sleep need not care for what it was not asked, unless that hides something else.
        let sleeps = timeout.is_none_or(|timeout| timeout.tv_sec != 0 || timeout.tv_nsec != 0);
        let mut takes_out = sleeps;
        let mut buffer = [MaybeUninit::uninit(); MAX_EVENTS];
        loop {
            let Some(epoll) = &self.epoll else { return Ok(()) };
            let (events, _) = match epoll::wait(epoll, &mut buffer, timeout) {
                // Before Linux 5.11 timeouts are whole milliseconds.
                Err(Host::NOSYS) => epoll::wait(epoll, &mut buffer, timeout.map(milliseconds).as_ref())?,
                events => events?,
            };
            let full = events.len() == MAX_EVENTS;
            let mut found = false;
            let events: &[epoll::Event] = events;
            for event in events {
                // Two copies, as the structure is packed. The number is what `register` gave.
                let (data, flags) = (event.data, event.flags);
                let ready = self.happened(table, data.u64() as u32, flags, takes_out);
                found |= ready.is_some();
                ready.into_iter().for_each(&mut done);
            }
            if found || !full || sleeps {
                return Ok(());
            }
            takes_out = true;
        }
    }

    /// What one of the host's events says that is waited for. The rest is taken out, unless it may stay for a moment.
    fn happened(&mut self, table: &FdTable, fd: u32, flags: EventFlags, takes_out: bool) -> Option<Ready> {
        let watch = self.watches.get_mut(fd as usize)?;
        let hang_up = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        let mut bits = if hang_up { READ | WRITE } else { 0 };
        bits |= if flags.contains(EventFlags::IN) { READ } else { 0 };
        bits |= if flags.contains(EventFlags::OUT) { WRITE } else { 0 };
        let wanted = watch.wanted;
        // An edge is gone by being reported; it comes back when the descriptor is waited for again.
        let stray = (wanted == 0 || bits & watch.registered & !wanted != 0) && !self.edge;
        if stray && (takes_out || watch.strays >= MAX_STRAYS) {
            let host = table.get(fd).ok().and_then(|descriptor| descriptor.host());
            if let Some(host) = host {
                // It was registered, and the host has no reason to refuse less.
                let _ = self.register(fd, host, wanted);
            }
        } else if stray {
            watch.strays += 1;
        }
        let bits = bits & wanted;
        (bits != 0).then_some(Ready { fd, bits, hang_up })
    }

    /// Takes a descriptor out that is about to be closed, moved or changed.
    pub(crate) fn forget(&mut self, table: &FdTable, fd: u32) {
        self.unset(fd);
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
