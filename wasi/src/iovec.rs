//! Scatter and gather lists. In: the guest's array of (address, length); out: `IoSlice`s straight into guest memory.
//! Invariant: slices that the host writes through never overlap, whatever the guest's list says.

use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;

use smallvec::SmallVec;

use crate::Errno;
use crate::memory::GuestMemory;

/// The most buffers handed to the host in one call; what lies beyond becomes a short count.
pub(crate) const MAX_BUFFERS: usize = 1024;

/// Enough for what C libraries and language runtimes pass, without allocating.
const INLINE: usize = 8;

/// Ranges of guest memory, none of them empty.
pub(crate) type Ranges = SmallVec<[Range<usize>; INLINE]>;

/// Reads a list of `count` buffers at `at`. Empty buffers are left out, so that a run of them is no end of file.
pub(crate) fn ranges(mem: &GuestMemory<'_>, at: u32, count: u32) -> Result<Ranges, Errno> {
    let list_len = count.checked_mul(8).ok_or(Errno::Fault)?;
    let list = mem.slice(at, list_len)?;
    let mut ranges = Ranges::new();
    for item in list.chunks_exact(8) {
        let (address, len) = item.split_at(4);
        let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let len = word(len);
        if len == 0 {
            continue;
        }
        ranges.push(mem.range(word(address), len)?);
        if ranges.len() == MAX_BUFFERS {
            break;
        }
    }
    Ok(ranges)
}

/// As [`ranges`], for sockets: a message cannot be cut, so that too long a list is refused.
pub(crate) fn socket_ranges(mem: &GuestMemory<'_>, at: u32, count: u32) -> Result<Ranges, Errno> {
    if count as usize > MAX_BUFFERS {
        return Err(Errno::Inval);
    }
    ranges(mem, at, count)
}

/// How many bytes there are.
pub(crate) fn total(ranges: &[Range<usize>]) -> usize {
    ranges.iter().map(|range| range.len()).sum()
}

/// The slices to write from. They may overlap: nobody writes through them.
pub(crate) fn slices<'m>(mem: &'m GuestMemory<'_>, ranges: &[Range<usize>]) -> SmallVec<[IoSlice<'m>; INLINE]> {
    let bytes = mem.bytes();
    ranges.iter().map(|range| IoSlice::new(&bytes[range.clone()])).collect()
}

/// How many of the leading ranges do not overlap each other.
pub(crate) fn disjoint_prefix(ranges: &[Range<usize>]) -> usize {
    if ranges.windows(2).all(|pair| pair[0].end <= pair[1].start) {
        return ranges.len();
    }
    let overlaps = |index: &usize| {
        let new = &ranges[*index];
        ranges[..*index].iter().any(|old| new.start < old.end && old.start < new.end)
    };
    (1..ranges.len()).find(overlaps).unwrap_or(ranges.len())
}

