//! What all instances of a module have in common, found out once.
//!
//! In: a module. Out: the shapes of its functions, and the image of its memory from the second instance on: a program that
//! makes a single instance does not pay for one.

use crate::engine::Engine;
use crate::module::ModuleInner;
use crate::runtime::image::MemoryImage;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasm::{CompositeType, FuncType, TypeId};

/// The plan of a module's instances.
pub(crate) struct Plan {
    /// Slots of parameters and of results by type, from the least id that the module uses on.
    shapes: Box<[[u32; 2]]>,
    first: u32,
    /// Those that are types of functions.
    types: Box<[Option<FuncType>]>,
    /// Whether there has been an instance.
    instantiated: AtomicBool,
}

impl Plan {
    fn new(engine: &Engine, raw: &wasm::Module) -> Plan {
        let ids = || raw.types.iter().map(|t| t.0);
        let first = ids().min().unwrap_or(0);
        let count = ids().max().map_or(0, |last| (last - first + 1) as usize);
        let (mut shapes, mut types) = (vec![[0; 2]; count], vec![None; count]);
        for id in ids() {
            if let CompositeType::Func(f) = &engine.types().get(TypeId(id)).composite {
                let at = (id - first) as usize;
                (shapes[at], types[at]) = ([f.param_slots(), f.result_slots()], Some(f.clone()));
            }
        }
        Plan { shapes: shapes.into(), first, types: types.into(), instantiated: AtomicBool::new(false) }
    }

    /// Slots of the parameters and of the results of one of the module's function types.
    #[inline(always)]
    pub(crate) fn shape(&self, ty: TypeId) -> [u32; 2] {
        self.shapes[(ty.0 - self.first) as usize]
    }

    /// One of the module's function types: what looking it up in the engine would answer, without a lock.
    pub(crate) fn func_type(&self, ty: TypeId) -> Option<&FuncType> {
        self.types.get(ty.0.checked_sub(self.first)? as usize)?.as_ref()
    }
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
        if !self.plan().instantiated.swap(true, Ordering::Relaxed) {
            return None;
        }
        let make = || MemoryImage::of_module(&self.raw, &self.bytes).map(Arc::new);
        self.image.get_or_init(make).as_ref()
    }
}
