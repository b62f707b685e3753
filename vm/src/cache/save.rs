//! From a module to a file of its code.
//!
//! In: a module, and what of it has been compiled: while it ran, or now, ahead of time. Out: an entry of the cache, or an
//! artifact. What is written while others read or write the same is complete or not there.

use super::Cache;
use super::directory::{Directory, Identity, NO_ENTRY, Reference, settle};
use super::format::{self, CodeFile, Contents, Group, Meta};
use super::key::{Digest, digest};
use super::open::keeps_code;
use super::output::{Out, Output};
use super::sign::Key;
use super::source::Source;
use crate::error::{Error, Result};
use crate::module::{Module, ModuleInner};
use crate::native::arrange::{Adapter, Arrangement, Compiled};
use crate::native::code::MAX_SIZE;
use crate::runtime::image::{self, Run};
use crate::sys::MappedFile;
use crate::tier::eager;
use std::collections::HashMap;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A module that took longer than this to read is kept even if nothing of it was compiled.
const SLOW: Duration = Duration::from_millis(2);
/// New code is written when it is more than one part in so many of what is there.
const GROWTH: u64 = 16;
/// When a program that goes on running is looked at first, and how much longer each time after that.
const FIRST: Duration = Duration::from_secs(2);
const LATER: u32 = 4;

/// What of a module has been saved.
#[derive(Default)]
pub(crate) struct Saved {
    /// Bytes of functions' code in the file, once one has been written.
    code: Option<u64>,
    next: Option<(Instant, Duration)>,
    /// It cannot be.
    hopeless: bool,
}

/// How far compiling ahead of time has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Functions that are done.
    pub done: usize,
    /// Functions there are.
    pub total: usize,
}

/// What compiling ahead of time has made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Ahead {
    /// Functions of the module's own.
    pub functions: usize,
    /// How many of them have code now.
    pub compiled: usize,
    /// Why the others stay in the interpreter.
    pub refused: BTreeMap<String, u64>,
    /// Bytes of the module.
    pub wasm_bytes: u64,
    /// Bytes of machine code.
    pub code_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Whether there was nothing to do.
    pub found: bool,
}

impl Module {
    /// Writes what has been compiled into the engine's cache, if there is one and it is worth it. Answers whether it was.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self) -> Result<bool> {
        save(self, true)
    }

    /// Compiles all functions now and writes them to an artifact, or into the engine's cache.
    ///
    /// # Errors
    /// When a function is not valid, or nothing can be written.
    pub fn compile_ahead(&self, out: Option<&Path>, progress: &(dyn Fn(Progress) + Sync)) -> Result<Ahead> {
        compile_ahead(self, out, progress)
    }
}

/// Saves a module whose guest goes on running, when it is time; answers when to ask again.
pub(crate) fn save_in_background(module: &Module) -> Option<Duration> {
    let inner = &module.inner;
    if !keeps_code(inner.engine.config()) || inner.origin.artifact {
        return None;
    }
    let wait = {
        let mut saved = lock(inner);
        if saved.hopeless {
            return None;
        }
        let (at, interval) = *saved.next.get_or_insert_with(|| (Instant::now() + FIRST, FIRST));
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            saved.next = Some((Instant::now() + interval * LATER, interval * LATER));
        }
        left
    };
    if !wait.is_zero() {
        return Some(wait);
    }
    // What cannot be written now may be at the end.
    let _ = save(module, false);
    lock(inner).next.map(|n| n.1)
}

fn lock(inner: &ModuleInner) -> std::sync::MutexGuard<'_, Saved> {
    inner.origin.saved.lock().unwrap_or_else(|e| e.into_inner())
}

