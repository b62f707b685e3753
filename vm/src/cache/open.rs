//! From a file, or bytes, to a module: with its code if there is any that may run here.
//!
//! In: a `.wasm` or `.wat` file, or an artifact. Out: a module and its [`Origin`].
//!
//! ```text
//!   file ─identity─► link ─key─► entry ──seal or digests──► module with code
//!     │ none                      ▲ │ none
//!     └──► bytes ──digest──key────┘ └──► parsed, compiled as it runs, saved at the end
//!   artifact ──digests, signature──► module with code, or the module in it as above
//! ```

use super::directory::{Directory, Identity, Seal, is_private_file};
use super::format::{CodeFile, Defect, MAGIC, Meta, Section};
use super::image::{CodeImage, Renamed};
use super::key::{Digest, Target, digest, runs_on};
use super::save::Saved;
use super::sign::Key;
use super::source::Source;
use crate::config::{Config, Tier};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::module::{Bytes, Module, binary, foreign, is_binary};
use crate::runtime::memory::LinearMemory;
use crate::sys::{MappedFile, NATIVE_AVAILABLE, expect_to_fill, guards_available, sealed_copy};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use wasm::HeldTypes;

/// Where a module came from, and what follows from that.
pub(crate) struct Origin {
    /// What its code is compiled for.
    pub(crate) target: Target,
    /// Whether instances have a guarded memory 0, if all goes well.
    pub(crate) guarded: bool,
    /// Its code in a file.
    pub(crate) image: Option<Arc<CodeImage>>,
    /// Whether that file is an artifact rather than an entry of the cache.
    pub(crate) artifact: bool,
    /// What the links of artifacts depend on in this engine, whatever they are for.
    artifact_salt: u128,
    /// Why the code in an artifact is not used.
    pub(crate) note: Option<String>,
    /// The file of the module or artifact, if its identity may be worth anything.
    pub(crate) file: Option<Source>,
    /// Device and number of the file that was read, whatever it is.
    pub(crate) place: Option<(u64, u64)>,
    /// The entry of its code, if it has been compared with its digests just now.
    pub(crate) checked: Option<Identity>,
    /// Whether the cache knows the file by its identity already, and all there is to know.
    pub(crate) linked: bool,
    /// Digest of the module's bytes.
    pub(crate) digest: OnceLock<Digest>,
    /// How long it took to read it.
    pub(crate) took: Duration,
    pub(crate) saved: Mutex<Saved>,
}

impl Origin {
    pub(crate) fn new(config: &Config) -> Origin {
        let target = Target::of(config);
        Origin {
            target,
            artifact_salt: target.salt(1),
            guarded: false,
            image: None,
            artifact: false,
            note: None,
            file: None,
            place: None,
            checked: None,
            linked: false,
            digest: OnceLock::new(),
            took: Duration::ZERO,
            saved: Mutex::default(),
        }
    }
}

impl Origin {
    /// What the links of artifacts depend on.
    pub(crate) fn salt(&self) -> u128 {
        self.artifact_salt
    }
}

/// What entries of the cache can be found by.
struct Finder<'a> {
    engine: &'a Engine,
    target: Target,
    began: Instant,
}

/// An entry, or the code of an artifact.
struct Loaded {
    file: CodeFile,
    meta: Meta,
    checked: Option<Identity>,
}

/// Whether an engine keeps code at all.
pub(crate) fn keeps_code(config: &Config) -> bool {
    NATIVE_AVAILABLE && config.tier != Tier::Interp && config.cache.is_some()
}

