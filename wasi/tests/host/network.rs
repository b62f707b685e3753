//! Sockets that the guest opens: both versions of each function, grants, options, names, and what the host answers when
//! something is wrong. Everything happens on the loopback interface.

mod semantics;
mod strangers;

use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wasi::types::{fdflag, riflag, roflag};
use wasi::{Errno, WasiCtxBuilder};

use crate::guest::*;

const INET4: u32 = 1;
const INET6: u32 = 2;
const UNIX: u32 = 3;
const DGRAM: u32 = 1;
const STREAM: u32 = 2;
/// Where addresses are described, and where their bytes lie.
const ADDRESS: u32 = 200;
const BYTES: u32 = 256;
const NONBLOCK: u32 = fdflag::NONBLOCK as u32;

/// An address of this host.
#[derive(Clone, Copy)]
enum At {
    V4,
    V6,
    Storage4,
    Storage6,
}

impl Guest {
    fn with_grants(grants: &[&str]) -> Guest {
        let mut builder = WasiCtxBuilder::new();
        for grant in grants {
            builder.network(grant.parse().unwrap());
        }
        Guest::new(builder.build().unwrap())
    }

    fn socket(&mut self, family: u32, kind: u32) -> Result<u32> {
        self.call(|ctx, mem| ctx.sock_open(mem, family, kind, OUT))?;
        Ok(self.u32(OUT))
    }

    /// Describes a buffer for an address.
    fn buffer(&mut self, bytes: &[u8]) {
        self.put(BYTES, bytes);
        self.put(ADDRESS, &BYTES.to_le_bytes());
        self.put(ADDRESS + 4, &(bytes.len() as u32).to_le_bytes());
    }

    /// Puts a loopback address into memory.
    fn loopback(&mut self, at: At) {
        let six = Ipv6Addr::LOCALHOST.octets();
        let storage = |family: u8, address: &[u8]| {
            let mut bytes = [0; 128];
            bytes[0] = family;
            bytes[2..][..address.len()].copy_from_slice(address);
            bytes.to_vec()
        };
        let bytes = match at {
            At::V4 => vec![127, 0, 0, 1],
            At::V6 => six.to_vec(),
            At::Storage4 => storage(1, &[127, 0, 0, 1]),
            At::Storage6 => storage(2, &six),
        };
        self.buffer(&bytes);
    }

    fn bind(&mut self, fd: u32, at: At, port: u16) -> Result<()> {
        self.loopback(at);
        self.call(|ctx, mem| ctx.sock_bind_v2(mem, fd, ADDRESS, port.into()))
    }

    fn connect(&mut self, fd: u32, at: At, port: u16) -> Result<()> {
        self.loopback(at);
        self.call(|ctx, mem| ctx.sock_connect_v2(mem, fd, ADDRESS, port.into()))
    }

    /// The type and port that the first version tells of a socket's own address.
    fn local(&mut self, fd: u32) -> Result<(u32, u16)> {
        self.buffer(&[0; 16]);
        self.call(|ctx, mem| ctx.sock_getlocaladdr(mem, fd, ADDRESS, OUT, OUT + 4))?;
        Ok((self.u32(OUT), self.u32(OUT + 4) as u16))
    }

    fn listening(&mut self, at: At) -> (u32, u16) {
        let family = if matches!(at, At::V6 | At::Storage6) { INET6 } else { INET4 };
        let fd = self.socket(family, STREAM).unwrap();
        self.bind(fd, at, 0).unwrap();
        self.call(|ctx, mem| ctx.sock_listen(mem, fd, 16)).unwrap();
        let (_, port) = self.local(fd).unwrap();
        (fd, port)
    }

    fn accept(&mut self, fd: u32, flags: u32) -> Result<u32> {
        self.call(|ctx, mem| ctx.sock_accept(mem, fd, flags, OUT))?;
        Ok(self.u32(OUT))
    }

    fn set_flags(&mut self, fd: u32, flags: u32) {
        self.call(|ctx, mem| ctx.fd_fdstat_set_flags(mem, fd, flags)).unwrap();
    }

