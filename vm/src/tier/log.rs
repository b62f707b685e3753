//! What was compiled, when, at what cost; and what was not, and why.
//!
//! In: events from compilations. Out: totals always, single events when the configuration asks for them, and the files by
//! which profilers and debuggers know the code.

use super::compile::Draft;
use crate::config::Config;
use crate::module::{Module, ModuleInner};
use crate::native::code::Location;
use crate::profile::Listeners;
use jit::{Code, CodeStats, Entry, Place};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// One compilation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Compilation {
    /// Name of the module, if it has one.
    pub module_name: Option<String>,
    /// Function index.
    pub func_index: u32,
    /// Name of the function, if it has one.
    pub func_name: Option<String>,
    /// For the rest of a function from a loop on: offset of the loop in the module.
    pub loop_offset: Option<u32>,
    /// When it began, since the engine was made.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// Bytes of the function's body.
    pub wasm_bytes: usize,
    /// Bytes of machine code, or why there is none.
    pub outcome: Result<usize, String>,
    /// Time per phase of the compiler.
    pub phases: Vec<(&'static str, Duration)>,
}

/// All compilations of an engine together.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CompileStats {
    /// Functions compiled.
    pub functions: u64,
    /// Loops compiled, to replace running frames.
    pub loops: u64,
    /// Functions and loops that stay in the interpreter, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Bytes of the bodies of what was compiled.
    pub wasm_bytes: u64,
    /// Bytes of machine code.
    pub code_bytes: u64,
    /// Time spent in the compiler, on all threads.
    pub time: Duration,
    /// The same by phase.
    pub phases: BTreeMap<&'static str, Duration>,
    /// Single compilations, when the configuration asks for them.
    pub log: Vec<Compilation>,
}

/// Why something was not compiled.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    Unsupported(&'static str),
    Invalid,
    Panicked,
    NoMemory(String),
}

impl Refusal {
    fn text(&self) -> String {
        match self {
            Refusal::Unsupported(what) => (*what).into(),
            Refusal::Invalid => "its body is not valid".into(),
            Refusal::Panicked => "the compiler failed (a bug)".into(),
            Refusal::NoMemory(why) => why.clone(),
        }
    }
}

/// A compilation that has succeeded.
pub(crate) struct Entered {
    pub(crate) own_func: u32,
    pub(crate) entry: Entry,
    pub(crate) began: Instant,
    took: Duration,
    stats: CodeStats,
    /// See [`lines`].
    lines: Vec<(u32, u32)>,
    location: Option<Location>,
    /// Bytes of code and constants.
    len: usize,
}

impl Entered {
    /// To be made right after the compilation.
    pub(crate) fn of(draft: &Draft) -> Entered {
        let c = &draft.compiled;
        let lines = lines(&c.code);
        Entered {
            own_func: c.own_func,
            entry: c.entry,
            began: draft.began,
            took: draft.took,
            stats: c.code.stats.clone(),
            lines,
            location: None,
            len: c.code.bytes.len(),
        }
    }
    pub(crate) fn at(&mut self, location: Location) {
        self.location = Some(location);
    }
}

/// Offset in the code and offset in the module, where both are known.
fn lines(code: &Code) -> Vec<(u32, u32)> {
    let offset = |position| Place::offset(&code.places, position);
    let mut lines: Vec<(u32, u32)> = code.traps.iter().map(|t| (t.at, offset(t.wasm))).collect();
    // The instruction before the return address is the call.
    lines.extend(code.calls.iter().map(|&(at, position)| (at - 1, offset(position))));
    lines.sort_unstable();
    lines
}

/// The record of one engine.
pub(crate) struct Log {
    start: Instant,
    keep: bool,
    stats: Mutex<CompileStats>,
    listeners: Listeners,
}

impl Log {
    pub(crate) fn new(config: &Config) -> Log {
        Log {
            start: Instant::now(),
            keep: config.compile_log,
            stats: Mutex::default(),
            listeners: Listeners::new(config),
        }
    }

    pub(crate) fn stats(&self) -> CompileStats {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, CompileStats> {
        self.stats.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub(crate) fn refused(&self, module: &ModuleInner, own_func: u32, entry: Entry, why: Refusal, began: Instant) {
        let took = began.elapsed();
        let text = why.text();
        let mut stats = self.lock();
        stats.time += took;
        *stats.refused.entry(text.clone()).or_default() += 1;
        if self.keep {
            let c = self.compilation(module, own_func, entry, began, took);
            stats.log.push(Compilation { outcome: Err(text), ..c });
        }
    }

    pub(crate) fn published(&self, module: &Module, guarded: bool, entered: Vec<Entered>) {
        for e in &entered {
            if let Some(at) = e.location {
                self.listeners.published(module, guarded, e.own_func, e.entry, at, &e.lines);
            }
        }
        let module = &*module.inner;
        let mut stats = self.lock();
        for e in entered {
            let len = e.len;
            match e.entry {
                Entry::Function => stats.functions += 1,
                Entry::Loop(_) => stats.loops += 1,
            }
            stats.wasm_bytes += module.raw.bodies[e.own_func as usize].range().len() as u64;
            stats.code_bytes += len as u64;
            stats.time += e.took;
            for &(phase, time) in &e.stats.phases {
                *stats.phases.entry(phase).or_default() += time;
            }
            if self.keep {
                let c = self.compilation(module, e.own_func, e.entry, e.began, e.took);
                stats.log.push(Compilation { outcome: Ok(len), phases: e.stats.phases, ..c });
            }
        }
    }

    /// Tells profilers and debuggers of code that came from a file.
    pub(crate) fn attached(&self, module: &Module, guarded: bool) {
        if self.listeners.are_there() {
            for (own_func, at, code) in module.code(guarded).native.located() {
                self.listeners.published(module, guarded, own_func, Entry::Function, at, &lines(&code));
            }
        }
    }

    fn compilation(
        &self,
        module: &ModuleInner,
        own_func: u32,
        entry: Entry,
        began: Instant,
        took: Duration,
    ) -> Compilation {
        let func_index = own_func + module.raw.imported_funcs();
        Compilation {
            module_name: module.name().map(Into::into),
            func_index,
            func_name: module.func_name(func_index),
            loop_offset: match entry {
                Entry::Function => None,
                Entry::Loop(offset) => Some(offset),
            },
            began: began.duration_since(self.start),
            took,
            wasm_bytes: module.raw.bodies[own_func as usize].range().len(),
            outcome: Ok(0),
            phases: Vec::new(),
        }
    }
}
