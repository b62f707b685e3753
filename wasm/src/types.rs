//! Types of the specification, with concrete heap types as engine-wide canonical ids.
//!
//! Two types are equal here exactly when the specification calls them equivalent, so comparing ids suffices.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Canonical id of a defined type, unique within one [`TypeRegistry`](crate::TypeRegistry).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct TypeId(pub u32);

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// A reference.
    Ref(RefType),
}

/// The type of a reference.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RefType {
    /// Whether null belongs to the type.
    pub nullable: bool,
    /// What it refers to.
    pub heap: HeapType,
}

/// What a reference refers to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // the names are the specification's
pub enum HeapType {
    Func,
    NoFunc,
    Extern,
    NoExtern,
    Any,
    Eq,
    I31,
    Struct,
    Array,
    None,
    Exn,
    NoExn,
    /// A defined type.
    Concrete(TypeId),
    /// While a recursion group is being canonicalised: the n-th type of that group.
    InGroup(u32),
}

impl RefType {
    /// `(ref null func)`
    pub const FUNCREF: RefType = RefType { nullable: true, heap: HeapType::Func };
    /// `(ref null extern)`
    pub const EXTERNREF: RefType = RefType { nullable: true, heap: HeapType::Extern };
}

impl ValType {
    /// `funcref`
    pub const FUNCREF: ValType = ValType::Ref(RefType::FUNCREF);
    /// `externref`
    pub const EXTERNREF: ValType = ValType::Ref(RefType::EXTERNREF);

    /// How many 64-bit slots a value of this type takes.
    pub fn slots(self) -> u32 {
        if self == ValType::V128 { 2 } else { 1 }
    }

    /// Whether every value of the type can be made without an initialiser.
    pub fn is_defaultable(self) -> bool {
        !matches!(self, ValType::Ref(RefType { nullable: false, .. }))
    }
}

/// A function type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FuncType {
    /// Types of the parameters.
    pub params: Box<[ValType]>,
    /// Types of the results.
    pub results: Box<[ValType]>,
}

impl FuncType {
    /// Slots that the parameters take.
    pub fn param_slots(&self) -> u32 {
        self.params.iter().map(|t| t.slots()).sum()
    }
    /// Slots that the results take.
    pub fn result_slots(&self) -> u32 {
        self.results.iter().map(|t| t.slots()).sum()
    }
}

/// What a field of a struct or an element of an array holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum StorageType {
    /// Packed 8-bit integer.
    I8,
    /// Packed 16-bit integer.
    I16,
    /// A whole value.
    Val(ValType),
}

/// A field.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FieldType {
    /// What it holds.
    pub storage: StorageType,
    /// Whether it can be written.
    pub mutable: bool,
}

/// The structure of a defined type.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CompositeType {
    /// A function.
    Func(FuncType),
    /// A struct.
    Struct(Box<[FieldType]>),
    /// An array.
    Array(FieldType),
}

/// A defined type with its place in the subtype hierarchy.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SubType {
    /// Whether other types may not extend it.
    pub is_final: bool,
    /// The declared supertype ([`HeapType::Concrete`], or [`HeapType::InGroup`] within its own group).
    pub supertype: Option<HeapType>,
    /// Its structure.
    pub composite: CompositeType,
}

impl ValType {
    fn map_heap(self, to: &impl Fn(HeapType) -> HeapType) -> ValType {
        match self {
            ValType::Ref(r) => ValType::Ref(RefType { nullable: r.nullable, heap: to(r.heap) }),
            other => other,
        }
    }
}

impl FieldType {
    fn map_heap(self, to: &impl Fn(HeapType) -> HeapType) -> FieldType {
        match self.storage {
            StorageType::Val(v) => FieldType { storage: StorageType::Val(v.map_heap(to)), ..self },
            _ => self,
        }
    }
}

