//! The compiled code of one module for one kind of instances: placed, linked, published.
//!
//! In: [`jit::Code`] of its functions, or an image of such code from a file. Out: native cells, code cells and loops that
//! lead to it. Invariants: whatever a cell leads to is complete and stays until the module is dropped; nothing is reserved
//! or made before there is code; before that, no native cell is looked at, because only compiled code of the same module does.
//!
//! ```text
//!   native cells  (one per own function, in the heap)   ──► its code, or the exit adapter of its type
//!   code memory   | image from a file, shared with others | what was compiled here … | free …
//! ```

use super::arrange::{Adapter, Arrangement};
use super::enter::NativeEntry;
use super::registry::{CodeMap, Placed};
use crate::cache::CodeImage;
use crate::error::{Error, Result};
use crate::module::{Module, ModuleInner};
use crate::profile::Registered;
use crate::sys::{CodeMemory, NATIVE_AVAILABLE, catch_native_faults};
use jit::{Code, Entry};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) use super::arrange::Compiled;

/// Relative calls must reach from one end of the code memory to the other.
pub(crate) const MAX_SIZE: usize = (2 << 30) - (1 << 20);

/// The compiled code of a module.
pub(crate) struct NativeCode {
    cells: Box<[AtomicPtr<u8>]>,
    space: Mutex<Option<Space>>,
    /// What debuggers know of the code, until it is gone.
    kept: Mutex<Vec<Registered>>,
    /// Bytes of functions' code that no file has yet.
    fresh: AtomicU64,
}

