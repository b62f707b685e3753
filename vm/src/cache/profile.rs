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
use super::key::{Digest, digest, fingerprint};
use super::open::keeps_code;
use super::save::{Ahead, compile_more};
use crate::error::{Error, Result};
use crate::module::Module;
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

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
        let write = || -> io::Result<bool> {
            let dir = Directory::create(cache.path())?;
            // Somebody may be at it.
            if dir.has_note(&self.key(), PATIENCE) {
                return Ok(false);
            }
            dir.leave_note(&self.key(), &encode(&functions)).map(|()| true)
        };
        write().map_err(|source| Error::Cache { path: cache.path().into(), source })
    }

    /// Compiles what notes say about this module, and adds it to the module's entry in the cache, when other processes are done with
    /// the same.
    ///
    /// # Errors
    /// When code cannot be written.
    pub fn compile_noted(&self) -> Result<Ahead> {
        let Some(cache) = self.inner.engine.config().cache.clone() else { return Ok(Ahead::default()) };
        let io = |source| Error::Cache { path: cache.path().into(), source };
        let dir = Directory::create(cache.path()).map_err(io)?;
        let lock = dir.lock().map_err(io)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| io(e.into()))?;
        let functions = self.take_notes(&dir).map_err(io)?;
        if functions.is_empty() {
            return Ok(Ahead::default());
        }
        compile_more(self, functions.into_iter().collect())
    }

    fn key(&self) -> Digest {
        let inner = &self.inner;
        inner.origin.target.key(inner.origin.digest.get_or_init(|| digest(&inner.bytes)))
    }

    /// The functions in all notes about this module, which are removed.
    fn take_notes(&self, dir: &Directory) -> io::Result<BTreeSet<u32>> {
        let mut functions = BTreeSet::new();
        dir.take_notes(&self.key(), |note| {
            let noted = decode(&note).unwrap_or_default();
            functions.extend(noted.into_iter().filter(|&f| (f as usize) < self.inner.raw.bodies.len()));
        })?;
        Ok(functions)
    }
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
