//! The cache on disk: which files there are, and how they come and go.
//!
//! In: keys, identities of files, new entries. Out: open files that belong to this user and cannot be written by others, and what
//! links say that this user's key has authenticated.
//!
//! ```text
//!   DIR/code/KEY          an entry (see `format`)
//!   DIR/files/IDENTITY    a symbolic link whose text says which entry is that of a file, and how the entry looked when it was last
//!                         compared with its digests
//!   DIR/new-*             entries that are being written
//!   DIR/profiles, fill    see `profile`
//!   DIR/CACHEDIR.TAG      says that the directory is a cache, and whose
//! ```
//!
//! An *identity* is what the file system says of a file: device, number, size, times of its last modification and last change.
//! The latter cannot be set by programs, so that a file with the same identity has the same contents, provided that the time had moved
//! on since the last change when the contents were looked at: until then a file is *unsettled* and its identity worth nothing.
//!
//! Invariant: entries are complete when they get their names, and are never written to after that; everything may vanish at any moment.
//! Nothing is written into, or removed from, a directory without our tag, and nothing is removed whose name is not of our form.

use super::key::{Digest, hex};
use super::sign::Key;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags, Stat};
use rustix::io::Errno;
use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CODE: &str = "code";
const FILES: &str = "files";
const PROFILES: &str = "profiles";
const LOCK: &str = "fill";
/// Files whose writer must have died.
const ABANDONED: Duration = Duration::from_secs(3600);
/// What tells backup programs that this can be made again, and us that the directory is ours.
const TAG: &str = "CACHEDIR.TAG";
const TAG_TEXT: &[u8] =
    b"Signature: 8a477f597d28d172789f06886806bc55\n# Compiled WebAssembly, made again when it is missing.\n";
const NOT_PRIVATE: &str = "it must belong to this user, and nobody else may be able to write to it";
const NOT_OURS: &str =
    "it holds other things and is not a cache of this command: give an empty directory, or one that does not exist";

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

    /// Device and number.
    pub(crate) fn place(&self) -> (u64, u64) {
        (self.0[0], self.0[1])
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

    /// What a key authenticates.
    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    /// Name of the link of a file, for what depends on that.
    fn name(&self, key: &Key, salt: u128) -> String {
        hex(&key.mac("name", &[&salt.to_le_bytes(), &self.bytes()])[..16])
    }

    /// What seals a file of code with this identity.
    pub(crate) fn seal(&self, key: &Key) -> Seal {
        let mut seal = [0; 16];
        seal.copy_from_slice(&key.mac("seal", &[&self.bytes()])[..16]);
        seal
    }
}

/// A file's identity, authenticated.
pub(crate) type Seal = [u8; 16];

/// The key in links of artifacts, which have no entry in the cache.
pub(crate) const NO_ENTRY: Digest = [0; 32];

/// What is known of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reference {
    /// Key of its entry, or [`NO_ENTRY`].
    pub(crate) key: Digest,
    /// The seal of the file of code when it was last compared with its digests, if it was settled.
    pub(crate) seal: Option<Seal>,
}

impl Reference {
    /// The text of a link, which says which link it is: what was moved to the place of another is worth nothing.
    fn text(&self, key: &Key, name: &str) -> String {
        let seal = self.seal.map_or("-".into(), |s| hex(&s));
        let text = format!("{}:{seal}", hex(&self.key));
        let check = check(key, name, &text);
        format!("{text}:{}", hex(&check))
    }

    fn parse(key: &Key, name: &str, link: &str) -> Option<Reference> {
        let (text, given) = link.rsplit_once(':')?;
        // Comparing takes the same time wherever they differ.
        if blake3::Hash::from_bytes(unhex(given)?) != blake3::Hash::from_bytes(check(key, name, text)) {
            return None;
        }
        let (key, seal) = text.split_once(':')?;
        let seal = if seal == "-" { None } else { Some(unhex(seal)?) };
        Some(Reference { key: unhex(key)?, seal })
    }
}

fn check(key: &Key, name: &str, text: &str) -> Digest {
    key.mac("link", &[name.as_bytes(), text.as_bytes()])
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut d = [0; N];
    if text.len() != N * 2 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in d.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(i * 2..i * 2 + 2)?, 16).ok()?;
    }
    Some(d)
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a name is that of an entry.
fn names_entry(name: &str) -> bool {
    name.len() == 40 && is_hex(name)
}

