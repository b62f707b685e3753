//! `poll_oneoff`, `epoll_oneoff`. In: a guest's list of clocks and descriptors to wait for; out: an event for each that
//! is ready. Invariant: a subscription that cannot be waited for becomes an event with an error beside the others, at
//! once; the call returns when there is an event and never before.
//!
//! The guest passes its whole list every time, and most of it is the same as before: what [`Watcher`] knows already
//! costs a look at a table, and nothing here allocates once the buffers have grown.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::time::ClockId;

use crate::descriptor::{Descriptor, Object};
use crate::memory::GuestMemory;
use crate::process::{clock, now};
use crate::table::FdTable;
use crate::types::{FileType, Snapshot, eventrwflag, flags, right, subclockflag};
use crate::watch::{Outcome, READ, WRITE, Watcher};
use crate::{Errno, WasiCtx};

/// More subscriptions than this are refused, so that a guest cannot make the host allocate without bound.
const MAX_SUBSCRIPTIONS: u32 = 1 << 18;

/// The longest sleep towards a time of the wall clock, which somebody may set meanwhile.
const WALL_CLOCK_CHECK: u64 = 1_000_000_000;

/// When a guest that was told that it can write, and did not, is told again, in nanoseconds. Some event loops ask it of
/// every connection in every call, although they want to know of changes alone, and would never sleep.
const TOLD_AGAIN: u64 = 10_000_000;

const EVENT_SIZE: u32 = 32;

/// The part of an event that is found out.
#[derive(Clone, Copy, Debug)]
struct Happened {
    error: Errno,
    nbytes: u64,
    flags: u16,
}

impl Happened {
    fn failed(error: Errno) -> Happened {
        Happened { error, nbytes: 0, flags: 0 }
    }

    fn with_bytes(nbytes: u64) -> Happened {
        Happened { error: Errno::Success, nbytes, flags: 0 }
    }
}

/// The fields of a clock subscription.
struct ClockFields {
    id: u32,
    timeout: u64,
    flags: u16,
}

/// Where a subscription's fields lie: snapshot 0 has one more field in a clock's.
struct Layout {
    size: u32,
    clock_id: usize,
}

impl Layout {
    fn of(snapshot: Snapshot) -> Layout {
        match snapshot {
            Snapshot::Zero => Layout { size: 56, clock_id: 24 },
            Snapshot::One => Layout { size: 48, clock_id: 16 },
        }
    }

