//! Small functions in the place of their calls.
//!
//! In: a call of one of the module's own functions. Out: its body's instructions, with the operands as its parameters, a `return` as
//! a branch to its end; or nothing, and the call is made. Instructions of the body have [places](Place) for positions, by which traps
//! in them and calls from them have the frames that the interpreter has. Fuel is charged as the function itself would:
//! the caller's stretch of code is charged as a whole where it begins, and goes on behind the body.
//!
//! A body is validated before anything is made of it; one that is not valid is called, as are functions with loops (which look at
//! the interrupt flag), with handlers of exceptions and with tail calls. Which calls are built in depends on the module alone.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`calls`) in which it does not hold:
//! - The body is valid, short, and has no loop, handler or tail call; control can come to its end.
//! - Nothing in it throws where a clause of the caller may catch.
//! - Locals are zero and parameters its own each time; a return is a branch to its end.
//! - Positions name the callee and its callers; fuel is charged as if called.
//! - Loops know what it reads and writes, built in or not.

use super::builder::Builder;
use super::calls::func_of;
use super::control::{Frame, Kind};
use super::flow::Flow;
use super::objects;
use super::prescan::{self, Prescan};
use crate::ir::{Type, Value};
use crate::passes::Pass;
use crate::tunables::Tunables;
use crate::{ModuleEnv, Place, Settings};
use std::collections::HashMap;
use std::rc::Rc;
use wasm::TypeId;
use wasm::operators::{self, Control};
use wasmparser::{
    BinaryReader, FuncValidator, FuncValidatorAllocations, Operator, OperatorsReader, ValType, ValidatorResources,
};

/// A function takes in bodies of this fraction of its own length, beside what [`Tunables`] says.
const ROOM_FRACTION: usize = 16;

/// A body that may be built into others.
struct Body<'a> {
    /// Operators but for the last `end`: with offset and the static type of the reference that they look into.
    ops: Vec<(Operator<'a>, u32, Option<ValType>)>,
    locals: Vec<Type>,
    scan: Rc<Prescan>,
    /// Offset of the last `end`.
    end: u32,
    /// Classes of memory that it writes and reads.
    effects: (u8, u8),
    /// Whether an exception may leave it.
    throws: bool,
    /// Whether its operators follow each other, none of them a call.
    straight: bool,
}

/// What has been built into the present function.
pub(super) struct Inlining<'a> {
    /// The functions that are being built into each other, outermost first.
    open: Vec<u32>,
    /// Bodies of functions that have been called, if they may be built in.
    bodies: HashMap<u32, Option<Rc<Body<'a>>>>,
    /// Bytes that may still be taken in.
    room: usize,
    /// Whether the outermost call is in a loop.
    in_loop: bool,
    limits: Tunables,
    /// What validating one body leaves for the next.
    allocs: FuncValidatorAllocations,
}

impl<'a> Inlining<'a> {
    /// Nothing yet, in a function of that length.
    pub(super) fn new(own_func: u32, len: usize, limits: &Tunables) -> Inlining<'a> {
        let room = limits.inline_room as usize + len / ROOM_FRACTION;
        let allocs = FuncValidatorAllocations::default();
        Inlining { open: vec![own_func], bodies: HashMap::new(), in_loop: false, room, limits: *limits, allocs }
    }

    fn body(&mut self, env: &ModuleEnv<'a>, own_func: u32) -> Option<Rc<Body<'a>>> {
        if env.module.bodies[own_func as usize].range().len() > self.limits.inline_straight as usize {
            return None;
        }
        let read = || read(env, own_func, &self.limits, &mut self.allocs).map(Rc::new);
        self.bodies.entry(own_func).or_insert_with(read).clone()
    }

    /// Classes of memory that a call of a function writes and reads, whether it is built in or not. The number need not be one of a function.
    pub(super) fn effects_of_call(&mut self, env: &ModuleEnv<'a>, settings: &Settings, func: u32) -> (u8, u8) {
        let own = env
            .module
            .own_func(func)
            .filter(|&f| settings.passes.has(Pass::Inline) && (f as usize) < env.module.bodies.len());
        own.and_then(|f| self.body(env, f)).map_or(prescan::CALL, |b| b.effects)
    }
}

