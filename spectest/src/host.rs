//! The host module `spectest` that scripts import, as the official harness defines it.
//!
//! In: a store and its linker. Out: the linker with every item of the module defined in it. Numeric globals hold
//! 666, tables have 10 to 20 elements and memories 1 to 2 pages; some scripts depend on each of these.

use vm::{
    Error, FuncType, Global, GlobalType, Linker, Memory, MemoryType, RefType, Result, SharedMemory, Store, Table,
    TableType, Val, ValType,
};

const MODULE: &str = "spectest";

/// Name and parameters of each printing function.
const PRINTERS: [(&str, &[ValType]); 7] = [
    ("print", &[]),
    ("print_i32", &[ValType::I32]),
    ("print_i64", &[ValType::I64]),
    ("print_f32", &[ValType::F32]),
    ("print_f64", &[ValType::F64]),
    ("print_i32_f32", &[ValType::I32, ValType::F32]),
    ("print_f64_f64", &[ValType::F64, ValType::F64]),
];

/// Name, type and value of each global.
const GLOBALS: [(&str, ValType, Val); 4] = [
    ("global_i32", ValType::I32, Val::I32(666)),
    ("global_i64", ValType::I64, Val::I64(666)),
    ("global_f32", ValType::F32, Val::F32(666.6f32.to_bits())),
    ("global_f64", ValType::F64, Val::F64(666.6f64.to_bits())),
];

/// Defines the module. With `print`, its printing functions write to standard output.
pub(crate) fn define(store: &mut Store<()>, linker: &mut Linker<()>, print: bool) -> Result<(), Error> {
    for (name, params) in PRINTERS {
        let ty = FuncType { params: params.into(), results: [].into() };
        linker.func_new(MODULE, name, ty, move |_, args, _| {
            if print {
                print_values(args);
            }
            Ok(())
        })?;
    }
    for (name, content, value) in GLOBALS {
        let global = Global::new(&mut *store, GlobalType { content, mutable: false }, value)?;
        linker.define(&mut *store, MODULE, name, global)?;
    }
    for (name, is64) in [("table", false), ("table64", true)] {
        let ty = TableType { element: RefType::FUNCREF, min: 10, max: Some(20), is64 };
        let table = Table::new(&mut *store, ty, Val::FuncRef(None))?;
        linker.define(&mut *store, MODULE, name, table)?;
    }
    let ty = MemoryType { min: 1, max: Some(2), is64: false, shared: false, page_size_log2: 16 };
    let memory = Memory::new(&mut *store, ty)?;
    linker.define(&mut *store, MODULE, "memory", memory)?;
    let shared = SharedMemory::new(store.engine(), MemoryType { shared: true, ..ty })?;
    linker.define(&mut *store, MODULE, "shared_memory", shared)?;
    Ok(())
}

/// One value a line, with its type, as the reference interpreter prints them.
fn print_values(args: &[Val]) {
    use std::io::Write;
    let mut text = String::new();
    for arg in args {
        text.push_str(&crate::value::describe(arg));
        text.push('\n');
    }
    if args.is_empty() {
        text.push('\n');
    }
    // A reader that went away is no concern of the script's.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
