//! Instantiation: a module, what it imports, and a store become an instance.
//!
//! Invariant: `InstanceData` never moves (its store's arena owns it) and its context is its first field, so that the
//! context pointer of running code leads to the whole instance.

use crate::config::Tier;
use crate::constant::evaluate;
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
use std::sync::atomic::AtomicU64;
use wasm::{
    ConstExpr, DataMode, ElemItems, ElemMode, ExternKind, GlobalType, Import, ImportType, MemoryType, TableType, TypeId,
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
    /// The index spaces of what is reached through pointers.
    spaces: Pointers,
    /// The module's own globals with their types.
    pub(crate) own_globals: Box<[GlobalData]>,
    /// Zeroed until used; as many as the module has functions of its own.
    func_refs: Box<[VmFuncRef]>,
    pub(crate) dropped_elems: SmallVec<[bool; 8]>,
    pub(crate) dropped_data: SmallVec<[bool; 8]>,
    /// What element segments hold whose expressions make objects; as many as there are segments, or none.
    pub(crate) elem_values: Box<[Option<Box<[Slot]>>]>,
}

/// Index spaces in one piece of memory, one behind the other.
struct Pointers {
    all: Box<[*mut u8]>,
    /// Where those of tables, memories, globals, their items and tags begin; imported functions come first.
    starts: [u32; 5],
}

impl Pointers {
    fn new(s: &Spaces) -> Pointers {
        let lens = [s.funcs.len(), s.tables.len(), s.memories.len(), s.globals.len(), s.globals.len()];
        let mut starts = [0; 5];
        let mut at = 0;
        for (start, len) in starts.iter_mut().zip(lens) {
            at += len as u32;
            *start = at;
        }
        let mut all = Vec::with_capacity(at as usize + s.tags.len());
        all.extend(s.funcs.iter().map(|p| p.cast::<u8>().cast_mut()));
        all.extend(s.tables.iter().map(|p| p.cast::<u8>()));
        all.extend(s.memories.iter().map(|p| p.cast::<u8>()));
        // SAFETY: the store owns the globals.
        all.extend(s.globals.iter().map(|g| unsafe { g.as_ref().at.cast::<u8>() }));
        all.extend(s.globals.iter().map(|g| g.as_ptr().cast::<u8>()));
        all.extend(s.tags.iter().map(|p| p.cast::<u8>()));
        Pointers { all: all.into(), starts }
    }

    /// The address of a space: 0 is that of imported functions.
    fn space<T>(&self, space: usize) -> *const T {
        let start = if space == 0 { 0 } else { self.starts[space - 1] as usize };
        self.all[start..].as_ptr().cast()
    }

    /// A pointer in a space.
    fn get<T>(&self, space: usize, i: u32) -> *mut T {
        let start = if space == 0 { 0 } else { self.starts[space - 1] };
        let end = self.starts.get(space).map_or(self.all.len(), |&s| s as usize);
        self.all[start as usize..end][i as usize].cast()
    }
}

