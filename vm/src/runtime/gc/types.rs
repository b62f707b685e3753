//! Types of objects as running code knows them.
//!
//! In: canonical types of an engine. Out: for each type of objects one [`ObjectType`] at a fixed address, made when it is first
//! asked for and freed with the type. An object begins with the address of its type, which holds the ids of all its
//! supertypes: whether an object is of a type is one comparison, however deep the hierarchy.

use super::heap::round_up;
use crate::trap::TrapKind;
use std::ptr::NonNull;
use wasm::layout::object_type;
use wasm::{CompositeType, FieldType, HeapType, StorageType, StructLayout, TypeId, TypeRegistry, ValType, size_class};

/// How many bytes of a slot (or two) a field or element takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Width {
    W8 = 0,
    W16 = 1,
    W32 = 2,
    W64 = 3,
    W128 = 4,
}

impl Width {
    fn of(s: StorageType) -> Width {
        match s.bytes() {
            1 => Width::W8,
            2 => Width::W16,
            4 => Width::W32,
            8 => Width::W64,
            _ => Width::W128,
        }
    }

    /// Slots of a value that is written with this width.
    #[inline(always)]
    pub(crate) fn slots(self) -> usize {
        if self == Width::W128 { 2 } else { 1 }
    }
}

/// A field of a struct.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) offset: u32,
    pub(crate) width: Width,
}

/// What lies behind an object's header.
#[derive(Debug)]
pub(crate) enum Shape {
    Struct {
        fields: Box<[Field]>,
        /// Offsets of fields that may refer to objects.
        traced: Box<[u32]>,
        /// Bytes of the object, rounded up as they are allocated.
        size: u32,
        /// Size class, if there is one of that size.
        class: Option<u8>,
    },
    Array {
        width: Width,
        /// Whether elements may refer to objects.
        traced: bool,
    },
}

/// A type of objects.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct ObjectType {
    pub(crate) id: u32,
    pub(crate) depth: u32,
    /// By depth: ids of the supertypes, then the type's own.
    pub(crate) display: [u32; object_type::DISPLAY_LEN],
    /// 0, or `object_type::KIND_ARRAY`.
    kind: u32,
    pub(crate) shape: Shape,
}

const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(ObjectType, id) == object_type::ID);
    assert!(offset_of!(ObjectType, depth) == object_type::DEPTH);
    assert!(offset_of!(ObjectType, display) == object_type::DISPLAY);
    assert!(offset_of!(ObjectType, kind) == object_type::KIND);
};

impl ObjectType {
    fn new(types: &TypeRegistry, id: TypeId) -> Option<ObjectType> {
        let ty = types.get(id);
        let traced = |f: &FieldType| is_traced(types, f.storage);
        let shape = match &ty.composite {
            CompositeType::Func(_) => return None,
            CompositeType::Struct(fs) => {
                let layout = StructLayout::new(fs);
                let places = || fs.iter().zip(&layout.offsets);
                let size = round_up(layout.size as usize);
                Shape::Struct {
                    fields: places().map(|(f, &offset)| Field { offset, width: Width::of(f.storage) }).collect(),
                    traced: places().filter(|(f, _)| traced(f)).map(|(_, &offset)| offset).collect(),
                    size: size as u32,
                    class: size_class(size).map(|c| c as u8),
                }
            }
            CompositeType::Array(f) => Shape::Array { width: Width::of(f.storage), traced: traced(f) },
        };
        let chain = types.supertypes(id);
        let mut display = [0; object_type::DISPLAY_LEN];
        for (place, id) in display.iter_mut().zip(chain.iter().rev()) {
            *place = id.0;
        }
        let kind = if matches!(shape, Shape::Array { .. }) { object_type::KIND_ARRAY } else { 0 };
        Some(ObjectType { id: id.0, depth: chain.len() as u32 - 1, display, kind, shape })
    }

    /// Width of the elements.
    ///
    /// # Errors
    /// For structs, which validation keeps away from where this is asked.
    #[inline(always)]
    pub(crate) fn element(&self) -> Result<Width, TrapKind> {
        match self.shape {
            Shape::Array { width, .. } => Ok(width),
            Shape::Struct { .. } => Err(TrapKind::CastFailure),
        }
    }
}

/// Whether values may refer to what is collected: all references but those to functions.
pub(crate) fn is_traced(types: &TypeRegistry, s: StorageType) -> bool {
    match s {
        StorageType::Val(ValType::Ref(r)) => !types.heap_matches(r.heap, HeapType::Func),
        _ => false,
    }
}

/// The type of that id, unless it is one of functions. It stays where it is as long as somebody holds the type.
pub(crate) fn object_type(types: &TypeRegistry, id: TypeId) -> Option<NonNull<ObjectType>> {
    let ty = types.get(id);
    if matches!(ty.composite, CompositeType::Func(_)) {
        return None;
    }
    let made = ty.attachment().get_or_init(|| Box::new(ObjectType::new(types, id)));
    made.downcast_ref::<Option<ObjectType>>()?.as_ref().map(NonNull::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm::{HeldTypes, RefType, SubType};

    #[test]
    fn a_type_knows_its_supertypes_and_what_to_trace() {
        let (types, mut held) = (TypeRegistry::default(), HeldTypes::default());
        let field = |v| FieldType { storage: StorageType::Val(v), mutable: true };
        let any = ValType::Ref(RefType { nullable: true, heap: HeapType::Any });
        let group = |supertype, fields: &[FieldType]| {
            vec![SubType { is_final: false, supertype, composite: CompositeType::Struct(fields.into()) }]
        };
        let a = types.intern_group(&mut held, group(None, &[field(ValType::I32)]))[0];
        let fields = [field(ValType::I32), field(any), field(ValType::FUNCREF), field(ValType::EXTERNREF)];
        let b = types.intern_group(&mut held, group(Some(HeapType::Concrete(a)), &fields))[0];
        let made = object_type(&types, b).unwrap();
        assert_eq!(Some(made), object_type(&types, b));
        // SAFETY: it is held.
        let ty = unsafe { made.as_ref() };
        assert_eq!((ty.id, ty.depth, ty.display[0], ty.display[1], ty.display[2]), (b.0, 1, a.0, b.0, 0));
        let Shape::Struct { traced, size, .. } = &ty.shape else { panic!("a struct") };
        assert_eq!((&**traced, *size), (&[16, 32][..], 48));
        let func = types.intern_func(&mut held, wasm::FuncType { params: [].into(), results: [].into() });
        assert!(object_type(&types, func).is_none());
    }
}
