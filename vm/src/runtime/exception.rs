//! Exceptions in flight or referred to.
//!
//! In: what is thrown. Out: references, each with the exception's place in the store's list and a tag that no address and hardly
//! any number has; zero is null. An exception ends when a clause catches it without handing out the reference. Those that the
//! guest refers to are garbage-collected; those that have reached the host stay until the store is dropped, because a trap may
//! bring them back at any time.

use crate::store::TagData;

/// How many exceptions a store may refer to: what bounds the memory of a guest that collects references.
const MAX_EXCEPTIONS: usize = 1 << 21;
/// So many references at least are handed out between two collections that have no other reason.
const MIN_THRESHOLD: usize = 4096;
/// Or so many bytes of values.
const MIN_BYTES: u64 = 16 << 20;
/// Bytes of exceptions without a limit.
const MAX_BYTES: u64 = 4 << 30;
/// The tag of references.
const TAG: u64 = 0xe << 60;

/// Whether a word looks like a reference to an exception.
#[inline(always)]
pub(crate) fn is_reference(word: u64) -> bool {
    word >> 32 == TAG >> 32
}

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
    /// Whether the host may have it.
    escaped: bool,
    marked: bool,
}

impl Entry {
    /// Whether a collection has to leave it alone.
    fn is_root(&self) -> bool {
        !self.kept || self.escaped
    }
}

/// The exceptions of a store.
#[derive(Default)]
pub(crate) struct ExceptionList {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// References handed out since the last collection, and exceptions that it has left.
    since: usize,
    left: usize,
    /// Bytes of all of them, and of those that the last collection has left.
    bytes: u64,
    bytes_left: u64,
}

impl Exception {
    fn bytes(&self) -> u64 {
        (size_of::<Option<Entry>>() + size_of_val(&*self.values)) as u64
    }
}

impl ExceptionList {
    /// Adds an exception; answers the reference to it, or `None` when the guest refers to too many, or to more bytes than the limit.
    pub(crate) fn add(&mut self, e: Exception, limit: Option<u64>) -> Option<u64> {
        let bytes = self.bytes + e.bytes();
        if bytes > limit.unwrap_or(MAX_BYTES) || (self.free.is_empty() && self.entries.len() == MAX_EXCEPTIONS) {
            return None;
        }
        self.bytes = bytes;
        let e = Entry { exception: e, kept: false, escaped: false, marked: false };
        if let Some(i) = self.free.pop() {
            self.entries[i as usize] = Some(e);
            return Some(TAG | u64::from(i));
        }
        self.entries.push(Some(e));
        Some(TAG | (self.entries.len() as u64 - 1))
    }
    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }
    fn entry(&mut self, reference: u64) -> Option<&mut Entry> {
        self.entries.get_mut(reference as u32 as usize)?.as_mut()
    }
    /// The exception behind a reference that is not null.
    pub(crate) fn get(&self, reference: u64) -> &Exception {
        let entry = self.entries[reference as u32 as usize].as_ref();
        &entry.expect("a reference keeps its exception").exception
    }
    /// Notes that a reference is handed out to the guest.
    pub(crate) fn keep(&mut self, reference: u64) {
        self.since += 1;
        if let Some(e) = self.entry(reference) {
            e.kept = true;
        }
    }
    /// Notes that the host gets to know it.
    pub(crate) fn escape(&mut self, reference: u64) {
        if let Some(e) = self.entry(reference) {
            e.escaped = true;
        }
    }
    /// Ends an exception that has been caught, unless somebody refers to it.
    pub(crate) fn remove(&mut self, reference: u64) {
        let place = reference as u32;
        let Some(entry) = self.entries.get_mut(place as usize) else { return };
        if let Some(e) = entry.take_if(|e| !e.kept && !e.escaped) {
            self.bytes -= e.exception.bytes();
            self.free.push(place);
        }
    }

    // ---- collection

    /// Whether there have been enough references since the last collection.
    pub(crate) fn is_due(&self, limit: Option<u64>) -> bool {
        // Half of what is left to the limit, so that it is reached in few steps.
        let room = limit.unwrap_or(MAX_BYTES).saturating_sub(self.bytes_left) / 2;
        self.since >= self.left.max(MIN_THRESHOLD)
            || self.bytes.saturating_sub(self.bytes_left) >= self.bytes_left.max(MIN_BYTES).min(room)
    }
    /// The values of those that stay in any case, in slots; they are marked.
    pub(crate) fn mark_roots(&mut self, mut each: impl FnMut(u64)) {
        for e in self.entries.iter_mut().flatten().filter(|e| e.is_root()) {
            e.marked = true;
            e.exception.values.iter().for_each(|&v| each(v));
        }
    }
    /// Marks what a word refers to, if it is an exception; its values if it was not marked before.
    pub(crate) fn mark(&mut self, word: u64) -> Option<&[u64]> {
        let e = self.entry(word).filter(|e| !e.marked)?;
        e.marked = true;
        Some(&e.exception.values)
    }
    /// Frees what is not marked.
    pub(crate) fn sweep(&mut self) {
        (self.since, self.left) = (0, 0);
        for (i, entry) in self.entries.iter_mut().enumerate() {
            if let Some(e) = entry.take_if(|e| !e.marked) {
                self.bytes -= e.exception.bytes();
                self.free.push(i as u32);
            }
            if let Some(e) = entry {
                e.marked = false;
                self.left += 1;
            }
        }
        self.bytes_left = self.bytes;
    }
}
