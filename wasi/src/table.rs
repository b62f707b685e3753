//! The table of a guest's descriptors. In: descriptors to keep; out: their numbers.
//! Invariant: a new descriptor gets the lowest free number; `free` holds exactly the empty slots below the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Errno;
use crate::descriptor::Descriptor;

#[derive(Debug)]
pub(crate) struct FdTable {
    slots: Vec<Option<Descriptor>>,
    free: BinaryHeap<Reverse<u32>>,
    limit: u32,
}

impl FdTable {
    /// A table that holds at most `limit` descriptors.
    pub(crate) fn new(limit: u32) -> FdTable {
        FdTable { slots: Vec::new(), free: BinaryHeap::new(), limit }
    }

    /// Fails with `MFILE` when the table is full; asked before anything is opened.
    pub(crate) fn check_room(&self) -> Result<(), Errno> {
        if self.free.is_empty() && self.slots.len() >= self.limit as usize { Err(Errno::Mfile) } else { Ok(()) }
    }

    /// No descriptor has this number or a higher one.
    pub(crate) fn end(&self) -> u32 {
        // A table is no longer than its limit.
        self.slots.len() as u32
    }

    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        self.check_room()?;
        if let Some(Reverse(fd)) = self.free.pop() {
            self.slots[fd as usize] = Some(descriptor);
            return Ok(fd);
        }
        let fd = u32::try_from(self.slots.len()).map_err(|_| Errno::Mfile)?;
        self.slots.push(Some(descriptor));
        Ok(fd)
    }

    #[inline]
    pub(crate) fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.slots.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.slots.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    pub(crate) fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        let descriptor = self.slots.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::Badf)?;
        self.free.push(Reverse(fd));
        Ok(descriptor)
    }

    /// Moves `from` over `to`, which is closed. Both must be open: a number nobody gave out cannot be taken.
    pub(crate) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let descriptor = self.remove(from)?;
            self.slots[to as usize] = Some(descriptor);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn null() -> Descriptor {
        Descriptor::null()
    }

    #[test]
    fn the_lowest_free_number_is_given_out() {
        let mut table = FdTable::new(5);
        for expected in 0..5 {
            assert_eq!(table.insert(null()), Ok(expected));
        }
        assert_eq!(table.insert(null()), Err(Errno::Mfile));
        table.remove(3).unwrap();
        table.remove(1).unwrap();
        assert_eq!(table.remove(1).err(), Some(Errno::Badf));
        assert_eq!(table.insert(null()), Ok(1));
        assert_eq!(table.insert(null()), Ok(3));
        assert_eq!(table.get(5).err(), Some(Errno::Badf));
        assert_eq!(table.get(u32::MAX).err(), Some(Errno::Badf));
    }

    #[test]
    fn renumbering_frees_the_old_number() {
        let mut table = FdTable::new(8);
        for _ in 0..3 {
            table.insert(null()).unwrap();
        }
        assert_eq!(table.renumber(0, 9), Err(Errno::Badf));
        assert_eq!(table.renumber(9, 0), Err(Errno::Badf));
        table.renumber(1, 1).unwrap();
        table.renumber(0, 2).unwrap();
        assert_eq!(table.get(0).err(), Some(Errno::Badf));
        assert!(table.get(2).is_ok());
        assert_eq!(table.insert(null()), Ok(0));
        assert_eq!(table.insert(null()), Ok(3));
    }
}
