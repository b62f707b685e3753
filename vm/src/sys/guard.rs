//! Faults in guard pages become traps.
//!
//! In: a function to run with a [`Guarded`] record. Out: whether it returned or faulted, and then the values of
//! the three registers in which every guest memory access keeps its instruction, frame and context pointers.
//!
//! `guarded_call` saves the callee-saved registers and the stack pointer, then calls. When a fault's address lies
//! in a reservation of the running store (as the record's check says) the signal handler makes the thread
//! continue behind that call, as if the function had returned: nothing with a destructor may be live between.
//! Any other fault goes to the handler that was installed before.
//!
//! A fault at an instruction of compiled code is another matter: the record's hook notes it and answers on which stack
//! the thread goes on, at `transition::trap`, outside the signal handler.

/// How a guarded call ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The function returned.
    Returned,
    /// A guest memory access faulted.
    Faulted,
}

/// Decides in the signal handler whether a faulting address belongs to the guest that runs under this record.
pub(crate) type FaultCheck = unsafe extern "C" fn(data: *mut u8, address: usize) -> bool;

/// Takes note of a fault in compiled code (place, stack pointer, address, signal); answers the stack pointer to go on with,
/// or 0 when it is none of the guest's. Runs in the signal handler.
pub(crate) type NativeFaultHook =
    unsafe extern "C" fn(data: *mut u8, pc: usize, sp: usize, address: usize, signal: i32) -> usize;

/// A record of a guarded call, on the caller's stack while it runs.
#[repr(C)]
pub(crate) struct Guarded {
    /// Stack pointer to continue with.
    sp: usize,
    /// The record of the call around this one on the same thread.
    outer: *const Guarded,
    check: FaultCheck,
    native: NativeFaultHook,
    data: *mut u8,
    /// First pinned register at the fault: the instruction pointer of the interpreter.
    pub(crate) fault_ip: usize,
    /// Second pinned register at the fault: the frame pointer of the interpreter.
    pub(crate) fault_fp: usize,
    /// Third pinned register at the fault: the context pointer.
    pub(crate) fault_context: usize,
}

impl Guarded {
    pub(crate) fn new(check: FaultCheck, native: NativeFaultHook, data: *mut u8) -> Self {
        Guarded { sp: 0, outer: std::ptr::null(), check, native, data, fault_ip: 0, fault_fp: 0, fault_context: 0 }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod imp {
    use super::{Guarded, Outcome};
    use crate::sys::code::is_code;
    use crate::sys::transition::trap_entry;
    use std::cell::Cell;
    use std::mem::MaybeUninit;
    use std::ptr;
    use std::sync::OnceLock;

    thread_local! {
        static CURRENT: Cell<*mut Guarded> = const { Cell::new(ptr::null_mut()) };
    }

    struct Previous([libc::sigaction; 2]);
    /// Of the signals for faults in memory, and of those for faults of instructions.
    static PREVIOUS: [OnceLock<Option<Previous>>; 2] = [OnceLock::new(), OnceLock::new()];
    const SIGNALS: [[libc::c_int; 2]; 2] = [[libc::SIGSEGV, libc::SIGBUS], [libc::SIGILL, libc::SIGFPE]];

    std::arch::global_asm!(
        ".p2align 4",
        ".hidden vm_guarded_enter",
        ".globl vm_guarded_enter",
        ".type vm_guarded_enter,@function",
        "vm_guarded_enter:",
        ".cfi_startproc",
        "push rbp",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbp, 0",
        "push rbx",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbx, 0",
        "push r12",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r12, 0",
        "push r13",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r13, 0",
        "push r14",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r14, 0",
        "push r15",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r15, 0",
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "mov [rdx], rsp",
        "mov rax, rdi",
        "mov rdi, rsi",
        "call rax",
        "xor eax, eax",
        ".hidden vm_guarded_resume",
        ".globl vm_guarded_resume",
        "vm_guarded_resume:",
        "add rsp, 8",
        ".cfi_adjust_cfa_offset -8",
        "pop r15",
        ".cfi_adjust_cfa_offset -8",
        "pop r14",
        ".cfi_adjust_cfa_offset -8",
        "pop r13",
        ".cfi_adjust_cfa_offset -8",
        "pop r12",
        ".cfi_adjust_cfa_offset -8",
        "pop rbx",
        ".cfi_adjust_cfa_offset -8",
        "pop rbp",
        ".cfi_adjust_cfa_offset -8",
        "ret",
        ".cfi_endproc",
        ".size vm_guarded_enter, .-vm_guarded_enter",
    );

    unsafe extern "C" {
        fn vm_guarded_enter(f: unsafe extern "C" fn(*mut u8), arg: *mut u8, record: *mut Guarded) -> u32;
        fn vm_guarded_resume();
    }

    /// Whether faults can be turned into traps here; installs the handlers at the first call.
    pub(crate) fn guards_available() -> bool {
        PREVIOUS[0].get_or_init(|| install(SIGNALS[0])).is_some()
    }

    /// Installs the handlers for faults in compiled code at the first call; whether they are there.
    pub(crate) fn catch_native_faults() -> bool {
        guards_available() && PREVIOUS[1].get_or_init(|| install(SIGNALS[1])).is_some()
    }

    fn install(signals: [libc::c_int; 2]) -> Option<Previous> {
        let mut previous = [const { MaybeUninit::<libc::sigaction>::zeroed() }; 2];
        for (i, &signal) in signals.iter().enumerate() {
            // SAFETY: `handler` is async-signal-safe; the structures are valid for the call.
            let rc = unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
                libc::sigemptyset(&mut action.sa_mask);
                libc::sigaction(signal, &action, previous[i].as_mut_ptr())
            };
            if rc != 0 {
                return None;
            }
        }
        // SAFETY: zeroed is a valid sigaction, and sigaction has filled both.
        Some(Previous(previous.map(|p| unsafe { p.assume_init() })))
    }

    unsafe extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let record = CURRENT.with(Cell::get);
        if !record.is_null() {
            // SAFETY: CURRENT points to a record on this thread's own stack whose call is still running, and the
            // kernel passes valid info and context. The check reads only what the guest's thread owns.
            unsafe {
                let address = (*info).si_addr() as usize;
                let regs = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
                let (pc, sp) = (regs[libc::REG_RIP as usize] as usize, regs[libc::REG_RSP as usize] as usize);
                if is_code(pc) {
                    let sp = ((*record).native)((*record).data, pc, sp, address, signal);
                    if sp != 0 {
                        regs[libc::REG_RSP as usize] = sp as i64;
                        regs[libc::REG_RIP as usize] = trap_entry() as i64;
                        return;
                    }
                } else if ((*record).check)((*record).data, address) {
                    (*record).fault_ip = regs[libc::REG_RDI as usize] as usize;
                    (*record).fault_fp = regs[libc::REG_RSI as usize] as usize;
                    (*record).fault_context = regs[libc::REG_RCX as usize] as usize;
                    regs[libc::REG_RSP as usize] = (*record).sp as i64;
                    regs[libc::REG_RIP as usize] = vm_guarded_resume as *const () as usize as i64;
                    regs[libc::REG_RAX as usize] = 1;
                    return;
                }
            }
        }
        // SAFETY: as above; forwards exactly what the kernel passed.
        unsafe { forward(signal, info, context) }
    }

