//! Error numbers. In: a failure of the host (`rustix` or `std::io`) or of a check of ours; out: the number the guest
//! sees. The table below is the only place where the two meet; a host error it does not name becomes `IO`.

use rustix::io::Errno as Host;

macro_rules! errnos {
    ($($name:ident = $number:literal, $text:literal $(, $host:ident)*;)*) => {
        /// An error number of `wasi_snapshot_preview1` (the numbers of `wasi_unstable` are the same); from 77 on, those
        /// that its socket extension adds for name resolution.
        #[allow(missing_docs, reason = "each name is the specification's, and Display says what it means")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        #[repr(u16)]
        pub enum Errno {
            $(#[error($text)] $name = $number,)*
        }

        impl Errno {
            /// Every error number, in ascending order.
            pub const ALL: &'static [Errno] = &[$(Errno::$name),*];
        }

        impl From<Host> for Errno {
            fn from(host: Host) -> Errno {
                match host {
                    $($(Host::$host => Errno::$name,)*)*
                    _ => Errno::Io,
                }
            }
        }
    };
}

errnos! {
    Success = 0, "no error occurred";
    TooBig = 1, "argument list too long", TOOBIG;
    Acces = 2, "permission denied", ACCESS;
    AddrInUse = 3, "address in use", ADDRINUSE;
    AddrNotAvail = 4, "address not available", ADDRNOTAVAIL;
    AfNoSupport = 5, "address family not supported", AFNOSUPPORT;
    Again = 6, "resource unavailable, or operation would block", AGAIN;
    Already = 7, "connection already in progress", ALREADY;
    Badf = 8, "bad file descriptor", BADF;
    BadMsg = 9, "bad message", BADMSG;
    Busy = 10, "device or resource busy", BUSY;
    Canceled = 11, "operation canceled", CANCELED;
    Child = 12, "no child processes", CHILD;
    ConnAborted = 13, "connection aborted", CONNABORTED;
    ConnRefused = 14, "connection refused", CONNREFUSED;
    ConnReset = 15, "connection reset", CONNRESET;
    Deadlk = 16, "resource deadlock would occur", DEADLK;
    DestAddrReq = 17, "destination address required", DESTADDRREQ;
    Dom = 18, "mathematics argument out of domain of function", DOM;
    Dquot = 19, "disk quota exceeded", DQUOT;
    Exist = 20, "file exists", EXIST;
    Fault = 21, "bad address", FAULT;
    Fbig = 22, "file too large", FBIG;
    HostUnreach = 23, "host is unreachable", HOSTUNREACH, HOSTDOWN;
    Idrm = 24, "identifier removed", IDRM;
    Ilseq = 25, "illegal byte sequence", ILSEQ;
    InProgress = 26, "operation in progress", INPROGRESS;
    Intr = 27, "interrupted function", INTR;
    Inval = 28, "invalid argument", INVAL;
    Io = 29, "input/output error", IO;
    IsConn = 30, "socket is connected", ISCONN;
    IsDir = 31, "is a directory", ISDIR;
    Loop = 32, "too many levels of symbolic links", LOOP;
    Mfile = 33, "file descriptor value too large", MFILE;
    Mlink = 34, "too many links", MLINK;
    MsgSize = 35, "message too large", MSGSIZE;
    Multihop = 36, "multihop attempted", MULTIHOP;
    NameTooLong = 37, "filename too long", NAMETOOLONG;
    NetDown = 38, "network is down", NETDOWN;
    NetReset = 39, "connection aborted by network", NETRESET;
    NetUnreach = 40, "network unreachable", NETUNREACH;
    Nfile = 41, "too many files open in system", NFILE;
    NoBufs = 42, "no buffer space available", NOBUFS;
    NoDev = 43, "no such device", NODEV;
    NoEnt = 44, "no such file or directory", NOENT;
    NoExec = 45, "executable file format error", NOEXEC;
    NoLck = 46, "no locks available", NOLCK;
    NoLink = 47, "link has been severed", NOLINK;
    NoMem = 48, "not enough space", NOMEM;
    NoMsg = 49, "no message of the desired type", NOMSG;
    NoProtoOpt = 50, "protocol not available", NOPROTOOPT;
    NoSpc = 51, "no space left on device", NOSPC;
    NoSys = 52, "function not supported", NOSYS;
    NotConn = 53, "the socket is not connected", NOTCONN;
    NotDir = 54, "not a directory or a symbolic link to a directory", NOTDIR;
    NotEmpty = 55, "directory not empty", NOTEMPTY;
    NotRecoverable = 56, "state not recoverable", NOTRECOVERABLE;
    NotSock = 57, "not a socket", NOTSOCK;
    NotSup = 58, "not supported, or operation not supported on socket", NOTSUP;
    NotTty = 59, "inappropriate I/O control operation", NOTTY;
    Nxio = 60, "no such device or address", NXIO;
    Overflow = 61, "value too large to be stored in data type", OVERFLOW;
    OwnerDead = 62, "previous owner died", OWNERDEAD;
    Perm = 63, "operation not permitted", PERM;
    Pipe = 64, "broken pipe", PIPE;
    Proto = 65, "protocol error", PROTO;
    ProtoNoSupport = 66, "protocol not supported", PROTONOSUPPORT;
    Prototype = 67, "protocol wrong type for socket", PROTOTYPE;
    Range = 68, "result too large", RANGE;
    Rofs = 69, "read-only file system", ROFS;
    Spipe = 70, "invalid seek", SPIPE;
    Srch = 71, "no such process", SRCH;
    Stale = 72, "stale file handle", STALE;
    TimedOut = 73, "connection timed out", TIMEDOUT;
    TxtBsy = 74, "text file busy", TXTBSY;
    Xdev = 75, "cross-device link", XDEV;
    NotCapable = 76, "capabilities insufficient";
    AiAddrFamily = 77, "the name has no address of that family";
    AiAgain = 78, "temporary failure in name resolution";
    AiBadFlags = 79, "bad flags for name resolution";
    AiFail = 80, "name resolution failed for good";
    AiFamily = 81, "address family not supported in name resolution";
    AiMemory = 82, "no room for the results of name resolution";
    AiNoData = 83, "the name has no address";
    AiNoName = 84, "name or service not known";
    AiService = 85, "service not known for this kind of socket";
    AiSockType = 86, "kind of socket not supported in name resolution";
    AiSystem = 87, "system error in name resolution";
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Errno {
        use std::io::ErrorKind;
        if let Some(host) = Host::from_io_error(&error) {
            return Errno::from(host);
        }
        // What is left was made by cap-std, not by the kernel: a path that leads out of its directory, and the like.
        match error.kind() {
            ErrorKind::PermissionDenied => Errno::Perm,
            ErrorKind::NotFound => Errno::NoEnt,
            ErrorKind::AlreadyExists => Errno::Exist,
            ErrorKind::InvalidInput => Errno::Inval,
            ErrorKind::NotADirectory => Errno::NotDir,
            ErrorKind::IsADirectory => Errno::IsDir,
            ErrorKind::Unsupported => Errno::NotSup,
            _ => Errno::Io,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_in_order() {
        assert_eq!(Errno::ALL.len(), 88);
        for (number, errno) in Errno::ALL.iter().enumerate() {
            assert_eq!(*errno as usize, number);
        }
    }

    #[test]
    fn host_errors_keep_their_meaning() {
        assert_eq!(Errno::from(Host::NOENT), Errno::NoEnt);
        assert_eq!(Errno::from(Host::XDEV), Errno::Xdev);
        assert_eq!(Errno::from(Host::UCLEAN), Errno::Io);
        assert_eq!(Errno::from(std::io::Error::from(Host::PIPE)), Errno::Pipe);
        let escape = std::io::Error::new(std::io::ErrorKind::PermissionDenied, "outside");
        assert_eq!(Errno::from(escape), Errno::Perm);
    }
}
