//! What is known of memory at the present place: values read or written that are still there, and checks that have passed.
//!
//! Every class of memory has a version, a number that changes whenever something in it may change; equal versions mean
//! equal contents. An entry is good while its version is the present one and its block dominates the present block.
//! A write makes the entries good again that it cannot have touched. Entries live in small tables that forget.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`loads`) in which it does not hold:
//! - A value is known while nothing may have written to its class but to places apart from it, and where the block
//!   in which it became known dominates.
//! - Places are apart only by the same base: two memories, tables or globals may be one (imported twice), two
//!   references one object. Only the context's own globals are apart from imported ones.
//! - What is known is as wide as the load, or wider and an integer is wanted; it begins at the same byte.
//! - Under another base the sum of base and offset may wrap around; that is proven, or checked.
//! - A call, growth, a bulk operation, an atomic access or a clause forgets what it may change; the header of a
//!   loop what the loop may change, and in modules with shared memories all of memory.
//! - A check is not made again for the same memory, index and a limit no greater; lengths are forgotten where they
//!   may change, those of shared memories at once.

use super::builder::{Builder, Dominators};
use crate::abi::TrapCode;
use crate::ir::{Alias, Block, Func, Inst, IntCc, MemKind, Op, Type, Value};
use crate::passes::Pass;
use wasm::operators::class;

const CLASSES: usize = 8;
const PINNED: usize = 256;
/// Entries remembered of each class.
const ENTRIES: [usize; CLASSES] = [16, 12, 4, 6, 6, 16, 8, 24];
/// Classes with rules of their own for what cannot overlap.
const FIELD: usize = 5;
const ELEMENT: usize = 6;

/// A version per class.
pub(super) type State = [u32; CLASSES];

/// Stands for a memory in what is known of indices by themselves: that they do not wrap around with an offset.
const UNWRAPPED: u32 = u32::MAX;

/// A state whose parts differ between ways that meet.
const MIXED: u32 = u32::MAX;

/// Where in memory, of a known width: base and offset for equality; what they are relative to for telling apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    class: usize,
    base: Value,
    /// What is added to the base, of elements whose index is not a constant.
    index: Value,
    offset: i64,
    root: Value,
    relative: i64,
    /// Whether `relative` counts modulo 2^32.
    narrow: bool,
    pub(super) ty: Type,
    pub(super) kind: MemKind,
}

#[derive(Clone, Copy)]
struct Entry {
    place: Place,
    value: Value,
    version: u32,
    block: Block,
}

#[derive(Clone, Copy)]
struct Pinned {
    inst: Inst,
    value: Value,
    block: Block,
}

/// The greatest distance from an index known to be in bounds.
#[derive(Clone, Copy)]
struct Checked {
    memory: u32,
    index: Value,
    limit: u64,
    block: Block,
    /// The condition under which the check traps.
    beyond: Value,
}

#[derive(Default)]
pub(super) struct Loads {
    pub(super) state: State,
    next: u32,
    entries: [Vec<Entry>; CLASSES],
    oldest: [usize; CLASSES],
    pinned: Vec<Option<Pinned>>,
    checked: Vec<Option<Checked>>,
}

/// The class that pointers of an alias class reach.
fn class_of(alias: Alias) -> Option<usize> {
    match alias {
        Alias::Memory => Some(0),
        Alias::Global => Some(1),
        Alias::Table => Some(2),
        Alias::MemoryDesc => Some(3),
        Alias::TableDesc => Some(4),
        Alias::Field => Some(FIELD),
        Alias::Element => Some(ELEMENT),
        // Nothing writes to these.
        Alias::Fixed => Some(7),
        Alias::Other => None,
    }
}

fn is_const_add(f: &Func, v: Value) -> Option<(Value, i64)> {
    let i = f.inst(v);
    if i.op != Op::Add {
        return None;
    }
    Some((i.args[0], f.as_iconst(i.args[1])?))
}