    fn option(&mut self, fd: u32, level: u32, name: u32) -> Result<Vec<u8>> {
        self.put(OUT, &16u32.to_le_bytes());
        self.call(|ctx, mem| ctx.sock_getsockopt(mem, fd, level, name, DATA, OUT))?;
        Ok(self.bytes(DATA, self.u32(OUT) as usize).to_vec())
    }

    fn number_option(&mut self, fd: u32, level: u32, name: u32) -> Result<i32> {
        Ok(i32::from_le_bytes(self.option(fd, level, name)?.try_into().unwrap()))
    }

    fn set_option(&mut self, fd: u32, level: u32, name: u32, value: &[u8]) -> Result<()> {
        let len = self.put(DATA, value);
        self.call(|ctx, mem| ctx.sock_setsockopt(mem, fd, level, name, DATA, len))
    }

    fn set_number(&mut self, fd: u32, level: u32, name: u32, value: i32) -> Result<()> {
        self.set_option(fd, level, name, &value.to_le_bytes())
    }

    fn send_to(&mut self, fd: u32, text: &[u8], at: At, port: u16) -> Result<u32> {
        let len = self.put(DATA, text);
        self.iovecs(&[(DATA, len)]);
        self.loopback(at);
        self.call(|ctx, mem| ctx.sock_send_to_v2(mem, fd, IOVECS, 1, ADDRESS, port.into(), 0, OUT))?;
        Ok(self.u32(OUT))
    }

    /// Waits until something can be read or written.
    fn wait(&mut self, fd: u32, tag: u8) -> u16 {
        let mut subscription = [0; 48];
        subscription[8] = tag;
        subscription[16..20].copy_from_slice(&fd.to_le_bytes());
        self.put(PATH, &subscription);
        self.call(|ctx, mem| ctx.poll_oneoff(mem, PATH, OTHER_PATH, 1, OUT)).unwrap();
        assert_eq!((self.u32(OUT), self.u16(OTHER_PATH + 8)), (1, 0));
        self.u16(OTHER_PATH + 24)
    }
}

/// Whether this machine has IPv6 on its loopback interface.
fn has_ipv6() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("skipped: no IPv6 here");
    }
    has
}

/// A port of this host on which nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_guest_serves_in_all_layouts_of_addresses() {
    for at in [At::V4, At::Storage4, At::V6, At::Storage6] {
        let six = matches!(at, At::V6 | At::Storage6);
        if six && !has_ipv6() {
            continue;
        }
        let mut guest = Guest::with_grants(&["bind:127.0.0.1", "bind:[::1]"]);
        let (listener, port) = guest.listening(at);
        let mut peer = TcpStream::connect((if six { "::1" } else { "127.0.0.1" }, port)).unwrap();
        guest.call(|ctx, mem| ctx.sock_accept_v1(mem, listener, OUT)).unwrap();
        let fd = guest.u32(OUT);
        assert_eq!(guest.fdstat(fd).unwrap().1, 0, "blocking");
        peer.write_all(b"hello").unwrap();
        assert_eq!(guest.read(fd, 9), Ok(b"hello".to_vec()));
        assert_eq!(guest.write(fd, b"answer"), Ok(6));
        let mut text = [0; 6];
        peer.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"answer");

        assert_eq!(guest.local(fd), Ok((if six { 6 } else { 4 }, port)));
        guest.buffer(&[0xff; 128]);
        guest.call(|ctx, mem| ctx.sock_getpeeraddr_v2(mem, fd, ADDRESS, OUT)).unwrap();
        assert_eq!(guest.u32(OUT) as u16, peer.local_addr().unwrap().port());
        assert_eq!(guest.bytes(BYTES, 2), [if six { 2 } else { 1 }, 0]);
        assert_eq!(guest.bytes(BYTES + 2 + if six { 16 } else { 4 }, 1), [0xff], "the rest is as it was");
    }
}

