//! Numbers and layouts of the interface: rights, flags, file types and the structures that cross guest memory.
//! In: host values; out: bytes as the specification lays them out, little-endian. Where `wasi_unstable` (snapshot 0)
//! differs from `wasi_snapshot_preview1`, the function takes a [`Snapshot`].

use crate::Errno;
use crate::memory::GuestMemory;

/// Which of the two module names a call came through; a few layouts and numberings differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// `wasi_unstable`.
    Zero,
    /// `wasi_snapshot_preview1`.
    One,
}

macro_rules! bits {
    ($(#[$doc:meta])* $module:ident: $type:ty { $($name:ident = $bit:literal;)* }) => {
        $(#[$doc])*
        #[allow(missing_docs, reason = "each name is the specification's")]
        pub mod $module {
            $(pub const $name: $type = 1 << $bit;)*
            /// All bits that have a meaning.
            pub const ALL: $type = $($name)|*;
        }
    };
}

bits! {
    /// What a descriptor may be used for.
    right: u64 {
        FD_DATASYNC = 0; FD_READ = 1; FD_SEEK = 2; FD_FDSTAT_SET_FLAGS = 3; FD_SYNC = 4; FD_TELL = 5; FD_WRITE = 6;
        FD_ADVISE = 7; FD_ALLOCATE = 8; PATH_CREATE_DIRECTORY = 9; PATH_CREATE_FILE = 10; PATH_LINK_SOURCE = 11;
        PATH_LINK_TARGET = 12; PATH_OPEN = 13; FD_READDIR = 14; PATH_READLINK = 15; PATH_RENAME_SOURCE = 16;
        PATH_RENAME_TARGET = 17; PATH_FILESTAT_GET = 18; PATH_FILESTAT_SET_SIZE = 19; PATH_FILESTAT_SET_TIMES = 20;
        FD_FILESTAT_GET = 21; FD_FILESTAT_SET_SIZE = 22; FD_FILESTAT_SET_TIMES = 23; PATH_SYMLINK = 24;
        PATH_REMOVE_DIRECTORY = 25; PATH_UNLINK_FILE = 26; POLL_FD_READWRITE = 27; SOCK_SHUTDOWN = 28; SOCK_ACCEPT = 29;
    }
}

bits! {
    /// Flags of an open descriptor.
    fdflag: u16 { APPEND = 0; DSYNC = 1; NONBLOCK = 2; RSYNC = 3; SYNC = 4; }
}

bits! {
    /// How `path_open` opens.
    oflag: u16 { CREAT = 0; DIRECTORY = 1; EXCL = 2; TRUNC = 3; }
}

bits! {
    /// How paths are resolved.
    lookupflag: u32 { SYMLINK_FOLLOW = 0; }
}

bits! {
    /// Which times `*_filestat_set_times` sets, and from where.
    fstflag: u16 { ATIM = 0; ATIM_NOW = 1; MTIM = 2; MTIM_NOW = 3; }
}

bits! {
    /// Input flags of `sock_recv`.
    riflag: u16 { PEEK = 0; WAITALL = 1; }
}

bits! {
    /// Output flags of `sock_recv`.
    roflag: u16 { DATA_TRUNCATED = 0; }
}

bits! {
    /// Which directions `sock_shutdown` shuts.
    sdflag: u8 { RD = 0; WR = 1; }
}

bits! {
    /// Hints of `sock_getaddrinfo`.
    addrinfoflag: u16 {
        PASSIVE = 0; CANONNAME = 1; NUMERICHOST = 2; NUMERICSERV = 3; V4MAPPED = 4; ALL_ADDRESSES = 5; ADDRCONFIG = 6;
    }
}

bits! {
    /// Flags of a clock subscription.
    subclockflag: u16 { ABSTIME = 0; }
}

bits! {
    /// Flags of a read or write event.
    eventrwflag: u16 { HANGUP = 0; }
}

/// Sets of rights by kind of descriptor.
pub(crate) mod rights {
    use super::right::*;

    /// What applies to a directory itself.
    pub(crate) const DIRECTORY: u64 = PATH_CREATE_DIRECTORY
        | PATH_CREATE_FILE
        | PATH_LINK_SOURCE
        | PATH_LINK_TARGET
        | PATH_OPEN
        | FD_READDIR
        | PATH_READLINK
        | PATH_RENAME_SOURCE
        | PATH_RENAME_TARGET
        | PATH_FILESTAT_GET
        | PATH_FILESTAT_SET_SIZE
        | PATH_FILESTAT_SET_TIMES
        | PATH_SYMLINK
        | PATH_REMOVE_DIRECTORY
        | PATH_UNLINK_FILE
        | FD_FILESTAT_GET
        | FD_FILESTAT_SET_TIMES;

    /// What applies to terminals, pipes and other things without a position. A guest's C library takes a character
    /// device without `FD_SEEK` and `FD_TELL` for a terminal.
    pub(crate) const STREAM: u64 =
        FD_READ | FD_WRITE | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | FD_SYNC | FD_DATASYNC | POLL_FD_READWRITE;

    /// What applies to regular files and to devices with a position.
    pub(crate) const FILE: u64 =
        STREAM | FD_SEEK | FD_TELL | FD_ADVISE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE | FD_FILESTAT_SET_TIMES;

    /// What applies to a connected socket.
    pub(crate) const SOCKET: u64 =
        FD_READ | FD_WRITE | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE | SOCK_SHUTDOWN;

    /// What applies to a listening socket.
    pub(crate) const LISTENER: u64 =
        FD_READ | FD_FDSTAT_SET_FLAGS | FD_FILESTAT_GET | POLL_FD_READWRITE | SOCK_ACCEPT | SOCK_SHUTDOWN;

    /// What applies to a socket that the guest opened, of which it is not known yet what will become of it.
    pub(crate) const OPENED_SOCKET: u64 = SOCKET | LISTENER;

    /// What anything opened by path can have.
    pub(crate) const BY_PATH: u64 = DIRECTORY | FILE;

    /// What needs a descriptor that the host opened for writing.
    pub(crate) const NEEDS_WRITE: u64 = FD_WRITE | FD_ALLOCATE | FD_FILESTAT_SET_SIZE;
}

/// What kind of thing a descriptor or a directory entry is.
#[allow(missing_docs, reason = "each name is the specification's")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FileType {
    Unknown = 0,
    BlockDevice = 1,
    CharacterDevice = 2,
    Directory = 3,
    RegularFile = 4,
    SocketDgram = 5,
    SocketStream = 6,
    SymbolicLink = 7,
}

impl From<rustix::fs::FileType> for FileType {
    fn from(host: rustix::fs::FileType) -> FileType {
        use rustix::fs::FileType as Host;
        match host {
            Host::RegularFile => FileType::RegularFile,
            Host::Directory => FileType::Directory,
            Host::Symlink => FileType::SymbolicLink,
            Host::BlockDevice => FileType::BlockDevice,
            Host::CharacterDevice => FileType::CharacterDevice,
            // Which kind of socket a directory entry is cannot be told; almost all are stream sockets.
            Host::Socket => FileType::SocketStream,
            // The interface has no number for pipes.
            Host::Fifo | Host::Unknown => FileType::Unknown,
        }
    }
}

/// What `fd_seek` seeks from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whence {
    Set,
    Cur,
    End,
}

