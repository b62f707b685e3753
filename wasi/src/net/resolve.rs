//! Names of hosts and services to numbers, without the C library, so that it works in a static program too.
//! In: a name; out: addresses, IPv4 ones first. Invariant: numbers, `localhost` and `/etc/hosts` are asked before any
//! packet is sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Errno;
use crate::net::dns;

/// A name in lower case, without the dot that ends it.
pub(crate) fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether a name (see [`normal`]) means this host whatever any server says.
pub(crate) fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// The address that a name is in itself.
pub(crate) fn numeric(name: &str) -> Option<IpAddr> {
    name.parse().ok()
}

/// Resolves a name, to the families asked for.
pub(crate) fn addresses(name: &str, v4: bool, v6: bool) -> Result<Vec<IpAddr>, Errno> {
    let wanted = |ip: &IpAddr| if ip.is_ipv4() { v4 } else { v6 };
    if let Some(ip) = numeric(name) {
        return if wanted(&ip) { Ok(vec![ip]) } else { Err(Errno::AiAddrFamily) };
    }
    let name = normal(name);
    let mut found = from_hosts(&read("/etc/hosts"), &name);
    if found.is_empty() && is_localhost(&name) {
        found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    if !found.is_empty() {
        found.retain(wanted);
        found.sort_by_key(IpAddr::is_ipv6);
        return if found.is_empty() { Err(Errno::AiAddrFamily) } else { Ok(found) };
    }
    dns::addresses(&name, &dns::Servers::parse(&read("/etc/resolv.conf")), v4, v6)
}

/// The number of a service: a number already, or listed in `/etc/services` for the protocol.
pub(crate) fn service(name: &str, protocol: &str) -> Result<u16, Errno> {
    if let Ok(port) = name.parse() {
        return Ok(port);
    }
    let listed = from_services(&read("/etc/services"), name, protocol);
    // A few that programs name, for hosts without the list.
    let known = match name {
        "http" => Some(80),
        "https" => Some(443),
        "domain" => Some(53),
        _ => None,
    };
    listed.or(known).ok_or(Errno::AiService)
}

/// A file's text. One that is missing has none.
fn read(path: &str) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The words of each line, comments left out.
fn lines(text: &str) -> impl Iterator<Item = impl Iterator<Item = &str>> {
    text.lines().map(|line| line.split('#').next().unwrap_or_default().split_whitespace())
}

fn from_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for mut words in lines(text) {
        if let Some(Ok(ip)) = words.next().map(str::parse::<IpAddr>)
            && words.any(|word| normal(word) == name)
            && !found.contains(&ip)
        {
            found.push(ip);
        }
    }
    found
}

fn from_services(text: &str, name: &str, protocol: &str) -> Option<u16> {
    lines(text).find_map(|mut words| {
        let first = words.next()?;
        let (port, of) = words.next()?.split_once('/')?;
        let named = first == name || words.any(|alias| alias == name);
        if named && (of == protocol || protocol.is_empty()) { port.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: &str = "127.0.0.1 localhost # here\n::1 localhost ip6-localhost\n\n10.0.0.1\tServer.example server\n";

    #[test]
    fn hosts_are_found_by_any_of_their_names() {
        assert_eq!(from_hosts(HOSTS, "server"), [IpAddr::from([10, 0, 0, 1])]);
        assert_eq!(from_hosts(HOSTS, "server.example"), [IpAddr::from([10, 0, 0, 1])]);
        assert_eq!(from_hosts(HOSTS, "localhost").len(), 2);
        assert!(from_hosts(HOSTS, "here").is_empty());
    }

    #[test]
    fn services_have_numbers_by_protocol() {
        const SERVICES: &str = "domain 53/tcp\ndomain 53/udp\nhttp-alt 8080/tcp webcache # more\n";
        assert_eq!(from_services(SERVICES, "webcache", "tcp"), Some(8080));
        assert_eq!(from_services(SERVICES, "webcache", "udp"), None);
        assert_eq!(from_services(SERVICES, "domain", ""), Some(53));
        assert_eq!(service("8081", "tcp"), Ok(8081));
        assert_eq!(service("65536", "tcp"), Err(Errno::AiService));
        assert_eq!(service("https", "tcp"), Ok(443));
    }

    #[test]
    fn numbers_and_this_host_need_no_server() {
        assert_eq!(addresses("::1", true, true), Ok(vec![Ipv6Addr::LOCALHOST.into()]));
        assert_eq!(addresses("::1", true, false), Err(Errno::AiAddrFamily));
        assert_eq!(addresses("localhost", true, false), Ok(vec![Ipv4Addr::LOCALHOST.into()]));
        assert_eq!(addresses("A.LocalHost.", true, false), Ok(vec![Ipv4Addr::LOCALHOST.into()]));
    }
}
