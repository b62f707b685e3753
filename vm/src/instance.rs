//! Instantiation: a module, what it imports, and a store become an instance.
//!
//! Invariant: `InstanceData` never moves (its store's arena owns it) and its context is its first field, so that the
//! context pointer of running code leads to the whole instance.

use crate::error::{Error, Result};
use crate::externs::{Extern, Global, Memory, Table, Tag};
use crate::func::Func;
use crate::interp::enter::invoke;
use crate::module::Module;
use crate::runtime::bulk;
use crate::runtime::context::{Slot, VmContext, VmFuncRef, VmGlobal};
use crate::runtime::memory::LinearMemory;
use crate::runtime::table::TableData;
use crate::store::{AsContext, AsContextMut, GlobalData, StoreId, StoreOpaque, TagData};
use crate::trap::TrapKind;
use crate::typed::{TypedFunc, WasmParams, WasmResults};
use smallvec::SmallVec;
use std::ptr::NonNull;
use wasm::{
    ConstExpr, ConstOp, DataMode, ElemItems, ElemMode, ExternKind, GlobalType, ImportType, MemoryType, TableType,
};

/// An instance of a module in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    pub(crate) store: StoreId,
    pub(crate) ptr: NonNull<InstanceData>,
}

// SAFETY: the pointer is only followed while the store with this id is borrowed.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

/// Everything that belongs to an instance.
#[repr(C)]
pub(crate) struct InstanceData {
    pub(crate) context: VmContext,
    pub(crate) module: Module,
    imports: Box<[*const VmFuncRef]>,
    globals: Box<[*mut VmGlobal]>,
    /// The same globals with their types.
    global_items: Box<[NonNull<GlobalData>]>,
    memories: Box<[*mut LinearMemory]>,
    tables: Box<[*mut TableData]>,
    tags: Box<[*mut TagData]>,
    /// Zeroed until used; as many as the module has functions of its own.
    func_refs: Box<[VmFuncRef]>,
    pub(crate) dropped_elems: Box<[bool]>,
    pub(crate) dropped_data: Box<[bool]>,
}

/// An export with its name.
pub struct Export<'a> {
    name: &'a str,
    item: Extern,
}

impl Export<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }
    /// The item.
    pub fn into_extern(self) -> Extern {
        self.item
    }
}

impl InstanceData {
    /// The reference to a function of this instance.
    pub(crate) fn func_ref(&mut self, func: u32) -> *const VmFuncRef {
        let Some(own) = self.module.inner.raw.own_func(func) else { return self.imports[func as usize] };
        let r = &mut self.func_refs[own as usize];
        if r.cell.is_null() {
            let type_id = self.module.inner.raw.funcs[func as usize];
            let ty = self.module.func_type(type_id);
            *r = VmFuncRef {
                // SAFETY: `cells` has one cell per function of the module's own.
                cell: unsafe { self.context.cells.add(own as usize) },
                context: &raw mut self.context,
                host: std::ptr::null(),
                type_id: type_id.0,
                func_index: func,
                param_slots: ty.param_slots(),
                result_slots: ty.result_slots(),
                // SAFETY: there is a native cell for each of them too.
                native: unsafe { self.context.native_cells.add(own as usize) },
            };
        }
        r
    }

    pub(crate) fn memory(&self, i: u32) -> *mut LinearMemory {
        self.memories[i as usize]
    }
    pub(crate) fn tag(&self, i: u32) -> *const TagData {
        self.tags[i as usize]
    }
    pub(crate) fn table(&self, i: u32) -> *mut TableData {
        self.tables[i as usize]
    }

    pub(crate) fn export(&self, store: &StoreOpaque, name: &str) -> Option<Extern> {
        let e = self.module.inner.raw.export(name)?;
        Some(self.item(store, e.kind, e.index))
    }

    fn item(&self, store: &StoreOpaque, kind: ExternKind, index: u32) -> Extern {
        let (id, i) = (store.id, index as usize);
        // SAFETY: the arrays hold valid pointers to items of the store; making a function reference only changes
        // this instance's own array, through the pointer by which the store owns it.
        unsafe {
            let non_null = |p: *mut InstanceData| NonNull::new_unchecked((*p).func_ref(index).cast_mut());
            match kind {
                ExternKind::Func => Func { store: id, ptr: non_null((&raw const *self).cast_mut()) }.into(),
                ExternKind::Table => Table { store: id, ptr: NonNull::new_unchecked(self.tables[i]) }.into(),
                ExternKind::Memory => {
                    let ptr = NonNull::new_unchecked(self.memories[i]);
                    let shared = store.shared_memories.iter().find(|m| std::ptr::eq(&raw const ***m, ptr.as_ptr()));
                    match shared {
                        Some(m) => crate::SharedMemory { memory: m.clone() }.into(),
                        None => Memory { store: id, ptr }.into(),
                    }
                }
                ExternKind::Global => Global { store: id, ptr: self.global_items[i] }.into(),
                ExternKind::Tag => Tag { store: id, ptr: NonNull::new_unchecked(self.tags[i]) }.into(),
            }
        }
    }