/// Code memory with what is in it.
struct Space {
    memory: CodeMemory,
    map: Arc<CodeMap>,
    arrangement: Arrangement,
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
        NativeCode { cells, space: Mutex::new(None), kept: Mutex::default(), fresh: AtomicU64::new(0) }
    }

    /// The native cells, one per function of the module's own.
    pub(crate) fn cells(&self) -> *const AtomicPtr<u8> {
        self.cells.as_ptr()
    }

    /// Bytes of functions' code that have been compiled since a file was last written of it.
    pub(crate) fn fresh(&self) -> &AtomicU64 {
        &self.fresh
    }

    /// Takes over code from a file.
    ///
    /// # Errors
    /// When it cannot be mapped: nothing has changed then.
    pub(crate) fn attach(&self, module: &Module, image: &Arc<CodeImage>) -> Result<()> {
        let mut lock = self.lock();
        if lock.is_none() {
            let space = Space::with_image(&module.inner, Arc::downgrade(&module.inner), image)?;
            self.fill_cells(module, &space);
            *lock = Some(space);
        }
        Ok(())
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
        let placed = batch.iter().map(|c| space.arrangement.place_func(c)).collect::<Result<Vec<_>>>()?;
        let mut entries = Vec::with_capacity(batch.len());
        let mut locations = Vec::with_capacity(batch.len());
        for (c, &at) in batch.into_iter().zip(&placed) {
            locations.push(Location { address: space.memory.base() as usize + at, len: c.code.bytes.len() });
            entries.push((c.own_func, c.entry, space.entry(module, c.own_func, c.entry, at)?));
            if c.entry == Entry::Function {
                self.fresh.fetch_add(c.code.bytes.len() as u64, Ordering::Relaxed);
            }
            space.arrangement.link(&module.inner, c, at)?;
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

    /// Lets calls of the interpreter go to a function's code, if there is some already (from a file).
    ///
    /// # Errors
    /// When there is no memory for an adapter.
    pub(crate) fn enter(&self, module: &Module, guarded: bool, own_func: u32) -> Result<bool> {
        let mut lock = self.lock();
        let Some(space) = lock.as_mut() else { return Ok(false) };
        let at = space.arrangement.funcs[own_func as usize];
        if at == 0 {
            return Ok(false);
        }
        let native = space.entry(module, own_func, Entry::Function, at as usize)?;
        space.write()?;
        drop(lock);
        module.code(guarded).publish_native(own_func, Entry::Function, native);
        Ok(true)
    }

    /// The functions that have code, where it is, and its tables.
    pub(crate) fn located(&self) -> Vec<(u32, Location, Code)> {
        let lock = self.lock();
        let Some(space) = lock.as_ref() else { return Vec::new() };
        let funcs = space.arrangement.funcs.iter().enumerate().filter(|(_, at)| **at != 0);
        let located = funcs.filter_map(|(f, &at)| {
            let address = space.memory.base() as usize + at as usize;
            let placed = space.map.at(address)?;
            Some((f as u32, Location { address, len: placed.size() }, placed.tables()))
        });
        located.collect()
    }

    /// The code of all functions that have some, as it was compiled but for its relative calls; they may lead anywhere.
    pub(crate) fn functions(&self) -> Vec<Compiled> {
        let lock = self.lock();
        let Some(space) = lock.as_ref() else { return Vec::new() };
        let funcs = space.arrangement.funcs.iter().enumerate().filter(|(_, at)| **at != 0);
        let compiled = funcs.filter_map(|(f, &at)| {
            let address = space.memory.base() as usize + at as usize;
            let placed = space.map.at(address)?;
            let bytes = space.memory.read(at as usize, placed.size());
            Some(Compiled { own_func: f as u32, entry: Entry::Function, code: placed.code(bytes) })
        });
        compiled.collect()
    }

    /// Those of some functions that have no code.
    pub(crate) fn without_code(&self, functions: Vec<u32>) -> Vec<u32> {
        let lock = self.lock();
        let has = |f: u32| lock.as_ref().is_some_and(|s| s.arrangement.funcs[f as usize] != 0);
        functions.into_iter().filter(|&f| !has(f)).collect()
    }

    /// The functions that have no code.
    pub(crate) fn missing(&self) -> Vec<u32> {
        self.without_code((0..self.cells.len() as u32).collect())
    }

    /// Keeps what a debugger knows of a function.
    pub(crate) fn keep(&self, r: Registered) {
        self.kept.lock().unwrap_or_else(|e| e.into_inner()).push(r);
    }

    /// Lets every cell lead to the function's code, or else to the adapter that has the interpreter run it.
    fn fill_cells(&self, module: &Module, space: &Space) {
        let raw = &module.inner.raw;
        let types = &raw.funcs[raw.imported_funcs() as usize..];
        let base = space.memory.base();
        let mut last = None;
        for ((cell, ty), &code) in self.cells.iter().zip(types).zip(&space.arrangement.funcs) {
            let at = match (code, last) {
                (0, Some((t, at))) if t == *ty => at,
                (0, _) => {
                    let at = space.arrangement.adapters[&Adapter::ExitOwn(*ty)];
                    last = Some((*ty, at));
                    at
                }
                (at, _) => at,
            };
            cell.store(base.wrapping_add(at as usize).cast_mut(), Ordering::Release);
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

fn unavailable(why: impl std::fmt::Display) -> Error {
    Error::limit(format!("no memory for compiled code: {why}"))
}

impl Space {
    /// Reserves memory and places the adapters that cells lead to at first.
    fn new(module: &Module) -> Result<Space> {
        if !NATIVE_AVAILABLE || !catch_native_faults() {
            return Err(unavailable("not on this system"));
        }
        let memory = CodeMemory::reserve(size_for(&module.inner)).map_err(unavailable)?;
        let mut arrangement = Arrangement::new(module.inner.raw.bodies.len(), memory.len());
        arrangement.exits(&module.inner)?;
        let map = CodeMap::register(memory.base() as usize, memory.len(), Arc::downgrade(&module.inner), None);
        let mut space = Space { memory, map, arrangement };
        if let Err(e) = space.write() {
            space.map.unregister();
            return Err(e);
        }
        Ok(space)
    }

    /// Reserves memory that begins with code from a file.
    fn with_image(inner: &ModuleInner, module: std::sync::Weak<ModuleInner>, image: &Arc<CodeImage>) -> Result<Space> {
        if !NATIVE_AVAILABLE || !catch_native_faults() {
            return Err(unavailable("not on this system"));
        }
        let taken = image.code_len().next_multiple_of(1 << 16);
        let size = size_for(inner).saturating_add(taken).min(MAX_SIZE);
        if taken > size {
            return Err(unavailable("the file has too much of it"));
        }
        let mut memory = CodeMemory::reserve(size).map_err(unavailable)?;
        image.place(&mut memory).map_err(unavailable)?;
        let arrangement = image.arrangement(taken, size);
        let map = CodeMap::register(memory.base() as usize, memory.len(), module, Some(image.clone()));
        Ok(Space { memory, map, arrangement })
    }

    fn address(&self, at: u32) -> *const u8 {
        self.memory.base().wrapping_add(at as usize)
    }

    /// What the interpreter needs to enter a function's code.
    fn entry(&mut self, module: &Module, own_func: u32, entry: Entry, at: usize) -> Result<Box<NativeEntry>> {
        let raw = &module.inner.raw;
        let id = raw.funcs[(own_func + raw.imported_funcs()) as usize];
        let enter = match entry {
            Entry::Function => Adapter::Enter(id),
            Entry::Loop(_) => Adapter::EnterLoop(id),
        };
        let adapter = self.arrangement.adapter(&module.inner, enter)?;
        let tail = self.arrangement.adapter(&module.inner, Adapter::Tail(id))?;
        let (code, adapter, tail) = (self.address(at as u32), self.address(adapter), self.address(tail));
        Ok(Box::new(NativeEntry::new(own_func, &module.func_type(id), code, adapter, tail)))
    }

    /// Writes what has been placed, and enters it in the map.
    fn write(&mut self) -> Result<()> {
        let pieces: Vec<(usize, &[u8])> = self.arrangement.bytes.iter().map(|(at, b)| (*at, &b[..])).collect();
        let outcome = self.memory.write(&pieces);
        self.arrangement.bytes.clear();
        let base = self.memory.base() as usize;
        for (at, placed) in self.arrangement.pieces.drain(..) {
            self.map.insert(base + at, placed);
        }
        outcome.map_err(|e| Error::limit(format!("cannot write compiled code: {e}")))
    }
}

impl Placed {
    /// The code it was made of, given its bytes.
    pub(crate) fn code(&self, bytes: Vec<u8>) -> Code {
        Code { bytes, ..self.tables() }
    }
}