impl Place {
    /// In guarded memory 0.
    pub(super) fn guarded(f: &Func, index: Value, offset: u32, ty: Type, kind: MemKind) -> Place {
        let offset = i64::from(offset);
        let (root, relative) = match (f.as_iconst(index), is_const_add(f, index)) {
            (Some(c), _) => (Value::NONE, c + offset),
            (_, Some((root, c))) => (root, c + offset),
            _ => (index, offset),
        };
        Place { class: 0, base: index, index: Value::NONE, offset, root, relative, narrow: true, ty, kind }
    }
    /// At a pointer.
    pub(super) fn pointer(f: &Func, alias: Alias, base: Value, offset: i64, ty: Type, kind: MemKind) -> Option<Place> {
        let class = class_of(alias)?;
        let (root, c) = is_const_add(f, base).unwrap_or((base, 0));
        let relative = c.wrapping_add(offset);
        Some(Place { class, base, index: Value::NONE, offset, root, relative, narrow: false, ty, kind })
    }
    /// The same at an index times the width.
    pub(super) fn at(self, index: Value) -> Place {
        Place { index, ..self }
    }
    /// What tells types of fields apart.
    fn layout(&self) -> (bool, bool, u32) {
        (self.ty.is_int(), self.ty == Type::V128, self.kind.bytes(self.ty))
    }
    fn bytes(&self) -> i64 {
        i64::from(self.kind.bytes(self.ty))
    }
    /// Whether two places have no byte in common for sure.
    fn apart(&self, f: &Func, o: &Place) -> bool {
        match self.class {
            // Objects do not overlap, and what lies at the same place in two has the same type if it can be the same object.
            FIELD => return self.offset != o.offset || self.layout() != o.layout(),
            ELEMENT if self.layout() != o.layout() => return true,
            ELEMENT if self.index != o.index => return false,
            _ => {}
        }
        if self.root != o.root {
            // The context's own globals and those behind pointers; and different pointers that never change.
            return self.class == 1 && (f.inst(self.root).op == Op::Ctx) != (f.inst(o.root).op == Op::Ctx);
        }
        if self.narrow != o.narrow {
            return false;
        }
        let d = self.relative.wrapping_sub(o.relative);
        if self.narrow {
            let d = i64::from(d as u32);
            return d >= o.bytes() && d <= (1 << 32) - self.bytes();
        }
        d >= o.bytes() || d <= -self.bytes()
    }
}

impl Loads {
    fn good(&self, dom: &Dominators, e: &Entry) -> bool {
        e.version == self.state[e.place.class] && dom.holds(e.block)
    }

    /// Classes given as bits may have changed.
    pub(super) fn clobber(&mut self, classes: u8) {
        for c in 0..CLASSES {
            if classes >> c & 1 == 1 {
                self.next += 1;
                self.state[c] = self.next;
            }
        }
    }

    /// A write to a place: all entries but those apart from it are no longer good.
    fn write(&mut self, f: &Func, place: &Place) {
        let old = self.state[place.class];
        self.clobber(1 << place.class);
        let new = self.state[place.class];
        for e in &mut self.entries[place.class] {
            if e.version == old && e.place.apart(f, place) {
                e.version = new;
            }
        }
    }

    fn remember(&mut self, block: Block, place: Place, value: Value) {
        let e = Entry { place, value, version: self.state[place.class], block };
        let (list, at) = (&mut self.entries[place.class], &mut self.oldest[place.class]);
        if list.len() < ENTRIES[place.class] {
            list.push(e);
        } else {
            list[*at] = e;
            *at = (*at + 1) % list.len();
        }
    }

    /// The state where ways with these states meet.
    pub(super) fn meet(a: &mut State, b: &State) {
        for c in 0..CLASSES {
            if a[c] != b[c] {
                a[c] = MIXED;
            }
        }
    }
    /// Makes a met state the present one.
    pub(super) fn enter(&mut self, state: &State) {
        self.state = *state;
        let mixed = (0..CLASSES).filter(|&c| state[c] == MIXED).fold(0, |bits, c| bits | 1 << c);
        self.clobber(mixed);
    }

