//! Address space kept for the next store: guest stacks and guarded reservations.
//!
//! Mapping and unmapping cost more than everything else that instantiating a small module does. Invariant: a reservation
//! in the pool reads as zeros wherever it is accessible; a stack may hold old values, which no frame reads before it
//! writes them.

use crate::interp::stack::ValueStack;
use crate::native::stack::NativeStack;
use crate::sys::Mapping;
use std::sync::Mutex;

/// How many of each kind are kept.
const KEPT: usize = 16;

/// The pool of one engine.
#[derive(Default)]
pub(crate) struct Pool {
    stacks: Mutex<Vec<ValueStack>>,
    native_stacks: Mutex<Vec<NativeStack>>,
    reservations: Mutex<Vec<Mapping>>,
}

fn take<T>(from: &Mutex<Vec<T>>) -> Option<T> {
    from.lock().unwrap_or_else(|e| e.into_inner()).pop()
}

fn put<T>(to: &Mutex<Vec<T>>, value: T) {
    let mut kept = to.lock().unwrap_or_else(|e| e.into_inner());
    if kept.len() < KEPT {
        kept.push(value);
    }
}

impl Pool {
    pub(crate) fn take_stack(&self) -> Option<ValueStack> {
        take(&self.stacks)
    }
    pub(crate) fn put_stack(&self, mut stack: ValueStack) {
        if stack.trim().is_ok() {
            put(&self.stacks, stack);
        }
    }
    pub(crate) fn take_native_stack(&self) -> Option<NativeStack> {
        take(&self.native_stacks)
    }
    pub(crate) fn put_native_stack(&self, mut stack: NativeStack) {
        if stack.trim().is_ok() {
            put(&self.native_stacks, stack);
        }
    }
    pub(crate) fn take_reservation(&self) -> Option<Mapping> {
        take(&self.reservations)
    }
    pub(crate) fn put_reservation(&self, mut mapping: Mapping) {
        if mapping.discard(0).is_ok() {
            put(&self.reservations, mapping);
        }
    }
}
