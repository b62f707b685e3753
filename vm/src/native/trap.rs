//! Faults in compiled code.
//!
//! In: where it happened, noted by the signal handler. Out: the reason in the store, the frames that are being left in its
//! trace, and the decision how to go on. Invariant: a fault that no table of the code accounts for is not taken for the
//! guest's: it happens again and goes to the handler that was installed before ours.

use super::registry::{Piece, Placed};
use crate::instance::InstanceData;
use crate::interp::backtrace::{Place, RawFrame};
use crate::runtime::context::{Interrupt, Unwind, VmContext, VmStore};
use crate::store::StoreOpaque;
use crate::sys::{Decision, TRAP_FUEL, TRAP_REGISTERS, cross_return, set_segment};
use crate::trap::TrapKind;
use jit::abi::TrapCode;

/// Faults below are accesses through null.
const NULL_PAGES: usize = 64 << 10;
/// Bytes of the instruction by which polls trap.
const UD2: usize = 2;

/// Notes a fault; called in the signal handler, so it only stores words.
///
/// # Safety
/// `data` must be the store whose compiled code runs on this thread.
pub(crate) unsafe extern "C" fn note_fault(data: *mut u8, pc: usize, sp: usize, address: usize, signal: i32) -> usize {
    // SAFETY: the caller's contract; the emergency stack is only used here.
    unsafe {
        let vm = data.cast::<VmStore>();
        if (*vm).native_sp == 0 {
            return 0;
        }
        let fault = &raw mut (*vm).fault;
        if (*fault).foreign && (*fault).pc == pc {
            // Whoever handles it may let the code go on, and it may fault here again.
            (*fault).foreign = false;
            return 0;
        }
        ((*fault).pc, (*fault).sp, (*fault).address, (*fault).signal) = (pc, sp, address, signal);
        (*fault).foreign = false;
        let top = (*vm).emergency_top - 16;
        *(top as *mut usize) = vm as usize;
        top
    }
}

/// Decides what becomes of the noted fault. To go on in the code, its stack pointer goes to `resume`, and the address to go
/// on at below that.
///
/// # Safety
/// Called by `sys::transition::trap` only.
pub(crate) unsafe extern "C" fn native_trap(vm: *mut VmStore, resume: *mut usize) -> Decision {
    // SAFETY: the store's guest is between two instructions of compiled code; nobody else uses the store.
    unsafe {
        let fault = (*vm).fault;
        if (*vm.cast::<StoreOpaque>()).engine.config().fuel {
            (*vm).fuel = *resume.sub(TRAP_FUEL) as i64;
        }
        let found = (*vm.cast::<StoreOpaque>()).code_found.find(fault.pc);
        let cause = found.as_ref().and_then(|(found, at)| cause(&*vm.cast::<StoreOpaque>(), &found.code, *at));
        let (next, wasm) = match cause {
            Some((TrapCode::Interrupted, wasm)) => {
                let interrupt: &Interrupt = &(*vm).interrupt;
                interrupt.poll(false);
                match interrupt.reason((*vm).deadline) {
                    Some(kind) => (Err(Unwind::Trap(kind)), wasm),
                    None => (Ok(fault.pc + UD2), wasm),
                }
            }
            // The helper that failed has left the reason.
            Some((TrapCode::Raised, wasm)) => {
                (Err((*vm).unwind.take().unwrap_or(Unwind::Trap(TrapKind::Unreachable))), wasm)
            }
            Some((code, wasm)) => (Err(Unwind::Trap(kind(code))), wasm),
            None => {
                (*vm).fault.foreign = true;
                (Ok(fault.pc), None)
            }
        };
        match next {
            Ok(pc) => {
                *resume = fault.sp;
                *((fault.sp - 8) as *mut usize) = pc;
                Decision::Resume
            }
            Err(why) => {
                (*vm).unwind = Some(why);
                let Some((sp, pc)) = walk(vm, wasm, resume) else { return Decision::Leave };
                *resume = sp;
                // Where the call has pushed its return address, to which nothing returns any more.
                *((sp - 8) as *mut usize) = pc;
                Decision::Resume
            }
        }
    }
}

