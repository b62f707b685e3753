//! `sock_getaddrinfo`. In: names of a host and a service, hints, and a list of `addrinfo` nodes that the guest made;
//! out: the first nodes filled in place. Invariant: only buffers that the guest's nodes point to are written, each no
//! further than the layout says; the list is followed no further than its given length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::memory::GuestMemory;
use crate::net::address::Family;
use crate::net::resolve;
use crate::types::addrinfoflag as flag;
use crate::{Errno, WasiCtx};

/// Bytes of a host's `sockaddr_in` and `sockaddr_in6`, which `ai_addrlen` tells.
const ADDRLEN: [u32; 2] = [16, 28];

/// Kinds of socket with their protocols, in the order in which they are answered; the numbers are the extension's.
const KINDS: [(u8, u8, &str); 2] = [(2, 1, "tcp"), (1, 2, "udp")];

/// What the guest asks for.
struct Hints {
    flags: u16,
    family: Option<Family>,
    /// 0 for any.
    socktype: u8,
    /// 0 for any.
    protocol: u8,
}

impl Hints {
    fn read(mem: &GuestMemory<'_>, at: u32) -> Result<Hints, Errno> {
        let bytes = mem.slice(at, 8)?;
        let flags = u16::from_le_bytes([bytes[0], bytes[1]]);
        if flags & !flag::ALL != 0 {
            return Err(Errno::AiBadFlags);
        }
        let family = match bytes[2] {
            0 => None,
            1 => Some(Family::Inet4),
            2 => Some(Family::Inet6),
            _ => return Err(Errno::AiFamily),
        };
        let (socktype, protocol) = (bytes[3], bytes[4]);
        if socktype > 2 || protocol > 2 {
            return Err(Errno::NoSys);
        }
        Ok(Hints { flags, family, socktype, protocol })
    }

    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Which kinds of socket the results are for.
    fn kinds(&self) -> impl Iterator<Item = (u8, u8, &'static str)> {
        let (socktype, protocol) = (self.socktype, self.protocol);
        let wanted = move |kind: &(u8, u8, &str)| [0, kind.0].contains(&socktype) && [0, kind.1].contains(&protocol);
        KINDS.into_iter().filter(wanted)
    }
}

/// A string argument, which may end in NUL or not; empty ones are none.
fn name(mem: &GuestMemory<'_>, at: u32, len: u32) -> Result<Option<String>, Errno> {
    if len == 0 {
        return Ok(None);
    }
    let bytes = mem.slice(at, len)?;
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| Errno::AiNoName)?;
    Ok((!text.is_empty()).then(|| text.to_string()))
}

