//! Rust types for WebAssembly types: typed calls in, closures as host functions out.

use crate::error::Result;
use crate::func::Func;
use crate::interp::enter::invoke;
use crate::reference::{AnyRef, ExternRef};
use crate::runtime::context::{HostCall, Slot, VmContext};
use crate::store::{AsContextMut, Caller, StoreInner, StoreOpaque};
use crate::value::V128;
use smallvec::SmallVec;
use std::marker::PhantomData;
use wasm::{FuncType, HeapType, RefType, ValType};

/// A list of value types, inline when short.
#[allow(unreachable_pub)] // named by the signatures of public traits
pub type Types = SmallVec<[ValType; 8]>;

mod sealed {
    #[allow(unreachable_pub)]
    pub trait Sealed {}
}

/// A Rust type that is one WebAssembly value.
pub trait WasmTy: sealed::Sealed + Send + Sync + Sized + 'static {
    #[doc(hidden)]
    const TYPE: ValType;
    /// Whether the value belongs to the store.
    #[doc(hidden)]
    fn belongs(&self, _store: &StoreOpaqueRef<'_>) -> Result<()> {
        Ok(())
    }
    /// # Safety
    /// `at` must be valid for reads of the type's slots, which hold such a value.
    #[doc(hidden)]
    unsafe fn load(at: *const Slot, store: &StoreOpaqueRef<'_>) -> Self;
    /// # Safety
    /// `at` must be valid for writes of the type's slots.
    #[doc(hidden)]
    unsafe fn store(self, at: *mut Slot, store: &StoreOpaqueRef<'_>);
}

/// Hides the store's inner type from the public trait.
#[doc(hidden)]
pub struct StoreOpaqueRef<'a>(pub(crate) &'a StoreOpaque);

macro_rules! number {
    ($($rust:ty, $ty:ident, |$s:ident| $load:expr, |$v:ident| $store:expr;)*) => { $(
        impl sealed::Sealed for $rust {}
        impl WasmTy for $rust {
            const TYPE: ValType = ValType::$ty;
            #[inline(always)]
            unsafe fn load(at: *const Slot, _: &StoreOpaqueRef<'_>) -> Self {
                // SAFETY: the caller's contract.
                let $s = unsafe { *at };
                $load
            }
            #[inline(always)]
            unsafe fn store(self, at: *mut Slot, _: &StoreOpaqueRef<'_>) {
                let $v = self;
                // SAFETY: the caller's contract.
                unsafe { *at = $store }
            }
        }
    )* };
}

number! {
    i32, I32, |s| s as i32, |v| u64::from(v as u32);
    u32, I32, |s| s as u32, |v| u64::from(v);
    i64, I64, |s| s as i64, |v| v as u64;
    u64, I64, |s| s, |v| v;
    f32, F32, |s| f32::from_bits(s as u32), |v| u64::from(v.to_bits());
    f64, F64, |s| f64::from_bits(s), |v| v.to_bits();
}

impl sealed::Sealed for V128 {}
impl WasmTy for V128 {
    const TYPE: ValType = ValType::V128;
    unsafe fn load(at: *const Slot, _: &StoreOpaqueRef<'_>) -> Self {
        // SAFETY: the caller's contract: two slots.
        unsafe { V128(u128::from(*at) | u128::from(*at.add(1)) << 64) }
    }
    unsafe fn store(self, at: *mut Slot, _: &StoreOpaqueRef<'_>) {
        // SAFETY: the caller's contract: two slots.
        unsafe {
            *at = self.0 as u64;
            *at.add(1) = (self.0 >> 64) as u64;
        }
    }
}