/// Whether an operator may be in a body that is built in: whatever opens no loop or handler and makes no tail call.
fn is_allowed(op: &Operator<'_>) -> bool {
    match operators::facts(op).control {
        Control::Next | Control::Block | Control::If | Control::Else | Control::End => true,
        Control::Branch | Control::Jump | Control::Return | Control::Throw => true,
        Control::Leave => matches!(op, Operator::Unreachable),
        Control::Loop | Control::TryTable | Control::Try | Control::Catch | Control::Delegate => false,
        Control::Rethrow | Control::Unknown => false,
    }
}

/// Whether an operator leads to the next one and nowhere else.
fn is_straight(op: &Operator<'_>) -> bool {
    let facts = operators::facts(op);
    facts.is_straight() || facts.control == Control::End
}

/// Reads and validates a body; nothing if it is not valid, or not to be built into others.
fn read<'a>(
    env: &ModuleEnv<'a>,
    own_func: u32,
    limits: &Tunables,
    allocs: &mut FuncValidatorAllocations,
) -> Option<Body<'a>> {
    let (mut validator, reader) = wasm::validate_body(env.module, env.bytes, own_func, std::mem::take(allocs));
    let len = env.module.bodies[own_func as usize].range().len();
    let body = read_with(&mut validator, reader, len, limits);
    *allocs = validator.into_allocations();
    body
}

/// The same, of a body that is so long.
fn read_with<'a>(
    validator: &mut FuncValidator<ValidatorResources>,
    mut reader: BinaryReader<'a>,
    len: usize,
    limits: &Tunables,
) -> Option<Body<'a>> {
    validator.read_locals(&mut reader).ok()?;
    let n = validator.len_locals();
    if n > limits.inline_locals {
        return None;
    }
    let locals = (0..n).filter_map(|i| validator.get_local_type(i)).map(|t| Type::of(super::of_parsed(t))).collect();
    let scan = Rc::new(prescan::scan(OperatorsReader::new(reader.clone()), n, None, &mut |_| prescan::CALL));
    let mut flow = Flow::new();
    let (mut calls, mut throws, mut effects) = (0, false, (0, 0));
    let long = len > limits.inline_body as usize;
    let mut ops = Vec::new();
    let mut operators = OperatorsReader::new(reader);
    while !operators.eof() {
        let at = operators.original_position();
        let op = operators.read().ok()?;
        if !is_allowed(&op) || (long && !is_straight(&op)) {
            return None;
        }
        let operand = objects::reference_depth(&op).and_then(|d| validator.get_operand_type(d)).flatten();
        validator.op(at, &op).ok()?;
        flow.pass(&op);
        let facts = operators::facts(&op);
        effects = (effects.0 | facts.writes, effects.1 | facts.reads);
        calls += u32::from(facts.calls);
        throws |= facts.throws();
        ops.push((op, at as u32, operand));
    }
    operators.finish().ok()?;
    let (_, end, _) = ops.pop()?;
    // Code behind a call that never returns would have to be charged all the same.
    let straight = ops.iter().all(|(op, ..)| is_straight(op));
    (calls <= limits.inline_calls && flow.is_live()).then_some(Body {
        ops,
        locals,
        scan,
        end,
        effects,
        throws,
        straight,
    })
}

/// What a function keeps while another is built into it.
struct Caller {
    locals: Vec<Value>,
    local_types: Vec<Type>,
    in_frames: Vec<u32>,
    control: Vec<Frame>,
    tries: Vec<usize>,
    hidden: Vec<usize>,
    scan: Rc<Prescan>,
    osr: Option<super::osr::Osr>,
    structures: (u32, u32),
    pos: (u32, u32),
    fuel: Option<Value>,
    in_loop: bool,
}

