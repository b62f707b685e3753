//! Exceptions: `try_table`, throwing, and what happens behind calls that may throw.
//!
//! A call in the body of a `try_table` ends its block: without an exception it goes on in the next one, at no cost, and with one, which
//! is in the context, in a cold block (`catch_edge`). There, and where something is thrown in such a body, the clauses are tried one after the
//! other, those of the innermost `try_table` first; each is a branch to its label like others. What none of them catches
//! leaves the function.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`control`) in which it does not hold:
//! - Locals and operands of a clause are those at the call that threw, and memory is unknown there.
//! - Results of a call are there only where it did not throw.
//! - The clauses of inner structures come first, those between a `delegate` and its label not at all.

use super::builder::Builder;
use super::calls::func_of;
use crate::abi::{ARG_AREA_STRIDE, Helper, TrapCode};
use crate::ir::{Alias, Inst, IntCc, Op, SimdOp, Type, Value};
use smallvec::SmallVec;
use wasm::layout::context;
use wasmparser::{Catch, TryTable};

/// More tags than these are not told apart from all of them.
const MAX_TAGS: usize = 16;

/// What a clause does with the reference to the exception.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    /// Nothing: the exception is over.
    Drop,
    /// It comes behind the values (`catch_ref`).
    After,
    /// Legacy: it comes before the values, to be thrown again.
    Kept,
    /// Legacy: it comes before the values, but the exception is over.
    Unused,
}

/// One clause of a `try_table` or `try`.
#[derive(Clone, Copy)]
pub(super) struct Clause {
    /// The tag it catches, or all.
    pub(super) tag: Option<u32>,
    pub(super) reference: Reference,
    /// Index of the frame whose label it branches to.
    pub(super) target: usize,
}