/// Reads a module from a file; with `trusted`, code of an artifact may run without a signature.
pub(crate) fn open(engine: &Engine, path: &Path, trusted: bool) -> Result<Module> {
    let io = |source| Error::Io { path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    let identity = Identity::of(&file).map_err(io)?;
    let mut module = read(engine, file, &identity, trusted, io)?;
    if let Some(inner) = Arc::get_mut(&mut module.inner) {
        inner.origin.place = Some(identity.place());
    }
    Ok(module)
}

fn read(
    engine: &Engine,
    mut file: File,
    identity: &Identity,
    trusted: bool,
    io: impl Fn(std::io::Error) -> Error,
) -> Result<Module> {
    let finder = Finder { engine, target: Target::of(engine.config()), began: Instant::now() };
    let dir = engine.config().cache.as_ref().filter(|_| keeps_code(engine.config())).and_then(|c| c.directory());
    if let Some(dir) = &dir
        && let Some(module) = finder.by_identity(dir, identity)
    {
        return Ok(module);
    }
    let mut magic = [0; MAGIC.len()];
    if file.read_exact_at(&mut magic, 0).is_ok() && magic == MAGIC {
        return finder.artifact(dir.as_ref(), file, *identity, trusted).map_err(|e| match e {
            Error::Api(why) => io(std::io::Error::new(std::io::ErrorKind::InvalidData, why)),
            e => e,
        });
    }
    // Before reading: what changes later has another identity.
    let settled = identity.is_settled();
    let bytes = read_bounded(&mut file, identity.len(), engine.config().max_module).map_err(&io)?;
    if bytes.starts_with(&MAGIC) {
        return Err(io(std::io::Error::new(std::io::ErrorKind::InvalidInput, PIPED)));
    }
    let unchanged = settled && Identity::of(&file).map_err(&io)? == *identity;
    let file = unchanged.then(|| Source::Read { file, identity: *identity, text: None });
    finder.by_bytes(dir.as_ref(), bytes, file)
}

const PIPED: &str = "this is an artifact: it can be opened as a file only";

/// How much of a file is looked at before the rest of it is read.
const HEAD: u64 = 4096;

/// Reads a file that says how long it is, which need not be so (a pipe, a device), unless it is longer than may be.
pub(crate) fn read_bounded(file: &mut impl Read, len: u64, most: u64) -> std::io::Result<Vec<u8>> {
    let too_large = || {
        let why = format!("it is larger than {most} bytes, which is the most that a module may have here");
        std::io::Error::new(std::io::ErrorKind::FileTooLarge, why)
    };
    if len > most {
        return Err(too_large());
    }
    let no_memory = |_| std::io::Error::from(std::io::ErrorKind::OutOfMemory);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(len + 1).unwrap_or(usize::MAX)).map_err(no_memory)?;
    expect_to_fill(bytes.spare_capacity_mut());
    file.by_ref().take(HEAD).read_to_end(&mut bytes)?;
    if !bytes.starts_with(b"\0asm") && bytes.contains(&0) {
        // Neither the binary format nor text: there may be no end to it.
        return Ok(bytes);
    }
    file.take(most.saturating_sub(HEAD) + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok(bytes) }
}

/// Makes a module of bytes.
pub(crate) fn with_bytes(engine: &Engine, bytes: Vec<u8>) -> Result<Module> {
    let finder = Finder { engine, target: Target::of(engine.config()), began: Instant::now() };
    if bytes.starts_with(&MAGIC) {
        return Err(Error::api(PIPED));
    }
    let dir = engine.config().cache.as_ref().filter(|_| keeps_code(engine.config())).and_then(|c| c.directory());
    finder.by_bytes(dir.as_ref(), bytes, None)
}

