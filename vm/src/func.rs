//! Functions as the host sees them: calling into the guest, and being called by it.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::instance::InstanceData;
use crate::interp::enter::invoke;
use crate::runtime::context::{HostCall, HostFunc, Slot, VmContext, VmFuncRef};
use crate::store::{AsContext, AsContextMut, Caller, HostFuncData, StoreId, StoreInner, StoreOpaque, check_values};
use crate::typed::{IntoFunc, TypedFunc, WasmParams, WasmResults};
use crate::value::Val;
use smallvec::SmallVec;
use std::ptr::NonNull;
use std::sync::Arc;
use wasm::{CompositeType, FuncType, HeldTypes, TypeId};

/// A function of a store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Func {
    pub(crate) store: StoreId,
    pub(crate) ptr: NonNull<VmFuncRef>,
}

// SAFETY: the pointer is only followed while the store with this id is borrowed.
unsafe impl Send for Func {}
// SAFETY: as above.
unsafe impl Sync for Func {}

impl std::fmt::Debug for Func {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Func({:p})", self.ptr)
    }
}

/// A host function before it belongs to a store.
#[derive(Clone)]
pub(crate) struct HostFuncDef {
    pub(crate) host: Arc<HostFunc>,
    pub(crate) ty: FuncType,
    pub(crate) type_id: TypeId,
}

impl HostFuncDef {
    pub(crate) fn new(engine: &Engine, ty: FuncType, call: Box<HostCall>) -> HostFuncDef {
        let mut types = HeldTypes::default();
        let type_id = engine.types().intern_func(&mut types, ty);
        Self::with_type(engine, type_id, types, call)
    }

    /// A function of a type that is held.
    pub(crate) fn with_type(engine: &Engine, type_id: TypeId, types: HeldTypes, call: Box<HostCall>) -> HostFuncDef {
        let none = || FuncType { params: Box::new([]), results: Box::new([]) };
        let ty = engine.types().func(type_id).unwrap_or_else(none);
        let slots = ty.param_slots().max(ty.result_slots());
        HostFuncDef { host: Arc::new(HostFunc { call, slots, _types: types }), ty, type_id }
    }

    /// The same function with its values as [`Val`]s.
    pub(crate) fn dynamic<T: 'static>(
        engine: &Engine,
        ty: FuncType,
        f: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> HostFuncDef {
        let types = ty.clone();
        let call = move |context: *mut VmContext, store: *mut StoreInner<T>, slots: *mut Slot| -> Result<()> {
            // SAFETY: running code passes the store it runs in and slots for the arguments and results of `ty`.
            unsafe {
                let mut args: SmallVec<[Val; 8]> = SmallVec::new();
                let mut at = slots;
                for &t in &types.params {
                    args.push(Val::load(at, t, &(*store).opaque));
                    at = at.add(t.slots() as usize);
                }
                let mut results: SmallVec<[Val; 8]> = SmallVec::new();
                for &t in &types.results {
                    results.push(Val::default_for(t).unwrap_or(Val::FuncRef(None)));
                }
                f(Caller { store: &mut *store, instance: context }, &args, &mut results)?;
                check_values(&(*store).opaque, &results, &types.results, "results")?;
                let mut at = slots;
                for (v, t) in results.iter().zip(&types.results) {
                    v.store(at, &(*store).opaque);
                    at = at.add(t.slots() as usize);
                }
            }
            Ok(())
        };
        HostFuncDef::new(engine, ty, crate::typed::erase(call))
    }

    /// A reference to the function, which any store may use.
    pub(crate) fn data(&self) -> HostFuncData {
        let func_ref = VmFuncRef {
            cell: std::ptr::null(),
            context: std::ptr::null_mut(),
            host: Arc::as_ptr(&self.host),
            type_id: self.type_id.0,
            func_index: u32::MAX,
            param_slots: self.ty.param_slots(),
            result_slots: self.ty.result_slots(),
            native: std::ptr::null(),
            code: std::ptr::null(),
        };
        HostFuncData { func_ref, _host: self.host.clone() }
    }

    /// Gives the function to a store.
    pub(crate) fn give_to(&self, store: &mut StoreOpaque) -> Func {
        // `func_ref` is the first field of a `repr(C)` structure.
        Func { store: store.id, ptr: store.host_funcs.push(self.data()).cast() }
    }
}

impl Func {
    /// Makes a function of a closure over values.
    pub fn new<T: 'static>(
        mut ctx: impl AsContextMut<Data = T>,
        ty: FuncType,
        f: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Func {
        let store = ctx.as_context_mut().0.opaque_mut();
        HostFuncDef::dynamic(&store.engine.clone(), ty, f).give_to(store)
    }

