//! Waiting: deadlines, readiness, hang-ups, errors beside results, and lists that make no sense.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use tempfile::tempdir;
use wasi::types::{eventrwflag, right};
use wasi::{Errno, WasiCtxBuilder};

use crate::guest::*;

const SUBSCRIPTIONS: u32 = 4096;
const EVENTS: u32 = 16 * 1024;
const CLOCK: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;

#[derive(Clone, Copy)]
enum Sub {
    Clock { id: u32, timeout: u64, absolute: bool },
    Fd { tag: u8, fd: u32 },
}

#[derive(Debug, PartialEq)]
struct Event {
    userdata: u64,
    error: u16,
    kind: u8,
    nbytes: u64,
    flags: u16,
}

fn poll(guest: &mut Guest, subs: &[Sub]) -> Result<Vec<Event>> {
    poll_with(guest, subs, false)
}

/// The same with `epoll_oneoff`.
fn edges(guest: &mut Guest, subs: &[Sub]) -> Result<Vec<Event>> {
    poll_with(guest, subs, true)
}

fn poll_with(guest: &mut Guest, subs: &[Sub], edge: bool) -> Result<Vec<Event>> {
    for (index, sub) in subs.iter().enumerate() {
        let mut bytes = [0u8; 48];
        bytes[0..8].copy_from_slice(&(100 + index as u64).to_le_bytes());
        match *sub {
            Sub::Clock { id, timeout, absolute } => {
                bytes[16..20].copy_from_slice(&id.to_le_bytes());
                bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
                bytes[40] = absolute.into();
            }
            Sub::Fd { tag, fd } => {
                bytes[8] = tag;
                bytes[16..20].copy_from_slice(&fd.to_le_bytes());
            }
        }
        guest.put(SUBSCRIPTIONS + index as u32 * 48, &bytes);
    }
    let count = subs.len() as u32;
    guest.call(|ctx, mem| match edge {
        false => ctx.poll_oneoff(mem, SUBSCRIPTIONS, EVENTS, count, OUT),
        true => ctx.epoll_oneoff(mem, SUBSCRIPTIONS, EVENTS, count, OUT),
    })?;
    let event = |index| {
        let at = EVENTS + index * 32;
        Event {
            userdata: guest.u64(at),
            error: guest.u16(at + 8),
            kind: guest.memory[at as usize + 10],
            nbytes: guest.u64(at + 16),
            flags: guest.u16(at + 24),
        }
    };
    let mut events: Vec<Event> = (0..guest.u32(OUT)).map(event).collect();
    // Those of a long list come in any order.
    if count > 32 {
        events.sort_by_key(|event| event.userdata);
    }
    Ok(events)
}

fn event(userdata: u64, kind: u8, nbytes: u64, flags: u16) -> Event {
    Event { userdata, error: 0, kind, nbytes, flags }
}

fn relative(timeout: u64) -> Sub {
    Sub::Clock { id: 1, timeout, absolute: false }
}

fn empty() -> Guest {
    Guest::new(WasiCtxBuilder::new().build().unwrap())
}

fn now(guest: &mut Guest, id: u32) -> u64 {
    guest.call(|ctx, mem| ctx.clock_time_get(mem, id, 0, OUT)).unwrap();
    guest.u64(OUT)
}

#[test]
fn every_clock_can_be_waited_for() {
    let mut guest = empty();
    for id in 0..4 {
        for absolute in [false, true] {
            let timeout = if absolute { now(&mut guest, id) + 20_000_000 } else { 20_000_000 };
            let start = Instant::now();
            let events = poll(&mut guest, &[Sub::Clock { id, timeout, absolute }]).unwrap();
            assert_eq!(events, [event(100, CLOCK, 0, 0)]);
            let took = start.elapsed();
            assert!(took >= Duration::from_millis(15) && took < Duration::from_secs(5), "{id} {absolute}: {took:?}");
        }
        // What has passed fires at once.
        assert_eq!(poll(&mut guest, &[Sub::Clock { id, timeout: 1, absolute: true }]).unwrap().len(), 1);
    }
}

#[test]
fn timeouts_without_end_do_not_overflow() {
    let mut guest = empty();
    for id in 0..4 {
        let forever = Sub::Clock { id, timeout: u64::MAX, absolute: false };
        let never = Sub::Clock { id, timeout: u64::MAX, absolute: true };
        let events = poll(&mut guest, &[forever, never, relative(1_000_000)]).unwrap();
        assert_eq!(events, [event(102, CLOCK, 0, 0)]);
    }
}

