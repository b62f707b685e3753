//! Modules: parsed once, shared by all instances, threads and stores of their engine.

use crate::cache::{self, Origin};
use crate::config::Validation;
use crate::engine::Engine;
use crate::error::{Error, ModuleError, Result};
use crate::externs::ExternType;
use crate::interp::code::ModuleCode;
use crate::interp::translate;
use crate::parallel;
use crate::sys::MappedFile;
#[cfg(feature = "wat")]
use crate::sys::on_stack;
use crate::tier::compile;
use rayon::prelude::*;
#[cfg(feature = "wat")]
use std::borrow::Cow;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once, OnceLock};
use wasm::{ExternKind, FuncType, ImportType as RawImport, Names, TypeId};
use wasmparser::FuncValidatorAllocations;

/// A compiled-on-demand module.
#[derive(Clone)]
pub struct Module {
    pub(crate) inner: Arc<ModuleInner>,
}

pub(crate) struct ModuleInner {
    pub(crate) engine: Engine,
    pub(crate) bytes: Bytes,
    pub(crate) raw: wasm::Module,
    /// Where it came from.
    pub(crate) origin: Origin,
    /// Whether all bodies are known to be valid.
    pub(crate) validated: AtomicBool,
    names: OnceLock<Names>,
    /// What the compiler has found out about the module as a whole.
    pub(crate) facts: OnceLock<jit::frontend::ModuleFacts>,
    /// What its instances have in common, and what the memory of each holds at first.
    pub(crate) plan: OnceLock<crate::plan::Plan>,
    pub(crate) image: OnceLock<Option<Arc<crate::runtime::image::MemoryImage>>>,
    /// Register code for instances whose memory 0 is guarded, and for the others.
    codes: [OnceLock<ModuleCode>; 2],
    /// Whether all of it has been compiled.
    compiled: [Once; 2],
    /// Bytes of code that have been made of it, if they are limited.
    pub(crate) code_bytes: AtomicU64,
}

/// The bytes of a module.
pub(crate) enum Bytes {
    Owned(Vec<u8>),
    /// A part of a file.
    Mapped(Arc<MappedFile>, Range<usize>),
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(file, range) => &file[range.clone()],
        }
    }
}

/// An import of a module.
pub struct ImportType<'a> {
    module: &'a str,
    name: &'a str,
    ty: ExternType,
}

impl ImportType<'_> {
    /// The module it comes from.
    pub fn module(&self) -> &str {
        self.module
    }
    /// Its name there.
    pub fn name(&self) -> &str {
        self.name
    }
    /// What it must be.
    pub fn ty(&self) -> ExternType {
        self.ty.clone()
    }
}

/// An export of a module.
pub struct ExportType<'a> {
    name: &'a str,
    ty: ExternType,
}

impl ExportType<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }
    /// What it is.
    pub fn ty(&self) -> ExternType {
        self.ty.clone()
    }
}

impl ModuleInner {
    pub(crate) fn name(&self) -> Option<&str> {
        self.names().module.as_deref()
    }

    pub(crate) fn func_name(&self, func: u32) -> Option<String> {
        if let Some(n) = self.names().funcs.get(&func) {
            return Some(n.to_string());
        }
        if let Some(e) = self.raw.exports.iter().find(|e| e.kind == ExternKind::Func && e.index == func) {
            return Some(e.name.to_string());
        }
        let import = self.raw.imports.iter().filter(|i| matches!(i.ty, RawImport::Func(_))).nth(func as usize)?;
        Some(format!("{}.{}", import.module, import.name))
    }

    fn names(&self) -> &Names {
        self.names.get_or_init(|| Names::read(&self.bytes, self.raw.name_section.clone()))
    }
}

impl Module {
    /// Reads a module in the binary format, or in the text format with the feature `wat`.
    ///
    /// # Errors
    /// When it is malformed or invalid. With [`Validation::Lazy`] function bodies are not looked at.
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Module> {
        Self::from_vec(engine, bytes.as_ref().to_vec())
    }

    /// Reads a module from a file, or what has been made of it earlier: with a [cache](crate::Config::cache) that knows the file,
    /// it comes with compiled code and without being parsed. An artifact is read likewise if its code may run here; if not,
    /// [`Module::note`] says why.
    ///
    /// # Errors
    /// When the file cannot be read, or as [`Module::new`].
    pub fn from_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Module> {
        cache::open(engine, path.as_ref(), false)
    }

