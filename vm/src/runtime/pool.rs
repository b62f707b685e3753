//! Address space kept for the next store: guest stacks and guarded reservations.
//!
//! Mapping and unmapping cost more than everything else that instantiating a small module does. Invariant: a reservation
//! in the pool reads as zeros, and as its image where it has one, wherever it is or becomes accessible; a stack may hold
//! old values, which no frame reads before it writes them.

use super::image::MemoryImage;
use super::stacks::Stacks;
use crate::sys::{Mapping, page_size, written};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// How many stacks are kept beside those that threads keep.
const STACKS: usize = 16;
/// How many reservations are kept.
const RESERVATIONS: usize = 64;
/// Pages of a reservation that stay resident, with their first contents: the next instance need not fault them in.
const RESIDENT: usize = 256;

/// The pool of one engine.
#[derive(Default)]
pub(crate) struct Pool {
    // Boxes, because that is how threads keep them.
    #[allow(clippy::vec_box)]
    stacks: Mutex<Vec<Box<Stacks>>>,
    reservations: Mutex<Vec<Reservation>>,
    /// Whether a reservation has ever come back.
    used: AtomicBool,
}

/// A guarded reservation, with its first contents.
pub(crate) struct Reservation {
    pub(crate) mapping: Mapping,
    image: Option<Weak<MemoryImage>>,
    /// Where that lies.
    hull: Range<usize>,
}

impl Reservation {
    /// One that has been mapped just now.
    pub(crate) fn new(mapping: Mapping) -> Reservation {
        Reservation { mapping, image: None, hull: 0..0 }
    }

    fn has(&self, image: Option<&Arc<MemoryImage>>) -> bool {
        match (&self.image, image) {
            (None, None) => true,
            (Some(a), Some(b)) => std::ptr::eq(a.as_ptr(), Arc::as_ptr(b)),
            _ => false,
        }
    }

    /// Makes the first `bytes` accessible, with the image in them if there is one.
    pub(crate) fn prepare(&mut self, bytes: usize, image: Option<&Arc<MemoryImage>>) -> io::Result<()> {
        let ready = self.has(image);
        if !ready && self.image.take().is_some() {
            self.mapping.map_zeros(self.hull.start, self.hull.len())?;
        }
        self.mapping.set_accessible(bytes)?;
        if let (false, Some(image)) = (ready, image) {
            image.map(&mut self.mapping)?;
            (self.image, self.hull) = (Some(Arc::downgrade(image)), image.hull());
        }
        Ok(())
    }

    /// Lets it read as at first. So many pages are written anew, which costs less than having them faulted in by the next
    /// instance; what is beyond is given back to the system.
    fn reset(&mut self, resident: usize) -> io::Result<()> {
        let (base, end) = (self.mapping.base(), self.mapping.accessible());
        let image = self.image.as_ref().and_then(Weak::upgrade);
        if image.is_none() && self.image.is_some() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (mut done, mut left) = (0, resident);
        while done < end && left > 0 {
            let Some(found) = written(base as usize + done..base as usize + end, left) else { break };
            for range in found.ranges() {
                let range = range.start - base as usize..range.end - base as usize;
                left = left.saturating_sub(range.len() / page_size());
                // SAFETY: the range is accessible, and nobody uses the memory any more.
                unsafe {
                    match &image {
                        Some(image) => image.restore(base, range),
                        None => std::ptr::write_bytes(base.add(range.start), 0, range.len()),
                    }
                }
            }
            done = found.end - base as usize;
        }
        self.mapping.discard(done)
    }
}

fn lock<T>(list: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    list.lock().unwrap_or_else(|e| e.into_inner())
}

/// Keeps a value if there is room; what there is none for is dropped after the lock.
fn put<T>(to: &Mutex<Vec<T>>, most: usize, value: T) {
    let mut kept = lock(to);
    if kept.len() < most {
        kept.push(value);
    } else {
        drop(kept);
    }
}

impl Pool {
    pub(crate) fn take_stacks(&self) -> Option<Box<Stacks>> {
        lock(&self.stacks).pop()
    }
    #[cold]
    pub(crate) fn put_stacks(&self, mut stacks: Box<Stacks>) {
        if stacks.trim() {
            put(&self.stacks, STACKS, stacks);
        }
    }