#[test]
fn senseless_lists_are_refused() {
    let mut guest = empty();
    assert_eq!(poll(&mut guest, &[]), Err(Errno::Inval));
    assert_eq!(poll(&mut guest, &[Sub::Fd { tag: 3, fd: 0 }]), Err(Errno::Inval));
    let count = u32::MAX;
    assert_eq!(guest.call(|ctx, mem| ctx.poll_oneoff(mem, SUBSCRIPTIONS, EVENTS, count, OUT)), Err(Errno::Inval));
    let count = 1 << 17;
    assert_eq!(guest.call(|ctx, mem| ctx.poll_oneoff(mem, SUBSCRIPTIONS, EVENTS, count, OUT)), Err(Errno::Fault));
    assert_eq!(guest.call(|ctx, mem| ctx.poll_oneoff(mem, u32::MAX, EVENTS, 1, OUT)), Err(Errno::Fault));
    let unknown = Sub::Clock { id: 9, timeout: 0, absolute: false };
    assert_eq!(poll(&mut guest, &[unknown]).unwrap()[0].error, Errno::Inval as u16);
}

#[test]
fn errors_are_events_beside_the_others() {
    let dir = tempdir().unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let write_only = guest.open("f", wasi::types::oflag::CREAT, right::FD_WRITE).unwrap();
    let subs = [
        Sub::Fd { tag: READ, fd: 77 },
        Sub::Fd { tag: READ, fd: ROOT },
        Sub::Fd { tag: READ, fd: write_only },
        Sub::Fd { tag: WRITE, fd: write_only },
        relative(u64::MAX),
    ];
    let events = poll(&mut guest, &subs).unwrap();
    let badf = |userdata| Event { error: Errno::Badf as u16, ..event(userdata, READ, 0, 0) };
    assert_eq!(events, [badf(100), badf(101), badf(102), event(103, WRITE, 1, 0)]);
}

#[test]
fn files_are_always_ready_and_tell_what_is_left() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "0123456789").unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let fd = guest.open("f", 0, RW).unwrap();
    guest.read(fd, 4).unwrap();
    let events = poll(&mut guest, &[Sub::Fd { tag: READ, fd }, Sub::Fd { tag: WRITE, fd }]).unwrap();
    assert_eq!(events, [event(100, READ, 6, 0), event(101, WRITE, 1, 0)]);
}

#[test]
fn pipes_are_waited_for_and_tell_bytes_and_hang_ups() {
    let (input, mut writer) = std::io::pipe().unwrap();
    let (reader, output) = std::io::pipe().unwrap();
    let mut builder = WasiCtxBuilder::new();
    builder.stdin_fd(OwnedFd::from(input)).unwrap().stdout_fd(OwnedFd::from(output)).unwrap();
    let mut guest = Guest::new(builder.build().unwrap());
    let read = Sub::Fd { tag: READ, fd: 0 };
    let write = Sub::Fd { tag: WRITE, fd: 1 };
    assert_eq!(poll(&mut guest, &[read, relative(5_000_000)]).unwrap(), [event(101, CLOCK, 0, 0)]);
    assert_eq!(poll(&mut guest, &[read, write]).unwrap(), [event(101, WRITE, 1, 0)]);
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        writer.write_all(b"abc").unwrap();
        writer
    });
    let start = Instant::now();
    // The same descriptor twice is answered twice.
    let events = poll(&mut guest, &[read, relative(20_000_000_000), read]).unwrap();
    assert_eq!(events, [event(100, READ, 3, 0), event(102, READ, 3, 0)]);
    assert!(start.elapsed() < Duration::from_secs(10));
    drop(thread.join().unwrap());
    assert_eq!(poll(&mut guest, &[read]).unwrap(), [event(100, READ, 3, eventrwflag::HANGUP)]);
    guest.read(0, 9).unwrap();
    assert_eq!(poll(&mut guest, &[read]).unwrap(), [event(100, READ, 0, eventrwflag::HANGUP)]);
    drop(reader);
    assert_eq!(poll(&mut guest, &[write]).unwrap(), [event(100, WRITE, 1, eventrwflag::HANGUP)]);
}

