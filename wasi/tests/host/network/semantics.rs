//! What a socket does when it is used to its limits: each test says what the same calls do in a native program.

use std::net::Shutdown;
use std::os::unix::net::UnixDatagram;

use super::*;

const READ: u8 = 1;
const WRITE: u8 = 2;

/// A connection of the guest and its other end.
fn pair(guest: &mut Guest) -> (u32, TcpStream) {
    let (listener, port) = guest.listening(At::V4);
    let peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let fd = guest.accept(listener, 0).unwrap();
    guest.close(listener).unwrap();
    (fd, peer)
}

/// Which of these (kind, descriptor) are ready within some milliseconds, as their places in the list.
fn ready(guest: &mut Guest, list: &[(u8, u32)], milliseconds: u64, edge: bool) -> Vec<u64> {
    let clock = (0u8, 1u32);
    for (index, (kind, fd)) in list.iter().chain([&clock]).enumerate() {
        let mut bytes = [0u8; 48];
        bytes[..8].copy_from_slice(&(index as u64).to_le_bytes());
        bytes[8] = *kind;
        bytes[16..20].copy_from_slice(&fd.to_le_bytes());
        bytes[24..32].copy_from_slice(&(milliseconds * 1_000_000).to_le_bytes());
        guest.put(DATA + index as u32 * 48, &bytes);
    }
    let (count, events) = (list.len() as u32 + 1, DATA * 4);
    guest
        .call(|ctx, mem| match edge {
            false => ctx.poll_oneoff(mem, DATA, events, count, OUT),
            true => ctx.epoll_oneoff(mem, DATA, events, count, OUT),
        })
        .unwrap();
    let mut ready: Vec<u64> = (0..guest.u32(OUT)).map(|index| guest.u64(events + index * 32)).collect();
    ready.sort_unstable();
    ready.retain(|index| *index < list.len() as u64);
    ready
}

fn recv(guest: &mut Guest, fd: u32, buffers: &[(u32, u32)], flags: u16) -> Result<(u32, u16)> {
    let count = guest.iovecs(buffers);
    guest.call(|ctx, mem| ctx.sock_recv(mem, fd, IOVECS, count, flags.into(), OUT, OUT + 8))?;
    Ok((guest.u32(OUT), guest.u16(OUT + 8)))
}

#[test]
fn a_low_water_mark_is_kept_by_polls_and_by_calls_that_wait() {
    let mut guest = Guest::with_grants(&["all"]);
    let (fd, mut peer) = pair(&mut guest);
    guest.set_number(fd, 0, 10, 10).unwrap();
    assert_eq!(guest.number_option(fd, 0, 10), Ok(10));
    peer.write_all(b"12345").unwrap();
    for edge in [false, true] {
        assert_eq!(ready(&mut guest, &[(READ, fd)], 30, edge), []);
    }
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        peer.write_all(b"67890").unwrap();
        peer
    });
    assert_eq!(ready(&mut guest, &[(READ, fd)], 20_000, false), [0]);
    let mut peer = writer.join().unwrap();
    assert_eq!(guest.read(fd, 100), Ok(b"1234567890".to_vec()));
    // The end of a stream is news however little came before it.
    peer.write_all(b"x").unwrap();
    assert_eq!(ready(&mut guest, &[(READ, fd)], 30, false), []);
    drop(peer);
    assert_eq!(ready(&mut guest, &[(READ, fd)], 20_000, false), [0]);
    assert_eq!(guest.read(fd, 100), Ok(b"x".to_vec()));
}

#[test]
fn each_half_of_a_connection_ends_by_itself() {
    let mut guest = Guest::with_grants(&["all"]);
    let (fd, mut peer) = pair(&mut guest);
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(guest.wait(fd, READ), 0, "an end is something to read, and no hang-up");
    assert_eq!(guest.read(fd, 9), Ok(vec![]));
    assert_eq!(guest.read(fd, 9), Ok(vec![]));
    assert_eq!(guest.write(fd, b"still"), Ok(5));
    guest.call(|ctx, mem| ctx.sock_shutdown(mem, fd, 2)).unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "still");
    assert_eq!(guest.write(fd, b"x"), Err(Errno::Pipe));
    assert_eq!(guest.wait(fd, WRITE), 1, "both halves are gone");
}

