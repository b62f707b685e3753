//! References that the host holds.
//!
//! In: references that are handed to the host. Out: handles, which keep what they refer to alive until they are dropped
//! explicitly or with the scope in which they were made. A handle that is used later is refused: its place may have been
//! given to another reference, which the generation tells apart.

/// A handle's place in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct Root {
    index: u32,
    generation: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    /// 0 when the place is free.
    word: u64,
    generation: u32,
    /// Whether it outlives its scope.
    kept: bool,
}

/// The references of a store that the host holds.
#[derive(Default)]
pub(crate) struct Roots {
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Scopes that have begun and not ended.
    depth: usize,
    /// Handles made in them, in order.
    scoped: Vec<Root>,
}

impl Roots {
    /// A handle for a reference that is not null.
    pub(crate) fn add(&mut self, word: u64) -> Root {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry { word: 0, generation: 0, kept: false });
            self.entries.len() as u32 - 1
        });
        let e = &mut self.entries[index as usize];
        (e.word, e.kept) = (word, false);
        let root = Root { index, generation: e.generation };
        if self.depth > 0 {
            self.scoped.push(root);
        }
        root
    }

    fn entry(&mut self, root: Root) -> Option<&mut Entry> {
        self.entries.get_mut(root.index as usize).filter(|e| e.generation == root.generation && e.word != 0)
    }

    /// What a handle refers to, if it still does.
    pub(crate) fn get(&self, root: Root) -> Option<u64> {
        let e = self.entries.get(root.index as usize)?;
        (e.generation == root.generation && e.word != 0).then_some(e.word)
    }

    /// Lets a handle outlive its scope; false if it is of no use any more.
    pub(crate) fn keep(&mut self, root: Root) -> bool {
        self.entry(root).map(|e| e.kept = true).is_some()
    }

    /// Ends a handle; false if it was over.
    pub(crate) fn remove(&mut self, root: Root) -> bool {
        let Some(e) = self.entry(root) else { return false };
        e.word = 0;
        e.generation = e.generation.wrapping_add(1);
        self.free.push(root.index);
        true
    }

    /// Begins a scope.
    #[inline(always)]
    pub(crate) fn enter(&mut self) -> usize {
        self.depth += 1;
        self.scoped.len()
    }

    /// Ends the scope that began so.
    #[inline(always)]
    pub(crate) fn leave(&mut self, scope: usize) {
        self.depth -= 1;
        if self.scoped.len() > scope {
            self.end_since(scope);
        }
    }

    fn end_since(&mut self, scope: usize) {
        while self.scoped.len() > scope {
            if let Some(root) = self.scoped.pop()
                && self.entry(root).is_some_and(|e| !e.kept)
            {
                self.remove(root);
            }
        }
    }

    /// All references.
    pub(crate) fn words(&self) -> impl Iterator<Item = u64> + '_ {
        self.entries.iter().map(|e| e.word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_end_with_their_scope_unless_kept() {
        let mut r = Roots::default();
        let outer = r.add(16);
        let scope = r.enter();
        let (a, b) = (r.add(32), r.add(48));
        assert!(r.keep(b));
        r.leave(scope);
        assert_eq!((r.get(outer), r.get(a), r.get(b)), (Some(16), None, Some(48)));
        let c = r.add(64);
        assert_ne!(a, c);
        assert_eq!((r.get(a), r.get(c)), (None, Some(64)));
        assert!(r.remove(b) && !r.remove(b));
        assert_eq!(r.words().filter(|&w| w != 0).count(), 2);
    }
}
