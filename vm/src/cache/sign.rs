//! This user's key, with which artifacts are signed and everything in the cache is authenticated.
//!
//! In: the digest of an artifact or entry, or what a link of the cache says. Out: a keyed BLAKE3 hash of it, which nobody can make
//! who cannot read the key. The key is made on first use: 32 random bytes in a file that only this user may read.
//! Invariant: what is signed for one purpose is worth nothing for another.

use super::key::Digest;
use rustix::fs::{self, Mode, OFlags, RenameFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A key of this user's.
pub(crate) struct Key(Digest);

/// Where the key is: `VM_KEY_FILE`, or `vm/key` in the user's data directory.
fn path() -> Option<PathBuf> {
    chosen().or_else(|| folder().map(|d| d.join("key")))
}

/// What `VM_KEY_FILE` says.
fn chosen() -> Option<PathBuf> {
    std::env::var_os("VM_KEY_FILE").filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// Our folder in the user's data directory.
fn folder() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let data = var("XDG_DATA_HOME").filter(|p| p.is_absolute()).or(var("HOME").map(|h| h.join(".local/share")));
    data.map(|d| d.join("vm"))
}

/// Where keys may be, of which no guest may know or make one: folders of our own, and single files.
pub(crate) fn places() -> (Option<PathBuf>, Option<PathBuf>) {
    (folder(), chosen())
}

impl Key {
    /// The user's key, if there is one that nobody else can read.
    pub(crate) fn find() -> Option<Key> {
        read(&path()?).ok()
    }

    /// Why there is no key, for people.
    pub(crate) fn missing() -> Option<String> {
        let Some(path) = path() else { return Some("HOME is not set (VM_KEY_FILE names a key)".into()) };
        read(&path).err().map(|e| format!("the key {}: {e}", path.display()))
    }

    /// The user's key, made now if there is none.
    ///
    /// # Errors
    /// When it can neither be read nor made.
    pub(crate) fn find_or_make() -> io::Result<Key> {
        let path = path().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "no place for the key: HOME is not set (VM_KEY_FILE names one)")
        })?;
        let key = match read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => make(&path).or_else(|e| read(&path).map_err(|_| e)),
            key => key,
        };
        key.map_err(|e| {
            io::Error::new(e.kind(), format!("the key {}: {e} (VM_KEY_FILE names another one)", path.display()))
        })
    }

    /// The signature of an artifact's digest.
    pub(crate) fn sign(&self, digest: &Digest) -> Digest {
        *blake3::keyed_hash(&self.0, digest).as_bytes()
    }

    /// The signature of the digest of an entry of the cache.
    pub(crate) fn sign_entry(&self, digest: &Digest) -> Digest {
        self.mac("entry", &[digest])
    }

    /// What proves that this user's runtime has said something.
    pub(crate) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> Digest {
        let mut h = blake3::Hasher::new_keyed(&self.0);
        h.update(purpose.as_bytes()).update(&[0]);
        for part in parts {
            h.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        *h.finalize().as_bytes()
    }

    /// A key made of bytes.
    #[cfg(test)]
    pub(crate) fn of(bytes: Digest) -> Key {
        Key(bytes)
    }
}

fn read(path: &Path) -> io::Result<Key> {
    let fd = fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?;
    let stat = fs::fstat(&fd)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o077 != 0 {
        let why = "it must belong to this user and be readable by nobody else (chmod 600)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let mut key = [0; 32];
    let short = |_| io::Error::new(io::ErrorKind::InvalidData, "it is no key: a key has 32 bytes");
    File::from(fd).read_exact(&mut key).map_err(short)?;
    Ok(Key(key))
}

/// Makes a key beside its place and moves it there unless there is one, so that of several makers all use the same.
fn make(path: &Path) -> io::Result<Key> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut key = [0; 32];
    getrandom(&mut key)?;
    let mut random = [0; 8];
    getrandom(&mut random)?;
    let temporary = folder.join(format!("key-{}", super::key::hex(&random)));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = File::from(fs::open(&temporary, flags, Mode::RUSR | Mode::WUSR)?);
    let rename = || fs::renameat_with(fs::CWD, &temporary, fs::CWD, path, RenameFlags::NOREPLACE);
    let made = file.write_all(&key).and_then(|()| file.sync_all()).and_then(|()| Ok(rename()?));
    if made.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    made.map(|()| Key(key))
}

fn getrandom(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(())
}
