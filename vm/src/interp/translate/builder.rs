//! The operand stack at translation time, and emission.
//!
//! An entry of the operand stack is in its own slot, or still a local's value, a constant, or only in the accumulator of
//! its class. The last is made by emitting an instruction in the form that writes no slot; when the value must have a
//! slot after all, that instruction is changed to the form that writes both.

use crate::interp::code::Inst;
use crate::interp::dispatch::Class;
use crate::interp::exec::exception::{Reference, TryRange};
use crate::interp::isa::{Op, ops};
use crate::module::Module;
use std::collections::HashMap;
use wasm::{FrameLayout, FuncType, StorageType, ValType};

/// What a second attempt must do differently.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) struct Needs {
    /// The frame has slots that 16-bit fields cannot name.
    pub(super) far: bool,
    /// Legacy `catch` clauses keep their exceptions for `rethrow`.
    pub(super) rethrow: bool,
}

/// What translation makes of a function.
pub(super) struct Finished {
    pub(super) code: Vec<Emitted>,
    pub(super) tries: Vec<TryRange>,
    /// Loops at which the frame may be replaced.
    pub(super) loops: Vec<LoopRange>,
}

/// Where a loop lies: its first instruction and the one behind its last, and the offset of its operator in the module.
#[derive(Clone, Copy)]
pub(super) struct LoopRange {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) offset: u32,
}

/// An instruction before its handler is looked up, or a data word (`op` is `None`).
#[derive(Clone)]
pub(super) struct Emitted {
    pub(super) op: Option<Op>,
    pub(super) form: u8,
    pub(super) a: u16,
    pub(super) b: u16,
    pub(super) x: u32,
    pub(super) h: u64,
}

impl Emitted {
    /// As it lies in memory.
    pub(super) fn encode(&self) -> Inst {
        let h = match self.op {
            Some(op) => op.forms[usize::from(self.form)] as *const () as u64,
            None => self.h,
        };
        Inst { h, a: self.a, b: self.b, x: self.x }
    }
}

/// Where an entry's value is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Loc {
    /// In its own slot.
    Slot,
    /// Still that of a local.
    Local(u32),
    /// Known: the bits.
    Const(u64),
    /// In the accumulator only, put there by the instruction of that index.
    Acc(usize),
}

/// An entry of the operand stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) class: Class,
    pub(super) loc: Loc,
    /// Its own slot.
    pub(super) slot: u32,
    /// For what is, or was when pushed, a local's value: the local, and the next entry down of the same local (its index
    /// plus one, or zero). See [`Builder::preserve`].
    link: Option<(u32, u32)>,
}

impl Entry {
    /// The entry with its value elsewhere.
    pub(super) fn at(self, loc: Loc) -> Entry {
        Entry { loc, ..self }
    }
}

/// An operand as an instruction can take it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Operand {
    Slot(u16),
    Acc,
    Imm(u64),
}

#[derive(Clone, Copy)]
pub(super) struct LocalVar {
    pub(super) class: Class,
    pub(super) slot: u32,
    /// Entries of the operand stack that are `Loc::Local` of it.
    pub(super) uses: u32,
    /// The topmost entry linked to it: its index plus one, or zero.
    last: u32,
}

/// What is known of an accumulator.
#[derive(Clone, Copy, Default)]
pub(super) struct Accumulator {
    /// Index of the stack entry that is in it and nowhere else.
    pub(super) pending: Option<usize>,
    /// A slot that holds the same value.
    pub(super) mirror: Option<u32>,
}

/// Slots for operands out of reach, in functions that have any.
const SCRATCH: u32 = 16;

