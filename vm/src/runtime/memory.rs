//! Linear memory.
//!
//! Two kinds. *Guarded*: a reservation of everything that a 32-bit index plus a 32-bit offset can reach, so that an
//! access out of bounds faults; its base never moves.
//!
//! ```text
//!   base          base+len                                base+8 GiB+64 KiB
//!    |  accessible  |        faults on every access          |
//! ```
//!
//! *Checked*: for 64-bit memories, other page sizes, and where the reservation cannot be had; every access compares
//! with the length. As much address space is reserved as the maximum asks for, within reason and if the system grants it; beyond that the
//! base moves when the memory grows (never for shared memories: they reserve their maximum), to twice the space each time.

use super::context::VmMemory;
use super::image::MemoryImage;
use super::parking::ParkingLot;
use super::pool::{Pool, Reservation};
use crate::config::MemoryMode;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::sys::{Mapping, guards_available};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use wasm::MemoryType;

/// Greatest number of bytes an access can end behind the base: index, offset, and the width of a v128.
const GUARDED_RESERVATION: usize = (8 << 30) + (64 << 10);

/// Address space of a checked memory whose maximum does not ask for less.
const CHECKED_RESERVATION: u64 = 8 << 30;
/// And where the system does not grant that: room beyond the initial size.
const MODEST_ROOM: u64 = 16 << 20;

/// Greatest size of a checked memory in bytes: what an address space can be expected to give.
const MAX_BYTES: u64 = 1 << 46;

/// A linear memory of one store, or shared by several.
#[repr(C)]
pub(crate) struct LinearMemory {
    pub(crate) vm: VmMemory,
    pub(crate) ty: MemoryType,
    pub(crate) guarded: bool,
    /// Greatest length in bytes, from the type.
    max_bytes: u64,
    reservation: Mutex<Reservation>,
    /// What it held at first, if that was not zeros; keeps alive what the reservation only remembers.
    image: Option<Arc<MemoryImage>>,
    pool: Arc<Pool>,
    pub(crate) parking: ParkingLot,
}

// SAFETY: the raw base pointer belongs to `reservation`; growth is serialised by its lock, and `len` is atomic. Contents
// are guest memory, for whose races the specification answers; host access goes through a store's borrow.
unsafe impl Send for LinearMemory {}
// SAFETY: as above.
unsafe impl Sync for LinearMemory {}

impl LinearMemory {
    /// Whether a memory of that type can be guarded at all.
    pub(crate) fn can_guard(ty: &MemoryType) -> bool {
        !ty.is64 && ty.page_size_log2 == 16
    }

    /// Creates a memory of its initial size, with the image in it if it can be mapped: `has_image` tells.
    ///
    /// # Errors
    /// When the initial size cannot be had.
    pub(crate) fn new(ty: MemoryType, engine: &Engine, image: Option<&Arc<MemoryImage>>) -> Result<LinearMemory> {
        let mode = engine.config().memory_mode;
        let page = 1u64 << ty.page_size_log2;
        let min = ty.min.checked_mul(page).filter(|&n| n <= MAX_BYTES).ok_or_else(|| too_large(ty.min))?;
        let max_pages = ty.max.unwrap_or(u64::MAX).min(ty.absolute_max_pages());
        let max_bytes = max_pages.saturating_mul(page).min(MAX_BYTES);
        let guard = mode == MemoryMode::Auto && Self::can_guard(&ty) && guards_available();
        let image = image.filter(|i| guard && i.hull().end as u64 <= min);
        let mut reserved = None;
        if guard {
            let with_image = image.and_then(|i| Some((guarded(engine, min as usize, Some(i))?, Some(i.clone()))));
            reserved = with_image.or_else(|| Some((guarded(engine, min as usize, None)?, None)));
        }
        let guarded = reserved.is_some();
        let (reservation, image) = match reserved {
            Some(r) => r,
            None => {
                let mut mapping = checked(min, max_bytes, ty.shared)?;
                mapping.set_accessible(min as usize).map_err(|e| cannot_map(min, &e))?;
                (Reservation::new(mapping), None)
            }
        };
        Ok(LinearMemory {
            vm: VmMemory { base: reservation.mapping.base(), len: AtomicUsize::new(min as usize) },
            ty,
            guarded,
            max_bytes,
            reservation: Mutex::new(reservation),
            image,
            pool: engine.pool().clone(),
            parking: ParkingLot::default(),
        })
    }

