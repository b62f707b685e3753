//! Which pages of a range this process has written.
//!
//! In: a range of one of our private mappings. Out: the pages in it that are no longer those of the file behind them, or
//! the shared page of zeros. Where the system cannot tell (before Linux 6.7, or without /proc), nothing is known.
//!
//! Invariant: the answer is about this process. The file through which the kernel is asked belongs to the process that
//! opened it; a child that was forked later sees so by a page that is wiped in children, and goes without.

use std::ops::Range;

/// Most ranges that one scan answers.
pub(crate) const MOST_RANGES: usize = 32;

/// What a scan has found.
pub(crate) struct Written {
    ranges: [PageRegion; MOST_RANGES],
    len: usize,
    /// Address at which the scan ended: nothing is known of what lies behind.
    pub(crate) end: usize,
}

impl Written {
    /// The written pages as ranges of addresses.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.ranges[..self.len].iter().map(|r| r.start as usize..r.end as usize)
    }
}

/// `struct page_region` of the kernel.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

#[cfg(target_os = "linux")]
mod imp {
    use super::{MOST_RANGES, PageRegion, Written};
    use std::fs::File;
    use std::ops::Range;
    use std::os::fd::AsRawFd;
    use std::ptr;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU8, Ordering};

    /// `struct pm_scan_arg` of the kernel.
    #[repr(C)]
    struct ScanArg {
        size: u64,
        flags: u64,
        start: u64,
        end: u64,
        walk_end: u64,
        vec: u64,
        vec_len: u64,
        max_pages: u64,
        category_inverted: u64,
        category_mask: u64,
        category_anyof_mask: u64,
        return_mask: u64,
    }

    /// `_IOWR('f', 16, struct pm_scan_arg)`
    const PAGEMAP_SCAN: libc::c_ulong =
        3 << 30 | (size_of::<ScanArg>() as libc::c_ulong) << 16 | (b'f' as libc::c_ulong) << 8 | 16;
    const FILE: u64 = 1 << 2;
    const PRESENT: u64 = 1 << 3;
    const SWAPPED: u64 = 1 << 4;
    const ZERO: u64 = 1 << 5;

    struct Pagemap {
        file: File,
        /// A byte that is 1 in the process that opened the file, and 0 in children.
        own: &'static AtomicU8,
    }

    /// Opens the file; `None` where something of what is needed is missing.
    fn open() -> Option<Pagemap> {
        let file = File::open("/proc/self/pagemap").ok()?;
        let size = crate::sys::map::page_size();
        // SAFETY: a fresh anonymous page, never unmapped; zeros are a valid AtomicU8.
        let own = unsafe {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            let page = libc::mmap(ptr::null_mut(), size, prot, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
            if page == libc::MAP_FAILED || libc::madvise(page, size, libc::MADV_WIPEONFORK) != 0 {
                return None;
            }
            &*page.cast::<AtomicU8>()
        };
        own.store(1, Ordering::Relaxed);
        Some(Pagemap { file, own })
    }

    /// The pages of `range` that the process has written, at most `most`; `None` where the system cannot tell.
    pub(crate) fn written(range: Range<usize>, most: usize) -> Option<Written> {
        static PAGEMAP: OnceLock<Option<Pagemap>> = OnceLock::new();
        let pagemap = PAGEMAP.get_or_init(open).as_ref()?;
        if pagemap.own.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut found = Written { ranges: [PageRegion::default(); MOST_RANGES], len: 0, end: range.start };
        let mut arg = ScanArg {
            size: size_of::<ScanArg>() as u64,
            flags: 0,
            start: range.start as u64,
            end: range.end as u64,
            walk_end: 0,
            vec: found.ranges.as_mut_ptr() as u64,
            vec_len: MOST_RANGES as u64,
            max_pages: most as u64,
            // Neither a page of a file nor of zeros, and there, in memory or swapped out.
            category_inverted: FILE | ZERO,
            category_mask: FILE | ZERO,
            category_anyof_mask: PRESENT | SWAPPED,
            return_mask: PRESENT,
        };
        // SAFETY: the kernel reads `arg`, writes `walk_end`, and at most `vec_len` ranges to `vec`.
        let n = unsafe { libc::ioctl(pagemap.file.as_raw_fd(), PAGEMAP_SCAN as _, &raw mut arg) };
        found.len = usize::try_from(n).ok().filter(|&n| n <= MOST_RANGES)?;
        found.end = arg.walk_end as usize;
        Some(found)
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::Written;
    use std::ops::Range;

    /// This system does not tell.
    pub(crate) fn written(_: Range<usize>, _: usize) -> Option<Written> {
        None
    }
}

pub(crate) use imp::written;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::sys::{Mapping, page_size};

    fn pages(range: &Range<usize>, found: &Written) -> Vec<(usize, usize)> {
        let page = |a: usize| (a - range.start) / page_size();
        found.ranges().map(|r| (page(r.start), page(r.end))).collect()
    }

    #[test]
    fn written_pages_are_found_and_children_go_without() {
        let page = page_size();
        let mut mapping = Mapping::reserve(100 * page).expect("address space");
        mapping.make_accessible(100 * page).expect("memory");
        let base = mapping.base();
        let range = base as usize..base as usize + 100 * page;
        let Some(none) = written(range.clone(), 10) else { return };
        assert_eq!((pages(&range, &none), none.end), (vec![], range.end));
        for p in [3, 4, 90] {
            // SAFETY: the page is accessible. Reading one of zeros does not count.
            unsafe {
                base.add(p * page).write_volatile(1);
                base.add(50 * page).read_volatile();
            }
        }
        let found = written(range.clone(), 10).expect("as before");
        assert_eq!(pages(&range, &found), [(3, 5), (90, 91)]);
        let few = written(range.clone(), 2).expect("as before");
        assert_eq!(pages(&range, &few), [(3, 5)]);
        assert!(few.end >= range.start + 5 * page && few.end <= range.start + 90 * page);
        // SAFETY: the child asks the kernel and ends, without locks or memory of its own.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(i32::from(written(range, 10).is_some()));
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert_eq!(status, 0, "the child must not ask about its parent");
        }
    }
}
