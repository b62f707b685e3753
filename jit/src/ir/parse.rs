//! Text to functions, the reverse of [`super::print`].
//!
//! Numbers of values and blocks are kept; numbers that do not occur are filled with unused constants and empty blocks.

use super::print::{Aux, Idx, Imm, TRAPS, fields};
use super::{Alias, Arity, Block, BlockData, FloatCc, Func, Inst, IntCc, MemKind, Op, Rmw, SimdOp, Type, Value};
use crate::Place;
use crate::abi::Helper;

/// What is wrong with a text.
#[derive(Clone, Debug, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

type Parsed<T> = Result<T, String>;

impl Func {
    /// Reads a function from its text.
    ///
    /// # Errors
    /// When the text is not one that `print` makes.
    pub fn parse(text: &str) -> Result<Func, ParseError> {
        let mut p = Parser { f: Func { blocks: vec![BlockData::default()], ..Func::default() }, block: Func::ENTRY };
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with("//") {
                continue;
            }
            p.line(line).map_err(|message| ParseError { line: i + 1, message })?;
        }
        p.f.find_preds();
        Ok(p.f)
    }

    /// Finds the predecessors of all blocks anew.
    pub fn find_preds(&mut self) {
        self.blocks.iter_mut().for_each(|b| b.preds.clear());
        for i in 0..self.blocks.len() {
            let from = Block(i as u32);
            let mut succs = Vec::new();
            self.successors(from, |s| succs.push(s));
            for s in succs {
                let preds = &mut self.blocks[s.index()].preds;
                if preds.last() != Some(&from) {
                    preds.push(from);
                }
            }
        }
    }
}

struct Parser {
    f: Func,
    block: Block,
}

/// The variant of that name.
fn by_name<T: Copy>(all: &[T], name: &str, text: impl Fn(T) -> String) -> Parsed<T> {
    all.iter().copied().find(|&t| text(t) == name).ok_or_else(|| format!("unknown name `{name}`"))
}

fn number(s: &str) -> Parsed<i64> {
    let s = s.trim_start_matches('#');
    s.parse().map_err(|_| format!("not a number: `{s}`"))
}

fn hex(s: &str) -> Parsed<u128> {
    let s = s.trim_start_matches("#0x");
    u128::from_str_radix(s, 16).map_err(|_| format!("not a hexadecimal number: `{s}`"))
}

fn ty(s: &str) -> Parsed<Type> {
    let all = [Type::Void, Type::I32, Type::I64, Type::F32, Type::F64, Type::V128];
    by_name(&all, s, |t| t.text().to_string())
}

fn prefixed(s: &str, prefix: &str) -> Parsed<u32> {
    s.strip_prefix(prefix).and_then(|n| n.parse().ok()).ok_or_else(|| format!("`{s}` is not {prefix} and a number"))
}

fn value(s: &str) -> Parsed<Value> {
    prefixed(s, "v").map(Value)
}

fn words(s: &str) -> Vec<&str> {
    s.split(',').map(str::trim).filter(|w| !w.is_empty()).collect()
}

impl Parser {
    fn line(&mut self, line: &str) -> Parsed<()> {
        if let Some(rest) = line.strip_prefix("func (") {
            let (params, rest) = rest.split_once(')').ok_or("no `)`")?;
            let results = rest.trim().strip_prefix("-> (").and_then(|r| r.split_once(')')).ok_or("no results")?.0;
            self.f.params = words(params).into_iter().map(ty).collect::<Parsed<_>>()?;
            self.f.results = words(results).into_iter().map(ty).collect::<Parsed<_>>()?;
            return Ok(());
        }
        if line == "}" {
            return Ok(());
        }
        if let Some(header) = line.strip_suffix(':') {
            return self.header(header);
        }
        let (floating, line) = match line.strip_prefix("~ ") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let (result, rest) = line.split_once(" = ").ok_or("no ` = `")?;
        let (name, t) = result.split_once(':').unwrap_or((result, "void"));
        let (v, t) = (value(name)?, ty(t)?);
        let inst = self.inst(rest, t)?;
        self.define(v, inst);
        if !floating {
            self.f.blocks[self.block.index()].insts.push(v);
        }
        Ok(())
    }

    fn define(&mut self, v: Value, inst: Inst) {
        if self.f.insts.len() <= v.index() {
            self.f.insts.resize(v.index() + 1, Inst::new(Op::Iconst, Type::I32));
        }
        self.f.insts[v.index()] = inst;
    }

    fn block(&mut self, s: &str) -> Parsed<Block> {
        let b = Block(prefixed(s, "block")?);
        if self.f.blocks.len() <= b.index() {
            self.f.blocks.resize_with(b.index() + 1, BlockData::default);
        }
        Ok(b)
    }

