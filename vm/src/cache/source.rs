//! The file that a module came from, and whether its identity will do next time.
//!
//! In: an open file, its identity, and the bytes that were read from it. Out: the identity, if no change of the file can keep it.
//!
//! Programs that write to a file change its times, those that write to a shared mapping of it do so too, but only when the system
//! notices: at the first access to a page after the system has written it out. So a page that is being written to already changes
//! without a trace. The file is therefore written out, which lets every later access be noticed, then compared with what was
//! read, and then its identity with what it was. Where the file system does not keep times in that way, identities are worth nothing.
//!
//! Invariant: an identity is handed out only if every later change of the file's contents makes another one of it.

use super::directory::Identity;
use super::key::{Digest, digest};
use rustix::fs::{fdatasync, fstatfs};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much of a file is compared at once.
const STEP: usize = 1 << 20;

/// File systems that set a file's times before a page of a shared mapping is written to: ext2 to ext4, XFS, Btrfs, F2FS, bcachefs.
/// Those in memory never do; of those over a network or over others it is not known.
const EXACT: [u64; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0xca45_1a4e];

/// Where a module came from.
pub(crate) enum Source {
    /// A file that the cache knows already.
    Known(Identity),
    /// A file that was read.
    Read {
        /// The open file.
        file: File,
        /// What it was when it was read, settled.
        identity: Identity,
        /// Digest of its contents, if the module was made of them rather than found in them.
        text: Option<Digest>,
    },
}

impl Source {
    /// The file's identity, if the cache may rely on it; `bytes` are what was read.
    pub(crate) fn identity(&self, bytes: &[u8]) -> Option<Identity> {
        match self {
            Source::Known(identity) => Some(*identity),
            Source::Read { file, identity, text } => {
                let exact = fstatfs(file).is_ok_and(|s| EXACT.contains(&(s.f_type as u64)));
                let good = || -> io::Result<bool> {
                    fdatasync(file)?;
                    let same = match text {
                        None => holds(file, bytes)?,
                        Some(text) => digest(&contents(file, identity.len())?) == *text,
                    };
                    Ok(same && Identity::of(file)? == *identity)
                };
                (exact && good().unwrap_or(false)).then_some(*identity)
            }
        }
    }
}

/// Whether a file begins with these bytes.
fn holds(file: &File, bytes: &[u8]) -> io::Result<bool> {
    let mut room = vec![0; STEP.min(bytes.len())];
    for (i, part) in bytes.chunks(STEP).enumerate() {
        let room = &mut room[..part.len()];
        file.read_exact_at(room, (i * STEP) as u64)?;
        if room != part {
            return Ok(false);
        }
    }
    Ok(true)
}

fn contents(file: &File, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
