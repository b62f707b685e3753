//! WebAssembly operators to instructions.

use super::builder::Builder;
use super::tables::{self, Atomic, Numeric};
use crate::abi::{Helper, TrapCode};
use crate::ir::{FloatCc, Inst, IntCc, Op, SimdOp, Type, Value};
use crate::passes::simplify;
use wasm::operators::{self, Float, class};
use wasmparser::{Operator, ValType};

/// The NaNs of positive sign of whose payload only the first bit is set.
const CANONICAL_NAN_32: u32 = 0x7fc0_0000;
const CANONICAL_NAN_64: u64 = 0x7ff8_0000_0000_0000;

/// Numeric operators, constants and loads.
pub(super) fn is_simple(op: &Operator<'_>) -> bool {
    matches!(
        op,
        Operator::I32Const { .. } | Operator::I64Const { .. } | Operator::F32Const { .. } | Operator::F64Const { .. }
    ) || tables::numeric(op).is_some()
        || tables::load(op).is_some()
}

impl<'a> Builder<'a> {
    /// Translates one operator, which has been validated. `operands` are the types on the operand stack before it, for an
    /// entry by on-stack replacement; `height` is their number.
    pub(super) fn operator(&mut self, op: &Operator<'a>, height: u32, operands: &[ValType]) {
        if !self.reachable {
            return self.skip(op, height, operands);
        }
        if !self.structure(op) {
            self.charge();
            if !self.branch(op) {
                self.plain_operator(op);
            }
        }
    }

    /// Where control never comes only the nesting counts.
    fn skip(&mut self, op: &Operator<'a>, height: u32, operands: &[ValType]) {
        let seeking = self.osr.as_ref().is_some_and(|o| o.seeking);
        match op {
            Operator::Loop { blockty } => {
                let index = self.count_loop();
                let outer = self.osr.as_ref().is_some_and(|o| o.outer == self.pos);
                if seeking && outer {
                    let types: Vec<wasm::ValType> = operands.iter().map(|&t| super::of_parsed(t)).collect();
                    return self.begin_osr(*blockty, index, &types);
                }
                self.open_dead();
            }
            Operator::Block { blockty } | Operator::If { blockty } => {
                self.structure_count += 1;
                match seeking {
                    true => self.seek_structure(*blockty, height, matches!(op, Operator::If { .. })),
                    false => self.open_dead(),
                }
            }
            Operator::TryTable { try_table } => {
                self.structure_count += 1;
                match seeking {
                    true => self.seek_try_table(try_table, height),
                    false => self.open_dead(),
                }
            }
            Operator::Try { blockty } => {
                self.structure_count += 1;
                match seeking {
                    true => self.seek_try(*blockty, height),
                    false => self.open_dead(),
                }
            }
            Operator::Else => self.else_(),
            Operator::Catch { .. } | Operator::CatchAll => self.catch(),
            Operator::Delegate { .. } => self.delegate(),
            Operator::End => self.end(),
            _ => {}
        }
    }

    fn count_loop(&mut self) -> u32 {
        self.structure_count += 1;
        self.loop_count += 1;
        self.loop_count - 1
    }

    /// Structures, which cost no fuel.
    fn structure(&mut self, op: &Operator<'a>) -> bool {
        match op {
            Operator::Nop => {}
            Operator::Block { blockty } => {
                self.structure_count += 1;
                self.block(*blockty);
            }
            Operator::Loop { blockty } => {
                let index = self.count_loop();
                self.loop_(*blockty, index);
            }
            Operator::TryTable { try_table } => {
                self.structure_count += 1;
                self.try_table(try_table);
            }
            Operator::Try { blockty } => {
                self.structure_count += 1;
                self.try_(*blockty);
            }
            Operator::Catch { .. } | Operator::CatchAll => self.catch(),
            Operator::Delegate { .. } => self.delegate(),
            Operator::Else => self.else_(),
            Operator::End => self.end(),
            _ => return false,
        }
        true
    }

    /// Branches and calls.
    fn branch(&mut self, op: &Operator<'a>) -> bool {
        match op {
            Operator::Unreachable => self.trap(TrapCode::Unreachable),
            Operator::If { blockty } => {
                self.structure_count += 1;
                self.if_(*blockty);
            }
            Operator::Br { relative_depth } => self.br(*relative_depth),
            Operator::BrIf { relative_depth } => self.br_if(*relative_depth),
            Operator::BrTable { targets } => self.br_table(targets),
            Operator::BrOnNull { relative_depth } => self.br_on_null(*relative_depth, true),
            Operator::BrOnNonNull { relative_depth } => self.br_on_null(*relative_depth, false),
            Operator::BrOnCast { relative_depth, to_ref_type, .. } => {
                self.br_on_cast(*relative_depth, *to_ref_type, true);
            }
            Operator::BrOnCastFail { relative_depth, to_ref_type, .. } => {
                self.br_on_cast(*relative_depth, *to_ref_type, false);
            }
            Operator::Return => self.return_(),
            Operator::Call { function_index } => self.call(*function_index, false),
            Operator::CallIndirect { type_index, table_index } => {
                self.call_indirect(*type_index, *table_index, false);
            }
            Operator::CallRef { type_index } => self.call_ref(*type_index, false),
            Operator::ReturnCall { function_index } => self.call(*function_index, true),
            Operator::ReturnCallIndirect { type_index, table_index } => {
                self.call_indirect(*type_index, *table_index, true);
            }
            Operator::ReturnCallRef { type_index } => self.call_ref(*type_index, true),
            Operator::Throw { tag_index } => self.throw(*tag_index),
            Operator::ThrowRef => self.throw_ref(),
            Operator::Rethrow { relative_depth } => self.rethrow(*relative_depth),
            _ => return false,
        }
        true
    }

