//! Runs the directives of one script, and of the threads it starts.
//!
//! In: parsed directives. Out: a [`Report`]. The invariant: each directive adds at most one failure, and none keeps
//! the next from running. A module that fails to load leaves no current instance behind, so that what was meant for
//! it is not run against an older one.
//!
//! Each thread of a script has a store, a linker and instances of its own; only shared memories cross over.

use crate::{Config, Failure, Report, expect, host, value};
use std::collections::HashMap;
use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Instant;
use vm::{Engine, Extern, Instance, Linker, Module, SharedMemory, Store, Val};
use wast::token::{Id, Span};
use wast::{QuoteWat, WastDirective, WastExecute, WastInvoke, WastThread, Wat};

/// What went wrong with a directive.
type Outcome = Result<(), String>;

/// A script's text and the name it has in failures.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    fn failure(self, span: Span, message: String) -> Failure {
        let (line, col) = span.linecol_in(self.text);
        Failure { file: self.file.into(), line: line + 1, col: col + 1, message }
    }
}

/// Runs all directives of a script.
pub(crate) fn run<'a>(
    source: Source<'a>,
    config: &'a Config,
    deadline: Option<Instant>,
    directives: Vec<WastDirective<'a>>,
) -> Report {
    let start = directives.first().map_or(Span::from_offset(0), WastDirective::span);
    let set_up_failed = |e: vm::Error| Report {
        passed: 0,
        failed: vec![source.failure(start, format!("cannot set up the runtime: {e}"))],
    };
    let engine = match Engine::new(&config.engine_config()) {
        Ok(engine) => engine,
        Err(e) => return set_up_failed(e),
    };
    std::thread::scope(|scope| {
        let setting = Setting { source, config, deadline, engine };
        match Script::new(setting, scope) {
            Ok(script) => script.run(directives),
            Err(e) => set_up_failed(e),
        }
    })
}

/// What all threads of a script have in common.
#[derive(Clone)]
struct Setting<'a> {
    source: Source<'a>,
    config: &'a Config,
    deadline: Option<Instant>,
    engine: Engine,
}

/// Something that exports: an instance, or what a thread is given of one in another store.
#[derive(Clone)]
enum Exporter {
    Instance(Instance),
    Shared(Arc<HashMap<String, SharedMemory>>),
}

/// One thread of a script.
struct Script<'scope, 'env> {
    setting: Setting<'env>,
    scope: &'scope Scope<'scope, 'env>,
    store: Store<()>,
    linker: Linker<()>,
    /// Definitions by name, and the latest one.
    modules: HashMap<String, Module>,
    last_module: Option<Module>,
    /// Instances by name, and the current one.
    instances: HashMap<String, Exporter>,
    current: Option<Exporter>,
    threads: HashMap<String, ScopedJoinHandle<'scope, Report>>,
    report: Report,
}

impl<'scope, 'env> Script<'scope, 'env> {
    fn new(setting: Setting<'env>, scope: &'scope Scope<'scope, 'env>) -> vm::Result<Self> {
        let mut store = Store::new(&setting.engine, ());
        store.set_deadline(setting.deadline);
        if setting.config.fuel {
            store.set_fuel(u64::MAX)?;
        }
        let mut linker = Linker::new(&setting.engine);
        linker.allow_shadowing(true); // a script may register another instance under a name
        host::define(&mut store, &mut linker, setting.config.print)?;
        Ok(Script {
            setting,
            scope,
            store,
            linker,
            modules: HashMap::new(),
            last_module: None,
            instances: HashMap::new(),
            current: None,
            threads: HashMap::new(),
            report: Report::default(),
        })
    }

    fn run(mut self, directives: Vec<WastDirective<'env>>) -> Report {
        for directive in directives {
            let span = directive.span();
            let is_assertion = is_assertion(&directive);
            match self.directive(directive) {
                Ok(()) => self.report.passed += u64::from(is_assertion),
                Err(message) => self.report.failed.push(self.setting.source.failure(span, message)),
            }
        }
        for (_, thread) in std::mem::take(&mut self.threads) {
            self.report.merge(join(thread));
        }
        self.report
    }

