//! The cache on disk: which files there are, and how they come and go.
//!
//! In: keys, identities of files, new entries. Out: open files that belong to this user and cannot be written by others.
//!
//! ```text
//!   DIR/code/KEY          an entry (see `format`)
//!   DIR/files/IDENTITY    a symbolic link whose text says which entry is that of a file, and how the entry looked when it was last
//!                         compared with its digests
//!   DIR/new-*             entries that are being written
//!   DIR/profiles, fill    see `profile`
//! ```
//!
//! An *identity* is what the file system says of a file: device, number, size, times of its last modification and last change.
//! The latter cannot be set by programs, so that a file with the same identity has the same contents, provided that the time had moved
//! on since the last change when the contents were looked at: until then a file is *unsettled* and its identity worth nothing.
//!
//! Invariant: entries are complete when they get their names, and are never written to after that; everything may vanish at any moment.

use super::key::{Digest, fingerprint, hex};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CODE: &str = "code";
const FILES: &str = "files";
/// Files whose writer must have died.
const ABANDONED: Duration = Duration::from_secs(3600);
/// What tells backup programs that this can be made again.
const TAG: &str = "CACHEDIR.TAG";
const TAG_TEXT: &[u8] =
    b"Signature: 8a477f597d28d172789f06886806bc55\n# Compiled WebAssembly, made again when it is missing.\n";

/// What the file system says of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity([u64; 7]);

impl Identity {
    pub(crate) fn of(file: impl AsFd) -> io::Result<Identity> {
        Ok(Identity::from(&fs::fstat(file)?))
    }

    fn from(s: &Stat) -> Identity {
        let n = [s.st_mtime as u64, s.st_mtime_nsec, s.st_ctime as u64, s.st_ctime_nsec];
        Identity([s.st_dev, s.st_ino, s.st_size as u64, n[0], n[1], n[2], n[3]])
    }

    pub(crate) fn len(&self) -> u64 {
        self.0[2]
    }

    /// Whether a change from now on would be seen. What has no length is no file.
    pub(crate) fn is_settled(&self) -> bool {
        if self.len() == 0 {
            return false;
        }
        let changed = Duration::new(self.0[5], self.0[6] as u32);
        let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return false };
        // Some file systems keep whole seconds, and clocks of others tick a hundred times a second.
        let grain = if self.0[6] == 0 { Duration::from_secs(3) } else { Duration::from_millis(50) };
        now.checked_sub(changed).is_some_and(|age| age > grain)
    }

    /// Name of the link of a file, for what depends on that.
    fn name(&self, salt: u128) -> String {
        format!("{:032x}", fingerprint((salt, self.0)))
    }
}

/// The key in links of artifacts, which have no entry in the cache.
pub(crate) const NO_ENTRY: Digest = [0; 32];

/// What is known of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reference {
    /// Key of its entry, or [`NO_ENTRY`].
    pub(crate) key: Digest,
    /// The entry's identity, as a hash, when it was last compared with its digests, if it was settled.
    pub(crate) seal: Option<u128>,
}

impl Reference {
    /// The text of a link, which says which link it is: what was moved to the place of another is worth nothing.
    fn text(&self, name: &str) -> String {
        let seal = self.seal.map_or("-".into(), |s| format!("{s:032x}"));
        let text = format!("{}:{seal}", hex(&self.key));
        let check = check(name, &text);
        format!("{text}:{check}")
    }

    fn parse(name: &str, link: &str) -> Option<Reference> {
        let (text, given) = link.rsplit_once(':')?;
        if given != check(name, text) {
            return None;
        }
        let (key, seal) = text.split_once(':')?;
        let seal = if seal == "-" { None } else { Some(u128::from_str_radix(seal, 16).ok()?) };
        Some(Reference { key: unhex(key)?, seal })
    }
}

fn check(name: &str, text: &str) -> String {
    format!("{:032x}", fingerprint((name, text)))
}

fn unhex(text: &str) -> Option<Digest> {
    let mut d = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in d.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(i * 2..i * 2 + 2)?, 16).ok()?;
    }
    Some(d)
}

/// An open cache directory.
pub(crate) struct Directory {
    fd: OwnedFd,
}

