//! `vm run`: loads a module, gives it what the options grant, and runs it.
//!
//! Out: the guest's exit code, or one message and the code that fits it. This is the path whose start-up time users
//! feel, so that it does nothing that the options do not ask for.

use crate::args::{Dir, Profile, RunArgs, Validate};
use crate::exit::{self, Exit};
use crate::watchdog::{self, Watchdog};
use crate::{fill, invoke, link, module, net, output, settings, stats};
use std::ffi::OsString;
use std::path::Path;
use vm::{
    Cache, Config, Engine, Error, Extern, ExternType, Func, Instance, Linker, Module, Store, StoreLimits, TrapKind,
    Val, Validation,
};
use wasi::{WasiCtx, WasiCtxBuilder};

/// What host functions find in the store.
struct Host {
    wasi: WasiCtx,
}

/// A run: the guest's world, and what is needed to explain how it ended.
struct Run {
    file: String,
    args: RunArgs,
    store: Store<Host>,
    watchdog: Option<Watchdog>,
    /// What was loaded with `--preload`.
    libraries: Vec<Module>,
}

/// Runs the program or function that the arguments name.
pub(crate) fn run(args: RunArgs) -> Result<(), Exit> {
    if rustix::process::getpid().is_init() {
        end_on_signals()?;
    }
    let (file, guest_args) = args.file_and_args.split_first().ok_or_else(|| Exit::usage("no FILE given"))?;
    let path = Path::new(file);
    let watchdog = Watchdog::start(args.timeout, &file.to_string_lossy());
    let engine = engine(&args)?;
    let module =
        if args.allow_precompiled { module::load_trusted(&engine, path) } else { module::load(&engine, path) }?;
    if let Some(why) = module.note() {
        output::complain(&format!("note: {}: {why}; running the module in it", path.display()));
    }
    let wasi = wasi_context(&args, file, guest_args)?;
    let mut store = Store::new(&engine, Host { wasi });
    let file = file.to_string_lossy().into_owned();
    limit(&mut store, &args)?;
    if let Some(w) = &watchdog {
        w.guard(store.interrupt_handle());
    }
    let stats = args.stats;
    let mut run = Run { file, args, store, watchdog, libraries: Vec::new() };
    let outcome = run.guest(&module);
    net::clean_up(&run.args.listen);
    // Who cannot keep code does without; the guest has run.
    let saved = keep(&module, &run);
    fill::start(&module, Path::new(&run.args.file_and_args[0]), &run.args);
    // The process ends now, and takes less time to do so than the store's mappings to be given back one by one.
    std::mem::forget(run);
    if stats {
        output::complain(&stats::text(&engine.compile_stats(), &module, &saved));
    }
    std::mem::forget(module);
    outcome
}

/// Has the signals that end other processes end this one, too: the first process of a container gets none that it does not ask for.
fn end_on_signals() -> Result<(), Exit> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    let always = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, always.clone())
            .map_err(|e| Exit::failure(format!("cannot take signals: {e}")))?;
    }
    Ok(())
}

/// Keeps the code of the program and of what was loaded with it. What stands in the way is said if somebody can do something about it.
fn keep(module: &Module, run: &Run) -> vm::Result<bool> {
    let saved = run.libraries.iter().map(Module::save).fold(module.save(), |all, one| Ok(all? | one?));
    if let Err(Error::Cache { source, .. }) = &saved
        // What the system refuses everybody knows of; a directory that is not fit for it nobody would guess.
        && (source.raw_os_error().is_none() || run.args.cache.dir.is_some())
        && !run.args.stats
        && let Err(e) = &saved
    {
        output::complain(&format!("note: compiled code is not kept: {e} (--no-cache does without)"));
    }
    saved
}

/// A module of so many bytes is read however little memory its guest may have.
const ANY_MODULE: u64 = 64 << 20;

