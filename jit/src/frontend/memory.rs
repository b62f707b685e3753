//! Linear memories: addresses, checks, loads and stores, atomics, bulk operations, size and growth.
//!
//! Memory 0, if guarded, is accessed by 32-bit index and 32-bit offset without a check. Everything else compares the
//! index with the length of the memory first; a check that passed need not be made again, because memories never shrink.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`loads`) in which it does not hold:
//! - A constant addend moves from index to offset only where the sum cannot pass 2^32 (or no bit is in both, for
//!   `or`), and up to 2^31.
//! - Guarded accesses are those of memory 0 with an index and offset of 32 bits; all others are checked, with
//!   64-bit sums that overflow.
//! - Length and base are constants only of memories whose minimum is their maximum.
//! - A bulk operation is done by loads and stores for constant lengths of 1 to 64 within guarded memory 0: all
//!   loads first, the end first, so that a trap has written nothing.
//! - What only concerns bits that a narrow store drops goes; what is stored is remembered with the width of the
//!   store.
//! - Atomics check alignment before bounds, and change what is known of memory.

use super::builder::Builder;
use super::loads::Place;
use crate::abi::{Helper, TrapCode};
use crate::ir::{Alias, Inst, IntCc, MemKind, Op, Rmw, SimdOp, Type, Value};
use crate::passes::simplify;
use wasm::MemoryType;
use wasm::layout::memory;
use wasm::operators::class;
use wasmparser::{MemArg, MemArgTarget};

fn memory_of(memarg: &MemArg) -> u32 {
    match memarg.target {
        MemArgTarget::Memory(m) => m,
        MemArgTarget::Array(_) => 0,
    }
}

/// Bytes that a memory always has.
fn min_bytes(ty: &MemoryType) -> u64 {
    ty.min.checked_shl(ty.page_size_log2).unwrap_or(u64::MAX).min(u64::MAX >> 1)
}

/// Where an access goes.
#[derive(Clone, Copy)]
enum Address {
    /// Index and offset into guarded memory 0.
    Guarded(Value, u32),
    /// Pointer and displacement.
    Pointer(Value, i64),
}

