//! Places within a granted directory that the embedder keeps to itself, and processes: no path leads there, by whatever links, names
//! and moved directories, and no name on the way there can be made to lead elsewhere.

use std::fs;
use std::path::Path;

use tempfile::{TempDir, tempdir};
use wasi::types::{oflag, right};
use wasi::{BuildError, Errno, WasiCtxBuilder};

use crate::guest::*;

/// A directory with a cache that is there, a key's folder that is not, and a single file beside others.
fn scene() -> (TempDir, Guest) {
    let temp = tempdir().unwrap();
    fs::create_dir_all(temp.path().join("home/.cache/vm/code")).unwrap();
    fs::create_dir_all(temp.path().join("home/keys")).unwrap();
    fs::write(temp.path().join("home/.cache/vm/code/entry"), "code").unwrap();
    fs::write(temp.path().join("home/keys/key"), "secret").unwrap();
    fs::write(temp.path().join("home/keys/other"), "other").unwrap();
    let guest = given(temp.path(), "home").unwrap();
    (temp, guest)
}

fn given(temp: &Path, dir: &str) -> std::result::Result<Guest, BuildError> {
    let mut builder = WasiCtxBuilder::new();
    builder.preopened_dir(temp.join(dir), "/", false)?;
    builder.private_dir(temp.join("home/.cache/vm")).private_dir(temp.join("home/.local/share/vm"));
    builder.private_file(temp.join("home/keys/key")).private_file(temp.join("home/keys/later"));
    builder.build().map(Guest::new)
}

fn symlink(guest: &mut Guest, target: &str, path: &str) -> Result<()> {
    guest.paths(target, path, |ctx, mem, old, new| ctx.path_symlink(mem, old.0, old.1, ROOT, new.0, new.1))
}

fn rename(guest: &mut Guest, old: &str, new: &str) -> Result<()> {
    guest.paths(old, new, |ctx, mem, old, new| ctx.path_rename(mem, ROOT, old.0, old.1, ROOT, new.0, new.1))
}

fn link(guest: &mut Guest, old: &str, new: &str) -> Result<()> {
    guest.paths(old, new, |ctx, mem, old, new| ctx.path_link(mem, ROOT, 0, old.0, old.1, ROOT, new.0, new.1))
}

/// Tries to open and to make something, and to see what is there.
fn assert_closed(guest: &mut Guest, path: &str) {
    for lookup in [0, FOLLOW] {
        for (oflags, base) in [(0, right::FD_READ), (oflag::DIRECTORY, 0), (oflag::CREAT, RW), (oflag::TRUNC, RW)] {
            let opened = guest.open_with(path, lookup, oflags, base, 0, 0);
            // What is looked at as a link is not followed.
            let expected = matches!(opened, Err(Errno::Acces))
                || lookup == 0 && matches!(opened, Err(Errno::Loop | Errno::NotDir));
            assert!(expected, "{path}, follow {lookup}, {oflags}: {opened:?}");
        }
    }
    assert_eq!(guest.stat(path, FOLLOW), Err(Errno::Acces), "{path}");
}

#[test]
fn no_path_leads_into_a_private_place() {
    let (temp, mut guest) = scene();
    for path in [
        ".cache/vm",
        ".cache/vm/",
        ".cache/vm/.",
        ".cache/vm/code",
        ".cache/vm/code/entry",
        ".cache/vm/code/new",
        ".cache/./vm/code/../code",
        ".local/share/vm",
        ".local/share/vm/key",
        "keys/key",
        "keys/later",
        "keys/../keys/key",
    ] {
        for (oflags, base) in [(0, right::FD_READ), (oflag::CREAT, RW), (oflag::TRUNC, RW), (oflag::DIRECTORY, 0)] {
            let opened = guest.open(path, oflags, base);
            // A file cannot have a slash behind it anywhere.
            let expected = opened == Err(Errno::Acces) || path.ends_with(['/', '.']) && opened == Err(Errno::IsDir);
            assert!(expected, "{path} {oflags}: {opened:?}");
        }
    }
    symlink(&mut guest, ".cache/vm", "whole").unwrap();
    symlink(&mut guest, "whole/code", "twice").unwrap();
    symlink(&mut guest, "keys/key", "single").unwrap();
    symlink(&mut guest, "keys/later", "dangling").unwrap();
    symlink(&mut guest, "../single", "keys/around").unwrap();
    for path in ["whole", "twice", "whole/code/entry", "twice/entry", "twice/new", "single", "dangling", "keys/around"]
    {
        assert_closed(&mut guest, path);
    }
    // What lies beside them is the guest's.
    guest.create(".cache/mine").unwrap();
    rename(&mut guest, ".cache/mine", ".cache/still-mine").unwrap();
    guest.open("keys/other", 0, right::FD_READ).unwrap();
    assert_eq!(fs::read(temp.path().join("home/keys/key")).unwrap(), b"secret");
    assert_eq!(fs::read_dir(temp.path().join("home/.cache/vm/code")).unwrap().count(), 1);
}

