//! Sections to [`Module`].
//!
//! In: a module's bytes. Out: its tables, every section validated; bodies are only located. The cost does not
//! depend on the size of the code section beyond one size field per function.

use crate::const_expr::{ConstExpr, ConstOp};
use crate::error::ParseError;
use crate::module::*;
use crate::registry::{HeldTypes, TypeRegistry};
use crate::types::*;
use std::collections::HashMap;
use std::sync::OnceLock;
use wasmparser::{
    BinaryReader, CompositeInnerType, DataKind, ElementItems, ElementKind, Encoding, ExternalKind, FuncToValidate,
    FuncValidator, FuncValidatorAllocations, Operator, Parser, Payload, TableInit, TypeRef, UnpackedIndex,
    ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

type Result<T> = std::result::Result<T, ParseError>;

/// What is accepted unless the embedder chooses otherwise: WebAssembly 3.0 with threads, wide arithmetic,
/// custom page sizes and the legacy exception instructions that toolchains still emit.
pub fn default_features() -> WasmFeatures {
    WasmFeatures::WASM3
        | WasmFeatures::THREADS
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::LEGACY_EXCEPTIONS
}

/// Parses a module and validates everything but function bodies.
///
/// # Errors
/// The first thing that is malformed or invalid, with its offset.
pub fn parse(bytes: &[u8], features: WasmFeatures, registry: &TypeRegistry) -> Result<Module> {
    if bytes.len() > u32::MAX as usize {
        return Err(ParseError::new("module is larger than 4 GiB", u64::from(u32::MAX)));
    }
    let mut p = ModuleParser::new(bytes, features, registry);
    let mut parser = Parser::new(0);
    // The readers, too, must not accept encodings of proposals that are off.
    parser.set_features(features);
    for payload in parser.parse_all(bytes) {
        p.payload(payload?)?;
    }
    Ok(p.module)
}

/// Makes the validator of one of the module's own functions, positioned before its locals, and the reader of
/// its body.
pub fn validate_body<'a>(
    module: &Module,
    bytes: &'a [u8],
    own_func: u32,
    allocs: FuncValidatorAllocations,
) -> (FuncValidator<ValidatorResources>, BinaryReader<'a>) {
    let body = module.bodies[own_func as usize];
    let index = own_func + module.imported_funcs();
    let features = module.features();
    // The module has a body, and these are the bytes it was parsed from.
    let resources = module.resources.get_or_init(|| resources(bytes, features).expect("the module has been validated"));
    let ty = wasmparser::WasmModuleResources::type_index_of_function(resources, index).unwrap_or(0);
    let to_validate = FuncToValidate { resources: resources.clone(), index, ty, features };
    let reader = BinaryReader::new_features(&bytes[body.range()], u64::from(body.start), features);
    (to_validate.into_validator(allocs), reader)
}

/// What validating bodies needs of a module, from its sections before the code.
fn resources(bytes: &[u8], features: WasmFeatures) -> Option<ValidatorResources> {
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(bytes) {
        if let ValidPayload::Func(f, _) = validator.payload(&payload.ok()?).ok()? {
            return Some(f.resources);
        }
    }
    None
}

struct ModuleParser<'a> {
    registry: &'a TypeRegistry,
    bytes: &'a [u8],
    validator: Validator,
    module: Module,
}

impl<'a> ModuleParser<'a> {
    fn new(bytes: &'a [u8], features: WasmFeatures, registry: &'a TypeRegistry) -> Self {
        let module = Module {
            types: vec![],
            imports: vec![],
            funcs: vec![],
            tables: vec![],
            memories: vec![],
            globals: vec![],
            tags: vec![],
            exports: vec![],
            export_index: HashMap::new(),
            start: None,
            elems: vec![],
            data: vec![],
            bodies: vec![],
            imported: [0; 5],
            name_section: None,
            custom_sections: vec![],
            resources: OnceLock::new(),
            held: HeldTypes::default(),
            features: features.bits(),
        };
        ModuleParser { registry, bytes, validator: Validator::new_with_features(features), module }
    }

    /// Offset of a slice that the reader took from the module's bytes.
    fn range_of(&self, part: &[u8]) -> std::ops::Range<usize> {
        let start = (part.as_ptr() as usize).wrapping_sub(self.bytes.as_ptr() as usize);
        start..start + part.len()
    }

