//! WebAssembly operators to instructions.

use super::builder::{Builder, Emitted, Entry, Loc, Operand, class_of, class_of_parsed};
use crate::interp::dispatch::Class;
use crate::interp::exec::num::{binary_ops, compare_ops, trapping_ops, unary_ops};
use crate::interp::isa::{LoadForm, Op, PairForm, Shape, StoreForm, accesses, ops, same};
use crate::interp::simd::ops::*;
use wasm::operators::{Float, nan_result};
use wasmparser::{MemArg, MemArgTarget, Operator};

/// Operators that are one numeric instruction: their table entry and number of operands.
fn numeric(op: &Operator<'_>) -> Option<(Op, u8)> {
    macro_rules! binary {
        ($($name:ident: $a:ty, $b:ty => $r:ty, |$x:ident, $y:ident| $e:expr;)*) => {
            match op {
                $(Operator::$name => return Some((&ops::$name, 2)),)*
                _ => {}
            }
        };
    }
    macro_rules! compare {
        ($($name:ident $br:ident: $a:ty, |$x:ident, $y:ident| $e:expr;)*) => {
            compare_operators!(op; $($name)*)
        };
    }
    /// The tests of bits exist in branching form only.
    macro_rules! compare_operators {
        ($op:ident; $($name:ident)*) => {{
            $(compare_operators!(@one $op $name);)*
        }};
        (@one $op:ident I32Test) => {};
        (@one $op:ident I64Test) => {};
        (@one $op:ident $name:ident) => {
            if matches!($op, Operator::$name) {
                return Some((&ops::$name, 2));
            }
        };
    }
    macro_rules! unary {
        ($($name:ident: $a:ty => $r:ty, |$x:ident| $e:expr;)*) => {
            match op {
                $(Operator::$name => return Some((&ops::$name, 1)),)*
                _ => {}
            }
        };
    }
    binary_ops!(binary);
    trapping_ops!(binary);
    unary_ops!(unary);
    compare_ops!(compare);
    None
}

/// Whether the order of an operation's operands does not matter.
fn commutes(op: Op) -> bool {
    ["Add", "Mul", "And", "Or", "Xor"].contains(&&op.name[3..])
}

/// Operators on vectors without immediates: entry, and the shape of operands.
enum VectorShape {
    Unary,
    Binary,
    Ternary,
    Shift,
    Test,
    Splat,
}

fn vector(op: &Operator<'_>) -> Option<(Op, VectorShape)> {
    macro_rules! arms {
        ($shape:ident: $($name:ident $f:ident;)*) => {
            match op {
                $(Operator::$name => return Some((&ops::$name, VectorShape::$shape)),)*
                _ => {}
            }
        };
    }
    macro_rules! unary { ($($t:tt)*) => { arms!(Unary: $($t)*) } }
    macro_rules! binary { ($($t:tt)*) => { arms!(Binary: $($t)*) } }
    macro_rules! ternary { ($($t:tt)*) => { arms!(Ternary: $($t)*) } }
    macro_rules! shift { ($($t:tt)*) => { arms!(Shift: $($t)*) } }
    macro_rules! test { ($($t:tt)*) => { arms!(Test: $($t)*) } }
    macro_rules! splat { ($($name:ident $t:ident $f:ident;)*) => { arms!(Splat: $($name $f;)*) } }
    simd_unary!(unary);
    simd_binary!(binary);
    simd_ternary!(ternary);
    simd_shift!(shift);
    simd_test!(test);
    simd_splat!(splat);
    None
}

/// Lane operators: entry, lane, and whether a lane is replaced.
fn lane(op: &Operator<'_>) -> Option<(Op, u8, bool)> {
    macro_rules! extract {
        ($($name:ident $t:ident $f:ident;)*) => {
            match op {
                $(Operator::$name { lane } => return Some((&ops::$name, *lane, false)),)*
                _ => {}
            }
        };
    }
    macro_rules! replace {
        ($($name:ident $t:ident $f:ident;)*) => {
            match op {
                $(Operator::$name { lane } => return Some((&ops::$name, *lane, true)),)*
                _ => {}
            }
        };
    }
    simd_extract!(extract);
    simd_replace!(replace);
    None
}

/// Scalar loads and stores: plain entry, checked entry, whether it stores.
fn access<'o>(op: &'o Operator<'_>) -> Option<(Op, Op, bool, &'o MemArg)> {
    macro_rules! arms {
        ($($kind:ident $name:ident $checked:ident $x:ident;)*) => {
            match op {
                $(Operator::$name { memarg } => {
                    return Some((&ops::$name, &ops::$checked, arms!(@$kind), memarg));
                })*
                _ => {}
            }
        };
        (@load) => { false };
        (@store) => { true };
    }
    accesses!(arms);
    None
}

