//! A function body to SSA, in one pass together with its validation.
//!
//! In: a module and one of its functions. Out: [`Func`], valid and verified by construction: pure instructions are
//! hash-consed and simplified as they are made, loads that memory's contents are known for are not made, branches on
//! known conditions are not taken or always. Locals and the operand stack exist only here. A first look at the body
//! ([`prescan`](self)) finds out what loops change and where locals are needed, so that headers and merges get
//! parameters for nothing else.
//!
//! `builder` is the state, `control` structures and branches, `rotate` loops with their test at the top, `osr` entry at a
//! loop, `operators` the rest with `memory`, `calls`, `exceptions`, `legacy`, `objects`, `allocate`, `casts` and `vector`; `loads` is what is known of memory, `facts` of the
//! module as a whole, `hints` those for branches, `flow` of the
//! structure of a body.

mod allocate;
mod builder;
mod calls;
mod casts;
mod control;
mod exceptions;
mod facts;
mod flow;
mod hints;
mod inline;
mod legacy;
mod loads;
mod memory;
mod objects;
mod operators;
mod osr;
mod prescan;
mod rotate;
mod tables;
mod vector;

pub use facts::ModuleFacts;

use crate::budget::{Limits, TooMuch};
use crate::ir::{Func, Inst, Op, Type};
use crate::{CompileError, Entry, ModuleEnv, Settings};
use builder::Builder;
use wasm::{FrameLayout, FuncType};
use wasmparser::{FuncValidatorAllocations, OperatorsReader, ValType};

fn invalid(e: &wasmparser::Error) -> CompileError {
    CompileError::Invalid { message: e.message().to_string(), offset: e.offset() }
}

/// A parsed type, with all references alike: only the width matters.
fn of_parsed(t: ValType) -> wasm::ValType {
    match t {
        ValType::I32 => wasm::ValType::I32,
        ValType::I64 => wasm::ValType::I64,
        ValType::F32 => wasm::ValType::F32,
        ValType::F64 => wasm::ValType::F64,
        ValType::V128 => wasm::ValType::V128,
        ValType::Ref(_) => wasm::ValType::FUNCREF,
    }
}

/// Translates a function, or the rest of one from a loop on.
///
/// # Errors
/// When the body is not valid, or the compiler cannot do it.
pub fn build(env: &ModuleEnv<'_>, own_func: u32, entry: Entry, settings: &Settings) -> Result<Func, CompileError> {
    build_counting(env, own_func, entry, settings).map(|(f, _)| f)
}

