//! Structs, arrays, i31 and tests of types.
//!
//! In: operators on objects. Out: accesses at constant offsets or by index behind the checks that they need; calls of helpers for what works on
//! many elements; comparisons of one word for casts. A check that has passed on the way is not made again, nor is one that
//! the operand's static type answers. Invariant: an access has the object itself as operand, never a pointer into it, since
//! only the address of an object keeps it alive.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`loads`) in which it does not hold:
//! - Fields at other offsets, or of another layout, are apart; the same field of two references is not, nor are
//!   elements at two indices.
//! - What never changes is remembered as such only for immutable fields and elements, lengths and types.

use super::builder::Builder;
use super::loads::Place;
use crate::abi::{Helper, TrapCode};
use crate::ir::{Alias, Inst, IntCc, MemKind, Op, SimdOp, Type, Value};
use std::rc::Rc;
use wasm::layout::{context, object};
use wasm::operators::class;
use wasm::{CompositeType, FieldType, StorageType, StructLayout};
use wasmparser::Operator;

/// A field or the elements of an array.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    storage: StorageType,
    /// Of a field, from the object's start.
    offset: u32,
    alias: Alias,
}

/// A type of structs.
pub(super) struct StructType {
    fields: Vec<Cell>,
    /// Bytes of an object.
    pub(super) size: usize,
}

impl Cell {
    fn new(field: &FieldType, offset: u32, mutable: Alias) -> Cell {
        Cell { storage: field.storage, offset, alias: if field.mutable { mutable } else { Alias::Fixed } }
    }
    /// Type of the value, and how it is read.
    fn kind(&self, signed: bool) -> (Type, MemKind) {
        match (self.storage, signed) {
            (StorageType::I8, false) => (Type::I32, MemKind::U8),
            (StorageType::I8, true) => (Type::I32, MemKind::S8),
            (StorageType::I16, false) => (Type::I32, MemKind::U16),
            (StorageType::I16, true) => (Type::I32, MemKind::S16),
            (StorageType::Val(v), _) => (Type::of(v), MemKind::Whole),
        }
    }
    /// Base two logarithm of the width.
    pub(super) fn width(&self) -> u32 {
        self.storage.bytes().trailing_zeros()
    }
}

/// How far below the top of the operand stack the reference lies that an operator looks into.
pub(super) fn reference_depth(op: &Operator<'_>) -> Option<usize> {
    wasm::operators::facts(op).reference.map(usize::from)
}