/// Why an instruction faulted, with the position, if the guest can have caused it.
fn cause(store: &StoreOpaque, code: &Placed, at: u32) -> Option<(TrapCode, Option<u32>)> {
    let fault = &store.vm.fault;
    let memory = matches!(fault.signal, libc::SIGSEGV | libc::SIGBUS);
    if memory && store.stacks.as_ref().and_then(|s| s.native.as_ref()).is_some_and(|s| s.is_guard(fault.address)) {
        return Some((TrapCode::CallStackExhausted, code.near(at)));
    }
    let (trap, wasm) = code.trap(at)?;
    // SAFETY: memories live as long as the store.
    let reserved = || store.vm.guarded.iter().any(|m| unsafe { (**m).reserves(fault.address) });
    let expected = match trap {
        TrapCode::MemoryOutOfBounds if memory => reserved(),
        _ if memory => fault.address < NULL_PAGES,
        _ => true,
    };
    expected.then_some((trap, Some(wasm)))
}

/// The trap of a code.
fn kind(code: TrapCode) -> TrapKind {
    match code {
        TrapCode::Unreachable => TrapKind::Unreachable,
        TrapCode::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds => TrapKind::TableOutOfBounds,
        TrapCode::UndefinedElement => TrapKind::UndefinedElement,
        TrapCode::UninitializedElement => TrapKind::UninitializedElement,
        TrapCode::IndirectCallTypeMismatch => TrapKind::IndirectCallTypeMismatch,
        TrapCode::IntegerDivideByZero => TrapKind::IntegerDivideByZero,
        TrapCode::IntegerOverflow => TrapKind::IntegerOverflow,
        TrapCode::InvalidConversionToInteger => TrapKind::InvalidConversionToInteger,
        TrapCode::CallStackExhausted => TrapKind::CallStackExhausted,
        TrapCode::UnalignedAtomic => TrapKind::UnalignedAtomic,
        TrapCode::NullReference => TrapKind::NullReference,
        TrapCode::NullFunctionReference => TrapKind::NullFunctionReference,
        TrapCode::NullExceptionReference => TrapKind::NullExceptionReference,
        TrapCode::NullStructureReference => TrapKind::NullStructureReference,
        TrapCode::NullArrayReference => TrapKind::NullArrayReference,
        TrapCode::NullI31Reference => TrapKind::NullI31Reference,
        TrapCode::ArrayOutOfBounds => TrapKind::ArrayOutOfBounds,
        TrapCode::CastFailure => TrapKind::CastFailure,
        TrapCode::UnsupportedInstruction => TrapKind::UnsupportedInstruction,
        TrapCode::OutOfFuel => TrapKind::OutOfFuel,
        TrapCode::Interrupted | TrapCode::Raised => TrapKind::Interrupted,
    }
}

/// The registers that calls keep, as they are in the frame that a walk has come to.
struct Registers {
    by_number: [usize; 16],
    /// Whether that frame is another instance's.
    crossed: bool,
}

impl Registers {
    /// Those of the faulting code; `trap` is what [`native_trap`] was given.
    unsafe fn at(trap: *const usize) -> Registers {
        let mut by_number = [0; 16];
        for &(r, below) in TRAP_REGISTERS {
            // SAFETY: they have been saved there.
            by_number[r] = unsafe { *trap.sub(below) };
        }
        Registers { by_number, crossed: false }
    }

