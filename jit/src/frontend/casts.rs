//! Tests and casts of references.
//!
//! In: a reference and a type. Out: its passing as a condition, as ways that part, or with a trap where it does not. An object is
//! of a declared type when one word of its type's display is that type's id; whatever the static type of the operand answers is not
//! asked.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`control`) in which it does not hold:
//! - An answer of the static type is used only for the operand at hand; null is told apart first wherever that
//!   type allows it.
//! - An object's type is read only where tags and null are excluded.
//! - What a branch has tested is known in the two blocks it leads to, and in no other.

use super::builder::Builder;
use crate::abi::{Helper, TrapCode};
use crate::ir::{Alias, Block, Inst, IntCc, MemKind, Op, Type, Value};
use wasm::layout::{func_ref, object, object_type};
use wasm::{CompositeType, HeapType, TypeId};
use wasmparser::Operator;

/// The lowest bit of references to i31; the lowest two are `10` in those to host values, and zero in those to objects.
const I31: i64 = 1;
const HOST: i64 = 2;
const TAGS: i64 = 3;

/// A question about references that are not null, whose static type is of the same hierarchy.
#[derive(Clone, Copy)]
enum Test {
    /// All are, or none is.
    Known(bool),
    Eq,
    I31,
    /// Objects of that kind.
    Kind(u32),
    Object(TypeId),
    Func(TypeId),
}

/// What becomes of references that do not pass.
enum Otherwise<'a> {
    Trap,
    /// These blocks, which are to be ended.
    Ways(&'a mut Vec<Block>),
}

/// How a test went on.
enum Tested {
    /// The answer, an i32.
    Value(Value),
    /// Blocks, to be ended, where it has passed and where not; there are some of both.
    Ways(Vec<Block>, Vec<Block>),
}

