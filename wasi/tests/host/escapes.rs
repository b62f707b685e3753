//! Ways out of a directory, and that none of them leads there: upward and absolute paths, links made by the host,
//! directories swapped for links in the middle of things.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::{TempDir, tempdir};
use wasi::Errno;
use wasi::types::{fstflag, oflag, right};

use crate::guest::*;

/// A directory `in` for the guest beside a directory `out` with a secret.
fn scene() -> (TempDir, Guest) {
    let temp = tempdir().unwrap();
    std::fs::create_dir_all(temp.path().join("in/dir")).unwrap();
    std::fs::create_dir(temp.path().join("out")).unwrap();
    std::fs::write(temp.path().join("out/secret"), "secret").unwrap();
    std::fs::write(temp.path().join("in/dir/file"), "inside").unwrap();
    let guest = Guest::in_dir(&temp.path().join("in"));
    (temp, guest)
}

/// Every function on paths with the same path; all must fail, and none may say or change anything outside.
fn assert_all_refuse(guest: &mut Guest, path: &str, expected: &[Errno]) {
    let mut results = Vec::new();
    for lookup in [0, FOLLOW] {
        for (oflags, base) in [(0, right::FD_READ), (oflag::CREAT, RW), (oflag::TRUNC, 0), (oflag::DIRECTORY, 0)] {
            results.push(("path_open", guest.open_with(path, lookup, oflags, base, 0, 0).map(drop)));
        }
        results.push(("path_filestat_get", guest.stat(path, lookup)));
        let times = guest.path(path, |ctx, mem, at, len| {
            ctx.path_filestat_set_times(mem, ROOT, lookup, at, len, 0, 1, fstflag::MTIM.into())
        });
        results.push(("path_filestat_set_times", times));
    }
    results.push(("create", guest.path(path, |ctx, mem, at, len| ctx.path_create_directory(mem, ROOT, at, len))));
    results.push(("rmdir", guest.path(path, |ctx, mem, at, len| ctx.path_remove_directory(mem, ROOT, at, len))));
    results.push(("unlink", guest.path(path, |ctx, mem, at, len| ctx.path_unlink_file(mem, ROOT, at, len))));
    results.push((
        "readlink",
        guest.path(path, |ctx, mem, at, len| ctx.path_readlink(mem, ROOT, at, len, DATA, 100, OUT)),
    ));
    for (old, new) in [(path, "dir/new"), ("dir/file", path)] {
        results.push((
            "link",
            guest.paths(old, new, |ctx, mem, old, new| ctx.path_link(mem, ROOT, 0, old.0, old.1, ROOT, new.0, new.1)),
        ));
        results.push((
            "rename",
            guest.paths(old, new, |ctx, mem, old, new| ctx.path_rename(mem, ROOT, old.0, old.1, ROOT, new.0, new.1)),
        ));
    }
    results.push((
        "symlink",
        guest.paths("x", path, |ctx, mem, target, new| ctx.path_symlink(mem, target.0, target.1, ROOT, new.0, new.1)),
    ));
    for (function, result) in results {
        let errno = result.expect_err(&format!("{function} on {path:?}"));
        assert!(expected.contains(&errno), "{function} on {path:?}: {errno:?}");
    }
}

fn assert_untouched(temp: &Path) {
    assert_eq!(std::fs::read(temp.join("out/secret")).unwrap(), b"secret");
    assert_eq!(std::fs::read_dir(temp.join("out")).unwrap().count(), 1);
    assert_eq!(std::fs::read_dir(temp).unwrap().count(), 2);
    assert_eq!(std::fs::read(temp.join("in/dir/file")).unwrap(), b"inside");
    let mtime = std::fs::metadata(temp.join("out/secret")).unwrap().modified().unwrap();
    assert!(mtime.elapsed().unwrap_or_default() < Duration::from_secs(3600));
}

#[test]
fn upward_and_absolute_paths_are_refused() {
    let (temp, mut guest) = scene();
    let absolute = temp.path().join("out/secret");
    for path in [
        "../out/secret",
        "..",
        "../",
        "dir/../../out/secret",
        "./.././out/new",
        "dir/../..",
        absolute.to_str().unwrap(),
        "/",
    ] {
        assert_all_refuse(&mut guest, path, &[Errno::Perm]);
    }
    assert_untouched(temp.path());
}

#[test]
fn links_that_lead_out_are_refused_on_the_way() {
    let (temp, mut guest) = scene();
    symlink(temp.path().join("out"), temp.path().join("in/absolute")).unwrap();
    symlink("../out", temp.path().join("in/relative")).unwrap();
    symlink("dir/../../out", temp.path().join("in/winding")).unwrap();
    symlink("relative", temp.path().join("in/twice")).unwrap();
    for link in ["absolute", "relative", "winding", "twice"] {
        assert_all_refuse(&mut guest, &format!("{link}/secret"), &[Errno::Perm]);
        assert_all_refuse(&mut guest, &format!("{link}/new"), &[Errno::Perm]);
        assert_all_refuse(&mut guest, &format!("{link}/."), &[Errno::Perm]);
    }
    assert_untouched(temp.path());
}