    // ---- checks and other instructions that always give the same

    fn pinned_slot(inst: &Inst) -> usize {
        let h = u64::from(inst.op as u8) ^ u64::from(inst.args[0].0) << 8 ^ u64::from(inst.args[1].0) << 32;
        (h.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize
    }
    /// The value of an equal instruction that has been executed on every way here.
    fn pinned(&self, dom: &Dominators, inst: &Inst) -> Option<Value> {
        let p = self.pinned.get(Self::pinned_slot(inst))?.as_ref()?;
        (Inst { pos: 0, ..p.inst } == Inst { pos: 0, ..*inst } && dom.holds(p.block)).then_some(p.value)
    }
    pub(super) fn remember_pinned(&mut self, block: Block, inst: &Inst, value: Value) {
        if self.pinned.is_empty() {
            self.pinned.resize(PINNED, None);
        }
        self.pinned[Self::pinned_slot(inst)] = Some(Pinned { inst: *inst, value, block });
    }

    fn checked_slot(memory: u32, index: Value) -> usize {
        ((index.0 ^ memory << 16).wrapping_mul(0x9e37_79b9) >> 24) as usize
    }
    /// Whether `limit` bytes from the index on are known to lie in the memory. Memories never shrink.
    fn in_bounds(&self, dom: &Dominators, memory: u32, index: Value, limit: u64) -> Option<Value> {
        let c = self.checked.get(Self::checked_slot(memory, index)).and_then(Option::as_ref)?;
        let holds = c.memory == memory && c.index == index && c.limit >= limit && dom.holds(c.block);
        holds.then_some(c.beyond)
    }
    pub(super) fn remember_bounds(&mut self, block: Block, memory: u32, index: Value, limit: u64, beyond: Value) {
        if self.checked.is_empty() {
            self.checked.resize(PINNED, None);
        }
        self.checked[Self::checked_slot(memory, index)] = Some(Checked { memory, index, limit, block, beyond });
    }
}

impl Builder<'_> {
    /// The value of an equal instruction that has been executed on every way here.
    pub(super) fn pinned(&self, inst: &Inst) -> Option<Value> {
        self.loads.pinned(&self.dom, inst).filter(|_| self.settings.passes.has(Pass::Checks))
    }

    /// Whether `limit` bytes from the index on are known to lie in the memory, and under which condition they would not.
    pub(super) fn in_bounds(&self, memory: u32, index: Value, limit: u64) -> Option<Value> {
        let on = self.settings.passes.has(Pass::Checks);
        self.loads.in_bounds(&self.dom, memory, index, limit).filter(|_| on)
    }

    /// The value that a load from the place would give, if it is known.
    pub(super) fn known(&mut self, place: &Place) -> Option<Value> {
        if !self.settings.passes.has(Pass::Loads) {
            return None;
        }
        let list = &self.loads.entries[place.class];
        let same = |e: &&Entry| {
            e.place.base == place.base
                && e.place.index == place.index
                && e.place.offset == place.offset
                && e.place.narrow == place.narrow
                && self.loads.good(&self.dom, e)
                && converts(&e.place, place)
        };
        let e = *list.iter().rev().find(same)?;
        Some(self.convert(&e.place, e.value, place))
    }

    /// The value that a load from the place would give if the place is known under another base, as `sp + 96` and 8 is under `sp` and
    /// 104. The two are the same unless base and offset go beyond 2^32, where the load traps: with them the known access would
    /// have gone there as well, or by its own base around to where it was. That is checked instead, if it has to be.
    pub(super) fn known_by_root(&mut self, place: &Place) -> Option<Value> {
        if !place.narrow || place.root == Value::NONE || !self.settings.passes.has(Pass::Loads) {
            return None;
        }
        let list = &self.loads.entries[place.class];
        let same = |e: &&Entry| {
            e.place.narrow
                && e.place.root == place.root
                && (e.place.relative.wrapping_sub(place.relative)) as u32 == 0
                && self.loads.good(&self.dom, e)
                && converts(&e.place, place)
        };
        let e = *list.iter().rev().find(same)?;
        let reaches = |e: &Entry| {
            e.place.narrow && e.place.base == place.base && e.place.offset >= place.offset && self.dom.holds(e.block)
        };
        let offset = place.offset as u64;
        let proven = offset == 0 || list.iter().any(reaches) || self.in_bounds(UNWRAPPED, place.base, offset).is_some();
        if !proven {
            let beyond = self.icmp_const(IntCc::GeU, place.base, (offset as u32).wrapping_neg() as i32 as i64);
            self.trap_if(beyond, TrapCode::MemoryOutOfBounds);
            self.loads.remember_bounds(self.block, UNWRAPPED, place.base, offset, beyond);
        }
        Some(self.convert(&e.place, e.value, place))
    }

