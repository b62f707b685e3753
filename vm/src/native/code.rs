//! The compiled code of one module for one kind of instances: placed, linked, published.
//!
//! In: [`jit::Code`] of its functions, or an image of such code from a file. Out: native cells, code cells and loops that
//! lead to it. Invariants: whatever a cell leads to is complete and stays until the module is dropped: a function is placed, linked and
//! written first, and everything that was entered for it is taken back when one of these fails; nothing is reserved
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

/// Code in its place to which nothing leads yet, with what enters it.
struct Ready {
    own_func: u32,
    entry: Entry,
    native: Box<NativeEntry>,
    location: Location,
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

    /// Places code, links it, and makes everything lead there. Functions of one call reach each other directly if there is room for all
    /// of them.
    ///
    /// Returns for each where it is, or why not; then nothing leads to it, and whatever else there is is as it was.
    pub(crate) fn publish(&self, module: &Module, guarded: bool, mut batch: Vec<Compiled>) -> Vec<Result<Location>> {
        let mut lock = self.lock();
        let space = match self.space(&mut lock, module) {
            Ok(space) => space,
            Err(e) => return batch.iter().map(|_| Err(Error::limit(e.to_string()))).collect(),
        };
        match space.add(module, &mut batch) {
            Ok(ready) => self.reach(module, guarded, ready).into_iter().map(Ok).collect(),
            Err(e) if batch.len() == 1 => vec![Err(e)],
            Err(_) => {
                // What is too much costs only itself.
                let one = |c| {
                    let ready = space.add(module, &mut vec![c])?;
                    self.reach(module, guarded, ready).pop().ok_or_else(|| unavailable("nothing was placed"))
                };
                batch.into_iter().map(one).collect()
            }
        }
    }