pub(super) struct Builder<'m> {
    pub(super) module: &'m Module,
    pub(super) guarded: bool,
    pub(super) code: Vec<Emitted>,
    pub(super) stack: Vec<Entry>,
    pub(super) locals: Vec<LocalVar>,
    pub(super) control: Vec<super::control::Frame>,
    pub(super) acc: [Accumulator; 3],
    pub(super) ty: FuncType,
    /// Slot of the return address.
    pub(super) ret: u32,
    /// Index of the last label: instructions before it must not be changed.
    pub(super) label: usize,
    /// Entries below are all in their slots.
    flushed: usize,
    /// First slot of the operand stack.
    base: u32,
    /// One past the highest slot used.
    pub(super) max: u32,
    pub(super) reachable: bool,
    /// Index of the instruction that charges the present segment.
    fuel: Option<usize>,
    /// The last instruction that wrote its result to a slot and no accumulator, and that slot.
    in_slot: (usize, u32),
    far: bool,
    scratch: u32,
    /// Whether legacy `catch` clauses keep their exceptions.
    pub(super) rethrow: bool,
    /// What this attempt has found to need.
    pub(super) needs: Needs,
    /// Finished `try` blocks, inner ones first.
    pub(super) tries: Vec<TryRange>,
    pub(super) try_ids: u32,
    /// The loops, in the order in which they begin, and which of them are open.
    pub(super) loops: Vec<LoopRange>,
    pub(super) open_loops: Vec<usize>,
    /// Fields of types of structs that have been looked at.
    pub(super) structs: HashMap<u32, Vec<(StorageType, u32)>>,
    /// Offset in the module of the present operator.
    pub(super) offset: u32,
    /// First instruction that has been taken back for the present operator.
    pub(super) taken: u32,
}

pub(super) fn class_of(ty: ValType) -> Class {
    match ty {
        ValType::I32 | ValType::I64 | ValType::Ref(_) => Class::Int,
        ValType::F32 => Class::F32,
        ValType::F64 => Class::F64,
        ValType::V128 => Class::V128,
    }
}

pub(super) fn class_of_parsed(ty: wasmparser::ValType) -> Class {
    match ty {
        wasmparser::ValType::F32 => Class::F32,
        wasmparser::ValType::F64 => Class::F64,
        wasmparser::ValType::V128 => Class::V128,
        _ => Class::Int,
    }
}

pub(super) fn slots_of(class: Class) -> u32 {
    if class == Class::V128 { 2 } else { 1 }
}

impl<'m> Builder<'m> {
    pub(super) fn new(module: &'m Module, own_func: u32, guarded: bool, needs: Needs) -> Self {
        let raw = &module.inner.raw;
        let type_id = raw.funcs[(own_func + raw.imported_funcs()) as usize];
        let ty = module.func_type(type_id);
        let ret = ty.param_slots();
        Builder {
            module,
            guarded,
            code: Vec::new(),
            stack: Vec::new(),
            locals: Vec::new(),
            control: Vec::new(),
            acc: [Accumulator::default(); 3],
            ty,
            ret,
            label: 0,
            flushed: 0,
            base: 0,
            max: 0,
            reachable: true,
            fuel: None,
            in_slot: (0, u32::MAX),
            far: needs.far,
            rethrow: needs.rethrow,
            scratch: ret + 1,
            needs,
            tries: Vec::new(),
            try_ids: 0,
            loops: Vec::new(),
            open_loops: Vec::new(),
            structs: HashMap::new(),
            offset: 0,
            taken: u32::MAX,
        }
    }

    /// Gives locals (parameters among them) their slots and emits the function's entry.
    pub(super) fn begin(&mut self, locals: &[wasmparser::ValType]) {
        let classes: Vec<Class> = locals.iter().map(|&ty| class_of_parsed(ty)).collect();
        let (params, others) = classes.split_at(self.ty.params.len());
        let slots = |classes: &[Class]| classes.iter().map(|&c| slots_of(c)).collect::<Vec<_>>();
        let scratch = if self.far { SCRATCH } else { 0 };
        let frame = FrameLayout::with_scratch(slots(params), slots(others), scratch);
        let local = |(&slot, &class)| LocalVar { class, slot, uses: 0, last: 0 };
        self.locals = frame.local_slots.iter().zip(&classes).map(local).collect();
        self.base = frame.stack_base;
        self.max = self.base;
        let zeroes = frame.zeroed();
        let ret = self.field(self.ret);
        if (zeroes as usize) < ops::Enter.forms.len() {
            self.emit(&ops::Enter, zeroes as u8, ret, 0, 0);
        } else {
            self.emit(&ops::EnterLarge, 0, ret, 0, 0);
            self.data(u64::from(zeroes), 0, 0, 0);
        }
        self.push_function_frame();
        self.place_label();
    }