impl Builder<'_> {
    /// Translates tests, casts and conversions that are no branches; false if it is another operator.
    pub(super) fn test(&mut self, op: &Operator<'_>) -> bool {
        match *op {
            Operator::RefEq => {
                let (a, b) = self.pop2();
                let v = self.icmp(IntCc::Eq, a, b);
                self.stack.push(v);
            }
            Operator::RefTestNonNull { hty } => self.ref_test(hty, false),
            Operator::RefTestNullable { hty } => self.ref_test(hty, true),
            Operator::RefCastNonNull { hty } => self.ref_cast(hty, false),
            Operator::RefCastNullable { hty } => self.ref_cast(hty, true),
            // Both hierarchies have the same form.
            Operator::AnyConvertExtern | Operator::ExternConvertAny => {}
            _ => return false,
        }
        true
    }

    fn test_for(&self, heap: wasmparser::HeapType) -> Test {
        match self.module.heap_type(heap) {
            HeapType::Any | HeapType::Extern | HeapType::Func | HeapType::Exn => Test::Known(true),
            HeapType::None | HeapType::NoExtern | HeapType::NoFunc | HeapType::NoExn => Test::Known(false),
            HeapType::Eq => Test::Eq,
            HeapType::I31 => Test::I31,
            HeapType::Struct => Test::Kind(0),
            HeapType::Array => Test::Kind(object_type::KIND_ARRAY),
            HeapType::Concrete(id) => match self.env.types.get(id).composite {
                CompositeType::Func(_) => Test::Func(id),
                _ => Test::Object(id),
            },
            // Only within a group that is being canonicalised.
            HeapType::InGroup(_) => Test::Known(false),
        }
    }

    /// Whether the static type of the operator's reference allows nothing but null and objects.
    fn is_object_or_null(&self) -> bool {
        use wasmparser::AbstractHeapType as A;
        match self.operand {
            Some(wasmparser::ValType::Ref(r)) => match r.heap_type() {
                wasmparser::HeapType::Abstract { ty, .. } => matches!(ty, A::Struct | A::Array | A::None),
                wasmparser::HeapType::Concrete(_) | wasmparser::HeapType::Exact(_) => true,
            },
            _ => false,
        }
    }

    // ---- operators

    fn ref_test(&mut self, heap: wasmparser::HeapType, nullable: bool) {
        let v = self.pop();
        let before = self.block;
        let v = match self.tested(v, self.test_for(heap), nullable) {
            Tested::Value(v) => v,
            Tested::Ways(passed, failed) => self.join_values(before, &[(passed, 1), (failed, 0)]),
        };
        self.stack.push(v);
    }

    fn ref_cast(&mut self, heap: wasmparser::HeapType, nullable: bool) {
        let v = self.pop();
        let before = self.block;
        let mut passed = Vec::new();
        let goes_on = match (self.is_never_null(), nullable) {
            (true, _) => true,
            (false, true) => self.part_null(v, &mut passed),
            (false, false) => {
                let is_null = self.icmp_const(IntCc::Eq, v, 0);
                self.trap_if(is_null, TrapCode::CastFailure);
                true
            }
        };
        if goes_on {
            self.require_type(v, self.test_for(heap), &mut Otherwise::Trap);
            passed.push(self.block);
        }
        self.join(before, &passed);
        self.stack.push(v);
    }

    pub(super) fn br_on_cast(&mut self, depth: u32, to: wasmparser::RefType, on_success: bool) {
        // The reference stays where it is, taken along or not.
        let v = self.stack[self.stack.len() - 1];
        let before = self.block;
        let index = self.frame_index(depth);
        match self.tested(v, self.test_for(to.heap_type()), to.is_nullable()) {
            Tested::Value(v) => self.branch_on(v, index, on_success),
            Tested::Ways(passed, failed) => {
                let (taken, on) = if on_success { (passed, failed) } else { (failed, passed) };
                self.join(before, &taken);
                let taken = self.block;
                self.join(before, &on);
                self.on_edge(taken, |b| b.leave(index));
                self.finish_rotation(self.control.len() - 1);
                self.new_segment();
            }
        }
    }

    // ---- tests

    /// Parts null from the rest and goes on with the latter; false when that never happens.
    fn part_null(&mut self, v: Value, passed: &mut Vec<Block>) -> bool {
        let is_null = self.icmp_const(IntCc::Eq, v, 0);
        match self.fork(is_null) {
            Some((null, rest)) => {
                passed.push(null);
                self.enter(rest);
                true
            }
            None if self.f.as_iconst(is_null) == Some(0) => true,
            None => {
                passed.push(self.block);
                false
            }
        }
    }

    /// A test as a single condition, if it is one.
    fn condition_of(&mut self, v: Value, test: Test, nullable: bool) -> Option<Value> {
        let maybe_null = !self.is_never_null();
        let object = self.is_object_or_null();
        let condition = match test {
            Test::Known(true) if maybe_null && !nullable => self.icmp_const(IntCc::Ne, v, 0),
            Test::Known(true) => self.f.iconst(Type::I32, 1),
            Test::Known(false) if maybe_null && nullable => self.icmp_const(IntCc::Eq, v, 0),
            Test::Known(false) => self.f.iconst(Type::I32, 0),
            // Null does not have the bit.
            Test::I31 if !maybe_null || !nullable => self.is_i31(v),
            Test::Eq if !maybe_null || nullable => self.is_eq(v),
            Test::Object(id) if !maybe_null && object => self.has_type(v, id),
            Test::Kind(kind) if !maybe_null && object => self.has_kind(v, kind),
            _ => return None,
        };
        Some(condition)
    }

    fn tested(&mut self, v: Value, test: Test, nullable: bool) -> Tested {
        if let Some(condition) = self.condition_of(v, test, nullable) {
            return Tested::Value(condition);
        }
        let before = self.block;
        let (mut passed, mut failed) = (Vec::new(), Vec::new());
        let goes_on = match (self.is_never_null(), nullable) {
            (true, _) => true,
            (false, true) => self.part_null(v, &mut passed),
            (false, false) => {
                let some = self.icmp_const(IntCc::Ne, v, 0);
                self.require(some, &mut Otherwise::Ways(&mut failed))
            }
        };
        if goes_on && self.require_type(v, test, &mut Otherwise::Ways(&mut failed)) {
            passed.push(self.block);
        }
        // Of one sort only: there has been no branch.
        match (passed.is_empty(), failed.is_empty()) {
            (false, false) => Tested::Ways(passed, failed),
            (is_empty, _) => {
                let all = if is_empty { failed } else { passed };
                self.join(before, &all);
                Tested::Value(self.f.iconst(Type::I32, i64::from(!is_empty)))
            }
        }
    }

    /// Goes on where the condition holds; false when that is nowhere.
    fn require(&mut self, condition: Value, otherwise: &mut Otherwise<'_>) -> bool {
        match otherwise {
            Otherwise::Trap => {
                let fails = self.icmp_const(IntCc::Eq, condition, 0);
                self.trap_if(fails, TrapCode::CastFailure);
                true
            }
            Otherwise::Ways(failed) => match self.fork(condition) {
                Some((yes, no)) => {
                    failed.push(no);
                    self.enter(yes);
                    true
                }
                None if self.f.as_iconst(condition) == Some(0) => {
                    failed.push(self.block);
                    false
                }
                None => true,
            },
        }
    }

    /// Goes on where a reference that is not null passes; false when that is nowhere.
    fn require_type(&mut self, v: Value, test: Test, otherwise: &mut Otherwise<'_>) -> bool {
        let condition = match test {
            Test::Known(known) => self.f.iconst(Type::I32, i64::from(known)),
            Test::Eq => self.is_eq(v),
            Test::I31 => self.is_i31(v),
            Test::Func(id) => self.is_func(v, id),
            Test::Kind(_) | Test::Object(_) => {
                if !self.is_object_or_null() {
                    let tags = self.bin_const(Op::And, Type::I64, v, TAGS);
                    let object = self.icmp_const(IntCc::Eq, tags, 0);
                    if !self.require(object, otherwise) {
                        return false;
                    }
                }
                match test {
                    Test::Object(id) => self.has_type(v, id),
                    Test::Kind(kind) => self.has_kind(v, kind),
                    _ => return false,
                }
            }
        };
        self.require(condition, otherwise)
    }

    fn is_i31(&mut self, v: Value) -> Value {
        let bit = self.bin_const(Op::And, Type::I64, v, I31);
        self.icmp_const(IntCc::Ne, bit, 0)
    }

    /// Whether it is an i31 or an object, or null.
    fn is_eq(&mut self, v: Value) -> Value {
        let tags = self.bin_const(Op::And, Type::I64, v, TAGS);
        self.icmp_const(IntCc::Ne, tags, HOST)
    }

    fn type_of(&mut self, object: Value) -> Value {
        self.object_load(object, object::TYPE as u32, Type::I64, MemKind::Whole, Alias::Fixed)
    }

    /// Whether an object is of a declared type.
    fn has_type(&mut self, v: Value, id: TypeId) -> Value {
        let ty = self.type_of(v);
        let at = object_type::DISPLAY + 4 * self.env.types.depth(id) as usize;
        let have = self.constant_load(Type::I32, ty, at);
        let wanted = self.type_id(Type::I32, id);
        self.icmp(IntCc::Eq, have, wanted)
    }

    /// Whether an object is a struct, or an array.
    fn has_kind(&mut self, v: Value, kind: u32) -> Value {
        let ty = self.type_of(v);
        let have = self.constant_load(Type::I32, ty, object_type::KIND);
        self.icmp_const(IntCc::Eq, have, i64::from(kind))
    }

    /// Whether a function is of a declared type or a subtype.
    fn is_func(&mut self, v: Value, id: TypeId) -> Value {
        let have = self.object_load(v, func_ref::TYPE_ID as u32, Type::I32, MemKind::Whole, Alias::Fixed);
        let wanted = self.type_id(Type::I32, id);
        let same = self.icmp(IntCc::Eq, have, wanted);
        if self.call_type(id).is_final {
            return same;
        }
        let before = self.block;
        let Some((yes, no)) = self.fork(same) else { return same };
        self.f.blocks[no.index()].cold = true;
        self.enter(no);
        let wanted = self.type_id(Type::I64, id);
        let fits = self.helper(Helper::FuncRefIs, &[v, wanted]);
        let fits = self.un(Op::Wrap, Type::I32, fits);
        let join = self.new_block(before);
        let answer = self.f.new_param(join, Type::I32);
        let one = self.f.iconst(Type::I32, 1);
        self.jump(self.block, join, &[fits]);
        self.jump(yes, join, &[one]);
        self.enter(join);
        answer
    }

    /// A branch has made a comparison with a constant, of which references are: where it fails, nothing that traps when it holds need look
    /// again, and the other way round.
    pub(super) fn remember_branch(&mut self, condition: Value, holds: Block, fails: Block) {
        let i = *self.f.inst(condition);
        let compares = i.op == Op::Icmp && matches!(IntCc::from_code(i.aux), IntCc::Eq | IntCc::Ne);
        let is_fixed = |v: Value| self.f.as_iconst(v).is_some() || self.f.inst(v).op == Op::TypeId;
        if !(self.facts.has_objects() && compares && is_fixed(i.args[1])) {
            return;
        }
        let negated = self.pure(Inst { aux: IntCc::from_code(i.aux).negate() as u8, ..i });
        for (block, never) in [(fails, condition), (holds, negated)] {
            let key = Inst { args: [never, Value::NONE, Value::NONE], ..Inst::new(Op::TrapIf, Type::Void) };
            self.loads.remember_pinned(block, &key, condition);
        }
    }

    // ---- ways that meet

    /// Goes on where these blocks, all dominated by one, meet.
    pub(super) fn join(&mut self, dominator: Block, blocks: &[Block]) {
        if let [only] = *blocks {
            return self.enter(only);
        }
        let join = self.new_block(dominator);
        blocks.iter().for_each(|&b| self.jump(b, join, &[]));
        self.enter(join);
    }

    /// As `join`, with the number that belongs to each group of ways.
    fn join_values(&mut self, dominator: Block, groups: &[(Vec<Block>, i64)]) -> Value {
        let join = self.new_block(dominator);
        let v = self.f.new_param(join, Type::I32);
        for (blocks, n) in groups {
            let n = self.f.iconst(Type::I32, *n);
            blocks.iter().for_each(|&b| self.jump(b, join, &[n]));
        }
        self.enter(join);
        v
    }
}