#[test]
fn a_guest_connects_waiting_or_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guest = Guest::with_grants(&["connect:127.0.0.1"]);
    for nonblocking in [false, true] {
        let fd = guest.socket(INET4, STREAM).unwrap();
        if nonblocking {
            guest.set_flags(fd, NONBLOCK);
            assert_eq!(guest.connect(fd, At::V4, port), Err(Errno::InProgress));
            guest.wait(fd, 2);
            assert_eq!(guest.number_option(fd, 0, 2), Ok(0));
        } else {
            guest.connect(fd, At::Storage4, port).unwrap();
        }
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"x").unwrap();
        guest.wait(fd, 1);
        assert_eq!(guest.read(fd, 9), Ok(b"x".to_vec()));
        if nonblocking {
            assert_eq!(guest.read(fd, 9), Err(Errno::Again));
        }
        // The host says once that a connection came about meanwhile.
        let again = guest.connect(fd, At::V4, port);
        assert_eq!(again, if nonblocking { Ok(()) } else { Err(Errno::IsConn) });
        drop(peer);
        assert_eq!(guest.read(fd, 9), Ok(vec![]));
    }
}

#[test]
fn a_closed_port_refuses_at_once_or_later() {
    let mut guest = Guest::with_grants(&["all"]);
    let fd = guest.socket(INET4, STREAM).unwrap();
    assert_eq!(guest.connect(fd, At::V4, closed_port()), Err(Errno::ConnRefused));
    let fd = guest.socket(INET4, STREAM).unwrap();
    guest.set_flags(fd, NONBLOCK);
    assert_eq!(guest.connect(fd, At::V4, closed_port()), Err(Errno::InProgress));
    assert_eq!(guest.wait(fd, 2), 1, "hung up");
    assert_eq!(guest.number_option(fd, 0, 2), Ok(Errno::ConnRefused as i32));
    assert_eq!(guest.number_option(fd, 0, 2), Ok(0), "told once");
}

#[test]
fn datagrams_go_back_to_the_port_they_came_from() {
    let mut guest = Guest::with_grants(&["all"]);
    let fd = guest.socket(INET4, DGRAM).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().0, 5);
    guest.bind(fd, At::V4, 0).unwrap();
    let (_, port) = guest.local(fd).unwrap();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let from = peer.local_addr().unwrap().port();
    for at in [At::V4, At::Storage4] {
        peer.send_to(b"question", ("127.0.0.1", port)).unwrap();
        guest.iovecs(&[(DATA, 4), (DATA + 4, 2)]);
        guest.buffer(&[0; 128]);
        let flags = u32::from(riflag::PEEK);
        guest
            .call(|ctx, mem| ctx.sock_recv_from_v2(mem, fd, IOVECS, 2, ADDRESS, flags, OUT, OUT + 4, OUT + 8))
            .unwrap();
        assert_eq!((guest.u32(OUT), guest.u32(OUT + 4)), (from.into(), 6), "the port in the host's order");
        assert_eq!(guest.u16(OUT + 8), roflag::DATA_TRUNCATED);
        assert_eq!(guest.bytes(BYTES, 6), [1, 0, 127, 0, 0, 1]);
        assert_eq!(guest.bytes(DATA, 6), b"questi");
        // The first version tells the address alone.
        guest.iovecs(&[(DATA, 99)]);
        guest.buffer(&[0; 4]);
        guest.call(|ctx, mem| ctx.sock_recv_from(mem, fd, IOVECS, 1, ADDRESS, 0, OUT + 4, OUT + 8)).unwrap();
        assert_eq!((guest.u32(OUT + 4), guest.bytes(BYTES, 4)), (8, &[127, 0, 0, 1][..]));
        assert_eq!(guest.send_to(fd, b"answer", at, from), Ok(6));
        let mut buffer = [0; 16];
        let (len, sender) = peer.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..len], sender.port()), (&b"answer"[..], port));
    }
    guest.set_flags(fd, NONBLOCK);
    guest.buffer(&[0; 5]);
    let receive = |guest: &mut Guest| {
        guest.call(|ctx, mem| ctx.sock_recv_from_v2(mem, fd, IOVECS, 1, ADDRESS, 0, OUT, OUT + 4, OUT + 8))
    };
    assert_eq!(receive(&mut guest), Err(Errno::Inval));
    guest.buffer(&[0; 16]);
    assert_eq!(receive(&mut guest), Err(Errno::Again));
}

