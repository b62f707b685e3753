//! A program as a module in the binary format.
//!
//! Every function, global and the memory is exported; the table holds all functions in order.

use crate::ast::{
    Access, Clause, Cycle, End, Expr, Function, Handling, Head, Loop, Program, Shape, Stmt, TAGS, Try, Ty,
};
use std::borrow::Cow;
use wasm_encoder::{
    BlockType, Catch, CodeSection, ConstExpr, DataSection, ElementSection, Elements, ExportKind, ExportSection,
    FunctionSection, GlobalSection, GlobalType, Ieee32, Ieee64, Instruction, MemArg, MemArgTarget, MemorySection,
    MemoryType, Module, RefType, TableSection, TableType, TagKind, TagSection, TagType, TypeSection, ValType,
};

fn val_type(ty: Ty) -> ValType {
    match ty {
        Ty::I32 => ValType::I32,
        Ty::I64 => ValType::I64,
        Ty::F32 => ValType::F32,
        Ty::F64 => ValType::F64,
    }
}

fn constant(ty: Ty, v: u64) -> Instruction<'static> {
    match ty {
        Ty::I32 => Instruction::I32Const(v as i32),
        Ty::I64 => Instruction::I64Const(v as i64),
        Ty::F32 => Instruction::F32Const(Ieee32::from(f32::from_bits(v as u32))),
        Ty::F64 => Instruction::F64Const(Ieee64::from(f64::from_bits(v))),
    }
}

pub(crate) fn encode(p: &Program) -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    let mut exports = ExportSection::new();
    let mut extra = Vec::new();
    for (i, f) in p.functions.iter().enumerate() {
        let list = |ts: &[Ty]| ts.iter().map(|&t| val_type(t)).collect::<Vec<_>>();
        types.ty().function(list(&f.params), list(&f.results));
        functions.function(i as u32);
        exports.export(&format!("f{i}"), ExportKind::Func, i as u32);
        code.function(&function(f, p.functions.len() as u32, &mut extra));
    }
    let mut tags = TagSection::new();
    for tag in TAGS {
        tags.tag(TagType { kind: TagKind::Exception, func_type_idx: types.len() });
        types.ty().function(tag.iter().map(|&t| val_type(t)), []);
    }
    // What clauses get: values, and values with the reference.
    for tag in TAGS {
        let values = || tag.iter().map(|&t| val_type(t));
        types.ty().function([], values());
        types.ty().function([], values().chain([ValType::EXNREF]).collect::<Vec<_>>());
    }
    for (params, results) in &extra {
        types.ty().function(params.iter().copied(), results.iter().copied());
    }
    let mut globals = GlobalSection::new();
    for (i, &(ty, v)) in p.globals.iter().enumerate() {
        let init = ConstExpr::extended([constant(ty, v)]);
        globals.global(GlobalType { val_type: val_type(ty), mutable: true, shared: false }, &init);
        exports.export(&format!("g{i}"), ExportKind::Global, i as u32);
    }
    let count = p.functions.len() as u64;
    let mut tables = TableSection::new();
    let element_type = RefType::FUNCREF;
    tables.table(TableType { element_type, table64: false, minimum: count, maximum: Some(count), shared: false });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    exports.export("memory", ExportKind::Memory, 0);
    let mut elements = ElementSection::new();
    let all: Vec<u32> = (0..count as u32).collect();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(Cow::Borrowed(&all)));
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(0), p.data.iter().copied());
    let mut m = Module::new();
    m.section(&types).section(&functions).section(&tables).section(&memories).section(&tags).section(&globals);
    m.section(&exports).section(&elements).section(&code).section(&data);
    m.finish()
}

/// A type of a block that is not one of those for all programs.
type Extra = (Vec<ValType>, Vec<ValType>);

/// `types` is the number of the first type behind those of functions; `extra` gets types behind all others.
fn function(f: &Function, types: u32, extra: &mut Vec<Extra>) -> wasm_encoder::Function {
    let own = f.locals[f.params.len()..].iter().map(|&t| (1, val_type(t)));
    let vectors = (f.vectors > 0).then_some((f.vectors, ValType::V128));
    let references = (f.references > 0).then_some((f.references, ValType::EXNREF));
    let out = wasm_encoder::Function::new(own.chain(vectors).chain(references).collect::<Vec<_>>());
    let references = f.locals.len() as u32 + f.vectors;
    let mut e = Emitter { out, labels: Vec::new(), types, extra, references, kept: Vec::new() };
    e.body(&f.body);
    match &f.end {
        End::Values(values) => e.all(values),
        End::TailCall(func, args) => {
            e.all(args);
            e.op(Instruction::ReturnCall(*func as u32));
        }
    }
    e.op(Instruction::End);
    e.out
}

