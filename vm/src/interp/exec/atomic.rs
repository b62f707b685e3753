//! Atomic accesses: always checked for bounds and alignment, sequentially consistent.
//!
//! Address in slot b, operands in slots c and d, result to slot a; the word behind holds the offset, and in its field a
//! the memory.

use crate::interp::dispatch::{Handler, S, handler};
use crate::runtime::context::VmStore;
use crate::runtime::memory::LinearMemory;
use crate::runtime::parking::Waited;
use crate::trap::TrapKind;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::SeqCst, fence};

/// The address of an access of `width` bytes: its memory, and the effective address.
unsafe fn locate(s: &S, width: u64) -> Result<(*mut LinearMemory, u64), TrapKind> {
    // SAFETY: handlers' contract.
    unsafe {
        let word = *s.ip.add(1);
        let m: *mut LinearMemory = *(*s.ctx).memories.add(word.a as usize);
        let at = (*s.slot(s.inst().b)).checked_add(word.h).ok_or(TrapKind::MemoryOutOfBounds)?;
        if at % width != 0 {
            return Err(TrapKind::UnalignedAtomic);
        }
        match at.checked_add(width) {
            Some(end) if end <= (*m).vm.len() as u64 => Ok((m, at)),
            _ => Err(TrapKind::MemoryOutOfBounds),
        }
    }
}

/// An operation on one atomic cell: old value and operands in, result out.
trait Rmw {
    fn apply<C: Cell>(cell: &C, x: u64, y: u64) -> u64;
}

/// An atomic integer of some width, seen as u64.
trait Cell {
    const WIDTH: u64;
    fn load(&self) -> u64;
    fn store(&self, v: u64);
    fn add(&self, v: u64) -> u64;
    fn sub(&self, v: u64) -> u64;
    fn and(&self, v: u64) -> u64;
    fn or(&self, v: u64) -> u64;
    fn xor(&self, v: u64) -> u64;
    fn swap(&self, v: u64) -> u64;
    fn compare_exchange(&self, expected: u64, new: u64) -> u64;
}

macro_rules! cell {
    ($atomic:ty, $int:ty) => {
        impl Cell for $atomic {
            const WIDTH: u64 = size_of::<$int>() as u64;
            #[inline(always)]
            fn load(&self) -> u64 {
                u64::from(<$atomic>::load(self, SeqCst))
            }
            #[inline(always)]
            fn store(&self, v: u64) {
                <$atomic>::store(self, v as $int, SeqCst);
            }
            #[inline(always)]
            fn add(&self, v: u64) -> u64 {
                u64::from(self.fetch_add(v as $int, SeqCst))
            }
            #[inline(always)]
            fn sub(&self, v: u64) -> u64 {
                u64::from(self.fetch_sub(v as $int, SeqCst))
            }
            #[inline(always)]
            fn and(&self, v: u64) -> u64 {
                u64::from(self.fetch_and(v as $int, SeqCst))
            }
            #[inline(always)]
            fn or(&self, v: u64) -> u64 {
                u64::from(self.fetch_or(v as $int, SeqCst))
            }
            #[inline(always)]
            fn xor(&self, v: u64) -> u64 {
                u64::from(self.fetch_xor(v as $int, SeqCst))
            }
            #[inline(always)]
            fn swap(&self, v: u64) -> u64 {
                u64::from(<$atomic>::swap(self, v as $int, SeqCst))
            }
            #[inline(always)]
            fn compare_exchange(&self, expected: u64, new: u64) -> u64 {
                // `expected` is wrapped to the cell's width, as all operands are.
                match <$atomic>::compare_exchange(self, expected as $int, new as $int, SeqCst, SeqCst) {
                    Ok(v) | Err(v) => u64::from(v),
                }
            }
        }
    };
}
cell!(AtomicU8, u8);
cell!(AtomicU16, u16);
cell!(AtomicU32, u32);
cell!(AtomicU64, u64);

