//! Whether a reference is of a type.
//!
//! In: a reference and a [`Test`]. Out: the answer. Types of objects are compared in constant time by the display of the
//! object's type; types of functions by id, and by the registry when the ids differ. Null is the caller's concern.

use super::object::type_of;
use super::types::Shape;
use super::{I31, TAGS, is_object};
use crate::engine::Engine;
use crate::runtime::context::VmFuncRef;
use wasm::{HeapType, TypeId};

/// A question about references that are not null, whose static type is of the same hierarchy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Test {
    /// The hierarchy's top: all are.
    All,
    /// The hierarchy's bottom: none is.
    Nothing,
    Eq,
    I31,
    Struct,
    Array,
    /// The type of objects with that id, so deep below its outermost supertype.
    Object {
        id: u32,
        depth: u32,
    },
    /// The type of functions with that id.
    Func(u32),
}

impl Test {
    /// The test for a heap type.
    pub(crate) fn new(engine: &Engine, heap: HeapType) -> Test {
        match heap {
            HeapType::Any | HeapType::Extern | HeapType::Func | HeapType::Exn => Test::All,
            HeapType::None | HeapType::NoExtern | HeapType::NoFunc | HeapType::NoExn => Test::Nothing,
            HeapType::Eq => Test::Eq,
            HeapType::I31 => Test::I31,
            HeapType::Struct => Test::Struct,
            HeapType::Array => Test::Array,
            HeapType::Concrete(id) if engine.types().heap_matches(heap, HeapType::Func) => Test::Func(id.0),
            HeapType::Concrete(id) => Test::Object { id: id.0, depth: engine.types().depth(id) },
            // Only within a group that is being canonicalised.
            HeapType::InGroup(_) => Test::Nothing,
        }
    }
}

/// Whether it is an i31 or an object.
#[inline(always)]
pub(crate) fn is_eq(word: u64) -> bool {
    word & I31 != 0 || word & TAGS == 0
}

#[inline(always)]
pub(crate) fn is_i31(word: u64) -> bool {
    word & I31 != 0
}

/// Whether it is a struct.
///
/// # Safety
/// The word must be a reference of the `any` hierarchy that is not null.
pub(crate) unsafe fn is_struct(word: u64) -> bool {
    // SAFETY: the caller's contract.
    is_object(word) && matches!(unsafe { &type_of(word).shape }, Shape::Struct { .. })
}

/// Whether it is an array.
///
/// # Safety
/// As [`is_struct`].
pub(crate) unsafe fn is_array(word: u64) -> bool {
    // SAFETY: the caller's contract.
    is_object(word) && matches!(unsafe { &type_of(word).shape }, Shape::Array { .. })
}

/// Whether it is an object of the type with that id at that place of displays.
///
/// # Safety
/// As [`is_struct`]; the depth must be that of a type.
#[inline(always)]
pub(crate) unsafe fn is_of_type(word: u64, id: u32, depth: u32) -> bool {
    // SAFETY: the caller's contract: displays have an entry for every possible depth.
    is_object(word) && unsafe { *type_of(word).display.get_unchecked(depth as usize) == id }
}

/// Whether it is a function of the type with that id.
///
/// # Safety
/// The word must be a reference to a function.
pub(crate) unsafe fn is_func_of_type(engine: &Engine, word: u64, id: u32) -> bool {
    // SAFETY: the caller's contract.
    let have = unsafe { (*(word as *const VmFuncRef)).type_id };
    have == id || engine.types().is_subtype(TypeId(have), TypeId(id))
}