    fn clock(&self, bytes: &[u8]) -> ClockFields {
        let at = self.clock_id;
        ClockFields { id: word(bytes, at), timeout: long(bytes, at + 8), flags: word(bytes, at + 24) as u16 }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

/// A clock that shows a time one day.
#[derive(Clone, Copy, Debug)]
struct Timer {
    index: u32,
    clock: ClockId,
    deadline: u64,
}

/// When a clock subscription is due. A span is measured on the monotonic clock. A thread's or process's own time cannot
/// pass while its only thread waits for it, so what is missing of it is waited for in real time too.
fn timer(fields: &ClockFields, index: u32) -> Result<Timer, Errno> {
    let id = clock(fields.id)?;
    let absolute = flags::<u16>(u32::from(fields.flags), subclockflag::ALL)? != 0;
    let span = match (absolute, id) {
        (true, ClockId::Realtime | ClockId::Monotonic) => {
            return Ok(Timer { index, clock: id, deadline: fields.timeout });
        }
        (true, _) => fields.timeout.saturating_sub(now(id)),
        (false, _) => fields.timeout,
    };
    Ok(Timer { index, clock: ClockId::Monotonic, deadline: now(ClockId::Monotonic).saturating_add(span) })
}

/// How many bytes a file has from its position on.
fn bytes_left(file: BorrowedFd<'_>) -> u64 {
    let size = rustix::fs::fstat(file).map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
    size.saturating_sub(rustix::fs::tell(file).unwrap_or(0))
}

/// What is known of a descriptor at once; nothing if the host has to be asked.
fn inspect(descriptor: &Descriptor, read: bool) -> Result<Option<Happened>, Errno> {
    // Event loops ask of every socket whether it can be written to. A listener never can, which is no error.
    if read || !matches!(descriptor.object, Object::Listener(_)) {
        descriptor.require_direction(if read { right::FD_READ } else { right::FD_WRITE })?;
    }
    descriptor.require(right::POLL_FD_READWRITE)?;
    Ok(match &descriptor.object {
        Object::Dir(_) => return Err(Errno::Badf),
        Object::Null | Object::Output(_) => Some(Happened::with_bytes(u64::from(!read))),
        Object::Input(bytes, position) => Some(Happened::with_bytes((bytes.len() - position) as u64)),
        Object::File(file) if descriptor.filetype == FileType::RegularFile => {
            Some(Happened::with_bytes(if read { bytes_left(file.as_fd()) } else { 1 }))
        }
        Object::File(_) | Object::Stream(_) | Object::Socket(_) | Object::Listener(_) => None,
    })
}

/// Whether a socket can be written to as far as anybody knows. One that turns out to be full says so when it is written
/// to, and is waited for from then on.
fn is_known_writable(descriptor: &Descriptor) -> bool {
    descriptor.writable && matches!(inspect(descriptor, false), Ok(None))
}

/// How many bytes can be moved. How much room there is to write cannot be asked of every kind; one byte is what
/// readiness promises. Asking a socket costs a call, which is made where one descriptor alone is waited for, since C
/// libraries find out by such a poll how much there is to read.
fn nbytes(descriptor: &Descriptor, bit: u8, alone: bool) -> u64 {
    match (&descriptor.object, descriptor.host()) {
        (Object::Listener(_), _) => 1,
        (Object::Socket(_), _) if !alone => 1,
        (_, Some(host)) if bit == READ => ioctl_fionread(host).unwrap_or(1),
        _ => 1,
    }
}

fn timespec(nanoseconds: u64) -> Timespec {
    // Both fit: the quotient is below 2^35, the remainder below 2^30.
    Timespec { tv_sec: (nanoseconds / 1_000_000_000) as i64, tv_nsec: (nanoseconds % 1_000_000_000) as _ }
}

/// What the polls of one guest leave for the next.
#[derive(Debug)]
pub(crate) struct Pollers {
    /// For `poll_oneoff`.
    level: Watcher,
    /// For `epoll_oneoff`.
    edge: Watcher,
    found: Found,
}

/// What one call finds out; kept for its buffers.
#[derive(Debug, Default)]
struct Found {
    timers: Vec<Timer>,
    /// Subscriptions for writing to sockets that the guest knows to be writable, and when it was last told of such.
    told: Vec<u32>,
    told_at: u64,
    /// Subscriptions by number, and what became of them.
    happened: Vec<(u32, Happened)>,
    /// The events as they go to the guest.
    bytes: Vec<u8>,
}

impl Default for Pollers {
    fn default() -> Pollers {
        Pollers { level: Watcher::default(), edge: Watcher::edge_triggered(), found: Found::default() }
    }
}

impl Pollers {
    /// Whether the guest relies on being told once that something has become ready.
    pub(crate) fn uses_edges(&self) -> bool {
        self.edge.is_used()
    }

    /// Takes a descriptor out that is about to be closed, moved or changed.
    pub(crate) fn forget(&mut self, table: &FdTable, fd: u32) {
        self.level.forget(table, fd);
        self.edge.forget(table, fd);
    }
}

impl Found {
    fn clear(&mut self) {
        self.timers.clear();
        self.told.clear();
        self.happened.clear();
        self.bytes.clear();
    }

    /// Takes one subscription in. An unknown kind fails the whole call: no event could say what it was.
    #[inline]
    fn subscribe(
        &mut self,
        table: &FdTable,
        watcher: &mut Watcher,
        layout: &Layout,
        index: u32,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        let bit = match bytes[8] {
            0 => {
                match timer(&layout.clock(bytes), index) {
                    Ok(timer) => self.timers.push(timer),
                    Err(errno) => self.happened.push((index, Happened::failed(errno))),
                }
                return Ok(());
            }
            1 => READ,
            2 => WRITE,
            _ => return Err(Errno::Inval),
        };
        let fd = word(bytes, 16);
        if bit == WRITE
            && !watcher.is_edge_triggered()
            && let Ok(descriptor) = table.get(fd)
            && is_known_writable(descriptor)
        {
            if descriptor.told.replace(true) {
                self.told.push(index);
            } else {
                self.happened.push((index, Happened::with_bytes(1)));
            }
            return Ok(());
        }
        if !watcher.knows(fd, bit) {
            match table.get(fd).and_then(|descriptor| inspect(descriptor, bit == READ)) {
                Ok(None) => {}
                Ok(Some(happened)) => {
                    self.happened.push((index, happened));
                    return Ok(());
                }
                Err(errno) => {
                    self.happened.push((index, Happened::failed(errno)));
                    return Ok(());
                }
            }
        }
        watcher.want(fd, bit, index);
        Ok(())
    }

    /// How long to sleep: not at all when something is ready, else up to the nearest deadline.
    fn sleep_time(&self) -> Option<u64> {
        if !self.happened.is_empty() {
            return Some(0);
        }
        let time_left = |timer: &Timer| {
            let left = timer.deadline.saturating_sub(now(timer.clock));
            if timer.clock == ClockId::Realtime { left.min(WALL_CLOCK_CHECK) } else { left }
        };
        let told = (!self.told.is_empty())
            .then(|| self.told_at.saturating_add(TOLD_AGAIN).saturating_sub(now(ClockId::Monotonic)));
        self.timers.iter().map(time_left).chain(told).min()
    }

    /// Adds what the guest knows already: after a while, or because the call ends without anything else to say of a
    /// descriptor.
    fn tell_again(&mut self, timed_out: bool) {
        if self.told.is_empty() {
            return;
        }
        let now = now(ClockId::Monotonic);
        if timed_out || now >= self.told_at.saturating_add(TOLD_AGAIN) {
            self.told_at = now;
            let ready = |index| (index, Happened::with_bytes(1));
            self.happened.extend(self.told.drain(..).map(ready));
        }
    }

    /// Waits until something happened, and collects all that did.
    fn wait(&mut self, table: &FdTable, watcher: &mut Watcher, list: &[u8], layout: &Layout) -> Result<(), Errno> {
        let alone = watcher.waits_for_one();
        let event = |index: u32, bit: u8, outcome: Outcome| {
            // The list has the subscription: the watcher got the number from it.
            let fd = word(&list[index as usize * layout.size as usize..], 16);
            let nbytes = || table.get(fd).map_or(1, |descriptor| nbytes(descriptor, bit, alone));
            let happened = match outcome {
                Outcome::Failed(host) => Happened::failed(host.into()),
                Outcome::Always | Outcome::Ready { hang_up: false } => Happened::with_bytes(nbytes()),
                Outcome::Ready { hang_up: true } => {
                    Happened { flags: eventrwflag::HANGUP, ..Happened::with_bytes(nbytes()) }
                }
            };
            (index, happened)
        };
        let happened = &mut self.happened;
        watcher.update(table, |index, bit, outcome| happened.push(event(index, bit, outcome)));
        loop {
            let timeout = self.sleep_time().map(timespec);
            let happened = &mut self.happened;
            let waited = if watcher.is_waiting() {
                watcher.wait(table, timeout.as_ref(), |index, bit, outcome| {
                    happened.push(event(index, bit, outcome));
                })
            } else if happened.is_empty() {
                poll(&mut [], timeout.as_ref()).map(drop)
            } else {
                Ok(())
            };
            match waited {
                // Interrupted: what time is left is worked out anew.
                Err(rustix::io::Errno::INTR) => {}
                waited => waited?,
            }
            let before = self.happened.len();
            for timer in &self.timers {
                if now(timer.clock) >= timer.deadline {
                    self.happened.push((timer.index, Happened::with_bytes(0)));
                }
            }
            let timed_out = self.happened.len() > before;
            self.tell_again(timed_out);
            if !self.happened.is_empty() {
                // In the order of the subscriptions, as far as the host cares about none.
                self.happened.sort_unstable_by_key(|&(index, _)| index);
                return Ok(());
            }
        }
    }

    /// Lays the events out.
    fn lay_out(&mut self, list: &[u8], layout: &Layout) {
        for (index, happened) in &self.happened {
            let subscription = &list[*index as usize * layout.size as usize..];
            let mut bytes = [0u8; EVENT_SIZE as usize];
            bytes[0..8].copy_from_slice(&subscription[0..8]);
            bytes[8..10].copy_from_slice(&(happened.error as u16).to_le_bytes());
            bytes[10] = subscription[8];
            bytes[16..24].copy_from_slice(&happened.nbytes.to_le_bytes());
            bytes[24..26].copy_from_slice(&happened.flags.to_le_bytes());
            self.bytes.extend(bytes);
        }
    }
}

impl WasiCtx {
    /// Waits for the first of several things; layout of `wasi_snapshot_preview1`.
    pub fn poll_oneoff(
        &mut self,
        mem: &mut GuestMemory<'_>,
        subscriptions: u32,
        events: u32,
        count: u32,
        nevents: u32,
    ) -> Result<(), Errno> {
        self.poll(mem, subscriptions, events, count, nevents, Snapshot::One, false)
    }

    /// As [`poll_oneoff`](Self::poll_oneoff), but what is ready is reported once, when it becomes so or is waited for
    /// anew.
    pub fn epoll_oneoff(
        &mut self,
        mem: &mut GuestMemory<'_>,
        subscriptions: u32,
        events: u32,
        count: u32,
        nevents: u32,
    ) -> Result<(), Errno> {
        self.poll(mem, subscriptions, events, count, nevents, Snapshot::One, true)
    }

    /// Waits for the first of several things; layout of `wasi_unstable`.
    pub fn poll_oneoff_unstable(
        &mut self,
        mem: &mut GuestMemory<'_>,
        subscriptions: u32,
        events: u32,
        count: u32,
        nevents: u32,
    ) -> Result<(), Errno> {
        self.poll(mem, subscriptions, events, count, nevents, Snapshot::Zero, false)
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the specification's parameters, and two that tell its functions apart"
    )]
    fn poll(
        &mut self,
        mem: &mut GuestMemory<'_>,
        subscriptions: u32,
        events: u32,
        count: u32,
        nevents: u32,
        snapshot: Snapshot,
        edge: bool,
    ) -> Result<(), Errno> {
        if count == 0 || count > MAX_SUBSCRIPTIONS {
            return Err(Errno::Inval);
        }
        let layout = Layout::of(snapshot);
        mem.check(nevents, 4)?;
        mem.check(events, count.checked_mul(EVENT_SIZE).ok_or(Errno::Fault)?)?;
        let list = mem.slice(subscriptions, count.checked_mul(layout.size).ok_or(Errno::Fault)?)?;

        let Pollers { level, edge: edges, found } = &mut self.poller;
        let watcher = if edge { edges } else { level };
        found.clear();
        watcher.begin();
        for (index, bytes) in (0..count).zip(list.chunks_exact(layout.size as usize)) {
            found.subscribe(&self.table, watcher, &layout, index, bytes)?;
        }
        found.wait(&self.table, watcher, list, &layout)?;
        found.lay_out(list, &layout);
        mem.write(events, &found.bytes)?;
        // Not more than `count`, so it fits.
        mem.write_u32(nevents, found.happened.len() as u32)
    }
}
