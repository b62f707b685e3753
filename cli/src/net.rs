//! The network options of `vm run`: `--net`, `--allow-af-unix`, `--listen`, and listeners that the parent process left.
//!
//! In: their texts, and the environment. Out: grants and listening sockets for the guest, and a word on standard error
//! when the guest is refused something. The invariant: without an option the guest gets nothing.

use crate::args::RunArgs;
use crate::exit::Exit;
use crate::output;
use listenfd::ListenFd;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use wasi::{BuildError, Grant, Refusal, WasiCtxBuilder};

/// How many connections may wait to be accepted; the system has a limit of its own.
const BACKLOG: i32 = 4096;

/// `--net GRANTS`
#[derive(Clone, Debug)]
pub(crate) struct Grants(Vec<Grant>);

/// `--listen ADDR`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    text: String,
    at: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The first of these that can be had.
    Tcp(Vec<SocketAddr>),
    Unix(String),
}

pub(crate) fn grants(text: &str) -> Result<Grants, String> {
    let grants = text.split(',').map(|grant| grant.parse().map_err(|e: wasi::GrantError| e.to_string()));
    grants.collect::<Result<_, _>>().map(Grants)
}

pub(crate) fn listen(text: &str) -> Result<Listen, String> {
    Ok(Listen { text: text.to_string(), at: place(text)? })
}

fn place(text: &str) -> Result<Place, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return if path.is_empty() { Err("expected unix:PATH".into()) } else { Ok(Place::Unix(path.into())) };
    }
    if let Ok(address) = text.parse() {
        return Ok(Place::Tcp(vec![address]));
    }
    let expected = || "expected ADDRESS:PORT, [IPV6]:PORT, localhost:PORT, *:PORT or unix:PATH".to_string();
    let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
    let port: u16 = port.parse().map_err(|_| expected())?;
    match host {
        "localhost" => Ok(Place::Tcp(vec![(Ipv4Addr::LOCALHOST, port).into()])),
        // One socket for both families where there is IPv6.
        "" | "*" => Ok(Place::Tcp(vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()])),
        _ => Err(expected()),
    }
}

impl Listen {
    /// Binds and listens. Where the system chose the port, it is said on standard error.
    fn open(&self) -> std::io::Result<OwnedFd> {
        match &self.at {
            Place::Tcp(addresses) => {
                let listener = TcpListener::bind(&addresses[..])?;
                rustix::net::listen(&listener, BACKLOG)?;
                if addresses.iter().all(|address| address.port() == 0) {
                    output::complain(&format!("listening on {}", listener.local_addr()?));
                }
                Ok(listener.into())
            }
            Place::Unix(path) => match UnixListener::bind(path) {
                Err(e) if e.kind() == ErrorKind::AddrInUse && is_left_over(path) => {
                    std::fs::remove_file(path)?;
                    Ok(UnixListener::bind(path)?.into())
                }
                listener => Ok(listener?.into()),
            },
        }
    }
}

/// Whether a socket is there that nobody listens on any more.
fn is_left_over(path: &str) -> bool {
    let socket = std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket());
    socket && UnixStream::connect(path).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused)
}

