//! Memories, tables, globals and tags as the host sees them, and what is exported or imported.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::func::Func;
use crate::runtime::limits;
use crate::runtime::memory::LinearMemory;
use crate::runtime::table::TableData;
use crate::store::{AsContext, AsContextMut, GlobalData, StoreId, StoreOpaque, TagData};
use crate::value::Val;
use std::ptr::NonNull;
use std::sync::Arc;
use wasm::{FuncType, GlobalType, MemoryType, TableType, ValType};

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident => $target:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name {
            pub(crate) store: StoreId,
            pub(crate) ptr: NonNull<$target>,
        }
        // SAFETY: the pointer is only followed while the store with this id is borrowed.
        unsafe impl Send for $name {}
        // SAFETY: as above.
        unsafe impl Sync for $name {}

        impl $name {
            fn inner<'a>(&self, store: &'a StoreOpaque) -> &'a $target {
                store.check(self.store).expect("the handle belongs to this store");
                // SAFETY: the store keeps what its handles point to; shared access with the store's borrow.
                unsafe { self.ptr.as_ref() }
            }
        }
    };
}

handle!(
    /// A linear memory of a store. Methods panic when given another store.
    Memory => LinearMemory
);
handle!(
    /// A table of a store. Methods panic when given another store.
    Table => TableData
);
handle!(
    /// A global of a store. Methods panic when given another store.
    Global => GlobalData
);
handle!(
    /// An exception tag of a store. Methods panic when given another store.
    Tag => TagData
);

impl Memory {
    /// Makes a memory.
    ///
    /// # Errors
    /// When its initial size cannot be had, or it is shared (see [`SharedMemory`]).
    pub fn new(mut ctx: impl AsContextMut, ty: MemoryType) -> Result<Memory> {
        let store = ctx.as_context_mut().0.opaque_mut();
        if ty.shared {
            return Err(Error::api("a shared memory is made with SharedMemory::new"));
        }
        check_memory_type(&ty)?;
        Ok(Memory { store: store.id, ptr: store.add_memory(ty, None)? })
    }

    /// Its type, with the present size as minimum.
    pub fn ty(&self, ctx: impl AsContext) -> MemoryType {
        let m = self.inner(ctx.as_context().0.opaque());
        MemoryType { min: m.pages(), ..m.ty }
    }

    /// Its size in pages.
    pub fn size(&self, ctx: impl AsContext) -> u64 {
        self.inner(ctx.as_context().0.opaque()).pages()
    }

    /// Its size in bytes.
    pub fn data_size(&self, ctx: impl AsContext) -> usize {
        self.inner(ctx.as_context().0.opaque()).vm.len()
    }

