//! Names to items: what modules import is looked up here.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::externs::Extern;
use crate::func::HostFuncDef;
use crate::instance::Instance;
use crate::module::{ImportType, Module};
use crate::pre::{Found, InstancePre, Prepared};
use crate::store::{AsContext, AsContextMut, Caller, StoreId, StoreOpaque};
use crate::trap::{Trap, TrapKind};
use crate::typed::IntoFunc;
use crate::value::Val;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;
use wasm::{FuncType, HeapType, HeldTypes, ImportType as RawImport};

/// Host functions, and items of stores, by module and name.
pub struct Linker<T: 'static> {
    engine: Engine,
    shadowing: bool,
    modules: HashMap<Box<str>, HashMap<Box<str>, Definition>>,
    /// Host functions that share a name with a definition and differ from it in type.
    versions: HashMap<Box<str>, HashMap<Box<str>, Vec<HostFuncDef>>>,
    _data: PhantomData<fn(T)>,
}

#[derive(Clone)]
enum Definition {
    Host(HostFuncDef),
    Item(StoreId, Extern),
}

impl<T: 'static> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Linker {
            engine: self.engine.clone(),
            shadowing: self.shadowing,
            modules: self.modules.clone(),
            versions: self.versions.clone(),
            _data: PhantomData,
        }
    }
}

