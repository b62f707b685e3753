//! Profilers and debuggers get to know compiled code.
//!
//! In: published functions. Out: entries in the files and lists in which `perf` and GDB look. What cannot be written is
//! left out: a guest does not fail for the sake of its profile.

mod gdb;
mod jitdump;
mod perfmap;

pub(crate) use gdb::Registered;

use crate::config::{Config, Profile};
use crate::module::Module;
use crate::native::code::Location;
use jit::Entry;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

/// A published function.
struct Published<'a> {
    name: &'a str,
    address: usize,
    code: &'a [u8],
    /// Offset in the code and offset in the module, in order.
    lines: &'a [(u32, u32)],
}

/// Makes a file of this process's own. One that a process of the same number has left is taken away first, if it is this user's: what lies
/// there may be somebody else's, or a link to what must stay as it is.
fn own_file(path: &str) -> std::io::Result<File> {
    let create = || File::options().read(true).write(true).create_new(true).open(path);
    match create() {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let there = std::fs::symlink_metadata(path)?;
            if !there.is_file() || there.uid() != rustix::process::geteuid().as_raw() {
                return Err(e);
            }
            std::fs::remove_file(path)?;
            create()
        }
        file => file,
    }
}

/// Who wants to know of published code.
pub(crate) struct Listeners {
    perf_map: Option<perfmap::PerfMap>,
    jit_dump: Option<jitdump::JitDump>,
    gdb: bool,
}

impl Listeners {
    pub(crate) fn new(config: &Config) -> Listeners {
        Listeners {
            perf_map: (config.profile == Some(Profile::PerfMap)).then(perfmap::PerfMap::create).and_then(Result::ok),
            jit_dump: (config.profile == Some(Profile::JitDump)).then(jitdump::JitDump::create).and_then(Result::ok),
            gdb: config.gdb,
        }
    }

    /// Whether anybody wants to know.
    pub(crate) fn are_there(&self) -> bool {
        self.perf_map.is_some() || self.jit_dump.is_some() || self.gdb
    }

    /// Tells everybody of code that has been published.
    pub(crate) fn published(
        &self,
        module: &Module,
        guarded: bool,
        own_func: u32,
        entry: Entry,
        at: Location,
        lines: &[(u32, u32)],
    ) {
        if !self.are_there() {
            return;
        }
        let name = name(module, own_func, entry);
        // SAFETY: code memory can be read, and stays while the module is borrowed.
        let code = unsafe { std::slice::from_raw_parts(at.address as *const u8, at.len) };
        let published = Published { name: &name, address: at.address, code, lines };
        if let Some(map) = &self.perf_map {
            map.add(&published);
        }
        if let Some(dump) = &self.jit_dump {
            dump.add(&published);
        }
        if self.gdb {
            module.code(guarded).native.keep(gdb::register(&published));
        }
    }
}

/// What a function is called in profiles.
fn name(module: &Module, own_func: u32, entry: Entry) -> String {
    let func = own_func + module.inner.raw.imported_funcs();
    let file = module.name().unwrap_or("wasm");
    let name = module.func_name(func).unwrap_or_default();
    match entry {
        Entry::Function => format!("{file}[{func}]::{name}"),
        Entry::Loop(offset) => format!("{file}[{func}]::{name} (loop at {offset:#x})"),
    }
}
