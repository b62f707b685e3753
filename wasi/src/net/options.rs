//! Socket options: `sock_getsockopt`, `sock_setsockopt`. In: level, name and a value as the guest's C library lays it
//! out; out: the host's option. Level 0 is the socket itself with the extension's numbers; 6 (TCP) and 41 (IPv6) have
//! the names of the host; `TCP_NODELAY` is set from the start. Invariant: an option that is not listed here is not reached.

use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::socket::{getsockopt, setsockopt, sockopt as more};
use rustix::net::SocketType;
use rustix::net::sockopt::{self, Timeout};

use crate::memory::GuestMemory;
use crate::{Errno, WasiCtx};

/// The longest value that is read or answered.
const MAX_VALUE: usize = 16;

/// What is set or asked; the numbers at level 0 are the extension's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    ReuseAddr,
    Type,
    Error,
    DontRoute,
    Broadcast,
    SndBuf,
    RcvBuf,
    KeepAlive,
    OobInline,
    Linger,
    RcvLowat,
    Timeout(Timeout),
    AcceptConn,
    BindToDevice,
    TcpNoDelay,
    TcpCork,
    TcpKeepIdle,
    TcpKeepIntvl,
    TcpKeepCnt,
    TcpQuickAck,
    TcpUserTimeout,
    V6Only,
}

impl Name {
    fn new(level: u32, name: u32) -> Result<Name, Errno> {
        const SOCKET: [Name; 15] = [
            Name::ReuseAddr,
            Name::Type,
            Name::Error,
            Name::DontRoute,
            Name::Broadcast,
            Name::SndBuf,
            Name::RcvBuf,
            Name::KeepAlive,
            Name::OobInline,
            Name::Linger,
            Name::RcvLowat,
            Name::Timeout(Timeout::Recv),
            Name::Timeout(Timeout::Send),
            Name::AcceptConn,
            Name::BindToDevice,
        ];
        Ok(match (level, name) {
            (0, name) => *SOCKET.get(name as usize).ok_or(Errno::Inval)?,
            (6, 1) => Name::TcpNoDelay,
            (6, 3) => Name::TcpCork,
            (6, 4) => Name::TcpKeepIdle,
            (6, 5) => Name::TcpKeepIntvl,
            (6, 6) => Name::TcpKeepCnt,
            (6, 12) => Name::TcpQuickAck,
            (6, 18) => Name::TcpUserTimeout,
            (41, 26) => Name::V6Only,
            (6 | 41, _) => return Err(Errno::NoProtoOpt),
            _ => return Err(Errno::Inval),
        })
    }
}

/// A value on its way out.
#[derive(Debug, PartialEq, Eq)]
struct Value {
    bytes: [u8; MAX_VALUE],
    len: usize,
}

impl Value {
    fn bytes(from: &[u8]) -> Value {
        let mut bytes = [0; MAX_VALUE];
        let len = from.len().min(MAX_VALUE);
        bytes[..len].copy_from_slice(&from[..len]);
        Value { bytes, len }
    }

    fn number(value: i32) -> Value {
        Value::bytes(&value.to_le_bytes())
    }

    fn flag(value: bool) -> Value {
        Value::number(value.into())
    }

    fn size(value: usize) -> Value {
        Value::number(i32::try_from(value).unwrap_or(i32::MAX))
    }

    fn seconds(value: Duration) -> Value {
        Value::number(i32::try_from(value.as_secs()).unwrap_or(i32::MAX))
    }

    /// Two i32: whether there is one, and its seconds.
    fn linger(value: Option<Duration>) -> Value {
        let seconds = i32::try_from(value.unwrap_or_default().as_secs()).unwrap_or(i32::MAX);
        Value::bytes(&[i32::from(value.is_some()).to_le_bytes(), seconds.to_le_bytes()].concat())
    }

    /// A `timeval`: seconds and microseconds, 64 bits each.
    fn timeval(value: Option<Duration>) -> Value {
        let value = value.unwrap_or_default();
        Value::bytes(&[value.as_secs().to_le_bytes(), u64::from(value.subsec_micros()).to_le_bytes()].concat())
    }
}

fn number(bytes: &[u8]) -> Result<i32, Errno> {
    bytes.first_chunk().map(|bytes| i32::from_le_bytes(*bytes)).ok_or(Errno::Inval)
}

