//! What a WebAssembly module is, before anything runs.
//!
//! In: the bytes of a module. Out: a [`Module`] — its sections as plain tables, with every type replaced by
//! its canonical [`TypeId`] — and the resources with which a function body can be validated later, on its own.
//! Invariant: nothing here executes, maps memory or touches files, and no input makes it panic; a module
//! that parses has valid sections (all but the function bodies, whose validation may be deferred).

#![forbid(unsafe_code)]

mod const_expr;
mod error;
mod frame;
pub mod layout;
mod module;
mod names;
mod object;
pub mod operators;
mod parse;
mod registry;
mod types;

pub use const_expr::{ConstExpr, ConstOp};
pub use error::ParseError;
pub use frame::FrameLayout;
pub use module::{
    DataMode, DataSegment, ElemItems, ElemMode, ElemSegment, Export, ExternKind, FuncBody, Global, Import, ImportType,
    Module, Table,
};
pub use names::Names;
pub use object::{EXACT_CLASSES, GRANULE, LARGEST_IN_CLASS, SIZE_CLASSES, StructLayout, class_bytes, size_class};
pub use parse::{default_features, parse, validate_body};
pub use registry::{Attachment, DefinedType, HeldTypes, TypeRegistry};
pub use types::{
    CompositeType, FieldType, FuncType, GlobalType, HeapType, MemoryType, RefType, StorageType, SubType, TableType,
    TypeId, ValType,
};
pub use wasmparser::WasmFeatures as Features;
