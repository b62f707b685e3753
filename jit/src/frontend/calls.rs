//! Calls, references, tables, globals.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`calls`) in which it does not hold:
//! - The context is kept only for calls of own functions and through closed tables; a reference from anywhere else
//!   may be another instance's.
//! - The type of an element is not compared where the table's type says it; one that is not final may be a
//!   subtype.
//! - Base and length of a table are constants only where its minimum is its maximum; two tables may be one.
//! - A global is a constant only if it is own, immutable and initialised by a constant.

use super::builder::Builder;
use super::loads::Place;
use crate::abi::{Helper, TrapCode};
use crate::ir::{Alias, Inst, IntCc, MemKind, Op, Type, Value};
use crate::passes::simplify;
use smallvec::SmallVec;
use wasm::layout::{context, func_ref, table};
use wasm::operators::class;
use wasm::{CompositeType, ConstOp, DefinedType, ExternKind, FuncType, HeapType, SubType, TypeId};

/// How a callee is reached.
#[derive(Clone, Copy)]
enum Callee {
    Own(u32),
    /// A reference of this instance, of another, or of any.
    Near(Value),
    Far(Value),
    Any(Value),
}

pub(super) fn func_of(ty: &SubType) -> Option<&FuncType> {
    match &ty.composite {
        CompositeType::Func(f) => Some(f),
        _ => None,
    }
}