    /// As [`Module::from_file`], trusting an artifact that this user has not signed. Its machine code can do whatever this process may.
    ///
    /// # Errors
    /// As [`Module::from_file`].
    pub fn from_trusted_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Module> {
        cache::open(engine, path.as_ref(), true)
    }

    /// Reads a module from a stream, such as a pipe, but for [too large ones](crate::Config::max_module). `name` is what errors call it.
    ///
    /// # Errors
    /// When it cannot be read, or as [`Module::new`].
    pub fn from_reader(engine: &Engine, name: impl AsRef<Path>, mut reader: impl std::io::Read) -> Result<Module> {
        let bytes = cache::read_bounded(&mut reader, 0, engine.config().max_module);
        Self::from_vec(engine, bytes.map_err(|source| Error::Io { path: name.as_ref().into(), source })?)
    }

    /// As [`Module::new`] without copying.
    ///
    /// # Errors
    /// As [`Module::new`].
    pub fn from_vec(engine: &Engine, bytes: Vec<u8>) -> Result<Module> {
        cache::with_bytes(engine, bytes)
    }

    /// Makes a module of its parts.
    pub(crate) fn assemble(
        engine: &Engine,
        bytes: Bytes,
        raw: wasm::Module,
        facts: Option<jit::frontend::ModuleFacts>,
        origin: Origin,
        validated: bool,
    ) -> Result<Module> {
        let inner = ModuleInner {
            engine: engine.clone(),
            bytes,
            raw,
            origin,
            validated: AtomicBool::new(validated),
            names: OnceLock::new(),
            facts: facts.map_or_else(OnceLock::new, OnceLock::from),
            plan: OnceLock::new(),
            image: OnceLock::new(),
            codes: [OnceLock::new(), OnceLock::new()],
            compiled: [Once::new(), Once::new()],
            code_bytes: AtomicU64::new(0),
        };
        let module = Module { inner: Arc::new(inner) };
        if engine.config().validation == Validation::Eager && !validated {
            module.validate_bodies()?;
            module.inner.validated.store(true, Ordering::Relaxed);
        }
        Ok(module)
    }

    /// Functions whose code came from a file, and the bytes of their code.
    pub fn precompiled(&self) -> Option<(u32, usize)> {
        let image = self.inner.origin.image.as_ref()?;
        Some((image.file().head.compiled, image.code_len()))
    }

    /// Why the machine code in the artifact that this module was read from is not used.
    pub fn note(&self) -> Option<&str> {
        self.inner.origin.note.as_deref()
    }

    /// Validates a whole module, every function body included, in parallel.
    ///
    /// # Errors
    /// When it is malformed or invalid.
    pub fn validate(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<()> {
        Self::new(engine, bytes)?.validate_bodies()
    }

    /// Validates all function bodies, in parallel.
    ///
    /// # Errors
    /// The error of the first function that is not valid.
    pub fn validate_bodies(&self) -> Result<()> {
        let count = self.inner.raw.bodies.len() as u32;
        let check = |allocs: &mut FuncValidatorAllocations, f: u32| -> Result<(), (u32, Error)> {
            let (mut validator, reader) =
                wasm::validate_body(&self.inner.raw, &self.inner.bytes, f, std::mem::take(allocs));
            let body = wasmparser::FunctionBody::new(reader);
            let outcome = validator.validate(&body).map_err(|e| (f, self.body_error(f, &e)));
            *allocs = validator.into_allocations();
            outcome
        };
        let outcome = match parallel::pool().filter(|_| count >= 64) {
            None => {
                let mut allocs = FuncValidatorAllocations::default();
                (0..count).try_for_each(|f| check(&mut allocs, f))
            }
            Some(pool) => pool.install(|| {
                let errors = (0..count).into_par_iter().with_min_len(32);
                errors
                    .map_init(FuncValidatorAllocations::default, check)
                    .filter_map(Result::err)
                    .min_by_key(|e| e.0)
                    .map_or(Ok(()), Err)
            }),
        };
        outcome.map_err(|e| e.1)
    }

    /// What is wrong with the body of one of the module's own functions.
    pub(crate) fn body_error(&self, own_func: u32, e: &wasmparser::Error) -> Error {
        let function = own_func + self.inner.raw.imported_funcs();
        Error::Module(ModuleError {
            message: e.message().to_string(),
            offset: Some(e.offset()),
            function: Some(function),
            function_name: self.func_name(function),
        })
    }

    /// The engine it was made with.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// The module's own name, from its name section.
    pub fn name(&self) -> Option<&str> {
        self.inner.name()
    }

    /// Name of a function: from the name section, or the name under which it is exported or imported.
    pub fn func_name(&self, func: u32) -> Option<String> {
        self.inner.func_name(func)
    }

    /// What the module needs.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = ImportType<'_>> {
        self.inner.raw.imports.iter().map(|i| ImportType {
            module: &i.module,
            name: &i.name,
            ty: match i.ty {
                RawImport::Func(t) => ExternType::Func(self.func_type(t)),
                RawImport::Table(t) => ExternType::Table(t),
                RawImport::Memory(t) => ExternType::Memory(t),
                RawImport::Global(t) => ExternType::Global(t),
                RawImport::Tag(t) => ExternType::Tag(self.func_type(t)),
            },
        })
    }