    /// Everything that does not concern control.
    pub(super) fn plain_operator(&mut self, op: &Operator<'a>) {
        if self.variable(op) {
            return;
        }
        if let Some(n) = tables::numeric(op) {
            self.numeric(n);
        } else if let Some((ty, kind, memarg)) = tables::load(op) {
            self.load(&memarg, ty, kind);
        } else if let Some((kind, memarg)) = tables::store(op) {
            self.store(&memarg, kind);
        } else if !self.bulk_operator(op)
            && !self.object_operator(op)
            && !self.vector_operator(op)
            && !self.atomic_operator(op)
        {
            self.unsupported = Some("an operator");
        }
        if self.settings.canonical_nans
            && let Some(float) = operators::nan_result(op)
        {
            let v = self.pop();
            let v = self.canonical(float, v);
            self.stack.push(v);
        }
    }

    /// A value with the canonical NaN in the place of any other.
    fn canonical(&mut self, float: Float, v: Value) -> Value {
        let (ty, bits) = match float {
            Float::F32 => (Type::F32, u64::from(CANONICAL_NAN_32)),
            Float::F64 => (Type::F64, CANONICAL_NAN_64),
            Float::F32x4 => {
                let two = u64::from(CANONICAL_NAN_32) << 32 | u64::from(CANONICAL_NAN_32);
                return self.canonical_lanes(SimdOp::F32x4Eq, two, v);
            }
            Float::F64x2 => return self.canonical_lanes(SimdOp::F64x2Eq, CANONICAL_NAN_64, v),
        };
        let is_number = simplify::fcmp(&mut self.f, FloatCc::Eq, v, v, self.position);
        let nan = self.float_const(ty, bits);
        simplify::select(&mut self.f, ty, is_number, v, nan, self.position)
    }

    /// The same of lanes; `nans` is what one half of the vector is replaced by.
    fn canonical_lanes(&mut self, equal: SimdOp, nans: u64, v: Value) -> Value {
        let numbers = self.simd(equal, 0, &[v, v]);
        let nans = self.vector_const(u128::from(nans) << 64 | u128::from(nans));
        self.simd(SimdOp::V128Bitselect, 0, &[v, nans, numbers])
    }

    fn variable(&mut self, op: &Operator<'a>) -> bool {
        let v = match op {
            Operator::LocalGet { local_index } => self.local(*local_index),
            Operator::LocalSet { local_index } => {
                let v = self.pop();
                self.set_local(*local_index, v);
                return true;
            }
            Operator::LocalTee { local_index } => {
                let v = self.pop();
                self.set_local(*local_index, v);
                v
            }
            Operator::I32Const { value } => self.f.iconst(Type::I32, i64::from(*value)),
            Operator::I64Const { value } => self.f.iconst(Type::I64, *value),
            Operator::F32Const { value } => self.float_const(Type::F32, u64::from(value.bits())),
            Operator::F64Const { value } => self.float_const(Type::F64, value.bits()),
            Operator::RefNull { .. } => self.i64_const(0),
            Operator::Drop => {
                self.pop();
                return true;
            }
            Operator::Select | Operator::TypedSelect { .. } => {
                let c = self.pop();
                let (a, b) = self.pop2();
                let ty = self.f.ty(a);
                simplify::select(&mut self.f, ty, c, a, b, self.position)
            }
            Operator::RefIsNull => {
                let v = self.pop();
                self.icmp_const(IntCc::Eq, v, 0)
            }
            _ => return self.reference(op),
        };
        self.stack.push(v);
        true
    }

    fn reference(&mut self, op: &Operator<'a>) -> bool {
        match op {
            Operator::GlobalGet { global_index } => self.global_get(*global_index),
            Operator::GlobalSet { global_index } => self.global_set(*global_index),
            Operator::RefAsNonNull => self.ref_as_non_null(),
            Operator::RefFunc { function_index } => self.ref_func(*function_index),
            _ => return false,
        }
        true
    }

    // ---- numbers

