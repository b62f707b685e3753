//! Making the functions importable. In: a linker, and how to get from its store's data to a [`WasiCtx`]; out: the
//! definitions under both module names. Invariant: guest memory is looked up anew in every call, as it may have grown.

use vm::{Caller, Error, Extern, Linker, Result};

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
        /// Defines every function of `wasi_snapshot_preview1` and `wasi_unstable` in `linker`; `get` finds the context
        /// in the store's data. A guest's `proc_exit` comes back as a host error that holds an
        /// [`I32Exit`](crate::I32Exit).
        pub fn add_to_linker<T: 'static>(
            linker: &mut Linker<T>,
            get: impl Fn(&mut T) -> &mut WasiCtx + Send + Sync + Copy + 'static,
        ) -> Result<()> {
            for module in [PREVIEW1, UNSTABLE] {
                $(link!(@define func_wrap, linker, get, module, $both = $bm($($bp: $bt),*));)*
                linker.func_wrap(module, "proc_exit", move |mut caller: Caller<'_, T>, code: u32| -> Result<()> {
                    Err(Error::host(get(caller.data_mut()).proc_exit(code)))
                })?;
            }
            $(link!(@define func_wrap, linker, get, PREVIEW1, $one = $om($($op: $ot),*));)*
            $(link!(@define func_wrap_version, linker, get, PREVIEW1, $version = $vm($($vp: $vt),*));)*
            $(link!(@define func_wrap, linker, get, UNSTABLE, $zero = $zm($($zp: $zt),*));)*
            Ok(())
        }
    };
    (@define $define:ident, $linker:ident, $get:ident, $module:expr, $name:ident = $method:ident($($p:ident: $t:ty),*)) => {
        $linker.$define(
            $module,
            stringify!($name),
            move |mut caller: Caller<'_, T>, $($p: $t),*| -> Result<i32> {
                call(&mut caller, $get, |ctx, mem| ctx.$method(mem, $($p),*))
            },
        )?;
    };
}

for_each_function!(link);
