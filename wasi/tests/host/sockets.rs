//! Sockets handed in: accepting, flags, cut datagrams, both ways of blocking.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;

use wasi::types::{fdflag, riflag, right, roflag, sdflag};
use wasi::{Errno, WasiCtxBuilder};

use crate::guest::*;

const NONBLOCK: u32 = fdflag::NONBLOCK as u32;

fn listening() -> (Guest, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut builder = WasiCtxBuilder::new();
    builder.preopened_listener(listener).unwrap();
    (Guest::new(builder.build().unwrap()), address)
}

fn accept(guest: &mut Guest, flags: u32) -> Result<u32> {
    guest.call(|ctx, mem| ctx.sock_accept(mem, 3, flags, OUT))?;
    Ok(guest.u32(OUT))
}

fn recv(guest: &mut Guest, fd: u32, len: u32, flags: u16) -> Result<(Vec<u8>, u16)> {
    guest.iovecs(&[(DATA, len)]);
    guest.call(|ctx, mem| ctx.sock_recv(mem, fd, IOVECS, 1, flags.into(), OUT, OUT + 8))?;
    Ok((guest.bytes(DATA, guest.u32(OUT) as usize).to_vec(), guest.u16(OUT + 8)))
}

#[test]
fn accepting_blocks_only_if_it_may() {
    let (mut guest, address) = listening();
    guest.call(|ctx, mem| ctx.fd_fdstat_set_flags(mem, 3, NONBLOCK)).unwrap();
    assert_eq!(accept(&mut guest, 0), Err(Errno::Again));
    guest.call(|ctx, mem| ctx.fd_fdstat_set_flags(mem, 3, 0)).unwrap();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        TcpStream::connect(address).unwrap()
    });
    let fd = accept(&mut guest, NONBLOCK).unwrap();
    let mut peer = thread.join().unwrap();
    let (kind, flags, base, _) = guest.fdstat(fd).unwrap();
    assert_eq!((kind, flags, base & (RW | right::SOCK_ACCEPT)), (6, fdflag::NONBLOCK, RW));
    assert_eq!(recv(&mut guest, fd, 9, 0), Err(Errno::Again));
    assert_eq!(recv(&mut guest, fd, 0, 0), Ok((vec![], 0)));
    assert_eq!(guest.read(fd, 0), Ok(vec![]));
    assert_eq!(guest.read(fd, 9), Err(Errno::Again));
    peer.write_all(b"hello").unwrap();
    guest.call(|ctx, mem| ctx.fd_fdstat_set_flags(mem, fd, 0)).unwrap();
    assert_eq!(recv(&mut guest, fd, 2, riflag::PEEK), Ok((b"he".to_vec(), 0)));
    assert_eq!(recv(&mut guest, fd, 5, riflag::WAITALL), Ok((b"hello".to_vec(), 0)));
    assert_eq!(guest.write(fd, b"answer"), Ok(6));
    guest.call(|ctx, mem| ctx.sock_shutdown(mem, fd, sdflag::WR.into())).unwrap();
    let mut text = String::new();
    peer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer");
    assert_eq!(guest.write(fd, b"more"), Err(Errno::Pipe), "and no signal");
    drop(peer);
    assert_eq!(guest.read(fd, 9), Ok(vec![]));
}

#[test]
fn a_full_connection_says_again() {
    let (mut guest, address) = listening();
    let _peer = TcpStream::connect(address).unwrap();
    let fd = accept(&mut guest, NONBLOCK).unwrap();
    let chunk = vec![1u8; 500_000];
    let full = loop {
        if let Err(errno) = guest.write(fd, &chunk) {
            break errno;
        }
    };
    assert_eq!(full, Errno::Again);
}

#[test]
fn cut_datagrams_are_told() {
    let (one, other) = UnixDatagram::pair().unwrap();
    let mut builder = WasiCtxBuilder::new();
    builder.preopened_socket(one).unwrap();
    let mut guest = Guest::new(builder.build().unwrap());
    assert_eq!(guest.fdstat(3).unwrap().0, 5);
    other.send(b"0123456789").unwrap();
    other.send(b"ab").unwrap();
    assert_eq!(recv(&mut guest, 3, 4, 0), Ok((b"0123".to_vec(), roflag::DATA_TRUNCATED)));
    assert_eq!(recv(&mut guest, 3, 4, 0), Ok((b"ab".to_vec(), 0)));
}

#[test]
fn bad_calls_have_their_errno() {
    let (mut guest, address) = listening();
    let _peer = TcpStream::connect(address).unwrap();
    assert_eq!(accept(&mut guest, fdflag::APPEND.into()), Err(Errno::Inval));
    let fd = accept(&mut guest, 0).unwrap();
    guest.iovecs(&[(DATA, 1)]);
    let shutdown = |guest: &mut Guest, fd, how| guest.call(|ctx, mem| ctx.sock_shutdown(mem, fd, how));
    assert_eq!(shutdown(&mut guest, fd, 4), Err(Errno::Inval));
    assert_eq!(shutdown(&mut guest, 1, 1), Err(Errno::NotSock));
    assert_eq!(shutdown(&mut guest, 99, 1), Err(Errno::Badf));
    assert_eq!(recv(&mut guest, 1, 1, 0), Err(Errno::NotSock));
    assert_eq!(recv(&mut guest, fd, 1, 4), Err(Errno::Inval));
    assert_eq!(guest.call(|ctx, mem| ctx.sock_accept(mem, fd, 0, OUT)), Err(Errno::NotCapable));
    assert_eq!(guest.call(|ctx, mem| ctx.sock_accept(mem, 3, 0, u32::MAX)), Err(Errno::Fault));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_seek(mem, fd, 0, 0, OUT)), Err(Errno::Spipe));
}
