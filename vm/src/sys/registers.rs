//! The registers that calls keep, as words in memory.

/// Calls a function with the address of words that hold what the caller's frames may have left in registers that calls keep.
/// Everything of those frames that is not there lies at higher addresses of the same stack.
#[inline(never)]
pub(crate) fn with_kept_registers<R>(f: impl FnOnce(*const usize) -> R) -> R {
    let mut words = [0usize; 6];
    #[cfg(target_arch = "x86_64")]
    // SAFETY: stores registers to six words of its own.
    unsafe {
        std::arch::asm!(
            "mov [{0}], rbx",
            "mov [{0} + 8], rbp",
            "mov [{0} + 16], r12",
            "mov [{0} + 24], r13",
            "mov [{0} + 32], r14",
            "mov [{0} + 40], r15",
            in(reg) words.as_mut_ptr(),
            options(nostack, preserves_flags),
        );
    }
    // The function may read the words and what lies behind them.
    f(std::hint::black_box(words.as_mut_ptr()))
}
