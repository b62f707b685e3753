//! References to host values and to objects of the guest, as the host sees them.
//!
//! In: words of running code. Out: handles that can be copied. A handle to an object is a *root*: it keeps the object alive. Those
//! that a host function is given or makes end when it returns, unless they are kept; others end when they are told to, or
//! with [`scope`]. What is used after its end is refused with an error. Host values live as long as their store.

use crate::error::{Error, Result};
use crate::runtime::context::Slot;
use crate::runtime::gc::object::{array_len, element, get, type_of};
use crate::runtime::gc::roots::Root;
use crate::runtime::gc::types::Shape;
use crate::runtime::gc::{self, cast};
use crate::store::{AsContext, AsContextMut, StoreId, StoreOpaque};
use crate::value::Val;
use std::any::Any;
use wasm::{CompositeType, FieldType, HeapType, StorageType, TypeId, ValType};

/// What a reference that is not null refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum To {
    /// The value with its tag.
    I31(u32),
    /// The host value of that number.
    Host(u32),
    Object(Root),
}

/// A reference of either hierarchy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Handle {
    /// None for what belongs to no store.
    store: Option<StoreId>,
    to: To,
}

impl Handle {
    /// For a word of running code; `None` for null.
    fn new(store: &StoreOpaque, word: u64) -> Option<Handle> {
        if word == 0 {
            return None;
        }
        Some(if word & gc::I31 != 0 {
            Handle { store: None, to: To::I31(word as u32) }
        } else if let Some(index) = gc::host_index(word) {
            Handle { store: Some(store.id), to: To::Host(index) }
        } else {
            Handle { store: Some(store.id), to: To::Object(store.roots.borrow_mut().add(word)) }
        })
    }

    /// The word in running code.
    fn word(self, store: &StoreOpaque) -> Result<u64> {
        self.store.map_or(Ok(()), |id| store.check(id))?;
        match self.to {
            To::I31(bits) => Ok(u64::from(bits)),
            To::Host(index) => Ok(gc::host(index)),
            To::Object(root) => store.roots.borrow().get(root).ok_or_else(ended),
        }
    }
}

fn ended() -> Error {
    Error::api("a reference was used after its scope had ended")
}

/// What a reference of the `any` hierarchy refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RefKind {
    /// A 31-bit integer, sign-extended.
    I31(i32),
    /// A struct of that type.
    Struct(TypeId),
    /// An array of that type.
    Array(TypeId),
    /// A host value.
    Host,
}

/// A reference of the `any` hierarchy: to a struct, an array, an i31, or a host value that was converted.
///
/// Equal handles refer to the same; unequal ones may do so too, which [`AnyRef::same`] tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnyRef(Handle);

/// A reference of the `extern` hierarchy: to a host value, or something of the guest's that was converted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExternRef(Handle);

macro_rules! words {
    ($($name:ident)*) => { $(
        impl $name {
            pub(crate) fn from_slot(slot: Slot, store: &StoreOpaque) -> Option<$name> {
                Handle::new(store, slot).map($name)
            }

            /// The word in running code.
            ///
            /// # Errors
            /// When the handle belongs to another store, or is over.
            pub(crate) fn word(self, store: &StoreOpaque) -> Result<Slot> {
                self.0.word(store)
            }

            /// Lets the handle live on when the host function or scope in which it was made ends.
            ///
            /// # Errors
            /// When it is over, or belongs to another store.
            pub fn keep(self, mut ctx: impl AsContextMut) -> Result<()> {
                let store = ctx.as_context_mut().0.opaque_mut();
                self.word(store)?;
                if let To::Object(root) = self.0.to {
                    store.roots.get_mut().keep(root);
                }
                Ok(())
            }

            /// Ends the handle: the object is not kept alive by it any more.
            ///
            /// # Errors
            /// When it is over already, or belongs to another store.
            pub fn unroot(self, mut ctx: impl AsContextMut) -> Result<()> {
                let store = ctx.as_context_mut().0.opaque_mut();
                self.word(store)?;
                if let To::Object(root) = self.0.to {
                    store.roots.get_mut().remove(root);
                }
                Ok(())
            }
        }
    )* };
}
words!(AnyRef ExternRef);