fn save(module: &Module, at_end: bool) -> Result<bool> {
    let inner = &*module.inner;
    let Some(cache) = inner.engine.config().cache.as_ref().filter(|_| keeps_code(inner.engine.config())) else {
        return Ok(false);
    };
    let io = |source| Error::Cache { path: cache.path().into(), source };
    if inner.origin.artifact {
        return if at_end { remember(inner, cache).map_err(io) } else { Ok(false) };
    }
    let mut saved = lock(inner);
    let native = &module.code(inner.origin.guarded).native;
    let fresh = native.fresh().load(Ordering::Relaxed);
    let present = saved.code.or_else(|| inner.origin.image.as_ref().map(|i| i.code_len() as u64));
    let wanted = match present {
        None => fresh > 0 || (at_end && inner.origin.took > SLOW),
        Some(code) => fresh * GROWTH > code,
    };
    if saved.hopeless || !wanted {
        return if at_end && saved.code.is_none() { link(inner).map_err(io) } else { Ok(false) };
    }
    let assembled = assemble(inner, native.functions(), true)?;
    let Some(assembled) = assembled else {
        saved.hopeless = true;
        return Ok(false);
    };
    let dir = Directory::create(cache.path()).map_err(io)?;
    let digest = inner.origin.digest.get_or_init(|| digest(&inner.bytes));
    let key = inner.origin.target.key(digest);
    write_entry(&dir, inner, &assembled, key, false).map_err(io)?;
    if let Some(file) = file_identity(inner) {
        dir.refer(&file, inner.origin.target.salt(0), &Reference { key, seal: None }).map_err(io)?;
    }
    dir.prune(cache.limit()).map_err(io)?;
    native.fresh().fetch_sub(fresh, Ordering::Relaxed);
    saved.code = Some(assembled.code_len as u64);
    Ok(true)
}

/// Writes an entry, with the signature of this user.
fn write_entry(dir: &Directory, inner: &ModuleInner, assembled: &Assembled, key: Digest, sync: bool) -> io::Result<()> {
    let secret = dir.key().ok_or(io::ErrorKind::NotFound)?;
    dir.write(&key, sync, |file| {
        let mut out = BufWriter::with_capacity(256 << 10, file);
        assembled.write(inner, key, &mut out, |d| secret.sign_entry(d))?;
        out.flush()
    })
}

/// The identity of the file that the module came from, if the cache may rely on it.
fn file_identity(inner: &ModuleInner) -> Option<Identity> {
    inner.origin.file.as_ref().and_then(|f| f.identity(&inner.bytes))
}

/// Lets an artifact whose digests and signature have been verified be used next time without that.
fn remember(inner: &ModuleInner, cache: &Cache) -> io::Result<bool> {
    let (Some(source @ Source::Read { .. }), Some(image)) = (&inner.origin.file, &inner.origin.image) else {
        return Ok(false);
    };
    if let Some(identity) = source.identity(image.file().map()) {
        let dir = Directory::create(cache.path())?;
        let reference = Reference { key: NO_ENTRY, seal: dir.key().map(|key| identity.seal(key)) };
        dir.refer(&identity, inner.origin.salt(), &reference)?;
    }
    Ok(false)
}

/// Lets the module be found by its file's identity next time, and its entry be trusted without comparing digests.
fn link(inner: &ModuleInner) -> io::Result<bool> {
    let origin = &inner.origin;
    let (Some(image), Some(_), false) = (&origin.image, &origin.file, origin.linked) else { return Ok(false) };
    let Some(dir) = inner.engine.config().cache.as_ref().and_then(|c| c.directory()) else { return Ok(false) };
    let Some(file) = file_identity(inner) else { return Ok(false) };
    let mut reference = Reference { key: image.file().head.key, seal: None };
    if let Some(checked) = origin.checked {
        let entry = image.file().map().file();
        // What is sealed must not get lost behind its identity's back.
        rustix::fs::fdatasync(entry)?;
        if Identity::of(entry)? == checked {
            reference.seal = dir.key().map(|key| checked.seal(key));
        }
    }
    dir.refer(&file, origin.target.salt(0), &reference)?;
    Ok(false)
}

/// A module with code in the form in which it is written.
struct Assembled {
    meta: Meta,
    funcs: Vec<u32>,
    pieces: Vec<(u32, u32)>,
    tables: Vec<u8>,
    image: Vec<u8>,
    code: Vec<(usize, Vec<u8>)>,
    code_len: usize,
    compiled: u32,
}