#[test]
fn links_that_lead_out_are_refused_at_the_end() {
    let (temp, mut guest) = scene();
    symlink(temp.path().join("out/secret"), temp.path().join("in/absolute")).unwrap();
    symlink("../out/secret", temp.path().join("in/relative")).unwrap();
    symlink("../out/new", temp.path().join("in/dangling")).unwrap();
    for link in ["absolute", "relative", "dangling"] {
        for (lookup, expected) in [(0, Errno::Loop), (FOLLOW, Errno::Perm)] {
            for (oflags, base) in [(0, right::FD_READ), (oflag::CREAT, RW), (oflag::TRUNC, 0)] {
                assert_eq!(guest.open_with(link, lookup, oflags, base, 0, 0), Err(expected), "{link}");
            }
        }
        assert_eq!(guest.open_with(link, 0, oflag::CREAT | oflag::EXCL, RW, 0, 0), Err(Errno::Exist));
        assert_eq!(guest.stat(link, FOLLOW), Err(Errno::Perm));
        // The link itself is the guest's to look at, move and remove.
        guest.stat(link, 0).unwrap();
        assert_eq!(guest.memory[OUT as usize + 16], 7);
        let times = guest.path(link, |ctx, mem, at, len| {
            ctx.path_filestat_set_times(mem, ROOT, FOLLOW, at, len, 0, 1, fstflag::MTIM.into())
        });
        assert_eq!(times, Err(Errno::Perm));
        let slash = format!("{link}/");
        assert_eq!(guest.stat(&slash, 0), Err(Errno::Perm));
        assert_eq!(guest.open_with(&slash, 0, 0, 0, 0, 0), Err(Errno::Perm));
        guest.path(link, |ctx, mem, at, len| ctx.path_unlink_file(mem, ROOT, at, len)).unwrap();
    }
    assert_untouched(temp.path());
}

#[test]
fn where_absolute_links_point_is_not_told() {
    let (temp, mut guest) = scene();
    symlink(temp.path().join("out"), temp.path().join("in/absolute")).unwrap();
    let read = guest.path("absolute", |ctx, mem, at, len| ctx.path_readlink(mem, ROOT, at, len, DATA, 100, OUT));
    assert_eq!(read, Err(Errno::Perm));
    assert_eq!(guest.bytes(DATA, 4), [0; 4]);
    let make = guest
        .paths("/etc", "made", |ctx, mem, target, new| ctx.path_symlink(mem, target.0, target.1, ROOT, new.0, new.1));
    assert_eq!(make, Err(Errno::Perm));
}

#[test]
fn an_opened_directory_is_a_root_of_its_own() {
    let (temp, mut guest) = scene();
    std::fs::write(temp.path().join("in/above"), "x").unwrap();
    let fd = guest.open("dir", oflag::DIRECTORY, 0).unwrap();
    let up = guest.path("../above", |ctx, mem, at, len| ctx.path_open(mem, fd, 0, at, len, 0, 0, 0, 0, OUT));
    assert_eq!(up, Err(Errno::Perm));
}

/// Swaps `in/swap` between a directory and a link to `out` as fast as it can while `attempt` runs against it.
fn race(temp: &Path, mut attempt: impl FnMut()) {
    let done = AtomicBool::new(false);
    let (real, link, swap) = (temp.join("in/real"), temp.join("in/link"), temp.join("in/swap"));
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("secret"), "harmless").unwrap();
    symlink("../out", &link).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for kind in [&real, &link] {
                    std::fs::rename(kind, &swap).unwrap();
                    std::hint::spin_loop();
                    std::fs::rename(&swap, kind).unwrap();
                }
            }
        });
        let until = Instant::now() + Duration::from_millis(400);
        while Instant::now() < until {
            attempt();
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn swapping_a_directory_for_a_link_does_not_help_reading() {
    let (temp, mut guest) = scene();
    let mut reads = 0u32;
    race(temp.path(), || {
        for lookup in [0, FOLLOW] {
            if let Ok(fd) = guest.open_with("swap/secret", lookup, 0, right::FD_READ, 0, 0) {
                assert_eq!(guest.read(fd, 100), Ok(b"harmless".to_vec()));
                guest.close(fd).unwrap();
                reads += 1;
            }
            if let Ok(()) = guest.stat("swap/secret", lookup) {
                assert_eq!(guest.u64(OUT + 32), 8, "the size of what lies inside");
            }
        }
    });
    assert!(reads > 0, "the race never let an open through");
    assert_untouched_out(temp.path());
}

#[test]
fn swapping_a_directory_for_a_link_does_not_help_changing() {
    let (temp, mut guest) = scene();
    race(temp.path(), || {
        if let Ok(fd) = guest.open_with("swap/made", FOLLOW, oflag::CREAT, RW, 0, 0) {
            guest.close(fd).unwrap();
        }
        let _ = guest.path("swap/made", |ctx, mem, at, len| ctx.path_unlink_file(mem, ROOT, at, len));
        let _ = guest.path("swap/sub", |ctx, mem, at, len| ctx.path_create_directory(mem, ROOT, at, len));
        let _ = guest.path("swap/sub", |ctx, mem, at, len| ctx.path_remove_directory(mem, ROOT, at, len));
        let _ = guest.paths("dir/file", "swap/moved", |ctx, mem, old, new| {
            ctx.path_rename(mem, ROOT, old.0, old.1, ROOT, new.0, new.1)
        });
        let _ = guest.paths("swap/moved", "dir/file", |ctx, mem, old, new| {
            ctx.path_rename(mem, ROOT, old.0, old.1, ROOT, new.0, new.1)
        });
        let _ = guest.open_with("swap/secret", 0, oflag::TRUNC, 0, 0, 0).map(|fd| guest.close(fd));
    });
    assert_untouched_out(temp.path());
}

fn assert_untouched_out(temp: &Path) {
    assert_eq!(std::fs::read(temp.join("out/secret")).unwrap(), b"secret");
    assert_eq!(std::fs::read_dir(temp.join("out")).unwrap().count(), 1);
}
