//! What of the network a guest may use. In: grants as text, and what the guest is about to do; out: yes, or a
//! [`Refusal`] that names the grant which would have allowed it. Invariant: nothing is allowed that no grant covers;
//! addresses are compared after names were resolved, and an IPv4 address written as IPv6 counts as what it is.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::BorrowedFd;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::net::SocketAddrUnix;

use crate::Errno;
use crate::net::address::{Address, canonical};
use crate::net::resolve;
use crate::net::spot::{Reached, Spot};

/// How long the addresses of a name in a grant are good before a refusal looks it up again.
const NAME_LIFETIME: Duration = Duration::from_secs(10);

/// The most addresses that are remembered for the names in grants.
const MAX_LEARNED: usize = 4096;

/// Why a grant could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no grant: {why}")]
pub struct GrantError {
    text: String,
    why: &'static str,
}

/// What is wrong with a grant.
type Parsed<T> = Result<T, &'static str>;

const KINDS: &str = "expected all, connect:HOST[:PORT], bind:ADDR[:PORT], dns[:NAME] or unix[:PATH]";
const HOSTS: &str = "a host is an address, a range of them (10.0.0.0/8), a name, *.NAME or *";
const LENGTHS: &str = "the number behind / is at most 32 for IPv4 and 128 for IPv6";
const BRACKETS: &str = "IPv6 addresses are written in brackets: [::1]:80";
const PORTS: &str = "a port is a number up to 65535, a range (8000-8999) or *";

/// One thing that a guest may do. As text: `all`, `connect:HOST[:PORT]`, `bind:ADDR[:PORT]`, `dns[:NAME]`,
/// `unix[:PATH]`. A host is an address (IPv6 in brackets), a range of them (`10.0.0.0/8`), a name, `*.NAME`, or `*`; a
/// port is a number, a range (`8000-8999`) or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Everything but `AF_UNIX`.
    All,
    Connect(Host, RangeInclusive<u16>),
    Bind(Host, RangeInclusive<u16>),
    Dns(Host),
    /// A path of the host, or all of them.
    Unix(Option<Vec<u8>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    /// An address and how many of its leading bits count.
    Net(IpAddr, u8),
    /// A name in lower case.
    Name(String),
    /// The end of a name, beginning with its dot.
    Suffix(String),
}

/// The bits of an address, leading ones first, and how many there are.
fn bits(ip: IpAddr) -> (u128, u8) {
    match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    }
}

impl Host {
    fn parse(text: &str) -> Parsed<Host> {
        if text == "*" {
            return Ok(Host::Any);
        }
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len.parse::<u8>().map_err(|_| LENGTHS)?)),
            None => (text, None),
        };
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match bare.unwrap_or(address).parse::<IpAddr>() {
            // The host's own port would be taken for the end of the address, or the other way round.
            Ok(IpAddr::V6(_)) if bare.is_none() => return Err(BRACKETS),
            Ok(ip) => {
                let all = bits(ip).1;
                return match len {
                    Some(len) if len > all => Err(LENGTHS),
                    Some(len) => Ok(Host::Net(ip, len)),
                    None => Ok(Host::Net(ip.to_canonical(), bits(ip.to_canonical()).1)),
                };
            }
            Err(_) => {}
        }
        let name = text.to_ascii_lowercase();
        let (host, name): (fn(String) -> Host, String) = match name.strip_prefix('*') {
            Some(suffix) => (Host::Suffix, suffix.strip_prefix('.').map(|_| suffix.to_string()).ok_or(HOSTS)?),
            None => (Host::Name, name),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !name.is_empty() && name.chars().all(is_name) { Ok(host(name)) } else { Err(HOSTS) }
    }

    /// Whether an address is meant. The unspecified address stands for all addresses that binding to it covers.
    fn covers(&self, ip: IpAddr, binding: bool) -> bool {
        match *self {
            Host::Any => true,
            Host::Net(net, len) => {
                if binding && net.is_unspecified() && usize::from(len) > 0 {
                    return net.is_ipv6() || ip.is_ipv4();
                }
                let ((net, net_len), (ip, ip_len)) = (bits(net), bits(ip));
                net_len == ip_len && (net ^ ip).checked_shr(128 - u32::from(len)).unwrap_or(0) == 0
            }
            Host::Name(_) | Host::Suffix(_) => false,
        }
    }

    fn covers_name(&self, name: &str) -> bool {
        match self {
            Host::Any => true,
            Host::Net(..) => false,
            Host::Name(own) => own == name,
            Host::Suffix(suffix) => name.ends_with(suffix),
        }
    }
}