/// Atomic read-modify-writes: entry, form (width), number of operands behind the address.
fn atomic<'o>(op: &'o Operator<'_>) -> Option<(Op, u8, u8, &'o MemArg)> {
    macro_rules! arms {
        ($($entry:ident $operands:literal: $w8a:ident $w8b:ident $w16a:ident $w16b:ident $w32a:ident $w32b:ident $w64:ident;)*) => {
            match op {
                $(
                    Operator::$w8a { memarg } | Operator::$w8b { memarg } => Some((&ops::$entry, 0, $operands, memarg)),
                    Operator::$w16a { memarg } | Operator::$w16b { memarg } => Some((&ops::$entry, 1, $operands, memarg)),
                    Operator::$w32a { memarg } | Operator::$w32b { memarg } => Some((&ops::$entry, 2, $operands, memarg)),
                    Operator::$w64 { memarg } => Some((&ops::$entry, 3, $operands, memarg)),
                )*
                _ => None,
            }
        };
    }
    arms! {
        AtomicLoad 0: I32AtomicLoad8U I64AtomicLoad8U I32AtomicLoad16U I64AtomicLoad16U I32AtomicLoad I64AtomicLoad32U I64AtomicLoad;
        AtomicAdd 1: I32AtomicRmw8AddU I64AtomicRmw8AddU I32AtomicRmw16AddU I64AtomicRmw16AddU I32AtomicRmwAdd I64AtomicRmw32AddU I64AtomicRmwAdd;
        AtomicSub 1: I32AtomicRmw8SubU I64AtomicRmw8SubU I32AtomicRmw16SubU I64AtomicRmw16SubU I32AtomicRmwSub I64AtomicRmw32SubU I64AtomicRmwSub;
        AtomicAnd 1: I32AtomicRmw8AndU I64AtomicRmw8AndU I32AtomicRmw16AndU I64AtomicRmw16AndU I32AtomicRmwAnd I64AtomicRmw32AndU I64AtomicRmwAnd;
        AtomicOr 1: I32AtomicRmw8OrU I64AtomicRmw8OrU I32AtomicRmw16OrU I64AtomicRmw16OrU I32AtomicRmwOr I64AtomicRmw32OrU I64AtomicRmwOr;
        AtomicXor 1: I32AtomicRmw8XorU I64AtomicRmw8XorU I32AtomicRmw16XorU I64AtomicRmw16XorU I32AtomicRmwXor I64AtomicRmw32XorU I64AtomicRmwXor;
        AtomicXchg 1: I32AtomicRmw8XchgU I64AtomicRmw8XchgU I32AtomicRmw16XchgU I64AtomicRmw16XchgU I32AtomicRmwXchg I64AtomicRmw32XchgU I64AtomicRmwXchg;
        AtomicCmpxchg 2: I32AtomicRmw8CmpxchgU I64AtomicRmw8CmpxchgU I32AtomicRmw16CmpxchgU I64AtomicRmw16CmpxchgU I32AtomicRmwCmpxchg I64AtomicRmw32CmpxchgU I64AtomicRmwCmpxchg;
    }
}

/// Atomic stores: width as form.
fn atomic_store<'o>(op: &'o Operator<'_>) -> Option<(u8, &'o MemArg)> {
    Some(match op {
        Operator::I32AtomicStore8 { memarg } | Operator::I64AtomicStore8 { memarg } => (0, memarg),
        Operator::I32AtomicStore16 { memarg } | Operator::I64AtomicStore16 { memarg } => (1, memarg),
        Operator::I32AtomicStore { memarg } | Operator::I64AtomicStore32 { memarg } => (2, memarg),
        Operator::I64AtomicStore { memarg } => (3, memarg),
        _ => return None,
    })
}

/// Vector loads that widen, splat or extend by zeros: form.
fn vector_load<'o>(op: &'o Operator<'_>) -> Option<(u8, &'o MemArg)> {
    Some(match op {
        Operator::V128Load8x8S { memarg } => (0, memarg),
        Operator::V128Load8x8U { memarg } => (1, memarg),
        Operator::V128Load16x4S { memarg } => (2, memarg),
        Operator::V128Load16x4U { memarg } => (3, memarg),
        Operator::V128Load32x2S { memarg } => (4, memarg),
        Operator::V128Load32x2U { memarg } => (5, memarg),
        Operator::V128Load8Splat { memarg } => (6, memarg),
        Operator::V128Load16Splat { memarg } => (7, memarg),
        Operator::V128Load32Splat { memarg } => (8, memarg),
        Operator::V128Load64Splat { memarg } => (9, memarg),
        Operator::V128Load32Zero { memarg } => (10, memarg),
        Operator::V128Load64Zero { memarg } => (11, memarg),
        _ => return None,
    })
}

/// Lanes in memory: form (width), lane, whether it stores.
fn lane_access<'o>(op: &'o Operator<'_>) -> Option<(u8, u8, bool, &'o MemArg)> {
    Some(match op {
        Operator::V128Load8Lane { memarg, lane } => (0, *lane, false, memarg),
        Operator::V128Load16Lane { memarg, lane } => (1, *lane, false, memarg),
        Operator::V128Load32Lane { memarg, lane } => (2, *lane, false, memarg),
        Operator::V128Load64Lane { memarg, lane } => (3, *lane, false, memarg),
        Operator::V128Store8Lane { memarg, lane } => (0, *lane, true, memarg),
        Operator::V128Store16Lane { memarg, lane } => (1, *lane, true, memarg),
        Operator::V128Store32Lane { memarg, lane } => (2, *lane, true, memarg),
        Operator::V128Store64Lane { memarg, lane } => (3, *lane, true, memarg),
        _ => return None,
    })
}

fn memory_of(memarg: &MemArg) -> u16 {
    match memarg.target {
        // At most 100 memories are valid.
        MemArgTarget::Memory(m) => m as u16,
        _ => 0,
    }
}

