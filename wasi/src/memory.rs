//! Guest memory. In: a guest's 32-bit addresses and lengths, which may be anything; out: checked slices and values.
//! Invariant: whatever the guest passes, an access either lies wholly inside the memory or is `FAULT`.

use std::ops::Range;

use crate::Errno;

/// The bytes of a guest's memory for the time of one call.
#[derive(Debug)]
pub struct GuestMemory<'a>(&'a mut [u8]);

impl<'a> GuestMemory<'a> {
    /// Wraps the bytes of a memory.
    pub fn new(bytes: &'a mut [u8]) -> GuestMemory<'a> {
        GuestMemory(bytes)
    }

    /// The range of host indices of `len` bytes at `at`.
    pub(crate) fn range(&self, at: u32, len: u32) -> Result<Range<usize>, Errno> {
        let start = at as usize;
        let end = start.checked_add(len as usize).ok_or(Errno::Fault)?;
        if end > self.0.len() {
            return Err(Errno::Fault);
        }
        Ok(start..end)
    }

    /// Checks that `len` bytes at `at` exist, for results that are written after something irreversible was done.
    pub(crate) fn check(&self, at: u32, len: u32) -> Result<(), Errno> {
        self.range(at, len).map(drop)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.0
    }

    pub(crate) fn slice(&self, at: u32, len: u32) -> Result<&[u8], Errno> {
        let range = self.range(at, len)?;
        Ok(&self.0[range])
    }

    pub(crate) fn slice_mut(&mut self, at: u32, len: u32) -> Result<&mut [u8], Errno> {
        let range = self.range(at, len)?;
        Ok(&mut self.0[range])
    }

    /// A string argument; strings of the interface are UTF-8.
    pub(crate) fn str(&self, at: u32, len: u32) -> Result<&str, Errno> {
        std::str::from_utf8(self.slice(at, len)?).map_err(|_| Errno::Ilseq)
    }

    /// Checks the alignment of a structure, as the socket extension does before it looks at one.
    pub(crate) fn aligned(&self, at: u32, alignment: u32) -> Result<(), Errno> {
        if at.is_multiple_of(alignment) { Ok(()) } else { Err(Errno::AddrNotAvail) }
    }

    pub(crate) fn read_u32(&self, at: u32) -> Result<u32, Errno> {
        let bytes = self.slice(at, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        let start = at as usize;
        let end = start.checked_add(bytes.len()).ok_or(Errno::Fault)?;
        self.0.get_mut(start..end).ok_or(Errno::Fault)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn write_u16(&mut self, at: u32, value: u16) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    pub(crate) fn write_u32(&mut self, at: u32, value: u32) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, at: u32, value: u64) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_memory_and_of_arithmetic_are_faults() {
        let mut bytes = [7u8; 16];
        let mut mem = GuestMemory::new(&mut bytes);
        assert_eq!(mem.slice(12, 4), Ok(&[7u8; 4][..]));
        assert_eq!(mem.slice(16, 0), Ok(&[][..]));
        for (at, len) in [(13, 4), (17, 0), (u32::MAX, 1), (u32::MAX, u32::MAX), (0, u32::MAX)] {
            assert_eq!(mem.slice(at, len), Err(Errno::Fault), "{at}+{len}");
            assert_eq!(mem.slice_mut(at, len), Err(Errno::Fault), "{at}+{len}");
        }
        assert_eq!(mem.write_u64(9, 1), Err(Errno::Fault));
        assert_eq!(mem.write_u32(12, 0x0403_0201), Ok(()));
        assert_eq!(mem.slice(11, 5), Ok(&[7, 1, 2, 3, 4][..]));
    }

    #[test]
    fn strings_are_utf8() {
        let mut bytes = *b"ok\xff\0";
        let mem = GuestMemory::new(&mut bytes);
        assert_eq!(mem.str(0, 2), Ok("ok"));
        assert_eq!(mem.str(0, 3), Err(Errno::Ilseq));
        assert_eq!(mem.str(0, 5), Err(Errno::Fault));
    }
}