#[test]
fn nothing_is_open_without_a_grant() {
    let refused = Arc::new(Mutex::new(Vec::new()));
    let sink = refused.clone();
    let mut builder = WasiCtxBuilder::new();
    builder.on_network_refusal(move |refusal| sink.lock().unwrap().push(refusal.grant()));
    let mut guest = Guest::new(builder.build().unwrap());
    assert_eq!(guest.socket(INET4, STREAM), Err(Errno::Acces));
    assert_eq!(guest.socket(INET6, DGRAM), Err(Errno::Acces));
    assert_eq!(guest.socket(UNIX, STREAM), Err(Errno::NoSys));
    assert_eq!(guest.socket(0, STREAM), Err(Errno::Inval));
    assert_eq!(guest.socket(INET4, 3), Err(Errno::Inval));
    assert_eq!(*refused.lock().unwrap(), ["all", "all", "unix"]);
}

#[test]
fn grants_are_kept_to() {
    let refused = Arc::new(Mutex::new(Vec::new()));
    let sink = refused.clone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut builder = WasiCtxBuilder::new();
    builder
        .network(format!("connect:localhost:{port}").parse().unwrap())
        .on_network_refusal(move |refusal| sink.lock().unwrap().push(refusal.grant()));
    let mut guest = Guest::new(builder.build().unwrap());
    let fd = guest.socket(INET4, STREAM).unwrap();
    assert_eq!(guest.bind(fd, At::V4, 0), Err(Errno::Acces));
    assert_eq!(guest.call(|ctx, mem| ctx.sock_listen(mem, fd, 1)), Err(Errno::Acces), "the host would bind it");
    assert_eq!(guest.connect(fd, At::V4, port ^ 1), Err(Errno::Acces));
    assert_eq!(guest.send_to(fd, b"x", At::V4, port ^ 1), Err(Errno::Acces));
    assert_eq!(guest.connect(fd, At::V4, port), Ok(()));
    let expected = ["bind:127.0.0.1:0", "bind:0.0.0.0:0"].map(String::from);
    assert_eq!(refused.lock().unwrap()[..2], expected);
    assert_eq!(refused.lock().unwrap()[2..], vec![format!("connect:127.0.0.1:{}", port ^ 1); 2]);
}

#[test]
fn options_are_the_hosts() {
    let mut guest = Guest::with_grants(&["all"]);
    let fd = guest.socket(INET4, STREAM).unwrap();
    // Those that are a flag.
    assert_ne!(guest.number_option(fd, 6, 1), Ok(0), "no guest waits for more to send");
    guest.set_number(fd, 6, 1, 0).unwrap();
    for (level, name) in [(0, 0), (0, 3), (0, 4), (0, 7), (0, 8), (6, 1), (6, 3)] {
        assert_eq!(guest.number_option(fd, level, name), Ok(0), "{level} {name}");
        guest.set_number(fd, level, name, 1).unwrap();
        assert_ne!(guest.number_option(fd, level, name), Ok(0), "{level} {name}");
    }
    // Those with a number of their own.
    for (level, name) in [(6, 4), (6, 5), (6, 6), (6, 18)] {
        guest.set_number(fd, level, name, 7).unwrap();
        assert_eq!(guest.number_option(fd, level, name), Ok(7), "{level} {name}");
    }
    for name in [5, 6] {
        guest.set_number(fd, 0, name, 100_000).unwrap();
        assert!(guest.number_option(fd, 0, name).unwrap() >= 100_000, "{name}");
    }
    assert_eq!(guest.number_option(fd, 0, 1), Ok(STREAM as i32));
    assert_eq!(guest.number_option(fd, 0, 10), Ok(1));
    assert_eq!(guest.number_option(fd, 0, 13), Ok(0));
    assert_eq!(guest.option(fd, 0, 14), Ok(vec![]));
    let linger = [1i32.to_le_bytes(), 3i32.to_le_bytes()].concat();
    guest.set_option(fd, 0, 9, &linger).unwrap();
    assert_eq!(guest.option(fd, 0, 9), Ok(linger));
    let time = [2i64.to_le_bytes(), 0i64.to_le_bytes()].concat();
    for name in [11, 12] {
        guest.set_option(fd, 0, name, &time).unwrap();
        assert_eq!(guest.option(fd, 0, name), Ok(time.clone()));
    }
    for (level, name, errno) in [(0, 15, Errno::Inval), (1, 1, Errno::Inval), (6, 99, Errno::NoProtoOpt)] {
        assert_eq!(guest.number_option(fd, level, name), Err(errno));
        assert_eq!(guest.set_number(fd, level, name, 1), Err(errno));
    }
    assert_eq!(guest.set_option(fd, 0, 0, &[1]), Err(Errno::Inval));
    assert_eq!(guest.set_option(fd, 0, 1, &[1, 0, 0, 0]), Err(Errno::NoProtoOpt));
    guest.put(OUT, &2u32.to_le_bytes());
    guest.call(|ctx, mem| ctx.sock_getsockopt(mem, fd, 0, 1, DATA, OUT)).unwrap();
    assert_eq!(guest.u32(OUT), 2, "cut to the room there is");
}

