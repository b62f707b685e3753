//! The list of functions: name, method of [`WasiCtx`](crate::WasiCtx), parameters. In: nothing; out: the macro that
//! linking is driven by, and the names for who wants to know which imports are WASI's.
//! Invariant: every function returns an errno except `proc_exit`, which is not in the list.

/// Calls `$visit!` with every function under its module names; a line is `name = method(parameter: type, ..);`.
/// `both` holds what the two modules share, `preview1` and `unstable` what one of them has for itself or under one name
/// with two meanings. `versions` are functions of `preview1` that are there once more with other parameters; which one a
/// module gets is said by the type of its import.
macro_rules! for_each_function {
    ($visit:ident) => {
        $visit! {
            both {
                args_get = args_get(argv: u32, buf: u32);
                args_sizes_get = args_sizes_get(argc: u32, size: u32);
                environ_get = environ_get(environ: u32, buf: u32);
                environ_sizes_get = environ_sizes_get(count: u32, size: u32);
                clock_res_get = clock_res_get(id: u32, resolution: u32);
                clock_time_get = clock_time_get(id: u32, precision: u64, time: u32);
                fd_advise = fd_advise(fd: u32, offset: u64, len: u64, advice: u32);
                fd_allocate = fd_allocate(fd: u32, offset: u64, len: u64);
                fd_close = fd_close(fd: u32);
                fd_datasync = fd_datasync(fd: u32);
                fd_fdstat_get = fd_fdstat_get(fd: u32, stat: u32);
                fd_fdstat_set_flags = fd_fdstat_set_flags(fd: u32, flags: u32);
                fd_fdstat_set_rights = fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64);
                fd_filestat_set_size = fd_filestat_set_size(fd: u32, size: u64);
                fd_filestat_set_times = fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, flags: u32);
                fd_pread = fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nread: u32);
                fd_prestat_get = fd_prestat_get(fd: u32, prestat: u32);
                fd_prestat_dir_name = fd_prestat_dir_name(fd: u32, path: u32, path_len: u32);
                fd_pwrite = fd_pwrite(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nwritten: u32);
                fd_read = fd_read(fd: u32, iovs: u32, iovs_len: u32, nread: u32);
                fd_readdir = fd_readdir(fd: u32, buf: u32, buf_len: u32, cookie: u64, bufused: u32);
                fd_renumber = fd_renumber(from: u32, to: u32);
                fd_sync = fd_sync(fd: u32);
                fd_tell = fd_tell(fd: u32, offset: u32);
                fd_write = fd_write(fd: u32, iovs: u32, iovs_len: u32, nwritten: u32);
                path_create_directory = path_create_directory(fd: u32, path: u32, path_len: u32);
                path_filestat_set_times = path_filestat_set_times(
                    fd: u32, lookup: u32, path: u32, path_len: u32, atim: u64, mtim: u64, flags: u32
                );
                path_link = path_link(
                    old_fd: u32, lookup: u32, old: u32, old_len: u32, new_fd: u32, new: u32, new_len: u32
                );
                path_open = path_open(
                    fd: u32, lookup: u32, path: u32, path_len: u32, oflags: u32, base: u64, inheriting: u64,
                    fdflags: u32, opened: u32
                );
                path_readlink = path_readlink(
                    fd: u32, path: u32, path_len: u32, buf: u32, buf_len: u32, bufused: u32
                );
                path_remove_directory = path_remove_directory(fd: u32, path: u32, path_len: u32);
                path_rename = path_rename(old_fd: u32, old: u32, old_len: u32, new_fd: u32, new: u32, new_len: u32);
                path_symlink = path_symlink(target: u32, target_len: u32, fd: u32, path: u32, path_len: u32);
                path_unlink_file = path_unlink_file(fd: u32, path: u32, path_len: u32);
                proc_raise = proc_raise(signal: u32);
                random_get = random_get(buf: u32, buf_len: u32);
                sched_yield = sched_yield();
                sock_recv = sock_recv(
                    fd: u32, iovs: u32, iovs_len: u32, ri_flags: u32, datalen: u32, ro_flags: u32
                );
                sock_send = sock_send(fd: u32, iovs: u32, iovs_len: u32, si_flags: u32, datalen: u32);
                sock_shutdown = sock_shutdown(fd: u32, how: u32);
            }
            preview1 {
                fd_filestat_get = fd_filestat_get(fd: u32, stat: u32);
                fd_seek = fd_seek(fd: u32, offset: u64, whence: u32, newoffset: u32);
                path_filestat_get = path_filestat_get(fd: u32, lookup: u32, path: u32, path_len: u32, stat: u32);
                poll_oneoff = poll_oneoff(subscriptions: u32, events: u32, count: u32, nevents: u32);
                sock_accept = sock_accept(fd: u32, flags: u32, accepted: u32);
                epoll_oneoff = epoll_oneoff(subscriptions: u32, events: u32, count: u32, nevents: u32);
                sock_open = sock_open(family: u32, kind: u32, opened: u32);
                sock_open_v2 = sock_open(family: u32, kind: u32, opened: u32);
                sock_bind = sock_bind(fd: u32, addr: u32, port: u32);
                sock_bind_v2 = sock_bind_v2(fd: u32, addr: u32, port: u32);
                sock_listen = sock_listen(fd: u32, backlog: u32);
                sock_listen_v2 = sock_listen(fd: u32, backlog: u32);
                sock_accept_v2 = sock_accept(fd: u32, flags: u32, accepted: u32);
                sock_connect = sock_connect(fd: u32, addr: u32, port: u32);
                sock_connect_v2 = sock_connect_v2(fd: u32, addr: u32, port: u32);
                sock_recv_v2 = sock_recv(
                    fd: u32, iovs: u32, iovs_len: u32, ri_flags: u32, datalen: u32, ro_flags: u32
                );
                sock_recv_from = sock_recv_from(
                    fd: u32, iovs: u32, iovs_len: u32, addr: u32, ri_flags: u32, datalen: u32, ro_flags: u32
                );
                sock_recv_from_v2 = sock_recv_from_v2(
                    fd: u32, iovs: u32, iovs_len: u32, addr: u32, ri_flags: u32, port: u32, datalen: u32, ro_flags: u32
                );
                sock_send_v2 = sock_send(fd: u32, iovs: u32, iovs_len: u32, si_flags: u32, datalen: u32);
                sock_send_to = sock_send_to(
                    fd: u32, iovs: u32, iovs_len: u32, addr: u32, port: u32, si_flags: u32, datalen: u32
                );
                sock_send_to_v2 = sock_send_to_v2(
                    fd: u32, iovs: u32, iovs_len: u32, addr: u32, port: u32, si_flags: u32, datalen: u32
                );
                sock_getsockopt = sock_getsockopt(fd: u32, level: u32, name: u32, value: u32, len: u32);
                sock_setsockopt = sock_setsockopt(fd: u32, level: u32, name: u32, value: u32, len: u32);
                sock_getlocaladdr = sock_getlocaladdr(fd: u32, addr: u32, kind: u32, port: u32);
                sock_getlocaladdr_v2 = sock_getlocaladdr_v2(fd: u32, addr: u32, port: u32);
                sock_getpeeraddr = sock_getpeeraddr(fd: u32, addr: u32, kind: u32, port: u32);
                sock_getpeeraddr_v2 = sock_getpeeraddr_v2(fd: u32, addr: u32, port: u32);
                sock_getaddrinfo = sock_getaddrinfo(
                    node: u32, node_len: u32, service: u32, service_len: u32, hints: u32, res: u32, max: u32,
                    found: u32
                );
            }
            versions {
                sock_accept = sock_accept_v1(fd: u32, accepted: u32);
                sock_recv_from = sock_recv_from_v2(
                    fd: u32, iovs: u32, iovs_len: u32, addr: u32, ri_flags: u32, port: u32, datalen: u32, ro_flags: u32
                );
                sock_getlocaladdr = sock_getlocaladdr_v2(fd: u32, addr: u32, port: u32);
                sock_getpeeraddr = sock_getpeeraddr_v2(fd: u32, addr: u32, port: u32);
            }
            unstable {
                fd_filestat_get = fd_filestat_get_unstable(fd: u32, stat: u32);
                fd_seek = fd_seek_unstable(fd: u32, offset: u64, whence: u32, newoffset: u32);
                path_filestat_get =
                    path_filestat_get_unstable(fd: u32, lookup: u32, path: u32, path_len: u32, stat: u32);
                poll_oneoff = poll_oneoff_unstable(subscriptions: u32, events: u32, count: u32, nevents: u32);
            }
        }
    };
}