impl Builder<'_> {
    /// Translates one operator, already validated. `select_type` is the type of an untyped `select`'s operands.
    pub(super) fn operator(&mut self, op: &Operator<'_>, select_type: Option<wasmparser::ValType>) {
        if !self.reachable {
            match op {
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::Try { .. }
                | Operator::TryTable { .. } => self.open_dead(),
                Operator::Else => self.else_(),
                Operator::Catch { tag_index } => self.catch(Some(*tag_index)),
                Operator::CatchAll => self.catch(None),
                Operator::Delegate { relative_depth } => self.delegate(*relative_depth),
                Operator::End => self.end(),
                _ => {}
            }
            return;
        }
        if self.structured(op) {
            return;
        }
        self.charge();
        if self.control_operator(op) || self.variable(op, select_type) {
            return;
        }
        if let Some((entry, operands)) = numeric(op) {
            if operands == 1 { self.unary(entry) } else { self.binary(entry) }
        } else if let Some((plain, checked, store, memarg)) = access(op) {
            if store { self.store(plain, checked, memarg) } else { self.load(plain, checked, memarg) }
        } else if !self.bulk(op) && !self.object_operator(op) && !self.vector_operator(op) && !self.atomic_operator(op)
        {
            // Of a proposal that this version does not know, should the validator be told to accept it.
            self.emit(&ops::Unsupported, 0, 0, 0, 0);
            self.set_unreachable();
        }
        if self.module.engine().config().deterministic
            && let Some(float) = nan_result(op)
        {
            match float {
                Float::F32 => self.unary(&ops::F32Canonical),
                Float::F64 => self.unary(&ops::F64Canonical),
                Float::F32x4 => self.vector_op(&ops::F32x4Canonical, &VectorShape::Unary),
                Float::F64x2 => self.vector_op(&ops::F64x2Canonical, &VectorShape::Unary),
            }
        }
    }

    fn structured(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::Nop => {}
            Operator::Block { blockty } => self.block(*blockty),
            Operator::Try { blockty } => self.try_(*blockty),
            Operator::TryTable { try_table } => self.try_table(try_table),
            Operator::Loop { blockty } => self.loop_(*blockty),
            Operator::Else => self.else_(),
            Operator::Catch { tag_index } => self.catch(Some(*tag_index)),
            Operator::CatchAll => self.catch(None),
            Operator::Delegate { relative_depth } => self.delegate(*relative_depth),
            Operator::End => self.end(),
            _ => return false,
        }
        true
    }

    fn control_operator(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::Unreachable => {
                self.emit(&ops::Unreachable, 0, 0, 0, 0);
                self.set_unreachable();
            }
            Operator::If { blockty } => self.if_(*blockty),
            Operator::Br { relative_depth } => self.br(*relative_depth),
            Operator::BrIf { relative_depth } => self.br_if(*relative_depth),
            Operator::BrTable { targets } => self.br_table(targets),
            Operator::BrOnNull { relative_depth } => self.br_on_null(*relative_depth, true),
            Operator::BrOnNonNull { relative_depth } => self.br_on_null(*relative_depth, false),
            Operator::Throw { tag_index } => self.throw(*tag_index),
            Operator::ThrowRef => self.throw_ref(),
            Operator::Rethrow { relative_depth } => self.rethrow(*relative_depth),
            Operator::Return => self.return_(),
            Operator::Call { function_index } => self.call(*function_index),
            Operator::CallIndirect { type_index, table_index } => self.call_indirect(*type_index, *table_index),
            Operator::CallRef { type_index } => self.call_ref(*type_index),
            Operator::ReturnCall { function_index } => self.return_call(*function_index),
            Operator::ReturnCallIndirect { type_index, table_index } => {
                self.return_call_indirect(*type_index, *table_index);
            }
            Operator::ReturnCallRef { type_index } => self.return_call_ref(*type_index),
            _ => return false,
        }
        true
    }

    fn variable(&mut self, op: &Operator<'_>, select_type: Option<wasmparser::ValType>) -> bool {
        match op {
            Operator::LocalGet { local_index } => self.push_local(*local_index),
            Operator::LocalSet { local_index } => self.set_local(*local_index),
            Operator::LocalTee { local_index } => self.tee_local(*local_index),
            Operator::I32Const { value } => self.push_const(Class::Int, u64::from(*value as u32)),
            Operator::I64Const { value } => self.push_const(Class::Int, *value as u64),
            Operator::F32Const { value } => self.push_const(Class::F32, u64::from(value.bits())),
            Operator::F64Const { value } => self.push_const(Class::F64, value.bits()),
            Operator::RefNull { .. } => self.push_const(Class::Int, 0),
            Operator::Drop => {
                self.pop();
            }
            Operator::Select => self.select(select_type.map_or(Class::Int, class_of_parsed)),
            Operator::TypedSelect { ty } => self.select(class_of_parsed(*ty)),
            Operator::GlobalGet { global_index } => self.global_get(*global_index),
            Operator::GlobalSet { global_index } => self.global_set(*global_index),
            Operator::RefIsNull => self.unary(&ops::I64Eqz),
            Operator::RefAsNonNull => {
                let e = self.pop();
                let slot = self.slot_for(e);
                self.emit(&ops::RefAsNonNull, 0, slot, 0, 0);
                match e.loc {
                    Loc::Local(l) => self.push_local(l),
                    _ => {
                        self.push_slot(e.class);
                    }
                }
            }
            Operator::RefFunc { function_index } => {
                let f = *function_index;
                self.push_in_slot(Class::Int, |b, a| {
                    b.emit(&ops::RefFunc, 0, a, 0, f);
                });
            }
            _ => return false,
        }
        true
    }

    // ---- numbers

    pub(super) fn unary(&mut self, op: Op) {
        let e = self.pop();
        let operand = self.slot_or_acc(e);
        self.push_result(op.output, |b, a| match operand {
            Operand::Slot(s) => b.emit(op, 0, a, s, 0),
            _ => b.emit(op, 2, a, 0, 0),
        });
    }

    /// A constant as a 32-bit immediate: i64 only when sign extension restores it, f64 only when f32 represents it.
    fn immediate(&self, op: Op, bits: u64) -> Option<u32> {
        match op.input {
            Class::Int if op.name.starts_with("I64") => i32::try_from(bits as i64).ok().map(|v| v as u32),
            Class::F64 => {
                let narrow = f64::from_bits(bits) as f32;
                (f64::from(narrow).to_bits() == bits).then(|| narrow.to_bits())
            }
            _ => Some(bits as u32),
        }
    }

    /// Whether an operation can take a constant at all.
    fn takes_constant(&self, op: Op, bits: u64) -> bool {
        self.immediate(op, bits).is_some() || op.forms.len() > 2 * PairForm::SlotWide as usize
    }

    pub(super) fn binary(&mut self, op: Op) {
        let rhs = self.pop();
        let lhs = self.pop();
        let (mut l, mut r) = (self.operand(lhs), self.operand(rhs));
        // Only one operand can be the accumulator, and only one an immediate that fits.
        if l == Operand::Acc && r == Operand::Acc {
            if matches!(lhs.loc, Loc::Acc(_)) {
                r = Operand::Slot(self.slot_for(rhs));
            } else {
                l = Operand::Slot(self.slot_for(lhs));
            }
        }
        if let Operand::Imm(v) = l
            && (matches!(r, Operand::Imm(_)) || !self.takes_constant(op, v))
        {
            l = Operand::Slot(self.slot_for(lhs));
        }
        if let Operand::Imm(v) = r
            && !self.takes_constant(op, v)
        {
            r = Operand::Slot(self.slot_for(rhs));
        }
        if self.chain(op, lhs, rhs, l, r) {
            return;
        }
        use PairForm as P;
        let (pair, wide_pair, b, x) = match (l, r) {
            (Operand::Slot(l), Operand::Slot(r)) => (P::SlotSlot, None, l, u32::from(r)),
            (Operand::Acc, Operand::Slot(r)) => (P::AccSlot, None, 0, u32::from(r)),
            (Operand::Slot(l), Operand::Acc) => (P::SlotAcc, None, l, 0),
            (Operand::Slot(l), Operand::Imm(v)) => (P::SlotImm, Some((P::SlotWide, v)), l, 0),
            (Operand::Acc, Operand::Imm(v)) => (P::AccImm, Some((P::AccWide, v)), 0, 0),
            (Operand::Imm(v), Operand::Slot(r)) => (P::ImmSlot, Some((P::WideSlot, v)), r, 0),
            (Operand::Imm(v), Operand::Acc) => (P::ImmAcc, Some((P::WideAcc, v)), 0, 0),
            // Excluded above: both cannot be the accumulator, nor both constants.
            (Operand::Acc, Operand::Acc) | (Operand::Imm(_), Operand::Imm(_)) => (P::AccSlot, None, 0, 0),
        };
        let (pair, x, data) = match wide_pair {
            None => (pair, x, None),
            Some((wide, v)) => match self.immediate(op, v) {
                Some(x) => (pair, x, None),
                None => (wide, 0, Some(v)),
            },
        };
        self.push_result(op.output, |t, a| {
            let i = t.emit(op, (pair as u8) << 1, a, b, x);
            if let Some(bits) = data {
                t.data(bits, 0, 0, 0);
            }
            i
        });
    }

    /// Joins an operation with the one right before it that made one of its operands, if the pair has an instruction.
    fn chain(&mut self, op: Op, lhs: Entry, rhs: Entry, l: Operand, r: Operand) -> bool {
        let (producer, third, right) = match (lhs.loc, rhs.loc) {
            (Loc::Acc(p), _) => (p, r, false),
            (_, Loc::Acc(p)) => (p, l, true),
            _ => return false,
        };
        if !self.is_last(producer) || self.code[producer].form & 1 == 1 {
            return false;
        }
        let first = self.code[producer].clone();
        let Some(first_op) = first.op else { return false };
        if first_op.shape == Shape::Load {
            return self.load_chain(op, first_op, &first, third, right);
        }
        let Some(&(_, _, chained)) = ops::CHAINS.iter().find(|(a, b, _)| same(a, first_op) && same(b, op)) else {
            return false;
        };
        use PairForm as P;
        let (x_acc, b, c, y_imm) = match P::of_binary(first.form) {
            P::SlotSlot => (false, first.b, first.x as u16, false),
            P::AccSlot => (true, 0, first.x as u16, false),
            // The operation is symmetric in how it takes its operands only when it commutes.
            P::SlotAcc if commutes(first_op) => (true, 0, first.b, false),
            P::SlotImm | P::AccImm if first_op.input == Class::Int => {
                let Ok(imm) = i16::try_from(first.x as i32) else { return false };
                (P::of_binary(first.form) == P::AccImm, first.b, imm as u16, true)
            }
            _ => return false,
        };
        let (d, third_form) = match third {
            Operand::Slot(z) if right && !commutes(op) => (z, 2),
            Operand::Slot(z) => (z, 0),
            Operand::Imm(v) if op.input == Class::Int && (!right || commutes(op)) => {
                let Some(imm) = self.immediate(op, v).and_then(|x| i16::try_from(x as i32).ok()) else { return false };
                (imm as u16, 1)
            }
            _ => return false,
        };
        self.code.pop();
        let form = (u8::from(x_acc) * 6 + u8::from(y_imm) * 3 + third_form) * 2;
        self.push_result(chained.output, |t, a| t.emit4(chained, form, a, b, c, d));
        true
    }

    /// The same for a load whose result is an operand.
    fn load_chain(&mut self, op: Op, load: Op, first: &Emitted, other: Operand, right: bool) -> bool {
        let Some(&(_, _, chained)) = ops::LOAD_CHAINS.iter().find(|(a, b, _)| same(a, load) && same(b, op)) else {
            return false;
        };
        let (Operand::Slot(c), Ok(offset)) = (other, u16::try_from(first.x)) else { return false };
        let acc = match first.form >> 1 {
            f if f == LoadForm::Slot as u8 => 0,
            f if f == LoadForm::Acc as u8 => 4,
            _ => return false,
        };
        self.code.pop();
        let (b, form) = (first.b, acc | u8::from(right) << 1);
        self.push_result(chained.output, |t, a| t.emit4(chained, form, a, b, c, offset));
        true
    }

    fn select(&mut self, class: Class) {
        let condition = self.pop();
        let y = self.pop();
        let x = self.pop();
        let c = self.slot_or_acc(condition);
        let (b, other) = (self.slot_for(x), self.slot_for(y));
        let op: Op = match class {
            Class::Int => &ops::SelectInt,
            Class::F32 => &ops::SelectF32,
            Class::F64 => &ops::SelectF64,
            Class::V128 => &ops::SelectV128,
        };
        let (acc, d) = match c {
            Operand::Slot(s) => (0, s),
            _ => (1, 0),
        };
        if class == Class::V128 {
            self.push_in_slot(class, |t, a| {
                t.emit4(op, acc, a, b, other, d);
            });
        } else {
            self.push_result(class, |t, a| t.emit4(op, acc << 1, a, b, other, d));
        }
    }

    fn global_get(&mut self, global: u32) {
        let op: Op = match class_of(self.module.inner.raw.globals[global as usize].ty.content) {
            Class::Int => &ops::GlobalGetInt,
            Class::F32 => &ops::GlobalGetF32,
            Class::F64 => &ops::GlobalGetF64,
            Class::V128 => {
                return self.push_in_slot(Class::V128, |b, a| {
                    b.emit(&ops::GlobalGetV128, 0, a, 0, global);
                });
            }
        };
        self.push_result(op.output, |b, a| b.emit(op, 0, a, 0, global));
    }

    fn global_set(&mut self, global: u32) {
        let e = self.pop();
        let op: Op = match e.class {
            Class::Int => &ops::GlobalSetInt,
            Class::F32 => &ops::GlobalSetF32,
            Class::F64 => &ops::GlobalSetF64,
            Class::V128 => &ops::GlobalSetV128,
        };
        match self.slot_or_acc(e) {
            Operand::Slot(s) => self.emit(op, 0, s, 0, global),
            _ => self.emit(op, 1, 0, 0, global),
        };
    }

    // ---- memory

    /// Whether an access can rely on guard pages.
    fn is_plain_access(&self, memarg: &MemArg) -> bool {
        self.guarded && memory_of(memarg) == 0 && memarg.offset <= u64::from(u32::MAX)
    }

    /// The addition that made an address, if it can become part of the access: the form, the fields b and x, and how many
    /// instructions it replaces.
    fn sum(&self, e: Entry, memarg: &MemArg) -> Option<(LoadForm, u16, u32, usize)> {
        let Loc::Acc(producer) = e.loc else { return None };
        if memarg.offset > 0xffff || !self.is_last(producer) {
            return None;
        }
        let add = &self.code[producer];
        if !same(add.op?, &ops::I32Add) {
            return None;
        }
        let offset = memarg.offset as u32;
        let with = |c: u16, d: u32| u32::from(c) | d << 16;
        match PairForm::of_binary(add.form) {
            PairForm::SlotSlot => Some((LoadForm::Sum, add.b, with(add.x as u16, offset), 1)),
            PairForm::SlotImm if offset == 0 => Some((LoadForm::Wrapped, add.b, add.x, 1)),
            PairForm::AccImm if offset == 0 => Some((LoadForm::WrappedAcc, 0, add.x, 1)),
            pair @ (PairForm::AccSlot | PairForm::SlotAcc) => {
                let base = if pair == PairForm::AccSlot { add.x as u16 } else { add.b };
                match self.scale(producer).filter(|_| offset < 1 << 8) {
                    Some((PairForm::SlotImm, index, shift)) => {
                        Some((LoadForm::Scaled, base, with(index, offset << 8 | 1 << shift), 2))
                    }
                    Some((_, _, shift)) => Some((LoadForm::ScaledAcc, base, with(0, offset << 8 | 1 << shift), 2)),
                    None => Some((LoadForm::SumAcc, 0, with(base, offset), 1)),
                }
            }
            _ => None,
        }
    }

    /// The shift by a small constant right before an addition that alone uses its result: pair, slot and amount.
    fn scale(&self, add: usize) -> Option<(PairForm, u16, u32)> {
        let before = add.checked_sub(1).filter(|&i| i >= self.label)?;
        let shl = &self.code[before];
        let pair = PairForm::of_binary(shl.form);
        let fits = same(shl.op?, &ops::I32Shl) && shl.form & 1 == 0 && shl.x <= 7;
        (fits && matches!(pair, PairForm::SlotImm | PairForm::AccImm)).then_some((pair, shl.b, shl.x))
    }

    /// Takes back the last instructions: what comes in their place belongs to the present operator.
    pub(super) fn take_back(&mut self, n: usize) {
        let len = self.code.len() - n;
        self.code.truncate(len);
        self.taken = self.taken.min(len as u32);
    }

    /// The address as an immediate, if it is constant and within reach.
    fn absolute(e: Entry, memarg: &MemArg) -> Option<u32> {
        match e.loc {
            Loc::Const(c) => u32::try_from(u64::from(c as u32) + memarg.offset).ok(),
            _ => None,
        }
    }

    fn load(&mut self, plain: Op, checked: Op, memarg: &MemArg) {
        let e = self.pop();
        if !self.is_plain_access(memarg) {
            let operand = self.slot_or_acc(e);
            let memory = u32::from(memory_of(memarg));
            let offset = memarg.offset;
            return self.push_result(checked.output, |t, a| {
                let i = match operand {
                    Operand::Slot(s) => t.emit(checked, 0, a, s, memory),
                    _ => t.emit(checked, 2, a, 0, memory),
                };
                t.data(offset, 0, 0, 0);
                i
            });
        }
        let (form, b, x) = self.address(e, memarg);
        self.push_result(plain.output, |t, a| t.emit(plain, (form as u8) << 1, a, b, x));
    }

    /// The address of a plain access: its form and the fields b and x.
    fn address(&mut self, e: Entry, memarg: &MemArg) -> (LoadForm, u16, u32) {
        if let Some(at) = Self::absolute(e, memarg) {
            (LoadForm::Absolute, 0, at)
        } else if let Some((form, b, x, n)) = self.sum(e, memarg) {
            self.take_back(n);
            (form, b, x)
        } else {
            match self.slot_or_acc(e) {
                Operand::Slot(s) => (LoadForm::Slot, s, memarg.offset as u32),
                _ => (LoadForm::Acc, 0, memarg.offset as u32),
            }
        }
    }

    fn store(&mut self, plain: Op, checked: Op, memarg: &MemArg) {
        let v = self.pop();
        let e = self.pop();
        if !self.is_plain_access(memarg) {
            let address = self.slot_for(e);
            let memory = u32::from(memory_of(memarg));
            match self.slot_or_acc(v) {
                Operand::Slot(s) => self.emit(checked, 0, address, s, memory),
                _ => self.emit(checked, 1, address, 0, memory),
            };
            self.data(memarg.offset, 0, 0, 0);
            return;
        }
        // The value first: what it takes may put instructions behind the addition that made the address.
        let mut value = self.operand(v);
        if let Operand::Imm(bits) = value {
            let small = v.class == Class::Int && fits_i16(plain, bits);
            if !small {
                value = Operand::Slot(self.slot_for(v));
            }
        }
        if let Some(at) = Self::absolute(e, memarg) {
            let (form, b) = match value {
                Operand::Slot(s) => (StoreForm::AbsoluteSlot, s),
                Operand::Acc => (StoreForm::AbsoluteAcc, 0),
                Operand::Imm(bits) => (StoreForm::AbsoluteImm, bits as u16),
            };
            self.emit(plain, form as u8, 0, b, at);
            return;
        }
        if let Some((form, b, x, n)) = self.sum(e, memarg) {
            let fused = match (form, value) {
                (LoadForm::Sum, Operand::Slot(v)) => Some((StoreForm::SumSlot, v, b)),
                (LoadForm::Scaled, Operand::Slot(v)) => Some((StoreForm::ScaledSlot, v, b)),
                (LoadForm::Wrapped, Operand::Slot(v)) => Some((StoreForm::WrappedSlot, b, v)),
                (LoadForm::Wrapped, Operand::Imm(bits)) => Some((StoreForm::WrappedImm, b, bits as u16)),
                _ => None,
            };
            if let Some((form, a, b)) = fused {
                self.take_back(n);
                self.emit(plain, form as u8, a, b, x);
                return;
            }
        }
        let mut address = self.slot_or_acc(e);
        if address == Operand::Acc && value == Operand::Acc && v.class == Class::Int {
            // One of them only: the other has a slot, or gets one.
            if matches!(v.loc, Loc::Acc(_)) {
                address = Operand::Slot(self.slot_for(e));
            } else {
                value = Operand::Slot(self.slot_for(v));
            }
        }
        let (form, a, b) = match (address, value) {
            (Operand::Slot(a), Operand::Slot(v)) => (StoreForm::SlotSlot, a, v),
            (Operand::Slot(a), Operand::Acc) => (StoreForm::SlotAcc, a, 0),
            (Operand::Slot(a), Operand::Imm(bits)) => (StoreForm::SlotImm, a, bits as u16),
            (_, Operand::Slot(v)) => (StoreForm::AccSlot, 0, v),
            (_, Operand::Imm(bits)) => (StoreForm::AccImm, 0, bits as u16),
            (_, Operand::Acc) => (StoreForm::AccAcc, 0, 0),
        };
        self.emit(plain, form as u8, a, b, memarg.offset as u32);
    }

    /// Three operands in slots, in the order they were pushed.
    fn three(&mut self) -> [u16; 3] {
        let c = self.pop();
        let b = self.pop();
        let a = self.pop();
        // Lowest first: giving one a slot may write only its own.
        [self.slot_for(a), self.slot_for(b), self.slot_for(c)]
    }

    fn bulk(&mut self, op: &Operator<'_>) -> bool {
        match op {
            Operator::MemorySize { mem } => {
                let m = *mem;
                self.push_result(Class::Int, |b, a| b.emit(&ops::MemorySize, 0, a, 0, m));
            }
            Operator::MemoryGrow { mem } => {
                let (e, m) = (self.pop(), *mem);
                let from = self.slot_for(e);
                self.push_in_slot(Class::Int, |b, a| {
                    b.emit(&ops::MemoryGrow, 0, a, from, m);
                });
            }
            Operator::MemoryFill { mem } => self.bulk3(&ops::MemoryFill, *mem as u16, None),
            Operator::MemoryCopy { dst_mem, src_mem } => {
                self.bulk3(&ops::MemoryCopy, *dst_mem as u16 | (*src_mem as u16) << 8, None);
            }
            Operator::MemoryInit { data_index, mem } => {
                self.bulk3(&ops::MemoryInit, *mem as u16, Some(u64::from(*data_index)));
            }
            Operator::TableInit { elem_index, table } => {
                self.bulk3(&ops::TableInit, *table as u16, Some(u64::from(*elem_index)));
            }
            Operator::TableCopy { dst_table, src_table } => {
                self.bulk3(&ops::TableCopy, 0, Some(u64::from(*dst_table) | u64::from(*src_table) << 32));
            }
            Operator::TableFill { table } => self.bulk3(&ops::TableFill, *table as u16, None),
            Operator::DataDrop { data_index } => {
                self.emit(&ops::DataDrop, 0, 0, 0, *data_index);
            }
            Operator::ElemDrop { elem_index } => {
                self.emit(&ops::ElemDrop, 0, 0, 0, *elem_index);
            }
            Operator::TableGet { table } => {
                let (e, t) = (self.pop(), *table);
                let index = self.slot_for(e);
                self.push_in_slot(Class::Int, |b, a| {
                    b.emit(&ops::TableGet, 0, a, index, t);
                });
            }
            Operator::TableSet { table } => {
                let v = self.pop();
                let i = self.pop();
                let (index, value) = (self.slot_for(i), self.slot_for(v));
                self.emit(&ops::TableSet, 0, index, value, *table);
            }
            Operator::TableSize { table } => {
                let t = *table;
                self.push_in_slot(Class::Int, |b, a| {
                    b.emit(&ops::TableSize, 0, a, 0, t);
                });
            }
            Operator::TableGrow { table } => {
                let n = self.pop();
                let v = self.pop();
                let (value, delta, t) = (self.slot_for(v), self.slot_for(n), *table as u16);
                self.push_in_slot(Class::Int, |b, a| {
                    b.emit4(&ops::TableGrow, 0, a, value, delta, t);
                });
            }
            Operator::I64Add128 => self.wide(&ops::AddSub128, 4, 0),
            Operator::I64Sub128 => self.wide(&ops::AddSub128, 4, 1),
            Operator::I64MulWideS => self.wide(&ops::MulWide, 2, 1),
            Operator::I64MulWideU => self.wide(&ops::MulWide, 2, 0),
            _ => return false,
        }
        true
    }

    fn bulk3(&mut self, op: Op, d: u16, data: Option<u64>) {
        let [a, b, c] = self.three();
        self.emit4(op, 0, a, b, c, d);
        if let Some(h) = data {
            self.data(h, 0, 0, 0);
        }
    }

    /// Wide arithmetic: operands in a row of slots, results in the first two.
    fn wide(&mut self, op: Op, operands: usize, flag: u16) {
        self.flush_top(operands);
        let first = self.stack[self.stack.len() - operands].slot;
        let last = first + operands as u32 - 1;
        self.truncate(self.stack.len() - operands);
        if let Some(scratch) = self.wide_scratch(last) {
            for i in 0..operands as u32 {
                self.copy(scratch + i, first + i, Class::Int);
            }
            self.emit(op, 0, scratch as u16, flag, 0);
            self.copy(first, scratch, Class::Int);
            self.copy(first + 1, scratch + 1, Class::Int);
        } else {
            let a = self.field(first);
            self.emit(op, 0, a, flag, 0);
        }
        self.push_slot(Class::Int);
        self.push_slot(Class::Int);
    }

    // ---- vectors

    fn vector_operator(&mut self, op: &Operator<'_>) -> bool {
        if let Some((entry, shape)) = vector(op) {
            self.vector_op(entry, &shape);
        } else if let Some((entry, lane, replace)) = lane(op) {
            self.lane_op(entry, lane, replace);
        } else if let Some((form, memarg)) = vector_load(op) {
            self.vector_load(&ops::V128LoadWiden, form, memarg);
        } else if let Some((form, lane, store, memarg)) = lane_access(op) {
            self.lane_access(form, lane, store, memarg);
        } else {
            match op {
                Operator::V128Const { value } => {
                    let bits = value.i128() as u128;
                    self.push_in_slot(Class::V128, |b, a| {
                        b.emit(&ops::Const128, 0, a, 0, 0);
                        b.data128(bits);
                    });
                }
                Operator::I8x16Shuffle { lanes } => {
                    let y = self.pop();
                    let x = self.pop();
                    let (x, y) = (self.slot_for(x), self.slot_for(y));
                    let bits = u128::from_le_bytes(*lanes);
                    self.push_in_slot(Class::V128, |b, a| {
                        b.emit4(&ops::Shuffle, 0, a, x, y, 0);
                        b.data128(bits);
                    });
                }
                Operator::V128Load { memarg } if self.is_plain_access(memarg) => {
                    let e = self.pop();
                    let (form, b, x) = self.address(e, memarg);
                    self.push_in_slot(Class::V128, |t, a| {
                        t.emit(&ops::V128Load, form as u8, a, b, x);
                    });
                }
                Operator::V128Load { memarg } => self.vector_load(&ops::V128LoadChecked, 0, memarg),
                Operator::V128Store { memarg } if self.is_plain_access(memarg) => {
                    let v = self.pop();
                    let e = self.pop();
                    let value = self.slot_for(v);
                    let (form, b, x) = self.address(e, memarg);
                    self.emit(&ops::V128Store, form as u8, value, b, x);
                }
                Operator::V128Store { memarg } => {
                    let v = self.pop();
                    let e = self.pop();
                    let (address, value) = (self.slot_for(e), self.slot_for(v));
                    self.emit4(&ops::V128StoreChecked, 0, address, value, memory_of(memarg), 0);
                    self.data(memarg.offset, 0, 0, 0);
                }
                _ => return false,
            }
        }
        true
    }

    fn data128(&mut self, bits: u128) {
        let high = (bits >> 64) as u64;
        self.data(bits as u64, high as u16, (high >> 16) as u16, (high >> 32) as u32);
    }

    fn vector_op(&mut self, op: Op, shape: &VectorShape) {
        let operands = match shape {
            VectorShape::Unary | VectorShape::Test | VectorShape::Splat => 1,
            VectorShape::Binary | VectorShape::Shift => 2,
            VectorShape::Ternary => 3,
        };
        let mut fields = [0; 3];
        let mut entries = [None; 3];
        for i in (0..operands).rev() {
            entries[i] = Some(self.pop());
        }
        for (field, e) in fields.iter_mut().zip(entries.into_iter().flatten()) {
            *field = self.slot_for(e);
        }
        let [b, c, d] = fields;
        if op.output == Class::V128 {
            self.push_in_slot(Class::V128, |t, a| {
                t.emit4(op, 0, a, b, c, d);
            });
        } else {
            self.push_scalar(op, b, c, d);
        }
    }

    /// A scalar result that always goes to slot and accumulator.
    fn push_scalar(&mut self, op: Op, b: u16, c: u16, d: u16) {
        self.spill(op.output);
        self.push_in_slot(op.output, |t, a| {
            t.emit4(op, 0, a, b, c, d);
        });
        self.acc[op.output as usize].mirror = Some(self.top() - 1);
    }

    fn lane_op(&mut self, op: Op, lane: u8, replace: bool) {
        if replace {
            let x = self.pop();
            let v = self.pop();
            let (v, x) = (self.slot_for(v), self.slot_for(x));
            self.push_in_slot(Class::V128, |t, a| {
                t.emit4(op, 0, a, v, x, u16::from(lane));
            });
        } else {
            let e = self.pop();
            let v = self.slot_for(e);
            self.push_scalar(op, v, 0, u16::from(lane));
        }
    }

    fn vector_load(&mut self, op: Op, form: u8, memarg: &MemArg) {
        let e = self.pop();
        let address = self.slot_for(e);
        let (memory, offset) = (memory_of(memarg), memarg.offset);
        self.push_in_slot(Class::V128, |t, a| {
            t.emit4(op, form, a, address, memory, 0);
            t.data(offset, 0, 0, 0);
        });
    }

    fn lane_access(&mut self, form: u8, lane: u8, store: bool, memarg: &MemArg) {
        let v = self.pop();
        let e = self.pop();
        let (address, v) = (self.slot_for(e), self.slot_for(v));
        let (memory, offset) = (memory_of(memarg), memarg.offset);
        if store {
            self.emit4(&ops::V128StoreLane, form, address, v, memory, u16::from(lane));
            self.data(offset, 0, 0, 0);
        } else {
            self.push_in_slot(Class::V128, |t, a| {
                t.emit4(&ops::V128LoadLane, form, a, address, memory | u16::from(lane) << 8, v);
                t.data(offset, 0, 0, 0);
            });
        }
    }

    // ---- atomics

    fn atomic_operator(&mut self, op: &Operator<'_>) -> bool {
        if let Some((entry, form, operands, memarg)) = atomic(op) {
            self.atomic_access(entry, form, operands, memarg);
            return true;
        }
        if let Some((form, memarg)) = atomic_store(op) {
            let v = self.pop();
            let e = self.pop();
            let (address, value) = (self.slot_for(e), self.slot_for(v));
            self.emit4(&ops::AtomicStore, form, 0, address, value, 0);
            self.data(memarg.offset, memory_of(memarg), 0, 0);
            return true;
        }
        match op {
            Operator::MemoryAtomicNotify { memarg } => self.atomic_access(&ops::AtomicNotify, 0, 1, memarg),
            Operator::MemoryAtomicWait32 { memarg } => self.atomic_access(&ops::AtomicWait, 0, 2, memarg),
            Operator::MemoryAtomicWait64 { memarg } => self.atomic_access(&ops::AtomicWait, 1, 2, memarg),
            Operator::AtomicFence { .. } => {
                self.emit(&ops::AtomicFence, 0, 0, 0, 0);
            }
            _ => return false,
        }
        true
    }

    fn atomic_access(&mut self, op: Op, form: u8, operands: u8, memarg: &MemArg) {
        let y = if operands > 1 { Some(self.pop()) } else { None };
        let x = if operands > 0 { Some(self.pop()) } else { None };
        let e = self.pop();
        let b = self.slot_for(e);
        let c = x.map_or(0, |e| self.slot_for(e));
        let d = y.map_or(0, |e| self.slot_for(e));
        let (memory, offset) = (memory_of(memarg), memarg.offset);
        self.push_in_slot(Class::Int, |t, a| {
            t.emit4(op, form, a, b, c, d);
            t.data(offset, memory, 0, 0);
        });
    }
}

/// Whether a constant survives as the 16-bit immediate of a store, sign-extended to the width stored.
fn fits_i16(store: Op, bits: u64) -> bool {
    let value = if store.name.starts_with("I32") { i64::from(bits as u32 as i32) } else { bits as i64 };
    i16::try_from(value).is_ok()
}
