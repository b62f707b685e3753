//! Listings: cookies, cut entries, changes in between, names that are not UTF-8; and the ends of paths.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use tempfile::tempdir;
use wasi::Errno;
use wasi::types::oflag;

use crate::guest::*;

struct Entry {
    next: u64,
    kind: u8,
    name: Vec<u8>,
}

/// One call; the whole entries, and whether the buffer was full.
fn readdir(guest: &mut Guest, fd: u32, len: u32, cookie: u64) -> Result<(Vec<Entry>, bool)> {
    guest.call(|ctx, mem| ctx.fd_readdir(mem, fd, DATA, len, cookie, OUT))?;
    let used = guest.u32(OUT);
    assert!(used <= len);
    let mut entries = Vec::new();
    let mut at = DATA;
    while DATA + used - at >= 24 {
        let name_len = guest.u32(at + 16);
        if DATA + used - at - 24 < name_len {
            break;
        }
        entries.push(Entry {
            next: guest.u64(at),
            kind: guest.memory[at as usize + 20],
            name: guest.bytes(at + 24, name_len as usize).to_vec(),
        });
        at += 24 + name_len;
    }
    Ok((entries, used == len))
}

fn list(guest: &mut Guest, fd: u32, len: u32, mut cookie: u64) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    loop {
        let (entries, full) = readdir(guest, fd, len, cookie).unwrap();
        if let Some(last) = entries.last() {
            cookie = last.next;
        }
        assert!(!full || !entries.is_empty(), "no progress");
        names.extend(entries.into_iter().map(|entry| entry.name));
        if !full {
            return names;
        }
    }
}

#[test]
fn every_buffer_size_lists_every_entry_once() {
    let dir = tempdir().unwrap();
    let mut expected: BTreeSet<Vec<u8>> = [b".".to_vec(), b"..".to_vec()].into();
    for n in 0..150 {
        let name = format!("{n}{}", "x".repeat(n % 40));
        std::fs::write(dir.path().join(&name), "").unwrap();
        expected.insert(name.into_bytes());
    }
    let mut guest = Guest::in_dir(dir.path());
    for len in [70, 71, 97, 128, 1000, 65536] {
        let names = list(&mut guest, ROOT, len, 0);
        assert_eq!(&names[..2], [b".".to_vec(), b"..".to_vec()], "the dots come first");
        assert_eq!(names.len(), expected.len(), "buffer of {len}");
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

#[test]
fn every_cookie_is_a_place_to_go_on_from() {
    let dir = tempdir().unwrap();
    for n in 0..40 {
        std::fs::write(dir.path().join(n.to_string()), "").unwrap();
    }
    let mut guest = Guest::in_dir(dir.path());
    let (entries, full) = readdir(&mut guest, ROOT, 65536, 0).unwrap();
    assert!(!full);
    let all: Vec<_> = entries.iter().map(|entry| entry.name.clone()).collect();
    // In any order, and on another descriptor.
    let other = guest.open(".", oflag::DIRECTORY, 0).unwrap();
    for (index, entry) in entries.iter().enumerate().rev() {
        assert_eq!(list(&mut guest, other, 200, entry.next), all[index + 1..]);
    }
    assert_eq!(readdir(&mut guest, ROOT, 100, u64::MAX).err(), Some(Errno::Inval));
}

#[test]
fn cookies_fit_a_long_of_32_bits_and_stay() {
    let temp = tempdir().unwrap();
    (0..300).for_each(|i| std::fs::write(temp.path().join(format!("file {i}")), "").unwrap());
    let mut guest = Guest::in_dir(temp.path());
    let (first, _) = readdir(&mut guest, ROOT, 65536, 0).unwrap();
    assert!(first.iter().all(|entry| entry.next <= i32::MAX as u64));
    let (again, _) = readdir(&mut guest, ROOT, 65536, 0).unwrap();
    assert!(first.iter().zip(&again).all(|(a, b)| a.next == b.next));
}

#[test]
fn entries_removed_on_the_way_skip_no_others() {
    let dir = tempdir().unwrap();
    for n in 0..200 {
        std::fs::write(dir.path().join(n.to_string()), "").unwrap();
    }
    let mut guest = Guest::in_dir(dir.path());
    let mut cookie = 0;
    let mut seen = BTreeSet::new();
    loop {
        let (entries, full) = readdir(&mut guest, ROOT, 200, cookie).unwrap();
        for entry in &entries {
            if entry.kind == 4 {
                let name = std::str::from_utf8(&entry.name).unwrap();
                guest.path(name, |ctx, mem, at, len| ctx.path_unlink_file(mem, ROOT, at, len)).unwrap();
                assert!(seen.insert(entry.name.clone()));
            }
            cookie = entry.next;
        }
        if !full {
            break;
        }
    }
    assert_eq!(seen.len(), 200);
    assert_eq!(list(&mut guest, ROOT, 100, 0).len(), 2);
}

#[test]
fn buffers_are_filled_to_the_last_byte() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("name"), "").unwrap();
    let mut guest = Guest::in_dir(dir.path());
    for len in 0..(25 + 26 + 28) {
        guest.memory[DATA as usize..][..200].fill(0xee);
        guest.call(|ctx, mem| ctx.fd_readdir(mem, ROOT, DATA, len, 0, OUT)).unwrap();
        assert_eq!(guest.u32(OUT), len);
        assert_eq!(guest.memory[(DATA + len) as usize], 0xee, "nothing beyond the buffer");
    }
    guest.call(|ctx, mem| ctx.fd_readdir(mem, ROOT, DATA, 200, 0, OUT)).unwrap();
    assert_eq!(guest.u32(OUT), 25 + 26 + 28);
}

