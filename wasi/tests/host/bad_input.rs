//! Arguments that make no sense: descriptors nobody has, addresses outside of memory, random numbers everywhere.
//! Invariant: an errno comes back, nothing panics, and nothing is lost or changed by a call that fails.

use tempfile::tempdir;
use wasi::types::{oflag, right};
use wasi::{Errno, GuestMemory, WasiCtx, WasiCtxBuilder};

use crate::guest::*;

type Call = fn(&mut WasiCtx, &mut GuestMemory<'_>, &[u64; 9]) -> Result<()>;

/// Every function with its arguments taken from a list; those that may wait for ever are left out.
const CALLS: &[(&str, Call)] = &[
    ("args_get", |c, m, a| c.args_get(m, a[0] as u32, a[1] as u32)),
    ("args_sizes_get", |c, m, a| c.args_sizes_get(m, a[0] as u32, a[1] as u32)),
    ("environ_get", |c, m, a| c.environ_get(m, a[0] as u32, a[1] as u32)),
    ("environ_sizes_get", |c, m, a| c.environ_sizes_get(m, a[0] as u32, a[1] as u32)),
    ("clock_res_get", |c, m, a| c.clock_res_get(m, a[0] as u32, a[1] as u32)),
    ("clock_time_get", |c, m, a| c.clock_time_get(m, a[0] as u32, a[1], a[2] as u32)),
    ("random_get", |c, m, a| c.random_get(m, a[0] as u32, a[1] as u32)),
    ("proc_raise", |c, m, a| c.proc_raise(m, a[0] as u32)),
    ("sched_yield", |c, m, _| c.sched_yield(m)),
    ("fd_advise", |c, m, a| c.fd_advise(m, a[0] as u32, a[1], a[2], a[3] as u32)),
    // At most a megabyte, so that no disk fills up.
    ("fd_allocate", |c, m, a| c.fd_allocate(m, a[0] as u32, a[1] & !0xffff_fff0_0000, a[2] & !0xffff_fff0_0000)),
    ("fd_close", |c, m, a| c.fd_close(m, a[0] as u32)),
    ("fd_datasync", |c, m, a| c.fd_datasync(m, a[0] as u32)),
    ("fd_fdstat_get", |c, m, a| c.fd_fdstat_get(m, a[0] as u32, a[1] as u32)),
    ("fd_fdstat_set_flags", |c, m, a| c.fd_fdstat_set_flags(m, a[0] as u32, a[1] as u32)),
    ("fd_fdstat_set_rights", |c, m, a| c.fd_fdstat_set_rights(m, a[0] as u32, a[1], a[2])),
    ("fd_filestat_get", |c, m, a| c.fd_filestat_get(m, a[0] as u32, a[1] as u32)),
    ("fd_filestat_get", |c, m, a| c.fd_filestat_get_unstable(m, a[0] as u32, a[1] as u32)),
    ("fd_filestat_set_size", |c, m, a| c.fd_filestat_set_size(m, a[0] as u32, a[1])),
    ("fd_filestat_set_times", |c, m, a| c.fd_filestat_set_times(m, a[0] as u32, a[1], a[2], a[3] as u32)),
    ("fd_pread", |c, m, a| c.fd_pread(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3], a[4] as u32)),
    ("fd_prestat_get", |c, m, a| c.fd_prestat_get(m, a[0] as u32, a[1] as u32)),
    ("fd_prestat_dir_name", |c, m, a| c.fd_prestat_dir_name(m, a[0] as u32, a[1] as u32, a[2] as u32)),
    ("fd_pwrite", |c, m, a| c.fd_pwrite(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3], a[4] as u32)),
    ("fd_read", |c, m, a| c.fd_read(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3] as u32)),
    ("fd_readdir", |c, m, a| c.fd_readdir(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3], a[4] as u32)),
    ("fd_renumber", |c, m, a| c.fd_renumber(m, a[0] as u32, a[1] as u32)),
    ("fd_seek", |c, m, a| c.fd_seek(m, a[0] as u32, a[1], a[2] as u32, a[3] as u32)),
    ("fd_seek", |c, m, a| c.fd_seek_unstable(m, a[0] as u32, a[1], a[2] as u32, a[3] as u32)),
    ("fd_sync", |c, m, a| c.fd_sync(m, a[0] as u32)),
    ("fd_tell", |c, m, a| c.fd_tell(m, a[0] as u32, a[1] as u32)),
    ("fd_write", |c, m, a| c.fd_write(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3] as u32)),
    ("path_create_directory", |c, m, a| c.path_create_directory(m, a[0] as u32, a[1] as u32, a[2] as u32)),
    ("path_filestat_get", |c, m, a| {
        c.path_filestat_get(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3] as u32, a[4] as u32)
    }),
    ("path_filestat_get", |c, m, a| {
        c.path_filestat_get_unstable(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3] as u32, a[4] as u32)
    }),
    ("path_filestat_set_times", |c, m, a| {
        c.path_filestat_set_times(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3] as u32, a[4], a[5], a[6] as u32)
    }),
    ("path_link", |c, m, a| {
        let [a0, a1, a2, a3, a4, a5, a6, ..] = a.map(|argument| argument as u32);
        c.path_link(m, a0, a1, a2, a3, a4, a5, a6)
    }),
    ("path_open", |c, m, a| {
        let [a0, a1, a2, a3, a4, _, _, a7, a8] = a.map(|argument| argument as u32);
        c.path_open(m, a0, a1, a2, a3, a4, a[5], a[6], a7, a8)
    }),
    ("path_readlink", |c, m, a| {
        c.path_readlink(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3] as u32, a[4] as u32, a[5] as u32)
    }),
    ("path_remove_directory", |c, m, a| c.path_remove_directory(m, a[0] as u32, a[1] as u32, a[2] as u32)),
    ("path_rename", |c, m, a| {
        c.path_rename(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3] as u32, a[4] as u32, a[5] as u32)
    }),
    ("path_symlink", |c, m, a| c.path_symlink(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3] as u32, a[4] as u32)),
    ("path_unlink_file", |c, m, a| c.path_unlink_file(m, a[0] as u32, a[1] as u32, a[2] as u32)),
    ("sock_accept", |c, m, a| c.sock_accept(m, a[0] as u32, a[1] as u32, a[2] as u32)),
    ("sock_recv", |c, m, a| {
        c.sock_recv(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3] as u32, a[4] as u32, a[5] as u32)
    }),
    ("sock_send", |c, m, a| c.sock_send(m, a[0] as u32, a[1] as u32, a[2] as u32, a[3] as u32, a[4] as u32)),
    ("sock_shutdown", |c, m, a| c.sock_shutdown(m, a[0] as u32, a[1] as u32)),
    ("sock_open", |c, m, a| {
        let [a0, a1, a2, ..] = a.map(|argument| argument as u32);
        c.sock_open(m, a0, a1, a2)
    }),
    ("sock_open_v2", |c, m, a| {
        let [a0, a1, a2, ..] = a.map(|argument| argument as u32);
        c.sock_open(m, a0, a1, a2)
    }),
    ("sock_bind", |c, m, a| {
        let [a0, a1, a2, ..] = a.map(|argument| argument as u32);
        c.sock_bind(m, a0, a1, a2)
    }),
    ("sock_bind_v2", |c, m, a| {
        let [a0, a1, a2, ..] = a.map(|argument| argument as u32);
        c.sock_bind_v2(m, a0, a1, a2)
    }),
    ("sock_listen", |c, m, a| {
        let [a0, a1, ..] = a.map(|argument| argument as u32);
        c.sock_listen(m, a0, a1)
    }),
    ("sock_listen_v2", |c, m, a| {
        let [a0, a1, ..] = a.map(|argument| argument as u32);
        c.sock_listen(m, a0, a1)
    }),
    ("sock_accept", |c, m, a| {
        let [a0, a1, ..] = a.map(|argument| argument as u32);
        c.sock_accept_v1(m, a0, a1)
    }),
    ("sock_accept_v2", |c, m, a| {
        let [a0, a1, a2, ..] = a.map(|argument| argument as u32);
        c.sock_accept(m, a0, a1, a2)
    }),
    ("sock_connect", |c, m, a| {
        let [a0, a1, a2, ..] = a.map(|argument| argument as u32);
        c.sock_connect(m, a0, a1, a2)
    }),
    ("sock_connect_v2", |c, m, a| {
        let [a0, a1, a2, ..] = a.map(|argument| argument as u32);
        c.sock_connect_v2(m, a0, a1, a2)
    }),
    ("sock_recv_v2", |c, m, a| {
        let [a0, a1, a2, a3, a4, a5, ..] = a.map(|argument| argument as u32);
        c.sock_recv(m, a0, a1, a2, a3, a4, a5)
    }),
    ("sock_recv_from", |c, m, a| {
        let [a0, a1, a2, a3, a4, a5, a6, ..] = a.map(|argument| argument as u32);
        c.sock_recv_from(m, a0, a1, a2, a3, a4, a5, a6)
    }),
    ("sock_recv_from_v2", |c, m, a| {
        let [a0, a1, a2, a3, a4, a5, a6, a7, ..] = a.map(|argument| argument as u32);
        c.sock_recv_from_v2(m, a0, a1, a2, a3, a4, a5, a6, a7)
    }),
    ("sock_send_v2", |c, m, a| {
        let [a0, a1, a2, a3, a4, ..] = a.map(|argument| argument as u32);
        c.sock_send(m, a0, a1, a2, a3, a4)
    }),
    ("sock_send_to", |c, m, a| {
        let [a0, a1, a2, a3, a4, a5, a6, ..] = a.map(|argument| argument as u32);
        c.sock_send_to(m, a0, a1, a2, a3, a4, a5, a6)
    }),
    ("sock_send_to_v2", |c, m, a| {
        let [a0, a1, a2, a3, a4, a5, a6, ..] = a.map(|argument| argument as u32);
        c.sock_send_to_v2(m, a0, a1, a2, a3, a4, a5, a6)
    }),
    ("sock_getsockopt", |c, m, a| {
        let [a0, a1, a2, a3, a4, ..] = a.map(|argument| argument as u32);
        c.sock_getsockopt(m, a0, a1, a2, a3, a4)
    }),
    ("sock_setsockopt", |c, m, a| {
        let [a0, a1, a2, a3, a4, ..] = a.map(|argument| argument as u32);
        c.sock_setsockopt(m, a0, a1, a2, a3, a4)
    }),
    ("sock_getlocaladdr", |c, m, a| {
        let [a0, a1, a2, a3, ..] = a.map(|argument| argument as u32);
        c.sock_getlocaladdr(m, a0, a1, a2, a3)
    }),
    ("sock_getlocaladdr_v2", |c, m, a| {
        let [a0, a1, a2, ..] = a.map(|argument| argument as u32);
        c.sock_getlocaladdr_v2(m, a0, a1, a2)
    }),
    ("sock_getpeeraddr", |c, m, a| {
        let [a0, a1, a2, a3, ..] = a.map(|argument| argument as u32);
        c.sock_getpeeraddr(m, a0, a1, a2, a3)
    }),
    ("sock_getpeeraddr_v2", |c, m, a| {
        let [a0, a1, a2, ..] = a.map(|argument| argument as u32);
        c.sock_getpeeraddr_v2(m, a0, a1, a2)
    }),
    ("sock_getaddrinfo", |c, m, a| {
        let [a0, a1, a2, a3, a4, a5, a6, a7, ..] = a.map(|argument| argument as u32);
        c.sock_getaddrinfo(m, a0, a1, a2, a3, a4, a5, a6, a7)
    }),
];

