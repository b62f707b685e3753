//! What a module's own memory 0 holds at first, as parts of a file that are mapped copy-on-write.
//!
//! In: a module's active data segments, or a file and where its parts belong. Out: memory that reads as after
//! initialisation without anything having been copied, and that can be made to read so again.
//!
//! Invariant: the file does not change. Runs are whole pages, in ascending order, disjoint; there is at least one.

use super::memory::LinearMemory;
use super::pool::Pool;
use crate::sys::{FileView, Mapping, page_size, sealed_file};
use serde::{Deserialize, Serialize};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::{Arc, OnceLock, Weak};
use wasm::{ConstExpr, ConstOp, DataMode, ExternKind};

/// Fewer bytes of data than these are copied: that costs less than what mappings of their own add.
const FEWEST_BYTES: usize = 16 << 10;
/// Pages between two runs that are rather taken along.
const GAP: usize = 16;
/// Most runs of an image: each is a mapping in every instance.
const MOST_RUNS: usize = 3;

/// A part of the memory and where it lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Offset in the memory.
    pub(crate) at: usize,
    /// Offset in the file.
    pub(crate) offset: u64,
    /// Length in bytes.
    pub(crate) len: usize,
}

/// The initial contents of a memory.
pub(crate) struct MemoryImage {
    file: Arc<OwnedFd>,
    runs: Box<[Run]>,
    /// The runs once more, to copy from.
    views: Box<[FileView]>,
    /// Where reservations that have this image in them are kept.
    pool: OnceLock<Weak<Pool>>,
}

impl MemoryImage {
    /// An image of parts of a file that does not change.
    ///
    /// # Errors
    /// When the runs are not in order, not whole pages or not in the file, or the file cannot be mapped.
    pub(crate) fn from_file(file: Arc<OwnedFd>, runs: impl Into<Box<[Run]>>) -> io::Result<MemoryImage> {
        let (runs, page) = (runs.into(), page_size());
        let whole = |r: &Run| r.len > 0 && (r.at | r.len | r.offset as usize).is_multiple_of(page);
        let in_order = runs.windows(2).all(|w| w[0].at + w[0].len <= w[1].at);
        let size = std::fs::File::from(file.try_clone()?).metadata()?.len();
        let within = |r: &Run| r.offset.checked_add(r.len as u64).is_some_and(|end| end <= size);
        let bounded = |r: &Run| r.at.checked_add(r.len).is_some() && within(r);
        if runs.is_empty() || !runs.iter().all(|r| whole(r) && bounded(r)) || !in_order {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let views = runs.iter().map(|r| FileView::new(file.as_fd(), r.offset, r.len)).collect::<io::Result<_>>()?;
        Ok(MemoryImage { file, runs, views, pool: OnceLock::new() })
    }

    /// The image of a module's memory 0 in a file of its own, if there is one.
    pub(crate) fn of_module(raw: &wasm::Module, bytes: &[u8]) -> Option<MemoryImage> {
        let contents = Contents::of_module(raw, bytes)?;
        let file = sealed_file(contents.len(), |file| contents.put(|at, data| file.write_all_at(data, at)));
        Self::from_file(Arc::new(file.ok()?), contents.runs).ok()
    }

    /// Everything between the first and the last byte.
    pub(crate) fn hull(&self) -> Range<usize> {
        let last = self.runs[self.runs.len() - 1];
        self.runs[0].at..last.at + last.len
    }

    /// Maps the image into a memory that is accessible where it goes.
    pub(crate) fn map(&self, mapping: &mut Mapping) -> io::Result<()> {
        self.runs.iter().try_for_each(|r| mapping.map_file(r.at, r.len, self.file.as_fd(), r.offset))
    }

    /// Lets the pool forget about the image once it is gone.
    pub(crate) fn kept_in(&self, pool: &Arc<Pool>) {
        self.pool.get_or_init(|| Arc::downgrade(pool));
    }

    /// Writes the first contents of a range of the memory at `base`.
    ///
    /// # Safety
    /// The range must be accessible, and nobody else use it.
    pub(crate) unsafe fn restore(&self, base: *mut u8, range: Range<usize>) {
        let mut at = range.start;
        // SAFETY: parts of `range`, and of the run that the view maps.
        unsafe {
            for (run, view) in self.runs.iter().zip(&self.views) {
                let (start, end) = (run.at.clamp(at, range.end), (run.at + run.len).clamp(at, range.end));
                ptr::write_bytes(base.add(at), 0, start - at);
                let from = view.base().add(start.saturating_sub(run.at).min(run.len));
                ptr::copy_nonoverlapping(from, base.add(start), end - start);
                at = end;
            }
            ptr::write_bytes(base.add(at), 0, range.end - at);
        }
    }

    /// Writes zeros over the image.
    ///
    /// # Safety
    /// The memory at `base` must have the image in it, and nobody else use it.
    pub(crate) unsafe fn erase(&self, base: *mut u8) {
        for run in &self.runs {
            // SAFETY: the run lies within the memory.
            unsafe { ptr::write_bytes(base.add(run.at), 0, run.len) };
        }
    }
}

impl Drop for MemoryImage {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.get().and_then(Weak::upgrade) {
            pool.forget_images();
        }
    }
}

/// What an image is made of.
pub(crate) struct Contents<'a> {
    pub(crate) runs: Vec<Run>,
    /// Segments in order, with their offsets in the memory.
    segments: Vec<(usize, &'a [u8])>,
}

