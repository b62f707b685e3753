//! An alternate stack for signal handlers, on threads that have none: a fault on an overflowed stack needs one.
//!
//! Rust's own threads have one; threads that others have made may not.

use super::Mapping;
use std::cell::Cell;

/// Room for the largest signal frame (with AVX-512 state) and the handler.
const SIZE: usize = 64 << 10;

/// What a thread got from us; taken back when it ends.
struct Installed(Mapping);

impl Drop for Installed {
    fn drop(&mut self) {
        // SAFETY: disables the stack that `install` has set, if it is still the one.
        unsafe {
            let mut present: libc::stack_t = std::mem::zeroed();
            if libc::sigaltstack(std::ptr::null(), &mut present) == 0 && present.ss_sp == self.0.base().cast() {
                let mut none: libc::stack_t = std::mem::zeroed();
                none.ss_flags = libc::SS_DISABLE;
                libc::sigaltstack(&none, std::ptr::null_mut());
            }
        }
    }
}

thread_local! {
    static CHECKED: Cell<bool> = const { Cell::new(false) };
    static INSTALLED: Cell<Option<Installed>> = const { Cell::new(None) };
}

/// Sees to it that the thread has an alternate stack.
///
/// # Errors
/// When it has none and cannot get one.
pub(crate) fn ensure() -> std::io::Result<()> {
    if CHECKED.get() {
        return Ok(());
    }
    install()?;
    CHECKED.set(true);
    Ok(())
}

#[cold]
fn install() -> std::io::Result<()> {
    // SAFETY: only asks.
    let present = unsafe {
        let mut present: libc::stack_t = std::mem::zeroed();
        if libc::sigaltstack(std::ptr::null(), &mut present) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        present
    };
    if present.ss_flags & libc::SS_DISABLE == 0 {
        return Ok(());
    }
    let mut mapping = Mapping::reserve(SIZE)?;
    mapping.make_accessible(SIZE)?;
    // SAFETY: the memory stays mapped until the thread ends.
    unsafe {
        let mut stack: libc::stack_t = std::mem::zeroed();
        stack.ss_sp = mapping.base().cast();
        stack.ss_size = SIZE;
        if libc::sigaltstack(&stack, std::ptr::null_mut()) != 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    INSTALLED.set(Some(Installed(mapping)));
    Ok(())
}