impl Builder<'_> {
    fn memory_type(&self, memory: u32) -> &MemoryType {
        &self.module.memories[memory as usize]
    }
    fn is_guarded(&self, memory: u32) -> bool {
        memory == 0 && self.settings.guarded
    }
    /// Whether the memory's size is known: it cannot grow.
    fn fixed_size(&self, memory: u32) -> Option<u64> {
        let ty = self.memory_type(memory);
        let fixed = ty.max == Some(ty.min) && ty.min.checked_shl(ty.page_size_log2).is_some_and(|b| b < 1 << 48);
        fixed.then(|| ty.min << ty.page_size_log2)
    }

    /// A pointer read from a descriptor, through what is known.
    pub(super) fn descriptor_load(&mut self, pointer: Value, offset: usize, alias: Alias) -> Value {
        let kind = MemKind::Whole;
        let place = Place::pointer(&self.f, alias, pointer, offset as i64, Type::I64, kind);
        if let Some(v) = place.and_then(|p| self.known(&p)) {
            return v;
        }
        let v = self.pointer_load(Type::I64, pointer, offset as i64, alias);
        if let Some(p) = place {
            self.remember_load(p, v);
        }
        v
    }

    pub(super) fn memory_base(&mut self, m: u32) -> Value {
        if self.is_guarded(m) {
            return self.f.pure(Inst::new(Op::MemBase, Type::I64));
        }
        let desc = self.array_entry(wasm::layout::context::MEMORIES, m);
        if self.fixed_size(m).is_some() {
            return self.constant_load(Type::I64, desc, memory::BASE);
        }
        self.descriptor_load(desc, memory::BASE, Alias::MemoryDesc)
    }

    /// Length in bytes; of a shared memory, read anew each time.
    pub(super) fn memory_length(&mut self, m: u32) -> Value {
        if let Some(bytes) = self.fixed_size(m) {
            return self.i64_const(bytes as i64);
        }
        let desc = self.array_entry(wasm::layout::context::MEMORIES, m);
        if self.memory_type(m).shared {
            // Other threads may grow it at any time.
            return self.pointer_load(Type::I64, desc, memory::LEN as i64, Alias::MemoryDesc);
        }
        self.descriptor_load(desc, memory::LEN, Alias::MemoryDesc)
    }

    /// An index as 64 bits.
    fn index64(&mut self, index: Value) -> Value {
        if self.f.ty(index) == Type::I32 { self.un(Op::ExtU, Type::I64, index) } else { index }
    }

    /// Traps unless `bytes` bytes from index + offset on lie in the memory. Answers under which condition it trapped, if it may.
    fn check_bounds(&mut self, m: u32, index: Value, offset: u64, bytes: u32) -> Option<Value> {
        let index = self.index64(index);
        let min = min_bytes(self.memory_type(m));
        let Some(limit) = offset.checked_add(u64::from(bytes)) else {
            let always = self.f.iconst(Type::I32, 1);
            self.trap_if(always, TrapCode::MemoryOutOfBounds);
            return Some(always);
        };
        if let Some(c) = self.f.as_iconst(index)
            && (c as u64).checked_add(limit).is_some_and(|end| end <= min)
        {
            return None;
        }
        if let Some(beyond) = self.in_bounds(m, index, limit) {
            return Some(beyond);
        }
        let length = self.memory_length(m);
        let mut short = None;
        if limit > min {
            // Else the difference cannot be negative.
            let limit = self.i64_const(limit as i64);
            let condition = self.icmp(IntCc::LtU, length, limit);
            self.trap_if(condition, TrapCode::MemoryOutOfBounds);
            short = Some(condition);
        }
        let last = self.bin_const(Op::Add, Type::I64, length, (limit as i64).wrapping_neg());
        let mut beyond = self.icmp(IntCc::GtU, index, last);
        self.trap_if(beyond, TrapCode::MemoryOutOfBounds);
        if self.settings.mask_memories
            && let Some(short) = short
        {
            beyond = self.bin(Op::Or, Type::I32, short, beyond);
        }
        self.loads.remember_bounds(self.block, m, index, limit, beyond);
        Some(beyond)
    }

    /// Checks an access, and answers where it goes.
    fn checked_pointer(&mut self, m: u32, index: Value, offset: u64, bytes: u32) -> (Value, i64) {
        let beyond = self.check_bounds(m, index, offset, bytes);
        let Some(beyond) = beyond.filter(|_| self.settings.mask_memories) else {
            return self.pointer(m, index, offset);
        };
        let index = self.index64(index);
        let limit = offset.saturating_add(u64::from(bytes));
        if limit <= min_bytes(self.memory_type(m)) {
            // Zero and the offset are in bounds.
            let index = self.zero_if(beyond, index);
            return self.pointer(m, index, offset);
        }
        let at = self.bin_const(Op::Add, Type::I64, index, offset as i64);
        let at = self.zero_if(beyond, at);
        self.pointer(m, at, 0)
    }

    /// A pointer and a displacement for index + offset, which is in bounds (or reaches a guard page).
    fn pointer(&mut self, m: u32, index: Value, offset: u64) -> (Value, i64) {
        let base = self.memory_base(m);
        let index = self.index64(index);
        let (index, offset) = match self.f.as_iconst(index) {
            Some(c) => (None, offset.wrapping_add(c as u64)),
            None => (Some(index), offset),
        };
        let pointer = index.map_or(base, |i| self.bin(Op::Add, Type::I64, base, i));
        match i32::try_from(offset) {
            Ok(small) => (pointer, i64::from(small)),
            Err(_) => (self.bin_const(Op::Add, Type::I64, pointer, offset as i64), 0),
        }
    }

    /// Index and offset with a constant addend of the index moved to the offset where the sum cannot wrap.
    fn fold_address(&mut self, index: Value, offset: u32) -> (Value, u32) {
        if let Some(c) = self.f.as_iconst(index) {
            let sum = u64::from(c as u32) + u64::from(offset);
            if let Ok(sum) = i32::try_from(sum) {
                return (self.f.iconst(Type::I32, 0), sum as u32);
            }
            return (index, offset);
        }
        let i = *self.f.inst(index);
        let add = matches!(i.op, Op::Add | Op::Or);
        let Some(c) = add.then(|| self.f.as_iconst(i.args[1])).flatten().map(|c| u64::from(c as u32)) else {
            return (index, offset);
        };
        let known = simplify::zeros(&self.f, i.args[0]);
        let largest = u64::from(!known as u32);
        let fits = if i.op == Op::Add { largest + c <= u64::from(u32::MAX) } else { largest & c == 0 };
        match u32::try_from(u64::from(offset) + c) {
            Ok(sum) if fits && sum <= i32::MAX as u32 => (i.args[0], sum),
            _ => (index, offset),
        }
    }

    fn address(&mut self, memarg: &MemArg, index: Value, bytes: u32) -> Address {
        let m = memory_of(memarg);
        if self.is_guarded(m)
            && let Ok(offset) = u32::try_from(memarg.offset)
        {
            let (index, offset) = self.fold_address(index, offset);
            return Address::Guarded(index, offset);
        }
        let (p, d) = self.checked_pointer(m, index, memarg.offset, bytes);
        Address::Pointer(p, d)
    }

    fn place(&self, at: Address, ty: Type, kind: MemKind) -> Option<Place> {
        match at {
            Address::Guarded(index, offset) => Some(Place::guarded(&self.f, index, offset, ty, kind)),
            Address::Pointer(p, d) => Place::pointer(&self.f, Alias::Memory, p, d, ty, kind),
        }
    }

    fn load_from(&mut self, at: Address, ty: Type, kind: MemKind) -> Value {
        let place = self.place(at, ty, kind);
        if let Some(v) = place.and_then(|p| self.known(&p).or_else(|| self.known_by_root(&p))) {
            return v;
        }
        let (op, arg, imm) = match at {
            Address::Guarded(index, offset) => (Op::Load, index, i64::from(offset)),
            Address::Pointer(p, d) => (Op::PLoad, p, d),
        };
        let v = self.push(Inst {
            idx: if op == Op::PLoad { Alias::Memory as u32 } else { 0 },
            aux: kind as u8,
            args: [arg, Value::NONE, Value::NONE],
            imm,
            ..Inst::new(op, ty)
        });
        if let Some(p) = place {
            self.remember_load(p, v);
        }
        v
    }

    fn store_to(&mut self, at: Address, v: Value, kind: MemKind) {
        let ty = self.f.ty(v);
        let place = self.place(at, ty, kind);
        let stored = if kind == MemKind::Whole { v } else { self.low_part(v, kind) };
        let (op, arg, imm) = match at {
            Address::Guarded(index, offset) => (Op::Store, index, i64::from(offset)),
            Address::Pointer(p, d) => (Op::PStore, p, d),
        };
        self.push(Inst {
            idx: if op == Op::PStore { Alias::Memory as u32 } else { 0 },
            aux: kind as u8,
            args: [arg, stored, Value::NONE],
            imm,
            ..Inst::new(op, Type::Void)
        });
        if let Some(p) = place {
            self.remember_store(p, v);
        }
    }

    /// A value with the same low bits, without what only concerns the others.
    pub(super) fn low_part(&mut self, v: Value, kind: MemKind) -> Value {
        let bits = 8 * kind.bytes(self.f.ty(v));
        let mut v = v;
        loop {
            let i = self.f.inst(v);
            let keeps = match i.op {
                Op::And => self.f.as_iconst(i.args[1]).is_some_and(|m| m as u64 | u64::MAX << bits == u64::MAX),
                Op::Ext8S => bits <= 8,
                Op::Ext16S => bits <= 16,
                Op::Ext32S => bits <= 32,
                _ => false,
            };
            if !keeps {
                return v;
            }
            v = i.args[0];
        }
    }

    pub(super) fn load(&mut self, memarg: &MemArg, ty: Type, kind: MemKind) {
        let index = self.pop();
        let at = self.address(memarg, index, kind.bytes(ty));
        let v = self.load_from(at, ty, kind);
        self.stack.push(v);
    }

    pub(super) fn store(&mut self, memarg: &MemArg, kind: MemKind) {
        let (index, v) = self.pop2();
        // Narrow stores of i64 are those of its low half.
        let (v, kind) = match (self.f.ty(v), kind) {
            (Type::I64, MemKind::S32 | MemKind::U32) => (self.un(Op::Wrap, Type::I32, v), MemKind::Whole),
            (Type::I64, MemKind::S8 | MemKind::U8 | MemKind::S16 | MemKind::U16) => {
                (self.un(Op::Wrap, Type::I32, v), kind)
            }
            _ => (v, kind),
        };
        let at = self.address(memarg, index, kind.bytes(self.f.ty(v)));
        self.store_to(at, v, kind);
    }

    /// Loads or stores one lane of a vector.
    pub(super) fn lane_access(&mut self, memarg: &MemArg, bits: u32, lane: u8, store: bool) {
        let (index, v) = self.pop2();
        let (ty, kind, extract, replace) = match bits {
            8 => (Type::I32, MemKind::U8, SimdOp::I8x16ExtractLaneU, SimdOp::I8x16ReplaceLane),
            16 => (Type::I32, MemKind::U16, SimdOp::I16x8ExtractLaneU, SimdOp::I16x8ReplaceLane),
            32 => (Type::I32, MemKind::Whole, SimdOp::I32x4ExtractLane, SimdOp::I32x4ReplaceLane),
            _ => (Type::I64, MemKind::Whole, SimdOp::I64x2ExtractLane, SimdOp::I64x2ReplaceLane),
        };
        let at = self.address(memarg, index, bits / 8);
        if store {
            let x = self.simd(extract, lane, &[v]);
            self.store_to(at, x, kind);
        } else {
            let x = self.load_from(at, ty, kind);
            let v = self.simd(replace, lane, &[v, x]);
            self.stack.push(v);
        }
    }

    // ---- atomics

    /// Index plus offset as 64 bits; traps when that overflows.
    fn effective(&mut self, index: Value, offset: u64) -> Value {
        let narrow = self.f.ty(index) == Type::I32;
        let index = self.index64(index);
        let sum = self.bin_const(Op::Add, Type::I64, index, offset as i64);
        if (!narrow || offset > u64::MAX >> 1) && offset != 0 {
            let wrapped = self.icmp(IntCc::LtU, sum, index);
            self.trap_if(wrapped, TrapCode::MemoryOutOfBounds);
        }
        sum
    }

    /// Checks an atomic access; answers pointer and displacement.
    fn atomic_address(&mut self, memarg: &MemArg, index: Value, bytes: u32) -> (Value, i64) {
        let m = memory_of(memarg);
        if bytes > 1 {
            let at = self.effective(index, memarg.offset);
            let low = self.bin_const(Op::And, Type::I64, at, i64::from(bytes - 1));
            let low = self.un(Op::Wrap, Type::I32, low);
            self.trap_if(low, TrapCode::UnalignedAtomic);
        }
        let in_reach = u32::try_from(memarg.offset).is_ok();
        if self.is_guarded(m) && in_reach {
            return self.pointer(m, index, memarg.offset);
        }
        self.checked_pointer(m, index, memarg.offset, bytes)
    }

    fn atomic(&mut self, op: Op, ty: Type, kind: MemKind, rmw: u32, (p, d): (Value, i64), args: &[Value]) -> Value {
        let arg = |i: usize| args.get(i).copied().unwrap_or(Value::NONE);
        let v = self.push(Inst { idx: rmw, aux: kind as u8, args: [p, arg(0), arg(1)], imm: d, ..Inst::new(op, ty) });
        self.loads.clobber(class::MEMORY);
        v
    }

    pub(super) fn atomic_load(&mut self, memarg: &MemArg, ty: Type, kind: MemKind) {
        let index = self.pop();
        let at = self.atomic_address(memarg, index, kind.bytes(ty));
        let v = self.atomic(Op::AtomicLoad, ty, kind, 0, at, &[]);
        self.stack.push(v);
    }

    pub(super) fn atomic_store(&mut self, memarg: &MemArg, kind: MemKind) {
        let (index, v) = self.pop2();
        let at = self.atomic_address(memarg, index, kind.bytes(self.f.ty(v)));
        self.atomic(Op::AtomicStore, Type::Void, kind, 0, at, &[v]);
    }

    pub(super) fn atomic_rmw(&mut self, memarg: &MemArg, ty: Type, kind: MemKind, rmw: Rmw) {
        let (index, v) = self.pop2();
        let at = self.atomic_address(memarg, index, kind.bytes(ty));
        let v = self.atomic(Op::AtomicRmw, ty, kind, rmw as u32, at, &[v]);
        self.stack.push(v);
    }

    pub(super) fn atomic_cas(&mut self, memarg: &MemArg, ty: Type, kind: MemKind) {
        let new = self.pop();
        let (index, expected) = self.pop2();
        let at = self.atomic_address(memarg, index, kind.bytes(ty));
        let v = self.atomic(Op::AtomicCas, ty, kind, 0, at, &[expected, new]);
        self.stack.push(v);
    }

    pub(super) fn atomic_wait(&mut self, memarg: &MemArg, helper: Helper) {
        let timeout = self.pop();
        let (index, expected) = self.pop2();
        let at = self.effective(index, memarg.offset);
        let m = self.i64_const(i64::from(memory_of(memarg)));
        let expected = self.index64(expected);
        let v = self.helper(helper, &[m, at, expected, timeout]);
        self.loads.clobber(class::MEMORY | class::MEMORY_DESC);
        let v = self.un(Op::Wrap, Type::I32, v);
        self.stack.push(v);
    }

    pub(super) fn atomic_notify(&mut self, memarg: &MemArg) {
        let (index, count) = self.pop2();
        let at = self.effective(index, memarg.offset);
        let m = self.i64_const(i64::from(memory_of(memarg)));
        let count = self.index64(count);
        let v = self.helper(Helper::AtomicNotify, &[m, at, count]);
        self.loads.clobber(class::MEMORY);
        let v = self.un(Op::Wrap, Type::I32, v);
        self.stack.push(v);
    }

    pub(super) fn fence(&mut self) {
        self.push(Inst::new(Op::Fence, Type::Void));
        self.loads.clobber(class::MEMORY);
    }

    // ---- whole memories

    pub(super) fn memory_size(&mut self, m: u32) {
        let ty = *self.memory_type(m);
        let v = match self.fixed_size(m) {
            Some(bytes) => self.i64_const((bytes >> ty.page_size_log2) as i64),
            None => {
                let length = self.memory_length(m);
                self.bin_const(Op::ShrU, Type::I64, length, i64::from(ty.page_size_log2))
            }
        };
        self.push_index(v, ty.is64);
    }

    /// Pushes a 64-bit value as an index.
    pub(super) fn push_index(&mut self, v: Value, is64: bool) {
        let v = if is64 { v } else { self.un(Op::Wrap, Type::I32, v) };
        self.stack.push(v);
    }

    pub(super) fn memory_grow(&mut self, m: u32) {
        let delta = self.pop();
        let delta = self.index64(delta);
        let index = self.i64_const(i64::from(m));
        let v = self.helper(Helper::MemoryGrow, &[index, delta]);
        self.loads.clobber(class::MEMORY_DESC);
        let is64 = self.memory_type(m).is64;
        self.push_index(v, is64);
    }

    /// Pops three operands, as i64 each.
    pub(super) fn pop3_wide(&mut self) -> [Value; 3] {
        let c = self.pop();
        let (a, b) = self.pop2();
        [a, b, c].map(|v| self.index64(v))
    }

    pub(super) fn memory_fill(&mut self, m: u32) {
        let (n, v) = (self.pop(), self.pop());
        let at = self.pop();
        if let Some(n) = self.short_length(m, n) {
            return self.fill_inline(at, v, n);
        }
        let [at, v, n] = [at, v, n].map(|v| self.index64(v));
        let index = self.i64_const(i64::from(m));
        self.helper(Helper::MemoryFill, &[index, at, v, n]);
        self.loads.clobber(class::MEMORY);
    }

    pub(super) fn memory_copy(&mut self, to: u32, from: u32) {
        let n = self.pop();
        let (dst, src) = self.pop2();
        if to == from
            && let Some(n) = self.short_length(to, n)
        {
            return self.copy_inline(dst, src, n);
        }
        let [dst, src, n] = [dst, src, n].map(|v| self.index64(v));
        let (a, b) = (self.i64_const(i64::from(to)), self.i64_const(i64::from(from)));
        self.helper(Helper::MemoryCopy, &[a, b, dst, src, n]);
        self.loads.clobber(class::MEMORY);
    }

    /// A constant length of a bulk operation on guarded memory that is short enough to be done by loads and stores.
    fn short_length(&self, m: u32, n: Value) -> Option<u32> {
        let n = u32::try_from(self.f.as_iconst(n)?).ok()?;
        (self.is_guarded(m) && (1..=64).contains(&n)).then_some(n)
    }

    /// Pieces that cover `n` bytes, the last of them ending at `n`: offset, type, kind.
    fn pieces(n: u32) -> Vec<(u32, Type, MemKind)> {
        let (step, ty, kind) = match n {
            16.. => (16, Type::V128, MemKind::Whole),
            8.. => (8, Type::I64, MemKind::Whole),
            4.. => (4, Type::I32, MemKind::Whole),
            2.. => (2, Type::I32, MemKind::U16),
            _ => (1, Type::I32, MemKind::U8),
        };
        let mut pieces: Vec<_> = (0..n / step).map(|i| (i * step, ty, kind)).collect();
        match n % step {
            0 => {}
            // A few bytes more by a store of their own where one fits, else by one that overlaps.
            1 if step > 1 => pieces.push((n - 1, Type::I32, MemKind::U8)),
            2 if step > 2 => pieces.push((n - 2, Type::I32, MemKind::U16)),
            4 if step > 4 => pieces.push((n - 4, Type::I32, MemKind::Whole)),
            8 if step > 8 => pieces.push((n - 8, Type::I64, MemKind::Whole)),
            _ => pieces.push((n - step, ty, kind)),
        }
        pieces
    }

    /// All loads before all stores, and the last byte's store first: a trap leaves memory as it was.
    fn copy_inline(&mut self, dst: Value, src: Value, n: u32) {
        let pieces = Self::pieces(n);
        let mut values = Vec::with_capacity(pieces.len());
        for &(offset, ty, kind) in pieces.iter().rev() {
            let (index, offset) = self.fold_address(src, offset);
            values.push(self.load_from(Address::Guarded(index, offset), ty, kind));
        }
        for (&(offset, _, kind), &v) in pieces.iter().rev().zip(&values) {
            let (index, offset) = self.fold_address(dst, offset);
            self.store_to(Address::Guarded(index, offset), v, kind);
        }
    }

    fn fill_inline(&mut self, at: Value, byte: Value, n: u32) {
        let vector = if n >= 16 { self.simd(SimdOp::I8x16Splat, 0, &[byte]) } else { Value::NONE };
        let byte = self.bin_const(Op::And, Type::I32, byte, 0xff);
        let word = self.un(Op::ExtU, Type::I64, byte);
        let word = self.bin_const(Op::Mul, Type::I64, word, 0x0101_0101_0101_0101);
        let half = self.un(Op::Wrap, Type::I32, word);
        for &(offset, ty, kind) in Self::pieces(n).iter().rev() {
            let v = match (ty, kind) {
                (Type::V128, _) => vector,
                (Type::I64, _) => word,
                (_, MemKind::U8) => byte,
                _ => half,
            };
            let (index, offset) = self.fold_address(at, offset);
            self.store_to(Address::Guarded(index, offset), v, kind);
        }
    }
}