#[test]
fn every_function_is_in_the_list() {
    let listed: std::collections::BTreeSet<_> = CALLS.iter().map(|(name, _)| *name).collect();
    for (_, name) in wasi::WASI_FUNCTIONS {
        assert!(listed.contains(name) || ["poll_oneoff", "epoll_oneoff", "proc_exit"].contains(name), "{name}");
    }
}

#[test]
fn unknown_descriptors_are_badf_everywhere() {
    let dir = tempdir().unwrap();
    let mut guest = Guest::in_dir(dir.path());
    for fd in [4, 1000, u32::MAX] {
        let mut arguments = [u64::from(OUT); 9];
        arguments[0] = fd.into();
        let no_descriptor = ["sock_open", "sock_open_v2", "sock_getaddrinfo"];
        let on_descriptors = |name: &str| name.starts_with("fd_") || name.starts_with("sock_");
        for (name, call) in CALLS.iter().filter(|(name, _)| on_descriptors(name) && !no_descriptor.contains(name)) {
            let mut arguments = arguments;
            if *name == "fd_seek" {
                arguments[2] = 0;
            }
            assert_eq!(guest.call(|ctx, mem| call(ctx, mem, &arguments)), Err(Errno::Badf), "{name} on {fd}");
        }
        for (name, call) in CALLS.iter().filter(|(name, _)| name.starts_with("path_")) {
            // `path_symlink` takes its directory third, after a string.
            let mut arguments = [0; 9];
            arguments[if *name == "path_symlink" { 2 } else { 0 }] = fd.into();
            let expected = if *name == "path_open" { [Errno::Badf, Errno::NoEnt] } else { [Errno::Badf; 2] };
            let errno = guest.call(|ctx, mem| call(ctx, mem, &arguments)).unwrap_err();
            assert!(expected.contains(&errno), "{name} on {fd}: {errno:?}");
        }
    }
}