impl SubType {
    /// The same with other types in the place of those that it refers to.
    pub(crate) fn map_heaps(&self, to: &impl Fn(HeapType) -> HeapType) -> SubType {
        let values = |list: &[ValType]| list.iter().map(|v| v.map_heap(to)).collect();
        let composite = match &self.composite {
            CompositeType::Func(f) => {
                CompositeType::Func(FuncType { params: values(&f.params), results: values(&f.results) })
            }
            CompositeType::Struct(fs) => CompositeType::Struct(fs.iter().map(|f| f.map_heap(to)).collect()),
            CompositeType::Array(f) => CompositeType::Array(f.map_heap(to)),
        };
        SubType { is_final: self.is_final, supertype: self.supertype.map(to), composite }
    }

    /// Looks at all types that it refers to.
    pub(crate) fn each_heap(&self, look: &mut impl FnMut(HeapType)) {
        self.supertype.into_iter().for_each(&mut *look);
        let mut value = |v: &ValType| {
            if let ValType::Ref(r) = v {
                look(r.heap);
            }
        };
        let mut field = |f: &FieldType| {
            if let StorageType::Val(v) = &f.storage {
                value(v);
            }
        };
        match &self.composite {
            CompositeType::Func(f) => f.params.iter().chain(&f.results).for_each(value),
            CompositeType::Struct(fs) => fs.iter().for_each(field),
            CompositeType::Array(f) => field(f),
        }
    }
}

/// Type of a table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TableType {
    /// Type of the elements.
    pub element: RefType,
    /// Initial number of elements.
    pub min: u64,
    /// Greatest number of elements.
    pub max: Option<u64>,
    /// Whether it is indexed by i64.
    pub is64: bool,
}

/// Type of a linear memory. Sizes are in pages of `1 << page_size_log2` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct MemoryType {
    /// Initial size in pages.
    pub min: u64,
    /// Greatest size in pages.
    pub max: Option<u64>,
    /// Whether it is indexed by i64.
    pub is64: bool,
    /// Whether several threads may use it.
    pub shared: bool,
    /// Logarithm of the page size: 16, or 0 with custom page sizes.
    pub page_size_log2: u32,
}

impl MemoryType {
    /// Greatest number of pages that the index type can address, whatever the declared maximum.
    pub fn absolute_max_pages(&self) -> u64 {
        let address_bits = if self.is64 { 64 } else { 32 };
        match address_bits - self.page_size_log2 {
            64 => u64::MAX,
            n => 1u64 << n,
        }
    }
}

/// Type of a global.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct GlobalType {
    /// Type of the value.
    pub content: ValType,
    /// Whether it can be written.
    pub mutable: bool,
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeapType::Func => "func",
            HeapType::NoFunc => "nofunc",
            HeapType::Extern => "extern",
            HeapType::NoExtern => "noextern",
            HeapType::Any => "any",
            HeapType::Eq => "eq",
            HeapType::I31 => "i31",
            HeapType::Struct => "struct",
            HeapType::Array => "array",
            HeapType::None => "none",
            HeapType::Exn => "exn",
            HeapType::NoExn => "noexn",
            HeapType::Concrete(id) => return write!(f, "(type {})", id.0),
            HeapType::InGroup(i) => return write!(f, "(rec {i})"),
        })
    }
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefType { nullable: true, heap: HeapType::Func } => f.write_str("funcref"),
            RefType { nullable: true, heap: HeapType::Extern } => f.write_str("externref"),
            RefType { nullable: true, heap } => write!(f, "(ref null {heap})"),
            RefType { nullable: false, heap } => write!(f, "(ref {heap})"),
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValType::I32 => "i32",
            ValType::I64 => "i64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
            ValType::V128 => "v128",
            ValType::Ref(r) => return r.fmt(f),
        })
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, tys: &[ValType]| -> fmt::Result {
            f.write_str("(")?;
            for (i, t) in tys.iter().enumerate() {
                write!(f, "{}{t}", if i == 0 { "" } else { ", " })?;
            }
            f.write_str(")")
        };
        list(f, &self.params)?;
        f.write_str(" -> ")?;
        list(f, &self.results)
    }
}
