//! A module with its imports found and checked once, to be instantiated often.
//!
//! In: a module and what a linker has for its imports. Out: instances. Invariant: references to host functions do not
//! depend on a store, so all instances share those that are made here; a store that uses them keeps them alive.

use crate::error::Result;
use crate::externs::Extern;
use crate::func::HostFuncDef;
use crate::instance::{Instance, Spaces, func_fits, link_item};
use crate::module::Module;
use crate::store::{AsContextMut, HostFuncData, StoreId, StoreOpaque};
use std::marker::PhantomData;
use std::sync::Arc;
use wasm::Import;

/// A module whose imports have been found. Made by [`Linker::instantiate_pre`](crate::Linker::instantiate_pre).
pub struct InstancePre<T: 'static> {
    inner: Arc<Prepared>,
    _data: PhantomData<fn(T)>,
}

impl<T: 'static> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        InstancePre { inner: self.inner.clone(), _data: PhantomData }
    }
}

/// What stands for an import.
pub(crate) enum Found<'a> {
    Host(&'a HostFuncDef),
    Item(StoreId, Extern),
}

enum Given {
    Host(Box<HostFuncData>),
    Item(StoreId, Extern),
}

/// The part that stores keep.
pub(crate) struct Prepared {
    module: Module,
    imports: Box<[Given]>,
    /// Whether there is something that a store has to keep.
    hosts: bool,
}

impl Prepared {
    pub(crate) fn new<'a>(module: &Module, find: impl Fn(&Import) -> Result<Found<'a>>) -> Result<Prepared> {
        // What is missing comes before what does not fit.
        let found = module.inner.raw.imports.iter().map(find).collect::<Result<Vec<_>>>()?;
        let give = |(import, found): (&Import, Found<'a>)| match found {
            Found::Item(id, item) => Ok(Given::Item(id, item)),
            Found::Host(def) => {
                func_fits(module, import, def.type_id)?;
                Ok(Given::Host(Box::new(def.data())))
            }
        };
        let imports = module.inner.raw.imports.iter().zip(found).map(give).collect::<Result<Box<[_]>>>()?;
        let hosts = imports.iter().any(|i| matches!(i, Given::Host(_)));
        Ok(Prepared { module: module.clone(), imports, hosts })
    }

    pub(crate) fn instantiate(self: &Arc<Self>, store: &mut StoreOpaque) -> Result<Instance> {
        store.check_engine(self.module.engine())?;
        let mut spaces = Spaces::default();
        for (import, given) in self.module.inner.raw.imports.iter().zip(&self.imports) {
            match given {
                Given::Host(data) => spaces.funcs.push((&raw const data.func_ref).cast_mut()),
                Given::Item(id, item) => {
                    if !matches!(item, Extern::SharedMemory(_)) {
                        store.check(*id)?;
                    }
                    link_item(store, &self.module, import, item, &mut spaces)?;
                }
            }
        }
        if self.hosts {
            store.keep(self);
        }
        Instance::link(store, &self.module, spaces)
    }
}

impl<T: 'static> InstancePre<T> {
    pub(crate) fn new(inner: Prepared) -> InstancePre<T> {
        InstancePre { inner: Arc::new(inner), _data: PhantomData }
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.inner.module
    }

    /// Makes an instance in a store.
    ///
    /// # Errors
    /// When an item of another store was to be imported, or as [`Instance::new`].
    pub fn instantiate(&self, mut ctx: impl AsContextMut<Data = T>) -> Result<Instance> {
        self.inner.instantiate(ctx.as_context_mut().0.opaque_mut())
    }
}