pub(crate) use for_each_function;

macro_rules! names {
    (
        both { $($both:ident = $bm:ident($($bp:ident: $bt:ty),*);)* }
        preview1 { $($one:ident = $om:ident($($op:ident: $ot:ty),*);)* }
        versions { $($version:ident = $vm:ident($($vp:ident: $vt:ty),*);)* }
        unstable { $($zero:ident = $zm:ident($($zp:ident: $zt:ty),*);)* }
    ) => {
        /// Every function that guests can import, as (module, name).
        pub const WASI_FUNCTIONS: &[(&str, &str)] = &[
            (PREVIEW1, "proc_exit"),
            $((PREVIEW1, stringify!($both)),)*
            $((PREVIEW1, stringify!($one)),)*
            (UNSTABLE, "proc_exit"),
            $((UNSTABLE, stringify!($both)),)*
            $((UNSTABLE, stringify!($zero)),)*
        ];
    };
}

/// The module name of preview 1.
pub const PREVIEW1: &str = "wasi_snapshot_preview1";

/// The module name of snapshot 0, which preview 1 replaced.
pub const UNSTABLE: &str = "wasi_unstable";

for_each_function!(names);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_functions_are_there_once() {
        let count = |module| WASI_FUNCTIONS.iter().filter(|(m, _)| *m == module).count();
        assert_eq!((count(PREVIEW1), count(UNSTABLE)), (69, 45));
        let unique: std::collections::BTreeSet<_> = WASI_FUNCTIONS.iter().collect();
        assert_eq!(unique.len(), WASI_FUNCTIONS.len());
    }
}