    /// Hands a fault that is not the guest's to whoever handled the signal before.
    unsafe fn forward(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let found = SIGNALS.iter().zip(&PREVIOUS).find_map(|(s, p)| Some((p, s.iter().position(|&s| s == signal)?)));
        let previous = found.and_then(|(p, i)| Some(p.get()?.as_ref()?.0[i]));
        // SAFETY: the previous action is what sigaction reported, called the way its flags ask for.
        unsafe {
            match previous {
                Some(p) if p.sa_sigaction != libc::SIG_DFL && p.sa_sigaction != libc::SIG_IGN => {
                    if p.sa_flags & libc::SA_SIGINFO != 0 {
                        let f: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                            std::mem::transmute(p.sa_sigaction);
                        f(signal, info, context);
                    } else {
                        let f: extern "C" fn(libc::c_int) = std::mem::transmute(p.sa_sigaction);
                        f(signal);
                    }
                }
                // Restore the default: the instruction runs again and the process dies of its own fault.
                _ => {
                    let mut action: libc::sigaction = std::mem::zeroed();
                    action.sa_sigaction = libc::SIG_DFL;
                    libc::sigaction(signal, &action, ptr::null_mut());
                }
            }
        }
    }

    /// Runs `f(arg)`; see the module documentation.
    ///
    /// # Safety
    /// `f(arg)` must be sound to call, and sound to abandon at any guest memory access for whose faults the
    /// record's check answers true.
    pub(crate) unsafe fn guarded_call(f: unsafe extern "C" fn(*mut u8), arg: *mut u8, record: &mut Guarded) -> Outcome {
        let outer = CURRENT.with(Cell::get);
        record.outer = outer;
        CURRENT.with(|c| c.set(record));
        // SAFETY: the caller's contract; the record outlives the call.
        let faulted = unsafe { vm_guarded_enter(f, arg, record) };
        CURRENT.with(|c| c.set(outer));
        if faulted == 0 { Outcome::Returned } else { Outcome::Faulted }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod imp {
    use super::{Guarded, Outcome};

    /// No guard pages on this target: every memory gets explicit checks.
    pub(crate) fn guards_available() -> bool {
        false
    }

    /// No compiled code on this target.
    pub(crate) fn catch_native_faults() -> bool {
        false
    }

    /// Runs `f(arg)`.
    ///
    /// # Safety
    /// `f(arg)` must be sound to call.
    pub(crate) unsafe fn guarded_call(
        f: unsafe extern "C" fn(*mut u8),
        arg: *mut u8,
        _record: &mut Guarded,
    ) -> Outcome {
        // SAFETY: the caller's contract.
        unsafe { f(arg) };
        Outcome::Returned
    }
}

pub(crate) use imp::{catch_native_faults, guarded_call, guards_available};