    /// Leaves a frame that saves these registers below its return address. Of a frame that ends at `sp` in the middle of that (the
    /// stack was at its end) the rest are as they were, and what lies below cannot be read.
    unsafe fn leave(&mut self, saved: u32, ret: *const usize, sp: *const usize) {
        let mut at = ret;
        for (r, v) in self.by_number.iter_mut().enumerate() {
            if saved >> r & 1 != 0 && at > sp {
                // SAFETY: the caller's contract; between `sp` and `ret` is the frame.
                unsafe {
                    at = at.sub(1);
                    *v = *at;
                }
            }
        }
    }

    /// Leaves a frame of `cross_tail`, in front of whose words the stack pointer stands.
    unsafe fn cross(&mut self, words: *const usize) {
        // SAFETY: the caller's contract.
        unsafe { (self.by_number[14], self.by_number[15]) = (*words, *words.add(1)) };
        self.crossed = true;
    }

    /// The frame's instance.
    fn context(&self) -> *mut VmContext {
        self.by_number[15] as *mut VmContext
    }

    /// The same.
    fn instance(&self) -> *const InstanceData {
        self.context().cast_const().cast()
    }

    /// Lets the code go on with these. `segment`: the base of memory 0 belongs into the segment.
    unsafe fn put(&self, trap: *mut usize, segment: bool) {
        for &(r, below) in TRAP_REGISTERS {
            // SAFETY: they are taken from there.
            unsafe { *trap.sub(below) = self.by_number[r] };
        }
        if segment && self.crossed {
            // SAFETY: only then is the store told to use the segment.
            unsafe { set_segment(self.by_number[14] as *mut u8) };
        }
    }
}

/// Adds the native frames from the fault to the innermost transition to the trace; the innermost one is at `wasm`. An
/// exception ends there where a frame catches it: answers the stack pointer with which that goes on, and the address.
unsafe fn walk(vm: *mut VmStore, wasm: Option<u32>, trap: *mut usize) -> Option<(usize, usize)> {
    // SAFETY: the frames of compiled code lie untouched on the native stack, with a return address behind each.
    unsafe {
        let store = &mut *vm.cast::<StoreOpaque>();
        let exception = match store.vm.unwind {
            Some(Unwind::Exception(e)) => Some(e),
            Some(ref why) if why.is_traced() => None,
            _ => return None,
        };
        let mut registers = Registers::at(trap);
        let (mut pc, mut sp) = (store.vm.fault.pc, store.vm.fault.sp);
        let mut innermost = true;
        let (cross, cross_size) = cross_return();
        let thrown = exception.map(|e| store.vm.exceptions.get(e).tag);
        loop {
            if pc == cross && !innermost {
                registers.cross(sp as *const usize);
                (pc, sp) = (*((sp + cross_size) as *const usize), sp + cross_size + 8);
            }
            // A return address is looked up by the call before it.
            let (found, at) = store.code_found.find(pc - usize::from(!innermost))?;
            let (map, code, at) = (&found.map, &found.code, at + u32::from(!innermost));
            let is = |tag: u32| thrown.is_some_and(|t| std::ptr::eq(t, (*registers.instance()).tag(tag)));
            if let Some(e) = exception
                && !innermost
                && let Some(landing) = code.landing(at, is)
            {
                store.vm.unwind = None;
                store.vm.site = None;
                registers.put(trap, store.vm.segment != 0);
                (*registers.context()).exception = e;
                return Some((sp, pc - at as usize + landing as usize));
            }
            match code.piece {
                Piece::Func(own_func, _) => {
                    let position = if innermost { wasm } else { code.call(at) };
                    for (own_func, offset) in code.frames(own_func, position) {
                        let place = Place::Wasm(offset);
                        store.vm.trace.push(RawFrame { module: map.module.as_ptr(), own_func, place });
                    }
                }
                Piece::EntryAdapter => return None,
                Piece::Adapter => {}
            }
            let size = if innermost { code.frame_size(at) } else { code.full_frame() };
            let ret = sp + size as usize;
            registers.leave(code.saved, ret as *const usize, sp as *const usize);
            pc = *(ret as *const usize);
            sp = ret + 8;
            innermost = false;
        }
    }
}
