//! The tables of a parsed module.
//!
//! Index spaces are as in the specification: imports first, then the module's own definitions.
//! Strings and segments are copied or kept as ranges into the module's bytes, which the owner keeps alive.

use crate::const_expr::ConstExpr;
use crate::registry::HeldTypes;
use crate::types::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;
use wasmparser::{UnpackedIndex, ValidatorResources, WasmFeatures};

/// A parsed module: sections validated, function bodies not yet.
///
/// It can be written down and read again, for engines whose registries give its types the same ids. What validating a body needs
/// is then made again from the module's bytes when it is first asked for.
#[derive(Clone, Serialize, Deserialize)]
pub struct Module {
    /// Canonical id of each type of the type section.
    pub types: Vec<TypeId>,
    /// Imports in order.
    pub imports: Vec<Import>,
    /// Type of each function.
    pub funcs: Vec<TypeId>,
    /// Tables.
    pub tables: Vec<Table>,
    /// Memories.
    pub memories: Vec<MemoryType>,
    /// Globals.
    pub globals: Vec<Global>,
    /// Type of each tag.
    pub tags: Vec<TypeId>,
    /// Exports in order.
    pub exports: Vec<Export>,
    /// Index into `exports` by name.
    pub export_index: HashMap<Box<str>, u32>,
    /// The start function.
    pub start: Option<u32>,
    /// Element segments.
    pub elems: Vec<ElemSegment>,
    /// Data segments.
    pub data: Vec<DataSegment>,
    /// Bodies of the module's own functions.
    pub bodies: Vec<FuncBody>,
    /// Numbers of imported functions, tables, memories, globals and tags.
    pub imported: [u32; 5],
    /// Where the content of the `name` section lies.
    pub name_section: Option<Range<usize>>,
    /// Custom sections: name and range of their content.
    pub custom_sections: Vec<(Box<str>, Range<usize>)>,
    /// What validating a body needs.
    #[serde(skip)]
    pub(crate) resources: OnceLock<ValidatorResources>,
    /// Keeps its types in their registry.
    #[serde(skip)]
    pub held: HeldTypes,
    /// Bits of [`Module::features`].
    pub(crate) features: u64,
}

/// Where a function's body lies in the module's bytes: locals and code, without the size prefix.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FuncBody {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl FuncBody {
    /// As a range of byte offsets.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One import.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Import {
    /// Name of the module it comes from.
    pub module: Box<str>,
    /// Its name there.
    pub name: Box<str>,
    /// What it must be.
    pub ty: ImportType,
}

/// What an import must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ImportType {
    /// A function of this type.
    Func(TypeId),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
    /// A tag of this function type.
    Tag(TypeId),
}

/// A table with its initialiser; imported tables have none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Table {
    /// Its type.
    pub ty: TableType,
    /// What every element starts as; null when absent.
    pub init: Option<ConstExpr>,
}

/// A global with its initialiser; imported globals have none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Global {
    /// Its type.
    pub ty: GlobalType,
    /// Its first value.
    pub init: Option<ConstExpr>,
}

/// The five kinds of things that modules import and export, in the order of [`Module::imported`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ExternKind {
    Func,
    Table,
    Memory,
    Global,
    Tag,
}

/// One export.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Export {
    /// Its name.
    pub name: Box<str>,
    /// Which index space `index` is in.
    pub kind: ExternKind,
    /// Index of what is exported.
    pub index: u32,
}

/// When an element segment is used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ElemMode {
    /// By `table.init`.
    Passive,
    /// At instantiation.
    Active {
        /// The table it is copied to.
        table: u32,
        /// Where in the table.
        offset: ConstExpr,
    },
    /// Never: it only declares functions for `ref.func`.
    Declared,
}

/// Contents of an element segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ElemItems {
    /// Functions by index.
    Funcs(Box<[u32]>),
    /// Constant expressions.
    Exprs(Box<[ConstExpr]>),
}

impl ElemItems {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            ElemItems::Funcs(f) => f.len(),
            ElemItems::Exprs(e) => e.len(),
        }
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An element segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ElemSegment {
    /// When it is used.
    pub mode: ElemMode,
    /// Type of the elements.
    pub ty: RefType,
    /// The elements.
    pub items: ElemItems,
}

/// When a data segment is used.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum DataMode {
    /// By `memory.init`.
    Passive,
    /// At instantiation.
    Active {
        /// The memory it is copied to.
        memory: u32,
        /// Where in the memory.
        offset: ConstExpr,
    },
}

/// A data segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataSegment {
    /// When it is used.
    pub mode: DataMode,
    /// Its bytes, as a range into the module.
    pub range: Range<usize>,
}

impl Module {
    /// Number of imported functions.
    pub fn imported_funcs(&self) -> u32 {
        self.imported[ExternKind::Func as usize]
    }

    /// Index among the module's own functions, or `None` for an import.
    pub fn own_func(&self, func: u32) -> Option<u32> {
        func.checked_sub(self.imported_funcs())
    }

    /// The export of that name.
    pub fn export(&self, name: &str) -> Option<&Export> {
        self.export_index.get(name).map(|&i| &self.exports[i as usize])
    }

    /// A heap type as it is written in the module.
    pub fn heap_type(&self, h: wasmparser::HeapType) -> HeapType {
        use wasmparser::AbstractHeapType as A;
        match h {
            wasmparser::HeapType::Abstract { ty, .. } => match ty {
                A::Func => HeapType::Func,
                A::NoFunc => HeapType::NoFunc,
                A::Extern => HeapType::Extern,
                A::NoExtern => HeapType::NoExtern,
                A::Any => HeapType::Any,
                A::Eq => HeapType::Eq,
                A::I31 => HeapType::I31,
                A::Struct => HeapType::Struct,
                A::Array => HeapType::Array,
                A::None => HeapType::None,
                A::Exn => HeapType::Exn,
                // Continuations are refused by the validator's features; they share exn's shape here.
                A::NoExn | A::Cont | A::NoCont => HeapType::NoExn,
            },
            wasmparser::HeapType::Concrete(i) | wasmparser::HeapType::Exact(i) => match i {
                UnpackedIndex::Module(i) => HeapType::Concrete(self.types[i as usize]),
                UnpackedIndex::RecGroup(i) => HeapType::InGroup(i),
                // Ids belong to the validator's own arena and never appear in what the readers return.
                UnpackedIndex::Id(_) => HeapType::None,
            },
        }
    }

    /// The features the module was read with.
    pub fn features(&self) -> WasmFeatures {
        WasmFeatures::from_bits_truncate(self.features)
    }
}