    fn payload(&mut self, payload: Payload<'a>) -> Result<()> {
        if let Payload::Version { encoding: Encoding::Component, range, .. } = &payload {
            return Err(ParseError::new(
                "this is a component, and only core modules can be run (extract or build its core module instead)",
                range.start,
            ));
        }
        if let ValidPayload::Func(to_validate, body) = self.validator.payload(&payload)? {
            let range = body.range();
            self.module.bodies.push(FuncBody { start: range.start as u32, end: range.end as u32 });
            self.module.resources.get_or_init(|| to_validate.resources);
            return Ok(());
        }
        match payload {
            Payload::TypeSection(s) => self.types(s)?,
            Payload::ImportSection(s) => self.imports(s)?,
            Payload::FunctionSection(s) => {
                for index in s {
                    self.module.funcs.push(self.module.types[index? as usize]);
                }
            }
            Payload::TableSection(s) => self.tables(s)?,
            Payload::MemorySection(s) => {
                for ty in s {
                    self.module.memories.push(memory_type(ty?));
                }
            }
            Payload::TagSection(s) => {
                for tag in s {
                    self.module.tags.push(self.module.types[tag?.func_type_idx as usize]);
                }
            }
            Payload::GlobalSection(s) => {
                for g in s {
                    let g = g?;
                    let global = Global { ty: self.global_type(g.ty), init: Some(self.const_expr(&g.init_expr)?) };
                    self.module.globals.push(global);
                }
            }
            Payload::ExportSection(s) => self.exports(s)?,
            Payload::StartSection { func, .. } => self.module.start = Some(func),
            Payload::ElementSection(s) => self.elements(s)?,
            Payload::DataSection(s) => self.data(s)?,
            Payload::CodeSectionStart { count, .. } => {
                // Bounded by the function section, which has been read and agrees in number once validated.
                self.module.bodies.reserve((count as usize).min(self.module.funcs.len()));
            }
            Payload::CustomSection(c) => {
                let range = self.range_of(c.data());
                if c.name() == "name" {
                    self.module.name_section = Some(range.clone());
                }
                self.module.custom_sections.push((c.name().into(), range));
            }
            _ => {}
        }
        Ok(())
    }

    fn types(&mut self, section: wasmparser::TypeSectionReader<'a>) -> Result<()> {
        for group in section {
            let group = group?;
            let base = self.module.types.len() as u32;
            let count = group.types().len() as u32;
            let members = group.types().map(|t| self.sub_type(t, base, count)).collect::<Result<Vec<_>>>()?;
            let ids = self.registry.intern_group(&mut self.module.held, members);
            self.module.types.extend_from_slice(ids);
        }
        Ok(())
    }

    /// Converts a type of the recursion group that holds type indices `base..base + count`.
    fn sub_type(&self, t: &wasmparser::SubType, base: u32, count: u32) -> Result<SubType> {
        let heap = |h| self.heap_type_in(h, base, count);
        let val = |v| val_type(v, &heap);
        let field = |f: &wasmparser::FieldType| FieldType {
            mutable: f.mutable,
            storage: match f.element_type {
                wasmparser::StorageType::I8 => StorageType::I8,
                wasmparser::StorageType::I16 => StorageType::I16,
                wasmparser::StorageType::Val(v) => StorageType::Val(val(v)),
            },
        };
        let composite = match &t.composite_type.inner {
            CompositeInnerType::Func(f) => CompositeType::Func(FuncType {
                params: f.params().iter().map(|&v| val(v)).collect(),
                results: f.results().iter().map(|&v| val(v)).collect(),
            }),
            CompositeInnerType::Struct(s) => CompositeType::Struct(s.fields.iter().map(field).collect()),
            CompositeInnerType::Array(a) => CompositeType::Array(field(&a.0)),
            CompositeInnerType::Cont(_) => return Err(ParseError::new("continuation types are not supported", 0)),
        };
        let supertype = t
            .supertype_idxs
            .first()
            .and_then(|i| i.unpack().as_module_index())
            .map(|i| self.heap_type_in(wasmparser::HeapType::Concrete(UnpackedIndex::Module(i)), base, count));
        Ok(SubType { is_final: t.is_final, supertype, composite })
    }