    /// Its bytes. For a shared memory other threads may change them meanwhile.
    pub fn data<'a, T: 'static>(&self, ctx: &'a impl AsContext<Data = T>) -> &'a [u8] {
        let m = self.inner(ctx.as_context().0.opaque());
        // SAFETY: base and length describe accessible memory of the store, which is borrowed for `'a`.
        unsafe { std::slice::from_raw_parts(m.vm.base, m.vm.len()) }
    }

    /// Its bytes, to change.
    pub fn data_mut<'a, T: 'static>(&self, ctx: &'a mut impl AsContextMut<Data = T>) -> &'a mut [u8] {
        let m = self.inner(ctx.as_context().0.opaque());
        // SAFETY: as in `data`; the store is borrowed exclusively for `'a`.
        unsafe { std::slice::from_raw_parts_mut(m.vm.base, m.vm.len()) }
    }

    /// Its bytes and the host's data at once.
    pub fn data_and_store_mut<'a, T: 'static>(
        &self,
        ctx: &'a mut impl AsContextMut<Data = T>,
    ) -> (&'a mut [u8], &'a mut T) {
        let m = self.inner(ctx.as_context().0.opaque());
        let (base, len) = (m.vm.base, m.vm.len());
        let data: *mut T = &raw mut ctx.as_context_mut().0.data;
        // SAFETY: guest memory and the host's data do not overlap; both belong to the store borrowed for `'a`.
        unsafe { (std::slice::from_raw_parts_mut(base, len), &mut *data) }
    }

    /// Copies bytes out.
    ///
    /// # Errors
    /// When the range is not within the memory.
    pub fn read(&self, ctx: impl AsContext, offset: usize, to: &mut [u8]) -> Result<()> {
        ctx.as_context().0.opaque().check(self.store)?;
        let data = self.data(&ctx);
        let from = offset.checked_add(to.len()).and_then(|end| data.get(offset..end));
        to.copy_from_slice(from.ok_or_else(|| out_of_bounds(offset, to.len()))?);
        Ok(())
    }

    /// Copies bytes in.
    ///
    /// # Errors
    /// When the range is not within the memory.
    pub fn write(&self, mut ctx: impl AsContextMut, offset: usize, from: &[u8]) -> Result<()> {
        ctx.as_context().0.opaque().check(self.store)?;
        let data = self.data_mut(&mut ctx);
        let to = offset.checked_add(from.len()).and_then(|end| data.get_mut(offset..end));
        to.ok_or_else(|| out_of_bounds(offset, from.len()))?.copy_from_slice(from);
        Ok(())
    }

    /// Grows by a number of pages; answers the size before.
    ///
    /// # Errors
    /// When type, limits or the host do not allow it.
    pub fn grow(&self, mut ctx: impl AsContextMut, delta: u64) -> Result<u64> {
        let store = ctx.as_context_mut().0.opaque_mut();
        store.check(self.store)?;
        // SAFETY: the exclusive borrow of the store rules out references into the memory.
        unsafe { limits::grow_memory(&raw mut store.vm, self.ptr.as_ptr(), delta) }
            .ok_or_else(|| Error::limit(format!("cannot grow the memory by {delta} pages")))
    }
}

fn out_of_bounds(offset: usize, len: usize) -> Error {
    Error::api(format!("{len} bytes at {offset:#x} are not within the memory"))
}

fn check_memory_type(ty: &MemoryType) -> Result<()> {
    let most = ty.absolute_max_pages();
    if ty.min > most || ty.max.is_some_and(|m| m < ty.min || m > most) || !matches!(ty.page_size_log2, 0 | 16) {
        return Err(Error::api("the limits of the memory type make no sense"));
    }
    Ok(())
}

/// A memory that several threads, each with its own store, can use.
#[derive(Clone)]
pub struct SharedMemory {
    pub(crate) memory: Arc<LinearMemory>,
}

impl SharedMemory {
    /// Makes a shared memory; its maximum is reserved at once.
    ///
    /// # Errors
    /// When the type is not shared or the address space cannot be had.
    pub fn new(engine: &Engine, ty: MemoryType) -> Result<SharedMemory> {
        if !ty.shared || ty.max.is_none() {
            return Err(Error::api("a shared memory needs a shared type with a maximum"));
        }
        check_memory_type(&ty)?;
        Ok(SharedMemory { memory: Arc::new(LinearMemory::new(ty, engine, None)?) })
    }
    /// Its type, with the present size as minimum.
    pub fn ty(&self) -> MemoryType {
        MemoryType { min: self.memory.pages(), ..self.memory.ty }
    }
    /// Its size in pages.
    pub fn size(&self) -> u64 {
        self.memory.pages()
    }
}

impl Table {
    /// Makes a table with every element `init`.
    ///
    /// # Errors
    /// When `init` does not suit the type or the size cannot be had.
    pub fn new(mut ctx: impl AsContextMut, ty: TableType, init: Val) -> Result<Table> {
        let store = ctx.as_context_mut().0.opaque_mut();
        let ty = TableType { element: store.hold(ty.element), ..ty };
        let init = slot_of(store, init, ValType::Ref(ty.element))?;
        Ok(Table { store: store.id, ptr: store.add_table(ty, init)? })
    }
    /// Its type, with the present size as minimum.
    pub fn ty(&self, ctx: impl AsContext) -> TableType {
        let t = self.inner(ctx.as_context().0.opaque());
        TableType { min: t.len(), ..t.ty }
    }
    /// Its number of elements.
    pub fn size(&self, ctx: impl AsContext) -> u64 {
        self.inner(ctx.as_context().0.opaque()).len()
    }
    /// An element, or `None` outside the table.
    pub fn get(&self, ctx: impl AsContext, index: u64) -> Option<Val> {
        let ctx = ctx.as_context();
        let store = ctx.0.opaque();
        let t = self.inner(store);
        let at = t.range(index, 1)?.start;
        // SAFETY: `at` is within the table, whose elements have its type.
        unsafe { Some(Val::load(t.vm.base.add(at), ValType::Ref(t.ty.element), store)) }
    }
    /// Sets an element.
    ///
    /// # Errors
    /// Outside the table, or when the value does not suit its type.
    pub fn set(&self, ctx: impl AsContextMut, index: u64, value: Val) -> Result<()> {
        self.fill(ctx, index, value, 1)
    }
    /// Sets `len` elements from `start` on.
    ///
    /// # Errors
    /// Outside the table, or when the value does not suit its type.
    pub fn fill(&self, mut ctx: impl AsContextMut, start: u64, value: Val, len: u64) -> Result<()> {
        let store = ctx.as_context_mut().0.opaque_mut();
        store.check(self.store)?;
        let slot = slot_of(store, value, ValType::Ref(self.inner(store).ty.element))?;
        let t = self.get_mut(store)?;
        let range = t.range(start, len).ok_or_else(|| Error::api("out of bounds table access"))?;
        t.elements_mut()[range].fill(slot);
        Ok(())
    }
    /// Grows by `delta` elements of `init`; answers the size before.
    ///
    /// # Errors
    /// When type, limits or the host do not allow it.
    pub fn grow(&self, mut ctx: impl AsContextMut, delta: u64, init: Val) -> Result<u64> {
        let store = ctx.as_context_mut().0.opaque_mut();
        store.check(self.store)?;
        let slot = slot_of(store, init, ValType::Ref(self.inner(store).ty.element))?;
        // SAFETY: the store owns the table, and is borrowed exclusively.
        unsafe { limits::grow_table(&raw mut store.vm, self.ptr.as_ptr(), delta, slot) }
            .ok_or_else(|| Error::limit(format!("cannot grow the table by {delta} elements")))
    }

    /// The table, to change.
    fn get_mut<'a>(&self, store: &'a mut StoreOpaque) -> Result<&'a mut TableData> {
        store.check(self.store)?;
        // SAFETY: the store owns the table, and is borrowed exclusively for as long.
        Ok(unsafe { &mut *self.ptr.as_ptr() })
    }
}