/// Arranges code of functions for a file; `None` if the module cannot be in one.
/// With `image`, what memory 0 holds at first is in it page by page, to be mapped.
fn assemble(inner: &ModuleInner, functions: Vec<Compiled>, image: bool) -> Result<Option<Assembled>> {
    let raw = &inner.raw;
    let mut a = Arrangement::new(raw.bodies.len(), MAX_SIZE);
    a.exits(inner)?;
    let places = functions.iter().map(|c| a.place_func(c)).collect::<Result<Vec<_>>>()?;
    let compiled = functions.len() as u32;
    for (mut c, at) in functions.into_iter().zip(places) {
        let ty = raw.funcs[(c.own_func + raw.imported_funcs()) as usize];
        a.adapter(inner, Adapter::Enter(ty))?;
        a.adapter(inner, Adapter::Tail(ty))?;
        a.link(inner, &mut c, at)?;
    }
    a.bytes.sort_by_key(|b| b.0);
    a.pieces.sort_by_key(|p| p.0);
    let (mut tables, mut pieces) = (Vec::new(), Vec::with_capacity(a.pieces.len()));
    for (at, placed) in std::mem::take(&mut a.pieces) {
        pieces.push((at as u32, tables.len() as u32));
        let Some(packed) = placed.pack() else { return Ok(None) };
        tables.extend(packed);
    }
    let image = if image { memory_image(inner) } else { None };
    let (runs, image) = image.map_or((None, Vec::new()), |(runs, image)| (Some(runs), image));
    let meta = Meta {
        groups: groups(inner),
        module: raw.clone(),
        validated: inner.validated.load(Ordering::Relaxed),
        facts: inner.facts.get().cloned(),
        adapters: in_place(&a.adapters),
        stubs: in_place(&a.stubs),
        image: runs,
    };
    let code_len = a.used();
    Ok(Some(Assembled { meta, funcs: a.funcs, pieces, tables, image, code: a.bytes, code_len, compiled }))
}

/// What lies where, in the order of the places: the same module gives the same file each time.
fn in_place<T: Copy>(of: &HashMap<T, u32>) -> Vec<(T, u32)> {
    let mut list: Vec<(T, u32)> = of.iter().map(|(what, at)| (*what, *at)).collect();
    list.sort_unstable_by_key(|(_, at)| *at);
    list
}

impl Assembled {
    fn write(
        &self,
        inner: &ModuleInner,
        key: Digest,
        out: &mut dyn Out,
        sign: impl FnOnce(&Digest) -> Digest,
    ) -> io::Result<()> {
        let contents = Contents {
            target: inner.origin.target,
            key,
            guarded: inner.origin.guarded,
            compiled: self.compiled,
            meta: &self.meta,
            funcs: &self.funcs,
            pieces: &self.pieces,
            tables: &self.tables,
            wasm: &inner.bytes,
            image: &self.image,
            code: &self.code,
            code_len: self.code_len,
        };
        format::write(out, &contents, sign)
    }
}

/// The recursion groups of a module's types.
fn groups(inner: &ModuleInner) -> Vec<Group> {
    let types = inner.engine.types();
    let (mut seen, mut groups, mut at) = (HashSet::new(), Vec::new(), 0);
    while let Some(&ty) = inner.raw.types.get(at) {
        let group = types.group(ty);
        let len = group.len();
        if seen.insert(ty) {
            groups.push((at as u32, group.to_vec()));
        }
        at += len.max(1);
    }
    groups
}

/// Memory 0 after its active segments, if it has an image.
fn memory_image(inner: &ModuleInner) -> Option<(Vec<Run>, Vec<u8>)> {
    let contents = image::Contents::of_module(&inner.raw, &inner.bytes)?;
    let mut bytes = vec![0; usize::try_from(contents.len()).ok()?];
    let put = |at: u64, data: &[u8]| {
        let at = at as usize;
        bytes[at..at + data.len()].copy_from_slice(data);
        Ok(())
    };
    contents.put(put).ok()?;
    Some((contents.runs, bytes))
}

fn compile_ahead(module: &Module, out: Option<&Path>, progress: &(dyn Fn(Progress) + Sync)) -> Result<Ahead> {
    let inner = &*module.inner;
    let total = inner.raw.bodies.len();
    if let Some(image) = &inner.origin.image
        && out.is_none()
        && image.file().head.compiled == image.file().head.functions
    {
        return Ok(Ahead {
            found: true,
            functions: total,
            compiled: total,
            wasm_bytes: inner.bytes.len() as u64,
            code_bytes: image.code_len() as u64,
            file_bytes: image.file().map().len() as u64,
            ..Ahead::default()
        });
    }
    if let Some(path) = out {
        // Before the work is done.
        Output::at(path, inner.origin.place).map_err(|source| Error::Write { path: path.into(), source })?;
    }
    let drafts = eager::compile(module, inner.origin.guarded, (0..total as u32).collect(), progress);
    if drafts.len() < total {
        // Whoever compiles ahead wants to know.
        module.validate_bodies()?;
    }
    inner.validated.store(true, Ordering::Relaxed);
    let functions = eager::finish(module, drafts);
    keep(module, functions, out)
}

