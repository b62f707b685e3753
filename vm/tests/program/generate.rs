//! Random programs that end.
//!
//! In: a seed. Out: a [`Program`] whose functions call later ones only (but for a few indirect calls) and whose loops
//! count. The last functions are small ones without loops, called often and trapping often, as compilers build them into their
//! callers. Shapes that a translator may fuse are made on purpose and often: counted loops, scaled and summed addresses,
//! constants at the limits of immediates, sets of locals whose old value is still on the stack.

use crate::ast::*;
use crate::ops::{ATOMICS, AtomicOp, BinaryOp, UnaryOp, binaries, binary, unaries};
use crate::support::Rng;
use wasm_encoder::Instruction;

const INTS: [i64; 34] = [
    0,
    1,
    -1,
    2,
    3,
    4,
    5,
    7,
    8,
    10,
    16,
    31,
    32,
    33,
    63,
    64,
    100,
    127,
    128,
    -128,
    -129,
    255,
    256,
    4095,
    32767,
    32768,
    -32768,
    -32769,
    65535,
    65536,
    0x7fff_ffff,
    -0x8000_0000,
    0x1234_5678,
    -100,
];
const WIDE: [i64; 10] = [
    0x8000_0000,
    -0x8000_0001,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff,
    i64::MAX,
    i64::MIN,
    0x0123_4567_89ab_cdef,
    -0x1_0000_0000,
    0x8000_0000_0000,
];
const FLOATS: [f64; 14] = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.25, -7.75, 100.0, 1e-3, 65536.0, 1e10, -2147483648.0, 0.1];
const OFFSETS: [u32; 14] = [0, 0, 0, 0, 1, 4, 8, 16, 100, 2047, 4095, 8191, 8192, 32767];
const FAR_OFFSETS: [u32; 6] = [32768, 60000, 65528, 65535, 65536, u32::MAX];

pub(crate) fn program(seed: u64) -> Program {
    let mut rng = Rng::new(seed);
    let large = 2 + rng.below(4);
    let count = large + rng.below(5);
    let types = |rng: &mut Rng, n: usize| (0..n).map(|_| *rng.pick(&TYPES)).collect::<Vec<_>>();
    let signatures: Vec<(Vec<Ty>, Vec<Ty>)> = (0..count)
        .map(|_| {
            let (p, r) = (rng.below(5), if rng.chance(70) { 1 } else { 2 + rng.below(2) });
            (types(&mut rng, p), types(&mut rng, r))
        })
        .collect();
    let globals: Vec<(Ty, u64)> = (0..4).map(|i| (TYPES[i], constant(&mut rng, TYPES[i]))).collect();
    let data = rng.bytes(4096);
    let functions = (0..count)
        .map(|i| {
            let (params, results) = signatures[i].clone();
            let mut locals = params.clone();
            let small = i >= large;
            let own = if small { 1 + rng.below(2) } else { 2 + rng.below(8) };
            locals.extend(types(&mut rng, own));
            let size = if small { 2 + rng.below(12) as i32 } else { 120 };
            let mut g = Generator {
                rng: &mut rng,
                signatures: &signatures,
                function: i,
                locals,
                counters: Vec::new(),
                labels: Vec::new(),
                next_label: 0,
                around: Vec::new(),
                caught: Vec::new(),
                references: 0,
                small,
                size,
            };
            let body = g.statements(if small { 2 } else { 8 });
            let tail: Vec<usize> = (i + 1..count).filter(|&j| signatures[j].1 == results).collect();
            let end = if !tail.is_empty() && g.rng.chance(40) {
                let f = *g.rng.pick(&tail);
                End::TailCall(f, g.arguments(f))
            } else {
                End::Values(results.iter().map(|&t| g.expr(t, if small { 2 } else { 4 })).collect())
            };
            let locals = std::mem::take(&mut g.locals);
            let vectors = if !small && g.rng.chance(10) { 1 + g.rng.below(3) as u32 } else { 0 };
            let references = g.references;
            Function { params, results, locals, vectors, references, body, end }
        })
        .collect();
    Program { functions, globals, data }
}

