//! What all instances of a module have in common, found out once.
//!
//! In: a module. Out: the shapes of its functions, and the image of its memory from the second instance on: a program that
//! makes a single instance does not pay for one.

use crate::engine::Engine;
use crate::module::ModuleInner;
use crate::runtime::image::MemoryImage;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasm::{CompositeType, TypeId};

/// The plan of a module's instances.
pub(crate) struct Plan {
    /// Slots of parameters and of results by type, from the least id that the module uses on.
    shapes: Box<[[u32; 2]]>,
    first: u32,
    /// Whether there has been an instance.
    instantiated: AtomicBool,
}

impl Plan {
    fn new(engine: &Engine, raw: &wasm::Module) -> Plan {
        let ids = || raw.types.iter().map(|t| t.0);
        let first = ids().min().unwrap_or(0);
        let mut shapes = vec![[0; 2]; ids().max().map_or(0, |last| (last - first + 1) as usize)];
        for id in ids() {
            if let CompositeType::Func(f) = &engine.types().get(TypeId(id)).composite {
                shapes[(id - first) as usize] = [f.param_slots(), f.result_slots()];
            }
        }
        Plan { shapes: shapes.into(), first, instantiated: AtomicBool::new(false) }
    }

    /// Slots of the parameters and of the results of one of the module's function types.
    #[inline(always)]
    pub(crate) fn shape(&self, ty: TypeId) -> [u32; 2] {
        self.shapes[(ty.0 - self.first) as usize]
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