    fn directive(&mut self, directive: WastDirective<'env>) -> Outcome {
        match directive {
            WastDirective::Module(mut module) => self.module(&mut module),
            WastDirective::ModuleDefinition(mut module) => self.define(&mut module).map(drop),
            WastDirective::ModuleInstance { instance, module, .. } => self.instance(instance, module),
            WastDirective::Register { name, module, .. } => self.register(name, module),
            WastDirective::Invoke(call) => self.call(&call)?.map(drop).map_err(|e| expect::headline(&e)),
            WastDirective::AssertReturn { mut exec, results, .. } => self.assert_return(&mut exec, &results),
            WastDirective::AssertTrap { mut exec, message, .. } => {
                let error = self.must_fail(&mut exec, message)?;
                expect::trap(message, &error)
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                let error = self.must_fail(&mut WastExecute::Invoke(call), message)?;
                expect::exhaustion(message, &error)
            }
            WastDirective::AssertException { mut exec, .. } => {
                let error = self.must_fail(&mut exec, "exception")?;
                expect::exception(&error)
            }
            WastDirective::AssertSuspension { .. } => Err("unsupported: assert_suspension (stack switching)".into()),
            WastDirective::AssertInvalid { mut module, message, .. }
            | WastDirective::AssertMalformed { mut module, message, .. } => self.assert_rejected(&mut module, message),
            WastDirective::AssertMalformedCustom { mut module, message, .. }
            | WastDirective::AssertInvalidCustom { mut module, message, .. } => assert_bad_custom(&mut module, message),
            WastDirective::AssertUnlinkable { mut module, message, .. } => self.assert_unlinkable(&mut module, message),
            WastDirective::Thread(thread) => self.thread(thread),
            WastDirective::Wait { thread, .. } => self.wait(thread),
        }
    }

    // Modules and instances

    fn load(&self, encoded: Result<Vec<u8>, wast::Error>) -> Result<Module, String> {
        let bytes = encoded.map_err(|e| format!("cannot parse the module: {}", e.message()))?;
        let load = || Module::new(&self.setting.engine, &bytes).map_err(|e| format!("cannot load the module: {e}"));
        let module = load()?;
        if self.setting.config.cache.is_none() || module.compile_ahead(None, &|_| {}).is_err() {
            return Ok(module);
        }
        let again = load()?;
        match again.precompiled() {
            Some(_) => Ok(again),
            None => Err("what was compiled ahead is not found again".into()),
        }
    }

    fn define(&mut self, module: &mut QuoteWat<'_>) -> Result<Module, String> {
        self.last_module = None;
        let name = module.name();
        if let Some(name) = name {
            self.modules.remove(name.name());
        }
        let module = self.load(module.encode())?;
        if let Some(name) = name {
            self.modules.insert(name.name().into(), module.clone());
        }
        self.last_module = Some(module.clone());
        Ok(module)
    }

    fn module(&mut self, module: &mut QuoteWat<'_>) -> Outcome {
        let name = module.name();
        self.forget_instance(name);
        let module = self.define(module)?;
        self.instantiate_as(name, &module)
    }

    fn instance(&mut self, instance: Option<Id<'_>>, module: Option<Id<'_>>) -> Outcome {
        self.forget_instance(instance);
        let module = match module {
            Some(id) => self.modules.get(id.name()).ok_or_else(|| format!("no module definition ${}", id.name()))?,
            None => self.last_module.as_ref().ok_or("no module definition to instantiate")?,
        };
        self.instantiate_as(instance, &module.clone())
    }

    /// Until the new one is there, no call may reach the instance it replaces.
    fn forget_instance(&mut self, name: Option<Id<'_>>) {
        self.current = None;
        if let Some(name) = name {
            self.instances.remove(name.name());
        }
    }