    /// The code memory, which is made if there is none.
    fn space<'s>(&self, lock: &'s mut Option<Space>, module: &Module) -> Result<&'s mut Space> {
        match lock {
            Some(space) => Ok(space),
            none => {
                let space = none.insert(Space::new(module)?);
                self.fill_cells(module, space);
                Ok(space)
            }
        }
    }

    /// Makes everything lead to code that is in its place.
    fn reach(&self, module: &Module, guarded: bool, ready: Vec<Ready>) -> Vec<Location> {
        let mut locations = Vec::with_capacity(ready.len());
        for Ready { own_func, entry, native, location } in ready {
            if entry == Entry::Function {
                self.fresh.fetch_add(location.len as u64, Ordering::Relaxed);
                self.cells[own_func as usize].store(native.code.cast_mut(), Ordering::Release);
            }
            module.code(guarded).publish_native(own_func, entry, native);
            locations.push(location);
        }
        locations
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
        let native = space.enter(module, own_func, at as usize)?;
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

/// Address space for a module's code: many times what is made of its WebAssembly (3 to 6 bytes of each on average), since
/// address space costs nothing until it is used.
fn size_for(module: &ModuleInner) -> usize {
    let wasm: usize = module.raw.bodies.iter().map(|b| b.range().len()).sum();
    let wanted = wasm.saturating_mul(64).saturating_add(module.raw.bodies.len() * 1024).saturating_add(64 << 20);
    wanted.next_multiple_of(1 << 16).min(MAX_SIZE)
}

/// Reserves so much, or less where the system grants less: what does not fit stays in the interpreter.
fn reserve(wanted: usize, at_least: usize) -> Result<CodeMemory> {
    let mut len = wanted;
    loop {
        match CodeMemory::reserve(len) {
            Ok(memory) => return Ok(memory),
            Err(e) if len / 2 < at_least => return Err(unavailable(e)),
            Err(_) => len /= 2,
        }
    }
}

/// The least that is worth reserving.
const MIN_SIZE: usize = 1 << 20;

fn unavailable(why: impl std::fmt::Display) -> Error {
    Error::limit(format!("no memory for compiled code: {why}"))
}

impl Space {
    /// Reserves memory and places the adapters that cells lead to at first.
    fn new(module: &Module) -> Result<Space> {
        if !NATIVE_AVAILABLE || !catch_native_faults() {
            return Err(unavailable("not on this system"));
        }
        let memory = reserve(size_for(&module.inner), MIN_SIZE)?;
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
        let mut memory = reserve(size, taken + MIN_SIZE)?;
        image.place(&mut memory, taken).map_err(unavailable)?;
        let arrangement = image.arrangement(taken, memory.len());
        let map = CodeMap::register(memory.base() as usize, memory.len(), module, Some(image.clone()));
        Ok(Space { memory, map, arrangement })
    }

    fn address(&self, at: u32) -> *const u8 {
        self.memory.base().wrapping_add(at as usize)
    }

    /// Places and links functions and makes what enters them; all or nothing. After an error they are all in the batch again.
    fn add(&mut self, module: &Module, batch: &mut Vec<Compiled>) -> Result<Vec<Ready>> {
        let outcome = self.add_each(module, batch).and_then(|ready| self.write().map(|()| ready));
        match outcome {
            Ok(_) => batch.clear(),
            Err(_) => {
                let linked = self.arrangement.undo();
                batch.splice(..linked.len(), linked);
            }
        }
        outcome
    }

    fn add_each(&mut self, module: &Module, batch: &mut [Compiled]) -> Result<Vec<Ready>> {
        let places = batch.iter().map(|c| self.arrangement.place_func(c)).collect::<Result<Vec<_>>>()?;
        let mut ready = Vec::with_capacity(batch.len());
        for (c, at) in batch.iter_mut().zip(places) {
            let native = self.entry(module, c.own_func, c.entry, at)?;
            let location = Location { address: self.memory.base() as usize + at, len: c.code.bytes.len() };
            self.arrangement.link(&module.inner, c, at)?;
            ready.push(Ready { own_func: c.own_func, entry: c.entry, native, location });
        }
        Ok(ready)
    }

    /// What enters a function whose code is there already.
    fn enter(&mut self, module: &Module, own_func: u32, at: usize) -> Result<Box<NativeEntry>> {
        let outcome = self.entry(module, own_func, Entry::Function, at);
        let outcome = outcome.and_then(|native| self.write().map(|()| native));
        if outcome.is_err() {
            self.arrangement.undo();
        }
        outcome
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

    /// Writes what has been placed, and enters it in the map. Nothing leads there yet.
    fn write(&mut self) -> Result<()> {
        let pieces: Vec<(usize, &[u8])> = self.arrangement.bytes.iter().map(|(at, b)| (*at, &b[..])).collect();
        self.memory.write(&pieces).map_err(|e| Error::limit(format!("cannot write compiled code: {e}")))?;
        let base = self.memory.base() as usize;
        for (at, placed) in self.arrangement.pieces.drain(..) {
            self.map.insert(base + at, placed);
        }
        if cfg!(debug_assertions) {
            self.check();
        }
        self.arrangement.done();
        Ok(())
    }

    /// That what was just placed is there, and that all its relative calls lead to the beginning of code that is there.
    fn check(&self) {
        let base = self.memory.base() as usize;
        for (at, bytes) in &self.arrangement.bytes {
            assert!(self.memory.read(*at, bytes.len()) == *bytes, "code at {at:#x} is not what was placed there");
            let placed = self.map.at(base + at);
            for field in placed.iter().flat_map(|p| p.calls_by_offset()) {
                let word: [u8; 4] = bytes[field..field + 4].try_into().unwrap_or_default();
                let target = (base + at + field + 4).wrapping_add_signed(i32::from_le_bytes(word) as isize);
                assert!(self.map.at(target).is_some(), "a call at {:#x} leads to where no code is", at + field);
            }
        }
    }
}

impl Placed {
    /// The code it was made of, given its bytes.
    pub(crate) fn code(&self, bytes: Vec<u8>) -> Code {
        Code { bytes, ..self.tables() }
    }
}

#[cfg(test)]
mod tests {
    use crate::sys::fault;
    use crate::{Config, Engine, Instance, Module, Store, Tier};

    /// Functions that call each other forwards and backwards, directly, by table and to the host's types, with traps.
    fn text() -> String {
        let mut text =
            String::from("(module (table funcref (elem $f0 $f3 $f7)) (type $t (func (param i32) (result i32)))\n");
        for i in 0..12 {
            let (other, back) = ((i + 5) % 12, (i + 11) % 12);
            text += &format!(
                "(func $f{i} (export \"f{i}\") (param i32) (result i32)
                   (if (i32.eqz (local.get 0)) (then (return (i32.const {i}))))
                   (call $f{other} (i32.sub (local.get 0) (i32.const 1)))
                   (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.rem_u (local.get 0) (i32.const 3)))
                   (call $f{back} (i32.const 0)) (call $g (i32.const 1) (i64.const {i})) i32.add i32.add i32.add)\n"
            );
        }
        text + "(func $g (param i32 i64) (result i32) (i32.wrap_i64 (local.get 1))))"
    }

    fn run(tier: Tier, at: Option<u32>) -> (Vec<i32>, u32) {
        let mut config = Config::new();
        config.tier(tier).tier_threshold(1).compile_threads(0).max_stack(1 << 20);
        let engine = Engine::new(&config).expect("the settings can be met");
        let module = Module::new(&engine, text()).expect("valid");
        let mut store = Store::new(&engine, ());
        fault::inject(at);
        let instance = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
        let mut results = Vec::new();
        for round in 0..3 {
            for i in 0..12 {
                let f = instance.get_typed_func::<i32, i32>(&mut store, &format!("f{i}")).expect("exported");
                results.push(f.call(&mut store, round).expect("it returns"));
            }
        }
        (results, fault::inject(None))
    }

    #[test]
    fn whatever_step_of_publishing_fails_the_rest_holds() {
        let (expected, _) = run(Tier::Interp, None);
        // What publishes is this thread.
        let (results, steps) = run(Tier::Jit, None);
        assert_eq!(results, expected);
        assert!(steps > 20, "{steps} steps");
        for at in 0..steps {
            assert_eq!(run(Tier::Jit, Some(at)).0, expected, "step {at} of {steps} fails");
        }
    }
}
