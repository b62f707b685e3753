//! `poll_oneoff`. In: a guest's list of clocks and descriptors to wait for; out: an event for each that is ready.
//! Invariant: a subscription that cannot be waited for becomes an event with an error beside the others, at once; the
//! call returns when there is an event and never before.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::time::ClockId;
use smallvec::SmallVec;

use crate::descriptor::{Descriptor, Object};
use crate::memory::GuestMemory;
use crate::process::{clock, now};
use crate::types::{FileType, Snapshot, eventrwflag, flags, right, subclockflag};
use crate::{Errno, WasiCtx};

/// More subscriptions than this are refused, so that a guest cannot make the host allocate without bound.
const MAX_SUBSCRIPTIONS: u32 = 1 << 18;

/// Subscriptions up to this number take no allocation.
const INLINE: usize = 8;

/// The longest sleep towards a time of the wall clock, which somebody may set meanwhile.
const WALL_CLOCK_CHECK: u64 = 1_000_000_000;

const EVENT_SIZE: u32 = 32;

/// What a subscription waits for; the numbers are the interface's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum EventType {
    Clock = 0,
    FdRead = 1,
    FdWrite = 2,
}

#[derive(Clone, Copy, Debug)]
struct Subscription {
    userdata: u64,
    event_type: EventType,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// An event already, without waiting.
    Ready(Happened),
    /// Ready when the clock shows the deadline.
    Timer { clock: ClockId, deadline: u64 },
    /// Ready when the host says so of the item at this index of the poll list.
    Polled { fd: u32, index: usize },
}

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

/// When a clock subscription is due. A span is measured on the monotonic clock. A thread's or process's own time cannot
/// pass while its only thread waits for it, so what is missing of it is waited for in real time too.
fn timer(fields: &ClockFields) -> Result<State, Errno> {
    let id = clock(fields.id)?;
    let absolute = flags::<u16>(u32::from(fields.flags), subclockflag::ALL)? != 0;
    let deadline = match (absolute, id) {
        (true, ClockId::Realtime | ClockId::Monotonic) => {
            return Ok(State::Timer { clock: id, deadline: fields.timeout });
        }
        (true, _) => fields.timeout.saturating_sub(now(id)),
        (false, _) => fields.timeout,
    };
    Ok(State::Timer { clock: ClockId::Monotonic, deadline: now(ClockId::Monotonic).saturating_add(deadline) })
}

/// How many bytes a file has from its position on.
fn bytes_left(file: BorrowedFd<'_>) -> u64 {
    let size = rustix::fs::fstat(file).map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
    size.saturating_sub(rustix::fs::tell(file).unwrap_or(0))
}

/// Either what is known of a descriptor at once, or the host descriptor to poll.
fn inspect(descriptor: &Descriptor, read: bool) -> Result<Result<Happened, BorrowedFd<'_>>, Errno> {
    descriptor.require_direction(if read { right::FD_READ } else { right::FD_WRITE })?;
    descriptor.require(right::POLL_FD_READWRITE)?;
    Ok(match &descriptor.object {
        Object::Dir(_) => return Err(Errno::Badf),
        Object::Null | Object::Output(_) => Ok(Happened::with_bytes(u64::from(!read))),
        Object::Input(bytes, position) => Ok(Happened::with_bytes((bytes.len() - position) as u64)),
        Object::File(file) if descriptor.filetype == FileType::RegularFile => {
            let file = std::os::fd::AsFd::as_fd(file);
            Ok(Happened::with_bytes(if read { bytes_left(file) } else { 1 }))
        }
        Object::File(fd) | Object::Stream(fd) | Object::Socket(fd) | Object::Listener(fd) => {
            Err(std::os::fd::AsFd::as_fd(fd))
        }
    })
}

/// What the host's answer about a descriptor means.
fn polled(fd: BorrowedFd<'_>, read: bool, answer: PollFlags) -> Happened {
    if answer.contains(PollFlags::NVAL) {
        return Happened::failed(Errno::Badf);
    }
    // How much room there is to write cannot be asked of every kind; one byte is what readiness promises.
    let nbytes = if read { ioctl_fionread(fd).unwrap_or(1) } else { 1 };
    let hangup = answer.intersects(PollFlags::HUP | PollFlags::ERR);
    Happened { error: Errno::Success, nbytes, flags: if hangup { eventrwflag::HANGUP } else { 0 } }
}

/// How long to sleep: not at all when something is ready, else up to the nearest deadline.
fn sleep_time(subscriptions: &[Subscription]) -> Option<u64> {
    let time_left = |subscription: &Subscription| match subscription.state {
        State::Ready(_) => Some(0),
        State::Polled { .. } => None,
        State::Timer { clock, deadline } => {
            let left = deadline.saturating_sub(now(clock));
            Some(if clock == ClockId::Realtime { left.min(WALL_CLOCK_CHECK) } else { left })
        }
    };
    subscriptions.iter().filter_map(time_left).min()
}

