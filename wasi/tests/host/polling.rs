//! Waiting: deadlines, readiness, hang-ups, errors beside results, and lists that make no sense.

use std::io::Write;
use std::os::fd::OwnedFd;
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
    guest.call(|ctx, mem| ctx.poll_oneoff(mem, SUBSCRIPTIONS, EVENTS, subs.len() as u32, OUT))?;
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
    Ok((0..guest.u32(OUT)).map(event).collect())
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
