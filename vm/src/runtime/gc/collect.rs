//! What is alive, from its roots.
//!
//! Roots are: globals, tables, element segments that hold evaluated references, exceptions that the store keeps, references
//! that the host holds, the slots of frames, and, while compiled code is on it, the native stack with the registers that calls
//! keep and the argument area.
//!
//! Types say exactly what is a reference in globals, tables and objects. Slots and the native stack are scanned
//! *conservatively*: every word that is the address of an object keeps it alive, whatever it was meant to be. That is safe because
//! nothing moves; it may keep something alive for longer than needed, as may what is left over from earlier calls in slots
//! that a frame has not written yet.

use super::heap::Heap;
use super::object::{Live, array_len, element, make_heap, type_of};
use super::types::{Shape, Width, is_traced};
use crate::runtime::context::{Slot, VmStore};
use crate::runtime::exception::ExceptionList;
use crate::store::StoreOpaque;
use crate::sys::with_kept_registers;
use wasm::{StorageType, TypeRegistry, ValType};

/// Frees every object and exception that cannot be reached any more.
///
/// # Safety
/// The store's guest must be at an allocation or in a host function, with `live` as it is there; nobody else may refer to
/// the store's heap.
#[cold]
#[inline(never)]
pub(crate) unsafe fn collect(vm: *mut VmStore, live: Live<'_>) {
    // SAFETY: the caller's contract.
    with_kept_registers(|registers| unsafe {
        let native = if live.native.is_null() { registers } else { live.native };
        collect_above(vm, Live { native, ..live });
    });
}

/// Collects, with what may be alive on the native stack from `live.native` on. What the collector itself leaves on the stack lies
/// below: it would keep what an earlier collection has looked at last.
#[inline(never)]
unsafe fn collect_above(vm: *mut VmStore, live: Live<'_>) {
    // SAFETY: the caller's contract; a pointer to the runtime state is one to the whole store.
    unsafe {
        let Some(mut heap) = (&mut (*vm).heap).take() else { return };
        heap.begin();
        let store = vm.cast::<StoreOpaque>();
        let exceptions = &mut (*vm).exceptions;
        exceptions.mark_roots(|w| heap.mark(w));
        mark_items(&mut heap, store);
        mark_stacks(&mut heap, store, live);
        trace(&mut heap, exceptions);
        heap.sweep();
        exceptions.sweep();
        (*vm).heap = Some(heap);
    }
}

/// Collects before an exception is thrown, if it is time to: those that the guest refers to are not in the heap, and do not make
/// it full.
///
/// # Safety
/// As [`collect`].
pub(crate) unsafe fn collect_exceptions(vm: *mut VmStore, live: Live<'_>) {
    // SAFETY: the caller's contract.
    unsafe {
        let stress = (*vm.cast::<StoreOpaque>()).engine.config().gc_stress > 0;
        if (&(*vm).exceptions).is_due((*vm).exceptions_limit()) || stress {
            make_heap(vm);
            collect(vm, live);
        }
    }
}

/// What the store and its instances hold.
unsafe fn mark_items(heap: &mut Heap, store: *const StoreOpaque) {
    // SAFETY: `collect`'s contract. Only fields that nobody changes meanwhile are looked at.
    unsafe {
        let types = (*store).engine.types();
        let global = |heap: &mut Heap, g: &crate::store::GlobalData| {
            if is_traced(types, StorageType::Val(g.ty.content)) {
                heap.mark((*g.at).value[0]);
            }
        };
        for g in (&(*store).globals).iter() {
            global(heap, g.as_ref());
        }
        for instance in (&(*store).instances).iter() {
            let instance = instance.as_ptr();
            for g in (&(*instance).own_globals).iter() {
                global(heap, g);
            }
            for (values, dropped) in (&(*instance).elem_values).iter().zip(&(*instance).dropped_elems) {
                if let (Some(values), false) = (values, dropped) {
                    values.iter().for_each(|&w| heap.mark(w));
                }
            }
        }
        for table in (&(*store).tables).iter() {
            mark_table(heap, types, &*table.as_ptr());
        }
        (*store).roots.borrow().words().for_each(|w| heap.mark(w));
    }
}

unsafe fn mark_table(heap: &mut Heap, types: &TypeRegistry, table: &crate::runtime::table::TableData) {
    if is_traced(types, StorageType::Val(ValType::Ref(table.ty.element))) {
        // SAFETY: base and length are those of the table's elements.
        let elements = unsafe { std::slice::from_raw_parts(table.vm.base, table.vm.len) };
        elements.iter().for_each(|&w| heap.mark(w));
    }
}

/// What frames hold.
unsafe fn mark_stacks(heap: &mut Heap, store: *const StoreOpaque, live: Live<'_>) {
    // SAFETY: `collect`'s contract: frames of the interpreter lie in a row up to the top, which is above the base.
    unsafe {
        live.others.iter().for_each(|v| heap.mark(v[0]));
        let top = if live.top.is_null() { (*store).vm.host_top.cast_const() } else { live.top };
        if (*store).native_base == 0 || top.is_null() {
            return;
        }
        mark_range(heap, (*store).stack_base, top);
        let (native_top, native_size, args) = ((*store).vm.native_top, (*store).vm.native_size, (*store).args);
        if native_top == 0 {
            return;
        }
        // Otherwise no compiled code has been entered that has not returned.
        if native_top.wrapping_sub(live.native as usize) < native_size {
            mark_range(heap, live.native.cast(), native_top as *const Slot);
            mark_range(heap, args.cast(), args.add(jit::abi::ARG_AREA_SIZE).cast());
        }
    }
}

/// Every word of a range that is an object.
///
/// # Safety
/// The range must be readable.
unsafe fn mark_range(heap: &mut Heap, from: *const Slot, to: *const Slot) {
    let mut at = from;
    while at < to {
        // SAFETY: the caller's contract. Whatever lies there is just a number.
        unsafe {
            heap.mark(at.read_volatile());
            at = at.add(1);
        }
    }
}

/// Marks what marked objects and exceptions refer to, and so on.
unsafe fn trace(heap: &mut Heap, exceptions: &mut ExceptionList) {
    loop {
        // SAFETY: the caller's contract.
        unsafe { trace_objects(heap) };
        let Some(word) = heap.exceptions.pop() else { break };
        for &value in exceptions.mark(word).unwrap_or_default() {
            heap.mark(value);
        }
    }
}

/// As `trace`, as far as objects lead.
unsafe fn trace_objects(heap: &mut Heap) {
    while let Some(object) = heap.gray.pop() {
        let object = object as u64;
        // SAFETY: only objects are marked, and their types say where references are.
        unsafe {
            match &type_of(object).shape {
                Shape::Struct { traced, .. } => {
                    for &offset in traced {
                        heap.mark(*((object + u64::from(offset)) as *const u64));
                    }
                }
                Shape::Array { traced: true, .. } => {
                    for i in 0..u64::from(array_len(object)) {
                        heap.mark(*element(object, i, Width::W64).cast::<u64>());
                    }
                }
                Shape::Array { .. } => {}
            }
        }
    }
}