fn engine(args: &RunArgs) -> Result<Engine, Exit> {
    let mut config = Config::new();
    config
        .tier(settings::tier(args.execution.tier))
        // Compiled code looks only for what can come.
        .interruption(args.timeout.is_some())
        .compile_log(args.stats)
        .profile(args.profile.map(|p| match p {
            Profile::PerfMap => vm::Profile::PerfMap,
            Profile::JitDump => vm::Profile::JitDump,
        }))
        .gdb(args.gdb)
        .cache(settings::cache(&args.cache))
        .memory_mode(settings::memory_mode(args.execution.memory))
        .fuel(args.fuel.is_some())
        .deterministic(args.execution.deterministic)
        .gc_stress(args.execution.gc_stress.unwrap_or(0))
        .validation(match args.validate {
            Validate::Lazy => Validation::Lazy,
            Validate::Eager => Validation::Eager,
        });
    settings::compiler(&mut config, &args.compiler)?;
    if let Some(n) = settings::threshold(&args.execution) {
        config.tier_threshold(n);
    }
    if let Some(n) = args.execution.compile_threads {
        config.compile_threads(n);
    }
    if let Some(bytes) = args.max_memory {
        config.max_code(Some(bytes)).max_module(bytes.max(ANY_MODULE));
    }
    if let Some(bytes) = args.max_stack {
        config.max_stack(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    Engine::new(&config).map_err(|e| Exit::failure(e.to_string()))
}

fn limit(store: &mut Store<Host>, args: &RunArgs) -> Result<(), Exit> {
    if let Some(most) = args.max_memory {
        store.limits(StoreLimits {
            memory_bytes: Some(most),
            gc_heap_bytes: Some(most),
            total_bytes: Some(most),
            ..StoreLimits::default()
        });
    }
    if let Some(fuel) = args.fuel {
        store.set_fuel(fuel).map_err(|e| Exit::failure(e.to_string()))?;
    }
    Ok(())
}

/// What the guest gets: arguments, environment, listeners, directories, the network and the standard streams.
fn wasi_context(args: &RunArgs, file: &OsString, guest_args: &[OsString]) -> Result<WasiCtx, Exit> {
    let bad = |e: wasi::BuildError| Exit::failure(e.to_string());
    let mut builder = WasiCtxBuilder::new();
    builder.inherit_stdio().map_err(bad)?;
    match (&args.argv0, Path::new(file).file_name()) {
        (Some(name), _) => builder.arg(name).map_err(bad)?,
        // Where it lies on the host is not the guest's business.
        (None, Some(name)) => builder.arg(name).map_err(bad)?,
        (None, None) => builder.arg(file).map_err(bad)?,
    };
    // With --invoke the arguments are the function's.
    if args.invoke.is_none() {
        builder.args(guest_args).map_err(bad)?;
    }
    for var in &args.env {
        let inherited = match &var.value {
            Some(_) => None,
            None => std::env::var_os(&var.name),
        };
        let value = var.value.as_ref().map(OsString::from).or(inherited);
        // A variable that is not set here is not set there.
        if let Some(value) = value {
            builder.env(&var.name, value).map_err(bad)?;
        }
    }
    net::give(&mut builder, args)?;
    if !args.dirs.is_empty() {
        let (dirs, files) = Cache::private_places();
        let chosen = settings::cache(&args.cache).map(|cache| cache.path().to_owned());
        for dir in dirs.into_iter().chain(chosen) {
            builder.private_dir(dir);
        }
        for file in files {
            builder.private_file(file);
        }
    }
    for dir in &args.dirs {
        builder
            .preopened_dir(&dir.host, &dir.guest, dir.read_only)
            .map_err(|e| Exit::failure(exit::with_hint(&format!("--dir: {e}"), single_colon(dir))))?;
    }
    builder.build().map_err(bad)
}

/// What to say to those who are used to `HOST:GUEST`.
fn single_colon(dir: &Dir) -> Option<String> {
    let (host, guest) = dir.host.split_once(':').filter(|_| !Path::new(&dir.host).exists())?;
    Some(format!("the host's and the guest's directory are separated by two colons: --dir {host}::{guest}"))
}

impl Run {
    /// Links, instantiates and runs the module.
    fn guest(&mut self, module: &Module) -> Result<(), Exit> {
        let mut linker = Linker::new(module.engine());
        self.link(&mut linker, module)?;
        let instance = match linker.instantiate(&mut self.store, module) {
            Ok(instance) => instance,
            Err(e) => return Err(self.explain(&e)),
        };
        if let Some(func) = self.entry(instance, module, "_initialize")? {
            self.call(func, &[])?;
        }
        match self.args.invoke.take() {
            Some(name) => self.invoke(instance, module, &name),
            None => self.start(instance, module),
        }
    }

    fn link(&mut self, linker: &mut Linker<Host>, module: &Module) -> Result<(), Exit> {
        let wasi = |linker: &mut Linker<Host>, module: &Module| {
            let added = wasi::add_imports_to_linker(linker, module, |host: &mut Host| &mut host.wasi);
            added.map_err(|e| Exit::failure(e.to_string()))
        };
        let policy = self.args.unknown_imports;
        for preload in std::mem::take(&mut self.args.preloads) {
            let library = module::load(module.engine(), &preload.file)?;
            let file = preload.file.display().to_string();
            wasi(linker, &library)?;
            link::complete(linker, &library, &file, policy)?;
            let linked = linker.module(&mut self.store, &preload.name, &library);
            self.libraries.push(library);
            if let Err(e) = linked {
                self.file = file;
                return Err(self.explain(&e));
            }
        }
        wasi(linker, module)?;
        link::complete(linker, module, &self.file, policy)
    }

    /// An exported function without parameters and results that hosts call by convention.
    fn entry(&mut self, instance: Instance, module: &Module, name: &str) -> Result<Option<Func>, Exit> {
        match module.get_export(name) {
            None => Ok(None),
            Some(ExternType::Func(ty)) if ty.params.is_empty() && ty.results.is_empty() => {
                Ok(instance.get_func(&mut self.store, name))
            }
            Some(ty) => Err(Exit::failure(format!("{}: export `{name}` is {ty}, not func () -> ()", self.file))),
        }
    }

    /// Runs a command. A reactor has been initialised, and there is nothing more to do.
    fn start(&mut self, instance: Instance, module: &Module) -> Result<(), Exit> {
        if let Some(func) = self.entry(instance, module, "_start")? {
            return self.call(func, &[]).map(drop);
        }
        // The function without a name is a module's default.
        if let Some(ExternType::Func(_)) = module.get_export("") {
            return self.invoke(instance, module, "");
        }
        let functions = functions(module);
        if functions.is_empty() {
            return Ok(());
        }
        let hint = format!("call one of its functions with --invoke NAME: {}", listed(&functions));
        if module.get_export("_initialize").is_some() {
            let message = format!("note: {}: a reactor: it was initialised, and nothing was run", self.file);
            output::complain(&exit::with_hint(&message, Some(hint)));
            return Ok(());
        }
        let message = format!("{}: not a program: it exports no function `_start`", self.file);
        Err(Exit::failure(exit::with_hint(&message, Some(hint))))
    }

    /// Calls the function of that name with the command line's arguments, and prints its results, one a line.
    fn invoke(&mut self, instance: Instance, module: &Module, name: &str) -> Result<(), Exit> {
        let Some(Extern::Func(func)) = instance.get_export(&mut self.store, name) else {
            let functions = functions(module);
            let message = format!("{}: no function is exported as `{name}`", self.file);
            let hint = (!functions.is_empty()).then(|| format!("there are {}", listed(&functions)));
            return Err(Exit::failure(exit::with_hint(&message, hint)));
        };
        let ty = func.ty(&self.store);
        let args = self.args.file_and_args.get(1..).unwrap_or_default();
        // A default that takes none leaves them to the program.
        let args = if name.is_empty() && ty.params.is_empty() { &[] } else { args };
        let args = invoke::arguments(name, &ty, args).map_err(Exit::usage)?;
        let results = self.call(func, &args)?;
        let text: String = results.iter().map(|v| invoke::text(v) + "\n").collect();
        output::print(&text)
    }

    fn call(&mut self, func: Func, args: &[Val]) -> Result<Vec<Val>, Exit> {
        let mut results = vec![Val::I32(0); func.ty(&self.store).results.len()];
        match func.call(&mut self.store, args, &mut results) {
            Ok(()) => Ok(results),
            Err(e) => Err(self.explain(&e)),
        }
    }

    /// Exit code and message for the way in which the guest ended.
    fn explain(&self, e: &Error) -> Exit {
        if let Some(wasi::I32Exit(code)) = e.downcast_ref() {
            return Exit::guest(*code);
        }
        let message = format!("{}: {e}", self.file);
        let Some(trap) = e.as_trap() else {
            let hint = match e {
                Error::Limit(_) => Some("--max-memory and --max-stack set the limits"),
                Error::Link(_) => Some("`vm inspect` shows what a module imports and exports, with types"),
                _ => None,
            };
            return Exit::failure(exit::with_hint(&message, hint));
        };
        if let (TrapKind::Interrupted, Some(timeout), true) =
            (trap.kind(), self.args.timeout, self.watchdog.as_ref().is_some_and(Watchdog::fired))
        {
            let message = format!("{}\n{trap}", watchdog::message(&self.file, timeout));
            return Exit { code: exit::TIMEOUT, message: Some(message) };
        }
        let hint = match trap.kind() {
            TrapKind::OutOfFuel => Some("--fuel sets how much there is"),
            TrapKind::HeapExhausted => Some("--max-memory sets how much there is, 4 GiB without it"),
            TrapKind::CallStackExhausted => Some("--max-stack sets how much stack there is"),
            TrapKind::InvalidFunction => Some("the module is not valid: `vm validate` checks all of it"),
            _ => None,
        };
        let message = exit::with_hint(&format!("{}: trap: {trap}", self.file), hint);
        Exit { code: exit::TRAP, message: Some(message) }
    }
}

/// The functions that a module exports, with their types.
fn functions(module: &Module) -> Vec<String> {
    let exports = module.exports().filter_map(|e| match e.ty() {
        ExternType::Func(ty) if e.name() != "_initialize" => Some(format!("{} {ty}", e.name())),
        _ => None,
    });
    exports.collect()
}

/// The first few of them.
fn listed(functions: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut text = functions.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if functions.len() > SHOWN {
        text.push_str(&format!(" and {} more (see `vm inspect`)", functions.len() - SHOWN));
    }
    text
}
