//! Calls from the host into the guest, and what becomes of a run that did not return.
//!
//! Calls of the interpreter from compiled code (`native::call`) share how a run is started.

use super::backtrace;
use super::dispatch::{S, run};
use super::exec::call::stubs;
use crate::error::{Error, Result};
use crate::native::trap::note_fault;
use crate::runtime::context::{Slot, TrapSite, Unwind, VmFuncRef, VmStore};
use crate::runtime::stacks::{self, Stacks};
use crate::store::StoreOpaque;
use crate::sys::{Guarded, Outcome, ensure_signal_stack, guarded_call};
use crate::trap::{Trap, TrapKind};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Bytes of native stack that nested calls between host and guest may use.
const NATIVE_STACK: usize = 512 << 10;

/// Calls a function of the store; `write` puts the arguments at the address it is given, `read` takes the results from
/// there before the stack goes back.
///
/// # Safety
/// The function must belong to the store, and `write` fill exactly the slots of its parameters.
pub(crate) unsafe fn invoke<R>(
    store: &mut StoreOpaque,
    func: NonNull<VmFuncRef>,
    write: impl FnOnce(*mut Slot, &StoreOpaque),
    read: impl FnOnce(*const Slot, &StoreOpaque) -> R,
) -> Result<R> {
    let store: *mut StoreOpaque = store;
    // SAFETY: the caller's contract; the store is only used through the raw pointer from here on, because host
    // functions reach it as well.
    unsafe {
        let f = func.as_ref();
        // What is restored on every way out, panics of host functions included.
        let _running = Running::enter(store)?;
        let base = frame_base(&*store);
        let slots = f.param_slots.max(f.result_slots) as usize;
        if base.wrapping_add(slots) > (*store).vm.stack_limit {
            return Err(TrapKind::CallStackExhausted.into());
        }
        write(base, &*store);
        if let Some(host) = f.host.as_ref() {
            // From host to host: no instance called.
            let _top = HostTop::set(&raw mut (*store).vm, base.add(slots));
            (host.call)(std::ptr::null_mut(), &raw mut (*store).vm, base)?;
        } else {
            call_guest(store, f, base)?;
        }
        Ok(read(base, &*store))
    }
}

/// A call that is going on. The outermost one has stacks for the store, and notes where its own native stack begins.
struct Running {
    store: *mut StoreOpaque,
    outermost: bool,
}

impl Running {
    /// Refuses to nest calls so deeply that the native stack could overflow.
    ///
    /// # Errors
    /// As said, or when there is no memory for a stack.
    ///
    /// # Safety
    /// The store must outlive the value, and be used through raw pointers only meanwhile.
    #[inline(always)]
    unsafe fn enter(store: *mut StoreOpaque) -> Result<Running> {
        let marker = 0u8;
        let here = &raw const marker as usize;
        // SAFETY: the caller's contract.
        let outermost = unsafe { (*store).native_base == 0 };
        if outermost {
            // SAFETY: as above.
            unsafe {
                (*store).take_stacks()?;
                (*store).native_base = here;
            }
        }
        let running = Running { store, outermost };
        // SAFETY: as above.
        let (base, vm) = unsafe { ((*store).native_base, &(*store).vm) };
        let exhausted = match vm.native_top.wrapping_sub(here) < vm.native_size {
            true => here < vm.native_limit,
            false => base.abs_diff(here) > NATIVE_STACK,
        };
        if exhausted { Err(TrapKind::CallStackExhausted.into()) } else { Ok(running) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.outermost {
            // SAFETY: `enter`'s contract.
            unsafe {
                (*self.store).native_base = 0;
                (*self.store).put_stacks();
            }
        }
    }
}

/// Keeps the mark of where frames may begin while the host runs.
struct HostTop {
    vm: *mut VmStore,
    outer: *mut Slot,
}

impl HostTop {
    /// # Safety
    /// The store must outlive the value.
    unsafe fn set(vm: *mut VmStore, top: *mut Slot) -> HostTop {
        // SAFETY: the caller's contract.
        let outer = unsafe { std::mem::replace(&mut (*vm).host_top, top) };
        HostTop { vm, outer }
    }
}

impl Drop for HostTop {
    fn drop(&mut self) {
        // SAFETY: `set`'s contract.
        unsafe { (*self.vm).host_top = self.outer };
    }
}

/// Where a new frame can begin: behind everything of the guest calls that are going on.
fn frame_base(store: &StoreOpaque) -> *mut Slot {
    if store.vm.host_top.is_null() { store.stack_base } else { store.vm.host_top }
}

impl StoreOpaque {
    /// Gets stacks for an outermost call; mostly they are those of the last one.
    #[inline(always)]
    fn take_stacks(&mut self) -> Result<()> {
        self.stacks = Some(match stacks::current() {
            Some(stacks) if stacks.id == self.stacks_id => stacks,
            others => self.take_others(others)?,
        });
        Ok(())
    }

    #[inline(never)]
    fn take_others(&mut self, kept: Option<Box<Stacks>>) -> Result<Box<Stacks>> {
        let stacks = stacks::fitting(self.engine.pool(), self.engine.config().max_stack, kept)?;
        self.adopt(&stacks);
        Ok(stacks)
    }