    /// The finished code with its `try` blocks and loops, or what the next attempt needs.
    pub(super) fn finish(mut self) -> Result<Finished, Needs> {
        if self.needs != (Needs { far: self.far, rethrow: self.rethrow }) {
            return Err(self.needs);
        }
        self.code[0].x = self.max + 2;
        // Frames of other functions than these are not as `FrameLayout::new` says: legacy clauses have operands more.
        let of_legacy = |r: &Reference| matches!(r, Reference::Before | Reference::DropBefore);
        let legacy = |t: &TryRange| t.delegate.is_some() || t.clauses.iter().any(|c| of_legacy(&c.reference));
        let replaceable = !self.far && !self.tries.iter().any(legacy);
        Ok(Finished { code: self.code, tries: self.tries, loops: if replaceable { self.loops } else { Vec::new() } })
    }

    /// The present height of the operand stack, as a slot.
    pub(super) fn top(&self) -> u32 {
        self.stack.last().map_or(self.base, |e| e.slot + slots_of(e.class))
    }

    /// A slot as a 16-bit field.
    pub(super) fn field(&mut self, slot: u32) -> u16 {
        u16::try_from(slot).unwrap_or_else(|_| {
            self.needs.far = true;
            0
        })
    }

    // ---- emission

    pub(super) fn emit(&mut self, op: Op, form: u8, a: u16, b: u16, x: u32) -> usize {
        self.code.push(Emitted { op: Some(op), form, a, b, x, h: 0 });
        self.code.len() - 1
    }

    /// Emits with the last two fields apart.
    pub(super) fn emit4(&mut self, op: Op, form: u8, a: u16, b: u16, c: u16, d: u16) -> usize {
        self.emit(op, form, a, b, u32::from(c) | u32::from(d) << 16)
    }

    pub(super) fn data(&mut self, h: u64, a: u16, b: u16, x: u32) {
        self.code.push(Emitted { op: None, form: 0, a, b, x, h });
    }

    /// Marks a place where control can come from elsewhere.
    pub(super) fn place_label(&mut self) {
        self.label = self.code.len();
        self.forget_accumulators();
        self.new_segment();
    }

    pub(super) fn forget_accumulators(&mut self) {
        self.acc = [Accumulator::default(); 3];
    }

    /// Begins a stretch of code that is charged as one.
    pub(super) fn new_segment(&mut self) {
        if self.module.engine().config().fuel {
            self.fuel = Some(self.emit(&ops::Fuel, 0, 0, 0, 0));
        }
    }

    /// Adds one operator to the charge of the present segment.
    pub(super) fn charge(&mut self) {
        if let Some(i) = self.fuel {
            self.code[i].x += 1;
        }
    }

    /// The last instruction, if it may be changed or removed, and is `index`.
    pub(super) fn is_last(&self, index: usize) -> bool {
        index + 1 == self.code.len() && index >= self.label
    }

    // ---- slots out of reach

    /// A slot to read from, within reach.
    pub(super) fn reach(&mut self, slot: u32, class: Class) -> u16 {
        if slot <= 0xfffe || !self.far {
            return self.field(slot);
        }
        let to = self.take_scratch(class);
        for i in 0..slots_of(class) {
            self.copy_far(slot + i, to + i);
        }
        to as u16
    }

    fn take_scratch(&mut self, class: Class) -> u32 {
        let n = slots_of(class);
        if self.scratch + n > self.ret + 1 + SCRATCH {
            self.scratch = self.ret + 1;
        }
        self.scratch += n;
        self.scratch - n
    }

