//! Writing to standard output and standard error without ever panicking.
//!
//! A reader that closes its end early (`vm inspect big.wasm | head`) ends the command quietly.

use crate::exit::{self, Exit};
use std::fs::Metadata;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| match e.kind() {
        ErrorKind::BrokenPipe => Exit::silent(exit::BROKEN_PIPE),
        _ => Exit::failure(format!("cannot write to standard output: {e}")),
    })
}

/// Writes text to standard error.
pub(crate) fn tell(text: &str) -> Result<(), Exit> {
    // Where that fails, nobody can be told.
    let _ = io::stderr().lock().write_all(text.as_bytes());
    Ok(())
}

/// Whether what is written to a file goes to standard output.
pub(crate) fn is_standard(path: &Path) -> bool {
    let own = rustix::fs::fstat(rustix::stdio::stdout());
    let same = |m: Metadata| own.is_ok_and(|own| (own.st_dev, own.st_ino) == (m.dev(), m.ino()));
    path.as_os_str() == "-" || path.metadata().is_ok_and(same)
}

/// Writes a message to standard error, with the command's name before it. Where even that fails, nobody can be told.
pub(crate) fn complain(message: &str) {
    let text = format!("vm: {message}\n");
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
