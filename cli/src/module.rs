//! Loading modules.
//!
//! In: the name of a file. Out: a module, or an error that names the file, the function and offset at fault, and says
//! what to do about it.

use crate::exit::{Exit, with_hint};
use std::path::Path;
use vm::{Engine, Error, Module};

/// What names standard input.
const STANDARD: &str = "-";

/// Loads a module in the binary or the text format, or an artifact. `-` is standard input.
pub(crate) fn load(engine: &Engine, file: &Path) -> Result<Module, Exit> {
    let module = if is_standard(file) { standard(engine) } else { Module::from_file(engine, file) };
    module.map_err(|e| failure(file, &e))
}

/// As [`load`], running the code of an artifact whoever made it.
pub(crate) fn load_trusted(engine: &Engine, file: &Path) -> Result<Module, Exit> {
    let module = if is_standard(file) { standard(engine) } else { Module::from_trusted_file(engine, file) };
    module.map_err(|e| failure(file, &e))
}

/// Whether a name stands for standard input.
pub(crate) fn is_standard(file: &Path) -> bool {
    file.as_os_str() == STANDARD
}

fn standard(engine: &Engine) -> vm::Result<Module> {
    Module::from_reader(engine, STANDARD, std::io::stdin().lock())
}

fn failure(file: &Path, e: &Error) -> Exit {
    if let Error::Io { source, .. } = e {
        return Exit::failure(unreadable(file, source));
    }
    let hint = match e {
        Error::Module(m) if m.offset.is_some() => {
            Some("the file is damaged, or was made for a proposal that is not supported; build or fetch it again")
        }
        _ => None,
    };
    Exit::failure(with_hint(&invalid(file, e), hint))
}

fn unreadable(file: &Path, e: &std::io::Error) -> String {
    let message = format!("cannot read {}: {e}", file.display());
    let hint = match rustix::io::Errno::from_io_error(e) {
        _ if file.is_dir() => Some("give a .wasm or .wat file, not a directory"),
        Some(rustix::io::Errno::MFILE) => Some("this process may open no more files: `ulimit -n` sets how many"),
        Some(rustix::io::Errno::NFILE) => Some("the system may open no more files"),
        _ => None,
    };
    with_hint(&message, hint)
}

/// Errors of the text format carry a place in the text; the file's name belongs to it.
fn invalid(file: &Path, e: &Error) -> String {
    format!("{}: {}", file.display(), e.to_string().replace("<anon>", &file.display().to_string()))
}
