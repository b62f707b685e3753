//! The compiled code of one module for one kind of instances: placed, linked, published.
//!
//! In: [`jit::Code`] of its functions. Out: native cells, code cells and loops that lead to it. Invariants: whatever a cell
//! leads to is complete and stays until the module is dropped; nothing is reserved or made before the first code is
//! placed; before that, no native cell is looked at, because only compiled code of the same module does.
//!
//! ```text
//!   native cells  (one per own function, in the heap)   ──► its code, or the exit adapter of its type
//!   code memory   | exit adapters | code … | stubs | adapters | code … | free …
//! ```
//!
//! Code calls a function of its module directly if that is already there, otherwise a stub, `mov rax, cell; jmp [rax]`.

use super::enter::NativeEntry;
use super::registry::{CodeMap, Piece, Placed};
use crate::error::{Error, Result};
use crate::module::{Module, ModuleInner};
use crate::profile::Registered;
use crate::sys::{CodeMemory, NATIVE_AVAILABLE, catch_native_faults};
use jit::x64::adapter;
use jit::{Code, Entry, Exit, RelocTarget};
use std::collections::HashMap;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use wasm::TypeId;

/// Functions begin at multiples of this, whole cache lines: a small recursive function across two cost a sixth of its speed.
const ALIGN: usize = 64;
/// Adapters and stubs do so at multiples of this.
const ADAPTER_ALIGN: usize = 16;
/// Bytes of a stub.
const STUB: usize = 16;
/// Relative calls must reach from one end of the code memory to the other.
const MAX_SIZE: usize = (2 << 30) - (1 << 20);

/// The compiled code of a module.
pub(crate) struct NativeCode {
    cells: Box<[AtomicPtr<u8>]>,
    space: Mutex<Option<Space>>,
    /// What debuggers know of the code, until it is gone.
    kept: Mutex<Vec<Registered>>,
}

/// What an adapter does, with the type it does it for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Adapter {
    Enter(TypeId),
    EnterLoop(TypeId),
    Tail(TypeId),
    ExitOwn(TypeId),
    ExitReference(TypeId),
}

/// Code memory with what is in it.
struct Space {
    memory: CodeMemory,
    map: Arc<CodeMap>,
    used: usize,
    /// Offsets of the code of own functions; none for 0, where an adapter is.
    funcs: Box<[u32]>,
    stubs: HashMap<u32, u32>,
    adapters: HashMap<Adapter, u32>,
    /// What has been placed but not written.
    pending: Vec<(usize, Vec<u8>)>,
    pieces: Vec<(usize, Placed)>,
}

/// A function or loop to be published.
pub(crate) struct Compiled {
    pub(crate) own_func: u32,
    pub(crate) entry: Entry,
    pub(crate) code: Code,
}

/// Where code was placed.
#[derive(Clone, Copy)]
pub(crate) struct Location {
    pub(crate) address: usize,
    pub(crate) len: usize,
}

impl NativeCode {
    pub(crate) fn new(funcs: usize) -> NativeCode {
        // SAFETY: null pointers are valid.
        let cells = unsafe { Box::new_zeroed_slice(funcs).assume_init() };
        NativeCode { cells, space: Mutex::new(None), kept: Mutex::default() }
    }

    /// The native cells, one per function of the module's own.
    pub(crate) fn cells(&self) -> *const AtomicPtr<u8> {
        self.cells.as_ptr()
    }

