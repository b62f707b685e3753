//! How an expected failure is compared with what happened.
//!
//! In: the message of the script and the error of the runtime. Out: `Ok`, or how they differ. Messages of traps and of
//! linking count as equal when one begins with the other: scripts often add details, and so do runtimes.

use vm::{Error, TrapKind};

/// Whether the two messages say the same.
pub(crate) fn same_message(expected: &str, actual: &str) -> bool {
    !actual.is_empty() && !expected.is_empty() && (actual.starts_with(expected) || expected.starts_with(actual))
}

/// The first line of an error: without the backtrace.
pub(crate) fn headline(error: &Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}

/// The error must be a trap with this message.
pub(crate) fn trap(expected: &str, error: &Error) -> Result<(), String> {
    match error.as_trap() {
        Some(t) if same_message(expected, t.kind().message()) => Ok(()),
        Some(_) => Err(format!("expected trap \"{expected}\", but it trapped with \"{}\"", headline(error))),
        None => Err(format!("expected trap \"{expected}\", but it failed with \"{}\"", headline(error))),
    }
}

/// The error must be exhaustion of the guest's stack.
pub(crate) fn exhaustion(expected: &str, error: &Error) -> Result<(), String> {
    match error.as_trap().map(vm::Trap::kind) {
        Some(TrapKind::CallStackExhausted) if same_message(expected, TrapKind::CallStackExhausted.message()) => Ok(()),
        _ => Err(format!("expected exhaustion \"{expected}\", but it failed with \"{}\"", headline(error))),
    }
}

/// The error must be one of linking with this message.
pub(crate) fn unlinkable(expected: &str, error: &Error) -> Result<(), String> {
    match error {
        Error::Link(actual) if same_message(expected, actual) => Ok(()),
        _ => Err(format!("expected link error \"{expected}\", but it failed with \"{}\"", headline(error))),
    }
}

/// The error must be an exception that nobody caught.
pub(crate) fn exception(error: &Error) -> Result<(), String> {
    let actual = headline(error);
    match error.as_trap() {
        Some(_) if actual.starts_with("uncaught exception") => Ok(()),
        _ => Err(format!("expected an exception, but it failed with \"{actual}\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_match_in_either_direction_only_as_prefixes() {
        assert!(same_message("uninitialized element 7", "uninitialized element"));
        assert!(same_message("unknown import", "unknown import: `a` `b`"));
        assert!(!same_message("integer overflow", "integer divide by zero"));
        assert!(!same_message("element", "uninitialized element"));
        assert!(!same_message("unreachable", ""));
    }

    #[test]
    fn only_a_trap_is_a_trap() {
        assert!(trap("unreachable", &Error::from(TrapKind::Unreachable)).is_ok());
        assert!(trap("unreachable", &Error::from(TrapKind::IntegerOverflow)).is_err());
        assert!(trap("unknown import", &Error::Link("unknown import".into())).is_err());
        assert!(unlinkable("unknown import", &Error::Link("unknown import `a` `b`".into())).is_ok());
        assert!(unlinkable("unreachable", &Error::from(TrapKind::Unreachable)).is_err());
        assert!(exhaustion("call stack exhausted", &Error::from(TrapKind::Unreachable)).is_err());
    }
}
