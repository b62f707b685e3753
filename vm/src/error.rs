//! The one error type of this crate's boundary.

use crate::trap::{Trap, TrapKind};
use std::path::PathBuf;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong between bytes and results.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a valid module, or a body is not valid.
    #[error("invalid module: {0}")]
    Module(ModuleError),
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The cache of compiled code could not be used.
    #[error("cannot use the cache in {path}: {source}")]
    Cache {
        /// Its directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Imports and what was offered for them do not fit.
    #[error("{0}")]
    Link(String),
    /// The guest trapped.
    #[error("{0}")]
    Trap(#[from] Box<Trap>),
    /// A host function failed with an error of its own.
    #[error("{0}")]
    Host(Box<dyn std::error::Error + Send + Sync>),
    /// A limit of the store, the engine or the host is reached.
    #[error("limit reached: {0}")]
    Limit(String),
    /// The API was used in a way that makes no sense.
    #[error("{0}")]
    Api(String),
    /// Valid WebAssembly that this version cannot run.
    #[error("unsupported: {0}")]
    Unsupported(String),
}

/// Why and where a module is not valid.
#[derive(Debug, Clone)]
pub struct ModuleError {
    /// What is wrong.
    pub message: String,
    /// Byte offset into the module, unless the text form was at fault.
    pub offset: Option<u64>,
    /// Index of the function whose body is at fault.
    pub function: Option<u32>,
    /// Its name, where known.
    pub function_name: Option<String>,
}

impl std::fmt::Display for ModuleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.function, &self.function_name) {
            (Some(i), Some(n)) => write!(f, "in function {i} ({n}): ")?,
            (Some(i), None) => write!(f, "in function {i}: ")?,
            _ => {}
        }
        f.write_str(&self.message)?;
        match self.offset {
            Some(o) => write!(f, " (at offset {o:#x})"),
            None => Ok(()),
        }
    }
}

impl Error {
    /// Wraps an error of a host function.
    pub fn host(e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Host(e.into())
    }
    /// The host error of that type inside, if it is one.
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self {
            Error::Host(e) => e.downcast_ref(),
            _ => None,
        }
    }
    /// The trap inside, if it is one.
    pub fn as_trap(&self) -> Option<&Trap> {
        match self {
            Error::Trap(t) => Some(t),
            _ => None,
        }
    }
    /// Byte offset of what is wrong with a module.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Error::Module(m) => m.offset,
            _ => None,
        }
    }
    /// Index of the function that is wrong.
    pub fn function(&self) -> Option<u32> {
        match self {
            Error::Module(m) => m.function,
            _ => None,
        }
    }

    pub(crate) fn api(m: impl Into<String>) -> Error {
        Error::Api(m.into())
    }
    pub(crate) fn limit(m: impl Into<String>) -> Error {
        Error::Limit(m.into())
    }
    pub(crate) fn link(m: impl Into<String>) -> Error {
        Error::Link(m.into())
    }
    pub(crate) fn text(m: impl Into<String>) -> Error {
        Error::Module(ModuleError { message: m.into(), offset: None, function: None, function_name: None })
    }
}

impl From<Trap> for Error {
    fn from(t: Trap) -> Error {
        Error::Trap(Box::new(t))
    }
}

impl From<TrapKind> for Error {
    fn from(k: TrapKind) -> Error {
        Error::from(Trap::new(k))
    }
}

impl From<wasm::ParseError> for Error {
    fn from(e: wasm::ParseError) -> Error {
        Error::Module(ModuleError { message: e.message, offset: Some(e.offset), function: None, function_name: None })
    }
}
