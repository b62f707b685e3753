//! From an address of machine code to what it belongs to.
//!
//! In: placed code with its tables. Out: for a program counter, the code that contains it. Lookups lock, so they are made
//! outside signal handlers only (which ask `sys::code::is_code`).

use crate::module::ModuleInner;
use jit::abi::TrapCode;
use jit::{Entry, TrapSite};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, Weak};

/// What a piece of placed code is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    /// A function of the module's own, or its rest from a loop on.
    Func(u32, Entry),
    /// An adapter by which the interpreter enters: the end of a stretch of native frames.
    EntryAdapter,
    /// Any other adapter.
    Adapter,
}

/// Code in its place, with its tables.
pub(crate) struct Placed {
    pub(crate) piece: Piece,
    pub(crate) len: u32,
    frame_size: u32,
    prologue: Vec<(u32, u32)>,
    traps: Vec<TrapSite>,
    calls: Vec<(u32, u32)>,
    catches: Vec<u32>,
    /// Registers that lie right below the return address, a bit each, by ascending number.
    pub(crate) saved: u32,
}

impl Placed {
    pub(crate) fn new(piece: Piece, code: jit::Code) -> Placed {
        let jit::Code { code_len, frame_size, saved, prologue, traps, calls, catches, .. } = code;
        Placed { piece, len: code_len, frame_size, prologue, traps, calls, catches, saved }
    }

    /// Distance from the stack pointer to the return address at an instruction.
    pub(crate) fn frame_size(&self, at: u32) -> u32 {
        let i = self.prologue.partition_point(|&(from, _)| from <= at);
        i.checked_sub(1).map_or(self.frame_size, |i| self.prologue[i].1)
    }

    /// The same at a call.
    pub(crate) fn full_frame(&self) -> u32 {
        self.frame_size
    }

    /// The trap at an instruction: why, and the offset in the module.
    pub(crate) fn trap(&self, at: u32) -> Option<(TrapCode, u32)> {
        let i = self.traps.binary_search_by_key(&at, |t| t.at).ok()?;
        Some((self.traps[i].code, self.traps[i].wasm))
    }

    /// Whether the call that returns to an instruction may come back with an exception.
    pub(crate) fn catches(&self, at: u32) -> bool {
        self.catches.binary_search(&at).is_ok()
    }

    /// Offset in the module of the call that returns to an instruction, or failing that of what comes before it.
    pub(crate) fn call(&self, at: u32) -> Option<u32> {
        let i = self.calls.partition_point(|&(from, _)| from <= at);
        self.calls.get(i.checked_sub(1)?).map(|c| c.1)
    }

    /// The same for a fault without an entry of its own: what is nearest.
    pub(crate) fn near(&self, at: u32) -> Option<u32> {
        let call = self.calls.get(self.calls.partition_point(|&(from, _)| from <= at)).map(|c| c.1);
        call.or_else(|| self.call(at))
    }
}

/// The placed code of one module's code memory.
pub(crate) struct CodeMap {
    start: usize,
    end: usize,
    pub(crate) module: Weak<ModuleInner>,
    /// By address.
    placed: Mutex<BTreeMap<usize, Arc<Placed>>>,
}

static MAPS: RwLock<BTreeMap<usize, Arc<CodeMap>>> = RwLock::new(BTreeMap::new());

impl CodeMap {
    /// Makes and registers the map of a range of code memory.
    pub(crate) fn register(start: usize, len: usize, module: Weak<ModuleInner>) -> Arc<CodeMap> {
        let map = Arc::new(CodeMap { start, end: start + len, module, placed: Mutex::default() });
        MAPS.write().unwrap_or_else(|e| e.into_inner()).insert(start, map.clone());
        map
    }

    /// Forgets it; to be called before the memory is unmapped.
    pub(crate) fn unregister(&self) {
        MAPS.write().unwrap_or_else(|e| e.into_inner()).remove(&self.start);
    }

    pub(crate) fn insert(&self, address: usize, placed: Placed) {
        self.lock().insert(address, Arc::new(placed));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<Placed>>> {
        self.placed.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// What contains an address: the map, the code, and the offset in it.
pub(crate) fn find(pc: usize) -> Option<(Arc<CodeMap>, Arc<Placed>, u32)> {
    let maps = MAPS.read().unwrap_or_else(|e| e.into_inner());
    let (_, map) = maps.range(..=pc).next_back()?;
    if pc >= map.end {
        return None;
    }
    let placed = map.lock();
    let (start, code) = placed.range(..=pc).next_back()?;
    let at = (pc - start) as u32;
    // A return address may be one behind the last instruction.
    (at <= code.len).then(|| (map.clone(), code.clone(), at))
}