#[test]
fn a_connection_that_was_reset_says_so_once() {
    let mut guest = Guest::with_grants(&["all"]);
    let (fd, peer) = pair(&mut guest);
    guest.write(fd, b"unread").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    // Closing with something unread resets.
    drop(peer);
    assert_eq!(guest.wait(fd, READ), 1);
    assert_eq!(guest.read(fd, 9), Err(Errno::ConnReset));
    assert_eq!(guest.read(fd, 9), Ok(vec![]));
    assert_eq!(guest.write(fd, b"x"), Err(Errno::Pipe));
}

#[test]
fn peeking_leaves_everything_and_waiting_for_all_gets_it() {
    let mut guest = Guest::with_grants(&["all"]);
    let (fd, mut peer) = pair(&mut guest);
    peer.write_all(b"abcd").unwrap();
    for _ in 0..2 {
        assert_eq!(recv(&mut guest, fd, &[(DATA, 3), (DATA + 100, 9)], riflag::PEEK), Ok((4, 0)));
        assert_eq!((guest.bytes(DATA, 3), guest.bytes(DATA + 100, 1)), (&b"abc"[..], &b"d"[..]));
    }
    let writer = std::thread::spawn(move || {
        for byte in b"efgh" {
            std::thread::sleep(Duration::from_millis(5));
            peer.write_all(&[*byte]).unwrap();
        }
        peer
    });
    assert_eq!(recv(&mut guest, fd, &[(DATA, 8)], riflag::WAITALL), Ok((8, 0)));
    assert_eq!(guest.bytes(DATA, 8), b"abcdefgh");
    let mut peer = writer.join().unwrap();
    // The end comes before all of it.
    peer.write_all(b"ij").unwrap();
    drop(peer);
    assert_eq!(recv(&mut guest, fd, &[(DATA, 8)], riflag::WAITALL), Ok((2, 0)));
    assert_eq!(recv(&mut guest, fd, &[(DATA, 8)], riflag::WAITALL | riflag::PEEK), Ok((0, 0)));
    assert_eq!(recv(&mut guest, fd, &[(DATA, 8)], 4), Err(Errno::Inval));
}

#[test]
fn empty_and_cut_datagrams_are_datagrams() {
    let mut guest = Guest::with_grants(&["all"]);
    let fd = guest.socket(INET4, DGRAM).unwrap();
    guest.bind(fd, At::V4, 0).unwrap();
    let (_, port) = guest.local(fd).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.connect(("127.0.0.1", port)).unwrap();
    for text in ["", "whole", "", "cut off", "cut again", "rest"] {
        peer.send(text.as_bytes()).unwrap();
    }
    guest.wait(fd, READ);
    assert_eq!(recv(&mut guest, fd, &[(DATA, 9)], 0), Ok((0, 0)));
    assert_eq!(recv(&mut guest, fd, &[(DATA, 5)], 0), Ok((5, 0)));
    assert_eq!(guest.read(fd, 9), Ok(vec![]));
    assert_eq!(recv(&mut guest, fd, &[(DATA, 3)], 0), Ok((3, roflag::DATA_TRUNCATED)));
    assert_eq!(recv(&mut guest, fd, &[(DATA, 1), (DATA + 1, 2)], 0), Ok((3, roflag::DATA_TRUNCATED)));
    assert_eq!(guest.read(fd, 2), Ok(b"re".to_vec()), "the rest is gone with the call");
    assert_eq!(ready(&mut guest, &[(READ, fd)], 5, false), []);
    // One without bytes arrives as well.
    let from = peer.local_addr().unwrap().port();
    assert_eq!(guest.send_to(fd, b"", At::V4, from), Ok(0));
    assert_eq!(peer.recv(&mut [0; 9]).unwrap(), 0);
}