#[test]
fn timeouts_end_blocking_calls() {
    let mut guest = Guest::with_grants(&["all"]);
    let time = [0i64.to_le_bytes(), 30_000i64.to_le_bytes()].concat();
    let (listener, port) = guest.listening(At::V4);
    guest.set_option(listener, 0, 11, &time).unwrap();
    let start = Instant::now();
    assert_eq!(guest.accept(listener, 0), Err(Errno::Again));
    let _peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let fd = guest.accept(listener, 0).unwrap();
    guest.set_option(fd, 0, 11, &time).unwrap();
    assert_eq!(guest.read(fd, 9), Err(Errno::Again));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(50) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn unix_sockets_have_a_grant_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut guest = Guest::with_grants(&[&format!("unix:{}", path.display())]);
    let mut storage = [0u8; 128];
    storage[0] = UNIX as u8;
    storage[2..][..path.as_os_str().len()].copy_from_slice(path.as_os_str().as_encoded_bytes());
    let fd = guest.socket(UNIX, STREAM).unwrap();
    guest.buffer(&storage);
    guest.call(|ctx, mem| ctx.sock_connect_v2(mem, fd, ADDRESS, 0)).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(guest.write(fd, b"hello"), Ok(5));
    let mut text = [0; 5];
    peer.read_exact(&mut text).unwrap();
    guest.buffer(&[0xff; 128]);
    guest.call(|ctx, mem| ctx.sock_getpeeraddr_v2(mem, fd, ADDRESS, OUT)).unwrap();
    assert_eq!(guest.bytes(BYTES, 110), &storage[..110]);
    // Another path, and the internet, are not covered.
    let other = guest.socket(UNIX, STREAM).unwrap();
    storage[3] ^= 1;
    guest.buffer(&storage);
    assert_eq!(guest.call(|ctx, mem| ctx.sock_bind_v2(mem, other, ADDRESS, 0)), Err(Errno::Acces));
    assert_eq!(guest.socket(INET4, STREAM), Err(Errno::Acces));
}

/// Nodes for `sock_getaddrinfo` as a guest makes them, from [`DATA`] on; what is asked for lies at [`PATH`].
struct Lookup {
    flags: u16,
    family: u8,
    socktype: u8,
    max: u32,
}