fn ports(text: &str) -> Parsed<RangeInclusive<u16>> {
    let port = |text: &str| text.parse::<u16>().map_err(|_| PORTS);
    match text.split_once('-') {
        Some((first, last)) => match (port(first)?, port(last)?) {
            (first, last) if first <= last => Ok(first..=last),
            _ => Err("the range of ports ends before it begins"),
        },
        None if text == "*" => Ok(0..=u16::MAX),
        None => port(text).map(|port| port..=port),
    }
}

fn host_and_ports(text: &str) -> Parsed<(Host, RangeInclusive<u16>)> {
    if text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) {
        return Err(BRACKETS);
    }
    // Colons within brackets are the address's own.
    let port_at = text.rfind(':').filter(|&at| text.rfind(']').is_none_or(|bracket| bracket < at));
    match port_at {
        Some(at) => Ok((Host::parse(&text[..at])?, ports(&text[at + 1..])?)),
        None => Ok((Host::parse(text)?, ports("*")?)),
    }
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Grant, GrantError> {
        let (kind, what) = match text.split_once(':') {
            Some((kind, what)) => (kind, Some(what)),
            None => (text, None),
        };
        let kind = match (kind, what) {
            ("all", None) => Ok(Kind::All),
            ("connect", Some(what)) => host_and_ports(what).map(|(host, ports)| Kind::Connect(host, ports)),
            ("bind", Some(what)) => host_and_ports(what).map(|(host, ports)| Kind::Bind(host, ports)),
            ("dns", None) => Ok(Kind::Dns(Host::Any)),
            ("dns", Some(name)) => Host::parse(name).map(Kind::Dns),
            ("unix", None | Some("*")) => Ok(Kind::Unix(None)),
            ("unix", Some(path)) if !path.is_empty() => Ok(Kind::Unix(Some(path.as_bytes().to_vec()))),
            _ => Err(KINDS),
        };
        kind.map(Grant).map_err(|why| GrantError { text: text.to_string(), why })
    }
}

/// What a guest was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// To open a socket at all.
    Open,
    /// To connect, or to send a datagram, to an address.
    Connect(SocketAddr),
    /// To receive at an address.
    Bind(SocketAddr),
    /// To resolve a name.
    LookUp(String),
    /// To open an `AF_UNIX` socket.
    OpenUnix,
    /// To bind or connect an `AF_UNIX` socket to an address.
    Unix(String),
}

impl Refusal {
    /// A grant that would allow it.
    pub fn grant(&self) -> String {
        match self {
            Refusal::Open => "all".to_string(),
            Refusal::Connect(address) => format!("connect:{address}"),
            Refusal::Bind(address) => format!("bind:{address}"),
            Refusal::LookUp(name) => format!("dns:{name}"),
            Refusal::OpenUnix => "unix".to_string(),
            Refusal::Unix(path) => format!("unix:{path}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Open => write!(f, "use the network"),
            Refusal::Connect(address) => write!(f, "connect or send to {address}"),
            Refusal::Bind(address) => write!(f, "bind to {address}"),
            Refusal::LookUp(name) => write!(f, "look up {name:?}"),
            Refusal::OpenUnix => write!(f, "open AF_UNIX sockets"),
            Refusal::Unix(path) => write!(f, "bind or connect to the AF_UNIX address {path:?}"),
        }
    }
}

type OnRefusal = Box<dyn FnMut(&Refusal) + Send>;

/// The grants of one guest, and what was learned about the names in them.
#[derive(Default)]
pub(crate) struct Network {
    grants: Vec<Grant>,
    learned: HashMap<IpAddr, Vec<String>>,
    resolved: HashMap<String, Instant>,
    on_refusal: Option<OnRefusal>,
    /// Where the granted `AF_UNIX` sockets are, by the path in the grant.
    sockets: Vec<(Vec<u8>, Spot)>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("grants", &self.grants).finish_non_exhaustive()
    }
}