fn timespec(nanoseconds: u64) -> Timespec {
    // Both fit: the quotient is below 2^35, the remainder below 2^30.
    Timespec { tv_sec: (nanoseconds / 1_000_000_000) as i64, tv_nsec: (nanoseconds % 1_000_000_000) as _ }
}

/// What became of a subscription, if anything did.
fn outcome(subscription: &Subscription, poll_list: &[PollFd<'_>], table: &crate::table::FdTable) -> Option<Happened> {
    match subscription.state {
        State::Ready(happened) => Some(happened),
        State::Timer { clock, deadline } => (now(clock) >= deadline).then(|| Happened::with_bytes(0)),
        State::Polled { fd, index } => {
            let answer = poll_list[index].revents();
            if answer.is_empty() {
                return None;
            }
            let host = table.get(fd).ok()?.host()?;
            Some(polled(host, subscription.event_type == EventType::FdRead, answer))
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
        self.poll(mem, subscriptions, events, count, nevents, Snapshot::One)
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
        self.poll(mem, subscriptions, events, count, nevents, Snapshot::Zero)
    }

    fn poll(
        &mut self,
        mem: &mut GuestMemory<'_>,
        subscriptions: u32,
        events: u32,
        count: u32,
        nevents: u32,
        snapshot: Snapshot,
    ) -> Result<(), Errno> {
        if count == 0 || count > MAX_SUBSCRIPTIONS {
            return Err(Errno::Inval);
        }
        let layout = Layout::of(snapshot);
        mem.check(nevents, 4)?;
        mem.check(events, count.checked_mul(EVENT_SIZE).ok_or(Errno::Fault)?)?;
        let list = mem.slice(subscriptions, count.checked_mul(layout.size).ok_or(Errno::Fault)?)?;

        let mut poll_list: SmallVec<[PollFd<'_>; INLINE]> = SmallVec::new();
        let mut waiting: SmallVec<[Subscription; INLINE]> = SmallVec::new();
        for bytes in list.chunks_exact(layout.size as usize) {
            waiting.push(self.subscribe(bytes, &layout, &mut poll_list)?);
        }
        let happened = self.wait(&waiting, &mut poll_list)?;
        let mut at = events;
        for (subscription, happened) in &happened {
            let mut bytes = [0u8; EVENT_SIZE as usize];
            bytes[0..8].copy_from_slice(&subscription.userdata.to_le_bytes());
            bytes[8..10].copy_from_slice(&(happened.error as u16).to_le_bytes());
            bytes[10] = subscription.event_type as u8;
            bytes[16..24].copy_from_slice(&happened.nbytes.to_le_bytes());
            bytes[24..26].copy_from_slice(&happened.flags.to_le_bytes());
            mem.write(at, &bytes)?;
            at = at.wrapping_add(EVENT_SIZE);
        }
        // Not more than `count`, so it fits.
        mem.write_u32(nevents, happened.len() as u32)
    }

    /// Takes one subscription in. An unknown kind fails the whole call: no event could say what it was.
    fn subscribe<'a>(
        &'a self,
        bytes: &[u8],
        layout: &Layout,
        poll_list: &mut SmallVec<[PollFd<'a>; INLINE]>,
    ) -> Result<Subscription, Errno> {
        let userdata = long(bytes, 0);
        let event_type = match bytes[8] {
            0 => EventType::Clock,
            1 => EventType::FdRead,
            2 => EventType::FdWrite,
            _ => return Err(Errno::Inval),
        };
        let state = if event_type == EventType::Clock {
            timer(&layout.clock(bytes)).unwrap_or_else(|errno| State::Ready(Happened::failed(errno)))
        } else {
            let fd = word(bytes, 16);
            let read = event_type == EventType::FdRead;
            match self.table.get(fd).and_then(|descriptor| inspect(descriptor, read)) {
                Err(errno) => State::Ready(Happened::failed(errno)),
                Ok(Ok(happened)) => State::Ready(happened),
                Ok(Err(host)) => {
                    let events = if read { PollFlags::IN } else { PollFlags::OUT };
                    poll_list.push(PollFd::from_borrowed_fd(host, events));
                    State::Polled { fd, index: poll_list.len() - 1 }
                }
            }
        };
        Ok(Subscription { userdata, event_type, state })
    }

    /// Waits until something happened, and collects all that did.
    fn wait(
        &self,
        waiting: &[Subscription],
        poll_list: &mut [PollFd<'_>],
    ) -> Result<SmallVec<[(Subscription, Happened); INLINE]>, Errno> {
        loop {
            let timeout = sleep_time(waiting).map(timespec);
            match poll(poll_list, timeout.as_ref()) {
                // Interrupted: nothing was answered, and what time is left is worked out anew.
                Err(rustix::io::Errno::INTR) => continue,
                result => result.map(drop)?,
            }
            let happened: SmallVec<_> = waiting
                .iter()
                .filter_map(|subscription| Some((*subscription, outcome(subscription, poll_list, &self.table)?)))
                .collect();
            if !happened.is_empty() {
                return Ok(happened);
            }
        }
    }
}
