//! A store: everything that instances own, with the host's data beside it.
//!
//! Invariant: what handles point to (`Func`, `Memory`, …) lives at a fixed address until the store is dropped, and a
//! handle is only dereferenced after its store id has been compared. `VmStore` comes first, so that a pointer to it,
//! which is all that running code has, is also a pointer to the whole store.

use crate::config::Tier;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::instance::InstanceData;
use crate::native::registry::Lately;
use crate::pre::Prepared;
use crate::runtime::context::{HostFunc, Interrupt, Slot, VmContext, VmFuncRef, VmGlobal, VmStore};
use crate::runtime::gc::roots::Roots;
use crate::runtime::image::MemoryImage;
pub use crate::runtime::limits::StoreLimits;
use crate::runtime::memory::LinearMemory;
use crate::runtime::stacks::{self, Stacks};
use crate::runtime::table::TableData;
use crate::sys::NATIVE_AVAILABLE;
use crate::value::Val;
use smallvec::SmallVec;
use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use wasm::{GlobalType, HeldTypes, MemoryType, RefType, TableType, TypeId};

/// Tells stores apart; never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) struct StoreId(u64);

/// Values at fixed addresses, freed together.
pub(crate) struct Arena<T>(SmallVec<[NonNull<T>; 2]>);

impl<T> Arena<T> {
    fn new() -> Self {
        Arena(SmallVec::new())
    }
    /// Moves the value in; the pointer is valid until the arena is dropped.
    pub(crate) fn push(&mut self, value: T) -> NonNull<T> {
        let p = NonNull::from(Box::leak(Box::new(value)));
        self.0.push(p);
        p
    }
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = NonNull<T>> + '_ {
        self.0.iter().copied()
    }
}

impl<T> Drop for Arena<T> {
    fn drop(&mut self) {
        for p in self.0.drain(..) {
            // SAFETY: the pointer came from `Box::leak` in `push` and is freed once.
            drop(unsafe { Box::from_raw(p.as_ptr()) });
        }
    }
}

/// A global with its type.
pub(crate) struct GlobalData {
    /// Where the value is: in the context of the instance that made the global, or in `own`.
    pub(crate) at: *mut VmGlobal,
    pub(crate) ty: GlobalType,
    own: VmGlobal,
}

impl GlobalData {
    /// A global, zero at first; `at` is to be set where it has come to lie.
    pub(crate) fn new(ty: GlobalType) -> GlobalData {
        GlobalData { at: std::ptr::null_mut(), ty, own: VmGlobal::default() }
    }
    /// Keeps the value beside the type.
    pub(crate) fn settle(&mut self) {
        self.at = &raw mut self.own;
    }
}

/// A tag.
pub(crate) struct TagData {
    pub(crate) ty: TypeId,
}

/// A function reference made for the host.
#[repr(C)]
pub(crate) struct HostFuncData {
    pub(crate) func_ref: VmFuncRef,
    /// Keeps what `func_ref.host` points to alive.
    pub(crate) _host: Arc<HostFunc>,
}

// SAFETY: the pointers lead to the host function, which can be called from everywhere; nothing is ever written.
unsafe impl Send for HostFuncData {}
// SAFETY: as above.
unsafe impl Sync for HostFuncData {}

/// The part of a store that does not depend on the host's data.
#[repr(C)]
pub(crate) struct StoreOpaque {
    pub(crate) vm: VmStore,
    pub(crate) id: StoreId,
    pub(crate) engine: Engine,
    pub(crate) instances: Arena<InstanceData>,
    pub(crate) memories: Arena<LinearMemory>,
    pub(crate) shared_memories: Vec<Arc<LinearMemory>>,
    pub(crate) tables: Arena<TableData>,
    pub(crate) globals: Arena<GlobalData>,
    pub(crate) tags: Arena<TagData>,
    /// Types of what the host has made.
    pub(crate) types: HeldTypes,
    pub(crate) host_funcs: Arena<HostFuncData>,
    pub(crate) externs: Vec<Box<dyn Any + Send + Sync>>,
    /// References that the host holds.
    pub(crate) roots: RefCell<Roots>,
    /// What instances refer to that was made before the store.
    prepared: SmallVec<[Arc<Prepared>; 1]>,
    /// Where guest code runs, while a call is going on.
    pub(crate) stacks: Option<Box<Stacks>>,
    /// Those that the fields below and in `vm` speak of, 0 at first.
    pub(crate) stacks_id: u64,
    /// The first slot.
    pub(crate) stack_base: *mut Slot,
    /// The argument area that all contexts know.
    pub(crate) args: *mut u8,
    /// Native stack pointer at the outermost call into the guest, or 0.
    pub(crate) native_base: usize,
    /// Places in compiled code that walks over frames have come by.
    pub(crate) code_found: Lately,
}