/// A constant of a type, as bits.
pub(crate) fn constant(rng: &mut Rng, ty: Ty) -> u64 {
    let float = |rng: &mut Rng| if rng.chance(80) { *rng.pick(&FLOATS) } else { rng.below(2000) as f64 / 8.0 - 100.0 };
    match ty {
        Ty::I32 if rng.chance(85) => u64::from(*rng.pick(&INTS) as u32),
        Ty::I32 => u64::from(rng.next() as u32),
        Ty::I64 if rng.chance(65) => *rng.pick(&INTS) as u64,
        Ty::I64 if rng.chance(70) => *rng.pick(&WIDE) as u64,
        Ty::I64 => rng.next(),
        Ty::F32 => u64::from((float(rng) as f32).to_bits()),
        Ty::F64 => float(rng).to_bits(),
    }
}

struct Generator<'r> {
    rng: &'r mut Rng,
    signatures: &'r [(Vec<Ty>, Vec<Ty>)],
    function: usize,
    locals: Vec<Ty>,
    /// Locals that count loops: read, never set by other statements.
    counters: Vec<u32>,
    /// Labels in reach, with the types of values they take.
    labels: Vec<(u32, Vec<Ty>)>,
    next_label: u32,
    /// Whether the function is a small one.
    small: bool,
    /// Labels of structures around whose exceptions can be delegated to.
    around: Vec<u32>,
    /// Labels of each `try` in a clause of which the present place is.
    caught: Vec<u32>,
    /// Locals for references to exceptions.
    references: u32,
    /// How much more to generate before only leaves follow.
    size: i32,
}

