//! What all instances of a module have in common, found out once.
//!
//! In: a module. Out: the shapes of its functions, its types of objects, and the image of its memory from the second instance on: a program that
//! makes a single instance does not pay for one.

use crate::engine::Engine;
use crate::module::ModuleInner;
use crate::runtime::gc::types::ObjectType;
use crate::runtime::image::MemoryImage;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use wasm::{CompositeType, FuncType, TypeId};

/// The plan of a module's instances.
pub(crate) struct Plan {
    /// The module's function types by id: slots of parameters and of results, and the type.
    types: Box<[(TypeId, [u32; 2], FuncType)]>,
    /// The module's types of objects by their indices, null for those of functions; empty if there are none but those.
    objects: Box<[AtomicPtr<ObjectType>]>,
    /// Whether there has been an instance.
    instantiated: AtomicBool,
}

impl Plan {
    fn new(engine: &Engine, raw: &wasm::Module) -> Plan {
        let func = |&id: &TypeId| match &engine.types().get(id).composite {
            CompositeType::Func(f) => Some((id, [f.param_slots(), f.result_slots()], f.clone())),
            _ => None,
        };
        let mut types: Vec<_> = raw.types.iter().filter_map(func).collect();
        types.sort_by_key(|t| t.0);
        types.dedup_by_key(|t| t.0);
        Plan { types: types.into(), objects: object_types(engine, raw), instantiated: AtomicBool::new(false) }
    }

    /// What `VmContext::object_types` points to.
    pub(crate) fn object_types(&self) -> *const AtomicPtr<ObjectType> {
        self.objects.as_ptr()
    }

    /// Whether there are types of objects.
    pub(crate) fn has_objects(&self) -> bool {
        !self.objects.is_empty()
    }

    fn find(&self, ty: TypeId) -> Option<&(TypeId, [u32; 2], FuncType)> {
        let i = self.types.binary_search_by_key(&ty, |t| t.0).ok()?;
        self.types.get(i)
    }

    /// Slots of the parameters and of the results of one of the module's function types.
    #[inline(always)]
    pub(crate) fn shape(&self, ty: TypeId) -> [u32; 2] {
        self.find(ty).map_or([0; 2], |t| t.1)
    }

    /// One of the module's function types: what looking it up in the engine would answer, without a lock.
    pub(crate) fn func_type(&self, ty: TypeId) -> Option<&FuncType> {
        self.find(ty).map(|t| &t.2)
    }
}

/// The module's types as running code knows them.
fn object_types(engine: &Engine, raw: &wasm::Module) -> Box<[AtomicPtr<ObjectType>]> {
    let pointers = raw.types.iter().map(|&id| engine.object_type(id));
    if pointers.clone().all(|p| p.is_none()) {
        return Box::default();
    }
    pointers.map(|p| AtomicPtr::new(p.map_or(std::ptr::null_mut(), |p| p.as_ptr()))).collect()
}

impl ModuleInner {
    /// The plan of its instances.
    #[inline(always)]
    pub(crate) fn plan(&self) -> &Plan {
        self.plan.get_or_init(|| Plan::new(&self.engine, &self.raw))
    }

    /// The image for the memory of an instance that is being made.
    pub(crate) fn image_for_instance(&self) -> Option<&Arc<MemoryImage>> {
        if let Some(image) = self.image.get() {
            return image.as_ref();
        }
        // What is in a file need not be made.
        if let Some(image) = self.origin.image.as_ref().and_then(|i| i.memory()) {
            return self.image.get_or_init(|| Some(Arc::new(image))).as_ref();
        }
        if !self.plan().instantiated.swap(true, Ordering::Relaxed) {
            return None;
        }
        let make = || MemoryImage::of_module(&self.raw, &self.bytes).map(Arc::new);
        self.image.get_or_init(make).as_ref()
    }
}