    /// A reservation, at best one that has the image in it. One that holds another is only answered when there is no room
    /// for more, so that modules that take turns keep theirs.
    pub(crate) fn take_reservation(&self, image: Option<&Arc<MemoryImage>>) -> Option<Reservation> {
        let mut kept = lock(&self.reservations);
        let fits = |image| kept.iter().rposition(|r: &Reservation| r.has(image));
        match fits(image).or_else(|| fits(None)) {
            Some(i) => Some(kept.swap_remove(i)),
            None if kept.len() == RESERVATIONS => Some(kept.remove(0)),
            None => None,
        }
    }

    /// Takes back a reservation that nobody uses any more.
    pub(crate) fn put_reservation(&self, mut reservation: Reservation) {
        // A program that makes one instance does not profit from resident pages.
        let resident = if self.used.load(Ordering::Relaxed) { RESIDENT } else { 0 };
        if resident == 0 {
            self.used.store(true, Ordering::Relaxed);
        }
        if reservation.reset(resident).is_ok() {
            put(&self.reservations, RESERVATIONS, reservation);
        }
    }

    /// Gives up reservations whose image is gone: they would keep its file alive.
    pub(crate) fn forget_images(&self) {
        let gone = |r: &mut Reservation| r.image.as_ref().is_some_and(|i| i.strong_count() == 0);
        let gone: Vec<_> = lock(&self.reservations).extract_if(.., gone).collect();
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::image::Run;
    use crate::sys::sealed_file;
    use std::os::unix::fs::FileExt;

    fn image(byte: u8) -> Arc<MemoryImage> {
        let page = page_size();
        let file = sealed_file(page as u64, |f| f.write_all_at(&vec![byte; page], 0)).expect("a file in memory");
        Arc::new(MemoryImage::from_file(Arc::new(file), [Run { at: page, offset: 0, len: page }]).expect("a good run"))
    }

    fn reservation() -> Reservation {
        Reservation::new(Mapping::reserve(8 * page_size()).expect("address space"))
    }

    /// First bytes of the pages.
    fn bytes(r: &Reservation) -> Vec<u8> {
        // SAFETY: the pages are accessible.
        (0..r.mapping.accessible() / page_size()).map(|p| unsafe { *r.mapping.base().add(p * page_size()) }).collect()
    }

    fn spoil(r: &Reservation) {
        // SAFETY: the pages are accessible, and nobody else uses them.
        unsafe { std::ptr::write_bytes(r.mapping.base(), 0xff, r.mapping.accessible()) };
    }

    #[test]
    fn a_reservation_comes_back_with_its_image_or_another() {
        let (pool, page) = (Pool::default(), page_size());
        let (a, b) = (image(1), image(2));
        let mut r = reservation();
        r.prepare(4 * page, Some(&a)).expect("room");
        assert_eq!(bytes(&r), [0, 1, 0, 0]);
        spoil(&r);
        pool.put_reservation(r);
        assert!(pool.take_reservation(Some(&b)).is_none(), "there is room for another one");
        assert!(pool.take_reservation(None).is_none());
        let mut r = pool.take_reservation(Some(&a)).expect("it has the image");
        assert_eq!(bytes(&r), [0, 1, 0, 0]);
        spoil(&r);
        r.reset(RESIDENT).expect("it can be");
        r.prepare(2 * page, Some(&b)).expect("room");
        assert_eq!(bytes(&r), [0, 2]);
        spoil(&r);
        r.reset(RESIDENT).expect("it can be");
        r.prepare(6 * page, None).expect("room");
        assert_eq!(bytes(&r), [0; 6]);
    }

    #[test]
    fn a_full_pool_gives_what_it_has_and_images_are_forgotten() {
        let (pool, page) = (Arc::new(Pool::default()), page_size());
        let (a, b) = (image(1), image(2));
        a.kept_in(&pool);
        for _ in 0..RESERVATIONS + 3 {
            let mut r = reservation();
            r.prepare(2 * page, Some(&a)).expect("room");
            pool.put_reservation(r);
        }
        assert_eq!(lock(&pool.reservations).len(), RESERVATIONS);
        let mut r = pool.take_reservation(Some(&b)).expect("the pool is full");
        r.prepare(2 * page, Some(&b)).expect("room");
        assert_eq!(bytes(&r), [0, 2]);
        pool.put_reservation(r);
        drop(a);
        assert_eq!(lock(&pool.reservations).len(), 1);
        assert!(pool.take_reservation(Some(&b)).is_some());
    }
}