    fn heap_type_in(&self, h: wasmparser::HeapType, base: u32, count: u32) -> HeapType {
        match h {
            wasmparser::HeapType::Concrete(UnpackedIndex::Module(i))
            | wasmparser::HeapType::Exact(UnpackedIndex::Module(i))
                if i >= base && i - base < count =>
            {
                HeapType::InGroup(i - base)
            }
            h => self.module.heap_type(h),
        }
    }

    fn heap_type(&self, h: wasmparser::HeapType) -> HeapType {
        self.module.heap_type(h)
    }
    fn ref_type(&self, r: wasmparser::RefType) -> RefType {
        RefType { nullable: r.is_nullable(), heap: self.heap_type(r.heap_type()) }
    }
    fn table_type(&self, t: wasmparser::TableType) -> TableType {
        TableType { element: self.ref_type(t.element_type), min: t.initial, max: t.maximum, is64: t.table64 }
    }
    fn global_type(&self, g: wasmparser::GlobalType) -> GlobalType {
        GlobalType { content: val_type(g.content_type, &|h| self.heap_type(h)), mutable: g.mutable }
    }

    fn imports(&mut self, section: wasmparser::ImportSectionReader<'a>) -> Result<()> {
        for import in section.into_imports() {
            let import = import?;
            let m = &mut self.module;
            let (kind, ty) = match import.ty {
                TypeRef::Func(i) | TypeRef::FuncExact(i) => {
                    m.funcs.push(m.types[i as usize]);
                    (ExternKind::Func, ImportType::Func(m.types[i as usize]))
                }
                TypeRef::Table(t) => {
                    let ty = self.table_type(t);
                    self.module.tables.push(Table { ty, init: None });
                    (ExternKind::Table, ImportType::Table(ty))
                }
                TypeRef::Memory(t) => {
                    m.memories.push(memory_type(t));
                    (ExternKind::Memory, ImportType::Memory(memory_type(t)))
                }
                TypeRef::Global(t) => {
                    let ty = self.global_type(t);
                    self.module.globals.push(Global { ty, init: None });
                    (ExternKind::Global, ImportType::Global(ty))
                }
                TypeRef::Tag(t) => {
                    let ty = m.types[t.func_type_idx as usize];
                    m.tags.push(ty);
                    (ExternKind::Tag, ImportType::Tag(ty))
                }
            };
            self.module.imported[kind as usize] += 1;
            self.module.imports.push(Import { module: import.module.into(), name: import.name.into(), ty });
        }
        Ok(())
    }

    fn tables(&mut self, section: wasmparser::TableSectionReader<'a>) -> Result<()> {
        for table in section {
            let table = table?;
            let init = match &table.init {
                TableInit::RefNull => None,
                TableInit::Expr(e) => Some(self.const_expr(e)?),
            };
            let ty = self.table_type(table.ty);
            self.module.tables.push(Table { ty, init });
        }
        Ok(())
    }

