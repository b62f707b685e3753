//! Exceptions in flight or referred to.
//!
//! References are positions in the store's list plus one; zero is null. An exception whose reference was handed to the
//! guest stays until the store is dropped: nothing counts such references yet.

use crate::store::TagData;

/// How many exceptions a store may refer to: what bounds the memory of a guest that collects references.
const MAX_EXCEPTIONS: usize = 1 << 21;

/// A thrown exception.
pub(crate) struct Exception {
    pub(crate) tag: *const TagData,
    /// Its values, in slots.
    pub(crate) values: Box<[u64]>,
}

/// The exceptions of a store.
#[derive(Default)]
pub(crate) struct ExceptionList {
    entries: Vec<Option<Exception>>,
    free: Vec<u32>,
}

impl ExceptionList {
    /// Adds an exception; answers the reference to it, or `None` when the guest refers to too many.
    pub(crate) fn add(&mut self, e: Exception) -> Option<u64> {
        if let Some(i) = self.free.pop() {
            self.entries[i as usize] = Some(e);
            return Some(u64::from(i) + 1);
        }
        if self.entries.len() == MAX_EXCEPTIONS {
            return None;
        }
        self.entries.push(Some(e));
        Some(self.entries.len() as u64)
    }
    /// The exception behind a reference that is not null.
    pub(crate) fn get(&self, reference: u64) -> &Exception {
        self.entries[reference as usize - 1].as_ref().expect("a reference keeps its exception")
    }
    /// Ends an exception that nothing refers to.
    pub(crate) fn remove(&mut self, reference: u64) {
        self.entries[reference as usize - 1] = None;
        self.free.push(reference as u32 - 1);
    }
}
