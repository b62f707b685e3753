//! The way into compiled code and out of it.
//!
//! `enter` switches to the native stack (unless it is on it already), sets the registers that compiled code relies on, and
//! calls an entry adapter. It comes back when that returns, or when `leave` is continued at: then everything between is
//! abandoned, and nothing of it may have a destructor.
//!
//! ```text
//!   rsp of the caller ─►  return address
//!                         rbp rbx r12 r13 r14 r15
//!   VmStore::native_sp ─► native_sp of the transition around this one
//! ```
//!
//! `cross_tail` is where an exit adapter goes on when its call ended in a tail call of another instance's compiled code: it
//! sees to it that the registers of the adapter's instance come back when that returns. A frame that does so already is
//! not put below another one, so that tail calls between instances take no stack.
//!
//! ```text
//!   rsp ─►  cross_return | r14 | r15 | (8 bytes) | return address of the caller
//! ```
//!
//! `raise` is where compiled code goes when a helper has failed: the same as a fault, without a signal.
//!
//! `trap` is where the signal handler has a faulting thread go on: on the emergency stack, with all other registers as
//! compiled code had them. It saves them, has the runtime decide, and either goes on behind the fault or leaves.

use crate::runtime::context::{Slot, VmContext, VmFuncRef, VmStore};