#[test]
fn given_bytes_and_nothing_are_ready() {
    let mut builder = WasiCtxBuilder::new();
    builder.stdin_bytes(*b"12345");
    let mut guest = Guest::new(builder.build().unwrap());
    let subs = [Sub::Fd { tag: READ, fd: 0 }, Sub::Fd { tag: WRITE, fd: 1 }, relative(u64::MAX)];
    assert_eq!(poll(&mut guest, &subs).unwrap(), [event(100, READ, 5, 0), event(101, WRITE, 1, 0)]);
}

#[test]
fn many_subscriptions_work() {
    let mut guest = empty();
    let subs = vec![relative(1_000_000); 200];
    let events = poll(&mut guest, &subs).unwrap();
    assert!(!events.is_empty() && events.iter().all(|event| event.error == 0));
}

/// A guest with connected sockets from descriptor 3 on, and their other ends.
fn connected(count: usize) -> (Guest, Vec<UnixStream>) {
    let mut builder = WasiCtxBuilder::new();
    let mut peers = Vec::new();
    for _ in 0..count {
        let (own, peer) = UnixStream::pair().unwrap();
        builder.preopened_socket(own).unwrap();
        peers.push(peer);
    }
    (Guest::new(builder.build().unwrap()), peers)
}

fn read(fd: u32) -> Sub {
    Sub::Fd { tag: READ, fd }
}

fn write(fd: u32) -> Sub {
    Sub::Fd { tag: WRITE, fd }
}

/// Which subscriptions are ready, by their number in the list.
fn ready(events: Result<Vec<Event>>) -> Vec<u64> {
    events.unwrap().iter().map(|event| event.userdata - 100).collect()
}

#[test]
fn readiness_lasts_until_it_is_used() {
    let (mut guest, mut peers) = connected(3);
    let subs = [read(3), read(4), read(5), relative(2_000_000)];
    assert_eq!(ready(poll(&mut guest, &subs)), [3]);
    peers[1].write_all(b"x").unwrap();
    for _ in 0..3 {
        assert_eq!(ready(poll(&mut guest, &subs)), [1]);
    }
    guest.read(4, 9).unwrap();
    assert_eq!(ready(poll(&mut guest, &subs)), [3]);
    assert_eq!(ready(poll(&mut guest, &[write(4), read(4)])), [0]);
    assert_eq!(ready(poll(&mut guest, &[read(4), relative(2_000_000)])), [1], "nobody asks for writing any more");
}

#[test]
fn what_is_left_out_of_a_list_is_not_reported() {
    let (mut guest, mut peers) = connected(2);
    let both = [read(3), read(4), relative(2_000_000)];
    assert_eq!(ready(poll(&mut guest, &both)), [2]);
    peers[0].write_all(b"x").unwrap();
    let start = Instant::now();
    assert_eq!(ready(poll(&mut guest, &[read(4), relative(20_000_000)])), [1]);
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(ready(poll(&mut guest, &both)), [0], "and is there when it is asked for again");
}

#[test]
fn edges_are_reported_once() {
    let (mut guest, mut peers) = connected(2);
    let subs = [read(3), read(4), relative(2_000_000)];
    peers[0].write_all(b"x").unwrap();
    assert_eq!(ready(edges(&mut guest, &subs)), [0]);
    assert_eq!(ready(edges(&mut guest, &subs)), [2], "nothing new");
    assert_eq!(ready(poll(&mut guest, &subs)), [0], "the other function is not concerned");
    peers[0].write_all(b"y").unwrap();
    peers[1].write_all(b"z").unwrap();
    assert_eq!(ready(edges(&mut guest, &subs)), [0, 1]);
    assert_eq!(ready(edges(&mut guest, &subs)), [2]);
    assert_eq!(ready(edges(&mut guest, &[read(4), relative(2_000_000)])), [1]);
    assert_eq!(ready(edges(&mut guest, &subs)), [0], "waited for anew");
    assert_eq!(ready(edges(&mut guest, &[write(3), read(3), read(4)])), [0, 1], "a new direction");
}