    /// The first of four scratch slots in a row, when slots up to `last` are out of reach.
    pub(super) fn wide_scratch(&mut self, last: u32) -> Option<u32> {
        (self.far && last > 0xfffe).then(|| {
            self.scratch = self.ret + 1 + 4;
            self.ret + 1
        })
    }

    fn copy_far(&mut self, from: u32, to: u32) {
        self.emit(&ops::CopyFar, 0, 0, 0, 0);
        self.data(u64::from(to) | u64::from(from) << 32, 0, 0, 0);
    }

    /// Copies so many slots in a row, which may overlap; accumulators stay.
    pub(super) fn copy_many(&mut self, to: u32, from: u32, count: u32) {
        for acc in &mut self.acc {
            acc.mirror.take_if(|slot| (to..to + count).contains(slot));
        }
        self.emit(&ops::CopyMany, 0, 0, 0, count);
        self.data(u64::from(to) | u64::from(from) << 32, 0, 0, 0);
    }

    /// Emits an instruction whose result goes to `slot` in field a: `make` is told the slot to write.
    pub(super) fn emit_to(&mut self, slot: u32, class: Class, make: impl FnOnce(&mut Self, u16)) {
        if slot <= 0xfffe || !self.far {
            let a = self.field(slot);
            make(self, a);
            return;
        }
        let at = self.take_scratch(class);
        make(self, at as u16);
        for i in 0..slots_of(class) {
            self.copy_far(at + i, slot + i);
        }
    }

    // ---- the operand stack

    /// Notes that the slot's value has changed other than through an accumulator.
    pub(super) fn clobber(&mut self, slot: u32) {
        for acc in &mut self.acc {
            if acc.mirror == Some(slot) {
                acc.mirror = None;
            }
        }
    }

    fn push_entry(&mut self, class: Class, loc: Loc) {
        let slot = self.top();
        self.max = self.max.max(slot + slots_of(class));
        let mut link = None;
        if let Loc::Local(l) = loc {
            let local = &mut self.locals[l as usize];
            local.uses += 1;
            link = Some((l, std::mem::replace(&mut local.last, self.stack.len() as u32 + 1)));
        }
        self.stack.push(Entry { class, loc, slot, link });
    }

    /// Pushes an entry whose value is (or will be, by the next instruction) in its slot.
    pub(super) fn push_slot(&mut self, class: Class) -> u32 {
        self.push_entry(class, Loc::Slot);
        let slot = self.top() - slots_of(class);
        self.clobber(slot);
        slot
    }

    pub(super) fn push_const(&mut self, class: Class, bits: u64) {
        self.push_entry(class, Loc::Const(bits));
    }

    pub(super) fn push_local(&mut self, local: u32) {
        self.push_entry(self.locals[local as usize].class, Loc::Local(local));
    }

    pub(super) fn pop(&mut self) -> Entry {
        // The validator has accepted the operator, so its operands are there.
        let e = self.stack.pop().expect("validated code has operands");
        self.flushed = self.flushed.min(self.stack.len());
        if let Some((l, below)) = e.link {
            // The topmost entry is the last of its local's, if it is still linked.
            self.locals[l as usize].last = below;
        }
        match e.loc {
            Loc::Local(l) => self.locals[l as usize].uses -= 1,
            Loc::Acc(_) => self.acc[e.class as usize].pending = None,
            _ => {}
        }
        e
    }

    /// Drops entries down to a number.
    pub(super) fn truncate(&mut self, n: usize) {
        while self.stack.len() > n {
            self.pop();
        }
    }

    /// Gives the value that only the accumulator of a class has its slot, before the accumulator is overwritten.
    pub(super) fn spill(&mut self, class: Class) {
        if class == Class::V128 {
            return;
        }
        if let Some(i) = self.acc[class as usize].pending.take()
            && let Loc::Acc(producer) = self.stack[i].loc
        {
            self.code[producer].form |= 1;
            self.stack[i].loc = Loc::Slot;
            self.acc[class as usize].mirror = Some(self.stack[i].slot);
        }
    }

