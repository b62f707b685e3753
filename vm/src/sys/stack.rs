//! Work that needs more stack than a thread may have.
//!
//! In: a function, and how much stack it needs. Out: what it returns. It runs on this thread, on memory mapped for it with a page below
//! that faults, so that neither the system's limit on stacks nor one on threads is in its way.

use super::map::{Mapping, page_size};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs `f` on a stack of so many bytes.
///
/// # Errors
/// When there is no memory for the stack: `f` has not run.
pub(crate) fn on_stack<R>(bytes: usize, f: impl FnOnce() -> R) -> io::Result<R> {
    let mut stack = Mapping::reserve(bytes.saturating_add(page_size()))?;
    stack.make_accessible(stack.reserved())?;
    stack.protect(0, page_size())?;
    let mut f = Some(f);
    let mut outcome = None;
    let mut work = || {
        // A panic must not leave through the frame that changes stacks.
        outcome = f.take().map(|f| catch_unwind(AssertUnwindSafe(f)));
    };
    imp::switch(&mut work, &stack);
    match outcome {
        Some(Ok(r)) => Ok(r),
        Some(Err(panic)) => resume_unwind(panic),
        None => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(all(target_arch = "x86_64", unix))]
mod imp {
    use crate::sys::Mapping;

    /// Calls `f(arg)` with the stack pointer at `top`.
    ///
    /// # Safety
    /// `top` must be the end of a stack that is large enough for what `f` does, and a multiple of 16; `f` must return.
    #[unsafe(naked)]
    unsafe extern "C" fn call_on(top: *mut u8, f: unsafe extern "C" fn(*mut u8), arg: *mut u8) {
        std::arch::naked_asm!(
            ".cfi_startproc",
            "push rbp",
            ".cfi_def_cfa_offset 16",
            ".cfi_offset rbp, -16",
            "mov rbp, rsp",
            ".cfi_def_cfa_register rbp",
            "mov rsp, rdi",
            "mov rdi, rdx",
            "call rsi",
            "mov rsp, rbp",
            ".cfi_def_cfa_register rsp",
            "pop rbp",
            ".cfi_def_cfa_offset 8",
            "ret",
            ".cfi_endproc",
        )
    }

    pub(super) fn switch<F: FnMut()>(work: &mut F, stack: &Mapping) {
        unsafe extern "C" fn run<F: FnMut()>(work: *mut u8) {
            // SAFETY: `switch` passes the work, which nobody else uses meanwhile.
            unsafe { (*work.cast::<F>())() }
        }
        // SAFETY: the stack is this call's own, and its end is that of a page; what runs there does not unwind.
        unsafe { call_on(stack.base().add(stack.reserved()), run::<F>, std::ptr::from_mut(work).cast()) }
    }
}

#[cfg(not(all(target_arch = "x86_64", unix)))]
mod imp {
    use crate::sys::Mapping;

    /// On a thread of its own; not at all if there is none.
    pub(super) fn switch<F: FnMut()>(work: &mut F, stack: &Mapping) {
        struct Once<'a, F>(&'a mut F);
        // SAFETY: this thread waits until the other is done.
        unsafe impl<F> Send for Once<'_, F> {}
        let once = Once(work);
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().stack_size(stack.reserved());
            let _ = builder.spawn_scoped(scope, move || {
                let once = once;
                (once.0)()
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::on_stack;

    /// Takes more stack than a thread has.
    fn deep(n: u64) -> u64 {
        let page = std::hint::black_box([n; 512]);
        if n == 0 { 0 } else { page[0] - n + 1 + deep(n - 1) }
    }

    #[test]
    fn deep_work_runs_and_panics_come_back() {
        assert_eq!(on_stack(128 << 20, || deep(8_000)).unwrap(), 8_000);
        let panic = std::panic::catch_unwind(|| on_stack(1 << 20, || std::panic::resume_unwind(Box::new(7))));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&7));
        assert!(on_stack(usize::MAX / 2, || 0).is_err());
    }
}