/// The slices to read into; `ranges` must be disjoint (see [`disjoint_prefix`]), an overlapping one comes out empty.
pub(crate) fn slices_mut<'m>(
    mem: &'m mut GuestMemory<'_>,
    ranges: &[Range<usize>],
) -> SmallVec<[IoSliceMut<'m>; INLINE]> {
    if let [range] = ranges {
        return smallvec::smallvec![IoSliceMut::new(&mut mem.bytes_mut()[range.clone()])];
    }
    let mut by_address: SmallVec<[usize; INLINE]> = (0..ranges.len()).collect();
    by_address.sort_unstable_by_key(|&index| ranges[index].start);
    let mut slices: SmallVec<[IoSliceMut<'m>; INLINE]> = ranges.iter().map(|_| IoSliceMut::new(&mut [])).collect();
    // Memory is split off from the front, in ascending order, so that each byte is lent out once.
    let mut rest = mem.bytes_mut();
    let mut rest_start = 0;
    for index in by_address {
        let range = &ranges[index];
        let Some(gap) = range.start.checked_sub(rest_start) else { continue };
        let (piece, tail) = std::mem::take(&mut rest)[gap..].split_at_mut(range.len());
        slices[index] = IoSliceMut::new(piece);
        rest = tail;
        rest_start = range.end;
    }
    slices
}

/// Fills `ranges` with what `read` delivers, group by group of disjoint ranges; `read` is told how much came before.
/// With `one_group`, for things that would wait for more, the first group ends it.
pub(crate) fn fill(
    mem: &mut GuestMemory<'_>,
    ranges: &[Range<usize>],
    one_group: bool,
    mut read: impl FnMut(&mut [IoSliceMut<'_>], u64) -> Result<usize, Errno>,
) -> Result<u32, Errno> {
    let mut done: usize = 0;
    let mut rest = ranges;
    loop {
        let (group, tail) = rest.split_at(disjoint_prefix(rest));
        let wanted: usize = group.iter().map(|range| range.len()).sum();
        let got = match read(&mut slices_mut(mem, group), done as u64) {
            Ok(got) => got,
            Err(errno) if done == 0 => return Err(errno),
            // What was read before the failure counts; the failure comes back with the next call.
            Err(_) => break,
        };
        done += got;
        // One more group is at most one memory long, so the count stays below 2^32.
        if got < wanted || tail.is_empty() || one_group || done >= 1 << 31 {
            break;
        }
        rest = tail;
    }
    u32::try_from(done).map_err(|_| Errno::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[(u32, u32)]) -> Vec<u8> {
        items.iter().flat_map(|(at, len)| [at.to_le_bytes(), len.to_le_bytes()].concat()).collect()
    }

    #[test]
    fn empty_buffers_do_not_count_and_bad_ones_fault() {
        let mut bytes = list(&[(0, 0), (64, 8), (u32::MAX, 0), (80, 4)]);
        bytes.resize(128, 0);
        let mem = GuestMemory::new(&mut bytes);
        assert_eq!(ranges(&mem, 0, 4).unwrap().as_slice(), &[64..72, 80..84]);
        assert_eq!(ranges(&mem, 120, 2), Err(Errno::Fault));
        assert_eq!(ranges(&mem, 0, u32::MAX), Err(Errno::Fault));
        let mut bytes = list(&[(u32::MAX, 2)]);
        assert_eq!(ranges(&GuestMemory::new(&mut bytes), 0, 1), Err(Errno::Fault));
    }

    #[test]
    fn more_than_the_maximum_is_cut() {
        let mut bytes = list(&vec![(0, 1); 3000]);
        assert_eq!(ranges(&GuestMemory::new(&mut bytes), 0, 3000).unwrap().len(), MAX_BUFFERS);
    }

    #[test]
    fn disjoint_prefixes() {
        assert_eq!(disjoint_prefix(&[]), 0);
        assert_eq!(disjoint_prefix(&[0..4, 4..8]), 2);
        assert_eq!(disjoint_prefix(&[8..12, 0..4, 4..8]), 3);
        assert_eq!(disjoint_prefix(&[8..12, 0..4, 3..5]), 2);
        assert_eq!(disjoint_prefix(&[0..4, 0..4]), 1);
    }

    #[test]
    fn unordered_buffers_are_filled_in_list_order() {
        let mut bytes = [0u8; 16];
        let mut mem = GuestMemory::new(&mut bytes);
        let got = fill(&mut mem, &[8..10, 2..4, 12..13], false, |slices, _| {
            let mut value = 0;
            for slice in slices.iter_mut() {
                for byte in slice.iter_mut() {
                    value += 1;
                    *byte = value;
                }
            }
            Ok(value.into())
        });
        assert_eq!(got, Ok(5));
        assert_eq!(bytes, [0, 0, 3, 4, 0, 0, 0, 0, 1, 2, 0, 0, 5, 0, 0, 0]);
    }

    #[test]
    fn overlapping_buffers_are_filled_one_after_the_other() {
        let source = [1u8, 2, 3, 4, 5, 6, 7, 8];
        let mut bytes = [0u8; 6];
        let got = fill(&mut GuestMemory::new(&mut bytes), &[0..4, 2..6], false, |slices, done| {
            let len = slices[0].len();
            slices[0].copy_from_slice(&source[done as usize..][..len]);
            Ok(len)
        });
        assert_eq!(got, Ok(8));
        assert_eq!(bytes, [1, 2, 5, 6, 7, 8]);
    }

    #[test]
    fn a_failure_after_data_is_a_short_count() {
        let mut bytes = [0u8; 6];
        let mut calls = 0;
        let got = fill(&mut GuestMemory::new(&mut bytes), &[0..4, 2..6], false, |slices, _| {
            calls += 1;
            if calls == 1 { Ok(slices[0].len()) } else { Err(Errno::Io) }
        });
        assert_eq!(got, Ok(4));
    }
}
