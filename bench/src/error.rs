//! What can go wrong in a comparison, one variant per thing that a user can act on.

use std::io;
use std::path::PathBuf;

/// The result of everything here that can fail.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// A failure of the comparison itself. An engine that merely cannot run a kernel is not one: it becomes a note.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    #[error(
        "bench/kernels is not below {start} nor any directory above it; run this inside the repository or pass --root"
    )]
    NoKernels { start: PathBuf },
    #[error("there is no kernel named `{name}`; there are: {known}")]
    UnknownKernel { name: String, known: String },
    #[error("there is no engine named `{name}`; there are: {known}")]
    UnknownEngine { name: String, known: String },
    #[error("none of the engines asked for is installed; see `bench engines`")]
    NoEngines,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("cannot start `{program}`: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("cannot wait for `{program}`: {source}")]
    Wait { program: String, source: io::Error },
    #[error("building the native baseline failed ({status}):\n{stderr}")]
    Build { status: String, stderr: String },
    #[error("cannot write the report: {0}")]
    Output(#[from] io::Error),
}
