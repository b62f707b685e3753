//! Files: many and overlapping buffers, flags, limits, special files.

use std::io::Write;

use tempfile::tempdir;
use wasi::types::{fdflag, oflag, right};
use wasi::{Errno, WasiCtxBuilder};

use crate::guest::*;

#[test]
fn more_buffers_than_one_call_takes_are_a_short_count() {
    let dir = tempdir().unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let fd = guest.create("f").unwrap();
    let content: Vec<u8> = (0..2000u32).map(|n| n as u8).collect();
    guest.put(DATA, &content);
    let list: Vec<_> = (0..2000).map(|n| (DATA + n, 1)).collect();
    guest.iovecs(&list);
    guest.call(|ctx, mem| ctx.fd_write(mem, fd, IOVECS, 2000, OUT)).unwrap();
    assert_eq!(guest.u32(OUT), 1024);
    guest.call(|ctx, mem| ctx.fd_write(mem, fd, IOVECS + 1024 * 8, 976, OUT)).unwrap();
    assert_eq!(guest.u32(OUT), 976);
    assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), content);
    // A run of empty buffers before the first full one is no end of file.
    let list: Vec<_> = (0..1500).map(|n| (DATA, u32::from(n == 1499))).collect();
    guest.iovecs(&list);
    guest.call(|ctx, mem| ctx.fd_pread(mem, fd, IOVECS, 1500, 7, OUT)).unwrap();
    assert_eq!((guest.u32(OUT), guest.memory[DATA as usize]), (1, 7));
}

#[test]
fn overlapping_buffers_are_filled_in_turn() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "abcdefgh").unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let fd = guest.open("f", 0, right::FD_READ).unwrap();
    guest.iovecs(&[(DATA, 4), (DATA + 2, 4)]);
    guest.call(|ctx, mem| ctx.fd_read(mem, fd, IOVECS, 2, OUT)).unwrap();
    assert_eq!((guest.u32(OUT), guest.bytes(DATA, 6)), (8, &b"abefgh"[..]));
    guest.call(|ctx, mem| ctx.fd_pread(mem, fd, IOVECS, 2, 3, OUT)).unwrap();
    assert_eq!((guest.u32(OUT), guest.bytes(DATA, 6)), (5, &b"dehggh"[..]));
}

#[test]
fn descriptors_are_limited_and_the_lowest_is_reused() {
    let dir = tempdir().unwrap();
    let mut builder = WasiCtxBuilder::new();
    builder.max_fds(6).preopened_dir(dir.path(), "/", false).unwrap();
    let mut guest = Guest::new(builder.build().unwrap());
    assert_eq!([guest.create("a"), guest.create("b"), guest.create("c")], [Ok(4), Ok(5), Err(Errno::Mfile)]);
    assert!(!dir.path().join("c").exists(), "a refused open must not create");
    guest.close(1).unwrap();
    guest.close(4).unwrap();
    assert_eq!([guest.create("c"), guest.create("d"), guest.create("e")], [Ok(1), Ok(4), Err(Errno::Mfile)]);
    assert_eq!(guest.close(9), Err(Errno::Badf));
}

#[test]
fn a_narrowed_directory_hands_narrowed_rights_on() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "abc").unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let (_, _, base, inheriting) = guest.fdstat(ROOT).unwrap();
    guest.call(|ctx, mem| ctx.fd_fdstat_set_rights(mem, ROOT, base, inheriting & !right::FD_READ)).unwrap();
    assert_eq!(guest.open("f", 0, right::FD_READ), Err(Errno::NotCapable));
    let fd = guest.open("f", 0, 0).unwrap();
    assert_eq!(guest.read(fd, 1), Err(Errno::Badf));
    let again = guest.call(|ctx, mem| ctx.fd_fdstat_set_rights(mem, ROOT, base, inheriting));
    assert_eq!(again, Err(Errno::NotCapable));
    let narrow = base & !right::PATH_FILESTAT_SET_SIZE;
    guest.call(|ctx, mem| ctx.fd_fdstat_set_rights(mem, ROOT, narrow, inheriting & !right::FD_READ)).unwrap();
    assert_eq!(guest.open("f", oflag::TRUNC, 0), Err(Errno::NotCapable));
    assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), b"abc");
}