    /// Evaluates a constant expression of this instance; the value's slots.
    pub(crate) fn evaluate(&mut self, expr: &ConstExpr) -> Result<[Slot; 2]> {
        let mut stack: SmallVec<[[Slot; 2]; 4]> = SmallVec::new();
        for op in &expr.0 {
            let value = match *op {
                ConstOp::I32Const(v) => [u64::from(v as u32), 0],
                ConstOp::I64Const(v) => [v as u64, 0],
                ConstOp::F32Const(v) => [u64::from(v), 0],
                ConstOp::F64Const(v) => [v, 0],
                ConstOp::V128Const(v) => [v as u64, (v >> 64) as u64],
                ConstOp::RefNull(_) => [0, 0],
                ConstOp::RefFunc(f) => [self.func_ref(f) as u64, 0],
                // SAFETY: globals before the one being made are initialised, and validation allows no others.
                ConstOp::GlobalGet(g) => unsafe { (*self.globals[g as usize]).value },
                ConstOp::Unsupported => {
                    return Err(Error::Unsupported("garbage collection in a constant expression".into()));
                }
                binary => {
                    // Validation guarantees two operands of the right type.
                    let (Some([b, _]), Some([a, _])) = (stack.pop(), stack.pop()) else {
                        return Err(Error::api("a constant expression lacks operands"));
                    };
                    [const_binary(binary, a, b), 0]
                }
            };
            stack.push(value);
        }
        stack.pop().ok_or_else(|| Error::api("a constant expression is empty"))
    }
}

fn const_binary(op: ConstOp, a: Slot, b: Slot) -> Slot {
    let (x, y) = (a as u32, b as u32);
    match op {
        ConstOp::I32Add => u64::from(x.wrapping_add(y)),
        ConstOp::I32Sub => u64::from(x.wrapping_sub(y)),
        ConstOp::I32Mul => u64::from(x.wrapping_mul(y)),
        ConstOp::I64Add => a.wrapping_add(b),
        ConstOp::I64Sub => a.wrapping_sub(b),
        _ => a.wrapping_mul(b),
    }
}

impl Instance {
    /// Instantiates a module: links, initialises, and runs its start function.
    ///
    /// # Errors
    /// When imports do not fit, limits are exceeded, or the start function or an active segment traps.
    pub fn new(mut ctx: impl AsContextMut, module: &Module, imports: &[Extern]) -> Result<Instance> {
        let store = ctx.as_context_mut().0.opaque_mut();
        let ptr = create(store, module, imports)?;
        let instance = Instance { store: store.id, ptr };
        initialise(store, ptr)?;
        if let Some(start) = module.inner.raw.start {
            // SAFETY: the instance belongs to the store; a start function has neither parameters nor results.
            unsafe {
                let func = NonNull::new_unchecked((*ptr.as_ptr()).func_ref(start).cast_mut());
                invoke(store, func, |_| {})?;
            }
        }
        Ok(instance)
    }

