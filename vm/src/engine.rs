//! What modules and stores have in common: settings and canonical types.

use crate::config::Config;
use crate::error::Result;
use crate::runtime::gc::types::{self, ObjectType};
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
    /// The type of objects of that id; `None` for one of functions. It stays where it is as long as somebody holds it.
    pub(crate) fn object_type(&self, id: TypeId) -> Option<NonNull<ObjectType>> {
        types::object_type(&self.inner.types, id)
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

#[cfg(test)]
mod tests {
    use super::Engine;
    use crate::{Func, FuncType, Instance, Linker, Module, Store, Tag, ValType};

    #[test]
    fn types_go_with_the_last_that_needs_them() {
        let engine = Engine::default();
        let text = r#"(module (type $a (sub (struct (field i32)))) (rec (type $b (sub $a (struct (field i32 (ref null $c))))) (type $c (array (ref $b))))
            (func (export "make") (result (ref $b)) (struct.new $b (i32.const 1) (ref.null $c)))
            (func (export "f") (param i64 i64) (result i64) (local.get 0)))"#;
        let module = Module::new(&engine, text).unwrap();
        let with_module = engine.types().len();
        let again = Module::new(&engine, text).unwrap();
        assert_eq!(engine.types().len(), with_module);
        drop(module);
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &again, &[]).unwrap();
        drop(again);
        // The store keeps what its instance is made of.
        assert_eq!(engine.types().len(), with_module);
        let make = instance.get_func(&mut store, "make").unwrap();
        let mut object = [crate::Val::I32(0)];
        make.call(&mut store, &[], &mut object).unwrap();
        let ty = make.ty(&store);
        Tag::new(&mut store, FuncType { params: [ValType::F32].into(), results: [].into() });
        Func::wrap(&mut store, |_: f64| ());
        assert_eq!(engine.types().len(), with_module + 2);
        drop(store);
        assert!(engine.types().is_empty());
        // A type that is gone has no values.
        let mut linker: Linker<()> = Linker::new(&engine);
        linker
            .func_new("", "g", FuncType { params: ty.results.clone(), results: [].into() }, |_, _, _| Ok(()))
            .unwrap();
        assert_eq!(engine.types().len(), 1);
        assert!(Module::new(&engine, "(module (type (func (param i32 i32 i32))) (func (type 9)))").is_err());
        drop(linker);
        assert!(engine.types().is_empty());
    }
}