impl StoreOpaque {
    /// The table of where the next objects go, made when it is first asked for.
    pub(crate) fn bumps(&mut self) -> *mut u8 {
        self.vm.bumps.get_or_insert_with(crate::runtime::gc::heap::Bumps::new).address()
    }

    fn new(engine: &Engine) -> StoreOpaque {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        StoreOpaque {
            vm: VmStore {
                stack_limit: std::ptr::null_mut(),
                fuel: 0,
                native_limit: 0,
                slot_top: std::ptr::null_mut(),
                native_live: std::ptr::null(),
                tail_code: std::ptr::null(),
                tail_adapter: std::ptr::null(),
                tail_context: std::ptr::null_mut(),
                handed_over: false,
                native_sp: 0,
                segment: usize::from(crate::sys::segment_available()),
                native_top: 0,
                native_size: 0,
                emergency_top: 0,
                fault: Default::default(),
                nested: 0,
                budget_left: i64::from(engine.config().interval()) - 1,
                budget: i64::from(engine.config().interval()) - 1,
                sampled: engine.config().tier == Tier::Auto && NATIVE_AVAILABLE,
                host_top: std::ptr::null_mut(),
                interrupt: Arc::new(Interrupt::default()),
                deadline: None,
                cross_calls: Vec::new(),
                unwind: None,
                exceptions: Default::default(),
                site: None,
                trace: Default::default(),
                guarded: SmallVec::new(),
                limits: StoreLimits::default(),
                bytes: 0,
                heap: None,
                bumps: None,
            },
            id: StoreId(NEXT.fetch_add(1, Ordering::Relaxed)),
            engine: engine.clone(),
            instances: Arena::new(),
            memories: Arena::new(),
            shared_memories: Vec::new(),
            tables: Arena::new(),
            globals: Arena::new(),
            tags: Arena::new(),
            types: HeldTypes::default(),
            host_funcs: Arena::new(),
            externs: Vec::new(),
            roots: RefCell::default(),
            prepared: SmallVec::new(),
            stacks: None,
            stacks_id: 0,
            stack_base: std::ptr::null_mut(),
            args: std::ptr::null_mut(),
            native_base: 0,
            code_found: Lately::default(),
        }
    }

    /// Keeps what was made before the store as long as it.
    pub(crate) fn keep(&mut self, prepared: &Arc<Prepared>) {
        if !self.prepared.iter().any(|p| Arc::ptr_eq(p, prepared)) {
            self.prepared.push(prepared.clone());
        }
    }

    /// Keeps a type that the host names as long as the store.
    pub(crate) fn hold(&mut self, ty: RefType) -> RefType {
        RefType { heap: self.engine.types().hold(&mut self.types, ty.heap), ..ty }
    }

    /// Refuses handles of other stores.
    pub(crate) fn check(&self, id: StoreId) -> Result<()> {
        if self.id == id { Ok(()) } else { Err(Error::api("a handle was used with a store it does not belong to")) }
    }

    /// Refuses modules of other engines: canonical types mean something else there.
    pub(crate) fn check_engine(&self, engine: &Engine) -> Result<()> {
        match Engine::same(&self.engine, engine) {
            true => Ok(()),
            false => Err(Error::api("module and store belong to different engines")),
        }
    }

    /// Makes a global, zero at first, with its value beside its type.
    pub(crate) fn add_global(&mut self, ty: GlobalType) -> NonNull<GlobalData> {
        let g = self.globals.push(GlobalData::new(ty));
        // SAFETY: the global was just made; arenas do not move what they own.
        unsafe { (*g.as_ptr()).settle() };
        g
    }

    /// Makes a memory, perhaps with an image.
    ///
    /// # Errors
    /// When there may be no more of them, or its size cannot be had.
    pub(crate) fn add_memory(
        &mut self,
        ty: MemoryType,
        image: Option<&Arc<MemoryImage>>,
    ) -> Result<NonNull<LinearMemory>> {
        self.admit_memory(&ty)?;
        let p = self.memories.push(LinearMemory::new(ty, &self.engine, image)?);
        self.note_guarded(p);
        Ok(p)
    }

    /// Makes a shared memory that is known nowhere yet.
    ///
    /// # Errors
    /// As for the others.
    pub(crate) fn add_shared(&mut self, ty: MemoryType) -> Result<NonNull<LinearMemory>> {
        self.admit_memory(&ty)?;
        let memory = Arc::new(LinearMemory::new(ty, &self.engine, None)?);
        self.shared_memories.push(memory.clone());
        let p = NonNull::from(&*memory);
        self.note_guarded(p);
        Ok(p)
    }