struct Emitter<'e> {
    out: wasm_encoder::Function,
    /// Open blocks, with the labels of those that programs branch to.
    labels: Vec<Option<u32>>,
    types: u32,
    extra: &'e mut Vec<Extra>,
    /// The first local for references.
    references: u32,
    /// Clauses around: the label of the `try`, and the local with the reference unless it is legacy.
    kept: Vec<(u32, Option<u32>)>,
}

impl Emitter<'_> {
    fn op(&mut self, i: Instruction<'_>) {
        self.out.instruction(&i);
    }

    fn open(&mut self, i: Instruction<'_>, label: Option<u32>) {
        self.op(i);
        self.labels.push(label);
    }

    fn close(&mut self) {
        self.op(Instruction::End);
        self.labels.pop();
    }

    fn depth(&self, label: u32) -> u32 {
        self.labels.iter().rev().position(|&l| l == Some(label)).expect("the label is open") as u32
    }

    fn all(&mut self, exprs: &[Expr]) {
        exprs.iter().for_each(|e| self.expr(e));
    }

    fn body(&mut self, body: &[Stmt]) {
        body.iter().for_each(|s| self.stmt(s));
    }

    fn expr(&mut self, e: &Expr) {
        match e {
            Expr::Const(ty, v) => self.op(constant(*ty, *v)),
            Expr::Local(l) => self.op(Instruction::LocalGet(*l)),
            Expr::Global(g) => self.op(Instruction::GlobalGet(*g)),
            Expr::Tee(l, e) => {
                self.expr(e);
                self.op(Instruction::LocalTee(*l));
            }
            Expr::Unary(op, e) => {
                self.expr(e);
                self.op(op.instruction.clone());
            }
            Expr::Binary(op, a, b) => {
                self.expr(a);
                self.expr(b);
                self.op(op.instruction.clone());
            }
            Expr::Load(access, address, offset) => {
                self.expr(address);
                self.op(load(*access)(arg(*offset)));
            }
            Expr::Atomic(op, address, offset, operands) => {
                self.expr(address);
                self.all(operands);
                let align = op.bytes.trailing_zeros();
                self.op((op.instruction)(MemArg { align, ..arg(*offset) }));
            }
            Expr::Select(parts) => {
                self.all(&parts[..]);
                self.op(Instruction::Select);
            }
            Expr::Call(f, args) => {
                self.all(args);
                self.op(Instruction::Call(*f as u32));
            }
            Expr::CallIndirect(like, index, args) => {
                self.all(args);
                self.expr(index);
                self.op(Instruction::CallIndirect { type_index: *like as u32, table_index: 0 });
            }
            Expr::If(ty, parts) => {
                self.expr(&parts[0]);
                self.open(Instruction::If(BlockType::Result(val_type(*ty))), None);
                self.expr(&parts[1]);
                self.op(Instruction::Else);
                self.expr(&parts[2]);
                self.close();
            }
            Expr::Block(ty, label, body, e) => {
                self.open(Instruction::Block(BlockType::Result(val_type(*ty))), Some(*label));
                self.body(body);
                self.expr(e);
                self.close();
            }
            Expr::Seq(body, e) => {
                self.body(body);
                self.expr(e);
            }
            Expr::Switch { ty, value, index, steps } => {
                for _ in steps {
                    self.open(Instruction::Block(BlockType::Result(val_type(*ty))), None);
                }
                self.expr(value);
                self.expr(index);
                self.table(steps.len());
                for (op, c) in steps {
                    self.close();
                    self.op(constant(*ty, *c));
                    self.op(op.instruction.clone());
                }
            }
            Expr::ThroughVector(e) => {
                self.expr(e);
                self.op(Instruction::I32x4Splat);
                self.op(Instruction::I32x4ExtractLane(2));
            }
        }
    }

    /// A `br_table` to the innermost `n` blocks, the last of them being the default.
    fn table(&mut self, n: usize) {
        let labels: Vec<u32> = (0..n as u32 - 1).collect();
        self.op(Instruction::BrTable(Cow::Owned(labels), n as u32 - 1));
    }

    fn stmt(&mut self, s: &Stmt) {
        match s {
            Stmt::Set(l, e) => {
                self.expr(e);
                self.op(Instruction::LocalSet(*l));
            }
            Stmt::SetAll(to, from) => {
                self.all(from);
                to.iter().rev().for_each(|l| self.op(Instruction::LocalSet(*l)));
            }
            Stmt::SetGlobal(g, e) => {
                self.expr(e);
                self.op(Instruction::GlobalSet(*g));
            }
            Stmt::Store(access, address, offset, value) => {
                self.expr(address);
                self.expr(value);
                self.op(store(*access)(arg(*offset)));
            }
            Stmt::If(c, yes, no) => {
                self.expr(c);
                self.open(Instruction::If(BlockType::Empty), None);
                self.body(yes);
                if !no.is_empty() {
                    self.op(Instruction::Else);
                    self.body(no);
                }
                self.close();
            }
            Stmt::Block(label, body) => {
                self.open(Instruction::Block(BlockType::Empty), Some(*label));
                self.body(body);
                self.close();
            }
            Stmt::Loop(l) => self.iteration(l),
            Stmt::Switch(index, arms) => {
                for _ in 0..=arms.len() {
                    self.open(Instruction::Block(BlockType::Empty), None);
                }
                self.expr(index);
                self.table(arms.len());
                for (i, (body, leaves)) in arms.iter().enumerate() {
                    self.close();
                    self.body(body);
                    if *leaves {
                        self.op(Instruction::Br((arms.len() - 1 - i) as u32));
                    }
                }
                self.close();
            }
            Stmt::BrIf(label, values, c) => {
                self.all(values);
                self.expr(c);
                self.op(Instruction::BrIf(self.depth(*label)));
                values.iter().for_each(|_| self.op(Instruction::Drop));
            }
            Stmt::Br(label, values) => {
                self.all(values);
                self.op(Instruction::Br(self.depth(*label)));
            }
            Stmt::BrTable(labels, values, index) => {
                self.all(values);
                self.expr(index);
                let mut depths: Vec<u32> = labels.iter().map(|&l| self.depth(l)).collect();
                let default = depths.pop().expect("a label");
                self.op(Instruction::BrTable(Cow::Owned(depths), default));
            }
            Stmt::Values { label, types, body, values, to } => {
                let ty = self.block_type(&[], types);
                self.open(Instruction::Block(ty), Some(*label));
                self.body(body);
                self.all(values);
                self.close();
                to.iter().rev().for_each(|l| self.op(Instruction::LocalSet(*l)));
            }
            Stmt::Cycle(c) => self.cycle(c),
            Stmt::ReturnIf(c, values) => {
                self.expr(c);
                self.open(Instruction::If(BlockType::Empty), None);
                self.all(values);
                self.op(Instruction::Return);
                self.close();
            }
            Stmt::Drop(e) => {
                self.expr(e);
                self.op(Instruction::Drop);
            }
            Stmt::CallSet(f, args, to) => {
                self.all(args);
                self.op(Instruction::Call(*f as u32));
                to.iter().rev().for_each(|l| self.op(Instruction::LocalSet(*l)));
            }
            Stmt::ThrowIf(tag, values, c) => {
                self.expr(c);
                self.open(Instruction::If(BlockType::Empty), None);
                self.all(values);
                self.op(Instruction::Throw(*tag as u32));
                self.close();
            }
            Stmt::RethrowIf(label, c) => {
                self.expr(c);
                self.open(Instruction::If(BlockType::Empty), None);
                match self.kept.iter().rfind(|k| k.0 == *label) {
                    Some(&(_, Some(local))) => {
                        self.op(Instruction::LocalGet(local));
                        self.op(Instruction::ThrowRef);
                    }
                    _ => self.op(Instruction::Rethrow(self.depth(*label))),
                }
                self.close();
            }
            Stmt::Try(t) if t.legacy => self.legacy_try(t),
            Stmt::Try(t) => self.try_table(t),
        }
    }

    fn legacy_try(&mut self, t: &Try) {
        self.open(Instruction::Try(BlockType::Empty), Some(t.label));
        self.body(&t.body);
        match &t.handling {
            Handling::Clauses(clauses) => {
                for c in clauses {
                    self.op(c.tag.map_or(Instruction::CatchAll, |t| Instruction::Catch(t as u32)));
                    self.clause(t.label, c);
                }
                self.close();
            }
            Handling::Delegate(to) => {
                self.labels.pop();
                let depth = to.map_or(self.labels.len() as u32, |l| self.depth(l));
                self.op(Instruction::Delegate(depth));
            }
        }
    }

    fn try_table(&mut self, t: &Try) {
        let Handling::Clauses(clauses) = &t.handling else { unreachable!("only legacy ones delegate") };
        self.open(Instruction::Block(BlockType::Empty), Some(t.label));
        for c in clauses.iter().rev() {
            let ty = match (c.tag, c.reference) {
                (None, None) => BlockType::Empty,
                (None, Some(_)) => BlockType::Result(ValType::EXNREF),
                (Some(tag), reference) => {
                    let with = u32::from(reference.is_some());
                    BlockType::FunctionType(self.types + TAGS.len() as u32 + 2 * tag as u32 + with)
                }
            };
            self.open(Instruction::Block(ty), None);
        }
        let catches = clauses.iter().zip(0..).map(|(c, label)| match (c.tag.map(|t| t as u32), c.reference) {
            (Some(tag), None) => Catch::One { tag, label },
            (Some(tag), Some(_)) => Catch::OneRef { tag, label },
            (None, None) => Catch::All { label },
            (None, Some(_)) => Catch::AllRef { label },
        });
        self.open(Instruction::TryTable(BlockType::Empty, catches.collect()), None);
        self.body(&t.body);
        self.close();
        self.op(Instruction::Br(self.depth(t.label)));
        for c in clauses {
            self.close();
            self.clause(t.label, c);
            self.op(Instruction::Br(self.depth(t.label)));
        }
        self.close();
    }

    /// What a clause does with what is on the stack.
    fn clause(&mut self, label: u32, c: &Clause) {
        let reference = c.reference.map(|r| self.references + r);
        if let Some(local) = reference {
            self.op(Instruction::LocalSet(local));
        }
        c.to.iter().rev().for_each(|to| self.op(to.map_or(Instruction::Drop, Instruction::LocalSet)));
        self.kept.push((label, reference));
        self.body(&c.body);
        self.kept.pop();
    }

    /// The type of a block that takes and leaves those values.
    fn block_type(&mut self, params: &[Ty], results: &[Ty]) -> BlockType {
        let list = |types: &[Ty]| types.iter().map(|&t| val_type(t)).collect::<Vec<_>>();
        match (params, results) {
            ([], []) => BlockType::Empty,
            ([], [one]) => BlockType::Result(val_type(*one)),
            _ => {
                self.extra.push((list(params), list(results)));
                // Behind those of functions, of tags, and of what clauses get.
                let first = self.types + 3 * TAGS.len() as u32;
                BlockType::FunctionType(first + self.extra.len() as u32 - 1)
            }
        }
    }

    fn cycle(&mut self, c: &Cycle) {
        self.op(constant(Ty::I32, c.turns));
        self.op(Instruction::LocalSet(c.counter));
        if c.exit.is_some() {
            self.open(Instruction::Block(BlockType::Empty), c.exit);
        }
        self.all(&c.first);
        let results: Vec<Ty> = c.results.iter().map(|r| r.0).collect();
        let ty = self.block_type(&c.types, &results);
        self.open(Instruction::Loop(ty), Some(c.label));
        c.carried.iter().rev().for_each(|l| self.op(Instruction::LocalSet(*l)));
        self.expr(&c.test);
        match c.head {
            Head::Leave => {
                self.op(Instruction::I32Eqz);
                self.op(Instruction::BrIf(self.depth(c.exit.expect("a block around"))));
                self.body(&c.yes);
            }
            Head::Choose | Head::ChooseOne => {
                self.open(Instruction::If(BlockType::Empty), None);
                self.body(&c.yes);
                if c.head == Head::Choose {
                    self.op(Instruction::Else);
                    self.body(&c.no);
                }
                self.close();
            }
        }
        self.body(&c.tail);
        c.results.iter().for_each(|r| self.expr(&r.1));
        self.close();
        c.results.iter().rev().for_each(|r| self.op(Instruction::LocalSet(r.2)));
        if c.exit.is_some() {
            self.close();
        }
    }

    fn iteration(&mut self, l: &Loop) {
        let (exit, next) = l.labels.unzip();
        self.op(constant(l.ty, l.start));
        self.op(Instruction::LocalSet(l.counter));
        let outer = l.labels.is_some() || l.shape == Shape::Pre;
        if outer {
            self.open(Instruction::Block(BlockType::Empty), exit);
        }
        self.open(Instruction::Loop(BlockType::Empty), None);
        if l.shape == Shape::Pre {
            self.op(Instruction::LocalGet(l.counter));
            self.expr(&l.bound);
            self.op(l.test.instruction.clone());
            self.op(Instruction::I32Eqz);
            self.op(Instruction::BrIf(1));
        }
        if l.labels.is_some() {
            self.open(Instruction::Block(BlockType::Empty), next);
        }
        self.body(&l.body);
        if l.labels.is_some() {
            self.close();
        }
        self.advance(l);
        self.close();
        if outer {
            self.close();
        }
    }

    /// The end of a loop: the counter's step and the branch back.
    fn advance(&mut self, l: &Loop) {
        let wide = l.ty == Ty::I64;
        self.op(Instruction::LocalGet(l.counter));
        if l.shape == Shape::Down {
            self.op(constant(l.ty, 1));
            self.op(if wide { Instruction::I64Sub } else { Instruction::I32Sub });
        } else {
            self.op(constant(l.ty, l.step));
            self.op(if wide { Instruction::I64Add } else { Instruction::I32Add });
        }
        match l.shape {
            Shape::Pre => {
                self.op(Instruction::LocalSet(l.counter));
                self.op(Instruction::Br(0));
                return;
            }
            Shape::PostApart => {
                self.op(Instruction::LocalSet(l.counter));
                self.op(Instruction::LocalGet(l.counter));
            }
            Shape::Post | Shape::Down => self.op(Instruction::LocalTee(l.counter)),
        }
        if l.shape != Shape::Down {
            self.expr(&l.bound);
            self.op(l.test.instruction.clone());
        } else if wide {
            self.op(Instruction::I64Const(0));
            self.op(Instruction::I64Ne);
        }
        self.op(Instruction::BrIf(0));
    }
}