/// Takes the names of listening sockets away when the guest is over.
pub(crate) fn clean_up(listen: &[Listen]) {
    for path in listen.iter().filter_map(|l| if let Place::Unix(path) = &l.at { Some(path) } else { None }) {
        // While this process has it open it still takes connections; whoever else has taken the name keeps it.
        let ours = UnixStream::connect(path).is_ok_and(|s| {
            rustix::net::sockopt::socket_peercred(&s).is_ok_and(|peer| peer.pid == rustix::process::getpid())
        });
        if ours || is_left_over(path) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Gives the guest what the options say. Listeners come first among its descriptors: those of the parent process, then
/// those of `--listen`.
pub(crate) fn give(builder: &mut WasiCtxBuilder, args: &RunArgs) -> Result<(), Exit> {
    let bad = |e: BuildError| Exit::failure(e.to_string());
    let mut count = 0;
    if !args.net.is_empty() || !args.listen.is_empty() || args.allow_af_unix {
        raise_descriptor_limit();
    }
    for listener in inherited().map_err(Exit::failure)? {
        builder.preopened_listener(listener).map_err(bad)?;
        count += 1;
    }
    for listen in &args.listen {
        let listener = listen.open().map_err(|e| Exit::failure(format!("--listen {}: {e}", listen.text)))?;
        builder.preopened_listener(listener).map_err(bad)?;
        count += 1;
    }
    if count > 0 && !args.env.iter().any(|var| var.name == "LISTEN_FDS") {
        builder.env("LISTEN_FDS", count.to_string()).map_err(bad)?;
    }
    for grant in args.net.iter().flat_map(|grants| &grants.0) {
        builder.network(grant.clone());
    }
    if args.allow_af_unix
        && let Ok(grant) = "unix".parse()
    {
        builder.network(grant);
    }
    say_what_is_missing(builder, args);
    Ok(())
}

/// Takes as many descriptors as the system lets this process have: the low limit that shells hand out is for programs
/// that use `select`, and a server needs one for each connection.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is refused the guest lives with what there is.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// The listeners that the process which started this one left open, as systemd does.
fn inherited() -> Result<Vec<OwnedFd>, String> {
    const FIRST: usize = 3;
    // Asked before the variables are taken.
    let stray = std::env::var_os("LISTEN_PID").is_none_or(|pid| pid.is_empty());
    let mut left = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..left.len() {
        let listener = match left.take_tcp_listener(index) {
            Ok(listener) => listener.map(OwnedFd::from),
            Err(_) => match left.take_unix_listener(index) {
                Ok(listener) => listener.map(OwnedFd::from),
                Err(_) => return Err(not_a_listener(&mut left, index, FIRST + index, stray)),
            },
        };
        let listening = |fd: &OwnedFd| rustix::net::sockopt::socket_acceptconn(fd).unwrap_or(true);
        if listener.as_ref().is_some_and(|fd| !listening(fd)) {
            return Err(format!("LISTEN_FDS: descriptor {} is a socket that does not listen", FIRST + index));
        }
        listeners.extend(listener);
    }
    Ok(listeners)
}

/// What a descriptor is that was left for a listener.
fn not_a_listener(left: &mut ListenFd, index: usize, fd: usize, stray: bool) -> String {
    let datagrams =
        matches!(left.take_udp_socket(index), Ok(Some(_))) || matches!(left.take_unix_datagram(index), Ok(Some(_)));
    let what = if datagrams {
        "is a socket for datagrams (UDP); only sockets that listen for connections can be given to a guest"
    } else {
        "is not a listening socket"
    };
    let hint = "\nhint: LISTEN_FDS is set without LISTEN_PID, as if for another process: unset it, or set both";
    format!("LISTEN_FDS: descriptor {fd} {what}{}", if stray { hint } else { "" })
}

/// Says once what the guest was refused, and which option would allow it.
fn say_what_is_missing(builder: &mut WasiCtxBuilder, args: &RunArgs) {
    let file = args.file_and_args.first().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    let mut said = false;
    builder.on_network_refusal(move |refusal| {
        if !said {
            said = true;
            output::complain(&format!("{file}: may not {refusal}\nhint: {} would allow it", option(refusal)));
        }
    });
}

fn option(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Open => "--net".to_string(),
        Refusal::OpenUnix => "--allow-af-unix".to_string(),
        refusal => format!("--net {}", refusal.grant()),
    }
}

/// Rewrites `--net` without grants, which stands for all of them, so that the parser does not take what follows for
/// its value. `takes_value` says whether an option is followed by one.
pub(crate) fn complete(args: Vec<OsString>, takes_value: impl Fn(&str) -> bool) -> Vec<OsString> {
    let mut args = args;
    if args.get(1).is_none_or(|command| command != "run") || !args.iter().any(|arg| arg == "--net") {
        return args;
    }
    let mut at = 2;
    // The first that is no option is the module; the rest is the guest's.
    while let Some(text) =
        args.get(at).and_then(|arg| arg.to_str()).filter(|text| text.starts_with("--") && *text != "--")
    {
        let followed = match text {
            "--net"
                if args
                    .get(at + 1)
                    .and_then(|next| next.to_str())
                    .is_none_or(|next| grants(next).is_err() && !is_meant_as_grants(next)) =>
            {
                args[at] = "--net=all".into();
                false
            }
            option => !option.contains('=') && takes_value(&option[2..]),
        };
        at += if followed { 2 } else { 1 };
    }
    args
}

/// Whether a text looks like a grant, so that a mistake in it is told rather than the text taken for a file.
fn is_meant_as_grants(text: &str) -> bool {
    let begins = ["connect:", "bind:", "dns:", "unix:"].iter().any(|kind| text.starts_with(kind));
    begins || (text.contains(':') && !Path::new(text).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> String {
        let args = line.split(' ').map(OsString::from).collect();
        let args = complete(args, |option| ["dir", "env", "net"].contains(&option));
        args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_option_without_grants_means_all() {
        assert_eq!(completed("vm run --net a.wasm --net b"), "vm run --net=all a.wasm --net b");
        assert_eq!(completed("vm run --net dns a.wasm"), "vm run --net dns a.wasm");
        assert_eq!(completed("vm run --net connect:a:1,dns a.wasm"), "vm run --net connect:a:1,dns a.wasm");
        assert_eq!(completed("vm run --net connect:a:x a.wasm"), "vm run --net connect:a:x a.wasm");
        assert_eq!(completed("vm run --net conect:a:1 a.wasm"), "vm run --net conect:a:1 a.wasm");
        assert_eq!(completed("vm run --dir --net --net --stats a.wasm"), "vm run --dir --net --net=all --stats a.wasm");
        assert_eq!(completed("vm run --env=A --net"), "vm run --env=A --net=all");
        assert_eq!(completed("vm run -- --net a.wasm"), "vm run -- --net a.wasm");
        assert_eq!(completed("vm inspect --net a.wasm"), "vm inspect --net a.wasm");
    }

    #[test]
    fn addresses_to_listen_on() {
        let tcp = |text: &str| Ok(Place::Tcp(vec![text.parse().unwrap()]));
        assert_eq!(place("127.0.0.1:80"), tcp("127.0.0.1:80"));
        assert_eq!(place("[::1]:80"), tcp("[::1]:80"));
        assert_eq!(place("localhost:80"), tcp("127.0.0.1:80"));
        assert_eq!(place("*:80"), place(":80"));
        assert_eq!(place("unix:/a"), Ok(Place::Unix("/a".into())));
        for bad in ["", "80", "unix:", "example.org:80", "127.0.0.1", "*:x"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