/// The slot of a reference that suits the type.
fn slot_of(store: &StoreOpaque, value: Val, ty: ValType) -> Result<u64> {
    value.check(store, ty)?;
    let mut slot = [0; 2];
    // SAFETY: two slots suffice for any value.
    unsafe { value.store(slot.as_mut_ptr(), store) };
    Ok(slot[0])
}

impl Global {
    /// Makes a global.
    ///
    /// # Errors
    /// When the value does not suit the type.
    pub fn new(mut ctx: impl AsContextMut, ty: GlobalType, value: Val) -> Result<Global> {
        let store = ctx.as_context_mut().0.opaque_mut();
        let content = if let ValType::Ref(r) = ty.content { ValType::Ref(store.hold(r)) } else { ty.content };
        let ty = GlobalType { content, ..ty };
        value.check(store, ty.content)?;
        let ptr = store.add_global(ty);
        // SAFETY: the global was just made and has two slots.
        unsafe { value.store((*ptr.as_ref().at).value.as_mut_ptr(), store) };
        Ok(Global { store: store.id, ptr })
    }
    /// Its type.
    pub fn ty(&self, ctx: impl AsContext) -> GlobalType {
        self.inner(ctx.as_context().0.opaque()).ty
    }
    /// Its value.
    pub fn get(&self, ctx: impl AsContext) -> Val {
        let ctx = ctx.as_context();
        let store = ctx.0.opaque();
        let g = self.inner(store);
        // SAFETY: a global holds a value of its type.
        unsafe { Val::load((*g.at).value.as_ptr(), g.ty.content, store) }
    }
    /// Sets its value.
    ///
    /// # Errors
    /// When it is immutable or the value does not suit its type.
    pub fn set(&self, mut ctx: impl AsContextMut, value: Val) -> Result<()> {
        let store = ctx.as_context_mut().0.opaque_mut();
        store.check(self.store)?;
        let ty = self.inner(store).ty;
        if !ty.mutable {
            return Err(Error::api("the global is immutable"));
        }
        value.check(store, ty.content)?;
        // SAFETY: the store owns the global and is borrowed exclusively.
        unsafe { value.store((*self.ptr.as_ref().at).value.as_mut_ptr(), store) };
        Ok(())
    }
}