    fn header(&mut self, header: &str) -> Parsed<()> {
        let (header, cold) = match header.strip_suffix(" cold") {
            Some(h) => (h, true),
            None => (header, false),
        };
        let (name, params) = header.split_once('(').unwrap_or((header, ")"));
        let block = self.block(name)?;
        self.block = block;
        self.f.blocks[block.index()].cold = cold;
        for p in words(params.trim_end_matches(')')) {
            let (name, t) = p.split_once(':').ok_or("a parameter without a type")?;
            let (v, t) = (value(name)?, ty(t)?);
            self.define(v, Inst { idx: block.0, ..Inst::new(Op::Param, t) });
            self.f.blocks[block.index()].params.push(v);
        }
        Ok(())
    }

    fn position(&mut self, text: &str) -> Parsed<u32> {
        let Some((place, caller)) = text.split_once('<') else { return Ok(hex(text)? as u32) };
        let (wasm, own_func) = place.split_once('/').ok_or("a place without a function")?;
        let own_func = own_func.parse().map_err(|_| "a function that is no number")?;
        let place = Place { own_func, wasm: hex(wasm)? as u32, caller: self.position(caller)? };
        Ok(self.f.place(place))
    }

    fn inst(&mut self, text: &str, t: Type) -> Parsed<Inst> {
        let (text, pos) = match text.rsplit_once(" @") {
            Some((text, pos)) => (text, self.position(pos)?),
            None => (text, 0),
        };
        let (head, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (head, slash) = head.split_once('/').unwrap_or((head, ""));
        let (name, dot) = head.split_once('.').unwrap_or((head, ""));
        let op = by_name(Op::ALL, name, |o| o.text().to_string())?;
        let mut inst = Inst { pos, ..Inst::new(op, t) };
        let (aux, idx, imm) = fields(op);
        inst.aux = match aux {
            Aux::IntCc => by_name(IntCc::ALL, dot, |c| c.text().to_string())? as u8,
            Aux::FloatCc => by_name(FloatCc::ALL, dot, |c| c.text().to_string())? as u8,
            Aux::Kind => by_name(MemKind::ALL, dot, |c| c.text().to_string())? as u8,
            Aux::Trap => by_name(&TRAPS, dot, |c| format!("{c:?}"))? as u8,
            Aux::Likely => ["", "likely", "unlikely"].iter().position(|&l| l == dot).ok_or("unknown likelihood")? as u8,
            Aux::Catches => ["", "catches"].iter().position(|&l| l == dot).ok_or("unknown kind of call")? as u8,
            Aux::None | Aux::Lane => 0,
        };
        inst.idx = match idx {
            Idx::Alias => by_name(Alias::ALL, slash, |c| c.text().to_string())? as u32,
            Idx::Simd => by_name(SimdOp::ALL, slash, |c| c.text().to_string())? as u32,
            Idx::Rmw => by_name(Rmw::ALL, slash, |c| c.text().to_string())? as u32,
            Idx::Helper => by_name(Helper::ALL, slash, |c| format!("{c:?}"))? as u32,
            _ => 0,
        };
        self.operands(&mut inst, rest, (aux, idx, imm))?;
        Ok(inst)
    }

    fn operands(&mut self, inst: &mut Inst, rest: &str, (aux, idx, imm): (Aux, Idx, Imm)) -> Parsed<()> {
        if inst.op == Op::Jump {
            let (target, args) = rest.split_once('(').unwrap_or((rest, ")"));
            inst.idx = self.block(target)?.0;
            let args = words(args.trim_end_matches(')')).into_iter().map(value).collect::<Parsed<Vec<_>>>()?;
            inst.args = self.f.list(&args);
            return Ok(());
        }
        let all = words(rest);
        let count = all.iter().take_while(|w| w.starts_with('v')).count();
        let args = all[..count].iter().map(|w| value(w)).collect::<Parsed<Vec<_>>>()?;
        match inst.op.arity() {
            Arity::Variadic => inst.args = self.f.list(&args),
            Arity::Fixed(n) if usize::from(n) == args.len() => inst.args[..count].copy_from_slice(&args),
            Arity::Fixed(n) => return Err(format!("{} has {n} arguments", inst.op.text())),
        }
        let mut more = all[count..].iter();
        let mut next = || more.next().copied().ok_or_else(|| "something is missing".to_string());
        if aux == Aux::Lane {
            inst.aux = number(next()?.trim_start_matches("lane "))? as u8;
        }
        match idx {
            Idx::Number => inst.idx = number(next()?)? as u32,
            Idx::Block => inst.idx = self.block(next()?)?.0,
            Idx::Table => {
                let targets = all[count..].iter().map(|w| self.block(w)).collect::<Parsed<Vec<_>>>()?;
                inst.idx = self.f.tables.len() as u32;
                self.f.tables.push(targets);
                return Ok(());
            }
            _ => {}
        }
        match imm {
            Imm::Number => inst.imm = next().map_or(Ok(0), number)?,
            Imm::Bits => inst.imm = hex(next()?)? as u64 as i64,
            Imm::Vector => inst.imm = self.f.vector(hex(next()?)?),
            Imm::Block => inst.imm = i64::from(self.block(next()?)?.0),
            Imm::None => {}
        }
        Ok(())
    }
}
