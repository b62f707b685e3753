//! A read-only directory: everything can be read, nothing changed, whatever the rights say.

use tempfile::tempdir;
use wasi::types::{fstflag, oflag, right};
use wasi::{Errno, WasiCtxBuilder};

use crate::guest::*;

#[test]
fn nothing_can_be_changed() {
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::write(dir.path().join("d/f"), "text").unwrap();
    std::os::unix::fs::symlink("d/f", dir.path().join("l")).unwrap();
    let mut guest = Guest::new(WasiCtxBuilder::new().preopened_dir(dir.path(), "/", true).unwrap().build().unwrap());
    let mtim = u32::from(fstflag::MTIM);

    for (oflags, base) in
        [(0, RW), (0, right::FD_WRITE), (oflag::CREAT, 0), (oflag::TRUNC, 0), (oflag::CREAT | oflag::EXCL, 0)]
    {
        assert_eq!(guest.open("d/f", oflags, base), Err(Errno::Perm));
        assert_eq!(guest.open("new", oflags, base), Err(Errno::Perm));
    }
    let one: [(&str, Result<()>); 5] = [
        ("mkdir", guest.path("new", |ctx, mem, at, len| ctx.path_create_directory(mem, ROOT, at, len))),
        ("rmdir", guest.path("d", |ctx, mem, at, len| ctx.path_remove_directory(mem, ROOT, at, len))),
        ("unlink", guest.path("l", |ctx, mem, at, len| ctx.path_unlink_file(mem, ROOT, at, len))),
        ("times", guest.path("l", |ctx, mem, at, len| ctx.path_filestat_set_times(mem, ROOT, 0, at, len, 0, 1, mtim))),
        (
            "symlink",
            guest.paths("x", "new", |ctx, mem, target, new| {
                ctx.path_symlink(mem, target.0, target.1, ROOT, new.0, new.1)
            }),
        ),
    ];
    for (what, result) in one {
        assert_eq!(result, Err(Errno::Perm), "{what}");
    }
    let rename =
        guest.paths("l", "m", |ctx, mem, old, new| ctx.path_rename(mem, ROOT, old.0, old.1, ROOT, new.0, new.1));
    assert_eq!(rename, Err(Errno::Perm));
    let link =
        guest.paths("l", "m", |ctx, mem, old, new| ctx.path_link(mem, ROOT, 0, old.0, old.1, ROOT, new.0, new.1));
    assert_eq!(link, Err(Errno::Perm));

    // What is opened below stays read-only.
    let sub = guest.open("d", oflag::DIRECTORY, 0).unwrap();
    let create =
        guest.path("new", |ctx, mem, at, len| ctx.path_open(mem, sub, 0, at, len, oflag::CREAT.into(), 0, 0, 0, OUT));
    assert_eq!(create, Err(Errno::Perm));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_filestat_set_times(mem, sub, 0, 1, mtim)), Err(Errno::Perm));
    let fd = guest.open_with("l", FOLLOW, 0, right::FD_READ, 0, 0).unwrap();
    assert_eq!(guest.read(fd, 9), Ok(b"text".to_vec()));
    assert_eq!(guest.write(fd, b"x"), Err(Errno::Badf));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_filestat_set_size(mem, fd, 0)), Err(Errno::Perm));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_filestat_set_times(mem, fd, 0, 1, mtim)), Err(Errno::Perm));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_allocate(mem, fd, 0, 100)), Err(Errno::Perm));

    guest.stat("d/f", 0).unwrap();
    assert_eq!(guest.u64(OUT + 32), 4);
    guest.path("l", |ctx, mem, at, len| ctx.path_readlink(mem, ROOT, at, len, DATA, 9, OUT)).unwrap();
    guest.call(|ctx, mem| ctx.fd_readdir(mem, sub, DATA, 200, 0, OUT)).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    assert_eq!(std::fs::read(dir.path().join("d/f")).unwrap(), b"text");
}

#[test]
fn moving_from_a_writable_to_a_read_only_directory_is_refused_both_ways() {
    let (open, locked) = (tempdir().unwrap(), tempdir().unwrap());
    std::fs::write(open.path().join("a"), "a").unwrap();
    std::fs::write(locked.path().join("b"), "b").unwrap();
    let mut builder = WasiCtxBuilder::new();
    builder.preopened_dir(open.path(), "/open", false).unwrap();
    builder.preopened_dir(locked.path(), "/locked", true).unwrap();
    let mut guest = Guest::new(builder.build().unwrap());
    for (old_fd, old, new_fd, new) in [(3, "a", 4, "x"), (4, "b", 3, "x")] {
        let rename = guest
            .paths(old, new, |ctx, mem, old, new| ctx.path_rename(mem, old_fd, old.0, old.1, new_fd, new.0, new.1));
        assert_eq!(rename, Err(Errno::Perm));
        let link = guest
            .paths(old, new, |ctx, mem, old, new| ctx.path_link(mem, old_fd, 0, old.0, old.1, new_fd, new.0, new.1));
        assert_eq!(link, Err(Errno::Perm));
    }
}