impl Finder<'_> {
    /// The module that a file with that identity had in it when it was last looked at.
    fn by_identity(&self, dir: &Directory, file: &Identity) -> Option<Module> {
        let reference = dir.reference(file, self.target.salt(0))?;
        let loaded = self.entry(dir, &reference.key, reference.seal)?;
        let linked = loaded.checked.is_none();
        let mut module = self.module(loaded, Some(Source::Known(*file))).ok()?;
        Arc::get_mut(&mut module.inner)?.origin.linked = linked;
        Some(module)
    }

    /// An entry of the cache, if it can be used.
    fn entry(&self, dir: &Directory, key: &Digest, sealed: Option<Seal>) -> Option<Loaded> {
        let secret = dir.key()?;
        let (file, identity) = dir.entry(key)?;
        let trusted = sealed.is_some_and(|s| s == identity.seal(secret));
        let settled = identity.is_settled();
        if identity.len() == 0 {
            dir.remove(key);
            return None;
        }
        let map = Arc::new(MappedFile::new(file, usize::try_from(identity.len()).ok()?).ok()?);
        let loaded = CodeFile::read(map, !trusted).and_then(|file| {
            let meta = file.meta()?;
            let signed = || file.is_signed(|d| secret.sign_entry(d));
            let right = file.head.key == *key && file.head.target() == self.target && signed();
            let right = right && fits(&file, &meta);
            if right { Ok((file, meta)) } else { Err(Defect::Damaged) }
        });
        match loaded {
            Ok((file, meta)) => {
                let checked = (!trusted && settled).then_some(identity);
                Some(Loaded { file, meta, checked })
            }
            Err(_) => {
                // Nobody can use it.
                dir.remove(key);
                None
            }
        }
    }

    /// Lets the engine know the module's types. Where it knows some by other ids, the module's tables are made anew of its bytes.
    fn adopt_types(&self, file: &CodeFile, meta: &mut Meta) -> Result<Renamed> {
        let (types, mut held) = (self.engine.types(), HeldTypes::default());
        let known = &meta.module.types;
        let agrees = std::mem::take(&mut meta.groups).into_iter().all(|(at, group)| {
            let range = at as usize..at as usize + group.len();
            known.get(range) == Some(types.intern_group(&mut held, group))
        });
        if agrees {
            meta.module.held = held;
            return Ok(Renamed::default());
        }
        let raw = wasm::parse(file.section(Section::Wasm), self.engine.config().features, types)?;
        let raw = std::mem::replace(&mut meta.module, raw);
        let both = raw.types.iter().copied().zip(meta.module.types.iter().copied());
        Ok(both.filter(|(was, is)| was != is).collect())
    }

    fn module(&self, mut loaded: Loaded, file: Option<Source>) -> Result<Module> {
        let bytes = Bytes::Mapped(loaded.file.map().clone(), loaded.file.head.range(Section::Wasm));
        let digest = OnceLock::from(loaded.file.wasm_digest());
        let facts = loaded.meta.facts.take();
        let mut origin = Origin::new(self.engine.config());
        origin.guarded = loaded.file.head.guarded;
        origin.target = loaded.file.head.target();
        let validated = loaded.meta.validated;
        let renamed = self.adopt_types(&loaded.file, &mut loaded.meta)?;
        origin.image = Some(Arc::new(CodeImage::new(loaded.file, &mut loaded.meta, renamed)));
        (origin.file, origin.checked, origin.digest) = (file, loaded.checked, digest);
        origin.took = self.began.elapsed();
        Module::assemble(self.engine, bytes, loaded.meta.module, facts, origin, validated)
    }

    /// A module in the binary or the text format.
    fn by_bytes(&self, dir: Option<&Directory>, bytes: Vec<u8>, mut file: Option<Source>) -> Result<Module> {
        if let Some(why) = foreign(&bytes) {
            return Err(Error::text(why));
        }
        if let Some(Source::Read { text, .. }) = &mut file
            && keeps_code(self.engine.config())
            && !is_binary(&bytes)
        {
            *text = Some(digest(&bytes));
        }
        let bytes = binary(bytes)?;
        let mut origin = Origin::new(self.engine.config());
        if let Some(dir) = dir {
            let digest = digest(&bytes);
            if let Some(loaded) = self.entry(dir, &self.target.key(&digest), None) {
                return self.module(loaded, file);
            }
            origin.digest = OnceLock::from(digest);
        }
        let raw = wasm::parse(&bytes, self.engine.config().features, self.engine.types())?;
        origin.guarded = kind(self.engine.config(), &raw);
        origin.file = file;
        origin.took = self.began.elapsed();
        Module::assemble(self.engine, Bytes::Owned(bytes), raw, None, origin, false)
    }

    /// An artifact: its code if that may run here, otherwise the module in it.
    fn artifact(&self, dir: Option<&Directory>, file: File, identity: Identity, trusted: bool) -> Result<Module> {
        let damaged = || Error::api("the artifact is damaged; make it again with `vm aot`");
        // Users write to their files while what is in them runs.
        let copy =
            sealed_copy(&file, identity.len()).map_err(|e| Error::api(format!("cannot copy the artifact: {e}")))?;
        let map = MappedFile::new(copy, usize::try_from(identity.len()).map_err(|_| damaged())?);
        let map = Arc::new(map.map_err(|e| Error::api(e.to_string()))?);
        let why = match self.artifact_code(dir, &map, file, &identity, trusted) {
            Ok(module) => return Ok(module),
            Err(why) => why,
        };
        let bytes = CodeFile::wasm_of(&map).ok_or_else(damaged)?.to_vec();
        let mut module = self.by_bytes(dir, bytes, None)?;
        if let Some(inner) = Arc::get_mut(&mut module.inner) {
            inner.origin.note = Some(why);
        }
        Ok(module)
    }

    /// The module with the code of an artifact, or why that may not run.
    fn artifact_code(
        &self,
        dir: Option<&Directory>,
        map: &Arc<MappedFile>,
        original: File,
        identity: &Identity,
        trusted: bool,
    ) -> Result<Module, String> {
        let config = self.engine.config();
        if config.tier == Tier::Interp || !NATIVE_AVAILABLE {
            return Err("this engine only interprets".into());
        }
        if config.filter.is_some() {
            return Err("only some of its functions are to be compiled".into());
        }
        // What has been verified with this user's key before need not be again.
        // The copy was made after the identity had been looked at: what has changed meanwhile shows now.
        let unchanged = Identity::of(&original).is_ok_and(|now| now == *identity);
        let known = dir.filter(|_| unchanged).and_then(|d| d.reference(identity, self.target.salt(1)));
        let settled = unchanged && identity.is_settled();
        let seal = dir.and_then(|d| d.key()).map(|key| identity.seal(key));
        let verified = seal.is_some() && known.is_some_and(|r| r.seal == seal);
        let file = CodeFile::read(map.clone(), !verified).map_err(|e| e.to_string())?;
        let head = file.head.target();
        if head.base != self.target.base {
            return Err("it was made by another version, or for other settings".into());
        }
        let (has, wants) = (&head, &self.target);
        if (wants.mask_tables && !has.mask_tables) || (wants.mask_memories && !has.mask_memories) {
            return Err("it was made without the masks that these settings ask for".into());
        }
        if !runs_on(&head.cpu, &self.target.cpu) || (head.segment && !self.target.segment) {
            return Err("it was made for another processor".into());
        }
        // Whoever may write to it may do so after it has been verified.
        if !trusted && !is_private_file(&original) {
            return Err("others may write to it (--allow-precompiled trusts it nevertheless)".into());
        }
        if !verified {
            let signed = || Key::find().is_some_and(|k| file.is_signed(|d| k.sign(d)));
            if let (false, Some(why)) = (trusted, Key::missing()) {
                return Err(format!(
                    "it is not signed by this user, as far as can be told: {why} (--allow-precompiled trusts it nevertheless)"
                ));
            }
            if !trusted && !signed() {
                return Err("it is not signed by this user (--allow-precompiled trusts it nevertheless)".into());
            }
        }
        let meta = file.meta().map_err(|e| e.to_string())?;
        if !fits(&file, &meta) {
            return Err(Defect::Damaged.to_string());
        }
        let mut module = self.module(Loaded { file, meta, checked: None }, None).map_err(|e| e.to_string())?;
        if let Some(inner) = Arc::get_mut(&mut module.inner) {
            inner.origin.artifact = true;
            if settled && !verified && !trusted {
                inner.origin.file = Some(Source::Read { file: original, identity: *identity, text: None });
            }
        }
        Ok(module)
    }
}