    /// Places code, links it, and makes everything lead there. Functions of one call reach each other directly.
    ///
    /// # Errors
    /// When there is no memory for it: nothing has changed then.
    pub(crate) fn publish(&self, module: &Module, guarded: bool, batch: Vec<Compiled>) -> Result<Vec<Location>> {
        let mut lock = self.lock();
        if lock.is_none() {
            let space = Space::new(module)?;
            self.fill_cells(module, &space);
            *lock = Some(space);
        }
        let Some(space) = lock.as_mut() else { return Ok(Vec::new()) };
        let mut placed = Vec::with_capacity(batch.len());
        for c in &batch {
            let at = space.place(c.code.bytes.len(), ALIGN)?;
            if c.entry == Entry::Function {
                space.funcs[c.own_func as usize] = at as u32;
            }
            placed.push(at);
        }
        let mut entries = Vec::with_capacity(batch.len());
        let mut locations = Vec::with_capacity(batch.len());
        for (c, &at) in batch.into_iter().zip(&placed) {
            locations.push(Location { address: space.memory.base() as usize + at, len: c.code.bytes.len() });
            entries.push((c.own_func, c.entry, space.entry(module, c.own_func, c.entry, at)?));
            space.link(module, &self.cells, c, at)?;
        }
        space.write()?;
        for (own_func, entry, native) in entries {
            if entry == Entry::Function {
                self.cells[own_func as usize].store(native.code.cast_mut(), Ordering::Release);
            }
            module.code(guarded).publish_native(own_func, entry, native);
        }
        Ok(locations)
    }

    /// Keeps what a debugger knows of a function.
    pub(crate) fn keep(&self, r: Registered) {
        self.kept.lock().unwrap_or_else(|e| e.into_inner()).push(r);
    }