#[test]
fn kinds_and_odd_names_are_told() {
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::os::unix::fs::symlink("d", dir.path().join("l")).unwrap();
    std::fs::write(dir.path().join(OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let (entries, _) = readdir(&mut guest, ROOT, 4096, 0).unwrap();
    let kinds: BTreeSet<_> = entries.into_iter().map(|entry| (entry.name, entry.kind)).collect();
    let expected: [(&[u8], u8); 6] = [(b".", 3), (b"..", 3), (b"d", 3), (b"l", 7), (b"s", 6), (b"\xff\xfe", 4)];
    assert_eq!(kinds, expected.into_iter().map(|(name, kind)| (name.to_vec(), kind)).collect());
}

#[test]
fn a_removed_directory_lists_as_empty() {
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    let mut guest = Guest::in_dir(dir.path());
    let fd = guest.open("d", oflag::DIRECTORY, 0).unwrap();
    guest.path("d", |ctx, mem, at, len| ctx.path_remove_directory(mem, ROOT, at, len)).unwrap();
    assert_eq!(list(&mut guest, fd, 100, 0), [b".".to_vec(), b"..".to_vec()]);
}

#[test]
fn dots_at_the_end_have_their_errno() {
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::write(dir.path().join("f"), "").unwrap();
    let mut guest = Guest::in_dir(dir.path());
    for (path, rmdir) in
        [(".", Errno::Inval), ("d/.", Errno::Inval), ("d/..", Errno::NotEmpty), ("d/../", Errno::NotEmpty)]
    {
        assert_eq!(
            guest.path(path, |ctx, mem, at, len| ctx.path_create_directory(mem, ROOT, at, len)),
            Err(Errno::Exist)
        );
        assert_eq!(guest.path(path, |ctx, mem, at, len| ctx.path_remove_directory(mem, ROOT, at, len)), Err(rmdir));
        assert_eq!(guest.path(path, |ctx, mem, at, len| ctx.path_unlink_file(mem, ROOT, at, len)), Err(Errno::IsDir));
        let rename = |guest: &mut Guest, old, new| {
            guest.paths(old, new, |ctx, mem, old, new| ctx.path_rename(mem, ROOT, old.0, old.1, ROOT, new.0, new.1))
        };
        assert_eq!(rename(&mut guest, path, "new"), Err(Errno::Busy));
        assert_eq!(rename(&mut guest, "d", path), Err(Errno::Busy));
        let link =
            guest.paths("f", path, |ctx, mem, old, new| ctx.path_link(mem, ROOT, 0, old.0, old.1, ROOT, new.0, new.1));
        assert_eq!(link, Err(Errno::Exist));
    }
    for path in ["none/.", "f/.", "f/..", "none/.."] {
        let expected = if path.starts_with('f') { Errno::NotDir } else { Errno::NoEnt };
        assert_eq!(
            guest.path(path, |ctx, mem, at, len| ctx.path_remove_directory(mem, ROOT, at, len)),
            Err(expected),
            "{path}"
        );
    }
}