    /// Makes a function of a closure over Rust types.
    pub fn wrap<T: 'static, P, R>(mut ctx: impl AsContextMut<Data = T>, f: impl IntoFunc<T, P, R>) -> Func {
        let store = ctx.as_context_mut().0.opaque_mut();
        let (ty, call) = f.into_host();
        HostFuncDef::new(&store.engine.clone(), ty, call.0).give_to(store)
    }

    pub(crate) fn from_slot(slot: Slot, store: StoreId) -> Option<Func> {
        NonNull::new(slot as *mut VmFuncRef).map(|ptr| Func { store, ptr })
    }

    pub(crate) fn type_id(&self) -> TypeId {
        // SAFETY: callers have compared the store's id; references live as long as the store.
        TypeId(unsafe { self.ptr.as_ref().type_id })
    }

    /// Does something with the function's type, which is not copied for that.
    fn with_type<R>(&self, store: &StoreOpaque, f: impl FnOnce(&FuncType) -> Result<R>) -> Result<R> {
        store.check(self.store)?;
        // SAFETY: contexts are the first field of instances, which live as long as the store, whose id has been compared.
        let instance = unsafe { self.ptr.as_ref().context.cast::<InstanceData>().as_ref() };
        if let Some(ty) = instance.and_then(|i| i.module.inner.plan().func_type(self.type_id())) {
            return f(ty);
        }
        match &store.engine.types().get(self.type_id()).composite {
            CompositeType::Func(ty) => f(ty),
            _ => Err(Error::api("a function without a function type")),
        }
    }

    /// The function's type.
    ///
    /// # Panics
    /// When the function belongs to another store.
    pub fn ty(&self, ctx: impl AsContext) -> FuncType {
        self.with_type(ctx.as_context().0.opaque(), |t| Ok(t.clone())).expect("the function belongs to this store")
    }

    /// Calls the function. `results` must have as many elements as the function has results.
    ///
    /// # Errors
    /// When the arguments do not fit, or with the guest's trap or a host function's error.
    pub fn call(&self, mut ctx: impl AsContextMut, params: &[Val], results: &mut [Val]) -> Result<()> {
        let store = ctx.as_context_mut().0.opaque_mut();
        let ty = store.check(self.store).map(|()| store.engine.types().get(self.type_id()))?;
        let CompositeType::Func(ty) = &ty.composite else {
            return Err(Error::api("a function without a function type"));
        };
        check_values(store, params, &ty.params, "arguments")?;
        if results.len() != ty.results.len() {
            return Err(Error::api(format!("expected room for {} results, got {}", ty.results.len(), results.len())));
        }
        let write = |mut at: *mut Slot, store: &StoreOpaque| {
            for (v, t) in params.iter().zip(&ty.params) {
                // SAFETY: `invoke` offers room for all parameters.
                unsafe {
                    v.store(at, store);
                    at = at.add(t.slots() as usize);
                }
            }
        };
        let read = |mut at: *const Slot, store: &StoreOpaque| {
            for (r, &t) in results.iter_mut().zip(&ty.results) {
                // SAFETY: `invoke` answers where all results lie.
                unsafe {
                    *r = Val::load(at, t, store);
                    at = at.add(t.slots() as usize);
                }
            }
        };
        // SAFETY: the store has been checked, and `write` fills the parameters of the function's own type.
        unsafe { invoke(store, self.ptr, write, read) }
    }

    /// The same function with its types checked once.
    ///
    /// # Errors
    /// When the function's type is another.
    pub fn typed<P: WasmParams, R: WasmResults>(&self, ctx: impl AsContext) -> Result<TypedFunc<P, R>> {
        let store = ctx.as_context();
        let store = store.0.opaque();
        let fits = |want: &[wasm::ValType], have: &[wasm::ValType]| {
            let types = store.engine.types();
            want.len() == have.len() && want.iter().zip(have).all(|(&w, &h)| types.val_matches(h, w))
        };
        self.with_type(store, |ty| {
            // Parameters must match the other way round: what the host passes must suit the function.
            if fits(&ty.params, &P::types()) && fits(&R::types(), &ty.results) {
                return Ok(TypedFunc::new(*self));
            }
            let want = FuncType { params: P::types().as_slice().into(), results: R::types().as_slice().into() };
            Err(Error::api(format!("type mismatch: the function is {ty}, not {want}")))
        })
    }
}
