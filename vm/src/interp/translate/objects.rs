//! Operators on objects to instructions.
//!
//! Whatever may allocate, and so collect garbage, is emitted with all operands in their slots and nothing in an accumulator alone:
//! the slots of the frame up to the last operand are then all that it holds.

use super::builder::{Builder, Loc, Operand};
use crate::interp::dispatch::Class;
use crate::interp::exec::gc::test_form;
use crate::interp::isa::{Op, PairForm, ops};
use crate::runtime::gc::cast::Test;
use wasm::{CompositeType, StorageType, StructLayout, TypeId, ValType};
use wasmparser::Operator;

/// Which of the accesses to a kind of cell.
#[derive(Clone, Copy)]
enum Access {
    StructGet = 0,
    StructSet = 1,
    ArrayGet = 2,
    ArraySet = 3,
}

/// The entry of an access to a field or element, which is of class [`Class::V128`] only for whole vectors.
fn cell(storage: StorageType, signed: bool, access: Access) -> Op {
    let kind = match (storage, signed) {
        (StorageType::I8, true) => 0,
        (StorageType::I8, false) => 1,
        (StorageType::I16, true) => 2,
        (StorageType::I16, false) => 3,
        (StorageType::Val(ValType::I32), _) => 4,
        (StorageType::Val(ValType::I64 | ValType::Ref(_)), _) => 5,
        (StorageType::Val(ValType::F32), _) => 6,
        (StorageType::Val(ValType::F64), _) => 7,
        (StorageType::Val(ValType::V128), _) => {
            return [&ops::StructGetV128, &ops::StructSetV128, &ops::ArrayGetV128, &ops::ArraySetV128][access as usize];
        }
    };
    ops::CELLS[kind][access as usize]
}

