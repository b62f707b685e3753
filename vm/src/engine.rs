//! What modules and stores have in common: settings and canonical types.

use crate::config::Config;
use crate::error::Result;
use crate::runtime::gc::types::{ObjectType, ObjectTypes};
use crate::runtime::pool::Pool;
use crate::tier::log::{CompileStats, Log};
use crate::tier::queue::Queue;
use crate::tier::timer::Timer;
use std::ptr::NonNull;
use std::sync::Arc;
use wasm::{TypeId, TypeRegistry};

/// A handle to shared, immutable state; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<EngineInner>,
}

struct EngineInner {
    config: Config,
    types: TypeRegistry,
    object_types: ObjectTypes,
    pool: Arc<Pool>,
    queue: Arc<Queue>,
    timer: Arc<Timer>,
    log: Log,
}

impl Engine {
    /// Makes an engine.
    ///
    /// # Errors
    /// When the settings cannot be met.
    pub fn new(config: &Config) -> Result<Engine> {
        Ok(Engine::with(config.clone()))
    }

    fn with(mut config: Config) -> Engine {
        if config.filter.is_some() {
            // What is kept is taken for all there is.
            config.cache = None;
        }
        let log = Log::new(&config);
        let inner = EngineInner {
            config,
            types: TypeRegistry::default(),
            object_types: ObjectTypes::default(),
            pool: Arc::default(),
            queue: Arc::default(),
            timer: Arc::default(),
            log,
        };
        Engine { inner: Arc::new(inner) }
    }

    /// What has been compiled so far.
    pub fn compile_stats(&self) -> CompileStats {
        self.inner.log.stats()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }
    pub(crate) fn types(&self) -> &TypeRegistry {
        &self.inner.types
    }
    /// The type of objects of that id; `None` for one of functions. It stays where it is as long as the engine.
    pub(crate) fn object_type(&self, id: TypeId) -> Option<NonNull<ObjectType>> {
        self.inner.object_types.get(&self.inner.types, id)
    }
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.inner.pool
    }
    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.inner.queue
    }
    pub(crate) fn timer(&self) -> &Arc<Timer> {
        &self.inner.timer
    }
    pub(crate) fn log(&self) -> &Log {
        &self.inner.log
    }
    /// Whether both are the same engine.
    pub fn same(a: &Engine, b: &Engine) -> bool {
        Arc::ptr_eq(&a.inner, &b.inner)
    }
}

impl Default for Engine {
    fn default() -> Self {
        Engine::with(Config::default())
    }
}

impl Drop for EngineInner {
    fn drop(&mut self) {
        self.queue.close();
        self.timer.close();
    }
}