/// Whether the parts of a file belong together.
fn fits(file: &CodeFile, meta: &Meta) -> bool {
    let bodies = meta.module.bodies.len();
    let wasm = file.head.range(Section::Wasm).len();
    let code = file.head.range(Section::Code).len();
    let funcs = file.section(Section::Funcs);
    file.head.functions as usize == bodies
        && funcs.len() == bodies * 4
        && funcs.chunks_exact(4).all(|b| (super::format::word(b, 0) as usize) <= code)
        && file.section(Section::Pieces).len().is_multiple_of(8)
        && image_fits(file, meta)
        && meta.module.bodies.iter().all(|b| b.start <= b.end && b.end as usize <= wasm)
        && meta.module.data.iter().all(|d| d.range.start <= d.range.end && d.range.end <= wasm)
}

/// Whether the memory image lies within its section and within the memory.
fn image_fits(file: &CodeFile, meta: &Meta) -> bool {
    let section = file.head.range(Section::Image).len() as u64;
    let memory = meta.module.memories.first().map_or(0, |m| m.min.saturating_mul(64 << 10));
    let fits = |at: u64, len: usize, size: u64| at.checked_add(len as u64).is_some_and(|end| end <= size);
    meta.image.iter().flatten().all(|r| fits(r.offset, r.len, section) && fits(r.at as u64, r.len, memory))
}

/// Whether instances of a module have a guarded memory 0, if all goes well.
fn kind(config: &Config, raw: &wasm::Module) -> bool {
    config.memory_mode == crate::MemoryMode::Auto
        && guards_available()
        && raw.memories.first().is_some_and(LinearMemory::can_guard)
}