/// Compiles some functions that have no code yet, and writes them together with those that have into the cache.
pub(super) fn compile_more(module: &Module, functions: Vec<u32>) -> Result<Ahead> {
    let inner = &*module.inner;
    // What is there already comes from the entry.
    module.prepare(inner.origin.guarded);
    let native = &module.code(inner.origin.guarded).native;
    let missing = native.without_code(functions);
    if missing.is_empty() {
        return Ok(Ahead { found: true, ..Ahead::default() });
    }
    let drafts = eager::compile(module, inner.origin.guarded, missing, &|_| {});
    let mut all = eager::finish(module, drafts);
    all.extend(native.functions());
    all.sort_by_key(|c| c.own_func);
    keep(module, all, None)
}

/// Writes code of functions where it is wanted.
fn keep(module: &Module, functions: Vec<Compiled>, out: Option<&Path>) -> Result<Ahead> {
    let inner = &*module.inner;
    let mut ahead = Ahead {
        functions: inner.raw.bodies.len(),
        compiled: functions.len(),
        refused: inner.engine.compile_stats().refused,
        wasm_bytes: inner.bytes.len() as u64,
        ..Ahead::default()
    };
    let unwritable = || Error::Unsupported("the tables of its code cannot be written down".into());
    // An artifact is copied when it runs, and data that is there twice would be copied twice.
    let assembled = assemble(inner, functions, out.is_none())?.ok_or_else(unwritable)?;
    ahead.code_bytes = assembled.code_len as u64;
    let digest = inner.origin.digest.get_or_init(|| digest(&inner.bytes));
    let key = inner.origin.target.key(digest);
    ahead.file_bytes = match out {
        Some(path) => artifact(inner, &assembled, key, path)?,
        None => entry(inner, &assembled, key)?,
    };
    Ok(ahead)
}

/// Writes an entry of the cache that need not be compared with its digests when it is used.
fn entry(inner: &ModuleInner, assembled: &Assembled, key: Digest) -> Result<u64> {
    let Some(cache) = &inner.engine.config().cache else {
        return Err(Error::api("there is no cache: give the artifact a name with -o"));
    };
    let io = |source| Error::Cache { path: cache.path().into(), source };
    let dir = Directory::create(cache.path()).map_err(io)?;
    write_entry(&dir, inner, assembled, key, true).map_err(io)?;
    let (file, identity) = dir.entry(&key).ok_or_else(|| io(io::ErrorKind::NotFound.into()))?;
    if inner.origin.file.is_none() {
        return Ok(identity.len());
    }
    let settled = settle(&identity);
    let map = MappedFile::new(file, identity.len() as usize).map_err(io)?;
    let intact = CodeFile::read(Arc::new(map), true).is_ok();
    if !intact {
        return Err(io(io::Error::new(io::ErrorKind::InvalidData, "what was written is not what can be read")));
    }
    let unchanged = dir.entry(&key).is_some_and(|(_, now)| now == identity);
    let seal = dir.key().filter(|_| settled && unchanged).map(|key| identity.seal(key));
    if let Some(file) = file_identity(inner) {
        dir.refer(&file, inner.origin.target.salt(0), &Reference { key, seal }).map_err(io)?;
    }
    dir.prune(cache.limit().max(identity.len())).map_err(io)?;
    Ok(identity.len())
}

/// Writes a signed artifact.
fn artifact(inner: &ModuleInner, assembled: &Assembled, key: Digest, path: &Path) -> Result<u64> {
    let io = |source| Error::Write { path: path.into(), source };
    let secret = Key::find_or_make().map_err(io)?;
    let output = Output::at(path, inner.origin.place).map_err(io)?;
    output.write(|out| assembled.write(inner, key, out, |d| secret.sign(d))).map_err(io)
}
