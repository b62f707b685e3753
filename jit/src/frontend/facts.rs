//! What holds for a module as a whole.
//!
//! In: the module. Out: which tables only ever hold references to the module's own functions, whether there are types of objects, and
//! the hints for branches. The first function that is compiled waits for one look at all bodies, so bodies without the bytes of an
//! instruction that writes a table are passed over, and nothing is looked at unless a table might be closed.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`calls`) in which it does not hold:
//! - A table is closed only if it is neither imported nor exported, no element, segment or initial value is an
//!   import, and no body sets, grows, fills, copies to or initialises it.
//! - Opcodes are searched as bytes, whatever the length of the index behind them.

use super::hints::BranchHints;
use serde::{Deserialize, Serialize};
use wasm::{CompositeType, ConstExpr, ConstOp, ElemItems, ElemMode, ExternKind, Module, TypeId, TypeRegistry};
use wasmparser::{BinaryReader, FunctionBody, Operator};

/// Facts about a module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModuleFacts {
    closed: Vec<bool>,
    objects: bool,
    pub(super) hints: BranchHints,
}

impl ModuleFacts {
    /// Facts about a module, given its bytes and the engine's types.
    pub fn new(module: &Module, bytes: &[u8], types: &TypeRegistry) -> ModuleFacts {
        let mut closed: Vec<bool> = (0..module.tables.len() as u32).map(|t| may_be_closed(module, t)).collect();
        if closed.contains(&true) {
            let tables = closed.len();
            for body in module.bodies.iter().map(|b| &bytes[b.range()]).filter(|b| may_write(b, tables)) {
                find_writes(module, body, &mut closed);
                if !closed.contains(&true) {
                    break;
                }
            }
        }
        let is_object = |&id: &TypeId| !matches!(types.get(id).composite, CompositeType::Func(_));
        let objects = module.types.iter().any(is_object);
        ModuleFacts { closed, objects, hints: BranchHints::new(module, bytes) }
    }

    /// Whether the module declares types of objects: its functions then may hold references to garbage-collected objects.
    pub fn has_objects(&self) -> bool {
        self.objects
    }

    /// Whether all references in a table are null or to functions of the same instance.
    pub fn is_closed(&self, table: u32) -> bool {
        self.closed.get(table as usize).copied().unwrap_or(false)
    }
}

fn is_own(module: &Module, e: &ConstExpr) -> bool {
    match *e.0 {
        [ConstOp::RefFunc(f)] => module.own_func(f).is_some(),
        [ConstOp::RefNull(_)] => true,
        _ => false,
    }
}

/// Whether nothing but instructions could put a foreign reference into the table.
fn may_be_closed(module: &Module, table: u32) -> bool {
    let foreign = |items: &ElemItems| match items {
        ElemItems::Funcs(fs) => fs.iter().any(|&f| module.own_func(f).is_none()),
        ElemItems::Exprs(es) => !es.iter().all(|e| is_own(module, e)),
    };
    table >= module.imported[ExternKind::Table as usize]
        && !module.exports.iter().any(|e| e.kind == ExternKind::Table && e.index == table)
        && module.tables[table as usize].init.as_ref().is_none_or(|e| is_own(module, e))
        && !module
            .elems
            .iter()
            .any(|e| matches!(e.mode, ElemMode::Active { table: t, .. } if t == table) && foreign(&e.items))
}

/// Opcodes of instructions that write a table: `table.set`, and behind the prefix `table.init`, `table.copy`, `table.grow` and
/// `table.fill`.
const TABLE_SET: u8 = 0x26;
const PREFIX: u8 = 0xfc;
const PREFIXED: [u32; 4] = [12, 14, 15, 17];

/// Whether a body has bytes that may be an instruction which writes one of so many tables. No instruction is decoded: the same bytes
/// may be part of others.
fn may_write(body: &[u8], tables: usize) -> bool {
    memchr::memchr2_iter(TABLE_SET, PREFIX, body).any(|at| {
        let Some(next) = leb128(&body[at + 1..]) else { return false };
        if body[at] == TABLE_SET { (next as usize) < tables } else { PREFIXED.contains(&next) }
    })
}

/// The number that bytes begin with, if they do.
fn leb128(bytes: &[u8]) -> Option<u32> {
    let mut value = 0;
    for (i, &b) in bytes.iter().enumerate().take(5) {
        value |= u32::from(b & 0x7f) << (7 * i);
        if b < 0x80 {
            return Some(value);
        }
    }
    None
}

fn find_writes(module: &Module, body: &[u8], closed: &mut [bool]) {
    let reader = BinaryReader::new_features(body, 0, module.features());
    let Ok(mut ops) = FunctionBody::new(reader).get_operators_reader() else { return };
    while let Ok(op) = ops.read() {
        match op {
            Operator::TableSet { table }
            | Operator::TableGrow { table }
            | Operator::TableFill { table }
            | Operator::TableInit { table, .. }
            | Operator::TableCopy { dst_table: table, .. } => {
                if let Some(c) = closed.get_mut(table as usize) {
                    *c = false;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_closed(write: &str) -> bool {
        let text = format!(
            r#"(module (table 2 funcref) (table $t 2 funcref) (elem $e func 0) (func (param funcref))
                (func (local i32) (drop (i32.const 38)) {write}) (elem declare func 0))"#
        );
        let bytes = wat::parse_str(text).expect("a module");
        let types = TypeRegistry::default();
        let module = wasm::parse(&bytes, wasm::default_features(), &types).expect("a valid module");
        ModuleFacts::new(&module, &bytes, &types).is_closed(1)
    }

    #[test]
    fn every_instruction_that_writes_a_table_is_found() {
        assert!(is_closed("(drop (table.get $t (i32.const 0))) (table.set 0 (i32.const 0) (ref.func 0))"));
        for write in [
            "(table.set $t (i32.const 0) (ref.func 0))",
            "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1))",
            "(table.copy $t 0 (i32.const 0) (i32.const 0) (i32.const 1))",
            "(drop (table.grow $t (ref.func 0) (i32.const 1)))",
            "(table.fill $t (i32.const 0) (ref.func 0) (i32.const 1))",
        ] {
            assert!(!is_closed(write), "{write}");
        }
    }

    #[test]
    fn an_index_may_be_longer_than_it_needs_to_be() {
        assert!(may_write(&[0x20, 0, TABLE_SET, 0x81, 0x80, 0x80, 0x80, 0], 2));
        assert!(!may_write(&[0x20, 0, TABLE_SET, 0x82, 0x80, 0x80, 0x80, 0], 2));
        assert!(may_write(&[PREFIX, 0x8e, 0x80, 0, 0, 0], 2));
        assert!(!may_write(&[PREFIX, 0x0d, 0], 2));
    }
}