impl Network {
    pub(crate) fn grant(&mut self, grant: Grant) {
        self.grants.push(grant);
    }

    /// Finds where the sockets in grants are, before the guest can put anything in the way.
    pub(crate) fn find_sockets(&mut self) {
        let paths = self.grants.iter().filter_map(|grant| match &grant.0 {
            Kind::Unix(Some(path)) if !path.starts_with(b"@") => Some(path.clone()),
            _ => None,
        });
        self.sockets = paths.filter_map(|path| Some((path.clone(), Spot::find(&path)?))).collect();
    }

    /// How to reach the socket of an `AF_UNIX` address that is granted: nothing but a grant of all of them follows links that
    /// were not there when the grant was given.
    pub(crate) fn reach(&self, address: &SocketAddrUnix, bind: bool) -> Result<Reached, Errno> {
        let all = self.any(|kind| *kind == Kind::Unix(None));
        match address.path_bytes() {
            Some(path) if !all => {
                let spot = self.sockets.iter().find(|(granted, _)| granted == path);
                let (_, spot) = spot.ok_or(Errno::NoEnt)?;
                if bind { spot.to_bind() } else { spot.to_connect() }
            }
            _ => Ok(Reached { address: address.clone(), _open: None }),
        }
    }

    /// Whether a name in a directory is that of a socket in a grant.
    pub(crate) fn is_granted_name(&self, dir: BorrowedFd<'_>, name: &str) -> bool {
        !self.sockets.is_empty() && self.sockets.iter().any(|(_, spot)| spot.is(dir, name))
    }

    /// Whether a datagram from an address may be heard by a guest that was not granted to be heard by everybody.
    pub(crate) fn may_hear(&mut self, from: SocketAddr) -> bool {
        self.inet(canonical(from), false)
    }

    pub(crate) fn on_refusal(&mut self, f: OnRefusal) {
        self.on_refusal = Some(f);
    }

    fn any(&self, covers: impl Fn(&Kind) -> bool) -> bool {
        self.grants.iter().any(|grant| covers(&grant.0))
    }

    /// Whether the whole internet is granted.
    pub(crate) fn all(&self) -> bool {
        self.any(|kind| *kind == Kind::All)
    }

    /// Answers `allowed`, and tells the embedder of a refusal.
    fn answer(&mut self, allowed: bool, refusal: impl FnOnce() -> Refusal) -> bool {
        if let (false, Some(f)) = (allowed, &mut self.on_refusal) {
            f(&refusal());
        }
        allowed
    }

    /// Whether sockets of the internet may be opened.
    pub(crate) fn may_open(&mut self) -> bool {
        let allowed = self.any(|kind| matches!(kind, Kind::All | Kind::Connect(..) | Kind::Bind(..)));
        self.answer(allowed, || Refusal::Open)
    }

    /// Whether sockets of the family `AF_UNIX` may be opened.
    pub(crate) fn may_open_unix(&mut self) -> bool {
        let allowed = self.any(|kind| matches!(kind, Kind::Unix(_)));
        self.answer(allowed, || Refusal::OpenUnix)
    }

    /// Whether a socket may be connected, or a datagram sent, to an address.
    pub(crate) fn may_connect(&mut self, address: &Address) -> bool {
        match address {
            Address::Inet(address) => {
                let address = canonical(*address);
                let allowed = self.inet(address, false);
                self.answer(allowed, || Refusal::Connect(address))
            }
            Address::Unix(address) => self.unix(address),
        }
    }

    /// Whether a socket may be bound to an address.
    pub(crate) fn may_bind(&mut self, address: &Address) -> bool {
        match address {
            Address::Inet(address) => {
                let address = canonical(*address);
                let allowed = self.inet(address, true);
                self.answer(allowed, || Refusal::Bind(address))
            }
            Address::Unix(address) => self.unix(address),
        }
    }

