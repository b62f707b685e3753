//! A stub resolver: asks the servers of `/etc/resolv.conf` for the addresses of a name. In: a name, servers; out:
//! addresses. Invariant: an answer counts only if it came from the server that was asked, with the identifier and the
//! question that were sent; whatever else it contains, reading it ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rustix::rand::{GetRandomFlags, getrandom};

use crate::Errno;

const PORT: u16 = 53;
const HEADER: usize = 12;
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 253;
/// The most pointers followed in one name.
const MAX_JUMPS: usize = 32;
const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;
const CLASS_IN: u16 = 1;

/// Whom to ask, and how.
#[derive(Debug)]
pub(crate) struct Servers {
    addresses: Vec<SocketAddr>,
    search: Vec<String>,
    /// A name with fewer dots is tried with the domains of the search list first.
    ndots: usize,
    timeout: Duration,
    attempts: u32,
}

impl Servers {
    /// Reads the text of a `resolv.conf`.
    pub(crate) fn parse(text: &str) -> Servers {
        let seconds = Duration::from_secs;
        let mut servers =
            Servers { addresses: Vec::new(), search: Vec::new(), ndots: 1, timeout: seconds(5), attempts: 2 };
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A zone, as in `fe80::1%eth0`, is beyond what the standard library can parse.
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    servers.addresses.extend(address.map(|ip| SocketAddr::new(ip, PORT)));
                }
                Some("search" | "domain") => servers.search = words.map(super::resolve::normal).collect(),
                Some("options") => words.for_each(|option| servers.option(option)),
                _ => {}
            }
        }
        if servers.addresses.is_empty() {
            servers.addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)));
        }
        servers
    }

    fn option(&mut self, option: &str) {
        let Some((name, Ok(value))) = option.split_once(':').map(|(name, value)| (name, value.parse::<u32>())) else {
            return;
        };
        match name {
            "ndots" => self.ndots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30).into()),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }

    /// The full names to try for a name, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        let searched = self.search.iter().filter(|domain| !domain.is_empty()).map(|domain| format!("{name}.{domain}"));
        let dots = name.matches('.').count();
        if dots >= self.ndots {
            std::iter::once(name.to_string()).chain(searched).collect()
        } else {
            searched.chain(std::iter::once(name.to_string())).collect()
        }
    }
}

/// The addresses of a name in the families asked for, IPv4 first.
pub(crate) fn addresses(name: &str, servers: &Servers, v4: bool, v6: bool) -> Result<Vec<IpAddr>, Errno> {
    let mut outcome = Err(Errno::AiNoName);
    for candidate in servers.candidates(name) {
        let mut found = Vec::new();
        let mut failed = None;
        for (_, kind) in [(v4, TYPE_A), (v6, TYPE_AAAA)].into_iter().filter(|(wanted, _)| *wanted) {
            match ask(&candidate, kind, servers) {
                Ok(addresses) => found.extend(addresses),
                Err(errno) => failed = Some(errno),
            }
        }
        match (found.is_empty(), failed) {
            (false, _) => return Ok(found),
            (true, None) => outcome = Err(Errno::AiNoData),
            // A name that another candidate may have is worth trying on; a server that does not answer is not.
            (true, Some(Errno::AiNoName)) => {}
            (true, Some(errno)) => return Err(errno),
        }
    }
    outcome
}

/// Asks one server after the other, as often as configured.
fn ask(name: &str, kind: u16, servers: &Servers) -> Result<Vec<IpAddr>, Errno> {
    let mut outcome = Errno::AiAgain;
    for _ in 0..servers.attempts {
        for &server in &servers.addresses {
            let query = query(name, kind)?;
            let answer = match by_udp(server, &query, servers.timeout) {
                Ok(answer) if is_truncated(&answer) => by_tcp(server, &query, servers.timeout),
                answer => answer,
            };
            let Ok(answer) = answer else { continue };
            match read_answer(&answer, name, kind) {
                Err(errno @ Errno::AiAgain) => outcome = errno,
                result => return result,
            }
        }
    }
    Err(outcome)
}