    fn get<'a>(&self, store: &'a StoreOpaque) -> &'a InstanceData {
        store.check(self.store).expect("the instance belongs to this store");
        // SAFETY: the store keeps its instances.
        unsafe { self.ptr.as_ref() }
    }

    /// The export of that name.
    pub fn get_export(&self, ctx: impl AsContextMut, name: &str) -> Option<Extern> {
        let ctx = ctx.as_context();
        self.get(ctx.0.opaque()).export(ctx.0.opaque(), name)
    }
    /// The exported function of that name.
    pub fn get_func(&self, ctx: impl AsContextMut, name: &str) -> Option<Func> {
        self.get_export(ctx, name)?.into_func()
    }
    /// The exported memory of that name.
    pub fn get_memory(&self, ctx: impl AsContextMut, name: &str) -> Option<Memory> {
        self.get_export(ctx, name)?.into_memory()
    }
    /// The exported table of that name.
    pub fn get_table(&self, ctx: impl AsContextMut, name: &str) -> Option<Table> {
        self.get_export(ctx, name)?.into_table()
    }
    /// The exported global of that name.
    pub fn get_global(&self, ctx: impl AsContextMut, name: &str) -> Option<Global> {
        self.get_export(ctx, name)?.into_global()
    }
    /// The exported function of that name and type.
    ///
    /// # Errors
    /// When there is none, or its type is another.
    pub fn get_typed_func<P: WasmParams, R: WasmResults>(
        &self,
        mut ctx: impl AsContextMut,
        name: &str,
    ) -> Result<TypedFunc<P, R>> {
        let func = self.get_func(ctx.as_context_mut(), name);
        func.ok_or_else(|| Error::api(format!("no function is exported as `{name}`")))?.typed(ctx.as_context())
    }
    /// All exports.
    pub fn exports<'a, T: 'static>(
        &self,
        ctx: &'a mut impl AsContextMut<Data = T>,
    ) -> impl ExactSizeIterator<Item = Export<'a>> {
        let store = ctx.as_context_mut().0.opaque_mut();
        let store: &'a StoreOpaque = {
            let p: *const StoreOpaque = store;
            // SAFETY: the context is borrowed exclusively for `'a`.
            unsafe { &*p }
        };
        let data = self.get(store);
        let exports = &data.module.inner.raw.exports;
        exports.iter().map(move |e| Export { name: &e.name, item: data.item(store, e.kind, e.index) })
    }
    /// The module it was made of.
    pub fn module(&self, ctx: impl AsContext) -> Module {
        self.get(ctx.as_context().0.opaque()).module.clone()
    }
}

/// Pointers to everything in an instance's index spaces.
#[derive(Default)]
struct Spaces {
    funcs: Vec<*const VmFuncRef>,
    tables: Vec<*mut TableData>,
    memories: Vec<*mut LinearMemory>,
    globals: Vec<NonNull<GlobalData>>,
    tags: Vec<*mut TagData>,
}

/// Links the imports and makes the instance with its own items, none initialised beyond defaults.
fn create(store: &mut StoreOpaque, module: &Module, imports: &[Extern]) -> Result<NonNull<InstanceData>> {
    if !crate::Engine::same(&store.engine, &module.inner.engine) {
        return Err(Error::api("module and store belong to different engines"));
    }
    crate::store::within(store.vm.limits.instances, store.instances.len() + 1, "instances")?;
    let raw = &module.inner.raw;
    let mut spaces = link(store, module, imports)?;
    for ty in &raw.memories[spaces.memories.len()..] {
        let ptr = if ty.shared {
            let shared = std::sync::Arc::new(LinearMemory::new(*ty, &store.engine)?);
            store.adopt_shared(&shared)
        } else {
            store.add_memory(LinearMemory::new(*ty, &store.engine)?)?
        };
        spaces.memories.push(ptr.as_ptr());
    }
    for table in &raw.tables[spaces.tables.len()..] {
        spaces.tables.push(store.add_table(TableData::new(table.ty, 0)?)?.as_ptr());
    }
    let imported_globals = spaces.globals.len();
    spaces.globals.extend(raw.globals[imported_globals..].iter().map(|g| store.add_global(g.ty)));
    for &ty in &raw.tags[spaces.tags.len()..] {
        spaces.tags.push(store.tags.push(TagData { ty }).as_ptr());
    }
    // SAFETY: memories in `spaces` are valid as long as the store.
    let mem0 = spaces.memories.first().map(|&m| unsafe { ((*m).guarded, (*m).vm.base) });
    let guarded = mem0.is_some_and(|(g, _)| g);
    let own_funcs = raw.bodies.len();
    module.prepare(guarded);
    let data = InstanceData {
        context: VmContext {
            store: &raw mut store.vm,
            mem0_base: mem0.filter(|m| m.0).map_or(std::ptr::null_mut(), |m| m.1),
            cells: module.code(guarded).cells(),
            imports: std::ptr::null(),
            globals: std::ptr::null(),
            memories: std::ptr::null(),
            tables: std::ptr::null(),
            func_refs: std::ptr::null_mut(),
            helpers: crate::native::helpers(),
            args: store.native_stack.as_ref().map_or(std::ptr::null_mut(), |s| s.args()),
            interrupt: &raw const store.vm.interrupt.poll,
            native_cells: module.code(guarded).native.cells(),
            exception: 0,
            own_globals: Default::default(),
        },
        module: module.clone(),
        imports: spaces.funcs.into(),
        // SAFETY: the store owns the globals.
        globals: spaces.globals.iter().map(|g| unsafe { g.as_ref().at }).collect(),
        global_items: spaces.globals.into(),
        memories: spaces.memories.into(),
        tables: spaces.tables.into(),
        tags: spaces.tags.into(),
        func_refs: zeroed_func_refs(own_funcs),
        dropped_elems: vec![false; raw.elems.len()].into(),
        dropped_data: vec![false; raw.data.len()].into(),
    };
    let mut ptr = store.instances.push(data);
    // SAFETY: the instance was just made and is not shared yet; the arrays never move.
    let d = unsafe { ptr.as_mut() };
    place_globals(d, imported_globals);
    d.context.imports = d.imports.as_ptr();
    d.context.globals = d.globals.as_ptr();
    d.context.memories = d.memories.as_ptr();
    d.context.tables = d.tables.as_ptr();
    d.context.func_refs = d.func_refs.as_mut_ptr();
    Ok(ptr)
}