const FUNCS: usize = 0;
const TABLES: usize = 1;
const MEMORIES: usize = 2;
const GLOBALS: usize = 3;
const GLOBAL_ITEMS: usize = 4;
const TAGS: usize = 5;

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
        let mut found = std::ptr::null();
        self.func_refs(&[func], |_, r| found = r);
        found
    }

    /// The references to many functions, with their positions in the list.
    #[inline(always)]
    fn func_refs(&mut self, funcs: &[u32], mut put: impl FnMut(usize, *const VmFuncRef)) {
        let InstanceData { context, module, spaces, func_refs, .. } = self;
        let (raw, plan) = (&module.inner.raw, module.inner.plan());
        let imported = raw.imported_funcs();
        let (cells, native_cells, context) = (context.cells, context.native_cells, &raw mut *context);
        let call_by_cell = crate::sys::call_by_cell();
        for (i, &func) in funcs.iter().enumerate() {
            let Some(own) = func.checked_sub(imported) else {
                put(i, spaces.get(FUNCS, func));
                continue;
            };
            let r = &mut func_refs[own as usize];
            if r.cell.is_null() {
                let type_id = raw.funcs[func as usize];
                let [param_slots, result_slots] = plan.shape(type_id);
                *r = VmFuncRef {
                    // SAFETY: `cells` has one cell per function of the module's own.
                    cell: unsafe { cells.add(own as usize) },
                    context,
                    host: std::ptr::null(),
                    type_id: type_id.0,
                    func_index: func,
                    param_slots,
                    result_slots,
                    // SAFETY: there is a native cell for each of them too.
                    native: unsafe { native_cells.add(own as usize) },
                    code: call_by_cell,
                };
            }
            put(i, r);
        }
    }

    pub(crate) fn memory(&self, i: u32) -> *mut LinearMemory {
        self.spaces.get(MEMORIES, i)
    }
    pub(crate) fn tag(&self, i: u32) -> *const TagData {
        self.spaces.get::<TagData>(TAGS, i)
    }
    pub(crate) fn table(&self, i: u32) -> *mut TableData {
        self.spaces.get(TABLES, i)
    }
    pub(crate) fn global(&self, i: u32) -> *mut VmGlobal {
        self.spaces.get(GLOBALS, i)
    }

    /// The export of that name of an instance of the store.
    ///
    /// # Safety
    /// The store must be borrowed exclusively, with no reference to the instance: one to a function may be made.
    pub(crate) unsafe fn export(this: NonNull<InstanceData>, store: &StoreOpaque, name: &str) -> Option<Extern> {
        // SAFETY: the caller's contract; what an export is is not in the instance but in its module.
        unsafe {
            let e = this.as_ref().module.inner.raw.export(name)?;
            let (kind, index) = (e.kind, e.index);
            Some(Self::item(this, store, kind, index))
        }
    }

    /// # Safety
    /// As [`InstanceData::export`]; the index must be one of the kind's.
    unsafe fn item(mut this: NonNull<InstanceData>, store: &StoreOpaque, kind: ExternKind, index: u32) -> Extern {
        let id = store.id;
        // SAFETY: the caller's contract. The arrays hold valid pointers to items of the store.
        unsafe {
            match kind {
                ExternKind::Func => {
                    Func { store: id, ptr: NonNull::new_unchecked(this.as_mut().func_ref(index).cast_mut()) }.into()
                }
                ExternKind::Table => {
                    Table { store: id, ptr: NonNull::new_unchecked(this.as_ref().table(index)) }.into()
                }
                ExternKind::Memory => {
                    let ptr = NonNull::new_unchecked(this.as_ref().memory(index));
                    let shared = store.shared_memories.iter().find(|m| std::ptr::eq(&raw const ***m, ptr.as_ptr()));
                    match shared {
                        Some(m) => crate::SharedMemory { memory: m.clone() }.into(),
                        None => Memory { store: id, ptr }.into(),
                    }
                }
                ExternKind::Global => {
                    let ptr = NonNull::new_unchecked(this.as_ref().spaces.get(GLOBAL_ITEMS, index));
                    Global { store: id, ptr }.into()
                }
                ExternKind::Tag => {
                    Tag { store: id, ptr: NonNull::new_unchecked(this.as_ref().spaces.get(TAGS, index)) }.into()
                }
            }
        }
    }
}

impl Instance {
    /// Instantiates a module: links, initialises, and runs its start function.
    ///
    /// # Errors
    /// When imports do not fit, limits are exceeded, or the start function or an active segment traps.
    pub fn new(mut ctx: impl AsContextMut, module: &Module, imports: &[Extern]) -> Result<Instance> {
        let store = ctx.as_context_mut().0.opaque_mut();
        store.check_engine(module.engine())?;
        let raw = &module.inner.raw;
        let (want, have) = (raw.imports.len(), imports.len());
        if want != have {
            return Err(Error::link(format!("the module has {want} imports, {have} were given")));
        }
        let mut spaces = Spaces::default();
        for (import, item) in raw.imports.iter().zip(imports) {
            link_item(store, module, import, item, &mut spaces)?;
        }
        Self::link(store, module, spaces)
    }