    fn exports(&mut self, section: wasmparser::ExportSectionReader<'a>) -> Result<()> {
        for export in section {
            let export = export?;
            let kind = match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => ExternKind::Func,
                ExternalKind::Table => ExternKind::Table,
                ExternalKind::Memory => ExternKind::Memory,
                ExternalKind::Global => ExternKind::Global,
                ExternalKind::Tag => ExternKind::Tag,
            };
            let m = &mut self.module;
            m.export_index.insert(export.name.into(), m.exports.len() as u32);
            m.exports.push(Export { name: export.name.into(), kind, index: export.index });
        }
        Ok(())
    }

    fn elements(&mut self, section: wasmparser::ElementSectionReader<'a>) -> Result<()> {
        for elem in section {
            let elem = elem?;
            let mode = match elem.kind {
                ElementKind::Passive => ElemMode::Passive,
                ElementKind::Declared => ElemMode::Declared,
                ElementKind::Active { table_index, offset_expr } => {
                    ElemMode::Active { table: table_index.unwrap_or(0), offset: self.const_expr(&offset_expr)? }
                }
            };
            let (ty, items) = match elem.items {
                ElementItems::Functions(f) => {
                    let funcs = f.into_iter().collect::<std::result::Result<_, _>>()?;
                    (RefType { nullable: false, heap: HeapType::Func }, ElemItems::Funcs(funcs))
                }
                ElementItems::Expressions(ty, exprs) => {
                    let exprs = exprs.into_iter().map(|e| self.const_expr(&e?)).collect::<Result<_>>()?;
                    (self.ref_type(ty), ElemItems::Exprs(exprs))
                }
            };
            self.module.elems.push(ElemSegment { mode, ty, items });
        }
        Ok(())
    }

    fn data(&mut self, section: wasmparser::DataSectionReader<'a>) -> Result<()> {
        for data in section {
            let data = data?;
            let mode = match data.kind {
                DataKind::Passive => DataMode::Passive,
                DataKind::Active { memory_index, offset_expr } => {
                    DataMode::Active { memory: memory_index, offset: self.const_expr(&offset_expr)? }
                }
            };
            let range = self.range_of(data.data);
            self.module.data.push(DataSegment { mode, range });
        }
        Ok(())
    }

    fn const_expr(&self, expr: &wasmparser::ConstExpr<'a>) -> Result<ConstExpr> {
        let types = &self.module.types;
        let mut ops = Vec::with_capacity(1);
        for op in expr.get_operators_reader() {
            ops.push(match op? {
                Operator::I32Const { value } => ConstOp::I32Const(value),
                Operator::I64Const { value } => ConstOp::I64Const(value),
                Operator::F32Const { value } => ConstOp::F32Const(value.bits()),
                Operator::F64Const { value } => ConstOp::F64Const(value.bits()),
                Operator::V128Const { value } => ConstOp::V128Const(value.i128() as u128),
                Operator::RefNull { hty } => ConstOp::RefNull(self.heap_type(hty)),
                Operator::RefFunc { function_index } => ConstOp::RefFunc(function_index),
                Operator::GlobalGet { global_index } => ConstOp::GlobalGet(global_index),
                Operator::I32Add => ConstOp::I32Add,
                Operator::I32Sub => ConstOp::I32Sub,
                Operator::I32Mul => ConstOp::I32Mul,
                Operator::I64Add => ConstOp::I64Add,
                Operator::I64Sub => ConstOp::I64Sub,
                Operator::I64Mul => ConstOp::I64Mul,
                Operator::StructNew { struct_type_index: t } => ConstOp::StructNew(types[t as usize]),
                Operator::StructNewDefault { struct_type_index: t } => ConstOp::StructNewDefault(types[t as usize]),
                Operator::ArrayNew { array_type_index: t } => ConstOp::ArrayNew(types[t as usize]),
                Operator::ArrayNewDefault { array_type_index: t } => ConstOp::ArrayNewDefault(types[t as usize]),
                Operator::ArrayNewFixed { array_type_index: t, array_size } => {
                    ConstOp::ArrayNewFixed(types[t as usize], array_size)
                }
                Operator::RefI31 => ConstOp::RefI31,
                Operator::AnyConvertExtern => ConstOp::AnyConvertExtern,
                Operator::ExternConvertAny => ConstOp::ExternConvertAny,
                Operator::End => continue,
                // The section's validator has accepted it, and accepts nothing else.
                _ => {
                    return Err(ParseError::new(
                        "an instruction that is not constant",
                        expr.get_binary_reader().original_position(),
                    ));
                }
            });
        }
        Ok(ConstExpr(ops.into()))
    }
}

fn val_type(v: wasmparser::ValType, heap: &dyn Fn(wasmparser::HeapType) -> HeapType) -> ValType {
    match v {
        wasmparser::ValType::I32 => ValType::I32,
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        wasmparser::ValType::V128 => ValType::V128,
        wasmparser::ValType::Ref(r) => ValType::Ref(RefType { nullable: r.is_nullable(), heap: heap(r.heap_type()) }),
    }
}

fn memory_type(m: wasmparser::MemoryType) -> MemoryType {
    MemoryType {
        min: m.initial,
        max: m.maximum,
        is64: m.memory64,
        shared: m.shared,
        page_size_log2: m.page_size_log2.unwrap_or(16),
    }
}
