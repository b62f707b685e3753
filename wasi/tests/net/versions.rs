//! Functions with two versions under one name: the type of the import says which one is meant.

use vm::{Engine, Linker, Module, Store};
use wasi::WasiCtxBuilder;

/// Instantiates a module that imports a function with these parameters, and calls it with zeros (the descriptor is
/// standard input, which is no socket); the errno, or why it does not link.
fn call(name: &str, params: usize) -> Result<i32, String> {
    let text = format!(
        r#"(module (import "wasi_snapshot_preview1" "{name}" (func $f (param {}) (result i32)))
            (memory (export "memory") 1)
            (func (export "call") (result i32) {} (call $f)))"#,
        "i32 ".repeat(params),
        "(i32.const 0) ".repeat(params),
    );
    let engine = Engine::default();
    let module = Module::new(&engine, &text).unwrap();
    let mut store = Store::new(&engine, WasiCtxBuilder::new().build().unwrap());
    let mut linker = Linker::new(&engine);
    wasi::add_to_linker(&mut linker, |ctx| ctx).unwrap();
    let instance = linker.instantiate(&mut store, &module).map_err(|error| error.to_string())?;
    let call = instance.get_typed_func::<(), i32>(&mut store, "call").unwrap();
    Ok(call.call(&mut store, ()).unwrap())
}

#[test]
fn the_type_of_the_import_chooses() {
    let not_sock = Ok(wasi::Errno::NotSock as i32);
    for (name, counts) in [
        ("sock_accept", &[2, 3][..]),
        ("sock_accept_v2", &[3]),
        ("sock_recv_from", &[7, 8]),
        ("sock_recv_from_v2", &[8]),
        ("sock_getlocaladdr", &[3, 4]),
        ("sock_getlocaladdr_v2", &[3]),
        ("sock_getpeeraddr", &[3, 4]),
        ("sock_getpeeraddr_v2", &[3]),
        ("sock_bind", &[3]),
        ("sock_bind_v2", &[3]),
    ] {
        for params in 1..10 {
            let result = call(name, params);
            if counts.contains(&params) {
                assert_eq!(result, not_sock, "{name} with {params}");
            } else {
                assert!(result.unwrap_err().contains(name), "{name} with {params}");
            }
        }
    }
}