#[test]
fn lists_of_buffers_have_a_limit_and_need_not_be_in_order() {
    let mut guest = Guest::with_grants(&["all"]);
    let (fd, mut peer) = pair(&mut guest);
    let text: Vec<u8> = (0..1024u32).map(|n| n as u8).collect();
    peer.write_all(&text).unwrap();
    guest.wait(fd, READ);
    let backwards: Vec<(u32, u32)> = (0..1024).map(|index| (DATA + 1023 - index, 1)).collect();
    assert_eq!(recv(&mut guest, fd, &backwards, 0), Ok((1024, 0)));
    assert!(guest.bytes(DATA, 1024).iter().rev().eq(&text));
    let count = guest.iovecs(&backwards);
    guest.call(|ctx, mem| ctx.sock_send(mem, fd, IOVECS, count, 0, OUT)).unwrap();
    let mut echo = vec![0; 1024];
    peer.read_exact(&mut echo).unwrap();
    assert!(guest.u32(OUT) == 1024 && echo == text);
    let too_many = vec![(DATA, 1); 1025];
    assert_eq!(recv(&mut guest, fd, &too_many, 0), Err(Errno::Inval));
    let count = guest.iovecs(&[(DATA, 4), (MEMORY as u32 - 2, 4)]);
    assert_eq!(guest.call(|ctx, mem| ctx.sock_send(mem, fd, IOVECS, count, 0, OUT)), Err(Errno::Fault));
    peer.write_all(b"kept").unwrap();
    guest.wait(fd, READ);
    assert_eq!(recv(&mut guest, fd, &[(DATA, 4), (u32::MAX, 4)], 0), Err(Errno::Fault));
    let bad = MEMORY as u32 - 2;
    guest.iovecs(&[(DATA, 4)]);
    assert_eq!(guest.call(|ctx, mem| ctx.sock_recv(mem, fd, IOVECS, 1, 0, bad, OUT)), Err(Errno::Fault));
    assert_eq!(guest.call(|ctx, mem| ctx.sock_recv(mem, fd, IOVECS, 1, 0, OUT, MEMORY as u32)), Err(Errno::Fault));
    assert_eq!(guest.read(fd, 9), Ok(b"kept".to_vec()), "no bad pointer loses data");
}

/// The list stays as it is, and what is behind a number changes.
#[test]
fn a_number_in_an_unchanged_list_may_become_another_socket() {
    for edge in [false, true] {
        let mut guest = Guest::with_grants(&["all"]);
        let (fd, mut peer) = pair(&mut guest);
        let list = [(READ, fd), (READ, 77)];
        peer.write_all(b"x").unwrap();
        assert_eq!(ready(&mut guest, &list, 1000, edge), [0, 1], "there is no 77");
        let list = [(READ, fd)];
        assert_eq!(ready(&mut guest, &list, 20, edge), if edge { vec![] } else { vec![0] });
        guest.close(fd).unwrap();
        assert_eq!(ready(&mut guest, &list, 1000, edge), [0], "an error at once");
        assert_eq!(ready(&mut guest, &list, 1000, edge), [0], "every time");
        let (again, mut peer) = pair(&mut guest);
        // The listener took the lowest number.
        let list = [(READ, again)];
        assert_eq!(ready(&mut guest, &list, 20, edge), []);
        peer.write_all(b"y").unwrap();
        assert_eq!(ready(&mut guest, &list, 20_000, edge), [0]);
        let (other, mut peer) = pair(&mut guest);
        guest.call(|ctx, mem| ctx.fd_renumber(mem, other, again)).unwrap();
        assert_eq!(ready(&mut guest, &list, 20, edge), [], "what was there is gone");
        peer.write_all(b"z").unwrap();
        assert_eq!(ready(&mut guest, &list, 20_000, edge), [0]);
        assert_eq!(guest.read(again, 9), Ok(b"z".to_vec()));
    }
}

