//! Addresses as the socket extension lays them out. In: the guest's `address` (buffer and length) and port; out: an
//! [`Address`], and back. Invariant: the length of the buffer alone says which layout it has: 4 and 16 are the bytes of
//! an IPv4 or IPv6 address, 128 is a storage that begins with the family.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use rustix::net::{SocketAddrAny, SocketAddrUnix};

use crate::Errno;
use crate::memory::GuestMemory;
use crate::net::Version;

/// Bytes of a storage, its family included.
const STORAGE: u32 = 128;

/// The most bytes of the path of an `AF_UNIX` socket.
const SUN_PATH: usize = 108;

/// Address families; the numbers are the extension's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Family {
    Inet4 = 1,
    Inet6 = 2,
    Unix = 3,
}

impl Family {
    pub(crate) fn new(number: u32) -> Result<Family, Errno> {
        match number {
            1 => Ok(Family::Inet4),
            2 => Ok(Family::Inet6),
            3 => Ok(Family::Unix),
            _ => Err(Errno::Inval),
        }
    }
}

/// Where a socket is or shall be.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Inet(SocketAddr),
    Unix(SocketAddrUnix),
}

impl TryFrom<SocketAddrAny> for Address {
    type Error = Errno;

    fn try_from(host: SocketAddrAny) -> Result<Address, Errno> {
        if let Ok(address) = SocketAddr::try_from(host.clone()) {
            return Ok(Address::Inet(address));
        }
        SocketAddrUnix::try_from(host).map(Address::Unix).map_err(|_| Errno::AfNoSupport)
    }
}

/// A guest's buffer for an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffer {
    at: u32,
    len: u32,
}

impl Buffer {
    /// Reads the `address` at `at`: where the buffer is, and how long.
    pub(crate) fn at(mem: &GuestMemory<'_>, at: u32) -> Result<Buffer, Errno> {
        mem.aligned(at, 4)?;
        let buffer = Buffer { at: mem.read_u32(at)?, len: mem.read_u32(at.wrapping_add(4))? };
        mem.check(buffer.at, buffer.len)?;
        Ok(buffer)
    }

