//! Structures, branches and merges.
//!
//! A branch to the end of a structure notes the values it takes along: operands, and those locals that have been assigned in
//! the structure and are needed behind it. Where the ways meet, only what differs becomes a parameter.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`control`) in which it does not hold:
//! - A branch is decided here only without fuel, which counts what is never reached.
//! - Targets of a table that are the same label share one block; a value goes along to every label.
//! - What memory holds where ways meet is what all of them know.
//! - An `else` begins with locals, operands and memory as they were at its `if`.

use super::builder::Builder;
use super::exceptions::Clause;
use super::loads::{Loads, State};
use crate::ir::{Block, Inst, Op, Type, Value};
use crate::passes::simplify;
use smallvec::SmallVec;
use wasm::FuncType;
use wasm::operators::class;
use wasmparser::{BlockType, BrTable};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Function,
    Block,
    /// With its header, once that exists (a rotated loop's comes after the test).
    Loop(Option<Block>),
    /// With the block where the condition fails, if that can be reached, until `else`.
    If(Option<Block>),
    /// A legacy `try` with clauses, in its body.
    Try,
    /// The same in one of its clauses.
    Catch,
    /// Opened where control never comes.
    Dead,
}

/// A way to the end of a structure.
#[derive(Clone, Copy)]
pub(super) struct Incoming {
    block: Block,
    /// Where its values begin: operands, then locals in the order of the frame's list.
    first: u32,
    /// How many of the locals there were.
    locals: u32,
}

/// An open structure.
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Height of the operand stack below its parameters.
    pub(super) height: usize,
    pub(super) params: u32,
    pub(super) results: u32,
    /// Offset of its end.
    pub(super) end: u32,
    incoming: Vec<Incoming>,
    /// Locals assigned in it, and their values where it began.
    pub(super) assigned: Vec<(u32, Value)>,
    /// Those of them that are needed at its end.
    pub(super) merged: Vec<(u32, Value)>,
    /// Whether its end has a label in the interpreter, and so begins a new charge of fuel, though nothing here branches to it.
    pub(super) labelled: bool,
    /// Block that dominates all ways to the end, and what is known of memory there.
    meeting: Option<(Block, State)>,
    /// Memory where it began.
    state: State,
    /// Parameters of an `if`, for the other arm.
    operands: SmallVec<[Value; 2]>,
    /// Of a loop: locals that are parameters of its header.
    pub(super) carried: Vec<u32>,
    /// Of a rotated loop: how to repeat its header.
    pub(super) rotation: Option<super::rotate::Rotation>,
    /// Of a `try_table`, or a `try` in its body.
    pub(super) clauses: Vec<Clause>,
    /// Of a `try` that delegates: how many entries of `Builder::tries` apply in it, the last of which does not delegate.
    pub(super) delegate: Option<usize>,
    /// Blocks that hints call unlikely, from which all ways go to its end.
    pub(super) unlikely: SmallVec<[Block; 2]>,
}

impl Frame {
    fn empty() -> Frame {
        Frame {
            kind: Kind::Dead,
            height: 0,
            params: 0,
            results: 0,
            end: 0,
            incoming: Vec::new(),
            assigned: Vec::new(),
            merged: Vec::new(),
            labelled: false,
            meeting: None,
            state: State::default(),
            operands: SmallVec::new(),
            carried: Vec::new(),
            rotation: None,
            clauses: Vec::new(),
            delegate: None,
            unlikely: SmallVec::new(),
        }
    }
}

