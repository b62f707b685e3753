//! Faults in guard pages become traps.
//!
//! In: a function to run with a [`Guarded`] record. Out: whether it returned or faulted, and then the values of
//! the three registers in which every guest memory access keeps its instruction, frame and context pointers.
//!
//! `guarded_call` saves the callee-saved registers and the stack pointer, then calls. When a fault's address lies
//! in a reservation of the running store (as the record's check says) the signal handler makes the thread
//! continue behind that call, as if the function had returned: nothing with a destructor may be live between.
//! Any other fault goes to the handler that was installed before, and so does a signal that is no fault: one that somebody has sent. What
//! that handler does about it leaves ours in place; if there is none, the process dies of the signal.
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

    /// Signals for faults in memory, then those for faults of instructions.
    const SIGNALS: [libc::c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE];
    const MEMORY: std::ops::Range<usize> = 0..2;
    const INSTRUCTIONS: std::ops::Range<usize> = 2..4;
    /// How each of them was handled before; known before our handler can run.
    static PREVIOUS: [OnceLock<libc::sigaction>; 4] = [const { OnceLock::new() }; 4];

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
        static INSTALLED: OnceLock<bool> = OnceLock::new();
        *INSTALLED.get_or_init(|| MEMORY.clone().all(install))
    }

    /// Installs the handlers for faults in compiled code at the first call; whether they are there.
    pub(crate) fn catch_native_faults() -> bool {
        static INSTALLED: OnceLock<bool> = OnceLock::new();
        guards_available() && *INSTALLED.get_or_init(|| INSTRUCTIONS.clone().all(install))
    }

    fn install(which: usize) -> bool {
        let mut previous = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: only asks; zeroed is a valid sigaction.
        let previous = unsafe {
            if libc::sigaction(SIGNALS[which], ptr::null(), previous.as_mut_ptr()) != 0 {
                return false;
            }
            previous.assume_init()
        };
        let _ = PREVIOUS[which].set(previous);
        // SAFETY: `handler` is async-signal-safe; the structure is valid for the call.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(SIGNALS[which], &action, ptr::null_mut()) == 0
        }
    }

    unsafe extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let record = CURRENT.with(Cell::get);
        // SAFETY: the kernel passes valid info.
        if !record.is_null() && unsafe { is_fault(info) } {
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

    /// Whether the signal says that the instruction at hand has faulted; otherwise somebody has sent it, and it says nothing else.
    unsafe fn is_fault(info: *const libc::siginfo_t) -> bool {
        // SAFETY: the kernel passes valid info.
        unsafe { (*info).si_code > 0 }
    }

    /// Hands a signal that is not the guest's to whoever handled it before.
    unsafe fn forward(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let which = SIGNALS.iter().position(|&s| s == signal);
        let previous = which.and_then(|i| PREVIOUS[i].get());
        // SAFETY: the kernel passes valid information.
        let sent = !unsafe { is_fault(info) };
        match previous {
            // What nobody minds is a signal that was sent; a fault would only happen again.
            Some(p) if p.sa_sigaction == libc::SIG_IGN && sent => {}
            Some(p) if p.sa_sigaction != libc::SIG_DFL && p.sa_sigaction != libc::SIG_IGN => {
                // SAFETY: the previous action is what sigaction reported, called the way its flags ask for.
                unsafe {
                    if p.sa_flags & libc::SA_SIGINFO != 0 {
                        let f: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                            std::mem::transmute(p.sa_sigaction);
                        f(signal, info, context);
                    } else {
                        let f: extern "C" fn(libc::c_int) = std::mem::transmute(p.sa_sigaction);
                        f(signal);
                    }
                }
                // A handler that wants the default has set it, so that a fault kills when it happens again; what was sent does not.
                if sent && is_default(signal) {
                    die_of(signal);
                }
            }
            // The instruction would run again and the process die of its own fault.
            _ => die_of(signal),
        }
    }

    fn is_default(signal: libc::c_int) -> bool {
        let mut now = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: only asks; zeroed is a valid sigaction.
        unsafe {
            libc::sigaction(signal, ptr::null(), now.as_mut_ptr()) == 0
                && now.assume_init().sa_sigaction == libc::SIG_DFL
        }
    }

    /// Ends the process as the signal does when nobody handles it.
    fn die_of(signal: libc::c_int) {
        // SAFETY: all of these may be called in signal handlers; the structures are valid for the calls. The signal is not blocked
        // after that, so that it is delivered before `raise` returns.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &action, ptr::null_mut());
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, ptr::null_mut());
            libc::raise(signal);
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

#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
mod tests {
    use crate::{Config, Engine, Instance, Module, Store, Tier};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};
    use std::sync::atomic::{AtomicU32, Ordering};

    const ROLE: &str = "VM_TEST_SIGNALS";
    static SEEN: AtomicU32 = AtomicU32::new(0);

    extern "C" fn count(_: libc::c_int) {
        SEEN.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs the child of these tests in a process of its own, in which no handler is installed yet.
    fn child(role: &str) -> ExitStatus {
        let me = std::env::current_exe().unwrap();
        let args = ["--exact", "sys::guard::tests::in_a_process_of_its_own", "--include-ignored", "--test-threads=1"];
        Command::new(me).args(args).env(ROLE, role).stdout(std::process::Stdio::null()).status().unwrap()
    }

    /// Sets what is done about all signals for faults.
    fn handle(action: usize) {
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
            // SAFETY: `count` may run in a signal handler.
            unsafe { libc::signal(signal, action) };
        }
    }

    fn send(signal: libc::c_int) {
        // SAFETY: the signal is handled, or meant to kill.
        unsafe { libc::raise(signal) };
    }

    /// A module whose function sends a signal while it runs, and then faults itself.
    const MODULE: &str = r#"(module (import "" "send" (func $send (param i32))) (memory 1)
        (func (export "load") (param i32) (result i32)
            (call $send (local.get 0)) (i32.load (i32.const -4)))
        (func (export "divide") (param i32) (result i32)
            (call $send (local.get 0)) (i32.div_s (i32.const 1) (i32.xor (local.get 0) (local.get 0)))))"#;

    fn guest_traps(tier: Tier, signal: libc::c_int) {
        let engine = Engine::new(Config::new().tier(tier)).unwrap();
        let module = Module::new(&engine, MODULE).unwrap();
        let mut store = Store::new(&engine, ());
        let sender = crate::Func::wrap(&mut store, |signal: i32| send(signal));
        let instance = Instance::new(&mut store, &module, &[sender.into()]).unwrap();
        for name in ["load", "divide"] {
            let f = instance.get_typed_func::<i32, i32>(&mut store, name).unwrap();
            assert!(f.call(&mut store, signal).unwrap_err().as_trap().is_some());
        }
    }

    #[test]
    #[ignore = "runs in a process of its own, which the tests below start"]
    fn in_a_process_of_its_own() {
        let role = std::env::var(ROLE).unwrap_or_default();
        match role.split_once(' ') {
            Some(("handled", _)) => handle(count as *const () as usize),
            Some(("ignored", _)) => handle(libc::SIG_IGN),
            Some(("default", _)) => handle(libc::SIG_DFL),
            // The standard library's handler, which sets the default when it is asked.
            _ => {}
        }
        let tier = if role.ends_with("interp") { Tier::Interp } else { Tier::Jit };
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
            let before = SEEN.load(Ordering::Relaxed);
            guest_traps(tier, signal);
            let seen = SEEN.load(Ordering::Relaxed) - before;
            assert_eq!(seen, if role.starts_with("handled") { 2 } else { 0 });
        }
    }

    #[test]
    fn a_signal_that_is_sent_reaches_the_handler_before_ours_and_the_guard_still_works() {
        for role in ["handled interp", "handled jit", "ignored interp", "ignored jit"] {
            assert!(child(role).success(), "{role}");
        }
    }

    #[test]
    fn the_process_dies_of_a_signal_that_is_sent_if_nobody_handles_it() {
        for role in ["default interp", "default jit", "standard interp", "standard jit"] {
            assert_eq!(child(role).signal(), Some(libc::SIGSEGV), "{role}");
        }
    }
}
