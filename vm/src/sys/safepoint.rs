//! Where compiled code calls what may collect garbage.
//!
//! In: a helper. Out: a function that notes in the store from where on the native stack holds what compiled code has left
//! there, registers that calls keep included, and then is that helper. What the runtime's own frames hold lies below, and is not
//! taken for references: they are not cleared, and would keep what other calls have left there.

use crate::runtime::context::{VmContext, VmStore};
use std::mem::offset_of;

/// Offsets that the code below uses.
pub(crate) const STORE: usize = offset_of!(VmContext, store);
pub(crate) const LIVE: usize = offset_of!(VmStore, native_live);

/// Defines functions to be called in the place of helpers: `at_safepoint!(name: helper; …)`.
macro_rules! at_safepoint {
    ($($name:ident: $helper:ident;)*) => { $(
        /// As the helper of that name.
        ///
        /// # Safety
        /// To be called by compiled code only, with its context as first argument.
        #[cfg(target_arch = "x86_64")]
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name() {
            std::arch::naked_asm!(
                ".cfi_startproc",
                "push rbx",
                ".cfi_def_cfa_offset 16",
                "push rbp",
                ".cfi_def_cfa_offset 24",
                "push r12",
                ".cfi_def_cfa_offset 32",
                "push r13",
                ".cfi_def_cfa_offset 40",
                "push r14",
                ".cfi_def_cfa_offset 48",
                "push r15",
                ".cfi_def_cfa_offset 56",
                "mov rax, [rdi + {store}]",
                "mov [rax + {live}], rsp",
                "push rax",
                ".cfi_def_cfa_offset 64",
                "call {helper}",
                // They are what they were.
                "add rsp, 56",
                ".cfi_def_cfa_offset 8",
                "ret",
                ".cfi_endproc",
                store = const $crate::sys::safepoint::STORE,
                live = const $crate::sys::safepoint::LIVE,
                helper = sym $helper,
            )
        }
        #[cfg(not(target_arch = "x86_64"))]
        pub(super) use $helper as $name;
    )* };
}
pub(crate) use at_safepoint;