/// An entry as the file system sees it.
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// When it was last used or written, as far as the file system keeps that.
    pub(crate) used: SystemTime,
}

fn is_private(s: &Stat) -> bool {
    s.st_uid == rustix::process::geteuid().as_raw() && s.st_mode & 0o022 == 0
}

/// Whether a file belongs to this user, and nobody else may write to it.
pub(crate) fn is_private_file(file: &File) -> bool {
    fs::fstat(file).is_ok_and(|s| is_private(&s))
}

impl Directory {
    /// Opens the directory if it is there, belongs to this user, and nobody else may write to it.
    pub(crate) fn open(path: &Path) -> Option<Directory> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH;
        let fd = fs::open(path, flags, Mode::empty()).ok()?;
        is_private(&fs::fstat(&fd).ok()?).then_some(Directory { fd })
    }

    /// The same, making it first.
    pub(crate) fn create(path: &Path) -> io::Result<Directory> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        for dir in [path.to_path_buf(), path.join(CODE), path.join(FILES)] {
            match fs::mkdir(&dir, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
        }
        let d = Directory::open(path).ok_or_else(|| {
            let why = "it must belong to this user, and nobody else may be able to write to it";
            io::Error::new(io::ErrorKind::PermissionDenied, why)
        })?;
        if fs::accessat(&d.fd, TAG, fs::Access::EXISTS, AtFlags::empty()).is_err() {
            // A courtesy; nothing depends on it.
            let _ = std::fs::write(path.join(TAG), TAG_TEXT);
        }
        Ok(d)
    }

    /// What is known of a file by its identity.
    pub(crate) fn reference(&self, file: &Identity, salt: u128) -> Option<Reference> {
        let name = file.name(salt);
        let mut room = [MaybeUninit::uninit(); 256];
        let (text, _) = fs::readlinkat_raw(&self.fd, format!("{FILES}/{name}"), &mut room).ok()?;
        Reference::parse(&name, std::str::from_utf8(text).ok()?)
    }

    /// Keeps what is known of a file.
    pub(crate) fn refer(&self, file: &Identity, salt: u128, reference: &Reference) -> io::Result<()> {
        let name = file.name(salt);
        let temporary = self.temporary_name();
        fs::symlinkat(reference.text(&name), &self.fd, &temporary)?;
        let renamed = fs::renameat(&self.fd, &temporary, &self.fd, format!("{FILES}/{name}"));
        if renamed.is_err() {
            let _ = fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
        }
        Ok(renamed?)
    }

    /// Opens an entry that belongs to this user.
    pub(crate) fn entry(&self, key: &Digest) -> Option<(File, Identity)> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = fs::openat(&self.fd, entry_name(key), flags, Mode::empty()).ok()?;
        let stat = fs::fstat(&fd).ok()?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        (regular && is_private(&stat)).then(|| (File::from(fd), Identity::from(&stat)))
    }

    /// Removes an entry that turned out to be useless.
    pub(crate) fn remove(&self, key: &Digest) {
        let _ = fs::unlinkat(&self.fd, entry_name(key), AtFlags::empty());
    }

    /// Writes an entry; it gets its name when it is complete.
    pub(crate) fn write(
        &self,
        key: &Digest,
        sync: bool,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let temporary = self.temporary_name();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = File::from(fs::openat(&self.fd, &temporary, flags, Mode::RUSR | Mode::WUSR)?);
        let written = write(&mut file)
            .and_then(|()| if sync { file.sync_data() } else { Ok(()) })
            .and_then(|()| Ok(fs::renameat(&self.fd, &temporary, &self.fd, entry_name(key))?));
        if written.is_err() {
            let _ = fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
        }
        written
    }

    fn temporary_name(&self) -> String {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("new-{}-{n}-{:x}", std::process::id(), now.as_nanos())
    }

    /// All entries, those not used for longest first.
    pub(crate) fn entries(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        self.each(CODE, |dir, name| {
            if let Ok(s) = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                let used = (s.st_atime, s.st_atime_nsec).max((s.st_mtime, s.st_mtime_nsec));
                let used = UNIX_EPOCH + Duration::new(used.0.max(0) as u64, used.1 as u32);
                found.push(Found { name: name.to_string(), bytes: s.st_size as u64, used });
            }
        })?;
        found.sort_by_key(|f| f.used);
        Ok(found)
    }

    /// Path of an entry under the directory.
    pub(crate) fn path_of(name: &str) -> PathBuf {
        Path::new(CODE).join(name)
    }

    /// Removes entries, those not used for longest first, until what is left takes so many bytes at most; and what
    /// writers that died have left. Answers how many entries went, and their bytes.
    pub(crate) fn prune(&self, limit: u64) -> io::Result<(usize, u64)> {
        let entries = self.entries()?;
        let mut total: u64 = entries.iter().map(|f| f.bytes).sum();
        let mut gone = (0, 0);
        for f in &entries {
            if total <= limit {
                break;
            }
            fs::unlinkat(&self.fd, Self::path_of(&f.name), AtFlags::empty())?;
            total -= f.bytes;
            gone = (gone.0 + 1, gone.1 + f.bytes);
        }
        self.sweep(limit == 0)?;
        Ok(gone)
    }

    /// Removes what is of no use: links to entries that are gone, and what writers that died have left; or all links.
    fn sweep(&self, all: bool) -> io::Result<()> {
        let now = SystemTime::now();
        let abandoned = |dir: &OwnedFd, name: &str| {
            let old = |s: Stat| {
                let written = UNIX_EPOCH + Duration::new(s.st_mtime.max(0) as u64, 0);
                now.duration_since(written).is_ok_and(|age| age > ABANDONED)
            };
            fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(old)
        };
        self.each(".", |dir, name| {
            if name.starts_with("new-") && abandoned(dir, name) {
                let _ = fs::unlinkat(dir, name, AtFlags::empty());
            }
        })?;
        self.each("profiles", |dir, name| {
            if all || abandoned(dir, name) {
                let _ = fs::unlinkat(dir, name, AtFlags::empty());
            }
        })?;
        self.each(FILES, |dir, name| {
            let link = fs::readlinkat(dir, name, Vec::new()).ok();
            let reference = link.and_then(|l| Reference::parse(name, l.to_str().ok()?));
            let entry = |key: &Digest| fs::statat(&self.fd, entry_name(key), AtFlags::SYMLINK_NOFOLLOW);
            let there = reference.is_some_and(|r| r.key == NO_ENTRY || entry(&r.key).is_ok());
            if all || !there {
                let _ = fs::unlinkat(dir, name, AtFlags::empty());
            }
        })
    }

    /// Calls a function for each name in a folder.
    fn each(&self, folder: &str, mut act: impl FnMut(&OwnedFd, &str)) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let dir = match fs::openat(&self.fd, folder, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            dir => dir?,
        };
        let mut names = Vec::new();
        let mut buffer = Vec::with_capacity(16 << 10);
        let mut entries = RawDir::new(&dir, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            if let Ok(name) = entry?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_string());
            }
        }
        names.iter().for_each(|n| act(&dir, n));
        Ok(())
    }
}

fn entry_name(key: &Digest) -> String {
    format!("{CODE}/{}", hex(&key[..20]))
}

/// What seals an entry with that identity.
pub(crate) fn seal(entry: &Identity) -> u128 {
    fingerprint(entry.0)
}

/// Waits until a file is settled, at most a few seconds.
pub(crate) fn settle(identity: &Identity) -> bool {
    for _ in 0..100 {
        if identity.is_settled() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(40));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_worth_something_under_their_own_name_only() {
        let r = Reference { key: [7; 32], seal: Some(9) };
        let text = r.text("a");
        assert_eq!(Reference::parse("a", &text), Some(r));
        assert_eq!(Reference::parse("b", &text), None);
        for i in 0..text.len() {
            assert_eq!(Reference::parse("a", &text[..i]), None);
            let mut bad = text.clone().into_bytes();
            bad[i] ^= 1;
            assert_eq!(Reference::parse("a", &String::from_utf8(bad).unwrap()), None, "byte {i}");
        }
        let r = Reference { key: [0xab; 32], seal: None };
        assert_eq!(Reference::parse("x", &r.text("x")), Some(r));
    }
}
