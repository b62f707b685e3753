//! Register code in memory.
//!
//! A function's code is an array of 16-byte instructions: the handler's address, then four 16-bit fields, of which the
//! last two may hold one 32-bit immediate or branch offset.
//!
//! ```text
//!   0               8     10    12           16
//!   | handler        |  a  |  b  |  c  |  d  |       d:c together are x
//! ```
//!
//! Some instructions are followed by data words of the same size. Code never moves and is freed with its module.

use super::exec::call::lazy_entry;
use super::exec::exception::{Clause, Delivery, TryRange};
use crate::native::code::NativeCode;
use crate::native::enter::NativeEntry;
use crate::tier::heat::FuncHeat;
use jit::Entry;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

/// One instruction or data word.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Inst {
    /// Address of the handler; in a data word, 64 bits of data.
    pub(crate) h: u64,
    pub(crate) a: u16,
    pub(crate) b: u16,
    pub(crate) x: u32,
}

impl Inst {
    /// Third 16-bit field.
    #[inline(always)]
    pub(crate) fn c(&self) -> u16 {
        self.x as u16
    }
    /// Fourth 16-bit field.
    #[inline(always)]
    pub(crate) fn d(&self) -> u16 {
        (self.x >> 16) as u16
    }
    /// Fields a and b as one number.
    #[inline(always)]
    pub(crate) fn ab(&self) -> u32 {
        u32::from(self.a) | u32::from(self.b) << 16
    }
}

/// Where calls of a function go: at first to a stub that translates it, then to its code.
#[repr(C)]
pub(crate) struct CodeCell {
    pub(crate) entry: AtomicPtr<Inst>,
    /// The stub: its fields a and b hold the function's index among the module's own.
    stub: Inst,
}

/// The register code of one function.
pub(crate) struct FuncCode {
    /// Index among the module's own functions.
    pub(crate) func: u32,
    pub(crate) insts: Box<[Inst]>,
    /// Its `try` blocks, inner ones first.
    pub(crate) tries: Box<[TryRange]>,
    /// Its loops at which compiled code can take over, in the order of their first instructions.
    pub(crate) loops: Box<[Loop]>,
}

/// A loop of register code.
pub(crate) struct Loop {
    /// Index of its first instruction.
    pub(crate) inst: u32,
    /// Index of the instruction behind its last.
    end: u32,
    /// Offset of its operator in the module.
    pub(crate) offset: u32,
    /// How often it was seen running.
    pub(crate) heat: AtomicU32,
    /// The same since the function was compiled.
    pub(crate) late: AtomicU8,
    /// How far its compilation has come: a `tier::queue::State`.
    pub(crate) state: AtomicU8,
    /// Compiled code for the rest of the function from here on, once there is some.
    pub(crate) native: AtomicPtr<NativeEntry>,
}

impl Loop {
    pub(crate) fn new(inst: u32, end: u32, offset: u32) -> Loop {
        Loop {
            inst,
            end,
            offset,
            heat: AtomicU32::default(),
            late: AtomicU8::default(),
            state: AtomicU8::default(),
            native: AtomicPtr::default(),
        }
    }
}

/// The register code of a module for one kind of instances.
pub(crate) struct ModuleCode {
    cells: Box<[CodeCell]>,
    /// Compiled code.
    pub(crate) native: NativeCode,
    /// Where code cells of compiled functions lead, by address, and the entries at loops.
    entries: Mutex<BTreeMap<usize, Box<NativeEntry>>>,
    pub(crate) heat: OnceLock<Box<[FuncHeat]>>,
    /// By the address of the first instruction.
    translated: Mutex<BTreeMap<usize, FuncCode>>,
}

impl ModuleCode {
    pub(crate) fn new(funcs: usize) -> ModuleCode {
        let stub = |i: u32| Inst { h: lazy_entry as *const () as u64, a: i as u16, b: (i >> 16) as u16, x: 0 };
        let mut cells: Box<[CodeCell]> =
            (0..funcs as u32).map(|i| CodeCell { entry: AtomicPtr::default(), stub: stub(i) }).collect();
        for cell in &mut cells {
            *cell.entry.get_mut() = &raw mut cell.stub;
        }
        ModuleCode {
            cells,
            native: NativeCode::new(funcs),
            entries: Mutex::default(),
            heat: OnceLock::new(),
            translated: Mutex::default(),
        }
    }

    /// The cells, one per function of the module's own.
    pub(crate) fn cells(&self) -> *const CodeCell {
        self.cells.as_ptr()
    }

    /// Keeps a function's code and lets calls go there; if another thread was faster, its code stays.
    pub(crate) fn publish(&self, code: FuncCode) -> *const Inst {
        let mut translated = self.lock();
        let cell = &self.cells[code.func as usize];
        let entry = cell.entry.load(Ordering::Acquire);
        if !std::ptr::eq(entry, &raw const cell.stub) {
            return entry;
        }
        let entry = code.insts.as_ptr();
        translated.insert(entry as usize, code);
        cell.entry.store(entry.cast_mut(), Ordering::Release);
        entry
    }

