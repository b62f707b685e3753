//! Values as the host sees them.

use crate::error::{Error, Result};
use crate::func::Func;
use crate::reference::{AnyRef, ExternRef};
use crate::runtime::context::Slot;
use crate::store::StoreOpaque;
use wasm::{HeapType, RefType, ValType};

/// A 128-bit vector, lane 0 in the lowest bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct V128(pub u128);

impl From<u128> for V128 {
    fn from(v: u128) -> Self {
        V128(v)
    }
}

/// A value of any type.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // the names are the specification's
pub enum Val {
    I32(i32),
    I64(i64),
    /// As bits, so that every NaN keeps its payload.
    F32(u32),
    /// As bits.
    F64(u64),
    V128(V128),
    FuncRef(Option<Func>),
    ExternRef(Option<ExternRef>),
    AnyRef(Option<AnyRef>),
    /// A null of the `exn` hierarchy.
    ExnRef(Option<std::convert::Infallible>),
}

impl Val {
    /// The default of a type.
    ///
    /// # Errors
    /// For references that cannot be null.
    pub fn default_for(ty: ValType) -> Result<Val> {
        Ok(match ty {
            ValType::I32 => Val::I32(0),
            ValType::I64 => Val::I64(0),
            ValType::F32 => Val::F32(0),
            ValType::F64 => Val::F64(0),
            ValType::V128 => Val::V128(V128(0)),
            ValType::Ref(RefType { nullable: false, .. }) => {
                return Err(Error::api(format!("type {ty} has no default value")));
            }
            ValType::Ref(r) => Val::null(r.heap),
        })
    }

    /// The null reference of a hierarchy.
    pub fn null(heap: HeapType) -> Val {
        match hierarchy(heap) {
            Hierarchy::Func => Val::FuncRef(None),
            Hierarchy::Extern => Val::ExternRef(None),
            Hierarchy::Any => Val::AnyRef(None),
            Hierarchy::Exn => Val::ExnRef(None),
        }
    }

    /// The i32 inside.
    pub fn i32(self) -> Option<i32> {
        if let Val::I32(v) = self { Some(v) } else { None }
    }
    /// The i64 inside.
    pub fn i64(self) -> Option<i64> {
        if let Val::I64(v) = self { Some(v) } else { None }
    }
    /// The f32 inside.
    pub fn f32(self) -> Option<f32> {
        if let Val::F32(v) = self { Some(f32::from_bits(v)) } else { None }
    }
    /// The f64 inside.
    pub fn f64(self) -> Option<f64> {
        if let Val::F64(v) = self { Some(f64::from_bits(v)) } else { None }
    }

    /// Whether the value belongs to the type, in this store.
    pub(crate) fn check(self, store: &StoreOpaque, ty: ValType) -> Result<()> {
        let ok = match (self, ty) {
            (Val::I32(_), ValType::I32)
            | (Val::I64(_), ValType::I64)
            | (Val::F32(_), ValType::F32)
            | (Val::F64(_), ValType::F64)
            | (Val::V128(_), ValType::V128) => true,
            (Val::FuncRef(Some(f)), ValType::Ref(r)) => {
                store.check(f.store)?;
                store.engine.types().heap_matches(HeapType::Concrete(f.type_id()), r.heap)
            }
            (Val::ExternRef(Some(e)), ValType::Ref(r)) => {
                e.word(store)?;
                r.heap == HeapType::Extern
            }
            (Val::AnyRef(Some(a)), ValType::Ref(r)) => {
                let heap = a.heap_type(store)?;
                store.engine.types().heap_matches(heap, r.heap)
            }
            // A null alone does not tell of which hierarchy a defined type is.
            (Val::FuncRef(None), ValType::Ref(r)) => {
                r.nullable && (is_func(store, r.heap) || matches!(r.heap, HeapType::Concrete(_)))
            }
            (Val::ExternRef(None), ValType::Ref(r)) => r.nullable && hierarchy(r.heap) == Hierarchy::Extern,
            (Val::AnyRef(None), ValType::Ref(r)) => {
                r.nullable
                    && match r.heap {
                        HeapType::Concrete(_) => !is_func(store, r.heap),
                        h => hierarchy(h) == Hierarchy::Any,
                    }
            }
            (Val::ExnRef(None), ValType::Ref(r)) => r.nullable && hierarchy(r.heap) == Hierarchy::Exn,
            _ => false,
        };
        if ok { Ok(()) } else { Err(Error::api(format!("type mismatch: {self:?} is no {ty}"))) }
    }

    /// Writes the value, which has been checked, to one slot, or two for v128.
    ///
    /// # Safety
    /// `to` must be valid for writes of that many slots.
    pub(crate) unsafe fn store(self, to: *mut Slot, store: &StoreOpaque) {
        // SAFETY: the caller's contract.
        unsafe {
            match self {
                Val::I32(v) => *to = Slot::from(v as u32),
                Val::I64(v) => *to = v as u64,
                Val::F32(v) => *to = Slot::from(v),
                Val::F64(v) => *to = v,
                Val::V128(V128(v)) => {
                    *to = v as u64;
                    *to.add(1) = (v >> 64) as u64;
                }
                Val::FuncRef(f) => *to = f.map_or(0, |f| f.ptr.as_ptr() as u64),
                // Checked values have words.
                Val::ExternRef(e) => *to = e.and_then(|e| e.word(store).ok()).unwrap_or(0),
                Val::AnyRef(a) => *to = a.and_then(|a| a.word(store).ok()).unwrap_or(0),
                Val::ExnRef(_) => *to = 0,
            }
        }
    }

    /// Reads a value of the type from one slot, or two for v128.
    ///
    /// # Safety
    /// `from` must be valid for reads of that many slots and hold a value of that type of this store.
    pub(crate) unsafe fn load(from: *const Slot, ty: ValType, store: &StoreOpaque) -> Val {
        // SAFETY: the caller's contract.
        unsafe {
            match ty {
                ValType::I32 => Val::I32(*from as i32),
                ValType::I64 => Val::I64(*from as i64),
                ValType::F32 => Val::F32(*from as u32),
                ValType::F64 => Val::F64(*from),
                ValType::V128 => Val::V128(V128(u128::from(*from) | u128::from(*from.add(1)) << 64)),
                ValType::Ref(r) if is_func(store, r.heap) => Val::FuncRef(Func::from_slot(*from, store.id)),
                ValType::Ref(r) => match hierarchy(r.heap) {
                    Hierarchy::Extern => Val::ExternRef(ExternRef::from_slot(*from, store)),
                    Hierarchy::Exn => Val::ExnRef(None),
                    // Also types of objects.
                    Hierarchy::Any | Hierarchy::Func => Val::AnyRef(AnyRef::from_slot(*from, store)),
                },
            }
        }
    }
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Hierarchy {
    Func,
    Extern,
    Any,
    Exn,
}

fn hierarchy(h: HeapType) -> Hierarchy {
    match h {
        HeapType::Func | HeapType::NoFunc | HeapType::Concrete(_) | HeapType::InGroup(_) => Hierarchy::Func,
        HeapType::Extern | HeapType::NoExtern => Hierarchy::Extern,
        HeapType::Exn | HeapType::NoExn => Hierarchy::Exn,
        _ => Hierarchy::Any,
    }
}

/// Whether the heap type belongs to the function hierarchy.
fn is_func(store: &StoreOpaque, h: HeapType) -> bool {
    match h {
        HeapType::Concrete(_) => store.engine.types().heap_matches(h, HeapType::Func),
        h => hierarchy(h) == Hierarchy::Func,
    }
}