    /// The address in the buffer, with a port in the low 16 bits of `port`.
    pub(crate) fn read(self, mem: &GuestMemory<'_>, port: u32, version: Version) -> Result<Address, Errno> {
        let bytes = mem.slice(self.at, self.len)?;
        let inet = |ip| Ok(Address::Inet(SocketAddr::new(ip, port as u16)));
        match (bytes, version) {
            (&[a, b, c, d], _) => inet(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
            (bytes, _) if bytes.len() == 16 => inet(IpAddr::V6(octets6(bytes).into())),
            ([low, high, rest @ ..], Version::Two) if self.len == STORAGE => {
                match Family::new(u16::from_le_bytes([*low, *high]).into())? {
                    Family::Inet4 => inet(IpAddr::V4(Ipv4Addr::new(rest[0], rest[1], rest[2], rest[3]))),
                    Family::Inet6 => inet(IpAddr::V6(octets6(&rest[..16]).into())),
                    Family::Unix => unix(&rest[..SUN_PATH]),
                }
            }
            _ => Err(Errno::Inval),
        }
    }

    /// Whether it is a storage, which begins with the family.
    pub(crate) fn is_storage(self) -> bool {
        self.len == STORAGE
    }

    /// Fails with `INVAL` unless an address can be answered in the buffer, which is asked before anything is received.
    pub(crate) fn check_answer(self, version: Version) -> Result<(), Errno> {
        match (self.len, version) {
            (4 | 16, _) | (STORAGE, Version::Two) => Ok(()),
            _ => Err(Errno::Inval),
        }
    }

    /// Puts an address into the buffer and returns its port. What the address does not need is left as it was.
    pub(crate) fn write(self, mem: &mut GuestMemory<'_>, address: &Address) -> Result<u32, Errno> {
        let storage = self.len == STORAGE;
        let at = if storage { self.at.wrapping_add(2) } else { self.at };
        let family = match address {
            Address::Inet(SocketAddr::V4(address)) => {
                mem.write(at, &address.ip().octets())?;
                Family::Inet4
            }
            Address::Inet(SocketAddr::V6(address)) if self.len >= 16 => {
                mem.write(at, &address.ip().octets())?;
                Family::Inet6
            }
            Address::Unix(address) if storage => {
                write_unix(mem, at, address)?;
                Family::Unix
            }
            _ => return Err(Errno::Inval),
        };
        if storage {
            mem.write_u16(self.at, family as u16)?;
        }
        Ok(match address {
            Address::Inet(address) => address.port().into(),
            Address::Unix(_) => 0,
        })
    }
}

fn octets6(bytes: &[u8]) -> [u8; 16] {
    let mut octets = [0; 16];
    octets.copy_from_slice(bytes);
    octets
}

/// An `AF_UNIX` address: a path up to its NUL, or, after a leading NUL, a name outside the file system.
fn unix(sun_path: &[u8]) -> Result<Address, Errno> {
    let end = |bytes: &[u8]| bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let address = match sun_path {
        [0, name @ ..] => match end(name) {
            0 => SocketAddrUnix::new_unnamed(),
            len => SocketAddrUnix::new_abstract_name(&name[..len])?,
        },
        path => SocketAddrUnix::new(&path[..end(path)])?,
    };
    Ok(Address::Unix(address))
}

fn write_unix(mem: &mut GuestMemory<'_>, at: u32, address: &SocketAddrUnix) -> Result<(), Errno> {
    let mut sun_path = [0; SUN_PATH];
    if let Some(path) = address.path_bytes() {
        let len = path.len().min(SUN_PATH);
        sun_path[..len].copy_from_slice(&path[..len]);
    } else if let Some(name) = address.abstract_name() {
        let len = name.len().min(SUN_PATH - 1);
        sun_path[1..][..len].copy_from_slice(&name[..len]);
    }
    mem.write(at, &sun_path)
}

/// An IPv4 address that is written as IPv6 is taken as what it is, so that one rule covers both.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The unspecified address of a family, port 0: where the host binds by itself.
pub(crate) fn unspecified(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(bytes: &[u8]) -> Vec<u8> {
        let mut memory = vec![0; 256];
        memory[8..][..bytes.len()].copy_from_slice(bytes);
        memory
    }

    fn read(bytes: &[u8], version: Version) -> Result<Address, Errno> {
        let mut memory = memory(bytes);
        Buffer { at: 8, len: bytes.len() as u32 }.read(&GuestMemory::new(&mut memory), 80 | 5 << 16, version)
    }

    #[test]
    fn the_length_says_the_layout() {
        let text = |bytes: &[u8], version| match read(bytes, version)? {
            Address::Inet(address) => Ok(address.to_string()),
            Address::Unix(address) => Ok(format!("{address:?}")),
        };
        assert_eq!(text(&[127, 0, 0, 1], Version::One).unwrap(), "127.0.0.1:80");
        let mut six = [0; 16];
        six[15] = 1;
        assert_eq!(text(&six, Version::Two).unwrap(), "[::1]:80");
        let mut storage = [0u8; 128];
        assert_eq!(text(&storage, Version::Two), Err(Errno::Inval));
        storage[0] = 1;
        storage[2] = 9;
        assert_eq!(text(&storage, Version::Two).unwrap(), "9.0.0.0:80");
        assert_eq!(text(&storage, Version::One), Err(Errno::Inval));
        storage[0] = 3;
        storage[2..7].copy_from_slice(b"/sock");
        assert!(text(&storage, Version::Two).unwrap().contains("/sock"));
        for len in [0, 3, 5, 127] {
            assert_eq!(text(&storage[..len], Version::Two), Err(Errno::Inval));
        }
    }

    #[test]
    fn answers_keep_the_rest_of_the_buffer() {
        let mut memory = vec![0xff; 256];
        let mut mem = GuestMemory::new(&mut memory);
        let address = Address::Inet("1.2.3.4:5".parse().unwrap());
        assert_eq!(Buffer { at: 8, len: 128 }.write(&mut mem, &address), Ok(5));
        assert_eq!(mem.slice(7, 8), Ok(&[0xff, 1, 0, 1, 2, 3, 4, 0xff][..]));
        let six = Address::Inet("[::1]:5".parse().unwrap());
        assert_eq!(Buffer { at: 8, len: 4 }.write(&mut mem, &six), Err(Errno::Inval));
        assert_eq!(Buffer { at: 8, len: 16 }.write(&mut mem, &address), Ok(5));
    }
}