#[test]
fn nothing_takes_the_place_of_a_private_place() {
    let (temp, mut guest) = scene();
    guest.path("empty", |ctx, mem, at, len| ctx.path_create_directory(mem, ROOT, at, len)).unwrap();
    guest.create("file").unwrap();
    // The way that was missing was made before the guest could.
    assert!(temp.path().join("home/.local/share/vm").is_dir());
    for path in [".cache", ".cache/vm", ".local", ".local/share", ".local/share/vm", "keys", "keys/key"] {
        assert_eq!(rename(&mut guest, path, "elsewhere"), Err(Errno::Acces), "{path}");
        let removed = guest.path(path, |ctx, mem, at, len| ctx.path_remove_directory(mem, ROOT, at, len));
        assert_eq!(removed, Err(Errno::Acces), "{path}");
        let removed = guest.path(path, |ctx, mem, at, len| ctx.path_unlink_file(mem, ROOT, at, len));
        assert_eq!(removed, Err(Errno::Acces), "{path}");
        assert_eq!(rename(&mut guest, "empty", path), Err(Errno::Acces), "{path}");
    }
    for path in ["keys/key", "keys/later", ".local/share/vm/key", ".cache/vm/code/new"] {
        assert_eq!(rename(&mut guest, "file", path), Err(Errno::Acces), "{path}");
        assert_eq!(link(&mut guest, "file", path), Err(Errno::Acces), "{path}");
        assert_eq!(link(&mut guest, path, "another"), Err(Errno::Acces), "{path}");
        assert_eq!(symlink(&mut guest, "file", path), Err(Errno::Acces), "{path}");
    }
}

#[test]
fn descriptors_of_directories_on_the_way_lead_no_further() {
    let (_temp, mut guest) = scene();
    let fd = guest.open(".cache", oflag::DIRECTORY, 0).unwrap();
    for path in ["vm", "vm/code", "vm/code/entry", "../.cache/vm"] {
        let opened = guest.path(path, |ctx, mem, at, len| ctx.path_open(mem, fd, FOLLOW, at, len, 0, RW, 0, 0, OUT));
        assert!(matches!(opened, Err(Errno::Acces | Errno::Perm)), "{path}: {opened:?}");
    }
}

#[test]
fn a_link_on_the_way_cannot_be_changed_and_other_names_do_not_help() {
    let temp = tempdir().unwrap();
    fs::create_dir_all(temp.path().join("home")).unwrap();
    fs::create_dir_all(temp.path().join("big/cache/vm")).unwrap();
    std::os::unix::fs::symlink("../big/cache", temp.path().join("home/.cache")).unwrap();
    let mut guest = given(temp.path(), "home").unwrap();
    let removed = guest.path(".cache", |ctx, mem, at, len| ctx.path_unlink_file(mem, ROOT, at, len));
    assert_eq!(removed, Err(Errno::Acces));
    let mut guest = given(temp.path(), "big").unwrap();
    assert_eq!(guest.open("cache/vm", oflag::DIRECTORY, 0), Err(Errno::Acces));
    assert_eq!(rename(&mut guest, "cache", "gone"), Err(Errno::Acces));
}

#[test]
fn a_private_place_cannot_be_given() {
    let (temp, _) = scene();
    for dir in ["home/.cache/vm", "home/.cache/vm/code"] {
        assert!(matches!(given(temp.path(), dir).err(), Some(BuildError::Private { .. })), "{dir}");
    }
    // Where nothing private is, nothing is made.
    fs::create_dir(temp.path().join("apart")).unwrap();
    fs::remove_dir_all(temp.path().join("home/.local")).unwrap();
    given(temp.path(), "apart").unwrap();
    assert!(!temp.path().join("home/.local").exists());
}

#[test]
fn processes_are_not_shown() {
    for (dir, prefix) in [("/", "proc/"), ("/proc", "")] {
        let mut guest = Guest::in_dir(Path::new(dir));
        let own = std::process::id();
        for path in ["self/mem", "thread-self/mem", "self/fd", "self/root/etc", "self/environ", "self/task", "net/tcp"]
        {
            for (oflags, base) in [(0, right::FD_READ), (0, RW), (oflag::DIRECTORY, 0)] {
                let opened = guest.open_with(&format!("{prefix}{path}"), FOLLOW, oflags, base, 0, 0);
                assert!(opened.is_err(), "{dir} {path}: {opened:?}");
            }
        }
        assert_eq!(guest.open(&format!("{prefix}{own}/mem"), 0, RW), Err(Errno::Acces));
        assert_eq!(guest.open(&format!("{prefix}{own}"), oflag::DIRECTORY, 0), Err(Errno::Acces));
        guest.open(&format!("{prefix}cpuinfo"), 0, right::FD_READ).unwrap();
    }
}
