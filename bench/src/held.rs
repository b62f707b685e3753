//! What idle connections cost in memory. In: a server that runs, and how many connections to hold; out: bytes a
//! connection, of the guest's own memory, of the rest of the process, and of the kernel for both ends. Invariant: only pages
//! that belong to the process alone count, as `smaps` has them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Reserved address space at least this long that follows a mapping makes it a guest's memory.
const RESERVATION: u64 = 1 << 30;

/// Descriptors that this process needs for itself.
const OWN_DESCRIPTORS: u64 = 64;

/// Bytes of a process, or a connection's share of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) guest: u64,
    pub(crate) host: u64,
    pub(crate) kernel: u64,
}

impl Memory {
    fn of(process: u32) -> Result<Memory, String> {
        let read = |path: &str| fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
        let smaps = read(&format!("/proc/{process}/smaps"))?;
        let status = read(&format!("/proc/{process}/status"))?;
        let sockets = read("/proc/net/sockstat")?;
        let (guest, host) = private(&smaps);
        // The process's page tables are its own too.
        let host = host + kilobytes(&status, "VmPTE:");
        let pages = sockets.lines().find(|l| l.starts_with("TCP:")).and_then(|l| l.split(" mem ").nth(1));
        let pages: u64 = pages.and_then(|p| p.trim().parse().ok()).unwrap_or(0);
        Ok(Memory { guest, host, kernel: kilobytes(&read("/proc/meminfo")?, "Slab:") + pages * 4096 })
    }

    /// What each of `count` adds.
    fn since(self, before: Memory, count: u32) -> Memory {
        let share = |now: u64, then: u64| now.saturating_sub(then) / u64::from(count.max(1));
        Memory {
            guest: share(self.guest, before.guest),
            host: share(self.host, before.host),
            kernel: share(self.kernel, before.kernel),
        }
    }
}

/// A line `Name:   123 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> u64 {
    let number = text.lines().find_map(|l| l.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// The private bytes of guests' memories, and of all other mappings.
fn private(smaps: &str) -> (u64, u64) {
    let (mut guest, mut host) = (0, 0);
    // Where the mapping before ends, and what of it is private: whose it is the next one tells.
    let mut last = (0, 0);
    for line in smaps.lines() {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((start, end)) = first.split_once('-') {
            let number = |hex| u64::from_str_radix(hex, 16).unwrap_or(0);
            let (start, end) = (number(start), number(end));
            let reserved = rest.starts_with("---") && end - start >= RESERVATION && start == last.0;
            *(if reserved { &mut guest } else { &mut host }) += last.1;
            last = (end, 0);
        } else if first == "Private_Clean:" || first == "Private_Dirty:" {
            last.1 += kilobytes(line, first);
        }
    }
    (guest, host + last.1)
}

/// Opens connections, asks each once and leaves it open; what one costs.
pub(crate) fn measure(process: u32, address: SocketAddr, count: u32) -> Result<Memory, String> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).map_err(|e| e.to_string())?;
    if limit.maximum.is_some_and(|most| most < u64::from(count) + OWN_DESCRIPTORS) {
        return Err(format!("{count} descriptors are more than this system allows"));
    }
    let before = Memory::of(process)?;
    let held: Vec<TcpStream> =
        (0..count).map(|_| asked(address)).collect::<std::io::Result<_>>().map_err(|e| e.to_string())?;
    std::thread::sleep(Duration::from_millis(500));
    let after = Memory::of(process)?;
    drop(held);
    Ok(after.since(before, count))
}

/// A connection on which a request was answered.
fn asked(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")?;
    let mut answer = [0; 1024];
    match stream.read(&mut answer)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(stream),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_memory_is_what_its_reservation_follows() {
        let smaps = "1000-2000 rw-p 00000000 00:00 0 [heap]\nPrivate_Clean: 1 kB\nPrivate_Dirty: 2 kB\n\
                     10000-20000 rw-p 00000000 00:00 0\nPrivate_Dirty: 7 kB\n\
                     20000-200000000 ---p 00000000 00:00 0\nPrivate_Dirty: 0 kB\n\
                     300000000-300001000 rw-p 00000000 00:00 0\nPrivate_Dirty: 4 kB\n";
        assert_eq!(private(smaps), (7 * 1024, 7 * 1024));
    }

    #[test]
    fn shares_are_of_what_was_added() {
        let before = Memory { guest: 10, host: 100, kernel: 7 };
        let after = Memory { guest: 1010, host: 300, kernel: 3 };
        assert_eq!(after.since(before, 10), Memory { guest: 100, host: 20, kernel: 0 });
        assert!(Memory::of(std::process::id()).unwrap().host > 0);
    }
}