#[test]
fn ready_ones_that_nobody_asks_for_hide_no_others() {
    let mut guest = Guest::with_grants(&["all"]);
    let mut pairs: Vec<(u32, TcpStream)> = (0..150).map(|_| pair(&mut guest)).collect();
    let all: Vec<(u8, u32)> = pairs.iter().map(|(fd, _)| (READ, *fd)).collect();
    assert_eq!(ready(&mut guest, &all, 0, false), []);
    pairs.iter_mut().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
    std::thread::sleep(Duration::from_millis(20));
    for _ in 0..3 {
        for index in [149, 0, 75] {
            assert_eq!(ready(&mut guest, &all[index..=index], 0, false), [0]);
        }
    }
    // And a call that sleeps sleeps.
    let quiet = pair(&mut guest);
    let start = Instant::now();
    assert_eq!(ready(&mut guest, &[(READ, quiet.0)], 40, false), []);
    assert!(start.elapsed() >= Duration::from_millis(40));
}

#[test]
fn names_of_unix_sockets_are_paths_or_none_or_abstract() {
    let mut guest = Guest::with_grants(&["unix"]);
    let dir = tempfile::tempdir().unwrap();
    let at = UnixDatagram::bind(dir.path().join("peer")).unwrap();
    let name = format!("vm-test-{}", std::process::id());
    let mut storage = [0u8; 128];
    storage[0] = UNIX as u8;
    storage[3..][..name.len()].copy_from_slice(name.as_bytes());
    let fd = guest.socket(UNIX, DGRAM).unwrap();
    guest.buffer(&[0xff; 128]);
    guest.call(|ctx, mem| ctx.sock_getlocaladdr_v2(mem, fd, ADDRESS, OUT)).unwrap();
    assert_eq!((guest.bytes(BYTES, 2), guest.bytes(BYTES + 2, 108)), (&[3, 0][..], &[0; 108][..]));
    guest.buffer(&storage);
    guest.call(|ctx, mem| ctx.sock_bind_v2(mem, fd, ADDRESS, 0)).unwrap();
    guest.buffer(&[0xff; 128]);
    guest.call(|ctx, mem| ctx.sock_getlocaladdr_v2(mem, fd, ADDRESS, OUT)).unwrap();
    assert_eq!(guest.bytes(BYTES, 110), &storage[..110]);
    // The first version has no room for it.
    guest.buffer(&[0; 16]);
    assert_eq!(guest.call(|ctx, mem| ctx.sock_getlocaladdr(mem, fd, ADDRESS, OUT, OUT + 4)), Err(Errno::Inval));
    let path = dir.path().join("peer");
    storage[2..].fill(0);
    storage[2..][..path.as_os_str().len()].copy_from_slice(path.as_os_str().as_encoded_bytes());
    guest.buffer(&storage);
    guest.put(DATA, b"hello");
    guest.iovecs(&[(DATA, 5)]);
    guest.call(|ctx, mem| ctx.sock_send_to_v2(mem, fd, IOVECS, 1, ADDRESS, 0, 0, OUT)).unwrap();
    let mut text = [0; 9];
    let (len, _) = at.recv_from(&mut text).unwrap();
    assert_eq!(&text[..len], b"hello");
}

#[test]
fn a_socket_is_used_in_order() {
    let mut guest = Guest::with_grants(&["all"]);
    let fd = guest.socket(INET4, STREAM).unwrap();
    assert_eq!(guest.read(fd, 9), Err(Errno::NotConn));
    assert_eq!(guest.write(fd, b"x"), Err(Errno::Pipe));
    assert_eq!(guest.accept(fd, 0), Err(Errno::Inval));
    guest.buffer(&[0; 4]);
    assert_eq!(guest.call(|ctx, mem| ctx.sock_getpeeraddr(mem, fd, ADDRESS, OUT, OUT + 4)), Err(Errno::NotConn));
    guest.bind(fd, At::V4, 0).unwrap();
    assert_eq!(guest.bind(fd, At::V4, 0), Err(Errno::Inval), "bound already");
    let (_, port) = guest.local(fd).unwrap();
    let other = guest.socket(INET4, STREAM).unwrap();
    assert_eq!(guest.bind(other, At::V4, port), Err(Errno::AddrInUse));
    assert_eq!(guest.call(|ctx, mem| ctx.sock_shutdown(mem, other, 3)), Err(Errno::NotConn));
    let datagram = guest.socket(INET4, DGRAM).unwrap();
    assert_eq!(guest.call(|ctx, mem| ctx.sock_listen(mem, datagram, 1)), Err(Errno::NotSup));
}