    fn unix(&mut self, address: &rustix::net::SocketAddrUnix) -> bool {
        let name = match (address.path_bytes(), address.abstract_name()) {
            (Some(path), _) => path.to_vec(),
            (None, Some(name)) => [b"@", name].concat(),
            (None, None) => Vec::new(),
        };
        let allowed = self.any(|kind| match kind {
            Kind::Unix(None) => true,
            Kind::Unix(Some(path)) => *path == name,
            _ => false,
        });
        self.answer(allowed, || Refusal::Unix(String::from_utf8_lossy(&name).into_owned()))
    }

    fn inet(&mut self, address: SocketAddr, binding: bool) -> bool {
        let (ip, port) = (address.ip(), address.port());
        let rule = |kind: &Kind| match kind {
            Kind::Connect(host, ports) if !binding && ports.contains(&port) => Some(host.clone()),
            Kind::Bind(host, ports) if binding && ports.contains(&port) => Some(host.clone()),
            _ => None,
        };
        if self.any(|kind| *kind == Kind::All || rule(kind).is_some_and(|host| host.covers(ip, binding))) {
            return true;
        }
        let named: Vec<Host> = self.grants.iter().filter_map(|grant| rule(&grant.0)).collect();
        let known = |network: &Network| {
            let names = network.learned.get(&ip);
            names.is_some_and(|names| names.iter().any(|name| named.iter().any(|host| host.covers_name(name))))
        };
        if known(self) {
            return true;
        }
        for host in &named {
            if let Host::Name(name) = host {
                self.refresh(name);
            }
        }
        known(self)
    }

    /// Looks the name in a grant up, unless that was done a moment ago.
    fn refresh(&mut self, name: &str) {
        if self.resolved.get(name).is_some_and(|at| at.elapsed() < NAME_LIFETIME) {
            return;
        }
        self.resolved.insert(name.to_string(), Instant::now());
        if let Ok(addresses) = resolve::addresses(name, true, true) {
            self.learn(name, &addresses);
        }
    }

    /// Whether a name may be resolved.
    pub(crate) fn may_look_up(&mut self, name: &str) -> bool {
        let name = resolve::normal(name);
        let local = resolve::is_localhost(&name) && !self.grants.is_empty();
        let allowed = local
            || self.all()
            || self.any(|kind| match kind {
                Kind::Dns(host) => host.covers_name(&name),
                Kind::Connect(host, _) | Kind::Bind(host, _) => *host != Host::Any && host.covers_name(&name),
                _ => false,
            });
        self.answer(allowed, || Refusal::LookUp(name.clone()))
    }