    fn numeric(&mut self, n: Numeric) {
        let v = match n {
            Numeric::Binary(op, ty) => {
                let (a, b) = self.pop2();
                self.bin(op, ty, a, b)
            }
            Numeric::Unary(op, ty) => {
                let a = self.pop();
                self.un(op, ty, a)
            }
            Numeric::Compare(cc) => {
                let (a, b) = self.pop2();
                self.icmp(cc, a, b)
            }
            Numeric::FloatCompare(cc) => self.float_compare(cc),
            Numeric::Eqz => {
                let a = self.pop();
                self.icmp_const(IntCc::Eq, a, 0)
            }
            Numeric::Divide(op, ty) => self.divide(op, ty),
            Numeric::Truncate(op, ty) => {
                let a = self.pop();
                self.trapping(Inst { args: [a, Value::NONE, Value::NONE], ..Inst::new(op, ty) })
            }
        };
        self.stack.push(v);
    }

    fn float_compare(&mut self, cc: FloatCc) -> Value {
        let (a, b) = self.pop2();
        simplify::fcmp(&mut self.f, cc, a, b, self.position)
    }

    fn divide(&mut self, op: Op, ty: Type) -> Value {
        let (a, b) = self.pop2();
        match self.f.as_iconst(b) {
            Some(0) => {
                let always = self.f.iconst(Type::I32, 1);
                self.trap_if(always, TrapCode::IntegerDivideByZero);
                self.f.iconst(ty, 0)
            }
            Some(c) => match simplify::divide(&mut self.f, op, ty, a, c, self.position) {
                Some(v) => v,
                None => self.trapping(Inst { args: [a, b, Value::NONE], ..Inst::new(op, ty) }),
            },
            None => self.trapping(Inst { args: [a, b, Value::NONE], ..Inst::new(op, ty) }),
        }
    }

    /// Sum or difference of 128-bit numbers, in halves.
    fn add_sub_128(&mut self, sub: bool) {
        let (b_low, b_high) = self.pop2();
        let (a_low, a_high) = self.pop2();
        let op = if sub { Op::Sub } else { Op::Add };
        let low = self.bin(op, Type::I64, a_low, b_low);
        let carry = if sub { self.icmp(IntCc::LtU, a_low, b_low) } else { self.icmp(IntCc::LtU, low, a_low) };
        let carry = self.un(Op::ExtU, Type::I64, carry);
        let high = self.bin(op, Type::I64, a_high, b_high);
        let high = self.bin(op, Type::I64, high, carry);
        self.stack.extend([low, high]);
    }

    fn mul_wide(&mut self, op: Op) {
        let (a, b) = self.pop2();
        let low = self.bin(Op::Mul, Type::I64, a, b);
        let high = self.bin(op, Type::I64, a, b);
        self.stack.extend([low, high]);
    }

    // ---- memories and tables

    fn bulk_operator(&mut self, op: &Operator<'a>) -> bool {
        match *op {
            Operator::MemorySize { mem } => self.memory_size(mem),
            Operator::MemoryGrow { mem } => self.memory_grow(mem),
            Operator::MemoryFill { mem } => self.memory_fill(mem),
            Operator::MemoryCopy { dst_mem, src_mem } => self.memory_copy(dst_mem, src_mem),
            Operator::MemoryInit { data_index, mem } => {
                self.bulk(Helper::MemoryInit, mem, data_index, class::MEMORY);
            }
            Operator::DataDrop { data_index } => self.drop_segment(Helper::DataDrop, data_index),
            Operator::TableGet { table } => self.table_get(table),
            Operator::TableSet { table } => self.table_set(table),
            Operator::TableSize { table } => self.table_size(table),
            Operator::TableGrow { table } => self.table_grow(table),
            Operator::TableFill { table } => self.table_fill(table),
            Operator::TableCopy { dst_table, src_table } => {
                self.bulk(Helper::TableCopy, dst_table, src_table, class::TABLE);
            }
            Operator::TableInit { elem_index, table } => {
                self.bulk(Helper::TableInit, table, elem_index, class::TABLE);
            }
            Operator::ElemDrop { elem_index } => self.drop_segment(Helper::ElemDrop, elem_index),
            Operator::I64Add128 => self.add_sub_128(false),
            Operator::I64Sub128 => self.add_sub_128(true),
            Operator::I64MulWideS => self.mul_wide(Op::MulHiS),
            Operator::I64MulWideU => self.mul_wide(Op::MulHiU),
            _ => return false,
        }
        true
    }

    fn atomic_operator(&mut self, op: &Operator<'a>) -> bool {
        if let Some((ty, kind, what, memarg)) = tables::atomic(op) {
            match what {
                Atomic::Load => self.atomic_load(&memarg, ty, kind),
                Atomic::Store => self.atomic_store(&memarg, kind),
                Atomic::Rmw(rmw) => self.atomic_rmw(&memarg, ty, kind, rmw),
                Atomic::Cas => self.atomic_cas(&memarg, ty, kind),
            }
            return true;
        }
        match op {
            Operator::MemoryAtomicNotify { memarg } => self.atomic_notify(memarg),
            Operator::MemoryAtomicWait32 { memarg } => self.atomic_wait(memarg, Helper::AtomicWait32),
            Operator::MemoryAtomicWait64 { memarg } => self.atomic_wait(memarg, Helper::AtomicWait64),
            Operator::AtomicFence { .. } => self.fence(),
            _ => return false,
        }
        true
    }
}