impl Builder<'_> {
    fn type_id(&self, index: u32) -> TypeId {
        self.module.inner.raw.types[index as usize]
    }

    /// What a field holds, and where it lies. A type is worked out once.
    fn field_of(&mut self, ty: u32, field: u32) -> (StorageType, u32) {
        let id = self.type_id(ty);
        let types = self.module.engine().types();
        let fields = self.structs.entry(ty).or_insert_with(|| match &types.get(id).composite {
            CompositeType::Struct(fields) => {
                fields.iter().map(|f| f.storage).zip(StructLayout::new(fields).offsets).collect()
            }
            // The validator has found a struct with that field.
            _ => vec![(StorageType::I8, 0)],
        });
        fields.get(field as usize).copied().unwrap_or((StorageType::I8, 0))
    }

    fn element_of(&self, ty: u32) -> StorageType {
        match &self.module.engine().types().get(self.type_id(ty)).composite {
            CompositeType::Array(f) => f.storage,
            _ => StorageType::I8,
        }
    }

    fn fields_of(&self, ty: u32) -> usize {
        match &self.module.engine().types().get(self.type_id(ty)).composite {
            CompositeType::Struct(fields) => fields.len(),
            _ => 0,
        }
    }

    /// The heap type that is tested for.
    fn test_for(&self, heap: wasmparser::HeapType) -> Test {
        Test::new(self.module.engine(), self.module.inner.raw.heap_type(heap))
    }

    /// Translates an operator on objects; false if it is another.
    pub(super) fn object_operator(&mut self, op: &Operator<'_>) -> bool {
        self.make(op) || self.many(op) || self.access(op) || self.test(op)
    }

    fn make(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::StructNew { struct_type_index: t } => self.row(&ops::StructNew, t, self.fields_of(t), 0, true),
            Operator::StructNewDefault { struct_type_index: t } => self.row(&ops::StructNewDefault, t, 0, 0, true),
            Operator::ArrayNew { array_type_index: t } => self.row(&ops::ArrayNew, t, 2, 0, true),
            Operator::ArrayNewDefault { array_type_index: t } => self.row(&ops::ArrayNewDefault, t, 1, 0, true),
            Operator::ArrayNewFixed { array_type_index: t, array_size: n } => {
                self.row(&ops::ArrayNewFixed, t, n as usize, n, true);
            }
            Operator::ArrayNewData { array_type_index: t, array_data_index: segment } => {
                self.row(&ops::ArrayNewData, t, 2, segment, true);
            }
            Operator::ArrayNewElem { array_type_index: t, array_elem_index: segment } => {
                self.row(&ops::ArrayNewElem, t, 2, segment, true);
            }
            _ => return false,
        }
        true
    }

    fn many(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::ArrayFill { array_type_index: t } => self.row(&ops::ArrayFill, t, 4, 0, false),
            Operator::ArrayCopy { array_type_index_dst: t, .. } => self.row(&ops::ArrayCopy, t, 5, 0, false),
            Operator::ArrayInitData { array_type_index: t, array_data_index: segment } => {
                self.row(&ops::ArrayInitData, t, 4, segment, false);
            }
            Operator::ArrayInitElem { array_type_index: t, array_elem_index: segment } => {
                self.row(&ops::ArrayInitElem, t, 4, segment, false);
            }
            _ => return false,
        }
        true
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
            Operator::ArrayLen => self.unary(&ops::ArrayLen),
            _ => return false,
        }
        true
    }

    fn test(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::RefEq => self.binary(&ops::I64Eq),
            Operator::RefTestNonNull { hty } => self.ref_test(hty, false),
            Operator::RefTestNullable { hty } => self.ref_test(hty, true),
            Operator::RefCastNonNull { hty } => self.ref_cast(hty, false),
            Operator::RefCastNullable { hty } => self.ref_cast(hty, true),
            Operator::BrOnCast { relative_depth, to_ref_type, .. } => {
                self.br_on_cast(relative_depth, to_ref_type, true)
            }
            Operator::BrOnCastFail { relative_depth, to_ref_type, .. } => {
                self.br_on_cast(relative_depth, to_ref_type, false);
            }
            // Both hierarchies have the same form.
            Operator::AnyConvertExtern | Operator::ExternConvertAny => {}
            _ => return false,
        }
        true
    }

    /// An operation on the topmost `n` operands in a row, which may collect garbage; with `result` it makes a reference.
    fn row(&mut self, op: Op, ty: u32, n: usize, immediate: u32, result: bool) {
        let first = self.arguments(n);
        let slots = self.top() - first;
        // Validated indices are those of types of objects; a null is never looked at.
        let ty = self.module.engine().object_type(self.type_id(ty));
        let ty = ty.map_or(0, |t| t.as_ptr() as u64);
        self.truncate(self.stack.len() - n);
        self.forget_accumulators();
        // Up to 10,000 operands of two slots each.
        let word = |b: &mut Self| b.data(ty, slots as u16, 0, immediate);
        if result {
            self.push_in_slot(Class::Int, |b, a| {
                b.emit(op, 0, a, 0, first);
                word(b);
            });
            self.acc[Class::Int as usize].mirror = Some(self.top() - 1);
        } else {
            self.emit(op, 0, 0, 0, first);
            word(self);
        }
    }

    fn struct_get(&mut self, ty: u32, field: u32, signed: bool) {
        let (storage, offset) = self.field_of(ty, field);
        let op = cell(storage, signed, Access::StructGet);
        let e = self.pop();
        if op.output == Class::V128 {
            let object = self.slot_for(e);
            self.push_in_slot(Class::V128, |b, a| {
                b.emit(op, 0, a, object, offset);
            });
            return;
        }
        let operand = self.slot_or_acc(e);
        self.push_result(op.output, |b, a| match operand {
            Operand::Slot(s) => b.emit(op, 0, a, s, offset),
            _ => b.emit(op, 2, a, 0, offset),
        });
    }

    fn struct_set(&mut self, ty: u32, field: u32) {
        let (storage, offset) = self.field_of(ty, field);
        let op = cell(storage, false, Access::StructSet);
        let (v, o) = (self.pop(), self.pop());
        let object = self.slot_for(o);
        match self.slot_or_acc(v) {
            Operand::Slot(s) => self.emit(op, 0, object, s, offset),
            _ => self.emit(op, 1, object, 0, offset),
        };
    }

    fn array_get(&mut self, ty: u32, signed: bool) {
        let op = cell(self.element_of(ty), signed, Access::ArrayGet);
        let (i, o) = (self.pop(), self.pop());
        if op.output == Class::V128 {
            let (object, index) = (self.slot_for(o), self.slot_for(i));
            self.push_in_slot(Class::V128, |b, a| {
                b.emit4(op, 0, a, object, index, 0);
            });
            return;
        }
        let mut index = self.operand(i);
        let mut object = self.slot_or_acc(o);
        if object == Operand::Acc && index == Operand::Acc {
            // One of them only: the other has a slot, or gets one.
            if matches!(o.loc, Loc::Acc(_)) {
                index = Operand::Slot(self.slot_for(i));
            } else {
                object = Operand::Slot(self.slot_for(o));
            }
        }
        use PairForm as P;
        let (pair, b, x) = match (object, index) {
            (Operand::Slot(o), Operand::Slot(i)) => (P::SlotSlot, o, u32::from(i)),
            (Operand::Slot(o), Operand::Acc) => (P::SlotAcc, o, 0),
            (Operand::Slot(o), Operand::Imm(v)) => (P::SlotImm, o, v as u32),
            (_, Operand::Slot(i)) => (P::AccSlot, 0, u32::from(i)),
            (_, Operand::Imm(v)) => (P::AccImm, 0, v as u32),
            // Excluded above.
            (_, Operand::Acc) => (P::AccSlot, 0, 0),
        };
        self.push_result(op.output, |t, a| t.emit(op, (pair as u8) << 1, a, b, x));
    }

    fn array_set(&mut self, ty: u32) {
        let op = cell(self.element_of(ty), false, Access::ArraySet);
        let (v, i, o) = (self.pop(), self.pop(), self.pop());
        let (object, index) = (self.slot_for(o), self.slot_for(i));
        match self.slot_or_acc(v) {
            Operand::Slot(s) => self.emit4(op, 0, object, index, s, 0),
            _ => self.emit4(op, 1, object, index, 0, 0),
        };
    }

    fn ref_test(&mut self, heap: wasmparser::HeapType, nullable: bool) {
        let (form, word) = test_form(self.test_for(heap));
        let e = self.pop();
        let operand = self.slot_or_acc(e);
        self.push_result(Class::Int, |b, a| {
            let i = match operand {
                Operand::Slot(s) => b.emit(&ops::RefTest, form << 2, a, s, u32::from(nullable)),
                _ => b.emit(&ops::RefTest, form << 2 | 2, a, 0, u32::from(nullable)),
            };
            b.data(word, 0, 0, 0);
            i
        });
    }

    fn ref_cast(&mut self, heap: wasmparser::HeapType, nullable: bool) {
        let (form, word) = test_form(self.test_for(heap));
        let e = self.pop();
        let slot = self.slot_for(e);
        self.emit(&ops::RefCast, form, slot, 0, u32::from(nullable));
        self.data(word, 0, 0, 0);
        self.push_again(e);
    }

    fn br_on_cast(&mut self, depth: u32, to: wasmparser::RefType, on_success: bool) {
        let e = self.pop();
        self.slot_for(e);
        self.push_again(e);
        // The reference stays where it is, taken along or not.
        let kept = self.stack[self.stack.len() - 1];
        self.ref_test_of(kept, to);
        let condition = self.take_condition();
        self.branch_on(condition, depth, !on_success);
    }

    /// Pushes whether a reference that stays on the stack is of a type.
    fn ref_test_of(&mut self, e: super::builder::Entry, to: wasmparser::RefType) {
        let (form, word) = test_form(self.test_for(to.heap_type()));
        let reference = self.slot_for(e);
        let null = u32::from(to.is_nullable());
        self.push_result(Class::Int, |b, a| {
            let i = b.emit(&ops::RefTest, form << 2, a, reference, null);
            b.data(word, 0, 0, 0);
            i
        });
    }
}