impl sealed::Sealed for Option<Func> {}
impl WasmTy for Option<Func> {
    const TYPE: ValType = ValType::FUNCREF;
    fn belongs(&self, store: &StoreOpaqueRef<'_>) -> Result<()> {
        self.map_or(Ok(()), |f| store.0.check(f.store))
    }
    unsafe fn load(at: *const Slot, store: &StoreOpaqueRef<'_>) -> Self {
        // SAFETY: the caller's contract.
        Func::from_slot(unsafe { *at }, store.0.id)
    }
    unsafe fn store(self, at: *mut Slot, _: &StoreOpaqueRef<'_>) {
        // SAFETY: the caller's contract.
        unsafe { *at = self.map_or(0, |f| f.ptr.as_ptr() as u64) }
    }
}

macro_rules! object {
    ($($name:ident $heap:ident;)*) => { $(
        impl sealed::Sealed for Option<$name> {}
        impl WasmTy for Option<$name> {
            const TYPE: ValType = ValType::Ref(RefType { nullable: true, heap: HeapType::$heap });
            fn belongs(&self, store: &StoreOpaqueRef<'_>) -> Result<()> {
                self.map_or(Ok(()), |r| r.word(store.0).map(drop))
            }
            unsafe fn load(at: *const Slot, store: &StoreOpaqueRef<'_>) -> Self {
                // SAFETY: the caller's contract.
                $name::from_slot(unsafe { *at }, store.0)
            }
            unsafe fn store(self, at: *mut Slot, store: &StoreOpaqueRef<'_>) {
                // What belongs to the store has a word.
                let word = self.and_then(|r| r.word(store.0).ok()).unwrap_or(0);
                // SAFETY: the caller's contract.
                unsafe { *at = word }
            }
        }
    )* };
}
object! {
    AnyRef Any;
    ExternRef Extern;
}

impl sealed::Sealed for Func {}
impl WasmTy for Func {
    const TYPE: ValType = ValType::Ref(RefType { nullable: false, heap: HeapType::Func });
    fn belongs(&self, store: &StoreOpaqueRef<'_>) -> Result<()> {
        store.0.check(self.store)
    }
    unsafe fn load(at: *const Slot, store: &StoreOpaqueRef<'_>) -> Self {
        // SAFETY: the caller's contract: a reference that is not null.
        unsafe { Func { store: store.0.id, ptr: std::ptr::NonNull::new_unchecked(*at as *mut _) } }
    }
    unsafe fn store(self, at: *mut Slot, _: &StoreOpaqueRef<'_>) {
        // SAFETY: the caller's contract.
        unsafe { *at = self.ptr.as_ptr() as u64 }
    }
}

