//! What a program has run in the interpreter, so that somebody can compile it when the program is over.
//!
//! In: a module after a run. Out: a small file in the cache with the functions that were run and have no code; and later, in another
//! process, code of those functions in the module's entry. One process at a time does that in a cache, and one more at most per
//! module waits for it. A file that is damaged, or about another module, is as if it were not there.
//!
//! ```text
//!   DIR/profiles/KEY-NUMBER     fingerprint of what follows, then the functions' indices
//!   DIR/fill                    locked by the process that compiles
//! ```

use super::directory::Directory;
use super::key::{Digest, digest, fingerprint, hex};
use super::open::keeps_code;
use super::save::{Ahead, compile_more};
use crate::error::{Error, Result};
use crate::module::Module;
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PROFILES: &str = "profiles";
const LOCK: &str = "fill";
/// Bytes of bodies that are not worth the trouble.
const LITTLE: usize = 16 << 10;
/// And so many that the rest is left to the next time.
const MUCH: usize = 4 << 20;
/// How long somebody who has left a note may take to have it worked on.
const PATIENCE: Duration = Duration::from_secs(60);

impl Module {
    /// Leaves a note of what was run in the interpreter, if that is worth compiling: then
    /// [`compile_noted`](Module::compile_noted), called in another process for the same module, does so. Answers whether it is.
    ///
    /// # Errors
    /// When the note cannot be written.
    pub fn note_interpreted(&self) -> Result<bool> {
        let inner = &self.inner;
        let Some(cache) = inner.engine.config().cache.as_ref().filter(|_| keeps_code(inner.engine.config())) else {
            return Ok(false);
        };
        if inner.origin.artifact {
            return Ok(false);
        }
        let code = self.code(inner.origin.guarded);
        let mut bytes = 0;
        let mut take = |f: &u32| {
            let with_it = bytes + inner.raw.bodies[*f as usize].range().len();
            let fits = with_it <= MUCH;
            bytes = if fits { with_it } else { bytes };
            fits
        };
        let functions: Vec<u32> = code.native.without_code(code.translated()).into_iter().filter(&mut take).collect();
        if bytes < LITTLE {
            return Ok(false);
        }
        let folder = cache.path().join(PROFILES);
        let fresh = |p: &PathBuf| {
            let written = fs::metadata(p).and_then(|m| m.modified());
            written.is_ok_and(|t| t.elapsed().is_ok_and(|age| age < PATIENCE))
        };
        if self.notes(&folder).iter().any(fresh) {
            // Somebody is at it.
            return Ok(false);
        }
        let write = || -> io::Result<()> {
            Directory::create(cache.path())?;
            fs::create_dir_all(&folder)?;
            let name = format!("{}-{}", short(&self.key()), std::process::id());
            fs::write(folder.join(name), encode(&functions))
        };
        write().map_err(|source| Error::Cache { path: cache.path().into(), source })?;
        Ok(true)
    }

    /// Compiles what notes say about this module, and adds it to the module's entry in the cache, when other processes are done with
    /// the same.
    ///
    /// # Errors
    /// When code cannot be written.
    pub fn compile_noted(&self) -> Result<Ahead> {
        let Some(cache) = self.inner.engine.config().cache.clone() else { return Ok(Ahead::default()) };
        let io = |source| Error::Cache { path: cache.path().into(), source };
        Directory::create(cache.path()).map_err(io)?;
        let lock = File::create(cache.path().join(LOCK)).map_err(io)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| io(e.into()))?;
        let functions = self.take_notes(&cache.path().join(PROFILES));
        if functions.is_empty() {
            return Ok(Ahead::default());
        }
        compile_more(self, functions.into_iter().collect())
    }

    fn key(&self) -> Digest {
        let inner = &self.inner;
        inner.origin.target.key(inner.origin.digest.get_or_init(|| digest(&inner.bytes)))
    }

    /// The notes about this module.
    fn notes(&self, folder: &Path) -> Vec<PathBuf> {
        let prefix = short(&self.key()) + "-";
        let ours = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&prefix));
        fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).filter(ours).collect()
    }

    /// The functions in all notes about this module, which are removed.
    fn take_notes(&self, folder: &Path) -> BTreeSet<u32> {
        let mut functions = BTreeSet::new();
        for file in self.notes(folder) {
            if let Some(noted) = fs::read(&file).ok().and_then(|bytes| decode(&bytes)) {
                functions.extend(noted.into_iter().filter(|&f| (f as usize) < self.inner.raw.bodies.len()));
            }
            // Somebody else may have removed it.
            let _ = fs::remove_file(&file);
        }
        functions
    }
}

fn short(key: &Digest) -> String {
    hex(&key[..20])
}

fn encode(functions: &[u32]) -> Vec<u8> {
    let mut bytes = fingerprint(functions).to_le_bytes().to_vec();
    bytes.extend(functions.iter().flat_map(|f| f.to_le_bytes()));
    bytes
}

fn decode(bytes: &[u8]) -> Option<Vec<u32>> {
    let (print, rest) = bytes.split_first_chunk::<16>()?;
    let functions: Vec<u32> = rest.chunks_exact(4).map(|b| super::format::word(b, 0)).collect();
    (fingerprint(&functions[..]) == u128::from_le_bytes(*print) && rest.len() % 4 == 0).then_some(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_notes_are_none() {
        let bytes = encode(&[1, 70_000, 3]);
        assert_eq!(decode(&bytes), Some(vec![1, 70_000, 3]));
        assert_eq!(decode(&encode(&[])), Some(vec![]));
        for i in 0..bytes.len() {
            assert_eq!(decode(&bytes[..i]), None);
            let mut bad = bytes.clone();
            bad[i] ^= 4;
            assert_eq!(decode(&bad), None);
        }
    }
}
