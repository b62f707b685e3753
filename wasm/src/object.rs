//! Where the fields of structs lie, how wide fields and elements are, and how much room an object gets.
//!
//! In: field types, sizes. Out: offsets from the object's start, size classes. Invariant: a field's place depends only on the fields before it, so
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

/// Objects begin at multiples of this, and their sizes are counted in it.
pub const GRANULE: usize = 16;
/// Number of size classes.
pub const SIZE_CLASSES: usize = 36;
/// Up to this many granules there is a class for each number of them, in order.
pub const EXACT_CLASSES: usize = 16;

/// Sizes of the classes in granules.
const SIZES: [usize; SIZE_CLASSES] = {
    let mut sizes = [0; SIZE_CLASSES];
    let mut i = 0;
    while i < SIZE_CLASSES {
        // Steps of one granule, then four steps for each doubling.
        sizes[i] = if i < EXACT_CLASSES { i + 1 } else { (5 + (i - 16) % 4) << (2 + (i - 16) / 4) };
        i += 1;
    }
    sizes
};

/// Bytes of the largest objects that have a size class.
pub const LARGEST_IN_CLASS: usize = SIZES[SIZE_CLASSES - 1] * GRANULE;

/// The class of each number of granules.
const CLASS_OF: [u8; LARGEST_IN_CLASS / GRANULE + 1] = {
    let mut table = [0; LARGEST_IN_CLASS / GRANULE + 1];
    let (mut granules, mut class) = (1, 0);
    while granules < table.len() {
        if granules > SIZES[class] {
            class += 1;
        }
        table[granules] = class as u8;
        granules += 1;
    }
    table
};

/// Bytes that an object of a class takes.
#[inline(always)]
pub const fn class_bytes(class: usize) -> usize {
    SIZES[class] * GRANULE
}

/// The size class of objects of so many bytes; `None` for larger ones.
#[inline(always)]
pub fn size_class(bytes: usize) -> Option<usize> {
    CLASS_OF.get(bytes.div_ceil(GRANULE)).map(|&c| usize::from(c))
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
    fn classes_cover_all_sizes() {
        for bytes in 1..=LARGEST_IN_CLASS {
            let c = size_class(bytes).expect("there is a class");
            assert!(class_bytes(c) >= bytes);
            assert!(c == 0 || class_bytes(c - 1) < bytes);
        }
        assert_eq!(size_class(LARGEST_IN_CLASS + 1), None);
        assert!((0..EXACT_CLASSES).all(|c| class_bytes(c) == (c + 1) * GRANULE));
    }

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