    pub(super) fn spill_all(&mut self) {
        for class in [Class::Int, Class::F32, Class::F64] {
            self.spill(class);
        }
    }

    /// Puts an entry's value into its slot.
    fn flush_entry(&mut self, i: usize) {
        let e = self.stack[i];
        match e.loc {
            Loc::Slot => {}
            Loc::Acc(_) => self.spill(e.class),
            Loc::Local(l) => {
                self.locals[l as usize].uses -= 1;
                self.stack[i].loc = Loc::Slot;
                self.copy(e.slot, self.locals[l as usize].slot, e.class);
            }
            Loc::Const(bits) => {
                self.stack[i].loc = Loc::Slot;
                self.constant(e.slot, bits);
            }
        }
    }

    /// Puts the values of all entries into their slots.
    pub(super) fn flush_all(&mut self) {
        for i in self.flushed..self.stack.len() {
            self.flush_entry(i);
        }
        self.flushed = self.stack.len();
    }

    /// Puts the topmost values into their slots.
    pub(super) fn flush_top(&mut self, n: usize) {
        for i in (self.stack.len() - n).max(self.flushed)..self.stack.len() {
            self.flush_entry(i);
        }
    }

    /// Copies a slot; accumulators stay.
    pub(super) fn copy(&mut self, to: u32, from: u32, class: Class) {
        if to == from {
            return;
        }
        self.clobber(to);
        if self.far && (to > 0xfffe || from > 0xfffe) {
            for i in 0..slots_of(class) {
                self.copy_far(from + i, to + i);
            }
            return;
        }
        let (a, b) = (self.field(to), self.field(from));
        if class == Class::V128 {
            self.emit(&ops::CopyV128, 0, a, b, 0);
            return;
        }
        // Two copies in a row become one instruction.
        let last = self.code.len().wrapping_sub(1);
        if last >= self.label
            && let Some(prev) = self.code.get_mut(last)
            && prev.op.is_some_and(|op| std::ptr::eq(op, &ops::Copy))
        {
            prev.op = Some(&ops::CopyTwo);
            prev.x = u32::from(a) | u32::from(b) << 16;
        } else {
            self.emit(&ops::Copy, 0, a, b, 0);
        }
    }

    /// Puts a constant into a slot.
    pub(super) fn constant(&mut self, to: u32, bits: u64) {
        self.clobber(to);
        self.emit_to(to, Class::Int, |b, a| match u32::try_from(bits) {
            Ok(x) => {
                b.emit(&ops::Const32, 0, a, 0, x);
            }
            Err(_) => {
                b.emit(&ops::Const64, 0, a, 0, 0);
                b.data(bits, 0, 0, 0);
            }
        });
    }

    /// The slot from which a popped entry's value can be read; gives it one if it has none.
    pub(super) fn slot_for(&mut self, e: Entry) -> u16 {
        match e.loc {
            Loc::Slot => self.reach(e.slot, e.class),
            Loc::Local(l) => self.reach(self.locals[l as usize].slot, e.class),
            Loc::Const(bits) => {
                self.constant(e.slot, bits);
                self.reach(e.slot, e.class)
            }
            Loc::Acc(producer) => {
                self.code[producer].form |= 1;
                self.acc[e.class as usize].mirror = Some(e.slot);
                self.reach(e.slot, e.class)
            }
        }
    }

    /// A popped entry as an operand, from the accumulator if it is there.
    pub(super) fn operand(&mut self, e: Entry) -> Operand {
        match e.loc {
            Loc::Acc(_) => Operand::Acc,
            Loc::Const(bits) => Operand::Imm(bits),
            Loc::Slot if self.mirrors(e.class, e.slot) => Operand::Acc,
            Loc::Local(l) if self.mirrors(e.class, self.locals[l as usize].slot) => Operand::Acc,
            _ => Operand::Slot(self.slot_for(e)),
        }
    }