    /// Takes note of a name's addresses, if the name is one that a grant means.
    pub(crate) fn learn(&mut self, name: &str, addresses: &[IpAddr]) {
        let name = resolve::normal(name);
        let meant = self.any(|kind| match kind {
            Kind::Connect(host, _) | Kind::Bind(host, _) => *host != Host::Any && host.covers_name(&name),
            _ => false,
        });
        for address in addresses {
            if !meant || self.learned.len() >= MAX_LEARNED {
                return;
            }
            let names = self.learned.entry(address.to_canonical()).or_default();
            if !names.contains(&name) {
                names.push(name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(grants: &[&str]) -> Network {
        let mut network = Network::default();
        for grant in grants {
            network.grant(grant.parse().unwrap());
        }
        network
    }

    fn connects(grants: &[&str], address: &str) -> bool {
        network(grants).may_connect(&Address::Inet(address.parse().unwrap()))
    }

    fn binds(grants: &[&str], address: &str) -> bool {
        network(grants).may_bind(&Address::Inet(address.parse().unwrap()))
    }

    #[test]
    fn nothing_is_allowed_without_a_grant() {
        assert!(!connects(&[], "127.0.0.1:80"));
        assert!(!binds(&[], "127.0.0.1:80"));
        assert!(!network(&[]).may_open());
        assert!(!network(&["all"]).may_open_unix());
        assert!(!network(&[]).may_look_up("localhost"));
        assert!(network(&["bind:*:1"]).may_look_up("localhost"));
        assert!(!connects(&["bind:*"], "127.0.0.1:80"));
        assert!(!binds(&["connect:*"], "127.0.0.1:80"));
    }

    #[test]
    fn addresses_ranges_and_ports_are_compared() {
        assert!(connects(&["all"], "[::1]:80"));
        assert!(connects(&["connect:127.0.0.1:80"], "127.0.0.1:80"));
        assert!(connects(&["connect:127.0.0.1:80"], "[::ffff:127.0.0.1]:80"), "IPv4 written as IPv6");
        assert!(!connects(&["connect:127.0.0.1:80"], "127.0.0.1:81"));
        assert!(!connects(&["connect:127.0.0.1:80"], "127.0.0.2:80"));
        assert!(connects(&["connect:[::1]:80"], "[::1]:80"));
        assert!(connects(&["connect:[::1]"], "[::1]:9"));
        assert!(!connects(&["connect:[::1]:80"], "[::2]:80"));
        assert!(connects(&["connect:10.0.0.0/8:1-9"], "10.9.8.7:9"));
        assert!(!connects(&["connect:10.0.0.0/8:1-9"], "11.0.0.1:9"));
        assert!(!connects(&["connect:10.0.0.0/8:1-9"], "10.0.0.1:10"));
        assert!(connects(&["connect:[fd00::]/8:*"], "[fd12::1]:5"));
        assert!(!connects(&["connect:0.0.0.0/0"], "[fd12::1]:5"), "another family");
        assert!(connects(&["connect:*:443"], "8.8.8.8:443"));
        assert!(!connects(&["connect:*:443"], "8.8.8.8:80"));
    }

    #[test]
    fn the_unspecified_address_covers_the_others_for_binding() {
        assert!(binds(&["bind:0.0.0.0:80"], "127.0.0.1:80"));
        assert!(binds(&["bind:[::]:80"], "[::1]:80"));
        assert!(!binds(&["bind:127.0.0.1:80"], "0.0.0.0:80"));
        assert!(!binds(&["bind:0.0.0.0:80"], "[::]:80"));
        assert!(!connects(&["connect:0.0.0.0:80"], "127.0.0.1:80"));
        assert!(!binds(&["bind:127.0.0.1:80"], "127.0.0.1:0"));
    }

    #[test]
    fn names_are_compared_by_what_they_resolve_to() {
        assert!(connects(&["connect:localhost:80"], "127.0.0.1:80"));
        assert!(!connects(&["connect:localhost:80"], "127.0.0.1:81"));
        assert!(!connects(&["connect:localhost:80"], "192.0.2.1:80"));
        let mut network = network(&["connect:*.example.org:80"]);
        let there = Address::Inet("192.0.2.1:80".parse().unwrap());
        assert!(!network.may_connect(&there));
        assert!(network.may_look_up("www.Example.org."));
        assert!(!network.may_look_up("example.com"));
        network.learn("www.example.org", &["192.0.2.1".parse().unwrap()]);
        assert!(network.may_connect(&there));
    }

    #[test]
    fn senseless_grants_are_refused() {
        for (bad, why) in [
            ("", KINDS),
            ("connect", KINDS),
            ("conect:a", KINDS),
            ("all:x", KINDS),
            ("unix:", KINDS),
            ("x", KINDS),
            ("connect:", HOSTS),
            ("bind:", HOSTS),
            ("connect:a b", HOSTS),
            ("dns:", HOSTS),
            ("connect:*example.org", HOSTS),
            ("bind:[::1:80", HOSTS),
            ("connect:a:b", PORTS),
            ("connect:a:65536", PORTS),
            ("connect:a:1-", PORTS),
            ("connect:a:9-8", "the range of ports ends before it begins"),
            ("connect:1.2.3.4/33", LENGTHS),
            ("connect:[::1]/129", LENGTHS),
            ("connect:::1", BRACKETS),
            ("connect:::1:80", BRACKETS),
            ("connect:2001:db8:1:2:3:4:5:6:80", BRACKETS),
        ] {
            let error = bad.parse::<Grant>().unwrap_err();
            assert_eq!(error.to_string(), format!("{bad:?} is no grant: {why}"));
        }
        assert!(connects(&["connect:[::ffff:127.0.0.1]:80"], "127.0.0.1:80"), "IPv4 written as IPv6");
    }
}
