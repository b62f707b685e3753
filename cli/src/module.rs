//! Loading modules.
//!
//! In: the name of a file. Out: a module, or an error that names the file, the function and offset at fault, and says
//! what to do about it.

use crate::exit::{Exit, with_hint};
use std::io::Read;
use std::path::Path;
use vm::{Engine, Error, Module};

/// Loads a module in the binary or the text format, or an artifact.
pub(crate) fn load(engine: &Engine, file: &Path) -> Result<Module, Exit> {
    Module::from_file(engine, file).map_err(|e| failure(file, &e))
}

/// As [`load`], running the code of an artifact whoever made it.
pub(crate) fn load_trusted(engine: &Engine, file: &Path) -> Result<Module, Exit> {
    Module::from_trusted_file(engine, file).map_err(|e| failure(file, &e))
}

fn failure(file: &Path, e: &Error) -> Exit {
    if let Error::Io { source, .. } = e {
        return Exit::failure(unreadable(file, source));
    }
    let head = head(file);
    let hint = match e {
        _ if head.starts_with(b"\0asm\x0d\x00\x01\x00") => {
            Some("this is a component; build it as a core module for WASI preview 1 (target wasm32-wasip1)")
        }
        _ if !head.starts_with(b"\0asm") && head.contains(&0) => Some("this is neither a .wasm nor a .wat file"),
        Error::Module(m) if m.offset.is_some() => {
            Some("the file is damaged, or was made for a proposal that is not supported; build or fetch it again")
        }
        _ => None,
    };
    Exit::failure(with_hint(&invalid(file, e), hint))
}

/// How a file begins.
fn head(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be read says nothing.
    let _ = std::fs::File::open(file).and_then(|f| f.take(4096).read_to_end(&mut bytes));
    bytes
}

fn unreadable(file: &Path, e: &std::io::Error) -> String {
    let message = format!("cannot read {}: {e}", file.display());
    with_hint(&message, file.is_dir().then_some("give a .wasm or .wat file, not a directory"))
}

/// Errors of the text format carry a place in the text; the file's name belongs to it.
fn invalid(file: &Path, e: &Error) -> String {
    format!("{}: {}", file.display(), e.to_string().replace("<anon>", &file.display().to_string()))
}
