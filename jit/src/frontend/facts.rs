//! What holds for a module as a whole.
//!
//! In: the module. Out: which tables only ever hold references to the module's own functions, and whether there are types of objects, and the hints for branches. One look at all bodies, so
//! it is made once per module, and only when it is of use: when a table might be closed.

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
            for body in &module.bodies {
                find_writes(module, &bytes[body.range()], &mut closed);
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
