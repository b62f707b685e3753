//! The state of the main pass: values of locals and operands, blocks with their dominators, emission.

use super::control::Frame;
use super::facts::ModuleFacts;
use super::inline::Inlining;
use super::loads::Loads;
use super::objects::StructType;
use super::prescan::Prescan;
use crate::abi::{Helper, TrapCode};
use crate::budget::{Limits, Steps, TooMuch};
use crate::ir::tree::Tree;
use crate::ir::{Alias, Block, Func, Inst, IntCc, MemKind, Op, Type, Value};
use crate::passes::simplify;
use crate::{ModuleEnv, Settings};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::rc::Rc;
use wasm::layout::{SLOT, context};
use wasmparser::Operator;

/// The blocks that dominate the present one, and what dominates each block.
#[derive(Default)]
pub(super) struct Dominators {
    tree: Tree,
    /// From the entry to the present block.
    chain: Vec<Block>,
    /// Where in the chain a block is, if it is in it.
    position: Vec<u32>,
}

impl Dominators {
    /// A new block below its immediate dominator.
    fn add(&mut self, idom: Option<Block>) {
        self.tree.push(idom.map(|b| b.0));
        self.position.push(0);
    }
    /// Whether a block dominates the present one.
    pub(super) fn holds(&self, b: Block) -> bool {
        self.chain.get(self.position[b.index()] as usize) == Some(&b)
    }
    /// Makes a block the present one.
    fn enter(&mut self, b: Block) {
        let mut path: SmallVec<[Block; 8]> = SmallVec::new();
        let mut at = b;
        while !self.holds(at) {
            path.push(at);
            match self.tree.parent(at.0) {
                up if up == at.0 => break,
                up => at = Block(up),
            }
        }
        let keep = if self.holds(at) { self.position[at.index()] as usize + 1 } else { 0 };
        self.chain.truncate(keep);
        for b in path.into_iter().rev() {
            self.position[b.index()] = self.chain.len() as u32;
            self.chain.push(b);
        }
    }
    /// The nearest dominator of a block that also dominates the present one.
    pub(super) fn common(&self, b: Block) -> Block {
        if self.holds(b) {
            return b;
        }
        let present = self.chain.last().map_or(Func::ENTRY.0, |b| b.0);
        Block(self.tree.common(b.0, present))
    }
}

