//! Facts about few of many values, and who uses a value: for passes that change a function in small places.
//!
//! Invariant: a use that exists is in the list of its value, once the function has been told to be looked at again (`sync`, `relink`); one
//! that is in a list need not exist any more.

use crate::ir::{Block, Func, Value};

/// A map from values that is emptied at no cost.
#[derive(Clone, Debug)]
pub(super) struct Sparse<T> {
    entries: Vec<(u32, T)>,
    now: u32,
}

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Sparse { entries: Vec::new(), now: 1 }
    }
}

impl<T: Copy> Sparse<T> {
    pub(super) fn clear(&mut self) {
        self.now += 1;
    }
    pub(super) fn get(&self, v: Value) -> Option<T> {
        self.entries.get(v.index()).filter(|e| e.0 == self.now).map(|e| e.1)
    }
    pub(super) fn set(&mut self, v: Value, to: T) {
        if self.entries.len() <= v.index() {
            self.entries.resize(v.index() + 1 + v.index() / 8, (0, to));
        }
        self.entries[v.index()] = (self.now, to);
    }
}

const NONE: u32 = u32::MAX;

/// Users of values.
pub(super) struct Uses {
    /// Per value the first entry of `links`, which has a user and the next entry.
    first: Vec<u32>,
    links: Vec<(Value, u32)>,
    /// Blocks of values that are in one.
    block_of: Vec<u32>,
    /// Values up to here are in the lists as users.
    synced: usize,
    /// For whoever needs marks for a moment.
    pub(super) seen: Sparse<bool>,
    passed: Sparse<()>,
    /// How many users have been looked at.
    pub(super) looks: usize,
}

impl Uses {
    /// Of all values that are used in the blocks given.
    pub(super) fn new(f: &Func, blocks: &[Block]) -> Uses {
        let mut uses = Uses {
            first: Vec::new(),
            links: Vec::with_capacity(f.insts.len() * 2),
            block_of: Vec::new(),
            synced: 0,
            seen: Sparse::default(),
            passed: Sparse::default(),
            looks: 0,
        };
        uses.sync(f);
        for &b in blocks {
            uses.moved(f, b);
        }
        uses
    }

    /// Takes in values that are new.
    pub(super) fn sync(&mut self, f: &Func) {
        self.first.resize(f.insts.len(), NONE);
        self.block_of.resize(f.insts.len(), NONE);
        for i in self.synced..f.insts.len() {
            self.relink(f, Value(i as u32));
        }
        self.synced = f.insts.len();
    }

    /// Takes in what a value uses now.
    pub(super) fn relink(&mut self, f: &Func, user: Value) {
        self.first.resize(f.insts.len(), NONE);
        for &a in f.args(user).iter().filter(|a| **a != Value::NONE) {
            self.links.push((user, self.first[a.index()]));
            self.first[a.index()] = self.links.len() as u32 - 1;
        }
    }

    /// Takes in what a block consists of now.
    pub(super) fn moved(&mut self, f: &Func, b: Block) {
        self.block_of.resize(f.insts.len(), NONE);
        for &v in f.blocks[b.index()].params.iter().chain(&f.blocks[b.index()].insts) {
            self.block_of[v.index()] = b.0;
        }
    }

    fn users(&self, v: Value) -> impl Iterator<Item = Value> {
        let mut at = self.first[v.index()];
        std::iter::from_fn(move || {
            let (user, next) = *self.links.get(at as usize)?;
            at = next;
            Some(user)
        })
    }

    /// Whether a value is used outside of a loop's blocks, perhaps through floating ones.
    pub(super) fn leaves(&mut self, f: &Func, v: Value, blocks: &[Block]) -> bool {
        let mut passed = std::mem::take(&mut self.passed);
        let users = self.users_outside(f, &[v], blocks, &mut passed);
        self.passed = passed;
        !users.is_empty()
    }

    /// Who uses values outside of a loop's blocks, perhaps through floating ones, which `floating` gets.
    pub(super) fn users_outside(
        &mut self,
        f: &Func,
        of: &[Value],
        blocks: &[Block],
        floating: &mut Sparse<()>,
    ) -> Vec<Value> {
        let mut users = Vec::new();
        floating.clear();
        let mut seen = std::mem::take(&mut self.seen);
        seen.clear();
        let mut work = of.to_vec();
        let mut looks = 0;
        while let Some(v) = work.pop() {
            for u in self.users(v) {
                looks += 1;
                if seen.get(u).is_some() {
                    continue;
                }
                seen.set(u, true);
                if f.inst(u).op.is_pure() {
                    floating.set(u, ());
                    work.push(u);
                } else if self.block_of[u.index()] != NONE && !blocks.contains(&Block(self.block_of[u.index()])) {
                    users.push(u);
                }
            }
        }
        self.seen = seen;
        self.looks += looks;
        users
    }
}