/// The same, with the number of steps that were not in proportion to the values made.
pub(crate) fn build_counting(
    env: &ModuleEnv<'_>,
    own_func: u32,
    entry: Entry,
    settings: &Settings,
) -> Result<(Func, u64), CompileError> {
    let module = env.module;
    let id = module.funcs[(own_func + module.imported_funcs()) as usize];
    let ty = env.types.func(id).unwrap_or(FuncType { params: [].into(), results: [].into() });
    let allocs = FuncValidatorAllocations::default();
    let (mut validator, mut reader) = wasm::validate_body(module, env.bytes, own_func, allocs);
    validator.read_locals(&mut reader).map_err(|e| invalid(&e))?;
    let locals: Vec<wasm::ValType> =
        (0..validator.len_locals()).filter_map(|i| validator.get_local_type(i)).map(of_parsed).collect();
    let target = match entry {
        Entry::Function => None,
        Entry::Loop(offset) => Some(offset),
    };
    let limits = Limits::new(env, own_func);
    let mut inlining =
        inline::Inlining::new(own_func, module.bodies[own_func as usize].range().len(), &settings.tunables);
    let mut called = |func| inlining.effects_of_call(env, settings, func);
    let scan = prescan::scan(OperatorsReader::new(reader.clone()), locals.len() as u32, target, &mut called);
    let types = locals.iter().map(|&t| Type::of(t)).collect();
    let mut b = Builder::new(env, settings, scan, types, inlining, &limits);
    let body = module.bodies[own_func as usize];
    b.body_end = body.end;
    b.begin(&ty, &locals, target)?;
    let mut operands = Vec::new();
    // Which code the interpreter has, where it makes a difference.
    let mut flow = (settings.fuel || target.is_some()).then(flow::Flow::new);
    let mut ops = OperatorsReader::new(reader);
    while !ops.eof() {
        let offset = ops.original_position();
        let op = ops.read().map_err(|e| invalid(&e))?;
        b.go_to(offset as u32);
        b.next = ops.original_position() as u32;
        let mut height = 0;
        if b.osr.as_ref().is_some_and(|o| o.seeking) {
            height = validator.operand_stack_height();
            if flow.as_ref().is_some_and(flow::Flow::is_live) {
                b.seek_branches(&op);
            }
            operands.clear();
            if b.osr.as_ref().is_some_and(|o| o.outer == b.pos) {
                let types = (0..height as usize).rev().filter_map(|i| validator.get_operand_type(i).flatten());
                operands.extend(types);
                // Dead code begins in one of the structures around the loop. It is not entered, and what follows it may be without types.
                let mut around = (0..).map_while(|depth| validator.get_control_frame(depth));
                if around.any(|f| f.unreachable) || operands.len() != height as usize {
                    return Err(CompileError::Unsupported { what: "entry at an unreachable loop", offset });
                }
            }
        } else if settings.fuel && !b.reachable && flow.as_ref().is_some_and(flow::Flow::is_live) {
            // A clause to which nothing throws, say. What lies at ends of structures is charged by itself wherever any branch leads there.
            b.seek_branches(&op);
        }
        let depth = objects::reference_depth(&op).filter(|_| b.reachable);
        b.operand = depth.and_then(|d| validator.get_operand_type(d)).flatten();
        validator.op(offset, &op).map_err(|e| invalid(&e))?;
        if let Some(flow) = &mut flow {
            flow.pass(&op);
        }
        b.operator(&op, height, &operands);
        if let Some(what) = b.unsupported {
            return Err(CompileError::Unsupported { what, offset });
        }
        b.check_limits().map_err(|TooMuch(what)| CompileError::TooMuch { what, offset: Some(offset) })?;
    }
    ops.finish().map_err(|e| invalid(&e))?;
    let steps = b.steps.taken() as u64;
    b.finish(target).map(|f| (f, steps))
}

impl Builder<'_> {
    fn begin(&mut self, ty: &FuncType, locals: &[wasm::ValType], target: Option<u32>) -> Result<(), CompileError> {
        self.f.results = ty.results.iter().map(|&t| Type::of(t)).collect();
        self.open_function(ty, self.body_end);
        let Some(target) = target else {
            self.begin_function(ty);
            return Ok(());
        };
        let Some(path) = &self.scan.path else {
            return Err(CompileError::Unsupported { what: "no loop begins there", offset: target.into() });
        };
        let layout = FrameLayout::new(&locals[..ty.params.len()], &locals[ty.params.len()..]);
        self.osr = Some(osr::Osr::new(path, target, layout));
        self.reachable = false;
        Ok(())
    }

    fn begin_function(&mut self, ty: &FuncType) {
        self.f.params = ty.params.iter().map(|&t| Type::of(t)).collect();
        for i in 0..self.local_types.len() {
            let t = self.local_types[i];
            self.locals[i] = match i < ty.params.len() {
                true => self.push(Inst { idx: i as u32, ..Inst::new(Op::Arg, t) }),
                false => self.zero(t),
            };
        }
        self.new_segment();
        self.poll();
    }

    fn finish(mut self, target: Option<u32>) -> Result<Func, CompileError> {
        if let (Some(target), false) = (target, self.osr.as_ref().is_none_or(|o| o.entered)) {
            return Err(CompileError::Unsupported { what: "entry at an unreachable loop", offset: target.into() });
        }
        // What costs nothing is not charged.
        if self.settings.fuel {
            for b in &mut self.f.blocks {
                b.insts.retain(|&v| {
                    let i = &self.f.insts[v.index()];
                    i.op != Op::Fuel || i.imm != 0
                });
            }
        }
        Ok(self.f)
    }
}