pub(super) struct Builder<'a> {
    pub(super) env: &'a ModuleEnv<'a>,
    pub(super) module: &'a wasm::Module,
    pub(super) facts: &'a ModuleFacts,
    pub(super) settings: &'a Settings,
    pub(super) scan: Rc<Prescan>,
    pub(super) f: Func,
    pub(super) block: Block,
    pub(super) reachable: bool,
    /// Offset of the present operator, and its position.
    pub(super) pos: u32,
    pub(super) position: u32,
    /// The functions that are being built into this one, itself first.
    pub(super) inlining: Inlining<'a>,
    pub(super) local_types: Vec<Type>,
    pub(super) locals: Vec<Value>,
    /// Deepest open frame that has the local in its list.
    pub(super) in_frames: Vec<u32>,
    pub(super) stack: Vec<Value>,
    pub(super) control: Vec<Frame>,
    pub(super) spare: Vec<Frame>,
    /// For `switch`: the edge to a label of each depth, or `u32::MAX`.
    pub(super) edge_of_depth: Vec<u32>,
    /// For `carried_locals`: the number of the loop for which each local was last looked at, and of the present one.
    pub(super) seen_locals: Vec<u32>,
    pub(super) seen_in: u32,
    /// Indices of open frames with catch clauses that may apply, or that delegate.
    pub(super) tries: Vec<usize>,
    /// Indices of open frames without a label of their own: those of legacy clauses still to come.
    pub(super) hidden: Vec<usize>,
    /// Values that branches to labels take along.
    pub(super) snapshots: Vec<Value>,
    /// Number of branches noted in open frames.
    pub(super) noted: usize,
    pub(super) dom: Dominators,
    pub(super) loads: Loads,
    /// Loops and structures begun so far.
    pub(super) loop_count: u32,
    pub(super) structure_count: u32,
    /// Types of structs that have been looked at.
    pub(super) structs: HashMap<u32, Rc<StructType>>,
    /// The instruction that charges the present segment.
    pub(super) fuel: Option<Value>,
    /// Static type of the reference that the present operator looks into, where it matters and is known.
    pub(super) operand: Option<wasmparser::ValType>,
    pub(super) osr: Option<super::osr::Osr>,
    /// Operators of the headers of rotated loops with their offsets, one after the other.
    pub(super) replays: Vec<(Operator<'a>, u32)>,
    /// Offset behind the present operator, and of the body's end.
    pub(super) next: u32,
    pub(super) body_end: u32,
    /// More values than this are too many for a body of its size.
    pub(super) max_values: usize,
    /// What is not in proportion to values: entries in the lists of frames, locals looked at for loops and merges.
    pub(super) steps: Steps,
    /// Set when the function is too much for the compiler.
    pub(super) unsupported: Option<&'static str>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        env: &'a ModuleEnv<'a>,
        settings: &'a Settings,
        scan: Prescan,
        local_types: Vec<Type>,
        inlining: Inlining<'a>,
        limits: &Limits,
    ) -> Self {
        let mut dom = Dominators::default();
        dom.add(None);
        dom.enter(Func::ENTRY);
        Builder {
            env,
            module: env.module,
            facts: env.facts,
            settings,
            scan: Rc::new(scan),
            f: Func::new(),
            block: Func::ENTRY,
            reachable: true,
            pos: 0,
            position: 0,
            inlining,
            locals: vec![Value::NONE; local_types.len()],
            in_frames: vec![0; local_types.len()],
            seen_locals: vec![0; local_types.len()],
            seen_in: 0,
            edge_of_depth: Vec::new(),
            local_types,
            stack: Vec::new(),
            control: Vec::new(),
            spare: Vec::new(),
            tries: Vec::new(),
            hidden: Vec::new(),
            snapshots: Vec::new(),
            noted: 0,
            dom,
            loads: Loads::default(),
            loop_count: 0,
            structure_count: 0,
            structs: HashMap::new(),
            fuel: None,
            operand: None,
            osr: None,
            replays: Vec::new(),
            next: 0,
            body_end: 0,
            max_values: limits.values,
            steps: Steps::new(limits.steps),
            unsupported: None,
        }
    }

    /// Whether more is made of the body than may be.
    pub(super) fn check_limits(&mut self) -> Result<(), TooMuch> {
        if self.is_too_much() {
            return Err(TooMuch(if self.steps.is_over() {
                "too many ways to too many locals"
            } else {
                "too many values"
            }));
        }
        Ok(())
    }

    /// The same, for loops within an operator, which end then.
    pub(super) fn is_too_much(&self) -> bool {
        self.f.insts.len() + self.f.pool.len() > self.max_values || self.steps.is_over()
    }

    /// Goes on at an operator of the function itself.
    pub(super) fn go_to(&mut self, pos: u32) {
        (self.pos, self.position) = (pos, pos);
    }

    // ---- blocks

    /// A new block with its immediate dominator.
    pub(super) fn new_block(&mut self, idom: Block) -> Block {
        self.dom.add(Some(idom));
        self.f.new_block()
    }
    /// A new block whose only predecessor is the present one.
    pub(super) fn new_edge(&mut self) -> Block {
        let b = self.new_block(self.block);
        self.f.blocks[b.index()].preds.push(self.block);
        b
    }
    /// Goes on in a block.
    pub(super) fn enter(&mut self, b: Block) {
        self.dom.enter(b);
        self.block = b;
    }

    // ---- instructions

    /// An instruction of no result with that effect, at the present place.
    pub(super) fn push(&mut self, inst: Inst) -> Value {
        self.f.push(self.block, Inst { pos: self.position, ..inst })
    }
    pub(super) fn un(&mut self, op: Op, ty: Type, a: Value) -> Value {
        simplify::un(&mut self.f, op, ty, a, self.position)
    }
    pub(super) fn bin(&mut self, op: Op, ty: Type, a: Value, b: Value) -> Value {
        simplify::bin(&mut self.f, op, ty, a, b, self.position)
    }
    pub(super) fn bin_const(&mut self, op: Op, ty: Type, a: Value, c: i64) -> Value {
        simplify::bin_const(&mut self.f, op, ty, a, c, self.position)
    }
    pub(super) fn icmp(&mut self, cc: IntCc, a: Value, b: Value) -> Value {
        simplify::icmp(&mut self.f, cc, a, b, self.position)
    }
    pub(super) fn icmp_const(&mut self, cc: IntCc, a: Value, c: i64) -> Value {
        simplify::icmp_const(&mut self.f, cc, a, c, self.position)
    }
    /// The id of a type of the module.
    pub(super) fn type_id(&mut self, ty: Type, id: wasm::TypeId) -> Value {
        self.f.pure(Inst { idx: id.0, ..Inst::new(Op::TypeId, ty) })
    }
    pub(super) fn i64_const(&mut self, c: i64) -> Value {
        self.f.iconst(Type::I64, c)
    }
    pub(super) fn pure(&mut self, inst: Inst) -> Value {
        simplify::pure(&mut self.f, Inst { pos: self.position, ..inst })
    }
    pub(super) fn float_const(&mut self, ty: Type, bits: u64) -> Value {
        self.f.pure(Inst { imm: bits as i64, ..Inst::new(Op::Fconst, ty) })
    }
    pub(super) fn vector_const(&mut self, bits: u128) -> Value {
        let imm = self.f.vector(bits);
        self.f.pure(Inst { imm, ..Inst::new(Op::Vconst, Type::V128) })
    }
    /// Zero, or null.
    pub(super) fn zero(&mut self, ty: Type) -> Value {
        match ty {
            Type::F32 | Type::F64 => self.float_const(ty, 0),
            Type::V128 => self.vector_const(0),
            ty => self.f.iconst(ty, 0),
        }
    }

    pub(super) fn ctx(&mut self) -> Value {
        self.f.pure(Inst::new(Op::Ctx, Type::I64))
    }
    /// What never changes at that pointer.
    pub(super) fn constant_load(&mut self, ty: Type, pointer: Value, offset: usize) -> Value {
        self.f.pure(Inst {
            args: [pointer, Value::NONE, Value::NONE],
            imm: offset as i64,
            pos: self.position,
            ..Inst::new(Op::CLoad, ty)
        })
    }
    /// Entry of one of the context's arrays of pointers.
    pub(super) fn array_entry(&mut self, array: usize, index: u32) -> Value {
        let ctx = self.ctx();
        let array = self.constant_load(Type::I64, ctx, array);
        self.constant_load(Type::I64, array, index as usize * SLOT as usize)
    }

    /// Traps if the condition holds, unless it has been tested on the way here.
    pub(super) fn trap_if(&mut self, condition: Value, code: TrapCode) {
        let (condition, _) = match simplify::condition(&self.f, condition) {
            (bare, false) => (bare, false),
            _ => (condition, false),
        };
        if self.f.as_iconst(condition) == Some(0) {
            return;
        }
        let inst =
            Inst { aux: code as u8, args: [condition, Value::NONE, Value::NONE], ..Inst::new(Op::TrapIf, Type::Void) };
        // Which code it was tested with does not matter: it did not trap.
        let key = Inst { aux: 0, ..inst };
        if self.pinned(&key).is_none() {
            let v = self.push(inst);
            self.loads.remember_pinned(self.block, &key, v);
        }
    }

    /// An instruction that may trap and otherwise always gives the same for the same arguments.
    pub(super) fn trapping(&mut self, inst: Inst) -> Value {
        if let Some(v) = self.pinned(&inst) {
            return v;
        }
        let v = self.push(inst);
        self.loads.remember_pinned(self.block, &inst, v);
        v
    }

    /// Ends the block with a trap.
    pub(super) fn trap(&mut self, code: TrapCode) {
        self.push(Inst { aux: code as u8, ..Inst::new(Op::Trap, Type::Void) });
        self.f.blocks[self.block.index()].cold = true;
        self.set_unreachable();
    }

    pub(super) fn variadic(&mut self, op: Op, ty: Type, idx: u32, args: &[Value]) -> Value {
        let args = self.f.list(args);
        self.push(Inst { idx, args, ..Inst::new(op, ty) })
    }

    pub(super) fn jump(&mut self, from: Block, to: Block, args: &[Value]) {
        let args = self.f.list(args);
        self.f.push(from, Inst { idx: to.0, args, pos: self.position, ..Inst::new(Op::Jump, Type::Void) });
        self.f.blocks[to.index()].preds.push(from);
    }

    /// Calls a helper; all arguments are i64.
    pub(super) fn helper(&mut self, helper: Helper, args: &[Value]) -> Value {
        let ty = if helper.signature().2 == crate::abi::HelperResult::Nothing { Type::Void } else { Type::I64 };
        self.variadic(Op::Helper, ty, helper as u32, args)
    }

    pub(super) fn pointer_load(&mut self, ty: Type, pointer: Value, offset: i64, alias: Alias) -> Value {
        self.push(Inst {
            idx: alias as u32,
            aux: MemKind::Whole as u8,
            args: [pointer, Value::NONE, Value::NONE],
            imm: offset,
            ..Inst::new(Op::PLoad, ty)
        })
    }

    // ---- fuel and interrupts

    /// Begins a stretch of code that is charged as one.
    pub(super) fn new_segment(&mut self) {
        if self.settings.fuel {
            self.fuel = Some(self.push(Inst::new(Op::Fuel, Type::Void)));
        }
    }
    /// Adds one operator to the charge of the present segment.
    pub(super) fn charge(&mut self) {
        if let Some(v) = self.fuel {
            self.f.insts[v.index()].imm += 1;
        }
    }
    pub(super) fn poll(&mut self) {
        if self.settings.interruptible {
            self.push(Inst::new(Op::Poll, Type::Void));
        }
    }

    // ---- operands and locals

    pub(super) fn pop(&mut self) -> Value {
        // The validator has seen to it that there is one.
        self.stack.pop().unwrap_or(Value(0))
    }
    pub(super) fn pop2(&mut self) -> (Value, Value) {
        let b = self.pop();
        (self.pop(), b)
    }
    pub(super) fn pop_n(&mut self, n: usize) -> SmallVec<[Value; 8]> {
        let from = self.stack.len().saturating_sub(n);
        self.stack.drain(from..).collect()
    }

    pub(super) fn local(&mut self, index: u32) -> Value {
        match self.locals[index as usize] {
            // Nobody reads what was found dead; should that be wrong, the program gets a value at least.
            Value::NONE => {
                debug_assert!(false, "local {index} is read at {:#x} where it was taken for dead", self.pos);
                self.zero(self.local_types[index as usize])
            }
            v => v,
        }
    }

    pub(super) fn set_local(&mut self, index: u32, v: Value) {
        let old = std::mem::replace(&mut self.locals[index as usize], v);
        let innermost = self.control.len() as u32 - 1;
        let mut at = self.in_frames[index as usize];
        if at >= innermost {
            return;
        }
        self.steps.take((innermost - at) as usize);
        while at < innermost {
            at += 1;
            let frame = &self.control[at as usize];
            let live = self.is_live(index, frame.end);
            let frame = &mut self.control[at as usize];
            frame.assigned.push((index, old));
            if live {
                frame.merged.push((index, old));
            }
        }
        self.in_frames[index as usize] = innermost;
    }

    /// Whether a local may be read at or behind a position before it is assigned.
    pub(super) fn is_live(&self, local: u32, at: u32) -> bool {
        // Operands kept as locals for on-stack replacement are none of the scan's.
        self.scan.is_operand(local) || self.scan.live(local, at)
    }

    /// Whether other threads may write to a memory: then a loop that waits for that without an atomic access sees it in the end, so
    /// nothing read before a loop is known in it.
    pub(super) fn has_shared_memory(&self) -> bool {
        self.module.memories.iter().any(|m| m.shared)
    }

    /// Whether the global is one of the context's own, and which.
    pub(super) fn inline_global(&self, global: u32) -> Option<u32> {
        let own = global.checked_sub(self.module.imported[wasm::ExternKind::Global as usize])?;
        (own < context::INLINE_GLOBALS as u32).then_some(own)
    }
}
