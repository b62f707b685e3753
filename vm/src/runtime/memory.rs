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
//! with the length, and the base may move when it grows (never for shared memories: they reserve their maximum).

use super::context::VmMemory;
use super::parking::ParkingLot;
use super::pool::Pool;
use crate::config::MemoryMode;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::sys::{Mapping, guards_available};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use wasm::MemoryType;

/// Greatest number of bytes an access can end behind the base: index, offset, and the width of a v128.
const GUARDED_RESERVATION: usize = (8 << 30) + (64 << 10);

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
    mapping: Mutex<Mapping>,
    pool: Arc<Pool>,
    pub(crate) parking: ParkingLot,
}

// SAFETY: the raw base pointer belongs to `mapping`; growth is serialised by its lock, and `len` is atomic. Contents
// are guest memory, for whose races the specification answers; host access goes through a store's borrow.
unsafe impl Send for LinearMemory {}
// SAFETY: as above.
unsafe impl Sync for LinearMemory {}

impl LinearMemory {
    /// Whether a memory of that type can be guarded at all.
    pub(crate) fn can_guard(ty: &MemoryType) -> bool {
        !ty.is64 && ty.page_size_log2 == 16
    }

    /// Creates a memory of its initial size.
    ///
    /// # Errors
    /// When the initial size cannot be had.
    pub(crate) fn new(ty: MemoryType, engine: &Engine) -> Result<LinearMemory> {
        let mode = engine.config().memory_mode;
        let page = 1u64 << ty.page_size_log2;
        let min = ty.min.checked_mul(page).filter(|&n| n <= MAX_BYTES).ok_or_else(|| too_large(ty.min))?;
        let max_pages = ty.max.unwrap_or(u64::MAX).min(ty.absolute_max_pages());
        let max_bytes = max_pages.saturating_mul(page).min(MAX_BYTES);
        let guard = mode == MemoryMode::Auto && Self::can_guard(&ty) && guards_available();
        let pooled = || engine.pool().take_reservation();
        let reserved = if guard { pooled().or_else(|| Mapping::reserve(GUARDED_RESERVATION).ok()) } else { None };
        let guarded = reserved.is_some();
        let mut mapping = match reserved {
            Some(m) => m,
            None if ty.shared => Mapping::reserve(max_bytes as usize).map_err(|e| cannot_map(max_bytes, &e))?,
            None => Mapping::reserve(min as usize).map_err(|e| cannot_map(min, &e))?,
        };
        mapping.set_accessible(min as usize).map_err(|e| cannot_map(min, &e))?;
        Ok(LinearMemory {
            vm: VmMemory { base: mapping.base(), len: AtomicUsize::new(min as usize) },
            ty,
            guarded,
            max_bytes,
            mapping: Mutex::new(mapping),
            pool: engine.pool().clone(),
            parking: ParkingLot::default(),
        })
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
            let mut mapping = (*this).mapping.lock().unwrap_or_else(|e| e.into_inner());
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
                let roomy = (bytes as usize).max(mapping.reserved().saturating_mul(2).min(bytes as usize + (64 << 20)));
                if bytes as usize > mapping.reserved() && mapping.grow_moving(roomy).is_err() {
                    mapping.grow_moving(bytes as usize).ok()?;
                }
                mapping.make_accessible(bytes as usize).ok()?;
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
            let mapping = self.mapping.get_mut().unwrap_or_else(|e| e.into_inner());
            self.pool.put_reservation(std::mem::replace(mapping, Mapping::empty()));
        }
    }
}

fn too_large(pages: u64) -> Error {
    Error::limit(format!("memory of {pages} pages is larger than this host can address"))
}

fn cannot_map(bytes: u64, e: &std::io::Error) -> Error {
    Error::limit(format!("cannot map {bytes} bytes of linear memory: {e}"))
}
