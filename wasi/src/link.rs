//! Making the functions importable. In: a linker, and how to get from its store's data to a [`WasiCtx`]; out: the
//! definitions under both module names. Invariant: guest memory is looked up anew in every call, as it may have grown.

use vm::{Caller, Error, Extern, Linker, Module, Result};

use crate::functions::for_each_function;
use crate::{Errno, GuestMemory, PREVIEW1, UNSTABLE, WasiCtx};

/// Runs one function on the caller's memory and answers the number of its errno.
#[inline]
fn call<T: 'static>(
    caller: &mut Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut WasiCtx,
    function: impl FnOnce(&mut WasiCtx, &mut GuestMemory<'_>) -> Result<(), Errno>,
) -> Result<i32> {
    let memory = match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => memory,
        Some(Extern::SharedMemory(_)) => {
            return Err(Error::host("WASI functions cannot be called by a module whose memory is shared"));
        }
        _ => return Err(Error::host("a module that calls WASI functions must export its memory as `memory`")),
    };
    let (bytes, data) = memory.data_and_store_mut(caller);
    let errno = function(get(data), &mut GuestMemory::new(bytes)).err().unwrap_or(Errno::Success);
    Ok(errno as i32)
}

macro_rules! link {
    (
        both { $($both:ident = $bm:ident($($bp:ident: $bt:ty),*);)* }
        preview1 { $($one:ident = $om:ident($($op:ident: $ot:ty),*);)* }
        versions { $($version:ident = $vm:ident($($vp:ident: $vt:ty),*);)* }
        unstable { $($zero:ident = $zm:ident($($zp:ident: $zt:ty),*);)* }
    ) => {
        /// Defines those functions of `wasi_snapshot_preview1` and `wasi_unstable` that are wanted.
        fn define<T: 'static>(
            linker: &mut Linker<T>,
            get: impl Fn(&mut T) -> &mut WasiCtx + Send + Sync + Copy + 'static,
            wanted: impl Fn(&str, &str) -> bool,
        ) -> Result<()> {
            for module in [PREVIEW1, UNSTABLE] {
                $(link!(@define func_wrap, linker, get, wanted, module, $both = $bm($($bp: $bt),*));)*
                if wanted(module, "proc_exit") {
                    linker.func_wrap(module, "proc_exit", move |mut caller: Caller<'_, T>, code: u32| -> Result<()> {
                        Err(Error::host(get(caller.data_mut()).proc_exit(code)))
                    })?;
                }
            }
            $(link!(@define func_wrap, linker, get, wanted, PREVIEW1, $one = $om($($op: $ot),*));)*
            $(link!(@define func_wrap_version, linker, get, wanted, PREVIEW1, $version = $vm($($vp: $vt),*));)*
            $(link!(@define func_wrap, linker, get, wanted, UNSTABLE, $zero = $zm($($zp: $zt),*));)*
            Ok(())
        }
    };
    (@define $define:ident, $linker:ident, $get:ident, $wanted:ident, $module:expr,
        $name:ident = $method:ident($($p:ident: $t:ty),*)) => {
        if $wanted($module, stringify!($name)) {
            $linker.$define(
                $module,
                stringify!($name),
                move |mut caller: Caller<'_, T>, $($p: $t),*| -> Result<i32> {
                    call(&mut caller, $get, |ctx, mem| ctx.$method(mem, $($p),*))
                },
            )?;
        }
    };
}

for_each_function!(link);

/// Defines every function of `wasi_snapshot_preview1` and `wasi_unstable` in `linker`; `get` finds the context in the store's
/// data. A guest's `proc_exit` comes back as a host error that holds an [`I32Exit`](crate::I32Exit).
///
/// # Errors
/// When a name is taken.
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut WasiCtx + Send + Sync + Copy + 'static,
) -> Result<()> {
    define(linker, get, |_, _| true)
}

/// As [`add_to_linker`], only what a module imports and nobody has defined yet: for a linker that serves few modules, that is done
/// sooner.
///
/// # Errors
/// None as things are.
pub fn add_imports_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    module: &Module,
    get: impl Fn(&mut T) -> &mut WasiCtx + Send + Sync + Copy + 'static,
) -> Result<()> {
    let imports = module.imports().filter(|i| matches!(i.module(), PREVIEW1 | UNSTABLE));
    let missing: Vec<(String, String)> = imports
        .map(|i| (i.module().to_string(), i.name().to_string()))
        .filter(|(module, name)| !linker.is_defined(module, name))
        .collect();
    define(linker, get, |module, name| missing.iter().any(|(m, n)| m == module && n == name))
}