#[test]
fn a_bad_result_address_loses_nothing() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "text").unwrap();
    let mut builder = WasiCtxBuilder::new();
    builder.stdin_bytes(*b"input").preopened_dir(dir.path(), "/", false).unwrap();
    let mut guest = Guest::new(builder.build().unwrap());
    let end = MEMORY as u32 - 3;
    guest.iovecs(&[(DATA, 5)]);
    assert_eq!(guest.call(|ctx, mem| ctx.fd_read(mem, 0, IOVECS, 1, end)), Err(Errno::Fault));
    assert_eq!(guest.read(0, 9), Ok(b"input".to_vec()));
    let fd = guest.open("f", 0, RW).unwrap();
    guest.iovecs(&[(DATA, 2)]);
    assert_eq!(guest.call(|ctx, mem| ctx.fd_write(mem, fd, IOVECS, 1, end)), Err(Errno::Fault));
    assert_eq!(guest.call(|ctx, mem| ctx.fd_pwrite(mem, fd, IOVECS, 1, 0, end)), Err(Errno::Fault));
    let seek = guest.call(|ctx, mem| ctx.fd_seek(mem, fd, 2, 0, end));
    assert_eq!(seek, Err(Errno::Fault));
    assert_eq!(guest.read(fd, 9), Ok(b"text".to_vec()));
    let open = guest.path("new", |ctx, mem, at, len| {
        ctx.path_open(mem, ROOT, 0, at, len, oflag::CREAT.into(), right::FD_WRITE, 0, 0, end)
    });
    assert_eq!(open, Err(Errno::Fault));
    assert!(!dir.path().join("new").exists());
    assert_eq!(guest.create("again"), Ok(fd + 1), "no descriptor was used up");
}

