//! Loading modules.
//!
//! In: the name of a file. Out: a module, or an error that names the file, the function and offset at fault, and says
//! what to do about it.

use crate::exit::{Exit, with_hint};
use std::path::Path;
use vm::{Engine, Error, Module};

/// Loads a module in the binary or the text format.
pub(crate) fn load(engine: &Engine, file: &Path) -> Result<Module, Exit> {
    let bytes = std::fs::read(file).map_err(|e| Exit::failure(unreadable(file, &e)))?;
    let is_component = bytes.starts_with(b"\0asm\x0d\x00\x01\x00");
    let looks_foreign = !bytes.starts_with(b"\0asm") && bytes.contains(&0);
    Module::from_vec(engine, bytes).map_err(|e| {
        let hint = match e {
            _ if is_component => {
                Some("this is a component; build it as a core module for WASI preview 1 (target wasm32-wasip1)")
            }
            _ if looks_foreign => Some("this is neither a .wasm nor a .wat file"),
            Error::Module(ref m) if m.offset.is_some() => {
                Some("the file is damaged, or was made for a proposal that is not supported; build or fetch it again")
            }
            _ => None,
        };
        Exit::failure(with_hint(&invalid(file, &e), hint))
    })
}

fn unreadable(file: &Path, e: &std::io::Error) -> String {
    let message = format!("cannot read {}: {e}", file.display());
    with_hint(&message, file.is_dir().then_some("give a .wasm or .wat file, not a directory"))
}

/// Errors of the text format carry a place in the text; the file's name belongs to it.
fn invalid(file: &Path, e: &Error) -> String {
    format!("{}: {}", file.display(), e.to_string().replace("<anon>", &file.display().to_string()))
}
