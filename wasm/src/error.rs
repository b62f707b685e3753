//! The one error of this crate: a module that cannot be read or is not valid.

/// Why bytes are not a WebAssembly module, and where.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message} (at offset {offset:#x})")]
pub struct ParseError {
    /// What is wrong, in the words of the reader or validator.
    pub message: String,
    /// Byte offset into the module.
    pub offset: u64,
}

impl From<wasmparser::Error> for ParseError {
    fn from(e: wasmparser::Error) -> Self {
        ParseError { message: e.message().to_string(), offset: e.offset() }
    }
}

impl ParseError {
    /// An error found by this crate itself rather than by the reader.
    pub(crate) fn new(message: impl Into<String>, offset: u64) -> Self {
        ParseError { message: message.into(), offset }
    }
}