/// Whether a name is that of a link.
fn names_link(name: &str) -> bool {
    name.len() == 32 && is_hex(name)
}

/// Whether a name is that of a note.
fn names_note(name: &str) -> bool {
    name.split_once('-').is_some_and(|(key, process)| names_entry(key) && is_number(process))
}

/// Whether a name is one that a writer gives to what is not complete.
fn names_temporary(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    matches!(parts[..], ["new", process, n, time] if is_number(process) && is_number(n) && is_hex(time))
}

/// An open cache directory.
pub(crate) struct Directory {
    fd: OwnedFd,
    key: OnceCell<Option<Key>>,
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
        is_private(&fs::fstat(&fd).ok()?).then_some(Directory { fd, key: OnceCell::new() })
    }

    /// The same for somebody who changes it: it has our tag then. `None` if nothing is there.
    ///
    /// # Errors
    /// When it is not private, or not ours.
    pub(crate) fn existing(path: &Path) -> io::Result<Option<Directory>> {
        match Directory::open(path) {
            None if path.exists() => Err(io::Error::new(io::ErrorKind::PermissionDenied, NOT_PRIVATE)),
            None => Ok(None),
            Some(d) if d.is_tagged()? => Ok(Some(d)),
            Some(d) if d.is_empty()? => Ok(None),
            Some(_) => Err(io::Error::new(io::ErrorKind::PermissionDenied, NOT_OURS)),
        }
    }

    /// The same, making it first, and the user's key.
    pub(crate) fn create(path: &Path) -> io::Result<Directory> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        make_folder(fs::CWD, path)?;
        let refused = || io::Error::new(io::ErrorKind::PermissionDenied, NOT_PRIVATE);
        let d = Directory::open(path).ok_or_else(refused)?;
        if !d.is_tagged()? {
            d.tag()?;
        }
        for folder in [CODE, FILES] {
            d.folder(folder)?;
        }
        Ok(Directory { key: OnceCell::from(Some(Key::find_or_make()?)), ..d })
    }

    /// The user's key; without one nothing in here can be told from what others have put there.
    pub(crate) fn key(&self) -> Option<&Key> {
        self.key.get_or_init(Key::find).as_ref()
    }

    fn is_tagged(&self) -> io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        match fs::openat(&self.fd, TAG, flags, Mode::empty()) {
            Ok(fd) => {
                let mut text = Vec::new();
                File::from(fd).take(TAG_TEXT.len() as u64 + 1).read_to_end(&mut text)?;
                Ok(text == TAG_TEXT)
            }
            Err(Errno::NOENT | Errno::LOOP) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether nothing is there but what others who make it just now may have begun.
    fn is_empty(&self) -> io::Result<bool> {
        let mut empty = true;
        self.each(".", |_, name| empty &= names_temporary(name))?;
        Ok(empty)
    }

    /// Makes an empty directory ours.
    fn tag(&self) -> io::Result<()> {
        if !self.is_empty()? {
            // Somebody else may have done so just now.
            return if self.is_tagged()? {
                Ok(())
            } else {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, NOT_OURS))
            };
        }
        let temporary = self.temporary_name();
        let written = self.new_file(&temporary).and_then(|mut file| file.write_all(TAG_TEXT));
        let named = written.and_then(|()| {
            match fs::renameat_with(&self.fd, &temporary, &self.fd, TAG, RenameFlags::NOREPLACE) {
                Err(Errno::INVAL | Errno::NOSYS) => Ok(fs::renameat(&self.fd, &temporary, &self.fd, TAG)?),
                named => Ok(named?),
            }
        });
        if named.is_err() {
            let _ = fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
        }
        if self.is_tagged()? { Ok(()) } else { named }
    }

    /// Opens a folder in it, made if need be; what somebody else has put in its place is refused.
    fn folder(&self, name: &str) -> io::Result<OwnedFd> {
        make_folder(&self.fd, name)?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH | OFlags::NOFOLLOW;
        let folder = fs::openat(&self.fd, name, flags, Mode::empty())?;
        if is_private(&fs::fstat(&folder)?) {
            return Ok(folder);
        }
        let why = format!("`{name}` in it must belong to this user, and nobody else may be able to write to it");
        Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
    }

    fn new_file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// What is known of a file by its identity.
    pub(crate) fn reference(&self, file: &Identity, salt: u128) -> Option<Reference> {
        let key = self.key()?;
        let name = file.name(key, salt);
        let mut room = [MaybeUninit::uninit(); 256];
        let (text, _) = fs::readlinkat_raw(&self.fd, format!("{FILES}/{name}"), &mut room).ok()?;
        Reference::parse(key, &name, std::str::from_utf8(text).ok()?)
    }

    /// Keeps what is known of a file.
    pub(crate) fn refer(&self, file: &Identity, salt: u128, reference: &Reference) -> io::Result<()> {
        let key = self.key().ok_or(io::ErrorKind::NotFound)?;
        let name = file.name(key, salt);
        let temporary = self.temporary_name();
        fs::symlinkat(reference.text(key, &name), &self.fd, &temporary)?;
        let renamed = fs::renameat(&self.fd, &temporary, &self.fd, format!("{FILES}/{name}"));
        if renamed.is_err() {
            let _ = fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
        }
        Ok(renamed?)
    }

    /// Opens an entry that belongs to this user.
    pub(crate) fn entry(&self, key: &Digest) -> Option<(File, Identity)> {
        self.named(&hex(&key[..20]))
    }

    /// The same by its name.
    pub(crate) fn named(&self, name: &str) -> Option<(File, Identity)> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = fs::openat(&self.fd, format!("{CODE}/{name}"), flags, Mode::empty()).ok()?;
        let stat = fs::fstat(&fd).ok()?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        (regular && is_private(&stat)).then(|| (File::from(fd), Identity::from(&stat)))
    }

    /// Removes an entry that turned out to be useless.
    pub(crate) fn remove(&self, key: &Digest) {
        if self.is_tagged().unwrap_or(false) {
            let _ = fs::unlinkat(&self.fd, entry_name(key), AtFlags::empty());
        }
    }

    /// Writes an entry; it gets its name when it is complete.
    pub(crate) fn write(
        &self,
        key: &Digest,
        sync: bool,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let temporary = self.temporary_name();
        let mut file = self.new_file(&temporary)?;
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

    /// The lock of whoever compiles when guests are over.
    pub(crate) fn lock(&self) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        Ok(File::from(fs::openat(&self.fd, LOCK, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Leaves a note about a module.
    pub(crate) fn leave_note(&self, key: &Digest, note: &[u8]) -> io::Result<()> {
        let folder = self.folder(PROFILES)?;
        let temporary = self.temporary_name();
        let written = self.new_file(&temporary).and_then(|mut file| file.write_all(note));
        let name = format!("{}{}", note_prefix(key), std::process::id());
        let named = written.and_then(|()| Ok(fs::renameat(&self.fd, &temporary, &folder, name)?));
        if named.is_err() {
            let _ = fs::unlinkat(&self.fd, &temporary, AtFlags::empty());
        }
        named
    }

    /// Whether there is a note about a module that is no older than that.
    pub(crate) fn has_note(&self, key: &Digest, age: Duration) -> bool {
        let mut found = false;
        let each = self.each(PROFILES, |dir, name| {
            found |= names_note(name) && name.starts_with(&note_prefix(key)) && !is_older(dir, name, age);
        });
        each.is_ok() && found
    }

    /// Takes the notes about a module away, and hands out what is in them.
    pub(crate) fn take_notes(&self, key: &Digest, mut take: impl FnMut(Vec<u8>)) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        self.each(PROFILES, |dir, name| {
            if names_note(name) && name.starts_with(&note_prefix(key)) {
                let mut bytes = Vec::new();
                let file = fs::openat(dir, name, flags, Mode::empty()).map_err(io::Error::from);
                if file.and_then(|fd| File::from(fd).read_to_end(&mut bytes)).is_ok() {
                    take(bytes);
                }
                // Somebody else may have removed it.
                let _ = fs::unlinkat(dir, name, AtFlags::empty());
            }
        })
    }

    /// All entries, those not used for longest first.
    pub(crate) fn entries(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        self.each(CODE, |dir, name| {
            if names_entry(name)
                && let Ok(s) = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
                && FileType::from_raw_mode(s.st_mode) == FileType::RegularFile
            {
                let used = (s.st_atime, s.st_atime_nsec).max((s.st_mtime, s.st_mtime_nsec));
                let used = UNIX_EPOCH + Duration::new(used.0.max(0) as u64, used.1 as u32);
                found.push(Found { name: name.to_string(), bytes: s.st_size as u64, used });
            }
        })?;
        found.sort_by_key(|f| f.used);
        Ok(found)
    }

    /// Removes entries, those not used for longest first, until what is left takes so many bytes at most; and what
    /// writers that died have left. Answers how many entries went, and their bytes. What somebody else removes meanwhile is gone
    /// as well.
    pub(crate) fn prune(&self, limit: u64) -> io::Result<(usize, u64)> {
        let entries = self.entries()?;
        let mut total: u64 = entries.iter().map(|f| f.bytes).sum();
        let mut gone = (0, 0);
        let folder = self.folder(CODE)?;
        for f in &entries {
            if total <= limit {
                break;
            }
            match fs::unlinkat(&folder, &f.name, AtFlags::empty()) {
                Ok(()) => gone = (gone.0 + 1, gone.1 + f.bytes),
                Err(Errno::NOENT) => {}
                Err(e) => return Err(e.into()),
            }
            total -= f.bytes;
        }
        self.sweep(limit == 0)?;
        Ok(gone)
    }

    /// Removes what is of no use: links to entries that are gone, and what writers that died have left; or all links.
    fn sweep(&self, all: bool) -> io::Result<()> {
        self.each(".", |dir, name| {
            if names_temporary(name) && is_older(dir, name, ABANDONED) {
                let _ = fs::unlinkat(dir, name, AtFlags::empty());
            }
        })?;
        self.each(PROFILES, |dir, name| {
            if names_note(name) && (all || is_older(dir, name, ABANDONED)) {
                let _ = fs::unlinkat(dir, name, AtFlags::empty());
            }
        })?;
        self.each(FILES, |dir, name| {
            let Some(link) =
                Some(name).filter(|n| names_link(n)).and_then(|_| fs::readlinkat(dir, name, Vec::new()).ok())
            else {
                return;
            };
            let reference = self.key().zip(link.to_str().ok()).and_then(|(key, l)| Reference::parse(key, name, l));
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

fn note_prefix(key: &Digest) -> String {
    format!("{}-", hex(&key[..20]))
}

fn make_folder(at: impl AsFd, path: impl rustix::path::Arg) -> io::Result<()> {
    match fs::mkdirat(at, path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn is_older(dir: &OwnedFd, name: &str, than: Duration) -> bool {
    let now = SystemTime::now();
    let old = |s: Stat| {
        let written = UNIX_EPOCH + Duration::new(s.st_mtime.max(0) as u64, 0);
        now.duration_since(written).is_ok_and(|age| age > than)
    };
    fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(old)
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
    fn references_are_worth_something_under_their_own_name_and_key_only() {
        let (key, other) = (Key::of([3; 32]), Key::of([4; 32]));
        let r = Reference { key: [7; 32], seal: Some([9; 16]) };
        let text = r.text(&key, "a");
        assert_eq!(Reference::parse(&key, "a", &text), Some(r));
        assert_eq!(Reference::parse(&key, "b", &text), None);
        assert_eq!(Reference::parse(&other, "a", &text), None);
        for i in 0..text.len() {
            assert_eq!(Reference::parse(&key, "a", &text[..i]), None);
            let mut bad = text.clone().into_bytes();
            bad[i] ^= 1;
            assert_eq!(Reference::parse(&key, "a", &String::from_utf8(bad).unwrap()), None, "byte {i}");
        }
        let r = Reference { key: [0xab; 32], seal: None };
        assert_eq!(Reference::parse(&key, "x", &r.text(&key, "x")), Some(r));
    }

    #[test]
    fn only_names_of_our_form_are_ours() {
        let entry = "0123456789abcdef0123456789abcdef01234567";
        assert!(names_entry(entry) && names_link(&entry[..32]) && names_note(&format!("{entry}-12")));
        assert!(names_temporary("new-12-0-17f3a"));
        for foreign in ["thesis.tex", "a.c", "new-house.txt", "new-1-2", "new-1-2-x", "new--0-1", "", "0123", "ABCDEF"]
        {
            let ours = names_entry(foreign) || names_link(foreign) || names_note(foreign) || names_temporary(foreign);
            assert!(!ours, "{foreign:?}");
        }
        assert!(!names_note(&format!("{entry}-")) && !names_entry(&entry.to_uppercase()));
    }
}