/// A question with a random identifier.
fn query(name: &str, kind: u16) -> Result<Vec<u8>, Errno> {
    let mut id = [0; 2];
    rustix::io::retry_on_intr(|| getrandom(&mut id, GetRandomFlags::empty()))?;
    let mut bytes = vec![id[0], id[1], 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(Errno::AiNoName);
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > MAX_LABEL {
            return Err(Errno::AiNoName);
        }
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(CLASS_IN.to_be_bytes());
    Ok(bytes)
}

/// Whether a message answers a query: its identifier and its question.
fn answers(message: &[u8], query: &[u8]) -> bool {
    let is_response = |message: &[u8]| message[2] & 0x80 != 0;
    message.len() >= query.len()
        && message[..2] == query[..2]
        && is_response(message)
        && message[4..6] == query[4..6]
        && message[HEADER..query.len()].eq_ignore_ascii_case(&query[HEADER..])
}

fn is_truncated(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags & 2 != 0)
}

fn by_udp(server: SocketAddr, query: &[u8], timeout: Duration) -> std::io::Result<Vec<u8>> {
    let own: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((own, 0))?;
    // Connected, so that nobody else's datagrams arrive, and a closed port is an error rather than silence.
    socket.connect(server)?;
    socket.send(query)?;
    let end = Instant::now() + timeout;
    let mut buffer = [0; 4096];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            Ok(len) if answers(&buffer[..len], query) => return Ok(buffer[..len].to_vec()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn by_tcp(server: SocketAddr, query: &[u8], timeout: Duration) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    // A query is shorter than 512 bytes.
    stream.write_all(&[&(query.len() as u16).to_be_bytes(), query].concat())?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut message = vec![0; u16::from_be_bytes(len).into()];
    stream.read_exact(&mut message)?;
    if answers(&message, query) { Ok(message) } else { Err(ErrorKind::InvalidData.into()) }
}

/// A message being read.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

/// A record of an answer, of a type that matters.
enum Record {
    Address(String, IpAddr),
    Alias(String, String),
    Other,
}

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.message.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_be_bytes)
    }

    /// A name in lower case; pointers to earlier parts of the message are followed.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let (mut at, mut jumps) = (self.at, 0);
        loop {
            let len = usize::from(*self.message.get(at)?);
            if len >= 0xc0 {
                let target = (len & 0x3f) << 8 | usize::from(*self.message.get(at + 1)?);
                if jumps == 0 {
                    self.at = at + 2;
                }
                jumps += 1;
                if jumps > MAX_JUMPS {
                    return None;
                }
                at = target;
                continue;
            }
            let label = self.message.get(at + 1..at + 1 + len)?;
            at += 1 + len;
            if len == 0 {
                break;
            }
            if !name.is_empty() {
                name.push('.');
            }
            name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
            if name.len() > 4 * MAX_NAME {
                return None;
            }
        }
        if jumps == 0 {
            self.at = at;
        }
        Some(name)
    }

    fn record(&mut self) -> Option<Record> {
        let owner = self.name()?;
        let (kind, class) = (self.number()?, self.number()?);
        let _time_to_live: [u8; 4] = self.bytes()?;
        let end = usize::from(self.number()?) + self.at;
        let record = match (kind, class) {
            (TYPE_A, CLASS_IN) => Record::Address(owner, self.bytes::<4>()?.into()),
            (TYPE_AAAA, CLASS_IN) => Record::Address(owner, self.bytes::<16>()?.into()),
            (TYPE_CNAME, CLASS_IN) => Record::Alias(owner, self.name()?),
            _ => Record::Other,
        };
        self.at = end;
        Some(record)
    }
}

