//! After a run: what the guest has run in the interpreter is compiled by another process, so that it starts compiled next time.
//!
//! In: a module after its run. Out: a note in the cache, and a process of lowest priority (`vm aot --noted`) that outlives this one.

use crate::args::{Memory, RunArgs};
use crate::module::is_standard;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use vm::Module;

/// Starts the process, if there is something for it to do. Where that fails, the next run does what this one has done.
pub(crate) fn start(module: &Module, file: &Path, args: &RunArgs) {
    if args.no_fill || is_standard(file) || !matches!(module.note_interpreted(), Ok(true)) || !file.is_file() {
        return;
    }
    let Ok(file) = std::path::absolute(file) else { return };
    let Ok(program) = std::env::current_exe() else { return };
    let mut line: Vec<OsString> = vec!["aot".into(), "--noted".into(), "--quiet".into()];
    line.extend(args.cache.arguments());
    if args.fuel.is_some() {
        line.push("--fuel".into());
    }
    if args.execution.deterministic {
        line.push("--deterministic".into());
    }
    if args.timeout.is_some() {
        line.push("--interruptible".into());
    }
    if let Some(bytes) = args.max_memory {
        line.extend(["--max-memory".into(), bytes.to_string().into()]);
    }
    let memory = match args.execution.memory {
        Memory::Auto => None,
        Memory::Checked => Some("checked"),
        Memory::Masked => Some("masked"),
    };
    line.extend(memory.into_iter().flat_map(|m| ["--memory".into(), m.into()]));
    line.extend(args.compiler.jit_passes.iter().map(|p| format!("--jit-passes={p}").into()));
    line.extend(["--".into(), file.into()]);
    // A group of its own: it is not meant when somebody interrupts what goes on in this terminal.
    let mut command = Command::new(program);
    command.args(line).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    // It is not the caller's either: no lock, pipe or mount of the caller's is held by it.
    rawsock::keep_descriptors_to_ourselves();
    command.current_dir("/");
    for name in ["HOME", "VM_CACHE_DIR", "VM_KEY_FILE"] {
        let relative = std::env::var_os(name).filter(|v| !v.is_empty() && !Path::new(v).is_absolute());
        if let Some(path) = relative.and_then(|path| std::path::absolute(path).ok()) {
            command.env(name, path);
        }
    }
    let _ = command.spawn();
}

/// Seconds of processor time that the process may take.
const MOST_TIME: u64 = 60;
/// Bytes of memory that it may take, and how many it needs when the guest may have next to none: for the module, and stacks.
const MOST_MEMORY: u64 = 1 << 30;
const LEAST_MEMORY: u64 = 256 << 20;

/// Gives way to everybody else, and sees to it that the system ends this process when it takes too much.
pub(crate) fn step_back(guest_memory: Option<u64>) {
    // Where that is not allowed, it compiles as fast as others.
    let _ = rustix::process::nice(19);
    let memory = guest_memory.map_or(MOST_MEMORY, |m| m.saturating_add(LEAST_MEMORY).min(MOST_MEMORY));
    lower(Resource::Cpu, MOST_TIME);
    lower(Resource::Data, memory);
    // Its end is nobody's concern.
    lower(Resource::Core, 0);
}

fn lower(resource: Resource, to: u64) {
    let now = getrlimit(resource);
    let least = |limit: Option<u64>| Some(limit.map_or(to, |l| l.min(to)));
    // A limit that cannot be set was lower before, or the system has none.
    let _ = setrlimit(resource, Rlimit { current: least(now.current), maximum: least(now.maximum) });
}