    /// The same with imports that have been checked.
    pub(crate) fn link(store: &mut StoreOpaque, module: &Module, imported: Spaces) -> Result<Instance> {
        let ptr = create(store, module, imported)?;
        let instance = Instance { store: store.id, ptr };
        // SAFETY: the instance belongs to the store, which is borrowed exclusively, and nothing of it runs yet.
        unsafe { initialise(ptr.as_ptr(), module)? };
        if let Some(start) = module.inner.raw.start {
            // SAFETY: the instance belongs to the store; a start function has neither parameters nor results.
            unsafe {
                let func = NonNull::new_unchecked((*ptr.as_ptr()).func_ref(start).cast_mut());
                invoke(store, func, |_, _| {}, |_, _| {})?;
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
    pub fn get_export(&self, mut ctx: impl AsContextMut, name: &str) -> Option<Extern> {
        let store = ctx.as_context_mut().0.opaque_mut();
        store.check(self.store).expect("the instance belongs to this store");
        // SAFETY: the store keeps its instances, and is borrowed exclusively.
        unsafe { InstanceData::export(self.ptr, store, name) }
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
        let (data, exports) = (self.ptr, &self.get(store).module.inner.raw.exports);
        exports.iter().map(move |e| {
            // SAFETY: as above; the names belong to the module, and no reference to the instance is alive.
            let item = unsafe { InstanceData::item(data, store, e.kind, e.index) };
            Export { name: &e.name, item }
        })
    }
    /// The module it was made of.
    pub fn module(&self, ctx: impl AsContext) -> Module {
        self.get(ctx.as_context().0.opaque()).module.clone()
    }
}

/// Pointers to everything in an instance's index spaces, or to what is imported of it.
#[derive(Default)]
pub(crate) struct Spaces {
    pub(crate) funcs: SmallVec<[*const VmFuncRef; 8]>,
    tables: SmallVec<[*mut TableData; 2]>,
    memories: SmallVec<[*mut LinearMemory; 2]>,
    globals: SmallVec<[NonNull<GlobalData>; 8]>,
    tags: SmallVec<[*mut TagData; 2]>,
}

/// Makes the instance of a module of the store's engine with its own items, none initialised beyond defaults.
fn create(store: &mut StoreOpaque, module: &Module, mut spaces: Spaces) -> Result<NonNull<InstanceData>> {
    crate::store::within(store.vm.limits.instances, store.instances.len() + 1, "instances")?;
    let raw = &module.inner.raw;
    let mut image = if spaces.memories.is_empty() { module.inner.image_for_instance() } else { None };
    for ty in &raw.memories[spaces.memories.len()..] {
        let ptr = if ty.shared { store.add_shared(*ty)? } else { store.add_memory(*ty, image.take())? };
        spaces.memories.push(ptr.as_ptr());
    }
    for table in &raw.tables[spaces.tables.len()..] {
        spaces.tables.push(store.add_table(table.ty, 0)?.as_ptr());
    }
    let imported_globals = spaces.globals.len();
    let mut own_globals: Box<[GlobalData]> =
        raw.globals[imported_globals..].iter().map(|g| GlobalData::new(g.ty)).collect();
    for global in &mut own_globals {
        global.settle();
        spaces.globals.push(NonNull::from(global));
    }
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
            args: store.args,
            interrupt: AtomicU64::new(0),
            native_cells: module.code(guarded).native.cells(),
            exception: 0,
            object_types: module.inner.plan().object_types(),
            bumps: if module.inner.plan().has_objects() { store.bumps() } else { std::ptr::null_mut() },
            own_globals: Default::default(),
            raise: crate::sys::raise(),
        },
        module: module.clone(),
        spaces: Pointers::new(&spaces),
        own_globals,
        func_refs: zeroed_func_refs(own_funcs),
        dropped_elems: SmallVec::from_elem(false, raw.elems.len()),
        dropped_data: SmallVec::from_elem(false, raw.data.len()),
        elem_values: Box::default(),
    };
    let mut ptr = store.instances.push(data);
    // SAFETY: the instance was just made and is not shared yet; the arrays never move.
    let d = unsafe { ptr.as_mut() };
    let config = store.engine.config();
    if config.interruption && config.tier != Tier::Interp {
        // SAFETY: the store never moves or frees an instance; it calls `forget` before it is dropped.
        unsafe { store.vm.interrupt.watch(&raw const d.context.interrupt) };
    }
    place_globals(d, &spaces.globals, imported_globals);
    d.context.imports = d.spaces.space(FUNCS);
    d.context.globals = d.spaces.space(GLOBALS);
    d.context.memories = d.spaces.space(MEMORIES);
    d.context.tables = d.spaces.space(TABLES);
    d.context.func_refs = d.func_refs.as_mut_ptr();
    Ok(ptr)
}

/// Lets the first globals of the instance's own have their values in its context.
fn place_globals(d: &mut InstanceData, items: &[NonNull<GlobalData>], imported: usize) {
    let first = d.spaces.starts[GLOBALS - 1] as usize;
    for (i, (own, item)) in d.context.own_globals.iter_mut().zip(&items[imported..]).enumerate() {
        d.spaces.all[first + imported + i] = (&raw mut *own).cast();
        // SAFETY: the instance owns the global, which nobody else knows yet.
        unsafe { (*item.as_ptr()).at = own };
    }
}

fn zeroed_func_refs(n: usize) -> Box<[VmFuncRef]> {
    // SAFETY: null pointers and zeros are valid for every field; a null cell marks an unused reference.
    unsafe { Box::new_zeroed_slice(n).assume_init() }
}

/// What is said of an item that does not fit an import.
#[cold]
fn misfit(module: &Module, import: &Import, have: &str) -> Error {
    let want = module.imports().find(|i| i.module() == &*import.module && i.name() == &*import.name);
    let want = want.map_or(String::new(), |w| w.ty().to_string());
    let (m, n) = (&import.module, &import.name);
    Error::link(format!("incompatible import type for `{m}` `{n}`: the module wants {want}, got {have}"))
}

/// Checks the type of a function that is to be imported.
pub(crate) fn func_fits(module: &Module, import: &Import, have: TypeId) -> Result<()> {
    match import.ty {
        ImportType::Func(want) if module.engine().types().is_subtype(have, want) => Ok(()),
        ImportType::Func(_) => Err(misfit(module, import, &format!("func {}", module.func_type(have)))),
        _ => Err(misfit(module, import, "a function")),
    }
}

/// Checks an item against an import, and adds it to its index space.
pub(crate) fn link_item(
    store: &mut StoreOpaque,
    module: &Module,
    import: &Import,
    item: &Extern,
    spaces: &mut Spaces,
) -> Result<()> {
    let wrong = |have: crate::ExternType| Err(misfit(module, import, &have.to_string()));
    match (import.ty, item) {
        (ImportType::Func(_), Extern::Func(f)) => {
            store.check(f.store)?;
            func_fits(module, import, f.type_id())?;
            spaces.funcs.push(f.ptr.as_ptr());
        }
        (ImportType::Table(want), Extern::Table(t)) => {
            store.check(t.store)?;
            // SAFETY: the table belongs to the store.
            let (ty, len) = unsafe { (t.ptr.as_ref().ty, t.ptr.as_ref().len()) };
            if !table_fits(&ty, len, &want) {
                return wrong(crate::ExternType::Table(TableType { min: len, ..ty }));
            }
            spaces.tables.push(t.ptr.as_ptr());
        }
        (ImportType::Memory(want), Extern::Memory(m)) => {
            store.check(m.store)?;
            // SAFETY: the memory belongs to the store.
            let have = unsafe { m.ptr.as_ref() };
            if !memory_fits(have, &want) {
                return wrong(crate::ExternType::Memory(MemoryType { min: have.pages(), ..have.ty }));
            }
            spaces.memories.push(m.ptr.as_ptr());
        }
        (ImportType::Memory(want), Extern::SharedMemory(m)) => {
            if !memory_fits(&m.memory, &want) {
                return wrong(crate::ExternType::Memory(m.ty()));
            }
            spaces.memories.push(store.adopt_shared(&m.memory)?.as_ptr());
        }
        (ImportType::Global(want), Extern::Global(g)) => {
            store.check(g.store)?;
            // SAFETY: the global belongs to the store.
            let have = unsafe { g.ptr.as_ref().ty };
            if !global_fits(store, &have, &want) {
                return wrong(crate::ExternType::Global(have));
            }
            spaces.globals.push(g.ptr);
        }
        (ImportType::Tag(want), Extern::Tag(t)) => {
            store.check(t.store)?;
            // SAFETY: the tag belongs to the store.
            if unsafe { t.ptr.as_ref().ty } != want {
                return Err(misfit(module, import, "a tag of another type"));
            }
            spaces.tags.push(t.ptr.as_ptr());
        }
        (_, other) => return Err(misfit(module, import, &format!("a {}", other.kind_name()))),
    }
    Ok(())
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
///
/// # Safety
/// The instance must be a new one of a store that is borrowed exclusively.
unsafe fn initialise(d: *mut InstanceData, module: &Module) -> Result<()> {
    let raw = &module.inner.raw;
    // SAFETY: the caller's contract; memories of the instance are valid as long as the store. No reference to the instance is
    // kept while an expression is evaluated, because that may collect garbage.
    unsafe {
        let image = raw.memories.first().map(|_| &*(*d).memory(0)).filter(|m| m.has_image());
        let before_data = initialise_others(d, module);
        if before_data.is_err() {
            // References in imported tables may have made this memory reachable.
            if let Some(memory) = image {
                memory.erase_image();
            }
            return before_data;
        }
        for (i, data) in raw.data.iter().enumerate() {
            if let DataMode::Active { memory, offset } = &data.mode {
                // An image holds all active segments.
                if image.is_none() {
                    let at = as_index(raw.memories[*memory as usize].is64, evaluate(d, offset)?[0]);
                    bulk::memory_init(&mut *d, *memory, i as u32, at, 0, data.range.len() as u64).map_err(trap)?;
                }
                (&mut (*d).dropped_data)[i] = true;
            }
        }
    }
    Ok(())
}

/// Everything before data segments.
///
/// # Safety
/// As [`initialise`].
unsafe fn initialise_others(d: *mut InstanceData, module: &Module) -> Result<()> {
    let raw = &module.inner.raw;
    // SAFETY: the caller's contract; globals and tables are valid as long as the store.
    unsafe {
        for (i, global) in raw.globals.iter().enumerate() {
            if let Some(init) = &global.init {
                let value = evaluate(d, init)?;
                (*(*d).global(i as u32)).value = value;
            }
        }
        for (i, table) in raw.tables.iter().enumerate() {
            if let Some(init) = &table.init {
                let [slot, _] = evaluate(d, init)?;
                (*(*d).table(i as u32)).elements_mut().fill(slot);
            }
        }
        evaluate_segments(d, raw)?;
        for (i, elem) in raw.elems.iter().enumerate() {
            match &elem.mode {
                ElemMode::Active { table, offset } => {
                    let at = as_index(raw.tables[*table as usize].ty.is64, evaluate(d, offset)?[0]);
                    let len = elem.items.len() as u64;
                    bulk::table_init_from(&mut *d, module, *table, i as u32, at, 0, len).map_err(trap)?;
                    (&mut (*d).dropped_elems)[i] = true;
                }
                ElemMode::Declared => (&mut (*d).dropped_elems)[i] = true,
                ElemMode::Passive => {}
            }
        }
    }
    Ok(())
}

/// Evaluates the expressions of element segments that make objects: once, so that each use finds the same ones.
///
/// # Safety
/// As [`initialise`].
unsafe fn evaluate_segments(d: *mut InstanceData, raw: &wasm::Module) -> Result<()> {
    for (i, elem) in raw.elems.iter().enumerate() {
        let ElemItems::Exprs(exprs) = &elem.items else { continue };
        if !exprs.iter().any(ConstExpr::allocates) {
            continue;
        }
        // SAFETY: the caller's contract. Values are put where a collection finds them as they are made.
        unsafe {
            if (&(*d).elem_values).is_empty() {
                (*d).elem_values = vec![None; raw.elems.len()].into();
            }
            (&mut (*d).elem_values)[i] = Some(vec![0; exprs.len()].into());
            for (j, e) in exprs.iter().enumerate() {
                let value = evaluate(d, e)?[0];
                if let Some(values) = &mut (&mut (*d).elem_values)[i] {
                    values[j] = value;
                }
            }
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

/// The elements of a segment of the instance's module, evaluated.
pub(crate) fn segment_slots(
    d: &mut InstanceData,
    module: &Module,
    segment: u32,
    range: std::ops::Range<usize>,
    mut put: impl FnMut(usize, Slot),
) -> Result<()> {
    if let Some(Some(values)) = d.elem_values.get(segment as usize) {
        values[range].iter().enumerate().for_each(|(i, &v)| put(i, v));
        return Ok(());
    }
    match &module.inner.raw.elems[segment as usize].items {
        ElemItems::Funcs(funcs) => d.func_refs(&funcs[range], |i, r| put(i, r as Slot)),
        ElemItems::Exprs(exprs) => {
            for (i, e) in exprs[range].iter().enumerate() {
                // SAFETY: the instance is borrowed exclusively, and these expressions allocate nothing.
                put(i, unsafe { evaluate(d, e)?[0] });
            }
        }
    }
    Ok(())
}