impl Builder<'_> {
    /// Translates an operator on objects; false if it is another.
    pub(super) fn object_operator(&mut self, op: &Operator<'_>) -> bool {
        self.access(op) || self.make(op) || self.many(op) || self.test(op)
    }

    fn access(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::StructGet { struct_type_index: t, field_index: f }
            | Operator::StructGetU { struct_type_index: t, field_index: f } => self.struct_get(t, f, false),
            Operator::StructGetS { struct_type_index: t, field_index: f } => self.struct_get(t, f, true),
            Operator::StructSet { struct_type_index: t, field_index: f } => self.struct_set(t, f),
            Operator::ArrayGet { array_type_index: t } | Operator::ArrayGetU { array_type_index: t } => {
                self.array_get(t, false);
            }
            Operator::ArrayGetS { array_type_index: t } => self.array_get(t, true),
            Operator::ArraySet { array_type_index: t } => self.array_set(t),
            Operator::ArrayLen => self.array_len(),
            Operator::RefI31 => self.ref_i31(),
            Operator::I31GetS => self.i31_get(Op::ShrS),
            Operator::I31GetU => self.i31_get(Op::ShrU),
            _ => return false,
        }
        true
    }

    fn make(&mut self, op: &Operator<'_>) -> bool {
        let v = match *op {
            Operator::StructNew { struct_type_index: t } => self.struct_new(t),
            Operator::StructNewDefault { struct_type_index: t } => self.new_struct(t),
            Operator::ArrayNew { array_type_index: t } => self.array_new(t),
            Operator::ArrayNewDefault { array_type_index: t } => {
                let len = self.pop();
                self.new_array(t, len)
            }
            Operator::ArrayNewFixed { array_type_index: t, array_size: n } => self.array_new_fixed(t, n),
            Operator::ArrayNewData { array_type_index: t, array_data_index: segment } => {
                self.array_of_segment(Helper::ArrayNewData, t, segment)
            }
            Operator::ArrayNewElem { array_type_index: t, array_elem_index: segment } => {
                self.array_of_segment(Helper::ArrayNewElem, t, segment)
            }
            _ => return false,
        };
        self.stack.push(v);
        true
    }

    fn many(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::ArrayFill { .. } => self.array_fill(),
            Operator::ArrayCopy { .. } => self.array_copy(),
            Operator::ArrayInitData { array_data_index: segment, .. } => {
                self.array_init(Helper::ArrayInitData, segment);
            }
            Operator::ArrayInitElem { array_elem_index: segment, .. } => {
                self.array_init(Helper::ArrayInitElem, segment);
            }
            _ => return false,
        }
        true
    }

    // ---- types

    fn field(&mut self, ty: u32, field: u32) -> Cell {
        self.struct_type(ty).fields[field as usize]
    }

    /// A struct type, which is worked out once.
    pub(super) fn struct_type(&mut self, ty: u32) -> Rc<StructType> {
        let new = || match &self.env.types.get(self.module.types[ty as usize]).composite {
            CompositeType::Struct(fields) => {
                let StructLayout { offsets, size } = StructLayout::new(fields);
                let fields = fields.iter().zip(&offsets).map(|(f, &at)| Cell::new(f, at, Alias::Field)).collect();
                Rc::new(StructType { fields, size: size as usize })
            }
            // Validation has found a struct.
            _ => Rc::new(StructType { fields: Vec::new(), size: object::FIELDS }),
        };
        self.structs.entry(ty).or_insert_with(new).clone()
    }

    pub(super) fn elements(&self, ty: u32) -> Cell {
        let none = FieldType { storage: StorageType::I8, mutable: true };
        match &self.env.types.get(self.module.types[ty as usize]).composite {
            CompositeType::Array(f) => Cell::new(f, 0, Alias::Element),
            _ => Cell::new(&none, 0, Alias::Element),
        }
    }

    /// Pointer to a type of objects of the module.
    pub(super) fn object_type(&mut self, ty: u32) -> Value {
        self.array_entry(context::OBJECT_TYPES, ty)
    }

    // ---- checks

    /// Whether null is excluded by the static type of the operator's reference.
    pub(super) fn is_never_null(&self) -> bool {
        matches!(self.operand, Some(wasmparser::ValType::Ref(r)) if !r.is_nullable())
    }

    /// Traps with the code when the operator's reference is null.
    pub(super) fn check_null(&mut self, reference: Value, code: TrapCode) {
        if !self.is_never_null() {
            let is_null = self.icmp_const(IntCc::Eq, reference, 0);
            self.trap_if(is_null, code);
        }
    }

    // ---- reading and writing

    /// A value in an object that is not null.
    pub(super) fn object_load(&mut self, object: Value, offset: u32, ty: Type, kind: MemKind, alias: Alias) -> Value {
        let place = Place::pointer(&self.f, alias, object, i64::from(offset), ty, kind);
        if let Some(v) = place.and_then(|p| self.known(&p)) {
            return v;
        }
        let args = [object, Value::NONE, Value::NONE];
        let load = Inst { idx: alias as u32, aux: kind as u8, args, imm: offset.into(), ..Inst::new(Op::PLoad, ty) };
        let v = self.push(load);
        if let Some(p) = place {
            self.remember_load(p, v);
        }
        v
    }

    /// Writes to an object that is not null, whose class of memory is told of it by the caller.
    fn object_store(&mut self, object: Value, offset: u32, v: Value, kind: MemKind, alias: Alias) {
        let stored = if kind == MemKind::Whole { v } else { self.low_part(v, kind) };
        let args = [object, stored, Value::NONE];
        let (idx, imm) = (alias as u32, i64::from(offset));
        self.push(Inst { idx, aux: kind as u8, args, imm, ..Inst::new(Op::PStore, Type::Void) });
    }

    fn struct_get(&mut self, ty: u32, field: u32, signed: bool) {
        let cell = self.field(ty, field);
        let object = self.pop();
        self.check_null(object, TrapCode::NullStructureReference);
        let (ty, kind) = cell.kind(signed);
        let v = self.object_load(object, cell.offset, ty, kind, cell.alias);
        self.stack.push(v);
    }

    fn struct_set(&mut self, ty: u32, field: u32) {
        let cell = self.field(ty, field);
        let (object, v) = self.pop2();
        self.check_null(object, TrapCode::NullStructureReference);
        let (ty, kind) = cell.kind(false);
        self.object_store(object, cell.offset, v, kind, cell.alias);
        if let Some(p) = Place::pointer(&self.f, cell.alias, object, i64::from(cell.offset), ty, kind) {
            self.remember_store(p, v);
        }
    }

    // ---- arrays

    fn length(&mut self, array: Value) -> Value {
        self.object_load(array, object::LEN as u32, Type::I32, MemKind::Whole, Alias::Fixed)
    }

    fn array_len(&mut self) {
        let array = self.pop();
        self.check_null(array, TrapCode::NullArrayReference);
        let v = self.length(array);
        self.stack.push(v);
    }

    /// Checks array and index; answers what is to be added to the array's address as far as it is no constant, times the
    /// width (eight at most), and the constant.
    fn element(&mut self, cell: &Cell, array: Value, index: Value) -> (Value, u32) {
        self.check_null(array, TrapCode::NullArrayReference);
        let length = self.length(array);
        let beyond = self.icmp(IntCc::GeU, index, length);
        self.trap_if(beyond, TrapCode::ArrayOutOfBounds);
        let elements = object::ELEMENTS as u32;
        match self.f.as_iconst(index) {
            Some(c) if (0..1 << 26).contains(&c) => (Value::NONE, elements + ((c as u32) << cell.width())),
            _ => {
                let index = self.wide(index);
                let doubled = cell.width() == 4;
                (if doubled { self.bin_const(Op::Shl, Type::I64, index, 1) } else { index }, elements)
            }
        }
    }

    fn array_get(&mut self, ty: u32, signed: bool) {
        let cell = self.elements(ty);
        let (array, index) = self.pop2();
        let (index, offset) = self.element(&cell, array, index);
        let (ty, kind) = cell.kind(signed);
        if index == Value::NONE {
            let v = self.object_load(array, offset, ty, kind, cell.alias);
            return self.stack.push(v);
        }
        let place = Place::pointer(&self.f, cell.alias, array, i64::from(offset), ty, kind).map(|p| p.at(index));
        if let Some(v) = place.and_then(|p| self.known(&p)) {
            return self.stack.push(v);
        }
        let (idx, imm) = (cell.alias as u32, i64::from(offset));
        let args = [array, index, Value::NONE];
        let v = self.push(Inst { idx, aux: kind as u8, args, imm, ..Inst::new(Op::ELoad, ty) });
        if let Some(p) = place {
            self.remember_load(p, v);
        }
        self.stack.push(v);
    }

    fn array_set(&mut self, ty: u32) {
        let cell = self.elements(ty);
        let v = self.pop();
        let (array, index) = self.pop2();
        let (index, offset) = self.element(&cell, array, index);
        let (ty, kind) = cell.kind(false);
        let mut place = Place::pointer(&self.f, cell.alias, array, i64::from(offset), ty, kind);
        if index == Value::NONE {
            self.object_store(array, offset, v, kind, cell.alias);
        } else {
            let stored = if kind == MemKind::Whole { v } else { self.low_part(v, kind) };
            let (idx, imm) = (cell.alias as u32, i64::from(offset));
            let args = [array, stored, index];
            self.push(Inst { idx, aux: kind as u8, args, imm, ..Inst::new(Op::EStore, Type::Void) });
            place = place.map(|p| p.at(index));
        }
        if let Some(p) = place {
            self.remember_store(p, v);
        }
    }

    // ---- new objects

    /// Writes a field or element of a new object, which consists of zeros.
    fn initialise(&mut self, new: Value, cell: &Cell, offset: u32, v: Value) {
        let (ty, kind) = cell.kind(false);
        if !self.is_zero(v) {
            self.object_store(new, offset, v, kind, cell.alias);
        }
        if let Some(p) = Place::pointer(&self.f, cell.alias, new, i64::from(offset), ty, kind) {
            self.remember_first(p, v);
        }
    }

    fn is_zero(&self, v: Value) -> bool {
        let i = self.f.inst(v);
        match i.op {
            Op::Iconst | Op::Fconst => i.imm == 0,
            Op::Vconst => self.f.vectors[i.imm as usize] == 0,
            _ => false,
        }
    }

    fn struct_new(&mut self, ty: u32) -> Value {
        let of = self.struct_type(ty);
        let values = self.pop_n(of.fields.len());
        let new = self.new_struct(ty);
        for (cell, &v) in of.fields.iter().zip(&values) {
            self.initialise(new, cell, cell.offset, v);
        }
        new
    }

    fn array_new(&mut self, ty: u32) -> Value {
        let (v, len) = self.pop2();
        if self.is_zero(v) {
            return self.new_array(ty, len);
        }
        let t = self.object_type(ty);
        let wide = self.wide(len);
        let [low, high] = self.halves(v);
        let new = self.helper(Helper::ArrayNewOf, &[t, wide, low, high]);
        self.remember_length(new, len);
        new
    }

    fn array_new_fixed(&mut self, ty: u32, n: u32) -> Value {
        let cell = self.elements(ty);
        let values = self.pop_n(n as usize);
        let len = self.f.iconst(Type::I32, n.into());
        let new = self.new_array(ty, len);
        for (i, &v) in values.iter().enumerate() {
            let offset = object::ELEMENTS as u32 + ((i as u32) << cell.width());
            self.initialise(new, &cell, offset, v);
        }
        new
    }

    fn array_of_segment(&mut self, helper: Helper, ty: u32, segment: u32) -> Value {
        let (offset, len) = self.pop2();
        let t = self.object_type(ty);
        let segment = self.i64_const(segment.into());
        let (offset, wide) = (self.wide(offset), self.wide(len));
        let new = self.helper(helper, &[t, segment, offset, wide]);
        self.remember_length(new, len);
        new
    }

    // ---- many elements

    /// A value as two integers of 64 bits.
    fn halves(&mut self, v: Value) -> [Value; 2] {
        let low = match self.f.ty(v) {
            Type::F32 => self.un(Op::Bitcast, Type::I32, v),
            Type::F64 => self.un(Op::Bitcast, Type::I64, v),
            Type::V128 => return [0, 1].map(|lane| self.simd(SimdOp::I64x2ExtractLane, lane, &[v])),
            _ => v,
        };
        [self.wide(low), self.i64_const(0)]
    }

    fn array_fill(&mut self) {
        let (v, len) = self.pop2();
        let (array, at) = self.pop2();
        let [low, high] = self.halves(v);
        let (at, len) = (self.wide(at), self.wide(len));
        self.helper(Helper::ArrayFill, &[array, at, len, low, high]);
        self.loads.clobber(class::ELEMENT);
    }

    fn array_copy(&mut self) {
        let len = self.pop();
        let (from, src) = self.pop2();
        let (to, dst) = self.pop2();
        let (dst, src, len) = (self.wide(dst), self.wide(src), self.wide(len));
        self.helper(Helper::ArrayCopy, &[to, dst, from, src, len]);
        self.loads.clobber(class::ELEMENT);
    }

    fn array_init(&mut self, helper: Helper, segment: u32) {
        let (offset, len) = self.pop2();
        let (array, at) = self.pop2();
        let segment = self.i64_const(segment.into());
        let (at, offset, len) = (self.wide(at), self.wide(offset), self.wide(len));
        self.helper(helper, &[array, at, offset, len, segment]);
        self.loads.clobber(class::ELEMENT);
    }

    // ---- i31

    fn ref_i31(&mut self) {
        let v = self.pop();
        let v = self.bin_const(Op::Shl, Type::I32, v, 1);
        let v = self.bin_const(Op::Or, Type::I32, v, 1);
        let v = self.un(Op::ExtU, Type::I64, v);
        self.stack.push(v);
    }

    fn i31_get(&mut self, shift: Op) {
        let v = self.pop();
        self.check_null(v, TrapCode::NullI31Reference);
        let v = self.un(Op::Wrap, Type::I32, v);
        let v = self.bin_const(shift, Type::I32, v, 1);
        self.stack.push(v);
    }
}