    /// As `operand`, but constants get a slot.
    pub(super) fn slot_or_acc(&mut self, e: Entry) -> Operand {
        match self.operand(e) {
            Operand::Imm(_) => Operand::Slot(self.slot_for(e)),
            o => o,
        }
    }

    fn mirrors(&self, class: Class, slot: u32) -> bool {
        class != Class::V128 && !self.far && self.acc[class as usize].mirror == Some(slot)
    }

    /// Pushes the result of an instruction that `make` emits with the slot in field a and, in its form's lowest bit,
    /// whether the slot is written. It must be the only instruction that `make` emits, and write its accumulator.
    pub(super) fn push_result(&mut self, class: Class, make: impl FnOnce(&mut Self, u16) -> usize) {
        self.spill(class);
        let slot = self.top();
        if self.far {
            self.emit_to(slot, class, |b, a| {
                let i = make(b, a);
                b.code[i].form |= 1;
            });
            self.acc[class as usize] = Accumulator::default();
            self.push_slot(class);
            return;
        }
        let a = self.field(slot);
        let producer = make(self, a);
        self.clobber(slot);
        self.push_entry(class, Loc::Acc(producer));
        self.acc[class as usize] = Accumulator { pending: Some(self.stack.len() - 1), mirror: None };
    }

    /// Pushes the result of an instruction that writes its slot (in field a) and no accumulator.
    pub(super) fn push_in_slot(&mut self, class: Class, make: impl FnOnce(&mut Self, u16)) {
        let slot = self.top();
        self.in_slot = (self.code.len(), slot);
        self.emit_to(slot, class, make);
        self.push_slot(class);
    }

    // ---- locals

    /// Gives entries that are still this local's value slots of their own, before the local changes.
    fn preserve(&mut self, local: u32) {
        if self.locals[local as usize].uses == 0 {
            return;
        }
        // Entries are unlinked as they are passed, so that all sets of a local together pass each only once.
        let mut at = std::mem::take(&mut self.locals[local as usize].last);
        while let Some(i) = at.checked_sub(1) {
            let i = i as usize;
            at = self.stack[i].link.take().map_or(0, |(_, below)| below);
            if self.stack[i].loc == Loc::Local(local) {
                self.flush_entry(i);
            }
        }
    }

    pub(super) fn set_local(&mut self, local: u32) {
        let v = self.pop();
        self.preserve(local);
        let LocalVar { class, slot, .. } = self.locals[local as usize];
        match v.loc {
            Loc::Acc(producer) => {
                self.clobber(slot);
                if self.is_retargetable(producer) {
                    let a = self.field(slot);
                    self.code[producer].a = a;
                    self.code[producer].form |= 1;
                } else {
                    let a = self.field(slot);
                    self.emit(&ops::Spill, class as u8, a, 0, 0);
                }
                self.acc[class as usize].mirror = Some(slot);
            }
            Loc::Slot if self.in_slot.1 == v.slot && !self.far && self.is_retargetable(self.in_slot.0) => {
                self.clobber(slot);
                self.clobber(v.slot);
                let a = self.field(slot);
                self.code[self.in_slot.0].a = a;
                self.in_slot.1 = u32::MAX;
            }
            Loc::Slot => {
                let mirrored = self.mirrors(class, v.slot);
                self.copy(slot, v.slot, class);
                if mirrored {
                    self.acc[class as usize].mirror = Some(slot);
                }
            }
            Loc::Local(l) if l == local => {}
            Loc::Local(l) => {
                let from = self.locals[l as usize].slot;
                self.copy(slot, from, class);
            }
            Loc::Const(bits) => self.constant(slot, bits),
        }
    }

    /// Whether the instruction is the last (its data words aside), so that its result can go elsewhere.
    fn is_retargetable(&self, producer: usize) -> bool {
        producer >= self.label && self.code[producer + 1..].iter().all(|e| e.op.is_none())
    }

    pub(super) fn tee_local(&mut self, local: u32) {
        self.set_local(local);
        self.push_local(local);
    }
}