impl<T: 'static> Linker<T> {
    /// Makes an empty linker.
    pub fn new(engine: &Engine) -> Linker<T> {
        Linker {
            engine: engine.clone(),
            shadowing: false,
            modules: HashMap::new(),
            versions: HashMap::new(),
            _data: PhantomData,
        }
    }

    /// Whether a name may be defined again.
    pub fn allow_shadowing(&mut self, yes: bool) -> &mut Self {
        self.shadowing = yes;
        self
    }

    fn insert(&mut self, module: &str, name: &str, definition: Definition) -> Result<&mut Self> {
        if !self.modules.contains_key(module) {
            self.modules.insert(module.into(), HashMap::new());
        }
        let names = self.modules.get_mut(module).ok_or_else(|| Error::api("linker lost a module"))?;
        if names.contains_key(name) && !self.shadowing {
            return Err(Error::link(format!("`{module}` `{name}` is defined twice")));
        }
        names.insert(name.into(), definition);
        // Versions belong to the definition that was there before.
        self.versions.get_mut(module).and_then(|m| m.remove(name));
        Ok(self)
    }

    /// Whether there is an item of that name.
    pub fn is_defined(&self, module: &str, name: &str) -> bool {
        self.modules.get(module).is_some_and(|m| m.contains_key(name))
    }

    /// Defines a host function from a closure over Rust types.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn func_wrap<P, R>(&mut self, module: &str, name: &str, f: impl IntoFunc<T, P, R>) -> Result<&mut Self> {
        let (ty, call) = f.into_host();
        let def = HostFuncDef::new(&self.engine, ty, call.0);
        self.insert(module, name, Definition::Host(def))
    }

    /// Adds another version of a function that is defined already, of another type. [`instantiate`](Self::instantiate)
    /// gives a module the version whose type its import has, and the first one when none fits.
    ///
    /// # Errors
    /// When no host function has that name.
    pub fn func_wrap_version<P, R>(
        &mut self,
        module: &str,
        name: &str,
        f: impl IntoFunc<T, P, R>,
    ) -> Result<&mut Self> {
        if !matches!(self.modules.get(module).and_then(|m| m.get(name)), Some(Definition::Host(_))) {
            return Err(Error::link(format!("`{module}` `{name}` is no host function, and can have no other version")));
        }
        let (ty, call) = f.into_host();
        let def = HostFuncDef::new(&self.engine, ty, call.0);
        self.versions.entry(module.into()).or_default().entry(name.into()).or_default().push(def);
        Ok(self)
    }

    /// Defines a host function from a closure over values.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn func_new(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        f: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Result<&mut Self> {
        let def = HostFuncDef::dynamic(&self.engine, ty, f);
        self.insert(module, name, Definition::Host(def))
    }

    /// Defines an item of a store.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn define(
        &mut self,
        ctx: impl AsContext<Data = T>,
        module: &str,
        name: &str,
        item: impl Into<Extern>,
    ) -> Result<&mut Self> {
        let id = ctx.as_context().0.opaque().id;
        self.insert(module, name, Definition::Item(id, item.into()))
    }

    /// Defines all exports of an instance under a module name.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn instance(
        &mut self,
        mut ctx: impl AsContextMut<Data = T>,
        module: &str,
        instance: Instance,
    ) -> Result<&mut Self> {
        let mut ctx = ctx.as_context_mut();
        let exports: Vec<_> = instance.exports(&mut ctx).map(|e| (e.name().to_string(), e.into_extern())).collect();
        let id = ctx.0.opaque().id;
        if exports.is_empty() && !self.modules.contains_key(module) {
            self.modules.insert(module.into(), HashMap::new());
        }
        for (name, item) in exports {
            self.insert(module, &name, Definition::Item(id, item))?;
        }
        Ok(self)
    }

    /// Instantiates a module and defines its exports; a reactor's `_initialize` is called first.
    ///
    /// # Errors
    /// When it cannot be instantiated or a name is taken.
    pub fn module(&mut self, mut ctx: impl AsContextMut<Data = T>, name: &str, module: &Module) -> Result<&mut Self> {
        let instance = self.instantiate(ctx.as_context_mut(), module)?;
        if let Some(init) = instance.get_func(ctx.as_context_mut(), "_initialize") {
            init.call(ctx.as_context_mut(), &[], &mut [])?;
        }
        self.instance(ctx, name, instance)
    }

    /// Instantiates a module with what the linker has.
    ///
    /// # Errors
    /// Names the first import that is missing or does not fit, or as [`Instance::new`].
    pub fn instantiate(&self, mut ctx: impl AsContextMut<Data = T>, module: &Module) -> Result<Instance> {
        Arc::new(self.prepare(module)?).instantiate(ctx.as_context_mut().0.opaque_mut())
    }

    /// Finds and checks what a module imports, once for many instances: later definitions are not looked at.
    ///
    /// # Errors
    /// Names the first import that is missing, or a host function that does not fit.
    pub fn instantiate_pre(&self, module: &Module) -> Result<InstancePre<T>> {
        Ok(InstancePre::new(self.prepare(module)?))
    }

    fn prepare(&self, module: &Module) -> Result<Prepared> {
        if !Engine::same(&self.engine, module.engine()) {
            return Err(Error::api("module and linker belong to different engines"));
        }
        Prepared::new(module, |import| {
            if let Some(def) = self.version(import) {
                return Ok(Found::Host(def));
            }
            match self.modules.get(&import.module).and_then(|m| m.get(&import.name)) {
                Some(Definition::Host(def)) => Ok(Found::Host(def)),
                Some(Definition::Item(id, item)) => Ok(Found::Item(*id, item.clone())),
                None => {
                    let (module, name) = (&import.module, &import.name);
                    Err(Error::link(format!("unknown import `{module}` `{name}`: nothing provides it")))
                }
            }
        })
    }

    fn find(&self, store: &mut StoreOpaque, module: &str, name: &str) -> Result<Option<Extern>> {
        match self.modules.get(module).and_then(|m| m.get(name)) {
            None => Ok(None),
            Some(Definition::Host(def)) => Ok(Some(def.give_to(store).into())),
            Some(Definition::Item(id, item)) => {
                if !matches!(item, Extern::SharedMemory(_)) {
                    store.check(*id)?;
                }
                Ok(Some(item.clone()))
            }
        }
    }

    /// The version of an imported function, other than the first, that has the type of the import.
    fn version(&self, import: &wasm::Import) -> Option<&HostFuncDef> {
        let RawImport::Func(type_id) = import.ty else { return None };
        let versions = self.versions.get(&*import.module)?.get(&*import.name)?;
        versions.iter().find(|def| def.type_id == type_id)
    }

    /// The item of that name, made for the store if it is a host function.
    pub fn get(&self, mut ctx: impl AsContextMut<Data = T>, module: &str, name: &str) -> Option<Extern> {
        self.find(ctx.as_context_mut().0.opaque_mut(), module, name).ok().flatten()
    }

    /// The imports of a module that nothing provides.
    pub fn missing_imports<'m>(&self, module: &'m Module) -> Vec<ImportType<'m>> {
        module.imports().filter(|i| !self.has(i.module(), i.name())).collect()
    }

    fn has(&self, module: &str, name: &str) -> bool {
        self.modules.get(module).is_some_and(|m| m.contains_key(name))
    }

    /// Provides every function a module imports and nobody has defined; calling one traps and says which it was.
    ///
    /// # Errors
    /// When something other than a function is missing.
    pub fn define_unknown_imports_as_traps(&mut self, module: &Module) -> Result<()> {
        self.define_unknown(module, |m, n, _| {
            let detail = format!("`{m}` `{n}`");
            Box::new(move |_, _, _| Err(Error::from(Trap::with_detail(TrapKind::UnknownImport, detail.clone()))))
        })
    }

    /// Provides every function a module imports and nobody has defined; it answers zeros and nulls.
    ///
    /// # Errors
    /// When something other than a function is missing, or a result has no default.
    pub fn define_unknown_imports_as_default_values(&mut self, module: &Module) -> Result<()> {
        for import in self.missing_imports(module) {
            if let crate::ExternType::Func(ty) = import.ty() {
                ty.results.iter().try_for_each(|&t| Val::default_for(t).map(|_| ()))?;
            }
        }
        self.define_unknown(module, |_, _, ty| {
            let slots = ty.result_slots() as usize;
            Box::new(move |_, _, at| {
                // SAFETY: running code passes slots for all results.
                unsafe { std::slice::from_raw_parts_mut(at, slots) }.fill(0);
                Ok(())
            })
        })
    }

    fn define_unknown(
        &mut self,
        module: &Module,
        make: impl Fn(&str, &str, &FuncType) -> Box<crate::runtime::context::HostCall>,
    ) -> Result<()> {
        for import in &module.inner.raw.imports {
            if self.has(&import.module, &import.name) {
                continue;
            }
            let RawImport::Func(type_id) = import.ty else {
                let (m, n) = (&import.module, &import.name);
                return Err(Error::link(format!(
                    "unknown import `{m}` `{n}`: it is no function, so nothing can stand in"
                )));
            };
            let ty = module.func_type(type_id);
            let call = make(&import.module, &import.name, &ty);
            // The import's own type, which need not be the plain function type of the same signature.
            let mut types = HeldTypes::default();
            self.engine.types().hold(&mut types, HeapType::Concrete(type_id));
            let def = HostFuncDef::with_type(&self.engine, type_id, types, call);
            self.insert(&import.module, &import.name, Definition::Host(def))?;
        }
        Ok(())
    }
}