    fn instantiate_as(&mut self, name: Option<Id<'_>>, module: &Module) -> Outcome {
        let instance = self
            .linker
            .instantiate(&mut self.store, module)
            .map_err(|e| format!("cannot instantiate the module: {}", expect::headline(&e)))?;
        let exporter = Exporter::Instance(instance);
        if let Some(name) = name {
            self.instances.insert(name.name().into(), exporter.clone());
        }
        self.current = Some(exporter);
        Ok(())
    }

    fn exporter(&self, name: Option<Id<'_>>) -> Result<Exporter, String> {
        match name {
            Some(id) => self.instances.get(id.name()).cloned().ok_or_else(|| format!("no instance ${}", id.name())),
            None => self.current.clone().ok_or_else(|| "no instance: the module before failed to load".into()),
        }
    }

    fn register(&mut self, name: &str, module: Option<Id<'_>>) -> Outcome {
        match self.exporter(module)? {
            Exporter::Instance(instance) => {
                self.linker.instance(&mut self.store, name, instance).map_err(|e| e.to_string())?;
            }
            Exporter::Shared(memories) => {
                for (field, memory) in memories.iter() {
                    self.linker
                        .define(&mut self.store, name, field, memory.clone())
                        .map_err(|e| format!("cannot register {name}.{field}: {e}"))?;
                }
            }
        }
        Ok(())
    }

    // Execution

    fn export(&mut self, module: Option<Id<'_>>, name: &str) -> Result<Extern, String> {
        match self.exporter(module)? {
            Exporter::Instance(instance) => instance.get_export(&mut self.store, name),
            Exporter::Shared(memories) => memories.get(name).cloned().map(Extern::SharedMemory),
        }
        .ok_or_else(|| format!("no export {name:?}"))
    }

    /// Calls a function. The outer result says whether there was something to call, the inner one how it ended.
    fn call(&mut self, call: &WastInvoke<'_>) -> Result<vm::Result<Vec<Val>>, String> {
        let Extern::Func(func) = self.export(call.module, call.name)? else {
            return Err(format!("export {:?} is not a function", call.name));
        };
        let ty = func.ty(&self.store);
        let mut args = Vec::with_capacity(call.args.len());
        for (i, arg) in call.args.iter().enumerate() {
            args.push(value::argument(&mut self.store, arg, ty.params.get(i))?);
        }
        let mut results = vec![Val::I32(0); ty.results.len()];
        Ok(func.call(&mut self.store, &args, &mut results).map(|()| results))
    }

    fn execute(&mut self, exec: &mut WastExecute<'_>) -> Result<vm::Result<Vec<Val>>, String> {
        match exec {
            WastExecute::Invoke(call) => self.call(call),
            WastExecute::Get { module, global, .. } => match self.export(*module, global)? {
                Extern::Global(g) => Ok(Ok(vec![g.get(&self.store)])),
                _ => Err(format!("export {global:?} is not a global")),
            },
            WastExecute::Wat(module) => {
                let module = self.load(module.encode())?;
                Ok(self.linker.instantiate(&mut self.store, &module).map(|_| Vec::new()))
            }
        }
    }

    /// Runs what is expected to fail, and gives the error it failed with.
    fn must_fail(&mut self, exec: &mut WastExecute<'_>, expected: &str) -> Result<vm::Error, String> {
        match self.execute(exec)? {
            Err(e) => Ok(e),
            Ok(results) => {
                let results: Vec<_> = results.iter().map(value::describe).collect();
                Err(format!("expected \"{expected}\", but it returned [{}]", results.join(", ")))
            }
        }
    }

    // Assertions

