//! One function from bytes to published code.
//!
//! In: a module, one of its functions, where it is to be entered. Out: code where the interpreter and other code find it,
//! or the reason why there is none, for the log; the function then stays in the interpreter.

use super::log::{Entered, Refusal};
use crate::error::{Error, ModuleError, Result};
use crate::module::{Module, ModuleInner};
use crate::native::code::Compiled;
use jit::passes::Pass;
use jit::{CompileError, Entry, ModuleEnv, Settings, Stage};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Code that is not published yet, when its compilation began and how long it took.
pub(crate) struct Draft {
    pub(crate) compiled: Compiled,
    pub(crate) began: Instant,
    pub(crate) took: Duration,
}

/// Settings of the compiler for one kind of instances.
pub(crate) fn settings(module: &ModuleInner, guarded: bool) -> Settings {
    module.origin.target.settings(module.engine.config(), guarded)
}

/// The module as the compiler sees it.
pub(crate) fn env(module: &ModuleInner) -> ModuleEnv<'_> {
    let facts =
        module.facts.get_or_init(|| jit::frontend::ModuleFacts::new(&module.raw, &module.bytes, module.engine.types()));
    ModuleEnv { module: &module.raw, bytes: &module.bytes, types: module.engine.types(), facts }
}

/// Compiles a function; a refusal is logged.
pub(crate) fn draft(module: &ModuleInner, guarded: bool, own_func: u32, entry: Entry) -> Option<Draft> {
    let began = Instant::now();
    let switched_off = matches!(entry, Entry::Loop(_)) && !module.origin.target.passes.has(Pass::Osr);
    if is_kept(module, own_func) || switched_off {
        module.engine.log().refused(module, own_func, entry, Refusal::Unsupported("it is to be interpreted"), began);
        return None;
    }
    if may_take(module, own_func) > module.engine.config().max_code.unwrap_or(u64::MAX) {
        let why = Refusal::Unsupported("compiling it may take more memory than the limit allows");
        module.engine.log().refused(module, own_func, entry, why, began);
        return None;
    }
    let settings = settings(module, guarded);
    let outcome = catch_unwind(AssertUnwindSafe(|| jit::compile(&env(module), own_func, entry, &settings)));
    let refusal = match outcome {
        Ok(Ok(code)) => {
            return Some(Draft { compiled: Compiled { own_func, entry, code }, began, took: began.elapsed() });
        }
        Ok(Err(CompileError::Unsupported { what, .. } | CompileError::TooMuch { what, .. })) => {
            Refusal::Unsupported(what)
        }
        Ok(Err(CompileError::Invalid { .. })) => Refusal::Invalid,
        Err(_) => Refusal::Panicked,
    };
    module.engine.log().refused(module, own_func, entry, refusal, began);
    None
}

/// Bytes that compiling a function may take, as a rule.
fn may_take(module: &ModuleInner, own_func: u32) -> u64 {
    const PER_BYTE: u64 = 300;
    module.raw.bodies[own_func as usize].range().len() as u64 * PER_BYTE
}

impl Draft {
    /// Bytes of the code.
    pub(crate) fn bytes(&self) -> u64 {
        self.compiled.code.bytes.len() as u64
    }
}

/// As many of the drafts as there is room for in the module's code, and the rest.
fn within_limit(module: &ModuleInner, mut drafts: Vec<Draft>) -> (Vec<Draft>, Vec<Draft>) {
    let Some(most) = module.engine.config().max_code else { return (drafts, Vec::new()) };
    let fits = |d: &Draft| {
        let add = |n: u64| n.checked_add(d.bytes()).filter(|&n| n <= most);
        module.code_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    };
    let first = drafts.iter().position(|d| !fits(d)).unwrap_or(drafts.len());
    let rest = drafts.split_off(first);
    (drafts, rest)
}

/// Whether the function is one that the engine shall leave to the interpreter.
fn is_kept(module: &ModuleInner, own_func: u32) -> bool {
    let Some(filter) = &module.engine.config().filter else { return false };
    let func = own_func + module.raw.imported_funcs();
    !filter.has(func, || module.func_name(func))
}

/// Publishes a batch of compiled functions; false when there was no room for one of them.
pub(crate) fn publish(module: &Module, guarded: bool, drafts: Vec<Draft>) -> bool {
    let log = module.inner.engine.log();
    let (drafts, rest) = within_limit(&module.inner, drafts);
    let mut all = rest.is_empty();
    for d in rest {
        let why = Refusal::NoMemory("the module's code has reached its limit".into());
        log.refused(&module.inner, d.compiled.own_func, d.compiled.entry, why, d.began);
    }
    if drafts.is_empty() {
        return all;
    }
    let entered: Vec<Entered> = drafts.iter().map(Entered::of).collect();
    let batch = drafts.into_iter().map(|d| d.compiled).collect();
    let outcomes = module.code(guarded).native.publish(module, guarded, batch);
    let mut published = Vec::with_capacity(entered.len());
    for (mut e, outcome) in entered.into_iter().zip(outcomes) {
        match outcome {
            Ok(location) => {
                e.at(location);
                published.push(e);
            }
            Err(why) => {
                all = false;
                log.refused(&module.inner, e.own_func, e.entry, Refusal::NoMemory(why.to_string()), e.began);
            }
        }
    }
    log.published(module, guarded, published);
    all
}

/// A stage of a function's compilation as text.
pub(crate) fn inspect(module: &Module, own_func: u32, guarded: bool, stage: Stage) -> Result<String> {
    let settings = settings(&module.inner, guarded);
    jit::inspect(&env(&module.inner), own_func, Entry::Function, &settings, stage).map_err(|e| match e {
        CompileError::Invalid { message, offset } => {
            let function = own_func + module.inner.raw.imported_funcs();
            let function_name = module.func_name(function);
            Error::Module(ModuleError { message, offset: Some(offset), function: Some(function), function_name })
        }
        e => Error::Unsupported(e.to_string()),
    })
}
