//! Entry at a loop, with locals and operands in a frame of the interpreter.
//!
//! Code before the outermost loop around the target is not compiled, and that loop is entered by its back edges alone;
//! the target is entered from the frame as well. What may differ between the two ways are parameters of the target, and
//! of the loops between them, which control reaches from the target as well: all locals that the outermost loop assigns,
//! and operands between the two loops. Those operands are *pinned*: while
//! structures between the loops are open, each is also a local, so that merges see that it has become a parameter.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`loops`) in which it does not hold:
//! - The loop can be reached, and so can all structures around it; the frame is as the interpreter lays it out.
//! - All locals that the outermost loop assigns, and operands between the two loops, are parameters of the target
//!   and of the loops between.
//! - Nothing is known of memory at a header that is entered from the frame.

use super::builder::Builder;
use super::control::Kind;
use crate::ir::{Alias, Block, Func, Inst, MemKind, Op, Type, Value};
use smallvec::SmallVec;
use wasm::layout::SLOT;
use wasm::operators::class;
use wasm::{FrameLayout, ValType};
use wasmparser::{BlockType, Operator};

/// An operand that is also a local.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pin {
    pub(super) stack: usize,
    pub(super) local: u32,
    /// Index of the structure below whose operands it lies.
    frame: usize,
}

/// On-stack replacement under way.
pub(super) struct Osr {
    pub(super) target: u32,
    pub(super) outer: u32,
    pub(super) outer_index: u32,
    /// Offsets of the structures around the target, itself last.
    pub(super) structures: Vec<u32>,
    pub(super) layout: FrameLayout,
    /// Whether the outermost loop is still to come.
    pub(super) seeking: bool,
    /// Whether the target has been reached.
    pub(super) entered: bool,
    pub(super) pins: Vec<Pin>,
    /// Height of the operand stack below the outermost loop's parameters.
    height: usize,
    /// The frame's address.
    address: Value,
    /// Slot of each operand at the target.
    slots: Vec<u32>,
}

impl Osr {
    pub(super) fn new(path: &super::prescan::Path, target: u32, layout: FrameLayout) -> Osr {
        Osr {
            target,
            outer: path.outer,
            outer_index: path.outer_index,
            structures: path.structures.clone(),
            layout,
            seeking: true,
            entered: false,
            pins: Vec::new(),
            height: 0,
            address: Value::NONE,
            slots: Vec::new(),
        }
    }

    /// Whether the structure at that offset lies within the outermost loop and around the target, or is the target.
    pub(super) fn is_between(&self, at: u32) -> bool {
        at > self.outer && !self.seeking && self.structures.binary_search(&at).is_ok()
    }

    /// Slots of operands of these types, from the bottom of the stack on.
    fn place(&mut self, slots: impl Iterator<Item = u32>) {
        let mut next = self.layout.stack_base;
        self.slots.clear();
        for n in slots {
            self.slots.push(next);
            next += n;
        }
    }
}

fn slots_of(ty: Type) -> u32 {
    if ty == Type::V128 { 2 } else { 1 }
}