impl Generator<'_> {
    // ---- expressions

    fn expr(&mut self, ty: Ty, depth: u32) -> Expr {
        self.size -= 1;
        if depth == 0 || self.size < 0 {
            return self.leaf(ty);
        }
        let d = depth - 1;
        match self.rng.below(100) {
            0..18 => self.leaf(ty),
            18..56 => self.binary(ty, d),
            56..64 => {
                let ops: Vec<&'static UnaryOp> = unaries().iter().filter(|o| o.to == ty).collect();
                let op = *self.rng.pick(&ops);
                Expr::Unary(op, Box::new(self.expr(op.from, d)))
            }
            64..72 => {
                let access = self.access(ty);
                let (address, offset) = self.address(d);
                Expr::Load(access, Box::new(address), offset)
            }
            72..78 => match self.settable(ty) {
                Some(l) => Expr::Tee(l, Box::new(self.expr(ty, d))),
                None => self.leaf(ty),
            },
            78..82 => Expr::Select(Box::new([self.expr(ty, d), self.expr(ty, d), self.condition(d)])),
            82..85 => Expr::If(ty, Box::new([self.condition(d), self.expr(ty, d), self.expr(ty, d)])),
            85..88 => {
                let label = self.label();
                self.labels.push((label, vec![ty]));
                let body = self.statements(2);
                let e = self.expr(ty, d);
                self.labels.pop();
                Expr::Block(ty, label, body, Box::new(e))
            }
            88..92 => Expr::Seq(self.statements(2), Box::new(self.expr(ty, d))),
            92..94 => self.switch(ty, d),
            94..95 if ty == Ty::I32 => Expr::ThroughVector(Box::new(self.expr(ty, d))),
            95..97 if matches!(ty, Ty::I32 | Ty::I64) => self.atomic(ty, d),
            _ => self.call(ty),
        }
    }

    fn atomic(&mut self, ty: Ty, d: u32) -> Expr {
        let ops: Vec<&'static AtomicOp> = ATOMICS.iter().filter(|o| o.ty == ty).collect();
        // Comparing ones are as frequent as all others.
        let comparing = self.rng.chance(50);
        let op = loop {
            let op = *self.rng.pick(&ops);
            if (op.operands == 2) == comparing {
                break op;
            }
        };
        let and = binary(Ty::I32, &Instruction::I32And);
        let cell = if self.rng.chance(70) { 0x38 } else { 0x1ff8 };
        let address = Expr::Binary(and, Box::new(self.expr(Ty::I32, d.min(1))), Box::new(Expr::Const(Ty::I32, cell)));
        let offset = *self.rng.pick(&[0, 0, 0, 8, 16, 4096, 65528]);
        let mut operands: Vec<Expr> = (0..op.operands).map(|_| self.expr(ty, d.min(2))).collect();
        if comparing && self.rng.chance(60) {
            // What lies there, perhaps with bits beyond the cell's width.
            let (bytes, signed) = (op.bytes, self.rng.chance(50));
            let signed = signed && bytes < if ty == Ty::I64 { 8 } else { 4 };
            operands[0] = Expr::Load(Access { ty, bytes, signed }, Box::new(plain(&address)), offset);
        }
        Expr::Atomic(op, Box::new(address), offset, operands)
    }

    fn leaf(&mut self, ty: Ty) -> Expr {
        let readable: Vec<u32> = (0..self.locals.len() as u32).filter(|&l| self.locals[l as usize] == ty).collect();
        match self.rng.below(10) {
            0..6 if !readable.is_empty() => Expr::Local(*self.rng.pick(&readable)),
            6 => Expr::Global(TYPES.iter().position(|&t| t == ty).unwrap_or(0) as u32),
            _ => Expr::Const(ty, constant(self.rng, ty)),
        }
    }

    fn binary(&mut self, ty: Ty, d: u32) -> Expr {
        let ops: Vec<&'static BinaryOp> = binaries().iter().filter(|o| o.to == ty).collect();
        let op = loop {
            let op = *self.rng.pick(&ops);
            // Divisions trap too often to be as frequent as the rest.
            let divides = matches!((op.eval)(1, 0), Err(vm::TrapKind::IntegerDivideByZero));
            if !divides || self.rng.chance(if self.small { 60 } else { 10 }) {
                break op;
            }
        };
        if op.ty != ty && self.rng.chance(50) {
            // A comparison of leaves.
            return Expr::Binary(op, Box::new(self.leaf(op.ty)), Box::new(self.leaf(op.ty)));
        }
        let divides = matches!((op.eval)(1, 0), Err(vm::TrapKind::IntegerDivideByZero));
        let right = match self.rng.below(10) {
            _ if divides && self.rng.chance(if self.small { 50 } else { 80 }) => {
                Expr::Const(op.ty, constant(self.rng, op.ty) | 1)
            }
            0..4 => Expr::Const(op.ty, constant(self.rng, op.ty)),
            _ => self.expr(op.ty, d),
        };
        let left = if self.rng.chance(8) { Expr::Const(op.ty, constant(self.rng, op.ty)) } else { self.expr(op.ty, d) };
        Expr::Binary(op, Box::new(left), Box::new(right))
    }

    /// A condition, most often a comparison.
    fn condition(&mut self, d: u32) -> Expr {
        match self.rng.below(10) {
            0..7 => {
                let ty = *self.rng.pick(&TYPES);
                let ops: Vec<&'static BinaryOp> = binaries().iter().filter(|o| o.ty == ty && o.to == Ty::I32).collect();
                // For i32 that is every instruction; the last ten are the comparisons.
                let ops = if ty == Ty::I32 { &ops[ops.len() - 10..] } else { &ops[..] };
                let op = *self.rng.pick(ops);
                let test = Expr::Binary(op, Box::new(self.expr(ty, d.min(1))), Box::new(self.expr(ty, d.min(1))));
                if self.rng.chance(20) { self.not(test) } else { test }
            }
            7 => {
                let e = self.expr(Ty::I32, d.min(1));
                self.not(e)
            }
            _ => self.expr(Ty::I32, d.min(2)),
        }
    }

    fn not(&self, e: Expr) -> Expr {
        let is = |o: &&UnaryOp| matches!(o.instruction, Instruction::I32Eqz);
        Expr::Unary(unaries().iter().find(is).expect("i32.eqz is in the table"), Box::new(e))
    }

    fn switch(&mut self, ty: Ty, d: u32) -> Expr {
        let ops: Vec<&'static BinaryOp> = binaries().iter().filter(|o| o.ty == ty && o.to == ty).take(3).collect();
        let steps = (0..1 + self.rng.below(5)).map(|_| (*self.rng.pick(&ops), constant(self.rng, ty))).collect();
        Expr::Switch { ty, value: Box::new(self.expr(ty, d)), index: Box::new(self.index(6)), steps }
    }

    /// An i32 that is most often below `n`.
    fn index(&mut self, n: u64) -> Expr {
        let e = self.expr(Ty::I32, 1);
        if self.rng.chance(15) {
            return e;
        }
        let and = binary(Ty::I32, &Instruction::I32And);
        let mask = n.next_power_of_two() - 1;
        Expr::Binary(and, Box::new(e), Box::new(Expr::Const(Ty::I32, mask)))
    }

    fn call(&mut self, ty: Ty) -> Expr {
        let fits = |j: &usize| self.signatures[*j].1 == [ty];
        let later: Vec<usize> = (self.function + 1..self.signatures.len()).filter(fits).collect();
        if later.is_empty() {
            return self.leaf(ty);
        }
        let f = *self.rng.pick(&later);
        let args = self.arguments(f);
        match self.rng.below(10) {
            0..7 => Expr::Call(f, args),
            7..9 => Expr::CallIndirect(f, Box::new(Expr::Const(Ty::I32, f as u64)), args),
            _ => Expr::CallIndirect(f, Box::new(self.index(8)), args),
        }
    }

    fn arguments(&mut self, f: usize) -> Vec<Expr> {
        self.signatures[f].0.clone().into_iter().map(|t| self.expr(t, 2)).collect()
    }

    // ---- memory

    fn access(&mut self, ty: Ty) -> Access {
        let bytes = match ty {
            Ty::I32 => *self.rng.pick(&[1, 2, 4, 4, 4]),
            Ty::I64 => *self.rng.pick(&[1, 2, 4, 8, 8, 8]),
            Ty::F32 => 4,
            Ty::F64 => 8,
        };
        let full = bytes == if matches!(ty, Ty::I64 | Ty::F64) { 8 } else { 4 };
        Access { ty, bytes, signed: !full && self.rng.chance(50) }
    }

    /// An address and an offset, seldom out of bounds.
    fn address(&mut self, d: u32) -> (Expr, u32) {
        let d = d.min(1);
        let op = |i| binary(Ty::I32, &i);
        let number = |n: u64| Box::new(Expr::Const(Ty::I32, n));
        let masked = |g: &mut Self, mask| {
            let e = g.expr(Ty::I32, d);
            Box::new(Expr::Binary(op(Instruction::I32And), Box::new(e), number(mask)))
        };
        let scaled = |g: &mut Self| {
            let shift = g.rng.below(5) as u64;
            let e = masked(g, 0x3ff);
            Box::new(if g.rng.chance(75) {
                Expr::Binary(op(Instruction::I32Shl), e, number(shift))
            } else {
                Expr::Binary(op(Instruction::I32Mul), e, number([4, 8, 12, 24, 1][shift as usize]))
            })
        };
        let add = |a, b| Expr::Binary(op(Instruction::I32Add), a, b);
        let counters: Vec<u32> =
            self.counters.iter().copied().filter(|&c| self.locals[c as usize] == Ty::I32).collect();
        let e = match self.rng.below(100) {
            0..20 => *masked(self, 0x3fff),
            20..40 => add(masked(self, 0x3fff), scaled(self)),
            40..50 => add(scaled(self), masked(self, 0xfff)),
            50..58 => *scaled(self),
            58..66 => {
                let base = masked(self, 0xfff);
                let inner = Box::new(add(base, scaled(self)));
                add(inner, number(self.rng.below(5000) as u64))
            }
            66..72 => {
                // A negative constant behind a base that is larger.
                let base = Box::new(add(masked(self, 0xfff), number(20000)));
                let by = -(1 + self.rng.below(16000) as i64);
                add(base, number(u64::from(by as u32)))
            }
            72..78 => Expr::Const(Ty::I32, self.rng.below(40000) as u64),
            78..90 if !counters.is_empty() => {
                let c = Box::new(Expr::Local(*self.rng.pick(&counters)));
                let small = Box::new(Expr::Binary(op(Instruction::I32And), c, number(0xff)));
                let shift = number(self.rng.below(4) as u64);
                add(masked(self, 0xff0), Box::new(Expr::Binary(op(Instruction::I32Shl), small, shift)))
            }
            90..92 if !counters.is_empty() => Expr::Local(*self.rng.pick(&counters)),
            92 => self.expr(Ty::I32, d),
            _ => match self.settable(Ty::I32) {
                Some(l) => Expr::Tee(l, masked(self, 0x3fff)),
                None => *masked(self, 0x3fff),
            },
        };
        let offset = if self.rng.chance(if self.small { 15 } else { 3 }) {
            *self.rng.pick(&FAR_OFFSETS)
        } else {
            *self.rng.pick(&OFFSETS)
        };
        (e, offset)
    }

    // ---- statements

    fn settable(&mut self, ty: Ty) -> Option<u32> {
        let fits = |l: &u32| self.locals[*l as usize] == ty && !self.counters.contains(l);
        let all: Vec<u32> = (0..self.locals.len() as u32).filter(fits).collect();
        (!all.is_empty()).then(|| *self.rng.pick(&all))
    }

    fn any_settable(&mut self) -> (u32, Ty) {
        loop {
            let ty = *self.rng.pick(&TYPES);
            if let Some(l) = self.settable(ty) {
                return (l, ty);
            }
        }
    }

    fn label(&mut self) -> u32 {
        self.next_label += 1;
        self.next_label
    }

    fn statements(&mut self, most: usize) -> Vec<Stmt> {
        let n = if self.size < 0 { self.rng.below(2) } else { 1 + self.rng.below(most) };
        (0..n).map(|_| self.stmt()).collect()
    }

    fn stmt(&mut self) -> Stmt {
        self.size -= 1;
        if self.size < 0 {
            let (l, ty) = self.any_settable();
            return Stmt::Set(l, self.leaf(ty));
        }
        if self.rng.chance(12) {
            return self.exceptional();
        }
        match self.rng.below(100) {
            0..14 => {
                let (l, ty) = self.any_settable();
                Stmt::Set(l, self.expr(ty, 4))
            }
            14..28 => self.accumulate(),
            28..36 => self.set_all(),
            36..40 => {
                let i = self.rng.below(4);
                Stmt::SetGlobal(i as u32, self.expr(TYPES[i], 3))
            }
            40..54 => self.store(),
            54..61 => Stmt::If(
                self.condition(2),
                self.statements(3),
                if self.rng.chance(50) { self.statements(3) } else { vec![] },
            ),
            61..65 => {
                let label = self.label();
                self.labels.push((label, vec![]));
                self.around.push(label);
                let body = self.statements(4);
                self.around.pop();
                self.labels.pop();
                Stmt::Block(label, body)
            }
            65..74 => self.counted(),
            74..82 => self.cycle(),
            82..86 => {
                let arms = 1 + self.rng.below(4);
                let index = self.index(4);
                Stmt::Switch(index, (0..arms).map(|_| (self.statements(2), self.rng.chance(60))).collect())
            }
            86..91 => self.branch(),
            91..92 => self.values(),
            92..94 => {
                let results = self.signatures[self.function].1.clone();
                Stmt::ReturnIf(self.condition(1), results.into_iter().map(|t| self.expr(t, 2)).collect())
            }
            94..96 => {
                let ty = *self.rng.pick(&TYPES);
                Stmt::Drop(self.expr(ty, 3))
            }
            _ => self.call_set(),
        }
    }

    fn exceptional(&mut self) -> Stmt {
        match self.rng.below(10) {
            0..3 => {
                let tag = self.rng.below(TAGS.len());
                let values = TAGS[tag].iter().map(|&t| self.expr(t, 2)).collect();
                Stmt::ThrowIf(tag, values, self.condition(2))
            }
            3..5 if !self.caught.is_empty() => {
                let label = *self.rng.pick(&self.caught);
                Stmt::RethrowIf(label, self.condition(1))
            }
            _ => self.try_(),
        }
    }

    fn try_(&mut self) -> Stmt {
        let (legacy, label) = (self.rng.chance(60), self.label());
        self.labels.push((label, vec![]));
        if legacy {
            self.around.push(label);
        }
        let mut body = self.statements(4);
        body.push(self.call_set());
        let handling = if legacy && self.rng.chance(20) {
            self.around.pop();
            let to = self.rng.chance(80).then(|| (!self.around.is_empty()).then(|| *self.rng.pick(&self.around)));
            self.around.push(label);
            Handling::Delegate(to.flatten())
        } else {
            self.caught.push(label);
            let all = self.rng.chance(40);
            let count = 1 + self.rng.below(3);
            let clauses = (0..count).map(|n| self.clause(legacy, all && n + 1 == count)).collect();
            self.caught.pop();
            Handling::Clauses(clauses)
        };
        if legacy {
            self.around.pop();
        }
        self.labels.pop();
        Stmt::Try(Box::new(Try { legacy, label, body, handling }))
    }

    fn clause(&mut self, legacy: bool, all: bool) -> Clause {
        let tag = (!all).then(|| self.rng.below(TAGS.len()));
        let types = tag.map_or(&[][..], |t| TAGS[t]);
        let to = types.iter().map(|&t| if self.rng.chance(80) { self.settable(t) } else { None }).collect();
        let reference = (!legacy).then_some(self.references);
        self.references += u32::from(!legacy);
        let body = if self.rng.chance(20) { vec![] } else { self.statements(3) };
        Clause { tag, to, reference, body }
    }

    /// `x = x op e`.
    fn accumulate(&mut self) -> Stmt {
        let (l, ty) = self.any_settable();
        let ops: Vec<&'static BinaryOp> = binaries().iter().filter(|o| o.ty == ty && o.to == ty).take(4).collect();
        let op = *self.rng.pick(&ops);
        let (own, e) = (Box::new(Expr::Local(l)), Box::new(self.expr(ty, 3)));
        Stmt::Set(l, if self.rng.chance(70) { Expr::Binary(op, own, e) } else { Expr::Binary(op, e, own) })
    }

    /// Several values pushed, then several locals set: rotations, swaps, and fresh values among them.
    fn set_all(&mut self) -> Stmt {
        let n = 2 + self.rng.below(3);
        let targets: Vec<(u32, Ty)> = (0..n).map(|_| self.any_settable()).collect();
        let values = targets.iter().map(|&(_, ty)| if self.rng.chance(60) { self.leaf(ty) } else { self.expr(ty, 2) });
        let values: Vec<Expr> = values.collect();
        Stmt::SetAll(targets.into_iter().map(|t| t.0).collect(), values)
    }

    fn store(&mut self) -> Stmt {
        let ty = *self.rng.pick(&TYPES);
        let access = self.access(ty);
        let (address, offset) = self.address(2);
        let value = match self.rng.below(10) {
            0..2 => Expr::Const(ty, constant(self.rng, ty)),
            2..5 => {
                // Read, modify, write.
                let whole = Access { signed: false, ..access };
                let ops: Vec<&'static BinaryOp> =
                    binaries().iter().filter(|o| o.ty == ty && o.to == ty).take(4).collect();
                let load = Expr::Load(whole, Box::new(plain(&address)), offset);
                let op = self.rng.pick::<&'static BinaryOp>(&ops);
                Expr::Binary(op, Box::new(load), Box::new(self.expr(ty, 1)))
            }
            _ => self.expr(ty, 3),
        };
        Stmt::Store(access, address, offset, value)
    }

    fn branch(&mut self) -> Stmt {
        if self.labels.is_empty() {
            return self.accumulate();
        }
        let (label, types) = self.rng.pick(&self.labels).clone();
        let values = types.iter().map(|&t| self.expr(t, 2)).collect();
        match self.rng.below(20) {
            0..2 => Stmt::Br(label, values),
            2 => {
                let same: Vec<u32> = self.labels.iter().filter(|l| l.1 == types).map(|l| l.0).collect();
                let n = 1 + self.rng.below(4);
                let labels = (0..n).map(|_| *self.rng.pick(&same)).collect();
                Stmt::BrTable(labels, values, self.index(4))
            }
            _ => Stmt::BrIf(label, values, self.condition(2)),
        }
    }

    /// Several values out of a block, or from branches in it.
    fn values(&mut self) -> Stmt {
        let n = 2 + self.rng.below(3);
        let (to, types): (Vec<u32>, Vec<Ty>) = (0..n).map(|_| self.any_settable()).unzip();
        let label = self.label();
        self.labels.push((label, types.clone()));
        let body = self.statements(3);
        let values = types.iter().map(|&t| self.expr(t, 2)).collect();
        self.labels.pop();
        Stmt::Values { label, types, body, values, to }
    }

    fn cycle(&mut self) -> Stmt {
        if self.counters.len() >= 3 || self.small {
            return self.accumulate();
        }
        let counter = self.locals.len() as u32;
        self.locals.push(Ty::I32);
        self.counters.push(counter);
        let head = *self.rng.pick(&[Head::Leave, Head::Choose, Head::Choose, Head::ChooseOne]);
        let exit = (head == Head::Leave || self.rng.chance(40)).then(|| self.label());
        let n = if self.rng.chance(30) { 1 + self.rng.below(2) } else { 0 };
        let (carried, types): (Vec<u32>, Vec<Ty>) = (0..n).map(|_| self.any_settable()).unzip();
        let first = types.iter().map(|&t| self.expr(t, 2)).collect();
        let test = self.turns_left(counter);
        let label = self.label();
        let around = self.labels.len();
        self.labels.extend(exit.map(|l| (l, vec![])));
        let no = if head == Head::Choose { self.arm(label, &types, Some(counter)) } else { vec![] };
        let tail = if self.rng.chance(50) { self.arm(label, &types, Some(counter)) } else { vec![] };
        self.labels.push((label, types.clone()));
        let yes = self.arm(label, &types, None);
        self.labels.truncate(around);
        let count = if exit.is_none() && self.rng.chance(30) { 1 + self.rng.below(2) } else { 0 };
        let result = |g: &mut Self| {
            let (l, ty) = g.any_settable();
            (ty, g.leaf(ty), l)
        };
        let results = (0..count).map(|_| result(self)).collect();
        self.counters.pop();
        let turns = self.rng.below(10) as u64;
        Stmt::Cycle(Box::new(Cycle {
            label,
            exit,
            types,
            first,
            carried,
            counter,
            turns,
            head,
            test,
            yes,
            no,
            tail,
            results,
        }))
    }

    /// Counts a turn, and tells whether there are more, and mostly something else beside.
    fn turns_left(&mut self, counter: u32) -> Expr {
        let op = |i| binary(Ty::I32, &i);
        let one = Box::new(Expr::Const(Ty::I32, 1));
        let less = Expr::Binary(op(Instruction::I32Sub), Box::new(Expr::Local(counter)), one);
        let left = self.positive(Expr::Tee(counter, Box::new(less)));
        if self.rng.chance(50) {
            return left;
        }
        let other = if self.rng.chance(70) { self.leaf(Ty::I32) } else { self.condition(1) };
        let bit = Expr::Binary(op(Instruction::I32And), Box::new(other), Box::new(Expr::Const(Ty::I32, 1)));
        Expr::Binary(op(Instruction::I32And), Box::new(left), Box::new(bit))
    }

    fn positive(&self, e: Expr) -> Expr {
        let greater = binary(Ty::I32, &Instruction::I32GtS);
        Expr::Binary(greater, Box::new(e), Box::new(Expr::Const(Ty::I32, 0)))
    }

    /// Statements of a loop, most often with a branch back at their end; with a counter, only while that is positive.
    fn arm(&mut self, label: u32, types: &[Ty], counter: Option<u32>) -> Vec<Stmt> {
        let mut body = if self.rng.chance(20) { vec![] } else { self.statements(3) };
        if self.rng.chance(if counter.is_some() { 40 } else { 70 }) {
            let values: Vec<Expr> = types.iter().map(|&t| self.expr(t, 2)).collect();
            let left = counter.map(|c| self.positive(Expr::Local(c)));
            body.push(match left {
                Some(left) if self.rng.chance(50) => Stmt::If(left, vec![Stmt::Br(label, values)], vec![]),
                Some(left) => Stmt::BrIf(label, values, left),
                None if self.rng.chance(80) => Stmt::Br(label, values),
                None => Stmt::BrIf(label, values, self.condition(2)),
            });
            if self.rng.chance(15) {
                body.push(self.accumulate());
            }
        }
        body
    }

    fn call_set(&mut self) -> Stmt {
        let later: Vec<usize> = (self.function + 1..self.signatures.len()).collect();
        if later.is_empty() {
            return self.accumulate();
        }
        let f = *self.rng.pick(&later);
        let args = self.arguments(f);
        let results = self.signatures[f].1.clone();
        let to: Option<Vec<u32>> = results.into_iter().map(|t| self.settable(t)).collect();
        match to {
            Some(to) => Stmt::CallSet(f, args, to),
            None => self.accumulate(),
        }
    }

    fn counted(&mut self) -> Stmt {
        if self.counters.len() >= 3 || self.small {
            return self.accumulate();
        }
        let ty = if self.rng.chance(70) { Ty::I32 } else { Ty::I64 };
        let counter = self.locals.len() as u32;
        self.locals.push(ty);
        self.counters.push(counter);
        let shape = *self.rng.pick(&[Shape::Post, Shape::Post, Shape::PostApart, Shape::Down, Shape::Pre]);
        let times = 1 + self.rng.below(12) as i64;
        let (start, step, test, bound) = self.course(ty, shape, times);
        let labels = self.rng.chance(40).then(|| (self.label(), self.label()));
        if let Some((exit, next)) = labels {
            self.labels.extend([(exit, vec![]), (next, vec![])]);
        }
        let body = self.statements(4);
        if labels.is_some() {
            self.labels.truncate(self.labels.len() - 2);
        }
        self.counters.pop();
        Stmt::Loop(Box::new(Loop { shape, ty, counter, start, step, test, bound, labels, body }))
    }

    /// Start, step, comparison and bound of a loop of about that many turns.
    fn course(&mut self, ty: Ty, shape: Shape, times: i64) -> (u64, u64, &'static BinaryOp, Expr) {
        let mask = if ty == Ty::I32 { u64::from(u32::MAX) } else { u64::MAX };
        let op = |i32, i64| binary(ty, if ty == Ty::I32 { &i32 } else { &i64 });
        let ne = op(Instruction::I32Ne, Instruction::I64Ne);
        if shape == Shape::Down {
            return (times as u64, -1i64 as u64 & mask, ne, Expr::Const(ty, 0));
        }
        let step = *self.rng.pick(&[1, 1, 1, 2, 4, 8, -1, -3, 127, 32767, 32768, -32768, -32769, 0x10000]);
        let up = step > 0;
        let small = self.rng.chance(60);
        let bound = if small { self.rng.below(64) as i64 } else { constant(self.rng, ty) as i64 };
        let mut start = bound.wrapping_sub(times.wrapping_mul(step));
        let mut bound = Expr::Const(ty, bound as u64 & mask);
        let ordered = [
            op(Instruction::I32LtS, Instruction::I64LtS),
            op(Instruction::I32LeS, Instruction::I64LeS),
            op(Instruction::I32LtU, Instruction::I64LtU),
            op(Instruction::I32GtS, Instruction::I64GtS),
            op(Instruction::I32GeS, Instruction::I64GeS),
            op(Instruction::I32GtU, Instruction::I64GtU),
        ];
        let test = match self.rng.below(4) {
            0 => ne,
            _ if up => ordered[self.rng.below(3)],
            _ => ordered[3 + self.rng.below(3)],
        };
        if small && up && self.rng.chance(40) {
            start = 0;
        }
        let fits = |l: &u32| self.locals[*l as usize] == ty;
        let readable: Vec<u32> = (0..self.locals.len() as u32).filter(fits).collect();
        if self.rng.chance(20) {
            bound = Expr::Local(*self.rng.pick(&readable));
        }
        (start as u64 & mask, step as u64 & mask, test, bound)
    }
}

/// The address again without its effects: what a tee would set is set already.
fn plain(e: &Expr) -> Expr {
    match e {
        Expr::Tee(l, _) => Expr::Local(*l),
        Expr::Binary(op, a, b) => Expr::Binary(op, Box::new(plain(a)), Box::new(plain(b))),
        other => other.clone(),
    }
}
