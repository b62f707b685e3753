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
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard};

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
}

/// The register code of a module for one kind of instances.
pub(crate) struct ModuleCode {
    cells: Box<[CodeCell]>,
    translated: Mutex<Vec<FuncCode>>,
}

impl ModuleCode {
    pub(crate) fn new(funcs: usize) -> ModuleCode {
        let stub = |i: u32| Inst { h: lazy_entry as *const () as u64, a: i as u16, b: (i >> 16) as u16, x: 0 };
        let mut cells: Box<[CodeCell]> =
            (0..funcs as u32).map(|i| CodeCell { entry: AtomicPtr::default(), stub: stub(i) }).collect();
        for cell in &mut cells {
            *cell.entry.get_mut() = &raw mut cell.stub;
        }
        ModuleCode { cells, translated: Mutex::new(Vec::new()) }
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
        translated.push(code);
        cell.entry.store(entry.cast_mut(), Ordering::Release);
        entry
    }

    /// The function that contains an instruction, and the instruction's index in its code.
    pub(crate) fn find(&self, ip: *const Inst) -> Option<(u32, usize)> {
        let stubs = self.cells.as_ptr_range();
        if (ip as usize) >= stubs.start as usize && (ip as usize) < stubs.end as usize {
            let i = (ip as usize - stubs.start as usize) / size_of::<CodeCell>();
            return Some((i as u32, 0));
        }
        self.lock().iter().find_map(|f| {
            let range = f.insts.as_ptr_range();
            // One behind the end is where a return address of a final call points.
            (ip >= range.start && ip <= range.end)
                .then(|| (f.func, (ip as usize - range.start as usize) / size_of::<Inst>()))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<FuncCode>> {
        self.translated.lock().unwrap_or_else(|e| e.into_inner())
    }
}