macro_rules! rmw {
    ($($name:ident |$c:ident, $x:ident, $y:ident| $e:expr;)*) => { $(
        struct $name;
        impl Rmw for $name {
            #[inline(always)]
            fn apply<C: Cell>($c: &C, $x: u64, $y: u64) -> u64 {
                let _ = ($x, $y);
                $e
            }
        }
    )* };
}
rmw! {
    Load |c, x, y| c.load();
    Add |c, x, y| c.add(x);
    Sub |c, x, y| c.sub(x);
    And |c, x, y| c.and(x);
    Or |c, x, y| c.or(x);
    Xor |c, x, y| c.xor(x);
    Xchg |c, x, y| c.swap(x);
    Cmpxchg |c, x, y| c.compare_exchange(x, y);
}

handler! {
    fn rmw<O: Rmw, C: Cell>(s) {
        match locate(&s, C::WIDTH) {
            Ok((m, at)) => {
                let i = *s.inst();
                let cell = &*(*m).vm.base.add(at as usize).cast::<C>();
                *s.slot(i.a) = O::apply(cell, *s.slot(i.c()), *s.slot(i.d()));
                s.next(2)
            }
            Err(kind) => s.trap(kind),
        }
    }
}

handler! {
    fn store<C: Cell>(s) {
        match locate(&s, C::WIDTH) {
            Ok((m, at)) => {
                let cell = &*(*m).vm.base.add(at as usize).cast::<C>();
                cell.store(*s.slot(s.inst().c()));
                s.next(2)
            }
            Err(kind) => s.trap(kind),
        }
    }
}

macro_rules! widths {
    ($o:ident) => {
        &[rmw::<$o, AtomicU8>, rmw::<$o, AtomicU16>, rmw::<$o, AtomicU32>, rmw::<$o, AtomicU64>]
    };
}
/// By width: 1, 2, 4, 8 bytes.
pub(crate) const LOAD: &[Handler] = widths!(Load);
pub(crate) const ADD: &[Handler] = widths!(Add);
pub(crate) const SUB: &[Handler] = widths!(Sub);
pub(crate) const AND: &[Handler] = widths!(And);
pub(crate) const OR: &[Handler] = widths!(Or);
pub(crate) const XOR: &[Handler] = widths!(Xor);
pub(crate) const XCHG: &[Handler] = widths!(Xchg);
pub(crate) const CMPXCHG: &[Handler] = widths!(Cmpxchg);
pub(crate) const STORE: &[Handler] = &[store::<AtomicU8>, store::<AtomicU16>, store::<AtomicU32>, store::<AtomicU64>];

handler! {
    /// Waiters on the address that are woken, at most slot c.
    pub(crate) fn notify(s) {
        match locate(&s, 4) {
            Ok((m, at)) => {
                let i = *s.inst();
                *s.slot(i.a) = u64::from((*m).parking.notify(at, *s.slot(i.c()) as u32));
                s.next(2)
            }
            Err(kind) => s.trap(kind),
        }
    }
}

handler! {
    /// Waits while the cell holds slot c, at most slot d nanoseconds.
    fn wait<C: Cell>(s) {
        let (m, at) = match locate(&s, C::WIDTH) {
            Ok(found) => found,
            Err(kind) => return s.trap(kind),
        };
        if !(*m).ty.shared {
            return s.trap(TrapKind::ExpectedSharedMemory);
        }
        let i = *s.inst();
        let (expected, timeout) = (*s.slot(i.c()), *s.slot(i.d()) as i64);
        let cell = &*(*m).vm.base.add(at as usize).cast::<C>();
        let store: &VmStore = &*(*s.ctx).store;
        let outcome = (*m).parking.wait(at, timeout, || cell.load() == expected, &store.interrupt, store.deadline);
        match outcome {
            Some(w) => {
                *s.slot(i.a) = wait_result(w);
                s.next(2)
            }
            None => {
                // The flag or the deadline says why: let the usual check decide which trap it is.
                s.leave(super::control::budget_used_up)
            }
        }
    }
}

fn wait_result(w: Waited) -> u64 {
    w as u32 as u64
}
/// By width: 4, 8 bytes.
pub(crate) const WAIT: &[Handler] = &[wait::<AtomicU32>, wait::<AtomicU64>];

handler! {
    pub(crate) fn atomic_fence(s) {
        fence(SeqCst);
        s.next(1)
    }
}
