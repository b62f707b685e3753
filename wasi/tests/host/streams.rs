//! Standard streams: pipes, files, buffers, nothing; what they say they are and how they block.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use tempfile::tempfile;
use wasi::types::{fdflag, right};
use wasi::{Errno, OutputBuffer, WasiCtxBuilder};

use crate::guest::*;

const NONBLOCK: u32 = fdflag::NONBLOCK as u32;

#[test]
fn buffers_collect_and_bytes_run_out() {
    let (out, err) = (OutputBuffer::new(), OutputBuffer::new());
    let mut builder = WasiCtxBuilder::new();
    builder.stdin_bytes(*b"input").stdout_buffer(&out).stderr_buffer(&err);
    let mut guest = Guest::new(builder.build().unwrap());
    assert_eq!(guest.read(0, 3), Ok(b"inp".to_vec()));
    assert_eq!(guest.read(0, 9), Ok(b"ut".to_vec()));
    assert_eq!(guest.read(0, 9), Ok(vec![]));
    guest.put(DATA, b"to be joined");
    guest.iovecs(&[(DATA, 6), (DATA + 6, 0), (DATA + 6, 6)]);
    guest.call(|ctx, mem| ctx.fd_write(mem, 1, IOVECS, 3, OUT)).unwrap();
    assert_eq!(guest.u32(OUT), 12);
    guest.write(2, b"error").unwrap();
    assert_eq!((out.contents(), err.contents()), (b"to be joined".to_vec(), b"error".to_vec()));
    assert_eq!(guest.write(0, b"x"), Err(Errno::Badf));
    assert_eq!(guest.read(1, 1), Err(Errno::Badf));
}

#[test]
fn nothing_is_empty_and_bottomless() {
    let mut guest = Guest::new(WasiCtxBuilder::new().build().unwrap());
    assert_eq!(guest.read(0, 9), Ok(vec![]));
    assert_eq!(guest.write(1, b"abc"), Ok(3));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_tell(mem, 0, OUT)), Err(Errno::Spipe));
    guest.call(|ctx, mem| ctx.fd_sync(mem, 1)).unwrap();
    guest.call(|ctx, mem| ctx.fd_filestat_get(mem, 1, OUT)).unwrap();
    assert_eq!(guest.memory[OUT as usize + 16], 0);
    guest.close(0).unwrap();
    assert_eq!(guest.read(0, 1), Err(Errno::Badf));
}

#[test]
fn pipes_block_only_if_they_may() {
    let (input, mut writer) = std::io::pipe().unwrap();
    let (mut reader, output) = std::io::pipe().unwrap();
    let mut builder = WasiCtxBuilder::new();
    builder.stdin_fd(OwnedFd::from(input)).unwrap().stdout_fd(OwnedFd::from(output)).unwrap();
    let mut guest = Guest::new(builder.build().unwrap());
    let (kind, _, base, _) = guest.fdstat(0).unwrap();
    assert_eq!((kind, base & (RW | right::FD_SEEK | right::FD_TELL)), (0, right::FD_READ));
    let (_, _, base, _) = guest.fdstat(1).unwrap();
    assert_eq!(base & RW, right::FD_WRITE);

    guest.call(|ctx, mem| ctx.fd_fdstat_set_flags(mem, 0, NONBLOCK)).unwrap();
    assert_eq!(guest.read(0, 9), Err(Errno::Again));
    writer.write_all(b"abc").unwrap();
    assert_eq!(guest.read(0, 9), Ok(b"abc".to_vec()));
    guest.call(|ctx, mem| ctx.fd_fdstat_set_flags(mem, 0, 0)).unwrap();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        writer.write_all(b"later").unwrap();
    });
    assert_eq!(guest.read(0, 9), Ok(b"later".to_vec()));
    thread.join().unwrap();
    assert_eq!(guest.read(0, 9), Ok(vec![]), "the writer is gone");

    guest.call(|ctx, mem| ctx.fd_fdstat_set_flags(mem, 1, NONBLOCK)).unwrap();
    let chunk = vec![7u8; 100_000];
    let mut written = 0;
    let full = loop {
        match guest.write(1, &chunk) {
            Ok(n) => written += n as usize,
            Err(errno) => break errno,
        }
    };
    assert_eq!(full, Errno::Again);
    let mut got = vec![0; written];
    reader.read_exact(&mut got).unwrap();
    assert!(got.iter().all(|&byte| byte == 7));
    drop(reader);
    assert_eq!(guest.write(1, b"x"), Err(Errno::Pipe));
}

#[test]
fn a_host_pipe_that_is_nonblocking_still_blocks_the_guest() {
    let (input, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&input, true).unwrap();
    let mut guest = Guest::new(WasiCtxBuilder::new().stdin_fd(OwnedFd::from(input)).unwrap().build().unwrap());
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        writer.write_all(b"data").unwrap();
    });
    assert_eq!(guest.read(0, 9), Ok(b"data".to_vec()));
    thread.join().unwrap();
}

#[test]
fn a_file_as_standard_output_is_a_file() {
    let file = tempfile().unwrap();
    let mut guest =
        Guest::new(WasiCtxBuilder::new().stdout_fd(OwnedFd::from(file.try_clone().unwrap())).unwrap().build().unwrap());
    let (kind, flags, base, _) = guest.fdstat(1).unwrap();
    assert_eq!((kind, flags), (4, 0));
    assert_ne!(base & right::FD_SEEK, 0);
    guest.write(1, b"abc").unwrap();
    guest.call(|ctx, mem| ctx.fd_seek(mem, 1, 1, 0, OUT)).unwrap();
    guest.write(1, b"B").unwrap();
    guest.call(|ctx, mem| ctx.fd_tell(mem, 1, OUT)).unwrap();
    assert_eq!(guest.u64(OUT), 2);
    let append = guest.call(|ctx, mem| ctx.fd_fdstat_set_flags(mem, 1, fdflag::APPEND.into()));
    assert_eq!(append, Err(Errno::NotSup), "other processes share the open file");
    let mut text = String::new();
    std::io::Seek::rewind(&mut &file).unwrap();
    (&file).read_to_string(&mut text).unwrap();
    assert_eq!(text, "aBc");
}

#[test]
fn a_terminal_is_a_character_device_without_a_position() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let Ok(controller) = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY) else { return };
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let terminal = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty()).unwrap();
    let mut guest = Guest::new(WasiCtxBuilder::new().stdin_fd(terminal).unwrap().build().unwrap());
    let (kind, _, base, _) = guest.fdstat(0).unwrap();
    assert_eq!((kind, base & (RW | right::FD_SEEK | right::FD_TELL)), (2, RW));
    let mut controller = std::fs::File::from(controller);
    controller.write_all(b"typed\n").unwrap();
    assert_eq!(guest.read(0, 100), Ok(b"typed\n".to_vec()));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_seek(mem, 0, 0, 1, OUT)), Err(Errno::Spipe));
}

#[test]
fn inherited_streams_leave_the_host_its_own() {
    let mut builder = WasiCtxBuilder::new();
    builder.inherit_stdio().unwrap();
    let mut guest = Guest::new(builder.build().unwrap());
    for fd in 0..3 {
        guest.fdstat(fd).unwrap();
        guest.close(fd).unwrap();
    }
    assert!(rustix::io::fcntl_getfd(rustix::stdio::stderr()).is_ok());
}
