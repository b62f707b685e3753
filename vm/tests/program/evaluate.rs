//! The oracle: walks a program's tree.
//!
//! In: a program and its state. Out: results or a trap, and the state changed. Knows nothing of the runtime but the
//! names of traps. Gives up (`Stop::Abandon`) where the outcome is not determined or takes too long.

use crate::ast::*;
use vm::TrapKind;

pub(crate) enum Stop {
    Trap(TrapKind),
    Branch(u32, Vec<u64>),
    Return(Vec<u64>),
    Throw(Exception),
    /// Thrown around the structure with that label, or in the caller.
    Delegate(Option<u32>, Exception),
    /// Too many steps, too deep, or a NaN whose bits the specification leaves open.
    Abandon,
}

/// A tag and values.
pub(crate) type Exception = (usize, Vec<u64>);

pub(crate) type Outcome<T = u64> = Result<T, Stop>;

pub(crate) struct State<'p> {
    program: &'p Program,
    pub(crate) memory: Vec<u8>,
    pub(crate) globals: Vec<u64>,
    pub(crate) steps: u64,
    depth: u32,
    /// What clauses have caught that are being run, by the label of the `try`.
    caught: Vec<(u32, Exception)>,
}

pub(crate) const MEMORY: usize = 65536;

/// Sets locals from a stack of values, the last one first.
fn set(locals: &mut [u64], to: &[u32], values: &[u64]) {
    for (l, v) in to.iter().zip(values).rev() {
        locals[*l as usize] = *v;
    }
}

fn is_nan(ty: Ty, bits: u64) -> bool {
    match ty {
        Ty::F32 => f32::from_bits(bits as u32).is_nan(),
        Ty::F64 => f64::from_bits(bits).is_nan(),
        _ => false,
    }
}