    /// What the module offers.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = ExportType<'_>> {
        self.inner.raw.exports.iter().map(|e| ExportType { name: &e.name, ty: self.extern_type(e.kind, e.index) })
    }

    /// The type of an export.
    pub fn get_export(&self, name: &str) -> Option<ExternType> {
        self.inner.raw.export(name).map(|e| self.extern_type(e.kind, e.index))
    }

    fn extern_type(&self, kind: ExternKind, index: u32) -> ExternType {
        let (raw, i) = (&self.inner.raw, index as usize);
        match kind {
            ExternKind::Func => ExternType::Func(self.func_type(raw.funcs[i])),
            ExternKind::Table => ExternType::Table(raw.tables[i].ty),
            ExternKind::Memory => ExternType::Memory(raw.memories[i]),
            ExternKind::Global => ExternType::Global(raw.globals[i].ty),
            ExternKind::Tag => ExternType::Tag(self.func_type(raw.tags[i])),
        }
    }

    pub(crate) fn func_type(&self, id: TypeId) -> FuncType {
        // Functions and tags have function types: the type and import sections are validated.
        self.inner.engine.types().func(id).unwrap_or(FuncType { params: Box::new([]), results: Box::new([]) })
    }

    /// Number of functions, imports included.
    pub fn function_count(&self) -> u32 {
        self.inner.raw.funcs.len() as u32
    }
    /// Type of a function.
    pub fn function_type(&self, func: u32) -> Option<FuncType> {
        self.inner.raw.funcs.get(func as usize).map(|&t| self.func_type(t))
    }
    /// Where a function's body lies in the module's bytes; `None` for imports.
    pub fn function_body(&self, func: u32) -> Option<std::ops::Range<usize>> {
        let own = self.inner.raw.own_func(func)?;
        self.inner.raw.bodies.get(own as usize).map(|b| b.range())
    }
    /// The module in the binary format.
    pub fn bytes(&self) -> &[u8] {
        &self.inner.bytes
    }
    /// Types of the module's memories, imports included.
    pub fn memories(&self) -> &[wasm::MemoryType] {
        &self.inner.raw.memories
    }
    /// Custom sections: name and size in bytes.
    pub fn custom_sections(&self) -> impl Iterator<Item = (&str, usize)> {
        self.inner.raw.custom_sections.iter().map(|(n, r)| (&**n, r.len()))
    }

    /// The register code of a function beside its WebAssembly, as text.
    ///
    /// # Errors
    /// When there is no such function, or its body is not valid.
    pub fn disassemble(&self, func: u32) -> Result<String> {
        let own = self.inner.raw.own_func(func).filter(|&f| (f as usize) < self.inner.raw.bodies.len());
        let own = own.ok_or_else(|| Error::api(format!("function {func} is an import or does not exist")))?;
        translate::disassemble(self, own)
    }

    /// A stage of the compilation of a function, as text.
    ///
    /// # Errors
    /// When there is no such function, its body is not valid, or the compiler cannot do it.
    pub fn inspect(&self, func: u32, stage: jit::Stage) -> Result<String> {
        let own = self.inner.raw.own_func(func).filter(|&f| (f as usize) < self.inner.raw.bodies.len());
        let own = own.ok_or_else(|| Error::api(format!("function {func} is an import or does not exist")))?;
        let can_guard = crate::runtime::memory::LinearMemory::can_guard;
        let guarded = self.inner.engine.config().memory_mode == crate::MemoryMode::Auto
            && self.inner.raw.memories.first().is_some_and(can_guard);
        compile::inspect(self, own, guarded, stage)
    }

    /// Gets ready for instances of one kind: code from a file is made reachable, and with `Tier::Jit` everything else is
    /// compiled now, unless that has been done.
    pub(crate) fn prepare(&self, guarded: bool) {
        let tier = self.inner.engine.config().tier;
        if tier == crate::Tier::Interp {
            return;
        }
        self.inner.compiled[usize::from(guarded)].call_once(|| {
            let origin = &self.inner.origin;
            if let Some(image) = origin.image.as_ref().filter(|i| guarded == origin.guarded && i.has_code()) {
                // Without it everything is compiled anew.
                if self.code(guarded).native.attach(self, image).is_ok() {
                    self.inner.engine.log().attached(self, guarded);
                }
            }
            if tier == crate::Tier::Jit {
                crate::tier::eager::compile_all(self, guarded);
            }
        });
    }

    /// The register code for instances of one kind.
    pub(crate) fn code(&self, guarded: bool) -> &ModuleCode {
        self.inner.codes[usize::from(guarded)].get_or_init(|| ModuleCode::new(self.inner.raw.bodies.len()))
    }
}