fn look_up(guest: &mut Guest, node: &str, service: &str, lookup: &Lookup) -> Result<Vec<(u8, u8, Vec<u8>)>> {
    const NODES: u32 = DATA;
    const SOCKADDRS: u32 = DATA + 4096;
    const BUFFERS: u32 = DATA + 8192;
    for index in 0..lookup.max {
        let next = if index + 1 == lookup.max { 0 } else { NODES + 28 * (index + 1) };
        let words = [0, 0, 0, SOCKADDRS + 12 * index, 0, 0, next];
        guest.put(NODES + 28 * index, &words.map(u32::to_le_bytes).concat());
        guest.put(SOCKADDRS + 12 * index, &[1, 14, BUFFERS + 32 * index].map(u32::to_le_bytes).concat());
    }
    guest.put(ADDRESS, &NODES.to_le_bytes());
    let mut hints = [0u8; 28];
    hints[..2].copy_from_slice(&lookup.flags.to_le_bytes());
    (hints[2], hints[3]) = (lookup.family, lookup.socktype);
    guest.put(BYTES, &hints);
    let (node, service) =
        ((PATH, guest.put(PATH, node.as_bytes())), (OTHER_PATH, guest.put(OTHER_PATH, service.as_bytes())));
    guest.call(|ctx, mem| {
        ctx.sock_getaddrinfo(mem, node.0, node.1, service.0, service.1, BYTES, ADDRESS, lookup.max, OUT)
    })?;
    let found = (0..guest.u32(OUT)).map(|index| {
        let fields = guest.bytes(NODES + 28 * index + 2, 2).to_vec();
        let len = guest.u32(SOCKADDRS + 12 * index + 4) as usize;
        (fields[0], fields[1], guest.bytes(BUFFERS + 32 * index, len).to_vec())
    });
    Ok(found.collect())
}