impl Builder<'_> {
    pub(super) fn open_function(&mut self, ty: &FuncType, end: u32) {
        let results = ty.results.len() as u32;
        self.control.push(Frame { kind: Kind::Function, results, end, ..Frame::empty() });
    }

    /// Opens a function that is built into another: a block, whose end its `return`s branch to.
    pub(super) fn open_inlined(&mut self, results: u32, end: u32) {
        let frame = self.spare.pop().unwrap_or_else(Frame::empty);
        let (height, state) = (self.stack.len(), self.loads.state);
        self.control.push(Frame { kind: Kind::Block, height, params: 0, results, end, state, ..frame });
    }

    /// Numbers of parameters and results of a structure.
    pub(super) fn block_arity(&self, ty: BlockType) -> (u32, u32) {
        match ty {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(i) => {
                let ty = self.env.types.get(self.module.types[i as usize]);
                match &ty.composite {
                    wasm::CompositeType::Func(f) => (f.params.len() as u32, f.results.len() as u32),
                    _ => (0, 0),
                }
            }
        }
    }

    /// Opens a frame; `height` is that below its parameters.
    pub(super) fn open(&mut self, kind: Kind, height: usize, (params, results): (u32, u32)) {
        let end = self.scan.ends[self.structure_count as usize - 1];
        let frame = self.spare.pop().unwrap_or_else(Frame::empty);
        self.control.push(Frame { kind, height, params, results, end, state: self.loads.state, ..frame });
    }

    fn open_here(&mut self, kind: Kind, ty: BlockType) {
        let arity = self.block_arity(ty);
        let height = self.stack.len() - arity.0 as usize;
        self.open(kind, height, arity);
    }

    pub(super) fn open_dead(&mut self) {
        self.open(Kind::Dead, self.stack.len(), (0, 0));
    }

    pub(super) fn block(&mut self, ty: BlockType) {
        self.pin_operands(ty, 0);
        self.open_here(Kind::Block, ty);
    }

    pub(super) fn if_(&mut self, ty: BlockType) {
        self.pin_operands(ty, 1);
        let condition = self.pop();
        let arity = self.block_arity(ty);
        let height = self.stack.len() - arity.0 as usize;
        let operands = SmallVec::from_slice(&self.stack[height..]);
        let forked = self.fork(condition);
        let otherwise = match forked {
            Some((_, no)) => Some(no),
            // Known: one arm is never entered.
            None => (self.f.as_iconst(condition) == Some(0)).then_some(self.block),
        };
        self.open(Kind::If(otherwise), height, arity);
        self.frame().operands = operands;
        if let (Some((then, otherwise)), Some(likely)) = (forked, self.hint()) {
            self.call_cold(self.control.len() - 1, if likely { otherwise } else { then });
        }
        match forked {
            Some((then, _)) => self.enter(then),
            None if otherwise.is_some() => return self.set_unreachable(),
            None => {}
        }
        self.finish_rotation(self.control.len() - 2);
        self.new_segment();
    }

    /// The innermost frame.
    pub(super) fn frame(&mut self) -> &mut Frame {
        let last = self.control.len() - 1;
        &mut self.control[last]
    }

    /// Ends the block with a branch on a condition; `None` (and nothing done) when its outcome is known and may be used.
    pub(super) fn fork(&mut self, condition: Value) -> Option<(Block, Block)> {
        let (bare, swapped) = simplify::condition(&self.f, condition);
        // With fuel, code that is never reached would have to be counted.
        if self.f.as_iconst(bare).is_some() && !self.settings.fuel {
            return None;
        }
        let (yes, no) = (self.new_edge(), self.new_edge());
        let (first, second) = if swapped { (no, yes) } else { (yes, no) };
        self.push(Inst {
            idx: first.0,
            imm: i64::from(second.0),
            args: [bare, Value::NONE, Value::NONE],
            ..Inst::new(Op::BrIf, Type::Void)
        });
        self.remember_branch(bare, first, second);
        Some((yes, no))
    }

    pub(super) fn else_(&mut self) {
        let last = self.control.len() - 1;
        let Kind::If(otherwise) = self.control[last].kind else { return };
        if self.reachable {
            self.note_branch(last);
        }
        let frame = &mut self.control[last];
        frame.kind = Kind::Block;
        let (height, state) = (frame.height, frame.state);
        self.stack.truncate(height);
        self.stack.extend_from_slice(&frame.operands);
        for &(l, v) in &frame.assigned {
            self.locals[l as usize] = v;
        }
        self.reachable = false;
        self.fuel = None;
        if let Some(b) = otherwise {
            self.enter(b);
            self.loads.state = state;
            self.reachable = true;
            self.refresh_pins();
            self.new_segment();
        }
    }

    pub(super) fn end(&mut self) {
        let last = self.control.len() - 1;
        match self.control[last].kind {
            Kind::Function => {
                if self.reachable {
                    self.return_();
                }
                return;
            }
            Kind::Dead => return self.close(),
            Kind::Loop(_) => {}
            Kind::Try | Kind::Catch => {
                if self.reachable {
                    self.note_branch(last);
                    self.reachable = false;
                }
                self.merge(last);
            }
            Kind::If(otherwise) => {
                if self.reachable {
                    self.note_branch(last);
                    self.reachable = false;
                }
                if let Some(b) = otherwise {
                    self.note_failed_if(last, b);
                }
                self.merge(last);
            }
            Kind::Block => {
                if !self.control[last].incoming.is_empty() {
                    if self.reachable {
                        self.note_branch(last);
                        self.reachable = false;
                    }
                    self.merge(last);
                } else if self.reachable && self.control[last].labelled {
                    self.new_segment();
                }
            }
        }
        self.close();
    }

    /// Removes the innermost frame.
    pub(super) fn close(&mut self) {
        let Some(mut frame) = self.control.pop() else { return };
        // None when a function ends that was built into another.
        let outer = (self.control.len() as u32).saturating_sub(1);
        for &(l, _) in &frame.assigned {
            self.in_frames[l as usize] = outer;
        }
        self.unpin_operands();
        self.tries.pop_if(|&mut t| t == self.control.len());
        self.hidden.pop_if(|&mut t| t == self.control.len());
        frame.clauses.clear();
        frame.delegate = None;
        frame.unlikely.clear();
        if !self.reachable {
            self.stack.truncate(frame.height);
        }
        self.noted -= frame.incoming.len();
        if self.noted == 0 {
            // No open structure needs any.
            self.snapshots.clear();
        }
        frame.incoming.clear();
        frame.assigned.clear();
        frame.merged.clear();
        frame.carried.clear();
        frame.operands.clear();
        frame.labelled = false;
        frame.meeting = None;
        frame.rotation = None;
        self.spare.push(frame);
    }

    pub(super) fn set_unreachable(&mut self) {
        self.reachable = false;
        self.fuel = None;
        if let Some(f) = self.control.last() {
            self.stack.truncate(f.height);
        }
    }

    // ---- branches

    /// Index of the frame whose label has that depth.
    pub(super) fn frame_index(&self, depth: u32) -> usize {
        // The validator has checked the depth.
        self.checked_frame_index(depth).unwrap_or(0)
    }

    /// The same, if there is one.
    pub(super) fn checked_frame_index(&self, depth: u32) -> Option<usize> {
        let index = (self.control.len() - 1).checked_sub(depth as usize)?;
        // Frames without labels, above it, do not count: as many as there are not below where that many less leads to.
        let above = |n: usize| self.hidden[self.hidden.len() - 1 - n] + n >= index;
        let (mut few, mut many) = (0, self.hidden.len());
        while few < many {
            let n = few.midpoint(many);
            if above(n) { few = n + 1 } else { many = n }
        }
        index.checked_sub(few)
    }

    /// Number of operands that a branch to a frame takes along.
    pub(super) fn label_arity(&self, index: usize) -> usize {
        let f = &self.control[index];
        if matches!(f.kind, Kind::Loop(_)) { f.params as usize } else { f.results as usize }
    }

    /// Notes that the present block leads to the end of a structure, with the values it takes along.
    pub(super) fn note_branch(&mut self, index: usize) {
        let n = self.label_arity(index);
        let first = self.snapshots.len() as u32;
        let operands = self.stack.len() - n;
        self.snapshots.extend_from_slice(&self.stack[operands..]);
        let frame = &mut self.control[index];
        for &(l, _) in &frame.merged {
            self.snapshots.push(self.locals[l as usize]);
        }
        frame.incoming.push(Incoming { block: self.block, first, locals: frame.merged.len() as u32 });
        self.noted += 1;
        let state = self.loads.state;
        match &mut frame.meeting {
            Some((dom, met)) => {
                *dom = self.dom.common(*dom);
                Loads::meet(met, &state);
            }
            meeting => *meeting = Some((self.block, state)),
        }
        self.steps.take(n + self.control[index].merged.len());
    }

    /// The way of an `if` without `else` whose condition fails.
    fn note_failed_if(&mut self, index: usize, block: Block) {
        self.enter(block);
        let frame = &mut self.control[index];
        let first = self.snapshots.len() as u32;
        self.snapshots.extend_from_slice(&frame.operands);
        // No locals: all have the values they had at the start.
        frame.incoming.push(Incoming { block, first, locals: 0 });
        self.noted += 1;
        let state = frame.state;
        match &mut frame.meeting {
            Some((dom, met)) => {
                *dom = self.dom.common(*dom);
                Loads::meet(met, &state);
            }
            meeting => *meeting = Some((block, state)),
        }
    }

    /// Goes on where the ways to the end of a structure meet.
    pub(super) fn merge(&mut self, index: usize) {
        let frame = &mut self.control[index];
        let Some((dom, state)) = frame.meeting else {
            let height = frame.height;
            self.stack.truncate(height);
            return;
        };
        let incoming = std::mem::take(&mut frame.incoming);
        let merged = std::mem::take(&mut frame.merged);
        let (n, height) = (frame.results as usize, frame.height);
        self.steps.take((n + merged.len()) * incoming.len());
        // What is not needed behind has no value there.
        for &(l, _) in &frame.assigned {
            self.locals[l as usize] = Value::NONE;
        }
        let at = |w: &Incoming, i: usize, snapshots: &[Value]| match i < n + w.locals as usize {
            true => snapshots[w.first as usize + i],
            false => merged[i - n].1,
        };
        let block = if let [only] = incoming[..] { only.block } else { self.new_block(dom) };
        self.enter(block);
        self.stack.truncate(height);
        let mut differing: SmallVec<[usize; 16]> = SmallVec::new();
        for i in 0..n + merged.len() {
            let v = at(&incoming[0], i, &self.snapshots);
            let same = incoming[1..].iter().all(|w| at(w, i, &self.snapshots) == v);
            let v = if same {
                v
            } else {
                differing.push(i);
                let ty = self.f.ty(v);
                self.f.new_param(block, ty)
            };
            match i.checked_sub(n) {
                None => self.stack.push(v),
                Some(i) => self.locals[merged[i].0 as usize] = v,
            }
        }
        if incoming.len() > 1 {
            for w in &incoming {
                let args: SmallVec<[Value; 16]> = differing.iter().map(|&i| at(w, i, &self.snapshots)).collect();
                self.jump(w.block, block, &args);
            }
        }
        // The frames around see a merged local as one assigned here; they have it in their lists already.
        let frame = &mut self.control[index];
        frame.incoming = incoming;
        frame.merged = merged;
        self.loads.enter(&state);
        self.reachable = true;
        self.new_segment();
    }

    /// Leaves the present block for a frame's label. Control does not come back.
    pub(super) fn leave(&mut self, index: usize) {
        self.leave_unlikely(index);
        match self.control[index].kind {
            Kind::Function => self.return_values(),
            Kind::Loop(header) => self.leave_to_loop(index, header),
            _ => self.note_branch(index),
        }
    }

    fn leave_to_loop(&mut self, index: usize, header: Option<Block>) {
        let saved = self.assigned_by_repeating(index);
        let goes_on = self.control[index].rotation.is_none() || self.repeat_header(index);
        // A rotated loop has its header by then: nothing branches back from the code before it.
        if let (true, Some(header)) = (goes_on, header) {
            let frame = &self.control[index];
            let operands = &self.stack[self.stack.len() - frame.params as usize..];
            let carried = frame.carried.iter().map(|&l| self.locals[l as usize]);
            let args: SmallVec<[Value; 16]> = operands.iter().copied().chain(carried).collect();
            self.jump(self.block, header, &args);
        }
        for (l, v) in saved {
            self.locals[l as usize] = v;
        }
    }

    pub(super) fn br(&mut self, depth: u32) {
        self.leave(self.frame_index(depth));
        self.set_unreachable();
    }

    pub(super) fn br_if(&mut self, depth: u32) {
        let condition = self.pop();
        self.branch_on(condition, self.frame_index(depth), true);
    }

    /// Branches to a frame's label when the condition is what `when` says, else goes on.
    pub(super) fn branch_on(&mut self, condition: Value, index: usize, when: bool) {
        match self.fork(condition) {
            None => {
                if (self.f.as_iconst(condition) != Some(0)) == when {
                    self.leave(index);
                    self.set_unreachable();
                    return;
                }
            }
            Some((yes, no)) => {
                let (taken, on) = if when { (yes, no) } else { (no, yes) };
                self.hint_branch(index, taken, on);
                self.on_edge(taken, |b| b.leave(index));
                self.enter(on);
            }
        }
        self.finish_rotation(self.control.len() - 1);
        self.new_segment();
    }

    /// Does something in another block, and comes back with everything as it was.
    pub(super) fn on_edge(&mut self, block: Block, f: impl FnOnce(&mut Self)) {
        let (here, state, fuel) = (self.block, self.loads.state, self.fuel);
        self.enter(block);
        f(self);
        self.enter(here);
        self.loads.state = state;
        self.fuel = fuel;
    }

    pub(super) fn br_table(&mut self, table: &BrTable<'_>) {
        let index = self.pop();
        // The validator has read the targets once.
        let mut depths: Vec<u32> = table.targets().map_while(Result::ok).collect();
        let default = table.default();
        while depths.last() == Some(&default) {
            depths.pop();
        }
        match (self.f.as_iconst(index), depths.as_slice()) {
            (_, []) => return self.br(default),
            (Some(i), _) if !self.settings.fuel => {
                let depth = depths.get(i as u32 as usize).copied().unwrap_or(default);
                return self.br(depth);
            }
            (_, &[one]) => {
                let zero = self.icmp_const(crate::ir::IntCc::Eq, index, 0);
                if let Some((yes, no)) = self.fork(zero) {
                    self.on_edge(yes, |b| b.leave(b.frame_index(one)));
                    self.on_edge(no, |b| b.leave(b.frame_index(default)));
                    return self.set_unreachable();
                }
            }
            _ => {}
        }
        depths.push(default);
        self.switch(index, &depths);
        self.set_unreachable();
    }

    /// A table of branches; each distinct target gets one block.
    fn switch(&mut self, index: Value, depths: &[u32]) {
        let mut edges: Vec<(u32, Block)> = Vec::new();
        let mut of_depth = std::mem::take(&mut self.edge_of_depth);
        of_depth.resize(of_depth.len().max(self.control.len()), u32::MAX);
        let mut targets = Vec::with_capacity(depths.len());
        for &d in depths {
            let known = &mut of_depth[d as usize];
            if *known == u32::MAX {
                *known = edges.len() as u32;
                let b = self.new_edge();
                edges.push((d, b));
            }
            targets.push(edges[of_depth[d as usize] as usize].1);
        }
        edges.iter().for_each(|(d, _)| of_depth[*d as usize] = u32::MAX);
        self.edge_of_depth = of_depth;
        let idx = self.f.tables.len() as u32;
        self.f.tables.push(targets);
        self.push(Inst { idx, args: [index, Value::NONE, Value::NONE], ..Inst::new(Op::BrTable, Type::Void) });
        for (depth, b) in edges {
            if self.is_too_much() {
                return;
            }
            self.on_edge(b, |s| s.leave(s.frame_index(depth)));
        }
    }

    pub(super) fn br_on_null(&mut self, depth: u32, on_null: bool) {
        let reference = self.pop();
        let is_null = self.icmp_const(crate::ir::IntCc::Eq, reference, 0);
        let index = self.frame_index(depth);
        if on_null {
            self.branch_on(is_null, index, true);
            if self.reachable {
                self.stack.push(reference);
            }
        } else {
            // The reference goes along.
            self.stack.push(reference);
            self.branch_on(is_null, index, false);
            if self.reachable {
                self.pop();
            }
        }
    }

    // ---- returns

    pub(super) fn return_(&mut self) {
        self.leave(0);
        self.set_unreachable();
    }

    fn return_values(&mut self) {
        let n = self.control[0].results as usize;
        let from = self.stack.len() - n;
        let values: SmallVec<[Value; 4]> = SmallVec::from_slice(&self.stack[from..]);
        self.variadic(Op::Return, Type::Void, 0, &values);
    }

    // ---- loops

    /// Begins a loop; its `loop` operator has been counted.
    pub(super) fn loop_(&mut self, ty: BlockType, index: u32) {
        self.pin_operands(ty, 0);
        let facts = &self.scan.loops[index as usize];
        let (writes, reads) = (facts.writes, facts.reads);
        self.load_ahead(index, writes, reads);
        let arity = self.block_arity(ty);
        let height = self.stack.len() - arity.0 as usize;
        if let Some(rotation) = self.find_rotation(index, arity.0) {
            self.open(Kind::Loop(None), height, arity);
            self.frame().rotation = Some(rotation);
            self.new_segment();
            self.poll();
            return;
        }
        let carried = self.carried_locals(index, self.pos);
        let header = self.make_header(arity.0 as usize, &carried, writes);
        self.open(Kind::Loop(Some(header)), height, arity);
        self.frame().carried = carried;
        self.new_segment();
        self.poll();
    }

    /// Locals that a loop's header at that position takes as parameters.
    pub(super) fn carried_locals(&mut self, index: u32, at: u32) -> Vec<u32> {
        let of = match &self.osr {
            // Control also comes from the entry by way of the target, with all that the outermost loop assigns different.
            Some(o) if o.is_between(self.pos) => o.outer_index,
            _ => index,
        };
        let (first, end) = self.scan.loops[of as usize].assigned;
        let mut carried = Vec::new();
        self.seen_in += 1;
        self.steps.take((end - first) as usize);
        for i in first..end {
            let l = self.scan.assigned[i as usize];
            if std::mem::replace(&mut self.seen_locals[l as usize], self.seen_in) == self.seen_in {
                continue;
            }
            if self.scan.live(l, at) {
                carried.push(l);
            } else if of == index {
                self.locals[l as usize] = Value::NONE;
            }
        }
        if of != index
            && let Some(o) = &self.osr
        {
            carried.extend(o.pins.iter().map(|p| p.local));
        }
        carried
    }

    /// Makes the header of a loop, with the topmost `operands` and some locals as parameters, and goes on in it.
    pub(super) fn make_header(&mut self, operands: usize, carried: &[u32], writes: u8) -> Block {
        let from = self.stack.len() - operands;
        let between = self.osr.as_ref().is_some_and(|o| o.is_between(self.pos));
        let idom = if between { crate::ir::Func::ENTRY } else { self.block };
        let header = self.new_block(idom);
        let before = self.block;
        let mut args: SmallVec<[Value; 16]> = SmallVec::from_slice(&self.stack[from..]);
        for i in from..self.stack.len() {
            let ty = self.f.ty(self.stack[i]);
            self.stack[i] = self.f.new_param(header, ty);
        }
        for &l in carried {
            args.push(self.local(l));
            let v = self.f.new_param(header, self.local_types[l as usize]);
            self.set_local(l, v);
        }
        self.jump(before, header, &args);
        if between && self.osr.as_ref().is_some_and(|o| o.target == self.pos) {
            self.enter_from_frame(header, operands, carried);
        }
        self.enter(header);
        let writes = if self.has_shared_memory() { writes | class::MEMORY } else { writes };
        self.loads.clobber(if between { class::ALL } else { writes });
        self.refresh_pins();
        header
    }

    /// Reads ahead of a loop what it reads and does not write, so that it need not do it each time.
    fn load_ahead(&mut self, index: u32, writes: u8, reads: u8) {
        if writes & class::GLOBAL == 0 {
            for g in self.scan.loops[index as usize].globals.clone() {
                // The loop's body has not been validated yet.
                if (g as usize) < self.module.globals.len() {
                    self.global_value(g);
                }
            }
        }
        let wanted = writes & class::MEMORY_DESC == 0 && reads & class::MEMORY_DESC != 0;
        if wanted && !self.settings.guarded && self.module.memories.first().is_some_and(|m| !m.shared) {
            self.memory_base(0);
            self.memory_length(0);
        }
    }
}