impl<'a> Contents<'a> {
    /// Those for a module's memory 0, if it has one of its own that nobody else shares, whose contents do not depend on
    /// imports or on what traps, and if there is enough of it.
    pub(crate) fn of_module(raw: &wasm::Module, bytes: &'a [u8]) -> Option<Contents<'a>> {
        let ty = raw.memories.first().filter(|_| raw.imported[ExternKind::Memory as usize] == 0)?;
        if ty.shared || !LinearMemory::can_guard(ty) {
            return None;
        }
        let size = (ty.min as usize).checked_mul(64 << 10)?;
        let mut segments = Vec::new();
        for data in &raw.data {
            if let DataMode::Active { memory, offset } = &data.mode {
                let at = constant(offset).filter(|_| *memory == 0)?;
                at.checked_add(data.range.len()).filter(|&end| end <= size)?;
                segments.push((at, &bytes[data.range.clone()]));
            }
        }
        if segments.iter().map(|(_, d)| d.len()).sum::<usize>() < FEWEST_BYTES {
            return None;
        }
        let runs = runs(segments.iter().map(|(at, d)| *at..at + d.len()));
        Some(Contents { runs, segments })
    }

    /// Bytes of all runs.
    pub(crate) fn len(&self) -> u64 {
        self.runs.iter().map(|r| r.len as u64).sum()
    }

    /// Hands out the segments with their offsets in the file, which is zero elsewhere.
    pub(crate) fn put(&self, mut write: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
        self.segments.iter().filter(|(_, data)| !data.is_empty()).try_for_each(|(at, data)| {
            let run = self.runs.iter().rfind(|r| r.at <= *at).ok_or(io::ErrorKind::InvalidInput)?;
            write(run.offset + (at - run.at) as u64, data)
        })
    }
}

/// The value of an offset that depends on nothing.
fn constant(offset: &ConstExpr) -> Option<usize> {
    match *offset.0 {
        [ConstOp::I32Const(v)] => Some(v as u32 as usize),
        _ => None,
    }
}

/// The pages of some segments as few runs, one behind the other in the file.
fn runs(segments: impl Iterator<Item = Range<usize>>) -> Vec<Run> {
    let page = page_size();
    let whole = |s: Range<usize>| s.start / page..s.end.div_ceil(page);
    let mut pages: Vec<Range<usize>> = segments.filter(|s| !s.is_empty()).map(whole).collect();
    pages.sort_by_key(|p| p.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for p in pages {
        match joined.last_mut() {
            Some(last) if p.start <= last.end + GAP => last.end = last.end.max(p.end),
            _ => joined.push(p),
        }
    }
    while joined.len() > MOST_RUNS {
        let nearest = (1..joined.len()).min_by_key(|&i| joined[i].start - joined[i - 1].end).unwrap_or(1);
        joined[nearest - 1].end = joined.remove(nearest).end;
    }
    let mut offset = 0;
    let run = |p: Range<usize>| {
        let r = Run { at: p.start * page, offset, len: p.len() * page };
        offset += r.len as u64;
        r
    };
    joined.into_iter().map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_become_few_runs_of_whole_pages() {
        let page = page_size();
        let at = |r: &Run| (r.at / page, r.offset as usize / page, r.len / page);
        let found = |segments: &[Range<usize>]| -> Vec<_> { runs(segments.iter().cloned()).iter().map(at).collect() };
        assert_eq!(found(&[100..200, 5..page + 1]), [(0, 0, 2)]);
        assert_eq!(found(&[100 * page..100 * page + 1, 7..8, 9..9]), [(0, 0, 1), (100, 1, 1)]);
        let far: Vec<_> = (0..6).map(|i| i * i * 30 * page..i * i * 30 * page + 1).collect();
        assert_eq!(found(&far), [(0, 0, 271), (480, 271, 1), (750, 272, 1)]);
    }

    #[test]
    fn bad_runs_are_refused() {
        let page = page_size();
        let file = Arc::new(sealed_file(4 * page as u64, |_| Ok(())).expect("a file in memory"));
        let image = |runs: &[Run]| MemoryImage::from_file(file.clone(), runs).map(|i| i.hull());
        let run = |at, offset, len| Run { at, offset, len };
        assert_eq!(image(&[run(page, 0, page), run(4 * page, page as u64, page)]).ok(), Some(page..5 * page));
        assert!(image(&[]).is_err());
        assert!(image(&[run(1, 0, page)]).is_err());
        assert!(image(&[run(0, 0, 0)]).is_err());
        assert!(image(&[run(0, 3 * page as u64, 2 * page)]).is_err());
        assert!(image(&[run(page, 0, page), run(page, 0, page)]).is_err());
        assert!(image(&[run(usize::MAX & !(page - 1), 0, page)]).is_err());
    }

    #[test]
    fn a_range_across_runs_is_restored() {
        let page = page_size();
        let fill = |f: &std::fs::File| f.write_all_at(&vec![7; 2 * page], 0);
        let file = Arc::new(sealed_file(2 * page as u64, fill).expect("a file in memory"));
        let run = |at, offset| Run { at, offset, len: page };
        let image = MemoryImage::from_file(file, [run(page, 0), run(3 * page, page as u64)]).expect("good runs");
        for range in [0..5 * page, 0..page, page..2 * page, 2 * page..3 * page, 3 * page..5 * page, page..4 * page] {
            let mut memory = vec![9u8; 5 * page];
            // SAFETY: the range lies within the vector.
            unsafe { image.restore(memory.as_mut_ptr(), range.clone()) };
            for (i, &byte) in memory.iter().enumerate() {
                let first = if matches!(i / page, 1 | 3) { 7 } else { 0 };
                assert_eq!(byte, if range.contains(&i) { first } else { 9 }, "{i} of {range:?}");
            }
        }
    }
}