/// The addresses in an answer, those behind aliases included.
fn read_answer(message: &[u8], name: &str, kind: u16) -> Result<Vec<IpAddr>, Errno> {
    let header = message.first_chunk::<HEADER>().ok_or(Errno::AiAgain)?;
    match header[3] & 0xf {
        0 => {}
        2 | 5 => return Err(Errno::AiAgain),
        3 => return Err(Errno::AiNoName),
        _ => return Err(Errno::AiFail),
    }
    let count = u16::from_be_bytes([header[6], header[7]]);
    let mut reader = Reader { message, at: HEADER };
    reader.name().ok_or(Errno::AiAgain)?;
    reader.at += 4;
    // What cannot be read ends the list.
    let records: Vec<Record> = std::iter::from_fn(|| reader.record()).take(count.into()).collect();
    let mut names = vec![name.to_string()];
    let mut done = 0;
    // Each alias can come in once, so that circles end.
    while let Some(current) = names.get(done).cloned() {
        for record in &records {
            if let Record::Alias(owner, target) = record
                && *owner == current
                && !names.contains(target)
            {
                names.push(target.clone());
            }
        }
        done += 1;
    }
    let addresses = records.into_iter().filter_map(|record| match record {
        Record::Address(owner, ip) if names.contains(&owner) && ip.is_ipv4() == (kind == TYPE_A) => Some(ip),
        _ => None,
    });
    Ok(addresses.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to `query`: an alias of the name, and two addresses of what it stands for.
    fn answer(query: &[u8]) -> Vec<u8> {
        let mut message = query.to_vec();
        message[2] |= 0x80;
        message[7] = 3;
        message.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 1, b'X', 0xc0, 12]);
        let target = (message.len() - 4) as u8;
        for last in [1, 2] {
            message.extend([0xc0, target, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, last]);
        }
        message
    }

    fn servers(address: SocketAddr) -> Servers {
        let mut servers = Servers::parse("options timeout:1 attempts:1");
        servers.addresses = vec![address];
        servers
    }

    #[test]
    fn configurations_are_read() {
        let servers =
            Servers::parse("# no\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nsearch A.org b.org\noptions ndots:2\n");
        assert_eq!(servers.addresses, [SocketAddr::from(([10, 0, 0, 1], 53))]);
        assert_eq!(servers.candidates("x.y"), ["x.y.a.org", "x.y.b.org", "x.y"]);
        assert_eq!(servers.candidates("x.y.z"), ["x.y.z", "x.y.z.a.org", "x.y.z.b.org"]);
        assert_eq!(Servers::parse("").addresses[0].ip(), IpAddr::from([127, 0, 0, 1]));
    }

    #[test]
    fn aliases_are_followed() {
        let query = query("name.test", TYPE_A).unwrap();
        let message = answer(&query);
        assert!(answers(&message, &query));
        let expected = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        assert_eq!(read_answer(&message, "name.test", TYPE_A).unwrap(), expected);
        assert!(read_answer(&message, "other.test", TYPE_A).unwrap().is_empty());
    }

    #[test]
    fn damaged_answers_are_read_to_an_end() {
        let message = answer(&query("name.test", TYPE_A).unwrap());
        for len in 0..message.len() {
            let _ = read_answer(&message[..len], "name.test", TYPE_A);
        }
        for at in 0..message.len() {
            for value in [0, 0x3f, 0x80, 0xc0, 0xff] {
                let mut damaged = message.clone();
                damaged[at] = value;
                let _ = read_answer(&damaged, "name.test", TYPE_A);
            }
        }
    }

    #[test]
    fn names_that_cannot_be_are_not_asked_for() {
        for bad in ["", "a..b", &"x".repeat(64), &"x.".repeat(200)] {
            assert_eq!(query(bad, TYPE_A).err(), Some(Errno::AiNoName));
        }
    }

    #[test]
    fn a_server_is_asked_and_a_false_answer_ignored() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 512];
            for _ in 0..2 {
                let (len, from) = server.recv_from(&mut buffer).unwrap();
                let query = &buffer[..len];
                let mut message = answer(query);
                if query[len - 3] == TYPE_AAAA as u8 {
                    message.truncate(len);
                    message[7] = 0;
                }
                let mut other = message.clone();
                other[0] ^= 1;
                server.send_to(&other, from).unwrap();
                server.send_to(&message, from).unwrap();
            }
        });
        let found = addresses("name.test", &servers(address), true, true).unwrap();
        assert_eq!(found.len(), 2);
        thread.join().unwrap();
    }

    #[test]
    fn a_cut_answer_is_asked_for_again_by_tcp() {
        let stream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = stream.local_addr().unwrap();
        let Ok(server) = UdpSocket::bind(address) else {
            eprintln!("skipped: the port is taken for datagrams");
            return;
        };
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 512];
            let (len, from) = server.recv_from(&mut buffer).unwrap();
            let mut message = buffer[..len].to_vec();
            message[2] |= 0x82;
            server.send_to(&message, from).unwrap();
            let (mut connection, _) = stream.accept().unwrap();
            let mut len = [0; 2];
            connection.read_exact(&mut len).unwrap();
            let mut query = vec![0; u16::from_be_bytes(len).into()];
            connection.read_exact(&mut query).unwrap();
            let message = answer(&query);
            connection.write_all(&[&(message.len() as u16).to_be_bytes()[..], &message].concat()).unwrap();
        });
        assert_eq!(addresses("name.test", &servers(address), true, false).unwrap().len(), 2);
        thread.join().unwrap();
    }

    #[test]
    fn silence_and_closed_ports_are_temporary_failures() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        assert_eq!(addresses("name.test", &servers(address), true, false), Err(Errno::AiAgain));
        drop(server);
        assert_eq!(addresses("name.test", &servers(address), true, false), Err(Errno::AiAgain));
    }
}