/// Whether this host has a way to others in a family; nothing is sent to find out.
fn is_configured(family: Family) -> bool {
    let (own, other): (IpAddr, IpAddr) = match family {
        Family::Inet6 => (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
        _ => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
    };
    UdpSocket::bind((own, 0)).and_then(|socket| socket.connect((other, 9))).is_ok()
}

/// The addresses of a node in the families that the hints ask for.
fn addresses(node: &str, hints: &Hints) -> Result<Vec<IpAddr>, Errno> {
    if hints.has(flag::NUMERICHOST) && resolve::numeric(node).is_none() {
        return Err(Errno::AiNoName);
    }
    let maps = hints.family == Some(Family::Inet6) && hints.has(flag::V4MAPPED);
    let checks = hints.has(flag::ADDRCONFIG) && resolve::numeric(node).is_none();
    let wanted = |family| {
        (hints.family.is_none_or(|own| own == family) || maps && family == Family::Inet4)
            && (!checks || is_configured(family))
    };
    let mut found = resolve::addresses(node, wanted(Family::Inet4), wanted(Family::Inet6))?;
    if maps {
        if found.iter().any(IpAddr::is_ipv6) && !hints.has(flag::ALL_ADDRESSES) {
            found.retain(IpAddr::is_ipv6);
        }
        for ip in &mut found {
            if let IpAddr::V4(v4) = *ip {
                *ip = v4.to_ipv6_mapped().into();
            }
        }
    }
    Ok(found)
}

/// Where nobody was named: this host, or all of its addresses for who wants to bind.
fn own_addresses(hints: &Hints) -> Vec<IpAddr> {
    let passive = hints.has(flag::PASSIVE);
    let v4 = if passive { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let v6 = if passive { Ipv6Addr::UNSPECIFIED } else { Ipv6Addr::LOCALHOST };
    match hints.family {
        None => vec![v4.into(), v6.into()],
        Some(Family::Inet6) => vec![v6.into()],
        Some(_) => vec![v4.into()],
    }
}

/// One result.
struct Found {
    address: SocketAddr,
    socktype: u8,
    protocol: u8,
}

/// All results, in order: each address for each kind of socket.
fn results(node: Option<Vec<IpAddr>>, service: Option<&str>, hints: &Hints) -> Result<Vec<Found>, Errno> {
    let mut ports = Vec::new();
    let mut failed = Errno::AiSockType;
    for (socktype, protocol, protocol_name) in hints.kinds() {
        let port = match service {
            None => Ok(0),
            Some(service) if hints.has(flag::NUMERICSERV) => service.parse().map_err(|_| Errno::AiNoName),
            Some(service) => resolve::service(service, protocol_name),
        };
        match port {
            Ok(port) => ports.push((socktype, protocol, port)),
            Err(errno) => failed = errno,
        }
    }
    if ports.is_empty() {
        return Err(failed);
    }
    let addresses = node.unwrap_or_else(|| own_addresses(hints));
    if addresses.is_empty() {
        return Err(Errno::AiNoData);
    }
    let with_ports = |ip: IpAddr| {
        let found = |&(socktype, protocol, port): &_| Found { address: SocketAddr::new(ip, port), socktype, protocol };
        ports.iter().map(found).collect::<Vec<_>>()
    };
    Ok(addresses.into_iter().flat_map(with_ports).collect())
}

impl Found {
    /// Fills the node at `at` and the `sockaddr` and buffer behind it.
    fn write(&self, mem: &mut GuestMemory<'_>, at: u32, flags: u16) -> Result<(), Errno> {
        let field = |offset: u32| at.checked_add(offset).ok_or(Errno::Fault);
        let mut data = [0u8; 26];
        data[..2].copy_from_slice(&self.address.port().to_be_bytes());
        let (family, data) = match self.address.ip() {
            IpAddr::V4(ip) => {
                data[2..6].copy_from_slice(&ip.octets());
                (Family::Inet4, &data[..14])
            }
            IpAddr::V6(ip) => {
                data[6..22].copy_from_slice(&ip.octets());
                (Family::Inet6, &data[..])
            }
        };
        mem.write_u16(at, flags)?;
        mem.write(field(2)?, &[family as u8, self.socktype, self.protocol])?;
        mem.write_u32(field(8)?, ADDRLEN[usize::from(family == Family::Inet6)])?;
        let sockaddr = mem.read_u32(field(12)?)?;
        mem.write(sockaddr, &[family as u8])?;
        mem.write_u32(sockaddr.checked_add(4).ok_or(Errno::Fault)?, data.len() as u32)?;
        let buffer = mem.read_u32(sockaddr.checked_add(8).ok_or(Errno::Fault)?)?;
        mem.write(buffer, data)
    }
}

/// Answers the name of a node in the buffer that the first result has for it, as far as its length says.
fn write_canonname(mem: &mut GuestMemory<'_>, first: u32, name: &str) -> Result<(), Errno> {
    let len_at = first.checked_add(20).ok_or(Errno::Fault)?;
    let buffer = mem.read_u32(first.checked_add(16).ok_or(Errno::Fault)?)?;
    // Guests that leave the length at 0 trust in there being room.
    let room = match mem.read_u32(len_at)? {
        0 => name.len(),
        room => room as usize,
    };
    let name = &name.as_bytes()[..name.len().min(room)];
    mem.write(buffer, name)?;
    mem.write_u32(len_at, name.len() as u32)
}

impl WasiCtx {
    /// Resolves the names of a host and a service. This blocks.
    #[allow(clippy::too_many_arguments, reason = "the specification's parameters")]
    pub fn sock_getaddrinfo(
        &mut self,
        mem: &mut GuestMemory<'_>,
        node: u32,
        node_len: u32,
        service: u32,
        service_len: u32,
        hints: u32,
        res: u32,
        max: u32,
        found: u32,
    ) -> Result<(), Errno> {
        mem.aligned(found, 4)?;
        mem.check(found, 4)?;
        mem.aligned(res, 4)?;
        let mut node_at = mem.read_u32(res)?;
        let node = name(mem, node, node_len)?;
        let service = name(mem, service, service_len)?;
        let hints = Hints::read(mem, hints)?;
        if node.is_none() && service.is_none() {
            return Err(Errno::AiNoName);
        }
        if max == 0 {
            return Err(Errno::AiMemory);
        }
        let addresses = match &node {
            None if hints.has(flag::CANONNAME) => return Err(Errno::AiBadFlags),
            None => None,
            Some(node) => Some(self.look_up(node, &hints)?),
        };
        let results = results(addresses, service.as_deref(), &hints)?;
        let first = node_at;
        let mut count = 0;
        for result in results.iter().take(max as usize) {
            result.write(mem, node_at, hints.flags)?;
            node_at = mem.read_u32(node_at.checked_add(24).ok_or(Errno::Fault)?)?;
            count += 1;
            if node_at == 0 {
                break;
            }
        }
        if let (Some(node), true) = (&node, hints.has(flag::CANONNAME)) {
            write_canonname(mem, first, node)?;
        }
        mem.write_u32(found, count)
    }

    fn look_up(&mut self, node: &str, hints: &Hints) -> Result<Vec<IpAddr>, Errno> {
        // A number says nothing that the guest does not know.
        if resolve::numeric(node).is_none() && !self.network.may_look_up(node) {
            return Err(Errno::Acces);
        }
        let addresses = addresses(node, hints)?;
        self.network.learn(node, &addresses);
        Ok(addresses)
    }
}
