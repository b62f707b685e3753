//! Where the fields of structs lie, and how wide fields and elements are.
//!
//! In: field types. Out: offsets from the object's start. Invariant: a field's place depends only on the fields before it, so
//! that a type's fields lie where those of its supertypes do.

use crate::layout::object;
use crate::types::{FieldType, StorageType, ValType};

impl StorageType {
    /// Bytes that it takes in an object.
    pub fn bytes(self) -> u32 {
        match self {
            StorageType::I8 => 1,
            StorageType::I16 => 2,
            StorageType::Val(ValType::I32 | ValType::F32) => 4,
            StorageType::Val(ValType::I64 | ValType::F64 | ValType::Ref(_)) => 8,
            StorageType::Val(ValType::V128) => 16,
        }
    }

    /// The type of the value that is written there.
    pub fn unpacked(self) -> ValType {
        match self {
            StorageType::I8 | StorageType::I16 => ValType::I32,
            StorageType::Val(v) => v,
        }
    }
}

/// The places of a struct's fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StructLayout {
    /// Offset of each field.
    pub offsets: Box<[u32]>,
    /// Bytes of the whole object.
    pub size: u32,
}

impl StructLayout {
    /// Each field at the next multiple of its width.
    pub fn new(fields: &[FieldType]) -> StructLayout {
        let mut size = object::FIELDS as u32;
        let place = |f: &FieldType| {
            let width = f.storage.bytes();
            let at = size.next_multiple_of(width);
            size = at + width;
            at
        };
        let offsets = fields.iter().map(place).collect();
        StructLayout { offsets, size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_aligned_and_keep_their_places_in_subtypes() {
        let field = |storage| FieldType { storage, mutable: true };
        let v = |t| field(StorageType::Val(t));
        let fields =
            [field(StorageType::I8), v(ValType::I64), field(StorageType::I16), v(ValType::I32), v(ValType::V128)];
        let all = StructLayout::new(&fields);
        assert_eq!(*all.offsets, [8, 16, 24, 28, 32]);
        assert_eq!(all.size, 48);
        let prefix = StructLayout::new(&fields[..3]);
        assert_eq!(prefix.offsets[..], all.offsets[..3]);
        assert_eq!(StructLayout::new(&[]).size, 8);
    }
}