    /// Whether active data segments are there already.
    pub(crate) fn has_image(&self) -> bool {
        self.image.is_some()
    }

    /// Lets the memory read as zeros, as it does before its first segment.
    ///
    /// # Safety
    /// The memory must be as it was made, and nobody else use it.
    pub(crate) unsafe fn erase_image(&self) {
        if let Some(image) = &self.image {
            // SAFETY: the image is in this memory; the caller's contract.
            unsafe { image.erase(self.vm.base) };
        }
    }

    /// Present size in pages.
    pub(crate) fn pages(&self) -> u64 {
        (self.vm.len() >> self.ty.page_size_log2) as u64
    }

    /// Whether the address lies in the reservation (accessible or not).
    pub(crate) fn reserves(&self, address: usize) -> bool {
        self.guarded && address.wrapping_sub(self.vm.base as usize) < GUARDED_RESERVATION
    }

    /// Grows by `delta` pages if the type, `limit` (in bytes) and the system allow it; answers the size before.
    ///
    /// # Safety
    /// Nobody may hold a reference into the contents, and for a memory that is not shared nobody else may use it.
    pub(crate) unsafe fn grow(this: *mut LinearMemory, delta: u64, limit: Option<u64>) -> Option<u64> {
        // SAFETY: the caller's contract; only `vm.base` is written, and not for shared memories.
        unsafe {
            let mut reservation = (*this).reservation.lock().unwrap_or_else(|e| e.into_inner());
            let mapping = &mut reservation.mapping;
            let old = (*this).vm.len();
            let shift = (*this).ty.page_size_log2;
            let old_pages = (old >> shift) as u64;
            if delta == 0 {
                return Some(old_pages);
            }
            let bytes = old_pages.checked_add(delta)?.checked_mul(1 << shift)?;
            if bytes > (*this).max_bytes || limit.is_some_and(|l| bytes > l) {
                return None;
            }
            if (*this).guarded || (*this).ty.shared {
                mapping.make_accessible(bytes as usize).ok()?;
            } else {
                // Doubling keeps growth page by page linear in the bytes moved.
                let roomy = bytes.max(2 * mapping.reserved() as u64).min((*this).max_bytes);
                if mapping.grow_moving(bytes as usize, roomy as usize).is_err() {
                    mapping.grow_moving(bytes as usize, bytes as usize).ok()?;
                }
                (*this).vm.base = mapping.base();
            }
            (*this).vm.len.store(bytes as usize, Ordering::Release);
            Some(old_pages)
        }
    }
}

impl Drop for LinearMemory {
    fn drop(&mut self) {
        if self.guarded {
            let reservation = self.reservation.get_mut().unwrap_or_else(|e| e.into_inner());
            self.pool.put_reservation(std::mem::replace(reservation, Reservation::new(Mapping::empty())));
        }
    }
}

/// A reservation with room for everything that an access can reach; `None` when the system refuses.
fn guarded(engine: &Engine, bytes: usize, image: Option<&Arc<MemoryImage>>) -> Option<Reservation> {
    let pool = engine.pool();
    let mut reservation = match pool.take_reservation(image) {
        Some(r) => r,
        None => Reservation::new(Mapping::reserve(GUARDED_RESERVATION).ok()?),
    };
    if let Some(image) = image {
        image.kept_in(pool);
    }
    reservation.prepare(bytes, image).ok()?;
    Some(reservation)
}

/// Address space for a checked memory; all that it may ever need if it is shared.
fn checked(min: u64, max: u64, shared: bool) -> Result<Mapping> {
    let reserve = |bytes: u64| Mapping::reserve(bytes as usize);
    if shared {
        return reserve(max).map_err(|e| cannot_map(max, &e));
    }
    let all = reserve(max.min(min.max(CHECKED_RESERVATION)));
    all.or_else(|_| reserve(max.min(min + MODEST_ROOM))).or_else(|_| reserve(min)).map_err(|e| cannot_map(min, &e))
}

fn too_large(pages: u64) -> Error {
    Error::limit(format!("memory of {pages} pages is larger than this host can address"))
}

fn cannot_map(bytes: u64, e: &std::io::Error) -> Error {
    Error::limit(format!("cannot map {bytes} bytes of linear memory: {e}"))
}