/// The parameters of a typed function: one value or a tuple.
pub trait WasmParams: Send {
    #[doc(hidden)]
    fn types() -> Types;
    #[doc(hidden)]
    fn belongs(&self, store: &StoreOpaqueRef<'_>) -> Result<()>;
    /// # Safety
    /// As [`WasmTy::store`] for all parameters.
    #[doc(hidden)]
    unsafe fn store(self, at: *mut Slot, store: &StoreOpaqueRef<'_>);
}

/// The results of a typed function: one value or a tuple.
pub trait WasmResults: Sized {
    #[doc(hidden)]
    fn types() -> Types;
    /// # Safety
    /// As [`WasmTy::load`] for all results.
    #[doc(hidden)]
    unsafe fn load(at: *const Slot, store: &StoreOpaqueRef<'_>) -> Self;
}

impl<V: WasmTy> WasmParams for V {
    fn types() -> Types {
        smallvec::smallvec![V::TYPE]
    }
    fn belongs(&self, store: &StoreOpaqueRef<'_>) -> Result<()> {
        WasmTy::belongs(self, store)
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut Slot, store: &StoreOpaqueRef<'_>) {
        // SAFETY: the caller's contract.
        unsafe { WasmTy::store(self, at, store) }
    }
}

impl<V: WasmTy> WasmResults for V {
    fn types() -> Types {
        smallvec::smallvec![V::TYPE]
    }
    #[inline(always)]
    unsafe fn load(at: *const Slot, store: &StoreOpaqueRef<'_>) -> Self {
        // SAFETY: the caller's contract.
        unsafe { <V as WasmTy>::load(at, store) }
    }
}

/// What a host function may answer.
pub trait WasmRet {
    #[doc(hidden)]
    type Values: WasmParams;
    #[doc(hidden)]
    fn into_values(self) -> Result<Self::Values>;
}

impl<V: WasmTy> WasmRet for V {
    type Values = V;
    #[inline(always)]
    fn into_values(self) -> Result<V> {
        Ok(self)
    }
}

impl<V: WasmRet> WasmRet for Result<V> {
    type Values = V::Values;
    #[inline(always)]
    fn into_values(self) -> Result<V::Values> {
        self.and_then(V::into_values)
    }
}

/// Closures that can become host functions: `Fn(A…) -> R` and `Fn(Caller<'_, T>, A…) -> R`.
pub trait IntoFunc<T: 'static, P, R>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_host(self) -> (FuncType, HostBody);
}

/// Removes the store's type from a host call: the closure is only called in stores of that type.
pub(crate) fn erase<T: 'static>(
    f: impl Fn(*mut VmContext, *mut StoreInner<T>, *mut Slot) -> Result<()> + Send + Sync + 'static,
) -> Box<HostCall> {
    Box::new(move |context: *mut VmContext, store: *mut crate::runtime::context::VmStore, slots: *mut Slot| {
        f(context, store.cast::<StoreInner<T>>(), slots)
    })
}

/// A closure that has become a host function.
#[doc(hidden)]
pub struct HostBody(pub(crate) Box<HostCall>);

/// Marks the signature of closures that take the caller.
#[doc(hidden)]
pub struct WithCaller;

macro_rules! arity {
    ($($A:ident)*) => {
        impl<$($A: WasmTy),*> WasmParams for ($($A,)*) {
            fn types() -> Types {
                smallvec::smallvec![$($A::TYPE),*]
            }
            #[allow(non_snake_case, unused_variables)]
            fn belongs(&self, store: &StoreOpaqueRef<'_>) -> Result<()> {
                let ($($A,)*) = self;
                $(WasmTy::belongs($A, store)?;)*
                Ok(())
            }
            #[allow(non_snake_case, unused_variables, unused_mut, unused_assignments, unused_unsafe, clippy::unused_unit)]
            #[inline(always)]
            unsafe fn store(self, mut at: *mut Slot, store: &StoreOpaqueRef<'_>) {
                let ($($A,)*) = self;
                // SAFETY: the caller's contract; values lie one behind the other.
                unsafe { $(
                    WasmTy::store($A, at, store);
                    at = at.add(<$A as SlotsOf>::slots_of());
                )* }
            }
        }
        impl<$($A: WasmTy),*> WasmResults for ($($A,)*) {
            fn types() -> Types {
                smallvec::smallvec![$($A::TYPE),*]
            }
            #[allow(non_snake_case, unused_variables, unused_mut, unused_assignments, unused_unsafe, clippy::unused_unit)]
            #[inline(always)]
            unsafe fn load(mut at: *const Slot, store: &StoreOpaqueRef<'_>) -> Self {
                // SAFETY: the caller's contract; values lie one behind the other.
                unsafe {
                    $(
                        let $A = <$A as WasmTy>::load(at, store);
                        at = at.add(<$A as SlotsOf>::slots_of());
                    )*
                    ($($A,)*)
                }
            }
        }
        impl<$($A: WasmTy),*> WasmRet for ($($A,)*) {
            type Values = Self;
            #[inline(always)]
            fn into_values(self) -> Result<Self> {
                Ok(self)
            }
        }
        impl<T: 'static, F, $($A: WasmTy,)* R: WasmRet> IntoFunc<T, (WithCaller, $($A,)*), R> for F
        where
            F: Fn(Caller<'_, T>, $($A),*) -> R + Send + Sync + 'static,
            R::Values: ResultTypes,
        {
            #[allow(non_snake_case, unused_variables, unused_mut, unused_assignments, unused_unsafe, clippy::unused_unit)]
            fn into_host(self) -> (FuncType, HostBody) {
                let ty = FuncType {
                    params: Box::new([$($A::TYPE),*]),
                    results: <R::Values as WasmParams>::types().as_slice().into(),
                };
                let call = erase(move |context, store: *mut StoreInner<T>, slots| {
                    // SAFETY: running code passes its store, and slots for arguments and results of this type.
                    unsafe {
                        let ($($A,)*) = {
                            let opaque = StoreOpaqueRef(&(*store).opaque);
                            <($($A,)*) as WasmResults>::load(slots, &opaque)
                        };
                        let caller = Caller { store: &mut *store, instance: context };
                        let values = self(caller, $($A),*).into_values()?;
                        values.belongs(&StoreOpaqueRef(&(*store).opaque))?;
                        values.store(slots, &StoreOpaqueRef(&(*store).opaque));
                    }
                    Ok(())
                });
                (ty, HostBody(call))
            }
        }
        impl<T: 'static, F, $($A: WasmTy,)* R: WasmRet> IntoFunc<T, ($($A,)*), R> for F
        where
            F: Fn($($A),*) -> R + Send + Sync + 'static,
            R::Values: ResultTypes,
        {
            #[allow(non_snake_case)]
            fn into_host(self) -> (FuncType, HostBody) {
                let f = move |_: Caller<'_, T>, $($A: $A),*| self($($A),*);
                IntoFunc::<T, (WithCaller, $($A,)*), R>::into_host(f)
            }
        }
    };
}

/// Slots of a value, for the macro above.
trait SlotsOf {
    fn slots_of() -> usize;
}
impl<V: WasmTy> SlotsOf for V {
    #[inline(always)]
    fn slots_of() -> usize {
        if matches!(V::TYPE, ValType::V128) { 2 } else { 1 }
    }
}

/// Marks what can be the results of a host function.
#[doc(hidden)]
pub trait ResultTypes {}
impl<P: WasmParams> ResultTypes for P {}

arity!();
arity!(A1);
arity!(A1 A2);
arity!(A1 A2 A3);
arity!(A1 A2 A3 A4);
arity!(A1 A2 A3 A4 A5);
arity!(A1 A2 A3 A4 A5 A6);
arity!(A1 A2 A3 A4 A5 A6 A7);
arity!(A1 A2 A3 A4 A5 A6 A7 A8);
arity!(A1 A2 A3 A4 A5 A6 A7 A8 A9);
arity!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
arity!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);
arity!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12);
arity!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13);
arity!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14);
arity!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15);
arity!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15 A16);

/// A function whose type has been checked.
pub struct TypedFunc<P, R> {
    func: Func,
    _types: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<P, R> Copy for TypedFunc<P, R> {}

impl<P: WasmParams, R: WasmResults> TypedFunc<P, R> {
    pub(crate) fn new(func: Func) -> Self {
        TypedFunc { func, _types: PhantomData }
    }
    /// The function without its types.
    pub fn func(&self) -> Func {
        self.func
    }
    /// Calls the function.
    ///
    /// # Errors
    /// The guest's trap, or a host function's error.
    pub fn call(&self, mut ctx: impl AsContextMut, params: P) -> Result<R> {
        let store = ctx.as_context_mut().0.opaque_mut();
        store.check(self.func.store)?;
        params.belongs(&StoreOpaqueRef(store))?;
        // SAFETY: the types were checked when this value was made, the store just now.
        unsafe {
            let read = |at: *const Slot, store: &StoreOpaque| R::load(at, &StoreOpaqueRef(store));
            invoke(store, self.func.ptr, |at, store| params.store(at, &StoreOpaqueRef(store)), read)
        }
    }
}