fn arg(offset: u32) -> MemArg {
    MemArg { offset: offset.into(), align: 0, target: MemArgTarget::Memory(0), ordering: None }
}

type Make = fn(MemArg) -> Instruction<'static>;

fn load(a: Access) -> Make {
    match (a.ty, a.bytes, a.signed) {
        (Ty::I32, 1, true) => Instruction::I32Load8S,
        (Ty::I32, 1, false) => Instruction::I32Load8U,
        (Ty::I32, 2, true) => Instruction::I32Load16S,
        (Ty::I32, 2, false) => Instruction::I32Load16U,
        (Ty::I32, ..) => Instruction::I32Load,
        (Ty::I64, 1, true) => Instruction::I64Load8S,
        (Ty::I64, 1, false) => Instruction::I64Load8U,
        (Ty::I64, 2, true) => Instruction::I64Load16S,
        (Ty::I64, 2, false) => Instruction::I64Load16U,
        (Ty::I64, 4, true) => Instruction::I64Load32S,
        (Ty::I64, 4, false) => Instruction::I64Load32U,
        (Ty::I64, ..) => Instruction::I64Load,
        (Ty::F32, ..) => Instruction::F32Load,
        (Ty::F64, ..) => Instruction::F64Load,
    }
}

fn store(a: Access) -> Make {
    match (a.ty, a.bytes) {
        (Ty::I32, 1) => Instruction::I32Store8,
        (Ty::I32, 2) => Instruction::I32Store16,
        (Ty::I32, _) => Instruction::I32Store,
        (Ty::I64, 1) => Instruction::I64Store8,
        (Ty::I64, 2) => Instruction::I64Store16,
        (Ty::I64, 4) => Instruction::I64Store32,
        (Ty::I64, _) => Instruction::I64Store,
        (Ty::F32, _) => Instruction::F32Store,
        (Ty::F64, _) => Instruction::F64Store,
    }
}
