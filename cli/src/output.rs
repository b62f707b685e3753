//! Writing to standard output and standard error without ever panicking.
//!
//! A reader that closes its end early (`vm inspect big.wasm | head`) ends the command quietly.

use crate::exit::{self, Exit};
use std::io::{self, ErrorKind, Write};

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| match e.kind() {
        ErrorKind::BrokenPipe => Exit::silent(exit::BROKEN_PIPE),
        _ => Exit::failure(format!("cannot write to standard output: {e}")),
    })
}

/// Writes a message to standard error, with the command's name before it. Where even that fails, nobody can be told.
pub(crate) fn complain(message: &str) {
    let text = format!("vm: {message}\n");
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