    fn admit_memory(&mut self, ty: &MemoryType) -> Result<()> {
        let count = self.memories.len() + self.shared_memories.len();
        within(self.vm.limits.memories, count + 1, "memories")?;
        self.vm.admit_memory(ty.min.saturating_mul(1 << ty.page_size_log2))
    }

    /// Makes a shared memory usable from this store.
    ///
    /// # Errors
    /// When it is larger than may be.
    pub(crate) fn adopt_shared(&mut self, memory: &Arc<LinearMemory>) -> Result<NonNull<LinearMemory>> {
        let p = NonNull::from(&**memory);
        if !self.shared_memories.iter().any(|m| Arc::ptr_eq(m, memory)) {
            self.vm.admit_memory(memory.vm.len() as u64)?;
            self.shared_memories.push(memory.clone());
            self.note_guarded(p);
        }
        Ok(p)
    }

    fn note_guarded(&mut self, p: NonNull<LinearMemory>) {
        // SAFETY: memories of the store are valid as long as it is.
        if unsafe { p.as_ref().guarded } {
            self.vm.guarded.push(p.as_ptr());
        }
    }

    /// Makes a table with every element `init`.
    ///
    /// # Errors
    /// When there may be no more of them, or its size cannot be had.
    pub(crate) fn add_table(&mut self, ty: TableType, init: Slot) -> Result<NonNull<TableData>> {
        within(self.vm.limits.tables, self.tables.len() + 1, "tables")?;
        self.vm.admit_table(ty.min)?;
        Ok(self.tables.push(TableData::new(ty, init)?))
    }
}

pub(crate) fn within(limit: Option<usize>, n: usize, what: &str) -> Result<()> {
    match limit {
        Some(l) if n > l => Err(Error::limit(format!("the store may hold {l} {what} at most"))),
        _ => Ok(()),
    }
}

#[repr(C)]
pub(crate) struct StoreInner<T: 'static> {
    pub(crate) opaque: StoreOpaque,
    pub(crate) data: T,
}

/// Instances and what they own, with the host's data of type `T`.
pub struct Store<T: 'static> {
    inner: NonNull<StoreInner<T>>,
    _owns: PhantomData<StoreInner<T>>,
}

// SAFETY: a store's raw pointers lead only to what the store owns, to immutable modules, and to shared memories that
// are made for several threads; it is used by one thread at a time through borrows.
unsafe impl<T: Send> Send for Store<T> {}

impl<T: 'static> Store<T> {
    /// Makes an empty store.
    pub fn new(engine: &Engine, data: T) -> Store<T> {
        let inner = Box::new(StoreInner { opaque: StoreOpaque::new(engine), data });
        Store { inner: NonNull::from(Box::leak(inner)), _owns: PhantomData }
    }

    fn get(&self) -> &StoreInner<T> {
        // SAFETY: `inner` is owned by `self` and borrowed with it.
        unsafe { self.inner.as_ref() }
    }
    fn get_mut(&mut self) -> &mut StoreInner<T> {
        // SAFETY: as above, exclusively.
        unsafe { self.inner.as_mut() }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.get().opaque.engine
    }
    /// The host's data.
    pub fn data(&self) -> &T {
        &self.get().data
    }
    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.get_mut().data
    }
    /// Drops the instances and answers the host's data.
    pub fn into_data(self) -> T {
        // SAFETY: `inner` came from `Box::leak`; `self` is forgotten, so it is freed once.
        let inner = unsafe { Box::from_raw(self.inner.as_ptr()) };
        std::mem::forget(self);
        let StoreInner { opaque, data } = *inner;
        drop(opaque);
        stacks::trim();
        data
    }

    /// Sets the remaining fuel.
    ///
    /// # Errors
    /// When the engine was made without fuel.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        if !self.engine().config().fuel {
            return Err(Error::api("the engine's configuration does not count fuel"));
        }
        self.get_mut().opaque.vm.fuel = i64::try_from(fuel).unwrap_or(i64::MAX);
        Ok(())
    }

    /// The remaining fuel.
    ///
    /// # Errors
    /// When the engine was made without fuel.
    pub fn get_fuel(&self) -> Result<u64> {
        if !self.engine().config().fuel {
            return Err(Error::api("the engine's configuration does not count fuel"));
        }
        Ok(self.get().opaque.vm.fuel.max(0) as u64)
    }

    /// Makes guests trap once the moment has passed.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        let store = &mut self.get_mut().opaque;
        store.vm.deadline = deadline;
        let config = store.engine.config();
        if let (Some(deadline), true) = (deadline, config.tier != Tier::Interp && config.interruption) {
            store.engine.timer().set(deadline, &store.vm.interrupt);
        }
    }

    /// A handle with which another thread can stop the guest.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle(self.get().opaque.vm.interrupt.clone())
    }

    /// Limits what the store may hold from now on.
    pub fn limits(&mut self, limits: StoreLimits) {
        self.get_mut().opaque.vm.limits = limits;
    }
}