impl Tag {
    /// Makes a tag whose exceptions carry the parameters of `ty`.
    pub fn new(mut ctx: impl AsContextMut, ty: FuncType) -> Tag {
        let store = ctx.as_context_mut().0.opaque_mut();
        let ty = store.engine.types().intern_func(&mut store.types, ty);
        Tag { store: store.id, ptr: store.tags.push(TagData { ty }) }
    }
    /// Its type.
    pub fn ty(&self, ctx: impl AsContext) -> FuncType {
        let ctx = ctx.as_context();
        let store = ctx.0.opaque();
        let none = FuncType { params: Box::new([]), results: Box::new([]) };
        store.engine.types().func(self.inner(store).ty).unwrap_or(none)
    }
}

/// Something that modules import and export.
#[derive(Clone)]
#[allow(missing_docs)]
pub enum Extern {
    Func(Func),
    Table(Table),
    Memory(Memory),
    SharedMemory(SharedMemory),
    Global(Global),
    Tag(Tag),
}

macro_rules! extern_from {
    ($($variant:ident $into:ident),*) => {
        $(impl From<$variant> for Extern {
            fn from(v: $variant) -> Extern {
                Extern::$variant(v)
            }
        })*
        impl Extern {
            $(
                /// The item, if it is of this kind.
                pub fn $into(self) -> Option<$variant> {
                    if let Extern::$variant(v) = self { Some(v) } else { None }
                }
            )*
        }
    };
}
extern_from!(Func into_func, Table into_table, Memory into_memory, SharedMemory into_shared_memory, Global into_global, Tag into_tag);

/// The type of something that modules import and export.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum ExternType {
    Func(FuncType),
    Table(TableType),
    Memory(MemoryType),
    Global(GlobalType),
    Tag(FuncType),
}

impl Extern {
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Extern::Func(_) => "function",
            Extern::Table(_) => "table",
            Extern::Memory(_) | Extern::SharedMemory(_) => "memory",
            Extern::Global(_) => "global",
            Extern::Tag(_) => "tag",
        }
    }
}

impl std::fmt::Display for ExternType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let limits = |f: &mut std::fmt::Formatter<'_>, min: u64, max: Option<u64>| match max {
            Some(max) => write!(f, "{min}..={max}"),
            None => write!(f, "{min}.."),
        };
        match self {
            ExternType::Func(t) => write!(f, "func {t}"),
            ExternType::Tag(t) => write!(f, "tag {t}"),
            ExternType::Global(g) if g.mutable => write!(f, "global mut {}", g.content),
            ExternType::Global(g) => write!(f, "global {}", g.content),
            ExternType::Table(t) => {
                write!(f, "table {}{} ", if t.is64 { "i64 " } else { "" }, t.element)?;
                limits(f, t.min, t.max)
            }
            ExternType::Memory(m) => {
                write!(f, "memory {}{}", if m.is64 { "i64 " } else { "" }, if m.shared { "shared " } else { "" })?;
                limits(f, m.min, m.max)?;
                if m.page_size_log2 == 16 { Ok(()) } else { write!(f, " pages of {} bytes", 1u64 << m.page_size_log2) }
            }
        }
    }
}
