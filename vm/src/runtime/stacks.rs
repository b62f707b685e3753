//! The stacks on which a store's guest code runs, while it runs.
//!
//! In: a store at its outermost call. Out: stacks for it, which go back when that call ends, so that a store that is idle
//! has none. Each thread keeps the last ones: calling again takes no lock and no system call. What a thread has no room
//! for goes to the engine's pool.
//!
//! Invariant: what `CURRENT` points to was leaked from a box and belongs to whoever takes the pointer out.

use super::pool::Pool;
use crate::error::Result;
use crate::interp::stack::ValueStack;
use crate::native::stack::NativeStack;
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Stacks for one store at a time.
pub(crate) struct Stacks {
    /// Never that of others: a store that gets the same ones again need not look at them anew.
    pub(crate) id: u64,
    /// The size asked for.
    bytes: usize,
    /// Whether the thread that uses them can keep them.
    kept: bool,
    pub(crate) value: ValueStack,
    /// Made when compiled code first runs.
    pub(crate) native: Option<NativeStack>,
}

impl Stacks {
    fn new(bytes: usize) -> Result<Box<Stacks>> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let (id, value) = (NEXT.fetch_add(1, Ordering::Relaxed), ValueStack::new(bytes)?);
        Ok(Box::new(Stacks { id, bytes, kept: false, value, native: None }))
    }

    /// The stack of compiled code.
    pub(crate) fn native(&mut self) -> Result<&NativeStack> {
        let native = match self.native.take() {
            Some(native) => native,
            None => NativeStack::new(self.bytes)?,
        };
        Ok(self.native.insert(native))
    }

    /// Gives back to the system what deep recursion has touched; false when that cannot be done.
    pub(crate) fn trim(&mut self) -> bool {
        let value = !self.value.was_deep() || self.value.trim().is_ok();
        value && self.native.as_mut().is_none_or(|n| !n.was_deep() || n.trim().is_ok())
    }
}

thread_local! {
    /// What this thread keeps, or null. Without a destructor, because such are faster to get at.
    static CURRENT: Cell<*mut Stacks> = const { Cell::new(ptr::null_mut()) };
    static OWNER: Owner = const { Owner };
}

/// Frees what the thread keeps when it ends.
struct Owner;

impl Drop for Owner {
    fn drop(&mut self) {
        drop(current());
    }
}

/// Takes out what the thread keeps.
#[inline(always)]
pub(crate) fn current() -> Option<Box<Stacks>> {
    let p = CURRENT.replace(ptr::null_mut());
    // SAFETY: `keep` has leaked it, and it was taken out just now.
    (!p.is_null()).then(|| unsafe { Box::from_raw(p) })
}

/// Lets the thread keep them; it must not have others.
#[inline(always)]
fn keep(stacks: Box<Stacks>) {
    CURRENT.set(Box::into_raw(stacks));
}

/// Stacks of so many bytes each, at best those that the thread has kept.
pub(crate) fn fitting(pool: &Pool, bytes: usize, kept: Option<Box<Stacks>>) -> Result<Box<Stacks>> {
    match kept {
        Some(stacks) if stacks.bytes == bytes => return Ok(stacks),
        Some(unfit) => keep(unfit),
        None => {}
    }
    let mut stacks = pool.take_stacks().filter(|s| s.bytes == bytes).map_or_else(|| Stacks::new(bytes), Ok)?;
    // There is no owner any more while the thread ends.
    stacks.kept = OWNER.try_with(|_| ()).is_ok();
    Ok(stacks)
}

/// Takes stacks back, on the thread on which they were taken.
#[inline(always)]
pub(crate) fn put(pool: &Pool, stacks: Box<Stacks>) {
    if stacks.kept && CURRENT.get().is_null() {
        keep(stacks);
    } else {
        pool.put_stacks(stacks);
    }
}

/// Gives back to the system what deep recursion has touched of the stacks that the thread keeps.
pub(crate) fn trim() {
    if let Some(mut stacks) = current()
        && stacks.trim()
    {
        keep(stacks);
    }
}