impl ExternRef {
    /// Puts a value into the store; it lives as long as the store.
    pub fn new(mut ctx: impl AsContextMut, value: impl Any + Send + Sync) -> ExternRef {
        let store = ctx.as_context_mut().0.opaque_mut();
        store.externs.push(Box::new(value));
        ExternRef(Handle { store: Some(store.id), to: To::Host(store.externs.len() as u32 - 1) })
    }

    /// The host value.
    ///
    /// # Errors
    /// When the reference belongs to another store, or refers to something of the guest's.
    pub fn data<'a, T: 'static>(&self, ctx: &'a impl AsContext<Data = T>) -> Result<&'a (dyn Any + Send + Sync)> {
        let store = ctx.as_context().0.opaque();
        self.word(store)?;
        let To::Host(index) = self.0.to else {
            return Err(Error::api("the externref is no host value"));
        };
        let value = store.externs.get(index as usize).ok_or_else(|| Error::api("dangling externref"))?;
        Ok(&**value)
    }

    /// The same reference in the other hierarchy, as `any.convert_extern` makes it.
    pub fn to_any(self) -> AnyRef {
        AnyRef(self.0)
    }
}

impl AnyRef {
    /// The reference to an i31: the lower 31 bits of the number.
    pub fn from_i31(v: i32) -> AnyRef {
        AnyRef(Handle { store: None, to: To::I31(gc::i31(v as u32) as u32) })
    }

    /// The same reference in the other hierarchy, as `extern.convert_any` makes it.
    pub fn to_extern(self) -> ExternRef {
        ExternRef(self.0)
    }

    /// What it refers to.
    ///
    /// # Errors
    /// When the handle is over, or belongs to another store.
    pub fn kind(self, ctx: impl AsContext) -> Result<RefKind> {
        let ctx = ctx.as_context();
        let word = self.word(ctx.0.opaque())?;
        Ok(match self.0.to {
            To::I31(bits) => RefKind::I31(bits as i32 >> 1),
            To::Host(_) => RefKind::Host,
            To::Object(_) => {
                // SAFETY: a handle that is not over refers to an object of the store.
                let ty = unsafe { type_of(word) };
                match ty.shape {
                    Shape::Struct { .. } => RefKind::Struct(TypeId(ty.id)),
                    Shape::Array { .. } => RefKind::Array(TypeId(ty.id)),
                }
            }
        })
    }

    /// Whether both refer to the same, as `ref.eq` says.
    ///
    /// # Errors
    /// As [`AnyRef::kind`].
    pub fn same(self, ctx: impl AsContext, other: AnyRef) -> Result<bool> {
        let ctx = ctx.as_context();
        Ok(self.word(ctx.0.opaque())? == other.word(ctx.0.opaque())?)
    }

    /// The heap type that suits it best.
    pub(crate) fn heap_type(self, store: &StoreOpaque) -> Result<HeapType> {
        let word = self.word(store)?;
        Ok(match self.0.to {
            To::I31(_) => HeapType::I31,
            To::Host(_) => HeapType::Any,
            // SAFETY: as in `kind`.
            To::Object(_) => HeapType::Concrete(TypeId(unsafe { type_of(word).id })),
        })
    }

