//! Making objects, and reading and writing what is in them.
//!
//! In: types, slots. Out: references. Invariant: an object's type is written before anybody else can see it, and every
//! allocation is told up to where slots of the running frame are in use, because it may collect.

use super::collect::collect;
use super::heap::{Bumps, Full, Heap, round_up};
use super::types::{ObjectType, Shape, Width};
use crate::runtime::context::{Slot, VmStore};
use crate::store::StoreOpaque;
use crate::trap::TrapKind;
use wasm::layout::object;
use wasm::size_class;

/// What is in use beside what the store knows.
#[derive(Clone, Copy)]
pub(crate) struct Live<'a> {
    /// One past the last slot of the running frame that is in use; null when no guest code runs.
    pub(crate) top: *const Slot,
    /// References that are nowhere else.
    pub(crate) others: &'a [[Slot; 2]],
    /// Where on the native stack begins what compiled code has left there; null when that is not known.
    pub(crate) native: *const usize,
}

impl Live<'_> {
    /// Slots up to there.
    #[inline(always)]
    pub(crate) fn up_to(top: *const Slot) -> Live<'static> {
        Live { top, others: &[], native: std::ptr::null() }
    }
}

/// Makes a struct, all fields zero.
///
/// # Errors
/// When the heap is full.
///
/// # Safety
/// The type must be one of structs of the store's engine; the slots up to `live.top` must be those in use.
#[inline(always)]
pub(crate) unsafe fn new_struct(vm: *mut VmStore, ty: *const ObjectType, live: Live<'_>) -> Result<u64, TrapKind> {
    // SAFETY: the caller's contract; nobody else refers to the heap.
    unsafe {
        let Shape::Struct { size, class, .. } = &(*ty).shape else { return Err(TrapKind::CastFailure) };
        let quick = match (&(*vm).bumps, class) {
            (Some(bumps), Some(class)) => bumps.quick(usize::from(*class)),
            _ => None,
        };
        let at = match quick {
            Some(at) => at,
            None => allocate(vm, *size as usize, live)?,
        };
        *((at + object::TYPE) as *mut *const ObjectType) = ty;
        Ok(at as u64)
    }
}

/// Makes an array of `len` elements, all zero.
///
/// # Errors
/// When the heap is full.
///
/// # Safety
/// As [`new_struct`], with a type of arrays.
#[inline(always)]
pub(crate) unsafe fn new_array(
    vm: *mut VmStore,
    ty: *const ObjectType,
    len: u32,
    live: Live<'_>,
) -> Result<u64, TrapKind> {
    // SAFETY: the caller's contract.
    unsafe {
        let width = (*ty).element()?;
        let size = object::ELEMENTS + ((len as usize) << width as u32);
        let quick = match (&(*vm).bumps, size_class(size)) {
            (Some(bumps), Some(class)) => bumps.quick(class),
            _ => None,
        };
        let at = match quick {
            Some(at) => at,
            None => allocate(vm, round_up(size), live)?,
        };
        *((at + object::TYPE) as *mut *const ObjectType) = ty;
        *((at + object::LEN) as *mut u32) = len;
        Ok(at as u64)
    }
}

/// Gives the store a heap, unless it has one or the system has no address space.
///
/// # Safety
/// The store must be valid, and nobody refer to its heap.
pub(super) unsafe fn make_heap(vm: *mut VmStore) {
    // SAFETY: the caller's contract; a pointer to the runtime state is one to the whole store.
    unsafe {
        if (*vm).heap.is_none() {
            let stress = (*vm.cast::<StoreOpaque>()).engine.config().gc_stress;
            let bumps = (&mut (*vm).bumps).get_or_insert_with(Bumps::new);
            (*vm).heap = Heap::new(bumps, (*vm).limits.gc_heap_bytes, stress).map(Box::new);
        }
    }
}

/// Room that is not at hand: makes the heap, finds another place in it, or collects first.
///
/// # Safety
/// As [`new_struct`].
#[cold]
#[inline(never)]
unsafe fn allocate(vm: *mut VmStore, size: usize, live: Live<'_>) -> Result<usize, TrapKind> {
    // SAFETY: the caller's contract.
    unsafe {
        make_heap(vm);
        let limit = (*vm).heap_limit();
        let find = |collected: bool| {
            let heap = (&mut (*vm).heap).as_mut().ok_or(Full::Limit)?;
            match size_class(size) {
                Some(class) => heap.small(class, limit, collected),
                None => heap.large(size, limit, collected),
            }
        };
        let found = find(false).or_else(|why| match why {
            Full::Limit => Err(why),
            Full::Collect => {
                collect(vm, live);
                find(true)
            }
        });
        found.map_err(|_| TrapKind::HeapExhausted)
    }
}

/// Makes a struct with its fields from slots in a row.
///
/// # Errors
/// When the heap is full.
///
/// # Safety
/// As [`new_struct`]; the slots must hold values of the fields' types.
#[inline(always)]
pub(crate) unsafe fn new_struct_of(
    vm: *mut VmStore,
    ty: *const ObjectType,
    mut values: *const Slot,
    live: Live<'_>,
) -> Result<u64, TrapKind> {
    // SAFETY: the caller's contract.
    unsafe {
        let made = new_struct(vm, ty, live)?;
        if let Shape::Struct { fields, .. } = &(*ty).shape {
            for f in fields {
                put((made + u64::from(f.offset)) as *mut u8, f.width, values);
                values = values.add(f.width.slots());
            }
        }
        Ok(made)
    }
}

/// Writes a value from its slot, or two.
///
/// # Safety
/// Both places must be valid for the width.
#[inline(always)]
pub(crate) unsafe fn put(to: *mut u8, width: Width, from: *const Slot) {
    // SAFETY: the caller's contract. An object's parts lie at multiples of their widths.
    unsafe {
        match width {
            Width::W8 => *to = *from as u8,
            Width::W16 => *to.cast::<u16>() = *from as u16,
            Width::W32 => *to.cast::<u32>() = *from as u32,
            Width::W64 => *to.cast::<u64>() = *from,
            Width::W128 => *to.cast::<[u64; 2]>() = *from.cast::<[u64; 2]>(),
        }
    }
}

/// Reads a value into two slots, zero-extended.
///
/// # Safety
/// The place must be valid for the width.
pub(crate) unsafe fn get(from: *const u8, width: Width) -> [Slot; 2] {
    // SAFETY: the caller's contract.
    unsafe {
        match width {
            Width::W8 => [u64::from(*from), 0],
            Width::W16 => [u64::from(*from.cast::<u16>()), 0],
            Width::W32 => [u64::from(*from.cast::<u32>()), 0],
            Width::W64 => [*from.cast::<u64>(), 0],
            Width::W128 => *from.cast::<[u64; 2]>(),
        }
    }
}

/// The type of an object.
///
/// # Safety
/// The word must be the address of an object; the type lives as long as the store's engine.
#[inline(always)]
pub(crate) unsafe fn type_of<'a>(word: u64) -> &'a ObjectType {
    // SAFETY: the caller's contract.
    unsafe { &**((word as usize + object::TYPE) as *const *const ObjectType) }
}

/// The length of an array.
///
/// # Safety
/// The word must be the address of an array.
#[inline(always)]
pub(crate) unsafe fn array_len(word: u64) -> u32 {
    // SAFETY: the caller's contract.
    unsafe { *((word as usize + object::LEN) as *const u32) }
}

/// The address of an element.
#[inline(always)]
pub(crate) fn element(word: u64, index: u64, width: Width) -> *mut u8 {
    (word as usize + object::ELEMENTS + ((index as usize) << width as u32)) as *mut u8
}
