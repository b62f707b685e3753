//! `poll_oneoff`, `epoll_oneoff`. In: a guest's list of clocks and descriptors to wait for; out: an event for each that
//! is ready. Invariant: a subscription that cannot be waited for becomes an event with an error beside the others, at
//! once; the call returns when there is an event and never before.
//!
//! The guest passes its whole list every time, and most of it is the same as before: [`Subscriptions`] finds what is not,
//! [`Watcher`] and [`Rooms`] know the rest, and nothing here allocates once the buffers have grown.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::time::ClockId;

use crate::descriptor::{Descriptor, Object};
use crate::memory::GuestMemory;
use crate::process::{clock, now};
use crate::room::{Answer, Rooms};
use crate::subscriptions::{Access, Clock, Layout, READ, Subscriptions, WRITE};
use crate::table::FdTable;
use crate::types::{FileType, Snapshot, eventrwflag, flags, right, subclockflag};
use crate::watch::{Ready, Watcher};
use crate::{Errno, WasiCtx};

/// More subscriptions than this are refused, so that a guest cannot make the host allocate without bound.
const MAX_SUBSCRIPTIONS: u32 = 1 << 18;

/// The longest sleep towards a time of the wall clock, which somebody may set meanwhile.
const WALL_CLOCK_CHECK: u64 = 1_000_000_000;

const EVENT_SIZE: u32 = 32;

/// The events for a list no longer than this come in its order, which programs rely on that have no event loop.
const ORDERED: usize = 32;

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

/// A clock that shows a time one day.
#[derive(Clone, Copy, Debug)]
struct Timer {
    userdata: u64,
    clock: ClockId,
    deadline: u64,
}

/// When a clock subscription is due. A span is measured on the monotonic clock. A thread's or process's own time cannot
/// pass while its only thread waits for it, so what is missing of it is waited for in real time too.
fn timer(fields: &Clock) -> Result<Timer, Errno> {
    let userdata = fields.userdata;
    let id = clock(fields.id)?;
    let absolute = flags::<u16>(u32::from(fields.flags), subclockflag::ALL)? != 0;
    let span = match (absolute, id) {
        (true, ClockId::Realtime | ClockId::Monotonic) => {
            return Ok(Timer { userdata, clock: id, deadline: fields.timeout });
        }
        (true, _) => fields.timeout.saturating_sub(now(id)),
        (false, _) => fields.timeout,
    };
    Ok(Timer { userdata, clock: ClockId::Monotonic, deadline: now(ClockId::Monotonic).saturating_add(span) })
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
    level: Poller,
    /// For `epoll_oneoff`.
    edge: Poller,
}

/// One of the two ways to wait.
#[derive(Debug, Default)]
struct Poller {
    list: Subscriptions,
    watcher: Watcher,
    /// Where readiness is asked for rather than its coming about.
    rooms: Option<Rooms>,
    timers: Vec<Timer>,
    /// Descriptors that have to be looked at in the next call too, whatever it asks.
    again: Vec<u32>,
    /// What happened, as it goes to the guest.
    events: Vec<u8>,
}

impl Default for Pollers {
    fn default() -> Pollers {
        let watcher = Watcher::edge_triggered();
        Pollers {
            level: Poller { rooms: Some(Rooms::default()), ..Poller::default() },
            edge: Poller { watcher, ..Poller::default() },
        }
    }
}

impl Pollers {
    /// Whether the guest relies on being told once that something has become ready.
    pub(crate) fn uses_edges(&self) -> bool {
        self.edge.watcher.is_used()
    }

    /// Takes a descriptor out that is about to be closed, moved or changed.
    pub(crate) fn forget(&mut self, table: &FdTable, fd: u32) {
        for poller in [&mut self.level, &mut self.edge] {
            poller.watcher.forget(table, fd);
            poller.list.look_at(fd);
            if let Some(rooms) = &mut poller.rooms {
                rooms.forget(fd);
            }
        }
    }

