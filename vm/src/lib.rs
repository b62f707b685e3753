//! A WebAssembly runtime.
//!
//! In: modules, host functions. Out: running guests. The public API is in the files at the top of this crate:
//! [`Engine`] (settings, canonical types), [`Module`] (parsed once), [`Linker`] (names to items), [`Store`] (what
//! instances own), [`Instance`], [`Func`] and its typed form. Below it lie `interp` (register bytecode and its
//! handlers), `runtime` (memories, tables, contexts) and `sys` (mappings, signals).
//!
//! Invariant: nothing a guest does can reach memory outside its store; everything it does wrong is an [`Error`].
//!
//! ```
//! # fn main() -> vm::Result<()> {
//! let engine = vm::Engine::default();
//! let module = vm::Module::new(&engine, r#"(module (func (export "add") (param i32 i32) (result i32)
//!     local.get 0 local.get 1 i32.add))"#)?;
//! let mut store = vm::Store::new(&engine, ());
//! let instance = vm::Linker::new(&engine).instantiate(&mut store, &module)?;
//! let add = instance.get_typed_func::<(i32, i32), i32>(&mut store, "add")?;
//! assert_eq!(add.call(&mut store, (2, 3))?, 5);
//! # Ok(()) }
//! ```

mod cache;
mod config;
mod constant;
mod engine;
mod error;
mod externs;
mod func;
mod instance;
mod interp;
mod linker;
mod module;
mod native;
mod parallel;
mod plan;
mod pre;
mod profile;
mod reference;
mod runtime;
mod store;
mod sys;
mod tier;
mod trap;
mod typed;
mod value;

pub use cache::{Ahead, Cache, CacheContents, CacheEntry, Progress};
pub use config::{Config, MemoryMode, Processor, Profile, Tier, Validation};
pub use engine::Engine;
pub use error::{Error, ModuleError, Result};
pub use externs::{Extern, ExternType, Global, Memory, SharedMemory, Table, Tag};
pub use func::Func;
pub use instance::{Export, Instance};
pub use jit::Stage;
pub use jit::passes::Pass;
pub use linker::Linker;
pub use module::{ExportType, ImportType, Module};
pub use pre::InstancePre;
pub use reference::{AnyRef, ExternRef, HeapStats, RefKind, collect_garbage, heap_stats, scope};
pub use store::{AsContext, AsContextMut, Caller, InterruptHandle, Store, StoreContext, StoreContextMut, StoreLimits};
pub use sys::exit_after;
pub use tier::filter::CompileFilter;
pub use tier::log::{Compilation, CompileStats};
pub use trap::{Frame, Trap, TrapKind};
pub use typed::{IntoFunc, TypedFunc, WasmParams, WasmResults, WasmRet, WasmTy};
pub use value::{V128, Val};
pub use wasm::default_features;
pub use wasm::{
    CompositeType, Features, FieldType, FuncType, GlobalType, HeapType, MemoryType, RefType, StorageType, SubType,
    TableType, TypeId, ValType,
};