    /// Lets every cell lead to the adapter that has the interpreter run the function.
    fn fill_cells(&self, module: &Module, space: &Space) {
        let raw = &module.inner.raw;
        let types = &raw.funcs[raw.imported_funcs() as usize..];
        for (cell, ty) in self.cells.iter().zip(types) {
            let at = space.adapters[&Adapter::ExitOwn(*ty)];
            cell.store(space.memory.base().wrapping_add(at as usize).cast_mut(), Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Space>> {
        self.space.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for NativeCode {
    fn drop(&mut self) {
        if let Some(space) = self.space.get_mut().unwrap_or_else(|e| e.into_inner()) {
            space.map.unregister();
        }
    }
}

/// Address space for a module's code: a multiple of its WebAssembly, and something per function.
fn size_for(module: &ModuleInner) -> usize {
    let wasm: usize = module.raw.bodies.iter().map(|b| b.range().len()).sum();
    let wanted = wasm.saturating_mul(32).saturating_add(module.raw.bodies.len() * 256).saturating_add(1 << 20);
    wanted.next_multiple_of(1 << 16).min(MAX_SIZE)
}

impl Space {
    /// Reserves memory and places the adapters that cells lead to at first.
    fn new(module: &Module) -> Result<Space> {
        let unavailable = |why: String| Error::limit(format!("no memory for compiled code: {why}"));
        if !NATIVE_AVAILABLE || !catch_native_faults() {
            return Err(unavailable("not on this system".into()));
        }
        let memory = CodeMemory::reserve(size_for(&module.inner)).map_err(|e| unavailable(e.to_string()))?;
        let map = CodeMap::register(memory.base() as usize, memory.len(), Arc::downgrade(&module.inner));
        let raw = &module.inner.raw;
        let funcs = vec![0; raw.bodies.len()].into();
        let mut space = Space {
            memory,
            map,
            used: 0,
            funcs,
            stubs: HashMap::new(),
            adapters: HashMap::new(),
            pending: Vec::new(),
            pieces: Vec::new(),
        };
        let made = (|| {
            for &ty in &raw.funcs[raw.imported_funcs() as usize..] {
                space.adapter(module, Adapter::ExitOwn(ty))?;
            }
            space.write()
        })();
        if let Err(e) = made {
            space.map.unregister();
            return Err(e);
        }
        Ok(space)
    }

    /// Takes room for code.
    fn place(&mut self, len: usize, align: usize) -> Result<usize> {
        let at = self.used.next_multiple_of(align);
        if at + len > self.memory.len() {
            return Err(Error::limit("the module's memory for compiled code is full"));
        }
        self.used = at + len;
        Ok(at)
    }

    fn address(&self, at: u32) -> *const u8 {
        self.memory.base().wrapping_add(at as usize)
    }

    /// Offset of an adapter, which is made if there is none.
    fn adapter(&mut self, module: &Module, which: Adapter) -> Result<u32> {
        if let Some(&at) = self.adapters.get(&which) {
            return Ok(at);
        }
        let ty = |id| module.func_type(id);
        let (code, piece) = match which {
            Adapter::Enter(t) => (adapter::entry_adapter(&ty(t)), Piece::EntryAdapter),
            Adapter::EnterLoop(t) => (adapter::osr_adapter(&ty(t)), Piece::EntryAdapter),
            Adapter::Tail(t) => (adapter::tail_adapter(&ty(t)), Piece::Adapter),
            Adapter::ExitOwn(t) => (adapter::exit_adapter(&ty(t), Exit::Own), Piece::Adapter),
            Adapter::ExitReference(t) => (adapter::exit_adapter(&ty(t), Exit::Reference), Piece::Adapter),
        };
        let at = self.place(code.bytes.len(), ADAPTER_ALIGN)?;
        self.pending.push((at, code.bytes.clone()));
        self.pieces.push((at, Placed::new(piece, code)));
        self.adapters.insert(which, at as u32);
        Ok(at as u32)
    }

    /// Offset of the stub that calls a function by its cell.
    fn stub(&mut self, cells: &[AtomicPtr<u8>], own_func: u32) -> Result<u32> {
        if let Some(&at) = self.stubs.get(&own_func) {
            return Ok(at);
        }
        let at = self.place(STUB, ADAPTER_ALIGN)?;
        let cell = &raw const cells[own_func as usize] as u64;
        let mut bytes = vec![0x48, 0xb8];
        bytes.extend(cell.to_le_bytes());
        bytes.extend([0xff, 0x20]);
        self.pieces.push((at, Placed::new(Piece::Adapter, Code { code_len: bytes.len() as u32, ..Code::default() })));
        self.pending.push((at, bytes));
        self.stubs.insert(own_func, at as u32);
        Ok(at as u32)
    }

    /// What the interpreter needs to enter a function's code.
    fn entry(&mut self, module: &Module, own_func: u32, entry: Entry, at: usize) -> Result<Box<NativeEntry>> {
        let raw = &module.inner.raw;
        let id = raw.funcs[(own_func + raw.imported_funcs()) as usize];
        let enter = match entry {
            Entry::Function => Adapter::Enter(id),
            Entry::Loop(_) => Adapter::EnterLoop(id),
        };
        let adapter = self.adapter(module, enter)?;
        let tail = self.adapter(module, Adapter::Tail(id))?;
        let (code, adapter, tail) = (self.address(at as u32), self.address(adapter), self.address(tail));
        Ok(Box::new(NativeEntry::new(own_func, &module.func_type(id), code, adapter, tail)))
    }

    /// Fills in the code's relative calls.
    fn link(&mut self, module: &Module, cells: &[AtomicPtr<u8>], mut c: Compiled, at: usize) -> Result<()> {
        let mut bytes = std::mem::take(&mut c.code.bytes);
        for reloc in std::mem::take(&mut c.code.relocs) {
            let target = match reloc.target {
                RelocTarget::Func(f) => match self.funcs[f as usize] {
                    0 => self.stub(cells, f)?,
                    at => at,
                },
                RelocTarget::ReferenceAdapter(ty) => self.adapter(module, Adapter::ExitReference(ty))?,
            };
            let field = reloc.at as usize;
            let distance = i64::from(target) - (at + field + 4) as i64;
            bytes[field..field + 4].copy_from_slice(&(distance as i32).to_le_bytes());
        }
        self.pending.push((at, bytes));
        self.pieces.push((at, Placed::new(Piece::Func(c.own_func, c.entry), c.code)));
        Ok(())
    }

    /// Writes what has been placed, and enters it in the map.
    fn write(&mut self) -> Result<()> {
        let pieces: Vec<(usize, &[u8])> = self.pending.iter().map(|(at, bytes)| (*at, &bytes[..])).collect();
        let outcome = self.memory.write(&pieces);
        self.pending.clear();
        let base = self.memory.base() as usize;
        for (at, placed) in self.pieces.drain(..) {
            self.map.insert(base + at, placed);
        }
        outcome.map_err(|e| Error::limit(format!("cannot write compiled code: {e}")))
    }
}