impl Builder<'_> {
    /// In code that is not compiled, because it lies before the outermost loop or nothing leads there: notes the structures that an
    /// operator branches to the end of.
    pub(super) fn seek_branches(&mut self, op: &Operator<'_>) {
        let mut note = |depth: u32| {
            let index = self.frame_index(depth);
            self.control[index].labelled = true;
        };
        match op {
            // From the end of the first arm.
            Operator::Else => note(0),
            op => wasm::operators::for_each_label(op, note),
        }
    }

    /// While the outermost loop is sought: opens a structure that lies around the target, else one that is never entered.
    /// `height` is that of the operand stack, `others` how many operands the structure takes besides its parameters.
    pub(super) fn seek_structure(&mut self, ty: BlockType, height: u32, is_if: bool) {
        let on_path = self.osr.as_ref().is_some_and(|o| o.structures.binary_search(&self.pos).is_ok());
        if !on_path {
            return self.open_dead();
        }
        let arity = self.block_arity(ty);
        let kind = if is_if { Kind::If(None) } else { Kind::Block };
        self.open(kind, self.seek_height(height, u32::from(is_if) + arity.0), arity);
    }

    /// While the outermost loop is sought: the height below a structure that takes so many operands.
    pub(super) fn seek_height(&self, height: u32, taken: u32) -> usize {
        // In dead code operands need not be there; the loop is refused later.
        height.saturating_sub(taken) as usize + self.caught_around().count()
    }

    /// Heights of the exceptions that legacy clauses around have caught, lowest first. The validator does not count them as operands.
    fn caught_around(&self) -> impl Iterator<Item = usize> {
        self.control.iter().filter(|f| f.kind == Kind::Catch).map(|f| f.height)
    }

    /// Begins the outermost loop. `operands` are the types on the operand stack.
    pub(super) fn begin_osr(&mut self, ty: BlockType, index: u32, operands: &[ValType]) {
        let mut operands = operands.to_vec();
        self.caught_around().for_each(|height| operands.insert(height.min(operands.len()), ValType::FUNCREF));
        self.f.params = vec![Type::I64];
        let address = self.push(Inst::new(Op::Arg, Type::I64));
        let arity = self.block_arity(ty);
        let height = operands.len() - arity.0 as usize;
        let Some(osr) = &mut self.osr else { return };
        osr.seeking = false;
        osr.address = address;
        osr.height = height;
        osr.place(operands.iter().map(|t| t.slots()));
        let direct = osr.target == osr.outer;
        osr.entered = direct;
        let types: SmallVec<[Type; 8]> = operands.iter().map(|&t| Type::of(t)).collect();
        let known = if direct { types.len() } else { height };
        self.stack.clear();
        for (i, &t) in types[..known].iter().enumerate() {
            let slot = self.osr.as_ref().map_or(0, |o| o.slots[i]);
            let v = self.frame_load(Func::ENTRY, t, slot);
            self.stack.push(v);
        }
        for l in 0..self.local_types.len() as u32 {
            if self.scan.live(l, self.pos) {
                self.locals[l as usize] = self.frame_local(l);
            }
        }
        self.reachable = true;
        if direct {
            return self.loop_(ty, index);
        }
        self.begin_outer(index, &types[height..], height, arity);
    }

    /// The header of an outermost loop that is not the target.
    fn begin_outer(&mut self, index: u32, params: &[Type], height: usize, arity: (u32, u32)) {
        let header = self.new_block(Func::ENTRY);
        for &t in params {
            let v = self.f.new_param(header, t);
            self.stack.push(v);
        }
        let carried = self.carried_locals(index, self.pos);
        for &l in &carried {
            self.locals[l as usize] = self.f.new_param(header, self.local_types[l as usize]);
        }
        self.open(Kind::Loop(Some(header)), height, arity);
        self.frame().carried = carried;
        self.enter(header);
        self.loads.clobber(class::ALL);
        self.new_segment();
        self.poll();
    }

    fn frame_load(&mut self, block: Block, ty: Type, slot: u32) -> Value {
        let address = self.osr.as_ref().map_or(Value::NONE, |o| o.address);
        self.f.push(
            block,
            Inst {
                idx: Alias::Other as u32,
                aux: MemKind::Whole as u8,
                args: [address, Value::NONE, Value::NONE],
                imm: i64::from(slot) * i64::from(SLOT),
                pos: self.position,
                ..Inst::new(Op::PLoad, ty)
            },
        )
    }

    fn frame_local(&mut self, local: u32) -> Value {
        let slot = self.osr.as_ref().map_or(0, |o| o.layout.local_slots[local as usize]);
        self.frame_load(Func::ENTRY, self.local_types[local as usize], slot)
    }

    /// The way from the entry to the target's header.
    pub(super) fn enter_from_frame(&mut self, header: Block, operands: usize, carried: &[u32]) {
        let slots: SmallVec<[u32; 8]> = self.stack.iter().map(|&v| slots_of(self.f.ty(v))).collect();
        let Some(osr) = &mut self.osr else { return };
        osr.entered = true;
        osr.place(slots.into_iter());
        let mut args: SmallVec<[Value; 16]> = SmallVec::new();
        for i in self.stack.len() - operands..self.stack.len() {
            let v = self.frame_operand(i);
            args.push(v);
        }
        for &l in carried {
            let pin = self.osr.as_ref().and_then(|o| o.pins.iter().find(|p| p.local == l).copied());
            let v = match pin {
                Some(p) => self.frame_operand(p.stack),
                None => self.frame_local(l),
            };
            args.push(v);
        }
        self.jump(Func::ENTRY, header, &args);
    }

    fn frame_operand(&mut self, index: usize) -> Value {
        let ty = self.f.ty(self.stack[index]);
        let slot = self.osr.as_ref().map_or(0, |o| o.slots[index]);
        self.frame_load(Func::ENTRY, ty, slot)
    }

    /// Before a structure between the outermost loop and the target is opened: pins the operands below it. `others` is how
    /// many operands it takes besides its parameters.
    pub(super) fn pin_operands(&mut self, ty: BlockType, others: usize) {
        let Some(osr) = &self.osr else { return };
        if !osr.is_between(self.pos) {
            return;
        }
        let from = osr.pins.last().map_or(osr.height, |p| p.stack + 1);
        let height = self.stack.len() - others - self.block_arity(ty).0 as usize;
        for i in from..height {
            let v = self.stack[i];
            let pin = Pin { stack: i, local: self.locals.len() as u32, frame: self.control.len() };
            self.locals.push(v);
            self.local_types.push(self.f.ty(v));
            self.in_frames.push(self.control.len() as u32 - 1);
            if let Some(o) = &mut self.osr {
                o.pins.push(pin);
            }
        }
    }

    /// Behind the end of a structure: what was pinned for it is an ordinary operand again, which other operators may replace.
    pub(super) fn unpin_operands(&mut self) {
        self.refresh_pins();
        let closed = self.control.len();
        if let Some(osr) = &mut self.osr {
            osr.pins.retain(|p| p.frame < closed);
        }
    }

    /// Gives pinned operands the values of their locals.
    pub(super) fn refresh_pins(&mut self) {
        let Some(osr) = &self.osr else { return };
        for p in &osr.pins {
            if let Some(v) = self.stack.get_mut(p.stack) {
                *v = self.locals[p.local as usize];
            }
        }
    }
}