/// A small generator (xorshift64*), so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }

    /// Mostly numbers that mean something, now and then any number.
    fn argument(&mut self) -> u64 {
        const TELLING: [u64; 18] = [
            0,
            1,
            2,
            3,
            4,
            5,
            6,
            7,
            8,
            16,
            64,
            PATH as u64,
            DATA as u64,
            IOVECS as u64,
            MEMORY as u64 - 4,
            u32::MAX as u64,
            i64::MAX as u64,
            u64::MAX,
        ];
        if self.next().is_multiple_of(8) { self.next() } else { self.pick(&TELLING) }
    }
}

#[test]
fn random_arguments_panic_nowhere_and_reach_nothing_outside() {
    const NAMES: [&str; 12] = ["a", "b", "a/b", "..", "../out", "a/../..", ".", "/", "a/", "b/../a", "l", "/etc"];
    let temp = tempdir().unwrap();
    let inside = temp.path().join("in");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(temp.path().join("out"), "untouched").unwrap();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..60 {
        let mut guest = Guest::in_dir(&inside);
        for _ in 0..1000 {
            let name = numbers.pick(&NAMES);
            guest.put(PATH, name.as_bytes());
            let len = numbers.argument() as u32 % 64;
            let at = numbers.pick(&[DATA, PATH, IOVECS, u32::MAX, MEMORY as u32 - 8]);
            guest.iovecs(&[(at, len), (numbers.argument() as u32, numbers.argument() as u32)]);
            let (_, call) = numbers.pick(CALLS);
            let mut arguments = std::array::from_fn(|_| numbers.argument());
            // Often a call that is nearly right: a directory, a path and its length where most functions have them.
            if numbers.next().is_multiple_of(2) {
                arguments[0] = ROOT.into();
                let path = numbers.pick(&[1, 2]);
                arguments[path] = PATH.into();
                arguments[path + 1] = name.len() as u64;
            }
            let _ = guest.call(|ctx, mem| call(ctx, mem, &arguments));
        }
    }
    assert_eq!(std::fs::read(temp.path().join("out")).unwrap(), b"untouched");
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 2);
}