    /// Notes where stacks lie that are not those of the last call.
    fn adopt(&mut self, stacks: &Stacks) {
        self.stacks_id = stacks.id;
        self.stack_base = stacks.value.base();
        self.vm.stack_limit = stacks.value.limit();
        match &stacks.native {
            Some(native) => self.adopt_native(native),
            None => (self.vm.native_top, self.vm.native_size) = (0, 0),
        }
    }

    /// Gives the stacks back: nothing of the guest runs any more.
    #[inline(always)]
    fn put_stacks(&mut self) {
        if let Some(stacks) = self.stacks.take() {
            stacks::put(self.engine.pool(), stacks);
        }
    }
}

/// Whether a fault's address lies in a memory of the store whose guest code runs.
unsafe extern "C" fn is_guest_fault(store: *mut u8, address: usize) -> bool {
    // SAFETY: called on the store's own thread between two instructions of guest code (host functions set `host_top`),
    // when nobody changes the list.
    unsafe {
        let store = &*store.cast::<StoreOpaque>();
        store.vm.host_top.is_null() && store.vm.guarded.iter().any(|m| (**m).reserves(address))
    }
}

unsafe extern "C" fn start(state: *mut u8) {
    // SAFETY: `call_guest` passes a state that describes a call.
    unsafe { run(*state.cast::<S>()) }
}

/// Runs the interpreter; why the run ended early, if it did, is in the store then.
///
/// # Safety
/// `state` must describe a frame at the entry of valid register code, in the store.
pub(crate) unsafe fn run_guarded(vm: *mut VmStore, mut state: S) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut record = Guarded::new(is_guest_fault, note_fault, vm.cast());
        let outcome = guarded_call(start, (&raw mut state).cast(), &mut record);
        if outcome == Outcome::Faulted {
            (*vm).unwind = Some(Unwind::Trap(TrapKind::MemoryOutOfBounds));
            (*vm).site = Some(TrapSite {
                ip: record.fault_ip,
                fp: record.fault_fp as *mut Slot,
                context: record.fault_context as *mut _,
                returning: false,
            });
        }
    }
}

unsafe fn call_guest(store: *mut StoreOpaque, f: &VmFuncRef, base: *mut Slot) -> Result<()> {
    // SAFETY: `invoke`'s contract.
    unsafe {
        let vm = &raw mut (*store).vm;
        let depth = (*vm).cross_calls.len();
        let mut state = S {
            ip: (*f.cell).entry.load(Ordering::Acquire),
            fp: base,
            mem: (*f.context).mem0_base,
            ctx: f.context,
            bg: (*vm).budget_left,
            r: (&raw const stubs().exit[1]) as u64,
            d: 0.0,
            f: 0.0,
        };
        // A flag or deadline that is due stops even a guest that would use up no budget.
        let flagged = (&(*vm).interrupt).flag.load(Ordering::Relaxed);
        if flagged || (*vm).deadline.is_some() {
            state.bg = 0;
            let due = flagged || (*vm).deadline.is_some_and(|d| Instant::now() >= d);
            if due {
                (&(*vm).interrupt).poll(true);
            }
        }
        if (*vm).native_top != 0 {
            ensure_signal_stack().map_err(|e| Error::limit(format!("cannot have a signal stack: {e}")))?;
        }
        let outer_top = std::mem::replace(&mut (*vm).host_top, std::ptr::null_mut());
        run_guarded(vm, state);
        (*vm).host_top = outer_top;
        if (*vm).unwind.is_none() {
            return Ok(());
        }
        backtrace::walk(&mut *store, base, depth);
        (*vm).cross_calls.truncate(depth);
        (*vm).budget_left = (*vm).budget;
        Err(error(&mut *store))
    }
}

/// What the host gets to see of the reason for which a run has ended. Panics of host functions go on.
unsafe fn error(store: &mut StoreOpaque) -> Error {
    let mut trap = match store.vm.unwind.take() {
        Some(Unwind::Trap(kind)) => Trap::new(kind),
        Some(Unwind::Exception(exception)) => {
            let mut trap = Trap::new(TrapKind::UncaughtException);
            trap.exception = Some((store.id, exception));
            store.vm.exceptions.escape(exception);
            trap
        }
        Some(Unwind::Error(Error::Trap(trap))) if !trap.backtrace.is_empty() => return Error::Trap(trap),
        Some(Unwind::Error(Error::Trap(trap))) => *trap,
        // A body found invalid at its first call.
        Some(Unwind::Error(e @ Error::Module(_))) => Trap::with_detail(TrapKind::InvalidFunction, e.to_string()),
        Some(Unwind::Error(e)) => return e,
        Some(Unwind::Panic(panic)) => std::panic::resume_unwind(panic),
        None => Trap::new(TrapKind::Unreachable),
    };
    // SAFETY: the instances whose frames were left are still the store's.
    unsafe { backtrace::finish(store, &mut trap) };
    Error::from(trap)
}