    /// Takes note of whether an open socket took all it was given.
    pub(crate) fn sent(&mut self, fd: u32, all: bool) {
        let Poller { list, rooms, .. } = &mut self.level;
        if let Some(rooms) = rooms {
            rooms.sent(fd, all, list.round());
        }
        if list.wanted(fd) & WRITE != 0 {
            list.look_at(fd);
        }
    }
}

/// Lays an event out.
fn push(events: &mut Vec<u8>, userdata: u64, kind: u8, happened: Happened) {
    let mut bytes = [0u8; EVENT_SIZE as usize];
    bytes[0..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[8..10].copy_from_slice(&(happened.error as u16).to_le_bytes());
    bytes[10] = kind;
    bytes[16..24].copy_from_slice(&happened.nbytes.to_le_bytes());
    bytes[24..26].copy_from_slice(&happened.flags.to_le_bytes());
    events.extend_from_slice(&bytes);
}

impl Poller {
    /// An event for each subscription for these bits of a descriptor.
    fn tell(&mut self, fd: u32, bits: u8, happened: Happened) {
        let events = &mut self.events;
        // The kinds have the numbers of the bits.
        self.list.each(fd, bits, |access| push(events, access.userdata, access.bit, happened));
    }

    /// Takes a call's list in, and has the host know of what is new. What is known at once becomes events.
    fn begin(&mut self, table: &FdTable, list: &[u8], layout: Layout) -> Result<(), Errno> {
        self.events.clear();
        for fd in self.again.drain(..) {
            self.list.look_at(fd);
        }
        self.list.take(list, layout, table.end())?;
        self.timers.clear();
        for clock in self.list.clocks() {
            match timer(clock) {
                Ok(timer) => self.timers.push(timer),
                Err(errno) => push(&mut self.events, clock.userdata, 0, Happened::failed(errno)),
            }
        }
        for &Access { userdata, bit, .. } in self.list.unknown() {
            push(&mut self.events, userdata, bit, Happened::failed(Errno::Badf));
        }
        while let Some(fd) = self.list.next() {
            self.look(table, fd);
        }
        if !self.list.reads() {
            // Who waits for nothing but writing is about to write.
            self.tell_known(true);
        }
        Ok(())
    }

    /// Finds out what is to be asked of the host for a descriptor, and what is known without it.
    fn look(&mut self, table: &FdTable, fd: u32) {
        let (wanted, fresh) = (self.list.wanted(fd), self.list.fresh(fd));
        let (mut ask, mut at_once) = (0, false);
        for bit in [READ, WRITE].into_iter().filter(|bit| wanted & bit != 0) {
            let happened = match table.get(fd).and_then(|descriptor| inspect(descriptor, bit == READ)) {
                Err(errno) => Happened::failed(errno),
                Ok(Some(happened)) => happened,
                Ok(None) => match self.room(fd, bit, fresh) {
                    Answer::Yes => {
                        self.tell(fd, bit, Happened::with_bytes(1));
                        continue;
                    }
                    Answer::Later => continue,
                    Answer::AskHost => {
                        ask |= bit;
                        continue;
                    }
                },
            };
            self.tell(fd, bit, happened);
            at_once = true;
        }
        let refused = match table.get(fd).ok().and_then(Descriptor::host) {
            Some(host) => self.watcher.set(fd, host, ask, fresh).err(),
            None => {
                self.watcher.unset(fd);
                None
            }
        };
        if let Some(errno) = refused {
            // What the host cannot watch is always ready.
            let cannot = errno == rustix::io::Errno::PERM;
            for bit in [READ, WRITE].into_iter().filter(|bit| ask & bit != 0) {
                let nbytes = table.get(fd).map_or(1, |descriptor| nbytes(descriptor, bit, false));
                let ready = Happened::with_bytes(nbytes);
                self.tell(fd, bit, if cannot { ready } else { Happened::failed(errno.into()) });
            }
        }
        if at_once || refused.is_some() {
            self.again.push(fd);
        }
    }

    /// What is known without the host about writing.
    fn room(&mut self, fd: u32, bit: u8, fresh: u8) -> Answer {
        match &mut self.rooms {
            Some(rooms) if bit == WRITE => rooms.ask(fd, fresh & bit != 0, self.list.round()),
            _ => Answer::AskHost,
        }
    }

    /// How long to sleep: not at all when something is ready, else up to the nearest deadline.
    fn sleep_time(&self) -> Option<u64> {
        if !self.events.is_empty() {
            return Some(0);
        }
        let time_left = |timer: &Timer| {
            let left = timer.deadline.saturating_sub(now(timer.clock));
            if timer.clock == ClockId::Realtime { left.min(WALL_CLOCK_CHECK) } else { left }
        };
        let due = self.rooms.as_ref().and_then(Rooms::due);
        let due = due.map(|due| due.saturating_sub(now(ClockId::Monotonic)));
        self.timers.iter().map(time_left).chain(due).min()
    }

    /// Adds what the guest knows already: after a while, or because the call ends without anything else to say.
    fn tell_known(&mut self, ending: bool) {
        let Poller { list, rooms: Some(rooms), events, .. } = self else { return };
        let Some(due) = rooms.begin_telling(ending) else { return };
        let round = list.round();
        list.each_write(|fd| {
            if rooms.tells(fd, due || !list.reads(), round) {
                list.each(fd, WRITE, |access| push(events, access.userdata, access.bit, Happened::with_bytes(1)));
            }
        });
    }

    /// Waits for what the host has to report.
    fn wait(&mut self, table: &FdTable, timeout: Option<&Timespec>) -> rustix::io::Result<()> {
        if !self.watcher.is_waiting() {
            return if self.events.is_empty() { poll(&mut [], timeout).map(drop) } else { Ok(()) };
        }
        let alone = self.watcher.waits_for_one();
        let Poller { list, watcher, rooms, events, .. } = self;
        watcher.wait(table, timeout, |Ready { fd, bits, hang_up }| {
            if let (Some(rooms), true) = (rooms.as_mut(), bits & READ != 0) {
                rooms.read(fd, list.round());
            }
            list.each(fd, bits, |Access { userdata, bit, .. }| {
                let nbytes = table.get(fd).map_or(1, |descriptor| nbytes(descriptor, bit, alone));
                let flags = if hang_up { eventrwflag::HANGUP } else { 0 };
                push(events, userdata, bit, Happened { flags, ..Happened::with_bytes(nbytes) });
            });
        })
    }

    /// Puts events into the order of a short list.
    fn put_in_order(&mut self) {
        let (events, _) = self.events.as_chunks_mut::<{ EVENT_SIZE as usize }>();
        if events.len() < 2 || self.list.len() > ORDERED {
            return;
        }
        let mut done = 0;
        for (userdata, kind) in self.list.kinds() {
            let is = |event: &[u8; EVENT_SIZE as usize]| event[..8] == userdata.to_le_bytes() && event[10] == kind;
            if let Some(at) = events[done..].iter().position(is) {
                events.swap(done, done + at);
                done += 1;
            }
        }
    }

    /// Waits until something happened, and collects all that did.
    fn finish(&mut self, table: &FdTable) -> Result<(), Errno> {
        loop {
            let timeout = self.sleep_time().map(timespec);
            match self.wait(table, timeout.as_ref()) {
                // Interrupted: what time is left is worked out anew.
                Err(rustix::io::Errno::INTR) => {}
                waited => waited?,
            }
            let before = self.events.len();
            for timer in &self.timers {
                if now(timer.clock) >= timer.deadline {
                    push(&mut self.events, timer.userdata, 0, Happened::with_bytes(0));
                }
            }
            self.tell_known(self.events.len() > before);
            if !self.events.is_empty() {
                self.put_in_order();
                return Ok(());
            }
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

        let poller = if edge { &mut self.poller.edge } else { &mut self.poller.level };
        poller.begin(&self.table, list, layout)?;
        poller.finish(&self.table)?;
        // Each subscription has one event at most; a guest has room for no more.
        let found = (poller.events.len() / EVENT_SIZE as usize).min(count as usize);
        mem.write(events, &poller.events[..found * EVENT_SIZE as usize])?;
        mem.write_u32(nevents, found as u32)
    }
}