impl Builder<'_> {
    pub(super) fn call_type(&self, id: TypeId) -> DefinedType {
        self.env.types.get(id)
    }

    /// Calls, or tail-calls, with the arguments on the stack.
    fn call_with(&mut self, callee: Callee, id: TypeId, tail: bool) {
        let ty = self.call_type(id);
        let Some(ty) = func_of(&ty) else { return };
        let mut args: SmallVec<[Value; 8]> = SmallVec::new();
        let (call, tail_call, idx) = match callee {
            Callee::Own(f) => (Op::Call, Op::TailCall, f),
            Callee::Near(_) => (Op::CallNear, Op::TailCallNear, id.0),
            Callee::Far(_) => (Op::CallFar, Op::TailCallFar, id.0),
            Callee::Any(_) => (Op::CallAny, Op::TailCallAny, id.0),
        };
        if let Callee::Near(f) | Callee::Far(f) | Callee::Any(f) = callee {
            args.push(f);
        }
        args.extend(self.pop_n(ty.params.len()));
        if tail {
            self.variadic(tail_call, Type::Void, idx, &args);
            return self.set_unreachable();
        }
        let first = ty.results.first().map_or(Type::Void, |&t| Type::of(t));
        let args = self.f.list(&args);
        let catches = self.is_caught();
        let v = self.push(Inst { aux: u8::from(catches), idx, args, ..Inst::new(call, first) });
        let mut results: SmallVec<[Value; 4]> = SmallVec::new();
        if first != Type::Void {
            results.push(v);
        }
        for (i, &t) in ty.results.iter().enumerate().skip(1) {
            let args = [v, Value::NONE, Value::NONE];
            results.push(self.push(Inst { idx: i as u32, args, ..Inst::new(Op::Proj, Type::of(t)) }));
        }
        self.clobber_all();
        if catches {
            self.catch_behind_call();
        }
        self.stack.extend(results);
    }

    pub(super) fn call(&mut self, func: u32, tail: bool) {
        let id = self.module.funcs[func as usize];
        let callee = match self.module.own_func(func) {
            Some(own) if !tail && self.inline(own, id) => return,
            Some(_) => Callee::Own(func),
            None => Callee::Far(self.array_entry(context::IMPORTS, func)),
        };
        self.call_with(callee, id, tail);
    }

    pub(super) fn call_ref(&mut self, type_index: u32, tail: bool) {
        let f = self.pop();
        self.check_null(f, TrapCode::NullFunctionReference);
        self.call_with(Callee::Any(f), self.module.types[type_index as usize], tail);
    }

    pub(super) fn call_indirect(&mut self, type_index: u32, table: u32, tail: bool) {
        let index = self.pop();
        let id = self.module.types[type_index as usize];
        let f = self.table_element(table, index, TrapCode::UndefinedElement);
        self.check_type(f, table, id);
        let callee = if self.facts.is_closed(table) { Callee::Near(f) } else { Callee::Any(f) };
        self.call_with(callee, id, tail);
    }

    /// Traps unless a table's element is a function of the type or a subtype.
    fn check_type(&mut self, f: Value, table: u32, id: TypeId) {
        let element = self.module.tables[table as usize].ty.element;
        if let HeapType::Concrete(have) = element.heap
            && self.env.types.is_subtype(have, id)
        {
            if element.nullable {
                let is_null = self.icmp_const(IntCc::Eq, f, 0);
                self.trap_if(is_null, TrapCode::UninitializedElement);
            }
            return;
        }
        let have = self.trapping(Inst {
            aux: TrapCode::UninitializedElement as u8,
            args: [f, Value::NONE, Value::NONE],
            imm: func_ref::TYPE_ID as i64,
            ..Inst::new(Op::FLoad, Type::I32)
        });
        let wanted = self.type_id(Type::I32, id);
        let differs = self.icmp(IntCc::Ne, have, wanted);
        if self.call_type(id).is_final {
            return self.trap_if(differs, TrapCode::IndirectCallTypeMismatch);
        }
        let Some((other, same)) = self.fork(differs) else { return };
        self.f.blocks[other.index()].cold = true;
        let join = self.new_block(self.block);
        self.enter(other);
        let wanted = self.type_id(Type::I64, id);
        let fits = self.helper(Helper::FuncRefIs, &[f, wanted]);
        let fails = self.icmp_const(IntCc::Eq, fits, 0);
        self.trap_if(fails, TrapCode::IndirectCallTypeMismatch);
        self.jump(self.block, join, &[]);
        self.jump(same, join, &[]);
        self.enter(join);
    }

    // ---- tables

    fn fixed_table(&self, t: u32) -> Option<u64> {
        let ty = &self.module.tables[t as usize].ty;
        (ty.max == Some(ty.min)).then_some(ty.min)
    }

    fn table_base(&mut self, t: u32) -> Value {
        let desc = self.array_entry(context::TABLES, t);
        match self.fixed_table(t) {
            Some(_) => self.constant_load(Type::I64, desc, table::BASE),
            None => self.descriptor_load(desc, table::BASE, Alias::TableDesc),
        }
    }

    fn table_length(&mut self, t: u32) -> Value {
        match self.fixed_table(t) {
            Some(n) => self.i64_const(n as i64),
            None => {
                let desc = self.array_entry(context::TABLES, t);
                self.descriptor_load(desc, table::LEN, Alias::TableDesc)
            }
        }
    }

    pub(super) fn wide(&mut self, v: Value) -> Value {
        if self.f.ty(v) == Type::I32 { self.un(Op::ExtU, Type::I64, v) } else { v }
    }

    /// Pointer to an element and displacement, and under which condition this traps with the code, if it may.
    fn element_pointer(&mut self, t: u32, index: Value, code: TrapCode) -> (Value, i64, Option<Value>) {
        let index = self.wide(index);
        let min = self.module.tables[t as usize].ty.min;
        // Tables never shrink.
        let always = self.f.as_iconst(index).is_some_and(|c| (c as u64) < min);
        let beyond = (!always).then(|| {
            let length = self.table_length(t);
            let beyond = self.icmp(IntCc::GeU, index, length);
            self.trap_if(beyond, code);
            beyond
        });
        let base = self.table_base(t);
        match self.f.as_iconst(index) {
            Some(c) if (0..1 << 27).contains(&c) => (base, c * 8, beyond),
            _ => {
                let offset = self.bin_const(Op::Shl, Type::I64, index, 3);
                (self.bin(Op::Add, Type::I64, base, offset), 0, beyond)
            }
        }
    }

    /// A value for a processor that runs ahead of the check which has just been made: zero where that traps. The selection is a
    /// data dependency, which processors do not predict.
    pub(super) fn zero_if(&mut self, beyond: Value, v: Value) -> Value {
        let zero = self.i64_const(0);
        simplify::select(&mut self.f, Type::I64, beyond, zero, v, self.position)
    }

    fn table_element(&mut self, t: u32, index: Value, code: TrapCode) -> Value {
        let (pointer, d, beyond) = self.element_pointer(t, index, code);
        let place = Place::pointer(&self.f, Alias::Table, pointer, d, Type::I64, MemKind::Whole);
        if let Some(v) = place.and_then(|p| self.known(&p)) {
            return v;
        }
        let mut v = self.pointer_load(Type::I64, pointer, d, Alias::Table);
        if let Some(beyond) = beyond.filter(|_| self.settings.mask_tables) {
            // What was read beyond the table is not used: the comparison is done while the element is read.
            v = self.zero_if(beyond, v);
        }
        if let Some(p) = place {
            self.remember_load(p, v);
        }
        v
    }

    pub(super) fn table_get(&mut self, t: u32) {
        let index = self.pop();
        let v = self.table_element(t, index, TrapCode::TableOutOfBounds);
        self.stack.push(v);
    }

    pub(super) fn table_set(&mut self, t: u32) {
        let (index, v) = self.pop2();
        let (pointer, d, beyond) = self.element_pointer(t, index, TrapCode::TableOutOfBounds);
        let (pointer, d) = match beyond.filter(|_| self.settings.mask_tables) {
            // Nothing may be forwarded from a store beyond the table, to whatever is read there.
            Some(beyond) => {
                let at = self.bin_const(Op::Add, Type::I64, pointer, d);
                (self.zero_if(beyond, at), 0)
            }
            None => (pointer, d),
        };
        self.pointer_store(pointer, d, v, Alias::Table);
    }

    pub(super) fn pointer_store(&mut self, pointer: Value, d: i64, v: Value, alias: Alias) {
        self.push(Inst {
            idx: alias as u32,
            aux: MemKind::Whole as u8,
            args: [pointer, v, Value::NONE],
            imm: d,
            ..Inst::new(Op::PStore, Type::Void)
        });
        let ty = self.f.ty(v);
        if let Some(p) = Place::pointer(&self.f, alias, pointer, d, ty, MemKind::Whole) {
            self.remember_store(p, v);
        }
    }

    pub(super) fn table_size(&mut self, t: u32) {
        let v = self.table_length(t);
        let is64 = self.module.tables[t as usize].ty.is64;
        self.push_index(v, is64);
    }

    pub(super) fn table_grow(&mut self, t: u32) {
        let (v, delta) = self.pop2();
        let delta = self.wide(delta);
        let index = self.i64_const(i64::from(t));
        let old = self.helper(Helper::TableGrow, &[index, delta, v]);
        self.loads.clobber(class::TABLE | class::TABLE_DESC);
        let is64 = self.module.tables[t as usize].ty.is64;
        self.push_index(old, is64);
    }

    pub(super) fn table_fill(&mut self, t: u32) {
        let [at, v, n] = self.pop3_wide();
        let index = self.i64_const(i64::from(t));
        self.helper(Helper::TableFill, &[index, at, v, n]);
        self.loads.clobber(class::TABLE);
    }

    /// `memory.init`, `table.copy` and `table.init`: two numbers, then three operands.
    pub(super) fn bulk(&mut self, helper: Helper, a: u32, b: u32, writes: u8) {
        let [x, y, z] = self.pop3_wide();
        let (a, b) = (self.i64_const(i64::from(a)), self.i64_const(i64::from(b)));
        self.helper(helper, &[a, b, x, y, z]);
        self.loads.clobber(writes);
    }

    pub(super) fn drop_segment(&mut self, helper: Helper, segment: u32) {
        let s = self.i64_const(i64::from(segment));
        self.helper(helper, &[s]);
    }

    // ---- references

    pub(super) fn ref_func(&mut self, func: u32) {
        let f = self.i64_const(i64::from(func));
        let v = self.helper(Helper::RefFunc, &[f]);
        self.stack.push(v);
    }

    pub(super) fn ref_as_non_null(&mut self) {
        let v = self.pop();
        self.check_null(v, TrapCode::NullReference);
        self.stack.push(v);
    }

    // ---- globals

    /// Where a global lies: pointer and displacement.
    fn global_pointer(&mut self, global: u32) -> (Value, i64) {
        match self.inline_global(global) {
            Some(n) => (self.ctx(), context::OWN_GLOBALS as i64 + 16 * i64::from(n)),
            None => (self.array_entry(context::GLOBALS, global), 0),
        }
    }

    /// The value of a global at the present place.
    pub(super) fn global_value(&mut self, global: u32) -> Value {
        let g = &self.module.globals[global as usize];
        let ty = Type::of(g.ty.content);
        let mutable = g.ty.mutable;
        if !mutable && let Some(v) = self.constant_global(global) {
            return v;
        }
        let (pointer, d) = self.global_pointer(global);
        if !mutable {
            return self.constant_load(ty, pointer, d as usize);
        }
        let place = Place::pointer(&self.f, Alias::Global, pointer, d, ty, MemKind::Whole);
        if let Some(v) = place.and_then(|p| self.known(&p)) {
            return v;
        }
        let v = self.pointer_load(ty, pointer, d, Alias::Global);
        if let Some(p) = place {
            self.remember_load(p, v);
        }
        v
    }

    fn constant_global(&mut self, global: u32) -> Option<Value> {
        if global < self.module.imported[ExternKind::Global as usize] {
            return None;
        }
        let [op] = *self.module.globals[global as usize].init.as_ref()?.0 else { return None };
        Some(match op {
            ConstOp::I32Const(c) => self.f.iconst(Type::I32, i64::from(c)),
            ConstOp::I64Const(c) => self.f.iconst(Type::I64, c),
            ConstOp::F32Const(bits) => self.float_const(Type::F32, u64::from(bits)),
            ConstOp::F64Const(bits) => self.float_const(Type::F64, bits),
            ConstOp::V128Const(bits) => self.vector_const(bits),
            ConstOp::RefNull(_) => self.f.iconst(Type::I64, 0),
            ConstOp::GlobalGet(g) if !self.module.globals[g as usize].ty.mutable => self.global_value(g),
            _ => return None,
        })
    }

    pub(super) fn global_get(&mut self, global: u32) {
        let v = self.global_value(global);
        self.stack.push(v);
    }

    pub(super) fn global_set(&mut self, global: u32) {
        let v = self.pop();
        let (pointer, d) = self.global_pointer(global);
        self.pointer_store(pointer, d, v, Alias::Global);
    }
}