#[test]
fn what_a_guest_knows_and_does_not_use_it_is_told_again_later() {
    let (mut guest, mut peers) = connected(2);
    guest.write(3, b"x").unwrap();
    let subs = [write(3), read(3), read(4)];
    assert_eq!(ready(poll(&mut guest, &subs)), [0]);
    let start = Instant::now();
    assert_eq!(ready(poll(&mut guest, &subs)), [0]);
    assert_eq!(ready(poll(&mut guest, &subs)), [0]);
    assert!(start.elapsed() >= Duration::from_millis(10), "a loop that only asks does not spin");
    assert_eq!(ready(poll(&mut guest, &[write(3), relative(0)])), [0, 1], "who does not wait gets the whole truth");
    peers[1].write_all(b"y").unwrap();
    assert!(ready(poll(&mut guest, &subs)).contains(&2));
    guest.write(3, b"x").unwrap();
    assert_eq!(ready(poll(&mut guest, &subs)), [0, 2], "it was used");
}

#[test]
fn closing_and_reusing_a_number_is_harmless() {
    let (mut guest, mut peers) = connected(2);
    let subs = [read(3), read(4), relative(2_000_000)];
    for wait in [poll, edges] {
        assert_eq!(ready(wait(&mut guest, &subs)), [2]);
    }
    guest.close(3).unwrap();
    peers[1].write_all(b"x").unwrap();
    let events = poll(&mut guest, &subs).unwrap();
    assert_eq!((events[0].error, events[1].userdata, events.len()), (Errno::Badf as u16, 101, 2));
    // The number is taken by another descriptor, with another socket behind it.
    guest.call(|ctx, mem| ctx.fd_renumber(mem, 4, 2)).unwrap();
    let subs = [read(2), read(3), relative(2_000_000)];
    for wait in [poll, edges] {
        let events = wait(&mut guest, &subs).unwrap();
        assert_eq!((events[0].error, events[0].userdata, events[1].error), (0, 100, Errno::Badf as u16));
    }
    guest.read(2, 9).unwrap();
    assert_eq!(ready(poll(&mut guest, &[read(2), relative(2_000_000)])), [1]);
    drop(peers);
    assert_eq!(poll(&mut guest, &[read(2)]).unwrap(), [event(100, READ, 0, eventrwflag::HANGUP)]);
}

#[test]
fn a_shared_file_that_was_closed_is_forgotten() {
    // The other copy keeps the open file, and with it what the host knows of it, alive.
    let (own, mut peer) = UnixStream::pair().unwrap();
    let copy = own.try_clone().unwrap();
    let mut builder = WasiCtxBuilder::new();
    builder.preopened_socket(own).unwrap();
    let mut guest = Guest::new(builder.build().unwrap());
    assert_eq!(ready(poll(&mut guest, &[read(3), relative(1_000_000)])), [1]);
    guest.close(3).unwrap();
    peer.write_all(b"x").unwrap();
    let start = Instant::now();
    assert_eq!(ready(poll(&mut guest, &[read(0), relative(20_000_000)])), [0]);
    assert_eq!(ready(poll(&mut guest, &[relative(20_000_000)])), [0]);
    assert!(start.elapsed() >= Duration::from_millis(20));
    drop(copy);
}

#[test]
fn dropped_rights_end_the_waiting() {
    let (mut guest, _peers) = connected(1);
    assert_eq!(ready(poll(&mut guest, &[read(3), relative(1_000_000)])), [1]);
    guest.call(|ctx, mem| ctx.fd_fdstat_set_rights(mem, 3, right::FD_WRITE, 0)).unwrap();
    assert_eq!(poll(&mut guest, &[read(3), relative(u64::MAX)]).unwrap()[0].error, Errno::Badf as u16);
}

#[test]
fn hundreds_of_descriptors_are_told_apart() {
    let (mut guest, mut peers) = connected(300);
    let mut subs: Vec<Sub> = (3..303).map(read).collect();
    subs.push(relative(1_000_000));
    assert_eq!(ready(poll(&mut guest, &subs)), [300]);
    for index in [0, 7, 299] {
        peers[index].write_all(b"x").unwrap();
    }
    assert_eq!(ready(poll(&mut guest, &subs)), [0, 7, 299]);
    peers.iter_mut().for_each(|peer| peer.write_all(b"y").unwrap());
    // All of them, over as many calls as the host likes.
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 300 {
        for index in ready(poll(&mut guest, &subs)) {
            guest.read(index as u32 + 3, 9).unwrap();
            assert!(seen.insert(index));
        }
    }
}