impl Whence {
    /// The numbering differs between the two snapshots.
    pub(crate) fn new(snapshot: Snapshot, number: u32) -> Result<Whence, Errno> {
        let order = match snapshot {
            Snapshot::Zero => [Whence::Cur, Whence::End, Whence::Set],
            Snapshot::One => [Whence::Set, Whence::Cur, Whence::End],
        };
        order.get(number as usize).copied().ok_or(Errno::Inval)
    }
}

/// Checks that `value` has no bit outside of `all`, and narrows it.
pub(crate) fn flags<T: TryFrom<u32> + Into<u64> + Copy>(value: u32, all: T) -> Result<T, Errno> {
    if u64::from(value) & !all.into() != 0 {
        return Err(Errno::Inval);
    }
    T::try_from(value).map_err(|_| Errno::Inval)
}

/// Attributes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filestat {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) filetype: FileType,
    pub(crate) nlink: u64,
    pub(crate) size: u64,
    pub(crate) atim: u64,
    pub(crate) mtim: u64,
    pub(crate) ctim: u64,
}

/// Times before 1970 have no representation and become 0.
pub(crate) fn timestamp(seconds: i64, nanoseconds: i64) -> u64 {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    u64::try_from(total.max(0)).unwrap_or(u64::MAX)
}