fn long(bytes: &[u8]) -> Result<i64, Errno> {
    bytes.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)).ok_or(Errno::Inval)
}

fn unsigned(bytes: &[u8]) -> Result<u32, Errno> {
    u32::try_from(number(bytes)?).map_err(|_| Errno::Inval)
}

fn timeval(bytes: &[u8]) -> Result<Option<Duration>, Errno> {
    let (seconds, microseconds) = (long(bytes)?, long(bytes.get(8..).ok_or(Errno::Inval)?)?);
    let (Ok(seconds), Ok(microseconds @ 0..1_000_000)) = (u64::try_from(seconds), u32::try_from(microseconds)) else {
        return Err(Errno::Dom);
    };
    // No time at all means without end.
    Ok(Some(Duration::new(seconds, microseconds * 1000)).filter(|time| !time.is_zero()))
}

fn linger(bytes: &[u8]) -> Result<Option<Duration>, Errno> {
    let (on, seconds) = (number(bytes)?, number(bytes.get(4..).ok_or(Errno::Inval)?)?);
    Ok((on != 0).then_some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
}

/// The name of an interface, up to its NUL if it has one.
fn device(bytes: &[u8]) -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt;
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    std::ffi::OsString::from_vec(bytes[..end].to_vec())
}

fn from_nix(errno: nix::errno::Errno) -> Errno {
    rustix::io::Errno::from_raw_os_error(errno as i32).into()
}

fn get(socket: &OwnedFd, name: Name) -> Result<Value, Errno> {
    Ok(match name {
        Name::ReuseAddr => Value::flag(sockopt::socket_reuseaddr(socket)?),
        Name::Type => Value::number(match sockopt::socket_type(socket)? {
            SocketType::DGRAM => 1,
            SocketType::STREAM => 2,
            _ => 0,
        }),
        Name::Error => {
            Value::number(sockopt::socket_error(socket)?.map_or_else(|host| Errno::from(host) as i32, |()| 0))
        }
        Name::DontRoute => Value::flag(getsockopt(socket, more::DontRoute).map_err(from_nix)?),
        Name::Broadcast => Value::flag(sockopt::socket_broadcast(socket)?),
        Name::SndBuf => Value::size(sockopt::socket_send_buffer_size(socket)?),
        Name::RcvBuf => Value::size(sockopt::socket_recv_buffer_size(socket)?),
        Name::KeepAlive => Value::flag(sockopt::socket_keepalive(socket)?),
        Name::OobInline => Value::flag(sockopt::socket_oobinline(socket)?),
        Name::Linger => Value::linger(sockopt::socket_linger(socket)?),
        Name::RcvLowat => Value::number(rawsock::receive_low_water(socket)?),
        Name::Timeout(which) => Value::timeval(sockopt::socket_timeout(socket, which)?),
        Name::AcceptConn => Value::flag(sockopt::socket_acceptconn(socket)?),
        Name::BindToDevice => {
            let name = getsockopt(socket, more::BindToDevice).map_err(from_nix)?;
            match name.as_encoded_bytes() {
                [] => Value::bytes(&[]),
                name => Value::bytes(&[name, &[0]].concat()),
            }
        }
        Name::TcpNoDelay => Value::flag(sockopt::tcp_nodelay(socket)?),
        Name::TcpCork => Value::flag(sockopt::tcp_cork(socket)?),
        Name::TcpKeepIdle => Value::seconds(sockopt::tcp_keepidle(socket)?),
        Name::TcpKeepIntvl => Value::seconds(sockopt::tcp_keepintvl(socket)?),
        Name::TcpKeepCnt => Value::size(sockopt::tcp_keepcnt(socket)? as usize),
        Name::TcpQuickAck => Value::flag(sockopt::tcp_quickack(socket)?),
        Name::TcpUserTimeout => Value::size(sockopt::tcp_user_timeout(socket)? as usize),
        Name::V6Only => Value::flag(sockopt::ipv6_v6only(socket)?),
    })
}

