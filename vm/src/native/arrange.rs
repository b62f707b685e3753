//! Where the code of a module goes, relative to the beginning of its code memory.
//!
//! In: [`jit::Code`] of functions, and their types. Out: bytes with their offsets, relative calls filled in, and the tables
//! that belong to them. The same arrangement is made for running code and for a file of it. Invariant: nothing in the bytes
//! depends on where they will lie, or on anything of this process but the ids of types, which the tables tell.
//!
//! ```text
//!   | exit adapters | code … | stubs | adapters | code … |
//! ```
//!
//! Code calls a function of its module directly if that is already there, otherwise a stub, which goes through the
//! function's native cell.

use super::registry::{Piece, Placed};
use crate::error::{Error, Result};
use crate::module::ModuleInner;
use crate::sys::fault;
use jit::x64::adapter;
use jit::{Code, Entry, Exit, Reloc, RelocTarget};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use wasm::layout::context;
use wasm::{FuncType, TypeId};

/// Functions begin at multiples of this, whole cache lines: a small recursive function across two cost a sixth of its speed. Nothing
/// else does, which is how `sys::call_by_cell` knows them.
pub(crate) const ALIGN: usize = 64;
/// Adapters and stubs begin at other multiples of this.
const ADAPTER_ALIGN: usize = 16;

/// What an adapter does, with the type it does it for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) enum Adapter {
    Enter(TypeId),
    EnterLoop(TypeId),
    Tail(TypeId),
    ExitOwn(TypeId),
    ExitReference(TypeId),
}

impl Adapter {
    /// Knows its type by another id from now on.
    pub(crate) fn rename(&mut self, to: &impl Fn(TypeId) -> TypeId) {
        use Adapter::*;
        let (Enter(id) | EnterLoop(id) | Tail(id) | ExitOwn(id) | ExitReference(id)) = self;
        *id = to(*id);
    }
}

/// A function or loop with its code.
pub(crate) struct Compiled {
    pub(crate) own_func: u32,
    pub(crate) entry: Entry,
    pub(crate) code: Code,
}

/// Code with offsets.
pub(crate) struct Arrangement {
    /// Bytes that are taken.
    used: usize,
    /// How many there are.
    limit: usize,
    /// Offsets of the code of own functions; none for 0.
    pub(crate) funcs: Vec<u32>,
    pub(crate) stubs: HashMap<u32, u32>,
    pub(crate) adapters: HashMap<Adapter, u32>,
    /// What [`undo`](Self::undo) takes back.
    journal: Journal,
    /// What has been placed since this was last emptied.
    pub(crate) bytes: Vec<(usize, Vec<u8>)>,
    pub(crate) pieces: Vec<(usize, Placed)>,
}

/// What has been entered since the last [`Arrangement::done`].
#[derive(Default)]
struct Journal {
    /// Bytes that were taken then.
    used: usize,
    /// Functions, with what they had before.
    funcs: Vec<(u32, u32)>,
    stubs: Vec<u32>,
    adapters: Vec<Adapter>,
}

impl Arrangement {
    pub(crate) fn new(funcs: usize, limit: usize) -> Arrangement {
        // Offset 0 is nobody's.
        Arrangement::behind(ADAPTER_ALIGN, limit, vec![0; funcs], HashMap::new(), HashMap::new())
    }

    /// One that goes on behind what is there.
    pub(crate) fn behind(
        used: usize,
        limit: usize,
        funcs: Vec<u32>,
        stubs: HashMap<u32, u32>,
        adapters: HashMap<Adapter, u32>,
    ) -> Arrangement {
        let journal = Journal { used, ..Journal::default() };
        Arrangement { used, limit, funcs, stubs, adapters, journal, bytes: Vec::new(), pieces: Vec::new() }
    }

    /// What has been placed is where it belongs: it stays.
    pub(crate) fn done(&mut self) {
        self.journal = Journal { used: self.used, ..Journal::default() };
        self.bytes.clear();
        self.pieces.clear();
    }

    /// Takes back all that was entered since the last [`done`](Self::done): nothing leads to it. Returns the functions that were linked.
    pub(crate) fn undo(&mut self) -> Vec<Compiled> {
        let Journal { used, funcs, stubs, adapters } = std::mem::take(&mut self.journal);
        self.used = used;
        funcs.iter().rev().for_each(|&(f, before)| self.funcs[f as usize] = before);
        stubs.iter().for_each(|f| _ = self.stubs.remove(f));
        adapters.iter().for_each(|a| _ = self.adapters.remove(a));
        let pieces = std::mem::take(&mut self.pieces).into_iter().zip(std::mem::take(&mut self.bytes));
        let compiled = pieces.filter_map(|((_, placed), (_, bytes))| match placed.piece {
            Piece::Func(own_func, entry) => Some(Compiled { own_func, entry, code: placed.code(bytes) }),
            _ => None,
        });
        let compiled = compiled.collect();
        self.done();
        compiled
    }

