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

/// An exception of a store.
struct Entry {
    exception: Exception,
    /// Whether the guest has been given a reference to it.
    kept: bool,
}

/// The exceptions of a store.
#[derive(Default)]
pub(crate) struct ExceptionList {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
}

impl ExceptionList {
    /// Adds an exception; answers the reference to it, or `None` when the guest refers to too many.
    pub(crate) fn add(&mut self, e: Exception) -> Option<u64> {
        let e = Entry { exception: e, kept: false };
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
        let entry = self.entries[reference as usize - 1].as_ref();
        &entry.expect("a reference keeps its exception").exception
    }
    /// The values of all exceptions, in slots.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> + '_ {
        self.entries.iter().flatten().flat_map(|e| e.exception.values.iter().copied())
    }
    /// Notes that a reference is handed out to the guest.
    pub(crate) fn keep(&mut self, reference: u64) {
        if let Some(e) = &mut self.entries[reference as usize - 1] {
            e.kept = true;
        }
    }
    /// Ends an exception that has been caught, unless the guest refers to it.
    pub(crate) fn remove(&mut self, reference: u64) {
        let entry = &mut self.entries[reference as usize - 1];
        if entry.take_if(|e| !e.kept).is_some() {
            self.free.push(reference as u32 - 1);
        }
    }
}