/// Whether bytes are those of a module in the binary format.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm")
}

/// What bytes are that are no module, if it is something that is often taken for one.
pub(crate) fn foreign(bytes: &[u8]) -> Option<&'static str> {
    const COMPONENT: &str = "this is a component; build it as a core module for WASI preview 1 (target wasm32-wasip1)";
    const BEGINNINGS: [(&[u8], &str); 12] = [
        (b"\0asm\x0d\0\x01\0", COMPONENT),
        (b"\x1f\x8b", "this is compressed (gzip), not a WebAssembly module; unpack it first (gunzip)"),
        (b"\x28\xb5\x2f\xfd", "this is compressed (zstd), not a WebAssembly module; unpack it first (unzstd)"),
        (b"\xfd7zXZ\0", "this is compressed (xz), not a WebAssembly module; unpack it first (unxz)"),
        (b"BZh", "this is compressed (bzip2), not a WebAssembly module; unpack it first (bunzip2)"),
        (b"PK\x03\x04", "this is a ZIP archive, not a WebAssembly module; unpack it first"),
        (b"\x7fELF", "this is an ELF file (a native program, library or object), not a WebAssembly module"),
        (b"MZ", "this is a Windows program, not a WebAssembly module"),
        (b"\xcf\xfa\xed\xfe", "this is a macOS program, not a WebAssembly module"),
        (b"!<arch>\n", "this is an archive of object files (ar), not a WebAssembly module; link it first"),
        (b"BC\xc0\xde", "this is LLVM bitcode, not a WebAssembly module; compile and link it first"),
        (b"#!", "this is a script, not a WebAssembly module"),
    ];
    if bytes.is_empty() {
        return Some("this is empty, not a WebAssembly module");
    }
    if let Some((_, what)) = BEGINNINGS.iter().find(|(begin, _)| bytes.starts_with(begin)) {
        return Some(what);
    }
    let start: Vec<u8> = bytes.iter().take(256).map(u8::to_ascii_lowercase).collect();
    let start = start.trim_ascii_start();
    let page = [&b"<!doctype html"[..], b"<html", b"<head", b"<?xml", b"<!--"].iter().any(|b| start.starts_with(b));
    if page {
        return Some(
            "this is an HTML or XML page, not a WebAssembly module: was it downloaded from the right address?",
        );
    }
    // What is cut off in the first four bytes is a damaged module.
    let begins = is_binary(bytes) || b"\0asm".starts_with(bytes);
    (!begins && !is_textual(bytes)).then_some("this is neither a WebAssembly module nor one in the text format")
}

/// Whether bytes may be a module in the text format.
fn is_textual(bytes: &[u8]) -> bool {
    cfg!(feature = "wat")
        && std::str::from_utf8(bytes).is_ok_and(|t| {
            let t = t.trim_start_matches('\u{feff}').trim_start();
            t.starts_with('(') || t.starts_with(";;")
        })
}

/// Stack for reading the text format.
#[cfg(feature = "wat")]
const TEXT_STACK: usize = 16 << 20;

/// The binary format of a module that may be text.
pub(crate) fn binary(bytes: Vec<u8>) -> Result<Vec<u8>> {
    if is_binary(&bytes) {
        return Ok(bytes);
    }
    #[cfg(feature = "wat")]
    {
        if is_textual(&bytes) {
            // Reading recurses as deeply as the text nests, up to a limit.
            let parsed = on_stack(TEXT_STACK, || wat::parse_bytes(&bytes).map(Cow::into_owned));
            let parsed = parsed.map_err(|e| Error::limit(format!("no stack to read the text with: {e}")))?;
            return parsed.map_err(|e| Error::text(e.to_string()));
        }
    }
    Ok(bytes)
}