    /// The value of a struct's field.
    ///
    /// # Errors
    /// When it is no struct or has no such field, and as [`AnyRef::kind`].
    pub fn field(self, ctx: impl AsContext, index: u32) -> Result<Val> {
        let ctx = ctx.as_context();
        let store = ctx.0.opaque();
        let word = self.word(store)?;
        let missing = || Error::api("the reference is to no struct with such a field");
        // SAFETY: the word is a reference of the store's, and the field one of its type.
        unsafe {
            if !cast::is_struct(word) {
                return Err(missing());
            }
            let ty = type_of(word);
            let declared = store.engine.types().get(TypeId(ty.id));
            let (Shape::Struct { fields, .. }, CompositeType::Struct(types)) = (&ty.shape, &declared.composite) else {
                return Err(missing());
            };
            let (Some(f), Some(t)) = (fields.get(index as usize), types.get(index as usize)) else {
                return Err(missing());
            };
            let slots = get((word + u64::from(f.offset)) as *const u8, f.width);
            Ok(Val::load(slots.as_ptr(), t.storage.unpacked(), store))
        }
    }

    /// The number of an array's elements.
    ///
    /// # Errors
    /// When it is no array, and as [`AnyRef::kind`].
    pub fn len(self, ctx: impl AsContext) -> Result<u32> {
        let ctx = ctx.as_context();
        let word = self.word(ctx.0.opaque())?;
        // SAFETY: the word is a reference of the store's, of which the length is only read if it is an array.
        unsafe {
            if !cast::is_array(word) {
                return Err(Error::api("the reference is to no array"));
            }
            Ok(array_len(word))
        }
    }

    /// The value of an array's element.
    ///
    /// # Errors
    /// When it is no array or has no such element, and as [`AnyRef::kind`].
    pub fn element(self, ctx: impl AsContext, index: u32) -> Result<Val> {
        let ctx = ctx.as_context();
        let store = ctx.0.opaque();
        if index >= self.len(&ctx)? {
            return Err(Error::api("the array has no such element"));
        }
        let word = self.word(store)?;
        // SAFETY: the word is a reference to an array with that element.
        unsafe {
            let ty = type_of(word);
            let (width, storage) = (ty.element()?, element_type(store, TypeId(ty.id)));
            let slots = get(element(word, u64::from(index), width), width);
            Ok(Val::load(slots.as_ptr(), storage.unpacked(), store))
        }
    }
}

fn element_type(store: &StoreOpaque, ty: TypeId) -> StorageType {
    match &store.engine.types().get(ty).composite {
        CompositeType::Array(FieldType { storage, .. }) => *storage,
        _ => StorageType::Val(ValType::I32),
    }
}

/// Does something after which the handles to objects made meanwhile end, but for those that are kept.
pub fn scope<C: AsContextMut, R>(ctx: &mut C, f: impl FnOnce(&mut C) -> R) -> R {
    let begin = ctx.as_context_mut().0.opaque_mut().roots.get_mut().enter();
    let result = f(ctx);
    ctx.as_context_mut().0.opaque_mut().roots.get_mut().leave(begin);
    result
}

/// Frees the objects that cannot be reached any more. Guests do not depend on it: it happens when there is a reason to.
pub fn collect_garbage(mut ctx: impl AsContextMut) {
    let store = ctx.as_context_mut().0.opaque_mut();
    let live = gc::object::Live::up_to(std::ptr::null());
    // SAFETY: the store is borrowed exclusively: no guest code of it runs but what has called the host.
    unsafe { gc::collect::collect(&raw mut store.vm, live) };
}

/// Objects of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct HeapStats {
    /// Bytes of the heap that are in use, with free room between objects.
    pub used: u64,
    /// Bytes of the objects that the last collection has found alive.
    pub live: u64,
    /// Collections so far.
    pub collections: u64,
    /// Exceptions that the store keeps.
    pub exceptions: usize,
}

/// What is known of the objects and exceptions of a store.
pub fn heap_stats(ctx: impl AsContext) -> HeapStats {
    let ctx = ctx.as_context();
    let vm = &ctx.0.opaque().vm;
    let exceptions = vm.exceptions.len();
    vm.heap.as_ref().map_or(HeapStats { exceptions, ..HeapStats::default() }, |h| HeapStats {
        used: h.used_bytes() as u64,
        live: h.live_bytes() as u64,
        collections: h.collections(),
        exceptions,
    })
}