/// Lets the first globals of the instance's own have their values in its context.
fn place_globals(d: &mut InstanceData, imported: usize) {
    for (i, own) in d.context.own_globals.iter_mut().enumerate().take(d.globals.len() - imported) {
        d.globals[imported + i] = own;
        // SAFETY: the store owns the global, which nobody else knows yet.
        unsafe { (*d.global_items[imported + i].as_ptr()).at = own };
    }
}

fn zeroed_func_refs(n: usize) -> Box<[VmFuncRef]> {
    // SAFETY: null pointers and zeros are valid for every field; a null cell marks an unused reference.
    unsafe { Box::new_zeroed_slice(n).assume_init() }
}

/// Checks every import against what was offered for it.
fn link(store: &mut StoreOpaque, module: &Module, offered: &[Extern]) -> Result<Spaces> {
    let raw = &module.inner.raw;
    if offered.len() != raw.imports.len() {
        return Err(Error::link(format!("the module has {} imports, {} were given", raw.imports.len(), offered.len())));
    }
    let mut spaces = Spaces::default();
    for (import, item) in raw.imports.iter().zip(offered) {
        let wrong = |have: String| {
            let want = module.imports().find(|i| i.module() == &*import.module && i.name() == &*import.name);
            let want = want.map_or(String::new(), |w| w.ty().to_string());
            let (m, n) = (&import.module, &import.name);
            Error::link(format!("incompatible import type for `{m}` `{n}`: the module wants {want}, got {have}"))
        };
        match (import.ty, item) {
            (ImportType::Func(want), Extern::Func(f)) => {
                store.check(f.store)?;
                if !store.engine.types().is_subtype(f.type_id(), want) {
                    return Err(wrong(format!("func {}", module.func_type(f.type_id()))));
                }
                spaces.funcs.push(f.ptr.as_ptr());
            }
            (ImportType::Table(want), Extern::Table(t)) => {
                store.check(t.store)?;
                // SAFETY: the table belongs to the store.
                let (ty, len) = unsafe { (t.ptr.as_ref().ty, t.ptr.as_ref().len()) };
                if !table_fits(&ty, len, &want) {
                    return Err(wrong(crate::ExternType::Table(TableType { min: len, ..ty }).to_string()));
                }
                spaces.tables.push(t.ptr.as_ptr());
            }
            (ImportType::Memory(want), Extern::Memory(m)) => {
                store.check(m.store)?;
                // SAFETY: the memory belongs to the store.
                let have = unsafe { m.ptr.as_ref() };
                if !memory_fits(have, &want) {
                    return Err(wrong(
                        crate::ExternType::Memory(MemoryType { min: have.pages(), ..have.ty }).to_string(),
                    ));
                }
                spaces.memories.push(m.ptr.as_ptr());
            }
            (ImportType::Memory(want), Extern::SharedMemory(m)) => {
                if !memory_fits(&m.memory, &want) {
                    return Err(wrong(crate::ExternType::Memory(m.ty()).to_string()));
                }
                spaces.memories.push(store.adopt_shared(&m.memory).as_ptr());
            }
            (ImportType::Global(want), Extern::Global(g)) => {
                store.check(g.store)?;
                // SAFETY: the global belongs to the store.
                let have = unsafe { g.ptr.as_ref().ty };
                if !global_fits(store, &have, &want) {
                    return Err(wrong(crate::ExternType::Global(have).to_string()));
                }
                spaces.globals.push(g.ptr);
            }
            (ImportType::Tag(want), Extern::Tag(t)) => {
                store.check(t.store)?;
                // SAFETY: the tag belongs to the store.
                if unsafe { t.ptr.as_ref().ty } != want {
                    return Err(wrong("a tag of another type".into()));
                }
                spaces.tags.push(t.ptr.as_ptr());
            }
            (_, other) => return Err(wrong(format!("a {}", other.kind_name()))),
        }
    }
    Ok(spaces)
}