#[test]
fn names_become_addresses_in_the_guests_own_nodes() {
    let mut guest = Guest::with_grants(&["dns"]);
    let any = Lookup { flags: 0, family: 1, socktype: 2, max: 8 };
    let local4 = |port: u16| {
        let mut data = port.to_be_bytes().to_vec();
        data.extend([127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        (1, 2, data)
    };
    assert_eq!(look_up(&mut guest, "localhost", "80", &any), Ok(vec![local4(80)]));
    assert_eq!(look_up(&mut guest, "localhost\0", "http\0", &any), Ok(vec![local4(80)]));
    assert_eq!(look_up(&mut guest, "127.0.0.1", "", &any), Ok(vec![local4(0)]));
    let six = look_up(&mut guest, "::1", "443", &Lookup { family: 2, ..any }).unwrap();
    assert_eq!((six.len(), six[0].2.len(), &six[0].2[..2]), (1, 26, &443u16.to_be_bytes()[..]));
    assert_eq!(six[0].2[6..22], Ipv6Addr::LOCALHOST.octets());
    let both = look_up(&mut guest, "127.0.0.1", "53", &Lookup { family: 0, socktype: 0, ..any }).unwrap();
    assert_eq!(both.iter().map(|found| found.1).collect::<Vec<_>>(), [2, 1]);
    let cut = look_up(&mut guest, "127.0.0.1", "53", &Lookup { family: 0, socktype: 0, max: 1, ..any }).unwrap();
    assert_eq!(cut.len(), 1);
    let mapped = look_up(&mut guest, "127.0.0.1", "1", &Lookup { flags: 1 << 4, family: 2, ..any }).unwrap();
    assert_eq!(mapped[0].2[16..22], [0xff, 0xff, 127, 0, 0, 1]);
    let passive = look_up(&mut guest, "", "1", &Lookup { flags: 1, ..any }).unwrap();
    assert_eq!(passive[0].2[2..6], [0; 4]);
}

#[test]
fn lookups_that_make_no_sense_have_their_errno() {
    let mut guest = Guest::with_grants(&["dns:known.example"]);
    let any = || Lookup { flags: 0, family: 0, socktype: 0, max: 8 };
    let mut errno = |node, service, lookup: Lookup| look_up(&mut guest, node, service, &lookup).unwrap_err();
    assert_eq!(errno("", "", any()), Errno::AiNoName);
    assert_eq!(errno("127.0.0.1", "1", Lookup { max: 0, ..any() }), Errno::AiMemory);
    assert_eq!(errno("127.0.0.1", "1", Lookup { flags: 1 << 7, ..any() }), Errno::AiBadFlags);
    assert_eq!(errno("", "1", Lookup { flags: 2, ..any() }), Errno::AiBadFlags);
    assert_eq!(errno("127.0.0.1", "1", Lookup { family: 3, ..any() }), Errno::AiFamily);
    assert_eq!(errno("127.0.0.1", "1", Lookup { socktype: 3, ..any() }), Errno::NoSys);
    assert_eq!(errno("known.example", "1", Lookup { flags: 1 << 2, ..any() }), Errno::AiNoName);
    assert_eq!(errno("127.0.0.1", "no-such-service", any()), Errno::AiService);
    assert_eq!(errno("127.0.0.1", "http", Lookup { flags: 1 << 3, ..any() }), Errno::AiNoName);
    assert_eq!(errno("127.0.0.1", "1", Lookup { family: 2, ..any() }), Errno::AiAddrFamily);
    assert_eq!(errno("other.example", "1", any()), Errno::Acces);
}

#[test]
fn bad_pointers_and_descriptors_have_their_errno() {
    let mut guest = Guest::with_grants(&["all"]);
    let (listener, _) = guest.listening(At::V4);
    assert_eq!(guest.call(|ctx, mem| ctx.sock_open(mem, 1, 2, OUT + 1)), Err(Errno::AddrNotAvail));
    assert_eq!(guest.call(|ctx, mem| ctx.sock_open(mem, 1, 2, MEMORY as u32)), Err(Errno::Fault));
    assert_eq!(guest.call(|ctx, mem| ctx.sock_bind(mem, 99, ADDRESS, 0)), Err(Errno::Badf));
    assert_eq!(guest.call(|ctx, mem| ctx.sock_bind(mem, 1, ADDRESS, 0)), Err(Errno::NotSock));
    assert_eq!(guest.call(|ctx, mem| ctx.sock_bind(mem, listener, MEMORY as u32, 0)), Err(Errno::Fault));
    guest.loopback(At::Storage4);
    assert_eq!(guest.call(|ctx, mem| ctx.sock_bind(mem, listener, ADDRESS, 0)), Err(Errno::Inval), "a storage");
    assert_eq!(guest.call(|ctx, mem| ctx.sock_getlocaladdr(mem, listener, ADDRESS, OUT, OUT)), Err(Errno::Inval));
    guest.loopback(At::V4);
    assert_eq!(guest.call(|ctx, mem| ctx.sock_getlocaladdr_v2(mem, listener, ADDRESS, OUT)), Err(Errno::Inval));
    assert_eq!(guest.call(|ctx, mem| ctx.sock_getpeeraddr(mem, listener, ADDRESS, OUT, OUT)), Err(Errno::NotConn));
    assert_eq!(guest.connect(listener, At::V4, 1), Err(Errno::IsConn));
    let fd = guest.socket(INET4, DGRAM).unwrap();
    let count = 1025;
    assert_eq!(guest.call(|ctx, mem| ctx.sock_send(mem, fd, IOVECS, count, 0, OUT)), Err(Errno::Inval));
    assert_eq!(guest.call(|ctx, mem| ctx.sock_recv(mem, fd, IOVECS, count, 0, OUT, OUT)), Err(Errno::Inval));
    let taken = guest.local(listener).unwrap().1;
    let fd = guest.socket(INET4, STREAM).unwrap();
    assert_eq!(guest.bind(fd, At::V4, taken), Err(Errno::AddrInUse));
}

#[test]
fn opened_sockets_count_towards_the_limit() {
    let mut builder = WasiCtxBuilder::new();
    builder.network("all".parse().unwrap()).max_fds(5);
    let mut guest = Guest::new(builder.build().unwrap());
    assert_eq!((guest.socket(INET4, STREAM), guest.socket(INET4, STREAM)), (Ok(3), Ok(4)));
    assert_eq!(guest.socket(INET4, STREAM), Err(Errno::Mfile));
    guest.close(3).unwrap();
    assert_eq!(guest.socket(INET4, STREAM), Ok(3));
}