    fn assert_return(&mut self, exec: &mut WastExecute<'_>, expected: &[wast::WastRet<'_>]) -> Outcome {
        let actual = self.execute(exec)?.map_err(|e| format!("unexpected failure: {}", expect::headline(&e)))?;
        value::check_results(&self.store, &actual, expected)
    }

    /// Text that does not parse counts as rejected, and so does whatever the validator refuses: the runtime's reader
    /// and validator are one pass, which does not say which of the two a specification's harness would blame.
    fn assert_rejected(&mut self, module: &mut QuoteWat<'_>, expected: &str) -> Outcome {
        let Ok(bytes) = module.encode() else { return Ok(()) };
        match Module::validate(&self.setting.engine, &bytes) {
            Err(_) => Ok(()),
            Ok(()) => Err(format!("expected rejection \"{expected}\", but the module is valid")),
        }
    }

    fn assert_unlinkable(&mut self, module: &mut Wat<'_>, expected: &str) -> Outcome {
        let module = self.load(module.encode())?;
        match self.linker.instantiate(&mut self.store, &module) {
            Err(e) => expect::unlinkable(expected, &e),
            Ok(_) => Err(format!("expected link error \"{expected}\", but the module could be instantiated")),
        }
    }

    // Threads

    fn thread(&mut self, thread: WastThread<'env>) -> Outcome {
        let mut given = HashMap::new();
        if let Some(id) = thread.shared_module {
            given.insert(id.name().to_string(), Exporter::Shared(self.shared_memories(id)?));
        }
        let (setting, scope) = (self.setting.clone(), self.scope);
        let span = thread.span;
        let handle = std::thread::Builder::new()
            .name(thread.name.name().into())
            .spawn_scoped(scope, move || {
                let source = setting.source;
                match Script::new(setting, scope) {
                    Ok(mut script) => {
                        script.instances = given;
                        script.run(thread.directives)
                    }
                    Err(e) => {
                        let failure = source.failure(span, format!("cannot set up the thread: {e}"));
                        Report { passed: 0, failed: vec![failure] }
                    }
                }
            })
            .map_err(|e| format!("cannot start a thread: {e}"))?;
        match self.threads.insert(thread.name.name().into(), handle) {
            Some(earlier) => {
                self.report.merge(join(earlier));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The shared memories that an instance exports, by name.
    fn shared_memories(&mut self, id: Id<'_>) -> Result<Arc<HashMap<String, SharedMemory>>, String> {
        Ok(match self.exporter(Some(id))? {
            Exporter::Shared(memories) => memories,
            Exporter::Instance(instance) => {
                let exports = instance.exports(&mut self.store);
                let memories = exports.filter_map(|export| {
                    let name = export.name().to_string();
                    match export.into_extern() {
                        Extern::SharedMemory(memory) => Some((name, memory)),
                        _ => None,
                    }
                });
                Arc::new(memories.collect())
            }
        })
    }

    fn wait(&mut self, name: Id<'_>) -> Outcome {
        let thread = self.threads.remove(name.name()).ok_or_else(|| format!("no thread ${}", name.name()))?;
        self.report.merge(join(thread));
        Ok(())
    }
}

/// Waits for a thread. If it panicked, so does the script: that is a bug of the runtime, to be seen as such.
fn join(thread: ScopedJoinHandle<'_, Report>) -> Report {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The runtime does not look into custom sections; the reader of the text form does, and must refuse this one.
fn assert_bad_custom(module: &mut QuoteWat<'_>, expected: &str) -> Outcome {
    match module.encode() {
        Err(_) => Ok(()),
        Ok(_) => Err(format!("unsupported: custom sections are not checked (expected \"{expected}\")")),
    }
}

/// Whether the directive counts as one that can pass.
fn is_assertion(directive: &WastDirective<'_>) -> bool {
    !matches!(
        directive,
        WastDirective::Module(_)
            | WastDirective::ModuleDefinition(_)
            | WastDirective::ModuleInstance { .. }
            | WastDirective::Register { .. }
            | WastDirective::Invoke(_)
            | WastDirective::Thread(_)
            | WastDirective::Wait { .. }
    )
}
