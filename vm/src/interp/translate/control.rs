//! Blocks, branches, calls and returns.

use super::builder::{Builder, Entry, Loc, LoopRange, Operand, class_of, class_of_parsed, slots_of};
use crate::interp::dispatch::Class;
use crate::interp::exec::exception::{Clause, Reference, TryRange};
use crate::interp::isa::ops::COMPARISONS;
use crate::interp::isa::{Op, PairForm, ops, same};
use smallvec::SmallVec;
use wasmparser::{BlockType, BrTable};

/// More slots than these are copied by one instruction.
const MANY: u32 = 16;

/// What kind of block a frame is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind {
    Function,
    /// Also `try_table`.
    Block,
    /// The body of a legacy `try`.
    Try,
    /// A `catch` clause of it: the lowest slot of the block is that of the exception's reference.
    Catch,
    /// With the index of its first instruction.
    Loop(usize),
    /// With the branch to patch that leads to `else` or the end.
    If(Option<usize>),
    /// Opened where control never comes.
    Dead,
}

/// A place to fill in once a label's position is known: a branch and the instruction its offset counts from.
#[derive(Clone, Copy)]
struct Patch {
    at: usize,
    from: usize,
}

/// An open block.
pub(super) struct Frame {
    kind: Kind,
    /// Entries of the operand stack below the block's parameters.
    height: usize,
    params: SmallVec<[Class; 2]>,
    results: SmallVec<[Class; 2]>,
    patches: Vec<Patch>,
    /// The exception handling of the block, if it has any.
    try_: Option<TryRange>,
}

/// A condition to branch on.
pub(super) struct Condition {
    op: Op,
    pair: PairForm,
    negate: bool,
    a: u16,
    b: u16,
}