/// What the runtime decides about a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(crate) enum Decision {
    /// Back to the innermost transition, as failed.
    Leave = 0,
    /// On at the address that `native_trap` has been told to fill in.
    Resume = 1,
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod imp {
    use super::{Slot, VmContext, VmFuncRef, VmStore};
    use std::mem::offset_of;

    std::arch::global_asm!(
        ".p2align 4",
        ".hidden vm_native_enter",
        ".globl vm_native_enter",
        ".type vm_native_enter,@function",
        "vm_native_enter:",
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "push rbx",
        ".cfi_def_cfa_offset 24",
        ".cfi_offset rbx, -24",
        "push r12",
        ".cfi_def_cfa_offset 32",
        ".cfi_offset r12, -32",
        "push r13",
        ".cfi_def_cfa_offset 40",
        ".cfi_offset r13, -40",
        "push r14",
        ".cfi_def_cfa_offset 48",
        ".cfi_offset r14, -48",
        "push r15",
        ".cfi_def_cfa_offset 56",
        ".cfi_offset r15, -56",
        "push qword ptr [r9 + {sp}]",
        ".cfi_def_cfa_offset 64",
        "mov [r9 + {sp}], rsp",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rbx, r9",
        "mov r15, rcx",
        "mov r14, r8",
        "cmp qword ptr [r9 + {segment}], 0",
        "je 5f",
        "wrgsbase r14",
        "5:",
        // On the native stack already?
        "mov rax, [r9 + {top}]",
        "mov rcx, rax",
        "sub rcx, rsp",
        "cmp rcx, [r9 + {size}]",
        "cmovb rax, rsp",
        "mov rsp, rax",
        // Of no meaning, and kept, where no fuel is counted.
        "mov r13, [rbx + {fuel}]",
        "call rdx",
        "mov [rbx + {fuel}], r13",
        "mov rsp, rbp",
        ".cfi_def_cfa_register rsp",
        "xor eax, eax",
        "2:",
        "pop qword ptr [rbx + {sp}]",
        ".cfi_def_cfa_offset 56",
        "pop r15",
        ".cfi_def_cfa_offset 48",
        "pop r14",
        ".cfi_def_cfa_offset 40",
        "pop r13",
        ".cfi_def_cfa_offset 32",
        "pop r12",
        ".cfi_def_cfa_offset 24",
        "pop rbx",
        ".cfi_def_cfa_offset 16",
        "pop rbp",
        ".cfi_def_cfa_offset 8",
        "ret",
        ".cfi_endproc",
        ".size vm_native_enter, .-vm_native_enter",
        // Called where a helper has failed: as if the call were an instruction that faulted. Of the registers only those that calls
        // keep mean anything.
        ".p2align 4",
        ".hidden vm_native_raise",
        ".globl vm_native_raise",
        ".type vm_native_raise,@function",
        "vm_native_raise:",
        "mov rax, [r15 + {store}]",
        "pop rcx",
        "sub rcx, {raise_len}",
        "mov [rax + {fault_pc}], rcx",
        "mov [rax + {fault_sp}], rsp",
        "mov qword ptr [rax + {fault_address}], 0",
        "mov dword ptr [rax + {fault_signal}], 0",
        "mov byte ptr [rax + {fault_foreign}], 0",
        "mov rcx, [rax + {emergency}]",
        "lea rsp, [rcx - 16]",
        "mov [rsp], rax",
        "jmp vm_native_trap",
        ".size vm_native_raise, .-vm_native_raise",
        // On the emergency stack: [rsp] is the store.
        ".p2align 4",
        ".hidden vm_native_trap",
        ".globl vm_native_trap",
        ".type vm_native_trap,@function",
        "vm_native_trap:",
        "pushfq",
        "cld",
        "push rax",
        "push rcx",
        "push rdx",
        "push rbx",
        "push rbp",
        "push rsi",
        "push rdi",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov rbx, [rsp + 128]",
        "lea rbp, [rsp + 128]",
        // 8 (the store's word is at a multiple of 16, less 8) + 16 words: aligned with 8 more.
        "sub rsp, 264",
        "movups [rsp], xmm0",
        "movups [rsp + 16], xmm1",
        "movups [rsp + 32], xmm2",
        "movups [rsp + 48], xmm3",
        "movups [rsp + 64], xmm4",
        "movups [rsp + 80], xmm5",
        "movups [rsp + 96], xmm6",
        "movups [rsp + 112], xmm7",
        "movups [rsp + 128], xmm8",
        "movups [rsp + 144], xmm9",
        "movups [rsp + 160], xmm10",
        "movups [rsp + 176], xmm11",
        "movups [rsp + 192], xmm12",
        "movups [rsp + 208], xmm13",
        "movups [rsp + 224], xmm14",
        "movups [rsp + 240], xmm15",
        "mov rdi, rbx",
        "mov rsi, rbp",
        "and rsp, -16",
        "call {native_trap}",
        "lea rsp, [rbp - 392]",
        "test eax, eax",
        "jne 3f",
        "mov rsp, [rbx + {sp}]",
        "mov eax, 1",
        "jmp 2b",
        "3:",
        "movups xmm0, [rsp]",
        "movups xmm1, [rsp + 16]",
        "movups xmm2, [rsp + 32]",
        "movups xmm3, [rsp + 48]",
        "movups xmm4, [rsp + 64]",
        "movups xmm5, [rsp + 80]",
        "movups xmm6, [rsp + 96]",
        "movups xmm7, [rsp + 112]",
        "movups xmm8, [rsp + 128]",
        "movups xmm9, [rsp + 144]",
        "movups xmm10, [rsp + 160]",
        "movups xmm11, [rsp + 176]",
        "movups xmm12, [rsp + 192]",
        "movups xmm13, [rsp + 208]",
        "movups xmm14, [rsp + 224]",
        "movups xmm15, [rsp + 240]",
        "add rsp, 264",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rdi",
        "pop rsi",
        "pop rbp",
        "pop rbx",
        "pop rdx",
        "pop rcx",
        "pop rax",
        "popfq",
        // The word is the guest's stack pointer now, and where to go on has been written below that.
        "mov rsp, [rsp]",
        "jmp qword ptr [rsp - 8]",
        ".size vm_native_trap, .-vm_native_trap",
        // rdi and rsi are for the tail adapter.
        ".p2align 4",
        ".hidden vm_cross_tail",
        ".globl vm_cross_tail",
        ".type vm_cross_tail,@function",
        "vm_cross_tail:",
        "mov rax, [r15 + {store}]",
        "lea rcx, [rip + vm_cross_return]",
        "cmp [rsp], rcx",
        "je 4f",
        "sub rsp, 8",
        "push r15",
        "push r14",
        "push rcx",
        "4:",
        "mov r15, [rax + {tail_context}]",
        "mov r14, [r15 + {mem0}]",
        "cmp qword ptr [rax + {segment}], 0",
        "je 6f",
        "wrgsbase r14",
        "6:",
        "jmp qword ptr [rax + {tail_adapter}]",
        ".size vm_cross_tail, .-vm_cross_tail",
        ".p2align 4",
        ".hidden vm_cross_return",
        ".globl vm_cross_return",
        ".type vm_cross_return,@function",
        "vm_cross_return:",
        "pop r14",
        "pop r15",
        // Results are in rax, rcx, rdx and rdi.
        "mov rsi, [r15 + {store}]",
        "cmp qword ptr [rsi + {segment}], 0",
        "je 7f",
        "mov rsi, [r15 + {mem0}]",
        "wrgsbase rsi",
        "7:",
        "add rsp, 8",
        "ret",
        ".size vm_cross_return, .-vm_cross_return",
        // rax is the reference; the other registers of arguments are taken, and the stack may be at its end.
        ".p2align 4",
        ".hidden vm_call_by_cell",
        ".globl vm_call_by_cell",
        ".type vm_call_by_cell,@function",
        "vm_call_by_cell:",
        "movq xmm15, rcx",
        "mov rcx, [rax + {native}]",
        "mov rcx, [rcx]",
        "test cl, {function} - 1",
        "jnz 8f",
        "mov [rax + {code}], rcx",
        "8:",
        "movq rcx, xmm15",
        "mov rax, [rax + {native}]",
        "jmp qword ptr [rax]",
        ".size vm_call_by_cell, .-vm_call_by_cell",
        native = const offset_of!(VmFuncRef, native),
        code = const offset_of!(VmFuncRef, code),
        function = const crate::native::arrange::ALIGN,
        store = const offset_of!(VmContext, store),
        raise_len = const jit::abi::RAISE_LEN,
        fault_pc = const offset_of!(VmStore, fault.pc),
        fault_sp = const offset_of!(VmStore, fault.sp),
        fault_address = const offset_of!(VmStore, fault.address),
        fault_signal = const offset_of!(VmStore, fault.signal),
        fault_foreign = const offset_of!(VmStore, fault.foreign),
        emergency = const offset_of!(VmStore, emergency_top),
        mem0 = const offset_of!(VmContext, mem0_base),
        tail_context = const offset_of!(VmStore, tail_context),
        tail_adapter = const offset_of!(VmStore, tail_adapter),
        sp = const offset_of!(VmStore, native_sp),
        segment = const offset_of!(VmStore, segment),
        top = const offset_of!(VmStore, native_top),
        size = const offset_of!(VmStore, native_size),
        fuel = const offset_of!(VmStore, fuel),
        native_trap = sym crate::native::trap::native_trap,
    );

    // Only pointers are passed on.
    #[allow(improper_ctypes)]
    unsafe extern "C" {
        fn vm_native_enter(
            slots: *mut Slot,
            code: *const u8,
            adapter: *const u8,
            context: *mut VmContext,
            mem0: *mut u8,
            store: *mut VmStore,
        ) -> u32;
        fn vm_native_trap();
        fn vm_native_raise();
        fn vm_cross_tail();
        fn vm_cross_return();
        fn vm_call_by_cell();
    }

    /// Whether there is a way into compiled code here.
    pub(crate) const AVAILABLE: bool = true;

    /// Whether the system keeps 256-bit registers across switches. `features` are those of leaf 1 of `cpuid` in `ecx`.
    pub(crate) fn keeps_wide_registers(features: u32) -> bool {
        const XGETBV: u32 = 1 << 27; // the system has switched it on
        if features & XGETBV == 0 {
            return false;
        }
        let low: u32;
        // SAFETY: the instruction is there; it changes two registers.
        unsafe {
            std::arch::asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack));
        }
        low & 6 == 6
    }

    /// Whether programs may set the base of the GS segment here: the processor can, and the kernel lets them.
    pub(crate) fn segment_available() -> bool {
        // SAFETY: reads a value that the kernel gave to the process.
        unsafe { libc::getauxval(libc::AT_HWCAP2) & 2 != 0 }
    }

    /// Sets the base of the GS segment, which nothing but compiled code uses.
    ///
    /// # Safety
    /// [`segment_available`] must be true.
    pub(crate) unsafe fn set_segment(base: *mut u8) {
        // SAFETY: the caller's contract; no other code of the process looks at the segment.
        unsafe { std::arch::asm!("wrgsbase {}", in(reg) base, options(nostack, preserves_flags)) }
    }

    /// Where a faulting thread goes on.
    pub(crate) fn trap_entry() -> usize {
        vm_native_trap as *const () as usize
    }

    /// What compiled code calls where a helper has failed; does not return there.
    pub(crate) fn raise() -> *const () {
        vm_native_raise as *const ()
    }

    /// Goes on at compiled code of another instance: what an exit adapter jumps to.
    pub(crate) fn cross_tail() -> u64 {
        vm_cross_tail as *const () as u64
    }

    /// Calls the function of the reference in `rax` through its native cell, and lets the reference lead to its code if it has some.
    pub(crate) fn call_by_cell() -> *const u8 {
        vm_call_by_cell as *const u8
    }

    /// Where that returns to, and the distance from there to the return address of the frame below.
    pub(crate) fn cross_return() -> (usize, usize) {
        (vm_cross_return as *const () as usize, 24)
    }

    /// Where `native_trap` finds, and may change, registers of the faulting code: the number of each, and how many words below
    /// its second argument it lies.
    pub(crate) const TRAP_REGISTERS: &[(usize, usize)] = &[(3, 5), (5, 6), (12, 13), (13, 14), (14, 15), (15, 16)];

    /// How many words below that second argument the register of the fuel lies.
    pub(crate) const TRAP_FUEL: usize = 14;

    /// Runs compiled code through an entry adapter; false when it was left before it returned.
    ///
    /// # Safety
    /// The adapter must be that of the code's type, the slots hold its parameters and have room for its results, the context
    /// be one of the code's module with that base of memory 0, and the store have a native stack.
    #[inline(always)]
    pub(crate) unsafe fn enter(
        slots: *mut Slot,
        code: *const u8,
        adapter: *const u8,
        context: *mut VmContext,
        mem0: *mut u8,
        store: *mut VmStore,
    ) -> bool {
        // SAFETY: the caller's contract.
        unsafe { vm_native_enter(slots, code, adapter, context, mem0, store) == 0 }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod imp {
    use super::{Slot, VmContext, VmStore};

    /// No compiled code on this target.
    pub(crate) const AVAILABLE: bool = false;

    /// Not on this target.
    pub(crate) fn segment_available() -> bool {
        false
    }

    /// Never asked for.
    ///
    /// # Safety
    /// None is needed.
    pub(crate) unsafe fn set_segment(_base: *mut u8) {}

    /// Never called.
    pub(crate) fn raise() -> *const () {
        std::ptr::null()
    }

    /// Never called.
    pub(crate) fn call_by_cell() -> *const u8 {
        std::ptr::null()
    }

    /// Never looked at.
    pub(crate) const TRAP_REGISTERS: &[(usize, usize)] = &[];

    /// Never looked at.
    pub(crate) const TRAP_FUEL: usize = 0;

    /// Never asked for.
    pub(crate) fn cross_tail() -> u64 {
        0
    }

    /// Never asked for.
    pub(crate) fn cross_return() -> (usize, usize) {
        (0, 0)
    }

    /// # Safety
    /// Never called.
    pub(crate) unsafe fn enter(
        _: *mut Slot,
        _: *const u8,
        _: *const u8,
        _: *mut VmContext,
        _: *mut u8,
        _: *mut VmStore,
    ) -> bool {
        false
    }
}

pub(crate) use imp::*;