    /// Bytes from the beginning to the end of what has been placed.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Places the adapters that lead from native cells of uncompiled functions to the interpreter.
    pub(crate) fn exits(&mut self, module: &ModuleInner) -> Result<()> {
        let raw = &module.raw;
        for &ty in &raw.funcs[raw.imported_funcs() as usize..] {
            self.adapter(module, Adapter::ExitOwn(ty))?;
        }
        Ok(())
    }

    /// Takes room for code.
    fn place(&mut self, len: usize, align: usize) -> Result<usize> {
        let mut at = self.used.next_multiple_of(align);
        if align < ALIGN && at.is_multiple_of(ALIGN) {
            at += align;
        }
        if fault::point().is_err() || at + len > self.limit {
            return Err(Error::limit("the module's memory for compiled code is full"));
        }
        self.used = at + len;
        Ok(at)
    }

    /// Takes room for a function's code, which is to be [linked](Self::link) later.
    pub(crate) fn place_func(&mut self, c: &Compiled) -> Result<usize> {
        let at = self.place(c.code.bytes.len(), ALIGN)?;
        if c.entry == Entry::Function {
            let before = std::mem::replace(&mut self.funcs[c.own_func as usize], at as u32);
            self.journal.funcs.push((c.own_func, before));
        }
        Ok(at)
    }

    /// Offset of an adapter, which is made if there is none.
    pub(crate) fn adapter(&mut self, module: &ModuleInner, which: Adapter) -> Result<u32> {
        if let Some(&at) = self.adapters.get(&which) {
            return Ok(at);
        }
        let nothing = || FuncType { params: Box::new([]), results: Box::new([]) };
        // Adapters are made for types of functions only.
        let ty = |id| module.engine.types().func(id).unwrap_or_else(nothing);
        let fuel = module.engine.config().fuel;
        let (code, piece) = match which {
            Adapter::Enter(t) => (adapter::entry_adapter(&ty(t)), Piece::EntryAdapter),
            Adapter::EnterLoop(t) => (adapter::osr_adapter(&ty(t)), Piece::EntryAdapter),
            Adapter::Tail(t) => (adapter::tail_adapter(&ty(t)), Piece::Adapter),
            Adapter::ExitOwn(t) => (adapter::exit_adapter(&ty(t), Exit::Own, fuel), Piece::Adapter),
            Adapter::ExitReference(t) => (adapter::exit_adapter(&ty(t), Exit::Reference, fuel), Piece::Adapter),
        };
        let at = self.place(code.bytes.len(), ADAPTER_ALIGN)?;
        self.put(at, code, piece);
        self.adapters.insert(which, at as u32);
        self.journal.adapters.push(which);
        Ok(at as u32)
    }

    fn put(&mut self, at: usize, mut code: Code, piece: Piece) {
        let bytes = std::mem::take(&mut code.bytes);
        self.pieces.push((at, Placed::new(piece, code, bytes.len())));
        self.bytes.push((at, bytes));
    }

    /// Offset of the stub that calls a function through its cell.
    fn stub(&mut self, own_func: u32) -> Result<u32> {
        if let Some(&at) = self.stubs.get(&own_func) {
            return Ok(at);
        }
        let bytes = stub(own_func);
        let at = self.place(bytes.len(), ADAPTER_ALIGN)?;
        self.put(at, Code { code_len: bytes.len() as u32, bytes, ..Code::default() }, Piece::Adapter);
        self.stubs.insert(own_func, at as u32);
        self.journal.stubs.push(own_func);
        Ok(at as u32)
    }

    /// Fills in the relative calls of code for which there is room at `at`, and takes the code; after an error it is still there.
    pub(crate) fn link(&mut self, module: &ModuleInner, c: &mut Compiled, at: usize) -> Result<()> {
        for &Reloc { at: field, target } in &c.code.relocs {
            let target = match target {
                RelocTarget::Func(f) => match self.funcs[f as usize] {
                    0 => self.stub(f)?,
                    at => at,
                },
                RelocTarget::ReferenceAdapter(ty) => self.adapter(module, Adapter::ExitReference(ty))?,
                RelocTarget::TypeId(_) => continue,
            };
            let field = field as usize;
            let distance = i64::from(target) - (at + field + 4) as i64;
            c.code.bytes[field..field + 4].copy_from_slice(&(distance as i32).to_le_bytes());
        }
        self.put(at, std::mem::take(&mut c.code), Piece::Func(c.own_func, c.entry));
        Ok(())
    }
}

/// `mov rax, [r15 + native cells]; lea rax, [rax + cell]; jmp [rax]`
fn stub(own_func: u32) -> Vec<u8> {
    let mut bytes = vec![0x49, 0x8b, 0x47, const { context::NATIVE_CELLS as u8 }, 0x48, 0x8d, 0x80];
    bytes.extend((own_func * 8).to_le_bytes());
    bytes.extend([0xff, 0x20]);
    bytes
}