fn limits_fit(have: (u64, Option<u64>), want: (u64, Option<u64>)) -> bool {
    have.0 >= want.0 && want.1.is_none_or(|w| have.1.is_some_and(|h| h <= w))
}

fn table_fits(have: &TableType, len: u64, want: &TableType) -> bool {
    have.element == want.element && have.is64 == want.is64 && limits_fit((len, have.max), (want.min, want.max))
}

fn memory_fits(have: &LinearMemory, want: &MemoryType) -> bool {
    let ty = &have.ty;
    (ty.is64, ty.shared, ty.page_size_log2) == (want.is64, want.shared, want.page_size_log2)
        && limits_fit((have.pages(), ty.max), (want.min, want.max))
}

fn global_fits(store: &StoreOpaque, have: &GlobalType, want: &GlobalType) -> bool {
    have.mutable == want.mutable
        && if want.mutable {
            have.content == want.content
        } else {
            store.engine.types().val_matches(have.content, want.content)
        }
}

/// Runs the initialisers in the specification's order: globals, tables, element segments, data segments.
fn initialise(_store: &mut StoreOpaque, ptr: NonNull<InstanceData>) -> Result<()> {
    // SAFETY: the instance belongs to the store, which is borrowed exclusively, and nothing of it runs yet.
    let d = unsafe { &mut *ptr.as_ptr() };
    let module = d.module.clone();
    let raw = &module.inner.raw;
    for (i, global) in raw.globals.iter().enumerate() {
        if let Some(init) = &global.init {
            let value = d.evaluate(init)?;
            // SAFETY: the store owns the global.
            unsafe { (*d.globals[i]).value = value };
        }
    }
    for (i, table) in raw.tables.iter().enumerate() {
        if let Some(init) = &table.init {
            let [slot, _] = d.evaluate(init)?;
            // SAFETY: the store owns the table.
            unsafe { (*d.tables[i]).elements_mut().fill(slot) };
        }
    }
    for (i, elem) in raw.elems.iter().enumerate() {
        match &elem.mode {
            ElemMode::Active { table, offset } => {
                let at = as_index(raw.tables[*table as usize].ty.is64, d.evaluate(offset)?[0]);
                bulk::table_init(d, *table, i as u32, at, 0, elem.items.len() as u64).map_err(trap)?;
                d.dropped_elems[i] = true;
            }
            ElemMode::Declared => d.dropped_elems[i] = true,
            ElemMode::Passive => {}
        }
    }
    for (i, data) in raw.data.iter().enumerate() {
        if let DataMode::Active { memory, offset } = &data.mode {
            let at = as_index(raw.memories[*memory as usize].is64, d.evaluate(offset)?[0]);
            bulk::memory_init(d, *memory, i as u32, at, 0, data.range.len() as u64).map_err(trap)?;
            d.dropped_data[i] = true;
        }
    }
    Ok(())
}

fn trap(kind: TrapKind) -> Error {
    Error::from(kind)
}

/// An index operand: i32 for 32-bit memories and tables.
fn as_index(is64: bool, slot: Slot) -> u64 {
    if is64 { slot } else { u64::from(slot as u32) }
}

/// The elements of a segment, evaluated.
pub(crate) fn segment_slots(
    d: &mut InstanceData,
    segment: u32,
    range: std::ops::Range<usize>,
    mut put: impl FnMut(usize, Slot),
) -> Result<()> {
    let module = d.module.clone();
    match &module.inner.raw.elems[segment as usize].items {
        ElemItems::Funcs(funcs) => {
            for (i, &f) in funcs[range].iter().enumerate() {
                put(i, d.func_ref(f) as u64);
            }
        }
        ElemItems::Exprs(exprs) => {
            for (i, e) in exprs[range].iter().enumerate() {
                put(i, d.evaluate(e)?[0]);
            }
        }
    }
    Ok(())
}