impl Filestat {
    /// What is known of a descriptor that has no file behind it.
    pub(crate) fn of_type(filetype: FileType) -> Filestat {
        Filestat { dev: 0, ino: 0, filetype, nlink: 0, size: 0, atim: 0, mtim: 0, ctim: 0 }
    }

    pub(crate) fn write(&self, mem: &mut GuestMemory<'_>, at: u32, snapshot: Snapshot) -> Result<(), Errno> {
        let mut bytes = [0u8; 64];
        bytes[0..8].copy_from_slice(&self.dev.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.ino.to_le_bytes());
        bytes[16] = self.filetype as u8;
        let tail = match snapshot {
            Snapshot::Zero => {
                let nlink = u32::try_from(self.nlink).unwrap_or(u32::MAX);
                bytes[20..24].copy_from_slice(&nlink.to_le_bytes());
                24
            }
            Snapshot::One => {
                bytes[24..32].copy_from_slice(&self.nlink.to_le_bytes());
                32
            }
        };
        for (index, field) in [self.size, self.atim, self.mtim, self.ctim].into_iter().enumerate() {
            bytes[tail + index * 8..][..8].copy_from_slice(&field.to_le_bytes());
        }
        mem.write(at, &bytes[..tail + 32])
    }
}

/// Writes an `fdstat`.
pub(crate) fn write_fdstat(
    mem: &mut GuestMemory<'_>,
    at: u32,
    filetype: FileType,
    flags: u16,
    base: u64,
    inheriting: u64,
) -> Result<(), Errno> {
    let mut bytes = [0u8; 24];
    bytes[0] = filetype as u8;
    bytes[2..4].copy_from_slice(&flags.to_le_bytes());
    bytes[8..16].copy_from_slice(&base.to_le_bytes());
    bytes[16..24].copy_from_slice(&inheriting.to_le_bytes());
    mem.write(at, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filestat_layouts_differ_in_nlink() {
        let stat =
            Filestat { dev: 1, ino: 2, filetype: FileType::RegularFile, nlink: 3, size: 4, atim: 5, mtim: 6, ctim: 7 };
        let mut bytes = [0xffu8; 72];
        stat.write(&mut GuestMemory::new(&mut bytes), 0, Snapshot::One).unwrap();
        let field = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!([field(0), field(8), field(24), field(32), field(40), field(48), field(56)], [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((bytes[16], bytes[64]), (4, 0xff));

        let mut bytes = [0xffu8; 72];
        stat.write(&mut GuestMemory::new(&mut bytes), 0, Snapshot::Zero).unwrap();
        let field = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        assert_eq!(u32::from_le_bytes(bytes[20..24].try_into().unwrap()), 3);
        assert_eq!([field(24), field(32), field(40), field(48)], [4, 5, 6, 7]);
        assert_eq!(bytes[56], 0xff);
    }

    #[test]
    fn whence_numbering_differs() {
        assert_eq!(Whence::new(Snapshot::One, 0), Ok(Whence::Set));
        assert_eq!(Whence::new(Snapshot::Zero, 0), Ok(Whence::Cur));
        assert_eq!(Whence::new(Snapshot::Zero, 2), Ok(Whence::Set));
        assert_eq!(Whence::new(Snapshot::One, 3), Err(Errno::Inval));
    }

    #[test]
    fn unknown_flags_are_refused() {
        assert_eq!(flags(3, fdflag::ALL), Ok(3u16));
        assert_eq!(flags(32, fdflag::ALL), Err(Errno::Inval));
        assert_eq!(flags(1 << 16, fdflag::ALL), Err(Errno::Inval));
    }

    #[test]
    fn times_out_of_range_are_clamped() {
        assert_eq!(timestamp(-1, 0), 0);
        assert_eq!(timestamp(1, 5), 1_000_000_005);
        assert_eq!(timestamp(i64::MAX, 0), u64::MAX);
    }
}