impl<'a> Builder<'a> {
    /// Builds a function in, in place of a call of it, if it is worth it.
    pub(super) fn inline(&mut self, own_func: u32, id: TypeId) -> bool {
        let Some(body) = self.choose(own_func) else { return false };
        let ty = self.call_type(id);
        let Some(ty) = func_of(&ty) else { return false };
        let caller = self.begin_inlined(&body, ty.params.len());
        self.inlining.open.push(own_func);
        self.open_inlined(ty.results.len() as u32, body.end);
        let first = body.ops.first().map_or(body.end, |op| op.1);
        let last = Operator::End;
        let ops = body.ops.iter().map(|(op, at, operand)| (op, *at, *operand)).chain([(&last, body.end, None)]);
        self.go_to_place(own_func, first, caller.pos.1);
        self.new_segment();
        for (op, at, operand) in ops {
            self.go_to_place(own_func, at, caller.pos.1);
            self.operand = operand;
            self.operator(op, 0, &[]);
        }
        self.inlining.open.pop();
        self.end_inlined(caller);
        true
    }

    /// The body of a function that is to be built in here.
    fn choose(&mut self, own_func: u32) -> Option<Rc<Body<'a>>> {
        let len = self.module.bodies[own_func as usize].range().len();
        let limits = &self.settings.tunables;
        if !self.settings.passes.has(Pass::Inline)
            || self.env.bytes.len() > Place::INLINED as usize
            || len > limits.inline_straight as usize
            || (len > limits.inline_outside_loops as usize && !self.in_loop())
            || self.inlining.open.len() > limits.inline_depth as usize
            // It takes half of its length at least.
            || len / 2 > self.inlining.room
            || self.inlining.open.iter().filter(|&&f| f == own_func).count() >= limits.inline_recursion as usize
        {
            return None;
        }
        let body = self.inlining.body(self.env, own_func)?;
        let cost = if len <= limits.inline_tiny as usize || body.straight { len / 2 } else { len };
        let room = self.inlining.room.checked_sub(cost)?;
        if body.throws && self.is_caught() {
            return None;
        }
        self.inlining.room = room;
        Some(body)
    }

    /// Whether there is a loop around the call, or around the call in whose place it is.
    fn in_loop(&self) -> bool {
        let is_loop = |f: &Frame| matches!(f.kind, Kind::Loop(_));
        self.inlining.in_loop
            || self.control.iter().rev().take(self.settings.tunables.inline_near as usize).any(is_loop)
    }

    fn go_to_place(&mut self, own_func: u32, wasm: u32, caller: u32) {
        self.pos = wasm;
        self.position = self.f.place(Place { own_func, wasm, caller });
    }

    /// Exchanges what belongs to the caller for what the callee begins with.
    fn begin_inlined(&mut self, body: &Body<'a>, params: usize) -> Caller {
        let mut locals = self.pop_n(params).into_vec();
        for i in params..body.locals.len() {
            let zero = self.zero(body.locals[i]);
            locals.push(zero);
        }
        let around = self.in_loop();
        let in_loop = std::mem::replace(&mut self.inlining.in_loop, around);
        Caller {
            in_frames: std::mem::replace(&mut self.in_frames, vec![0; locals.len()]),
            locals: std::mem::replace(&mut self.locals, locals),
            local_types: std::mem::replace(&mut self.local_types, body.locals.clone()),
            control: std::mem::take(&mut self.control),
            tries: std::mem::take(&mut self.tries),
            hidden: std::mem::take(&mut self.hidden),
            scan: std::mem::replace(&mut self.scan, body.scan.clone()),
            osr: self.osr.take(),
            structures: (std::mem::take(&mut self.loop_count), std::mem::take(&mut self.structure_count)),
            pos: (self.pos, self.position),
            fuel: self.fuel,
            in_loop,
        }
    }

    fn end_inlined(&mut self, caller: Caller) {
        self.locals = caller.locals;
        self.local_types = caller.local_types;
        self.in_frames = caller.in_frames;
        self.control = caller.control;
        self.tries = caller.tries;
        self.hidden = caller.hidden;
        self.scan = caller.scan;
        self.osr = caller.osr;
        (self.loop_count, self.structure_count) = caller.structures;
        (self.pos, self.position) = caller.pos;
        self.fuel = caller.fuel;
        self.inlining.in_loop = caller.in_loop;
        if !self.reachable {
            self.set_unreachable();
        }
    }
}
