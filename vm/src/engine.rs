//! What modules and stores have in common: settings and canonical types.

use crate::config::Config;
use crate::error::Result;
use crate::runtime::pool::Pool;
use std::sync::Arc;
use wasm::TypeRegistry;

/// A handle to shared, immutable state; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<EngineInner>,
}

struct EngineInner {
    config: Config,
    types: TypeRegistry,
    pool: Arc<Pool>,
}

impl Engine {
    /// Makes an engine.
    ///
    /// # Errors
    /// When the settings cannot be met.
    pub fn new(config: &Config) -> Result<Engine> {
        Ok(Engine {
            inner: Arc::new(EngineInner {
                config: config.clone(),
                types: TypeRegistry::default(),
                pool: Arc::default(),
            }),
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }
    pub(crate) fn types(&self) -> &TypeRegistry {
        &self.inner.types
    }
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.inner.pool
    }
    /// Whether both are the same engine.
    pub fn same(a: &Engine, b: &Engine) -> bool {
        Arc::ptr_eq(&a.inner, &b.inner)
    }
}

impl Default for Engine {
    fn default() -> Self {
        Engine {
            inner: Arc::new(EngineInner {
                config: Config::default(),
                types: TypeRegistry::default(),
                pool: Arc::default(),
            }),
        }
    }
}