#[test]
fn whoever_names_rights_gets_exactly_those() {
    let dir = tempdir().unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let base = right::FD_READ | right::FD_FILESTAT_GET | right::PATH_OPEN;
    let fd = guest.open("f", oflag::CREAT, base).unwrap();
    let applies = right::FD_READ | right::FD_FILESTAT_GET;
    assert_eq!(guest.fdstat(fd), Ok((4, 0, applies, 0)));
    let fd = guest.open_with(".", 0, oflag::DIRECTORY, right::PATH_OPEN, right::FD_READ, 0).unwrap();
    assert_eq!(guest.fdstat(fd), Ok((3, 0, right::PATH_OPEN, right::FD_READ)));
    // No right named: all that applies, but no access to data.
    let fd = guest.open("f", 0, 0).unwrap();
    let (_, _, base, _) = guest.fdstat(fd).unwrap();
    assert_eq!(base & (RW | right::FD_ALLOCATE | right::FD_FILESTAT_SET_SIZE), 0);
    assert_ne!(base & right::FD_SEEK, 0);
}

#[test]
fn sizes_and_offsets_beyond_the_host_are_refused() {
    let dir = tempdir().unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let fd = guest.create("f").unwrap();
    guest.iovecs(&[(DATA, 1)]);
    let big = u64::MAX;
    assert_eq!(guest.call(|ctx, mem| ctx.fd_filestat_set_size(mem, fd, big)), Err(Errno::Fbig));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_allocate(mem, fd, big, 2)), Err(Errno::Fbig));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_allocate(mem, fd, 0, 0)), Err(Errno::Inval));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_advise(mem, fd, big, 0, 0)), Err(Errno::Inval));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_pread(mem, fd, IOVECS, 1, big, OUT)), Err(Errno::Inval));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_pwrite(mem, fd, IOVECS, 1, big, OUT)), Err(Errno::Inval));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_seek(mem, fd, big, 0, OUT)), Err(Errno::Inval));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_seek(mem, fd, big, 1, OUT)), Err(Errno::Inval));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_filestat_set_times(mem, fd, 0, 0, 16)), Err(Errno::Inval));
}

#[test]
fn append_mode_is_told_and_can_be_left() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "abc").unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let flags = fdflag::APPEND | fdflag::SYNC;
    let fd = guest.open_with("f", FOLLOW, 0, RW, 0, flags).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().1, flags);
    guest.write(fd, b"d").unwrap();
    assert_eq!(guest.call(|ctx, mem| ctx.fd_fdstat_set_flags(mem, fd, 0)), Err(Errno::Inval), "SYNC is fixed");
    guest.call(|ctx, mem| ctx.fd_fdstat_set_flags(mem, fd, fdflag::SYNC.into())).unwrap();
    guest.call(|ctx, mem| ctx.fd_seek(mem, fd, 0, 0, OUT)).unwrap();
    guest.write(fd, b"A").unwrap();
    assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), b"Abcd");
    assert_eq!(guest.call(|ctx, mem| ctx.fd_fdstat_set_flags(mem, fd, 1 << 5)), Err(Errno::Inval));
}

#[test]
fn a_fifo_can_be_read_without_blocking() {
    use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
    let dir = tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let fd = guest.open_with("fifo", 0, 0, right::FD_READ, 0, fdflag::NONBLOCK).unwrap();
    assert_eq!(guest.read(fd, 4), Ok(vec![]), "no writer yet");
    let mut writer = std::fs::File::from(open(&fifo, OFlags::WRONLY, Mode::empty()).unwrap());
    assert_eq!(guest.read(fd, 4), Err(Errno::Again));
    writer.write_all(b"data").unwrap();
    assert_eq!(guest.read(fd, 8), Ok(b"data".to_vec()));
    let (filetype, flags, base, _) = guest.fdstat(fd).unwrap();
    assert_eq!((filetype, flags, base & right::FD_SEEK), (0, fdflag::NONBLOCK, 0));
}

#[test]
fn a_removed_file_stays_readable() {
    let dir = tempdir().unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let fd = guest.create("f").unwrap();
    guest.write(fd, b"kept").unwrap();
    guest.path("f", |ctx, mem, at, len| ctx.path_unlink_file(mem, ROOT, at, len)).unwrap();
    guest.call(|ctx, mem| ctx.fd_seek(mem, fd, 0, 0, OUT)).unwrap();
    assert_eq!(guest.read(fd, 9), Ok(b"kept".to_vec()));
    guest.call(|ctx, mem| ctx.fd_filestat_get(mem, fd, OUT)).unwrap();
    assert_eq!(guest.u64(OUT + 24), 0, "no name is left");
}