fn set(socket: &OwnedFd, name: Name, value: &[u8]) -> Result<(), Errno> {
    let flag = || Ok::<bool, Errno>(number(value)? != 0);
    let seconds = || Ok::<Duration, Errno>(Duration::from_secs(unsigned(value)?.into()));
    // Sizes are taken as the host takes them: what is too large is cut.
    let size = || Ok::<usize, Errno>(number(value)?.cast_unsigned() as usize);
    match name {
        Name::ReuseAddr => sockopt::set_socket_reuseaddr(socket, flag()?)?,
        Name::Type | Name::Error | Name::AcceptConn => return Err(Errno::NoProtoOpt),
        Name::DontRoute => setsockopt(socket, more::DontRoute, &flag()?).map_err(from_nix)?,
        Name::Broadcast => sockopt::set_socket_broadcast(socket, flag()?)?,
        Name::SndBuf => sockopt::set_socket_send_buffer_size(socket, size()?)?,
        Name::RcvBuf => sockopt::set_socket_recv_buffer_size(socket, size()?)?,
        Name::KeepAlive => sockopt::set_socket_keepalive(socket, flag()?)?,
        Name::OobInline => sockopt::set_socket_oobinline(socket, flag()?)?,
        Name::Linger => sockopt::set_socket_linger(socket, linger(value)?)?,
        Name::RcvLowat => rawsock::set_receive_low_water(socket, number(value)?)?,
        Name::Timeout(which) => sockopt::set_socket_timeout(socket, which, timeval(value)?)?,
        Name::BindToDevice => setsockopt(socket, more::BindToDevice, &device(value)).map_err(from_nix)?,
        Name::TcpNoDelay => sockopt::set_tcp_nodelay(socket, flag()?)?,
        Name::TcpCork => sockopt::set_tcp_cork(socket, flag()?)?,
        Name::TcpKeepIdle => sockopt::set_tcp_keepidle(socket, seconds()?)?,
        Name::TcpKeepIntvl => sockopt::set_tcp_keepintvl(socket, seconds()?)?,
        Name::TcpKeepCnt => sockopt::set_tcp_keepcnt(socket, unsigned(value)?)?,
        Name::TcpQuickAck => sockopt::set_tcp_quickack(socket, flag()?)?,
        Name::TcpUserTimeout => sockopt::set_tcp_user_timeout(socket, unsigned(value)?)?,
        Name::V6Only => sockopt::set_ipv6_v6only(socket, flag()?)?,
    }
    Ok(())
}

impl WasiCtx {
    /// Tells an option's value; `len` says how much room there is, and then how much was used.
    pub fn sock_getsockopt(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        level: u32,
        name: u32,
        value: u32,
        len: u32,
    ) -> Result<(), Errno> {
        mem.aligned(len, 4)?;
        let socket = self.table.get(fd)?.socket()?;
        let room = mem.read_u32(len)?;
        mem.check(value, room)?;
        let answer = get(socket, Name::new(level, name)?)?;
        let used = answer.len.min(room as usize);
        mem.write(value, &answer.bytes[..used])?;
        mem.write_u32(len, used as u32)
    }

    /// Sets an option.
    pub fn sock_setsockopt(
        &mut self,
        mem: &mut GuestMemory<'_>,
        fd: u32,
        level: u32,
        name: u32,
        value: u32,
        len: u32,
    ) -> Result<(), Errno> {
        let socket = self.table.get(fd)?.socket()?;
        let value = mem.slice(value, len)?;
        set(socket, Name::new(level, name)?, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_read_as_they_are_written() {
        for time in [None, Some(Duration::new(3, 5000))] {
            let value = Value::timeval(time);
            assert_eq!((timeval(&value.bytes[..value.len]), value.len), (Ok(time), 16));
        }
        for time in [None, Some(Duration::ZERO), Some(Duration::from_secs(9))] {
            let value = Value::linger(time);
            assert_eq!((linger(&value.bytes[..value.len]), value.len), (Ok(time), 8));
        }
        assert_eq!(timeval(&[0; 15]), Err(Errno::Inval));
        assert_eq!(timeval(&[0xff; 16]), Err(Errno::Dom));
        assert_eq!(number(&[1, 2, 3]), Err(Errno::Inval));
    }

    #[test]
    fn unknown_names_have_their_errno() {
        assert_eq!(Name::new(0, 14), Ok(Name::BindToDevice));
        assert_eq!(Name::new(0, 15), Err(Errno::Inval));
        assert_eq!(Name::new(1, 0), Err(Errno::Inval));
        assert_eq!(Name::new(6, 99), Err(Errno::NoProtoOpt));
    }
}