    /// Keeps the entry of compiled code and lets the interpreter go there: calls of the function, or back edges of the loop.
    pub(crate) fn publish_native(&self, own_func: u32, entry: Entry, native: Box<NativeEntry>) {
        let address = (&raw const *native).cast_mut();
        self.entries.lock().unwrap_or_else(|e| e.into_inner()).insert(address as usize, native);
        match entry {
            Entry::Function => {
                // Not while somebody publishes register code, who would take the stub for still being there.
                let _translated = self.lock();
                self.cells[own_func as usize].entry.store(address.cast(), Ordering::Release);
            }
            Entry::Loop(offset) => {
                self.with_loop(own_func, offset, |l| l.native.store(address, Ordering::Release));
            }
        }
    }

    fn with_loop(&self, own_func: u32, offset: u32, act: impl FnOnce(&Loop)) {
        let translated = self.lock();
        let mut code = translated.values().filter(|f| f.func == own_func);
        if let Some(l) = code.find_map(|f| f.loops.iter().find(|l| l.offset == offset)) {
            act(l);
        }
    }

    /// Notes how far the compilation of a loop has come.
    pub(crate) fn set_loop_state(&self, own_func: u32, offset: u32, state: u8) {
        self.with_loop(own_func, offset, |l| l.state.store(state, Ordering::Relaxed));
    }

    /// The functions that have been translated, which is when they are first run.
    pub(crate) fn translated(&self) -> Vec<u32> {
        self.lock().values().map(|f| f.func).collect()
    }

    /// Number of functions.
    pub(crate) fn funcs(&self) -> usize {
        self.cells.len()
    }

    /// The function that contains an instruction of register code, and the loops around it, inner ones last. The last one
    /// begins with the instruction if any does; of several that do so it is the innermost, since control falls through the
    /// others' beginnings.
    pub(crate) fn place(&self, ip: *const Inst) -> Option<(u32, SmallVec<[&Loop; 4]>, bool)> {
        let translated = self.lock();
        let (start, f) = translated.range(..=ip as usize).next_back()?;
        let inst = (ip as usize - start) / size_of::<Inst>();
        if inst >= f.insts.len() {
            return None;
        }
        let inst = inst as u32;
        let begun = &f.loops[..f.loops.partition_point(|l| l.inst <= inst)];
        // SAFETY: code is freed with its module, which outlives this borrow.
        let around = begun.iter().filter(|l| inst < l.end).map(|l| unsafe { &*std::ptr::from_ref(l) });
        let around: SmallVec<[&Loop; 4]> = around.collect();
        let header = around.last().is_some_and(|l| l.inst == inst);
        Some((f.func, around, header))
    }

    /// The function that contains an instruction, and the instruction's index in its code.
    pub(crate) fn find(&self, ip: *const Inst) -> Option<(u32, usize)> {
        let stubs = self.cells.as_ptr_range();
        if (ip as usize) >= stubs.start as usize && (ip as usize) < stubs.end as usize {
            let i = (ip as usize - stubs.start as usize) / size_of::<CodeCell>();
            return Some((i as u32, 0));
        }
        if let Some(entry) = self.entries.lock().unwrap_or_else(|e| e.into_inner()).get(&(ip as usize)) {
            return Some((entry.inst.ab(), 0));
        }
        let translated = self.lock();
        let (start, f) = translated.range(..=ip as usize).next_back()?;
        let index = (ip as usize - start) / size_of::<Inst>();
        // One behind the end is where a return address of a final call points.
        (index <= f.insts.len()).then_some((f.func, index))
    }

    /// The clause that catches an exception thrown at an instruction (`inst` in the function that contains `ip`): where its
    /// values go, and where to go on.
    pub(crate) fn catch(
        &self,
        ip: *const Inst,
        inst: u32,
        matches: &dyn Fn(u32) -> bool,
    ) -> Option<(Delivery, *const Inst)> {
        let translated = self.lock();
        let (_, f) = translated.range(..=ip as usize).next_back()?;
        let mut wanted = None;
        for range in f.tries.iter().filter(|r| (r.start..r.end).contains(&inst)) {
            if wanted.is_some_and(|id| id != range.id) {
                continue;
            }
            wanted = None;
            if let Some(clause) = range.clauses.iter().find(|c| c.tag.is_none_or(matches)) {
                let Clause { tag, reference, target } = *clause;
                let delivery = Delivery { slot: range.slot, values: tag.is_some(), reference };
                return Some((delivery, &raw const f.insts[target as usize]));
            }
            match range.delegate {
                None => {}
                Some(None) => return None,
                Some(id) => wanted = id,
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, FuncCode>> {
        self.translated.lock().unwrap_or_else(|e| e.into_inner())
    }
}
