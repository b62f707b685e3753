//! Exit codes, and how a command ends other than well.

/// The command did what it was asked to.
pub(crate) const OK: i32 = 0;
/// A file is missing, unreadable or invalid, does not link, or an assertion failed.
pub(crate) const FAILURE: i32 = 1;
/// The command line makes no sense.
pub(crate) const USAGE: i32 = 2;
/// `--timeout` ran out; the code that `timeout(1)` uses.
pub(crate) const TIMEOUT: i32 = 124;
/// The guest trapped; the code of a process that aborted (128 + SIGABRT).
pub(crate) const TRAP: i32 = 134;
/// This command failed in a way that it never should; the code of a Rust program that panicked.
#[cfg(not(test))]
pub(crate) const BUG: i32 = 101;
/// Whoever read our output went away; the code of a process that a closed pipe ended (128 + SIGPIPE).
pub(crate) const BROKEN_PIPE: i32 = 141;

/// The end of a command: a code, and what to say on standard error, if anything.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: i32,
    pub(crate) message: Option<String>,
}

impl Exit {
    /// Ends with the guest's own code, of which a process can pass on the low eight bits.
    pub(crate) fn guest(code: i32) -> Exit {
        Exit { code: code & 0xff, message: None }
    }

    /// Ends without a word.
    pub(crate) fn silent(code: i32) -> Exit {
        Exit { code, message: None }
    }

    /// A file, module or link error.
    pub(crate) fn failure(message: impl Into<String>) -> Exit {
        Exit { code: FAILURE, message: Some(message.into()) }
    }

    /// Bad usage.
    pub(crate) fn usage(message: impl Into<String>) -> Exit {
        Exit { code: USAGE, message: Some(message.into()) }
    }
}

/// Appends what to do.
pub(crate) fn with_hint(message: &str, hint: Option<impl AsRef<str>>) -> String {
    match hint {
        Some(hint) => format!("{message}\nhint: {}", hint.as_ref()),
        None => message.to_string(),
    }
}