    /// What was stored (or loaded) as `from` seen as a load of `to`; `converts` has agreed.
    fn convert(&mut self, from: &Place, v: Value, to: &Place) -> Value {
        if from.ty == to.ty && from.kind == to.kind && from.kind.bytes(from.ty) == from.ty.bytes() {
            return v;
        }
        if !from.ty.is_int() && !to.ty.is_int() {
            return v;
        }
        // First as an integer, then its low part, extended, in the type wanted.
        let v = match from.ty {
            Type::F32 => self.un(Op::Bitcast, Type::I32, v),
            Type::F64 => self.un(Op::Bitcast, Type::I64, v),
            _ => v,
        };
        match to.ty {
            Type::F32 => {
                let v = self.low_half(v);
                self.un(Op::Bitcast, Type::F32, v)
            }
            Type::F64 => self.un(Op::Bitcast, Type::F64, v),
            Type::I32 => {
                let v = self.low_half(v);
                self.extend(v, to.kind)
            }
            _ => {
                let v = if self.f.ty(v) == Type::I32 { self.un(Op::ExtU, Type::I64, v) } else { v };
                self.extend(v, to.kind)
            }
        }
    }

    fn low_half(&mut self, v: Value) -> Value {
        if self.f.ty(v) == Type::I64 { self.un(Op::Wrap, Type::I32, v) } else { v }
    }

    /// The low bits that a load of that kind takes, extended as it does.
    fn extend(&mut self, v: Value, kind: MemKind) -> Value {
        let ty = self.f.ty(v);
        match kind {
            MemKind::S8 => self.un(Op::Ext8S, ty, v),
            MemKind::S16 => self.un(Op::Ext16S, ty, v),
            MemKind::S32 if ty == Type::I64 => self.un(Op::Ext32S, ty, v),
            MemKind::U8 => self.bin_const(Op::And, ty, v, 0xff),
            MemKind::U16 => self.bin_const(Op::And, ty, v, 0xffff),
            MemKind::U32 if ty == Type::I64 => self.bin_const(Op::And, ty, v, 0xffff_ffff),
            _ => v,
        }
    }

    /// Remembers what a load from a place gave.
    pub(super) fn remember_load(&mut self, place: Place, v: Value) {
        self.loads.remember(self.block, place, v);
    }
    /// Remembers what has been written to a place that nothing known can overlap: in a new object.
    pub(super) fn remember_first(&mut self, place: Place, v: Value) {
        self.loads.remember(self.block, place, v);
    }
    /// Accounts for a store.
    pub(super) fn remember_store(&mut self, place: Place, v: Value) {
        self.loads.write(&self.f, &place);
        self.loads.remember(self.block, place, v);
    }
    /// Accounts for a call.
    pub(super) fn clobber_all(&mut self) {
        self.loads.clobber(class::ALL);
    }
}

/// Whether the value stored or loaded as `from` tells what a load of `to` gives.
fn converts(from: &Place, to: &Place) -> bool {
    let scalar = |p: &Place| p.ty != Type::V128;
    if !scalar(from) || !scalar(to) {
        return from.ty == to.ty && from.kind == to.kind;
    }
    let (w, n) = (from.bytes(), to.bytes());
    n == w || (n < w && to.ty.is_int())
}