impl<T: 'static> Drop for Store<T> {
    fn drop(&mut self) {
        // Contexts are about to be freed; handles of other threads and the timer may live on.
        self.get().opaque.vm.interrupt.forget();
        // SAFETY: `inner` came from `Box::leak` and is freed once.
        drop(unsafe { Box::from_raw(self.inner.as_ptr()) });
        stacks::trim();
    }
}

/// Stops the guest of a store from another thread.
#[derive(Clone)]
pub struct InterruptHandle(Arc<Interrupt>);

impl InterruptHandle {
    /// Makes the running guest trap soon, or the next one at its first loop or call. Holds for one trap.
    pub fn interrupt(&self) {
        self.0.flag.store(true, Ordering::Relaxed);
        self.0.poll(true);
    }
}

/// A shared borrow of a store.
pub struct StoreContext<'a, T: 'static>(pub(crate) &'a StoreInner<T>);

/// An exclusive borrow of a store.
pub struct StoreContextMut<'a, T: 'static>(pub(crate) &'a mut StoreInner<T>);

impl<T: 'static> StoreInner<T> {
    pub(crate) fn opaque(&self) -> &StoreOpaque {
        &self.opaque
    }
    pub(crate) fn opaque_mut(&mut self) -> &mut StoreOpaque {
        &mut self.opaque
    }
}

/// What a store can be read through.
pub trait AsContext {
    /// The host's data.
    type Data: 'static;
    /// Borrows the store.
    fn as_context(&self) -> StoreContext<'_, Self::Data>;
}

/// What a store can be changed through.
pub trait AsContextMut: AsContext {
    /// Borrows the store.
    fn as_context_mut(&mut self) -> StoreContextMut<'_, Self::Data>;
}

impl<T: 'static> AsContext for Store<T> {
    type Data = T;
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.get())
    }
}
impl<T: 'static> AsContextMut for Store<T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(self.get_mut())
    }
}
impl<T: 'static> AsContext for StoreContext<'_, T> {
    type Data = T;
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.0)
    }
}
impl<T: 'static> AsContext for StoreContextMut<'_, T> {
    type Data = T;
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.0)
    }
}
impl<T: 'static> AsContextMut for StoreContextMut<'_, T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(self.0)
    }
}
impl<C: AsContext> AsContext for &C {
    type Data = C::Data;
    fn as_context(&self) -> StoreContext<'_, C::Data> {
        C::as_context(self)
    }
}
impl<C: AsContext> AsContext for &mut C {
    type Data = C::Data;
    fn as_context(&self) -> StoreContext<'_, C::Data> {
        C::as_context(self)
    }
}
impl<C: AsContextMut> AsContextMut for &mut C {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, C::Data> {
        C::as_context_mut(self)
    }
}

/// The store as a host function sees it, with the instance that called.
pub struct Caller<'a, T: 'static> {
    pub(crate) store: &'a mut StoreInner<T>,
    pub(crate) instance: *mut VmContext,
}

impl<T: 'static> Caller<'_, T> {
    /// The host's data.
    pub fn data(&self) -> &T {
        &self.store.data
    }
    /// The host's data.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.store.data
    }
    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.store.opaque.engine
    }
    /// An export of the calling instance; `None` as well when the host itself called.
    pub fn get_export(&mut self, name: &str) -> Option<crate::Extern> {
        let instance = NonNull::new(self.instance)?;
        // SAFETY: contexts are the first field of instances, which live as long as the store; it is borrowed exclusively.
        unsafe { InstanceData::export(instance.cast(), &self.store.opaque, name) }
    }
    /// The remaining fuel.
    ///
    /// # Errors
    /// When the engine was made without fuel.
    pub fn get_fuel(&self) -> Result<u64> {
        if !self.engine().config().fuel {
            return Err(Error::api("the engine's configuration does not count fuel"));
        }
        Ok(self.store.opaque.vm.fuel.max(0) as u64)
    }
}

impl<T: 'static> AsContext for Caller<'_, T> {
    type Data = T;
    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.store)
    }
}
impl<T: 'static> AsContextMut for Caller<'_, T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(self.store)
    }
}

/// Checks arguments against a list of types.
pub(crate) fn check_values(store: &StoreOpaque, values: &[Val], types: &[wasm::ValType], what: &str) -> Result<()> {
    if values.len() != types.len() {
        return Err(Error::api(format!("expected {} {what}, got {}", types.len(), values.len())));
    }
    values.iter().zip(types).try_for_each(|(v, &t)| v.check(store, t))
}
