//! Compiled code that is kept: the cache, and artifacts made ahead of time.
//!
//! In: a module and what of it has been compiled. Out: at the next start, the same module with that code, without parsing,
//! compiling or relocating anything.
//!
//! - `key`: what code depends on; `format`: the files; `image`: the code in them
//! - `directory`: the cache on disk; `sign`: the user's key; `source`: files of modules; `output`: files that users name
//! - `open`: from a file to a module, by whatever is known of it; `save`: from a module to a file; `profile`: what is worth compiling when
//!   a program is over
//!
//! Invariant: code from a file runs only if the file belongs to this user and nobody else can write to it, if it is signed with
//! this user's key (or is an artifact that is explicitly trusted), and if all of it agrees with its digests. What is missing, damaged or foreign is as if
//! it were not there.

mod directory;
mod format;
mod image;
mod key;
mod open;
mod output;
mod profile;
mod save;
mod sign;
mod source;

pub(crate) use image::CodeImage;
pub(crate) use key::Target;
pub(crate) use open::{Origin, open, read_bounded, with_bytes};
pub(crate) use save::save_in_background;
pub use save::{Ahead, Progress};

use crate::error::{Error, Result};
use directory::Directory;
use format::CodeFile;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes that the cache may take unless it is told otherwise.
const DEFAULT_LIMIT: u64 = 2 << 30;

/// A cache of compiled code on disk. Nothing is touched before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    path: PathBuf,
    limit: u64,
}

/// A file in the cache.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacheEntry {
    /// Its name.
    pub key: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was last used, as exactly as the file system keeps that.
    pub used: SystemTime,
    /// What is in it; `None` if it is damaged.
    pub contents: Option<CacheContents>,
}

/// What a file of compiled code says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacheContents {
    /// Name of the module, if it has one.
    pub module: Option<String>,
    /// Functions of the module's own.
    pub functions: u32,
    /// How many of them have code.
    pub compiled: u32,
    /// Bytes of the module.
    pub wasm_bytes: u64,
    /// Bytes of machine code.
    pub code_bytes: u64,
    /// Whether an engine of this version with default settings could use it here.
    pub usable: bool,
}

fn var(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// Our folder in the user's cache directory.
fn user_folder() -> Option<PathBuf> {
    let caches = var("XDG_CACHE_HOME").filter(|p| p.is_absolute());
    Some(caches.or_else(|| Some(var("HOME")?.join(".cache")))?.join("vm"))
}

impl Cache {
    /// The user's: in `VM_CACHE_DIR`, or `vm` in the user's cache directory; `None` where there is none.
    pub fn user() -> Option<Cache> {
        var("VM_CACHE_DIR").or_else(user_folder).map(Cache::at)
    }

    /// One in a directory of its own, which is made when there is something to write.
    pub fn at(path: impl Into<PathBuf>) -> Cache {
        Cache { path: path.into(), limit: DEFAULT_LIMIT }
    }

    /// With a size in bytes: when an entry is added, those not used for longest go until the others fit.
    #[must_use]
    pub fn with_limit(self, bytes: u64) -> Cache {
        Cache { limit: bytes, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Directories and files that no guest may get at, whatever it is given: where this user's compiled code and keys are, whether
    /// this process uses them or another.
    pub fn private_places() -> (Vec<PathBuf>, Vec<PathBuf>) {
        let (folder, key) = sign::places();
        let dirs = var("VM_CACHE_DIR").into_iter().chain(user_folder()).chain(folder);
        (dirs.collect(), key.into_iter().collect())
    }

    fn directory(&self) -> Option<Directory> {
        Directory::open(&self.path)
    }

    /// Opens it for changes; nothing is there if it does not exist.
    fn existing(&self) -> Result<Option<Directory>> {
        Directory::existing(&self.path).map_err(|e| self.io(e))
    }

    fn io(&self, source: std::io::Error) -> Error {
        Error::Cache { path: self.path.clone(), source }
    }

    /// What is in it, those not used for longest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entries(&self) -> Result<Vec<CacheEntry>> {
        let Some(dir) = self.existing()? else { return Ok(Vec::new()) };
        let found = dir.entries().map_err(|e| self.io(e))?;
        let entry = |f: directory::Found| CacheEntry {
            contents: contents(&dir, &f),
            key: f.name,
            bytes: f.bytes,
            used: f.used,
        };
        Ok(found.into_iter().map(entry).collect())
    }

    /// Removes entries, those not used for longest first, until the others take so many bytes at most, and what is of no use to
    /// anybody. Answers how many entries went, and their bytes.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn prune(&self, limit: u64) -> Result<(usize, u64)> {
        match self.existing()? {
            None => Ok((0, 0)),
            Some(dir) => dir.prune(limit).map_err(|e| self.io(e)),
        }
    }

    /// Removes everything. Answers how many entries there were, and their bytes.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clean(&self) -> Result<(usize, u64)> {
        self.prune(0)
    }
}

fn contents(dir: &Directory, f: &directory::Found) -> Option<CacheContents> {
    let (file, identity) = dir.named(&f.name)?;
    let map = crate::sys::MappedFile::new(file, usize::try_from(identity.len()).ok()?).ok()?;
    let file = CodeFile::read(Arc::new(map), false).ok()?;
    let wasm = file.section(format::Section::Wasm);
    let names = wasm::Names::read(wasm, file.meta().ok()?.module.name_section);
    let (target, here) = (file.head.target(), Target::of(&crate::Config::default()));
    Some(CacheContents {
        module: names.module.map(Into::into),
        functions: file.head.functions,
        compiled: file.head.compiled,
        wasm_bytes: wasm.len() as u64,
        code_bytes: file.head.range(format::Section::Code).len() as u64,
        usable: key::is_of_this_build(target.base)
            && key::runs_on(&target.cpu, &here.cpu)
            && (!target.segment || here.segment),
    })
}