impl<'p> State<'p> {
    pub(crate) fn new(program: &'p Program) -> State<'p> {
        let mut memory = vec![0; MEMORY];
        memory[..program.data.len()].copy_from_slice(&program.data);
        let globals = program.globals.iter().map(|g| g.1).collect();
        State { program, memory, globals, steps: 0, depth: 0, caught: Vec::new() }
    }

    pub(crate) fn call(&mut self, func: usize, args: &[u64]) -> Outcome<Vec<u64>> {
        let f = &self.program.functions[func];
        if self.depth >= 60 {
            return Err(Stop::Abandon);
        }
        self.depth += 1;
        let mut locals = args.to_vec();
        locals.resize(f.locals.len(), 0);
        let results = match self.run(f, &mut locals) {
            Err(Stop::Return(values)) => Ok(values),
            Err(Stop::Delegate(None, exception)) => Err(Stop::Throw(exception)),
            other => other,
        };
        self.depth -= 1;
        results
    }

    fn run(&mut self, f: &Function, locals: &mut Vec<u64>) -> Outcome<Vec<u64>> {
        self.body(&f.body, locals)?;
        match &f.end {
            End::Values(values) => self.all(values, locals),
            End::TailCall(func, args) => {
                let args = self.all(args, locals)?;
                self.call(*func, &args)
            }
        }
    }

    fn all(&mut self, exprs: &[Expr], locals: &mut Vec<u64>) -> Outcome<Vec<u64>> {
        exprs.iter().map(|e| self.expr(e, locals)).collect()
    }

    fn one(&mut self, func: usize, args: &[u64]) -> Outcome {
        Ok(self.call(func, args)?[0])
    }

    fn number(&self, ty: Ty, outcome: Result<u64, TrapKind>) -> Outcome {
        match outcome {
            Ok(v) if is_nan(ty, v) => Err(Stop::Abandon),
            other => other.map_err(Stop::Trap),
        }
    }

    fn range(&self, address: u64, offset: u32, bytes: u32) -> Outcome<std::ops::Range<usize>> {
        let start = u64::from(address as u32) + u64::from(offset);
        let end = start + u64::from(bytes);
        if end > MEMORY as u64 {
            return Err(Stop::Trap(TrapKind::MemoryOutOfBounds));
        }
        Ok(start as usize..end as usize)
    }

    pub(crate) fn expr(&mut self, e: &Expr, locals: &mut Vec<u64>) -> Outcome {
        self.steps += 1;
        if self.steps > 200_000 {
            return Err(Stop::Abandon);
        }
        Ok(match e {
            Expr::Const(_, v) => *v,
            Expr::Local(l) => locals[*l as usize],
            Expr::Global(g) => self.globals[*g as usize],
            Expr::Tee(l, e) => {
                let v = self.expr(e, locals)?;
                locals[*l as usize] = v;
                v
            }
            Expr::Unary(op, e) => {
                let v = self.expr(e, locals)?;
                self.number(op.to, (op.eval)(v))?
            }
            Expr::Binary(op, a, b) => {
                let a = self.expr(a, locals)?;
                let b = self.expr(b, locals)?;
                self.number(op.to, (op.eval)(a, b))?
            }
            Expr::Load(access, address, offset) => {
                let address = self.expr(address, locals)?;
                let range = self.range(address, *offset, access.bytes)?;
                let mut bytes = [0; 8];
                bytes[..range.len()].copy_from_slice(&self.memory[range]);
                let v = u64::from_le_bytes(bytes);
                let unused = 64 - 8 * access.bytes;
                let v = if access.signed { ((v << unused) as i64 >> unused) as u64 } else { v };
                let v = if access.ty == Ty::I32 { u64::from(v as u32) } else { v };
                self.number(access.ty, Ok(v))?
            }
            Expr::Atomic(op, address, offset, operands) => {
                let address = self.expr(address, locals)?;
                let operands = self.all(operands, locals)?;
                let range = self.range(address, *offset, op.bytes)?;
                let narrow = |v: u64| v << (64 - 8 * op.bytes) >> (64 - 8 * op.bytes);
                let mut bytes = [0; 8];
                bytes[..range.len()].copy_from_slice(&self.memory[range.clone()]);
                let old = u64::from_le_bytes(bytes);
                let operands: Vec<u64> = operands.into_iter().map(narrow).collect();
                let n = range.len();
                self.memory[range].copy_from_slice(&(op.eval)(old, &operands).to_le_bytes()[..n]);
                old
            }
            Expr::Select(parts) => {
                let a = self.expr(&parts[0], locals)?;
                let b = self.expr(&parts[1], locals)?;
                if self.expr(&parts[2], locals)? as u32 != 0 { a } else { b }
            }
            Expr::Call(f, args) => {
                let args = self.all(args, locals)?;
                self.one(*f, &args)?
            }
            Expr::CallIndirect(like, index, args) => {
                let args = self.all(args, locals)?;
                let index = self.expr(index, locals)? as u32 as usize;
                let (like, Some(f)) = (&self.program.functions[*like], self.program.functions.get(index)) else {
                    return Err(Stop::Trap(TrapKind::UndefinedElement));
                };
                if (&f.params, &f.results) != (&like.params, &like.results) {
                    return Err(Stop::Trap(TrapKind::IndirectCallTypeMismatch));
                }
                self.one(index, &args)?
            }
            Expr::If(_, parts) => {
                let arm = if self.expr(&parts[0], locals)? as u32 != 0 { 1 } else { 2 };
                self.expr(&parts[arm], locals)?
            }
            Expr::Block(_, label, body, e) => {
                let inner = self.body(body, locals).and_then(|()| self.expr(e, locals));
                match inner {
                    Err(Stop::Branch(l, v)) if l == *label => v[0],
                    other => other?,
                }
            }
            Expr::Seq(body, e) => {
                self.body(body, locals)?;
                self.expr(e, locals)?
            }
            Expr::Switch { ty, value, index, steps } => {
                let mut v = self.expr(value, locals)?;
                let index = self.expr(index, locals)? as u32 as usize;
                for (op, c) in &steps[index.min(steps.len() - 1)..] {
                    v = self.number(*ty, (op.eval)(v, *c))?;
                }
                v
            }
            Expr::ThroughVector(e) => self.expr(e, locals)?,
        })
    }

    fn body(&mut self, body: &[Stmt], locals: &mut Vec<u64>) -> Outcome<()> {
        body.iter().try_for_each(|s| self.stmt(s, locals))
    }

    /// Runs a body behind which a label lies.
    fn labelled(&mut self, label: Option<u32>, body: &[Stmt], locals: &mut Vec<u64>) -> Outcome<()> {
        match self.body(body, locals) {
            Err(Stop::Branch(l, _)) if Some(l) == label => Ok(()),
            Err(Stop::Delegate(l, exception)) if l.is_some() && l == label => Err(Stop::Throw(exception)),
            other => other,
        }
    }

    fn try_(&mut self, t: &Try, locals: &mut Vec<u64>) -> Outcome<()> {
        let exception = match self.labelled(Some(t.label), &t.body, locals) {
            Err(Stop::Throw(exception)) => exception,
            other => return other,
        };
        let clauses = match &t.handling {
            Handling::Clauses(clauses) => clauses,
            Handling::Delegate(to) => return Err(Stop::Delegate(*to, exception)),
        };
        let Some(c) = clauses.iter().find(|c| c.tag.is_none_or(|tag| tag == exception.0)) else {
            return Err(Stop::Throw(exception));
        };
        for (to, &v) in c.to.iter().zip(&exception.1).rev() {
            if let Some(l) = to {
                locals[*l as usize] = v;
            }
        }
        self.caught.push((t.label, exception));
        let outcome = self.labelled(Some(t.label), &c.body, locals);
        self.caught.pop();
        outcome
    }

    fn stmt(&mut self, s: &Stmt, locals: &mut Vec<u64>) -> Outcome<()> {
        match s {
            Stmt::Set(l, e) => locals[*l as usize] = self.expr(e, locals)?,
            Stmt::SetAll(to, from) => {
                let values = self.all(from, locals)?;
                for (l, v) in to.iter().zip(values).rev() {
                    locals[*l as usize] = v;
                }
            }
            Stmt::SetGlobal(g, e) => self.globals[*g as usize] = self.expr(e, locals)?,
            Stmt::Store(access, address, offset, value) => {
                let address = self.expr(address, locals)?;
                let v = self.expr(value, locals)?;
                let range = self.range(address, *offset, access.bytes)?;
                let n = range.len();
                self.memory[range].copy_from_slice(&v.to_le_bytes()[..n]);
            }
            Stmt::If(c, yes, no) => {
                let arm = if self.expr(c, locals)? as u32 != 0 { yes } else { no };
                self.body(arm, locals)?;
            }
            Stmt::Block(label, body) => self.labelled(Some(*label), body, locals)?,
            Stmt::Loop(l) => {
                let exit = l.labels.map(|x| x.0);
                match self.iterate(l, locals) {
                    Err(Stop::Branch(x, _)) if Some(x) == exit => {}
                    other => other?,
                }
            }
            Stmt::Switch(index, arms) => {
                let index = self.expr(index, locals)? as u32 as usize;
                for (body, leaves) in &arms[index.min(arms.len() - 1)..] {
                    self.body(body, locals)?;
                    if *leaves {
                        break;
                    }
                }
            }
            Stmt::BrIf(label, values, c) => {
                let values = self.all(values, locals)?;
                if self.expr(c, locals)? as u32 != 0 {
                    return Err(Stop::Branch(*label, values));
                }
            }
            Stmt::Br(label, values) => return Err(Stop::Branch(*label, self.all(values, locals)?)),
            Stmt::BrTable(labels, values, index) => {
                let values = self.all(values, locals)?;
                let index = self.expr(index, locals)? as u32 as usize;
                return Err(Stop::Branch(labels[index.min(labels.len() - 1)], values));
            }
            Stmt::Values { label, body, values, to, .. } => {
                let inner = self.body(body, locals).and_then(|()| self.all(values, locals));
                let values = match inner {
                    Err(Stop::Branch(l, values)) if l == *label => values,
                    other => other?,
                };
                set(locals, to, &values);
            }
            Stmt::Cycle(c) => self.cycle(c, locals)?,
            Stmt::ReturnIf(c, values) => {
                if self.expr(c, locals)? as u32 != 0 {
                    return Err(Stop::Return(self.all(values, locals)?));
                }
            }
            Stmt::Drop(e) => drop(self.expr(e, locals)?),
            Stmt::ThrowIf(tag, values, c) => {
                if self.expr(c, locals)? as u32 != 0 {
                    return Err(Stop::Throw((*tag, self.all(values, locals)?)));
                }
            }
            Stmt::RethrowIf(label, c) => {
                if self.expr(c, locals)? as u32 != 0 {
                    let caught = self.caught.iter().rfind(|c| c.0 == *label).expect("in a clause");
                    return Err(Stop::Throw(caught.1.clone()));
                }
            }
            Stmt::Try(t) => self.try_(t, locals)?,
            Stmt::CallSet(f, args, to) => {
                let args = self.all(args, locals)?;
                let results = self.call(*f, &args)?;
                for (l, v) in to.iter().zip(results).rev() {
                    locals[*l as usize] = v;
                }
            }
        }
        Ok(())
    }

    fn cycle(&mut self, c: &Cycle, locals: &mut Vec<u64>) -> Outcome<()> {
        locals[c.counter as usize] = c.turns;
        let mut values = self.all(&c.first, locals)?;
        loop {
            set(locals, &c.carried, &values);
            self.steps += 1;
            match self.turn(c, locals) {
                Err(Stop::Branch(l, next)) if l == c.label => values = next,
                Err(Stop::Branch(l, _)) if Some(l) == c.exit => return Ok(()),
                other => return other,
            }
        }
    }

    fn turn(&mut self, c: &Cycle, locals: &mut Vec<u64>) -> Outcome<()> {
        let holds = self.expr(&c.test, locals)? as u32 != 0;
        match (c.head, holds) {
            (Head::Leave, false) => return Ok(()),
            (_, true) => self.body(&c.yes, locals)?,
            (_, false) => self.body(&c.no, locals)?,
        }
        self.body(&c.tail, locals)?;
        let exprs: Vec<Expr> = c.results.iter().map(|r| r.1.clone()).collect();
        let results = self.all(&exprs, locals)?;
        let to: Vec<u32> = c.results.iter().map(|r| r.2).collect();
        set(locals, &to, &results);
        Ok(())
    }

    fn iterate(&mut self, l: &Loop, locals: &mut Vec<u64>) -> Outcome<()> {
        let counter = l.counter as usize;
        let mask = if l.ty == Ty::I32 { u64::from(u32::MAX) } else { u64::MAX };
        locals[counter] = l.start;
        loop {
            if l.shape == Shape::Pre && !self.holds(l, locals)? {
                return Ok(());
            }
            self.labelled(l.labels.map(|x| x.1), &l.body, locals)?;
            self.steps += 1;
            locals[counter] = locals[counter].wrapping_add(l.step) & mask;
            let again = match l.shape {
                Shape::Pre => true,
                Shape::Down => locals[counter] != 0,
                Shape::Post | Shape::PostApart => self.holds(l, locals)?,
            };
            if !again {
                return Ok(());
            }
        }
    }

    fn holds(&mut self, l: &Loop, locals: &mut Vec<u64>) -> Outcome<bool> {
        let bound = self.expr(&l.bound, locals)?;
        Ok((l.test.eval)(locals[l.counter as usize], bound).map_err(Stop::Trap)? != 0)
    }
}