impl Builder<'_> {
    // ---- structures

    fn clauses(&self, table: &TryTable) -> SmallVec<[Clause; 4]> {
        let clause = |catch: &Catch| {
            let (tag, reference) = match *catch {
                Catch::One { tag, .. } => (Some(tag), Reference::Drop),
                Catch::OneRef { tag, .. } => (Some(tag), Reference::After),
                Catch::All { .. } => (None, Reference::Drop),
                Catch::AllRef { .. } => (None, Reference::After),
            };
            Clause { tag, reference, target: self.frame_index(wasm::operators::label_of(catch)) }
        };
        table.catches.iter().map(clause).collect()
    }

    /// Gives clauses to the frame opened last.
    fn set_clauses(&mut self, clauses: &[Clause]) {
        if !clauses.is_empty() {
            self.tries.push(self.control.len() - 1);
            self.frame().clauses.extend_from_slice(clauses);
        }
    }

    pub(super) fn try_table(&mut self, table: &TryTable) {
        let clauses = self.clauses(table);
        for c in &clauses {
            self.control[c.target].labelled = true;
        }
        self.block(table.ty);
        self.set_clauses(&clauses);
        if !clauses.is_empty() {
            // As the interpreter does, whose clauses lie before the body.
            self.new_segment();
        }
    }

    /// As [`Self::seek_structure`].
    pub(super) fn seek_try_table(&mut self, table: &TryTable, height: u32) {
        if self.osr.as_ref().is_some_and(|o| o.structures.binary_search(&self.pos).is_ok()) {
            let clauses = self.clauses(table);
            self.seek_structure(table.ty, height, false);
            self.set_clauses(&clauses);
        } else {
            self.open_dead();
        }
    }

    // ---- throwing

    /// The innermost of the first `count` entries in `tries` with clauses that apply here, and how many lie further out, which apply
    /// after those; a `delegate` skips some.
    fn next_clauses(&self, mut count: usize) -> Option<(usize, usize)> {
        loop {
            let frame = self.tries[count.checked_sub(1)?];
            match self.control[frame].delegate {
                Some(rest) => count = rest,
                None => return Some((frame, count - 1)),
            }
        }
    }

    /// Whether a clause of the function may catch what is thrown here.
    pub(super) fn is_caught(&self) -> bool {
        self.next_clauses(self.tries.len()).is_some()
    }

    /// The values go to the argument area.
    pub(super) fn throw(&mut self, tag: u32) {
        let ty = self.call_type(self.module.tags[tag as usize]);
        let n = func_of(&ty).map_or(0, |f| f.params.len());
        let values = self.pop_n(n);
        if n > 0 {
            let ctx = self.ctx();
            let area = self.constant_load(Type::I64, ctx, context::ARGS);
            for (i, &v) in values.iter().enumerate() {
                let v = self.wide(v);
                self.pointer_store(area, i as i64 * i64::from(ARG_AREA_STRIDE), v, Alias::Other);
            }
        }
        let tag = self.i64_const(i64::from(tag));
        if self.is_caught() {
            self.f.blocks[self.block.index()].cold = true;
            let exception = self.helper(Helper::MakeException, &[tag]);
            self.dispatch(exception);
            return self.set_unreachable();
        }
        self.helper(Helper::Throw, &[tag]);
        self.trap(TrapCode::Unreachable);
    }

    pub(super) fn throw_ref(&mut self) {
        let v = self.pop();
        if self.is_caught() {
            let is_null = self.icmp_const(IntCc::Eq, v, 0);
            self.trap_if(is_null, TrapCode::NullExceptionReference);
        }
        self.throw_again(v);
    }

    /// Throws an exception; where it may be caught its reference is not null.
    pub(super) fn throw_again(&mut self, exception: Value) {
        if self.is_caught() {
            self.dispatch(exception);
            return self.set_unreachable();
        }
        self.helper(Helper::ThrowRef, &[exception]);
        self.trap(TrapCode::Unreachable);
    }

    // ---- catching

    /// Behind a call, whose results are not on the stack yet.
    pub(super) fn catch_behind_call(&mut self) {
        let (landing, on) = (self.new_edge(), self.new_edge());
        let aux = self.caught_tags();
        self.push(Inst { idx: landing.0, imm: i64::from(on.0), aux, ..Inst::new(Op::CatchEdge, Type::Void) });
        self.f.blocks[landing.index()].cold = true;
        self.on_edge(landing, |b| {
            let (ctx, at) = (b.ctx(), context::EXCEPTION as i64);
            let exception = b.pointer_load(Type::I64, ctx, at, Alias::Other);
            let none = b.i64_const(0);
            b.pointer_store(ctx, at, none, Alias::Other);
            b.dispatch(exception);
        });
        self.enter(on);
    }

    /// The number of the list of the tags that clauses catch here, as `CatchEdge` has it: 0 for all.
    fn caught_tags(&mut self) -> u8 {
        let (mut tags, mut rest) = (Vec::new(), self.tries.len());
        while let Some((frame, further)) = self.next_clauses(rest) {
            rest = further;
            for clause in &self.control[frame].clauses {
                match clause.tag {
                    Some(tag) if tags.len() < MAX_TAGS => tags.push(tag),
                    _ => return 0,
                }
            }
        }
        let known = self.f.tags.iter().position(|t| **t == *tags);
        let number = known.unwrap_or(self.f.tags.len());
        let Some(number) = u8::try_from(number + 1).ok() else { return 0 };
        if known.is_none() {
            self.f.tags.push(tags.into());
        }
        number
    }

    /// Ends the block with branches to the clauses that may catch an exception. Operands and locals stay as they are.
    fn dispatch(&mut self, exception: Value) {
        let mut rest = self.tries.len();
        while let Some((frame, further)) = self.next_clauses(rest) {
            rest = further;
            for k in 0..self.control[frame].clauses.len() {
                if self.is_too_much() {
                    return;
                }
                let clause = self.control[frame].clauses[k];
                let Some(tag) = clause.tag else { return self.deliver(exception, clause) };
                let tag = self.i64_const(i64::from(tag));
                let fits = self.helper(Helper::ExceptionIs, &[exception, tag]);
                let fits = self.icmp_const(IntCc::Ne, fits, 0);
                let Some((yes, no)) = self.fork(fits) else { return };
                self.on_edge(yes, |b| b.deliver(exception, clause));
                self.enter(no);
            }
        }
        self.helper(Helper::ThrowRef, &[exception]);
        self.push(Inst { aux: TrapCode::Unreachable as u8, ..Inst::new(Op::Trap, Type::Void) });
        self.f.blocks[self.block.index()].cold = true;
    }

    /// Branches to a clause's label with the exception's values.
    fn deliver(&mut self, exception: Value, clause: Clause) {
        let height = self.stack.len();
        if let Reference::Kept | Reference::Unused = clause.reference {
            self.stack.push(exception);
        }
        if let Some(tag) = clause.tag {
            let ty = self.call_type(self.module.tags[tag as usize]);
            let mut slot = 0;
            for &t in func_of(&ty).iter().flat_map(|f| f.params.iter()) {
                let v = self.exception_value(exception, slot, Type::of(t));
                self.stack.push(v);
                slot += t.slots();
            }
        }
        if clause.reference == Reference::After {
            self.stack.push(exception);
        }
        let kept = matches!(clause.reference, Reference::After | Reference::Kept);
        let kept = self.i64_const(i64::from(kept));
        self.helper(Helper::ExceptionCaught, &[exception, kept]);
        self.leave(clause.target);
        self.stack.truncate(height);
    }

    /// A value of an exception, from its slot or two.
    fn exception_value(&mut self, exception: Value, slot: u32, ty: Type) -> Value {
        let mut raw = |s: u32| {
            let s = self.i64_const(i64::from(s));
            self.helper(Helper::ExceptionValue, &[exception, s])
        };
        let v = raw(slot);
        match ty {
            Type::I32 => self.un(Op::Wrap, Type::I32, v),
            Type::F32 => {
                let v = self.un(Op::Wrap, Type::I32, v);
                self.un(Op::Bitcast, Type::F32, v)
            }
            Type::F64 => self.un(Op::Bitcast, Type::F64, v),
            Type::V128 => {
                let high = raw(slot + 1);
                let v = self.simd(SimdOp::I64x2Splat, 0, &[v]);
                self.simd(SimdOp::I64x2ReplaceLane, 1, &[v, high])
            }
            _ => v,
        }
    }
}