impl Builder<'_> {
    pub(super) fn push_function_frame(&mut self) {
        let results = self.ty.results.iter().map(|&t| class_of(t)).collect();
        let frame = Frame {
            kind: Kind::Function,
            height: 0,
            params: SmallVec::new(),
            results,
            patches: Vec::new(),
            try_: None,
        };
        self.control.push(frame);
    }

    fn block_classes(&self, ty: BlockType) -> (SmallVec<[Class; 2]>, SmallVec<[Class; 2]>) {
        match ty {
            BlockType::Empty => Default::default(),
            BlockType::Type(t) => (SmallVec::new(), SmallVec::from_slice(&[class_of_parsed(t)])),
            BlockType::FuncType(i) => {
                let ty = self.module.func_type(self.module.inner.raw.types[i as usize]);
                let classes = |ts: &[wasm::ValType]| ts.iter().map(|&t| class_of(t)).collect();
                (classes(&ty.params), classes(&ty.results))
            }
        }
    }

    /// Opens a block where control never comes.
    pub(super) fn open_dead(&mut self) {
        let height = self.stack.len();
        self.control.push(Frame {
            kind: Kind::Dead,
            height,
            params: SmallVec::new(),
            results: SmallVec::new(),
            patches: Vec::new(),
            try_: None,
        });
    }

    fn open(&mut self, kind: Kind, ty: BlockType) {
        let (params, results) = self.block_classes(ty);
        let height = self.stack.len() - params.len();
        self.control.push(Frame { kind, height, params, results, patches: Vec::new(), try_: None });
    }

    pub(super) fn block(&mut self, ty: BlockType) {
        self.flush_all();
        self.open(Kind::Block, ty);
    }

    pub(super) fn loop_(&mut self, ty: BlockType) {
        self.flush_all();
        self.place_label();
        // With fuel the label is followed by its charge, which every iteration pays.
        let start = self.label;
        self.open_loops.push(self.loops.len());
        self.loops.push(LoopRange { start: start as u32, end: 0, offset: self.offset });
        self.open(Kind::Loop(start), ty);
    }

    pub(super) fn if_(&mut self, ty: BlockType) {
        let condition = self.take_condition();
        self.flush_all();
        let at = self.emit_condition(&condition, true, false);
        self.new_segment();
        self.open(Kind::If(Some(at)), ty);
    }

    pub(super) fn else_(&mut self) {
        let reachable = self.reachable;
        let Some(index) = self.control.len().checked_sub(1) else { return };
        let Kind::If(at) = self.control[index].kind else {
            return;
        };
        if reachable {
            self.leave_block_by_branch(index);
        }
        self.truncate(self.control[index].height);
        let params = self.control[index].params.clone();
        for class in params {
            self.push_slot(class);
        }
        self.control[index].kind = Kind::If(None);
        if let Some(at) = at {
            self.place_label();
            self.patch(Patch { at, from: at }, self.label);
        }
        self.reachable = true;
    }

    /// Jumps to the end of a block with its results.
    fn leave_block_by_branch(&mut self, index: usize) {
        let n = self.control[index].results.len();
        self.flush_top(n);
        self.spill_all();
        self.emit_jump(index);
    }

    pub(super) fn end(&mut self) {
        if self.control.len() == 1 {
            if self.reachable {
                self.return_();
            }
            return;
        }
        let index = self.control.len() - 1;
        if self.control[index].kind == Kind::Catch && self.reachable {
            // The results lie above the reference to the exception: a branch moves them to their place.
            self.leave_block_by_branch(index);
            self.set_unreachable();
        }
        let Some(mut frame) = self.control.pop() else { return };
        if let Some(range) = frame.try_.take() {
            let end = if range.end == 0 { self.code.len() as u32 } else { range.end };
            self.tries.push(TryRange { end, ..range });
        }
        if frame.kind == Kind::Dead {
            return;
        }
        if let Kind::Loop(_) = frame.kind
            && let Some(open) = self.open_loops.pop()
        {
            self.loops[open].end = self.code.len() as u32;
        }
        if let Kind::If(Some(at)) = frame.kind {
            // Without `else` the parameters are the results, and lie where results belong.
            frame.patches.push(Patch { at, from: at });
        }
        let n = frame.results.len();
        if frame.patches.is_empty() {
            if !self.reachable {
                self.truncate(frame.height);
                for &class in &frame.results {
                    self.push_slot(class);
                }
            }
            return;
        }
        if self.reachable {
            self.flush_top(n);
            self.spill_all();
        }
        // Entries below the block are in their slots since it was opened.
        self.truncate(frame.height);
        self.place_label();
        for patch in frame.patches {
            self.patch(patch, self.label);
        }
        for &class in &frame.results {
            self.push_slot(class);
        }
        self.reachable = true;
    }

    fn patch(&mut self, p: Patch, to: usize) {
        self.code[p.at].x = (to as i64 - p.from as i64) as i32 as u32;
    }

    pub(super) fn set_unreachable(&mut self) {
        self.reachable = false;
        if let Some(f) = self.control.last() {
            let height = f.height;
            self.truncate(height);
        }
        self.forget_accumulators();
    }

    // ---- branches

    fn frame_index(&self, depth: u32) -> usize {
        // The validator has checked the depth.
        self.control.len() - 1 - depth as usize
    }

    /// Classes of the values a branch to a frame takes along.
    fn branch_classes(&self, index: usize) -> SmallVec<[Class; 2]> {
        let f = &self.control[index];
        if matches!(f.kind, Kind::Loop(_)) { f.params.clone() } else { f.results.clone() }
    }

    /// First slot of the values that a branch to a frame leaves.
    fn target_slot(&self, index: usize) -> u32 {
        let height = self.control[index].height;
        match self.stack.get(height) {
            Some(e) => e.slot,
            None => self.top(),
        }
    }

    /// First slot of the topmost `n` entries.
    fn source_slot(&self, n: usize) -> u32 {
        match n {
            0 => self.top(),
            n => self.stack[self.stack.len() - n].slot,
        }
    }

    /// Whether a branch has nothing to do but jump.
    fn is_plain(&self, index: usize) -> bool {
        let n = self.branch_classes(index).len();
        self.control[index].kind != Kind::Function && (n == 0 || self.source_slot(n) == self.target_slot(index))
    }

    /// Emits what a taken branch does: moves its values, then jumps or returns. Its values are in their slots.
    fn emit_jump(&mut self, index: usize) {
        if self.control[index].kind == Kind::Function {
            self.emit_return();
            return;
        }
        let classes = self.branch_classes(index);
        let (mut from, mut to) = (self.source_slot(classes.len()), self.target_slot(index));
        let slots: u32 = classes.iter().map(|&c| slots_of(c)).sum();
        if from != to && slots > MANY {
            self.copy_many(to, from, slots);
        } else if from != to {
            // Downwards, lowest first: no value is overwritten before it is copied.
            for class in classes {
                self.copy(to, from, class);
                from += slots_of(class);
                to += slots_of(class);
            }
        }
        let at = self.emit(&ops::Br, 0, 0, 0, 0);
        self.link(index, Patch { at, from: at });
    }

    /// Fills in a branch to a frame now, if it is a loop, or remembers it.
    fn link(&mut self, index: usize, patch: Patch) {
        match self.control[index].kind {
            Kind::Loop(start) => {
                self.code[patch.at].form |= 1;
                self.patch(patch, start);
            }
            _ => self.control[index].patches.push(patch),
        }
    }

    pub(super) fn br(&mut self, depth: u32) {
        let index = self.frame_index(depth);
        if self.control[index].kind == Kind::Function {
            self.return_();
            return;
        }
        let n = self.branch_classes(index).len();
        self.flush_top(n);
        self.emit_jump(index);
        self.set_unreachable();
    }

    pub(super) fn br_if(&mut self, depth: u32) {
        let condition = self.take_condition();
        self.branch_on(condition, depth, false);
    }

    /// Branches when the condition (or, with `negate`, its opposite) holds.
    pub(super) fn branch_on(&mut self, condition: Condition, depth: u32, negate: bool) {
        let index = self.frame_index(depth);
        let n = self.branch_classes(index).len();
        if n > 0 {
            self.flush_top(n);
        }
        if self.is_plain(index) {
            // Entries that the branch takes along are flushed, those below its target were when it was opened, and those
            // between are dropped by it.
            let back = matches!(self.control[index].kind, Kind::Loop(_));
            if !self.count_loop(&condition, negate, index) {
                let at = self.emit_condition(&condition, negate, back);
                self.link(index, Patch { at, from: at });
            }
        } else {
            let skip = self.emit_condition(&condition, !negate, false);
            let saved = self.acc;
            self.emit_jump(index);
            self.acc = saved;
            let here = self.code.len();
            self.patch(Patch { at: skip, from: skip }, here);
            // Control comes here only from the condition: what accumulators hold still holds, but code before this
            // point must stay as it is.
            self.label = here;
        }
        self.new_segment();
    }

    /// The end of a counted loop as one instruction: the addition to a local that is last, and the comparison of its
    /// result. False when it is not of that shape.
    fn count_loop(&mut self, c: &Condition, negate: bool, index: usize) -> bool {
        let Kind::Loop(start) = self.control[index].kind else { return false };
        let (Some(comparison), false, false) = (ops::COUNTING.iter().position(|br| same(br, c.op)), c.negate, negate)
        else {
            return false;
        };
        let immediate = match c.pair {
            PairForm::AccSlot => false,
            PairForm::AccImm => true,
            _ => return false,
        };
        let Some(last) = self.code.len().checked_sub(1).filter(|&i| i >= self.label) else { return false };
        let add = &self.code[last];
        let counts = add.op.is_some_and(|op| same(op, &ops::I32Add))
            && add.form == (PairForm::SlotImm as u8) << 1 | 1
            && add.a == add.b;
        let (Ok(step), Ok(back)) = (i16::try_from(add.x as i32), i16::try_from(start as i64 - last as i64)) else {
            return false;
        };
        if !counts {
            return false;
        }
        let a = add.a;
        self.take_back(1);
        let form = (comparison as u8) << 1 | u8::from(immediate);
        self.emit4(&ops::AddBranch, form, a, step as u16, c.b, back as u16);
        true
    }

    pub(super) fn br_table(&mut self, table: &BrTable<'_>) {
        let e = self.pop();
        let index = self.slot_or_acc(e);
        // The validator has read the targets once.
        let targets: Vec<u32> = table.targets().map_while(Result::ok).chain([table.default()]).collect();
        let n = self.branch_classes(self.frame_index(table.default())).len();
        self.flush_top(n);
        let (form, a) = match index {
            Operand::Slot(s) => (0, s),
            _ => (1, 0),
        };
        let base = self.emit(&ops::BrTable, form, a, 0, targets.len() as u32);
        for _ in &targets {
            self.data(0, 0, 0, 0);
        }
        // Targets that need more than a jump get it behind the table, once each.
        let mut stubs: Vec<(u32, usize)> = Vec::new();
        for (i, &depth) in targets.iter().enumerate() {
            let frame = self.frame_index(depth);
            let word = Patch { at: base + 1 + i, from: base };
            if self.is_plain(frame) && !matches!(self.control[frame].kind, Kind::Loop(_)) {
                self.control[frame].patches.push(word);
                continue;
            }
            let stub = stubs.iter().find(|s| s.0 == depth).map(|s| s.1).unwrap_or_else(|| {
                let here = self.code.len();
                self.label = here;
                self.emit_jump(frame);
                stubs.push((depth, here));
                here
            });
            self.patch(word, stub);
        }
        self.set_unreachable();
    }

    /// Pops a condition; a comparison that was made just for it is taken back and becomes part of the branch.
    pub(super) fn take_condition(&mut self) -> Condition {
        let e = self.pop();
        if let Loc::Acc(producer) = e.loc
            && self.is_last(producer)
            && let Some((c, n)) = self.fuse(producer)
        {
            self.take_back(n);
            return c;
        }
        let (pair, a) = match self.slot_or_acc(e) {
            Operand::Slot(s) => (PairForm::SlotImm, s),
            _ => (PairForm::AccImm, 0),
        };
        Condition { op: &ops::BrI32Ne, pair, negate: false, a, b: 0 }
    }

    /// The last instruction as a condition, and how many instructions that replaces.
    fn fuse(&self, producer: usize) -> Option<(Condition, usize)> {
        let e = &self.code[producer];
        let op = e.op?;
        let negated = same(op, &ops::I32Eqz) && e.form >> 1 == 1;
        if let (true, Some(before)) = (negated, producer.checked_sub(1).filter(|&i| i >= self.label))
            && self.code[before].form & 1 == 0
            && let Some((c, n)) = self.fuse(before)
        {
            return Some((Condition { negate: !c.negate, ..c }, n + 1));
        }
        let zero_test = [(&ops::I32Eqz, &ops::BrI32Eq), (&ops::I64Eqz, &ops::BrI64Eq)];
        if let Some((_, br)) = zero_test.iter().find(|(z, _)| same(op, z)) {
            let pair = if e.form >> 1 == 0 { PairForm::SlotImm } else { PairForm::AccImm };
            return Some((Condition { op: br, pair, negate: false, a: e.b, b: 0 }, 1));
        }
        let br =
            if same(op, &ops::I32And) { &ops::BrI32Test } else { COMPARISONS.iter().find(|(c, _)| same(op, c))?.1 };
        let pair = PairForm::of_binary(e.form);
        let imm = e.x as i32;
        let (a, b) = match pair {
            PairForm::SlotSlot => (e.b, e.x as u16),
            PairForm::AccSlot => (0, e.x as u16),
            PairForm::SlotAcc => (e.b, 0),
            PairForm::SlotImm | PairForm::AccImm => {
                // Immediates of branches have 16 bits, and floats have none.
                if op.input != Class::Int {
                    return None;
                }
                (e.b, i16::try_from(imm).ok()? as u16)
            }
            _ => return None,
        };
        Some((Condition { op: br, pair, negate: false, a, b }, 1))
    }

    fn emit_condition(&mut self, c: &Condition, negate: bool, back: bool) -> usize {
        let form = (c.pair as u8) << 2 | u8::from(c.negate != negate) << 1 | u8::from(back);
        self.emit(c.op, form, c.a, c.b, 0)
    }

    /// `br_on_null` and `br_on_non_null`.
    pub(super) fn br_on_null(&mut self, depth: u32, on_null: bool) {
        let e = self.pop();
        let reference = self.slot_for(e);
        let condition = Condition { op: &ops::BrI64Eq, pair: PairForm::SlotImm, negate: false, a: reference, b: 0 };
        // The reference stays where it is when control goes on (`br_on_null`) or is taken along.
        let again = e.at(if matches!(e.loc, Loc::Local(_)) { e.loc } else { Loc::Slot });
        if on_null {
            self.branch_on(condition, depth, false);
            self.push_again(again);
        } else {
            self.push_again(again);
            self.branch_on(condition, depth, true);
            self.pop();
        }
    }

    pub(super) fn push_again(&mut self, e: Entry) {
        match e.loc {
            Loc::Local(l) => self.push_local(l),
            _ => {
                self.push_slot(e.class);
            }
        }
    }

    // ---- returns and calls

    pub(super) fn return_(&mut self) {
        let n = self.control[0].results.len();
        if n == 1 && self.control[0].results[0] != Class::V128 {
            let e = self.pop();
            let ret = self.field(self.ret);
            let op: Op = match e.class {
                Class::F32 => &ops::ReturnF32,
                Class::F64 => &ops::ReturnF64,
                _ => &ops::ReturnInt,
            };
            match self.operand(e) {
                Operand::Imm(bits) if e.class == Class::Int && u32::try_from(bits).is_ok() => {
                    self.emit(&ops::ReturnImm, 0, ret, 0, bits as u32);
                }
                Operand::Imm(_) => {
                    let s = self.slot_for(e);
                    self.emit(op, 0, ret, s, 0);
                }
                Operand::Slot(s) => {
                    self.emit(op, 0, ret, s, 0);
                }
                Operand::Acc => {
                    self.emit(op, 1, ret, 0, 0);
                }
            }
        } else {
            self.flush_top(n);
            self.emit_return();
        }
        self.set_unreachable();
    }

    /// Returns the topmost entries, which are in their slots.
    fn emit_return(&mut self) {
        let classes = self.control[0].results.clone();
        let ret = self.field(self.ret);
        let first = self.source_slot(classes.len());
        match classes.as_slice() {
            [] => {
                self.emit(&ops::ReturnNone, 0, ret, 0, 0);
            }
            [class] if *class != Class::V128 => {
                let op: Op = match class {
                    Class::F32 => &ops::ReturnF32,
                    Class::F64 => &ops::ReturnF64,
                    _ => &ops::ReturnInt,
                };
                let s = self.reach(first, *class);
                self.emit(op, 0, ret, s, 0);
            }
            many => {
                let slots: u32 = many.iter().map(|&c| slots_of(c)).sum();
                self.emit(&ops::ReturnMany, 0, ret, slots as u16, first);
            }
        }
    }

    /// Puts the arguments of a call into their slots; answers the first of them.
    pub(super) fn arguments(&mut self, n: usize) -> u32 {
        self.flush_top(n);
        self.spill_all();
        self.source_slot(n)
    }

    /// Replaces the arguments by the results after a call.
    fn after_call(&mut self, ty: &wasm::FuncType) {
        self.truncate(self.stack.len() - ty.params.len());
        self.forget_accumulators();
        for &t in &ty.results {
            self.push_slot(class_of(t));
        }
        // Results of more types than one can be returned: the first alone is in its accumulator for sure.
        if let [t] = *ty.results
            && class_of(t) != Class::V128
        {
            let slot = self.top() - 1;
            self.acc[class_of(t) as usize].mirror = Some(slot);
        }
    }

    pub(super) fn call(&mut self, func: u32) {
        let raw = &self.module.inner.raw;
        let ty = self.module.func_type(raw.funcs[func as usize]);
        let own = raw.own_func(func);
        let delta = self.arguments(ty.params.len());
        let (op, index): (Op, u32) = match own {
            Some(own) => (&ops::Call, own),
            None => (&ops::CallImport, func),
        };
        self.emit(op, 0, index as u16, (index >> 16) as u16, delta);
        self.after_call(&ty);
    }

    pub(super) fn call_indirect(&mut self, type_index: u32, table: u32) {
        let id = self.module.inner.raw.types[type_index as usize];
        let ty = self.module.func_type(id);
        let e = self.pop();
        // The index may be in an accumulator only: arguments are flushed by instructions that leave it alone.
        let index = self.slot_or_acc(e);
        let delta = self.arguments(ty.params.len());
        let (form, a) = match index {
            Operand::Slot(s) => (0, s),
            _ => (1, 0),
        };
        self.emit(&ops::CallIndirect, form, a, table as u16, id.0);
        self.data(0, 0, 0, delta);
        self.after_call(&ty);
    }

    pub(super) fn call_ref(&mut self, type_index: u32) {
        let ty = self.module.func_type(self.module.inner.raw.types[type_index as usize]);
        let e = self.pop();
        let reference = self.slot_for(e);
        let delta = self.arguments(ty.params.len());
        self.emit(&ops::CallRef, 0, reference, 0, delta);
        self.after_call(&ty);
    }

    /// The word that tells a tail call what becomes of the frame.
    fn tail(&mut self, ty: &wasm::FuncType, first: u32) {
        let ret = self.field(self.ret);
        self.data(0, ret, ty.param_slots() as u16, first);
        self.set_unreachable();
    }

    pub(super) fn return_call(&mut self, func: u32) {
        let raw = &self.module.inner.raw;
        let ty = self.module.func_type(raw.funcs[func as usize]);
        let own = raw.own_func(func);
        let first = self.arguments(ty.params.len());
        let (op, index): (Op, u32) = match own {
            Some(own) => (&ops::ReturnCall, own),
            None => (&ops::ReturnCallImport, func),
        };
        self.emit(op, 0, index as u16, (index >> 16) as u16, 0);
        self.tail(&ty, first);
    }

    pub(super) fn return_call_indirect(&mut self, type_index: u32, table: u32) {
        let id = self.module.inner.raw.types[type_index as usize];
        let ty = self.module.func_type(id);
        let e = self.pop();
        let index = self.slot_for(e);
        let first = self.arguments(ty.params.len());
        self.emit(&ops::ReturnCallIndirect, 0, index, table as u16, id.0);
        self.tail(&ty, first);
    }

    pub(super) fn return_call_ref(&mut self, type_index: u32) {
        let ty = self.module.func_type(self.module.inner.raw.types[type_index as usize]);
        let e = self.pop();
        let reference = self.slot_for(e);
        let first = self.arguments(ty.params.len());
        self.emit(&ops::ReturnCallRef, 0, reference, 0, 0);
        self.tail(&ty, first);
    }

    // ---- exceptions

    fn new_try(&mut self, slot: u32, clauses: Vec<Clause>) -> TryRange {
        self.try_ids += 1;
        TryRange { id: self.try_ids, start: self.code.len() as u32, end: 0, slot, clauses, delegate: None }
    }

    fn tag_classes(&self, tag: u32) -> Vec<Class> {
        let ty = self.module.func_type(self.module.inner.raw.tags[tag as usize]);
        ty.params.iter().map(|&t| class_of(t)).collect()
    }

    /// `try_table`: each clause gets a place before the body that passes its values on to the clause's label.
    pub(super) fn try_table(&mut self, table: &wasmparser::TryTable) {
        self.flush_all();
        let slot = self.top();
        let height = self.stack.len();
        let mut clauses = Vec::new();
        if !table.catches.is_empty() {
            let skip = self.emit(&ops::Br, 0, 0, 0, 0);
            for catch in &table.catches {
                let (tag, with_ref, label) = match *catch {
                    wasmparser::Catch::One { tag, label } => (Some(tag), false, label),
                    wasmparser::Catch::OneRef { tag, label } => (Some(tag), true, label),
                    wasmparser::Catch::All { label } => (None, false, label),
                    wasmparser::Catch::AllRef { label } => (None, true, label),
                };
                self.place_label();
                let target = self.label as u32;
                for class in tag.map(|t| self.tag_classes(t)).unwrap_or_default() {
                    self.push_slot(class);
                }
                if with_ref {
                    self.push_slot(Class::Int);
                }
                let index = self.frame_index(label);
                self.emit_jump(index);
                self.truncate(height);
                let reference = if with_ref { Reference::After } else { Reference::Drop };
                clauses.push(Clause { tag, reference, target });
            }
            self.place_label();
            self.patch(Patch { at: skip, from: skip }, self.label);
        }
        self.open(Kind::Block, table.ty);
        let range = self.new_try(slot, clauses);
        if let Some(f) = self.control.last_mut() {
            f.try_ = Some(range);
        }
    }

    /// Legacy `try`.
    pub(super) fn try_(&mut self, ty: BlockType) {
        self.flush_all();
        self.open(Kind::Try, ty);
        let slot = self.target_slot(self.control.len() - 1);
        let range = self.new_try(slot, Vec::new());
        if let Some(f) = self.control.last_mut() {
            f.try_ = Some(range);
        }
    }

    /// Legacy `catch` and, without a tag, `catch_all`.
    pub(super) fn catch(&mut self, tag: Option<u32>) {
        let index = self.control.len() - 1;
        if self.control[index].kind == Kind::Dead {
            return;
        }
        if self.reachable {
            self.leave_block_by_branch(index);
        }
        let end = self.code.len() as u32;
        let height = self.control[index].height;
        self.truncate(height);
        self.place_label();
        let reference = if self.rethrow { Reference::Before } else { Reference::DropBefore };
        let clause = Clause { tag, reference, target: self.label as u32 };
        let frame = &mut self.control[index];
        if let Some(range) = &mut frame.try_ {
            if frame.kind == Kind::Try {
                range.end = end;
            }
            range.clauses.push(clause);
        }
        frame.kind = Kind::Catch;
        self.push_slot(Class::Int);
        for class in tag.map(|t| self.tag_classes(t)).unwrap_or_default() {
            self.push_slot(class);
        }
        self.reachable = true;
    }

    /// Legacy `delegate`: ends a `try` whose exceptions go to the clauses of an outer block.
    pub(super) fn delegate(&mut self, depth: u32) {
        let inner = self.control.len() - 1;
        if self.control[inner].kind != Kind::Dead {
            let active = |f: &Frame| f.kind != Kind::Catch && f.try_.is_some();
            let outer = inner.checked_sub(1 + depth as usize);
            let id = outer.and_then(|o| self.control[..=o].iter().rev().find(|f| active(f)));
            let id = id.and_then(|f| f.try_.as_ref()).map(|r| r.id);
            if let Some(range) = &mut self.control[inner].try_ {
                range.delegate = Some(id);
            }
        }
        self.end();
    }

    pub(super) fn throw(&mut self, tag: u32) {
        let n = self.tag_classes(tag).len();
        self.flush_top(n);
        self.spill_all();
        let first = self.source_slot(n);
        self.emit(&ops::Throw, 0, tag as u16, (tag >> 16) as u16, first);
        self.set_unreachable();
    }

    pub(super) fn throw_ref(&mut self) {
        let e = self.pop();
        let slot = self.slot_for(e);
        self.emit(&ops::ThrowRef, 0, slot, 0, 0);
        self.set_unreachable();
    }

    /// Legacy `rethrow` of the exception that the clause at that depth has caught.
    pub(super) fn rethrow(&mut self, depth: u32) {
        self.needs.rethrow = true;
        let slot = self.target_slot(self.frame_index(depth));
        let slot = self.reach(slot, Class::Int);
        self.emit(&ops::ThrowRef, 0, slot, 0, 0);
        self.set_unreachable();
    }
}
